use backprop::backprop;

const NEVER: usize = 0;

// A constant that is no interval.
#[backprop(checkpoint = NEVER)]
fn never(x: f64, n: usize) -> f64 {
    let mut u = x;
    for _ in 0..n {
        u = u.sin();
    }
    u
}

fn main() {
    let _ = never::gradient(1.0, 3);
}
