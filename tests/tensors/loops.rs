//! Loops counted while running: recurrent networks, rows, layers. Against differences, and against the same written out.

use crate::agree::{close, numbers, slope};
use backprop::backprop;
use ndarray::{Array1, Array2, Axis};

#[backprop(wrt(w, u, h0, x))]
fn recurrent(w: &Array2<f64>, u: &Array2<f64>, h0: &Array1<f64>, x: &Array2<f64>) -> f64 {
    let mut h = h0.to_owned();
    for t in 0..x.nrows() {
        h = (&w.dot(&h) + &u.dot(&x.row(t))).mapv(f64::tanh);
    }
    h.mapv(|v| v * v).sum()
}

/// Every hidden state is read outside of the recurrence, and a float is carried beside it.
#[backprop(wrt(w, u, x))]
fn sequence(w: &Array2<f64>, u: &Array2<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let mut h = Array1::zeros(w.nrows());
    let mut loss = 0.0;
    for (x, y) in x.rows().into_iter().zip(y.rows()) {
        h = (w.dot(&h) + u.dot(&x)).mapv(f64::tanh);
        let e = &h - &y;
        loss += (&e * &e).sum();
    }
    loss / x.nrows() as f64
}

#[backprop]
fn rows(a: &Array2<f64>, b: &Array1<f64>) -> f64 {
    let mut total = 0.0;
    for row in a.rows() {
        total += row.dot(b).sin();
    }
    total
}

/// The float is read by what follows it, and overwritten.
#[backprop]
fn nonlinear(a: &Array2<f64>, b: &Array1<f64>) -> f64 {
    let mut s = 0.5_f64;
    for (k, column) in a.axis_iter(Axis(1)).enumerate() {
        let f = 1.0 + k as f64;
        s = (s * column.sum() / f).cos() + s * b[0];
    }
    s
}

/// Linear: nothing of the iterations is read again.
#[backprop(wrt(h0))]
fn linear(h0: &Array1<f64>, w: &Array2<f64>, steps: &Array1<f64>) -> f64 {
    let mut h = h0.clone();
    for _ in 0..steps.len() {
        h = w.dot(&h) + &h;
    }
    h.sum()
}

/// Two variables that change places, of which one is a view; from the last to the first.
#[backprop]
fn swapped(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let (mut p, mut q) = (a.clone(), b.clone());
    for k in (1..a.nrows()).rev() {
        let r = &p * &q.row(k);
        p = q;
        q = r + &p.t();
    }
    (&p * &q).sum() + q.sum()
}

#[backprop(wrt(a))]
fn nested(a: &Array2<f64>, b: &Array1<f64>, n: &Array1<f64>) -> f64 {
    let mut h = b.clone();
    let mut total: f64 = 0.0;
    for row in a.rows() {
        let mut inner = &h * &row;
        for k in 0..n.len() {
            inner = (&inner + &row).mapv(f64::sin) * (0.5 + 0.1 * k as f64);
            total += inner.sum() * total.cos();
        }
        h = h + inner;
    }
    h.sum() * total
}

/// Parts of a local are assigned to.
#[backprop]
fn parts(a: &Array2<f64>, b: &Array1<f64>) -> f64 {
    let mut out = Array2::zeros((a.nrows(), b.len()));
    for i in 1..a.nrows() {
        let before = &out.row(i - 1) * 0.5;
        out.row_mut(i).assign(&(&a.row(i) * b + &before));
        out[[i, 0]] *= a[[i, 0]];
    }
    out.mapv(|v| v.tanh()).sum()
}

/// Elements of vectors beside constants.
#[backprop(wrt(a, w))]
fn elements(a: &Array1<f64>, w: &Array2<f64>, order: &[usize]) -> f64 {
    let mut h = w.row(0).to_owned();
    for (v, &k) in a.iter().zip(order.iter()) {
        h = &h * *v + &w.row(k);
    }
    h.sum()
}

#[test]
fn against_differences() {
    let (w, u, h0, x) = (
        numbers((3, 3), 1),
        numbers((3, 2), 2),
        numbers(3, 3),
        numbers((5, 2), 4),
    );
    agrees!(in loops recurrent, RecurrentWorkspace(w, u, h0, x) wrt w, u, h0, x);
    let y = numbers((5, 3), 5);
    agrees!(in loops sequence, SequenceWorkspace(w, u, x, y) wrt w, u, x);
    let (a, b) = (numbers((4, 3), 1), numbers(3, 2));
    agrees!(in loops rows, RowsWorkspace(a, b) wrt a, b);
    agrees!(in loops nonlinear, NonlinearWorkspace(a, b) wrt a, b);
    agrees!(in loops parts, PartsWorkspace(a, b) wrt a, b);
    let n = numbers(3, 7);
    agrees!(in loops nested, NestedWorkspace(a, b, n) wrt a);
    let (h0, steps) = (numbers(3, 3), numbers(6, 4));
    agrees!(in loops linear, LinearWorkspace(h0, w, steps) wrt h0);
    let (a, b) = (numbers((4, 4), 1), numbers((4, 4), 2));
    agrees!(in loops swapped, SwappedWorkspace(a, b) wrt a, b);
}

#[test]
fn no_iterations_and_one() {
    let (w, u, h0) = (numbers((3, 3), 1), numbers((3, 2), 2), numbers(3, 3));
    for n in [0, 1] {
        let x = numbers((n, 2), 4);
        agrees!(in loops recurrent, RecurrentWorkspace(w, u, h0, x) wrt w, u, h0, x);
        let (a, b) = (numbers((n, 3), 1), numbers(3, 2));
        agrees!(in loops rows, RowsWorkspace(a, b) wrt a, b);
    }
    let (a, b, n) = (numbers((2, 3), 1), numbers(3, 2), numbers(0, 7));
    agrees!(in loops nested, NestedWorkspace(a, b, n) wrt a);
}

#[test]
fn constants_beside_elements() {
    let (a, w) = (numbers(4, 1), numbers((3, 2), 2));
    let order = [2, 0, 1, 2, 1];
    let (value, g) = elements::value_and_gradient(&a, &w, &order);
    close(value, elements(&a, &w, &order), 1e-14, "the value");
    for k in 0..4 {
        let d = slope(|h| {
            let mut a = a.clone();
            a[k] += h;
            elements(&a, &w, &order)
        });
        close(g.a[k], d, 1e-9, "a");
    }
    let (again, saved) = elements::forward(&a, &w, &order);
    assert_eq!((again, elements::backward(&saved, 1.0)), (value, g));
}

// Lists of tensors: a network of any depth.

#[backprop(wrt(ws, bs))]
fn network(ws: &[Array2<f64>], bs: &[Array1<f64>], x: &Array2<f64>) -> f64 {
    let mut h = x.to_owned();
    let mut penalty = 0.0;
    for (w, b) in ws.iter().zip(bs) {
        h = (h.dot(w) + b).mapv(f64::tanh);
        penalty += w.mapv(|v| v * v).sum();
    }
    h.sum() + 0.1 * penalty + ws[0][[0, 0]]
}

#[backprop(wrt(ws))]
fn owned_list(ws: Vec<Array2<f64>>, x: &Array1<f64>) -> Array1<f64> {
    let mut h = x.clone();
    for k in 0..ws.len() {
        h = ws[k].dot(&h).mapv(f64::sin);
    }
    h
}

#[backprop(wrt(w1, b1, w2, b2))]
fn written_out(
    w1: &Array2<f64>,
    b1: &Array1<f64>,
    w2: &Array2<f64>,
    b2: &Array1<f64>,
    x: &Array2<f64>,
) -> f64 {
    let h = (x.dot(w1) + b1).mapv(f64::tanh);
    let o = (h.dot(w2) + b2).mapv(f64::tanh);
    let penalty = w1.mapv(|v| v * v).sum() + w2.mapv(|v| v * v).sum();
    o.sum() + 0.1 * penalty + w1[[0, 0]]
}

#[test]
fn lists_of_tensors() {
    let (w1, b1) = (numbers((4, 5), 1), numbers(5, 2));
    let (w2, b2, x) = (numbers((5, 3), 3), numbers(3, 4), numbers((6, 4), 5));
    let (value, one) = written_out::value_and_gradient(&w1, &b1, &w2, &b2, &x);
    let (ws, bs) = (vec![w1, w2], vec![b1, b2]);
    let (y, g) = network::value_and_gradient(&ws, &bs, &x);
    close(y, value, 1e-14, "the value");
    let same = |a: &Array2<f64>, b: &Array2<f64>| {
        close((a - b).mapv(f64::abs).sum(), 0.0, 1e-13, "weights")
    };
    same(&g.ws[0], &one.w1);
    same(&g.ws[1], &one.w2);
    close(
        (&g.bs[0] - &one.b1).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "biases",
    );
    close(
        (&g.bs[1] - &one.b2).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "biases",
    );
    let (again, saved) = network::forward(&ws, &bs, &x);
    assert_eq!(again, y);
    assert_eq!(network::backward(&saved, 1.0), g);
    let mut workspace = NetworkWorkspace::default();
    for _ in 0..2 {
        let (again, with) = network::value_and_gradient_with(&mut workspace, &ws, &bs, &x);
        assert_eq!((again, with), (y, &g));
    }
    // None, and added to buffers.
    let (mut dw, mut db) = (g.ws.clone(), g.bs.clone());
    network::accumulate(&ws, &bs, &x, 2.0, &mut dw, &mut db);
    same(&dw[1], &(3.0 * &g.ws[1]));
    let x = numbers(4, 1);
    let (h, saved) = owned_list::forward(vec![ws[0].t().to_owned(), ws[1].t().to_owned()], &x);
    let up = numbers(3, 9);
    let g = owned_list::backward(&saved, up.clone());
    assert_eq!(g.ws.len(), 2);
    for k in 0..5 {
        let d = slope(|e| {
            let mut w = ws[0].t().to_owned();
            w[[k, 1]] += e;
            owned_list(vec![w, ws[1].t().to_owned()], &numbers(4, 1)).dot(&up)
        });
        close(g.ws[0][[k, 1]], d, 1e-9, "through two layers");
    }
    assert_eq!(h.len(), 3);
}

#[test]
#[should_panic(expected = "the buffers for the gradient of `ws` have other shapes")]
fn buffers_of_other_shapes() {
    let (ws, bs, x) = (
        vec![numbers((2, 2), 1)],
        vec![numbers(2, 2)],
        numbers((1, 2), 3),
    );
    network::accumulate(&ws, &bs, &x, 1.0, &mut [], &mut [Array1::zeros(2)]);
}

/// Buffers whose shape differs from layer to layer, in one workspace: the same numbers in the third run as in the first.
#[test]
fn layers_of_many_shapes() {
    let sizes = [4, 7, 2, 5, 1];
    let ws: Vec<Array2<f64>> = (0..4)
        .map(|k| numbers((sizes[k], sizes[k + 1]), k as u64))
        .collect();
    let bs: Vec<Array1<f64>> = (0..4)
        .map(|k| numbers(sizes[k + 1], 9 + k as u64))
        .collect();
    let x = numbers((3, 4), 20);
    let mut workspace = NetworkWorkspace::default();
    let (y, g) = network::value_and_gradient(&ws, &bs, &x);
    for _ in 0..3 {
        let with = network::value_and_gradient_with(&mut workspace, &ws, &bs, &x);
        assert_eq!(with, (y, &g));
    }
    for layer in 0..4 {
        let d = slope(|h| {
            let mut ws = ws.clone();
            ws[layer][[0, 0]] += h;
            network(&ws, &bs, &x)
        });
        close(g.ws[layer][[0, 0]], d, 1e-9, "a layer");
    }
}
