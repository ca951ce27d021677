//! Loops over what is counted while running: the front end.
//!
//! In: a `for` over a sequence. Out: a [`Loop`] of the graph. Its body is lowered once, with one value for each variable that it changes. Which these are, and
//! which of them depend on a parameter, shows when it has been lowered: then it is lowered again, until nothing is new.
//! What must hold: what the loop hands to its next iteration is computed in its body, and is handed on once.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, Scope, SpanOf, Val, const_name};
use proc_macro2::TokenStream;
use quote::ToTokens;

/// A variable that a loop changes: where it stands, and whether it depends on a parameter.
#[derive(Clone, PartialEq)]
struct Changed {
    scope: usize,
    name: String,
    context: String,
    active: bool,
}

impl Lower<'_> {
    /// A loop whose number of iterations is known while running only.
    pub fn counted_loop(&mut self, f: &syn::ExprForLoop) -> Result<Val> {
        let sequence = self.sequence(&f.expr)?;
        let count = self.length(&sequence);
        let count = self.g.new_const(count.to_token_stream());
        self.repeated(count, &f.expr, &|l, k| {
            let item = l.item(&sequence, k, &f.expr)?;
            l.bind(&f.pat, item, None)?;
            l.block(&f.body).map(|_| ())
        })?;
        Ok(Val::Unit)
    }

    /// A body that is run so many times, and may change variables.
    pub fn repeated(
        &mut self,
        count: C,
        at: &dyn ToTokens,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<()>,
    ) -> Result<()> {
        let mut changed: Vec<Changed> = Vec::new();
        loop {
            let (graph, scopes, items) = (self.g.clone(), self.scopes.clone(), self.items.len());
            match self.attempt(at, body, count, &changed)? {
                None => return Ok(()),
                Some(more) => {
                    (self.g, self.scopes) = (graph, scopes);
                    self.items.truncate(items);
                    changed = more;
                }
            }
        }
    }

    /// Lowers the body; or tells which variables it changes, where these are others than was assumed.
    fn attempt(
        &mut self,
        at: &dyn ToTokens,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<()>,
        count: C,
        changed: &[Changed],
    ) -> Result<Option<Vec<Changed>>> {
        let span = at.span_of();
        let mut inits = Vec::new();
        for c in changed {
            let Some(val) = self.entry(c).map(|v| v.clone()) else {
                return Err(Rejected);
            };
            inits.push(match val {
                Val::Tensor(v) | Val::Scalar(v) => v,
                Val::Const(e) if self.is_float(&e) => self.map(e, Vec::new(), None, span),
                _ => return Err(self.reject_changed(at, &c.name)),
            });
        }

        let id = self.g.loops.len();
        self.g.loops.push(Loop {
            count,
            index: C(0),
            stmts: Vec::new(),
            carried: Vec::new(),
        });
        let outside = (std::mem::take(&mut self.g.stmts), self.g.region);
        self.g.region = id + 1;
        let mut insides = Vec::new();
        for (c, &init) in changed.iter().zip(&inits) {
            let ty = self.shape_of_next(init);
            let v = self.g.push(Op::Inside { init, of: id }, ty, span);
            self.g.values[v.0 as usize].active |= c.active;
            self.own_shape(v);
            let val = self.value_of(v);
            if let Some(entry) = self.entry(c) {
                *entry = val;
            }
            insides.push(v);
        }
        let before = self.scopes.clone();
        let index = self.g.new_const(TokenStream::new());
        self.g.stmts.pop();
        self.g.loops[id].index = index;
        self.scoped(|l| body(l, const_name(index).to_token_stream()))?;

        let mut more: Vec<Changed> = changed.to_vec();
        for c in self.differences(&before) {
            if !more
                .iter()
                .any(|m| (m.scope, &m.name, &m.context) == (c.scope, &c.name, &c.context))
            {
                more.push(c);
            }
        }
        if more.len() > changed.len() {
            return Ok(Some(more));
        }
        let mut nexts: Vec<V> = Vec::new();
        for (k, c) in changed.iter().enumerate() {
            let next = match self.entry(c).map(|v| v.clone()) {
                Some(Val::Tensor(v))
                    if self.g.rank(v) == self.g.rank(insides[k])
                        && self.g.is_tensor(insides[k]) =>
                {
                    v
                }
                Some(Val::Scalar(v)) if !self.g.is_tensor(insides[k]) => v,
                Some(Val::Const(e)) if !self.g.is_tensor(insides[k]) => {
                    self.map(e, Vec::new(), None, span)
                }
                _ => return Err(self.reject_changed(at, &c.name)),
            };
            let next = self.own(next, id, &nexts);
            if self.g.active(next) && !self.g.active(insides[k]) {
                more[k].active = true;
            }
            nexts.push(next);
        }
        if more != changed {
            return Ok(Some(more));
        }

        let stmts = std::mem::replace(&mut self.g.stmts, outside.0);
        self.g.region = outside.1;
        self.g.stmts.push(Stmt::Loop(id));
        self.g.loops[id].stmts = stmts;
        for (k, c) in changed.iter().enumerate() {
            let (init, inside, next) = (inits[k], insides[k], nexts[k]);
            let ty = self.shape_of_next(init);
            let after = self.g.push(Op::After { init, next, of: id }, ty, span);
            self.own_shape(after);
            self.g.loops[id].carried.push(Carried {
                init,
                inside,
                next,
                after,
            });
            let val = self.value_of(after);
            let name = syn::Ident::new(c.name.trim_start_matches("r#"), span);
            for v in [inside, next, after] {
                let known = &mut self.g.values[v.0 as usize].name;
                known.get_or_insert(name.to_string());
            }
            if let Some(entry) = self.entry(c) {
                *entry = val;
            }
        }
        Ok(None)
    }

    fn reject_changed(&self, at: &dyn ToTokens, name: &str) -> Rejected {
        self.errors.reject_named(at, &errors::TENSOR_CARRIED, name)
    }

    /// The type of a value of the same rank, whose shape is its own.
    fn shape_of_next(&self, like: V) -> Ty {
        match self.g.value(like).ty {
            Ty::Scalar => Ty::Scalar,
            Ty::Tensor(rank, _) | Ty::List(rank) => Ty::Tensor(rank, Dim(self.g.dims.len() as u32)),
        }
    }

    /// The shape of a value made with [`Lower::shape_of_next`].
    fn own_shape(&mut self, v: V) {
        if let Ty::Tensor(rank, _) = self.g.value(v).ty {
            self.g.new_dim(DimOp::Of(v), rank);
        }
    }

    /// A value computed in this region in a place of its own, and in none of `taken`.
    fn own(&mut self, v: V, id: usize, taken: &[V]) -> V {
        let value = self.g.value(v);
        let computed = !matches!(
            value.op,
            Op::Param(_) | Op::View(..) | Op::Item(..) | Op::Inside { .. } | Op::After { .. }
        );
        if computed && value.region == id + 1 && !taken.contains(&v) {
            return v;
        }
        let (a, dim, span) = (operand(v), self.g.dim(v), value.span);
        self.map(syn::parse_quote!(#a), vec![v], dim, span)
    }

    fn entry(&mut self, c: &Changed) -> Option<&mut Val> {
        let entries = self.scopes.get_mut(c.scope)?.get_mut(&c.name)?;
        entries
            .iter_mut()
            .find(|(context, _)| *context == c.context)
            .map(|e| &mut e.1)
    }

    /// The variables that differ from what they were, in a fixed order.
    fn differences(&self, before: &[Scope]) -> Vec<Changed> {
        let mut out = Vec::new();
        for (scope, (old, new)) in before.iter().zip(&self.scopes).enumerate() {
            let mut names: Vec<&String> = old.keys().collect();
            names.sort();
            for name in names {
                for (context, val) in &old[name] {
                    let now = new[name].iter().find(|(c, _)| c == context).map(|e| &e.1);
                    if now.is_none_or(|now| !unchanged(val, now)) {
                        out.push(Changed {
                            scope,
                            name: name.clone(),
                            context: context.clone(),
                            active: false,
                        });
                    }
                }
            }
        }
        out
    }

    /// A float by its spelling: what a loop may count up in.
    fn is_float(&self, e: &syn::Expr) -> bool {
        match e {
            syn::Expr::Lit(l) => matches!(&l.lit, syn::Lit::Float(_)),
            syn::Expr::Paren(p) => self.is_float(&p.expr),
            syn::Expr::Group(p) => self.is_float(&p.expr),
            syn::Expr::Unary(u) => self.is_float(&u.expr),
            syn::Expr::Binary(b) => self.is_float(&b.left) || self.is_float(&b.right),
            // `let x: f64 = …` stands for `{ let value: f64 = …; value }`.
            syn::Expr::Block(b) => match b.block.stmts.first() {
                Some(syn::Stmt::Local(l)) => match &l.pat {
                    syn::Pat::Type(t) => crate::tensor::signature::is_float(&t.ty, self.sig),
                    _ => false,
                },
                _ => false,
            },
            syn::Expr::Call(c) => {
                matches!(&*c.func, syn::Expr::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "zero" || s.ident == "one"))
            }
            syn::Expr::Path(p) => {
                let found = p.path.get_ident().and_then(|ident| {
                    let n: usize = ident.to_string().strip_prefix("__c")?.parse().ok()?;
                    self.g.consts.get(n)
                });
                match found {
                    Some(tokens) => {
                        syn::parse2(tokens.clone()).is_ok_and(|e: syn::Expr| self.is_float(&e))
                    }
                    None => {
                        p.path.segments.len() == 2
                            && ["f64", "f32"].iter().any(|f| p.path.segments[0].ident == f)
                    }
                }
            }
            _ => false,
        }
    }
}

/// Whether a variable still holds what it held.
fn unchanged(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Tensor(a), Val::Tensor(b))
        | (Val::Scalar(a), Val::Scalar(b))
        | (Val::List(a), Val::List(b)) => a == b,
        (Val::Const(a), Val::Const(b)) => {
            a.to_token_stream().to_string() == b.to_token_stream().to_string()
        }
        (Val::Tuple(a), Val::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| unchanged(a, b))
        }
        (Val::Struct(a), Val::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(&**b).all(|(a, b)| unchanged(&a.2, &b.2))
        }
        (Val::Place(a), Val::Place(b)) => a.same(b),
        (Val::Closure(a), Val::Closure(b)) => std::rc::Rc::ptr_eq(a, b),
        (Val::Opt(a), Val::Opt(b)) => unchanged(a, b),
        (Val::Unit, Val::Unit) | (Val::Zip(_), Val::Zip(_)) | (Val::Seq(_), Val::Seq(_)) => true,
        _ => false,
    }
}
