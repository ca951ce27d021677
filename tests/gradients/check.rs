//! One call checks everything that a user may do with a gradient.
//!
//! In: a call of an annotated function, with the value and the gradient expected there. Must hold: value and gradient are
//! the expected ones; every function of the namespace returns the plain function's value bit for bit; `backward` is
//! repeatable and agrees with the fused gradient; `value_and_gradient_into` overwrites and `accumulate` adds.

/// Relative error allowed against a reference, unless a case says otherwise.
pub const TOLERANCE: f64 = 1e-11;

/// Error allowed between two ways in which the macro computes one gradient, relative to its largest entry.
pub const SAME: f64 = 1e-12;

/// Something made of floats.
pub trait Floats {
    /// Appends all of them, in order.
    fn floats(&self, out: &mut Vec<f64>);
    /// Replaces all of them.
    fn fill(&mut self, value: f64);
}

impl Floats for f64 {
    fn floats(&self, out: &mut Vec<f64>) {
        out.push(*self);
    }
    fn fill(&mut self, value: f64) {
        *self = value;
    }
}

impl Floats for f32 {
    fn floats(&self, out: &mut Vec<f64>) {
        out.push((*self).into());
    }
    fn fill(&mut self, value: f64) {
        *self = value as f32;
    }
}

impl<T: Floats> Floats for [T] {
    fn floats(&self, out: &mut Vec<f64>) {
        self.iter().for_each(|x| x.floats(out));
    }
    fn fill(&mut self, value: f64) {
        self.iter_mut().for_each(|x| x.fill(value));
    }
}

impl<T: Floats, const N: usize> Floats for [T; N] {
    fn floats(&self, out: &mut Vec<f64>) {
        self[..].floats(out);
    }
    fn fill(&mut self, value: f64) {
        Floats::fill(&mut self[..], value);
    }
}

impl<T: Floats> Floats for Vec<T> {
    fn floats(&self, out: &mut Vec<f64>) {
        self[..].floats(out);
    }
    fn fill(&mut self, value: f64) {
        Floats::fill(&mut self[..], value);
    }
}

impl<A: Floats, B: Floats> Floats for (A, B) {
    fn floats(&self, out: &mut Vec<f64>) {
        self.0.floats(out);
        self.1.floats(out);
    }
    fn fill(&mut self, value: f64) {
        self.0.fill(value);
        self.1.fill(value);
    }
}

/// All floats of a value, in order.
pub fn floats(value: &(impl Floats + ?Sized)) -> Vec<f64> {
    let mut out = Vec::new();
    value.floats(&mut out);
    out
}

/// Each entry is within `tolerance` of its own size or, where the entries cancel, of a millionth of the largest one.
#[track_caller]
pub fn close(
    what: &str,
    got: &(impl Floats + ?Sized),
    want: &(impl Floats + ?Sized),
    tolerance: f64,
) {
    compare(what, &floats(got), &floats(want), tolerance, 1e-6);
}

/// All entries are within [`SAME`] of the largest one.
#[track_caller]
pub fn agree(what: &str, got: &(impl Floats + ?Sized), want: &(impl Floats + ?Sized)) {
    compare(what, &floats(got), &floats(want), SAME, 1.0);
}

#[track_caller]
fn compare(what: &str, got: &[f64], want: &[f64], tolerance: f64, floor: f64) {
    assert_eq!(got.len(), want.len(), "{what}: number of entries");
    let finite = want.iter().filter(|w| w.is_finite());
    let largest = finite.fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan());
        let near = (g - w).abs() <= tolerance * w.abs().max(floor * largest);
        assert!(same || near, "{what}[{i}]: got {g:e}, expected {w:e}");
    }
}

/// The derivative by differences of high order, good to some nine digits where the function is smooth.
pub fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3 * x.abs().max(0.1);
    let d = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
    (d(2.0 * h) - 20.0 * d(h) + 64.0 * d(h / 2.0)) / 45.0
}

/// The same bits; any NaN equals any NaN.
#[track_caller]
pub fn identical(what: &str, got: &(impl Floats + ?Sized), want: &(impl Floats + ?Sized)) {
    let bits = |all: Vec<f64>| -> Vec<u64> {
        let canonical = |x: f64| if x.is_nan() { f64::NAN } else { x };
        all.into_iter().map(|x| canonical(x).to_bits()).collect()
    };
    let (got, want) = (floats(got), floats(want));
    assert_eq!(
        bits(got.clone()),
        bits(want.clone()),
        "{what}: got {got:?}, expected {want:?}"
    );
}

/// `check!(f(arguments) = value, { parameter: derivative, … })`, with a tolerance for both as `within 1e-9`, and with
/// `upstream u` after the value where the result is no scalar.
macro_rules! check {
    ($f:ident($($arg:expr),*) = $value:expr, { $($field:ident: $want:expr),+ }) => {
        check!($f($($arg),*) = $value, { $($field: $want),+ }, within $crate::check::TOLERANCE)
    };
    ($f:ident($($arg:expr),*) = $value:expr, { $($field:ident: $want:expr),+ }, within $tolerance:expr) => {{
        use $crate::check::{Floats, close, identical};
        let plain = $f($($arg),*);
        close("value", &plain, &$value, $tolerance);

        let (value, gradient) = $f::value_and_gradient($($arg),*);
        identical("value of value_and_gradient", &value, &plain);
        $(close(stringify!($field), &gradient.$field, &$want, $tolerance);)+

        let only = $f::gradient($($arg),*);
        $(identical("gradient", &only.$field, &gradient.$field);)+

        let mut buffers = gradient.clone();
        $(Floats::fill(&mut buffers.$field, 7.0);)+
        let value = $f::value_and_gradient_into($($arg,)* $(&mut buffers.$field),+);
        identical("value of value_and_gradient_into", &value, &plain);
        $(identical("gradient of value_and_gradient_into", &buffers.$field, &gradient.$field);)+

        check!(@split $f($($arg),*), 1.0, 2.0, plain, { $($field),+ }, gradient);
    }};
    ($f:ident($($arg:expr),*) = $value:expr, upstream $upstream:expr, twice $twice:expr, { $($field:ident: $want:expr),+ }) => {{
        use $crate::check::{TOLERANCE, close};
        let plain = $f($($arg),*);
        close("value", &plain, &$value, TOLERANCE);
        let (_, saved) = $f::forward($($arg),*);
        let gradient = $f::backward(&saved, $upstream);
        $(close(stringify!($field), &gradient.$field, &$want, TOLERANCE);)+
        check!(@split $f($($arg),*), $upstream, $twice, plain, { $($field),+ }, gradient);
    }};
    (@split $f:ident($($arg:expr),*), $one:expr, $two:expr, $plain:ident, { $($field:ident),+ }, $gradient:ident) => {{
        use $crate::check::{Floats, agree, floats, identical};
        let (value, saved) = $f::forward($($arg),*);
        identical("value of forward", &value, &$plain);
        let first = $f::backward(&saved, $one);
        let second = $f::backward(&saved, $one);
        $(identical("backward, again", &second.$field, &first.$field);)+
        $(agree("backward", &first.$field, &$gradient.$field);)+

        let mut buffers = $gradient.clone();
        $(Floats::fill(&mut buffers.$field, 0.0);)+
        let value = $f::accumulate($($arg,)* $two, $(&mut buffers.$field),+);
        identical("value of accumulate", &value, &$plain);
        $({
            let twice: Vec<f64> = floats(&$gradient.$field).iter().map(|g| 2.0 * g).collect();
            agree("accumulate", &buffers.$field, &twice);
        })+
    }};
}
pub(crate) use check;

/// Both partial derivatives of `f(x, y)` at some points, against differences.
macro_rules! probe {
    ($f:ident: $(($x:expr, $y:expr)),+) => {
        $(check!($f($x, $y) = $f($x, $y), {
            x: $crate::check::slope(|t| $f(t, $y), $x),
            y: $crate::check::slope(|t| $f($x, t), $y)
        }, within 1e-7);)+
    };
}
pub(crate) use probe;
