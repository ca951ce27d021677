//! Ackley's function: what its two sums add up to is known before either has a gradient.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::f64::consts::{E, TAU};
use std::hint::black_box;

#[backprop]
fn ackley(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mut a = 0.0;
    let mut b = 0.0;
    for &v in x {
        a += v * v;
        b += (TAU * v).cos();
    }
    -20.0 * (-0.2 * (a / n).sqrt()).exp() - (b / n).exp() + 20.0 + E
}

/// The sines come with the cosines, and wait in the gradient's buffer.
fn by_hand(x: &[f64], d: &mut [f64]) -> f64 {
    let n = x.len() as f64;
    let (mut a, mut b) = (0.0, 0.0);
    for (v, d) in x.iter().zip(&mut *d) {
        a += v * v;
        let (sin, cos) = (TAU * v).sin_cos();
        b += cos;
        *d = sin;
    }
    let root = (a / n).sqrt();
    let (e, f) = (-20.0 * (-0.2 * root).exp(), (b / n).exp());
    let (ka, kb) = (-0.2 * e / (root * n), TAU * f / n);
    for (v, d) in x.iter().zip(d) {
        *d = ka * v + kb * *d;
    }
    e - f + 20.0 + E
}

pub fn rows(bench: &mut Bench) {
    let x = uniform(1000, -1.0, 1.0);
    bench.row(
        "ackley",
        vec![f64::NAN; x.len()],
        || ackley(black_box(&x)),
        |d| by_hand(black_box(&x), d),
        |d| ackley::value_and_gradient_into(black_box(&x), d),
    );
}
