//! The numeric kernels under networks: elementary functions that vectorise, passes over arrays, matrix products.
//!
//! They run on stable Rust with the widest vectors that the processor has, AVX2 or AVX-512, found while running: no flags, no
//! native build. The elementary functions are Rust, branch-free and without contraction, so that one has the same bits in
//! every loop and on every machine:
//!
//! | | error at most, ulp | measured, `f64` | measured, `f32` |
//! |---|--:|--:|--:|
//! | [`exp`] | 2 | 1.00 | 1.05 |
//! | [`exp_m1`] | 3 | 1.97 | 1.83 |
//! | [`tanh`] | 3 | 2.31 | 2.43 |
//! | [`sigmoid`] | 3 | 2.03 | 2.40 |
//! | [`ln`] | 3 | 0.77 | 0.84 |
//! | [`ln_1p`] | 3 | 0.76 | 0.84 |
//! | [`softplus`] | 3 | 1.56 | 1.64 |
//!
//! Measured on every `f32`, and on a sample of `f64` of all magnitudes against a reference of 100 bits. Subnormal numbers, signs
//! of zero, infinities and NaN are as in `std`.
//!
//! # Subnormal numbers
//!
//! A saturated sigmoid returns numbers below the smallest normal one, and its gradient is full of them. Some processors take a hundred
//! cycles and more for each that they multiply or add. Stable Rust has no sound way to have the processor flush them: code may
//! assume the floating-point environment that it was compiled for. So the kernels keep them, as IEEE 754 asks, and [`flush`] turns
//! them to zero where they would be multiplied many times: in what goes from a pass into a matrix product. It costs nothing that
//! could be measured, and changes a value by at most 2.3e-308, or 1.2e-38 in `f32`.

pub mod dispatch;
pub mod elementary;
pub mod float;
#[cfg(target_arch = "x86_64")]
mod gemm;
pub mod map;
pub mod product;
mod real;
pub mod sum;
mod vector;

pub use dispatch::dispatch;
pub use elementary::{exp, exp_m1, flush, ln, ln_1p, sigmoid, softplus, tanh};
pub use float::Float;
pub use map::{map, map_slices};
pub use product::{dot, mat_vec, outer, product};
pub use real::Real;
pub use sum::sum_middle;
pub(crate) use vector::multiples;
