//! What may run early: the conditions under which a backward pass can stand beside its forward pass.

use super::{Reverse, Snapshot};
use crate::graph::maps::Set;
use crate::graph::*;

impl Reverse<'_> {
    pub(super) fn in_scope(&self) -> bool {
        self.frames.last().is_some_and(|f| f.in_scope)
    }

    pub(super) fn declared_inside(&self, array: ArrayId, regions: &[RegionId]) -> bool {
        self.g
            .array(array)
            .region
            .is_some_and(|r| regions.iter().any(|&outer| self.g.encloses(outer, r)))
    }

    /// Whether no active array loaded in the regions is stored to afterwards: only then may its shadow be added to early.
    pub(super) fn loads_settled(&self, regions: &[RegionId], span: (usize, usize)) -> bool {
        let mut arrays = std::collections::BTreeSet::new();
        for &r in regions {
            self.order.loaded_in(&self.g, r, &mut arrays);
        }
        arrays.into_iter().all(|a| {
            !self.activity.array(a)
                || self.declared_inside(a, regions)
                || !self.order.grows(a) && !self.order.stored_after(a, span.1)
        })
    }

    /// The statements to move so that the values are known before a statement of the frame's region; `None` if they
    /// depend on what runs later.
    pub(super) fn available_before(&self, values: &[Id], stmt: &Stmt) -> Option<Vec<Id>> {
        let region = self.g.here();
        let stmts = &self.g.region(region).stmts;
        let at = stmts.iter().position(|s| same_stmt(s, stmt))?;
        let mut moves = Vec::new();
        let mut todo: Vec<Id> = values.to_vec();
        let mut seen = Set::default();
        while let Some(id) = todo.pop() {
            let id = self.g.resolve(id);
            if !seen.insert(id) {
                continue;
            }
            let data = self.g.data(id);
            match data.region {
                None => continue,
                Some(r) if r != region => {
                    if self.g.encloses(r, region) {
                        continue;
                    }
                    return None;
                }
                Some(_) => {}
            }
            let before = stmts[..at].iter().any(|s| match s {
                Stmt::Let(x) => *x == id,
                Stmt::If(b) => matches!(data.node, Node::IfOut(i, _) if i == *b),
                Stmt::Loop(l) => {
                    matches!(data.node, Node::LoopOut(i, _) | Node::LoopEnd(i) if i == *l)
                }
                Stmt::Call(c) => {
                    matches!(data.node, Node::CallOut(i, k) if i == *c && (k as usize) < self.g.call(*c).outs.len())
                },
                Stmt::Pop(_, Some(x)) => *x == id,
                _ => false,
            });
            if before || matches!(data.node, Node::Phi(..) | Node::Index(_)) {
                continue;
            }
            match data.node {
                Node::Apply(..) | Node::Cast(..) | Node::Opaque(..) => {
                    moves.push(id);
                    todo.extend(self.g.operands(id));
                }
                _ => return None,
            }
        }
        moves.sort();
        Some(moves)
    }

    pub(super) fn move_before(&mut self, moves: &[Id], stmt: &Stmt) {
        if moves.is_empty() {
            return;
        }
        let region = self.g.here();
        let stmts = &mut self.g.region_mut(region).stmts;
        stmts.retain(|s| !matches!(s, Stmt::Let(id) if moves.contains(id)));
        if let Some(at) = stmts.iter().position(|s| same_stmt(s, stmt)) {
            for (k, id) in moves.iter().enumerate() {
                stmts.insert(at + k, Stmt::Let(*id));
            }
        }
    }

    /// Makes unknown what the frame's region computes after a statement.
    pub(super) fn hide_after(&mut self, stmt: &Stmt) -> Vec<(Node, Id)> {
        let here = self.g.here();
        let at = self
            .g
            .region(here)
            .stmts
            .iter()
            .position(|s| same_stmt(s, stmt));
        self.g.hide_from(at.unwrap_or(0))
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            regions: self.g.regions.clone(),
            pairs: self.pairs.len(),
            loops: self.g.loops.clone(),
            ifs: self.g.ifs.clone(),
        }
    }

    pub(super) fn restore(&mut self, s: Snapshot) {
        self.pairs.truncate(s.pairs);
        self.g.restore(s.regions, s.loops, s.ifs);
    }
}

fn same_stmt(a: &Stmt, b: &Stmt) -> bool {
    match (a, b) {
        (Stmt::If(x), Stmt::If(y)) => x == y,
        (Stmt::Loop(x), Stmt::Loop(y)) => x == y,
        _ => false,
    }
}
