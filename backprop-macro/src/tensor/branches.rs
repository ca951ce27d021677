//! Branches: the front end.
//!
//! In: an `if`, or a `match` of constants. Out: two bodies of the graph, each run once or not at all: for as often as its condition holds. Only
//! what is taken is run, forward and backward; the condition may read floats, which are then kept. The value of an `if` is what both sides
//! set. What must hold: both sides give values of one form, of tensors of one rank, floats, integers and flags; each is lowered once.

use crate::errors::{self, Rejected, Result};
use crate::tensor::carried::{Changed, Inside};
use crate::tensor::emit::scalar_name;
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, SHAPE_QUERIES, SpanOf, Val};
use quote::{ToTokens, quote};
use syn::visit::Visit;

/// What an expression would need to be constant Rust.
struct Constant<'l, 'a> {
    l: &'l Lower<'a>,
    yes: bool,
}

impl<'ast> Visit<'ast> for Constant<'_, '_> {
    fn visit_expr_path(&mut self, p: &'ast syn::ExprPath) {
        if let Some(ident) = p.path.get_ident() {
            let val = self.l.peek(ident);
            self.yes &= val.is_none_or(|v| matches!(v, Val::Const(_)));
        }
    }

    fn visit_expr_method_call(&mut self, m: &'ast syn::ExprMethodCall) {
        let shape = SHAPE_QUERIES.contains(&m.method.to_string().as_str());
        if !(shape && matches!(&*m.receiver, syn::Expr::Path(_))) {
            self.visit_expr(&m.receiver);
        }
        m.args.iter().for_each(|a| self.visit_expr(a));
    }

    fn visit_expr_assign(&mut self, _: &'ast syn::ExprAssign) {
        self.yes = false;
    }

    fn visit_expr_binary(&mut self, b: &'ast syn::ExprBinary) {
        self.yes &= !crate::tensor::lower::assigns(&b.op);
        syn::visit::visit_expr_binary(self, b);
    }
}

impl Lower<'_> {
    /// Whether an expression is constant Rust.
    pub fn is_constant(&self, e: &syn::Expr) -> bool {
        let mut constant = Constant { l: self, yes: true };
        constant.visit_expr(e);
        constant.yes
    }

    /// `match` of something constant: branches, one after another.
    pub fn arms(&mut self, m: &syn::ExprMatch) -> Result<Val> {
        let Val::Const(of) = self.expr(&m.expr)? else {
            return self.reject(&m.expr, &errors::TENSOR_EXPRESSION);
        };
        let of = self.constant_name(of.to_token_stream());
        let mut otherwise: Option<syn::Expr> = None;
        for arm in m.arms.iter().rev() {
            let (pat, guard) = match &arm.pat {
                syn::Pat::Guard(g) => (&*g.pat, Some(&*g.guard)),
                pat => (pat, None),
            };
            let mut bound = crate::tensor::lower::Bound::default();
            bound.visit_pat(pat);
            // A name that begins like a variable's would be bound; others are constants.
            let binds = bound
                .0
                .iter()
                .any(|n| n.starts_with(|c: char| c.is_lowercase() || c == '_'));
            if binds || guard.is_some() && otherwise.is_none() {
                return self.reject(&arm.pat, &errors::PATTERN);
            }
            let body = &arm.body;
            let body: syn::Expr = match &**body {
                syn::Expr::Block(_) => (**body).clone(),
                other => syn::parse_quote!({ #other }),
            };
            otherwise = Some(match otherwise {
                // The last arm takes what is left.
                None => body,
                Some(rest) => {
                    let guard = guard.map(|e| quote!(&& (#e)));
                    let rest: syn::Expr = match rest {
                        syn::Expr::Block(_) | syn::Expr::If(_) => rest,
                        other => syn::parse_quote!({ #other }),
                    };
                    syn::parse_quote!(if ::core::matches!(#of, #pat) #guard #body else #rest)
                }
            });
        }
        match otherwise {
            Some(e) => self.expr(&e),
            None => self.reject(m, &errors::TENSOR_EXPRESSION),
        }
    }

    /// `if`: constant Rust, or two bodies.
    pub fn branch(&mut self, e: &syn::ExprIf) -> Result<Val> {
        let mut constant = Constant { l: self, yes: true };
        constant.visit_expr_if(e);
        if constant.yes {
            return Ok(Val::Const(self.constant(&syn::Expr::If(e.clone()))?));
        }
        let condition = self.condition(&e.cond)?;
        let taken = self.constant_name(condition.to_token_stream());
        let yes = self
            .g
            .new_const(quote!(::core::primitive::usize::from(#taken)));
        let then = self.once(yes, &e.cond, None, &|l| l.block(&e.then_branch))?;
        let Some((_, other)) = &e.else_branch else {
            return match then {
                Val::Unit => Ok(Val::Unit),
                _ => self.reject(&e.cond, &errors::TENSOR_SIDES),
            };
        };
        let no = self
            .g
            .new_const(quote!(::core::primitive::usize::from(!#taken)));
        self.once(no, &e.cond, Some(then), &|l| l.expr(other))
    }

    /// A body that is run once or not at all, for as often as `count` says; and the value that it gives, beside what `value` was where
    /// it is not run. It is lowered once: variables of the function are read where they stand.
    pub fn once(
        &mut self,
        count: C,
        at: &dyn ToTokens,
        value: Option<Val>,
        body: &dyn Fn(&mut Self) -> Result<Val>,
    ) -> Result<Val> {
        let span = at.span_of();
        let id = self.open_loop(Some(count));
        self.g.loops[id].once = true;
        let outside = (std::mem::take(&mut self.g.stmts), self.g.region);
        self.g.region = id + 1;
        let before = self.scopes.clone();
        let given = self.scoped(body)?;
        let mut within = std::mem::replace(&mut self.g.stmts, outside.0);
        self.g.region = outside.1;

        let mut pairs: Vec<(Option<Changed>, Val, Val)> = Vec::new();
        for mut c in self.differences(&before) {
            let old = before[c.scope]
                .get(&c.name)
                .into_iter()
                .flatten()
                .find(|(context, _)| *context == c.context)
                .map(|e| e.1.clone());
            let (Some(old), Some(now)) = (old, self.entry(&c).map(|v| v.clone())) else {
                return Err(Rejected);
            };
            c.float = matches!(now, Val::Scalar(_));
            let old = match old {
                // Declared, and not given a value before.
                Val::Unit => self.placeholder(&now, span),
                old => old,
            };
            pairs.push((Some(c), old, now));
        }
        let mut leaves = Vec::new();
        let shape = given.clone();
        let floats = matches!(&value, Some(Val::Scalar(_)));
        let old = match value {
            Some(value) => value,
            None => self.placeholder(&given, span),
        };
        if !alike(&old, &given, &mut leaves) {
            return self.reject(at, &errors::TENSOR_SIDES);
        }
        for (old, now) in leaves {
            if !matches!(old, Val::Tensor(_) | Val::Scalar(_) | Val::Const(_)) {
                return self.reject(at, &errors::TENSOR_SIDES);
            }
            pairs.push((None, old, now));
        }

        let mut done = Vec::new();
        for (c, old, now) in pairs {
            let name = c
                .as_ref()
                .map_or("the value", |c| c.name.as_str())
                .to_string();
            let float = floats || matches!(now, Val::Scalar(_));
            let start = self.start(old, float, at, &name)?;
            done.push((c, start, now, name));
        }
        // Back inside: what is handed on is computed there.
        let outside = (std::mem::take(&mut self.g.stmts), self.g.region);
        self.g.region = id + 1;
        let mut taken = Vec::new();
        let mut all = Vec::new();
        for (c, start, now, name) in done {
            let inside = self.inside(id, &start, false, span);
            let firsts = std::mem::take(&mut self.g.stmts);
            let Some(next) = self.next(now, inside, id, &mut taken, span) else {
                return match c {
                    Some(c) => Err(self.reject_changed(at, &c.name)),
                    None => self.reject(at, &errors::TENSOR_SIDES),
                };
            };
            if let (Inside::Value(next), Inside::Value(inside)) = (next, inside) {
                self.g.values[inside.0 as usize].active |= self.g.active(next);
            }
            within.splice(0..0, firsts);
            within.append(&mut self.g.stmts);
            all.push((c, start, inside, next, name));
        }
        self.g.stmts = outside.0;
        self.g.region = outside.1;
        self.g.stmts.push(Stmt::Loop(id));
        self.g.loops[id].stmts = within;
        let mut values = Vec::new();
        for (c, start, inside, next, name) in all {
            let val = self.carried(id, &start, inside, next, &name, span)?;
            match c {
                Some(c) => {
                    if let Some(entry) = self.entry(&c) {
                        *entry = val;
                    }
                }
                None => values.push(val),
            }
        }
        Ok(rebuilt(&shape, &mut values.into_iter()))
    }

    /// A condition: constant Rust, in which floats of the function may be compared.
    pub fn condition(&mut self, e: &syn::Expr) -> Result<syn::Expr> {
        match e {
            syn::Expr::Paren(p) => self.condition(&p.expr),
            syn::Expr::Group(p) => self.condition(&p.expr),
            syn::Expr::Unary(u) if matches!(u.op, syn::UnOp::Not(_)) => {
                let a = self.condition(&u.expr)?;
                Ok(syn::parse_quote!((!#a)))
            }
            syn::Expr::Binary(b) => {
                use syn::BinOp::*;
                let op = &b.op;
                match op {
                    And(_) | Or(_) => {
                        let x = self.condition(&b.left)?;
                        let mut constant = Constant { l: self, yes: true };
                        constant.visit_expr(&b.right);
                        if constant.yes {
                            let y = self.condition(&b.right)?;
                            return Ok(syn::parse_quote!((#x #op #y)));
                        }
                        // The right side is not run where the left one decides: it may read what is not there.
                        let x = self.constant_name(x.to_token_stream());
                        let (go, otherwise) = match op {
                            And(_) => (quote!(#x), quote!(false)),
                            _ => (quote!(!#x), quote!(true)),
                        };
                        let count = quote!(::core::primitive::usize::from(#go));
                        let count = self.g.new_const(count);
                        let otherwise = Val::Const(syn::parse_quote!(#otherwise));
                        match self.once(count, e, Some(otherwise), &|l| {
                            l.condition(&b.right).map(Val::Const)
                        })? {
                            Val::Const(e) => Ok(e),
                            _ => self.reject(e, &errors::TENSOR_EXPRESSION),
                        }
                    }
                    Lt(_) | Le(_) | Gt(_) | Ge(_) | Eq(_) | Ne(_) => {
                        let mut constant = Constant { l: self, yes: true };
                        constant.visit_expr_binary(b);
                        if constant.yes {
                            return self.constant(e);
                        }
                        let (x, y) = (self.compared(&b.left)?, self.compared(&b.right)?);
                        Ok(syn::parse_quote!((#x #op #y)))
                    }
                    _ => self.constant(e),
                }
            }
            syn::Expr::MethodCall(m)
                if m.args.is_empty()
                    && [
                        "is_nan",
                        "is_finite",
                        "is_infinite",
                        "is_sign_negative",
                        "is_sign_positive",
                    ]
                    .iter()
                    .any(|n| m.method == n) =>
            {
                let (x, method) = (self.compared(&m.receiver)?, &m.method);
                Ok(syn::parse_quote!((#x).#method()))
            }
            syn::Expr::Let(_) => self.reject(e, &errors::TENSOR_EXPRESSION),
            _ => self.constant(e),
        }
    }

    /// One side of a comparison.
    fn compared(&mut self, e: &syn::Expr) -> Result<syn::Expr> {
        match self.expr(e)? {
            Val::Const(e) => Ok(syn::parse_quote!((#e))),
            Val::Scalar(v) => {
                let s = scalar_name(v);
                Ok(syn::parse_quote!(#s))
            }
            _ => self.reject(e, &errors::TENSOR_EXPRESSION),
        }
    }
}

/// The values of two sides next to one another; false where they are not of one form.
fn alike(a: &Val, b: &Val, out: &mut Vec<(Val, Val)>) -> bool {
    match (a, b) {
        (Val::Unit, Val::Unit) => true,
        (Val::Tuple(a), Val::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b, out))
        }
        (Val::Unit | Val::Tuple(_), _) | (_, Val::Unit | Val::Tuple(_)) => false,
        (a, b) => {
            out.push((a.clone(), b.clone()));
            true
        }
    }
}

/// The form of a value with other values in it.
fn rebuilt(like: &Val, values: &mut impl Iterator<Item = Val>) -> Val {
    match like {
        Val::Unit => Val::Unit,
        Val::Tuple(all) => Val::Tuple(all.iter().map(|v| rebuilt(v, values)).collect()),
        _ => values.next().unwrap_or(Val::Unit),
    }
}
