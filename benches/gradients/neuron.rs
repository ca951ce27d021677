//! The lecture's neuron: straight-line code of a few nanoseconds, where one division too many shows.

use crate::harness::Bench;
use backprop::backprop;
use std::hint::black_box;

#[backprop]
fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
    let z = w[0] * x[0] + w[1] * x[1] + w[2];
    1.0 / (1.0 + (-z).exp())
}

fn by_hand(w: &[f64; 3], x: &[f64; 2]) -> (f64, [f64; 3], [f64; 2]) {
    let z = w[0] * x[0] + w[1] * x[1] + w[2];
    let e = (-z).exp();
    let y = 1.0 / (1.0 + e);
    // `y * (1 - y)` loses its digits as y nears 1; there `1 - y` is `e * y`.
    let dz = y * if z < 0.0 { 1.0 - y } else { e * y };
    (y, [dz * x[0], dz * x[1], dz], [dz * w[0], dz * w[1]])
}

pub fn rows(bench: &mut Bench) {
    let (w, x) = ([0.8, -1.2, 0.3], [0.5, 0.7]);
    bench.row(
        "neuron",
        [f64::NAN; 5],
        || neuron(black_box(&w), black_box(&x)),
        |d| {
            let (y, dw, dx) = by_hand(black_box(&w), black_box(&x));
            *black_box(d) = [dw[0], dw[1], dw[2], dx[0], dx[1]];
            y
        },
        |d| {
            let (y, g) = neuron::value_and_gradient(black_box(&w), black_box(&x));
            *black_box(d) = [g.w[0], g.w[1], g.w[2], g.x[0], g.x[1]];
            y
        },
    );
}
