//! The generated items around the emitted bodies: namespace, gradient, residuals and functions.
//!
//! In: the function as written, its signature and, unless something was rejected, the three programs. Out: the plain
//! function, untouched, and the items of the public contract. After an error the functions are stubs with the promised
//! signatures, so that one mistake is one error.

use crate::emit::Emit;
use crate::errors::Errors;
use crate::graph::{ArrayId, LoopId};
use crate::keep::Saved;
use crate::lower::{Primal, Source};
use crate::reverse::{Gradient, buffer};
use crate::shape::Shape;
use crate::signature::{Param, Signature, local};
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use std::collections::BTreeSet;
use syn::ext::IdentExt;

mod custom;
pub mod hessian;
mod hvp;
pub mod jacobian;
mod jvp;

/// The three programs of a function.
pub struct Programs {
    pub primal: Primal,
    /// With the upstream gradient 1; only for scalar results.
    pub unit: Option<Gradient>,
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
    output: &'a syn::Type,
    /// The user's own rule.
    custom: Option<&'a crate::custom::Custom>,
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
    let nothing: syn::Type = syn::parse_quote!(());
    let output = match &item.sig.output {
        syn::ReturnType::Type(_, output) => output,
        syn::ReturnType::Default => &nothing,
    };
    let i = Items {
        item,
        sig,
        errors,
        output,
        custom,
    };
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
    let nothing: syn::Type = syn::parse_quote!(());
    let output = match &item.sig.output {
        syn::ReturnType::Type(_, output) => output,
        syn::ReturnType::Default => &nothing,
    };
    let i = Items {
        item,
        sig,
        errors,
        output,
        custom: None,
    };
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
    // ---- names and generics ----

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

    /// The generic parameters that some tokens mention.
    fn mentioned(&self, tokens: &TokenStream) -> syn::Generics {
        let mut names = BTreeSet::new();
        identifiers(tokens.clone(), &mut names);
        let mut generics = self.sig.generics.clone();
        generics.params = generics
            .params
            .into_iter()
            .filter(|p| match p {
                syn::GenericParam::Lifetime(l) => names.contains(&format!("'{}", l.lifetime.ident)),
                syn::GenericParam::Type(t) => names.contains(&t.ident.to_string()),
                syn::GenericParam::Const(c) => names.contains(&c.ident.to_string()),
            })
            .collect();
        let kept: BTreeSet<String> = generics
            .params
            .iter()
            .map(|p| match p {
                syn::GenericParam::Lifetime(l) => format!("'{}", l.lifetime.ident),
                syn::GenericParam::Type(t) => t.ident.to_string(),
                syn::GenericParam::Const(c) => c.ident.to_string(),
            })
            .collect();
        let all: BTreeSet<String> = self
            .sig
            .generics
            .params
            .iter()
            .map(|p| match p {
                syn::GenericParam::Lifetime(l) => format!("'{}", l.lifetime.ident),
                syn::GenericParam::Type(t) => t.ident.to_string(),
                syn::GenericParam::Const(c) => c.ident.to_string(),
            })
            .collect();
        if let Some(clause) = &mut generics.where_clause {
            clause.predicates = std::mem::take(&mut clause.predicates)
                .into_iter()
                .filter(|p| {
                    let mut used = BTreeSet::new();
                    identifiers(p.to_token_stream(), &mut used);
                    used.iter().all(|u| !all.contains(u) || kept.contains(u))
                })
                .collect();
        }
        generics
    }

    /// Declarations for structs and the clause behind: without bounds or defaults, unless the type of a field needs them.
    fn declared(&self, mut generics: syn::Generics) -> (TokenStream, TokenStream) {
        if self.sig.names.uses_structs() {
            for p in generics.type_params_mut() {
                p.default = None;
            }
            let (params, clause) = (&generics.params, &generics.where_clause);
            return (quote!(#params), quote!(#clause));
        }
        (Self::bare(&generics), TokenStream::new())
    }

    fn bare(generics: &syn::Generics) -> TokenStream {
        let params = generics.params.iter().map(|p| match p {
            syn::GenericParam::Lifetime(l) => {
                let l = &l.lifetime;
                quote!(#l)
            }
            syn::GenericParam::Type(t) => {
                let t = &t.ident;
                quote!(#t)
            }
            syn::GenericParam::Const(c) => {
                let (name, ty) = (&c.ident, &c.ty);
                quote!(const #name: #ty)
            }
        });
        quote!(#(#params),*)
    }

    fn arguments(generics: &syn::Generics, elide: bool) -> Vec<TokenStream> {
        generics
            .params
            .iter()
            .map(|p| match p {
                syn::GenericParam::Lifetime(_) if elide => quote!('_),
                syn::GenericParam::Lifetime(l) => l.lifetime.to_token_stream(),
                syn::GenericParam::Type(t) => t.ident.to_token_stream(),
                syn::GenericParam::Const(c) => c.ident.to_token_stream(),
            })
            .collect()
    }

    fn turbofish(&self) -> TokenStream {
        let args: Vec<TokenStream> = self
            .sig
            .generics
            .params
            .iter()
            .filter_map(|p| match p {
                syn::GenericParam::Lifetime(_) => None,
                syn::GenericParam::Type(t) => Some(t.ident.to_token_stream()),
                syn::GenericParam::Const(c) => Some(c.ident.to_token_stream()),
            })
            .collect();
        if args.is_empty() {
            TokenStream::new()
        } else {
            quote!(::<#(#args),*>)
        }
    }

    // ---- the gradient ----

    fn gradient_fields(&self) -> Vec<(Ident, TokenStream)> {
        self.sig
            .active()
            .map(|(_, p)| (p.ident.clone(), p.shape.gradient_type()))
            .collect()
    }

    fn gradient_type(&self, elide: bool) -> TokenStream {
        let types: Vec<TokenStream> = self.gradient_fields().into_iter().map(|f| f.1).collect();
        if self.sig.associated {
            return quote!((#(#types,)*));
        }
        let name = &self.sig.gradient;
        let args = Self::arguments(&self.mentioned(&quote!(#(#types)*)), elide);
        if args.is_empty() {
            quote!(#name)
        } else {
            quote!(#name<#(#args),*>)
        }
    }

    fn gradient_value(&self) -> TokenStream {
        let values: Vec<Ident> = self.sig.active().map(|(k, _)| owned(self.sig, k)).collect();
        if self.sig.associated {
            return quote!((#(#values,)*));
        }
        let name = &self.sig.gradient;
        let fields = self.sig.active().map(|(_, p)| &p.ident);
        quote!(#name { #(#fields: #values),* })
    }

    fn gradient_struct(&self) -> TokenStream {
        let (name, vis) = (&self.sig.gradient, &self.item.vis);
        let fields = self.gradient_fields();
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.1).collect();
        let (generics, clause) = self.declared(self.mentioned(&quote!(#(#types)*)));
        let generics = if generics.is_empty() {
            generics
        } else {
            quote!(<#generics>)
        };
        let doc = format!(
            "The gradient of [`fn@{}`]: one field for each differentiated parameter, shaped like it.",
            self.sig.ident
        );
        let fields = fields.iter().map(|(ident, ty)| {
            let doc = format!("The derivative with respect to `{}`.", ident.unraw());
            quote!(#[doc = #doc] #vis #ident: #ty)
        });
        quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(non_snake_case, non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis struct #name #generics #clause { #(#fields),* }
        }
    }

    // ---- the residuals ----

    fn residuals_struct(&self, fields: &[Field]) -> TokenStream {
        let (name, vis) = (&self.sig.residuals, &self.item.vis);
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.ty).collect();
        let all = quote!(#(#types)*);
        let mut params = Vec::new();
        if borrows(&all) {
            params.push(quote!('__bp));
        }
        let (bare, clause) = self.declared(self.mentioned(&all));
        if !bare.is_empty() {
            params.push(bare);
        }
        let generics = if params.is_empty() {
            TokenStream::new()
        } else {
            quote!(<#(#params),*>)
        };
        let doc = format!(
            "What the forward pass of [`fn@{}`] keeps for the backward pass.",
            self.sig.ident
        );
        let fields = fields.iter().map(|f| {
            let (name, ty) = (&f.name, &f.ty);
            quote!(#name: #ty)
        });
        // A type of the user's may have neither.
        let known = self
            .sig
            .params
            .iter()
            .all(|p| p.shape.is_known() && !p.shape.has_structs())
            && !self.sig.names.uses_structs();
        let derives = known.then(|| quote!(#[derive(::core::clone::Clone, ::core::fmt::Debug)]));
        quote! {
            #[doc = #doc]
            #derives
            #[allow(unused, non_snake_case, non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis struct #name #generics #clause { #(#fields),* }
        }
    }

    fn residuals_type(&self, fields: &[Field], elide: bool) -> TokenStream {
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.ty).collect();
        let all = quote!(#(#types)*);
        if self.sig.associated {
            if !elide {
                return quote!((#(#types,)*));
            }
            let types: Vec<TokenStream> = types.iter().map(|t| elided((*t).clone())).collect();
            return quote!((#(#types,)*));
        }
        let name = &self.sig.residuals;
        let mut args = Vec::new();
        if borrows(&all) {
            args.push(if elide { quote!('_) } else { quote!('__bp) });
        }
        args.extend(Self::arguments(&self.mentioned(&all), elide));
        if args.is_empty() {
            quote!(#name)
        } else {
            quote!(#name<#(#args),*>)
        }
    }

    /// The fields, and the bodies of `forward` and `backward`.
    fn split(&self, p: &Programs) -> (Vec<Field>, TokenStream, TokenStream) {
        let primal_params = p.primal.reads.len() as u32;
        let mut e = Emit::new(&p.split, self.sig, self.errors, primal_params);
        let mut fields = Vec::new();
        for k in &p.saved.params {
            let id = p
                .split
                .graph
                .nodes
                .iter()
                .position(|n| matches!(n.node, crate::graph::Node::Param(j) if j == *k));
            let Some(id) = id else { continue };
            let id = crate::graph::Id(id as u32);
            let param = &self.sig.params[p.primal.read_params[*k as usize] as usize];
            let part = p.primal.read_types.get(*k as usize);
            let part = part.and_then(Option::as_ref).map(ToTokens::to_token_stream);
            let ty = match (e.known_type(id).or(part), param.is_borrowed()) {
                (Some(ty), _) => ty,
                (None, true) => borrowed(&param.ty),
                (None, false) => param.ty.to_token_stream(),
            };
            fields.push(Field {
                name: e.param_field(id),
                ty,
                value: e.value(id),
            });
        }
        for &id in &p.saved.nodes {
            fields.push(Field {
                name: e.name(id),
                ty: e.type_of(id),
                value: e.value(id),
            });
        }
        for l in e.saved_tapes() {
            fields.push(self.tape_field(&e, l));
        }
        // Gradients of a length known at run time start as zeros of the parameter's shape.
        let mut early = TokenStream::new();
        let mut arrays: BTreeSet<ArrayId> = p.saved.arrays.clone();
        for (k, param) in self.sig.active() {
            if e.zeros(&param.shape).is_some() {
                continue;
            }
            match (&p.primal.params[k], param.is_borrowed()) {
                (Source::Array(a), true) => {
                    arrays.insert(*a);
                }
                _ => {
                    let name = format_ident!("z{}", k);
                    let ident = &param.ident;
                    let zeros = e.zeros_like(&param.shape, &quote!(#ident));
                    early.extend(quote!(let #name = #zeros;));
                    fields.push(Field {
                        name: name.clone(),
                        ty: param.shape.gradient_type(),
                        value: quote!(#name),
                    });
                }
            }
        }
        let mut saved_arrays = Vec::new();
        for a in arrays {
            let data = p.split.graph.array(a);
            let mark = if data.param.is_some() { "pa" } else { "a" };
            let name = local(&format!("{}_{mark}{}", data.name, a.0));
            let place = crate::graph::Place {
                array: a,
                path: Vec::new(),
            };
            let field = match data.param {
                Some(k) if self.sig.params[k as usize].shape.is_array() => {
                    let param = &self.sig.params[k as usize];
                    let value = e.place(&place);
                    if param.in_out {
                        // The caller goes on using the array.
                        let shape = match &param.shape {
                            Shape::Slice(s) => Shape::Vec(s.clone()),
                            shape => shape.clone(),
                        };
                        Field {
                            name: name.clone(),
                            ty: self.local_type(&e, &shape),
                            value: quote!(::std::borrow::ToOwned::to_owned(&*#value)),
                        }
                    } else if param.by_ref {
                        Field {
                            name: name.clone(),
                            ty: borrowed(&param.ty),
                            value,
                        }
                    } else {
                        Field {
                            name: name.clone(),
                            ty: param.ty.to_token_stream(),
                            value: quote!(::core::clone::Clone::clone(&#value)),
                        }
                    }
                }
                // A part of what is borrowed is borrowed too.
                Some(k) if self.sig.params[k as usize].is_borrowed() => {
                    let (value, ty) = (e.place(&place), self.local_type(&e, &data.shape));
                    Field {
                        name: name.clone(),
                        ty: quote!(&'__bp #ty),
                        value: quote!(&#value),
                    }
                }
                _ => {
                    let value = e.place(&place);
                    Field {
                        name: name.clone(),
                        ty: self.local_type(&e, &data.shape),
                        value: quote!(::core::clone::Clone::clone(&#value)),
                    }
                }
            };
            fields.push(field);
            saved_arrays.push((a, name));
        }
        // The gradient's generic parameters must be those of the residuals, or nothing would tell them to `backward`.
        let gradient = self.gradient_type(false);
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.ty).collect();
        let (wanted, found) = (
            self.mentioned(&gradient),
            self.mentioned(&quote!(#(#types)*)),
        );
        if wanted
            .params
            .iter()
            .any(|p| !found.params.iter().any(|q| p == q))
        {
            let name = format_ident!("of");
            let ty = quote!(::core::marker::PhantomData<#gradient>);
            fields.push(Field {
                name,
                ty,
                value: quote!(::core::marker::PhantomData),
            });
        }
        let items = &p.primal.items;
        let statements = e.region(p.split.body);
        let (writes, output) = self.finish(&e, &p.split);
        let residuals = if self.sig.associated {
            let values = fields.iter().map(|f| &f.value);
            quote!((#(#values,)*))
        } else {
            let name = &self.sig.residuals;
            let parts = fields.iter().map(|f| {
                let (n, v) = (&f.name, &f.value);
                quote!(#n: #v)
            });
            quote!(#name { #(#parts),* })
        };
        let saved = local("saved");
        let forward = e.tidy(quote! {
            #(#items)*
            #early
            #statements
            let #saved = #residuals;
            #writes
            (#output, #saved)
        });
        // The backward pass reads what it needs from the residuals.
        let root = local("saved");
        let unpack = if self.sig.associated {
            let names = fields.iter().map(|f| &f.name);
            let holder = local("Saved");
            let kinds = (0..fields.len())
                .map(|k| format_ident!("T{}", k))
                .collect::<Vec<_>>();
            let decls = fields.iter().zip(&kinds).map(|(f, t)| {
                let n = &f.name;
                quote!(#n: &'__s #t)
            });
            let names2 = fields.iter().map(|f| &f.name);
            // A tuple has no names: give its fields the ones that the statements use.
            if fields.is_empty() {
                TokenStream::new()
            } else {
                quote! {
                    struct #holder<'__s, #(#kinds),*> { #(#decls),* }
                    let (#(#names,)*) = #root;
                    let #root = #holder { #(#names2),* };
                }
            }
        } else {
            TokenStream::new()
        };
        e.saved = Some(quote!(#root));
        e.by_reference = self.sig.associated;
        e.saved_arrays = saved_arrays.into_iter().collect();
        let mut start = TokenStream::new();
        for (k, param) in self.sig.active() {
            let (own, d) = (owned(self.sig, k), buffer(self.sig, k));
            let zeros = match (
                e.zeros(&param.shape),
                &p.primal.params[k],
                param.is_borrowed(),
            ) {
                (Some(zeros), _, _) => zeros,
                (None, Source::Array(a), true) => {
                    let value = e.place(&crate::graph::Place {
                        array: *a,
                        path: Vec::new(),
                    });
                    e.zeros_like(&param.shape, &value)
                }
                _ => {
                    let name = format_ident!("z{}", k);
                    quote!(::core::clone::Clone::clone(&#root.#name))
                }
            };
            let ty = param.shape.gradient_type();
            start.extend(quote!(let mut #own: #ty = #zeros; let #d = &mut #own;));
        }
        let statements = p.split.back.map(|b| e.region(b));
        let adds = self.scalar_adds(&e, &p.split, true);
        let value = self.gradient_value();
        let backward = e.tidy(quote! {
            #(#items)*
            #unpack
            #start
            #statements
            #adds
            #value
        });
        (fields, forward, backward)
    }

    fn tape_field(&self, e: &Emit, l: LoopId) -> Field {
        let (name, cursor, elem) = (e.tape_name(l), e.cursor(l), e.tape_type(l));
        // A branch not taken leaves room unused.
        let value = quote!({ let mut #name = #name; #name.truncate(#cursor); #name });
        Field {
            name,
            ty: quote!(::std::vec::Vec<#elem>),
            value,
        }
    }

    fn local_type(&self, e: &Emit, shape: &Shape) -> TokenStream {
        match shape {
            Shape::Scalar(ty) => match e.p.graph.types.tokens(*ty) {
                Some(t) => t,
                None => {
                    self.errors.reject_named(
                        &self.sig.ident,
                        &crate::errors::UNTYPED,
                        "an array's elements",
                    );
                    quote!(())
                }
            },
            Shape::Float(f) => f.tokens(),
            Shape::Array(s, n) => {
                let s = self.local_type(e, s);
                quote!([#s; #n])
            }
            Shape::Slice(s) | Shape::Vec(s) => {
                let s = self.local_type(e, s);
                quote!(::std::vec::Vec<#s>)
            }
            Shape::Tuple(all) => {
                let all = all.iter().map(|s| self.local_type(e, s));
                quote!((#(#all,)*))
            }
            Shape::Struct(s) => s.path.to_token_stream(),
            Shape::Constant(ty) => ty.to_token_stream(),
            Shape::Unknown => quote!(()),
        }
    }

    fn scalar_adds(&self, e: &Emit, p: &Gradient, fresh: bool) -> TokenStream {
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
    fn fused(&self, primal: &Primal, p: &Gradient, fresh: bool) -> TokenStream {
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
    fn finish(&self, e: &Emit, p: &Gradient) -> (TokenStream, TokenStream) {
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

    fn params(&self, primal: Option<&Primal>) -> Vec<TokenStream> {
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

    fn checks(&self) -> TokenStream {
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

    fn functions(
        &self,
        programs: Option<&Programs>,
        fields: &[Field],
        forward: TokenStream,
        backward: TokenStream,
        derivation: &str,
    ) -> TokenStream {
        let sig = self.sig;
        let vis = &self.item.vis;
        let output = self.output;
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
                    let #saved = { #backward };
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
            let e = Emit::new(&p.split, sig, self.errors, 0);
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

    /// The statements of a traced program, with buffers of its own.
    fn traced(&self, e: &Emit, primal: &Primal, p: &Gradient) -> TokenStream {
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
    fn trace(&self, primal: &Primal, p: &Gradient) -> TokenStream {
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
    fn wires(&self, primal: &Primal, p: &Gradient) -> Option<TokenStream> {
        use crate::explain::{Part, Style, draw};
        if !self.sig.names.floats.is_empty() {
            return None;
        }
        let picture = draw(primal, &self.sig.ident.unraw().to_string(), Style::Wires).ok()?;
        let e = Emit::new(p, self.sig, self.errors, primal.reads.len() as u32);
        let statements = self.traced(&e, primal, p);
        let out = local("svg");
        let adjoints: std::collections::HashMap<_, _> = p.trace.iter().copied().collect();
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

    fn clears(&self, programs: Option<&Programs>) -> TokenStream {
        let Some(p) = programs else {
            return TokenStream::new();
        };
        let e = Emit::new(&p.split, self.sig, self.errors, 0);
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

    fn starts(&self, programs: Option<&Programs>) -> TokenStream {
        let Some(p) = programs else {
            return self
                .sig
                .active()
                .map(|(k, param)| (owned(self.sig, k), param.shape.gradient_type()))
                .map(|(own, ty)| quote!(let mut #own: #ty = ::core::unreachable!();))
                .collect();
        };
        let e = Emit::new(&p.split, self.sig, self.errors, 0);
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
fn owned(sig: &Signature, k: usize) -> Ident {
    local(&format!("g_{}", sig.params[k].ident.unraw()))
}

fn check_lengths(
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

fn check_rows(s: &Shape, value: &TokenStream, buffer: &TokenStream, text: &str) -> TokenStream {
    let (a, b) = (local("row"), local("d_row"));
    let inner = check_lengths(s, quote!(#a), quote!(#b), text);
    if inner.is_empty() {
        return inner;
    }
    quote!(for (#a, #b) in ::core::iter::Iterator::zip(#value.iter(), #buffer.iter()) { #inner })
}

/// The identifiers in some tokens; lifetimes with their quote.
pub fn identifiers(tokens: TokenStream, out: &mut BTreeSet<String>) {
    let mut quote = false;
    for tree in tokens {
        match tree {
            TokenTree::Ident(i) => {
                out.insert(if quote {
                    format!("'{i}")
                } else {
                    i.to_string()
                });
                quote = false;
            }
            TokenTree::Group(g) => {
                identifiers(g.stream(), out);
                quote = false;
            }
            TokenTree::Punct(p) => quote = p.as_char() == '\'',
            TokenTree::Literal(_) => quote = false,
        }
    }
}

fn borrows(tokens: &TokenStream) -> bool {
    let mut names = BTreeSet::new();
    identifiers(tokens.clone(), &mut names);
    names.contains("'__bp")
}

/// A reference type with the lifetime of the residuals wherever none is named.
fn borrowed(ty: &syn::Type) -> TokenStream {
    struct Name;
    impl Name {
        fn fill(ty: &mut syn::Type) {
            match ty {
                syn::Type::Reference(r) => {
                    let elided = r.lifetime.as_ref().is_none_or(|l| l.ident == "_");
                    if elided {
                        r.lifetime = Some(syn::parse_quote!('__bp));
                    }
                    Name::fill(&mut r.elem);
                }
                syn::Type::Group(g) => Name::fill(&mut g.elem),
                syn::Type::Paren(p) => Name::fill(&mut p.elem),
                syn::Type::Slice(s) => Name::fill(&mut s.elem),
                syn::Type::Array(a) => Name::fill(&mut a.elem),
                _ => {}
            }
        }
    }
    let mut ty = ty.clone();
    Name::fill(&mut ty);
    ty.to_token_stream()
}

fn references_elided(ty: &syn::Type) -> bool {
    borrowed(ty).to_string() != ty.to_token_stream().to_string()
}

/// The lifetime of the residuals left out, for a parameter's type.
fn elided(tokens: TokenStream) -> TokenStream {
    let mut out = Vec::new();
    let mut quote_pending: Option<TokenTree> = None;
    for tree in tokens {
        match tree {
            TokenTree::Punct(p) if p.as_char() == '\'' => quote_pending = Some(TokenTree::Punct(p)),
            TokenTree::Ident(i) if quote_pending.is_some() => {
                let quote = quote_pending.take();
                if i != "__bp" {
                    out.extend(quote);
                    out.push(TokenTree::Ident(i));
                }
            }
            TokenTree::Group(g) => out.push(TokenTree::Group(proc_macro2::Group::new(
                g.delimiter(),
                elided(g.stream()),
            ))),
            other => out.push(other),
        }
    }
    out.into_iter().collect()
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
