//! The signature of a tensor function: its parameters, result and names.
//!
//! In: a `syn::Signature` in which some type is one of ndarray's. Out: [`TensorSig`], in which every parameter is a
//! differentiated or constant tensor or float, constant Rust, or rejected at its type.

use crate::definitions::Definitions;
use crate::errors::{self, Errors};
use crate::options::Options;
use crate::shape::{Shape, peel};
use crate::signature::{camel_case, float_generics};
use crate::tensor::graph::Rank;
use crate::types::FloatTy;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;

/// A tensor's type as it is written.
#[derive(Clone, Debug)]
pub struct TensorTy {
    pub elem: FloatTy,
    pub rank: Rank,
    /// `Array2<f64>`, rather than a view or what stands behind a reference.
    pub owned: bool,
    /// `ArrayViewMut2<f64>`.
    pub changed: bool,
}

/// What a parameter is.
#[derive(Clone, Debug)]
pub enum Kind {
    Tensor(Rank),
    Scalar,
    /// Tensors of one rank in a slice or a `Vec`.
    List(Rank),
    Constant,
}

/// A parameter.
#[derive(Clone)]
pub struct Param {
    pub ident: Ident,
    pub ty: syn::Type,
    pub kind: Kind,
    pub active: bool,
    pub by_ref: bool,
    /// It is changed in place: `&mut Array2<f64>`, `ArrayViewMut2<f64>`, `&mut f64`.
    pub in_out: bool,
}

/// What the function returns.
#[derive(Clone, Debug)]
pub enum Out {
    Nothing,
    Scalar,
    Tensor(Rank),
    Tuple(Vec<Out>),
}

/// What the rest of the tensor compiler knows of the function.
#[derive(Clone)]
pub struct TensorSig {
    pub ident: Ident,
    pub namespace: Ident,
    pub gradient: Ident,
    pub residuals: Ident,
    pub workspace: Ident,
    pub params: Vec<Param>,
    pub output: Out,
    pub output_ty: syn::Type,
    /// What is differentiated: what is returned, or what is changed in place where nothing is.
    pub results: Out,
    /// The one float type of all tensors and scalars.
    pub elem: FloatTy,
    pub generics: syn::Generics,
    /// The function is a method's, and has no name of its own.
    pub method: bool,
    /// Where `jvp` is asked for.
    pub jvp: Option<Ident>,
}

/// Whether a signature mentions one of ndarray's types.
pub fn is_tensor(sig: &syn::Signature) -> bool {
    let mut types: Vec<&syn::Type> = sig
        .inputs
        .iter()
        .filter_map(|p| match p {
            syn::FnArg::Typed(p) => Some(&*p.ty),
            syn::FnArg::Receiver(_) => None,
        })
        .collect();
    if let syn::ReturnType::Type(_, ty) = &sig.output {
        types.push(ty);
    }
    let floats = float_generics(&sig.generics);
    types.iter().any(|ty| mentions_tensor(ty, &floats))
}

/// Whether a type is one of ndarray's, or made of them.
pub fn mentions_tensor(ty: &syn::Type, floats: &[Ident]) -> bool {
    match peel(ty) {
        syn::Type::Reference(r) => mentions_tensor(&r.elem, floats),
        syn::Type::Tuple(t) => t.elems.iter().any(|t| mentions_tensor(t, floats)),
        other if element(other).is_some_and(|t| mentions_tensor(t, floats)) => true,
        other => read_tensor(other, floats).is_some(),
    }
}

/// Whether a type is that of a float.
pub fn float_type(ty: &syn::Type, floats: &[Ident]) -> bool {
    matches!(Shape::parse(ty, &names(floats)), Shape::Float(_))
}

/// Whether a parameter is an array of its own, or a reference to one.
pub fn is_owned(ty: &syn::Type, sig: &TensorSig) -> bool {
    let ty = match peel(ty) {
        syn::Type::Reference(r) => &r.elem,
        other => other,
    };
    read_tensor(ty, sig.generics_floats()).is_some_and(|t| t.owned)
}

/// Whether a type is that of the floats of a function.
pub fn is_float(ty: &syn::Type, sig: &TensorSig) -> bool {
    float_type(ty, sig.generics_floats())
}

/// The type of the elements of a slice or a `Vec`.
pub fn element(ty: &syn::Type) -> Option<&syn::Type> {
    match peel(ty) {
        syn::Type::Slice(s) => Some(&s.elem),
        syn::Type::Path(p) => {
            let last = p.path.segments.last().filter(|s| s.ident == "Vec")?;
            match &last.arguments {
                syn::PathArguments::AngleBracketed(a) => a.args.iter().find_map(|a| match a {
                    syn::GenericArgument::Type(t) => Some(t),
                    _ => None,
                }),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The names of types that a signature's generic floats are.
pub fn names(floats: &[Ident]) -> Definitions {
    Definitions::of_generics(floats.to_vec())
}

/// One of ndarray's types of floats; `None` for every other type.
pub fn read_tensor(ty: &syn::Type, floats: &[Ident]) -> Option<TensorTy> {
    let (elem, rank, prefix) = read_array(ty, floats)?;
    let Shape::Float(elem) = elem else {
        return None;
    };
    Some(TensorTy {
        elem,
        rank,
        owned: prefix == "Array",
        changed: prefix == "ArrayViewMut",
    })
}

/// One of ndarray's types: what its elements are, how many axes it has, and its name without their number.
pub fn read_array(ty: &syn::Type, floats: &[Ident]) -> Option<(Shape, Rank, &'static str)> {
    let syn::Type::Path(p) = peel(ty) else {
        return None;
    };
    let last = p.path.segments.last()?;
    let name = last.ident.to_string();
    if name == "ArrayBase" {
        return written_out(last, floats);
    }
    let (prefix, base) = ["ArrayViewMut", "ArrayView", "ArrayRef", "Array"]
        .iter()
        .find_map(|b| name.strip_prefix(b).map(|rest| (*b, rest)))?;
    let syn::PathArguments::AngleBracketed(args) = &last.arguments else {
        return None;
    };
    let mut types = args.args.iter().filter_map(|a| match a {
        syn::GenericArgument::Type(t) => Some(t),
        _ => None,
    });
    let elem = Shape::parse(types.next()?, &names(floats));
    let rank = match base {
        "D" => None,
        "" => axes(types.next()?)?,
        digit => Some(digit.parse().ok()?),
    };
    Some((elem, rank, prefix))
}

/// One of ndarray's arrays of what carries no gradient: integers, flags.
fn is_constant_array(ty: &syn::Type, floats: &[Ident]) -> bool {
    read_array(ty, floats).is_some_and(|(elem, ..)| elem.is_known() && !elem.has_floats())
}

/// `ArrayBase<OwnedRepr<f64>, Ix2>`, and that of a view.
fn written_out(last: &syn::PathSegment, floats: &[Ident]) -> Option<(Shape, Rank, &'static str)> {
    let types = arguments(last);
    let [storage, rank] = types.as_slice() else {
        return None;
    };
    let syn::Type::Path(p) = peel(storage) else {
        return None;
    };
    let storage = p.path.segments.last()?;
    let inner = arguments(storage);
    let elem = inner.first()?;
    let (prefix, elem) = match (storage.ident.to_string().as_str(), peel(elem)) {
        ("OwnedRepr", elem) => ("Array", elem),
        ("ViewRepr", syn::Type::Reference(r)) if r.mutability.is_some() => {
            ("ArrayViewMut", &*r.elem)
        }
        ("ViewRepr", syn::Type::Reference(r)) => ("ArrayView", &*r.elem),
        _ => return None,
    };
    Some((Shape::parse(elem, &names(floats)), axes(rank)?, prefix))
}

/// The types between angle brackets.
fn arguments(segment: &syn::PathSegment) -> Vec<&syn::Type> {
    let syn::PathArguments::AngleBracketed(args) = &segment.arguments else {
        return Vec::new();
    };
    let types = args.args.iter().filter_map(|a| match a {
        syn::GenericArgument::Type(t) => Some(t),
        _ => None,
    });
    types.collect()
}

/// The rank of `Ix2`, `IxDyn` or `Dim<[usize; 2]>`.
pub fn axes(ty: &syn::Type) -> Option<Rank> {
    let syn::Type::Path(p) = peel(ty) else {
        return None;
    };
    let last = p.path.segments.last()?;
    if last.ident == "Dim" {
        return match arguments(last).as_slice() {
            [syn::Type::Array(a)] => match &a.len {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Int(n),
                    ..
                }) => n.base10_parse().ok().map(Some),
                _ => None,
            },
            [syn::Type::Path(p)] if p.path.segments.last()?.ident == "IxDynImpl" => Some(None),
            _ => None,
        };
    }
    match last.ident.to_string().strip_prefix("Ix")? {
        "Dyn" => Some(None),
        digit => digit.parse().ok().map(Some),
    }
}

impl TensorSig {
    /// What the function takes and gives; `constant` parameters are not differentiated.
    pub fn read(
        sig: &syn::Signature,
        options: &Options,
        constant: &[Ident],
        errors: &Errors,
    ) -> Option<TensorSig> {
        let floats = float_generics(&sig.generics);
        if let Some(at) = &sig.asyncness {
            errors.reject(at, &errors::ASYNC);
        }
        if let syn::Safety::Unsafe(at) = &sig.safety {
            errors.reject(at, &errors::UNSAFE_FN);
        }
        if let Some(at) = &sig.abi {
            errors.reject(at, &errors::EXTERN_FN);
        }
        // What does not reach tensors must not be left out without a word.
        for option in &options.given {
            if !["wrt", "allow", "as", "check", "jvp", "custom"]
                .iter()
                .any(|o| option == o)
            {
                errors.reject(option, &errors::TENSOR_OPTION);
            }
        }
        for p in &sig.generics.params {
            match p {
                syn::GenericParam::Type(t) if !floats.contains(&t.ident) => {
                    errors.reject(t, &errors::TENSOR_GENERIC);
                }
                syn::GenericParam::Const(c) => {
                    errors.reject(c, &errors::TENSOR_GENERIC);
                }
                _ => {}
            }
        }
        let mut elem: Option<FloatTy> = None;
        let mut params = Vec::new();
        for input in &sig.inputs {
            // `self` has a name like any other: `methods`.
            let syn::FnArg::Typed(p) = input else {
                continue;
            };
            let syn::Pat::Ident(pat) = &*p.pat else {
                errors.reject(&p.pat, &errors::PARAM_PATTERN);
                continue;
            };
            let (ty, by_ref, borrowed_mutably) = match peel(&p.ty) {
                syn::Type::Reference(r) => (&*r.elem, true, r.mutability.is_some()),
                other => (other, false, false),
            };
            let named = options
                .wrt
                .as_ref()
                .map(|names| names.iter().any(|n| n.unraw() == pat.ident.unraw()))
                .filter(|_| !constant.contains(&pat.ident))
                .or(constant.contains(&pat.ident).then_some(false));
            let list = element(ty).and_then(|t| read_tensor(t, &floats));
            let found = match (read_tensor(ty, &floats), list) {
                (Some(t), _) => Some((Kind::Tensor(t.rank), t.elem)),
                (_, Some(t)) => Some((Kind::List(t.rank), t.elem)),
                _ => match Shape::parse(ty, &names(&floats)) {
                    Shape::Float(f) => Some((Kind::Scalar, f)),
                    _ if named != Some(true) && is_constant_array(ty, &floats) => None,
                    shape
                        if named == Some(true)
                            || named.is_none() && (shape.has_floats() || !shape.is_known()) =>
                    {
                        errors.reject(&p.ty, &errors::TENSOR_PARAM);
                        continue;
                    }
                    _ => None,
                },
            };
            let kind = match found {
                Some((kind, f)) => {
                    let same = elem.get_or_insert_with(|| f.clone()) == &f;
                    if !same && (named != Some(false) || !matches!(kind, Kind::Scalar)) {
                        errors.reject(&p.ty, &errors::TENSOR_MIXED);
                    }
                    if same { kind } else { Kind::Constant }
                }
                None => Kind::Constant,
            };
            let in_out = borrowed_mutably || read_tensor(ty, &floats).is_some_and(|t| t.changed);
            if in_out && !matches!(kind, Kind::Tensor(_) | Kind::Scalar) {
                errors.reject(&p.ty, &errors::TENSOR_IN_OUT);
                continue;
            }
            let active = !matches!(kind, Kind::Constant) && named.unwrap_or(true);
            params.push(Param {
                ident: pat.ident.clone(),
                ty: (*p.ty).clone(),
                kind,
                active,
                by_ref,
                in_out,
            });
        }
        for name in options.wrt.iter().flatten() {
            if !params.iter().any(|p| p.ident.unraw() == name.unraw()) && errors.is_empty() {
                errors.reject(name, &errors::UNKNOWN_WRT);
            }
        }
        if !params.iter().any(|p| p.active) && errors.is_empty() {
            errors.reject(&sig.ident, &errors::NO_FLOATS);
        }
        let output_ty = match &sig.output {
            syn::ReturnType::Type(_, ty) => (**ty).clone(),
            syn::ReturnType::Default => syn::parse_quote!(()),
        };
        let Some(output) = read_output(&output_ty, &floats) else {
            errors.reject(&output_ty, &errors::TENSOR_RESULT);
            return None;
        };
        let results = match &output {
            Out::Nothing => changed_in_place(&params),
            output => Some(output.clone()),
        };
        let Some(results) = results else {
            if errors.is_empty() {
                errors.reject(&sig.ident, &errors::NO_RESULT);
            }
            return None;
        };
        if !errors.is_empty() {
            return None;
        }
        let namespace = options
            .namespace
            .clone()
            .unwrap_or_else(|| sig.ident.clone());
        let camel = camel_case(&namespace.unraw().to_string());
        let span = namespace.span();
        Some(TensorSig {
            ident: sig.ident.clone(),
            gradient: Ident::new(&format!("{camel}Gradient"), span),
            residuals: Ident::new(&format!("{camel}Residuals"), span),
            workspace: Ident::new(&format!("{camel}Workspace"), span),
            namespace,
            params,
            output,
            output_ty,
            results,
            elem: elem.unwrap_or(FloatTy::F64),
            generics: sig.generics.clone(),
            method: false,
            jvp: options.jvp.clone(),
        })
    }

    /// The differentiated parameters, in order.
    pub fn active(&self) -> impl Iterator<Item = (usize, &Param)> {
        self.params.iter().enumerate().filter(|(_, p)| p.active)
    }

    /// The generic parameters that are floats.
    pub fn generics_floats(&self) -> &[Ident] {
        match &self.elem {
            FloatTy::Generic(t) => std::slice::from_ref(t),
            _ => &[],
        }
    }

    /// The generic float, where there is one.
    pub fn float(&self) -> Option<&Ident> {
        match &self.elem {
            FloatTy::Generic(t) => Some(t),
            _ => None,
        }
    }

    /// `Array<T, Ix2>`, or the scalar.
    pub fn owned(&self, kind: &Kind) -> TokenStream {
        let t = self.elem.tokens();
        match kind {
            Kind::Tensor(rank) => {
                let d = dimension(*rank);
                quote!(::backprop::tensor::ndarray::Array<#t, #d>)
            }
            Kind::Scalar => t,
            Kind::List(rank) => {
                let d = dimension(*rank);
                quote!(::std::vec::Vec<::backprop::tensor::ndarray::Array<#t, #d>>)
            }
            Kind::Constant => quote!(()),
        }
    }

    /// What stands behind the `&mut` of a buffer.
    pub fn buffer(&self, kind: &Kind) -> TokenStream {
        let t = self.elem.tokens();
        match kind {
            Kind::Tensor(rank) => {
                let d = dimension(*rank);
                quote!(::backprop::tensor::ndarray::ArrayRef<#t, #d>)
            }
            Kind::List(rank) => {
                let d = dimension(*rank);
                quote!([::backprop::tensor::ndarray::Array<#t, #d>])
            }
            _ => t,
        }
    }
}

/// `Ix2`, `IxDyn`.
pub fn dimension(rank: Rank) -> TokenStream {
    let name = match rank {
        Some(n) => format!("Ix{n}"),
        None => "IxDyn".to_string(),
    };
    let name = Ident::new(&name, proc_macro2::Span::mixed_site());
    quote!(::backprop::tensor::ndarray::#name)
}

pub fn read_output(ty: &syn::Type, floats: &[Ident]) -> Option<Out> {
    if let syn::Type::Tuple(t) = peel(ty) {
        if t.elems.is_empty() {
            return Some(Out::Nothing);
        }
        let all: Option<Vec<Out>> = t.elems.iter().map(|t| read_part(t, floats)).collect();
        return all.map(Out::Tuple);
    }
    read_part(ty, floats)
}

fn read_part(ty: &syn::Type, floats: &[Ident]) -> Option<Out> {
    if let syn::Type::Tuple(_) = peel(ty) {
        return read_output(ty, floats).filter(|out| !matches!(out, Out::Nothing));
    }
    if let Some(t) = read_tensor(ty, floats) {
        return t.owned.then_some(Out::Tensor(t.rank));
    }
    matches!(Shape::parse(ty, &names(floats)), Shape::Float(_)).then_some(Out::Scalar)
}

/// What is changed in place, as the results of a function that returns nothing.
fn changed_in_place(params: &[Param]) -> Option<Out> {
    let of = |p: &Param| match p.kind {
        Kind::Tensor(rank) => Out::Tensor(rank),
        _ => Out::Scalar,
    };
    let mut all: Vec<Out> = params.iter().filter(|p| p.in_out).map(of).collect();
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Out::Tuple(all)),
    }
}

/// A parameter's type with every lifetime that of the residuals.
pub fn with_lifetime(ty: &syn::Type) -> TokenStream {
    lifetimes(ty, &syn::parse_quote!('__bp))
}

/// A parameter's type with every lifetime one of its own.
pub fn without_lifetime(ty: &syn::Type) -> TokenStream {
    lifetimes(ty, &syn::parse_quote!('_))
}

fn lifetimes(ty: &syn::Type, life: &syn::Lifetime) -> TokenStream {
    fn fill(ty: &mut syn::Type, life: &syn::Lifetime) {
        match ty {
            syn::Type::Reference(r) => {
                r.lifetime = Some(life.clone());
                fill(&mut r.elem, life);
            }
            syn::Type::Slice(s) => fill(&mut s.elem, life),
            syn::Type::Group(g) => fill(&mut g.elem, life),
            syn::Type::Paren(p) => fill(&mut p.elem, life),
            syn::Type::Path(p) => {
                let Some(last) = p.path.segments.last_mut() else {
                    return;
                };
                let view = last.ident.to_string().starts_with("ArrayView");
                if let syn::PathArguments::AngleBracketed(args) = &mut last.arguments {
                    let mut named = false;
                    for a in &mut args.args {
                        if let syn::GenericArgument::Type(t) = a
                            && (last.ident == "Vec"
                                || last.ident == "ArrayBase"
                                || last.ident == "ViewRepr")
                        {
                            fill(t, life);
                        }
                        if let syn::GenericArgument::Lifetime(l) = a {
                            *l = life.clone();
                            named = true;
                        }
                    }
                    if view && !named {
                        let life = life.clone();
                        args.args.insert(0, syn::GenericArgument::Lifetime(life));
                    }
                }
            }
            _ => {}
        }
    }
    let mut ty = ty.clone();
    fill(&mut ty, life);
    ty.to_token_stream()
}
