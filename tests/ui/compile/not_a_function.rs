use backprop::backprop;

#[backprop]
struct Weights {
    w: f64,
}

#[backprop]
const K: f64 = 1.0;

#[backprop]
mod numbers {}

fn main() {}
