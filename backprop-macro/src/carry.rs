//! Sums of neighbours that are carried from iteration to iteration.
//!
//! A stencil's reverse adds to `d[i]` and `d[i + 1]`, and the next iteration adds to `d[i + 1]` again. In: the program after
//! `keep`. Out: the same sums, in which what an element still waits for is carried in a scalar, and each element is
//! written once, when nothing is added to it any more. Where the loop also reads the array, at the element that it reaches
//! first, the value read is carried too, so that a sweep in place neither waits for its own stores nor repeats a load.
//! What must hold: the loop touches the array at fixed distances from its index only, in its own body, and reads an
//! element before anything is added to it.

use crate::access::{Body, Use, distance, extent, first_writer, length_of, positional};
use crate::collect::Sums;
use crate::gather::shift;
use crate::graph::maps::Set;
use crate::graph::*;
use crate::live::Live;
use crate::reverse::Gradient;
use quote::quote;
use std::collections::BTreeMap;

/// How many elements may wait at once.
const MAX_WAITING: i128 = 4;

/// Which loops are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those with a running sum, which do not vectorise whatever becomes of their stores.
    Summing,
    All,
}

struct Plan {
    looped: LoopId,
    parent: RegionId,
    array: ArrayId,
    index: Id,
    lo: Id,
    hi: Id,
    rev: bool,
    /// What is added, by distance.
    terms: BTreeMap<i128, Vec<Id>>,
    /// The value read at the element that is reached first.
    load: Option<Id>,
}

/// Carries wherever it can. `fresh`: the buffers hold zeros when the program starts.
pub fn carry(p: &mut Gradient, which: Which, fresh: bool) {
    let live = Live::of(p);
    let mut todo = vec![p.body];
    todo.extend(p.back);
    let mut at = 0;
    while at < todo.len() {
        let region = todo[at];
        at += 1;
        for stmt in p.graph.region(region).stmts.clone() {
            match stmt {
                Stmt::If(b) => todo.extend([p.graph.branch(b).then, p.graph.branch(b).otherwise]),
                Stmt::Loop(l) => {
                    todo.push(p.graph.looped(l).body);
                    for plan in plans(&p.graph, &live, l, region, which) {
                        let first = fresh
                            && region == p.body
                            && plan.load.is_none()
                            && first_writer(&p.graph, p.body, plan.array, l);
                        let whole = build(&mut p.graph, &mut p.sums, &plan, first);
                        if let (true, Some(like)) = (whole, p.graph.array(plan.array).like) {
                            p.assigned.insert(like);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn plans(g: &Graph, live: &Live, l: LoopId, parent: RegionId, which: Which) -> Vec<Plan> {
    let Some((index, lo, hi)) = positional(g, l) else {
        return Vec::new();
    };
    let data = g.looped(l);
    let rev = matches!(data.count, Count::Range { rev: true, .. });
    let sums = data
        .carried
        .iter()
        .any(|c| live.carried(g, c) && g.is_float(c.phi) && depends(g, c.next, c.phi, data.body));
    if which == Which::Summing && !sums {
        return Vec::new();
    }
    let (_, accesses) = Body::read(g, data.body, index, live);
    let mut out = Vec::new();
    'arrays: for (&array, all) in &accesses {
        if g.array(array)
            .region
            .is_some_and(|r| g.encloses(data.body, r))
        {
            continue;
        }
        let mut terms: BTreeMap<i128, Vec<Id>> = BTreeMap::new();
        let mut places = Vec::new();
        let mut load = None;
        for (place, kind) in all {
            let [Step::Index(i)] = place.path.as_slice() else {
                continue 'arrays;
            };
            let Some(at) = distance(g, *i, index) else {
                continue 'arrays;
            };
            match kind {
                Use::Add(value) => terms.entry(at).or_default().push(*value),
                Use::Load => {}
                Use::Zero | Use::Set(_) | Use::Other => continue 'arrays,
            }
            places.push((at, *kind));
        }
        let (Some((&min, _)), Some((&max, _))) = (terms.first_key_value(), terms.last_key_value())
        else {
            continue;
        };
        if min == max || max - min > MAX_WAITING {
            continue;
        }
        // Upwards the largest distance is reached first.
        let first = if rev { min } else { max };
        let added = places
            .iter()
            .position(|(at, kind)| *at == first && matches!(kind, Use::Add(_)));
        for (k, (at, kind)) in places.iter().enumerate() {
            if *kind == Use::Load && (*at != first || added.is_some_and(|added| k > added)) {
                continue 'arrays;
            }
        }
        if places.iter().any(|(_, kind)| *kind == Use::Load) {
            load = loaded(g, data.body, array);
            if load.is_none() {
                continue;
            }
        }
        out.push(Plan {
            looped: l,
            parent,
            array,
            index,
            lo,
            hi,
            rev,
            terms,
            load,
        });
    }
    out
}

/// Whether a value of a region is computed from another.
fn depends(g: &Graph, id: Id, on: Id, region: RegionId) -> bool {
    let mut todo = vec![g.resolve(id)];
    let mut seen = Set::default();
    while let Some(id) = todo.pop() {
        if id == on {
            return true;
        }
        if g.data(id).region == Some(region) && seen.insert(id) {
            // What a statement inside of the body yields may come from anywhere.
            if matches!(g.node(id), Node::IfOut(..) | Node::LoopOut(..)) {
                return true;
            }
            todo.extend(g.operands(id));
        }
    }
    false
}

/// The one node of the body itself that loads from an array.
fn loaded(g: &Graph, body: RegionId, array: ArrayId) -> Option<Id> {
    let mut loads = g.region(body).stmts.iter().filter_map(|s| match s {
        Stmt::Let(id) if matches!(g.node(*id), Node::Load(p, _) if p.array == array) => Some(*id),
        _ => None,
    });
    let one = loads.next();
    loads.next().is_none().then_some(one)?
}

/// Rewrites the loop; whether it now assigns the whole array. `first`: the array holds zeros.
fn build(g: &mut Graph, sums: &mut Sums, plan: &Plan, first: bool) -> bool {
    let body = g.looped(plan.looped).body;
    let (min, max) = plan
        .terms
        .keys()
        .fold((i128::MAX, i128::MIN), |(a, b), &d| (a.min(d), b.max(d)));
    let waiting = max - min;
    let (last, step) = if plan.rev { (max, -1) } else { (min, 1) };
    let assign = first || plan.load.is_some();
    let like = plan.terms.values().flatten().next().copied();
    let Some(like) = like else { return false };
    let element = |g: &mut Graph, from: Id, by: i128| Place {
        array: plan.array,
        path: vec![Step::Index(shift(g, from, by))],
    };
    g.region_mut(body)
        .stmts
        .retain(|s| !matches!(s, Stmt::Store { place, .. } if place.array == plan.array));

    // Before the loop: what the first elements hold.
    let start = g.region(plan.parent).stmts.len();
    g.enter(plan.parent);
    g.invalidate();
    let constant = match (g.integer(plan.lo), g.integer(plan.hi)) {
        (Some(lo), Some(hi)) => Some(lo < hi),
        _ => None,
    };
    let runs = match constant {
        Some(known) => g.bool_const(known),
        None => {
            let ty = g.bool_ty();
            g.opaque_binary(quote!(<), plan.lo, plan.hi, ty, true)
        }
    };
    let mut inits = Vec::new();
    if plan.load.is_some() && constant != Some(false) {
        let then = constant.is_none().then(|| g.open());
        for k in 1..=waiting {
            let place = match plan.rev {
                false => element(g, plan.lo, min + k - 1),
                true => element(g, plan.hi, max - k),
            };
            inits.push(g.load(place));
        }
        if let Some(then) = then {
            g.close();
            let otherwise = g.open();
            g.close();
            let branch = g.new_if(runs, then, otherwise);
            g.push(Stmt::If(branch));
            for init in &mut inits {
                let zero = g.lit_like(0.0, like);
                *init = g.yield_from(branch, *init, zero);
            }
        }
    } else {
        inits.extend((0..waiting).map(|_| g.lit_like(0.0, like)));
    }
    g.close();
    let before: Vec<Stmt> = g.region_mut(plan.parent).stmts.drain(start..).collect();

    // In the loop: the element that is complete is written, the others wait.
    g.enter(body);
    g.invalidate();
    let ty = g.ty(like);
    let waits: Vec<Id> = (0..waiting)
        .map(|_| {
            let phi = g.bound(Node::Phi(plan.looped, 0), ty, Some(body));
            g.nodes[phi.0 as usize].name = Some("waiting".into());
            phi
        })
        .collect();
    let mut with_terms = |g: &mut Graph, so_far: Option<Id>, at: i128| {
        let mut sum = so_far;
        for &t in plan.terms.get(&at).into_iter().flatten() {
            sum = Some(match sum {
                None => t,
                Some(s) => sums.add(g, s, t),
            });
        }
        sum
    };
    let complete = with_terms(g, Some(waits[0]), last);
    if let Some(value) = complete {
        let place = element(g, plan.index, last);
        g.store(place, value, !assign);
    }
    let mut nexts = Vec::new();
    for k in 1..=waiting {
        let so_far = match waits.get(k as usize) {
            Some(wait) => Some(*wait),
            None => plan.load,
        };
        let next = with_terms(g, so_far, last + step * k);
        nexts.push(next.unwrap_or_else(|| g.lit_like(0.0, like)));
    }
    g.close();
    let outs: Vec<Id> = waits
        .iter()
        .zip(inits)
        .zip(nexts)
        .map(|((&phi, init), next)| g.carry(plan.looped, phi, init, next))
        .collect();

    // After the loop: what still waits is complete.
    let start = g.region(plan.parent).stmts.len();
    g.enter(plan.parent);
    g.invalidate();
    let whole = first && covers(g, plan, min, max);
    if constant != Some(false) {
        let then = constant.is_none().then(|| g.open());
        for (k, &out) in (1..).zip(&outs) {
            let place = match plan.rev {
                false => element(g, plan.hi, min + k - 1),
                true => element(g, plan.lo, max - k),
            };
            g.store(place, out, !assign);
        }
        if let Some(then) = then {
            g.close();
            let otherwise = g.open();
            if whole {
                let path = Vec::new();
                g.clear(Place {
                    array: plan.array,
                    path,
                });
            }
            g.close();
            let branch = g.new_if(runs, then, otherwise);
            g.push(Stmt::If(branch));
        }
    }
    g.close();
    let after: Vec<Stmt> = g.region_mut(plan.parent).stmts.drain(start..).collect();
    let stmts = &mut g.region_mut(plan.parent).stmts;
    let at = stmts
        .iter()
        .position(|s| matches!(s, Stmt::Loop(k) if *k == plan.looped))
        .unwrap_or(stmts.len() - 1);
    stmts.splice(at + 1..at + 1, after);
    stmts.splice(at..at, before);
    whole && constant != Some(false)
}

/// Whether a loop that runs reaches every element.
fn covers(g: &Graph, plan: &Plan, min: i128, max: i128) -> bool {
    let (lo, hi) = (extent(g, plan.lo), extent(g, plan.hi));
    let from = (lo.0, lo.1 + min);
    let to = (hi.0, hi.1 + max);
    from == (crate::access::Base::Zero, 0) && length_of(g, plan.array) == Some(to)
}
