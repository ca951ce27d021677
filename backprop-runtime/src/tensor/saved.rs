//! What the forward pass of a method keeps.

/// The residuals of a method, whose type has no name in an `impl`: its gradient as a function of the upstream gradient.
pub struct Saved<'a, U, G>(Box<dyn Fn(U) -> G + 'a>);

impl<'a, U, G> Saved<'a, U, G> {
    pub fn new(back: impl Fn(U) -> G + 'a) -> Self {
        Saved(Box::new(back))
    }

    pub fn back(&self, upstream: U) -> G {
        (self.0)(upstream)
    }
}
