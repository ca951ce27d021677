//! Optimizers: parameters and their gradient in, parameters moved downhill out.
//!
//! Parameters are one flat slice, so an [`Optimizer`] serves an [`Mlp`](crate::Mlp) as well as any annotated
//! function with its `value_and_gradient_into`. Hyper-parameters, lengths and gradients are checked before
//! a step writes anything; the state is made for the parameters of the first step.

use crate::error::{Result, check_finite, check_hyper, check_shape};
use crate::float::Float;

/// A rule that turns a gradient into a step.
///
/// ```
/// use backprop_runtime::{Optimizer, Sgd};
///
/// let mut parameters = [1.0, 2.0];
/// Sgd::new(0.5).step(&mut parameters, &[2.0, -2.0])?;
/// assert_eq!(parameters, [0.0, 3.0]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
pub trait Optimizer<T: Float> {
    /// Moves `parameters` one step against `gradient`.
    ///
    /// # Errors
    ///
    /// If a hyper-parameter is outside of its domain, the gradient is not finite, or a length differs from
    /// the other or from that of the previous step; nothing is then changed.
    fn step(&mut self, parameters: &mut [T], gradient: &[T]) -> Result<()>;

    /// Sets the learning rate from the next step on, for schedules.
    fn set_learning_rate(&mut self, learning_rate: T);
}

/// Scales `gradient` down to the Euclidean norm `max_norm` if its norm is larger; returns the norm that it had.
///
/// ```
/// use backprop_runtime::optimizer::clip_by_norm;
///
/// let mut gradient = [3.0, 4.0];
/// assert_eq!(clip_by_norm(&mut gradient, 2.5)?, 5.0);
/// assert_eq!(gradient, [1.5, 2.0]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
///
/// # Errors
///
/// If `max_norm` is not positive, or the gradient not finite; it is then unchanged.
pub fn clip_by_norm<T: Float>(gradient: &mut [T], max_norm: T) -> Result<T> {
    check_positive("maximum norm", max_norm)?;
    check_finite("gradients", gradient)?;
    // Relative to the largest element, no square overflows.
    let largest = gradient
        .iter()
        .fold(T::zero(), |largest, g| largest.max(g.abs()));
    if largest == T::zero() {
        return Ok(T::zero());
    }
    let relative_norm = gradient
        .iter()
        .map(|&g| (g / largest).powi(2))
        .sum::<T>()
        .sqrt();
    let norm = largest * relative_norm;
    if norm > max_norm {
        let scale = max_norm / relative_norm;
        gradient.iter_mut().for_each(|g| *g = *g / largest * scale);
    }
    Ok(norm)
}

pub(crate) fn check_positive<T: Float>(name: &'static str, value: T) -> Result<()> {
    let holds = value > T::zero() && value.is_finite();
    check_hyper(
        name,
        value.to_f64().unwrap_or(f64::NAN),
        holds,
        "must be positive and finite",
    )
}

pub(crate) fn check_rate<T: Float>(learning_rate: T) -> Result<()> {
    check_positive("learning rate", learning_rate)
}

pub(crate) fn check_decay<T: Float>(weight_decay: T) -> Result<()> {
    let holds = weight_decay >= T::zero() && weight_decay.is_finite();
    let value = weight_decay.to_f64().unwrap_or(f64::NAN);
    check_hyper(
        "weight decay",
        value,
        holds,
        "must be at least 0 and finite",
    )
}

pub(crate) fn check_fraction<T: Float>(name: &'static str, value: T) -> Result<()> {
    let holds = value >= T::zero() && value < T::one();
    check_hyper(
        name,
        value.to_f64().unwrap_or(f64::NAN),
        holds,
        "must be at least 0 and below 1",
    )
}

/// Whether the gradient fits the parameters, and both the state, if there is one yet.
pub(crate) fn check_gradient<T: Float, S>(
    parameters: &[T],
    gradient: &[T],
    state: &[S],
) -> Result<()> {
    check_shape("gradients", &[gradient.len()], &[parameters.len()])?;
    if !state.is_empty() {
        check_shape("parameters", &[parameters.len()], &[state.len()])?;
    }
    check_finite("gradients", gradient)
}
