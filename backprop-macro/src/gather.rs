//! Scattered adjoints become gathered ones.
//!
//! A stencil reads `x[i]` and `x[i + 1]`; its reverse adds to `d[i]` and `d[i + 1]`, and each iteration waits for the
//! element that the one before has just written. In: the program after `keep`. Out: the same sums, with each such loop
//! followed by one that adds to every element once, taking each term from the iteration that makes it, and by two short ones
//! for the ends, where not every term exists. What must hold: the terms are cheap, and computed from values that the loop
//! does not change; terms that need a tape stay at the iteration that has it.

use crate::access::{Body, Use, distance, only_writer, scan};
use crate::collect::Sums;
use crate::graph::*;
use crate::live::Live;
use crate::reverse::Gradient;
use crate::rules::Op;
use crate::types::Kind;
use proc_macro2::Span;
use quote::quote;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Terms whose computation takes more additions than this are not computed a second time.
const MAX_COST: u32 = 40;

/// One addition to an array at a fixed distance from the loop's index.
struct Term {
    distance: i128,
    value: Id,
}

/// A loop whose additions to one array can be gathered.
struct Plan {
    looped: LoopId,
    parent: RegionId,
    array: ArrayId,
    terms: Vec<Term>,
    /// The distance of the terms that need the iteration's own tape.
    anchor: i128,
    reads_tape: bool,
    /// Nothing else writes to the array: the middle assigns.
    first: bool,
    /// Arrays that the loop reads at its index and then clears.
    cleared: Vec<ArrayId>,
}

/// Gathers wherever it can.
/// `fresh`: the buffers hold zeros when the program starts.
pub fn gather(p: &mut Gradient, fresh: bool) {
    let live = Live::of(p);
    let mut todo = vec![p.body];
    todo.extend(p.back);
    let mut at = 0;
    while at < todo.len() {
        let region = todo[at];
        at += 1;
        let stmts = p.graph.region(region).stmts.clone();
        for stmt in &stmts {
            match stmt {
                Stmt::If(b) => todo.extend([p.graph.branch(*b).then, p.graph.branch(*b).otherwise]),
                Stmt::Loop(l) => {
                    todo.push(p.graph.looped(*l).body);
                    while let Some(mut plan) = plan(&p.graph, &live, *l, region) {
                        plan.first = fresh
                            && region == p.body
                            && only_writer(&p.graph, p.body, plan.array, *l);
                        build(&mut p.graph, &mut p.sums, &plan);
                    }
                }
                _ => {}
            }
        }
    }
}

fn plan(g: &Graph, live: &Live, l: LoopId, parent: RegionId) -> Option<Plan> {
    let data = g.looped(l);
    let Count::Range {
        index,
        inclusive: false,
        ..
    } = data.count
    else {
        return None;
    };
    let counted =
        data.again.is_none() && matches!(g.types.kind(g.ty(index)), Kind::Int(n) if n == "usize");
    if !counted {
        return None;
    }
    let index = g.resolve(index);
    let mut b = Body {
        lets: HashSet::new(),
        taped: HashSet::new(),
        others: HashSet::new(),
        index,
    };
    b.others.extend(data.carried.iter().map(|c| c.phi));
    let mut accesses = BTreeMap::new();
    scan(g, data.body, &mut b, &mut accesses, live, true);
    // Arrays that are read at the index and then cleared there: their old values can be read by other iterations if the
    // clearing waits.
    let at_index = |p: &Place| {
        p.path.len() == 1 && matches!(p.path[0], Step::Index(i) if distance(g, i, index) == Some(0))
    };
    let cleared: Vec<ArrayId> = accesses
        .iter()
        .filter(|(_, all)| {
            all.iter()
                .all(|(p, k)| at_index(p) && matches!(k, Use::Load | Use::Zero))
                && all.iter().filter(|(_, k)| *k == Use::Zero).count() == 1
        })
        .map(|(a, _)| *a)
        .collect();
    'arrays: for (&array, all) in &accesses {
        let mut terms = Vec::new();
        for (place, kind) in all {
            let Use::Add(value) = kind else {
                continue 'arrays;
            };
            let [Step::Index(i)] = place.path.as_slice() else {
                continue 'arrays;
            };
            let Some(distance) = distance(g, *i, index) else {
                continue 'arrays;
            };
            terms.push(Term {
                distance,
                value: *value,
            });
        }
        let (min, max) = (
            terms.iter().map(|t| t.distance).min()?,
            terms.iter().map(|t| t.distance).max()?,
        );
        if min == max || max - min > 8 {
            continue;
        }
        let mut anchor = None;
        let mut used = HashSet::new();
        let mut cost = 0;
        for t in &terms {
            let mut seen = HashSet::new();
            let Some(tape) = movable(
                g, t.value, &b, &accesses, &cleared, &mut seen, &mut used, &mut cost,
            ) else {
                continue 'arrays;
            };
            if tape {
                if anchor.is_some_and(|a| a != t.distance) {
                    continue 'arrays;
                }
                anchor = Some(t.distance);
            }
        }
        if cost > MAX_COST {
            continue;
        }
        let reads_tape = anchor.is_some();
        let anchor = anchor.unwrap_or_else(|| {
            if terms.iter().any(|t| t.distance == 0) {
                0
            } else {
                min
            }
        });
        let cleared: Vec<ArrayId> = cleared.into_iter().filter(|a| used.contains(a)).collect();
        return Some(Plan {
            looped: l,
            parent,
            array,
            terms,
            anchor,
            reads_tape,
            first: false,
            cleared,
        });
    }
    None
}

/// Whether a term can be computed for another iteration; `Some(true)` if only for its own, because of the tape.
#[allow(clippy::too_many_arguments)]
fn movable(
    g: &Graph,
    id: Id,
    b: &Body,
    accesses: &BTreeMap<ArrayId, Vec<(Place, Use)>>,
    cleared: &[ArrayId],
    seen: &mut HashSet<Id>,
    used: &mut HashSet<ArrayId>,
    cost: &mut u32,
) -> Option<bool> {
    let id = g.resolve(id);
    if b.others.contains(&id) {
        return None;
    }
    if b.taped.contains(&id) {
        return Some(true);
    }
    if id == b.index || !b.lets.contains(&id) || !seen.insert(id) {
        return Some(false);
    }
    match g.node(id) {
        Node::Apply(op, _) if op.is_dear() => return None,
        Node::Apply(op, _) => *cost += op.cost(),
        Node::Cast(..) => *cost += 1,
        Node::Opaque(k, _) if matches!(g.opaque_of(*k).form, OpaqueForm::Call(_)) => return None,
        Node::Opaque(..) => {}
        Node::Load(p, _) => {
            *cost += 1;
            let read_only = accesses
                .get(&p.array)
                .is_none_or(|all| all.iter().all(|(_, k)| *k == Use::Load));
            if cleared.contains(&p.array) {
                used.insert(p.array);
            } else if !read_only {
                return None;
            }
        }
        _ => return None,
    }
    let mut tape = false;
    for o in g.operands(id) {
        tape |= movable(g, o, b, accesses, cleared, seen, used, cost)?;
    }
    Some(tape)
}

/// Rewrites the loop.
fn build(g: &mut Graph, sums: &mut Sums, plan: &Plan) {
    let data = g.looped(plan.looped).clone();
    let Count::Range { index, lo, hi, .. } = data.count else {
        return;
    };
    let index = g.resolve(index);
    let (min, max) = plan.terms.iter().fold((i128::MAX, i128::MIN), |(a, b), t| {
        (a.min(t.distance), b.max(t.distance))
    });
    let cleared = plan.cleared.clone();
    g.region_mut(data.body).stmts.retain(|s| match s {
        Stmt::Store {
            place, add: true, ..
        } => place.array != plan.array,
        Stmt::Store {
            place, add: false, ..
        } => !cleared.contains(&place.array),
        _ => true,
    });
    if plan.reads_tape {
        g.looped_mut(plan.looped).shared = true;
    }
    let bound = lets_of(g, data.body);
    let start = g.region(plan.parent).stmts.len();
    g.enter(plan.parent);
    // The middle, where every term exists.
    let first = shift(g, lo, max - plan.anchor);
    let last = back(g, hi, plan.anchor - min);
    let mut b = Builder {
        g,
        plan,
        bound: &bound,
        index,
        body: data.body,
    };
    b.looped(first, last, |b, i| {
        if plan.reads_tape
            && let Some(of) = b.g.looped(plan.looped).reverses
        {
            b.g.push(Stmt::ReadTapeAt(of, i));
        }
        let mut sum: Option<Id> = None;
        for t in &plan.terms {
            let at = shift(b.g, i, plan.anchor - t.distance);
            let term = b.copy(t.value, at, &mut HashMap::new());
            sum = Some(match sum {
                None => term,
                Some(s) => sums.add(b.g, s, term),
            });
        }
        if let Some(sum) = sum {
            let to = shift(b.g, i, plan.anchor);
            b.g.store(
                Place {
                    array: plan.array,
                    path: vec![Step::Index(to)],
                },
                sum,
                !plan.first,
            );
        }
    });
    // The ends, where only some do. An empty loop has none, and its bounds may not be indices.
    let ty = b.g.bool_ty();
    let runs = b.g.opaque_binary(quote!(<), lo, hi, ty, true);
    let then = b.g.open();
    let (low, middle) = (shift(b.g, lo, min), shift(b.g, lo, max));
    b.end(low, middle, lo, hi);
    let (from_hi, high) = (shift(b.g, hi, min), shift(b.g, hi, max));
    let ty = b.g.usize_ty();
    let func = quote!(::core::cmp::max);
    let key = format!("call {func}");
    let from = b.g.opaque(
        Opaque {
            key,
            form: OpaqueForm::Call(func),
            discrete: false,
        },
        &[from_hi, middle],
        ty,
    );
    b.end(from, high, lo, hi);
    b.g.close();
    let otherwise = b.g.open();
    b.g.close();
    let branch = b.g.new_if(runs, then, otherwise);
    b.g.push(Stmt::If(branch));
    for array in &plan.cleared {
        b.looped(lo, hi, |b, i| {
            let place = Place {
                array: *array,
                path: vec![Step::Index(i)],
            };
            let ty = match b.g.shape_at(&place) {
                crate::shape::Shape::Scalar(ty) => ty,
                crate::shape::Shape::Float(f) => b.g.types.fresh(Kind::Float(f)),
                _ => b.g.types.fresh(Kind::AnyFloat),
            };
            let zero = b.g.lit(0.0, ty);
            b.g.store(place, zero, false);
        });
    }
    g.close();
    let stmts = &mut g.region_mut(plan.parent).stmts;
    let new: Vec<Stmt> = stmts.drain(start..).collect();
    let at = stmts
        .iter()
        .position(|s| matches!(s, Stmt::Loop(k) if *k == plan.looped))
        .map_or(stmts.len(), |k| k + 1);
    stmts.splice(at..at, new);
}

fn lets_of(g: &Graph, region: RegionId) -> HashSet<Id> {
    g.region(region)
        .stmts
        .iter()
        .filter_map(|s| {
            if let Stmt::Let(id) = s {
                Some(*id)
            } else {
                None
            }
        })
        .collect()
}

/// `id + by`, where `by` may be negative.
pub fn shift(g: &mut Graph, id: Id, by: i128) -> Id {
    if by == 0 {
        return id;
    }
    if let Some(n) = g.integer(id)
        && n + by >= 0
    {
        return g.usize_const((n + by) as usize);
    }
    let size = g.usize_const(by.unsigned_abs() as usize);
    let ty = g.usize_ty();
    g.opaque_binary(
        if by > 0 { quote!(+) } else { quote!(-) },
        id,
        size,
        ty,
        false,
    )
}

/// `id - by`, not below zero.
fn back(g: &mut Graph, id: Id, by: i128) -> Id {
    if by == 0 {
        return id;
    }
    if let Some(n) = g.integer(id) {
        return g.usize_const((n - by).max(0) as usize);
    }
    let size = g.usize_const(by.unsigned_abs() as usize);
    let ty = g.usize_ty();
    let func = quote!(::core::primitive::usize::saturating_sub);
    let key = format!("call {func}");
    g.opaque(
        Opaque {
            key,
            form: OpaqueForm::Call(func),
            discrete: false,
        },
        &[id, size],
        ty,
    )
}

struct Builder<'a> {
    g: &'a mut Graph,
    plan: &'a Plan,
    bound: &'a HashSet<Id>,
    index: Id,
    body: RegionId,
}

impl Builder<'_> {
    fn looped(&mut self, lo: Id, hi: Id, body: impl FnOnce(&mut Self, Id)) {
        let region = self.g.open();
        let ty = self.g.usize_ty();
        let index = self
            .g
            .bound(Node::Index(LoopId(u32::MAX)), ty, Some(region));
        self.g.nodes[index.0 as usize].name = Some("j".into());
        body(self, index);
        self.g.close();
        let looped = self.g.new_loop(
            Count::Range {
                index,
                lo,
                hi,
                inclusive: false,
                rev: false,
            },
            region,
            Span::call_site(),
        );
        self.g.nodes[index.0 as usize].node = Node::Index(looped);
        self.g.push(Stmt::Loop(looped));
    }

    /// The elements from `from` to `to`, term by term.
    fn end(&mut self, from: Id, to: Id, lo: Id, hi: Id) {
        let plan = self.plan;
        self.looped(from, to, |b, j| {
            for t in &plan.terms {
                let (first, last) = (shift(b.g, lo, t.distance), shift(b.g, hi, t.distance));
                let ty = b.g.bool_ty();
                let above = b.g.opaque_binary(quote!(>=), j, first, ty, true);
                let ty = b.g.bool_ty();
                let below = b.g.opaque_binary(quote!(<), j, last, ty, true);
                let ty = b.g.bool_ty();
                let exists = b.g.opaque_binary(quote!(&&), above, below, ty, true);
                let then = b.g.open();
                let at = shift(b.g, j, -t.distance);
                if plan.reads_tape
                    && t.distance == plan.anchor
                    && let Some(of) = b.g.looped(plan.looped).reverses
                {
                    b.g.push(Stmt::ReadTapeAt(of, at));
                }
                let term = b.copy(t.value, at, &mut HashMap::new());
                b.g.store(
                    Place {
                        array: plan.array,
                        path: vec![Step::Index(j)],
                    },
                    term,
                    true,
                );
                b.g.close();
                let otherwise = b.g.open();
                b.g.close();
                let branch = b.g.new_if(exists, then, otherwise);
                b.g.push(Stmt::If(branch));
            }
        });
    }

    /// A value of the loop's body, for the iteration `at`.
    fn copy(&mut self, id: Id, at: Id, done: &mut HashMap<Id, Id>) -> Id {
        let id = self.g.resolve(id);
        if id == self.index {
            return at;
        }
        if let Some(&copy) = done.get(&id) {
            return copy;
        }
        if !self.bound.contains(&id) {
            return id;
        }
        if let Some(n) = distance(self.g, id, self.index) {
            // The sum of distances, so that `(j + 1) - 1` is `j` and slices are found.
            let n = n + distance(self.g, at, self.base(at)).unwrap_or(0);
            let base = self.base(at);
            return shift(self.g, base, n);
        }
        let ty = self.g.ty(id);
        let copy = match self.g.node(id).clone() {
            Node::Apply(op, args) => {
                let args: Vec<Id> = args.iter().map(|&a| self.copy(a, at, done)).collect();
                self.g.apply(op, &args)
            }
            Node::Cast(a, to) => {
                let a = self.copy(a, at, done);
                self.g.compute(Node::Cast(a, to), ty)
            }
            Node::Opaque(k, args) => {
                let args: Vec<Id> = args.iter().map(|&a| self.copy(a, at, done)).collect();
                self.g.compute(Node::Opaque(k, args), ty)
            }
            Node::Load(p, version) => {
                let p = p.map(&mut |i| self.copy(i, at, done));
                self.g.compute(Node::Load(p, version), ty)
            }
            _ => id,
        };
        debug_assert!(self.g.encloses(self.plan.parent, self.body));
        done.insert(id, copy);
        copy
    }

    /// The loop index that an iteration number is counted from.
    fn base(&self, at: Id) -> Id {
        match self.g.node(at) {
            Node::Opaque(_, args) if args.len() == 2 && self.g.integer(args[1]).is_some() => {
                self.base(args[0])
            }
            _ => at,
        }
    }
}
