//! Which axes of the parameters are of one length.
//!
//! In: the shapes as a program. Out: a class for each axis of a parameter, by what products, broadcasting and `Zip` ask for. It is a
//! guess to start from: the test that uses it runs the function, and merges classes or gives them up where it panics.

use crate::tensor::graph::*;
use crate::tensor::signature::{Kind, TensorSig};
use proc_macro2::TokenStream;
use std::collections::BTreeMap;

/// Classes by a parameter's position and its axis.
pub type Classes = BTreeMap<(usize, usize), usize>;

#[derive(Clone, Copy)]
enum Axis {
    /// As long as others of its set.
    Of(usize),
    /// Of length 1, or not known.
    Other,
}

/// Sets of axes that are of one length.
#[derive(Default)]
struct Sets(Vec<usize>);

impl Sets {
    fn root(&self, mut k: usize) -> usize {
        while self.0[k] != k {
            k = self.0[k];
        }
        k
    }

    fn same(&mut self, a: Axis, b: Axis) -> Axis {
        match (a, b) {
            (Axis::Of(x), Axis::Of(y)) => {
                let (x, y) = (self.root(x), self.root(y));
                self.0[x.max(y)] = x.min(y);
                a
            }
            (Axis::Other, known) | (known, Axis::Other) => known,
        }
    }

    /// Shapes that are aligned at their last axes.
    fn aligned(&mut self, a: &[Axis], b: &[Axis]) -> Vec<Axis> {
        let (long, short) = match a.len() >= b.len() {
            true => (a, b),
            false => (b, a),
        };
        let before = long.len() - short.len();
        let mut out = long[..before].to_vec();
        for (x, y) in long[before..].iter().zip(short) {
            out.push(self.same(*x, *y));
        }
        out
    }
}

/// The classes; `carried` where what a loop hands on is taken to keep its shape.
pub fn classes(g: &Graph, sig: &TensorSig, carried: bool) -> Classes {
    let mut sets = Sets::default();
    let mut of_params = BTreeMap::new();
    for (k, p) in sig.params.iter().enumerate() {
        if let Kind::Tensor(Some(rank)) = p.kind {
            for axis in 0..rank {
                of_params.insert((k, axis), sets.0.len());
                sets.0.push(sets.0.len());
            }
        }
    }
    let mut known: Vec<Vec<Axis>> = Vec::new();
    for (op, rank) in &g.dims {
        let of = |d: &Dim| known[d.0 as usize].clone();
        let unknown = || vec![Axis::Other; rank.unwrap_or(0)];
        let found = match op {
            DimOp::Param(v) | DimOp::Of(v) => match &g.value(*v).op {
                Op::Param(k) => {
                    let axis = |axis| of_params.get(&(*k, axis)).copied();
                    let axes =
                        (0..rank.unwrap_or(0)).map(|a| axis(a).map_or(Axis::Other, Axis::Of));
                    axes.collect()
                }
                Op::Inside { init, .. } | Op::After { init, .. } if carried => {
                    g.dim(*init).map_or_else(unknown, |d| of(&d))
                }
                _ => unknown(),
            },
            DimOp::Broadcast(a, b) | DimOp::Same(a, b) => sets.aligned(&of(a), &of(b)),
            DimOp::Into(a, b) | DimOp::Spread(a, b) => {
                sets.aligned(&of(a), &of(b));
                of(a)
            }
            DimOp::Ranked(a) if of(a).len() == rank.unwrap_or(0) => of(a),
            DimOp::Ranked(_) | DimOp::Listed(..) | DimOp::Beside(..) => unknown(),
            DimOp::Product(a, b) => {
                let (a, b) = (of(a), of(b));
                if let (Some(&x), Some(&y)) = (a.last(), b.first()) {
                    sets.same(x, y);
                }
                let rows = &a[..a.len().saturating_sub(1)];
                rows.iter().chain(b.iter().skip(1)).copied().collect()
            }
            DimOp::View(a, view) => viewed(of(a), &view.form).unwrap_or_else(unknown),
            DimOp::RemoveAxis(a, axis) => {
                let mut axes = of(a);
                match number(axis).filter(|&k| k < axes.len()) {
                    Some(k) => {
                        axes.remove(k);
                        axes
                    }
                    None => unknown(),
                }
            }
            DimOp::Select(a, axis, _) => {
                let mut axes = of(a);
                match number(axis).filter(|&k| k < axes.len()) {
                    Some(k) => {
                        axes[k] = Axis::Other;
                        axes
                    }
                    None => unknown(),
                }
            }
            DimOp::Concatenate(all, axis) => match (number(axis), all.split_first()) {
                (Some(at), Some((first, rest))) => {
                    let mut axes = of(first);
                    for other in rest {
                        let other = of(other);
                        for (k, (x, y)) in axes.iter_mut().zip(other).enumerate() {
                            *x = match k == at {
                                true => Axis::Other,
                                false => sets.same(*x, y),
                            };
                        }
                    }
                    axes
                }
                _ => unknown(),
            },
            DimOp::Given(shape, _) => given(shape, &known).unwrap_or_else(unknown),
        };
        // A rank that was not followed says nothing.
        known.push(match found.len() == rank.unwrap_or(0) {
            true => found,
            false => unknown(),
        });
    }
    of_params
        .into_iter()
        .map(|(at, k)| (at, sets.root(k)))
        .collect()
}

/// The number in `Axis(1)`.
fn number(axis: &TokenStream) -> Option<usize> {
    let syn::Expr::Call(c) = syn::parse2(axis.clone()).ok()? else {
        return None;
    };
    integer(c.args.first()?)
}

fn integer(e: &syn::Expr) -> Option<usize> {
    match e {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Int(n),
            ..
        }) => n.base10_parse().ok(),
        _ => None,
    }
}

/// The axes of a view, by the methods that make it.
fn viewed(mut axes: Vec<Axis>, form: &TokenStream) -> Option<Vec<Axis>> {
    let chain: syn::Expr = syn::parse2(quote::quote!(of #form)).ok()?;
    fn follow(axes: &mut Vec<Axis>, e: &syn::Expr) -> Option<()> {
        let syn::Expr::MethodCall(m) = e else {
            return Some(());
        };
        follow(axes, &m.receiver)?;
        let axis = m.args.first().map(quote::ToTokens::to_token_stream);
        let axis = axis.as_ref().and_then(number);
        match m.method.to_string().as_str() {
            "reversed_axes" => axes.reverse(),
            "insert_axis" => axes.insert(axis.filter(|&k| k <= axes.len())?, Axis::Other),
            "index_axis_move" => {
                axes.remove(axis.filter(|&k| k < axes.len())?);
            }
            _ => return None,
        }
        Some(())
    }
    follow(&mut axes, &chain)?;
    Some(axes)
}

/// The axes of a shape that is put together of others: `(n0[0], n1[1])`.
fn given(shape: &TokenStream, known: &[Vec<Axis>]) -> Option<Vec<Axis>> {
    let parts: Vec<syn::Expr> = match syn::parse2(shape.clone()).ok()? {
        syn::Expr::Tuple(t) => t.elems.into_iter().collect(),
        syn::Expr::Array(a) => a.elems.into_iter().collect(),
        one => vec![one],
    };
    let axis = |e: &syn::Expr| {
        let syn::Expr::Index(i) = e else {
            return None;
        };
        let syn::Expr::Path(p) = &*i.expr else {
            return None;
        };
        let name = p.path.get_ident()?.to_string();
        let of: usize = name.strip_prefix("__n")?.parse().ok()?;
        known.get(of)?.get(integer(&i.index)?).copied()
    };
    let all = parts.iter().map(|e| axis(e).unwrap_or(Axis::Other));
    Some(all.collect())
}
