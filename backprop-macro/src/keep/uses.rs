//! What a region refers to: nodes, and arrays.

use super::Keep;
use crate::graph::{
    Argument, ArrayId, Count, Element, Graph, Id, Init, Node, Place, RegionId, Stmt,
};
use crate::live::Live;
use std::collections::BTreeSet;

impl Keep<'_> {
    /// What a region hands to the next iteration, or to what follows the branch. It may be a primal value as it stands.
    pub(super) fn leaving(&self, region: RegionId, out: &mut BTreeSet<Id>) {
        let g = &self.p.graph;
        if let Some(l) = self.bodies.get(&region) {
            let carried = &g.looped(*l).carried;
            let live = carried.iter().filter(|c| self.live.carried(g, c));
            live.for_each(|c| used(g, c.next, out));
        }
        if let Some((b, then)) = self.sides.get(&region) {
            let slots = &g.branch(*b).slots;
            for s in slots.iter().filter(|s| self.live.has(g, s.out)) {
                used(g, if *then { s.then } else { s.otherwise }, out);
            }
        }
    }

    /// The nodes that a region refers to, nested regions included.
    pub(super) fn uses(&self, region: RegionId, out: &mut BTreeSet<Id>) {
        let g = &self.p.graph;
        let id = |x: Id, out: &mut BTreeSet<Id>| used(g, x, out);
        let place =
            |p: &Place, out: &mut BTreeSet<Id>| out.extend(p.indices().map(|i| g.resolve(i)));
        for stmt in &g.region(region).stmts {
            if !self.live.stmt(g, stmt)
                && !matches!(stmt, Stmt::Let(n) if g.data(*n).region != Some(region))
            {
                continue;
            }
            match stmt {
                Stmt::Let(n) => g.operands(*n).into_iter().for_each(|o| used(g, o, out)),
                Stmt::Declare(a) => {
                    let data = g.array(*a);
                    out.extend(data.len.map(|l| g.resolve(l)));
                    match &data.init {
                        Init::Copy(p) => place(p, out),
                        Init::List(all) => all.iter().for_each(|e| element_uses(g, e, out)),
                        Init::Repeat(e) => element_uses(g, e, out),
                        _ => {}
                    }
                }
                Stmt::Store {
                    place: p, value, ..
                } => {
                    place(p, out);
                    id(*value, out);
                }
                Stmt::Copy { to, from, .. } => {
                    place(to, out);
                    place(from, out);
                }
                Stmt::Clear(p) => place(p, out),
                Stmt::Swap(a, b) => {
                    place(a, out);
                    place(b, out);
                }
                Stmt::Push(_, v) => id(*v, out),
                Stmt::Save(_, e) => element_uses(g, e, out),
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    id(data.cond, out);
                    for s in data.slots.iter().filter(|s| self.live.has(g, s.out)) {
                        id(s.then, out);
                        id(s.otherwise, out);
                    }
                    self.uses(data.then, out);
                    self.uses(data.otherwise, out);
                }
                Stmt::Loop(l) => {
                    let data = g.looped(*l);
                    match &data.count {
                        Count::Range { lo, hi, .. } | Count::Stepped { lo, hi, .. } => {
                            id(*lo, out);
                            id(*hi, out);
                        }
                        Count::Replay(of) => {
                            if let Some(end) = g.looped(*of).end {
                                id(end, out);
                            }
                        }
                        Count::Forever => {}
                    }
                    if let Count::Stepped { step, .. } = &data.count {
                        id(*step, out);
                    }
                    for c in data.carried.iter().filter(|c| self.live.carried(g, c)) {
                        id(c.init, out);
                        id(c.next, out);
                    }
                    self.uses(data.body, out);
                }
                Stmt::Effect(_, args) => args.iter().for_each(|a| id(*a, out)),
                Stmt::Pullback(c) => {
                    let call = g.call(*c);
                    for a in &call.args {
                        match a {
                            Argument::Scalar { value } => id(*value, out),
                            Argument::Array { held, .. } => id(*held, out),
                        }
                    }
                    call.upstream.iter().for_each(|d| id(*d, out));
                    let arrays = call.shadows.iter().chain(&call.incoming);
                    arrays.flatten().for_each(|p| place(p, out));
                }
                Stmt::Bind(_, f) => {
                    // A reload reads its indices; anything else is a value from outside.
                    id(*f, out);
                    out.extend(g.operands(*f));
                }
                Stmt::Call(_)
                | Stmt::Pop(..)
                | Stmt::ReadTape(_)
                | Stmt::ReadTapeAt(..)
                | Stmt::ReadSaved(_) => {}
            }
        }
    }
}

/// A node that is used; what is spelt where it is used, with what it is spelt from.
pub(super) fn used(g: &Graph, id: Id, out: &mut BTreeSet<Id>) {
    let id = g.resolve(id);
    if out.insert(id) && g.data(id).region.is_none() {
        g.operands(id).into_iter().for_each(|o| used(g, o, out));
    }
}

fn element_uses(g: &Graph, e: &Element, out: &mut BTreeSet<Id>) {
    match e {
        Element::Scalar(id) => {
            out.insert(g.resolve(*id));
        }
        Element::Part(p) => out.extend(p.indices().map(|i| g.resolve(i))),
        Element::Tuple(all) => all.iter().for_each(|e| element_uses(g, e, out)),
    }
}

/// The arrays that a region reads, or of which it needs the lengths.
pub(super) fn arrays_read(g: &Graph, region: RegionId, live: &Live, out: &mut BTreeSet<ArrayId>) {
    for stmt in &g.region(region).stmts {
        if !live.stmt(g, stmt) && !matches!(stmt, Stmt::Let(n) if g.data(*n).region != Some(region))
        {
            continue;
        }
        let mut node = |id: Id| {
            if let Node::Load(p, _) | Node::Len(p, _) | Node::Whole(p, _) = g.node(g.resolve(id)) {
                out.insert(p.array);
            }
        };
        match stmt {
            Stmt::Let(id) => node(*id),
            Stmt::Bind(_, from) => node(*from),
            Stmt::Declare(a) => {
                if let Init::Copy(p) = &g.array(*a).init {
                    out.insert(p.array);
                }
                if let Some(like) = g.array(*a).like
                    && !g.plain_layout(*a)
                {
                    out.insert(like);
                }
            }
            Stmt::Copy { from, .. } => {
                out.insert(from.array);
            }
            Stmt::If(b) => {
                arrays_read(g, g.branch(*b).then, live, out);
                arrays_read(g, g.branch(*b).otherwise, live, out);
            }
            Stmt::Loop(l) => arrays_read(g, g.looped(*l).body, live, out),
            _ => {}
        }
    }
}
