//! What the functions that `#[backprop]` makes of tensor functions call: shapes, buffers, linear operations.
//!
//! Everything here is for generated code, and public only for that. In go views, out comes what ndarray's own methods would
//! give, written to a buffer that exists already or (`add`) added to what it holds. Shapes are checked as ndarray checks
//! them, with its words. No derivative is written here: which operation is the transpose of which is the table of
//! `backprop-macro/src/tensor/transpose.rs`.

mod each_lane;
mod lanes;
mod linear;
mod normal;
mod saved;
mod shape;
mod tape;

pub use each_lane::*;
pub use lanes::*;
pub use linear::*;
pub use normal::{normalize, normalize_back};
pub use saved::*;
pub use shape::*;
pub use tape::*;

/// The `ndarray` of this crate, so that generated code names its types whatever the user calls them.
pub use ndarray;

use crate::kernel::Real;

/// A number of elements as a float.
pub trait Count: Real {
    /// The nearest float.
    fn count(n: usize) -> Self {
        Self::from(n).unwrap_or_else(Self::infinity)
    }
}
impl<T: Real> Count for T {}

/// A literal as a float.
#[inline(always)]
pub fn number<T: Real>(x: f64) -> T {
    T::from(x).unwrap_or_else(T::nan)
}
