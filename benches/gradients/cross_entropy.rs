//! Softmax cross-entropy of rows of logits in one flat slice, with integer labels.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

const SAMPLES: usize = 100;
const CLASSES: usize = 10;

#[backprop(wrt(z))]
fn cross_entropy(z: &[f64], labels: &[usize], k: usize) -> f64 {
    let mut loss = 0.0;
    for i in 0..labels.len() {
        let row = &z[i * k..(i + 1) * k];
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut s = 0.0;
        for j in 0..k {
            s += (row[j] - most).exp();
        }
        loss += most + s.ln() - row[labels[i]];
    }
    loss
}

/// The exponentials wait in the gradient's own row; the largest logit cancels.
fn by_hand(z: &[f64], labels: &[usize], k: usize, d: &mut [f64]) -> f64 {
    let mut loss = 0.0;
    for ((row, d), &label) in z.chunks_exact(k).zip(d.chunks_exact_mut(k)).zip(labels) {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut s = 0.0;
        for (d, z) in d.iter_mut().zip(row) {
            *d = (z - most).exp();
            s += *d;
        }
        loss += most + s.ln() - row[label];
        let scale = 1.0 / s;
        for d in d.iter_mut() {
            *d *= scale;
        }
        d[label] -= 1.0;
    }
    loss
}

pub fn rows(bench: &mut Bench) {
    let z = uniform(SAMPLES * CLASSES, -3.0, 3.0);
    let labels: Vec<usize> = (0..SAMPLES).map(|i| i * 7 % CLASSES).collect();
    bench.row(
        "cross_entropy",
        vec![f64::NAN; z.len()],
        || cross_entropy(black_box(&z), black_box(&labels), black_box(CLASSES)),
        |d| by_hand(black_box(&z), black_box(&labels), black_box(CLASSES), d),
        |d| {
            let (z, labels) = (black_box(&z), black_box(&labels));
            cross_entropy::value_and_gradient_into(z, labels, black_box(CLASSES), d)
        },
    );
}
