//! Elementary functions without branches, tables or intrinsics, so that the compiler vectorises the loops that call them.
//!
//! In goes one number, out comes one, with at most the error written beside each function, in units in the last place over
//! the whole range of each format, subnormal numbers, infinities and NaN included; `tests/elementary.rs` measures it. No
//! multiplication is contracted with an addition, so a result has the same bits in a vector as alone, on every processor,
//! in debug and in release.

use super::real::Real;

/// Writes the body of `exp` and `exp_m1`: `n`, with [`ROUNDER`](super::real::Format::ROUNDER) added, and `eʳ - 1`,
/// where `z = n ln 2 + r` and `|r| ≤ ½ ln 2`.
#[inline(always)]
fn reduced_exp_m1<T: Real>(z: T) -> (T, T) {
    let t = z * T::LOG2_E + T::ROUNDER;
    let n = t - T::ROUNDER;
    let r = (z - n * T::LN_2_HIGH) - n * T::LN_2_LOW;
    (t, r + r * r * T::exp_tail(r))
}

/// `x`, or the bound beyond which it lies; NaN for NaN.
#[inline(always)]
fn within<T: Real>(x: T, low: T, high: T) -> T {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `eˣ`, within 2 ulp.
///
/// ```
/// use backprop_runtime::kernel::exp;
///
/// assert_eq!(exp(0.0), 1.0);
/// assert_eq!(exp(f32::NEG_INFINITY), 0.0);
/// assert!(exp(f64::NAN).is_nan());
/// ```
#[inline(always)]
pub fn exp<T: Real>(x: T) -> T {
    let (t, m) = reduced_exp_m1(within(x, T::EXP_LOW, T::EXP_HIGH));
    let (half, rest) = T::power_of_two_in_halves(t);
    (T::ONE + m) * half * rest
}

/// `eˣ - 1`, within 3 ulp.
#[inline(always)]
pub fn exp_m1<T: Real>(x: T) -> T {
    let (t, m) = reduced_exp_m1(within(x, T::EXP_M1_LOW, T::EXP_HIGH));
    // Half of the result, as 2ⁿ itself may be out of range.
    let scale = T::power_of_two(t - T::ONE);
    let y = (scale * m + (scale - T::HALF)) * T::TWO;
    if x.abs() < T::TINY { x } else { y }
}

/// The hyperbolic tangent, within 3 ulp.
#[inline(always)]
pub fn tanh<T: Real>(x: T) -> T {
    let size = within(x.abs(), T::ZERO, T::TANH_HIGH);
    let (t, m) = reduced_exp_m1(size * T::TWO);
    let scale = T::power_of_two(t);
    let e = scale * m + (scale - T::ONE);
    let y = (e / (e + T::TWO)).copysign(x);
    if x.abs() < T::TINY { x } else { y }
}

/// The logistic function `1 / (1 + e⁻ˣ)`, within 3 ulp.
#[inline(always)]
pub fn sigmoid<T: Real>(x: T) -> T {
    // The exponential that cannot overflow; for negative x it is the numerator too, so that nothing cancels.
    let e = exp(-x.abs());
    let numerator = if x < T::ZERO { e } else { T::ONE };
    numerator / (T::ONE + e)
}

/// `m · 2ᵏ` is `1 + f`: its logarithm, with `c` to be added.
#[inline(always)]
fn ln_of_parts<T: Real>(f: T, k: T, c: T) -> T {
    let s = f / (T::TWO + f);
    let half_square = T::HALF * f * f;
    let rest = s * (half_square + T::ln_tail(s * s));
    k * T::LN_2_HIGH - ((half_square - (rest + (k * T::LN_2_LOW + c))) - f)
}

/// The natural logarithm, within 3 ulp; NaN below 0.
#[inline(always)]
pub fn ln<T: Real>(x: T) -> T {
    let small = x < T::SMALLEST;
    let (lifted, lift) = if small {
        (x * T::LIFT, T::LIFT_EXPONENT)
    } else {
        (x, T::ZERO)
    };
    let (m, k) = T::split(lifted);
    let y = ln_of_parts(m - T::ONE, k - lift, T::ZERO);
    ln_at_the_ends(x, y)
}

/// `ln(1 + x)`, within 3 ulp; NaN below -1.
#[inline(always)]
pub fn ln_1p<T: Real>(x: T) -> T {
    let u = T::ONE + x;
    // What the sum has lost.
    let lost = if u < T::TWO {
        x - (u - T::ONE)
    } else {
        T::ONE - (u - x)
    };
    let (m, k) = T::split(u);
    let near = k == T::ZERO;
    let f = if near { x } else { m - T::ONE };
    let c = if near { T::ZERO } else { lost / u };
    let y = ln_at_the_ends(u, ln_of_parts(f, k, c));
    if x.abs() < T::TINY { x } else { y }
}

/// The logarithm `y` of `x` where `x` is positive and finite, and what it is elsewhere.
#[inline(always)]
fn ln_at_the_ends<T: Real>(x: T, y: T) -> T {
    let y = if x > T::ZERO { y } else { T::nan() };
    let y = if x == T::ZERO { T::neg_infinity() } else { y };
    if x == T::infinity() { x } else { y }
}

/// `ln(1 + eˣ)`, within 3 ulp, without overflow.
#[inline(always)]
pub fn softplus<T: Real>(x: T) -> T {
    let positive = if x < T::ZERO { T::ZERO } else { x };
    positive + ln_1p(exp(-x.abs()))
}

/// `x`, or zero of its sign if it is subnormal.
///
/// For what goes from a saturated sigmoid into a matrix product; see [the module](super#subnormal-numbers).
#[inline(always)]
pub fn flush<T: Real>(x: T) -> T {
    if x.abs() < T::SMALLEST {
        T::ZERO.copysign(x)
    } else {
        x
    }
}
