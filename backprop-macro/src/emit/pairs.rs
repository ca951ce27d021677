//! Loops that run two iterations at a time.
//!
//! A sum whose order is the user's keeps the optimiser from computing iterations side by side, their divisions and roots included. Two
//! iterations in one straight piece of code it does put side by side, as their additions stay in order. So a loop is
//! unrolled where that pays: its iterations divide or take roots, of nothing that the iteration before has left.

use super::Emit;
use crate::graph::maps::Set;
use crate::graph::*;
use crate::rules::Op;
use proc_macro2::TokenStream;
use quote::quote;

/// A division is faster beside another; one alone rather waits for its sum.
const MIN_SLOW: usize = 2;
/// Longer bodies keep the processor busy as they are.
const MAX_NODES: usize = 64;

impl Emit<'_> {
    /// Whether a loop is to run two iterations at a time.
    pub(super) fn in_pairs(&self, l: LoopId) -> bool {
        let g = self.g();
        let data = g.looped(l);
        if !self.positional(l) || matches!(data.count, Count::Range { rev: true, .. }) {
            return false;
        }
        let carried: Vec<&Carried> = data
            .carried
            .iter()
            .filter(|c| self.live.carried(g, c))
            .collect();
        let summing = carried.iter().any(|c| g.is_float(c.phi));
        let mut waits: Set<Id> = carried.iter().map(|c| c.phi).collect();
        let (mut nodes, mut slow) = (0, 0);
        for stmt in &g.region(data.body).stmts {
            match stmt {
                Stmt::Let(_) if !self.live.stmt(g, stmt) => {}
                Stmt::Let(id) => {
                    nodes += 1;
                    if g.operands(*id).iter().any(|o| waits.contains(o)) {
                        waits.insert(*id);
                    }
                    match g.node(*id) {
                        Node::Apply(Op::Div | Op::Recip | Op::Sqrt, _) => {
                            slow += usize::from(!waits.contains(id));
                        }
                        Node::Apply(op, _) if op.is_dear() => return false,
                        _ => {}
                    }
                }
                Stmt::Store { .. } | Stmt::Bind(..) | Stmt::ReadTape(_) | Stmt::ReadTapeAt(..) => {}
                _ => return false,
            }
        }
        summing && slow >= MIN_SLOW && nodes <= MAX_NODES
    }

    /// The loop over a counter, two iterations at a time.
    pub(super) fn run_in_pairs(&self, l: LoopId, body: &TokenStream) -> TokenStream {
        let (n, counter) = (self.trips(l), self.counter(l));
        quote! {
            let mut #counter = 0;
            while #counter + 1 < #n { for _ in 0..2 { #body #counter += 1; } }
            while #counter < #n { #body #counter += 1; }
        }
    }
}
