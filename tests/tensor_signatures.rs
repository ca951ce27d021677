//! What functions of tensors can be and take: methods, structs by value, arrays that they change in place.
#![cfg(feature = "runtime")]
#![allow(clippy::all)] // Differentiated as users write them.

#[path = "tensors/agree.rs"]
#[allow(unused_macros, dead_code)] // Shared with `tensors.rs`.
mod agree;
#[path = "tensors/in_out.rs"]
mod in_out;
#[path = "tensors/methods.rs"]
mod methods;
#[path = "tensors/nested_methods.rs"]
mod nested_methods;
#[path = "tensors/written.rs"]
mod written;
