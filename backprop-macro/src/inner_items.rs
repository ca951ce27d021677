//! Constants and imports that are declared inside of a function.
//!
//! In: the function as written. Out: errors. Emitted code has all of them at its beginning, where they are seen everywhere; in
//! the user's code one of an inner block is seen in that block alone. What must hold: a name of an inner block is used nowhere else,
//! so that it means the same in both.

use crate::errors::{self, Errors};
use crate::modules::imports;
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::Visit;

/// Rejects the constants and imports of inner blocks whose names are used outside of these.
pub fn check(function: &syn::ItemFn, errors: &Errors) {
    let mut inner = Inner {
        whole: function.block.to_token_stream(),
        errors,
    };
    // The outermost block is the beginning of the emitted code as well.
    for stmt in &function.block.stmts {
        inner.visit_stmt(stmt);
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
    whole: TokenStream,
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
