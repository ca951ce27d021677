//! Copies of what a value is computed from, where it is needed a second time.
//!
//! In: a value inside a loop. Out: the same computation in another region. What must hold: only what is computed from values that have not
//! changed is repeated.

use super::Stabilize;
use crate::graph::*;
use std::collections::BTreeMap;

impl Stabilize<'_> {
    /// Whether a value of an iteration can be computed again, by what was not stored to since a position.
    pub(super) fn repeatable(&self, slice: &Slice, id: Id, since: usize) -> bool {
        let id = self.g.resolve(id);
        if slice.map.contains_key(&id) {
            return true;
        }
        let region = self.g.data(id).region;
        let inside = region.is_some_and(|r| self.g.encloses(slice.body, r));
        let known = match self.g.node(id) {
            _ if !inside => region.is_none_or(|r| self.g.encloses(r, slice.into)),
            Node::Apply(..) | Node::Cast(..) | Node::Len(..) => true,
            Node::Opaque(k, _) => !matches!(self.g.opaque_of(*k).form, OpaqueForm::Call(_)),
            Node::Load(p, _) => {
                let array = self.g.array(p.array);
                array.region.is_none_or(|r| self.g.encloses(r, slice.into))
                    && !self.order.stored_after(p.array, since)
            }
            // A loop inside, such as a dot product.
            Node::LoopOut(l, k) => {
                let (inner, c) = (self.g.looped(*l), &self.g.looped(*l).carried[*k as usize]);
                let Some(index) = count_index(&inner.count) else {
                    return false;
                };
                let mut with = slice.clone();
                with.map.extend([(index, index), (c.phi, c.phi)]);
                return inner.again.is_none()
                    && inner.carried.len() == 1
                    && self
                        .bounds(&inner.count)
                        .iter()
                        .all(|&b| self.repeatable(slice, b, since))
                    && self.repeatable(slice, c.init, since)
                    && self.repeatable(&with, c.next, since);
            }
            _ => false,
        };
        known
            && (!inside
                || self
                    .g
                    .operands(id)
                    .into_iter()
                    .all(|o| self.repeatable(slice, o, since)))
    }

    pub(super) fn bounds(&self, count: &Count) -> Vec<Id> {
        match count {
            Count::Range { lo, hi, .. } => vec![*lo, *hi],
            _ => Vec::new(),
        }
    }

    pub(super) fn copy(&mut self, slice: &mut Slice, id: Id) -> Id {
        let id = self.g.resolve(id);
        if let Some(&copy) = slice.map.get(&id) {
            return copy;
        }
        let inside = self
            .g
            .data(id)
            .region
            .is_some_and(|r| self.g.encloses(slice.body, r));
        if !inside {
            return id;
        }
        let ty = self.g.ty(id);
        let mut all = |s: &mut Self, args: &[Id]| args.iter().map(|&a| s.copy(slice, a)).collect();
        let node = match self.g.node(id).clone() {
            Node::Apply(op, args) => Node::Apply(op, all(self, &args)),
            Node::Opaque(k, args) => Node::Opaque(k, all(self, &args)),
            Node::Cast(a, to) => Node::Cast(self.copy(slice, a), to),
            Node::Load(p, version) => Node::Load(p.map(&mut |i| self.copy(slice, i)), version),
            Node::Len(p, version) => Node::Len(p.map(&mut |i| self.copy(slice, i)), version),
            Node::LoopOut(l, _) => {
                let copy = self.copy_loop(slice, l);
                slice.map.insert(id, copy);
                return copy;
            }
            _ => return id,
        };
        let copy = self.g.compute(node, ty);
        slice.map.insert(id, copy);
        copy
    }

    /// A copy of a loop with one carried scalar: that scalar.
    pub(super) fn copy_loop(&mut self, slice: &mut Slice, l: LoopId) -> Id {
        let data = self.g.looped(l).clone();
        let Count::Range {
            index,
            lo,
            hi,
            inclusive,
            rev,
        } = data.count
        else {
            return data.carried[0].out;
        };
        let c = &data.carried[0];
        let (lo, hi, init) = (
            self.copy(slice, lo),
            self.copy(slice, hi),
            self.copy(slice, c.init),
        );
        let body = self.g.open();
        let (index_ty, ty) = (self.g.ty(index), self.g.ty(c.phi));
        let own = self
            .g
            .bound(Node::Index(LoopId(u32::MAX)), index_ty, Some(body));
        let phi = self.g.bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(body));
        // What is copied inside is known inside only.
        let mut inner = slice.clone();
        inner
            .map
            .extend([(self.g.resolve(index), own), (c.phi, phi)]);
        let next = self.copy(&mut inner, c.next);
        self.g.close();
        let looped = self.g.new_loop(
            Count::Range {
                index: own,
                lo,
                hi,
                inclusive,
                rev,
            },
            body,
            data.span,
        );
        self.g.nodes[own.0 as usize].node = Node::Index(looped);
        let out = self.g.carry(looped, phi, init, next);
        self.g.push(Stmt::Loop(looped));
        out
    }
}

/// Values of the body of a loop, copied to another region.
#[derive(Clone)]
pub(super) struct Slice {
    pub(super) body: RegionId,
    pub(super) into: RegionId,
    pub(super) map: BTreeMap<Id, Id>,
}

impl Slice {
    pub(super) fn new(body: RegionId, into: RegionId) -> Slice {
        Slice {
            body,
            into,
            map: BTreeMap::new(),
        }
    }
}

pub(super) fn count_index(count: &Count) -> Option<Id> {
    match count {
        Count::Range { index, .. } => Some(*index),
        _ => None,
    }
}
