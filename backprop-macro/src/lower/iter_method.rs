//! The adapters of iterators: methods that make a longer iterator.
//!
//! In: an iterator and a method call. Out: a longer iterator, or what a consumer leaves. What must hold: an adapter runs nothing;
//! a closure is evaluated once for each element that reaches it, in the order of Rust.

use super::Lower;
use super::effects;
use super::iter::{At, Iter, Source, Stage};
use super::target::is_place;
use super::value::{Borrow, Val, View};
use crate::errors::{self, Result};
use crate::graph::Id;
use crate::types::Kind;
use quote::quote;
use std::rc::Rc;

impl Lower<'_> {
    pub(super) fn iter_method(
        &mut self,
        x: &syn::ExprMethodCall,
        iter: Rc<Iter>,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        let advances = super::cursor::ADVANCING.contains(&name);
        // What would be moved on is not known to be an iterator that goes on.
        if advances && iter.cursor.is_none() && is_place(super::call::strip(&x.receiver)) {
            return self.reject(&x.method, &errors::ITER_PLACE);
        }
        let iter = match advances {
            true => self.by_reference(&iter),
            false => iter,
        };
        let stage = |s: Stage| Ok(Val::Iter(Rc::new(iter.with(s))));
        match (name, args) {
            ("copied" | "cloned", []) => match (&iter.source, iter.stages.is_empty()) {
                (Source::Positions { at, .. }, true) => {
                    let taken = at.clone();
                    let owned: At = Rc::new(move |l, k| {
                        Ok(match taken(l, k)? {
                            Val::View(item) => Val::View(View {
                                borrow: Borrow::Own,
                                ..item
                            }),
                            item => item,
                        })
                    });
                    let mut copies = (*iter).clone();
                    if let Source::Positions { at, .. } = &mut copies.source {
                        *at = owned;
                    }
                    Ok(Val::Iter(Rc::new(copies)))
                }
                _ => Ok(Val::Iter(iter.clone())),
            },
            ("iter" | "into_iter" | "by_ref" | "fuse", []) => Ok(Val::Iter(iter.clone())),
            ("clone", []) => {
                let changes = iter.stages.iter().any(|s| match s {
                    Stage::Map(f) | Stage::Filter(f) | Stage::FilterMap(f) | Stage::Inspect(f) => {
                        !effects::changes_nothing(self, f)
                    }
                    _ => false,
                });
                // A closure that is cloned has a state of its own from then on.
                if changes {
                    return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                }
                Ok(Val::Iter(self.cloned_iter(&iter)))
            }
            ("peekable", []) => match self.positioned(&iter)? {
                Some((_, _, true)) => Ok(Val::Iter(iter)),
                // What is looked at ahead would be computed twice.
                _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
            },
            ("map", [f]) => stage(Stage::Map(self.operand(f)?)),
            ("filter", [f]) => stage(Stage::Filter(self.operand(f)?)),
            ("filter_map", [f]) => stage(Stage::FilterMap(self.operand(f)?)),
            ("take_while", [f]) => stage(Stage::TakeWhile(self.operand(f)?)),
            ("map_while", [f]) => stage(Stage::MapWhile(self.operand(f)?)),
            ("skip_while", [f]) => stage(Stage::SkipWhile(self.operand(f)?)),
            ("inspect", [f]) => stage(Stage::Inspect(self.operand(f)?)),
            ("flatten", []) => stage(Stage::Flatten),
            ("flat_map", [f]) => {
                let f = self.operand(f)?;
                Ok(Val::Iter(Rc::new(
                    iter.with(Stage::Map(f)).with(Stage::Flatten),
                )))
            }
            ("scan", [init, f]) => {
                let init = self.operand(init)?;
                let init = self.by_value(init, "state");
                let f = self.operand(f)?;
                let state = self.new_var("state".into(), init, true);
                stage(Stage::Scan(f, state))
            }
            ("enumerate", []) => match self.positioned_items(&iter)? {
                Some((len, at, pure)) => {
                    let both: At = Rc::new(move |l, k| {
                        let item = at(l, k)?;
                        Ok(Val::Tuple(vec![Val::Num(k), item]))
                    });
                    Ok(from_positions(len, both, pure))
                }
                None => stage(Stage::Enumerate),
            },
            ("rev", []) => self.reversed(x, &iter),
            ("step_by", [e]) => {
                let by = self.scalar(e)?;
                let ty = self.g.ty(by);
                self.g.types.learn(ty, Kind::Int("usize".into()));
                if let (
                    Source::Range {
                        lo,
                        hi,
                        inclusive,
                        rev,
                        step: None,
                    },
                    true,
                    None,
                ) = (&iter.source, iter.stages.is_empty(), &iter.cursor)
                {
                    return Ok(Val::Iter(Rc::new(Iter::of(Source::Range {
                        lo: *lo,
                        hi: *hi,
                        inclusive: *inclusive,
                        rev: *rev,
                        step: Some(by),
                    }))));
                }
                let (zero, ty) = (self.g.usize_const(0), self.g.bool_ty());
                if self.g.integer(by).is_none_or(|n| n == 0) {
                    let positive = self.g.opaque_binary(quote!(!=), by, zero, ty, false);
                    self.effect(
                        quote!(::core::assert!(__h0, "assertion failed: step != 0")),
                        &[positive],
                    );
                }
                let Some((len, at, true)) = self.positioned(&iter)? else {
                    return stage(Stage::StepBy(by));
                };
                let len = match self.is_endless(len) {
                    true => len,
                    false => {
                        self.usize_function(quote!(::core::primitive::usize::div_ceil), len, by)
                    }
                };
                let at: At = Rc::new(move |l, k| {
                    let k = l.usize_op(quote!(*), k, by);
                    at(l, k)
                });
                Ok(from_positions(len, at, true))
            }
            ("skip", [e]) => {
                let n = self.count_of(e)?;
                let Some((len, at, true)) = self.positioned(&iter)? else {
                    return stage(Stage::Skip(n));
                };
                let len = match self.is_endless(len) {
                    true => len,
                    false => self.saturating_sub(len, n),
                };
                let at: At = Rc::new(move |l, k| {
                    let k = l.usize_op(quote!(+), n, k);
                    at(l, k)
                });
                Ok(from_positions(len, at, true))
            }
            ("take", [e]) => {
                let n = self.count_of(e)?;
                match self.positioned(&iter)? {
                    Some((len, at, pure)) => {
                        let len = self.usize_min(len, n);
                        Ok(from_positions(len, at, pure))
                    }
                    None => stage(Stage::Take(n)),
                }
            }
            ("zip", [e]) => {
                let other = self.operand(e)?;
                let other = self.iter_of(other, e)?;
                self.zipped(&iter, &other, x)
            }
            ("chain", [e]) => {
                let other = self.operand(e)?;
                let other = self.iter_of(other, e)?;
                let (Some((n, a, p)), Some((m, b, q))) =
                    (self.positioned(&iter)?, self.positioned(&other)?)
                else {
                    return self.reject(&x.method, &errors::ITER_UNCOUNTED);
                };
                let len = match (self.is_endless(n), self.is_endless(m)) {
                    (true, _) => return Ok(Val::Iter(iter)),
                    (_, true) => m,
                    _ => self.usize_op(quote!(+), n, m),
                };
                let at: At = Rc::new(move |l, k| {
                    let first = l.related(quote!(<), k, n);
                    let (a, b) = (a.clone(), b.clone());
                    l.branch(
                        first,
                        |l| a(l, k),
                        |l| {
                            let k = l.usize_op(quote!(-), k, n);
                            b(l, k)
                        },
                    )
                });
                Ok(from_positions(len, at, p && q))
            }
            ("cycle", []) => {
                let Some((len, at, true)) = self.positioned(&iter)? else {
                    return self.reject(&x.method, &errors::ITER_UNCOUNTED);
                };
                if self.is_endless(len) {
                    return Ok(Val::Iter(iter));
                }
                let forever = self.endless();
                let many = match self.g.integer(len) {
                    Some(0) => len,
                    Some(_) => forever,
                    // Of nothing there is nothing, however often.
                    None => {
                        let many = quote!(::core::primitive::usize::saturating_mul);
                        self.usize_function(many, len, forever)
                    }
                };
                let at: At = Rc::new(move |l, k| {
                    let k = l.usize_op(quote!(%), k, len);
                    at(l, k)
                });
                Ok(from_positions(many, at, true))
            }
            _ => self.consumed(x, iter, name, args),
        }
    }

    /// A number of items.
    pub(super) fn count_of(&mut self, e: &syn::Expr) -> Result<Id> {
        let n = self.scalar(e)?;
        let ty = self.g.ty(n);
        self.g.types.learn(ty, Kind::Int("usize".into()));
        Ok(n)
    }

    /// Positions, where the items do not come from a range that the loop counts itself.
    fn positioned_items(&mut self, iter: &Rc<Iter>) -> Result<Option<(Id, At, bool)>> {
        if matches!(iter.source, Source::Range { .. }) {
            return Ok(None);
        }
        self.positioned(iter)
    }

    /// The items of two iterators side by side, as many as the shorter has.
    pub(super) fn zipped(
        &mut self,
        first: &Rc<Iter>,
        second: &Rc<Iter>,
        x: impl quote::ToTokens,
    ) -> Result<Val> {
        let Some((m, b, q)) = self.positioned(second)? else {
            return self.reject(x, &errors::ITER_UNCOUNTED);
        };
        // The first is asked once more than the second where it is longer.
        let Some((n, a, true)) = self.positioned(first)? else {
            return Ok(Val::Iter(Rc::new(first.with(Stage::Zip(m, b)))));
        };
        let len = self.usize_min(n, m);
        let at: At = Rc::new(move |l, k| Ok(Val::Tuple(vec![a(l, k)?, b(l, k)?])));
        Ok(from_positions(len, at, q))
    }

    fn reversed(&mut self, x: &syn::ExprMethodCall, iter: &Rc<Iter>) -> Result<Val> {
        if !iter.stages.iter().all(Stage::commutes) {
            return self.reject(&x.method, &errors::ITER_UNCOUNTED);
        }
        let backwards = |source| {
            Ok(Val::Iter(Rc::new(Iter {
                source,
                stages: iter.stages.clone(),
                cursor: None,
            })))
        };
        match (&iter.source, &iter.cursor) {
            (
                Source::Range {
                    lo,
                    hi,
                    inclusive,
                    rev,
                    step: None,
                },
                None,
            ) => backwards(Source::Range {
                lo: *lo,
                hi: *hi,
                inclusive: *inclusive,
                rev: !rev,
                step: None,
            }),
            (Source::Positions { len, rev, at, pure }, None) if !self.is_endless(*len) => {
                backwards(Source::Positions {
                    len: *len,
                    rev: !rev,
                    at: at.clone(),
                    pure: *pure,
                })
            }
            _ => {
                let bare = Rc::new(Iter {
                    stages: Vec::new(),
                    ..(**iter).clone()
                });
                let Some((len, at, true)) = self.positioned(&bare)? else {
                    return self.reject(&x.method, &errors::ITER_UNCOUNTED);
                };
                if self.is_endless(len) {
                    return self.reject(&x.method, &errors::ITER_UNCOUNTED);
                }
                backwards(Source::Positions {
                    len,
                    rev: true,
                    at,
                    pure: true,
                })
            }
        }
    }
}

pub(super) fn from_positions(len: Id, at: At, pure: bool) -> Val {
    let mut iter = Iter::positions(len, at);
    if !pure {
        iter.changes();
    }
    Val::Iter(Rc::new(iter))
}
