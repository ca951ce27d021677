use backprop::backprop;

type Real = f64;

struct Model {
    gain: f64,
}

#[backprop]
fn opaque(v: impl AsRef<[f64]>, x: f64) -> f64 {
    v.as_ref()[0] * x
}

#[backprop]
fn patterns((a, b): (f64, f64), c @ _d: f64, [e, f]: [f64; 2]) -> f64 {
    a * b * c * e * f
}

#[backprop]
fn unknown(model: &Model, maybe: Option<f64>, real: Real) -> f64 {
    model.gain * maybe.unwrap() * real
}

#[backprop]
fn unbounded<T: Copy + std::ops::Mul<Output = T>>(x: T) -> f64 {
    let _ = x * x;
    1.0
}

#[backprop]
fn in_place(v: &mut Vec<f64>, x: &&mut f64) -> f64 {
    v[0] = **x;
    v[0]
}

#[backprop]
fn constant(n: usize, name: &str) -> f64 {
    (n + name.len()) as f64
}

#[backprop]
fn none() -> f64 {
    1.0
}

fn main() {}
