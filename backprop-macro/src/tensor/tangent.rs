//! Tensor graph → tensor graph: the tangent, forward.
//!
//! In: the graph with its elementwise chains fused, and without idioms. Out: a graph in which every active value is followed by its
//! tangent, and whose result is the pair of both. A map's tangent is the scalar compiler's, what is linear is applied to the tangent of its
//! operands, products obey the product rule; loops hand tangents on beside their variables. Nothing in it is active, so that the rest of
//! the compiler emits a forward pass and nothing else. What must hold: nothing of `reverse` or `transpose` is used, so that tests can
//! compare the two.

use crate::errors::{self, Errors};
use crate::source::Source;
use crate::tensor::calls::Arg;
use crate::tensor::graph::*;
use crate::tensor::lower::{Program, Val};
use crate::tensor::map;
use crate::tensor::signature::{Kind, Param, TensorSig};
use proc_macro2::{Ident, Span};
use quote::format_ident;
use std::collections::BTreeMap;
use syn::ext::IdentExt;

/// The name of a parameter's tangent.
pub fn tangent_name(p: &Param) -> Ident {
    format_ident!("__tangent_{}", p.ident.unraw(), span = Span::mixed_site())
}

/// The type of a parameter's tangent: floats by value, arrays and lists of them behind a reference.
pub fn tangent_type(p: &Param, sig: &TensorSig) -> syn::Type {
    let ty = sig.buffer(&p.kind);
    match p.kind {
        Kind::Scalar | Kind::Constant => syn::parse_quote!(#ty),
        Kind::Tensor(_) | Kind::List(_) => syn::parse_quote!(&#ty),
    }
}

/// The signature of the tangent: each differentiated parameter has another, and none is differentiated.
pub fn signature(sig: &TensorSig) -> TensorSig {
    let mut with = sig.clone();
    let tangents = sig.active().map(|(_, p)| Param {
        ident: tangent_name(p),
        ty: tangent_type(p, sig),
        kind: p.kind.clone(),
        active: false,
        by_ref: !matches!(p.kind, Kind::Scalar),
        in_out: false,
    });
    with.params.extend(tangents);
    for p in &mut with.params {
        p.active = false;
    }
    with.workspace = format_ident!("{}Tangent", sig.workspace);
    with
}

/// The program of value and tangent; `None` after an error.
pub fn tangent(
    p: &Program,
    sig: &TensorSig,
    at: &Ident,
    errors: &Errors,
    source: &Source,
) -> Option<Program> {
    if sig.params.iter().any(|p| p.in_out) {
        errors.reject(at, &errors::TENSOR_JVP);
        return None;
    }
    let mut f = Forward {
        g: p.graph.clone(),
        sig,
        errors,
        source,
        of: BTreeMap::new(),
        nexts: BTreeMap::new(),
    };
    let stmts = std::mem::take(&mut f.g.stmts);
    f.stmts(&stmts)?;
    let tangent = f.result(&p.result);
    for value in &mut f.g.values {
        value.active = false;
    }
    Some(Program {
        graph: f.g,
        result: Val::Tuple(vec![p.result.clone(), tangent]),
        left: Vec::new(),
        seeds: Val::Unit,
        items: p.items.clone(),
    })
}

struct Forward<'a> {
    g: Graph,
    sig: &'a TensorSig,
    errors: &'a Errors,
    source: &'a Source,
    /// The tangents.
    of: BTreeMap<V, V>,
    /// Of what a loop hands on: for the value after it, what the tangent starts from, is inside, and is handed on.
    nexts: BTreeMap<V, (V, V)>,
}

impl Forward<'_> {
    fn stmts(&mut self, stmts: &[Stmt]) -> Option<()> {
        for stmt in stmts {
            if let Stmt::Loop(id) = stmt {
                self.run(*id)?;
                continue;
            }
            self.g.stmts.push(stmt.clone());
            if let Stmt::Value(v) = stmt
                && self.g.active(*v)
            {
                let t = self.value(*v)?;
                self.of.insert(*v, t);
            }
        }
        Some(())
    }

    /// A loop, whose variables have tangents beside them.
    fn run(&mut self, id: usize) -> Option<()> {
        let carried = self.g.loops[id].carried.clone();
        let active: Vec<Carried> = (carried.into_iter())
            .filter(|c| self.g.active(c.inside))
            .collect();
        let starts: Vec<V> = active.iter().map(|c| self.or_zero(c.init)).collect();
        for (c, start) in active.iter().zip(&starts) {
            self.nexts.insert(c.inside, (*start, *start));
        }
        let body = std::mem::take(&mut self.g.loops[id].stmts);
        let outside = std::mem::take(&mut self.g.stmts);
        let region = std::mem::replace(&mut self.g.region, id + 1);
        self.stmts(&body)?;
        // What is pushed to a list that holds other things from before.
        for list in self.g.loops[id].collected.clone() {
            if let Op::Grown { item, .. } = self.g.value(list).op
                && self.g.active(list)
            {
                let zero = self.or_zero(item);
                self.of.insert(item, zero);
            }
        }
        for (c, start) in active.iter().zip(&starts) {
            let next = self.or_zero(c.next);
            self.nexts.insert(c.after, (*start, next));
        }
        self.g.region = region;
        self.g.loops[id].stmts = std::mem::replace(&mut self.g.stmts, outside);
        self.g.stmts.push(Stmt::Loop(id));
        Some(())
    }

    /// The tangent of a value that depends on a parameter.
    fn value(&mut self, v: V) -> Option<V> {
        let value = self.g.value(v).clone();
        let active = |f: &Self, o: V| f.of.get(&o).copied();
        let op = match value.op {
            Op::Param(k) => {
                let before = self.sig.active().take_while(|(j, _)| *j < k).count();
                Op::Param(self.sig.params.len() + before)
            }
            Op::Map { operands, .. } => {
                let tangents: Vec<(V, V)> = (operands.iter())
                    .filter_map(|&o| Some((o, active(self, o)?)))
                    .collect();
                let body = map::tangent(&self.g, v, &tangents, self.sig, self.errors, self.source)?;
                Op::MapTangent {
                    of: v,
                    body: Box::new(body),
                    operands: (operands.into_iter())
                        .chain(tangents.into_iter().map(|t| t.1))
                        .collect(),
                }
            }
            Op::Product(a, b) => {
                let right = active(self, b).map(|db| Op::Product(a, db));
                match (active(self, a), right) {
                    (Some(da), Some(right)) => {
                        let right = self.g.push(right, value.ty, value.span);
                        match value.ty {
                            Ty::Scalar => {
                                let left = self.g.push(Op::Product(da, b), value.ty, value.span);
                                sum(left, right)
                            }
                            _ => Op::Affine(da, b, right),
                        }
                    }
                    (Some(da), None) => Op::Product(da, b),
                    (None, right) => right?,
                }
            }
            Op::Affine(a, b, c) => {
                let (da, db, mut rest) = (active(self, a), active(self, b), self.or_zero(c));
                if let (Some(_), Some(db)) = (da, db) {
                    rest = self.g.push(Op::Affine(a, db, rest), value.ty, value.span);
                }
                match (da, db) {
                    (Some(da), _) => Op::Affine(da, b, rest),
                    (None, Some(db)) => Op::Affine(a, db, rest),
                    // What is added is broadcast.
                    (None, None) => identity(rest),
                }
            }
            Op::View(a, view) => Op::View(active(self, a)?, view),
            Op::Reshape(a) => Op::Reshape(active(self, a)?),
            Op::Leading(a) => Op::Leading(active(self, a)?),
            Op::Sum(a) => Op::Sum(active(self, a)?),
            Op::SumAxis(a, axis) => Op::SumAxis(active(self, a)?, axis),
            Op::Get(a, index) => Op::Get(active(self, a)?, index),
            Op::Item(a, index) => Op::Item(active(self, a)?, index),
            Op::Select(a, axis, indices) => Op::Select(active(self, a)?, axis, indices),
            Op::Concatenate(all, axis) => {
                let all = all.into_iter().map(|a| self.or_zero(a));
                Op::Concatenate(all.collect(), axis)
            }
            Op::Assign(a, b, view) => Op::Assign(self.or_zero(a), self.or_zero(b), view),
            Op::Put(a, b, index) => Op::Put(self.or_zero(a), self.or_zero(b), index),
            Op::Inside { of, .. } => Op::Inside {
                init: self.nexts.get(&v)?.0,
                of,
            },
            Op::After { of, .. } => {
                let (init, next) = *self.nexts.get(&v)?;
                let after = self
                    .g
                    .push(Op::After { init, next, of }, value.ty, value.span);
                let l = &mut self.g.loops[of];
                let inside = l.carried.iter().find(|c| c.after == v)?.inside;
                let inside = *self.of.get(&inside)?;
                l.carried.push(Carried {
                    init,
                    inside,
                    next,
                    after,
                });
                return Some(after);
            }
            Op::Collected { of, item } => {
                let op = Op::Collected {
                    of,
                    item: active(self, item)?,
                };
                let all = self.g.push(op, value.ty, value.span);
                self.g.loops[of].collected.push(all);
                return Some(all);
            }
            Op::Grown { of, item, first } => {
                let op = Op::Grown {
                    of,
                    item: active(self, item)?,
                    first: first.into_iter().map(|o| self.or_zero(o)).collect(),
                };
                let all = self.g.push(op, value.ty, value.span);
                self.g.loops[of].collected.push(all);
                return Some(all);
            }
            Op::Lanes {
                of,
                axis,
                function,
                scalars,
            } => {
                let tangents = std::iter::once(of).chain(scalars.iter().copied());
                let tangents = tangents.map(|o| self.or_zero(o)).collect();
                Op::LanesTangent {
                    of,
                    axis,
                    function,
                    scalars,
                    tangents,
                }
            }
            Op::Call {
                function,
                args,
                jvp,
                ..
            } => {
                if !jvp {
                    let name = errors::plain(&function);
                    self.errors.reject_at(value.span, &errors::JVP_CALL, &name);
                    return None;
                }
                let mut tangents = Vec::new();
                for arg in args {
                    match arg {
                        Arg::Value(o, _, true) => tangents.push(self.or_zero(o)),
                        Arg::Constant(_, true) => tangents.push(self.zero(Ty::Scalar)),
                        _ => {}
                    }
                }
                Op::CallTangent { of: v, tangents }
            }
            // Constant, or put together later.
            Op::Constant(_)
            | Op::Idiom { .. }
            | Op::Normal(_)
            | Op::MapTangent { .. }
            | Op::LanesTangent { .. }
            | Op::CallTangent { .. } => return None,
        };
        Some(self.g.push(op, value.ty, value.span))
    }

    /// The tangent of a value, zeros where it does not depend on a parameter.
    fn or_zero(&mut self, v: V) -> V {
        if let Some(t) = self.of.get(&v) {
            return *t;
        }
        self.zero(self.g.value(v).ty)
    }

    fn zero(&mut self, ty: Ty) -> V {
        let zero = self.sig.elem.zero();
        let op = Op::Map {
            lets: Vec::new(),
            body: syn::parse_quote!(#zero),
            operands: Vec::new(),
        };
        self.g.push(op, ty, Span::call_site())
    }

    fn result(&mut self, val: &Val) -> Val {
        match val {
            Val::Tensor(v) => Val::Tensor(self.or_zero(*v)),
            Val::Scalar(v) => Val::Scalar(self.or_zero(*v)),
            Val::Tuple(all) => Val::Tuple(all.iter().map(|v| self.result(v)).collect()),
            other => other.clone(),
        }
    }
}

fn sum(a: V, b: V) -> Op {
    let (x, y) = (operand(a), operand(b));
    Op::Map {
        lets: Vec::new(),
        body: syn::parse_quote!(#x + #y),
        operands: vec![a, b],
    }
}

/// A value as it is, broadcast to another shape.
fn identity(v: V) -> Op {
    let a = operand(v);
    Op::Map {
        lets: Vec::new(),
        body: syn::parse_quote!(#a),
        operands: vec![v],
    }
}
