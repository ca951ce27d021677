//! The bodies around a rule that the user supplies.
//!
//! In: the paths of the user's functions. Out: the residuals, and bodies of `forward`, `backward`, and of what is made of
//! the two. Gradients whose length is known at run time only are compared with their parameters: a short one would be
//! added in part.

use super::fused::check_lengths;
use super::generics::borrowed;
use super::{Field, Items};
use crate::custom::Custom;
use crate::emit::Emit;
use crate::reverse::{Gradient, buffer};
use crate::shape::Shape;
use crate::signature::local;
use crate::types::FloatTy;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;

impl Items<'_> {
    /// The fields of the residuals, and the bodies of `forward` and `backward`.
    pub(super) fn custom_split(&self, custom: &Custom) -> (Vec<Field>, TokenStream, TokenStream) {
        let sig = self.sig;
        let names: Vec<_> = sig.params.iter().map(|p| &p.ident).collect();
        let (y, saved, turbofish) = (local("y"), local("saved"), self.turbofish());
        let mut fields = Vec::new();
        for (k, p) in sig.params.iter().enumerate() {
            // With a forward pass of the user's the parameters are needed for their lengths alone.
            if custom.forward.is_some() && !(p.active && p.shape.gradient_is_dynamic()) {
                continue;
            }
            let ident = &p.ident;
            fields.push(Field {
                name: format_ident!("a{}", k),
                ty: if p.by_ref {
                    borrowed(&p.ty)
                } else {
                    p.ty.to_token_stream()
                },
                value: if p.by_ref {
                    quote!(#ident)
                } else {
                    quote!(::core::clone::Clone::clone(&#ident))
                },
            });
        }
        let (call, last) = match &custom.forward {
            Some((path, ty)) => {
                let field = Field {
                    name: format_ident!("kept"),
                    ty: ty.to_token_stream(),
                    value: local("kept").to_token_stream(),
                };
                let kept = local("kept");
                (quote!(let (#y, #kept) = #path(#(#names),*);), field)
            }
            None => {
                let function = &sig.ident;
                let field = Field {
                    name: format_ident!("y"),
                    ty: self.output.to_token_stream(),
                    value: quote!(::core::clone::Clone::clone(&#y)),
                };
                (quote!(let #y = #function #turbofish (#(#names),*);), field)
            }
        };
        fields.push(last);
        let residuals = &sig.residuals;
        // What is kept is made before the call, which may take the arguments by value.
        let early = fields[..fields.len() - 1].iter().map(|f| {
            let (n, v) = (local(&f.name.to_string()), &f.value);
            quote!(let #n = #v;)
        });
        let parts = fields[..fields.len() - 1].iter().map(|f| {
            let (n, v) = (&f.name, local(&f.name.to_string()));
            quote!(#n: #v)
        });
        let (last_name, last_value) = (
            &fields[fields.len() - 1].name,
            &fields[fields.len() - 1].value,
        );
        let forward = quote! {
            #(#early)*
            #call
            let #saved = #residuals { #(#parts,)* #last_name: #last_value };
            (#y, #saved)
        };
        let (backward, upstream) = (&custom.backward, local("upstream"));
        let at = syn::spanned::Spanned::span(backward);
        let call = match &custom.forward {
            Some(_) => quote_spanned!(at=> #backward(&#saved.kept, #upstream)),
            None => {
                let args = sig.params.iter().enumerate().map(|(k, p)| {
                    let field = format_ident!("a{}", k);
                    if p.by_ref {
                        quote!(#saved.#field)
                    } else {
                        quote!(::core::clone::Clone::clone(&#saved.#field))
                    }
                });
                quote_spanned!(at=> #backward(#(#args,)* ::core::clone::Clone::clone(&#saved.y), #upstream))
            }
        };
        let found: Vec<_> = sig
            .active()
            .map(|(_, p)| local(&format!("g_{}", p.ident.unraw())))
            .collect();
        let types: Vec<_> = sig.active().map(|(_, p)| p.shape.gradient_type()).collect();
        let unpack = match (found.as_slice(), types.as_slice()) {
            ([one], [ty]) => quote!(let #one: #ty = #call;),
            _ => quote!(let (#(#found,)*): (#(#types,)*) = #call;),
        };
        let lengths = sig.active().map(|(k, p)| {
            let (field, d) = (
                format_ident!("a{}", k),
                local(&format!("g_{}", p.ident.unraw())),
            );
            let text = format!(
                "the rule gives a gradient of another length for `{}`",
                p.ident.unraw()
            );
            check_lengths(&p.shape, quote!(#saved.#field), quote!(#d), &text)
        });
        let lengths: TokenStream = lengths.collect();
        let value = self.gradient_value();
        (fields, forward, quote!(#unpack #lengths #value))
    }

    /// `accumulate`, or with an upstream gradient of 1 what `value_and_gradient` is made of, from the two passes.
    pub(super) fn custom_fused(&self, empty: &Gradient, unit: bool) -> TokenStream {
        let sig = self.sig;
        let e = Emit::of_shapes(empty, sig, self.errors);
        let (y, saved, g, turbofish) = (local("y"), local("saved"), local("g"), self.turbofish());
        let names = sig.params.iter().map(|p| &p.ident);
        let upstream = match &sig.output {
            Shape::Float(f) if unit => match f {
                FloatTy::Generic(t) => quote!(#t::one()),
                f => {
                    let ty = f.tokens();
                    quote!((1.0 as #ty))
                }
            },
            _ => local("upstream").to_token_stream(),
        };
        let adds = sig.active().map(|(k, p)| {
            let (d, ident) = (buffer(sig, k), &p.ident);
            let to = match &p.shape {
                Shape::Float(_) => quote!((*#d)),
                _ => quote!(#d),
            };
            e.add_all((&p.shape, to), (&p.shape, quote!(#g.#ident)))
        });
        quote! {
            let (#y, #saved) = Self::forward #turbofish (#(#names),*);
            let #g = Self::backward(&#saved, #upstream);
            #(#adds)*
            #y
        }
    }
}
