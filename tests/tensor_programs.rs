//! Programs of tensors as users write them, against differences: a crate of their own, as each is compiled in all its forms.
#![cfg(feature = "runtime")]
#![allow(unused_variables)] // Functions of one signature, for one comparison.
#![allow(clippy::all)] // Differentiated as users write them.

#[path = "tensors/agree.rs"]
#[allow(unused_macros, dead_code)] // Shared with `tensors.rs`.
mod agree;
#[macro_use]
#[path = "tensors/compared.rs"]
mod compared;
#[path = "tensors/borrowed.rs"]
mod borrowed;
#[path = "tensors/models.rs"]
mod models;
#[path = "tensors/sequences.rs"]
mod sequences;
#[path = "tensors/ways_out.rs"]
mod ways_out;
