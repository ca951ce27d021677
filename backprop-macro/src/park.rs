//! What an iteration keeps for its own element waits in that element's gradient buffer.
//!
//! In: a program of mode `Unit`, whose gradient buffers hold zeros when it starts. Out: the same, in which a value that a
//! loop keeps for each iteration is not on a tape but in the buffer, where the loop that runs backwards reads it and puts the
//! gradient in its place. What must hold: both loops run once, over the same positions; the backward one adds to
//! each of those elements exactly once; and nothing touches the buffer before.

use crate::access::{Base, Body, Use, distance, extent, first_writer, length_of, positional};
use crate::gather::shift;
use crate::graph::*;
use crate::live::Live;
use crate::reverse::Gradient;
use crate::shape::Shape;
use crate::types::Kind;

/// Parks what it can.
pub fn park(p: &mut Gradient) {
    let live = Live::of(p);
    let stmts = p.graph.region(p.body).stmts.clone();
    for (k, stmt) in stmts.iter().enumerate() {
        let Stmt::Loop(back) = stmt else { continue };
        let Some(of) = p.graph.looped(*back).reverses else {
            continue;
        };
        let before = |s: &Stmt| matches!(s, Stmt::Loop(l) if *l == of);
        if p.graph.looped(of).shared || !stmts[..k].iter().any(before) {
            continue;
        }
        while let Some(plan) = plan(p, &live, of, *back) {
            if plan.whole {
                p.assigned.extend(p.graph.array(plan.array).like);
            }
            build(&mut p.graph, &plan);
        }
    }
}

struct Plan {
    of: LoopId,
    back: LoopId,
    array: ArrayId,
    index: Id,
    distance: i128,
    kept: Id,
    /// The loops reach every element.
    whole: bool,
}

fn plan(p: &Gradient, live: &Live, of: LoopId, back: LoopId) -> Option<Plan> {
    let g = &p.graph;
    let (index, lo, hi) = positional(g, back)?;
    if positional(g, of)? != (index, lo, hi) {
        return None;
    }
    let body = g.looped(back).body;
    let (_, accesses) = Body::read(g, body, index, live);
    for (&array, all) in &accesses {
        let [(place, Use::Add(_))] = all.as_slice() else {
            continue;
        };
        let (Shape::Slice(scalar) | Shape::Vec(scalar) | Shape::Array(scalar, _)) =
            &g.array(array).shape
        else {
            continue;
        };
        let float = match &**scalar {
            Shape::Float(float) => float.clone(),
            Shape::Scalar(ty) => g.types.float(*ty),
            _ => continue,
        };
        let [Step::Index(i)] = place.path.as_slice() else {
            continue;
        };
        let Some(distance) = distance(g, *i, index) else {
            continue;
        };
        let fits = |id: &Id| matches!(g.types.kind(g.ty(*id)), Kind::Float(f) if *f == float);
        let Some(&kept) = g.looped(of).tape.iter().find(|id| fits(id)) else {
            continue;
        };
        if !first_writer(g, p.body, array, back) {
            continue;
        }
        let (lo, hi) = (extent(g, lo), extent(g, hi));
        let whole = (lo.0, lo.1 + distance) == (Base::Zero, 0)
            && length_of(g, array) == Some((hi.0, hi.1 + distance));
        return Some(Plan {
            of,
            back,
            array,
            index,
            distance,
            kept,
            whole,
        });
    }
    None
}

fn build(g: &mut Graph, plan: &Plan) {
    let place = |g: &mut Graph| Place {
        array: plan.array,
        path: vec![Step::Index(shift(g, plan.index, plan.distance))],
    };
    let tape = &mut g.looped_mut(plan.of).tape;
    tape.retain(|id| *id != plan.kept);
    let empty = tape.is_empty();
    let forward = g.looped(plan.of).body;
    g.enter(forward);
    g.invalidate();
    let element = place(g);
    g.store(element, plan.kept, false);
    g.close();

    let body = g.looped(plan.back).body;
    for stmt in &mut g.region_mut(body).stmts {
        if let Stmt::Store { place, add, .. } = stmt
            && place.array == plan.array
        {
            *add = false;
        }
    }
    g.region_mut(body)
        .stmts
        .retain(|s| !(empty && matches!(s, Stmt::ReadTape(l) if *l == plan.of)));
    let start = g.region(body).stmts.len();
    g.enter(body);
    g.invalidate();
    let element = place(g);
    let (ty, k) = (g.ty(plan.kept), g.nodes.len() as u32);
    let load = g.bound(Node::Load(element, k), ty, Some(body));
    g.push(Stmt::Bind(plan.kept, load));
    g.close();
    let stmts = &mut g.region_mut(body).stmts;
    let new: Vec<Stmt> = stmts.drain(start..).collect();
    stmts.splice(0..0, new);
}
