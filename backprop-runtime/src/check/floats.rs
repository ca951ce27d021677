//! The floats of arguments, results and gradients, whatever these are made of.

use ndarray::{Array, Dimension};

/// Something made of floats, or constant: what [`assert_gradient!`](crate::assert_gradient) can pass, change and compare.
pub trait Floats {
    /// Some of its floats are `f32`: differences of what is computed from them are coarse.
    const SINGLE: bool = false;

    /// Visits the floats in order; what is written to one becomes its value.
    fn visit(&mut self, f: &mut dyn FnMut(&mut f64));
}

impl Floats for f64 {
    fn visit(&mut self, f: &mut dyn FnMut(&mut f64)) {
        f(self);
    }
}

impl Floats for f32 {
    const SINGLE: bool = true;

    fn visit(&mut self, f: &mut dyn FnMut(&mut f64)) {
        let mut wide = f64::from(*self);
        f(&mut wide);
        *self = wide as f32;
    }
}

impl<T: Floats, const N: usize> Floats for [T; N] {
    const SINGLE: bool = T::SINGLE;

    fn visit(&mut self, f: &mut dyn FnMut(&mut f64)) {
        self.iter_mut().for_each(|v| v.visit(f));
    }
}

impl<T: Floats> Floats for Vec<T> {
    const SINGLE: bool = T::SINGLE;

    fn visit(&mut self, f: &mut dyn FnMut(&mut f64)) {
        self.iter_mut().for_each(|v| v.visit(f));
    }
}

impl<T: Floats, D: Dimension> Floats for Array<T, D> {
    const SINGLE: bool = T::SINGLE;

    fn visit(&mut self, f: &mut dyn FnMut(&mut f64)) {
        self.iter_mut().for_each(|v| v.visit(f));
    }
}

macro_rules! constants {
    ($($T:ty)*) => {$(
        impl Floats for $T {
            fn visit(&mut self, _: &mut dyn FnMut(&mut f64)) {}
        }
    )*};
}
constants! { () bool char String usize isize u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 }

/// The gradients of a function's parameters, in order.
#[doc(hidden)]
pub trait PerParameter {
    fn floats(self) -> Vec<Vec<f64>>;
}

macro_rules! tuples {
    ($(($($T:ident $k:tt),+))*) => {$(
        impl<$($T: Floats),+> Floats for ($($T,)+) {
            const SINGLE: bool = $($T::SINGLE)||+;

            fn visit(&mut self, f: &mut dyn FnMut(&mut f64)) {
                $(self.$k.visit(f);)+
            }
        }
        impl<$($T: Floats),+> PerParameter for ($($T,)+) {
            fn floats(mut self) -> Vec<Vec<f64>> {
                vec![$(collect(&mut self.$k)),+]
            }
        }
    )*};
}
tuples! {
    (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
}

/// The floats of a value.
pub(super) fn collect(value: &mut impl Floats) -> Vec<f64> {
    let mut out = Vec::new();
    value.visit(&mut |v| out.push(*v));
    out
}

/// An argument of a function: how it is owned while it is changed, and lent to each call.
#[doc(hidden)]
pub trait Argument {
    type Owned: Floats;
    type Lent<'a>
    where
        Self: 'a;
    fn own(self) -> Self::Owned;
    fn lend<'a>(owned: &'a Self::Owned) -> Self::Lent<'a>
    where
        Self: 'a;
}

macro_rules! by_value {
    ($([$($p:tt)*] $T:ty;)*) => {$(
        impl<$($p)*> Argument for $T {
            type Owned = $T;
            type Lent<'a> = $T where Self: 'a;
            fn own(self) -> $T {
                self
            }
            fn lend<'a>(owned: &'a $T) -> $T where Self: 'a {
                owned.clone()
            }
        }
    )*};
}
by_value! {
    [] f64; [] f32; [] bool; [] char; [] String; [] usize; [] isize; [] u8; [] u16; [] u32; [] u64; [] u128;
    [] i8; [] i16; [] i32; [] i64; [] i128;
    [T: Floats + Clone, const N: usize] [T; N];
    [T: Floats + Clone] Vec<T>;
    [T: Floats + Clone, D: Dimension] Array<T, D>;
    [A: Floats + Clone] (A,);
    [A: Floats + Clone, B: Floats + Clone] (A, B);
    [A: Floats + Clone, B: Floats + Clone, C: Floats + Clone] (A, B, C);
}

impl<T: Floats + Clone> Argument for &T {
    type Owned = T;
    type Lent<'a>
        = &'a T
    where
        Self: 'a;
    fn own(self) -> T {
        self.clone()
    }
    fn lend<'a>(owned: &'a T) -> &'a T
    where
        Self: 'a,
    {
        owned
    }
}

impl<T: Floats + Clone> Argument for &[T] {
    type Owned = Vec<T>;
    type Lent<'a>
        = &'a [T]
    where
        Self: 'a;
    fn own(self) -> Vec<T> {
        self.to_vec()
    }
    fn lend<'a>(owned: &'a Vec<T>) -> &'a [T]
    where
        Self: 'a,
    {
        owned
    }
}
