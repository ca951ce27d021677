use backprop::backprop;

#[backprop(check(at(x = 1.0)))]
fn missing(x: f64, y: f64) -> f64 {
    x * y
}

#[backprop(check(at(x = [1.0, 2.0])))]
fn shape(x: [f64; 3]) -> f64 {
    x[0]
}

#[backprop(check(at(x = 1.0), value = [1.0, 2.0]))]
fn value(x: f64) -> f64 {
    x
}

#[backprop(check(at(x = 1.0), gradient(x = 1.0)))]
fn no_scalar(x: f64) -> [f64; 2] {
    [x, x]
}

#[backprop(check(at(x = 1.0), gradient(n = 1.0)))]
fn missing_constant(x: f64, n: usize) -> f64 {
    x * n as f64
}

#[backprop(check(at(x = -1.0)))]
fn undefined(x: f64) -> f64 {
    x.ln()
}

#[backprop(check)]
fn never_defined(x: f64) -> f64 {
    (-1.0 - x * x).sqrt()
}

#[backprop(check)]
fn panics(x: &[f64]) -> f64 {
    assert!(x.len() > 7, "too short");
    x[0]
}

#[backprop(check(domain(x < 0.0)))]
fn infinite_slope(x: f64, w: f64) -> f64 {
    let r = [x.sqrt(), x];
    r[1] * w
}

fn main() {}
