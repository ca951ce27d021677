//! A module that hands on what others define.

pub mod decoy;
pub mod inner;
mod params;

pub use params::{Pair, Params, Plain as Renamed};
