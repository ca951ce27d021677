//! What a loop or a branch changes: what it starts from, what it hands on, what follows finds.
//!
//! In: variables before and after a body. Out: [`Carried`] values and constants of a [`Loop`]. What must hold: what is handed on is
//! computed in the body, in a place of its own, and is of the kind that it was before.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::kinds::Signed;
use crate::tensor::lower::{Lower, Scope, SpanOf, Val, const_name};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// A variable that a loop changes: where it stands, and whether it depends on a parameter.
#[derive(Clone, PartialEq)]
pub struct Changed {
    pub scope: usize,
    pub name: String,
    pub context: String,
    pub active: bool,
    /// It becomes a float, whatever it was before.
    pub float: bool,
}

/// What a variable holds where a loop starts.
#[derive(Clone)]
pub enum Start {
    Value(V),
    Const(C),
    List(Vec<V>),
}

/// What the variable is inside of the loop.
#[derive(Clone, Copy)]
pub enum Inside {
    Value(V),
    Const(C),
    /// A list that grows, with what was pushed last where there is something.
    List(Option<V>),
}

impl Lower<'_> {
    /// A constant that the loop itself computes.
    pub fn loop_const(&mut self, ty: Option<TokenStream>) -> C {
        let c = self.g.new_const(TokenStream::new());
        self.g.stmts.pop();
        if let Some(ty) = ty {
            self.g.types.insert(c, ty.to_string());
        }
        c
    }

    /// A loop with nothing in it yet; counted while running where there is no count.
    pub fn open_loop(&mut self, count: Option<C>) -> usize {
        let id = self.g.loops.len();
        let found = count.is_none();
        let count = match count {
            Some(count) => count,
            None => self.loop_const(Some(quote!(::core::primitive::usize))),
        };
        let index = self.loop_const(None);
        self.g.loops.push(Loop {
            count,
            index,
            found,
            ..Loop::default()
        });
        id
    }

    /// What a variable holds where a loop starts, in a place of its own.
    pub fn start(&mut self, val: Val, float: bool, at: &dyn ToTokens, name: &str) -> Result<Start> {
        Ok(match val {
            Val::Tensor(v) | Val::Scalar(v) => Start::Value(v),
            Val::Const(e) if float || self.is_float(&e) => {
                Start::Value(self.map(e, Vec::new(), None, at.span_of()))
            }
            Val::Const(e) => {
                let (ty, mut signed) = (self.fixed_type(&e), Signed(false));
                syn::visit::Visit::visit_expr(&mut signed, &e);
                let tokens = match &ty {
                    Some(ty) => quote!({ let __value: #ty = #e; __value }),
                    None if self.countable(&e) && !signed.0 => e.to_token_stream(),
                    None => return Err(self.reject_changed(at, name)),
                };
                let c = self.g.new_const(tokens);
                if let Some(ty) = ty {
                    self.g.types.insert(c, ty.to_string());
                }
                Start::Const(c)
            }
            Val::Growing(list) if list.before.is_none() => Start::List(list.items),
            Val::Growing(_) => {
                return Err(self.errors.reject_named(at, &errors::TENSOR_PUSH, name));
            }
            _ => return Err(self.reject_changed(at, name)),
        })
    }

    /// What the variable is inside.
    pub fn inside(&mut self, id: usize, start: &Start, active: bool, span: Span) -> Inside {
        match start {
            Start::Value(init) => Inside::Value(self.value_inside(id, *init, active, span)),
            Start::List(items) => {
                let last = items.last().copied();
                Inside::List(last.map(|init| self.value_inside(id, init, active, span)))
            }
            Start::Const(c) => {
                let ty = self.g.types.get(c).and_then(|t| t.parse().ok());
                Inside::Const(self.loop_const(ty))
            }
        }
    }

    fn value_inside(&mut self, id: usize, init: V, active: bool, span: Span) -> V {
        let ty = self.shape_of_next(init);
        let v = self.g.push(Op::Inside { init, of: id }, ty, span);
        self.g.values[v.0 as usize].active |= active;
        self.own_shape(v);
        v
    }

    /// What the next iteration finds; `None` where it is of another kind.
    pub fn next(
        &mut self,
        now: Val,
        inside: Inside,
        id: usize,
        taken: &mut Vec<V>,
        span: Span,
    ) -> Option<Inside> {
        let v = match (now, inside) {
            (Val::Growing(list), Inside::List(_)) => {
                let [item] = list.items[..] else { return None };
                let next = self.own(item, id, taken);
                taken.push(next);
                return Some(Inside::List(Some(next)));
            }
            (Val::Const(e), Inside::Const(_)) => {
                return Some(Inside::Const(self.g.new_const(e.to_token_stream())));
            }
            (Val::Tensor(v), Inside::Value(w))
                if self.g.is_tensor(w) && self.g.rank(v) == self.g.rank(w) =>
            {
                v
            }
            (Val::Scalar(v), Inside::Value(w)) if !self.g.is_tensor(w) => v,
            (Val::Const(e), Inside::Value(w)) if !self.g.is_tensor(w) => {
                self.map(e, Vec::new(), None, span)
            }
            _ => return None,
        };
        let next = self.own(v, id, taken);
        taken.push(next);
        Some(Inside::Value(next))
    }

    /// Hands a variable on from iteration to iteration: what it is after the loop.
    pub fn carried(
        &mut self,
        id: usize,
        start: &Start,
        inside: Inside,
        next: Inside,
        name: &str,
        span: Span,
    ) -> Result<Val> {
        match (start, inside, next) {
            (Start::List(items), Inside::List(last), Inside::List(Some(next))) => {
                let read = |v: V| self.g.values.iter().any(|x| x.op.operands().contains(&v));
                if let (Some(inside), Some(&init)) = (last, items.last()) {
                    match read(inside) || self.reads_as_constant(inside) {
                        true => {
                            self.value_after(id, init, inside, next, span);
                        }
                        // It is not handed on.
                        false => self.g.values[inside.0 as usize].active = false,
                    }
                }
                Ok(self.grown(id, items.clone(), next, &syn::Ident::new("list", span)))
            }
            (Start::Value(init), Inside::Value(inside), Inside::Value(next)) => {
                let after = self.value_after(id, *init, inside, next, span);
                let name = name.trim_start_matches("r#");
                for v in [inside, next, after] {
                    let known = &mut self.g.values[v.0 as usize].name;
                    known.get_or_insert(name.to_string());
                }
                Ok(self.value_of(after))
            }
            (Start::Const(init), Inside::Const(inside), Inside::Const(next)) => {
                let ty = self.g.types.get(init).and_then(|t| t.parse().ok());
                let after = self.loop_const(ty);
                self.g.loops[id].consts.push(CarriedConst {
                    init: *init,
                    inside,
                    next,
                    after,
                });
                Ok(named_const(after))
            }
            _ => Err(Rejected),
        }
    }

    fn value_after(&mut self, id: usize, init: V, inside: V, next: V, span: Span) -> V {
        let ty = self.shape_of_next(init);
        let after = self.g.push(Op::After { init, next, of: id }, ty, span);
        self.own_shape(after);
        self.g.loops[id].carried.push(Carried {
            init,
            inside,
            next,
            after,
        });
        after
    }

    /// Whether constant Rust mentions a tensor.
    fn reads_as_constant(&self, v: V) -> bool {
        let name = crate::tensor::emit::tensor_name(v).to_string();
        let mut texts = self.g.consts.iter();
        texts.any(|tokens| crate::tensor::emit::mentioned(tokens).contains(&name))
    }

    /// A value like another, for a side that is not taken.
    pub fn placeholder(&mut self, like: &Val, span: Span) -> Val {
        match like {
            Val::Tensor(v) => {
                let rank = self.g.rank(*v);
                let empty = quote!(::backprop::tensor::empty());
                Val::Tensor(self.constant_tensor(empty, rank, span))
            }
            Val::Scalar(_) => Val::Scalar(self.map(self.number(false), Vec::new(), None, span)),
            Val::Const(e) => match self.fixed_type(e).map(|t| t.to_string()) {
                Some(t) if t == "bool" => Val::Const(syn::parse_quote!(false)),
                Some(t) => {
                    let ty: TokenStream = t.parse().unwrap_or_default();
                    Val::Const(syn::parse_quote!({ let __value: #ty = 0; __value }))
                }
                None if self.countable(e) => Val::Const(syn::parse_quote!(0)),
                None => Val::Scalar(self.map(self.number(false), Vec::new(), None, span)),
            },
            Val::Tuple(all) => Val::Tuple(all.iter().map(|v| self.placeholder(v, span)).collect()),
            other => other.clone(),
        }
    }

    pub fn reject_changed(&self, at: &dyn ToTokens, name: &str) -> Rejected {
        self.errors.reject_named(at, &errors::TENSOR_CARRIED, name)
    }

    /// The type of a value of the same rank, whose shape is its own.
    fn shape_of_next(&self, like: V) -> Ty {
        match self.g.value(like).ty {
            Ty::Scalar => Ty::Scalar,
            Ty::Tensor(rank, _) | Ty::List(rank) => Ty::Tensor(rank, Dim(self.g.dims.len() as u32)),
        }
    }

    /// The shape of a value made with [`Lower::shape_of_next`].
    fn own_shape(&mut self, v: V) {
        if let Ty::Tensor(rank, _) = self.g.value(v).ty {
            self.g.new_dim(DimOp::Of(v), rank);
        }
    }

    /// A value computed in this region in a place of its own, and in none of `taken`.
    fn own(&mut self, v: V, id: usize, taken: &[V]) -> V {
        let value = self.g.value(v);
        let computed = !matches!(
            value.op,
            Op::Param(_) | Op::View(..) | Op::Item(..) | Op::Inside { .. } | Op::After { .. }
        );
        if computed && value.region == id + 1 && !taken.contains(&v) {
            return v;
        }
        let (a, dim, span) = (operand(v), self.g.dim(v), value.span);
        self.map(syn::parse_quote!(#a), vec![v], dim, span)
    }

    pub fn entry(&mut self, c: &Changed) -> Option<&mut Val> {
        let entries = self.scopes.get_mut(c.scope)?.get_mut(&c.name)?;
        entries
            .iter_mut()
            .find(|(context, _)| *context == c.context)
            .map(|e| &mut e.1)
    }

    /// The variables that differ from what they were, in a fixed order.
    pub fn differences(&self, before: &[Scope]) -> Vec<Changed> {
        let mut out = Vec::new();
        for (scope, (old, new)) in before.iter().zip(&self.scopes).enumerate() {
            let mut names: Vec<&String> = old.keys().collect();
            names.sort();
            for name in names {
                for (context, val) in &old[name] {
                    let now = new[name].iter().find(|(c, _)| c == context).map(|e| &e.1);
                    if now.is_none_or(|now| !unchanged(val, now)) {
                        out.push(Changed {
                            scope,
                            name: name.clone(),
                            context: context.clone(),
                            active: false,
                            float: false,
                        });
                    }
                }
            }
        }
        out
    }
}

pub fn named_const(c: C) -> Val {
    let name = const_name(c);
    Val::Const(syn::parse_quote!(#name))
}

/// Whether a variable still holds what it held.
fn unchanged(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Tensor(a), Val::Tensor(b))
        | (Val::Scalar(a), Val::Scalar(b))
        | (Val::List(a), Val::List(b)) => a == b,
        (Val::Growing(a), Val::Growing(b)) => a == b,
        (Val::Const(a), Val::Const(b)) => {
            a.to_token_stream().to_string() == b.to_token_stream().to_string()
        }
        (Val::Tuple(a), Val::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| unchanged(a, b))
        }
        (Val::Struct(a, _), Val::Struct(b, _)) => {
            a.len() == b.len() && a.iter().zip(&**b).all(|(a, b)| unchanged(&a.2, &b.2))
        }
        (Val::Place(a), Val::Place(b)) => a.same(b),
        (Val::Closure(a), Val::Closure(b)) => std::rc::Rc::ptr_eq(a, b),
        (Val::Opt(a, _), Val::Opt(b, _)) => unchanged(a, b),
        (Val::Unit, Val::Unit) | (Val::Zip(_), Val::Zip(_)) | (Val::Seq(_), Val::Seq(_)) => true,
        _ => false,
    }
}
