use backprop::backprop;

#[backprop]
async fn later(x: f64) -> f64 {
    x * x
}

#[backprop]
unsafe fn trusted(x: f64) -> f64 {
    x * x
}

#[backprop]
extern "C" fn foreign(x: f64) -> f64 {
    x * x
}

fn main() {}
