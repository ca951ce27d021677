//! Loops, and the ways out of them and of functions.
//!
//! A `break`, `continue` or `return` sets a flag and ends its path; what follows in the block is guarded by the flags that
//! may have been set. Flags are variables like any other, so branches and loops carry them, and the backward pass finds
//! each decision as a recorded value.

use super::value::{Borrow, Val, View};
use super::{Lower, VarId};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Count, Id, Init, Node, Stmt};
use crate::types::Kind;
use proc_macro2::Span;
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};

/// An open loop: the variables of outer scope that it has read or written, with their values on entry and their phis.
#[derive(Default)]
pub struct Frame {
    synced: Vec<(VarId, Val, Val)>,
}

/// Somewhere to leave to.
pub struct Target {
    pub kind: TargetKind,
    pub label: Option<String>,
    /// Whether this path has left to it.
    pub flag: VarId,
    /// What `break value` or `return value` gives.
    pub result: VarId,
    /// Where it was made: an array from further inside does not live until there.
    pub region: crate::graph::RegionId,
    /// A value whose arrays are those that `break value` and `return value` copy into.
    pub slots: Option<Val>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    Break,
    /// Of a loop that the user does not see: one of several that an iterator stands for.
    Hidden,
    Continue,
    Block,
    Function,
}

impl Lower<'_> {
    /// Makes sure that a variable of an outer loop level is a phi of every loop between.
    pub(super) fn sync(&mut self, var: VarId) {
        let v = &self.vars[var.0];
        if v.frame == self.frames.len() {
            return;
        }
        let from = v.frame;
        self.vars[var.0].frame = self.frames.len();
        if !self.vars[var.0].mutable {
            return;
        }
        for level in from..self.frames.len() {
            let before = self.vars[var.0].val.clone();
            let name = self.vars[var.0].name.clone();
            let body = self.frame_regions[level];
            // What a `None` may hold later is taken for a scalar, unless its type is written.
            let assumed = self.held_later(before.clone());
            let phi = assumed.map(&mut |id| {
                let ty = self.g.ty(id);
                // The loop is not made yet: `carry` says later which it is.
                let phi =
                    self.g
                        .bound(Node::Phi(crate::graph::LoopId(u32::MAX), 0), ty, Some(body));
                self.g.nodes[phi.0 as usize].name = Some(name.clone());
                phi
            });
            self.frames[level].synced.push((var, before, phi.clone()));
            self.vars[var.0].val = phi;
        }
    }

    /// The same, with a scalar for what is not known of a `None`.
    fn held_later(&mut self, val: Val) -> Val {
        match val {
            Val::Opt(some, inner) if matches!(*inner, Val::Uninit) => {
                let ty = self.g.types.fresh(Kind::Unknown);
                Val::Opt(some, Box::new(Val::Num(self.undef_of(ty))))
            }
            Val::Opt(some, inner) => Val::Opt(some, Box::new(self.held_later(*inner))),
            Val::Tuple(ref all) | Val::Struct(_, ref all) => {
                let parts = all.iter().map(|v| self.held_later(v.clone()));
                val.rebuilt(parts.collect())
            }
            val => val,
        }
    }

    /// What a `None` taken for a scalar holds before the loop and at the end of an iteration.
    fn none_as(&mut self, phi: Id, now: &Val) -> Option<(Val, Val)> {
        let init = Val::Num(self.undef(phi));
        match now {
            Val::Uninit => Some((init.clone(), init)),
            Val::Num(next) => {
                let (a, b) = (self.g.ty(phi), self.g.ty(*next));
                self.g.types.unify(a, b);
                Some((init, now.clone()))
            }
            _ => None,
        }
    }

    // ---- targets ----

    pub(super) fn push_target(&mut self, kind: TargetKind, label: Option<String>) -> usize {
        let no = self.g.bool_const(false);
        let flag = self.new_var("left".into(), Val::Num(no), true);
        let result = self.new_var("result".into(), Val::Uninit, true);
        self.targets.push(Target {
            kind,
            label,
            flag,
            result,
            region: self.g.here(),
            slots: None,
        });
        self.targets.len() - 1
    }

    /// Leaves to a target.
    pub(super) fn leave(&mut self, target: usize, val: Option<Val>) -> Result<()> {
        if let Some(mut val) = val {
            if val.has_arrays() {
                let slots = match self.targets[target].slots.clone() {
                    Some(slots) => slots,
                    None => self.slots_at(target, &val)?,
                };
                val = self.moved_into(&slots, val)?;
                self.targets[target].slots = Some(slots);
            }
            let result = self.targets[target].result;
            self.write(result, val);
        }
        let yes = self.g.bool_const(true);
        let flag = self.targets[target].flag;
        self.write(flag, Val::Num(yes));
        self.exits.insert(target);
        self.dead = true;
        Ok(())
    }

    /// Whether none of the targets has been left to.
    pub(super) fn still_here(&mut self, exits: &BTreeSet<usize>) -> Id {
        let mut here: Option<Id> = None;
        for &t in exits {
            let flag = self.targets[t].flag;
            let Val::Num(left) = self.read(flag) else {
                continue;
            };
            let stayed = self.g.not(left);
            here = Some(match here {
                None => stayed,
                Some(other) => {
                    let ty = self.g.bool_ty();
                    self.g.opaque_binary(quote!(&&), other, stayed, ty, false)
                }
            });
        }
        here.unwrap_or_else(|| self.g.bool_const(true))
    }

    /// Closes a target around a value: what was given on leaving, or the value where nothing left.
    pub(super) fn join_target(&mut self, target: usize, val: Result<Val>) -> Result<Val> {
        let dead = self.dead;
        let left = self.exits.contains(&target);
        if left {
            self.dead = false;
        }
        let (flag, result, slots) = {
            let t = &self.targets[target];
            (t.flag, t.result, t.slots.clone())
        };
        self.exits.remove(&target);
        let out = match val {
            Err(e) => Err(e),
            Ok(val) if !left => match slots {
                Some(slots) if !dead => self.moved_into(&slots, val),
                _ => Ok(val),
            },
            Ok(_) if dead => Ok(self.result_value(result)),
            Ok(val) => {
                let here = self.read(flag);
                let left = self.num(here, quote!())?;
                let given = self.result_value(result);
                self.branch(
                    left,
                    |_| Ok(given),
                    |l| match slots {
                        Some(slots) => l.moved_into(&slots, val),
                        None => Ok(val),
                    },
                )
            }
        };
        self.targets.truncate(target);
        out
    }

    /// A value of the form of `like` whose arrays are where the target is.
    fn slots_at(&mut self, target: usize, like: &Val) -> Result<Val> {
        match like {
            Val::View(view) => Ok(Val::View(self.array_at(target, view)?)),
            Val::Tuple(all) | Val::Struct(_, all) => {
                let slots: Result<Vec<Val>> =
                    all.iter().map(|v| self.slots_at(target, v)).collect();
                Ok(like.rebuilt(slots?))
            }
            Val::Opt(some, inner) => {
                let inner = self.slots_at(target, inner)?;
                Ok(Val::Opt(*some, Box::new(inner)))
            }
            other => Ok(other.clone()),
        }
    }

    /// Copies the arrays of a value to where they outlive what is left.
    fn moved_into(&mut self, slots: &Val, val: Val) -> Result<Val> {
        match (slots, val) {
            (Val::View(to), Val::View(from)) => {
                self.copy_view(to, &from)?;
                Ok(Val::View(to.clone()))
            }
            (Val::Tuple(slots) | Val::Struct(_, slots), val)
                if val.parts().is_some_and(|p| p.len() == slots.len()) =>
            {
                let parts = val.parts().unwrap_or_default().to_vec();
                let moved: Result<Vec<Val>> = slots
                    .iter()
                    .zip(parts)
                    .map(|(s, v)| self.moved_into(s, v))
                    .collect();
                Ok(val.rebuilt(moved?))
            }
            (Val::Opt(_, slot), Val::Opt(some, inner)) => {
                let inner = self.moved_into(slot, *inner)?;
                Ok(Val::Opt(some, Box::new(inner)))
            }
            (_, val) if val.has_arrays() => {
                let span = self.g.span.unwrap_or_else(Span::call_site);
                Err(self.errors.reject_at(span, &errors::BRANCH_ARRAY, ""))
            }
            (_, val) => Ok(val),
        }
    }

    /// An array where the target is, into which what is given on leaving is copied.
    fn array_at(&mut self, target: usize, like: &View) -> Result<View> {
        let shape = self.view_shape(like);
        if !shape.is_fixed() || like.window.is_some() {
            let span = self.g.span.unwrap_or_else(Span::call_site);
            return Err(self.errors.reject_at(span, &errors::BRANCH_ARRAY, ""));
        }
        let region = self.targets[target].region;
        let array = self
            .g
            .new_array("result", shape, Init::Zeros, Span::call_site());
        self.g.array_mut(array).region = Some(region);
        // What is being left is not a statement of that region yet: this comes before it.
        self.g.region_mut(region).stmts.push(Stmt::Declare(array));
        let place = crate::graph::Place {
            array,
            path: Vec::new(),
        };
        Ok(View {
            place,
            window: None,
            borrow: Borrow::Own,
        })
    }

    fn result_value(&mut self, result: VarId) -> Val {
        match self.read(result) {
            Val::Uninit => Val::Unit,
            val => val,
        }
    }

    /// The body of a function or closure, with `return` as a way out of it.
    pub(super) fn function_body(&mut self, block: &syn::Block) -> Result<Val> {
        let target = self.push_target(TargetKind::Function, None);
        let val = self.block(block);
        self.join_target(target, val)
    }

    // ---- branches ----

    /// A loop: `count` is made inside the body's region, where its index lives.
    pub(super) fn looped(
        &mut self,
        label: Option<String>,
        span: Span,
        count: impl FnOnce(&mut Self) -> (Count, Option<Id>),
        body: impl FnOnce(&mut Self, Option<Id>) -> Result<()>,
    ) -> Result<Val> {
        let outer_exits = std::mem::take(&mut self.exits);
        let (no_break, no_continue) = std::mem::take(&mut self.hidden);
        let kind = |hidden: bool, kind| if hidden { TargetKind::Hidden } else { kind };
        let target = self.push_target(kind(no_break, TargetKind::Break), label.clone());
        self.g.invalidate();
        let region = self.g.open();
        self.frames.push(Frame::default());
        self.frame_regions.push(region);
        self.journals.push(BTreeMap::new());
        let (count, index) = count(self);
        // No path that gets here has left: every flag is false when an iteration starts.
        let no = self.g.bool_const(false);
        let flags: Vec<(VarId, Val, usize)> = self
            .targets
            .iter()
            .map(|t| t.flag)
            .map(|f| {
                let v = &mut self.vars[f.0];
                let saved = (f, std::mem::replace(&mut v.val, Val::Num(no)), v.frame);
                v.frame = self.frames.len();
                saved
            })
            .collect();
        let inner = self.push_target(kind(no_continue, TargetKind::Continue), label);
        let done = self.scoped(|l| body(l, index));
        let mut leaving = std::mem::take(&mut self.exits);
        let continued = leaving.remove(&inner);
        let always_leaves = self.dead && !continued;
        self.dead = false;
        self.targets.truncate(inner);
        let again = if leaving.is_empty() {
            None
        } else if always_leaves {
            Some(self.g.bool_const(false))
        } else {
            Some(self.still_here(&leaving))
        };
        self.journals.pop();
        let frame = self.frames.pop().unwrap_or_default();
        self.frame_regions.pop();
        self.g.close();
        let forever = matches!(count, Count::Forever);
        let looped = self.g.new_loop(count, region, span);
        self.g.looped_mut(looped).again = again;
        if let Some(index) = index {
            self.g.nodes[index.0 as usize].node = Node::Index(looped);
        }
        let level = self.frames.len();
        // Flags set in the body are carried out; the others are as they were.
        for (flag, before, at) in flags {
            let now = std::mem::replace(&mut self.vars[flag.0].val, before.clone());
            self.vars[flag.0].frame = at;
            let set = leaving.iter().any(|&t| self.targets[t].flag == flag);
            if let (true, Val::Num(next), Val::Num(_)) = (set, &now, &before) {
                let ty = self.g.bool_ty();
                let phi = self.g.bound(Node::Phi(looped, 0), ty, Some(region));
                let init = self.g.bool_const(false);
                let out = self.g.carry(looped, phi, init, *next);
                self.write(flag, Val::Num(out));
            }
        }
        for (var, before, phi) in frame.synced {
            let now = self.vars[var.0].val.clone();
            self.vars[var.0].frame = level;
            let out = self.close_phi(looped, region, &before, &phi, &now);
            self.vars[var.0].val = before;
            if let Some(out) = out {
                self.write(var, out);
            }
        }
        if self.stores(region) {
            self.g.invalidate();
        }
        self.g.push(Stmt::Loop(looped));
        let broke = leaving.remove(&target);
        self.exits = &outer_exits | &leaving;
        if forever {
            if again.is_none() {
                // What was not understood may have left.
                return Err(if self.errors.is_empty() {
                    self.errors.reject_at(span, &errors::ENDLESS, "")
                } else {
                    Rejected
                });
            }
            self.dead = !broke;
        }
        let result = self.targets[target].result;
        let val = if broke {
            self.result_value(result)
        } else {
            Val::Unit
        };
        self.targets.truncate(target);
        done.map(|()| val)
    }

    /// Completes the phis of one variable; its value after the loop, or `None` if the loop never changes it.
    fn close_phi(
        &mut self,
        looped: crate::graph::LoopId,
        region: crate::graph::RegionId,
        before: &Val,
        phi: &Val,
        now: &Val,
    ) -> Option<Val> {
        match (before, phi, now) {
            (_, _, Val::Poison) => Some(Val::Poison),
            (Val::Num(init), Val::Num(phi), Val::Num(next)) => {
                let next = self.g.resolve(*next);
                if next == *phi {
                    self.g.set_alias(*phi, *init);
                    return None;
                }
                let out = self.g.carry(looped, *phi, *init, next);
                self.g.nodes[out.0 as usize].name = self.g.data(*phi).name.clone();
                Some(Val::Num(out))
            }
            (Val::Tuple(xs), Val::Tuple(ps), Val::Tuple(ns))
            | (Val::Struct(_, xs), Val::Struct(_, ps), Val::Struct(_, ns))
                if xs.len() == ns.len() =>
            {
                let mut changed = false;
                let outs = xs.iter().zip(ps).zip(ns).map(|((x, p), n)| {
                    match self.close_phi(looped, region, x, p, n) {
                        Some(out) => {
                            changed = true;
                            out
                        }
                        None => x.clone(),
                    }
                });
                let outs = outs.collect();
                changed.then(|| before.rebuilt(outs))
            }
            (Val::Opt(s, x), Val::Opt(t, p), Val::Opt(u, n)) => {
                let some =
                    self.close_phi(looped, region, &Val::Num(*s), &Val::Num(*t), &Val::Num(*u));
                let (init, next) = match (&**x, &**p) {
                    (Val::Uninit, Val::Num(phi)) => match self.none_as(*phi, n) {
                        Some(both) => both,
                        None => {
                            let span = self.g.looped(looped).span;
                            self.errors.reject_at(span, &errors::NONE, "");
                            return Some(Val::Poison);
                        }
                    },
                    _ => ((**x).clone(), (**n).clone()),
                };
                let val = self.close_phi(looped, region, &init, p, &next);
                if some.is_none() && val.is_none() {
                    return None;
                }
                let some = match some {
                    Some(Val::Num(id)) => id,
                    _ => *s,
                };
                Some(Val::Opt(
                    some,
                    Box::new(val.unwrap_or_else(|| (**x).clone())),
                ))
            }
            (Val::Order(l, e), Val::Order(m, f), Val::Order(n, g)) => {
                let pair = |a: &Id, b: &Id| Val::Tuple(vec![Val::Num(*a), Val::Num(*b)]);
                let (before, phi, now) = (pair(l, e), pair(m, f), pair(n, g));
                match self.close_phi(looped, region, &before, &phi, &now)?.parts() {
                    Some([Val::Num(less), Val::Num(equal)]) => Some(Val::Order(*less, *equal)),
                    _ => None,
                }
            }
            (Val::Uninit, _, Val::Uninit) => None,
            (Val::Uninit, _, now) => Some(now.map(&mut |next| {
                let ty = self.g.ty(next);
                let phi = self.g.bound(Node::Phi(looped, 0), ty, Some(region));
                let init = self.undef(next);
                self.g.carry(looped, phi, init, next)
            })),
            (_, phi, now) => {
                let stays = match (phi, now) {
                    (Val::View(x), Val::View(y)) => x.place == y.place && x.window == y.window,
                    (Val::Elem(x), Val::Elem(y)) => x == y,
                    (Val::MutRef(x, p), Val::MutRef(y, q)) => (x, p) == (y, q),
                    (Val::Iter(x), Val::Iter(y)) => std::rc::Rc::ptr_eq(x, y),
                    (Val::Closure(x), Val::Closure(y)) => std::rc::Rc::ptr_eq(x, y),
                    (Val::Path(x), Val::Path(y)) => x == y,
                    (Val::Range(x), Val::Range(y)) => {
                        (x.lo, x.hi, x.inclusive) == (y.lo, y.hi, y.inclusive)
                    }
                    (x, y) => std::mem::discriminant(x) == std::mem::discriminant(y),
                };
                if stays {
                    return None;
                }
                let span = self.g.looped(looped).span;
                self.errors.reject_at(span, &errors::LOOP_VALUE, "");
                Some(Val::Poison)
            }
        }
    }

    /// A fresh loop index of the region being built.
    pub(super) fn index(&mut self, kind: Kind, name: &str) -> Id {
        let ty = self.g.types.fresh(kind);
        let here = self.g.here();
        let id = self
            .g
            .bound(Node::Index(crate::graph::LoopId(u32::MAX)), ty, Some(here));
        self.g.nodes[id.0 as usize].name = Some(name.into());
        id
    }
}
