//! Products begin with what stays.
//!
//! `2 (e x[i])` is two products in each iteration, `(2 e) x[i]` is one where `e` does not change. In: the program when its loops
//! are what they will be. Out: the same, in which a power of two that leads a product of a gradient is taken to a factor from
//! outside of the innermost loop, before which they are multiplied. What must hold: the product is used by nothing else; a power
//! of two, as other constants would round in another place.

use crate::access::{Body, nodes_of, positional};
use crate::graph::maps::Map;
use crate::graph::*;
use crate::live::Live;
use crate::reverse::Gradient;
use crate::rules::Op;
use crate::still::outside;

/// Regroups the products of a gradient, whose nodes follow those of the primal.
pub fn regroup(p: &mut Gradient, primal_nodes: usize) {
    let regions = || [Some(p.body), p.back].into_iter().flatten();
    let mut uses: Map<Id, u32> = Map::default();
    for region in regions() {
        for stmt in &p.graph.region(region).stmts {
            nodes_of(&p.graph, stmt, &mut |id| *uses.entry(id).or_default() += 1);
        }
    }
    let live = Live::of(p);
    let mut led = Map::default();
    let mut todo: Vec<RegionId> = regions().collect();
    while let Some(region) = todo.pop() {
        for stmt in p.graph.region(region).stmts.clone() {
            match stmt {
                Stmt::If(b) => todo.extend([p.graph.branch(b).then, p.graph.branch(b).otherwise]),
                Stmt::Loop(l) => {
                    let body = p.graph.looped(l).body;
                    todo.push(body);
                    let Some((index, ..)) = positional(&p.graph, l) else {
                        continue;
                    };
                    let (b, _) = Body::read(&p.graph, body, index, &live);
                    for stmt in p.graph.region(body).stmts.clone() {
                        if let Stmt::Let(id) = stmt
                            && id.0 as usize >= primal_nodes
                        {
                            product(&mut p.graph, &uses, &mut led, id, (region, l, &b));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Regroups one product in a loop's body, if there is something to gain. `led`: what stays, with its power of two, before which loop.
fn product(
    g: &mut Graph,
    uses: &Map<Id, u32>,
    led: &mut Map<(LoopId, Id, u64), Id>,
    id: Id,
    (parent, l, b): (RegionId, LoopId, &Body),
) {
    let Node::Apply(Op::Mul, args) = g.node(id).clone() else {
        return;
    };
    let Some(k) = g.constant(args[0]).filter(|k| power_of_two(*k)) else {
        return;
    };
    let body = g.looped(l).body;
    let rest = g.resolve(args[1]);
    let alone = uses.get(&rest) == Some(&1) && g.data(rest).region == Some(body);
    let Node::Apply(Op::Mul, factors) = g.node(rest).clone() else {
        return;
    };
    let [x, y] = [g.resolve(factors[0]), g.resolve(factors[1])];
    let (stays, moves) = match [outside(g, x, body, b), outside(g, y, body, b)] {
        [true, false] => (x, y),
        [false, true] => (y, x),
        _ => return,
    };
    if !alone || g.constant(stays).is_some() {
        return;
    }
    let leader = *led.entry((l, stays, k.to_bits())).or_insert_with(|| {
        let factor = g.lit_like(k, stays);
        let ty = g.ty(stays);
        let leader = g.bound(Node::Apply(Op::Mul, vec![factor, stays]), ty, Some(parent));
        let stmts = &mut g.region_mut(parent).stmts;
        let at = stmts
            .iter()
            .position(|s| matches!(s, Stmt::Loop(k) if *k == l))
            .unwrap_or(0);
        stmts.insert(at, Stmt::Let(leader));
        leader
    });
    g.nodes[id.0 as usize].node = Node::Apply(Op::Mul, vec![leader, moves]);
}

/// Whether multiplying by a number only changes exponent and sign.
fn power_of_two(k: f64) -> bool {
    k.is_normal() && k.to_bits() & ((1 << 52) - 1) == 0
}
