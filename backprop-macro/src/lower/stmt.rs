//! Blocks and statements.
//!
//! In: the statements of a block. Out: its value, and the variables that they declare. What must hold: a statement that is rejected
//! does not hide what is wrong in the next; what it would have declared is known, and stands for nothing.

use super::Lower;
use super::value::{Closure, Val};
use crate::errors::{self, Rejected, Result};
use crate::graph::Init;
use crate::shape::Shape;
use crate::types::Kind;
use proc_macro2::Span;
use quote::{ToTokens, quote};
use std::rc::Rc;
use syn::spanned::Spanned;

impl Lower<'_> {
    /// A block: its statements and the value of its last expression.
    pub(super) fn block(&mut self, block: &syn::Block) -> Result<Val> {
        self.scoped(|l| {
            l.nested_functions(&block.stmts);
            l.stmts(&block.stmts)
        })
    }

    pub(super) fn nested_functions(&mut self, stmts: &[syn::Stmt]) {
        for stmt in stmts {
            if let syn::Stmt::Item(syn::Item::Fn(f)) = stmt {
                if let Some(n) = f.sig.generics.const_params().next() {
                    self.errors.reject(n, &errors::INNER_CONST);
                }
                let inputs = f.sig.inputs.iter().filter_map(|i| match i {
                    syn::FnArg::Typed(p) => Some(syn::Pat::Type(p.clone())),
                    syn::FnArg::Receiver(_) => None,
                });
                let body = syn::Expr::Block(syn::ExprBlock {
                    attrs: Vec::new(),
                    label: None,
                    block: (*f.block).clone(),
                });
                let closure = Closure {
                    inputs: inputs.collect(),
                    body,
                    scopes: Vec::new(),
                };
                self.declare(&f.sig.ident, Val::Closure(Rc::new(closure)), false);
            }
        }
    }

    pub(super) fn stmts(&mut self, stmts: &[syn::Stmt]) -> Result<Val> {
        let mut failed = false;
        let mut value = Val::Unit;
        for (k, stmt) in stmts.iter().enumerate() {
            self.g.span = Some(stmt.span());
            let last = k + 1 == stmts.len();
            match self.stmt(stmt, last) {
                Ok(val) => value = val,
                Err(Rejected) => {
                    failed = true;
                    value = Val::Poison;
                }
            }
            if self.dead {
                break;
            }
            if !self.exits.is_empty() && !last {
                // Some path has left: the rest is for those that have not.
                let exits = std::mem::take(&mut self.exits);
                let here = self.still_here(&exits);
                let rest = &stmts[k + 1..];
                let val = self.branch(here, |l| l.stmts(rest), |_| Ok(Val::Uninit));
                self.exits.extend(exits);
                if failed {
                    return Err(Rejected);
                }
                return val;
            }
        }
        if failed { Err(Rejected) } else { Ok(value) }
    }

    pub(super) fn stmt(&mut self, stmt: &syn::Stmt, last: bool) -> Result<Val> {
        match stmt {
            syn::Stmt::Local(local) => {
                self.local(local).inspect_err(|_| self.poison(&local.pat))?;
                Ok(Val::Unit)
            }
            syn::Stmt::Item(item) => {
                match item {
                    syn::Item::Fn(_) => {}
                    syn::Item::Const(_) | syn::Item::Static(_) | syn::Item::Use(_) => {
                        // A closure or nested function is inlined wherever it is called.
                        let tokens = item.to_token_stream();
                        let text = tokens.to_string();
                        if !self.items.iter().any(|i| i.to_string() == text) {
                            self.items.push(tokens);
                        }
                        self.local_constant(item);
                    }
                    _ => return self.reject(item, &errors::ITEM),
                }
                Ok(Val::Unit)
            }
            syn::Stmt::Expr(e, semi) => {
                let val = self.expr(e)?;
                Ok(if last && semi.is_none() {
                    val
                } else {
                    Val::Unit
                })
            }
            syn::Stmt::Macro(m) => {
                let val = self.macro_call(&m.mac)?;
                Ok(if last && m.semi_token.is_none() {
                    val
                } else {
                    Val::Unit
                })
            }
        }
    }

    pub(super) fn local_constant(&mut self, item: &syn::Item) {
        let (ident, ty) = match item {
            syn::Item::Const(c) => (&c.ident, &c.ty),
            syn::Item::Static(s) => (&s.ident, &s.ty),
            _ => return,
        };
        let kind = super::kind_of(ty, &self.sig.names);
        let t = self.g.types.fresh(kind);
        let id = self.g.opaque_tokens(quote!(#ident), t);
        self.declare(ident, Val::Num(id), false);
    }

    /// After an error: the names exist, and say nothing more.
    pub(super) fn poison(&mut self, pat: &syn::Pat) {
        struct Names(Vec<proc_macro2::Ident>);
        impl<'ast> syn::visit::Visit<'ast> for Names {
            fn visit_pat_ident(&mut self, p: &'ast syn::PatIdent) {
                self.0.push(p.ident.clone());
            }
        }
        let mut names = Names(Vec::new());
        syn::visit::Visit::visit_pat(&mut names, pat);
        for name in names.0 {
            self.declare(&name, Val::Poison, true);
        }
    }

    pub(super) fn local(&mut self, local: &syn::Local) -> Result<()> {
        let (pat, ty) = match &local.pat {
            syn::Pat::Type(t) => (&*t.pat, Some(&*t.ty)),
            pat => (pat, None),
        };
        let Some(init) = &local.init else {
            return self.declare_later(pat);
        };
        if let (syn::Expr::Call(_), Some(ty)) = (super::call::strip(&init.expr), ty) {
            self.expected = Some(ty.clone());
        }
        let val = self.expr(&init.expr)?;
        if self.dead {
            return Ok(());
        }
        let name = match pat {
            syn::Pat::Ident(p) => p.ident.to_string(),
            _ => "part".into(),
        };
        let val = self.by_value(val, name.trim_start_matches("r#"));
        let val = match ty {
            Some(ty) => self.typed_none(val, ty),
            None => val,
        };
        if let Some(ty) = ty {
            self.learn_type(&val, ty);
        }
        if let Val::View(view) = &val
            && let Some(data) = self.g.arrays.get_mut(view.place.array.0 as usize)
            && view.place.path.is_empty()
            && data.param.is_none()
            && !view.borrow.is_ref()
        {
            data.name = name.trim_start_matches("r#").into();
        }
        let Some((_, other)) = &init.diverge else {
            return self.bind(pat, val);
        };
        // `let … else`: the other side leaves.
        let Some(cond) = self.condition(pat, &val)? else {
            return self.bind(pat, val);
        };
        let not = self.g.not(cond);
        self.branch(
            not,
            |l| {
                l.expr(other)?;
                Ok(Val::Unit)
            },
            |_| Ok(Val::Unit),
        )?;
        self.bind(pat, val)
    }

    /// `let a;` and `let (a, b);`: the values come later.
    pub(super) fn declare_later(&mut self, pat: &syn::Pat) -> Result<()> {
        match pat {
            syn::Pat::Ident(p) if p.subpat.is_none() && p.by_ref.is_none() => {
                self.declare(&p.ident, Val::Uninit, true);
                Ok(())
            }
            syn::Pat::Tuple(p) => p.elems.iter().try_for_each(|p| self.declare_later(p)),
            syn::Pat::Wild(_) => Ok(()),
            _ => self.reject(pat, &errors::PATTERN),
        }
    }

    /// `None` with its type: room for what it may hold later.
    fn typed_none(&mut self, val: Val, ty: &syn::Type) -> Val {
        match (val, crate::shape::optional(ty)) {
            (Val::Opt(some, inner), Some(ty)) if matches!(*inner, Val::Uninit) => {
                let shape = Shape::parse(ty, &self.sig.names);
                Val::Opt(some, Box::new(self.room(&shape)))
            }
            (val, _) => val,
        }
    }

    /// A value of a shape that is never read: scalars of its types, arrays of zeros.
    fn room(&mut self, shape: &Shape) -> Val {
        match shape {
            Shape::Float(f) => {
                let ty = self.g.types.fresh(Kind::Float(f.clone()));
                Val::Num(self.undef_of(ty))
            }
            Shape::Constant(ty) => {
                let kind = super::kind_of(ty, &self.sig.names);
                let ty = self.g.types.fresh(kind);
                Val::Num(self.undef_of(ty))
            }
            Shape::Tuple(all) => Val::Tuple(all.iter().map(|s| self.room(s)).collect()),
            Shape::Struct(of) => {
                let parts = of.fields.iter().map(|f| self.room(&f.shape));
                Val::Struct(of.clone(), parts.collect())
            }
            Shape::Array(..) if shape.is_fixed() => {
                let array = (self.g).declare("held", shape.clone(), Init::Zeros, Span::call_site());
                super::expr::fresh_view(array)
            }
            _ => Val::Uninit,
        }
    }

    /// Notes the type that the user wrote.
    pub(super) fn learn_type(&mut self, val: &Val, ty: &syn::Type) {
        match val {
            Val::Num(id) => {
                let kind = super::kind_of(super::strip_refs(ty), &self.sig.names);
                if !matches!(kind, Kind::Other | Kind::Unknown) {
                    let t = self.g.ty(*id);
                    self.g.types.learn(t, kind);
                }
            }
            Val::View(view) => {
                let shape = Shape::parse(ty, &self.sig.names);
                self.learn_elements(&view.place.clone(), &shape);
            }
            Val::Struct(of, all) => {
                for (v, f) in all.iter().zip(&of.fields) {
                    self.learn_type(v, &f.ty);
                }
            }
            Val::Tuple(all) => {
                if let syn::Type::Tuple(t) = super::strip_refs(ty) {
                    for (v, t) in all.iter().zip(&t.elems) {
                        self.learn_type(v, t);
                    }
                }
            }
            _ => {}
        }
    }
}
