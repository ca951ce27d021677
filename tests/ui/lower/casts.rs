use backprop::backprop;

type Real = f64;

#[backprop]
fn aliases(x: f32) -> f64 {
    x as Real
}

#[backprop]
fn characters(x: f64) -> f64 {
    let c = x as u8 as char;
    x * c.len_utf8() as f64
}

#[backprop]
fn inferred(x: f64) -> f64 {
    let n: i64 = x as _;
    x * n as f64
}

fn main() {}
