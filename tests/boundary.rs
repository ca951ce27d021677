//! Where derivatives are infinite, undefined or a matter of choice: every row of the table of boundary values.
//!
//! A row is a function, its arguments and the derivative required there. `exact` compares bits (any NaN is one NaN),
//! `about` allows a few ulp. At kinks the choice is the one that JAX and PyTorch share, where they share one.

#![allow(clippy::needless_range_loop)] // Differentiated as users write them.

use backprop::backprop;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

#[track_caller]
fn exact(got: f64, want: f64) {
    let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
    assert!(same, "got {got:e}, expected {want:e}");
}

/// Equal, zeros of either sign included.
#[track_caller]
fn equal(got: f64, want: f64) {
    assert!(
        got == want || got.is_nan() && want.is_nan(),
        "got {got:e}, expected {want:e}"
    );
}

#[track_caller]
fn about(got: f64, want: f64) {
    let near = (got - want).abs() <= 2e-15 * want.abs();
    assert!(got == want || near, "got {got:e}, expected {want:e}");
}

#[track_caller]
fn within_unit(got: f64) {
    assert!(
        (0.0..=1.0).contains(&got),
        "got {got:e}, expected something in [0, 1]"
    );
}

/// The functions in one variable, in both precisions.
macro_rules! unary {
    ($($name:ident: $x:ident => $e:expr;)*) => {
        mod double {
            $(#[backprop::backprop(allow(piecewise_constant))] pub fn $name($x: f64) -> f64 { $e })*
        }
        mod single {
            $(#[backprop::backprop(allow(piecewise_constant))] pub fn $name($x: f32) -> f32 { $e })*
        }
    };
}

unary! {
    abs: x => x.abs();
    relu: x => if x > 0.0 { x } else { 0.0 };
    max_zero: x => x.max(0.0);
    max_self: x => x.max(x);
    min_self: x => x.min(x);
    clamp: x => x.clamp(-1.0, 2.0);
    floor: x => x.floor();
    ceil: x => x.ceil();
    round: x => x.round();
    trunc: x => x.trunc();
    signum: x => x.signum();
    fract: x => x.fract();
    sqrt: x => x.sqrt();
    cbrt: x => x.cbrt();
    recip: x => x.recip();
    one_over: x => 1.0 / x;
    exp: x => x.exp();
    exp_m1: x => x.exp_m1();
    ln: x => x.ln();
    ln_1p: x => x.ln_1p();
    sin: x => x.sin();
    cos: x => x.cos();
    tan: x => x.tan();
    asin: x => x.asin();
    acos: x => x.acos();
    atan: x => x.atan();
    tanh: x => x.tanh();
    sinh: x => x.sinh();
    cosh: x => x.cosh();
    asinh: x => x.asinh();
    acosh: x => x.acosh();
    atanh: x => x.atanh();
    leaky_relu: x => if x > 0.0 { x } else { 0.01 * x };
    powi0: x => x.powi(0);
    powi1: x => x.powi(1);
    powi2: x => x.powi(2);
    powi_minus_1: x => x.powi(-1);
    powf0: x => x.powf(0.0);
    copysign_minus: x => x.copysign(-1.0);
    sqrt_of_square: x => (x * x).sqrt();
    guarded_sqrt: x => if x > 0.0 { x.sqrt() } else { 0.0 };
    dead_sqrt: x => { let _dead = x.sqrt(); let _also = (x - 3.0).acos(); x * x };
}

/// `d!(f(x))`, `d32!(f(x))`: the derivative there, after checking that `backward` gives the same bits.
macro_rules! d {
    ($f:ident($x:expr)) => {{
        let x: f64 = $x;
        let gradient = double::$f::gradient(x).x;
        let (y, saved) = double::$f::forward(x);
        exact(y, double::$f(x));
        equal(double::$f::backward(&saved, 1.0).x, gradient);
        gradient
    }};
}
macro_rules! d32 {
    ($f:ident($x:expr)) => {{
        let x: f32 = $x;
        let gradient = single::$f::gradient(x).x;
        let (y, saved) = single::$f::forward(x);
        exact(y.into(), single::$f(x).into());
        equal(single::$f::backward(&saved, 1.0).x.into(), gradient.into());
        f64::from(gradient)
    }};
}
/// The partial derivatives of a function of `x` and `y`.
macro_rules! dd {
    ($f:ident($x:expr, $y:expr)) => {{
        let g = $f::gradient($x, $y);
        let (_, saved) = $f::forward($x, $y);
        let split = $f::backward(&saved, 1.0);
        equal(split.x, g.x);
        equal(split.y, g.y);
        (g.x, g.y)
    }};
}

mod kinks {
    use super::*;

    #[test]
    fn abs_at_zero() {
        equal(d!(abs(0.0)), 0.0);
        equal(d!(abs(-0.0)), 0.0);
        equal(d32!(abs(0.0)), 0.0);
        equal(d32!(abs(-0.0)), 0.0);
        equal(d!(abs(5e-324)), 1.0);
        equal(d!(abs(-INF)), -1.0);
        equal(d!(abs(NAN)), NAN);
    }

    #[test]
    fn relu_at_zero() {
        equal(d!(relu(0.0)), 0.0);
        equal(d!(relu(-0.0)), 0.0);
        equal(d!(relu(5e-324)), 1.0);
        equal(d!(leaky_relu(0.0)), 0.01);
    }

    #[test]
    fn ties_of_max_and_min() {
        equal(d!(max_zero(0.0)), 0.5);
        equal(d!(max_self(3.0)), 1.0);
        equal(d!(min_self(3.0)), 1.0);
        equal(d32!(max_zero(0.0)), 0.5);
        equal(d32!(max_self(3.0)), 1.0);
    }

    #[backprop]
    fn max(x: f64, y: f64) -> f64 {
        x.max(y)
    }

    #[backprop]
    fn min(x: f64, y: f64) -> f64 {
        x.min(y)
    }

    #[test]
    fn ties_of_two_variables() {
        assert_eq!(dd!(max(1.0, 1.0)), (0.5, 0.5));
        assert_eq!(dd!(min(1.0, 1.0)), (0.5, 0.5));
        assert_eq!(dd!(max(INF, INF)), (0.5, 0.5));
        assert_eq!(dd!(max(0.0, -0.0)), (0.5, 0.5));
        assert_eq!(dd!(max(1.0, 2.0)), (0.0, 1.0));
        assert_eq!(dd!(min(1.0, 2.0)), (1.0, 0.0));
    }

    #[test]
    fn max_ignores_nan_as_its_value_does() {
        assert_eq!(dd!(max(NAN, 1.0)), (0.0, 1.0));
        assert_eq!(dd!(max(1.0, NAN)), (1.0, 0.0));
        assert_eq!(dd!(min(NAN, 1.0)), (0.0, 1.0));
        assert_eq!(dd!(min(1.0, NAN)), (1.0, 0.0));
    }

    #[test]
    fn clamp_at_its_bounds() {
        within_unit(d!(clamp(-1.0)));
        within_unit(d!(clamp(2.0)));
        equal(d!(clamp(0.0)), 1.0);
        equal(d!(clamp(-1.5)), 0.0);
        equal(d!(clamp(2.5)), 0.0);
        equal(d!(clamp(NAN)), NAN);
    }

    #[backprop]
    fn between(x: f64, lo: f64, hi: f64) -> f64 {
        x.clamp(lo, hi)
    }

    #[test]
    fn clamp_shares_with_its_bounds() {
        for (x, lo, hi) in [
            (1.0, 1.0, 2.0),
            (2.0, 1.0, 2.0),
            (0.0, 1.0, 2.0),
            (3.0, 1.0, 2.0),
        ] {
            let g = between::gradient(x, lo, hi);
            within_unit(g.x);
            equal(g.x + g.lo + g.hi, 1.0);
        }
        assert!(std::panic::catch_unwind(|| between::gradient(0.0, 2.0, 1.0)).is_err());
        assert!(std::panic::catch_unwind(|| between::gradient(0.0, NAN, 1.0)).is_err());
    }

    #[backprop(allow(piecewise_constant))]
    fn cast(x: f64) -> f64 {
        x as i64 as f64
    }

    #[backprop(allow(piecewise_constant))]
    fn cast32(x: f32) -> f32 {
        x as u8 as f32
    }

    #[test]
    fn piecewise_constants() {
        for x in [-2.5, -1.0, -0.0, 0.0, 0.3, 0.5, 7.0] {
            equal(d!(floor(x)), 0.0);
            equal(d!(ceil(x)), 0.0);
            equal(d!(round(x)), 0.0);
            equal(d!(trunc(x)), 0.0);
            equal(d!(signum(x)), 0.0);
            equal(d!(fract(x)), 1.0);
            equal(cast::gradient(x).x, 0.0);
            equal(d32!(floor(x as f32)), 0.0);
            equal(cast32::gradient(x as f32).x.into(), 0.0);
        }
    }

    #[backprop]
    fn copysign(x: f64, y: f64) -> f64 {
        x.copysign(y)
    }

    #[test]
    fn copysign_at_zero() {
        let d = d!(copysign_minus(0.0));
        assert!((-1.0..=1.0).contains(&d), "got {d}");
        equal(d!(copysign_minus(3.0)), -1.0);
        equal(d!(copysign_minus(-3.0)), 1.0);
        equal(copysign::gradient(2.0, -1.0).y, 0.0);
    }

    #[test]
    fn the_largest_of_a_slice_shares_its_ties() {
        #[backprop]
        fn largest(v: &[f64]) -> f64 {
            let mut m = v[0];
            for i in 1..v.len() {
                m = m.max(v[i]);
            }
            m
        }
        #[backprop]
        fn folded(v: &[f64]) -> f64 {
            v.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x))
        }
        for v in [&[1.0, 3.0, 3.0, 2.0, 3.0][..], &[2.0, 2.0], &[5.0]] {
            let top = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for g in [largest::gradient(v).v, folded::gradient(v).v] {
                equal(g.iter().sum(), 1.0);
                for (x, g) in v.iter().zip(&g) {
                    within_unit(*g);
                    assert!(*x == top || *g == 0.0);
                }
            }
        }
    }
}

mod powers {
    use super::*;

    #[test]
    fn roots() {
        equal(d!(sqrt(0.0)), INF);
        assert!(d!(sqrt(-0.0)).is_infinite());
        equal(d!(sqrt(-1.0)), NAN);
        equal(d!(sqrt(INF)), 0.0);
        about(d!(sqrt(5e-324)), 2.2494568972715982e+161);
        equal(d!(cbrt(0.0)), INF);
        about(d!(cbrt(-8.0)), 1.0 / 12.0);
        equal(d32!(sqrt(0.0)), INF);
        equal(d32!(sqrt(-1.0)), NAN);
        equal(d32!(cbrt(0.0)), INF);
    }

    #[test]
    fn reciprocals() {
        for x in [0.0, -0.0] {
            equal(d!(one_over(x)), -INF);
            equal(d!(recip(x)), -INF);
        }
        for x in [INF, -INF] {
            equal(d!(one_over(x)), 0.0);
            equal(d!(recip(x)), 0.0);
        }
    }

    #[test]
    fn integer_powers() {
        for x in [0.0, -0.0, NAN, INF, -INF, 2.0] {
            equal(d!(powi0(x)), 0.0);
            equal(d32!(powi0(x as f32)), 0.0);
        }
        equal(d!(powi1(0.0)), 1.0);
        equal(d!(powi2(0.0)), 0.0);
        equal(d!(powi2(-3.0)), -6.0);
        equal(d!(powi_minus_1(0.0)), -INF);
    }

    #[backprop]
    fn powi_at_run_time(x: f64, n: i32) -> f64 {
        x.powi(n)
    }

    #[test]
    fn integer_powers_known_at_run_time_only() {
        let d = |x, n| powi_at_run_time::gradient(x, n).x;
        for x in [0.0, NAN, INF] {
            equal(d(x, 0), 0.0);
        }
        equal(d(0.0, 1), 1.0);
        equal(d(0.0, 2), 0.0);
        equal(d(0.0, -1), -INF);
        equal(d(2.0, i32::MIN), 0.0);
        equal(d(1.0, i32::MIN), f64::from(i32::MIN));
    }

    #[test]
    fn a_constant_exponent() {
        equal(d!(powf0(0.0)), 0.0);
        equal(d!(powf0(NAN)), 0.0);
        equal(d!(powf0(2.0)), 0.0);
        equal(d32!(powf0(0.0)), 0.0);
    }

    #[backprop]
    fn powf(x: f64, y: f64) -> f64 {
        x.powf(y)
    }

    #[backprop(wrt(x))]
    fn powf_in_x(x: f64, y: f64) -> f64 {
        x.powf(y)
    }

    #[test]
    fn an_active_exponent() {
        assert_eq!(dd!(powf(0.0, 0.0)), (0.0, 0.0));
        assert_eq!(dd!(powf(0.0, 1.0)), (1.0, 0.0));
        assert_eq!(dd!(powf(0.0, 2.0)), (0.0, 0.0));
        assert_eq!(dd!(powf(0.0, 0.5)), (INF, 0.0));
        let (dx, dy) = dd!(powf(0.0, -1.0));
        assert!(dx == -INF && (dy.is_nan() || dy == -INF), "got {dx}, {dy}");
        assert_eq!(dd!(powf(1.0, INF)), (INF, 0.0));
        let (dx, dy) = dd!(powf(2.0, -INF));
        assert!((dx.is_nan() || dx == 0.0) && dy == 0.0, "got {dx}, {dy}");
    }

    #[test]
    fn a_negative_base() {
        let (dx, dy) = dd!(powf(-2.0, 2.0));
        equal(dx, -4.0);
        assert!(dy.is_nan());
        equal(dd!(powf(-2.0, 3.0)).0, 12.0);
        equal(powf_in_x::gradient(-2.0, 2.0).x, -4.0);
        equal(powf_in_x::gradient(-2.0, 3.0).x, 12.0);
    }

    #[test]
    fn at_zero_the_chain_rule_gives_nan_and_a_guard_helps() {
        #[backprop]
        fn norm(x: f64, y: f64) -> f64 {
            (x * x + y * y).sqrt()
        }
        #[backprop]
        fn guarded(x: f64, y: f64) -> f64 {
            let n2 = x * x + y * y;
            if n2 > 0.0 { n2.sqrt() } else { 0.0 }
        }
        equal(d!(sqrt_of_square(0.0)), NAN);
        assert!(dd!(norm(0.0, 0.0)).0.is_nan());
        assert_eq!(dd!(guarded(0.0, 0.0)), (0.0, 0.0));
        let (dx, dy) = dd!(guarded(3.0, 4.0));
        about(dx, 0.6);
        about(dy, 0.8);
    }
}

mod exponentials {
    use super::*;

    #[test]
    fn exp_and_exp_m1() {
        equal(d!(exp(710.0)), INF);
        equal(d!(exp(-746.0)), 0.0);
        equal(d!(exp(INF)), INF);
        equal(d!(exp(-INF)), 0.0);
        equal(d!(exp_m1(0.0)), 1.0);
        about(d!(exp_m1(-40.0)), (-40.0f64).exp());
        assert!((d32!(exp_m1(-40.0)) / (-40.0f64).exp() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn logarithms() {
        equal(d!(ln(0.0)), INF);
        equal(d!(ln(-0.0)), -INF);
        let d = d!(ln(-1.0));
        assert!(d.is_nan() || d == -1.0);
        equal(d!(ln(INF)), 0.0);
        equal(d!(ln_1p(-1.0)), INF);
        let d = d!(ln_1p(-2.0));
        assert!(d.is_nan() || d == -1.0);
        equal(d32!(ln(0.0)), INF);
    }

    #[test]
    fn hyperbolic_functions() {
        let d = d!(tanh(20.0));
        assert!(
            d == 0.0 || (d / 1.699_341_702_116_6e-17 - 1.0).abs() < 1e-10,
            "got {d:e}"
        );
        for x in [400.0, INF] {
            equal(d!(tanh(x)), 0.0);
            equal(d!(tanh(-x)), 0.0);
        }
        equal(d!(sinh(711.0)), INF);
        equal(d!(sinh(-INF)), INF);
        equal(d!(cosh(711.0)), INF);
        equal(d!(cosh(-INF)), -INF);
        about(d!(asinh(1e200)), 1e-200);
        equal(d!(acosh(1.0)), INF);
        equal(d!(acosh(0.5)), NAN);
        about(d!(acosh(1e200)), 1e-200);
        equal(d!(atanh(1.0)), INF);
        equal(d!(atanh(-1.0)), INF);
        let d = d!(atanh(2.0));
        assert!(d.is_nan() || d == -1.0 / 3.0);
        assert!((d32!(asinh(1e30)) / 1e-30 - 1.0).abs() < 1e-6);
        assert!((d32!(acosh(1e30)) / 1e-30 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn near_the_ends_of_the_domain() {
        // 1 − x² would have lost nine digits here.
        let x = 1.0 - 1e-9;
        let e = 1.0 - x; // exact
        about(d!(asin(x)), 1.0 / (e * (2.0 - e)).sqrt());
        about(d!(acos(x)), -1.0 / (e * (2.0 - e)).sqrt());
        about(d!(atanh(x)), 1.0 / (e * (2.0 - e)));
        let x = 1.0 + 1e-9;
        let e = x - 1.0;
        about(d!(acosh(x)), 1.0 / (e * (2.0 + e)).sqrt());
    }
}

mod circular {
    use super::*;

    #[test]
    fn sine_cosine_and_tangent() {
        for x in [INF, -INF, NAN] {
            equal(d!(sin(x)), NAN);
            equal(d!(cos(x)), NAN);
            equal(d!(tan(x)), NAN);
        }
        about(d!(sin(1e22)), 0.523_214_785_395_138_9);
    }

    #[test]
    fn inverses() {
        for x in [1.0, -1.0] {
            equal(d!(asin(x)), INF);
            equal(d!(acos(x)), -INF);
        }
        equal(d!(asin(1.5)), NAN);
        equal(d!(acos(1.5)), NAN);
        equal(d!(atan(INF)), 0.0);
        equal(d!(atan(-INF)), 0.0);
        assert!(d!(atan(1e200)).abs() <= f64::MIN_POSITIVE);
        equal(d32!(asin(1.0)), INF);
    }
}

mod two_variables {
    use super::*;

    #[backprop]
    fn times(x: f64, y: f64) -> f64 {
        x * y
    }

    #[backprop]
    fn over(x: f64, y: f64) -> f64 {
        x / y
    }

    #[backprop]
    fn rem(x: f64, y: f64) -> f64 {
        x % y
    }

    #[backprop]
    fn rem_euclid(x: f64, y: f64) -> f64 {
        x.rem_euclid(y)
    }

    #[backprop]
    fn atan2(x: f64, y: f64) -> f64 {
        x.atan2(y)
    }

    #[backprop]
    fn hypot(x: f64, y: f64) -> f64 {
        x.hypot(y)
    }

    #[test]
    fn zero_times_infinity() {
        assert_eq!(dd!(times(0.0, INF)), (INF, 0.0));
    }

    #[test]
    fn quotients() {
        assert_eq!(dd!(over(1.0, 0.0)), (INF, -INF));
        let (dx, dy) = dd!(over(0.0, 0.0));
        assert!(dx == INF && dy.is_nan());
        let (dx, dy) = dd!(over(0.0, 1.0));
        equal(dx, 1.0);
        equal(dy, 0.0);
        let (dx, dy) = dd!(over(1e-200, 1e-200));
        about(dx, 1e200);
        about(dy, -1e200);
    }

    #[test]
    fn remainders() {
        assert_eq!(dd!(rem(5.5, 2.0)), (1.0, -2.0));
        assert_eq!(dd!(rem(-5.5, 2.0)), (1.0, 2.0));
        assert_eq!(dd!(rem(5.5, -2.0)), (1.0, 2.0));
        assert_eq!(dd!(rem_euclid(5.5, 2.0)), (1.0, -2.0));
        assert_eq!(dd!(rem_euclid(-5.5, 2.0)), (1.0, 3.0));
        assert_eq!(dd!(rem_euclid(-5.5, -2.0)), (1.0, -3.0));
    }

    #[test]
    fn angles() {
        // `x` is the ordinate here: x.atan2(y).
        assert_eq!(dd!(atan2(0.0, 1.0)), (1.0, 0.0));
        assert_eq!(dd!(atan2(1.0, 0.0)), (0.0, -1.0));
        assert_eq!(dd!(atan2(-1.0, 0.0)), (0.0, 1.0));
        assert_eq!(dd!(atan2(0.0, -1.0)), (-1.0, 0.0));
        let (dx, dy) = dd!(atan2(0.0, 0.0));
        assert!((dx.is_nan() || dx == 0.0) && (dy.is_nan() || dy == 0.0));
        let (dx, dy) = dd!(atan2(1e-200, 1e-200));
        about(dx, 5e199);
        about(dy, -5e199);
        let (dx, dy) = dd!(atan2(1e200, 1e200));
        about(dx, 5e-201);
        about(dy, -5e-201);
    }

    #[test]
    fn lengths() {
        assert_eq!(dd!(hypot(0.0, 0.0)), (0.0, 0.0));
        for s in [1e200, 1e-200, 1.0] {
            let (dx, dy) = dd!(hypot(s, -s));
            about(dx, std::f64::consts::FRAC_1_SQRT_2);
            about(dy, -std::f64::consts::FRAC_1_SQRT_2);
        }
    }

    #[test]
    fn products_with_zeros() {
        #[backprop]
        fn product(v: &[f64]) -> f64 {
            let mut p = 1.0;
            for x in v {
                p *= x;
            }
            p
        }
        #[backprop]
        fn of_three(x: f64, y: f64, z: f64) -> f64 {
            x * y * z
        }
        assert_eq!(product::gradient(&[0.0, 2.0, 3.0]).v, vec![6.0, 0.0, 0.0]);
        assert_eq!(product::gradient(&[0.0, 2.0, 0.0]).v, vec![0.0; 3]);
        let g = of_three::gradient(0.0, 2.0, 3.0);
        assert_eq!((g.x, g.y, g.z), (6.0, 0.0, 0.0));
    }
}

mod untaken {
    use super::*;

    #[test]
    fn a_branch_not_taken_is_not_evaluated() {
        for x in [0.0, -1.0] {
            equal(d!(guarded_sqrt(x)), 0.0);
            equal(d32!(guarded_sqrt(x as f32)), 0.0);
        }
        equal(d!(guarded_sqrt(4.0)), 0.25);
    }

    #[test]
    fn a_value_not_used_does_not_poison() {
        for x in [-1.0, 0.0, 100.0] {
            equal(d!(dead_sqrt(x)), 2.0 * x);
        }
    }

    #[test]
    fn empty_slices() {
        #[backprop]
        fn sum(v: &[f64]) -> f64 {
            v.iter().sum()
        }
        let (y, g) = sum::value_and_gradient(&[]);
        exact(y, sum(&[]));
        assert!(g.v.is_empty());
    }
}

/// Sigmoids, in every way in which they are written.
mod sigmoids {
    use super::*;

    macro_rules! sigmoids {
        ($module:ident, $t:ty) => {
            mod $module {
                use backprop::backprop;

                #[backprop]
                pub fn plain(z: $t) -> $t {
                    1.0 / (1.0 + (-z).exp())
                }
                #[backprop]
                pub fn recip(z: $t) -> $t {
                    (1.0 + (-z).exp()).recip()
                }
                #[backprop]
                pub fn swapped(z: $t) -> $t {
                    1.0 / ((-z).exp() + 1.0)
                }
                #[backprop]
                pub fn named(z: $t) -> $t {
                    let e = (-z).exp();
                    let d = 1.0 + e;
                    1.0 / d
                }
                #[backprop]
                pub fn quotient(z: $t) -> $t {
                    if z > 0.0 {
                        1.0 / (1.0 + (-z).exp())
                    } else {
                        z.exp() / (1.0 + z.exp())
                    }
                }
                pub type Case = (&'static str, fn($t) -> $t, fn($t) -> $t, fn($t) -> $t);
                pub const ALL: [Case; 5] = [
                    (
                        "plain",
                        plain,
                        |z| plain::gradient(z).z,
                        |z| plain::backward(&plain::forward(z).1, 1.0).z,
                    ),
                    (
                        "recip",
                        recip,
                        |z| recip::gradient(z).z,
                        |z| recip::backward(&recip::forward(z).1, 1.0).z,
                    ),
                    (
                        "swapped",
                        swapped,
                        |z| swapped::gradient(z).z,
                        |z| swapped::backward(&swapped::forward(z).1, 1.0).z,
                    ),
                    (
                        "named",
                        named,
                        |z| named::gradient(z).z,
                        |z| named::backward(&named::forward(z).1, 1.0).z,
                    ),
                    (
                        "quotient",
                        quotient,
                        |z| quotient::gradient(z).z,
                        |z| quotient::backward(&quotient::forward(z).1, 1.0).z,
                    ),
                ];
            }
        };
    }
    sigmoids!(double, f64);
    sigmoids!(single, f32);

    /// e / (1 + e)², from the exponential that does not overflow.
    fn derivative(z: f64) -> f64 {
        let e = (-z.abs()).exp();
        e / (1.0 + e) / (1.0 + e)
    }

    #[test]
    fn accurate_and_finite_up_to_a_thousand() {
        for k in -2000..=2000 {
            let z = f64::from(k) * 0.5;
            let want = derivative(z);
            for (name, f, fused, split) in double::ALL {
                for got in [fused(z), split(z)] {
                    assert!(got.is_finite() && f(z).is_finite(), "{name}({z}): {got}");
                    let error = (got - want).abs();
                    assert!(
                        error <= 1e-14 * want + f64::MIN_POSITIVE,
                        "{name}({z}): {got:e}, expected {want:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn accurate_and_finite_in_single_precision() {
        for k in -2000..=2000 {
            let z = k as f32 * 0.5;
            let want = derivative(z.into());
            for (name, f, fused, split) in single::ALL {
                for got in [fused(z), split(z)] {
                    assert!(got.is_finite() && f(z).is_finite(), "{name}({z}): {got}");
                    let error = (f64::from(got) - want).abs();
                    let tiny = f64::from(f32::MIN_POSITIVE);
                    assert!(
                        error <= 1e-5 * want + tiny,
                        "{name}({z}): {got:e}, expected {want:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn at_the_points_of_the_table() {
        for (_, _, d, _) in double::ALL {
            assert!((d(40.0) / 4.248_354_255_291_589e-18 - 1.0).abs() < 1e-14);
            equal(d(800.0), 0.0);
            equal(d(-800.0), 0.0);
            equal(d(INF), 0.0);
        }
    }

    #[test]
    fn softplus_and_log_sigmoid() {
        #[backprop]
        fn softplus(x: f64) -> f64 {
            x.max(0.0) + (-x.abs()).exp().ln_1p()
        }
        #[backprop]
        fn log_sigmoid(x: f64) -> f64 {
            -((-x).max(0.0) + (-x.abs()).exp().ln_1p())
        }
        for (x, want) in [(-800.0, 0.0), (0.0, 0.5), (800.0, 1.0)] {
            equal(softplus::gradient(x).x, want);
            equal(log_sigmoid::gradient(-x).x, want);
        }
    }
}

mod log_sum_exp {
    use super::*;

    #[backprop]
    fn naive(v: &[f64]) -> f64 {
        v.iter().map(|x| x.exp()).sum::<f64>().ln()
    }

    #[backprop]
    fn shifted(v: &[f64]) -> f64 {
        let mut m = f64::NEG_INFINITY;
        for x in v {
            m = m.max(*x);
        }
        let mut s = 0.0;
        for x in v {
            s += (x - m).exp();
        }
        m + s.ln()
    }

    #[test]
    fn the_maximum_cancels() {
        assert_eq!(shifted::gradient(&[1000.0, 1000.0]).v, vec![0.5, 0.5]);
        assert!(
            shifted::gradient(&[-INF, -INF])
                .v
                .iter()
                .all(|g| g.is_nan())
        );
        let g = shifted::gradient(&[1.0, 2.0, 3.0]).v;
        let h = naive::gradient(&[1.0, 2.0, 3.0]).v;
        for (a, b) in g.iter().zip(&h) {
            assert!((a - b).abs() < 1e-15);
        }
    }
}

/// A maximum that a loop carries by `max`: no iteration keeps anything, and ties are found again from the result.
mod carried_extremum {
    use super::*;

    #[backprop]
    fn most(v: &[f64]) -> f64 {
        v.iter().copied().fold(-INF, f64::max)
    }

    #[backprop]
    fn least(v: &[f64]) -> f64 {
        let mut m = v[0];
        for x in &v[1..] {
            m = x.min(m);
        }
        m
    }

    #[backprop]
    fn of_numbers(v: &[f64]) -> f64 {
        v.iter().copied().fold(NAN, f64::max)
    }

    #[backprop(wrt(v, start))]
    fn widest(v: &[f64], start: f64) -> f64 {
        let mut m = start;
        for i in 0..v.len() {
            m = m.max(v[i].abs());
        }
        3.0 * m
    }

    macro_rules! slopes {
        ($f:ident, $v:expr, $want:expr) => {{
            let (v, want): (&[f64], &[f64]) = (&$v, &$want);
            let (y, saved) = $f::forward(v);
            let mut into = vec![NAN; v.len()];
            let z = $f::value_and_gradient_into(v, &mut into);
            exact(y, $f(v));
            exact(z, $f(v));
            for d in [into, $f::backward(&saved, 1.0).v] {
                assert_eq!(d, want, "{} of {v:?}", stringify!($f));
            }
        }};
    }

    #[test]
    fn ties_share() {
        slopes!(most, [1.0, 3.0, 2.0], [0.0, 1.0, 0.0]);
        slopes!(most, [3.0, 1.0, 3.0, 2.0, 3.0], [0.25, 0.0, 0.25, 0.0, 0.5]);
        slopes!(most, [NAN, 1.0, NAN, 0.5], [0.0, 1.0, 0.0, 0.0]);
        slopes!(most, [-INF, -INF], [0.25, 0.5]);
        slopes!(most, [-0.0, 0.0], [0.5, 0.5]);
        slopes!(least, [2.0], [1.0]);
        slopes!(least, [2.0, 5.0, 2.0], [0.5, 0.0, 0.5]);
        slopes!(least, [2.0, 1.0, 2.0, 1.0], [0.0, 0.5, 0.0, 0.5]);
        slopes!(of_numbers, [NAN, 2.0, 1.0, 2.0], [0.0, 0.5, 0.0, 0.5]);
        assert!(most::gradient(&[]).v.is_empty());
    }

    #[test]
    fn the_start_takes_part() {
        for (v, start, want, want_start) in [
            (vec![1.0, -2.0], 0.5, vec![0.0, -3.0], 0.0),
            (vec![1.0, -2.0], 5.0, vec![0.0, 0.0], 3.0),
            (vec![1.0, -2.0, 2.0], 2.0, vec![0.0, -0.75, 1.5], 0.75),
            (vec![], 2.0, vec![], 3.0),
        ] {
            let g = widest::gradient(&v, start);
            assert_eq!((g.v, g.start), (want, want_start), "{v:?} {start}");
        }
    }
}
