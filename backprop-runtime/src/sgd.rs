//! Stochastic gradient descent: a step along the gradient, or along its running sum.

use crate::error::Result;
use crate::float::Float;
use crate::kernel::map_slices;
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
        let (rate, momentum, decay) = (self.learning_rate, self.momentum, self.weight_decay);
        if momentum == T::zero() {
            // No velocity to keep.
            let [] = map_slices(
                [gradient],
                [parameters],
                #[inline(always)]
                |[g], [p]| ([p - rate * (g + decay * p)], []),
            );
            return Ok(());
        }
        self.velocity.resize(parameters.len(), T::zero());
        let nesterov = self.nesterov;
        let [] = map_slices(
            [gradient],
            [parameters, &mut self.velocity],
            #[inline(always)]
            |[g], [p, v]| {
                let g = g + decay * p;
                let v = momentum * v + g;
                let ahead = g + momentum * v;
                let direction = if nesterov { ahead } else { v };
                ([p - rate * direction, v], [])
            },
        );
        Ok(())
    }

    fn set_learning_rate(&mut self, learning_rate: T) {
        self.learning_rate = learning_rate;
    }
}
