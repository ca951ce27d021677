//! Products, sums and means.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Absent, Lower, Val};
use quote::quote;
use syn::spanned::Spanned;

impl Lower<'_> {
    pub fn product(&mut self, a: V, b: V, m: &syn::ExprMethodCall) -> Result<Val> {
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

    /// A number of elements as a float.
    pub fn count(&mut self, tokens: proc_macro2::TokenStream) -> syn::Expr {
        let t = self.sig.elem.tokens();
        let tokens = match self.sig.float() {
            Some(_) => quote!(<#t as ::backprop::tensor::Count>::count(#tokens)),
            None => quote!(((#tokens) as #t)),
        };
        self.constant_name(tokens)
    }

    /// The mean; of nothing there is none.
    pub fn mean(&mut self, v: V, span: proc_macro2::Span) -> Val {
        let n = self.g.dim(v).map(crate::tensor::emit::dim_name);
        let mean = self.mean_of_some(v, span);
        let some = quote!(::backprop::tensor::some(#n.size()));
        Val::Opt(Box::new(Val::Scalar(mean)), Absent::Unless(some))
    }

    /// The mean, without a look at how many there are.
    pub fn mean_of_some(&mut self, v: V, span: proc_macro2::Span) -> V {
        let sum = self.g.push(Op::Sum(v), Ty::Scalar, span);
        let Some(d) = self.g.dim(v) else { return sum };
        let n = crate::tensor::emit::dim_name(d);
        let count = self.count(quote!(#n.size()));
        let s = operand(sum);
        self.map(syn::parse_quote!(#s / #count), vec![sum], None, span)
    }

    pub fn sum_axis(&mut self, v: V, axis: proc_macro2::TokenStream, span: proc_macro2::Span) -> V {
        let Some(d) = self.g.dim(v) else { return v };
        let rank = self.g.rank(v).map(|r| r.saturating_sub(1));
        let dim = self.g.new_dim(DimOp::RemoveAxis(d, axis.clone()), rank);
        self.g
            .push(Op::SumAxis(v, axis), Ty::Tensor(rank, dim), span)
    }

    pub fn mean_axis(
        &mut self,
        v: V,
        axis: proc_macro2::TokenStream,
        span: proc_macro2::Span,
    ) -> Val {
        self.has_axis(v, &axis);
        let n = self.g.dim(v).map(crate::tensor::emit::dim_name);
        let mean = self.mean_axis_of_some(v, axis.clone(), span);
        let some = quote!(::backprop::tensor::some(#n[(#axis).index()]));
        Val::Opt(Box::new(Val::Tensor(mean)), Absent::Unless(some))
    }

    pub fn mean_axis_of_some(
        &mut self,
        v: V,
        axis: proc_macro2::TokenStream,
        span: proc_macro2::Span,
    ) -> V {
        let sum = self.sum_axis(v, axis.clone(), span);
        let Some(d) = self.g.dim(v) else { return sum };
        let n = crate::tensor::emit::dim_name(d);
        let count = self.count(quote!(#n[(#axis).index()]));
        let (s, ds) = (operand(sum), self.g.dim(sum));
        self.map(syn::parse_quote!(#s / #count), vec![sum], ds, span)
    }

    /// Asks for the length of an axis, as methods do that panic where there is none by that number.
    pub fn has_axis(&mut self, v: V, axis: &proc_macro2::TokenStream) {
        let known = super::axis_number(axis).zip(self.g.rank(v));
        if let (Some(d), false) = (self.g.dim(v), known.is_some_and(|(at, n)| at < n)) {
            let n = crate::tensor::emit::dim_name(d);
            let check = quote!(let _ = #n.slice()[(#axis).index()];);
            self.g.stmts.push(Stmt::Effect(check));
        }
    }

    /// The variance of all elements, or its square root.
    pub fn variance(
        &mut self,
        v: V,
        dim: Dim,
        ddof: proc_macro2::TokenStream,
        root: bool,
        span: proc_macro2::Span,
    ) -> V {
        let mean = self.mean_of_some(v, span);
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
        let all = self.count(quote!(#n.size()));
        let check = quote!(::backprop::tensor::degrees(#ddof, #all););
        self.g.stmts.push(Stmt::Effect(check));
        let count = self.constant_name(quote!(#all - (#ddof)));
        let mut out = self.map(syn::parse_quote!(#s / #count), vec![sum], None, span);
        if root {
            let s = operand(out);
            out = self.map(syn::parse_quote!(#s.sqrt()), vec![out], None, span);
        }
        out
    }

    /// The variance along an axis, or its square root.
    pub fn variance_axis(
        &mut self,
        v: V,
        axis: proc_macro2::TokenStream,
        ddof: proc_macro2::TokenStream,
        root: bool,
        span: proc_macro2::Span,
    ) -> Result<V> {
        let rank = self.g.rank(v);
        let Some(dim) = self.g.dim(v) else {
            return Err(Rejected);
        };
        self.has_axis(v, &axis);
        let mean = self.mean_axis_of_some(v, axis.clone(), span);
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
        let all = self.count(quote!(#n[(#axis).index()]));
        let check = quote!(::backprop::tensor::degrees(#ddof, #all););
        self.g.stmts.push(Stmt::Effect(check));
        let count = self.constant_name(quote!(#all - (#ddof)));
        let (s, ds) = (operand(sum), self.g.dim(sum));
        let mut out = self.map(syn::parse_quote!(#s / #count), vec![sum], ds, span);
        if root {
            let s = operand(out);
            out = self.map(syn::parse_quote!(#s.sqrt()), vec![out], ds, span);
        }
        Ok(out)
    }

    /// `x.mean().unwrap_or(y)`.
    pub fn mean_or(&mut self, m: &syn::ExprMethodCall) -> Result<Option<Val>> {
        let (syn::Expr::MethodCall(mean), Some(or)) = (&*m.receiver, m.args.first()) else {
            return Ok(None);
        };
        if m.method != "unwrap_or" || mean.method != "mean" || !mean.args.is_empty() {
            return Ok(None);
        }
        let receiver = match self.borrow(&mean.receiver)? {
            Some(place) => self.read(&place)?,
            None => self.expr(&mean.receiver)?,
        };
        let (Val::Tensor(v), span) = (receiver, m.span()) else {
            return self.reject(&m.method, &errors::TENSOR_METHOD_UNKNOWN);
        };
        let or = self.expr(or)?;
        let or = self.scalar_value(or, m)?;
        let Some(d) = self.g.dim(v) else {
            return Err(Rejected);
        };
        let n = crate::tensor::emit::dim_name(d);
        let count = self.count(quote!(#n.size()));
        let sum = self.g.push(Op::Sum(v), Ty::Scalar, span);
        let (s, y) = (operand(sum), operand(or));
        let zero = self.sig.elem.zero();
        let body = syn::parse_quote!(if #count > #zero { #s / #count } else { #y });
        let v = self.map(body, vec![sum, or], None, span);
        Ok(Some(Val::Scalar(v)))
    }

    /// One side of a matrix's diagonal, which is the `k`-th; zeros on the other.
    pub fn triangle(
        &mut self,
        v: V,
        upper: bool,
        k: proc_macro2::TokenStream,
        m: &syn::ExprMethodCall,
    ) -> Result<Val> {
        let (span, dim) = (m.span(), self.g.dim(v));
        let Some(d) = dim else { return Err(Rejected) };
        let n = crate::tensor::emit::dim_name(d);
        let (t, zero) = (self.sig.elem.tokens(), self.sig.elem.zero());
        let mask = quote!(::backprop::tensor::triangle::<#t>(&#n, #upper, #k));
        let mask = self.constant_tensor(mask, Some(2), span);
        let (a, b) = (operand(v), operand(mask));
        let body = syn::parse_quote!(if #b > #zero { #a } else { #zero });
        Ok(Val::Tensor(self.map(body, vec![v, mask], dim, span)))
    }
}
