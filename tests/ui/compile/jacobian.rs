use backprop::{Differentiable, backprop};

#[derive(Clone, Copy, Differentiable)]
struct Point {
    x: f64,
    y: f64,
}

#[backprop(jacobian)]
fn swapped(p: Point) -> Point {
    Point { x: p.y, y: p.x }
}

#[backprop(hessian)]
fn norm(p: Point) -> f64 {
    p.x * p.x + p.y * p.y
}

#[backprop(hessian)]
fn several(x: f64) -> (f64, f64) {
    (x, x * x)
}

#[backprop]
fn inner(x: f64) -> f64 {
    x.sin()
}

#[backprop(hessian)]
fn calls(x: f64) -> f64 {
    inner(x) * x
}

fn main() {}
