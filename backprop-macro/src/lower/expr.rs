//! Expressions: what each form of Rust becomes.
//!
//! In: an expression. Out: its value, or a rejection at its place. What must hold: operands are evaluated in the order of Rust.

use super::control::TargetKind;
use super::target::Destination;
use super::value::{Borrow, Closure, RangeVal, Val, View};
use super::{Lower, Scope, VarId};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Count, Id, Place, Stmt};
use crate::types::{FloatTy, INTEGERS, Kind};
use proc_macro2::TokenStream;
use quote::ToTokens;
use std::rc::Rc;

impl Lower<'_> {
    /// The value of an expression.
    pub(super) fn expr(&mut self, e: &syn::Expr) -> Result<Val> {
        self.depth += 1;
        let val = if self.depth > 400 {
            self.too_deep(e)
        } else if self.g.nodes.len() > super::MAX_NODES {
            self.reject(e, &errors::TOO_LARGE)
        } else {
            self.expr_inner(e)
        };
        self.depth -= 1;
        val
    }

    /// The value of an operand: one that does not leave on some path, for what follows would run all the same.
    pub(super) fn operand(&mut self, e: &syn::Expr) -> Result<Val> {
        let before = self.exits.len();
        let val = self.expr(e)?;
        if self.dead || self.exits.len() > before {
            return self.reject(e, &errors::EXIT_INSIDE);
        }
        Ok(val)
    }

    /// The scalar of an operand.
    pub(super) fn scalar(&mut self, e: &syn::Expr) -> Result<Id> {
        let val = self.operand(e)?;
        self.num(val, e)
    }

    fn expr_inner(&mut self, e: &syn::Expr) -> Result<Val> {
        match e {
            syn::Expr::Paren(x) => self.expr(&x.expr),
            syn::Expr::Group(x) => self.expr(&x.expr),
            syn::Expr::Lit(x) => self.literal(&x.lit),
            syn::Expr::Path(x) => self.path(x),
            syn::Expr::Unary(x) => self.unary(x),
            syn::Expr::Binary(x) => self.binary(x),
            syn::Expr::Assign(x) => self.assign(x),
            syn::Expr::If(x) => self.if_(x),
            syn::Expr::Match(x) => self.match_(x),
            syn::Expr::Block(x) => self.labelled_block(x),
            syn::Expr::Loop(x) => {
                let label = label_of(&x.label);
                self.looped(
                    label,
                    x.loop_token.span,
                    |_| (Count::Forever, None),
                    |l, _| {
                        l.block(&x.body)?;
                        Ok(())
                    },
                )
            }
            syn::Expr::While(x) if has_let_chain(&x.cond) => {
                let (cond, body) = (&x.cond, &x.body);
                let label = &x.label;
                self.expr(&syn::parse_quote!(#label loop { if #cond #body else { break } }))?;
                Ok(Val::Unit)
            }
            syn::Expr::While(x) => {
                if let Some(looped) = self.as_for_loop(x)? {
                    return self.for_(&looped);
                }
                let label = label_of(&x.label);
                self.looped(
                    label,
                    x.while_token.span,
                    |_| (Count::Forever, None),
                    |l, _| {
                        let target = l.targets.len() - 2;
                        l.test(
                            &x.cond,
                            |l| {
                                l.block(&x.body)?;
                                Ok(Val::Unit)
                            },
                            |l| {
                                l.leave(target, None)?;
                                Ok(Val::Unit)
                            },
                        )?;
                        Ok(())
                    },
                )?;
                Ok(Val::Unit)
            }
            syn::Expr::ForLoop(x) => self.for_(x),
            syn::Expr::Break(x) => {
                let target = self.find_target(e, x.label.as_ref(), &[TargetKind::Break])?;
                let val = match &x.expr {
                    Some(v) => Some(self.expr(v)?),
                    None => None,
                };
                self.leave(target, val)?;
                Ok(Val::Uninit)
            }
            syn::Expr::Continue(x) => {
                let target = self.find_target(e, x.label.as_ref(), &[TargetKind::Continue])?;
                self.leave(target, None)?;
                Ok(Val::Uninit)
            }
            syn::Expr::Return(x) => {
                let target = self
                    .targets
                    .iter()
                    .rposition(|t| t.kind == TargetKind::Function);
                let Some(target) = target else {
                    return self.reject(e, &errors::EXPRESSION);
                };
                let val = match &x.expr {
                    Some(v) => {
                        let val = self.expr(v)?;
                        if self.dead {
                            return Ok(Val::Uninit);
                        }
                        Some(self.by_value(val, "result"))
                    }
                    None => None,
                };
                self.leave(target, val)?;
                Ok(Val::Uninit)
            }
            syn::Expr::Tuple(x) => {
                let all: Result<Vec<Val>> = x
                    .elems
                    .iter()
                    .map(|e| {
                        let val = self.operand(e)?;
                        Ok(self.by_value(val, "part"))
                    })
                    .collect();
                let all = all?;
                Ok(if all.is_empty() {
                    Val::Unit
                } else {
                    Val::Tuple(all)
                })
            }
            syn::Expr::Array(x) => {
                let elems: Vec<&syn::Expr> = x.elems.iter().collect();
                self.array(&elems, false)
            }
            syn::Expr::Repeat(x) => self.repeat(&x.expr, &x.len, false),
            syn::Expr::Index(x) => self.index_expr(x),
            syn::Expr::Field(x) => self.field(x),
            syn::Expr::Call(x) => self.call(x),
            syn::Expr::MethodCall(x) => self.method_call(x),
            syn::Expr::Cast(x) => self.cast(x),
            syn::Expr::Reference(x) => self.reference(x),
            syn::Expr::Macro(x) => self.macro_call(&x.mac),
            syn::Expr::Range(x) => {
                let lo = x.start.as_ref().map(|e| self.scalar(e)).transpose()?;
                let hi = x.end.as_ref().map(|e| self.scalar(e)).transpose()?;
                if let (Some(lo), Some(hi)) = (lo, hi) {
                    let (a, b) = (self.g.ty(lo), self.g.ty(hi));
                    self.g.types.unify(a, b);
                }
                Ok(Val::Range(RangeVal {
                    lo,
                    hi,
                    inclusive: matches!(x.limits, syn::RangeLimits::Closed(_)),
                }))
            }
            syn::Expr::Closure(x) => {
                if x.asyncness.is_some() {
                    return self.reject(e, &errors::CLOSURE);
                }
                let mut scopes: Vec<Scope> = self.scopes.clone();
                if x.capture.is_some() {
                    scopes = self.snapshot(scopes);
                }
                Ok(Val::Closure(Rc::new(Closure {
                    inputs: x.inputs.iter().cloned().collect(),
                    body: (*x.body).clone(),
                    scopes,
                })))
            }
            syn::Expr::Try(x) => {
                let val = self.expr(&x.expr)?;
                let Val::Opt(some, inner) = val else {
                    return self.reject(e, &errors::EXPRESSION);
                };
                let target = self
                    .targets
                    .iter()
                    .rposition(|t| t.kind == TargetKind::Function);
                let Some(target) = target else {
                    return self.reject(e, &errors::EXPRESSION);
                };
                let none = self.g.not(some);
                self.branch(
                    none,
                    |l| {
                        let no = l.g.bool_const(false);
                        l.leave(target, Some(Val::Opt(no, Box::new(Val::Uninit))))?;
                        Ok(Val::Uninit)
                    },
                    |_| Ok(Val::Unit),
                )?;
                Ok(*inner)
            }
            syn::Expr::Unsafe(u) => self.reject(u.unsafe_token, &errors::UNSAFE),
            syn::Expr::Await(x) => self.errors_named(x.await_token, &errors::AWAIT, "await"),
            syn::Expr::Async(x) => self.errors_named(x.async_token, &errors::AWAIT, "async"),
            syn::Expr::Yield(x) => self.errors_named(x.yield_token, &errors::AWAIT, "yield"),
            syn::Expr::Struct(x) => self.struct_literal(x),
            _ => self.reject(e, &errors::EXPRESSION),
        }
    }

    /// A `move` closure owns copies of the scalars that it sees.
    fn snapshot(&mut self, scopes: Vec<Scope>) -> Vec<Scope> {
        let mut out = scopes;
        for scope in &mut out {
            for entries in scope.values_mut() {
                for (_, var) in entries.iter_mut() {
                    let val = self.read(*var);
                    let owned = match &val {
                        Val::Num(_) | Val::Tuple(_) | Val::Struct(..) | Val::Opt(..) => true,
                        Val::View(view) => !view.borrow.is_ref(),
                        _ => false,
                    };
                    if owned && self.vars[var.0].mutable {
                        let name = self.vars[var.0].name.clone();
                        let val = self.by_value(val, &name);
                        *var = self.new_var(name, val, true);
                    }
                }
            }
        }
        out
    }

    fn find_target(
        &self,
        e: &syn::Expr,
        label: Option<&syn::Lifetime>,
        kinds: &[TargetKind],
    ) -> Result<usize> {
        for (k, t) in self.targets.iter().enumerate().rev() {
            if t.kind == TargetKind::Function {
                break;
            }
            let fits = match label {
                None => kinds.contains(&t.kind),
                Some(l) => {
                    t.label.as_deref() == Some(&l.ident.to_string())
                        && (kinds.contains(&t.kind)
                            || kinds.contains(&TargetKind::Break) && t.kind == TargetKind::Block)
                }
            };
            if fits {
                return Ok(k);
            }
        }
        match label {
            Some(l) => self.reject(l, &errors::LABEL),
            None => self.reject(e, &errors::LABEL),
        }
    }

    fn labelled_block(&mut self, x: &syn::ExprBlock) -> Result<Val> {
        let Some(label) = &x.label else {
            return self.block(&x.block);
        };
        let target = self.push_target(TargetKind::Block, Some(label.name.ident.to_string()));
        let val = self.block(&x.block);
        self.join_target(target, val)
    }

    fn if_(&mut self, x: &syn::ExprIf) -> Result<Val> {
        if let Some(block) = chained(x) {
            return self.labelled_block(&block);
        }
        self.test(
            &x.cond,
            |l| {
                let val = l.block(&x.then_branch)?;
                Ok(if x.else_branch.is_some() {
                    val
                } else {
                    Val::Unit
                })
            },
            |l| match &x.else_branch {
                Some((_, e)) => l.expr(e),
                None => Ok(Val::Unit),
            },
        )
    }

    /// Branches on a condition, which may be an `if let`.
    fn test(
        &mut self,
        cond: &syn::Expr,
        then: impl FnOnce(&mut Self) -> Result<Val>,
        otherwise: impl FnOnce(&mut Self) -> Result<Val>,
    ) -> Result<Val> {
        let mut conditions = Vec::new();
        flatten_chain(cond, &mut conditions);
        if conditions.iter().all(|c| !matches!(c, syn::Expr::Let(_))) {
            let id = self.scalar(cond)?;
            let ty = self.g.ty(id);
            self.g.types.learn(ty, Kind::Bool);
            return self.branch(id, then, otherwise);
        }
        if conditions.len() == 1
            && let syn::Expr::Let(l) = conditions[0]
        {
            let val = self.operand(&l.expr)?;
            let Some(cond) = self.condition(&l.pat, &val)? else {
                return self.scoped(|s| {
                    s.bind(&l.pat, val)?;
                    then(s)
                });
            };
            return self.branch(
                cond,
                |s| {
                    s.bind(&l.pat, val)?;
                    then(s)
                },
                otherwise,
            );
        }
        self.reject(cond, &errors::PATTERN)
    }

    // ---- atoms ----

    fn path(&mut self, x: &syn::ExprPath) -> Result<Val> {
        if let Some(ident) = x.path.get_ident() {
            if let Some(var) = self.find(ident)? {
                return match self.read(var) {
                    Val::Uninit => self.reject(x, &errors::UNINIT),
                    Val::Poison => Err(Rejected),
                    val => Ok(val),
                };
            }
            if ident == "None" {
                return Ok(self.none());
            }
        }
        if let Some(order) = self.order_const(&x.path) {
            return Ok(order);
        }
        if let Some(qself) = &x.qself
            && crate::shape::primitive(&qself.ty).is_none()
        {
            return self.reject(x, &errors::EXPRESSION);
        }
        let names: Vec<String> = x
            .path
            .segments
            .iter()
            .map(|s| s.ident.to_string())
            .collect();
        let last = names.last().map_or("", String::as_str);
        let kind = match names.iter().rev().nth(1).map(String::as_str) {
            Some("consts") => match names.iter().rev().nth(2).map(String::as_str) {
                Some("f32") => Kind::Float(FloatTy::F32),
                Some("f64") => Kind::Float(FloatTy::F64),
                _ => Kind::Unknown,
            },
            Some("f32") if is_upper(last) => float_const(last, FloatTy::F32),
            Some("f64") if is_upper(last) => float_const(last, FloatTy::F64),
            Some(int) if INTEGERS.contains(&int) && matches!(last, "MAX" | "MIN") => {
                Kind::Int(int.to_string())
            }
            Some(int) if INTEGERS.contains(&int) && last == "BITS" => Kind::Int("u32".into()),
            _ => Kind::Unknown,
        };
        let const_generic = x
            .path
            .get_ident()
            .and_then(|i| self.sig.generics.const_params().find(|c| c.ident == *i));
        let kind = match const_generic {
            Some(c) => super::kind_of(&c.ty, &self.sig.names),
            None => kind,
        };
        // A lower-case path may be a function given as an argument.
        if !is_upper(last)
            && (names.len() > 1 || const_generic.is_none() && !is_upper(last))
            && last.chars().next().is_some_and(char::is_lowercase)
        {
            return Ok(Val::Path(Rc::new(x.clone())));
        }
        let ty = self.g.types.fresh(kind);
        Ok(Val::Num(self.g.opaque_tokens(x.to_token_stream(), ty)))
    }

    fn index_expr(&mut self, x: &syn::ExprIndex) -> Result<Val> {
        let base = self.operand(&x.expr)?;
        let index = self.operand(&x.index)?;
        match (base, index) {
            (Val::View(view), Val::Range(range)) => {
                let slice = self.slice(&view, &range);
                Ok(Val::View(slice))
            }
            (Val::View(view), index) => {
                let index = self.num(index, &x.index)?;
                Ok(self.checked_element(&view, index))
            }
            (Val::Num(base), index) if !self.g.is_float(base) => {
                let index = self.num(index, &x.index)?;
                let val = self.constant_index(base, index);
                Ok(val)
            }
            (Val::Poison, _) => Err(Rejected),
            _ => self.reject(&x.expr, &errors::NOT_ARRAY),
        }
    }

    fn field(&mut self, x: &syn::ExprField) -> Result<Val> {
        if let syn::Expr::Path(p) = &*x.base
            && p.path.is_ident("self")
            && !self.has_self()
        {
            let ty = self.g.types.fresh(Kind::Unknown);
            return Ok(Val::Num(self.g.opaque_tokens(x.to_token_stream(), ty)));
        }
        let base = match self.operand(&x.base)? {
            // `&mut` to an element that has parts.
            Val::Elem(place) => self.at(place, Borrow::Own),
            base => base,
        };
        match (&x.member, base) {
            (member, Val::Struct(of, all)) => match of.position(member) {
                Some(k) => Ok(self.owned(all[k].clone(), Some(&of.fields[k].ty))),
                None => self.reject(member, &errors::NO_FIELD),
            },
            (syn::Member::Unnamed(k), Val::Tuple(all)) => {
                match all.into_iter().nth(k.index as usize) {
                    Some(val) => Ok(self.owned(val, None)),
                    None => self.reject(&x.member, &errors::NO_FIELD),
                }
            }
            // A field of a constant is a constant.
            (member, Val::Num(id)) if !self.g.is_float(id) => {
                Ok(self.constant_field(id, member.to_token_stream()))
            }
            (_, Val::Poison) => Err(Rejected),
            (_, Val::Num(_)) | (_, Val::View(_)) | (_, Val::Tuple(_)) => {
                self.reject(&x.member, &errors::NO_FIELD)
            }
            (member, Val::MutRef(var, path)) => {
                let inner = self.read_along(var, &path);
                match (member, inner) {
                    (member, Val::Struct(of, all)) if of.position(member).is_some() => {
                        let k = of.position(member).unwrap_or(0);
                        Ok(self.owned(all[k].clone(), Some(&of.fields[k].ty)))
                    }
                    (syn::Member::Unnamed(k), Val::Tuple(all))
                        if (k.index as usize) < all.len() =>
                    {
                        Ok(self.owned(all[k.index as usize].clone(), None))
                    }
                    _ => self.reject(member, &errors::NO_FIELD),
                }
            }
            _ => self.reject(&x.member, &errors::STRUCT),
        }
    }

    fn reference(&mut self, x: &syn::ExprReference) -> Result<Val> {
        if x.mutability.is_some() {
            if let syn::Expr::Array(_) | syn::Expr::Repeat(_) = &*x.expr {
                return self.expr(&x.expr);
            }
            return match self.target(&x.expr)? {
                Destination::Var(var, path) => Ok(self.mutably(var, path)),
                Destination::Place(place) => Ok(self.reference_to(place)),
                Destination::View(view) => Ok(Val::View(View {
                    borrow: Borrow::Mut,
                    ..view
                })),
            };
        }
        match self.operand(&x.expr)? {
            Val::View(view) => Ok(Val::View(View {
                borrow: Borrow::Shared,
                ..view
            })),
            val => Ok(val),
        }
    }

    /// `&mut` to a variable or a part of it; a reference that stands there is borrowed again.
    pub(super) fn mutably(&mut self, var: VarId, path: Vec<u32>) -> Val {
        match self.read_along(var, &path) {
            Val::View(view) => Val::View(View {
                borrow: Borrow::Mut,
                ..view
            }),
            again @ (Val::MutRef(..) | Val::Elem(_) | Val::Poison) => again,
            _ => Val::MutRef(var, path),
        }
    }

    /// Something of the user's that is run for its effect; `__h0`, `__h1`, … stand for the operands.
    pub(super) fn effect(&mut self, tokens: TokenStream, args: &[Id]) {
        let k = self.g.effects.len() as u32;
        self.g.effects.push(Rc::new(tokens));
        self.g.push(Stmt::Effect(k, args.to_vec()));
    }
}

pub(super) fn fresh_view(array: crate::graph::ArrayId) -> Val {
    Val::View(View {
        place: Place {
            array,
            path: Vec::new(),
        },
        window: None,
        borrow: Borrow::Own,
    })
}

pub(super) fn label_of(label: &Option<syn::Label>) -> Option<String> {
    label.as_ref().map(|l| l.name.ident.to_string())
}

/// Whether a condition is `let … && …`, of more than one part.
fn has_let_chain(cond: &syn::Expr) -> bool {
    let mut parts = Vec::new();
    flatten_chain(cond, &mut parts);
    parts.len() > 1 && parts.iter().any(|c| matches!(c, syn::Expr::Let(_)))
}

/// A chain of conditions, as nested ones in a block that the innermost leaves: what the parts bind is in scope, and the other
/// side is there once.
fn chained(x: &syn::ExprIf) -> Option<syn::ExprBlock> {
    if !has_let_chain(&x.cond) {
        return None;
    }
    let mut parts = Vec::new();
    flatten_chain(&x.cond, &mut parts);
    let then = &x.then_branch;
    let mut nested: syn::Block = match &x.else_branch {
        Some(_) => syn::parse_quote!({ break '__chain #then }),
        None => syn::parse_quote!({ #then break '__chain; }),
    };
    for part in parts.iter().rev() {
        nested = syn::parse_quote!({ if #part #nested });
    }
    let otherwise = x.else_branch.as_ref().map(|(_, e)| e);
    Some(syn::parse_quote!('__chain: { #nested #otherwise }))
}

fn flatten_chain<'a>(e: &'a syn::Expr, out: &mut Vec<&'a syn::Expr>) {
    match e {
        syn::Expr::Binary(b) if matches!(b.op, syn::BinOp::And(_)) => {
            flatten_chain(&b.left, out);
            flatten_chain(&b.right, out);
        }
        _ => out.push(e),
    }
}

fn is_upper(name: &str) -> bool {
    name.chars().next().is_some_and(char::is_uppercase)
}

fn float_const(name: &str, ty: FloatTy) -> Kind {
    match name {
        "MANTISSA_DIGITS" | "DIGITS" | "RADIX" => Kind::Int("u32".into()),
        "MAX_EXP" | "MIN_EXP" | "MAX_10_EXP" | "MIN_10_EXP" => Kind::Int("i32".into()),
        _ => Kind::Float(ty),
    }
}
