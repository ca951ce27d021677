//! The functions that take structs: around those of the function by their fields.
//!
//! In: the parameters as the user wrote them, and the flat function's signature. Out: the namespace that the user calls. What must hold:
//! structs are taken apart, and their gradients put together, in the order of the flat function's parameters.

use crate::options::Options;
use crate::shape::peel;
use crate::signature::local;
use crate::tensor::fields::{Flat, Length, Part, Pass, leaves};
use crate::tensor::items::functions::{Inside, Surface, fitted, zeros};
use crate::tensor::items::jvp::declared;
use crate::tensor::items::{Active, Items, Memory, allowed, of_gradient};
use crate::tensor::signature::{Kind, TensorSig};
use crate::tensor::tangent::tangent_type;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

/// The functions that the user calls.
struct Outside<'a> {
    flat: &'a Flat,
    /// That of the flat function.
    sig: &'a TensorSig,
    /// Aliases of the gradients of structs, so that they can be written as expressions.
    aliases: Vec<TokenStream>,
    args: TokenStream,
}

/// The items around those of the flat function.
pub fn outside(
    item: &syn::ItemFn,
    options: &Options,
    flat: &Flat,
    sig: &TensorSig,
    descends: bool,
) -> (TokenStream, Vec<Active>) {
    let items = Items { item, sig };
    let (args, _) = items.generics();
    let mut o = Outside {
        flat,
        sig,
        aliases: Vec::new(),
        args,
    };
    o.items(&items, options, descends)
}

impl<'a> Outside<'a> {
    fn active(&self, part: &Part) -> bool {
        let mut any = false;
        leaves(part, &mut |ident, _| {
            any |= self.sig.active().any(|(_, p)| p.ident == *ident);
        });
        any
    }

    fn kind(&self, ident: &Ident) -> Option<&'a crate::tensor::signature::Param> {
        self.sig.params.iter().find(|p| p.ident == *ident)
    }

    /// Each leaf of a part, with the place where it is.
    fn places(part: &Part, base: &TokenStream, f: &mut dyn FnMut(&Ident, &Pass, &TokenStream)) {
        match part {
            Part::Leaf { ident, pass } => f(ident, pass, base),
            Part::Struct { fields, .. } => {
                for (member, part) in fields {
                    Self::places(part, &quote!(#base.#member), f);
                }
            }
        }
    }

    /// What is handed to the flat function for a part; `mutable` of what is differentiated.
    fn arguments(&self, part: &Part, base: &Ident, mutable: bool, out: &mut Vec<TokenStream>) {
        Self::places(part, &quote!(#base), &mut |ident, pass, at| {
            let moved = mutable && self.kind(ident).is_some_and(|p| p.active);
            out.push(match pass {
                Pass::Whole => quote!(#at),
                Pass::Floats(_) if moved => {
                    quote!(&mut ::backprop::tensor::ndarray::ArrayViewMut1::from(&mut #at[..]))
                }
                Pass::Floats(_) => quote!(::backprop::tensor::ndarray::ArrayView1::from(&#at[..])),
                _ if moved => quote!(&mut #at),
                Pass::Reference => quote!(&#at),
                Pass::Value => quote!(#at),
            });
        });
    }

    /// The places in a part's gradient that the flat function writes.
    fn buffers(&self, part: &Part, base: &Ident, out: &mut Vec<TokenStream>) {
        Self::places(part, &quote!(#base), &mut |ident, pass, at| {
            if self.kind(ident).is_some_and(|p| p.active) {
                out.push(match pass {
                    Pass::Whole => quote!(#at),
                    Pass::Floats(_) => {
                        quote!(&mut ::backprop::tensor::ndarray::ArrayViewMut1::from(&mut #at[..]))
                    }
                    _ => quote!(&mut #at),
                });
            }
        });
    }

    /// Makes the buffers in a part's gradient fit it.
    fn fitted(&self, part: &Part, of: &Ident) -> TokenStream {
        let mut out = TokenStream::new();
        Self::places(part, &quote!(#of), &mut |ident, pass, at| {
            if let Pass::Floats(length) = pass {
                let zero = self.sig.elem.zero();
                if length.is_none() {
                    out.extend(quote!(__gradient.#at.resize(#at.len(), #zero);));
                }
            } else if let Some(p) = self.kind(ident).filter(|p| p.active) {
                out.extend(fitted(&p.kind, at, &quote!(__gradient.#at)));
            }
        });
        out
    }

    /// A part's gradient out of that of the flat function.
    fn gather(&mut self, part: &Part, from: &Ident) -> TokenStream {
        match part {
            Part::Leaf {
                ident,
                pass: Pass::Floats(None),
            } => quote!(#from.#ident.to_vec()),
            Part::Leaf {
                ident,
                pass: Pass::Floats(Some(_)),
            } => quote!(::core::array::from_fn(|__k| #from.#ident[__k])),
            Part::Leaf { ident, .. } => quote!(#from.#ident),
            Part::Struct { ty, fields } => {
                let mut parts = Vec::new();
                for (member, part) in fields {
                    if self.active(part) {
                        let value = self.gather(part, from);
                        parts.push(quote!(#member: #value));
                    } else if matches!(member, syn::Member::Unnamed(_)) {
                        parts.push(quote!(#member: ()));
                    }
                }
                let alias = format_ident!(
                    "__{}Of{}",
                    self.sig.gradient.unraw(),
                    self.aliases.len(),
                    span = proc_macro2::Span::mixed_site()
                );
                let args = &self.args;
                self.aliases.push(
                    quote!(type #alias #args = <#ty as ::backprop::Differentiable>::Gradient;),
                );
                quote!(#alias { #(#parts),* })
            }
        }
    }

    /// The type of a part's gradient.
    fn gradient(&self, part: &Part) -> TokenStream {
        let elem = self.sig.elem.tokens();
        match part {
            Part::Leaf {
                pass: Pass::Floats(None),
                ..
            } => quote!(::std::vec::Vec<#elem>),
            Part::Leaf {
                pass: Pass::Floats(Some(Length(n))),
                ..
            } => quote!([#elem; #n]),
            Part::Leaf { ident, .. } => match self.kind(ident) {
                Some(p) => self.sig.owned(&p.kind),
                None => quote!(()),
            },
            Part::Struct { ty, .. } => quote!(<#ty as ::backprop::Differentiable>::Gradient),
        }
    }

    fn items(
        &mut self,
        items: &Items<'a>,
        options: &Options,
        descends: bool,
    ) -> (TokenStream, Vec<Active>) {
        let (sig, flat, item) = (self.sig, self.flat, items.item);
        let vis = &item.vis;
        let namespace = options.namespace.clone().unwrap_or(item.sig.ident.clone());
        let camel = crate::signature::camel_case(&namespace.unraw().to_string());
        let named = |end: &str| Ident::new(&format!("{camel}{end}"), namespace.span());
        let (gradient, workspace) = (named("Gradient"), named("Workspace"));
        let mut surface = Surface {
            sig,
            vis,
            namespace: &namespace,
            gradient: &gradient,
            workspace: &workspace,
            args: self.args.clone(),
            params: Vec::new(),
            buffers: Vec::new(),
            moved: Vec::new(),
            pulled: Vec::new(),
        };
        let (mut inputs, mut moving, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fields, mut starts, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut pulls, mut own) = (Vec::new(), Vec::new());
        let mut fits = TokenStream::new();
        let g = local("flat");
        for (k, p) in flat.params.iter().enumerate() {
            let (ident, ty) = (&p.ident, &p.ty);
            surface.params.push((ident, ty));
            self.arguments(&p.part, ident, false, &mut inputs);
            self.arguments(&p.part, ident, true, &mut moving);
            if !self.active(&p.part) {
                surface.moved.push(quote!(#ident: #ty));
                surface.pulled.push(quote!(()));
                pulls.push(quote!(()));
                continue;
            }
            let d = format_ident!("__d{}", k, span = proc_macro2::Span::mixed_site());
            let of = self.gradient(&p.part);
            let value = self.gather(&p.part, &g);
            self.buffers(&p.part, &d, &mut places);
            fits.extend(self.fitted(&p.part, ident));
            fields.push((ident.clone(), of.clone()));
            parts.push(quote!(#ident: #value));
            surface.pulled.push(of.clone());
            pulls.push(value);
            own.push(ident);
            let elem = sig.elem.tokens();
            let zero = sig.elem.zero();
            let (buffer, moved, zero) = match (&p.part, self.kind(ident)) {
                (
                    Part::Leaf {
                        pass: Pass::Floats(None),
                        ..
                    },
                    _,
                ) => (
                    quote!([#elem]),
                    quote!([#elem]),
                    quote!(::std::vec![#zero; #ident.len()]),
                ),
                (
                    Part::Leaf {
                        pass: Pass::Floats(Some(Length(n))),
                        ..
                    },
                    _,
                ) => (of, quote!([#elem; #n]), quote!([#zero; #n])),
                (Part::Leaf { .. }, Some(leaf)) => (
                    sig.buffer(&leaf.kind),
                    items.moved(leaf, ident).0,
                    zeros(&leaf.kind, &quote!(#ident), sig),
                ),
                _ => {
                    let target = match peel(ty) {
                        syn::Type::Reference(r) => &*r.elem,
                        other => other,
                    };
                    (
                        of,
                        quote!(#target),
                        match peel(ty) {
                            syn::Type::Reference(_) => {
                                quote!(<#target as ::backprop::Differentiable>::zero_gradient(#ident))
                            }
                            _ => {
                                quote!(<#target as ::backprop::Differentiable>::zero_gradient(&#ident))
                            }
                        },
                    )
                }
            };
            surface.moved.push(quote!(#ident: &mut #moved));
            starts.push(quote!(#ident: #zero));
            surface.buffers.push((d, buffer));
        }
        let inner = &sig.namespace;
        let value = quote!(#gradient { #(#parts),* });
        let (up, saved) = (local("up"), local("saved"));
        let buffers = surface.buffers.iter().map(|b| &b.0);
        let inside = Inside {
            forward: quote!(#inner::forward(#(#inputs),*)),
            backward: quote!(let #g = #inner::backward(#saved, #up); #value),
            residuals: quote!(#inner::residuals(#(#inputs),*)),
            backward_into: quote!(#inner::backward_into(#saved, #up, #(#places),*)),
            pullback: quote!(let #g = #inner::backward(#saved, #up); (#(#pulls,)*)),
            accumulate: quote!(#inner::accumulate(#(#inputs,)* #up, #(#places),*)),
            into: quote!(#inner::value_and_gradient_into(#(#inputs,)* #(#places),*)),
            with: quote! {
                let mut __gradient = match __ws.gradient.take() {
                    ::core::option::Option::Some(__gradient) => __gradient,
                    ::core::option::Option::None => ::std::boxed::Box::new(#gradient { #(#starts),* }),
                };
                #fits
                let __y = {
                    #(let #buffers = &mut __gradient.#own;)*
                    #inner::__unit(&mut __ws.flat, #(#inputs,)* #(#places),*)
                };
                (__y, &**__ws.gradient.insert(__gradient))
            },
            both: quote! {
                let (__y, #g) = #inner::value_and_gradient(#(#inputs),*);
                (__y, #value)
            },
            only: quote!(let #g = #inner::gradient(#(#inputs),*); #value),
            descend: descends
                .then(|| quote!(#inner::descend_with(&mut __ws.flat, __rate, #(#moving),*))),
        };
        let functions = surface.functions(&inside);
        let of =
            |((ident, gradient), (_, buffer)): (&(Ident, TokenStream), &(_, TokenStream))| Active {
                ident: ident.clone(),
                gradient: gradient.clone(),
                buffer: buffer.clone(),
            };
        let active = fields.iter().zip(&surface.buffers).map(of).collect();

        let (generics, clause) = (&sig.generics, &sig.generics.where_clause);
        let types: Vec<&syn::TypeParam> = generics.type_params().collect();
        let declared = (!types.is_empty()).then(|| quote!(<#(#types),*>));
        let (doc_gradient, derives) = of_gradient(&item.sig.ident);
        let fields = fields.iter().map(|(ident, ty)| {
            let doc = format!("The derivative with respect to `{}`.", ident.unraw());
            quote!(#[doc = #doc] #vis #ident: #ty)
        });
        let memory = Memory {
            vis,
            name: &workspace,
            namespace: &namespace,
            declared: quote!(#declared #clause),
            bounds: items.generics().1,
            args: self.args.clone(),
        };
        let flat_workspace = {
            let (ty, args) = (&sig.workspace, &self.args);
            (
                Ident::new("flat", namespace.span()),
                quote!(#ty #args),
                quote!(<#ty #args as ::core::default::Default>::default()),
            )
        };
        let memory = memory.item(&gradient, &[flat_workspace]);
        let doc_namespace = format!("The derivatives of [`fn@{}`].", item.sig.ident);
        let (allow, aliases, checks) = (allowed(), &self.aliases, &flat.checks);
        let jvp = self.jvp(item, &namespace);
        let items = quote! {
            #[doc = #doc_namespace]
            #[allow(non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis enum #namespace {}

            #doc_gradient
            #derives
            #vis struct #gradient #declared #clause { #(#fields),* }

            #memory

            #allow
            const _: () = {
                use ::backprop::tensor::ndarray::Dimension as _;
                #(#aliases)*
                fn __checks #generics () #clause { #checks }
                #allow
                impl #namespace { #functions #jvp }
            };
        };
        (items, active)
    }

    /// Value and tangent, where it is asked for; the tangent of a struct is shaped as its gradient.
    fn jvp(&self, item: &syn::ItemFn, namespace: &Ident) -> TokenStream {
        if self.sig.jvp.is_none() {
            return TokenStream::new();
        }
        let (mut params, mut tangents) = (Vec::new(), Vec::new());
        let (mut inputs, mut slopes) = (Vec::new(), Vec::new());
        for p in &self.flat.params {
            let (ident, ty) = (&p.ident, &p.ty);
            params.push(quote!(#ident: #ty));
            self.arguments(&p.part, ident, false, &mut inputs);
            if !self.active(&p.part) {
                continue;
            }
            let d = format_ident!("__tangent_{}", ident.unraw(), span = local("d").span());
            let of = match self.kind(ident) {
                Some(leaf)
                    if !matches!(
                        p.part,
                        Part::Leaf {
                            pass: Pass::Floats(_),
                            ..
                        }
                    ) =>
                {
                    tangent_type(leaf, self.sig).to_token_stream()
                }
                _ => match &p.part {
                    Part::Leaf {
                        pass: Pass::Floats(None),
                        ..
                    } => {
                        let elem = self.sig.elem.tokens();
                        quote!(&[#elem])
                    }
                    part => {
                        let of = self.gradient(part);
                        quote!(&#of)
                    }
                },
            };
            tangents.push(quote!(#d: #of));
            Self::places(&p.part, &quote!(#d), &mut |ident, pass, at| {
                let Some(leaf) = self.kind(ident).filter(|leaf| leaf.active) else {
                    return;
                };
                slopes.push(match (pass, &leaf.kind) {
                    (Pass::Whole, _) | (_, Kind::Scalar) => quote!(#at),
                    (Pass::Floats(_), _) => {
                        quote!(&::backprop::tensor::ndarray::ArrayView1::from(&#at[..]))
                    }
                    _ => quote!(&#at),
                });
            });
        }
        let inner = &self.sig.namespace;
        let body = quote!(#inner::jvp(#(#inputs,)* #(#slopes),*));
        let params = quote!(#(#params,)* #(#tangents),*);
        declared(item, self.sig, namespace, params, body)
    }
}
