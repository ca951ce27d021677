//! Branches: the side that was taken is reversed, in place where that is possible.

use super::{Frame, Pair, PairKind, Reverse};
use crate::graph::*;
use std::collections::BTreeMap;

impl Reverse<'_> {
    pub(super) fn visit_if(&mut self, branch: IfId) {
        let data = self.g.branch(branch).clone();
        let mut upstream = Vec::new();
        for s in &data.slots {
            if let Some(d) = self.frame().adjoint.remove(&s.out) {
                upstream.push((s.then, s.otherwise, d));
            }
        }
        let stored = self.order.stored_in_branch(&self.g, branch);
        let stores = stored.iter().any(|a| self.activity.array(*a));
        if upstream.is_empty() && !stores {
            return;
        }
        let span = self.order.branch_span(branch);
        let seeds: Vec<Id> = upstream.iter().map(|u| u.2).collect();
        let outer_stores = stored.iter().any(|&a| {
            self.activity.array(a) && !self.declared_inside(a, &[data.then, data.otherwise])
        });
        if !outer_stores
            && self.in_scope()
            && self.loads_settled(&[data.then, data.otherwise], span)
            && let Some(moves) = self.available_before(&seeds, &Stmt::If(branch))
        {
            self.move_before(&moves, &Stmt::If(branch));
            let hidden = self.hide_after(&Stmt::If(branch));
            let a = self.fused_side(data.then, upstream.iter().map(|u| (u.0, u.2)).collect());
            let b = self.fused_side(
                data.otherwise,
                upstream.iter().map(|u| (u.1, u.2)).collect(),
            );
            self.g.unhide(hidden);
            self.join(branch, a, b);
            return;
        }
        self.g.invalidate();
        let a = self.side(
            branch,
            data.then,
            true,
            upstream.iter().map(|u| (u.0, u.2)).collect(),
        );
        let b = self.side(
            branch,
            data.otherwise,
            false,
            upstream.iter().map(|u| (u.1, u.2)).collect(),
        );
        let back = self.g.new_if(data.cond, a.0, b.0);
        self.g.push(Stmt::If(back));
        self.g.invalidate();
        self.join(back, a.1, b.1);
    }

    pub(super) fn fused_side(
        &mut self,
        region: RegionId,
        seeds: Vec<(Id, Id)>,
    ) -> BTreeMap<Id, Id> {
        let stmts = self.g.region(region).stmts.clone();
        self.g.reopen(region);
        self.frames.push(Frame {
            primal: region,
            region,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        self.run_side(&stmts, seeds)
    }

    pub(super) fn side(
        &mut self,
        branch: IfId,
        primal: RegionId,
        then: bool,
        seeds: Vec<(Id, Id)>,
    ) -> (RegionId, BTreeMap<Id, Id>) {
        let stmts = self.g.region(primal).stmts.clone();
        let back = self.g.open();
        self.g.remember(primal);
        self.pairs.push(Pair {
            back,
            primal,
            kind: PairKind::Branch(branch, then),
        });
        self.frames.push(Frame {
            primal,
            region: back,
            in_scope: false,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        let left = self.run_side(&stmts, seeds);
        (back, left)
    }

    pub(super) fn run_side(&mut self, stmts: &[Stmt], seeds: Vec<(Id, Id)>) -> BTreeMap<Id, Id> {
        for (node, d) in seeds {
            self.add(node, d);
        }
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
        self.g.close();
        self.frames.pop().map(|f| f.adjoint).unwrap_or_default()
    }

    /// What both sides of a branch add to adjoints of values from outside.
    pub(super) fn join(&mut self, branch: IfId, a: BTreeMap<Id, Id>, b: BTreeMap<Id, Id>) {
        let keys: std::collections::BTreeSet<Id> = a.keys().chain(b.keys()).copied().collect();
        for n in keys {
            let x = a.get(&n).copied();
            let y = b.get(&n).copied();
            let zero = self.zero(n);
            let (x, y) = (x.unwrap_or(zero), y.unwrap_or(zero));
            let total = if x == y
                || self.g.constant(x).is_some() && self.g.constant(x) == self.g.constant(y)
            {
                x
            } else {
                self.g.yield_from(branch, x, y)
            };
            self.add(n, total);
        }
    }
}
