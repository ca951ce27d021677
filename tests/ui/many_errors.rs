use backprop::backprop;

macro_rules! square {
    ($e:expr) => {
        $e * $e
    };
}

// Every mistake is reported, and the uses of the derivatives add nothing to them.
#[backprop]
fn f(x: f64, y: f64) -> f64 {
    let mut a = x.to_bits() as f64;
    let b = square!(y);
    let c = x.midpoint(y);
    for i in 0..3 {
        a += y.next_up() * i as f64;
    }
    a + b + c
}

fn main() {
    let (y, gradient) = f::value_and_gradient(1.0, 2.0);
    let (z, saved) = f::forward(1.0, 2.0);
    let again = f::backward(&saved, 1.0);
    let mut d = (0.0, 0.0);
    f::value_and_gradient_into(1.0, 2.0, &mut d.0, &mut d.1);
    f::accumulate(1.0, 2.0, 1.0, &mut d.0, &mut d.1);
    println!("{y} {z} {} {}", gradient.x, again.y);
}
