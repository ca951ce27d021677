//! Constants from elsewhere, whose type the macro does not see, mixed with active values.

use crate::check::{check, probe};
use backprop::backprop;

const LIMIT: f64 = 1.0;
const LIMITS: [f64; 2] = [1.0, 2.0];
const MODEL: Model = Model {
    k: 2.0,
    t: [0.5, 3.0],
};

struct Model {
    k: f64,
    t: [f64; 2],
}

#[test]
fn as_the_base_of_a_power() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        LIMITS[1].powf(x) * y
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn in_fields_of_a_constant() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        MODEL.k.atan2(x) * MODEL.t[1].powf(y)
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn bound_to_a_local() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let k = MODEL.k;
        let t = MODEL.t;
        k.mul_add(x, t[0]) * t[1].max(y)
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn as_the_start_of_a_recurrence() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut k = LIMITS[0];
        for _ in 0..3 {
            k = k * x;
        }
        k + y
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn overwritten_under_a_condition() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut k = LIMITS[0];
        if x > 1.0 {
            k = y;
        }
        k.powf(x)
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn as_the_receiver_of_clamp() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        LIMIT.clamp(x - 3.0, y) + LIMIT.copysign(x) * x
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn in_functions_named_by_path() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        f64::max(LIMIT, x) + f64::powf(LIMITS[1], y)
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn filling_a_vec() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let v = vec![LIMIT; 3];
        let mut w = v.clone();
        w[1] += x;
        w[1] * w[2] * v[1] + y
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}

#[test]
fn in_a_fold() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        [x, y]
            .iter()
            .map(|v| LIMIT.max(*v))
            .fold(LIMIT, |a, b| a * b)
    }
    probe!(f: (1.2, 0.7), (0.8, 1.4));
}
