//! Methods: of floats, of integers, of arrays, slices and `Vec`s, of `Option`.

use super::Lower;
use super::place::Destination;
use super::value::{RangeVal, Val, View};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Id, Init, Node, Opaque, OpaqueForm, Stmt};
use crate::rules::Op;
use crate::shape::Shape;
use crate::types::Kind;
use proc_macro2::Span;
use quote::quote;

/// Methods of floats that take them apart, or leave the reals.
const BITS: [&str; 10] = [
    "to_bits",
    "to_le_bytes",
    "to_be_bytes",
    "to_ne_bytes",
    "total_cmp",
    "partial_cmp",
    "to_int_unchecked",
    "next_up",
    "next_down",
    "to_string",
];

/// Integer methods whose result has the receiver's type.
const SAME: [&str; 27] = [
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "wrapping_neg",
    "wrapping_div",
    "wrapping_rem",
    "wrapping_shl",
    "wrapping_shr",
    "wrapping_pow",
    "saturating_add",
    "saturating_sub",
    "saturating_mul",
    "saturating_pow",
    "pow",
    "rem_euclid",
    "div_euclid",
    "abs",
    "min",
    "max",
    "clamp",
    "signum",
    "rotate_left",
    "rotate_right",
    "isqrt",
    "div_ceil",
    "next_power_of_two",
    "swap_bytes",
];
/// Of those, the ones whose operands are of another type.
const U32_OPERAND: [&str; 7] = [
    "pow",
    "wrapping_pow",
    "saturating_pow",
    "wrapping_shl",
    "wrapping_shr",
    "rotate_left",
    "rotate_right",
];
const TO_U32: [&str; 8] = [
    "count_ones",
    "count_zeros",
    "leading_zeros",
    "trailing_zeros",
    "ilog2",
    "ilog10",
    "leading_ones",
    "trailing_ones",
];
const TO_BOOL: [&str; 5] = [
    "is_power_of_two",
    "is_positive",
    "is_negative",
    "is_multiple_of",
    "is_empty",
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
        let recv = match self.operand(&x.receiver)? {
            // Methods look through a reference to a struct, a tuple or an `Option`.
            Val::MutRef(var) => match self.read(var) {
                Val::Num(_) => Val::MutRef(var),
                whole => whole,
            },
            other => other,
        };
        let args: Vec<&syn::Expr> = x.args.iter().collect();
        match recv {
            Val::Num(id) => self.scalar_method(x, id, name, &args),
            Val::Elem(_) | Val::MutRef(_) => {
                let id = self.num(recv, &x.receiver)?;
                self.scalar_method(x, id, name, &args)
            }
            Val::View(view) => self.array_method(x, view, name, &args),
            Val::Range(range) => match (name, args.as_slice()) {
                ("len", []) | ("contains", [_]) | ("is_empty", []) => {
                    self.reject(&x.method, &errors::UNKNOWN_METHOD)
                }
                _ => {
                    let iter = self.range_iter(&range, x)?;
                    self.iter_method(x, iter, name, &args)
                }
            },
            Val::Iter(iter) => self.iter_method(x, iter, name, &args),
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

    pub(super) fn errors_named<T>(
        &self,
        at: impl quote::ToTokens,
        message: &errors::Message,
        name: &str,
    ) -> Result<T> {
        Err(self.errors.reject_named(at, message, name))
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
        if self.g.is_float(a) {
            let mut all = vec![a];
            for e in args {
                all.push(self.scalar(e)?);
            }
            return self.float_method(&x.method, name, &all);
        }
        let mut all = vec![a];
        for e in args {
            all.push(self.scalar(e)?);
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

    /// A method of an integer, `bool` or constant from elsewhere.
    pub(super) fn constant_method(
        &mut self,
        at: &proc_macro2::Ident,
        name: &str,
        all: &[Id],
    ) -> Result<Val> {
        let ty = self.g.ty(all[0]);
        let known = matches!(
            self.g.types.kind(ty),
            Kind::Int(_) | Kind::AnyInt | Kind::Bool
        );
        let result = if SAME.contains(&name)
            && (known
                || !U32_OPERAND.contains(&name) && name != "abs" && name != "signum"
                || all.len() > 1)
        {
            for &b in &all[1..] {
                let t = self.g.ty(b);
                if U32_OPERAND.contains(&name) {
                    self.g.types.learn(t, Kind::Int("u32".into()));
                } else {
                    self.g.types.unify(ty, t);
                }
            }
            ty
        } else if TO_U32.contains(&name) {
            self.g.types.fresh(Kind::Int("u32".into()))
        } else if TO_BOOL.contains(&name) {
            self.g.bool_ty()
        } else if matches!(name, "len" | "count" | "capacity") {
            self.g.usize_ty()
        } else if matches!(self.g.types.kind(ty), Kind::Unknown | Kind::Other)
            && (Op::from_method(name, all.len()).is_some() || name == "unwrap")
        {
            self.g.types.fresh(Kind::Unknown)
        } else {
            return self.reject(at, &errors::UNKNOWN_METHOD);
        };
        let opaque = Opaque {
            key: format!("method {name}"),
            form: OpaqueForm::Method(quote!(#at)),
            discrete: false,
        };
        Ok(self.pinned(|g| g.opaque(opaque, all, result)))
    }

    fn array_method(
        &mut self,
        x: &syn::ExprMethodCall,
        view: View,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        let one = |l: &mut Self| l.scalar(args[0]);
        match (name, args.len()) {
            ("len", 0) => {
                let len = self.view_len(&view);
                Ok(Val::Num(len))
            }
            ("is_empty", 0) => {
                let len = self.view_len(&view);
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                Ok(Val::Num(self.g.opaque_binary(
                    quote!(==),
                    len,
                    zero,
                    ty,
                    true,
                )))
            }
            ("as_slice" | "as_ref" | "borrow" | "as_mut_slice" | "as_mut", 0) => {
                Ok(Val::View(View {
                    by_ref: true,
                    ..view
                }))
            }
            ("clone" | "to_vec" | "to_owned" | "into_boxed_slice", 0) => {
                let shape = self.view_shape(&view);
                let to_vec = name == "to_vec" && matches!(shape, Shape::Array(..));
                if to_vec {
                    let windowed = View {
                        window: Some((self.g.usize_const(0), self.view_len(&view))),
                        ..view
                    };
                    return Ok(Val::View(self.copied(&windowed, "copy")));
                }
                Ok(Val::View(self.copied(&view, "copy")))
            }
            ("swap", 2) => {
                let (i, j) = (self.scalar(args[0])?, self.scalar(args[1])?);
                let a = self.element_place(&view, i);
                let b = self.element_place(&view, j);
                self.swap_places(Destination::Place(a), Destination::Place(b), x)?;
                Ok(Val::Unit)
            }
            ("fill", 1) => {
                let val = self.operand(args[0])?;
                let value = self.num(val, args[0])?;
                let len = self.view_len(&view);
                self.positions(len, false, |l, k| {
                    l.assign_element(&view, k, Val::Num(value))
                })?;
                Ok(Val::Unit)
            }
            ("copy_from_slice" | "clone_from_slice", 1) => match self.operand(args[0])? {
                Val::View(from) => {
                    let (a, b) = (self.view_len(&view), self.view_len(&from));
                    if a != b {
                        let ty = self.g.bool_ty();
                        let same = self.g.opaque_binary(quote!(==), a, b, ty, false);
                        self.effect(
                            quote!(::core::assert!(__h0, "copy_from_slice: the lengths differ")),
                            &[same],
                        );
                    }
                    // The elements are copied one by one: source and destination may differ in kind.
                    self.positions(b, false, |l, k| {
                        let val = l.element(&from, k);
                        l.assign_element(&view, k, val)
                    })?;
                    Ok(Val::Unit)
                }
                Val::Poison => Err(Rejected),
                _ => self.reject(args[0], &errors::NOT_ARRAY),
            },
            ("swap_with_slice", 1) => match self.operand(args[0])? {
                Val::View(other) => {
                    let (a, b) = (self.view_len(&view), self.view_len(&other));
                    if a != b {
                        let ty = self.g.bool_ty();
                        let same = self.g.opaque_binary(quote!(==), a, b, ty, false);
                        self.effect(
                            quote!(::core::assert!(__h0, "swap_with_slice: the lengths differ")),
                            &[same],
                        );
                    }
                    self.positions(b, false, |l, k| {
                        let held = l.element(&view, k);
                        let held = l.by_value(held, "held");
                        let new = l.element(&other, k);
                        l.assign_element(&view, k, new)?;
                        l.assign_element(&other, k, held)
                    })?;
                    Ok(Val::Unit)
                }
                Val::Poison => Err(Rejected),
                _ => self.reject(args[0], &errors::NOT_ARRAY),
            },
            ("first" | "last", 0) => {
                let len = self.view_len(&view);
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(>), len, zero, ty, true);
                let first = name == "first";
                let val = self.branch(
                    some,
                    |l| {
                        let k = if first {
                            l.g.usize_const(0)
                        } else {
                            let one = l.g.usize_const(1);
                            l.usize_op(quote!(-), len, one)
                        };
                        Ok(l.element(&view, k))
                    },
                    |_| Ok(Val::Uninit),
                )?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("get", 1) => {
                let k = one(self)?;
                let len = self.view_len(&view);
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(<), k, len, ty, true);
                let val = self.branch(some, |l| Ok(l.element(&view, k)), |_| Ok(Val::Uninit))?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("split_at" | "split_at_mut", 1) => {
                let at = one(self)?;
                let len = self.view_len(&view);
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                let inside = self.g.opaque_binary(quote!(<=), at, len, ty, false);
                self.effect(quote!(::core::assert!(__h0, "mid > len")), &[inside]);
                let rest = self.usize_op(quote!(-), len, at);
                let a = self.subview(&view, zero, at);
                let b = self.subview(&view, at, rest);
                Ok(Val::Tuple(vec![Val::View(a), Val::View(b)]))
            }
            ("push", 1) => {
                let value = one(self)?;
                let array = self.whole_vec(&view, x)?;
                if let Shape::Vec(elem) = &self.g.array(array).shape
                    && let Shape::Scalar(t) = **elem
                {
                    let ty = self.g.ty(value);
                    self.g.types.unify(t, ty);
                }
                self.g.push_element(array, value);
                Ok(Val::Unit)
            }
            ("pop", 0) => {
                let array = self.whole_vec(&view, x)?;
                let len = self.view_len(&view);
                let zero = self.g.usize_const(0);
                let ty = self.g.bool_ty();
                let some = self.g.opaque_binary(quote!(>), len, zero, ty, true);
                let val = self.branch(
                    some,
                    |l| {
                        let ty = match l.g.array(array).shape.element() {
                            Some(Shape::Scalar(t)) => *t,
                            Some(Shape::Float(f)) => {
                                let f = f.clone();
                                l.g.types.fresh(Kind::Float(f))
                            }
                            _ => l.g.types.fresh(Kind::Unknown),
                        };
                        let k = l.g.nodes.len() as u32;
                        let here = l.g.here();
                        let id = l.g.bound(Node::Popped(array, k), ty, Some(here));
                        l.g.array_mut(array).version += 1;
                        l.g.array_mut(array).mutated = true;
                        l.g.push(Stmt::Pop(array, Some(id)));
                        Ok(Val::Num(id))
                    },
                    |_| Ok(Val::Uninit),
                )?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("map", 1) => {
                let f = self.operand(args[0])?;
                let len = self.view_len(&view);
                let shape = self.view_shape(&view);
                let Shape::Array(_, n) = shape else {
                    return self.reject(&x.method, &errors::UNKNOWN_METHOD);
                };
                self.tabulate(len, Some(n), |l, k| {
                    let v = l.element(&view, k);
                    l.apply(&f, vec![v], x)
                })
            }
            ("reverse", 0) => {
                let len = self.view_len(&view);
                let two = self.g.usize_const(2);
                let half = self.usize_op(quote!(/), len, two);
                let one = self.g.usize_const(1);
                let top = self.usize_op(quote!(-), len, one);
                self.positions(half, false, |l, k| {
                    let other = l.usize_op(quote!(-), top, k);
                    let (a, b) = (l.element_place(&view, k), l.element_place(&view, other));
                    l.swap_places(Destination::Place(a), Destination::Place(b), x)
                })?;
                Ok(Val::Unit)
            }
            ("iter" | "iter_mut" | "into_iter" | "windows" | "chunks" | "chunks_exact", _) => {
                let iter = self.array_iter(x, &view, name, args)?;
                Ok(Val::Iter(std::rc::Rc::new(iter)))
            }
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    fn whole_vec(&self, view: &View, x: &syn::ExprMethodCall) -> Result<crate::graph::ArrayId> {
        let shape = self.view_shape(view);
        let scalar =
            matches!(shape, Shape::Vec(ref e) if matches!(**e, Shape::Scalar(_) | Shape::Float(_)));
        let local = self.g.array(view.place.array).param.is_none();
        if scalar && local && view.place.path.is_empty() && view.window.is_none() {
            return Ok(view.place.array);
        }
        self.reject(&x.method, &errors::UNKNOWN_METHOD)
    }

    pub(super) fn element_place(&mut self, view: &View, index: Id) -> crate::graph::Place {
        let ty = self.g.ty(index);
        self.g.types.learn(ty, Kind::Int("usize".into()));
        let index = match view.window {
            Some((lo, _)) => self.usize_op(quote!(+), lo, index),
            None => index,
        };
        let mut place = view.place.clone();
        place.path.push(crate::graph::Step::Index(index));
        place
    }

    /// `mem::swap` of two places.
    pub(super) fn swap_places(
        &mut self,
        a: Destination,
        b: Destination,
        at: &syn::ExprMethodCall,
    ) -> Result<()> {
        self.swap_destinations(a, b, &syn::Expr::MethodCall(at.clone()))
    }

    pub(super) fn swap_destinations(
        &mut self,
        a: Destination,
        b: Destination,
        at: &syn::Expr,
    ) -> Result<()> {
        let whole = |l: &Self, d: &Destination| -> Option<crate::graph::Place> {
            match d {
                Destination::Place(p) if l.g.shape_at(p).is_array() => Some(p.clone()),
                Destination::View(v) if v.window.is_none() => Some(v.place.clone()),
                Destination::Var(var, path) if path.is_empty() => match &l.vars[var.0].val {
                    Val::View(v) if v.window.is_none() => Some(v.place.clone()),
                    _ => None,
                },
                _ => None,
            }
        };
        if let (Some(p), Some(q)) = (whole(self, &a), whole(self, &b)) {
            if p.array == q.array {
                // Rows of one array: by way of a copy.
                let from = View {
                    place: p.clone(),
                    window: None,
                    by_ref: false,
                };
                let held = self.copied(&from, "held");
                self.g.copy(p, q.clone(), false);
                self.g.copy(q, held.place, false);
                return Ok(());
            }
            let (s, t) = (self.g.shape_at(&p), self.g.shape_at(&q));
            self.unify_shapes(&s, &t);
            let view = |place: &crate::graph::Place| View {
                place: place.clone(),
                window: None,
                by_ref: false,
            };
            self.keeps_length(&view(&p), &view(&q));
            self.g.swap(p, q);
            return Ok(());
        }
        let (x, y) = (self.fetch(&a, at)?, self.fetch(&b, at)?);
        let x = self.held_apart(x, "held");
        self.put(a, y, at, at)?;
        self.put(b, x, at, at)
    }

    fn option_method(
        &mut self,
        x: &syn::ExprMethodCall,
        some: Id,
        inner: Val,
        name: &str,
        args: &[&syn::Expr],
    ) -> Result<Val> {
        match (name, args) {
            ("is_some", []) => Ok(Val::Num(some)),
            ("is_none", []) => Ok(Val::Num(self.g.not(some))),
            ("unwrap", []) | ("expect", [_]) => {
                self.effect(
                    quote!(::core::assert!(
                        __h0,
                        "called `Option::unwrap()` on a `None` value"
                    )),
                    &[some],
                );
                match inner {
                    Val::Uninit => self.reject(x, &errors::UNINIT),
                    inner => Ok(inner),
                }
            }
            ("unwrap_or", [e]) => {
                let other = self.operand(e)?;
                self.branch(some, |_| Ok(inner), |_| Ok(other))
            }
            ("unwrap_or_else", [e]) => {
                let f = self.operand(e)?;
                self.branch(some, |_| Ok(inner), |l| l.apply(&f, Vec::new(), x))
            }
            ("map", [e]) => {
                let f = self.operand(e)?;
                let val =
                    self.branch(some, |l| l.apply(&f, vec![inner], x), |_| Ok(Val::Uninit))?;
                Ok(Val::Opt(some, Box::new(val)))
            }
            ("copied" | "cloned" | "as_ref", []) => Ok(Val::Opt(some, Box::new(inner))),
            _ => self.reject(&x.method, &errors::UNKNOWN_METHOD),
        }
    }

    /// An array made element by element.
    pub(super) fn tabulate(
        &mut self,
        len: Id,
        fixed: Option<crate::shape::Length>,
        f: impl FnOnce(&mut Self, Id) -> Result<Val>,
    ) -> Result<Val> {
        let ty = self.g.types.fresh(Kind::Unknown);
        let k = self.g.nodes.len() as u32;
        let zero = self.g.bound(Node::Undef(k), ty, None);
        let elem = Box::new(Shape::Scalar(ty));
        let vec = fixed.is_none();
        let shape = match fixed {
            Some(n) => Shape::Array(elem, n),
            None => Shape::Vec(elem),
        };
        let array = self.g.declare(
            "made",
            shape,
            Init::Repeat(crate::graph::Element::Scalar(zero)),
            Span::call_site(),
        );
        if vec {
            self.g.array_mut(array).len = Some(len);
        }
        let Val::View(view) = super::expr::fresh_view(array) else {
            return Err(Rejected);
        };
        let to = view.clone();
        self.positions(len, false, move |l, k| {
            let val = f(l, k)?;
            let id = l.num(val, quote!())?;
            let t = l.g.ty(id);
            l.g.types.unify(ty, t);
            l.assign_element(&to, k, Val::Num(id))
        })?;
        Ok(Val::View(view))
    }

    pub(super) fn range_of(&self, range: &RangeVal) -> Option<(Id, Id, bool)> {
        Some((range.lo?, range.hi?, range.inclusive))
    }
}
