//! Data and layers that do not fit: the error says what and where, and nothing is written.

use backprop_runtime::data::one_hot;
use backprop_runtime::init::generator;
use backprop_runtime::{Activation, Dataset, Dense, Error, Init, Loss, Mlp, MlpBuilder, Workspace};
use ndarray::{Array2, array};

#[test]
fn data_that_are_no_batch_are_errors() {
    let ok = array![[1.0], [2.0]];
    let error = Dataset::new(ok.clone(), array![[1.0]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "targets have shape [1, 1], expected [2, 1]"
    );
    let empty = Array2::<f64>::zeros((0, 1));
    assert_eq!(
        Dataset::new(empty.clone(), empty.clone())
            .unwrap_err()
            .to_string(),
        "inputs are empty"
    );
    let nan = array![[1.0], [f64::NAN]];
    assert_eq!(
        Dataset::new(nan.clone(), ok.clone()).unwrap_err(),
        Error::NonFinite { what: "inputs" }
    );
    assert_eq!(
        Dataset::new(ok.clone(), nan.clone()).unwrap_err(),
        Error::NonFinite { what: "targets" }
    );
    let dataset = Dataset::new(ok.clone(), ok.clone()).unwrap();
    assert_eq!(
        dataset.batches(0).unwrap_err().to_string(),
        "batch size is 0, must be at least 1"
    );
    assert_eq!(
        one_hot::<f64>(&[1, 3], 3).unwrap_err().to_string(),
        "label 1 is 3, but there are 3 classes"
    );

    let network = Mlp::builder(1).dense(1, Activation::Tanh).build().unwrap();
    let mut workspace = Workspace::default();
    let mut error = |x: &Array2<f64>, y: &Array2<f64>| {
        let by_value = network.loss(x, y, Loss::MeanSquaredError).unwrap_err();
        let error = network
            .loss_and_gradients(x, y, Loss::MeanSquaredError, &mut workspace)
            .unwrap_err();
        assert_eq!(error, by_value);
        assert!(workspace.gradient().is_empty());
        error.to_string()
    };
    assert_eq!(
        error(&array![[1.0, 2.0]], &ok),
        "layer 1: inputs have shape [1, 2], expected [1, 1]"
    );
    assert_eq!(
        error(&ok, &array![[1.0]]),
        "targets have shape [1, 1], expected [2, 1]"
    );
    assert_eq!(error(&empty, &empty), "inputs are empty");
    assert_eq!(error(&nan, &ok), "inputs hold a NaN or an infinity");
    assert_eq!(error(&ok, &nan), "targets hold a NaN or an infinity");
}

#[test]
fn layers_that_are_no_network_are_errors() {
    let build = |builder: MlpBuilder<f64>| builder.build().unwrap_err().to_string();
    let dense = |inputs, outputs| Dense::new(inputs, outputs, Activation::Relu);
    assert_eq!(build(Mlp::builder(2)), "layers are empty");
    assert_eq!(
        build(Mlp::builder(2).layer(dense(3, 1))),
        "layer 1: inputs have shape [3], expected [2]"
    );
    let second = Mlp::builder(2).layer(dense(2, 4)).layer(dense(5, 1));
    assert_eq!(
        build(second),
        "layer 2: inputs have shape [5], expected [4]"
    );
    assert_eq!(
        build(Mlp::builder(0).layer(dense(0, 1))),
        "layer 1: number of inputs is 0, must be at least 1"
    );
    let second = Mlp::builder(2).layer(dense(2, 1)).layer(dense(1, 0));
    assert_eq!(
        build(second),
        "layer 2: number of outputs is 0, must be at least 1"
    );
    let huge = build(Mlp::builder(usize::MAX).layer(dense(usize::MAX, usize::MAX)));
    assert!(huge.ends_with("must fit into memory"), "{huge}");

    let error = Mlp::new(vec![dense(2, 1)], vec![1.0]).unwrap_err();
    assert_eq!(error.to_string(), "parameters have shape [1], expected [3]");
    let error = Mlp::new(vec![dense(2, 1)], vec![1.0, f64::NAN, 0.0]).unwrap_err();
    assert_eq!(error, Error::NonFinite { what: "parameters" });
    let network = Mlp::new(vec![dense(2, 1)], vec![1.0, 0.0, 0.0]).unwrap();
    assert!(network.views(&[1.0]).is_err());
}

#[test]
fn a_layer_checks_every_buffer_before_it_writes() {
    let layer = Dense::new(2, 3, Activation::Tanh);
    let (parameters, x) = ([0.1; 9], Array2::from_elem((4, 2), 1.0));
    let right = Array2::from_elem((4, 3), 7.0);
    let wrong = Array2::from_elem((4, 2), 7.0);
    assert!(layer.apply(&parameters[1..], &x).is_err());
    assert!(layer.apply(&parameters, &right).is_err());
    let hollow = Dense::new(0, usize::MAX, Activation::Tanh).without_bias();
    assert!(hollow.apply(&[], &Array2::<f64>::zeros((4, 0))).is_err());
    assert!(
        layer
            .initialize(&mut [0.0; 8], Init::HeNormal, &mut generator(1))
            .is_err()
    );

    for (parameters, x, y, residuals) in [
        (&parameters[1..], &x, &right, &right),
        (&parameters[..], &right, &right, &right),
        (&parameters[..], &x, &wrong, &right),
        (&parameters[..], &x, &right, &wrong),
    ] {
        let (mut y, mut residuals) = (y.clone(), residuals.clone());
        assert!(
            layer
                .forward(parameters, x, &mut y, &mut residuals)
                .is_err()
        );
        assert!(y.iter().chain(&residuals).all(|&v| v == 7.0));
    }

    let d_x_right = Array2::from_elem((4, 2), 7.0);
    for (parameters, x, residuals, upstream, count, d_x) in [
        (&parameters[1..], &x, &right, &right, 9, &d_x_right),
        (&parameters[..], &right, &right, &right, 9, &d_x_right),
        (&parameters[..], &x, &wrong, &right, 9, &d_x_right),
        (&parameters[..], &x, &right, &wrong, 9, &d_x_right),
        (&parameters[..], &x, &right, &right, 8, &d_x_right),
        (&parameters[..], &x, &right, &right, 9, &right),
    ] {
        let (mut upstream, mut d_x, mut gradient) =
            (upstream.clone(), d_x.clone(), vec![7.0; count]);
        let result = layer.backward(
            parameters,
            x,
            residuals,
            &mut upstream,
            &mut gradient,
            Some(&mut d_x),
        );
        assert!(result.is_err());
        assert!(
            upstream
                .iter()
                .chain(&d_x)
                .chain(&gradient)
                .all(|&v| v == 7.0)
        );
    }
}

#[test]
fn errors_are_errors() {
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(Error::Empty { what: "inputs" });
    assert_eq!(error.to_string(), "inputs are empty");
}
