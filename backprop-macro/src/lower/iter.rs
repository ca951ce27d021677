//! `for` loops and iterator chains: every chain becomes one loop over positions, its closures inlined.

use super::Lower;
use super::value::{Borrow, RangeVal, Val, View};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Count, Id, Opaque, OpaqueForm};
use crate::types::Kind;
use proc_macro2::Span;
use quote::quote;
use std::rc::Rc;

pub(super) type At = Rc<dyn Fn(&mut Lower, Id) -> Result<Val>>;

/// An iterator: where its items come from, and what happens to each.
pub struct Iter {
    pub(super) source: Source,
    pub(super) stages: Vec<Stage>,
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
    Positions { len: Id, rev: bool, at: At },
}

#[derive(Clone)]
pub(super) enum Stage {
    Map(Val),
    Filter(Val),
    /// Ends the loop at the first item that does not fit.
    TakeWhile(Val),
    /// Each item is iterated over in turn.
    Flatten,
    Enumerate,
    Scan(Val, super::VarId),
}

/// What the stages of one loop share.
#[derive(Clone)]
struct Run {
    /// One for each `enumerate` still to come.
    counters: Vec<super::VarId>,
    /// Where the loop is left to.
    end: usize,
    label: Option<String>,
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
            Val::Poison => Err(Rejected),
            _ => self.reject(at, &errors::NOT_ITERABLE),
        }
    }

    /// The elements of a constant array, such as a table.
    pub(super) fn constant_iter(&mut self, table: Id) -> Iter {
        let ty = self.g.usize_ty();
        let len = Opaque {
            key: "method len".into(),
            form: OpaqueForm::Method(quote!(len)),
            discrete: false,
        };
        let len = self.g.opaque(len, &[table], ty);
        let at: At = Rc::new(move |l, k| Ok(l.constant_index(table, k)));
        Iter {
            source: Source::Positions {
                len,
                rev: false,
                at,
            },
            stages: Vec::new(),
        }
    }

    fn view_iter(&mut self, view: &View) -> Iter {
        let len = self.view_len(view);
        let view = view.clone();
        let at: At = Rc::new(move |l, k| Ok(l.item(&view, k)));
        Iter {
            source: Source::Positions {
                len,
                rev: false,
                at,
            },
            stages: Vec::new(),
        }
    }

    pub(super) fn range_iter(
        &mut self,
        range: &RangeVal,
        x: &syn::ExprMethodCall,
    ) -> Result<Rc<Iter>> {
        self.range_iter_at(range, &x.receiver)
    }

    fn range_iter_at(&mut self, range: &RangeVal, at: &syn::Expr) -> Result<Rc<Iter>> {
        let Some((lo, hi, inclusive)) = self.range_of(range) else {
            return self.reject(at, &errors::NOT_ITERABLE);
        };
        let ty = self.g.ty(lo);
        if matches!(self.g.types.kind(ty), Kind::Unknown) {
            self.g.types.learn(ty, Kind::AnyInt);
        }
        Ok(Rc::new(Iter {
            source: Source::Range {
                lo,
                hi,
                inclusive,
                rev: false,
                step: None,
            },
            stages: Vec::new(),
        }))
    }

    pub(super) fn array_iter(
        &mut self,
        x: &syn::ExprMethodCall,
        view: &View,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Iter> {
        match (name, args) {
            ("iter", []) => Ok(self.view_iter(&View {
                borrow: Borrow::Shared,
                ..view.clone()
            })),
            ("into_iter", []) => Ok(self.view_iter(view)),
            ("iter_mut", []) => Ok(self.view_iter(&View {
                borrow: Borrow::Mut,
                ..view.clone()
            })),
            ("windows" | "chunks" | "chunks_exact" | "chunks_mut" | "chunks_exact_mut", [e]) => {
                let size = self.scalar(e)?;
                let ty = self.g.ty(size);
                self.g.types.learn(ty, Kind::Int("usize".into()));
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                let positive = self.g.opaque_binary(quote!(>), size, zero, ty, false);
                self.effect(
                    quote!(::core::assert!(__h0, "the size must not be zero")),
                    &[positive],
                );
                let len = self.view_len(view);
                let view = view.clone();
                let (count, at): (Id, At) = match name {
                    "windows" => {
                        let one = self.g.usize_const(1);
                        let more = self.usize_op(quote!(+), len, one);
                        let count = self.saturating_sub(more, size);
                        (
                            count,
                            Rc::new(move |l, k| Ok(Val::View(l.subview(&view, k, size)))),
                        )
                    }
                    "chunks" | "chunks_mut" => {
                        let count = self.usize_function(
                            quote!(::core::primitive::usize::div_ceil),
                            len,
                            size,
                        );
                        let at: At = Rc::new(move |l, k| {
                            let lo = l.usize_op(quote!(*), k, size);
                            let rest = l.usize_op(quote!(-), len, lo);
                            let n = l.usize_min(rest, size);
                            Ok(Val::View(l.subview(&view, lo, n)))
                        });
                        (count, at)
                    }
                    _ => {
                        let count = self.usize_op(quote!(/), len, size);
                        let at: At = Rc::new(move |l, k| {
                            let lo = l.usize_op(quote!(*), k, size);
                            Ok(Val::View(l.subview(&view, lo, size)))
                        });
                        (count, at)
                    }
                };
                Ok(Iter {
                    source: Source::Positions {
                        len: count,
                        rev: false,
                        at,
                    },
                    stages: Vec::new(),
                })
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    pub(super) fn saturating_sub(&mut self, a: Id, b: Id) -> Id {
        match (self.g.integer(a), self.g.integer(b)) {
            (_, Some(0)) => a,
            (Some(x), Some(y)) => self.g.usize_const((x - y).max(0) as usize),
            _ => self.usize_function(quote!(::core::primitive::usize::saturating_sub), a, b),
        }
    }

    pub(super) fn usize_function(&mut self, func: proc_macro2::TokenStream, a: Id, b: Id) -> Id {
        let ty = self.g.usize_ty();
        let opaque = Opaque {
            key: format!("call {func}"),
            form: OpaqueForm::Call(func),
            discrete: false,
        };
        self.g.opaque(opaque, &[a, b], ty)
    }

    pub(super) fn usize_min(&mut self, a: Id, b: Id) -> Id {
        if a == b {
            return a;
        }
        let (ta, tb) = (self.g.ty(a), self.g.ty(b));
        self.g.types.learn(ta, Kind::Int("usize".into()));
        self.g.types.learn(tb, Kind::Int("usize".into()));
        let ty = self.g.usize_ty();
        let func = quote!(::core::cmp::min);
        self.g.opaque(
            Opaque {
                key: format!("call {func}"),
                form: OpaqueForm::Call(func),
                discrete: false,
            },
            &[a, b],
            ty,
        )
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
        let source = iter.source.clone();
        let enumerated = iter.stages.iter().filter(|s| matches!(s, Stage::Enumerate));
        let run = Run {
            counters: enumerated
                .map(|_| {
                    let zero = self.g.usize_const(0);
                    self.new_var("count".into(), Val::Num(zero), true)
                })
                .collect(),
            end: self.targets.len(),
            label: label.clone(),
        };
        self.hidden.1 |= iter.stages.iter().any(|s| matches!(s, Stage::Flatten));
        let at = match &source {
            Source::Positions { at, .. } => Some(at.clone()),
            Source::Range { .. } => None,
        };
        let name = if at.is_some() { "k" } else { name };
        self.looped(
            label,
            span,
            |l| match source {
                Source::Range {
                    lo,
                    hi,
                    inclusive,
                    rev,
                    step,
                } => {
                    let index = l.index(Kind::AnyInt, name);
                    for t in [lo, hi] {
                        let (a, b) = (l.g.ty(index), l.g.ty(t));
                        l.g.types.unify(a, b);
                    }
                    let count = Count::over(index, (lo, hi), inclusive, step, rev);
                    (count, Some(index))
                }
                Source::Positions { len, rev, .. } => {
                    let ty = l.g.ty(len);
                    l.g.types.learn(ty, Kind::Int("usize".into()));
                    let index = l.index(Kind::Int("usize".into()), name);
                    let lo = l.g.usize_const(0);
                    (
                        Count::Range {
                            index,
                            lo,
                            hi: len,
                            inclusive: false,
                            rev,
                        },
                        Some(index),
                    )
                }
            },
            |l, index| {
                let Some(index) = index else { return Ok(()) };
                let item = match at {
                    Some(at) => at(l, index)?,
                    None => Val::Num(index),
                };
                l.staged(&iter.stages, item, run, body)
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
        match stage {
            Stage::Map(f) => {
                let item = self.apply_fn(f, vec![item], &at)?;
                self.staged(rest, item, run, body)
            }
            Stage::Enumerate => {
                let counter = run.counters.remove(0);
                let n = self.read(counter);
                let id = self.num(n.clone(), &at)?;
                let one = self.g.usize_const(1);
                let next = self.usize_op(quote!(+), id, one);
                self.write(counter, Val::Num(next));
                self.staged(rest, Val::Tuple(vec![n, item]), run, body)
            }
            Stage::Filter(f) => {
                let keep = self.apply_fn(f, vec![item.clone()], &at)?;
                let keep = self.num(keep, &at)?;
                let rest = rest.to_vec();
                self.branch(
                    keep,
                    |l| {
                        // The branch is one level deeper; the stages after it go on inside.
                        l.staged_boxed(&rest, item, run, Box::new(body))?;
                        Ok(Val::Unit)
                    },
                    |_| Ok(Val::Unit),
                )?;
                Ok(())
            }
            Stage::TakeWhile(f) => {
                let goes_on = self.apply_fn(f, vec![item.clone()], &at)?;
                let goes_on = self.num(goes_on, &at)?;
                let (rest, end) = (rest.to_vec(), run.end);
                self.branch(
                    goes_on,
                    |l| {
                        l.staged_boxed(&rest, item, run, Box::new(body))?;
                        Ok(Val::Unit)
                    },
                    |l| {
                        l.leave(end, None)?;
                        Ok(Val::Uninit)
                    },
                )?;
                Ok(())
            }
            Stage::Flatten => {
                let unknown: syn::Expr = syn::parse_quote!(_);
                let inner = self.iter_of(item, &unknown)?;
                let rest = rest.to_vec();
                let span = self.g.span.unwrap_or_else(Span::call_site);
                // `break` means the outermost of these loops, `continue` the innermost.
                self.hidden.0 = true;
                self.hidden.1 = rest.iter().any(|s| matches!(s, Stage::Flatten));
                self.each_boxed(
                    &inner,
                    run.label.clone(),
                    span,
                    Box::new(move |l, item| l.staged_boxed(&rest, item, run, Box::new(body))),
                )
            }
            Stage::Scan(f, state) => {
                match self.apply_fn(f, vec![Val::MutRef(*state, Vec::new()), item], &at)? {
                    Val::Opt(some, val) if self.g.opaque_text(some).as_deref() == Some("true") => {
                        self.staged(rest, *val, run, body)
                    }
                    _ => self.reject(&at, &errors::NOT_ITERABLE),
                }
            }
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

    /// Positions `0..len` with the item at each, for adaptors that need both ends.
    pub(super) fn positioned(
        &mut self,
        iter: &Rc<Iter>,
        x: &syn::ExprMethodCall,
    ) -> Result<(Id, At)> {
        if !iter.stages.is_empty() {
            if iter.stages.iter().all(|s| matches!(s, Stage::Map(_))) {
                let (len, at) = self.positioned(
                    &Rc::new(Iter {
                        source: iter.source.clone(),
                        stages: Vec::new(),
                    }),
                    x,
                )?;
                let fs: Vec<Val> = iter
                    .stages
                    .iter()
                    .filter_map(|s| {
                        if let Stage::Map(f) = s {
                            Some(f.clone())
                        } else {
                            None
                        }
                    })
                    .collect();
                let at: At = Rc::new(move |l, k| {
                    let mut item = at(l, k)?;
                    for f in &fs {
                        item = l.apply_fn(f, vec![item], &quote!())?;
                    }
                    Ok(item)
                });
                return Ok((len, at));
            }
            return self.reject(&x.method, &errors::UNKNOWN_METHOD);
        }
        match iter.source.clone() {
            Source::Positions {
                len,
                rev: false,
                at,
            } => Ok((len, at)),
            Source::Positions { len, rev: true, at } => {
                let at: At = Rc::new(move |l, k| {
                    let one = l.g.usize_const(1);
                    let last = l.usize_op(quote!(-), len, one);
                    let k = l.usize_op(quote!(-), last, k);
                    at(l, k)
                });
                Ok((len, at))
            }
            Source::Range {
                lo,
                hi,
                inclusive,
                rev,
                step: None,
            } => {
                // Only `usize` ranges are also positions.
                for t in [lo, hi] {
                    let ty = self.g.ty(t);
                    if !matches!(self.g.types.kind(ty), Kind::AnyInt | Kind::Unknown)
                        && !matches!(self.g.types.kind(ty), Kind::Int(n) if n == "usize")
                    {
                        return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                    }
                    self.g.types.learn(ty, Kind::Int("usize".into()));
                }
                let hi = if inclusive {
                    let one = self.g.usize_const(1);
                    self.usize_op(quote!(+), hi, one)
                } else {
                    hi
                };
                let len = if self.g.integer(lo) == Some(0) {
                    hi
                } else {
                    self.saturating_sub(hi, lo)
                };
                let at: At = Rc::new(move |l, k| {
                    Ok(Val::Num(if rev {
                        let one = l.g.usize_const(1);
                        let last = l.usize_op(quote!(-), hi, one);
                        l.usize_op(quote!(-), last, k)
                    } else {
                        l.usize_op(quote!(+), lo, k)
                    }))
                });
                Ok((len, at))
            }
            Source::Range { .. } => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    pub(super) fn from_positions(len: Id, rev: bool, at: At) -> Result<Val> {
        Ok(Val::Iter(Rc::new(Iter {
            source: Source::Positions { len, rev, at },
            stages: Vec::new(),
        })))
    }
}
