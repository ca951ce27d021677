use backprop::backprop;

struct Plain {
    x: f64,
}

#[backprop]
fn parameter(p: &Plain) -> f64 {
    p.x * p.x
}

#[backprop]
fn result(x: f64) -> Plain {
    Plain { x }
}

fn main() {}
