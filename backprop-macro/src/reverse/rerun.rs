//! Statements of the primal that run a second time, in the backward pass.
//!
//! In: a loop of the primal, and what some of its outer arrays stand for. Out: a copy of the loop in the region being built, whose
//! nodes, arrays, branches and inner loops are its own: it can be reversed like any loop. What must hold: the copy computes
//! what the loop computed, bit for bit, and does nothing else: what prints or asserts has done so the first time.

use super::Reverse;
use crate::graph::maps::Map;
use crate::graph::*;
use std::collections::{BTreeMap, BTreeSet};

/// What has been copied so far.
pub(super) struct Copies {
    /// The body that is copied: everything inside of it must be.
    pub body: RegionId,
    pub nodes: Map<Id, Id>,
    pub arrays: Map<ArrayId, ArrayId>,
    pub calls: Map<CallId, CallId>,
    /// The loops, for what is said of them.
    pub loops: BTreeMap<LoopId, LoopId>,
    /// Active values from outside that the copy refers to.
    pub outer: BTreeSet<Id>,
}

/// From where to where a loop counts.
pub(super) struct Bounds {
    pub lo: Id,
    pub hi: Id,
    pub inclusive: bool,
    pub rev: bool,
}

impl Reverse<'_> {
    /// What stands for a node of the primal in the copy.
    pub(super) fn copy_of(&mut self, id: Id, c: &mut Copies) -> Id {
        let id = self.g.resolve(id);
        if let Some(&copy) = c.nodes.get(&id) {
            return copy;
        }
        let data = self.g.data(id).clone();
        if let Some(region) = data.region {
            assert!(
                !self.g.encloses(c.body, region),
                "a value of the loop that is not copied"
            );
            if self.active(id) {
                c.outer.insert(id);
            }
            return id;
        }
        // Spelt where it is used: it may be spelt with what is copied.
        let before = self.g.operands(id);
        let node = self.copied_node(&data.node, c);
        let after: Vec<Id> = before.iter().map(|&o| self.copy_of(o, c)).collect();
        if before == after {
            if self.active(id) {
                c.outer.insert(id);
            }
            return id;
        }
        let copy = self.g.bound(node, data.ty, None);
        self.note_copy(id, copy, c);
        copy
    }

    /// Whether a node can be copied: it comes from outside, or what computes it has been copied.
    fn is_there(&self, id: Id, c: &Copies) -> bool {
        let id = self.g.resolve(id);
        c.nodes.contains_key(&id)
            || match self.g.data(id).region {
                Some(region) => !self.g.encloses(c.body, region),
                None => self.g.operands(id).iter().all(|&o| self.is_there(o, c)),
            }
    }

    /// The copy of a node is called like it, and takes part in the gradient as it does.
    fn note_copy(&mut self, id: Id, copy: Id, c: &mut Copies) {
        let data = self.g.data(id).clone();
        let new = &mut self.g.nodes[copy.0 as usize];
        (new.name, new.span) = (data.name, data.span);
        if let Some(shape) = self.g.whole_shape(id).cloned() {
            self.g.set_whole_shape(copy, shape);
        }
        if self.active(id) {
            self.activity.to_mut().add_node(copy);
        }
        c.nodes.insert(id, copy);
    }

    fn copied_node(&mut self, node: &Node, c: &mut Copies) -> Node {
        let mut all = |r: &mut Self, ids: &[Id]| ids.iter().map(|&i| r.copy_of(i, c)).collect();
        match node {
            Node::Apply(op, args) => Node::Apply(*op, all(self, args)),
            Node::Opaque(k, args) => Node::Opaque(*k, all(self, args)),
            Node::Cast(a, to) => Node::Cast(self.copy_of(*a, c), to.clone()),
            Node::Load(p, version) => Node::Load(self.copied_place(p, c), *version),
            Node::Len(p, version) => Node::Len(self.copied_place(p, c), *version),
            Node::Whole(p, version) => Node::Whole(self.copied_place(p, c), *version),
            other => other.clone(),
        }
    }

    fn copied_place(&mut self, p: &Place, c: &mut Copies) -> Place {
        let array = c.arrays.get(&p.array).copied().unwrap_or(p.array);
        let mut place = p.clone().map(&mut |i| self.copy_of(i, c));
        place.array = array;
        place
    }

    fn copied_element(&mut self, e: &Element, c: &mut Copies) -> Element {
        match e {
            Element::Scalar(id) => Element::Scalar(self.copy_of(*id, c)),
            Element::Part(p) => Element::Part(self.copied_place(p, c)),
            Element::Tuple(all) => {
                Element::Tuple(all.iter().map(|e| self.copied_element(e, c)).collect())
            }
        }
    }

    /// A node that something other than a statement of its own binds.
    fn copied_binding(&mut self, id: Id, node: Node, region: RegionId, c: &mut Copies) -> Id {
        let ty = self.g.ty(id);
        let copy = self.g.bound(node, ty, Some(region));
        self.note_copy(id, copy, c);
        copy
    }

    fn copied_declaration(&mut self, array: ArrayId, c: &mut Copies) {
        let data = self.g.array(array).clone();
        let init = match &data.init {
            Init::List(all) => Init::List(all.iter().map(|e| self.copied_element(e, c)).collect()),
            Init::Repeat(e) => Init::Repeat(self.copied_element(e, c)),
            Init::Copy(p) => Init::Copy(self.copied_place(p, c)),
            Init::Returned(call) => Init::Returned(c.calls[call]),
            other => other.clone(),
        };
        // The length of one that grows is found when the copy is reversed.
        let len = data.len.filter(|_| !self.order.grows(array));
        // That of a result is found behind the call: it is noted when it has been copied.
        let len = len.filter(|_| !matches!(data.init, Init::Returned(_)));
        let len = len.map(|n| self.copy_of(n, c));
        let copy = self
            .g
            .declare(&data.name, data.shape.clone(), init, data.span);
        let new = self.g.array_mut(copy);
        (new.len, new.version, new.mutated) = (len, data.version, data.mutated);
        new.frozen = data.frozen;
        new.like = data.like.map(|a| c.arrays.get(&a).copied().unwrap_or(a));
        self.note_array(array, copy, c);
        if let Init::Returned(call) = data.init {
            let results = &mut self.g.call_mut(c.calls[&call]).results;
            for r in results {
                if matches!(r, Returned::Array(a) if *a == array) {
                    *r = Returned::Array(copy);
                }
            }
        }
    }

    /// The copy of an array takes part in the gradient as the array does.
    pub(super) fn note_array(&mut self, array: ArrayId, copy: ArrayId, c: &mut Copies) {
        if self.activity.array(array) {
            self.activity.to_mut().add_array(copy);
        }
        c.arrays.insert(array, copy);
    }

    /// What turns out to be the length of a call's result is that of the result's copy.
    fn note_length(&mut self, id: Id, copy: Id, c: &Copies) {
        for (&array, &new) in &c.arrays {
            let data = self.g.array(array);
            let returned = matches!(data.init, Init::Returned(_));
            if returned && data.len.is_some_and(|n| self.g.resolve(n) == id) {
                self.g.array_mut(new).len = Some(copy);
            }
        }
    }

    fn copied_stmts(&mut self, stmts: &[Stmt], c: &mut Copies) {
        for stmt in stmts {
            self.copied_stmt(stmt, c);
        }
    }

    fn copied_stmt(&mut self, stmt: &Stmt, c: &mut Copies) {
        match stmt {
            Stmt::Let(id) => {
                let data = self.g.data(*id).clone();
                let node = self.copied_node(&data.node, c);
                let here = self.g.here();
                let copy = self.copied_binding(*id, node, here, c);
                self.g.push(Stmt::Let(copy));
                self.g.make_known(copy);
                self.note_length(*id, copy, c);
            }
            Stmt::Declare(a) => self.copied_declaration(*a, c),
            Stmt::Store { place, value, add } => {
                let (place, value) = (self.copied_place(place, c), self.copy_of(*value, c));
                self.g.store(place, value, *add);
            }
            Stmt::Copy { to, from, add } => {
                let (to, from) = (self.copied_place(to, c), self.copied_place(from, c));
                self.g.copy(to, from, *add);
            }
            Stmt::Clear(p) => {
                let p = self.copied_place(p, c);
                self.g.clear(p);
            }
            Stmt::Swap(a, b) => {
                let (a, b) = (self.copied_place(a, c), self.copied_place(b, c));
                self.g.swap(a, b);
            }
            Stmt::Push(a, value) => {
                let value = self.copy_of(*value, c);
                let a = c.arrays.get(a).copied().unwrap_or(*a);
                self.g.push_element(a, value);
            }
            Stmt::Pop(a, id) => {
                let a = c.arrays.get(a).copied().unwrap_or(*a);
                let id = id.map(|id| {
                    let (k, here) = (self.g.nodes.len() as u32, self.g.here());
                    self.copied_binding(id, Node::Popped(a, k), here, c)
                });
                self.g.array_mut(a).version += 1;
                self.g.push(Stmt::Pop(a, id));
            }
            Stmt::If(b) => self.copied_branch(*b, c),
            Stmt::Loop(l) => {
                let data = self.g.looped(*l).clone();
                let inits: Vec<Id> = (data.carried.iter())
                    .map(|k| self.copy_of(k.init, c))
                    .collect();
                let bounds = match &data.count {
                    Count::Range {
                        lo,
                        hi,
                        inclusive,
                        rev,
                        ..
                    }
                    | Count::Stepped {
                        lo,
                        hi,
                        inclusive,
                        rev,
                        ..
                    } => Some(Bounds {
                        lo: self.copy_of(*lo, c),
                        hi: self.copy_of(*hi, c),
                        inclusive: *inclusive,
                        rev: *rev,
                    }),
                    Count::Forever | Count::Replay(_) => None,
                };
                let stmts = self.g.region(data.body).stmts.clone();
                let copy = self.copied_loop((&data, &stmts), bounds, &inits, true, c);
                c.loops.insert(*l, copy);
                for (old, new) in data.carried.iter().zip(self.g.looped(copy).carried.clone()) {
                    self.note_copy(old.out, new.out, c);
                }
            }
            Stmt::Call(call) => self.copied_call(*call, c),
            Stmt::Effect(..) => {}
            Stmt::Save(..)
            | Stmt::Pullback(_)
            | Stmt::Bind(..)
            | Stmt::ReadTape(_)
            | Stmt::ReadTapeAt(..)
            | Stmt::ReadSaved(_) => unreachable!("the primal has no backward pass"),
        }
    }

    fn copied_call(&mut self, call: CallId, c: &mut Copies) {
        let mut data = self.g.call(call).clone();
        let id = CallId(self.g.calls.len() as u32);
        c.calls.insert(call, id);
        for a in &mut data.args {
            match a {
                Argument::Scalar { value } => *value = self.copy_of(*value, c),
                Argument::Array { place, held } => {
                    *place = self.copied_place(place, c);
                    *held = self.copy_of(*held, c);
                }
            }
        }
        for passed in &mut data.passed {
            self.copy_form(&mut passed.form, c);
        }
        let here = self.g.here();
        let outs = std::mem::take(&mut data.outs);
        let outs = outs.into_iter().enumerate().map(|(k, out)| {
            let node = Node::CallOut(id, k as u32);
            self.copied_binding(out, node, here, c)
        });
        data.outs = outs.collect();
        for r in &mut data.results {
            if let Returned::Scalar(out) = r {
                *out = self.copy_of(*out, c);
            }
        }
        self.g.calls.push(data);
        self.g.push(Stmt::Call(id));
    }

    fn copy_form(&mut self, form: &mut Form, c: &mut Copies) {
        match form {
            Form::Leaf(_) | Form::Tokens(_) | Form::Tangent(..) => {}
            Form::Parts(_, all) => all.iter_mut().for_each(|f| self.copy_form(f, c)),
            Form::Whole(id, parts) => {
                *id = self.copy_of(*id, c);
                self.copy_form(parts, c);
            }
        }
    }

    fn copied_branch(&mut self, branch: IfId, c: &mut Copies) {
        let data = self.g.branch(branch).clone();
        let cond = self.copy_of(data.cond, c);
        self.g.invalidate();
        let [then, otherwise] = [data.then, data.otherwise].map(|side| {
            let stmts = self.g.region(side).stmts.clone();
            let copy = self.g.open();
            self.copied_stmts(&stmts, c);
            self.g.close();
            copy
        });
        let copy = self.g.new_if(cond, then, otherwise);
        self.g.branch_mut(copy).rerun = true;
        let here = self.g.here();
        // What a branch yields to nobody may be computed no more.
        let there = |r: &Self, c: &Copies, s: &Slot| {
            [s.then, s.otherwise].iter().all(|&id| r.is_there(id, c))
        };
        for s in &data.slots {
            if !there(self, c, s) {
                continue;
            }
            let (then, otherwise) = (self.copy_of(s.then, c), self.copy_of(s.otherwise, c));
            let k = self.g.branch(copy).slots.len() as u32;
            let out = self.copied_binding(s.out, Node::IfOut(copy, k), here, c);
            self.g.branch_mut(copy).slots.push(Slot {
                out,
                then,
                otherwise,
            });
        }
        self.g.push(Stmt::If(copy));
        self.g.invalidate();
    }

    /// A copy of a loop that starts from given values and runs from bound to bound; where it `leaves`, it stops when the loop did.
    pub(super) fn copied_loop(
        &mut self,
        (data, stmts): (&Loop, &[Stmt]),
        bounds: Option<Bounds>,
        inits: &[Id],
        leaves: bool,
        c: &mut Copies,
    ) -> LoopId {
        let step = match &data.count {
            Count::Stepped { step, .. } => Some(self.copy_of(*step, c)),
            _ => None,
        };
        self.g.invalidate();
        let body = self.g.open();
        let copy = self.g.new_loop(Count::Forever, body, data.span);
        if let Some(Bounds {
            lo,
            hi,
            inclusive,
            rev,
        }) = bounds
        {
            let index = match &data.count {
                Count::Range { index, .. } | Count::Stepped { index, .. } => {
                    self.copied_binding(*index, Node::Index(copy), body, c)
                }
                // Its iterations are counted now.
                Count::Forever | Count::Replay(_) => {
                    let ty = self.g.usize_ty();
                    self.g.bound(Node::Index(copy), ty, Some(body))
                }
            };
            self.g.looped_mut(copy).count = Count::over(index, (lo, hi), inclusive, step, rev);
        }
        for k in &data.carried {
            self.copied_binding(k.phi, Node::Phi(copy, 0), body, c);
        }
        self.copied_stmts(stmts, c);
        let nexts: Vec<Id> = (data.carried.iter())
            .map(|k| self.copy_of(k.next, c))
            .collect();
        let again = data.again.filter(|_| leaves);
        let again = again.map(|a| self.copy_of(a, c));
        self.g.close();
        for ((k, init), next) in data.carried.iter().zip(inits).zip(nexts) {
            let phi = self.copy_of(k.phi, c);
            let out = self.g.carry(copy, phi, *init, next);
            let name = self.g.data(k.out).name.clone();
            self.g.nodes[out.0 as usize].name = name;
            if self.active(k.out) {
                self.activity.to_mut().add_node(out);
            }
        }
        let new = self.g.looped_mut(copy);
        (new.again, new.moves, new.rerun) = (again, data.moves, true);
        self.g.push(Stmt::Loop(copy));
        self.g.invalidate();
        copy
    }
}
