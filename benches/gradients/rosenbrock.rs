//! Rosenbrock's valley in n dimensions: a sum over neighbours, whose adjoint scatters unless it is turned into a gather.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

#[backprop]
fn rosenbrock(x: &[f64]) -> f64 {
    let mut s = 0.0;
    for i in 0..x.len() - 1 {
        let a = x[i + 1] - x[i] * x[i];
        let b = 1.0 - x[i];
        s += 100.0 * a * a + b * b;
    }
    s
}

/// Each term reaches `d[i]` and `d[i + 1]`; what it owes to the next element is carried there in a register.
fn by_hand(x: &[f64], d: &mut [f64]) -> f64 {
    let n = x.len();
    assert_eq!(n, d.len());
    let mut s = 0.0;
    let mut from_left = 0.0;
    for i in 0..n - 1 {
        let a = x[i + 1] - x[i] * x[i];
        let b = 1.0 - x[i];
        s += 100.0 * a * a + b * b;
        let da = 200.0 * a;
        d[i] = from_left - 2.0 * (da * x[i] + b);
        from_left = da;
    }
    d[n - 1] = from_left;
    s
}

pub fn rows(bench: &mut Bench) {
    for (name, n) in [
        ("rosen_10", 10),
        ("rosen_1000", 1000),
        ("rosen_100000", 100_000),
    ] {
        let x = uniform(n, -1.0, 1.0);
        bench.row(
            name,
            vec![f64::NAN; n],
            || rosenbrock(black_box(&x)),
            |d| by_hand(black_box(&x), black_box(d)),
            |d| rosenbrock::value_and_gradient_into(black_box(&x), black_box(d)),
        );
    }
}
