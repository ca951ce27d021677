use backprop::backprop;

const K: f64 = 2.0;

#[backprop]
fn constant(x: f64) -> f64 {
    let a = {
        const K: f64 = 3.0;
        x * K
    };
    a * K
}

#[backprop]
fn two_constants(x: f64) -> f64 {
    let a = {
        const Z: f64 = 3.0;
        x * Z
    };
    let b = {
        const Z: f64 = 5.0;
        x * Z
    };
    a * b
}

#[backprop]
fn imported(x: f64) -> f64 {
    let a = {
        use std::f64::consts::PI as K;
        x * K
    };
    a * K
}

#[backprop]
fn anything(x: f64) -> f64 {
    let a = {
        use std::f64::consts::*;
        x * PI
    };
    a * K
}

fn main() {}
