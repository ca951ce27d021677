//! The tiny network, and its gradient by the macro: in matrices, and in loops over one sample after another.

use backprop::{Float, backprop};
use ndarray::Array2;

use crate::case::Data;

/// Its widths, as constants for the loops.
pub const WIDTH: usize = 16;

/// Parameters, or the gradient with respect to them.
#[derive(Clone, Default)]
pub struct Tiny<T> {
    pub w1: [[T; WIDTH]; 4],
    pub b1: [T; WIDTH],
    pub w2: [[T; WIDTH]; WIDTH],
    pub b2: [T; WIDTH],
    pub w3: [T; WIDTH],
    pub b3: T,
}

impl<T: Float> Tiny<T> {
    pub fn of(data: &Data<T>) -> Self {
        let mut tiny = Self::default();
        let rows = |to: &mut [[T; WIDTH]], from: &Array2<T>| {
            to.as_flattened_mut()
                .iter_mut()
                .zip(from)
                .for_each(|(to, &from)| *to = from);
        };
        rows(&mut tiny.w1, &data.weights[0]);
        rows(&mut tiny.w2, &data.weights[1]);
        rows(std::slice::from_mut(&mut tiny.b1), &data.biases[0]);
        rows(std::slice::from_mut(&mut tiny.b2), &data.biases[1]);
        rows(std::slice::from_mut(&mut tiny.w3), &data.weights[2]);
        tiny.b3 = data.biases[2][[0, 0]];
        tiny
    }
}

/// The samples of a batch, each with its target.
pub fn samples<T: Float>(data: &Data<T>) -> Vec<([T; 4], T)> {
    let rows = data.x.rows().into_iter().zip(&data.y);
    rows.map(|(row, &y)| (std::array::from_fn(|i| row[i]), y))
        .collect()
}

/// The loss of the batch, in matrices.
#[backprop(wrt(w1, b1, w2, b2, w3, b3))]
#[allow(clippy::too_many_arguments)]
fn tiny_network<T: Float>(
    w1: &Array2<T>,
    b1: &Array2<T>,
    w2: &Array2<T>,
    b2: &Array2<T>,
    w3: &Array2<T>,
    b3: &Array2<T>,
    x: &Array2<T>,
    y: &Array2<T>,
) -> T {
    let h1 = (x.dot(w1) + b1).mapv(|z| z.tanh());
    let h2 = (h1.dot(w2) + b2).mapv(|z| z.tanh());
    let e = h2.dot(w3) + b3 - y;
    (&e * &e).sum()
}

/// The gradient of the matrices by the macro.
pub fn tiny_tensors<T: Float>(
    Data {
        x,
        y,
        weights,
        biases,
    }: Data<T>,
) -> impl FnMut() -> T {
    let [w1, w2, w3]: [Array2<T>; 3] = weights.try_into().expect("three layers");
    let [b1, b2, b3]: [Array2<T>; 3] = biases.try_into().expect("three layers");
    let mut workspace = TinyNetworkWorkspace::default();
    move || {
        let (loss, gradient) = tiny_network::value_and_gradient_with(
            &mut workspace,
            &w1,
            &b1,
            &w2,
            &b2,
            &w3,
            &b3,
            &x,
            &y,
        );
        std::hint::black_box(gradient);
        loss
    }
}

/// The loss of one sample, in loops that the macro differentiates.
#[backprop(wrt(w1, b1, w2, b2, w3, b3))]
#[allow(clippy::too_many_arguments, clippy::needless_range_loop)]
fn tiny_loss<T: Float>(
    w1: &[[T; WIDTH]; 4],
    b1: &[T; WIDTH],
    w2: &[[T; WIDTH]; WIDTH],
    b2: &[T; WIDTH],
    w3: &[T; WIDTH],
    b3: T,
    x: &[T; 4],
    y: T,
) -> T {
    let mut h1 = *b1;
    for i in 0..4 {
        for j in 0..WIDTH {
            h1[j] += x[i] * w1[i][j];
        }
    }
    for j in 0..WIDTH {
        h1[j] = h1[j].tanh();
    }
    let mut h2 = *b2;
    for i in 0..WIDTH {
        for j in 0..WIDTH {
            h2[j] += h1[i] * w2[i][j];
        }
    }
    for j in 0..WIDTH {
        h2[j] = h2[j].tanh();
    }
    let mut e = b3 - y;
    for j in 0..WIDTH {
        e += h2[j] * w3[j];
    }
    e * e
}

/// The same loops, the gradient by the macro.
pub fn tiny_loops<T: Float>(data: Data<T>) -> impl FnMut() -> T {
    let (p, samples) = (Tiny::of(&data), samples(&data));
    move || {
        let p = std::hint::black_box(&p);
        let mut g = Tiny::<T>::default();
        let (d1, e1, d2, e2) = (&mut g.w1, &mut g.b1, &mut g.w2, &mut g.b2);
        let (d3, e3) = (&mut g.w3, &mut g.b3);
        let mut loss = T::zero();
        for (x, y) in &samples {
            loss += tiny_loss::accumulate(
                &p.w1,
                &p.b1,
                &p.w2,
                &p.b2,
                &p.w3,
                p.b3,
                x,
                *y,
                T::one(),
                d1,
                e1,
                d2,
                e2,
                d3,
                e3,
            );
        }
        std::hint::black_box(&g);
        loss
    }
}
