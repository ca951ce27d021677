//! What the functions of the other files import.

use backprop::{Differentiable, backprop};

pub type Real = f64;

#[derive(Clone, Copy, Debug, Differentiable)]
pub struct Vec2 {
    pub x: Real,
    pub y: f64,
}

#[derive(Clone, Debug, Differentiable)]
pub struct Body {
    pub at: Vec2,
    pub mass: Real,
}

impl Body {
    #[backprop(wrt(self, g))]
    pub fn weight(&self, g: f64) -> f64 {
        self.mass * g * self.at.y
    }
}

#[backprop]
pub fn activation(z: f64, b: f64) -> f64 {
    (z + b).tanh()
}

#[backprop]
pub fn pull(b: &Body, at: [f64; 2]) -> [f64; 2] {
    [b.at.x - at[0], (b.at.y - at[1]) * b.mass]
}

#[backprop]
pub fn moved(b: &Body, k: Real) -> Vec2 {
    Vec2 {
        x: b.at.x * k,
        y: b.at.y + k * b.mass,
    }
}
