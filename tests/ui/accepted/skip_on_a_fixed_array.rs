//! `skip` on an array of known length: `4.saturating_sub(1)` has a receiver of no type (E0689).

use backprop::backprop;

#[backprop]
fn f(x: f64, y: f64) -> f64 {
    let mut a = [x, y, x * y, 1.0];
    for (i, v) in a.iter_mut().enumerate().skip(1) {
        *v *= i as f64;
    }
    let mut s = 0.0;
    for v in a.iter().skip(2) {
        s += v * x;
    }
    s + a[1]
}

fn main() {
    let FGradient { x, y } = f::gradient(2.0, 3.0);
    assert_eq!((x, y), (27.0, 9.0));
}
