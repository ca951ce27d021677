//! What a program costs: operations by class, counted in what is emitted.
//!
//! In: a program after `keep`. Out: a [`Count`] for the code outside of loops and one for an iteration of each loop. The
//! loop that runs backwards counts with the loop that it reverses. Sides of a branch are both counted: at most one is run.

use crate::graph::{Graph, Id, LoopId, Node, RegionId, Stmt};
use crate::live::Live;
use crate::reverse::Gradient;
use crate::rules::Op;
use std::collections::BTreeMap;

/// Operations by class.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    /// Additions, subtractions and negations.
    pub additions: u32,
    pub multiplications: u32,
    /// Divisions, remainders and square roots.
    pub divisions: u32,
    pub transcendentals: u32,
    /// Comparisons, choices, rounding.
    pub others: u32,
    /// All of them, in additions, by the table of rules.
    pub weight: u32,
}

impl Count {
    fn op(&mut self, op: Op) {
        match op {
            Op::Neg | Op::Add | Op::Sub => self.additions += 1,
            Op::Mul | Op::ToRadians | Op::ToDegrees => self.multiplications += 1,
            Op::MulAdd => {
                self.additions += 1;
                self.multiplications += 1;
            }
            Op::Div | Op::Recip | Op::Rem | Op::Sqrt | Op::RemEuclid | Op::DivEuclid => {
                self.divisions += 1
            }
            // A power is a few products.
            Op::Powi => self.multiplications += 1,
            _ if op.is_dear() => self.transcendentals += 1,
            _ => self.others += 1,
        }
        self.weight += op.cost();
    }
}

/// The counts of a program.
#[derive(Default)]
pub struct Cost {
    /// Outside of loops.
    pub once: Count,
    /// For one iteration, inner loops left out.
    pub loops: BTreeMap<LoopId, Count>,
}

impl Cost {
    pub fn of(p: &Gradient) -> Cost {
        let live = Live::of(p);
        let mut cost = Cost::default();
        let mut walk = Walk {
            g: &p.graph,
            live: &live,
            cost: &mut cost,
        };
        walk.region(p.body, None);
        if let Some(back) = p.back {
            walk.region(back, None);
        }
        cost
    }
}

struct Walk<'a> {
    g: &'a Graph,
    live: &'a Live,
    cost: &'a mut Cost,
}

impl Walk<'_> {
    fn region(&mut self, region: RegionId, inside: Option<LoopId>) {
        for stmt in &self.g.region(region).stmts {
            let again = matches!(stmt, Stmt::Let(id) if self.g.data(*id).region != Some(region));
            if !again && !self.live.stmt(self.g, stmt) {
                continue;
            }
            let count = match inside {
                Some(l) => self.cost.loops.entry(l).or_default(),
                None => &mut self.cost.once,
            };
            match stmt {
                Stmt::Let(id) => node(self.g, *id, count),
                Stmt::Store { add: true, .. } => {
                    count.additions += 1;
                    count.weight += 1;
                }
                Stmt::If(b) => {
                    let b = self.g.branch(*b);
                    self.region(b.then, inside);
                    self.region(b.otherwise, inside);
                }
                Stmt::Loop(l) => {
                    let data = self.g.looped(*l);
                    let of = data.reverses.unwrap_or(*l);
                    self.cost.loops.entry(of).or_default();
                    self.region(data.body, Some(of));
                }
                _ => {}
            }
        }
    }
}

fn node(g: &Graph, id: Id, count: &mut Count) {
    match g.node(id) {
        Node::Apply(op, _) => count.op(*op),
        Node::Opaque(_, args) if args.iter().any(|&a| g.is_float(a)) => {
            count.others += 1;
            count.weight += 1;
        }
        _ => {}
    }
}
