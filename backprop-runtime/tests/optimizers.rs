//! Optimizers: published steps, convergence, clipping, schedules and errors.

use approx::assert_relative_eq;
use backprop_runtime::optimizer::clip_by_norm;
use backprop_runtime::{Adam, Error, Float, Optimizer, Sgd};

/// The parameter after each step from 1.
fn path<T: Float>(mut optimizer: impl Optimizer<T>, gradients: &[T]) -> Vec<T> {
    let mut parameter = [T::one()];
    let step = |&gradient| {
        optimizer.step(&mut parameter, &[gradient]).unwrap();
        parameter[0]
    };
    gradients.iter().map(step).collect()
}

fn assert_path(optimizer: impl Optimizer<f64>, expected: &[f64]) {
    let got = path(optimizer, &[0.1, -0.3, 0.25][..expected.len()]);
    for (&got, &expected) in got.iter().zip(expected) {
        assert_relative_eq!(got, expected, max_relative = 1e-14);
    }
}

#[test]
fn momentum_takes_the_steps_of_tensorflows_test() {
    // Values of `momentum_test.py`: learning rate 2, momentum 0.9, constant gradients.
    let (mut sgd, mut parameters) = (Sgd::new(2.0).momentum(0.9), [1.0, 2.0, 3.0, 4.0]);
    let gradient = [0.1, 0.1, 0.01, 0.01];
    sgd.step(&mut parameters, &gradient).unwrap();
    for (got, expected) in parameters.into_iter().zip([0.8, 1.8, 2.98, 3.98]) {
        assert_relative_eq!(got, expected, max_relative = 1e-15);
    }
    sgd.step(&mut parameters, &gradient).unwrap();
    let second = |from: f64, g: f64| from - g * 2.0 - (0.9 * g + g) * 2.0;
    let expected = [
        second(1.0, 0.1),
        second(2.0, 0.1),
        second(3.0, 0.01),
        second(4.0, 0.01),
    ];
    for (got, expected) in parameters.into_iter().zip(expected) {
        assert_relative_eq!(got, expected, max_relative = 1e-15);
    }
}

#[test]
fn sgd_takes_the_steps_of_its_definition() {
    assert_path(Sgd::new(0.1), &[0.99, 1.02, 0.995]);
    assert_path(Sgd::new(0.1).nesterov(0.9), &[0.981, 1.0299, 0.99941]);
    assert_path(
        Sgd::new(0.1).momentum(0.9).weight_decay(0.5),
        &[0.94, 0.869, 0.73665],
    );
}

#[test]
fn adam_takes_the_steps_of_its_papers() {
    // Algorithm 1 of Kingma and Ba and algorithm 2 of Loshchilov and Hutter, in decimal arithmetic with 50 digits.
    assert_path(
        Adam::new(0.01),
        &[
            0.990_000_000_999_999_9,
            0.994_941_899_112_006_6,
            0.993_974_903_919_120_1,
        ],
    );
    assert_path(
        Adam::new(0.01).weight_decay(0.5),
        &[
            0.990_000_000_166_666_7,
            0.981_326_758_628_067_5,
            0.972_116_714_122_847_5,
        ],
    );
    assert_path(
        Adam::adamw(0.01, 0.5),
        &[
            0.985_000_000_999_999_9,
            0.985_016_899_107_006_6,
            0.979_124_819_418_585_1,
        ],
    );
    assert_path(
        Adam::new(0.01).betas(0.5, 0.75).epsilon(1e-3),
        &[
            0.990_099_009_900_990_1,
            0.997_130_209_453_229_2,
            0.994_192_875_387_511_7,
        ],
    );
}

#[test]
fn single_precision_takes_the_same_steps() {
    let gradients = [0.1, -0.3, 0.25];
    let single = path(Adam::adamw(0.01_f32, 0.5), &gradients.map(|g| g as f32));
    let double = path(Adam::adamw(0.01_f64, 0.5), &gradients);
    for (single, double) in single.into_iter().zip(double) {
        assert_relative_eq!(f64::from(single), double, max_relative = 1e-6);
    }
}

/// The distance from the minimum at (1, -2, 3) of an ellipsoid whose axes differ by a factor of 10.
fn distance_after(steps: usize, mut optimizer: impl Optimizer<f64>) -> f64 {
    let (minimum, curvature) = ([1.0, -2.0, 3.0], [1.0, 10.0, 100.0]);
    let mut x = [0.0; 3];
    let error = |x: [f64; 3]| [0, 1, 2].map(|i| x[i] - minimum[i]);
    for _ in 0..steps {
        let e = error(x);
        optimizer
            .step(&mut x, &[0, 1, 2].map(|i| curvature[i] * e[i]))
            .unwrap();
    }
    error(x).iter().map(|e| e * e).sum::<f64>().sqrt()
}

#[test]
fn every_optimizer_finds_the_minimum_of_a_quadratic() {
    assert!(distance_after(2000, Sgd::new(0.01)) < 1e-6);
    assert!(distance_after(400, Sgd::new(0.01).momentum(0.9)) < 1e-6);
    assert!(distance_after(400, Sgd::new(0.005).nesterov(0.9)) < 1e-6);
    assert!(distance_after(2000, Adam::new(0.05)) < 1e-6);
    assert!(distance_after(2000, Adam::adamw(0.05, 0.0)) < 1e-6);
    // Decay pulls the flattest axis towards zero, from 1 to 1 / (1 + 0.1).
    let decayed = distance_after(2000, Sgd::new(0.01).weight_decay(0.1));
    assert!((0.09..0.1).contains(&decayed), "{decayed}");
}

#[test]
fn the_learning_rate_follows_a_schedule() {
    let (mut sgd, mut x) = (Sgd::new(1.0), [0.0]);
    sgd.step(&mut x, &[1.0]).unwrap();
    sgd.set_learning_rate(0.5);
    sgd.step(&mut x, &[1.0]).unwrap();
    assert_eq!(x, [-1.5]);
}

#[test]
fn clipping_scales_to_the_norm() {
    let mut gradient = [6.0, -8.0];
    assert_relative_eq!(clip_by_norm(&mut gradient, 5.0).unwrap(), 10.0);
    assert_relative_eq!(gradient[0], 3.0);
    assert_relative_eq!(gradient[1], -4.0);

    let mut small = [0.1, 0.2];
    clip_by_norm(&mut small, 5.0).unwrap();
    assert_eq!(small, [0.1, 0.2]);
    assert_eq!(clip_by_norm(&mut [0.0; 3], 5.0), Ok(0.0));
    assert_eq!(clip_by_norm::<f64>(&mut [], 5.0), Ok(0.0));

    // Neither the squares nor the norm itself need be finite in this precision.
    let mut huge = [f32::MAX, f32::MAX];
    assert_eq!(clip_by_norm(&mut huge, 1.0), Ok(f32::INFINITY));
    assert_relative_eq!(huge[0], 0.5_f32.sqrt(), max_relative = 1e-6);
    let mut tiny = [3e-300, 4e-300];
    assert_relative_eq!(
        clip_by_norm(&mut tiny, 1.0).unwrap(),
        5e-300,
        max_relative = 1e-14
    );

    for max_norm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = clip_by_norm(&mut gradient, max_norm).unwrap_err();
        assert!(matches!(
            error,
            Error::HyperParameter {
                name: "maximum norm",
                ..
            }
        ));
    }
    let mut bad = [1.0, f64::NAN];
    assert_eq!(
        clip_by_norm(&mut bad, 0.5),
        Err(Error::NonFinite { what: "gradients" })
    );
    assert_eq!(bad[0], 1.0);
}

/// The error of a second step, which must leave the parameters and the optimizer as they were.
fn refusal(
    mut optimizer: impl Optimizer<f64> + Clone,
    spoil: impl Fn(&mut Vec<f64>, &mut Vec<f64>),
) -> Error {
    let (mut parameters, mut gradient) = (vec![1.0, 2.0], vec![0.5, -0.5]);
    optimizer.step(&mut parameters, &gradient).unwrap();
    let mut untouched = optimizer.clone();
    let mut parameters_then = parameters.clone();
    spoil(&mut parameters, &mut gradient);
    let before = parameters.clone();
    let error = optimizer.step(&mut parameters, &gradient).unwrap_err();
    assert_eq!(parameters, before);

    let mut parameters = parameters_then.clone();
    optimizer.step(&mut parameters, &[1.0, 1.0]).unwrap();
    untouched.step(&mut parameters_then, &[1.0, 1.0]).unwrap();
    assert_eq!(parameters, parameters_then);
    error
}

#[test]
fn a_bad_gradient_is_refused_and_changes_nothing() {
    fn check(optimizer: impl Optimizer<f64> + Clone) {
        let error = refusal(optimizer.clone(), |_, g| g[1] = f64::NAN);
        assert_eq!(error.to_string(), "gradients hold a NaN or an infinity");
        let error = refusal(optimizer.clone(), |_, g| g[0] = f64::INFINITY);
        assert_eq!(error, Error::NonFinite { what: "gradients" });
        let error = refusal(optimizer, |_, g| g.push(1.0));
        assert_eq!(error.to_string(), "gradients have shape [3], expected [2]");
    }
    fn check_with_state(optimizer: impl Optimizer<f64> + Clone) {
        check(optimizer.clone());
        let longer = |p: &mut Vec<f64>, g: &mut Vec<f64>| (p.push(1.0), g.push(1.0)).0;
        let error = refusal(optimizer, longer);
        assert_eq!(error.to_string(), "parameters have shape [3], expected [2]");
    }
    check(Sgd::new(0.1));
    check_with_state(Sgd::new(0.1).nesterov(0.9));
    check_with_state(Adam::new(0.1));
    check_with_state(Adam::adamw(0.1, 0.1));
}

#[test]
fn a_bad_hyper_parameter_is_refused_by_name() {
    fn check(mut optimizer: impl Optimizer<f64>, expected: &str) {
        let mut parameters = [1.0];
        let error = optimizer.step(&mut parameters, &[1.0]).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(parameters, [1.0]);
    }
    check(
        Sgd::new(0.0),
        "learning rate is 0, must be positive and finite",
    );
    check(
        Sgd::new(f64::NAN),
        "learning rate is NaN, must be positive and finite",
    );
    check(
        Sgd::new(0.1).momentum(1.0),
        "momentum is 1, must be at least 0 and below 1",
    );
    check(
        Sgd::new(0.1).nesterov(-0.1),
        "momentum is -0.1, must be at least 0 and below 1",
    );
    check(
        Sgd::new(0.1).weight_decay(-1.0),
        "weight decay is -1, must be at least 0 and finite",
    );
    check(
        Adam::new(f64::INFINITY),
        "learning rate is inf, must be positive and finite",
    );
    check(
        Adam::new(0.1).betas(1.0, 0.9),
        "first beta is 1, must be at least 0 and below 1",
    );
    check(
        Adam::new(0.1).betas(0.9, f64::NAN),
        "second beta is NaN, must be at least 0 and below 1",
    );
    check(
        Adam::new(0.1).epsilon(0.0),
        "epsilon is 0, must be positive and finite",
    );
    check(
        Adam::adamw(0.1, -0.5),
        "weight decay is -0.5, must be at least 0 and finite",
    );
}
