//! What a checkpointed loop saves: which arrays are part of its state, where the copies live, what a segment starts from.

use super::rerun::Copies;
use super::{PairKind, Reverse};
use crate::checkpoint::{nested, path};
use crate::graph::*;
use crate::shape::Shape;
use quote::quote;
use std::collections::BTreeSet;

/// The state of a loop: what its copy starts from.
pub(super) struct State {
    pub array: ArrayId,
    /// The index at which a segment starts, where it cannot be computed, then the carried scalars, then arrays.
    pub parts: usize,
}

/// A part of the state at a checkpoint.
pub(super) fn saved(state: &State, at: Id, part: usize) -> Place {
    let fields = path(part, state.parts).into_iter().map(Step::Field);
    Place {
        array: state.array,
        path: [Step::Index(at)].into_iter().chain(fields).collect(),
    }
}

/// What a copy of an array is.
fn owned(shape: Shape) -> Shape {
    match shape {
        Shape::Slice(s) => Shape::Vec(s),
        shape => shape,
    }
}

impl Reverse<'_> {
    /// The arrays from outside that the loop changes, and those that it reads and that are not as they were when it is
    /// reversed.
    pub(super) fn arrays_of_state(
        &self,
        looped: LoopId,
        data: &Loop,
    ) -> (Vec<ArrayId>, Vec<ArrayId>) {
        let mut all = BTreeSet::new();
        for stmt in &self.g.region(data.body).stmts {
            crate::access::arrays_of(&self.g, stmt, &mut |a, _| {
                all.insert(a);
            });
        }
        all.retain(|&a| !self.declared_inside(a, &[data.body]));
        let changed = self.order.stored_in_loop(&self.g, looped);
        let (changed, read): (Vec<_>, Vec<_>) = all.into_iter().partition(|a| changed.contains(a));
        let end = self.order.loop_span(looped).1;
        let here = self.g.here();
        let function = |p: &super::Pair| p.kind == PairKind::Function;
        let body = self.pairs.iter().find(|p| function(p)).map(|p| p.primal);
        let unsettled = |a: &ArrayId| {
            let region = self.g.array(*a).region;
            let reachable = region.is_none_or(|r| self.g.encloses(r, here)) || region == body;
            !reachable || self.order.stored_after(*a, end)
        };
        (changed, read.into_iter().filter(unsettled).collect())
    }

    /// Whether each iteration assigns all elements of an array that it reads, before it reads them: then the array is not part
    /// of the state.
    pub(super) fn filled_first(&self, body: &[Stmt], array: ArrayId) -> bool {
        let g = &self.g;
        let data = g.array(array);
        let scalars = |s: &Shape| matches!(s, Shape::Float(_) | Shape::Scalar(_));
        let simple = match &data.shape {
            Shape::Array(s, _) => scalars(s),
            Shape::Vec(s) => scalars(s) && data.len.is_some() && !self.order.grows(array),
            _ => false,
        };
        if !simple {
            return false;
        }
        let touches = |s: &&Stmt| {
            let mut found = false;
            crate::access::arrays_of(g, s, &mut |a, _| found |= a == array);
            found
        };
        let mut all = body.iter().filter(touches);
        let Some(Stmt::Loop(first)) = all.next() else {
            return false;
        };
        let Some((_, lo, hi)) = crate::access::positional(g, *first) else {
            return false;
        };
        if !crate::exchange::fills(g, *first, array) {
            return false;
        }
        let length = crate::access::length_of(g, array);
        let whole = g.integer(lo) == Some(0) && length == Some(crate::access::extent(g, hi));
        whole
            || all.all(|s| match s {
                Stmt::Loop(l) => {
                    crate::exchange::same_positions(g, *first, *l) && self.reads_own(*l, array)
                }
                _ => false,
            })
    }

    /// Whether all that a loop does with an array is to read the element at its index.
    fn reads_own(&self, l: LoopId, array: ArrayId) -> bool {
        let g = &self.g;
        let Some((index, ..)) = crate::access::positional(g, l) else {
            return false;
        };
        g.region(g.looped(l).body).stmts.iter().all(|s| match s {
            Stmt::Let(id) => match g.node(*id) {
                Node::Load(p, _) if p.array == array => {
                    matches!(p.path.as_slice(), [Step::Index(i)]
                        if crate::access::distance(g, *i, index) == Some(0))
                }
                Node::Len(p, _) => p.array != array,
                _ => true,
            },
            s => {
                let mut touched = false;
                crate::access::arrays_of(g, s, &mut |a, _| touched |= a == array);
                !touched
            }
        })
    }

    /// The region in which states live: the innermost around the loop that the backward pass shares.
    fn home(&self, data: &Loop) -> RegionId {
        let mut at = self.parent(data.body);
        let shared = |at| {
            let own = |p: &super::Pair| p.primal == at && p.kind != PairKind::Function;
            !self.pairs.iter().any(own)
        };
        while !shared(at) {
            at = self.parent(at);
        }
        at
    }

    pub(super) fn parent(&self, region: RegionId) -> RegionId {
        self.g.region(region).parent.unwrap_or(RegionId(0))
    }

    /// An array for copies of states, declared where the backward pass sees it.
    fn declare_states(&mut self, looped: LoopId, data: &Loop, name: &str, part: Shape) -> ArrayId {
        let home = self.home(data);
        let shape = Shape::Vec(Box::new(part));
        let array = self.g.new_array(name, shape, Init::Empty, data.span);
        let new = self.g.array_mut(array);
        (new.region, new.saves, new.mutated) = (Some(home), Some(looped), true);
        let at = (self.g.region(home).stmts.iter())
            .position(|s| self.holds(s, data.body))
            .unwrap_or(0);
        let stmts = &mut self.g.region_mut(home).stmts;
        stmts.insert(at, Stmt::Declare(array));
        array
    }

    /// Whether a region is inside of a statement.
    fn holds(&self, stmt: &Stmt, region: RegionId) -> bool {
        match stmt {
            Stmt::Loop(l) => self.g.encloses(self.g.looped(*l).body, region),
            Stmt::If(b) => [self.g.branch(*b).then, self.g.branch(*b).otherwise]
                .iter()
                .any(|&r| self.g.encloses(r, region)),
            _ => false,
        }
    }

    /// Copies an array once, before the loop.
    pub(super) fn save_once(&mut self, looped: LoopId, data: &Loop, array: ArrayId) -> ArrayId {
        let whole = self.g.array(array).clone();
        let held = self.declare_states(looped, data, &whole.name, owned(whole.shape));
        let part = Element::Part(Place {
            array,
            path: Vec::new(),
        });
        self.insert_before(data, vec![Stmt::Save(held, part)]);
        held
    }

    pub(super) fn insert_before(&mut self, data: &Loop, new: Vec<Stmt>) {
        let parent = self.parent(data.body);
        let at = (self.g.region(parent).stmts.iter()).position(|s| self.holds(s, data.body));
        let stmts = &mut self.g.region_mut(parent).stmts;
        let at = at.unwrap_or(0);
        stmts.splice(at..at, new);
    }

    /// Makes the loop save its state every so many iterations.
    pub(super) fn save_states(
        &mut self,
        looped: LoopId,
        data: &Loop,
        every: Id,
        changed: &[ArrayId],
    ) -> State {
        let mut parts = Vec::new();
        let mut scalar = |r: &Self, id: Id| {
            parts.push((Element::Scalar(id), Shape::Scalar(r.g.ty(id))));
        };
        match &data.count {
            Count::Range { index, .. } | Count::Stepped { index, .. } => scalar(self, *index),
            // Nothing is a state too; it is left out where nobody reads it.
            Count::Forever | Count::Replay(_) => scalar(self, every),
        }
        for c in &data.carried {
            scalar(self, c.phi);
        }
        for &array in changed {
            let path = Vec::new();
            let shape = owned(self.g.array(array).shape.clone());
            parts.push((Element::Part(Place { array, path }), shape));
        }
        let count = parts.len();
        let (elements, shapes): (Vec<Element>, Vec<Shape>) = parts.into_iter().unzip();
        let element = nested(elements, Element::Tuple);
        let array = self.declare_states(looped, data, "states", nested(shapes, Shape::Tuple));
        if self.home(data) == self.parent(data.body) {
            self.g.array_mut(array).len = Some(every);
        }

        // `if left == 0 { save; left = every } left -= 1`, first thing in an iteration.
        let old = self.g.region(data.body).stmts.len();
        self.g.enter(data.body);
        let (usize_ty, bool_ty) = (self.g.usize_ty(), self.g.bool_ty());
        let left = self
            .g
            .bound(Node::Phi(looped, 0), usize_ty, Some(data.body));
        self.g.nodes[left.0 as usize].name = Some("left".into());
        let zero = self.g.usize_const(0);
        let due = self.g.opaque_binary(quote!(==), left, zero, bool_ty, true);
        let then = self.g.open();
        self.g.push(Stmt::Save(array, element));
        self.g.close();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(due, then, otherwise);
        let fresh = self.g.yield_from(branch, every, left);
        self.g.push(Stmt::If(branch));
        let one = self.g.usize_const(1);
        let next = self.g.opaque_binary(quote!(-), fresh, one, usize_ty, false);
        self.g.close();
        let stmts = &mut self.g.region_mut(data.body).stmts;
        let added = stmts.len() - old;
        stmts.rotate_right(added);
        self.g.carry(looped, left, zero, next);
        State {
            array,
            parts: count,
        }
    }

    /// A copy of an array as it was, or of one that will be filled: what happens to it has the adjoint of the array itself.
    pub(super) fn restore_array(&mut self, array: ArrayId, from: Option<Place>, c: &mut Copies) {
        let data = self.g.array(array).clone();
        let len = data.len.filter(|_| from.is_none());
        let init = from.map_or(Init::Zeros, Init::Copy);
        let shape = owned(data.shape);
        let copy = self.g.declare(&data.name, shape, init, data.span);
        self.g.array_mut(copy).len = len;
        self.g.array_mut(copy).mutated = true;
        self.note_array(array, copy, c);
        if let Some(&shadow) = self.shadows.get(&array) {
            self.shadows.insert(copy, shadow);
        }
    }
}
