//! Branches on constants and on floats: only what is taken is run.

use crate::agree::numbers;
use backprop::backprop;
use ndarray::{Array1, Array2};

#[backprop]
fn decided(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    let s = a.dot(b);
    if s > 0.0 {
        s * s
    } else {
        (a - b).mapv(|v| v * v).sum()
    }
}

#[backprop]
fn clipped(a: &Array2<f64>, b: &Array1<f64>) -> f64 {
    let mut h = a * b;
    let norm = (&h * &h).sum().sqrt();
    if norm > 1.0 && norm.is_finite() {
        h = &h / norm;
    }
    let y = if a.ncols() > 3 {
        h.t().to_owned()
    } else {
        &h * 2.0
    };
    y.mapv(f64::sin).sum() + y[[0, 0]]
}

/// In a loop: by its position, and by what has been computed.
#[backprop(wrt(a, b))]
fn within(a: &Array2<f64>, b: &Array1<f64>, training: bool) -> f64 {
    let mut h = b.clone();
    let mut total: f64 = 0.0;
    for i in 0..a.nrows() {
        if i % 2 == 0 {
            h = &h * &a.row(i);
        } else if total > 0.1 || training {
            total += (&h - &a.row(i)).mapv(|v| v * v).sum();
        } else {
            total *= 0.5;
            h = h + total;
        }
        let scale = if h.sum() < 0.0 { 0.5 } else { total };
        h = h * scale + 0.1;
    }
    h.sum() + total
}

#[backprop(wrt(a))]
fn guarded(a: &Array1<f64>, b: &Array1<f64>, k: usize) -> f64 {
    let mut y = a.sum();
    if k < b.len() {
        y *= b[k];
    }
    y
}

#[test]
fn against_differences() {
    let a = numbers(4, 1);
    for seed in 2..5 {
        let b = numbers(4, seed);
        agrees!(in loops decided, DecidedWorkspace(a, b) wrt a, b);
    }
    for (n, scale) in [(4, 0.1), (4, 3.0), (2, 0.1), (2, 3.0)] {
        let (a, b) = (numbers((3, n), 1) * scale, numbers(n, 2));
        agrees!(in loops clipped, ClippedWorkspace(a, b) wrt a, b);
    }
}

#[test]
fn inside_of_loops() {
    for (seed, training) in [(1, true), (1, false), (2, true), (2, false), (3, false)] {
        let (a, b) = (numbers((6, 3), seed), numbers(3, seed + 5));
        let (value, g) = within::value_and_gradient(&a, &b, training);
        crate::agree::close(value, within(&a, &b, training), 1e-13, "the value");
        for (k, &found) in g.a.indexed_iter() {
            let d = crate::agree::slope(|h| {
                let mut a = a.clone();
                a[k] += h;
                within(&a, &b, training)
            });
            crate::agree::close(found, d, 1e-8, "a");
        }
        for (k, &found) in g.b.indexed_iter() {
            let d = crate::agree::slope(|h| {
                let mut b = b.clone();
                b[k] += h;
                within(&a, &b, training)
            });
            crate::agree::close(found, d, 1e-8, "b");
        }
        let (again, saved) = within::forward(&a, &b, training);
        assert_eq!((again, within::backward(&saved, 1.0)), (value, g.clone()));
        let mut workspace = WithinWorkspace::default();
        for _ in 0..2 {
            let with = within::value_and_gradient_with(&mut workspace, &a, &b, training);
            assert_eq!(with, (value, &g));
        }
    }
}

#[test]
fn what_is_not_taken_is_not_run() {
    let (a, b) = (numbers(3, 1), numbers(2, 2));
    assert_eq!(guarded::gradient(&a, &b, 7).a, Array1::<f64>::ones(3));
    assert_eq!(guarded::gradient(&a, &b, 1).a, Array1::from_elem(3, b[1]));
}
