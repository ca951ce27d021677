//! Like terms of an adjoint.
//!
//! An adjoint is the sum of what each use of a value contributes, in an order that nothing prescribes. In: the sum so far and
//! one term more. Out: their sum, in which terms that differ in a constant factor only are one term (`t + t = 2 t`,
//! `v - 0.5 v = 0.5 v`), and terms with one factor share it (`k a + k b = k (a + b)`), constant or not. What must hold: only sums
//! built here are taken apart again. The user's own sums and those inside of a rule keep their order, which may be what
//! makes them accurate.

use crate::graph::maps::Map;
use crate::graph::{Graph, Id, Node};
use crate::rules::Op;

/// How many terms of a sum are looked at.
const DEPTH: usize = 8;

/// The sums that were built here, and what they are sums of.
#[derive(Default)]
pub struct Sums {
    parts: Map<Id, (Id, Id)>,
}

impl Sums {
    /// `sum + term`.
    pub fn add(&mut self, g: &mut Graph, sum: Id, term: Id) -> Id {
        let term = g.resolve(term);
        if let Some(&(a, b)) = self.parts.get(&term)
            && self.terms(term, DEPTH)
        {
            let sum = self.add(g, sum, a);
            return self.add(g, sum, b);
        }
        if let Some(merged) = self.merge(g, sum, term, DEPTH) {
            return merged;
        }
        self.pair(g, sum, term)
    }

    /// What a sum that was built here is the sum of.
    pub fn parts(&self, sum: Id) -> Option<(Id, Id)> {
        self.parts.get(&sum).copied()
    }

    /// Whether a sum has no more terms than are looked at.
    fn terms(&self, sum: Id, room: usize) -> bool {
        match self.parts.get(&sum) {
            Some(&(a, b)) => room > 1 && self.terms(a, room / 2) && self.terms(b, room / 2),
            None => true,
        }
    }

    fn pair(&mut self, g: &mut Graph, a: Id, b: Id) -> Id {
        if g.constant(a) == Some(0.0) {
            return b;
        }
        let sum = g.apply(Op::Add, &[a, b]);
        self.parts.insert(sum, (a, b));
        sum
    }

    /// The sum with the term inside of one of its terms, where there is one like it.
    fn merge(&mut self, g: &mut Graph, sum: Id, term: Id, depth: usize) -> Option<Id> {
        let sum = g.resolve(sum);
        if depth == 0 {
            return None;
        }
        if let Some(&(a, b)) = self.parts.get(&sum) {
            if let Some(b) = self.merge(g, b, term, depth - 1) {
                return Some(self.pair(g, a, b));
            }
            let a = self.merge(g, a, term, depth - 1)?;
            return Some(self.pair(g, a, b));
        }
        if let (Some(a), Some(b)) = (g.constant(sum), g.constant(term)) {
            return Some(g.lit_like(a + b, sum));
        }
        let ((k, x), (m, y)) = (factor(g, sum), factor(g, term));
        // What cancels may be infinite: that is not for constants to decide.
        if x == y {
            let factor = (k + m != 0.0).then(|| g.lit_like(k + m, x))?;
            return Some(g.apply(Op::Mul, &[factor, x]));
        }
        // Worth it only where it saves a product.
        if k.abs() == m.abs() && k.abs() != 1.0 {
            let y = if k == m { y } else { g.apply(Op::Neg, &[y]) };
            let inner = self.pair(g, x, y);
            let factor = g.lit_like(k, x);
            return Some(g.apply(Op::Mul, &[factor, inner]));
        }
        let (common, a, b) = common_factor(g, x, y)?;
        let (a, b) = (scaled(g, k, a, common), scaled(g, m, b, common));
        let inner = self.add(g, a, b);
        Some(g.apply(Op::Mul, &[common, inner]))
    }
}

/// A factor that two terms share, and what each has beside it, if anything.
fn common_factor(g: &Graph, x: Id, y: Id) -> Option<(Id, Option<Id>, Option<Id>)> {
    let (a, b) = (factors(g, x), factors(g, y));
    let (&(common, rest), &(_, other)) = a
        .iter()
        .flat_map(|p| b.iter().map(move |q| (p, q)))
        .find(|(p, q)| p.0 == q.0)?;
    Some((common, rest, other))
}

/// The ways to see a term as a factor and the rest.
fn factors(g: &Graph, x: Id) -> Vec<(Id, Option<Id>)> {
    match g.node(x) {
        Node::Apply(Op::Mul, args) => {
            let (a, b) = (g.resolve(args[0]), g.resolve(args[1]));
            vec![(a, Some(b)), (b, Some(a))]
        }
        _ => vec![(x, None)],
    }
}

/// A constant times a value, or the constant itself.
fn scaled(g: &mut Graph, k: f64, x: Option<Id>, like: Id) -> Id {
    let factor = g.lit_like(k, like);
    match x {
        Some(x) => g.apply(Op::Mul, &[factor, x]),
        None => factor,
    }
}

/// A term as a constant times the rest.
pub fn factor(g: &Graph, x: Id) -> (f64, Id) {
    let x = g.resolve(x);
    match g.node(x) {
        Node::Apply(Op::Neg, a) => {
            let (k, rest) = factor(g, a[0]);
            (-k, rest)
        }
        Node::Apply(Op::Mul, a) => match g.constant(a[0]) {
            Some(k) => (k, g.resolve(a[1])),
            None => (1.0, x),
        },
        _ => (1.0, x),
    }
}
