//! A function of the user's for each lane along an axis, or for all elements: its values, tangents and gradients.
//!
//! In: a view and a function of slices. Out: what it gives for each lane, in a buffer that exists, or added to an adjoint. Lanes whose elements do
//! not lie side by side are copied.

use ndarray::{
    ArrayView, ArrayView1, ArrayViewMut, ArrayViewMut1, Axis, Dimension, RemoveAxis, Zip,
};

use crate::kernel::Real;

/// A function of each lane along an axis.
pub fn lanes<T: Real, D: RemoveAxis>(
    a: ArrayView<'_, T, D>,
    axis: Axis,
    mut to: ArrayViewMut<'_, T, D::Smaller>,
    f: impl Fn(&[T]) -> T,
) {
    let mut held = Vec::new();
    Zip::from(&mut to)
        .and(a.lanes(axis))
        .for_each(|to, lane| *to = f(slice(&lane, &mut held)));
}

/// A function of all elements.
pub fn all<T: Real, D: Dimension>(a: ArrayView<'_, T, D>, f: impl Fn(&[T]) -> T) -> T {
    let mut held = Vec::new();
    f(slice(&a, &mut held))
}

/// The tangent of [`lanes`]: `f` gets a lane and its tangent.
pub fn lanes_tangent<T: Real, D: RemoveAxis>(
    a: ArrayView<'_, T, D>,
    d: ArrayView<'_, T, D>,
    axis: Axis,
    mut to: ArrayViewMut<'_, T, D::Smaller>,
    f: impl Fn(&[T], &[T]) -> T,
) {
    let (mut held, mut held_d) = (Vec::new(), Vec::new());
    Zip::from(&mut to)
        .and(a.lanes(axis))
        .and(d.lanes(axis))
        .for_each(|to, lane, d| *to = f(slice(&lane, &mut held), slice(&d, &mut held_d)));
}

/// The tangent of [`all`].
pub fn all_tangent<T: Real, D: Dimension>(
    a: ArrayView<'_, T, D>,
    d: ArrayView<'_, T, D>,
    f: impl Fn(&[T], &[T]) -> T,
) -> T {
    let (mut held, mut held_d) = (Vec::new(), Vec::new());
    f(slice(&a, &mut held), slice(&d, &mut held_d))
}

/// The backward pass of [`lanes`]: `f` gets a lane, its upstream gradient, and where to add the lane's own.
pub fn lanes_back<T: Real, D: RemoveAxis>(
    a: ArrayView<'_, T, D>,
    axis: Axis,
    d: ArrayView<'_, T, D::Smaller>,
    to: Option<ArrayViewMut<'_, T, D>>,
    mut f: impl FnMut(&[T], T, &mut [T]),
) {
    let (mut held, mut gradient) = (Vec::new(), Vec::new());
    let mut run = |lane: ArrayView1<'_, T>, d: T, to: Option<ArrayViewMut1<'_, T>>| {
        // What was not taken hands nothing on, whatever its slopes are.
        if d == T::ZERO {
            return;
        }
        gradient.clear();
        gradient.resize(lane.len(), T::zero());
        f(slice(&lane, &mut held), d, &mut gradient);
        if let Some(mut to) = to {
            to.iter_mut().zip(&gradient).for_each(|(to, &g)| *to += g);
        }
    };
    match to {
        Some(mut to) => Zip::from(a.lanes(axis))
            .and(&d)
            .and(to.lanes_mut(axis))
            .for_each(|l, &d, to| run(l, d, Some(to))),
        None => Zip::from(a.lanes(axis))
            .and(&d)
            .for_each(|l, &d| run(l, d, None)),
    }
}

/// The backward pass of [`all`].
pub fn all_back<T: Real, D: Dimension>(
    a: ArrayView<'_, T, D>,
    d: T,
    to: Option<ArrayViewMut<'_, T, D>>,
    mut f: impl FnMut(&[T], T, &mut [T]),
) {
    if d == T::ZERO {
        return;
    }
    let mut held = Vec::new();
    let mut gradient = vec![T::zero(); a.len()];
    f(slice(&a, &mut held), d, &mut gradient);
    if let Some(mut to) = to {
        to.iter_mut().zip(&gradient).for_each(|(to, &g)| *to += g);
    }
}

/// The elements in order: where they lie, or copied.
fn slice<'a, T: Real, D: Dimension>(a: &'a ArrayView<'_, T, D>, held: &'a mut Vec<T>) -> &'a [T] {
    match a.as_slice() {
        Some(slice) => slice,
        None => {
            held.clear();
            held.extend(a.iter().copied());
            held
        }
    }
}
