//! Functions of the standard library, called by path: methods of floats, `mem`, `cmp`, `from_fn`, constructors.

use super::Lower;
use super::call::strip;
use super::value::Val;
use crate::errors::{self, Rejected, Result};
use crate::graph::{Id, Init, Node};
use crate::shape::{Length, Shape};
use crate::types::{FloatTy, INTEGERS, Kind};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

impl Lower<'_> {
    /// `f64::sin`, `T::sin`, `core::primitive::f64::sin`: the float type and the method.
    pub(super) fn float_path(&self, p: &syn::ExprPath) -> Option<(FloatTy, proc_macro2::Ident)> {
        let method = p.path.segments.last()?.ident.clone();
        let name = match &p.qself {
            Some(q) if p.path.segments.len() == 1 => crate::shape::primitive(&q.ty)?,
            Some(_) => return None,
            None => {
                let names: Vec<String> = p
                    .path
                    .segments
                    .iter()
                    .map(|s| s.ident.to_string())
                    .collect();
                match names.as_slice() {
                    [ty, _] => ty.clone(),
                    [root, module, ty, _]
                        if module == "primitive" && (root == "core" || root == "std") =>
                    {
                        ty.clone()
                    }
                    _ => return None,
                }
            }
        };
        let ty = match name.as_str() {
            "f64" => FloatTy::F64,
            "f32" => FloatTy::F32,
            _ => FloatTy::Generic(self.sig.names.floats.iter().find(|t| **t == name)?.clone()),
        };
        Some((ty, method))
    }

    /// `f64::from(a)`.
    pub(super) fn converted(&mut self, p: &syn::ExprPath, to: FloatTy, a: Id) -> Val {
        let t = self.g.types.fresh(Kind::Float(to.clone()));
        Val::Num(if self.g.is_float(a) {
            self.g.compute(Node::Cast(a, Some(to)), t)
        } else {
            self.g.opaque_call(p.to_token_stream(), &[a], t)
        })
    }

    /// `T::one()`, `T::from(0.5).unwrap()`: constants of a generic float type.
    pub(super) fn generic_constant(&mut self, c: &syn::ExprCall) -> Result<Option<Val>> {
        let syn::Expr::Path(p) = strip(&c.func) else {
            return Ok(None);
        };
        let Some((FloatTy::Generic(t), method)) = self.float_path(p) else {
            return Ok(None);
        };
        if !(method == "from"
            || method == "from_f64"
            || method == "from_f32"
            || method == "from_usize")
            || c.args.len() != 1
        {
            return Ok(None);
        }
        let arg = self.scalar(&c.args[0])?;
        if let (Some(value), "from" | "from_f64") =
            (self.g.constant(arg), method.to_string().as_str())
        {
            let ty = self.g.types.fresh(Kind::Float(FloatTy::Generic(t)));
            return Ok(Some(Val::Num(self.g.lit(value, ty))));
        }
        let ty = self.g.types.fresh(Kind::Unknown);
        let func = p.to_token_stream();
        let inner = self.g.opaque_call(func, &[arg], ty);
        let ty = self.g.types.fresh(Kind::Float(FloatTy::Generic(t)));
        Ok(Some(
            self.pinned(|g| g.opaque_method("unwrap", &[inner], ty)),
        ))
    }

    /// Functions of the standard library that the macro knows.
    pub(super) fn standard(
        &mut self,
        x: &syn::ExprCall,
        p: &syn::ExprPath,
        args: &[&syn::Expr],
    ) -> Result<Option<Val>> {
        let names: Vec<String> = p
            .path
            .segments
            .iter()
            .map(|s| s.ident.to_string())
            .collect();
        if let Some((ty, method)) = self.float_path(p) {
            let name = method.to_string();
            if let (FloatTy::Generic(_), true) = (&ty, args.is_empty()) {
                let t = self.g.types.fresh(Kind::Float(ty));
                return Ok(Some(Val::Num(match name.as_str() {
                    "one" => self.g.lit(1.0, t),
                    "zero" => self.g.lit(0.0, t),
                    _ => self.g.opaque_tokens(x.to_token_stream(), t),
                })));
            }
            if name == "from" && args.len() == 1 {
                let a = self.scalar(args[0])?;
                return Ok(Some(self.converted(p, ty, a)));
            }
            if name.starts_with("from_") {
                return self.reject(&method, &errors::BITS);
            }
            let mut ids = Vec::new();
            for e in args {
                ids.push(self.scalar(e)?);
            }
            if let Some(&a) = ids.first() {
                let t = self.g.ty(a);
                self.g.types.learn(t, Kind::Float(ty));
            }
            if ids.is_empty() {
                return self.reject(x, &errors::UNKNOWN_CALL);
            }
            return self.float_method(&method, &name, &ids).map(Some);
        }
        // From the root, or imported: `std::mem::swap`, `mem::swap`, `swap`.
        let names = match names.as_slice() {
            [name] => self.source.standard(name).unwrap_or(names),
            _ => names,
        };
        let last = names.last().map_or("", String::as_str);
        let within = match names.split_first() {
            Some((root, within)) if ["std", "core", "alloc"].contains(&root.as_str()) => within,
            _ => names.as_slice(),
        };
        let module = match within {
            [module, _] => module.as_str(),
            [_] => "",
            _ => return Ok(None),
        };
        match (module, last, args) {
            ("", "Some", [e]) => {
                let val = self.operand(e)?;
                let val = self.by_value(val, "some");
                let yes = self.g.bool_const(true);
                Ok(Some(Val::Opt(yes, Box::new(val))))
            }
            // A box of a scalar is the scalar: nothing else can point to it.
            ("Box", "new", [e]) => match self.operand(e)? {
                Val::Num(id) => Ok(Some(Val::Num(id))),
                Val::Poison => Err(Rejected),
                val @ Val::View(_) => Ok(Some(self.by_value(val, "boxed"))),
                _ => self.errors_named(x, &errors::FOREIGN_CALL, "Box::new"),
            },
            ("iter", _, _) => self.iter_function(last, args, x),
            ("Vec", "new", []) | ("Vec", "with_capacity", [_]) => {
                let ty = self.g.types.fresh(Kind::Unknown);
                let array = self.g.declare(
                    "vec",
                    Shape::Vec(Box::new(Shape::Scalar(ty))),
                    Init::Empty,
                    Span::call_site(),
                );
                Ok(Some(super::expr::fresh_view(array)))
            }
            ("mem", "swap", [a, b]) => {
                let (a, b) = (self.behind(a)?, self.behind(b)?);
                self.swap_destinations(a, b, &syn::Expr::Call(x.clone()))?;
                Ok(Some(Val::Unit))
            }
            ("mem", "replace", [a, b]) => {
                let new = self.operand(b)?;
                let to = self.behind(a)?;
                let old = self.taken(&to, x)?;
                self.put(to, new, args[0], args[1])?;
                Ok(Some(old))
            }
            ("mem", "take", [a]) => {
                let to = self.behind(a)?;
                let old = self.taken(&to, x)?;
                let Val::Num(id) = old else {
                    return self.reject(x, &errors::REFERENCE);
                };
                let zero = self.g.lit_like(0.0, id);
                self.put(to, Val::Num(zero), args[0], args[0])?;
                Ok(Some(Val::Num(id)))
            }
            ("mem", "drop", [_]) | ("", "drop", [_]) => Ok(Some(Val::Unit)),
            ("array", "from_fn", [f]) => {
                let turbofish = p.path.segments.last().and_then(|s| match &s.arguments {
                    syn::PathArguments::AngleBracketed(a) => {
                        a.args.iter().nth(1).map(ToTokens::to_token_stream)
                    }
                    _ => None,
                });
                let Some(n) = turbofish else {
                    return self.reject(&x.func, &errors::LENGTH);
                };
                let n = bare(n);
                let len = match syn::parse2::<syn::LitInt>(n.clone())
                    .ok()
                    .and_then(|l| l.base10_parse().ok())
                {
                    Some(k) => Length::Known(k),
                    None => Length::Tokens(n),
                };
                let f = self.operand(f)?;
                let ty = self.g.usize_ty();
                let count = match &len {
                    Length::Known(k) => self.g.usize_const(*k),
                    other => {
                        let t = other.to_token_stream();
                        self.g.opaque_tokens(t, ty)
                    }
                };
                self.tabulate(count, Some(len), x, |l, k| {
                    l.apply_at(&f, vec![Val::Num(k)], x)
                })
                .map(Some)
            }
            ("cmp", "min" | "max", [_, _]) => {
                let (a, b) = (self.scalar(args[0])?, self.scalar(args[1])?);
                let (ta, tb) = (self.g.ty(a), self.g.ty(b));
                self.g.types.unify(ta, tb);
                let func = p.to_token_stream();
                Ok(Some(self.pinned(|g| g.opaque_call(func, &[a, b], ta))))
            }
            ("mem", "size_of", []) | ("", "size_of", []) => {
                let ty = self.g.usize_ty();
                Ok(Some(Val::Num(
                    self.g.opaque_tokens(x.to_token_stream(), ty),
                )))
            }
            (
                int,
                "from" | "pow" | "abs" | "min" | "max" | "rem_euclid" | "wrapping_add"
                | "wrapping_mul" | "wrapping_sub",
                _,
            ) if INTEGERS.contains(&int) && !args.is_empty() => {
                let mut ids = Vec::new();
                for e in args {
                    ids.push(self.scalar(e)?);
                }
                let ty = self.g.types.fresh(Kind::Int(int.to_string()));
                let func = p.to_token_stream();
                Ok(Some(self.pinned(|g| g.opaque_call(func, &ids, ty))))
            }
            _ => Ok(None),
        }
    }
}

/// A generic argument without the braces around it.
fn bare(n: TokenStream) -> TokenStream {
    match syn::parse2::<syn::ExprBlock>(n.clone()) {
        Ok(b) => match b.block.stmts.as_slice() {
            [syn::Stmt::Expr(e, None)] => e.to_token_stream(),
            _ => n,
        },
        Err(_) => n,
    }
}
