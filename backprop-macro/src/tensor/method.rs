//! Methods of tensors, floats, `Zip` and iterators over all elements.
//!
//! In: a method call. Out: values of the graph. What has no row here and an active receiver is rejected at its name.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, Nest, SHAPE_QUERIES, SpanOf, Val, Zip};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

/// Methods that give the same tensor, borrowed, copied or moved.
const SAME: [&str; 12] = [
    "view",
    "to_owned",
    "into_owned",
    "clone",
    "reborrow",
    "into_shared",
    "to_shared",
    "as_standard_layout",
    "view_mut",
    "by_ref",
    "cloned",
    "copied",
];

/// Elementwise methods that ndarray and the float types have under one name.
const ELEMENTWISE: [&str; 35] = [
    "exp", "exp2", "exp_m1", "ln", "ln_1p", "log2", "log10", "log", "sqrt", "cbrt", "sin", "cos",
    "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "powi",
    "powf", "abs", "recip", "floor", "ceil", "round", "trunc", "fract", "signum", "clamp", "hypot",
    "abs_sub",
];

impl Lower<'_> {
    pub fn method(&mut self, m: &syn::ExprMethodCall) -> Result<Val> {
        let receiver = self.expr(&m.receiver)?;
        let name = m.method.to_string();
        match receiver {
            Val::Tensor(v) => self.tensor_method(m, &name, v),
            Val::Scalar(v) => self.scalar_method(m, &name, v),
            Val::Zip(z) => self.zip_method(m, &name, z),
            Val::Opt(inner) => match name.as_str() {
                "unwrap" | "expect" | "unwrap_or_default" => Ok(*inner),
                _ => self.reject(&m.method, &errors::TENSOR_METHOD_UNKNOWN),
            },
            Val::Const(e) => self.const_method(m, e),
            Val::List(v) => match (name.as_str(), m.args.len()) {
                ("iter" | "into_iter" | "as_slice" | "clone" | "to_vec", 0) => Ok(Val::List(v)),
                ("len", 0) => {
                    let t = crate::tensor::emit::tensor_name(v);
                    Ok(Val::Const(syn::parse_quote!(#t.len())))
                }
                _ => Err(self.unknown(m)),
            },
            _ => self.reject(m, &errors::TENSOR_EXPRESSION),
        }
    }

    /// A constant's method: constant, unless an argument is a float that is not.
    fn const_method(&mut self, m: &syn::ExprMethodCall, receiver: syn::Expr) -> Result<Val> {
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
    fn scalar_args(
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
                Val::Const(e) => out.push(e),
                _ => return self.reject(at, &errors::TENSOR_EXPRESSION),
            }
        }
        Ok((out, operands))
    }

    fn scalar_method(&mut self, m: &syn::ExprMethodCall, name: &str, v: V) -> Result<Val> {
        if matches!(name, "clone" | "to_owned" | "into_scalar") && m.args.is_empty() {
            return Ok(Val::Scalar(v));
        }
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let (rest, mut operands) = self.scalar_args(&args, m)?;
        operands.insert(0, v);
        let (method, a) = (&m.method, operand(v));
        let body =
            syn::parse2(quote_spanned!(m.span()=> #a.#method(#(#rest),*))).map_err(|_| Rejected)?;
        Ok(Val::Scalar(self.map(body, operands, None, m.span())))
    }

    fn tensor_method(&mut self, m: &syn::ExprMethodCall, name: &str, v: V) -> Result<Val> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let span = m.span();
        let rank = self.g.rank(v);
        let Some(dim) = self.g.dim(v) else {
            return Err(Rejected);
        };
        if SAME.contains(&name) && args.is_empty() {
            return Ok(Val::Tensor(v));
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
            ("scaled_add", [alpha, other]) => {
                let other = self.expr(other)?;
                let alpha = self.expr(alpha)?;
                let scaled = self.binary(quote!(*), other, alpha, m)?;
                self.update(&m.receiver, scaled, Some(quote!(+)), m)?;
                Ok(Val::Unit)
            }
            ("assign", [other]) => {
                let other = self.expr(other)?;
                if self.whole_or_part(m)?.is_none() {
                    // The whole of a local: broadcast to its shape.
                    let new = self.broadcast_into(v, other, m)?;
                    self.update(&m.receiver, Val::Tensor(new), None, m)?;
                    return Ok(Val::Unit);
                }
                self.update(&m.receiver, other, None, m)?;
                Ok(Val::Unit)
            }
            ("fill", [x]) => {
                let x = self.expr(x)?;
                if self.whole_or_part(m)?.is_some() {
                    self.update(&m.receiver, x, None, m)?;
                } else {
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
                }
                Ok(Val::Unit)
            }
            ("dot", [other]) => {
                let other = self.tensor(other)?;
                self.product(v, other, m)
            }
            ("sum", []) => Ok(Val::Scalar(self.g.push(Op::Sum(v), Ty::Scalar, span))),
            ("mean", []) => {
                let mean = self.mean(v, span);
                Ok(Val::Opt(Box::new(Val::Scalar(mean))))
            }
            ("product", []) => {
                let f: syn::Expr = syn::parse_quote!(|__acc, &__x| __acc * __x);
                let one: syn::Expr = syn::parse_quote!(1.0);
                self.fold(v, None, &one, &f, m)
            }
            ("sum_axis", [axis]) => {
                let axis = self.argument(axis)?;
                Ok(Val::Tensor(self.sum_axis(v, axis, span)))
            }
            ("mean_axis", [axis]) => {
                let axis = self.argument(axis)?;
                let mean = self.mean_axis(v, axis, span);
                Ok(Val::Opt(Box::new(Val::Tensor(mean))))
            }
            ("var" | "std", [ddof]) => {
                let ddof = self.argument(ddof)?;
                let mean = self.mean(v, span);
                let (a, b, n) = (
                    operand(v),
                    operand(mean),
                    crate::tensor::emit::dim_name(dim),
                );
                let square = self.map(
                    syn::parse_quote!({ let __d = #a - #b; __d * __d }),
                    vec![v, mean],
                    Some(dim),
                    span,
                );
                let sum = self.g.push(Op::Sum(square), Ty::Scalar, span);
                let s = operand(sum);
                let count = self.count(quote!(#n.size()), Some(quote!(#ddof)));
                let mut out = self.map(syn::parse_quote!(#s / #count), vec![sum], None, span);
                if name == "std" {
                    let s = operand(out);
                    out = self.map(syn::parse_quote!(#s.sqrt()), vec![out], None, span);
                }
                Ok(Val::Scalar(out))
            }
            ("var_axis" | "std_axis", [axis, ddof]) => {
                let axis = self.argument(axis)?;
                let ddof = self.argument(ddof)?;
                let mean = self.mean_axis(v, axis.clone(), span);
                let keep = View {
                    form: quote!(.insert_axis(#axis)),
                    whole: true,
                };
                let mean = self.view(mean, keep, rank, span)?;
                let Some(dm) = self.g.dim(mean) else {
                    return Err(Rejected);
                };
                let dim = self.broadcast(dim, dm);
                let (a, b) = (operand(v), operand(mean));
                let square = self.map(
                    syn::parse_quote!({ let __d = #a - #b; __d * __d }),
                    vec![v, mean],
                    Some(dim),
                    span,
                );
                let sum = self.sum_axis(square, axis.clone(), span);
                let n = crate::tensor::emit::dim_name(dim);
                let count = self.count(quote!(#n[(#axis).index()]), Some(quote!(#ddof)));
                let (s, ds) = (operand(sum), self.g.dim(sum));
                let mut out = self.map(syn::parse_quote!(#s / #count), vec![sum], ds, span);
                if name == "std_axis" {
                    let s = operand(out);
                    out = self.map(syn::parse_quote!(#s.sqrt()), vec![out], ds, span);
                }
                Ok(Val::Tensor(out))
            }
            ("into_scalar", []) => Ok(Val::Scalar(self.g.push(
                Op::Get(v, quote!(())),
                Ty::Scalar,
                span,
            ))),
            ("first", []) if rank == Some(1) => Ok(Val::Opt(Box::new(Val::Scalar(self.g.push(
                Op::Get(v, quote!([0])),
                Ty::Scalar,
                span,
            ))))),
            ("fold", [init, f]) => self.fold(v, None, init, f, m),
            ("fold_axis", [axis, init, f]) => {
                let axis = self.argument(axis)?;
                self.fold(v, Some(axis), init, f, m)
            }
            ("map_axis", [axis, f]) => {
                let axis = self.argument(axis)?;
                self.lanes(v, Some(axis), f, m)
            }
            ("broadcast", [shape]) => {
                let rank = self.shape_rank(shape)?;
                let given = self.given(shape, rank, None)?;
                let into = self.g.new_dim(DimOp::Into(given, dim), rank);
                let a = operand(v);
                let v = self.map(syn::parse_quote!(#a), vec![v], Some(into), span);
                Ok(Val::Opt(Box::new(Val::Tensor(v))))
            }
            (
                "into_shape_with_order"
                | "to_shape"
                | "into_shape_clone"
                | "into_shape"
                | "reshape",
                [shape],
            ) => {
                let rank = self.shape_rank(shape)?;
                let given = self.given(shape, rank, Some(dim))?;
                let v = self.g.push(Op::Reshape(v), Ty::Tensor(rank, given), span);
                Ok(match name {
                    "into_shape_clone" | "reshape" => Val::Tensor(v),
                    _ => Val::Opt(Box::new(Val::Tensor(v))),
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
            ("iter" | "into_iter" | "iter_mut", []) => Ok(Val::Zip(Zip {
                parts: vec![Val::Tensor(v)],
                pattern: Nest::Part(0),
                by_ref: true,
            })),
            _ => match self.view_mut(m, v)? {
                Some((view, rank)) => {
                    let v = self.view(v, view, rank, span)?;
                    Ok(if name.starts_with("into_dimensionality") {
                        Val::Opt(Box::new(Val::Tensor(v)))
                    } else {
                        Val::Tensor(v)
                    })
                }
                None => Err(self.unknown(m)),
            },
        }
    }

    fn unknown(&self, m: &syn::ExprMethodCall) -> Rejected {
        match self.reject::<()>(&m.method, &errors::TENSOR_METHOD_UNKNOWN) {
            Err(r) => r,
            Ok(()) => Rejected,
        }
    }

    /// The view that the receiver of `assign` or `fill` is, where it is a part.
    fn whole_or_part(&mut self, m: &syn::ExprMethodCall) -> Result<Option<(View, Rank)>> {
        match &*m.receiver {
            syn::Expr::MethodCall(inner) => {
                let base = self.tensor(&inner.receiver)?;
                self.view_mut(inner, base)
            }
            _ => Ok(None),
        }
    }

    /// A value broadcast to the shape of a tensor.
    fn broadcast_into(&mut self, to: V, value: Val, at: &dyn ToTokens) -> Result<V> {
        let Some(dim) = self.g.dim(to) else {
            return Err(Rejected);
        };
        match value {
            Val::Tensor(v) => {
                let Some(d) = self.g.dim(v) else {
                    return Err(Rejected);
                };
                if d == dim {
                    return Ok(v);
                }
                let rank = self.g.dim_rank(dim);
                let into = self.g.new_dim(DimOp::Into(dim, d), rank);
                let a = operand(v);
                Ok(self.map(syn::parse_quote!(#a), vec![v], Some(into), at.span_of()))
            }
            _ => self.reject(at, &errors::TENSOR_EXPRESSION),
        }
    }

    /// The view that a method of a tensor shows, and its rank.
    pub fn view_mut(&mut self, m: &syn::ExprMethodCall, v: V) -> Result<Option<(View, Rank)>> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let rank = self.g.rank(v);
        let fewer = rank.map(|r| r.saturating_sub(1));
        let name = m.method.to_string();
        let part = |form| View { form, whole: false };
        let whole = |form| View { form, whole: true };
        Ok(Some(match (name.as_str(), args.as_slice()) {
            ("view" | "view_mut", []) => (whole(quote!()), rank),
            ("t" | "reversed_axes" | "t_mut", []) => (whole(quote!(.reversed_axes())), rank),
            ("row" | "row_mut", [i]) if rank == Some(2) => {
                let i = self.argument(i)?;
                (
                    part(quote!(.index_axis_move(::backprop::tensor::ndarray::Axis(0), #i))),
                    fewer,
                )
            }
            ("column" | "column_mut", [i]) if rank == Some(2) => {
                let i = self.argument(i)?;
                (
                    part(quote!(.index_axis_move(::backprop::tensor::ndarray::Axis(1), #i))),
                    fewer,
                )
            }
            ("index_axis" | "index_axis_mut" | "index_axis_move", [axis, i]) => {
                let (axis, i) = (self.argument(axis)?, self.argument(i)?);
                (part(quote!(.index_axis_move(#axis, #i))), fewer)
            }
            ("insert_axis", [axis]) => {
                let axis = self.argument(axis)?;
                (whole(quote!(.insert_axis(#axis))), rank.map(|r| r + 1))
            }
            ("remove_axis", [axis]) => {
                let axis = self.argument(axis)?;
                (part(quote!(.index_axis_move(#axis, 0))), fewer)
            }
            ("permuted_axes", [order]) => {
                let order = self.argument(order)?;
                (whole(quote!(.permuted_axes(#order))), rank)
            }
            ("diag" | "into_diag" | "diag_mut", []) => (part(quote!(.into_diag())), Some(1)),
            ("into_dyn", []) => (whole(quote!(.into_dyn())), None),
            ("into_dimensionality", []) => {
                let Some(found) = m
                    .turbofish
                    .as_ref()
                    .and_then(|t| t.args.first())
                    .and_then(|a| match a {
                        syn::GenericArgument::Type(t) => crate::tensor::signature::axes(t),
                        _ => None,
                    })
                else {
                    return self.reject(m, &errors::TENSOR_RANK);
                };
                let d = crate::tensor::signature::dimension(found);
                (whole(quote!(.into_dimensionality::<#d>().unwrap())), found)
            }
            ("slice" | "slice_move" | "slice_mut", [s]) => {
                let s = match s {
                    syn::Expr::Reference(r) => &*r.expr,
                    other => other,
                };
                let syn::Expr::Macro(mac) = s else {
                    return self.reject(s, &errors::TENSOR_RANK);
                };
                let (args, removed, added) = self.slice_args(&mac.mac)?;
                let rank = rank.map(|r| (r + added).saturating_sub(removed));
                let form = quote!(.slice_move(::backprop::tensor::ndarray::s![#args]));
                (part(form), rank)
            }
            _ => return Ok(None),
        }))
    }

    /// The arguments of `s![…]`, and how many axes they remove and add.
    fn slice_args(&mut self, mac: &syn::Macro) -> Result<(proc_macro2::TokenStream, usize, usize)> {
        struct Arg(syn::Expr, Option<syn::Expr>);
        impl syn::parse::Parse for Arg {
            fn parse(input: syn::parse::ParseStream) -> syn::Result<Self> {
                let e = input.parse()?;
                let step = if input.peek(syn::Token![;]) {
                    input.parse::<syn::Token![;]>()?;
                    Some(input.parse()?)
                } else {
                    None
                };
                Ok(Arg(e, step))
            }
        }
        let list = mac
            .parse_body_with(syn::punctuated::Punctuated::<Arg, syn::Token![,]>::parse_terminated);
        let Ok(list) = list else {
            return self.reject(mac, &errors::TENSOR_EXPRESSION);
        };
        let (mut out, mut removed, mut added) = (proc_macro2::TokenStream::new(), 0, 0);
        for Arg(e, step) in list {
            let new = matches!(&e, syn::Expr::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "NewAxis"));
            if new {
                added += 1;
                out.extend(quote!(::backprop::tensor::ndarray::NewAxis,));
                continue;
            }
            let e = self.constant(&e)?;
            if !matches!(&e, syn::Expr::Range(_)) {
                removed += 1;
            }
            // A range is written again for each view: it cannot be copied.
            let e = if let syn::Expr::Range(mut r) = e {
                for bound in [&mut r.start, &mut r.end].into_iter().flatten() {
                    if !simple_slice(bound) {
                        **bound = self.constant_name(bound.to_token_stream());
                    }
                }
                syn::Expr::Range(r)
            } else if simple_slice(&e) {
                e
            } else {
                self.constant_name(e.to_token_stream())
            };
            match step {
                Some(step) => {
                    let step = self.argument(&step)?;
                    out.extend(quote!(#e;#step,));
                }
                None => out.extend(quote!(#e,)),
            }
        }
        Ok((out, removed, added))
    }

    pub fn view(&mut self, v: V, view: View, rank: Rank, span: proc_macro2::Span) -> Result<V> {
        if view.form.is_empty() {
            return Ok(v);
        }
        let Some(d) = self.g.dim(v) else {
            return Err(Rejected);
        };
        let dim = self.g.new_dim(DimOp::View(d, view.clone()), rank);
        Ok(self.g.push(Op::View(v, view), Ty::Tensor(rank, dim), span))
    }

    // ---- products and sums ----

    fn product(&mut self, a: V, b: V, m: &syn::ExprMethodCall) -> Result<Val> {
        let (Some(da), Some(db)) = (self.g.dim(a), self.g.dim(b)) else {
            return Err(Rejected);
        };
        let span = m.span();
        let rank = match (self.g.rank(a), self.g.rank(b)) {
            (Some(2), Some(2)) => 2,
            (Some(2), Some(1)) | (Some(1), Some(2)) => 1,
            (Some(1), Some(1)) => {
                self.g.new_dim(DimOp::Product(da, db), Some(0));
                return Ok(Val::Scalar(self.g.push(
                    Op::Product(a, b),
                    Ty::Scalar,
                    span,
                )));
            }
            _ => return self.reject(m, &errors::TENSOR_RANK),
        };
        let dim = self.g.new_dim(DimOp::Product(da, db), Some(rank));
        Ok(Val::Tensor(self.g.push(
            Op::Product(a, b),
            Ty::Tensor(Some(rank), dim),
            span,
        )))
    }

    /// A number of elements as a float, less something.
    fn count(
        &mut self,
        tokens: proc_macro2::TokenStream,
        less: Option<proc_macro2::TokenStream>,
    ) -> syn::Expr {
        let t = self.sig.elem.tokens();
        let less = less.map(|l| quote!(- (#l)));
        let tokens = match self.sig.float() {
            Some(_) => quote!((<#t as ::backprop::tensor::Count>::count(#tokens) #less)),
            None => quote!(((#tokens) as #t #less)),
        };
        self.constant_name(tokens)
    }

    fn mean(&mut self, v: V, span: proc_macro2::Span) -> V {
        let sum = self.g.push(Op::Sum(v), Ty::Scalar, span);
        let Some(d) = self.g.dim(v) else { return sum };
        let n = crate::tensor::emit::dim_name(d);
        self.g
            .stmts
            .push(Stmt::Effect(quote!(::backprop::tensor::some(#n.size());)));
        let count = self.count(quote!(#n.size()), None);
        let s = operand(sum);
        self.map(syn::parse_quote!(#s / #count), vec![sum], None, span)
    }

    fn sum_axis(&mut self, v: V, axis: proc_macro2::TokenStream, span: proc_macro2::Span) -> V {
        let Some(d) = self.g.dim(v) else { return v };
        let rank = self.g.rank(v).map(|r| r.saturating_sub(1));
        let dim = self.g.new_dim(DimOp::RemoveAxis(d, axis.clone()), rank);
        self.g
            .push(Op::SumAxis(v, axis), Ty::Tensor(rank, dim), span)
    }

    fn mean_axis(&mut self, v: V, axis: proc_macro2::TokenStream, span: proc_macro2::Span) -> V {
        let sum = self.sum_axis(v, axis.clone(), span);
        let Some(d) = self.g.dim(v) else { return sum };
        let n = crate::tensor::emit::dim_name(d);
        self.g.stmts.push(Stmt::Effect(
            quote!(::backprop::tensor::some(#n[(#axis).index()]);),
        ));
        let count = self.count(quote!(#n[(#axis).index()]), None);
        let (s, ds) = (operand(sum), self.g.dim(sum));
        self.map(syn::parse_quote!(#s / #count), vec![sum], ds, span)
    }

    // ---- functions of lanes ----

    /// `fold` of all elements, or of each lane: an annotated function of a slice.
    pub fn fold(
        &mut self,
        v: V,
        axis: Option<proc_macro2::TokenStream>,
        init: &syn::Expr,
        f: &syn::Expr,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let by_ref = axis.is_some();
        let args = [quote!(__fold), quote!(*__x)];
        // Closures of `fold` take the element by reference; those of `fold_axis` the accumulator too.
        let closure = match f {
            syn::Expr::Closure(_) => self.apply_fold(f, quote!(__fold), by_ref)?,
            _ => self.apply(f, &args, false)?,
        };
        let (body, mut operands) = closure;
        let (start, more) = match self.expr(init)? {
            Val::Const(e) => (e, None),
            Val::Scalar(s) => {
                let a = operand(s);
                (syn::parse_quote!(#a), Some(s))
            }
            _ => return self.reject(init, &errors::NOT_SCALAR),
        };
        operands.extend(more);
        let t = self.sig.elem.tokens();
        let body = quote!({
            let mut __fold: #t = #start;
            for __x in __row {
                __fold = #body;
            }
            __fold
        });
        self.lane_function(v, axis, body, operands, at)
    }

    fn apply_fold(
        &mut self,
        f: &syn::Expr,
        fold: proc_macro2::TokenStream,
        by_ref: bool,
    ) -> Result<(syn::Expr, Vec<V>)> {
        let Val::Closure(c) = self.expr(f)? else {
            return self.reject(f, &errors::CLOSURE);
        };
        if c.inputs.len() != 2 {
            return self.reject(f, &errors::CLOSURE);
        }
        let (prelude, operands) = self.captures(&c)?;
        let (a, x, body) = (&c.inputs[0], &c.inputs[1], &c.body);
        let fold = if by_ref { quote!(&#fold) } else { fold };
        Ok((
            syn::parse_quote!({ #prelude let #a = #fold; let #x = __x; #body }),
            operands,
        ))
    }

    /// `map_axis`: a closure of one lane.
    fn lanes(
        &mut self,
        v: V,
        axis: Option<proc_macro2::TokenStream>,
        f: &syn::Expr,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let Val::Closure(c) = self.expr(f)? else {
            return self.reject(f, &errors::CLOSURE);
        };
        let [pat] = c.inputs.as_slice() else {
            return self.reject(f, &errors::CLOSURE);
        };
        let (prelude, operands) = self.captures(&c)?;
        let mut body = c.body.clone();
        syn::visit_mut::VisitMut::visit_expr_mut(&mut LaneMethods, &mut body);
        let body = quote!({ #prelude let #pat = __row; #body });
        self.lane_function(v, axis, body, operands, at)
    }

    fn lane_function(
        &mut self,
        v: V,
        axis: Option<proc_macro2::TokenStream>,
        body: proc_macro2::TokenStream,
        operands: Vec<V>,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let mut scalars: Vec<V> = Vec::new();
        for o in operands {
            if !scalars.contains(&o) {
                scalars.push(o);
            }
        }
        let mut names = std::collections::BTreeSet::new();
        crate::items::identifiers(body.clone(), &mut names);
        if names
            .iter()
            .any(|n| n.starts_with("__c") || n.starts_with("__n"))
        {
            // The function of a lane is an item of its own, which sees no locals.
            return self.reject(at, &errors::TENSOR_CAPTURE);
        }
        let t = self.sig.elem.tokens();
        let function = format_ident!(
            "__lane{}",
            self.g.items.len(),
            span = proc_macro2::Span::mixed_site()
        );
        let params = scalars.iter().map(|s| {
            let name = operand(*s);
            quote!(#name: #t)
        });
        let generics = &self.sig.generics;
        let clause = &generics.where_clause;
        let types = generics.type_params();
        let generics = if self.sig.float().is_some() {
            quote!(<#(#types),*>)
        } else {
            quote!()
        };
        self.g.items.push(quote! {
            #[::backprop::backprop]
            fn #function #generics (__row: &[#t], #(#params),*) -> #t #clause #body
        });
        let rank = self.g.rank(v);
        let span = at.span_of();
        let ty = match &axis {
            Some(axis) => {
                let Some(d) = self.g.dim(v) else {
                    return Err(Rejected);
                };
                let rank = rank.map(|r| r.saturating_sub(1));
                Ty::Tensor(
                    rank,
                    self.g.new_dim(DimOp::RemoveAxis(d, axis.clone()), rank),
                )
            }
            None => Ty::Scalar,
        };
        let v = self.g.push(
            Op::Lanes {
                of: v,
                axis,
                function,
                scalars,
            },
            ty,
            span,
        );
        Ok(self.value_of(v))
    }

    // ---- Zip and iterators over all elements ----

    fn zip_method(&mut self, m: &syn::ExprMethodCall, name: &str, mut z: Zip) -> Result<Val> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let span = m.span();
        match (name, args.as_slice()) {
            ("and" | "and_broadcast" | "zip", [other]) => {
                let (part, nest) = match self.expr(other)? {
                    Val::Tensor(v) => (vec![Val::Tensor(v)], Nest::Part(0)),
                    Val::Zip(z) => (z.parts, z.pattern),
                    _ => return self.reject(other, &errors::TENSOR_EXPRESSION),
                };
                let offset = z.parts.len();
                for p in &part {
                    if let (Val::Tensor(a), Val::Tensor(b)) = (&z.parts[0], p)
                        && let (Some(da), Some(db)) = (self.g.dim(*a), self.g.dim(*b))
                        && da != db
                    {
                        let rank = self.g.dim_rank(da);
                        let check = if name == "and_broadcast" {
                            DimOp::Into(da, db)
                        } else {
                            DimOp::Same(da, db)
                        };
                        self.g.new_dim(check, rank);
                    }
                }
                z.parts.extend(part);
                z.pattern = if name == "zip" {
                    Nest::Tuple(vec![z.pattern, shift(&nest, offset)])
                } else {
                    match z.pattern {
                        Nest::Tuple(mut all) => {
                            all.push(shift(&nest, offset));
                            Nest::Tuple(all)
                        }
                        first => Nest::Tuple(vec![first, shift(&nest, offset)]),
                    }
                };
                Ok(Val::Zip(z))
            }
            ("copied" | "cloned", []) => {
                z.by_ref = false;
                Ok(Val::Zip(z))
            }
            ("by_ref" | "into_iter" | "iter", []) => Ok(Val::Zip(z)),
            ("map_collect" | "par_map_collect", [f]) => {
                let Val::Closure(c) = self.expr(f)? else {
                    return self.reject(f, &errors::CLOSURE);
                };
                let (mut prelude, mut operands) = self.captures(&c)?;
                if c.inputs.len() != z.parts.len() {
                    return self.reject(f, &errors::CLOSURE);
                }
                for (pat, part) in c.inputs.iter().zip(&z.parts) {
                    let Val::Tensor(v) = part else {
                        return self.reject(f, &errors::CLOSURE);
                    };
                    let a = operand(*v);
                    operands.push(*v);
                    prelude.extend(quote!(let #pat = &#a;));
                }
                let dim = match z.parts[0] {
                    Val::Tensor(v) => self.g.dim(v),
                    _ => None,
                };
                let body = &c.body;
                let v = self.map(syn::parse_quote!({ #prelude #body }), operands, dim, span);
                Ok(Val::Tensor(v))
            }
            ("map", [f]) => {
                let Val::Closure(c) = self.expr(f)? else {
                    let v = self.single(&z, m)?;
                    let a = operand(v).to_token_stream();
                    let (body, mut operands) = self.apply(f, &[a], false)?;
                    operands.insert(0, v);
                    let dim = self.g.dim(v);
                    let v = self.map(body, operands, dim, span);
                    return Ok(Val::Zip(Zip {
                        parts: vec![Val::Tensor(v)],
                        pattern: Nest::Part(0),
                        by_ref: false,
                    }));
                };
                let [pat] = c.inputs.as_slice() else {
                    return self.reject(f, &errors::CLOSURE);
                };
                let (prelude, mut operands) = self.captures(&c)?;
                let value = self.nested(&z.pattern, &z, &mut operands);
                let dim = match z.parts[0] {
                    Val::Tensor(v) => self.g.dim(v),
                    _ => None,
                };
                let body = &c.body;
                let v = self.map(
                    syn::parse_quote!({ #prelude let #pat = #value; #body }),
                    operands,
                    dim,
                    span,
                );
                Ok(Val::Zip(Zip {
                    parts: vec![Val::Tensor(v)],
                    pattern: Nest::Part(0),
                    by_ref: false,
                }))
            }
            ("sum", []) => {
                let v = self.single(&z, m)?;
                Ok(Val::Scalar(self.g.push(Op::Sum(v), Ty::Scalar, span)))
            }
            ("fold", [init, f]) if z.parts.len() == 1 && matches!(z.pattern, Nest::Part(0)) => {
                let v = self.single(&z, m)?;
                if z.by_ref {
                    return self.fold(v, None, init, f, m);
                }
                match f {
                    syn::Expr::Closure(c) if c.inputs.len() == 2 => {
                        // Items by value: the element is `*__x`.
                        let mut c = c.clone();
                        let (pat, body) = (c.inputs[1].clone(), c.body.clone());
                        c.inputs[1] = syn::parse_quote!(__item);
                        c.body = syn::parse_quote!({ let #pat = *__item; #body });
                        self.fold(v, None, init, &syn::Expr::Closure(c), m)
                    }
                    _ => self.fold(v, None, init, f, m),
                }
            }
            ("product", []) => {
                let v = self.single(&z, m)?;
                let f: syn::Expr = syn::parse_quote!(|__acc, &__x| __acc * __x);
                let one: syn::Expr = syn::parse_quote!(1.0);
                self.fold(v, None, &one, &f, m)
            }
            _ => Err(self.unknown(m)),
        }
    }

    fn single(&mut self, z: &Zip, at: &dyn ToTokens) -> Result<V> {
        match z.parts.as_slice() {
            [Val::Tensor(v)] => Ok(*v),
            _ => self.reject(at, &errors::TENSOR_EXPRESSION),
        }
    }

    fn nested(&self, nest: &Nest, z: &Zip, operands: &mut Vec<V>) -> proc_macro2::TokenStream {
        match nest {
            Nest::Part(k) => match z.parts[*k] {
                Val::Tensor(v) => {
                    operands.push(v);
                    let a = operand(v);
                    if z.by_ref { quote!(&#a) } else { quote!(#a) }
                }
                _ => quote!(()),
            },
            Nest::Tuple(all) => {
                let parts: Vec<_> = all.iter().map(|n| self.nested(n, z, operands)).collect();
                quote!((#(#parts),*))
            }
        }
    }
}

fn shift(nest: &Nest, by: usize) -> Nest {
    match nest {
        Nest::Part(k) => Nest::Part(k + by),
        Nest::Tuple(all) => Nest::Tuple(all.iter().map(|n| shift(n, by)).collect()),
    }
}

fn simple_slice(e: &syn::Expr) -> bool {
    crate::tensor::lower::simple(e)
}

/// Lanes are slices in the function of a lane: methods that only arrays have are spelt with iterators.
struct LaneMethods;
impl syn::visit_mut::VisitMut for LaneMethods {
    fn visit_expr_mut(&mut self, e: &mut syn::Expr) {
        syn::visit_mut::visit_expr_mut(self, e);
        let syn::Expr::MethodCall(m) = e else { return };
        let direct = matches!(&*m.receiver, syn::Expr::Path(_));
        let receiver = &m.receiver;
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        match (m.method.to_string().as_str(), args.as_slice()) {
            ("sum", []) if direct => *e = syn::parse_quote!(#receiver.iter().sum()),
            ("product", []) if direct => *e = syn::parse_quote!(#receiver.iter().product()),
            ("fold", [_, _]) if direct => {
                let (a, b) = (args[0], args[1]);
                *e = syn::parse_quote!(#receiver.iter().fold(#a, #b));
            }
            ("mapv", [f]) if direct => *e = syn::parse_quote!(#receiver.iter().copied().map(#f)),
            _ => {}
        }
    }
}
