//! What `trace` and `graph` show: every node with its value and its adjoint at a point.
//!
//! In: the primal and the gradient of every node. Out: the bodies of `f::trace` and `f::graph`.

use super::Items;
use crate::emit::Emit;
use crate::graph::Primal;
use crate::reverse::{Gradient, buffer};
use crate::signature::local;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

impl Items<'_> {
    /// The statements of a traced program, with buffers of its own.
    pub(super) fn traced(&self, e: &Emit, primal: &Primal, p: &Gradient) -> TokenStream {
        let items = &primal.items;
        let buffers = self.sig.active().map(|(k, param)| {
            let (d, ident) = (buffer(self.sig, k), &param.ident);
            let zeros = e.zeros_like(&param.shape, &quote!(#ident));
            quote!(let mut #d = #zeros;)
        });
        let statements = e.region(p.body);
        quote! { #(#items)* #(#buffers)* #statements }
    }

    /// `trace`: the nodes of the graph with their values and gradients.
    pub(super) fn trace(&self, primal: &Primal, p: &Gradient) -> TokenStream {
        let e = Emit::new(p, self.sig, self.errors, primal.reads.len() as u32);
        let statements = self.traced(&e, primal, p);
        let nodes = crate::trace::labels(primal, p)
            .into_iter()
            .map(|(label, id, adjoint)| {
                let (value, adjoint) = (e.value(id), e.value(adjoint));
                quote!((#label, #value, #adjoint))
            });
        quote! { #statements ::std::vec![#(#nodes),*] }
    }

    /// `graph`: the picture, with values and gradients written into it. A generic `Float` cannot be printed.
    pub(super) fn wires(&self, primal: &Primal, p: &Gradient) -> Option<TokenStream> {
        use crate::explain::{Part, Style, draw};
        if !self.sig.names.floats.is_empty() {
            return None;
        }
        let picture = draw(primal, &self.sig.ident.unraw().to_string(), Style::Wires).ok()?;
        let e = Emit::new(p, self.sig, self.errors, primal.reads.len() as u32);
        let statements = self.traced(&e, primal, p);
        let out = local("svg");
        let adjoints: crate::graph::maps::Map<_, _> = p.trace.iter().copied().collect();
        let number = |id| {
            let value = e.value(id);
            quote!(#out.push_str(&::std::format!("{:.2}", #value));)
        };
        let pieces = picture.parts.iter().map(|part| match part {
            Part::Text(text) => quote!(#out.push_str(#text);),
            // What the result does not depend on has neither.
            Part::Value(id) => adjoints.get(id).map(|_| number(*id)).unwrap_or_default(),
            Part::Gradient(id) => adjoints.get(id).map(|d| number(*d)).unwrap_or_default(),
        });
        Some(quote! {
            #statements
            let mut #out = ::std::string::String::new();
            #(#pieces)*
            #out
        })
    }
}
