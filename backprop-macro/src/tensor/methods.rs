//! Methods: functions of tensors whose first parameter is `self`, and associated functions.
//!
//! In: a function that stands in an `impl`. Out: the free function that it would be, whose derivatives `items` puts beside the method. What must
//! hold: `Self` is the type of the `impl` that `source` finds, without generic parameters, as items inside of a function do not see these.

use crate::definitions::Definitions;
use crate::errors::{self, Errors};
use crate::options::Options;
use crate::shape::peel;
use crate::signature::float_generics;
use crate::tensor::signature::float_type;
use proc_macro2::{Ident, Span};
use syn::visit_mut::VisitMut;

/// What `self` is called in the free function.
pub fn this() -> Ident {
    Ident::new("__self", Span::mixed_site())
}

/// Whether a function stands in an `impl`.
pub fn is_method(function: &syn::ItemFn, options: &Options) -> bool {
    options.associated || receiver(function).is_some()
}

pub fn receiver(function: &syn::ItemFn) -> Option<&syn::Receiver> {
    match function.sig.inputs.first() {
        Some(syn::FnArg::Receiver(r)) => Some(r),
        _ => None,
    }
}

/// The free function, and the attribute's arguments for it.
pub fn freed(
    function: &syn::ItemFn,
    options: &Options,
    definitions: &Definitions,
    errors: &Errors,
) -> Option<(syn::ItemFn, Options)> {
    if let Some(p) = function.sig.generics.params.first() {
        errors.reject(p, &errors::TENSOR_METHOD_GENERIC);
        return None;
    }
    let of = definitions.implementor().map(|t| peel(&t).clone());
    let Some(syn::Type::Path(of)) = of else {
        errors.reject(&function.sig.ident, &errors::SELF_UNKNOWN);
        return None;
    };
    let floats = float_generics(&function.sig.generics);
    let generic = of.path.segments.iter().find(|s| match &s.arguments {
        syn::PathArguments::AngleBracketed(a) => a.args.iter().any(|a| match a {
            syn::GenericArgument::Type(t) => !float_type(t, &floats),
            _ => true,
        }),
        _ => false,
    });
    if generic.is_some() {
        errors.reject(&function.sig.ident, &errors::TENSOR_METHOD_GENERIC);
        return None;
    }
    let mut free = function.clone();
    let mut options = Options {
        given: options.given.clone(),
        wrt: options.wrt.clone(),
        namespace: options.namespace.clone(),
        ..Options::default()
    };
    options.given.retain(|o| o != "associated");
    for name in options.wrt.iter_mut().flatten() {
        if name == "self" {
            *name = this();
        }
    }
    let mut names = Myself(of.path.clone());
    if let Some(syn::FnArg::Receiver(r)) = function.sig.inputs.first() {
        let this = this();
        let ty: syn::Type = match &r.kind {
            syn::ReceiverKind::Value => syn::parse_quote!(#of),
            syn::ReceiverKind::Reference(_, _, None) => syn::parse_quote!(&#of),
            syn::ReceiverKind::Reference(..) => {
                errors.reject(r, &errors::TENSOR_IN_OUT);
                return None;
            }
            _ => {
                errors.reject(r, &errors::PARAM_TYPE);
                return None;
            }
        };
        free.sig.inputs[0] = syn::parse_quote!(#this: #ty);
    }
    names.visit_signature_mut(&mut free.sig);
    names.visit_block_mut(&mut free.block);
    Some((free, options))
}

/// A method whose `self` is called as in a free function, and `Self` by its name.
pub fn renamed(method: &mut syn::ItemFn, of: &syn::Path) {
    let mut names = Myself(of.clone());
    if let Some(syn::FnArg::Receiver(_)) = method.sig.inputs.first() {
        let this = this();
        method.sig.inputs[0] = syn::parse_quote!(#this: &#of);
    }
    names.visit_signature_mut(&mut method.sig);
    names.visit_block_mut(&mut method.block);
}

/// Says `self` and `Self` by other names.
struct Myself(syn::Path);
impl VisitMut for Myself {
    fn visit_path_mut(&mut self, p: &mut syn::Path) {
        syn::visit_mut::visit_path_mut(self, p);
        if p.is_ident("self") {
            *p = this().into();
            return;
        }
        if p.segments.first().is_some_and(|s| s.ident == "Self") {
            let rest = p.segments.iter().skip(1).cloned();
            let mut path = self.0.clone();
            path.segments.extend(rest);
            *p = path;
        }
    }
}
