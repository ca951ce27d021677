//! Fused, numerically stable adjoints of idioms that lose accuracy rule by rule.
//!
//! In: a node of the primal and its upstream gradient. Out: the adjoint of an operand further down, or nothing.
//! With `e = exp(-z)` and `s = 1/(1+e)`: `s' = e*s*s` for `z >= 0` and `s*(1-s)` for `z < 0`, both accurate to a few ulp
//! and free of `inf*0`; `s*(1-s)` alone is 4 % off at z = 36 and 0 from 37.

use crate::graph::{Graph, Id, Node};
use crate::rules::Op;

/// The adjoint of an idiom's innermost operand.
pub fn adjoint(g: &mut Graph, y: Id, dy: Id) -> Option<(Id, Id)> {
    let args = applied(g, y, Op::Div).or_else(|| applied(g, y, Op::Recip).map(|a| vec![y, a[0]]));
    if let Some(args) = args {
        // 1 / (1 + exp(u)): falls with u.
        let unit = g.node(y) != g.node(args[0]) && g.constant(args[0]) == Some(1.0)
            || applied(g, y, Op::Recip).is_some();
        if unit && let Some((u, e)) = one_plus_exp(g, args[1]) {
            let rest = {
                let one = g.lit_like(1.0, y);
                g.apply(Op::Sub, &[one, y])
            };
            let tail = g.apply(Op::Mul, &[e, y]);
            let chosen = sign_select(g, u, rest, tail);
            let slope = g.apply(Op::Mul, &[y, chosen]);
            let d = g.apply(Op::Mul, &[dy, slope]);
            return Some((u, g.apply(Op::Neg, &[d])));
        }
        // exp(u) / (1 + exp(u)): the slope is y / (1 + e).
        if applied(g, y, Op::Div).is_some()
            && let Some((u, e)) = one_plus_exp(g, args[1])
            && g.resolve(args[0]) == e
        {
            let slope = g.apply(Op::Div, &[y, args[1]]);
            return Some((u, g.apply(Op::Mul, &[dy, slope])));
        }
    }
    // 0.5 * (1 + tanh(u)): the slope is 2 e / (1 + e)^2 with e = exp(-2 |u|), where 1 - tanh^2 would be 0 from u = 19.
    if let Some(args) = applied(g, y, Op::Mul) {
        for (half, sum) in [(args[0], args[1]), (args[1], args[0])] {
            if g.constant(half) != Some(0.5) {
                continue;
            }
            let Some(terms) = applied(g, sum, Op::Add) else {
                continue;
            };
            for (one, t) in [(terms[0], terms[1]), (terms[1], terms[0])] {
                if g.constant(one) != Some(1.0) {
                    continue;
                }
                let Some(inner) = applied(g, t, Op::Tanh) else {
                    continue;
                };
                let u = inner[0];
                let size = g.apply(Op::Abs, &[u]);
                let minus_two = g.lit_like(-2.0, u);
                let exponent = g.apply(Op::Mul, &[minus_two, size]);
                let e = g.apply(Op::Exp, &[exponent]);
                let one = g.lit_like(1.0, u);
                let below = g.apply(Op::Add, &[one, e]);
                let ratio = g.apply(Op::Div, &[e, below]);
                let slope = g.apply(Op::Div, &[ratio, below]);
                let two = g.lit_like(2.0, u);
                let slope = g.apply(Op::Mul, &[two, slope]);
                return Some((u, g.apply(Op::Mul, &[dy, slope])));
            }
        }
    }
    None
}

fn applied(g: &Graph, id: Id, op: Op) -> Option<Vec<Id>> {
    match g.node(g.resolve(id)) {
        Node::Apply(o, args) if *o == op => Some(args.iter().map(|&a| g.resolve(a)).collect()),
        _ => None,
    }
}

/// `1 + exp(u)` or `exp(u) + 1`: `u` and the exponential.
fn one_plus_exp(g: &Graph, id: Id) -> Option<(Id, Id)> {
    let terms = applied(g, id, Op::Add)?;
    for (one, e) in [(terms[0], terms[1]), (terms[1], terms[0])] {
        if g.constant(one) == Some(1.0)
            && let Some(inner) = applied(g, e, Op::Exp)
        {
            return Some((inner[0], e));
        }
    }
    None
}

/// `if u > 0 { positive } else { other }`.
fn sign_select(g: &mut Graph, u: Id, positive: Id, other: Id) -> Id {
    // `-z > 0` reads better, and is the same, as `z < 0`.
    let (u, op) = match applied(g, u, Op::Neg) {
        Some(z) => (z[0], quote::quote!(<)),
        None => (u, quote::quote!(>)),
    };
    let zero = g.lit_like(0.0, u);
    let ty = g.bool_ty();
    let cond = g.opaque_binary(op, u, zero, ty, true);
    g.apply(Op::Select, &[cond, positive, other])
}
