//! Forms of functions that cannot be differentiated, or not safely: an error at the place, and nothing else.

#![allow(dead_code)]

mod trait_method_of_a_float {
    pub trait Sin {
        fn sin(self) -> Self;
    }
    impl Sin for f64 {
        fn sin(self) -> f64 {
            self * 100.0
        }
    }
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x.sin() + Sin::sin(x)
    }
}

mod macro_in_the_body {
    macro_rules! sq {
        ($e:expr) => {
            $e * $e
        };
    }
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        sq!(x) + 1.0
    }
}

mod pattern {
    #[backprop::backprop]
    pub fn f((a, b): (f64, f64), [c, d]: [f64; 2]) -> f64 {
        a * b + c * d
    }
}

mod without_a_body {
    pub trait T {
        #[backprop::backprop]
        fn f(&self, x: f64) -> f64;
    }
}

mod asynchronous {
    #[backprop::backprop]
    pub async fn f(x: f64) -> f64 {
        x * x
    }
}

mod impl_trait {
    #[backprop::backprop]
    pub fn f(v: impl AsRef<[f64]>, x: f64) -> f64 {
        v.as_ref()[0] * x
    }
}

mod generic_without_float {
    #[backprop::backprop]
    pub fn f<T: Copy + std::ops::Mul<Output = T>>(x: T) -> T {
        x * x
    }
}

mod reference_result {
    #[backprop::backprop]
    pub fn f(x: &f64) -> &f64 {
        x
    }
}

mod nothing_to_differentiate {
    #[backprop::backprop]
    pub fn a() -> f64 {
        1.0
    }
    #[backprop::backprop]
    pub fn b(n: usize, s: &str) -> f64 {
        n as f64 + s.len() as f64
    }
}

mod conditional_statements {
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        #[cfg(any())]
        let x = x * x;
        #[cfg(all())]
        let x = x + 1.0;
        x
    }
}

mod twice {
    #[backprop::backprop]
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        x * x
    }
}

mod bad_arguments {
    #[backprop::backprop(wrt(zz))]
    pub fn a(x: f64) -> f64 {
        x
    }
    #[backprop::backprop(unknown = 3)]
    pub fn b(x: f64) -> f64 {
        x
    }
    #[backprop::backprop(as = 5)]
    pub fn c(x: f64) -> f64 {
        x
    }
    #[backprop::backprop(as = "fn")]
    pub fn d(x: f64) -> f64 {
        x
    }
    #[backprop::backprop(as = g, as = h)]
    pub fn e(x: f64) -> f64 {
        x
    }
}

mod unknown_calls {
    #[backprop::backprop]
    pub fn f(x: f64) -> f64 {
        let a = x * std::env::args().count() as f64;
        let b = a + x.to_bits() as f64;
        b
    }
}

mod options_in_let_chains {
    #[backprop::backprop]
    pub fn f(x: f64, o: Option<f64>) -> f64 {
        if let Some(v) = o
            && v > 0.0
        {
            x * v
        } else {
            x
        }
    }
}

fn main() {}
