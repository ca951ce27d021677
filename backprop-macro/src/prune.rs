//! The primal without what nothing needs.
//!
//! In: the primal, after `activity` has looked at all of it. Out: the same without dead statements and dead carried scalars.
//! `emit` would leave them out anyway; `reverse` must not see them, as it cannot tell that the shadow of an array that
//! nobody reads is zero, and `0 · ∞` of a dead overflow would be NaN.

use crate::graph::{LoopId, Node, Primal, RegionId};
use crate::live::Live;
use crate::reverse::alone;

/// Removes what is dead.
pub fn prune(primal: &mut Primal) {
    let live = Live::of(&alone(primal));
    let g = &mut primal.graph;
    for k in 0..g.regions.len() {
        let at = RegionId(k as u32);
        let mut stmts = std::mem::take(&mut g.region_mut(at).stmts);
        stmts.retain(|s| live.stmt(g, s));
        g.region_mut(at).stmts = stmts;
    }
    g.forget(|g, id| live.has(g, id) || g.data(id).pinned);
    for k in 0..g.loops.len() {
        let id = LoopId(k as u32);
        let carried = g.loops[k].carried.clone();
        let kept: Vec<_> = (carried.into_iter())
            .filter(|c| live.carried(g, c))
            .collect();
        for (slot, c) in kept.iter().enumerate() {
            g.nodes[c.phi.0 as usize].node = Node::Phi(id, slot as u32);
            g.nodes[c.out.0 as usize].node = Node::LoopOut(id, slot as u32);
        }
        g.looped_mut(id).carried = kept;
    }
}
