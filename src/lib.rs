//! placeholder
#![forbid(unsafe_code)]
pub use backprop_macro::backprop;
#[cfg(feature = "runtime")]
pub use backprop_runtime::*;
