//! The dense layer: `y = activation(x W + b)`.
//!
//! [`Dense`] is only the description of a layer. Its parameters live in a slice that the caller owns,
//! the weights row by row and then the bias, so that a network is one vector to an optimizer. Inputs
//! and outputs have one sample per row. No derivative is written here: the linear maps are functions of tensors
//! under `#[backprop]`, as the activations are functions of floats.

use backprop_macro::backprop;
use ndarray::{Array2, ArrayRef2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

use crate::activation::Activation;
use crate::error::{Result, check_hyper, check_shape};
use crate::float::Float;
use crate::init::{Generator, Init};
use crate::kernel::product;

/// `x W`, differentiated with respect to `W`.
#[backprop(wrt(weights))]
fn weighted<T: Float>(x: &ArrayRef2<T>, weights: ArrayView2<T>) -> Array2<T> {
    x.dot(&weights)
}

/// `x W`, differentiated with respect to `x`: the first layer has no use for it.
#[backprop(wrt(x))]
fn weighted_inputs<T: Float>(x: &ArrayRef2<T>, weights: ArrayView2<T>) -> Array2<T> {
    x.dot(&weights)
}

/// `z + b`, differentiated with respect to `b`.
#[backprop(wrt(bias))]
fn shifted<T: Float>(z: ArrayView2<T>, bias: ArrayView1<T>) -> Array2<T> {
    &z + &bias
}

/// A dense layer of `inputs` × `outputs` weights, by default with a bias.
///
/// ```
/// use backprop_runtime::{Activation, Dense};
/// use ndarray::array;
///
/// let layer = Dense::new(2, 1, Activation::Relu);
/// let parameters = [3.0, 4.0, 0.5]; // two weights and a bias
/// let y = layer.apply(&parameters, &array![[1.0, 2.0], [-1.0, -2.0]])?;
/// assert_eq!(y, array![[11.5], [0.0]]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dense {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    bias: bool,
}

/// The weights, inputs × outputs, and the bias of a layer, as views of its parameters or of their gradient.
pub type DenseView<'a, T> = (ArrayView2<'a, T>, Option<ArrayView1<'a, T>>);

impl Dense {
    /// A layer with a bias.
    pub const fn new(inputs: usize, outputs: usize, activation: Activation) -> Self {
        Self {
            inputs,
            outputs,
            activation,
            bias: true,
        }
    }

    /// The same layer without a bias.
    #[must_use]
    pub const fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// The number of inputs, the columns of `x`.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs, the columns of `y`.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// The activation.
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// The number of parameters: of weights and, if there is one, of the bias.
    pub const fn parameter_count(&self) -> usize {
        let bias = if self.bias { self.outputs } else { 0 };
        self.inputs
            .saturating_mul(self.outputs)
            .saturating_add(bias)
    }

    /// Overwrites `parameters` with random weights and a zero bias.
    ///
    /// # Errors
    ///
    /// If `parameters` has another length than [`parameter_count`](Self::parameter_count).
    pub fn initialize<T: Float>(
        &self,
        parameters: &mut [T],
        init: Init,
        generator: &mut Generator,
    ) -> Result<()> {
        self.check_parameters(parameters)?;
        let (weights, bias) = parameters.split_at_mut(self.inputs * self.outputs);
        init.fill(weights, self.inputs, self.outputs, generator);
        bias.fill(T::zero());
        Ok(())
    }

    /// Views of weights and bias in `parameters`, or in a gradient with respect to them.
    ///
    /// # Errors
    ///
    /// If `parameters` has another length than [`parameter_count`](Self::parameter_count).
    pub fn views<'a, T: Float>(&self, parameters: &'a [T]) -> Result<DenseView<'a, T>> {
        self.check_parameters(parameters)?;
        let (weights, bias) = parameters.split_at(self.inputs * self.outputs);
        let weights = ArrayView2::from_shape((self.inputs, self.outputs), weights);
        let weights = weights.expect("the slice was split at the number of weights");
        Ok((weights, self.bias.then(|| bias.into())))
    }

    /// The activations for a batch: `x` has shape samples × inputs, the result samples × outputs.
    ///
    /// # Errors
    ///
    /// If a shape does not match.
    pub fn apply<T: Float>(&self, parameters: &[T], x: &ArrayRef2<T>) -> Result<Array2<T>> {
        self.check_parameters(parameters)?;
        let mut y = Array2::zeros((x.nrows(), self.outputs));
        self.affine(parameters, x, &mut y)?;
        self.activation.apply(&mut y);
        Ok(y)
    }

    /// Overwrites `y` with the activations for a batch, and `residuals`, of the same shape, with what
    /// [`backward`](Self::backward) needs.
    ///
    /// # Errors
    ///
    /// If a shape does not match; nothing is then written.
    pub fn forward<T: Float>(
        &self,
        parameters: &[T],
        x: &ArrayRef2<T>,
        y: &mut ArrayRef2<T>,
        residuals: &mut ArrayRef2<T>,
    ) -> Result<()> {
        check_shape("residuals", residuals.shape(), &[x.nrows(), self.outputs])?;
        self.affine(parameters, x, y)?;
        self.activation.forward(y, residuals)
    }

    /// Backward pass: overwrites `gradient` with the gradient with respect to the parameters and, if given,
    /// `d_x` with that with respect to `x`. `upstream`, the gradient with respect to `y`, is consumed:
    /// it becomes the one with respect to the pre-activations.
    ///
    /// ```
    /// use backprop_runtime::{Activation, Dense};
    /// use ndarray::{Array2, array};
    ///
    /// let layer = Dense::new(2, 1, Activation::Identity);
    /// let (parameters, x) = ([3.0, 4.0, 0.5], array![[1.0, 2.0]]);
    /// let (mut y, mut residuals) = (Array2::zeros((1, 1)), Array2::zeros((1, 1)));
    /// layer.forward(&parameters, &x, &mut y, &mut residuals)?;
    ///
    /// let (mut gradient, mut d_x) = ([0.0; 3], Array2::zeros((1, 2)));
    /// layer.backward(&parameters, &x, &residuals, &mut array![[1.0]], &mut gradient, Some(&mut d_x))?;
    /// assert_eq!(gradient, [1.0, 2.0, 1.0]);
    /// assert_eq!(d_x, array![[3.0, 4.0]]);
    /// # Ok::<(), backprop_runtime::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a shape does not match; nothing is then written.
    pub fn backward<T: Float>(
        &self,
        parameters: &[T],
        x: &ArrayRef2<T>,
        residuals: &ArrayRef2<T>,
        upstream: &mut ArrayRef2<T>,
        gradient: &mut [T],
        d_x: Option<&mut ArrayRef2<T>>,
    ) -> Result<()> {
        let (weights, _) = self.views(parameters)?;
        let samples = x.nrows();
        check_shape("inputs", x.shape(), &[samples, self.inputs])?;
        check_shape("residuals", residuals.shape(), &[samples, self.outputs])?;
        check_shape(
            "upstream gradients",
            upstream.shape(),
            &[samples, self.outputs],
        )?;
        check_shape(
            "parameter gradients",
            &[gradient.len()],
            &[self.parameter_count()],
        )?;
        if let Some(d_x) = &d_x {
            check_shape("input gradients", d_x.shape(), x.shape())?;
        }

        Activation::backward(residuals, upstream)?;
        let (d_weights, d_bias) = gradient.split_at_mut(self.inputs * self.outputs);
        let d_weights = ArrayViewMut2::from_shape((self.inputs, self.outputs), d_weights);
        let mut d_weights = d_weights.expect("the slice was split at the number of weights");
        weighted::backward_into(&weighted::residuals(x, weights), upstream, &mut d_weights);
        if self.bias {
            let bias = &parameters[self.inputs * self.outputs..];
            let saved = shifted::residuals(upstream.view(), bias.into());
            shifted::backward_into(&saved, upstream, &mut ArrayViewMut1::from(d_bias));
        }
        if let Some(d_x) = d_x {
            weighted_inputs::backward_into(&weighted_inputs::residuals(x, weights), upstream, d_x);
        }
        Ok(())
    }

    /// Overwrites `y` with the pre-activations `x W + b`.
    fn affine<T: Float>(
        &self,
        parameters: &[T],
        x: &ArrayRef2<T>,
        y: &mut ArrayRef2<T>,
    ) -> Result<()> {
        let (weights, bias) = self.views(parameters)?;
        check_shape("inputs", x.shape(), &[x.nrows(), self.inputs])?;
        check_shape("outputs", y.shape(), &[x.nrows(), self.outputs])?;
        let kept = match bias {
            Some(bias) => {
                y.assign(&bias);
                T::one()
            }
            None => T::zero(),
        };
        product(T::one(), x, &weights, kept, y);
        Ok(())
    }

    /// Whether there is anything to compute.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, width) in [
            ("number of inputs", self.inputs),
            ("number of outputs", self.outputs),
        ] {
            check_hyper(name, width as f64, width > 0, "must be at least 1")?;
        }
        Ok(())
    }

    fn check_parameters<T>(&self, parameters: &[T]) -> Result<()> {
        self.check()?;
        check_shape("parameters", &[parameters.len()], &[self.parameter_count()])
    }
}
