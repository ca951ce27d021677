//! First writes to fresh buffers.
//!
//! In: a program of mode `Unit`, whose gradient buffers hold zeros when it starts. Out: the same, in which an addition that
//! is known to be the first to its element is an assignment: `0.0 + v` is not `v` to a compiler that minds the sign of zero.

use crate::graph::*;
use crate::reverse::Gradient;
use std::collections::{HashMap, HashSet};

/// Turns first additions into assignments.
pub fn fresh(p: &mut Gradient) {
    let g = &p.graph;
    let mut seen = Uses::default();
    seen.region(g, p.body, &mut Vec::new());
    let mut firsts: HashSet<(RegionId, usize)> = HashSet::new();
    for (array, stores) in &seen.adds {
        let given = g.array(*array).shadow && matches!(g.array(*array).init, Init::Given(_));
        if !given || seen.spoiled.contains(array) {
            continue;
        }
        let straight = stores
            .iter()
            .all(|s| s.loops.is_empty() && s.region == p.body);
        if straight && stores.iter().all(|s| s.literal(g).is_some()) {
            // Straight-line code: the first to each element.
            let mut elements = HashSet::new();
            for s in stores {
                if elements.insert(s.literal(g)) {
                    firsts.insert((s.region, s.at));
                }
            }
        } else if let [one] = stores.as_slice() {
            // The only one, in loops that visit each element once.
            let nested = one.depth == one.loops.len();
            let own = one.loops.iter().all(|l| {
                one.place
                    .indices()
                    .any(|i| matches!(g.node(g.resolve(i)), Node::Index(k) if k == l))
            });
            if nested && own {
                firsts.insert((one.region, one.at));
            }
        }
    }
    for (region, at) in firsts {
        if let Stmt::Store { add, .. } = &mut p.graph.region_mut(region).stmts[at] {
            *add = false;
        }
    }
}

struct Store {
    region: RegionId,
    at: usize,
    place: Place,
    loops: Vec<LoopId>,
    /// How many regions it is nested in.
    depth: usize,
}

impl Store {
    /// The path as text, where every index is a literal.
    fn literal(&self, g: &Graph) -> Option<String> {
        let mut out = String::new();
        for step in &self.place.path {
            match step {
                Step::Index(i) => out += &format!("[{}]", g.integer(*i)?),
                Step::Field(k) => out += &format!(".{k}"),
            }
        }
        Some(out)
    }
}

#[derive(Default)]
struct Uses {
    adds: HashMap<ArrayId, Vec<Store>>,
    /// Arrays that are read, copied or cleared too.
    spoiled: HashSet<ArrayId>,
    depth: usize,
}

impl Uses {
    fn region(&mut self, g: &Graph, region: RegionId, loops: &mut Vec<LoopId>) {
        for (at, stmt) in g.region(region).stmts.iter().enumerate() {
            match stmt {
                Stmt::Store {
                    place, add: true, ..
                } => {
                    let store = Store {
                        region,
                        at,
                        place: place.clone(),
                        loops: loops.clone(),
                        depth: self.depth,
                    };
                    self.adds.entry(place.array).or_default().push(store);
                }
                Stmt::Store { place, .. } | Stmt::Clear(place) => {
                    self.spoiled.insert(place.array);
                }
                Stmt::Copy { to, from, .. } => self.spoiled.extend([to.array, from.array]),
                Stmt::Swap(a, b) => self.spoiled.extend([a.array, b.array]),
                Stmt::Push(a, _) | Stmt::Pop(a, _) => {
                    self.spoiled.insert(*a);
                }
                Stmt::Let(id) => {
                    if let Node::Load(p, _) = g.node(*id) {
                        self.spoiled.insert(p.array);
                    }
                }
                Stmt::Declare(a) => {
                    if let Init::Copy(p) = &g.array(*a).init {
                        self.spoiled.insert(p.array);
                    }
                }
                Stmt::Pullback(c) => self
                    .spoiled
                    .extend(g.call(*c).shadows.iter().flatten().map(|p| p.array)),
                Stmt::If(b) => {
                    self.depth += 1;
                    self.region(g, g.branch(*b).then, loops);
                    self.region(g, g.branch(*b).otherwise, loops);
                    self.depth -= 1;
                }
                Stmt::Loop(l) => {
                    self.depth += 1;
                    loops.push(*l);
                    self.region(g, g.looped(*l).body, loops);
                    loops.pop();
                    self.depth -= 1;
                }
                _ => {}
            }
        }
    }
}
