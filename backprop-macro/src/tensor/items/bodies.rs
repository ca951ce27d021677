//! The bodies: forward and backward in one and apart, and a step of gradient descent.

use crate::shape::peel;
use crate::signature::local;
use crate::tensor::emit::{
    Again, Back, Emit, Held, Line, adjoint, field, live, mentioned, scalar_buffer,
};
use crate::tensor::fuse::leaves;
use crate::tensor::items::{Bodies, Items, list_type, value_of};
use crate::tensor::lower::Program;
use crate::tensor::reverse::reverse;
use crate::tensor::signature::{Kind, Out, Param, dimension, with_lifetime};
use crate::tensor::tape::tape_type;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeSet;

impl Items<'_> {
    pub fn bodies(&self, p: &Program, e: &Emit) -> Bodies {
        let sig = self.sig;
        let lines = e.forward();
        let scalar = matches!(sig.output, Out::Scalar);
        let items = &p.items;
        let upstream = local("up");
        let mut results = Vec::new();
        leaves(&p.gives(), &mut results);
        // One of several results may be part of another: only a single one leaves its buffer.
        let alone = results.len() == 1;
        let mut reached = Vec::new();
        reach(&sig.results, quote!(#upstream), &mut reached);
        // What is changed in place is written at the very end.
        let leave = e.leave(p);
        let last = |value: TokenStream| match leave.is_empty() {
            true => value,
            false => quote!(let __value = #value; #leave __value),
        };

        // Forward and backward in one.
        let fused = |unit: bool, fresh: bool| {
            let steps = reverse(p, |_| fresh);
            let passes = Back {
                all: &steps,
                unit,
                results: &reached,
            };
            let (lines, back) = e.at_once(lines.clone(), &steps, &passes, &mut BTreeSet::new());
            let floats = e.floats_back();
            let back = quote!(#back #floats);
            let mut wanted = mentioned(&quote!(#back #leave));
            let result = e.result(&p.result, &|_| alone);
            wanted.extend(mentioned(&e.result(&p.result, &|_| false)));
            let forward = live(&lines, &mut wanted, true);
            let forward = forward.iter().map(|l| &l.tokens);
            let result = last(result);
            quote! { #(#items)* #(#forward)* #back #result }
        };
        let unit = if scalar {
            fused(true, true)
        } else {
            TokenStream::new()
        };
        let accumulate = fused(false, false);
        let descend = crate::tensor::items::descends(p, sig).then(|| self.descend(p, e, &lines));

        // Apart.
        let steps = reverse(p, |_| true);
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
        // What is changed in place, as it was on entry.
        let mut entries = TokenStream::new();
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
                    if param.in_out {
                        // It goes on with the caller: the backward pass has a copy.
                        let entry = format_ident!("__entry{}", k);
                        entries.extend(quote!(let #entry = #source.view().to_owned();));
                        residuals.push((f.clone(), sig.owned(&param.kind), quote!(#entry)));
                        unpack.extend(quote!(let #ident = #saved.#f.view();));
                    } else if owned && !param.by_ref {
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
                Held::Const(ty) => {
                    let ty: TokenStream = ty.parse().unwrap_or_default();
                    residuals.push((f.clone(), ty, quote!(#ident)));
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
                    let mut shape = quote!(#ident.raw_dim());
                    if param.in_out {
                        let entry = format_ident!("__shape{}", k);
                        entries.extend(quote!(let #entry = #shape;));
                        shape = quote!(#entry);
                    }
                    residuals.push((f.clone(), dimension(rank), shape));
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
        wanted.extend(mentioned(&leave));
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
            #entries
            #leave
            let #saved = #name { #(#parts,)* of: ::core::marker::PhantomData };
            (__value, #saved)
        };
        let saves = {
            let mut wanted = kept.clone();
            wanted.extend(mentioned(&leave));
            let lines = live(&lines, &mut wanted, true);
            let lines = lines.iter().map(|l| &l.tokens);
            let parts = residuals.iter().map(|(n, _, v)| quote!(#n: #v));
            quote! {
                #(#items)*
                #start_workspace
                #(#lines)*
                #entries
                #leave
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
    pub fn descend(&self, p: &Program, e: &Emit, lines: &[Line]) -> TokenStream {
        let up = local("up");
        let in_place = e.in_place(lines, &reverse(p, |_| true));
        let steps = reverse(p, |v| !in_place.contains(&v));
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
    pub fn moved(&self, param: &Param, own: &Ident) -> (TokenStream, TokenStream) {
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
