//! The scalar of every tensor and every annotated function of this crate: `f32` or `f64`.
//!
//! `#[backprop]` recognises a bound whose last segment is `Float`, so a function written once with
//! `T: Float` is differentiated for both precisions.

use ndarray::{LinalgScalar, ScalarOperand};
use num_traits::FromPrimitive;

use crate::kernel::Real;

/// A real scalar: [`num_traits::Float`] with what `ndarray`, reductions and the [kernels](crate::kernel) need.
///
/// Implemented for `f32` and `f64`. Constants inside a generic function are written
/// `T::one()`, `T::zero()` and `T::from(0.5).unwrap()`.
///
/// ```
/// use backprop_runtime::Float;
///
/// fn mean<T: Float>(values: &[T]) -> T {
///     values.iter().copied().sum::<T>() / T::from(values.len()).unwrap()
/// }
/// assert_eq!(mean(&[1.0_f32, 2.0]), 1.5);
/// assert_eq!(mean(&[1.0_f64, 2.0]), 1.5);
/// ```
pub trait Float: Real + FromPrimitive + LinalgScalar + ScalarOperand {}

impl Float for f32 {}
impl Float for f64 {}

/// `value` in the precision of `T`, rounded to nearest.
pub(crate) fn constant<T: Float>(value: f64) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

/// The count `n` in the precision of `T`.
pub(crate) fn count<T: Float>(n: usize) -> T {
    T::from(n).unwrap_or_else(T::infinity)
}
