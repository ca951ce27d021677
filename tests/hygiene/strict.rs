//! A crate that denies every lint that a user is likely to.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(
    future_incompatible,
    nonstandard_style,
    rust_2018_idioms,
    unused,
    keyword_idents
)]
#![deny(
    let_underscore_drop,
    macro_use_extern_crate,
    meta_variable_misuse,
    non_ascii_idents
)]
#![deny(
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unused_import_braces,
    unused_lifetimes
)]
#![deny(unused_qualifications, explicit_outlives_requirements)]
#![forbid(unsafe_code)]

use backprop::backprop;

/// Loops, branches and state.
#[backprop]
pub fn busy<const N: usize>(x: f64, w: &[f64], m: [f64; N], n: usize) -> f64 {
    let mut h = m;
    let mut s = x;
    for i in 0..N {
        if s > 1.0 {
            h[i] = s * h[i];
        } else {
            s += h[i];
        }
        for v in w {
            s = (s * v).sin();
        }
    }
    for k in 0..n {
        if k == 3 {
            return s * h[0];
        }
        s *= s;
    }
    s
}

/// In single precision.
#[backprop]
pub fn single(x: f32, y: &f32) -> f32 {
    x.max(*y).sqrt()
}

/// Arrays out.
#[backprop]
pub fn rotate(v: [f64; 2], angle: f64) -> [f64; 2] {
    let (s, c) = angle.sin_cos();
    [c * v[0] - s * v[1], s * v[0] + c * v[1]]
}

/// A type.
#[derive(Debug, Default)]
pub struct Spring {
    /// The stiffness.
    pub k: f64,
}

impl Spring {
    /// Its energy.
    #[backprop]
    pub fn energy(&self, x: &[f64]) -> f64 {
        let mut s = 0.0;
        for v in x {
            s += v * v;
        }
        s
    }
}

fn main() {
    let g = busy::gradient(0.5, &[1.0, 2.0], [1.0, 2.0], 1);
    let saved = busy::forward(0.5, &[1.0, 2.0], [1.0, 2.0], 1).1;
    assert_eq!(busy::backward(&saved, 1.0).w, g.w);
    assert_eq!(single::gradient(4.0, &1.0).x, 0.25);
    assert_eq!(
        rotate::backward(&rotate::forward([1.0, 2.0], 0.0).1, [1.0, 0.0]).v,
        [1.0, 0.0]
    );
    assert_eq!(Spring::default().energy_gradient(&[1.0]), (vec![2.0],));
}
