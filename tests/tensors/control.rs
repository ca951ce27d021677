//! Loops and branches within one another, and around everything else that tensors admit.

use crate::agree::{close, numbers};
use backprop::{Float, backprop};
use ndarray::{Array1, Array2, Axis, Zip, concatenate, s};

/// Generic, with one loop after another, and a state that both read.
#[backprop(wrt(w, x))]
fn generic<T: Float>(w: &Array2<T>, x: &Array2<T>, scale: T) -> T {
    let mut h = x.row(0).to_owned();
    for t in 1..x.nrows() {
        h = (w.dot(&h) * scale + &x.row(t)).mapv(|v| v.tanh());
    }
    let first = h.clone();
    let mut total = T::zero();
    for (k, row) in x.rows().into_iter().enumerate() {
        h = &h * &row + &first;
        if k > 1 {
            total = total + (&h * &first).sum();
        }
    }
    total * h.sum()
}

/// Softmax and folds of lanes in a loop; attention over the rows so far.
#[backprop(wrt(q, k))]
fn attention(q: &Array2<f64>, k: &Array2<f64>, v: &Array2<f64>) -> f64 {
    let mut out = Array2::zeros((q.nrows(), v.ncols()));
    let mut largest = 0.0;
    for t in 0..q.nrows() {
        let z = k.slice(s![..t + 1, ..]).dot(&q.row(t));
        let m = z.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        let e = z.mapv(|v| (v - m).exp());
        let p = &e / e.sum();
        out.row_mut(t).assign(&p.dot(&v.slice(s![..t + 1, ..])));
        largest += p.fold(0.0, |m: f64, &p| m.max(p));
    }
    out.mapv(f64::sin).sum() + largest
}

#[backprop(wrt(a, b))]
fn deep(a: &Array2<f64>, b: &Array1<f64>, flags: &[bool]) -> f64 {
    let mut y = b.clone();
    if flags[0] {
        for (i, row) in a.rows().into_iter().enumerate() {
            let z = if flags[1 + i % 2] {
                let mut z = &y * &row;
                for _ in 0..flags.len() {
                    if z.sum() > 0.2 {
                        z = z.mapv(f64::sin);
                    } else {
                        z += &row;
                    }
                }
                z
            } else {
                let parts = concatenate![Axis(0), row, y];
                parts.slice(s![1..1 + b.len()]).to_owned()
            };
            y = Zip::from(&y)
                .and(&z)
                .map_collect(|&y, &z| 0.5 * y + 0.1 * z * z);
        }
    }
    let mut n = 1.0;
    for (i, v) in y.iter().enumerate() {
        n *= *v + i as f64;
    }
    n
}

/// Nothing of the loop leads to the result, or its result not to a parameter.
#[backprop(wrt(a))]
fn idle(a: &Array2<f64>, c: &Array1<f64>) -> f64 {
    let mut unused = a.row(0).to_owned();
    let mut constant = c.clone();
    for row in a.rows() {
        unused = &unused * &row;
        constant = &constant * 0.5 + c;
    }
    assert!(unused.len() == c.len());
    (a * &constant).sum()
}

#[backprop(wrt(ws))]
fn chosen(ws: &[Array2<f64>], x: &Array1<f64>, order: &[usize]) -> f64 {
    let mut h = x.clone();
    for &k in order {
        h = ws[k].dot(&h).mapv(|v| v.tanh());
        if k == 0 {
            h = &h + &ws[ws.len() - 1].row(0);
        }
    }
    h.sum()
}

#[test]
fn against_differences() {
    let (w, x) = (numbers((3, 3), 1), numbers((4, 3), 2));
    let at = |w: &Array2<f64>, x: &Array2<f64>| generic(w, x, 0.7);
    let (y, g) = generic::value_and_gradient(&w, &x, 0.7);
    close(y, at(&w, &x), 1e-13, "the value");
    crate::agree::slopes(&g.w, &w, |w| at(w, &x), "w");
    crate::agree::slopes(&g.x, &x, |x| at(&w, x), "x");
    let single = generic::gradient(&w.mapv(|v| v as f32), &x.mapv(|v| v as f32), 0.7);
    close(
        (single.w.mapv(f64::from) - &g.w).mapv(f64::abs).sum(),
        0.0,
        1e-4,
        "f32",
    );
    let (q, k, v) = (numbers((4, 3), 1), numbers((4, 3), 2), numbers((4, 2), 3));
    agrees!(in loops attention, AttentionWorkspace(q, k, v) wrt q, k);
    let (a, c) = (numbers((3, 4), 1), numbers(4, 2));
    agrees!(in loops idle, IdleWorkspace(a, c) wrt a);
}

#[test]
fn within_one_another() {
    let (a, b) = (numbers((4, 3), 3), numbers(3, 4));
    for flags in [
        [true, true, false],
        [true, false, true],
        [true, true, true],
        [false, true, true],
    ] {
        let (y, g) = deep::value_and_gradient(&a, &b, &flags);
        close(y, deep(&a, &b, &flags), 1e-13, "the value");
        for (k, &found) in g.a.indexed_iter() {
            let d = crate::agree::slope(|h| {
                let mut a = a.clone();
                a[k] += h;
                deep(&a, &b, &flags)
            });
            close(found, d, 1e-8, "a");
        }
        for (k, &found) in g.b.indexed_iter() {
            let d = crate::agree::slope(|h| {
                let mut b = b.clone();
                b[k] += h;
                deep(&a, &b, &flags)
            });
            close(found, d, 1e-8, "b");
        }
        let (again, saved) = deep::forward(&a, &b, &flags);
        assert_eq!((again, deep::backward(&saved, 1.0)), (y, g.clone()));
        let mut workspace = DeepWorkspace::default();
        for _ in 0..2 {
            let with = deep::value_and_gradient_with(&mut workspace, &a, &b, &flags);
            assert_eq!(with, (y, &g));
        }
    }
}

/// The same tensor in several iterations, in an order known while running.
#[test]
fn lists_by_their_indices() {
    let (ws, x) = (vec![numbers((3, 3), 1), numbers((3, 3), 2)], numbers(3, 3));
    for order in [&[0_usize, 1, 0, 0][..], &[1, 1], &[]] {
        let (y, g) = chosen::value_and_gradient(&ws, &x, order);
        close(y, chosen(&ws, &x, order), 1e-13, "the value");
        for which in 0..2 {
            for (k, &found) in g.ws[which].indexed_iter() {
                let d = crate::agree::slope(|h| {
                    let mut ws = ws.clone();
                    ws[which][k] += h;
                    chosen(&ws, &x, order)
                });
                close(found, d, 1e-8, "ws");
            }
        }
        let (again, saved) = chosen::forward(&ws, &x, order);
        assert_eq!((again, chosen::backward(&saved, 1.0)), (y, g));
    }
}
