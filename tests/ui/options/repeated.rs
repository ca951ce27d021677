use backprop::backprop;

#[backprop(as = g, as = h)]
fn f(x: f64) -> f64 {
    x
}

fn main() {}
