//! The gathered loop: its middle and its ends.

use super::{Plan, Row};
use crate::access::{Base, distance, extent, length_of};
use crate::collect::Sums;
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::types::Kind;
use proc_macro2::Span;
use quote::quote;

/// An iteration, or an element: so many after a node that does not change in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct At {
    base: Id,
    by: i128,
}

pub(super) struct Builder<'a> {
    pub(super) g: &'a mut Graph,
    pub(super) sums: &'a mut Sums,
    pub(super) plan: &'a Plan,
    /// The nodes that the loop's body computes.
    pub(super) bound: Set<Id>,
    /// In place: the middle's index, and the old values of the elements before it, nearest first.
    old: Option<(Id, Vec<Id>)>,
}

/// Rewrites the loop; whether it now assigns the whole array.
pub fn build(g: &mut Graph, sums: &mut Sums, plan: &Plan) -> bool {
    let data = g.looped(plan.looped).clone();
    if !plan.in_place {
        let cleared = plan.cleared.clone();
        g.region_mut(data.body).stmts.retain(|s| match s {
            Stmt::Store {
                place, add: true, ..
            } => !plan.places.contains(place),
            Stmt::Store {
                place, add: false, ..
            } => !cleared.iter().any(|(a, _)| *a == place.array),
            _ => true,
        });
    }
    if plan.reads_tape {
        g.looped_mut(plan.looped).shared = true;
    }
    let bound = g
        .region(data.body)
        .stmts
        .iter()
        .filter_map(|s| match s {
            Stmt::Let(id) => Some(*id),
            _ => None,
        })
        .collect();
    if let Some(zeroed) = plan.zeroed {
        let stmts = &mut g.region_mut(plan.parent).stmts;
        stmts.retain(|s| !matches!(s, Stmt::Loop(l) if *l == zeroed));
    }
    let start = g.region(plan.parent).stmts.len();
    g.enter(plan.parent);
    g.invalidate();
    let whole = plan.first && covers(g, plan);
    let mut b = Builder {
        g,
        sums,
        plan,
        bound,
        old: None,
    };
    if plan.settled(b.g) == Some(true) {
        let runs = b.g.bool_const(true);
        let outs = b.gathered(runs);
        for (c, out) in data.carried.iter().zip(outs) {
            if let Some(out) = out {
                b.g.set_alias(c.out, out);
            }
        }
    } else {
        let enough = shift(b.g, plan.lo, plan.span());
        let ty = b.g.bool_ty();
        let enough = b.g.opaque_binary(quote!(<=), enough, plan.hi, ty, true);
        let then = b.g.open();
        let outs = b.gathered(enough);
        b.g.close();
        let otherwise = b.g.open();
        if plan.in_place {
            b.g.push(Stmt::Loop(plan.looped));
            b.g.region_mut(data.body).parent = Some(otherwise);
        } else {
            b.few(whole);
        }
        b.g.close();
        let branch = b.g.new_if(enough, then, otherwise);
        for (k, out) in outs.into_iter().enumerate() {
            let Some(then) = out else { continue };
            // Who reads the loop's result now reads the branch's.
            let (out, ty) = (data.carried[k].out, b.g.ty(data.carried[k].out));
            let own = Node::LoopOut(plan.looped, k as u32);
            let own = b.g.bound(own, ty, Some(otherwise));
            b.g.looped_mut(plan.looped).carried[k].out = own;
            let slot = b.g.branch(branch).slots.len() as u32;
            b.g.nodes[out.0 as usize].node = Node::IfOut(branch, slot);
            b.g.branch_mut(branch).slots.push(Slot {
                out,
                then,
                otherwise: own,
            });
        }
        b.g.push(Stmt::If(branch));
    }
    for (array, row) in plan.cleared.iter().filter(|c| !plan.unread.contains(&c.0)) {
        b.looped(
            At::of(plan.lo),
            At::of(plan.hi),
            |_, _| {},
            |b, i, _| {
                let place = b.place(*array, row, At::of(i));
                let ty = match b.g.shape_at(&place) {
                    crate::shape::Shape::Scalar(ty) => ty,
                    crate::shape::Shape::Float(f) => b.g.types.fresh(Kind::Float(f)),
                    _ => b.g.types.fresh(Kind::AnyFloat),
                };
                let zero = b.g.lit(0.0, ty);
                b.g.store(place, zero, false);
            },
        );
    }
    g.close();
    let stmts = &mut g.region_mut(plan.parent).stmts;
    let new: Vec<Stmt> = stmts.drain(start..).collect();
    let at = stmts
        .iter()
        .position(|s| matches!(s, Stmt::Loop(k) if *k == plan.looped))
        .unwrap_or(stmts.len() - 1);
    // In place nothing of the loop is left, or it stands where there are too few iterations.
    let end = at + 1;
    let from = if plan.in_place { at } else { end };
    stmts.splice(from..end, new);
    whole
}

/// Whether a loop that runs reaches every element.
fn covers(g: &Graph, plan: &Plan) -> bool {
    let (lo, hi) = (extent(g, plan.lo), extent(g, plan.hi));
    (lo.0, lo.1 + plan.min) == (Base::Zero, 0)
        && length_of(g, plan.array) == Some((hi.0, hi.1 + plan.max))
}

impl Plan {
    /// By how much the ends grow because an end's terms use what the iteration before has left: below, above.
    pub fn margins(&self) -> (i128, i128) {
        match (self.left.is_empty(), self.rev) {
            (true, _) => (0, 0),
            (false, false) => (1, 0),
            (false, true) => (0, 1),
        }
    }

    /// The number of iterations that there must be for a middle.
    pub fn span(&self) -> i128 {
        let (below, above) = self.margins();
        self.max - self.min + below + above
    }

    /// Whether there are enough iterations, where that is known now.
    pub fn settled(&self, g: &Graph) -> Option<bool> {
        if self.span() == 0 {
            return Some(true);
        }
        Some(g.integer(self.hi)? - g.integer(self.lo)? >= self.span())
    }
}

impl At {
    pub(super) fn of(base: Id) -> At {
        At { base, by: 0 }
    }

    pub(super) fn plus(self, by: i128) -> At {
        At {
            base: self.base,
            by: self.by + by,
        }
    }
}

impl Builder<'_> {
    pub(super) fn node(&mut self, at: At) -> Id {
        shift(self.g, at.base, at.by)
    }

    pub(super) fn element(&mut self, at: At) -> Place {
        self.place(self.plan.array, &self.plan.row, at)
    }

    /// An element of a row.
    fn place(&mut self, array: ArrayId, row: &Row, at: At) -> Place {
        // What a row is reached by is the same in every iteration.
        let mut known = Map::default();
        let mut settled = |b: &mut Self, id: Id| b.copy(id, At::of(b.plan.lo), &mut known);
        let mut path: Vec<Step> = row
            .prefix
            .iter()
            .map(|step| match step {
                Step::Index(i) => Step::Index(settled(self, *i)),
                Step::Field(_) => *step,
            })
            .collect();
        let ty = self.g.usize_ty();
        let mut index = at.base;
        for &id in &row.plus {
            let id = settled(self, id);
            index = self.g.opaque_binary(quote!(+), id, index, ty, false);
        }
        // What is subtracted comes last: no sum on the way is negative.
        index = shift(self.g, index, at.by);
        for &id in &row.minus {
            let id = settled(self, id);
            index = self.g.opaque_binary(quote!(-), index, id, ty, false);
        }
        path.push(Step::Index(index));
        Place { array, path }
    }

    /// Ends and middle, where there are enough iterations; what the loop leaves in its carried scalars, where terms use them.
    fn gathered(&mut self, runs: Id) -> Vec<Option<Id>> {
        let plan = self.plan;
        let (below, above) = plan.margins();
        let (lo, hi) = (At::of(plan.lo), At::of(plan.hi));
        // In place the ends are computed before the middle and stored after it, as the old values must still be there.
        let low = plan.min..plan.max + below;
        let high = plan.min - above..plan.max;
        let ends: Vec<(At, At)> = low
            .map(|by| (lo, lo.plus(by)))
            .chain(high.map(|by| (hi, hi.plus(by))))
            .collect();
        // Of the elements at the ends, those at the loop's own positions.
        let zeroed = |end: At, at: At| plan.zeroed.is_some() && (end == lo) == (at.by >= 0);
        let mut stores = Vec::new();
        for &(end, at) in &ends {
            let exists = |t: &super::Term| {
                let by = at.by - t.distance;
                if end == lo { by >= 0 } else { by < 0 }
            };
            let taped = plan
                .terms
                .iter()
                .any(|t| exists(t) && t.distance == plan.anchor);
            if !(taped && plan.reads_tape) {
                if let Some(sum) = self.sum(at, exists) {
                    let assign = plan.first || plan.in_place || zeroed(end, at);
                    if plan.in_place {
                        stores.push((at, sum));
                    } else {
                        // Early, so that the next loop finds it in memory rather than on the way there.
                        let place = self.element(at);
                        self.g.store(place, sum, !assign);
                    }
                }
                continue;
            }
            // What is read of a tape has one name: each element has a scope of its own.
            let then = self.g.open();
            self.read_tape(at.plus(-plan.anchor));
            if let Some(sum) = self.sum(at, exists) {
                let place = self.element(at);
                let assign = plan.first || zeroed(end, at);
                self.g.store(place, sum, !assign);
            }
            self.g.close();
            let otherwise = self.g.open();
            self.g.close();
            let branch = self.g.new_if(runs, then, otherwise);
            self.g.push(Stmt::If(branch));
        }
        let last = if plan.rev { lo } else { hi.plus(-1) };
        let carried = self.g.looped(plan.looped).carried.clone();
        let outs = carried
            .iter()
            .map(|c| {
                let (_, next) = *plan.left.get(&c.phi).filter(|_| plan.in_place)?;
                Some(self.copy(next, last, &mut Map::default()))
            })
            .collect();
        let first = lo.plus(plan.max + below - plan.anchor);
        let end = hi.plus(plan.min - above - plan.anchor);
        let back = self.reach();
        let assign = plan.first || plan.in_place;
        let assign_middle = assign || plan.zeroed.is_some();
        self.looped(
            first,
            end,
            |b, inits| {
                for k in 1..=back {
                    let place = b.element(first.plus(plan.anchor - k));
                    let value = b.g.load(place);
                    inits.push(value);
                }
            },
            |b, j, old| {
                let j = At::of(j);
                if plan.reads_tape {
                    b.read_tape(j);
                }
                b.old = Some((j.base, old.to_vec()));
                let sum = b.sum(j.plus(plan.anchor), |_| true);
                if back > 0 {
                    let here = b.element(j.plus(plan.anchor));
                    let here = b.g.load(here);
                    let shifted: Vec<Id> = [here]
                        .into_iter()
                        .chain(old.iter().copied())
                        .take(back as usize)
                        .collect();
                    old.copy_from_slice(&shifted);
                }
                if let Some(sum) = sum {
                    let place = b.element(j.plus(plan.anchor));
                    b.g.store(place, sum, !assign_middle);
                }
                b.old = None;
            },
        );
        for (at, sum) in stores {
            let place = self.element(at);
            self.g.store(place, sum, false);
        }
        outs
    }

    /// In place: how many elements back a term reads.
    fn reach(&self) -> i128 {
        let plan = self.plan;
        let mut back = 0;
        if plan.in_place {
            for s in &self.g.region(self.g.looped(plan.looped).body).stmts {
                if let Stmt::Let(id) = s
                    && let Node::Load(p, _) = self.g.node(*id)
                    && p.array == plan.array
                    && let Some(i) = p.indices().next()
                    && let Some(read) = distance(self.g, i, plan.index)
                {
                    // The term at the largest distance reads furthest back; what the iteration before left, one further.
                    let further = i128::from(!plan.left.is_empty() && !plan.rev);
                    back = back.max(plan.max - read + further);
                }
            }
        }
        back
    }

    pub(super) fn read_tape(&mut self, iteration: At) {
        if let Some(of) = self.g.looped(self.plan.looped).reverses {
            let i = self.node(iteration);
            self.g.push(Stmt::ReadTapeAt(of, i));
        }
    }

    /// What is added to an element, and in place what it holds; `None` if nothing is added.
    fn sum(&mut self, at: At, exists: impl Fn(&super::Term) -> bool) -> Option<Id> {
        let plan = self.plan;
        let mut sum = None;
        for t in plan.terms.iter().filter(|t| exists(t)) {
            let term = self.copy(t.value, at.plus(-t.distance), &mut Map::default());
            sum = Some(match sum {
                None if plan.in_place => {
                    let place = self.element(at);
                    let here = self.g.load(place);
                    self.sums.add(self.g, here, term)
                }
                None => term,
                Some(s) => self.sums.add(self.g, s, term),
            });
        }
        sum
    }

    /// A loop over indices; `start` gives the initial values that it carries, `body` replaces them by the next.
    pub(super) fn looped(
        &mut self,
        lo: At,
        hi: At,
        start: impl FnOnce(&mut Self, &mut Vec<Id>),
        body: impl FnOnce(&mut Self, Id, &mut [Id]),
    ) {
        let mut inits = Vec::new();
        start(self, &mut inits);
        let (lo, hi) = (self.node(lo), self.node(hi));
        let region = self.g.open();
        let ty = self.g.usize_ty();
        let unknown = LoopId(u32::MAX);
        let index = self.g.bound(Node::Index(unknown), ty, Some(region));
        self.g.nodes[index.0 as usize].name = Some("j".into());
        let phis: Vec<Id> = inits
            .iter()
            .map(|&init| {
                let ty = self.g.ty(init);
                let phi = self.g.bound(Node::Phi(unknown, 0), ty, Some(region));
                self.g.nodes[phi.0 as usize].name = Some("old".into());
                phi
            })
            .collect();
        let mut nexts = phis.clone();
        body(self, index, &mut nexts);
        self.g.close();
        let count = Count::Range {
            index,
            lo,
            hi,
            inclusive: false,
            rev: false,
        };
        let looped = self.g.new_loop(count, region, Span::call_site());
        self.g.nodes[index.0 as usize].node = Node::Index(looped);
        for ((phi, init), next) in phis.into_iter().zip(inits).zip(nexts) {
            self.g.carry(looped, phi, init, next);
        }
        self.g.push(Stmt::Loop(looped));
        self.g.invalidate();
    }

    /// A value of the loop's body, for an iteration.
    pub(super) fn copy(&mut self, id: Id, at: At, done: &mut Map<(Id, At), Id>) -> Id {
        let plan = self.plan;
        let id = self.g.resolve(id);
        if id == plan.index {
            return self.node(at);
        }
        if let Some(&copy) = done.get(&(id, at)) {
            return copy;
        }
        if let Some(&(init, next)) = plan.left.get(&id) {
            let start = match plan.rev {
                false => At::of(plan.lo),
                true => At::of(plan.hi).plus(-1),
            };
            if at == start {
                return init;
            }
            return self.copy(next, at.plus(if plan.rev { 1 } else { -1 }), done);
        }
        if !self.bound.contains(&id) {
            return id;
        }
        if let Some(n) = distance(self.g, id, plan.index) {
            return self.node(at.plus(n));
        }
        let ty = self.g.ty(id);
        if let Some((a, b)) = self.sums.parts(id) {
            let (a, b) = (self.copy(a, at, done), self.copy(b, at, done));
            let sum = self.sums.add(self.g, a, b);
            done.insert((id, at), sum);
            return sum;
        }
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
            Node::Load(p, _) if plan.in_place && p.array == plan.array => {
                let read = p.indices().next();
                let read = read.and_then(|i| distance(self.g, i, plan.index));
                self.own(at.plus(read.unwrap_or(0)))
            }
            Node::Load(p, version) => {
                let p = p.map(&mut |i| self.copy(i, at, done));
                self.g.compute(Node::Load(p, version), ty)
            }
            _ => id,
        };
        done.insert((id, at), copy);
        copy
    }

    /// The old value of an element of the array that is changed in place.
    fn own(&mut self, element: At) -> Id {
        if let Some((j, old)) = &self.old
            && element.base == *j
            && element.by < self.plan.anchor
        {
            let back = (self.plan.anchor - element.by) as usize;
            if let Some(&value) = old.get(back - 1) {
                return value;
            }
        }
        let place = self.element(element);
        self.g.load(place)
    }
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
    let op = if by > 0 { quote!(+) } else { quote!(-) };
    g.opaque_binary(op, id, size, ty, false)
}
