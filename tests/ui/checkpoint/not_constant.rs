use backprop::backprop;

// Known when the function runs only.
#[backprop(checkpoint = n)]
fn parameter(x: f64, n: usize) -> f64 {
    let mut u = x;
    for _ in 0..n {
        u = u.sin();
    }
    u
}

fn main() {}
