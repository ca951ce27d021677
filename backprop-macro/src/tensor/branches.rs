//! Branches: the front end.
//!
//! In: an `if`. Out: two bodies of the graph, each run once or not at all: for as often as its condition holds. Only what is taken is
//! run, forward and backward; the condition may read floats, which are then kept. The value of an `if` is a variable of its own, which both sides
//! set. What must hold: both sides give a tensor of one rank, or a float, or nothing.

use crate::errors::{self, Result};
use crate::tensor::emit::scalar_name;
use crate::tensor::lower::{Lower, SHAPE_QUERIES, Val};
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
