//! The buffers of a forward and backward pass: made for a network and a batch size, and reused.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};

use crate::dense::Dense;
use crate::float::Float;

/// Memory for [`Mlp::loss_and_gradients`](crate::Mlp::loss_and_gradients), and its result.
///
/// It grows to the largest batch that it meets; smaller ones use a part of it, so that a training run
/// makes its matrices in the first step only.
#[derive(Clone, Debug, Default)]
pub struct Workspace<T> {
    pub(crate) buffers: Vec<Buffers<T>>,
    pub(crate) gradient: Vec<T>,
}

/// What one layer leaves behind, each samples × outputs of the layer.
#[derive(Clone, Debug)]
pub(crate) struct Buffers<T> {
    outputs: Array2<T>,
    residuals: Array2<T>,
    upstream: Array2<T>,
}

/// The rows of [`Buffers`] that a batch uses.
pub(crate) struct Rows<'a, T> {
    pub(crate) outputs: ArrayViewMut2<'a, T>,
    pub(crate) residuals: ArrayViewMut2<'a, T>,
    pub(crate) upstream: ArrayViewMut2<'a, T>,
}

impl<T: Float> Workspace<T> {
    /// The gradient of the last batch with respect to the parameters, in their order; empty before the first.
    pub fn gradient(&self) -> &[T] {
        &self.gradient
    }

    /// The gradient of the last batch, to be changed, as by [`clip_by_norm`](crate::optimizer::clip_by_norm).
    pub fn gradient_mut(&mut self) -> &mut [T] {
        &mut self.gradient
    }

    /// Makes room for a batch of this many samples.
    pub(crate) fn fit(&mut self, layers: &[Dense], samples: usize) {
        let fits = |(buffers, layer): (&Buffers<T>, &Dense)| {
            buffers.outputs.nrows() >= samples && buffers.outputs.ncols() == layer.outputs()
        };
        if self.buffers.len() != layers.len() || !self.buffers.iter().zip(layers).all(fits) {
            let buffers = layers
                .iter()
                .map(|layer| Buffers::new(samples, layer.outputs()));
            self.buffers = buffers.collect();
        }
    }
}

impl<T: Float> Buffers<T> {
    fn new(samples: usize, outputs: usize) -> Self {
        let zeros = Array2::zeros((samples, outputs));
        Self {
            outputs: zeros.clone(),
            residuals: zeros.clone(),
            upstream: zeros,
        }
    }

    /// The outputs of the layer for a batch of this many samples.
    pub(crate) fn outputs(&self, samples: usize) -> ArrayView2<'_, T> {
        self.outputs.slice_axis(Axis(0), Slice::from(..samples))
    }

    /// The outputs, and the gradient with respect to them.
    pub(crate) fn outputs_and_upstream(
        &mut self,
        samples: usize,
    ) -> (ArrayView2<'_, T>, ArrayViewMut2<'_, T>) {
        let taken = Slice::from(..samples);
        let outputs = self.outputs.slice_axis(Axis(0), taken);
        (outputs, self.upstream.slice_axis_mut(Axis(0), taken))
    }

    /// The part of each buffer for a batch of this many samples.
    pub(crate) fn rows(&mut self, samples: usize) -> Rows<'_, T> {
        let taken = Slice::from(..samples);
        Rows {
            outputs: self.outputs.slice_axis_mut(Axis(0), taken),
            residuals: self.residuals.slice_axis_mut(Axis(0), taken),
            upstream: self.upstream.slice_axis_mut(Axis(0), taken),
        }
    }
}
