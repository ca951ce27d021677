//! Lists of tensors that `push` makes longer.
//!
//! In: `let mut all = Vec::new()` or `vec![…]`, and `push`es, one after another or one in each iteration of a loop. Out: the values side by side,
//! or, after a loop, a list of what its iterations have computed, which is read like a parameter's. In the loop the last one can be read.
//! What must hold: what an iteration pushes is an array of its own, that nothing changes afterwards.

use crate::errors::{self, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Absent, Lower, SpanOf, Val};
use crate::tensor::signature::{element, read_tensor};
use quote::{ToTokens, quote};

/// A list as far as it is known.
#[derive(Clone, PartialEq)]
pub struct Growing {
    /// In a loop that pushes to it: what was pushed before, where there was something.
    pub before: Option<Option<V>>,
    /// What has been pushed, in this iteration where there is a loop.
    pub items: Vec<V>,
}

impl Lower<'_> {
    /// What `let mut all = …` starts from, where it is a list that may grow.
    pub fn growing(&mut self, e: &syn::Expr, ty: Option<&syn::Type>) -> Result<Option<Val>> {
        let floats = self.sig.generics_floats();
        let of_tensors = |ty: &syn::Type| match element(ty) {
            Some(syn::Type::Infer(_)) => true,
            Some(elem) => read_tensor(elem, floats).is_some(),
            None => matches!(ty, syn::Type::Infer(_)),
        };
        if !ty.is_none_or(of_tensors) {
            return Ok(None);
        }
        let items = match e {
            syn::Expr::Call(c) => {
                let syn::Expr::Path(p) = &*c.func else {
                    return Ok(None);
                };
                let names: Vec<String> = (p.path.segments.iter())
                    .map(|s| s.ident.to_string())
                    .collect();
                let made = matches!(
                    names
                        .iter()
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                        .as_slice(),
                    [.., "Vec", "new" | "with_capacity"]
                );
                if !made {
                    return Ok(None);
                }
                Vec::new()
            }
            syn::Expr::Macro(m) if m.mac.path.is_ident("vec") => {
                let args = m.mac.parse_body_with(
                    syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated,
                );
                let Ok(args) = args else { return Ok(None) };
                let mut reads = !args.is_empty();
                for e in &args {
                    reads &= self.reads_values(e)?;
                }
                if !reads && !args.is_empty() {
                    return Ok(None);
                }
                let mut items = Vec::new();
                for e in &args {
                    match self.expr(e)? {
                        Val::Tensor(v) => items.push(v),
                        _ => return Ok(None),
                    }
                }
                items
            }
            _ => return Ok(None),
        };
        Ok(Some(Val::Growing(Growing {
            before: None,
            items,
        })))
    }

    /// `all.push(x)`; `None` where it is another method, or no such list.
    pub fn pushed(&mut self, m: &syn::ExprMethodCall) -> Result<Option<Val>> {
        let syn::Expr::Path(p) = &*m.receiver else {
            return Ok(None);
        };
        let (Some(ident), Some(item), 1) = (p.path.get_ident(), m.args.first(), m.args.len())
        else {
            return Ok(None);
        };
        let Some(Val::Growing(list)) = self.peek(ident).cloned() else {
            return Ok(None);
        };
        if m.method != "push" {
            return Ok(None);
        }
        let Val::Tensor(v) = self.expr(item)? else {
            return Err(self
                .errors
                .reject_named(&m.method, &errors::TENSOR_EFFECT, "push"));
        };
        let mut list = list;
        let same = |&other: &V| self.g.rank(other) == self.g.rank(v);
        if !list
            .items
            .iter()
            .chain(list.before.iter().flatten())
            .all(same)
        {
            return self.reject(item, &errors::TENSOR_RANK);
        }
        list.items.push(v);
        self.assign(ident, Val::Growing(list))?;
        Ok(Some(Val::Unit))
    }

    /// What a list is where it is read: values side by side, unless a loop is pushing to it.
    pub fn as_read(&self, list: Growing) -> Val {
        match list.before {
            None => Val::Tuple(list.items.into_iter().map(Val::Tensor).collect()),
            Some(_) => Val::Growing(list),
        }
    }

    /// A method of a list that a loop is pushing to.
    pub fn of_growing(&mut self, m: &syn::ExprMethodCall, list: &Growing) -> Result<Val> {
        let last = list.items.last().copied().or(list.before.flatten());
        match (m.method.to_string().as_str(), last) {
            ("last", Some(v)) if m.args.is_empty() => {
                Ok(Val::Opt(Box::new(Val::Tensor(v)), Absent::Never))
            }
            _ => self.reject(&m.method, &errors::TENSOR_PUSH),
        }
    }

    /// A method of values side by side.
    pub fn of_side_by_side(&mut self, m: &syn::ExprMethodCall, all: &[Val]) -> Result<Val> {
        let end = match m.method.to_string().as_str() {
            "last" => all.last(),
            "first" => all.first(),
            "len" => {
                let n = all.len();
                return Ok(Val::Const(syn::parse_quote!(#n)));
            }
            _ => return self.reject(m, &errors::TENSOR_EXPRESSION),
        };
        match end {
            Some(val) if m.args.is_empty() => Ok(Val::Opt(Box::new(val.clone()), Absent::Never)),
            _ => self.reject(m, &errors::TENSOR_EXPRESSION),
        }
    }

    /// The list after a loop that has pushed one item in each iteration.
    pub fn grown(&mut self, id: usize, first: Vec<V>, item: V, at: &dyn ToTokens) -> Val {
        let ty = Ty::List(self.g.rank(item));
        let op = Op::Grown {
            of: id,
            item,
            first,
        };
        let list = self.g.push(op, ty, at.span_of());
        self.g.loops[id].collected.push(list);
        Val::List(list)
    }

    /// The first or the last tensor of a list, as an `Option`.
    pub fn end_of(&mut self, list: V, last: bool) -> Val {
        let t = crate::tensor::emit::tensor_name(list);
        let index = match last {
            true => quote!(#t.len() - 1),
            false => quote!(0),
        };
        let some = quote!(::backprop::tensor::some(#t.len()));
        Val::Opt(Box::new(Val::Unit), Absent::Item(list, index, some))
    }
}
