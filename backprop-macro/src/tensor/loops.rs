//! Loops, counted or found while running: the front end.
//!
//! In: a `for` over a sequence, or a `while`. Out: a [`Loop`] of the graph, with one value for each variable that its body changes. Which
//! these are, and which of them depend on a parameter, shows when it has been lowered: then it is lowered again, until nothing is new.
//! What must hold: what the loop hands to its next iteration is computed in its body, and is handed on once.

use crate::errors::{self, Rejected, Result};
use crate::tensor::carried::{Changed, Inside, named_const};
use crate::tensor::graph::*;
use crate::tensor::lists::Growing;
use crate::tensor::lower::{Lower, SpanOf, Val, const_name};
use proc_macro2::TokenStream;
use quote::ToTokens;

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
                Inside::List(last) => Val::Growing(Growing {
                    before: Some(last),
                    items: Vec::new(),
                }),
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
                    None if matches!(inside, Inside::List(_)) => {
                        return Err(self.errors.reject_named(at, &errors::TENSOR_PUSH, &c.name));
                    }
                    None => return Err(self.reject_changed(at, &c.name)),
                },
                (None, _) => return Err(Rejected),
            };
            if let (Inside::Value(next), Inside::Value(inside))
            | (Inside::List(Some(next)), Inside::List(Some(inside))) = (next, insides[k])
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
}
