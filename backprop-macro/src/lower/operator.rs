//! Literals, operators and casts.
//!
//! In: an operator and its operands. Out: a node: a row of the rule table for floats, Rust as written for integers and conditions.
//! What must hold: what Rust leaves out, such as the right side of `&&`, is in a region of its own.

use super::Lower;
use super::value::Val;
use crate::errors::{self, Result};
use crate::graph::{Id, Node, Opaque, OpaqueForm};
use crate::rules::Op;
use crate::types::{FloatTy, Kind};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

impl Lower<'_> {
    pub(super) fn literal(&mut self, lit: &syn::Lit) -> Result<Val> {
        let id = match lit {
            syn::Lit::Float(f) => {
                let kind = match f.suffix() {
                    "f32" => Kind::Float(FloatTy::F32),
                    "f64" => Kind::Float(FloatTy::F64),
                    _ => Kind::AnyFloat,
                };
                let Ok(value) = f.base10_digits().parse::<f64>() else {
                    return self.reject(lit, &errors::EXPRESSION);
                };
                let ty = self.g.types.fresh(kind);
                self.g.lit(value, ty)
            }
            syn::Lit::Int(i) if matches!(i.suffix(), "f32" | "f64") => {
                let kind = Kind::Float(if i.suffix() == "f32" {
                    FloatTy::F32
                } else {
                    FloatTy::F64
                });
                let Ok(value) = i.base10_digits().parse::<f64>() else {
                    return self.reject(lit, &errors::EXPRESSION);
                };
                let ty = self.g.types.fresh(kind);
                self.g.lit(value, ty)
            }
            syn::Lit::Int(i) => {
                let kind = if i.suffix().is_empty() {
                    Kind::AnyInt
                } else {
                    Kind::Int(i.suffix().to_string())
                };
                let ty = self.g.types.fresh(kind);
                self.g.opaque_tokens(quote!(#lit), ty)
            }
            syn::Lit::Bool(b) => self.g.bool_const(b.value),
            _ => {
                let ty = self.g.types.fresh(Kind::Other);
                self.g.opaque_tokens(quote!(#lit), ty)
            }
        };
        Ok(Val::Num(id))
    }

    pub(super) fn unary(&mut self, x: &syn::ExprUnary) -> Result<Val> {
        match x.op {
            syn::UnOp::Deref(_) => {
                let val = self.operand(&x.expr)?;
                Ok(self.deref(val))
            }
            syn::UnOp::Neg(_) => {
                let a = self.scalar(&x.expr)?;
                if self.g.is_float(a) {
                    return Ok(Val::Num(self.g.apply_primal(Op::Neg, &[a])));
                }
                let ty = self.g.ty(a);
                if let Some(text) = self.g.opaque_text(a)
                    && syn::parse_str::<syn::LitInt>(&text).is_ok()
                    && let Node::Opaque(k, _) = self.g.node(a).clone()
                    && let OpaqueForm::Tokens(lit) = &self.g.opaque_of(k).form
                {
                    let lit = lit.clone();
                    return Ok(Val::Num(self.g.opaque_tokens(quote!((-#lit)), ty)));
                }
                Ok(Val::Num(self.g.opaque_unary(quote!(-), a, ty)))
            }
            syn::UnOp::Not(_) => {
                let a = self.scalar(&x.expr)?;
                let ty = self.g.ty(a);
                if matches!(self.g.types.kind(ty), Kind::Bool) {
                    return Ok(Val::Num(self.g.not(a)));
                }
                Ok(Val::Num(self.g.opaque_unary(quote!(!), a, ty)))
            }
            _ => self.reject(x, &errors::EXPRESSION),
        }
    }

    pub(super) fn binary(&mut self, x: &syn::ExprBinary) -> Result<Val> {
        use syn::BinOp as B;
        match &x.op {
            B::And(_) | B::Or(_) => return self.short_circuit(x),
            B::AddAssign(_)
            | B::SubAssign(_)
            | B::MulAssign(_)
            | B::DivAssign(_)
            | B::RemAssign(_)
            | B::BitXorAssign(_)
            | B::BitAndAssign(_)
            | B::BitOrAssign(_)
            | B::ShlAssign(_)
            | B::ShrAssign(_) => return self.compound(x),
            _ => {}
        }
        // Both are tried, so that one error does not hide another.
        let (a, b) = (self.operand(&x.left), self.operand(&x.right));
        let (a, b) = (a?, b?);
        if let B::Eq(_) | B::Ne(_) = &x.op
            && let Some(same) = self.same_order(&a, &b)
        {
            let differ = matches!(x.op, B::Ne(_));
            return Ok(Val::Num(if differ { self.g.not(same) } else { same }));
        }
        let (a, b) = (self.num(a, &x.left), self.num(b, &x.right));
        self.arithmetic(&x.op, a?, b?, x)
    }

    pub(super) fn arithmetic(
        &mut self,
        op: &syn::BinOp,
        a: Id,
        b: Id,
        at: impl ToTokens,
    ) -> Result<Val> {
        use syn::BinOp as B;
        let tokens = plain(op);
        let (ta, tb) = (self.g.ty(a), self.g.ty(b));
        let float = self.g.is_float(a) || self.g.is_float(b);
        let primitive = match op {
            B::Add(_) | B::AddAssign(_) => Some(Op::Add),
            B::Sub(_) | B::SubAssign(_) => Some(Op::Sub),
            B::Mul(_) | B::MulAssign(_) => Some(Op::Mul),
            B::Div(_) | B::DivAssign(_) => Some(Op::Div),
            B::Rem(_) | B::RemAssign(_) => Some(Op::Rem),
            _ => None,
        };
        if let (Some(primitive), true) = (primitive, float) {
            return Ok(Val::Num(self.g.apply_primal(primitive, &[a, b])));
        }
        match op {
            B::Eq(_) | B::Ne(_) | B::Lt(_) | B::Le(_) | B::Gt(_) | B::Ge(_) => {
                self.g.types.unify(ta, tb);
                let ty = self.g.bool_ty();
                Ok(Val::Num(self.g.opaque_binary(tokens, a, b, ty, true)))
            }
            B::Shl(_) | B::Shr(_) | B::ShlAssign(_) | B::ShrAssign(_) => {
                Ok(self.pinned(|g| g.opaque_binary(tokens, a, b, ta, false)))
            }
            _ if float => self.reject(at, &errors::EXPRESSION),
            _ => {
                self.g.types.unify(ta, tb);
                Ok(self.pinned(|g| g.opaque_binary(tokens, a, b, ta, false)))
            }
        }
    }

    /// A constant expression of the user's that may panic (overflow, division by zero): never dropped.
    pub(super) fn pinned(&mut self, f: impl FnOnce(&mut crate::graph::Graph) -> Id) -> Val {
        let id = f(&mut self.g);
        self.g.nodes[id.0 as usize].pinned = true;
        Val::Num(id)
    }

    pub(super) fn short_circuit(&mut self, x: &syn::ExprBinary) -> Result<Val> {
        let a = self.scalar(&x.left)?;
        let ty = self.g.ty(a);
        self.g.types.learn(ty, Kind::Bool);
        let and = matches!(x.op, syn::BinOp::And(_));
        let val = if and {
            self.branch(
                a,
                |l| l.operand(&x.right),
                |l| Ok(Val::Num(l.g.bool_const(false))),
            )
        } else {
            self.branch(
                a,
                |l| Ok(Val::Num(l.g.bool_const(true))),
                |l| l.operand(&x.right),
            )
        }?;
        if let Val::Num(id) = val {
            let ty = self.g.ty(id);
            self.g.types.learn(ty, Kind::Bool);
        }
        Ok(val)
    }

    pub(super) fn cast(&mut self, x: &syn::ExprCast) -> Result<Val> {
        let a = self.scalar(&x.expr)?;
        let kind = super::kind_of(&x.ty, &self.sig.names);
        let ty = &x.ty;
        match kind {
            Kind::Float(to) => {
                let t = self.g.types.fresh(Kind::Float(to.clone()));
                if self.g.is_float(a) {
                    return Ok(Val::Num(self.g.compute(Node::Cast(a, Some(to)), t)));
                }
                let tokens = to.tokens();
                Ok(Val::Num(self.g.opaque(
                    Opaque {
                        key: format!("cast {tokens}"),
                        form: OpaqueForm::Cast(tokens),
                        discrete: false,
                    },
                    &[a],
                    t,
                )))
            }
            Kind::Int(_) | Kind::Bool => {
                let t = self.g.types.fresh(kind);
                let tokens = self.g.types.tokens(t).unwrap_or_else(|| quote!(#ty));
                let discrete = self.g.is_float(a);
                Ok(Val::Num(self.g.opaque(
                    Opaque {
                        key: format!("cast {tokens}"),
                        form: OpaqueForm::Cast(tokens),
                        discrete,
                    },
                    &[a],
                    t,
                )))
            }
            // `as _`, or a type alias, which may stand for a float or for an integer.
            _ => self.reject(&x.ty, &errors::CAST),
        }
    }
}

/// The operator without its `=`.
pub(super) fn plain(op: &syn::BinOp) -> TokenStream {
    use syn::BinOp as B;
    match op {
        B::AddAssign(_) => quote!(+),
        B::SubAssign(_) => quote!(-),
        B::MulAssign(_) => quote!(*),
        B::DivAssign(_) => quote!(/),
        B::RemAssign(_) => quote!(%),
        B::BitXorAssign(_) => quote!(^),
        B::BitAndAssign(_) => quote!(&),
        B::BitOrAssign(_) => quote!(|),
        B::ShlAssign(_) => quote!(<<),
        B::ShrAssign(_) => quote!(>>),
        B::Add(_) => quote!(+),
        B::Sub(_) => quote!(-),
        B::Mul(_) => quote!(*),
        B::Div(_) => quote!(/),
        B::Rem(_) => quote!(%),
        B::BitXor(_) => quote!(^),
        B::BitAnd(_) => quote!(&),
        B::BitOr(_) => quote!(|),
        B::Shl(_) => quote!(<<),
        B::Shr(_) => quote!(>>),
        B::Eq(_) => quote!(==),
        B::Ne(_) => quote!(!=),
        B::Lt(_) => quote!(<),
        B::Le(_) => quote!(<=),
        B::Gt(_) => quote!(>),
        B::Ge(_) => quote!(>=),
        other => quote!(#other),
    }
}
