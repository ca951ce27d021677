//! Macros: `vec!`, assertions, and those that print or stop.
//!
//! In: the call of a macro. Out: an array, or an effect in the primal with the values that its message captures. What must hold: what is
//! shown is a value of the forward pass, and has no gradient.

use super::Lower;
use super::value::Val;
use crate::errors::{self, Rejected, Result};
use crate::graph::{Id, Init};
use crate::shape::Shape;
use crate::types::Kind;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;

impl Lower<'_> {
    pub(super) fn macro_call(&mut self, m: &syn::Macro) -> Result<Val> {
        let name = m
            .path
            .segments
            .last()
            .map_or(String::new(), |s| s.ident.to_string());
        match name.as_str() {
            "vec" => self.vec_macro(m),
            "assert" | "debug_assert" | "assert_eq" | "assert_ne" | "debug_assert_eq"
            | "debug_assert_ne" | "println" | "eprintln" | "print" | "eprint" => {
                let conditions = match name.as_str() {
                    "assert" | "debug_assert" => 1,
                    "assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne" => 2,
                    _ => 0,
                };
                self.message_macro(m, &name, conditions)?;
                Ok(Val::Unit)
            }
            "panic" | "unreachable" | "todo" | "unimplemented" => {
                self.message_macro(m, &name, 0)?;
                self.dead = true;
                Ok(Val::Uninit)
            }
            "matches" => {
                let parser = |input: syn::parse::ParseStream| {
                    let e: syn::Expr = input.parse()?;
                    input.parse::<syn::Token![,]>()?;
                    let p = syn::Pat::parse_multi_with_leading_vert(input)?;
                    let guard: Option<syn::Token![if]> = input.parse()?;
                    let guard: Option<syn::Expr> = match guard {
                        Some(_) => Some(input.parse()?),
                        None => None,
                    };
                    input.parse::<Option<syn::Token![,]>>()?;
                    Ok((e, p, guard))
                };
                let Ok((e, pat, guard)) = parser.parse2(m.tokens.clone()) else {
                    return self.reject(m, &errors::PATTERN);
                };
                if let Some(guard) = guard {
                    let tested = syn::parse_quote!(match #e { #pat if #guard => true, _ => false });
                    return self.expr(&tested);
                }
                let val = self.operand(&e)?;
                Ok(Val::Num(match self.condition(&pat, &val)? {
                    Some(cond) => cond,
                    None => self.g.bool_const(true),
                }))
            }
            "cfg" => {
                let ty = self.g.bool_ty();
                Ok(Val::Num(self.g.opaque_tokens(m.to_token_stream(), ty)))
            }
            _ => self.errors_named(&m.path, &errors::MACRO, &name),
        }
    }

    pub(super) fn vec_macro(&mut self, m: &syn::Macro) -> Result<Val> {
        let repeat = |input: syn::parse::ParseStream| {
            let elem: syn::Expr = input.parse()?;
            input.parse::<syn::Token![;]>()?;
            let len: syn::Expr = input.parse()?;
            Ok((elem, len))
        };
        if let Ok((elem, len)) = repeat.parse2(m.tokens.clone()) {
            return self.repeat(&elem, &len, true);
        }
        let list = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        let Ok(elems) = list.parse2(m.tokens.clone()) else {
            return self.reject(m, &errors::EXPRESSION);
        };
        if elems.is_empty() {
            let ty = self.g.types.fresh(Kind::Unknown);
            let array = self.g.declare(
                "vec",
                Shape::Vec(Box::new(Shape::Scalar(ty))),
                Init::Empty,
                Span::call_site(),
            );
            return Ok(super::expr::fresh_view(array));
        }
        let elems: Vec<&syn::Expr> = elems.iter().collect();
        self.array(&elems, true)
    }

    /// A macro kept in the forward pass: its conditions and the values that it prints are operands.
    pub(super) fn message_macro(
        &mut self,
        m: &syn::Macro,
        name: &str,
        conditions: usize,
    ) -> Result<()> {
        let list = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        let Ok(exprs) = list.parse2(m.tokens.clone()) else {
            return self.reject(m, &errors::EXPRESSION);
        };
        let exprs: Vec<syn::Expr> = exprs.into_iter().collect();
        let mut ids: Vec<Id> = Vec::new();
        let mut pieces: Vec<TokenStream> = Vec::new();
        let hole = |k: usize| proc_macro2::Ident::new(&format!("__h{k}"), Span::mixed_site());
        let mut named: Vec<String> = Vec::new();
        let mut format = None;
        for (k, e) in exprs.iter().enumerate() {
            if k == conditions
                && let syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(s),
                    ..
                }) = e
            {
                format = Some(s.value());
                pieces.push(quote!(#s));
                continue;
            }
            let (key, e) = match e {
                syn::Expr::Assign(a) => match &*a.left {
                    syn::Expr::Path(p) if p.path.get_ident().is_some() => {
                        (p.path.get_ident().cloned(), &*a.right)
                    }
                    _ => (None, e),
                },
                _ => (None, e),
            };
            let val = self.operand(e)?;
            let id = match val {
                Val::Num(_) | Val::Elem(_) | Val::MutRef(..) => self.num(val, e)?,
                Val::Poison => return Err(Rejected),
                _ => return self.reject(e, &errors::STRING),
            };
            let h = hole(ids.len());
            ids.push(id);
            pieces.push(match key {
                Some(key) => {
                    named.push(key.to_string());
                    quote!(#key = #h)
                }
                None => quote!(#h),
            });
        }
        if let Some(format) = format {
            for captured in captures(&format) {
                if named.contains(&captured) {
                    continue;
                }
                let Ok(e) = syn::parse_str::<syn::ExprPath>(&captured) else {
                    continue;
                };
                let Some(ident) = e.path.get_ident() else {
                    continue;
                };
                // The name is inside a string: any variable of that text will do.
                let ident = proc_macro2::Ident::new(
                    &ident.to_string(),
                    m.path
                        .segments
                        .last()
                        .map_or_else(Span::call_site, |s| s.ident.span()),
                );
                let Some(var) = self.find(&ident)? else {
                    continue;
                };
                let val = self.read(var);
                if !matches!(val, Val::Num(_)) {
                    return self.reject(m, &errors::STRING);
                }
                let id = self.num(val, m)?;
                let h = hole(ids.len());
                ids.push(id);
                pieces.push(quote!(#ident = #h));
                named.push(captured);
            }
        }
        let macro_name = proc_macro2::Ident::new(name, Span::mixed_site());
        let root = if name.ends_with("print") || name.ends_with("println") {
            quote!(::std)
        } else {
            quote!(::core)
        };
        self.effect(quote!(#root::#macro_name!(#(#pieces),*)), &ids);
        Ok(())
    }
}

/// The identifiers that a format string captures: `{x}`, `{x:.3}`, `{:w$}`.
pub(super) fn captures(format: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let text = format.replace("{{", "").replace("}}", "");
    let mut rest = text.as_str();
    while let Some(open) = rest.find('{') {
        rest = &rest[open + 1..];
        let Some(close) = rest.find('}') else { break };
        let inside = &rest[..close];
        rest = &rest[close + 1..];
        let name = inside.split(':').next().unwrap_or("");
        let widths = inside
            .split(':')
            .nth(1)
            .unwrap_or("")
            .split(['.', '<', '>', '^', '+'])
            .filter_map(|w| w.strip_suffix('$'));
        for name in std::iter::once(name).chain(widths) {
            let ident = name
                .chars()
                .next()
                .is_some_and(|c| c.is_alphabetic() || c == '_');
            if ident && !out.contains(&name.to_string()) {
                out.push(name.to_string());
            }
        }
    }
    out
}

/// Replaces `__h0`, `__h1`, … by the operands.
pub fn fill(tokens: &TokenStream, operands: &[TokenStream]) -> TokenStream {
    tokens
        .clone()
        .into_iter()
        .map(|tree| match tree {
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                match text
                    .strip_prefix("__h")
                    .and_then(|k| k.parse::<usize>().ok())
                    .and_then(|k| operands.get(k))
                {
                    Some(operand) => operand.clone(),
                    None => quote!(#ident),
                }
            }
            TokenTree::Group(g) => {
                let mut inner = proc_macro2::Group::new(g.delimiter(), fill(&g.stream(), operands));
                inner.set_span(g.span());
                quote!(#inner)
            }
            other => quote!(#other),
        })
        .collect()
}
