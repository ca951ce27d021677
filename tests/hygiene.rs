//! Whatever surrounds an annotated function, the generated code means what it says and raises no lint.
//!
//! Each module is a hostile neighbourhood: names in scope that generated code might use, macros that make the function,
//! strict lints. The programs in `hygiene/` are crates of their own, for what only holds of a whole crate.

#![deny(warnings)]
#![allow(clippy::needless_range_loop)] // Differentiated as users write them.

#[test]
fn crates() {
    trybuild::TestCases::new().pass("tests/hygiene/*.rs");
}

/// A user's type named `f64`.
mod shadowed_primitive {
    #![allow(non_camel_case_types, dead_code)]
    pub struct f64(pub u8);
    pub struct usize;
    pub struct bool;

    #[backprop::backprop]
    pub fn square(x: ::core::primitive::f64) -> ::core::primitive::f64 {
        let mut s = 0.0;
        for i in 0..3 {
            if x > 0.0 {
                s += x * x * i as ::core::primitive::f64;
            }
        }
        s
    }

    #[test]
    fn square_is_right() {
        assert_eq!(square::gradient(2.0).x, 12.0);
    }
}

/// The module `std::f64` in scope.
mod float_module {
    #[allow(unused_imports)]
    use std::f64;

    #[backprop::backprop]
    pub fn sine(x: f64) -> f64 {
        f64::sin(x) * f64::consts::PI
    }

    #[test]
    fn sine_is_right() {
        assert_eq!(sine::gradient(0.0).x, f64::consts::PI);
    }
}

/// Constants, statics, functions, types, modules and macros named like anything that generated code might be tempted
/// to use.
mod crowded {
    #![allow(non_upper_case_globals, non_camel_case_types, dead_code, unused_macros)]

    macro_rules! constants {
        ($($name:ident)*) => {
            $(pub const $name: f64 = 1e9;)*
        };
    }
    constants! {
        t0 t1 t t2 adj g d s v0 v1 v2 x0 x1 n0 n1 i j k len tape seed out grad gradient upstream saved residuals value
        row d_row z0 p0 p1 a0 a1 a2 dx dy d_x d_y g_x g_y array_a0 d_array y1 e n acc sum result total
    }
    pub struct unit;
    pub struct buffer;
    pub static counter: f64 = 1e9;
    pub enum forward {}
    pub enum backward {}
    pub mod accumulate {}
    pub fn one() {}
    pub fn zero() {}
    macro_rules! assert {
        ($($t:tt)*) => {
            compile_error!("the user's macro")
        };
    }
    macro_rules! vec {
        ($($t:tt)*) => {
            compile_error!("the user's macro")
        };
    }
    macro_rules! unreachable {
        ($($t:tt)*) => {
            compile_error!("the user's macro")
        };
    }
    macro_rules! panic {
        ($($t:tt)*) => {
            compile_error!("the user's macro")
        };
    }
    pub struct Vec;
    pub struct Option;
    pub struct Iterator;
    pub struct Clone;
    pub struct Default;
    pub struct Some;
    pub struct Ok;
    pub struct None;

    #[backprop::backprop]
    pub fn busy(x: f64, y: f64, w: &[f64], m: [f64; 3]) -> f64 {
        let mut h = [0.0; 3];
        let mut q = x;
        for r in 0..3 {
            h[r] = m[r] * q;
            q = (q * y).sin();
            if q < -2.0 {
                break;
            }
        }
        let mut u = 0.0;
        for c in w {
            u += c * h[1] * h[2];
        }
        u + q
    }
}

#[test]
fn a_crowded_function_is_right() {
    use crowded::busy;
    let w = [0.5, 0.25];
    let f = |x, y| busy(x, y, &w, [1.0, 2.0, 3.0]);
    let g = busy::gradient(0.7, 0.3, &w, [1.0, 2.0, 3.0]);
    let h = 1e-5;
    assert!((g.x - (f(0.7 + h, 0.3) - f(0.7 - h, 0.3)) / (2.0 * h)).abs() < 1e-8);
    assert!((g.y - (f(0.7, 0.3 + h) - f(0.7, 0.3 - h)) / (2.0 * h)).abs() < 1e-8);
    let saved = busy::forward(0.7, 0.3, &w, [1.0, 2.0, 3.0]).1;
    assert_eq!(busy::backward(&saved, 1.0).w, g.w);
}

/// Parameters named like what generated code calls its own.
mod crowded_parameters {
    #[backprop::backprop]
    pub fn f(x: f64, dx: f64, d_x: f64, grad: f64, tape: f64, seed: f64, out: f64) -> f64 {
        x * dx + d_x * grad - tape * seed / out
    }

    #[backprop::backprop]
    pub fn h(
        upstream: f64,
        saved: f64,
        value: f64,
        buffer: f64,
        gradient: f64,
        y: f64,
        s: &[f64],
    ) -> f64 {
        let mut t0 = upstream * saved;
        for g in s {
            t0 = t0 * g + value;
        }
        t0 * buffer + gradient * y
    }

    #[test]
    fn all_partials_are_right() {
        let g = f::gradient(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0);
        assert_eq!((g.x, g.dx, g.d_x, g.grad), (2.0, 1.0, 4.0, 3.0));
        assert_eq!((g.tape, g.seed, g.out), (-0.75, -0.625, 0.46875));
        let g = h::gradient(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, &[2.0, 3.0]);
        assert_eq!(
            (g.upstream, g.saved, g.value, g.buffer),
            (48.0, 24.0, 16.0, 24.0)
        );
        assert_eq!((g.gradient, g.y, g.s), (6.0, 5.0, vec![24.0, 28.0]));
    }
}

/// Nothing of the standard library in scope.
#[no_implicit_prelude]
mod without_prelude {
    #[::backprop::backprop]
    pub fn f(x: &[f64], y: f64, a: [f64; 2], n: usize) -> f64 {
        let mut s = 0.0;
        let mut b = a;
        for i in 0..x.len() {
            s += x[i] * y;
            b[0] = b[0] * s + b[1];
        }
        let mut k = n;
        while k > 0 {
            s = (s + b[0]).tanh();
            k -= 1;
            if s > 100.0 {
                return s;
            }
        }
        s * b[1]
    }

    #[test]
    fn f_is_right() {
        let g = f::gradient(&[1.0, 2.0], 3.0, [4.0, 5.0], 0);
        ::std::assert_eq!(g.x, [15.0, 15.0]);
        ::std::assert_eq!((g.y, g.a), (15.0, [0.0, 9.0]));
        let g = f::gradient(&[0.1, 0.2], 0.3, [0.4, 0.5], 2);
        let saved = f::forward(&[0.1, 0.2], 0.3, [0.4, 0.5], 2).1;
        ::std::assert_eq!(f::backward(&saved, 1.0), g);
    }
}

/// Names that already exist beside the function.
mod neighbours {
    #![allow(dead_code)]
    pub fn f_grad() {}
    pub fn grad_f() {}
    pub fn f_forward() {}

    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x * x
    }

    #[test]
    fn nothing_clashes() {
        assert_eq!(f::gradient(2.0).x, 4.0);
    }
}

/// Functions that a `macro_rules!` macro writes: types and expressions arrive in invisible groups.
mod from_macros {
    macro_rules! scaled {
        ($name:ident, $t:ty) => {
            #[backprop::backprop]
            pub fn $name(x: $t, v: &[$t]) -> $t {
                x * v[0]
            }
        };
    }
    scaled!(scaled_double, f64);
    scaled!(scaled_single, f32);

    // `$a + $b` in a group binds tighter than the `*` beside it.
    macro_rules! grouped {
        ($name:ident, $a:ident, $e:expr) => {
            #[backprop::backprop]
            pub fn $name($a: f64) -> f64 {
                2.0 * $e * 3.0
            }
        };
    }
    grouped!(grouped, a, a + a * a);

    // The macro's own `x` and the caller's are two variables.
    macro_rules! two_names {
        ($name:ident, $p:ident, $e:expr) => {
            #[backprop::backprop]
            pub fn $name($p: f64) -> f64 {
                let x = 2.0 * $p;
                $e + x
            }
        };
    }
    two_names!(two_names, x, x * x);

    #[test]
    fn names_are_told_apart_by_hygiene() {
        assert_eq!((two_names(3.0), two_names::gradient(3.0).x), (15.0, 8.0));
    }

    #[test]
    fn groups_are_seen_through() {
        assert_eq!(scaled_double::gradient(2.0, &[3.0]).v, vec![2.0]);
        assert_eq!(scaled_single::gradient(2.0, &[3.0]).x, 3.0);
        assert_eq!((grouped(2.0), grouped::gradient(2.0).a), (36.0, 30.0));
    }
}

/// The attribute under another name.
mod renamed {
    pub mod facade {
        pub use backprop::backprop as autodiff;
    }

    #[facade::autodiff]
    pub fn f(x: f64) -> f64 {
        x * x
    }

    #[test]
    fn f_is_right() {
        assert_eq!(f::gradient(2.0).x, 4.0);
    }
}

/// Traits in scope with the methods that generated code calls.
mod traits {
    #![allow(dead_code)]

    pub trait Numeric {
        fn sin(self) -> f64;
        fn mul_add(self, a: f64, b: f64) -> f64;
        fn clone(&self) -> f64;
        fn max(self, other: f64) -> f64;
    }

    impl Numeric for f64 {
        fn sin(self) -> f64 {
            100.0
        }
        fn mul_add(self, _: f64, _: f64) -> f64 {
            100.0
        }
        fn clone(&self) -> f64 {
            100.0
        }
        fn max(self, _: f64) -> f64 {
            100.0
        }
    }

    #[backprop::backprop]
    pub fn f(x: f64, v: [f64; 2]) -> f64 {
        x.sin() * v[0].max(v[1])
    }

    #[test]
    fn inherent_methods_win() {
        assert_eq!(Numeric::sin(1.0), 100.0);
        assert_eq!(f::gradient(0.0, [2.0, 3.0]).x, 3.0);
    }
}

/// A strict neighbourhood: everything documented, nothing unused.
pub mod strict {
    #![deny(
        missing_docs,
        missing_debug_implementations,
        unreachable_pub,
        unused_qualifications,
        trivial_casts,
        trivial_numeric_casts,
        unused_lifetimes,
        deprecated,
        nonstandard_style
    )]

    use backprop::backprop;

    /// Documented.
    #[backprop]
    #[deprecated]
    pub fn old(x: f64) -> f64 {
        x * x
    }

    /// Documented.
    #[backprop]
    #[must_use]
    pub fn documented<const N: usize>(a: &[f64; N], b: &[f64], n: usize) -> f64 {
        let mut s = a[0];
        for i in 0..n {
            s = (s * b[i]).sin();
        }
        s
    }

    /// A type.
    #[derive(Debug)]
    pub struct Spring;

    impl Spring {
        /// Documented.
        #[backprop]
        pub fn energy(&self, x: f64) -> f64 {
            x * x
        }
    }

    #[test]
    #[allow(deprecated)]
    fn they_work() {
        assert_eq!(old::gradient(2.0).x, 4.0);
        assert_eq!(documented::gradient(&[2.0], &[], 0).a, [1.0]);
        assert_eq!(Spring.energy_gradient(2.0), (4.0,));
    }
}

/// What the body's own lints are about is reported once, for the user's code, and not again for the generated one.
mod lints_of_the_user {
    #[backprop::backprop]
    #[allow(
        unused_variables,
        unused_assignments,
        unused_mut,
        unused_parens,
        non_snake_case
    )]
    pub fn f(X: f64) -> f64 {
        let unused = X * 2.0;
        let mut never_changed = 3.0;
        let mut overwritten = 1.0;
        overwritten = (never_changed * X);
        overwritten
    }

    #[backprop::backprop]
    #[allow(unreachable_code)]
    pub fn after_return(x: f64) -> f64 {
        return x * x;
        #[allow(unused)]
        let y = x.sin();
    }

    #[test]
    fn they_work() {
        assert_eq!(f::gradient(2.0).X, 3.0);
        assert_eq!(after_return::gradient(2.0).x, 4.0);
    }
}

/// Tests that `check` generates, and rules of the user's, among the same names and without a prelude.
#[no_implicit_prelude]
mod checked {
    #![deny(missing_docs, clippy::pedantic)]
    #![allow(non_camel_case_types, dead_code, unused_macros)]

    macro_rules! assert {
        ($($t:tt)*) => {
            compile_error!("the user's macro")
        };
    }
    macro_rules! format {
        ($($t:tt)*) => {
            compile_error!("the user's macro")
        };
    }
    struct f64;
    struct usize;
    struct Vec;
    struct Option;
    struct String;
    mod std {}
    mod core {}
    mod check {}

    type Real = ::core::primitive::f64;
    static TWO: ::core::primitive::f64 = 2.0;

    /// A function that is checked by a test.
    #[::backprop::backprop(check(len(N = 1), at(x = 0.5, v = [2.0], n = 3, flag = true), value = 2.0, gradient(v = [1.0])))]
    fn later<const N: ::core::primitive::usize>(
        x: ::core::primitive::f64,
        v: [::core::primitive::f64; N],
        n: ::core::primitive::usize,
        flag: ::core::primitive::bool,
    ) -> ::core::primitive::f64 {
        if flag && n > 2 {
            x * v[0] * TWO
        } else {
            x - v[0]
        }
    }

    /// A function that is checked while compiling.
    #[::backprop::backprop(check, jvp, hvp)]
    fn now(x: ::core::primitive::f64, v: &[::core::primitive::f64]) -> ::core::primitive::f64 {
        let mut s = 0.0;
        for i in 0..v.len() {
            s += v[i] * x * x;
        }
        s
    }

    /// A function with a rule.
    #[::backprop::backprop(custom(backward = ruled_backward))]
    fn ruled(x: ::core::primitive::f64, v: &[::core::primitive::f64]) -> ::core::primitive::f64 {
        x * v[0]
    }

    fn ruled_backward(x: Real, v: &[Real], _y: Real, up: Real) -> (Real, ::std::vec::Vec<Real>) {
        let mut d = ::std::vec![0.0; v.len()];
        d[0] = up * x;
        (up * v[0], d)
    }

    #[test]
    #[allow(clippy::float_cmp)] // Small integers.
    fn all_are_right() {
        ::core::assert_eq!(later::gradient(0.5, [2.0], 3, true).v, [1.0]);
        ::core::assert_eq!(now::jvp(2.0, &[3.0], 1.0, &[0.0]).1, 12.0);
        ::core::assert_eq!(now::hvp(2.0, &[3.0], 1.0, &[0.0]).x, 6.0);
        ::core::assert_eq!(ruled::gradient(2.0, &[3.0]).x, 3.0);
    }
}

/// Raw identifiers, reserved words of this edition and letters beyond ASCII.
mod spelling {
    #[backprop::backprop]
    pub fn r#gen(r#gen: f64, r#fn: f64) -> f64 {
        let r#loop = r#gen * r#gen;
        r#loop * r#fn
    }

    #[backprop::backprop]
    pub fn énergie(θ: f64, λ: f64) -> f64 {
        let δ = θ.cos();
        δ * λ
    }

    #[test]
    fn they_work() {
        let g = r#gen::gradient(3.0, 2.0);
        assert_eq!((r#gen(3.0, 2.0), g.r#gen, g.r#fn), (18.0, 12.0, 9.0));
        assert_eq!(énergie::gradient(0.0, 2.0).λ, 1.0);
    }
}
