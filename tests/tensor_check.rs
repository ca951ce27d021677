//! `#[backprop(check)]` on functions of tensors: each is a generated test, which runs with the rest. Here are functions whose shapes are
//! found and given, and rules that are wrong, whose tests must fail.
#![cfg(feature = "runtime")]
#![allow(clippy::all)] // Written as users write them.

use backprop::{Differentiable, backprop};
use ndarray::{Array0, Array1, Array2, ArrayD, ArrayView1, ArrayView2, ArrayViewMut1, Axis, s};

/// Shapes that are found: by what products and sums ask for, and by trying.
mod found {
    use super::*;

    // Three layers: thirteen axes, of five lengths.
    #[backprop(check)]
    fn network(
        x: &Array2<f64>,
        w1: &Array2<f64>,
        b1: &Array1<f64>,
        w2: &Array2<f64>,
        b2: &Array1<f64>,
        w3: &Array2<f64>,
        b3: &Array1<f64>,
        y: &Array2<f64>,
    ) -> f64 {
        let h = (x.dot(w1) + b1).mapv(f64::tanh);
        let h = (h.dot(w2) + b2).mapv(f64::tanh);
        let e = h.dot(w3) + b3 - y;
        (&e * &e).sum() / 2.0
    }

    // The shape program says nothing of these.
    #[backprop(check)]
    fn by_hand(x: ArrayView2<f64>, w: ArrayView1<'_, f64>) -> Array1<f64> {
        let mut y = Array1::zeros(x.nrows());
        for i in 0..x.nrows() {
            let mut s = 0.0;
            for j in 0..w.len() {
                s += x[[i, j]] * w[j];
            }
            y[i] = s;
        }
        assert_eq!(x.ncols(), w.len());
        y
    }

    #[backprop(check)]
    fn windows(x: &Array1<f64>, kernel: &Array1<f64>) -> f64 {
        assert!(kernel.len() <= x.len());
        let mut total = 0.0;
        for window in x.windows(kernel.len()) {
            total += window.dot(kernel).powi(2);
        }
        total
    }

    // Classes among integers, of which some are too large.
    #[backprop(check, wrt(z))]
    fn cross_entropy(z: &Array2<f64>, labels: &[usize], scale: f64) -> f64 {
        let mut total = 0.0;
        for i in 0..z.nrows() {
            let row = z.row(i);
            let m = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let sum = row.mapv(|v| (v - m).exp()).sum().ln() + m;
            total += sum - z[[i, labels[i]]];
        }
        total * scale
    }

    #[backprop(check)]
    fn pairs(x: &Array1<f64>, index: &Array1<usize>, flag: bool) -> (Array1<f64>, f64) {
        let k = index[0];
        let y = x.mapv(f64::exp);
        let last = if flag { y[k - 1] } else { y.sum() };
        (y, last)
    }

    #[backprop(check)]
    fn square<T: backprop::Float>(a: &Array2<T>, x: &Array1<T>) -> T {
        x.dot(&a.dot(x))
    }

    #[backprop(check)]
    fn single(a: &Array2<f32>, x: &Array1<f32>) -> Array1<f32> {
        a.dot(x).mapv(|v| v.sin())
    }

    #[backprop(check)]
    fn list(layers: &[Array2<f64>], x: &Array1<f64>) -> f64 {
        let mut h = x.to_owned();
        for w in layers {
            h = w.dot(&h).mapv(f64::tanh);
        }
        h.sum()
    }

    #[backprop(check(domain(x > 0.0)))]
    fn kinks(x: &Array1<f64>, k: f64) -> f64 {
        x.mapv(|v| (v - k).max(0.0) + v.ln()).sum()
    }

    #[backprop(check)]
    fn in_place(x: &mut Array1<f64>, mut y: ArrayViewMut1<f64>, k: f64) {
        x.mapv_inplace(|v| v * k);
        y.zip_mut_with(x, |a, &b| *a += b * b);
    }

    #[backprop(check)]
    fn nothing_dimensional(a: Array0<f64>, b: &ArrayD<f64>) -> f64 {
        a.sum() * b.mapv(|v| v * v).sum()
    }

    #[derive(Differentiable)]
    pub struct Layer {
        pub w: Array2<f64>,
        pub b: Array1<f64>,
        pub scale: f64,
        #[backprop(constant)]
        pub steps: usize,
    }

    #[backprop(check)]
    fn applied(layer: &Layer, x: &Array1<f64>, gains: &[f64]) -> f64 {
        let mut y = layer.w.dot(x) + &layer.b;
        for _ in 0..layer.steps {
            y = y.mapv(|v| v.sin());
        }
        (y * layer.scale).sum() * gains[0] * gains[1]
    }
}

/// Shapes and points that are given.
mod given {
    use super::*;

    #[backprop(check(shape(theta = 11, x = [4, 2]), points = 4, seed = 3))]
    fn unpacked(theta: &Array1<f64>, x: &Array2<f64>) -> f64 {
        let w = theta.slice(s![..8]).into_shape_with_order((2, 4)).unwrap();
        let b = theta.slice(s![8..]);
        let h = x.dot(&w).mapv(f64::tanh);
        h.sum_axis(Axis(0)).slice(s![..3]).dot(&b)
    }

    #[backprop(check(at(w = [[1.0, 2.0], [3.0, 4.0]], x = [1.0, -1.0]), value = 2.0, gradient(w = [[-2.0, 2.0], [-2.0, 2.0]], x = [-8.0, -12.0])))]
    fn squares(w: &Array2<f64>, x: &Array1<f64>) -> f64 {
        let y = w.dot(x);
        y.dot(&y)
    }

    #[backprop(check(shape(net.w = [2, 3], net.b = [2], layers = [[3, 2], [2, 4]])))]
    fn fields(net: &Net, layers: &[Array2<f64>]) -> f64 {
        let mut h = net.w.t().dot(&net.b);
        for w in layers {
            h = h.dot(w);
        }
        h.sum()
    }

    #[derive(Differentiable)]
    pub struct Net {
        pub w: Array2<f64>,
        pub b: Array1<f64>,
    }
}
