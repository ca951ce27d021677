//! A network 2-16-16-1 on one sample, written with loops over one array of parameters.
//!
//! `p[337]` is `w1[16][2]`, `b1[16]`, `w2[16][16]`, `b2[16]`, `w3[16]`, `b3`.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

#[backprop(wrt(p))]
fn mlp(p: &[f64; 337], x: &[f64; 2], target: f64) -> f64 {
    let mut h1 = [0.0; 16];
    for i in 0..16 {
        let mut z = p[32 + i];
        for j in 0..2 {
            z += p[2 * i + j] * x[j];
        }
        h1[i] = z.tanh();
    }
    let mut h2 = [0.0; 16];
    for i in 0..16 {
        let mut z = p[304 + i];
        for j in 0..16 {
            z += p[48 + 16 * i + j] * h1[j];
        }
        h2[i] = z.tanh();
    }
    let mut z = p[336];
    for j in 0..16 {
        z += p[320 + j] * h2[j];
    }
    let y = 1.0 / (1.0 + (-z).exp());
    let e = y - target;
    e * e
}

fn by_hand(p: &[f64; 337], x: &[f64; 2], target: f64, d: &mut [f64; 337]) -> f64 {
    let mut h1 = [0.0; 16];
    for i in 0..16 {
        let mut z = p[32 + i];
        for j in 0..2 {
            z += p[2 * i + j] * x[j];
        }
        h1[i] = z.tanh();
    }
    let mut h2 = [0.0; 16];
    for i in 0..16 {
        let mut z = p[304 + i];
        for j in 0..16 {
            z += p[48 + 16 * i + j] * h1[j];
        }
        h2[i] = z.tanh();
    }
    let mut z = p[336];
    for j in 0..16 {
        z += p[320 + j] * h2[j];
    }
    let s = (-z).exp();
    let y = 1.0 / (1.0 + s);
    let e = y - target;

    let dz = 2.0 * e * y * if z < 0.0 { 1.0 - y } else { s * y };
    d[336] = dz;
    let mut dh1 = [0.0; 16];
    for i in 0..16 {
        d[320 + i] = dz * h2[i];
        let dz = dz * p[320 + i] * (1.0 - h2[i] * h2[i]);
        d[304 + i] = dz;
        for j in 0..16 {
            d[48 + 16 * i + j] = dz * h1[j];
            dh1[j] += dz * p[48 + 16 * i + j];
        }
    }
    for i in 0..16 {
        let dz = dh1[i] * (1.0 - h1[i] * h1[i]);
        d[32 + i] = dz;
        d[2 * i] = dz * x[0];
        d[2 * i + 1] = dz * x[1];
    }
    e * e
}

pub fn rows(bench: &mut Bench) {
    let p: [f64; 337] = std::array::from_fn({
        let p = uniform(337, -0.5, 0.5);
        move |i| p[i]
    });
    let (x, target) = ([0.3, -0.7], 1.0);
    bench.row(
        "mlp",
        [f64::NAN; 337],
        || mlp(black_box(&p), black_box(&x), target),
        |d| by_hand(black_box(&p), black_box(&x), target, black_box(d)),
        |d| mlp::value_and_gradient_into(black_box(&p), black_box(&x), target, black_box(d)),
    );
}
