//! Names of the standard library that mean something else.

#![allow(unused, non_camel_case_types, non_snake_case)]

use backprop::backprop;

mod numbers {
    use super::backprop;
    type f64 = f32;

    #[backprop]
    fn square(x: f64) -> f64 {
        x * x
    }
}

mod lists {
    use super::backprop;
    struct Vec<T>(T);

    #[backprop]
    fn square(x: Vec<f64>) -> f64 {
        x.0 * x.0
    }
}

mod options {
    use super::backprop;
    enum Option<T> {
        Some(T),
        Neither,
    }
    use Option::*;

    #[backprop]
    fn square(x: f64) -> f64 {
        let o = Some(x);
        match o {
            Some(v) => v * v,
            Neither => 0.0,
        }
    }
}

mod macros {
    use super::backprop;
    macro_rules! vec {
        ($($x:expr),*) => { [$($x * 2.0),*] };
    }

    #[backprop]
    fn square(x: f64) -> f64 {
        let v = vec![x, x];
        v[0] * v[1]
    }
}

fn main() {}
