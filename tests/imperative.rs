//! Loops, branches, arrays in place and integers, in the combinations that are easily got wrong.

// The functions are differentiated in every style in which users write them.
#![allow(unused, clippy::all)]

#[macro_use]
#[path = "support/every_way.rs"]
mod every_way;

#[path = "imperative/arrays.rs"]
mod arrays;
#[path = "imperative/control.rs"]
mod control;
#[path = "imperative/decisions.rs"]
mod decisions;
#[path = "imperative/precision.rs"]
mod precision;
#[path = "imperative/results.rs"]
mod results;
#[path = "imperative/search.rs"]
mod search;
