//! What the iterations of a loop keep, and what they compute an element of.
//!
//! In: a vector in the workspace and an iteration. Out: that iteration's own buffers, and those of the one before, whose results it starts
//! from. A loop whose backward pass reads nothing has two sets of buffers that take turns (`ring`).

use ndarray::{Array, ArrayView, Dimension};

use super::shape::{empty, fit};
use crate::kernel::Real;

/// The buffers of iteration `k`, and of the one before.
#[inline]
pub fn turn<L: Default>(tape: &mut Vec<L>, k: usize, ring: bool) -> (&mut L, Option<&L>) {
    let at = |k: usize| if ring { k % 2 } else { k };
    let here = at(k);
    while tape.len() <= here {
        tape.push(L::default());
    }
    if k == 0 {
        return (&mut tape[here], None);
    }
    let before = at(k - 1);
    let (low, high) = tape.split_at_mut(here.max(before));
    if before < here {
        (&mut high[0], Some(&low[before]))
    } else {
        (&mut low[here], Some(&high[0]))
    }
}

/// The buffers of the last of `count` iterations; `None` where there was none.
#[inline]
pub fn last<L>(tape: &[L], count: usize, ring: bool) -> Option<&L> {
    let k = count.checked_sub(1)?;
    tape.get(if ring { k % 2 } else { k })
}

/// The arrays of a list: those before a loop, and one of each iteration.
pub fn grown<'a, T, D: Dimension>(
    first: &[ArrayView<'a, T, D>],
    more: impl Iterator<Item = ArrayView<'a, T, D>>,
) -> Vec<ArrayView<'a, T, D>> {
    first.iter().cloned().chain(more).collect()
}

/// The adjoints of a list's arrays, all zero.
pub fn fit_list<'a, T: Real, D: Dimension>(
    buffers: &'a mut Vec<Array<T, D>>,
    list: &[ArrayView<'_, T, D>],
) -> &'a mut [Array<T, D>] {
    buffers.resize_with(list.len(), empty);
    for (buffer, array) in buffers.iter_mut().zip(list) {
        fit(buffer, &array.raw_dim()).fill(T::zero());
    }
    buffers
}

/// The elements of a buffer, in order.
#[inline]
pub fn elements<T, D: Dimension>(buffer: &mut Array<T, D>) -> &mut [T] {
    buffer.as_slice_mut().unwrap_or(&mut [])
}

/// One element, by its position in order.
#[inline]
pub fn nth<T: Real, D: Dimension>(a: &ArrayView<'_, T, D>, k: usize) -> T {
    let element = match a.as_slice() {
        Some(slice) => slice.get(k),
        None => a.iter().nth(k),
    };
    match element {
        Some(&x) => x,
        None => unreachable!("there is an element for each iteration"),
    }
}
