//! Loops: fused with the forward pass where iterations are independent, in a loop of their own otherwise.

use super::segments::Segment;
use super::{Frame, Pair, PairKind, Reversal, Reverse};
use crate::graph::maps::Set;
use crate::graph::*;
use crate::rules::Op;
use crate::types::Ty;
use std::collections::BTreeMap;

impl Reverse<'_> {
    pub(super) fn visit_loop(&mut self, looped: LoopId) {
        let data = self.g.looped(looped).clone();
        if data.moves && self.moved_back(looped, &data) {
            return;
        }
        let mut slots = Vec::new();
        let mut any = false;
        for (k, c) in data.carried.iter().enumerate() {
            if self.active(c.phi) || self.active(c.out) {
                let d = self.frame().adjoint.get(&c.out).copied();
                any |= d.is_some();
                slots.push((k, d));
            }
        }
        let stored = self.order.stored_in_loop(&self.g, looped);
        let stores = stored
            .iter()
            .any(|&a| self.activity.array(a) && !self.declared_inside(a, &[data.body]));
        if !any && !stores {
            return;
        }
        for (k, _) in &slots {
            let out = data.carried[*k].out;
            self.frame().adjoint.remove(&out);
        }
        if !stores && self.overwrite(looped, &data, &slots) {
            self.notes.loops.insert(looped, Reversal::Overwritten);
            return;
        }
        if !stores && self.extremum(&data, &slots) {
            self.notes.loops.insert(looped, Reversal::Extremum);
            return;
        }
        let linear = |r: &Self, k: usize| {
            r.reaches(
                data.carried[k].next,
                data.carried[k].phi,
                &mut Default::default(),
            )
        };
        let all_linear = slots
            .iter()
            .all(|(k, d)| d.is_none() && !self.active(data.carried[*k].phi) || linear(self, *k));
        if !stores && all_linear && self.in_scope() && self.fused_loop(looped, &data, &slots) {
            self.notes.loops.insert(looped, Reversal::Fused);
            return;
        }
        // Try with every linear slot's adjoint as a constant of the loop; then only with those for which that held.
        let mut constant: Vec<usize> = slots
            .iter()
            .filter(|(k, d)| d.is_some() && linear(self, *k))
            .map(|(k, _)| *k)
            .collect();
        loop {
            let snapshot = self.snapshot();
            let every = self.checkpointed(looped);
            let (failed, how) = match &every {
                Some(every) => (
                    self.segmented_loop(looped, &data, &slots, &constant, every),
                    Reversal::Segments,
                ),
                None => (
                    self.separate_loop(looped, &data, &slots, &constant, None),
                    Reversal::Separate,
                ),
            };
            if failed.is_empty() {
                self.notes.loops.insert(looped, how);
                return;
            }
            self.restore(snapshot);
            constant.retain(|k| !failed.contains(k));
        }
    }

    /// The reverse of a loop that moves: its shadows move the other way. What was moved away before is not read again, so its
    /// adjoint is zero, and there is nothing to add to.
    fn moved_back(&mut self, looped: LoopId, data: &Loop) -> bool {
        let (Some((to, from)), Count::Range { lo, hi, .. }) =
            (crate::exchange::copied(&self.g, looped), &data.count)
        else {
            return false;
        };
        let (lo, hi) = (*lo, *hi);
        let shadow = |r: &Self, a| {
            let active = r.activity.array(a);
            r.shadows.get(&a).copied().filter(|_| active)
        };
        let (Some(d_to), Some(d_from)) = (shadow(self, to), shadow(self, from)) else {
            return false;
        };
        for moves in [true, false] {
            self.g.invalidate();
            let body = self.g.open();
            let ty = self.g.usize_ty();
            let unknown = Node::Index(LoopId(u32::MAX));
            let index = self.g.bound(unknown, ty, Some(body));
            let element = |array| Place {
                array,
                path: vec![Step::Index(index)],
            };
            let d = self.g.load(element(d_to));
            if moves {
                self.g.store(element(d_from), d, false);
            } else {
                let zero = self.zero(d);
                self.g.store(element(d_to), zero, false);
            }
            self.g.close();
            let count = Count::Range {
                index,
                lo,
                hi,
                inclusive: false,
                rev: false,
            };
            let l = self.g.new_loop(count, body, data.span);
            self.g.looped_mut(l).moves = moves;
            self.g.nodes[index.0 as usize].node = Node::Index(l);
            self.g.push(Stmt::Loop(l));
        }
        self.g.invalidate();
        true
    }

    /// Whether a value is another one plus terms.
    pub(super) fn reaches(&self, from: Id, phi: Id, seen: &mut Set<Id>) -> bool {
        let from = self.g.resolve(from);
        if from == phi {
            return true;
        }
        if !seen.insert(from) {
            return true;
        }
        match self.g.node(from) {
            Node::Apply(Op::Add, a) => {
                self.reaches(a[0], phi, &mut seen.clone()) || self.reaches(a[1], phi, seen)
            }
            Node::Apply(Op::Sub, a) => self.reaches(a[0], phi, seen),
            Node::IfOut(b, k) => {
                let s = &self.g.branch(*b).slots[*k as usize];
                self.reaches(s.then, phi, seen) && self.reaches(s.otherwise, phi, seen)
            }
            Node::LoopOut(l, k) => {
                let c = &self.g.looped(*l).carried[*k as usize];
                self.reaches(c.init, phi, seen)
                    && self.reaches(c.next, c.phi, &mut Default::default())
            }
            _ => false,
        }
    }

    pub(super) fn fused_loop(
        &mut self,
        looped: LoopId,
        data: &Loop,
        slots: &[(usize, Option<Id>)],
    ) -> bool {
        let span = self.order.loop_span(looped);
        if !self.loads_settled(&[data.body], span) {
            return false;
        }
        let seeds: Vec<Id> = slots.iter().filter_map(|s| s.1).collect();
        let here = Stmt::Loop(looped);
        let Some(moves) = self.available_before(&seeds, &here) else {
            return false;
        };
        let snapshot = self.snapshot();
        self.move_before(&moves, &here);
        let hidden = self.hide_after(&here);
        let stmts = self.g.region(data.body).stmts.clone();
        self.g.reopen(data.body);
        self.frames.push(Frame {
            primal: data.body,
            region: data.body,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        for (k, d) in slots {
            if let Some(d) = d {
                self.add(data.carried[*k].next, *d);
            }
        }
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
        let mut left = self.frames.pop().map(|f| f.adjoint).unwrap_or_default();
        let mut holds = true;
        for (k, d) in slots {
            holds &= left.remove(&data.carried[*k].phi) == *d;
        }
        if !holds {
            self.g.close();
            self.restore(snapshot);
            self.g.unhide(hidden);
            return false;
        }
        let sums = self.accumulators(data.body, left);
        self.g.close();
        self.g.unhide(hidden);
        for (n, phi, next) in sums {
            let init = self.zero(phi);
            let out = self.g.carry(looped, phi, init, next);
            self.add(n, out);
        }
        for (k, d) in slots {
            if let Some(d) = d {
                self.add(data.carried[*k].init, *d);
            }
        }
        true
    }

    /// Sums, over a loop's iterations, of what each adds to the adjoints of values from outside.
    pub(super) fn accumulators(
        &mut self,
        body: RegionId,
        left: BTreeMap<Id, Id>,
    ) -> Vec<(Id, Id, Id)> {
        let mut sums = Vec::new();
        for (n, v) in left {
            let ty = self.g.ty(n);
            let phi = self.g.bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(body));
            let name = self.g.data(n).name.as_ref().map(|s| format!("d_{s}"));
            self.g.nodes[phi.0 as usize].name = name.map(|s| s.as_str().into());
            let next = self.g.apply(Op::Add, &[phi, v]);
            sums.push((n, phi, next));
        }
        sums
    }

    /// The loop that runs backwards; the slots whose adjoint turned out not to be constant, if any. Of the copy of a `segment`
    /// sums that the whole loop knows are left to be added for the whole loop.
    pub(super) fn separate_loop(
        &mut self,
        looped: LoopId,
        data: &Loop,
        slots: &[(usize, Option<Id>)],
        constant: &[usize],
        mut segment: Option<&mut Segment>,
    ) -> Vec<usize> {
        self.g.invalidate();
        let stmts = self.g.region(data.body).stmts.clone();
        let back = self.g.open();
        self.g.remember(data.body);
        let reversed = LoopId(self.g.loops.len() as u32);
        let count = self.reversed_count(looped, data);
        self.g.new_loop(count, back, data.span);
        self.g.looped_mut(reversed).reverses = Some(looped);
        self.pairs.push(Pair {
            back,
            primal: data.body,
            kind: PairKind::Loop(looped, reversed),
        });
        self.frames.push(Frame {
            primal: data.body,
            region: back,
            in_scope: false,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        let mut carried = Vec::new();
        for (k, d) in slots {
            let c = &data.carried[*k];
            let init = match d {
                Some(d) => *d,
                None => self.zero(c.phi),
            };
            if constant.contains(k) {
                self.add(c.next, init);
                continue;
            }
            let ty = self.g.ty(c.phi);
            let phi = self.g.bound(Node::Phi(reversed, 0), ty, Some(back));
            let name = self.g.data(c.phi).name.as_ref().map(|s| format!("d_{s}"));
            self.g.nodes[phi.0 as usize].name = name.map(|s| s.as_str().into());
            self.add(c.next, phi);
            carried.push((*k, phi, init));
        }
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
        let mut failed = Vec::new();
        for (k, d) in slots {
            if constant.contains(k) && self.frame().adjoint.remove(&data.carried[*k].phi) != *d {
                failed.push(*k);
            }
        }
        let mut nexts = Vec::new();
        for (k, phi, init) in &carried {
            let next = match self.frame().adjoint.remove(&data.carried[*k].phi) {
                Some(next) => next,
                None => self.zero(*phi),
            };
            nexts.push((*k, *phi, *init, next));
        }
        let mut left = self.frames.pop().map(|f| f.adjoint).unwrap_or_default();
        let whole = segment.as_ref().map(|s| &s.whole);
        let known = self.known_sums(data, whole, back, &mut left);
        let sums = self.accumulators(back, left);
        self.g.close();
        if !failed.is_empty() {
            return failed;
        }
        let mut outs = Vec::new();
        for (k, phi, init, next) in nexts {
            outs.push((
                data.carried[k].init,
                self.g.carry(reversed, phi, init, next),
            ));
        }
        self.end_reversed(reversed, data, sums, outs, slots, constant);
        match &mut segment {
            Some(segment) => segment.known.extend(known),
            None => self.add_known(known),
        }
        Vec::new()
    }

    /// The loop that reverses `data` is complete: `sums` are carried as well, and what it carries out is added.
    pub(super) fn end_reversed(
        &mut self,
        reversed: LoopId,
        data: &Loop,
        sums: Vec<(Id, Id, Id)>,
        mut outs: Vec<(Id, Id)>,
        slots: &[(usize, Option<Id>)],
        constant: &[usize],
    ) {
        for (n, phi, next) in sums {
            let init = match self.frame().adjoint.remove(&n) {
                Some(d) => d,
                None => self.zero(phi),
            };
            outs.push((n, self.g.carry(reversed, phi, init, next)));
        }
        self.g.push(Stmt::Loop(reversed));
        self.g.invalidate();
        for k in constant {
            if let Some((_, Some(d))) = slots.iter().find(|s| s.0 == *k) {
                self.add(data.carried[*k].init, *d);
            }
        }
        for (n, out) in outs {
            self.add(n, out);
        }
    }

    /// Adds sums that a loop has summed already, each given by its factors.
    pub(super) fn add_known(&mut self, known: Vec<(Id, Vec<Id>)>) {
        for (n, factors) in known {
            let sum = factors
                .into_iter()
                .reduce(|a, b| self.g.apply(Op::Mul, &[a, b]));
            if let Some(sum) = sum {
                self.add(n, sum);
            }
        }
    }

    /// Sums over a loop that the loop has summed already, but for a factor: they are taken out of `left`. Each is returned
    /// as its factors, the last of them what the loop has summed. Of the copy of a segment it is what the `whole` loop has.
    fn known_sums(
        &mut self,
        data: &Loop,
        whole: Option<&Loop>,
        back: RegionId,
        left: &mut BTreeMap<Id, Id>,
    ) -> Vec<(Id, Vec<Id>)> {
        let whole = whole.unwrap_or(data);
        if !matches!(whole.count, Count::Range { .. }) || whole.again.is_some() {
            return Vec::new();
        }
        let mut known = Vec::new();
        for (&n, &v) in left.iter() {
            let (k, rest) = crate::collect::factor(&self.g, v);
            let product = match self.g.node(rest) {
                Node::Apply(Op::Mul, a) => {
                    vec![(Some(a[0]), a[1]), (Some(a[1]), a[0])]
                }
                _ => vec![(None, rest)],
            };
            let fixed = |id: Id| {
                let inside = |r| self.g.encloses(back, r) || self.g.encloses(data.body, r);
                !self.g.data(self.g.resolve(id)).region.is_some_and(inside)
            };
            let found = product.into_iter().find_map(|(factor, term)| {
                let total = self.total(data, whole, term)?;
                factor.is_none_or(fixed).then_some((factor, total))
            });
            let Some((factor, total)) = found else {
                continue;
            };
            let k = (k != 1.0).then(|| self.g.lit_like(k, v));
            known.push((n, k.into_iter().chain(factor).chain([total]).collect()));
        }
        left.retain(|n, _| known.iter().all(|(m, _)| m != n));
        known
    }

    /// The scalar in which a loop sums a term over all of its iterations, from zero.
    fn total(&self, data: &Loop, whole: &Loop, term: Id) -> Option<Id> {
        let term = self.g.resolve(term);
        let mut all = data.carried.iter().zip(&whole.carried);
        let sums = all.find(|(c, w)| {
            let next = self.g.node(self.g.resolve(c.next));
            self.g.constant(w.init) == Some(0.0)
                && matches!(next, Node::Apply(Op::Add, a)
                    if self.g.resolve(a[0]) == c.phi && self.g.resolve(a[1]) == term)
        });
        sums.map(|(_, w)| w.out)
    }

    pub(super) fn reversed_count(&mut self, looped: LoopId, data: &Loop) -> Count {
        match data.count.clone() {
            Count::Range {
                index,
                lo,
                hi,
                inclusive,
                rev,
            } => {
                let (mut lo, mut hi) = (lo, hi);
                if data.again.is_some() {
                    let ty = self.g.ty(index);
                    let end = self.loop_end(looped, ty);
                    if rev {
                        lo = end;
                    } else {
                        hi = end;
                    }
                }
                Count::Range {
                    index,
                    lo,
                    hi,
                    inclusive,
                    rev: !rev,
                }
            }
            _ => {
                // What is replayed is counted.
                let ty = self.g.usize_ty();
                self.loop_end(looped, ty);
                Count::Replay(looped)
            }
        }
    }

    /// Where a loop ended that may end early: the index at which, or how many iterations there were where it has none.
    pub(super) fn loop_end(&mut self, looped: LoopId, ty: Ty) -> Id {
        let data = self.g.looped(looped);
        if let Some(end) = data.end {
            return end;
        }
        let parent = self.g.region(data.body).parent;
        let end = self.g.bound(Node::LoopEnd(looped), ty, parent);
        self.g.looped_mut(looped).end = Some(end);
        end
    }
}
