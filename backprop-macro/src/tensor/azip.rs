//! `azip!` as the `Zip` that it stands for.
//!
//! In: a function's body. Out: the same with `Zip::from(a).and(b).for_each(|a, &b| …)` for `azip!((a in &mut a, &b in &b) …)`. What must hold: a
//! macro of this name that does not read like that stays, and is rejected where it is found.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;

/// The body with every `azip!` written out.
pub fn written_out(block: &mut syn::Block) {
    Azip.visit_block_mut(block);
}

struct Azip;
impl VisitMut for Azip {
    fn visit_stmt_mut(&mut self, s: &mut syn::Stmt) {
        if let syn::Stmt::Macro(m) = s
            && let Some(e) = zip(&m.mac)
        {
            *s = syn::Stmt::Expr(e, Some(Default::default()));
        }
        syn::visit_mut::visit_stmt_mut(self, s);
    }

    fn visit_expr_mut(&mut self, e: &mut syn::Expr) {
        if let syn::Expr::Macro(m) = e
            && let Some(zip) = zip(&m.mac)
        {
            *e = zip;
        }
        syn::visit_mut::visit_expr_mut(self, e);
    }
}

/// `(index i, a in &mut a, &b in &b) body`.
struct Arguments {
    index: Option<syn::Pat>,
    parts: Vec<(syn::Pat, syn::Expr)>,
    body: syn::Expr,
}

impl Parse for Arguments {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let inner;
        syn::parenthesized!(inner in input);
        let mut index = None;
        let indexed = |p: ParseStream| {
            let ahead = p.fork();
            let named = ahead.parse::<syn::Ident>().is_ok_and(|i| i == "index");
            named && !ahead.peek(syn::Token![in])
        };
        if indexed(&inner) {
            inner.parse::<syn::Ident>()?;
            index = Some(syn::Pat::parse_single(&inner)?);
            inner.parse::<syn::Token![,]>()?;
        }
        let mut parts = Vec::new();
        while !inner.is_empty() {
            let pat = syn::Pat::parse_single(&inner)?;
            inner.parse::<syn::Token![in]>()?;
            parts.push((pat, inner.parse()?));
            if !inner.is_empty() {
                inner.parse::<syn::Token![,]>()?;
            }
        }
        Ok(Arguments {
            index,
            parts,
            body: input.parse()?,
        })
    }
}

fn zip(mac: &syn::Macro) -> Option<syn::Expr> {
    if mac.path.segments.last()?.ident != "azip" {
        return None;
    }
    let Arguments { index, parts, body } = mac.parse_body().ok()?;
    let span = mac.path.span();
    let ((_, first), others) = parts.split_first()?;
    let start = match index {
        Some(_) => quote_spanned!(span=> ::backprop::tensor::ndarray::Zip::indexed(#first)),
        None => quote_spanned!(span=> ::backprop::tensor::ndarray::Zip::from(#first)),
    };
    let ands: TokenStream = others
        .iter()
        .map(|(_, e)| quote_spanned!(span=> .and(#e)))
        .collect();
    let index = index.map(|p| p.to_token_stream());
    let patterns = index
        .into_iter()
        .chain(parts.iter().map(|(p, _)| p.to_token_stream()));
    syn::parse2(quote_spanned!(span=> #start #ands.for_each(|#(#patterns),*| #body))).ok()
}
