//! `#[backprop(stable)]`: the value in forms that do not overflow and do not cancel.
//!
//! In: the primal. Out: the primal in which each idiom of the table below is computed by its stable form, and a list of what
//! was rewritten, for the documentation. Must hold: a rewritten value is the same real function; it differs from what was
//! written by rounding only, or where that overflowed or cancelled. This is the one stage that touches the user's own
//! computation, and runs only where asked for; the plain function is then emitted from the rewritten graph too.
//!
//! With `S` a sum of exponentials, written out or run up in a loop: `m` is its largest exponent and `S' = Σ exp(u - m)`. The
//! result does not depend on `m`, so `m` is a constant of the gradient.

use crate::graph::*;
use crate::lower::Primal;
use crate::order::Order;
use crate::rules::Op;
use crate::stable::{applied, one_plus_exp, sigmoid};
use crate::types::Ty;
use proc_macro2::Span;
use quote::quote;
use std::collections::{BTreeMap, HashMap, HashSet};

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
    bodies: HashMap<RegionId, LoopId>,
    /// For each array whose elements are each stored once, in iterations of their own: the loop and the value.
    elementwise: HashMap<ArrayId, (LoopId, Id)>,
    /// The statement before which new nodes are put.
    anchor: (RegionId, Id),
    made: HashMap<(Op, Vec<Id>), Id>,
    shifted: HashMap<Id, Shifted>,
    /// Sums that cannot overflow any more.
    safe: HashSet<Id>,
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
        elementwise: HashMap::new(),
        anchor: (body, Id(0)),
        made: HashMap::new(),
        shifted: HashMap::new(),
        safe: HashSet::new(),
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

    /// `u` of `exp(u)`.
    fn exponent(&mut self, id: Id) -> Option<Id> {
        let id = self.element(id);
        applied(self.g, id, Op::Exp).map(|u| u[0])
    }

    fn sum_of_exponentials(&mut self, s: Id) -> Option<Shifted> {
        let s = self.g.resolve(s);
        if self.safe.contains(&s) {
            return None;
        }
        if let Some(&known) = self.shifted.get(&s) {
            let here = self.anchor.0;
            let seen = |id| {
                self.g
                    .data(id)
                    .region
                    .is_none_or(|r| self.g.encloses(r, here))
            };
            if seen(known.shift) && seen(known.sum) {
                return Some(known);
            }
        }
        let shifted = match self.g.node(s).clone() {
            Node::Apply(Op::Add, _) => self.written_out(s)?,
            Node::LoopOut(l, slot) => self.run_up(l, slot)?,
            _ => return None,
        };
        self.safe.insert(shifted.sum);
        self.shifted.insert(s, shifted);
        Some(shifted)
    }

    /// `exp(a) + exp(b) + 1 + …`
    fn written_out(&mut self, s: Id) -> Option<Shifted> {
        let mut exponents = Vec::new();
        let mut todo = vec![s];
        while let Some(id) = todo.pop() {
            if let Some(terms) = applied(self.g, id, Op::Add) {
                todo.extend(terms.iter().rev());
            } else if self.is(id, 1.0) {
                exponents.push(self.g.lit_like(0.0, id));
            } else {
                exponents.push(self.exponent(id)?);
            }
        }
        let ty = self.g.ty(s);
        let mut largest = exponents[0];
        for &u in &exponents[1..] {
            largest = self.before(|g| greater(g, largest, u, ty));
        }
        let shift = self.before(|g| finite(g, largest, ty));
        let mut sum = None;
        for &u in &exponents {
            let below = self.op(Op::Sub, &[u, shift]);
            let e = self.op(Op::Exp, &[below]);
            sum = Some(match sum {
                Some(so_far) => self.op(Op::Add, &[so_far, e]),
                None => e,
            });
        }
        Some(Shifted { shift, sum: sum? })
    }

    /// `s += exp(u)` in a loop: one loop for the largest exponent, one for the sum, beside the loop as written.
    fn run_up(&mut self, l: LoopId, slot: u32) -> Option<Shifted> {
        let data = self.g.looped(l).clone();
        let carried = &data.carried[slot as usize];
        let (Count::Range { .. }, None) = (&data.count, data.again) else {
            return None;
        };
        self.g.constant(carried.init).filter(|&v| v == 0.0)?;
        let terms = applied(self.g, carried.next, Op::Add)?;
        let term = match (terms[0] == carried.phi, terms[1] == carried.phi) {
            (true, false) => terms[1],
            (false, true) => terms[0],
            _ => return None,
        };
        let parent = self.g.region(data.body).parent?;
        let mut slice = Slice::new(data.body, parent);
        let index = count_index(&data.count)?;
        slice.map.insert(index, index);
        if !self.repeatable(&slice, term, self.order.loop_span(l).0) {
            return None;
        }
        // The exponent in terms of the loop's index: the term's own, or that of an array's element.
        let is_exp = applied(self.g, term, Op::Exp).is_some();
        let ty = self.g.ty(term);
        let of_element = match self.g.node(term).clone() {
            Node::Load(p, _) if !is_exp => {
                let &(_, value) = self.elementwise.get(&p.array)?;
                applied(self.g, value, Op::Exp)?;
                true
            }
            _ => false,
        };
        if !is_exp && !of_element {
            return None;
        }
        let at = self
            .g
            .region(parent)
            .stmts
            .iter()
            .position(|s| matches!(s, Stmt::Loop(k) if *k == l))?;
        let before = self.g.region(parent).stmts.len();
        self.g.enter(parent);
        let init = self.g.lit(f64::NEG_INFINITY, ty);
        let largest = self.pass(l, term, init, &mut |g, phi, u| greater(g, phi, u, ty));
        let shift = largest.map(|m| finite(self.g, m, ty));
        let init = self.g.lit(0.0, ty);
        let sum = shift.and_then(|m| {
            self.pass(l, term, init, &mut |g, phi, u| {
                let below = g.apply_primal(Op::Sub, &[u, m]);
                let e = g.apply_primal(Op::Exp, &[below]);
                g.apply_primal(Op::Add, &[phi, e])
            })
        });
        self.g.close();
        let new = self.g.region_mut(parent).stmts.split_off(before);
        let (shift, sum) = (shift?, sum?);
        self.g.region_mut(parent).stmts.splice(at + 1..at + 1, new);
        Some(Shifted { shift, sum })
    }

    /// A loop like `l` that carries one scalar, made anew from the exponent of each iteration.
    fn pass(
        &mut self,
        l: LoopId,
        term: Id,
        init: Id,
        next: &mut dyn FnMut(&mut Graph, Id, Id) -> Id,
    ) -> Option<Id> {
        let data = self.g.looped(l).clone();
        let Count::Range {
            index,
            lo,
            hi,
            inclusive,
            rev,
        } = data.count
        else {
            return None;
        };
        let body = self.g.open();
        let (index_ty, ty) = (self.g.ty(index), self.g.ty(init));
        let own = self
            .g
            .bound(Node::Index(LoopId(u32::MAX)), index_ty, Some(body));
        let phi = self.g.bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(body));
        let mut slice = Slice::new(data.body, body);
        slice.map.insert(self.g.resolve(index), own);
        let e = match applied(self.g, term, Op::Exp) {
            Some(u) => Some(self.copy(&mut slice, u[0])),
            None => {
                let element = self.copy(&mut slice, term);
                match self.g.node(element).clone() {
                    Node::Load(p, _) => self.exponent_of_element(&p, self.order.loop_span(l).0),
                    _ => None,
                }
            }
        };
        let following = e.map(|e| next(self.g, phi, e));
        self.g.close();
        let count = Count::Range {
            index: own,
            lo,
            hi,
            inclusive,
            rev,
        };
        let looped = self.g.new_loop(count, body, data.span);
        self.g.nodes[own.0 as usize].node = Node::Index(looped);
        let out = self.g.carry(looped, phi, init, following?);
        self.g.push(Stmt::Loop(looped));
        Some(out)
    }

    // ---- arrays of which each element is computed once ----

    fn find_elementwise(&mut self, region: RegionId) {
        for stmt in self.g.region(region).stmts.clone() {
            match stmt {
                Stmt::If(b) => {
                    self.find_elementwise(self.g.branch(b).then);
                    self.find_elementwise(self.g.branch(b).otherwise);
                }
                Stmt::Loop(l) => self.find_elementwise(self.g.looped(l).body),
                Stmt::Store {
                    place,
                    value,
                    add: false,
                } => {
                    let own = matches!(place.path.as_slice(), [Step::Index(i)]
                        if self.own_index(region).is_some_and(|k| k == self.g.resolve(*i)));
                    let own = own && self.covers(region, place.array);
                    self.note_elementwise(region, place.array, value, own);
                }
                Stmt::Push(array, value) => {
                    let from_zero = self.bodies.get(&region).is_some_and(|l| {
                        matches!(self.g.looped(*l).count, Count::Range { lo, rev: false, .. } if self.g.integer(lo) == Some(0))
                    });
                    let empty = matches!(self.g.array(array).init, Init::Empty);
                    self.note_elementwise(region, array, value, from_zero && empty);
                }
                _ => {}
            }
        }
    }

    fn own_index(&self, body: RegionId) -> Option<Id> {
        count_index(&self.g.looped(*self.bodies.get(&body)?).count)
    }

    /// Whether a loop visits every index of an array.
    fn covers(&self, body: RegionId, array: ArrayId) -> bool {
        let Some(l) = self.bodies.get(&body) else {
            return false;
        };
        let Count::Range {
            lo,
            hi,
            inclusive: false,
            ..
        } = self.g.looped(*l).count
        else {
            return false;
        };
        let (data, hi) = (self.g.array(array), self.g.resolve(hi));
        let known = match &data.shape {
            crate::shape::Shape::Array(_, n) => {
                let n = quote!(#n).to_string();
                self.g.opaque_text(hi).is_some_and(|t| t == n)
            }
            _ => data.len.is_some_and(|len| self.g.resolve(len) == hi),
        };
        let counted =
            matches!(self.g.node(hi), Node::Len(p, _) if p.array == array && p.path.is_empty());
        self.g.integer(lo) == Some(0) && (known || counted)
    }

    fn note_elementwise(&mut self, region: RegionId, array: ArrayId, value: Id, own: bool) {
        let Some(&l) = self.bodies.get(&region) else {
            return;
        };
        // Declared beside the loop, so that it is filled once; filled without a `break`.
        let beside = self.g.array(array).region == self.g.region(region).parent;
        if own && beside && self.order.store_count(array) == 1 && self.g.looped(l).again.is_none() {
            self.elementwise.insert(array, (l, self.g.resolve(value)));
        }
    }

    /// What an element of such an array was computed as, made anew at the anchor where that is a quotient, a sigmoid or
    /// an exponential; otherwise the value itself.
    fn element(&mut self, id: Id) -> Id {
        let id = self.g.resolve(id);
        let Node::Load(p, _) = self.g.node(id).clone() else {
            return id;
        };
        let Some(&(_, value)) = self.elementwise.get(&p.array) else {
            return id;
        };
        if !matches!(
            self.g.node(value),
            Node::Apply(Op::Exp | Op::Div | Op::Recip, _)
        ) {
            return id;
        }
        let now = self.order.position(self.anchor.1).unwrap_or(0);
        self.before_all(|s| s.of_element(&p, value, now))
            .unwrap_or(id)
    }

    fn exponent_of_element(&mut self, p: &Place, now: usize) -> Option<Id> {
        let &(_, value) = self.elementwise.get(&p.array)?;
        let u = applied(self.g, value, Op::Exp)?[0];
        self.of_element(p, u, now)
    }

    /// A value of the iteration that made an element, in the region being built, for use at a position.
    fn of_element(&mut self, p: &Place, value: Id, now: usize) -> Option<Id> {
        let &(l, _) = self.elementwise.get(&p.array)?;
        // Only when all of them are made.
        if now < self.order.loop_span(l).1 {
            return None;
        }
        let [Step::Index(at)] = p.path.as_slice() else {
            return None;
        };
        let (body, here) = (self.g.looped(l).body, self.g.here());
        let index = self.own_index(body)?;
        let at = self.g.resolve(*at);
        let (a, b) = (self.g.ty(at), self.g.ty(index));
        self.g.types.unify(a, b);
        let mut slice = Slice::new(body, here);
        slice.map.insert(index, at);
        let from = self.order.loop_span(l).0;
        self.repeatable(&slice, value, from)
            .then(|| self.copy(&mut slice, value))
    }

    // ---- copies of what an iteration computes ----

    /// Whether a value of an iteration can be computed again, by what was not stored to since a position.
    fn repeatable(&self, slice: &Slice, id: Id, since: usize) -> bool {
        let id = self.g.resolve(id);
        if slice.map.contains_key(&id) {
            return true;
        }
        let region = self.g.data(id).region;
        let inside = region.is_some_and(|r| self.g.encloses(slice.body, r));
        let known = match self.g.node(id) {
            _ if !inside => region.is_none_or(|r| self.g.encloses(r, slice.into)),
            Node::Apply(..) | Node::Cast(..) | Node::Len(..) => true,
            Node::Opaque(k, _) => !matches!(self.g.opaque_of(*k).form, OpaqueForm::Call(_)),
            Node::Load(p, _) => {
                let array = self.g.array(p.array);
                array.region.is_none_or(|r| self.g.encloses(r, slice.into))
                    && !self.order.stored_after(p.array, since)
            }
            // A loop inside, such as a dot product.
            Node::LoopOut(l, k) => {
                let (inner, c) = (self.g.looped(*l), &self.g.looped(*l).carried[*k as usize]);
                let Some(index) = count_index(&inner.count) else {
                    return false;
                };
                let mut with = slice.clone();
                with.map.extend([(index, index), (c.phi, c.phi)]);
                return inner.again.is_none()
                    && inner.carried.len() == 1
                    && self
                        .bounds(&inner.count)
                        .iter()
                        .all(|&b| self.repeatable(slice, b, since))
                    && self.repeatable(slice, c.init, since)
                    && self.repeatable(&with, c.next, since);
            }
            _ => false,
        };
        known
            && (!inside
                || self
                    .g
                    .operands(id)
                    .into_iter()
                    .all(|o| self.repeatable(slice, o, since)))
    }

    fn bounds(&self, count: &Count) -> Vec<Id> {
        match count {
            Count::Range { lo, hi, .. } => vec![*lo, *hi],
            _ => Vec::new(),
        }
    }

    fn copy(&mut self, slice: &mut Slice, id: Id) -> Id {
        let id = self.g.resolve(id);
        if let Some(&copy) = slice.map.get(&id) {
            return copy;
        }
        let inside = self
            .g
            .data(id)
            .region
            .is_some_and(|r| self.g.encloses(slice.body, r));
        if !inside {
            return id;
        }
        let ty = self.g.ty(id);
        let mut all = |s: &mut Self, args: &[Id]| args.iter().map(|&a| s.copy(slice, a)).collect();
        let node = match self.g.node(id).clone() {
            Node::Apply(op, args) => Node::Apply(op, all(self, &args)),
            Node::Opaque(k, args) => Node::Opaque(k, all(self, &args)),
            Node::Cast(a, to) => Node::Cast(self.copy(slice, a), to),
            Node::Load(p, version) => Node::Load(p.map(&mut |i| self.copy(slice, i)), version),
            Node::Len(p, version) => Node::Len(p.map(&mut |i| self.copy(slice, i)), version),
            Node::LoopOut(l, _) => {
                let copy = self.copy_loop(slice, l);
                slice.map.insert(id, copy);
                return copy;
            }
            _ => return id,
        };
        let copy = self.g.compute(node, ty);
        slice.map.insert(id, copy);
        copy
    }

    /// A copy of a loop with one carried scalar: that scalar.
    fn copy_loop(&mut self, slice: &mut Slice, l: LoopId) -> Id {
        let data = self.g.looped(l).clone();
        let Count::Range {
            index,
            lo,
            hi,
            inclusive,
            rev,
        } = data.count
        else {
            return data.carried[0].out;
        };
        let c = &data.carried[0];
        let (lo, hi, init) = (
            self.copy(slice, lo),
            self.copy(slice, hi),
            self.copy(slice, c.init),
        );
        let body = self.g.open();
        let (index_ty, ty) = (self.g.ty(index), self.g.ty(c.phi));
        let own = self
            .g
            .bound(Node::Index(LoopId(u32::MAX)), index_ty, Some(body));
        let phi = self.g.bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(body));
        // What is copied inside is known inside only.
        let mut inner = slice.clone();
        inner
            .map
            .extend([(self.g.resolve(index), own), (c.phi, phi)]);
        let next = self.copy(&mut inner, c.next);
        self.g.close();
        let looped = self.g.new_loop(
            Count::Range {
                index: own,
                lo,
                hi,
                inclusive,
                rev,
            },
            body,
            data.span,
        );
        self.g.nodes[own.0 as usize].node = Node::Index(looped);
        let out = self.g.carry(looped, phi, init, next);
        self.g.push(Stmt::Loop(looped));
        out
    }

    // ---- building ----

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

/// Values of the body of a loop, copied to another region.
#[derive(Clone)]
struct Slice {
    body: RegionId,
    into: RegionId,
    map: BTreeMap<Id, Id>,
}

impl Slice {
    fn new(body: RegionId, into: RegionId) -> Slice {
        Slice {
            body,
            into,
            map: BTreeMap::new(),
        }
    }
}

fn count_index(count: &Count) -> Option<Id> {
    match count {
        Count::Range { index, .. } => Some(*index),
        _ => None,
    }
}

/// The greater of two, as a constant of the gradient.
fn greater(g: &mut Graph, a: Id, b: Id, ty: Ty) -> Id {
    let max = Opaque {
        key: "method max".into(),
        form: OpaqueForm::Method(quote!(max)),
        discrete: true,
    };
    let id = g.opaque(max, &[a, b], ty);
    g.nodes[id.0 as usize].name = Some("largest".into());
    id
}

/// The largest exponent, or 0 where it is infinite and nothing could be taken out.
fn finite(g: &mut Graph, largest: Id, ty: Ty) -> Id {
    let bool_ty = g.bool_ty();
    let cond = g.opaque_method("is_finite", &[largest], bool_ty);
    let zero = g.lit(0.0, ty);
    let shift = g.apply_primal(Op::Select, &[cond, largest, zero]);
    g.nodes[shift.0 as usize].name = Some("shift".into());
    shift
}
