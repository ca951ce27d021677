//! Shapes: what a parameter, a local or a result is made of.
//!
//! In: a `syn::Type` (by [`Shape::parse`]) or what an array literal showed. Out: which scalars carry gradients, and how
//! the gradient's type, zeros and loops over all elements are written.

use crate::graph::Step;
use crate::types::{FloatTy, INTEGERS, Ty};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

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

impl Shape {
    /// The shape of a type, references peeled; `generics` are the parameters with a `Float` bound.
    pub fn parse(ty: &syn::Type, generics: &[syn::Ident]) -> Shape {
        match peel(ty) {
            syn::Type::Reference(r) => Shape::parse(&r.elem, generics),
            syn::Type::Array(a) => {
                let len = match &a.len {
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Int(n),
                        ..
                    }) => n.base10_parse().ok().map(Length::Known),
                    _ => None,
                };
                let len = len.unwrap_or_else(|| Length::Tokens(a.len.to_token_stream()));
                Shape::Array(Box::new(Shape::parse(&a.elem, generics)), len)
            }
            syn::Type::Slice(s) => Shape::Slice(Box::new(Shape::parse(&s.elem, generics))),
            syn::Type::Tuple(t) => {
                Shape::Tuple(t.elems.iter().map(|t| Shape::parse(t, generics)).collect())
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
                        if let Some(t) = generics.iter().find(|g| *g == name) {
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
                    return Shape::Vec(Box::new(Shape::parse(elem, generics)));
                }
                Shape::Unknown
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
            Shape::Constant(_) | Shape::Unknown => false,
        }
    }

    /// Whether nothing in it is of a type that the macro does not know.
    pub fn is_known(&self) -> bool {
        match self {
            Shape::Float(_) | Shape::Scalar(_) | Shape::Constant(_) => true,
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => s.is_known(),
            Shape::Tuple(all) => all.iter().all(Shape::is_known),
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
            Shape::Scalar(_) | Shape::Constant(_) | Shape::Unknown => quote!(()),
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
