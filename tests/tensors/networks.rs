//! The lecture's network and its like.

use super::agree::{close, numbers};
use backprop::backprop;
use ndarray::*;

#[backprop(wrt(w1, w2))]
fn loss(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let h = x.dot(w1).mapv(|z| 1.0 / (1.0 + (-z).exp()));
    let y_pred = h.dot(w2);
    (&y_pred - y).mapv(|e| e * e).sum()
}

#[backprop]
fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[backprop(wrt(w1, w2))]
fn loss_by_name(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let h = x.dot(w1).mapv(sigmoid);
    let e = h.dot(w2) - y;
    (&e * &e).sum()
}

/// The same network in scalars, differentiated by the scalar compiler.
#[backprop(wrt(w1, w2))]
fn loops(w1: &[[f64; 4]], w2: &[[f64; 3]], x: &[[f64; 5]], y: &[[f64; 3]]) -> f64 {
    let mut total = 0.0;
    for n in 0..x.len() {
        let mut h = [0.0; 4];
        for j in 0..4 {
            let mut z = 0.0;
            for i in 0..5 {
                z += x[n][i] * w1[i][j];
            }
            h[j] = 1.0 / (1.0 + (-z).exp());
        }
        for k in 0..3 {
            let mut p = 0.0;
            for j in 0..4 {
                p += h[j] * w2[j][k];
            }
            total += (p - y[n][k]) * (p - y[n][k]);
        }
    }
    total
}

fn rows<const N: usize>(a: &Array2<f64>) -> Vec<[f64; N]> {
    a.rows()
        .into_iter()
        .map(|r| std::array::from_fn(|k| r[k]))
        .collect()
}

#[test]
fn the_lectures_network() {
    let (w1, w2) = (numbers((5, 4), 1), numbers((4, 3), 2));
    let (x, y) = (numbers((6, 5), 3), numbers((6, 3), 4));
    agrees!(loss, LossWorkspace(w1, w2, x, y) wrt w1, w2);
    agrees!(loss_by_name, LossByNameWorkspace(w1, w2, x, y) wrt w1, w2);
    let (value, gradient) = loss::value_and_gradient(&w1, &w2, &x, &y);
    let (expected, by_loops) = loops::value_and_gradient(
        &rows::<4>(&w1),
        &rows::<3>(&w2),
        &rows::<5>(&x),
        &rows::<3>(&y),
    );
    close(value, expected, 1e-14, "the value");
    for ((i, j), d) in gradient.w1.indexed_iter() {
        close(*d, by_loops.w1[i][j], 1e-13, "w1");
    }
    for ((i, j), d) in gradient.w2.indexed_iter() {
        close(*d, by_loops.w2[i][j], 1e-13, "w2");
    }
}

#[test]
fn buffers_are_overwritten_and_added_to() {
    let (w1, w2) = (numbers((5, 4), 1), numbers((4, 3), 2));
    let (x, y) = (numbers((6, 5), 3), numbers((6, 3), 4));
    let (value, gradient) = loss::value_and_gradient(&w1, &w2, &x, &y);
    let (mut d1, mut d2) = (
        Array2::from_elem((5, 4), f64::NAN),
        Array2::from_elem((4, 3), f64::NAN),
    );
    assert_eq!(
        loss::value_and_gradient_into(&w1, &w2, &x, &y, &mut d1, &mut d2),
        value
    );
    assert_eq!((&d1, &d2), (&gradient.w1, &gradient.w2));
    assert_eq!(
        loss::accumulate(&w1, &w2, &x, &y, 2.0, &mut d1, &mut d2),
        value
    );
    close(
        (d1 - 3.0 * &gradient.w1).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "w1",
    );
    close(
        (d2 - 3.0 * &gradient.w2).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "w2",
    );
    // A transposed buffer is as good.
    let (mut t1, mut t2) = (
        Array2::from_elem((4, 5), f64::NAN).reversed_axes(),
        Array2::zeros((4, 3)),
    );
    loss::value_and_gradient_into(&w1, &w2, &x, &y, &mut t1, &mut t2);
    close(
        (t1 - &gradient.w1).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "transposed",
    );
}

#[test]
#[should_panic(expected = "the buffer for the gradient of `w1` has another shape")]
fn a_buffer_of_another_shape() {
    let (w1, w2) = (numbers((5, 4), 1), numbers((4, 3), 2));
    let (x, y) = (numbers((6, 5), 3), numbers((6, 3), 4));
    loss::value_and_gradient_into(
        &w1,
        &w2,
        &x,
        &y,
        &mut Array2::zeros((4, 5)),
        &mut Array2::zeros((4, 3)),
    );
}

#[backprop(wrt(w, b))]
fn generic<T: backprop::Float>(w: ArrayView2<T>, b: ArrayView1<T>, x: &ArrayRef2<T>) -> Array2<T> {
    (x.dot(&w) + b).mapv(|z| z.tanh())
}

#[test]
fn both_precisions_and_tensor_results() {
    let (w, b, x) = (numbers((3, 2), 5), numbers(2, 6), numbers((4, 3), 7));
    let (y, saved) = generic::forward(w.view(), b.view(), &x);
    assert_eq!(y.dim(), (4, 2));
    let up = numbers((4, 2), 8);
    let g = generic::backward(&saved, up.clone());
    let dz = &up * &y.mapv(|y| 1.0 - y * y);
    close(
        (&g.w - &x.t().dot(&dz)).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "w",
    );
    close(
        (&g.b - &dz.sum_axis(Axis(0))).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "b",
    );
    let (mut dw, mut db) = (
        Array2::from_elem((3, 2), f64::NAN),
        Array1::from_elem(2, f64::NAN),
    );
    let saved = generic::residuals(w.view(), b.view(), &x);
    generic::backward_into(&saved, &up, &mut dw, &mut db);
    assert_eq!((&dw, &db), (&g.w, &g.b));
    let again = generic::accumulate(w.view(), b.view(), &x, up.clone(), &mut dw, &mut db);
    assert_eq!(again, y);
    close(
        (&dw - 2.0 * &g.w).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "w, added",
    );
    close(
        (&db - 2.0 * &g.b).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "b, added",
    );
    let single = |a: &Array2<f64>| a.mapv(|v| v as f32);
    let b32 = b.mapv(|v| v as f32);
    let (w32, x32) = (single(&w), single(&x));
    let (y32, saved) = generic::forward(w32.view(), b32.view(), &x32);
    let g32 = generic::backward(&saved, single(&up));
    assert!((y32.mapv(f64::from) - y).mapv(f64::abs).sum() < 1e-5);
    assert!((g32.w.mapv(f64::from) - g.w).mapv(f64::abs).sum() < 1e-5);
}

#[backprop(wrt(w))]
fn cross_entropy(w: &Array2<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let z = x.dot(w);
    let m = z.fold_axis(Axis(1), f64::NEG_INFINITY, |&m, &v| m.max(v));
    let z = &z - &m.insert_axis(Axis(1));
    let s = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
    let log_p = &z - &s.insert_axis(Axis(1));
    -(y * &log_p).sum() / x.nrows() as f64
}

#[backprop(wrt(x, gain, bias))]
fn layer_norm(x: &Array2<f64>, gain: &Array1<f64>, bias: &Array1<f64>, t: &Array2<f64>) -> f64 {
    let eps = 1e-5;
    let mean = x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let centred = x - &mean;
    let var = (&centred * &centred)
        .mean_axis(Axis(1))
        .unwrap()
        .insert_axis(Axis(1));
    let y = &centred / &var.mapv(|v| (v + eps).sqrt()) * gain + bias;
    (&y * t).sum()
}

#[test]
fn softmax_and_layer_norm() {
    let (w, x, y) = (
        numbers((3, 4), 1),
        numbers((5, 3), 2),
        numbers((5, 4), 3).mapv(f64::abs),
    );
    agrees!(cross_entropy, CrossEntropyWorkspace(w, x, y) wrt w);
    let (x, gain, bias, t) = (
        numbers((4, 6), 1),
        numbers(6, 2),
        numbers(6, 3),
        numbers((4, 6), 4),
    );
    agrees!(layer_norm, LayerNormWorkspace(x, gain, bias, t) wrt x, gain, bias);
}

/// A workspace used with other shapes is made again.
#[test]
fn a_workspace_follows_the_shapes() {
    let mut workspace = LossWorkspace::default();
    for n in [6, 2, 6, 1] {
        let (w1, w2) = (numbers((5, 4), 1), numbers((4, 3), 2));
        let (x, y) = (numbers((n, 5), 3), numbers((n, 3), 4));
        let (value, gradient) = loss::value_and_gradient_with(&mut workspace, &w1, &w2, &x, &y);
        let (expected, by_itself) = loss::value_and_gradient(&w1, &w2, &x, &y);
        assert_eq!((value, gradient), (expected, &by_itself));
    }
}

#[backprop(wrt(w1, b1, w2, b2))]
fn deep(
    w1: &Array2<f64>,
    b1: &Array1<f64>,
    w2: &Array2<f64>,
    b2: &Array1<f64>,
    x: &Array2<f64>,
) -> f64 {
    let mut h = x.to_owned();
    let mut penalty = 0.0;
    for (w, b) in [(w1, b1), (w2, b2)] {
        h = (h.dot(w) + b).mapv(|z| z.tanh());
        penalty += w.mapv(|v| v * v).sum();
    }
    for k in 0..3 {
        h = &h * &h.row(k);
    }
    h.sum() + 0.1 * penalty
}

#[test]
fn a_loop_over_layers() {
    let (w1, b1) = (numbers((4, 5), 1), numbers(5, 2));
    let (w2, b2, x) = (numbers((5, 3), 3), numbers(3, 4), numbers((6, 4), 5));
    agrees!(deep, DeepWorkspace(w1, b1, w2, b2, x) wrt w1, b1, w2, b2);
}

#[backprop]
fn several(a: &Array2<f64>, s: f64) -> (Array2<f64>, Array2<f64>, f64) {
    let b = a * s;
    (b.clone(), b.clone(), (&b * &b).sum())
}

#[test]
fn several_results() {
    let a = numbers((2, 3), 1);
    let (value, saved) = several::forward(&a, 2.0);
    assert_eq!(value, several(&a, 2.0));
    let (u, v) = (numbers((2, 3), 2), numbers((2, 3), 3));
    let g = several::backward(&saved, (u.clone(), v.clone(), 0.5));
    let db = &u + &v + &(&a * 2.0);
    close((&g.a - &(&db * 2.0)).mapv(f64::abs).sum(), 0.0, 1e-13, "a");
    close(g.s, (&db * &a).sum(), 1e-13, "s");
}
