//! Shapes: what a parameter, a local or a result is made of.
//!
//! In: a `syn::Type` (by [`Shape::parse`]) or what an array literal showed. Out: which scalars carry gradients, and how
//! the gradient's type, zeros and loops over all elements are written.

use crate::definitions::{Definitions, Struct};
use crate::graph::Step;
use crate::types::{FloatTy, INTEGERS, Ty};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::rc::Rc;

/// What a value is made of.
#[derive(Clone, Debug)]
pub enum Shape {
    Float(FloatTy),
    /// A scalar of a type that inference finds: an element of a local array.
    Scalar(Ty),
    Array(Box<Shape>, Length),
    Slice(Box<Shape>),
    Vec(Box<Shape>),
    Tuple(Vec<Shape>),
    Struct(Rc<Struct>),
    /// Constant: integers, `bool`, strings.
    Constant(Box<syn::Type>),
    Unknown,
}

/// The length of a fixed array.
#[derive(Clone, Debug)]
pub enum Length {
    Known(usize),
    /// A constant expression: `N`, `2 * K`.
    Tokens(TokenStream),
}

impl ToTokens for Length {
    fn to_tokens(&self, out: &mut TokenStream) {
        match self {
            Length::Known(n) => proc_macro2::Literal::usize_unsuffixed(*n).to_tokens(out),
            Length::Tokens(t) => out.extend(t.clone()),
        }
    }
}

/// Peels what macros and authors wrap around a type without changing it.
pub fn peel(ty: &syn::Type) -> &syn::Type {
    match ty {
        syn::Type::Group(g) => peel(&g.elem),
        syn::Type::Paren(p) => peel(&p.elem),
        _ => ty,
    }
}

/// The last segment of a primitive's path: `f64`, `core::primitive::f64`.
pub fn primitive(ty: &syn::Type) -> Option<String> {
    let syn::Type::Path(p) = peel(ty) else {
        return None;
    };
    if p.qself.is_some() {
        return None;
    }
    let names: Vec<String> = p
        .path
        .segments
        .iter()
        .map(|s| s.ident.to_string())
        .collect();
    let plain = p.path.segments.iter().all(|s| s.arguments.is_none());
    match names.as_slice() {
        [one] if plain => Some(one.clone()),
        [root, module, one]
            if plain && module == "primitive" && (root == "core" || root == "std") =>
        {
            Some(one.clone())
        }
        _ => None,
    }
}

/// What an `Option` may hold.
pub fn optional(ty: &syn::Type) -> Option<&syn::Type> {
    let syn::Type::Path(p) = peel(ty) else {
        return None;
    };
    let last = p.path.segments.last().filter(|s| s.ident == "Option")?;
    match &last.arguments {
        syn::PathArguments::AngleBracketed(args) => match args.args.first()? {
            syn::GenericArgument::Type(inner) => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

impl Shape {
    /// The shape of a type, references peeled.
    pub fn parse(ty: &syn::Type, names: &Definitions) -> Shape {
        match peel(ty) {
            syn::Type::Reference(r) => Shape::parse(&r.elem, names),
            syn::Type::Array(a) => {
                let len = match &a.len {
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Int(n),
                        ..
                    }) => n.base10_parse().ok().map(Length::Known),
                    _ => None,
                };
                let len = len.unwrap_or_else(|| Length::Tokens(a.len.to_token_stream()));
                Shape::Array(Box::new(Shape::parse(&a.elem, names)), len)
            }
            syn::Type::Slice(s) => Shape::Slice(Box::new(Shape::parse(&s.elem, names))),
            syn::Type::Tuple(t) => {
                Shape::Tuple(t.elems.iter().map(|t| Shape::parse(t, names)).collect())
            }
            syn::Type::Path(p) => {
                match primitive(ty).as_deref() {
                    Some("f64") => return Shape::Float(FloatTy::F64),
                    Some("f32") => return Shape::Float(FloatTy::F32),
                    Some("bool" | "char" | "str" | "String") => {
                        return Shape::Constant(Box::new(ty.clone()));
                    }
                    Some(name) if INTEGERS.contains(&name) => {
                        return Shape::Constant(Box::new(ty.clone()));
                    }
                    Some(name) => {
                        if let Some(t) = names.floats.iter().find(|g| *g == name) {
                            return Shape::Float(FloatTy::Generic(t.clone()));
                        }
                    }
                    None => {}
                }
                if let Some(last) = p.path.segments.last()
                    && last.ident == "Vec"
                    && let syn::PathArguments::AngleBracketed(args) = &last.arguments
                    && let Some(syn::GenericArgument::Type(elem)) = args.args.first()
                {
                    return Shape::Vec(Box::new(Shape::parse(elem, names)));
                }
                if let Some(inner) = optional(ty)
                    && let Shape::Constant(inner) = Shape::parse(inner, names)
                    && primitive(&inner).is_some_and(|name| name != "str" && name != "String")
                {
                    return Shape::Constant(Box::new(ty.clone()));
                }
                if p.qself.is_some() {
                    return Shape::Unknown;
                }
                if let Some(stands_for) = names.alias(&p.path) {
                    return Shape::parse(&stands_for, names);
                }
                match names.structure(&p.path) {
                    Some(s) => Shape::Struct(s),
                    None => Shape::Unknown,
                }
            }
            _ => Shape::Unknown,
        }
    }

    /// Whether anything in it can carry a gradient.
    pub fn has_floats(&self) -> bool {
        match self {
            Shape::Float(_) | Shape::Scalar(_) => true,
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => s.has_floats(),
            Shape::Tuple(all) => all.iter().any(Shape::has_floats),
            Shape::Struct(s) => s.fields.iter().any(|f| f.shape.has_floats()),
            Shape::Constant(_) | Shape::Unknown => false,
        }
    }

    /// Whether nothing in it is of a type that the macro does not know.
    pub fn is_known(&self) -> bool {
        match self {
            Shape::Float(_) | Shape::Scalar(_) | Shape::Constant(_) => true,
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => s.is_known(),
            Shape::Tuple(all) => all.iter().all(Shape::is_known),
            Shape::Struct(s) => s.fields.iter().all(|f| f.shape.is_known()),
            Shape::Unknown => false,
        }
    }

    /// An array, slice or `Vec`: something with elements.
    pub fn is_array(&self) -> bool {
        matches!(self, Shape::Array(..) | Shape::Slice(_) | Shape::Vec(_))
    }

    /// Copied by assignment, as opposed to moved or borrowed.
    pub fn is_fixed(&self) -> bool {
        match self {
            Shape::Array(s, _) => s.is_fixed(),
            Shape::Tuple(all) => all.iter().all(Shape::is_fixed),
            Shape::Struct(s) => s.copy,
            Shape::Float(_) | Shape::Scalar(_) | Shape::Constant(_) => true,
            _ => false,
        }
    }

    /// What one step leads to.
    pub fn step(&self, step: &Step) -> Option<Shape> {
        match (self, step) {
            (Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s), Step::Index(_)) => {
                Some((**s).clone())
            }
            (Shape::Tuple(all), Step::Field(k)) => all.get(*k as usize).cloned(),
            (Shape::Struct(s), Step::Field(k)) => {
                s.fields.get(*k as usize).map(|f| f.shape.clone())
            }
            _ => None,
        }
    }

    /// The element of an array.
    pub fn element(&self) -> Option<&Shape> {
        match self {
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => Some(s),
            _ => None,
        }
    }

    /// The parts of a tuple or struct, and how each is named.
    pub fn parts(&self) -> Option<Vec<(syn::Member, Shape)>> {
        match self {
            Shape::Tuple(all) => Some(
                all.iter()
                    .enumerate()
                    .map(|(k, s)| (syn::Member::from(k), s.clone()))
                    .collect(),
            ),
            Shape::Struct(s) => Some(
                s.fields
                    .iter()
                    .map(|f| (f.member.clone(), f.shape.clone()))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// Whether the length of its gradient is known at run time only.
    pub fn gradient_is_dynamic(&self) -> bool {
        match self {
            Shape::Slice(_) | Shape::Vec(_) => true,
            Shape::Array(s, _) => s.gradient_is_dynamic(),
            Shape::Tuple(_) | Shape::Struct(_) => {
                let parts = self.parts().unwrap_or_default();
                parts.iter().any(|(_, s)| s.gradient_is_dynamic())
            }
            _ => false,
        }
    }

    /// How part `k` of a tuple or struct is named.
    pub fn member(&self, k: u32) -> syn::Member {
        match self {
            Shape::Struct(s) => s.fields[k as usize].member.clone(),
            _ => syn::Member::from(k as usize),
        }
    }

    /// The same with tuples for structs: how a local adjoint is laid out, for which no type need exist.
    pub fn without_names(&self) -> Shape {
        match self {
            Shape::Array(s, n) => Shape::Array(Box::new(s.without_names()), n.clone()),
            Shape::Slice(s) => Shape::Slice(Box::new(s.without_names())),
            Shape::Vec(s) => Shape::Vec(Box::new(s.without_names())),
            Shape::Tuple(all) => Shape::Tuple(all.iter().map(Shape::without_names).collect()),
            Shape::Struct(s) => {
                Shape::Tuple(s.fields.iter().map(|f| f.shape.without_names()).collect())
            }
            other => other.clone(),
        }
    }

    /// Whether a struct in it has no `#[derive(Differentiable)]`: its gradient has no type that could be named.
    pub fn underived(&self) -> Option<Rc<Struct>> {
        match self {
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => s.underived(),
            Shape::Tuple(all) => all.iter().find_map(Shape::underived),
            Shape::Struct(s) if !s.differentiable && self.has_floats() => Some(s.clone()),
            Shape::Struct(s) => s.fields.iter().find_map(|f| f.shape.underived()),
            _ => None,
        }
    }

    /// Whether there is a struct in it.
    pub fn has_structs(&self) -> bool {
        match self {
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => s.has_structs(),
            Shape::Tuple(all) => all.iter().any(Shape::has_structs),
            Shape::Struct(_) => true,
            _ => false,
        }
    }

    /// The type of the gradient: owned, slices as `Vec`, constants as `()`.
    pub fn gradient_type(&self) -> TokenStream {
        match self {
            Shape::Float(f) => f.tokens(),
            Shape::Array(s, n) => {
                let s = s.gradient_type();
                quote!([#s; #n])
            }
            Shape::Slice(s) | Shape::Vec(s) => {
                let s = s.gradient_type();
                quote!(::std::vec::Vec<#s>)
            }
            Shape::Tuple(all) => {
                let all = all.iter().map(Shape::gradient_type);
                quote!((#(#all,)*))
            }
            Shape::Struct(s) if self.has_floats() => {
                let path = &s.path;
                quote!(<#path as ::backprop::Differentiable>::Gradient)
            }
            Shape::Struct(_) | Shape::Scalar(_) | Shape::Constant(_) | Shape::Unknown => quote!(()),
        }
    }

    /// The type of the caller's buffer behind `&mut`.
    pub fn buffer_type(&self) -> TokenStream {
        match self {
            Shape::Slice(s) | Shape::Vec(s) => {
                let s = s.gradient_type();
                quote!([#s])
            }
            _ => self.gradient_type(),
        }
    }
}
