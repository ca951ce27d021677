//! Rewrites applied as a node of a gradient is built, so that no pass ever sees the longer form.
//!
//! In: a primitive and its operands. Out: a shorter node of the same value, or nothing. The user's own computation is
//! never rewritten. *Exact* rewrites hold for every float; *real* ones forget NaN, infinities, the sign of zero or the
//! last rounding, and apply only to gradients, where the operand is known from the program's structure.

use crate::graph::{Graph, Id, Node};
use crate::rules::Op::{self, *};

#[rustfmt::skip]
pub fn rewrite(g: &mut Graph, op: Op, args: &[Id]) -> Option<Id> {
    let c: Vec<Option<f64>> = args.iter().map(|&x| g.constant(x)).collect();
    let part = |g: &Graph, x: Id, want: Op| match g.node(x) { Node::Apply(o, a) if *o == want => Some(a.clone()), _ => None };
    Some(match (op, args, c.as_slice()) {
        // Constants. Only what rounds the same everywhere: no transcendental is folded.
        (Neg | Add | Sub | Mul | Div, &[x, ..], _) if c.iter().all(Option::is_some) => {
            let values: Vec<f64> = c.iter().flatten().copied().collect();
            g.lit_like(op.eval(&values), x)
        }
        // Exact: hold for every float, NaN, infinities and signed zeros included.
        (Mul, &[x, _], [_, Some(1.0)]) | (Mul, &[_, x], [Some(1.0), _]) => x,                         // x * 1  = x
        (Div, &[x, _], [_, Some(1.0)])                                  => x,                         // x / 1  = x
        (Mul, &[x, _], [_, Some(-1.0)]) | (Mul, &[_, x], [Some(-1.0), _]) => g.apply(Neg, &[x]),      // x * -1 = -x
        (Add, &[x, y], _) if x == y => { let two = g.lit_like(2.0, x); g.apply(Mul, &[two, x]) }      // x + x  = 2 x
        (Neg, &[x], _) if part(g, x, Neg).is_some() => part(g, x, Neg)?[0],                           // --x    = x
        (Neg, &[x], _) if part(g, x, Sub).is_some() => { let a = part(g, x, Sub)?; g.apply(Sub, &[a[1], a[0]]) } // -(a-b) = b-a
        (Add, &[x, y], _) if part(g, y, Neg).is_some() => { let b = part(g, y, Neg)?[0]; g.apply(Sub, &[x, b]) } // x + -b = x - b
        (Add, &[x, y], _) if part(g, x, Neg).is_some() => { let a = part(g, x, Neg)?[0]; g.apply(Sub, &[y, a]) } // -a + y = y - a
        (Sub, &[x, y], _) if part(g, y, Neg).is_some() => { let b = part(g, y, Neg)?[0]; g.apply(Add, &[x, b]) } // x - -b = x + b
        (Mul | Div, &[x, y], [None, _]) if part(g, x, Neg).is_some() => {                             // (-a) b = -(a b)
            let a = part(g, x, Neg)?[0];
            let z = g.apply(op, &[a, y]);
            g.apply(Neg, &[z])
        }
        (Mul | Div, &[x, y], [_, None]) if part(g, y, Neg).is_some() => {                             // a (-b) = -(a b)
            let b = part(g, y, Neg)?[0];
            let z = g.apply(op, &[x, b]);
            g.apply(Neg, &[z])
        }
        (Mul, &[x, y], [None, Some(_)]) => g.apply(Mul, &[y, x]),                                     // x k = k x
        (Neg, &[x], _) if leading_constant(g, x).is_some() => {                                       // -(k x) = (-k) x
            let (k, rest) = leading_constant(g, x)?;
            let k = g.lit_like(-k, x);
            g.apply(Mul, &[k, rest])
        }
        (Select, &[cond, a, b], _) => match g.opaque_text(cond).as_deref() {
            Some("true") => a,
            Some("false") => b,
            _ if a == b || (c[1].is_some() && c[1].map(f64::to_bits) == c[2].map(f64::to_bits)) => a, // if c {a} else {a} = a
            _ => return None,
        },
        // Real: they forget NaN, infinities, the sign of zero, or the last rounding.
        (Mul, &[x, _], [Some(0.0), _]) | (Mul, &[x, _], [_, Some(0.0)]) => g.lit_like(0.0, x),        // x * 0 = 0
        (Div, &[x, _], [Some(0.0), _])                                  => g.lit_like(0.0, x),        // 0 / x = 0
        (Add, &[x, _], [_, Some(0.0)]) | (Add, &[_, x], [Some(0.0), _]) => x,                         // x + 0 = x
        (Sub, &[x, _], [_, Some(0.0)])                                  => x,                         // x - 0 = x
        (Sub, &[_, x], [Some(0.0), _])                                  => g.apply(Neg, &[x]),        // 0 - x = -x
        (Mul, &[x, y], [Some(k), None]) if leading_constant(g, y).is_some() => {                      // k (m x) = (k m) x
            let (m, rest) = leading_constant(g, y)?;
            if !moderate(k * m) { return None }
            let k = g.lit_like(k * m, x);
            g.apply(Mul, &[k, rest])
        }
        (Mul, &[x, y], [None, None]) if under_one_root(g, x, y).is_some() => {                        // (a/√s) (k/√s) = k (a/s)
            let (a, k, s) = under_one_root(g, x, y)?;
            let z = over(g, x, a, s)?;
            let k = g.lit_like(k, x);
            g.apply(Mul, &[k, z])
        }
        (Mul, &[x, y], [None, None]) if leading_constant(g, x).is_some() => {                         // (k a) b = k (a b)
            let (k, rest) = leading_constant(g, x)?;
            if !moderate(k) { return None }
            let k = g.lit_like(k, x);
            let z = g.apply(Mul, &[rest, y]);
            g.apply(Mul, &[k, z])
        }
        _ => return None,
    })
}

/// `k * x` with `k` constant.
fn leading_constant(g: &Graph, x: Id) -> Option<(f64, Id)> {
    match g.node(x) {
        Node::Apply(Mul, a) => g.constant(a[0]).map(|k| (k, a[1])),
        _ => None,
    }
}

/// For `x = a / √s`, or a product with it, and `y = k / √s` with `k` constant: the quotient's numerator, `k` and `s`.
fn under_one_root(g: &Graph, x: Id, y: Id) -> Option<(Id, f64, Id)> {
    let Node::Apply(Div, d) = g.node(y) else {
        return None;
    };
    let (k, root) = (g.constant(d[0])?, g.resolve(d[1]));
    let Node::Apply(Sqrt, s) = g.node(root) else {
        return None;
    };
    let quotient = quotient_by(g, x, root)?;
    let Node::Apply(Div, d) = g.node(quotient) else {
        return None;
    };
    Some((d[0], k, s[0]))
}

/// The quotient by a root that `x` is, or that it has as a factor.
fn quotient_by(g: &Graph, x: Id, root: Id) -> Option<Id> {
    let by_root =
        |x: Id| matches!(g.node(g.resolve(x)), Node::Apply(Div, d) if g.resolve(d[1]) == root);
    match g.node(x) {
        Node::Apply(Mul, f) => f
            .iter()
            .copied()
            .find(|&f| by_root(f))
            .map(|f| g.resolve(f)),
        _ => by_root(x).then_some(x),
    }
}

/// `x` with its quotient by a root replaced by `a / s`.
fn over(g: &mut Graph, x: Id, a: Id, s: Id) -> Option<Id> {
    let whole = matches!(g.node(x), Node::Apply(Div, _));
    let quotient = g.apply(Div, &[a, s]);
    if whole {
        return Some(quotient);
    }
    let Node::Apply(Mul, f) = g.node(x).clone() else {
        return None;
    };
    let divided = |g: &Graph, f: Id| matches!(g.node(g.resolve(f)), Node::Apply(Div, d) if g.resolve(d[0]) == a);
    let other = if divided(g, f[0]) { f[1] } else { f[0] };
    Some(g.apply(Mul, &[other, quotient]))
}

/// A factor that can be moved through a product without making it overflow where it did not.
fn moderate(k: f64) -> bool {
    (1e-3..=1e3).contains(&k.abs())
}
