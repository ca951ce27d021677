//! What the source file around a function says: which functions are annotated, and what type names stand for.
//!
//! In: the file, and the function that is differentiated. Out: whether a called function is defined there without
//! `#[backprop]`; the text of a `struct` or `type` item that a name refers to. An attribute macro cannot ask the compiler.
//! What must hold: where a definition is used, the emitted code makes rustc check it (`items.rs`), so that a name found
//! in the wrong place is an error and never a wrong gradient. Items are kept as text: tokens do not outlive one expansion.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

/// One module or block, and the items that it names.
#[derive(Default)]
struct Scope {
    parent: Option<usize>,
    /// A module does not see the names around it, unless it says `use super::*`.
    open: bool,
    /// `struct` and `type` items, by name.
    types: HashMap<String, String>,
    /// The functions in it, as [`flat`] text.
    functions: Vec<String>,
    /// For a function in an `impl`, the type.
    implementors: HashMap<String, String>,
    /// The annotated functions: attributes and signatures, by name.
    annotated: HashMap<String, Vec<String>>,
    /// Of a module, its name.
    module: Option<String>,
}

/// The items of one file.
#[derive(Default)]
struct Known {
    plain: BTreeSet<String>,
    annotated: BTreeSet<String>,
    scopes: Vec<Scope>,
    /// The annotated functions in an `impl` of a type's own: the type's name, the function's, attributes and signature.
    methods: Vec<(String, String, String)>,
    /// The functions that traits have here, which a method call may mean.
    of_traits: BTreeSet<String>,
}

thread_local! {
    static FILES: std::cell::RefCell<HashMap<PathBuf, Rc<Known>>> = std::cell::RefCell::default();
}

/// The file around the attribute, where there is one.
#[derive(Clone, Default)]
pub struct Source(Option<PathBuf>);

impl Source {
    pub fn new(file: Option<PathBuf>) -> Source {
        Source(file)
    }

    fn known(&self) -> Option<Rc<Known>> {
        let file = self.0.as_ref()?;
        Some(FILES.with_borrow_mut(|files| {
            files
                .entry(file.clone())
                .or_insert_with(|| Rc::new(read(file)))
                .clone()
        }))
    }

    /// Whether the file defines the function without annotating it.
    pub fn unannotated(&self, path: &syn::Path) -> bool {
        let (Some(known), Some(ident)) = (self.known(), path.get_ident()) else {
            return false;
        };
        let name = ident.to_string();
        known.plain.contains(&name) && !known.annotated.contains(&name)
    }

    /// Whether the file defines a function of this name, anywhere.
    pub fn defines(&self, name: &str) -> bool {
        self.known()
            .is_some_and(|k| k.plain.contains(name) || k.annotated.contains(name))
    }

    /// The `struct` or `type` item that a name means where the function stands. `None` if the file does not say, or if it
    /// could be one of several.
    pub fn type_item(&self, function: &syn::ItemFn, name: &str) -> Option<syn::Item> {
        let known = self.known()?;
        let wanted = flat_function(&function.sig, &function.block);
        let here: Vec<usize> = (0..known.scopes.len())
            .filter(|k| known.scopes[*k].functions.contains(&wanted))
            .collect();
        let mut found = BTreeSet::new();
        for &scope in &here {
            let mut at = Some(scope);
            while let Some(k) = at {
                if let Some(text) = known.scopes[k].types.get(name) {
                    found.insert(text);
                    break;
                }
                at = known.scopes[k].parent.filter(|_| known.scopes[k].open);
            }
        }
        if found.is_empty() {
            // Imported from another module of the file, or the function is made by a macro.
            found.extend(known.scopes.iter().filter_map(|s| s.types.get(name)));
        }
        match (found.len(), found.first()) {
            (1, Some(text)) => syn::parse_str(text).ok(),
            _ => None,
        }
    }

    /// The annotated function that a path means where a function stands: attributes and signature, without the body.
    /// `None` if the file does not say, or if it could be one of several.
    pub fn callee(&self, function: &syn::ItemFn, path: &syn::Path) -> Option<syn::ItemFn> {
        let known = self.known()?;
        let name = path.segments.last()?.ident.to_string();
        let module = path.segments.iter().rev().nth(1);
        let mut found = BTreeSet::new();
        match module.map(|m| m.ident.to_string()) {
            Some(module) if !matches!(module.as_str(), "self" | "super" | "crate") => {
                for scope in &known.scopes {
                    if scope.module.as_ref() == Some(&module) {
                        found.extend(scope.annotated.get(&name).into_iter().flatten());
                    }
                }
            }
            _ => {
                let wanted = flat_function(&function.sig, &function.block);
                for scope in 0..known.scopes.len() {
                    if !known.scopes[scope].functions.contains(&wanted) {
                        continue;
                    }
                    let mut at = Some(scope);
                    while let Some(k) = at {
                        if let Some(all) = known.scopes[k].annotated.get(&name) {
                            found.extend(all);
                            break;
                        }
                        at = known.scopes[k].parent.filter(|_| known.scopes[k].open);
                    }
                }
                if found.is_empty() {
                    // Imported, or the function is made by a macro.
                    let all = known.scopes.iter().filter_map(|s| s.annotated.get(&name));
                    found.extend(all.flatten());
                }
            }
        }
        one(found)
    }

    /// The annotated function of a type's own `impl`, if no trait of the file has one of that name.
    pub fn method(&self, of: &str, name: &str) -> Option<syn::ItemFn> {
        let known = self.known()?;
        if known.of_traits.contains(name) {
            return None;
        }
        let found = known.methods.iter().filter(|m| m.0 == of && m.1 == name);
        one(found.map(|m| &m.2).collect())
    }

    /// The type whose `impl` the function stands in.
    pub fn implementor(&self, function: &syn::ItemFn) -> Option<syn::Type> {
        let known = self.known()?;
        let wanted = flat_function(&function.sig, &function.block);
        let found: BTreeSet<&String> = known
            .scopes
            .iter()
            .filter_map(|s| s.implementors.get(&wanted))
            .collect();
        match (found.len(), found.first()) {
            (1, Some(text)) => syn::parse_str(text).ok(),
            _ => None,
        }
    }
}

/// The one function that was found.
fn one(found: BTreeSet<&String>) -> Option<syn::ItemFn> {
    match (found.len(), found.first()) {
        (1, Some(text)) => syn::parse_str(text).ok(),
        _ => None,
    }
}

/// A function without its body.
fn head(attrs: &[syn::Attribute], sig: &syn::Signature) -> String {
    let attrs = attrs.iter().filter(|a| {
        a.path()
            .segments
            .last()
            .is_some_and(|s| s.ident == "backprop")
    });
    quote::quote!(#(#attrs)* #sig {}).to_string()
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

fn flat_function(sig: &syn::Signature, block: &syn::Block) -> String {
    let mut out = String::new();
    flat(sig.to_token_stream(), &mut out);
    flat(block.to_token_stream(), &mut out);
    out
}

fn read(file: &PathBuf) -> Known {
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
        self.here().functions.push(text);
        syn::visit::visit_item_fn(self, f);
    }

    fn visit_item_impl(&mut self, i: &'ast syn::ItemImpl) {
        let outer = self
            .implementor
            .replace(i.self_ty.to_token_stream().to_string());
        for item in &i.items {
            let syn::ImplItem::Fn(f) = item else { continue };
            let name = f.sig.ident.to_string();
            if i.trait_.is_some() {
                self.known.of_traits.insert(name);
            } else if has_attribute(&f.attrs)
                && let syn::Type::Path(p) = crate::shape::peel(&i.self_ty)
                && let Some(last) = p.path.segments.last()
            {
                let text = head(&f.attrs, &f.sig);
                self.known
                    .methods
                    .push((last.ident.to_string(), name, text));
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
    fn visit_item_trait(&mut self, t: &'ast syn::ItemTrait) {
        for item in &t.items {
            if let syn::TraitItem::Fn(f) = item {
                self.known.of_traits.insert(f.sig.ident.to_string());
            }
        }
        syn::visit::visit_item_trait(self, t);
    }
    fn visit_item_enum(&mut self, e: &'ast syn::ItemEnum) {
        self.known.annotated.insert(e.ident.to_string());
    }
    fn visit_item_struct(&mut self, s: &'ast syn::ItemStruct) {
        self.known.annotated.insert(s.ident.to_string());
        self.type_item(&s.ident, s);
    }
    fn visit_item_type(&mut self, t: &'ast syn::ItemType) {
        self.type_item(&t.ident, t);
    }
}
