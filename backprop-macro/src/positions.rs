//! Positions in arrays, seen from a loop: what moves with its index, and what stays.
//!
//! In: a loop. Out: [`Within`], which says of an index by how much it is away from the loop's own. The distance is a number and
//! what is the same in every iteration, be it known before the loop or computed in each iteration anew, as `i * n` is in
//! `a[i * n + j]`. What must hold: what an iteration computes anew is integer arithmetic that every iteration reaches, so that a loop
//! that runs at all can compute it before the first one.

use crate::graph::maps::Set;
use crate::graph::*;
use crate::types::Kind;
use std::collections::BTreeSet;

/// A distance from a loop's index: what is added and subtracted that does not change in the loop, and a number.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Offset {
    pub plus: BTreeSet<Id>,
    pub minus: BTreeSet<Id>,
    pub number: i128,
}

/// What a loop's body binds, and what of it is the same in every iteration.
pub struct Within {
    index: Id,
    inside: Set<Id>,
    /// Integer arithmetic of what does not change, computed by every iteration.
    pub settled: Set<Id>,
}

impl Within {
    pub fn of(g: &Graph, l: LoopId) -> Option<Within> {
        let data = g.looped(l);
        let Count::Range { index, .. } = &data.count else {
            return None;
        };
        let index = g.resolve(*index);
        let mut inside = Set::from_iter([index]);
        bound_in(g, data.body, &mut inside);
        inside.extend(data.carried.iter().map(|c| c.phi));
        let mut within = Within {
            index,
            inside,
            settled: Set::default(),
        };
        for stmt in &g.region(data.body).stmts {
            if let Stmt::Let(id) = stmt
                && counts_positions(g, *id)
                && g.operands(*id).into_iter().all(|o| within.settles(g, o))
            {
                within.settled.insert(*id);
            }
        }
        Some(within)
    }

    /// Whether a value is the same in every iteration.
    pub fn settles(&self, g: &Graph, id: Id) -> bool {
        if self.inside.contains(&id) {
            return self.settled.contains(&id);
        }
        // What is spelt where it is used changes with what it is spelt from.
        g.data(id).region.is_some() || g.operands(id).into_iter().all(|o| self.settles(g, o))
    }

    /// An index as a distance from the loop's own.
    pub fn offset(&self, g: &Graph, id: Id) -> Option<Offset> {
        let id = g.resolve(id);
        if id == self.index {
            return Some(Offset::default());
        }
        let Node::Opaque(k, args) = g.node(id) else {
            return None;
        };
        let OpaqueForm::Binary(op) = &g.opaque_of(*k).form else {
            return None;
        };
        let plus = match op.to_string().as_str() {
            "+" => true,
            "-" => false,
            _ => return None,
        };
        let [a, b] = args.as_slice() else { return None };
        let (a, b) = (g.resolve(*a), g.resolve(*b));
        let sides = if plus {
            vec![(a, b), (b, a)]
        } else {
            vec![(a, b)]
        };
        for (base, rest) in sides {
            let Some(mut offset) = self.offset(g, base) else {
                continue;
            };
            let fixed = match plus {
                true => &mut offset.plus,
                false => &mut offset.minus,
            };
            let placed = match g.integer(rest) {
                Some(n) => {
                    offset.number += if plus { n } else { -n };
                    true
                }
                None => self.settles(g, rest) && fixed.insert(rest),
            };
            if placed {
                return Some(offset);
            }
        }
        None
    }

    /// The part of a place before the step that moves with the loop, and by how much that is away.
    pub fn moving(&self, g: &Graph, place: &Place) -> Option<(Vec<Step>, Offset)> {
        let mut prefix = Vec::new();
        for step in &place.path {
            match step {
                Step::Field(_) => prefix.push(*step),
                Step::Index(i) => {
                    let i = g.resolve(*i);
                    if let Some(offset) = self.offset(g, i) {
                        return Some((prefix, offset));
                    }
                    if !self.settles(g, i) {
                        return None;
                    }
                    prefix.push(Step::Index(i));
                }
            }
        }
        None
    }
}

/// Whether a node is arithmetic of positions in arrays.
fn counts_positions(g: &Graph, id: Id) -> bool {
    let Node::Opaque(k, _) = g.node(id) else {
        return false;
    };
    let arithmetic = match &g.opaque_of(*k).form {
        OpaqueForm::Binary(op) => matches!(op.to_string().as_str(), "+" | "-" | "*"),
        _ => false,
    };
    arithmetic && matches!(g.types.kind(g.ty(id)), Kind::Int(n) if n == "usize")
}

/// The nodes bound by statements of a region, nested regions included.
fn bound_in(g: &Graph, region: RegionId, out: &mut Set<Id>) {
    for stmt in &g.region(region).stmts {
        match stmt {
            Stmt::Let(id) | Stmt::Bind(id, _) | Stmt::ReadSaved(id) | Stmt::Pop(_, Some(id)) => {
                out.insert(*id);
            }
            Stmt::ReadTape(l) | Stmt::ReadTapeAt(l, _) => {
                out.extend(g.looped(*l).tape.iter().copied())
            }
            Stmt::Call(c) => out.extend(g.call(*c).outs.iter().copied()),
            Stmt::Pullback(c) => out.extend(g.call(*c).gradients.iter().flatten().copied()),
            Stmt::If(b) => {
                let data = g.branch(*b);
                out.extend(data.slots.iter().map(|s| s.out));
                bound_in(g, data.then, out);
                bound_in(g, data.otherwise, out);
            }
            Stmt::Loop(l) => {
                let data = g.looped(*l);
                for c in &data.carried {
                    out.extend([c.phi, c.out]);
                }
                out.extend(data.end);
                if let Count::Range { index, .. } | Count::Stepped { index, .. } = &data.count {
                    out.insert(*index);
                }
                bound_in(g, data.body, out);
            }
            _ => {}
        }
    }
}
