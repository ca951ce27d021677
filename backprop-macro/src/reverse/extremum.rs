//! Loops that carry a maximum or a minimum, by `max` or `min`.
//!
//! Ties share the slope, half to each side, so that more iterations than one can count: all whose value equals the result, last first,
//! each with half of what the later ones have left; to the first goes the rest. So nothing is kept for each
//! iteration. What must hold: what an iteration compares with is cheap to compute again, from its index and arrays that do not change.

use super::{Frame, Reverse};
use crate::graph::maps::Map;
use crate::graph::*;
use crate::rules::Op;
use crate::types::Kind;
use quote::quote;
use std::collections::BTreeMap;

/// Such a loop: what each iteration compares with, and over which positions.
struct Extremum {
    value: Id,
    index: Id,
    lo: Id,
    hi: Id,
}

impl Reverse<'_> {
    /// Reverses the loop if it is one; the slots are its active carried scalars with their adjoints.
    pub(super) fn extremum(&mut self, data: &Loop, slots: &[(usize, Option<Id>)]) -> bool {
        let [(k, Some(d))] = slots else { return false };
        let (carried, d) = (data.carried[*k].clone(), *d);
        let Some(e) = self.find_extremum(data, &carried) else {
            return false;
        };
        // A slope that has cancelled, as that of the shift in a log-sum-exp, goes nowhere.
        self.g.invalidate();
        let zero = self.zero(d);
        let slopes = self.compare(quote!(!=), d, zero);
        let then = self.open_side();
        let (first, left) = self.ties(data, &carried, &e, d);
        let init = self.g.resolve(carried.init);
        let equal = self.compare(quote!(==), init, carried.out);
        let none = self.compare(quote!(==), first, e.hi);
        let before = self.compare(quote!(||), equal, none);
        let found = self.g.not(before);
        let taken = self.open_side();
        self.pass_on(&e, first, left);
        let slope = self.close_side();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(found, taken, otherwise);
        self.g.push(Stmt::If(branch));
        let passed = match self.active(init) {
            true => BTreeMap::from_iter([(init, left)]),
            false => BTreeMap::new(),
        };
        self.join(branch, slope, passed);
        let slope = self.close_side();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(slopes, then, otherwise);
        self.g.push(Stmt::If(branch));
        self.g.invalidate();
        self.join(branch, slope, BTreeMap::new());
        true
    }

    fn find_extremum(&self, data: &Loop, carried: &Carried) -> Option<Extremum> {
        let Count::Range {
            index,
            lo,
            hi,
            inclusive: false,
            rev: false,
        } = data.count
        else {
            return None;
        };
        let index = self.g.resolve(index);
        let position = matches!(self.g.types.kind(self.g.ty(index)), Kind::Int(n) if n == "usize");
        let Node::Apply(Op::Max | Op::Min, args) = self.g.node(self.g.resolve(carried.next)) else {
            return None;
        };
        let value = match [self.g.resolve(args[0]), self.g.resolve(args[1])] {
            [a, b] if a == carried.phi => b,
            [a, b] if b == carried.phi => a,
            _ => return None,
        };
        let found = data.again.is_none() && position && self.cheap(value, data.body, index, 0);
        found.then_some(Extremum {
            value,
            index,
            lo,
            hi,
        })
    }

    /// Whether a value of an iteration is computed cheaply from its index, and moves with nothing but elements of arrays.
    fn cheap(&self, id: Id, body: RegionId, index: Id, depth: usize) -> bool {
        let id = self.g.resolve(id);
        if id == index {
            return true;
        }
        if self.g.data(id).region != Some(body) {
            let inside = |r| self.g.encloses(body, r);
            return !self.g.data(id).region.is_some_and(inside) && !self.active(id);
        }
        let known = match self.g.node(id) {
            Node::Apply(op, _) => !op.is_dear(),
            Node::Cast(..) => true,
            Node::Opaque(k, _) => !matches!(self.g.opaque_of(*k).form, OpaqueForm::Call(_)),
            Node::Load(p, _) => !self.g.array(p.array).mutated,
            _ => false,
        };
        let operands = || self.g.operands(id).into_iter();
        known && depth < 8 && operands().all(|o| self.cheap(o, body, index, depth + 1))
    }

    /// The iterations whose value equals the result, last first, take half of what is left. Answers with the first of them, the
    /// loop's end if there is none, and what is left to it.
    fn ties(&mut self, data: &Loop, carried: &Carried, e: &Extremum, d: Id) -> (Id, Id) {
        let back = self.g.open();
        let unknown = LoopId(u32::MAX);
        let bound = |r: &mut Self, node, like, name: &str| {
            let ty = r.g.ty(like);
            let id = r.g.bound(node, ty, Some(back));
            r.g.nodes[id.0 as usize].name = Some(name.into());
            id
        };
        let name = self.g.data(carried.phi).name.as_deref().unwrap_or("most");
        let name = format!("d_{name}");
        let at = bound(self, Node::Index(unknown), e.index, "i");
        let left = bound(self, Node::Phi(unknown, 0), d, &name);
        let first = bound(self, Node::Phi(unknown, 0), e.index, "first");
        let value = self.again(e.value, &mut Map::from_iter([(e.index, at)]));
        let tied = self.compare(quote!(==), value, carried.out);
        // What is differentiated is computed where that happens.
        let hidden = self.g.hide_from(0);
        let then = self.open_side();
        let half = self.g.lit_like(0.5, left);
        let half = self.g.apply(Op::Mul, &[half, left]);
        self.pass_on(e, at, half);
        self.close_side();
        self.g.unhide(hidden);
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(tied, then, otherwise);
        self.g.push(Stmt::If(branch));
        let next_left = self.g.yield_from(branch, half, left);
        let next_first = self.g.yield_from(branch, at, first);
        self.g.close();
        let count = Count::over(at, (e.lo, e.hi), false, None, true);
        let reversed = self.g.new_loop(count, back, data.span);
        self.g.nodes[at.0 as usize].node = Node::Index(reversed);
        let rest = self.g.carry(reversed, left, d, next_left);
        let first = self.g.carry(reversed, first, e.hi, next_first);
        self.g.push(Stmt::Loop(reversed));
        self.g.invalidate();
        (first, rest)
    }

    /// An adjoint of what an iteration compares with is passed on.
    fn pass_on(&mut self, e: &Extremum, at: Id, d: Id) {
        let start = self.g.region(self.g.here()).stmts.len();
        let value = self.again(e.value, &mut Map::from_iter([(e.index, at)]));
        let stmts = self.g.region(self.g.here()).stmts[start..].to_vec();
        self.add(value, d);
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
    }

    /// Opens a region that computes what it needs, and its adjoints.
    fn open_side(&mut self) -> RegionId {
        let region = self.g.open();
        self.frames.push(Frame {
            primal: region,
            region,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });
        region
    }

    /// Closes it, and answers with the adjoints of values from outside.
    fn close_side(&mut self) -> BTreeMap<Id, Id> {
        self.g.close();
        self.frames.pop().map(|f| f.adjoint).unwrap_or_default()
    }

    fn compare(&mut self, op: proc_macro2::TokenStream, a: Id, b: Id) -> Id {
        let ty = self.g.bool_ty();
        self.g.opaque_binary(op, a, b, ty, true)
    }
}
