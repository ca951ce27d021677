//! The heat equation, explicit in time: a state that is carried through 1000 steps, of which the gradient needs nothing.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

const NX: usize = 100;
const NT: usize = 1000;

#[backprop]
fn heat(u0: &[f64; NX]) -> f64 {
    let mut u = *u0;
    let mut tmp = [0.0; NX];
    for _ in 0..NT {
        for i in 1..NX - 1 {
            tmp[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]);
        }
        for i in 1..NX - 1 {
            u[i] = tmp[i];
        }
    }
    let mut s = 0.0;
    for i in 0..NX {
        s += u[i] * u[i];
    }
    s
}

/// The steps take turns between two buffers, which spares the copy. What a step reads at `i` it reads for its neighbours too, so the
/// adjoint gathers from them. The ends are fixed: their adjoints are held at zero in the buffers and summed up aside.
fn by_hand(u0: &[f64; NX], d: &mut [f64; NX]) -> f64 {
    let step = |u: &[f64; NX], next: &mut [f64; NX]| {
        for i in 1..NX - 1 {
            next[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]);
        }
    };
    let (mut u, mut next) = (*u0, *u0);
    for _ in 0..NT / 2 {
        step(&u, &mut next);
        step(&next, &mut u);
    }
    let s = u.iter().fold(0.0, |s, u| s + u * u);

    let back = |du: &[f64; NX], before: &mut [f64; NX]| {
        for i in 1..NX - 1 {
            before[i] = 0.5 * du[i] + 0.25 * (du[i + 1] + du[i - 1]);
        }
    };
    let mut du = u.map(|u| 2.0 * u);
    let (mut first, mut last) = (du[0], du[NX - 1]);
    (du[0], du[NX - 1]) = (0.0, 0.0);
    let mut before = [0.0; NX];
    for _ in 0..NT / 2 {
        back(&du, &mut before);
        first += 0.25 * (du[1] + before[1]);
        last += 0.25 * (du[NX - 2] + before[NX - 2]);
        back(&before, &mut du);
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
        "heat",
        [f64::NAN; NX],
        || heat(black_box(&u0)),
        |d| by_hand(black_box(&u0), black_box(d)),
        |d| heat::value_and_gradient_into(black_box(&u0), black_box(d)),
    );
}
