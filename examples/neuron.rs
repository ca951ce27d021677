//! The lecture's neuron, `f(w, x) = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2)))`, and its computational graph: the value at each
//! node from the forward pass, the derivative of the result with respect to it from the backward pass.
//!
//! `cargo run --release --example neuron`

use backprop::backprop;

/// A neuron with two inputs; `w[2]` is its bias.
#[backprop(trace)]
pub fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
    1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp())
}

/// The example's output.
pub fn report() -> String {
    use std::fmt::Write;
    let (w, x) = ([2.0, -3.0, -3.0], [-1.0, -2.0]);
    let (y, gradient) = neuron::value_and_gradient(&w, &x);
    let mut out = format!(
        "f(w, x) = {y:.2} at w = {w:?}, x = {x:?}\n\n{:<18}{:>8}{:>10}\n",
        "node", "value", "gradient"
    );
    for (node, value, gradient) in neuron::trace(&w, &x) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{node:<18}{value:>8.2}{gradient:>10.2}");
    }
    let round = |all: &[f64]| {
        all.iter()
            .map(|d| format!("{d:.2}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let _ = write!(
        out,
        "\ngradient with respect to w: {}\ngradient with respect to x: {}",
        round(&gradient.w),
        round(&gradient.x)
    );
    out
}

#[allow(dead_code)] // the tests include this file and call `report`
fn main() {
    println!("{}", report());
}
