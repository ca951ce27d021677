//! The derivative of a function by differences, and what is near enough to it.

#![allow(dead_code)] // Each test uses what it needs.

/// Finite differences of a scalar function, good to some nine digits.
pub fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3 * x.abs().max(1.0);
    let d = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
    (d(2.0 * h) - 20.0 * d(h) + 64.0 * d(h / 2.0)) / 45.0
}

#[track_caller]
pub fn near(got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-8 * want.abs().max(1.0),
        "got {got:e}, expected {want:e}"
    );
}

/// `check!(X, f g)` for functions of `x: &[f64]` and `k: f64`: value bit-equal, both passes and the fused one as differences
/// have it.
#[allow(unused_macros)]
macro_rules! check {
    ($X:expr, $($f:ident)*) => {
        $(for k in [1.3, 0.6] {
            let (y, g) = $f::value_and_gradient(&$X, k);
            assert_eq!(y.to_bits(), $f(&$X, k).to_bits(), stringify!($f));
            let (two, saved) = $f::forward(&$X, k);
            assert_eq!(y.to_bits(), two.to_bits(), stringify!($f));
            let both = $f::backward(&saved, 1.0);
            let near = |got: f64, want: f64, what: &str| {
                let enough = (got - want).abs() <= 1e-7 * want.abs().max(1.0);
                assert!(enough, "{} at {k}: {what} {got}, differences {want}", stringify!($f));
            };
            let want = differences::slope(|k| $f(&$X, k), k);
            near(g.k, want, "d_k");
            near(both.k, want, "d_k of both passes");
            for i in 0..$X.len() {
                let at = |v: f64| {
                    let mut x = $X;
                    x[i] = v;
                    $f(&x, k)
                };
                let want = differences::slope(at, $X[i]);
                near(g.x[i], want, "d_x");
                near(both.x[i], want, "d_x of both passes");
            }
        })*
    };
}
