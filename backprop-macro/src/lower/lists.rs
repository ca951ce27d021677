//! Methods by which a `Vec` grows and shrinks.
//!
//! In: a local `Vec` of scalars and a method call. Out: elements appended or taken off one by one, the others moved. What must hold: where the
//! standard library panics, the emitted code does, before anything is written.

use super::Lower;
use super::target::Destination;
use super::value::{Val, View};
use crate::errors::{self, Result};
use crate::graph::{ArrayId, Id, Node, Stmt};
use crate::shape::Shape;
use crate::types::Kind;
use quote::quote;

impl Lower<'_> {
    pub(super) fn list_method(
        &mut self,
        x: &syn::ExprMethodCall,
        view: View,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        let (zero, one) = (self.g.usize_const(0), self.g.usize_const(1));
        match (name, args) {
            ("push", [e]) => {
                let value = self.operand(e)?;
                let list = self.whole_vec(&view, x)?;
                self.push_item(list, value, *e)?;
                Ok(Val::Unit)
            }
            ("pop", []) => {
                let list = self.whole_vec(&view, x)?;
                let len = self.view_len(&view);
                let some = self.related(quote!(>), len, zero);
                let val =
                    self.branch(some, |l| Ok(Val::Num(l.popped(list))), |_| Ok(Val::Uninit))?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("extend" | "extend_from_slice", [e]) => {
                let items = self.operand(e)?;
                let items = self.iter_of(items, e)?;
                let list = self.whole_vec(&view, x)?;
                self.each(&items, None, x.method.span(), "k", |l, item| {
                    l.push_item(list, item, x)
                })?;
                Ok(Val::Unit)
            }
            ("clear", []) | ("truncate", [_]) => {
                let keep = match args {
                    [n] => self.count_of(n)?,
                    _ => zero,
                };
                let list = self.whole_vec(&view, x)?;
                let len = self.view_len(&view);
                let over = self.saturating_sub(len, keep);
                self.positions(over, false, |l, _| {
                    l.popped(list);
                    Ok(())
                })?;
                Ok(Val::Unit)
            }
            // The new element goes to the end, and changes places with those behind its own.
            ("insert", [i, e]) => {
                let i = self.count_of(i)?;
                let value = self.operand(e)?;
                let list = self.whole_vec(&view, x)?;
                let len = self.view_len(&view);
                let ty = self.g.bool_ty();
                let inside = self.g.opaque_binary(quote!(<=), i, len, ty, false);
                self.effect(
                    quote!(::core::assert!(__h0, "insertion index beyond the length")),
                    &[inside],
                );
                self.push_item(list, value, *e)?;
                let behind = self.usize_op(quote!(-), len, i);
                self.positions(behind, false, |l, k| {
                    let j = l.counted_back(len, k);
                    l.swap_neighbours(&view, j, x)
                })?;
                Ok(Val::Unit)
            }
            ("remove" | "swap_remove", [i]) => {
                let i = self.count_of(i)?;
                let list = self.whole_vec(&view, x)?;
                let len = self.view_len(&view);
                let ty = self.g.bool_ty();
                let inside = self.g.opaque_binary(quote!(<), i, len, ty, false);
                self.effect(
                    quote!(::core::assert!(__h0, "removal index beyond the length")),
                    &[inside],
                );
                let last = self.usize_op(quote!(-), len, one);
                if name == "swap_remove" {
                    let (a, b) = (
                        self.element_place(&view, i),
                        self.element_place(&view, last),
                    );
                    self.swap_places(Destination::Place(a), Destination::Place(b), x)?;
                } else {
                    let behind = self.usize_op(quote!(-), last, i);
                    self.positions(behind, false, |l, k| {
                        let j = l.usize_op(quote!(+), i, k);
                        l.swap_neighbours(&view, j, x)
                    })?;
                }
                Ok(Val::Num(self.popped(list)))
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    /// What one `Vec` holds, put into another that may be longer or shorter.
    pub(super) fn refill(&mut self, to: &View, from: &View) -> Result<()> {
        let (a, b) = (self.view_len(to), self.view_len(from));
        let grows = self.grows(to) && to.place.array != from.place.array;
        if a == b || !grows {
            self.keeps_length(to, from);
            return self.copy_view(to, from);
        }
        let same = self.related(quote!(==), a, b);
        let list = to.place.array;
        self.branch(
            same,
            |l| l.copy_view(to, from).map(|()| Val::Unit),
            |l| {
                l.positions(a, false, |l, _| {
                    l.popped(list);
                    Ok(())
                })?;
                l.positions(b, false, |l, k| {
                    let item = l.element(from, k);
                    l.push_item(list, item, &quote!())
                })?;
                Ok(Val::Unit)
            },
        )?;
        Ok(())
    }

    /// Takes off the last element, which is known to be there.
    fn popped(&mut self, list: ArrayId) -> Id {
        let ty = match self.g.array(list).shape.element() {
            Some(Shape::Scalar(t)) => *t,
            Some(Shape::Float(f)) => {
                let f = f.clone();
                self.g.types.fresh(Kind::Float(f))
            }
            _ => self.g.types.fresh(Kind::Unknown),
        };
        let k = self.g.nodes.len() as u32;
        let here = self.g.here();
        let id = self.g.bound(Node::Popped(list, k), ty, Some(here));
        self.g.array_mut(list).version += 1;
        self.g.array_mut(list).mutated = true;
        self.g.push(Stmt::Pop(list, Some(id)));
        id
    }

    fn swap_neighbours(&mut self, view: &View, j: Id, x: &syn::ExprMethodCall) -> Result<()> {
        let one = self.g.usize_const(1);
        let next = self.usize_op(quote!(+), j, one);
        let (a, b) = (self.element_place(view, j), self.element_place(view, next));
        self.swap_places(Destination::Place(a), Destination::Place(b), x)
    }
}
