//! Names that stand for types of tensors and floats: `type Matrix = Array2<f64>`.
//!
//! In: a function. Out: the same, in which such a name is the type itself, by a path that needs no import: in the signature, beside `let`, and in
//! front of a constructor, `Matrix::zeros(…)`. What must hold: the function that the user calls stays as it is written.

use crate::definitions::Definitions;
use crate::shape::peel;
use crate::signature::float_generics;
use crate::source::Source;
use crate::tensor::signature::{float_type, mentions_tensor, read_tensor};
use proc_macro2::Ident;
use syn::visit_mut::VisitMut;

/// The function without such names.
pub fn resolved(function: &syn::ItemFn, source: &Source) -> syn::ItemFn {
    let (mut out, mut names) = (function.clone(), Names::new(function, source));
    names.visit_signature_mut(&mut out.sig);
    names.visit_block_mut(&mut out.block);
    out
}

/// The signature without such names.
pub fn signature(function: &syn::ItemFn, source: &Source) -> syn::Signature {
    let mut sig = function.sig.clone();
    Names::new(function, source).visit_signature_mut(&mut sig);
    sig
}

struct Names {
    definitions: Definitions,
    floats: Vec<Ident>,
    /// The lifetimes that the function declares; others are the alias' own.
    lifetimes: Vec<syn::Lifetime>,
}

impl Names {
    fn new(function: &syn::ItemFn, source: &Source) -> Names {
        let floats = float_generics(&function.sig.generics);
        Names {
            definitions: Definitions::new(floats.clone(), source, function),
            floats,
            lifetimes: (function.sig.generics.lifetimes())
                .map(|l| l.lifetime.clone())
                .collect(),
        }
    }

    /// What a path stands for, if that is a type of tensors or floats.
    fn stands_for(&self, path: &syn::Path) -> Option<syn::Type> {
        const KNOWN: [&str; 8] = [
            "Self", "f64", "f32", "usize", "bool", "Vec", "Axis", "Option",
        ];
        if KNOWN.iter().any(|n| path.is_ident(n)) {
            return None;
        }
        let ty = self.definitions.alias(path)?;
        if !mentions_tensor(&ty, &self.floats) && !float_type(&ty, &self.floats) {
            return None;
        }
        let mut ty = peel(&ty).clone();
        Absolute(self).visit_type_mut(&mut ty);
        Some(ty)
    }
}

impl VisitMut for Names {
    fn visit_type_mut(&mut self, ty: &mut syn::Type) {
        if let syn::Type::Path(p) = &*ty
            && p.qself.is_none()
            && let Some(found) = self.stands_for(&p.path)
        {
            *ty = found;
            return;
        }
        syn::visit_mut::visit_type_mut(self, ty);
    }

    // `Matrix::zeros`.
    fn visit_expr_path_mut(&mut self, p: &mut syn::ExprPath) {
        let mut holder = p.path.clone();
        let Some(name) = holder.segments.pop() else {
            return;
        };
        holder.segments.pop_punct();
        if p.qself.is_none()
            && !holder.segments.is_empty()
            && let Some(syn::Type::Path(found)) = self.stands_for(&holder)
            && read_tensor(&syn::Type::Path(found.clone()), &self.floats).is_some()
        {
            let mut path = found.path;
            if let Some(last) = path.segments.last_mut()
                && let syn::PathArguments::AngleBracketed(args) = &mut last.arguments
            {
                args.colon2_token = Some(Default::default());
            }
            path.segments.push(name);
            p.path = path;
            return;
        }
        syn::visit_mut::visit_expr_path_mut(self, p);
    }
}

/// Names ndarray's types whatever is imported.
struct Absolute<'a>(&'a Names);
impl VisitMut for Absolute<'_> {
    fn visit_type_mut(&mut self, ty: &mut syn::Type) {
        let tensor = read_tensor(ty, &self.0.floats).is_some();
        if let syn::Type::Path(p) = ty {
            if let Some(last) = p.path.segments.last_mut()
                && let syn::PathArguments::AngleBracketed(args) = &mut last.arguments
            {
                let all = std::mem::take(&mut args.args);
                let foreign = |a: &syn::GenericArgument| matches!(a, syn::GenericArgument::Lifetime(l) if !self.0.lifetimes.contains(l));
                args.args = all.into_iter().filter(|a| !foreign(a)).collect();
            }
            let shape = p.path.segments.last().is_some_and(|s| {
                let name = s.ident.to_string();
                name.starts_with("Ix") || name == "Dim" || name.ends_with("Repr")
            });
            if (tensor || shape)
                && let Some(last) = p.path.segments.last().cloned()
            {
                p.path = syn::parse_quote!(::backprop::tensor::ndarray::#last);
            }
        }
        syn::visit_mut::visit_type_mut(self, ty);
    }
}
