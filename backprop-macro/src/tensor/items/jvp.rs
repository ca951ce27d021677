//! `jvp`: the value and its tangent, forward.
//!
//! In: the program of both. Out: the function, whose parameters are the user's and then a tangent for each that is differentiated. Its
//! buffers have a struct of their own, made for the call.

use crate::tensor::emit::{Emit, live, mentioned};
use crate::tensor::items::{Items, allowed};
use crate::tensor::lower::Program;
use crate::tensor::signature::{Kind, TensorSig};
use crate::tensor::tangent::{tangent_name, tangent_type};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

impl Items<'_> {
    /// The function, and the struct of its buffers; a stub where there is no program.
    pub fn jvp(&self, program: Option<(&Program, &Emit)>) -> (TokenStream, TokenStream) {
        let sig = self.sig;
        if sig.jvp.is_none() {
            return Default::default();
        }
        let params = sig.params.iter().map(|p| {
            let (ident, ty) = (&p.ident, &p.ty);
            quote!(#ident: #ty)
        });
        let tangents = sig.active().map(|(_, p)| {
            let (ident, ty) = (tangent_name(p), tangent_type(p, sig));
            quote!(#ident: #ty)
        });
        let params = quote!(#(#params,)* #(#tangents),*);
        let Some((p, e)) = program else {
            let stub = quote!(::core::unreachable!("this function was not differentiated"));
            return (
                declared(self.item, sig, &sig.namespace, params, stub),
                TokenStream::new(),
            );
        };
        let checks = sig.active().filter_map(|(_, p)| {
            let (ident, tangent) = (&p.ident, tangent_name(p));
            let text = format!("the tangent of `{}` has another shape", ident.unraw());
            match p.kind {
                Kind::Tensor(_) => {
                    Some(quote!(::core::assert!(#tangent.shape() == #ident.shape(), #text);))
                }
                Kind::List(_) => Some(quote!(::core::assert!(
                    #tangent.len() == #ident.len() && #tangent.iter().zip(#ident.iter()).all(|(__a, __b)| __a.shape() == __b.shape()),
                    #text
                );)),
                _ => None,
            }
        });
        let checks: TokenStream = checks.collect();
        let lines = e.forward();
        let mut wanted = mentioned(&e.result(&p.result, &|_| false));
        let lines = live(&lines, &mut wanted, true);
        let lines = lines.iter().map(|l| &l.tokens);
        let (items, result) = (&p.items, e.result(&p.result, &|_| false));
        let workspace = &e.sig.workspace;
        let (args, _) = self.generics();
        let body = quote! {
            #checks
            #(#items)*
            let mut __space = <#workspace #args as ::core::default::Default>::default();
            let __ws = &mut __space;
            #(#lines)*
            #result
        };
        let function = declared(self.item, sig, &sig.namespace, params, body);
        (function, self.buffers(e))
    }

    /// The struct of the buffers, and those of loops.
    fn buffers(&self, e: &Emit) -> TokenStream {
        let (sig, workspace) = (self.sig, &e.sig.workspace);
        let (args, bounds) = self.generics();
        let slots = e.slots.borrow();
        let slots = slots.iter().map(|(name, rank)| {
            let ty = sig.owned(&Kind::Tensor(*rank));
            (
                format_ident!("{}", name),
                ty,
                quote!(::backprop::tensor::empty()),
            )
        });
        let vectors = e.vectors.borrow();
        let vectors = vectors.iter().map(|&id| {
            let (name, ty) = self.vector(workspace, id);
            (name, ty, quote!(::std::vec::Vec::new()))
        });
        let (mut fields, mut starts) = (Vec::new(), Vec::new());
        for (name, ty, start) in slots.chain(vectors) {
            fields.push(quote!(#name: #ty));
            starts.push(quote!(#name: #start));
        }
        let (elem, allow) = (sig.elem.tokens(), allowed());
        let tapes = e.tape_structs(workspace, &syn::Visibility::Inherited, &args, &bounds);
        quote! {
            #allow
            struct #workspace #args { #(#fields,)* of: ::core::marker::PhantomData<#elem> }
            #allow
            impl #bounds ::core::default::Default for #workspace #args {
                fn default() -> Self {
                    Self { #(#starts,)* of: ::core::marker::PhantomData }
                }
            }
            #tapes
        }
    }
}

/// The function with its signature.
pub fn declared(
    item: &syn::ItemFn,
    sig: &TensorSig,
    namespace: &Ident,
    params: TokenStream,
    body: TokenStream,
) -> TokenStream {
    let (vis, output) = (&item.vis, &sig.output_ty);
    let (generics, clause) = (&sig.generics, &sig.generics.where_clause);
    let doc = format!(
        "The value, and its derivative along the tangents: forward mode.\n\n# Panics\n\nAs the function does; and before anything is \
         computed, if a tangent has another shape than its parameter.\n\n```text\nlet (y, dy) = {}::jvp(…, tangents…);\n```",
        namespace.unraw()
    );
    quote! {
        #[doc = #doc]
        #vis fn jvp #generics (#params) -> (#output, #output) #clause { #body }
    }
}
