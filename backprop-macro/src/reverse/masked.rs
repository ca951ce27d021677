//! Adjoints that may be zero because what they come from was not taken.
//!
//! In: the adjoint of a node and the rule's terms for its operands. Out: the terms, which are zero where the adjoint is, if the
//! adjoint comes out of a branch or loop and the slope could be infinite. What must hold: a value that the result does not depend
//! on has no say. Without this `0 · ∞` would be NaN: of `r = x.sqrt()` at 0, used on one side of a branch only, on the other side.

use super::Reverse;
use crate::graph::{Id, Node};
use crate::rules::Op;
use quote::quote;

/// How far back an adjoint or an operand is followed.
const DEPTH: usize = 12;

impl Reverse<'_> {
    /// The term that a node's adjoint contributes to an operand.
    pub(super) fn taken(&mut self, op: Op, args: &[Id], dy: Id, term: Id) -> Id {
        if self.g.constant(term).is_some() || !self.singular(op, args) || !self.masked(dy, DEPTH) {
            return term;
        }
        let (zero, bool_ty) = (self.zero(dy), self.g.bool_ty());
        let taken = self.g.opaque_binary(quote!(!=), dy, zero, bool_ty, true);
        let zero = self.zero(term);
        self.g.apply(Op::Select, &[taken, term, zero])
    }

    /// Whether an adjoint is zero where a branch was not taken, or a loop not run.
    fn masked(&self, id: Id, depth: usize) -> bool {
        let id = self.g.resolve(id);
        let zero = |x: Id| self.g.constant(x) == Some(0.0);
        if depth == 0 {
            return false;
        }
        let inner = |x: Id| zero(x) || self.masked(x, depth - 1);
        match self.g.node(id) {
            Node::IfOut(branch, _) => self
                .g
                .branch(*branch)
                .slots
                .iter()
                .any(|s| s.out == id && (inner(s.then) || inner(s.otherwise))),
            Node::LoopOut(l, _) => self
                .g
                .looped(*l)
                .carried
                .iter()
                .any(|c| c.out == id && inner(c.init)),
            Node::Apply(Op::Select, args) => zero(args[1]) || zero(args[2]),
            Node::Apply(Op::Neg, args) => self.masked(args[0], depth - 1),
            Node::Apply(Op::Div, args) => self.masked(args[0], depth - 1),
            Node::Apply(Op::Mul, args) => args.iter().any(|&a| self.masked(a, depth - 1)),
            Node::Apply(Op::Add | Op::Sub, args) => args.iter().all(|&a| self.masked(a, depth - 1)),
            _ => false,
        }
    }

    /// Whether a rule's factor can be infinite or NaN though the parameters are not.
    fn singular(&self, op: Op, args: &[Id]) -> bool {
        match op {
            // Bounded, or none.
            Op::Add | Op::Sub | Op::Neg | Op::Select | Op::Tanh | Op::Max | Op::Min => false,
            Op::Mul | Op::Sin | Op::Cos | Op::Abs => args.iter().any(|&a| self.unbounded(a, DEPTH)),
            _ => true,
        }
    }

    fn unbounded(&self, id: Id, depth: usize) -> bool {
        let id = self.g.resolve(id);
        match self.g.node(id) {
            Node::Lit(bits) => !f64::from_bits(*bits).is_finite(),
            Node::Param(_) | Node::Load(..) | Node::Opaque(..) | Node::Index(_) => false,
            Node::Cast(a, _) => self.unbounded(*a, depth),
            Node::Apply(
                Op::Add
                | Op::Sub
                | Op::Neg
                | Op::Mul
                | Op::Sin
                | Op::Cos
                | Op::Tanh
                | Op::Abs
                | Op::Max
                | Op::Min,
                args,
            ) => depth == 0 || args.iter().any(|&a| self.unbounded(a, depth - 1)),
            Node::Apply(Op::FromInt, _) => false,
            _ => true,
        }
    }
}
