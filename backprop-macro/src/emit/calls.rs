//! Calls of other annotated functions, forward and backward.

use super::Emit;
use crate::graph::*;
use crate::signature::local;
use proc_macro2::TokenStream;
use quote::quote;

impl Emit<'_> {
    pub(super) fn arguments(&self, call: &Call) -> Vec<TokenStream> {
        call.args
            .iter()
            .map(|a| match a {
                Argument::Scalar { value, by_ref } => {
                    let v = self.value(*value);
                    if *by_ref { quote!(&#v) } else { v }
                }
                Argument::Array { place, by_ref } => {
                    let whole = self.whole(place);
                    if *by_ref {
                        quote!(&#whole)
                    } else if self.g().shape_at(place).is_fixed() {
                        whole
                    } else {
                        quote!(::core::clone::Clone::clone(&#whole))
                    }
                }
            })
            .collect()
    }

    pub(super) fn call(&self, c: CallId) -> TokenStream {
        let call = self.g().call(c);
        let (path, args) = (&call.path, self.arguments(call));
        let out = self.name(call.outs[0]);
        if self.direct.contains(&c) && self.live.stmt(self.g(), &Stmt::Pullback(c)) {
            let saved = local(&format!("call{}_saved", c.0));
            let space = self.namespace(path, call.recursive);
            return quote!(let (#out, #saved) = #space::forward(#(#args),*););
        }
        quote!(let #out = #path(#(#args),*);)
    }

    /// The type namespace of a function's path: without its generic arguments.
    pub(super) fn namespace(&self, path: &TokenStream, itself: bool) -> TokenStream {
        if itself {
            let name = &self.sig.namespace;
            return quote!(#name);
        }
        match syn::parse2::<syn::Path>(path.clone()) {
            Ok(mut p) => {
                if let Some(last) = p.segments.last_mut() {
                    last.arguments = syn::PathArguments::None;
                }
                quote!(#p)
            }
            Err(_) => path.clone(),
        }
    }

    pub(super) fn pullback(&self, c: CallId) -> TokenStream {
        let call = self.g().call(c);
        let space = self.namespace(&call.path, call.recursive);
        let saved = local(&format!("call{}_saved", c.0));
        let mut out = TokenStream::new();
        if !self.direct.contains(&c) {
            let args = self.arguments(call);
            out.extend(quote!(let (_, #saved) = #space::forward(#(#args),*);));
        }
        let upstream = call.upstream.first().map(|d| self.value(*d));
        let grads = local(&format!("call{}_gradients", c.0));
        out.extend(quote!(let #grads = #space::__pullback(&#saved, #upstream);));
        for (k, (d, shadow)) in call.gradients.iter().zip(&call.shadows).enumerate() {
            let k = syn::Index::from(k);
            if let Some(d) = d.filter(|d| self.live.has(self.g(), *d)) {
                let name = self.name(d);
                out.extend(quote!(let #name = #grads.#k;));
            }
            if let Some(p) = shadow
                && self.live.has_array(p.array)
            {
                let to = self.g().shape_at(p);
                let from = match &call.args[k.index as usize] {
                    Argument::Array { place, .. } => self.g().shape_at(place),
                    Argument::Scalar { .. } => to.clone(),
                };
                let part = quote!(#grads.#k);
                out.extend(self.add_all((&to, self.place(p)), (&from, part)));
            }
        }
        out
    }
}
