//! Calls of annotated functions: the backward pass of the function called, from the adjoints of its results.
//!
//! In: a call. Out: a pullback, which reads the adjoints of the call's results and adds to those of its arguments. What must
//! hold: an array that the call was given is the same when the pullback reads it, or is copied while it is.

use super::Reverse;
use crate::graph::{Argument, CallId, Node, Place, Stmt};

impl Reverse<'_> {
    pub(super) fn visit_call(&mut self, call: CallId) {
        let data = self.g.call(call).clone();
        self.notes.singular = true;
        let adjoints: Vec<_> = data
            .outs
            .iter()
            .map(|o| self.frame().adjoint.remove(o))
            .collect();
        let incoming: Vec<Option<Place>> = data
            .arrays()
            .map(|array| {
                let place = Place {
                    array,
                    path: Vec::new(),
                };
                self.shadow(&place).filter(|_| self.activity.array(array))
            })
            .collect();
        if adjoints.iter().all(Option::is_none) && incoming.iter().all(Option::is_none) {
            return;
        }
        let upstream = adjoints
            .into_iter()
            .zip(&data.outs)
            .map(|(d, &out)| d.unwrap_or_else(|| self.zero(out)))
            .collect();
        let mut gradients = Vec::new();
        let mut shadows = Vec::new();
        let mut changed = Vec::new();
        for (k, arg) in data.args.iter().enumerate() {
            let (mut node, mut place) = (None, None);
            match arg {
                Argument::Scalar { value } if self.active(*value) => {
                    let ty = self.g.ty(*value);
                    let here = self.g.here();
                    let out = Node::CallOut(call, (data.outs.len() + k) as u32);
                    node = Some(self.g.bound(out, ty, Some(here)));
                }
                Argument::Array { place: p, held } => {
                    if self.activity.array(p.array) {
                        place = self.shadow(p);
                    }
                    let at = self.order.position(*held);
                    if at.is_none_or(|at| self.order.stored_after(p.array, at)) {
                        changed.push(p.array);
                    }
                }
                Argument::Scalar { .. } => {}
            }
            gradients.push(node);
            shadows.push(place);
        }
        let c = self.g.call_mut(call);
        c.upstream = upstream;
        c.incoming = incoming.clone();
        c.gradients = gradients.clone();
        c.shadows = shadows.clone();
        c.changed = changed;
        for p in shadows.iter().chain(&incoming).flatten() {
            self.g.array_mut(p.array).version += 1;
        }
        self.g.push(Stmt::Pullback(call));
        for (arg, d) in data.args.iter().zip(gradients) {
            if let (Argument::Scalar { value }, Some(d)) = (arg, d) {
                self.add(*value, d);
            }
        }
    }
}
