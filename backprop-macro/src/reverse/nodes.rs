//! The backward pass of one node, and of the elements that an array starts from.

use super::{Frame, Reverse};
use crate::graph::*;
use crate::rules::Op;
use proc_macro2::Span;
use std::collections::BTreeMap;

impl Reverse<'_> {
    /// An adjoint is called after the user's variable whose adjoint it is.
    fn name_adjoint(&mut self, y: Id, dy: Id) {
        let dy = self.g.resolve(dy);
        let ours = dy.0 as usize >= self.primal_nodes && self.g.data(dy).name.is_none();
        if let (true, Some(name)) = (ours, &self.g.data(y).name) {
            let name = format!("d_{name}");
            self.g.nodes[dy.0 as usize].name = Some(name.as_str().into());
        }
    }

    pub(super) fn visit_node(&mut self, y: Id) {
        let Some(dy) = self.frame().adjoint.remove(&y) else {
            return;
        };
        if let Some(trace) = &mut self.trace {
            trace.push((y, dy));
        }
        // What the adjoint is made of comes from where the value does.
        self.g.span = Some(self.g.data(y).span);
        self.name_adjoint(y, dy);
        match self.g.node(y).clone() {
            Node::Apply(op, args) => {
                if self.trace.is_none()
                    && let Some((idiom, all)) = crate::stable::adjoint(&mut self.g, y, dy)
                {
                    self.notes.idioms.insert(idiom);
                    let singular = crate::stable::is_singular(idiom);
                    self.notes.singular |= singular;
                    for (operand, d) in all {
                        let d = match singular {
                            true => self.taken(op, &[], dy, d),
                            false => d,
                        };
                        self.add(operand, d);
                    }
                    return;
                }
                let args: Vec<Id> = args.iter().map(|&a| self.g.resolve(a)).collect();
                self.notes.singular |= self.singular(op, &args);
                let columns = op.vjp(&mut self.g, &args, y, dy);
                for (&arg, d) in args.iter().zip(columns) {
                    if self.active(arg) {
                        let d = self.taken(op, &args, dy, d);
                        self.add(arg, d);
                    }
                }
            }
            Node::Cast(a, _) => {
                let ty = self.g.ty(a);
                let to = self.g.types.float(ty);
                let d = self.g.compute(Node::Cast(dy, Some(to)), ty);
                self.add(a, d);
            }
            Node::Load(place, _) => {
                if let Some(shadow) = self.shadow(&place) {
                    self.g.store(shadow, dy, true);
                }
            }
            _ => {}
        }
    }

    pub(super) fn visit_declare(&mut self, array: ArrayId) {
        let Some(&shadow) = self.shadows.get(&array) else {
            return;
        };
        if !self.activity.array(array) {
            return;
        }
        let at = |k: Id| Place {
            array: shadow,
            path: vec![Step::Index(k)],
        };
        match self.g.array(array).init.clone() {
            Init::List(all) => {
                for (k, e) in all.iter().enumerate() {
                    let k = self.g.usize_const(k);
                    self.element(e, at(k));
                }
            }
            Init::Repeat(e) => {
                if !self.element_active(&e) {
                    return;
                }
                let whole = Place {
                    array,
                    path: Vec::new(),
                };
                self.g.invalidate();
                let len = match self.g.array(array).len {
                    Some(len) => len,
                    None => crate::lower::fixed_len(&mut self.g, &whole),
                };
                // Every element had the same value: their adjoints are summed, in a loop like any other.
                let region = self.g.open();
                let ty = self.g.usize_ty();
                let index = self
                    .g
                    .bound(Node::Index(LoopId(u32::MAX)), ty, Some(region));
                self.frames.push(Frame {
                    primal: region,
                    region,
                    in_scope: false,
                    adjoint: BTreeMap::new(),
                });
                self.element(&e, at(index));
                let frame = self.frames.pop();
                let lo = self.g.usize_const(0);
                let count = Count::Range {
                    index,
                    lo,
                    hi: len,
                    inclusive: false,
                    rev: false,
                };
                let mut sums = Vec::new();
                for (n, v) in frame.map(|f| f.adjoint).unwrap_or_default() {
                    let ty = self.g.ty(v);
                    let phi = self
                        .g
                        .bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(region));
                    let next = self.g.apply(Op::Add, &[phi, v]);
                    sums.push((n, phi, next));
                }
                self.g.close();
                let looped = self.g.new_loop(count, region, Span::call_site());
                self.g.nodes[index.0 as usize].node = Node::Index(looped);
                let mut outs = Vec::new();
                for (n, phi, next) in sums {
                    let init = self.zero(phi);
                    outs.push((n, self.g.carry(looped, phi, init, next)));
                }
                self.g.push(Stmt::Loop(looped));
                self.g.invalidate();
                for (n, out) in outs {
                    self.add(n, out);
                }
            }
            Init::Copy(from) => {
                if let Some(d_from) = self
                    .shadow(&from)
                    .filter(|_| self.activity.array(from.array))
                {
                    self.g.copy(
                        d_from,
                        Place {
                            array: shadow,
                            path: Vec::new(),
                        },
                        true,
                    );
                }
            }
            _ => {}
        }
    }

    fn element_active(&self, e: &Element) -> bool {
        match e {
            Element::Scalar(id) => self.active(*id),
            Element::Part(p) => self.activity.array(p.array),
            Element::Tuple(all) => all.iter().any(|e| self.element_active(e)),
        }
    }

    /// The adjoint of one element of an array literal, from the element's shadow.
    pub(super) fn element(&mut self, e: &Element, at: Place) {
        match e {
            Element::Scalar(id) => {
                if self.active(*id) {
                    let d = self.g.load(at);
                    self.add(*id, d);
                }
            }
            Element::Part(p) => {
                if let Some(to) = self.shadow(p).filter(|_| self.activity.array(p.array)) {
                    self.g.copy(to, at, true);
                }
            }
            Element::Tuple(all) => {
                for (k, e) in all.iter().enumerate() {
                    let mut part = at.clone();
                    part.path.push(Step::Field(k as u32));
                    self.element(e, part);
                }
            }
        }
    }
}
