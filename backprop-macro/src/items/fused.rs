//! The fused pass: value and gradient in one body, and the buffers that it writes.
//!
//! In: the primal and the gradient. Out: the body of `accumulate` and of the gradient functions, the checks of the buffers' lengths
//! before it, and how buffers begin. What must hold: nothing is written before the checks; a buffer that is added to was cleared.

use super::{Items, Programs};
use crate::emit::Emit;
use crate::graph::{Primal, Source};
use crate::reverse::{Gradient, buffer};
use crate::shape::Shape;
use crate::signature::{Param, Signature, local};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;

impl Items<'_> {
    pub(super) fn scalar_adds(&self, e: &Emit, p: &Gradient, fresh: bool) -> TokenStream {
        p.scalars
            .iter()
            .map(|s| {
                let (d, value) = (buffer(self.sig, s.param), e.whole_value(s.value));
                let mut shape = self.sig.params[s.param].shape.clone();
                let mut path = Vec::new();
                for &k in &s.path {
                    path.push(shape.member(k));
                    shape = shape
                        .step(&crate::graph::Step::Field(k))
                        .unwrap_or(Shape::Unknown);
                }
                if fresh {
                    return if s.path.is_empty() {
                        quote!(*#d = #value;)
                    } else {
                        quote!(#d #(.#path)* = #value;)
                    };
                }
                if s.path.is_empty() {
                    return e.plus(quote!((*#d)), value);
                }
                e.plus(quote!(#d #(.#path)*), value)
            })
            .collect()
    }

    /// A body in which the forward and the backward pass are one, adding to the buffers; `fresh` ones hold zeros.
    pub(super) fn fused(&self, primal: &Primal, p: &Gradient, fresh: bool) -> TokenStream {
        if self.custom.is_some() {
            return self.custom_fused(p, fresh);
        }
        let e = Emit::new(p, self.sig, self.errors, primal.reads.len() as u32);
        let items = &primal.items;
        let statements = e.region(p.body);
        let adds = self.scalar_adds(&e, p, fresh);
        let (writes, output) = self.finish(&e, p);
        e.tidy(quote! { #(#items)* #statements #adds #writes #output })
    }

    /// What the user sees when the function ends: what `&mut` parameters get, and the result. All values are taken before the
    /// first is written.
    pub(super) fn finish(&self, e: &Emit, p: &Gradient) -> (TokenStream, TokenStream) {
        let output = if self.sig.returns_nothing {
            quote!(())
        } else {
            e.output(&p.result, &self.sig.output)
        };
        if p.writes.is_empty() {
            return (TokenStream::new(), output);
        }
        let names: Vec<Ident> = (0..p.writes.len())
            .map(|k| local(&format!("out_{k}")))
            .collect();
        let values = p.writes.iter().map(|w| e.value(w.1));
        let places = p.writes.iter().map(|w| &w.0);
        let result = local("result");
        let writes = quote! {
            #(let #names = #values;)*
            let #result = #output;
            #(#places = #names;)*
        };
        (writes, quote!(#result))
    }

    // ---- the functions ----

    pub(super) fn params(&self, primal: Option<&Primal>) -> Vec<TokenStream> {
        self.sig
            .params
            .iter()
            .enumerate()
            .filter(|(_, p)| !p.is_self())
            .map(|(k, p)| {
                let (ident, ty) = (&p.ident, &p.ty);
                let mutated = !p.by_ref && primal.is_some_and(|pr| pr.mutates(&pr.params[k]));
                if mutated {
                    quote!(mut #ident: #ty)
                } else {
                    quote!(#ident: #ty)
                }
            })
            .collect()
    }

    pub(super) fn checks(&self) -> TokenStream {
        let mut out = TokenStream::new();
        for (k, p) in self.sig.active() {
            let (ident, d) = (&p.ident, buffer(self.sig, k));
            let text = format!(
                "the buffer for the gradient of `{}` has another length",
                ident.unraw()
            );
            out.extend(check_lengths(&p.shape, quote!(#ident), quote!(#d), &text));
        }
        out
    }

    pub(super) fn clears(&self, programs: Option<&Programs>) -> TokenStream {
        let Some(p) = programs else {
            return TokenStream::new();
        };
        let e = Emit::of_shapes(&p.split, self.sig, self.errors);
        // What the program assigns as a whole needs no zeros.
        let assigned = |k: usize| matches!((&p.primal.params[k], &p.unit), (Source::Array(a), Some(unit)) if unit.assigned.contains(a));
        self.sig
            .active()
            .filter(|(k, _)| !assigned(*k))
            .map(|(k, param)| {
                let d = buffer(self.sig, k);
                match &param.shape {
                    Shape::Float(_) => e.clear_all(&param.shape, quote!(*#d)),
                    shape => e.clear_all(shape, quote!(#d)),
                }
            })
            .collect()
    }

    pub(super) fn starts(&self, programs: Option<&Programs>) -> TokenStream {
        let Some(p) = programs else {
            return self
                .sig
                .active()
                .map(|(k, param)| (owned(self.sig, k), param.shape.gradient_type()))
                .map(|(own, ty)| quote!(let mut #own: #ty = ::core::unreachable!();))
                .collect();
        };
        let e = Emit::of_shapes(&p.split, self.sig, self.errors);
        self.sig
            .active()
            .map(|(k, param): (usize, &Param)| {
                let (own, ident, ty) = (
                    owned(self.sig, k),
                    &param.ident,
                    param.shape.gradient_type(),
                );
                let zeros = e.zeros_like(&param.shape, &quote!(#ident));
                quote!(let mut #own: #ty = #zeros;)
            })
            .collect()
    }
}

/// The name of a gradient that the function owns.
pub(super) fn owned(sig: &Signature, k: usize) -> Ident {
    local(&format!("g_{}", sig.params[k].ident.unraw()))
}

pub(super) fn check_lengths(
    shape: &Shape,
    value: TokenStream,
    buffer: TokenStream,
    text: &str,
) -> TokenStream {
    match shape {
        Shape::Slice(s) | Shape::Vec(s) => {
            let inner = check_rows(s, &value, &buffer, text);
            quote!(::core::assert!(#buffer.len() == #value.len(), #text); #inner)
        }
        Shape::Array(s, _) => check_rows(s, &value, &buffer, text),
        Shape::Tuple(_) | Shape::Struct(_) => shape
            .parts()
            .into_iter()
            .flatten()
            .filter(|(_, s)| s.has_floats())
            .map(|(m, s)| check_lengths(&s, quote!(#value.#m), quote!(#buffer.#m), text))
            .collect(),
        _ => TokenStream::new(),
    }
}

pub(super) fn check_rows(
    s: &Shape,
    value: &TokenStream,
    buffer: &TokenStream,
    text: &str,
) -> TokenStream {
    let (a, b) = (local("row"), local("d_row"));
    let inner = check_lengths(s, quote!(#a), quote!(#b), text);
    if inner.is_empty() {
        return inner;
    }
    quote!(for (#a, #b) in ::core::iter::Iterator::zip(#value.iter(), #buffer.iter()) { #inner })
}
