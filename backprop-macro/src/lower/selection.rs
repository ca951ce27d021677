//! Selections: `min_by`, `max_by_key` and their kin, and the items that get through filters.
//!
//! In: an iterator, and a comparison. Out: the item selected, where there is one. What must hold: which it is is a decision and has no
//! gradient; the item has one.

use super::Lower;
use super::effects;
use super::iter::{At, Iter, Stage};
use super::value::Val;
use crate::errors::{self, Rejected, Result};
use crate::graph::Id;
use quote::quote;
use std::rc::Rc;

impl Lower<'_> {
    /// `min_by`, `max_by_key` and their kin: which item is selected is a decision, the item itself is not.
    pub(super) fn selection(
        &mut self,
        x: &syn::ExprMethodCall,
        iter: &Rc<Iter>,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        let f = match args {
            [f] => Some(self.operand(f)?),
            _ => None,
        };
        let largest = name.starts_with("max");
        let by_key = name.ends_with("_key");
        // Whether the item in hand replaces the one selected so far. Of equal ones the first is the least, the last the greatest.
        let replaces = |l: &mut Self, best: &Val, item: &Val| -> Result<Id> {
            let order = match &f {
                Some(f) if by_key => {
                    let a = l.apply_fn(f, vec![best.clone()], &quote!())?;
                    let b = l.apply_fn(f, vec![item.clone()], &quote!())?;
                    l.order_of(a, b, x)?
                }
                Some(f) => l.apply_fn(f, vec![best.clone(), item.clone()], &quote!())?,
                None => l.order_of(best.clone(), item.clone(), x)?,
            };
            let order = match order {
                Val::Order(less, equal) => (less, equal),
                Val::Poison => return Err(Rejected),
                _ => return l.reject(&x.method, &errors::UNKNOWN_METHOD),
            };
            let ty = l.g.bool_ty();
            let not_greater = l.g.opaque_binary(quote!(||), order.0, order.1, ty, true);
            Ok(match largest {
                true => not_greater,
                false => l.g.not(not_greater),
            })
        };
        if let Some(f) = &f
            && !effects::changes_nothing(self, f)
        {
            return self.reject(&x.method, &errors::UNKNOWN_METHOD);
        }
        let zero = self.g.usize_const(0);
        let one = self.g.usize_const(1);
        if let Some((len, at, pure)) = self.positioned(iter)?
            && !self.is_endless(len)
        {
            let some = self.related(quote!(>), len, zero);
            let rest = self.saturating_sub(len, one);
            let mut placed = false;
            let selected = self.branch(
                some,
                |l| {
                    let first = at(l, zero)?;
                    placed = !is_scalars(&first);
                    if placed && !pure {
                        return l.reject(&x.method, &errors::UNKNOWN_METHOD);
                    }
                    let start = if placed { Val::Num(zero) } else { first };
                    let best = l.new_var("best".into(), start, true);
                    l.positions(rest, false, |l, k| {
                        let k = l.usize_op(quote!(+), k, one);
                        let (mut old, item) = (l.read(best), at(l, k)?);
                        if placed {
                            let at_old = l.num(old, x)?;
                            old = at(l, at_old)?;
                        }
                        let better = replaces(l, &old, &item)?;
                        let new = if placed { Val::Num(k) } else { item };
                        l.set_where(better, best, new)
                    })?;
                    Ok(l.read(best))
                },
                |_| Ok(Val::Uninit),
            )?;
            // Of what is no number the position was selected.
            let val = match placed {
                false => selected,
                true => {
                    let k = self.num(selected, x)?;
                    self.item_where(some, &at, k, x)?
                }
            };
            return Ok(Val::Opt(some, Box::new(val)));
        }
        // Some positions give no item: which is selected is noted, and the item computed again.
        let Some((at, numbered)) = self.numbered(iter)? else {
            return self.reject(&x.method, &errors::UNKNOWN_METHOD);
        };
        let no = self.g.bool_const(false);
        let some = self.new_var("found".into(), Val::Num(no), true);
        let best = self.new_var("best".into(), Val::Num(zero), true);
        self.each(&numbered, None, x.method.span(), "k", |l, k| {
            let k = l.num(k, x)?;
            let found = l.read(some);
            let found = l.num(found, x)?;
            let better = l.branch(
                found,
                |l| {
                    let old = l.read(best);
                    let old = l.num(old, x)?;
                    let (old, item) = (at(l, old)?, at(l, k)?);
                    Ok(Val::Num(replaces(l, &old, &item)?))
                },
                |l| Ok(Val::Num(l.g.bool_const(true))),
            )?;
            let better = l.num(better, x)?;
            l.set_where(better, best, Val::Num(k))?;
            let yes = l.g.bool_const(true);
            l.write(some, Val::Num(yes));
            Ok(())
        })?;
        let some = self.read(some);
        let some = self.num(some, x)?;
        let k = self.read(best);
        let k = self.num(k, x)?;
        let val = self.item_where(some, &at, k, x)?;
        Ok(Val::Opt(some, Box::new(val)))
    }

    fn order_of(&mut self, a: Val, b: Val, x: &syn::ExprMethodCall) -> Result<Val> {
        let (a, b) = (self.num(a, x)?, self.num(b, x)?);
        if self.g.is_float(a) || self.g.is_float(b) {
            return self.reject(&x.method, &errors::UNKNOWN_METHOD);
        }
        match self.compared("cmp", &[a, b]) {
            Some(order) => Ok(order),
            None => Err(Rejected),
        }
    }

    /// The item at a position, where there is one. A part of an array is named outside of the branch, so that it is known after it.
    pub(super) fn item_where(
        &mut self,
        some: Id,
        at: &At,
        k: Id,
        x: &syn::ExprMethodCall,
    ) -> Result<Val> {
        let mut placed = false;
        let val = self.branch(
            some,
            |l| {
                let item = at(l, k)?;
                placed = item.has_arrays();
                Ok(if placed { Val::Unit } else { item })
            },
            |_| Ok(Val::Uninit),
        )?;
        if !placed {
            return Ok(val);
        }
        let item = at(self, k)?;
        let read = |v: &Val| matches!(v, Val::Num(id) if self.g.is_float(*id));
        if item.parts().into_iter().flatten().any(read) {
            return self.reject(&x.method, &errors::UNKNOWN_METHOD);
        }
        Ok(item)
    }

    fn set_where(&mut self, cond: Id, var: super::VarId, val: Val) -> Result<()> {
        self.branch(
            cond,
            |l| {
                l.write(var, val);
                Ok(Val::Unit)
            },
            |_| Ok(Val::Unit),
        )?;
        Ok(())
    }

    /// The positions that get through filters, and the item at each; `None` where that cannot be computed a second time.
    pub(super) fn numbered(&mut self, iter: &Rc<Iter>) -> Result<Option<(At, Rc<Iter>)>> {
        let bare = Rc::new(Iter {
            stages: Vec::new(),
            ..(**iter).clone()
        });
        let Some((len, source, mut pure)) = self.positioned(&bare)? else {
            return Ok(None);
        };
        let mut maps = Vec::new();
        let mut stages = Vec::new();
        for stage in &iter.stages {
            let f = match stage {
                Stage::Map(f) => {
                    maps.push(f.clone());
                    pure &= effects::changes_nothing(self, f);
                    continue;
                }
                Stage::Filter(f) => f,
                _ => return Ok(None),
            };
            pure &= effects::changes_nothing(self, f);
            stages.push((f.clone(), maps.len()));
        }
        if !pure {
            return Ok(None);
        }
        type Through = Rc<dyn Fn(&mut Lower, Id, usize) -> Result<Val>>;
        let through: Through = Rc::new(move |l, k, upto| {
            let mut item = source(l, k)?;
            for f in &maps[..upto] {
                item = l.apply_fn(f, vec![item], &quote!())?;
            }
            Ok(item)
        });
        let all = iter
            .stages
            .iter()
            .filter(|s| matches!(s, Stage::Map(_)))
            .count();
        let item = through.clone();
        let at: At = Rc::new(move |l, k| item(l, k, all));
        let mut numbered = Iter::positions(len, Rc::new(|_, k| Ok(Val::Num(k))));
        for (f, upto) in stages {
            let through = through.clone();
            let test: At = Rc::new(move |l, k| {
                let item = through(l, k, upto)?;
                l.apply_fn(&f, vec![item], &quote!())
            });
            numbered.stages.push(Stage::Where(test));
        }
        Ok(Some((at, Rc::new(numbered))))
    }
}

/// Whether a value can be handed from one iteration to the next.
pub(super) fn is_scalars(val: &Val) -> bool {
    match val {
        Val::Num(_) => true,
        _ => val.parts().is_some_and(|all| all.iter().all(is_scalars)),
    }
}
