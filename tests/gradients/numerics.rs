//! Where a careless derivative is NaN, infinite, zero or of the wrong precision.

use crate::check::check;
use backprop::backprop;

// Exactly 0, not uninitialised.
#[test]
fn constant_fn() {
    #[backprop(allow(unused_parameter))]
    fn constant_fn(x: f64) -> f64 {
        let _ = x;
        3.5
    }

    check!(constant_fn(0.7) = 3.5, { x: 0.0 });
    check!(constant_fn(2.0) = 3.5, { x: 0.0 });
}

// An `acos` outside of its domain whose result is not used must not poison the gradient.
#[test]
fn dead_code_nan() {
    #[backprop]
    fn dead_code_nan(c: f64, a: f64) -> f64 {
        let _unused = (-c / a).acos();
        2.0 * c * c * a
    }

    check!(dead_code_nan(5.0, 3.0) = 150.0, { c: 60.0, a: 50.0 });
    check!(dead_code_nan(-4.0, 1.5) = 48.0, { c: -24.0, a: 32.0 });
}

#[test]
fn f32_function() {
    #[backprop]
    fn f32_function(x: f32, y: f32) -> f32 {
        (x * y).sin() + x.powi(2) / y
    }

    check!(f32_function(0.5, 2.0) = 0.9664709848078965, { x: 1.5806046117362795, y: 0.20765115293406985 }, within 1e-6);
    check!(f32_function(1.25, -0.75) = -2.889414441594026, { x: -3.7771871396526913, y: -2.038021433912181 }, within 1e-6);
}

// The value of `if` at the constant, not just of the branch.
#[test]
fn identity_case_split() {
    #[backprop]
    fn identity_case_split(x: f64) -> f64 {
        if x < 0.0 { x } else { x }
    }

    check!(identity_case_split(-5.0) = -5.0, { x: 1.0 });
    check!(identity_case_split(5.0) = 5.0, { x: 1.0 });
}

// A cast to an integer is piecewise constant.
#[test]
fn int_cast_kills() {
    #[backprop]
    fn int_cast_kills(x: f64) -> f64 {
        let n = x as i64;
        (n as f64) * x + (x as i32 as f64)
    }

    check!(int_cast_kills(2.3) = 6.6, { x: 2.0 });
    check!(int_cast_kills(-3.6) = 7.800000000000001, { x: -3.0 });
}

// The companion x = 0, w = −1 has an infinite partial times a zero adjoint.
#[test]
fn masked_inf_times_zero() {
    #[backprop]
    fn masked_inf_times_zero(x: f64, w: f64) -> f64 {
        let mut s = 0.0;
        let r = x.sqrt();
        if w > 0.0 {
            s += r * w;
        }
        s + x * 2.0
    }

    check!(masked_inf_times_zero(4.0, 1.0) = 10.0, { x: 2.25, w: 2.0 });
    check!(masked_inf_times_zero(0.25, -1.0) = 0.5, { x: 2.0, w: 0.0 });
    // Not taken: what the square root does there has no say.
    check!(masked_inf_times_zero(0.0, -1.0) = 0.0, { x: 2.0, w: 0.0 });
    check!(masked_inf_times_zero(-1.0, -1.0) = -2.0, { x: 2.0, w: 0.0 });
}

// Values that are computed and then not used, with infinite or undefined slopes.
#[test]
fn what_is_not_taken_has_no_say() {
    #[backprop]
    fn overflow(x: f64, use_it: bool) -> f64 {
        let e = (x * x).exp();
        let square = e * e;
        let quotient = 1.0 / (x - 30.0) + square.sqrt();
        let mut s = x;
        if use_it {
            s += quotient.ln();
        }
        s
    }

    check!(overflow(40.0, false) = 40.0, { x: 1.0 });
    check!(overflow(30.0, false) = 30.0, { x: 1.0 });

    // The logarithm of a quotient has a slope of its own.
    #[backprop]
    fn of_a_quotient(x: f64, y: f64, use_it: bool) -> f64 {
        let l = (x / y).ln() + (y.exp() / x).ln();
        if use_it { l } else { x + y }
    }

    check!(of_a_quotient(0.0, 1.0, false) = 1.0, { x: 1.0, y: 1.0 });
    check!(of_a_quotient(0.0, 0.0, false) = 0.0, { x: 1.0, y: 1.0 });

    #[backprop]
    fn returned_early(x: f64, y: f64) -> f64 {
        let r = (x - y).ln();
        if x <= y {
            return 3.0 * x + y;
        }
        r * r
    }

    check!(returned_early(1.0, 2.0) = 5.0, { x: 3.0, y: 1.0 });
    check!(returned_early(2.0, 2.0) = 8.0, { x: 3.0, y: 1.0 });

    #[backprop]
    fn loop_not_run(x: f64, w: &[f64]) -> f64 {
        let r = x.sqrt();
        let mut s = 2.0 * x;
        for v in w {
            s += r * v;
        }
        s
    }

    check!(loop_not_run(0.0, &[]) = 0.0, { x: 2.0, w: [0.0; 0] });
    check!(loop_not_run(4.0, &[0.5, 1.5]) = 12.0, { x: 2.5, w: [2.0, 2.0] });
}

// Casts between floats have derivative 1; what they round is not differentiated.
#[test]
fn mixed_f32_f64() {
    #[backprop]
    fn mixed_f32_f64(x: f64) -> f64 {
        let a = x as f32;
        let b = a as f64;
        b * x + f64::from(a)
    }

    check!(mixed_f32_f64(0.5) = 0.75, { x: 2.0 });
    check!(mixed_f32_f64(1.25) = 2.8125, { x: 3.5 });
}

// Dividing the product by its factors would give NaN.
#[test]
fn product_with_zero() {
    #[backprop]
    fn product_with_zero(a: [f64; 4]) -> f64 {
        let mut p = 1.0;
        for v in a {
            p *= v;
        }
        p
    }

    check!(product_with_zero([0.0, 2.0, 3.0, -1.0]) = 0.0, { a: [-6.0, 0.0, 0.0, 0.0] });
    check!(product_with_zero([0.0, 2.0, 0.0, -1.0]) = 0.0, { a: [0.0, 0.0, 0.0, 0.0] });
    check!(product_with_zero([1.0, 2.0, 3.0, 4.0]) = 24.0, { a: [24.0, 12.0, 8.0, 6.0] });
}

// `exp` reaches 1e147 here.
#[test]
fn sigmoid_naive_overflow() {
    #[backprop]
    fn sigmoid_naive_overflow(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    check!(sigmoid_naive_overflow(-300.0) = 5.148200222412013e-131, { x: 5.148200222412013e-131 });
    check!(sigmoid_naive_overflow(-340.0) = 2.1871378321977182e-148, { x: 2.1871378321977182e-148 });
}

// The gradient is the softmax minus the one-hot target.
#[test]
fn softmax_cross_entropy() {
    #[backprop]
    fn softmax_cross_entropy(logits: &[f64], target: usize) -> f64 {
        let mut mx = logits[0];
        for i in 1..logits.len() {
            mx = mx.max(logits[i]);
        }
        let mut s = 0.0;
        for i in 0..logits.len() {
            s += (logits[i] - mx).exp();
        }
        mx + s.ln() - logits[target]
    }

    check!(softmax_cross_entropy(&[1.0, 2.0, 0.5], 1) = 0.46436878410794485, { logits: [0.23122389762214907, -0.37146828078823757, 0.14024438316608848] });
    check!(softmax_cross_entropy(&[1000.0, -1000.0, 0.0], 2) = 1000.0, { logits: [1.0, 0.0, -1.0] });
}

// Two kinks coincide at 0 and cancel elsewhere.
#[test]
fn softplus_stable() {
    #[backprop]
    fn softplus_stable(x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }

    check!(softplus_stable(800.0) = 800.0, { x: 1.0 });
    check!(softplus_stable(-30.0) = 9.357622968839737e-14, { x: 9.357622968839299e-14 });
    check!(softplus_stable(3.0) = 3.048587351573742, { x: 0.9525741268224333 });
}

// The branch not taken is not evaluated: no NaN from it.
#[test]
fn untaken_nan_branch() {
    #[backprop]
    fn untaken_nan_branch(x: f64) -> f64 {
        let s = if x > 0.0 { x.sqrt() } else { 0.0 };
        let l = if x > 0.0 { x.ln() } else { -x };
        let d = if x.abs() > 0.5 {
            1.0 / (x.abs() - 0.5)
        } else {
            0.0
        };
        s + l + d + x
    }

    check!(untaken_nan_branch(-1.0) = 2.0, { x: 4.0 });
    check!(untaken_nan_branch(4.0) = 7.672008646834176, { x: 1.4183673469387754 });
    check!(untaken_nan_branch(-0.2) = 0.0, { x: 0.0 });
}

#[test]
fn unused_param() {
    #[backprop]
    fn unused_param(x: f64, _y: f64) -> f64 {
        x * x
    }

    check!(unused_param(1.5, 2.0) = 2.25, { x: 3.0, _y: 0.0 });
    check!(unused_param(-0.3, 9.0) = 0.09, { x: -0.6, _y: 0.0 });
}
