use backprop::backprop;

#[backprop(wrt)]
fn a(x: f64) -> f64 {
    x
}

#[backprop(wrt = x)]
fn b(x: f64) -> f64 {
    x
}

#[backprop(wrt(x.y))]
fn c(x: f64) -> f64 {
    x
}

#[backprop(as = 5)]
fn d(x: f64) -> f64 {
    x
}

#[backprop(as = "fn")]
fn e(x: f64) -> f64 {
    x
}

#[backprop(associated = true)]
fn f(x: f64) -> f64 {
    x
}

#[backprop(wrt(x) associated)]
fn g(x: f64) -> f64 {
    x
}

fn main() {}
