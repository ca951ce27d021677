//! Functions of tensors: every operation against differences, and the contract's functions against one another.
#![cfg(feature = "runtime")]
#![allow(clippy::all)] // Differentiated as users write them.

#[macro_use]
#[path = "tensors/agree.rs"]
mod agree;
#[macro_use]
#[path = "tensors/compared.rs"]
mod compared;
#[path = "tensors/branches.rs"]
mod branches;
#[path = "tensors/calls.rs"]
mod calls;
#[path = "tensors/control.rs"]
mod control;
#[path = "tensors/elementwise.rs"]
mod elementwise;
#[path = "tensors/fused.rs"]
mod fused;
#[path = "tensors/hard.rs"]
mod hard;
#[path = "tensors/idioms.rs"]
mod idioms;
#[path = "tensors/linear.rs"]
mod linear;
#[path = "tensors/loops.rs"]
mod loops;
#[path = "tensors/made.rs"]
mod made;
#[path = "tensors/masked.rs"]
mod masked;
#[path = "tensors/networks.rs"]
mod networks;
#[path = "tensors/shapes.rs"]
mod shapes;
#[path = "tensors/slices.rs"]
mod slices;
#[path = "tensors/structs.rs"]
mod structs;
