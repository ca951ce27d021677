//! What the source file around a function says of the functions that it calls.
//!
//! In: a called path and the file. Out: whether that function is defined there without `#[backprop]`. An attribute macro
//! cannot ask the compiler; without this, calling such a function would end in a name resolution error.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

/// The functions of one file.
#[derive(Default)]
struct Known {
    plain: BTreeSet<String>,
    annotated: BTreeSet<String>,
}

thread_local! {
    static FILES: std::cell::RefCell<HashMap<PathBuf, Rc<Known>>> = std::cell::RefCell::default();
}

thread_local! {
    static CURRENT: std::cell::RefCell<Option<PathBuf>> = const { std::cell::RefCell::new(None) };
}

/// Notes the file of the function that is being compiled.
pub fn set_file(file: Option<PathBuf>) {
    CURRENT.set(file);
}

/// Whether the file of the function that is being compiled defines a function of this name.
pub fn defines(name: &str) -> bool {
    let Some(file) = CURRENT.with_borrow(Clone::clone) else {
        return false;
    };
    let known = known(file);
    known.plain.contains(name) || known.annotated.contains(name)
}

fn known(file: PathBuf) -> Rc<Known> {
    FILES.with_borrow_mut(|files| {
        files
            .entry(file.clone())
            .or_insert_with(|| Rc::new(read(&file)))
            .clone()
    })
}

/// Whether the file defines the function without annotating it.
pub fn unannotated(file: Option<PathBuf>, path: &syn::Path) -> bool {
    let (Some(file), Some(ident)) = (file, path.get_ident()) else {
        return false;
    };
    let known = known(file);
    let name = ident.to_string();
    known.plain.contains(&name) && !known.annotated.contains(&name)
}

fn read(file: &PathBuf) -> Known {
    struct Visitor(Known);
    impl<'ast> syn::visit::Visit<'ast> for Visitor {
        fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
            let annotated = f.attrs.iter().any(|a| {
                let text = quote::ToTokens::to_token_stream(a).to_string();
                text.contains("backprop")
                    || text.contains("autodiff")
                    || a.path().is_ident("cfg_attr")
            });
            let names = if annotated {
                &mut self.0.annotated
            } else {
                &mut self.0.plain
            };
            names.insert(f.sig.ident.to_string());
            syn::visit::visit_item_fn(self, f);
        }
        // Another item of the name may hold hand-written `forward` and `backward`.
        fn visit_item_mod(&mut self, m: &'ast syn::ItemMod) {
            self.0.annotated.insert(m.ident.to_string());
            syn::visit::visit_item_mod(self, m);
        }
        fn visit_item_enum(&mut self, e: &'ast syn::ItemEnum) {
            self.0.annotated.insert(e.ident.to_string());
        }
        fn visit_item_struct(&mut self, s: &'ast syn::ItemStruct) {
            self.0.annotated.insert(s.ident.to_string());
        }
    }
    let mut visitor = Visitor(Known::default());
    if let Some(parsed) = std::fs::read_to_string(file)
        .ok()
        .and_then(|text| syn::parse_file(&text).ok())
    {
        syn::visit::Visit::visit_file(&mut visitor, &parsed);
    }
    visitor.0
}
