//! Products of which one side is a vector, over slices.
//!
//! In go rows of one length, or a function that gives them, and vectors, out come the sums of their products, the sum of their multiples, or the
//! multiples themselves, written or added. The lengths fit: [`product`](super::product()) and its kin have seen to it. The bits are the same on
//! every processor, for nothing here is contracted or reordered by its vectors.

use std::array::from_fn;

use super::dispatch::dispatch;
use super::real::Real;

/// What is summed at a time, in registers.
const BLOCK: usize = 16;

/// `y = α A x + β y`, with the rows of `A` one after another.
#[inline(never)]
pub(super) fn dots<T: Real>(alpha: T, rows: &[T], x: &[T], beta: T, y: &mut [T]) {
    dots_of(
        alpha,
        #[inline(always)]
        |index| &rows[index * x.len()..][..x.len()],
        x,
        beta,
        y,
    );
}

/// [`dots`], the rows wherever they are.
#[inline(always)]
pub(super) fn dots_of<'a, T: Real>(
    alpha: T,
    row: impl Fn(usize) -> &'a [T],
    x: &[T],
    beta: T,
    y: &mut [T],
) {
    dispatch(
        #[inline(always)]
        || {
            // Copies: what is written cannot be one of them.
            let (alpha, beta) = (alpha, beta);
            for (index, y) in y.iter_mut().enumerate() {
                let term = alpha * dot_slices(row(index), x);
                *y = if beta == T::zero() {
                    term
                } else {
                    term + beta * *y
                };
            }
        },
    );
}

/// `y = α Σ xᵢ aᵢ + β y`, with the rows `aᵢ` one after another.
#[inline(never)]
pub(super) fn combination<T: Real>(alpha: T, rows: &[T], x: &[T], beta: T, y: &mut [T]) {
    let width = y.len();
    combination_of(
        alpha,
        #[inline(always)]
        |index| &rows[index * width..][..width],
        x.iter(),
        beta,
        y,
    );
}

/// [`combination`], the rows wherever they are.
#[inline(always)]
pub(super) fn combination_of<'a, T: Real>(
    alpha: T,
    row: impl Fn(usize) -> &'a [T],
    x: impl Iterator<Item = &'a T> + Clone,
    beta: T,
    y: &mut [T],
) {
    dispatch(
        #[inline(always)]
        || {
            let (alpha, beta) = (alpha, beta);
            let (blocks, rest) = y.as_chunks_mut::<BLOCK>();
            let whole = blocks.len() * BLOCK;
            for (number, block) in blocks.iter_mut().enumerate() {
                let start = number * BLOCK;
                let mut sum = scaled(beta, block);
                for (index, &x) in x.clone().enumerate() {
                    let x = alpha * x;
                    if let Some(row) = row(index)[start..].first_chunk::<BLOCK>() {
                        sum = from_fn(
                            #[inline(always)]
                            |position| sum[position] + x * row[position],
                        );
                    }
                }
                *block = sum;
            }
            if rest.is_empty() {
                return;
            }
            if beta == T::zero() {
                rest.fill(T::zero());
            } else {
                rest.iter_mut().for_each(
                    #[inline(always)]
                    |y| *y = beta * *y,
                );
            }
            for (index, &x) in x.clone().enumerate() {
                let x = alpha * x;
                rest.iter_mut().zip(&row(index)[whole..]).for_each(
                    #[inline(always)]
                    |(y, &a)| *y += x * a,
                );
            }
        },
    );
}

/// `cᵢ = α xᵢ y + β cᵢ`, with the rows `cᵢ` one after another.
#[inline(never)]
pub(super) fn multiples<T: Real>(alpha: T, x: &[T], y: &[T], beta: T, c: &mut [T]) {
    if y.is_empty() {
        return;
    }
    dispatch(
        #[inline(always)]
        || {
            let (alpha, beta) = (alpha, beta);
            for (row, &x) in c.chunks_exact_mut(y.len()).zip(x) {
                multiple(alpha * x, y, beta, row);
            }
        },
    );
}

/// `c = factor · y + β c`, without reading `c` where β is 0.
#[inline(always)]
fn multiple<T: Real>(factor: T, y: &[T], beta: T, c: &mut [T]) {
    let ((blocks, rest), (ys, rest_of_y)) = (c.as_chunks_mut::<BLOCK>(), y.as_chunks::<BLOCK>());
    for (c, y) in blocks.iter_mut().zip(ys) {
        let old = scaled(beta, c);
        *c = from_fn(
            #[inline(always)]
            |position| {
                let term = factor * y[position];
                if beta == T::zero() {
                    term
                } else {
                    term + old[position]
                }
            },
        );
    }
    for (c, &y) in rest.iter_mut().zip(rest_of_y) {
        *c = if beta == T::zero() {
            factor * y
        } else {
            factor * y + beta * *c
        };
    }
}

/// `β y`, or zeros without reading `y`.
#[inline(always)]
fn scaled<T: Real>(beta: T, y: &[T; BLOCK]) -> [T; BLOCK] {
    if beta == T::zero() {
        [T::zero(); BLOCK]
    } else {
        from_fn(
            #[inline(always)]
            |position| beta * y[position],
        )
    }
}

/// The sum of the products of the elements of slices of one length.
#[inline(always)]
fn dot_slices<T: Real>(x: &[T], y: &[T]) -> T {
    let ((x, rest_of_x), (y, rest_of_y)) = (x.as_chunks::<BLOCK>(), y.as_chunks::<BLOCK>());
    let mut sums = [T::zero(); BLOCK];
    for (x, y) in x.iter().zip(y) {
        sums = from_fn(
            #[inline(always)]
            |position| sums[position] + x[position] * y[position],
        );
    }
    let quarter: [T; BLOCK / 4] = from_fn(
        #[inline(always)]
        |p| (sums[p] + sums[p + BLOCK / 2]) + (sums[p + BLOCK / 4] + sums[p + 3 * BLOCK / 4]),
    );
    let mut sum = (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
    for (&x, &y) in rest_of_x.iter().zip(rest_of_y) {
        sum += x * y;
    }
    sum
}
