//! `hvp`: the Hessian times a vector.
//!
//! In: the tangent of the gradient, a program like the gradient's with a tangent beside every value. Out: the function,
//! with the parameters of `jvp`, whose result is shaped like the gradient.

use super::Items;
use super::fused::owned;
use crate::emit::Emit;
use crate::forward::second_name;
use crate::graph::Primal;
use crate::reverse::{Gradient, buffer};
use crate::shape::Shape;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

impl Items<'_> {
    pub(super) fn hvp(&self, primal: &Primal, p: &Gradient, allow: &TokenStream) -> TokenStream {
        let sig = self.sig;
        let e = Emit::new(p, sig, self.errors, primal.reads.len() as u32);
        let items = &primal.items;
        let (tangents, checks) = self.tangents();
        // The gradient's own buffers, and those of its tangent.
        let starts = sig.active().map(|(k, param)| {
            let (own, d, ident) = (owned(sig, k), buffer(sig, k), &param.ident);
            let second = second_name(sig, k);
            let ty = param.shape.gradient_type();
            let zeros = e.zeros_like(&param.shape, &quote!(#ident));
            let used = crate::signature::local(&format!("g1_{}", ident.unraw()));
            quote! {
                let mut #used: #ty = #zeros;
                let #d = &mut #used;
                let mut #own: #ty = #zeros;
                let #second = &mut #own;
            }
        });
        let starts: TokenStream = starts.collect();
        let statements = e.region(p.body);
        let scalars = p.scalars.iter().map(|s| {
            let (second, value) = (second_name(sig, s.param), e.value(s.value));
            let mut place = quote!((*#second));
            let mut shape = sig.params[s.param].shape.clone();
            for k in &s.path {
                let member = shape.member(*k);
                place = quote!(#place.#member);
                shape = shape
                    .step(&crate::graph::Step::Field(*k))
                    .unwrap_or(Shape::Unknown);
            }
            quote!(#place = #value;)
        });
        let params = self.params(Some(primal));
        let receiver = sig.receiver.as_ref().map(|r| quote!(#r,));
        let (vis, generics) = (&self.item.vis, &sig.generics);
        let (clause, mention) = (&generics.where_clause, self.mention());
        let (function, gradient, value) = (
            self.function("hvp"),
            self.gradient_type(false),
            self.gradient_value(),
        );
        let doc = "The Hessian times a vector: the derivative of the gradient along the tangents, forward over reverse.\n\n# Panics\n\nIf a tangent has another length than its parameter.";
        quote! {
            #[doc = #doc]
            #allow
            #vis fn #function #generics (#receiver #(#params,)* #(#tangents),*) -> #gradient #clause {
                #mention
                #checks
                #(#items)*
                #starts
                #statements
                #(#scalars)*
                #value
            }
        }
    }
}
