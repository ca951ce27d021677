//! Adjoints that may be zero because what they come from was not taken.
//!
//! In: the adjoint of a node and the rule's terms for its operands. Out: the terms, which are zero where the adjoint is, if the
//! adjoint comes out of a branch or loop and the slope could be infinite. What must hold: a value that the result does not depend
//! on has no say. Without this `0 · ∞` would be NaN: of `r = x.sqrt()` at 0, used on one side of a branch only, on the other side.

use super::Reverse;
use crate::graph::{Graph, Id, Node, Primal, Source};
use crate::rules::Op;
use crate::signature::Signature;
use quote::quote;
use std::collections::BTreeSet;

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
    pub(super) fn singular(&self, op: Op, args: &[Id]) -> bool {
        match op {
            // Bounded, or none.
            Op::Add | Op::Sub | Op::Neg | Op::Select | Op::Tanh | Op::Max | Op::Min => false,
            Op::Mul | Op::Sin | Op::Cos | Op::Abs => args.iter().any(|&a| self.unbounded(a)),
            Op::Div if divisor(&self.g, args[1]) => false,
            Op::Powi if positive_power(&self.g, args[1]) => self.unbounded(args[0]),
            _ => true,
        }
    }

    fn unbounded(&self, id: Id) -> bool {
        unbounded(&self.g, id, &|p| self.unbounded.contains(&p))
    }
}

/// The parameters that may be infinite or NaN.
pub fn unbounded_parameters(primal: &Primal, sig: &Signature) -> BTreeSet<Id> {
    let of = primal.params.iter().zip(&sig.params);
    of.filter(|(_, p)| p.unbounded)
        .filter_map(|(source, _)| match source {
            Source::Scalar(id) => Some(*id),
            _ => None,
        })
        .collect()
}

/// Whether a value can be infinite or NaN though the parameters are not, but for those that `parameter` says can be.
pub fn unbounded(g: &Graph, id: Id, parameter: &dyn Fn(Id) -> bool) -> bool {
    can_be(g, id, parameter, DEPTH)
}

fn can_be(g: &Graph, id: Id, parameter: &dyn Fn(Id) -> bool, depth: usize) -> bool {
    let id = g.resolve(id);
    let any = |args: &[Id]| depth == 0 || args.iter().any(|&a| can_be(g, a, parameter, depth - 1));
    match g.node(id) {
        Node::Lit(bits) => !f64::from_bits(*bits).is_finite(),
        Node::Param(_) => parameter(id),
        Node::Load(..) | Node::Opaque(..) | Node::Index(_) => false,
        Node::Cast(a, _) => any(&[*a]),
        Node::Apply(Op::Div, args) if divisor(g, args[1]) => any(&args[..1]),
        Node::Apply(Op::Div, args) if away_from_zero(g, args[1], DEPTH) => any(&args[..1]),
        Node::Apply(Op::Powi, args) if positive_power(g, args[1]) => any(&args[..1]),
        Node::Apply(Op::Select, args) => any(&args[1..]),
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
        ) => any(args),
        Node::Apply(Op::FromInt, _) => false,
        Node::IfOut(branch, _) => {
            let slot = g.branch(*branch).slots.iter().find(|s| s.out == id);
            slot.is_none_or(|s| any(&[s.then, s.otherwise]))
        }
        _ => true,
    }
}

/// A literal that may be divided by.
fn divisor(g: &Graph, id: Id) -> bool {
    g.constant(id).is_some_and(|x| x != 0.0 && x.is_finite())
}

fn positive_power(g: &Graph, id: Id) -> bool {
    g.integer(id).is_some_and(|k| k > 0)
}

/// Whether a value is at least a positive literal, whatever the parameters are: `1 + exp(-z)`.
fn away_from_zero(g: &Graph, id: Id, depth: usize) -> bool {
    let positive = |x: Id| g.constant(x).is_some_and(|x| x > 0.0);
    match g.node(g.resolve(id)) {
        Node::Apply(Op::Add, args) => {
            let [a, b] = [args[0], args[1]];
            positive(a) && not_negative(g, b, depth) || positive(b) && not_negative(g, a, depth)
        }
        _ => false,
    }
}

fn not_negative(g: &Graph, id: Id, depth: usize) -> bool {
    match g.node(g.resolve(id)) {
        Node::Lit(bits) => f64::from_bits(*bits) >= 0.0,
        Node::Apply(Op::Exp | Op::Abs, _) => true,
        Node::Apply(Op::Mul, args) => g.resolve(args[0]) == g.resolve(args[1]),
        Node::Apply(Op::Add, args) => {
            depth > 0 && args.iter().all(|&a| not_negative(g, a, depth - 1))
        }
        _ => false,
    }
}
