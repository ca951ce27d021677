//! Assignments, plain and compound.
//!
//! In: a place, and what is assigned. Out: a new value of the variable, or a store to an array. What must hold: the operand is
//! evaluated before the place or after it, as Rust does.

use super::target::Destination;
use super::value::Val;
use super::{Lower, lengths};
use crate::errors::{self, Rejected, Result};
use crate::rules::Op;
use crate::shape::Shape;
use crate::types::Kind;
use proc_macro2::TokenStream;
use quote::ToTokens;

impl Lower<'_> {
    pub(super) fn compound(&mut self, x: &syn::ExprBinary) -> Result<Val> {
        // Rust evaluates the right side of a compound assignment of primitives first.
        let b = self.scalar(&x.right)?;
        let to = self.target(&x.left)?;
        if let Destination::Place(place) = &to {
            let elem = self.g.shape_at(place);
            let float = self.g.is_float(b)
                || matches!(elem, Shape::Float(_))
                || matches!(elem, Shape::Scalar(t) if self.g.types.is_float(t));
            let add = matches!(x.op, syn::BinOp::AddAssign(_));
            if float && (add || matches!(x.op, syn::BinOp::SubAssign(_))) {
                let value = if add {
                    b
                } else {
                    self.g.apply_primal(Op::Neg, &[b])
                };
                let ty = self.g.ty(value);
                match &elem {
                    Shape::Float(f) => self.g.types.learn(ty, Kind::Float(f.clone())),
                    Shape::Scalar(t) => self.g.types.unify(*t, ty),
                    _ => {}
                }
                self.note_constant(&Val::Num(value), &elem, &x.right);
                self.g.store(place.clone(), value, true);
                return Ok(Val::Unit);
            }
        }
        let old = self.fetch(&to, &x.left)?;
        let a = self.num(old, &x.left)?;
        let val = self.arithmetic(&x.op, a, b, x)?;
        self.put(to, val, &x.left, &x.right)?;
        Ok(Val::Unit)
    }

    pub(super) fn assign(&mut self, x: &syn::ExprAssign) -> Result<Val> {
        let val = match &*x.right {
            // The array that is assigned to says how long the new one is.
            syn::Expr::Call(c) if lengths::takes_a_length(c) => {
                let to = self.target(&x.left)?;
                let mut call = c.clone();
                if let Some(len) = self.length_at(&to) {
                    lengths::spell(&mut call, &len);
                }
                self.expr(&syn::Expr::Call(call))?
            }
            right => self.expr(right)?,
        };
        if self.dead {
            return Ok(Val::Uninit);
        }
        self.assign_to(&x.left, val, &x.right)?;
        Ok(Val::Unit)
    }

    /// The fixed length of the array at a place.
    pub(super) fn length_at(&mut self, to: &Destination) -> Option<TokenStream> {
        let shape = match to {
            Destination::Place(place) => self.g.shape_at(place),
            Destination::View(view) => self.view_shape(view),
            Destination::Var(var, path) => {
                let Val::View(view) = self.read_along(*var, path) else {
                    return None;
                };
                self.view_shape(&view)
            }
        };
        match shape {
            Shape::Array(_, n) => Some(n.to_token_stream()),
            _ => None,
        }
    }

    /// Assignment to a place, or destructuring.
    pub(super) fn assign_to(
        &mut self,
        left: &syn::Expr,
        val: Val,
        right: &syn::Expr,
    ) -> Result<()> {
        match (left, val) {
            (syn::Expr::Infer(_), _) => Ok(()),
            (_, Val::Poison) => Err(Rejected),
            (syn::Expr::Paren(p), val) => self.assign_to(&p.expr, val, right),
            (syn::Expr::Tuple(t), Val::Tuple(vals)) if t.elems.len() == vals.len() => {
                for (e, v) in t.elems.iter().zip(vals) {
                    self.assign_to(e, v, right)?;
                }
                Ok(())
            }
            (syn::Expr::Struct(_), val @ Val::Struct(..)) => {
                let syn::Expr::Struct(x) = left else {
                    return self.reject(left, &errors::ASSIGN);
                };
                self.assign_fields(x, &val, right)
            }
            (syn::Expr::Array(a), Val::View(view)) => {
                for (k, e) in a.elems.iter().enumerate() {
                    let k = self.g.usize_const(k);
                    let v = self.element(&view, k);
                    self.assign_to(e, v, right)?;
                }
                Ok(())
            }
            (_, val) => {
                let to = self.target(left)?;
                self.put(to, val, left, right)
            }
        }
    }
}
