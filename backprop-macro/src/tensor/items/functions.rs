//! The functions' signatures and documentation.
//!
//! In: a [`Surface`], what the functions take and give, and their bodies. Out: the functions. They look alike whether a parameter
//! is a tensor or a struct of tensors; what differs is how a body reaches the places that it writes.

use crate::signature::local;
use crate::tensor::signature::{Kind, Out, TensorSig, with_lifetime, without_lifetime};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;

/// What the functions take and give.
pub struct Surface<'a> {
    pub sig: &'a TensorSig,
    pub vis: &'a syn::Visibility,
    pub namespace: &'a Ident,
    pub gradient: &'a Ident,
    pub workspace: &'a Ident,
    /// The generic arguments of these two types.
    pub args: TokenStream,
    pub params: Vec<(&'a Ident, &'a syn::Type)>,
    /// Name and type of what a differentiated parameter's gradient is written to.
    pub buffers: Vec<(Ident, TokenStream)>,
    /// The parameters of `descend_with`, each with its type.
    pub moved: Vec<TokenStream>,
    /// For each parameter, the type of its gradient; `()` of a constant one.
    pub pulled: Vec<TokenStream>,
}

/// The bodies; those from `into` on are of functions that return a float.
#[derive(Default)]
pub struct Inside {
    pub forward: TokenStream,
    pub backward: TokenStream,
    pub residuals: TokenStream,
    pub backward_into: TokenStream,
    pub pullback: TokenStream,
    pub accumulate: TokenStream,
    pub into: TokenStream,
    pub with: TokenStream,
    pub both: TokenStream,
    pub only: TokenStream,
    pub descend: Option<TokenStream>,
}

const PANICS: &str = "# Panics\n\nAs the function does; and before anything is written, if a buffer has another shape than its parameter.";

fn doc(text: &str, example: String) -> String {
    format!("{text}\n\n```text\n{example}\n```")
}

impl Surface<'_> {
    /// How documentation spells a call's namespace and arguments.
    fn spelt(&self) -> (String, String) {
        let list: Vec<String> = self
            .params
            .iter()
            .map(|p| p.0.unraw().to_string())
            .collect();
        (self.namespace.unraw().to_string(), list.join(", "))
    }

    pub fn inputs(&self) -> TokenStream {
        let params = self.params.iter().map(|(ident, ty)| quote!(#ident: #ty));
        quote!(#(#params),*)
    }

    pub fn outputs(&self) -> TokenStream {
        let buffers = self
            .buffers
            .iter()
            .map(|(ident, ty)| quote!(#ident: &mut #ty));
        quote!(#(#buffers),*)
    }

    pub fn functions(&self, inside: &Inside) -> TokenStream {
        let mut out = self.of_any_result(inside);
        if matches!(self.sig.output, Out::Scalar) {
            out.extend(self.of_a_float(inside));
        }
        out
    }

    fn of_any_result(&self, inside: &Inside) -> TokenStream {
        let (sig, vis, args) = (self.sig, self.vis, &self.args);
        let (gradient, residuals, output) = (self.gradient, &sig.residuals, &sig.output_ty);
        let (generics, clause) = (&sig.generics, &sig.generics.where_clause);
        let types: Vec<&syn::TypeParam> = generics.type_params().collect();
        let type_clause = clause
            .as_ref()
            .filter(|_| generics.lifetimes().next().is_none());
        let (life, elided) = match sig.float() {
            Some(t) => (quote!(<'__bp, #t>), quote!(<'_, #t>)),
            None => (quote!(<'__bp>), quote!(<'_>)),
        };
        let borrowed = self.params.iter().map(|(ident, ty)| {
            let changed = sig.params.iter().any(|p| p.in_out && p.ident == **ident);
            let ty = match changed {
                true => without_lifetime(ty),
                false => with_lifetime(ty),
            };
            quote!(#ident: #ty)
        });
        let borrowed = quote!(#(#borrowed),*);
        let (params, buffers, pulled) = (self.inputs(), self.outputs(), &self.pulled);
        let (up, saved, upstream) = (local("up"), local("saved"), reference(&sig.results, sig));
        let seeds = self::upstream(sig);
        let (name, list) = self.spelt();
        let doc_forward = doc(
            "The forward pass: the value, and what the backward pass needs.",
            format!("let (y, saved) = {name}::forward({list});"),
        );
        let doc_backward = doc(
            "The backward pass, from the residuals and the upstream gradient, shaped like the result.",
            format!("let gradient = {name}::backward(&saved, upstream);"),
        );
        let doc_residuals = doc(
            "What the backward pass needs, without the value: of a function that is linear it is a matter of borrowing.",
            format!("let saved = {name}::residuals({list});"),
        );
        let doc_into = doc(
            "As `backward`; the gradient is written to the buffers, one for each differentiated parameter, in order. The upstream \
             gradient is borrowed.\n\n# Panics\n\nBefore anything is written, if a buffer has another shape than its parameter.",
            format!("{name}::backward_into(&saved, upstream, &mut buffer, …);"),
        );
        let doc_accumulate = doc(
            &format!(
                "The value; `upstream` times the gradient is added to the buffers.\n\n{PANICS}"
            ),
            format!("let y = {name}::accumulate({list}, upstream, &mut buffer, …);"),
        );
        let Inside {
            forward,
            backward,
            residuals: saves,
            backward_into,
            pullback,
            accumulate,
            ..
        } = inside;
        let comma = (!self.params.is_empty()).then(|| quote!(,));
        quote! {
            #[doc = #doc_forward]
            #vis fn forward<'__bp, #(#types),*>(#borrowed) -> (#output, #residuals #life) #type_clause { #forward }

            #[doc = #doc_backward]
            #vis fn backward<#(#types),*>(#saved: &#residuals #elided, #up: #seeds) -> #gradient #args #type_clause { #backward }

            #[doc = #doc_residuals]
            #vis fn residuals<'__bp, #(#types),*>(#borrowed) -> #residuals #life #type_clause { #saves }

            #[doc = #doc_into]
            #vis fn backward_into<#(#types),*>(#saved: &#residuals #elided, #up: #upstream, #buffers) #type_clause { #backward_into }

            #[doc(hidden)]
            #vis fn __pullback<#(#types),*>(#saved: &#residuals #elided, #up: #seeds) -> (#(#pulled,)*) #type_clause { #pullback }

            #[doc = #doc_accumulate]
            #vis fn accumulate #generics (#params #comma #up: #seeds, #buffers) -> #output #clause { #accumulate }
        }
    }

    fn of_a_float(&self, inside: &Inside) -> TokenStream {
        let (sig, vis, args) = (self.sig, self.vis, &self.args);
        let (gradient, workspace, output) = (self.gradient, self.workspace, &sig.output_ty);
        let (generics, clause) = (&sig.generics, &sig.generics.where_clause);
        let (params, buffers, moved) = (self.inputs(), self.outputs(), &self.moved);
        let (name, list) = self.spelt();
        let elem = sig.elem.tokens();
        let doc_into = doc(
            &format!(
                "The value; the gradient is written to the buffers, one for each differentiated parameter, in order.\n\n{PANICS}"
            ),
            format!("let y = {name}::value_and_gradient_into({list}, &mut buffer, …);"),
        );
        let doc_with = doc(
            "The value and the gradient, which stays in the workspace. With shapes as in the last call, nothing is allocated.",
            format!(
                "let mut workspace = {workspace}::default();\nlet (y, gradient) = {name}::value_and_gradient_with(&mut workspace, {list});"
            ),
        );
        let doc_both = doc(
            "The value and the gradient.",
            format!("let (y, gradient) = {name}::value_and_gradient({list});"),
        );
        let doc_only = doc(
            "The gradient.",
            format!("let gradient = {name}::gradient({list});"),
        );
        let doc_descend = doc(
            "One step of gradient descent: the value; `rate` times the gradient is subtracted from the differentiated parameters, in place. \
             What a product contributes is added to them as it is computed, so that a large gradient is neither written nor read. With shapes \
             as in the last call, nothing is allocated.",
            format!(
                "let mut workspace = {workspace}::default();\nlet y = {name}::descend_with(&mut workspace, rate, &mut …, …);"
            ),
        );
        let Inside {
            into,
            with,
            both,
            only,
            ..
        } = inside;
        let with_generics = {
            let mut g = generics.clone();
            g.params.insert(0, syn::parse_quote!('__ws));
            g
        };
        let descend = inside.descend.as_ref().map(|body| {
            quote! {
                #[doc = #doc_descend]
                #vis fn descend_with #generics (__ws: &mut #workspace #args, __rate: #elem, #(#moved),*) -> #output #clause { #body }
            }
        });
        let comma = (!self.params.is_empty()).then(|| quote!(,));
        quote! {
            #[doc = #doc_into]
            #vis fn value_and_gradient_into #generics (#params #comma #buffers) -> #output #clause { #into }

            #[doc = #doc_with]
            #vis fn value_and_gradient_with #with_generics (__ws: &'__ws mut #workspace #args, #params) -> (#output, &'__ws #gradient #args) #clause {
                #with
            }

            #descend

            #[doc = #doc_both]
            #vis fn value_and_gradient #generics (#params) -> (#output, #gradient #args) #clause { #both }

            #[doc = #doc_only]
            #vis fn gradient #generics (#params) -> #gradient #args #clause { #only }
        }
    }
}

/// The type of a function's upstream gradient.
pub fn upstream(sig: &TensorSig) -> TokenStream {
    match (&sig.output, &sig.output_ty) {
        (Out::Nothing, _) => owned(&sig.results, sig),
        (_, ty) => quote!(#ty),
    }
}

/// The type of an upstream gradient.
fn owned(out: &Out, sig: &TensorSig) -> TokenStream {
    match out {
        Out::Nothing => quote!(()),
        Out::Scalar => sig.elem.tokens(),
        Out::Tensor(rank) => sig.owned(&Kind::Tensor(*rank)),
        Out::Tuple(all) => {
            let all = all.iter().map(|o| owned(o, sig));
            quote!((#(#all,)*))
        }
    }
}

/// The type of a borrowed upstream gradient.
fn reference(out: &Out, sig: &TensorSig) -> TokenStream {
    match out {
        Out::Nothing => quote!(()),
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

/// Makes what a gradient of a tensor or a list is written to fit the parameter.
pub fn fitted(kind: &Kind, of: &TokenStream, to: &TokenStream) -> Option<TokenStream> {
    match kind {
        Kind::Tensor(_) => Some(quote!(::backprop::tensor::fit_like(&mut #to, #of.view());)),
        Kind::List(_) => Some(quote! {
            #to.resize_with(#of.len(), ::backprop::tensor::empty);
            for (__to, __from) in #to.iter_mut().zip(#of.iter()) {
                ::backprop::tensor::fit_like(__to, __from.view());
            }
        }),
        _ => None,
    }
}

/// A gradient of zeros, shaped like the parameter.
pub fn zeros(kind: &Kind, of: &TokenStream, sig: &TensorSig) -> TokenStream {
    match kind {
        Kind::Tensor(_) => quote!(::backprop::tensor::ndarray::Array::zeros(#of.raw_dim())),
        Kind::List(_) => quote!(#of
            .iter()
            .map(|__each| ::backprop::tensor::ndarray::Array::zeros(__each.raw_dim()))
            .collect::<::std::vec::Vec<_>>()),
        _ => sig.elem.zero(),
    }
}
