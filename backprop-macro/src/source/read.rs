//! What one file says: its items, by the scope that they stand in.
//!
//! In: the path of a file. Out: [`Known`], read once in an expansion. What must hold: items are kept as text, as tokens do not outlive one
//! expansion; a file that does not parse says nothing.

use crate::modules::{self, Import};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One module or block, and the items that it names.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) parent: Option<usize>,
    /// A module does not see the names around it, unless it says `use super::*`.
    pub(super) open: bool,
    /// `struct`, `enum` and `type` items, by name.
    pub(super) types: HashMap<String, String>,
    /// The functions in it, as [`flat`] text.
    pub(super) functions: Vec<String>,
    /// For a function in an `impl`, the type.
    pub(super) implementors: HashMap<String, String>,
    /// The annotated functions: attributes and signatures, by name.
    pub(super) annotated: HashMap<String, Vec<String>>,
    /// Of a module, its name.
    pub(super) module: Option<String>,
    /// What it imports.
    pub(super) imports: Vec<Import>,
}

/// The items of one file.
#[derive(Default)]
pub(super) struct Known {
    pub(super) plain: BTreeSet<String>,
    pub(super) annotated: BTreeSet<String>,
    pub(super) scopes: Vec<Scope>,
    /// The annotated functions in an `impl` of a type's own: the type's name, the function's, attributes and signature, and the
    /// scope around the `impl`.
    pub(super) methods: Vec<(String, String, String, usize)>,
    /// The functions that traits have here, which a method call may mean.
    pub(super) of_traits: BTreeSet<String>,
    /// The constants and statics anywhere in it.
    pub(super) constants: BTreeSet<String>,
    pub(super) macros: BTreeSet<String>,
    /// The types with a `Clone` that is not derived, which may give something else.
    pub(super) cloned_by_hand: BTreeSet<String>,
    pub(super) traits: BTreeSet<String>,
    /// The variants of its `enum`s.
    pub(super) variants: BTreeSet<String>,
    /// The functions that stand in no `impl`, in one of a type's own, and in one of a trait, as [`flat`] text.
    pub(super) free: BTreeSet<String>,
    pub(super) in_impls: BTreeSet<String>,
    pub(super) in_trait_impls: BTreeSet<String>,
    /// The modules that it declares, with or without a body.
    pub(super) modules: BTreeSet<String>,
}

thread_local! {
    static FILES: std::cell::RefCell<HashMap<PathBuf, Rc<Known>>> = std::cell::RefCell::default();
}

impl Known {
    /// The scopes whose names are seen from one, the innermost first.
    pub(super) fn up(&self, scope: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(scope), |k| {
            self.scopes[*k].parent.filter(|_| self.scopes[*k].open)
        })
    }

    /// The names of the modules around a scope, within the file.
    pub(super) fn modules(&self, scope: usize) -> Vec<String> {
        let all = std::iter::successors(Some(scope), |k| self.scopes[*k].parent);
        let mut names: Vec<String> = all.filter_map(|k| self.scopes[k].module.clone()).collect();
        names.reverse();
        names
    }
}

/// What one file says; read once.
pub(super) fn known(file: &Path) -> Rc<Known> {
    FILES.with_borrow_mut(|files| {
        files
            .entry(file.to_owned())
            .or_insert_with(|| Rc::new(read(file)))
            .clone()
    })
}

/// A function without its body.
fn head(attrs: &[syn::Attribute], sig: &syn::Signature) -> String {
    whole(attrs, sig, &syn::parse_quote!({}))
}

/// A function with what the macro sees of its attributes.
fn whole(attrs: &[syn::Attribute], sig: &syn::Signature, body: &syn::Block) -> String {
    let attrs = attrs.iter().filter(|a| {
        a.path()
            .segments
            .last()
            .is_some_and(|s| s.ident == "backprop")
    });
    quote::quote!(#(#attrs)* #sig #body).to_string()
}

fn has_attribute(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|a| {
        a.path()
            .segments
            .last()
            .is_some_and(|s| s.ident == "backprop")
    })
}

/// Tokens as text that does not depend on how they are spaced or grouped.
fn flat(tokens: TokenStream, out: &mut String) {
    for tree in tokens {
        match tree {
            TokenTree::Group(g) => {
                let (open, close) = match g.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                out.push_str(open);
                flat(g.stream(), out);
                out.push_str(close);
            }
            // Comments are attributes to one and nothing to the other.
            TokenTree::Punct(p) => out.push(p.as_char()),
            other => {
                out.push_str(&other.to_string());
                out.push(' ');
            }
        }
    }
}

pub(super) fn flat_function(sig: &syn::Signature, block: &syn::Block) -> String {
    let mut out = String::new();
    flat(sig.to_token_stream(), &mut out);
    flat(block.to_token_stream(), &mut out);
    out
}

fn read(file: &Path) -> Known {
    let mut reader = Reader {
        known: Known::default(),
        scope: 0,
        implementor: None,
    };
    reader.known.scopes.push(Scope::default());
    if let Some(parsed) = std::fs::read_to_string(file)
        .ok()
        .and_then(|text| syn::parse_file(&text).ok())
    {
        syn::visit::Visit::visit_file(&mut reader, &parsed);
    }
    reader.known
}

struct Reader {
    known: Known,
    scope: usize,
    implementor: Option<String>,
}

impl Reader {
    fn inside(&mut self, open: bool, visit: impl FnOnce(&mut Self)) {
        let outer = self.scope;
        self.known.scopes.push(Scope {
            parent: Some(outer),
            open,
            ..Scope::default()
        });
        self.scope = self.known.scopes.len() - 1;
        visit(self);
        self.scope = outer;
    }

    fn here(&mut self) -> &mut Scope {
        &mut self.known.scopes[self.scope]
    }

    fn type_item(&mut self, name: &syn::Ident, item: &impl ToTokens) {
        let text = item.to_token_stream().to_string();
        self.here().types.insert(name.to_string(), text);
    }
}

impl<'ast> syn::visit::Visit<'ast> for Reader {
    fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
        let annotated = f.attrs.iter().any(|a| {
            let text = a.to_token_stream().to_string();
            text.contains("backprop") || text.contains("autodiff") || a.path().is_ident("cfg_attr")
        });
        let names = if annotated {
            &mut self.known.annotated
        } else {
            &mut self.known.plain
        };
        names.insert(f.sig.ident.to_string());
        if has_attribute(&f.attrs) {
            let (name, text) = (f.sig.ident.to_string(), head(&f.attrs, &f.sig));
            self.here().annotated.entry(name).or_default().push(text);
        }
        let text = flat_function(&f.sig, &f.block);
        self.known.free.insert(text.clone());
        self.here().functions.push(text);
        syn::visit::visit_item_fn(self, f);
    }

    fn visit_item_impl(&mut self, i: &'ast syn::ItemImpl) {
        let outer = self
            .implementor
            .replace(i.self_ty.to_token_stream().to_string());
        if let Some((path, _)) = &i.trait_
            && path.segments.last().is_some_and(|s| s.ident == "Clone")
            && let syn::Type::Path(p) = crate::shape::peel(&i.self_ty)
            && let Some(last) = p.path.segments.last()
        {
            self.known.cloned_by_hand.insert(last.ident.to_string());
        }
        for item in &i.items {
            let syn::ImplItem::Fn(f) = item else { continue };
            let text = flat_function(&f.sig, &f.block);
            match i.trait_ {
                Some(_) => self.known.in_trait_impls.insert(text),
                None => self.known.in_impls.insert(text),
            };
            let name = f.sig.ident.to_string();
            if i.trait_.is_some() {
                self.known.of_traits.insert(name);
            } else if has_attribute(&f.attrs)
                && let syn::Type::Path(p) = crate::shape::peel(&i.self_ty)
                && let Some(last) = p.path.segments.last()
            {
                let (of, text) = (last.ident.to_string(), whole(&f.attrs, &f.sig, &f.block));
                self.known.methods.push((of, name, text, self.scope));
            }
        }
        syn::visit::visit_item_impl(self, i);
        self.implementor = outer;
    }

    fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
        let text = flat_function(&f.sig, &f.block);
        if let Some(ty) = self.implementor.clone() {
            self.here().implementors.insert(text.clone(), ty);
        }
        self.here().functions.push(text);
        syn::visit::visit_impl_item_fn(self, f);
    }

    fn visit_block(&mut self, b: &'ast syn::Block) {
        self.inside(true, |r| syn::visit::visit_block(r, b));
    }

    // Another item of the name may hold hand-written `forward` and `backward`.
    fn visit_item_mod(&mut self, m: &'ast syn::ItemMod) {
        self.known.annotated.insert(m.ident.to_string());
        self.known.modules.insert(m.ident.to_string());
        let items = m.content.iter().flat_map(|c| &c.1);
        let open = items
            .filter_map(|i| match i {
                syn::Item::Use(u) => Some(u.tree.to_token_stream().to_string()),
                _ => None,
            })
            .any(|u| u.starts_with("super") && u.ends_with('*'));
        self.inside(open, |r| {
            r.here().module = Some(m.ident.to_string());
            syn::visit::visit_item_mod(r, m);
        });
    }
    fn visit_item_use(&mut self, u: &'ast syn::ItemUse) {
        let imports = modules::imports(&u.tree);
        self.here().imports.extend(imports);
    }
    fn visit_item_macro(&mut self, m: &'ast syn::ItemMacro) {
        let name = m.ident.as_ref().map(ToString::to_string);
        self.known.macros.extend(name);
    }
    fn visit_item_trait(&mut self, t: &'ast syn::ItemTrait) {
        self.known.traits.insert(t.ident.to_string());
        for item in &t.items {
            if let syn::TraitItem::Fn(f) = item {
                self.known.of_traits.insert(f.sig.ident.to_string());
            }
        }
        syn::visit::visit_item_trait(self, t);
    }
    fn visit_item_const(&mut self, c: &'ast syn::ItemConst) {
        self.known.constants.insert(c.ident.to_string());
        syn::visit::visit_item_const(self, c);
    }
    fn visit_item_static(&mut self, s: &'ast syn::ItemStatic) {
        self.known.constants.insert(s.ident.to_string());
        syn::visit::visit_item_static(self, s);
    }
    fn visit_item_enum(&mut self, e: &'ast syn::ItemEnum) {
        self.known.annotated.insert(e.ident.to_string());
        let variants = e.variants.iter().map(|v| v.ident.to_string());
        self.known.variants.extend(variants);
        self.type_item(&e.ident, e);
    }
    fn visit_item_struct(&mut self, s: &'ast syn::ItemStruct) {
        self.known.annotated.insert(s.ident.to_string());
        self.type_item(&s.ident, s);
    }
    fn visit_item_type(&mut self, t: &'ast syn::ItemType) {
        self.type_item(&t.ident, t);
    }
}
