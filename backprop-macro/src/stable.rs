//! Fused, numerically stable adjoints of idioms that lose accuracy rule by rule: the table of idioms.
//!
//! In: a node of the primal and its upstream gradient. Out: the adjoints of operands further down, or nothing.
//!
//! | idiom | slope | rule by rule |
//! |---|---|---|
//! | sigmoid `s` | `e s²` or `s (1 - s)`, by sign | 4 % off at 36, 0 from 37 |
//! | `0.5 (1 + tanh u)` | `2 e / (1 + e)²`, `e = exp(-2 \|u\|)` | 0 from 19 |
//! | `ln s` | `e s` | through `1 / s`, which overflows |
//! | `ln(1 - s)` | `-s` | cancels in `1 - s`: 0.1 % off at 30 |
//! | `ln(a / b)` | `1 / a`, `-1 / b` | through `b / a`, which overflows |
//! | `ln(exp(u) / b)`, `ln(exp u)` | 1 for `u` | `0 · inf` once `exp(u)` is subnormal |
//! | `max(z, 0) + ln_1p(exp(-\|z\|))` | the sigmoid of `z`, from the same `exp` | right, but from two branches and a difference |
//! | `tanh`, where `stable` is asked for | `4 e / (1 + e)²` | `1 - y²` is 0 from 19 |
//!
//! With `e = exp(-z)` and `s = 1/(1+e)`: `s' = e*s*s` for `z >= 0` and `s*(1-s)` for `z < 0`, both accurate to a few ulp
//! and free of `inf*0`; `s*(1-s)` alone is 4 % off at z = 36 and 0 from 37.

use crate::graph::{Graph, Id, Node};
use crate::rules::Op;

/// An idiom, for the documentation, and the adjoints of its innermost operands.
pub type Found = (&'static str, Vec<(Id, Id)>);

const SIGMOID: &str = "sigmoid s: its slope is e s² or s (1 - s), by sign";
const HALF_TANH: &str = "(1 + tanh u) / 2: its slope is 2 e / (1 + e)² with e = exp(-2 |u|)";
const LN_SIGMOID: &str = "logarithm of a sigmoid: its slope is the sigmoid of the opposite sign";
const LN_EXP: &str = "logarithm of an exponential: its slope is 1";
const LN_QUOTIENT: &str = "logarithm of a quotient a / b: its slopes are 1 / a and -1 / b";
const SOFTPLUS: &str = "softplus: its slope is the sigmoid, from the same exp";
const TANH: &str = "tanh: its slope is 4 e / (1 + e)² with e = exp(-2 |x|)";

/// Whether an idiom's slope can be infinite or NaN: those of quotients divide by what is there.
pub fn is_singular(idiom: &str) -> bool {
    idiom == LN_QUOTIENT || idiom == LN_EXP
}

/// The adjoints of an idiom's innermost operands.
pub fn adjoint(g: &mut Graph, y: Id, dy: Id) -> Option<Found> {
    match g.node(y) {
        Node::Apply(Op::Ln, args) => {
            let a = g.resolve(args[0]);
            return logarithm(g, a, dy);
        }
        Node::Apply(Op::Add | Op::Sub, _) => {
            return softplus(g, y, dy).map(|d| (SOFTPLUS, vec![d]));
        }
        Node::Apply(Op::Tanh, args) if g.accurate => {
            let u = g.resolve(args[0]);
            let slope = bell(g, u);
            let four = g.lit_like(4.0, u);
            let slope = g.apply(Op::Mul, &[four, slope]);
            return Some((TANH, vec![(u, g.apply(Op::Mul, &[dy, slope]))]));
        }
        _ => {}
    }
    let idiom = match g.node(y) {
        Node::Apply(Op::Mul, _) => HALF_TANH,
        _ => SIGMOID,
    };
    sigmoid_slope(g, y, dy).map(|d| (idiom, vec![d]))
}

/// `ln a`, where `a` is a sigmoid, one minus a sigmoid, a quotient or an exponential.
fn logarithm(g: &mut Graph, a: Id, dy: Id) -> Option<Found> {
    // With s = 1 / (1 + e) or e / (1 + e), e = exp(u): the slopes of ln s and of ln(1 - s) are -(1 - s) and s, or 1 - s and -s.
    let falls =
        |g: &Graph, s: Id| applied(g, s, Op::Div).is_none_or(|d| g.constant(d[0]) == Some(1.0));
    if let Some((u, e, below)) = sigmoid_parts(g, a) {
        if falls(g, a) {
            let rest = g.apply(Op::Mul, &[e, a]);
            let d = g.apply(Op::Mul, &[dy, rest]);
            return Some((LN_SIGMOID, vec![(u, g.apply(Op::Neg, &[d]))]));
        }
        return Some((LN_SIGMOID, vec![(u, g.apply(Op::Div, &[dy, below]))]));
    }
    if let Some(terms) = applied(g, a, Op::Sub)
        && g.constant(terms[0]) == Some(1.0)
        && let Some((u, ..)) = sigmoid_parts(g, terms[1])
    {
        let d = g.apply(Op::Mul, &[dy, terms[1]]);
        let d = if falls(g, terms[1]) {
            d
        } else {
            g.apply(Op::Neg, &[d])
        };
        return Some((LN_SIGMOID, vec![(u, d)]));
    }
    if let Some(u) = applied(g, a, Op::Exp) {
        return Some((LN_EXP, vec![(u[0], dy)]));
    }
    let parts = applied(g, a, Op::Div)?;
    let above = match applied(g, parts[0], Op::Exp) {
        Some(u) => (u[0], dy),
        None => (parts[0], g.apply(Op::Div, &[dy, parts[0]])),
    };
    let below = g.apply(Op::Div, &[dy, parts[1]]);
    Some((
        LN_QUOTIENT,
        vec![above, (parts[1], g.apply(Op::Neg, &[below]))],
    ))
}

/// `u`, `exp(u)` and `1 + exp(u)` of `1 / (1 + exp(u))` or `exp(u) / (1 + exp(u))`.
fn sigmoid_parts(g: &Graph, s: Id) -> Option<(Id, Id, Id)> {
    let below = match applied(g, s, Op::Div) {
        Some(args) => args[1],
        None => applied(g, s, Op::Recip)?[0],
    };
    sigmoid(g, s)?;
    let (u, e) = one_plus_exp(g, below)?;
    Some((u, e, below))
}

/// `max(z, 0) + ln_1p(exp(-|z|))` and `min(z, 0) - ln_1p(exp(-|z|))`: one branch and one division, from the one `exp`.
fn softplus(g: &mut Graph, y: Id, dy: Id) -> Option<(Id, Id)> {
    let (terms, outer) = match (applied(g, y, Op::Add), applied(g, y, Op::Sub)) {
        (Some(terms), _) => (terms, Op::Max),
        (_, Some(terms)) => (terms, Op::Min),
        _ => return None,
    };
    let bound = applied(g, terms[0], outer)?;
    if g.constant(bound[1]) != Some(0.0) {
        return None;
    }
    let z = bound[0];
    let e = applied(g, terms[1], Op::Ln1p)?[0];
    let below = applied(g, applied(g, e, Op::Exp)?[0], Op::Neg)?[0];
    let size = applied(g, below, Op::Abs)?[0];
    let bare = |g: &Graph, x: Id| applied(g, x, Op::Neg).map_or(x, |inner| inner[0]);
    if bare(g, size) != bare(g, z) {
        return None;
    }
    let one = g.lit_like(1.0, e);
    let above = match outer {
        Op::Max => sign_select(g, z, one, e),
        _ => sign_select(g, z, e, one),
    };
    let one = g.lit_like(1.0, e);
    let sum = g.apply(Op::Add, &[one, e]);
    let slope = g.apply(Op::Div, &[above, sum]);
    Some((z, g.apply(Op::Mul, &[dy, slope])))
}

/// `e / (1 + e)²` with `e = exp(-2 |u|)`: a quarter of `1 / cosh²(u)`, at any size of `u`.
fn bell(g: &mut Graph, u: Id) -> Id {
    let size = g.apply(Op::Abs, &[u]);
    let minus_two = g.lit_like(-2.0, u);
    let exponent = g.apply(Op::Mul, &[minus_two, size]);
    let e = g.apply(Op::Exp, &[exponent]);
    let one = g.lit_like(1.0, u);
    let below = g.apply(Op::Add, &[one, e]);
    let ratio = g.apply(Op::Div, &[e, below]);
    g.apply(Op::Div, &[ratio, below])
}

fn sigmoid_slope(g: &mut Graph, y: Id, dy: Id) -> Option<(Id, Id)> {
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
                let slope = bell(g, u);
                let two = g.lit_like(2.0, u);
                let slope = g.apply(Op::Mul, &[two, slope]);
                return Some((u, g.apply(Op::Mul, &[dy, slope])));
            }
        }
    }
    None
}

/// The operands of a primitive, where the node is one.
pub fn applied(g: &Graph, id: Id, op: Op) -> Option<Vec<Id>> {
    match g.node(g.resolve(id)) {
        Node::Apply(o, args) if *o == op => Some(args.iter().map(|&a| g.resolve(a)).collect()),
        _ => None,
    }
}

/// `1 + exp(u)` or `exp(u) + 1`: `u` and the exponential.
pub fn one_plus_exp(g: &Graph, id: Id) -> Option<(Id, Id)> {
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

/// A sigmoid of `z` or, where the sign is -1, of `-z`.
pub fn sigmoid(g: &Graph, y: Id) -> Option<(Id, i32)> {
    let (u, sign) = match applied(g, y, Op::Div) {
        Some(args) => {
            let (u, e) = one_plus_exp(g, args[1])?;
            if g.constant(args[0]) == Some(1.0) {
                (u, -1)
            } else if args[0] == e {
                (u, 1)
            } else {
                return None;
            }
        }
        None => (one_plus_exp(g, applied(g, y, Op::Recip)?[0])?.0, -1),
    };
    Some(match applied(g, u, Op::Neg) {
        Some(z) => (z[0], -sign),
        None => (u, sign),
    })
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
