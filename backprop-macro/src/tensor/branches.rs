//! Branches: the front end.
//!
//! In: an `if`. Out: two bodies of the graph, each run once or not at all: for as often as its condition holds. Only what is taken is
//! run, forward and backward; the condition may read floats, which are then kept. The value of an `if` is a variable of its own, which both sides
//! set. What must hold: both sides give a tensor of one rank, or a float, or nothing.

use crate::errors::{self, Result};
use crate::tensor::emit::scalar_name;
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, SHAPE_QUERIES, Scope, Val};
use proc_macro2::{Ident, Span};
use quote::{ToTokens, quote};
use syn::visit::Visit;

/// How deep branches may be nested, a chain of early returns included.
const MAX_BRANCHES: usize = 8;

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

/// What both sides give.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    Nothing,
    Constant,
    Float,
    Tensor(Rank),
}

impl Lower<'_> {
    /// `if`: constant Rust, or two bodies.
    pub fn branch(&mut self, e: &syn::ExprIf) -> Result<Val> {
        let mut constant = Constant { l: self, yes: true };
        constant.visit_expr_if(e);
        if constant.yes {
            return Ok(Val::Const(self.constant(&syn::Expr::If(e.clone()))?));
        }
        // A side is lowered three times: to learn what it gives, what it changes, and for good.
        if self.branches == MAX_BRANCHES {
            return self.reject(&e.cond, &errors::TENSOR_NESTED);
        }
        self.branches += 1;
        let val = self.sides(e);
        self.branches -= 1;
        val
    }

    /// An `if` with two bodies.
    fn sides(&mut self, e: &syn::ExprIf) -> Result<Val> {
        let condition = self.condition(&e.cond)?;
        let taken = self.constant_name(condition.to_token_stream());
        let yes = self
            .g
            .new_const(quote!(::core::primitive::usize::from(#taken)));
        let no = self
            .g
            .new_const(quote!(::core::primitive::usize::from(!#taken)));
        let then = |l: &mut Self| l.block(&e.then_branch);
        let otherwise = |l: &mut Self| match &e.else_branch {
            Some((_, other)) => l.expr(other),
            None => Ok(Val::Unit),
        };
        let gives = match (
            self.try_out(&then, &e.cond)?,
            self.try_out(&otherwise, &e.cond)?,
        ) {
            (a, b) if a == b => a,
            (Gives::Float, Gives::Constant) | (Gives::Constant, Gives::Float) => Gives::Float,
            _ => return self.reject(&e.cond, &errors::TENSOR_SIDES),
        };
        let name = Ident::new("__if", Span::mixed_site());
        let span = e.if_token.span;
        let depth = self.scopes.len();
        self.scopes.push(Scope::new());
        match gives {
            Gives::Tensor(rank) => {
                let none = self.constant_tensor(quote!(::backprop::tensor::empty()), rank, span);
                self.declare(&name, Val::Tensor(none));
            }
            Gives::Float | Gives::Constant => {
                let none = self.map(syn::parse_quote!(0.0), Vec::new(), None, span);
                self.declare(&name, Val::Scalar(none));
            }
            Gives::Nothing => {}
        }
        let mut side = |count: C, body: &dyn Fn(&mut Self) -> Result<Val>| {
            self.repeated(count, &e.cond, &|l, _| {
                let val = body(l)?;
                let val = match (gives, val) {
                    (Gives::Nothing, _) => return Ok(()),
                    (Gives::Tensor(_), val) => val,
                    (_, val) => Val::Scalar(l.scalar_value(val, &e.cond)?),
                };
                l.assign(&name, val)
            })
        };
        let done = side(yes, &then).and_then(|()| match &e.else_branch {
            Some(_) => side(no, &otherwise),
            None => Ok(()),
        });
        let val = match gives {
            Gives::Nothing => Some(Val::Unit),
            _ => self.peek(&name).cloned(),
        };
        self.scopes.truncate(depth);
        done?;
        match val {
            Some(val) => Ok(val),
            None => self.reject(&e.cond, &errors::TENSOR_SIDES),
        }
    }

    /// What a side gives, without lowering it for good.
    fn try_out(
        &mut self,
        side: &dyn Fn(&mut Self) -> Result<Val>,
        at: &syn::Expr,
    ) -> Result<Gives> {
        let (graph, scopes, items) = (self.g.clone(), self.scopes.clone(), self.items.len());
        let val = side(self);
        let gives = match val? {
            Val::Unit => Gives::Nothing,
            Val::Const(_) => Gives::Constant,
            Val::Scalar(_) => Gives::Float,
            Val::Tensor(v) => Gives::Tensor(self.g.rank(v)),
            _ => return self.reject(at, &errors::TENSOR_SIDES),
        };
        (self.g, self.scopes) = (graph, scopes);
        self.items.truncate(items);
        Ok(gives)
    }

    /// A condition: constant Rust, in which floats of the function may be compared.
    fn condition(&mut self, e: &syn::Expr) -> Result<syn::Expr> {
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
                        let (x, y) = (self.condition(&b.left)?, self.condition(&b.right)?);
                        Ok(syn::parse_quote!((#x #op #y)))
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
