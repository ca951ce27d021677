//! Activations: reference values, boundary values, and slopes against differences, scalar and in matrices.

use approx::assert_relative_eq;
use backprop_runtime::activation::{gelu, relu, sigmoid, silu, softplus, tanh};
use backprop_runtime::{Activation, Error};
use ndarray::{Array, Array1, Array2, array};

/// Activation, z, value, slope: from mpmath with 50 digits.
#[rustfmt::skip]
const REFERENCE: &[(Activation, f64, f64, f64)] = {
    use Activation::*;
    &[
        (Sigmoid, -40.0, 4.248354255291589e-18, 4.248354255291589e-18),
        (Sigmoid, -2.5, 0.075_858_180_021_243_55, 0.070_103_716_545_108_16),
        (Sigmoid, 0.0, 0.5, 0.25),
        (Sigmoid, 0.7, 0.668_187_772_168_166_2, 0.22171287329310905),
        (Sigmoid, 40.0, 1.0, 4.248354255291589e-18),
        (Tanh, -2.5, -0.986_614_298_151_430_3, 0.02659222668316062),
        (Tanh, -0.3, -0.291_312_612_451_590_9, 0.9151369618266292),
        (Tanh, 0.0, 0.0, 1.0),
        (Tanh, 3.0, 0.995_054_753_686_730_5, 0.009_866_037_165_440_19),
        (Relu, -2.5, 0.0, 0.0),
        (Relu, 0.0, 0.0, 0.0),
        (Relu, -0.0, 0.0, 0.0),
        (Relu, 0.7, 0.7, 1.0),
        (Silu, -40.0, -1.6993417021166356e-16, -1.6568581595637197e-16),
        (Silu, -2.5, -0.18964545005310888, -0.099_401_111_341_526_83),
        (Silu, 0.0, 0.0, 0.5),
        (Silu, 3.0, 2.8577223804672997, 1.0881041060151696),
        (Gelu, -40.0, 0.0, 0.0),
        (Gelu, -2.5, -0.015084266089998582, -0.037951576212666183),
        (Gelu, -0.3, -0.11462907645724075, 0.26770454836119818),
        (Gelu, 0.0, 0.0, 0.5),
        (Gelu, 3.0, 2.996362607918227, 1.0115841666309697),
        (Gelu, 40.0, 40.0, 1.0),
        (Softplus, -40.0, 4.248354255291589e-18, 4.248354255291589e-18),
        (Softplus, -2.5, 0.078_889_734_292_549_63, 0.075_858_180_021_243_55),
        (Softplus, 0.0, std::f64::consts::LN_2, 0.5),
        (Softplus, 3.0, 3.048_587_351_573_742, 0.952_574_126_822_433_3),
        (Softplus, 40.0, 40.0, 1.0),
        (Identity, -2.5, -2.5, 1.0),
    ]
};

#[test]
fn values_and_slopes_are_those_of_the_reference() {
    for &(activation, z, value, slope) in REFERENCE {
        println!("{activation} at {z}");
        let got = activation.value_and_slope(z);
        assert_relative_eq!(got.0, value, max_relative = 1e-13, epsilon = 1e-30);
        assert_relative_eq!(got.1, slope, max_relative = 1e-13, epsilon = 1e-30);

        let got = activation.value_and_slope(z as f32);
        assert_relative_eq!(got.0, value as f32, max_relative = 1e-5, epsilon = 1e-20);
        assert_relative_eq!(got.1, slope as f32, max_relative = 1e-5, epsilon = 1e-20);
    }
}

#[test]
fn every_activation_is_in_the_reference() {
    for activation in Activation::ALL {
        assert!(
            REFERENCE.iter().any(|row| row.0 == *activation),
            "{activation}"
        );
    }
}

#[test]
fn slopes_match_central_differences() {
    for &activation in Activation::ALL {
        for step in -60..60 {
            let z = 0.1 * f64::from(step) + 0.05;
            let h = 1e-6;
            let difference = (activation.value(z + h) - activation.value(z - h)) / (2.0 * h);
            let (value, slope) = activation.value_and_slope(z);
            println!("{activation} at {z}");
            assert_eq!(value.to_bits(), activation.value(z).to_bits());
            assert_relative_eq!(slope, difference, max_relative = 1e-5, epsilon = 1e-9);
        }
    }
}

#[test]
fn values_and_slopes_are_finite_wherever_the_input_is() {
    let inputs = [
        0.0,
        f64::MIN_POSITIVE,
        5e-324,
        1e-9,
        36.0,
        40.0,
        700.0,
        710.0,
        800.0,
        1e5,
        1e155,
        1e300,
        f64::MAX,
    ];
    for &activation in Activation::ALL {
        for z in inputs.iter().flat_map(|&z| [z, -z]) {
            let (value, slope) = activation.value_and_slope(z);
            assert!(
                value.is_finite() && slope.is_finite(),
                "{activation} at {z}: {value}, {slope}"
            );
            let z = z.clamp(f32::MIN.into(), f32::MAX.into()) as f32;
            let (value, slope) = activation.value_and_slope(z);
            assert!(
                value.is_finite() && slope.is_finite(),
                "{activation} at {z}_f32: {value}, {slope}"
            );
        }
    }
}

#[test]
fn saturated_values_and_slopes_are_exact() {
    for z in [800.0, 1e300] {
        assert_eq!(Activation::Sigmoid.value_and_slope(z), (1.0, 0.0));
        assert_eq!(Activation::Sigmoid.value_and_slope(-z), (0.0, 0.0));
        assert_eq!(Activation::Tanh.value_and_slope(z), (1.0, 0.0));
        assert_eq!(Activation::Tanh.value_and_slope(-z), (-1.0, 0.0));
        for activation in [
            Activation::Relu,
            Activation::Silu,
            Activation::Gelu,
            Activation::Softplus,
        ] {
            assert_eq!(activation.value_and_slope(z), (z, 1.0), "{activation}");
            assert_eq!(activation.value_and_slope(-z), (0.0, 0.0), "{activation}");
        }
    }
}

#[test]
fn a_nan_stays_a_nan() {
    for &activation in Activation::ALL {
        let (value, _) = activation.value_and_slope(f64::NAN);
        assert!(
            value.is_nan() && activation.value(f64::NAN).is_nan(),
            "{activation}"
        );
    }
}

#[test]
fn the_functions_themselves_are_annotated() {
    assert_eq!(sigmoid::value_and_gradient(0.0).1.z, 0.25);
    assert_eq!(tanh::value_and_gradient(0.0).1.z, 1.0);
    assert_eq!(relu::value_and_gradient(2.0).1.z, 1.0);
    assert_eq!(silu::value_and_gradient(0.0).1.z, 0.5);
    assert_eq!(gelu::value_and_gradient(0.0_f32).1.z, 0.5);
    assert_eq!(softplus::value_and_gradient(0.0_f32).1.z, 0.5);
}

#[test]
fn matrices_are_mapped_element_by_element() {
    let z = Array::linspace(-3.0, 3.0, 12)
        .into_shape_with_order((3, 4))
        .unwrap();
    let upstream = Array::linspace(0.5, 2.0, 12)
        .into_shape_with_order((3, 4))
        .unwrap();
    for &activation in Activation::ALL {
        let mut applied = z.clone();
        activation.apply(&mut applied);
        assert_eq!(applied, z.mapv(|z| activation.value(z)));

        // In any layout: here the activations are the transpose of a transposed matrix.
        let mut y = z.t().as_standard_layout().into_owned().reversed_axes();
        let mut residuals = Array2::zeros((3, 4));
        activation.forward(&mut y, &mut residuals).unwrap();
        assert_eq!(y, applied);
        let mut d_z = upstream.clone();
        Activation::backward(&residuals, &mut d_z).unwrap();
        let expected = &upstream * &z.mapv(|z| activation.value_and_slope(z).1);
        assert_eq!(d_z, expected);
    }
}

#[test]
fn a_wrong_shape_is_an_error_and_changes_nothing() {
    let (mut z, mut residuals) = (array![-1.0, 1.0], Array1::zeros(3));
    let error = Activation::Relu
        .forward(&mut z, &mut residuals)
        .unwrap_err();
    assert_eq!(error.to_string(), "residuals have shape [3], expected [2]");
    assert_eq!(z, array![-1.0, 1.0]);

    let error = Activation::backward(&residuals, &mut z).unwrap_err();
    assert_eq!(
        error.to_string(),
        "upstream gradients have shape [2], expected [3]"
    );
    assert_eq!(z, array![-1.0, 1.0]);
}

#[test]
fn names_are_read_and_written() {
    for &activation in Activation::ALL {
        assert_eq!(activation.to_string().parse(), Ok(activation));
    }
    let error = "swish".parse::<Activation>().unwrap_err();
    assert!(matches!(
        error,
        Error::UnknownName {
            what: "activation",
            ..
        }
    ));
    assert_eq!(
        error.to_string(),
        "unknown activation `swish`, expected one of sigmoid, tanh, relu, silu, gelu, softplus, identity"
    );
    assert_eq!(format!("[{:>6}]", Activation::Relu), "[  relu]");
}
