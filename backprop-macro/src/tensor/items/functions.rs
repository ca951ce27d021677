//! The functions around the bodies: their signatures, documentation and checks of buffers.

use crate::signature::local;
use crate::tensor::emit::{adjoint, scalar_buffer};
use crate::tensor::graph::V;
use crate::tensor::items::{Bodies, Items};
use crate::tensor::signature::{Kind, Out, TensorSig, with_lifetime};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

impl Items<'_> {
    pub fn functions(&self, bodies: Option<&Bodies>) -> TokenStream {
        let sig = self.sig;
        let vis = &self.item.vis;
        let output = &sig.output_ty;
        let (args, _) = self.generics();
        let generics = &sig.generics;
        let clause = &generics.where_clause;
        let names: Vec<&Ident> = sig.params.iter().map(|p| &p.ident).collect();
        let params: Vec<TokenStream> = sig
            .params
            .iter()
            .map(|p| {
                let (ident, ty) = (&p.ident, &p.ty);
                quote!(#ident: #ty)
            })
            .collect();
        let positions = self.positions();
        let mut buffers = Vec::new();
        let mut buffer_names = Vec::new();
        let mut own_buffers = Vec::new();
        let mut own_starts = TokenStream::new();
        let mut fitted = TokenStream::new();
        let mut checks = TokenStream::new();
        let mut saved_checks = TokenStream::new();
        let mut clears = TokenStream::new();
        for (k, p) in sig.active() {
            let own = format_ident!("__g_{}", k, span = proc_macro2::Span::mixed_site());
            let (ty, ident) = (sig.buffer(&p.kind), &p.ident);
            let name = match p.kind {
                Kind::Tensor(_) | Kind::List(_) => adjoint(V(positions[k])),
                _ => scalar_buffer(k),
            };
            match p.kind {
                Kind::List(_) => {
                    let text = format!(
                        "the buffers for the gradient of `{}` have other shapes",
                        ident.unraw()
                    );
                    let (saved, shape) = (local("saved"), format_ident!("shape{}", k));
                    checks.extend(quote!(::core::assert!(
                        #name.len() == #ident.len() && #name.iter().zip(#ident.iter()).all(|(__a, __b)| __a.shape() == __b.shape()),
                        #text
                    );));
                    saved_checks.extend(quote!(::core::assert!(
                        #name.len() == #saved.#shape.len() && #name.iter().zip(&#saved.#shape).all(|(__a, __b)| __a.raw_dim() == *__b),
                        #text
                    );));
                    own_starts.extend(quote!(let mut #own: ::std::vec::Vec<_> = #ident
                        .iter()
                        .map(|__each| ::backprop::tensor::ndarray::Array::zeros(__each.raw_dim()))
                        .collect();));
                    fitted.extend(quote! {
                        __gradient.#ident.resize_with(#ident.len(), ::backprop::tensor::empty);
                        for (__to, __from) in __gradient.#ident.iter_mut().zip(#ident.iter()) {
                            ::backprop::tensor::fit(__to, &__from.raw_dim());
                        }
                    });
                }
                Kind::Tensor(_) => {
                    let text = format!(
                        "the buffer for the gradient of `{}` has another shape",
                        ident.unraw()
                    );
                    checks.extend(quote!(::core::assert!(#name.shape() == #ident.shape(), #text);));
                    let shape = format_ident!("shape{}", k);
                    let saved = local("saved");
                    saved_checks
                        .extend(quote!(::core::assert!(#name.raw_dim() == #saved.#shape, #text);));
                    own_starts.extend(quote!(let mut #own = ::backprop::tensor::ndarray::Array::zeros(#ident.raw_dim());));
                    fitted.extend(
                        quote!(::backprop::tensor::fit(&mut __gradient.#ident, &#ident.raw_dim());),
                    );
                }
                _ => {
                    let zero = self.zero();
                    clears.extend(quote!(*#name = #zero;));
                    own_starts.extend(quote!(let mut #own = #zero;));
                    fitted.extend(quote!(__gradient.#ident = #zero;));
                }
            }
            buffers.push(quote!(#name: &mut #ty));
            buffer_names.push(name);
            own_buffers.push(quote!(&mut #own));
        }
        let stub = quote!(::core::unreachable!("this function was not differentiated"));
        let body = |f: fn(&Bodies) -> &TokenStream| bodies.map_or(stub.clone(), |b| f(b).clone());
        let (gradient, residuals, workspace) = (&sig.gradient, &sig.residuals, &sig.workspace);
        let upstream = local("up");
        let saved = local("saved");
        let value = self.gradient_value();
        let mention = if sig.params.iter().any(|p| p.ident == sig.ident) {
            TokenStream::new()
        } else {
            let ident = &sig.ident;
            let turbofish = sig.float().map(|t| quote!(::<#t>));
            quote!(let _ = #ident #turbofish;)
        };

        // forward and backward
        let life_params: Vec<TokenStream> = sig
            .params
            .iter()
            .map(|p| {
                let (ident, ty) = (&p.ident, with_lifetime(&p.ty));
                quote!(#ident: #ty)
            })
            .collect();
        let types: Vec<&syn::TypeParam> = generics.type_params().collect();
        let (life, elided) = match sig.float() {
            Some(t) => (quote!(<'__bp, #t>), quote!(<'_, #t>)),
            None => (quote!(<'__bp>), quote!(<'_>)),
        };
        let type_clause = if generics.lifetimes().next().is_some() {
            None
        } else {
            clause.as_ref()
        };
        let forward = body(|b| &b.forward);
        let backward = body(|b| &b.backward);
        let accumulate = body(|b| &b.accumulate);
        let unit = body(|b| &b.unit);
        let saves = body(|b| &b.saves);
        let backward_into = match bodies {
            Some(b) => {
                let body = &b.backward_into;
                quote!(#saved_checks #clears #body)
            }
            None => stub.clone(),
        };
        let upstream_ref = reference(&sig.output, sig);
        let list = sig
            .params
            .iter()
            .map(|p| p.ident.unraw().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let name = sig.ident.unraw().to_string();
        let doc = |text: &str, example: String| format!("{text}\n\n```text\n{example}\n```");
        let doc_forward = doc(
            "The forward pass: the value, and what the backward pass needs.",
            format!("let (y, saved) = {name}::forward({list});"),
        );
        let doc_backward = doc(
            "The backward pass, from the residuals and the upstream gradient, shaped like the result.",
            format!("let gradient = {name}::backward(&saved, upstream);"),
        );
        let doc_saves = doc(
            "What the backward pass needs, without the value: of a function that is linear it is a matter of borrowing.",
            format!("let saved = {name}::residuals({list});"),
        );
        let doc_backward_into = doc(
            "As `backward`; the gradient is written to the buffers, one for each differentiated parameter, in order. The upstream \
             gradient is borrowed.\n\n# Panics\n\nBefore anything is written, if a buffer has another shape than its parameter.",
            format!("{name}::backward_into(&saved, upstream, &mut buffer, …);"),
        );
        let panics = "# Panics\n\nAs the function does; and before anything is written, if a buffer has another shape than its parameter.";
        let doc_accumulate = doc(
            &format!(
                "The value; `upstream` times the gradient is added to the buffers.\n\n{panics}"
            ),
            format!("let y = {name}::accumulate({list}, upstream, &mut buffer, …);"),
        );
        let (mut pulled, mut parts) = (Vec::new(), Vec::new());
        for p in &sig.params {
            if p.active {
                let ident = &p.ident;
                pulled.push(sig.owned(&p.kind));
                parts.push(quote!(#saved.#ident));
            } else {
                pulled.push(quote!(()));
                parts.push(quote!(()));
            }
        }
        let mut out = quote! {
            #[doc = #doc_forward]
            #vis fn forward<'__bp, #(#types),*>(#(#life_params),*) -> (#output, #residuals #life) #type_clause { #mention #forward }

            #[doc = #doc_backward]
            #vis fn backward<#(#types),*>(#saved: &#residuals #elided, #upstream: #output) -> #gradient #args #type_clause { #backward }

            #[doc = #doc_saves]
            #vis fn residuals<'__bp, #(#types),*>(#(#life_params),*) -> #residuals #life #type_clause { #mention #saves }

            #[doc = #doc_backward_into]
            #vis fn backward_into<#(#types),*>(#saved: &#residuals #elided, #upstream: #upstream_ref, #(#buffers),*) #type_clause {
                #backward_into
            }

            #[doc(hidden)]
            #vis fn __pullback<#(#types),*>(#saved: &#residuals #elided, #upstream: #output) -> (#(#pulled,)*) #type_clause {
                let #saved = Self::backward(#saved, #upstream);
                (#(#parts,)*)
            }

            #[doc = #doc_accumulate]
            #vis fn accumulate #generics (#(#params,)* #upstream: #output, #(#buffers),*) -> #output #clause { #mention #checks #accumulate }
        };
        if !matches!(sig.output, Out::Scalar) {
            return out;
        }
        let doc_descend = doc(
            "One step of gradient descent: the value; `rate` times the gradient is subtracted from the differentiated parameters, in place. \
             What a product contributes is added to them as it is computed, so that a large gradient is neither written nor read. With shapes \
             as in the last call, nothing is allocated.",
            format!(
                "let mut workspace = {workspace}::default();\nlet y = {name}::descend_with(&mut workspace, rate, &mut …, …);"
            ),
        );
        let moved = sig.params.iter().map(|p| {
            let (ident, ty) = (&p.ident, &p.ty);
            if p.active {
                let (ty, _) = self.moved(p, ident);
                quote!(#ident: &mut #ty)
            } else {
                quote!(#ident: #ty)
            }
        });
        let elem = sig.elem.tokens();
        let descend = match bodies {
            Some(bodies) => bodies.descend.clone(),
            None => Some(stub.clone()),
        };
        let descend = descend.map(|body| {
            quote! {
                #[doc = #doc_descend]
                #vis fn descend_with #generics (__ws: &mut #workspace #args, __rate: #elem, #(#moved),*) -> #output #clause {
                    #mention
                    #body
                }
            }
        });
        let doc_into = doc(
            &format!(
                "The value; the gradient is written to the buffers, one for each differentiated parameter, in order.\n\n{panics}"
            ),
            format!("let y = {name}::value_and_gradient_into({list}, &mut buffer, …);"),
        );
        let doc_both = doc(
            "The value and the gradient.",
            format!("let (y, gradient) = {name}::value_and_gradient({list});"),
        );
        let doc_gradient = doc(
            "The gradient.",
            format!("let gradient = {name}::gradient({list});"),
        );
        let doc_with = doc(
            "The value and the gradient, which stays in the workspace. With shapes as in the last call, nothing is allocated.",
            format!(
                "let mut workspace = {workspace}::default();\nlet (y, gradient) = {name}::value_and_gradient_with(&mut workspace, {list});"
            ),
        );
        let with_generics = with_workspace(generics);
        let active_names: Vec<&Ident> = sig.active().map(|(_, p)| &p.ident).collect();
        let gradient_fields: Vec<TokenStream> = sig
            .active()
            .map(|(_, p)| match p.kind {
                Kind::Tensor(_) => {
                    let ident = &p.ident;
                    quote!(#ident: ::backprop::tensor::empty())
                }
                Kind::List(_) => {
                    let ident = &p.ident;
                    quote!(#ident: ::std::vec::Vec::new())
                }
                _ => {
                    let (ident, zero) = (&p.ident, self.zero());
                    quote!(#ident: #zero)
                }
            })
            .collect();
        out.extend(quote! {
            #[doc(hidden)]
            fn __unit #generics (__ws: &mut #workspace #args, #(#params,)* #(#buffers),*) -> #output #clause { #mention #clears #unit }

            #[doc = #doc_into]
            #vis fn value_and_gradient_into #generics (#(#params,)* #(#buffers),*) -> #output #clause {
                #checks
                Self::__unit(&mut <#workspace #args as ::core::default::Default>::default(), #(#names,)* #(#buffer_names),*)
            }

            #[doc = #doc_with]
            #vis fn value_and_gradient_with #with_generics (__ws: &'__ws mut #workspace #args, #(#params),*) -> (#output, &'__ws #gradient #args) #clause {
                let mut __gradient = match __ws.gradient.take() {
                    ::core::option::Option::Some(__gradient) => __gradient,
                    ::core::option::Option::None => #gradient { #(#gradient_fields),* },
                };
                #fitted
                let __y = Self::__unit(__ws, #(#names,)* #(&mut __gradient.#active_names),*);
                (__y, &*__ws.gradient.insert(__gradient))
            }

            #descend

            #[doc = #doc_both]
            #vis fn value_and_gradient #generics (#(#params),*) -> (#output, #gradient #args) #clause {
                #own_starts
                let __y = Self::__unit(&mut <#workspace #args as ::core::default::Default>::default(), #(#names,)* #(#own_buffers),*);
                (__y, #value)
            }

            #[doc = #doc_gradient]
            #vis fn gradient #generics (#(#params),*) -> #gradient #args #clause {
                Self::value_and_gradient(#(#names),*).1
            }
        });
        out
    }
}

/// The type of a borrowed upstream gradient.
pub fn reference(out: &Out, sig: &TensorSig) -> TokenStream {
    match out {
        Out::Scalar => sig.elem.tokens(),
        Out::Tensor(rank) => {
            let ty = sig.buffer(&Kind::Tensor(*rank));
            quote!(&#ty)
        }
        Out::Tuple(all) => {
            let all = all.iter().map(|o| reference(o, sig));
            quote!((#(#all,)*))
        }
    }
}

/// With a lifetime for what stays in the workspace.
pub fn with_workspace(generics: &syn::Generics) -> TokenStream {
    let mut g = generics.clone();
    g.params.insert(0, syn::parse_quote!('__ws));
    quote!(#g)
}
