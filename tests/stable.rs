//! `#[backprop(stable)]`: values and gradients over the whole range of floats, in both precisions, and the gradients of the
//! same idioms without it, wherever their value is finite.

#![allow(clippy::needless_range_loop, clippy::neg_multiply)] // Differentiated as users write them.

use backprop::backprop;

#[allow(clippy::approx_constant, clippy::excessive_precision)] // As the reference printed them.
#[path = "stable/reference.rs"]
mod reference;

/// One source, four functions: stable and as written, in both precisions.
macro_rules! idioms {
    ($($(#[$doc:meta])* fn $name:ident($($x:ident),*) $body:block)*) => {
        mod stable {
            $($(#[$doc])* #[backprop::backprop(stable)] pub fn $name($($x: f64),*) -> f64 $body)*
        }
        mod stable_single {
            $($(#[$doc])* #[backprop::backprop(stable)] pub fn $name($($x: f32),*) -> f32 $body)*
        }
        mod written {
            $($(#[$doc])* #[backprop::backprop] pub fn $name($($x: f64),*) -> f64 $body)*
        }
        mod written_single {
            $($(#[$doc])* #[backprop::backprop] pub fn $name($($x: f32),*) -> f32 $body)*
        }
    };
}

idioms! {
    fn softplus(z) { (1.0 + z.exp()).ln() }
    fn softplus_turned(z) { (z.exp() + 1.0).ln() }
    fn softplus_ln_1p(z) { z.exp().ln_1p() }
    fn log_sigmoid(z) { (1.0 / (1.0 + (-z).exp())).ln() }
    fn log_sigmoid_of_quotient(z) { let e = z.exp(); (e / (1.0 + e)).ln() }
    fn log_sigmoid_recip(z) { (1.0 + (-z).exp()).recip().ln() }
    fn log_complement(z) { (1.0 - 1.0 / (1.0 + z.exp())).ln() }
    fn sigmoid_of_quotient(z) { z.exp() / (1.0 + z.exp()) }
    fn complement(z) { 1.0 - 1.0 / (1.0 + z.exp()) }
    fn exp_minus_1(x) { x.exp() - 1.0 }
    fn one_minus_exp(x) { 1.0 - x.exp() }
    fn hyperbolic(x) { x.tanh() }
    fn ln_1_plus(x) { (1.0 + x).ln() }
    fn ln_1_minus(x) { (1.0 - x).ln() }
    fn log_exp(x) { x.exp().ln() }
    fn length(x, y) { (x * x + y * y).sqrt() }
    fn length_by_powi(x, y) { (x.powi(2) + y.powi(2)).sqrt() }
    fn length_fused(x, y) { x.mul_add(x, y * y).sqrt() }
    fn log_sum_exp(a, b, c) { (a.exp() + b.exp() + c.exp()).ln() }
    fn log_softmax(a, b, c) { let s = a.exp() + b.exp() + c.exp(); (a.exp() / s).ln() }
    fn softmax(a, b, c) { let s = a.exp() + b.exp() + c.exp(); a.exp() / s }
    /// Binary cross-entropy from a logit.
    fn binary(z, t) {
        let p = 1.0 / (1.0 + (-z).exp());
        -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
    }
}

/// Relative agreement; `size` is what the number is a difference of, where it is one.
#[track_caller]
fn close(got: f64, want: f64, tolerance: f64, size: f64, what: &str) {
    let near =
        (got - want).abs() <= tolerance * want.abs().max(size) || (got - want).abs() < 1e-307;
    assert!(
        got == want || near || got.is_nan() && want.is_nan(),
        "{what}: got {got:e}, expected {want:e}"
    );
}

const DOUBLE: f64 = 2e-15;
const SINGLE: f64 = 8e-7;

/// Checks value and slope of functions of one variable against a table, the argument and the value with a sign.
macro_rules! over_the_range {
    ($table:ident: $($name:ident($sign:literal, $outer:literal)),*) => {$(
        for &[x, y, slope] in reference::$table {
            let x = $sign * x;
            let (y, slope) = ($outer * y, $sign * $outer * slope);
            let what = format!("{} at {x:e}", stringify!($name));
            let (value, g) = stable::$name::value_and_gradient(x);
            assert_eq!(value.to_bits(), stable::$name(x).to_bits(), "{what}");
            close(value, y, DOUBLE, 0.0, &what);
            let [d] = <[f64; 1]>::from(gradients(&g));
            close(d, slope, DOUBLE, 0.0, &format!("slope of {what}"));

            // f32: against the f64 function, which the table has just confirmed.
            let single = x as f32;
            if !single.is_finite() || single == 0.0 && x != 0.0 {
                continue;
            }
            let what = format!("{} at {single:e} (f32)", stringify!($name));
            let (exact, exact_g) = stable::$name::value_and_gradient(f64::from(single));
            let (value, g) = stable_single::$name::value_and_gradient(single);
            assert_eq!(value.to_bits(), stable_single::$name(single).to_bits(), "{what}");
            near_single(value, exact, &what);
            near_single(singles(&g), gradients(&exact_g)[0], &format!("slope of {what}"));
        }
    )*};
}

/// The one field of a gradient, whatever it is called.
fn gradients(g: &dyn std::fmt::Debug) -> [f64; 1] {
    [number(g)]
}

fn singles(g: &dyn std::fmt::Debug) -> f32 {
    let text = format!("{g:?}");
    let after = text.split(": ").nth(1).expect("a field");
    after.trim_end_matches(" }").parse().expect("a number")
}

fn number(g: &dyn std::fmt::Debug) -> f64 {
    let text = format!("{g:?}");
    let after = text.split(": ").nth(1).expect("a field");
    after.trim_end_matches(" }").parse().expect("a number")
}

/// Within a few ulp of `f32`, or of its smallest number.
#[track_caller]
fn near_single(got: f32, want: f64, what: &str) {
    let rounded = want as f32;
    let near = (f64::from(got) - want).abs() <= SINGLE * want.abs()
        || (f64::from(got) - want).abs() < 1e-44;
    assert!(
        got == rounded || near,
        "{what}: got {got:e}, expected {want:e}"
    );
}

#[test]
fn idioms_in_one_variable() {
    over_the_range!(SOFTPLUS: softplus(1.0, 1.0), softplus_turned(1.0, 1.0), softplus_ln_1p(1.0, 1.0));
    over_the_range!(LOG_SIGMOID: log_sigmoid(1.0, 1.0), log_sigmoid_of_quotient(1.0, 1.0));
    over_the_range!(LOG_SIGMOID: log_sigmoid_recip(1.0, 1.0), log_complement(1.0, 1.0));
    over_the_range!(SIGMOID: sigmoid_of_quotient(1.0, 1.0), complement(1.0, 1.0));
    over_the_range!(EXP_MINUS_1: exp_minus_1(1.0, 1.0), one_minus_exp(1.0, -1.0));
    over_the_range!(HYPERBOLIC: hyperbolic(1.0, 1.0));
    over_the_range!(LN_1_PLUS: ln_1_plus(1.0, 1.0), ln_1_minus(-1.0, 1.0));
}

#[test]
fn the_length_of_a_vector() {
    for &[x, y, h, dx, dy] in reference::LENGTH {
        let what = format!("length of ({x:e}, {y:e})");
        let all = [(stable::length(x, y), stable::length::gradient(x, y))];
        for (value, g) in all {
            close(value, h, DOUBLE, 0.0, &what);
            close(g.x, dx, DOUBLE, 0.0, &what);
            close(g.y, dy, DOUBLE, 0.0, &what);
        }
        let g = stable::length_by_powi::gradient(x, y);
        assert_eq!(
            (g.x, g.y),
            (
                stable::length::gradient(x, y).x,
                stable::length::gradient(x, y).y
            )
        );
        assert_eq!(stable::length_fused(x, y), stable::length(x, y));
        let (x, y) = (x as f32, y as f32);
        if x.is_finite() && y.is_finite() && x != 0.0 && y != 0.0 {
            let exact = stable::length::value_and_gradient(f64::from(x), f64::from(y));
            let got = stable_single::length::value_and_gradient(x, y);
            near_single(got.0, exact.0, &what);
            near_single(got.1.x, exact.1.x, &what);
            near_single(got.1.y, exact.1.y, &what);
        }
    }
    // At the corner the subgradient of smallest length.
    let g = stable::length::gradient(0.0, 0.0);
    assert_eq!((g.x, g.y), (0.0, 0.0));
}

/// Log-sum-exp of a slice, as people write it.
mod slices {
    use super::*;

    macro_rules! forms {
        ($module:ident, $T:ty, $($option:tt)*) => {
            pub mod $module {
                #[backprop::backprop($($option)*)]
                pub fn by_iterator(x: &[$T]) -> $T { x.iter().map(|x| x.exp()).sum::<$T>().ln() }
                #[backprop::backprop($($option)*)]
                pub fn by_index(x: &[$T]) -> $T {
                    let mut s = 0.0;
                    for i in 0..x.len() {
                        s += x[i].exp();
                    }
                    s.ln()
                }
                #[backprop::backprop($($option)*)]
                pub fn kept(x: &[$T]) -> $T {
                    let e: Vec<$T> = x.iter().map(|x| x.exp()).collect();
                    let s: $T = e.iter().sum();
                    s.ln()
                }
                #[backprop::backprop($($option)*)]
                pub fn in_array(x: &[$T; 3]) -> $T {
                    let mut e = [0.0; 3];
                    for i in 0..3 {
                        e[i] = x[i].exp();
                    }
                    let mut s = 0.0;
                    for i in 0..3 {
                        s = e[i] + s;
                    }
                    s.ln()
                }
                /// Categorical cross-entropy from logits and a class.
                #[backprop::backprop($($option)*)]
                pub fn class(z: &[$T], k: usize) -> $T {
                    let s: $T = z.iter().map(|z| z.exp()).sum();
                    -(z[k].exp() / s).ln()
                }
                #[backprop::backprop($($option)*)]
                pub fn class_by_softmax(z: &[$T], k: usize) -> $T {
                    let e: Vec<$T> = z.iter().map(|z| z.exp()).collect();
                    let s: $T = e.iter().sum();
                    let p: Vec<$T> = e.iter().map(|e| e / s).collect();
                    -p[k].ln()
                }
                /// From logits and probabilities.
                #[backprop::backprop(wrt(z), $($option)*)]
                pub fn distribution(z: &[$T], y: &[$T]) -> $T {
                    let e: Vec<$T> = z.iter().map(|z| z.exp()).collect();
                    let s: $T = e.iter().sum();
                    let mut loss = 0.0;
                    for i in 0..z.len() {
                        loss -= y[i] * (e[i] / s).ln();
                    }
                    loss
                }
                /// The logits are computed where they are used.
                #[backprop::backprop(wrt(w), $($option)*)]
                pub fn regression(w: &[[$T; 2]; 3], x: &[$T; 2], k: usize) -> $T {
                    let mut s = 0.0;
                    for i in 0..3 {
                        let mut z = 0.0;
                        for j in 0..2 {
                            z += w[i][j] * x[j];
                        }
                        s += z.exp();
                    }
                    s.ln() - (w[k][0] * x[0] + w[k][1] * x[1])
                }
            }
        };
    }
    forms!(double, f64, stable);
    forms!(single, f32, stable);
    forms!(mean, f64, stable);

    #[backprop(stable)]
    pub fn log_mean_exp(x: &[f64]) -> f64 {
        (x.iter().map(|x| x.exp()).sum::<f64>() / x.len() as f64).ln()
    }

    #[backprop(stable)]
    pub fn generic<T: num_traits::Float>(x: &[T; 3]) -> T {
        let mut s = T::zero();
        for i in 0..3 {
            s = s + x[i].exp();
        }
        s.ln()
    }

    /// Sums of samples' losses: the sum of exponentials is inside of a loop.
    #[backprop(stable, wrt(z))]
    pub fn batch(z: &[[f64; 3]], class: &[usize]) -> f64 {
        let mut loss = 0.0;
        for (z, &k) in z.iter().zip(class) {
            let s: f64 = z.iter().map(|z| z.exp()).sum();
            loss -= (z[k].exp() / s).ln();
        }
        loss
    }
}

/// What a difference of numbers as large as these can be off by.
fn scale(x: &[f64]) -> f64 {
    x.iter().fold(0.0_f64, |m, x| m.max(x.abs()))
}

#[test]
fn sums_of_exponentials() {
    for &[a, b, c, y, da, db, dc] in reference::LOG_SUM_EXP {
        let (x, d) = ([a, b, c], [da, db, dc]);
        let what = format!("log-sum-exp of {x:?}");
        let size = scale(&x);
        let gradient = |got: &[f64]| {
            for (got, want) in got.iter().zip(d) {
                // The exponents are rounded to their size, and so is what is exponentiated.
                close(
                    *got,
                    want,
                    DOUBLE * (1.0 + size.min(1e3)),
                    0.0,
                    &format!("slope of {what}"),
                );
            }
        };
        let value = |got: f64| close(got, y, DOUBLE, size, &what);
        value(stable::log_sum_exp(a, b, c));
        let g = stable::log_sum_exp::gradient(a, b, c);
        gradient(&[g.a, g.b, g.c]);
        let (v, g) = slices::double::by_iterator::value_and_gradient(&x);
        value(v);
        gradient(&g.x);
        let (v, g) = slices::double::by_index::value_and_gradient(&x);
        value(v);
        gradient(&g.x);
        let (v, g) = slices::double::kept::value_and_gradient(&x);
        value(v);
        gradient(&g.x);
        let (v, g) = slices::double::in_array::value_and_gradient(&x);
        value(v);
        gradient(&g.x);
        let (v, g) = slices::generic::value_and_gradient(&x);
        value(v);
        gradient(&g.x);
        close(slices::log_mean_exp(&x), y - 3f64.ln(), DOUBLE, size, &what);
        let (v, saved) = slices::double::kept::forward(&x);
        value(v);
        gradient(&slices::double::kept::backward(&saved, 1.0).x);

        for k in 0..3 {
            let mut want = d;
            want[k] -= 1.0;
            let loss = y - x[k];
            let check = |(v, g): (f64, Vec<f64>)| {
                close(
                    v,
                    loss,
                    DOUBLE,
                    size,
                    &format!("cross-entropy of {x:?}, class {k}"),
                );
                for (got, want) in g.iter().zip(want) {
                    close(*got, want, DOUBLE * (1.0 + size.min(1e3)), 1.0, &what);
                }
            };
            let mut y = [0.0; 3];
            y[k] = 1.0;
            let (v, g) = slices::double::class::value_and_gradient(&x, k);
            check((v, g.z));
            let (v, g) = slices::double::class_by_softmax::value_and_gradient(&x, k);
            check((v, g.z));
            let (v, g) = slices::double::distribution::value_and_gradient(&x, &y);
            check((v, g.z));
            let (v, g) = slices::batch::value_and_gradient(&[x], &[k]);
            check((v, g.z[0].to_vec()));
            let w = [[a, 0.0], [b, 0.0], [c, 0.0]];
            let (v, g) = slices::double::regression::value_and_gradient(&w, &[1.0, 0.0], k);
            check((v, g.w.iter().map(|w| w[0]).collect()));

            // f32, at arguments that it can hold.
            let single = x.map(|x| x as f32);
            if single.iter().any(|x| !x.is_finite()) {
                continue;
            }
            let exact = single.map(f64::from);
            let (want, want_g) = slices::double::class::value_and_gradient(&exact, k);
            for (v, g) in [
                slices::single::class::value_and_gradient(&single, k).into_parts(),
                slices::single::class_by_softmax::value_and_gradient(&single, k).into_parts(),
            ] {
                close(v.into(), want, SINGLE, size, &what);
                for (got, want) in g.iter().zip(&want_g.z) {
                    close(
                        (*got).into(),
                        *want,
                        SINGLE * (1.0 + size.min(1e3)),
                        1.0,
                        &what,
                    );
                }
            }
        }
        let p = stable::softmax(a, b, c);
        close(p, da, DOUBLE * (1.0 + size.min(1e3)), 0.0, &what);
        let g = stable::softmax::gradient(a, b, c);
        close(
            g.b,
            -da * db,
            2.0 * DOUBLE * (1.0 + size.min(1e3)),
            0.0,
            &what,
        );
        close(stable::log_softmax(a, b, c), a - y, DOUBLE, size, &what);
    }
}

/// Values and logit gradients of the generated structs, which have no type in common.
trait Parts {
    fn into_parts(self) -> (f32, Vec<f32>);
}
impl Parts for (f32, slices::single::ClassGradient) {
    fn into_parts(self) -> (f32, Vec<f32>) {
        (self.0, self.1.z)
    }
}
impl Parts for (f32, slices::single::ClassBySoftmaxGradient) {
    fn into_parts(self) -> (f32, Vec<f32>) {
        (self.0, self.1.z)
    }
}

#[test]
fn infinite_exponents() {
    let inf = f64::INFINITY;
    let lse = slices::double::by_index::value_and_gradient;
    assert_eq!(lse(&[-inf, 0.0, -inf]).0, 0.0);
    assert_eq!(lse(&[-inf, 0.0, -inf]).1.x, [0.0, 1.0, 0.0]);
    assert_eq!(lse(&[-inf, -inf]).0, -inf);
    assert_eq!(lse(&[inf, 0.0]).0, inf);
    assert!(lse(&[f64::NAN, 0.0]).0.is_nan());
    assert_eq!(lse(&[]).0, -inf);
}

#[test]
fn binary_cross_entropy() {
    for z in [-1e5, -800.0, -40.0, -1.0, 0.0, 0.5, 40.0, 745.0, 1e5, 1e300] {
        for t in [0.0, 0.25, 1.0] {
            let what = format!("binary cross-entropy at {z}, {t}");
            let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
            let sigmoid = |z: f64| {
                if z > 0.0 {
                    1.0 / (1.0 + (-z).exp())
                } else {
                    z.exp() / (1.0 + z.exp())
                }
            };
            let (v, g) = stable::binary::value_and_gradient(z, t);
            close(
                v,
                t * softplus(-z) + (1.0 - t) * softplus(z),
                DOUBLE,
                0.0,
                &what,
            );
            close(
                g.z,
                (1.0 - t) * sigmoid(z) - t * sigmoid(-z),
                DOUBLE,
                t * (1.0 - t),
                &what,
            );
            close(g.t, -z, DOUBLE, 0.0, &what);
            let (single, single_g) = stable_single::binary::value_and_gradient(z as f32, t as f32);
            if (z as f32).is_finite() {
                near_single(single, v, &what);
                close(single_g.z.into(), g.z, SINGLE, t * (1.0 - t) + 1e-37, &what);
            }
        }
    }
}

/// As written, wherever the value is finite and not itself cancelled: the same slopes.
#[test]
fn gradients_of_the_idioms_as_written() {
    macro_rules! slopes {
        ($table:ident: $($name:ident),*) => {$(
            let mut checked = 0;
            for &[x, _, slope] in reference::$table {
                if written::$name(x).is_finite() {
                    let [d] = gradients(&written::$name::gradient(x));
                    close(d, slope, 4.0 * DOUBLE, 0.0, &format!("slope of {} at {x:e}", stringify!($name)));
                    checked += 1;
                }
                let x = x as f32;
                if written_single::$name(x).is_finite() && x.is_normal() {
                    let [exact] = gradients(&stable::$name::gradient(f64::from(x)));
                    // Below the normal numbers `1 / (1 + exp(z))` itself is 0.
                    let flushed = |d: f64| if d < 1.2e-38 { 0.0 } else { d };
                    let exact = flushed(exact);
                    let d = flushed(singles(&written_single::$name::gradient(x)).into()) as f32;
                    near_single(d, exact, &format!("slope of {} at {x:e} (f32)", stringify!($name)));
                }
            }
            assert!(checked > 20, "{}", stringify!($name));
        )*};
    }
    slopes!(SOFTPLUS: softplus, softplus_turned, softplus_ln_1p);
    slopes!(LOG_SIGMOID: log_sigmoid, log_sigmoid_of_quotient, log_sigmoid_recip, log_complement);
    slopes!(SIGMOID: sigmoid_of_quotient, complement);
    slopes!(EXP_MINUS_1: exp_minus_1);
    let mut checked = 0;
    for &[a, b, c, _, da, db, dc] in reference::LOG_SUM_EXP {
        // Below that the exponentials themselves are not normal numbers.
        let normal = [a, b, c].iter().all(|&x| x > -700.0);
        if normal && written::log_sum_exp(a, b, c).is_finite() {
            let (g, h) = (
                written::log_sum_exp::gradient(a, b, c),
                written::log_softmax::gradient(a, b, c),
            );
            let what = format!("log-sum-exp of {a}, {b}, {c}");
            for (got, want) in [(g.a, da), (g.b, db), (g.c, dc)] {
                close(got, want, 8.0 * DOUBLE, 0.0, &what);
            }
            for (got, want) in [(h.a, 1.0 - da), (h.b, -db), (h.c, -dc)] {
                close(got, want, 8.0 * DOUBLE, 1.0, &what);
            }
            checked += 1;
        }
    }
    assert!(checked > 5);
    for x in [-744.0, -720.0, -1.0, 0.0, 700.0] {
        assert_eq!(written::log_exp::gradient(x).x, 1.0);
    }
    for z in [-30.0, -20.0, 0.0, 20.0, 30.0, 36.0] {
        for t in [0.0, 1.0] {
            if written::binary(z, t).is_finite() {
                let want = stable::binary::gradient(z, t).z;
                close(
                    written::binary::gradient(z, t).z,
                    want,
                    4.0 * DOUBLE,
                    0.0,
                    &format!("{z} {t}"),
                );
            }
        }
    }
}

/// What is computed and not used has no say, not even where it overflows.
#[test]
fn unused_overflow_does_not_poison() {
    #[backprop]
    fn lengths_only(x: &[f64]) -> f64 {
        let e: Vec<f64> = x.iter().map(|x| x.exp()).collect();
        x[0] * e.len() as f64
    }
    #[backprop]
    fn overwritten(x: &[f64; 2]) -> f64 {
        let mut s = 0.0;
        let mut t = 0.0;
        for i in 0..2 {
            s += x[i].exp();
            t += x[i] * x[i];
        }
        let _ = s;
        t
    }
    assert_eq!(lengths_only::gradient(&[1e3, 1e3]).x, [2.0, 0.0]);
    assert_eq!(overwritten::gradient(&[1e3, 1e3]).x, [2e3, 2e3]);
}

/// Methods have stable forms too, and the sum that was written is still there for what else needs it.
#[test]
fn elsewhere() {
    struct Model {
        scale: f64,
    }
    impl Model {
        #[backprop(stable)]
        fn loss(&self, z: f64) -> f64 {
            (1.0 + (self.scale * z).exp()).ln()
        }
    }
    let m = Model { scale: 2.0 };
    assert_eq!(m.loss(500.0), 1000.0);
    assert_eq!(m.loss_gradient(500.0), (2.0,));

    #[backprop(stable)]
    fn both(x: &[f64]) -> f64 {
        let s: f64 = x.iter().map(|x| x.exp()).sum();
        s.ln() + s
    }
    let x = [0.5, -0.25];
    let s = 0.5_f64.exp() + (-0.25_f64).exp();
    close(both(&x), s.ln() + s, DOUBLE, 0.0, "both");
    close(
        both::gradient(&x).x[0],
        0.5_f64.exp() * (1.0 + 1.0 / s),
        DOUBLE,
        0.0,
        "both",
    );

    // A store between must not be seen: the exponents are those of the time of the sum.
    #[backprop(stable)]
    fn changed(x: f64, y: f64) -> f64 {
        let mut a = [x, y];
        let mut s = 0.0;
        for i in 0..2 {
            s += a[i].exp();
            a[i] = 3.0;
        }
        a[0] * s.ln()
    }
    close(changed(0.5, -0.25), 3.0 * s.ln(), DOUBLE, 0.0, "changed");

    // Nor may the rest of an array that is filled in part, nor an element before it is made.
    #[backprop(stable)]
    fn in_part(x: &[f64; 3]) -> f64 {
        let mut e = [4.0; 3];
        for i in 1..3 {
            e[i] = x[i].exp();
        }
        let mut s = 0.0;
        for i in 0..3 {
            s += e[i];
        }
        s.ln() + e[0].ln()
    }
    let x: [f64; 3] = [0.5, -0.25, 1.5];
    let want = (4.0 + x[1].exp() + x[2].exp()).ln() + 4f64.ln();
    close(in_part(&x), want, DOUBLE, 0.0, "in part");

    #[backprop(stable)]
    fn too_early(x: &[f64; 3]) -> f64 {
        let mut e = [4.0; 3];
        let mut t = 0.0;
        for i in 0..3 {
            t += e[2 - i].ln();
            e[i] = x[i].exp();
        }
        t
    }
    // The last round sees what the first one made.
    close(
        too_early(&x),
        2.0 * 4f64.ln() + x[0],
        DOUBLE,
        0.0,
        "too early",
    );

    // A const length, and a sum that is needed as it is by what is not rewritten.
    #[backprop(stable)]
    fn by_length<const N: usize>(x: &[f64; N]) -> f64 {
        let mut e = [0.0; N];
        for i in 0..N {
            e[i] = x[i].exp();
        }
        let mut s = 0.0;
        for i in 0..N {
            s += e[i];
        }
        (e[0] / s).ln()
    }
    let (v, g) = by_length::value_and_gradient(&[1000.0, 0.0]);
    assert_eq!((v, g.x), (0.0, [0.0, 0.0]));

    // In a branch that is not taken nothing is computed.
    #[backprop(stable)]
    fn guarded(x: f64) -> f64 {
        if x > 0.0 {
            (x.exp() - 1.0) * (1.0 + x.exp()).ln()
        } else {
            (1.0 + x.exp()).ln()
        }
    }
    assert_eq!(guarded(-800.0), 0.0);
    assert!(guarded::gradient(700.0).x.is_finite());

    // In place, and returning nothing.
    #[backprop(stable)]
    fn in_place(z: &mut [f64]) {
        for i in 0..z.len() {
            z[i] = (1.0 + z[i].exp()).ln();
        }
    }
    let mut z = [800.0, -800.0];
    in_place(&mut z);
    assert_eq!(z, [800.0, 0.0]);
}
