//! Loops that overwrite a scalar under a condition: a running maximum, the last match.
//!
//! Only the last overwrite counts. Its index is carried forward, nothing is kept for each iteration, and backwards that
//! one iteration is run again.

use super::{Frame, Reverse};
use crate::graph::maps::Map;
use crate::graph::*;
use std::collections::BTreeMap;

/// Such a loop.
struct Overwrite {
    branch: IfId,
    /// The side on which the scalar is overwritten is the first.
    then: bool,
    value: Id,
    index: Id,
    lo: Id,
}

impl Reverse<'_> {
    /// Reverses the loop if it is one; the slots are its active carried scalars with their adjoints.
    pub(super) fn overwrite(
        &mut self,
        l: LoopId,
        data: &Loop,
        slots: &[(usize, Option<Id>)],
    ) -> bool {
        let [(k, Some(d))] = slots else { return false };
        let carried = data.carried[*k].clone();
        let Some(o) = self.find_overwrite(data, &carried) else {
            return false;
        };
        // Forward: whether and where.
        let body = data.body;
        let yes = self.g.bool_const(true);
        let no = self.g.bool_const(false);
        let ty = self.g.bool_ty();
        let hit_phi = self.g.bound(Node::Phi(l, 0), ty, Some(body));
        let ty = self.g.ty(o.index);
        let last_phi = self.g.bound(Node::Phi(l, 0), ty, Some(body));
        self.g.nodes[last_phi.0 as usize].name = Some("last".into());
        let pick = |g: &mut Graph, new: Id, old: Id| {
            if o.then {
                g.yield_from(o.branch, new, old)
            } else {
                g.yield_from(o.branch, old, new)
            }
        };
        let hit_next = pick(&mut self.g, yes, hit_phi);
        let last_next = pick(&mut self.g, o.index, last_phi);
        let hit = self.g.carry(l, hit_phi, no, hit_next);
        let last = self.g.carry(l, last_phi, o.lo, last_next);
        // Backward: that iteration again.
        self.g.invalidate();
        let then = self.g.open();
        self.frames.push(Frame {
            primal: then,
            region: then,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });
        let mut copies = Map::from_iter([(o.index, last)]);
        let value = self.again(o.value, &mut copies);
        let stmts = self.g.region(then).stmts.clone();
        self.add(value, *d);
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
        self.g.close();
        let taken = self.frames.pop().map(|f| f.adjoint).unwrap_or_default();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(hit, then, otherwise);
        self.g.push(Stmt::If(branch));
        self.g.invalidate();
        let init = self.g.resolve(carried.init);
        let passed = if self.active(init) {
            BTreeMap::from_iter([(init, *d)])
        } else {
            BTreeMap::new()
        };
        self.join(branch, taken, passed);
        true
    }

    fn find_overwrite(&self, data: &Loop, carried: &Carried) -> Option<Overwrite> {
        let Count::Range { index, lo, .. } = &data.count else {
            return None;
        };
        if data.again.is_some() {
            return None;
        }
        let Node::IfOut(branch, slot) = *self.g.node(self.g.resolve(carried.next)) else {
            return None;
        };
        if self.g.region(self.g.branch(branch).then).parent != Some(data.body) {
            return None;
        }
        let s = &self.g.branch(branch).slots[slot as usize];
        let (a, b) = (self.g.resolve(s.then), self.g.resolve(s.otherwise));
        let (value, then) = if b == carried.phi {
            (a, true)
        } else if a == carried.phi {
            (b, false)
        } else {
            return None;
        };
        // Nothing else of the loop takes part in the gradient.
        let region = if then {
            self.g.branch(branch).then
        } else {
            self.g.branch(branch).otherwise
        };
        let found = Overwrite {
            branch,
            then,
            value,
            index: self.g.resolve(*index),
            lo: *lo,
        };
        self.repeatable(value, data.body, region, found.index, 0)
            .then_some(found)
    }

    /// Whether a value of an iteration can be computed from its index alone.
    fn repeatable(&self, id: Id, body: RegionId, side: RegionId, index: Id, depth: usize) -> bool {
        let id = self.g.resolve(id);
        let inside = self
            .g
            .data(id)
            .region
            .is_some_and(|r| r == body || r == side);
        if id == index || !inside {
            // From outside, unless it belongs to the other side or to a loop inside.
            return id == index
                || self
                    .g
                    .data(id)
                    .region
                    .is_none_or(|r| !self.g.encloses(body, r));
        }
        if depth > 20 {
            return false;
        }
        let known = match self.g.node(id) {
            Node::Apply(..) | Node::Cast(..) => true,
            Node::Opaque(k, _) => !matches!(self.g.opaque_of(*k).form, OpaqueForm::Call(_)),
            Node::Load(p, _) => !self.g.array(p.array).mutated,
            _ => false,
        };
        known
            && self
                .g
                .operands(id)
                .into_iter()
                .all(|o| self.repeatable(o, body, side, index, depth + 1))
    }

    pub(super) fn again(&mut self, id: Id, copies: &mut Map<Id, Id>) -> Id {
        let id = self.g.resolve(id);
        if let Some(&copy) = copies.get(&id) {
            return copy;
        }
        let here = self.g.here();
        if self
            .g
            .data(id)
            .region
            .is_none_or(|r| self.g.encloses(r, here))
        {
            return id;
        }
        let ty = self.g.ty(id);
        let node = match self.g.node(id).clone() {
            Node::Apply(op, args) => {
                Node::Apply(op, args.iter().map(|&a| self.again(a, copies)).collect())
            }
            Node::Cast(a, to) => Node::Cast(self.again(a, copies), to),
            Node::Opaque(k, args) => {
                Node::Opaque(k, args.iter().map(|&a| self.again(a, copies)).collect())
            }
            Node::Load(p, version) => Node::Load(p.map(&mut |i| self.again(i, copies)), version),
            _ => return id,
        };
        let copy = self.g.compute(node, ty);
        self.origin.insert(copy, id);
        copies.insert(id, copy);
        copy
    }
}
