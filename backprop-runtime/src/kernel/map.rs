//! One pass over memory: a function of the elements of some arrays, written to others and summed.
//!
//! In go views of one shape and a closure, out come the elements of the outputs and the sums. A pass runs over slices, block by
//! block: the results of a block wait in a buffer of their own, so that the compiler sees that nothing overlaps, and vectorises
//! the loop under [`dispatch`]; what is left at the end goes by fours. Of views with contiguous lanes each lane is a slice; others are copied to
//! slices and back, some elements at a time. A sum has
//! one accumulator for each position of a block and adds those up in pairs at the end: its rounding depends on the order of
//! the elements in memory, never on the processor.

use std::array::from_fn;
use std::ops::Range;

use ndarray::{ArrayView, ArrayView1, ArrayViewMut, ArrayViewMut1, Axis, Dimension};

use super::dispatch::dispatch;
use super::real::Real;

/// The elements of a block.
const BLOCK: usize = 16;
/// The elements of a small block, of those that fill no other.
const FOUR: usize = 4;
/// The most elements that are copied at a time from or to a lane that is not contiguous; a multiple of [`BLOCK`].
const CHUNK: usize = 128;

/// Runs `f` once for each element: it gets those of the inputs and the present ones of the outputs, and returns the new
/// ones of the outputs and a term of each sum. Returns the sums.
///
/// All views have one shape; a broadcast view is a fine input. Outputs may be accumulated to, as `f` sees what they hold. Any
/// of the three numbers may be 0. Write the closure as `#[inline(always)] |…| …` and call the functions of
/// [`elementary`](super::elementary) in it: otherwise the pass is right but not vectorised.
///
/// ```
/// use backprop_runtime::kernel::{exp, map};
/// use ndarray::{Array2, array};
///
/// let z = array![[0.0, 1.0], [-1.0, 0.0]];
/// let (mut y, mut slope) = (Array2::zeros((2, 2)), Array2::zeros((2, 2)));
/// let [total] = map(
///     [z.view()],
///     [y.view_mut(), slope.view_mut()],
///     #[inline(always)]
///     |[z], [_, slope]| {
///         let y = 1.0 / (1.0 + exp(-z));
///         ([y, slope + y * (1.0 - y)], [y])
///     },
/// );
/// assert_eq!((y[[0, 0]], slope[[1, 1]]), (0.5, 0.25));
/// assert_eq!(total, y.sum());
/// ```
///
/// # Panics
///
/// If the shapes differ; nothing is then written.
#[inline]
pub fn map<T: Real, D: Dimension, const IN: usize, const OUT: usize, const SUMS: usize>(
    inputs: [ArrayView<'_, T, D>; IN],
    mut outputs: [ArrayViewMut<'_, T, D>; OUT],
    f: impl Fn([T; IN], [T; OUT]) -> ([T; OUT], [T; SUMS]),
) -> [T; SUMS] {
    let shape = match (outputs.first(), inputs.first()) {
        (Some(output), _) => output.raw_dim(),
        (None, Some(input)) => input.raw_dim(),
        (None, None) => return [T::zero(); SUMS],
    };
    let agree = inputs
        .iter()
        .all(|input| same_shape(input.shape(), shape.slice()))
        && outputs
            .iter()
            .all(|output| same_shape(output.shape(), shape.slice()));
    assert!(agree, "all inputs and outputs of a map have one shape");

    let mut sums = [[T::zero(); BLOCK]; SUMS];
    // Elements side by side in memory, in their logical order or all in the same other one.
    let slices = all(inputs.each_ref().map(
        #[inline(always)]
        |input| input.as_slice(),
    ));
    let slices_mut = all(outputs.each_mut().map(
        #[inline(always)]
        |output| output.as_slice_mut(),
    ));
    if let (Some(inputs), Some(outputs)) = (slices, slices_mut) {
        pass(inputs, outputs, &mut sums, &f);
    } else if shape.size() > 0 {
        strided(inputs, outputs, |inputs, outputs| {
            pass(inputs, outputs, &mut sums, &f);
        });
    }
    sums.map(total)
}

/// Whether two shapes are the same, length by length: compared as one number they would wait for what has just been written.
#[inline(always)]
pub(crate) fn same_shape(a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

/// Hands the elements of views, not all of them in standard layout, to `run`, as slices.
fn strided<T: Real, D: Dimension, const IN: usize, const OUT: usize>(
    inputs: [ArrayView<'_, T, D>; IN],
    mut outputs: [ArrayViewMut<'_, T, D>; OUT],
    mut run: impl FnMut([&[T]; IN], [&mut [T]; OUT]),
) {
    let strides = match (outputs.first(), inputs.first()) {
        (Some(output), _) => output.strides(),
        (None, Some(input)) => input.strides(),
        (None, None) => &[],
    };
    let alike = inputs.iter().all(|input| input.strides() == strides)
        && outputs.iter().all(|output| output.strides() == strides);
    if alike {
        let slices = inputs.each_ref().map(|input| input.as_slice_memory_order());
        let slices_mut = outputs
            .each_mut()
            .map(|output| output.as_slice_memory_order_mut());
        if let (Some(inputs), Some(outputs)) = (all(slices), all(slices_mut)) {
            run(inputs, outputs);
            return;
        }
    }
    let axis = best_axis(&inputs, &outputs);
    let along = |strides: &[isize]| strides[axis.index()] == 1;
    if inputs.iter().all(|input| along(input.strides()))
        && outputs.iter().all(|output| along(output.strides()))
    {
        in_place(&inputs, &mut outputs, axis, run);
    } else if rows_are_short(&outputs) {
        in_rows(inputs, outputs, run);
    } else {
        in_chunks(inputs, outputs, axis, run);
    }
}

/// As [`map`], over slices.
///
/// # Panics
///
/// If the lengths differ; nothing is then written.
#[inline]
pub fn map_slices<T: Real, const IN: usize, const OUT: usize, const SUMS: usize>(
    inputs: [&[T]; IN],
    outputs: [&mut [T]; OUT],
    f: impl Fn([T; IN], [T; OUT]) -> ([T; OUT], [T; SUMS]),
) -> [T; SUMS] {
    map(
        inputs.map(ArrayView1::from),
        outputs.map(ArrayViewMut1::from),
        f,
    )
}

/// Runs a function over so many elements of slices, from `start` on, and adds what it says to as many accumulators.
macro_rules! step {
    ($inputs:ident, $outputs:ident, $f:ident, $start:ident, $width:ident, $results:ident, $sums:ident) => {
        let here: [&[T; $width]; IN] = from_fn(
            #[inline(always)]
            |i| block($inputs[i], $start),
        );
        let present: [&[T; $width]; OUT] = from_fn(
            #[inline(always)]
            |o| block($outputs[o], $start),
        );
        for position in 0..$width {
            let (new, terms) = $f(
                from_fn(
                    #[inline(always)]
                    |i| here[i][position],
                ),
                from_fn(
                    #[inline(always)]
                    |o| present[o][position],
                ),
            );
            for o in 0..OUT {
                $results[o][position] = new[o];
            }
            for s in 0..SUMS {
                $sums[s][position] += terms[s];
            }
        }
        for o in 0..OUT {
            $outputs[o][$start..$start + $width].copy_from_slice(&$results[o]);
        }
    };
}

/// Runs a function over slices of one length, block by block: the accumulators, with what it adds to them. No function: what it is
/// given would go through memory.
macro_rules! blocks {
    ($inputs:ident, $outputs:ident, $sums:expr, $f:ident) => {{
        let length = match ($outputs.first(), $inputs.first()) {
            (Some(output), _) => output.len(),
            (None, Some(input)) => input.len(),
            (None, None) => 0,
        };
        let mut accumulators = $sums;
        let mut results = [[T::zero(); BLOCK]; OUT];
        let whole = length - length % BLOCK;
        for start in (0..whole).step_by(BLOCK) {
            step!($inputs, $outputs, $f, start, BLOCK, results, accumulators);
        }
        // What is left of a block: by fours, and one by one.
        let mut results = [[T::zero(); FOUR]; OUT];
        let fours = length - length % FOUR;
        for start in (whole..fours).step_by(FOUR) {
            step!($inputs, $outputs, $f, start, FOUR, results, accumulators);
        }
        for position in fours..length {
            let (new, terms) = $f(
                from_fn(
                    #[inline(always)]
                    |i| $inputs[i][position],
                ),
                from_fn(
                    #[inline(always)]
                    |o| $outputs[o][position],
                ),
            );
            for o in 0..OUT {
                $outputs[o][position] = new[o];
            }
            for s in 0..SUMS {
                accumulators[s][0] += terms[s];
            }
        }
        accumulators
    }};
}

/// Runs `f` over slices of one length, and adds its terms to the accumulators.
#[inline(never)]
fn pass<T: Real, const IN: usize, const OUT: usize, const SUMS: usize>(
    inputs: [&[T]; IN],
    outputs: [&mut [T]; OUT],
    sums: &mut [[T; BLOCK]; SUMS],
    f: &impl Fn([T; IN], [T; OUT]) -> ([T; OUT], [T; SUMS]),
) {
    dispatch(
        #[inline(always)]
        || {
            let outputs = outputs;
            *sums = blocks!(inputs, outputs, *sums, f);
        },
    );
}

/// As [`map_slices`], within a [`dispatch`] of the caller's: for slices so short that another would show.
#[inline(always)]
pub(crate) fn map_here<T: Real, const IN: usize, const OUT: usize, const SUMS: usize>(
    inputs: [&[T]; IN],
    outputs: [&mut [T]; OUT],
    f: impl Fn([T; IN], [T; OUT]) -> ([T; OUT], [T; SUMS]),
) -> [T; SUMS] {
    blocks!(inputs, outputs, [[T::ZERO; BLOCK]; SUMS], f).map(total)
}

/// Hands the elements of views, each with its elements side by side along `axis`, to `run`, as slices: lane by lane.
#[allow(unsafe_code)]
fn in_place<T: Real, D: Dimension, const IN: usize, const OUT: usize>(
    inputs: &[ArrayView<'_, T, D>; IN],
    outputs: &mut [ArrayViewMut<'_, T, D>; OUT],
    axis: Axis,
    mut run: impl FnMut([&[T]; IN], [&mut [T]; OUT]),
) {
    let shape = match (outputs.first(), inputs.first()) {
        (Some(output), _) => output.raw_dim(),
        (None, Some(input)) => input.raw_dim(),
        (None, None) => return,
    };
    let (length, size) = (shape[axis.index()], shape.size());
    if size == 0 {
        return;
    }
    // Where the lane starts, relative to the view's first element.
    let (mut from, mut to) = ([0_isize; IN], [0_isize; OUT]);
    let mut index = D::zeros(shape.ndim());
    for _ in 0..size / length {
        // SAFETY: the strides along the axis are 1 and `index` is within the shape, so that the lane's elements are those of the view,
        // side by side. The views of the outputs are borrowed mutably, and each is handed out in one slice at a time.
        let slices = from_fn(|i| unsafe {
            std::slice::from_raw_parts(inputs[i].as_ptr().offset(from[i]), length)
        });
        let slices_mut = from_fn(|o| unsafe {
            std::slice::from_raw_parts_mut(outputs[o].as_mut_ptr().offset(to[o]), length)
        });
        run(slices, slices_mut);
        for k in (0..shape.ndim()).rev().filter(|&k| k != axis.index()) {
            index[k] += 1;
            let steps = if index[k] < shape[k] {
                1
            } else {
                index[k] = 0;
                1 - shape[k] as isize
            };
            for i in 0..IN {
                from[i] += steps * inputs[i].strides()[k];
            }
            for o in 0..OUT {
                to[o] += steps * outputs[o].strides()[k];
            }
            if steps == 1 && index[k] > 0 {
                break;
            }
        }
    }
}

/// Whether there are outputs, all contiguous in their logical order, in lanes along the last axis of which many fit a chunk.
fn rows_are_short<T, D: Dimension>(outputs: &[ArrayViewMut<'_, T, D>]) -> bool {
    let short = |output: &ArrayViewMut<'_, T, D>| {
        let length = output.shape().last().copied();
        output.is_standard_layout() && length.is_some_and(|length| length <= CHUNK / 4)
    };
    !outputs.is_empty() && outputs.iter().all(short)
}

/// Hands the elements of views to `run`, as slices: several lanes along the last axis at a time. The outputs are contiguous, and so
/// may inputs be; the other inputs are copied, those that are the same in all lanes only once.
fn in_rows<T: Real, D: Dimension, const IN: usize, const OUT: usize>(
    inputs: [ArrayView<'_, T, D>; IN],
    mut outputs: [ArrayViewMut<'_, T, D>; OUT],
    mut run: impl FnMut([&[T]; IN], [&mut [T]; OUT]),
) {
    let shape = outputs[0].raw_dim();
    let last = shape.ndim() - 1;
    let (size, length) = (shape.size(), shape[last]);
    let slices = inputs.each_ref().map(|input| input.as_slice());
    let same = inputs.each_ref().map(|input| {
        let strides = input.strides();
        (0..last).all(|axis| strides[axis] == 0 || shape[axis] == 1)
    });
    let mut lanes = inputs
        .each_ref()
        .map(|input| input.lanes(Axis(last)).into_iter());
    let mut copies = [[T::zero(); CHUNK]; IN];
    let mut outputs = outputs
        .each_mut()
        .map(|output| output.as_slice_mut().unwrap_or(&mut []));
    let step = CHUNK / length * length;
    for start in (0..size).step_by(step) {
        let range = start..size.min(start + step);
        for input in (0..IN).filter(|&input| slices[input].is_none()) {
            if same[input] && start > 0 {
                continue;
            }
            for (copy, lane) in copies[input][..range.len()]
                .chunks_exact_mut(length)
                .zip(&mut lanes[input])
            {
                gather(copy, &lane, 0..length);
            }
        }
        run(
            from_fn(|input| match slices[input] {
                Some(slice) => &slice[range.clone()],
                None => &copies[input][..range.len()],
            }),
            outputs.each_mut().map(|output| &mut output[range.clone()]),
        );
    }
}

/// Hands the elements of views, some of them not contiguous, to `run`, as slices: lane by lane. What is contiguous along the lane stays
/// where it is, the rest is copied.
fn in_chunks<T: Real, D: Dimension, const IN: usize, const OUT: usize>(
    inputs: [ArrayView<'_, T, D>; IN],
    mut outputs: [ArrayViewMut<'_, T, D>; OUT],
    axis: Axis,
    mut run: impl FnMut([&[T]; IN], [&mut [T]; OUT]),
) {
    let mut input_lanes = inputs.each_ref().map(|input| input.lanes(axis).into_iter());
    let mut output_lanes = outputs
        .each_mut()
        .map(|output| output.lanes_mut(axis).into_iter());
    let mut input_copies = [[T::zero(); CHUNK]; IN];
    let mut output_copies = [[T::zero(); CHUNK]; OUT];
    loop {
        let inputs = all(input_lanes.each_mut().map(Iterator::next));
        let outputs = all(output_lanes.each_mut().map(Iterator::next));
        let (Some(inputs), Some(mut outputs)) = (inputs, outputs) else {
            return;
        };
        let length = match (outputs.first(), inputs.first()) {
            (Some(output), _) => output.len(),
            (None, Some(input)) => input.len(),
            (None, None) => 0,
        };
        let slices = inputs.each_ref().map(|lane| lane.as_slice());
        let in_place = outputs.iter().all(|lane| lane.strides() == [1]);
        let copied = !in_place || slices.iter().any(Option::is_none);
        let step = if copied { CHUNK } else { length.max(1) };
        for start in (0..length).step_by(step) {
            let range = start..length.min(start + step);
            for (input, copy) in input_copies.iter_mut().enumerate() {
                let lane = &inputs[input];
                // One number all along the lane is copied once.
                let again = lane.strides() != [0] || start == 0;
                if slices[input].is_none() && again {
                    let ahead = if lane.strides() == [0] {
                        0..length.min(CHUNK)
                    } else {
                        range.clone()
                    };
                    gather(copy, lane, ahead);
                }
            }
            let inputs = from_fn(|input| match slices[input] {
                Some(slice) => &slice[range.clone()],
                None => &input_copies[input][..range.len()],
            });
            if in_place {
                let outputs = outputs.each_mut().map(|lane| match lane.as_slice_mut() {
                    Some(slice) => &mut slice[range.clone()],
                    None => &mut [],
                });
                run(inputs, outputs);
                continue;
            }
            for (copy, lane) in output_copies.iter_mut().zip(&outputs) {
                gather(copy, &lane.view(), range.clone());
            }
            run(
                inputs,
                output_copies
                    .each_mut()
                    .map(|copy| &mut copy[..range.len()]),
            );
            for (copy, lane) in output_copies.iter().zip(&mut outputs) {
                scatter(copy, lane, range.clone());
            }
        }
    }
}

/// The axis along which the most views, outputs first, have their elements side by side; of equals the longest.
fn best_axis<T, D: Dimension, const IN: usize, const OUT: usize>(
    inputs: &[ArrayView<'_, T, D>; IN],
    outputs: &[ArrayViewMut<'_, T, D>; OUT],
) -> Axis {
    let shape = match outputs.first() {
        Some(output) => output.shape(),
        None => inputs[0].shape(),
    };
    let score = |axis: &usize| {
        let inputs = inputs
            .iter()
            .filter(|input| matches!(input.strides()[*axis], 0 | 1));
        let outputs = outputs.iter().filter(|output| output.strides()[*axis] == 1);
        (
            shape[*axis] > 1,
            2 * outputs.count() + inputs.count(),
            shape[*axis],
        )
    };
    Axis((0..shape.len()).max_by_key(score).unwrap_or(0))
}

/// All of them, if there is each of them.
#[inline(always)]
pub(crate) fn all<V, const N: usize>(values: [Option<V>; N]) -> Option<[V; N]> {
    if values.iter().all(Option::is_some) {
        Some(values.map(|value| value.expect("it was just seen")))
    } else {
        None
    }
}

/// The block of a slice at `start`.
#[inline(always)]
fn block<T, const WIDTH: usize>(slice: &[T], start: usize) -> &[T; WIDTH] {
    slice[start..].first_chunk().expect("a whole block is left")
}

/// The sum of the accumulators, added in pairs.
fn total<T: Real>(mut accumulators: [T; BLOCK]) -> T {
    let mut width = BLOCK / 2;
    while width > 0 {
        for position in 0..width {
            let other = accumulators[position + width];
            accumulators[position] += other;
        }
        width /= 2;
    }
    accumulators[0]
}

/// Copies the elements of a lane in `range` side by side.
fn gather<T: Real>(copy: &mut [T], lane: &ArrayView1<'_, T>, range: Range<usize>) {
    match lane.as_slice() {
        Some(slice) => copy[..range.len()].copy_from_slice(&slice[range]),
        None if lane.strides() == [0] => copy[..range.len()].fill(lane[0]),
        None => {
            for (element, index) in copy.iter_mut().zip(range) {
                *element = lane[index];
            }
        }
    }
}

/// Copies elements back to where [`gather`] has them from.
fn scatter<T: Real>(copy: &[T; CHUNK], lane: &mut ArrayViewMut1<'_, T>, range: Range<usize>) {
    match lane.as_slice_mut() {
        Some(slice) => slice[range.clone()].copy_from_slice(&copy[..range.len()]),
        None => {
            for (&element, index) in copy.iter().zip(range) {
                lane[index] = element;
            }
        }
    }
}
