//! Products, sums and means.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, Val};
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

    /// A number of elements as a float, less something.
    pub fn count(
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

    pub fn mean(&mut self, v: V, span: proc_macro2::Span) -> V {
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
    ) -> V {
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
}
