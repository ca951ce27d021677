//! Loops that run backwards although nothing asks them to.
//!
//! In: the program after `keep`. Out: the same, in which a loop of the backward pass whose iterations need nothing from one
//! another counts up: in the order of memory, in which loops vectorise. What must hold: each iteration touches elements of
//! its own, or only adds to what it shares, in sums whose order nothing prescribes; and no inner tape is read, whose
//! cursor would have to move the other way.

use crate::access::{arrays_of, distance, nodes_of};
use crate::graph::*;
use crate::reverse::Gradient;
use crate::rules::Op;
use std::collections::BTreeMap;

/// Turns loops where that is allowed.
pub fn forwards(p: &mut Gradient) {
    for k in 0..p.graph.loops.len() {
        let l = LoopId(k as u32);
        if turnable(&p.graph, l)
            && let Count::Range { rev, .. } = &mut p.graph.looped_mut(l).count
        {
            *rev = false;
        }
    }
    for k in 0..p.graph.loops.len() {
        let l = LoopId(k as u32);
        if segments_turnable(&p.graph, l)
            && let Count::Range { rev, .. } = &mut p.graph.looped_mut(l).count
        {
            *rev = false;
        }
    }
}

/// Whether a loop over segments may count up: the loop inside of it that runs backwards does, and goes on with its sums.
fn segments_turnable(g: &Graph, over: LoopId) -> bool {
    let data = g.looped(over);
    let back = g.region(data.body).stmts.iter().find_map(|s| match s {
        Stmt::Loop(l) if g.looped(*l).reverses.is_some() => Some(g.looped(*l)),
        _ => None,
    });
    let Some(back) = back.filter(|_| data.segments.is_some()) else {
        return false;
    };
    // One that counts up because the other counts down has not been turned.
    let up = |l: &Loop| matches!(l.count, Count::Range { rev: false, .. });
    let turned = up(back) && back.reverses.is_some_and(|l| up(g.looped(l)));
    let goes_on = |c: &Carried| {
        let next = g.resolve(c.next);
        let mut all = back.carried.iter();
        all.any(|k| g.resolve(k.init) == c.phi && k.out == next)
    };
    turned && data.carried.len() == back.carried.len() && data.carried.iter().all(goes_on)
}

fn turnable(g: &Graph, l: LoopId) -> bool {
    let data = g.looped(l);
    let Count::Range {
        index, rev: true, ..
    } = data.count
    else {
        return false;
    };
    // A tape that was pushed can only be popped.
    let Some(of) = data.reverses else {
        return false;
    };
    let counted = |l: LoopId| {
        let data = g.looped(l);
        matches!(data.count, Count::Range { .. }) && data.again.is_none()
    };
    data.again.is_none()
        && counted(of)
        && data.carried.iter().all(|c| is_sum(g, data, c))
        && own_elements(g, data.body, g.resolve(index))
        && g.region(data.body).stmts.iter().all(|s| free(g, s, of))
}

/// Whether a carried scalar is a sum over the iterations, read by nothing in between.
pub fn is_sum(g: &Graph, data: &Loop, c: &Carried) -> bool {
    let next = g.resolve(c.next);
    let sum = matches!(g.node(next), Node::Apply(Op::Add | Op::Sub, a)
        if g.resolve(a[0]) == c.phi && g.resolve(a[1]) != c.phi);
    let mut uses = 0;
    for stmt in &g.region(data.body).stmts {
        nodes_of(g, stmt, &mut |id| {
            uses += usize::from(id == c.phi || id == next)
        });
    }
    uses += data
        .carried
        .iter()
        .flat_map(|other| [other.next, other.init])
        .filter(|&id| [c.phi, next].contains(&g.resolve(id)))
        .count();
    // Its own addition reads the old sum, and the loop carries the new one.
    sum && uses == 2
}

/// Whether nothing in a statement depends on the order of the iterations.
fn free(g: &Graph, stmt: &Stmt, of: LoopId) -> bool {
    match stmt {
        Stmt::Let(_) | Stmt::Bind(..) | Stmt::Store { .. } | Stmt::Clear(_) | Stmt::Copy { .. } => {
            true
        }
        Stmt::Declare(_) => true,
        Stmt::ReadTape(l) => *l == of,
        Stmt::If(b) => [g.branch(*b).then, g.branch(*b).otherwise]
            .iter()
            .all(|r| g.region(*r).stmts.iter().all(|s| free(g, s, of))),
        Stmt::Loop(l) => g
            .region(g.looped(*l).body)
            .stmts
            .iter()
            .all(|s| free(g, s, of)),
        Stmt::Swap(..)
        | Stmt::Push(..)
        | Stmt::Save(..)
        | Stmt::Pop(..)
        | Stmt::Effect(..)
        | Stmt::Call(_)
        | Stmt::Pullback(_)
        | Stmt::ReadTapeAt(..)
        | Stmt::ReadSaved(_) => false,
    }
}

/// Whether every array from outside that the body stores to is only added to, or touched at the iteration's own elements.
fn own_elements(g: &Graph, body: RegionId, index: Id) -> bool {
    #[derive(Default)]
    struct Seen {
        stored: bool,
        only_added: bool,
        distances: Vec<Option<i128>>,
    }
    fn places(g: &Graph, stmt: &Stmt, f: &mut impl FnMut(&Place, bool, bool)) {
        match stmt {
            Stmt::Let(id) | Stmt::Bind(_, id) => {
                if let Node::Load(p, _) = g.node(*id) {
                    f(p, false, false);
                }
            }
            Stmt::Store { place, add, .. } => f(place, true, *add),
            Stmt::If(b) => {
                for r in [g.branch(*b).then, g.branch(*b).otherwise] {
                    g.region(r).stmts.iter().for_each(|s| places(g, s, f));
                }
            }
            Stmt::Loop(l) => g
                .region(g.looped(*l).body)
                .stmts
                .iter()
                .for_each(|s| places(g, s, f)),
            Stmt::Copy { to, from, add } => {
                f(to, true, *add);
                f(from, false, false);
            }
            Stmt::Clear(p) => f(p, true, false),
            other => arrays_of(g, other, &mut |array, reads| {
                let path = Vec::new();
                f(&Place { array, path }, !reads, false);
            }),
        }
    }
    let mut seen: BTreeMap<ArrayId, Seen> = BTreeMap::new();
    for stmt in &g.region(body).stmts {
        places(g, stmt, &mut |p, store, add| {
            if g.array(p.array).region.is_some_and(|r| g.encloses(body, r)) {
                return;
            }
            let s = seen.entry(p.array).or_insert(Seen {
                only_added: true,
                ..Seen::default()
            });
            s.stored |= store;
            s.only_added &= store && add;
            s.distances.push(match p.path.first() {
                Some(Step::Index(i)) => distance(g, *i, index),
                _ => None,
            });
        });
    }
    seen.values().all(|s| {
        !s.stored
            || s.only_added
            || s.distances[0].is_some() && s.distances.iter().all(|d| *d == s.distances[0])
    })
}
