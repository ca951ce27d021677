use backprop::backprop;

#[backprop(check(points = "many"))]
fn points(x: f64) -> f64 {
    x
}

#[backprop(check(domain(x in 3.0..1.0)))]
fn empty_range(x: f64) -> f64 {
    x
}

#[backprop(check(domain(x > LIMIT)))]
fn constant(x: f64) -> f64 {
    x
}

#[backprop(check(domain(x near 1.0)))]
fn relation(x: f64) -> f64 {
    x
}

#[backprop(check(len(x = -1)))]
fn length(x: &[f64]) -> f64 {
    x[0]
}

#[backprop(check(sometimes))]
fn unknown(x: f64) -> f64 {
    x
}

#[backprop(check = 3)]
fn value(x: f64) -> f64 {
    x
}

#[backprop(check(value = 3.0))]
fn nowhere(x: f64) -> f64 {
    x
}

#[backprop(check(at(x = 1.0), tolerance = 0.0))]
fn tolerance(x: f64) -> f64 {
    x
}

#[backprop(check(domain(y > 0.0)))]
fn name(x: f64) -> f64 {
    x
}

#[backprop(check(points = 2, at(x = 1.0, x = 2.0), points = 3))]
fn twice(x: f64) -> f64 {
    x
}

fn main() {}
