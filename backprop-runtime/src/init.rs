//! Initial weights: a scheme, a layer's fan-in and fan-out, and a generator in; numbers out.
//!
//! Random numbers come from [`Generator`], whose stream for a seed is the same on every platform.
//! They are drawn in `f64` and rounded, so a seed starts an `f32` network where it starts an `f64` one.

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

use crate::activation::Activation;
use crate::float::{Float, constant};

/// The generator of every random choice in this crate.
pub type Generator = ChaCha8Rng;

/// The generator that starts from `seed`.
pub fn generator(seed: u64) -> Generator {
    Generator::seed_from_u64(seed)
}

/// How the weights of a layer are drawn; biases start at zero.
///
/// ```
/// use backprop_runtime::init::{Init, generator};
///
/// let mut weights = [0.0_f32; 6];
/// Init::XavierUniform.fill(&mut weights, 2, 3, &mut generator(1));
/// let bound = (6.0_f32 / (2.0 + 3.0)).sqrt();
/// assert!(weights.iter().all(|w| w.abs() <= bound));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Init {
    /// Uniform with variance `2 / (inputs + outputs)` (Glorot and Bengio, 2010).
    XavierUniform,
    /// Normal with variance `2 / (inputs + outputs)`.
    XavierNormal,
    /// Uniform with variance `2 / inputs` (He et al., 2015).
    HeUniform,
    /// Normal with variance `2 / inputs`.
    HeNormal,
    /// Normal with variance 1.
    StandardNormal,
}

impl Init {
    /// The scheme made for an activation: He for rectifiers, which pass half of their input, Xavier for the others.
    pub const fn suited_to(activation: Activation) -> Self {
        if activation.is_rectifier() {
            Self::HeUniform
        } else {
            Self::XavierUniform
        }
    }

    /// The standard deviation of the weights of a layer of this size.
    pub fn standard_deviation(self, inputs: usize, outputs: usize) -> f64 {
        match self {
            Self::XavierUniform | Self::XavierNormal => {
                (2.0 / (inputs as f64 + outputs as f64)).sqrt()
            }
            Self::HeUniform | Self::HeNormal => (2.0 / inputs as f64).sqrt(),
            Self::StandardNormal => 1.0,
        }
    }

    /// Overwrites `weights` with random weights for a layer of `inputs` × `outputs`.
    pub fn fill<T: Float>(
        self,
        weights: &mut [T],
        inputs: usize,
        outputs: usize,
        generator: &mut Generator,
    ) {
        let deviation = self.standard_deviation(inputs, outputs);
        let draw: fn(&mut Generator) -> f64 = match self {
            Self::XavierUniform | Self::HeUniform => standard_uniform,
            Self::XavierNormal | Self::HeNormal | Self::StandardNormal => {
                |generator| StandardNormal.sample(generator)
            }
        };
        for weight in weights {
            *weight = constant(deviation * draw(generator));
        }
    }
}

/// A matrix of independent draws from the normal distribution with mean 0 and variance 1, row by row.
pub fn standard_normal<T: Float>(shape: (usize, usize), generator: &mut Generator) -> Array2<T> {
    let mut matrix = Array2::zeros(shape);
    matrix.map_inplace(|value| *value = constant(StandardNormal.sample(generator)));
    matrix
}

/// A draw from the uniform distribution with mean 0 and variance 1, between ±√3.
fn standard_uniform(generator: &mut Generator) -> f64 {
    let unit: f64 = StandardUniform.sample(generator);
    (2.0 * unit - 1.0) * 3.0_f64.sqrt()
}
