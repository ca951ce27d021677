use backprop::{Differentiable, backprop};

#[backprop]
fn g(x: f64) -> f64 {
    x.sin()
}

#[backprop(jvp)]
fn calls(x: f64) -> f64 {
    g(x) * x
}

#[backprop(jvp)]
fn in_out(v: &mut [f64], x: f64) -> f64 {
    v[0] *= x;
    v[0]
}

#[derive(Clone, Copy, Differentiable)]
struct Point {
    x: f64,
    y: f64,
}

#[backprop(jvp)]
fn structs(p: Point) -> Point {
    Point { x: p.y, y: p.x }
}

fn main() {}
