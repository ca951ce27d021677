//! Input as an editor sends it on every keystroke.

#[backprop::backprop]
pub fn f(x: f64) -> f64 {
    let y = x.;
    y * x
}

fn main() {}
