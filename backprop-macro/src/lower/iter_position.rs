//! Iterators by position, for adapters that need both ends, and the arithmetic of positions.
//!
//! In: an iterator. Out: how many items it has, and what computes each from its position. What must hold: none where that is known only when
//! the items have been seen; whether computing one changes something is told.

use super::Lower;
use super::effects;
use super::iter::{At, Iter, Source, Stage};
use super::value::Val;
use crate::errors::Result;
use crate::graph::{Id, Opaque, OpaqueForm};
use crate::types::Kind;
use quote::quote;
use std::rc::Rc;

impl Lower<'_> {
    /// Positions `0..len` with the item at each, for adaptors that need both ends; `None` where the number of items is known only
    /// when they have been seen. The last part says whether computing an item changes nothing.
    pub(super) fn positioned(&mut self, iter: &Rc<Iter>) -> Result<Option<(Id, At, bool)>> {
        if !iter.stages.iter().all(|s| matches!(s, Stage::Map(_))) {
            return Ok(None);
        }
        let Some((len, at, mut pure)) = self.source_positions(iter)? else {
            return Ok(None);
        };
        if iter.stages.is_empty() {
            return Ok(Some((len, at, pure)));
        }
        let mut fs = Vec::new();
        for stage in &iter.stages {
            if let Stage::Map(f) = stage {
                pure &= effects::changes_nothing(self, f);
                fs.push(f.clone());
            }
        }
        let at: At = Rc::new(move |l, k| {
            let mut item = at(l, k)?;
            for f in &fs {
                item = l.apply_fn(f, vec![item], &quote!())?;
            }
            Ok(item)
        });
        Ok(Some((len, at, pure)))
    }

    fn source_positions(&mut self, iter: &Rc<Iter>) -> Result<Option<(Id, At, bool)>> {
        if let Some(cursor) = &iter.cursor {
            return self.rest_by_position(iter, &cursor.clone());
        }
        match iter.source.clone() {
            Source::Positions {
                len,
                rev: false,
                at,
                pure,
            } => Ok(Some((len, at, pure))),
            Source::Positions {
                len,
                rev: true,
                at,
                pure,
            } => {
                let at: At = Rc::new(move |l, k| {
                    let k = l.counted_back(len, k);
                    at(l, k)
                });
                Ok(Some((len, at, pure)))
            }
            Source::Range {
                lo,
                hi,
                inclusive,
                rev,
                step,
            } => {
                // Only `usize` ranges are also positions.
                for t in [lo, hi] {
                    let ty = self.g.ty(t);
                    if !matches!(self.g.types.kind(ty), Kind::AnyInt | Kind::Unknown)
                        && !matches!(self.g.types.kind(ty), Kind::Int(n) if n == "usize")
                    {
                        return Ok(None);
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
                let count = match step {
                    None => len,
                    Some(by) => {
                        self.usize_function(quote!(::core::primitive::usize::div_ceil), len, by)
                    }
                };
                // A range that was reversed first steps down from its end.
                let at: At = Rc::new(move |l, k| {
                    let k = match step {
                        Some(by) => l.usize_op(quote!(*), k, by),
                        None => k,
                    };
                    Ok(Val::Num(if rev {
                        l.counted_back(hi, k)
                    } else {
                        l.usize_op(quote!(+), lo, k)
                    }))
                });
                Ok(Some((count, at, true)))
            }
        }
    }

    /// `len - 1 - k`
    pub(super) fn counted_back(&mut self, len: Id, k: Id) -> Id {
        let one = self.g.usize_const(1);
        let last = self.usize_op(quote!(-), len, one);
        self.usize_op(quote!(-), last, k)
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
        if a == b || self.is_endless(b) {
            return a;
        }
        if self.is_endless(a) {
            return b;
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
}
