//! Results: what the function returns, and what `&mut` parameters hold when it ends.
//!
//! In: the value of the body. Out: an [`Output`] of the declared shape. What must hold: an array that is a result is nobody else's, so that its
//! shadow can start as the upstream gradient.

use super::Lower;
use super::value::{Val, View};
use crate::errors::{self, Result};
use crate::graph::{Id, Output, Place};
use crate::shape::Shape;
use crate::types::Kind;
use proc_macro2::TokenStream;
use quote::quote;

impl Lower<'_> {
    /// The results of a function that returns nothing: what its `&mut` parameters hold, in order.
    pub(super) fn changed(&mut self) -> Option<Output> {
        let mut out = Vec::new();
        for p in self.in_out.clone() {
            if self.sig.params[p.param].shape.has_floats() {
                let now = self.read(p.var);
                out.push(held(now)?);
            }
        }
        match out.len() {
            1 => out.pop(),
            _ => Some(Output::Tuple(out)),
        }
    }

    /// What the user's `&mut` parameters get when the function ends. Arrays have been changed in place.
    pub(super) fn writes(&mut self) -> Result<Vec<(TokenStream, Id)>> {
        let mut out = Vec::new();
        for p in self.in_out.clone() {
            let (now, shape) = (self.read(p.var), &self.sig.params[p.param].shape);
            self.write_back(&p.entry, &now, shape, p.read, &mut out)?;
        }
        Ok(out)
    }

    fn write_back(
        &mut self,
        entry: &Val,
        now: &Val,
        shape: &Shape,
        place: TokenStream,
        out: &mut Vec<(TokenStream, Id)>,
    ) -> Result<()> {
        match (entry, now) {
            (Val::Num(old), Val::Num(new)) => {
                if self.g.resolve(*new) != *old {
                    out.push((place, *new));
                }
            }
            (Val::View(old), Val::View(new)) if old.place != new.place => {
                self.keeps_length(old, new);
                self.copy_view(old, new)?;
            }
            _ => {
                let parts = entry.parts().into_iter().flatten();
                let now = now.parts().into_iter().flatten();
                for ((e, n), (m, s)) in parts.zip(now).zip(shape.parts().unwrap_or_default()) {
                    self.write_back(e, n, &s, quote!(#place.#m), out)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn output(
        &mut self,
        val: Val,
        shape: &Shape,
        at: &syn::ReturnType,
    ) -> Option<Output> {
        match (val, shape) {
            (Val::Num(id), Shape::Float(f)) => {
                let ty = self.g.ty(id);
                self.g.types.learn(ty, Kind::Float(f.clone()));
                Some(Output::Scalar(id))
            }
            (Val::Elem(place), Shape::Float(_)) => {
                let id = self.g.load(place);
                self.output(Val::Num(id), shape, at)
            }
            (Val::View(view), Shape::Array(..) | Shape::Vec(_)) => {
                self.learn_elements(&view.place.clone(), shape);
                let owned = self.own(view, "result");
                Some(Output::Array(owned))
            }
            (Val::Tuple(vals), Shape::Tuple(shapes)) if vals.len() == shapes.len() => {
                let parts: Option<Vec<Output>> = vals
                    .into_iter()
                    .zip(shapes)
                    .map(|(v, s)| self.output(v, s, at))
                    .collect();
                Some(Output::Tuple(parts?))
            }
            (Val::Struct(of, vals), Shape::Struct(s)) if of.same(s) => {
                let parts: Option<Vec<Output>> = vals
                    .into_iter()
                    .zip(&s.fields)
                    .map(|(v, f)| self.output(v, &f.shape, at))
                    .collect();
                Some(Output::Tuple(parts?))
            }
            (Val::Num(id), Shape::Constant(_)) => Some(Output::Scalar(id)),
            (Val::Poison, _) => None,
            _ => {
                self.errors.reject(at, &errors::RETURN_TYPE);
                None
            }
        }
    }

    /// An array that nothing else stands for, so that its shadow can start with the upstream gradient.
    fn own(&mut self, view: View, name: &str) -> Place {
        let data = self.g.array(view.place.array);
        if view.place.path.is_empty()
            && view.window.is_none()
            && data.param.is_none()
            && !view.borrow.is_ref()
        {
            return view.place;
        }
        self.copied(&view, name).place
    }
}

/// A value as a result.
fn held(val: Val) -> Option<Output> {
    match val {
        Val::Num(id) => Some(Output::Scalar(id)),
        Val::View(view) if view.window.is_none() => Some(Output::Array(view.place)),
        Val::Tuple(all) | Val::Struct(_, all) => {
            let parts: Option<Vec<Output>> = all.into_iter().map(held).collect();
            Some(Output::Tuple(parts?))
        }
        _ => None,
    }
}
