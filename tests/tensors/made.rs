//! Arrays made element by element: `from_shape_fn` and `collect` with elements that depend on parameters.

use crate::agree::{close, numbers, slope};
use backprop::backprop;
use ndarray::{Array1, Array2};

#[backprop(wrt(x))]
fn table(x: &Array2<f64>) -> f64 {
    let n = x.nrows();
    let a = Array2::from_shape_fn((n, n), |(i, j)| x[[i, j]] * x[[j, i]] + x[[i, 0]].sin());
    (&a * &a).sum()
}

/// Collected, and a table that reads another one in reverse.
#[backprop(wrt(x))]
fn reversed(x: &Array1<f64>, s: f64) -> f64 {
    let y: Array1<f64> = x.iter().map(|&v| (v * s).tanh()).collect();
    let z = Array1::from_shape_fn(x.len(), |i| y[i] * s + x[x.len() - 1 - i]);
    z.dot(&y) + z.sum()
}

/// Within loops and branches, read by the next iteration.
#[backprop(wrt(x))]
fn in_a_loop(x: &Array1<f64>) -> f64 {
    let mut h = x.clone();
    for k in 0..3 {
        let before = Array1::from_shape_fn(x.len(), |i| {
            if i > 0 {
                h[i - 1] * h[i]
            } else {
                h[i] + k as f64
            }
        });
        h = &before * 0.5 + x;
        if h.sum() > 0.0 {
            let t = Array1::from_shape_fn(x.len(), |i| h[i] * before[i]);
            h = t + &before;
        }
    }
    (&h * &h).sum()
}

/// Elements from outside of the closure, constant ones, and a closure that changes what it captures; a tensor as the result.
#[backprop(wrt(x, s))]
fn from_outside(x: &Array1<f64>, s: f64) -> Array1<f64> {
    let mut total = 0.0;
    let a = Array1::from_shape_fn(4, |_| s);
    let b = Array1::from_shape_fn(x.len(), |i| {
        total += x[i];
        total * s
    });
    let c = Array1::from_shape_fn(x.len(), |i| i as f64 + if i % 2 == 0 { x[i] } else { 1.0 });
    &b * a.sum() + c * total
}

#[test]
fn elements_that_depend_on_parameters() {
    for n in [0, 1, 5] {
        let x = numbers((n, n), 1);
        agrees!(in loops table, TableWorkspace(x) wrt x);
        let x = numbers(n, 2);
        agrees!(in loops in_a_loop, InALoopWorkspace(x) wrt x);
        let gradient = reversed::gradient(&x, 0.7);
        for i in 0..n {
            let at = |h: f64| {
                let mut x = x.clone();
                x[i] += h;
                reversed(&x, 0.7)
            };
            close(gradient.x[i], slope(at), 1e-8, "reversed");
        }
    }
}

#[test]
fn made_results() {
    let (x, up) = (numbers(7, 3), numbers(7, 4));
    let (y, saved) = from_outside::forward(&x, 0.3);
    assert!(
        (&y - &from_outside(&x, 0.3))
            .iter()
            .all(|e| e.abs() < 1e-13)
    );
    let gradient = from_outside::backward(&saved, up.clone());
    let by_s = slope(|h| from_outside(&x, 0.3 + h).dot(&up));
    close(
        gradient.s,
        by_s,
        1e-8,
        "with respect to what all elements read",
    );
    for i in 0..7 {
        let at = |h: f64| {
            let mut x = x.clone();
            x[i] += h;
            from_outside(&x, 0.3).dot(&up)
        };
        close(
            gradient.x[i],
            slope(at),
            1e-8,
            "with respect to one element",
        );
    }
}
