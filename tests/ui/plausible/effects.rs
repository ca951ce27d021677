//! What a gradient cannot follow: pointers, bits, statics, text.

#![allow(unused)]

use backprop::backprop;

#[backprop]
fn pointer(x: *const f64) -> f64 {
    unsafe { *x * *x }
}

#[backprop]
fn pointer_inside(x: f64) -> f64 {
    let p = &x as *const f64;
    unsafe { *p * *p }
}

#[backprop]
fn unchecked(x: &[f64]) -> f64 {
    let mut s = 0.0;
    for i in 0..x.len() {
        s += unsafe { *x.get_unchecked(i) };
    }
    s
}

static mut TOTAL: f64 = 0.0;

#[backprop]
fn remembered(x: f64) -> f64 {
    unsafe {
        TOTAL = x;
        TOTAL * x
    }
}

#[backprop]
fn bits(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & !(1 << 63))
}

#[backprop]
fn bytes(x: f64) -> f64 {
    f64::from_le_bytes(x.to_le_bytes())
}

#[backprop]
fn length_of_text(x: f64) -> f64 {
    let s = format!("{x:.3}");
    s.len() as f64 * x
}

macro_rules! square {
    ($e:expr) => {
        $e * $e
    };
}

#[backprop]
fn written_by_a_macro(x: f64) -> f64 {
    square!(x)
}

#[backprop]
fn taken_out(mut a: Vec<f64>) -> f64 {
    let b = std::mem::take(&mut a);
    b.iter().sum()
}

#[backprop]
fn endless(x: f64) -> f64 {
    loop {
        let _ = x;
    }
}

#[backprop]
fn never(x: f64) -> ! {
    panic!("{x}")
}

fn main() {}
