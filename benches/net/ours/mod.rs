//! The steps in Rust: in ndarray alone, on our kernels in two layouts, and by this crate's own means.

mod best_layout;
mod by_hand;
mod network;
mod tiny;
mod tiny_by_hand;

use backprop::Float;
use ndarray::Array2;

use crate::case::Case;
use best_layout::best_layout;
use by_hand::{by_hand, ndarray_alone};
use network::{descent, layers, tensors};
use tiny::{tiny_loops, tiny_tensors};
use tiny_by_hand::{tiny_by_hand, tiny_loops_by_hand, tiny_loops_with_kernel};

/// Runs a number of steps, and returns the last loss.
pub type Run = Box<dyn FnMut(usize) -> f64>;

/// The contender of this name, ready to run; none if it has no form for the case.
pub fn contender<T: Float>(name: &str, case: Case, threads: usize) -> Option<Run> {
    let rate = T::from(case.rate).unwrap();
    let data = case.data::<T>();
    Some(match (name, case.is_tiny()) {
        ("ndarray", false) => repeat(ndarray_alone(data, rate)),
        ("by_hand", false) => repeat(by_hand(data, rate)),
        ("best_layout", false) => best_layout(data, rate, threads),
        ("tensors", false) => repeat(tensors(data, rate)),
        ("descent", false) => repeat(descent(data, rate)),
        ("layers", false) => repeat(layers(data, case, rate)),
        ("loops_by_hand", true) => repeat(tiny_loops_by_hand(data)),
        ("loops_with_kernel", true) => repeat(tiny_loops_with_kernel(data)),
        ("by_hand", true) => repeat(tiny_by_hand(data)),
        ("tensors", true) => repeat(tiny_tensors(data)),
        ("loops", true) => repeat(tiny_loops(data)),
        _ => return None,
    })
}

fn repeat<T: Float>(mut step: impl FnMut() -> T + 'static) -> Run {
    Box::new(move |count| {
        let mut loss = T::nan();
        for _ in 0..count {
            loss = step();
        }
        loss.to_f64().unwrap()
    })
}

fn two<T: Float>(arrays: Vec<Array2<T>>) -> [Array2<T>; 2] {
    arrays.try_into().expect("two layers")
}
