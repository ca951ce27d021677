//! Views, reshaping, concatenation, constructors, assignment to parts.

use super::agree::numbers;
use backprop::backprop;
use ndarray::*;

#[backprop]
fn views(a: &Array2<f64>) -> f64 {
    let r = a.row(1);
    let c = a.column(2);
    let s = a.slice(s![..2, 1..]);
    let t = s.t();
    let i = a.index_axis(Axis(0), 2);
    let w = a.slice(s![.., 0]).insert_axis(Axis(1));
    r.dot(&i) + c.mapv(|v| v * v).sum() + t.dot(&s).sum() + (a * &w).sum()
}

#[backprop]
fn reshaped(a: &Array2<f64>) -> f64 {
    let b = a.to_shape((2, 6)).unwrap();
    let c = b.reversed_axes().into_owned();
    let d = a.clone().into_shape_with_order(12).unwrap();
    c.row(0).dot(&c.row(3)) + (&d * &d * 0.5).sum() + a.flatten()[7]
}

#[backprop]
fn joined(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let c = concatenate![Axis(0), *a, *b];
    let d = stack![Axis(0), a.row(0), b.row(0)];
    let e = concatenate(Axis(1), &[a.view(), b.view()]).unwrap();
    (&c * &c).sum() + d.dot(&c.t()).mapv(|v| v.sin()).sum() + e.row(1).mapv(|v| v * v * v).sum()
}

#[backprop]
fn made(a: &Array2<f64>, k: usize) -> f64 {
    let mut out = Array2::zeros((3, a.ncols()));
    let ones = Array1::<f64>::ones(a.ncols());
    out.row_mut(k).assign(&a.row(0));
    out.row_mut(1).fill(a[[1, 1]]);
    out[[2, 0]] = a[[0, 1]] * 2.0;
    out[[2, 0]] += a[[1, 0]];
    let half = Array2::from_elem(a.raw_dim(), 0.5);
    let picked = a.select(Axis(0), &[1, 0, 1]);
    (&out * &out).dot(&ones).sum() + (a * &half).sum() + (&picked * &picked).sum()
}

#[backprop]
fn higher(a: &Array3<f64>) -> f64 {
    let m = a.index_axis(Axis(0), 1);
    let s = a.sum_axis(Axis(2));
    let p = a.view().permuted_axes([2, 0, 1]);
    m.sum() * (&s * &s).sum() + p.index_axis(Axis(0), 0).mapv(|v| v.exp()).sum()
}

#[backprop]
fn dynamic(a: &ArrayD<f64>) -> f64 {
    let b = a.mapv(|v| v * v);
    let m = b.into_dimensionality::<Ix2>().unwrap();
    m.dot(&m.t()).sum() + a.sum_axis(Axis(0)).sum()
}

#[test]
fn against_differences() {
    let a = numbers((3, 4), 1);
    agrees!(views, ViewsWorkspace(a) wrt a);
    agrees!(reshaped, ReshapedWorkspace(a) wrt a);
    let (a, b) = (numbers((2, 3), 2), numbers((2, 3), 3));
    agrees!(joined, JoinedWorkspace(a, b) wrt a, b);
    let a = numbers((2, 3, 4), 4);
    agrees!(higher, HigherWorkspace(a) wrt a);
    let a = numbers((2, 3), 5).into_dyn();
    agrees!(dynamic, DynamicWorkspace(a) wrt a);
}

#[test]
fn parts_are_assigned_to() {
    let a = numbers((2, 3), 6);
    let g = made::gradient(&a, 0);
    for (k, found) in g.a.indexed_iter() {
        let expected = super::agree::slope(|h| {
            let mut a = a.clone();
            a[k] += h;
            made(&a, 0)
        });
        super::agree::close(*found, expected, 1e-9, "made");
    }
    let (_, saved) = made::forward(&a, 0);
    assert_eq!(made::backward(&saved, 1.0).a, g.a);
}
