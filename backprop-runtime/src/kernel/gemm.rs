//! The matrix product of the library `private-gemm-x86`, its operands as it reads them fastest.
//!
//! In go views whose shapes fit, none of them empty, and the instructions that the processor has; out comes `C = α A B + β C`, or the
//! word that the processor cannot. The library takes C column by column, so that C is turned to have contiguous columns. It packs tiles of A,
//! three vectors high, and reads B where it lies, four columns at a time. Two kinds of sizes do not suit that, and are prepared here: what is
//! left of a height is less than a vector, and the rows of B are a power of two apart.

use std::cell::RefCell;

use ndarray::{ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};
use private_gemm_x86::{Accum, DType, DstKind, IType, InstrSet};

use super::dispatch::x86_64::Level;
use super::product::scale;
use super::real::Real;

/// The columns of B that are copied at a time: an odd number of cache lines in `f64`, and half of one in `f32`.
const WIDTH: usize = 504;
/// The rows of B that are copied at a time.
const DEPTH: usize = 256;

/// The matrix product, if the processor can.
pub fn product<T: Real>(
    level: Level,
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    mut c: ArrayViewMut2<'_, T>,
) -> bool {
    let instructions = match level {
        Level::Baseline => return false,
        Level::Avx2 => InstrSet::Avx256,
        Level::Avx512 => InstrSet::Avx512,
    };
    debug_assert!(level <= Level::get());
    let accumulate = if beta == T::zero() {
        Accum::Replace
    } else {
        scale(beta, &mut c);
        Accum::Add
    };
    let by_rows = c.strides()[0].unsigned_abs() > c.strides()[1].unsigned_abs();
    let (a, b, c) = if by_rows {
        (b.reversed_axes(), a.reversed_axes(), c.reversed_axes())
    } else {
        (a, b, c)
    };
    if is_crowded(a.nrows(), b) {
        with_copies(instructions, alpha, a, b, accumulate, c);
    } else {
        in_tiles(instructions, alpha, a, b, accumulate, c);
    }
    true
}

/// Whether the rows of B push one another out of the first cache, of 64 sets of 8 lines: then each line is read again for each
/// four columns and each tile of A. A product of few tiles takes less time than the copy.
fn is_crowded<T>(height: usize, b: ArrayView2<'_, T>) -> bool {
    let [stride, next] = [b.strides()[0], b.strides()[1]];
    let bytes = stride.unsigned_abs() * size_of::<T>();
    let sets = (4096 >> bytes.trailing_zeros().min(12)).min(64);
    next == 1 && bytes > 0 && height >= 128 && b.nrows().min(2 * DEPTH) > 8 * sets
}

/// The product from copies of parts of B, whose rows are close together.
fn with_copies<T: Real>(
    instructions: InstrSet,
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    accumulate: Accum,
    mut c: ArrayViewMut2<'_, T>,
) {
    thread_local! {
        static COPY: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }
    COPY.with_borrow_mut(|words| {
        words.resize(WIDTH * DEPTH, 0);
        let copy = numbers::<T>(words);
        for columns in parts(b.ncols(), WIDTH) {
            for (number, rows) in parts(b.nrows(), DEPTH).enumerate() {
                let part = b.slice(s![rows.clone(), columns.clone()]);
                for (to, row) in copy.chunks_exact_mut(WIDTH).zip(part.rows()) {
                    if let Some(row) = row.as_slice() {
                        to[..row.len()].copy_from_slice(row);
                    }
                }
                let Ok(part) = ArrayView2::from_shape(part.dim().strides((WIDTH, 1)), copy) else {
                    unreachable!("a part fits the copy");
                };
                let (a, c) = (a.slice(s![.., rows]), c.slice_mut(s![.., columns.clone()]));
                let accumulate = if number == 0 { accumulate } else { Accum::Add };
                in_tiles(instructions, alpha, a, part, accumulate, c);
            }
        }
    });
}

/// Cuts `length` into parts of about the same size, each at most `most` long.
fn parts(length: usize, most: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = length.div_ceil(most);
    (0..count).map(move |part| length * part / count..length * (part + 1) / count)
}

/// The product, cut such that no tile is less than a vector high: the library forms four sums in such a one, too few to keep the
/// processor busy. The last two tiles become two of about two vectors. Where a vector is full it does not pay.
fn in_tiles<T: Real>(
    instructions: InstrSet,
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    accumulate: Accum,
    c: ArrayViewMut2<'_, T>,
) {
    const VECTOR: usize = 8;
    const TILE: usize = 3 * VECTOR;
    let (height, work) = (a.nrows(), b.len());
    let left = height % TILE;
    let suits = instructions == InstrSet::Avx256 && size_of::<T>() == 4;
    if !suits || height < TILE || !(1..VECTOR).contains(&left) || work < 4096 {
        return whole(instructions, alpha, a, b, accumulate, c);
    }
    let (mut a, mut c) = (a, c);
    for rows in [height - TILE - left, 2 * VECTOR, VECTOR + left] {
        let ((a_part, a_rest), (c_part, c_rest)) =
            (a.split_at(Axis(0), rows), c.split_at(Axis(0), rows));
        if rows > 0 {
            whole(instructions, alpha, a_part, b, accumulate, c_part);
        }
        (a, c) = (a_rest, c_rest);
    }
}

/// The words as numbers of one of the two formats.
#[allow(unsafe_code)]
fn numbers<T: Real>(words: &mut [u64]) -> &mut [T] {
    // SAFETY: `Real` is f32 or f64 alone: every pattern of bits is a number, and needs no more than the alignment of u64.
    let (_, numbers, _) = unsafe { words.align_to_mut() };
    numbers
}

/// The library's call.
#[allow(unsafe_code)]
fn whole<T: Real>(
    instructions: InstrSet,
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    accumulate: Accum,
    mut c: ArrayViewMut2<'_, T>,
) {
    let scalar = match size_of::<T>() {
        4 => DType::F32,
        _ => DType::F64,
    };
    let ((rows, columns), depth) = (c.dim(), a.ncols());
    assert!(a.nrows() == rows && b.dim() == (depth, columns) && depth > 0);
    let (row_stride, column_stride) = (c.strides()[0], c.strides()[1]);
    // SAFETY: `Real` is f32 or f64 alone, so the size tells the scalar. The pointers are to the first elements of three views,
    // strides count elements, and every element within the asserted shapes is in its view; that of `c` is borrowed mutably,
    // so it overlaps neither itself nor the others. No indices, no diagonal; α is read during the call. The instructions are those
    // of the processor's level, or of one below.
    unsafe {
        private_gemm_x86::gemm(
            scalar,
            IType::U64,
            instructions,
            rows,
            columns,
            depth,
            c.as_mut_ptr().cast(),
            row_stride,
            column_stride,
            std::ptr::null(),
            std::ptr::null(),
            DstKind::Full,
            accumulate,
            a.as_ptr().cast(),
            a.strides()[0],
            a.strides()[1],
            false,
            std::ptr::null(),
            0,
            b.as_ptr().cast(),
            b.strides()[0],
            b.strides()[1],
            false,
            std::ptr::from_ref(&alpha).cast(),
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// The instructions of older processors too, sizes that are cut and copied among them: of integers, exactly.
    fn multiplies<T: Real>() {
        let number = |n: usize| T::from(n).unwrap() - T::from(3).unwrap();
        for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
            if level > Level::get() {
                continue;
            }
            for (m, k, n) in [
                (2, 3, 2),
                (7, 16, 5),
                (33, 17, 40),
                (64, 65, 100),
                (130, 600, 97),
                (512, 70, 131),
                (1024, 300, 128),
            ] {
                let a = Array2::from_shape_fn((m, k).f(), |(i, j)| number((3 * i + 5 * j) % 7));
                let b = Array2::from_shape_fn((k, n), |(i, j)| number((5 * i + 2 * j) % 5));
                for a in [a.as_standard_layout().into_owned(), a] {
                    let mut c = Array2::ones((m, n));
                    let two = T::one() + T::one();
                    let done = product(level, two, a.view(), b.view(), T::one(), c.view_mut());
                    assert_eq!(done, level > Level::Baseline);
                    if done {
                        assert_eq!(c, a.dot(&b).mapv(|x| two * x + T::one()), "{m} {k} {n}");
                        product(level, two, a.view(), b.view(), T::zero(), c.view_mut());
                        assert_eq!(c, a.dot(&b).mapv(|x| two * x), "{m} {k} {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_level_multiplies() {
        multiplies::<f64>();
        multiplies::<f32>();
    }

    #[test]
    fn rows_a_power_of_two_apart_are_copied() {
        let b = |rows: usize, columns: usize| Array2::<f64>::zeros((rows, columns));
        assert!(is_crowded(1024, b(256, 4096).view()));
        assert!(is_crowded(128, b(64, 512).view()));
        assert!(!is_crowded(128, b(64, 1000).view()));
        assert!(!is_crowded(64, b(256, 4096).view()));
        assert!(!is_crowded(1024, b(8, 4096).view()));
        assert!(!is_crowded(1024, b(4096, 256).t()));
    }
}
