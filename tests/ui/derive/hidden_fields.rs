//! What a struct holds must be imported too.

mod a {
    #[derive(Clone, Copy, backprop::Differentiable)]
    pub struct P {
        pub x: f64,
    }

    #[derive(backprop::Differentiable)]
    pub struct Pair {
        pub first: P,
        pub all: Vec<P>,
    }

    #[backprop::backprop]
    fn here(p: &Pair) -> f64 {
        p.first.x * p.all[0].x
    }
}

use a::Pair;

#[backprop::backprop]
fn elsewhere(p: &Pair) -> f64 {
    p.first.x * p.all[0].x
}

fn main() {}
