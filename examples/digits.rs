//! Recognises handwritten digits: `cargo run --release --example digits`.
//!
//! A perceptron with one hidden layer learns from four fifths of 1,797 scanned digits of 8 × 8 pixels (the UCI set
//! "Optical Recognition of Handwritten Digits"), and is tested on the last fifth, which it has not seen.

use std::time::Instant;

use backprop::data::one_hot;
use backprop::{Activation, Adam, Dataset, Error, Loss, Mlp, Optimizer, Training};
use ndarray::Array2;

const SEED: u64 = 1;
const ROUNDS: i32 = 8;
const EPOCHS: usize = 5; // per round
const LEARNING_RATE: f32 = 2e-3;

fn main() -> Result<(), Error> {
    let start = Instant::now();
    let (train, test) = load()?.split(0.2, SEED)?;
    println!(
        "{} digits to learn from, {} to be tested on",
        train.len(),
        test.len()
    );
    let accuracy = train_and_test(&train, &test)?;
    println!("final test accuracy: {:.2} %", 100.0 * accuracy);
    println!("total time: {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The fraction of `test` that a network recognises after it has learned from `train`.
fn train_and_test(train: &Dataset<f32>, test: &Dataset<f32>) -> Result<f64, Error> {
    let mut network = Mlp::builder(64)
        .dense(256, Activation::Relu)
        .dense(10, Activation::Identity)
        .seed(SEED)
        .build()?;
    println!("{} parameters", network.parameter_count());

    let training = Training::new(Loss::SoftmaxCrossEntropy)
        .epochs(EPOCHS)
        .batch_size(32);
    let mut adam = Adam::adamw(LEARNING_RATE, 0.1);
    let mut accuracy = 0.0;
    for round in 0..ROUNDS {
        adam.set_learning_rate(LEARNING_RATE * 0.7_f32.powi(round));
        let shuffled = training.clone().seed(round as u64);
        let history = shuffled.fit(&mut network, train, &mut adam)?;
        accuracy = network.accuracy(test.inputs(), test.targets())?;
        println!(
            "epoch {:2}: loss {:.4}, test accuracy {:.2} %",
            (round as usize + 1) * EPOCHS,
            history.training[EPOCHS - 1],
            100.0 * accuracy,
        );
    }
    Ok(accuracy)
}

/// The digits: pixels from 0, white, to 1, black, and one-hot classes from 0 to 9.
fn load() -> Result<Dataset<f32>, Error> {
    let digits = smartcore::dataset::digits::load_dataset();
    let shape = (digits.num_samples, digits.num_features);
    let pixels = Array2::from_shape_fn(shape, |(i, j)| digits.data[i * shape.1 + j] / 16.0);
    let labels: Vec<usize> = digits.target.iter().map(|&label| label as usize).collect();
    Dataset::new(pixels, one_hot(&labels, 10)?)
}
