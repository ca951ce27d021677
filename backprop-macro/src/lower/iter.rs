//! `for` loops and iterator chains: every chain becomes one loop over positions, its closures inlined.
//!
//! In: an iterator and what is done with each item. Out: one loop. What must hold: closures run once for each item that reaches them, in the
//! order of Rust; where a closure changes something that is seen elsewhere, no item is skipped by way of its position.

use super::cursor::Cursor;
use super::value::Val;
use super::{Lower, VarId};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Count, Id};
use crate::types::Kind;
use proc_macro2::Span;
use quote::quote;
use std::rc::Rc;

pub(super) type At = Rc<dyn Fn(&mut Lower, Id) -> Result<Val>>;

/// An iterator: where its items come from, and what happens to each.
#[derive(Clone)]
pub struct Iter {
    pub(super) source: Source,
    pub(super) stages: Vec<Stage>,
    /// Where an iterator that a variable holds has got to.
    pub(super) cursor: Option<Cursor>,
}

#[derive(Clone)]
pub(super) enum Source {
    /// Integers, counted by the loop itself.
    Range {
        lo: Id,
        hi: Id,
        inclusive: bool,
        rev: bool,
        step: Option<Id>,
    },
    /// Positions `0..len`, from which the item is computed.
    Positions {
        len: Id,
        rev: bool,
        at: At,
        /// Computing an item changes nothing, so that positions may be left out.
        pure: bool,
    },
}

#[derive(Clone)]
pub(super) enum Stage {
    Map(Val),
    Filter(Val),
    FilterMap(Val),
    /// Ends the loop at the first item that does not fit.
    TakeWhile(Val),
    MapWhile(Val),
    SkipWhile(Val),
    Skip(Id),
    Take(Id),
    StepBy(Id),
    Inspect(Val),
    /// Positions at which a test holds.
    Where(At),
    /// The items of another iterator, by position, beside these.
    Zip(Id, At),
    /// Each item is iterated over in turn.
    Flatten,
    Enumerate,
    Scan(Val, VarId),
}

impl Stage {
    /// Whether the stage counts, and from what.
    fn counts(&self) -> bool {
        matches!(
            self,
            Stage::Enumerate | Stage::Skip(_) | Stage::Take(_) | Stage::StepBy(_) | Stage::Zip(..)
        )
    }

    /// Whether something is noted for it while the loop runs.
    fn is_noting(&self) -> bool {
        self.counts() || matches!(self, Stage::SkipWhile(_))
    }

    /// Whether it makes of each item what it would make of it in any order.
    pub(super) fn commutes(&self) -> bool {
        matches!(
            self,
            Stage::Map(_) | Stage::Filter(_) | Stage::FilterMap(_) | Stage::Inspect(_)
        )
    }
}

impl Iter {
    pub(super) fn of(source: Source) -> Iter {
        Iter {
            source,
            stages: Vec::new(),
            cursor: None,
        }
    }

    /// Items computed from their positions `0..len`, which changes nothing.
    pub(super) fn positions(len: Id, at: At) -> Iter {
        Iter::of(Source::Positions {
            len,
            rev: false,
            at,
            pure: true,
        })
    }

    /// Computing an item changes something.
    pub(super) fn changes(&mut self) {
        if let Source::Positions { pure, .. } = &mut self.source {
            *pure = false;
        }
    }

    pub(super) fn with(&self, stage: Stage) -> Iter {
        let mut iter = self.clone();
        iter.stages.push(stage);
        iter
    }
}

/// What the stages of one loop share.
#[derive(Clone)]
pub(super) struct Run {
    /// What each stage counts or notes, in order.
    state: Vec<VarId>,
    /// Where the loop is left to.
    end: usize,
    label: Option<String>,
    /// Several items may come of one that was asked for.
    flattened: bool,
}

impl Lower<'_> {
    pub(super) fn for_(&mut self, x: &syn::ExprForLoop) -> Result<Val> {
        let over = self.operand(&x.expr)?;
        let iter = self.iter_of(over, &x.expr)?;
        let label = super::expr::label_of(&x.label);
        let name = match &*x.pat {
            syn::Pat::Ident(p) => p.ident.to_string().trim_start_matches("r#").to_string(),
            _ => "k".into(),
        };
        self.each(&iter, label, x.for_token.span, &name, |l, item| {
            l.bind(&x.pat, item)?;
            l.block(&x.body)?;
            Ok(())
        })?;
        Ok(Val::Unit)
    }

    pub(super) fn iter_of(&mut self, val: Val, at: &syn::Expr) -> Result<Rc<Iter>> {
        match self.by_value(val, "items") {
            Val::Iter(iter) => Ok(iter),
            Val::Range(range) => self.range_iter_at(&range, at),
            Val::View(view) => Ok(Rc::new(self.view_iter(&view))),
            Val::Num(id) if !self.g.is_float(id) => Ok(Rc::new(self.constant_iter(id))),
            // An `Option` is a list of one, or of none.
            Val::Opt(some, inner) => {
                let (zero, one) = (self.g.usize_const(0), self.g.usize_const(1));
                let len = self.branch(some, |_| Ok(Val::Num(one)), |_| Ok(Val::Num(zero)))?;
                let len = self.num(len, at)?;
                let at: At = Rc::new(move |_, _| Ok((*inner).clone()));
                Ok(Rc::new(Iter::positions(len, at)))
            }
            // `&mut items`: the variable goes on where this stops.
            Val::MutRef(var, path) => match self.read_along(var, &path) {
                Val::Iter(iter) => Ok(self.by_reference(&iter)),
                _ => self.reject(at, &errors::NOT_ITERABLE),
            },
            Val::Poison => Err(Rejected),
            _ => self.reject(at, &errors::NOT_ITERABLE),
        }
    }

    /// What the counting stages of an iterator note while it runs.
    pub(super) fn stage_state(&mut self, stages: &[Stage]) -> Vec<VarId> {
        let mut state = Vec::new();
        for stage in stages {
            if stage.counts() {
                let zero = self.g.usize_const(0);
                state.push(self.new_var("count".into(), Val::Num(zero), true));
            } else if matches!(stage, Stage::SkipWhile(_)) {
                let no = self.g.bool_const(false);
                state.push(self.new_var("started".into(), Val::Num(no), true));
            }
        }
        state
    }

    /// Runs a body for each item.
    pub(super) fn each(
        &mut self,
        iter: &Rc<Iter>,
        label: Option<String>,
        span: Span,
        name: &str,
        body: impl FnOnce(&mut Self, Val) -> Result<()>,
    ) -> Result<()> {
        let state = match &iter.cursor {
            Some(cursor) => cursor.state.clone(),
            None => self.stage_state(&iter.stages),
        };
        let (source, start) = match &iter.cursor {
            Some(cursor) => self.rest_of(iter, &cursor.clone())?,
            None => (iter.source.clone(), None),
        };
        let run = Run {
            state,
            end: self.targets.len(),
            label: label.clone(),
            flattened: false,
        };
        self.hidden.1 |= iter.stages.iter().any(|s| matches!(s, Stage::Flatten));
        let stages = &iter.stages;
        match source {
            Source::Range {
                lo,
                hi,
                inclusive,
                rev,
                step,
            } => self.looped(
                label,
                span,
                |l| {
                    let index = l.index(Kind::AnyInt, name);
                    for t in [lo, hi] {
                        let (a, b) = (l.g.ty(index), l.g.ty(t));
                        l.g.types.unify(a, b);
                    }
                    let count = Count::over(index, (lo, hi), inclusive, step, rev);
                    (count, Some(index))
                },
                |l, index| match index {
                    Some(index) => l.fetched(stages, run, |_| Ok(Val::Num(index)), body),
                    None => Ok(()),
                },
            ),
            // Nothing says how often it runs: the stages or the body leave.
            Source::Positions { len, at, .. } if self.is_endless(len) => {
                let zero = self.g.usize_const(0);
                let position = self.new_var("k".into(), Val::Num(zero), true);
                self.looped(
                    label,
                    span,
                    |_| (Count::Forever, None),
                    |l, _| {
                        let (k, one) = (l.read(position), l.g.usize_const(1));
                        let k = l.num(k, quote!())?;
                        let next = l.usize_op(quote!(+), k, one);
                        l.write(position, Val::Num(next));
                        l.fetched(stages, run, |l| at(l, k), body)
                    },
                )
            }
            Source::Positions { len, rev, at, .. } => self.looped(
                label,
                span,
                |l| {
                    let ty = l.g.ty(len);
                    l.g.types.learn(ty, Kind::Int("usize".into()));
                    let index = l.index(Kind::Int("usize".into()), "k");
                    let lo = start.unwrap_or_else(|| l.g.usize_const(0));
                    let count = Count::Range {
                        index,
                        lo,
                        hi: len,
                        inclusive: false,
                        rev,
                    };
                    (count, Some(index))
                },
                |l, index| {
                    let Some(index) = index else { return Ok(()) };
                    l.fetched(stages, run, |l| at(l, index), body)
                },
            ),
        }?;
        Ok(())
    }

    /// One iteration: `take` looks whether it has enough before the next item is asked for.
    fn fetched(
        &mut self,
        stages: &[Stage],
        run: Run,
        item: impl FnOnce(&mut Self) -> Result<Val>,
        body: impl FnOnce(&mut Self, Val) -> Result<()>,
    ) -> Result<()> {
        let mut enough: Option<Id> = None;
        let noting = stages.iter().filter(|s| s.is_noting());
        for (stage, &var) in noting.zip(&run.state) {
            if let Stage::Take(n) = stage {
                let taken = self.read(var);
                let taken = self.num(taken, quote!())?;
                let done = self.related(quote!(>=), taken, *n);
                let ty = self.g.bool_ty();
                enough = Some(match enough {
                    None => done,
                    Some(other) => self.g.opaque_binary(quote!(||), other, done, ty, true),
                });
            }
        }
        let Some(enough) = enough else {
            let item = item(self)?;
            return self.staged(stages, item, run, body);
        };
        let end = run.end;
        self.branch(
            enough,
            |l| l.end_at(end),
            |l| {
                let item = item(l)?;
                l.staged(stages, item, run, body)?;
                Ok(Val::Unit)
            },
        )?;
        Ok(())
    }

    fn staged(
        &mut self,
        stages: &[Stage],
        item: Val,
        mut run: Run,
        body: impl FnOnce(&mut Self, Val) -> Result<()>,
    ) -> Result<()> {
        let Some((stage, rest)) = stages.split_first() else {
            return body(self, item);
        };
        let at = quote!();
        let rest_of = rest.to_vec();
        // What is further inside is one level deeper; the stages after it go on there.
        let go_on = move |l: &mut Self, item: Val, run: Run| {
            l.staged_boxed(&rest_of, item, run, Box::new(body))?;
            Ok(Val::Unit)
        };
        let end = run.end;
        match stage {
            Stage::Map(f) => {
                let item = self.apply_fn(f, vec![item], &at)?;
                go_on(self, item, run)?;
            }
            Stage::Inspect(f) => {
                self.apply_fn(f, vec![item.clone()], &at)?;
                go_on(self, item, run)?;
            }
            Stage::Enumerate => {
                let n = self.counted(&mut run)?;
                go_on(self, Val::Tuple(vec![Val::Num(n), item]), run)?;
            }
            Stage::Filter(f) => {
                let keep = self.apply_fn(f, vec![item.clone()], &at)?;
                let keep = self.num(keep, &at)?;
                self.branch(keep, |l| go_on(l, item, run), |_| Ok(Val::Unit))?;
            }
            Stage::Where(test) => {
                let k = self.num(item.clone(), &at)?;
                let keep = test(self, k)?;
                let keep = self.num(keep, &at)?;
                self.branch(keep, |l| go_on(l, item, run), |_| Ok(Val::Unit))?;
            }
            Stage::FilterMap(f) => {
                let (some, item) = self.apply_optional(f, item)?;
                self.branch(some, |l| go_on(l, item, run), |_| Ok(Val::Unit))?;
            }
            Stage::TakeWhile(f) => {
                let goes_on = self.apply_fn(f, vec![item.clone()], &at)?;
                let goes_on = self.num(goes_on, &at)?;
                self.branch(goes_on, |l| go_on(l, item, run), |l| l.end_at(end))?;
            }
            Stage::MapWhile(f) => {
                let (some, item) = self.apply_optional(f, item)?;
                self.branch(some, |l| go_on(l, item, run), |l| l.end_at(end))?;
            }
            Stage::Scan(f, state) => {
                let state = Val::MutRef(*state, Vec::new());
                let Val::Opt(some, item) = self.apply_fn(f, vec![state, item], &at)? else {
                    return self.reject(&at, &errors::NOT_ITERABLE);
                };
                self.branch(some, |l| go_on(l, *item, run), |l| l.end_at(end))?;
            }
            Stage::SkipWhile(f) => {
                let started = run.state.remove(0);
                let before = self.read(started);
                let before = self.num(before, &at)?;
                let passes = self.branch(
                    before,
                    |l| Ok(Val::Num(l.g.bool_const(true))),
                    |l| {
                        let skip = l.apply_fn(f, vec![item.clone()], &at)?;
                        let skip = l.num(skip, quote!())?;
                        Ok(Val::Num(l.g.not(skip)))
                    },
                )?;
                let passes = self.num(passes, &at)?;
                self.write(started, Val::Num(passes));
                self.branch(passes, |l| go_on(l, item, run), |_| Ok(Val::Unit))?;
            }
            Stage::Skip(n) => {
                let k = self.counted(&mut run)?;
                let passes = self.related(quote!(>=), k, *n);
                self.branch(passes, |l| go_on(l, item, run), |_| Ok(Val::Unit))?;
            }
            Stage::StepBy(by) => {
                let k = self.counted(&mut run)?;
                let rest = self.usize_op(quote!(%), k, *by);
                let zero = self.g.usize_const(0);
                let passes = self.related(quote!(==), rest, zero);
                self.branch(passes, |l| go_on(l, item, run), |_| Ok(Val::Unit))?;
            }
            Stage::Take(n) => {
                let k = self.counted(&mut run)?;
                if !run.flattened {
                    go_on(self, item, run)?;
                } else {
                    let more = self.related(quote!(<), k, *n);
                    self.branch(more, |l| go_on(l, item, run), |l| l.end_at(end))?;
                }
            }
            Stage::Zip(len, other) => {
                let k = self.counted(&mut run)?;
                let more = self.related(quote!(<), k, *len);
                let other = other.clone();
                self.branch(
                    more,
                    |l| {
                        let beside = other(l, k)?;
                        go_on(l, Val::Tuple(vec![item, beside]), run)
                    },
                    |l| l.end_at(end),
                )?;
            }
            Stage::Flatten => {
                let unknown: syn::Expr = syn::parse_quote!(_);
                let inner = self.iter_of(item, &unknown)?;
                let span = self.g.span.unwrap_or_else(Span::call_site);
                // `break` means the outermost of these loops, `continue` the innermost.
                self.hidden.0 = true;
                self.hidden.1 = rest.iter().any(|s| matches!(s, Stage::Flatten));
                run.flattened = true;
                self.each_boxed(
                    &inner,
                    run.label.clone(),
                    span,
                    Box::new(move |l, item| go_on(l, item, run).map(|_| ())),
                )?;
            }
        }
        Ok(())
    }

    /// What a stage has counted so far, itself not included.
    fn counted(&mut self, run: &mut Run) -> Result<Id> {
        let counter = run.state.remove(0);
        let (n, one) = (self.read(counter), self.g.usize_const(1));
        let id = self.num(n, quote!())?;
        let next = self.usize_op(quote!(+), id, one);
        self.write(counter, Val::Num(next));
        Ok(id)
    }

    pub(super) fn related(&mut self, op: proc_macro2::TokenStream, a: Id, b: Id) -> Id {
        for id in [a, b] {
            let ty = self.g.ty(id);
            self.g.types.learn(ty, Kind::Int("usize".into()));
        }
        let ty = self.g.bool_ty();
        self.g.opaque_binary(op, a, b, ty, true)
    }

    fn end_at(&mut self, end: usize) -> Result<Val> {
        self.leave(end, None)?;
        Ok(Val::Uninit)
    }

    /// A function that gives an `Option`: whether there is something, and what.
    pub(super) fn apply_optional(&mut self, f: &Val, item: Val) -> Result<(Id, Val)> {
        match self.apply_fn(f, vec![item], &quote!())? {
            Val::Opt(some, val) => Ok((some, *val)),
            Val::Poison => Err(Rejected),
            _ => self.reject(quote!(), &errors::NOT_ITERABLE),
        }
    }

    #[allow(clippy::type_complexity)] // A body that calls itself must be boxed.
    fn staged_boxed(
        &mut self,
        stages: &[Stage],
        item: Val,
        run: Run,
        body: Box<dyn FnOnce(&mut Self, Val) -> Result<()> + '_>,
    ) -> Result<()> {
        self.staged(stages, item, run, body)
    }

    #[allow(clippy::type_complexity)]
    fn each_boxed(
        &mut self,
        iter: &Rc<Iter>,
        label: Option<String>,
        span: Span,
        body: Box<dyn FnOnce(&mut Self, Val) -> Result<()> + '_>,
    ) -> Result<()> {
        self.each(iter, label, span, "k", body)
    }

    pub(super) fn apply_fn(
        &mut self,
        f: &Val,
        args: Vec<Val>,
        at: &impl quote::ToTokens,
    ) -> Result<Val> {
        let tokens = quote::ToTokens::to_token_stream(at);
        let call: syn::ExprMethodCall = syn::parse_quote!(f.call(#tokens));
        self.apply(f, args, &call)
    }
}
