//! The lecture's step by hand on our kernels, in the layout that suits them, on any number of threads.

use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use backprop::Float;
use backprop::kernel::{flush, map, product, sigmoid};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use super::{Run, two};
use crate::case::Data;

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
pub fn best_layout<T: Float>(Data { x, y, weights, .. }: Data<T>, rate: T, threads: usize) -> Run {
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
