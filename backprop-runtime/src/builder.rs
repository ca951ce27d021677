//! Building a network: layers, a scheme and a seed in; an [`Mlp`] with random weights out.

use std::marker::PhantomData;
use std::ops::Range;

use crate::activation::Activation;
use crate::dense::Dense;
use crate::error::{Error, Place, Result, check_hyper, check_shape};
use crate::float::Float;
use crate::init::{Init, generator};
use crate::mlp::Mlp;

/// An [`Mlp`] in the making; nothing is checked before [`build`](Self::build).
///
/// ```
/// use backprop_runtime::{Activation, Dense, Init, Mlp};
///
/// let network: Mlp<f32> = Mlp::builder(64)
///     .dense(32, Activation::Relu)
///     .layer(Dense::new(32, 10, Activation::Identity).without_bias())
///     .init(Init::HeNormal)
///     .seed(7)
///     .build()?;
/// assert_eq!(network.parameter_count(), 64 * 32 + 32 + 32 * 10);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MlpBuilder<T> {
    inputs: usize,
    layers: Vec<Dense>,
    init: Option<Init>,
    seed: u64,
    scalar: PhantomData<T>,
}

impl<T: Float> MlpBuilder<T> {
    /// A network without layers yet, for samples of `inputs` features.
    pub const fn new(inputs: usize) -> Self {
        Self {
            inputs,
            layers: Vec::new(),
            init: None,
            seed: 0,
            scalar: PhantomData,
        }
    }

    /// Adds a layer with a bias.
    #[must_use]
    pub fn dense(self, outputs: usize, activation: Activation) -> Self {
        let inputs = self.layers.last().map_or(self.inputs, Dense::outputs);
        self.layer(Dense::new(inputs, outputs, activation))
    }

    /// Adds any layer, such as one without a bias.
    #[must_use]
    pub fn layer(mut self, layer: Dense) -> Self {
        self.layers.push(layer);
        self
    }

    /// Draws the weights of every layer by this scheme, instead of the one [suited to](Init::suited_to) its activation.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        let init = Some(init);
        Self { init, ..self }
    }

    /// Seeds the generator of the initial weights; 0 by default.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The network, with random weights and zero biases.
    ///
    /// # Errors
    ///
    /// If there are no layers, a layer has no inputs or outputs, or other inputs than the layer before has outputs,
    /// or the parameters do not fit into memory.
    pub fn build(self) -> Result<Mlp<T>> {
        let ranges = chain(self.inputs, &self.layers)?;
        let count = ranges.last().map_or(0, |range| range.end);
        let mut parameters = Vec::new();
        let fits = parameters.try_reserve_exact(count).is_ok();
        check_hyper(
            "number of parameters",
            count as f64,
            fits,
            "must fit into memory",
        )?;
        parameters.resize(count, T::zero());

        let mut generator = generator(self.seed);
        for (layer, range) in self.layers.iter().zip(ranges) {
            let init = self.init.unwrap_or(Init::suited_to(layer.activation()));
            layer.initialize(&mut parameters[range], init, &mut generator)?;
        }
        Mlp::new(self.layers, parameters)
    }
}

/// Where the parameters of each layer are in the flat vector, if each takes as many inputs as the one before
/// gives outputs, and the first takes `inputs`.
pub(crate) fn chain(inputs: usize, layers: &[Dense]) -> Result<Vec<Range<usize>>> {
    if layers.is_empty() {
        return Err(Error::Empty { what: "layers" });
    }
    let mut ranges = Vec::with_capacity(layers.len());
    let (mut width, mut end) = (inputs, 0_usize);
    for (index, layer) in layers.iter().enumerate() {
        let in_layer = |error: Error| error.at(Place::Layer(index + 1));
        check_shape("inputs", &[layer.inputs()], &[width]).map_err(in_layer)?;
        layer.check().map_err(in_layer)?;
        let start = end;
        end = end.saturating_add(layer.parameter_count());
        ranges.push(start..end);
        width = layer.outputs();
    }
    Ok(ranges)
}
