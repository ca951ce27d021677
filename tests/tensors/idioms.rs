//! Softmax, its logarithm, log-sum-exp and sigmoids, in the spellings that people use: the value is the plain function's, the gradient is
//! accurate wherever the value is finite. The references add up pairs: they do not cancel.

use crate::agree::{close, numbers};
use backprop::{Float, backprop};
use ndarray::{Array1, Array2, Axis, array, s};

#[backprop(wrt(z))]
fn softmax<T: Float>(z: &Array2<T>, t: &Array2<T>) -> T {
    let m = z.fold_axis(Axis(1), T::neg_infinity(), |&m, &v| m.max(v));
    let e = (z - &m.insert_axis(Axis(1))).mapv(|v| v.exp());
    let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
    (&p * t).sum()
}

#[backprop(wrt(z))]
fn softmax_of_columns(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let e = z.exp();
    let s = e.sum_axis(Axis(0));
    (e / s * t).sum()
}

#[backprop(wrt(z))]
fn softmax_of_all(z: &Array1<f64>, t: &Array1<f64>) -> f64 {
    let m = z.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
    let e = z.mapv(|v| (v - m).exp());
    let p = &e / e.sum();
    p.dot(t)
}

#[backprop(wrt(z))]
fn log_softmax<T: Float>(z: &Array2<T>, t: &Array2<T>) -> T {
    let m = z.fold_axis(Axis(1), T::neg_infinity(), |&m, &v| m.max(v));
    let z = z - &m.insert_axis(Axis(1));
    let s = z.mapv(|v| v.exp()).sum_axis(Axis(1)).mapv(|v| v.ln());
    let log_p = &z - &s.insert_axis(Axis(1));
    (t * &log_p).sum()
}

#[backprop(wrt(z))]
fn log_softmax_by_lse(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let m = z.map_axis(Axis(1), |row| row.fold(f64::NEG_INFINITY, |m, &v| m.max(v)));
    let e = (z - &m.clone().insert_axis(Axis(1))).mapv(f64::exp);
    let lse = &m + &e.sum_axis(Axis(1)).mapv(f64::ln);
    let log_p = z - &lse.insert_axis(Axis(1));
    (t * &log_p).sum()
}

#[backprop(wrt(z))]
fn ln_of_softmax(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let m = z.fold_axis(Axis(1), f64::NEG_INFINITY, |&m, &v| m.max(v));
    let e = (z - &m.insert_axis(Axis(1))).mapv(f64::exp);
    let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
    (t * &p.mapv(f64::ln)).sum()
}

#[backprop(wrt(z))]
fn log_sum_exp<T: Float>(z: &Array2<T>, t: &Array1<T>) -> T {
    let m = z.fold_axis(Axis(1), T::neg_infinity(), |&m, &v| m.max(v));
    let e = (z - &m.view().insert_axis(Axis(1))).mapv(|v| v.exp());
    let lse = e.sum_axis(Axis(1)).mapv(|v| v.ln()) + &m;
    (&lse * t).sum()
}

#[backprop(wrt(z))]
fn naive_log_sum_exp(z: &Array2<f64>, t: &Array1<f64>) -> f64 {
    z.exp().sum_axis(Axis(1)).ln().dot(t)
}

#[backprop]
fn log_sum_exp_of_all(z: &Array1<f64>) -> f64 {
    let m = z.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
    m + z.mapv(|v| (v - m).exp()).sum().ln()
}

#[backprop(wrt(z))]
fn sigmoid(z: &Array1<f64>, t: &Array1<f64>) -> f64 {
    (1.0 / (1.0 + (-z).exp())).dot(t)
}

/// A division by the sums of another axis is not a softmax, though the shapes fit.
#[backprop(wrt(z))]
fn no_softmax(z: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let e = z.exp();
    let s = e.sum_axis(Axis(1));
    (&e / &s * t).sum()
}

#[test]
fn every_spelling() {
    let (z, t, r, u) = (
        numbers((3, 4), 1),
        numbers((3, 4), 2),
        numbers(3, 3),
        numbers(4, 4),
    );
    agrees!(softmax, SoftmaxWorkspace(z, t) wrt z);
    agrees!(softmax_of_columns, SoftmaxOfColumnsWorkspace(z, t) wrt z);
    agrees!(log_softmax, LogSoftmaxWorkspace(z, t) wrt z);
    agrees!(log_softmax_by_lse, LogSoftmaxByLseWorkspace(z, t) wrt z);
    agrees!(ln_of_softmax, LnOfSoftmaxWorkspace(z, t) wrt z);
    agrees!(log_sum_exp, LogSumExpWorkspace(z, r) wrt z);
    agrees!(naive_log_sum_exp, NaiveLogSumExpWorkspace(z, r) wrt z);
    let (z, t) = (u, numbers(4, 5));
    agrees!(softmax_of_all, SoftmaxOfAllWorkspace(z, t) wrt z);
    agrees!(log_sum_exp_of_all, LogSumExpOfAllWorkspace(z) wrt z);
    agrees!(sigmoid, SigmoidWorkspace(z, t) wrt z);
    let (z, t) = (numbers((3, 3), 6), numbers((3, 3), 7));
    agrees!(no_softmax, NoSoftmaxWorkspace(z, t) wrt z);
    // Lanes that do not lie side by side, and long ones.
    let (z, t) = (
        numbers((40, 3), 1).reversed_axes(),
        numbers((40, 3), 2).reversed_axes(),
    );
    agrees!(softmax, SoftmaxWorkspace(z, t) wrt z);
    agrees!(log_softmax, LogSoftmaxWorkspace(z, t) wrt z);
}

/// Logits that saturate, by up to 1e3, equal ones and gaps of all sizes.
fn hard_rows() -> Vec<Array1<f64>> {
    vec![
        array![0.0, 0.0, 0.0],
        array![1e3, -1e3, 0.0, 999.0],
        array![-1e3, -1001.0, -1e3 - 0.5],
        array![40.0, 0.0, 0.0],
        array![0.0, 50.0, 1.0, 49.0],
        array![0.0, -708.0, -744.0, -745.0],
        array![-3.0, 300.0, 299.0],
        Array1::linspace(-700.0, 0.0, 37),
    ]
}

/// Accurate relative to the largest part and, for what is not lost to it, relative to itself.
fn accurate(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs() + 1e-320,
        "{what}: {found:e}, expected {expected:e}"
    );
}

fn weights(z: &Array1<f64>) -> Array1<f64> {
    let m = z.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
    let e = z.mapv(|v| (v - m).exp());
    let s = e.sum();
    e.mapv(|e| e / s)
}

#[test]
fn accurate_where_it_is_saturated() {
    for z in hard_rows() {
        let (n, p) = (z.len(), weights(&z));
        let t = Array1::from_shape_fn(n, |k| 1.0 + (k as f64) * 0.75);
        let (z2, t2) = (
            z.clone().insert_axis(Axis(0)),
            t.clone().insert_axis(Axis(0)),
        );
        let g = softmax::gradient(&z2, &t2).z;
        let whole = softmax_of_all::gradient(&z, &t).z;
        for i in 0..n {
            // p_i Σ_j p_j (t_i - t_j)
            let pairs: f64 = (0..n).map(|j| p[j] * (t[i] - t[j])).sum();
            let scale: f64 = (0..n).map(|j| p[j] * (t[i] - t[j]).abs()).sum();
            let tolerance = 1e-13 * (1.0 + scale / pairs.abs().max(1e-300));
            accurate(
                g[[0, i]],
                p[i] * pairs,
                tolerance,
                &format!("softmax {z} {i}"),
            );
            accurate(
                whole[i],
                p[i] * pairs,
                tolerance,
                &format!("softmax of all {z} {i}"),
            );
        }
        for target in 0..n {
            let one = Array2::from_shape_fn((1, n), |(_, k)| if k == target { 1.0 } else { 0.0 });
            let g = log_softmax::gradient(&z2, &one).z;
            let by_lse = log_softmax_by_lse::gradient(&z2, &one).z;
            let (y, ln) = ln_of_softmax::value_and_gradient(&z2, &one);
            for i in 0..n {
                let expected = if i == target {
                    (0..n).filter(|&j| j != i).map(|j| p[j]).sum()
                } else {
                    -p[i]
                };
                let what = format!("log-softmax {z}, {target}, {i}");
                accurate(g[[0, i]], expected, 1e-12, &what);
                accurate(by_lse[[0, i]], expected, 1e-12, &what);
                if y.is_finite() {
                    accurate(ln.z[[0, i]], expected, 1e-12, &what);
                }
            }
        }
        let g = log_sum_exp::gradient(&z2, &array![2.0]).z;
        let (y, naive) = naive_log_sum_exp::value_and_gradient(&z2, &array![2.0]);
        for i in 0..n {
            accurate(g[[0, i]], 2.0 * p[i], 1e-13, "log-sum-exp");
            if y.is_finite() {
                accurate(naive.z[[0, i]], 2.0 * p[i], 1e-13, "naive log-sum-exp");
            }
        }
    }
}

#[test]
fn subnormal_sums() {
    let z = array![[-744.0, -743.5, -744.2]];
    let (y, g) = naive_log_sum_exp::value_and_gradient(&z, &array![1.0]);
    assert!(y.is_finite());
    let p = weights(&z.slice(s![0, ..]).to_owned());
    for i in 0..3 {
        close(
            g.z[[0, i]],
            p[i],
            1e-14,
            "from sums that have no digits left",
        );
    }
    let z = array![[0.0, -740.0]];
    let (y, g) = ln_of_softmax::value_and_gradient(&z, &array![[0.0, 1.0]]);
    assert!(y.is_finite());
    close(g.z[[0, 0]], -1.0, 1e-14, "through 1 / p");
    close(g.z[[0, 1]], 1.0, 1e-14, "through 1 / p");
}

#[test]
fn both_precisions() {
    for z in hard_rows() {
        let z = z.insert_axis(Axis(0));
        let single = z.mapv(|v| v as f32);
        let z = single.mapv(f64::from);
        let t = Array2::from_shape_fn(z.raw_dim(), |(_, k)| if k == 1 { 1.0 } else { 0.0 });
        let (y, g) = log_softmax::value_and_gradient(&z, &t);
        let (y32, g32) = log_softmax::value_and_gradient(&single, &t.mapv(|v| v as f32));
        assert!((f64::from(y32) - y).abs() <= 1e-4 * y.abs());
        for (a, b) in g32.z.iter().zip(&g.z) {
            assert!(
                (f64::from(*a) - b).abs() <= 2e-4 * b.abs().max(1e-37),
                "{a}, {b}"
            );
        }
        let g32 = log_sum_exp::gradient(&single, &array![1.0_f32]).z;
        let g = log_sum_exp::gradient(&z, &array![1.0]).z;
        for (a, b) in g32.iter().zip(&g) {
            assert!((f64::from(*a) - b).abs() <= 1e-5 * b + 1e-37, "{a}, {b}");
        }
    }
}

/// What overflows in the function does so beside the gradient.
#[test]
fn values_are_the_functions() {
    for z in hard_rows() {
        let (z, t) = (z.clone().insert_axis(Axis(0)), array![1.0]);
        let plain = naive_log_sum_exp(&z, &t);
        let value = naive_log_sum_exp::value_and_gradient(&z, &t).0;
        assert!(
            value == plain || (value - plain).abs() <= 1e-14 * plain.abs(),
            "{value} {plain}"
        );
        let t = z.mapv(|_| 1.0);
        let (plain, value) = (
            ln_of_softmax(&z, &t),
            ln_of_softmax::value_and_gradient(&z, &t).0,
        );
        assert!(
            value == plain || (value - plain).abs() <= 1e-14 * plain.abs(),
            "{value} {plain}"
        );
    }
}

/// What is subtracted may broadcast the logits to more rows than they have: no softmax of theirs.
#[backprop(wrt(z, m))]
fn spread_softmax(z: &Array2<f64>, m: &Array1<f64>, t: &Array2<f64>) -> f64 {
    let x = z - &m.view().insert_axis(Axis(1));
    let e = x.exp();
    let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
    let q = (z - &m.view().insert_axis(Axis(1))).exp();
    let q = &q / &q.sum_axis(Axis(1)).insert_axis(Axis(1));
    (&p * t).sum() + (q * t * &x).sum()
}

#[test]
fn shifts_that_broadcast() {
    let (z, m, t) = (numbers((1, 3), 1), numbers(4, 2), numbers((4, 3), 3));
    agrees!(spread_softmax, SpreadSoftmaxWorkspace(z, m, t) wrt z, m);
}

// ---- normalised lanes ----

#[backprop(wrt(x, gain, shift))]
fn layer_norm<T: Float>(x: &Array2<T>, gain: &Array1<T>, shift: &Array1<T>, eps: T) -> T {
    let mean = x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let centred = x - &mean;
    let var = (&centred * &centred).mean_axis(Axis(1)).unwrap();
    let y = &centred / &var.mapv(|v| (v + eps).sqrt()).insert_axis(Axis(1));
    (y * gain + shift).mapv(|v| v * v * v).sum()
}

/// The deviation's inverse, from ndarray's own variance.
#[backprop(wrt(x, t))]
fn by_inverse(x: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let mean = x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let r = (x.var_axis(Axis(1), 0.0) + 1e-5).mapv(|v| v.sqrt().recip());
    ((x - &mean) * &r.insert_axis(Axis(1)) * t).sum()
}

/// Of columns, by broadcasting, without anything under the root but the variance; with another divisor.
#[backprop(wrt(x))]
fn batch_norm(x: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let mean = x.mean_axis(Axis(0)).unwrap();
    let centred = x - &mean;
    let std = x.std_axis(Axis(0), 1.0);
    let y = &centred / &std;
    (&y * &y * t + &centred).sum()
}

/// Sums by other numbers than those of the elements: their mean is not 0, nor their variance 1.
#[backprop(wrt(x))]
fn by_other_counts(x: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let m = (x.sum_axis(Axis(1)) / 3.0).insert_axis(Axis(1));
    let centred = x - &m;
    let v = centred.mapv(|c| c.powi(2)).sum_axis(Axis(1)) / 2.5;
    (&centred / &v.sqrt().insert_axis(Axis(1)) * t).sum()
}

/// In a loop, and added to a gradient that holds something.
#[backprop(wrt(x))]
fn normalised_twice(x: &Array2<f64>, t: &Array2<f64>) -> f64 {
    let mut h = x.clone();
    for _ in 0..2 {
        let mean = h.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
        let c = &h - &mean;
        let var = (&c * &c).mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
        h = (&c / &(var + 0.1).sqrt()).mapv(f64::tanh) + x;
    }
    (&h * t + x).sum()
}

/// What looks like it and is not: the squares of other elements, the mean of another axis, an offset that has a gradient.
#[backprop(wrt(x, eps))]
fn not_normalised(x: &Array2<f64>, t: &Array2<f64>, eps: f64) -> f64 {
    let mean = x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let c = x - &mean;
    let d = t - &mean;
    let other = (&d * &d).mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let a = &c / &(other + 0.1).sqrt();
    let across = (&c * &c).mean_axis(Axis(0)).unwrap();
    let b = &c / &(across + 0.1).sqrt();
    let var = (&c * &c).mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let e = &c / &var.mapv(|v| (v + eps).sqrt());
    ((a + b + e) * t).sum()
}

#[test]
fn normalised_lanes() {
    for shape in [(4, 6), (3, 40), (1, 5), (5, 1)] {
        let (x, t) = (numbers(shape, 1), numbers(shape, 2));
        agrees!(in loops normalised_twice, NormalisedTwiceWorkspace(x, t) wrt x);
        if shape.1 > 1 {
            agrees!(by_inverse, ByInverseWorkspace(x, t) wrt x, t);
            agrees!(by_other_counts, ByOtherCountsWorkspace(x, t) wrt x);
        }
        if shape.0 > 1 {
            agrees!(batch_norm, BatchNormWorkspace(x, t) wrt x);
        }
    }
    let (x, t) = (
        numbers((17, 3), 3).reversed_axes(),
        numbers((17, 3), 4).reversed_axes(),
    );
    agrees!(by_inverse, ByInverseWorkspace(x, t) wrt x, t);
}

#[test]
fn normalised_lanes_with_constants() {
    let (x, gain, shift) = (numbers((4, 20), 1), numbers(20, 2), numbers(20, 3));
    let (y, g) = layer_norm::value_and_gradient(&x, &gain, &shift, 1e-3);
    close(y, layer_norm(&x, &gain, &shift, 1e-3), 1e-13, "the value");
    let at = |x: &Array2<f64>| layer_norm(x, &gain, &shift, 1e-3);
    crate::agree::slopes(&g.x, &x, at, "layer normalisation");
    let single = |a: &Array2<f64>| a.mapv(|v| v as f32);
    let narrow = |a: &Array1<f64>| a.mapv(|v| v as f32);
    let (x32, gain32, shift32) = (single(&x), narrow(&gain), narrow(&shift));
    let g32 = layer_norm::gradient(&x32, &gain32, &shift32, 1e-3);
    for (a, b) in g32.x.iter().zip(&g.x) {
        close(f64::from(*a), *b, 1e-4, "in f32");
    }
    let (x, t) = (numbers((4, 4), 5), numbers((4, 4), 6));
    let g = not_normalised::gradient(&x, &t, 0.3);
    let at = |x: &Array2<f64>| not_normalised(x, &t, 0.3);
    crate::agree::slopes(&g.x, &x, at, "what is no normalisation");
    let found = crate::agree::slope(|h| not_normalised(&x, &t, 0.3 + h));
    close(g.eps, found, 1e-8, "an offset with a gradient");
}
