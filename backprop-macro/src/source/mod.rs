//! What the source around a function says: which functions are annotated, and what type names stand for.
//!
//! In: the file of the function that is differentiated; where it imports a name, the file that defines it (`modules.rs`).
//! Out: whether a called function is defined without `#[backprop]`; the `struct`, `enum` or `type` item that a name refers to, and
//! its [`Home`], where the names in it are looked up. An attribute macro cannot ask the compiler.
//! What must hold: where a definition is used, the emitted code makes rustc check it (`items.rs`), so that a name found
//! in the wrong place is an error and never a wrong gradient. Items are kept as text: tokens do not outlive one expansion.

mod elsewhere;
mod read;

use crate::definitions::derives;
use crate::modules;
use elsewhere::elsewhere;
use read::{Known, Scope, flat_function, known};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

/// Names that mean something everywhere.
const PRELUDE: [&str; 9] = [
    "Some", "None", "Ok", "Err", "Option", "Result", "Vec", "Box", "String",
];

/// Where the names of an item are looked up.
#[derive(Clone)]
pub struct Home {
    file: PathBuf,
    /// The innermost scopes that it may stand in.
    scopes: Vec<usize>,
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

    /// Whether the file shows where a function stands; one that a macro has made stands nowhere.
    pub fn places(&self, function: &syn::ItemFn) -> bool {
        self.home(function).is_some_and(|h| !h.scopes.is_empty())
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
        let all = names(path);
        if let [.., module, name] = all.as_slice() {
            // In a module of this file.
            let head = format!("fn {name} ");
            let mut scopes = known.scopes.iter();
            if scopes.any(|s| {
                s.module.as_ref() == Some(module)
                    && !s.annotated.contains_key(name)
                    && s.functions.iter().any(|f| f.starts_with(&head))
            }) {
                return self.callee(function, path).is_none();
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

    /// Whether the file defines or imports a type or trait of this name, anywhere, from elsewhere than the standard library.
    pub fn has_own(&self, name: &str) -> bool {
        self.defines_type(name)
            || self.declares_trait(name)
            || self.known().is_some_and(|k| {
                let mut imports = k.scopes.iter().flat_map(|s| &s.imports);
                imports.any(|i| i.name() == Some(name) && i.standard(name).is_none())
            })
    }

    /// Whether an `enum` of the file has a variant of this name.
    pub fn has_variant(&self, name: &str) -> bool {
        self.known().is_some_and(|k| k.variants.contains(name))
    }

    /// Whether a function stands in an `impl` of a type's own and nowhere else.
    pub fn is_associated(&self, function: &syn::ItemFn) -> bool {
        let text = flat_function(&function.sig, &function.block);
        self.known()
            .is_some_and(|k| k.in_impls.contains(&text) && !k.free.contains(&text))
    }

    /// Whether a function stands in an `impl` of a trait and nowhere else.
    pub fn is_of_trait(&self, function: &syn::ItemFn) -> bool {
        let text = flat_function(&function.sig, &function.block);
        self.known().is_some_and(|k| {
            k.in_trait_impls.contains(&text)
                && !k.in_impls.contains(&text)
                && !k.free.contains(&text)
        })
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

    /// Whether `Some` or `None` may be a function of the file's own, or a variant of its own `enum`.
    pub fn redefines_variant(&self, name: &str) -> bool {
        self.known().is_some_and(|k| {
            let mut imports = k.scopes.iter().flat_map(|s| &s.imports);
            k.plain.contains(name)
                || k.variants.contains(name) && imports.any(|i| i.names_variant(name))
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
        // What every module sees is hidden by what is imported by name, and not by what `*` could bring in.
        let by_name = |s: &Scope| s.imports.iter().any(|i| i.name() == Some(name.as_str()));
        let seen = path.segments.len() == 1
            && PRELUDE.contains(&name.as_str())
            && !known.scopes.iter().any(by_name);
        if found.is_empty() && !seen {
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
    /// Whether names of items mean the same in both.
    pub fn is_beside(&self, other: &Home) -> bool {
        let one = |h: &Home| match h.scopes.as_slice() {
            [scope] => Some(*scope),
            _ => None,
        };
        self.file == other.file && one(self).is_some() && one(self) == one(other)
    }

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

    /// Whether a type that is defined here has a `Clone` of its own, which may give something else.
    pub fn clones_by_hand(&self, name: &str) -> bool {
        known(&self.file).cloned_by_hand.contains(name)
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

fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|s| s.ident.to_string()).collect()
}

/// What was found, if it is one.
fn one(found: Vec<(String, Home)>) -> Option<(String, Home)> {
    let mut found = found.into_iter();
    let first = found.next()?;
    found.all(|f| f.0 == first.0).then_some(first)
}
