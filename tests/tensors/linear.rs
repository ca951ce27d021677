//! Products, sums, means and folds.

use super::agree::numbers;
use backprop::backprop;
use ndarray::*;

#[backprop]
fn products(a: &Array2<f64>, b: &Array2<f64>, x: &Array1<f64>, y: &Array1<f64>) -> f64 {
    let c = a.dot(b);
    let u = c.dot(x);
    let v = y.dot(&c);
    u.dot(y) * v.dot(x) + c.t().dot(y).sum()
}

#[backprop]
fn squares(a: &Array2<f64>) -> f64 {
    let c = a.t().dot(a);
    let d = a.dot(&a.t());
    c.mapv(|v| v * v).sum() + d.diag().sum()
}

#[backprop]
fn sums(a: &Array2<f64>) -> f64 {
    let rows = a.sum_axis(Axis(1));
    let columns = a.mean_axis(Axis(0)).unwrap();
    let weighted = a * &columns;
    rows.mapv(|v| v * v).sum() + weighted.mapv(|v| v.sin()).sum() + a.mean().unwrap() * a.sum()
}

#[backprop]
fn spread(a: &Array2<f64>) -> f64 {
    a.var(1.0) + a.std(0.0) * a.var_axis(Axis(0), 0.0).sum() + a.std_axis(Axis(1), 1.0).sum()
}

#[backprop]
fn folds(a: &Array2<f64>) -> f64 {
    let largest = a.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
    let lse = a.map_axis(Axis(1), |row| {
        let m = row.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        m + row.iter().map(|v| (v - m).exp()).sum::<f64>().ln()
    });
    let column = a.fold_axis(Axis(0), 1.0, |&p, &v| p * v);
    largest * lse.sum() + column.sum() + a.product()
}

#[backprop]
fn shared(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
    // One tensor, used in many ways: its adjoint is added to.
    let y = a.dot(x);
    let z = a.dot(&y);
    y.dot(&z) + (&y * &z).sum() + a.sum() + y[0] * z[[1]] + a[[1, 2]] * a[(2, 0)]
}

#[test]
fn against_differences() {
    let (a, b, x, y) = (
        numbers((3, 4), 1),
        numbers((4, 5), 2),
        numbers(5, 3),
        numbers(3, 4),
    );
    agrees!(products, ProductsWorkspace(a, b, x, y) wrt a, b, x, y);
    agrees!(squares, SquaresWorkspace(a) wrt a);
    agrees!(sums, SumsWorkspace(a) wrt a);
    agrees!(spread, SpreadWorkspace(a) wrt a);
    agrees!(folds, FoldsWorkspace(a) wrt a);
    let (a, x) = (numbers((3, 3), 5), numbers(3, 6));
    agrees!(shared, SharedWorkspace(a, x) wrt a, x);
}

#[test]
fn transposed_and_strided_arguments() {
    let (b, x, y) = (numbers((4, 5), 2), numbers(5, 3), numbers(3, 4));
    let a = numbers((4, 3), 1).reversed_axes();
    agrees!(products, ProductsWorkspace(a, b, x, y) wrt a, b, x, y);
    agrees!(folds, FoldsWorkspace(a) wrt a);
    agrees!(sums, SumsWorkspace(a) wrt a);
}
