//! Methods of tensors, floats, `Zip` and iterators over all elements.
//!
//! In: a method call. Out: values of the graph. What has no row here and an active receiver is rejected at its name.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Absent, Form, Lower, Nest, SHAPE_QUERIES, Val, Zip};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

mod each;
mod lanes;
mod optional;
mod sums;
mod view;
mod zip;

/// Methods that give the same tensor, borrowed, copied or moved.
const SAME: [&str; 11] = [
    "view",
    "to_owned",
    "into_owned",
    "clone",
    "reborrow",
    "into_shared",
    "to_shared",
    "view_mut",
    "by_ref",
    "cloned",
    "copied",
];

/// Elementwise methods that ndarray and the float types have under one name.
const ELEMENTWISE: [&str; 37] = [
    "exp",
    "exp2",
    "exp_m1",
    "ln",
    "ln_1p",
    "log2",
    "log10",
    "log",
    "sqrt",
    "cbrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "powi",
    "powf",
    "abs",
    "recip",
    "floor",
    "ceil",
    "round",
    "trunc",
    "fract",
    "signum",
    "clamp",
    "hypot",
    "abs_sub",
    "to_degrees",
    "to_radians",
];

impl Lower<'_> {
    pub fn method(&mut self, m: &syn::ExprMethodCall) -> Result<Val> {
        if let Some(val) = self.mean_or(m)? {
            return Ok(val);
        }
        if let Some(val) = self.pushed(m)? {
            return Ok(val);
        }
        let receiver = match self.borrow(&m.receiver)? {
            Some(place) => self.read(&place)?,
            None => self.expr(&m.receiver)?,
        };
        let name = m.method.to_string();
        match receiver {
            Val::Tensor(v) => self.tensor_method(m, &name, v),
            Val::Scalar(v) => self.scalar_method(m, &name, v),
            Val::Zip(z) => self.zip_method(m, &name, z),
            Val::Seq(s) => self.sequence_method(m, &name, s),
            Val::Opt(inner, absent) => self.option_method(m, &name, *inner, absent),
            Val::Const(e) => self.const_method(m, e),
            Val::List(v) => match (name.as_str(), m.args.len()) {
                ("iter" | "into_iter" | "as_slice" | "clone" | "to_vec", 0) => Ok(Val::List(v)),
                ("len", 0) => {
                    let t = crate::tensor::emit::tensor_name(v);
                    Ok(Val::Const(syn::parse_quote!(#t.len())))
                }
                ("first" | "last", 0) => Ok(self.end_of(v, name == "last")),
                _ => {
                    let s = crate::tensor::sequence::Sequence::List(v);
                    self.sequence_method(m, &name, std::rc::Rc::new(s))
                }
            },
            Val::Growing(list) => self.of_growing(m, &list),
            Val::Tuple(all) => self.of_side_by_side(m, &all),
            Val::Struct(fields, path) => {
                let this = Val::Struct(fields, path.clone());
                self.method_of_struct(m, this, &path)
            }
            _ => self.reject(m, &errors::TENSOR_EXPRESSION),
        }
    }

    /// A constant's method: constant, unless an argument is a float that is not.
    pub fn const_method(&mut self, m: &syn::ExprMethodCall, receiver: syn::Expr) -> Result<Val> {
        if let Some(s) = self.constant_items(m, &receiver)? {
            return self.sequence_method(m, &m.method.to_string(), s);
        }
        if matches!(&*m.receiver, syn::Expr::Macro(_))
            || m.args
                .iter()
                .all(|a| matches!(a, syn::Expr::Closure(_) | syn::Expr::Lit(_)))
        {
            return Ok(Val::Const(
                self.constant(&syn::Expr::MethodCall(m.clone()))?,
            ));
        }
        let mut vals = Vec::new();
        for a in &m.args {
            vals.push(match a {
                syn::Expr::Closure(_) => Val::Unit,
                a => self.expr(a)?,
            });
        }
        if vals
            .iter()
            .any(|v| matches!(v, Val::Scalar(v) if self.g.active(*v)))
        {
            self.float_method(m)?;
            let args: Vec<&syn::Expr> = m.args.iter().collect();
            let (rest, operands) = self.scalar_args(&args, m)?;
            let method = &m.method;
            let body = syn::parse_quote!((#receiver).#method(#(#rest),*));
            return Ok(Val::Scalar(self.map(body, operands, None, m.span())));
        }
        Ok(Val::Const(
            self.constant(&syn::Expr::MethodCall(m.clone()))?,
        ))
    }

    /// Arguments that are floats or constants, as operands of a map.
    pub fn scalar_args(
        &mut self,
        args: &[&syn::Expr],
        at: &dyn ToTokens,
    ) -> Result<(Vec<syn::Expr>, Vec<V>)> {
        let (mut out, mut operands) = (Vec::new(), Vec::new());
        for a in args {
            match self.expr(a)? {
                Val::Scalar(v) => {
                    let name = operand(v);
                    operands.push(v);
                    out.push(syn::parse_quote!(#name));
                }
                Val::Const(e) => out.push(self.for_map(e)),
                _ => return self.reject(at, &errors::TENSOR_EXPRESSION),
            }
        }
        Ok((out, operands))
    }

    /// Rejects what is no method of a float that gives another: it could change what it is called on.
    fn float_method(&self, m: &syn::ExprMethodCall) -> Result<()> {
        const OPERATORS: [&str; 7] = ["powi", "add", "sub", "mul", "div", "rem", "neg"];
        let name = m.method.to_string();
        if crate::rules::Op::from_method(&name, m.args.len() + 1).is_some()
            || OPERATORS.contains(&name.as_str())
        {
            return Ok(());
        }
        match crate::lower::BITS.contains(&name.as_str()) {
            true => self.reject(&m.method, &errors::BITS),
            false => self.reject(&m.method, &errors::UNKNOWN_METHOD),
        }
    }

    pub fn scalar_method(&mut self, m: &syn::ExprMethodCall, name: &str, v: V) -> Result<Val> {
        if matches!(name, "clone" | "to_owned" | "into_scalar") && m.args.is_empty() {
            return Ok(Val::Scalar(v));
        }
        self.float_method(m)?;
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let (rest, mut operands) = self.scalar_args(&args, m)?;
        operands.insert(0, v);
        let (method, a) = (&m.method, operand(v));
        let body =
            syn::parse2(quote_spanned!(m.span()=> #a.#method(#(#rest),*))).map_err(|_| Rejected)?;
        Ok(Val::Scalar(self.map(body, operands, None, m.span())))
    }

    pub fn tensor_method(&mut self, m: &syn::ExprMethodCall, name: &str, v: V) -> Result<Val> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let span = m.span();
        let rank = self.g.rank(v);
        let Some(dim) = self.g.dim(v) else {
            return Err(Rejected);
        };
        if name == "as_standard_layout" && args.is_empty() {
            return Ok(Val::Tensor(self.g.push(
                Op::Reshape(v),
                Ty::Tensor(rank, dim),
                span,
            )));
        }
        if SAME.contains(&name) && args.is_empty() {
            return Ok(Val::Tensor(match name {
                "to_owned" | "into_owned" | "to_shared" | "into_shared" => self.copied(v, span),
                _ => v,
            }));
        }
        if SHAPE_QUERIES.contains(&name) {
            return match self.shape_query(m)? {
                Some(e) => Ok(Val::Const(e)),
                None => self.reject(m, &errors::TENSOR_EXPRESSION),
            };
        }
        if ELEMENTWISE.contains(&name) {
            let (rest, mut operands) = self.scalar_args(&args, m)?;
            operands.insert(0, v);
            let (method, a) = (&m.method, operand(v));
            let body = syn::parse_quote!(#a.#method(#(#rest),*));
            return Ok(Val::Tensor(self.map(body, operands, Some(dim), span)));
        }
        match (name, args.as_slice()) {
            ("pow2", []) => {
                let a = operand(v);
                Ok(Val::Tensor(self.map(
                    syn::parse_quote!(#a * #a),
                    vec![v],
                    Some(dim),
                    span,
                )))
            }
            ("mapv" | "mapv_into" | "map" | "map_into", [f]) => {
                if let Some(mapped) = self.map_with_tensors(v, f, m)? {
                    return Ok(mapped);
                }
                let a = operand(v).to_token_stream();
                let (body, mut operands) = self.apply(
                    f,
                    &[a],
                    name.starts_with("map") && !name.starts_with("mapv"),
                )?;
                operands.insert(0, v);
                Ok(Val::Tensor(self.map(body, operands, Some(dim), span)))
            }
            ("mapv_inplace", [f]) => {
                let a = operand(v).to_token_stream();
                let (body, mut operands) = self.apply(f, &[a], false)?;
                operands.insert(0, v);
                let new = self.map(body, operands, Some(dim), span);
                self.update(&m.receiver, Val::Tensor(new), None, m)?;
                Ok(Val::Unit)
            }
            ("map_inplace" | "par_map_inplace", [f]) => {
                let place = self.borrowed(&m.receiver)?;
                self.each(vec![Val::Place(place)], f, m)
            }
            ("zip_mut_with", [other, f]) => {
                let place = self.borrowed(&m.receiver)?;
                let other = self.tensor(other)?;
                if let Some(d) = self.g.dim(other).filter(|&d| d != dim) {
                    self.g.new_dim(DimOp::Into(dim, d), rank);
                }
                self.each(vec![Val::Place(place), Val::Tensor(other)], f, m)
            }
            ("scaled_add", [alpha, other]) => {
                let other = self.expr(other)?;
                let alpha = self.expr(alpha)?;
                let scaled = self.binary(quote!(*), other, alpha, m)?;
                self.update(&m.receiver, scaled, Some(quote!(+)), m)?;
                Ok(Val::Unit)
            }
            ("assign", [other]) => {
                let other = self.expr(other)?;
                let place = self.borrowed(&m.receiver)?;
                let new = match &place.view {
                    Some(_) => other,
                    None => Val::Tensor(self.broadcast_into(v, other, m)?),
                };
                self.store(&place, new, m)?;
                Ok(Val::Unit)
            }
            ("fill", [x]) => {
                let x = self.expr(x)?;
                let (body, operands) = match x {
                    Val::Const(e) => (e, Vec::new()),
                    Val::Scalar(s) => {
                        let a = operand(s);
                        (syn::parse_quote!(#a), vec![s])
                    }
                    _ => return self.reject(m, &errors::TENSOR_EXPRESSION),
                };
                let new = self.map(body, operands, Some(dim), span);
                self.update(&m.receiver, Val::Tensor(new), None, m)?;
                Ok(Val::Unit)
            }
            ("dot", [other]) => {
                let other = self.tensor(other)?;
                self.product(v, other, m)
            }
            ("sum", []) => Ok(Val::Scalar(self.g.push(Op::Sum(v), Ty::Scalar, span))),
            ("mean", []) => Ok(self.mean(v, span)),
            ("product", []) => {
                let f: syn::Expr = syn::parse_quote!(|__acc, &__x| __acc * __x);
                let one = self.number(true);
                self.fold(v, None, &one, &f, m)
            }
            ("product_axis", [axis]) => {
                let axis = self.argument(axis)?;
                let f: syn::Expr = syn::parse_quote!(|&__acc, &__x| __acc * __x);
                let one = self.number(true);
                self.fold(v, Some(axis), &one, &f, m)
            }
            ("accumulate_axis_inplace", [axis, f]) => {
                let axis = self.argument(axis)?;
                self.accumulated(v, axis, f, m)
            }
            ("triu" | "tril", [k]) if rank == Some(2) => {
                let k = self.argument(k)?;
                self.triangle(v, name == "triu", k, m)
            }
            // Floats in a list are a vector like any other.
            ("to_vec", []) if rank == Some(1) => Ok(Val::Tensor(v)),
            ("as_slice" | "to_slice", []) if rank == Some(1) => {
                Ok(Val::Opt(Box::new(Val::Tensor(v)), Absent::Never))
            }
            ("sum_axis", [axis]) => {
                let axis = self.argument(axis)?;
                Ok(Val::Tensor(self.sum_axis(v, axis, span)))
            }
            ("mean_axis", [axis]) => {
                let axis = self.argument(axis)?;
                Ok(self.mean_axis(v, axis, span))
            }
            ("var" | "std", [ddof]) => {
                let ddof = self.argument(ddof)?;
                Ok(Val::Scalar(self.variance(
                    v,
                    dim,
                    ddof,
                    name == "std",
                    span,
                )))
            }
            ("var_axis" | "std_axis", [axis, ddof]) => {
                let (axis, ddof) = (self.argument(axis)?, self.argument(ddof)?);
                let out = self.variance_axis(v, axis, ddof, name == "std_axis", span)?;
                Ok(Val::Tensor(out))
            }
            ("into_scalar", []) => Ok(Val::Scalar(self.g.push(
                Op::Get(v, quote!(())),
                Ty::Scalar,
                span,
            ))),
            ("first" | "last", []) if rank.is_some() => Ok(self.end(v, name == "last", span)),
            ("get", [index]) => self.element_if_any(v, index),
            ("split_at", [axis, at]) => {
                let (axis, at) = (self.argument(axis)?, self.argument(at)?);
                let n = crate::tensor::emit::dim_name(dim);
                let length = quote!(#n[(#axis).index()]);
                let ends = [(quote!(0), at.clone()), (at, length)];
                let mut parts = Vec::new();
                for (from, to) in ends {
                    let form = quote!(.split_at(#axis, #to).0.split_at(#axis, #from).1);
                    let view = View { form, whole: false };
                    parts.push(match self.borrow(&m.receiver)? {
                        Some(place) => Val::Place(place.part(view, rank)),
                        None => Val::Tensor(self.view(v, view, rank, span)?),
                    });
                }
                Ok(Val::Tuple(parts))
            }
            ("swap_axes", [a, b]) => {
                let Some(n) = rank else {
                    return self.reject(&m.method, &errors::TENSOR_RANK);
                };
                let (a, b) = (self.argument(a)?, self.argument(b)?);
                let order = self.constant_name(quote!({
                    let mut __order: [usize; #n] = ::core::array::from_fn(|__k| __k);
                    __order.swap(#a, #b);
                    __order
                }));
                let view = View {
                    form: quote!(.permuted_axes(#order)),
                    whole: true,
                };
                self.rearranged(m, v, view)
            }
            ("invert_axis", [axis]) => {
                let axis = self.argument(axis)?;
                let Some(n) = rank else {
                    return self.reject(&m.method, &errors::TENSOR_RANK);
                };
                let Some(at) = axis_number(&axis).filter(|&at| at < n) else {
                    return self.reject(m, &errors::TENSOR_RANK);
                };
                let ranges = (0..n).map(|k| match k == at {
                    true => quote!(..;-1),
                    false => quote!(..),
                });
                let view = View {
                    form: quote!(.slice_move(::backprop::tensor::ndarray::s![#(#ranges),*])),
                    whole: true,
                };
                self.rearranged(m, v, view)
            }
            ("fold", [_, f]) if !lanes::in_any_order(f) => {
                self.reject(&m.method, &errors::TENSOR_FOLD)
            }
            ("fold", [init, f]) => self.fold(v, None, init, f, m),
            ("fold_axis", [axis, init, f]) => {
                let axis = self.argument(axis)?;
                self.fold(v, Some(axis), init, f, m)
            }
            ("map_axis", [axis, f]) => {
                let axis = self.argument(axis)?;
                self.has_axis(v, &axis);
                self.lanes(v, Some(axis), f, m)
            }
            ("broadcast", [shape]) => {
                let rank = self.shape_rank(shape)?;
                let given = self.given(shape, rank, None)?;
                let into = self.g.new_dim(DimOp::Spread(given, dim), rank);
                let a = operand(v);
                let v = self.map(syn::parse_quote!(#a), vec![v], Some(into), span);
                Ok(self.optional(Val::Tensor(v)))
            }
            ("into_shape", [_]) => self.reject(&m.method, &errors::TENSOR_INTO_SHAPE),
            ("into_shape_with_order" | "to_shape" | "into_shape_clone" | "reshape", [shape]) => {
                let (shape, columns) = ordered(shape);
                let fits = match name {
                    "into_shape_with_order" => self.lies_in_order(v, columns),
                    _ => None,
                };
                let rank = self.shape_rank(shape)?;
                let (v, given) = match columns {
                    // In the other order: what is reversed on both sides.
                    true => {
                        let (syn::Expr::Tuple(t), Some(axes)) = (shape, rank) else {
                            return self.reject(shape, &errors::TENSOR_RANK);
                        };
                        let reversed = t.elems.iter().rev();
                        let turned = syn::parse_quote!((#(#reversed,)*));
                        let given = self.given(&turned, rank, Some(dim))?;
                        let back = |l: &mut Self, v: V, rank: Rank| {
                            let view = View {
                                form: quote!(.reversed_axes()),
                                whole: true,
                            };
                            l.view(v, view, rank, span)
                        };
                        let first = back(self, v, self.g.rank(v))?;
                        let of = Op::Reshape(first);
                        let v = self.g.push(of, Ty::Tensor(Some(axes), given), span);
                        (back(self, v, rank)?, given)
                    }
                    false => {
                        let given = self.given(shape, rank, Some(dim))?;
                        let of = Op::Reshape(v);
                        (self.g.push(of, Ty::Tensor(rank, given), span), given)
                    }
                };
                Ok(match name {
                    "reshape" => Val::Tensor(v),
                    _ => Val::Opt(Box::new(Val::Tensor(v)), Absent::Shape(given, fits)),
                })
            }
            ("flatten" | "into_flat", []) => {
                let n = crate::tensor::emit::dim_name(dim);
                let given = self
                    .g
                    .new_dim(DimOp::Given(quote!(#n.size()), Some(dim)), Some(1));
                Ok(Val::Tensor(self.g.push(
                    Op::Reshape(v),
                    Ty::Tensor(Some(1), given),
                    span,
                )))
            }
            ("select", [axis, indices]) => {
                let axis = self.argument(axis)?;
                let indices = self.constant(indices)?;
                let indices = self.constant_name(quote!(#indices)).to_token_stream();
                let dim = self
                    .g
                    .new_dim(DimOp::Select(dim, axis.clone(), indices.clone()), rank);
                let v = self
                    .g
                    .push(Op::Select(v, axis, indices), Ty::Tensor(rank, dim), span);
                Ok(Val::Tensor(v))
            }
            ("iter_mut", []) => {
                let place = self.borrowed(&m.receiver)?;
                Ok(Val::Zip(Zip {
                    parts: vec![Val::Place(place)],
                    pattern: Nest::Part(0),
                    by_ref: true,
                    form: Form::Iterator,
                }))
            }
            ("iter" | "into_iter", []) => Ok(Val::Zip(Zip {
                parts: vec![Val::Tensor(v)],
                pattern: Nest::Part(0),
                by_ref: true,
                form: Form::Iterator,
            })),
            _ => match self.view_mut(m, v)? {
                None => match self.parts_of(m, v)? {
                    Some(s) => Ok(Val::Seq(std::rc::Rc::new(s))),
                    None => Err(self.unknown(m)),
                },
                Some((view, rank)) => {
                    let v = self.view(v, view, rank, span)?;
                    Ok(if name.starts_with("into_dimensionality") {
                        self.optional(Val::Tensor(v))
                    } else {
                        Val::Tensor(v)
                    })
                }
            },
        }
    }

    /// A variable becomes a rearrangement of itself.
    fn rearranged(&mut self, m: &syn::ExprMethodCall, v: V, view: View) -> Result<Val> {
        let place = self.borrowed(&m.receiver)?;
        if place.view.is_some() {
            // The view's own axes change, not those behind it.
            return self.reject(&m.method, &errors::TENSOR_BORROW);
        }
        let rank = self.g.rank(v);
        let new = self.view(v, view, rank, m.span())?;
        self.store(&place, Val::Tensor(new), m)?;
        Ok(Val::Unit)
    }

    pub fn unknown(&self, m: &syn::ExprMethodCall) -> Rejected {
        match self.reject::<()>(&m.method, &errors::TENSOR_METHOD_UNKNOWN) {
            Err(r) => r,
            Ok(()) => Rejected,
        }
    }
}

/// A shape without its order, and whether the first index runs fastest.
fn ordered(shape: &syn::Expr) -> (&syn::Expr, bool) {
    let syn::Expr::Tuple(t) = shape else {
        return (shape, false);
    };
    let Some(syn::Expr::Path(p)) = t.elems.iter().nth(1).filter(|_| t.elems.len() == 2) else {
        return (shape, false);
    };
    let segments: Vec<String> = p
        .path
        .segments
        .iter()
        .map(|s| s.ident.to_string())
        .collect();
    match segments.as_slice() {
        [.., order, name] if order == "Order" => {
            (&t.elems[0], name == "ColumnMajor" || name == "F")
        }
        _ => (shape, false),
    }
}

/// The number in `Axis(1)`.
pub fn axis_number(axis: &proc_macro2::TokenStream) -> Option<usize> {
    match syn::parse2(axis.clone()).ok()? {
        syn::Expr::Call(c) if c.args.len() == 1 => match &c.args[0] {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Int(n),
                ..
            }) => n.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}
