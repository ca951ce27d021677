//! Structs: literals, patterns and assignment of their fields.
//!
//! In: an expression or pattern that names a struct. Out: its fields, in the order of the definition, as values or
//! patterns. A struct is its fields and nothing more: no stage behind this one knows of it but `emit`, which names them.

use super::Lower;
use super::value::Val;
use crate::definitions::Struct;
use crate::errors::{self, Rejected, Result};
use crate::shape::Shape;
use quote::ToTokens;
use std::rc::Rc;

impl Lower<'_> {
    /// The struct that a path names, in an expression or a pattern; `None` if it is none that is known.
    pub(super) fn struct_named(&self, path: &syn::Path) -> Option<Rc<Struct>> {
        let ty: syn::Type = syn::parse2(path.to_token_stream()).ok()?;
        match Shape::parse(&ty, &self.sig.names) {
            Shape::Struct(of) => Some(of),
            _ => None,
        }
    }

    /// `P { a: …, b, ..other }`.
    pub(super) fn struct_literal(&mut self, x: &syn::ExprStruct) -> Result<Val> {
        let Some(of) = self.struct_named(&x.path).filter(|_| x.qself.is_none()) else {
            return self.reject(&x.path, &errors::STRUCT_NAME);
        };
        let mut parts: Vec<Option<Val>> = vec![None; of.fields.len()];
        for f in &x.fields {
            let val = self.operand(&f.expr)?;
            let val = self.by_value(val, "field");
            match of.position(&f.member) {
                Some(k) if parts[k].is_none() => {
                    let val = self.typed(val, &of, k);
                    self.note_constant(&val, &of.fields[k].shape, &f.expr);
                    parts[k] = Some(val);
                }
                _ => return self.reject(&f.member, &errors::FIELDS),
            }
        }
        if let Some(rest) = &x.rest {
            let others = match self.operand(rest)? {
                Val::Struct(other, all) if other.same(&of) => all,
                Val::Poison => return Err(Rejected),
                _ => return self.reject(rest, &errors::STRUCT),
            };
            for (part, other) in parts.iter_mut().zip(others) {
                if part.is_none() {
                    *part = Some(self.by_value(other, "field"));
                }
            }
        }
        let parts: Option<Vec<Val>> = parts.into_iter().collect();
        match parts {
            Some(parts) => Ok(Val::Struct(of, parts)),
            None => self.reject(&x.path, &errors::FIELDS),
        }
    }

    /// `P(…)` of a tuple struct.
    pub(super) fn tuple_struct(
        &mut self,
        of: &Rc<Struct>,
        vals: Vec<Val>,
        at: impl ToTokens,
    ) -> Result<Val> {
        if vals.len() != of.fields.len() {
            return self.reject(at, &errors::FIELDS);
        }
        let mut parts = Vec::new();
        for (k, val) in vals.into_iter().enumerate() {
            let val = self.by_value(val, "field");
            parts.push(self.typed(val, of, k));
        }
        Ok(Val::Struct(of.clone(), parts))
    }

    /// A field's value, which has the type that the struct says.
    fn typed(&mut self, val: Val, of: &Struct, k: usize) -> Val {
        let val = match val {
            Val::Elem(place) => Val::Num(self.g.load(place)),
            val => val,
        };
        self.learn_type(&val, &of.fields[k].ty);
        val
    }

    /// Notes how a value for a field that is constant is written.
    pub(super) fn note_constant(&mut self, val: &Val, shape: &Shape, at: &impl ToTokens) {
        if let (Val::Num(id), Shape::Constant(_)) = (val, shape) {
            self.constant_fields.push((*id, at.to_token_stream()));
        }
    }

    /// The patterns of fields, and what they match.
    pub(super) fn field_patterns(
        &mut self,
        pat: &syn::Pat,
        val: &Val,
    ) -> Result<Vec<(syn::Pat, Val)>> {
        let Val::Struct(of, vals) = val else {
            return self.reject(pat, &errors::PATTERN);
        };
        let path = match pat {
            syn::Pat::Struct(p) => &p.path,
            syn::Pat::TupleStruct(p) => &p.path,
            _ => return self.reject(pat, &errors::PATTERN),
        };
        let bare = |s: &Struct| s.constructor().to_token_stream().to_string();
        if self
            .struct_named(path)
            .is_some_and(|s| bare(&s) != bare(of))
        {
            return self.reject(path, &errors::STRUCT_NAME);
        }
        match pat {
            syn::Pat::Struct(p) => {
                let mut out = Vec::new();
                for f in &p.fields {
                    let Some(k) = of.position(&f.member) else {
                        return self.reject(&f.member, &errors::NO_FIELD);
                    };
                    out.push(((*f.pat).clone(), vals[k].clone()));
                }
                Ok(out)
            }
            syn::Pat::TupleStruct(p) => {
                let rest = p.elems.iter().position(|p| matches!(p, syn::Pat::Rest(_)));
                let count = p.elems.len();
                let fits = match rest {
                    None => count == vals.len(),
                    Some(_) => count <= vals.len() + 1,
                };
                if !fits {
                    return self.reject(pat, &errors::PATTERN);
                }
                let skipped = vals.len() + 1 - count.min(vals.len() + 1);
                Ok(p.elems
                    .iter()
                    .enumerate()
                    .filter(|(k, _)| Some(*k) != rest)
                    .map(|(k, p)| match rest {
                        Some(at) if k > at => (p.clone(), vals[k - 1 + skipped].clone()),
                        _ => (p.clone(), vals[k].clone()),
                    })
                    .collect())
            }
            _ => self.reject(pat, &errors::PATTERN),
        }
    }

    /// `let P { a, b: c, .. } = …`.
    pub(super) fn bind_struct(&mut self, pat: &syn::Pat, val: &Val) -> Result<()> {
        for (p, v) in self.field_patterns(pat, val)? {
            self.bind(&p, v)?;
        }
        Ok(())
    }

    /// `P { a, b } = …`, the assignment.
    pub(super) fn assign_fields(
        &mut self,
        x: &syn::ExprStruct,
        val: &Val,
        right: &syn::Expr,
    ) -> Result<()> {
        let Val::Struct(of, vals) = val else {
            return self.reject(x, &errors::ASSIGN);
        };
        for f in &x.fields {
            let Some(k) = of.position(&f.member) else {
                return self.reject(&f.member, &errors::NO_FIELD);
            };
            self.assign_to(&f.expr, vals[k].clone(), right)?;
        }
        Ok(())
    }
}
