//! Chains of elementwise operations become one pass.
//!
//! In: the graph as lowered. Out: the same, in which a map used once, by another map of as many axes, is a `let` inside of
//! that one's body. What must hold: the order of the lets is that in which they were computed. A map of fewer axes stays
//! on its own, as it would be computed again for each element that it is broadcast to.

use crate::tensor::graph::*;
use crate::tensor::lower::Val;
use std::collections::HashMap;

/// How often each value is used, by values and by the result.
pub fn uses(g: &Graph, result: &Val) -> HashMap<V, usize> {
    let mut out = HashMap::new();
    let mut live: Vec<bool> = vec![false; g.values.len()];
    let mut mark = Vec::new();
    leaves(result, &mut mark);
    for v in &mark {
        live[v.0 as usize] = true;
        *out.entry(*v).or_insert(0) += 1;
    }
    // Constant Rust that reads values: conditions, assertions.
    let effects = |stmts: &[Stmt]| -> Vec<proc_macro2::TokenStream> {
        let of = |s: &Stmt| match s {
            Stmt::Effect(tokens) => Some(tokens.clone()),
            _ => None,
        };
        stmts.iter().filter_map(of).collect()
    };
    let mut texts = effects(&g.stmts);
    texts.extend(g.loops.iter().flat_map(|l| effects(&l.stmts)));
    for tokens in g.consts.iter().chain(&texts) {
        for name in crate::tensor::emit::mentioned(tokens) {
            let number = ["__s", "__t"].iter().find_map(|p| name.strip_prefix(p));
            let Some(k) = number.and_then(|n| n.parse::<usize>().ok()) else {
                continue;
            };
            if k < live.len() {
                live[k] = true;
                *out.entry(V(k as u32)).or_insert(0) += 1;
            }
        }
    }
    for c in g.loops.iter().flat_map(|l| &l.carried) {
        for v in [c.init, c.next] {
            live[v.0 as usize] = true;
            *out.entry(v).or_insert(0) += 1;
        }
    }
    for k in (0..g.values.len()).rev() {
        if live[k] {
            for o in g.values[k].op.operands() {
                live[o.0 as usize] = true;
                *out.entry(o).or_insert(0) += 1;
            }
        }
    }
    out
}

/// The values that make up a result.
pub fn leaves(val: &Val, out: &mut Vec<V>) {
    match val {
        Val::Tensor(v) | Val::Scalar(v) => out.push(*v),
        Val::Tuple(all) => all.iter().for_each(|v| leaves(v, out)),
        _ => {}
    }
}

pub fn fuse(g: &mut Graph, result: &Val) {
    let uses = uses(g, result);
    for k in 0..g.values.len() {
        let v = V(k as u32);
        let Op::Map {
            mut lets,
            body,
            operands,
        } = g.values[k].op.clone()
        else {
            continue;
        };
        let mut merged: Vec<V> = Vec::new();
        let mut earlier: Vec<(V, syn::Expr)> = Vec::new();
        for o in operands {
            let joins = uses.get(&o) == Some(&1)
                && g.rank(o) == g.rank(v)
                && g.value(o).region == g.value(v).region
                && g.is_tensor(o) == g.is_tensor(v);
            match &g.value(o).op {
                Op::Map {
                    lets,
                    body,
                    operands,
                } if joins => {
                    earlier.extend(lets.iter().cloned());
                    earlier.push((o, (**body).clone()));
                    for o in operands {
                        if !merged.contains(o) {
                            merged.push(*o);
                        }
                    }
                }
                _ if !merged.contains(&o) => merged.push(o),
                _ => {}
            }
        }
        earlier.append(&mut lets);
        g.values[k].op = Op::Map {
            lets: earlier,
            body,
            operands: merged,
        };
    }
}
