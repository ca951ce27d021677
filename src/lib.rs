#![cfg_attr(feature = "runtime", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "runtime"),
    doc = "Gradients of Rust functions, derived while compiling, on stable Rust: the macro [`backprop`] alone.\n\n\
           Layers, losses, optimizers and training, and the documentation of all, come with the feature `runtime`.\n\n\
           ```\n\
           use backprop::backprop;\n\n\
           #[backprop]\n\
           fn square(x: f64) -> f64 {\n    \
               x * x\n\
           }\n\n\
           assert_eq!(square::value_and_gradient(3.0), (9.0, SquareGradient { x: 6.0 }));\n\
           ```"
)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod differentiable;
mod gradient_stop;

pub use backprop_macro::{Differentiable, backprop};
#[cfg(feature = "runtime")]
pub use backprop_runtime::*;
pub use differentiable::Differentiable;
pub use gradient_stop::detach;
