//! Elements and parts: read, assigned, updated.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;

impl Lower<'_> {
    pub fn assignment(&mut self, a: &syn::ExprAssign) -> Result<Val> {
        // A reference is made to point elsewhere; what it points to stays as it is.
        if let syn::Expr::Path(p) = &*a.left
            && let Some(ident) = p.path.get_ident()
            && let Some(Val::Place(old)) = self.peek(ident)
            && !old.captured
        {
            let Some(place) = self.borrow(&a.right)? else {
                return self.reject(a, &errors::TENSOR_BORROW);
            };
            self.assign(ident, Val::Place(place))?;
            return Ok(Val::Unit);
        }
        let right = self.expr(&a.right)?;
        self.take_apart(&a.left, right, a)?;
        Ok(Val::Unit)
    }

    /// `place = value`, where the place may be a tuple of places: one after the other, as rustc does it.
    fn take_apart(&mut self, place: &syn::Expr, value: Val, at: &dyn ToTokens) -> Result<()> {
        match (place, value) {
            (syn::Expr::Infer(_), _) => Ok(()),
            (syn::Expr::Paren(p), value) => self.take_apart(&p.expr, value, at),
            (syn::Expr::Tuple(places), Val::Tuple(values))
                if places.elems.len() == values.len() =>
            {
                for (place, value) in places.elems.iter().zip(values) {
                    self.take_apart(place, value, at)?;
                }
                Ok(())
            }
            (place, value) => self.update(place, value, None, at),
        }
    }

    /// `place = value` and `place op= value`.
    pub fn update(
        &mut self,
        place: &syn::Expr,
        value: Val,
        op: Option<TokenStream>,
        at: &dyn ToTokens,
    ) -> Result<()> {
        let place = self.borrowed(place)?;
        let new = match op {
            None => value,
            Some(op) => {
                let old = self.read(&place)?;
                self.update_value(old, value, op, at)?
            }
        };
        self.store(&place, new, at)
    }

    pub fn update_value(
        &mut self,
        old: Val,
        value: Val,
        op: TokenStream,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        if let (Val::Const(x), Val::Const(y)) = (&old, &value) {
            return Ok(Val::Const(syn::parse_quote!(((#x) #op (#y)))));
        }
        let (Val::Tensor(a), Val::Tensor(b)) = (&old, &value) else {
            return self.binary(op, old, value, at);
        };
        // The right side is broadcast to the left one, never the other way.
        let (Some(da), Some(db)) = (self.g.dim(*a), self.g.dim(*b)) else {
            return Err(Rejected);
        };
        let dim = if da == db {
            da
        } else {
            self.g.new_dim(DimOp::Into(da, db), self.g.dim_rank(da))
        };
        let (x, y) = (operand(*a), operand(*b));
        let v = self.map(
            syn::parse_quote!(#x #op #y),
            vec![*a, *b],
            Some(dim),
            at.span_of(),
        );
        Ok(Val::Tensor(v))
    }

    /// A scalar, also where it is constant.
    pub fn scalar_value(&mut self, val: Val, at: &dyn ToTokens) -> Result<V> {
        match val {
            Val::Scalar(v) => Ok(v),
            Val::Const(e) => Ok(self.map(e, Vec::new(), None, at.span_of())),
            _ => Err(self
                .errors
                .reject_named(at, &errors::NOT_SCALAR, "an array or a tuple")),
        }
    }

    /// The base with the part that a view shows replaced.
    pub fn assign_part(
        &mut self,
        base: V,
        value: Val,
        view: View,
        rank: Rank,
        at: &dyn ToTokens,
    ) -> Result<V> {
        let span = at.span_of();
        let (Some(d), ty) = (self.g.dim(base), self.g.value(base).ty) else {
            return Err(Rejected);
        };
        let part = self.g.new_dim(DimOp::View(d, view.clone()), rank);
        let value = match value {
            Val::Tensor(v) => {
                if let Some(dv) = self.g.dim(v) {
                    self.g.new_dim(DimOp::Into(part, dv), rank);
                }
                v
            }
            Val::Scalar(v) => self.map(
                syn::Expr::Path(syn::ExprPath {
                    attrs: Vec::new(),
                    qself: None,
                    path: operand(v).into(),
                }),
                vec![v],
                Some(part),
                span,
            ),
            Val::Const(e) => self.map(e, Vec::new(), Some(part), span),
            _ => return self.reject(at, &errors::ASSIGN),
        };
        Ok(self.g.push(Op::Assign(base, value, view), ty, span))
    }

    pub fn index(&mut self, i: &syn::ExprIndex) -> Result<Val> {
        match self.expr(&i.expr)? {
            // Part of a slice.
            Val::Tensor(v) if matches!(&*i.index, syn::Expr::Range(_)) => {
                let range = self.argument(&i.index)?;
                let view = View {
                    form: quote!(.slice_move(::backprop::tensor::ndarray::s![#range])),
                    whole: false,
                };
                Ok(Val::Tensor(self.view(v, view, Some(1), i.span())?))
            }
            Val::Tensor(v) => {
                let index = self.element_index(&i.index)?;
                Ok(Val::Scalar(self.element(v, index, i.span())))
            }
            Val::Const(base) => {
                let index = self.constant(&i.index)?;
                Ok(Val::Const(syn::parse_quote!(#base[#index])))
            }
            Val::Tuple(all) => match &*i.index {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Int(k),
                    ..
                }) => match k.base10_parse::<usize>().ok().and_then(|k| all.get(k)) {
                    Some(val) => Ok(val.clone()),
                    None => self.reject(i, &errors::TENSOR_EXPRESSION),
                },
                _ => self.reject(&i.index, &errors::TENSOR_EXPRESSION),
            },
            Val::List(v) => {
                let index = self.argument(&i.index)?;
                Ok(Val::Tensor(self.list_item(v, index, i.span())))
            }
            _ => self.reject(i, &errors::TENSOR_EXPRESSION),
        }
    }

    /// One element; one that has just been read at the same index is the same value.
    pub fn element(&mut self, v: V, index: TokenStream, span: Span) -> V {
        /// How far back is looked.
        const RECENT: usize = 64;
        if !calls(index.clone()) {
            let (g, wanted) = (&self.g, index.to_string());
            let mut recent = g.stmts.iter().rev().take(RECENT);
            let read = recent.find_map(|stmt| match stmt {
                Stmt::Value(w) => match &g.value(*w).op {
                    Op::Get(of, at) if *of == v && at.to_string() == wanted => Some(*w),
                    _ => None,
                },
                _ => None,
            });
            if let Some(read) = read {
                return read;
            }
        }
        self.g.push(Op::Get(v, index), Ty::Scalar, span)
    }

    pub fn element_index(&mut self, e: &syn::Expr) -> Result<TokenStream> {
        let e = match e {
            // One bracket pair of `x[[i, j]]` is the index itself.
            syn::Expr::Array(a) => {
                let all: Result<Vec<TokenStream>> =
                    a.elems.iter().map(|e| self.argument(e)).collect();
                let all = all?;
                return Ok(quote!([#(#all),*]));
            }
            other => other,
        };
        let index = self.argument(e)?;
        Ok(match e {
            // `IxDyn(…)` is no number that is copied, and both passes read it.
            syn::Expr::Call(_) | syn::Expr::MethodCall(_) => {
                quote!(::core::clone::Clone::clone(&#index))
            }
            _ => index,
        })
    }
}

/// Whether an index may be computed by a call, which need not give the same number twice.
fn calls(index: TokenStream) -> bool {
    index.into_iter().any(|tree| match tree {
        TokenTree::Group(g) => g.delimiter() != Delimiter::Bracket || calls(g.stream()),
        TokenTree::Punct(p) => p.as_char() == '!',
        _ => false,
    })
}
