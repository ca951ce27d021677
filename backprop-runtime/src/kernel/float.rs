//! The scalar of functions that vectorise: the methods of a float, those that the kernels have computed by them.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, Sub, SubAssign};

use num_traits::NumCast;

use super::elementary;

/// `f32` or `f64`, with the methods of [`num_traits::Float`]; but `exp`, `exp_m1`, `ln`, `ln_1p` and `tanh` are those of
/// [`elementary`], which vectorise.
///
/// A function under `#[backprop]` whose parameter has this bound runs with them, forward and backward. Where it is inlined into a
/// [`map`](super::map()) or [`dispatch`](super::dispatch()), it runs at the speed of vectors; `#[inline(always)]` holds for its
/// derivatives too.
///
/// ```
/// use backprop_macro::backprop;
/// use backprop_runtime::kernel::{Float, map_slices};
///
/// #[backprop]
/// #[inline(always)]
/// fn swish<T: Float>(z: T) -> T {
///     z / (T::one() + (-z).exp())
/// }
///
/// let z = [-1.0, 0.0, 1.0];
/// let (mut y, mut slope) = ([0.0; 3], [0.0; 3]);
/// let [] = map_slices(
///     [&z],
///     [&mut y, &mut slope],
///     #[inline(always)]
///     |[z], [_, _]| {
///         let (y, gradient) = swish::value_and_gradient(z);
///         ([y, gradient.z], [])
///     },
/// );
/// assert_eq!((y[1], slope[1]), (0.0, 0.5));
/// ```
pub trait Float:
    Copy
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Rem<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + sealed::Sealed
{
    /// 0.
    fn zero() -> Self;
    /// 1.
    fn one() -> Self;
    /// The number in this precision, if it has it; for constants.
    fn from<N: num_traits::ToPrimitive>(number: N) -> Option<Self>;
    /// NaN.
    fn nan() -> Self;
    /// Whether it is NaN.
    fn is_nan(self) -> bool;
    /// To an integer power, as `std` has it.
    fn powi(self, exponent: i32) -> Self;
    /// `self · a + b`, rounded once; a call on processors without it.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// Between two bounds, as `std` has it.
    fn clamp(self, low: Self, high: Self) -> Self;

    /// As [`elementary::exp`].
    fn exp(self) -> Self;
    /// As [`elementary::exp_m1`].
    fn exp_m1(self) -> Self;
    /// As [`elementary::ln`].
    fn ln(self) -> Self;
    /// As [`elementary::ln_1p`].
    fn ln_1p(self) -> Self;
    /// As [`elementary::tanh`].
    fn tanh(self) -> Self;

    /// As `std` has it.
    fn abs(self) -> Self;
    /// As `std` has it.
    fn signum(self) -> Self;
    /// As `std` has it.
    fn sqrt(self) -> Self;
    /// As `std` has it.
    fn recip(self) -> Self;
    /// As `std` has it.
    fn sin(self) -> Self;
    /// As `std` has it.
    fn cos(self) -> Self;
    /// As `std` has it.
    fn sinh(self) -> Self;
    /// As `std` has it.
    fn cosh(self) -> Self;
    /// As `std` has it.
    fn atan(self) -> Self;
    /// As `std` has it.
    fn floor(self) -> Self;
    /// As `std` has it.
    fn round(self) -> Self;
    /// As `std` has it.
    fn max(self, other: Self) -> Self;
    /// As `std` has it.
    fn min(self, other: Self) -> Self;
    /// As `std` has it.
    fn powf(self, exponent: Self) -> Self;
    /// As `std` has it.
    fn hypot(self, other: Self) -> Self;
    /// As `std` has it.
    fn copysign(self, sign: Self) -> Self;
}

mod sealed {
    /// Only the two formats.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! float {
    ($float:ident: $($unary:ident)+; $($binary:ident)+) => {
        impl Float for $float {
            #[inline(always)]
            fn zero() -> Self {
                0.0
            }
            #[inline(always)]
            fn one() -> Self {
                1.0
            }
            #[inline(always)]
            fn from<N: num_traits::ToPrimitive>(number: N) -> Option<Self> {
                NumCast::from(number)
            }
            #[inline(always)]
            fn nan() -> Self {
                $float::NAN
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn powi(self, exponent: i32) -> Self {
                self.powi(exponent)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            #[inline(always)]
            fn clamp(self, low: Self, high: Self) -> Self {
                self.clamp(low, high)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                elementary::exp(self)
            }
            #[inline(always)]
            fn exp_m1(self) -> Self {
                elementary::exp_m1(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                elementary::ln(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                elementary::ln_1p(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                elementary::tanh(self)
            }
            $(
                #[inline(always)]
                fn $unary(self) -> Self {
                    self.$unary()
                }
            )+
            $(
                #[inline(always)]
                fn $binary(self, other: Self) -> Self {
                    self.$binary(other)
                }
            )+
        }
    };
}

float!(f32: abs signum sqrt recip sin cos sinh cosh atan floor round; max min powf hypot copysign);
float!(f64: abs signum sqrt recip sin cos sinh cosh atan floor round; max min powf hypot copysign);
