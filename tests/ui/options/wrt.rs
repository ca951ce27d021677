use backprop::backprop;

#[backprop(wrt(x, zz))]
fn unknown(x: f64) -> f64 {
    x
}

#[backprop(wrt(n, x))]
fn constant(x: f64, n: usize) -> f64 {
    x * n as f64
}

fn main() {}
