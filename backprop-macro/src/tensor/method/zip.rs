//! `Zip`, and iterators over all elements.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Closure, Form, Lower, Nest, Val, Zip};
use crate::tensor::sequence::Sequence;
use proc_macro2::{Ident, Span};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;

impl Lower<'_> {
    pub fn zip_method(&mut self, m: &syn::ExprMethodCall, name: &str, mut z: Zip) -> Result<Val> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let span = m.span();
        match (name, args.as_slice()) {
            ("and" | "and_broadcast" | "zip", [other]) => {
                let other_val = match self.zip_part(other)? {
                    val @ (Val::Const(_) | Val::List(_)) if name == "zip" => {
                        Val::Seq(std::rc::Rc::new(self.runs_over(val, other)?))
                    }
                    val => val,
                };
                let (part, nest) = match other_val {
                    val @ (Val::Tensor(_) | Val::Place(_)) => (vec![val], Nest::Part(0)),
                    val @ Val::Seq(_) if name != "zip" => (vec![val], Nest::Part(0)),
                    Val::Zip(z) => (z.parts, z.pattern),
                    Val::Seq(other) if name == "zip" => {
                        let first = self.side_by_side(&z.pattern, &z, &m.receiver)?;
                        let both = Sequence::Zip(Box::new(first), Box::new((*other).clone()));
                        return Ok(Val::Seq(std::rc::Rc::new(both)));
                    }
                    _ => return self.reject(other, &errors::TENSOR_EXPRESSION),
                };
                let (mut part, nest) = (part, nest);
                if name == "zip" {
                    self.as_long(&mut z.parts, &mut part, m)?;
                    self.side_by_side_in_order(&mut z.parts, &mut part, m)?;
                }
                let offset = z.parts.len();
                for p in &part {
                    let da = self.part_shape(&z.parts[0], m)?;
                    let db = self.part_shape(p, m)?;
                    if da != db {
                        let rank = self.g.dim_rank(da);
                        let check = if name == "and_broadcast" {
                            DimOp::Into(da, db)
                        } else {
                            DimOp::Same(da, db)
                        };
                        self.g.new_dim(check, rank);
                    }
                }
                z.parts.extend(part);
                z.pattern = if name == "zip" {
                    Nest::Tuple(vec![z.pattern, shift(&nest, offset)])
                } else {
                    match z.pattern {
                        Nest::Tuple(mut all) => {
                            all.push(shift(&nest, offset));
                            Nest::Tuple(all)
                        }
                        first => Nest::Tuple(vec![first, shift(&nest, offset)]),
                    }
                };
                Ok(Val::Zip(z))
            }
            ("copied" | "cloned", []) => {
                z.by_ref = false;
                Ok(Val::Zip(z))
            }
            ("by_ref" | "into_iter" | "iter", []) => Ok(Val::Zip(z)),
            ("for_each" | "par_for_each", [f]) => {
                let Val::Closure(c) = self.expr_function(f)? else {
                    return self.reject(f, &errors::CLOSURE);
                };
                self.each_of(&z, &c, m)
            }
            ("fold", [start, f]) if z.form != Form::Iterator => self.zip_fold(&z, start, f, m),
            ("map_collect" | "par_map_collect", [f]) => {
                let Val::Closure(c) = self.expr(f)? else {
                    return self.reject(f, &errors::CLOSURE);
                };
                if z.form == Form::Indexed || by_loop(&z) || reads_tensors(&c) {
                    return self.collected_by_loop(&z, &c, m);
                }
                let (mut prelude, mut operands) = self.captures(&c)?;
                if c.inputs.len() != z.parts.len() {
                    return self.reject(f, &errors::CLOSURE);
                }
                for (pat, part) in c.inputs.iter().zip(&z.parts) {
                    let Val::Tensor(v) = part else {
                        return self.reject(f, &errors::CLOSURE);
                    };
                    let a = operand(*v);
                    operands.push(*v);
                    prelude.extend(quote!(let #pat = &#a;));
                }
                let dim = match z.parts[0] {
                    Val::Tensor(v) => self.g.dim(v),
                    _ => None,
                };
                let body = &c.body;
                let v = self.map(syn::parse_quote!({ #prelude #body }), operands, dim, span);
                Ok(Val::Tensor(v))
            }
            ("map", [f]) => {
                let Val::Closure(c) = self.expr(f)? else {
                    let v = self.single(&z, m)?;
                    let a = operand(v).to_token_stream();
                    let (body, mut operands) = self.apply(f, &[a], false)?;
                    operands.insert(0, v);
                    let dim = self.g.dim(v);
                    let v = self.map(body, operands, dim, span);
                    return Ok(Val::Zip(Zip {
                        parts: vec![Val::Tensor(v)],
                        pattern: Nest::Part(0),
                        by_ref: false,
                        form: Form::Iterator,
                    }));
                };
                let [pat] = c.inputs.as_slice() else {
                    return self.reject(f, &errors::CLOSURE);
                };
                if reads_tensors(&c) {
                    let s = self.side_by_side(&z.pattern, &z, &m.receiver)?;
                    let mapped = Sequence::Map(Box::new(s), c);
                    return Ok(Val::Seq(std::rc::Rc::new(mapped)));
                }
                let (prelude, mut operands) = self.captures(&c)?;
                let value = self.nested(&z.pattern, &z, &mut operands);
                let dim = match z.parts[0] {
                    Val::Tensor(v) => self.g.dim(v),
                    _ => None,
                };
                let body = &c.body;
                let v = self.map(
                    syn::parse_quote!({ #prelude let #pat = #value; #body }),
                    operands,
                    dim,
                    span,
                );
                Ok(Val::Zip(Zip {
                    parts: vec![Val::Tensor(v)],
                    pattern: Nest::Part(0),
                    by_ref: false,
                    form: Form::Iterator,
                }))
            }
            ("sum", []) => {
                let v = self.single(&z, m)?;
                Ok(Val::Scalar(self.g.push(Op::Sum(v), Ty::Scalar, span)))
            }
            ("fold", [init, f])
                if z.parts.len() == 1
                    && matches!(z.pattern, Nest::Part(0))
                    && !matches!(init, syn::Expr::Tuple(_)) =>
            {
                let v = self.single(&z, m)?;
                if z.by_ref {
                    return self.fold(v, None, init, f, m);
                }
                match f {
                    syn::Expr::Closure(c) if c.inputs.len() == 2 => {
                        // Items by value: the element is `*__x`.
                        let mut c = c.clone();
                        let (pat, body) = (c.inputs[1].clone(), c.body.clone());
                        c.inputs[1] = syn::parse_quote!(__item);
                        c.body = syn::parse_quote!({ let #pat = *__item; #body });
                        self.fold(v, None, init, &syn::Expr::Closure(c), m)
                    }
                    _ => self.fold(v, None, init, f, m),
                }
            }
            ("enumerate" | "skip" | "take" | "step_by" | "rev", _) => {
                let mut e = m.clone();
                e.receiver = m.receiver.clone();
                let s = self.sequence(&syn::Expr::MethodCall(e))?;
                Ok(Val::Seq(std::rc::Rc::new(s)))
            }
            ("collect", []) => {
                let v = self.single(&z, m)?;
                match self.g.rank(v) {
                    Some(1) => Ok(Val::Tensor(v)),
                    _ => self.reject(&m.method, &errors::TENSOR_RANK),
                }
            }
            ("product", []) => {
                let v = self.single(&z, m)?;
                let f: syn::Expr = syn::parse_quote!(|__acc, &__x| __acc * __x);
                let one = self.number(true);
                self.fold(v, None, &one, &f, m)
            }
            ("fold", [_, _]) => {
                let s = self.side_by_side(&z.pattern, &z, &m.receiver)?;
                self.sequence_method(m, name, std::rc::Rc::new(s))
            }
            _ => Err(self.unknown(m)),
        }
    }

    /// Iterators side by side end with the shorter one.
    fn as_long(&mut self, a: &mut [Val], b: &mut [Val], at: &syn::ExprMethodCall) -> Result<()> {
        let (first, second) = (self.part_value(&a[0], at)?, self.part_value(&b[0], at)?);
        let (Some(da), Some(db)) = (self.g.dim(first), self.g.dim(second)) else {
            return Ok(());
        };
        if da == db || self.g.rank(first) != Some(1) || self.g.rank(second) != Some(1) {
            return Ok(());
        }
        let (na, nb) = (
            crate::tensor::emit::dim_name(da),
            crate::tensor::emit::dim_name(db),
        );
        let n = self.constant_name(quote!(::core::cmp::Ord::min(#na[0], #nb[0])));
        let view = View {
            form: quote!(.slice_move(::backprop::tensor::ndarray::s![..#n])),
            whole: false,
        };
        for part in a.iter_mut().chain(b) {
            *part = match &*part {
                Val::Place(place) => Val::Place(place.part(view.clone(), Some(1))),
                part => {
                    let v = self.part_value(part, at)?;
                    Val::Tensor(self.view(v, view.clone(), Some(1), at.span())?)
                }
            };
        }
        Ok(())
    }

    /// The same of arrays of other shapes: the first elements of each, in order.
    fn side_by_side_in_order(
        &mut self,
        a: &mut [Val],
        b: &mut [Val],
        at: &syn::ExprMethodCall,
    ) -> Result<()> {
        let read = |v: &Val| matches!(v, Val::Tensor(_));
        if !a.iter().chain(b.iter()).all(read) {
            return Ok(());
        }
        let (first, second) = (self.part_value(&a[0], at)?, self.part_value(&b[0], at)?);
        let (Some(da), Some(db)) = (self.g.dim(first), self.g.dim(second)) else {
            return Ok(());
        };
        let rank = self.g.rank(first);
        if da == db || rank == Some(1) && self.g.rank(second) == Some(1) || rank == Some(0) {
            return Ok(());
        }
        let dim = self.g.new_dim(DimOp::Beside(da, db), rank);
        for part in a.iter_mut().chain(b) {
            let v = self.part_value(part, at)?;
            let leading = Op::Leading(v);
            *part = Val::Tensor(self.g.push(leading, Ty::Tensor(rank, dim), at.span()));
        }
        Ok(())
    }

    /// `fold` of a `Zip`, where the order does not show.
    fn zip_fold(
        &mut self,
        z: &Zip,
        start: &syn::Expr,
        f: &syn::Expr,
        at: &syn::ExprMethodCall,
    ) -> Result<Val> {
        if !super::lanes::in_any_order(f) {
            return self.reject(&at.method, &errors::TENSOR_FOLD);
        }
        let Val::Closure(closure) = self.expr_function(f)? else {
            return self.reject(f, &errors::CLOSURE);
        };
        let start = self.expr(start)?;
        let start = match start {
            Val::Const(_) => Val::Scalar(self.scalar_value(start, at)?),
            start => start,
        };
        let name = Ident::new("__folded", Span::mixed_site());
        self.scoped(|l| {
            l.declare(&name, start);
            l.over_elements(z, at, &|l, items| {
                let Some(total) = l.find(&name)? else {
                    return Err(Rejected);
                };
                let args = std::iter::once(total).chain(items).collect();
                let next = l.inlined(&closure, args, at)?;
                l.assign(&name, next)
            })?;
            l.find(&name)?.ok_or(Rejected)
        })
    }

    /// `map_collect` of subviews or indices, or with a closure that reads tensors: one element after another.
    fn collected_by_loop(
        &mut self,
        z: &Zip,
        closure: &Closure,
        at: &syn::ExprMethodCall,
    ) -> Result<Val> {
        let dim = self.part_shape(&z.parts[0], at)?;
        self.made(dim, at, &|l, k| {
            let items = l.zip_items(z, &k, at)?;
            l.inlined(closure, items, at)
        })
    }

    pub fn single(&mut self, z: &Zip, at: &dyn ToTokens) -> Result<V> {
        match z.parts.as_slice() {
            [Val::Tensor(v)] => Ok(*v),
            _ => self.reject(at, &errors::TENSOR_EXPRESSION),
        }
    }

    pub fn nested(&self, nest: &Nest, z: &Zip, operands: &mut Vec<V>) -> proc_macro2::TokenStream {
        match nest {
            Nest::Part(k) => match z.parts[*k] {
                Val::Tensor(v) => {
                    operands.push(v);
                    let a = operand(v);
                    if z.by_ref { quote!(&#a) } else { quote!(#a) }
                }
                _ => quote!(()),
            },
            Nest::Tuple(all) => {
                let parts: Vec<_> = all.iter().map(|n| self.nested(n, z, operands)).collect();
                quote!((#(#parts),*))
            }
        }
    }
}

/// Whether what stands side by side are subviews, which only a loop runs over.
pub fn by_loop(z: &Zip) -> bool {
    z.parts.iter().any(|p| matches!(p, Val::Seq(_)))
}

/// Whether a closure reads tensors outside of it.
pub fn reads_tensors(c: &Closure) -> bool {
    let tensors = |v: &Val| matches!(v, Val::Tensor(_) | Val::List(_) | Val::Struct(..));
    c.captured.iter().any(|(_, v)| tensors(v))
}

fn shift(nest: &Nest, by: usize) -> Nest {
    match nest {
        Nest::Part(k) => Nest::Part(k + by),
        Nest::Tuple(all) => Nest::Tuple(all.iter().map(|n| shift(n, by)).collect()),
    }
}
