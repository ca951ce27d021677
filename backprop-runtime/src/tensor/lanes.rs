//! Softmax, its logarithm and log-sum-exp along an axis, or over all elements.
//!
//! In: a view, along which axis (`None` is all elements in order), and for each lane what is subtracted before `exp`. Out: what
//! the operations one by one would give, in one pass a lane and without what lies between. Lanes are slices: where they do not
//! lie side by side they are copied. [`along`] and [`pivoted`] run rules that the compiler's table of idioms hands in; no
//! derivative is written here.

use ndarray::{Array1, ArrayView, ArrayView1, ArrayViewMut, ArrayViewMut1, Axis, Dimension};

use crate::kernel::{self, Real};

/// Accumulators of a sum, so that it vectorises.
const BLOCK: usize = 16;

/// `Σ f(i)` over `0..n`.
#[inline(always)]
fn sum<T: Real>(n: usize, f: impl Fn(usize) -> T) -> T {
    let whole = n - n % BLOCK;
    if whole == 0 {
        return (0..n).fold(T::zero(), |sum, i| sum + f(i));
    }
    let mut sums = [T::zero(); BLOCK];
    for start in (0..whole).step_by(BLOCK) {
        for (k, sum) in sums.iter_mut().enumerate() {
            *sum += f(start + k);
        }
    }
    let first = sums.iter().fold(T::zero(), |a, &b| a + b);
    (whole..n).fold(first, |sum, i| sum + f(i))
}

/// The largest; NaN does not count.
#[inline(always)]
fn max<T: Real>(z: &[T]) -> T {
    z.iter().fold(T::neg_infinity(), |m, &z| m.max(z))
}

/// A lane as a slice: where it lies, or copied.
fn slice<'a, T: Real>(lane: &'a ArrayView1<'_, T>, held: &'a mut Vec<T>) -> &'a [T] {
    match lane.as_slice() {
        Some(slice) => slice,
        None => {
            held.clear();
            held.extend(lane.iter().copied());
            held
        }
    }
}

/// Runs `f` with a lane to write as a slice.
fn with_slice<T: Real>(
    mut lane: ArrayViewMut1<'_, T>,
    held: &mut Vec<T>,
    f: impl FnOnce(&mut [T]),
) {
    if let Some(slice) = lane.as_slice_mut() {
        return f(slice);
    }
    held.clear();
    held.extend(lane.iter().copied());
    f(held);
    lane.iter_mut().zip(held).for_each(|(to, &mut x)| *to = x);
}

/// Runs `f` for each lane: the inputs', what belongs to the lane, and the output's.
pub fn along<T: Real, D: Dimension, P, const IN: usize>(
    inputs: [ArrayView<'_, T, D>; IN],
    axis: Option<Axis>,
    per_lane: impl IntoIterator<Item = P>,
    mut to: ArrayViewMut<'_, T, D>,
    f: impl Fn([&[T]; IN], P, &mut [T]),
) {
    let mut held: [Vec<T>; IN] = std::array::from_fn(|_| Vec::new());
    let mut held_to = Vec::new();
    let Some(axis) = axis else {
        let n = to.len();
        let flat = inputs.map(|a| match a.to_shape(n) {
            Ok(flat) => flat.into_owned(),
            Err(_) => unreachable!("all have one shape"),
        });
        let mut whole = Array1::from_iter(to.iter().copied());
        if let (Some(p), Some(out)) = (per_lane.into_iter().next(), whole.as_slice_mut()) {
            f(flat.each_ref().map(|a| a.as_slice().unwrap_or(&[])), p, out);
        }
        to.iter_mut().zip(&whole).for_each(|(to, &x)| *to = x);
        return;
    };
    let mut lanes = inputs.each_ref().map(|a| a.lanes(axis).into_iter());
    for (out, p) in to.lanes_mut(axis).into_iter().zip(per_lane) {
        let views = lanes.each_mut().map(|lanes| lanes.next());
        if views.iter().any(|v| v.is_none()) {
            return;
        }
        let views = views.map(|v| v.unwrap_or_else(|| ArrayView1::from(&[])));
        let mut spaces = held.iter_mut();
        let slices = views.each_ref().map(|v| match spaces.next() {
            Some(space) => slice(v, space),
            None => &[],
        });
        with_slice(out, &mut held_to, |out| f(slices, p, out));
    }
}

/// `exp(z - m) / Σ exp(z - m)`.
pub fn softmax<T: Real, D: Dimension>(
    z: ArrayView<'_, T, D>,
    axis: Option<Axis>,
    shift: impl IntoIterator<Item = T>,
    to: ArrayViewMut<'_, T, D>,
) {
    along([z], axis, shift, to, |[z], m, to| {
        kernel::dispatch(
            #[inline(always)]
            || {
                to.iter_mut()
                    .zip(z)
                    .for_each(|(to, &z)| *to = kernel::exp(z - m));
                let s = sum(to.len(), |i| to[i]);
                to.iter_mut().for_each(|to| *to = *to / s);
            },
        );
    });
}

/// `ln` of [`softmax`], as the quotient's logarithm.
pub fn ln_softmax<T: Real, D: Dimension>(
    z: ArrayView<'_, T, D>,
    axis: Option<Axis>,
    shift: impl IntoIterator<Item = T>,
    to: ArrayViewMut<'_, T, D>,
) {
    along([z], axis, shift, to, |[z], m, to| {
        kernel::dispatch(
            #[inline(always)]
            || {
                to.iter_mut()
                    .zip(z)
                    .for_each(|(to, &z)| *to = kernel::exp(z - m));
                let s = sum(to.len(), |i| to[i]);
                to.iter_mut().for_each(|to| *to = kernel::ln(*to / s));
            },
        );
    });
}

/// `(z - m) - ln Σ exp(z - m)`.
pub fn log_softmax<T: Real, D: Dimension>(
    z: ArrayView<'_, T, D>,
    axis: Option<Axis>,
    shift: impl IntoIterator<Item = T>,
    to: ArrayViewMut<'_, T, D>,
) {
    along([z], axis, shift, to, |[z], m, to| {
        kernel::dispatch(
            #[inline(always)]
            || {
                to.iter_mut()
                    .zip(z)
                    .for_each(|(to, &z)| *to = kernel::exp(z - m));
                let l = kernel::ln(sum(to.len(), |i| to[i]));
                to.iter_mut().zip(z).for_each(|(to, &z)| *to = (z - m) - l);
            },
        );
    });
}

/// `m + ln Σ exp(z - m)` of one lane.
#[inline(always)]
fn log_sum_exp_of<T: Real>(z: &[T], m: T) -> T {
    m + kernel::ln(sum(z.len(), |i| kernel::exp(z[i] - m)))
}

/// `m + ln Σ exp(z - m)` along an axis.
pub fn log_sum_exp<T: Real, D: Dimension>(
    z: ArrayView<'_, T, D>,
    axis: Axis,
    shift: impl IntoIterator<Item = T>,
    mut to: ArrayViewMut<'_, T, D::Smaller>,
) {
    let mut held = Vec::new();
    for ((to, z), m) in to.iter_mut().zip(z.lanes(axis)).zip(shift) {
        let z = slice(&z, &mut held);
        *to = kernel::dispatch(
            #[inline(always)]
            || log_sum_exp_of(z, m),
        );
    }
}

/// `m + ln Σ exp(z - m)` of all elements.
pub fn log_sum_exp_all<T: Real, D: Dimension>(z: ArrayView<'_, T, D>, m: T) -> T {
    let mut held = Vec::new();
    let z = match z.as_slice() {
        Some(slice) => slice,
        None => {
            held.extend(z.iter().copied());
            &held
        }
    };
    kernel::dispatch(
        #[inline(always)]
        || log_sum_exp_of(z, m),
    )
}

/// `d exp(z) / Σ exp(z)`, whatever the size of `z`; `d` is one for each lane.
pub fn softmax_times<T: Real, D: Dimension>(
    z: ArrayView<'_, T, D>,
    axis: Option<Axis>,
    d: impl IntoIterator<Item = T>,
    to: ArrayViewMut<'_, T, D>,
    add: bool,
) {
    along([z], axis, d, to, |[z], d, to| {
        kernel::dispatch(
            #[inline(always)]
            || {
                let m = max(z);
                if add {
                    let s = d / sum(z.len(), |i| kernel::exp(z[i] - m));
                    to.iter_mut()
                        .zip(z)
                        .for_each(|(to, &z)| *to += kernel::exp(z - m) * s);
                } else {
                    to.iter_mut()
                        .zip(z)
                        .for_each(|(to, &z)| *to = kernel::exp(z - m));
                    let s = d / sum(to.len(), |i| to[i]);
                    to.iter_mut().for_each(|to| *to = *to * s);
                }
            },
        );
    });
}

/// A rule of a lane whose terms add up to zero: `slope(y, d, d_pivot, Σ part(y, d, d_pivot))` for all but the pivot, which gets
/// what is left. The pivot is where `y` is largest: there the rule itself would cancel.
pub fn pivoted<T: Real, D: Dimension>(
    y: ArrayView<'_, T, D>,
    d: ArrayView<'_, T, D>,
    axis: Option<Axis>,
    to: ArrayViewMut<'_, T, D>,
    add: bool,
    part: impl Fn(T, T, T) -> T,
    slope: impl Fn(T, T, T, T) -> T,
) {
    along([y, d], axis, std::iter::repeat(()), to, |[y, d], (), to| {
        kernel::dispatch(
            #[inline(always)]
            || {
                let n = y.len();
                if n == 0 {
                    return;
                }
                let d = &d[..n];
                let mut pivot = 0;
                for (k, y_k) in y.iter().enumerate() {
                    if *y_k > y[pivot] {
                        pivot = k;
                    }
                }
                let d_pivot = d[pivot];
                let total = sum(n, |i| part(y[i], d[i], d_pivot));
                let before = to[pivot];
                if add {
                    let rest = sum(n, |i| {
                        let s = slope(y[i], d[i], d_pivot, total);
                        if i == pivot { T::zero() } else { s }
                    });
                    for ((to, &y), &d) in to.iter_mut().zip(y).zip(d) {
                        *to += slope(y, d, d_pivot, total);
                    }
                    to[pivot] = before - rest;
                } else {
                    for ((to, &y), &d) in to.iter_mut().zip(y).zip(d) {
                        *to = slope(y, d, d_pivot, total);
                    }
                    to[pivot] = T::zero();
                    let rest = sum(n, |i| to[i]);
                    to[pivot] = T::zero() - rest;
                }
            },
        );
    });
}
