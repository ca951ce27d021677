//! Softmax, its logarithm and log-sum-exp along an axis, or over all elements.
//!
//! In: a view, along which axis (`None` is all elements in order), and for each lane what is subtracted before `exp`. Out: what
//! the operations one by one would give, in one pass a lane and without what lies between. Lanes are slices: where they do not
//! lie side by side they are copied. [`along`] and [`pivoted`] run rules that the compiler's table of idioms hands in; no
//! derivative is written here.

use std::array::from_fn;
use std::cell::Cell;

use ndarray::{Array1, ArrayView, ArrayView1, ArrayViewMut, ArrayViewMut1, Axis, Dimension};

use crate::kernel::map::all;
use crate::kernel::{self, Real};

/// Accumulators of a sum, so that it vectorises.
const BLOCK: usize = 16;

/// What a short lane has of them.
const FOUR: usize = 4;

/// Accumulators by sixteens as four.
#[inline(always)]
fn quarters<T: Real>(of: [T; BLOCK], join: impl Fn(T, T) -> T) -> [T; FOUR] {
    from_fn(
        #[inline(always)]
        |p| {
            join(
                join(of[p], of[p + 2 * FOUR]),
                join(of[p + FOUR], of[p + 3 * FOUR]),
            )
        },
    )
}

/// Four accumulators as one.
#[inline(always)]
fn joined<T: Real>(of: [T; FOUR], join: impl Fn(T, T) -> T) -> T {
    join(join(of[0], of[2]), join(of[1], of[3]))
}

/// `Σ f(a, b)` over two slices of one length.
#[inline(always)]
fn sum_of<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    let add = |a: T, b: T| a + b;
    let ((blocks, rest), (blocks_of_b, rest_of_b)) =
        (a.as_chunks::<BLOCK>(), b.as_chunks::<BLOCK>());
    let mut fours = [T::ZERO; FOUR];
    if !blocks.is_empty() {
        let mut sums = [T::ZERO; BLOCK];
        for (a, b) in blocks.iter().zip(blocks_of_b) {
            for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                *sum += f(a, b);
            }
        }
        fours = quarters(sums, add);
    }
    let ((blocks, rest), (blocks_of_b, rest_of_b)) =
        (rest.as_chunks::<FOUR>(), rest_of_b.as_chunks::<FOUR>());
    for (a, b) in blocks.iter().zip(blocks_of_b) {
        for ((sum, &a), &b) in fours.iter_mut().zip(a).zip(b) {
            *sum += f(a, b);
        }
    }
    let last = rest.iter().zip(rest_of_b);
    last.fold(joined(fours, add), |sum, (&a, &b)| sum + f(a, b))
}

/// `Σ a`.
#[inline(always)]
fn sum<T: Real>(a: &[T]) -> T {
    sum_of(
        a,
        a,
        #[inline(always)]
        |a, _| a,
    )
}

/// The largest; NaN does not count.
#[inline(always)]
fn max<T: Real>(a: &[T]) -> T {
    let larger = |m: T, a: T| if a > m { a } else { m };
    let (blocks, rest) = a.as_chunks::<BLOCK>();
    let mut fours = [T::neg_infinity(); FOUR];
    if !blocks.is_empty() {
        let mut largest = [T::neg_infinity(); BLOCK];
        for block in blocks {
            for (m, &a) in largest.iter_mut().zip(block) {
                *m = larger(*m, a);
            }
        }
        fours = quarters(largest, larger);
    }
    let (blocks, rest) = rest.as_chunks::<FOUR>();
    for block in blocks {
        for (m, &a) in fours.iter_mut().zip(block) {
            *m = larger(*m, a);
        }
    }
    rest.iter()
        .fold(joined(fours, larger), |m, &a| larger(m, a))
}

/// The largest of `start` and the elements, as `fold(start, max)`: NaN does not count.
pub fn largest<T: Real>(row: &[T], start: T) -> T {
    let m = kernel::dispatch(
        #[inline(always)]
        || max(row),
    );
    start.max(m)
}

/// Where in a slice the largest element is: the first of several.
#[inline(always)]
fn position_of_max<T: Real>(a: &[T]) -> usize {
    let largest = max(a);
    // Block by block, without a way out of a block, so that the search vectorises.
    for (number, block) in a.chunks(BLOCK).enumerate() {
        if block.iter().fold(
            false,
            #[inline(always)]
            |found, &a| found | (a == largest),
        ) {
            return number * BLOCK + block.iter().position(|&a| a == largest).unwrap_or(0);
        }
    }
    0
}

/// Writes `f(a, b)` for each pair, or adds it; the sum of what was written or added.
#[inline(always)]
fn write_and_sum<T: Real>(to: &mut [T], a: &[T], b: &[T], add: bool, f: impl Fn(T, T) -> T) -> T {
    let write = |to: &mut T, a: T, b: T| {
        let term = f(a, b);
        *to = if add { *to + term } else { term };
        term
    };
    let plus = |a: T, b: T| a + b;
    let (blocks, to) = to.as_chunks_mut::<BLOCK>();
    let ((a_blocks, a), (b_blocks, b)) = (a.as_chunks::<BLOCK>(), b.as_chunks::<BLOCK>());
    let mut fours = [T::ZERO; FOUR];
    if !blocks.is_empty() {
        let mut sums = [T::ZERO; BLOCK];
        for ((to, a), b) in blocks.iter_mut().zip(a_blocks).zip(b_blocks) {
            for (((to, sum), &a), &b) in to.iter_mut().zip(&mut sums).zip(a).zip(b) {
                *sum += write(to, a, b);
            }
        }
        fours = quarters(sums, plus);
    }
    let (blocks, to) = to.as_chunks_mut::<FOUR>();
    let ((a_blocks, a), (b_blocks, b)) = (a.as_chunks::<FOUR>(), b.as_chunks::<FOUR>());
    for ((to, a), b) in blocks.iter_mut().zip(a_blocks).zip(b_blocks) {
        for (((to, sum), &a), &b) in to.iter_mut().zip(&mut fours).zip(a).zip(b) {
            *sum += write(to, a, b);
        }
    }
    let mut total = joined(fours, plus);
    for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
        total += write(to, a, b);
    }
    total
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
    let mut held: [Vec<T>; IN] = from_fn(|_| Vec::new());
    let mut held_to = Vec::new();
    let Some(axis) = axis else {
        let slices = inputs.each_ref().map(|a| a.as_slice());
        if slices.iter().all(Option::is_some)
            && let Some(out) = to.as_slice_mut()
        {
            if let Some(p) = per_lane.into_iter().next() {
                f(slices.map(|slice| slice.unwrap_or(&[])), p, out);
            }
            return;
        }
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
    if axis.index() + 1 == to.ndim()
        && to.len_of(axis) > 0
        && let Some(inputs) = all(inputs.each_ref().map(|a| a.as_slice()))
    {
        let length = to.len_of(axis);
        if let Some(to) = to.as_slice_mut() {
            let lanes = to.chunks_exact_mut(length).zip(per_lane).enumerate();
            for (number, (to, p)) in lanes {
                f(inputs.map(|a| &a[number * length..][..length]), p, to);
            }
            return;
        }
    }
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

/// `exp(z - m)`, and the sum.
#[inline(always)]
fn exponentials<T: Real>(z: &[T], m: T, to: &mut [T]) -> T {
    to.iter_mut()
        .zip(z)
        .for_each(|(to, &z)| *to = kernel::exp(z - m));
    sum(to)
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
                let s = exponentials(z, m, to);
                to.iter_mut().for_each(|to| *to /= s);
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
                let s = exponentials(z, m, to);
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
                let l = kernel::ln(sum(to));
                to.iter_mut().zip(z).for_each(|(to, &z)| *to = (z - m) - l);
            },
        );
    });
}

/// `Σ w ((z - m) - ln Σ exp(z - m))` over all lanes: the sum of log-softmax, weighted. What is kept is the softmax, `p`.
pub fn cross_entropy<T: Real, D: Dimension, E: Dimension>(
    z: ArrayView<'_, T, D>,
    w: ArrayView<'_, T, E>,
    axis: Option<Axis>,
    shift: impl IntoIterator<Item = T>,
    p: ArrayViewMut<'_, T, D>,
) -> T {
    let w = super::fitted(w, &z.raw_dim());
    let sum = Cell::new(T::zero());
    along([z, w.view()], axis, shift, p, |[z, w], m, p| {
        let of_lane = kernel::dispatch(
            #[inline(always)]
            || {
                let s = exponentials(z, m, p);
                let l = kernel::ln(s);
                let inverse = T::one() / s;
                if inverse.is_finite() {
                    p.iter_mut().for_each(|p| *p *= inverse);
                } else {
                    p.iter_mut().for_each(|p| *p /= s);
                }
                sum_of(
                    z,
                    w,
                    #[inline(always)]
                    |z, w| w * ((z - m) - l),
                )
            },
        );
        sum.set(sum.get() + of_lane);
    });
    sum.get()
}

/// `m + ln Σ exp(z - m)` of one lane. What is kept is the softmax, `p`.
#[inline(always)]
fn log_sum_exp_of<T: Real>(z: &[T], m: T, p: &mut [T]) -> T {
    let s = exponentials(z, m, p);
    // Of sums that have overflowed, or are so small that their terms have lost digits, the largest element is subtracted.
    let of_p = if s >= T::ONE && s.is_finite() {
        s
    } else {
        exponentials(z, max(z), p)
    };
    let inverse = T::ONE / of_p;
    p.iter_mut().for_each(|p| *p *= inverse);
    m + kernel::ln(s)
}

/// `m + ln Σ exp(z - m)` along an axis. What is kept is the softmax, `p`.
pub fn log_sum_exp<T: Real, D: Dimension>(
    z: ArrayView<'_, T, D>,
    axis: Axis,
    shift: impl IntoIterator<Item = T>,
    p: ArrayViewMut<'_, T, D>,
    mut to: ArrayViewMut<'_, T, D::Smaller>,
) {
    let each = to.iter_mut().zip(shift);
    along([z], Some(axis), each, p, |[z], (to, m), p| {
        *to = kernel::dispatch(
            #[inline(always)]
            || log_sum_exp_of(z, m, p),
        );
    });
}

/// `m + ln Σ exp(z - m)` of all elements. What is kept is the softmax, `p`.
pub fn log_sum_exp_all<T: Real, D: Dimension>(
    z: ArrayView<'_, T, D>,
    m: T,
    p: ArrayViewMut<'_, T, D>,
) -> T {
    let mut value = m + kernel::ln(T::ZERO);
    along([z], None, [&mut value], p, |[z], value, p| {
        *value = kernel::dispatch(
            #[inline(always)]
            || log_sum_exp_of(z, m, p),
        );
    });
    value
}

/// Whether the upstream gradient of a lane is zero throughout: what was not taken hands nothing on, whatever its slopes are.
#[inline(always)]
pub(super) fn nothing<T: Real>(d: &[T], to: &mut [T], add: bool) -> bool {
    let nothing = d.iter().all(|&d| d == T::ZERO);
    if nothing && !add {
        to.fill(T::ZERO);
    }
    nothing
}

/// `d p`; `d` is one for each lane.
pub fn lanes_times<T: Real, D: Dimension>(
    p: ArrayView<'_, T, D>,
    axis: Option<Axis>,
    d: impl IntoIterator<Item = T>,
    to: ArrayViewMut<'_, T, D>,
    add: bool,
) {
    along([p], axis, d, to, |[p], d, to| {
        if nothing(&[d], to, add) {
            return;
        }
        kernel::dispatch(
            #[inline(always)]
            || {
                if add {
                    to.iter_mut().zip(p).for_each(|(to, &p)| *to += p * d);
                } else {
                    to.iter_mut().zip(p).for_each(|(to, &p)| *to = p * d);
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
        if nothing(d, to, add) {
            return;
        }
        kernel::dispatch(
            #[inline(always)]
            || {
                let pivot = position_of_max(y);
                let Some(&d_pivot) = d.get(pivot) else {
                    return;
                };
                let total = sum_of(
                    y,
                    d,
                    #[inline(always)]
                    |y, d| part(y, d, d_pivot),
                );
                let mut rest = T::zero();
                for part in [0..pivot, pivot + 1..to.len()] {
                    rest += write_and_sum(
                        &mut to[part.clone()],
                        &y[part.clone()],
                        &d[part],
                        add,
                        #[inline(always)]
                        |y, d| slope(y, d, d_pivot, total),
                    );
                }
                let old = if add { to[pivot] } else { T::zero() };
                to[pivot] = old - rest;
            },
        );
    });
}
