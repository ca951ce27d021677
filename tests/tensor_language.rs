//! The language of functions of tensors as users of ndarray write it, against differences.
#![cfg(feature = "runtime")]
#![allow(unused_variables)] // Functions of one signature, for one comparison.
#![allow(clippy::all)] // Differentiated as users write them.

#[macro_use]
#[path = "tensors/agree.rs"]
#[allow(unused_macros, dead_code)] // Shared with `tensors.rs`.
mod agree;
#[macro_use]
#[path = "tensors/compared.rs"]
mod compared;
#[path = "tensors/algorithms.rs"]
mod algorithms;
#[path = "tensors/both_ways.rs"]
mod both_ways;
#[path = "tensors/closures.rs"]
mod closures;
#[path = "tensors/constants.rs"]
mod constants;
#[path = "tensors/filled.rs"]
mod filled;
#[path = "tensors/ranks.rs"]
mod ranks;
#[path = "tensors/zips.rs"]
mod zips;
