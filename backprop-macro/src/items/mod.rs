//! The generated items around the emitted bodies: namespace, gradient, residuals and functions.
//!
//! In: the function as written, its signature and, unless something was rejected, the three programs. Out: the plain
//! function, untouched, and the items of the public contract. After an error the functions are stubs with the promised
//! signatures, so that one mistake is one error.

use crate::emit::Emit;
use crate::errors::Errors;
use crate::graph::Primal;
use crate::keep::Saved;
use crate::reverse::Gradient;
use crate::signature::Signature;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::borrow::Cow;
use syn::ext::IdentExt;

mod custom;
mod functions;
mod fused;
mod generics;
pub mod hessian;
mod hvp;
pub mod jacobian;
mod jvp;
mod split;
mod traced;
mod types;

pub use generics::identifiers;

/// The three programs of a function.
pub struct Programs {
    pub primal: Primal,
    /// With the upstream gradient 1; only for scalar results.
    pub unit: Option<Gradient>,
    /// The same before its loops met, where any did: a forward pass and a backward pass, as people read them.
    pub apart: Option<Gradient>,
    pub upstream: Gradient,
    pub split: Gradient,
    pub saved: Saved,
    /// For `trace` and `graph`: every node's adjoint.
    pub trace: Option<Gradient>,
    /// What `check` found.
    pub check: Option<crate::check::Checked>,
    /// What is legal but surprising.
    pub warnings: TokenStream,
    /// The forward tangent, where it was asked for.
    pub jvp: Option<Gradient>,
    /// The forward tangent of the gradient, where it was asked for.
    pub hvp: Option<Gradient>,
    /// `f::jacobian` is wanted.
    pub jacobian: bool,
    /// `f::hessian` is wanted.
    pub hessian: bool,
    /// `f::trace` is wanted.
    pub traced: bool,
    /// `f::GRAPH` and `f::graph` are wanted.
    pub graph: bool,
    /// What `stable` rewrote, and where.
    pub stable: Vec<(proc_macro2::Span, crate::stabilize::Form)>,
}

impl Programs {
    /// The program of value and gradient, as it is described.
    pub fn described(&self) -> &Gradient {
        let whole = self.apart.as_ref().or(self.unit.as_ref());
        whole.unwrap_or(&self.upstream)
    }
}

/// One field of the residuals.
struct Field {
    name: Ident,
    ty: TokenStream,
    value: TokenStream,
}

struct Items<'a> {
    item: &'a syn::ItemFn,
    sig: &'a Signature,
    errors: &'a Errors,
    output: Cow<'a, syn::Type>,
    /// The user's own rule.
    custom: Option<&'a crate::custom::Custom>,
}

impl<'a> Items<'a> {
    fn new(
        item: &'a syn::ItemFn,
        sig: &'a Signature,
        custom: Option<&'a crate::custom::Custom>,
        errors: &'a Errors,
    ) -> Self {
        let output = match &item.sig.output {
            syn::ReturnType::Type(_, output) => Cow::Borrowed(&**output),
            syn::ReturnType::Default => Cow::Owned(syn::parse_quote!(())),
        };
        Items {
            item,
            sig,
            errors,
            output,
            custom,
        }
    }
}

/// All generated items; stubs where there are no programs.
pub fn items(
    item: &syn::ItemFn,
    sig: &Signature,
    programs: Option<&Programs>,
    custom: Option<&crate::custom::Custom>,
    derivation: Option<&str>,
    errors: &Errors,
) -> TokenStream {
    let i = Items::new(item, sig, custom, errors);
    let (fields, forward, backward) = match (programs, custom) {
        (Some(_), Some(custom)) => i.custom_split(custom),
        (Some(p), None) => i.split(p),
        (None, _) => (Vec::new(), stub(), stub()),
    };
    let derivation = derivation.unwrap_or_default();
    let functions = i.functions(programs, &fields, forward, backward, derivation);
    let checked = programs.and_then(|p| p.check.as_ref());
    let test = checked.map(|c| &c.test);
    let warnings = programs.map(|p| &p.warnings);
    if sig.associated {
        return quote!(#functions #test);
    }
    let (namespace, vis) = (&sig.namespace, &item.vis);
    let doc = format!(
        "The derivatives of [`fn@{}`]: `forward`, `backward`, `gradient`, `value_and_gradient`, `value_and_gradient_into` and `accumulate`.{derivation}",
        sig.ident
    );
    let doc = match checked {
        Some(c) => format!("{doc}\n\n{}", c.remark),
        None => doc,
    };
    let gradient = i.gradient_struct();
    let residuals = i.residuals_struct(&fields);
    let jacobian = programs.filter(|p| p.jacobian).map(|_| i.jacobian_struct());
    let hessian = programs.filter(|p| p.hessian).map(|_| i.hessian_structs());
    quote! {
        #warnings
        #test
        #[doc = #doc]
        #[allow(non_camel_case_types, clippy::all, clippy::pedantic)]
        #vis enum #namespace {}
        #gradient
        #residuals
        #jacobian
        #hessian
        #[allow(
            unused, non_snake_case, deprecated, unreachable_code, clippy::all, clippy::pedantic, clippy::nursery,
            clippy::restriction
        )]
        impl #namespace {
            #functions
        }
    }
}

/// The function itself, computed from the graph: for `stable`, which rewrites values.
pub fn plain(
    item: &syn::ItemFn,
    sig: &Signature,
    programs: &Programs,
    errors: &Errors,
) -> TokenStream {
    let i = Items::new(item, sig, None, errors);
    let p = crate::reverse::alone(&programs.primal);
    let e = Emit::new(&p, sig, errors, programs.primal.reads.len() as u32);
    let (attrs, vis) = (&item.attrs, &item.vis);
    let mut signature = item.sig.clone();
    let receiver = sig.receiver.iter().map(|r| quote!(#r));
    let params = receiver.chain(i.params(Some(&programs.primal)));
    signature.inputs = syn::parse_quote!(#(#params),*);
    let note = stable_note(&programs.stable);
    let items = &programs.primal.items;
    let statements = e.region(p.body);
    let (writes, result) = i.finish(&e, &p);
    let body = e.tidy(quote!(#(#items)* #statements #writes #result));
    quote! {
        #(#attrs)*
        #[doc = #note]
        #[allow(
            unused, non_snake_case, deprecated, unreachable_code, clippy::all, clippy::pedantic, clippy::nursery,
            clippy::restriction
        )]
        #vis #signature { #body }
    }
}

/// The functions that `SOURCE` leaves out: they are not part of the derivation.
pub fn not_shown(sig: &Signature) -> Vec<String> {
    let names = ["trace", "graph"];
    if sig.associated {
        let pullback = format!("__{}", sig.sibling("pullback"));
        let names = names.map(|n| sig.sibling(n).to_string());
        names.into_iter().chain([pullback]).collect()
    } else {
        ["__pullback"]
            .into_iter()
            .chain(names)
            .map(str::to_owned)
            .collect()
    }
}

/// Texts beside the derivatives: `f::GRAPH`, `f::SOURCE`.
pub fn constant(
    item: &syn::ItemFn,
    sig: &Signature,
    name: &str,
    doc: &str,
    text: &str,
) -> TokenStream {
    let (namespace, vis, span) = (&sig.namespace, &item.vis, sig.namespace.span());
    if sig.associated {
        let prefix = namespace.unraw().to_string().to_uppercase();
        let name = Ident::new(&format!("{prefix}_{name}"), span);
        return quote!(#[doc = #doc] #vis const #name: &'static ::core::primitive::str = #text;);
    }
    let name = Ident::new(name, span);
    quote! {
        #[allow(clippy::all, clippy::pedantic)]
        impl #namespace {
            #[doc = #doc]
            #vis const #name: &'static ::core::primitive::str = #text;
        }
    }
}

/// What `stable` rewrote, for the documentation.
fn stable_note(all: &[(proc_macro2::Span, crate::stabilize::Form)]) -> String {
    let mut out = String::from("\n\nComputed in stable forms (`#[backprop(stable)]`):");
    if all.is_empty() {
        out.push_str(" nothing here had one.");
    }
    let mut seen = Vec::new();
    for (_, form) in all {
        if !seen.contains(form) {
            seen.push(*form);
            out.push_str(&format!("\n- `{}` as `{}`", form.0, form.1));
        }
    }
    out
}

fn stub() -> TokenStream {
    quote!(::core::unreachable!("this function was not differentiated"))
}

impl Items<'_> {
    fn function(&self, name: &str) -> Ident {
        if self.sig.associated && name == "__pullback" {
            // Hidden, and no name that a method of the user's has.
            let name = self.sig.sibling("pullback");
            Ident::new(&format!("__{name}"), name.span())
        } else if self.sig.associated {
            self.sig.sibling(name.trim_start_matches('_'))
        } else {
            format_ident!("{}", name)
        }
    }

    /// Names the plain function: one of which only the gradient is used is not dead code.
    fn mention(&self) -> TokenStream {
        let (ident, turbofish) = (&self.sig.ident, self.turbofish());
        if self.sig.params.iter().any(|p| p.ident == *ident) {
            return TokenStream::new();
        }
        if self.sig.associated {
            quote!(let _ = Self::#ident #turbofish;)
        } else {
            quote!(let _ = #ident #turbofish;)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::compile;
    use crate::source::Source;
    use quote::quote;

    /// Loops that call derivatives vectorise only where they are inlined, which only the user can ask for.
    #[test]
    fn what_is_asked_for_the_function_holds_for_its_derivatives() {
        let count = |item, text: &str| {
            let out = compile(quote!(), item, &Source::default(), &|_| 0).to_string();
            out.matches(text).count()
        };
        let derivatives = count(
            quote!(
                fn f(x: f64) -> f64 {
                    x.exp()
                }
            ),
            "# [inline]",
        );
        assert!(derivatives >= 7, "{derivatives}");
        let item = quote!(
            #[inline(always)]
            fn f(x: f64) -> f64 {
                x.exp()
            }
        );
        assert_eq!(count(item.clone(), "# [inline (always)]"), derivatives + 1);
        assert_eq!(count(item, "# [inline]"), 0);
    }
}
