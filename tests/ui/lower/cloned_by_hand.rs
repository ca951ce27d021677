use backprop::{Differentiable, backprop};

#[derive(Copy, Differentiable)]
struct Doubling {
    x: f64,
}

impl Clone for Doubling {
    fn clone(&self) -> Doubling {
        Doubling { x: 2.0 * self.x }
    }
}

#[backprop]
fn cloned(p: Doubling) -> f64 {
    let q = p.clone();
    q.x * q.x
}

#[backprop]
fn cloned_elements(p: &[Doubling]) -> f64 {
    p.iter().cloned().map(|q| q.x * q.x).sum()
}

fn main() {}
