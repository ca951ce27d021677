//! Types of arrays in other words.

use crate::agree::{close, numbers, slopes};
use backprop::backprop;
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
