//! Log-sum-exp: a running maximum, and a sum that is needed before its gradient is known.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

#[backprop]
fn log_sum_exp(x: &[f64]) -> f64 {
    let mut m = x[0];
    for i in 1..x.len() {
        if x[i] > m {
            m = x[i];
        }
    }
    let mut s = 0.0;
    for i in 0..x.len() {
        s += (x[i] - m).exp();
    }
    m + s.ln()
}

/// The gradient is the softmax. Its exponentials wait in the buffer until their sum is known; the maximum's own part cancels.
fn by_hand(x: &[f64], d: &mut [f64]) -> f64 {
    let m = x.iter().fold(x[0], |m, &x| if x > m { x } else { m });
    let mut s = 0.0;
    for (d, &x) in d.iter_mut().zip(x) {
        *d = (x - m).exp();
        s += *d;
    }
    let ds = 1.0 / s;
    for d in d {
        *d *= ds;
    }
    m + s.ln()
}

pub fn rows(bench: &mut Bench) {
    for (name, n) in [("lse_100", 100), ("lse_10000", 10_000)] {
        let x = uniform(n, -3.0, 3.0);
        bench.row(
            name,
            vec![f64::NAN; n],
            || log_sum_exp(black_box(&x)),
            |d| by_hand(black_box(&x), black_box(d)),
            |d| log_sum_exp::value_and_gradient_into(black_box(&x), black_box(d)),
        );
    }
}
