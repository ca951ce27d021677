//! Expressions, and loops that are written out.

use crate::errors::{self, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;

impl Lower<'_> {
    pub fn expr(&mut self, e: &syn::Expr) -> Result<Val> {
        match e {
            syn::Expr::Paren(p) => self.expr(&p.expr),
            syn::Expr::Group(p) => self.expr(&p.expr),
            syn::Expr::Reference(r) if r.mutability.is_some() => {
                // Where nothing follows it, what is stored to it would be lost.
                self.reject(e, &errors::TENSOR_BORROW)
            }
            syn::Expr::Reference(r) => self.expr(&r.expr),
            syn::Expr::Block(b) if b.label.is_none() => self.block(&b.block),
            syn::Expr::Closure(c) => self.closure(c),
            syn::Expr::Lit(_) => Ok(Val::Const(e.clone())),
            syn::Expr::Path(p) => {
                if let Some(ident) = p.path.get_ident()
                    && let Some(val) = self.find(ident)?
                {
                    return Ok(val);
                }
                Ok(Val::Const(e.clone()))
            }
            syn::Expr::Tuple(t) if t.elems.is_empty() => Ok(Val::Unit),
            syn::Expr::Tuple(t) => {
                let all: Result<Vec<Val>> = t.elems.iter().map(|e| self.expr(e)).collect();
                let all = all?;
                let consts: Option<Vec<&syn::Expr>> = all
                    .iter()
                    .map(|v| if let Val::Const(e) = v { Some(e) } else { None })
                    .collect();
                Ok(match consts {
                    Some(parts) => Val::Const(syn::parse_quote!((#(#parts,)*))),
                    None => Val::Tuple(all),
                })
            }
            syn::Expr::Unary(u) => {
                let val = self.expr(&u.expr)?;
                match (&u.op, val) {
                    (syn::UnOp::Deref(_), Val::Const(_)) => Ok(Val::Const(self.constant(e)?)),
                    (syn::UnOp::Deref(_), val) => Ok(val),
                    (op, Val::Const(x)) => Ok(Val::Const(syn::parse_quote!(#op #x))),
                    (syn::UnOp::Neg(op), Val::Tensor(v) | Val::Scalar(v)) => {
                        let a = operand(v);
                        Ok(self.unary(v, syn::parse_quote!(#op #a), u.span()))
                    }
                    _ => self.reject(e, &errors::TENSOR_EXPRESSION),
                }
            }
            syn::Expr::Binary(b) => self.binary_expr(b),
            syn::Expr::Assign(a) => self.assignment(a),
            syn::Expr::MethodCall(m) if mutable_view(&m.method.to_string()) => {
                self.reject(&m.method, &errors::TENSOR_BORROW)
            }
            syn::Expr::MethodCall(m) => self.method(m),
            syn::Expr::Call(c) => self.call(c),
            syn::Expr::Macro(m) => self.macro_call(&m.mac),
            syn::Expr::Index(i) => self.index(i),
            syn::Expr::Field(f) if self.field(e).is_some() => match self.field(e) {
                Some((_, val)) => Ok(val),
                None => self.reject(f, &errors::TENSOR_EXPRESSION),
            },
            syn::Expr::Field(f) => match (self.expr(&f.base)?, &f.member) {
                (Val::Tuple(all), syn::Member::Unnamed(k)) if (k.index as usize) < all.len() => {
                    Ok(all[k.index as usize].clone())
                }
                (Val::Const(base), member) => Ok(Val::Const(syn::parse_quote!(#base.#member))),
                _ => self.reject(e, &errors::TENSOR_EXPRESSION),
            },
            syn::Expr::Cast(c) => match self.expr(&c.expr)? {
                Val::Const(x) => {
                    let ty = &c.ty;
                    Ok(Val::Const(syn::parse_quote!((#x as #ty))))
                }
                _ => self.reject(e, &errors::TENSOR_EXPRESSION),
            },
            syn::Expr::If(i) => self.branch(i),
            syn::Expr::Match(m) if !self.is_constant(e) => self.arms(m),
            syn::Expr::Struct(s) if s.rest.is_none() && !self.is_constant(e) => {
                let mut fields = Vec::new();
                for f in &s.fields {
                    fields.push((f.member.clone(), None, self.expr(&f.expr)?));
                }
                Ok(Val::Struct(Rc::new(fields), Rc::new(s.path.clone())))
            }
            syn::Expr::Array(a) if !self.is_constant(e) => {
                let all: Result<Vec<Val>> = a.elems.iter().map(|e| self.expr(e)).collect();
                Ok(Val::Tuple(all?))
            }
            syn::Expr::While(w) if w.label.is_none() => self.while_loop(w),
            syn::Expr::ForLoop(f) if f.label.is_none() && !f.attrs.is_empty() => {
                self.counted_loop(f)
            }
            syn::Expr::ForLoop(f) if f.label.is_none() && self.side_by_side_list(&f.expr) => {
                let Some(all) = self.side_by_side_items(&f.expr)? else {
                    return self.reject(&f.expr, &errors::TENSOR_LOOP);
                };
                for val in all {
                    self.scoped(|l| {
                        l.bind(&f.pat, val, None)?;
                        l.block(&f.body)
                    })?;
                }
                Ok(Val::Unit)
            }
            syn::Expr::ForLoop(f) if f.label.is_none() => match self.few(&f.expr) {
                Some(items) => self.unrolled(f, items),
                None if self.each_loop(f)? => Ok(Val::Unit),
                None => self.counted_loop(f),
            },
            _ => Ok(Val::Const(self.constant(e)?)),
        }
    }

    /// The items of a loop that is written out: a short literal range, or expressions side by side.
    pub fn few(&self, e: &syn::Expr) -> Option<Vec<syn::Expr>> {
        if let syn::Expr::Reference(r) = e {
            let items = self.few(&r.expr).filter(|_| r.mutability.is_none())?;
            return Some(items.iter().map(|e| syn::parse_quote!(&#e)).collect());
        }
        match strip_expr(e) {
            syn::Expr::Array(a) if a.elems.len() <= MAX_UNROLLED => {
                Some(a.elems.iter().cloned().collect())
            }
            syn::Expr::Range(r) => {
                let (lo, hi) = (literal(r.start.as_deref()?)?, literal(r.end.as_deref()?)?);
                let hi = hi + usize::from(matches!(r.limits, syn::RangeLimits::Closed(_)));
                if hi.saturating_sub(lo) > MAX_UNROLLED {
                    return None;
                }
                let item = |k| {
                    let mut lit = proc_macro2::Literal::usize_unsuffixed(k);
                    lit.set_span(e.span());
                    syn::parse_quote!(#lit)
                };
                Some((lo..hi).map(item).collect())
            }
            _ => None,
        }
    }

    /// The items of a loop over values that stand side by side in a variable, as iterators arrange them.
    fn side_by_side_items(&mut self, e: &syn::Expr) -> Result<Option<Vec<Val>>> {
        let e = strip_expr(e);
        let syn::Expr::MethodCall(m) = e else {
            return match e {
                syn::Expr::Array(a) => {
                    let all: Result<Vec<Val>> = a.elems.iter().map(|e| self.expr(e)).collect();
                    all.map(Some)
                }
                _ => match self.expr(e)? {
                    Val::Tuple(all) => Ok(Some(all)),
                    _ => Ok(None),
                },
            };
        };
        let Some(mut all) = self.side_by_side_items(&m.receiver)? else {
            return Ok(None);
        };
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        match (m.method.to_string().as_str(), args.as_slice()) {
            ("iter" | "into_iter", []) => {}
            ("rev", []) => all.reverse(),
            ("enumerate", []) => {
                let with = |(k, val)| Val::Tuple(vec![Val::Const(syn::parse_quote!(#k)), val]);
                all = all.into_iter().enumerate().map(with).collect();
            }
            ("skip" | "take", [n]) => {
                let Some(n) = literal(n) else { return Ok(None) };
                let n = n.min(all.len());
                match m.method == "skip" {
                    true => all.drain(..n).for_each(drop),
                    false => all.truncate(n),
                }
            }
            ("zip", [other]) => {
                let Some(others) = self.side_by_side_items(other)? else {
                    return Ok(None);
                };
                let pair = |(a, b)| Val::Tuple(vec![a, b]);
                all = all.into_iter().zip(others).map(pair).collect();
            }
            _ => return Ok(None),
        }
        Ok(Some(all))
    }

    /// Whether a loop runs over values that stand side by side in a variable.
    fn side_by_side_list(&self, e: &syn::Expr) -> bool {
        match listed(e) {
            syn::Expr::Path(p) => {
                let val = p.path.get_ident().and_then(|i| self.peek(i));
                match val {
                    Some(Val::Growing(list)) => list.before.is_none(),
                    val => matches!(val, Some(Val::Tuple(_))),
                }
            }
            _ => false,
        }
    }

    /// A loop written out, one iteration after another.
    pub fn unrolled(&mut self, f: &syn::ExprForLoop, items: Vec<syn::Expr>) -> Result<Val> {
        for item in &items {
            let val = self.bindable(item, None)?;
            // What is constant stays behind its reference, if nothing takes that away.
            let (pat, val) = match (&*f.pat, item, val) {
                (syn::Pat::Reference(p), syn::Expr::Reference(_), Val::Const(e)) => {
                    (&*p.pat, Val::Const(e))
                }
                (pat, syn::Expr::Reference(_), Val::Const(e)) => {
                    (pat, Val::Const(self.constant_name(quote!(&#e))))
                }
                (pat, _, val) => (pat, val),
            };
            self.scoped(|l| {
                l.bind(pat, val, None)?;
                l.block(&f.body)
            })?;
        }
        Ok(Val::Unit)
    }

    pub fn binary_expr(&mut self, b: &syn::ExprBinary) -> Result<Val> {
        use syn::BinOp;
        let op = &b.op;
        match op {
            BinOp::Add(_) | BinOp::Sub(_) | BinOp::Mul(_) | BinOp::Div(_) | BinOp::Rem(_) => {
                let left = self.expr(&b.left);
                let (left, right) = (left?, self.expr(&b.right)?);
                if let (Val::Const(x), Val::Const(y)) = (&left, &right) {
                    return Ok(Val::Const(syn::parse_quote!(((#x) #op (#y)))));
                }
                self.binary(op.to_token_stream(), left, right, b)
            }
            BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_) => {
                let plain = match op {
                    BinOp::AddAssign(_) => quote!(+),
                    BinOp::SubAssign(_) => quote!(-),
                    BinOp::MulAssign(_) => quote!(*),
                    _ => quote!(/),
                };
                let right = self.expr(&b.right)?;
                self.update(&b.left, right, Some(plain), b)?;
                Ok(Val::Unit)
            }
            _ => Ok(Val::Const(self.constant(&syn::Expr::Binary(b.clone()))?)),
        }
    }
}

/// What `&all` and `all.iter().rev()` are of.
fn listed(e: &syn::Expr) -> &syn::Expr {
    match strip_expr(e) {
        syn::Expr::MethodCall(m) => listed(&m.receiver),
        other => other,
    }
}

/// The most iterations that are written one after another.
const MAX_UNROLLED: usize = 64;

fn literal(e: &syn::Expr) -> Option<usize> {
    match strip_expr(e) {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Int(n),
            ..
        }) => n.base10_parse().ok(),
        _ => None,
    }
}

fn strip_expr(e: &syn::Expr) -> &syn::Expr {
    match e {
        syn::Expr::Paren(p) => strip_expr(&p.expr),
        syn::Expr::Group(p) => strip_expr(&p.expr),
        syn::Expr::Reference(r) if r.mutability.is_none() => strip_expr(&r.expr),
        other => other,
    }
}
