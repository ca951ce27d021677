//! Adam and AdamW: a step scaled, parameter by parameter, by the size of recent gradients.

use crate::error::Result;
use crate::float::{Float, constant};
use crate::kernel::map_slices;
use crate::optimizer::{
    Optimizer, check_decay, check_fraction, check_gradient, check_positive, check_rate,
};

/// Adam (Kingma and Ba, 2015), and AdamW, which decays weights apart from the gradient.
///
/// With the moments `m = β₁ m + (1 - β₁) g` and `v = β₂ v + (1 - β₂) g²`, corrected for their start at zero,
/// the step is `-learning_rate m / (√v + ε)`.
#[derive(Clone, Debug)]
pub struct Adam<T> {
    learning_rate: T,
    betas: (T, T),
    epsilon: T,
    weight_decay: T,
    decoupled: bool,
    moments: (Vec<T>, Vec<T>),
    beta_powers: (T, T),
}

impl<T: Float> Adam<T> {
    /// Adam with `β₁ = 0.9`, `β₂ = 0.999` and `ε = 1e-8`.
    pub fn new(learning_rate: T) -> Self {
        Self {
            learning_rate,
            betas: (constant(0.9), constant(0.999)),
            epsilon: constant(1e-8),
            weight_decay: T::zero(),
            decoupled: false,
            moments: (Vec::new(), Vec::new()),
            beta_powers: (T::one(), T::one()),
        }
    }

    /// AdamW (Loshchilov and Hutter, 2019): each step first shrinks the parameters by `learning_rate × weight_decay`.
    pub fn adamw(learning_rate: T, weight_decay: T) -> Self {
        Self {
            decoupled: true,
            weight_decay,
            ..Self::new(learning_rate)
        }
    }

    /// With other decay rates of the moments, each from 0 to below 1.
    #[must_use]
    pub fn betas(self, first: T, second: T) -> Self {
        Self {
            betas: (first, second),
            ..self
        }
    }

    /// With another `ε`, which is positive.
    #[must_use]
    pub fn epsilon(self, epsilon: T) -> Self {
        Self { epsilon, ..self }
    }

    /// With weight decay: by the gradient in Adam, apart from it in AdamW.
    #[must_use]
    pub fn weight_decay(self, weight_decay: T) -> Self {
        Self {
            weight_decay,
            ..self
        }
    }
}

impl<T: Float> Optimizer<T> for Adam<T> {
    fn step(&mut self, parameters: &mut [T], gradient: &[T]) -> Result<()> {
        let (beta1, beta2) = self.betas;
        check_rate(self.learning_rate)?;
        check_fraction("first beta", beta1)?;
        check_fraction("second beta", beta2)?;
        check_positive("epsilon", self.epsilon)?;
        check_decay(self.weight_decay)?;
        check_gradient(parameters, gradient, &self.moments.0)?;
        self.moments.0.resize(parameters.len(), T::zero());
        self.moments.1.resize(parameters.len(), T::zero());
        self.beta_powers.0 *= beta1;
        self.beta_powers.1 *= beta2;

        let one = T::one();
        let step_size = self.learning_rate / (one - self.beta_powers.0);
        let root_correction = (one - self.beta_powers.1).sqrt();
        let (shrink, pull) = match self.decoupled {
            true => (one - self.learning_rate * self.weight_decay, T::zero()),
            false => (one, self.weight_decay),
        };
        let (rate1, rate2) = (one - beta1, one - beta2);
        let (epsilon, (first, second)) = (self.epsilon, &mut self.moments);
        let [] = map_slices(
            [gradient],
            [parameters, first, second],
            #[inline(always)]
            |[g], [p, m, v]| {
                let g = g + pull * p;
                let m = beta1 * m + rate1 * g;
                let v = beta2 * v + rate2 * g * g;
                let p = shrink * p - step_size * m / (v.sqrt() / root_correction + epsilon);
                ([p, m, v], [])
            },
        );
        Ok(())
    }

    fn set_learning_rate(&mut self, learning_rate: T) {
        self.learning_rate = learning_rate;
    }
}
