//! Types of arrays in other words.

use crate::agree::{close, numbers, slopes};
use backprop::{Float, backprop};
use ndarray::*;
use ndarray::{OwnedRepr, ViewRepr};

type Matrix = Array2<f64>;
type View<'a> = ArrayView1<'a, f64>;
type Of<T> = Array<T, Ix2>;
type Number = f64;

mod elsewhere {
    pub type Hidden = ndarray::Array<f64, ndarray::Ix2>;
}
use elsewhere::Hidden;

#[backprop]
fn storage(
    a: &ArrayBase<OwnedRepr<f64>, Ix2>,
    v: ArrayBase<ViewRepr<&f64>, Dim<[usize; 1]>>,
) -> f64 {
    a.dot(&v).mapv(f64::sin).sum()
}

#[backprop]
fn aliases(a: Matrix, b: &Of<Number>, c: &Hidden, v: View) -> Number {
    let mut zeros: Matrix = Matrix::zeros(a.raw_dim());
    zeros += &(a * b);
    zeros.dot(&v).sum() * c.sum()
}

#[backprop]
fn in_place(a: &mut Matrix) {
    *a *= 2.0;
}

#[backprop]
fn lists(ws: Vec<Matrix>, xs: &[Number; 3]) -> f64 {
    let x = aview1(xs);
    ws.iter().map(|w| w.dot(&x).sum()).sum::<f64>() * arr0(xs[0]).sum()
}

/// Numbers of the function's own are of its type.
#[backprop]
fn generic<T: Float>(x: &Array2<T>, w: &Array1<T>) -> T {
    let n = x.nrows();
    let mut z = Array2::<T>::zeros((n, n));
    z += &x.dot(&x.t());
    let p = w.product() + x.product_axis(Axis(0)).sum();
    let mut s = T::zero();
    for k in 0..n {
        if x[[k, 0]] > T::zero() {
            s = s + x[[k, 0]] * p;
            continue;
        }
        s = s - w[k];
    }
    let y = if s > T::one() { s * s } else { s };
    z.dot(&Array1::<T>::ones(n)).sum() * y + x.var(T::one())
}

#[test]
fn of_any_float() {
    let (x, w) = (numbers((3, 3), 1), numbers(3, 2));
    let g = generic::gradient(&x, &w);
    slopes(&g.x, &x, |x| generic(x, &w), "x");
    let single = generic::gradient(&x.mapv(|v| v as f32), &w.mapv(|v| v as f32));
    close(f64::from(single.w[1]), g.w[1], 1e-5, "w");
}

#[test]
fn against_differences() {
    let (a, v) = (numbers((2, 3), 1), numbers(3, 2));
    slopes(
        &storage::gradient(&a, v.view()).a,
        &a,
        |a| storage(a, v.view()),
        "storage",
    );
    let (b, c) = (numbers((2, 3), 3), numbers((2, 2), 4));
    let g = aliases::gradient(a.clone(), &b, &c, v.view());
    slopes(&g.a, &a, |a| aliases(a.clone(), &b, &c, v.view()), "a");
    slopes(&g.b, &b, |b| aliases(a.clone(), b, &c, v.view()), "b");
    slopes(&g.c, &c, |c| aliases(a.clone(), &b, c, v.view()), "c");
    let (ws, xs) = ([a.clone(), b.clone()], [1.0, 2.0, 3.0]);
    let g = lists::gradient(ws.to_vec(), &xs);
    slopes(
        &g.ws[1],
        &b,
        |b| lists(vec![a.clone(), b.clone()], &xs),
        "ws",
    );
    let first = crate::agree::slope(|h| lists(ws.to_vec(), &[1.0 + h, 2.0, 3.0]));
    close(g.xs[0], first, 1e-8, "xs");
    let mut changed = a.clone();
    let (_, saved) = in_place::forward(&mut changed);
    assert_eq!(in_place::backward(&saved, b.clone()).a, b * 2.0);
}
