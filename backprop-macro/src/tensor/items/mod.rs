//! The generated items of a tensor function: namespace, gradient, workspace, residuals and functions.
//!
//! In: the function, its signature and, unless something was rejected, its bodies. Out: items with the promised
//! signatures; after an error their bodies are stubs, so that one mistake is one error.

use crate::custom::Custom;
use crate::shape::peel;
use crate::tensor::emit::{Emit, field};
use crate::tensor::graph::{Op, Ty, V};
use crate::tensor::lower::Program;
use crate::tensor::signature::{Kind, TensorSig};
use crate::tensor::tape::{tape_name, tape_type};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::{BTreeMap, BTreeSet};
use syn::ext::IdentExt;

mod bodies;
mod custom;
mod functions;
mod jvp;
mod methods;
mod parameters;
mod structs;

pub use methods::{Active, beside};
pub use structs::outside;

pub struct Items<'a> {
    pub item: &'a syn::ItemFn,
    pub sig: &'a TensorSig,
}

/// The bodies of the functions.
#[derive(Default)]
pub struct Bodies {
    pub unit: TokenStream,
    pub accumulate: TokenStream,
    pub forward: TokenStream,
    pub backward: TokenStream,
    /// The value, and the parameters moved; not for loops, calls and lists of tensors, whose
    /// adjoints and residuals have places of their own.
    pub descend: Option<TokenStream>,
    /// `forward` without the value.
    pub saves: TokenStream,
    /// `backward` into buffers.
    pub backward_into: TokenStream,
    /// Name, type and value of each field.
    pub residuals: Vec<(Ident, TokenStream, TokenStream)>,
    pub slots: BTreeMap<String, crate::tensor::graph::Rank>,
    /// The loops whose structs are in the workspace.
    pub vectors: BTreeSet<usize>,
    /// The adjoints of lists that have grown.
    pub lists: BTreeMap<String, crate::tensor::graph::Rank>,
    pub tapes: TokenStream,
}

/// What the functions are made of.
#[derive(Clone, Copy)]
pub enum Made<'a> {
    /// The function's program, and that of value and tangent where it is asked for.
    Derived(
        (&'a Program, &'a Emit<'a>),
        Option<(&'a Program, &'a Emit<'a>)>,
    ),
    Custom(&'a Custom),
    /// After an error there are stubs.
    Nothing,
}

/// All generated items.
pub fn items(item: &syn::ItemFn, sig: &TensorSig, made: Made) -> TokenStream {
    let i = Items { item, sig };
    let (program, tangent) = match made {
        Made::Derived(program, tangent) => (Some(program), tangent),
        Made::Custom(_) | Made::Nothing => (None, None),
    };
    let bodies = match made {
        Made::Derived((p, e), _) => Some(i.bodies(p, e)),
        Made::Custom(custom) => Some(i.custom(custom)),
        Made::Nothing => None,
    };
    let functions = i.functions(bodies.as_ref());
    let (jvp, buffers) = i.jvp(tangent);
    let structs = i.structs(bodies.as_ref());
    let lanes = program
        .map(|(p, _)| p.graph.items.clone())
        .unwrap_or_default();
    let (namespace, vis) = (&sig.namespace, &item.vis);
    let doc = format!(
        "The derivatives of [`fn@{}`]: `forward`, `backward`, `gradient`, `value_and_gradient`, `value_and_gradient_with`, \
         `value_and_gradient_into`, `accumulate` and `descend_with`.",
        sig.ident
    );
    let allow = allowed();
    quote! {
        #[doc = #doc]
        #[allow(non_camel_case_types, clippy::all, clippy::pedantic)]
        #vis enum #namespace {}
        #structs
        #allow
        const _: () = {
            use ::backprop::tensor::ndarray::Dimension as _;
            #(#lanes)*
            #buffers
            #allow
            impl #namespace { #functions #jvp }
        };
    }
}

/// What generated code is free to do.
fn allowed() -> TokenStream {
    quote!(#[allow(
        unused, non_snake_case, deprecated, unreachable_code, clippy::all, clippy::pedantic, clippy::nursery,
        clippy::restriction
    )])
}

/// The documentation of a gradient, and what it derives.
fn of_gradient(function: &Ident) -> (TokenStream, TokenStream) {
    let doc = format!(
        "The gradient of [`fn@{function}`]: one field for each differentiated parameter, shaped like it."
    );
    (
        quote!(#[doc = #doc]),
        quote! {
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(non_snake_case, clippy::all, clippy::pedantic)]
        },
    )
}

/// The workspace's type.
struct Memory<'a> {
    vis: &'a syn::Visibility,
    name: &'a Ident,
    namespace: &'a Ident,
    /// Its generic parameters as they are declared, with the bounds of `impl`, and as arguments.
    declared: TokenStream,
    bounds: TokenStream,
    args: TokenStream,
}

impl Memory<'_> {
    /// The struct, whose fields have a name, a type and what they start as, beside the gradient of the last call.
    fn item(&self, gradient: &Ident, fields: &[(Ident, TokenStream, TokenStream)]) -> TokenStream {
        let (vis, name, declared) = (self.vis, self.name, &self.declared);
        let (bounds, args) = (&self.bounds, &self.args);
        let doc = format!(
            "Memory for [`value_and_gradient_with`]({}::value_and_gradient_with): it is made in the first call, and again when a \
             shape changes.\n\nIt starts as `{name}::default()`.",
            self.namespace.unraw(),
        );
        let types = fields.iter().map(|(name, ty, _)| quote!(#name: #ty));
        let starts = fields.iter().map(|(name, _, start)| quote!(#name: #start));
        quote! {
            #[doc = #doc]
            #[allow(unused, non_snake_case, clippy::all, clippy::pedantic)]
            #vis struct #name #declared { #(#types,)* gradient: ::core::option::Option<::std::boxed::Box<#gradient #args>> }

            impl #bounds ::core::default::Default for #name #args {
                fn default() -> Self {
                    Self { #(#starts,)* gradient: ::core::option::Option::None }
                }
            }
        }
    }
}

/// Whether there is `descend_with`: adjoints and residuals of loops, calls and lists of tensors have places of their own, and what is
/// changed in place is no parameter to be moved.
pub fn descends(p: &Program, sig: &TensorSig) -> bool {
    let calls = |v: &crate::tensor::graph::Value| matches!(v.op, Op::Call { .. });
    matches!(sig.output, crate::tensor::signature::Out::Scalar)
        && p.graph.loops.is_empty()
        && !p.graph.values.iter().any(calls)
        && !sig.active().any(|(_, p)| matches!(p.kind, Kind::List(_)))
        && p.left.is_empty()
}

impl Items<'_> {
    /// `<T>` and its bounds, where the elements are generic.
    pub fn generics(&self) -> (TokenStream, TokenStream) {
        match self.sig.float() {
            Some(t) => {
                let bounds: Vec<TokenStream> = self
                    .sig
                    .generics
                    .type_params()
                    .map(|p| {
                        let b = &p.bounds;
                        quote!(#b)
                    })
                    .collect();
                let bound = bounds.first().cloned().unwrap_or_default();
                let bound = if bound.is_empty() {
                    quote!()
                } else {
                    quote!(#bound +)
                };
                (quote!(<#t>), quote!(<#t: #bound ::backprop::kernel::Real>))
            }
            None => (quote!(), quote!()),
        }
    }

    pub fn gradient_fields(&self) -> Vec<(Ident, TokenStream)> {
        self.sig
            .active()
            .map(|(_, p)| (p.ident.clone(), self.sig.owned(&p.kind)))
            .collect()
    }

    pub fn structs(&self, bodies: Option<&Bodies>) -> TokenStream {
        let sig = self.sig;
        let vis = &self.item.vis;
        let (args, bounds) = self.generics();
        let (gradient, residuals, workspace) = (&sig.gradient, &sig.residuals, &sig.workspace);
        let fields = self.gradient_fields().into_iter().map(|(ident, ty)| {
            let doc = format!("The derivative with respect to `{}`.", ident.unraw());
            quote!(#[doc = #doc] #vis #ident: #ty)
        });
        let (doc_gradient, derives) = of_gradient(&sig.ident);
        let doc_residuals = format!(
            "What the forward pass of [`fn@{}`] keeps for the backward pass.",
            sig.ident
        );
        let none = Vec::new();
        let kept = bodies.map_or(&none, |b| &b.residuals);
        let kept = kept.iter().map(|(name, ty, _)| quote!(#name: #ty));
        let slots = bodies.iter().flat_map(|b| &b.slots).map(|(name, rank)| {
            let ty = sig.owned(&Kind::Tensor(*rank));
            (
                format_ident!("{}", name),
                ty,
                quote!(::backprop::tensor::empty()),
            )
        });
        let vectors = bodies.iter().flat_map(|b| &b.vectors).map(|&id| {
            let (name, ty) = self.vector(workspace, id);
            (name, ty, quote!(::std::vec::Vec::new()))
        });
        let memory = Memory {
            vis,
            name: workspace,
            namespace: &sig.namespace,
            declared: args.clone(),
            bounds,
            args: args.clone(),
        };
        let lists = bodies.iter().flat_map(|b| &b.lists).map(|(name, rank)| {
            let ty = sig.owned(&Kind::List(*rank));
            (
                format_ident!("{}", name),
                ty,
                quote!(::std::vec::Vec::new()),
            )
        });
        let buffers: Vec<_> = slots.chain(vectors).chain(lists).collect();
        let memory = memory.item(gradient, &buffers);
        let tapes = bodies.map(|b| &b.tapes);
        let t = sig.elem.tokens();
        let life = match sig.float() {
            Some(t) => quote!(<'__bp, #t>),
            None => quote!(<'__bp>),
        };
        quote! {
            #doc_gradient
            #derives
            #vis struct #gradient #args { #(#fields),* }

            #[doc = #doc_residuals]
            #[allow(unused, non_snake_case, clippy::all, clippy::pedantic)]
            #vis struct #residuals #life { #(#kept,)* of: ::core::marker::PhantomData<&'__bp #t> }

            #tapes

            #memory
        }
    }

    /// The field for the structs of a loop's iterations.
    pub fn vector(&self, workspace: &Ident, id: usize) -> (Ident, TokenStream) {
        let (tape, (args, _)) = (tape_type(workspace, id), self.generics());
        let ty = quote!(::std::vec::Vec<#tape #args>);
        (field(&tape_name(id)), ty)
    }

    pub fn zero(&self) -> TokenStream {
        match self.sig.float() {
            Some(t) => quote!(#t::zero()),
            None => quote!(0.0),
        }
    }

    pub fn gradient_value(&self) -> TokenStream {
        let name = &self.sig.gradient;
        let parts = self.sig.active().map(|(k, p)| {
            let own = format_ident!("__g_{}", k, span = proc_macro2::Span::mixed_site());
            let ident = &p.ident;
            quote!(#ident: #own)
        });
        quote!(#name { #(#parts),* })
    }
    /// For each parameter, the number of its value: parameters that are constant Rust have none.
    pub fn positions(&self) -> Vec<u32> {
        let mut next = 0;
        self.sig
            .params
            .iter()
            .map(|p| {
                let here = next;
                if !matches!(p.kind, Kind::Constant) {
                    next += 1;
                }
                here
            })
            .collect()
    }
}

/// A list's type, without the reference.
pub fn list_type(ty: &syn::Type) -> &syn::Type {
    match peel(ty) {
        syn::Type::Reference(r) => &r.elem,
        other => other,
    }
}

/// The value of a parameter.
pub fn value_of(p: &Program, k: usize) -> V {
    let at = p.graph.values.iter().position(
        |v| matches!((&v.op, v.ty), (Op::Param(j), Ty::Tensor(..) | Ty::Scalar | Ty::List(_)) if *j == k),
    );
    V(at.unwrap_or(0) as u32)
}
