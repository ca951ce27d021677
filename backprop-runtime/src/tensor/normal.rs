//! Lanes of mean 0 and variance 1, along an axis.
//!
//! In: a view, along which axis, and three floats: what the sum of a lane is divided by, what the sum of its squares, and what is added to the
//! variance. Out: what the operations one by one would give, each lane in one go, without a division for each element. What is done with one
//! element are functions under `#[backprop]`; the way back adds up what they hand to the mean and to the variance, and hands it on to all
//! elements. No derivative is written here.

use backprop_macro::backprop;
use ndarray::{ArrayView, ArrayViewMut, Axis, Dimension};
use num_traits::Float;

use super::lanes::{along, nothing};
use crate::kernel::map::map_here;
use crate::kernel::{Real, dispatch};

/// One element, from the mean and the inverse of the deviation.
#[backprop]
#[inline(always)]
fn normalized<T: Float>(x: T, mean: T, scale: T) -> T {
    (x - mean) * scale
}

/// What one element adds to the sum of squares.
#[backprop]
#[inline(always)]
fn square<T: Float>(x: T, mean: T) -> T {
    let centred = x - mean;
    centred * centred
}

/// The inverse of the deviation.
#[backprop(wrt(squares))]
#[inline(always)]
fn scale<T: Float>(squares: T, count: T, shift: T) -> T {
    T::one() / (squares / count + shift).sqrt()
}

/// `(x - m) / √(Σ (x - m)² / count + shift)`, where `m` is `Σ x / n`. What is kept of each lane is `m` and the sum of squares.
pub fn normalize<T: Real, D: Dimension>(
    x: ArrayView<'_, T, D>,
    axis: Axis,
    counts: [T; 3],
    mut means: ArrayViewMut<'_, T, D::Smaller>,
    mut squares: ArrayViewMut<'_, T, D::Smaller>,
    to: ArrayViewMut<'_, T, D>,
) {
    let kept = means.iter_mut().zip(squares.iter_mut());
    along([x], Some(axis), kept, to, |[x], (mean, square), to| {
        (*mean, *square) = dispatch(
            #[inline(always)]
            || lane(x, counts, to),
        );
    });
}

/// [`normalize`] of one lane: its mean and its sum of squares.
#[inline(always)]
fn lane<T: Real>(x: &[T], [n, count, shift]: [T; 3], to: &mut [T]) -> (T, T) {
    let [sum] = map_here(
        [x],
        [],
        #[inline(always)]
        |[x], []| ([], [x]),
    );
    let m = sum / n;
    let [sum] = map_here(
        [x],
        [],
        #[inline(always)]
        |[x], []| ([], [square(x, m)]),
    );
    let s = scale(sum, count, shift);
    let [] = map_here(
        [x],
        [to],
        #[inline(always)]
        |[x], [_]| ([normalized(x, m, s)], []),
    );
    (m, sum)
}

/// The backward pass of [`normalize`], from `x` and the upstream gradient.
pub fn normalize_back<T: Real, D: Dimension>(
    inputs: [ArrayView<'_, T, D>; 2],
    axis: Axis,
    counts: [T; 3],
    means: ArrayView<'_, T, D::Smaller>,
    squares: ArrayView<'_, T, D::Smaller>,
    to: ArrayViewMut<'_, T, D>,
    add: bool,
) {
    let kept = means.iter().zip(&squares);
    along(inputs, Some(axis), kept, to, |[x, d], (&m, &q), to| {
        if nothing(d, to, add) {
            return;
        }
        dispatch(
            #[inline(always)]
            || lane_back([x, d], counts, m, q, to, add),
        );
    });
}

/// The backward pass of one lane of mean `m` and sum of squares `q`.
#[inline(always)]
fn lane_back<T: Real>(
    [x, d]: [&[T]; 2],
    [n, count, shift]: [T; 3],
    m: T,
    q: T,
    to: &mut [T],
    add: bool,
) {
    let s = scale(q, count, shift);
    // What reaches the mean through the elements, the deviation, and the mean through squares of weight 1.
    let [to_mean, to_scale, through_squares] = map_here(
        [x, d],
        [],
        #[inline(always)]
        |[x, d], []| {
            let (mut to_x, [mut a, mut b, mut c]) = (T::ZERO, [T::ZERO; 3]);
            normalized::accumulate(x, m, s, d, &mut to_x, &mut a, &mut b);
            square::accumulate(x, m, T::ONE, &mut to_x, &mut c);
            ([], [a, b, c])
        },
    );
    let weight = scale::gradient(q, count, shift).squares * to_scale;
    let of_all = (to_mean + weight * through_squares) / n;
    let [] = map_here(
        [x, d],
        [to],
        #[inline(always)]
        |[x, d], [old]| {
            let mut to_x = if add { old + of_all } else { of_all };
            let [mut a, mut b] = [T::ZERO; 2];
            normalized::accumulate(x, m, s, d, &mut to_x, &mut a, &mut b);
            square::accumulate(x, m, weight, &mut to_x, &mut a);
            ([to_x], [])
        },
    );
}
