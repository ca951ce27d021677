//! The gradient of a user's own struct.

#[cfg(feature = "runtime")]
use crate::tensor::ndarray::{Array, ArrayBase, Data, Dimension};

/// A type with a gradient of its own shape: what `#[derive(Differentiable)]` implements, so that functions annotated with
/// `#[backprop]` can take and return structs.
///
/// The derive makes `NameGradient`, with a field of the same name for each field that can hold floats. Integers, `bool` and
/// text are constant and have none; a field of another type must be `Differentiable` too, or be marked with
/// `#[backprop(constant)]`. Where a function takes the struct, its gradient has a field of type [`Differentiable::Gradient`].
///
/// ```
/// use backprop::{Differentiable, backprop};
///
/// #[derive(Clone, Copy, Differentiable)]
/// struct Spring {
///     stiffness: f64,
///     length: f64,
/// }
///
/// #[backprop]
/// fn energy(spring: &Spring, at: f64) -> f64 {
///     let stretch = at - spring.length;
///     0.5 * spring.stiffness * stretch * stretch
/// }
///
/// let spring = Spring { stiffness: 4.0, length: 1.0 };
/// let (e, g) = energy::value_and_gradient(&spring, 1.5);
/// assert_eq!((e, g.at), (0.5, 2.0));
/// assert_eq!(g.spring, SpringGradient { stiffness: 0.125, length: -2.0 });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no gradient",
    label = "not `Differentiable`",
    note = "put `#[derive(Differentiable)]` on `{Self}`, or mark the field with `#[backprop(constant)]`"
)]
pub trait Differentiable {
    /// The gradient: a derivative for each float in the type.
    type Gradient;

    /// A gradient of zeros, with the lengths of this value's slices and `Vec`s.
    fn zero_gradient(&self) -> Self::Gradient;
}

macro_rules! scalars {
    ($($Float:ty)*) => {$(
        impl Differentiable for $Float {
            type Gradient = $Float;

            fn zero_gradient(&self) -> $Float {
                0.0
            }
        }
    )*};
}

scalars!(f32 f64);

#[cfg(feature = "runtime")]
impl<T, S, D> Differentiable for ArrayBase<S, D>
where
    T: crate::kernel::Real,
    S: Data<Elem = T>,
    D: Dimension,
{
    type Gradient = Array<T, D>;

    fn zero_gradient(&self) -> Self::Gradient {
        Array::from_elem(self.raw_dim(), T::zero())
    }
}
