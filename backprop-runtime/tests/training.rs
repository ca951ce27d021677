//! The training loop: learning, determinism, predictions, and errors with their places.

use approx::assert_relative_eq;
use backprop_runtime::data::one_hot;
use backprop_runtime::{
    Activation, Adam, Dataset, Dense, Error, Float, Loss, Mlp, Place, Sgd, Training,
};
use ndarray::{Array2, array};

fn spiral<T: Float>() -> Dataset<T> {
    // Two arms that a straight line cannot part.
    let coordinate = |i: usize, j: usize| {
        let (arm, t) = ((i % 2) as f64, (i / 2) as f64 / 100.0);
        let angle = std::f64::consts::PI * (arm + 1.5 * t);
        (0.2 + t) * [angle.cos(), angle.sin()][j]
    };
    let inputs = Array2::from_shape_fn((200, 2), |(i, j)| T::from(coordinate(i, j)).unwrap());
    let labels: Vec<_> = (0..200).map(|i| i % 2).collect();
    Dataset::new(inputs, one_hot(&labels, 2).unwrap()).unwrap()
}

fn network<T: Float>(seed: u64) -> Mlp<T> {
    Mlp::builder(2)
        .dense(16, Activation::Tanh)
        .dense(2, Activation::Identity)
        .seed(seed)
        .build()
        .unwrap()
}

fn training<T: Float>() -> Training<T> {
    Training::new(Loss::SoftmaxCrossEntropy)
        .epochs(60)
        .batch_size(16)
}

fn learns<T: Float>(learning_rate: T) {
    let (train, test) = spiral().split(0.2, 1).unwrap();
    let mut network = network(1);
    let history = training()
        .clip_norm(T::one())
        .fit_validated(&mut network, &train, &test, &mut Adam::new(learning_rate))
        .unwrap();
    assert_eq!((history.training.len(), history.validation.len()), (60, 60));
    assert_eq!(
        history.validation[59],
        network
            .loss(test.inputs(), test.targets(), Loss::SoftmaxCrossEntropy)
            .unwrap()
    );
    assert!(history.training[59] < history.training[0] * T::from(0.2).unwrap());
    assert!(network.accuracy(test.inputs(), test.targets()).unwrap() > 0.95);
}

#[test]
fn a_network_learns_in_either_precision() {
    learns(0.03_f32);
    learns(0.03_f64);
}

#[test]
fn a_run_is_repeated_bit_for_bit_by_its_seeds() {
    let run = |weights: u64, order: u64| {
        let mut network = network::<f64>(weights);
        let history = training()
            .seed(order)
            .quiet()
            .fit(&mut network, &spiral(), &mut Adam::new(0.03))
            .unwrap();
        (network, history)
    };
    assert_eq!(run(1, 2), run(1, 2));
    assert_ne!(run(1, 2).0, run(1, 3).0);
    assert_ne!(run(1, 2).0, run(2, 2).0);
}

#[test]
fn predictions_are_the_largest_output_or_the_sign_of_the_only_one() {
    let network = Mlp::new(
        vec![Dense::new(1, 3, Activation::Identity)],
        vec![1.0, -1.0, 0.0, 0.0, 0.0, 0.5],
    )
    .unwrap();
    let x = array![[2.0], [-2.0], [0.1], [0.5]];
    assert_eq!(network.predict(&x).unwrap(), [0, 1, 2, 0]);
    let targets = one_hot(&[0, 1, 0, 0], 3).unwrap();
    assert_eq!(network.accuracy(&x, &targets).unwrap(), 0.75);

    let network = Mlp::new(vec![Dense::new(1, 1, Activation::Identity)], vec![1.0, 0.0]).unwrap();
    assert_eq!(network.predict(&x).unwrap(), [1, 0, 1, 1]);
    assert_eq!(
        network
            .accuracy(&x, &array![[0.9], [0.0], [0.4], [1.0]])
            .unwrap(),
        0.75
    );
}

#[test]
fn training_names_the_step_that_went_wrong_and_keeps_the_network_before_it() {
    // The first step is finite and far too long: the second has no loss.
    let data = Dataset::new(
        array![[1e150], [1e150], [1e150]],
        array![[0.0], [0.0], [0.0]],
    )
    .unwrap();
    let mut network = Mlp::<f64>::builder(1)
        .dense(1, Activation::Identity)
        .seed(1)
        .build()
        .unwrap();
    let training = Training::new(Loss::MeanSquaredError)
        .batch_size(1)
        .epochs(3)
        .seed(2);
    let error = training
        .fit(&mut network, &data, &mut Sgd::new(1.0))
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::At {
                place: Place::Batch { epoch: 1, batch: 2 },
                ..
            }
        ),
        "{error}"
    );
    assert!(
        matches!(error.root(), Error::NonFiniteLoss { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("epoch 1, batch 2: the loss is inf"),
        "{error}"
    );
    assert!(network.parameters().iter().all(|p| p.is_finite()));

    let mut network = self::network::<f64>(1);
    let error = self::training()
        .fit(&mut network, &spiral(), &mut Sgd::new(-1.0))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "epoch 1, batch 1: learning rate is -1, must be positive and finite"
    );
    assert_eq!(network, self::network(1));
}

#[test]
fn training_is_refused_before_its_first_step() {
    let data = spiral::<f64>();
    let (mut net, untouched) = (network::<f64>(1), network::<f64>(1));
    let mut refused = |training: Training<f64>, data: &Dataset<f64>, validation: &Dataset<f64>| {
        let error = training
            .fit_validated(&mut net, data, validation, &mut Sgd::new(0.1))
            .unwrap_err();
        assert_eq!(net, untouched);
        error.to_string()
    };
    let wide = Dataset::new(Array2::zeros((5, 3)), Array2::zeros((5, 2))).unwrap();
    let unlikely = Dataset::new(Array2::zeros((5, 2)), Array2::from_elem((5, 2), 2.0)).unwrap();
    assert_eq!(
        refused(training().epochs(0), &data, &data),
        "number of epochs is 0, must be at least 1"
    );
    assert_eq!(
        refused(training().batch_size(0), &data, &data),
        "batch size is 0, must be at least 1"
    );
    assert_eq!(
        refused(training(), &wide, &data),
        "layer 1: inputs have shape [5, 3], expected [5, 2]"
    );
    assert_eq!(
        refused(training(), &data, &wide),
        "layer 1: inputs have shape [5, 3], expected [5, 2]"
    );
    let not_a_probability = "target [0, 0] is 2, must be a probability, between 0 and 1";
    assert_eq!(refused(training(), &unlikely, &data), not_a_probability);
    assert_eq!(refused(training(), &data, &unlikely), not_a_probability);
}

#[test]
fn the_loss_of_an_epoch_is_that_of_all_samples() {
    // At this learning rate the parameters stay where they are; the last batch is smaller than the others.
    let data = spiral::<f64>();
    for &loss in Loss::ALL {
        let mut network = network(1);
        let training = Training::new(loss).epochs(1).batch_size(48);
        let history = training
            .fit(&mut network, &data, &mut Sgd::new(1e-300))
            .unwrap();
        let whole = network.loss(data.inputs(), data.targets(), loss).unwrap();
        assert_relative_eq!(history.training[0], whole, max_relative = 1e-13);
    }
}

#[test]
fn a_clipped_step_is_as_long_as_its_norm() {
    let (start, mut network) = (network::<f64>(1), network::<f64>(1));
    let training = Training::new(Loss::SumSquaredError)
        .epochs(1)
        .batch_size(200)
        .clip_norm(0.01);
    training
        .fit(&mut network, &spiral(), &mut Sgd::new(1.0))
        .unwrap();
    let moved = network.parameters().iter().zip(start.parameters());
    let length = moved
        .map(|(after, before)| (after - before).powi(2))
        .sum::<f64>()
        .sqrt();
    assert_relative_eq!(length, 0.01, max_relative = 1e-12);
}
