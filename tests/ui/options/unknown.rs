use backprop::backprop;

#[backprop(name = "g")]
fn a(x: f64) -> f64 {
    x
}

#[backprop(wrt(x), fast, unknown(3))]
fn b(x: f64) -> f64 {
    x
}

fn main() {}
