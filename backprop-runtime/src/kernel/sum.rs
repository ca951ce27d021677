//! Sums along an axis of a contiguous array, any axis of any rank.
//!
//! In goes a slice, seen as `outer × count × inner`, out come the `outer × inner` sums over the middle. Where `inner` is 1 a
//! sum has sixteen accumulators, added up in pairs; elsewhere sixteen sums are formed side by side, each in the order of its
//! elements. Either way the bits are the same on every processor.

use std::array::from_fn;

use super::dispatch::dispatch;
use super::real::Real;

/// What is summed at a time, in registers.
const BLOCK: usize = 16;

/// Writes the sums of `a` over the middle one of its three axes to `to`, or adds them to what that holds.
///
/// ```
/// use backprop_runtime::kernel::sum_middle;
///
/// let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let mut columns = [0.0; 2];
/// sum_middle(&a, [1, 3, 2], &mut columns, false);
/// assert_eq!(columns, [9.0, 12.0]);
/// let mut rows = [100.0; 3];
/// sum_middle(&a, [3, 2, 1], &mut rows, true);
/// assert_eq!(rows, [103.0, 107.0, 111.0]);
/// ```
///
/// # Panics
///
/// If `a` has not as many elements as the three lengths say, or `to` not as many as the outer two.
pub fn sum_middle<T: Real>(a: &[T], [outer, count, inner]: [usize; 3], to: &mut [T], add: bool) {
    assert!(
        a.len() == outer * count * inner && to.len() == outer * inner,
        "{} elements, as {outer} × {count} × {inner}, do not have {} sums",
        a.len(),
        to.len()
    );
    if !add {
        to.fill(T::zero());
    }
    if a.is_empty() {
        return;
    }
    dispatch(
        #[inline(always)]
        || {
            if inner == 1 {
                for (lane, to) in a.chunks_exact(count).zip(to) {
                    *to += of_lane(lane);
                }
                return;
            }
            for (rows, to) in a
                .chunks_exact(count * inner)
                .zip(to.chunks_exact_mut(inner))
            {
                of_rows(rows, to);
            }
        },
    )
}

/// The sum of a slice.
#[inline(always)]
fn of_lane<T: Real>(lane: &[T]) -> T {
    let (blocks, rest) = lane.as_chunks::<BLOCK>();
    let mut sums = [T::zero(); BLOCK];
    for block in blocks {
        sums = from_fn(
            #[inline(always)]
            |position| sums[position] + block[position],
        );
    }
    if !blocks.is_empty() {
        for width in [8, 4, 2, 1] {
            for position in 0..width {
                let other = sums[position + width];
                sums[position] += other;
            }
        }
    }
    rest.iter().fold(
        sums[0],
        #[inline(always)]
        |sum, &x| sum + x,
    )
}

/// Adds rows as long as `to` to it.
#[inline(always)]
fn of_rows<T: Real>(rows: &[T], to: &mut [T]) {
    let inner = to.len();
    let (blocks, rest) = to.as_chunks_mut::<BLOCK>();
    let whole = blocks.len() * BLOCK;
    for (number, block) in blocks.iter_mut().enumerate() {
        let start = number * BLOCK;
        let mut sum = *block;
        for row in rows.chunks_exact(inner) {
            if let Some(row) = row[start..].first_chunk::<BLOCK>() {
                sum = from_fn(
                    #[inline(always)]
                    |position| sum[position] + row[position],
                );
            }
        }
        *block = sum;
    }
    if !rest.is_empty() {
        for row in rows.chunks_exact(inner) {
            rest.iter_mut().zip(&row[whole..]).for_each(
                #[inline(always)]
                |(to, &x)| *to += x,
            );
        }
    }
}
