//! Pairs of doubles: a number as the unevaluated sum of two, with about 100 bits; enough to tell how wrong a double is.

use std::ops::{Add, Div, Mul, Neg};

/// `high + low`, with `|low|` at most half an ulp of `high`.
#[derive(Clone, Copy, Debug)]
pub struct DoubleDouble {
    pub high: f64,
    pub low: f64,
}

const LN_2: DoubleDouble = DoubleDouble {
    high: std::f64::consts::LN_2,
    low: 2.319_046_813_846_299_6e-17,
};

/// `a + b`, exactly.
fn two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    let of_b = high - a;
    // Infinities and NaN have no rest.
    let low = if high.is_finite() {
        (a - (high - of_b)) + (b - of_b)
    } else {
        0.0
    };
    DoubleDouble { high, low }
}

/// `a b`, exactly unless it underflows.
fn two_product(a: f64, b: f64) -> DoubleDouble {
    let high = a * b;
    let low = if high.is_finite() {
        a.mul_add(b, -high)
    } else {
        0.0
    };
    DoubleDouble { high, low }
}

impl From<f64> for DoubleDouble {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Neg for DoubleDouble {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            high: -self.high,
            low: -self.low,
        }
    }
}

impl Add for DoubleDouble {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (high, low) = (two_sum(self.high, other.high), two_sum(self.low, other.low));
        let high = two_sum(high.high, high.low + low.high);
        two_sum(high.high, high.low + low.low)
    }
}

impl Add<f64> for DoubleDouble {
    type Output = Self;
    fn add(self, other: f64) -> Self {
        self + Self::from(other)
    }
}

impl Mul for DoubleDouble {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let product = two_product(self.high, other.high);
        if !product.high.is_finite() {
            return product;
        }
        two_sum(
            product.high,
            product.low + (self.high * other.low + self.low * other.high),
        )
    }
}

impl Mul<f64> for DoubleDouble {
    type Output = Self;
    fn mul(self, other: f64) -> Self {
        self * Self::from(other)
    }
}

impl Div for DoubleDouble {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        // Long division: three digits of 53 bits each.
        let first = self.high / other.high;
        if !first.is_finite() || first == 0.0 {
            return first.into();
        }
        let rest = self + other * -first;
        let second = rest.high / other.high;
        let rest = rest + other * -second;
        two_sum(first, second) + rest.high / other.high
    }
}

impl DoubleDouble {
    pub fn abs(self) -> Self {
        if self.high.is_sign_negative() {
            -self
        } else {
            self
        }
    }

    /// `(n, eʳ - 1)` where the number is `n ln 2 + r`.
    fn reduced(self) -> (f64, Self) {
        let n = (self.high / LN_2.high).round_ties_even();
        // 64 times smaller for the series, and squared back: (1 + y)² - 1 = 2 y + y².
        let r = (self + LN_2 * -n) * (1.0 / 64.0);
        let mut sum = r;
        let mut term = r;
        for k in 2..=14 {
            term = term * r / Self::from(f64::from(k));
            sum = sum + term;
        }
        for _ in 0..6 {
            sum = sum * 2.0 + sum * sum;
        }
        (n, sum)
    }

    pub fn exp(self) -> Self {
        if self.high.is_nan() || self.high.abs() >= 800.0 {
            return self.high.exp().into();
        }
        let (n, m) = self.reduced();
        (m + 1.0).times_power(n)
    }

    pub fn exp_m1(self) -> Self {
        if self.high.is_nan() || self.high.abs() >= 800.0 {
            return self.high.exp_m1().into();
        }
        if self.high.abs() < 1e-30 {
            return self; // x²/2 is beyond all digits
        }
        if self.high > 100.0 {
            return self.exp(); // so is 1
        }
        let (n, m) = self.reduced();
        m.times_power(n) + (Self::from(1.0).times_power(n) + -1.0)
    }

    /// This times 2ⁿ, in steps that stay in range.
    fn times_power(self, n: f64) -> Self {
        let half = (n / 2.0).trunc();
        let (a, b) = (2.0_f64.powi(half as i32), 2.0_f64.powi((n - half) as i32));
        // Scaled apart, the parts of a subnormal result would be rounded twice: their sum is rounded once, and what it lost is a part.
        let high = self.high * a * b;
        let low = if high.is_finite() {
            self.low * a * b + (self.high * a - high / b) * b
        } else {
            0.0
        };
        Self { high, low }
    }

    pub fn ln(self) -> Self {
        if self.high.is_nan() || self.high <= 0.0 || self.high.is_infinite() {
            return self.high.ln().into();
        }
        // Away from the ends of the range, then Newton's step from the logarithm in f64, whose error is squared twice.
        let shift = if self.high < 1e-200 {
            400.0
        } else if self.high > 1e200 {
            -400.0
        } else {
            0.0
        };
        let x = self.times_power(shift);
        let mut y = Self::from(x.high.ln());
        for _ in 0..2 {
            y = y + (x * (-y).exp() + -1.0);
        }
        y + LN_2 * -shift
    }

    pub fn ln_1p(self) -> Self {
        if self.high.is_nan() || self.high <= -1.0 || self.high.is_infinite() {
            return self.high.ln_1p().into();
        }
        if self.high.abs() < 1e-30 {
            return self;
        }
        if self.high.abs() < 1e-5 {
            // The series: the sum 1 + x would lose digits.
            let mut sum = self;
            let mut power = self;
            for k in 2..=9 {
                power = power * -self;
                sum = sum + power / Self::from(f64::from(k));
            }
            return sum;
        }
        (self + 1.0).ln()
    }
}
