//! The tiny network's gradient by hand: in loops over arrays, and in matrices on our kernels.

#![allow(
    clippy::needless_range_loop,
    reason = "loops are written as numerical code writes them"
)]

use backprop::Float;
use backprop::kernel::{map, map_slices, product, tanh};
use ndarray::Array2;

use super::tiny::{Tiny, WIDTH, samples};
use crate::case::Data;

/// The loss of one sample; adds its gradient to `g`.
#[inline(always)]
fn tiny_sample<T: Float>(
    p: &Tiny<T>,
    g: &mut Tiny<T>,
    x: &[T; 4],
    y: T,
    tanh: impl Fn(&mut [T; WIDTH]),
) -> T {
    let (one, two) = (T::one(), T::one() + T::one());
    let (mut h1, mut h2) = (p.b1, p.b2);
    for i in 0..4 {
        for j in 0..WIDTH {
            h1[j] += x[i] * p.w1[i][j];
        }
    }
    tanh(&mut h1);
    for i in 0..WIDTH {
        for j in 0..WIDTH {
            h2[j] += h1[i] * p.w2[i][j];
        }
    }
    tanh(&mut h2);
    let e = sum_of_products(&h2, &p.w3) + p.b3 - y;

    let d = two * e;
    g.b3 += d;
    let mut d2 = [T::zero(); WIDTH];
    for j in 0..WIDTH {
        g.w3[j] += d * h2[j];
        d2[j] = d * p.w3[j] * (one - h2[j] * h2[j]);
        g.b2[j] += d2[j];
    }
    let mut d1 = [T::zero(); WIDTH];
    for i in 0..WIDTH {
        for j in 0..WIDTH {
            g.w2[i][j] += d2[j] * h1[i];
        }
        d1[i] = sum_of_products(&d2, &p.w2[i]);
    }
    for i in 0..WIDTH {
        d1[i] *= one - h1[i] * h1[i];
        g.b1[i] += d1[i];
    }
    for k in 0..4 {
        for i in 0..WIDTH {
            g.w1[k][i] += d1[i] * x[k];
        }
    }
    e * e
}

/// In pairs, so that the additions do not wait for one another.
#[inline(always)]
fn sum_of_products<T: Float>(a: &[T; WIDTH], b: &[T; WIDTH]) -> T {
    let mut terms = [T::zero(); WIDTH];
    for i in 0..WIDTH {
        terms[i] = a[i] * b[i];
    }
    let mut width = WIDTH / 2;
    while width > 0 {
        for i in 0..width {
            let other = terms[i + width];
            terms[i] += other;
        }
        width /= 2;
    }
    terms[0]
}

/// Loops over arrays, the gradient by hand.
pub fn tiny_loops_by_hand<T: Float>(data: Data<T>) -> impl FnMut() -> T {
    let (p, samples) = (Tiny::of(&data), samples(&data));
    move || {
        let p = std::hint::black_box(&p);
        let mut g = Tiny::default();
        let mut loss = T::zero();
        for (x, y) in &samples {
            loss += tiny_sample(p, &mut g, x, *y, |h| *h = h.map(T::tanh));
        }
        std::hint::black_box(&g);
        loss
    }
}

/// The same loops with the kernels' `tanh`.
pub fn tiny_loops_with_kernel<T: Float>(data: Data<T>) -> impl FnMut() -> T {
    let (p, samples) = (Tiny::of(&data), samples(&data));
    move || {
        let p = std::hint::black_box(&p);
        let mut g = Tiny::default();
        let mut loss = T::zero();
        for (x, y) in &samples {
            loss += tiny_sample(p, &mut g, x, *y, |h| {
                let [] = map_slices(
                    [],
                    [h],
                    #[inline(always)]
                    |[], [h]| ([tanh(h)], []),
                );
            });
        }
        std::hint::black_box(&g);
        loss
    }
}

/// On the kernels: the batch in matrices.
pub fn tiny_by_hand<T: Float>(
    Data {
        x,
        y,
        weights,
        biases,
    }: Data<T>,
) -> impl FnMut() -> T {
    let [w1, w2, w3]: [Array2<T>; 3] = weights.try_into().expect("three layers");
    let [b1, b2, b3]: [Array2<T>; 3] = biases.try_into().expect("three layers");
    let (zero, one) = (T::zero(), T::one());
    let two = one + one;
    let mut h1 = Array2::zeros((x.nrows(), WIDTH));
    let (mut h2, mut d1, mut d2) = (h1.clone(), h1.clone(), h1.clone());
    let mut e = Array2::zeros(y.dim());
    let (mut dw1, mut dw2, mut dw3) = (w1.clone(), w2.clone(), w3.clone());
    let (mut db1, mut db2, mut db3) = (b1.clone(), b2.clone(), b3.clone());
    let ones = Array2::from_elem((1, x.nrows()), one);
    move || {
        let layer = |x: &Array2<T>, w: &Array2<T>, b: &Array2<T>, h: &mut Array2<T>| {
            h.assign(b);
            product(one, x, w, one, h);
            let [] = map(
                [],
                [h.view_mut()],
                #[inline(always)]
                |[], [z]| ([tanh(z)], []),
            );
        };
        layer(&x, &w1, &b1, &mut h1);
        layer(&h1, &w2, &b2, &mut h2);
        e.assign(&b3);
        product(one, &h2, &w3, one, &mut e);
        let [loss] = map(
            [y.view()],
            [e.view_mut()],
            #[inline(always)]
            |[y], [p]| ([two * (p - y)], [(p - y) * (p - y)]),
        );
        let back = |d: &Array2<T>, w: &Array2<T>, h: &Array2<T>, out: &mut Array2<T>| {
            product(one, d, &w.t(), zero, out);
            let [] = map(
                [h.view()],
                [out.view_mut()],
                #[inline(always)]
                |[h], [d]| ([d * (one - h * h)], []),
            );
        };
        back(&e, &w3, &h2, &mut d2);
        back(&d2, &w2, &h1, &mut d1);
        product(one, &h2.t(), &e, zero, &mut dw3);
        product(one, &h1.t(), &d2, zero, &mut dw2);
        product(one, &x.t(), &d1, zero, &mut dw1);
        product(one, &ones, &e, zero, &mut db3);
        product(one, &ones, &d2, zero, &mut db2);
        product(one, &ones, &d1, zero, &mut db1);
        std::hint::black_box((&mut dw1, &mut dw2, &mut dw3, &mut db1, &mut db2, &mut db3));
        loss
    }
}
