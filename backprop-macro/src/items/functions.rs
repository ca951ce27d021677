//! The functions of the namespace: their signatures, documentation and order.
//!
//! In: the bodies. Out: `forward`, `backward`, `accumulate` and, for scalar results, `value_and_gradient` and its kin. What must
//! hold: the names and types of the public contract, with or without bodies, so that a stub has the promised signature.

use super::{
    Field, Items, Programs, fused::owned, generics::borrowed, generics::borrows,
    generics::identifiers, generics::references_elided, stub,
};
use crate::emit::Emit;
use crate::reverse::buffer;
use crate::signature::{Param, local};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use std::collections::BTreeSet;
use syn::ext::IdentExt;

impl Items<'_> {
    pub(super) fn functions(
        &self,
        programs: Option<&Programs>,
        fields: &[Field],
        forward: TokenStream,
        backward: TokenStream,
        derivation: &str,
    ) -> TokenStream {
        let sig = self.sig;
        let vis = &self.item.vis;
        let output = &self.output;
        let generics = &sig.generics;
        let clause = &generics.where_clause;
        let receiver = sig.receiver.as_ref().map(|r| quote!(#r,));
        // Where the function changes what it is differentiated with respect to, the body needs a `self` that it can change.
        let changed_self = (programs.map(|p| &p.primal))
            .filter(|p| {
                let mut all = sig.params.iter().zip(&p.params);
                all.any(|(param, source)| param.is_self() && !param.by_ref && p.mutates(source))
            })
            .map(|_| quote!(mut self,));
        let own_receiver = changed_self.or_else(|| receiver.clone());
        let pass_self = sig.receiver.as_ref().map(|_| quote!(self,));
        let plain: Vec<TokenStream> = sig
            .params
            .iter()
            .filter(|p| !p.is_self())
            .map(|p| {
                let (ident, ty) = (&p.ident, &p.ty);
                quote!(#ident: #ty)
            })
            .collect();
        let params = self.params(programs.map(|p| &p.primal));
        let names: Vec<&Ident> = (sig.params.iter())
            .filter(|p| !p.is_self())
            .map(|p| &p.ident)
            .collect();
        let buffers: Vec<TokenStream> = sig
            .active()
            .map(|(k, p)| {
                let (d, ty) = (buffer(sig, k), p.shape.buffer_type());
                quote!(#d: &mut #ty)
            })
            .collect();
        let buffer_names: Vec<Ident> = sig.active().map(|(k, _)| buffer(sig, k)).collect();
        let turbofish = self.turbofish();
        let checks = self.checks();
        let mention = self.mention();
        let upstream = local("upstream");
        // Shaped like the result; a struct's gradient is a struct of its own.
        let incoming = if sig.output.has_structs() || sig.returns_nothing {
            sig.output.gradient_type()
        } else {
            output.to_token_stream()
        };
        let [
            f_forward,
            f_backward,
            f_gradient,
            f_both,
            f_into,
            f_accumulate,
            f_unit,
            f_pullback,
        ] = [
            "forward",
            "backward",
            "gradient",
            "value_and_gradient",
            "value_and_gradient_into",
            "accumulate",
            "__unit",
            "__pullback",
        ]
        .map(|n| self.function(n));
        let allow = sig.associated.then(|| quote!(#[allow(unused, non_snake_case, deprecated, unreachable_code, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]));
        let call = if sig.associated {
            format!("value.{}", sig.ident)
        } else {
            sig.ident.to_string()
        };
        let example = |text: &str| {
            let args = sig
                .params
                .iter()
                .filter(|p| !p.is_self())
                .map(|p| p.ident.unraw().to_string())
                .collect::<Vec<_>>()
                .join(", ");
            format!(
                "{}\n\n```text\n{}\n```",
                text.split("\n\n").next().unwrap_or(text),
                text.split("\n\n")
                    .nth(1)
                    .unwrap_or("")
                    .replace("ARGS", &args)
                    .replace("F", &call)
            )
        };
        let sep = if sig.associated { "_" } else { "::" };

        // What the user asks for the function holds for its derivatives; loops that call them may only then vectorise.
        let asked = self.item.attrs.iter().find(|a| a.path().is_ident("inline"));
        let inline = asked.map_or_else(|| quote!(#[inline]), ToTokens::to_token_stream);

        // forward, with the lifetime of what the residuals borrow
        let residuals = self.residuals_type(fields, false);
        let borrowing = borrows(&quote!(#residuals));
        let forward_receiver = match &sig.receiver {
            Some(r) if borrowing && sig.params.iter().any(|p| p.is_self() && p.is_borrowed()) => {
                match &r.kind {
                    syn::ReceiverKind::Reference(_, None, _) => Some(quote!(&'__bp self,)),
                    _ => own_receiver.clone(),
                }
            }
            _ => own_receiver.clone(),
        };
        let forward_params: Vec<TokenStream> = sig
            .params
            .iter()
            .filter(|p| !p.is_self())
            .zip(&params)
            .map(|(p, written)| {
                if p.is_borrowed() && borrowing && references_elided(&p.ty) {
                    let (ident, ty) = (&p.ident, borrowed(&p.ty));
                    quote!(#ident: #ty)
                } else {
                    written.clone()
                }
            })
            .collect();
        let forward_generics = if borrowing {
            let mut g = generics.clone();
            g.params.insert(0, syn::parse_quote!('__bp));
            g
        } else {
            generics.clone()
        };
        let definitions = sig.names.checks();
        let doc_forward = example(&format!(
            "The forward pass: the value, and what the backward pass needs.\n\nlet (y, saved) = F{sep}forward(ARGS);"
        ));
        let mut out = quote! {
            #[doc = #doc_forward]
            #allow
            #inline
            #vis fn #f_forward #forward_generics (#forward_receiver #(#forward_params),*) -> (#output, #residuals) #clause { #mention #definitions #forward }
        };

        // backward
        let gradient = self.gradient_type(false);
        let saved = local("saved");
        let elided_residuals = self.residuals_type(fields, true);
        let types = quote!(#gradient #incoming #residuals);
        let mut backward_generics = self.mentioned(&types);
        if self.sig.receiver.is_none() {
            let lifetimes: Vec<syn::GenericParam> = backward_generics
                .params
                .iter()
                .filter(|p| !matches!(p, syn::GenericParam::Lifetime(_)))
                .cloned()
                .collect();
            backward_generics.params = lifetimes.into_iter().collect();
            if let Some(clause) = &mut backward_generics.where_clause {
                clause.predicates = std::mem::take(&mut clause.predicates)
                    .into_iter()
                    .filter(|p| {
                        let mut names = BTreeSet::new();
                        identifiers(p.to_token_stream(), &mut names);
                        !names.iter().any(|n| n.starts_with('\''))
                    })
                    .collect();
            }
        }
        let backward_clause = &backward_generics.where_clause;
        // A method's derivation stands with the function that is there in any case.
        let derivation = if sig.associated { derivation } else { "" };
        let doc_backward = example(&format!(
            "The backward pass, from the residuals and the upstream gradient, shaped like the result.\n\nlet gradient = F{sep}backward(&saved, upstream);"
        )) + derivation;
        let (mut pulled, mut parts) = (Vec::new(), Vec::new());
        let constant_self = sig.receiver.is_some() && !sig.params.iter().any(Param::is_self);
        if constant_self {
            pulled.push(quote!(()));
            parts.push(quote!(()));
        }
        for (k, p) in sig.params.iter().enumerate() {
            pulled.push(match p.active {
                true => p.shape.gradient_type(),
                false => quote!(()),
            });
            let (ident, at) = (&p.ident, sig.active().position(|(j, _)| j == k));
            parts.push(match at.map(syn::Index::from) {
                None => quote!(()),
                Some(at) if sig.associated => quote!(#saved.#at),
                Some(_) => quote!(#saved.#ident),
            });
        }
        let backward_fn = quote! {
            #[doc = #doc_backward]
            #allow
            #inline
            #vis fn #f_backward #backward_generics (#receiver #saved: &#elided_residuals, #upstream: #incoming) -> #gradient #backward_clause
        };
        // What a call pulls back through: the gradients in the order of all parameters.
        let pullback_fn = |receiver: &Option<TokenStream>| {
            quote! {
                #[doc(hidden)]
                #allow
                #inline
                #vis fn #f_pullback #backward_generics (#receiver #saved: &#elided_residuals, #upstream: #incoming) -> (#(#pulled,)*) #backward_clause
            }
        };
        if sig.receiver.is_some() && !constant_self {
            // `self` is in the residuals, as far as it is needed: a caller need not have one.
            let function = pullback_fn(&None);
            let active = (sig.params.iter().enumerate())
                .filter(|(_, p)| p.active)
                .map(|(k, _)| syn::Index::from(k));
            out.extend(quote! {
                #backward_fn {
                    let #saved = Self::#f_pullback(#saved, #upstream);
                    (#(#saved.#active,)*)
                }
                #function {
                    let #saved: #gradient = { #backward };
                    (#(#parts,)*)
                }
            });
        } else {
            let function = pullback_fn(&receiver);
            out.extend(quote! {
                #backward_fn { #backward }
                #function {
                    let #saved = Self::#f_backward(#pass_self #saved, #upstream);
                    (#(#parts,)*)
                }
            });
        }

        // accumulate
        let accumulate = programs.map_or_else(stub, |p| self.fused(&p.primal, &p.upstream, false));
        let doc = "The value; `upstream` times the gradient is added to the buffers.";
        let doc = format!(
            "{}\n\n# Panics\n\nBefore anything is written, if a buffer has another length than its parameter.\n\n```text\nlet y = {call}{sep}accumulate({}, upstream, &mut buffer, …);\n```",
            doc,
            names
                .iter()
                .map(|n| n.unraw().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        );
        out.extend(quote! {
            #[doc = #doc]
            #allow
            #inline
            #vis fn #f_accumulate #generics (#own_receiver #(#params,)* #upstream: #incoming, #(#buffers),*) -> #output #clause { #mention #checks #accumulate }
        });
        if let Some((primal, jvp)) = programs.and_then(|p| p.jvp.as_ref().map(|j| (&p.primal, j))) {
            out.extend(self.jvp(primal, jvp, &quote!(#allow)));
        }
        if let Some((primal, hvp)) = programs.and_then(|p| p.hvp.as_ref().map(|h| (&p.primal, h))) {
            out.extend(self.hvp(primal, hvp, &quote!(#allow)));
        }
        if let Some(p) = programs {
            let e = Emit::of_shapes(&p.split, sig, self.errors);
            if p.jacobian {
                out.extend(self.jacobian(&e, &quote!(#allow)));
            }
            if p.hessian {
                out.extend(self.hessian(&e, &quote!(#allow)));
            }
        }
        if !sig.has_scalar_result() {
            return out;
        }

        // for scalar results
        let unit = match programs.and_then(|p| p.unit.as_ref().map(|u| (&p.primal, u))) {
            Some((primal, unit)) => self.fused(primal, unit, true),
            None => stub(),
        };
        if let Some((primal, trace)) =
            (programs.filter(|p| p.traced)).and_then(|p| p.trace.as_ref().map(|t| (&p.primal, t)))
        {
            let body = self.trace(primal, trace);
            let f_trace = self.function("trace");
            out.extend(quote! {
                /// Every node of the graph, in the order of evaluation: what it computes, its value, and the derivative of
                /// the result with respect to it.
                #allow
                #vis fn #f_trace #generics (#receiver #(#plain),*) -> ::std::vec::Vec<(&'static ::core::primitive::str, #output, #output)> #clause { #body }
            });
        }
        let drawn =
            (programs.filter(|p| p.graph)).and_then(|p| p.trace.as_ref().map(|t| (&p.primal, t)));
        if let Some((primal, trace)) = drawn
            && let Some(body) = self.wires(primal, trace)
        {
            let f_graph = self.function("graph");
            out.extend(quote! {
                /// The computational graph as an SVG: above each wire the value, below it the derivative of the result
                /// with respect to it.
                #allow
                #vis fn #f_graph #generics (#receiver #(#plain),*) -> ::std::string::String #clause { #body }
            });
        }
        let zeros = self.clears(programs);
        let starts = self.starts(programs);
        let owned_names: Vec<Ident> = sig.active().map(|(k, _)| owned(sig, k)).collect();
        let value = self.gradient_value();
        let y = local("y");
        let doc_into = format!(
            "The value; the gradient is written to the buffers, one for each differentiated parameter, in order.\n\n# Panics\n\nBefore anything is written, if a buffer has another length than its parameter.\n\n```text\nlet y = {call}{sep}value_and_gradient_into({}, &mut buffer, …);\n```",
            names
                .iter()
                .map(|n| n.unraw().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        );
        let doc_both = example(&format!(
            "The value and the gradient.\n\nlet (y, gradient) = F{sep}value_and_gradient(ARGS);"
        ));
        let doc_gradient = example(&format!(
            "The gradient.\n\nlet gradient = F{sep}gradient(ARGS);"
        ));
        out.extend(quote! {
            #[doc(hidden)]
            #allow
            #inline
            fn #f_unit #generics (#own_receiver #(#params,)* #(#buffers),*) -> #output #clause { #mention #unit }

            #[doc = #doc_into]
            #allow
            #inline
            #vis fn #f_into #generics (#receiver #(#plain,)* #(#buffers),*) -> #output #clause {
                #checks
                #zeros
                Self::#f_unit #turbofish (#pass_self #(#names,)* #(#buffer_names),*)
            }

            #[doc = #doc_both]
            #allow
            #inline
            #vis fn #f_both #generics (#receiver #(#plain),*) -> (#output, #gradient) #clause {
                #starts
                let #y = Self::#f_unit #turbofish (#pass_self #(#names,)* #(&mut #owned_names),*);
                (#y, #value)
            }

            #[doc = #doc_gradient]
            #allow
            #inline
            #vis fn #f_gradient #generics (#receiver #(#plain),*) -> #gradient #clause {
                Self::#f_both #turbofish (#pass_self #(#names),*).1
            }
        });
        out
    }
}
