//! Loops too short to have a middle: element by element, each term where it exists.
//!
//! In: a plan, and how it is built. Out: the gathered loop for any number of iterations, none included. What must hold: nothing is read
//! that an iteration which does not run would have read.

use super::build::{At, Builder, shift};
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use quote::quote;

impl Builder<'_> {
    /// Every element there is, each term where it exists: for loops too short to have a middle.
    pub(super) fn few(&mut self, whole: bool) {
        let plan = self.plan;
        if let Some(zeroed) = plan.zeroed {
            self.g.push(Stmt::Loop(zeroed));
        }
        if whole {
            let path = Vec::new();
            self.g.clear(Place {
                array: plan.array,
                path,
            });
        }
        // The bounds of an empty loop may not be indices.
        let ty = self.g.bool_ty();
        let runs = self.g.opaque_binary(quote!(<), plan.lo, plan.hi, ty, true);
        let then = self.g.open();
        let (from, to) = (
            At::of(plan.lo).plus(plan.min),
            At::of(plan.hi).plus(plan.max),
        );
        self.looped(
            from,
            to,
            |_, _| {},
            |b, j, _| {
                for k in 0..plan.terms.len() {
                    b.term_where_it_exists(k, j);
                }
            },
        );
        self.g.close();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(runs, then, otherwise);
        self.g.push(Stmt::If(branch));
    }

    fn term_where_it_exists(&mut self, k: usize, element: Id) {
        let plan = self.plan;
        let (d, value) = (plan.terms[k].distance, plan.terms[k].value);
        let first = shift(self.g, plan.lo, d);
        let end = shift(self.g, plan.hi, d);
        let compare = |b: &mut Self, op, x, y| {
            let ty = b.g.bool_ty();
            b.g.opaque_binary(op, x, y, ty, true)
        };
        let above = compare(self, quote!(>=), element, first);
        let below = compare(self, quote!(<), element, end);
        let exists = compare(self, quote!(&&), above, below);
        let then = self.g.open();
        let at = At::of(element).plus(-d);
        if plan.reads_tape && d == plan.anchor {
            self.read_tape(at);
        }
        let place = self.element(At::of(element));
        let term = match self.uses_left(value) {
            false => self.copy(value, at, &mut Map::default()),
            true => {
                let i = self.node(at);
                let start = match plan.rev {
                    false => plan.lo,
                    true => shift(self.g, plan.hi, -1),
                };
                self.either_left(value, at, i, start)
            }
        };
        self.g.store(place, term, true);
        self.g.close();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(exists, then, otherwise);
        self.g.push(Stmt::If(branch));
    }

    /// A term of an iteration that may be the first: where it is, what is left to it is the initial value.
    fn either_left(&mut self, value: Id, at: At, i: Id, start: Id) -> Id {
        let ty = self.g.bool_ty();
        let is_first = self.g.opaque_binary(quote!(==), i, start, ty, true);
        let then = self.g.open();
        let mut done: Map<(Id, At), Id> = Map::default();
        for (phi, (init, _)) in &self.plan.left {
            done.insert((*phi, at), *init);
        }
        let a = self.copy(value, at, &mut done);
        self.g.close();
        let otherwise = self.g.open();
        let b = self.copy(value, at, &mut Map::default());
        self.g.close();
        let branch = self.g.new_if(is_first, then, otherwise);
        self.g.push(Stmt::If(branch));
        self.g.yield_from(branch, a, b)
    }

    /// Whether a value is computed from what the iteration before has left.
    fn uses_left(&self, value: Id) -> bool {
        let mut todo = vec![self.g.resolve(value)];
        let mut seen = Set::default();
        while let Some(id) = todo.pop() {
            if self.plan.left.contains_key(&id) {
                return true;
            }
            if self.bound.contains(&id) && seen.insert(id) {
                todo.extend(self.g.operands(id));
            }
        }
        false
    }
}
