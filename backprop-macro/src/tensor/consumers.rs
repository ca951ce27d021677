//! What iterators' methods make of a sequence: other sequences, numbers, vectors.
//!
//! In: a method called on what a loop can run over. Out: the sequence adapted, or a loop that makes one value of its items.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Closure, Lower, Nest, Val};
use crate::tensor::sequence::Sequence;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use std::rc::Rc;

impl Lower<'_> {
    /// A method of an iterator that a loop computes.
    pub fn sequence_method(
        &mut self,
        m: &syn::ExprMethodCall,
        name: &str,
        s: Rc<Sequence>,
    ) -> Result<Val> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let t = self.sig.elem.clone();
        match (name, args.as_slice()) {
            ("into_iter" | "iter" | "copied" | "cloned" | "by_ref", []) => Ok(Val::Seq(s)),
            ("zip" | "enumerate" | "rev" | "skip" | "take" | "step_by", _) => {
                let adapted = self.adapt((*s).clone(), name, &args, m)?;
                Ok(Val::Seq(Rc::new(adapted)))
            }
            ("map", [f]) => {
                let Val::Closure(f) = self.expr_function(f)? else {
                    return self.reject(f, &errors::CLOSURE);
                };
                let inner = Box::new((*s).clone());
                Ok(Val::Seq(Rc::new(Sequence::Map(inner, f))))
            }
            ("sum" | "product", []) => {
                let (start, op) = match name {
                    "sum" => (t.zero(), quote!(+)),
                    _ => (t.one(), quote!(*)),
                };
                let start = Val::Const(syn::parse_quote!(#start));
                self.folded(&s, start, m, &|l, total, item, _| {
                    l.scalar_value(item.clone(), m)?;
                    l.binary(op.clone(), total, item, m)
                })
            }
            ("fold", [start, f]) => {
                let start = self.expr(start)?;
                let Val::Closure(f) = self.expr_function(f)? else {
                    return self.reject(f, &errors::CLOSURE);
                };
                self.folded(&s, start, m, &|l, total, item, _| {
                    l.inlined(&f, vec![total, item], m)
                })
            }
            ("for_each", [f]) => {
                let Val::Closure(f) = self.expr_function(f)? else {
                    return self.reject(f, &errors::CLOSURE);
                };
                let count = self.length(&s);
                let count = self.g.new_const(count.to_token_stream());
                self.repeated(count, m, &|l, k| {
                    let item = l.item(&s, k, m)?;
                    l.inlined(&f, vec![item], m).map(|_| ())
                })?;
                Ok(Val::Unit)
            }
            ("collect", []) => self.collected(&s, m),
            _ => Err(self.unknown(m)),
        }
    }

    /// One value after another into one, or into several side by side.
    pub fn folded(
        &mut self,
        s: &Sequence,
        start: Val,
        at: &dyn ToTokens,
        step: &dyn Fn(&mut Self, Val, Val, TokenStream) -> Result<Val>,
    ) -> Result<Val> {
        let count = self.length(s);
        let count = self.g.new_const(count.to_token_stream());
        self.scoped(|l| {
            // Each part is a variable of its own, as a loop hands them on.
            let mut parts = Vec::new();
            let nest = side_by_side(start, &mut parts);
            let names: Vec<Ident> = (0..parts.len())
                .map(|k| format_ident!("__folded{}", k, span = Span::mixed_site()))
                .collect();
            for (name, part) in names.iter().zip(parts) {
                l.declare(name, part);
            }
            l.repeated(count, at, &|l, k| {
                let item = l.item(s, k.clone(), at)?;
                let total = l.together(&nest, &names)?;
                let (mut next, total) = (Vec::new(), step(l, total, item, k)?);
                if side_by_side(total, &mut next) != nest {
                    return l.reject(at, &errors::TENSOR_EXPRESSION);
                }
                (names.iter().zip(next)).try_for_each(|(name, part)| l.assign(name, part))
            })?;
            l.together(&nest, &names)
        })
    }

    /// What variables hold, as one value.
    fn together(&mut self, nest: &Nest, names: &[Ident]) -> Result<Val> {
        match nest {
            Nest::Part(k) => self.find(&names[*k])?.ok_or(Rejected),
            Nest::Tuple(all) => {
                let all: Result<Vec<Val>> =
                    all.iter().map(|nest| self.together(nest, names)).collect();
                all.map(Val::Tuple)
            }
        }
    }

    /// The floats of a sequence as a vector.
    pub fn collected(&mut self, s: &Sequence, at: &dyn ToTokens) -> Result<Val> {
        let n = self.length(s);
        let n = self.constant_name(n.to_token_stream());
        let dim = self.g.new_dim(DimOp::Given(quote!(#n), None), Some(1));
        self.made(dim, at, &|l, k| l.item(s, k, at))
    }

    /// A closure of this function's, applied.
    pub fn inlined(&mut self, f: &Closure, args: Vec<Val>, at: &dyn ToTokens) -> Result<Val> {
        if args.len() != f.inputs.len() {
            return self.reject(at, &errors::CLOSURE);
        }
        self.scoped(|l| {
            for (ident, val) in &f.captured {
                l.declare(ident, val.clone());
            }
            for (p, a) in f.inputs.iter().zip(args) {
                l.bind(p, a, None)?;
            }
            l.expr(&f.body)
        })
    }
}

/// The parts of nested tuples.
fn side_by_side(val: Val, parts: &mut Vec<Val>) -> Nest {
    let all: Vec<Val> = match val {
        Val::Tuple(all) => all,
        Val::Const(syn::Expr::Tuple(t)) => t.elems.into_iter().map(Val::Const).collect(),
        one => {
            parts.push(one);
            return Nest::Part(parts.len() - 1);
        }
    };
    Nest::Tuple(
        all.into_iter()
            .map(|val| side_by_side(val, parts))
            .collect(),
    )
}
