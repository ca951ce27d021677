//! `syn` → tensor graph: what a tensor function computes.
//!
//! In: the function and its signature. Out: [`Program`]. An expression is a tensor or a float by its parts: parameters,
//! methods of tensors, operators on them. Whatever has no active value in it stays constant Rust, in which names of
//! locals are replaced by those of the generated code. Everything else has been rejected at its own span.

use crate::errors::{self, Errors, Message, Rejected, Result};
use crate::source::Source;
use crate::tensor::graph::*;
use crate::tensor::signature::{Kind, Out, TensorSig, axes, read_tensor};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;

/// What an expression stands for.
#[derive(Clone)]
pub enum Val {
    Unit,
    Tensor(V),
    Scalar(V),
    /// Tensors in a slice or a `Vec`.
    List(V),
    /// Constant Rust, in terms of the generated names.
    Const(syn::Expr),
    Tuple(Vec<Val>),
    Closure(Rc<Closure>),
    /// `Some` of it, or an `Ok`, to be unwrapped.
    Opt(Box<Val>),
    /// `Zip`, and iterators over all elements: the elements of several tensors.
    Zip(Zip),
}

/// The elements of some tensors side by side, mapped so far.
#[derive(Clone)]
pub struct Zip {
    pub parts: Vec<Val>,
    /// How the parts are nested for a closure's one pattern.
    pub pattern: Nest,
    /// Items are references.
    pub by_ref: bool,
}

/// The shape of an iterator's item: `((a, b), c)`.
#[derive(Clone)]
pub enum Nest {
    Part(usize),
    Tuple(Vec<Nest>),
}

/// A closure, with what it captures.
pub struct Closure {
    pub inputs: Vec<syn::Pat>,
    pub body: syn::Expr,
    captured: Vec<(Ident, Val)>,
}

/// The lowered function.
pub struct Program {
    pub graph: Graph,
    pub result: Val,
    pub items: Vec<TokenStream>,
}

pub type Scope = HashMap<String, Vec<(String, Val)>>;

pub struct Lower<'a> {
    pub g: Graph,
    pub sig: &'a TensorSig,
    pub errors: &'a Errors,
    pub function: &'a syn::ItemFn,
    pub source: &'a Source,
    pub scopes: Vec<Scope>,
    pub items: Vec<TokenStream>,
}

pub fn lower(
    function: &syn::ItemFn,
    sig: &TensorSig,
    errors: &Errors,
    source: &Source,
) -> Option<Program> {
    let mut l = Lower {
        g: Graph::default(),
        sig,
        errors,
        function,
        source,
        scopes: vec![Scope::new()],
        items: Vec::new(),
    };
    for (k, p) in sig.params.iter().enumerate() {
        let val = l.param(k);
        l.declare(&p.ident, val);
    }
    let result = l.block(&function.block);
    let at = match &function.sig.output {
        syn::ReturnType::Type(_, ty) => ty.to_token_stream(),
        syn::ReturnType::Default => function.sig.ident.to_token_stream(),
    };
    let result = result.and_then(|val| l.output(val, &sig.output, at));
    let result = result.ok().filter(|_| errors.is_empty())?;
    Some(Program {
        graph: l.g,
        result,
        items: l.items,
    })
}

impl Lower<'_> {
    pub fn reject<T>(&self, at: impl ToTokens, message: &Message) -> Result<T> {
        Err(self.errors.reject(at, message))
    }

    fn param(&mut self, k: usize) -> Val {
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

    fn output(&mut self, val: Val, out: &Out, at: TokenStream) -> Result<Val> {
        match (val, out) {
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

    // ---- names ----

    pub fn declare(&mut self, ident: &Ident, val: Val) {
        if let Val::Tensor(v) | Val::Scalar(v) = &val {
            let name = &mut self.g.values[v.0 as usize].name;
            if name.is_none() {
                *name = Some(ident.to_string().trim_start_matches("r#").to_string());
            }
        }
        let context = crate::lower::hygiene(ident);
        let Some(scope) = self.scopes.last_mut() else {
            return;
        };
        let entries = scope.entry(ident.to_string()).or_default();
        entries.retain(|(c, _)| *c != context);
        entries.push((context, val));
    }

    /// What a name stands for, if it is a local's.
    pub fn peek(&self, ident: &Ident) -> Option<&Val> {
        let (text, context) = (ident.to_string(), crate::lower::hygiene(ident));
        let mut entries = self
            .scopes
            .iter()
            .rev()
            .filter_map(|s| s.get(&text))
            .flatten();
        entries.find(|(c, _)| *c == context).map(|e| &e.1)
    }

    pub fn find(&self, ident: &Ident) -> Result<Option<Val>> {
        let (text, context) = (ident.to_string(), crate::lower::hygiene(ident));
        let mut other = false;
        for scope in self.scopes.iter().rev() {
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
        for scope in self.scopes.iter_mut().rev() {
            if let Some(entries) = scope.get_mut(&text)
                && let Some(entry) = entries.iter_mut().find(|(c, _)| *c == context)
            {
                entry.1 = val;
                return Ok(());
            }
        }
        self.reject(ident, &errors::ASSIGN)
    }

    // ---- statements ----

    pub fn block(&mut self, block: &syn::Block) -> Result<Val> {
        self.scopes.push(Scope::new());
        let mut last = Ok(Val::Unit);
        let count = block.stmts.len();
        for (k, stmt) in block.stmts.iter().enumerate() {
            let val = self.stmt(stmt, k + 1 == count);
            if k + 1 == count || val.is_err() {
                last = last.and(val);
            }
        }
        self.scopes.pop();
        last
    }

    fn stmt(&mut self, stmt: &syn::Stmt, last: bool) -> Result<Val> {
        match stmt {
            syn::Stmt::Local(local) => {
                let Some(init) = &local.init else {
                    return self.reject(local, &errors::TENSOR_EXPRESSION);
                };
                if let Some((_, diverge)) = &init.diverge {
                    return self.reject(diverge, &errors::TENSOR_EXPRESSION);
                }
                let (pat, ty) = match &local.pat {
                    syn::Pat::Type(t) => (&*t.pat, Some(&*t.ty)),
                    pat => (pat, None),
                };
                let val = self.typed(&init.expr, ty);
                match val {
                    Ok(val) => self.bind(pat, val, ty)?,
                    Err(Rejected) => return Err(Rejected),
                }
                Ok(Val::Unit)
            }
            // At the end of the function, not of a loop's body or a branch.
            syn::Stmt::Expr(syn::Expr::Return(r), _) if last && self.scopes.len() == 2 => {
                match &r.expr {
                    Some(e) => self.expr(e),
                    None => self.reject(r, &errors::TENSOR_RETURNS),
                }
            }
            syn::Stmt::Expr(e, semi) => {
                let val = self.expr(e)?;
                if semi.is_some() && matches!(&val, Val::Const(_)) {
                    // It may have effects, which the gradient functions would not have.
                    return self.reject(e, &errors::TENSOR_EXPRESSION);
                }
                Ok(if semi.is_some() { Val::Unit } else { val })
            }
            syn::Stmt::Macro(m) => self.macro_call(&m.mac).map(|val| {
                if m.semi_token.is_some() {
                    Val::Unit
                } else {
                    val
                }
            }),
            syn::Stmt::Item(
                item @ (syn::Item::Const(_) | syn::Item::Use(_) | syn::Item::Static(_)),
            ) => {
                self.items.push(item.to_token_stream());
                Ok(Val::Unit)
            }
            syn::Stmt::Item(item) => self.reject(item, &errors::ITEM),
        }
    }

    /// An expression with its type written beside it: a call of an annotated function needs it.
    fn typed(&mut self, e: &syn::Expr, ty: Option<&syn::Type>) -> Result<Val> {
        let val = self.expr(e)?;
        if let (Some(ty), Val::Const(c)) = (ty, &val)
            && let Some(t) = read_tensor(ty, self.sig.generics_floats())
        {
            let tokens = quote!({ let __value: #ty = #c; __value });
            return Ok(Val::Tensor(self.constant_tensor(tokens, t.rank, e.span())));
        }
        Ok(val)
    }

    pub fn bind(&mut self, pat: &syn::Pat, val: Val, ty: Option<&syn::Type>) -> Result<()> {
        match (pat, val) {
            (syn::Pat::Ident(p), val) if p.subpat.is_none() => {
                let val = match val {
                    Val::Const(e) if !simple(&e) => {
                        let tokens = match ty {
                            Some(ty) => quote!({ let __value: #ty = #e; __value }),
                            None => e.to_token_stream(),
                        };
                        Val::Const(self.constant_name(tokens))
                    }
                    Val::Const(e) if ty.is_some() => {
                        Val::Const(self.constant_name(quote!({ let __value: #ty = #e; __value })))
                    }
                    val => val,
                };
                self.declare(&p.ident, val);
                Ok(())
            }
            (syn::Pat::Wild(_), _) => Ok(()),
            (syn::Pat::Paren(p), val) => self.bind(&p.pat, val, ty),
            (syn::Pat::Type(t), val) => self.bind(&t.pat, val, Some(&t.ty)),
            (syn::Pat::Reference(r), Val::Const(e)) => {
                let e = match e {
                    syn::Expr::Reference(r) => *r.expr,
                    e => syn::parse_quote!((*#e)),
                };
                self.bind(&r.pat, Val::Const(e), None)
            }
            (syn::Pat::Reference(r), val) => self.bind(&r.pat, val, None),
            (syn::Pat::Tuple(t), Val::Tuple(vals)) if t.elems.len() == vals.len() => {
                for (p, v) in t.elems.iter().zip(vals) {
                    self.bind(p, v, None)?;
                }
                Ok(())
            }
            (syn::Pat::Tuple(t), Val::Const(e)) => {
                let whole = self.constant_name(e.to_token_stream());
                for (k, p) in t.elems.iter().enumerate() {
                    let k = syn::Index::from(k);
                    self.bind(p, Val::Const(syn::parse_quote!(#whole.#k)), None)?;
                }
                Ok(())
            }
            (syn::Pat::Slice(s), Val::Const(e)) => {
                let whole = self.constant_name(e.to_token_stream());
                for (k, p) in s.elems.iter().enumerate() {
                    if matches!(p, syn::Pat::Rest(_)) {
                        return self.reject(p, &errors::PATTERN);
                    }
                    self.bind(p, Val::Const(syn::parse_quote!(#whole[#k])), None)?;
                }
                Ok(())
            }
            (pat, _) => self.reject(pat, &errors::PATTERN),
        }
    }

    // ---- constants ----

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
            let shadows = self.scopes.iter().filter_map(|s| s.get(name)).flatten();
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

    // ---- values ----

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
                Val::Const(e) => sides.push(quote!((#e))),
                _ => return self.reject(at, &errors::TENSOR_EXPRESSION),
            }
        }
        let (x, y) = (&sides[0], &sides[1]);
        let body = syn::parse2(quote_spanned!(span=> #x #op #y)).map_err(|_| Rejected)?;
        let v = self.map(body, operands, dim, span);
        Ok(self.value_of(v))
    }

    /// One scalar expression of values, each named by `operand`.
    pub fn unary(&mut self, v: V, body: syn::Expr, span: Span) -> Val {
        let v = self.map(body, vec![v], None, span);
        self.value_of(v)
    }

    // ---- closures ----

    pub fn closure(&mut self, c: &syn::ExprClosure) -> Result<Val> {
        let mut names = Names::default();
        names.visit_expr(&c.body);
        let mut bound = Bound::default();
        bound.visit_expr_closure(c);
        let mut captured = Vec::new();
        let params: BTreeSet<String> = {
            let mut own = Bound::default();
            c.inputs.iter().for_each(|p| own.visit_pat(p));
            own.0
        };
        for ident in names.0 {
            if params.contains(&ident.to_string()) {
                continue;
            }
            if let Some(val) = self.find(&ident)? {
                captured.push((ident, val));
            }
        }
        Ok(Val::Closure(Rc::new(Closure {
            inputs: c.inputs.iter().cloned().collect(),
            body: (*c.body).clone(),
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

    fn inner_closure(
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

    fn errors_named<T>(&self, ident: &Ident, message: &Message) -> Result<T> {
        Err(self.errors.reject(ident, message))
    }

    /// A closure, or the path of a function.
    fn expr_function(&mut self, f: &syn::Expr) -> Result<Val> {
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

    // ---- expressions ----

    pub fn expr(&mut self, e: &syn::Expr) -> Result<Val> {
        match e {
            syn::Expr::Paren(p) => self.expr(&p.expr),
            syn::Expr::Group(p) => self.expr(&p.expr),
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
            syn::Expr::MethodCall(m) => self.method(m),
            syn::Expr::Call(c) => self.call(c),
            syn::Expr::Macro(m) => self.macro_call(&m.mac),
            syn::Expr::Index(i) => self.index(i),
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
            syn::Expr::ForLoop(f) if f.label.is_none() => match self.few(&f.expr) {
                Some(items) => self.unrolled(f, items),
                None => self.counted_loop(f),
            },
            _ => Ok(Val::Const(self.constant(e)?)),
        }
    }

    /// The items of a loop that is written out: a short literal range, or expressions side by side.
    fn few(&self, e: &syn::Expr) -> Option<Vec<syn::Expr>> {
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

    /// A loop written out, one iteration after another.
    fn unrolled(&mut self, f: &syn::ExprForLoop, items: Vec<syn::Expr>) -> Result<Val> {
        for item in &items {
            let val = self.expr(item)?;
            self.scopes.push(Scope::new());
            let done = self
                .bind(&f.pat, val, None)
                .and_then(|()| self.block(&f.body));
            self.scopes.pop();
            done?;
        }
        Ok(Val::Unit)
    }

    fn binary_expr(&mut self, b: &syn::ExprBinary) -> Result<Val> {
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

    fn assignment(&mut self, a: &syn::ExprAssign) -> Result<Val> {
        let right = self.expr(&a.right)?;
        self.update(&a.left, right, None, a)?;
        Ok(Val::Unit)
    }

    /// `place = value` and `place op= value`.
    pub fn update(
        &mut self,
        place: &syn::Expr,
        value: Val,
        op: Option<TokenStream>,
        at: &dyn ToTokens,
    ) -> Result<()> {
        match place {
            syn::Expr::Paren(p) => self.update(&p.expr, value, op, at),
            syn::Expr::Group(p) => self.update(&p.expr, value, op, at),
            syn::Expr::Unary(u) if matches!(u.op, syn::UnOp::Deref(_)) => {
                self.update(&u.expr, value, op, at)
            }
            syn::Expr::Path(p) if p.path.get_ident().is_some() => {
                let Some(ident) = p.path.get_ident() else {
                    return Err(Rejected);
                };
                let Some(old) = self.find(ident)? else {
                    return self.reject(place, &errors::ASSIGN);
                };
                let new = match op {
                    None => value,
                    Some(op) => self.update_value(old, value, op, at)?,
                };
                self.assign(ident, new)
            }
            syn::Expr::Index(i) => {
                let base = self.tensor(&i.expr)?;
                let index = self.element_index(&i.index)?;
                let value = match op {
                    None => value,
                    Some(op) => {
                        let old = self.element(base, index.clone(), i.span());
                        self.update_value(Val::Scalar(old), value, op, at)?
                    }
                };
                let value = self.scalar_value(value, at)?;
                let ty = self.g.value(base).ty;
                let new = self.g.push(Op::Put(base, value, index), ty, i.span());
                self.update(&i.expr, Val::Tensor(new), None, at)
            }
            syn::Expr::MethodCall(m) => {
                // A mutable view of a local: `h.row_mut(i)`, `h.slice_mut(s![…])`.
                let base = self.tensor(&m.receiver)?;
                let Some((view, removed)) = self.view_mut(m, base)? else {
                    return self.reject(place, &errors::ASSIGN);
                };
                let value = match op {
                    None => value,
                    Some(op) => {
                        let old = self.view(base, view.clone(), removed, m.span())?;
                        self.update_value(Val::Tensor(old), value, op, at)?
                    }
                };
                let new = self.assign_part(base, value, view, removed, m)?;
                self.update(&m.receiver, Val::Tensor(new), None, at)
            }
            _ => self.reject(place, &errors::ASSIGN),
        }
    }

    fn update_value(
        &mut self,
        old: Val,
        value: Val,
        op: TokenStream,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        if let (Val::Const(x), Val::Const(y)) = (&old, &value) {
            return Ok(Val::Const(syn::parse_quote!(((#x) #op (#y)))));
        }
        let (Val::Tensor(a), Val::Tensor(b)) = (&old, &value) else {
            return self.binary(op, old, value, at);
        };
        // The right side is broadcast to the left one, never the other way.
        let (Some(da), Some(db)) = (self.g.dim(*a), self.g.dim(*b)) else {
            return Err(Rejected);
        };
        let dim = if da == db {
            da
        } else {
            self.g.new_dim(DimOp::Into(da, db), self.g.dim_rank(da))
        };
        let (x, y) = (operand(*a), operand(*b));
        let v = self.map(
            syn::parse_quote!(#x #op #y),
            vec![*a, *b],
            Some(dim),
            at.span_of(),
        );
        Ok(Val::Tensor(v))
    }

    /// A scalar, also where it is constant.
    pub fn scalar_value(&mut self, val: Val, at: &dyn ToTokens) -> Result<V> {
        match val {
            Val::Scalar(v) => Ok(v),
            Val::Const(e) => Ok(self.map(e, Vec::new(), None, at.span_of())),
            _ => self.reject(at, &errors::NOT_SCALAR),
        }
    }

    /// The base with the part that a view shows replaced.
    pub fn assign_part(
        &mut self,
        base: V,
        value: Val,
        view: View,
        rank: Rank,
        at: &dyn ToTokens,
    ) -> Result<V> {
        let span = at.span_of();
        let (Some(d), ty) = (self.g.dim(base), self.g.value(base).ty) else {
            return Err(Rejected);
        };
        let part = self.g.new_dim(DimOp::View(d, view.clone()), rank);
        let value = match value {
            Val::Tensor(v) => {
                if let Some(dv) = self.g.dim(v) {
                    self.g.new_dim(DimOp::Into(part, dv), rank);
                }
                v
            }
            Val::Scalar(v) => self.map(
                syn::Expr::Path(syn::ExprPath {
                    attrs: Vec::new(),
                    qself: None,
                    path: operand(v).into(),
                }),
                vec![v],
                Some(part),
                span,
            ),
            Val::Const(e) => self.map(e, Vec::new(), Some(part), span),
            _ => return self.reject(at, &errors::ASSIGN),
        };
        Ok(self.g.push(Op::Assign(base, value, view), ty, span))
    }

    fn index(&mut self, i: &syn::ExprIndex) -> Result<Val> {
        match self.expr(&i.expr)? {
            Val::Tensor(v) => {
                let index = self.element_index(&i.index)?;
                Ok(Val::Scalar(self.element(v, index, i.span())))
            }
            Val::Const(base) => {
                let index = self.constant(&i.index)?;
                Ok(Val::Const(syn::parse_quote!(#base[#index])))
            }
            Val::List(v) => {
                let index = self.argument(&i.index)?;
                Ok(Val::Tensor(self.list_item(v, index, i.span())))
            }
            _ => self.reject(i, &errors::TENSOR_EXPRESSION),
        }
    }

    fn element(&mut self, v: V, index: TokenStream, span: Span) -> V {
        self.g.push(Op::Get(v, index), Ty::Scalar, span)
    }

    fn element_index(&mut self, e: &syn::Expr) -> Result<TokenStream> {
        let e = match e {
            // One bracket pair of `x[[i, j]]` is the index itself.
            syn::Expr::Array(a) => {
                let all: Result<Vec<TokenStream>> =
                    a.elems.iter().map(|e| self.argument(e)).collect();
                let all = all?;
                return Ok(quote!([#(#all),*]));
            }
            other => other,
        };
        self.argument(e)
    }

    fn macro_call(&mut self, mac: &syn::Macro) -> Result<Val> {
        let name = mac
            .path
            .segments
            .last()
            .map(|s| s.ident.to_string())
            .unwrap_or_default();
        let args = || {
            mac.parse_body_with(
                syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated,
            )
        };
        match name.as_str() {
            "assert" | "assert_eq" | "assert_ne" | "debug_assert" | "debug_assert_eq"
            | "debug_assert_ne" => {
                let Ok(args) = args() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let args: Result<Vec<syn::Expr>> = args.iter().map(|e| self.constant(e)).collect();
                let (path, args) = (&mac.path, args?);
                self.g.stmts.push(Stmt::Effect(quote!(#path!(#(#args),*);)));
                Ok(Val::Unit)
            }
            "concatenate" | "stack" => {
                let Ok(args) = args() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let args: Vec<syn::Expr> = args.into_iter().collect();
                let Some((axis, parts)) = args.split_first() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let parts: Result<Vec<V>> = parts.iter().map(|e| self.tensor(e)).collect();
                self.concatenate(axis, parts?, name == "stack", mac)
            }
            "array" => {
                let Ok(args) = args() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let rank = array_rank(args.first());
                let all: Result<Vec<syn::Expr>> = args.iter().map(|e| self.constant(e)).collect();
                let (path, all) = (&mac.path, all?);
                let v = self.constant_tensor(quote!(#path![#(#all),*]), Some(rank), mac.span());
                Ok(Val::Tensor(v))
            }
            "vec" | "cfg" | "env" | "line" | "matches" => {
                let mut names = BTreeSet::new();
                crate::items::identifiers(mac.tokens.clone(), &mut names);
                for scope in &self.scopes {
                    for (name, entries) in scope {
                        let constant = entries.iter().all(|(_, v)| {
                            matches!(v, Val::Const(syn::Expr::Path(p)) if p.path.get_ident().is_some_and(|i| i == name))
                        });
                        if names.contains(name) && !constant {
                            return self.errors_at(mac);
                        }
                    }
                }
                let e = syn::ExprMacro {
                    attrs: Vec::new(),
                    mac: mac.clone(),
                };
                Ok(Val::Const(syn::Expr::Macro(e)))
            }
            _ => Err(self.errors.reject_named(&mac.path, &errors::MACRO, &name)),
        }
    }

    fn errors_at(&self, mac: &syn::Macro) -> Result<Val> {
        let name = mac.path.to_token_stream().to_string();
        Err(self.errors.reject_named(&mac.path, &errors::MACRO, &name))
    }

    pub fn concatenate(
        &mut self,
        axis: &syn::Expr,
        parts: Vec<V>,
        stack: bool,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let axis = self.argument(axis)?;
        let span = at.span_of();
        let mut all = Vec::new();
        for v in parts {
            all.push(if stack {
                let view = View {
                    form: quote!(.insert_axis(#axis)),
                    whole: true,
                };
                let rank = self.g.rank(v).map(|r| r + 1);
                self.view(v, view, rank, span)?
            } else {
                v
            });
        }
        let Some(rank) = all.first().map(|&v| self.g.rank(v)) else {
            return self.reject(at, &errors::TENSOR_EXPRESSION);
        };
        let dims = all.iter().filter_map(|&v| self.g.dim(v)).collect();
        let dim = self.g.new_dim(DimOp::Concatenate(dims, axis.clone()), rank);
        let v = self
            .g
            .push(Op::Concatenate(all, axis), Ty::Tensor(rank, dim), span);
        Ok(Val::Tensor(v))
    }

    // ---- calls of functions by path ----

    fn call(&mut self, c: &syn::ExprCall) -> Result<Val> {
        let syn::Expr::Path(path) = &*c.func else {
            return self.reject(c, &errors::TENSOR_EXPRESSION);
        };
        if let Some(ident) = path.path.get_ident()
            && let Some(val) = self.find(ident)?
        {
            let Val::Closure(closure) = val else {
                return self.reject(c, &errors::TENSOR_EXPRESSION);
            };
            // A closure of this function's: inlined.
            let mut args = Vec::new();
            for a in &c.args {
                args.push(self.expr(a)?);
            }
            if args.len() != closure.inputs.len() {
                return self.reject(c, &errors::CLOSURE);
            }
            self.scopes.push(Scope::new());
            for (ident, val) in &closure.captured {
                self.declare(ident, val.clone());
            }
            let mut bound = Ok(());
            for (p, a) in closure.inputs.iter().zip(args) {
                bound = bound.and(self.bind(p, a, None));
            }
            let val = bound.and_then(|()| self.expr(&closure.body));
            self.scopes.pop();
            return val;
        }
        let segments: Vec<String> = path
            .path
            .segments
            .iter()
            .map(|s| s.ident.to_string())
            .collect();
        let last = segments.last().cloned().unwrap_or_default();
        let holder = segments
            .len()
            .checked_sub(2)
            .map(|k| segments[k].as_str())
            .unwrap_or("");
        if let Some(base) = holder.strip_prefix("Array") {
            return self.constructor(c, path, base, &last);
        }
        if holder == "Zip" && last == "from" && c.args.len() == 1 {
            let v = self.tensor(&c.args[0])?;
            return Ok(Val::Zip(Zip {
                parts: vec![Val::Tensor(v)],
                pattern: Nest::Part(0),
                by_ref: true,
            }));
        }
        if last == "concatenate" || last == "stack" {
            // `ndarray::concatenate(Axis(0), &[a.view(), b.view()])`, a `Result`.
            let [axis, list] = [c.args.first(), c.args.get(1)];
            if let (Some(axis), Some(list)) = (axis, list) {
                let list = match list {
                    syn::Expr::Reference(r) => &*r.expr,
                    other => other,
                };
                if let syn::Expr::Array(a) = list {
                    let parts: Result<Vec<V>> = a.elems.iter().map(|e| self.tensor(e)).collect();
                    let val = self.concatenate(axis, parts?, last == "stack", c)?;
                    return Ok(Val::Opt(Box::new(val)));
                }
            }
            return self.reject(c, &errors::TENSOR_EXPRESSION);
        }
        let mut vals = Vec::new();
        for a in &c.args {
            vals.push(self.expr(a)?);
        }
        let constant = vals.iter().all(|v| matches!(v, Val::Const(_)));
        if constant {
            return Ok(Val::Const(self.constant(&syn::Expr::Call(c.clone()))?));
        }
        let scalars = vals
            .iter()
            .all(|v| matches!(v, Val::Const(_) | Val::Scalar(_)));
        if !scalars {
            return self.annotated(c, path);
        }
        // A function of scalars: the scalar compiler knows what it is.
        let mut operands = Vec::new();
        let mut args = Vec::new();
        for v in vals {
            match v {
                Val::Scalar(v) => {
                    operands.push(v);
                    args.push(operand(v).to_token_stream());
                }
                Val::Const(e) => args.push(e.to_token_stream()),
                _ => {}
            }
        }
        let f = &c.func;
        let body = syn::parse2(quote_spanned!(c.span()=> #f(#(#args),*))).map_err(|_| Rejected)?;
        let v = self.map(body, operands, None, c.span());
        Ok(Val::Scalar(v))
    }

    /// `Array2::zeros(shape)` and its like.
    fn constructor(
        &mut self,
        c: &syn::ExprCall,
        path: &syn::ExprPath,
        base: &str,
        name: &str,
    ) -> Result<Val> {
        let span = c.span();
        let args: Vec<&syn::Expr> = c.args.iter().collect();
        let fixed = match base {
            "" => {
                // `Array::<f64, Ix2>::zeros`, or as many axes as the shape shows.
                let holder = &path.path.segments[path.path.segments.len() - 2];
                match &holder.arguments {
                    syn::PathArguments::AngleBracketed(a) => a.args.iter().find_map(|a| match a {
                        syn::GenericArgument::Type(t) => axes(t),
                        _ => None,
                    }),
                    _ => None,
                }
            }
            "D" => Some(None),
            digit => match digit.parse() {
                Ok(n) => Some(Some(n)),
                Err(_) => return self.reject(path, &errors::TENSOR_EXPRESSION),
            },
        };
        match (name, args.as_slice()) {
            ("zeros" | "ones", [shape]) | ("from_elem", [shape, _]) => {
                let rank = match fixed {
                    Some(rank) => rank,
                    None => self.shape_rank(shape)?,
                };
                let dim = self.given(shape, rank, None)?;
                let fill = match name {
                    "zeros" => Val::Const(syn::parse_quote!(0.0)),
                    "ones" => Val::Const(syn::parse_quote!(1.0)),
                    _ => self.expr(args[1])?,
                };
                let (body, operands): (syn::Expr, Vec<V>) = match fill {
                    Val::Const(e) => (e, Vec::new()),
                    Val::Scalar(v) => {
                        let a = operand(v);
                        (syn::parse_quote!(#a), vec![v])
                    }
                    _ => return self.reject(c, &errors::TENSOR_EXPRESSION),
                };
                Ok(Val::Tensor(self.map(body, operands, Some(dim), span)))
            }
            _ => {
                let Some(rank) = fixed.or(if name == "from_vec" {
                    Some(Some(1))
                } else {
                    None
                }) else {
                    return self.reject(path, &errors::TENSOR_RANK);
                };
                let e = self.constant(&syn::Expr::Call(c.clone()))?;
                let v = self.constant_tensor(e.to_token_stream(), rank, span);
                Ok(match name {
                    "from_shape_vec" => Val::Opt(Box::new(Val::Tensor(v))),
                    _ => Val::Tensor(v),
                })
            }
        }
    }

    /// The number of axes that a shape expression shows.
    pub fn shape_rank(&mut self, e: &syn::Expr) -> Result<Rank> {
        match e {
            syn::Expr::Tuple(t) => Ok(Some(t.elems.len())),
            syn::Expr::Array(a) => Ok(Some(a.elems.len())),
            syn::Expr::Paren(p) => self.shape_rank(&p.expr),
            syn::Expr::Group(p) => self.shape_rank(&p.expr),
            syn::Expr::Reference(r) => self.shape_rank(&r.expr),
            syn::Expr::Lit(_) => Ok(Some(1)),
            syn::Expr::MethodCall(m) => {
                match (m.method.to_string().as_str(), self.expr(&m.receiver)?) {
                    ("raw_dim" | "dim", Val::Tensor(v)) => Ok(self.g.rank(v)),
                    ("nrows" | "ncols" | "len" | "len_of", _) => Ok(Some(1)),
                    ("f", Val::Const(_)) => self.shape_rank(&m.receiver),
                    _ => self.reject(e, &errors::TENSOR_RANK),
                }
            }
            syn::Expr::Path(_) | syn::Expr::Binary(_) => match self.expr(e)? {
                Val::Const(syn::Expr::Tuple(t)) => Ok(Some(t.elems.len())),
                Val::Const(_) => Ok(Some(1)),
                _ => self.reject(e, &errors::TENSOR_RANK),
            },
            _ => self.reject(e, &errors::TENSOR_RANK),
        }
    }

    /// A shape given by constant Rust.
    pub fn given(&mut self, shape: &syn::Expr, rank: Rank, of: Option<Dim>) -> Result<Dim> {
        let shape = self.argument(shape)?;
        Ok(self.g.new_dim(DimOp::Given(shape, of), rank))
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

/// The local that holds a constant.
pub fn const_name(c: C) -> Ident {
    format_ident!("__c{}", c.0, span = Span::mixed_site())
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
        syn::Expr::Reference(r) => strip_expr(&r.expr),
        other => other,
    }
}

fn array_rank(first: Option<&syn::Expr>) -> usize {
    match first {
        Some(syn::Expr::Array(a)) => 1 + array_rank(a.elems.first()),
        _ => 1,
    }
}

fn strip(pat: &syn::Pat) -> &syn::Pat {
    match pat {
        syn::Pat::Type(t) => strip(&t.pat),
        syn::Pat::Paren(p) => strip(&p.pat),
        other => other,
    }
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
struct Bound(BTreeSet<String>);
impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, p: &'ast syn::PatIdent) {
        self.0.insert(p.ident.to_string());
        syn::visit::visit_pat_ident(self, p);
    }
}

/// The single names that an expression mentions.
#[derive(Default)]
struct Names(Vec<Ident>);
impl<'ast> Visit<'ast> for Names {
    fn visit_expr_path(&mut self, p: &'ast syn::ExprPath) {
        if let Some(ident) = p.path.get_ident()
            && !self.0.contains(ident)
        {
            self.0.push(ident.clone());
        }
    }
}

/// Replaces the names of locals in constant Rust, and asks shapes of the shape program.
struct Substitute<'l, 'a> {
    l: &'l mut Lower<'a>,
    bound: BTreeSet<String>,
    failed: Option<Rejected>,
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
