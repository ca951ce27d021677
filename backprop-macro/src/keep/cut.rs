//! The cut: which of the values that a region's backward pass needs are kept, and which are computed again.
//!
//! In: what is needed of a region. Out: what to keep, as few bytes as possible, and what to compute again from it, in order. What must hold: what is
//! computed again is computed from what is then in scope, and reads arrays that still hold what they held.

use super::Keep;
use super::uses::used;
use crate::flow::Flow;
use crate::graph::maps::Map;
use crate::graph::{ArrayId, Count, Id, Node, Place};
use crate::reverse::{Pair, PairKind};
use crate::rules::Op;
use crate::types::Kind;
use std::collections::{BTreeMap, BTreeSet};

impl Keep<'_> {
    /// The index of a loop that counts is the index of the one that counts down.
    pub(super) fn is_free_index(&self, id: Id, pair: &Pair) -> bool {
        match (self.p.graph.node(id), pair.kind) {
            (Node::Index(l), PairKind::Loop(looped, _)) => {
                *l == looped && matches!(self.p.graph.looped(looped).count, Count::Range { .. })
            }
            _ => false,
        }
    }

    // ---- the cut ----

    /// What to keep and what to compute again, in order, the latter perhaps from an array it was stored to.
    #[allow(clippy::type_complexity)]
    pub(super) fn cut(
        &mut self,
        needed: &[Id],
        pair: &Pair,
    ) -> (Vec<Id>, Vec<(Id, Option<Place>)>) {
        // Everything in the region that the needed values can be computed from.
        let mut from: BTreeMap<Id, Option<Vec<Id>>> = BTreeMap::new();
        let mut reload: Map<Id, Place> = Map::default();
        let mut todo: Vec<Id> = needed.to_vec();
        while let Some(id) = todo.pop() {
            if from.contains_key(&id) {
                continue;
            }
            let mut operands = self.recompute(id, pair);
            if operands.is_none()
                && let Some(place) = self.reload(id, pair)
            {
                operands = Some(place.indices().map(|i| self.p.graph.resolve(i)).collect());
                reload.insert(id, place);
            }
            let operands = operands.map(|all| {
                let mut spelt = BTreeSet::new();
                all.into_iter()
                    .for_each(|o| used(&self.p.graph, o, &mut spelt));
                spelt
                    .into_iter()
                    .filter(|&o| {
                        self.p.graph.data(o).region == Some(pair.primal)
                            && !self.is_free_index(o, pair)
                    })
                    .collect::<Vec<_>>()
            });
            if let Some(all) = &operands {
                todo.extend(all);
            }
            from.insert(id, operands);
        }
        let kept = self.minimum_cut(&from, needed);
        // What the needed values that are not kept are computed from.
        let mut again = BTreeSet::new();
        let mut todo: Vec<Id> = needed.to_vec();
        while let Some(id) = todo.pop() {
            if kept.contains(&id) || !again.insert(id) {
                continue;
            }
            if let Some(Some(all)) = from.get(&id) {
                todo.extend(all);
            }
        }
        // A value that is loaded again comes after the indices of where it was stored, which are younger than it.
        let mut order = Vec::new();
        let mut placed = BTreeSet::new();
        let mut todo: Vec<(Id, bool)> = again.iter().rev().map(|&id| (id, false)).collect();
        while let Some((id, ready)) = todo.pop() {
            if ready {
                order.push((id, reload.get(&id).cloned()));
            } else if again.contains(&id) && placed.insert(id) {
                todo.push((id, true));
                todo.extend(
                    from.get(&id)
                        .into_iter()
                        .flatten()
                        .flatten()
                        .map(|&o| (o, false)),
                );
            }
        }
        let again = order;
        (kept.into_iter().collect(), again)
    }

    /// The operands from which a value can be computed again cheaply; `None` if it must be kept.
    fn recompute(&self, id: Id, pair: &Pair) -> Option<Vec<Id>> {
        let g = &self.p.graph;
        match g.node(id) {
            Node::Apply(op, _) if op.is_dear() && *op != Op::Rem => None,
            Node::Apply(..) | Node::Cast(..) => Some(g.operands(id)),
            Node::Opaque(k, _) => {
                let form = &g.opaque_of(*k).form;
                // A function from elsewhere may be dear, or may not return the same twice.
                if matches!(form, crate::graph::OpaqueForm::Call(_))
                    && !g.opaque_of(*k).key.contains("::")
                {
                    None
                } else {
                    Some(g.operands(id))
                }
            }
            Node::Load(p, _) | Node::Whole(p, _) => {
                self.settled(id, p, pair).then(|| g.operands(id))
            }
            Node::Len(p, version) => {
                let fixed = g.array(p.array).frozen
                    && *version != u32::MAX
                    && self.reachable(p.array, pair);
                fixed.then(|| g.operands(id))
            }
            _ => None,
        }
    }

    /// Whether an array can be read in the backward region at all.
    fn reachable(&self, array: ArrayId, pair: &Pair) -> bool {
        let g = &self.p.graph;
        let data = g.array(array);
        match data.region {
            None => true,
            Some(r) => g.encloses(r, pair.back) || self.p.back.is_some() && r == self.p.body,
        }
    }

    /// Whether a load gives the same after the forward pass as it gave then.
    fn settled(&self, id: Id, place: &Place, pair: &Pair) -> bool {
        let Some(at) = self.order.position(id) else {
            return false;
        };
        self.reachable(place.array, pair)
            && !self.order.stored_after(place.array, at)
            && !self.stored_around(id, place.array)
    }

    /// Whether a loop around the node, inside the array's scope, stores to the array.
    fn stored_around(&self, id: Id, array: ArrayId) -> bool {
        let g = &self.p.graph;
        let scope = g.array(array).region;
        let mut at = g.data(id).region;
        while let Some(r) = at {
            if Some(r) == scope {
                return false;
            }
            if let Some(l) = self.bodies.get(&r)
                && self.order.stored_within(array, self.order.loop_span(*l))
            {
                return true;
            }
            at = g.region(r).parent;
        }
        false
    }

    /// Where a value was stored so that it is still there: in an element of its own in each iteration.
    fn reload(&self, id: Id, pair: &Pair) -> Option<Place> {
        let g = &self.p.graph;
        for (region, place) in self.stored.get(&id)? {
            if *region != pair.primal
                || self.order.store_count(place.array) != 1
                || !self.reachable(place.array, pair)
            {
                continue;
            }
            let scope = g.array(place.array).region;
            let indices: Vec<Id> = place.indices().map(|i| g.resolve(i)).collect();
            let mut at = Some(*region);
            let mut own = true;
            while let Some(r) = at {
                if Some(r) == scope {
                    break;
                }
                if let Some(l) = self.bodies.get(&r) {
                    own &= indices
                        .iter()
                        .any(|&i| matches!(g.node(i), Node::Index(k) if k == l));
                }
                at = g.region(r).parent;
            }
            if own {
                return Some(place.clone());
            }
        }
        None
    }

    /// The cheapest set of values that separates what cannot be computed again from what is needed: a minimum vertex cut,
    /// by augmenting paths.
    fn minimum_cut(&self, from: &BTreeMap<Id, Option<Vec<Id>>>, needed: &[Id]) -> BTreeSet<Id> {
        let ids: Vec<Id> = from.keys().copied().collect();
        let index: Map<Id, usize> = ids.iter().enumerate().map(|(k, &id)| (id, k)).collect();
        let n = ids.len();
        // Node k is split into 2k -> 2k+1; 2n is the source, 2n+1 the sink.
        let (source, sink) = (2 * n, 2 * n + 1);
        let mut flow = Flow::new(2 * n + 2);
        const NEVER: u32 = u32::MAX / 4;
        for (k, id) in ids.iter().enumerate() {
            flow.edge(2 * k, 2 * k + 1, self.bytes(*id));
            match &from[id] {
                None => flow.edge(source, 2 * k, NEVER),
                Some(all) => {
                    for o in all {
                        flow.edge(2 * index[o] + 1, 2 * k, NEVER);
                    }
                }
            }
        }
        for id in needed {
            flow.edge(2 * index[id] + 1, sink, NEVER);
        }
        flow.run(source, sink);
        // The cut nearest to what is needed leaves least to be computed again.
        let reach = flow.reaching(sink);
        (0..n)
            .filter(|&k| !reach[2 * k] && reach[2 * k + 1])
            .map(|k| ids[k])
            .collect()
    }

    fn bytes(&self, id: Id) -> u32 {
        let g = &self.p.graph;
        match g.types.kind(g.ty(id)) {
            Kind::Bool => 1,
            // A field needs a type that can be named.
            Kind::Other => 64,
            _ => 8,
        }
    }
}
