use backprop::backprop;

#[backprop]
fn borrowed(x: &f64) -> &f64 {
    x
}

#[backprop]
fn decided(x: f64) -> bool {
    x > 0.0
}

#[backprop]
fn perhaps(x: f64) -> Option<f64> {
    Some(x)
}

#[backprop]
fn partly(x: f64) -> (f64, usize) {
    (x, 1)
}

#[backprop]
fn nothing(x: f64) {
    let _ = x;
}

fn main() {}
