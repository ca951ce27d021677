//! The multi-layer perceptron: a batch in; outputs, or a loss and its gradient, out.
//!
//! An [`Mlp`] is a stack of [`Dense`] layers and one flat vector of parameters, layer after layer, which is
//! what optimizers move. Passes over a batch write into a [`Workspace`], made once and reused.

use std::ops::Range;

use ndarray::{Array2, ArrayRef2, ArrayView1};

use crate::builder::{MlpBuilder, chain};
use crate::dense::{Dense, DenseView};
use crate::error::{Error, Place, Result, check_finite, check_finite_matrix, check_shape};
use crate::float::{Float, constant};
use crate::loss::Loss;
use crate::workspace::Workspace;

/// A network of dense layers, each fed by the one before.
///
/// ```
/// use backprop_runtime::{Activation, Loss, Mlp, Optimizer, Sgd, Workspace};
/// use ndarray::array;
///
/// let mut network = Mlp::<f64>::builder(2).dense(8, Activation::Tanh).dense(1, Activation::Identity).seed(1).build()?;
/// assert_eq!(network.parameter_count(), 2 * 8 + 8 + 8 + 1);
///
/// let (x, y) = (array![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], array![[0.0], [1.0], [1.0], [0.0]]);
/// let mut workspace = Workspace::default();
/// let mut sgd = Sgd::new(0.1).momentum(0.9);
/// for _ in 0..1000 {
///     network.loss_and_gradients(&x, &y, Loss::BinaryCrossEntropy, &mut workspace)?;
///     sgd.step(network.parameters_mut(), workspace.gradient())?;
/// }
/// assert_eq!(network.predict(&x)?, [0, 1, 1, 0]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp<T> {
    layers: Vec<Dense>,
    /// Where the parameters of each layer are.
    ranges: Vec<Range<usize>>,
    parameters: Vec<T>,
}

impl<T: Float> Mlp<T> {
    /// A network of layers still to be added, for samples of `inputs` features.
    pub fn builder(inputs: usize) -> MlpBuilder<T> {
        MlpBuilder::new(inputs)
    }

    /// A network with these parameters: those of the first layer, then those of the second, and so on.
    ///
    /// # Errors
    ///
    /// If there are no layers, a layer has no inputs or outputs, or other inputs than the layer before has outputs,
    /// or there are too few or too many parameters, or one that is not finite.
    pub fn new(layers: Vec<Dense>, parameters: Vec<T>) -> Result<Self> {
        let inputs = layers.first().map_or(0, Dense::inputs);
        let ranges = chain(inputs, &layers)?;
        let count = ranges.last().map_or(0, |range| range.end);
        check_shape("parameters", &[parameters.len()], &[count])?;
        check_finite("parameters", &parameters)?;
        Ok(Self {
            layers,
            ranges,
            parameters,
        })
    }

    /// The layers, from input to output.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// The number of parameters of all layers.
    pub fn parameter_count(&self) -> usize {
        self.parameters.len()
    }

    /// The parameters of all layers, in the order of [`new`](Self::new).
    pub fn parameters(&self) -> &[T] {
        &self.parameters
    }

    /// The parameters of all layers, to be changed.
    pub fn parameters_mut(&mut self) -> &mut [T] {
        &mut self.parameters
    }

    /// Weights and bias of every layer, in `flat`: in [`parameters`](Self::parameters), or in a gradient with respect to them.
    ///
    /// # Errors
    ///
    /// If `flat` has another length than the parameters.
    pub fn views<'a>(&self, flat: &'a [T]) -> Result<Vec<DenseView<'a, T>>> {
        check_shape("parameters", &[flat.len()], &[self.parameters.len()])?;
        let layers = self.layers.iter().zip(&self.ranges);
        layers
            .map(|(layer, range)| layer.views(&flat[range.clone()]))
            .collect()
    }

    /// The outputs for a batch: `inputs` has shape samples × features, the result samples × outputs.
    ///
    /// # Errors
    ///
    /// If the shape of `inputs` does not match, or they are empty or not finite.
    pub fn forward(&self, inputs: &ArrayRef2<T>) -> Result<Array2<T>> {
        self.check_inputs(inputs)?;
        let mut outputs = self.layers[0].apply(self.of_layer(0), inputs)?;
        for (index, layer) in self.layers.iter().enumerate().skip(1) {
            outputs = layer.apply(self.of_layer(index), &outputs)?;
        }
        Ok(outputs)
    }

    /// The class of every sample: the position of its largest output, the first of equals. A single output is
    /// the logit of class 1, so its class is 1 if it is positive and 0 otherwise.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward), and if an output is not finite.
    pub fn predict(&self, inputs: &ArrayRef2<T>) -> Result<Vec<usize>> {
        let outputs = self.forward(inputs)?;
        check_finite_matrix("outputs", &outputs)?;
        Ok(outputs
            .rows()
            .into_iter()
            .map(|row| class(row, T::zero()))
            .collect())
    }

    /// The fraction of samples whose predicted class is that of their targets.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict), and if the shape of `targets` does not match.
    pub fn accuracy(&self, inputs: &ArrayRef2<T>, targets: &ArrayRef2<T>) -> Result<f64> {
        self.check_batch(inputs, targets)?;
        let predicted = self.predict(inputs)?;
        let labels = targets
            .rows()
            .into_iter()
            .map(|row| class(row, constant(0.5)));
        let correct = labels
            .zip(&predicted)
            .filter(|(label, predicted)| label == *predicted)
            .count();
        Ok(correct as f64 / predicted.len() as f64)
    }

    /// The loss of a batch.
    ///
    /// # Errors
    ///
    /// As [`loss_and_gradients`](Self::loss_and_gradients).
    pub fn loss(&self, inputs: &ArrayRef2<T>, targets: &ArrayRef2<T>, loss: Loss) -> Result<T> {
        self.check_batch(inputs, targets)?;
        loss.value(&self.forward(inputs)?, targets)
    }

    /// The loss of a batch, and its gradient with respect to the parameters, which is then
    /// [`workspace.gradient()`](Workspace::gradient).
    ///
    /// # Errors
    ///
    /// If a shape does not match, the batch is empty or not finite, a target is outside of the domain of the loss,
    /// or the loss is not finite. The workspace then holds the gradient of the previous batch.
    pub fn loss_and_gradients(
        &self,
        inputs: &ArrayRef2<T>,
        targets: &ArrayRef2<T>,
        loss: Loss,
        workspace: &mut Workspace<T>,
    ) -> Result<T> {
        self.check_batch(inputs, targets)?;
        let samples = inputs.nrows();
        workspace.fit(&self.layers, samples);
        let Workspace { buffers, gradient } = workspace;

        for (index, layer) in self.layers.iter().enumerate() {
            let (before, this) = buffers.split_at_mut(index);
            let x = before
                .last()
                .map_or(inputs.view(), |before| before.outputs(samples));
            let this = this[0].rows(samples);
            let (mut outputs, mut residuals) = (this.outputs, this.residuals);
            layer.forward(self.of_layer(index), &x, &mut outputs, &mut residuals)?;
        }

        let mut last = buffers[self.layers.len() - 1].rows(samples);
        let value = loss.value_and_gradient_into(&last.outputs, targets, &mut last.upstream)?;

        gradient.resize(self.parameters.len(), T::zero());
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let (before, this) = buffers.split_at_mut(index);
            let mut this = this[0].rows(samples);
            let before = before.last_mut();
            let before = before.map(|before| before.outputs_and_upstream(samples));
            let (x, mut d_x) = match before {
                Some((outputs, upstream)) => (outputs, Some(upstream)),
                None => (inputs.view(), None),
            };
            layer.backward(
                self.of_layer(index),
                &x,
                &this.residuals,
                &mut this.upstream,
                &mut gradient[self.ranges[index].clone()],
                d_x.as_deref_mut(),
            )?;
        }
        Ok(value)
    }

    /// The parameters of a layer that exists.
    fn of_layer(&self, index: usize) -> &[T] {
        &self.parameters[self.ranges[index].clone()]
    }

    fn check_inputs(&self, inputs: &ArrayRef2<T>) -> Result<()> {
        let expected = [inputs.nrows(), self.layers[0].inputs()];
        check_shape("inputs", inputs.shape(), &expected)
            .map_err(|error| error.at(Place::Layer(1)))?;
        if inputs.is_empty() {
            return Err(Error::Empty { what: "inputs" });
        }
        check_finite_matrix("inputs", inputs)
    }

    /// Whether inputs and targets have the shapes of a batch, and the inputs are numbers.
    pub(crate) fn check_batch(&self, inputs: &ArrayRef2<T>, targets: &ArrayRef2<T>) -> Result<()> {
        self.check_inputs(inputs)?;
        let outputs = self.layers[self.layers.len() - 1].outputs();
        check_shape("targets", targets.shape(), &[inputs.nrows(), outputs])
    }
}

/// The class that a row of outputs stands for: the first of its largest, or whether its only one is above `threshold`.
fn class<T: Float>(row: ArrayView1<'_, T>, threshold: T) -> usize {
    if row.len() == 1 {
        return usize::from(row[0] > threshold);
    }
    let mut best = 0;
    for (index, &output) in row.iter().enumerate() {
        if output > row[best] {
            best = index;
        }
    }
    best
}
