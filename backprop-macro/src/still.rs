//! Elements that stay while a loop runs are summed up in scalars.
//!
//! A loop over pairs adds to `d[i]` and to `d[j]`, of which only `j` is its own index. Neither processor nor optimiser can tell that the two
//! are different elements, so that each addition waits for the store before it. In: the program when all other stages have
//! rearranged its loops. Out: the same sums, in which what goes to an element that the loop does not move is carried in
//! a scalar, and added once behind the loop. Where it is may be computed in each iteration anew, as `3 * i` is in `d[3 * i + k]`. What must hold: the loop does nothing with the array but add to it, in
//! its own body, and to another element too: of an element that is alone, the optimiser sees as much.

use crate::access::{Body, Use, positional};
use crate::graph::*;
use crate::live::Live;
use crate::positions::Within;
use crate::reverse::Gradient;
use crate::rules::Op;
use quote::quote;

/// More scalars than this would not stay in registers.
const MAX_SUMS: usize = 6;

/// An element that stays, and what each iteration adds to it.
struct Still {
    place: Place,
    terms: Vec<Id>,
}

/// Sums up wherever it can.
pub fn still(p: &mut Gradient) {
    let live = Live::of(p);
    let mut todo = vec![p.body];
    todo.extend(p.back);
    while let Some(region) = todo.pop() {
        for stmt in p.graph.region(region).stmts.clone() {
            match stmt {
                Stmt::If(b) => todo.extend([p.graph.branch(b).then, p.graph.branch(b).otherwise]),
                Stmt::Loop(l) => {
                    todo.push(p.graph.looped(l).body);
                    let found = found(&p.graph, &live, l);
                    if !found.is_empty() && found.len() <= MAX_SUMS {
                        build(&mut p.graph, region, l, found);
                    }
                }
                _ => {}
            }
        }
    }
}

fn found(g: &Graph, live: &Live, l: LoopId) -> Vec<Still> {
    let Some((index, ..)) = positional(g, l) else {
        return Vec::new();
    };
    let body = g.looped(l).body;
    let (b, accesses) = Body::read(g, body, index, live);
    let Some(within) = Within::of(g, l) else {
        return Vec::new();
    };
    let stays = |i: Id| outside(g, i, body, &b) || within.settled.contains(&g.resolve(i));
    let mut out: Vec<Still> = Vec::new();
    for (array, all) in &accesses {
        let local = g.array(*array).region;
        if local.is_some_and(|r| g.encloses(body, r)) {
            continue;
        }
        let mut mine: Vec<Still> = Vec::new();
        let mut moving = false;
        let mut only_added = true;
        for (place, kind) in all {
            let Use::Add(value) = kind else {
                only_added = false;
                break;
            };
            if !place.indices().all(stays) {
                moving = true;
                continue;
            }
            match mine.iter_mut().find(|s| s.place == *place) {
                Some(s) => s.terms.push(*value),
                None => mine.push(Still {
                    place: place.clone(),
                    terms: vec![*value],
                }),
            }
        }
        if only_added && moving {
            out.extend(mine);
        }
    }
    out
}

/// Whether a value is known before a loop starts. What the backward pass computes again is bound where it does so.
pub fn outside(g: &Graph, id: Id, body: RegionId, b: &Body) -> bool {
    let id = g.resolve(id);
    match g.data(id).region {
        Some(r) => {
            let bound = [&b.lets, &b.others, &b.taped];
            let again = id == b.index || bound.iter().any(|all| all.contains(&id));
            !again && !g.encloses(body, r)
        }
        // Spelt where it is used.
        None => g.operands(id).into_iter().all(|o| outside(g, o, body, b)),
    }
}

/// A position that stays, where the loop's body computes it: computed again behind the loop.
fn again(g: &mut Graph, id: Id, body: RegionId) -> Id {
    let id = g.resolve(id);
    let computed = |s: &Stmt| matches!(s, Stmt::Let(other) if *other == id);
    let Node::Opaque(k, args) = g.node(id).clone() else {
        return id;
    };
    if !g.region(body).stmts.iter().any(computed) {
        return id;
    }
    let args = args.iter().map(|&a| again(g, a, body)).collect();
    let ty = g.ty(id);
    g.compute(Node::Opaque(k, args), ty)
}

fn build(g: &mut Graph, parent: RegionId, l: LoopId, found: Vec<Still>) {
    let body = g.looped(l).body;
    let stays = |s: &Stmt| matches!(s, Stmt::Store { place, add: true, .. } if found.iter().any(|f| f.place == *place));
    g.region_mut(body).stmts.retain(|s| !stays(s));
    g.enter(body);
    g.invalidate();
    let mut sums = Vec::new();
    for f in &found {
        let ty = g.ty(f.terms[0]);
        let phi = g.bound(Node::Phi(l, 0), ty, Some(body));
        g.nodes[phi.0 as usize].name = Some("sum".into());
        let next = f.terms.iter().fold(phi, |so_far, term| {
            let sum = [so_far, *term];
            g.apply(Op::Add, &sum)
        });
        sums.push((phi, next));
    }
    g.close();
    let outs: Vec<Id> = sums
        .into_iter()
        .map(|(phi, next)| {
            let zero = g.lit_like(0.0, phi);
            g.carry(l, phi, zero, next)
        })
        .collect();

    // An element that no iteration touches may not exist.
    let start = g.region(parent).stmts.len();
    g.enter(parent);
    g.invalidate();
    let Some((_, lo, hi)) = positional(g, l) else {
        return;
    };
    let runs = match (g.integer(lo), g.integer(hi)) {
        (Some(lo), Some(hi)) if lo < hi => None,
        _ => {
            let ty = g.bool_ty();
            Some(g.opaque_binary(quote!(<), lo, hi, ty, true))
        }
    };
    let then = runs.map(|_| g.open());
    for (f, out) in found.into_iter().zip(outs) {
        let place = f.place.map(&mut |i| again(g, i, body));
        g.store(place, out, true);
    }
    if let (Some(runs), Some(then)) = (runs, then) {
        g.close();
        let otherwise = g.open();
        g.close();
        let branch = g.new_if(runs, then, otherwise);
        g.push(Stmt::If(branch));
    }
    g.close();
    let stmts = &mut g.region_mut(parent).stmts;
    let after: Vec<Stmt> = stmts.drain(start..).collect();
    let at = stmts
        .iter()
        .position(|s| matches!(s, Stmt::Loop(k) if *k == l))
        .unwrap_or(stmts.len() - 1);
    stmts.splice(at + 1..at + 1, after);
}
