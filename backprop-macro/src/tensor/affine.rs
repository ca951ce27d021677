//! A product and what is added to it become one operation: the sum starts from the bias.
//!
//! In: the graph before `fuse`. Out: the same, in which `a.dot(b) + c`, with a parameter or a part of one as `c`, is one `Affine`. It has
//! one buffer instead of two, and its adjoint is that of the product: the bias' is summed from it, where a map would have
//! written it a second time. What must hold: nothing else reads the product; where `c` is the larger one, the product is broadcast.

use crate::tensor::fuse::uses;
use crate::tensor::graph::*;
use crate::tensor::lower::Val;
use crate::tensor::reverse::base;

pub fn affine(g: &mut Graph, result: &Val) {
    let uses = uses(g, result);
    for k in 0..g.values.len() {
        let v = V(k as u32);
        let Some((x, y)) = sum(g, v) else { continue };
        let found = [(x, y), (y, x)].into_iter().find_map(|(p, c)| {
            let Op::Product(a, b) = g.value(p).op else {
                return None;
            };
            let matrix = matches!(
                (g.rank(a), g.rank(b)),
                (Some(2), Some(2)) | (Some(2), Some(1)) | (Some(1), Some(2))
            );
            let alone =
                uses.get(&p) == Some(&1) && g.value(p).region == g.value(v).region && p != c;
            let given = matches!(g.value(base(g, c).0).op, Op::Param(_));
            (matrix && alone && given && g.is_tensor(c) && g.rank(p) == g.rank(v))
                .then_some(Op::Affine(a, b, c))
        });
        if let Some(op) = found {
            g.values[k].op = op;
        }
    }
}

/// The two tensors that a value is the sum of.
fn sum(g: &Graph, v: V) -> Option<(V, V)> {
    let Op::Map {
        lets,
        body,
        operands,
    } = &g.value(v).op
    else {
        return None;
    };
    let (syn::Expr::Binary(sum), [x, y]) = (&**body, operands.as_slice()) else {
        return None;
    };
    let is = |e: &syn::Expr, v: V| matches!(e, syn::Expr::Path(p) if p.path.is_ident(&operand(v)));
    let plain = lets.is_empty() && matches!(sum.op, syn::BinOp::Add(_));
    let both = is(&sum.left, *x) && is(&sum.right, *y) || is(&sum.left, *y) && is(&sum.right, *x);
    (plain && both && g.is_tensor(v)).then_some((*x, *y))
}
