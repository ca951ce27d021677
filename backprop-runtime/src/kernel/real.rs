//! The scalars of the kernels, and the constants and bits that [`elementary`](super::elementary) needs of each.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

use ndarray::LinalgScalar;

use super::float::Float;

/// `f32` or `f64`, as the kernels see them.
///
/// Sealed: a kernel is written against the bits of these two types. What it holds beside arithmetic is for
/// [`elementary`](super::elementary).
pub trait Real:
    LinalgScalar
    + num_traits::Float
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + 'static
    + Format
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// This scalar where a function asks for the kernels' [`Float`]: itself. A generic `T` is not both, as its methods would be
    /// ambiguous.
    type Lane: Float;

    /// This number, with the kernels' methods.
    fn into_lane(self) -> Self::Lane;
    /// Back.
    fn from_lane(lane: Self::Lane) -> Self;
}

macro_rules! real {
    ($($float:ident)+) => {$(
        impl Real for $float {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            type Lane = Self;

            #[inline(always)]
            fn into_lane(self) -> Self {
                self
            }
            #[inline(always)]
            fn from_lane(lane: Self) -> Self {
                lane
            }
        }
    )+};
}

real!(f32 f64);

/// What tells the two formats apart: constants by their role, and the three operations on bits.
///
/// Only a bound of [`Real`]: private, so that nobody else can implement either.
#[doc(hidden)]
pub trait Format: Sized + Copy {
    /// 1.5 · 2ᵖ⁻¹, with p the bits of the significand. Added to a small number it rounds it to an integer, which then
    /// stands in the lowest bits.
    const ROUNDER: Self;
    /// ½.
    const HALF: Self;
    /// 2.
    const TWO: Self;
    /// 1 / ln 2.
    const LOG2_E: Self;
    /// ln 2 in two parts: the product of the first with every exponent is exact.
    const LN_2_HIGH: Self;
    /// The rest of it.
    const LN_2_LOW: Self;
    /// From here on `exp` is ∞, and the scaling still in range.
    const EXP_HIGH: Self;
    /// Up to here `exp` is 0.
    const EXP_LOW: Self;
    /// Up to here `exp_m1` is -1.
    const EXP_M1_LOW: Self;
    /// From here on `tanh` is 1.
    const TANH_HIGH: Self;
    /// Below this, in magnitude, `f(x) = x + x²/2 + …` rounds to `x`.
    const TINY: Self;
    /// The smallest normal number.
    const SMALLEST: Self;
    /// A power of two that makes every subnormal number normal.
    const LIFT: Self;
    /// Its logarithm to base 2.
    const LIFT_EXPONENT: Self;

    /// (eʳ - 1 - r) / r² for |r| ≤ ½ ln 2.
    fn exp_tail(r: Self) -> Self;
    /// `R` of `ln((1 + s) / (1 - s)) = 2s + s R(s²)`, from s² for |s| ≤ 0.1716.
    fn ln_tail(s2: Self) -> Self;
    /// 2ⁿ where `t` is `n + ROUNDER` and 2ⁿ a normal number.
    fn power_of_two(t: Self) -> Self;
    /// 2ⁿ in two factors, each in range, where `t` is `n + ROUNDER` and |n| at most twice the largest exponent.
    fn power_of_two_in_halves(t: Self) -> (Self, Self);
    /// A positive normal number as `m · 2ᵏ` with `√½ ≤ m < √2`: (m, k).
    fn split(x: Self) -> (Self, Self);
}

impl Format for f64 {
    const ROUNDER: Self = 6755399441055744.0;
    const HALF: Self = 0.5;
    const TWO: Self = 2.0;
    const LOG2_E: Self = std::f64::consts::LOG2_E;
    // 33 bits, so that an exponent of 11 bits times it is exact (the split is that of fdlibm).
    const LN_2_HIGH: Self = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN_2_LOW: Self = f64::from_bits(0x3dea_39ef_3579_3c76);
    const EXP_HIGH: Self = 710.0;
    const EXP_LOW: Self = -746.0;
    const EXP_M1_LOW: Self = -40.0;
    const TANH_HIGH: Self = 20.0;
    const TINY: Self = 1.0 / (1_u64 << 54) as f64;
    const SMALLEST: Self = f64::MIN_POSITIVE;
    const LIFT: Self = (1_u64 << 54) as f64;
    const LIFT_EXPONENT: Self = 54.0;

    #[inline(always)]
    fn exp_tail(r: Self) -> Self {
        // Taylor's coefficients 1/2! to 1/13!, by Estrin's scheme: few operations wait for one another.
        const C: [f64; 12] = [
            0.5,
            1.0 / 6.0,
            1.0 / 24.0,
            1.0 / 120.0,
            1.0 / 720.0,
            1.0 / 5040.0,
            1.0 / 40320.0,
            1.0 / 362880.0,
            1.0 / 3628800.0,
            1.0 / 39916800.0,
            1.0 / 479001600.0,
            1.0 / 6227020800.0,
        ];
        let r2 = r * r;
        let r4 = r2 * r2;
        let low = (C[0] + C[1] * r) + (C[2] + C[3] * r) * r2;
        let mid = (C[4] + C[5] * r) + (C[6] + C[7] * r) * r2;
        let high = (C[8] + C[9] * r) + (C[10] + C[11] * r) * r2;
        low + (mid + high * r4) * r4
    }

    #[inline(always)]
    fn ln_tail(s2: Self) -> Self {
        // The minimax polynomial of fdlibm's `log`, error below 2^-58.45.
        const L: [f64; 7] = [
            f64::from_bits(0x3fe5_5555_5555_5593),
            f64::from_bits(0x3fd9_9999_9997_fa04),
            f64::from_bits(0x3fd2_4924_9422_9359),
            f64::from_bits(0x3fcc_71c5_1d8e_78af),
            f64::from_bits(0x3fc7_4664_96cb_03de),
            f64::from_bits(0x3fc3_9a09_d078_c69f),
            f64::from_bits(0x3fc2_f112_df3e_5244),
        ];
        let s4 = s2 * s2;
        let odd = s4 * (L[1] + s4 * (L[3] + s4 * L[5]));
        let even = s2 * (L[0] + s4 * (L[2] + s4 * (L[4] + s4 * L[6])));
        odd + even
    }

    #[inline(always)]
    fn power_of_two(t: Self) -> Self {
        // The lowest bits of `t` are n; those above leave the word.
        f64::from_bits(t.to_bits().wrapping_add(1023) << 52)
    }

    #[inline(always)]
    fn power_of_two_in_halves(t: Self) -> (Self, Self) {
        // n + 2046 is positive, so that half of it needs no arithmetic shift, which AVX2 lacks.
        let n = t
            .to_bits()
            .wrapping_sub(Self::ROUNDER.to_bits())
            .wrapping_add(2046);
        let half = n >> 1;
        let rest = n.wrapping_sub(half);
        (f64::from_bits(half << 52), f64::from_bits(rest << 52))
    }

    #[inline(always)]
    fn split(x: Self) -> (Self, Self) {
        // Moved up by 1 - √½ in the logarithmic scale of the bits, the exponent is that of the nearest power.
        const UP: u64 = 0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd;
        let bits = x.to_bits().wrapping_add(UP);
        let m = (bits & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd);
        // An integer below 2^52 in the lowest bits of 2^52.
        let k =
            f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - (4503599627370496.0 + 1023.0);
        (f64::from_bits(m), k)
    }
}

impl Format for f32 {
    const ROUNDER: Self = 12582912.0;
    const HALF: Self = 0.5;
    const TWO: Self = 2.0;
    const LOG2_E: Self = std::f32::consts::LOG2_E;
    const LN_2_HIGH: Self = f32::from_bits(0x3f31_7200);
    const LN_2_LOW: Self = f32::from_bits(0x35bf_be8e);
    const EXP_HIGH: Self = 89.0;
    const EXP_LOW: Self = -104.0;
    const EXP_M1_LOW: Self = -18.0;
    const TANH_HIGH: Self = 10.0;
    const TINY: Self = 1.0 / (1_u32 << 25) as f32;
    const SMALLEST: Self = f32::MIN_POSITIVE;
    const LIFT: Self = (1_u32 << 25) as f32;
    const LIFT_EXPONENT: Self = 25.0;

    #[inline(always)]
    fn exp_tail(r: Self) -> Self {
        let r2 = r * r;
        let low = 0.5 + (1.0 / 6.0) * r;
        let mid = 1.0 / 24.0 + (1.0 / 120.0) * r;
        let high = 1.0 / 720.0 + (1.0 / 5040.0) * r;
        low + (mid + high * r2) * r2
    }

    #[inline(always)]
    fn ln_tail(s2: Self) -> Self {
        // The minimax polynomial of fdlibm's `logf`, error below 2^-34.24.
        let s4 = s2 * s2;
        let odd = s4 * (f32::from_bits(0x3ecc_ce13) + s4 * f32::from_bits(0x3e78_9e26));
        let even = s2 * (f32::from_bits(0x3f2a_aaaa) + s4 * f32::from_bits(0x3e91_e9ee));
        odd + even
    }

    #[inline(always)]
    fn power_of_two(t: Self) -> Self {
        f32::from_bits(t.to_bits().wrapping_add(127) << 23)
    }

    #[inline(always)]
    fn power_of_two_in_halves(t: Self) -> (Self, Self) {
        let n = t
            .to_bits()
            .wrapping_sub(Self::ROUNDER.to_bits())
            .wrapping_add(254);
        let half = n >> 1;
        let rest = n.wrapping_sub(half);
        (f32::from_bits(half << 23), f32::from_bits(rest << 23))
    }

    #[inline(always)]
    fn split(x: Self) -> (Self, Self) {
        const UP: u32 = 0x3f80_0000 - 0x3f35_04f3;
        let bits = x.to_bits().wrapping_add(UP);
        let m = (bits & 0x007f_ffff).wrapping_add(0x3f35_04f3);
        let k = f32::from_bits((bits >> 23) | 0x4b00_0000) - (8388608.0 + 127.0);
        (f32::from_bits(m), k)
    }
}
