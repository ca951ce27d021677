//! The files of a crate, and which of them an imported name can come from.
//!
//! In: a file, what it imports, and the path that is written there. Out: the [`Route`]s that the path can stand for, and the
//! other files of the crate with the names of their modules. What must hold: nothing here is believed; a definition that is found
//! by it is checked by rustc in the emitted code (`source`). A path that leads to another crate leads nowhere here.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One leaf of a `use`.
#[derive(Clone)]
pub struct Import {
    /// The path before the last segment.
    path: Vec<String>,
    /// The last segment, and the name that it has here; `None` for `*`.
    leaf: Option<(String, String)>,
}

impl Import {
    /// Whether it brings a name in; a `*` may bring in any.
    pub fn names(&self, name: &str) -> bool {
        self.leaf.as_ref().is_none_or(|l| l.1 == name)
    }

    /// Whether it gives this name to what is not of the standard library.
    pub fn renames_to(&self, name: &str) -> bool {
        let same =
            |(leaf, here): &(String, String)| here == name && !(self.is_standard() && leaf == name);
        self.leaf.as_ref().is_some_and(same)
    }

    /// Whether it brings in a variant of an `enum` under this name, by itself or with all others.
    pub fn names_variant(&self, name: &str) -> bool {
        let of = self.path.last();
        self.names(name)
            && !self.is_standard()
            && of.is_some_and(|s| s.starts_with(char::is_uppercase))
    }

    /// The whole path of what it brings in from the standard library under this name.
    pub fn standard(&self, name: &str) -> Option<Vec<String>> {
        let (leaf, here) = self.leaf.as_ref()?;
        let mut path = self.path.clone();
        path.push(leaf.clone());
        (here == name && self.is_standard()).then_some(path)
    }

    fn is_standard(&self) -> bool {
        let root = self.path.first().map(String::as_str);
        matches!(root, Some("std" | "core" | "alloc"))
    }

    /// The name that it brings in; `None` for `*`.
    pub fn name(&self) -> Option<&str> {
        self.leaf.as_ref().map(|l| l.1.as_str())
    }
}

/// A way to an item: the modules as the path names them, `crate`, `self` and `super` included, and the item's own name.
pub struct Route {
    modules: Vec<String>,
    pub name: String,
}

/// The leaves of a `use`.
pub fn imports(tree: &syn::UseTree) -> Vec<Import> {
    fn walk(tree: &syn::UseTree, path: &mut Vec<String>, out: &mut Vec<Import>) {
        let mut leaf = |leaf: Option<(String, String)>, path: &[String]| {
            let path = path.to_vec();
            out.push(Import { path, leaf });
        };
        match tree {
            syn::UseTree::Path(p) => {
                path.push(p.ident.to_string());
                walk(&p.tree, path, out);
                path.pop();
            }
            // `use a::b::{self}` names `b`.
            syn::UseTree::Name(n) => match path.split_last() {
                Some((last, before)) if n.ident == "self" => {
                    leaf(Some((last.clone(), last.clone())), before);
                }
                _ => leaf(Some((n.ident.to_string(), n.ident.to_string())), path),
            },
            syn::UseTree::Rename(r) => {
                leaf(Some((r.ident.to_string(), r.rename.to_string())), path);
            }
            syn::UseTree::Glob(_) => leaf(None, path),
            syn::UseTree::Group(g) => g.items.iter().for_each(|t| walk(t, path, out)),
        }
    }
    let mut out = Vec::new();
    walk(tree, &mut Vec::new(), &mut out);
    out
}

/// What a path can stand for where these are imported and the modules declared. A single name comes from the import of that
/// name, or else from any `*`.
pub fn routes<'a>(
    path: &[String],
    imports: impl Iterator<Item = &'a Import>,
    declared: &BTreeSet<String>,
) -> Vec<Route> {
    let imports: Vec<&Import> = imports.collect();
    let [first, rest @ ..] = path else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for import in &imports {
        if let Some((leaf, name)) = &import.leaf
            && name == first
        {
            let mut modules = import.path.clone();
            modules.push(leaf.clone());
            modules.extend_from_slice(rest);
            out.push(modules);
        }
    }
    if out.is_empty() && rest.is_empty() {
        for import in imports.iter().filter(|i| i.leaf.is_none()) {
            let mut modules = import.path.clone();
            modules.push(first.clone());
            out.push(modules);
        }
    } else if out.is_empty() {
        out.push(path.to_vec());
    }
    out.into_iter()
        .filter(|r| {
            let own = ["crate", "self", "super"].contains(&r[0].as_str());
            r.len() > 1 && (own || declared.contains(&r[0]))
        })
        .filter_map(|mut modules| {
            let name = modules.pop()?;
            Some(Route { modules, name })
        })
        .collect()
}

impl Route {
    /// The names of the modules from the root, where the path is written in the module `base`.
    pub fn absolute(&self, base: &[String]) -> Vec<String> {
        let count = |name: &str| self.modules.iter().filter(|m| *m == name).count();
        let outer = match count("crate") {
            0 => base.len().saturating_sub(count("super")),
            _ => 0,
        };
        let special = |m: &&String| !["crate", "self", "super"].contains(&m.as_str());
        let named = self.modules.iter().filter(special);
        base[..outer].iter().chain(named).cloned().collect()
    }
}

/// The names of the modules of a file, from the root of the crate, and of those inside it.
pub fn of_file(file: &Path, inside: &[String]) -> Vec<String> {
    let names = root(file).and_then(|root| {
        let file = canonical(file);
        Some(of_relative(&root, file.strip_prefix(&root).ok()?))
    });
    let mut out = names.unwrap_or_default();
    out.extend_from_slice(inside);
    out
}

fn of_relative(root: &Path, file: &Path) -> Vec<String> {
    let stem = file.with_extension("");
    let mut names: Vec<String> = stem
        .components()
        .map(|c| c.as_os_str().to_string_lossy().into_owned())
        .collect();
    let single = names.len() == 1;
    if names
        .last()
        .is_some_and(|n| ["mod", "lib", "main"].contains(&n.as_str()))
    {
        names.pop();
    }
    // A test, an example or a bench is a crate of its own: a file, or a folder with a `main.rs`.
    let target = |first: &String| single || root.join(first).join("main.rs").exists();
    if !root.ends_with("src") && names.first().is_some_and(target) {
        names.remove(0);
    }
    names
}

fn canonical(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

/// The folder that holds the modules beside a file: `src`, `tests`, … of the package; without Cargo, there is none.
fn root(file: &Path) -> Option<PathBuf> {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let package = package.canonicalize().ok()?;
    let file = canonical(file);
    let first = file.strip_prefix(&package).ok()?.components().next()?;
    let root = package.join(first);
    root.is_dir().then_some(root)
}

type Texts = Rc<Vec<(PathBuf, Vec<String>, String)>>;

thread_local! {
    static TEXTS: RefCell<HashMap<PathBuf, Texts>> = RefCell::default();
}

/// The files of the crate that mention a name, with the names of their modules.
pub fn mentioning(file: &Path, name: &str) -> Vec<(PathBuf, Vec<String>)> {
    let Some(root) = root(file) else {
        return Vec::new();
    };
    let texts = TEXTS.with_borrow_mut(|all| {
        let read = || {
            let mut out = Vec::new();
            read(&root, &root, &mut out);
            Rc::new(out)
        };
        all.entry(root.clone()).or_insert_with(read).clone()
    });
    let found = texts.iter().filter(|t| t.2.contains(name));
    found.map(|t| (t.0.clone(), t.1.clone())).collect()
}

fn read(root: &Path, folder: &Path, out: &mut Vec<(PathBuf, Vec<String>, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    // In an order that does not depend on the file system.
    let paths: BTreeSet<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    for path in paths {
        if path.is_dir() {
            read(root, &path, out);
        } else if path.extension().is_some_and(|e| e == "rs")
            && let (Ok(text), Ok(relative)) =
                (std::fs::read_to_string(&path), path.strip_prefix(root))
        {
            let modules = of_relative(root, relative);
            out.push((path, modules, text));
        }
    }
}
