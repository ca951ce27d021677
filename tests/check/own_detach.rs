//! A file that has a function called `detach` of its own: which one a call means is for rustc to say.

use backprop::backprop;

#[backprop]
pub fn detach(x: f64) -> f64 {
    2.0 * x
}

#[backprop]
pub fn through(x: f64) -> f64 {
    detach(x) * x
}

pub mod imported {
    use backprop::{backprop, detach};

    #[backprop]
    pub fn stopped(x: f64) -> f64 {
        detach(x) * x
    }
}
