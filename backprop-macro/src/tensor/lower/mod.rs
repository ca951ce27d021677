//! `syn` → tensor graph: what a tensor function computes.
//!
//! In: the function and its signature. Out: [`Program`]. An expression is a tensor or a float by its parts: parameters,
//! methods of tensors, operators on them. Whatever has no active value in it stays constant Rust, in which names of
//! locals are replaced by those of the generated code. Everything else has been rejected at its own span.

use crate::errors::{self, Errors, Message, Rejected, Result};
use crate::source::Source;
use crate::tensor::fields::{Flat, Part};
use crate::tensor::graph::*;
use crate::tensor::methods::this;
use crate::tensor::signature::{Kind, Out, TensorSig};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use std::collections::HashMap;
use std::rc::Rc;
use syn::spanned::Spanned;

mod borrow;
mod call;
mod closure;
mod constants;
mod expr;
mod place;
mod stmt;
mod tabulate;

pub use borrow::{Place, mutable_view};
pub use constants::{Bound, Names, SHAPE_QUERIES, assigns, const_name, simple};

/// What an expression stands for.
#[derive(Clone)]
pub enum Val {
    Unit,
    /// What was rejected where it was bound.
    Lost,
    Tensor(V),
    Scalar(V),
    /// Tensors in a slice or a `Vec`.
    List(V),
    /// A `Vec` of tensors to which more can be pushed.
    Growing(crate::tensor::lists::Growing),
    /// Constant Rust, in terms of the generated names.
    Const(syn::Expr),
    Tuple(Vec<Val>),
    /// A struct: each field, the name of the parameter that stands for it where it is one's, and the struct's path.
    Struct(Rc<Vec<(syn::Member, Option<Ident>, Val)>>, Rc<syn::Path>),
    Closure(Rc<Closure>),
    /// A variable, or a part of one, borrowed mutably.
    Place(Place),
    /// `Some` of it, or an `Ok`, to be unwrapped.
    Opt(Box<Val>, Absent),
    /// What a loop can run over, item by item.
    Seq(Rc<crate::tensor::sequence::Sequence>),
    /// `Zip`, and iterators over all elements: the elements of several tensors.
    Zip(Zip),
}

/// What there is a `None` or an `Err` by, instead of a value.
#[derive(Clone)]
pub enum Absent {
    Never,
    /// The check of a shape, and of what else constant Rust says.
    Shape(Dim, Option<TokenStream>),
    /// Constant Rust that is `None` then.
    Unless(TokenStream),
    /// The same; the value is an element of a tensor, which is read when there is one.
    Element(V, TokenStream, TokenStream),
    /// The same, of a tensor of a list.
    Item(V, TokenStream, TokenStream),
}

/// The elements of some tensors side by side, mapped so far.
#[derive(Clone)]
pub struct Zip {
    pub parts: Vec<Val>,
    /// How the parts are nested for a closure's one pattern.
    pub pattern: Nest,
    /// Items are references.
    pub by_ref: bool,
    pub form: Form,
}

/// What gives elements side by side.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// An iterator, row by row.
    Iterator,
    /// `Zip`, in an order of its own.
    Zip,
    /// `Zip::indexed`, which gives the index first.
    Indexed,
}

/// The shape of an iterator's item, or of what it is folded into: `((a, b), c)`.
#[derive(Clone, PartialEq)]
pub enum Nest {
    Part(usize),
    Tuple(Vec<Nest>),
}

/// A closure, with what it captures.
pub struct Closure {
    pub inputs: Vec<syn::Pat>,
    pub body: syn::Expr,
    pub captured: Vec<(Ident, Val)>,
}

/// The lowered function.
#[derive(Clone)]
pub struct Program {
    pub graph: Graph,
    pub result: Val,
    /// What the parameters that are changed in place hold at the end.
    pub left: Vec<(usize, V)>,
    /// What has an upstream gradient.
    pub seeds: Val,
    pub items: Vec<TokenStream>,
}

impl Program {
    /// All that the function gives.
    pub fn gives(&self) -> Val {
        if self.left.is_empty() {
            return self.result.clone();
        }
        let left = self
            .left
            .iter()
            .map(|&(_, v)| match self.graph.is_tensor(v) {
                true => Val::Tensor(v),
                false => Val::Scalar(v),
            });
        Val::Tuple(std::iter::once(self.result.clone()).chain(left).collect())
    }
}

pub type Scope = HashMap<String, Vec<(String, Val)>>;

pub struct Lower<'a> {
    pub g: Graph,
    pub sig: &'a TensorSig,
    pub errors: &'a Errors,
    pub function: &'a syn::ItemFn,
    pub source: &'a Source,
    pub scopes: Vec<Scope>,
    /// The first scope whose names are seen: in the body of a method, its own.
    pub floor: usize,
    /// The methods whose bodies are being lowered.
    pub within: Vec<String>,
    pub items: Vec<TokenStream>,
}

/// `written` is where the function stands in its file.
pub fn lower(
    function: &syn::ItemFn,
    written: &syn::ItemFn,
    sig: &TensorSig,
    flat: Option<&Flat>,
    errors: &Errors,
    source: &Source,
) -> Option<Program> {
    let mut l = Lower {
        g: Graph::default(),
        sig,
        errors,
        function: written,
        source,
        scopes: vec![Scope::new()],
        floor: 0,
        within: Vec::new(),
        items: Vec::new(),
    };
    for (k, p) in sig.params.iter().enumerate() {
        let val = l.param(k);
        match p.in_out {
            true => l.behind(k, val),
            false => l.declare(&p.ident, val),
        }
    }
    for p in flat.iter().flat_map(|f| &f.params) {
        if let Part::Struct { .. } = &p.part {
            let val = l.whole(&p.part);
            l.declare(&p.ident, val);
        }
    }
    let single = !matches!(sig.output, Out::Tuple(_));
    let mut body = (*function.block).clone();
    crate::tensor::azip::written_out(&mut body);
    if let Out::Nothing = sig.output {
        crate::tensor::exits::with_values(&mut body);
    }
    let body = crate::tensor::ways_out::as_flags(&body, single);
    let result = l.block(&crate::tensor::exits::at_the_end(&body));
    let at = match &function.sig.output {
        syn::ReturnType::Type(_, ty) => ty.to_token_stream(),
        syn::ReturnType::Default => function.sig.ident.to_token_stream(),
    };
    let result = result.and_then(|val| l.output(val, &sig.output, at));
    let result = result.ok().filter(|_| errors.is_empty())?;
    let left = l.left().ok().filter(|_| errors.is_empty())?;
    let seeds = match sig.output {
        Out::Nothing => Val::Tuple(left.iter().map(|(_, v)| l.value_of(*v)).collect()),
        _ => result.clone(),
    };
    Some(Program {
        graph: l.g,
        result,
        left,
        seeds,
        items: l.items,
    })
}

/// The variable behind a parameter that is changed in place.
fn behind(k: usize) -> Ident {
    quote::format_ident!("__behind{}", k, span = Span::mixed_site())
}

impl Lower<'_> {
    pub fn reject<T>(&self, at: impl ToTokens, message: &Message) -> Result<T> {
        Err(self.errors.reject(at, message))
    }

    pub fn param(&mut self, k: usize) -> Val {
        let p = &self.sig.params[k];
        let name = p.ident.to_string().trim_start_matches("r#").to_string();
        let span = p.ident.span();
        let val = match p.kind {
            Kind::Constant => {
                let ident = &p.ident;
                return Val::Const(syn::parse_quote!(#ident));
            }
            Kind::Scalar => Val::Scalar(self.g.push(Op::Param(k), Ty::Scalar, span)),
            Kind::List(rank) => Val::List(self.g.push(Op::Param(k), Ty::List(rank), span)),
            Kind::Tensor(rank) => {
                let v = V(self.g.values.len() as u32);
                let dim = Dim(self.g.dims.len() as u32);
                self.g.dims.push((DimOp::Param(v), rank));
                let v = self.g.push(Op::Param(k), Ty::Tensor(rank, dim), span);
                self.g.stmts.push(Stmt::Dim(dim));
                Val::Tensor(v)
            }
        };
        let (Val::Tensor(v) | Val::Scalar(v) | Val::List(v)) = val else {
            return val;
        };
        self.g.values[v.0 as usize].name = Some(name);
        self.g.values[v.0 as usize].active = p.active;
        val
    }

    /// A parameter that is changed in place: its name is a reference, of what stands behind it there is one.
    fn behind(&mut self, k: usize, val: Val) {
        let variable = behind(k);
        self.declare(&variable, val);
        if let Some(place) = self.place_of(&variable) {
            self.declare(&self.sig.params[k].ident, Val::Place(place));
        }
    }

    /// What the parameters that are changed in place hold.
    fn left(&mut self) -> Result<Vec<(usize, V)>> {
        let mut out = Vec::new();
        for (k, p) in self.sig.params.iter().enumerate().filter(|(_, p)| p.in_out) {
            let of = match p.kind {
                Kind::Tensor(rank) => Out::Tensor(rank),
                _ => Out::Scalar,
            };
            let val = self.find(&behind(k))?.unwrap_or(Val::Unit);
            match self.output(val, &of, p.ty.to_token_stream())? {
                Val::Tensor(v) | Val::Scalar(v) => out.push((k, v)),
                _ => return self.reject(&p.ty, &errors::TENSOR_RETURNS),
            }
        }
        Ok(out)
    }

    /// A struct of what its fields have been declared as.
    fn whole(&self, part: &Part) -> Val {
        match part {
            Part::Leaf { ident, .. } => self.peek(ident).cloned().unwrap_or(Val::Unit),
            Part::Struct { fields, ty } => {
                let fields = fields.iter().map(|(member, part)| {
                    let name = match part {
                        Part::Leaf { ident, .. } => Some(ident.clone()),
                        Part::Struct { .. } => None,
                    };
                    (member.clone(), name, self.whole(part))
                });
                let path = match crate::shape::peel(ty) {
                    syn::Type::Path(p) => p.path.clone(),
                    _ => this().into(),
                };
                Val::Struct(Rc::new(fields.collect()), Rc::new(path))
            }
        }
    }

    /// The field of a struct that an expression like `net.layer.w` is, and the parameter that stands for it.
    pub fn field(&self, e: &syn::Expr) -> Option<(Option<Ident>, Val)> {
        match e {
            syn::Expr::Paren(p) => self.field(&p.expr),
            syn::Expr::Group(p) => self.field(&p.expr),
            syn::Expr::Reference(r) => self.field(&r.expr),
            syn::Expr::Path(p) => Some((None, self.peek(p.path.get_ident()?)?.clone())),
            syn::Expr::Field(f) => {
                let (_, Val::Struct(fields, _)) = self.field(&f.base)? else {
                    return None;
                };
                let found = fields.iter().find(|(member, ..)| *member == f.member)?;
                Some((found.1.clone(), found.2.clone()))
            }
            _ => None,
        }
    }

    pub fn output(&mut self, val: Val, out: &Out, at: TokenStream) -> Result<Val> {
        match (val, out) {
            (Val::Unit, Out::Nothing) => Ok(Val::Unit),
            (Val::Scalar(v), Out::Scalar) => Ok(Val::Scalar(v)),
            (Val::Const(e), Out::Scalar) => {
                let v = self.map(e, Vec::new(), None, Span::call_site());
                Ok(Val::Scalar(v))
            }
            (Val::Tensor(v), Out::Tensor(rank)) if self.g.rank(v) == *rank => Ok(Val::Tensor(v)),
            (Val::Tuple(vals), Out::Tuple(outs)) if vals.len() == outs.len() => {
                let all: Result<Vec<Val>> = vals
                    .into_iter()
                    .zip(outs)
                    .map(|(v, o)| self.output(v, o, at.clone()))
                    .collect();
                Ok(Val::Tuple(all?))
            }
            _ => self.reject(at, &errors::TENSOR_RETURNS),
        }
    }

    pub fn declare(&mut self, ident: &Ident, val: Val) {
        if let Val::Tensor(v) | Val::Scalar(v) = &val {
            let name = &mut self.g.values[v.0 as usize].name;
            if name.is_none() {
                *name = Some(ident.to_string().trim_start_matches("r#").to_string());
            }
        }
        let (text, context) = (ident.to_string(), crate::lower::hygiene(ident));
        let of_this_name = self.scopes.last().and_then(|s| s.get(&text));
        if of_this_name.is_some_and(|all| all.iter().any(|(c, _)| *c == context)) {
            // What is shadowed may still be borrowed.
            self.scopes.push(Scope::new());
        }
        let Some(scope) = self.scopes.last_mut() else {
            return;
        };
        scope.entry(text).or_default().push((context, val));
    }

    /// What `body` makes of a scope of its own.
    pub fn scoped<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.scopes.len();
        self.scopes.push(Scope::new());
        let out = body(self);
        self.scopes.truncate(depth);
        out
    }

    /// What a name stands for, if it is a local's.
    pub fn peek(&self, ident: &Ident) -> Option<&Val> {
        let (text, context) = (ident.to_string(), crate::lower::hygiene(ident));
        let mut entries = self.scopes[self.floor..]
            .iter()
            .rev()
            .filter_map(|s| s.get(&text))
            .flatten();
        entries.find(|(c, _)| *c == context).map(|e| &e.1)
    }

    /// What a name stands for now; what a borrow leads to.
    pub fn find(&mut self, ident: &Ident) -> Result<Option<Val>> {
        match self.found(ident)? {
            Some(Val::Place(place)) => self.read(&place).map(Some),
            Some(Val::Growing(list)) => Ok(Some(self.as_read(list))),
            Some(Val::Lost) => Err(Rejected),
            found => Ok(found),
        }
    }

    fn found(&self, ident: &Ident) -> Result<Option<Val>> {
        let (text, context) = (ident.to_string(), crate::lower::hygiene(ident));
        let mut other = false;
        for scope in self.scopes[self.floor..].iter().rev() {
            if let Some(entries) = scope.get(&text) {
                if let Some((_, val)) = entries.iter().find(|(c, _)| *c == context) {
                    return Ok(Some(val.clone()));
                }
                other = true;
            }
        }
        if other {
            return self.reject(ident, &errors::HYGIENE);
        }
        Ok(None)
    }

    pub fn assign(&mut self, ident: &Ident, val: Val) -> Result<()> {
        let (text, context) = (ident.to_string(), crate::lower::hygiene(ident));
        for scope in self.scopes[self.floor..].iter_mut().rev() {
            if let Some(entries) = scope.get_mut(&text)
                && let Some(entry) = entries.iter_mut().find(|(c, _)| *c == context)
            {
                entry.1 = val;
                return Ok(());
            }
        }
        self.reject(ident, &errors::ASSIGN)
    }

    pub fn tensor(&mut self, e: &syn::Expr) -> Result<V> {
        match self.expr(e)? {
            Val::Tensor(v) => Ok(v),
            Val::Const(_) => self.reject(e, &errors::TENSOR_RANK),
            _ => self.reject(e, &errors::TENSOR_EXPRESSION),
        }
    }

    /// An elementwise operation; `dim` where the shape is not that of the operands.
    pub fn map(&mut self, body: syn::Expr, operands: Vec<V>, dim: Option<Dim>, span: Span) -> V {
        let mut unique: Vec<V> = Vec::new();
        for v in operands {
            if !unique.contains(&v) {
                unique.push(v);
            }
        }
        let ty = match dim {
            Some(d) => Ty::Tensor(self.g.dim_rank(d), d),
            None => match unique.iter().find_map(|&v| self.g.dim(v)) {
                Some(d) => Ty::Tensor(self.g.dim_rank(d), d),
                None => Ty::Scalar,
            },
        };
        self.g.push(
            Op::Map {
                lets: Vec::new(),
                body: Box::new(body),
                operands: unique,
            },
            ty,
            span,
        )
    }

    pub fn value_of(&self, v: V) -> Val {
        if self.g.is_tensor(v) {
            Val::Tensor(v)
        } else {
            Val::Scalar(v)
        }
    }

    /// The shape of two operands broadcast against one another.
    pub fn broadcast(&mut self, a: Dim, b: Dim) -> Dim {
        if a == b {
            return a;
        }
        let rank = max_rank(self.g.dim_rank(a), self.g.dim_rank(b));
        self.g.new_dim(DimOp::Broadcast(a, b), rank)
    }

    /// `a op b`, where one of them is a tensor or a float that is not constant.
    pub fn binary(&mut self, op: TokenStream, a: Val, b: Val, at: &dyn ToTokens) -> Result<Val> {
        let span = at.span_of();
        let mut operands = Vec::new();
        let mut dim = None;
        let mut sides = Vec::new();
        for val in [a, b] {
            match val {
                Val::Tensor(v) | Val::Scalar(v) => {
                    if let Some(d) = self.g.dim(v) {
                        dim = Some(match dim {
                            Some(other) => self.broadcast(other, d),
                            None => d,
                        });
                    }
                    operands.push(v);
                    sides.push(operand(v).to_token_stream());
                }
                Val::Const(e) => {
                    let e = self.for_map(e);
                    sides.push(quote!((#e)));
                }
                _ => return self.reject(at, &errors::TENSOR_EXPRESSION),
            }
        }
        let (x, y) = (&sides[0], &sides[1]);
        let body = syn::parse2(quote_spanned!(span=> #x #op #y)).map_err(|_| Rejected)?;
        let v = self.map(body, operands, dim, span);
        Ok(self.value_of(v))
    }

    /// Constant Rust as the body of a map may mention it: the scalar compiler need not know its methods.
    pub fn for_map(&mut self, e: syn::Expr) -> syn::Expr {
        let mut elements = Elements(false);
        syn::visit::Visit::visit_expr(&mut elements, &e);
        match simple(&e) && !elements.0 {
            true => e,
            false => self.constant_name(e.to_token_stream()),
        }
    }

    /// 0 or 1, of the function's floats.
    pub fn number(&self, one: bool) -> syn::Expr {
        let number = match one {
            true => self.sig.elem.one(),
            false => self.sig.elem.zero(),
        };
        syn::parse_quote!(#number)
    }

    /// One scalar expression of values, each named by `operand`.
    pub fn unary(&mut self, v: V, body: syn::Expr, span: Span) -> Val {
        let v = self.map(body, vec![v], None, span);
        self.value_of(v)
    }
}

/// Finds elements and fields of constants.
struct Elements(bool);
impl<'ast> syn::visit::Visit<'ast> for Elements {
    fn visit_expr_index(&mut self, _: &'ast syn::ExprIndex) {
        self.0 = true;
    }
    fn visit_expr_field(&mut self, _: &'ast syn::ExprField) {
        self.0 = true;
    }
}

/// Spans of what can be pointed at.
pub trait SpanOf {
    fn span_of(&self) -> Span;
}
impl SpanOf for dyn ToTokens + '_ {
    fn span_of(&self) -> Span {
        self.to_token_stream().span()
    }
}

pub fn max_rank(a: Rank, b: Rank) -> Rank {
    Some(a?.max(b?))
}
