//! The methods of iterators: adapters, which add a stage, and consumers, which run the loop.
//!
//! In: an iterator and a method call. Out: a longer iterator, or the value that the loop leaves. What must hold: an adapter runs nothing;
//! a closure is evaluated once for each element that reaches it, in the order of Rust.

use super::Lower;
use super::iter::{At, Iter, Source, Stage};
use super::value::{Borrow, Val, View};
use crate::errors::{self, Result};
use crate::graph::Init;
use crate::rules::Op;
use crate::shape::Shape;
use crate::types::Kind;
use proc_macro2::Span;
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
        let stage = |s: Stage| {
            let mut stages = iter.stages.clone();
            stages.push(s);
            Ok(Val::Iter(Rc::new(Iter {
                source: iter.source.clone(),
                stages,
            })))
        };
        match (name, args) {
            ("copied" | "cloned", []) => match (&iter.source, iter.stages.is_empty()) {
                (Source::Positions { len, rev, at }, true) => {
                    let at = at.clone();
                    let owned: At = Rc::new(move |l, k| {
                        Ok(match at(l, k)? {
                            Val::View(item) => Val::View(View {
                                borrow: Borrow::Own,
                                ..item
                            }),
                            item => item,
                        })
                    });
                    Self::from_positions(*len, *rev, owned)
                }
                _ => Ok(Val::Iter(iter.clone())),
            },
            ("iter" | "into_iter" | "by_ref" | "fuse", []) => Ok(Val::Iter(iter.clone())),
            ("map", [f]) => {
                let f = self.operand(f)?;
                stage(Stage::Map(f))
            }
            ("filter", [f]) => {
                let f = self.operand(f)?;
                stage(Stage::Filter(f))
            }
            ("take_while", [f]) => {
                let f = self.operand(f)?;
                stage(Stage::TakeWhile(f))
            }
            ("flatten", []) => stage(Stage::Flatten),
            ("flat_map", [f]) => {
                let f = self.operand(f)?;
                let stages = [&iter.stages[..], &[Stage::Map(f), Stage::Flatten]].concat();
                Ok(Val::Iter(Rc::new(Iter {
                    source: iter.source.clone(),
                    stages,
                })))
            }
            ("scan", [init, f]) => {
                let init = self.operand(init)?;
                let f = self.operand(f)?;
                let state = self.new_var("state".into(), init, true);
                stage(Stage::Scan(f, state))
            }
            ("enumerate", []) => {
                if let (
                    Source::Positions {
                        len,
                        rev: false,
                        at,
                    },
                    true,
                ) = (&iter.source, iter.stages.is_empty())
                {
                    let at = at.clone();
                    let both: At = Rc::new(move |l, k| {
                        let item = at(l, k)?;
                        Ok(Val::Tuple(vec![Val::Num(k), item]))
                    });
                    return Self::from_positions(*len, false, both);
                }
                stage(Stage::Enumerate)
            }
            ("rev", []) => match (
                &iter.source,
                iter.stages.iter().all(|s| matches!(s, Stage::Map(_))),
            ) {
                (
                    Source::Range {
                        lo,
                        hi,
                        inclusive,
                        rev,
                        step,
                    },
                    true,
                ) => {
                    let source = Source::Range {
                        lo: *lo,
                        hi: *hi,
                        inclusive: *inclusive,
                        rev: !rev,
                        step: *step,
                    };
                    if step.is_some() {
                        return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                    }
                    Ok(Val::Iter(Rc::new(Iter {
                        source,
                        stages: iter.stages.clone(),
                    })))
                }
                (Source::Positions { len, rev, at }, true) => {
                    let source = Source::Positions {
                        len: *len,
                        rev: !rev,
                        at: at.clone(),
                    };
                    Ok(Val::Iter(Rc::new(Iter {
                        source,
                        stages: iter.stages.clone(),
                    })))
                }
                _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
            },
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
                ) = (&iter.source, iter.stages.is_empty())
                {
                    let source = Source::Range {
                        lo: *lo,
                        hi: *hi,
                        inclusive: *inclusive,
                        rev: *rev,
                        step: Some(by),
                    };
                    return Ok(Val::Iter(Rc::new(Iter {
                        source,
                        stages: Vec::new(),
                    })));
                }
                let (len, at) = self.positioned(&iter, x)?;
                let len = self.usize_function(quote!(::core::primitive::usize::div_ceil), len, by);
                let at: At = Rc::new(move |l, k| {
                    let k = l.usize_op(quote!(*), k, by);
                    at(l, k)
                });
                Self::from_positions(len, false, at)
            }
            ("skip" | "take", [e]) => {
                let n = self.scalar(e)?;
                let (len, at) = self.positioned(&iter, x)?;
                if name == "take" {
                    let len = self.usize_min(len, n);
                    return Self::from_positions(len, false, at);
                }
                let len = self.saturating_sub(len, n);
                let at: At = Rc::new(move |l, k| {
                    let k = l.usize_op(quote!(+), n, k);
                    at(l, k)
                });
                Self::from_positions(len, false, at)
            }
            ("zip", [e]) => {
                let other = self.operand(e)?;
                let other = self.iter_of(other, e)?;
                let (n, a) = self.positioned(&iter, x)?;
                let (m, b) = self.positioned(&other, x)?;
                let len = self.usize_min(n, m);
                let at: At = Rc::new(move |l, k| Ok(Val::Tuple(vec![a(l, k)?, b(l, k)?])));
                Self::from_positions(len, false, at)
            }
            ("chain", [e]) => {
                let other = self.operand(e)?;
                let other = self.iter_of(other, e)?;
                let (n, a) = self.positioned(&iter, x)?;
                let (m, b) = self.positioned(&other, x)?;
                let len = self.usize_op(quote!(+), n, m);
                let at: At = Rc::new(move |l, k| {
                    let ty = l.g.bool_ty();
                    let first = l.g.opaque_binary(quote!(<), k, n, ty, true);
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
                Self::from_positions(len, false, at)
            }
            ("windows", _) => self.reject(&x.method, &errors::UNKNOWN_METHOD),
            ("sum" | "product", []) => {
                // The empty sum of floats is -0.0, as in the standard library.
                let ty = self.g.types.fresh(Kind::AnyFloat);
                let init = self.g.lit(if name == "sum" { -0.0 } else { 1.0 }, ty);
                if let Some(t) = &x.turbofish
                    && let Some(syn::GenericArgument::Type(t)) = t.args.first()
                {
                    let kind = super::kind_of(t, &self.sig.names);
                    if matches!(kind, Kind::Int(_)) {
                        return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                    }
                    self.learn_type(&Val::Num(init), t);
                }
                let op = if name == "sum" { Op::Add } else { Op::Mul };
                let acc = self.new_var(name.into(), Val::Num(init), true);
                self.each(&iter, None, x.method.span(), "k", |l, item| {
                    let v = l.num(item, x)?;
                    let t = l.g.ty(v);
                    if l.g.types.is_int(t) {
                        return l.reject(&x.method, &errors::UNKNOWN_METHOD);
                    }
                    let old = l.read(acc);
                    let old = l.num(old, x)?;
                    let new = l.g.apply_primal(op, &[old, v]);
                    l.write(acc, Val::Num(new));
                    Ok(())
                })?;
                Ok(self.read(acc))
            }
            ("fold", [init, f]) => {
                let val = self.operand(init)?;
                let val = self.by_value(val, "fold");
                let f = self.operand(f)?;
                let acc = self.new_var("fold".into(), val, true);
                self.each(&iter, None, x.method.span(), "k", |l, item| {
                    let old = l.read(acc);
                    let new = l.apply(&f, vec![old.clone(), item], x)?;
                    match (&old, new) {
                        (Val::View(to), Val::View(from)) => {
                            if to.place != from.place {
                                l.copy_view(&to.clone(), &from)?;
                            }
                        }
                        (_, new) => {
                            let at = syn::Expr::MethodCall(x.clone());
                            let new = l.replaced(old, &[], new, &at, &at)?;
                            l.write(acc, new);
                        }
                    }
                    Ok(())
                })?;
                Ok(self.read(acc))
            }
            ("for_each", [f]) => {
                let f = self.operand(f)?;
                self.each(&iter, None, x.method.span(), "k", |l, item| {
                    l.apply(&f, vec![item], x)?;
                    Ok(())
                })?;
                Ok(Val::Unit)
            }
            ("collect", []) => self.collect(x, &iter),
            ("count", []) => {
                let zero = self.g.usize_const(0);
                let n = self.new_var("count".into(), Val::Num(zero), true);
                self.each(&iter, None, x.method.span(), "k", |l, _| {
                    let old = l.read(n);
                    let old = l.num(old, x)?;
                    let one = l.g.usize_const(1);
                    let new = l.usize_op(quote!(+), old, one);
                    l.write(n, Val::Num(new));
                    Ok(())
                })?;
                Ok(self.read(n))
            }
            ("any" | "all", [f]) => {
                let f = self.operand(f)?;
                let all = name == "all";
                let init = self.g.bool_const(all);
                let found = self.new_var(name.into(), Val::Num(init), true);
                let end = self.targets.len();
                self.each(&iter, None, x.method.span(), "k", |l, item| {
                    let hit = l.apply(&f, vec![item], x)?;
                    let hit = l.num(hit, x)?;
                    let stop = if all { l.g.not(hit) } else { hit };
                    l.branch(
                        stop,
                        |l| {
                            let v = l.g.bool_const(!all);
                            l.write(found, Val::Num(v));
                            l.leave(end, None)?;
                            Ok(Val::Uninit)
                        },
                        |_| Ok(Val::Unit),
                    )?;
                    Ok(())
                })?;
                Ok(self.read(found))
            }
            ("position", [f]) => {
                let f = self.operand(f)?;
                let (no, zero) = (self.g.bool_const(false), self.g.usize_const(0));
                let found = self.new_var("found".into(), Val::Num(no), true);
                let at = self.new_var("position".into(), Val::Num(zero), true);
                let end = self.targets.len();
                self.each(&iter, None, x.method.span(), "k", |l, item| {
                    let hit = l.apply(&f, vec![item], x)?;
                    let hit = l.num(hit, x)?;
                    l.branch(
                        hit,
                        |l| {
                            let yes = l.g.bool_const(true);
                            l.write(found, Val::Num(yes));
                            l.leave(end, None)?;
                            Ok(Val::Uninit)
                        },
                        |l| {
                            let (k, one) = (l.read(at), l.g.usize_const(1));
                            let k = l.num(k, x)?;
                            let next = l.usize_op(quote!(+), k, one);
                            l.write(at, Val::Num(next));
                            Ok(Val::Unit)
                        },
                    )?;
                    Ok(())
                })?;
                let (found, at) = (self.read(found), self.read(at));
                let (found, at) = (self.num(found, x)?, self.num(at, x)?);
                Ok(Val::Opt(found, Box::new(Val::Num(at))))
            }
            // The first item is the state that the others are folded into.
            ("reduce", [f]) => {
                let f = self.operand(f)?;
                let (len, item_at) = self.positioned(&iter, x)?;
                let (zero, one) = (self.g.usize_const(0), self.g.usize_const(1));
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(>), len, zero, ty, true);
                let rest = self.saturating_sub(len, one);
                let val = self.branch(
                    some,
                    |l| {
                        let first = item_at(l, zero)?;
                        let first = l.num(first, x)?;
                        let acc = l.new_var("reduced".into(), Val::Num(first), true);
                        l.positions(rest, false, |l, k| {
                            let k = l.usize_op(quote!(+), k, one);
                            let item = item_at(l, k)?;
                            let old = l.read(acc);
                            let new = l.apply(&f, vec![old, item], x)?;
                            let new = l.num(new, x)?;
                            l.write(acc, Val::Num(new));
                            Ok(())
                        })?;
                        Ok(l.read(acc))
                    },
                    |_| Ok(Val::Uninit),
                )?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    pub(super) fn collect(&mut self, x: &syn::ExprMethodCall, iter: &Rc<Iter>) -> Result<Val> {
        if iter.stages.iter().all(|s| matches!(s, Stage::Map(_)))
            && let Ok((len, at)) = self.positioned(iter, x)
        {
            return self.tabulate(len, None, x, |l, k| at(l, k));
        }
        let ty = self.g.types.fresh(Kind::Unknown);
        let array = self.g.declare(
            "collected",
            Shape::Vec(Box::new(Shape::Scalar(ty))),
            Init::Empty,
            Span::call_site(),
        );
        self.each(iter, None, x.method.span(), "k", |l, item| {
            let v = l.num(item, x)?;
            let t = l.g.ty(v);
            l.g.types.unify(ty, t);
            l.g.push_element(array, v);
            Ok(())
        })?;
        Ok(super::expr::fresh_view(array))
    }
}
