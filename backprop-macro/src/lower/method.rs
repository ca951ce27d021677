//! Methods: of floats, of integers, of arrays, slices and `Vec`s, of `Option`.

use super::Lower;
use super::value::{RangeVal, Val};
use crate::errors::{self, Rejected, Result};
use crate::graph::Id;
use crate::rules::Op;
use crate::types::Kind;
use quote::quote;

/// Methods of floats that take them apart, or leave the reals.
pub const BITS: [&str; 8] = [
    "to_bits",
    "to_le_bytes",
    "to_be_bytes",
    "to_ne_bytes",
    "to_int_unchecked",
    "next_up",
    "next_down",
    "to_string",
];

impl Lower<'_> {
    pub(super) fn method_call(&mut self, x: &syn::ExprMethodCall) -> Result<Val> {
        let name = x.method.to_string();
        let name = name.trim_start_matches("r#");
        if let syn::Expr::Path(p) = &*x.receiver
            && p.path.is_ident("self")
            && !self.has_self()
        {
            return self.constant_self(x, name);
        }
        if let syn::Expr::Call(c) = &*x.receiver
            && name == "unwrap"
            && let Some(val) = self.generic_constant(c)?
        {
            return Ok(val);
        }
        let clones = matches!(
            name,
            "clone"
                | "cloned"
                | "to_owned"
                | "to_vec"
                | "clone_from"
                | "clone_from_slice"
                | "extend_from_slice"
        );
        if clones && self.sig.names.clones_by_hand() {
            return self.reject(&x.method, &errors::CLONE_BY_HAND);
        }
        let recv = match self.operand(&x.receiver)? {
            // Methods look through a reference to a struct, a tuple or an `Option`.
            Val::MutRef(var, path) => match self.read_along(var, &path) {
                Val::Num(_) => Val::MutRef(var, path),
                whole => whole,
            },
            other => other,
        };
        let args: Vec<&syn::Expr> = x.args.iter().collect();
        match recv {
            Val::Num(id)
                if matches!(name, "iter" | "into_iter")
                    && args.is_empty()
                    && !self.g.is_float(id) =>
            {
                Ok(Val::Iter(std::rc::Rc::new(self.constant_iter(id))))
            }
            Val::Num(id) => self.scalar_method(x, id, name, &args),
            Val::Elem(_) | Val::MutRef(..) => {
                let id = self.num(recv, &x.receiver)?;
                self.scalar_method(x, id, name, &args)
            }
            Val::View(view) => self.array_method(x, view, name, &args),
            Val::Range(range) => match (name, args.as_slice()) {
                ("contains", [e]) => {
                    let value = self.scalar(e)?;
                    let mut inside = self.g.bool_const(true);
                    let ty = self.g.bool_ty();
                    let upper = if range.inclusive {
                        quote!(<=)
                    } else {
                        quote!(<)
                    };
                    let bounds = [
                        range.lo.map(|lo| (quote!(>=), lo)),
                        range.hi.map(|hi| (upper, hi)),
                    ];
                    for (op, bound) in bounds.into_iter().flatten() {
                        let (a, b) = (self.g.ty(value), self.g.ty(bound));
                        self.g.types.unify(a, b);
                        let fits = self.g.opaque_binary(op, value, bound, ty, true);
                        inside = match self.g.opaque_text(inside) {
                            Some(_) => fits,
                            None => self.g.opaque_binary(quote!(&&), inside, fits, ty, true),
                        };
                    }
                    Ok(Val::Num(inside))
                }
                ("len", []) | ("is_empty", []) => self.reject(&x.method, &errors::UNKNOWN_METHOD),
                _ => {
                    let iter = self.range_iter(&range, x)?;
                    self.iter_method(x, iter, name, &args)
                }
            },
            Val::Iter(iter) => self.iter_method(x, iter, name, &args),
            Val::Order(less, equal) => self.order_method(x, (less, equal), name, &args),
            Val::Opt(some, inner) => self.option_method(x, some, *inner, name, &args),
            Val::Tuple(_) | Val::Struct(..) if matches!(name, "clone" | "to_owned") => {
                Ok(self.held_apart(recv, "clone"))
            }
            Val::Struct(ref of, _) => {
                let of = of.path.clone();
                self.struct_method(x, name, recv, &of)
            }
            Val::Closure(c) if name == "clone" => Ok(Val::Closure(c)),
            Val::Poison => Err(Rejected),
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    fn scalar_method(
        &mut self,
        x: &syn::ExprMethodCall,
        a: Id,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        if matches!(name, "clone" | "to_owned") && args.is_empty() {
            return Ok(Val::Num(a));
        }
        if name == "then"
            && self.g.types.is_bool(self.g.ty(a))
            && let [e] = args
        {
            let f = self.operand(e)?;
            let val = self.branch(a, |l| l.apply(&f, Vec::new(), x), |_| Ok(Val::Uninit))?;
            return Ok(Val::Opt(a, Box::new(val)));
        }
        if name == "then_some"
            && let [e] = args
        {
            let val = self.operand(e)?;
            return Ok(Val::Opt(a, Box::new(self.by_value(val, "some"))));
        }
        let mut all = vec![a];
        for e in args {
            all.push(self.scalar(e)?);
        }
        if let Some(order) = self.compared(name, &all) {
            return Ok(order);
        }
        if self.g.is_float(a) {
            return self.float_method(&x.method, name, &all);
        }
        let ty = self.g.ty(a);
        // An operand that is a float makes the receiver one: `K.max(x)` with a constant from elsewhere.
        if matches!(self.g.types.kind(ty), Kind::Unknown)
            && all[1..].iter().any(|&b| self.g.is_float(b))
            && Op::from_method(name, all.len()).is_some()
        {
            self.g.types.learn(ty, Kind::AnyFloat);
            return self.float_method(&x.method, name, &all);
        }
        self.constant_method(&x.method, name, &all)
    }

    /// A method of a float type.
    pub(super) fn float_method(
        &mut self,
        at: &proc_macro2::Ident,
        name: &str,
        all: &[Id],
    ) -> Result<Val> {
        if let Some(op) = Op::from_method(name, all.len()) {
            let id = self.g.apply_primal(op, all);
            // `clamp` panics on empty ranges.
            if op == Op::Clamp {
                self.g.nodes[id.0 as usize].pinned = true;
            }
            return Ok(Val::Num(id));
        }
        if let Some(order) = self.compared(name, all) {
            return Ok(order);
        }
        let ty = self.g.bool_ty();
        match (name, all) {
            ("sin_cos", [a]) => {
                let (s, c) = (
                    self.g.apply_primal(Op::Sin, &[*a]),
                    self.g.apply_primal(Op::Cos, &[*a]),
                );
                Ok(Val::Tuple(vec![Val::Num(s), Val::Num(c)]))
            }
            (
                "is_nan" | "is_finite" | "is_infinite" | "is_normal" | "is_subnormal"
                | "is_sign_negative" | "is_sign_positive",
                [_],
            ) => Ok(Val::Num(self.g.opaque_method(name, all, ty))),
            ("powi", [a, n]) => Ok(Val::Num(self.g.apply_primal(Op::Powi, &[*a, *n]))),
            ("add" | "sub" | "mul" | "div" | "rem" | "neg", _) => {
                let op = match name {
                    "add" => Op::Add,
                    "sub" => Op::Sub,
                    "mul" => Op::Mul,
                    "div" => Op::Div,
                    "rem" => Op::Rem,
                    _ => Op::Neg,
                };
                if all.len() != op.domain().len() {
                    return self.reject(at, &errors::UNKNOWN_METHOD);
                }
                Ok(Val::Num(self.g.apply_primal(op, all)))
            }
            _ if BITS.contains(&name) => self.reject(at, &errors::BITS),
            _ => self.reject(at, &errors::UNKNOWN_METHOD),
        }
    }

    pub(super) fn range_of(&self, range: &RangeVal) -> Option<(Id, Id, bool)> {
        Some((range.lo?, range.hi?, range.inclusive))
    }
}
