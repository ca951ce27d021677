//! The tests' one comparison, and numbers to compare on.

use ndarray::{Array, Array2, IntoDimension};

/// Numbers between -1 and 1 without a pattern.
pub fn numbers<S: IntoDimension>(shape: S, seed: u64) -> Array<f64, S::Dim> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    Array::from_shape_simple_fn(shape.into_dimension(), || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0
    })
}

/// The derivative of `f` at 0, by differences of fourth order.
pub fn slope(f: impl Fn(f64) -> f64) -> f64 {
    let h = 1e-3;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

/// Fails unless the numbers are as good as equal.
pub fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let scale = 1.0 + found.abs().max(expected.abs());
    assert!(
        (found - expected).abs() <= tolerance * scale,
        "{what}: {found}, expected {expected}"
    );
}

/// Fails unless a gradient is that of `f` at a matrix, by differences at each of its elements.
pub fn slopes(found: &Array2<f64>, at: &Array2<f64>, f: impl Fn(&Array2<f64>) -> f64, what: &str) {
    for (k, &found) in found.indexed_iter() {
        let expected = slope(|h| {
            let mut at = at.clone();
            at[k] += h;
            f(&at)
        });
        close(found, expected, 1e-8, what);
    }
}

/// `agrees!(f(a, b) wrt a)`: the gradient of a function of references to arrays against differences, and all functions of
/// the contract against one another.
macro_rules! agrees {
    ($f:ident, $Workspace:ident $args:tt wrt $($w:ident),*) => {{
        agrees!(in loops $f, $Workspace $args wrt $($w),*);
        let (value, gradient) = agrees!(@call ($f::value_and_gradient) () $args);
        let mut workspace = $Workspace::default();
        // A step of gradient descent: the same value, and the parameters moved along the gradient.
        for _ in 0..2 {
            agrees!(@borrow $args);
            $(let mut $w = ($w.clone(), $w.clone());)*
            let again = {
                $(let $w = &mut $w.0;)*
                agrees!(@pass ($f::descend_with) (&mut workspace, 0.25,) $args)
            };
            assert_eq!(again, value);
            $({
                let expected = &$w.1 - 0.25 * &gradient.$w;
                let error = (&$w.0 - &expected).mapv(f64::abs).sum();
                $crate::agree::close(error, 0.0, 1e-13, "a step of gradient descent");
            })*
        }
    }};
    // A function of loops, branches, calls or lists, which has no `descend_with`.
    (in loops $f:ident, $Workspace:ident $args:tt wrt $($w:ident),*) => {{
        let (value, gradient) = agrees!(@call ($f::value_and_gradient) () $args);
        $crate::agree::close(value, agrees!(@call ($f) () $args), 1e-13, "the value");
        $({
            let base = $w.clone();
            assert_eq!(gradient.$w.shape(), base.shape());
            for (k, found) in gradient.$w.indexed_iter() {
                let k = &k;
                let expected = $crate::agree::slope(|h| {
                    let mut $w = base.clone();
                    $w[k.clone()] += h;
                    agrees!(@call ($f) () $args)
                });
                $crate::agree::close(*found, expected, 1e-8, concat!(stringify!($f), ", ", stringify!($w)));
            }
        })*
        // Apart, and in a workspace: the same numbers.
        let (again, saved) = agrees!(@call ($f::forward) () $args);
        assert_eq!(again, value);
        for _ in 0..2 {
            let apart = $f::backward(&saved, 1.0);
            $($crate::agree::close((&apart.$w - &gradient.$w).mapv(f64::abs).sum(), 0.0, 1e-13, "backward");)*
        }
        let mut workspace = $Workspace::default();
        for _ in 0..3 {
            let (again, with) = agrees!(@call ($f::value_and_gradient_with) (&mut workspace,) $args);
            assert_eq!(again, value);
            assert_eq!(*with, gradient);
        }
    }};
    (@borrow ($($x:ident),*)) => { $(let $x = &$x;)* };
    (@pass ($($f:tt)*) ($($first:tt)*) ($($x:ident),*)) => { $($f)*($($first)* $($x),*) };
    (@call ($($f:tt)*) ($($first:tt)*) ($($x:ident),*)) => { $($f)*($($first)* $(&$x),*) };
}
