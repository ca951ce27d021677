//! The lecture's step by this crate's own means: forward lines under `#[backprop]`, and layers.

use backprop::{Activation, Dense, Float, Loss, Mlp, Optimizer, Sgd, Workspace, backprop};
use ndarray::Array2;

use super::two;
use crate::case::{Case, Data};

/// The lecture's forward lines.
#[backprop(wrt(w1, w2))]
fn network<T: Float>(w1: &Array2<T>, w2: &Array2<T>, x: &Array2<T>, y: &Array2<T>) -> T {
    let h = x.dot(w1).mapv(|z| T::one() / (T::one() + (-z).exp()));
    let y_pred = h.dot(w2);
    (&y_pred - y).mapv(|e| e * e).sum()
}

/// The gradient of the forward lines by the macro, then the updates.
pub fn tensors<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
    let [mut w1, mut w2] = two(weights);
    let mut workspace = NetworkWorkspace::default();
    move || {
        let (loss, gradient) = network::value_and_gradient_with(&mut workspace, &w1, &w2, &x, &y);
        w1.scaled_add(-rate, &gradient.w1);
        w2.scaled_add(-rate, &gradient.w2);
        loss
    }
}

/// The gradient of the forward lines and the updates by the macro.
pub fn descent<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
    let [mut w1, mut w2] = two(weights);
    let mut workspace = NetworkWorkspace::default();
    move || network::descend_with(&mut workspace, rate, &mut w1, &mut w2, &x, &y)
}

/// The layers of this crate.
pub fn layers<T: Float>(
    Data { x, y, weights, .. }: Data<T>,
    case: Case,
    rate: T,
) -> impl FnMut() -> T {
    let layers = vec![
        Dense::new(case.widths[0], case.widths[1], Activation::Sigmoid).without_bias(),
        Dense::new(case.widths[1], case.widths[2], Activation::Identity).without_bias(),
    ];
    let parameters = weights.into_iter().flatten().collect();
    let mut network = Mlp::new(layers, parameters).expect("the shapes are right");
    let mut descent = Sgd::new(rate);
    let mut workspace = Workspace::default();
    move || {
        let loss = network.loss_and_gradients(&x, &y, Loss::SumSquaredError, &mut workspace);
        let loss = loss.expect("the loss is finite");
        descent
            .step(network.parameters_mut(), workspace.gradient())
            .expect("so are the gradients");
        loss
    }
}
