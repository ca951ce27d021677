//! The gradient of a whole network, for every activation and every loss, against central differences.

use approx::assert_relative_eq;
use backprop_runtime::init::{generator, standard_normal};
use backprop_runtime::{Activation, Dense, Float, Loss, Mlp, Workspace};
use ndarray::{Array2, ArrayRef2, ShapeBuilder};

const OUTPUT_COUNTS: [usize; 2] = [1, 3];

/// 4 inputs, a layer with a bias, one without, and `outputs` linear outputs.
fn network<T: Float>(activation: Activation, outputs: usize) -> Mlp<T> {
    Mlp::builder(4)
        .dense(5, activation)
        .layer(Dense::new(5, 6, activation).without_bias())
        .dense(outputs, Activation::Identity)
        .seed(3)
        .build()
        .unwrap()
}

/// Seven samples; the targets are probabilities whose rows sum to 1, or one number between 0 and 1.
fn batch<T: Float>(outputs: usize) -> (Array2<T>, Array2<T>) {
    let x = standard_normal((7, 4), &mut generator(5));
    let mut y = standard_normal((7, outputs), &mut generator(6)).mapv(|y: T| y.exp());
    for mut row in y.rows_mut() {
        let sum = if outputs == 1 {
            row[0] + T::one()
        } else {
            row.sum()
        };
        row /= sum;
    }
    (x, y)
}

fn gradient<T: Float>(
    network: &Mlp<T>,
    x: &ArrayRef2<T>,
    y: &ArrayRef2<T>,
    loss: Loss,
) -> (T, Vec<T>) {
    let mut workspace = Workspace::default();
    let value = network
        .loss_and_gradients(x, y, loss, &mut workspace)
        .unwrap();
    (value, workspace.gradient().to_vec())
}

#[test]
fn every_activation_and_loss_matches_central_differences() {
    for outputs in OUTPUT_COUNTS {
        let (x, y) = batch::<f64>(outputs);
        for &activation in Activation::ALL {
            for &loss in Loss::ALL {
                let mut network = network(activation, outputs);
                let (value, gradient) = gradient(&network, &x, &y, loss);
                assert_eq!(
                    value.to_bits(),
                    network.loss(&x, &y, loss).unwrap().to_bits()
                );
                assert_eq!(gradient.len(), network.parameter_count());
                for (i, &d) in gradient.iter().enumerate() {
                    let at = network.parameters()[i];
                    let mut shifted = |h: f64| {
                        network.parameters_mut()[i] = at + h;
                        let value = network.loss(&x, &y, loss).unwrap();
                        network.parameters_mut()[i] = at;
                        value
                    };
                    let difference = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
                    println!("{activation}, {loss}, {outputs} outputs, parameter {i}");
                    let epsilon = 1e-9 * value.max(1.0);
                    assert_relative_eq!(d, difference, max_relative = 1e-5, epsilon = epsilon);
                }
                // With one class, and only then, softmax has nothing to learn.
                let nothing = outputs == 1 && loss == Loss::SoftmaxCrossEntropy;
                assert_eq!(
                    gradient.iter().all(|&d| d == 0.0),
                    nothing,
                    "{activation}, {loss}"
                );
            }
        }
    }
}

#[test]
fn single_precision_agrees_with_double() {
    let (x, y) = batch::<f64>(3);
    let (x32, y32) = (x.mapv(|v| v as f32), y.mapv(|v| v as f32));
    for &activation in Activation::ALL {
        for &loss in Loss::ALL {
            let (value, d) = gradient(&network(activation, 3), &x, &y, loss);
            let (value32, d32) = gradient(&network(activation, 3), &x32, &y32, loss);
            assert_relative_eq!(f64::from(value32), value, max_relative = 1e-4);
            let norm = d.iter().map(|d| d * d).sum::<f64>().sqrt();
            for (&d32, &d) in d32.iter().zip(&d) {
                assert_relative_eq!(
                    f64::from(d32),
                    d,
                    max_relative = 1e-3,
                    epsilon = 1e-5 * norm
                );
            }
        }
    }
}

#[test]
fn a_workspace_serves_batches_and_networks_of_any_size() {
    let (x, y) = batch::<f64>(3);
    let small = network(Activation::Tanh, 3);
    let shallow = Mlp::builder(4).dense(3, Activation::Gelu).build().unwrap();
    let wide = Mlp::builder(4)
        .dense(20, Activation::Gelu)
        .dense(6, Activation::Gelu)
        .dense(3, Activation::Identity)
        .build()
        .unwrap();
    let mut workspace = Workspace::default();
    for (network, samples) in [
        (&small, 3),
        (&small, 7),
        (&small, 1),
        (&wide, 7),
        (&small, 2),
        (&shallow, 2),
        (&small, 7),
    ] {
        let (x, y) = (
            x.slice(ndarray::s![..samples, ..]),
            y.slice(ndarray::s![..samples, ..]),
        );
        let fresh = gradient(network, &x, &y, Loss::SoftmaxCrossEntropy);
        let value = network.loss_and_gradients(&x, &y, Loss::SoftmaxCrossEntropy, &mut workspace);
        assert_eq!((value.unwrap(), workspace.gradient().to_vec()), fresh);
    }
}

#[test]
fn the_layout_of_a_batch_does_not_matter() {
    let (x, y) = batch::<f64>(3);
    let network = network(Activation::Silu, 3);
    let (value, d) = gradient(&network, &x, &y, Loss::MeanSquaredError);
    let (mut by_columns, mut targets) = (Array2::zeros((7, 4).f()), Array2::zeros((7, 3).f()));
    by_columns.assign(&x);
    targets.assign(&y);
    let (value_by_columns, d_by_columns) =
        gradient(&network, &by_columns, &targets, Loss::MeanSquaredError);
    assert_relative_eq!(value, value_by_columns, max_relative = 1e-14);
    for (&d, &by_columns) in d.iter().zip(&d_by_columns) {
        assert_relative_eq!(d, by_columns, max_relative = 1e-11, epsilon = 1e-15);
    }
}

#[test]
fn the_gradient_of_a_mean_is_the_mean_of_the_gradients() {
    let (x, y) = batch::<f64>(3);
    let network = network(Activation::Sigmoid, 3);
    for loss in [
        Loss::MeanSquaredError,
        Loss::BinaryCrossEntropy,
        Loss::SoftmaxCrossEntropy,
    ] {
        let (_, whole) = gradient(&network, &x, &y, loss);
        let mut mean = vec![0.0; whole.len()];
        for i in 0..7 {
            let row = ndarray::s![i..=i, ..];
            let (_, d) = gradient(&network, &x.slice(row), &y.slice(row), loss);
            mean.iter_mut()
                .zip(&d)
                .for_each(|(mean, d)| *mean += d / 7.0);
        }
        for (&d, &mean) in whole.iter().zip(&mean) {
            assert_relative_eq!(d, mean, max_relative = 1e-10, epsilon = 1e-14);
        }
    }
}

#[test]
fn views_show_the_layers_in_a_flat_vector() {
    let network = network::<f64>(Activation::Tanh, 3);
    let views = network.views(network.parameters()).unwrap();
    let shapes: Vec<_> = views
        .iter()
        .map(|(weights, bias)| (weights.dim(), bias.map(|b| b.len())))
        .collect();
    assert_eq!(
        shapes,
        [((4, 5), Some(5)), ((5, 6), None), ((6, 3), Some(3))]
    );
    assert_eq!(views[1].0[[0, 1]], network.parameters()[4 * 5 + 5 + 1]);
    assert!(views[0].1.unwrap().iter().all(|&b| b == 0.0));
}
