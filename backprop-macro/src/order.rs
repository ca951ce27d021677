//! When things happen in the primal: the order of statements, and which arrays are loaded and stored where.

use crate::graph::maps::Map;
use crate::graph::{Argument, ArrayId, Element, Graph, IfId, Init, LoopId, Node, RegionId, Stmt};
use std::collections::BTreeSet;

/// Positions of statements in program order.
#[derive(Default)]
pub struct Order {
    stores: Map<ArrayId, Vec<usize>>,
    grown: BTreeSet<ArrayId>,
    loops: Map<LoopId, (usize, usize)>,
    ifs: Map<IfId, (usize, usize)>,
    lets: Map<crate::graph::Id, usize>,
    next: usize,
}

impl Order {
    pub fn of(g: &Graph, body: RegionId) -> Order {
        let mut o = Order::default();
        o.region(g, body);
        o
    }

    /// Notes statements that run after everything noted so far: the body of a loop, as far as it is there.
    pub fn append(&mut self, g: &Graph, looped: LoopId) {
        let at = self.next;
        self.next += 1;
        self.region(g, g.looped(looped).body);
        self.loops.insert(looped, (at, self.next));
    }

    fn region(&mut self, g: &Graph, region: RegionId) {
        for stmt in &g.region(region).stmts {
            let at = self.next;
            self.next += 1;
            match stmt {
                Stmt::Let(id) => {
                    self.lets.insert(*id, at);
                }
                Stmt::If(b) => {
                    self.region(g, g.branch(*b).then);
                    self.region(g, g.branch(*b).otherwise);
                    self.ifs.insert(*b, (at, self.next));
                }
                Stmt::Loop(l) => {
                    self.region(g, g.looped(*l).body);
                    self.loops.insert(*l, (at, self.next));
                    // What is moved is no longer where it was.
                    if g.looped(*l).moves
                        && let Some((_, from)) = crate::exchange::copied(g, *l)
                    {
                        self.stores.entry(from).or_default().push(self.next);
                        self.next += 1;
                    }
                }
                _ => {}
            }
            if let Stmt::Push(a, _) | Stmt::Pop(a, _) = stmt {
                self.grown.insert(*a);
            }
            for a in stored(stmt) {
                self.stores.entry(a).or_default().push(at);
            }
        }
    }

    /// Whether an array changes its length.
    pub fn grows(&self, array: ArrayId) -> bool {
        self.grown.contains(&array)
    }

    pub fn loop_span(&self, l: LoopId) -> (usize, usize) {
        self.loops.get(&l).copied().unwrap_or((0, usize::MAX))
    }

    pub fn branch_span(&self, b: IfId) -> (usize, usize) {
        self.ifs.get(&b).copied().unwrap_or((0, usize::MAX))
    }

    /// Where a node is computed.
    pub fn position(&self, id: crate::graph::Id) -> Option<usize> {
        self.lets.get(&id).copied()
    }

    /// Whether an array is stored to at or after a position.
    pub fn stored_after(&self, array: ArrayId, at: usize) -> bool {
        self.stores
            .get(&array)
            .is_some_and(|all| all.iter().any(|&p| p >= at))
    }

    /// Whether an array is stored to within a span.
    pub fn stored_within(&self, array: ArrayId, span: (usize, usize)) -> bool {
        self.stores
            .get(&array)
            .is_some_and(|all| all.iter().any(|&p| p >= span.0 && p < span.1))
    }

    /// How many statements store to an array.
    pub fn store_count(&self, array: ArrayId) -> usize {
        self.stores.get(&array).map_or(0, Vec::len)
    }

    pub fn stored_in_branch(&self, g: &Graph, b: IfId) -> BTreeSet<ArrayId> {
        let mut out = BTreeSet::new();
        stored_in(g, g.branch(b).then, &mut out);
        stored_in(g, g.branch(b).otherwise, &mut out);
        out
    }

    pub fn stored_in_loop(&self, g: &Graph, l: LoopId) -> BTreeSet<ArrayId> {
        let mut out = BTreeSet::new();
        stored_in(g, g.looped(l).body, &mut out);
        out
    }

    /// The arrays from which a region reads elements or copies parts.
    pub fn loaded_in(&self, g: &Graph, region: RegionId, out: &mut BTreeSet<ArrayId>) {
        for stmt in &g.region(region).stmts {
            match stmt {
                Stmt::Let(id) => {
                    if let Node::Load(p, _) = g.node(*id) {
                        out.insert(p.array);
                    }
                }
                Stmt::Copy { from, .. } => {
                    out.insert(from.array);
                }
                Stmt::Save(_, e) => parts(e, out),
                Stmt::Declare(a) => match &g.array(*a).init {
                    Init::Copy(p) => {
                        out.insert(p.array);
                    }
                    Init::List(all) => all.iter().for_each(|e| parts(e, out)),
                    Init::Repeat(e) => parts(e, out),
                    _ => {}
                },
                Stmt::Call(c) => {
                    for a in &g.call(*c).args {
                        if let Argument::Array { place, .. } = a {
                            out.insert(place.array);
                        }
                    }
                }
                Stmt::If(b) => {
                    self.loaded_in(g, g.branch(*b).then, out);
                    self.loaded_in(g, g.branch(*b).otherwise, out);
                }
                Stmt::Loop(l) => self.loaded_in(g, g.looped(*l).body, out),
                _ => {}
            }
        }
    }
}

fn parts(e: &Element, out: &mut BTreeSet<ArrayId>) {
    match e {
        Element::Part(p) => {
            out.insert(p.array);
        }
        Element::Tuple(all) => all.iter().for_each(|e| parts(e, out)),
        Element::Scalar(_) => {}
    }
}

fn stored(stmt: &Stmt) -> Vec<ArrayId> {
    match stmt {
        Stmt::Store { place, .. } | Stmt::Clear(place) => vec![place.array],
        Stmt::Copy { to, .. } => vec![to.array],
        Stmt::Swap(a, b) => vec![a.array, b.array],
        Stmt::Push(a, _) | Stmt::Pop(a, _) | Stmt::Save(a, _) => vec![*a],
        _ => Vec::new(),
    }
}

fn stored_in(g: &Graph, region: RegionId, out: &mut BTreeSet<ArrayId>) {
    for stmt in &g.region(region).stmts {
        out.extend(stored(stmt));
        match stmt {
            Stmt::If(b) => {
                stored_in(g, g.branch(*b).then, out);
                stored_in(g, g.branch(*b).otherwise, out);
            }
            Stmt::Loop(l) => stored_in(g, g.looped(*l).body, out),
            _ => {}
        }
    }
}
