//! Sums of exponentials: written out, or run up by a loop.
//!
//! In: a sum. Out: its exponents' largest, and the sum with each exponent less that. What must hold: the passes that find the largest
//! read what the loop read: the arrays at the same version, the same elements in the same order.

use super::copies::{Slice, count_index};
use super::{Shifted, Stabilize};
use crate::graph::*;
use crate::rules::Op;
use crate::stable::applied;
use crate::types::Ty;
use quote::quote;

impl Stabilize<'_> {
    /// `u` of `exp(u)`.
    pub(super) fn exponent(&mut self, id: Id) -> Option<Id> {
        let id = self.element(id);
        applied(self.g, id, Op::Exp).map(|u| u[0])
    }

    pub(super) fn sum_of_exponentials(&mut self, s: Id) -> Option<Shifted> {
        let s = self.g.resolve(s);
        if self.safe.contains(&s) {
            return None;
        }
        if let Some(&known) = self.shifted.get(&s) {
            let here = self.anchor.0;
            let seen = |id| {
                self.g
                    .data(id)
                    .region
                    .is_none_or(|r| self.g.encloses(r, here))
            };
            if seen(known.shift) && seen(known.sum) {
                return Some(known);
            }
        }
        let shifted = match self.g.node(s).clone() {
            Node::Apply(Op::Add, _) => self.written_out(s)?,
            Node::LoopOut(l, slot) => self.run_up(l, slot)?,
            _ => return None,
        };
        self.safe.insert(shifted.sum);
        self.shifted.insert(s, shifted);
        Some(shifted)
    }

    /// `exp(a) + exp(b) + 1 + …`
    pub(super) fn written_out(&mut self, s: Id) -> Option<Shifted> {
        let mut exponents = Vec::new();
        let mut todo = vec![s];
        while let Some(id) = todo.pop() {
            if let Some(terms) = applied(self.g, id, Op::Add) {
                todo.extend(terms.iter().rev());
            } else if self.is(id, 1.0) {
                exponents.push(self.g.lit_like(0.0, id));
            } else {
                exponents.push(self.exponent(id)?);
            }
        }
        let ty = self.g.ty(s);
        let mut largest = exponents[0];
        for &u in &exponents[1..] {
            largest = self.before(|g| greater(g, largest, u, ty));
        }
        let shift = self.before(|g| finite(g, largest, ty));
        let mut sum = None;
        for &u in &exponents {
            let below = self.op(Op::Sub, &[u, shift]);
            let e = self.op(Op::Exp, &[below]);
            sum = Some(match sum {
                Some(so_far) => self.op(Op::Add, &[so_far, e]),
                None => e,
            });
        }
        Some(Shifted { shift, sum: sum? })
    }

    /// `s += exp(u)` in a loop: one loop for the largest exponent, one for the sum, beside the loop as written.
    pub(super) fn run_up(&mut self, l: LoopId, slot: u32) -> Option<Shifted> {
        let data = self.g.looped(l).clone();
        let carried = &data.carried[slot as usize];
        let (Count::Range { .. }, None) = (&data.count, data.again) else {
            return None;
        };
        self.g.constant(carried.init).filter(|&v| v == 0.0)?;
        let terms = applied(self.g, carried.next, Op::Add)?;
        let term = match (terms[0] == carried.phi, terms[1] == carried.phi) {
            (true, false) => terms[1],
            (false, true) => terms[0],
            _ => return None,
        };
        let parent = self.g.region(data.body).parent?;
        let mut slice = Slice::new(data.body, parent);
        let index = count_index(&data.count)?;
        slice.map.insert(index, index);
        if !self.repeatable(&slice, term, self.order.loop_span(l).0) {
            return None;
        }
        // The exponent in terms of the loop's index: the term's own, or that of an array's element.
        let is_exp = applied(self.g, term, Op::Exp).is_some();
        let ty = self.g.ty(term);
        let of_element = match self.g.node(term).clone() {
            Node::Load(p, _) if !is_exp => {
                let &(_, value) = self.elementwise.get(&p.array)?;
                applied(self.g, value, Op::Exp)?;
                true
            }
            _ => false,
        };
        if !is_exp && !of_element {
            return None;
        }
        let at = self
            .g
            .region(parent)
            .stmts
            .iter()
            .position(|s| matches!(s, Stmt::Loop(k) if *k == l))?;
        let before = self.g.region(parent).stmts.len();
        self.g.enter(parent);
        let init = self.g.lit(f64::NEG_INFINITY, ty);
        let largest = self.pass(l, term, init, &mut |g, phi, u| greater(g, phi, u, ty));
        let shift = largest.map(|m| finite(self.g, m, ty));
        let init = self.g.lit(0.0, ty);
        let sum = shift.and_then(|m| {
            self.pass(l, term, init, &mut |g, phi, u| {
                let below = g.apply_primal(Op::Sub, &[u, m]);
                let e = g.apply_primal(Op::Exp, &[below]);
                g.apply_primal(Op::Add, &[phi, e])
            })
        });
        self.g.close();
        let new = self.g.region_mut(parent).stmts.split_off(before);
        let (shift, sum) = (shift?, sum?);
        self.g.region_mut(parent).stmts.splice(at + 1..at + 1, new);
        Some(Shifted { shift, sum })
    }

    /// A loop like `l` that carries one scalar, made anew from the exponent of each iteration.
    pub(super) fn pass(
        &mut self,
        l: LoopId,
        term: Id,
        init: Id,
        next: &mut dyn FnMut(&mut Graph, Id, Id) -> Id,
    ) -> Option<Id> {
        let data = self.g.looped(l).clone();
        let Count::Range {
            index,
            lo,
            hi,
            inclusive,
            rev,
        } = data.count
        else {
            return None;
        };
        let body = self.g.open();
        let (index_ty, ty) = (self.g.ty(index), self.g.ty(init));
        let own = self
            .g
            .bound(Node::Index(LoopId(u32::MAX)), index_ty, Some(body));
        let phi = self.g.bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(body));
        let mut slice = Slice::new(data.body, body);
        slice.map.insert(self.g.resolve(index), own);
        let e = match applied(self.g, term, Op::Exp) {
            Some(u) => Some(self.copy(&mut slice, u[0])),
            None => {
                let element = self.copy(&mut slice, term);
                match self.g.node(element).clone() {
                    Node::Load(p, _) => self.exponent_of_element(&p, self.order.loop_span(l).0),
                    _ => None,
                }
            }
        };
        let following = e.map(|e| next(self.g, phi, e));
        self.g.close();
        let count = Count::Range {
            index: own,
            lo,
            hi,
            inclusive,
            rev,
        };
        let looped = self.g.new_loop(count, body, data.span);
        self.g.nodes[own.0 as usize].node = Node::Index(looped);
        let out = self.g.carry(looped, phi, init, following?);
        self.g.push(Stmt::Loop(looped));
        Some(out)
    }

    // ---- arrays of which each element is computed once ----

    pub(super) fn find_elementwise(&mut self, region: RegionId) {
        for stmt in self.g.region(region).stmts.clone() {
            match stmt {
                Stmt::If(b) => {
                    self.find_elementwise(self.g.branch(b).then);
                    self.find_elementwise(self.g.branch(b).otherwise);
                }
                Stmt::Loop(l) => self.find_elementwise(self.g.looped(l).body),
                Stmt::Store {
                    place,
                    value,
                    add: false,
                } => {
                    let own = matches!(place.path.as_slice(), [Step::Index(i)]
                        if self.own_index(region).is_some_and(|k| k == self.g.resolve(*i)));
                    let own = own && self.covers(region, place.array);
                    self.note_elementwise(region, place.array, value, own);
                }
                Stmt::Push(array, value) => {
                    let from_zero = self.bodies.get(&region).is_some_and(|l| {
                        matches!(self.g.looped(*l).count, Count::Range { lo, rev: false, .. } if self.g.integer(lo) == Some(0))
                    });
                    let empty = matches!(self.g.array(array).init, Init::Empty);
                    self.note_elementwise(region, array, value, from_zero && empty);
                }
                _ => {}
            }
        }
    }

    pub(super) fn own_index(&self, body: RegionId) -> Option<Id> {
        count_index(&self.g.looped(*self.bodies.get(&body)?).count)
    }

    /// Whether a loop visits every index of an array.
    pub(super) fn covers(&self, body: RegionId, array: ArrayId) -> bool {
        let Some(l) = self.bodies.get(&body) else {
            return false;
        };
        let Count::Range {
            lo,
            hi,
            inclusive: false,
            ..
        } = self.g.looped(*l).count
        else {
            return false;
        };
        let (data, hi) = (self.g.array(array), self.g.resolve(hi));
        let known = match &data.shape {
            crate::shape::Shape::Array(_, n) => {
                let n = quote!(#n).to_string();
                self.g.opaque_text(hi).is_some_and(|t| t == n)
            }
            _ => data.len.is_some_and(|len| self.g.resolve(len) == hi),
        };
        let counted =
            matches!(self.g.node(hi), Node::Len(p, _) if p.array == array && p.path.is_empty());
        self.g.integer(lo) == Some(0) && (known || counted)
    }

    pub(super) fn note_elementwise(
        &mut self,
        region: RegionId,
        array: ArrayId,
        value: Id,
        own: bool,
    ) {
        let Some(&l) = self.bodies.get(&region) else {
            return;
        };
        // Declared beside the loop, so that it is filled once; filled without a `break`.
        let beside = self.g.array(array).region == self.g.region(region).parent;
        if own && beside && self.order.store_count(array) == 1 && self.g.looped(l).again.is_none() {
            self.elementwise.insert(array, (l, self.g.resolve(value)));
        }
    }

    /// What an element of such an array was computed as, made anew at the anchor where that is a quotient, a sigmoid or
    /// an exponential; otherwise the value itself.
    pub(super) fn element(&mut self, id: Id) -> Id {
        let id = self.g.resolve(id);
        let Node::Load(p, _) = self.g.node(id).clone() else {
            return id;
        };
        let Some(&(_, value)) = self.elementwise.get(&p.array) else {
            return id;
        };
        if !matches!(
            self.g.node(value),
            Node::Apply(Op::Exp | Op::Div | Op::Recip, _)
        ) {
            return id;
        }
        let now = self.order.position(self.anchor.1).unwrap_or(0);
        self.before_all(|s| s.of_element(&p, value, now))
            .unwrap_or(id)
    }

    pub(super) fn exponent_of_element(&mut self, p: &Place, now: usize) -> Option<Id> {
        let &(_, value) = self.elementwise.get(&p.array)?;
        let u = applied(self.g, value, Op::Exp)?[0];
        self.of_element(p, u, now)
    }

    /// A value of the iteration that made an element, in the region being built, for use at a position.
    pub(super) fn of_element(&mut self, p: &Place, value: Id, now: usize) -> Option<Id> {
        let &(l, _) = self.elementwise.get(&p.array)?;
        // Only when all of them are made.
        if now < self.order.loop_span(l).1 {
            return None;
        }
        let [Step::Index(at)] = p.path.as_slice() else {
            return None;
        };
        let (body, here) = (self.g.looped(l).body, self.g.here());
        let index = self.own_index(body)?;
        let at = self.g.resolve(*at);
        let (a, b) = (self.g.ty(at), self.g.ty(index));
        self.g.types.unify(a, b);
        let mut slice = Slice::new(body, here);
        slice.map.insert(index, at);
        let from = self.order.loop_span(l).0;
        self.repeatable(&slice, value, from)
            .then(|| self.copy(&mut slice, value))
    }
}

/// The greater of two, as a constant of the gradient.
pub(super) fn greater(g: &mut Graph, a: Id, b: Id, ty: Ty) -> Id {
    let max = Opaque {
        key: "method max".into(),
        form: OpaqueForm::Method(quote!(max)),
        discrete: true,
    };
    let id = g.opaque(max, &[a, b], ty);
    g.nodes[id.0 as usize].name = Some("largest".into());
    id
}

/// The largest exponent, or 0 where it is infinite and nothing could be taken out.
pub(super) fn finite(g: &mut Graph, largest: Id, ty: Ty) -> Id {
    let bool_ty = g.bool_ty();
    let cond = g.opaque_method("is_finite", &[largest], bool_ty);
    let zero = g.lit(0.0, ty);
    let shift = g.apply_primal(Op::Select, &[cond, largest, zero]);
    g.nodes[shift.0 as usize].name = Some("shift".into());
    shift
}
