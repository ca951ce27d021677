//! What a call hands over.
//!
//! In: the values of the arguments, and what is known of the parameters. Out: scalars, arrays and places, as the callee takes them. What
//! must hold: an array that the callee borrows is borrowed whole, at the version that it has when it is passed.

use super::Lower;
use super::callee::{Generic, Known, Making};
use super::returned::same;
use super::value::{Val, View};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Argument, Form, Id};
use crate::shape::Shape;
use crate::types::{FloatTy, Kind, Ty};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

impl Lower<'_> {
    /// A type of the function called, as it is named here.
    pub(super) fn shape_there(&self, ty: &syn::Type, known: Option<&Known>) -> Shape {
        match known {
            Some(Known {
                floats,
                home: Some(home),
                ..
            }) => Shape::parse(ty, &self.sig.names.beside(floats.clone(), home.clone())),
            _ => Shape::parse(ty, &self.sig.names),
        }
    }

    /// Learns types from what a parameter is declared to be, and what its generic parameters stand for.
    pub(super) fn match_shape(
        &mut self,
        val: &Val,
        shape: Option<&Shape>,
        known: Option<&Known>,
        generic: &mut Generic,
    ) {
        let Some(shape) = shape else { return };
        match (val, shape) {
            (Val::Num(id), shape) => {
                let ty = self.g.ty(*id);
                self.match_type(ty, shape, generic);
            }
            (Val::Elem(place), shape) => {
                let found = self.g.shape_at(place);
                self.match_shapes(&found, shape, known, generic);
            }
            (Val::View(view), shape) => {
                let found = self.g.shape_at(&view.place);
                self.match_shapes(&found, shape, known, generic);
            }
            (Val::Tuple(all) | Val::Struct(_, all), shape) => {
                for (v, (_, s)) in all.iter().zip(shape.parts().unwrap_or_default()) {
                    self.match_shape(v, Some(&s), known, generic);
                }
            }
            _ => {}
        }
    }

    pub(super) fn match_type(&mut self, ty: Ty, shape: &Shape, generic: &Generic) {
        match shape {
            Shape::Float(FloatTy::Generic(t)) if generic.floats.contains_key(&t.to_string()) => {
                self.g.types.unify(ty, generic.floats[&t.to_string()]);
            }
            Shape::Float(f) => self.g.types.learn(ty, Kind::Float(f.clone())),
            Shape::Constant(c) => {
                let kind = super::kind_of(c, &self.sig.names);
                if !matches!(kind, Kind::Other | Kind::Unknown) {
                    self.g.types.learn(ty, kind);
                }
            }
            _ => {}
        }
    }

    pub(super) fn match_shapes(
        &mut self,
        found: &Shape,
        wanted: &Shape,
        known: Option<&Known>,
        generic: &mut Generic,
    ) {
        match (found, wanted) {
            (Shape::Scalar(ty), wanted) => self.match_type(*ty, wanted, generic),
            (Shape::Float(f), Shape::Float(FloatTy::Generic(t))) => {
                if let Some(ty) = generic.floats.get(&t.to_string()) {
                    self.g.types.learn(*ty, Kind::Float(f.clone()));
                }
            }
            (Shape::Array(a, n), Shape::Array(b, m)) => {
                let name = m.to_token_stream().to_string();
                if known.is_some_and(|k| k.lengths.iter().any(|l| *l == name)) {
                    generic.lengths.insert(name, n.clone());
                }
                self.match_shapes(a, b, known, generic);
            }
            _ => {
                if let (Some(a), Some(b)) = (found.element(), wanted.element()) {
                    self.match_shapes(&a.clone(), &b.clone(), known, generic);
                }
                if let (Some(a), Some(b)) = (found.parts(), wanted.parts()) {
                    for ((_, x), (_, y)) in a.iter().zip(&b) {
                        self.match_shapes(x, y, known, generic);
                    }
                }
            }
        }
    }

    /// The scalars and arrays of an argument.
    pub(super) fn argument(
        &mut self,
        val: Val,
        making: &mut Making,
        at: &impl ToTokens,
    ) -> Result<Form> {
        let leaf = match val {
            Val::Num(value) => Argument::Scalar { value },
            Val::Elem(place) => Argument::Scalar {
                value: self.g.load(place),
            },
            Val::MutRef(var, path) => {
                let val = self.read_along(var, &path);
                return self.argument(val, making, at);
            }
            Val::Path(_) => Argument::Scalar {
                value: self.num(val, at)?,
            },
            Val::View(View {
                place,
                window: None,
                ..
            }) => {
                let held = self.g.whole(&place);
                Argument::Array { place, held }
            }
            Val::View(view) => {
                let View { place, .. } = self.copied(&view, "part");
                let held = self.g.whole(&place);
                Argument::Array { place, held }
            }
            Val::Tuple(ref all) => {
                let shape = Shape::Tuple(vec![Shape::Unknown; all.len()]);
                return self.arguments(shape, all.clone(), making, at);
            }
            Val::Struct(of, all) => return self.arguments(Shape::Struct(of), all, making, at),
            Val::Poison => return Err(Rejected),
            _ => return self.reject(at, &errors::CALL_ARGUMENT),
        };
        making.args.push(leaf);
        Ok(Form::Leaf(making.args.len() - 1))
    }

    /// The reference to a parameter that is passed on as it came.
    pub(super) fn borrowed_whole(&mut self, val: &Val) -> Option<Id> {
        let at = self.borrowed.iter().position(|b| same(&b.0, val))?;
        let (_, param, known) = self.borrowed[at];
        if known.is_none() {
            let ident = &self.sig.params[param].ident;
            let ty = self.g.types.fresh(Kind::Other);
            let id = self.param_node(quote!(#ident), ty, &ident.to_string(), param as u32);
            self.borrowed[at].2 = Some(id);
        }
        self.borrowed[at].2
    }

    /// What gets a gradient of an argument that is passed as a whole.
    pub(super) fn parts_of_whole(&mut self, val: Val, making: &mut Making) -> Form {
        match val {
            Val::Num(value) if self.g.is_float(value) => {
                making.args.push(Argument::Scalar { value });
                Form::Leaf(making.args.len() - 1)
            }
            Val::View(view) => {
                let held = self.g.whole(&view.place);
                making.args.push(Argument::Array {
                    place: view.place,
                    held,
                });
                Form::Leaf(making.args.len() - 1)
            }
            Val::Tuple(ref all) | Val::Struct(_, ref all) => {
                let shape = match &val {
                    Val::Struct(of, _) => Shape::Struct(of.clone()),
                    _ => Shape::Tuple(vec![Shape::Unknown; all.len()]),
                };
                let parts = all.iter().map(|v| self.parts_of_whole(v.clone(), making));
                Form::Parts(shape, parts.collect())
            }
            _ => Form::Tokens(TokenStream::new()),
        }
    }

    pub(super) fn arguments(
        &mut self,
        shape: Shape,
        all: Vec<Val>,
        making: &mut Making,
        at: &impl ToTokens,
    ) -> Result<Form> {
        let forms: Result<Vec<Form>> = all
            .into_iter()
            .map(|v| self.argument(v, making, at))
            .collect();
        Ok(Form::Parts(shape, forms?))
    }
}
