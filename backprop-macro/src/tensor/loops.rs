//! Loops over what is counted while running: the front end.
//!
//! In: a `for` over a sequence. Out: a [`Loop`] of the graph. Its body is lowered once, with one value for each variable that it changes. Which these are, and
//! which of them depend on a parameter, shows when it has been lowered: then it is lowered again, until nothing is new.
//! What must hold: what the loop hands to its next iteration is computed in its body, and is handed on once.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, Scope, SpanOf, Val, const_name};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// A variable that a loop changes: where it stands, and whether it depends on a parameter.
#[derive(Clone, PartialEq)]
struct Changed {
    scope: usize,
    name: String,
    context: String,
    active: bool,
    /// It becomes a float, whatever it was before.
    float: bool,
}

/// What a variable holds where a loop starts.
#[derive(Clone)]
enum Start {
    Value(V),
    Const(C),
}

/// What the variable is inside of the loop.
#[derive(Clone, Copy)]
enum Inside {
    Value(V),
    Const(C),
}

type Condition<'c> = &'c dyn Fn(&mut Lower, &TokenStream) -> Result<syn::Expr>;

impl Lower<'_> {
    /// A `for` whose number of iterations is known while running only.
    pub fn counted_loop(&mut self, f: &syn::ExprForLoop) -> Result<Val> {
        let sequence = self.sequence(&f.expr)?;
        let count = self.length(&sequence);
        let body = |l: &mut Self, k: TokenStream| {
            let item = l.item(&sequence, k, &f.expr)?;
            l.bind(&f.pat, item, None)?;
            l.block(&f.body).map(|_| ())
        };
        match crate::tensor::ways_out::until(&f.attrs) {
            None => {
                let count = self.g.new_const(count.to_token_stream());
                self.repeated(count, &f.expr, &body)?;
            }
            // A flag may end it before.
            Some(flag) => {
                let most = self.constant_name(count.to_token_stream());
                let condition = |l: &mut Lower, k: &TokenStream| {
                    let flag = l.constant(&syn::parse_quote!(#flag))?;
                    Ok(syn::parse_quote!((#k < #most && !#flag)))
                };
                self.repeated_while(&f.expr, Some(&condition), &body)?;
            }
        }
        Ok(Val::Unit)
    }

    /// `while`.
    pub fn while_loop(&mut self, w: &syn::ExprWhile) -> Result<Val> {
        let condition = |l: &mut Lower, _: &TokenStream| l.condition(&w.cond);
        self.repeated_while(&w.cond, Some(&condition), &|l, _| {
            l.block(&w.body).map(|_| ())
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
        self.lowered(Some(count), at, None, body)
    }

    /// A body that is run while a condition holds.
    fn repeated_while(
        &mut self,
        at: &dyn ToTokens,
        condition: Option<Condition>,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<()>,
    ) -> Result<()> {
        self.lowered(None, at, condition, body)
    }

    fn lowered(
        &mut self,
        count: Option<C>,
        at: &dyn ToTokens,
        condition: Option<Condition>,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<()>,
    ) -> Result<()> {
        let mut changed: Vec<Changed> = Vec::new();
        loop {
            let (graph, scopes, items) = (self.g.clone(), self.scopes.clone(), self.items.len());
            match self.attempt(at, condition, body, count, &changed)? {
                None => return Ok(()),
                Some(more) => {
                    (self.g, self.scopes) = (graph, scopes);
                    self.items.truncate(items);
                    changed = more;
                }
            }
        }
    }

    /// A constant that the loop itself computes.
    fn loop_const(&mut self, ty: Option<TokenStream>) -> C {
        let c = self.g.new_const(TokenStream::new());
        self.g.stmts.pop();
        if let Some(ty) = ty {
            self.g.types.insert(c, ty.to_string());
        }
        c
    }

    /// Lowers the body; or tells which variables it changes, where these are others than was assumed.
    fn attempt(
        &mut self,
        at: &dyn ToTokens,
        condition: Option<Condition>,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<()>,
        count: Option<C>,
        changed: &[Changed],
    ) -> Result<Option<Vec<Changed>>> {
        let span = at.span_of();
        let mut starts = Vec::new();
        for c in changed {
            let Some(val) = self.entry(c).map(|v| v.clone()) else {
                return Err(Rejected);
            };
            starts.push(self.start(val, c.float, at, &c.name)?);
        }

        let id = self.open_loop(count);
        let outside = (std::mem::take(&mut self.g.stmts), self.g.region);
        self.g.region = id + 1;
        let mut insides = Vec::new();
        for (c, start) in changed.iter().zip(&starts) {
            let inside = self.inside(id, start, c.active, span);
            let val = match inside {
                Inside::Value(v) => self.value_of(v),
                Inside::Const(c) => named_const(c),
            };
            if let Some(entry) = self.entry(c) {
                *entry = val;
            }
            insides.push(inside);
        }
        let before = self.scopes.clone();
        let index = const_name(self.g.loops[id].index).to_token_stream();
        if let Some(condition) = condition {
            let goes_on = condition(self, &index)?;
            let c = self.g.new_const(goes_on.to_token_stream());
            self.g.stmts.push(Stmt::Leave(c));
        }
        self.scoped(|l| body(l, index))?;

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
        let mut nexts: Vec<Inside> = Vec::new();
        let mut taken: Vec<V> = Vec::new();
        for (k, c) in changed.iter().enumerate() {
            let now = self.entry(c).map(|v| v.clone());
            let next = match (now, insides[k]) {
                // It was no float before, and is one now.
                (Some(Val::Scalar(_)), Inside::Const(_)) if !c.float => {
                    more[k].float = true;
                    return Ok(Some(more));
                }
                (Some(now), inside) => match self.next(now, inside, id, &mut taken, span) {
                    Some(next) => next,
                    None => return Err(self.reject_changed(at, &c.name)),
                },
                (None, _) => return Err(Rejected),
            };
            if let (Inside::Value(next), Inside::Value(inside)) = (next, insides[k])
                && self.g.active(next)
                && !self.g.active(inside)
            {
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
            let val = self.carried(id, &starts[k], insides[k], nexts[k], &c.name, span)?;
            if let Some(entry) = self.entry(c) {
                *entry = val;
            }
        }
        Ok(None)
    }

    /// A loop with nothing in it yet; counted while running where there is no count.
    fn open_loop(&mut self, count: Option<C>) -> usize {
        let id = self.g.loops.len();
        let found = count.is_none();
        let count = match count {
            Some(count) => count,
            None => self.loop_const(Some(quote!(::core::primitive::usize))),
        };
        let index = self.loop_const(None);
        self.g.loops.push(Loop {
            count,
            index,
            found,
            ..Loop::default()
        });
        id
    }

    /// What a variable holds where a loop starts, in a place of its own.
    fn start(&mut self, val: Val, float: bool, at: &dyn ToTokens, name: &str) -> Result<Start> {
        Ok(match val {
            Val::Tensor(v) | Val::Scalar(v) => Start::Value(v),
            Val::Const(e) if float || self.is_float(&e) => {
                Start::Value(self.map(e, Vec::new(), None, at.span_of()))
            }
            Val::Const(e) => {
                let (ty, mut signed) = (self.fixed_type(&e), Signed(false));
                syn::visit::Visit::visit_expr(&mut signed, &e);
                let tokens = match &ty {
                    Some(ty) => quote!({ let __value: #ty = #e; __value }),
                    None if self.countable(&e) && !signed.0 => e.to_token_stream(),
                    None => return Err(self.reject_changed(at, name)),
                };
                let c = self.g.new_const(tokens);
                if let Some(ty) = ty {
                    self.g.types.insert(c, ty.to_string());
                }
                Start::Const(c)
            }
            _ => return Err(self.reject_changed(at, name)),
        })
    }

    /// What the variable is inside.
    fn inside(&mut self, id: usize, start: &Start, active: bool, span: Span) -> Inside {
        match start {
            Start::Value(init) => {
                let ty = self.shape_of_next(*init);
                let of = Op::Inside {
                    init: *init,
                    of: id,
                };
                let v = self.g.push(of, ty, span);
                self.g.values[v.0 as usize].active |= active;
                self.own_shape(v);
                Inside::Value(v)
            }
            Start::Const(c) => {
                let ty = self.g.types.get(c).and_then(|t| t.parse().ok());
                Inside::Const(self.loop_const(ty))
            }
        }
    }

    /// What the next iteration finds; `None` where it is of another kind.
    fn next(
        &mut self,
        now: Val,
        inside: Inside,
        id: usize,
        taken: &mut Vec<V>,
        span: Span,
    ) -> Option<Inside> {
        let v = match (now, inside) {
            (Val::Const(e), Inside::Const(_)) => {
                return Some(Inside::Const(self.g.new_const(e.to_token_stream())));
            }
            (Val::Tensor(v), Inside::Value(w))
                if self.g.is_tensor(w) && self.g.rank(v) == self.g.rank(w) =>
            {
                v
            }
            (Val::Scalar(v), Inside::Value(w)) if !self.g.is_tensor(w) => v,
            (Val::Const(e), Inside::Value(w)) if !self.g.is_tensor(w) => {
                self.map(e, Vec::new(), None, span)
            }
            _ => return None,
        };
        let next = self.own(v, id, taken);
        taken.push(next);
        Some(Inside::Value(next))
    }

    /// Hands a variable on from iteration to iteration: what it is after the loop.
    fn carried(
        &mut self,
        id: usize,
        start: &Start,
        inside: Inside,
        next: Inside,
        name: &str,
        span: Span,
    ) -> Result<Val> {
        match (start, inside, next) {
            (Start::Value(init), Inside::Value(inside), Inside::Value(next)) => {
                let init = *init;
                let ty = self.shape_of_next(init);
                let after = self.g.push(Op::After { init, next, of: id }, ty, span);
                self.own_shape(after);
                self.g.loops[id].carried.push(Carried {
                    init,
                    inside,
                    next,
                    after,
                });
                let name = name.trim_start_matches("r#");
                for v in [inside, next, after] {
                    let known = &mut self.g.values[v.0 as usize].name;
                    known.get_or_insert(name.to_string());
                }
                Ok(self.value_of(after))
            }
            (Start::Const(init), Inside::Const(inside), Inside::Const(next)) => {
                let ty = self.g.types.get(init).and_then(|t| t.parse().ok());
                let after = self.loop_const(ty);
                self.g.loops[id].consts.push(CarriedConst {
                    init: *init,
                    inside,
                    next,
                    after,
                });
                Ok(named_const(after))
            }
            _ => Err(Rejected),
        }
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

    /// A value like another, for a side that is not taken.
    fn placeholder(&mut self, like: &Val, span: Span) -> Val {
        match like {
            Val::Tensor(v) => {
                let rank = self.g.rank(*v);
                let empty = quote!(::backprop::tensor::empty());
                Val::Tensor(self.constant_tensor(empty, rank, span))
            }
            Val::Scalar(_) => Val::Scalar(self.map(syn::parse_quote!(0.0), Vec::new(), None, span)),
            Val::Const(e) => match self.fixed_type(e).map(|t| t.to_string()) {
                Some(t) if t == "bool" => Val::Const(syn::parse_quote!(false)),
                Some(t) => {
                    let ty: TokenStream = t.parse().unwrap_or_default();
                    Val::Const(syn::parse_quote!({ let __value: #ty = 0; __value }))
                }
                None if self.countable(e) => Val::Const(syn::parse_quote!(0)),
                None => Val::Scalar(self.map(syn::parse_quote!(0.0), Vec::new(), None, span)),
            },
            Val::Tuple(all) => Val::Tuple(all.iter().map(|v| self.placeholder(v, span)).collect()),
            other => other.clone(),
        }
    }

    /// An integer without a type: what is only counted up can be a `usize`.
    fn countable(&self, e: &syn::Expr) -> bool {
        match e {
            syn::Expr::Paren(p) => self.countable(&p.expr),
            syn::Expr::Group(p) => self.countable(&p.expr),
            syn::Expr::Lit(l) => matches!(&l.lit, syn::Lit::Int(_)),
            syn::Expr::Binary(b) => self.countable(&b.left) && self.countable(&b.right),
            syn::Expr::Path(p) => {
                let name = p
                    .path
                    .get_ident()
                    .map(|i| i.to_string())
                    .unwrap_or_default();
                let number = name.strip_prefix("__c").and_then(|n| n.parse().ok());
                match number.and_then(|n: usize| self.g.consts.get(n)) {
                    // One that a loop computes, which was countable where the loop starts.
                    Some(tokens) if tokens.is_empty() => true,
                    Some(tokens) => syn::parse2(tokens.clone()).is_ok_and(|e| self.countable(&e)),
                    None => false,
                }
            }
            _ => false,
        }
    }

    /// The type of an integer or `bool` by its spelling.
    fn fixed_type(&self, e: &syn::Expr) -> Option<TokenStream> {
        match e {
            syn::Expr::Paren(p) => self.fixed_type(&p.expr),
            syn::Expr::Group(p) => self.fixed_type(&p.expr),
            syn::Expr::Lit(l) => match &l.lit {
                syn::Lit::Bool(_) => Some(quote!(bool)),
                syn::Lit::Int(n) if !n.suffix().is_empty() => n.suffix().parse().ok(),
                _ => None,
            },
            syn::Expr::Unary(u) => match &u.op {
                syn::UnOp::Deref(_) => None,
                _ => self.fixed_type(&u.expr),
            },
            syn::Expr::Binary(b) => {
                use syn::BinOp::*;
                match &b.op {
                    And(_) | Or(_) | Lt(_) | Le(_) | Gt(_) | Ge(_) | Eq(_) | Ne(_) => {
                        Some(quote!(bool))
                    }
                    Shl(_) | Shr(_) => self.fixed_type(&b.left),
                    _ => self
                        .fixed_type(&b.left)
                        .or_else(|| self.fixed_type(&b.right)),
                }
            }
            syn::Expr::Cast(c) => Some(c.ty.to_token_stream()),
            syn::Expr::Block(b) => match b.block.stmts.first() {
                Some(syn::Stmt::Local(l)) => match &l.pat {
                    syn::Pat::Type(t) => Some(t.ty.to_token_stream()),
                    _ => None,
                },
                _ => None,
            },
            syn::Expr::MethodCall(m)
                if ["size", "len", "ndim"].iter().any(|n| m.method == n) && m.args.is_empty() =>
            {
                Some(quote!(usize))
            }
            // A shape's length along an axis.
            syn::Expr::Index(i) => match &*i.expr {
                syn::Expr::Path(p) if p.path.get_ident()?.to_string().starts_with("__n") => {
                    Some(quote!(usize))
                }
                _ => None,
            },
            syn::Expr::Path(p) => {
                let ident = p.path.get_ident()?;
                let param = self.sig.params.iter().find(|q| q.ident == *ident);
                if let Some(param) = param {
                    let whole = matches!(&param.ty, syn::Type::Path(_));
                    return whole.then(|| param.ty.to_token_stream());
                }
                let n: u32 = ident.to_string().strip_prefix("__c")?.parse().ok()?;
                if let Some(ty) = self.g.types.get(&C(n)) {
                    return ty.parse().ok();
                }
                let tokens = self.g.consts.get(n as usize)?.clone();
                self.fixed_type(&syn::parse2(tokens).ok()?)
            }
            _ => None,
        }
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
                            float: false,
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

fn named_const(c: C) -> Val {
    let name = const_name(c);
    Val::Const(syn::parse_quote!(#name))
}

/// Whether a number may become negative.
struct Signed(bool);
impl<'ast> syn::visit::Visit<'ast> for Signed {
    fn visit_bin_op(&mut self, op: &'ast syn::BinOp) {
        self.0 |= matches!(op, syn::BinOp::Sub(_));
    }
    fn visit_un_op(&mut self, op: &'ast syn::UnOp) {
        self.0 |= matches!(op, syn::UnOp::Neg(_));
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
