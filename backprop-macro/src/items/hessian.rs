//! `hessian`: the second derivatives, for each pair of parameters.
//!
//! In: the signature; the products are the generated `hvp`. Out: the struct with one field for each differentiated
//! parameter, each again with one for each, and the function that fills it: one Hessian-vector product for each float of the
//! parameters. `h.w.x` is shaped like `w`, with the gradient of `x` in the place of each float: `h.w.x[i][k]` is
//! `∂²f/∂w[i]∂x[k]`.

use super::Items;
use super::jacobian::{Walk, column, number, row_parameter, within};
use crate::emit::Emit;
use crate::errors::{self, Errors};
use crate::forward::tangent_name;
use crate::shape::Shape;
use crate::signature::{Signature, local};
use crate::types::FloatTy;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;

/// Whether a Hessian has a type: the fields of a struct are floats, and cannot hold gradients.
pub fn possible(sig: &Signature, at: &Ident, errors: &Errors) -> bool {
    match sig.active().find(|(_, p)| p.shape.has_structs()) {
        Some((_, p)) => {
            let what = format!("`{}` holds a struct", p.ident.unraw());
            errors.reject_named(at, &errors::NO_HESSIAN, &what);
            false
        }
        None => true,
    }
}

impl Items<'_> {
    /// For each differentiated parameter the types of its row.
    fn hessian_types(&self) -> Vec<Vec<TokenStream>> {
        let row = |of: &Shape| {
            let all = self.sig.active();
            all.map(|(_, p)| within(of, &p.shape.gradient_type()))
                .collect()
        };
        self.sig.active().map(|(_, p)| row(&p.shape)).collect()
    }

    /// The type of each row: the struct of rows with the types of its fields.
    fn hessian_rows(&self) -> Vec<TokenStream> {
        let name = self.named("HessianRow");
        let row = |types: &Vec<TokenStream>| match self.sig.associated {
            true => quote!((#(#types,)*)),
            false => quote!(#name<#(#types),*>),
        };
        self.hessian_types().iter().map(row).collect()
    }

    /// The structs of the Hessian; none beside a method, where no item can stand.
    pub(super) fn hessian_structs(&self) -> TokenStream {
        let (name, row, vis) = (
            self.named("Hessian"),
            self.named("HessianRow"),
            &self.item.vis,
        );
        let doc = format!(
            "The Hessian of [`fn@{}`]: `h.a.b` holds the second derivatives with respect to `a` and `b`, for each pair of differentiated parameters.",
            self.sig.ident
        );
        let about = "The derivatives of the gradient of `{}`.";
        let hessian = self.by_parameter(&name, &self.hessian_rows(), &doc, about);
        let doc = format!(
            "Of [`{name}`] what belongs to one parameter: for each a field shaped like the former, with a gradient of the latter in the place of each float."
        );
        let kinds: Vec<Ident> = (0..self.sig.active().count()).map(row_parameter).collect();
        let fields = self.sig.active().zip(&kinds).map(|((_, p), kind)| {
            let ident = &p.ident;
            let doc = format!("The derivative with respect to `{}`.", ident.unraw());
            quote!(#[doc = #doc] #vis #ident: #kind)
        });
        quote! {
            #hessian
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(non_snake_case, non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis struct #row<#(#kinds),*> { #(#fields),* }
        }
    }

    /// The function `hessian`.
    pub(super) fn hessian(&self, e: &Emit, allow: &TokenStream) -> TokenStream {
        let sig = self.sig;
        let (function, hvp) = (self.function("hessian"), self.function("hvp"));
        let (vis, generics) = (&self.item.vis, &sig.generics);
        let (clause, turbofish, mention) =
            (&generics.where_clause, self.turbofish(), self.mention());
        let receiver = sig.receiver.as_ref().map(|r| quote!(#r,));
        let pass_self = sig.receiver.as_ref().map(|_| quote!(self,));
        let params = sig.params.iter().map(|p| {
            let (ident, ty) = (&p.ident, &p.ty);
            quote!(#ident: #ty)
        });
        // Every product takes the arguments anew.
        let args: Vec<TokenStream> = (sig.params.iter())
            .map(|p| {
                let ident = &p.ident;
                match &p.shape {
                    Shape::Float(_) => quote!(#ident),
                    _ if p.by_ref => quote!(#ident),
                    _ => quote!(::core::clone::Clone::clone(&#ident)),
                }
            })
            .collect();
        let tangents: Vec<TokenStream> = (sig.active())
            .map(|(k, p)| {
                let t = tangent_name(sig, k);
                match &p.shape {
                    Shape::Float(_) => quote!(#t),
                    Shape::Array(..) | Shape::Slice(_) | Shape::Vec(_) => quote!(&#t),
                    _ => quote!(::core::clone::Clone::clone(&#t)),
                }
            })
            .collect();
        let starts = sig.active().map(|(k, p)| {
            let (t, ty, ident) = (tangent_name(sig, k), p.shape.gradient_type(), &p.ident);
            let zeros = e.zeros_like(&p.shape, &quote!(#ident));
            quote!(let mut #t: #ty = #zeros;)
        });
        let leaf = |at: TokenStream, f: &FloatTy| {
            let (one, zero) = (number(true, f), number(false, f));
            let row = local("row");
            quote!({
                #at = #one;
                let #row = Self::#hvp #turbofish (#pass_self #(#args,)* #(#tangents),*);
                #at = #zero;
                #row
            })
        };
        let gradient = self.gradient_type(false);
        let rows_name = |k: usize| local(&format!("rows_{}", sig.params[k].ident.unraw()));
        let rows = sig.active().map(|(k, p)| {
            let (name, t, ty) = (
                rows_name(k),
                tangent_name(sig, k),
                within(&p.shape, &gradient),
            );
            let all = Walk { leaf: &leaf }.over(&p.shape, quote!(#t), 0);
            quote!(let mut #name: #ty = #all;)
        });
        let values: Vec<TokenStream> = (sig.active())
            .map(|(k, of)| {
                let parts = (sig.active().enumerate())
                    .map(|(n, (_, p))| {
                        column(&of.shape, &rows_name(k), &self.gradient_member(n), &p.shape)
                    })
                    .collect::<Vec<_>>();
                self.by_parameter_value(&self.named("HessianRow"), &parts)
            })
            .collect();
        let name = self.named("Hessian");
        let (ty, value) = (
            self.by_parameter_type(&name, &self.hessian_rows()),
            self.by_parameter_value(&name, &values),
        );
        let first = self.gradient_member(0).to_string();
        let doc = format!(
            "The Hessian: `h.{first}.{first}` holds the second derivatives with respect to `{}`, and so on for each pair of parameters. It takes one Hessian-vector product for each float of the parameters.\n\n```text\nlet h = {};\n```",
            self.first_parameter(),
            self.example("hessian"),
        );
        quote! {
            #[doc = #doc]
            #allow
            #vis fn #function #generics (#receiver #(#params),*) -> #ty #clause {
                #mention
                #(#starts)*
                #(#rows)*
                #value
            }
        }
    }
}
