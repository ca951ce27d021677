//! The heat equation on a grid: each step reads the four neighbours of an element, two of which are in other rows.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

const N: usize = 32;
const NT: usize = 50;

type Grid = [[f64; N]; N];

#[backprop]
fn heat_2d(u0: &Grid) -> f64 {
    let mut u = *u0;
    let mut next = *u0;
    for _ in 0..NT {
        for j in 1..N - 1 {
            for i in 1..N - 1 {
                let around = u[j][i + 1] + u[j][i - 1] + u[j + 1][i] + u[j - 1][i];
                next[j][i] = u[j][i] + 0.1 * (around - 4.0 * u[j][i]);
            }
        }
        for j in 1..N - 1 {
            for i in 1..N - 1 {
                u[j][i] = next[j][i];
            }
        }
    }
    let mut s = 0.0;
    for j in 0..N {
        for i in 0..N {
            s += u[j][i] * u[j][i];
        }
    }
    s
}

/// As for the rod: two buffers take turns, the adjoint gathers, and what reaches the fixed edges is summed up aside.
fn by_hand(u0: &Grid, d: &mut Grid) -> f64 {
    let step = |u: &Grid, next: &mut Grid| {
        for j in 1..N - 1 {
            for i in 1..N - 1 {
                let around = u[j][i + 1] + u[j][i - 1] + u[j + 1][i] + u[j - 1][i];
                next[j][i] = u[j][i] + 0.1 * (around - 4.0 * u[j][i]);
            }
        }
    };
    let (mut u, mut next) = (*u0, *u0);
    for _ in 0..NT / 2 {
        step(&u, &mut next);
        step(&next, &mut u);
    }
    let s = u.as_flattened().iter().fold(0.0, |s, u| s + u * u);

    let mut du = u.map(|row| row.map(|u| 2.0 * u));
    let mut edges = [[0.0; N]; N];
    for k in 0..N {
        for (j, i) in [(0, k), (N - 1, k), (k, 0), (k, N - 1)] {
            edges[j][i] += du[j][i];
            du[j][i] = 0.0;
        }
    }
    let mut before = [[0.0; N]; N];
    let mut back = |du: &Grid, before: &mut Grid| {
        for k in 1..N - 1 {
            edges[0][k] += 0.1 * du[1][k];
            edges[N - 1][k] += 0.1 * du[N - 2][k];
            edges[k][0] += 0.1 * du[k][1];
            edges[k][N - 1] += 0.1 * du[k][N - 2];
        }
        for j in 1..N - 1 {
            for i in 1..N - 1 {
                let around = du[j][i + 1] + du[j][i - 1] + du[j + 1][i] + du[j - 1][i];
                before[j][i] = 0.6 * du[j][i] + 0.1 * around;
            }
        }
    };
    for _ in 0..NT / 2 {
        back(&du, &mut before);
        back(&before, &mut du);
    }
    for j in 0..N {
        for i in 0..N {
            d[j][i] = du[j][i] + edges[j][i];
        }
    }
    s
}

pub fn rows(bench: &mut Bench) {
    let u = uniform(N * N, 0.0, 1.0);
    let u0: Grid = std::array::from_fn(|j| std::array::from_fn(|i| u[N * j + i]));
    bench.row(
        "heat_2d",
        [[f64::NAN; N]; N],
        || heat_2d(black_box(&u0)),
        |d| by_hand(black_box(&u0), black_box(d)),
        |d| heat_2d::value_and_gradient_into(black_box(&u0), black_box(d)),
    );
}
