//! Names that mean something else than the macro takes them for.
//!
//! In: the function as written, and what its file says. Out: errors. The macro knows the standard library by name, and emitted code
//! has the constants and imports of a function at its beginning, where they are seen everywhere. What must hold: a name of the
//! standard library is not one that the file gives to something of its own; a constant or import of an inner block is used
//! nowhere else, so that it means the same in both.

use crate::errors::{self, Errors};
use crate::modules::imports;
use crate::signature::float_generics;
use crate::source::Source;
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::Visit;

/// What the paths of the standard library that the macro follows begin with, where `std` is left out.
const STANDARD: [&str; 6] = ["f32", "f64", "mem", "array", "Vec", "Box"];

/// The types that the macro knows by their names alone.
const TYPES: [&str; 18] = [
    "f32", "f64", "bool", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64",
    "i128", "isize", "Vec", "Option", "Box",
];

/// The macros that are followed; any other is rejected where it is called.
const MACROS: [&str; 21] = [
    "vec",
    "matches",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "panic",
    "unreachable",
    "todo",
    "unimplemented",
    "print",
    "println",
    "eprint",
    "eprintln",
    "cfg",
    "s",
    "azip",
    "concatenate",
    "stack",
];

/// Rejects names that may have two meanings.
pub fn check(function: &syn::ItemFn, source: &Source, errors: &Errors) {
    let mut inner = Inner {
        function,
        whole: function.block.to_token_stream(),
        source,
        errors,
    };
    // The outermost block is the beginning of the emitted code as well.
    for stmt in &function.block.stmts {
        inner.visit_stmt(stmt);
    }
    inner.visit_signature(&function.sig);
    own_macros(function.block.to_token_stream(), source, errors);
    if source.declares_trait("Float")
        && let Some(float) = float_generics(&function.sig.generics).first()
    {
        errors.reject_named(float, &errors::OWN_FLOAT, &float.to_string());
    }
}

/// Rejects calls of the file's own macros that have the names of others.
fn own_macros(tokens: TokenStream, source: &Source, errors: &Errors) {
    let mut before = None;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(tree) = tokens.next() {
        match tree {
            TokenTree::Group(g) => own_macros(g.stream(), source, errors),
            TokenTree::Ident(i) => {
                before = Some(i);
                continue;
            }
            TokenTree::Punct(p) if p.as_char() == '!' => {
                let name = before.as_ref().map(Ident::to_string);
                let called = matches!(tokens.peek(), Some(TokenTree::Group(_)));
                let own =
                    |name: &String| MACROS.contains(&name.as_str()) && source.declares_macro(name);
                if let Some(name) = name.filter(|name| called && own(name)) {
                    errors.reject_named(&before, &errors::MACRO, &name);
                }
            }
            _ => {}
        }
        before = None;
    }
}

fn constant(item: &syn::Item) -> Option<&Ident> {
    match item {
        syn::Item::Const(c) => Some(&c.ident),
        syn::Item::Static(s) => Some(&s.ident),
        _ => None,
    }
}

struct Inner<'a> {
    function: &'a syn::ItemFn,
    whole: TokenStream,
    source: &'a Source,
    errors: &'a Errors,
}

impl<'ast> Visit<'ast> for Inner<'_> {
    fn visit_block(&mut self, block: &'ast syn::Block) {
        for stmt in &block.stmts {
            let syn::Stmt::Item(item) = stmt else {
                continue;
            };
            let names: Vec<String> = match item {
                syn::Item::Use(u) => {
                    let all = imports(&u.tree);
                    let names = all.iter().map(|i| i.name().unwrap_or("*").to_owned());
                    // What `_` imports has no name to be mistaken.
                    names.filter(|name| name != "_").collect()
                }
                _ => Vec::from_iter(constant(item).map(Ident::to_string)),
            };
            for name in names {
                let here = uses(block.to_token_stream(), &name);
                // What `*` brings in is not known.
                if name == "*" || here != uses(self.whole.clone(), &name) {
                    self.errors.reject_named(item, &errors::INNER_ITEM, &name);
                }
            }
        }
        syn::visit::visit_block(self, block);
    }

    fn visit_type_path(&mut self, p: &'ast syn::TypePath) {
        let first = &p.path.segments[0].ident;
        let name = first.to_string();
        if p.path.segments.len() == 1
            && p.path.leading_colon.is_none()
            && TYPES.contains(&name.as_str())
            && self.source.places(self.function)
            && self.source.redefines(self.function, &name)
        {
            self.errors
                .reject_named(first, &errors::OWN_STANDARD, &name);
        }
        syn::visit::visit_type_path(self, p);
    }

    fn visit_ident(&mut self, ident: &'ast Ident) {
        let name = ident.to_string();
        if ["Some", "None"].contains(&name.as_str()) && self.source.redefines_variant(&name) {
            self.errors
                .reject_named(ident, &errors::OWN_STANDARD, &name);
        }
    }

    fn visit_expr_path(&mut self, p: &'ast syn::ExprPath) {
        let first = &p.path.segments[0].ident;
        let name = first.to_string();
        if p.path.segments.len() > 1
            && p.path.leading_colon.is_none()
            && STANDARD.contains(&name.as_str())
            && self.source.redefines(self.function, &name)
        {
            self.errors
                .reject_named(first, &errors::OWN_STANDARD, &name);
        }
        syn::visit::visit_expr_path(self, p);
    }
}

/// How often a name stands in the code.
fn uses(tokens: TokenStream, name: &str) -> usize {
    tokens
        .into_iter()
        .map(|tree| match tree {
            TokenTree::Group(g) => uses(g.stream(), name),
            TokenTree::Ident(i) => usize::from(i == name),
            // `println!("{name}")`
            TokenTree::Literal(l) => l.to_string().matches(&format!("{{{name}")).count(),
            TokenTree::Punct(_) => 0,
        })
        .sum()
}
