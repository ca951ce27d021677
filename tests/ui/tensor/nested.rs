//! Branches that nest too deep to be read.

use ndarray::Array1;

#[backprop::backprop]
fn chain(x: &Array1<f64>, k: f64) -> f64 {
    if k > 20.0 {
        return x.sum() * 0.0;
    }
    if k > 19.0 {
        return x.sum() * 1.0;
    }
    if k > 18.0 {
        return x.sum() * 2.0;
    }
    if k > 17.0 {
        return x.sum() * 3.0;
    }
    if k > 16.0 {
        return x.sum() * 4.0;
    }
    if k > 15.0 {
        return x.sum() * 5.0;
    }
    if k > 14.0 {
        return x.sum() * 6.0;
    }
    if k > 13.0 {
        return x.sum() * 7.0;
    }
    if k > 12.0 {
        return x.sum() * 8.0;
    }
    x.sum() * k
}

fn main() {}
