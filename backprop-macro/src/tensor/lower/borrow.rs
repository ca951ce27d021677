//! Mutable borrows: which variable a name stands for, and which part of it.
//!
//! In: `&mut a`, `a.row_mut(i)`, `a[[i, j]]` behind `&mut`. Out: a [`Place`], which is read and stored to as the variable it leads to. What must
//! hold: a borrow is followed or rejected; it is never taken for a copy, whose changes would be lost.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// A variable, or a part of one.
#[derive(Clone)]
pub struct Place {
    /// Where the variable is declared.
    pub scope: usize,
    pub name: String,
    pub context: String,
    /// The part of it, and the part's number of axes.
    pub view: Option<(View, Rank)>,
    /// One element of that.
    pub element: Option<TokenStream>,
    /// The name stands for the variable itself, in a closure that captures it.
    pub captured: bool,
}

impl Place {
    /// A part of this place.
    pub fn part(&self, view: View, rank: Rank) -> Place {
        let view = match &self.view {
            Some((outer, _)) => View {
                form: {
                    let (a, b) = (&outer.form, &view.form);
                    quote!(#a #b)
                },
                whole: outer.whole && view.whole,
            },
            None => view,
        };
        Place {
            view: Some((view, rank)),
            ..self.clone()
        }
    }

    pub fn same(&self, other: &Place) -> bool {
        let text = |p: &Place| {
            let form = p.view.as_ref().map(|(v, _)| v.form.to_string());
            (form, p.element.as_ref().map(|e| e.to_string()))
        };
        (self.scope, &self.name, &self.context) == (other.scope, &other.name, &other.context)
            && text(self) == text(other)
    }
}

/// Views of what is borrowed mutably already; of an array of its own they are copies.
const HANDED_ON: [&str; 10] = [
    "reversed_axes",
    "permuted_axes",
    "insert_axis",
    "remove_axis",
    "index_axis_move",
    "slice_move",
    "into_dyn",
    "into_diag",
    "reborrow",
    "by_ref",
];

impl Lower<'_> {
    /// The place that an expression borrows mutably, if it does.
    pub fn borrow(&mut self, e: &syn::Expr) -> Result<Option<Place>> {
        match e {
            syn::Expr::Paren(p) => self.borrow(&p.expr),
            syn::Expr::Group(p) => self.borrow(&p.expr),
            syn::Expr::Reference(r) if r.mutability.is_some() => self.borrowed(&r.expr).map(Some),
            syn::Expr::Path(p) => Ok(match p.path.get_ident().and_then(|i| self.peek(i)) {
                Some(Val::Place(place)) if !place.captured => Some(place.clone()),
                _ => None,
            }),
            syn::Expr::MethodCall(m) => {
                let name = m.method.to_string();
                let base = if mutable_view(&name) {
                    Some(self.borrowed(&m.receiver)?)
                } else if HANDED_ON.contains(&name.as_str()) {
                    self.borrow(&m.receiver)?
                } else {
                    None
                };
                let Some(base) = base else { return Ok(None) };
                if ["view_mut", "reborrow", "by_ref"].contains(&name.as_str()) {
                    return Ok(Some(base));
                }
                let Val::Tensor(v) = self.read(&base)? else {
                    return self.reject(&m.method, &errors::TENSOR_METHOD_UNKNOWN);
                };
                match self.view_mut(m, v)? {
                    Some((view, rank)) => Ok(Some(base.part(view, rank))),
                    None => Err(self.unknown(m)),
                }
            }
            _ => Ok(None),
        }
    }

    /// The place behind `&mut`, or that a method like `row_mut` is called on.
    pub fn borrowed(&mut self, e: &syn::Expr) -> Result<Place> {
        match e {
            syn::Expr::Paren(p) => self.borrowed(&p.expr),
            syn::Expr::Group(p) => self.borrowed(&p.expr),
            syn::Expr::Unary(u) if matches!(u.op, syn::UnOp::Deref(_)) => self.borrowed(&u.expr),
            syn::Expr::Path(p) if p.path.get_ident().is_some() => {
                let found = p.path.get_ident().and_then(|ident| self.place_of(ident));
                match found {
                    Some(place) => Ok(place),
                    None => self.reject(e, &errors::ASSIGN),
                }
            }
            syn::Expr::Index(i) => {
                let base = self.borrowed(&i.expr)?;
                let index = self.element_index(&i.index)?;
                Ok(Place {
                    element: Some(index),
                    ..base
                })
            }
            syn::Expr::MethodCall(_) | syn::Expr::Reference(_) => match self.borrow(e)? {
                Some(place) => Ok(place),
                None => self.reject(e, &errors::ASSIGN),
            },
            _ => self.reject(e, &errors::ASSIGN),
        }
    }

    /// The place that an argument `&mut x`, or the name of a reference, is.
    pub fn borrowed_by(&mut self, e: &syn::Expr) -> Result<Place> {
        match self.borrow(e)? {
            Some(place) => Ok(place),
            None => self.reject(e, &errors::TENSOR_BORROW),
        }
    }

    /// What a name stands for, as a place.
    pub fn place_of(&self, ident: &Ident) -> Option<Place> {
        let (name, context) = (ident.to_string(), crate::lower::hygiene(ident));
        for (scope, names) in self.scopes.iter().enumerate().skip(self.floor).rev() {
            let entries = names.get(&name).into_iter().flatten();
            for (c, val) in entries {
                if *c == context {
                    return Some(match val {
                        Val::Place(place) => Place {
                            captured: false,
                            ..place.clone()
                        },
                        _ => Place {
                            scope,
                            name,
                            context,
                            view: None,
                            element: None,
                            captured: false,
                        },
                    });
                }
            }
        }
        None
    }

    fn variable(&mut self, p: &Place) -> Result<&mut Val> {
        let entries = self
            .scopes
            .get_mut(p.scope)
            .and_then(|s| s.get_mut(&p.name));
        let mut entries = entries.into_iter().flatten();
        let found = entries.find(|(context, _)| *context == p.context);
        found.map(|e| &mut e.1).ok_or(Rejected)
    }

    /// What a place holds.
    pub fn read(&mut self, p: &Place) -> Result<Val> {
        let val = self.variable(p)?.clone();
        if let Val::Lost = val {
            return Err(Rejected);
        }
        let Val::Tensor(v) = val else {
            return match (&p.view, &p.element) {
                (None, None) => Ok(val),
                // Part of a constant.
                _ => self.reject(Ident::new(&p.name, Span::call_site()), &errors::ASSIGN),
            };
        };
        let span = self.g.value(v).span;
        let part = match p.view.clone() {
            Some((view, rank)) => self.view(v, view, rank, span)?,
            None => v,
        };
        Ok(match p.element.clone() {
            Some(index) => Val::Scalar(self.element(part, index, span)),
            None => Val::Tensor(part),
        })
    }

    /// Replaces what a place holds.
    pub fn store(&mut self, p: &Place, value: Val, at: &dyn ToTokens) -> Result<()> {
        let old = self.variable(p)?.clone();
        let value = match (old, &p.view, &p.element) {
            (_, None, None) => value,
            (Val::Tensor(v), view, element) => {
                let part = match element {
                    Some(index) => {
                        let whole = Place {
                            element: None,
                            ..p.clone()
                        };
                        let Val::Tensor(part) = self.read(&whole)? else {
                            return Err(Rejected);
                        };
                        let value = self.scalar_value(value, at)?;
                        let ty = self.g.value(part).ty;
                        let put = Op::Put(part, value, index.clone());
                        Val::Tensor(self.g.push(put, ty, at.span_of()))
                    }
                    None => value,
                };
                match view {
                    Some((view, rank)) if !view.form.is_empty() => {
                        Val::Tensor(self.assign_part(v, part, view.clone(), *rank, at)?)
                    }
                    _ => part,
                }
            }
            _ => return self.reject(at, &errors::ASSIGN),
        };
        *self.variable(p)? = value;
        Ok(())
    }

    /// The value of an expression that something is bound to: a borrow stays one.
    pub fn bindable(&mut self, e: &syn::Expr, ty: Option<&syn::Type>) -> Result<Val> {
        if let syn::Expr::Tuple(t) = e {
            let mut parts = Vec::new();
            for e in &t.elems {
                if let Some(place) = self.borrow(e)? {
                    parts.push(Val::Place(place));
                }
            }
            if parts.len() == t.elems.len() && !parts.is_empty() {
                return Ok(Val::Tuple(parts));
            }
            if !parts.is_empty() {
                return self.reject(e, &errors::TENSOR_BORROW);
            }
        }
        match self.borrow(e)? {
            Some(place) => Ok(Val::Place(place)),
            None => self.typed(e, ty),
        }
    }
}

/// Methods that borrow their receiver mutably, and show a part of it.
pub fn mutable_view(name: &str) -> bool {
    [
        "view_mut",
        "row_mut",
        "column_mut",
        "index_axis_mut",
        "slice_mut",
        "slice_axis_mut",
        "diag_mut",
    ]
    .contains(&name)
}
