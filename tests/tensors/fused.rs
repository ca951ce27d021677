//! What is computed as one operation: cross-entropy from logits, products with a bias, passes along rows with broadcast operands.
//! In every spelling, and where shapes make the operation another one.

use crate::agree::{close, numbers};
use backprop::backprop;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

fn one_hot(rows: usize, classes: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, classes), |(i, k)| {
        if (3 * i + 1) % classes == k { 1.0 } else { 0.0 }
    })
}

#[backprop(wrt(z))]
fn cross_entropy(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let m = z.fold_axis(Axis(1), f64::NEG_INFINITY, |&m, &v| f64::max(v, m));
    let z = z - &m.insert_axis(Axis(1));
    let s = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
    let log_p = &z - &s.insert_axis(Axis(1));
    -(t * &log_p).sum() / 3.0
}

/// The sign inside, summed axis by axis.
#[backprop(wrt(z))]
fn by_samples(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let m = z.map_axis(Axis(1), |row| {
        row.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    });
    let z = z - &m.insert_axis(Axis(1));
    let s = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
    let log_p = &z - &s.insert_axis(Axis(1));
    (-(log_p * t)).sum_axis(Axis(1)).mean().unwrap()
}

/// The logarithms are read twice: no cross-entropy alone.
#[backprop(wrt(z))]
fn with_entropy(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let s = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
    let log_p = z - &s.insert_axis(Axis(1));
    (&log_p * t).sum() + (log_p.exp() * &log_p).sum()
}

/// What the logarithms are multiplied by has a gradient.
#[backprop(wrt(z, t))]
fn both_active(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let s = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
    let log_p = z - &s.insert_axis(Axis(1));
    (log_p * t).sum()
}

/// In a loop.
#[backprop(wrt(w))]
fn over_batches(w: &Array2<f64>, x: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let mut total = 0.0;
    for i in 0..3 {
        let z = x.dot(w) * (1.0 + i as f64);
        let s = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
        let log_p = &z - &s.insert_axis(Axis(1));
        total -= (log_p * t).sum();
    }
    total
}

#[test]
fn cross_entropies() {
    for classes in [1, 4, 16, 37] {
        let (z, t) = (numbers((3, classes), 1), one_hot(3, classes));
        agrees!(cross_entropy, CrossEntropyWorkspace(z, t) wrt z);
        agrees!(by_samples, BySamplesWorkspace(z, t) wrt z);
        let t = numbers((3, classes), 2);
        agrees!(cross_entropy, CrossEntropyWorkspace(z, t) wrt z);
        agrees!(by_samples, BySamplesWorkspace(z, t) wrt z);
        agrees!(with_entropy, WithEntropyWorkspace(z, t) wrt z);
        agrees!(both_active, BothActiveWorkspace(z, t) wrt z, t);
    }
    // One row of weights for all samples, one number for all classes, one row of logits for all weights; lanes apart.
    for (z, t) in [
        ((3, 4), (1, 4)),
        ((3, 4), (3, 1)),
        ((1, 4), (3, 4)),
        ((1, 4), (3, 1)),
    ] {
        let (z, t) = (numbers(z, 3), numbers(t, 4));
        agrees!(cross_entropy, CrossEntropyWorkspace(z, t) wrt z);
        agrees!(by_samples, BySamplesWorkspace(z, t) wrt z);
    }
    let (z, t) = (numbers((20, 3), 5).reversed_axes(), numbers((3, 20), 6));
    agrees!(cross_entropy, CrossEntropyWorkspace(z, t) wrt z);
    let (w, x, t) = (numbers((2, 5), 7), numbers((4, 2), 8), one_hot(4, 5));
    agrees!(over_batches, OverBatchesWorkspace(w, x, t) wrt w);
}

/// NaN does not count, and a start beyond all elements stays.
#[backprop(wrt(z))]
fn largest(z: &Array2<f64>, w: &Array1<f64>) -> f64 {
    let m = z.fold_axis(Axis(1), -0.5, |&m, &v| v.max(m));
    (&m * w).sum()
}

#[test]
fn maxima() {
    for width in [1, 15, 16, 17, 40] {
        let (mut z, w) = (numbers((6, width), width as u64), numbers(6, 2));
        agrees!(largest, LargestWorkspace(z, w) wrt z);
        z[[1, width / 2]] = f64::NAN;
        z.row_mut(2).fill(f64::NAN);
        let plain = largest(&z, &w);
        let value = largest::value_and_gradient(&z, &w).0;
        close(value, plain, 1e-15, "beside NaN");
    }
}

#[backprop]
fn matrices(a: &Array2<f64>, b: &Array2<f64>, c: &Array2<f64>) -> f64 {
    (a.dot(b) + c).mapv(|z| z.tanh()).sum()
}

#[backprop]
fn with_row(a: &Array2<f64>, b: &Array2<f64>, c: &Array1<f64>) -> f64 {
    let h = (c + a.dot(b)).mapv(|z| z * z);
    (h * c).sum()
}

#[backprop]
fn with_part(a: &Array2<f64>, b: &Array2<f64>, c: &Array2<f64>) -> f64 {
    (a.dot(b) + c.row(1)).mapv(f64::cos).sum()
}

#[backprop]
fn summed(a: &Array2<f64>, b: &Array2<f64>, c: &Array1<f64>) -> f64 {
    (a.dot(b) + c).sum()
}

#[backprop]
fn matrix_and_vector(a: &Array2<f64>, x: &Array1<f64>, c: &Array1<f64>) -> f64 {
    (a.dot(x) + c).mapv(f64::sin).sum()
}

#[backprop]
fn vector_and_matrix(a: &Array2<f64>, x: &Array1<f64>, c: &Array1<f64>) -> f64 {
    (x.dot(a) + c).mapv(f64::sin).sum()
}

/// The product is read a second time, and one of its factors is the bias.
#[backprop]
fn twice(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let p = a.dot(b);
    let q = &p + b;
    (q * p).sum() + (a.dot(b) + a).mapv(|v| v * v * v).sum()
}

#[test]
fn products_with_a_bias() {
    for n in [1, 3, 17] {
        for c in [(5, n), (1, n), (5, 1), (1, 1)] {
            let (a, b, c) = (numbers((5, 2), 1), numbers((2, n), 2), numbers(c, 3));
            agrees!(matrices, MatricesWorkspace(a, b, c) wrt a, b, c);
        }
        // Here it is the product that is broadcast.
        let (a, b, c) = (numbers((1, 2), 4), numbers((2, n), 5), numbers((5, n), 6));
        agrees!(matrices, MatricesWorkspace(a, b, c) wrt a, b, c);
        agrees!(with_part, WithPartWorkspace(a, b, c) wrt a, b, c);
        let (a, b, c) = (numbers((5, 2), 7), numbers((2, 1), 8), numbers(n, 9));
        agrees!(with_row, WithRowWorkspace(a, b, c) wrt a, b, c);
        agrees!(summed, SummedWorkspace(a, b, c) wrt a, b, c);
        let (a, x, c) = (numbers((4, 3), 10), numbers(3, 11), numbers(4, 12));
        agrees!(matrix_and_vector, MatrixAndVectorWorkspace(a, x, c) wrt a, x, c);
        let (x, c) = (numbers(4, 13), numbers(3, 14));
        agrees!(vector_and_matrix, VectorAndMatrixWorkspace(a, x, c) wrt a, x, c);
        let (a, x, c) = (numbers((1, 3), 15), numbers(3, 16), numbers(n, 17));
        agrees!(matrix_and_vector, MatrixAndVectorWorkspace(a, x, c) wrt a, x, c);
    }
    let (a, b) = (numbers((3, 3), 18), numbers((3, 3), 19));
    agrees!(twice, TwiceWorkspace(a, b) wrt a, b);
}

#[test]
#[should_panic(expected = "incompatible shapes")]
fn a_bias_that_does_not_fit() {
    let (a, b, c) = (numbers((5, 2), 1), numbers((2, 3), 2), numbers((2, 3), 3));
    matrices::gradient(&a, &b, &c);
}

/// Rows longer than what is copied at a time, with operands that are the same along rows, along columns, or transposed.
#[backprop]
fn standardised(x: &Array2<f64>, g: &Array1<f64>, y: &Array2<f64>) -> f64 {
    let mean = x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let c = x - &mean;
    let variance = c
        .mapv(|v| v * v)
        .mean_axis(Axis(1))
        .unwrap()
        .insert_axis(Axis(1));
    let z = &c / &(variance + 1e-5).mapv(f64::sqrt) * g;
    (z * y).sum()
}

#[test]
fn along_rows() {
    for n in [33, 130] {
        let (x, g) = (numbers((2, n), 1), numbers(n, 2));
        let y = numbers((2, n), 3);
        agrees!(standardised, StandardisedWorkspace(x, g, y) wrt x, g, y);
        let (x, y) = (
            numbers((n, 2), 4).reversed_axes(),
            numbers((n, 2), 5).reversed_axes(),
        );
        agrees!(standardised, StandardisedWorkspace(x, g, y) wrt x, g, y);
    }
}

/// The gradient in a workspace follows the memory order of its parameter, and its changes.
#[test]
fn a_gradient_has_the_order_of_its_parameter() {
    let (a, b, c) = (numbers((5, 3), 1), numbers((3, 4), 2), numbers((1, 4), 3));
    let turned = b.t().as_standard_layout().into_owned().reversed_axes();
    let expected = matrices::gradient(&a, &b, &c);
    let mut workspace = MatricesWorkspace::default();
    for b in [&b, &turned, &turned, &b] {
        let (_, gradient) = matrices::value_and_gradient_with(&mut workspace, &a, b, &c);
        for (found, expected) in gradient.b.iter().zip(&expected.b) {
            close(*found, *expected, 1e-14, "in another order");
        }
        if std::ptr::eq(b, &turned) {
            assert_eq!(gradient.b.strides(), turned.strides());
        }
    }
    // Rows of a larger matrix do not lie side by side: then the order is the usual one.
    let large = numbers((6, 4), 4);
    let b = large.slice(s![..;2, ..]);
    let g = parts::gradient(&a, &b, &c);
    let mut workspace = PartsWorkspace::default();
    let (_, again) = parts::value_and_gradient_with(&mut workspace, &a, &b, &c);
    assert_eq!(again.b, g.b);
}

#[backprop]
fn parts(a: &Array2<f64>, b: &ArrayView2<f64>, c: &Array2<f64>) -> f64 {
    (a.dot(b) + c).mapv(|z| z.tanh()).sum()
}
