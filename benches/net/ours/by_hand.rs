//! The lecture's step by hand: in ndarray alone, and on our kernels in NumPy's layout.

use backprop::Float;
use backprop::kernel::{flush, map, product, sigmoid};
use ndarray::Array2;

use super::two;
use crate::case::Data;

/// The lecture's lines, as a user of ndarray writes them.
pub fn ndarray_alone<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
    let [mut w1, mut w2] = two(weights);
    let (one, two) = (T::one(), T::one() + T::one());
    move || {
        let h = x.dot(&w1).mapv(|z| one / (one + (-z).exp()));
        let e = h.dot(&w2) - &y;
        let loss = e.mapv(|e| e * e).sum();
        let grad_y = e * two;
        let grad_w2 = h.t().dot(&grad_y);
        let grad_h = grad_y.dot(&w2.t());
        let grad_w1 = x.t().dot(&(grad_h * &h * &h.mapv(|h| one - h)));
        w1.scaled_add(-rate, &grad_w1);
        w2.scaled_add(-rate, &grad_w2);
        loss
    }
}

/// On the kernels, in the layout of NumPy: five products, two of them straight into the weights, three passes, no allocation.
pub fn by_hand<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
    let [mut w1, mut w2] = two(weights);
    let (zero, one) = (T::zero(), T::one());
    let two = one + one;
    let mut h = Array2::zeros((x.nrows(), w1.ncols()));
    let mut dh = h.clone();
    let mut e = Array2::zeros(y.dim());
    move || {
        product(one, &x, &w1, zero, &mut h);
        let [] = map(
            [],
            [h.view_mut()],
            #[inline(always)]
            |[], [z]| ([flush(sigmoid(z))], []),
        );
        product(one, &h, &w2, zero, &mut e);
        let [loss] = map(
            [y.view()],
            [e.view_mut()],
            #[inline(always)]
            |[y], [p]| ([p - y], [(p - y) * (p - y)]),
        );
        product(two, &e, &w2.t(), zero, &mut dh);
        let [] = map(
            [h.view()],
            [dh.view_mut()],
            #[inline(always)]
            |[h], [dh]| ([flush(dh * h * (one - h))], []),
        );
        product(-two * rate, &h.t(), &e, one, &mut w2);
        product(-rate, &x.t(), &dh, one, &mut w1);
        loss
    }
}
