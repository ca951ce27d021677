//! Losses: of one sample by definition, of a whole batch through [`Loss`].
//!
//! Each is a plain generic function of one sample's outputs and targets under `#[backprop]`, summed
//! over the outputs; no derivative is written here. [`Loss`] checks shapes and domains, runs over the
//! rows of a batch and averages. Cross-entropies take logits, never probabilities, and do not overflow.
#![allow(
    clippy::needless_range_loop,
    reason = "a loss is written as its formula, with indices"
)]

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use backprop_macro::backprop;
use ndarray::{ArrayRef2, ArrayView1};

use crate::error::{Error, Result, by_name, check_finite_matrix, check_shape};
use crate::float::{Float, count};

/// The sum of squares `Σ (pᵢ - tᵢ)²` of one sample's errors.
///
/// ```
/// use backprop_runtime::loss::squared_error;
///
/// let mut upstream = [0.0; 2];
/// let value = squared_error::value_and_gradient_into(&[1.0, 4.0], &[0.0, 2.0], &mut upstream);
/// assert_eq!((value, upstream), (5.0, [2.0, 4.0]));
/// ```
///
/// # Panics
///
/// If `target` is shorter than `prediction`.
#[backprop(wrt(prediction))]
pub fn squared_error<T: Float>(prediction: &[T], target: &[T]) -> T {
    let mut total = T::zero();
    for i in 0..prediction.len() {
        let error = prediction[i] - target[i];
        total += error * error;
    }
    total
}

/// The binary cross-entropy `Σ -tᵢ ln σ(zᵢ) - (1 - tᵢ) ln(1 - σ(zᵢ))` of one sample's independent
/// yes-or-no outputs, from the logits `z`.
///
/// # Panics
///
/// If `target` is shorter than `logits`.
#[backprop(wrt(logits))]
pub fn binary_cross_entropy<T: Float>(logits: &[T], target: &[T]) -> T {
    let mut total = T::zero();
    for i in 0..logits.len() {
        let z = logits[i];
        // softplus(z) - t z
        total += z.max(T::zero()) - z * target[i] + (-z.abs()).exp().ln_1p();
    }
    total
}

/// The cross-entropy `-Σ tᵢ ln softmax(z)ᵢ` of one sample's choice among classes, from the logits `z`.
///
/// # Panics
///
/// If `logits` is empty, or `target` shorter.
#[backprop(wrt(logits))]
pub fn softmax_cross_entropy<T: Float>(logits: &[T], target: &[T]) -> T {
    let mut largest = logits[0];
    for i in 1..logits.len() {
        if logits[i] > largest {
            largest = logits[i];
        }
    }
    let mut sum = T::zero();
    for i in 0..logits.len() {
        sum += (logits[i] - largest).exp();
    }
    let log_sum = sum.ln();
    let mut total = T::zero();
    for i in 0..logits.len() {
        total += target[i] * (log_sum - (logits[i] - largest));
    }
    total
}

/// The loss of a batch: what training minimises.
///
/// Outputs and targets are matrices with one sample per row, targets of classes are one-hot rows
/// (see [`one_hot`](crate::data::one_hot)).
///
/// ```
/// use backprop_runtime::Loss;
/// use ndarray::{Array2, array};
///
/// let (outputs, targets) = (array![[1.0, 4.0]], array![[0.0, 2.0]]);
/// let mut upstream = Array2::zeros((1, 2));
/// let loss = Loss::MeanSquaredError.value_and_gradient_into(&outputs, &targets, &mut upstream)?;
/// assert_eq!(loss, 2.5);
/// assert_eq!(upstream, array![[1.0, 2.0]]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// [`squared_error`](fn@squared_error), averaged over samples and outputs.
    MeanSquaredError,
    /// [`squared_error`](fn@squared_error), summed over samples and outputs.
    SumSquaredError,
    /// [`binary_cross_entropy`](fn@binary_cross_entropy), averaged over samples and outputs.
    BinaryCrossEntropy,
    /// [`softmax_cross_entropy`](fn@softmax_cross_entropy), averaged over samples.
    SoftmaxCrossEntropy,
}

impl Loss {
    /// Every loss.
    pub const ALL: &[Self] = &[
        Self::MeanSquaredError,
        Self::SumSquaredError,
        Self::BinaryCrossEntropy,
        Self::SoftmaxCrossEntropy,
    ];

    /// The name that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MeanSquaredError => "mean_squared_error",
            Self::SumSquaredError => "sum_squared_error",
            Self::BinaryCrossEntropy => "binary_cross_entropy",
            Self::SoftmaxCrossEntropy => "softmax_cross_entropy",
        }
    }

    /// The loss of a batch of `outputs` against `targets`, both of shape samples × outputs.
    ///
    /// # Errors
    ///
    /// If the shapes differ or are empty, a target is not finite or outside of the loss's domain,
    /// or the loss is not finite.
    pub fn value<T: Float>(self, outputs: &ArrayRef2<T>, targets: &ArrayRef2<T>) -> Result<T> {
        self.check(outputs, targets)?;
        let of_sample = match self {
            Self::MeanSquaredError | Self::SumSquaredError => squared_error,
            Self::BinaryCrossEntropy => binary_cross_entropy,
            Self::SoftmaxCrossEntropy => softmax_cross_entropy,
        };
        let rows = outputs.rows().into_iter().zip(targets.rows());
        let total: T = rows
            .map(|(output, target)| of_sample(&contiguous(output), &contiguous(target)))
            .sum();
        finite(total * self.weight(outputs.dim()))
    }

    /// The loss of a batch, and its gradient with respect to the outputs, which overwrites `gradient`.
    ///
    /// # Errors
    ///
    /// As [`value`](Self::value), and if `gradient` has another shape than `outputs`. `gradient` is then
    /// unchanged, except that it is zero after a loss that is not finite.
    pub fn value_and_gradient_into<T: Float>(
        self,
        outputs: &ArrayRef2<T>,
        targets: &ArrayRef2<T>,
        gradient: &mut ArrayRef2<T>,
    ) -> Result<T> {
        self.check(outputs, targets)?;
        check_shape("gradients", gradient.shape(), outputs.shape())?;
        let accumulate = match self {
            Self::MeanSquaredError | Self::SumSquaredError => squared_error::accumulate,
            Self::BinaryCrossEntropy => binary_cross_entropy::accumulate,
            Self::SoftmaxCrossEntropy => softmax_cross_entropy::accumulate,
        };
        // The loss is a weighted sum over the samples: the weight is the upstream gradient of each.
        let weight = self.weight(outputs.dim());
        let mut total = T::zero();
        let mut row_gradient = vec![T::zero(); outputs.ncols()];
        for ((output, target), mut gradient) in outputs
            .rows()
            .into_iter()
            .zip(targets.rows())
            .zip(gradient.rows_mut())
        {
            row_gradient.fill(T::zero());
            total += accumulate(
                &contiguous(output),
                &contiguous(target),
                weight,
                &mut row_gradient,
            );
            gradient.assign(&ArrayView1::from(&row_gradient));
        }
        let loss = finite(total * weight);
        if loss.is_err() {
            gradient.fill(T::zero());
        }
        loss
    }

    /// What one sample's loss, summed over its outputs, counts in the loss of a batch of this shape.
    pub(crate) fn weight<T: Float>(self, (samples, outputs): (usize, usize)) -> T {
        match self {
            Self::MeanSquaredError | Self::BinaryCrossEntropy => {
                count::<T>(samples * outputs).recip()
            }
            Self::SumSquaredError => T::one(),
            Self::SoftmaxCrossEntropy => count::<T>(samples).recip(),
        }
    }

    /// Everything that can be wrong before the loss is computed.
    fn check<T: Float>(self, outputs: &ArrayRef2<T>, targets: &ArrayRef2<T>) -> Result<()> {
        check_shape("targets", targets.shape(), outputs.shape())?;
        if outputs.is_empty() {
            return Err(Error::Empty { what: "outputs" });
        }
        self.check_targets(targets)
    }

    /// Whether the targets are in the domain of the loss.
    pub(crate) fn check_targets<T: Float>(self, targets: &ArrayRef2<T>) -> Result<()> {
        check_finite_matrix("targets", targets)?;
        if matches!(self, Self::MeanSquaredError | Self::SumSquaredError) {
            return Ok(());
        }
        let is_probability = |t: T| t >= T::zero() && t <= T::one();
        match targets.indexed_iter().find(|&(_, &t)| !is_probability(t)) {
            None => Ok(()),
            Some(((row, column), value)) => Err(Error::Target {
                row,
                column,
                value: value.to_f64().unwrap_or(f64::NAN),
                requirement: "must be a probability, between 0 and 1",
            }),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        by_name("loss", Self::ALL, Self::name, name)
    }
}

/// The row as a slice, copied only if its elements are strided in memory.
fn contiguous<'a, T: Float>(row: ArrayView1<'a, T>) -> Cow<'a, [T]> {
    match row.to_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(row.to_vec()),
    }
}

/// `loss`, if it is finite.
fn finite<T: Float>(loss: T) -> Result<T> {
    if loss.is_finite() {
        return Ok(loss);
    }
    let loss = loss.to_f64().unwrap_or(f64::NAN);
    Err(Error::NonFiniteLoss { loss })
}
