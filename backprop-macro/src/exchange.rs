//! Double buffers take turns.
//!
//! `for i in 1..n { u[i] = tmp[i] }` ends a step that has computed `tmp` from `u`. In: the primal. Out: the same, in which
//! such a loop is marked as one that *moves*: what it copies from is overwritten before it is read again, so that the two
//! buffers may change places instead, but for the elements that the loop leaves out. What must hold: the source is stored to
//! by one loop over the same positions, in the same region and before the copy, and touched by nothing else.

use crate::access::{arrays_of, distance, extent, positional};
use crate::graph::*;
use crate::graph::{Output, Primal};
use crate::shape::Shape;

/// Marks the loops of the primal that move.
pub fn exchange(primal: &mut Primal) {
    let mut found = Vec::new();
    regions(&primal.graph, primal.body, &mut |region| {
        for (k, stmt) in primal.graph.region(region).stmts.iter().enumerate() {
            if let Stmt::Loop(l) = stmt
                && moves(primal, region, k, *l)
            {
                found.push(*l);
            }
        }
    });
    for l in found {
        primal.graph.looped_mut(l).moves = true;
    }
}

/// Calls `f` with a region and those inside of it.
pub fn regions(g: &Graph, region: RegionId, f: &mut impl FnMut(RegionId)) {
    f(region);
    for stmt in &g.region(region).stmts {
        match stmt {
            Stmt::If(b) => {
                regions(g, g.branch(*b).then, f);
                regions(g, g.branch(*b).otherwise, f);
            }
            Stmt::Loop(l) => regions(g, g.looped(*l).body, f),
            _ => {}
        }
    }
}

/// What a loop that only copies elements copies: to an array, from another, at its own index.
pub fn copied(g: &Graph, l: LoopId) -> Option<(ArrayId, ArrayId)> {
    let (index, ..) = positional(g, l)?;
    let data = g.looped(l);
    let mut out = None;
    for stmt in &g.region(data.body).stmts {
        match stmt {
            Stmt::Let(_) => {}
            Stmt::Store {
                place,
                value,
                add: false,
            } if out.is_none() => {
                let Node::Load(from, _) = g.node(g.resolve(*value)) else {
                    return None;
                };
                let own = |p: &Place| matches!(p.path.as_slice(), [Step::Index(i)] if distance(g, *i, index) == Some(0));
                if !own(place) || !own(from) {
                    return None;
                }
                out = Some((place.array, from.array));
            }
            _ => return None,
        }
    }
    out.filter(|_| data.carried.is_empty())
}

/// Whether two loops run over the same positions.
pub fn same_positions(g: &Graph, a: LoopId, b: LoopId) -> bool {
    let bounds = |l| positional(g, l).map(|(_, lo, hi)| (extent(g, lo), extent(g, hi)));
    bounds(a).is_some() && bounds(a) == bounds(b)
}

fn moves(primal: &Primal, region: RegionId, at: usize, l: LoopId) -> bool {
    let g = &primal.graph;
    let Some((to, from)) = copied(g, l) else {
        return false;
    };
    let stmts = &g.region(region).stmts;
    let filled = stmts[..at].iter().find_map(|s| match s {
        Stmt::Loop(k) if same_positions(g, *k, l) && fills(g, *k, from) => Some(*k),
        _ => None,
    });
    let Some(filled) = filled else { return false };
    let mut others = returned(&primal.result, from);
    regions(g, primal.body, &mut |r| {
        for stmt in &g.region(r).stmts {
            let mine = [g.looped(filled).body, g.looped(l).body].contains(&r)
                || matches!(stmt, Stmt::Declare(a) if *a == from);
            if mine || matches!(stmt, Stmt::If(_) | Stmt::Loop(_)) {
                continue;
            }
            arrays_of(g, stmt, &mut |a, _| {
                others |= a == from;
                // A call could hold on to it.
                others |= a == to && matches!(stmt, Stmt::Call(_));
            });
        }
    });
    !others && to != from && alike(g, to, from)
}

/// Whether a loop assigns an array's elements, each in its own iteration, and does not read it.
pub fn fills(g: &Graph, l: LoopId, array: ArrayId) -> bool {
    let Some((index, ..)) = positional(g, l) else {
        return false;
    };
    let (mut stored, mut others) = (0, false);
    for stmt in &g.region(g.looped(l).body).stmts {
        match stmt {
            Stmt::Store {
                place, add: false, ..
            } if place.array == array => {
                let own = matches!(place.path.as_slice(), [Step::Index(i)] if distance(g, *i, index) == Some(0));
                stored += usize::from(own);
                others |= !own;
            }
            stmt => arrays_of(g, stmt, &mut |a, _| others |= a == array),
        }
    }
    stored == 1 && !others
}

/// Whether two local arrays of scalars have one type, and stand side by side.
fn alike(g: &Graph, a: ArrayId, b: ArrayId) -> bool {
    let (a, b) = (g.array(a), g.array(b));
    let local = |d: &ArrayData| d.param.is_none() && !matches!(d.init, Init::Given(_));
    let scalars = |s: &Shape| matches!(s, Shape::Float(_) | Shape::Scalar(_));
    let shapes = match (&a.shape, &b.shape) {
        (Shape::Array(s, n), Shape::Array(t, m)) => {
            crate::access::fixed(n) == crate::access::fixed(m) && scalars(s) && scalars(t)
        }
        _ => false,
    };
    shapes && local(a) && local(b) && a.region == b.region
}

/// Whether a result is made of an array.
pub fn returned(out: &Output, array: ArrayId) -> bool {
    match out {
        Output::Scalar(_) => false,
        Output::Array(p) => p.array == array,
        Output::Tuple(all) => all.iter().any(|o| returned(o, array)),
    }
}
