//! Functions as values: the macro differentiates what it sees the text of.

#![allow(unused)]

use backprop::backprop;

#[backprop]
fn square(x: f64) -> f64 {
    x * x
}

#[backprop]
fn cube(x: f64) -> f64 {
    x * x * x
}

#[backprop]
fn dynamic(g: &dyn Fn(f64) -> f64, x: f64) -> f64 {
    g(x) * x
}

#[backprop(wrt(x))]
fn dynamic_and_constant(g: &dyn Fn(f64) -> f64, x: f64) -> f64 {
    g(x) * x
}

#[backprop]
fn opaque(g: impl Fn(f64) -> f64, x: f64) -> f64 {
    g(x) * x
}

#[backprop(wrt(x))]
fn generic<F: Fn(f64) -> f64>(g: F, x: f64) -> f64 {
    g(x) * x
}

#[backprop]
fn pointer(g: fn(f64) -> f64, x: f64) -> f64 {
    g(x) * x
}

#[backprop]
fn array_of_functions(x: f64) -> f64 {
    let g: [fn(f64) -> f64; 2] = [square, cube];
    let mut s = 0.0;
    for h in g {
        s += h(x);
    }
    s
}

#[backprop]
fn array_of_closures(x: f64) -> f64 {
    let fs = [|v: f64| v * v, |v: f64| v + 1.0];
    fs[0](x) + fs[1](x)
}

#[backprop]
fn boxed(x: f64) -> f64 {
    let fs: Vec<Box<dyn Fn(f64) -> f64>> = vec![Box::new(|v| v * v)];
    fs.iter().map(|g| g(x)).sum()
}

#[backprop]
fn returned(x: f64) -> impl Fn(f64) -> f64 {
    move |y| x * y
}

#[backprop(wrt(x))]
fn scaled(x: f64, scale: Option<f64>) -> f64 {
    x * scale.unwrap_or(1.0)
}

#[backprop]
fn handed_over(x: f64) -> f64 {
    scaled(x, Some(2.0))
}

#[backprop]
fn recursive_inside(x: f64, n: u32) -> f64 {
    fn go(x: f64, n: u32) -> f64 {
        if n == 0 { 1.0 } else { x * go(x, n - 1) }
    }
    go(x, n)
}

mod library {
    pub fn helper(x: f64) -> f64 {
        x * x
    }
}

#[backprop]
fn in_a_module(x: f64) -> f64 {
    library::helper(x) * x
}

#[backprop]
fn too_many_arguments(x: f64) -> f64 {
    square(x, 2.0)
}

#[backprop]
async fn later(x: f64) -> f64 {
    x * x
}

fn main() {}
