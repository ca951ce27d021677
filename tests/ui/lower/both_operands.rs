use backprop::backprop;

// The error of one operand does not hide that of the other.
#[backprop]
fn f(x: f64, y: f64) -> f64 {
    x.midpoint(1.0) + y.midpoint(2.0)
}

fn main() {}
