//! Where the items of an iterator come from: arrays and their parts, tables, ranges, and the functions of `std::iter`.
//!
//! In: what is iterated over. Out: a number of items, and what computes each from its position. What must hold: computing an item changes
//! nothing, or says so.

use super::Lower;
use super::effects;
use super::iter::{At, Iter, Source, Stage};
use super::value::{Borrow, RangeVal, Val, View};
use crate::errors::{self, Result};
use crate::graph::{Id, Opaque, OpaqueForm};
use crate::types::Kind;
use quote::quote;
use std::rc::Rc;

impl Lower<'_> {
    /// The number of items of an iterator that does not end.
    pub(super) fn endless(&mut self) -> Id {
        let ty = self.g.usize_ty();
        self.g
            .opaque_tokens(quote!(::core::primitive::usize::MAX), ty)
    }

    pub(super) fn is_endless(&self, len: Id) -> bool {
        let name = quote!(::core::primitive::usize::MAX).to_string();
        self.g.opaque_text(len).is_some_and(|text| text == name)
    }

    /// `std::iter::once(x)` and its kin; `None` where it is another function.
    pub(super) fn iter_function(
        &mut self,
        name: &str,
        args: &[&syn::Expr],
        x: &syn::ExprCall,
    ) -> Result<Option<Val>> {
        let iter = match (name, args) {
            ("zip", [a, b]) => {
                let (a, b) = (self.operand(a)?, self.operand(b)?);
                let (a, b) = (self.iter_of(a, args[0])?, self.iter_of(b, args[1])?);
                return self.zipped(&a, &b, x).map(Some);
            }
            ("empty", []) => {
                let none = self.g.usize_const(0);
                let ty = self.g.types.fresh(Kind::AnyFloat);
                let item = self.g.lit(0.0, ty);
                Iter::positions(none, Rc::new(move |_, _| Ok(Val::Num(item))))
            }
            ("once", [e]) | ("repeat", [e]) | ("repeat_n", [e, _]) => {
                let item = self.operand(e)?;
                let item = self.by_value(item, "item");
                let len = match (name, args) {
                    ("once", _) => self.g.usize_const(1),
                    (_, [_, n]) => self.scalar(n)?,
                    _ => self.endless(),
                };
                Iter::positions(len, Rc::new(move |_, _| Ok(item.clone())))
            }
            ("repeat_with", [f]) => self.calls_of(f)?,
            // It ends where the function gives `None`.
            ("from_fn", [f]) => {
                let same = syn::parse_quote!(|item| item);
                let same = self.operand(&same)?;
                self.calls_of(f)?.with(Stage::MapWhile(same))
            }
            ("successors", [first, f]) => {
                let first = self.operand(first)?;
                let f = self.operand(f)?;
                let Val::Opt(some, item) = first else {
                    return self.reject(args[0], &errors::NOT_ITERABLE);
                };
                let next = self.new_var("next".into(), Val::Opt(some, item), true);
                let at: At = Rc::new(move |l, _| {
                    let now = l.read(next);
                    let Val::Opt(some, item) = now.clone() else {
                        return Ok(Val::Poison);
                    };
                    let after = l.branch(
                        some,
                        |l| l.apply_fn(&f, vec![*item], &quote!()),
                        |_| Ok(now.clone()),
                    )?;
                    l.write(next, after);
                    Ok(now)
                });
                let same = syn::parse_quote!(|item| item);
                let same = self.operand(&same)?;
                let mut iter = Iter::positions(self.endless(), at).with(Stage::MapWhile(same));
                iter.changes();
                iter
            }
            _ => return Ok(None),
        };
        Ok(Some(Val::Iter(Rc::new(iter))))
    }

    /// What a function gives each time it is called.
    fn calls_of(&mut self, f: &syn::Expr) -> Result<Iter> {
        let f = self.operand(f)?;
        let changes = !effects::changes_nothing(self, &f);
        let at: At = Rc::new(move |l, _| l.apply_fn(&f, Vec::new(), &quote!()));
        let mut iter = Iter::positions(self.endless(), at);
        if changes {
            iter.changes();
        }
        Ok(iter)
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
        Iter::positions(len, at)
    }

    pub(super) fn view_iter(&mut self, view: &View) -> Iter {
        let len = self.view_len(view);
        let view = view.clone();
        let at: At = Rc::new(move |l, k| Ok(l.item(&view, k)));
        Iter::positions(len, at)
    }

    pub(super) fn range_iter(
        &mut self,
        range: &RangeVal,
        x: &syn::ExprMethodCall,
    ) -> Result<Rc<Iter>> {
        self.range_iter_at(range, &x.receiver)
    }

    pub(super) fn range_iter_at(&mut self, range: &RangeVal, at: &syn::Expr) -> Result<Rc<Iter>> {
        if let (Some(lo), None) = (range.lo, range.hi) {
            return self.counting_up(lo, at);
        }
        let Some((lo, hi, inclusive)) = self.range_of(range) else {
            return self.reject(at, &errors::NOT_ITERABLE);
        };
        let ty = self.g.ty(lo);
        if matches!(self.g.types.kind(ty), Kind::Unknown) {
            self.g.types.learn(ty, Kind::AnyInt);
        }
        Ok(Rc::new(Iter::of(Source::Range {
            lo,
            hi,
            inclusive,
            rev: false,
            step: None,
        })))
    }

    /// `lo..`: where something else ends it.
    fn counting_up(&mut self, lo: Id, at: &syn::Expr) -> Result<Rc<Iter>> {
        let ty = self.g.ty(lo);
        match self.g.types.kind(ty) {
            Kind::AnyInt | Kind::Unknown => {}
            Kind::Int(name) if name == "usize" => {}
            _ => return self.reject(at, &errors::NOT_ITERABLE),
        }
        self.g.types.learn(ty, Kind::Int("usize".into()));
        let item: At = Rc::new(move |l, k| Ok(Val::Num(l.usize_op(quote!(+), lo, k))));
        Ok(Rc::new(Iter::positions(self.endless(), item)))
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
            (
                "windows" | "chunks" | "chunks_exact" | "chunks_mut" | "chunks_exact_mut"
                | "rchunks" | "rchunks_mut",
                [e],
            ) => {
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
                    // From the end, so that the short one comes last here too.
                    "rchunks" | "rchunks_mut" => {
                        let count = self.usize_function(
                            quote!(::core::primitive::usize::div_ceil),
                            len,
                            size,
                        );
                        let at: At = Rc::new(move |l, k| {
                            let behind = l.usize_op(quote!(*), k, size);
                            let hi = l.usize_op(quote!(-), len, behind);
                            let lo = l.saturating_sub(hi, size);
                            let n = l.usize_op(quote!(-), hi, lo);
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
                Ok(Iter::positions(count, at))
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }
}
