use backprop::backprop;

#[backprop(cost(max_ratio = 2.0))]
fn exceeded(x: f64, y: f64, z: &[f64]) -> f64 {
    let mut s = x * y;
    for v in z {
        s += v.powf(x);
    }
    s * x.atan2(y)
}

#[backprop(cost(max_ratio = 4.0))]
fn within(x: f64, y: f64) -> f64 {
    (x * y).sin()
}

#[backprop(cost(max_ratio = 0.0))]
fn zero(x: f64) -> f64 {
    x
}

#[backprop(cost(ratio = 3.0))]
fn unknown(x: f64) -> f64 {
    x
}

#[backprop(cost)]
fn flag(x: f64) -> f64 {
    x
}

fn main() {
    let _ = (within(1.0, 2.0), within::gradient(1.0, 2.0));
}
