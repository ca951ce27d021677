#![deny(warnings)]
#![allow(dead_code)]

use backprop::backprop;

#[backprop]
fn unused(x: f64, w: &[f64]) -> f64 {
    x * x
}

#[backprop]
fn rounded(x: f64, y: f64) -> f64 {
    let steps = y.floor() + (y as i64) as f64;
    x * steps
}

#[backprop]
fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

#[backprop(allow(nothing))]
fn unknown(x: f64) -> f64 {
    x
}

fn main() {}
