//! Methods of arrays, slices and `Vec`s.
//!
//! In: the array a method is called on and its arguments as written. Out: the elements, views, copies and loops that the
//! method means. What must hold: where the standard library panics, the emitted code does, before anything is written.

use super::Lower;
use super::target::Destination;
use super::value::{Borrow, Val, View};
use crate::errors::{self, Rejected, Result};
use crate::graph::Id;
use crate::shape::Shape;
use crate::types::Kind;
use quote::quote;

impl Lower<'_> {
    pub(super) fn array_method(
        &mut self,
        x: &syn::ExprMethodCall,
        view: View,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        let one = |l: &mut Self| l.scalar(args[0]);
        // What a method hands out is borrowed as its name says.
        let view = match name {
            "as_slice" | "as_ref" | "borrow" | "iter" | "first" | "last" | "get" | "split_at"
            | "split_first" | "split_last" | "windows" | "chunks" | "chunks_exact" | "rchunks" => {
                View {
                    borrow: Borrow::Shared,
                    ..view
                }
            }
            name if name.contains("_mut") => View {
                borrow: Borrow::Mut,
                ..view
            },
            _ => view,
        };
        match (name, args.len()) {
            ("len", 0) => {
                let len = self.view_len(&view);
                Ok(Val::Num(len))
            }
            ("is_empty", 0) => {
                let len = self.view_len(&view);
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                Ok(Val::Num(self.g.opaque_binary(
                    quote!(==),
                    len,
                    zero,
                    ty,
                    true,
                )))
            }
            ("as_slice" | "as_ref" | "borrow" | "as_mut_slice" | "as_mut", 0) => {
                Ok(Val::View(view))
            }
            ("clone" | "to_vec" | "to_owned" | "into_boxed_slice", 0) => {
                let shape = self.view_shape(&view);
                let to_vec = name == "to_vec" && matches!(shape, Shape::Array(..));
                if to_vec {
                    let windowed = View {
                        window: Some((self.g.usize_const(0), self.view_len(&view))),
                        ..view
                    };
                    return Ok(Val::View(self.copied(&windowed, "copy")));
                }
                Ok(Val::View(self.copied(&view, "copy")))
            }
            ("swap", 2) => {
                let (i, j) = (self.scalar(args[0])?, self.scalar(args[1])?);
                let a = self.checked_place(&view, i);
                let b = self.checked_place(&view, j);
                self.swap_places(Destination::Place(a), Destination::Place(b), x)?;
                Ok(Val::Unit)
            }
            ("fill", 1) => {
                let val = self.operand(args[0])?;
                let value = self.num(val, args[0])?;
                let len = self.view_len(&view);
                self.positions(len, false, |l, k| {
                    l.assign_element(&view, k, Val::Num(value))
                })?;
                Ok(Val::Unit)
            }
            ("copy_from_slice" | "clone_from_slice", 1) => match self.operand(args[0])? {
                Val::View(from) => {
                    let (a, b) = (self.view_len(&view), self.view_len(&from));
                    if a != b {
                        let ty = self.g.bool_ty();
                        let same = self.g.opaque_binary(quote!(==), a, b, ty, false);
                        self.effect(
                            quote!(::core::assert!(__h0, "copy_from_slice: the lengths differ")),
                            &[same],
                        );
                    }
                    // The elements are copied one by one: source and destination may differ in kind.
                    self.positions(b, false, |l, k| {
                        let val = l.element(&from, k);
                        l.assign_element(&view, k, val)
                    })?;
                    Ok(Val::Unit)
                }
                Val::Poison => Err(Rejected),
                _ => self.reject(args[0], &errors::NOT_ARRAY),
            },
            ("copy_within", 2) => {
                let Val::Range(range) = self.operand(args[0])? else {
                    return self.reject(args[0], &errors::EXPRESSION);
                };
                let from = self.slice(&view, &range);
                let (count, len) = (self.view_len(&from), self.view_len(&view));
                let to = self.scalar(args[1])?;
                let room = self.saturating_sub(len, to);
                let ty = self.g.bool_ty();
                let fits = self.g.opaque_binary(quote!(<=), count, room, ty, false);
                self.effect(
                    quote!(::core::assert!(
                        __h0,
                        "copy_within: the destination is out of bounds"
                    )),
                    &[fits],
                );
                // Source and destination may overlap.
                let held = self.copied(&from, "moved");
                let to = self.subview(&view, to, count);
                self.copy_view(&to, &held)?;
                Ok(Val::Unit)
            }
            ("swap_with_slice", 1) => match self.operand(args[0])? {
                Val::View(other) => {
                    let (a, b) = (self.view_len(&view), self.view_len(&other));
                    if a != b {
                        let ty = self.g.bool_ty();
                        let same = self.g.opaque_binary(quote!(==), a, b, ty, false);
                        self.effect(
                            quote!(::core::assert!(__h0, "swap_with_slice: the lengths differ")),
                            &[same],
                        );
                    }
                    self.positions(b, false, |l, k| {
                        let held = l.element(&view, k);
                        let held = l.by_value(held, "held");
                        let new = l.element(&other, k);
                        l.assign_element(&view, k, new)?;
                        l.assign_element(&other, k, held)
                    })?;
                    Ok(Val::Unit)
                }
                Val::Poison => Err(Rejected),
                _ => self.reject(args[0], &errors::NOT_ARRAY),
            },
            ("first" | "last", 0) => {
                let len = self.view_len(&view);
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(>), len, zero, ty, true);
                let one = self.g.usize_const(1);
                let k = match name {
                    "first" => zero,
                    _ => self.saturating_sub(len, one),
                };
                let val = self.branch(some, |l| Ok(l.item(&view, k)), |_| Ok(Val::Uninit))?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("split_first" | "split_first_mut" | "split_last" | "split_last_mut", 0) => {
                let len = self.view_len(&view);
                let (zero, one) = (self.g.usize_const(0), self.g.usize_const(1));
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(>), len, zero, ty, true);
                // The place of the last element of an empty slice is not looked at.
                let rest = self.saturating_sub(len, one);
                let (at, lo) = if name.starts_with("split_first") {
                    (zero, one)
                } else {
                    (rest, zero)
                };
                let item = if name.ends_with("_mut") {
                    let place = self.element_place(&view, at);
                    self.reference_to(place)
                } else {
                    self.branch(some, |l| Ok(l.item(&view, at)), |_| Ok(Val::Uninit))?
                };
                let rest = Val::View(self.subview(&view, lo, rest));
                Ok(Val::Opt(some, Box::new(Val::Tuple(vec![item, rest]))))
            }
            ("rotate_left" | "rotate_right", 1) => {
                let by = one(self)?;
                let ty = self.g.ty(by);
                self.g.types.learn(ty, Kind::Int("usize".into()));
                let len = self.view_len(&view);
                let ty = self.g.bool_ty();
                let inside = self.g.opaque_binary(quote!(<=), by, len, ty, false);
                self.effect(
                    quote!(::core::assert!(__h0, "rotation by more than the length")),
                    &[inside],
                );
                let rest = self.usize_op(quote!(-), len, by);
                let (first, second) = if name == "rotate_left" {
                    (by, rest)
                } else {
                    (rest, by)
                };
                // [first | second] becomes [second | first].
                let held = self.copied(&view, "held");
                let zero = self.g.usize_const(0);
                for (to, from, len) in [(zero, first, second), (second, zero, first)] {
                    let (to, from) = (self.subview(&view, to, len), self.subview(&held, from, len));
                    self.copy_view(&to, &from)?;
                }
                Ok(Val::Unit)
            }
            ("get", 1) => {
                let k = one(self)?;
                let len = self.view_len(&view);
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(<), k, len, ty, true);
                let val = self.branch(some, |l| Ok(l.item(&view, k)), |_| Ok(Val::Uninit))?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("split_at" | "split_at_mut", 1) => {
                let at = one(self)?;
                let len = self.view_len(&view);
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                let inside = self.g.opaque_binary(quote!(<=), at, len, ty, false);
                self.effect(quote!(::core::assert!(__h0, "mid > len")), &[inside]);
                let rest = self.usize_op(quote!(-), len, at);
                let a = self.subview(&view, zero, at);
                let b = self.subview(&view, at, rest);
                Ok(Val::Tuple(vec![Val::View(a), Val::View(b)]))
            }
            ("is_sorted", 0) => {
                let len = self.view_len(&view);
                let one = self.g.usize_const(1);
                let pairs = self.saturating_sub(len, one);
                let yes = self.g.bool_const(true);
                let sorted = self.new_var("sorted".into(), Val::Num(yes), true);
                self.positions(pairs, false, |l, k| {
                    let next = l.usize_op(quote!(+), k, one);
                    let (a, b) = (l.element(&view, k), l.element(&view, next));
                    let (a, b) = (l.num(a, x)?, l.num(b, x)?);
                    let ty = l.g.bool_ty();
                    let rises = l.g.opaque_binary(quote!(<=), a, b, ty, true);
                    let before = l.read(sorted);
                    let before = l.num(before, x)?;
                    let both = l.g.opaque_binary(quote!(&&), before, rises, ty, true);
                    l.write(sorted, Val::Num(both));
                    Ok(())
                })?;
                Ok(self.read(sorted))
            }
            ("contains", 1) => {
                let wanted = one(self)?;
                let len = self.view_len(&view);
                let no = self.g.bool_const(false);
                let found = self.new_var("found".into(), Val::Num(no), true);
                self.positions(len, false, |l, k| {
                    let item = l.element(&view, k);
                    let item = l.num(item, x)?;
                    let (a, b) = (l.g.ty(item), l.g.ty(wanted));
                    l.g.types.unify(a, b);
                    let ty = l.g.bool_ty();
                    let same = l.g.opaque_binary(quote!(==), item, wanted, ty, true);
                    let before = l.read(found);
                    let before = l.num(before, x)?;
                    let either = l.g.opaque_binary(quote!(||), before, same, ty, true);
                    l.write(found, Val::Num(either));
                    Ok(())
                })?;
                Ok(self.read(found))
            }
            ("concat", 0) => {
                let rows = super::iter::Iter::clone(&*self.iter_of(Val::View(view), &x.receiver)?);
                let items = std::rc::Rc::new(rows.with(super::iter::Stage::Flatten));
                self.collect(x, &items)
            }
            ("map", 1) => {
                let f = self.operand(args[0])?;
                let len = self.view_len(&view);
                let shape = self.view_shape(&view);
                let Shape::Array(_, n) = shape else {
                    return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                };
                self.tabulate(len, Some(n), x, |l, k| {
                    let v = l.element(&view, k);
                    l.apply(&f, vec![v], x)
                })
            }
            ("reverse", 0) => {
                let len = self.view_len(&view);
                let two = self.g.usize_const(2);
                let half = self.usize_op(quote!(/), len, two);
                let one = self.g.usize_const(1);
                let top = self.saturating_sub(len, one);
                self.positions(half, false, |l, k| {
                    let other = l.usize_op(quote!(-), top, k);
                    let (a, b) = (l.element_place(&view, k), l.element_place(&view, other));
                    l.swap_places(Destination::Place(a), Destination::Place(b), x)
                })?;
                Ok(Val::Unit)
            }
            ("first_mut" | "last_mut", 0) | ("get_mut", 1) => {
                let len = self.view_len(&view);
                let (zero, one) = (self.g.usize_const(0), self.g.usize_const(1));
                let at = match name {
                    "first_mut" => zero,
                    "last_mut" => self.saturating_sub(len, one),
                    _ => self.scalar(args[0])?,
                };
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(<), at, len, ty, true);
                let place = self.element_place(&view, at);
                Ok(Val::Opt(some, Box::new(self.reference_to(place))))
            }
            (
                "iter" | "iter_mut" | "into_iter" | "windows" | "chunks" | "chunks_exact"
                | "chunks_mut" | "chunks_exact_mut" | "rchunks" | "rchunks_mut",
                _,
            ) => {
                let iter = self.array_iter(x, &view, name, args)?;
                Ok(Val::Iter(std::rc::Rc::new(iter)))
            }
            _ => self.list_method(x, view, name, args),
        }
    }

    pub(super) fn whole_vec(
        &self,
        view: &View,
        x: &syn::ExprMethodCall,
    ) -> Result<crate::graph::ArrayId> {
        if self.grows(view) {
            return Ok(view.place.array);
        }
        let name = x.method.to_string();
        self.errors_named(&x.method, &errors::LENGTH_OF_PARAMETER, &name)
    }

    /// Whether elements can be appended: a local `Vec` of scalars.
    pub(super) fn grows(&self, view: &View) -> bool {
        let shape = self.view_shape(view);
        let scalar =
            matches!(shape, Shape::Vec(ref e) if matches!(**e, Shape::Scalar(_) | Shape::Float(_)));
        let local = self.g.array(view.place.array).param.is_none();
        scalar && local && view.place.path.is_empty() && view.window.is_none()
    }

    /// As [`Lower::element_place`], with the bounds of a window checked.
    fn checked_place(&mut self, view: &View, index: Id) -> crate::graph::Place {
        self.check_window(view, index);
        self.element_place(view, index)
    }

    pub(super) fn element_place(&mut self, view: &View, index: Id) -> crate::graph::Place {
        let ty = self.g.ty(index);
        self.g.types.learn(ty, Kind::Int("usize".into()));
        let index = match view.window {
            Some((lo, _)) => self.usize_op(quote!(+), lo, index),
            None => index,
        };
        let mut place = view.place.clone();
        place.path.push(crate::graph::Step::Index(index));
        place
    }

    /// `mem::swap` of two places.
    pub(super) fn swap_places(
        &mut self,
        a: Destination,
        b: Destination,
        at: &syn::ExprMethodCall,
    ) -> Result<()> {
        self.swap_destinations(a, b, &syn::Expr::MethodCall(at.clone()))
    }

    pub(super) fn swap_destinations(
        &mut self,
        a: Destination,
        b: Destination,
        at: &syn::Expr,
    ) -> Result<()> {
        let whole = |l: &Self, d: &Destination| -> Option<crate::graph::Place> {
            match d {
                Destination::Place(p) if l.g.shape_at(p).is_array() => Some(p.clone()),
                Destination::View(v) if v.window.is_none() => Some(v.place.clone()),
                Destination::Var(var, path) if path.is_empty() => match &l.vars[var.0].val {
                    Val::View(v) if v.window.is_none() => Some(v.place.clone()),
                    _ => None,
                },
                _ => None,
            }
        };
        if let (Some(p), Some(q)) = (whole(self, &a), whole(self, &b)) {
            if p.array == q.array {
                // Rows of one array: by way of a copy.
                let from = View {
                    place: p.clone(),
                    window: None,
                    borrow: Borrow::Own,
                };
                let held = self.copied(&from, "held");
                self.g.copy(p, q.clone(), false);
                self.g.copy(q, held.place, false);
                return Ok(());
            }
            let (s, t) = (self.g.shape_at(&p), self.g.shape_at(&q));
            self.unify_shapes(&s, &t);
            let view = |place: &crate::graph::Place| View {
                place: place.clone(),
                window: None,
                borrow: Borrow::Own,
            };
            self.keeps_length(&view(&p), &view(&q));
            self.g.swap(p, q);
            return Ok(());
        }
        let (x, y) = (self.fetch(&a, at)?, self.fetch(&b, at)?);
        let x = self.held_apart(x, "held");
        self.put(a, y, at, at)?;
        self.put(b, x, at, at)
    }
}
