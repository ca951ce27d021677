#![deny(warnings)]

use backprop::backprop;

#[backprop(allow(unused_parameter, piecewise_constant, exact_comparison))]
fn all(x: f64, y: f64, _z: f64, unused: f64) -> f64 {
    let s = if x == 0.0 { 1.0 } else { x.sin() / x };
    s * y.floor() + if y > 1.0 { x } else { 2.0 * x } + unused * 0.0
}

// Nothing surprising: an underscore, `wrt`, and a path beside the one that is piecewise constant.
#[backprop(wrt(x))]
fn some(x: f64, y: f64, _n: usize) -> f64 {
    x * y.floor() + x.fract()
}

fn main() {
    assert_eq!(all::gradient(1.0, 2.0, 3.0, 4.0).y, 0.0);
    assert_eq!(all(1.0, 2.0, 3.0, 4.0), all::forward(1.0, 2.0, 3.0, 4.0).0);
    assert_eq!(some::gradient(0.5, 2.5, 1).x, 3.0);
}
