//! Programs as scientists and engineers write them, differentiated in every way.

// The functions are differentiated in every style in which users write them.
#![allow(unused, clippy::all)]

#[macro_use]
#[path = "support/every_way.rs"]
mod every_way;

#[path = "science/curves.rs"]
mod curves;
#[path = "science/dynamics.rs"]
mod dynamics;
#[path = "science/equations.rs"]
mod equations;
#[path = "science/estimation.rs"]
mod estimation;
#[path = "science/geometry.rs"]
mod geometry;
#[path = "science/sequences.rs"]
mod sequences;
