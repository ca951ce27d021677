//! Patterns: binding names, and the condition under which a refutable pattern matches.

use super::Lower;
use super::value::{Borrow, Val, View};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Id, Step};
use crate::shape::Shape;
use quote::{ToTokens, quote};

impl Lower<'_> {
    /// Binds an irrefutable pattern; also the part of a refutable one that binds, once it is known to match.
    pub(super) fn bind(&mut self, pat: &syn::Pat, val: Val) -> Result<()> {
        match pat {
            syn::Pat::Ident(p) => {
                if let Some((_, sub)) = &p.subpat {
                    self.bind(sub, val.clone())?;
                }
                if p.by_ref.is_some() {
                    if p.mutability.is_some() {
                        return self.reject(pat, &errors::REFERENCE);
                    }
                    let val = match val {
                        Val::View(view) => Val::View(View {
                            borrow: Borrow::Shared,
                            ..view
                        }),
                        val => val,
                    };
                    self.declare(&p.ident, val, false);
                    return Ok(());
                }
                if p.ident == "None" {
                    return Ok(());
                }
                if let Val::Order(..) = val
                    && matches!(&*p.ident.to_string(), "Less" | "Equal" | "Greater")
                {
                    return Ok(());
                }
                let name = p.ident.to_string();
                let val = self.by_value(val, name.trim_start_matches("r#"));
                let val = match val {
                    Val::Iter(iter) if p.mutability.is_some() => self.held_iter(iter)?,
                    val => val,
                };
                self.declare(&p.ident, val, p.mutability.is_some());
                Ok(())
            }
            syn::Pat::Wild(_)
            | syn::Pat::Lit(_)
            | syn::Pat::Range(_)
            | syn::Pat::Path(_)
            | syn::Pat::Rest(_) => Ok(()),
            syn::Pat::Paren(p) => self.bind(&p.pat, val),
            syn::Pat::Reference(p) => {
                let val = self.deref(val);
                self.bind(&p.pat, val)
            }
            syn::Pat::Type(p) => {
                self.learn_type(&val, &p.ty);
                self.bind(&p.pat, val)
            }
            syn::Pat::Tuple(p) => match self.through(val) {
                Val::Poison => Err(Rejected),
                Val::Tuple(vals) => {
                    let pats: Vec<&syn::Pat> = p.elems.iter().collect();
                    let rest = pats.iter().position(|p| matches!(p, syn::Pat::Rest(_)));
                    let fits = match rest {
                        None => pats.len() == vals.len(),
                        Some(_) => pats.len() <= vals.len() + 1,
                    };
                    if !fits {
                        return self.reject(pat, &errors::PATTERN);
                    }
                    let front = rest.unwrap_or(pats.len());
                    for (p, v) in pats[..front].iter().zip(&vals) {
                        self.bind(p, v.clone())?;
                    }
                    if let Some(at) = rest {
                        for (p, v) in pats[at + 1..].iter().rev().zip(vals.iter().rev()) {
                            self.bind(p, v.clone())?;
                        }
                    }
                    Ok(())
                }
                Val::Num(id) if !self.g.is_float(id) => {
                    let vals = self.constant_parts(id, p);
                    for (p, v) in p.elems.iter().filter(|p| !is_rest(p)).zip(vals) {
                        self.bind(p, v)?;
                    }
                    Ok(())
                }
                _ => self.reject(pat, &errors::PATTERN),
            },
            syn::Pat::Slice(p) => match self.through(val) {
                Val::View(view) => self.bind_slice(p, &view),
                Val::Poison => Err(Rejected),
                _ => self.reject(pat, &errors::PATTERN),
            },
            syn::Pat::TupleStruct(p)
                if p.path.segments.last().is_some_and(|s| s.ident == "Some")
                    && p.elems.len() == 1 =>
            {
                match self.through(val) {
                    Val::Opt(_, inner) => self.bind(&p.elems[0], *inner),
                    Val::Poison => Err(Rejected),
                    _ => self.reject(pat, &errors::PATTERN),
                }
            }
            syn::Pat::Struct(_) | syn::Pat::TupleStruct(_) => match self.through(val) {
                Val::Poison => Err(Rejected),
                val @ Val::Struct(..) => self.bind_struct(pat, &val),
                val @ (Val::Num(_) | Val::Elem(_)) => self.bind_constant(pat, val),
                _ => self.reject(pat, &errors::PATTERN),
            },
            syn::Pat::Or(p) => match &val {
                _ if !p.cases.iter().any(binds_names) => Ok(()),
                Val::Num(_) | Val::Elem(_) => self.bind_constant(pat, val),
                _ => self.reject(pat, &errors::PATTERN),
            },
            _ => self.reject(pat, &errors::PATTERN),
        }
    }

    /// What a pattern takes apart: behind `&mut` the parts are references too.
    pub(super) fn through(&mut self, val: Val) -> Val {
        match val {
            Val::MutRef(var, path) => {
                let whole = self.read_along(var, &path);
                let part = |l: &mut Self, k: usize| {
                    let path = [&path[..], &[k as u32]].concat();
                    l.mutably(var, path)
                };
                match &whole {
                    Val::Tuple(all) | Val::Struct(_, all) => {
                        let parts = (0..all.len()).map(|k| part(self, k)).collect();
                        whole.rebuilt(parts)
                    }
                    Val::Opt(some, _) => Val::Opt(*some, Box::new(part(self, 0))),
                    _ => whole,
                }
            }
            Val::Elem(place) => {
                let shape = self.g.shape_at(&place);
                let Some(parts) = shape.parts() else {
                    return Val::Elem(place);
                };
                let parts = (0..parts.len()).map(|k| {
                    let mut part = place.clone();
                    part.path.push(Step::Field(k as u32));
                    self.reference_to(part)
                });
                let parts = parts.collect();
                match shape {
                    Shape::Struct(of) => Val::Struct(of, parts),
                    _ => Val::Tuple(parts),
                }
            }
            other => other,
        }
    }

    /// The parts of a constant tuple, such as an entry of a table, that a pattern names: those before a `..`.
    pub(super) fn constant_parts(&mut self, tuple: Id, pat: &syn::PatTuple) -> Vec<Val> {
        let named = pat.elems.iter().take_while(|p| !is_rest(p)).count();
        (0..named)
            .map(|k| self.constant_field(tuple, syn::Index::from(k).to_token_stream()))
            .collect()
    }

    fn bind_slice(&mut self, p: &syn::PatSlice, view: &View) -> Result<()> {
        for (sub, val) in self.slice_parts(p, view) {
            match sub {
                syn::Pat::Rest(_) => {}
                syn::Pat::Ident(i) if i.subpat.is_some() && is_rest(sub) => {
                    self.declare(&i.ident, val, i.mutability.is_some());
                }
                _ => self.bind(sub, val)?,
            }
        }
        Ok(())
    }

    /// What each part of a slice pattern stands for.
    pub(super) fn slice_parts<'p>(
        &mut self,
        p: &'p syn::PatSlice,
        view: &View,
    ) -> Vec<(&'p syn::Pat, Val)> {
        let pats: Vec<&syn::Pat> = p.elems.iter().collect();
        let rest = pats.iter().position(|p| is_rest(p));
        let len = self.view_len(view);
        let part = |(k, sub): (usize, &'p syn::Pat)| {
            let val = match rest {
                Some(at) if k == at => {
                    let lo = self.g.usize_const(at);
                    let fixed = self.g.usize_const(pats.len() - 1);
                    let count = self.usize_op(quote!(-), len, fixed);
                    Val::View(self.subview(view, lo, count))
                }
                Some(at) if k > at => {
                    let back = self.g.usize_const(pats.len() - k);
                    let i = self.usize_op(quote!(-), len, back);
                    self.item(view, i)
                }
                _ => {
                    let i = self.g.usize_const(k);
                    self.item(view, i)
                }
            };
            (sub, val)
        };
        pats.iter().copied().enumerate().map(part).collect()
    }
}

pub(super) fn is_rest(pat: &syn::Pat) -> bool {
    match pat {
        syn::Pat::Rest(_) => true,
        syn::Pat::Ident(i) => {
            matches!(&i.subpat, Some((_, sub)) if matches!(**sub, syn::Pat::Rest(_)))
        }
        _ => false,
    }
}

/// Whether a pattern looks into what it matches.
pub(super) fn takes_apart(pat: &syn::Pat) -> bool {
    match pat {
        syn::Pat::Tuple(_)
        | syn::Pat::Struct(_)
        | syn::Pat::TupleStruct(_)
        | syn::Pat::Slice(_)
        | syn::Pat::Path(_)
        | syn::Pat::Or(_) => true,
        syn::Pat::Ident(p) => p.ident == "None",
        _ => false,
    }
}

/// How constants and unit structs are written.
pub(super) fn is_capitalized(ident: &proc_macro2::Ident) -> bool {
    let text = ident.to_string();
    text.chars().next().is_some_and(char::is_uppercase)
}

pub(super) fn binds_names(pat: &syn::Pat) -> bool {
    match pat {
        syn::Pat::Ident(i) => !is_capitalized(&i.ident),
        syn::Pat::Lit(_) | syn::Pat::Range(_) | syn::Pat::Path(_) | syn::Pat::Wild(_) => false,
        syn::Pat::Or(p) => p.cases.iter().any(binds_names),
        syn::Pat::Paren(p) => binds_names(&p.pat),
        syn::Pat::Reference(p) => binds_names(&p.pat),
        syn::Pat::Tuple(p) => p.elems.iter().any(binds_names),
        syn::Pat::TupleStruct(p) => p.elems.iter().any(binds_names),
        syn::Pat::Slice(p) => p.elems.iter().any(binds_names),
        syn::Pat::Rest(_) => false,
        _ => true,
    }
}
