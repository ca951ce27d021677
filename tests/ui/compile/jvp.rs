use backprop::{Differentiable, backprop};

#[backprop]
fn g(x: f64) -> f64 {
    x.sin()
}

#[backprop(jvp)]
fn calls(x: f64) -> f64 {
    g(x) * x + g(2.0)
}

#[backprop(hvp)]
fn calls_twice(x: f64) -> f64 {
    g(x) * x
}

#[backprop(jvp, wrt(x))]
fn in_out(v: &mut [f64], x: f64) -> f64 {
    v[0] *= x;
    v[0]
}

#[backprop(hvp)]
fn changes(v: &mut [f64], x: f64) -> f64 {
    v[0] *= x;
    v[0]
}

#[derive(Clone, Copy, Differentiable)]
struct Point {
    x: f64,
    y: f64,
}

#[backprop(jvp)]
fn sum(all: &[Point]) -> f64 {
    all.iter().map(|p| p.x * p.y).sum()
}

#[backprop(jvp)]
fn structs(p: Point) -> f64 {
    let all = [p, Point { x: p.y, y: p.x }];
    sum(&all)
}

#[backprop(hessian)]
fn many(x: f64) -> (f64, f64) {
    (x, x)
}

fn main() {}
