//! Functions in every place and form that Rust has for them: each is differentiated, and its plain value unchanged.

#![allow(dead_code)]

mod type_named_f64 {
    #![allow(non_camel_case_types)]
    pub struct f64(pub u8);
    #[backprop::backprop]
    pub fn sq(x: ::core::primitive::f64) -> ::core::primitive::f64 {
        x * x
    }
}

mod module_f64 {
    #[allow(unused_imports)]
    use std::f64;
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        f64::sin(x) * f64::consts::PI
    }
}

mod constants_named_like_locals {
    #![allow(non_upper_case_globals)]
    const t0: f64 = 1.0;
    const adj: f64 = 2.0;
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x * x * t0
    }
}

mod parameters_named_like_generated_ones {
    #[backprop::backprop]
    pub fn f(x: f64, dx: f64, d_x: f64, grad: f64, tape: f64, seed: f64, out: f64) -> f64 {
        x * dx + d_x * grad - tape * seed / out
    }
}

mod neighbours_named_like_gradients {
    pub fn f_grad() {}
    pub fn grad_f() {}
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x * x
    }
}

mod invisible_groups {
    macro_rules! mk {
        ($n:ident, $t:ty) => {
            #[backprop::backprop]
            pub fn $n(x: $t, v: &[$t]) -> $t {
                x * v[0]
            }
        };
    }
    mk!(f, f64);
}

mod two_variables_of_one_name {
    macro_rules! mk {
        ($n:ident, $p:ident, $e:expr) => {
            #[backprop::backprop]
            pub fn $n($p: f64) -> f64 {
                let x = 2.0 * $p;
                $e + x
            }
        };
    }
    mk!(f, x, x * x);
}

mod effects {
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        assert!(x > 0.0, "negative: {x}");
        println!("x = {x}");
        x.ln()
    }
}

mod receiver {
    pub struct S {
        pub k: f64,
    }
    impl S {
        #[backprop::backprop]
        pub fn f(&self, x: f64) -> f64 {
            self.k * x * x
        }
    }
}

mod constant_function {
    #[backprop::backprop]
    pub const fn f(x: f64) -> f64 {
        x * x + 1.0
    }
    pub const V: f64 = f(2.0);
}

mod paths_of_primitives {
    #[backprop::backprop]
    pub fn f(a: &'_ [f64], b: &std::primitive::f64, c: core::primitive::f64) -> f64 {
        a[0] * *b * c
    }
}

mod letters {
    #[backprop::backprop]
    pub fn énergie(θ: f64, λ: f64) -> f64 {
        θ.cos() * λ
    }
}

pub mod visibilities {
    #[backprop::backprop]
    pub(crate) fn f(x: f64) -> f64 {
        x
    }
    #[backprop::backprop]
    pub(super) fn g(x: f64) -> f64 {
        x
    }
    #[backprop::backprop]
    pub(in crate::visibilities) fn h(x: f64) -> f64 {
        x
    }
    pub fn all() -> f64 {
        f::gradient(1.0).x + g::gradient(1.0).x + h::gradient(1.0).x
    }
}

mod deprecated {
    #![deny(deprecated)]
    #[deprecated]
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x * x
    }
}

mod conditional_attributes {
    #[cfg_attr(all(), backprop::backprop)]
    pub fn f(x: f64) -> f64 {
        x * x
    }
    #[cfg_attr(any(), backprop::backprop)]
    pub fn g(x: f64) -> f64 {
        x * x
    }
}

mod nested {
    pub fn outer(x: f64) -> f64 {
        #[backprop::backprop]
        fn inner(y: f64) -> f64 {
            y * y
        }
        inner(x) + inner::gradient(x).y
    }
}

mod index_of_a_float {
    #[backprop::backprop]
    pub fn f(a: &[f64], x: f64) -> f64 {
        a[x as usize] * x
    }
}

mod after_return {
    #![allow(unreachable_code)]
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        return x * x;
        #[allow(unused)]
        let y = x.sin();
    }
}

mod raw_names {
    #[backprop::backprop]
    pub fn r#gen(r#gen: f64) -> f64 {
        r#gen * r#gen
    }
}

mod parentheses {
    #[backprop::backprop]
    #[allow(unused_parens)]
    pub fn f(x: f64) -> f64 {
        (x * x)
    }
}

mod loops_that_break_with_a_value {
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        match x {
            y if y > 0.0 => y,
            _ => loop {
                break 1.0;
            },
        }
    }
}

mod straight {
    #[backprop::backprop]
    pub fn f(a: f64, b: f64, c: f64, d: f64, e: f64) -> f64 {
        (a * b + c) * (d - e) / (a + e)
    }
}

mod renamed {
    pub mod facade {
        pub use backprop::backprop as autodiff;
    }
    #[facade::autodiff]
    pub fn f(x: f64) -> f64 {
        x * x
    }
}

mod documented {
    /// ```
    /// # use std::f64;
    /// assert_eq!(1.0, 1.0);
    /// ```
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x * x
    }
}

mod documentation_denied_without {
    #![deny(missing_docs, clippy::all, clippy::pedantic)]
    /// f
    #[must_use]
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x.mul_add(x, 1.0)
    }
}

fn main() {
    assert_eq!(type_named_f64::sq::gradient(3.0).x, 6.0);
    assert_eq!(module_f64::f::gradient(0.0).x, std::f64::consts::PI);
    assert_eq!(constants_named_like_locals::f::gradient(3.0).x, 6.0);
    let g = parameters_named_like_generated_ones::f::gradient(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.0);
    assert_eq!(
        [g.x, g.dx, g.d_x, g.grad, g.tape, g.seed, g.out],
        [2.0, 1.0, 4.0, 3.0, -3.0, -2.5, 7.5]
    );
    assert_eq!(neighbours_named_like_gradients::f::gradient(2.0).x, 4.0);
    assert_eq!(invisible_groups::f::gradient(2.0, &[5.0]).x, 5.0);
    assert_eq!(
        (
            two_variables_of_one_name::f(3.0),
            two_variables_of_one_name::f::gradient(3.0).x
        ),
        (15.0, 8.0)
    );
    assert_eq!(effects::f::gradient(2.0).x, 0.5);
    assert_eq!(receiver::S { k: 2.0 }.f_gradient(3.0).0, 12.0);
    assert_eq!(
        (constant_function::V, constant_function::f::gradient(2.0).x),
        (5.0, 4.0)
    );
    assert_eq!(paths_of_primitives::f::gradient(&[2.0], &3.0, 4.0).b, 8.0);
    assert_eq!(letters::énergie::gradient(0.0, 2.0).λ, 1.0);
    assert_eq!(
        visibilities::all() + visibilities::f(1.0) + visibilities::g(1.0),
        5.0
    );
    #[allow(deprecated)]
    let plain = deprecated::f(3.0);
    assert_eq!((plain, deprecated::f::gradient(3.0).x), (9.0, 6.0));
    assert_eq!(conditional_attributes::f::gradient(3.0).x, 6.0);
    assert_eq!(conditional_attributes::g(3.0), 9.0);
    assert_eq!(nested::outer(3.0), 15.0);
    let g = index_of_a_float::f::gradient(&[1.0, 5.0], 1.5);
    assert_eq!((g.a, g.x), (vec![0.0, 1.5], 5.0));
    assert_eq!(after_return::f::gradient(3.0).x, 6.0);
    assert_eq!(raw_names::r#gen::gradient(3.0).r#gen, 6.0);
    assert_eq!(parentheses::f::gradient(3.0).x, 6.0);
    assert_eq!(loops_that_break_with_a_value::f::gradient(3.0).x, 1.0);
    assert_eq!(loops_that_break_with_a_value::f::gradient(-3.0).x, 0.0);
    assert_eq!(straight::f::gradient(1.0, 2.0, 3.0, 5.0, 4.0).d, 1.0);
    assert_eq!(renamed::f::gradient(3.0).x, 6.0);
    assert_eq!(documented::f::gradient(3.0).x, 6.0);
    assert_eq!(documentation_denied_without::f::gradient(3.0).x, 6.0);
}
