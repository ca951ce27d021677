//! What the names of types stand for: generic floats, aliases and structs.
//!
//! In: the function's generics, and the items of its file. Out: [`Definitions`], which `shape` asks about every path that
//! is no primitive. What must hold: each definition that was used is listed, for rustc to check in the emitted code.

use crate::shape::{Shape, peel};
use crate::source::Source;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A struct: its fields, as they are with the generic arguments that it is used with.
#[derive(Debug)]
pub struct Struct {
    /// As the user names it here.
    pub path: syn::Path,
    pub fields: Vec<Field>,
    /// It has `#[derive(Differentiable)]`, so that its gradient has a type.
    pub differentiable: bool,
    /// Copied where it is used, as it has `#[derive(Copy)]`.
    pub copy: bool,
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    pub member: syn::Member,
    pub ty: syn::Type,
    pub shape: Shape,
}

impl Struct {
    /// The position of a field.
    pub fn position(&self, member: &syn::Member) -> Option<usize> {
        self.fields
            .iter()
            .position(|f| same_member(&f.member, member))
    }

    /// Whether both are one struct, with the same generic arguments.
    pub fn same(&self, other: &Struct) -> bool {
        let text = |s: &Struct| s.path.to_token_stream().to_string();
        text(self) == text(other)
    }

    /// The struct without its generic arguments, as an expression names it.
    pub fn constructor(&self) -> syn::Path {
        let mut path = self.path.clone();
        for s in &mut path.segments {
            s.arguments = syn::PathArguments::None;
        }
        path
    }
}

fn same_member(a: &syn::Member, b: &syn::Member) -> bool {
    use syn::ext::IdentExt;
    match (a, b) {
        (syn::Member::Named(a), syn::Member::Named(b)) => a.unraw() == b.unraw(),
        (syn::Member::Unnamed(a), syn::Member::Unnamed(b)) => a.index == b.index,
        _ => false,
    }
}

/// What type names stand for in one function.
#[derive(Default)]
pub struct Definitions {
    /// The generic parameters with a `Float` bound.
    pub floats: Vec<Ident>,
    source: Source,
    function: Option<syn::ItemFn>,
    /// By the path as written.
    structs: RefCell<BTreeMap<String, Option<Rc<Struct>>>>,
    aliases: RefCell<BTreeMap<String, Option<(syn::Path, syn::Type)>>>,
}

impl Definitions {
    pub fn new(floats: Vec<Ident>, source: &Source, function: &syn::ItemFn) -> Definitions {
        Definitions {
            floats,
            source: source.clone(),
            function: Some(function.clone()),
            structs: RefCell::default(),
            aliases: RefCell::default(),
        }
    }

    /// Those of a struct by itself: its generic floats and nothing else.
    pub fn of_generics(floats: Vec<Ident>) -> Definitions {
        Definitions {
            floats,
            ..Definitions::default()
        }
    }

    fn item(&self, path: &syn::Path) -> Option<syn::Item> {
        let name = path.segments.last()?.ident.to_string();
        self.source.type_item(self.function.as_ref()?, &name)
    }

    /// The annotated function that a path means here, without its body.
    pub fn callee(&self, path: &syn::Path) -> Option<syn::ItemFn> {
        self.source.callee(self.function.as_ref()?, path)
    }

    /// The annotated method of a type's own.
    pub fn method(&self, of: &syn::Path, name: &str) -> Option<syn::ItemFn> {
        self.source
            .method(&of.segments.last()?.ident.to_string(), name)
    }

    /// What the names of types in another function of the file mean, its generic floats being these.
    pub fn beside(&self, floats: Vec<Ident>) -> Definitions {
        Definitions {
            floats,
            source: self.source.clone(),
            function: self.function.clone(),
            ..Definitions::default()
        }
    }

    /// What `Self` is.
    pub fn implementor(&self) -> Option<syn::Type> {
        self.source.implementor(self.function.as_ref()?)
    }

    /// The type that an alias stands for.
    pub fn alias(&self, path: &syn::Path) -> Option<syn::Type> {
        if path.is_ident("Self") {
            return self.implementor();
        }
        let key = path.to_token_stream().to_string();
        if let Some(found) = self.aliases.borrow().get(&key) {
            return found.as_ref().map(|f| f.1.clone());
        }
        let found = match self.item(path) {
            Some(syn::Item::Type(t)) => {
                substituted(&t.generics, path, &t.ty).map(|ty| (path.clone(), ty))
            }
            _ => None,
        };
        self.aliases.borrow_mut().insert(key, found.clone());
        found.map(|f| f.1)
    }

    /// The struct that a path names.
    pub fn structure(&self, path: &syn::Path) -> Option<Rc<Struct>> {
        if path.is_ident("Self") {
            let Some(syn::Type::Path(p)) = self.implementor().map(|t| peel(&t).clone()) else {
                return None;
            };
            return self.structure(&p.path);
        }
        let key = path.to_token_stream().to_string();
        if let Some(found) = self.structs.borrow().get(&key) {
            return found.clone();
        }
        // A struct that holds itself behind a `Vec` would not end.
        self.structs.borrow_mut().insert(key.clone(), None);
        let found = match self.item(path) {
            Some(syn::Item::Struct(s)) => self.read(path, &s).map(Rc::new),
            _ => None,
        };
        self.structs.borrow_mut().insert(key, found.clone());
        found
    }

    fn read(&self, path: &syn::Path, item: &syn::ItemStruct) -> Option<Struct> {
        let mut fields = Vec::new();
        for (k, f) in item.fields.iter().enumerate() {
            let ty = substituted(&item.generics, path, &f.ty)?;
            fields.push(Field {
                member: match &f.ident {
                    Some(ident) => syn::Member::Named(ident.clone()),
                    None => syn::Member::Unnamed(k.into()),
                },
                shape: if constant_field(f) {
                    Shape::Constant(Box::new(ty.clone()))
                } else {
                    Shape::parse(&ty, self)
                },
                ty,
            });
        }
        Some(Struct {
            path: path.clone(),
            fields,
            differentiable: derives(&item.attrs, "Differentiable"),
            copy: derives(&item.attrs, "Copy"),
        })
    }

    /// Whether a struct takes part in the function.
    pub fn uses_structs(&self) -> bool {
        self.structs.borrow().values().any(Option::is_some)
    }

    /// Statements that do not compile where a definition is not the one that rustc finds.
    pub fn checks(&self) -> TokenStream {
        let mut out = TokenStream::new();
        for (path, ty) in self.aliases.borrow().values().flatten() {
            out.extend(quote!(let _ = |x: &#path| -> () { let _: &#ty = x; };));
        }
        for s in self.structs.borrow().values().flatten() {
            let path = &s.path;
            let fields = s.fields.iter().map(|f| {
                let (member, ty) = (&f.member, &f.ty);
                quote!(let _: &#ty = &x.#member;)
            });
            out.extend(quote!(let _ = |x: &#path| -> () { #(#fields)* };));
        }
        out
    }
}

/// Whether `#[backprop(constant)]` says that a field takes no part.
pub fn constant_field(field: &syn::Field) -> bool {
    field.attrs.iter().any(|a| {
        a.path().is_ident("backprop") && a.parse_args::<Ident>().is_ok_and(|i| i == "constant")
    })
}

fn derives(attrs: &[syn::Attribute], name: &str) -> bool {
    attrs
        .iter()
        .filter(|a| a.path().is_ident("derive"))
        .any(|a| {
            a.parse_args_with(
                syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated,
            )
            .is_ok_and(|all| {
                all.iter()
                    .any(|p| p.segments.last().is_some_and(|s| s.ident == name))
            })
        })
}

/// A type of an item with the generic arguments of a path put in; `None` where there are too few to tell.
fn substituted(generics: &syn::Generics, path: &syn::Path, ty: &syn::Type) -> Option<syn::Type> {
    let args: Vec<TokenStream> = match &path.segments.last()?.arguments {
        syn::PathArguments::AngleBracketed(a) => a
            .args
            .iter()
            .filter(|a| !matches!(a, syn::GenericArgument::Lifetime(_)))
            .map(|a| match a {
                // A block around a constant is not part of it.
                syn::GenericArgument::Const(syn::Expr::Block(b)) => {
                    let stmts = &b.block.stmts;
                    quote!((#(#stmts)*))
                }
                other => other.to_token_stream(),
            })
            .collect(),
        _ => Vec::new(),
    };
    let mut known = BTreeMap::new();
    let mut args = args.into_iter();
    for p in &generics.params {
        let (name, default) = match p {
            syn::GenericParam::Lifetime(_) => continue,
            syn::GenericParam::Type(t) => {
                (&t.ident, t.default.as_ref().map(|d| d.1.to_token_stream()))
            }
            syn::GenericParam::Const(c) => {
                (&c.ident, c.default.as_ref().map(|d| d.1.to_token_stream()))
            }
        };
        known.insert(name.to_string(), args.next().or(default)?);
    }
    if known.is_empty() {
        return Some(ty.clone());
    }
    fn replace(tokens: TokenStream, known: &BTreeMap<String, TokenStream>) -> TokenStream {
        tokens
            .into_iter()
            .flat_map(|t| match t {
                proc_macro2::TokenTree::Ident(i) => match known.get(&i.to_string()) {
                    Some(with) => with.clone(),
                    None => i.to_token_stream(),
                },
                proc_macro2::TokenTree::Group(g) => {
                    let mut new =
                        proc_macro2::Group::new(g.delimiter(), replace(g.stream(), known));
                    new.set_span(g.span());
                    new.to_token_stream()
                }
                other => other.to_token_stream(),
            })
            .collect()
    }
    syn::parse2(replace(ty.to_token_stream(), &known)).ok()
}
