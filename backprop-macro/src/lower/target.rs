//! What stands on the left of an assignment, behind `&mut`, and in `mem::replace`.
//!
//! In: an expression that names a place. Out: a [`Destination`], what it holds, and what it holds after something else was put there.
//! What must hold: arrays that are parts of what is replaced stay apart from those that replace them.

use super::call::strip;
use super::place::views;
use super::value::{Borrow, Val, View};
use super::{Lower, VarId};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Place, Step};
use crate::shape::Shape;
use crate::types::Kind;
use quote::quote;

impl Lower<'_> {
    /// The place behind `&mut place`.
    pub(super) fn behind(&mut self, e: &syn::Expr) -> Result<Destination> {
        match strip(e) {
            syn::Expr::Reference(r) if r.mutability.is_some() => self.target(&r.expr),
            other => match self.operand(other)? {
                Val::MutRef(var, path) => Ok(Destination::Var(var, path)),
                Val::Elem(place) => Ok(Destination::Place(place)),
                Val::View(view) => Ok(Destination::View(view)),
                _ => self.reject(e, &errors::REFERENCE),
            },
        }
    }

    /// What a place held before it is overwritten: arrays are copied out.
    pub(super) fn taken(&mut self, to: &Destination, x: &syn::ExprCall) -> Result<Val> {
        let val = self.fetch(to, &syn::Expr::Call(x.clone()))?;
        Ok(self.held_apart(val, "old"))
    }

    /// The place that an expression names, for writing.
    pub(super) fn target(&mut self, e: &syn::Expr) -> Result<Destination> {
        match e {
            syn::Expr::Paren(p) => self.target(&p.expr),
            syn::Expr::Group(p) => self.target(&p.expr),
            syn::Expr::Path(p) => {
                let Some(ident) = p.path.get_ident() else {
                    return self.reject(e, &errors::ASSIGN);
                };
                let Some(var) = self.find(ident)? else {
                    if ident == "self" {
                        return self.reject(ident, &errors::SELF_ASSIGNED);
                    }
                    return self.reject_name(ident);
                };
                Ok(Destination::Var(var, Vec::new()))
            }
            syn::Expr::Unary(u) if matches!(u.op, syn::UnOp::Deref(_)) => {
                let inner = self.target(&u.expr)?;
                // A reference to a scalar that is only read stands for the scalar itself.
                if let (Destination::Var(var, path), Some(Val::Num(_))) =
                    (&inner, self.held(&inner))
                    && path.is_empty()
                    && !self.vars[var.0].mutable
                {
                    return self.reject(e, &errors::REFERENCE);
                }
                Ok(match self.held(&inner) {
                    Some(Val::MutRef(var, path)) => Destination::Var(var, path),
                    Some(Val::Elem(place)) => Destination::Place(place),
                    Some(Val::View(view)) => Destination::View(view),
                    _ => inner,
                })
            }
            syn::Expr::Field(f) => {
                let mut base = self.target(&f.base)?;
                match self.held(&base) {
                    Some(Val::MutRef(inner, path)) => base = Destination::Var(inner, path),
                    Some(Val::Elem(place)) => base = Destination::Place(place),
                    _ => {}
                }
                let index = match (&f.member, &base) {
                    (syn::Member::Unnamed(k), _) => Some(k.index),
                    (member, Destination::Place(place)) => match self.g.shape_at(place) {
                        Shape::Struct(of) => of.position(member).map(|k| k as u32),
                        _ => None,
                    },
                    (member, _) => match self.held(&base) {
                        Some(Val::Struct(of, _)) => of.position(member).map(|k| k as u32),
                        Some(Val::Poison) => return Err(Rejected),
                        _ => None,
                    },
                };
                let Some(index) = index else {
                    return self.reject(&f.member, &errors::STRUCT);
                };
                match base {
                    Destination::Var(var, mut path) => {
                        path.push(index);
                        Ok(Destination::Var(var, path))
                    }
                    Destination::Place(mut place) => {
                        place.path.push(Step::Field(index));
                        Ok(Destination::Place(place))
                    }
                    Destination::View(_) => self.reject(e, &errors::ASSIGN),
                }
            }
            syn::Expr::Index(i) => {
                let base = self.target(&i.expr)?;
                let view = match base {
                    Destination::View(view) => view,
                    Destination::Place(place) => View {
                        place,
                        window: None,
                        borrow: Borrow::Own,
                    },
                    Destination::Var(..) => match self.held(&base) {
                        Some(Val::View(view)) => view,
                        Some(Val::Poison) => return Err(Rejected),
                        _ => return self.reject(&i.expr, &errors::NOT_ARRAY),
                    },
                };
                match self.expr(&i.index)? {
                    Val::Range(range) => Ok(Destination::View(self.slice(&view, &range))),
                    index => {
                        let index = self.num(index, &i.index)?;
                        let ty = self.g.ty(index);
                        self.g.types.learn(ty, Kind::Int("usize".into()));
                        if let Some((lo, len)) = view.window {
                            let ty = self.g.bool_ty();
                            let inside = self.g.opaque_binary(quote!(<), index, len, ty, false);
                            self.effect(
                                quote!(::core::assert!(__h0, "index out of bounds")),
                                &[inside],
                            );
                            let index = self.usize_op(quote!(+), lo, index);
                            let mut place = view.place;
                            place.path.push(Step::Index(index));
                            return Ok(Destination::Place(place));
                        }
                        let mut place = view.place;
                        place.path.push(Step::Index(index));
                        Ok(Destination::Place(place))
                    }
                }
            }
            syn::Expr::MethodCall(_) | syn::Expr::Reference(_) => match self.expr(e)? {
                Val::View(view) => Ok(Destination::View(view)),
                Val::Elem(place) => Ok(Destination::Place(place)),
                Val::MutRef(var, path) => Ok(Destination::Var(var, path)),
                _ => self.reject(e, &errors::ASSIGN),
            },
            _ => self.reject(e, &errors::ASSIGN),
        }
    }

    /// What a destination holds now, without reading an array's element.
    pub(super) fn held(&mut self, to: &Destination) -> Option<Val> {
        match to {
            Destination::Var(var, path) => {
                let val = self.read(*var);
                val.along(path).cloned()
            }
            Destination::View(view) => Some(Val::View(view.clone())),
            Destination::Place(_) => None,
        }
    }

    /// Reads what is to be overwritten.
    pub(super) fn fetch(&mut self, to: &Destination, at: &syn::Expr) -> Result<Val> {
        match to {
            Destination::Place(place) => Ok(self.at(place.clone(), Borrow::Own)),
            _ => match self.held(to) {
                Some(Val::Uninit) => self.reject(at, &errors::UNINIT),
                Some(val) => Ok(val),
                None => self.reject(at, &errors::ASSIGN),
            },
        }
    }

    /// `to = val`.
    pub(super) fn put(
        &mut self,
        to: Destination,
        val: Val,
        at: &syn::Expr,
        rhs: &syn::Expr,
    ) -> Result<()> {
        match to {
            Destination::Place(place) => {
                let shape = self.g.shape_at(&place);
                self.note_constant(&val, &shape, rhs);
                self.assign_place(place, val, at)
            }
            Destination::View(view) => match val {
                Val::View(from) => self.copy_view(&view, &from),
                Val::Poison => Err(Rejected),
                _ => self.reject(at, &errors::ASSIGN),
            },
            Destination::Var(var, path) => {
                let old = self.read(var);
                let new = self.replaced(old, &path, val, at, rhs)?;
                self.write(var, new);
                Ok(())
            }
        }
    }

    /// What a variable holds once `val` is assigned to the part of it at `path`.
    pub(super) fn replaced(
        &mut self,
        old: Val,
        path: &[u32],
        val: Val,
        at: &syn::Expr,
        rhs: &syn::Expr,
    ) -> Result<Val> {
        if let Some((&k, rest)) = path.split_first() {
            if let (Val::Opt(some, inner), 0) = (&old, k) {
                let inner = self.replaced((**inner).clone(), rest, val, at, rhs)?;
                return Ok(Val::Opt(*some, Box::new(inner)));
            }
            let Some(mut all) = old.parts().map(<[Val]>::to_vec) else {
                return self.reject(at, &errors::ASSIGN);
            };
            let Some(slot) = all.get_mut(k as usize) else {
                return self.reject(at, &errors::ASSIGN);
            };
            let inner = std::mem::replace(slot, Val::Unit);
            let new = self.replaced(inner, rest, val, at, rhs)?;
            all[k as usize] = new;
            return Ok(old.rebuilt(all));
        }
        match (&old, val) {
            (Val::View(to), Val::View(from)) if !to.borrow.is_ref() => {
                let owned = self.view_shape(to).is_fixed();
                if owned {
                    self.copy_view(to, &from)?;
                    return Ok(old);
                }
                if from.borrow.is_ref()
                    || is_place(rhs) && !self.frames.is_empty()
                    || !self.frames.is_empty()
                    || !self.journals.is_empty()
                {
                    // A `Vec` whose name moves on inside a loop or branch keeps its place: the contents are copied.
                    self.refill(to, &from)?;
                    return Ok(old);
                }
                Ok(Val::View(from))
            }
            (Val::View(_), Val::View(from)) => {
                if self.frames.is_empty() && self.journals.is_empty() {
                    return Ok(Val::View(from));
                }
                self.reject(at, &errors::BRANCH_ARRAY)
            }
            (Val::Uninit, val) => {
                let name = "value";
                let val = self.by_value(val, name);
                if matches!(val, Val::View(_)) && !self.journals.is_empty() {
                    return self.reject(at, &errors::BRANCH_ARRAY);
                }
                Ok(val)
            }
            (Val::Num(a), Val::Num(b)) => {
                let (ta, tb) = (self.g.ty(*a), self.g.ty(b));
                self.g.types.unify(ta, tb);
                Ok(Val::Num(b))
            }
            (_, Val::Poison) => Ok(Val::Poison),
            (_, Val::Iter(iter)) => {
                if !self.frames.is_empty() || !self.journals.is_empty() {
                    return self.reject(at, &errors::LOOP_VALUE);
                }
                self.held_iter(iter)
            }
            (Val::MutRef(..) | Val::Elem(_), _) => self.reject(at, &errors::REFERENCE),
            (_, Val::Elem(place)) => Ok(Val::Num(self.g.load(place))),
            // Part by part, so that each array keeps its place; what another part is about to overwrite is held apart.
            (
                Val::Tuple(parts) | Val::Struct(_, parts),
                Val::Tuple(ref new) | Val::Struct(_, ref new),
            ) if parts.len() == new.len() => {
                let overwritten = views(&old);
                let mut all = Vec::new();
                for (part, new) in parts.iter().zip(new) {
                    let stays = matches!((part, new), (Val::View(a), Val::View(b)) if a.place == b.place && a.window == b.window);
                    let shared = !stays
                        && views(new)
                            .iter()
                            .any(|v| overwritten.iter().any(|o| o.place.array == v.place.array));
                    all.push(match (stays, shared) {
                        (true, _) => None,
                        (_, true) => Some(self.held_apart(new.clone(), "held")),
                        _ => Some(new.clone()),
                    });
                }
                let mut replaced = Vec::new();
                for (part, new) in parts.iter().zip(all) {
                    replaced.push(match new {
                        Some(new) => self.replaced(part.clone(), &[], new, at, rhs)?,
                        None => part.clone(),
                    });
                }
                Ok(old.rebuilt(replaced))
            }
            (Val::Opt(_, inner), Val::Opt(some, new)) => {
                let new = self.replaced((**inner).clone(), &[], *new, at, rhs)?;
                Ok(Val::Opt(some, Box::new(new)))
            }
            (_, val) => Ok(val),
        }
    }

    pub(super) fn reject_name<T>(&self, ident: &proc_macro2::Ident) -> Result<T> {
        self.reject(ident, &errors::UNKNOWN_NAME)
    }
}

/// Something that can be written to.
#[derive(Clone)]
pub enum Destination {
    Var(VarId, Vec<u32>),
    Place(Place),
    View(View),
}

/// Whether an expression names something that exists, rather than making a new value.
pub fn is_place(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Path(_) | syn::Expr::Index(_) | syn::Expr::Field(_) => true,
        syn::Expr::Unary(u) => matches!(u.op, syn::UnOp::Deref(_)),
        syn::Expr::Paren(p) => is_place(&p.expr),
        syn::Expr::Group(p) => is_place(&p.expr),
        _ => false,
    }
}
