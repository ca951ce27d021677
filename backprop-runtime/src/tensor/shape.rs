//! Shapes, and buffers of a shape.

use ndarray::{
    Array, ArrayRef, ArrayView, ArrayViewMut, Axis, DimMax, Dimension, ErrorKind, IntoDimension,
    Ix0, Ix1, Ix2, RemoveAxis, ShapeError,
};

use crate::kernel::Real;
use crate::kernel::map::same_shape;

/// The buffer, with this shape; what it holds is left over.
#[inline]
pub fn fit<'a, T: Real, D: Dimension>(
    buffer: &'a mut Array<T, D>,
    shape: &D,
) -> &'a mut Array<T, D> {
    if !same_shape(buffer.shape(), shape.slice()) {
        *buffer = resized(std::mem::replace(buffer, empty()), shape);
    }
    buffer
}

/// The buffer, with the shape of an array and, where its elements lie side by side in another order, in that order: what is computed
/// from both then runs over memory.
#[inline]
pub fn fit_like<'a, T: Real, D: Dimension>(
    buffer: &'a mut Array<T, D>,
    like: ArrayView<'_, T, D>,
) -> &'a mut Array<T, D> {
    let fits = same_shape(buffer.shape(), like.shape())
        && buffer
            .strides()
            .iter()
            .zip(like.strides())
            .all(|(a, b)| a == b);
    if !fits {
        ordered(buffer, like);
    }
    buffer
}

/// Makes the buffer of [`fit_like`] anew.
#[cold]
#[inline(never)]
fn ordered<T: Real, D: Dimension>(buffer: &mut Array<T, D>, like: ArrayView<'_, T, D>) {
    let shape = like.raw_dim();
    if like.is_standard_layout() || like.as_slice_memory_order().is_none() {
        fit(buffer, &shape);
    } else {
        *buffer = like.to_owned();
    }
}

/// The same memory in another shape: in a loop over layers a buffer has another one each time.
#[cold]
fn resized<T: Real, D: Dimension>(buffer: Array<T, D>, shape: &D) -> Array<T, D> {
    let mut data = buffer.into_raw_vec_and_offset().0;
    data.resize(shape.size(), T::zero());
    match Array::from_shape_vec(shape.clone(), data) {
        Ok(array) => array,
        Err(_) => Array::zeros(shape.clone()),
    }
}

/// A buffer of no elements.
pub fn empty<T: Real, D: Dimension>() -> Array<T, D> {
    Array::zeros(D::zeros(D::NDIM.unwrap_or(1)))
}

/// The buffer, holding this array.
#[inline]
pub fn hold<T: Real, D: Dimension>(
    buffer: &mut Array<T, D>,
    array: Array<T, D>,
) -> &mut Array<T, D> {
    *buffer = array;
    buffer
}

/// Writes what a function leaves in an array that it changes in place: into the array's memory where the shape is the same.
pub fn leave<T: Real, D: Dimension>(to: &mut Array<T, D>, from: ArrayView<'_, T, D>) {
    match to.raw_dim() == from.raw_dim() {
        true => to.assign(&from),
        false => *to = from.to_owned(),
    }
}

/// What the buffer holds; it is empty afterwards.
#[inline]
pub fn take<T: Real, D: Dimension>(buffer: &mut Array<T, D>) -> Array<T, D> {
    std::mem::replace(buffer, empty())
}

/// An array broadcast to a shape that is known to fit.
#[inline]
pub fn spread<'a, T: Real, D: Dimension, E: Dimension>(
    array: &'a ArrayRef<T, D>,
    shape: &E,
) -> ArrayView<'a, T, E> {
    // Mostly there is nothing to broadcast.
    if same_shape(array.shape(), shape.slice())
        && let Ok(view) = array.view().into_dimensionality()
    {
        return view;
    }
    match array.broadcast(shape.clone()) {
        Some(view) => view,
        None => cannot_broadcast(array.shape(), shape.slice()),
    }
}

#[cold]
#[inline(never)]
fn cannot_broadcast(from: &[usize], to: &[usize]) -> ! {
    panic!("ndarray: could not broadcast array from shape: {from:?} to: {to:?}")
}

/// The shape of `a + b`.
///
/// # Panics
///
/// As `a + b` does, if there is none.
#[inline]
pub fn broadcast<A: Dimension + DimMax<B>, B: Dimension>(a: &A, b: &B) -> <A as DimMax<B>>::Output {
    let rank = a.ndim().max(b.ndim());
    let mut out = <A as DimMax<B>>::Output::zeros(rank);
    let at = |d: &[usize], k: usize| (k + d.len()).checked_sub(rank).map_or(1, |k| d[k]);
    for (k, n) in out.slice_mut().iter_mut().enumerate() {
        let (x, y) = (at(a.slice(), k), at(b.slice(), k));
        *n = match (x, y) {
            _ if x == y => x,
            (1, n) | (n, 1) => n,
            _ => incompatible(),
        };
    }
    out
}

#[cold]
#[inline(never)]
fn incompatible() -> ! {
    let error = ShapeError::from_kind(ErrorKind::IncompatibleShape);
    // The panic of `a + b`, word by word.
    if let error @ Err(_) = Err::<(), _>(error) {
        error.unwrap()
    }
    unreachable!("an error was unwrapped")
}

/// The shape of `a` in `a += b`.
///
/// # Panics
///
/// As `a += b` does, if `b` cannot be broadcast to `a`.
#[inline]
pub fn broadcast_into<A: Dimension, B: Dimension>(a: &A, b: &B) -> A {
    let (to, from) = (a.slice(), b.slice());
    let skip = to.len().checked_sub(from.len());
    let fits =
        skip.is_some_and(|skip| to[skip..].iter().zip(from).all(|(&t, &f)| f == t || f == 1));
    if !fits {
        cannot_broadcast(from, to);
    }
    a.clone()
}

/// The one shape of the parts of a `Zip`.
///
/// # Panics
///
/// As `Zip` does, if they are two.
#[inline]
pub fn same<A: Dimension, B: Dimension>(a: &A, b: &B) -> A {
    let same = a.slice() == b.slice();
    if cfg!(debug_assertions) {
        assert!(
            same,
            "Zip: Producer dimension mismatch, expected: {a:?}, got: {b:?}"
        );
    }
    assert!(same, "assertion failed: part.equal_dim(dimension)");
    a.clone()
}

#[cold]
#[inline(never)]
fn no_product(m: usize, k: usize, k2: usize, n: usize) -> ! {
    panic!("ndarray: inputs {m} × {k} and {k2} × {n} are not compatible for matrix multiplication")
}

/// The shape of a product of matrices; panics as `dot` does.
#[inline]
pub fn product_2_2(a: &Ix2, b: &Ix2) -> Ix2 {
    if a[1] != b[0] {
        no_product(a[0], a[1], b[0], b[1]);
    }
    Ix2(a[0], b[1])
}

/// The shape of a matrix times a vector; panics as `dot` does.
#[inline]
pub fn product_2_1(a: &Ix2, b: &Ix1) -> Ix1 {
    if a[1] != b[0] {
        no_product(a[0], a[1], b[0], 1);
    }
    Ix1(a[0])
}

/// The shape of a vector times a matrix; panics as `dot` does.
#[inline]
pub fn product_1_2(a: &Ix1, b: &Ix2) -> Ix1 {
    if a[0] != b[0] {
        // ndarray multiplies by the transposed matrix.
        no_product(b[1], b[0], a[0], 1);
    }
    Ix1(b[1])
}

/// The shape of a product of vectors; panics as `dot` does.
#[inline]
pub fn product_1_1(a: &Ix1, b: &Ix1) -> Ix0 {
    debug_assert_eq!(a[0], b[0]);
    assert!(a[0] == b[0], "assertion failed: self.len() == rhs.len()");
    Ix0()
}

/// The shape that a view of an array of a shape has.
#[inline]
pub fn viewed<D: Dimension, E>(shape: &D, view: impl FnOnce(ArrayView<'_, u8, D>) -> E) -> E {
    let one = ndarray::aview0(&0_u8);
    let Some(all) = one.broadcast(shape.clone()) else {
        cannot_broadcast(&[], shape.slice())
    };
    view(all)
}

/// A shape without one of its axes; panics as `sum_axis` does, if it does not have it.
#[inline]
pub fn remove_axis<D: RemoveAxis>(shape: &D, axis: Axis) -> D::Smaller {
    assert!(
        axis.index() < shape.ndim(),
        "assertion failed: axis < self.ndim()"
    );
    shape.remove_axis(axis)
}

/// Whether arrays of so many axes can be stacked along an axis.
///
/// # Errors
///
/// As `stack`.
#[inline]
pub fn stacked_along(axes: usize, axis: Axis) -> Result<(), ShapeError> {
    let error = ShapeError::from_kind(ErrorKind::OutOfBounds);
    (axis.index() <= axes).then_some(()).ok_or(error)
}

/// A shape as it was written, of a list of so many elements.
///
/// # Errors
///
/// As `from_shape_vec`.
#[inline]
pub fn listed<S: IntoDimension>(shape: S, size: usize) -> Result<S::Dim, ShapeError> {
    let shape = shape.into_dimension();
    match shape.size() > size {
        true => Err(ShapeError::from_kind(ErrorKind::OutOfBounds)),
        false => given(shape, Some(size)),
    }
}

/// The shape in which two arrays stand side by side, element by element in order: theirs, where it is the same; else that of a row as long as
/// the shorter one, with as many axes as the first.
#[inline]
pub fn side_by_side<A: Dimension, B: Dimension>(a: &A, b: &B) -> A {
    if same_shape(a.slice(), b.slice()) {
        return a.clone();
    }
    let mut out = a.clone();
    let axes = out.slice_mut();
    axes.fill(1);
    if let Some(last) = axes.last_mut() {
        *last = a.size().min(b.size());
    }
    out
}

/// A shape with as many subviews along an axis as there are indices.
///
/// # Panics
///
/// As `select` does, if one of them is out of bounds.
pub fn selected<D: Dimension>(shape: &D, axis: Axis, indices: &[usize]) -> D {
    let mut out = shape.clone();
    let all = out[axis.index()];
    if let (1, Some(&largest)) = (shape.ndim(), indices.iter().max())
        && largest >= all
    {
        panic!("ndarray: index {largest} is out of bounds in array of len {all}");
    }
    for &k in indices {
        viewed(shape, |mut v| v.collapse_axis(axis, k));
    }
    out[axis.index()] = indices.len();
    out
}

/// Checks what is taken from a number of elements for a variance.
///
/// # Panics
///
/// As `var` does.
pub fn degrees<T: Real>(ddof: T, count: T) {
    assert!(
        !(ddof < T::ZERO || ddof > count),
        "`ddof` must not be less than zero or greater than the length of the axis"
    );
}

/// The shape of a concatenation.
///
/// # Errors
///
/// As `concatenate`.
pub fn concatenated<D: Dimension>(parts: &[&D], axis: Axis) -> Result<D, ShapeError> {
    let error = |kind| Err(ShapeError::from_kind(kind));
    let Some(first) = parts.first() else {
        return error(ErrorKind::Unsupported);
    };
    if axis.index() >= first.ndim() {
        return error(ErrorKind::OutOfBounds);
    }
    let mut out = (*first).clone();
    out[axis.index()] = 0;
    for part in parts {
        let mut rest = (*part).clone();
        out[axis.index()] += rest[axis.index()];
        rest[axis.index()] = out[axis.index()];
        if rest != out {
            return error(ErrorKind::IncompatibleShape);
        }
    }
    Ok(out)
}

/// A shape as it was written, of so many elements.
///
/// # Errors
///
/// As `into_shape_with_order(…)`, if it has another number of elements.
#[inline]
pub fn given<S: IntoDimension>(shape: S, size: Option<usize>) -> Result<S::Dim, ShapeError> {
    let shape = shape.into_dimension();
    match size {
        Some(size) if size != shape.size() => {
            Err(ShapeError::from_kind(ErrorKind::IncompatibleShape))
        }
        _ => Ok(shape),
    }
}

/// What `into_shape_with_order` gives where elements do not lie in order.
///
/// # Errors
///
/// If they do not.
#[inline]
pub fn in_order(fits: bool) -> Result<(), ShapeError> {
    let error = ShapeError::from_kind(ErrorKind::IncompatibleLayout);
    fits.then_some(()).ok_or(error)
}

/// The shape of `b.broadcast(a)`, if there is one.
#[inline]
pub fn spread_to<A: Dimension, B: Dimension>(a: &A, b: &B) -> Option<A> {
    let one = ndarray::aview0(&0_u8);
    let all = one.broadcast(b.clone())?;
    all.broadcast(a.clone()).map(|spread| spread.raw_dim())
}

/// A shape with a number of axes that is known, if it has as many.
///
/// # Errors
///
/// As `into_dimensionality`.
#[inline]
pub fn ranked<A: Dimension, B: Dimension>(a: &A) -> Result<B, ShapeError> {
    viewed(a, |v| v.into_dimensionality().map(|v| v.raw_dim()))
}

/// Whether there are elements: of none there is no `mean`, `first` or `last`.
#[inline]
pub fn some(count: usize) -> Option<()> {
    (count > 0).then_some(())
}

/// Ones where `triu(k)`, or `tril(k)`, keeps an element; zeros elsewhere.
pub fn triangle<T: Real>(shape: &Ix2, upper: bool, k: isize) -> Array<T, Ix2> {
    Array::from_shape_fn(*shape, |(i, j)| {
        let above = j as isize - i as isize - k;
        let kept = if upper { above >= 0 } else { above <= 0 };
        if kept { T::ONE } else { T::ZERO }
    })
}

/// A place for an adjoint: where the shapes are the same, the adjoint itself, else a buffer summed to it at the end.
pub struct Target<'a, T, D, E> {
    place: ArrayViewMut<'a, T, D>,
    buffer: Option<ArrayViewMut<'a, T, E>>,
    /// Its elements are the first ones of the adjoint, in order.
    leading: bool,
}

/// The place of the adjoint of what was broadcast to a shape; what is there may be left over, unless it is to be added to.
#[inline]
pub fn target<'a, T: Real, D: Dimension, E: Dimension>(
    place: ArrayViewMut<'a, T, D>,
    buffer: &'a mut Array<T, E>,
    shape: &E,
    add: bool,
) -> Target<'a, T, D, E> {
    if same_shape(place.shape(), shape.slice()) {
        return Target {
            place,
            buffer: None,
            leading: false,
        };
    }
    let buffer = fit(buffer, shape);
    if add {
        buffer.fill(T::zero());
    }
    Target {
        place,
        buffer: Some(buffer.view_mut()),
        leading: false,
    }
}

/// As [`target`], for the adjoint of what [`leading`](super::leading) gives.
#[inline]
pub fn leading_target<'a, T: Real, D: Dimension, E: Dimension>(
    place: ArrayViewMut<'a, T, D>,
    buffer: &'a mut Array<T, E>,
    shape: &E,
    add: bool,
) -> Target<'a, T, D, E> {
    Target {
        leading: true,
        ..target(place, buffer, shape, add)
    }
}

impl<T: Real, D: Dimension, E: Dimension> Target<'_, T, D, E> {
    /// Where to write.
    #[inline]
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T, E> {
        match &mut self.buffer {
            Some(buffer) => buffer.view_mut(),
            None => match self.place.view_mut().into_dimensionality() {
                Ok(view) => view,
                Err(_) => unreachable!("the shapes are the same"),
            },
        }
    }

    /// What was written, summed over what was broadcast.
    #[inline]
    pub fn settle(mut self, add: bool) {
        if let (true, Some(buffer)) = (self.leading, &self.buffer) {
            super::linear::add_leading(buffer.view(), self.place, add);
        } else if let Some(buffer) = &self.buffer {
            super::linear::gather(buffer.view(), &mut self.place, add);
        }
    }
}

/// A view that lives as long as what is referred to.
#[inline]
pub fn view<T, D: Dimension>(array: &ArrayRef<T, D>) -> ArrayView<'_, T, D> {
    array.view()
}
