//! `jvp`: the value and its tangent, forward.
//!
//! In: the tangent program. Out: the function, whose parameters are those of the user's and then a tangent for each that is
//! differentiated: a scalar by value, an array behind a reference, shaped like its parameter.

use super::Items;
use super::fused::check_lengths;
use crate::emit::Emit;
use crate::forward::tangent_name;
use crate::lower::{Output, Primal};
use crate::reverse::Gradient;
use crate::shape::Shape;
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
        let (y, dy) = (e.output(value, &sig.output), e.output(tangent, &sig.output));
        let (tangents, checks) = self.tangents();
        let params = self.params(Some(primal));
        let receiver = sig.receiver.as_ref().map(|r| quote!(#r,));
        let (vis, output, generics) = (&self.item.vis, self.output, &sig.generics);
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
            #vis fn #function #generics (#receiver #(#params,)* #(#tangents),*) -> (#output, #output) #clause {
                #mention
                #checks
                #(#items)*
                #statements
                (#y, #dy)
            }
        }
    }

    /// The parameters for tangents, and the comparison of their lengths.
    pub(super) fn tangents(&self) -> (Vec<TokenStream>, TokenStream) {
        let (mut tangents, mut checks) = (Vec::new(), TokenStream::new());
        for (k, param) in self.sig.active() {
            let (name, ident) = (tangent_name(self.sig, k), &param.ident);
            let ty = param.shape.buffer_type();
            tangents.push(match &param.shape {
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
