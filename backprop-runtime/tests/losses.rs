//! Losses: reference values, boundary values, gradients against differences, layouts and errors.

use approx::assert_relative_eq;
use backprop_runtime::loss::{binary_cross_entropy, softmax_cross_entropy, squared_error};
use backprop_runtime::{Error, Loss};
use ndarray::{Array2, ShapeBuilder, array};

fn gradient(loss: Loss, outputs: &Array2<f64>, targets: &Array2<f64>) -> (f64, Array2<f64>) {
    let mut gradient = Array2::from_elem(outputs.dim(), f64::NAN);
    let value = loss
        .value_and_gradient_into(outputs, targets, &mut gradient)
        .unwrap();
    (value, gradient)
}

#[test]
fn values_are_the_textbook_ones() {
    let (outputs, targets) = (
        array![[1.0, -2.0], [0.5, 3.0]],
        array![[0.0, 1.0], [1.0, 0.0]],
    );
    let squares = 1.0 + 9.0 + 0.25 + 9.0;
    let value = |loss: Loss| loss.value(&outputs, &targets).unwrap();
    assert_relative_eq!(value(Loss::SumSquaredError), squares);
    assert_relative_eq!(value(Loss::MeanSquaredError), squares / 4.0);

    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let logs = (1.0 - sigmoid(1.0)).ln()
        + sigmoid(-2.0).ln()
        + sigmoid(0.5).ln()
        + (1.0 - sigmoid(3.0)).ln();
    assert_relative_eq!(
        value(Loss::BinaryCrossEntropy),
        -logs / 4.0,
        max_relative = 1e-14
    );

    let softmax = |z: [f64; 2], i: usize| z[i].exp() / (z[0].exp() + z[1].exp());
    let logs = softmax([1.0, -2.0], 1).ln() + softmax([0.5, 3.0], 0).ln();
    assert_relative_eq!(
        value(Loss::SoftmaxCrossEntropy),
        -logs / 2.0,
        max_relative = 1e-14
    );
}

#[test]
fn gradients_match_central_differences() {
    let outputs = array![
        [0.3, -1.2, 2.0],
        [-0.7, 0.4, 0.1],
        [5.0, -6.0, 0.0],
        [0.2, 0.2, -3.0]
    ];
    let targets = array![
        [0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.3, 0.3, 0.4],
        [0.9, 0.1, 0.0]
    ];
    for &loss in Loss::ALL {
        let (value, analytic) = gradient(loss, &outputs, &targets);
        assert_eq!(
            value.to_bits(),
            loss.value(&outputs, &targets).unwrap().to_bits()
        );
        for (index, &d) in analytic.indexed_iter() {
            let shifted = |h: f64| {
                let mut outputs = outputs.clone();
                outputs[index] += h;
                loss.value(&outputs, &targets).unwrap()
            };
            let difference = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
            println!("{loss} at {index:?}");
            assert_relative_eq!(d, difference, max_relative = 1e-5, epsilon = 1e-9);
        }
    }
}

#[test]
fn cross_entropies_do_not_overflow() {
    let (value, d) = gradient(
        Loss::BinaryCrossEntropy,
        &array![[800.0, -800.0]],
        &array![[0.0, 1.0]],
    );
    assert_eq!((value, d), (800.0, array![[0.5, -0.5]]));
    let (value, d) = gradient(
        Loss::BinaryCrossEntropy,
        &array![[800.0, -800.0]],
        &array![[1.0, 0.0]],
    );
    assert_eq!((value, d), (0.0, array![[0.0, 0.0]]));
    let (value, d) = gradient(Loss::BinaryCrossEntropy, &array![[0.0]], &array![[1.0]]);
    assert_eq!((value, d), (2.0_f64.ln(), array![[-0.5]]));

    let (value, d) = gradient(
        Loss::SoftmaxCrossEntropy,
        &array![[1000.0, -1000.0]],
        &array![[0.0, 1.0]],
    );
    assert_eq!((value, d), (2000.0, array![[1.0, -1.0]]));
    let (value, d) = gradient(
        Loss::SoftmaxCrossEntropy,
        &array![[1000.0, 1000.0]],
        &array![[0.0, 1.0]],
    );
    assert_relative_eq!(value, 2.0_f64.ln());
    assert_eq!(d, array![[0.5, -0.5]]);
    let (value, d) = gradient(Loss::SoftmaxCrossEntropy, &array![[7.0]], &array![[1.0]]);
    assert_eq!((value, d), (0.0, array![[0.0]]));
}

#[test]
fn the_functions_themselves_are_annotated() {
    let (logits, target) = ([0.5_f32, -0.5], [1.0, 0.0]);
    let mut d = [0.0; 2];
    let value = squared_error::value_and_gradient_into(&logits, &target, &mut d);
    assert_eq!((value, d), (0.5, [-1.0, -1.0]));
    binary_cross_entropy::value_and_gradient_into(&logits, &target, &mut d);
    assert_relative_eq!(d[0], -0.37754068, max_relative = 1e-5);
    assert_relative_eq!(d[1], 0.37754068, max_relative = 1e-5);
    softmax_cross_entropy::value_and_gradient_into(&logits, &target, &mut d);
    assert_relative_eq!(d[0], -0.26894143, max_relative = 1e-5);
    assert_relative_eq!(d[1], 0.26894143, max_relative = 1e-5);
}

#[test]
fn the_layout_of_a_matrix_does_not_matter() {
    let outputs = array![[0.3, -1.2, 2.0], [-0.7, 0.4, 0.1]];
    let targets = array![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];
    let mut by_columns = Array2::zeros((2, 3).f());
    by_columns.assign(&outputs);
    let mut target_columns = Array2::zeros((2, 3).f());
    target_columns.assign(&targets);
    for &loss in Loss::ALL {
        let mut d = Array2::zeros((2, 3).f());
        let value = loss.value_and_gradient_into(&by_columns, &target_columns, &mut d);
        assert_eq!((value.unwrap(), d), gradient(loss, &outputs, &targets));
    }
}

#[test]
fn bad_input_is_an_error_and_changes_nothing() {
    let ok = array![[0.5, 0.5]];
    let of = |loss: Loss, outputs: &Array2<f64>, targets: &Array2<f64>, shape: (usize, usize)| {
        let mut gradient = Array2::from_elem(shape, 7.0);
        let error = loss
            .value_and_gradient_into(outputs, targets, &mut gradient)
            .unwrap_err();
        assert!(gradient.iter().all(|&d| d == 7.0), "written before {error}");
        error
    };
    for &loss in Loss::ALL {
        let error = of(loss, &ok, &array![[0.5]], (1, 2));
        assert_eq!(
            error.to_string(),
            "targets have shape [1, 1], expected [1, 2]"
        );
        let error = of(loss, &ok, &ok, (2, 1));
        assert_eq!(
            error.to_string(),
            "gradients have shape [2, 1], expected [1, 2]"
        );
        let (no_rows, no_columns) = (Array2::zeros((0, 2)), Array2::zeros((2, 0)));
        assert_eq!(
            of(loss, &no_rows, &no_rows, (0, 2)),
            Error::Empty { what: "outputs" }
        );
        assert_eq!(
            of(loss, &no_columns, &no_columns, (2, 0)),
            Error::Empty { what: "outputs" }
        );
        let error = of(loss, &ok, &array![[0.5, f64::NAN]], (1, 2));
        assert_eq!(error, Error::NonFinite { what: "targets" });
    }
    for loss in [Loss::BinaryCrossEntropy, Loss::SoftmaxCrossEntropy] {
        let error = of(loss, &ok, &array![[1.0, -0.5]], (1, 2));
        assert_eq!(
            error.to_string(),
            "target [0, 1] is -0.5, must be a probability, between 0 and 1"
        );
    }
}

#[test]
fn a_loss_that_is_not_finite_is_an_error() {
    let targets = array![[0.0, 1.0]];
    for &loss in Loss::ALL {
        for output in [f64::NAN, f64::INFINITY] {
            let outputs = array![[0.5, output]];
            let error = loss.value(&outputs, &targets).unwrap_err();
            assert!(
                matches!(error, Error::NonFiniteLoss { .. }),
                "{loss} of {output}"
            );
            let mut gradient = Array2::from_elem((1, 2), 7.0);
            let error = loss
                .value_and_gradient_into(&outputs, &targets, &mut gradient)
                .unwrap_err();
            assert!(
                matches!(error, Error::NonFiniteLoss { .. }),
                "{loss} of {output}"
            );
            assert_eq!(gradient, array![[0.0, 0.0]]);
        }
    }
    let error = Loss::SumSquaredError
        .value(&array![[1e200]], &array![[0.0]])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the loss is inf: the network has diverged, try a lower learning rate"
    );
}

#[test]
fn names_are_read_and_written() {
    for &loss in Loss::ALL {
        assert_eq!(loss.to_string().parse(), Ok(loss));
    }
    let error = "hinge".parse::<Loss>().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("unknown loss `hinge`, expected one of mean_squared_error, ")
    );
}
