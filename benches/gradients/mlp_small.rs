//! A tiny network, 2-16-1: one hidden layer, one sample.
//!
//! Parameters in one array of 65: `w1[16][2]`, `b1[16]`, `w2[16]`, `b2`.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

#[backprop(wrt(p))]
fn mlp_small(p: &[f64; 65], x: &[f64; 2], target: f64) -> f64 {
    let mut h = [0.0; 16];
    for i in 0..16 {
        let mut z = p[32 + i];
        for j in 0..2 {
            z += p[2 * i + j] * x[j];
        }
        h[i] = z.tanh();
    }
    let mut z = p[64];
    for j in 0..16 {
        z += p[48 + j] * h[j];
    }
    let y = 1.0 / (1.0 + (-z).exp());
    let e = y - target;
    e * e
}

fn by_hand(p: &[f64; 65], x: &[f64; 2], target: f64, d: &mut [f64; 65]) -> f64 {
    let mut h = [0.0; 16];
    for i in 0..16 {
        let mut z = p[32 + i];
        for j in 0..2 {
            z += p[2 * i + j] * x[j];
        }
        h[i] = z.tanh();
    }
    let mut z = p[64];
    for j in 0..16 {
        z += p[48 + j] * h[j];
    }
    let s = (-z).exp();
    let y = 1.0 / (1.0 + s);
    let e = y - target;

    let dz = 2.0 * e * y * if z < 0.0 { 1.0 - y } else { s * y };
    d[64] = dz;
    for i in 0..16 {
        d[48 + i] = dz * h[i];
        let dz = dz * p[48 + i] * (1.0 - h[i] * h[i]);
        d[32 + i] = dz;
        d[2 * i] = dz * x[0];
        d[2 * i + 1] = dz * x[1];
    }
    e * e
}

pub fn rows(bench: &mut Bench) {
    let p: [f64; 65] = std::array::from_fn({
        let p = uniform(65, -1.0, 1.0);
        move |i| p[i]
    });
    let (x, target) = ([0.3, -0.7], 1.0);
    bench.row(
        "mlp_small",
        [f64::NAN; 65],
        || mlp_small(black_box(&p), black_box(&x), target),
        |d| by_hand(black_box(&p), black_box(&x), target, black_box(d)),
        |d| mlp_small::value_and_gradient_into(black_box(&p), black_box(&x), target, black_box(d)),
    );
}
