//! Values and gradients of whole functions against published or 60-digit references.
//!
//! Each case is an ordinary function with the points at which its value and gradient are known; `check` says what is
//! compared. The modules group the cases by what makes them hard.

// The functions are differentiated in every style in which users write them.
#![allow(unused_assignments, unused_braces, clippy::all)]

#[path = "gradients/arrays.rs"]
mod arrays;
#[path = "gradients/assignment.rs"]
mod assignment;
#[path = "gradients/branches.rs"]
mod branches;
#[path = "gradients/calls.rs"]
mod calls;
#[path = "gradients/check.rs"]
mod check;
#[path = "gradients/constants.rs"]
mod constants;
#[path = "gradients/control.rs"]
mod control;
#[path = "gradients/iterators.rs"]
mod iterators;
#[path = "gradients/linear_algebra.rs"]
mod linear_algebra;
#[path = "gradients/loops.rs"]
mod loops;
#[path = "gradients/misleading.rs"]
mod misleading;
#[path = "gradients/numerics.rs"]
mod numerics;
#[path = "gradients/optimization.rs"]
mod optimization;
#[path = "gradients/physics.rs"]
mod physics;
#[path = "gradients/special_functions.rs"]
mod special_functions;
#[path = "gradients/statistics.rs"]
mod statistics;
#[path = "gradients/straight_line.rs"]
mod straight_line;
