//! `#[backprop(stable)]`: the value in forms that do not overflow and do not cancel.
//!
//! In: the primal. Out: the primal in which each idiom of the table below is computed by its stable form, and a list of what
//! was rewritten, for the documentation. Must hold: a rewritten value is the same real function; it differs from what was
//! written by rounding only, or where that overflowed or cancelled. This is the one stage that touches the user's own
//! computation, and runs only where asked for; the plain function is then emitted from the rewritten graph too.
//!
//! With `S` a sum of exponentials, written out or run up in a loop: `m` is its largest exponent and `S' = Σ exp(u - m)`. The
//! result does not depend on `m`, so `m` is a constant of the gradient.

mod copies;
mod sums;

use crate::graph::Primal;
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::order::Order;
use crate::rules::Op;
use crate::stable::{applied, one_plus_exp, sigmoid};
use crate::types::Ty;
use proc_macro2::Span;

/// What was rewritten: as it was written, and as it is computed.
pub type Form = (&'static str, &'static str);

const SOFTPLUS: Form = ("ln(1 + exp(z))", "max(z, 0) + ln_1p(exp(-|z|))");
const LOG_SIGMOID: Form = ("ln(1 / (1 + exp(-z)))", "min(z, 0) - ln_1p(exp(-|z|))");
const SIGMOID: Form = ("exp(z) / (1 + exp(z))", "1 / (1 + exp(-z))");
const COMPLEMENT: Form = ("1 - 1 / (1 + exp(-z))", "1 / (1 + exp(z))");
const LOG_SUM_EXP: Form = ("ln(Σ exp(u))", "m + ln(Σ exp(u - m)), m the largest u");
const SOFTMAX: Form = (
    "exp(v) / Σ exp(u)",
    "exp(v - m) / Σ exp(u - m), m the largest u",
);
const LOG_PRODUCT: Form = ("ln(exp(a) * b)", "a + ln(b)");
const LOG_QUOTIENT: Form = ("ln(exp(a) / b)", "a - ln(b)");
const LOG_EXP: Form = ("ln(exp(a))", "a");
const LN_1P: Form = ("ln(1 + x)", "ln_1p(x)");
const EXP_M1: Form = ("exp(x) - 1", "exp_m1(x)");
const HYPOT: Form = ("sqrt(x² + y²)", "hypot(x, y)");
const TANH: Form = (
    "1 - tanh(x)², the slope of tanh",
    "4 e / (1 + e)², e = exp(-2 |x|)",
);

/// A sum of exponentials with its largest exponent taken out: `exp(shift) * sum`.
#[derive(Clone, Copy)]
struct Shifted {
    shift: Id,
    sum: Id,
}

struct Stabilize<'a> {
    g: &'a mut Graph,
    order: Order,
    bodies: Map<RegionId, LoopId>,
    /// For each array whose elements are each stored once, in iterations of their own: the loop and the value.
    elementwise: Map<ArrayId, (LoopId, Id)>,
    /// The statement before which new nodes are put.
    anchor: (RegionId, Id),
    made: Map<(Op, Vec<Id>), Id>,
    shifted: Map<Id, Shifted>,
    /// Sums that cannot overflow any more.
    safe: Set<Id>,
    found: Vec<(Span, Form)>,
}

/// Rewrites the primal; what was rewritten, in the order of the program.
pub fn stabilize(primal: &mut Primal) -> Vec<(Span, Form)> {
    let order = Order::of(&primal.graph, primal.body);
    let body = primal.body;
    primal.graph.accurate = true;
    let bodies = (primal.graph.loops.iter().enumerate())
        .map(|(k, l)| (l.body, LoopId(k as u32)))
        .collect();
    let mut s = Stabilize {
        g: &mut primal.graph,
        order,
        bodies,
        elementwise: Map::default(),
        anchor: (body, Id(0)),
        made: Map::default(),
        shifted: Map::default(),
        safe: Set::default(),
        found: Vec::new(),
    };
    s.find_elementwise(body);
    s.region(body);
    s.found
}

impl Stabilize<'_> {
    fn region(&mut self, region: RegionId) {
        for stmt in self.g.region(region).stmts.clone() {
            match stmt {
                Stmt::Let(id) => {
                    self.anchor = (region, id);
                    self.node(id);
                }
                Stmt::If(b) => {
                    let (then, otherwise) = (self.g.branch(b).then, self.g.branch(b).otherwise);
                    self.region(then);
                    self.region(otherwise);
                }
                Stmt::Loop(l) => self.region(self.g.looped(l).body),
                _ => {}
            }
        }
    }

    fn node(&mut self, y: Id) {
        let Node::Apply(op, args) = self.g.node(y).clone() else {
            return;
        };
        let args: Vec<Id> = args.iter().map(|&a| self.g.resolve(a)).collect();
        let form = match (op, args.as_slice()) {
            (Op::Ln, &[a]) => self.ln(y, a),
            (Op::Ln1p, &[a]) => applied(self.g, a, Op::Exp).map(|u| {
                self.softplus(y, u[0]);
                SOFTPLUS
            }),
            (Op::Sub, &[a, b]) => self.difference(y, a, b),
            (Op::Sqrt, &[a]) => self.hypot(y, a),
            (Op::Div, &[a, b]) => self.quotient(y, a, b),
            (Op::Tanh, _) => Some(TANH),
            _ => None,
        };
        if let Some(form) = form {
            self.found.push((self.g.data(y).span, form));
        }
    }

    // ---- logarithms ----

    /// The logarithm of `a`, where it is an idiom; `y` becomes it.
    fn ln(&mut self, y: Id, a: Id) -> Option<Form> {
        let a = self.element(a);
        if let Some((z, sign)) = sigmoid(self.g, a) {
            let z = self.signed(z, sign);
            self.log_sigmoid(y, z);
            return Some(LOG_SIGMOID);
        }
        if let Some((u, _)) = one_plus_exp(self.g, a) {
            self.softplus(y, u);
            return Some(SOFTPLUS);
        }
        if let Some(u) = self.exponent(a) {
            self.replace_by(y, u);
            return Some(LOG_EXP);
        }
        if let Some(s) = self.sum_of_exponentials(a) {
            let l = self.op(Op::Ln, &[s.sum]);
            self.replace(y, Op::Add, &[s.shift, l]);
            return Some(LOG_SUM_EXP);
        }
        for (op, outer, form) in [
            (Op::Mul, Op::Add, LOG_PRODUCT),
            (Op::Div, Op::Sub, LOG_QUOTIENT),
        ] {
            let Some(parts) = applied(self.g, a, op) else {
                continue;
            };
            let (p, q) = (self.element(parts[0]), self.element(parts[1]));
            if self.is_exponential(p) || self.is_exponential(q) {
                let (p, q) = (self.log_of(p), self.log_of(q));
                self.replace(y, outer, &[p, q]);
                return Some(form);
            }
        }
        if let Some(q) = applied(self.g, a, Op::Recip)
            && self.is_exponential(q[0])
        {
            let l = self.log_of(q[0]);
            self.replace(y, Op::Neg, &[l]);
            return Some(LOG_QUOTIENT);
        }
        let rest = match applied(self.g, a, Op::Add) {
            Some(t) if self.is(t[0], 1.0) => t[1],
            Some(t) if self.is(t[1], 1.0) => t[0],
            Some(_) => return None,
            None => match applied(self.g, a, Op::Sub) {
                Some(t) if self.is(t[0], 1.0) => self.op(Op::Neg, &[t[1]]),
                _ => return None,
            },
        };
        self.replace(y, Op::Ln1p, &[rest]);
        Some(LN_1P)
    }

    fn is_exponential(&mut self, id: Id) -> bool {
        self.exponent(id).is_some() || self.sum_of_exponentials(id).is_some()
    }

    /// The logarithm of a factor.
    fn log_of(&mut self, id: Id) -> Id {
        if let Some(u) = self.exponent(id) {
            return u;
        }
        if let Some(s) = self.sum_of_exponentials(id) {
            let l = self.op(Op::Ln, &[s.sum]);
            return self.op(Op::Add, &[s.shift, l]);
        }
        self.op(Op::Ln, &[id])
    }

    /// `ln(1 + exp(-|z|))`, whichever sign `z` has.
    fn tail(&mut self, z: Id) -> Id {
        let z = match applied(self.g, z, Op::Neg) {
            Some(inner) => inner[0],
            None => z,
        };
        let size = self.op(Op::Abs, &[z]);
        let below = self.op(Op::Neg, &[size]);
        let e = self.op(Op::Exp, &[below]);
        self.op(Op::Ln1p, &[e])
    }

    fn softplus(&mut self, y: Id, z: Id) {
        let zero = self.g.lit_like(0.0, z);
        let high = self.op(Op::Max, &[z, zero]);
        let tail = self.tail(z);
        self.replace(y, Op::Add, &[high, tail]);
    }

    fn log_sigmoid(&mut self, y: Id, z: Id) {
        let zero = self.g.lit_like(0.0, z);
        let low = self.op(Op::Min, &[z, zero]);
        let tail = self.tail(z);
        self.replace(y, Op::Sub, &[low, tail]);
    }

    // ---- the rest of the table ----

    fn difference(&mut self, y: Id, a: Id, b: Id) -> Option<Form> {
        if let (Some(u), true) = (applied(self.g, a, Op::Exp), self.is(b, 1.0)) {
            self.replace(y, Op::ExpM1, &[u[0]]);
            return Some(EXP_M1);
        }
        if !self.is(a, 1.0) {
            return None;
        }
        if let Some(u) = applied(self.g, b, Op::Exp) {
            let m = self.op(Op::ExpM1, &[u[0]]);
            self.replace(y, Op::Neg, &[m]);
            return Some(EXP_M1);
        }
        let (z, sign) = sigmoid(self.g, b)?;
        let u = self.signed(z, sign);
        self.logistic(y, u);
        Some(COMPLEMENT)
    }

    /// `y = 1 / (1 + exp(u))`
    fn logistic(&mut self, y: Id, u: Id) {
        let e = self.op(Op::Exp, &[u]);
        let one = self.g.lit_like(1.0, u);
        let below = self.op(Op::Add, &[one, e]);
        let one = self.g.lit_like(1.0, u);
        self.replace(y, Op::Div, &[one, below]);
    }

    fn quotient(&mut self, y: Id, a: Id, b: Id) -> Option<Form> {
        let a = self.element(a);
        let u = self.exponent(a)?;
        if let Some((v, _)) = one_plus_exp(self.g, b)
            && v == u
        {
            let below = self.signed(u, -1);
            self.logistic(y, below);
            return Some(SIGMOID);
        }
        let s = self.sum_of_exponentials(b)?;
        let shifted = self.op(Op::Sub, &[u, s.shift]);
        let e = self.op(Op::Exp, &[shifted]);
        self.replace(y, Op::Div, &[e, s.sum]);
        Some(SOFTMAX)
    }

    fn hypot(&mut self, y: Id, a: Id) -> Option<Form> {
        let mut roots = Vec::new();
        self.squares(a, &mut roots)?;
        let (&last, rest) = roots.split_last()?;
        let (&first, rest) = rest.split_first()?;
        let mut so_far = first;
        for &r in rest {
            so_far = self.op(Op::Hypot, &[so_far, r]);
        }
        self.replace(y, Op::Hypot, &[so_far, last]);
        Some(HYPOT)
    }

    /// The numbers of whose squares this is the sum.
    fn squares(&mut self, id: Id, out: &mut Vec<Id>) -> Option<()> {
        match self.g.node(id).clone() {
            Node::Apply(Op::Add, t) => {
                self.squares(self.g.resolve(t[0]), out)?;
                self.squares(self.g.resolve(t[1]), out)
            }
            Node::Apply(Op::Mul, t) if self.g.resolve(t[0]) == self.g.resolve(t[1]) => {
                out.push(self.g.resolve(t[0]));
                Some(())
            }
            Node::Apply(Op::MulAdd, t) if self.g.resolve(t[0]) == self.g.resolve(t[1]) => {
                out.push(self.g.resolve(t[0]));
                self.squares(self.g.resolve(t[2]), out)
            }
            Node::Apply(Op::Powi, t) if self.g.integer(t[1]) == Some(2) => {
                out.push(self.g.resolve(t[0]));
                Some(())
            }
            Node::Apply(Op::Powf, t) if self.is(t[1], 2.0) => {
                out.push(self.g.resolve(t[0]));
                Some(())
            }
            _ => None,
        }
    }

    // ---- sums of exponentials ----

    fn is(&self, id: Id, value: f64) -> bool {
        self.g.constant(id) == Some(value)
    }

    /// `u` or `-u`; `--u` is `u`.
    fn signed(&mut self, u: Id, sign: i32) -> Id {
        if sign > 0 {
            return u;
        }
        match applied(self.g, u, Op::Neg) {
            Some(inner) => inner[0],
            None => self.op(Op::Neg, &[u]),
        }
    }

    /// A node before the anchor; one that is there already is not made again.
    fn op(&mut self, op: Op, args: &[Id]) -> Id {
        let key = (op, args.to_vec());
        if let Some(&known) = self.made.get(&key)
            && self
                .g
                .data(known)
                .region
                .is_some_and(|r| self.g.encloses(r, self.anchor.0))
        {
            return known;
        }
        let id = self.before(|g| g.apply_primal(op, args));
        self.made.insert(key, id);
        id
    }

    fn before(&mut self, build: impl FnOnce(&mut Graph) -> Id) -> Id {
        self.before_all(|s| build(s.g))
    }

    fn before_all<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let (region, anchor) = self.anchor;
        let end = self.g.region(region).stmts.len();
        self.g.span = Some(self.g.data(anchor).span);
        self.g.enter(region);
        let out = build(self);
        self.g.close();
        self.g.span = None;
        let stmts = &mut self.g.region_mut(region).stmts;
        let new = stmts.split_off(end);
        let at = stmts
            .iter()
            .position(|s| matches!(s, Stmt::Let(id) if *id == anchor))
            .unwrap_or(end);
        stmts.splice(at..at, new);
        out
    }

    fn replace(&mut self, y: Id, op: Op, args: &[Id]) {
        self.g.nodes[y.0 as usize].node = Node::Apply(op, args.to_vec());
        let types: Vec<Ty> = args.iter().map(|&a| self.g.ty(a)).collect();
        let (ty, of) = (self.g.ty(y), op.unify(&mut self.g.types, &types));
        self.g.types.unify(ty, of);
    }

    /// `y` is `u`.
    fn replace_by(&mut self, y: Id, u: Id) {
        let region = self.anchor.0;
        let (a, b) = (self.g.ty(y), self.g.ty(u));
        self.g.types.unify(a, b);
        self.g
            .region_mut(region)
            .stmts
            .retain(|s| !matches!(s, Stmt::Let(id) if *id == y));
        self.g.set_alias(y, u);
    }
}
