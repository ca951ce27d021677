//! The function's signature: parameters, results and names.
//!
//! In: a `syn::Signature` and the options. Out: [`Signature`], in which every parameter is known to carry gradients, known
//! to be constant, or rejected at its type.

use crate::definitions::Definitions;
use crate::errors::{self, Errors};
use crate::options::Options;
use crate::shape::{Shape, peel};
use crate::source::Source;
use proc_macro2::{Ident, Span};
use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;

/// A parameter.
pub struct Param {
    pub ident: Ident,
    pub ty: syn::Type,
    pub shape: Shape,
    /// The function differentiates with respect to it.
    pub active: bool,
    pub by_ref: bool,
    pub mutable: bool,
    /// Taken by `&mut`: what it holds at the end is a result too.
    pub in_out: bool,
    /// Computed before: it may be infinite or NaN though what it is computed from is neither.
    pub unbounded: bool,
}

impl Param {
    /// Behind a shared reference: what it refers to stays as it is.
    pub fn is_borrowed(&self) -> bool {
        self.by_ref && !self.in_out
    }

    /// The receiver of a method.
    pub fn is_self(&self) -> bool {
        self.ident == "self"
    }
}

/// What the rest of the compiler knows of the function.
pub struct Signature {
    pub ident: Ident,
    /// The name of the generated namespace.
    pub namespace: Ident,
    /// `FGradient`, `FResiduals`.
    pub gradient: Ident,
    pub residuals: Ident,
    pub params: Vec<Param>,
    /// `Some` where the function is a method, as the receiver is written.
    pub receiver: Option<syn::Receiver>,
    /// The function stands in an `impl`: no items can be put beside it.
    pub associated: bool,
    pub output: Shape,
    /// The type of the result as it is written.
    pub result: Option<syn::Type>,
    /// The function returns nothing: its results are what its `&mut` parameters hold at the end.
    pub returns_nothing: bool,
    /// What type names stand for.
    pub names: Definitions,
    pub generics: syn::Generics,
}

impl Signature {
    /// Reads the signature; errors are recorded and leave the parameter out.
    pub fn read(
        function: &syn::ItemFn,
        options: &Options,
        source: &Source,
        errors: &Errors,
    ) -> Option<Signature> {
        let sig = &function.sig;
        let names = Definitions::new(float_generics(&sig.generics), source, function);
        if let Some(at) = &sig.asyncness {
            errors.reject(at, &errors::ASYNC);
        }
        if let Some(at) = &sig.abi {
            errors.reject(at, &errors::EXTERN_FN);
        }
        if let Some(at) = &sig.variadic {
            errors.reject(at, &errors::EXTERN_FN);
        }
        if let syn::Safety::Unsafe(at) = &sig.safety {
            errors.reject(at, &errors::UNSAFE_FN);
        }
        if source.is_of_trait(function) {
            errors.reject(&sig.ident, &errors::TRAIT_METHOD);
            return None;
        }
        let mut params = Vec::new();
        let mut receiver = None;
        for input in &sig.inputs {
            match input {
                syn::FnArg::Receiver(r) => {
                    receiver = Some(r.clone());
                    if let Some(param) = read_receiver(r, options, &names, errors) {
                        params.push(param);
                    }
                }
                syn::FnArg::Typed(p) => {
                    if let Some(param) = read_param(p, options, &names, errors) {
                        params.push(param);
                    }
                }
            }
        }
        if let Some(names) = &options.wrt {
            for name in names {
                match params.iter().find(|p| p.ident.unraw() == name.unraw()) {
                    // Rejected already.
                    None if name == "self" && receiver.is_some() => {}
                    None => {
                        errors.reject(name, &errors::UNKNOWN_WRT);
                    }
                    Some(p) if !p.shape.has_floats() => {
                        errors.reject(name, &errors::WRT_CONSTANT);
                    }
                    Some(_) => {}
                }
            }
        }
        if !params.iter().any(|p| p.active) && errors.is_empty() {
            errors.reject(&sig.ident, &errors::NO_FLOATS);
        }
        let output = match &sig.output {
            syn::ReturnType::Default => {
                let mut changed: Vec<Shape> = params
                    .iter()
                    .filter(|p| p.in_out && p.shape.has_floats())
                    .map(|p| p.shape.clone())
                    .collect();
                match (changed.pop(), changed.is_empty()) {
                    (None, _) => {
                        errors.reject(&sig.ident, &errors::NO_RESULT);
                        Shape::Unknown
                    }
                    (Some(one), true) => one,
                    (Some(last), false) => {
                        changed.push(last);
                        Shape::Tuple(changed)
                    }
                }
            }
            syn::ReturnType::Type(_, ty) => {
                let shape = Shape::parse(ty, &names);
                let reference = matches!(peel(ty), syn::Type::Reference(_));
                if let Some(of) = shape.underived() {
                    let name = of.path.to_token_stream().to_string();
                    errors.reject_named(ty, &errors::UNDERIVED, &name);
                } else if reference || !shape.has_floats() || !output_supported(&shape) {
                    errors.reject(ty, &errors::RETURN_TYPE);
                }
                shape
            }
        };
        let namespace = options
            .namespace
            .clone()
            .unwrap_or_else(|| sig.ident.clone());
        let camel = camel_case(&namespace.unraw().to_string());
        let span = namespace.span();
        let associated = receiver.is_some() || options.associated || source.is_associated(function);
        for name in ["Gradient", "Residuals"].map(|end| format!("{camel}{end}")) {
            if !associated && source.taken(function, &name) {
                errors.reject_named(&namespace, &errors::CLASH, &name);
            }
        }
        if !errors.is_empty() {
            return None;
        }
        Some(Signature {
            ident: sig.ident.clone(),
            gradient: Ident::new(&format!("{camel}Gradient"), span),
            residuals: Ident::new(&format!("{camel}Residuals"), span),
            namespace,
            params,
            receiver,
            associated,
            output,
            result: match &sig.output {
                syn::ReturnType::Default => None,
                syn::ReturnType::Type(_, ty) => Some((**ty).clone()),
            },
            returns_nothing: matches!(sig.output, syn::ReturnType::Default),
            names,
            generics: sig.generics.clone(),
        })
    }

    /// The parameters that have a gradient, in order.
    pub fn active(&self) -> impl Iterator<Item = (usize, &Param)> {
        self.params.iter().enumerate().filter(|(_, p)| p.active)
    }

    /// The result is one float, so that its upstream gradient can be 1.
    pub fn has_scalar_result(&self) -> bool {
        !self.returns_nothing && matches!(self.output, Shape::Float(_))
    }

    /// `energy_gradient` beside the method `energy`.
    pub fn sibling(&self, suffix: &str) -> Ident {
        format_ident!(
            "{}_{}",
            self.namespace.unraw(),
            suffix,
            span = self.namespace.span()
        )
    }
}

/// `self`, where `wrt` names it; it is constant otherwise.
fn read_receiver(
    r: &syn::Receiver,
    options: &Options,
    names: &Definitions,
    errors: &Errors,
) -> Option<Param> {
    let named = options.wrt.as_ref()?.iter().find(|n| *n == "self")?;
    let (by_ref, in_out) = match &r.kind {
        syn::ReceiverKind::Value => (false, false),
        syn::ReceiverKind::Reference(_, _, mutability) => (true, mutability.is_some()),
        _ => {
            errors.reject(r, &errors::PARAM_TYPE);
            return None;
        }
    };
    let whole: syn::Type = syn::parse_quote!(Self);
    let shape = Shape::parse(&whole, names);
    if !shape.is_known() {
        errors.reject(named, &errors::SELF_UNKNOWN);
        return None;
    }
    if let Some(of) = shape.underived() {
        errors.reject_named(
            named,
            &errors::UNDERIVED,
            &of.path.to_token_stream().to_string(),
        );
        return None;
    }
    let ty = match (by_ref, in_out) {
        (true, true) => syn::parse_quote!(&mut Self),
        (true, false) => syn::parse_quote!(&Self),
        _ => whole,
    };
    Some(Param {
        ident: Ident::from(r.self_token),
        ty,
        active: shape.has_floats(),
        by_ref,
        mutable: !by_ref && r.mutability.is_some(),
        in_out,
        unbounded: false,
        shape,
    })
}

fn read_param(
    p: &syn::PatType,
    options: &Options,
    names: &Definitions,
    errors: &Errors,
) -> Option<Param> {
    let syn::Pat::Ident(pat) = &*p.pat else {
        errors.reject(&p.pat, &errors::PARAM_PATTERN);
        return None;
    };
    if pat.subpat.is_some() || pat.by_ref.is_some() {
        errors.reject(&p.pat, &errors::PARAM_PATTERN);
        return None;
    }
    let ty = peel(&p.ty);
    let named = options
        .wrt
        .as_ref()
        .map(|names| names.iter().any(|n| n.unraw() == pat.ident.unraw()));
    if is_function(ty) && (named != Some(false) || matches!(ty, syn::Type::ImplTrait(_))) {
        errors.reject(ty, &errors::FUNCTION_PARAM);
        return None;
    }
    if let syn::Type::ImplTrait(_) = ty {
        errors.reject(ty, &errors::IMPL_TRAIT);
        return None;
    }
    let in_out = matches!(ty, syn::Type::Reference(r) if r.mutability.is_some());
    if let syn::Type::Reference(r) = ty
        && (refers_mutably(&r.elem) || in_out && grows(&r.elem))
    {
        errors.reject(&p.ty, &errors::REF_MUT_PARAM);
        return None;
    }
    let shape = Shape::parse(ty, names);
    if !shape.is_known() && named != Some(false) {
        errors.reject(&p.ty, &errors::PARAM_TYPE);
        return None;
    }
    let active = shape.has_floats() && named.unwrap_or(true);
    if active && let Some(of) = shape.underived() {
        errors.reject_named(
            &p.ty,
            &errors::UNDERIVED,
            &of.path.to_token_stream().to_string(),
        );
        return None;
    }
    Some(Param {
        ident: pat.ident.clone(),
        ty: (*p.ty).clone(),
        active,
        by_ref: matches!(ty, syn::Type::Reference(_)),
        mutable: pat.mutability.is_some(),
        in_out,
        unbounded: false,
        shape,
    })
}

/// A pointer to a function, or what is bound by `Fn` and its kin.
fn is_function(ty: &syn::Type) -> bool {
    struct Finder(bool);
    impl<'ast> syn::visit::Visit<'ast> for Finder {
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {
            self.0 = true;
        }
        fn visit_trait_bound(&mut self, t: &'ast syn::TraitBound) {
            let last = t.path.segments.last();
            self.0 |= last.is_some_and(|s| ["Fn", "FnMut", "FnOnce"].iter().any(|f| s.ident == f));
        }
    }
    let mut finder = Finder(false);
    syn::visit::Visit::visit_type(&mut finder, ty);
    finder.0
}

/// A `&mut` behind another reference or inside of a type.
fn refers_mutably(ty: &syn::Type) -> bool {
    struct Finder(bool);
    impl<'ast> syn::visit::Visit<'ast> for Finder {
        fn visit_type_reference(&mut self, r: &'ast syn::TypeReference) {
            self.0 |= r.mutability.is_some();
            syn::visit::visit_type_reference(self, r);
        }
    }
    let mut finder = Finder(false);
    syn::visit::Visit::visit_type(&mut finder, ty);
    finder.0
}

/// A `Vec`, whose length could change: then the gradient would have no length of its own.
fn grows(ty: &syn::Type) -> bool {
    matches!(peel(ty), syn::Type::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "Vec"))
}

fn output_supported(shape: &Shape) -> bool {
    match shape {
        Shape::Float(_) => true,
        Shape::Array(s, _) | Shape::Vec(s) => output_supported(s),
        Shape::Tuple(all) => !all.is_empty() && all.iter().all(output_supported),
        Shape::Struct(s) => s
            .fields
            .iter()
            .all(|f| matches!(f.shape, Shape::Constant(_)) || output_supported(&f.shape)),
        _ => false,
    }
}

/// The type parameters with a bound whose last segment is `Float`.
pub fn float_generics(generics: &syn::Generics) -> Vec<Ident> {
    let is_float = |bounds: &syn::punctuated::Punctuated<syn::TypeParamBound, syn::Token![+]>| {
        bounds.iter().any(|b| match b {
            syn::TypeParamBound::Trait(t) => {
                t.path.segments.last().is_some_and(|s| s.ident == "Float")
            }
            _ => false,
        })
    };
    let mut out: Vec<Ident> = generics
        .type_params()
        .filter(|t| is_float(&t.bounds))
        .map(|t| t.ident.clone())
        .collect();
    for predicate in generics.where_clause.iter().flat_map(|w| &w.predicates) {
        if let syn::WherePredicate::Type(t) = predicate
            && is_float(&t.bounds)
            && let syn::Type::Path(p) = peel(&t.bounded_ty)
            && let Some(ident) = p.path.get_ident()
        {
            out.push(ident.clone());
        }
    }
    out
}

pub fn camel_case(name: &str) -> String {
    let mut out = String::new();
    let mut upper = true;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            out.extend(c.to_uppercase());
            upper = false;
        } else {
            out.push(c);
        }
    }
    if out.is_empty() {
        "Function".into()
    } else {
        out
    }
}

/// A name for generated locals that no constant or unit struct in scope has: hygiene does not protect patterns.
pub fn local(name: &str) -> Ident {
    Ident::new(&format!("__{name}"), Span::mixed_site())
}
