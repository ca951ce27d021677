//! The bodies around a rule that the user supplies.
//!
//! In: the paths of the user's functions. Out: the residuals, and the bodies of `forward` and `backward` and of what is made of the
//! two. The rule gets the arguments as the function does, an array that it has returned behind a reference, and the upstream gradient. A
//! gradient of another shape than its parameter panics: it would be added in part.

use crate::custom::Custom;
use crate::signature::local;
use crate::tensor::emit::{adjoint, scalar_buffer};
use crate::tensor::graph::V;
use crate::tensor::items::{Bodies, Items};
use crate::tensor::signature::{Kind, Out, dimension, with_lifetime};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

impl Items<'_> {
    pub fn custom(&self, custom: &Custom) -> Bodies {
        let sig = self.sig;
        let names: Vec<_> = sig.params.iter().map(|p| &p.ident).collect();
        let (y, saved, up, g) = (local("y"), local("saved"), local("up"), local("g"));
        let mut residuals = Vec::new();
        let (mut early, mut passed) = (TokenStream::new(), Vec::new());
        for (k, p) in sig.params.iter().enumerate() {
            let (ident, field) = (&p.ident, format_ident!("a{}", k));
            let own = local(&format!("a{k}"));
            if custom.forward.is_none() {
                let value = match p.by_ref {
                    true => quote!(#ident),
                    false => quote!(::core::clone::Clone::clone(&#ident)),
                };
                early.extend(quote!(let #own = #value;));
                residuals.push((field.clone(), with_lifetime(&p.ty), quote!(#own)));
                passed.push(match p.by_ref {
                    true => quote!(#saved.#field),
                    false => quote!(::core::clone::Clone::clone(&#saved.#field)),
                });
            }
            let shape = match p.kind {
                Kind::Tensor(rank) if p.active => (dimension(rank), quote!(#ident.raw_dim())),
                Kind::List(rank) if p.active => {
                    let d = dimension(rank);
                    let all = quote!(#ident.iter().map(|__each| __each.raw_dim()).collect());
                    (quote!(::std::vec::Vec<#d>), all)
                }
                _ => continue,
            };
            let (field, own) = (format_ident!("shape{}", k), local(&format!("shape{k}")));
            let (ty, value) = shape;
            early.extend(quote!(let #own: #ty = #value;));
            residuals.push((field, ty, quote!(#own)));
        }
        let at = custom.backward.span();
        let backward = &custom.backward;
        let (call, rule) = match &custom.forward {
            Some((path, ty)) => {
                let kept = local("kept");
                residuals.push((
                    format_ident!("kept"),
                    ty.to_token_stream(),
                    kept.to_token_stream(),
                ));
                (
                    quote!(let (#y, #kept) = #path(#(#names),*);),
                    quote_spanned!(at=> #backward(&#saved.kept, #up)),
                )
            }
            None => {
                let (function, ty) = (&sig.ident, &sig.output_ty);
                let value = quote!(::core::clone::Clone::clone(&#y));
                residuals.push((format_ident!("y"), ty.to_token_stream(), value));
                let result = match sig.output {
                    Out::Scalar => quote!(#saved.y),
                    _ => quote!(&#saved.y),
                };
                (
                    quote!(let #y = #function(#(#names),*);),
                    quote_spanned!(at=> #backward(#(#passed,)* #result, #up)),
                )
            }
        };
        let parts = residuals
            .iter()
            .map(|(name, _, value)| quote!(#name: #value));
        let kept = &sig.residuals;
        let made = quote! {
            #early
            #call
            let #saved = #kept { #(#parts,)* of: ::core::marker::PhantomData };
        };
        let found: Vec<_> = (sig.active())
            .map(|(k, _)| format_ident!("__g_{}", k, span = proc_macro2::Span::mixed_site()))
            .collect();
        let types: Vec<_> = sig.active().map(|(_, p)| sig.owned(&p.kind)).collect();
        let unpack = match (found.as_slice(), types.as_slice()) {
            ([one], [ty]) => quote!(let #one: #ty = #rule;),
            _ => quote!(let (#(#found,)*): (#(#types,)*) = #rule;),
        };
        let checks = sig.active().zip(&found).filter_map(|((k, p), g)| {
            let shape = format_ident!("shape{}", k);
            let text = format!(
                "the rule gives a gradient of another shape for `{}`",
                p.ident.unraw()
            );
            match p.kind {
                Kind::Tensor(_) => {
                    Some(quote!(::core::assert!(#g.raw_dim() == #saved.#shape, #text);))
                }
                Kind::List(_) => Some(quote!(::core::assert!(
                    #g.len() == #saved.#shape.len() && #g.iter().zip(&#saved.#shape).all(|(__a, __b)| __a.raw_dim() == *__b),
                    #text
                );)),
                _ => None,
            }
        });
        let checks: TokenStream = checks.collect();
        let value = self.gradient_value();
        let both = |upstream: TokenStream, add: bool| {
            let adds = self.handed_over(add);
            quote! {
                let (#y, #saved) = Self::forward(#(#names),*);
                let #g = Self::backward(&#saved, #upstream);
                #adds
                #y
            }
        };
        let owned = owned(&sig.results, up.to_token_stream());
        let over = self.handed_over(false);
        Bodies {
            unit: match sig.output {
                Out::Scalar => both(self.one(), false),
                _ => TokenStream::new(),
            },
            accumulate: both(up.to_token_stream(), true),
            forward: quote!(#made (#y, #saved)),
            backward: quote!(#unpack #checks #value),
            saves: quote!(#made #saved),
            backward_into: quote!(let #g = Self::backward(#saved, #owned); #over),
            residuals,
            ..Bodies::default()
        }
    }

    /// Statements that hand a gradient over to the caller's buffers; floats are added to what is there.
    fn handed_over(&self, add: bool) -> TokenStream {
        let (positions, g) = (self.positions(), local("g"));
        let each = self.sig.active().map(|(k, p)| {
            let ident = &p.ident;
            let d = adjoint(V(positions[k]));
            match p.kind {
                Kind::Tensor(_) => {
                    quote!(::backprop::tensor::copy(#g.#ident.view(), #d.view_mut(), #add);)
                }
                Kind::List(_) => quote! {
                    for (__to, __from) in #d.iter_mut().zip(&#g.#ident) {
                        ::backprop::tensor::copy(__from.view(), __to.view_mut(), #add);
                    }
                },
                _ => {
                    let b = scalar_buffer(k);
                    quote!(*#b = *#b + #g.#ident;)
                }
            }
        });
        each.collect()
    }

    fn one(&self) -> TokenStream {
        match self.sig.float() {
            Some(t) => quote!(<#t as ::backprop::kernel::Real>::ONE),
            None => {
                let t = self.sig.elem.tokens();
                quote!((1.0 as #t))
            }
        }
    }
}

/// An upstream gradient that is borrowed, as `backward` takes it.
fn owned(out: &Out, at: TokenStream) -> TokenStream {
    match out {
        Out::Nothing | Out::Scalar => at,
        Out::Tensor(_) => quote!(#at.to_owned()),
        Out::Tuple(all) => {
            let all = all.iter().enumerate().map(|(k, out)| {
                let k = syn::Index::from(k);
                owned(out, quote!(#at.#k))
            });
            quote!((#(#all,)*))
        }
    }
}
