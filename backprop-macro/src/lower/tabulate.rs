//! Arrays made by a function of the position: `from_fn`, `map`, `collect`.
//!
//! In: the length and what makes an element. Out: an array that is declared, and a loop that fills it. What must hold: the
//! elements are all of one shape, which is known while compiling.

use super::Lower;
use super::value::{Borrow, Val, View};
use crate::errors::{self, Result};
use crate::graph::{ArrayId, Element, Id, Init, Place, RegionId, Stmt};
use crate::shape::{Length, Shape};
use crate::types::Kind;
use proc_macro2::Span;
use quote::ToTokens;

impl Lower<'_> {
    /// An array of what a function gives for each position; `fixed` is its length where that is part of its type.
    pub(super) fn tabulate(
        &mut self,
        len: Id,
        fixed: Option<Length>,
        at: &impl ToTokens,
        f: impl FnOnce(&mut Self, Id) -> Result<Val>,
    ) -> Result<Val> {
        // What the elements are is known when the first has been made: until then the array is one of scalars.
        let ty = self.g.types.fresh(Kind::Unknown);
        let zero = self.zero_of(Shape::Scalar(ty));
        let list = |elem: Shape| match fixed.clone() {
            Some(n) => Shape::Array(Box::new(elem), n),
            None => Shape::Vec(Box::new(elem)),
        };
        let init = Init::Repeat(Element::Scalar(zero));
        let outside = self.g.here();
        let array = self
            .g
            .declare("made", list(Shape::Scalar(ty)), init, Span::call_site());
        if fixed.is_none() {
            self.g.array_mut(array).len = Some(len);
        }
        let to = Place {
            array,
            path: Vec::new(),
        };
        let to = View {
            place: to,
            window: None,
            borrow: Borrow::Own,
        };
        self.positions(len, false, |l, k| {
            let val = f(l, k)?;
            let place = l.element_place(&to, k);
            match val {
                Val::View(_) | Val::Tuple(_) | Val::Struct(..) => {
                    let (_, elem) = l.array_element(val.clone())?;
                    let Some(blank) = l.blank(&elem, outside, array) else {
                        return l.reject(at, &errors::ROWS_MADE);
                    };
                    let made = l.g.array_mut(array);
                    made.shape = list(elem);
                    made.init = Init::Repeat(blank);
                }
                _ => {
                    let id = l.num(val.clone(), at)?;
                    let t = l.g.ty(id);
                    l.g.types.unify(ty, t);
                }
            }
            l.assign_place(place, val, at)
        })?;
        Ok(Val::View(to))
    }

    /// An element to fill a new array with, before each is assigned; its parts are declared ahead of that array.
    fn blank(&mut self, shape: &Shape, outside: RegionId, ahead_of: ArrayId) -> Option<Element> {
        Some(match shape {
            Shape::Float(_) | Shape::Scalar(_) => Element::Scalar(self.zero_of(shape.clone())),
            Shape::Struct(of) if !of.copy => return None,
            Shape::Tuple(_) | Shape::Struct(_) => {
                let parts = shape.parts()?;
                let all: Option<Vec<Element>> = parts
                    .iter()
                    .map(|(_, s)| self.blank(s, outside, ahead_of))
                    .collect();
                Element::Tuple(all?)
            }
            Shape::Array(elem, _) => {
                let elem = self.blank(elem, outside, ahead_of)?;
                let init = Init::Repeat(elem);
                let array = self
                    .g
                    .new_array("blank", shape.clone(), init, Span::call_site());
                self.g.array_mut(array).region = Some(outside);
                let declared = |s: &Stmt| matches!(s, Stmt::Declare(a) if *a == ahead_of);
                let stmts = &mut self.g.region_mut(outside).stmts;
                let at = stmts.iter().position(declared)?;
                stmts.insert(at, Stmt::Declare(array));
                let path = Vec::new();
                Element::Part(Place { array, path })
            }
            _ => return None,
        })
    }
}
