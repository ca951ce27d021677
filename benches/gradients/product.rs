//! A product of 256 factors: a gradient by one factor at a time costs n², one with the partial products 3(n - 1).

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

#[backprop]
fn product(x: &[f64; 256]) -> f64 {
    let mut p = 1.0;
    for i in 0..256 {
        p *= x[i];
    }
    p
}

/// The adjoint is a product too, from the right, and needs nothing of the left one: the two run side by side and do not wait for each
/// other. Up to the middle each leaves its partial products in the gradient's buffer; beyond it, each multiplies what it finds there.
fn by_hand(x: &[f64; 256], d: &mut [f64; 256]) -> f64 {
    let (mut left, mut right) = (1.0, 1.0);
    for i in 0..128 {
        let k = 255 - i;
        d[i] = left;
        d[k] = right;
        left *= x[i];
        right *= x[k];
    }
    for i in 128..256 {
        let k = 255 - i;
        d[i] *= left;
        d[k] *= right;
        left *= x[i];
        right *= x[k];
    }
    left
}

pub fn rows(bench: &mut Bench) {
    let x: [f64; 256] = std::array::from_fn({
        let x = uniform(256, 0.9, 1.1);
        move |i| x[i]
    });
    bench.row(
        "product_256",
        [f64::NAN; 256],
        || product(black_box(&x)),
        |d| by_hand(black_box(&x), black_box(d)),
        |d| product::value_and_gradient_into(black_box(&x), black_box(d)),
    );
}
