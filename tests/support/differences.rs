//! The derivative of a function by differences, and what is near enough to it.

#![allow(dead_code)] // Each test uses what it needs.

/// Finite differences of a scalar function, good to some nine digits.
pub fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3 * x.abs().max(1.0);
    let d = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
    (d(2.0 * h) - 20.0 * d(h) + 64.0 * d(h / 2.0)) / 45.0
}

#[track_caller]
pub fn near(got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-8 * want.abs().max(1.0),
        "got {got:e}, expected {want:e}"
    );
}
