//! Closures: what they capture, and their bodies as scalar Rust.

use crate::errors::{self, Message, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::BTreeSet;
use std::rc::Rc;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;

impl Lower<'_> {
    pub fn closure(&mut self, c: &syn::ExprClosure) -> Result<Val> {
        let mut bound = Bound::default();
        bound.visit_expr_closure(c);
        let mut body = crate::tensor::exits::without_returns(&c.body);
        Fields {
            l: self,
            bound: &bound.0,
        }
        .visit_expr_mut(&mut body);
        let mut changed = Changed::default();
        changed.visit_expr(&body);
        let mut captured = Vec::new();
        let mut elements = Elements {
            l: self,
            bound: &bound.0,
            changed: &changed.0,
            found: Vec::new(),
        };
        elements.visit_expr_mut(&mut body);
        for (ident, e) in elements.found {
            let val = self.expr(&e)?;
            captured.push((ident, val));
        }
        let mut names = Names::default();
        names.visit_expr(&body);
        let params: BTreeSet<String> = {
            let mut own = Bound::default();
            c.inputs.iter().for_each(|p| own.visit_pat(p));
            own.0
        };
        for ident in names.0 {
            if params.contains(&ident.to_string()) {
                continue;
            }
            let Some(val) = self.find(&ident)? else {
                continue;
            };
            // A variable that the closure changes is the one outside, unless it is moved into it.
            if changed.0.contains(&ident.to_string())
                && let Some(place) = self.place_of(&ident)
            {
                if c.capture.is_some() {
                    return self.errors_named(&ident, &errors::TENSOR_BORROW);
                }
                let captured_place = Place {
                    captured: !matches!(self.peek(&ident), Some(Val::Place(_))),
                    ..place
                };
                captured.push((ident, Val::Place(captured_place)));
                continue;
            }
            captured.push((ident, val));
        }
        Ok(Val::Closure(Rc::new(Closure {
            inputs: c.inputs.iter().cloned().collect(),
            body,
            captured,
        })))
    }

    /// A function of scalars applied to scalar expressions: the body, and what it captures.
    pub fn apply(
        &mut self,
        f: &syn::Expr,
        args: &[TokenStream],
        by_ref: bool,
    ) -> Result<(syn::Expr, Vec<V>)> {
        let closure = match self.expr_function(f)? {
            Val::Closure(c) => c,
            Val::Const(path) => {
                let body = syn::parse_quote!(#path(#(#args),*));
                return Ok((body, Vec::new()));
            }
            _ => return self.reject(f, &errors::CLOSURE),
        };
        if closure.inputs.len() != args.len() {
            return self.reject(f, &errors::CLOSURE);
        }
        let (mut prelude, operands) = self.captures(&closure)?;
        for (pat, arg) in closure.inputs.iter().zip(args) {
            let value =
                if by_ref && matches!(strip(pat), syn::Pat::Ident(_) | syn::Pat::Reference(_)) {
                    quote!(&#arg)
                } else {
                    arg.clone()
                };
            prelude.extend(quote!(let #pat = #value;));
        }
        let body = &closure.body;
        Ok((syn::parse_quote!({ #prelude #body }), operands))
    }

    /// Lets that give a closure's body what it captures, and the values among it.
    pub fn captures(&mut self, closure: &Closure) -> Result<(TokenStream, Vec<V>)> {
        let mut operands = Vec::new();
        let mut prelude = TokenStream::new();
        for (ident, val) in &closure.captured {
            match val {
                Val::Scalar(v) => {
                    let name = operand(*v);
                    operands.push(*v);
                    prelude.extend(quote!(let #ident = #name;));
                }
                Val::Const(e) => prelude.extend(quote!(let #ident = #e;)),
                Val::Closure(inner) => {
                    prelude.extend(self.inner_closure(ident, inner, &mut operands)?)
                }
                _ => return self.errors_named(ident, &errors::TENSOR_CAPTURE),
            }
        }
        Ok((prelude, operands))
    }

    pub fn inner_closure(
        &self,
        ident: &Ident,
        c: &Closure,
        operands: &mut Vec<V>,
    ) -> Result<TokenStream> {
        let mut prelude = TokenStream::new();
        for (name, val) in &c.captured {
            match val {
                Val::Scalar(v) => {
                    let from = operand(*v);
                    operands.push(*v);
                    prelude.extend(quote!(let #name = #from;));
                }
                Val::Const(e) => prelude.extend(quote!(let #name = #e;)),
                _ => return self.errors_named(name, &errors::TENSOR_CAPTURE),
            }
        }
        let (inputs, body) = (&c.inputs, &c.body);
        Ok(quote!(let #ident = { #prelude |#(#inputs),*| #body };))
    }

    pub fn errors_named<T>(&self, ident: &Ident, message: &Message) -> Result<T> {
        Err(self.errors.reject(ident, message))
    }

    /// A closure, or the path of a function.
    pub fn expr_function(&mut self, f: &syn::Expr) -> Result<Val> {
        match f {
            syn::Expr::Closure(c) => self.closure(c),
            syn::Expr::Reference(r) => self.expr_function(&r.expr),
            syn::Expr::Paren(p) => self.expr_function(&p.expr),
            syn::Expr::Group(p) => self.expr_function(&p.expr),
            syn::Expr::Path(p) => {
                if let Some(ident) = p.path.get_ident()
                    && let Some(val) = self.find(ident)?
                {
                    return Ok(val);
                }
                Ok(Val::Const(f.clone()))
            }
            _ => self.reject(f, &errors::CLOSURE),
        }
    }
}

/// Elements of tensors, at places that do not depend on the closure's own names, become names of their own.
struct Elements<'l, 'a> {
    l: &'l Lower<'a>,
    bound: &'l BTreeSet<String>,
    changed: &'l BTreeSet<String>,
    found: Vec<(Ident, syn::Expr)>,
}
impl VisitMut for Elements<'_, '_> {
    fn visit_expr_mut(&mut self, e: &mut syn::Expr) {
        if let syn::Expr::Index(i) = &*e
            && let syn::Expr::Path(p) = &*i.expr
            && let Some(base) = p.path.get_ident()
            && matches!(self.l.peek(base), Some(Val::Tensor(_)))
        {
            let mut names = Names::default();
            names.visit_expr(e);
            let own = |n: &Ident| {
                self.bound.contains(&n.to_string()) || self.changed.contains(&n.to_string())
            };
            let ways = matches!(&*i.index, syn::Expr::Block(_) | syn::Expr::If(_));
            if !names.0.iter().any(own) && !ways {
                let name = quote::format_ident!(
                    "__e{}_{}",
                    self.l.g.values.len(),
                    self.found.len(),
                    span = base.span()
                );
                self.found.push((name.clone(), e.clone()));
                *e = syn::parse_quote!(#name);
                return;
            }
        }
        syn::visit_mut::visit_expr_mut(self, e);
    }
}

/// The names through which something is changed.
#[derive(Default)]
pub struct Changed(pub BTreeSet<String>);

impl Changed {
    fn at(&mut self, e: &syn::Expr) {
        match e {
            syn::Expr::Paren(p) => self.at(&p.expr),
            syn::Expr::Group(p) => self.at(&p.expr),
            syn::Expr::Unary(u) => self.at(&u.expr),
            syn::Expr::Index(i) => self.at(&i.expr),
            syn::Expr::Field(f) => self.at(&f.base),
            syn::Expr::MethodCall(m) => self.at(&m.receiver),
            syn::Expr::Reference(r) => self.at(&r.expr),
            syn::Expr::Path(p) => {
                if let Some(ident) = p.path.get_ident() {
                    self.0.insert(ident.to_string());
                }
            }
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Changed {
    fn visit_expr_assign(&mut self, a: &'ast syn::ExprAssign) {
        self.at(&a.left);
        syn::visit::visit_expr_assign(self, a);
    }

    fn visit_expr_binary(&mut self, b: &'ast syn::ExprBinary) {
        if assigns(&b.op) {
            self.at(&b.left);
        }
        syn::visit::visit_expr_binary(self, b);
    }

    fn visit_expr_reference(&mut self, r: &'ast syn::ExprReference) {
        if r.mutability.is_some() {
            self.at(&r.expr);
        }
        syn::visit::visit_expr_reference(self, r);
    }

    fn visit_expr_method_call(&mut self, m: &'ast syn::ExprMethodCall) {
        let name = m.method.to_string();
        if name.ends_with("_mut") || name.ends_with("_inplace") || IN_PLACE.contains(&name.as_str())
        {
            self.at(&m.receiver);
        }
        syn::visit::visit_expr_method_call(self, m);
    }
}

/// Methods that change what they are called on, beside those whose name says so.
pub const IN_PLACE: [&str; 12] = [
    "assign",
    "fill",
    "scaled_add",
    "zip_mut_with",
    "swap",
    "swap_axes",
    "invert_axis",
    "push",
    "pop",
    "clear",
    "truncate",
    "sort",
];

fn strip(pat: &syn::Pat) -> &syn::Pat {
    match pat {
        syn::Pat::Type(t) => strip(&t.pat),
        syn::Pat::Paren(p) => strip(&p.pat),
        other => other,
    }
}

/// Names the parameters that stand for fields of structs: a closure captures these.
struct Fields<'l, 'a> {
    l: &'l Lower<'a>,
    bound: &'l BTreeSet<String>,
}
impl VisitMut for Fields<'_, '_> {
    fn visit_expr_mut(&mut self, e: &mut syn::Expr) {
        if matches!(e, syn::Expr::Field(_)) {
            let mut names = Names::default();
            names.visit_expr(e);
            let own = names.0.iter().any(|n| self.bound.contains(&n.to_string()));
            if let Some((Some(ident), _)) = self.l.field(e).filter(|_| !own) {
                *e = syn::parse_quote!(#ident);
                return;
            }
        }
        syn::visit_mut::visit_expr_mut(self, e);
    }
}
