//! The types of a function's own: `FGradient` and `FResiduals`.
//!
//! In: the signature and the fields that the split passes keep. Out: both structs, and how they are named. What must hold: a
//! method's gradient is a tuple, as no item can stand beside it in an `impl`.

use super::{Field, Items, fused::owned, generics::borrows, generics::elided};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;

impl Items<'_> {
    pub(super) fn gradient_fields(&self) -> Vec<(Ident, TokenStream)> {
        self.sig
            .active()
            .map(|(_, p)| (p.ident.clone(), p.shape.gradient_type()))
            .collect()
    }

    pub(super) fn gradient_type(&self, elide: bool) -> TokenStream {
        let types: Vec<TokenStream> = self.gradient_fields().into_iter().map(|f| f.1).collect();
        if self.sig.associated {
            return quote!((#(#types,)*));
        }
        let name = &self.sig.gradient;
        let args = Self::arguments(&self.mentioned(&quote!(#(#types)*)), elide);
        if args.is_empty() {
            quote!(#name)
        } else {
            quote!(#name<#(#args),*>)
        }
    }

    pub(super) fn gradient_value(&self) -> TokenStream {
        let values: Vec<Ident> = self.sig.active().map(|(k, _)| owned(self.sig, k)).collect();
        if self.sig.associated {
            return quote!((#(#values,)*));
        }
        let name = &self.sig.gradient;
        let fields = self.sig.active().map(|(_, p)| &p.ident);
        quote!(#name { #(#fields: #values),* })
    }

    pub(super) fn gradient_struct(&self) -> TokenStream {
        let (name, vis) = (&self.sig.gradient, &self.item.vis);
        let fields = self.gradient_fields();
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.1).collect();
        let (generics, clause) = self.declared(self.mentioned(&quote!(#(#types)*)));
        let generics = if generics.is_empty() {
            generics
        } else {
            quote!(<#generics>)
        };
        let doc = format!(
            "The gradient of [`fn@{}`]: one field for each differentiated parameter, shaped like it.",
            self.sig.ident
        );
        let fields = fields.iter().map(|(ident, ty)| {
            let doc = format!("The derivative with respect to `{}`.", ident.unraw());
            quote!(#[doc = #doc] #vis #ident: #ty)
        });
        quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(non_snake_case, non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis struct #name #generics #clause { #(#fields),* }
        }
    }

    // ---- the residuals ----

    pub(super) fn residuals_struct(&self, fields: &[Field]) -> TokenStream {
        let (name, vis) = (&self.sig.residuals, &self.item.vis);
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.ty).collect();
        let all = quote!(#(#types)*);
        let mut params = Vec::new();
        if borrows(&all) {
            params.push(quote!('__bp));
        }
        let (bare, clause) = self.declared(self.mentioned(&all));
        if !bare.is_empty() {
            params.push(bare);
        }
        let generics = if params.is_empty() {
            TokenStream::new()
        } else {
            quote!(<#(#params),*>)
        };
        let doc = format!(
            "What the forward pass of [`fn@{}`] keeps for the backward pass.",
            self.sig.ident
        );
        let fields = fields.iter().map(|f| {
            let (name, ty) = (&f.name, &f.ty);
            quote!(#name: #ty)
        });
        // A type of the user's may have neither.
        let known = self
            .sig
            .params
            .iter()
            .all(|p| p.shape.is_known() && !p.shape.has_structs())
            && !self.sig.names.uses_structs();
        let derives = known.then(|| quote!(#[derive(::core::clone::Clone, ::core::fmt::Debug)]));
        quote! {
            #[doc = #doc]
            #derives
            #[allow(unused, non_snake_case, non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis struct #name #generics #clause { #(#fields),* }
        }
    }

    pub(super) fn residuals_type(&self, fields: &[Field], elide: bool) -> TokenStream {
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.ty).collect();
        let all = quote!(#(#types)*);
        if self.sig.associated {
            if !elide {
                return quote!((#(#types,)*));
            }
            let types: Vec<TokenStream> = types.iter().map(|t| elided((*t).clone())).collect();
            return quote!((#(#types,)*));
        }
        let name = &self.sig.residuals;
        let mut args = Vec::new();
        if borrows(&all) {
            args.push(if elide { quote!('_) } else { quote!('__bp) });
        }
        args.extend(Self::arguments(&self.mentioned(&all), elide));
        if args.is_empty() {
            quote!(#name)
        } else {
            quote!(#name<#(#args),*>)
        }
    }
}
