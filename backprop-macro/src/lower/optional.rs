//! `Option`: a condition, and what is there where it holds.
//!
//! In: an `Option` and a method call. Out: another, or what is in it. What must hold: a function is run only where Rust runs it.

use super::Lower;
use super::target::Destination;
use super::value::Val;
use crate::errors::{self, Result};
use crate::graph::Id;
use crate::types::Kind;
use quote::quote;

impl Lower<'_> {
    pub(super) fn none(&mut self) -> Val {
        let no = self.g.bool_const(false);
        Val::Opt(no, Box::new(Val::Uninit))
    }

    pub(super) fn option_method(
        &mut self,
        x: &syn::ExprMethodCall,
        some: Id,
        inner: Val,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        match (name, args) {
            ("is_some", []) => Ok(Val::Num(some)),
            ("is_none", []) => Ok(Val::Num(self.g.not(some))),
            ("unwrap", []) | ("expect", [_]) => {
                self.effect(
                    quote!(::core::assert!(
                        __h0,
                        "called `Option::unwrap()` on a `None` value"
                    )),
                    &[some],
                );
                match inner {
                    Val::Uninit => self.reject(x, &errors::UNINIT),
                    inner => Ok(inner),
                }
            }
            ("unwrap_or", [e]) => {
                let other = self.operand(e)?;
                self.branch(some, |_| Ok(inner), |_| Ok(other))
            }
            ("unwrap_or_else", [e]) => {
                let f = self.operand(e)?;
                self.branch(some, |_| Ok(inner), |l| l.apply(&f, Vec::new(), x))
            }
            ("map", [e]) => {
                let f = self.operand(e)?;
                let val =
                    self.branch(some, |l| l.apply(&f, vec![inner], x), |_| Ok(Val::Uninit))?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("map_or", [d, f]) => {
                let (other, f) = (self.operand(d)?, self.operand(f)?);
                self.branch(some, |l| l.apply(&f, vec![inner], x), |_| Ok(other))
            }
            ("map_or_else", [d, f]) => {
                let (other, f) = (self.operand(d)?, self.operand(f)?);
                self.branch(
                    some,
                    |l| l.apply(&f, vec![inner], x),
                    |l| l.apply(&other, Vec::new(), x),
                )
            }
            // Of a float and an integer alike it is zero, of a condition `false`.
            ("unwrap_or_default", []) => {
                let like = self.num(inner.clone(), x)?;
                let ty = self.g.ty(like);
                let zero = match self.g.types.kind(ty) {
                    Kind::Int(_) | Kind::AnyInt => self.g.opaque_tokens(quote!(0), ty),
                    Kind::Bool => self.g.bool_const(false),
                    _ if self.g.is_float(like) => self.g.lit_like(0.0, like),
                    _ => return self.reject(&x.method, &errors::UNKNOWN_METHOD),
                };
                self.branch(some, |_| Ok(inner), |_| Ok(Val::Num(zero)))
            }
            ("and_then", [f]) => {
                let f = self.operand(f)?;
                let none = self.none();
                self.branch(some, |l| l.apply(&f, vec![inner], x), |_| Ok(none))
            }
            ("or", [e]) => {
                let other = self.operand(e)?;
                let this = Val::Opt(some, Box::new(inner));
                self.branch(some, |_| Ok(this), |_| Ok(other))
            }
            ("or_else", [f]) => {
                let f = self.operand(f)?;
                let this = Val::Opt(some, Box::new(inner));
                self.branch(some, |_| Ok(this), |l| l.apply(&f, Vec::new(), x))
            }
            ("filter" | "is_some_and", [f]) => {
                let f = self.operand(f)?;
                let item = inner.clone();
                let fits = self.branch(
                    some,
                    |l| l.apply(&f, vec![item], x),
                    |l| Ok(Val::Num(l.g.bool_const(false))),
                )?;
                let fits = self.num(fits, x)?;
                Ok(match name {
                    "filter" => Val::Opt(fits, Box::new(inner)),
                    _ => Val::Num(fits),
                })
            }
            ("zip", [e]) => {
                let Val::Opt(also, other) = self.operand(e)? else {
                    return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                };
                let ty = self.g.bool_ty();
                let both = self.g.opaque_binary(quote!(&&), some, also, ty, true);
                Ok(Val::Opt(both, Box::new(Val::Tuple(vec![inner, *other]))))
            }
            ("take", []) | ("replace", [_]) => {
                let new = match args {
                    [e] => {
                        let val = self.operand(e)?;
                        let yes = self.g.bool_const(true);
                        Val::Opt(yes, Box::new(val))
                    }
                    _ => Val::Opt(self.g.bool_const(false), Box::new(inner.clone())),
                };
                let to = match self.operand(&x.receiver)? {
                    Val::MutRef(var, path) => Destination::Var(var, path),
                    _ => self.target(&x.receiver)?,
                };
                let old = Val::Opt(some, Box::new(inner));
                let old = self.held_apart(old, "old");
                self.put(to, new, &x.receiver, &x.receiver)?;
                Ok(old)
            }
            ("as_mut", []) => {
                let (var, path) = match self.operand(&x.receiver)? {
                    Val::MutRef(var, path) => (var, path),
                    _ => match self.target(&x.receiver)? {
                        Destination::Var(var, path) => (var, path),
                        _ => return self.reject(&x.method, &errors::REFERENCE),
                    },
                };
                let inside = self.mutably(var, [&path[..], &[0]].concat());
                Ok(Val::Opt(some, Box::new(inside)))
            }
            ("iter" | "into_iter", []) => {
                let this = Val::Opt(some, Box::new(inner));
                Ok(Val::Iter(self.iter_of(this, &x.receiver)?))
            }
            ("as_ref", []) => Ok(Val::Opt(some, Box::new(inner))),
            ("copied" | "cloned", []) => {
                let inner = self.deref(inner);
                Ok(Val::Opt(some, Box::new(inner)))
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }
}
