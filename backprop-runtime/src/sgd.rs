//! Stochastic gradient descent: a step along the gradient, or along its running sum.

use crate::error::Result;
use crate::float::Float;
use crate::optimizer::{Optimizer, check_decay, check_fraction, check_gradient, check_rate};

/// Stochastic gradient descent, with momentum and Nesterov's variant of it.
///
/// With velocity `v = momentum v + g`, the step is `-learning_rate v`, or `-learning_rate (g + momentum v)` with Nesterov.
#[derive(Clone, Debug)]
pub struct Sgd<T> {
    learning_rate: T,
    momentum: T,
    nesterov: bool,
    weight_decay: T,
    velocity: Vec<T>,
}

impl<T: Float> Sgd<T> {
    /// Plain gradient descent.
    pub fn new(learning_rate: T) -> Self {
        Self {
            learning_rate,
            momentum: T::zero(),
            nesterov: false,
            weight_decay: T::zero(),
            velocity: Vec::new(),
        }
    }

    /// With momentum, from 0 to below 1.
    #[must_use]
    pub fn momentum(self, momentum: T) -> Self {
        Self { momentum, ..self }
    }

    /// With Nesterov's momentum, from 0 to below 1.
    #[must_use]
    pub fn nesterov(self, momentum: T) -> Self {
        Self {
            momentum,
            nesterov: true,
            ..self
        }
    }

    /// Adds `weight_decay` times the parameters to the gradient.
    #[must_use]
    pub fn weight_decay(self, weight_decay: T) -> Self {
        Self {
            weight_decay,
            ..self
        }
    }
}

impl<T: Float> Optimizer<T> for Sgd<T> {
    fn step(&mut self, parameters: &mut [T], gradient: &[T]) -> Result<()> {
        check_rate(self.learning_rate)?;
        check_fraction("momentum", self.momentum)?;
        check_decay(self.weight_decay)?;
        check_gradient(parameters, gradient, &self.velocity)?;
        let decayed = |p: T, g: T| g + self.weight_decay * p;
        if self.momentum == T::zero() {
            // No velocity to keep.
            for (p, &g) in parameters.iter_mut().zip(gradient) {
                *p -= self.learning_rate * decayed(*p, g);
            }
            return Ok(());
        }
        self.velocity.resize(parameters.len(), T::zero());
        for ((p, &g), v) in parameters.iter_mut().zip(gradient).zip(&mut self.velocity) {
            let g = decayed(*p, g);
            *v = self.momentum * *v + g;
            let direction = if self.nesterov {
                g + self.momentum * *v
            } else {
                *v
            };
            *p -= self.learning_rate * direction;
        }
        Ok(())
    }

    fn set_learning_rate(&mut self, learning_rate: T) {
        self.learning_rate = learning_rate;
    }
}
