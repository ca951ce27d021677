//! Items in the other files of the package, along what is imported.
//!
//! In: a path, and where it is written. Out: what the scopes that it can lead to say of it. What must hold: as in `modules`, nothing is
//! believed that rustc does not check.

use super::Home;
use super::read::{Known, known};
use crate::modules::{self, Route};
use std::collections::BTreeSet;
use std::path::Path;

/// An item that was found in another file, as text.
pub(super) struct Found {
    /// The names of the modules around it, from the root of the crate.
    pub(super) modules: Vec<String>,
    pub(super) text: String,
    pub(super) home: Home,
}

/// The items of the crate that a path can mean, given what is imported where it is written: those in the module that it leads
/// to, or what that module imports from another, or else the only ones of the name. `read` takes them out of a scope.
pub(super) fn elsewhere(
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
