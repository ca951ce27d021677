//! `jvp`: the value and its tangent, forward.
//!
//! In: the tangent program. Out: the function, whose parameters are those of the user's and then a tangent for each that is
//! differentiated: a scalar by value, an array behind a reference, shaped like its parameter.

use super::Items;
use super::fused::check_lengths;
use crate::emit::Emit;
use crate::forward::tangent_name;
use crate::graph::{Output, Primal};
use crate::reverse::Gradient;
use crate::shape::Shape;
use crate::signature::local;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

impl Items<'_> {
    pub(super) fn jvp(&self, primal: &Primal, p: &Gradient, allow: &TokenStream) -> TokenStream {
        let sig = self.sig;
        let Output::Tuple(parts) = &p.result else {
            return TokenStream::new();
        };
        let [value, tangent] = parts.as_slice() else {
            return TokenStream::new();
        };
        let e = Emit::new(p, sig, self.errors, primal.reads.len() as u32);
        let items = &primal.items;
        let statements = e.region(p.body);
        let outputs = (!sig.returns_nothing).then_some((value, tangent));
        let (ty, finish) = self.outputs(&e, p, outputs);
        let (tangents, checks) = self.tangents();
        let params = self.params(Some(primal));
        let receiver = sig.receiver.as_ref().map(|r| quote!(#r,));
        let (vis, generics) = (&self.item.vis, &sig.generics);
        let (clause, function, mention) =
            (&generics.where_clause, self.function("jvp"), self.mention());
        let names: Vec<String> = sig
            .params
            .iter()
            .map(|p| p.ident.unraw().to_string())
            .collect();
        let doc = format!(
            "The value, and its derivative along the tangents: forward mode.\n\n# Panics\n\nIf a tangent has another length than its parameter.\n\n```text\nlet (y, dy) = {}::jvp({}, tangents…);\n```",
            sig.namespace,
            names.join(", ")
        );
        quote! {
            #[doc = #doc]
            #allow
            #[inline]
            #vis fn #function #generics (#receiver #(#params,)* #(#tangents),*) -> #ty #clause {
                #mention
                #checks
                #(#items)*
                #statements
                #finish
            }
        }
    }

    /// The type of the pair of value and tangent, and what ends the function: `&mut` parameters and their tangents are
    /// written when all values are there.
    fn outputs(
        &self,
        e: &Emit,
        p: &Gradient,
        outputs: Option<(&Output, &Output)>,
    ) -> (TokenStream, TokenStream) {
        let (shape, output) = (&self.sig.output, &self.output);
        let (value, tangent) = (local("y"), local("dy"));
        let structs = shape.has_structs();
        let ty = match outputs {
            None => quote!(()),
            Some(_) if structs => {
                let gradient = shape.gradient_type();
                quote!((#output, #gradient))
            }
            Some(_) => quote!((#output, #output)),
        };
        let pair = outputs.map(|(y, dy)| {
            let y = e.output(y, shape);
            let dy = match structs {
                false => {
                    let dy = e.output(dy, shape);
                    quote!(let #tangent = #dy;)
                }
                true => {
                    let (zeros, set) = (
                        e.zeros_like(shape, &quote!(#value)),
                        e.set_output(dy, shape, quote!(#tangent)),
                    );
                    quote!(let mut #tangent = #zeros; #set)
                }
            };
            quote!(let #value = #y; #dy)
        });
        let names: Vec<_> = (0..p.writes.len())
            .map(|k| local(&format!("out_{k}")))
            .collect();
        let values = p.writes.iter().map(|w| e.value(w.1));
        let places = p.writes.iter().map(|w| &w.0);
        let result = outputs.map(|_| quote!((#value, #tangent)));
        let finish = quote! {
            #(let #names = #values;)*
            #pair
            #(#places = #names;)*
            #result
        };
        (ty, finish)
    }

    /// The parameters for tangents, and the comparison of their lengths.
    pub(super) fn tangents(&self) -> (Vec<TokenStream>, TokenStream) {
        let (mut tangents, mut checks) = (Vec::new(), TokenStream::new());
        for (k, param) in self.sig.active() {
            let (name, ident) = (tangent_name(self.sig, k), &param.ident);
            let ty = param.shape.buffer_type();
            tangents.push(match &param.shape {
                _ if param.in_out => quote!(#name: &mut #ty),
                Shape::Array(..) | Shape::Slice(_) | Shape::Vec(_) => quote!(#name: &#ty),
                _ => quote!(#name: #ty),
            });
            let text = format!("the tangent of `{}` has another length", ident.unraw());
            checks.extend(check_lengths(
                &param.shape,
                quote!(#ident),
                quote!(#name),
                &text,
            ));
        }
        (tangents, checks)
    }
}
