//! The elementary functions of the kernels against a reference, in units in the last place, over the whole range of each format.
//!
//! The reference of `f64` is computed here in pairs of doubles, some 100 bits; that of `f32` is the function in `f64`. Debug
//! builds take fewer points. `ELEMENTARY_STRIDE=1` takes every `f32`.

use backprop_runtime::kernel::{self, Real};

#[path = "elementary/double_double.rs"]
mod double_double;
use double_double::DoubleDouble;

/// A function with its name, its error bound in ulp, and its reference.
struct Row {
    name: &'static str,
    bound: f64,
    f64: fn(f64) -> f64,
    f32: fn(f32) -> f32,
    reference: fn(DoubleDouble) -> DoubleDouble,
    /// For `f32`; in error by at most a few ulp of `f64`.
    standard: fn(f64) -> f64,
}

const ROWS: &[Row] = &[
    Row {
        name: "exp",
        bound: 2.0,
        f64: kernel::exp,
        f32: kernel::exp,
        reference: DoubleDouble::exp,
        standard: f64::exp,
    },
    Row {
        name: "exp_m1",
        bound: 3.0,
        f64: kernel::exp_m1,
        f32: kernel::exp_m1,
        reference: DoubleDouble::exp_m1,
        standard: f64::exp_m1,
    },
    Row {
        name: "tanh",
        bound: 3.0,
        f64: kernel::tanh,
        f32: kernel::tanh,
        reference: |x| {
            // Of |x|, so that nothing overflows; odd.
            if x.high == 0.0 {
                return x;
            }
            let e = DoubleDouble::exp_m1(x.abs() * -2.0);
            let y = -e / (e + 2.0);
            if x.high < 0.0 { -y } else { y }
        },
        standard: f64::tanh,
    },
    Row {
        name: "sigmoid",
        bound: 3.0,
        f64: kernel::sigmoid,
        f32: kernel::sigmoid,
        reference: |x| {
            let e = DoubleDouble::exp(-x.abs());
            let numerator = if x.high < 0.0 { e } else { 1.0.into() };
            numerator / (e + 1.0)
        },
        standard: |x| {
            let e = (-x.abs()).exp();
            if x < 0.0 {
                e / (1.0 + e)
            } else {
                1.0 / (1.0 + e)
            }
        },
    },
    Row {
        name: "ln",
        bound: 3.0,
        f64: kernel::ln,
        f32: kernel::ln,
        reference: DoubleDouble::ln,
        standard: f64::ln,
    },
    Row {
        name: "ln_1p",
        bound: 3.0,
        f64: kernel::ln_1p,
        f32: kernel::ln_1p,
        reference: DoubleDouble::ln_1p,
        standard: f64::ln_1p,
    },
    Row {
        name: "softplus",
        bound: 3.0,
        f64: kernel::softplus,
        f32: kernel::softplus,
        reference: |x| {
            let rest = DoubleDouble::exp(-x.abs()).ln_1p();
            if x.high < 0.0 { rest } else { rest + x }
        },
        standard: |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
    },
];

/// The distance from `value` to `high + low` in units in the last place of `high` in a format of this many bits and this
/// smallest exponent. No distance where both are NaN, or equal; infinite where one is NaN or they differ in sign or infinity.
fn ulps(value: f64, (high, low): (f64, f64), bits: i32, least: i32) -> f64 {
    if value.is_nan() && high.is_nan()
        || value == high
            && (value != 0.0 || value.is_sign_negative() == high.is_sign_negative())
            && value.is_infinite()
    {
        return 0.0;
    }
    if value.is_nan() || high.is_nan() || high.is_infinite() {
        return f64::INFINITY;
    }
    if value == 0.0 && high == 0.0 && value.is_sign_negative() != high.is_sign_negative() {
        return f64::INFINITY;
    }
    let exponent = if high == 0.0 {
        least
    } else {
        exponent(high).max(least)
    };
    // In two steps, as the unit itself may be below what f64 holds. An overflow is measured from the next power of two.
    let value = if value.is_infinite() {
        2.0_f64.powi(512) * 2.0_f64.powi(511) * value.signum()
    } else {
        value
    };
    let scale = |x: f64| {
        x * 2.0_f64.powi((bits - 1 - exponent) / 2)
            * 2.0_f64.powi(bits - 1 - exponent - (bits - 1 - exponent) / 2)
    };
    (scale(value - high) - scale(low)).abs()
}

/// The exponent of 2 of a number that is not 0.
fn exponent(x: f64) -> i32 {
    let bits = ((x.to_bits() >> 52) & 0x7ff) as i32;
    if bits > 0 {
        bits - 1023
    } else {
        -1011 - (x.abs().to_bits().leading_zeros() as i32)
    }
}

/// Numbers of every magnitude and sign, and more of them where functions bend and end.
fn samples(count: usize) -> impl Iterator<Item = f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let ends = [
        0.0,
        1e-320,
        5e-324,
        2.3e-308,
        1.0,
        0.5,
        0.346,
        709.78,
        709.79,
        745.13,
        745.14,
        37.0,
        20.0,
        40.0,
        f64::MAX,
        f64::INFINITY,
    ];
    let ends = ends
        .into_iter()
        .flat_map(|x: f64| [x, -x, x.next_up(), -x.next_up()])
        .chain([f64::NAN]);
    ends.chain((0..count).map(move |i| {
        let unit = (random() >> 11) as f64 / (1_u64 << 53) as f64;
        match i % 6 {
            0 => f64::from_bits(random()),
            1 => 1500.0 * unit - 750.0,
            2 => 80.0 * unit - 40.0,
            3 => 4.0 * unit - 2.0,
            4 => (unit - 0.5) * 2.0_f64.powi(-((random() % 60) as i32)),
            _ => 1.0 + (unit - 0.5) * 2.0_f64.powi(-((random() % 52) as i32)),
        }
    }))
}

#[test]
fn f64_is_within_the_bounds() {
    let count = if cfg!(debug_assertions) {
        20_000
    } else {
        300_000
    };
    for row in ROWS {
        let (mut worst, mut at) = (0.0, 0.0);
        for x in samples(count) {
            let reference = (row.reference)(x.into());
            let error = ulps((row.f64)(x), (reference.high, reference.low), 53, -1022);
            if error > worst {
                (worst, at) = (error, x);
            }
        }
        println!("{:8} f64 {worst:.3} ulp at {at:e}", row.name);
        assert!(
            worst <= row.bound,
            "{}: {worst} ulp at {at:e}: {:e}",
            row.name,
            (row.f64)(at)
        );
    }
}

#[test]
fn f32_is_within_the_bounds() {
    let stride = std::env::var("ELEMENTARY_STRIDE")
        .map_or(if cfg!(debug_assertions) { 9973 } else { 499 }, |stride| {
            stride.parse().unwrap()
        });
    for row in ROWS {
        let (mut worst, mut at) = (0.0, 0.0);
        for bits in (0..=u32::MAX).step_by(stride) {
            let x = f32::from_bits(bits);
            let exact = (row.standard)(x.into());
            let value = (row.f32)(x);
            // What is beyond the largest number is infinite.
            let exact = if exact.abs() > f32::MAX as f64 * (1.0 + 2.0_f64.powi(-25)) {
                exact.signum() * f64::INFINITY
            } else {
                exact
            };
            let error = ulps(value.into(), (exact, 0.0), 24, -126);
            if error > worst {
                (worst, at) = (error, x);
            }
        }
        println!("{:8} f32 {worst:.3} ulp at {at:e}", row.name);
        assert!(
            worst <= row.bound,
            "{}: {worst} ulp at {at:e}: {:e}",
            row.name,
            (row.f32)(at)
        );
    }
}

/// In a vector, at its end and alone: the same bits.
#[test]
fn a_vector_has_the_bits_of_its_elements() {
    fn check<T: Real + std::fmt::LowerExp>(
        name: &str,
        x: &[T],
        f: impl Fn(T) -> T,
        vector: impl Fn(&[T], &mut [T]),
    ) {
        for length in [0, 1, 7, 15, 16, 17, 33, x.len()] {
            let mut y = vec![T::zero(); length];
            vector(&x[..length], &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let alone = std::hint::black_box(f(std::hint::black_box(x)));
                assert!(
                    y.integer_decode() == alone.integer_decode() || y.is_nan() && alone.is_nan(),
                    "{name}({x:e}): {y:e}, {alone:e}"
                );
            }
        }
    }
    macro_rules! check {
        ($($f:ident)+) => {$({
            let x: Vec<f64> = samples(3000).collect();
            let vector = |x: &[_], y: &mut [_]| {
                let [] = kernel::map_slices([x], [y], #[inline(always)] |[x], [_]| ([kernel::$f(x)], []));
            };
            check(stringify!($f), &x, kernel::$f, vector);
            let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let vector = |x: &[_], y: &mut [_]| {
                let [] = kernel::map_slices([x], [y], #[inline(always)] |[x], [_]| ([kernel::$f(x)], []));
            };
            check(stringify!($f), &x, kernel::$f, vector);
        })+};
    }
    check!(exp exp_m1 tanh sigmoid ln ln_1p softplus flush);
}

#[test]
fn signs_of_zero_and_ends() {
    for f in [
        kernel::exp_m1::<f64>,
        kernel::tanh,
        kernel::ln_1p,
        kernel::flush,
    ] {
        assert!(f(-0.0).is_sign_negative() && f(-0.0) == 0.0);
        assert!(f(0.0).is_sign_positive() && f(0.0) == 0.0);
    }
    assert_eq!(kernel::exp(f64::INFINITY), f64::INFINITY);
    assert_eq!(kernel::exp(f64::NEG_INFINITY), 0.0);
    assert_eq!(kernel::exp(0.0), 1.0);
    assert_eq!(kernel::exp_m1(f32::NEG_INFINITY), -1.0);
    assert_eq!(
        [f64::INFINITY, f64::NEG_INFINITY].map(kernel::tanh),
        [1.0, -1.0]
    );
    assert_eq!(
        [f32::INFINITY, f32::NEG_INFINITY].map(kernel::sigmoid),
        [1.0, 0.0]
    );
    assert_eq!(
        [0.0, -0.0, f64::INFINITY].map(kernel::ln),
        [f64::NEG_INFINITY, f64::NEG_INFINITY, f64::INFINITY]
    );
    assert!(kernel::ln(-1.0_f64).is_nan() && kernel::ln_1p(-1.5_f64).is_nan());
    assert_eq!(kernel::flush(1e-310), 0.0);
    assert!(kernel::flush(-1e-310_f64).is_sign_negative());
    assert_eq!(kernel::flush(f64::MIN_POSITIVE), f64::MIN_POSITIVE);
}
