//! The steps in Rust: in ndarray alone, on our kernels in two layouts, and by this crate's own means.

#![allow(
    clippy::needless_range_loop,
    reason = "loops are written as numerical code writes them"
)]

use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use backprop::kernel::{flush, map, map_slices, product, sigmoid, tanh};
use backprop::{Activation, Dense, Float, Loss, Mlp, Optimizer, Sgd, Workspace, backprop};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use crate::case::{Case, Data};

/// Runs a number of steps, and returns the last loss.
pub type Run = Box<dyn FnMut(usize) -> f64>;

/// The contender of this name, ready to run; none if it has no form for the case.
pub fn contender<T: Float>(name: &str, case: Case, threads: usize) -> Option<Run> {
    let rate = T::from(case.rate).unwrap();
    let data = case.data::<T>();
    Some(match (name, case.is_tiny()) {
        ("ndarray", false) => repeat(ndarray_alone(data, rate)),
        ("by_hand", false) => repeat(by_hand(data, rate)),
        ("best_layout", false) => best_layout(data, rate, threads),
        ("tensors", false) => repeat(tensors(data, rate)),
        ("descent", false) => repeat(descent(data, rate)),
        ("layers", false) => repeat(layers(data, case, rate)),
        ("loops_by_hand", true) => repeat(tiny_loops_by_hand(data)),
        ("loops_with_kernel", true) => repeat(tiny_loops_with_kernel(data)),
        ("by_hand", true) => repeat(tiny_by_hand(data)),
        ("tensors", true) => repeat(tiny_tensors(data)),
        ("loops", true) => repeat(tiny_loops(data)),
        _ => return None,
    })
}

fn repeat<T: Float>(mut step: impl FnMut() -> T + 'static) -> Run {
    Box::new(move |count| {
        let mut loss = T::nan();
        for _ in 0..count {
            loss = step();
        }
        loss.to_f64().unwrap()
    })
}

fn two<T: Float>(arrays: Vec<Array2<T>>) -> [Array2<T>; 2] {
    arrays.try_into().expect("two layers")
}

/// The lecture's lines, as a user of ndarray writes them.
fn ndarray_alone<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
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
fn by_hand<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
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

/// What one thread of [`best_layout`] works on: some hidden units, the batch innermost.
struct Part<'a, T> {
    w1: ArrayViewMut2<'a, T>,
    w2: ArrayViewMut2<'a, T>,
    h: ArrayViewMut2<'a, T>,
    dh: ArrayViewMut2<'a, T>,
    /// Outputs × samples: the parts' sum.
    e: ArrayViewMut2<'a, T>,
}

/// On the kernels, in the layout that suits the products: intermediates with the samples innermost, the weights of the first layer with
/// the inputs innermost, the inputs both ways. Two threads take half of the hidden units each, and meet once in a step.
fn best_layout<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T, threads: usize) -> Run {
    let [w1, mut w2] = two(weights);
    let transposed = |array: &Array2<T>| array.t().as_standard_layout().into_owned();
    let (mut w1, xt, yt) = (transposed(&w1), transposed(&x), transposed(&y));
    let hidden = w1.nrows();
    let mut h = Array2::zeros((hidden, x.nrows()));
    let mut dh = h.clone();
    let mut e = vec![Array2::zeros(yt.dim()); threads];
    Box::new(move |count| {
        let cut = |part: usize| part * hidden / threads;
        // What the parts hand each other, in turns: one is written while the other may still be read.
        let shared: Vec<[Mutex<Array2<T>>; 2]> = (0..threads)
            .map(|_| [0, 1].map(|_| Mutex::new(Array2::zeros(yt.dim()))))
            .collect();
        let barrier = Barrier::new(threads);
        let (x, xt, yt, shared, barrier) = (&x, &xt, &yt, &shared, &barrier);
        let mut rest = [w1.view_mut(), w2.view_mut(), h.view_mut(), dh.view_mut()];
        let mut loss = T::nan();
        std::thread::scope(|scope| {
            let mut last = None;
            for (number, e) in e.iter_mut().enumerate() {
                let size = cut(number + 1) - cut(number);
                let [w1, w2, h, dh] = rest.each_mut().map(|rest| {
                    let all = std::mem::replace(
                        rest,
                        ArrayViewMut2::from_shape((0, 0), &mut []).unwrap(),
                    );
                    let (part, others) = all.split_at(Axis(0), size);
                    *rest = others;
                    part
                });
                let mut part = Part {
                    w1,
                    w2,
                    h,
                    dh,
                    e: e.view_mut(),
                };
                let mut steps = move || {
                    let mut loss = T::nan();
                    for step in 0..count {
                        loss = part.step(
                            number,
                            step % 2,
                            x.view(),
                            xt.view(),
                            yt.view(),
                            rate,
                            shared,
                            barrier,
                        );
                    }
                    loss
                };
                if number + 1 < threads {
                    scope.spawn(steps);
                } else {
                    last = Some(steps());
                }
            }
            loss = last.unwrap_or(loss);
        });
        loss.to_f64().unwrap()
    })
}

impl<T: Float> Part<'_, T> {
    #[allow(clippy::too_many_arguments)]
    fn step(
        &mut self,
        number: usize,
        turn: usize,
        x: ArrayView2<'_, T>,
        xt: ArrayView2<'_, T>,
        yt: ArrayView2<'_, T>,
        rate: T,
        shared: &[[Mutex<Array2<T>>; 2]],
        barrier: &Barrier,
    ) -> T {
        let Self { w1, w2, h, dh, e } = self;
        let (zero, one) = (T::zero(), T::one());
        let two = one + one;
        product(one, w1, &xt, zero, h);
        let [] = map(
            [],
            [h.view_mut()],
            #[inline(always)]
            |[], [z]| ([flush(sigmoid(z))], []),
        );
        if shared.len() == 1 {
            product(one, &w2.t(), h, zero, e);
        } else {
            product(
                one,
                &w2.t(),
                h,
                zero,
                &mut *shared[number][turn].lock().unwrap(),
            );
            barrier.wait();
            e.fill(zero);
            for part in shared {
                *e += &*part[turn].lock().unwrap();
            }
        }
        let [loss] = map(
            [yt],
            [e.view_mut()],
            #[inline(always)]
            |[y], [p]| ([p - y], [(p - y) * (p - y)]),
        );
        product(two, w2, e, zero, dh);
        let [] = map(
            [h.view()],
            [dh.view_mut()],
            #[inline(always)]
            |[h], [dh]| ([flush(dh * h * (one - h))], []),
        );
        product(-two * rate, h, &e.t(), one, w2);
        product(-rate, dh, &x, one, w1);
        loss
    }
}

/// A place where threads wait for one another without sleeping.
struct Barrier {
    threads: usize,
    arrived: AtomicUsize,
}

impl Barrier {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            arrived: AtomicUsize::new(0),
        }
    }

    fn wait(&self) {
        let number = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (number / self.threads + 1) * self.threads;
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Acquire) < all {
            spin_loop();
            spins += 1;
            if spins > 20_000 {
                std::thread::yield_now();
            }
        }
    }
}

/// The lecture's forward lines.
#[backprop(wrt(w1, w2))]
fn network<T: Float>(w1: &Array2<T>, w2: &Array2<T>, x: &Array2<T>, y: &Array2<T>) -> T {
    let h = x.dot(w1).mapv(|z| T::one() / (T::one() + (-z).exp()));
    let y_pred = h.dot(w2);
    (&y_pred - y).mapv(|e| e * e).sum()
}

/// The gradient of the forward lines by the macro, then the updates.
fn tensors<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
    let [mut w1, mut w2] = two(weights);
    let mut workspace = NetworkWorkspace::default();
    move || {
        let (loss, gradient) = network::value_and_gradient_with(&mut workspace, &w1, &w2, &x, &y);
        w1.scaled_add(-rate, &gradient.w1);
        w2.scaled_add(-rate, &gradient.w2);
        loss
    }
}

/// The gradient of the forward lines and the updates by the macro.
fn descent<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T) -> impl FnMut() -> T {
    let [mut w1, mut w2] = two(weights);
    let mut workspace = NetworkWorkspace::default();
    move || network::descend_with(&mut workspace, rate, &mut w1, &mut w2, &x, &y)
}

/// The layers of this crate.
fn layers<T: Float>(Data { x, y, weights, .. }: Data<T>, case: Case, rate: T) -> impl FnMut() -> T {
    let layers = vec![
        Dense::new(case.widths[0], case.widths[1], Activation::Sigmoid).without_bias(),
        Dense::new(case.widths[1], case.widths[2], Activation::Identity).without_bias(),
    ];
    let parameters = weights.into_iter().flatten().collect();
    let mut network = Mlp::new(layers, parameters).expect("the shapes are right");
    let mut descent = Sgd::new(rate);
    let mut workspace = Workspace::default();
    move || {
        let loss = network.loss_and_gradients(&x, &y, Loss::SumSquaredError, &mut workspace);
        let loss = loss.expect("the loss is finite");
        descent
            .step(network.parameters_mut(), workspace.gradient())
            .expect("so are the gradients");
        loss
    }
}

// ---- the tiny network ----

/// Its widths, as constants for the loops.
const WIDTH: usize = 16;

/// Parameters, or the gradient with respect to them.
#[derive(Clone, Default)]
struct Tiny<T> {
    w1: [[T; WIDTH]; 4],
    b1: [T; WIDTH],
    w2: [[T; WIDTH]; WIDTH],
    b2: [T; WIDTH],
    w3: [T; WIDTH],
    b3: T,
}

impl<T: Float> Tiny<T> {
    fn of(data: &Data<T>) -> Self {
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

/// The samples of a batch, each with its target.
fn samples<T: Float>(data: &Data<T>) -> Vec<([T; 4], T)> {
    let rows = data.x.rows().into_iter().zip(&data.y);
    rows.map(|(row, &y)| (std::array::from_fn(|i| row[i]), y))
        .collect()
}

/// Loops over arrays, the gradient by hand.
fn tiny_loops_by_hand<T: Float>(data: Data<T>) -> impl FnMut() -> T {
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
fn tiny_loops_with_kernel<T: Float>(data: Data<T>) -> impl FnMut() -> T {
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
fn tiny_by_hand<T: Float>(
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
fn tiny_tensors<T: Float>(
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
fn tiny_loops<T: Float>(data: Data<T>) -> impl FnMut() -> T {
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
