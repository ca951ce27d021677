//! Dual numbers against differences and against values known from elsewhere.

use super::dual::{Dual, c};

type Unary = (
    &'static str,
    fn(Dual) -> Dual,
    fn(f64) -> f64,
    &'static [f64],
);

const LINE: &[f64] = &[-2.3, -0.7, 0.4, 1.9];
const POSITIVE: &[f64] = &[0.2, 0.9, 3.1];
const UNIT: &[f64] = &[-0.8, -0.1, 0.6];

macro_rules! rows {
    ($($name:ident on $points:expr;)*) => {
        &[$((stringify!($name), Dual::$name, f64::$name, $points)),*]
    };
}

const UNARY: &[Unary] = rows! {
    exp on LINE; exp2 on LINE; exp_m1 on LINE; ln on POSITIVE; ln_1p on UNIT; log2 on POSITIVE; log10 on POSITIVE;
    sqrt on POSITIVE; cbrt on LINE; sin on LINE; cos on LINE; tan on UNIT; asin on UNIT; acos on UNIT; atan on LINE;
    sinh on LINE; cosh on LINE; tanh on LINE; asinh on LINE; acosh on &[1.2, 2.5]; atanh on UNIT; recip on LINE;
    abs on LINE; signum on LINE; floor on LINE; ceil on LINE; round on LINE; round_ties_even on LINE; trunc on LINE;
    fract on LINE; to_radians on LINE; to_degrees on LINE;
};

/// Fourth-order central difference.
fn difference(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3;
    (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * h)
}

fn close(what: &str, got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-8 * want.abs().max(1.0),
        "{what}: {got:e}, not {want:e}"
    );
}

#[test]
fn functions_of_one_number_have_the_slope_of_their_graph() {
    for (name, dual, float, points) in UNARY {
        for &x in *points {
            let y = dual(Dual::variable(x));
            assert_eq!(y.v.to_bits(), float(x).to_bits(), "{name}({x})");
            close(&format!("{name}'({x})"), y.d, difference(float, x));
            assert!(y.m >= y.d.abs());
        }
    }
}

#[test]
fn functions_of_several_numbers_have_the_slopes_of_their_graphs() {
    type Binary = (&'static str, fn(Dual, Dual) -> Dual, fn(f64, f64) -> f64);
    let rows: [Binary; 15] = [
        ("+", |a, b| a + b, |a, b| a + b),
        ("-", |a, b| a - b, |a, b| a - b),
        ("*", |a, b| a * b, |a, b| a * b),
        ("/", |a, b| a / b, |a, b| a / b),
        ("%", |a, b| a % b, |a, b| a % b),
        ("atan2", Dual::atan2, f64::atan2),
        ("hypot", Dual::hypot, f64::hypot),
        ("powf", |a, b| a.abs().powf(b), |a, b| a.abs().powf(b)),
        ("log", |a, b| a.abs().log(b), |a, b| a.abs().log(b)),
        ("max", Dual::max, f64::max),
        ("min", Dual::min, f64::min),
        ("copysign", Dual::copysign, f64::copysign),
        ("rem_euclid", Dual::rem_euclid, f64::rem_euclid),
        ("div_euclid", Dual::div_euclid, f64::div_euclid),
        ("mul_add", |a, b| a.mul_add(b, a), |a, b| a.mul_add(b, a)),
    ];
    for (name, dual, float) in rows {
        for (x, y) in [(1.7, 0.6), (-1.3, 2.2), (0.3, 1.4), (-5.2, 1.6)] {
            let (in_x, in_y) = (dual(Dual::variable(x), c(y)), dual(c(x), Dual::variable(y)));
            assert_eq!(in_x.v.to_bits(), float(x, y).to_bits(), "{name}({x}, {y})");
            close(
                &format!("{name}({x}, {y}) in x"),
                in_x.d,
                difference(|x| float(x, y), x),
            );
            close(
                &format!("{name}({x}, {y}) in y"),
                in_y.d,
                difference(|y| float(x, y), y),
            );
        }
    }
    for n in -3..=4 {
        let y = Dual::variable(1.3).powi(n);
        close(&format!("powi({n})"), y.d, difference(|x| x.powi(n), 1.3));
    }
    for x in [-2.0, 0.3, 2.0] {
        let y = Dual::variable(x).clamp(c(-1.0), c(1.0));
        close(
            &format!("clamp({x})"),
            y.d,
            difference(|x| x.clamp(-1.0, 1.0), x),
        );
    }
}

#[test]
fn boundary_values_are_those_of_the_documentation() {
    let d = |f: fn(Dual) -> Dual, x: f64| f(Dual::variable(x)).d;
    assert_eq!([d(Dual::abs, 0.0), d(Dual::abs, -0.0)], [0.0, 0.0]);
    assert_eq!(d(|x| x.max(x), 1.0), 1.0);
    assert_eq!(
        [d(|x| x.max(c(1.0)), 1.0), d(|x| x.min(c(1.0)), 1.0)],
        [0.5, 0.5]
    );
    assert_eq!(
        [
            d(|x| x.max(c(1.0)), f64::NAN),
            d(|x| x.max(c(f64::NAN)), 1.0)
        ],
        [0.0, 1.0]
    );
    assert_eq!(
        [d(|x| x.hypot(c(0.0)), 0.0), d(|x| x.hypot(x), 1e-200)],
        [0.0, 2.0_f64.sqrt()]
    );
    assert_eq!(
        [d(Dual::sqrt, 0.0), d(Dual::cbrt, 0.0), d(Dual::ln, 0.0)],
        [f64::INFINITY; 3]
    );
    assert!(
        d(Dual::ln, -1.0).is_nan() && d(Dual::acosh, 0.5).is_nan() && d(Dual::atanh, 2.0).is_nan()
    );
    assert_eq!(
        [
            d(|x| x.powi(0), 0.0),
            d(|x| x.powi(1), 0.0),
            d(|x| x.powi(-1), 0.0)
        ],
        [0.0, 1.0, f64::NEG_INFINITY]
    );
    assert_eq!(
        [d(|x| x.powf(c(0.0)), 0.0), d(|x| x.powf(c(2.0)), -2.0)],
        [0.0, -4.0]
    );
    assert_eq!(d(|y| c(0.0).powf(y), 2.0), 0.0);
    assert_eq!(
        [
            d(|y| c(5.5) % y, 2.0),
            d(|y| c(-5.5) % y, 2.0),
            d(|y| c(5.5) % y, -2.0)
        ],
        [-2.0, 2.0, 2.0]
    );
    assert_eq!(d(Dual::asinh, 1e200), 1e-200);
    assert_eq!(d(Dual::exp_m1, -40.0), (-40.0_f64).exp());
    assert!((d(Dual::tanh, 20.0) - 1.699_341_702_116_675e-17).abs() < 1e-30);
    assert!((d(|x| x.atan2(c(1e-200)), 1e-200) / 5e199 - 1.0).abs() < 1e-15);
    assert_eq!(
        [
            d(|x| x.clamp(c(0.0), c(1.0)), 0.0),
            d(|x| x.clamp(c(0.0), c(1.0)), 1.0)
        ],
        [1.0, 1.0]
    );
}

#[test]
fn terms_that_cancel_leave_their_size() {
    let x = Dual::variable(3.0);
    let y = x * c(1e6) - x * c(1e6);
    assert_eq!((y.v, y.d, y.m), (0.0, 0.0, 2e6));
}
