//! Two chains that need nothing of each other run from both ends, and meet in the middle.
//!
//! `p *= x[i]` is a chain of products from the left; its adjoint is one from the right. Each of their steps waits for the one before,
//! but neither chain for the other: only what is added to `d[i]` takes both. In: a program of mode `Unit`, in which a value that
//! the forward loop keeps for each iteration is parked in the gradient's buffer. Out: the same, in which both loops are one.
//! Up to the middle each chain leaves its value in the buffer, the one at `i`, the other at the opposite end; beyond it, each
//! finds there what the other one has left, and puts the gradient in its place. What must hold: the backward chain does not read
//! what was parked, starts from what is known before the forward loop, and takes one scalar to where the gradient is computed.

use crate::access::{arrays_of, positional};
use crate::forwards::is_sum;
use crate::gather::shift;
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::live::Live;
use crate::reverse::{Gradient, Reversal};
use proc_macro2::Span;
use quote::quote;

/// Longer iterations keep the processor busy as they are.
const MAX_NODES: usize = 40;

/// A forward and a backward loop that can meet.
struct Plan {
    forward: Loop,
    back: Loop,
    index: Id,
    lo: Id,
    hi: Id,
    /// What the forward chain leaves at an element, and where.
    kept: Id,
    place: Place,
    /// What is left there in the end.
    gradient: Id,
    /// The scalar that the backward chain leaves there.
    left: Id,
    /// The backward loop's scalars that are chains; the others are sums of what the gradient is computed from.
    chains: Vec<bool>,
}

/// Values of the original bodies, by what they are in a new one.
type Known = Map<Id, Id>;

/// Lets loops meet wherever they can; whether any did.
pub fn meet(p: &mut Gradient) -> bool {
    let mut any = false;
    let live = Live::of(p);
    for stmt in p.graph.region(p.body).stmts.clone() {
        let Stmt::Loop(back) = stmt else { continue };
        if let Some(forward) = p.graph.looped(back).reverses
            && let Some(plan) = plan(p, &live, forward, back)
        {
            build(&mut p.graph, p.body, &plan, [forward, back]);
            p.notes.loops.insert(forward, Reversal::Met);
            any = true;
        }
    }
    any
}

fn plan(p: &Gradient, live: &Live, forward: LoopId, back: LoopId) -> Option<Plan> {
    let g = &p.graph;
    let (index, lo, hi) = positional(g, forward)?;
    let rev = |l: LoopId| matches!(g.looped(l).count, Count::Range { rev: true, .. });
    if positional(g, back)? != (index, lo, hi) || rev(forward) || !rev(back) {
        return None;
    }
    let (f, b) = (g.looped(forward), g.looped(back));
    if !f.tape.is_empty() || f.shared || f.moves {
        return None;
    }
    let stmts = &g.region(p.body).stmts;
    let at = |l: LoopId| {
        let own = |s: &Stmt| matches!(s, Stmt::Loop(k) if *k == l);
        stmts.iter().position(own)
    };
    let (start, end) = (at(forward)?, at(back)?);

    // The bodies compute scalars, and each stores to the one element.
    let (place, kept) = only_store(g, f.body)?;
    let (again, gradient) = only_store(g, b.body)?;
    let [Step::Index(_)] = place.path.as_slice() else {
        return None;
    };
    if again != place || parked(g, b.body)? != (place.clone(), kept) {
        return None;
    }
    let mine: Set<RegionId> = [f.body, b.body].into_iter().collect();
    let mut nodes = Set::default();
    for region in [f.body, b.body] {
        for stmt in &g.region(region).stmts {
            let Stmt::Let(id) = stmt else { continue };
            nodes.insert(*id);
            let plain = match g.node(*id) {
                Node::Apply(op, _) => !op.is_dear(),
                Node::Cast(..) => true,
                Node::Opaque(k, _) => !matches!(
                    g.opaque_of(*k).form,
                    OpaqueForm::Call(_) | OpaqueForm::Method(_)
                ),
                Node::Load(p, _) => p.array != place.array,
                _ => false,
            };
            if !plain {
                return None;
            }
        }
    }
    if nodes.len() > MAX_NODES {
        return None;
    }

    // What runs between the loops runs after both: it must not store to what the backward loop reads.
    let mut read = Set::default();
    let body = &g.region(b.body).stmts;
    for stmt in body {
        arrays_of(g, stmt, &mut |a, _| {
            read.insert(a);
        });
    }
    let mut apart = true;
    for stmt in &stmts[start + 1..end] {
        arrays_of(g, stmt, &mut |a, reads| {
            apart &= a != place.array && (reads || !read.contains(&a));
        });
    }
    let early = |id: Id| known_before(g, id, p.body, &stmts[..start]);
    let carried = |l: &Loop| -> Vec<Carried> { l.carried.clone() };
    let (all_f, all_b) = (carried(f), carried(b));
    let phis: Set<Id> = all_f.iter().chain(&all_b).map(|c| c.phi).collect();
    let inner = |id: &Id| {
        g.data(*id).region.is_some_and(|r| mine.contains(&r)) || phis.contains(id) || *id == kept
    };
    for stmt in &g.region(b.body).stmts {
        if let Stmt::Let(id) = stmt {
            apart &= g.operands(*id).iter().all(|o| inner(o) || early(*o));
        }
    }
    let ends = all_b.iter().map(|c| c.next).chain([gradient]);
    apart &= ends.map(|e| g.resolve(e)).all(|e| inner(&e) || early(e));
    apart &= all_b.iter().all(|c| early(c.init));
    if !apart {
        return None;
    }

    // Of what the backward loop carries: the chains, and the sums.
    let uses = |id: Id, of: &Set<Id>| reaches(g, id, of, &mine);
    let kept_set = Set::from_iter([kept]);
    let mut chains = Vec::new();
    for c in &all_b {
        let chain = !uses(c.next, &kept_set);
        if !chain && !is_sum(g, b, c) || !live.carried(g, c) {
            return None;
        }
        chains.push(chain);
    }
    let ends: Vec<Id> = all_b
        .iter()
        .zip(&chains)
        .filter(|(_, chain)| !**chain)
        .map(|(c, _)| c.next)
        .chain([gradient])
        .collect();
    let mut needed = all_b.iter().zip(&chains).filter(|(c, chain)| {
        let phi = Set::from_iter([c.phi]);
        **chain && ends.iter().any(|e| uses(*e, &phi))
    });
    let (left, others) = (needed.next()?.0.phi, needed.count());
    let same = g.is_float(left) && g.types.kind(g.ty(left)) == g.types.kind(g.ty(kept));
    let waits = |c: &Carried| g.is_float(c.phi) && uses(c.next, &Set::from_iter([c.phi]));
    let both = all_f.iter().any(waits) && all_b.iter().any(|c| c.phi == left && waits(c));
    (others == 0 && same && both).then(|| Plan {
        forward: f.clone(),
        back: b.clone(),
        index,
        lo,
        hi,
        kept,
        place,
        gradient: g.resolve(gradient),
        left,
        chains,
    })
}

/// The one store of a body that otherwise computes scalars and reads what was parked.
fn only_store(g: &Graph, body: RegionId) -> Option<(Place, Id)> {
    let mut out = None;
    for stmt in &g.region(body).stmts {
        match stmt {
            Stmt::Let(_) | Stmt::Bind(..) => {}
            Stmt::Store {
                place,
                value,
                add: false,
            } if out.is_none() => out = Some((place.clone(), g.resolve(*value))),
            _ => return None,
        }
    }
    out
}

/// Where a body reads the one value that was parked, and which.
fn parked(g: &Graph, body: RegionId) -> Option<(Place, Id)> {
    let mut out = None;
    for stmt in &g.region(body).stmts {
        if let Stmt::Bind(id, from) = stmt {
            let Node::Load(place, _) = g.node(*from) else {
                return None;
            };
            if out.is_some() {
                return None;
            }
            out = Some((place.clone(), g.resolve(*id)));
        }
    }
    out
}

/// Whether a value is computed before a position of the function's body.
fn known_before(g: &Graph, id: Id, body: RegionId, stmts: &[Stmt]) -> bool {
    let id = g.resolve(id);
    match g.data(id).region {
        None => g
            .operands(id)
            .into_iter()
            .all(|o| known_before(g, o, body, stmts)),
        Some(r) if r != body => false,
        Some(_) => stmts.iter().any(|s| match s {
            Stmt::Let(x) => *x == id,
            Stmt::If(b) => matches!(g.node(id), Node::IfOut(k, _) if k == b),
            Stmt::Loop(l) => matches!(g.node(id), Node::LoopOut(k, _) if k == l),
            Stmt::Call(c) => matches!(g.node(id), Node::CallOut(k, _) if k == c),
            _ => false,
        }),
    }
}

/// Whether a value of the bodies is computed from one of some others.
fn reaches(g: &Graph, id: Id, of: &Set<Id>, bodies: &Set<RegionId>) -> bool {
    let mut todo = vec![g.resolve(id)];
    let mut seen = Set::default();
    while let Some(id) = todo.pop() {
        if of.contains(&id) {
            return true;
        }
        let inside = g.data(id).region.is_none_or(|r| bodies.contains(&r));
        if inside && seen.insert(id) {
            todo.extend(g.operands(id));
        }
    }
    false
}

fn build(g: &mut Graph, body: RegionId, plan: &Plan, loops: [LoopId; 2]) {
    let start = g.region(body).stmts.len();
    g.enter(body);
    g.invalidate();
    let inits: Vec<Id> = plan.scalars().map(|c| c.init).collect();
    let constant = g
        .integer(plan.lo)
        .zip(g.integer(plan.hi))
        .map(|(lo, hi)| hi - lo);
    let outs = match constant {
        Some(n) if n <= 0 => inits,
        Some(n) => plan.both_ways(g, inits, Some(n)),
        None => {
            let ty = g.bool_ty();
            let runs = g.opaque_binary(quote!(<), plan.lo, plan.hi, ty, true);
            let then = g.open();
            let outs = plan.both_ways(g, inits.clone(), None);
            g.close();
            let otherwise = g.open();
            g.close();
            let branch = g.new_if(runs, then, otherwise);
            g.push(Stmt::If(branch));
            choose(g, branch, outs, inits)
        }
    };
    g.close();
    let old: Vec<Id> = plan.scalars().map(|c| c.out).collect();
    for (old, new) in old.into_iter().zip(outs) {
        g.set_alias(old, new);
    }
    let stmts = &mut g.region_mut(body).stmts;
    let new: Vec<Stmt> = stmts.drain(start..).collect();
    let own = |s: &Stmt, l: LoopId| matches!(s, Stmt::Loop(k) if *k == l);
    stmts.retain(|s| !own(s, loops[1]));
    if let Some(at) = stmts.iter().position(|s| own(s, loops[0])) {
        stmts.splice(at..at + 1, new);
    }
}

/// What a branch yields for each scalar; those that it leaves alone need not be chosen.
fn choose(g: &mut Graph, branch: IfId, then: Vec<Id>, otherwise: Vec<Id>) -> Vec<Id> {
    then.into_iter()
        .zip(otherwise)
        .map(|(a, b)| {
            if a == b {
                a
            } else {
                g.yield_from(branch, a, b)
            }
        })
        .collect()
}

impl Plan {
    /// What both loops carry: the forward loop's scalars first.
    fn scalars(&self) -> impl Iterator<Item = &Carried> {
        self.forward.carried.iter().chain(&self.back.carried)
    }

    /// The loop up to the middle, the iteration in the middle, the loop beyond it.
    fn both_ways(&self, g: &mut Graph, inits: Vec<Id>, constant: Option<i128>) -> Vec<Id> {
        let ty = g.usize_ty();
        let (half, odd) = match constant {
            Some(n) => (g.usize_const((n / 2) as usize), Ok(n % 2 == 1)),
            None => {
                let two = g.usize_const(2);
                let n = match g.integer(self.lo) {
                    Some(0) => self.hi,
                    _ => g.opaque_binary(quote!(-), self.hi, self.lo, ty, false),
                };
                let rest = g.opaque_binary(quote!(%), n, two, ty, false);
                let (one, bool_ty) = (g.usize_const(1), g.bool_ty());
                let odd = g.opaque_binary(quote!(==), rest, one, bool_ty, true);
                (g.opaque_binary(quote!(/), n, two, ty, false), Err(odd))
            }
        };
        let (middle, beyond) = match (g.integer(self.lo), g.integer(self.hi), constant) {
            (Some(lo), Some(hi), Some(n)) => (
                g.usize_const((lo + n / 2) as usize),
                g.usize_const((hi - n / 2) as usize),
            ),
            (Some(0), ..) => (half, g.opaque_binary(quote!(-), self.hi, half, ty, false)),
            _ => (
                g.opaque_binary(quote!(+), self.lo, half, ty, false),
                g.opaque_binary(quote!(-), self.hi, half, ty, false),
            ),
        };
        let last = shift(g, self.hi, -1);
        let mut now = self.looped(g, [self.lo, middle], last, inits, |p, g, i, j, now| {
            let (mut f, mut b) = (p.known(i, now), p.known(j, now));
            let (kept, left) = (p.copy(g, p.kept, &mut f), b[&p.left]);
            p.store(g, kept, &mut f);
            p.store(g, left, &mut b);
            p.advance(g, now, &mut f, &mut b);
        });
        let alone = |p: &Plan, g: &mut Graph, now: &mut Vec<Id>| {
            let mut k = p.known(middle, now);
            let kept = p.copy(g, p.kept, &mut k);
            k.insert(p.kept, kept);
            p.finish(g, now, &mut k);
            let mut f = k.clone();
            p.advance(g, now, &mut f, &mut k);
        };
        match odd {
            Ok(false) => {}
            Ok(true) => alone(self, g, &mut now),
            Err(odd) => {
                let before = now.clone();
                let then = g.open();
                alone(self, g, &mut now);
                g.close();
                let otherwise = g.open();
                g.close();
                let branch = g.new_if(odd, then, otherwise);
                g.push(Stmt::If(branch));
                g.invalidate();
                now = choose(g, branch, now, before);
            }
        }
        self.looped(g, [beyond, self.hi], last, now, |p, g, i, j, now| {
            let (mut f, mut b) = (p.known(i, now), p.known(j, now));
            let kept = p.copy(g, p.kept, &mut f);
            let left = p.load(g, &mut f);
            let mut here = p.known(i, now);
            here.extend([(p.left, left), (p.kept, kept)]);
            p.finish(g, now, &mut here);
            let mut there = p.known(j, now);
            let kept = p.load(g, &mut there);
            there.insert(p.kept, kept);
            p.finish(g, now, &mut there);
            p.advance(g, now, &mut f, &mut b);
        })
    }

    /// A loop from a position up, at which the opposite one counts down; its scalars when it ends.
    fn looped(
        &self,
        g: &mut Graph,
        [lo, hi]: [Id; 2],
        last: Id,
        inits: Vec<Id>,
        body: impl FnOnce(&Plan, &mut Graph, Id, Id, &mut Vec<Id>),
    ) -> Vec<Id> {
        g.invalidate();
        let ty = g.usize_ty();
        let from = match (g.integer(self.lo), g.integer(self.hi)) {
            (Some(0), _) => last,
            (Some(lo), Some(hi)) => g.usize_const((lo + hi - 1) as usize),
            _ => g.opaque_binary(quote!(+), self.lo, last, ty, false),
        };
        let region = g.open();
        let unknown = LoopId(u32::MAX);
        let index = g.bound(Node::Index(unknown), ty, Some(region));
        g.nodes[index.0 as usize].name = g.data(self.index).name.clone();
        let olds: Vec<Id> = self.scalars().map(|c| c.phi).collect();
        let phis: Vec<Id> = olds
            .iter()
            .map(|&old| {
                let phi = g.bound(Node::Phi(unknown, 0), g.ty(old), Some(region));
                g.nodes[phi.0 as usize].name = g.data(old).name.clone();
                phi
            })
            .collect();
        let opposite = g.opaque_binary(quote!(-), from, index, ty, false);
        let mut now = phis.clone();
        body(self, g, index, opposite, &mut now);
        g.close();
        let count = Count::Range {
            index,
            lo,
            hi,
            inclusive: false,
            rev: false,
        };
        let looped = g.new_loop(count, region, Span::call_site());
        g.nodes[index.0 as usize].node = Node::Index(looped);
        let outs = phis
            .into_iter()
            .zip(inits)
            .zip(now)
            .map(|((phi, init), next)| match phi == next {
                // Passes through.
                true => {
                    g.carry(looped, phi, init, next);
                    init
                }
                false => g.carry(looped, phi, init, next),
            })
            .collect();
        g.push(Stmt::Loop(looped));
        g.invalidate();
        outs
    }

    /// What an iteration starts from.
    fn known(&self, index: Id, now: &[Id]) -> Known {
        let mut known: Known = self.scalars().map(|c| c.phi).zip(now.to_vec()).collect();
        known.insert(self.index, index);
        known
    }

    fn element(&self, g: &mut Graph, known: &mut Known) -> Place {
        let place = self.place.clone();
        place.map(&mut |i| self.copy(g, i, known))
    }

    fn load(&self, g: &mut Graph, known: &mut Known) -> Id {
        let place = self.element(g, known);
        g.load(place)
    }

    fn store(&self, g: &mut Graph, value: Id, known: &mut Known) {
        let place = self.element(g, known);
        g.store(place, value, false);
    }

    /// The gradient of an element, and what is summed beside it, where both chains are known.
    fn finish(&self, g: &mut Graph, now: &mut [Id], known: &mut Known) {
        let gradient = self.copy(g, self.gradient, known);
        self.store(g, gradient, known);
        let at = self.forward.carried.len();
        for (k, c) in self.back.carried.iter().enumerate() {
            if !self.chains[k] {
                known.insert(c.phi, now[at + k]);
                now[at + k] = self.copy(g, c.next, known);
            }
        }
    }

    /// A step of both chains.
    fn advance(&self, g: &mut Graph, now: &mut [Id], f: &mut Known, b: &mut Known) {
        let at = self.forward.carried.len();
        for (k, c) in self.forward.carried.iter().enumerate() {
            now[k] = self.copy(g, c.next, f);
        }
        for (k, c) in self.back.carried.iter().enumerate() {
            if self.chains[k] {
                now[at + k] = self.copy(g, c.next, b);
            }
        }
    }

    /// A value of the bodies, from what is known.
    fn copy(&self, g: &mut Graph, id: Id, known: &mut Known) -> Id {
        let id = g.resolve(id);
        if let Some(&copy) = known.get(&id) {
            return copy;
        }
        let data = g.data(id).clone();
        let inside = data
            .region
            .is_none_or(|r| [self.forward.body, self.back.body].contains(&r));
        let operands = g.operands(id);
        if !inside || operands.is_empty() && data.region.is_none() {
            return id;
        }
        let copies: Vec<Id> = operands.iter().map(|&o| self.copy(g, o, known)).collect();
        let copy = if copies == operands && data.region.is_none() {
            id
        } else {
            let mut rest = copies.into_iter();
            let mut take = |old: Id| rest.next().unwrap_or(old);
            let node = match data.node {
                Node::Apply(op, args) => Node::Apply(op, args.into_iter().map(take).collect()),
                Node::Opaque(k, args) => Node::Opaque(k, args.into_iter().map(take).collect()),
                Node::Cast(a, to) => Node::Cast(take(a), to),
                Node::Load(p, version) => Node::Load(p.map(&mut take), version),
                Node::Len(p, version) => Node::Len(p.map(&mut take), version),
                other => other,
            };
            let copy = g.compute(node, data.ty);
            let made = &mut g.nodes[copy.0 as usize];
            made.pinned |= data.pinned;
            made.name = made.name.take().or(data.name);
            copy
        };
        known.insert(id, copy);
        copy
    }
}
