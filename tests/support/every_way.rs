//! One function, differentiated in every way that it offers, against differences.
//!
//! `every_way!(f, [x = 1.0, v = vec![2.0, 3.0]], (x, 5, &v))` names the differentiated parameters with their values, and the arguments of
//! the call. What must hold: every way gives the bits of the plain value; `backward` gives the same bits twice, and a multiple for a
//! multiple of the upstream gradient; buffers that held garbage are overwritten, others added to; `forward` and `backward` give
//! what the fused pass gives, and that is what extrapolated differences of the plain function give.

#![allow(dead_code)] // Each test uses what it needs.

/// Floats, whatever they are in.
pub trait Floats: Clone {
    /// Replaces each float, in order.
    fn each(&mut self, f: &mut dyn FnMut(f64) -> f64);

    fn list(&self) -> Vec<f64> {
        let mut all = Vec::new();
        self.clone().each(&mut |x| {
            all.push(x);
            x
        });
        all
    }

    fn filled(&self, with: f64) -> Self {
        let mut out = self.clone();
        out.each(&mut |_| with);
        out
    }
}

impl Floats for f64 {
    fn each(&mut self, f: &mut dyn FnMut(f64) -> f64) {
        *self = f(*self);
    }
}

impl Floats for f32 {
    fn each(&mut self, f: &mut dyn FnMut(f64) -> f64) {
        *self = f(f64::from(*self)) as f32;
    }
}

impl<T: Floats, const N: usize> Floats for [T; N] {
    fn each(&mut self, f: &mut dyn FnMut(f64) -> f64) {
        self.iter_mut().for_each(|x| x.each(f));
    }
}

impl<T: Floats> Floats for Vec<T> {
    fn each(&mut self, f: &mut dyn FnMut(f64) -> f64) {
        self.iter_mut().for_each(|x| x.each(f));
    }
}

impl<A: Floats, B: Floats> Floats for (A, B) {
    fn each(&mut self, f: &mut dyn FnMut(f64) -> f64) {
        self.0.each(f);
        self.1.each(f);
    }
}

impl<A: Floats, B: Floats, C: Floats> Floats for (A, B, C) {
    fn each(&mut self, f: &mut dyn FnMut(f64) -> f64) {
        self.0.each(f);
        self.1.each(f);
        self.2.each(f);
    }
}

/// How near a gradient must be to the differences, and how wide their steps are.
#[derive(Clone, Copy)]
pub struct Precision {
    pub tolerance: f64,
    pub step: f64,
}

/// Differences of a smooth function of ordinary size.
pub const SMOOTH: Precision = Precision {
    tolerance: 1e-6,
    step: 1e-3,
};

/// A function with decisions nearby, which wider steps would change.
pub const NARROW: Precision = Precision {
    tolerance: 1e-5,
    step: 1e-6,
};

/// `f32`: rounding hides small differences.
pub const SINGLE: Precision = Precision {
    tolerance: 1e-2,
    step: 3e-2,
};

/// The derivative at 0: central differences, extrapolated to a step of nothing.
pub fn slope(mut f: impl FnMut(f64) -> f64, step: f64) -> f64 {
    const ROWS: usize = 8;
    const SHRINK: f64 = 1.6;
    let mut rows: Vec<Vec<f64>> = Vec::new();
    let (mut best, mut error) = (f64::NAN, f64::INFINITY);
    for i in 0..ROWS {
        let h = step / SHRINK.powi(i as i32);
        let mut row = vec![(f(h) - f(-h)) / (2.0 * h)];
        let mut factor = 1.0;
        for j in 1..=i {
            factor *= SHRINK * SHRINK;
            let before = &rows[i - 1][j - 1];
            row.push((row[j - 1] * factor - before) / (factor - 1.0));
            let change = (row[j] - row[j - 1]).abs().max((row[j] - before).abs());
            if change <= error {
                (best, error) = (row[j], change);
            }
        }
        rows.push(row);
    }
    best
}

#[track_caller]
pub fn same_bits(what: &str, got: &[f64], want: &[f64]) {
    let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits();
    let all = got.len() == want.len() && got.iter().zip(want).all(same);
    assert!(all, "{what}: got {got:?}, expected {want:?}");
}

#[track_caller]
pub fn near(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}: how many");
    let size = want.iter().fold(1e-6_f64, |m, w| m.max(w.abs()));
    for (i, (a, b)) in got.iter().zip(want).enumerate() {
        let enough = (a - b).abs() <= tolerance * b.abs().max(1e-3 * size);
        assert!(enough, "{what}, float {i}: got {a:e}, expected {b:e}");
    }
}

#[allow(unused_macros)]
macro_rules! every_way {
    ($f:ident, [$($v:ident = $value:expr),*], $args:tt) => {
        every_way!($f, [$($v = $value),*], $args, every_way::SMOOTH)
    };
    ($f:ident, [$($v:ident = $value:expr),*], ($($arg:expr),*), $precision:expr) => {{
        use every_way::Floats;
        let precision: every_way::Precision = $precision;
        let name = stringify!($f);
        let at = |what: &str| format!("{name}: {what}");
        // Between its own two passes a function differs in rounding alone.
        let rounding = if precision.tolerance > 1e-5 { 1e-4 } else { 1e-9 };
        let ($($v,)*) = ($($value,)*);
        // Each call has variables of its own, whether it takes or changes them.
        let value = { $(#[allow(unused_mut)] let mut $v = $v.clone();)* $f($($arg),*) };
        let (y, g) = { $(#[allow(unused_mut)] let mut $v = $v.clone();)* $f::value_and_gradient($($arg),*) };
        every_way::same_bits(&at("value"), &y.list(), &value.list());
        let gradient: Vec<f64> = [$(g.$v.list()),*].concat();

        let one = value.filled(1.0);
        {
            $(#[allow(unused_mut)] let mut $v = $v.clone();)*
            let (y, saved) = $f::forward($($arg),*);
            every_way::same_bits(&at("forward"), &y.list(), &value.list());
            let back = |upstream| {
                let g = $f::backward(&saved, upstream);
                [$(g.$v.list()),*].concat()
            };
            let twice: [Vec<f64>; 2] = [back(one.clone()), back(one.clone())];
            every_way::same_bits(&at("backward again"), &twice[1], &twice[0]);
            every_way::near(&at("both passes"), &twice[0], &gradient, rounding);
            let four: Vec<f64> = back(one.filled(-4.0)).iter().map(|d| d / -4.0).collect();
            every_way::near(&at("upstream"), &four, &gradient, rounding);
        }

        every_way!(@buffers $f, [$($v)*] [a b c d e h] [] ($($arg),*), at, value, gradient, rounding);

        let count = [$($v.list().len()),*].iter().sum::<usize>();
        let differences: Vec<f64> = (0..count)
            .map(|k| {
                let moved = |by: f64| {
                    $(#[allow(unused_mut)] let mut $v = $v.clone();)*
                    let mut position = 0;
                    $($v.each(&mut |x| {
                        position += 1;
                        if position == k + 1 { x + by } else { x }
                    });)*
                    $f($($arg),*).list()[0]
                };
                every_way::slope(moved, precision.step)
            })
            .collect();
        every_way::near(&at("gradient"), &gradient, &differences, precision.tolerance);
    }};
    // A buffer for each parameter.
    (@buffers $f:ident, [$v:ident $($vs:ident)*] [$d:ident $($ds:ident)*] [$($done:tt)*] $($rest:tt)*) => {
        every_way!(@buffers $f, [$($vs)*] [$($ds)*] [$($done)* ($v $d)] $($rest)*)
    };
    (@buffers $f:ident, [] $unused:tt [$(($v:ident $d:ident))*] ($($arg:expr),*),
        $at:ident, $value:ident, $gradient:ident, $rounding:ident) => {{
        $(let mut $d = $v.filled(f64::NAN);)*
        let y = {
            $(#[allow(unused_mut)] let mut $v = $v.clone();)*
            $f::value_and_gradient_into($($arg),*, $(&mut $d),*)
        };
        every_way::same_bits(&$at("value beside buffers"), &y.list(), &$value.list());
        let found: Vec<f64> = [$($d.list()),*].concat();
        every_way::same_bits(&$at("buffers"), &found, &$gradient);
        $($d = $d.filled(2.0);)*
        let y = {
            $(#[allow(unused_mut)] let mut $v = $v.clone();)*
            $f::accumulate($($arg),*, 0.5, $(&mut $d),*)
        };
        every_way::same_bits(&$at("value beside sums"), &y.list(), &$value.list());
        let found: Vec<f64> = [$($d.list()),*].concat();
        let wanted: Vec<f64> = $gradient.iter().map(|g| 2.0 + 0.5 * g).collect();
        every_way::near(&$at("accumulate"), &found, &wanted, $rounding);
    }};
}

/// As `every_way!`, for a result of several floats: both passes, with an upstream gradient for each float.
#[allow(unused_macros)]
macro_rules! both_passes {
    ($f:ident, [$($v:ident = $value:expr),*], ($($arg:expr),*)) => {{
        use every_way::Floats;
        let at = |what: &str| format!("{}: {what}", stringify!($f));
        let ($($v,)*) = ($($value,)*);
        let value = { $(#[allow(unused_mut)] let mut $v = $v.clone();)* $f($($arg),*) };
        let mut upstream = value.clone();
        let mut position = 0.0;
        upstream.each(&mut |_| {
            position += 1.0;
            (1.7_f64 * position).sin()
        });
        let gradient = {
            $(#[allow(unused_mut)] let mut $v = $v.clone();)*
            let (y, saved) = $f::forward($($arg),*);
            every_way::same_bits(&at("forward"), &y.list(), &value.list());
            let back = || {
                let g = $f::backward(&saved, upstream.clone());
                [$(g.$v.list()),*].concat()
            };
            let twice: [Vec<f64>; 2] = [back(), back()];
            every_way::same_bits(&at("backward again"), &twice[1], &twice[0]);
            twice[0].clone()
        };
        let weights = upstream.list();
        let count = [$($v.list().len()),*].iter().sum::<usize>();
        let differences: Vec<f64> = (0..count)
            .map(|k| {
                let moved = |by: f64| {
                    $(#[allow(unused_mut)] let mut $v = $v.clone();)*
                    let mut position = 0;
                    $($v.each(&mut |x| {
                        position += 1;
                        if position == k + 1 { x + by } else { x }
                    });)*
                    let all = $f($($arg),*).list();
                    all.iter().zip(&weights).map(|(y, w)| y * w).sum()
                };
                every_way::slope(moved, every_way::SMOOTH.step)
            })
            .collect();
        every_way::near(&at("gradient"), &gradient, &differences, every_way::SMOOTH.tolerance);
    }};
}
