//! What the source around a function says: which functions are annotated, and what type names stand for.
//!
//! In: the file of the function that is differentiated; where it imports a name, the file that defines it (`modules.rs`).
//! Out: whether a called function is defined without `#[backprop]`; the `struct`, `enum` or `type` item that a name refers to, and
//! its [`Home`], where the names in it are looked up. An attribute macro cannot ask the compiler.
//! What must hold: where a definition is used, the emitted code makes rustc check it (`items.rs`), so that a name found
//! in the wrong place is an error and never a wrong gradient. Items are kept as text: tokens do not outlive one expansion.

use crate::definitions::derives;
use crate::modules::{self, Import, Route};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One module or block, and the items that it names.
#[derive(Default)]
struct Scope {
    parent: Option<usize>,
    /// A module does not see the names around it, unless it says `use super::*`.
    open: bool,
    /// `struct`, `enum` and `type` items, by name.
    types: HashMap<String, String>,
    /// The functions in it, as [`flat`] text.
    functions: Vec<String>,
    /// For a function in an `impl`, the type.
    implementors: HashMap<String, String>,
    /// The annotated functions: attributes and signatures, by name.
    annotated: HashMap<String, Vec<String>>,
    /// Of a module, its name.
    module: Option<String>,
    /// What it imports.
    imports: Vec<Import>,
}

/// The items of one file.
#[derive(Default)]
struct Known {
    plain: BTreeSet<String>,
    annotated: BTreeSet<String>,
    scopes: Vec<Scope>,
    /// The annotated functions in an `impl` of a type's own: the type's name, the function's, attributes and signature, and the
    /// scope around the `impl`.
    methods: Vec<(String, String, String, usize)>,
    /// The functions that traits have here, which a method call may mean.
    of_traits: BTreeSet<String>,
    /// The constants and statics anywhere in it.
    constants: BTreeSet<String>,
    macros: BTreeSet<String>,
    traits: BTreeSet<String>,
    /// The modules that it declares, with or without a body.
    modules: BTreeSet<String>,
}

/// Where the names of an item are looked up.
#[derive(Clone)]
pub struct Home {
    file: PathBuf,
    /// The innermost scopes that it may stand in.
    scopes: Vec<usize>,
}

/// An item that was found in another file, as text.
struct Found {
    /// The names of the modules around it, from the root of the crate.
    modules: Vec<String>,
    text: String,
    home: Home,
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
        Some(known(self.0.as_ref()?))
    }

    /// Where a function stands. `None` if there is no file.
    pub fn home(&self, function: &syn::ItemFn) -> Option<Home> {
        let known = self.known()?;
        let wanted = flat_function(&function.sig, &function.block);
        Some(Home {
            file: self.0.clone()?,
            scopes: (0..known.scopes.len())
                .filter(|k| known.scopes[*k].functions.contains(&wanted))
                .collect(),
        })
    }

    /// Whether the file, or that from which the function is imported, defines it without annotating it.
    pub fn unannotated(&self, function: &syn::ItemFn, path: &syn::Path) -> bool {
        let Some(known) = self.known() else {
            return false;
        };
        if let Some(ident) = path.get_ident() {
            let name = ident.to_string();
            if known.annotated.contains(&name) || known.plain.contains(&name) {
                return !known.annotated.contains(&name);
            }
        }
        let Some(home) = self.home(function) else {
            return false;
        };
        let plain = elsewhere(&home, &names(path), |known, scope, name| {
            let plain = known.plain.contains(name) && !known.annotated.contains(name);
            Vec::from_iter((scope == 0 && plain).then(String::new))
        });
        !plain.is_empty() && self.callee(function, path).is_none()
    }

    /// Whether a type of this name is defined beside a function, or made by the derive of another there.
    pub fn taken(&self, function: &syn::ItemFn, name: &str) -> bool {
        let (Some(home), Some(known)) = (self.home(function), self.known()) else {
            return false;
        };
        let of = name.strip_suffix("Gradient").unwrap_or("");
        let taken = |scope: &usize| {
            let types = &known.scopes[*scope].types;
            let derived = |text: &String| {
                syn::parse_str::<syn::ItemStruct>(text)
                    .is_ok_and(|s| derives(&s.attrs, "Differentiable"))
            };
            types.contains_key(name) || types.get(of).is_some_and(derived)
        };
        !home.scopes.is_empty() && home.scopes.iter().all(taken)
    }

    /// Whether the file defines a type of this name, anywhere.
    pub fn defines_type(&self, name: &str) -> bool {
        (self.known()).is_some_and(|k| k.scopes.iter().any(|s| s.types.contains_key(name)))
    }

    /// Whether the file defines a function of this name, anywhere.
    pub fn defines(&self, name: &str) -> bool {
        self.known()
            .is_some_and(|k| k.plain.contains(name) || k.annotated.contains(name))
    }

    /// Whether the file declares a constant of this name, anywhere.
    pub fn declares_constant(&self, name: &str) -> bool {
        self.known().is_some_and(|k| k.constants.contains(name))
    }

    /// Whether the file defines a macro of this name, anywhere.
    pub fn declares_macro(&self, name: &str) -> bool {
        self.known().is_some_and(|k| k.macros.contains(name))
    }

    /// Whether the file defines a trait of this name, anywhere.
    pub fn declares_trait(&self, name: &str) -> bool {
        self.known().is_some_and(|k| k.traits.contains(name))
    }

    /// Whether a name of the standard library is, where a function stands, that of a module or type of the file's own, or of
    /// another import.
    pub fn redefines(&self, function: &syn::ItemFn, name: &str) -> bool {
        let (Some(known), Some(home)) = (self.known(), self.home(function)) else {
            return false;
        };
        let seen: BTreeSet<usize> = match home.scopes.as_slice() {
            // Made by a macro: it may stand anywhere.
            [] => (0..known.scopes.len()).collect(),
            all => all.iter().flat_map(|k| known.up(*k)).collect(),
        };
        let is_module = |s: &Scope| {
            s.module.as_deref() == Some(name) && s.parent.is_some_and(|p| seen.contains(&p))
        };
        let with_body = |s: &Scope| s.module.as_deref() == Some(name);
        let elsewhere = known.modules.contains(name) && !known.scopes.iter().any(with_body);
        elsewhere
            || known.scopes.iter().any(is_module)
            || seen.iter().map(|k| &known.scopes[*k]).any(|s| {
                let mut imports = s.imports.iter();
                s.types.contains_key(name) || imports.any(|i| i.renames_to(name))
            })
    }

    /// What a name means that the file imports from the standard library, and nothing else has.
    pub fn standard(&self, name: &str) -> Option<Vec<String>> {
        let known = self.known()?;
        if known.plain.contains(name) || known.annotated.contains(name) {
            return None;
        }
        let imports = known.scopes.iter().flat_map(|s| &s.imports);
        let mut all = imports.filter(|i| i.name() == Some(name));
        let path = all.next()?.standard(name)?;
        all.all(|i| i.standard(name).as_ref() == Some(&path))
            .then_some(path)
    }

    /// The `struct`, `enum` or `type` item that a path means somewhere. `None` if the files do not say, or if it could be one of several.
    pub fn type_item(&self, home: &Home, path: &syn::Path) -> Option<(syn::Item, Home)> {
        let known = known(&home.file);
        let name = path.segments.last()?.ident.to_string();
        let mut found = Vec::new();
        for &scope in &home.scopes {
            let defining = known.up(scope).find_map(|k| {
                let text = known.scopes[k].types.get(&name)?;
                Some((text.clone(), k))
            });
            found.extend(defining);
        }
        if found.is_empty() {
            // Imported from another module of the file, or the function is made by a macro.
            let all = known.scopes.iter().enumerate();
            found.extend(all.filter_map(|(k, s)| Some((s.types.get(&name)?.clone(), k))));
        }
        let mut found: Vec<(String, Home)> = found
            .into_iter()
            .map(|(text, scope)| (text, home.at(scope)))
            .collect();
        if found.is_empty() {
            let all = elsewhere(home, &names(path), |known, scope, name| {
                Vec::from_iter(known.scopes[scope].types.get(name).cloned())
            });
            found.extend(all.into_iter().map(|f| (f.text, f.home)));
        }
        let (text, home) = one(found)?;
        Some((syn::parse_str(&text).ok()?, home))
    }

    /// The annotated function that a path means where a function stands: attributes and signature, without the body.
    /// `None` if the files do not say, or if it could be one of several.
    pub fn callee(&self, function: &syn::ItemFn, path: &syn::Path) -> Option<(syn::ItemFn, Home)> {
        let home = self.home(function)?;
        let known = self.known()?;
        let name = path.segments.last()?.ident.to_string();
        let module = path.segments.iter().rev().nth(1);
        let annotated = |known: &Known, scope: usize, name: &str| {
            let all = known.scopes[scope].annotated.get(name);
            all.into_iter().flatten().cloned().collect::<Vec<_>>()
        };
        let mut found = Vec::new();
        match module.map(|m| m.ident.to_string()) {
            Some(module) if !matches!(module.as_str(), "self" | "super" | "crate") => {
                for (k, scope) in known.scopes.iter().enumerate() {
                    if scope.module.as_ref() == Some(&module) {
                        let all = annotated(&known, k, &name);
                        found.extend(all.into_iter().map(|text| (text, home.at(k))));
                    }
                }
            }
            _ => {
                for &scope in &home.scopes {
                    let defining = known
                        .up(scope)
                        .map(|k| (annotated(&known, k, &name), k))
                        .find(|(all, _)| !all.is_empty());
                    let (all, k) = defining.unwrap_or_default();
                    found.extend(all.into_iter().map(|text| (text, home.at(k))));
                }
                if found.is_empty() {
                    // Imported, or the function is made by a macro.
                    for k in 0..known.scopes.len() {
                        let all = annotated(&known, k, &name);
                        found.extend(all.into_iter().map(|text| (text, home.at(k))));
                    }
                }
            }
        }
        if found.is_empty() {
            let all = elsewhere(&home, &names(path), annotated);
            found.extend(all.into_iter().map(|f| (f.text, f.home)));
        }
        let (text, home) = one(found)?;
        Some((syn::parse_str(&text).ok()?, home))
    }

    /// The annotated function of a type's own `impl`, if no trait there has one of that name: in the function's file, or
    /// in that of the type.
    pub fn method(&self, of: &syn::Path, name: &str, home: &Home) -> Option<(syn::ItemFn, Home)> {
        let ty = of.segments.last()?.ident.to_string();
        let mut files = vec![self.0.clone()?];
        files.extend(self.type_item(home, of).map(|(_, home)| home.file));
        files.dedup();
        let mut found = Vec::new();
        for file in files {
            let known = known(&file);
            if known.of_traits.contains(name) {
                return None;
            }
            for (_, _, text, scope) in known.methods.iter().filter(|m| m.0 == ty && m.1 == name) {
                let home = Home {
                    file: file.clone(),
                    scopes: vec![*scope],
                };
                found.push((text.clone(), home));
            }
        }
        let (text, home) = one(found)?;
        Some((syn::parse_str(&text).ok()?, home))
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

impl Home {
    /// Whether a path means the same here, as far as can be told: it begins at the root, or with a name of this module.
    pub fn sees(&self, path: &syn::Path) -> bool {
        let path = names(path);
        if path[0] == "crate" || self.scopes.is_empty() {
            return true;
        }
        let known = known(&self.file);
        let scopes = self.scopes.iter().flat_map(|k| known.up(*k));
        scopes.map(|k| &known.scopes[k]).any(|s| {
            let defined = path.len() == 1 && s.types.contains_key(&path[0]);
            defined || s.imports.iter().any(|i| i.names(&path[0]))
        }) || path.len() > 1 && known.modules.contains(&path[0])
    }

    /// How an item that stands here is named in the crate, if its modules are visible.
    pub fn path_to(&self, name: &str) -> String {
        let known = known(&self.file);
        let inside = self.scopes.first().map(|k| known.modules(*k));
        let mut path = vec!["crate".to_owned()];
        path.extend(modules::of_file(&self.file, &inside.unwrap_or_default()));
        path.push(name.to_owned());
        path.join("::")
    }

    /// Another scope of the same file.
    fn at(&self, scope: usize) -> Home {
        Home {
            file: self.file.clone(),
            scopes: vec![scope],
        }
    }
}

impl Known {
    /// The scopes whose names are seen from one, the innermost first.
    fn up(&self, scope: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(scope), |k| {
            self.scopes[*k].parent.filter(|_| self.scopes[*k].open)
        })
    }

    /// The names of the modules around a scope, within the file.
    fn modules(&self, scope: usize) -> Vec<String> {
        let all = std::iter::successors(Some(scope), |k| self.scopes[*k].parent);
        let mut names: Vec<String> = all.filter_map(|k| self.scopes[k].module.clone()).collect();
        names.reverse();
        names
    }
}

/// What one file says; read once.
fn known(file: &Path) -> Rc<Known> {
    FILES.with_borrow_mut(|files| {
        files
            .entry(file.to_owned())
            .or_insert_with(|| Rc::new(read(file)))
            .clone()
    })
}

fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|s| s.ident.to_string()).collect()
}

/// The items of the crate that a path can mean, given what is imported where it is written: those in the module that it leads
/// to, or what that module imports from another, or else the only ones of the name. `read` takes them out of a scope.
fn elsewhere(
    home: &Home,
    path: &[String],
    read: impl Fn(&Known, usize, &str) -> Vec<String>,
) -> Vec<Found> {
    let defined = |name: &str| {
        let mut found = Vec::new();
        for (home, modules) in scopes(&home.file, name) {
            let known = known(&home.file);
            for text in home.scopes.iter().flat_map(|k| read(&known, *k, name)) {
                let (home, modules) = (home.clone(), modules.clone());
                found.push(Found {
                    modules,
                    text,
                    home,
                });
            }
        }
        found
    };
    let mut out = Vec::new();
    for (route, target) in routes(home, path) {
        let all = defined(&route.name);
        let (mut there, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|f| f.modules == target);
        if there.is_empty() {
            for (name, target) in handed_on(home, (route.name, target)) {
                let all = defined(&name).into_iter();
                there.extend(all.filter(|f| f.modules == target));
            }
        }
        out.extend(if there.is_empty() { others } else { there });
    }
    out
}

/// What a path can stand for, and the modules that this leads to.
fn routes(home: &Home, path: &[String]) -> Vec<(Route, Vec<String>)> {
    let here = known(&home.file);
    let scopes: BTreeSet<usize> = match home.scopes.as_slice() {
        [] => (0..here.scopes.len()).collect(),
        all => all.iter().flat_map(|k| here.up(*k)).collect(),
    };
    let imports = scopes.iter().flat_map(|k| &here.scopes[*k].imports);
    let inside = home.scopes.first().map(|k| here.modules(*k));
    let base = modules::of_file(&home.file, inside.as_deref().unwrap_or_default());
    let routes = modules::routes(path, imports, &here.modules);
    let led = routes.into_iter().map(|r| {
        let target = r.absolute(&base);
        (r, target)
    });
    led.collect()
}

/// The scopes in the files that mention a name, with the names of the modules around them.
fn scopes(file: &Path, name: &str) -> Vec<(Home, Vec<String>)> {
    let mut out = Vec::new();
    for (file, outer) in modules::mentioning(file, name) {
        let known = known(&file);
        for scope in 0..known.scopes.len() {
            let mut modules = outer.clone();
            modules.extend(known.modules(scope));
            let file = file.clone();
            let scopes = vec![scope];
            out.push((Home { file, scopes }, modules));
        }
    }
    out
}

/// Where modules hand on an item that they import: the names and modules that it may have behind them.
fn handed_on(home: &Home, first: (String, Vec<String>)) -> Vec<(String, Vec<String>)> {
    let mut seen = vec![first];
    let mut next = 0;
    while let Some((name, target)) = seen.get(next).cloned() {
        next += 1;
        // A `*` does not mention the name.
        for (home, modules) in scopes(&home.file, "use") {
            if modules != target {
                continue;
            }
            for (route, target) in routes(&home, std::slice::from_ref(&name)) {
                let way = (route.name, target);
                if !seen.contains(&way) {
                    seen.push(way);
                }
            }
        }
    }
    seen.split_off(1)
}

/// What was found, if it is one.
fn one(found: Vec<(String, Home)>) -> Option<(String, Home)> {
    let mut found = found.into_iter();
    let first = found.next()?;
    found.all(|f| f.0 == first.0).then_some(first)
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
                let method = (last.ident.to_string(), name, head(&f.attrs, &f.sig));
                let (of, name, text) = method;
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
