//! Array expressions: `[a, b]`, `[a; n]` and `vec![…]`.
//!
//! In: elements. Out: a new array. What must hold: each expression makes an array of its own, as what is stored to one is not seen in
//! another.

use super::Lower;
use super::expr::fresh_view;
use super::value::Val;
use crate::errors::Result;
use crate::graph::{Element, Init};
use crate::shape::{Length, Shape};
use crate::types::Kind;
use quote::{ToTokens, quote};

impl Lower<'_> {
    pub(super) fn array(&mut self, elems: &[&syn::Expr], vec: bool) -> Result<Val> {
        let mut vals = Vec::new();
        for e in elems {
            vals.push(match self.operand(e)? {
                val @ (Val::View(_) | Val::Tuple(_) | Val::Struct(..)) => val,
                val => Val::Num(self.num(val, e)?),
            });
        }
        self.array_of(vals, vec)
    }

    pub(super) fn array_of(&mut self, vals: Vec<Val>, vec: bool) -> Result<Val> {
        let mut parts = Vec::new();
        let mut shape: Option<Shape> = None;
        for val in vals {
            let (part, one) = self.array_element(val)?;
            if let Some(s) = &shape {
                self.unify_shapes(s, &one);
            } else {
                shape = Some(one);
            }
            parts.push(part);
        }
        let shape = shape.unwrap_or_else(|| Shape::Scalar(self.g.types.fresh(Kind::AnyFloat)));
        let n = parts.len();
        let shape = if vec {
            Shape::Vec(Box::new(shape))
        } else {
            Shape::Array(Box::new(shape), Length::Known(n))
        };
        let span = self.g.span.unwrap_or_else(proc_macro2::Span::call_site);
        let array = self.g.declare("array", shape, Init::List(parts), span);
        if vec {
            let len = self.g.usize_const(n);
            self.g.array_mut(array).len = Some(len);
        }
        Ok(fresh_view(array))
    }

    pub(super) fn array_element(&mut self, val: Val) -> Result<(Element, Shape)> {
        Ok(match val {
            Val::View(view) => {
                let view = if view.window.is_some() {
                    self.copied(&view, "part")
                } else {
                    view
                };
                let shape = match self.view_shape(&view) {
                    Shape::Slice(s) => Shape::Vec(s),
                    s => s,
                };
                (Element::Part(view.place), shape)
            }
            Val::Tuple(ref all) | Val::Struct(_, ref all) => {
                let mut parts = Vec::new();
                let mut shapes = Vec::new();
                for v in all.clone() {
                    let (p, s) = self.array_element(v)?;
                    parts.push(p);
                    shapes.push(s);
                }
                let shape = match &val {
                    Val::Struct(of, _) => {
                        let shape = Shape::Struct(of.clone());
                        self.unify_shapes(&shape, &Shape::Tuple(shapes));
                        shape
                    }
                    _ => Shape::Tuple(shapes),
                };
                (Element::Tuple(parts), shape)
            }
            val => {
                let id = self.num(val, quote!())?;
                (Element::Scalar(id), Shape::Scalar(self.g.ty(id)))
            }
        })
    }

    pub(super) fn repeat(&mut self, elem: &syn::Expr, len: &syn::Expr, vec: bool) -> Result<Val> {
        let val = self.operand(elem)?;
        let (part, shape) = self.array_element(val)?;
        let span = self.g.span.unwrap_or_else(proc_macro2::Span::call_site);
        if vec {
            let n = self.scalar(len)?;
            let ty = self.g.ty(n);
            self.g.types.learn(ty, Kind::Int("usize".into()));
            let array =
                self.g
                    .declare("vec", Shape::Vec(Box::new(shape)), Init::Repeat(part), span);
            self.g.array_mut(array).len = Some(n);
            return Ok(fresh_view(array));
        }
        let length = match len {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Int(n),
                ..
            }) => n.base10_parse().ok().map(Length::Known),
            _ => None,
        };
        let length = length.unwrap_or_else(|| Length::Tokens(len.to_token_stream()));
        let array = self.g.declare(
            "array",
            Shape::Array(Box::new(shape), length),
            Init::Repeat(part),
            span,
        );
        Ok(fresh_view(array))
    }
}
