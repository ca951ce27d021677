use backprop::backprop;

// The stubs after an error must type-check for slices and `Vec`s too: one error, not three.
#[backprop]
fn f(x: f64, v: &[f64], w: Vec<f64>) -> f64 {
    x.midpoint(v[0]) * w[0]
}

fn main() {}
