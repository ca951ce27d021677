#![allow(non_upper_case_globals)]

use backprop::backprop;

const limit: i32 = 3;

#[backprop]
fn arm(x: f64, n: i32) -> f64 {
    match n {
        limit => x * x,
        _ => x,
    }
}

#[backprop]
fn option(x: f64, n: Option<i32>) -> f64 {
    if let Some(limit) = n { x * x } else { x }
}

#[backprop]
fn slice(x: f64, v: &[i32]) -> f64 {
    match v {
        [limit, _] => x * x,
        _ => x,
    }
}

#[backprop]
fn inside(x: f64, n: i32) -> f64 {
    const last: i32 = 3;
    match n {
        last => x * x,
        _ => x,
    }
}

macro_rules! constant {
    ($name:ident) => {
        const $name: i32 = 4;
    };
}
constant!(made);

// A macro made it: no text says that there is a constant. Then rustc does.
#[backprop]
fn by_macro(x: f64, n: i32) -> f64 {
    match n {
        made => x * x,
        _ => x,
    }
}

mod shapes {
    pub enum Shape<'a> {
        Points(&'a [f64]),
        Round(f64),
    }
}

// What a name stands for has to be a number.
#[backprop(wrt(x))]
fn payload(x: f64, shape: &shapes::Shape) -> f64 {
    match shape {
        shapes::Shape::Points(points) => x * points[0],
        shapes::Shape::Round(r) => x * r,
    }
}

fn main() {}
