//! A crate without the standard library: whatever keeps no tape needs none.
#![no_std]
#![no_main]
#![deny(warnings)]

use backprop::backprop;

#[backprop]
fn blend(x: f64, y: f64, a: &[f64; 3]) -> f64 {
    let mut s = x * y;
    for i in 0..3 {
        s += a[i] * x;
    }
    if s < 0.0 {
        s = s * s;
    }
    s.max(y)
}

#[backprop]
fn filter(x: f32, gain: [f32; 2]) -> (f32, f32) {
    let low = x * gain[0];
    let high = (x - low) * gain[1];
    (low, high)
}

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    let (y, g) = blend::value_and_gradient(2.0, 3.0, &[1.0, 1.0, 1.0]);
    let (value, saved) = filter::forward(1.0, [0.5, 0.25]);
    let split = filter::backward(&saved, (1.0, 0.0));
    let right = y == 12.0 && g.x == 6.0 && g.y == 2.0 && g.a == [2.0; 3];
    let right = right && value == filter(1.0, [0.5, 0.25]) && split.gain == [1.0, 0.0];
    if right { 0 } else { 1 }
}
