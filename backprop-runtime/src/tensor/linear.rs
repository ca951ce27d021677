//! The linear operations, each into a place that exists already.

use std::ops::Range;

use ndarray::{
    Array, Array1, Array2, ArrayRef, ArrayRef1, ArrayRef2, ArrayView, ArrayView1, ArrayView2,
    ArrayViewMut, ArrayViewMut1, ArrayViewMut2, Axis, CowArray, Dimension, NdIndex, RemoveAxis,
    Slice, Zip,
};

use super::shape::spread;
use crate::kernel::map::same_shape;
use crate::kernel::{self, Real};

/// 0 where the place is to be written, 1 where it is to be added to.
#[inline]
fn beta<T: Real>(add: bool) -> T {
    if add { T::one() } else { T::zero() }
}

/// `A B`.
#[inline(always)]
pub fn product<T: Real>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    mut to: ArrayViewMut2<'_, T>,
    add: bool,
) {
    let (a, b, to): (&ArrayRef2<T>, &ArrayRef2<T>, &mut ArrayRef2<T>) = (&a, &b, &mut to);
    kernel::product(T::one(), a, b, beta(add), to);
}

/// `D B`, in which zeros of the upstream gradient `D` hand nothing on, also where `B` is infinite or NaN.
pub fn product_of_taken<T: Real>(
    d: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    mut to: ArrayViewMut2<'_, T>,
    add: bool,
) {
    if b.iter().all(|b| b.is_finite()) {
        return product(d, b, to, add);
    }
    for (row, mut to) in d.rows().into_iter().zip(to.rows_mut()) {
        for (column, to) in b.columns().into_iter().zip(&mut to) {
            let taken = row.iter().zip(column).filter(|(d, _)| **d != T::ZERO);
            let sum = taken.fold(T::ZERO, |sum, (&d, &b)| sum + d * b);
            *to = if add { *to + sum } else { sum };
        }
    }
}

/// `A x`.
#[inline(always)]
pub fn mat_vec<T: Real>(
    a: ArrayView2<'_, T>,
    x: ArrayView1<'_, T>,
    mut to: ArrayViewMut1<'_, T>,
    add: bool,
) {
    let (a, x, to): (&ArrayRef2<T>, &ArrayRef1<T>, &mut ArrayRef1<T>) = (&a, &x, &mut to);
    kernel::mat_vec(T::one(), a, x, beta(add), to);
}

/// `A B + C`, whichever of the two is broadcast to the other.
#[inline(always)]
pub fn affine<T: Real, D: Dimension>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    c: ArrayView<'_, T, D>,
    mut to: ArrayViewMut2<'_, T>,
) {
    if to.dim() != (a.nrows(), b.ncols()) {
        return affine_spread(a, b, c, to);
    }
    let (a, b, to): (&ArrayRef2<T>, &ArrayRef2<T>, &mut ArrayRef2<T>) = (&a, &b, &mut to);
    copy_spread(c, to.view_mut(), false);
    kernel::product(T::one(), a, b, T::one(), to);
}

/// [`affine`] where the product is broadcast.
#[cold]
#[inline(never)]
fn affine_spread<T: Real, D: Dimension>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    c: ArrayView<'_, T, D>,
    mut to: ArrayViewMut2<'_, T>,
) {
    let mut ab = Array2::zeros((a.nrows(), b.ncols()));
    product(a, b, ab.view_mut(), false);
    copy_spread(c, to.view_mut(), false);
    copy_spread(ab.view(), to, true);
}

/// `A x + c`, whichever of the two is broadcast to the other.
#[inline(always)]
pub fn affine_vec<T: Real, D: Dimension>(
    a: ArrayView2<'_, T>,
    x: ArrayView1<'_, T>,
    c: ArrayView<'_, T, D>,
    mut to: ArrayViewMut1<'_, T>,
) {
    if to.len() != a.nrows() {
        return affine_vec_spread(a, x, c, to);
    }
    let (a, x, to): (&ArrayRef2<T>, &ArrayRef1<T>, &mut ArrayRef1<T>) = (&a, &x, &mut to);
    copy_spread(c, to.view_mut(), false);
    kernel::mat_vec(T::one(), a, x, T::one(), to);
}

/// [`affine_vec`] where the product is broadcast.
#[cold]
#[inline(never)]
fn affine_vec_spread<T: Real, D: Dimension>(
    a: ArrayView2<'_, T>,
    x: ArrayView1<'_, T>,
    c: ArrayView<'_, T, D>,
    mut to: ArrayViewMut1<'_, T>,
) {
    let mut ax = Array1::zeros(a.nrows());
    mat_vec(a, x, ax.view_mut(), false);
    copy_spread(c, to.view_mut(), false);
    copy_spread(ax.view(), to, true);
}

/// `x yᵀ`.
#[inline]
pub fn outer<T: Real>(
    x: ArrayView1<'_, T>,
    y: ArrayView1<'_, T>,
    mut to: ArrayViewMut2<'_, T>,
    add: bool,
) {
    let (x, y, to): (&ArrayRef1<T>, &ArrayRef1<T>, &mut ArrayRef2<T>) = (&x, &y, &mut to);
    kernel::outer(T::one(), x, y, beta(add), to);
}

/// `xᵀ y`.
#[inline]
pub fn dot<T: Real>(x: ArrayView1<'_, T>, y: ArrayView1<'_, T>) -> T {
    kernel::dot(&x, &y)
}

/// `factor · a`.
#[inline]
pub fn scaled<T: Real, D: Dimension>(
    factor: T,
    a: ArrayView<'_, T, D>,
    mut to: ArrayViewMut<'_, T, D>,
    add: bool,
) {
    let beta = beta::<T>(add);
    if let (Some(a), Some(to)) = (a.as_slice(), to.as_slice_mut())
        && a.len() == to.len()
    {
        return kernel::multiples(factor, &[T::ONE], a, beta, to);
    }
    let [] = kernel::map(
        [a],
        [to],
        #[inline(always)]
        |[a], [old]| {
            (
                [if add {
                    beta * old + factor * a
                } else {
                    factor * a
                }],
                [],
            )
        },
    );
}

/// The sum of all elements.
#[inline]
pub fn sum<T: Real, D: Dimension>(a: ArrayView<'_, T, D>) -> T {
    let [sum] = kernel::map(
        [a],
        [],
        #[inline(always)]
        |[a], []| ([], [a]),
    );
    sum
}

/// The sums along an axis.
#[inline]
pub fn sum_axis<T: Real, D: RemoveAxis>(
    a: ArrayView<'_, T, D>,
    axis: Axis,
    to: ArrayViewMut<'_, T, D::Smaller>,
) {
    add_axis(a, axis, to, false);
}

/// As [`sum_axis`], or added.
fn add_axis<T: Real, D: RemoveAxis>(
    a: ArrayView<'_, T, D>,
    axis: Axis,
    mut to: ArrayViewMut<'_, T, D::Smaller>,
    add: bool,
) {
    if let (Some(slice), Some(to)) = (a.as_slice(), to.as_slice_mut()) {
        kernel::sum_middle(
            slice,
            around(a.shape(), axis.index()..axis.index() + 1),
            to,
            add,
        );
        return;
    }
    if !add {
        to.fill(T::zero());
    }
    if axis.index() + 1 == a.ndim() {
        Zip::from(&mut to)
            .and(a.lanes(axis))
            .for_each(|to, lane| *to += sum(lane));
    } else {
        for part in a.axis_iter(axis) {
            copy(part, to.view_mut(), true);
        }
    }
}

/// How many elements there are before, along and after some axes.
#[inline]
fn around(shape: &[usize], axes: Range<usize>) -> [usize; 3] {
    let size = |shape: &[usize]| shape.iter().product();
    [
        size(&shape[..axes.start]),
        size(&shape[axes.clone()]),
        size(&shape[axes.end..]),
    ]
}

/// One value everywhere.
#[inline]
pub fn fill<T: Real, D: Dimension>(value: T, mut to: ArrayViewMut<'_, T, D>, add: bool) {
    match to.as_slice_memory_order_mut() {
        Some(to) if add => to.iter_mut().for_each(|x| *x += value),
        Some(to) => to.fill(value),
        None if add => to.map_inplace(|x| *x += value),
        None => to.fill(value),
    }
}

/// The same elements.
#[inline]
pub fn copy<T: Real, D: Dimension>(
    a: ArrayView<'_, T, D>,
    mut to: ArrayViewMut<'_, T, D>,
    add: bool,
) {
    // Asked before the slices are taken, for `a` may be broadcast.
    let fits = same_shape(a.shape(), to.shape());
    match (a.as_slice(), to.as_slice_mut()) {
        (Some(a), Some(to)) if fits => copy_slice(a, to, add),
        _ if fits && add => {
            let [] = kernel::map(
                [a],
                [to],
                #[inline(always)]
                |[a], [old]| ([old + a], []),
            );
        }
        _ if add => Zip::from(&mut to).and(&a).for_each(|to, &a| *to += a),
        _ => to.assign(&a),
    }
}

/// The upstream gradient of a result.
///
/// # Panics
///
/// If it has another shape than the result.
pub fn seed<T: Real, D: Dimension>(
    upstream: ArrayView<'_, T, D>,
    to: ArrayViewMut<'_, T, D>,
    add: bool,
) {
    assert!(
        upstream.shape() == to.shape(),
        "the upstream gradient has the shape {:?}, the result {:?}",
        upstream.shape(),
        to.shape()
    );
    copy(upstream, to, add);
}

/// The upstream gradient of a result, where it lies.
///
/// # Panics
///
/// As [`seed`].
#[inline]
pub fn seeded<'a, T, D: Dimension>(upstream: &'a ArrayRef<T, D>, shape: &D) -> ArrayView<'a, T, D> {
    assert!(
        upstream.raw_dim() == *shape,
        "the upstream gradient has the shape {:?}, the result {:?}",
        upstream.shape(),
        shape.slice()
    );
    upstream.view()
}

/// The same elements, broadcast.
#[inline(always)]
pub fn copy_spread<T: Real, D: Dimension, E: Dimension>(
    a: ArrayView<'_, T, D>,
    mut to: ArrayViewMut<'_, T, E>,
    add: bool,
) {
    if let (Some(a), Some(to)) = (a.as_slice(), to.as_slice_mut())
        && a.len() == to.len()
    {
        return copy_slice(a, to, add);
    }
    spread_over(a, to, add);
}

/// [`copy_spread`] where there is something to broadcast, or elements are not side by side.
#[inline(never)]
fn spread_over<T: Real, D: Dimension, E: Dimension>(
    a: ArrayView<'_, T, D>,
    mut to: ArrayViewMut<'_, T, E>,
    add: bool,
) {
    let ones = a.shape().iter().take_while(|n| **n == 1).count();
    let repeats = to.shape().ends_with(&a.shape()[ones..]);
    if let (true, Some(row), Some(to)) = (repeats, a.as_slice(), to.as_slice_mut()) {
        return repeat(row, to, add);
    }
    let shape = to.raw_dim();
    copy(spread(&a, &shape), to, add);
}

/// A row, as often as it fits: in blocks, as a call for each copy would take longer than a short row.
fn repeat<T: Real>(row: &[T], to: &mut [T], add: bool) {
    const BLOCK: usize = 16;
    if row.is_empty() {
        return;
    }
    kernel::dispatch(
        #[inline(always)]
        || {
            let (blocks, rest) = row.as_chunks::<BLOCK>();
            for to in to.chunks_exact_mut(row.len()) {
                let (to_blocks, to_rest) = to.as_chunks_mut::<BLOCK>();
                for (to, row) in to_blocks.iter_mut().zip(blocks) {
                    let old = *to;
                    *to = std::array::from_fn(
                        #[inline(always)]
                        |k| if add { old[k] + row[k] } else { row[k] },
                    );
                }
                for (to, &x) in to_rest.iter_mut().zip(rest) {
                    *to = if add { *to + x } else { x };
                }
            }
        },
    );
}

/// The elements summed over what was broadcast: the transpose of [`copy_spread`].
#[inline(always)]
pub fn copy_gathered<T: Real, D: Dimension, E: Dimension>(
    a: ArrayView<'_, T, D>,
    mut to: ArrayViewMut<'_, T, E>,
    add: bool,
) {
    if let (Some(a), Some(to)) = (a.as_slice(), to.as_slice_mut())
        && a.len() == to.len()
    {
        return copy_slice(a, to, add);
    }
    gather(a, &mut to, add);
}

/// The elements of a slice as long.
#[inline]
fn copy_slice<T: Real>(a: &[T], to: &mut [T], add: bool) {
    if add {
        to.iter_mut().zip(a).for_each(|(to, &a)| *to += a);
    } else {
        to.copy_from_slice(a);
    }
}

/// Sums what was broadcast from `to` to the shape of `from`.
pub(super) fn gather<T: Real, D: Dimension, E: Dimension>(
    from: ArrayView<'_, T, E>,
    to: &mut ArrayViewMut<'_, T, D>,
    add: bool,
) {
    let (rank, skip) = (from.ndim(), from.ndim() - to.ndim());
    let (shape, narrow) = (from.raw_dim(), to.raw_dim());
    let summed = |k: usize| k < skip || narrow[k - skip] == 1 && shape[k] != 1;
    let first = (0..rank).find(|&k| summed(k)).unwrap_or(0);
    let end = (first..rank).rfind(|&k| summed(k)).map_or(first, |k| k + 1);
    if (first..end).all(summed) {
        // Axes side by side, as for a bias, or none: straight to the place.
        let around = around(from.shape(), first..end);
        if let (Some(from), Some(to)) = (from.as_slice(), to.as_slice_mut()) {
            kernel::sum_middle(from, around, to, add);
            return;
        }
        if end == first + 1 && skip <= 1 {
            let to = to.view_mut().into_dyn();
            let to = if skip == 1 {
                to
            } else {
                to.index_axis_move(Axis(first), 0)
            };
            add_axis(from.into_dyn(), Axis(first), to, add);
            return;
        }
    }
    let mut from = from.into_dyn();
    let mut held: Option<Array<T, ndarray::IxDyn>> = None;
    let summed: Vec<usize> = (0..rank).filter(|&k| summed(k)).collect();
    for k in summed.into_iter().rev() {
        let source = held.as_ref().map_or(from.view(), |h| h.view());
        let mut shape = source.raw_dim();
        shape[k] = 1;
        let mut next = Array::zeros(shape);
        sum_axis(source, Axis(k), next.view_mut().index_axis_move(Axis(k), 0));
        held = Some(next);
    }
    if let Some(held) = &held {
        from = held.view();
    }
    for _ in 0..skip {
        from = from.index_axis_move(Axis(0), 0);
    }
    copy(from, to.view_mut().into_dyn(), add);
}

/// An array fitted to a shape: broadcast where it is smaller, summed over what was broadcast where it is larger.
///
/// # Panics
///
/// If the two shapes cannot be broadcast against one another.
#[inline]
pub fn fitted<'a, T: Real, D: Dimension, E: Dimension>(
    a: ArrayView<'a, T, E>,
    shape: &D,
) -> CowArray<'a, T, D> {
    if a.shape() == shape.slice()
        && let Ok(view) = a.clone().into_dimensionality()
    {
        return view.into();
    }
    let both = super::broadcast(&a.raw_dim().into_dyn(), &shape.clone().into_dyn());
    let Some(spread) = a.broadcast(both) else {
        unreachable!("both can be broadcast to their common shape")
    };
    let mut sums = Array::zeros(shape.clone());
    gather(spread, &mut sums.view_mut(), false);
    sums.into()
}

/// Runs `f` with an array of this shape, as [`fitted`]; mostly it has it.
#[inline(always)]
pub fn with_fitted<T: Real, D: Dimension>(
    a: ArrayView<'_, T, D>,
    shape: &D,
    f: impl FnOnce(ArrayView<'_, T, D>),
) {
    if same_shape(a.shape(), shape.slice()) {
        f(a);
    } else {
        f(fitted(a, shape).view());
    }
}

/// The same elements, in the same order, in another shape.
pub fn reshape<T: Real, D: Dimension, E: Dimension>(
    a: ArrayView<'_, T, D>,
    mut to: ArrayViewMut<'_, T, E>,
    add: bool,
) {
    for (to, &a) in to.iter_mut().zip(a.iter()) {
        *to = if add { *to + a } else { a };
    }
}

/// The first elements in order, in a shape: where they lie, if it is the array's own.
#[inline]
pub fn leading<'a, T: Real, D: Dimension, E: Dimension>(
    buffer: &'a mut Array<T, E>,
    a: ArrayView<'a, T, D>,
    shape: &E,
) -> ArrayView<'a, T, E> {
    if same_shape(a.shape(), shape.slice())
        && let Ok(view) = a.clone().into_dimensionality()
    {
        return view;
    }
    let buffer = super::fit(buffer, shape);
    buffer.iter_mut().zip(a).for_each(|(to, &x)| *to = x);
    buffer.view()
}

/// The transpose of [`leading`].
pub fn add_leading<T: Real, D: Dimension, E: Dimension>(
    d: ArrayView<'_, T, E>,
    mut to: ArrayViewMut<'_, T, D>,
    add: bool,
) {
    if !add {
        to.fill(T::ZERO);
    }
    to.iter_mut().zip(d).for_each(|(to, &d)| *to += d);
}

/// Adds to one element.
#[inline]
pub fn add_element<T: Real, D: Dimension, I: NdIndex<D>>(
    mut to: ArrayViewMut<'_, T, D>,
    index: I,
    value: T,
) {
    to[index] += value;
}

/// Some subviews along an axis, one after another.
pub fn select<T: Real, D: RemoveAxis>(
    a: ArrayView<'_, T, D>,
    axis: Axis,
    indices: &[usize],
    mut to: ArrayViewMut<'_, T, D>,
) {
    for (k, &i) in indices.iter().enumerate() {
        copy(a.index_axis(axis, i), to.index_axis_mut(axis, k), false);
    }
}

/// The transpose of [`select`].
pub fn add_selected<T: Real, D: RemoveAxis>(
    d: ArrayView<'_, T, D>,
    axis: Axis,
    indices: &[usize],
    mut to: ArrayViewMut<'_, T, D>,
) {
    for (k, &i) in indices.iter().enumerate() {
        copy(d.index_axis(axis, k), to.index_axis_mut(axis, i), true);
    }
}

/// Part of an axis.
#[inline]
pub fn part<T, D: Dimension>(
    mut a: ArrayView<'_, T, D>,
    axis: Axis,
    start: usize,
    len: usize,
) -> ArrayView<'_, T, D> {
    a.slice_axis_inplace(axis, Slice::from(start..start + len));
    a
}

/// Writes to part of an axis.
#[inline]
pub fn assign_part<T: Real, D: Dimension>(
    mut to: ArrayViewMut<'_, T, D>,
    axis: Axis,
    start: usize,
    a: ArrayView<'_, T, D>,
) {
    to.slice_axis_inplace(axis, Slice::from(start..start + a.len_of(axis)));
    copy(a, to, false);
}
