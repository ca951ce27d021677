//! Types of nodes, inferred by unification.
//!
//! In: facts noted while lowering ("these two have one type", "this is an integer"). Out: for each node the type that the
//! emitted code may have to name: a literal's suffix, a field of the residuals. What must hold: a type is only ever
//! *defaulted* (`f64`, `i32`) where rustc would default it too, so that the emitted program has the types of the user's.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// A type variable: an index into [`Types`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ty(u32);

/// What is known of a type variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing: a constant from elsewhere, say.
    Unknown,
    /// Some float: a float literal, an operand of `sin`.
    AnyFloat,
    /// Some integer: an integer literal.
    AnyInt,
    /// `f32`, `f64` or a generic parameter bounded by `Float`.
    Float(FloatTy),
    /// A primitive integer type, by name.
    Int(String),
    /// `bool`.
    Bool,
    /// Anything else that is constant.
    Other,
}

/// A scalar that carries gradients.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum FloatTy {
    F32,
    F64,
    /// A generic parameter with a `Float` bound.
    Generic(Ident),
}

impl FloatTy {
    /// The type, spelt so that no user type of the same name can capture it.
    pub fn tokens(&self) -> TokenStream {
        match self {
            FloatTy::F32 => quote!(::core::primitive::f32),
            FloatTy::F64 => quote!(::core::primitive::f64),
            FloatTy::Generic(t) => quote!(#t),
        }
    }

    /// Zero of the type.
    pub fn zero(&self) -> TokenStream {
        match self {
            FloatTy::F32 => quote!(0.0_f32),
            FloatTy::F64 => quote!(0.0_f64),
            FloatTy::Generic(t) => quote!(#t::zero()),
        }
    }

    pub fn one(&self) -> TokenStream {
        match self {
            FloatTy::F32 => quote!(1.0_f32),
            FloatTy::F64 => quote!(1.0_f64),
            FloatTy::Generic(t) => quote!(#t::one()),
        }
    }
}

/// The names of the primitive integer types.
pub const INTEGERS: [&str; 12] = [
    "usize", "isize", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128",
];

/// The union-find over all type variables of one function.
#[derive(Clone, Default, Debug)]
pub struct Types {
    parent: Vec<u32>,
    kind: Vec<Kind>,
}

impl Types {
    /// A new variable of which `kind` is known.
    pub fn fresh(&mut self, kind: Kind) -> Ty {
        self.parent.push(self.parent.len() as u32);
        self.kind.push(kind);
        Ty(self.parent.len() as u32 - 1)
    }

    fn root(&self, ty: Ty) -> usize {
        let mut i = ty.0;
        while self.parent[i as usize] != i {
            i = self.parent[i as usize];
        }
        i as usize
    }

    /// What is known of a type now.
    pub fn kind(&self, ty: Ty) -> &Kind {
        &self.kind[self.root(ty)]
    }

    /// Notes that two types are one. A contradiction is left to rustc, which sees the same program.
    pub fn unify(&mut self, a: Ty, b: Ty) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let winner = if strength(&self.kind[a]) >= strength(&self.kind[b]) {
            a
        } else {
            b
        };
        let loser = a + b - winner;
        self.parent[loser] = winner as u32;
    }

    /// Notes a fact about a type.
    pub fn learn(&mut self, ty: Ty, kind: Kind) {
        let other = self.fresh(kind);
        self.unify(ty, other);
    }

    /// Whether the type is known to be some float.
    pub fn is_float(&self, ty: Ty) -> bool {
        matches!(self.kind(ty), Kind::AnyFloat | Kind::Float(_))
    }

    /// Whether the type is known to be some integer.
    pub fn is_int(&self, ty: Ty) -> bool {
        matches!(self.kind(ty), Kind::AnyInt | Kind::Int(_))
    }

    /// Whether the type is known to be `bool`.
    pub fn is_bool(&self, ty: Ty) -> bool {
        matches!(self.kind(ty), Kind::Bool)
    }

    /// The float type, after defaulting as rustc does.
    pub fn float(&self, ty: Ty) -> FloatTy {
        match self.kind(ty) {
            Kind::Float(f) => f.clone(),
            _ => FloatTy::F64,
        }
    }

    /// The type as tokens, or `None` where it is not known and must be named.
    pub fn tokens(&self, ty: Ty) -> Option<TokenStream> {
        Some(match self.kind(ty) {
            Kind::AnyFloat => quote!(::core::primitive::f64),
            Kind::Float(f) => f.tokens(),
            Kind::AnyInt => quote!(::core::primitive::i32),
            Kind::Int(name) => {
                let name = Ident::new(name, Span::mixed_site());
                quote!(::core::primitive::#name)
            }
            Kind::Bool => quote!(::core::primitive::bool),
            Kind::Unknown | Kind::Other => return None,
        })
    }
}

fn strength(kind: &Kind) -> u32 {
    match kind {
        Kind::Unknown => 0,
        Kind::AnyFloat | Kind::AnyInt => 1,
        _ => 2,
    }
}
