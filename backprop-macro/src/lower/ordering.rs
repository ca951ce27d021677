//! Comparisons with three outcomes: `cmp`, `partial_cmp`, `total_cmp` and what is done with an `Ordering`.
//!
//! An `Ordering` is two conditions, *less* and *equal*, so that branches and loops carry it like any others. What must hold: it is
//! constant, however active the operands are; a decision has no gradient.

use super::Lower;
use super::value::Val;
use crate::errors::{self, Result};
use crate::graph::{Id, Opaque, OpaqueForm};
use crate::types::Kind;
use proc_macro2::TokenStream;
use quote::quote;

impl Lower<'_> {
    /// `Ordering::Less` and its kin, by their paths.
    pub(super) fn order_const(&mut self, path: &syn::Path) -> Option<Val> {
        let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let [.., of, name] = names.as_slice() else {
            return None;
        };
        let outcome = outcome(name).filter(|_| of == "Ordering")?;
        let less = self.g.bool_const(outcome == Outcome::Less);
        let equal = self.g.bool_const(outcome == Outcome::Equal);
        Some(Val::Order(less, equal))
    }

    /// `a.cmp(&b)`, and what it is for floats; `None` if it is another method.
    pub(super) fn compared(&mut self, name: &str, all: &[Id]) -> Option<Val> {
        let &[a, b] = all else { return None };
        if !matches!(name, "cmp" | "partial_cmp" | "total_cmp") {
            return None;
        }
        let (ta, tb) = (self.g.ty(a), self.g.ty(b));
        self.g.types.unify(ta, tb);
        if name == "total_cmp" {
            let less = self.total(a, b, "is_lt");
            let equal = self.total(a, b, "is_eq");
            return Some(Val::Order(less, equal));
        }
        let less = self.condition_of(quote!(<), a, b);
        let equal = self.condition_of(quote!(==), a, b);
        let order = Val::Order(less, equal);
        if name == "cmp" {
            return Some(order);
        }
        let some = if self.g.types.is_int(ta) {
            self.g.bool_const(true)
        } else {
            let greater = self.condition_of(quote!(>), a, b);
            let ordered = self.condition_of(quote!(||), less, equal);
            self.condition_of(quote!(||), ordered, greater)
        };
        Some(Val::Opt(some, Box::new(order)))
    }

    fn total(&mut self, a: Id, b: Id, is: &str) -> Id {
        let constant = self.g.types.fresh(Kind::Other);
        let b = self.g.opaque(
            discrete("by reference", OpaqueForm::Unary(quote!(&))),
            &[b],
            constant,
        );
        let form = OpaqueForm::Method(quote!(total_cmp));
        let order = self
            .g
            .opaque(discrete("method total_cmp", form), &[a, b], constant);
        let ty = self.g.bool_ty();
        self.g.opaque_method(is, &[order], ty)
    }

    fn condition_of(&mut self, op: TokenStream, a: Id, b: Id) -> Id {
        let ty = self.g.bool_ty();
        self.g.opaque_binary(op, a, b, ty, true)
    }

    /// Whether an `Ordering` is the one of a name: `Less`, or with its path.
    pub(super) fn is_outcome(&mut self, order: (Id, Id), name: &str) -> Option<Id> {
        let (less, equal) = order;
        Some(match outcome(name)? {
            Outcome::Less => less,
            Outcome::Equal => equal,
            Outcome::Greater => {
                let not_greater = self.condition_of(quote!(||), less, equal);
                self.g.not(not_greater)
            }
        })
    }

    pub(super) fn order_method(
        &mut self,
        x: &syn::ExprMethodCall,
        (less, equal): (Id, Id),
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        let not_greater = self.condition_of(quote!(||), less, equal);
        let greater = self.g.not(not_greater);
        match (name, args) {
            ("is_lt", []) => Ok(Val::Num(less)),
            ("is_eq", []) => Ok(Val::Num(equal)),
            ("is_le", []) => Ok(Val::Num(not_greater)),
            ("is_gt", []) => Ok(Val::Num(greater)),
            ("is_ge", []) => Ok(Val::Num(self.g.not(less))),
            ("is_ne", []) => Ok(Val::Num(self.g.not(equal))),
            ("reverse", []) => Ok(Val::Order(greater, equal)),
            ("then", [e]) => {
                let next = self.operand(e)?;
                self.branch(equal, |_| Ok(next), |_| Ok(Val::Order(less, equal)))
            }
            ("then_with", [e]) => {
                let next = self.operand(e)?;
                self.branch(
                    equal,
                    |l| l.apply(&next, Vec::new(), x),
                    |_| Ok(Val::Order(less, equal)),
                )
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    /// Whether two `Ordering`s, or two `Option`s of them, are the same.
    pub(super) fn same_order(&mut self, a: &Val, b: &Val) -> Option<Id> {
        match (a, b) {
            (Val::Order(s, t), Val::Order(u, v)) => {
                let less = self.condition_of(quote!(==), *s, *u);
                let equal = self.condition_of(quote!(==), *t, *v);
                Some(self.condition_of(quote!(&&), less, equal))
            }
            (Val::Opt(s, x), Val::Opt(t, y)) => {
                let some = self.condition_of(quote!(&&), *s, *t);
                let either = self.condition_of(quote!(||), *s, *t);
                let none = self.g.not(either);
                let Some(inner) = self.same_order(x, y) else {
                    let nothing = |v: &Val| matches!(v, Val::Uninit);
                    return (nothing(x) || nothing(y)).then_some(none);
                };
                let both = self.condition_of(quote!(&&), some, inner);
                Some(self.condition_of(quote!(||), none, both))
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Less,
    Equal,
    Greater,
}

fn outcome(name: &str) -> Option<Outcome> {
    Some(match name {
        "Less" => Outcome::Less,
        "Equal" => Outcome::Equal,
        "Greater" => Outcome::Greater,
        _ => return None,
    })
}

fn discrete(key: &str, form: OpaqueForm) -> Opaque {
    Opaque {
        key: key.into(),
        form,
        discrete: true,
    }
}
