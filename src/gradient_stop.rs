//! `detach`: a value that no gradient goes through.

/// The value itself; to [`backprop`](crate::backprop) a constant, through which no gradient goes.
///
/// At run time this is the identity. In an annotated function it stops the gradient: in `detach(x) * x` only the second
/// factor is differentiated.
///
/// ```
/// use backprop::{backprop, detach};
///
/// #[backprop]
/// fn scaled(x: f64) -> f64 {
///     detach(x) * x
/// }
///
/// assert_eq!(scaled::value_and_gradient(3.0), (9.0, ScaledGradient { x: 3.0 }));
/// ```
#[inline(always)]
pub fn detach<T>(value: T) -> T {
    value
}

/// What the macro asks of a function called `detach` to know that it is this one.
#[allow(non_camel_case_types)]
#[doc(hidden)]
#[derive(Debug)]
pub enum detach {}

impl detach {
    #[doc(hidden)]
    pub const IS_BACKPROPS_OWN: () = ();

    // In a file that has a `detach` of its own the macro cannot tell which one a call means: it is then a call like any
    // other of a function with derivatives.
    #[doc(hidden)]
    #[inline(always)]
    pub fn forward<T>(value: T) -> (T, ()) {
        (value, ())
    }

    #[doc(hidden)]
    #[inline(always)]
    pub fn __pullback<T: Default>(_: &(), _: T) -> (T,) {
        (T::default(),)
    }
}
