//! Calls of annotated functions of tensors.

use crate::agree::{close, numbers};
use backprop::{Float, backprop};
use ndarray::{Array1, Array2, ArrayRef1, ArrayView1, ArrayView2};

#[backprop]
fn layer<T: Float>(w: &Array2<T>, b: ArrayView1<T>, x: &Array2<T>) -> Array2<T> {
    (x.dot(w) + b).mapv(|v| v.tanh())
}

#[backprop]
fn penalty(w: &Array2<f64>, strength: f64) -> f64 {
    strength * w.mapv(|v| v * v).sum()
}

#[backprop]
fn norm(x: &ArrayRef1<f64>, power: i32) -> f64 {
    x.mapv(|v| v.powi(power)).sum()
}

#[backprop(wrt(w1, b1, w2, b2))]
fn network(
    w1: &Array2<f64>,
    b1: &Array1<f64>,
    w2: &Array2<f64>,
    b2: &Array1<f64>,
    x: &Array2<f64>,
) -> f64 {
    let h = layer(w1, b1.view(), x);
    let y = layer(w2, b2.view(), &h);
    let strength = y.sum();
    y.mapv(|v| v * v).sum() + 0.1 * penalty(w1, strength) + norm(&h.row(1), 2)
}

/// In a loop and under a condition.
#[backprop(wrt(w, x))]
fn repeated(w: &Array2<f64>, b: &Array1<f64>, x: ArrayView2<f64>, n: &Array1<f64>) -> f64 {
    let mut h = x.to_owned();
    let mut total = 0.0;
    for k in 0..n.len() {
        h = layer(w, b.view(), &h);
        if k > 0 {
            total += penalty(&h, 0.5);
        }
    }
    total
}

#[backprop]
fn first(ws: &[Array2<f64>], s: f64) -> f64 {
    ws[0].sum() * s
}

#[backprop(wrt(ws))]
fn lists(ws: &[Array2<f64>], s: f64) -> f64 {
    first(ws, s) * ws[1].sum()
}

#[test]
fn against_differences() {
    let (w1, b1) = (numbers((4, 5), 1), numbers(5, 2));
    let (w2, b2, x) = (numbers((5, 3), 3), numbers(3, 4), numbers((6, 4), 5));
    agrees!(in loops network, NetworkWorkspace(w1, b1, w2, b2, x) wrt w1, b1, w2, b2);
    let (w, b, x, n) = (
        numbers((3, 3), 1),
        numbers(3, 2),
        numbers((2, 3), 3),
        numbers(4, 4),
    );
    let at = |w: &Array2<f64>, x: &Array2<f64>| repeated(w, &b, x.view(), &n);
    let (y, g) = repeated::value_and_gradient(&w, &b, x.view(), &n);
    close(y, at(&w, &x), 1e-13, "the value");
    crate::agree::slopes(&g.w, &w, |w| at(w, &x), "w");
    crate::agree::slopes(&g.x, &x, |x| at(&w, x), "x");
    let (again, saved) = repeated::forward(&w, &b, x.view(), &n);
    assert_eq!((again, repeated::backward(&saved, 1.0)), (y, g));
}

#[test]
fn of_lists() {
    let ws = vec![numbers((2, 2), 1), numbers((2, 3), 2)];
    let g = lists::gradient(&ws, 3.0).ws;
    assert_eq!(g[0], Array2::from_elem((2, 2), 3.0 * ws[1].sum()));
    close(g[1][[0, 0]], 3.0 * ws[0].sum(), 1e-14, "the second");
}
