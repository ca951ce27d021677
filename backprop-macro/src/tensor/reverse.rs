//! Tensor graph → steps of the backward pass.
//!
//! In: the graph after fusion. Out: [`Step`]s, last value first. Each active value that is no view has one adjoint: a
//! buffer, written by its first contribution and added to by the later ones. A view's adjoint is the same view of its
//! tensor's, so that a product adds to a row of a gradient in place. The adjoint of a map that is only summed is never
//! made: the sum's own is read instead ([`Upstream`]).

use crate::tensor::calls::Arg;
use crate::tensor::fuse::{leaves, uses};
use crate::tensor::graph::*;
use crate::tensor::idioms::Normal;
use crate::tensor::lower::Program;
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
    /// The arguments of a call that are differentiated, and whether their adjoints are added to.
    Call { of: V, adds: Vec<(V, bool)> },
    /// What one iteration has computed of an array, and whether its adjoint is added to.
    Collected { of: V, item: V, add: bool },
    /// The operand of an idiom.
    Idiom { of: V, add: bool },
    /// A loop, last iteration first: its body's steps, and the floats outside of it that these add to.
    Loop {
        of: usize,
        body: Vec<Step>,
        floats: Vec<V>,
    },
    /// What is left after a loop's first iteration belongs to the value before the loop.
    Init {
        of: usize,
        carried: usize,
        add: bool,
    },
    /// All operands of a function of lanes; their adjoints are added to.
    Lanes(V),
}

/// The tensor that a view shows, and the views that lead to it.
pub fn base(g: &Graph, v: V) -> (V, Vec<View>) {
    let (mut at, mut views) = (v, Vec::new());
    loop {
        match &g.value(at).op {
            Op::View(of, view) => {
                views.push(view.clone());
                at = *of;
            }
            Op::Item(list, k) => {
                views.push(View {
                    form: k.clone(),
                    whole: false,
                });
                at = *list;
            }
            _ => break,
        }
    }
    views.reverse();
    (g.place(at), views)
}

/// What a map adds to where its operand is the first elements of something.
pub fn led(g: &Graph, v: V) -> V {
    match g.value(v).op {
        Op::Leading(of) => of,
        _ => v,
    }
}

struct Reverse<'a> {
    g: &'a Graph,
    steps: Vec<Step>,
    /// The adjoints that hold something.
    started: BTreeSet<V>,
    lazy: BTreeMap<V, Upstream>,
    uses: std::collections::HashMap<V, usize>,
    /// The region whose statements are reversed.
    region: usize,
    /// What they add to outside of it.
    outer: BTreeSet<V>,
}

/// The steps; `fresh` says of which parameters the adjoint holds nothing yet.
pub fn reverse(p: &Program, fresh: impl Fn(V) -> bool) -> Vec<Step> {
    let g = &p.graph;
    let mut r = Reverse {
        g,
        steps: Vec::new(),
        started: BTreeSet::new(),
        lazy: BTreeMap::new(),
        uses: uses(g, &p.gives()),
        region: 0,
        outer: BTreeSet::new(),
    };
    for (k, value) in g.values.iter().enumerate() {
        let v = V(k as u32);
        if matches!(value.op, Op::Param(_)) && value.ty != Ty::Scalar && !fresh(v) {
            r.started.insert(v);
        }
    }
    let mut results = Vec::new();
    leaves(&p.seeds, &mut results);
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
    r.region(&g.stmts);
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
        if self.is_outer(at) || self.started.contains(&at) {
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
        if !self.is_outer(at) && self.started.insert(at) {
            self.steps.push(Step::Zero(at));
        }
    }

    /// Whether a value is outside of this region: then its adjoint holds something, and is added to.
    fn is_outer(&mut self, at: V) -> bool {
        let outer = self.g.value(at).region != self.region;
        if outer {
            self.outer.insert(at);
        }
        outer
    }

    fn region(&mut self, stmts: &[Stmt]) {
        for stmt in stmts.iter().rev() {
            match stmt {
                Stmt::Value(v) => self.visit(*v),
                Stmt::Loop(id) => self.counted(*id),
                Stmt::Dim(_) | Stmt::Const(_) | Stmt::Effect(_) | Stmt::Leave(_) => {}
            }
        }
    }

    fn counted(&mut self, id: usize) {
        let g = self.g;
        let l = &g.loops[id];
        let carried: Vec<&Carried> = l.carried.iter().filter(|c| g.active(c.inside)).collect();
        let reached = |v: &V| g.active(*v) && self.started.contains(v);
        let collected: Vec<V> = l.collected.iter().copied().filter(reached).collect();
        if collected.is_empty()
            && !carried
                .iter()
                .any(|c| self.started.contains(&g.place(c.after)))
        {
            return;
        }
        for c in &carried {
            let after = g.place(c.after);
            if self.started.insert(after) {
                self.steps.push(Step::Zero(after));
            }
        }
        // What a loop fills has one adjoint throughout.
        let filled = |c: &&Carried| g.places.contains_key(&c.after);
        let (placed, carried): (Vec<&Carried>, Vec<&Carried>) =
            carried.into_iter().partition(filled);
        let steps = std::mem::take(&mut self.steps);
        let outside = (self.region, std::mem::take(&mut self.outer));
        self.region = id + 1;
        self.started.extend(carried.iter().map(|c| c.next));
        for of in collected {
            if let Op::Collected { item, .. } | Op::Grown { item, .. } = g.value(of).op
                && g.active(item)
            {
                let add = self.write(item);
                self.steps.push(Step::Collected { of, item, add });
            }
        }
        self.region(&l.stmts);
        for c in &carried {
            if self.started.insert(c.inside) {
                self.steps.push(Step::Zero(c.inside));
            }
        }
        let body = std::mem::replace(&mut self.steps, steps);
        self.region = outside.0;
        self.outer.extend(placed.iter().map(|c| g.place(c.after)));
        let reached = std::mem::replace(&mut self.outer, outside.1);
        for &v in &reached {
            self.add_to(v);
        }
        let floats = reached
            .into_iter()
            .filter(|&v| g.value(v).ty == Ty::Scalar)
            .collect();
        self.steps.push(Step::Loop {
            of: id,
            body,
            floats,
        });
        for (carried, c) in l.carried.iter().enumerate() {
            // Within a loop that fills the same array it is the same adjoint.
            let same = g.place(c.after) != c.after;
            if g.active(c.inside) && g.active(c.init) && !same {
                let add = self.write(c.init);
                self.steps.push(Step::Init {
                    of: id,
                    carried,
                    add,
                });
            }
        }
    }

    fn visit(&mut self, v: V) {
        let g = self.g;
        if !g.active(v)
            || matches!(
                g.value(v).op,
                Op::View(..)
                    | Op::Item(..)
                    | Op::Param(_)
                    | Op::Constant(_)
                    | Op::Inside { .. }
                    | Op::After { .. }
                    | Op::Collected { .. }
            )
        {
            return;
        }
        let lazy = self.lazy.remove(&v);
        if lazy.is_none() && !self.started.contains(&g.place(v)) {
            return;
        }
        if g.places.contains_key(&v) {
            if let Op::Assign(_, b, _) | Op::Put(_, b, _) = g.value(v).op {
                if g.active(b) {
                    let add = self.write(b);
                    self.steps.push(Step::Linear {
                        of: v,
                        position: 1,
                        add,
                    });
                }
                self.steps.push(Step::Clear(v));
                // It stands outside of this loop.
                self.outer.insert(g.place(v));
            }
            return;
        }
        let only_map = |r: &Self, a: V| {
            r.uses.get(&a) == Some(&1)
                && matches!(g.value(a).op, Op::Map { .. })
                && g.is_tensor(a)
                && g.value(a).region == r.region
        };
        match g.value(v).op.clone() {
            Op::Map { operands, .. } => {
                let mut targets = Vec::new();
                for o in operands {
                    if g.active(o) {
                        let add = self.write(led(g, o));
                        targets.push((o, add));
                    }
                }
                // Two operands that are views of one tensor cannot both be written at once.
                let mut held: Vec<V> = Vec::new();
                let mut groups: Vec<Vec<(V, bool)>> = vec![Vec::new()];
                for t in targets {
                    let at = base(g, led(g, t.0)).0;
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
            // What iterations have pushed is theirs.
            Op::Grown { first, .. } => {
                for (position, o) in first.into_iter().enumerate() {
                    if g.active(o) {
                        let add = self.write(o);
                        self.steps.push(Step::Linear {
                            of: v,
                            position,
                            add,
                        });
                    }
                }
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
            Op::Call { args, .. } => {
                let mut adds = Vec::new();
                for arg in args {
                    let Arg::Value(o, _, true) = arg else {
                        continue;
                    };
                    if !g.active(o) {
                        continue;
                    }
                    if let Ty::List(_) = g.value(o).ty {
                        self.add_to(o);
                        adds.push((o, true));
                    } else {
                        let add = self.write(o);
                        adds.push((o, add));
                    }
                }
                self.steps.push(Step::Call { of: v, adds });
            }
            Op::Idiom { of, .. } | Op::Normal(Normal { of, .. }) => {
                if g.active(of) {
                    let add = self.write(of);
                    self.steps.push(Step::Idiom { of: v, add });
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
