//! Constant Rust: what has no active value in it, with the names of locals replaced and shapes asked of the shape program.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident};
use std::collections::BTreeSet;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;

impl Lower<'_> {
    /// Constant Rust evaluated once, here.
    pub fn constant_name(&mut self, tokens: TokenStream) -> syn::Expr {
        let c = self.g.new_const(tokens);
        let name = const_name(c);
        syn::parse_quote!(#name)
    }

    /// An expression without active values, in terms of the generated names.
    pub fn constant(&mut self, e: &syn::Expr) -> Result<syn::Expr> {
        let mut bound = Bound::default();
        bound.visit_expr(e);
        for name in &bound.0 {
            let own = |v: &Val| matches!(v, Val::Const(syn::Expr::Path(p)) if p.path.get_ident().is_some_and(|i| i == name));
            let shadows = self.scopes[self.floor..]
                .iter()
                .filter_map(|s| s.get(name))
                .flatten();
            if shadows.into_iter().any(|(_, v)| !own(v)) {
                return Err(self.errors.reject_named(e, &errors::TENSOR_CAPTURE, name));
            }
        }
        let mut out = e.clone();
        let mut s = Substitute {
            l: self,
            bound: bound.0,
            failed: None,
        };
        s.visit_expr_mut(&mut out);
        match s.failed {
            Some(rejected) => Err(rejected),
            None => Ok(out),
        }
    }

    /// A constant argument, cheap to write again: an axis, an index, a shape.
    pub fn argument(&mut self, e: &syn::Expr) -> Result<TokenStream> {
        let e = self.constant(e)?;
        Ok(if simple(&e) {
            e.to_token_stream()
        } else {
            self.constant_name(e.to_token_stream()).to_token_stream()
        })
    }

    pub fn constant_tensor(&mut self, tokens: TokenStream, rank: Rank, span: Span) -> V {
        let v = V(self.g.values.len() as u32);
        let dim = Dim(self.g.dims.len() as u32);
        self.g.dims.push((DimOp::Of(v), rank));
        let v = self
            .g
            .push(Op::Constant(tokens), Ty::Tensor(rank, dim), span);
        self.g.stmts.push(Stmt::Dim(dim));
        v
    }
}

/// `+=` and its like.
pub fn assigns(op: &syn::BinOp) -> bool {
    use syn::BinOp::*;
    matches!(
        op,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

/// The local that holds a constant.
pub fn const_name(c: C) -> Ident {
    format_ident!("__c{}", c.0, span = Span::mixed_site())
}

/// Cheap and without effects, however often it is written.
pub fn simple(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Lit(_) | syn::Expr::Path(_) => true,
        syn::Expr::Paren(p) => simple(&p.expr),
        syn::Expr::Group(p) => simple(&p.expr),
        syn::Expr::Unary(u) => !matches!(u.op, syn::UnOp::Deref(_)) && simple(&u.expr),
        syn::Expr::Binary(b) => simple(&b.left) && simple(&b.right),
        syn::Expr::Cast(c) => simple(&c.expr),
        syn::Expr::Field(f) => simple(&f.base),
        syn::Expr::Index(i) => simple(&i.expr) && simple(&i.index),
        syn::Expr::Tuple(t) => t.elems.iter().all(simple),
        syn::Expr::Array(a) => a.elems.iter().all(simple),
        syn::Expr::Reference(r) => simple(&r.expr),
        syn::Expr::Range(r) => r.start.iter().chain(&r.end).all(|e| simple(e)),
        syn::Expr::Call(c) => {
            matches!(&*c.func, syn::Expr::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "Axis"))
                && c.args.iter().all(simple)
        }
        _ => false,
    }
}

/// The names bound inside of an expression.
#[derive(Default)]
pub struct Bound(pub BTreeSet<String>);
impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, p: &'ast syn::PatIdent) {
        self.0.insert(p.ident.to_string());
        syn::visit::visit_pat_ident(self, p);
    }
}

/// The single names that an expression mentions.
#[derive(Default)]
pub struct Names(pub Vec<Ident>);
impl<'ast> Visit<'ast> for Names {
    fn visit_expr_path(&mut self, p: &'ast syn::ExprPath) {
        if let Some(ident) = p.path.get_ident()
            && !self.0.contains(ident)
        {
            self.0.push(ident.clone());
        }
    }

    fn visit_expr_closure(&mut self, c: &'ast syn::ExprClosure) {
        // A closure inside has parameters of its own.
        let mut own = Bound::default();
        c.inputs.iter().for_each(|p| own.visit_pat(p));
        let mut inner = Names::default();
        inner.visit_expr(&c.body);
        for ident in inner.0 {
            if !own.0.contains(&ident.to_string()) && !self.0.contains(&ident) {
                self.0.push(ident);
            }
        }
    }
}

/// Replaces the names of locals in constant Rust, and asks shapes of the shape program.
struct Substitute<'l, 'a> {
    l: &'l mut Lower<'a>,
    bound: BTreeSet<String>,
    failed: Option<Rejected>,
}

impl Substitute<'_, '_> {
    /// A field of what is bound inside of the expression.
    fn rooted_in_bound(&self, e: &syn::Expr) -> bool {
        let mut names = Names::default();
        names.visit_expr(e);
        names.0.iter().any(|n| self.bound.contains(&n.to_string()))
    }
}

impl VisitMut for Substitute<'_, '_> {
    fn visit_expr_mut(&mut self, e: &mut syn::Expr) {
        if self.failed.is_some() {
            return;
        }
        let replaced = match e {
            syn::Expr::Path(p) => match p.path.get_ident() {
                Some(ident) if !self.bound.contains(&ident.to_string()) => {
                    let ident = ident.clone();
                    self.l
                        .find(&ident)
                        .map(|v| v.map(|v| (v, ident.to_token_stream())))
                }
                _ => Ok(None),
            },
            syn::Expr::Field(f) => {
                let own = self.rooted_in_bound(&f.base);
                let found = self.l.field(e).filter(|_| !own);
                Ok(found.map(|(_, val)| (val, e.to_token_stream())))
            }
            syn::Expr::MethodCall(m) if SHAPE_QUERIES.contains(&m.method.to_string().as_str()) => {
                match self.l.shape_query(m) {
                    Ok(Some(found)) => {
                        *e = found;
                        return;
                    }
                    Ok(None) => Ok(None),
                    Err(r) => Err(r),
                }
            }
            syn::Expr::MethodCall(m) if changes_inside(m) => {
                Err(self.l.errors.reject(&m.method, &errors::TENSOR_EFFECT))
            }
            syn::Expr::Macro(m) => match self.l.macro_call(&m.mac) {
                Ok(val) => Ok(Some((val, m.to_token_stream()))),
                Err(r) => Err(r),
            },
            syn::Expr::Assign(_)
            | syn::Expr::ForLoop(_)
            | syn::Expr::While(_)
            | syn::Expr::Loop(_)
            | syn::Expr::Return(_)
            | syn::Expr::Break(_)
            | syn::Expr::Continue(_)
            | syn::Expr::Try(_)
            | syn::Expr::Unsafe(_)
            | syn::Expr::Await(_)
            | syn::Expr::Async(_) => Err(self.l.errors.reject(&*e, &errors::TENSOR_EXPRESSION)),
            syn::Expr::Binary(b) if assigns(&b.op) => {
                Err(self.l.errors.reject(&*e, &errors::TENSOR_EXPRESSION))
            }
            syn::Expr::Reference(r) if r.mutability.is_some() => {
                Err(self.l.errors.reject(&*e, &errors::TENSOR_EXPRESSION))
            }
            _ => Ok(None),
        };
        match replaced {
            Err(r) => self.failed = Some(r),
            Ok(None) => syn::visit_mut::visit_expr_mut(self, e),
            Ok(Some((val, at))) => match val {
                Val::Const(c) => *e = c,
                Val::Tensor(v) if !self.l.g.active(v) => {
                    let name = crate::tensor::emit::tensor_name(v);
                    *e = syn::parse_quote!(#name);
                }
                Val::Scalar(v) if !self.l.g.active(v) => {
                    let name = crate::tensor::emit::scalar_name(v);
                    *e = syn::parse_quote!(#name);
                }
                _ => self.failed = Some(self.l.errors.reject(at, &errors::TENSOR_EXPRESSION)),
            },
        }
    }
}

/// Whether a method changes what it is called on though that is no `mut` variable, or is another one each time: then constants could not be
/// computed again, or left out.
fn changes_inside(m: &syn::ExprMethodCall) -> bool {
    const CELLS: [&str; 16] = [
        "set",
        "replace",
        "swap",
        "update",
        "borrow_mut",
        "get_mut",
        "get_or_init",
        "store",
        "fetch_add",
        "fetch_sub",
        "fetch_max",
        "fetch_min",
        "compare_exchange",
        "lock",
        "write",
        "send",
    ];
    const ITERATORS: [&str; 3] = ["next", "next_back", "nth"];
    let name = m.method.to_string();
    let variable = matches!(&*m.receiver, syn::Expr::Path(_));
    CELLS.contains(&name.as_str())
        || name == "take" && m.args.is_empty()
        || variable && ITERATORS.contains(&name.as_str())
}

/// Methods that only ask for a tensor's shape.
pub const SHAPE_QUERIES: [&str; 10] = [
    "nrows",
    "ncols",
    "len",
    "len_of",
    "dim",
    "raw_dim",
    "shape",
    "ndim",
    "is_empty",
    "is_square",
];

impl Lower<'_> {
    /// A question for a tensor's shape; `None` where the receiver is no tensor.
    pub fn shape_query(&mut self, m: &syn::ExprMethodCall) -> Result<Option<syn::Expr>> {
        if matches!(&*m.receiver, syn::Expr::Lit(_) | syn::Expr::Closure(_)) {
            return Ok(None);
        }
        let receiver = match self.expr(&m.receiver) {
            Ok(Val::Tensor(v)) => v,
            Ok(Val::List(v)) if m.method == "len" => {
                let t = crate::tensor::emit::tensor_name(v);
                return Ok(Some(syn::parse_quote!(#t.len())));
            }
            Ok(_) => return Ok(None),
            Err(r) => return Err(r),
        };
        let Some(d) = self.g.dim(receiver) else {
            return Ok(None);
        };
        let n = crate::tensor::emit::dim_name(d);
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        Ok(Some(
            match (m.method.to_string().as_str(), args.as_slice()) {
                ("nrows", []) => syn::parse_quote!(#n[0]),
                ("ncols", []) => syn::parse_quote!(#n[1]),
                ("len", []) => syn::parse_quote!(#n.size()),
                ("is_empty", []) => syn::parse_quote!((#n.size() == 0)),
                ("is_square", []) => syn::parse_quote!((#n[0] == #n[1])),
                ("len_of", [axis]) => {
                    let axis = self.argument(axis)?;
                    syn::parse_quote!(#n[#axis.index()])
                }
                ("dim", []) => syn::parse_quote!(#n.clone().into_pattern()),
                ("raw_dim", []) => syn::parse_quote!(#n.clone()),
                ("shape", []) => syn::parse_quote!(#n.slice()),
                ("ndim", []) => syn::parse_quote!(#n.ndim()),
                _ => return self.reject(m, &errors::TENSOR_EXPRESSION),
            },
        ))
    }
}
