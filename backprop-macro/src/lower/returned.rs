//! What a call gives back.
//!
//! In: the shape of the result, and the places that the callee changes. Out: new scalars and arrays for its parts. What must hold: each
//! float of the result has a place of its own, through which its upstream gradient goes to the pullback.

use super::Lower;
use super::callee::{Generic, Known, Making};
use super::value::{Borrow, Val, View};
use crate::errors::{self, Result};
use crate::graph::{Form, Id, Init, Node, Place, Returned};
use crate::shape::Shape;
use crate::types::{FloatTy, Kind, Ty};
use proc_macro2::{Ident, Span};
use quote::ToTokens;

impl Lower<'_> {
    pub(super) fn scalar_result(&mut self, ty: Ty, making: &mut Making) -> (Id, Form) {
        let here = self.g.here();
        let node = Node::CallOut(making.id, making.outs.len() as u32);
        let id = self.g.bound(node, ty, Some(here));
        making.outs.push(id);
        making.results.push(Returned::Scalar(id));
        (id, Form::Leaf(making.results.len() - 1))
    }

    pub(super) fn array_result(
        &mut self,
        shape: Shape,
        name: &str,
        making: &mut Making,
        at: &impl ToTokens,
    ) -> Result<(View, Form)> {
        if shape
            .element()
            .is_some_and(|s| s.gradient_is_dynamic() || s.has_structs())
        {
            return self.reject(at, &errors::CALL_ROWS);
        }
        let init = Init::Returned(making.id);
        let array = self.g.new_array(name, shape, init, Span::call_site());
        making.results.push(Returned::Array(array));
        let view = View {
            place: Place {
                array,
                path: Vec::new(),
            },
            window: None,
            borrow: Borrow::Own,
        };
        Ok((view, Form::Leaf(making.results.len() - 1)))
    }

    /// What is returned.
    pub(super) fn returned(
        &mut self,
        shape: &Shape,
        generic: &Generic,
        known: Option<&Known>,
        making: &mut Making,
        at: &impl ToTokens,
    ) -> Result<(Val, Form)> {
        match shape {
            Shape::Float(_) | Shape::Constant(_) => {
                let ty = match shape {
                    Shape::Constant(ty) => {
                        let kind = super::kind_of(ty, &self.sig.names);
                        self.g.types.fresh(kind)
                    }
                    _ => {
                        let ty = self.g.types.fresh(Kind::AnyFloat);
                        self.match_type(ty, shape, generic);
                        ty
                    }
                };
                let (id, form) = self.scalar_result(ty, making);
                Ok((Val::Num(id), form))
            }
            Shape::Array(..) | Shape::Vec(_) => {
                let Some(shape) = self.instance(shape, generic, known) else {
                    return self.reject(at, &errors::CALL_ROWS);
                };
                let (view, form) = self.array_result(shape, "result", making, at)?;
                Ok((Val::View(view), form))
            }
            Shape::Tuple(_) | Shape::Struct(_) => {
                let (mut vals, mut forms) = (Vec::new(), Vec::new());
                for (_, part) in shape.parts().unwrap_or_default() {
                    let (val, form) = self.returned(&part, generic, known, making, at)?;
                    vals.push(val);
                    forms.push(form);
                }
                let val = match shape {
                    Shape::Struct(of) => Val::Struct(of.clone(), vals),
                    _ => Val::Tuple(vals),
                };
                Ok((val, Form::Parts(shape.clone(), forms)))
            }
            _ => self.reject(at, &errors::CALL_ARGUMENT),
        }
    }

    /// The shape of an array, its generic parameters being what the arguments made them.
    pub(super) fn instance(
        &mut self,
        shape: &Shape,
        generic: &Generic,
        known: Option<&Known>,
    ) -> Option<Shape> {
        Some(match shape {
            Shape::Float(FloatTy::Generic(t)) => match generic.floats.get(&t.to_string()) {
                Some(ty) => Shape::Scalar(*ty),
                None => shape.clone(),
            },
            Shape::Array(s, n) => {
                let s = self.instance(s, generic, known)?;
                let text = n.to_token_stream().to_string();
                let foreign = |l: &Ident| text.split_whitespace().any(|word| *l == word);
                let n = match generic.lengths.get(&text) {
                    Some(n) => n.clone(),
                    None if known.is_some_and(|k| k.lengths.iter().any(foreign)) => return None,
                    None => n.clone(),
                };
                Shape::Array(Box::new(s), n)
            }
            Shape::Vec(s) => Shape::Vec(Box::new(self.instance(s, generic, known)?)),
            Shape::Tuple(all) => {
                let all: Option<Vec<Shape>> = all
                    .iter()
                    .map(|s| self.instance(s, generic, known))
                    .collect();
                Shape::Tuple(all?)
            }
            other => other.clone(),
        })
    }

    /// What a `&mut` argument holds when the call has ended.
    pub(super) fn left_behind(
        &mut self,
        before: &Val,
        making: &mut Making,
        at: &syn::Expr,
    ) -> Result<(Val, Form)> {
        match before {
            Val::Num(id) => {
                let ty = self.g.ty(*id);
                let (id, form) = self.scalar_result(ty, making);
                Ok((Val::Num(id), form))
            }
            Val::Elem(place) => {
                let id = self.g.load(place.clone());
                self.left_behind(&Val::Num(id), making, at)
            }
            Val::View(view) => {
                let shape = match self.g.shape_at(&view.place) {
                    Shape::Slice(s) => Shape::Vec(s),
                    shape => shape,
                };
                let dynamic = matches!(shape, Shape::Vec(_));
                let name = self.g.array(view.place.array).name.clone();
                let (after, form) = self.array_result(shape, &name, making, at)?;
                if dynamic {
                    let len = self.place_len(&view.place);
                    self.g.array_mut(after.place.array).len = Some(len);
                }
                Ok((Val::View(after), form))
            }
            Val::Tuple(all) | Val::Struct(_, all) => {
                let (mut vals, mut forms) = (Vec::new(), Vec::new());
                for part in all {
                    let (val, form) = self.left_behind(part, making, at)?;
                    vals.push(val);
                    forms.push(form);
                }
                let shape = match before {
                    Val::Struct(of, _) => Shape::Struct(of.clone()),
                    _ => Shape::Tuple(vec![Shape::Unknown; vals.len()]),
                };
                Ok((before.rebuilt(vals), Form::Parts(shape, forms)))
            }
            _ => self.reject(at, &errors::CALL_ARGUMENT),
        }
    }
}

/// Whether two values are made of the same scalars and arrays.
pub(super) fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Num(a), Val::Num(b)) => a == b,
        (Val::View(a), Val::View(b)) => {
            a.place == b.place && a.window.is_none() && b.window.is_none()
        }
        (Val::Opt(a, x), Val::Opt(b, y)) => a == b && same(x, y),
        _ => match (a.parts(), b.parts()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            _ => false,
        },
    }
}
