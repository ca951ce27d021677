//! Branches, and the variables that they change.
//!
//! In: a condition and two sides. Out: an `if` whose yields are the new values of what either side changed. What must hold: values that
//! are merged are made alike on both sides; what cannot be is rejected where the variable is named.

use super::value::{Borrow, Val, View};
use super::{Lower, VarId};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Id, Init, Node, Stmt};
use proc_macro2::Span;
use std::collections::{BTreeMap, BTreeSet};

impl Lower<'_> {
    /// Runs one of two pieces of code; variables that they write and their values become what the branch yields.
    pub(super) fn branch(
        &mut self,
        cond: Id,
        then: impl FnOnce(&mut Self) -> Result<Val>,
        otherwise: impl FnOnce(&mut Self) -> Result<Val>,
    ) -> Result<Val> {
        match self.g.opaque_text(cond).as_deref() {
            Some("true") => return then(self),
            Some("false") => return otherwise(self),
            _ => {}
        }
        let before = std::mem::take(&mut self.exits);
        let (a_region, a, a_writes, a_dead, a_exits) = self.side(then);
        let (b_region, b, b_writes, b_dead, b_exits) = self.side(otherwise);
        let branch = self.g.new_if(cond, a_region, b_region);
        self.exits = &(&before | &a_exits) | &b_exits;
        self.dead = a_dead && b_dead;
        let vars: BTreeSet<VarId> = a_writes.keys().chain(b_writes.keys()).copied().collect();
        let mut merged = Vec::new();
        for var in vars {
            let old = self.vars[var.0].val.clone();
            let x = a_writes.get(&var).unwrap_or(&old).clone();
            let y = b_writes.get(&var).unwrap_or(&old).clone();
            merged.push((var, self.merge(branch, cond, &x, &y)));
        }
        let result = match (a, b) {
            (Ok(a), Ok(b)) => {
                let (a, b) = (
                    if a_dead { Val::Uninit } else { a },
                    if b_dead { Val::Uninit } else { b },
                );
                self.merge_result(branch, cond, &a, &b)
            }
            _ => Err(Rejected),
        };
        if self.stores(a_region) || self.stores(b_region) {
            self.g.invalidate();
        }
        self.g.push(Stmt::If(branch));
        for (var, val) in merged {
            match val {
                Ok(val) => self.write(var, val),
                Err(Rejected) => self.write(var, Val::Poison),
            }
        }
        result
    }

    #[allow(clippy::type_complexity)]
    pub(super) fn side(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<Val>,
    ) -> (
        crate::graph::RegionId,
        Result<Val>,
        BTreeMap<VarId, Val>,
        bool,
        BTreeSet<usize>,
    ) {
        let region = self.g.open();
        self.journals.push(BTreeMap::new());
        self.dead = false;
        self.exits.clear();
        let val = self.scoped(f);
        let mut writes = BTreeMap::new();
        for (var, old) in self.journals.pop().unwrap_or_default() {
            writes.insert(var, std::mem::replace(&mut self.vars[var.0].val, old));
        }
        self.g.close();
        (
            region,
            val,
            writes,
            std::mem::take(&mut self.dead),
            std::mem::take(&mut self.exits),
        )
    }

    /// Whether a region, or one inside it, stores to an array.
    pub(super) fn stores(&self, region: crate::graph::RegionId) -> bool {
        self.g.region(region).stmts.iter().any(|s| match s {
            Stmt::Store { .. }
            | Stmt::Copy { .. }
            | Stmt::Clear(_)
            | Stmt::Swap(..)
            | Stmt::Push(..)
            | Stmt::Save(..)
            | Stmt::Pop(..) => true,
            Stmt::If(i) => {
                self.stores(self.g.branch(*i).then) || self.stores(self.g.branch(*i).otherwise)
            }
            Stmt::Loop(l) => self.stores(self.g.looped(*l).body),
            _ => false,
        })
    }

    pub(super) fn merge(
        &mut self,
        branch: crate::graph::IfId,
        cond: Id,
        a: &Val,
        b: &Val,
    ) -> Result<Val> {
        Ok(match (a, b) {
            (Val::Poison, _) | (_, Val::Poison) => Val::Poison,
            (Val::Num(x), Val::Num(y)) => Val::Num(self.merge_scalar(branch, cond, *x, *y)),
            (Val::Uninit, Val::Uninit) => Val::Uninit,
            (Val::Unit, _) | (_, Val::Unit) => Val::Unit,
            (Val::Tuple(xs), Val::Tuple(ys)) | (Val::Struct(_, xs), Val::Struct(_, ys))
                if xs.len() == ys.len() =>
            {
                let all: Result<Vec<Val>> = xs
                    .iter()
                    .zip(ys)
                    .map(|(x, y)| self.merge(branch, cond, x, y))
                    .collect();
                a.rebuilt(all?)
            }
            (Val::Opt(s, x), Val::Opt(t, y)) => {
                let some = self.merge_scalar(branch, cond, *s, *t);
                Val::Opt(some, Box::new(self.merge(branch, cond, x, y)?))
            }
            (Val::Order(l, e), Val::Order(m, f)) => {
                let less = self.merge_scalar(branch, cond, *l, *m);
                Val::Order(less, self.merge_scalar(branch, cond, *e, *f))
            }
            (Val::View(x), Val::View(y)) if x.place == y.place && x.window == y.window => a.clone(),
            (Val::Elem(x), Val::Elem(y)) if x == y => a.clone(),
            (Val::MutRef(x, p), Val::MutRef(y, q)) if (x, p) == (y, q) => a.clone(),
            (Val::Uninit, other) | (other, Val::Uninit) => {
                // The side that left, or has no value: whatever it yields is never read.
                let from_a = matches!(b, Val::Uninit);
                other.map(&mut |id| {
                    let undef = self.undef(id);
                    if from_a {
                        self.merge_scalar(branch, cond, id, undef)
                    } else {
                        self.merge_scalar(branch, cond, undef, id)
                    }
                })
            }
            _ => {
                return Err(self.errors.reject_at(
                    self.g.span.unwrap_or_else(Span::call_site),
                    &errors::BRANCH_ARRAY,
                    "",
                ));
            }
        })
    }

    pub(super) fn merge_scalar(
        &mut self,
        branch: crate::graph::IfId,
        cond: Id,
        x: Id,
        y: Id,
    ) -> Id {
        let (x, y) = (self.g.resolve(x), self.g.resolve(y));
        if x == y {
            return x;
        }
        let bits = |g: &crate::graph::Graph, id| g.constant(id).map(f64::to_bits);
        if let (Some(a), Some(b)) = (bits(&self.g, x), bits(&self.g, y))
            && a == b
        {
            let (ta, tb) = (self.g.ty(x), self.g.ty(y));
            self.g.types.unify(ta, tb);
            return x;
        }
        match (
            self.g.opaque_text(x).as_deref(),
            self.g.opaque_text(y).as_deref(),
        ) {
            (Some("true"), Some("false")) => return cond,
            (Some("false"), Some("true")) => return self.g.not(cond),
            (Some("true"), Some("true")) | (Some("false"), Some("false")) => return x,
            _ => {}
        }
        let out = self.g.yield_from(branch, x, y);
        let name = self
            .g
            .data(x)
            .name
            .clone()
            .or_else(|| self.g.data(y).name.clone());
        self.g.nodes[out.0 as usize].name = name;
        out
    }

    /// The value of a branch; arrays are copied into one that outlives it.
    pub(super) fn merge_result(
        &mut self,
        branch: crate::graph::IfId,
        cond: Id,
        a: &Val,
        b: &Val,
    ) -> Result<Val> {
        // Part by part; a side that has left has no parts.
        let parts = |v: &Val, n: usize| match v {
            Val::Uninit => Some(vec![Val::Uninit; n]),
            _ => v.parts().map(<[Val]>::to_vec),
        };
        let whole = if matches!(a, Val::Uninit) { b } else { a };
        let count = whole.parts().map_or(0, <[Val]>::len);
        if whole.has_arrays()
            && count > 0
            && let (Some(xs), Some(ys)) = (parts(a, count), parts(b, count))
            && xs.len() == ys.len()
        {
            let all: Result<Vec<Val>> = xs
                .iter()
                .zip(&ys)
                .map(|(x, y)| self.merge_result(branch, cond, x, y))
                .collect();
            return Ok(whole.rebuilt(all?));
        }
        let inside = |l: &Self, v: &View| {
            let sides = [l.g.branch(branch).then, l.g.branch(branch).otherwise];
            let array = l.g.array(v.place.array).region;
            array.is_some_and(|r| sides.iter().any(|&s| l.g.encloses(s, r)))
        };
        let sides = match (a, b) {
            (Val::View(x), Val::View(y)) if x.place == y.place && x.window == y.window => {
                return Ok(a.clone());
            }
            (Val::View(x), Val::View(y)) => vec![(true, x), (false, y)],
            // The other side has left; what this one made must outlive the branch.
            (Val::View(x), Val::Uninit) if inside(self, x) => vec![(true, x)],
            (Val::Uninit, Val::View(y)) if inside(self, y) => vec![(false, y)],
            _ => return self.merge(branch, cond, a, b),
        };
        let shape = self.view_shape(sides[0].1);
        for (_, view) in &sides {
            let other = self.view_shape(view);
            self.unify_shapes(&shape, &other);
        }
        if !shape.is_fixed() || sides.iter().any(|(_, v)| v.window.is_some()) {
            return Err(self.errors.reject_at(
                self.g.span.unwrap_or_else(Span::call_site),
                &errors::BRANCH_ARRAY,
                "",
            ));
        }
        let array = self
            .g
            .declare("chosen", shape, Init::Zeros, Span::call_site());
        self.g.array_mut(array).mutated = true;
        let to = crate::graph::Place {
            array,
            path: Vec::new(),
        };
        for (then, from) in sides {
            let b = self.g.branch(branch);
            let region = if then { b.then } else { b.otherwise };
            let copy = Stmt::Copy {
                to: to.clone(),
                from: from.place.clone(),
                add: false,
            };
            self.g.region_mut(region).stmts.push(copy);
        }
        Ok(Val::View(View {
            place: to,
            window: None,
            borrow: Borrow::Own,
        }))
    }

    /// A value that is never read, of the type of another.
    pub(super) fn undef(&mut self, like: Id) -> Id {
        let ty = self.g.ty(like);
        self.undef_of(ty)
    }

    pub(super) fn undef_of(&mut self, ty: crate::types::Ty) -> Id {
        let k = self.g.nodes.len() as u32;
        self.g.bound(Node::Undef(k), ty, None)
    }
}
