//! The consumers of iterators: methods that run the loop.
//!
//! In: an iterator and a method call. Out: the value that the loop leaves. What must hold: as many items are asked for as Rust asks for.

use super::Lower;
use super::iter::{Iter, Stage};
use super::selection::is_scalars;
use super::value::Val;
use crate::errors::{self, Result};
use crate::graph::{Id, Init};
use crate::rules::Op;
use crate::shape::Shape;
use crate::types::Kind;
use proc_macro2::Span;
use quote::quote;
use std::rc::Rc;

impl Lower<'_> {
    pub(super) fn consumed(
        &mut self,
        x: &syn::ExprMethodCall,
        iter: Rc<Iter>,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        match (name, args) {
            ("sum" | "product", []) => self.summed(x, &iter, name),
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
            ("reduce", [f]) => self.reduced(x, &iter, f),
            ("min_by" | "max_by" | "min_by_key" | "max_by_key", [_]) | ("min" | "max", []) => {
                self.selection(x, &iter, name, args)
            }
            ("find", [f]) => {
                let f = self.operand(f)?;
                self.first(x, &Rc::new(iter.with(Stage::Filter(f))))
            }
            ("find_map", [f]) => {
                let f = self.operand(f)?;
                self.first(x, &Rc::new(iter.with(Stage::FilterMap(f))))
            }
            ("next" | "next_back" | "peek", []) => match self.next_item(&iter, name)? {
                Some(item) => Ok(item),
                None if name == "next" => self.first(x, &iter),
                None => self.reject(&x.method, &errors::UNKNOWN_METHOD),
            },
            ("nth", [e]) => {
                let n = self.count_of(e)?;
                match self.positioned(&iter)? {
                    Some((len, at, true)) => {
                        let some = self.related(quote!(<), n, len);
                        let val = self.item_where(some, &at, n, x)?;
                        Ok(Val::Opt(some, Box::new(val)))
                    }
                    _ => self.first(x, &Rc::new(iter.with(Stage::Skip(n)))),
                }
            }
            ("last", []) => match self.positioned(&iter)? {
                Some((len, at, true)) if !self.is_endless(len) => {
                    let zero = self.g.usize_const(0);
                    let some = self.related(quote!(>), len, zero);
                    let one = self.g.usize_const(1);
                    let k = self.saturating_sub(len, one);
                    let val = self.item_where(some, &at, k, x)?;
                    Ok(Val::Opt(some, Box::new(val)))
                }
                _ => self.noted(x, &iter, false),
            },
            ("len", []) => match self.positioned(&iter)? {
                Some((len, _, _)) => Ok(Val::Num(len)),
                None => self.reject(&x.method, &errors::UNKNOWN_METHOD),
            },
            ("rposition", [f]) => {
                let f = self.operand(f)?;
                let Some((len, at, true)) = self.positioned(&iter)? else {
                    return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                };
                let backwards = super::iter_method::from_positions(
                    len,
                    Rc::new(move |l, k| {
                        let k = l.counted_back(len, k);
                        let item = at(l, k)?;
                        Ok(Val::Tuple(vec![Val::Num(k), item]))
                    }),
                    true,
                );
                let Val::Iter(backwards) = backwards else {
                    return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                };
                let zero = self.g.usize_const(0);
                let at = self.new_var("position".into(), Val::Num(zero), true);
                self.until(&backwards, x, |l, item| {
                    let parts = item.parts().unwrap_or_default().to_vec();
                    let [k, item] = parts.as_slice() else {
                        return l.reject(&x.method, &errors::UNKNOWN_METHOD);
                    };
                    l.write(at, k.clone());
                    let hit = l.apply(&f, vec![item.clone()], x)?;
                    l.num(hit, x)
                })
                .map(|found| {
                    let at = self.read(at);
                    Val::Opt(found, Box::new(at))
                })
            }
            // It ends where the function gives `None`; what it has given before is lost.
            ("try_fold", [init, f]) => {
                let init = self.operand(init)?;
                let init = self.by_value(init, "fold");
                let f = self.operand(f)?;
                let acc = self.new_var("fold".into(), init, true);
                let failed = self.until(&iter, x, |l, item| {
                    let old = l.read(acc);
                    let given = l.apply(&f, vec![old.clone(), item], x)?;
                    let Val::Opt(some, new) = given else {
                        return l.reject(&x.method, &errors::UNKNOWN_METHOD);
                    };
                    l.branch(
                        some,
                        |l| {
                            let at = syn::Expr::MethodCall(x.clone());
                            let new = l.replaced(old, &[], *new, &at, &at)?;
                            l.write(acc, new);
                            Ok(Val::Unit)
                        },
                        |_| Ok(Val::Unit),
                    )?;
                    Ok(l.g.not(some))
                })?;
                let some = self.g.not(failed);
                let acc = self.read(acc);
                Ok(Val::Opt(some, Box::new(acc)))
            }
            ("unzip", []) => {
                let lists = [self.list("left"), self.list("right")];
                self.each(&iter, None, x.method.span(), "k", |l, item| {
                    let parts = item.parts().unwrap_or_default().to_vec();
                    if parts.len() != 2 {
                        return l.reject(&x.method, &errors::UNKNOWN_METHOD);
                    }
                    for (list, part) in lists.iter().zip(parts) {
                        l.push_item(*list, part, x)?;
                    }
                    Ok(())
                })?;
                let lists = lists.map(super::expr::fresh_view);
                Ok(Val::Tuple(lists.to_vec()))
            }
            ("partition", [f]) => {
                let f = self.operand(f)?;
                let lists = [self.list("first"), self.list("second")];
                self.each(&iter, None, x.method.span(), "k", |l, item| {
                    let fits = l.apply(&f, vec![item.clone()], x)?;
                    let fits = l.num(fits, x)?;
                    let other = item.clone();
                    l.branch(
                        fits,
                        |l| l.push_item(lists[0], item, x).map(|()| Val::Unit),
                        |l| l.push_item(lists[1], other, x).map(|()| Val::Unit),
                    )?;
                    Ok(())
                })?;
                let lists = lists.map(super::expr::fresh_view);
                Ok(Val::Tuple(lists.to_vec()))
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    fn summed(&mut self, x: &syn::ExprMethodCall, iter: &Rc<Iter>, name: &str) -> Result<Val> {
        let written = x.turbofish.as_ref().and_then(|t| match t.args.first() {
            Some(syn::GenericArgument::Type(t)) => Some(t),
            _ => None,
        });
        let kind = written.map(|t| super::kind_of(t, &self.sig.names));
        let of_range = matches!(iter.source, super::iter::Source::Range { .. });
        let integers = match kind {
            Some(Kind::Int(_)) => true,
            Some(_) => false,
            None => of_range && iter.stages.is_empty(),
        };
        let init = if integers {
            let ty = self.g.types.fresh(kind.unwrap_or(Kind::AnyInt));
            let init = match name {
                "sum" => quote!(0),
                _ => quote!(1),
            };
            self.g.opaque_tokens(init, ty)
        } else {
            // The empty sum of floats is -0.0, as in the standard library.
            let ty = self.g.types.fresh(Kind::AnyFloat);
            let init = self.g.lit(if name == "sum" { -0.0 } else { 1.0 }, ty);
            if let Some(t) = written {
                self.learn_type(&Val::Num(init), t);
            }
            init
        };
        let op = if name == "sum" { Op::Add } else { Op::Mul };
        let acc = self.new_var(name.into(), Val::Num(init), true);
        self.each(iter, None, x.method.span(), "k", |l, item| {
            let v = l.num(item, x)?;
            let (a, b) = (l.g.ty(init), l.g.ty(v));
            let old = l.read(acc);
            let old = l.num(old, x)?;
            if integers {
                if l.g.is_float(v) {
                    return l.reject(&x.method, &errors::UNKNOWN_METHOD);
                }
                l.g.types.unify(a, b);
                let op = if name == "sum" { quote!(+) } else { quote!(*) };
                let new = l.pinned(|g| g.opaque_binary(op, old, v, a, false));
                l.write(acc, new);
                return Ok(());
            }
            if l.g.types.is_int(b) {
                return l.reject(&x.method, &errors::SUM_TYPE);
            }
            let new = l.g.apply_primal(op, &[old, v]);
            l.write(acc, Val::Num(new));
            Ok(())
        })?;
        Ok(self.read(acc))
    }

    /// The first item is the state that the others are folded into.
    fn reduced(&mut self, x: &syn::ExprMethodCall, iter: &Rc<Iter>, f: &syn::Expr) -> Result<Val> {
        let f = self.operand(f)?;
        let Some((len, item_at, _)) = self.positioned(iter)? else {
            return self.reject(&x.method, &errors::ITER_UNCOUNTED);
        };
        let (zero, one) = (self.g.usize_const(0), self.g.usize_const(1));
        let some = self.related(quote!(>), len, zero);
        let rest = self.saturating_sub(len, one);
        let val = self.branch(
            some,
            |l| {
                let first = item_at(l, zero)?;
                let first = l.by_value(first, "reduced");
                let acc = l.new_var("reduced".into(), first, true);
                l.positions(rest, false, |l, k| {
                    let k = l.usize_op(quote!(+), k, one);
                    let item = item_at(l, k)?;
                    let old = l.read(acc);
                    let new = l.apply(&f, vec![old.clone(), item], x)?;
                    let at = syn::Expr::MethodCall(x.clone());
                    let new = l.replaced(old, &[], new, &at, &at)?;
                    l.write(acc, new);
                    Ok(())
                })?;
                Ok(l.read(acc))
            },
            |_| Ok(Val::Uninit),
        )?;
        Ok(Val::Opt(some, Box::new(val)))
    }

    /// Runs until a test says so; whether it did.
    fn until(
        &mut self,
        iter: &Rc<Iter>,
        x: &syn::ExprMethodCall,
        test: impl FnOnce(&mut Self, Val) -> Result<Id>,
    ) -> Result<Id> {
        let no = self.g.bool_const(false);
        let found = self.new_var("found".into(), Val::Num(no), true);
        let end = self.targets.len();
        self.each(iter, None, x.method.span(), "k", |l, item| {
            let hit = test(l, item)?;
            l.branch(
                hit,
                |l| {
                    let yes = l.g.bool_const(true);
                    l.write(found, Val::Num(yes));
                    l.leave(end, None)?;
                    Ok(Val::Uninit)
                },
                |_| Ok(Val::Unit),
            )?;
            Ok(())
        })?;
        let found = self.read(found);
        self.num(found, x)
    }

    /// The first item, where it is known only when it is there.
    fn first(&mut self, x: &syn::ExprMethodCall, iter: &Rc<Iter>) -> Result<Val> {
        self.noted(x, iter, true)
    }

    /// The first item, or the last: its position is noted, or itself, where it consists of numbers.
    fn noted(&mut self, x: &syn::ExprMethodCall, iter: &Rc<Iter>, first: bool) -> Result<Val> {
        let no = self.g.bool_const(false);
        let found = self.new_var("found".into(), Val::Num(no), true);
        let end = self.targets.len();
        let by_position = self.numbered(iter)?;
        let init = match &by_position {
            Some(_) => Val::Num(self.g.usize_const(0)),
            None => Val::Uninit,
        };
        let held = self.new_var("item".into(), init, true);
        let items = match &by_position {
            Some((_, numbered)) => numbered,
            None => iter,
        };
        self.each(items, None, x.method.span(), "k", |l, item| {
            let item = match item {
                Val::Elem(place) => Val::Num(l.g.load(place)),
                item => item,
            };
            if !is_scalars(&item) {
                return l.reject(&x.method, &errors::UNKNOWN_METHOD);
            }
            let yes = l.g.bool_const(true);
            l.write(found, Val::Num(yes));
            l.write(held, item);
            if first {
                l.leave(end, None)?;
            }
            Ok(())
        })?;
        let found = self.read(found);
        let found = self.num(found, x)?;
        let held = self.read(held);
        let val = match by_position {
            Some((at, _)) => {
                let k = self.num(held, x)?;
                self.item_where(found, &at, k, x)?
            }
            None => held,
        };
        Ok(Val::Opt(found, Box::new(val)))
    }

    /// A list that is empty still.
    pub(super) fn list(&mut self, name: &str) -> crate::graph::ArrayId {
        let ty = self.g.types.fresh(Kind::Unknown);
        let shape = Shape::Vec(Box::new(Shape::Scalar(ty)));
        self.g.declare(name, shape, Init::Empty, Span::call_site())
    }

    pub(super) fn push_item(
        &mut self,
        list: crate::graph::ArrayId,
        item: Val,
        at: &impl quote::ToTokens,
    ) -> Result<()> {
        let value = self.num(item, at)?;
        match self.g.array(list).shape.element() {
            Some(Shape::Scalar(t)) => {
                let (t, ty) = (*t, self.g.ty(value));
                self.g.types.unify(t, ty);
            }
            Some(Shape::Float(f)) => {
                let (f, ty) = (f.clone(), self.g.ty(value));
                self.g.types.learn(ty, Kind::Float(f));
            }
            _ => {}
        }
        self.g.push_element(list, value);
        Ok(())
    }

    pub(super) fn collect(&mut self, x: &syn::ExprMethodCall, iter: &Rc<Iter>) -> Result<Val> {
        if let Some((len, at, _)) = self.positioned(iter)? {
            return self.tabulate(len, None, x, |l, k| at(l, k));
        }
        let list = self.list("collected");
        self.each(iter, None, x.method.span(), "k", |l, item| {
            l.push_item(list, item, x)
        })?;
        Ok(super::expr::fresh_view(list))
    }
}
