//! Refutable patterns: the condition under which one matches, constants that it takes apart, and `match`.
//!
//! In: a pattern and what it is matched against. Out: a `bool`, if it does not always match; `match` becomes a chain of branches.

use super::Lower;
use super::pattern::{binds_names, is_capitalized, is_rest, takes_apart};
use super::value::Val;
use crate::errors::{self, Rejected, Result};
use crate::graph::{Id, Opaque, OpaqueForm};
use crate::types::Kind;
use quote::{ToTokens, quote};

impl Lower<'_> {
    /// The condition under which a pattern matches; `None` where it always does.
    pub(super) fn condition(&mut self, pat: &syn::Pat, val: &Val) -> Result<Option<Id>> {
        if takes_apart(pat) && matches!(val, Val::MutRef(..) | Val::Elem(_)) {
            let whole = self.through(val.clone());
            if whole.parts().is_some() || matches!(whole, Val::Opt(..) | Val::View(_)) {
                return self.condition(pat, &whole);
            }
        }
        match (pat, val) {
            (_, Val::Poison) => Err(Rejected),
            (syn::Pat::Wild(_) | syn::Pat::Rest(_), _) => Ok(None),
            (syn::Pat::Paren(p), _) => self.condition(&p.pat, val),
            (syn::Pat::Type(p), _) => self.condition(&p.pat, val),
            (syn::Pat::Reference(p), _) => {
                let val = self.deref(val.clone());
                self.condition(&p.pat, &val)
            }
            (syn::Pat::Ident(p), Val::Opt(some, _)) if p.ident == "None" => {
                Ok(Some(self.g.not(*some)))
            }
            (syn::Pat::Path(p), Val::Opt(some, _))
                if p.path.segments.last().is_some_and(|s| s.ident == "None") =>
            {
                Ok(Some(self.g.not(*some)))
            }
            (syn::Pat::Ident(p), Val::Order(less, equal)) if p.subpat.is_none() => {
                Ok(self.is_outcome((*less, *equal), &p.ident.to_string()))
            }
            (syn::Pat::Path(p), Val::Order(less, equal)) => {
                let name = p.path.segments.last().map(|s| s.ident.to_string());
                match self.is_outcome((*less, *equal), &name.unwrap_or_default()) {
                    Some(id) => Ok(Some(id)),
                    None => self.reject(pat, &errors::PATTERN),
                }
            }
            (syn::Pat::Ident(p), _) => match &p.subpat {
                Some((_, sub)) => self.condition(sub, val),
                // A capitalised name is a constant or a unit struct, not a new variable.
                None if is_capitalized(&p.ident) && p.mutability.is_none() => {
                    self.matches(pat, val)
                }
                None if !self.sig.names.binds(&p.ident) => {
                    let name = p.ident.to_string();
                    Err(self.errors.reject_named(pat, &errors::PATTERN_NAME, &name))
                }
                None => Ok(None),
            },
            (syn::Pat::TupleStruct(p), Val::Opt(some, inner))
                if p.path.segments.last().is_some_and(|s| s.ident == "Some")
                    && p.elems.len() == 1 =>
            {
                let sub = self.condition(&p.elems[0], inner)?;
                Ok(Some(self.both(Some(*some), sub).unwrap_or(*some)))
            }
            (syn::Pat::Tuple(p), Val::Num(id)) if !self.g.is_float(*id) => {
                let vals = self.constant_parts(*id, p);
                let mut all = None;
                for (p, v) in p.elems.iter().filter(|p| !is_rest(p)).zip(&vals) {
                    let one = self.condition(p, v)?;
                    all = self.both(all, one);
                }
                Ok(all)
            }
            (syn::Pat::Tuple(p), Val::Tuple(vals))
                if p.elems.len() == vals.len() && !p.elems.iter().any(is_rest) =>
            {
                let mut all = None;
                for (p, v) in p.elems.iter().zip(vals) {
                    let one = self.condition(p, v)?;
                    all = self.both(all, one);
                }
                Ok(all)
            }
            (syn::Pat::Struct(_) | syn::Pat::TupleStruct(_), Val::Struct(..)) => {
                let mut all = None;
                for (p, v) in self.field_patterns(pat, val)? {
                    let one = self.condition(&p, &v)?;
                    all = self.both(all, one);
                }
                Ok(all)
            }
            (syn::Pat::Slice(p), Val::View(view)) => {
                let rest = p.elems.iter().any(is_rest);
                let fixed = p.elems.len() - usize::from(rest);
                let len = self.view_len(view);
                let want = self.g.usize_const(fixed);
                let ty = self.g.bool_ty();
                let op = if rest { quote!(>=) } else { quote!(==) };
                let fits = self.g.opaque_binary(op, len, want, ty, true);
                let plain = |p: &syn::Pat| match p {
                    syn::Pat::Wild(_) => true,
                    syn::Pat::Ident(i) => i.subpat.is_none() && !is_capitalized(&i.ident),
                    _ => false,
                };
                for sub in p.elems.iter().filter(|p| plain(p)) {
                    self.condition(sub, &Val::Unit)?;
                }
                if p.elems.iter().all(|p| is_rest(p) || plain(p)) {
                    return Ok(Some(fits));
                }
                // The elements are looked at where there are as many.
                let all = self.branch(
                    fits,
                    |l| {
                        let mut all = None;
                        for (sub, val) in l.slice_parts(p, view) {
                            if !is_rest(sub) && !plain(sub) {
                                let one = l.condition(sub, &val)?;
                                all = l.both(all, one);
                            }
                        }
                        Ok(Val::Num(all.unwrap_or_else(|| l.g.bool_const(true))))
                    },
                    |l| Ok(Val::Num(l.g.bool_const(false))),
                )?;
                Ok(Some(self.num(all, pat)?))
            }
            (
                syn::Pat::Lit(_)
                | syn::Pat::Range(_)
                | syn::Pat::Or(_)
                | syn::Pat::Path(_)
                | syn::Pat::TupleStruct(_)
                | syn::Pat::Struct(_),
                Val::Num(_) | Val::Elem(_) | Val::MutRef(..),
            ) => self.matches(pat, val),
            (syn::Pat::Or(p), _) => {
                let mut any = None;
                for case in &p.cases {
                    let Some(one) = self.condition(case, val)? else {
                        return Ok(None);
                    };
                    let ty = self.g.bool_ty();
                    any = Some(match any {
                        None => one,
                        Some(other) => self.g.opaque_binary(quote!(||), other, one, ty, true),
                    });
                }
                Ok(any)
            }
            _ => self.reject(pat, &errors::PATTERN),
        }
    }

    fn matches(&mut self, pat: &syn::Pat, val: &Val) -> Result<Option<Id>> {
        let mut names = Vec::new();
        self.constant_names(pat, None, &mut names)?;
        let id = self.num(val.clone(), pat)?;
        let tokens = pat.to_token_stream();
        let ty = self.g.bool_ty();
        let opaque = Opaque {
            key: format!("matches {tokens}"),
            form: OpaqueForm::Matches(tokens),
            discrete: true,
        };
        Ok(Some(self.g.opaque(opaque, &[id], ty)))
    }

    /// Binds the names in the pattern of a constant enum.
    pub(super) fn bind_constant(&mut self, pat: &syn::Pat, val: Val) -> Result<()> {
        let mut names = Vec::new();
        self.constant_names(pat, None, &mut names)?;
        let of = self.num(val, pat)?;
        let pattern = match pat {
            syn::Pat::Or(p) => p.cases.to_token_stream(),
            pat => pat.to_token_stream(),
        };
        for (p, kind) in names {
            let opaque = Opaque {
                key: format!("bound {} {pattern}", p.ident),
                form: OpaqueForm::Bound(pattern.clone(), p.ident.clone()),
                discrete: false,
            };
            let ty = self.g.types.fresh(kind);
            let id = self.g.opaque(opaque, &[of], ty);
            self.declare(&p.ident, Val::Num(id), p.mutability.is_some());
        }
        Ok(())
    }

    /// The names in the pattern of a constant, which is of this type, and what they are: numbers and `bool`s in the variants of enums.
    fn constant_names<'p>(
        &self,
        pat: &'p syn::Pat,
        ty: Option<&syn::Type>,
        names: &mut Vec<(&'p syn::PatIdent, Kind)>,
    ) -> Result<()> {
        let fields = |path| match self.sig.names.variant(path) {
            Some(fields) => Ok(fields),
            None => self.reject(pat, &errors::PATTERN),
        };
        match pat {
            syn::Pat::Ident(p) => {
                if let Some((_, sub)) = &p.subpat {
                    self.constant_names(sub, ty, names)?;
                }
                if p.subpat.is_none() && is_capitalized(&p.ident) {
                    return Ok(());
                }
                let kind = ty.map(|ty| super::kind_of(ty, &self.sig.names));
                match kind {
                    Some(kind)
                        if !matches!(kind, Kind::Other | Kind::Unknown) && p.by_ref.is_none() =>
                    {
                        names.push((p, kind));
                        Ok(())
                    }
                    _ => self.reject(pat, &errors::PATTERN),
                }
            }
            syn::Pat::Lit(_)
            | syn::Pat::Range(_)
            | syn::Pat::Path(_)
            | syn::Pat::Wild(_)
            | syn::Pat::Rest(_) => Ok(()),
            syn::Pat::Paren(p) => self.constant_names(&p.pat, ty, names),
            syn::Pat::TupleStruct(p) => {
                let types = fields(&p.path)?;
                let rest = p.elems.iter().position(is_rest);
                for (k, sub) in p.elems.iter().enumerate() {
                    let at = match rest {
                        // Those behind `..` are counted from the end.
                        Some(rest) if rest < k => (k + types.len()).checked_sub(p.elems.len()),
                        _ => Some(k),
                    };
                    let ty = at.and_then(|at| types.get(at)).map(|f| &f.1);
                    self.constant_names(sub, ty, names)?;
                }
                Ok(())
            }
            syn::Pat::Struct(p) => {
                let types = fields(&p.path)?;
                for sub in &p.fields {
                    let ty = types.iter().find(|f| f.0 == sub.member).map(|f| &f.1);
                    self.constant_names(&sub.pat, ty, names)?;
                }
                Ok(())
            }
            syn::Pat::Or(p) => {
                for (k, case) in p.cases.iter().enumerate() {
                    let mut again = Vec::new();
                    self.constant_names(case, ty, &mut again)?;
                    if k == 0 {
                        names.extend(again);
                    }
                }
                Ok(())
            }
            _ => self.reject(pat, &errors::PATTERN),
        }
    }

    fn both(&mut self, a: Option<Id>, b: Option<Id>) -> Option<Id> {
        match (a, b) {
            (Some(a), Some(b)) => {
                let ty = self.g.bool_ty();
                Some(self.g.opaque_binary(quote!(&&), a, b, ty, true))
            }
            (a, b) => a.or(b),
        }
    }

    /// `match`: a chain of branches; the last arm needs no test, for a `match` is exhaustive.
    pub(super) fn match_(&mut self, e: &syn::ExprMatch) -> Result<Val> {
        let val = self.expr(&e.expr)?;
        if matches!(val, Val::Uninit | Val::Unit) || self.dead {
            return self.reject(&e.expr, &errors::PATTERN);
        }
        let arms: Vec<&syn::Arm> = e.arms.iter().collect();
        self.arms(&arms, &val)
    }

    fn arms(&mut self, arms: &[&syn::Arm], val: &Val) -> Result<Val> {
        let Some((arm, rest)) = arms.split_first() else {
            return Ok(Val::Unit);
        };
        let (pat, guard) = match &arm.pat {
            syn::Pat::Guard(p) => (&*p.pat, Some(&*p.guard)),
            pat => (pat, None),
        };
        // What the alternatives bind stands in different places: each is an arm.
        if let syn::Pat::Or(p) = pat
            && !matches!(val, Val::Num(_) | Val::Elem(_))
            && binds_names(pat)
        {
            let alone = |case: &syn::Pat| {
                let pat: syn::Pat = match guard {
                    Some(guard) => syn::parse_quote!(#case if #guard),
                    None => case.clone(),
                };
                syn::Arm {
                    pat,
                    ..(*arm).clone()
                }
            };
            let split: Vec<syn::Arm> = p.cases.iter().map(alone).collect();
            let arms: Vec<&syn::Arm> = split.iter().chain(rest.iter().copied()).collect();
            return self.arms(&arms, val);
        }
        let cond = self.condition(pat, val)?;
        if rest.is_empty() {
            return self.scoped(|l| {
                l.bind(pat, val.clone())?;
                l.expr(&arm.body)
            });
        }
        let Some(guard) = guard else {
            let Some(cond) = cond else {
                return self.scoped(|l| {
                    l.bind(pat, val.clone())?;
                    l.expr(&arm.body)
                });
            };
            return self.branch(
                cond,
                |l| {
                    l.bind(pat, val.clone())?;
                    l.expr(&arm.body)
                },
                |l| l.arms(rest, val),
            );
        };
        // With a guard the rest is reached in two ways; whether this arm is taken is decided first.
        let taken = match cond {
            None => self.scoped(|l| {
                l.bind(pat, val.clone())?;
                l.expr(guard)
            })?,
            Some(cond) => self.branch(
                cond,
                |l| {
                    l.bind(pat, val.clone())?;
                    l.expr(guard)
                },
                |l| Ok(Val::Num(l.g.bool_const(false))),
            )?,
        };
        let taken = self.num(taken, guard)?;
        let ty = self.g.ty(taken);
        self.g.types.learn(ty, Kind::Bool);
        self.branch(
            taken,
            |l| {
                l.bind(pat, val.clone())?;
                l.expr(&arm.body)
            },
            |l| l.arms(rest, val),
        )
    }
}
