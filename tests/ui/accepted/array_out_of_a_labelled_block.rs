//! A labelled block that yields arrays: the array of the inner region is named outside of it (E0425).

use backprop::backprop;

#[backprop]
fn f(x: f64, y: f64) -> f64 {
    let a = [x, y];
    let b = 'chosen: {
        if x > 0.0 {
            break 'chosen a;
        }
        [y, x]
    };
    b[0] * a[0]
}

fn main() {
    let FGradient { x, y } = f::gradient(3.0, 5.0);
    assert_eq!((x, y), (6.0, 0.0));
    let FGradient { x, y } = f::gradient(-3.0, 5.0);
    assert_eq!((x, y), (5.0, -3.0));
}
