use backprop::backprop;

#[backprop(trace)]
fn looped(x: f64, n: usize) -> f64 {
    let mut s = x;
    for _ in 0..n {
        s *= s;
    }
    s
}

#[backprop(trace)]
fn two_results(x: f64) -> (f64, f64) {
    (x, x * x)
}

fn main() {}
