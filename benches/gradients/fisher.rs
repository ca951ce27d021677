//! Fisher's equation, heat with growth: the state that is overwritten in each step is needed on the way back.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

const NX: usize = 100;
const NT: usize = 1000;

#[backprop]
fn fisher(u0: &[f64; NX]) -> f64 {
    let mut u = *u0;
    let mut tmp = [0.0; NX];
    for _ in 0..NT {
        for i in 1..NX - 1 {
            tmp[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]) + 0.01 * u[i] * (1.0 - u[i]);
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

/// All states in one allocation, each step reading one and writing the next; the adjoint gathers from its neighbours.
fn by_hand(u0: &[f64; NX], d: &mut [f64; NX]) -> f64 {
    let mut states = vec![*u0; NT + 1];
    for t in 0..NT {
        let (done, rest) = states.split_at_mut(t + 1);
        let (u, next) = (&done[t], &mut rest[0]);
        for i in 1..NX - 1 {
            next[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]) + 0.01 * u[i] * (1.0 - u[i]);
        }
    }
    let u = &states[NT];
    let s = u.iter().fold(0.0, |s, u| s + u * u);

    let mut du = u.map(|u| 2.0 * u);
    let (mut first, mut last) = (du[0], du[NX - 1]);
    (du[0], du[NX - 1]) = (0.0, 0.0);
    let mut before = [0.0; NX];
    let back = |u: &[f64; NX], du: &[f64; NX], before: &mut [f64; NX]| {
        for i in 1..NX - 1 {
            before[i] = du[i] * (0.51 - 0.02 * u[i]) + 0.25 * (du[i + 1] + du[i - 1]);
        }
    };
    for t in (0..NT / 2).rev() {
        back(&states[2 * t + 1], &du, &mut before);
        first += 0.25 * (du[1] + before[1]);
        last += 0.25 * (du[NX - 2] + before[NX - 2]);
        back(&states[2 * t], &before, &mut du);
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
        "fisher",
        [f64::NAN; NX],
        || fisher(black_box(&u0)),
        |d| by_hand(black_box(&u0), black_box(d)),
        |d| fisher::value_and_gradient_into(black_box(&u0), black_box(d)),
    );
}
