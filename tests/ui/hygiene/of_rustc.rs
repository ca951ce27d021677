//! What rustc rejects by itself: the macro adds nothing to it.

#[backprop::backprop = "x"]
pub fn a(x: f64) -> f64 {
    x
}

fn main() {}
