//! The split passes: the bodies of `forward` and `backward`, and the fields between them.
//!
//! In: the three programs. Out: one field of the residuals for each value, array, length and tape that the backward pass reads,
//! and both bodies. What must hold: what `forward` stores in a field, `backward` reads under the name that it has there.

use super::{Field, Items, Programs, fused::owned, generics::borrowed};
use crate::emit::Emit;
use crate::graph::{ArrayId, LoopId, Source};
use crate::reverse::buffer;
use crate::shape::Shape;
use crate::signature::local;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use std::collections::BTreeSet;

impl Items<'_> {
    /// The fields, and the bodies of `forward` and `backward`.
    pub(super) fn split(&self, p: &Programs) -> (Vec<Field>, TokenStream, TokenStream) {
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
                    // Nothing else reads states.
                    let value = match data.saves {
                        Some(_) => value,
                        None => quote!(::core::clone::Clone::clone(&#value)),
                    };
                    Field {
                        name: name.clone(),
                        ty: self.local_type(&e, &data.shape),
                        value,
                    }
                }
            };
            fields.push(field);
            saved_arrays.push((a, name));
        }
        // The backward pass reads what it needs from the residuals.
        let root = local("saved");
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
        let back = p.split.back.map(|b| e.region(b));
        let adds = self.scalar_adds(&e, &p.split, true);
        (e.saved, e.by_reference) = (None, false);
        e.saved_arrays.clear();
        // The generic parameters of the backward pass must be those of the residuals, or nothing would tell them to `backward`.
        let gradient = self.gradient_type(false);
        let types: Vec<&TokenStream> = fields.iter().map(|f| &f.ty).collect();
        let found = self.mentioned(&quote!(#(#types)*));
        let lost = |wanted: &TokenStream| -> Vec<syn::GenericParam> {
            let wanted = self.mentioned(wanted).params.into_iter();
            wanted
                .filter(|p| !found.params.iter().any(|q| p == q))
                .collect()
        };
        let others = lost(&quote!(#back #adds));
        if !others.is_empty() || !lost(&gradient).is_empty() {
            let others: Vec<TokenStream> = others
                .iter()
                .filter_map(|p| match p {
                    syn::GenericParam::Type(t) => {
                        let t = &t.ident;
                        Some(quote!(&#t))
                    }
                    syn::GenericParam::Const(c) => {
                        let c = &c.ident;
                        Some(quote!([(); #c]))
                    }
                    syn::GenericParam::Lifetime(_) => None,
                })
                .collect();
            let of = match others.is_empty() {
                true => gradient,
                false => quote!((#gradient, fn(#(#others),*))),
            };
            fields.push(Field {
                name: format_ident!("of"),
                ty: quote!(::core::marker::PhantomData<#of>),
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
        let value = self.gradient_value();
        let backward = e.tidy(quote! {
            #(#items)*
            #unpack
            #start
            #back
            #adds
            #value
        });
        (fields, forward, backward)
    }

    pub(super) fn tape_field(&self, e: &Emit, l: LoopId) -> Field {
        let (name, cursor, elem) = (e.tape_name(l), e.cursor(l), e.tape_type(l));
        // A branch not taken leaves room unused.
        let value = quote!({ let mut #name = #name; #name.truncate(#cursor); #name });
        Field {
            name,
            ty: quote!(::std::vec::Vec<#elem>),
            value,
        }
    }

    pub(super) fn local_type(&self, e: &Emit, shape: &Shape) -> TokenStream {
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
}
