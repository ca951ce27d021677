//! The functions of a function whose parameters are tensors, floats and lists: checks of buffers around the bodies.

use crate::signature::local;
use crate::tensor::emit::{adjoint, scalar_buffer};
use crate::tensor::graph::V;
use crate::tensor::items::functions::{Inside, Surface, fitted, zeros};
use crate::tensor::items::{Bodies, Items};
use crate::tensor::signature::Kind;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

impl Items<'_> {
    pub fn functions(&self, bodies: Option<&Bodies>) -> TokenStream {
        let sig = self.sig;
        let (args, _) = self.generics();
        let positions = self.positions();
        let names: Vec<&Ident> = sig.params.iter().map(|p| &p.ident).collect();
        let actives: Vec<&Ident> = sig.active().map(|(_, p)| &p.ident).collect();
        let mut buffers = Vec::new();
        let mut own = Vec::new();
        let (mut starts, mut fits, mut checks, mut saved_checks, mut clears) = (
            TokenStream::new(),
            TokenStream::new(),
            TokenStream::new(),
            TokenStream::new(),
            TokenStream::new(),
        );
        let saved = local("saved");
        for (k, p) in sig.active() {
            let g = format_ident!("__g_{}", k, span = proc_macro2::Span::mixed_site());
            let (ident, shape) = (&p.ident, format_ident!("shape{}", k));
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
                    checks.extend(quote!(::core::assert!(
                        #name.len() == #ident.len() && #name.iter().zip(#ident.iter()).all(|(__a, __b)| __a.shape() == __b.shape()),
                        #text
                    );));
                    saved_checks.extend(quote!(::core::assert!(
                        #name.len() == #saved.#shape.len() && #name.iter().zip(&#saved.#shape).all(|(__a, __b)| __a.raw_dim() == *__b),
                        #text
                    );));
                }
                Kind::Tensor(_) => {
                    let text = format!(
                        "the buffer for the gradient of `{}` has another shape",
                        ident.unraw()
                    );
                    checks.extend(quote!(::core::assert!(#name.shape() == #ident.shape(), #text);));
                    saved_checks
                        .extend(quote!(::core::assert!(#name.raw_dim() == #saved.#shape, #text);));
                }
                _ => {
                    let zero = sig.elem.zero();
                    clears.extend(quote!(*#name = #zero;));
                }
            }
            let zero = zeros(&p.kind, &quote!(#ident), sig);
            starts.extend(quote!(let mut #g = #zero;));
            fits.extend(fitted(&p.kind, &quote!(#ident), &quote!(__gradient.#ident)));
            buffers.push((name, sig.buffer(&p.kind)));
            own.push(g);
        }
        let moved = sig.params.iter().map(|p| {
            let (ident, ty) = (&p.ident, &p.ty);
            match p.active {
                true => {
                    let (ty, _) = self.moved(p, ident);
                    quote!(#ident: &mut #ty)
                }
                false => quote!(#ident: #ty),
            }
        });
        let parts = sig.params.iter().map(|p| {
            let ident = &p.ident;
            match p.active {
                true => (sig.owned(&p.kind), quote!(#saved.#ident)),
                false => (quote!(()), quote!(())),
            }
        });
        let (pulled, parts): (Vec<_>, Vec<_>) = parts.unzip();
        let surface = Surface {
            sig,
            vis: &self.item.vis,
            namespace: &sig.namespace,
            gradient: &sig.gradient,
            workspace: &sig.workspace,
            args: args.clone(),
            params: sig.params.iter().map(|p| (&p.ident, &p.ty)).collect(),
            buffers,
            moved: moved.collect(),
            pulled,
        };

        // The function as written is used, so that it is no dead code where its derivatives are called only.
        let mention = match sig.method || names.contains(&&sig.ident) {
            true => TokenStream::new(),
            false => {
                let (ident, turbofish) = (&sig.ident, sig.float().map(|t| quote!(::<#t>)));
                quote!(let _ = #ident #turbofish;)
            }
        };
        let stub = quote!(::core::unreachable!("this function was not differentiated"));
        let body = |f: fn(&Bodies) -> &TokenStream| bodies.map_or(stub.clone(), |b| f(b).clone());
        let (forward, residuals) = (body(|b| &b.forward), body(|b| &b.saves));
        let (unit, accumulate) = (body(|b| &b.unit), body(|b| &b.accumulate));
        let descend = match bodies {
            Some(bodies) => bodies.descend.clone(),
            None => Some(stub.clone()),
        };
        let (gradient, workspace) = (&sig.gradient, &sig.workspace);
        let fresh = quote!(&mut <#workspace #args as ::core::default::Default>::default());
        let value = self.gradient_value();
        let buffer_names = surface.buffers.iter().map(|b| &b.0);
        let zeros = sig.active().map(|(_, p)| {
            let ident = &p.ident;
            let zero = zeros(&p.kind, &quote!(#ident), sig);
            quote!(#ident: #zero)
        });
        let up = local("up");
        let inside = Inside {
            forward: quote!(#mention #forward),
            backward: body(|b| &b.backward),
            residuals: quote!(#mention #residuals),
            backward_into: match bodies {
                Some(b) => {
                    let body = &b.backward_into;
                    quote!(#saved_checks #clears #body)
                }
                None => stub.clone(),
            },
            pullback: quote! {
                let #saved = Self::backward(#saved, #up);
                (#(#parts,)*)
            },
            accumulate: quote!(#mention #checks #accumulate),
            into: quote! {
                #checks
                Self::__unit(#fresh, #(#names,)* #(#buffer_names),*)
            },
            with: quote! {
                let mut __gradient = match __ws.gradient.take() {
                    ::core::option::Option::Some(__gradient) => __gradient,
                    ::core::option::Option::None => ::std::boxed::Box::new(#gradient { #(#zeros),* }),
                };
                #fits
                let __y = Self::__unit(__ws, #(#names,)* #(&mut __gradient.#actives),*);
                (__y, &**__ws.gradient.insert(__gradient))
            },
            both: quote! {
                #starts
                let __y = Self::__unit(#fresh, #(#names,)* #(&mut #own),*);
                (__y, #value)
            },
            only: quote!(Self::value_and_gradient(#(#names),*).1),
            descend: descend.map(|body| quote!(#mention #body)),
        };
        let functions = surface.functions(&inside);
        let (generics, clause) = (&sig.generics, &sig.generics.where_clause);
        let (output, params) = (&sig.output_ty, surface.inputs());
        let outputs = surface.outputs();
        let unit = matches!(sig.output, crate::tensor::signature::Out::Scalar).then(|| {
            quote! {
                #[doc(hidden)]
                fn __unit #generics (__ws: &mut #workspace #args, #params, #outputs) -> #output #clause { #mention #clears #unit }
            }
        });
        quote!(#functions #unit)
    }
}
