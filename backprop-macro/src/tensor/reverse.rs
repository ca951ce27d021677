//! Tensor graph → steps of the backward pass.
//!
//! In: the graph after fusion. Out: [`Step`]s, last value first. Each active value that is no view has one adjoint: a
//! buffer, written by its first contribution and added to by the later ones. A view's adjoint is the same view of its
//! tensor's, so that a product adds to a row of a gradient in place. The adjoint of a map that is only summed is never
//! made: the sum's own is read instead ([`Upstream`]).

use crate::tensor::fuse::{leaves, uses};
use crate::tensor::graph::*;
use crate::tensor::lower::Val;
use std::collections::{BTreeMap, BTreeSet};

/// Where a map reads its upstream gradient.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// From its own adjoint.
    Own,
    /// From that of the sum of all its elements.
    Sum(V),
    /// From that of its sums along an axis.
    Axis(V, proc_macro2::TokenStream),
}

/// One step of the backward pass.
#[derive(Clone, Debug)]
pub enum Step {
    /// The adjoint starts as zeros.
    Zero(V),
    /// The adjoint of a result is its upstream gradient; `usize` counts the results, `add` as below.
    Seed { of: V, result: usize, add: bool },
    /// A map's operands, and whether their adjoints are added to.
    Map {
        of: V,
        upstream: Upstream,
        targets: Vec<(V, bool)>,
    },
    /// One operand of a linear operation.
    Linear { of: V, position: usize, add: bool },
    /// Part of an adjoint has been handed on: it is zero from here.
    Clear(V),
    /// All operands of a function of lanes; their adjoints are added to.
    Lanes(V),
}

/// The tensor that a view shows, and the views that lead to it.
pub fn base(g: &Graph, v: V) -> (V, Vec<View>) {
    let (mut at, mut views) = (v, Vec::new());
    while let Op::View(of, view) = &g.value(at).op {
        views.push(view.clone());
        at = *of;
    }
    views.reverse();
    (at, views)
}

struct Reverse<'a> {
    g: &'a Graph,
    steps: Vec<Step>,
    /// The adjoints that hold something.
    started: BTreeSet<V>,
    lazy: BTreeMap<V, Upstream>,
    uses: std::collections::HashMap<V, usize>,
}

/// The steps; `fresh` says of which parameters the adjoint holds nothing yet.
pub fn reverse(g: &Graph, result: &Val, fresh: impl Fn(V) -> bool) -> Vec<Step> {
    let mut r = Reverse {
        g,
        steps: Vec::new(),
        started: BTreeSet::new(),
        lazy: BTreeMap::new(),
        uses: uses(g, result),
    };
    for (k, value) in g.values.iter().enumerate() {
        let v = V(k as u32);
        if matches!(value.op, Op::Param(_)) && g.is_tensor(v) && !fresh(v) {
            r.started.insert(v);
        }
    }
    let mut results = Vec::new();
    leaves(result, &mut results);
    for (k, &v) in results.iter().enumerate() {
        if g.active(v) {
            let add = r.write(v);
            r.steps.push(Step::Seed {
                of: v,
                result: k,
                add,
            });
        }
    }
    for k in (0..g.values.len()).rev() {
        r.visit(V(k as u32));
    }
    for (k, value) in g.values.iter().enumerate() {
        let v = V(k as u32);
        if matches!(value.op, Op::Param(_)) && value.active && !r.started.contains(&v) {
            r.steps.push(Step::Zero(v));
        }
    }
    r.steps
}

impl Reverse<'_> {
    /// Prepares a contribution to the adjoint of a value: whether it is to be added to what is there.
    fn write(&mut self, v: V) -> bool {
        let (at, views) = base(self.g, v);
        if self.started.contains(&at) {
            return true;
        }
        self.started.insert(at);
        if views.iter().all(|v| v.whole) {
            return false;
        }
        self.steps.push(Step::Zero(at));
        true
    }

    /// As [`Reverse::write`], for what can only add.
    fn add_to(&mut self, v: V) {
        let (at, _) = base(self.g, v);
        if self.started.insert(at) {
            self.steps.push(Step::Zero(at));
        }
    }

    fn visit(&mut self, v: V) {
        let g = self.g;
        if !g.active(v) || matches!(g.value(v).op, Op::View(..) | Op::Param(_) | Op::Constant(_)) {
            return;
        }
        let lazy = self.lazy.remove(&v);
        if lazy.is_none() && !self.started.contains(&v) {
            return;
        }
        let only_map = |r: &Self, a: V| {
            r.uses.get(&a) == Some(&1) && matches!(g.value(a).op, Op::Map { .. }) && g.is_tensor(a)
        };
        match g.value(v).op.clone() {
            Op::Map { operands, .. } => {
                let mut targets = Vec::new();
                for o in operands {
                    if g.active(o) {
                        let add = self.write(o);
                        targets.push((o, add));
                    }
                }
                // Two operands that are views of one tensor cannot both be written at once.
                let mut held: Vec<V> = Vec::new();
                let mut groups: Vec<Vec<(V, bool)>> = vec![Vec::new()];
                for t in targets {
                    let at = base(g, t.0).0;
                    if held.contains(&at) {
                        groups.push(Vec::new());
                        held.clear();
                    }
                    held.push(at);
                    if let Some(last) = groups.last_mut() {
                        last.push(t);
                    }
                }
                for targets in groups {
                    self.steps.push(Step::Map {
                        of: v,
                        upstream: lazy.clone().unwrap_or(Upstream::Own),
                        targets,
                    });
                }
            }
            Op::Sum(a) if g.active(a) && only_map(self, a) => {
                self.lazy.insert(a, Upstream::Sum(v));
            }
            Op::SumAxis(a, axis) if g.active(a) && only_map(self, a) => {
                self.lazy.insert(a, Upstream::Axis(v, axis));
            }
            Op::Assign(a, b, _) | Op::Put(a, b, _) => {
                if g.active(b) {
                    let add = self.write(b);
                    self.steps.push(Step::Linear {
                        of: v,
                        position: 1,
                        add,
                    });
                }
                if g.active(a) {
                    self.steps.push(Step::Clear(v));
                    let add = self.write(a);
                    self.steps.push(Step::Linear {
                        of: v,
                        position: 0,
                        add,
                    });
                }
            }
            Op::Lanes { of, scalars, .. } => {
                for o in std::iter::once(of).chain(scalars) {
                    if g.active(o) {
                        self.add_to(o);
                    }
                }
                self.steps.push(Step::Lanes(v));
            }
            op => {
                let adds_only = matches!(op, Op::Get(..) | Op::Select(..));
                for (position, o) in op.operands().into_iter().enumerate() {
                    if !g.active(o) {
                        continue;
                    }
                    let add = if adds_only {
                        self.add_to(o);
                        true
                    } else {
                        self.write(o)
                    };
                    self.steps.push(Step::Linear {
                        of: v,
                        position,
                        add,
                    });
                }
            }
        }
    }
}
