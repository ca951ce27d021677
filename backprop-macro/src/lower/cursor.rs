//! Iterators that a variable holds, and that are asked for one item after the other: `next`, `by_ref`, `while let`.
//!
//! In: an iterator bound to a `mut` variable. Out: the same, with two integers that say which items are left. What must hold: whatever takes
//! an item moves them on, once for each.

use super::iter::{At, Iter, Source};
use super::value::Val;
use super::{Lower, VarId};
use crate::errors::Result;
use crate::graph::Id;
use quote::quote;
use std::rc::Rc;
use syn::visit::Visit;

/// Which items are left.
#[derive(Clone)]
pub(super) struct Cursor {
    /// The next item from the front, and one more than that from the back.
    front: VarId,
    back: VarId,
    /// What the stages have noted so far.
    pub(super) state: Vec<VarId>,
    /// The variable goes on after what is done with it.
    by_ref: bool,
}

/// Methods that leave an iterator where they stopped.
pub(super) const ADVANCING: [&str; 10] = [
    "next",
    "next_back",
    "nth",
    "any",
    "all",
    "find",
    "find_map",
    "position",
    "try_fold",
    "by_ref",
];

impl Lower<'_> {
    /// An iterator as a `mut` variable holds it.
    pub(super) fn held_iter(&mut self, iter: Rc<Iter>) -> Result<Val> {
        if iter.cursor.is_some() {
            return Ok(Val::Iter(iter));
        }
        let bare = Rc::new(Iter::of(iter.source.clone()));
        let Some((len, at, pure)) = self.positioned(&bare)? else {
            return Ok(Val::Iter(iter));
        };
        let zero = self.g.usize_const(0);
        let state = self.stage_state(&iter.stages);
        let mut held = Iter::positions(len, at);
        if !pure {
            held.changes();
        }
        held.stages = iter.stages.clone();
        held.cursor = Some(Cursor {
            front: self.new_var("front".into(), Val::Num(zero), true),
            back: self.new_var("back".into(), Val::Num(len), true),
            state,
            by_ref: false,
        });
        Ok(Val::Iter(Rc::new(held)))
    }

    /// What is done with it moves the variable on.
    pub(super) fn by_reference(&self, iter: &Rc<Iter>) -> Rc<Iter> {
        let mut iter = (**iter).clone();
        if let Some(cursor) = &mut iter.cursor {
            cursor.by_ref = true;
        }
        Rc::new(iter)
    }

    /// A second iterator over the same items, from where the first has got to.
    pub(super) fn cloned_iter(&mut self, iter: &Rc<Iter>) -> Rc<Iter> {
        let mut copy = (**iter).clone();
        let again = |l: &mut Self, var: &mut VarId| {
            let now = l.read(*var);
            let name = l.vars[var.0].name.clone();
            *var = l.new_var(name, now, true);
        };
        for stage in &mut copy.stages {
            if let super::iter::Stage::Scan(_, state) = stage {
                again(self, state);
            }
        }
        if let Some(cursor) = &mut copy.cursor {
            again(self, &mut cursor.front);
            again(self, &mut cursor.back);
            for var in &mut cursor.state {
                again(self, var);
            }
        }
        Rc::new(copy)
    }

    fn left(&mut self, cursor: &Cursor) -> Result<(Id, Id)> {
        let (front, back) = (self.read(cursor.front), self.read(cursor.back));
        Ok((self.num(front, quote!())?, self.num(back, quote!())?))
    }

    /// What is left, for a loop, and where it starts.
    pub(super) fn rest_of(
        &mut self,
        iter: &Rc<Iter>,
        cursor: &Cursor,
    ) -> Result<(Source, Option<Id>)> {
        let Source::Positions { at, pure, .. } = iter.source.clone() else {
            return Ok((iter.source.clone(), None));
        };
        let (front, back) = self.left(cursor)?;
        let endless = self.is_endless(back);
        let at = self.advancing(at, cursor.front, endless.then_some(front));
        let source = Source::Positions {
            len: back,
            rev: false,
            at,
            pure,
        };
        Ok((source, (!endless).then_some(front)))
    }

    /// What is left, by position.
    pub(super) fn rest_by_position(
        &mut self,
        iter: &Rc<Iter>,
        cursor: &Cursor,
    ) -> Result<Option<(Id, At, bool)>> {
        let Source::Positions { at, pure, .. } = iter.source.clone() else {
            return Ok(None);
        };
        let (front, back) = self.left(cursor)?;
        let len = match self.is_endless(back) {
            true => back,
            false => self.usize_op(quote!(-), back, front),
        };
        if cursor.by_ref {
            let at = self.advancing(at, cursor.front, Some(front));
            return Ok(Some((len, at, false)));
        }
        let at: At = Rc::new(move |l, k| {
            let k = l.usize_op(quote!(+), front, k);
            at(l, k)
        });
        Ok(Some((len, at, pure)))
    }

    /// Items that move the variable on as they are taken; positions are counted from `from`.
    fn advancing(&mut self, at: At, front: VarId, from: Option<Id>) -> At {
        Rc::new(move |l, k| {
            let k = match from {
                Some(from) => l.usize_op(quote!(+), from, k),
                None => k,
            };
            let one = l.g.usize_const(1);
            let next = l.usize_op(quote!(+), k, one);
            l.write(front, Val::Num(next));
            at(l, k)
        })
    }

    /// `next()`, `next_back()` and `peek()` where each item comes of one position; `None` where stages may ask for more.
    pub(super) fn next_item(&mut self, iter: &Rc<Iter>, name: &str) -> Result<Option<Val>> {
        let (Some(cursor), Source::Positions { at, .. }) = (&iter.cursor, &iter.source) else {
            return Ok(None);
        };
        let maps = |s: &super::iter::Stage| matches!(s, super::iter::Stage::Map(_));
        if !iter.stages.iter().all(maps) {
            return Ok(None);
        }
        let (front, back) = self.left(cursor)?;
        let (cursor, at, stages) = (cursor.clone(), at.clone(), iter.stages.clone());
        let some = self.related(quote!(<), front, back);
        let one = self.g.usize_const(1);
        let val = self.branch(
            some,
            |l| {
                let k = match name {
                    "next_back" => {
                        let last = l.usize_op(quote!(-), back, one);
                        l.write(cursor.back, Val::Num(last));
                        last
                    }
                    "next" => {
                        let next = l.usize_op(quote!(+), front, one);
                        l.write(cursor.front, Val::Num(next));
                        front
                    }
                    _ => front,
                };
                let mut item = at(l, k)?;
                for stage in &stages {
                    if let super::iter::Stage::Map(f) = stage {
                        item = l.apply_fn(f, vec![item], &quote!())?;
                    }
                }
                Ok(item)
            },
            |_| Ok(Val::Uninit),
        )?;
        Ok(Some(Val::Opt(some, Box::new(val))))
    }

    /// `while let Some(v) = items.next()`, whose body leaves the items alone, is a `for` loop over what is left.
    pub(super) fn as_for_loop(&mut self, x: &syn::ExprWhile) -> Result<Option<syn::ExprForLoop>> {
        let syn::Expr::Let(cond) = &*x.cond else {
            return Ok(None);
        };
        let (syn::Pat::TupleStruct(pat), syn::Expr::MethodCall(call)) = (&*cond.pat, &*cond.expr)
        else {
            return Ok(None);
        };
        let syn::Expr::Path(path) = &*call.receiver else {
            return Ok(None);
        };
        let (Some(ident), true) = (
            path.path.get_ident(),
            pat.path.is_ident("Some") && pat.elems.len() == 1 && call.method == "next",
        ) else {
            return Ok(None);
        };
        let Some(var) = self.find(ident)? else {
            return Ok(None);
        };
        let mut mentions = Mentions(ident.to_string(), false);
        mentions.visit_block(&x.body);
        let held = matches!(&self.vars[var.0].val, Val::Iter(iter) if iter.cursor.is_some());
        if !held || mentions.1 || !always_fits(&pat.elems[0]) {
            return Ok(None);
        }
        let (label, pat, body, items) = (&x.label, &pat.elems[0], &x.body, &call.receiver);
        Ok(Some(
            syn::parse_quote!(#label for #pat in #items.by_ref() #body),
        ))
    }
}

/// Whether a name is mentioned.
struct Mentions(String, bool);

impl<'ast> Visit<'ast> for Mentions {
    fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
        self.1 |= *ident == self.0;
    }

    fn visit_macro(&mut self, _: &'ast syn::Macro) {
        self.1 = true;
    }
}

/// Whether a pattern fits whatever comes.
fn always_fits(pat: &syn::Pat) -> bool {
    match pat {
        syn::Pat::Ident(p) => p.subpat.is_none() && !super::pattern::is_capitalized(&p.ident),
        syn::Pat::Wild(_) => true,
        syn::Pat::Reference(p) => always_fits(&p.pat),
        syn::Pat::Paren(p) => always_fits(&p.pat),
        syn::Pat::Tuple(p) => p.elems.iter().all(always_fits),
        _ => false,
    }
}
