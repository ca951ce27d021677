use backprop::backprop;

#[backprop]
fn parameters(x: f64, #[cfg(all())] y: f64) -> f64 {
    x * y
}

#[backprop]
fn statements(x: f64) -> f64 {
    #[cfg(any())]
    let x = x * x;
    #[cfg(all())]
    let x = x + 1.0;
    x
}

#[backprop]
fn arms(x: f64, n: i32) -> f64 {
    match n {
        #[cfg(all())]
        0 => x,
        _ => 2.0 * x,
    }
}

fn main() {}
