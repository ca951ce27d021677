//! The heat equation without a second buffer: elements are overwritten while their neighbours are still read.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

const NX: usize = 100;
const NT: usize = 1000;

#[backprop]
fn heat_in_place(u0: &[f64; NX]) -> f64 {
    let mut u = *u0;
    for _ in 0..NT {
        let mut prev = u[0];
        for i in 1..NX - 1 {
            let cur = u[i];
            u[i] = cur + 0.25 * (u[i + 1] - 2.0 * cur + prev);
            prev = cur;
        }
    }
    let mut s = 0.0;
    for i in 0..NX {
        s += u[i] * u[i];
    }
    s
}

/// The adjoint of the step is a step of the same kind, in place as well. The ends are fixed: their adjoints are held at zero in the
/// buffer and summed up aside.
fn by_hand(u0: &[f64; NX], d: &mut [f64; NX]) -> f64 {
    let mut u = *u0;
    for _ in 0..NT {
        let mut prev = u[0];
        for i in 1..NX - 1 {
            let cur = u[i];
            u[i] = cur + 0.25 * (u[i + 1] - 2.0 * cur + prev);
            prev = cur;
        }
    }
    let s = u.iter().fold(0.0, |s, u| s + u * u);

    let mut du = u.map(|u| 2.0 * u);
    let (mut first, mut last) = (du[0], du[NX - 1]);
    (du[0], du[NX - 1]) = (0.0, 0.0);
    for _ in 0..NT {
        first += 0.25 * du[1];
        last += 0.25 * du[NX - 2];
        let mut prev = 0.0;
        for i in 1..NX - 1 {
            let cur = du[i];
            du[i] = 0.5 * cur + 0.25 * (du[i + 1] + prev);
            prev = cur;
        }
    }
    *d = du;
    (d[0], d[NX - 1]) = (first, last);
    s
}

pub fn rows(bench: &mut Bench) {
    let u0: [f64; NX] = std::array::from_fn({
        let u = uniform(NX, 0.1, 0.9);
        move |i| u[i]
    });
    bench.row(
        "heat_in_place",
        [f64::NAN; NX],
        || heat_in_place(black_box(&u0)),
        |d| by_hand(black_box(&u0), black_box(d)),
        |d| heat_in_place::value_and_gradient_into(black_box(&u0), black_box(d)),
    );
}
