//! The generated items of a tensor function: namespace, gradient, workspace, residuals and functions.
//!
//! In: the function, its signature and, unless something was rejected, its bodies. Out: items with the promised
//! signatures; after an error their bodies are stubs, so that one mistake is one error.

use crate::shape::peel;
use crate::signature::local;
use crate::tensor::emit::{
    Again, Emit, Held, Line, adjoint, field, live, mentioned, scalar_buffer,
};
use crate::tensor::fuse::leaves;
use crate::tensor::graph::{Op, Ty, V};
use crate::tensor::lower::Program;
use crate::tensor::reverse::reverse;
use crate::tensor::signature::{Kind, Out, Param, TensorSig, dimension, with_lifetime};
use crate::tensor::tape::{tape_name, tape_type};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::{BTreeMap, BTreeSet};
use syn::ext::IdentExt;

struct Items<'a> {
    item: &'a syn::ItemFn,
    sig: &'a TensorSig,
}

/// The bodies of the functions.
#[derive(Default)]
struct Bodies {
    unit: TokenStream,
    accumulate: TokenStream,
    forward: TokenStream,
    backward: TokenStream,
    /// The value, and the parameters moved; not for loops, calls and lists of tensors, whose
    /// adjoints and residuals have places of their own.
    descend: Option<TokenStream>,
    /// `forward` without the value.
    saves: TokenStream,
    /// `backward` into buffers.
    backward_into: TokenStream,
    /// Name, type and value of each field.
    residuals: Vec<(Ident, TokenStream, TokenStream)>,
    slots: BTreeMap<String, crate::tensor::graph::Rank>,
    /// The loops whose structs are in the workspace.
    vectors: BTreeSet<usize>,
    tapes: TokenStream,
}

/// All generated items; stubs where there is no program.
pub fn items(
    item: &syn::ItemFn,
    sig: &TensorSig,
    program: Option<(&Program, &Emit)>,
) -> TokenStream {
    let i = Items { item, sig };
    let bodies = program.map(|(p, e)| i.bodies(p, e));
    let functions = i.functions(bodies.as_ref());
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
    let allow = quote!(#[allow(
        unused, non_snake_case, deprecated, unreachable_code, clippy::all, clippy::pedantic, clippy::nursery,
        clippy::restriction
    )]);
    quote! {
        #[doc = #doc]
        #[allow(non_camel_case_types, clippy::all, clippy::pedantic)]
        #vis enum #namespace {}
        #structs
        #allow
        const _: () = {
            use ::backprop::tensor::ndarray::Dimension as _;
            #(#lanes)*
            #allow
            impl #namespace { #functions }
        };
    }
}

impl Items<'_> {
    /// `<T>` and its bounds, where the elements are generic.
    fn generics(&self) -> (TokenStream, TokenStream) {
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

    fn gradient_fields(&self) -> Vec<(Ident, TokenStream)> {
        self.sig
            .active()
            .map(|(_, p)| (p.ident.clone(), self.sig.owned(&p.kind)))
            .collect()
    }

    fn structs(&self, bodies: Option<&Bodies>) -> TokenStream {
        let sig = self.sig;
        let vis = &self.item.vis;
        let (args, bounds) = self.generics();
        let (gradient, residuals, workspace) = (&sig.gradient, &sig.residuals, &sig.workspace);
        let fields = self.gradient_fields().into_iter().map(|(ident, ty)| {
            let doc = format!("The derivative with respect to `{}`.", ident.unraw());
            quote!(#[doc = #doc] #vis #ident: #ty)
        });
        let doc_gradient = format!(
            "The gradient of [`fn@{}`]: one field for each differentiated parameter, shaped like it.",
            sig.ident
        );
        let doc_residuals = format!(
            "What the forward pass of [`fn@{}`] keeps for the backward pass.",
            sig.ident
        );
        let doc_workspace = format!(
            "Memory for [`value_and_gradient_with`]({}::value_and_gradient_with): it is made in the first call, and again when a \
             shape changes.\n\nIt starts as `{}::default()`.",
            sig.namespace.unraw(),
            sig.workspace
        );
        let none = Vec::new();
        let kept = bodies.map_or(&none, |b| &b.residuals);
        let kept = kept.iter().map(|(name, ty, _)| quote!(#name: #ty));
        let slots: Vec<(Ident, TokenStream)> = bodies
            .iter()
            .flat_map(|b| &b.slots)
            .map(|(name, rank)| (format_ident!("{}", name), sig.owned(&Kind::Tensor(*rank))))
            .collect();
        let (slot_names, slot_types): (Vec<&Ident>, Vec<&TokenStream>) =
            slots.iter().map(|s| (&s.0, &s.1)).unzip();
        let vectors: Vec<Ident> = bodies
            .iter()
            .flat_map(|b| &b.vectors)
            .map(|&id| field(&tape_name(id)))
            .collect();
        let vector_types = bodies.iter().flat_map(|b| &b.vectors).map(|&id| {
            let tape = tape_type(workspace, id);
            quote!(::std::vec::Vec<#tape #args>)
        });
        let tapes = bodies.map(|b| &b.tapes);
        let t = sig.elem.tokens();
        let life = match sig.float() {
            Some(t) => quote!(<'__bp, #t>),
            None => quote!(<'__bp>),
        };
        quote! {
            #[doc = #doc_gradient]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(non_snake_case, clippy::all, clippy::pedantic)]
            #vis struct #gradient #args { #(#fields),* }

            #[doc = #doc_residuals]
            #[allow(unused, non_snake_case, clippy::all, clippy::pedantic)]
            #vis struct #residuals #life { #(#kept,)* of: ::core::marker::PhantomData<&'__bp #t> }

            #tapes

            #[doc = #doc_workspace]
            #[allow(unused, non_snake_case, clippy::all, clippy::pedantic)]
            #vis struct #workspace #args {
                #(#slot_names: #slot_types,)*
                #(#vectors: #vector_types,)*
                gradient: ::core::option::Option<#gradient #args>,
            }

            impl #bounds ::core::default::Default for #workspace #args {
                fn default() -> Self {
                    Self {
                        #(#slot_names: ::backprop::tensor::empty(),)*
                        #(#vectors: ::std::vec::Vec::new(),)*
                        gradient: ::core::option::Option::None,
                    }
                }
            }
        }
    }

    fn bodies(&self, p: &Program, e: &Emit) -> Bodies {
        let sig = self.sig;
        let lines = e.forward();
        let scalar = matches!(sig.output, Out::Scalar);
        let items = &p.items;
        let upstream = local("up");
        let mut results = Vec::new();
        leaves(&p.result, &mut results);
        // One of several results may be part of another: only a single one leaves its buffer.
        let alone = results.len() == 1;
        let mut reached = Vec::new();
        reach(&sig.output, quote!(#upstream), &mut reached);

        // Forward and backward in one.
        let fused = |unit: bool, fresh: bool| {
            let steps = reverse(&p.graph, &p.result, |_| fresh);
            let back = e.backward(&steps, unit, &reached);
            let mut wanted = mentioned(&back);
            let result = e.result(&p.result, &|_| alone);
            wanted.extend(mentioned(&e.result(&p.result, &|_| false)));
            let forward = live(&lines, &mut wanted, true);
            let forward = forward.iter().map(|l| &l.tokens);
            quote! { #(#items)* #(#forward)* #back #result }
        };
        let unit = if scalar {
            fused(true, true)
        } else {
            TokenStream::new()
        };
        let accumulate = fused(false, false);
        let lists = sig.active().any(|(_, p)| matches!(p.kind, Kind::List(_)));
        let calls = p
            .graph
            .values
            .iter()
            .any(|v| matches!(v.op, Op::Call { .. }));
        let simple = scalar && p.graph.loops.is_empty() && !calls && !lists;
        let descend = simple.then(|| self.descend(p, e, &lines));

        // Apart.
        let steps = reverse(&p.graph, &p.result, |_| true);
        let back = e.backward(&steps, false, &reached);
        let mut wanted = mentioned(&back);
        let mut again: Vec<Line> = Vec::new();
        let mut kept: BTreeSet<String> = BTreeSet::new();
        for line in lines.iter().rev() {
            let needed: Vec<&String> = line.names.iter().filter(|n| wanted.contains(*n)).collect();
            if needed.is_empty() {
                continue;
            }
            if matches!(line.again, Again::Keep | Again::Loop) {
                let needed: Vec<String> = needed.into_iter().cloned().collect();
                for name in needed {
                    let made = match e.held.borrow().get(&name) {
                        Some(Held::Again(tokens)) => Some(tokens.clone()),
                        _ => None,
                    };
                    let Some(tokens) = made else {
                        kept.insert(name);
                        continue;
                    };
                    wanted.extend(mentioned(&tokens));
                    again.push(Line {
                        names: vec![name],
                        tokens,
                        again: Again::Pure,
                    });
                }
            } else {
                wanted.extend(mentioned(&line.tokens));
                again.push(line.clone());
            }
        }
        again.reverse();
        let mut residuals = Vec::new();
        let mut unpack = TokenStream::new();
        let saved = local("saved");
        let held = e.held.borrow();
        let t = sig.elem.tokens();
        for name in &kept {
            let Some(how) = held.get(name) else { continue };
            let ident = Ident::new(name, proc_macro2::Span::mixed_site());
            let f = field(&ident);
            match how {
                Held::Param(k) if matches!(sig.params[*k].kind, Kind::List(_)) => {
                    let param = &sig.params[*k];
                    let source = &param.ident;
                    let inner = crate::tensor::signature::element(list_type(&param.ty));
                    let element = inner.map(with_lifetime);
                    if param.by_ref {
                        residuals.push((
                            f.clone(),
                            quote!(&'__bp [#element]),
                            quote!(&#source[..]),
                        ));
                    } else {
                        residuals.push((
                            f.clone(),
                            quote!(::std::vec::Vec<#element>),
                            quote!(#source),
                        ));
                    }
                    unpack.extend(quote!(let #ident = &#saved.#f[..];));
                }
                Held::Again(_) => {}
                Held::Tape(id) => {
                    let tape = tape_type(&sig.workspace, *id);
                    let (args, _) = self.generics();
                    residuals.push((
                        f.clone(),
                        quote!(::std::vec::Vec<#tape #args>),
                        quote!(::core::mem::take(&mut __ws.#f)),
                    ));
                    unpack.extend(quote!(let #ident = &#saved.#f[..];));
                }
                Held::Param(k) => {
                    let param = &sig.params[*k];
                    let Kind::Tensor(rank) = param.kind else {
                        continue;
                    };
                    let d = dimension(rank);
                    let source = &param.ident;
                    let owned =
                        crate::tensor::signature::read_tensor(&param.ty, sig.generics_floats())
                            .is_some_and(|t| t.owned);
                    if owned && !param.by_ref {
                        residuals.push((f.clone(), sig.owned(&param.kind), quote!(#source)));
                        unpack.extend(quote!(let #ident = #saved.#f.view();));
                    } else {
                        let value = if param.by_ref {
                            quote!(::backprop::tensor::view(#source))
                        } else {
                            quote!(#source)
                        };
                        residuals.push((
                            f.clone(),
                            quote!(::backprop::tensor::ndarray::ArrayView<'__bp, #t, #d>),
                            value,
                        ));
                        unpack.extend(quote!(let #ident = #saved.#f.view();));
                    }
                }
                Held::Slot(rank) => {
                    let ty = sig.owned(&Kind::Tensor(*rank));
                    residuals.push((
                        f.clone(),
                        ty,
                        quote!(::backprop::tensor::take(&mut __ws.#f)),
                    ));
                    unpack.extend(quote!(let #ident = #saved.#f.view();));
                }
                Held::Scalar => {
                    residuals.push((f.clone(), t.clone(), quote!(#ident)));
                    unpack.extend(quote!(let #ident = #saved.#f;));
                }
                Held::Dim(rank) => {
                    residuals.push((f.clone(), dimension(*rank), quote!(#ident)));
                    unpack.extend(quote!(let #ident = ::core::clone::Clone::clone(&#saved.#f);));
                }
            }
        }
        // Constant parameters that the backward pass reads again, and shapes of the gradients.
        let read = {
            let again = again.iter().map(|l| &l.tokens);
            mentioned(&quote!(#(#again)* #back))
        };
        for (k, param) in sig.params.iter().enumerate() {
            let name = param.ident.to_string();
            if !matches!(param.kind, Kind::Constant) || !read.contains(&name) {
                continue;
            }
            let (f, ident) = (format_ident!("p{}", k), &param.ident);
            let ty: syn::Type = param.ty.clone();
            residuals.push((
                f.clone(),
                with_lifetime(&ty),
                quote!(::core::clone::Clone::clone(&#ident)),
            ));
            unpack.extend(quote!(let #ident = ::core::clone::Clone::clone(&#saved.#f);));
        }
        let mut starts = TokenStream::new();
        for (k, param) in sig.active() {
            let own = format_ident!("__g_{}", k, span = proc_macro2::Span::mixed_site());
            match param.kind {
                Kind::List(rank) => {
                    let (f, ident, d) =
                        (format_ident!("shape{}", k), &param.ident, dimension(rank));
                    let name = adjoint(value_of(p, k));
                    residuals.push((
                        f.clone(),
                        quote!(::std::vec::Vec<#d>),
                        quote!(#ident.iter().map(|__each| __each.raw_dim()).collect()),
                    ));
                    starts.extend(quote! {
                        let mut #own: ::std::vec::Vec<::backprop::tensor::ndarray::Array<#t, #d>> = #saved.#f
                            .iter()
                            .map(|__each| ::backprop::tensor::ndarray::Array::zeros(::core::clone::Clone::clone(__each)))
                            .collect();
                        let #name = &mut #own[..];
                    });
                }
                Kind::Tensor(rank) => {
                    let f = format_ident!("shape{}", k);
                    let ident = &param.ident;
                    let d = adjoint(value_of(p, k));
                    residuals.push((f.clone(), dimension(rank), quote!(#ident.raw_dim())));
                    starts.extend(quote! {
                        let mut #own = ::backprop::tensor::ndarray::Array::zeros(::core::clone::Clone::clone(&#saved.#f));
                        let #d = &mut #own;
                    });
                }
                _ => {
                    let b = scalar_buffer(k);
                    let zero = self.zero();
                    starts.extend(quote!(let mut #own: #t = #zero; let #b = &mut #own;));
                }
            }
        }
        drop(held);
        let value = self.gradient_value();
        let gives = e.result(&p.result, &|name| alone && !kept.contains(name));
        let mut wanted: BTreeSet<String> = kept.clone();
        wanted.extend(mentioned(&e.result(&p.result, &|_| false)));
        let forward = live(&lines, &mut wanted, true);
        let forward = forward.iter().map(|l| &l.tokens);
        let name = &sig.residuals;
        // Shapes first: an owned parameter moves into its field.
        residuals.sort_by_key(|r| !r.0.to_string().starts_with("shape"));
        let parts = residuals.iter().map(|(n, _, v)| quote!(#n: #v));
        let workspace = &sig.workspace;
        let (args, _) = self.generics();
        let start_workspace = quote!(let mut __space = <#workspace #args as ::core::default::Default>::default(); let __ws = &mut __space;);
        let forward = quote! {
            #(#items)*
            #start_workspace
            #(#forward)*
            let __value = #gives;
            let #saved = #name { #(#parts,)* of: ::core::marker::PhantomData };
            (__value, #saved)
        };
        let saves = {
            let mut wanted = kept.clone();
            let lines = live(&lines, &mut wanted, true);
            let lines = lines.iter().map(|l| &l.tokens);
            let parts = residuals.iter().map(|(n, _, v)| quote!(#n: #v));
            quote! {
                #(#items)*
                #start_workspace
                #(#lines)*
                #name { #(#parts,)* of: ::core::marker::PhantomData }
            }
        };
        let again: Vec<&TokenStream> = again.iter().map(|l| &l.tokens).collect();
        let backward_into = quote! {
            #(#items)*
            #start_workspace
            #unpack
            #(#again)*
            #back
        };
        let backward = quote! {
            #(#items)*
            #start_workspace
            #unpack
            #(#again)*
            #starts
            #back
            #value
        };
        let accumulate = quote!(#start_workspace #accumulate);
        Bodies {
            unit,
            accumulate,
            descend,
            forward,
            backward,
            saves,
            backward_into,
            residuals,
            slots: e.slots.borrow().clone(),
            vectors: e.vectors.borrow().clone(),
            tapes: {
                let (args, bounds) = self.generics();
                e.tape_structs(&sig.workspace, &self.item.vis, &args, &bounds)
            },
        }
    }

    /// The value; `-rate` times the gradient is added to the parameters. One that the backward pass still reads has its gradient in the
    /// workspace until the end.
    fn descend(&self, p: &Program, e: &Emit, lines: &[Line]) -> TokenStream {
        let up = local("up");
        let in_place = e.in_place(lines, &reverse(&p.graph, &p.result, |_| true));
        let steps = reverse(&p.graph, &p.result, |v| !in_place.contains(&v));
        *e.moved.borrow_mut() = Some(in_place.clone());
        let back = e.backward(&steps, false, &[quote!(#up)]);
        *e.moved.borrow_mut() = None;
        let (mut lends, mut moves) = (TokenStream::new(), TokenStream::new());
        for (k, param) in self.sig.active() {
            let (ident, v, own) = (&param.ident, value_of(p, k), scalar_buffer(k));
            let (_, lent) = self.moved(param, &own);
            lends.extend(quote!(let #own = #ident; let #ident = #lent;));
            if matches!(param.kind, Kind::Tensor(_)) && !in_place.contains(&v) {
                let d = adjoint(v);
                moves.extend(quote!(::backprop::tensor::copy(#d.view(), #own.view_mut(), true);));
            }
        }
        let result = e.result(&p.result, &|_| true);
        let mut wanted = mentioned(&quote!(#back #result));
        let forward = live(lines, &mut wanted, true);
        let (items, forward) = (&p.items, forward.iter().map(|l| &l.tokens));
        quote! { #(#items)* #lends #(#forward)* let #up = -__rate; #back #moves #result }
    }

    /// What a step of gradient descent has behind the `&mut` of a parameter, and how the body gets what was written in its place.
    fn moved(&self, param: &Param, own: &Ident) -> (TokenStream, TokenStream) {
        let written = match peel(&param.ty) {
            syn::Type::Reference(r) => &*r.elem,
            ty => ty,
        };
        let read = crate::tensor::signature::read_tensor(written, self.sig.generics_floats());
        match (&param.kind, param.by_ref, read.is_some_and(|t| t.owned)) {
            (Kind::Tensor(_), true, true) => (quote!(#written), quote!(&*#own)),
            (Kind::Tensor(_), false, true) => (quote!(#written), quote!(#own.clone())),
            (Kind::Tensor(_), true, false) => (self.sig.buffer(&param.kind), quote!(&#own.view())),
            (Kind::Tensor(_), false, false) => (self.sig.buffer(&param.kind), quote!(#own.view())),
            (_, true, _) => (self.sig.buffer(&param.kind), quote!(&{ *#own })),
            (_, false, _) => (self.sig.buffer(&param.kind), quote!(*#own)),
        }
    }

    fn zero(&self) -> TokenStream {
        match self.sig.float() {
            Some(t) => quote!(#t::zero()),
            None => quote!(0.0),
        }
    }

    fn gradient_value(&self) -> TokenStream {
        let name = &self.sig.gradient;
        let parts = self.sig.active().map(|(k, p)| {
            let own = format_ident!("__g_{}", k, span = proc_macro2::Span::mixed_site());
            let ident = &p.ident;
            quote!(#ident: #own)
        });
        quote!(#name { #(#parts),* })
    }

    fn functions(&self, bodies: Option<&Bodies>) -> TokenStream {
        let sig = self.sig;
        let vis = &self.item.vis;
        let output = &sig.output_ty;
        let (args, _) = self.generics();
        let generics = &sig.generics;
        let clause = &generics.where_clause;
        let names: Vec<&Ident> = sig.params.iter().map(|p| &p.ident).collect();
        let params: Vec<TokenStream> = sig
            .params
            .iter()
            .map(|p| {
                let (ident, ty) = (&p.ident, &p.ty);
                quote!(#ident: #ty)
            })
            .collect();
        let positions = self.positions();
        let mut buffers = Vec::new();
        let mut buffer_names = Vec::new();
        let mut own_buffers = Vec::new();
        let mut own_starts = TokenStream::new();
        let mut fitted = TokenStream::new();
        let mut checks = TokenStream::new();
        let mut saved_checks = TokenStream::new();
        let mut clears = TokenStream::new();
        for (k, p) in sig.active() {
            let own = format_ident!("__g_{}", k, span = proc_macro2::Span::mixed_site());
            let (ty, ident) = (sig.buffer(&p.kind), &p.ident);
            let name = match p.kind {
                Kind::Tensor(_) | Kind::List(_) => adjoint(V(positions[k])),
                _ => scalar_buffer(k),
            };
            match p.kind {
                Kind::List(_) => {
                    let text = format!(
                        "the buffers for the gradient of `{}` have other shapes",
                        ident.unraw()
                    );
                    let (saved, shape) = (local("saved"), format_ident!("shape{}", k));
                    checks.extend(quote!(::core::assert!(
                        #name.len() == #ident.len() && #name.iter().zip(#ident.iter()).all(|(__a, __b)| __a.shape() == __b.shape()),
                        #text
                    );));
                    saved_checks.extend(quote!(::core::assert!(
                        #name.len() == #saved.#shape.len() && #name.iter().zip(&#saved.#shape).all(|(__a, __b)| __a.raw_dim() == *__b),
                        #text
                    );));
                    own_starts.extend(quote!(let mut #own: ::std::vec::Vec<_> = #ident
                        .iter()
                        .map(|__each| ::backprop::tensor::ndarray::Array::zeros(__each.raw_dim()))
                        .collect();));
                    fitted.extend(quote! {
                        __gradient.#ident.resize_with(#ident.len(), ::backprop::tensor::empty);
                        for (__to, __from) in __gradient.#ident.iter_mut().zip(#ident.iter()) {
                            ::backprop::tensor::fit(__to, &__from.raw_dim());
                        }
                    });
                }
                Kind::Tensor(_) => {
                    let text = format!(
                        "the buffer for the gradient of `{}` has another shape",
                        ident.unraw()
                    );
                    checks.extend(quote!(::core::assert!(#name.shape() == #ident.shape(), #text);));
                    let shape = format_ident!("shape{}", k);
                    let saved = local("saved");
                    saved_checks
                        .extend(quote!(::core::assert!(#name.raw_dim() == #saved.#shape, #text);));
                    own_starts.extend(quote!(let mut #own = ::backprop::tensor::ndarray::Array::zeros(#ident.raw_dim());));
                    fitted.extend(
                        quote!(::backprop::tensor::fit(&mut __gradient.#ident, &#ident.raw_dim());),
                    );
                }
                _ => {
                    let zero = self.zero();
                    clears.extend(quote!(*#name = #zero;));
                    own_starts.extend(quote!(let mut #own = #zero;));
                    fitted.extend(quote!(__gradient.#ident = #zero;));
                }
            }
            buffers.push(quote!(#name: &mut #ty));
            buffer_names.push(name);
            own_buffers.push(quote!(&mut #own));
        }
        let stub = quote!(::core::unreachable!("this function was not differentiated"));
        let body = |f: fn(&Bodies) -> &TokenStream| bodies.map_or(stub.clone(), |b| f(b).clone());
        let (gradient, residuals, workspace) = (&sig.gradient, &sig.residuals, &sig.workspace);
        let upstream = local("up");
        let saved = local("saved");
        let value = self.gradient_value();
        let mention = if sig.params.iter().any(|p| p.ident == sig.ident) {
            TokenStream::new()
        } else {
            let ident = &sig.ident;
            let turbofish = sig.float().map(|t| quote!(::<#t>));
            quote!(let _ = #ident #turbofish;)
        };

        // forward and backward
        let life_params: Vec<TokenStream> = sig
            .params
            .iter()
            .map(|p| {
                let (ident, ty) = (&p.ident, with_lifetime(&p.ty));
                quote!(#ident: #ty)
            })
            .collect();
        let types: Vec<&syn::TypeParam> = generics.type_params().collect();
        let (life, elided) = match sig.float() {
            Some(t) => (quote!(<'__bp, #t>), quote!(<'_, #t>)),
            None => (quote!(<'__bp>), quote!(<'_>)),
        };
        let type_clause = if generics.lifetimes().next().is_some() {
            None
        } else {
            clause.as_ref()
        };
        let forward = body(|b| &b.forward);
        let backward = body(|b| &b.backward);
        let accumulate = body(|b| &b.accumulate);
        let unit = body(|b| &b.unit);
        let saves = body(|b| &b.saves);
        let backward_into = match bodies {
            Some(b) => {
                let body = &b.backward_into;
                quote!(#saved_checks #clears #body)
            }
            None => stub.clone(),
        };
        let upstream_ref = reference(&sig.output, sig);
        let list = sig
            .params
            .iter()
            .map(|p| p.ident.unraw().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let name = sig.ident.unraw().to_string();
        let doc = |text: &str, example: String| format!("{text}\n\n```text\n{example}\n```");
        let doc_forward = doc(
            "The forward pass: the value, and what the backward pass needs.",
            format!("let (y, saved) = {name}::forward({list});"),
        );
        let doc_backward = doc(
            "The backward pass, from the residuals and the upstream gradient, shaped like the result.",
            format!("let gradient = {name}::backward(&saved, upstream);"),
        );
        let doc_saves = doc(
            "What the backward pass needs, without the value: of a function that is linear it is a matter of borrowing.",
            format!("let saved = {name}::residuals({list});"),
        );
        let doc_backward_into = doc(
            "As `backward`; the gradient is written to the buffers, one for each differentiated parameter, in order. The upstream \
             gradient is borrowed.\n\n# Panics\n\nBefore anything is written, if a buffer has another shape than its parameter.",
            format!("{name}::backward_into(&saved, upstream, &mut buffer, …);"),
        );
        let panics = "# Panics\n\nAs the function does; and before anything is written, if a buffer has another shape than its parameter.";
        let doc_accumulate = doc(
            &format!(
                "The value; `upstream` times the gradient is added to the buffers.\n\n{panics}"
            ),
            format!("let y = {name}::accumulate({list}, upstream, &mut buffer, …);"),
        );
        let (mut pulled, mut parts) = (Vec::new(), Vec::new());
        for p in &sig.params {
            if p.active {
                let ident = &p.ident;
                pulled.push(sig.owned(&p.kind));
                parts.push(quote!(#saved.#ident));
            } else {
                pulled.push(quote!(()));
                parts.push(quote!(()));
            }
        }
        let mut out = quote! {
            #[doc = #doc_forward]
            #vis fn forward<'__bp, #(#types),*>(#(#life_params),*) -> (#output, #residuals #life) #type_clause { #mention #forward }

            #[doc = #doc_backward]
            #vis fn backward<#(#types),*>(#saved: &#residuals #elided, #upstream: #output) -> #gradient #args #type_clause { #backward }

            #[doc = #doc_saves]
            #vis fn residuals<'__bp, #(#types),*>(#(#life_params),*) -> #residuals #life #type_clause { #mention #saves }

            #[doc = #doc_backward_into]
            #vis fn backward_into<#(#types),*>(#saved: &#residuals #elided, #upstream: #upstream_ref, #(#buffers),*) #type_clause {
                #backward_into
            }

            #[doc(hidden)]
            #vis fn __pullback<#(#types),*>(#saved: &#residuals #elided, #upstream: #output) -> (#(#pulled,)*) #type_clause {
                let #saved = Self::backward(#saved, #upstream);
                (#(#parts,)*)
            }

            #[doc = #doc_accumulate]
            #vis fn accumulate #generics (#(#params,)* #upstream: #output, #(#buffers),*) -> #output #clause { #mention #checks #accumulate }
        };
        if !matches!(sig.output, Out::Scalar) {
            return out;
        }
        let doc_descend = doc(
            "One step of gradient descent: the value; `rate` times the gradient is subtracted from the differentiated parameters, in place. \
             What a product contributes is added to them as it is computed, so that a large gradient is neither written nor read. With shapes \
             as in the last call, nothing is allocated.",
            format!(
                "let mut workspace = {workspace}::default();\nlet y = {name}::descend_with(&mut workspace, rate, &mut …, …);"
            ),
        );
        let moved = sig.params.iter().map(|p| {
            let (ident, ty) = (&p.ident, &p.ty);
            if p.active {
                let (ty, _) = self.moved(p, ident);
                quote!(#ident: &mut #ty)
            } else {
                quote!(#ident: #ty)
            }
        });
        let elem = sig.elem.tokens();
        let descend = match bodies {
            Some(bodies) => bodies.descend.clone(),
            None => Some(stub.clone()),
        };
        let descend = descend.map(|body| {
            quote! {
                #[doc = #doc_descend]
                #vis fn descend_with #generics (__ws: &mut #workspace #args, __rate: #elem, #(#moved),*) -> #output #clause {
                    #mention
                    #body
                }
            }
        });
        let doc_into = doc(
            &format!(
                "The value; the gradient is written to the buffers, one for each differentiated parameter, in order.\n\n{panics}"
            ),
            format!("let y = {name}::value_and_gradient_into({list}, &mut buffer, …);"),
        );
        let doc_both = doc(
            "The value and the gradient.",
            format!("let (y, gradient) = {name}::value_and_gradient({list});"),
        );
        let doc_gradient = doc(
            "The gradient.",
            format!("let gradient = {name}::gradient({list});"),
        );
        let doc_with = doc(
            "The value and the gradient, which stays in the workspace. With shapes as in the last call, nothing is allocated.",
            format!(
                "let mut workspace = {workspace}::default();\nlet (y, gradient) = {name}::value_and_gradient_with(&mut workspace, {list});"
            ),
        );
        let with_generics = with_workspace(generics);
        let active_names: Vec<&Ident> = sig.active().map(|(_, p)| &p.ident).collect();
        let gradient_fields: Vec<TokenStream> = sig
            .active()
            .map(|(_, p)| match p.kind {
                Kind::Tensor(_) => {
                    let ident = &p.ident;
                    quote!(#ident: ::backprop::tensor::empty())
                }
                Kind::List(_) => {
                    let ident = &p.ident;
                    quote!(#ident: ::std::vec::Vec::new())
                }
                _ => {
                    let (ident, zero) = (&p.ident, self.zero());
                    quote!(#ident: #zero)
                }
            })
            .collect();
        out.extend(quote! {
            #[doc(hidden)]
            fn __unit #generics (__ws: &mut #workspace #args, #(#params,)* #(#buffers),*) -> #output #clause { #mention #clears #unit }

            #[doc = #doc_into]
            #vis fn value_and_gradient_into #generics (#(#params,)* #(#buffers),*) -> #output #clause {
                #checks
                Self::__unit(&mut <#workspace #args as ::core::default::Default>::default(), #(#names,)* #(#buffer_names),*)
            }

            #[doc = #doc_with]
            #vis fn value_and_gradient_with #with_generics (__ws: &'__ws mut #workspace #args, #(#params),*) -> (#output, &'__ws #gradient #args) #clause {
                let mut __gradient = match __ws.gradient.take() {
                    ::core::option::Option::Some(__gradient) => __gradient,
                    ::core::option::Option::None => #gradient { #(#gradient_fields),* },
                };
                #fitted
                let __y = Self::__unit(__ws, #(#names,)* #(&mut __gradient.#active_names),*);
                (__y, &*__ws.gradient.insert(__gradient))
            }

            #descend

            #[doc = #doc_both]
            #vis fn value_and_gradient #generics (#(#params),*) -> (#output, #gradient #args) #clause {
                #own_starts
                let __y = Self::__unit(&mut <#workspace #args as ::core::default::Default>::default(), #(#names,)* #(#own_buffers),*);
                (__y, #value)
            }

            #[doc = #doc_gradient]
            #vis fn gradient #generics (#(#params),*) -> #gradient #args #clause {
                Self::value_and_gradient(#(#names),*).1
            }
        });
        out
    }

    /// For each parameter, the number of its value: parameters that are constant Rust have none.
    fn positions(&self) -> Vec<u32> {
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
fn list_type(ty: &syn::Type) -> &syn::Type {
    match peel(ty) {
        syn::Type::Reference(r) => &r.elem,
        other => other,
    }
}

/// The value of a parameter.
fn value_of(p: &Program, k: usize) -> V {
    let at = p.graph.values.iter().position(
        |v| matches!((&v.op, v.ty), (Op::Param(j), Ty::Tensor(..) | Ty::Scalar | Ty::List(_)) if *j == k),
    );
    V(at.unwrap_or(0) as u32)
}

/// How each result's upstream gradient is reached.
fn reach(out: &Out, at: TokenStream, reached: &mut Vec<TokenStream>) {
    match out {
        Out::Tuple(all) => {
            for (k, part) in all.iter().enumerate() {
                let k = syn::Index::from(k);
                reach(part, quote!(#at.#k), reached);
            }
        }
        _ => reached.push(at),
    }
}

/// The type of a borrowed upstream gradient.
fn reference(out: &Out, sig: &TensorSig) -> TokenStream {
    match out {
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

fn with_workspace(generics: &syn::Generics) -> TokenStream {
    let mut g = generics.clone();
    g.params.insert(0, syn::parse_quote!('__ws));
    quote!(#g)
}
