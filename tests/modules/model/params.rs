//! A private module.

use backprop::Differentiable;

#[derive(Clone, Debug, Differentiable)]
pub struct Params {
    pub a: f64,
    pub b: f64,
    pub w: [f64; 2],
}

#[derive(Clone, Debug, Differentiable)]
pub struct Plain {
    pub c: f64,
}

#[derive(Clone, Debug, Differentiable)]
pub struct Pair<T: num_traits::Float> {
    pub first: T,
    pub rest: [T; 2],
}
