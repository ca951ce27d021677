//! What constants are by their spelling: floats, integers of some type, flags.
//!
//! In: constant Rust. Out: what a loop that changes it may take it for; nothing where the spelling does not say.

use crate::tensor::graph::*;
use crate::tensor::lower::Lower;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

impl Lower<'_> {
    /// An integer without a type: what is only counted up can be a `usize`.
    pub fn countable(&self, e: &syn::Expr) -> bool {
        match e {
            syn::Expr::Paren(p) => self.countable(&p.expr),
            syn::Expr::Group(p) => self.countable(&p.expr),
            syn::Expr::Lit(l) => matches!(&l.lit, syn::Lit::Int(_)),
            syn::Expr::Binary(b) => self.countable(&b.left) && self.countable(&b.right),
            syn::Expr::Path(p) => {
                let name = p
                    .path
                    .get_ident()
                    .map(|i| i.to_string())
                    .unwrap_or_default();
                let number = name.strip_prefix("__c").and_then(|n| n.parse().ok());
                match number.and_then(|n: usize| self.g.consts.get(n)) {
                    // One that a loop computes, which was countable where the loop starts.
                    Some(tokens) if tokens.is_empty() => true,
                    Some(tokens) => syn::parse2(tokens.clone()).is_ok_and(|e| self.countable(&e)),
                    None => false,
                }
            }
            _ => false,
        }
    }

    /// The type of an integer or `bool` by its spelling.
    pub fn fixed_type(&self, e: &syn::Expr) -> Option<TokenStream> {
        match e {
            syn::Expr::Paren(p) => self.fixed_type(&p.expr),
            syn::Expr::Group(p) => self.fixed_type(&p.expr),
            syn::Expr::Lit(l) => match &l.lit {
                syn::Lit::Bool(_) => Some(quote!(bool)),
                syn::Lit::Int(n) if !n.suffix().is_empty() => n.suffix().parse().ok(),
                _ => None,
            },
            syn::Expr::Unary(u) => match &u.op {
                syn::UnOp::Deref(_) => None,
                _ => self.fixed_type(&u.expr),
            },
            syn::Expr::Binary(b) => {
                use syn::BinOp::*;
                match &b.op {
                    And(_) | Or(_) | Lt(_) | Le(_) | Gt(_) | Ge(_) | Eq(_) | Ne(_) => {
                        Some(quote!(bool))
                    }
                    Shl(_) | Shr(_) => self.fixed_type(&b.left),
                    _ => self
                        .fixed_type(&b.left)
                        .or_else(|| self.fixed_type(&b.right)),
                }
            }
            syn::Expr::Cast(c) => Some(c.ty.to_token_stream()),
            syn::Expr::Block(b) => match b.block.stmts.first() {
                Some(syn::Stmt::Local(l)) => match &l.pat {
                    syn::Pat::Type(t) => Some(t.ty.to_token_stream()),
                    _ => None,
                },
                _ => None,
            },
            syn::Expr::MethodCall(m)
                if ["size", "len", "ndim"].iter().any(|n| m.method == n) && m.args.is_empty() =>
            {
                Some(quote!(usize))
            }
            // A shape's length along an axis.
            syn::Expr::Index(i) => match &*i.expr {
                syn::Expr::Path(p) if p.path.get_ident()?.to_string().starts_with("__n") => {
                    Some(quote!(usize))
                }
                _ => None,
            },
            syn::Expr::Path(p) => {
                let ident = p.path.get_ident()?;
                let param = self.sig.params.iter().find(|q| q.ident == *ident);
                if let Some(param) = param {
                    let whole = matches!(&param.ty, syn::Type::Path(_));
                    return whole.then(|| param.ty.to_token_stream());
                }
                let n: u32 = ident.to_string().strip_prefix("__c")?.parse().ok()?;
                if let Some(ty) = self.g.types.get(&C(n)) {
                    return ty.parse().ok();
                }
                let tokens = self.g.consts.get(n as usize)?.clone();
                self.fixed_type(&syn::parse2(tokens).ok()?)
            }
            _ => None,
        }
    }

    /// A float by its spelling: what a loop may count up in.
    pub fn is_float(&self, e: &syn::Expr) -> bool {
        match e {
            syn::Expr::Lit(l) => matches!(&l.lit, syn::Lit::Float(_)),
            syn::Expr::Paren(p) => self.is_float(&p.expr),
            syn::Expr::Group(p) => self.is_float(&p.expr),
            syn::Expr::Unary(u) => self.is_float(&u.expr),
            syn::Expr::Binary(b) => self.is_float(&b.left) || self.is_float(&b.right),
            // `let x: f64 = …` stands for `{ let value: f64 = …; value }`.
            syn::Expr::Block(b) => match b.block.stmts.first() {
                Some(syn::Stmt::Local(l)) => match &l.pat {
                    syn::Pat::Type(t) => crate::tensor::signature::is_float(&t.ty, self.sig),
                    _ => false,
                },
                _ => false,
            },
            syn::Expr::Call(c) => {
                matches!(&*c.func, syn::Expr::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "zero" || s.ident == "one"))
            }
            syn::Expr::Path(p) => {
                let found = p.path.get_ident().and_then(|ident| {
                    let n: usize = ident.to_string().strip_prefix("__c")?.parse().ok()?;
                    self.g.consts.get(n)
                });
                match found {
                    Some(tokens) => {
                        syn::parse2(tokens.clone()).is_ok_and(|e: syn::Expr| self.is_float(&e))
                    }
                    None => {
                        p.path.segments.len() == 2
                            && ["f64", "f32"].iter().any(|f| p.path.segments[0].ident == f)
                    }
                }
            }
            _ => false,
        }
    }
}

/// Whether a number may become negative.
pub struct Signed(pub bool);
impl<'ast> syn::visit::Visit<'ast> for Signed {
    fn visit_bin_op(&mut self, op: &'ast syn::BinOp) {
        self.0 |= matches!(op, syn::BinOp::Sub(_));
    }
    fn visit_un_op(&mut self, op: &'ast syn::UnOp) {
        self.0 |= matches!(op, syn::UnOp::Neg(_));
    }
}
