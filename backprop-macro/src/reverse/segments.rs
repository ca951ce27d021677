//! Loops that are checkpointed.
//!
//! In: a loop that would keep something for each iteration. Out: forward it saves its state every so many iterations and keeps
//! nothing else; backward a loop over these states, last one first, restores one, runs the iterations up to the next one
//! again and reverses those. What must hold: the state is all that an iteration reads and one before it changes, so that a
//! segment computes what it computed; and adjoints are summed in the order in which a single loop would sum them.

use super::intervals::bounds;
use super::rerun::Copies;
use super::states::saved;
use super::{Frame, PairKind, Reverse};
use crate::checkpoint::Every;
use crate::graph::maps::Map;
use crate::graph::*;
use std::collections::{BTreeMap, BTreeSet};

/// A segment while it is reversed.
pub(super) struct Segment {
    /// The loop of which it is a part.
    pub whole: Loop,
    /// Sums that are added once, for the whole loop.
    pub known: Vec<(Id, Vec<Id>)>,
}

impl Reverse<'_> {
    /// How often a loop saves its state, where it does: not inside of a loop that keeps things itself.
    pub(super) fn checkpointed(&self, looped: LoopId) -> Option<Every> {
        let schedule = self.schedule.filter(|s| s.loops.contains(&looped))?;
        let inside = self.frames.iter().any(|f| {
            let is = |kind: PairKind| matches!(kind, PairKind::Loop(..));
            self.pairs
                .iter()
                .any(|p| p.primal == f.primal && is(p.kind))
        });
        (!inside).then(|| schedule.every.clone())
    }

    /// The backward pass of a checkpointed loop; the slots whose adjoint turned out not to be constant, if any.
    pub(super) fn segmented_loop(
        &mut self,
        looped: LoopId,
        data: &Loop,
        slots: &[(usize, Option<Id>)],
        constant: &[usize],
        every: &Every,
    ) -> Vec<usize> {
        let stmts = self.g.region(data.body).stmts.clone();
        let every = self.interval(data, every);
        let (changed, unsettled) = self.arrays_of_state(looped, data);
        let (filled, changed): (Vec<ArrayId>, Vec<ArrayId>) = changed
            .into_iter()
            .partition(|&a| self.filled_first(&stmts, a));
        let once: Vec<(ArrayId, ArrayId)> = unsettled
            .into_iter()
            .map(|a| (a, self.save_once(looped, data, a)))
            .collect();
        let state = self.save_states(looped, data, every, &changed);
        let end = self.last_stop(looped, data);

        // The loop over the segments.
        self.g.invalidate();
        let count = self.g.usize_ty();
        let states = Place {
            array: state.array,
            path: Vec::new(),
        };
        let version = self.g.array(state.array).version;
        let len = self.g.compute(Node::Len(states, version), count);
        let region = self.g.open();
        let over = self.g.new_loop(Count::Forever, region, data.span);
        let at = self.g.bound(Node::Index(over), count, Some(region));
        self.g.nodes[at.0 as usize].name = Some("segment".into());
        let lo = self.g.usize_const(0);
        self.g.looped_mut(over).count = Count::Range {
            index: at,
            lo,
            hi: len,
            inclusive: false,
            rev: true,
        };
        self.g.looped_mut(over).segments = Some(looped);
        self.frames.push(Frame {
            primal: region,
            region,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });

        // The state at its start, and how far it goes.
        let mut c = Copies {
            body: data.body,
            nodes: Map::default(),
            arrays: Map::default(),
            calls: Map::default(),
            loops: BTreeMap::new(),
            outer: BTreeSet::new(),
        };
        let first = self.first(data, &state, at, every);
        let stop = self.stop(data, &state, (at, len), first, every, end);
        let bounds = bounds(data, first, stop);
        let mut starts = Vec::new();
        for (k, carried) in data.carried.iter().enumerate() {
            let start = self.g.load(saved(&state, at, k + 1));
            let name = self.g.data(carried.phi).name.clone();
            self.g.nodes[start.0 as usize].name = name;
            if self.active(carried.phi) {
                self.activity.to_mut().add_node(start);
            }
            starts.push(start);
        }
        for (k, &a) in changed.iter().enumerate() {
            let from = saved(&state, at, 1 + data.carried.len() + k);
            self.restore_array(a, Some(from), &mut c);
        }
        for a in filled {
            self.restore_array(a, None, &mut c);
        }
        for (a, held) in once {
            let zero = self.g.usize_const(0);
            let from = Place {
                array: held,
                path: vec![Step::Index(zero)],
            };
            self.restore_array(a, Some(from), &mut c);
        }

        // Forward again, and backward.
        let leaves = matches!(data.count, Count::Stepped { .. });
        let copy = self.copied_loop((data, &stmts), Some(bounds), &starts, leaves, &mut c);
        c.loops.insert(looped, copy);
        self.order.append(&self.g, over);
        let mut inner = Vec::new();
        let mut carried = Vec::new();
        for &(k, d) in slots {
            if constant.contains(&k) {
                inner.push((k, d));
                continue;
            }
            let init = match d {
                Some(d) => d,
                None => self.zero(data.carried[k].phi),
            };
            let phi = self.adjoint_phi(data.carried[k].phi, over, region);
            inner.push((k, Some(phi)));
            carried.push((k, phi, init));
        }
        let mut sums = Vec::new();
        for &n in &c.outer {
            let phi = self.adjoint_phi(n, over, region);
            self.frame().adjoint.insert(n, phi);
            sums.push((n, phi));
        }
        let mut segment = Segment {
            whole: data.clone(),
            known: Vec::new(),
        };
        let inner_data = self.g.looped(copy).clone();
        let failed = self.separate_loop(copy, &inner_data, &inner, constant, Some(&mut segment));
        let mut adjoint = self.frames.pop().map(|f| f.adjoint).unwrap_or_default();
        if !failed.is_empty() {
            self.g.close();
            return failed;
        }
        let nexts: Vec<(usize, Id, Id, Id)> = carried
            .into_iter()
            .map(|(k, phi, init)| {
                let next = adjoint.remove(&starts[k]);
                (k, phi, init, next.unwrap_or_else(|| self.zero(phi)))
            })
            .collect();
        sums.retain(|(n, phi)| adjoint.get(n) != Some(phi));
        self.g.close();

        // As at the end of a loop that runs backwards in one piece.
        let mut outs = Vec::new();
        for (k, phi, init, next) in nexts {
            outs.push((data.carried[k].init, self.g.carry(over, phi, init, next)));
        }
        let sums = sums.into_iter().map(|(n, phi)| (n, phi, adjoint[&n]));
        self.end_reversed(over, data, sums.collect(), outs, slots, constant);
        self.add_known(segment.known);
        self.notes.states.insert(looped, state.array);
        self.notes.copies.append(&mut c.loops);
        Vec::new()
    }

    /// An adjoint that the loop over the segments carries.
    fn adjoint_phi(&mut self, of: Id, over: LoopId, region: RegionId) -> Id {
        let ty = self.g.ty(of);
        let phi = self.g.bound(Node::Phi(over, 0), ty, Some(region));
        let name = self.g.data(of).name.as_ref().map(|s| format!("d_{s}"));
        self.g.nodes[phi.0 as usize].name = name.map(|s| s.as_str().into());
        phi
    }
}
