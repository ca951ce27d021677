//! A name that means another type than the file suggests is an error, not a wrong gradient.

macro_rules! define {
    ($($item:item)*) => { $($item)* };
}

mod a {
    define! {
        #[derive(backprop::Differentiable)]
        pub struct P {
            pub n: f64,
            pub x: f64,
        }
        pub type Real = f32;
    }
}

mod b {
    use super::a::{P, Real};

    #[backprop::backprop]
    fn fields(p: P, x: f64) -> f64 {
        x * p.x
    }

    #[backprop::backprop]
    fn alias(x: Real) -> Real {
        -x
    }
}

mod c {
    #[derive(backprop::Differentiable)]
    pub struct P {
        pub n: u32,
        pub x: f64,
    }
    pub type Real = f64;
}

fn main() {}
