//! Products of matrices and vectors, into what is there: `C = α A B + β C`.
//!
//! In go views of any layout, transposed or strided. A transposed product is the product of a transposed view. Shapes are checked;
//! with `β = 0` what `C` holds is not read, with `β = 1` it is added to. Nothing is allocated, but for the memory in which the
//! matrix product packs its operands, once in each thread.
//!
//! The matrix product is `private-gemm-x86`, that of the library faer, where the processor has AVX2, and `ndarray`'s elsewhere. Both
//! use fused multiplication and addition, in an order that depends on the processor: the last bits of a product are the same on
//! every run, but not on every machine. The products with a vector are loops of ours, and have the same bits everywhere.

use std::marker::PhantomData;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayRef1, ArrayRef2, ArrayView2, ArrayViewMut2};

use super::dispatch::dispatch;
#[cfg(target_arch = "x86_64")]
use super::dispatch::x86_64::Level;
#[cfg(target_arch = "x86_64")]
use super::gemm;
use super::map::map;
use super::real::Real;
use super::vector;

/// `C = α A B + β C`.
///
/// ```
/// use backprop_runtime::kernel::product;
/// use ndarray::array;
///
/// let (a, b) = (array![[1.0, 2.0], [3.0, 4.0]], array![[1.0, 0.0], [1.0, 1.0]]);
/// let mut c = array![[10.0, 10.0], [10.0, 10.0]];
/// product(1.0, &a, &b, 1.0, &mut c);
/// assert_eq!(c, array![[13.0, 12.0], [17.0, 14.0]]);
/// product(2.0, &a.t(), &b, 0.0, &mut c);
/// assert_eq!(c, array![[8.0, 6.0], [12.0, 8.0]]);
/// ```
///
/// # Panics
///
/// If `A` is not m × k, `B` not k × n, or `C` not m × n.
pub fn product<T: Real>(
    alpha: T,
    a: &ArrayRef2<T>,
    b: &ArrayRef2<T>,
    beta: T,
    c: &mut ArrayRef2<T>,
) {
    let ((m, k), n) = (a.dim(), b.ncols());
    assert!(
        b.nrows() == k && c.dim() == (m, n),
        "{:?} times {:?} does not give {:?}",
        a.shape(),
        b.shape(),
        c.shape()
    );
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        return scale(beta, c);
    }
    if m == 1 || k == 1 || n == 1 {
        return with_vectors([m, k, n], alpha, a, b, beta, c);
    }
    let (a, b, c) = (a.view(), b.view(), c.view_mut());
    in_threads(threads(m * k * n), alpha, a, b, beta, c);
}

/// The product where one of the three lengths is 1. Matrices that are contiguous go on as slices: a small product takes no longer than
/// it takes to look at its views.
#[inline]
fn with_vectors<T: Real>(
    [m, k, n]: [usize; 3],
    alpha: T,
    a: &ArrayRef2<T>,
    b: &ArrayRef2<T>,
    beta: T,
    c: &mut ArrayRef2<T>,
) {
    if let (Some((a, a_turned)), Some((b, b_turned))) = (whole(a), whole(b)) {
        let turned = !c.is_standard_layout();
        let place = if turned {
            c.view_mut().reversed_axes().into_slice()
        } else {
            c.as_slice_mut()
        };
        if let Some(c) = place {
            return match (m, k, n) {
                (_, 1, _) if turned || n == 1 => vector::multiples(alpha, b, a, beta, c),
                (_, 1, _) => vector::multiples(alpha, a, b, beta, c),
                (1, _, _) if b_turned || n == 1 => vector::dots(alpha, b, a, beta, c),
                (1, _, _) => vector::combination(alpha, b, a, beta, c),
                _ if a_turned => vector::combination(alpha, a, b, beta, c),
                _ => vector::dots(alpha, a, b, beta, c),
            };
        }
    }
    match (m, k, n) {
        (_, 1, _) => outer(alpha, &a.column(0), &b.row(0), beta, c),
        (1, ..) => mat_vec(alpha, &b.t(), &a.row(0), beta, &mut c.row_mut(0)),
        _ => mat_vec(alpha, a, &b.column(0), beta, &mut c.column_mut(0)),
    }
}

/// All elements of a matrix that is contiguous in one of the two orders, and whether it is the other one.
#[inline(always)]
fn whole<T>(a: &ArrayRef2<T>) -> Option<(&[T], bool)> {
    match a.as_slice() {
        Some(slice) => Some((slice, false)),
        None => Some((a.t().to_slice()?, true)),
    }
}

/// `y = α A x + β y`; of a transposed view, `y = α Aᵀ x + β y`.
///
/// # Panics
///
/// If `A` is not as long as `y` and as wide as `x` is long.
pub fn mat_vec<T: Real>(
    alpha: T,
    a: &ArrayRef2<T>,
    x: &ArrayRef1<T>,
    beta: T,
    y: &mut ArrayRef1<T>,
) {
    assert!(
        a.dim() == (y.len(), x.len()),
        "{:?} times {:?} does not give {:?}",
        a.shape(),
        x.shape(),
        y.shape()
    );
    if y.is_empty() {
        return;
    }
    // Row by row, each a sum, or column by column, each added to y: whichever are contiguous. If both are, y is short.
    let (by_rows, terms) = (a.view(), a.t());
    match (
        Rows::of(&by_rows),
        Rows::of(&terms),
        x.as_slice(),
        y.as_slice_mut(),
    ) {
        (Some(rows), columns, Some(x), Some(y)) if columns.is_none() || y.len() < x.len() => {
            vector::dots_of(
                alpha,
                #[inline(always)]
                |index| rows.get(index),
                x,
                beta,
                y,
            );
        }
        (_, Some(columns), _, Some(y)) => vector::combination_of(
            alpha,
            #[inline(always)]
            |index| columns.get(index),
            x.iter(),
            beta,
            y,
        ),
        _ => {
            for (y, row) in y.iter_mut().zip(a.rows()) {
                let term = alpha * dot(&row, x);
                *y = if beta == T::zero() {
                    term
                } else {
                    term + beta * *y
                };
            }
        }
    }
}

/// `C = α x yᵀ + β C`.
///
/// # Panics
///
/// If `C` is not as long as `x` and as wide as `y`.
pub fn outer<T: Real>(alpha: T, x: &ArrayRef1<T>, y: &ArrayRef1<T>, beta: T, c: &mut ArrayRef2<T>) {
    assert!(
        c.dim() == (x.len(), y.len()),
        "{:?} times {:?} transposed does not give {:?}",
        x.shape(),
        y.shape(),
        c.shape()
    );
    // Along the rows or along the columns of C, whichever are contiguous; the longer ones, if both are.
    if c.strides()[0] == 1 && (c.strides()[1] != 1 || c.ncols() == 1) {
        outer_by_rows(alpha, y, x, beta, c.view_mut().reversed_axes());
    } else {
        outer_by_rows(alpha, x, y, beta, c.view_mut());
    }
}

/// The sum of the products of the elements.
///
/// # Panics
///
/// If the lengths differ.
pub fn dot<T: Real>(x: &ArrayRef1<T>, y: &ArrayRef1<T>) -> T {
    if let (Some(x), Some(y)) = (x.as_slice(), y.as_slice())
        && x.len() == y.len()
    {
        return vector::dot(x, y);
    }
    let [sum] = map(
        [x.view(), y.view()],
        [],
        #[inline(always)]
        |[x, y], []| ([], [x * y]),
    );
    sum
}

/// [`outer`], row by row.
fn outer_by_rows<T: Real>(
    alpha: T,
    x: &ArrayRef1<T>,
    y: &ArrayRef1<T>,
    beta: T,
    mut c: ArrayViewMut2<'_, T>,
) {
    if let (Some(x), Some(y), Some(c)) = (x.as_slice(), y.as_slice(), c.as_slice_mut()) {
        return vector::multiples(alpha, x, y, beta, c);
    }
    dispatch(
        #[inline(always)]
        || {
            for (mut row, &x) in c.rows_mut().into_iter().zip(x) {
                let x = alpha * x;
                if beta == T::zero() {
                    row.iter_mut().zip(y).for_each(|(c, &y)| *c = x * y);
                } else {
                    row.iter_mut()
                        .zip(y)
                        .for_each(|(c, &y)| *c = x * y + beta * *c);
                }
            }
        },
    );
}

/// The rows of a matrix that are contiguous, each a slice.
struct Rows<'a, T> {
    first: *const T,
    stride: isize,
    count: usize,
    width: usize,
    lifetime: PhantomData<&'a [T]>,
}

#[allow(unsafe_code)]
impl<'a, T> Rows<'a, T> {
    /// The rows of `a`, if they are contiguous.
    fn of(a: &'a ArrayView2<'_, T>) -> Option<Self> {
        let contiguous = a.strides()[1] == 1 || a.ncols() <= 1;
        contiguous.then(|| Self {
            first: a.as_ptr(),
            stride: a.strides()[0],
            count: a.nrows(),
            width: a.ncols(),
            lifetime: PhantomData,
        })
    }

    #[inline(always)]
    fn get(&self, index: usize) -> &'a [T] {
        assert!(index < self.count);
        // SAFETY: the view has a row of this index, `width` elements side by side, and lends it for 'a.
        unsafe {
            std::slice::from_raw_parts(self.first.offset(index as isize * self.stride), self.width)
        }
    }
}

/// `β C`, or zeros without reading `C`.
pub(super) fn scale<T: Real>(beta: T, c: &mut ArrayRef2<T>) {
    if beta == T::zero() {
        c.fill(T::zero());
    } else if beta != T::one() {
        c.mapv_inplace(|c| beta * c);
    }
}

/// How many threads a product of this many multiplications is worth: one for each 50 µs, up to those that `rayon` has.
#[cfg(feature = "rayon")]
fn threads(multiplications: usize) -> usize {
    let worth = multiplications / 1_000_000;
    if worth < 2 {
        1
    } else {
        worth.min(rayon::current_num_threads())
    }
}

/// One: the feature `rayon` is off.
#[cfg(not(feature = "rayon"))]
fn threads(_multiplications: usize) -> usize {
    1
}

/// The matrix product, the result cut into parts along its longer side, one for each thread.
fn in_threads<T: Real>(
    threads: usize,
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    c: ArrayViewMut2<'_, T>,
) {
    #[cfg(feature = "rayon")]
    if threads > 1 {
        use ndarray::Axis;
        let (rows, columns) = c.dim();
        let half = threads / 2;
        let cut = |length: usize| length * half / threads;
        let ((a0, b0, c0), (a1, b1, c1)) = if rows >= columns {
            let (c0, c1) = c.split_at(Axis(0), cut(rows));
            let (a0, a1) = a.split_at(Axis(0), cut(rows));
            ((a0, b, c0), (a1, b, c1))
        } else {
            let (c0, c1) = c.split_at(Axis(1), cut(columns));
            let (b0, b1) = b.split_at(Axis(1), cut(columns));
            ((a, b0, c0), (a, b1, c1))
        };
        both(
            || in_threads(half, alpha, a0, b0, beta, c0),
            || in_threads(threads - half, alpha, a1, b1, beta, c1),
        );
        return;
    }
    let _ = threads;
    in_one_thread(alpha, a, b, beta, c);
}

/// Runs `first` here and `second` on another thread; here too, if no thread has come for it by then.
///
/// `rayon::join` would move both to the pool, and put a thread that is not one of the pool to sleep: for a product of 0.1 ms that is
/// a large part. Here the caller works, and then watches for the end of the other half for as long as waking up would take.
#[cfg(feature = "rayon")]
fn both(first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// How often the end is looked for before the thread sleeps: some 50 µs.
    const LOOKS: usize = 10_000;

    if rayon::current_thread_index().is_some() {
        rayon::join(first, second);
        return;
    }
    let (second, done) = (Mutex::new(Some(second)), AtomicBool::new(false));
    let run_second = || {
        let mine = second.lock().ok().and_then(|mut second| second.take());
        if let Some(second) = mine {
            second();
            done.store(true, Ordering::Release);
        }
    };
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| run_second());
        first();
        run_second();
        for _ in 0..LOOKS {
            if done.load(Ordering::Acquire) {
                break;
            }
            std::hint::spin_loop();
        }
    });
}

/// The matrix product, neither side of anything empty.
fn in_one_thread<T: Real>(
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    mut c: ArrayViewMut2<'_, T>,
) {
    #[cfg(target_arch = "x86_64")]
    if gemm::product(Level::get(), alpha, a, b, beta, c.view_mut()) {
        return;
    }
    general_mat_mul(alpha, &a, &b, beta, &mut c);
}
