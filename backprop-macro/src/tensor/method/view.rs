//! Views: parts and other arrangements of a tensor, to read and to assign.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, SpanOf, Val, simple};
use quote::{ToTokens, quote};

impl Lower<'_> {
    /// A value broadcast to the shape of a tensor.
    pub fn broadcast_into(&mut self, to: V, value: Val, at: &dyn ToTokens) -> Result<V> {
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
            ("slice_axis" | "slice_axis_mut", [axis, range]) => {
                let (axis, range) = (self.argument(axis)?, self.argument(range)?);
                let (Some(at), Some(n)) = (super::axis_number(&axis), rank) else {
                    return self.reject(m, &errors::TENSOR_RANK);
                };
                let ranges = (0..n).map(|k| match k == at {
                    true => quote!(#range),
                    false => quote!(..),
                });
                let form = quote!(.slice_move(::backprop::tensor::ndarray::s![#(#ranges),*]));
                (part(form), rank)
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
    pub fn slice_args(
        &mut self,
        mac: &syn::Macro,
    ) -> Result<(proc_macro2::TokenStream, usize, usize)> {
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
                    if !simple(bound) {
                        **bound = self.constant_name(bound.to_token_stream());
                    }
                }
                syn::Expr::Range(r)
            } else if simple(&e) {
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
        let of = match view.form.to_string().contains("into_dimensionality") {
            true => DimOp::Ranked(d),
            false => DimOp::View(d, view.clone()),
        };
        let dim = self.g.new_dim(of, rank);
        Ok(self.g.push(Op::View(v, view), Ty::Tensor(rank, dim), span))
    }
}
