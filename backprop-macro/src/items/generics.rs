//! Generic parameters and lifetimes of the generated items.
//!
//! In: the function's generics, and tokens in which some of them occur. Out: what to declare before a type or function, what to
//! pass to it, and types with the lifetime of the residuals put in or left out. What must hold: an item declares what it
//! mentions and nothing else, as rustc rejects a parameter that is not used.

use super::Items;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use std::collections::BTreeSet;

impl Items<'_> {
    /// The generic parameters that some tokens mention.
    pub(super) fn mentioned(&self, tokens: &TokenStream) -> syn::Generics {
        let mut names = BTreeSet::new();
        identifiers(tokens.clone(), &mut names);
        let mut generics = self.sig.generics.clone();
        generics.params = generics
            .params
            .into_iter()
            .filter(|p| match p {
                syn::GenericParam::Lifetime(l) => names.contains(&format!("'{}", l.lifetime.ident)),
                syn::GenericParam::Type(t) => names.contains(&t.ident.to_string()),
                syn::GenericParam::Const(c) => names.contains(&c.ident.to_string()),
            })
            .collect();
        let kept: BTreeSet<String> = generics
            .params
            .iter()
            .map(|p| match p {
                syn::GenericParam::Lifetime(l) => format!("'{}", l.lifetime.ident),
                syn::GenericParam::Type(t) => t.ident.to_string(),
                syn::GenericParam::Const(c) => c.ident.to_string(),
            })
            .collect();
        let all: BTreeSet<String> = self
            .sig
            .generics
            .params
            .iter()
            .map(|p| match p {
                syn::GenericParam::Lifetime(l) => format!("'{}", l.lifetime.ident),
                syn::GenericParam::Type(t) => t.ident.to_string(),
                syn::GenericParam::Const(c) => c.ident.to_string(),
            })
            .collect();
        if let Some(clause) = &mut generics.where_clause {
            clause.predicates = std::mem::take(&mut clause.predicates)
                .into_iter()
                .filter(|p| {
                    let mut used = BTreeSet::new();
                    identifiers(p.to_token_stream(), &mut used);
                    used.iter().all(|u| !all.contains(u) || kept.contains(u))
                })
                .collect();
        }
        generics
    }

    /// Declarations for structs and the clause behind: without bounds or defaults, unless the type of a field needs them.
    pub(super) fn declared(&self, mut generics: syn::Generics) -> (TokenStream, TokenStream) {
        if self.sig.names.uses_structs() {
            for p in generics.type_params_mut() {
                p.default = None;
            }
            let (params, clause) = (&generics.params, &generics.where_clause);
            return (quote!(#params), quote!(#clause));
        }
        (Self::bare(&generics), TokenStream::new())
    }

    pub(super) fn bare(generics: &syn::Generics) -> TokenStream {
        let params = generics.params.iter().map(|p| match p {
            syn::GenericParam::Lifetime(l) => {
                let l = &l.lifetime;
                quote!(#l)
            }
            syn::GenericParam::Type(t) => {
                let t = &t.ident;
                quote!(#t)
            }
            syn::GenericParam::Const(c) => {
                let (name, ty) = (&c.ident, &c.ty);
                quote!(const #name: #ty)
            }
        });
        quote!(#(#params),*)
    }

    pub(super) fn arguments(generics: &syn::Generics, elide: bool) -> Vec<TokenStream> {
        generics
            .params
            .iter()
            .map(|p| match p {
                syn::GenericParam::Lifetime(_) if elide => quote!('_),
                syn::GenericParam::Lifetime(l) => l.lifetime.to_token_stream(),
                syn::GenericParam::Type(t) => t.ident.to_token_stream(),
                syn::GenericParam::Const(c) => c.ident.to_token_stream(),
            })
            .collect()
    }

    pub(super) fn turbofish(&self) -> TokenStream {
        let args: Vec<TokenStream> = self
            .sig
            .generics
            .params
            .iter()
            .filter_map(|p| match p {
                syn::GenericParam::Lifetime(_) => None,
                syn::GenericParam::Type(t) => Some(t.ident.to_token_stream()),
                syn::GenericParam::Const(c) => Some(c.ident.to_token_stream()),
            })
            .collect();
        if args.is_empty() {
            TokenStream::new()
        } else {
            quote!(::<#(#args),*>)
        }
    }
}

/// The identifiers in some tokens; lifetimes with their quote.
pub fn identifiers(tokens: TokenStream, out: &mut BTreeSet<String>) {
    let mut quote = false;
    for tree in tokens {
        match tree {
            TokenTree::Ident(i) => {
                out.insert(if quote {
                    format!("'{i}")
                } else {
                    i.to_string()
                });
                quote = false;
            }
            TokenTree::Group(g) => {
                identifiers(g.stream(), out);
                quote = false;
            }
            TokenTree::Punct(p) => quote = p.as_char() == '\'',
            TokenTree::Literal(_) => quote = false,
        }
    }
}

pub(super) fn borrows(tokens: &TokenStream) -> bool {
    let mut names = BTreeSet::new();
    identifiers(tokens.clone(), &mut names);
    names.contains("'__bp")
}

/// A reference type with the lifetime of the residuals wherever none is named.
pub(super) fn borrowed(ty: &syn::Type) -> TokenStream {
    struct Name;
    impl Name {
        fn fill(ty: &mut syn::Type) {
            match ty {
                syn::Type::Reference(r) => {
                    let elided = r.lifetime.as_ref().is_none_or(|l| l.ident == "_");
                    if elided {
                        r.lifetime = Some(syn::parse_quote!('__bp));
                    }
                    Name::fill(&mut r.elem);
                }
                syn::Type::Group(g) => Name::fill(&mut g.elem),
                syn::Type::Paren(p) => Name::fill(&mut p.elem),
                syn::Type::Slice(s) => Name::fill(&mut s.elem),
                syn::Type::Array(a) => Name::fill(&mut a.elem),
                _ => {}
            }
        }
    }
    let mut ty = ty.clone();
    Name::fill(&mut ty);
    ty.to_token_stream()
}

pub(super) fn references_elided(ty: &syn::Type) -> bool {
    borrowed(ty).to_string() != ty.to_token_stream().to_string()
}

/// The lifetime of the residuals left out, for a parameter's type.
pub(super) fn elided(tokens: TokenStream) -> TokenStream {
    let mut out = Vec::new();
    let mut quote_pending: Option<TokenTree> = None;
    for tree in tokens {
        match tree {
            TokenTree::Punct(p) if p.as_char() == '\'' => quote_pending = Some(TokenTree::Punct(p)),
            TokenTree::Ident(i) if quote_pending.is_some() => {
                let quote = quote_pending.take();
                if i != "__bp" {
                    out.extend(quote);
                    out.push(TokenTree::Ident(i));
                }
            }
            TokenTree::Group(g) => out.push(TokenTree::Group(proc_macro2::Group::new(
                g.delimiter(),
                elided(g.stream()),
            ))),
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}
