use backprop::backprop;

#[backprop]
#[backprop]
fn f(x: f64) -> f64 {
    x * x
}

fn main() {}
