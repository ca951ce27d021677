//! A struct with another in it.

use crate::geometry::Vec2;
use backprop::Differentiable;

#[derive(Clone, Debug, Differentiable)]
pub struct Deep {
    pub scale: f64,
    pub offset: Vec2,
}
