//! A product of two matrices in flat slices: the inner loops run along rows, forward and back.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

const N: usize = 24;

#[backprop]
fn matrix(a: &[f64], b: &[f64], n: usize) -> f64 {
    let mut c = vec![0.0; n * n];
    for i in 0..n {
        for k in 0..n {
            for j in 0..n {
                c[i * n + j] += a[i * n + k] * b[k * n + j];
            }
        }
    }
    let mut s = 0.0;
    for k in 0..n * n {
        s += c[k] * c[k];
    }
    s
}

/// The product's own buffer holds its adjoint afterwards.
fn by_hand(a: &[f64], b: &[f64], n: usize, da: &mut [f64], db: &mut [f64]) -> f64 {
    let mut c = vec![0.0; n * n];
    for (a, c) in a.chunks_exact(n).zip(c.chunks_exact_mut(n)) {
        for (a, b) in a.iter().zip(b.chunks_exact(n)) {
            for (c, b) in c.iter_mut().zip(b) {
                *c += a * b;
            }
        }
    }
    let s = c.iter().fold(0.0, |s, c| s + c * c);

    db.fill(0.0);
    for c in &mut c {
        *c *= 2.0;
    }
    let rows = a.chunks_exact(n).zip(da.chunks_exact_mut(n));
    for ((a, da), dc) in rows.zip(c.chunks_exact(n)) {
        let inner = b.chunks_exact(n).zip(db.chunks_exact_mut(n));
        for ((a, da), (b, db)) in a.iter().zip(da).zip(inner) {
            let mut sum = 0.0;
            for ((dc, b), db) in dc.iter().zip(b).zip(db) {
                sum += dc * b;
                *db += dc * a;
            }
            *da = sum;
        }
    }
    s
}

pub fn rows(bench: &mut Bench) {
    let ab = uniform(2 * N * N, -1.0, 1.0);
    let (a, b) = ab.split_at(N * N);
    bench.row(
        "matrix",
        vec![f64::NAN; ab.len()],
        || matrix(black_box(a), black_box(b), black_box(N)),
        |d| {
            let (da, db) = d.split_at_mut(N * N);
            by_hand(black_box(a), black_box(b), black_box(N), da, db)
        },
        |d| {
            let (da, db) = d.split_at_mut(N * N);
            matrix::value_and_gradient_into(black_box(a), black_box(b), black_box(N), da, db)
        },
    );
}
