//! Gradients by the macro beside gradients written by hand, in one interleaved run.
//!
//! ```text
//! cargo bench --bench gradients                     # all rows
//! cargo bench --bench gradients -- rosen --quick    # rows whose name contains "rosen", a short look
//! ```
//!
//! One module per function: the function as a user writes it, `by_hand` as an expert writes its gradient, and `rows`, which hands both
//! to the harness. All gradients go to buffers of the caller. To leave a function out, remove its two lines below.
//!
//! The goal on every row: the macro within 1.1 of the hand-written gradient, and no more heap than it.

// The functions under test index and copy in loops, as numerical code does; the gradients beside them follow.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy)]

mod counting;
mod harness;

mod ackley;
mod cross_entropy;
mod fisher;
mod heat;
mod heat_2d;
mod heat_in_place;
mod log_sum_exp;
mod lorenz;
mod matrix;
mod mlp;
mod mlp_small;
mod nbody;
mod neuron;
mod product;
mod rosenbrock;

fn main() {
    let mut bench = harness::Bench::from_args();
    for rows in [
        neuron::rows,
        rosenbrock::rows,
        log_sum_exp::rows,
        cross_entropy::rows,
        ackley::rows,
        mlp_small::rows,
        mlp::rows,
        heat::rows,
        heat_2d::rows,
        fisher::rows,
        heat_in_place::rows,
        lorenz::rows,
        nbody::rows,
        product::rows,
        matrix::rows,
    ] {
        rows(&mut bench);
    }
    bench.finish();
}
