//! The lecture's network: `cargo run --release --example lecture_net`.
//!
//! Two layers, sigmoid between them, no biases, the sum of squared errors, and plain gradient descent, on random
//! data. In the lecture it is twenty lines of numpy, seven of them a gradient derived by hand; here there is none.

use std::time::Instant;

use backprop::init::{Init, generator, standard_normal};
use backprop::{Activation, Dense, Error, Loss, Mlp, Optimizer, Sgd, Workspace};
use ndarray::Array2;

const SAMPLES: usize = 64;
const INPUTS: usize = 1000;
const HIDDEN: usize = 100;
const OUTPUTS: usize = 10;
const STEPS: usize = 2000;

fn main() -> Result<(), Error> {
    let mut generator = generator(0);
    let x: Array2<f64> = standard_normal((SAMPLES, INPUTS), &mut generator);
    let y: Array2<f64> = standard_normal((SAMPLES, OUTPUTS), &mut generator);

    let mut network: Mlp<f64> = Mlp::builder(INPUTS)
        .layer(Dense::new(INPUTS, HIDDEN, Activation::Sigmoid).without_bias())
        .layer(Dense::new(HIDDEN, OUTPUTS, Activation::Identity).without_bias())
        .init(Init::StandardNormal)
        .seed(1)
        .build()?;

    let mut descent = Sgd::new(1e-4);
    let mut workspace = Workspace::default();
    let start = Instant::now();
    for step in 1..=STEPS {
        let loss = network.loss_and_gradients(&x, &y, Loss::SumSquaredError, &mut workspace)?;
        descent.step(network.parameters_mut(), workspace.gradient())?;
        if step == 1 || step % 200 == 0 {
            println!("step {step:4}: loss {loss:.4}");
        }
    }
    let per_step = start.elapsed().as_secs_f64() / STEPS as f64;
    println!("time per step: {:.3} ms", 1e3 * per_step);
    Ok(())
}
