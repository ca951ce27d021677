//! What the names of types stand for: generic floats, aliases, structs and the variants of enums.
//!
//! In: the function's generics, and the items that `source` finds. Out: [`Definitions`], which `shape` asks about every path that
//! is no primitive. What must hold: each definition that was used is listed, for rustc to check in the emitted code.

use crate::errors::{self, Errors};
use crate::shape::{Shape, peel};
use crate::signature::local;
use crate::source::{Home, Source};
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
    /// The text of its definition, by which it is known under another name as well.
    definition: String,
    pub fields: Vec<Field>,
    /// It has `#[derive(Differentiable)]`, so that its gradient has a type.
    pub differentiable: bool,
    /// Copied where it is used, as it has `#[derive(Copy)]`.
    pub copy: bool,
    /// Its `Clone` is not derived.
    cloned_by_hand: bool,
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
        let arguments = |s: &Struct| {
            let last = s.path.segments.last();
            last.map(|l| l.arguments.to_token_stream().to_string())
        };
        self.definition == other.definition && arguments(self) == arguments(other)
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

fn member(position: usize, field: &syn::Field) -> syn::Member {
    match &field.ident {
        Some(ident) => syn::Member::Named(ident.clone()),
        None => syn::Member::Unnamed(position.into()),
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
    /// Where names are looked up; the last is that of the item that is being read.
    homes: RefCell<Vec<Home>>,
    /// By the path as written.
    structs: RefCell<BTreeMap<String, Option<Rc<Struct>>>>,
    aliases: RefCell<BTreeMap<String, Option<Alias>>>,
    /// The structs that the emitted code has to name although the function's module does not: where, and their names.
    hidden: RefCell<Vec<(syn::Path, String)>>,
    /// The names that refutable patterns bind: were one a constant, the pattern would compare with it.
    bound: RefCell<Vec<Ident>>,
}

#[derive(Clone)]
struct Alias {
    /// As the function names it; `None` for one that only another item names.
    path: Option<syn::Path>,
    ty: syn::Type,
}

impl Definitions {
    pub fn new(floats: Vec<Ident>, source: &Source, function: &syn::ItemFn) -> Definitions {
        Definitions {
            floats,
            source: source.clone(),
            function: Some(function.clone()),
            homes: RefCell::new(Vec::from_iter(source.home(function))),
            structs: RefCell::default(),
            aliases: RefCell::default(),
            hidden: RefCell::default(),
            bound: RefCell::default(),
        }
    }

    /// Those of a struct by itself: its generic floats and nothing else.
    pub fn of_generics(floats: Vec<Ident>) -> Definitions {
        Definitions {
            floats,
            ..Definitions::default()
        }
    }

    /// The item that a path means, and where it stands. It has the position of the path, for what rustc has to say of it.
    fn item(&self, path: &syn::Path) -> Option<(syn::Item, Home)> {
        let home = self.homes.borrow().last()?.clone();
        let (item, home) = self.source.type_item(&home, path)?;
        let at = path.segments.last()?.ident.span();
        let at = proc_macro2::Span::call_site().located_at(at);
        let item = syn::parse2(positioned(item.to_token_stream(), at)).ok()?;
        Some((item, home))
    }

    /// The annotated function that a path means here, without its body.
    pub fn callee(&self, path: &syn::Path) -> Option<(syn::ItemFn, Home)> {
        self.source.callee(self.function.as_ref()?, path)
    }

    /// Whether a called function is known to have no derivative.
    pub fn unannotated(&self, path: &syn::Path) -> bool {
        let function = self.function.as_ref();
        function.is_some_and(|f| self.source.unannotated(f, path))
    }

    /// Whether the file has a type or trait of this name that is not the standard library's.
    pub fn has_own(&self, name: &str) -> bool {
        self.source.has_own(name)
    }

    /// Whether an `enum` of the file has a variant of this name.
    pub fn has_variant(&self, name: &str) -> bool {
        self.source.has_variant(name)
    }

    /// The annotated method of a type's own.
    pub fn method(&self, of: &syn::Path, name: &str) -> Option<(syn::ItemFn, Home)> {
        let home = self.homes.borrow().first()?.clone();
        self.source.method(of, name, &home)
    }

    /// What the names of types in another function mean, its generic floats being these.
    pub fn beside(&self, floats: Vec<Ident>, home: Home) -> Definitions {
        Definitions {
            floats,
            source: self.source.clone(),
            function: self.function.clone(),
            homes: RefCell::new(vec![home]),
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
            return found.as_ref().map(|f| f.ty.clone());
        }
        let named_here = self.homes.borrow().len() == 1;
        // An alias of itself would not end.
        self.aliases.borrow_mut().insert(key.clone(), None);
        let found = match self.item(path) {
            Some((syn::Item::Type(t), home)) => {
                substituted(&t.generics, path, &t.ty).map(|ty| Alias {
                    path: named_here.then(|| path.clone()),
                    ty: self.at(home, || self.resolved(&ty)),
                })
            }
            _ => None,
        };
        self.aliases.borrow_mut().insert(key, found.clone());
        found.map(|f| f.ty)
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
            Some((syn::Item::Struct(s), home)) => {
                let (first, named_here) = {
                    let homes = self.homes.borrow();
                    (homes.first().cloned(), homes.len() == 1)
                };
                if !named_here && first.is_some_and(|first| !first.sees(path)) {
                    let name = home.path_to(&s.ident.to_string());
                    self.hidden.borrow_mut().push((path.clone(), name));
                }
                let cloned_by_hand = home.clones_by_hand(&s.ident.to_string());
                self.at(home, || self.read(path, &s, cloned_by_hand).map(Rc::new))
            }
            _ => None,
        };
        self.structs.borrow_mut().insert(key, found.clone());
        found
    }

    /// The fields of an enum's variant, and their types.
    pub fn variant(&self, path: &syn::Path) -> Option<Vec<(syn::Member, syn::Type)>> {
        let mut of = path.clone();
        let name = of.segments.pop()?.ident;
        of.segments.pop_punct();
        if of.is_ident("Self") {
            let syn::Type::Path(p) = peel(&self.implementor()?).clone() else {
                return None;
            };
            of = p.path;
        }
        let (syn::Item::Enum(e), home) = self.item(&of)? else {
            return None;
        };
        let variant = e.variants.iter().find(|v| v.ident == name)?;
        let field = |(k, f): (usize, &syn::Field)| {
            let ty = substituted(&e.generics, &of, &f.ty)?;
            Some((member(k, f), self.at(home.clone(), || self.resolved(&ty))))
        };
        variant.fields.iter().enumerate().map(field).collect()
    }

    /// Looks names up where an item stands.
    fn at<T>(&self, home: Home, read: impl FnOnce() -> T) -> T {
        self.homes.borrow_mut().push(home);
        let out = read();
        self.homes.borrow_mut().pop();
        out
    }

    /// A type with what its aliases stand for.
    pub fn resolved(&self, ty: &syn::Type) -> syn::Type {
        let mut ty = ty.clone();
        match &mut ty {
            syn::Type::Array(a) => *a.elem = self.resolved(&a.elem),
            syn::Type::Slice(a) => *a.elem = self.resolved(&a.elem),
            syn::Type::Reference(a) => *a.elem = self.resolved(&a.elem),
            syn::Type::Paren(a) => *a.elem = self.resolved(&a.elem),
            syn::Type::Group(a) => *a.elem = self.resolved(&a.elem),
            syn::Type::Tuple(a) => a.elems.iter_mut().for_each(|t| *t = self.resolved(t)),
            syn::Type::Path(p) if p.qself.is_none() => {
                if let Some(stands_for) = self.alias(&p.path) {
                    return stands_for;
                }
                for segment in &mut p.path.segments {
                    if let syn::PathArguments::AngleBracketed(all) = &mut segment.arguments {
                        for arg in &mut all.args {
                            if let syn::GenericArgument::Type(t) = arg {
                                *t = self.resolved(t);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
        ty
    }

    /// Reports the structs that have to be imported.
    pub fn report(&self, errors: &Errors) {
        for (at, name) in self.hidden.take() {
            errors.reject_named(at, &errors::STRUCT_HIDDEN, &name);
        }
    }

    fn read(
        &self,
        path: &syn::Path,
        item: &syn::ItemStruct,
        cloned_by_hand: bool,
    ) -> Option<Struct> {
        let mut fields = Vec::new();
        for (k, f) in item.fields.iter().enumerate() {
            let ty = self.resolved(&substituted(&item.generics, path, &f.ty)?);
            fields.push(Field {
                member: member(k, f),
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
            definition: item.to_token_stream().to_string(),
            fields,
            differentiable: derives(&item.attrs, "Differentiable"),
            copy: derives(&item.attrs, "Copy"),
            cloned_by_hand,
        })
    }

    /// Takes a name in a refutable pattern for a new variable, which rustc is made to check; `false` where it is known to be
    /// that of a constant as well.
    pub fn binds(&self, name: &Ident) -> bool {
        let is_new = !self.source.declares_constant(&name.to_string());
        let mut bound = self.bound.borrow_mut();
        if is_new && !bound.contains(name) {
            bound.push(name.clone());
        }
        is_new
    }

    /// Whether a struct takes part in the function whose `Clone` may give something else.
    pub fn clones_by_hand(&self) -> bool {
        let structs = self.structs.borrow();
        structs.values().flatten().any(|s| s.cloned_by_hand)
    }

    /// Whether a struct takes part in the function.
    pub fn uses_structs(&self) -> bool {
        self.structs.borrow().values().any(Option::is_some)
    }

    /// Statements that do not compile where a definition is not the one that rustc finds.
    pub fn checks(&self) -> TokenStream {
        let mut out = TokenStream::new();
        let (bound, x) = (self.bound.borrow(), local("x"));
        if !bound.is_empty() {
            out.extend(
                quote!(let _ = |#x: ::core::convert::Infallible| -> () { #(let #bound = #x;)* };),
            );
        }
        for Alias { path, ty } in self.aliases.borrow().values().flatten() {
            let Some(path) = path else { continue };
            out.extend(quote!(let _ = |x: &#path| -> () { let _: &#ty = x; };));
        }
        for s in self.structs.borrow().values().flatten() {
            let path = &s.path;
            let bare = s.constructor();
            let names: Vec<Ident> = (0..s.fields.len())
                .map(|k| local(&format!("f{k}")))
                .collect();
            let members = s.fields.iter().map(|f| &f.member);
            let types = s.fields.iter().map(|f| &f.ty);
            // All fields: one more could hold floats.
            out.extend(quote!(let _ = |x: &#path| -> () {
                let #bare { #(#members: #names),* } = x;
                #(let _: &#types = #names;)*
            };));
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

pub fn derives(attrs: &[syn::Attribute], name: &str) -> bool {
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

/// Tokens with a position of their own.
pub fn positioned(tokens: TokenStream, at: proc_macro2::Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut t| {
            if let proc_macro2::TokenTree::Group(g) = &t {
                let inner = positioned(g.stream(), at);
                t = proc_macro2::Group::new(g.delimiter(), inner).into();
            }
            t.set_span(at);
            t
        })
        .collect()
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
