//! Blocks, statements and expressions.

use super::control::TargetKind;
use super::place::Destination;
use super::value::{Closure, RangeVal, Val, View};
use super::{Lower, Scope, lengths};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Count, Element, Id, Init, Node, Opaque, OpaqueForm, Place, Stmt};
use crate::rules::Op;
use crate::shape::{Length, Shape};
use crate::types::{FloatTy, INTEGERS, Kind};
use proc_macro2::TokenStream;
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

    fn nested_functions(&mut self, stmts: &[syn::Stmt]) {
        for stmt in stmts {
            if let syn::Stmt::Item(syn::Item::Fn(f)) = stmt {
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

    fn stmts(&mut self, stmts: &[syn::Stmt]) -> Result<Val> {
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

    fn stmt(&mut self, stmt: &syn::Stmt, last: bool) -> Result<Val> {
        match stmt {
            syn::Stmt::Local(local) => {
                self.local(local).inspect_err(|_| self.poison(&local.pat))?;
                Ok(Val::Unit)
            }
            syn::Stmt::Item(item) => {
                match item {
                    syn::Item::Fn(_) => {}
                    syn::Item::Const(_) | syn::Item::Static(_) | syn::Item::Use(_) => {
                        self.items.push(item.to_token_stream());
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

    fn local_constant(&mut self, item: &syn::Item) {
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
    fn poison(&mut self, pat: &syn::Pat) {
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

    fn local(&mut self, local: &syn::Local) -> Result<()> {
        let (pat, ty) = match &local.pat {
            syn::Pat::Type(t) => (&*t.pat, Some(&*t.ty)),
            pat => (pat, None),
        };
        let Some(init) = &local.init else {
            return self.declare_later(pat);
        };
        let val = self.expr(&init.expr)?;
        if self.dead {
            return Ok(());
        }
        let name = match pat {
            syn::Pat::Ident(p) => p.ident.to_string(),
            _ => "part".into(),
        };
        let val = self.by_value(val, name.trim_start_matches("r#"));
        if let Some(ty) = ty {
            self.learn_type(&val, ty);
        }
        if let Val::View(view) = &val
            && let Some(data) = self.g.arrays.get_mut(view.place.array.0 as usize)
            && view.place.path.is_empty()
            && data.param.is_none()
            && !view.by_ref
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
    fn declare_later(&mut self, pat: &syn::Pat) -> Result<()> {
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

    // ---- expressions ----

    /// The value of an expression.
    pub(super) fn expr(&mut self, e: &syn::Expr) -> Result<Val> {
        self.depth += 1;
        let val = if self.depth > 400 || self.g.nodes.len() > super::MAX_NODES {
            let message = if self.depth > 400 {
                &errors::TOO_DEEP
            } else {
                &errors::TOO_LARGE
            };
            self.reject(e, message)
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
            syn::Expr::Unsafe(_) => self.reject(e, &errors::UNSAFE),
            syn::Expr::Await(_) | syn::Expr::Async(_) | syn::Expr::Yield(_) => {
                self.reject(e, &errors::AWAIT)
            }
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
                        Val::View(view) => !view.by_ref,
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
        self.reject(e, &errors::LABEL)
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

    fn literal(&mut self, lit: &syn::Lit) -> Result<Val> {
        let id = match lit {
            syn::Lit::Float(f) => {
                let kind = match f.suffix() {
                    "f32" => Kind::Float(FloatTy::F32),
                    "f64" => Kind::Float(FloatTy::F64),
                    _ => Kind::AnyFloat,
                };
                let Ok(value) = f.base10_digits().parse::<f64>() else {
                    return self.reject(lit, &errors::EXPRESSION);
                };
                let ty = self.g.types.fresh(kind);
                self.g.lit(value, ty)
            }
            syn::Lit::Int(i) if matches!(i.suffix(), "f32" | "f64") => {
                let kind = Kind::Float(if i.suffix() == "f32" {
                    FloatTy::F32
                } else {
                    FloatTy::F64
                });
                let Ok(value) = i.base10_digits().parse::<f64>() else {
                    return self.reject(lit, &errors::EXPRESSION);
                };
                let ty = self.g.types.fresh(kind);
                self.g.lit(value, ty)
            }
            syn::Lit::Int(i) => {
                let kind = if i.suffix().is_empty() {
                    Kind::AnyInt
                } else {
                    Kind::Int(i.suffix().to_string())
                };
                let ty = self.g.types.fresh(kind);
                self.g.opaque_tokens(quote!(#lit), ty)
            }
            syn::Lit::Bool(b) => self.g.bool_const(b.value),
            _ => {
                let ty = self.g.types.fresh(Kind::Other);
                self.g.opaque_tokens(quote!(#lit), ty)
            }
        };
        Ok(Val::Num(id))
    }

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
                let no = self.g.bool_const(false);
                return Ok(Val::Opt(no, Box::new(Val::Uninit)));
            }
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

    fn unary(&mut self, x: &syn::ExprUnary) -> Result<Val> {
        match x.op {
            syn::UnOp::Deref(_) => {
                let val = self.operand(&x.expr)?;
                Ok(self.deref(val))
            }
            syn::UnOp::Neg(_) => {
                let a = self.scalar(&x.expr)?;
                if self.g.is_float(a) {
                    return Ok(Val::Num(self.g.apply_primal(Op::Neg, &[a])));
                }
                let ty = self.g.ty(a);
                if let Some(text) = self.g.opaque_text(a)
                    && syn::parse_str::<syn::LitInt>(&text).is_ok()
                    && let Node::Opaque(k, _) = self.g.node(a).clone()
                    && let OpaqueForm::Tokens(lit) = &self.g.opaque_of(k).form
                {
                    let lit = lit.clone();
                    return Ok(Val::Num(self.g.opaque_tokens(quote!((-#lit)), ty)));
                }
                Ok(Val::Num(self.g.opaque_unary(quote!(-), a, ty)))
            }
            syn::UnOp::Not(_) => {
                let a = self.scalar(&x.expr)?;
                let ty = self.g.ty(a);
                if matches!(self.g.types.kind(ty), Kind::Bool) {
                    return Ok(Val::Num(self.g.not(a)));
                }
                Ok(Val::Num(self.g.opaque_unary(quote!(!), a, ty)))
            }
            _ => self.reject(x, &errors::EXPRESSION),
        }
    }

    fn binary(&mut self, x: &syn::ExprBinary) -> Result<Val> {
        use syn::BinOp as B;
        match &x.op {
            B::And(_) | B::Or(_) => return self.short_circuit(x),
            B::AddAssign(_)
            | B::SubAssign(_)
            | B::MulAssign(_)
            | B::DivAssign(_)
            | B::RemAssign(_)
            | B::BitXorAssign(_)
            | B::BitAndAssign(_)
            | B::BitOrAssign(_)
            | B::ShlAssign(_)
            | B::ShrAssign(_) => return self.compound(x),
            _ => {}
        }
        // Both are tried, so that one error does not hide another.
        let (a, b) = (self.scalar(&x.left), self.scalar(&x.right));
        self.arithmetic(&x.op, a?, b?, x)
    }

    fn arithmetic(&mut self, op: &syn::BinOp, a: Id, b: Id, at: impl ToTokens) -> Result<Val> {
        use syn::BinOp as B;
        let tokens = plain(op);
        let (ta, tb) = (self.g.ty(a), self.g.ty(b));
        let float = self.g.is_float(a) || self.g.is_float(b);
        let primitive = match op {
            B::Add(_) | B::AddAssign(_) => Some(Op::Add),
            B::Sub(_) | B::SubAssign(_) => Some(Op::Sub),
            B::Mul(_) | B::MulAssign(_) => Some(Op::Mul),
            B::Div(_) | B::DivAssign(_) => Some(Op::Div),
            B::Rem(_) | B::RemAssign(_) => Some(Op::Rem),
            _ => None,
        };
        if let (Some(primitive), true) = (primitive, float) {
            return Ok(Val::Num(self.g.apply_primal(primitive, &[a, b])));
        }
        match op {
            B::Eq(_) | B::Ne(_) | B::Lt(_) | B::Le(_) | B::Gt(_) | B::Ge(_) => {
                self.g.types.unify(ta, tb);
                let ty = self.g.bool_ty();
                Ok(Val::Num(self.g.opaque_binary(tokens, a, b, ty, true)))
            }
            B::Shl(_) | B::Shr(_) | B::ShlAssign(_) | B::ShrAssign(_) => {
                Ok(self.pinned(|g| g.opaque_binary(tokens, a, b, ta, false)))
            }
            _ if float => self.reject(at, &errors::EXPRESSION),
            _ => {
                self.g.types.unify(ta, tb);
                Ok(self.pinned(|g| g.opaque_binary(tokens, a, b, ta, false)))
            }
        }
    }

    /// A constant expression of the user's that may panic (overflow, division by zero): never dropped.
    pub(super) fn pinned(&mut self, f: impl FnOnce(&mut crate::graph::Graph) -> Id) -> Val {
        let id = f(&mut self.g);
        self.g.nodes[id.0 as usize].pinned = true;
        Val::Num(id)
    }

    fn short_circuit(&mut self, x: &syn::ExprBinary) -> Result<Val> {
        let a = self.scalar(&x.left)?;
        let ty = self.g.ty(a);
        self.g.types.learn(ty, Kind::Bool);
        let and = matches!(x.op, syn::BinOp::And(_));
        let val = if and {
            self.branch(
                a,
                |l| l.operand(&x.right),
                |l| Ok(Val::Num(l.g.bool_const(false))),
            )
        } else {
            self.branch(
                a,
                |l| Ok(Val::Num(l.g.bool_const(true))),
                |l| l.operand(&x.right),
            )
        }?;
        if let Val::Num(id) = val {
            let ty = self.g.ty(id);
            self.g.types.learn(ty, Kind::Bool);
        }
        Ok(val)
    }

    fn compound(&mut self, x: &syn::ExprBinary) -> Result<Val> {
        // Rust evaluates the right side of a compound assignment of primitives first.
        let b = self.scalar(&x.right)?;
        let to = self.target(&x.left)?;
        if let Destination::Place(place) = &to {
            let elem = self.g.shape_at(place);
            let float = self.g.is_float(b)
                || matches!(elem, Shape::Float(_))
                || matches!(elem, Shape::Scalar(t) if self.g.types.is_float(t));
            let add = matches!(x.op, syn::BinOp::AddAssign(_));
            if float && (add || matches!(x.op, syn::BinOp::SubAssign(_))) {
                let value = if add {
                    b
                } else {
                    self.g.apply_primal(Op::Neg, &[b])
                };
                let ty = self.g.ty(value);
                match elem {
                    Shape::Float(f) => self.g.types.learn(ty, Kind::Float(f)),
                    Shape::Scalar(t) => self.g.types.unify(t, ty),
                    _ => {}
                }
                self.g.store(place.clone(), value, true);
                return Ok(Val::Unit);
            }
        }
        let old = self.fetch(&to, &x.left)?;
        let a = self.num(old, &x.left)?;
        let val = self.arithmetic(&x.op, a, b, x)?;
        self.put(to, val, &x.left, &x.right)?;
        Ok(Val::Unit)
    }

    fn assign(&mut self, x: &syn::ExprAssign) -> Result<Val> {
        let val = match &*x.right {
            // The array that is assigned to says how long the new one is.
            syn::Expr::Call(c) if lengths::takes_a_length(c) => {
                let to = self.target(&x.left)?;
                let mut call = c.clone();
                if let Some(len) = self.length_at(&to) {
                    lengths::spell(&mut call, &len);
                }
                self.expr(&syn::Expr::Call(call))?
            }
            right => self.expr(right)?,
        };
        if self.dead {
            return Ok(Val::Uninit);
        }
        self.assign_to(&x.left, val, &x.right)?;
        Ok(Val::Unit)
    }

    /// The fixed length of the array at a place.
    fn length_at(&mut self, to: &Destination) -> Option<TokenStream> {
        let shape = match to {
            Destination::Place(place) => self.g.shape_at(place),
            Destination::View(view) => self.view_shape(view),
            Destination::Var(var, path) => {
                let mut val = self.read(*var);
                for &k in path {
                    val = val.parts()?.get(k as usize)?.clone();
                }
                let Val::View(view) = val else { return None };
                self.view_shape(&view)
            }
        };
        match shape {
            Shape::Array(_, n) => Some(n.to_token_stream()),
            _ => None,
        }
    }

    /// Assignment to a place, or destructuring.
    pub(super) fn assign_to(
        &mut self,
        left: &syn::Expr,
        val: Val,
        right: &syn::Expr,
    ) -> Result<()> {
        match (left, val) {
            (syn::Expr::Infer(_), _) => Ok(()),
            (_, Val::Poison) => Err(Rejected),
            (syn::Expr::Paren(p), val) => self.assign_to(&p.expr, val, right),
            (syn::Expr::Tuple(t), Val::Tuple(vals)) if t.elems.len() == vals.len() => {
                for (e, v) in t.elems.iter().zip(vals) {
                    self.assign_to(e, v, right)?;
                }
                Ok(())
            }
            (syn::Expr::Struct(_), val @ Val::Struct(..)) => {
                let syn::Expr::Struct(x) = left else {
                    return self.reject(left, &errors::ASSIGN);
                };
                self.assign_fields(x, &val, right)
            }
            (syn::Expr::Array(a), Val::View(view)) => {
                for (k, e) in a.elems.iter().enumerate() {
                    let k = self.g.usize_const(k);
                    let v = self.element(&view, k);
                    self.assign_to(e, v, right)?;
                }
                Ok(())
            }
            (_, val) => {
                let to = self.target(left)?;
                self.put(to, val, left, right)
            }
        }
    }

    // ---- arrays ----

    pub(super) fn array(&mut self, elems: &[&syn::Expr], vec: bool) -> Result<Val> {
        let mut vals = Vec::new();
        for e in elems {
            vals.push(self.operand(e)?);
        }
        self.array_of(vals, vec)
    }

    pub(super) fn array_of(&mut self, vals: Vec<Val>, vec: bool) -> Result<Val> {
        let mut parts = Vec::new();
        let mut shape: Option<Shape> = None;
        for val in vals {
            let (part, one) = self.array_element(val)?;
            if let Some(s) = &shape {
                self.unify_shapes(s, &one);
            } else {
                shape = Some(one);
            }
            parts.push(part);
        }
        let shape = shape.unwrap_or_else(|| Shape::Scalar(self.g.types.fresh(Kind::AnyFloat)));
        let n = parts.len();
        let shape = if vec {
            Shape::Vec(Box::new(shape))
        } else {
            Shape::Array(Box::new(shape), Length::Known(n))
        };
        let span = self.g.span.unwrap_or_else(proc_macro2::Span::call_site);
        let array = self.g.declare("array", shape, Init::List(parts), span);
        if vec {
            let len = self.g.usize_const(n);
            self.g.array_mut(array).len = Some(len);
        }
        Ok(fresh_view(array))
    }

    pub(super) fn array_element(&mut self, val: Val) -> Result<(Element, Shape)> {
        Ok(match val {
            Val::View(view) => {
                let view = if view.window.is_some() {
                    self.copied(&view, "part")
                } else {
                    view
                };
                let shape = match self.view_shape(&view) {
                    Shape::Slice(s) => Shape::Vec(s),
                    s => s,
                };
                (Element::Part(view.place), shape)
            }
            Val::Tuple(ref all) | Val::Struct(_, ref all) => {
                let mut parts = Vec::new();
                let mut shapes = Vec::new();
                for v in all.clone() {
                    let (p, s) = self.array_element(v)?;
                    parts.push(p);
                    shapes.push(s);
                }
                let shape = match &val {
                    Val::Struct(of, _) => {
                        let shape = Shape::Struct(of.clone());
                        self.unify_shapes(&shape, &Shape::Tuple(shapes));
                        shape
                    }
                    _ => Shape::Tuple(shapes),
                };
                (Element::Tuple(parts), shape)
            }
            val => {
                let id = self.num(val, quote!())?;
                (Element::Scalar(id), Shape::Scalar(self.g.ty(id)))
            }
        })
    }

    pub(super) fn repeat(&mut self, elem: &syn::Expr, len: &syn::Expr, vec: bool) -> Result<Val> {
        let val = self.operand(elem)?;
        let (part, shape) = self.array_element(val)?;
        let span = self.g.span.unwrap_or_else(proc_macro2::Span::call_site);
        if vec {
            let n = self.scalar(len)?;
            let ty = self.g.ty(n);
            self.g.types.learn(ty, Kind::Int("usize".into()));
            let array =
                self.g
                    .declare("vec", Shape::Vec(Box::new(shape)), Init::Repeat(part), span);
            self.g.array_mut(array).len = Some(n);
            return Ok(fresh_view(array));
        }
        let length = match len {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Int(n),
                ..
            }) => n.base10_parse().ok().map(Length::Known),
            _ => None,
        };
        let length = length.unwrap_or_else(|| Length::Tokens(len.to_token_stream()));
        let array = self.g.declare(
            "array",
            Shape::Array(Box::new(shape), length),
            Init::Repeat(part),
            span,
        );
        Ok(fresh_view(array))
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
            Val::Elem(place) => self.at(place, false),
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
                    None => self.reject(x, &errors::NOT_SCALAR),
                }
            }
            // A field of a constant is a constant.
            (member, Val::Num(id)) if !self.g.is_float(id) => {
                let ty = self.g.types.fresh(Kind::Unknown);
                let tokens = member.to_token_stream();
                let opaque = Opaque {
                    key: format!("field {tokens}"),
                    form: OpaqueForm::Field(tokens),
                    discrete: false,
                };
                Ok(Val::Num(self.g.opaque(opaque, &[id], ty)))
            }
            (_, Val::Poison) => Err(Rejected),
            (_, Val::Num(_)) | (_, Val::View(_)) | (_, Val::Tuple(_)) => {
                self.reject(&x.member, &errors::NO_FIELD)
            }
            (member, Val::MutRef(var)) => {
                let inner = self.read(var);
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
                Destination::Var(var, path) if path.is_empty() => Ok(match self.read(var) {
                    Val::View(view) => Val::View(View {
                        by_ref: true,
                        ..view
                    }),
                    Val::MutRef(inner) => Val::MutRef(inner),
                    Val::Elem(place) => Val::Elem(place),
                    _ => Val::MutRef(var),
                }),
                Destination::Place(place) if self.g.shape_at(&place).is_array() => {
                    Ok(Val::View(View {
                        place,
                        window: None,
                        by_ref: true,
                    }))
                }
                Destination::Place(place) => Ok(Val::Elem(place)),
                Destination::View(view) => Ok(Val::View(View {
                    by_ref: true,
                    ..view
                })),
                Destination::Var(..) => self.reject(x, &errors::REFERENCE),
            };
        }
        match self.operand(&x.expr)? {
            Val::View(view) => Ok(Val::View(View {
                by_ref: true,
                ..view
            })),
            val => Ok(val),
        }
    }

    fn cast(&mut self, x: &syn::ExprCast) -> Result<Val> {
        let a = self.scalar(&x.expr)?;
        let kind = super::kind_of(&x.ty, &self.sig.names);
        let ty = &x.ty;
        match kind {
            Kind::Float(to) => {
                let t = self.g.types.fresh(Kind::Float(to.clone()));
                if self.g.is_float(a) {
                    return Ok(Val::Num(self.g.compute(Node::Cast(a, Some(to)), t)));
                }
                let tokens = to.tokens();
                Ok(Val::Num(self.g.opaque(
                    Opaque {
                        key: format!("cast {tokens}"),
                        form: OpaqueForm::Cast(tokens),
                        discrete: false,
                    },
                    &[a],
                    t,
                )))
            }
            Kind::Int(_) | Kind::Bool => {
                let t = self.g.types.fresh(kind);
                let tokens = self.g.types.tokens(t).unwrap_or_else(|| quote!(#ty));
                let discrete = self.g.is_float(a);
                Ok(Val::Num(self.g.opaque(
                    Opaque {
                        key: format!("cast {tokens}"),
                        form: OpaqueForm::Cast(tokens),
                        discrete,
                    },
                    &[a],
                    t,
                )))
            }
            // `as _`, or a type alias, which may stand for a float or for an integer.
            _ => self.reject(&x.ty, &errors::PARAM_TYPE),
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
        by_ref: false,
    })
}

pub(super) fn label_of(label: &Option<syn::Label>) -> Option<String> {
    label.as_ref().map(|l| l.name.ident.to_string())
}

/// The operator without its `=`.
fn plain(op: &syn::BinOp) -> TokenStream {
    use syn::BinOp as B;
    match op {
        B::AddAssign(_) => quote!(+),
        B::SubAssign(_) => quote!(-),
        B::MulAssign(_) => quote!(*),
        B::DivAssign(_) => quote!(/),
        B::RemAssign(_) => quote!(%),
        B::BitXorAssign(_) => quote!(^),
        B::BitAndAssign(_) => quote!(&),
        B::BitOrAssign(_) => quote!(|),
        B::ShlAssign(_) => quote!(<<),
        B::ShrAssign(_) => quote!(>>),
        B::Add(_) => quote!(+),
        B::Sub(_) => quote!(-),
        B::Mul(_) => quote!(*),
        B::Div(_) => quote!(/),
        B::Rem(_) => quote!(%),
        B::BitXor(_) => quote!(^),
        B::BitAnd(_) => quote!(&),
        B::BitOr(_) => quote!(|),
        B::Shl(_) => quote!(<<),
        B::Shr(_) => quote!(>>),
        B::Eq(_) => quote!(==),
        B::Ne(_) => quote!(!=),
        B::Lt(_) => quote!(<),
        B::Le(_) => quote!(<=),
        B::Gt(_) => quote!(>),
        B::Ge(_) => quote!(>=),
        other => quote!(#other),
    }
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
