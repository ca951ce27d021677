//! Forward-mode dual numbers, the tests' reference for gradients.
//!
//! In: a program over `Dual` instead of `f64`, run once per input direction. Out: its value, bit for bit the one of
//! the program over `f64`, its derivative in that direction, and how much that derivative can be trusted.
//! Must hold: no formula comes from the macro's rule table, and only values decide comparisons.
#![allow(dead_code)] // Each test uses the part that it needs.

use std::cell::Cell;
use std::cmp::Ordering;
use std::f64::consts::{LN_2, LN_10};
use std::iter::{Product, Sum};
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

/// A value with its derivative.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dual {
    pub v: f64,
    pub d: f64,
    /// The sum of the absolute values of the terms (one per path of the program) that add up to `d`. Each correct way
    /// of adding them rounds by less than the depth of the program times an ulp of this, whatever cancels.
    pub m: f64,
}

/// A number that does not depend on the inputs.
pub const fn c(v: f64) -> Dual {
    Dual { v, d: 0.0, m: 0.0 }
}

/// What `1 - y * y` may lose on the derivative of `tanh`, on top of `1e-12` of the derivative itself.
const TANH_SLACK: f64 = 1e-3;

thread_local! {
    /// Whether a slope was infinite or NaN since this was last set, even one that the result does not depend on.
    pub static SINGULAR: Cell<bool> = const { Cell::new(false) };
}

/// An infinite partial of an operand that does not depend on the input is no `NaN`.
fn times(partial: f64, d: f64) -> f64 {
    if d == 0.0 {
        return 0.0;
    }
    if !partial.is_finite() {
        SINGULAR.set(true);
    }
    partial * d
}

impl Dual {
    pub const INFINITY: Dual = c(f64::INFINITY);
    pub const NEG_INFINITY: Dual = c(f64::NEG_INFINITY);
    pub const NAN: Dual = c(f64::NAN);
    pub const MAX: Dual = c(f64::MAX);
    pub const MIN: Dual = c(f64::MIN);
    pub const EPSILON: Dual = c(f64::EPSILON);
    pub const MIN_POSITIVE: Dual = c(f64::MIN_POSITIVE);

    /// The input in whose direction the program is differentiated.
    pub const fn variable(v: f64) -> Dual {
        Dual { v, d: 1.0, m: 1.0 }
    }

    fn unary(self, v: f64, partial: f64) -> Dual {
        Dual {
            v,
            d: times(partial, self.d),
            m: times(partial.abs(), self.m),
        }
    }

    fn binary(self, other: Dual, v: f64, (p, q): (f64, f64)) -> Dual {
        Dual {
            v,
            d: times(p, self.d) + times(q, other.d),
            m: times(p.abs(), self.m) + times(q.abs(), other.m),
        }
    }
}

macro_rules! unary {
    ($($name:ident($x:pat, $y:pat) = $partial:expr;)*) => {
        impl Dual {
            $(pub fn $name(self) -> Dual {
                let v = self.v.$name();
                let ($x, $y) = (self.v, v);
                self.unary(v, $partial)
            })*
        }
    };
}

/// `value`, or NaN outside of the function's domain.
fn within(domain: bool, value: f64) -> f64 {
    if domain { value } else { f64::NAN }
}

// name(argument, result) = derivative
#[rustfmt::skip]
unary! {
    exp(_, y) = y;
    exp2(_, y) = y * LN_2;
    exp_m1(x, _) = x.exp();
    ln(x, _) = within(x >= 0.0, 1.0 / x);
    ln_1p(x, _) = within(x >= -1.0, 1.0 / (1.0 + x));
    log2(x, _) = within(x >= 0.0, 1.0 / x / LN_2);
    log10(x, _) = within(x >= 0.0, 1.0 / x / LN_10);
    sqrt(_, y) = 0.5 / y;
    cbrt(_, y) = 1.0 / (3.0 * y * y);
    sin(x, _) = x.cos();
    cos(x, _) = -x.sin();
    tan(_, y) = 1.0 + y * y;
    asin(x, _) = ((1.0 - x) * (1.0 + x)).sqrt().recip();
    acos(x, _) = -((1.0 - x) * (1.0 + x)).sqrt().recip();
    atan(x, _) = 1.0 / (1.0 + x * x);
    sinh(x, _) = x.cosh();
    cosh(x, _) = x.sinh();
    asinh(x, _) = 1.0 / x.hypot(1.0);
    acosh(x, _) = 1.0 / ((x - 1.0).sqrt() * (x + 1.0).sqrt());
    atanh(x, _) = within(x.abs() <= 1.0, 1.0 / ((1.0 - x) * (1.0 + x)));
    recip(_, y) = -y * y;
    abs(x, _) = if x == 0.0 { 0.0 } else { x.signum() };
    signum(_, _) = 0.0;
    floor(_, _) = 0.0;
    ceil(_, _) = 0.0;
    round(_, _) = 0.0;
    round_ties_even(_, _) = 0.0;
    trunc(_, _) = 0.0;
    fract(_, _) = 1.0;
    to_radians(_, _) = 1.0_f64.to_radians();
    to_degrees(_, _) = 1.0_f64.to_degrees();
}

macro_rules! binary {
    ($($name:ident($x:pat, $y:pat, $z:pat) = $partials:expr;)*) => {
        impl Dual {
            $(pub fn $name(self, other: Dual) -> Dual {
                let v = self.v.$name(other.v);
                let ($x, $y, $z) = (self.v, other.v, v);
                self.binary(other, v, $partials)
            })*
        }
    };
}

// name(first, second, result) = derivatives in both
#[rustfmt::skip]
binary! {
    atan2(y, x, _) = { let h = x.hypot(y); (x / h / h, -(y / h / h)) };
    hypot(x, y, h) = if h == 0.0 { (0.0, 0.0) } else { (x / h, y / h) };
    powf(x, y, z) = (if y == 0.0 { 0.0 } else { y * x.powf(y - 1.0) }, exponent(x, y, z));
    log(x, b, z) = (1.0 / (x * b.ln()), -z / (b * b.ln()));
    max(x, y, _) = choose(x > y || y.is_nan(), x < y || x.is_nan());
    min(x, y, _) = choose(x < y || y.is_nan(), x > y || x.is_nan());
    copysign(x, s, _) = (if x == 0.0 { 0.0 } else { x.signum() * s.signum() }, 0.0);
    rem_euclid(x, y, r) = (1.0, -((x - r) / y).round());
    div_euclid(_, _, _) = (0.0, 0.0);
}

/// The derivative of `x^y` in `y`.
fn exponent(x: f64, y: f64, power: f64) -> f64 {
    match x == 0.0 {
        true if y >= 0.0 => 0.0,
        true => f64::NEG_INFINITY,
        false => power * x.ln(),
    }
}

/// A choice between two operands; equal ones share the derivative.
fn choose(first: bool, second: bool) -> (f64, f64) {
    match (first, second) {
        (true, false) => (1.0, 0.0),
        (false, true) => (0.0, 1.0),
        _ => (0.5, 0.5),
    }
}

impl Dual {
    /// The accurate derivative, with room for the free one, `1 - y * y`, whose error is relative to 1.
    pub fn tanh(self) -> Dual {
        let partial = self.v.cosh().recip().powi(2);
        Dual {
            m: (partial + TANH_SLACK) * self.m,
            ..self.unary(self.v.tanh(), partial)
        }
    }

    pub fn powi(self, n: i32) -> Dual {
        let partial = if n == 0 {
            0.0
        } else {
            f64::from(n) * self.v.powi(n - 1)
        };
        self.unary(self.v.powi(n), partial)
    }

    pub fn mul_add(self, a: Dual, b: Dual) -> Dual {
        let product = self.binary(a, self.v.mul_add(a.v, b.v), (a.v, self.v));
        product.binary(b, product.v, (1.0, 1.0))
    }

    /// On a bound the derivative is that of the clamped value, as documented.
    pub fn clamp(self, low: Dual, high: Dual) -> Dual {
        let winner = match self.v {
            x if x < low.v => low,
            x if x > high.v => high,
            _ => self,
        };
        Dual {
            v: self.v.clamp(low.v, high.v),
            ..winner
        }
    }

    pub fn sin_cos(self) -> (Dual, Dual) {
        (self.sin(), self.cos())
    }

    pub fn is_nan(self) -> bool {
        self.v.is_nan()
    }

    pub fn is_finite(self) -> bool {
        self.v.is_finite()
    }

    pub fn is_infinite(self) -> bool {
        self.v.is_infinite()
    }

    pub fn is_sign_negative(self) -> bool {
        self.v.is_sign_negative()
    }

    pub fn is_sign_positive(self) -> bool {
        self.v.is_sign_positive()
    }

    pub fn total_cmp(&self, other: &Dual) -> Ordering {
        self.v.total_cmp(&other.v)
    }
}

impl PartialEq for Dual {
    fn eq(&self, other: &Dual) -> bool {
        self.v == other.v
    }
}

impl PartialOrd for Dual {
    fn partial_cmp(&self, other: &Dual) -> Option<Ordering> {
        self.v.partial_cmp(&other.v)
    }
}

impl Neg for Dual {
    type Output = Dual;
    fn neg(self) -> Dual {
        self.unary(-self.v, -1.0)
    }
}

impl From<f64> for Dual {
    fn from(v: f64) -> Dual {
        c(v)
    }
}

macro_rules! operators {
    ($($op:ident $method:ident $assign:ident $assign_method:ident ($x:pat, $y:pat, $z:pat) = $partials:expr;)*) => {
        $(impl $op for Dual {
            type Output = Dual;
            fn $method(self, other: Dual) -> Dual {
                let v = self.v.$method(other.v);
                let ($x, $y, $z) = (self.v, other.v, v);
                self.binary(other, v, $partials)
            }
        }
        operators!(@mixed $op $method: &Dual, Dual; Dual, &Dual; &Dual, &Dual);
        impl $op<f64> for Dual {
            type Output = Dual;
            fn $method(self, other: f64) -> Dual {
                self.$method(c(other))
            }
        }
        impl $op<Dual> for f64 {
            type Output = Dual;
            fn $method(self, other: Dual) -> Dual {
                c(self).$method(other)
            }
        }
        impl<T> $assign<T> for Dual where Dual: $op<T, Output = Dual> {
            fn $assign_method(&mut self, other: T) {
                *self = self.$method(other);
            }
        })*
    };
    (@mixed $op:ident $method:ident: $($left:ty, $right:ty);*) => {
        $(impl $op<$right> for $left {
            type Output = Dual;
            fn $method(self, other: $right) -> Dual {
                Dual::$method(self.clone(), other.clone())
            }
        })*
    };
}

#[rustfmt::skip]
operators! {
    Add add AddAssign add_assign (_, _, _) = (1.0, 1.0);
    Sub sub SubAssign sub_assign (_, _, _) = (1.0, -1.0);
    Mul mul MulAssign mul_assign (x, y, _) = (y, x);
    Div div DivAssign div_assign (_, y, z) = (1.0 / y, -(z / y));
    Rem rem RemAssign rem_assign (x, y, r) = (1.0, -((x - r) / y).round());
}

/// Starts from -0, as the standard library's sum of floats does.
impl Sum for Dual {
    fn sum<I: Iterator<Item = Dual>>(terms: I) -> Dual {
        terms.fold(c(-0.0), |a, b| a + b)
    }
}

impl<'a> Sum<&'a Dual> for Dual {
    fn sum<I: Iterator<Item = &'a Dual>>(terms: I) -> Dual {
        terms.copied().sum()
    }
}

impl Product for Dual {
    fn product<I: Iterator<Item = Dual>>(factors: I) -> Dual {
        factors.fold(c(1.0), |a, b| a * b)
    }
}

impl<'a> Product<&'a Dual> for Dual {
    fn product<I: Iterator<Item = &'a Dual>>(factors: I) -> Dual {
        factors.copied().product()
    }
}

/// Stands for `as`, which the language keeps for its own numbers.
pub trait Cast<T> {
    fn cast(self) -> T;
}

/// `from as T`.
pub fn cast<T, F: Cast<T>>(from: F) -> T {
    from.cast()
}

impl Cast<Dual> for Dual {
    fn cast(self) -> Dual {
        self
    }
}

impl Cast<Dual> for bool {
    fn cast(self) -> Dual {
        c(f64::from(self))
    }
}

macro_rules! casts {
    ($($int:ident)*) => {
        $(impl Cast<Dual> for $int {
            fn cast(self) -> Dual {
                c(self as f64)
            }
        }
        impl Cast<$int> for Dual {
            fn cast(self) -> $int {
                self.v as $int
            }
        }
        impl Cast<$int> for bool {
            fn cast(self) -> $int {
                $int::from(self)
            }
        }
        casts!(@from $int: i32 i64 u8 u32 u64 usize);)*
    };
    (@from $to:ident: $($from:ident)*) => {
        $(impl Cast<$to> for $from {
            fn cast(self) -> $to {
                self as $to
            }
        })*
    };
}

casts! { i32 i64 u8 u32 u64 usize }
