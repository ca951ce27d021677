//! The lecture's network: `cargo run --release --example lecture_net`.
//!
//! Two layers, sigmoid between them, no biases, the sum of squared errors, and plain gradient descent, on random
//! data. In the lecture it is twenty lines of numpy, five of them a gradient derived by hand; here there is none.

use std::time::Instant;

use backprop::backprop;
use backprop::init::{generator, standard_normal};
use ndarray::Array2;

const STEPS: usize = 2000;

#[backprop(wrt(w1, w2))]
fn loss(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let h = x.dot(w1).mapv(|z| 1.0 / (1.0 + (-z).exp()));
    let y_pred = h.dot(w2);
    (&y_pred - y).mapv(|e| e * e).sum()
}

fn main() {
    let mut data = generator(0);
    let (x, y) = (
        standard_normal((64, 1000), &mut data),
        standard_normal((64, 10), &mut data),
    );
    let mut weights = generator(1);
    let mut w1 = standard_normal((1000, 100), &mut weights);
    let mut w2 = standard_normal((100, 10), &mut weights);

    let mut workspace = LossWorkspace::default();
    let start = Instant::now();
    for step in 1..=STEPS {
        let (value, gradient) = loss::value_and_gradient_with(&mut workspace, &w1, &w2, &x, &y);
        w1.scaled_add(-1e-4, &gradient.w1);
        w2.scaled_add(-1e-4, &gradient.w2);
        if step == 1 || step % 200 == 0 {
            println!("step {step:4}: loss {value:.4}");
        }
    }
    let per_step = start.elapsed().as_secs_f64() / STEPS as f64;
    println!("time per step: {:.3} ms", 1e3 * per_step);
}
