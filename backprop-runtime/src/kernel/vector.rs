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

/// The sum of the products of the elements of two slices of one length.
#[inline(never)]
pub(super) fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    dispatch(
        #[inline(always)]
        || {
            let [sum] = dots_with([y], x);
            sum
        },
    )
}

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
            // Four at a time, whose last additions run side by side.
            let (fours, rest) = y.as_chunks_mut::<4>();
            let first = 4 * fours.len();
            for (number, four) in fours.iter_mut().enumerate() {
                let sums = dots_with(
                    from_fn::<_, 4, _>(
                        #[inline(always)]
                        |r| row(4 * number + r),
                    ),
                    x,
                );
                for (y, sum) in four.iter_mut().zip(sums) {
                    store(alpha * sum, beta, y);
                }
            }
            for (index, y) in rest.iter_mut().enumerate() {
                let [sum] = dots_with([row(first + index)], x);
                store(alpha * sum, beta, y);
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
pub(crate) fn multiples<T: Real>(alpha: T, x: &[T], y: &[T], beta: T, c: &mut [T]) {
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
        store(factor * y, beta, c);
    }
}

/// `y = term + β y`, without reading `y` where β is 0.
#[inline(always)]
fn store<T: Real>(term: T, beta: T, y: &mut T) {
    *y = if beta == T::zero() {
        term
    } else {
        term + beta * *y
    };
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

/// For each row the sum of the products of its elements and those of `x`, which is as long.
#[inline(always)]
fn dots_with<T: Real, const ROWS: usize>(rows: [&[T]; ROWS], x: &[T]) -> [T; ROWS] {
    let (x, rest_of_x) = x.as_chunks::<BLOCK>();
    // A loop: the closure of a `from_fn` as long as this would be a function of its own, and not be vectorised.
    let mut quarters = [[T::zero(); BLOCK / 4]; ROWS];
    for (quarters, row) in quarters.iter_mut().zip(rows) {
        let mut sums = [T::zero(); BLOCK];
        for (x, y) in x.iter().zip(row.as_chunks::<BLOCK>().0) {
            sums = from_fn(
                #[inline(always)]
                |p| sums[p] + x[p] * y[p],
            );
        }
        *quarters = from_fn(
            #[inline(always)]
            |p| (sums[p] + sums[p + BLOCK / 2]) + (sums[p + BLOCK / 4] + sums[p + 3 * BLOCK / 4]),
        );
    }
    let mut sums = quarters.map(
        #[inline(always)]
        |q| (q[0] + q[2]) + (q[1] + q[3]),
    );
    for (sum, row) in sums.iter_mut().zip(rows) {
        for (&x, &y) in rest_of_x.iter().zip(row.as_chunks::<BLOCK>().1) {
            *sum += x * y;
        }
    }
    sums
}
