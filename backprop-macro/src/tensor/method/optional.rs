//! What may not be there: the mean of nothing, an element out of bounds, a shape that does not fit.
//!
//! In: methods that give an `Option` or a `Result`, and what unwraps it. Out: the value, and a check where it is unwrapped. What must hold: where there
//! is nothing the plain function's panic is raised, with its words; where it is not unwrapped, none.

use crate::errors::{self, Result};
use crate::tensor::emit::dim_name;
use crate::tensor::graph::*;
use crate::tensor::lower::{Absent, Lower, Val};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;

impl Lower<'_> {
    /// A method of an `Option` or a `Result`.
    pub fn option_method(
        &mut self,
        m: &syn::ExprMethodCall,
        name: &str,
        inner: Val,
        absent: Absent,
    ) -> Result<Val> {
        let how = match (name, m.args.first()) {
            ("copied" | "cloned", None) if !matches!(inner, Val::Tensor(_)) => {
                return Ok(Val::Opt(Box::new(inner), absent));
            }
            ("unwrap", None) => quote!(.unwrap()),
            ("expect", Some(text)) => {
                let text = self.constant(text)?;
                quote!(.expect(#text))
            }
            _ => return self.reject(&m.method, &errors::TENSOR_METHOD_UNKNOWN),
        };
        Ok(self.unwrapped(inner, absent, how, m.span()))
    }

    /// The first element of a tensor, or the last.
    pub fn end(&mut self, v: V, last: bool, span: Span) -> Val {
        let rank = self.g.rank(v).unwrap_or(0);
        let Some(n) = self.g.dim(v).map(dim_name).filter(|_| rank > 0) else {
            let element = self.element(v, quote!(()), span);
            return Val::Opt(Box::new(Val::Scalar(element)), Absent::Never);
        };
        let index = (0..rank).map(|k| match last {
            false => quote!(0),
            true => quote!(#n[#k] - 1),
        });
        let index = quote!([#(#index),*]);
        let some = quote!(::backprop::tensor::some(#n.size()));
        Val::Opt(Box::new(Val::Unit), Absent::Element(v, index, some))
    }

    /// `get`.
    pub fn element_if_any(&mut self, v: V, index: &syn::Expr) -> Result<Val> {
        let index = self.element_index(index)?;
        let n = self.g.dim(v).map(dim_name);
        let some = quote!(::backprop::tensor::viewed(&#n, |v| v.get(#index).map(|_| ())));
        let absent = Absent::Element(v, index, some);
        Ok(Val::Opt(Box::new(Val::Unit), absent))
    }

    /// A tensor whose shape is an `Option` or a `Result`.
    pub fn optional(&self, val: Val) -> Val {
        let absent = match &val {
            Val::Tensor(v) => self
                .g
                .dim(*v)
                .map_or(Absent::Never, |d| Absent::Shape(d, None)),
            _ => Absent::Never,
        };
        Val::Opt(Box::new(val), absent)
    }

    /// What is in an `Option`; where there is nothing, it panics as the plain function does.
    fn unwrapped(&mut self, inner: Val, absent: Absent, how: TokenStream, span: Span) -> Val {
        match absent {
            Absent::Never => inner,
            Absent::Shape(d, fits) => {
                if let Some(fits) = fits {
                    let check = quote!(::backprop::tensor::in_order(#fits) #how;);
                    self.g.stmts.push(Stmt::Effect(check));
                }
                self.g.unwrapped.insert(d, how);
                inner
            }
            Absent::Unless(some) => {
                self.g.stmts.push(Stmt::Effect(quote!(#some #how;)));
                inner
            }
            Absent::Element(v, index, some) => {
                self.g.stmts.push(Stmt::Effect(quote!(#some #how;)));
                Val::Scalar(self.element(v, index, span))
            }
            Absent::Item(list, index, some) => {
                self.g.stmts.push(Stmt::Effect(quote!(#some #how;)));
                let index = self.constant_name(index).to_token_stream();
                Val::Tensor(self.list_item(list, index, span))
            }
        }
    }
}
