//! Calls: of other annotated functions, of the standard library's, of closures and nested functions, and macros.

use super::Lower;
use super::callee::{Given, Known, Target};
use super::control::TargetKind;
use super::target::Destination;
use super::value::{Closure, Val};
use crate::errors::{self, Rejected, Result};
use crate::graph::{Callee, Id, Init, Node, Opaque, OpaqueForm};
use crate::shape::{Length, Shape};
use crate::types::{FloatTy, INTEGERS, Kind};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use std::rc::Rc;

impl Lower<'_> {
    pub(super) fn call(&mut self, x: &syn::ExprCall) -> Result<Val> {
        let args: Vec<&syn::Expr> = x.args.iter().collect();
        let expected = self.expected.take();
        let func = strip(&x.func);
        let syn::Expr::Path(path) = func else {
            let f = self.operand(func)?;
            let vals = self.operands(&args)?;
            return self.apply_at(&f, vals, x);
        };
        if let Some(ident) = path.path.get_ident()
            && let Some(var) = self.find(ident)?
        {
            let f = self.read(var);
            let vals = self.operands(&args)?;
            return self.apply_at(&f, vals, x);
        }
        if let Some(val) = self.standard(x, path, &args)? {
            return Ok(val);
        }
        if let Some(val) = self.detach(path, &args)? {
            return Ok(val);
        }
        if let Some((of, known)) = self.associated(&path.path) {
            let given = self.given(&args, &Some(&known), 0, false)?;
            let name = path.path.segments.last().map(|s| s.ident.to_string());
            let target = Target {
                path: path.to_token_stream(),
                callee: known.beside(&of),
                name: name.unwrap_or_default(),
                known: Some(known),
                expected: None,
            };
            return self.annotated(target, given, x);
        }
        let known = self.known(&path.path);
        let plain = known.is_none() && self.sig.names.unannotated(&path.path);
        let given = self.given(&args, &known.as_ref(), 0, plain)?;
        self.expected = expected;
        self.call_path(path, known, given, x)
    }

    /// The arguments of a call from parameter `from` on; `plain` ones are not changed, whatever they say.
    pub(super) fn given(
        &mut self,
        args: &[&syn::Expr],
        known: &Option<&Known>,
        from: usize,
        plain: bool,
    ) -> Result<Vec<Given>> {
        // All arguments are tried, so that one error does not hide another.
        let mut given = Vec::new();
        for (k, e) in args.iter().enumerate() {
            let place = match strip(e) {
                syn::Expr::Reference(r) if r.mutability.is_some() => !plain,
                _ => known.is_some_and(|f| f.takes_place(from + k)),
            };
            given.push(if place {
                self.behind(e).map(|to| Given::Place(to, (*e).clone()))
            } else {
                let by_ref = match strip(e) {
                    syn::Expr::Path(p) => {
                        let mut params = self.sig.params.iter();
                        params.any(|q| q.is_borrowed() && p.path.is_ident(&q.ident))
                    }
                    e => matches!(e, syn::Expr::Reference(_)),
                };
                self.operand(e).map(|val| Given::Value(val, by_ref))
            });
        }
        given.into_iter().collect()
    }

    fn operands(&mut self, args: &[&syn::Expr]) -> Result<Vec<Val>> {
        // All arguments are tried, so that one error does not hide another.
        let vals: Vec<Result<Val>> = args.iter().map(|e| self.operand(e)).collect();
        vals.into_iter().collect()
    }

    /// Applies a function value: a closure, a nested function, or a path given as an argument.
    pub(super) fn apply(
        &mut self,
        f: &Val,
        args: Vec<Val>,
        at: &syn::ExprMethodCall,
    ) -> Result<Val> {
        self.apply_at(f, args, at)
    }

    fn apply_at(&mut self, f: &Val, args: Vec<Val>, at: impl ToTokens) -> Result<Val> {
        match f {
            Val::Closure(c) => self.inline(&c.clone(), args, at),
            Val::Path(p) => {
                let p = p.clone();
                let mut ids = Vec::new();
                for v in &args {
                    if let Val::Num(id) = v {
                        ids.push(*id);
                    }
                }
                if let Some((_, method)) = self.float_path(&p)
                    && ids.len() == args.len()
                {
                    let name = method.to_string();
                    return self.float_method(&method, &name, &ids);
                }
                let known = self.known(&p.path);
                let given = args.into_iter().map(|v| Given::Value(v, false));
                self.call_path(&p, known, given.collect(), at)
            }
            Val::Poison => Err(Rejected),
            _ => self.reject(at, &errors::CLOSURE),
        }
    }

    fn inline(&mut self, c: &Rc<Closure>, args: Vec<Val>, at: impl ToTokens) -> Result<Val> {
        if c.inputs.len() != args.len() {
            return self.reject(at, &errors::CLOSURE);
        }
        self.inlined += 1;
        if self.inlined > super::MAX_INLINE {
            self.inlined -= 1;
            return self.reject(at, &errors::TOO_DEEP);
        }
        let scopes = if c.scopes.is_empty() {
            // A nested function sees the functions and constants around it, and no variables.
            self.functions_only()
        } else {
            c.scopes.clone()
        };
        let outer = std::mem::replace(&mut self.scopes, scopes);
        self.scopes.push(super::Scope::new());
        let target = self.push_target(TargetKind::Function, None);
        let exits = std::mem::take(&mut self.exits);
        let val = (|| {
            for (pat, val) in c.inputs.iter().zip(args) {
                let val = self.by_value(val, "argument");
                self.bind(pat, val)?;
            }
            self.expr(&c.body)
        })();
        let val = self.join_target(target, val);
        self.exits.extend(exits);
        self.scopes = outer;
        self.inlined -= 1;
        val
    }

    fn functions_only(&self) -> Vec<super::Scope> {
        self.scopes
            .iter()
            .map(|scope| {
                let mut out = super::Scope::new();
                for (name, entries) in scope {
                    for (context, var) in entries {
                        let item = match &self.vars[var.0].val {
                            Val::Closure(c) => c.scopes.is_empty(),
                            Val::Num(id) => {
                                matches!(self.g.node(*id), Node::Opaque(_, args) if args.is_empty())
                                    && !self.vars[var.0].mutable
                            }
                            _ => false,
                        };
                        if item {
                            out.entry(name.clone())
                                .or_default()
                                .push((context.clone(), *var));
                        }
                    }
                }
                out
            })
            .collect()
    }

    /// `f64::sin`, `T::sin`, `core::primitive::f64::sin`: the float type and the method.
    fn float_path(&self, p: &syn::ExprPath) -> Option<(FloatTy, proc_macro2::Ident)> {
        let method = p.path.segments.last()?.ident.clone();
        let name = match &p.qself {
            Some(q) if p.path.segments.len() == 1 => crate::shape::primitive(&q.ty)?,
            Some(_) => return None,
            None => {
                let names: Vec<String> = p
                    .path
                    .segments
                    .iter()
                    .map(|s| s.ident.to_string())
                    .collect();
                match names.as_slice() {
                    [ty, _] => ty.clone(),
                    [root, module, ty, _]
                        if module == "primitive" && (root == "core" || root == "std") =>
                    {
                        ty.clone()
                    }
                    _ => return None,
                }
            }
        };
        let ty = match name.as_str() {
            "f64" => FloatTy::F64,
            "f32" => FloatTy::F32,
            _ => FloatTy::Generic(self.sig.names.floats.iter().find(|t| **t == name)?.clone()),
        };
        Some((ty, method))
    }

    /// `T::one()`, `T::from(0.5).unwrap()`: constants of a generic float type.
    pub(super) fn generic_constant(&mut self, c: &syn::ExprCall) -> Result<Option<Val>> {
        let syn::Expr::Path(p) = strip(&c.func) else {
            return Ok(None);
        };
        let Some((FloatTy::Generic(t), method)) = self.float_path(p) else {
            return Ok(None);
        };
        if !(method == "from"
            || method == "from_f64"
            || method == "from_f32"
            || method == "from_usize")
            || c.args.len() != 1
        {
            return Ok(None);
        }
        let arg = self.scalar(&c.args[0])?;
        if let (Some(value), "from" | "from_f64") =
            (self.g.constant(arg), method.to_string().as_str())
        {
            let ty = self.g.types.fresh(Kind::Float(FloatTy::Generic(t)));
            return Ok(Some(Val::Num(self.g.lit(value, ty))));
        }
        let ty = self.g.types.fresh(Kind::Unknown);
        let func = p.to_token_stream();
        let inner = self.g.opaque(
            Opaque {
                key: format!("call {func}"),
                form: OpaqueForm::Call(func),
                discrete: false,
            },
            &[arg],
            ty,
        );
        let ty = self.g.types.fresh(Kind::Float(FloatTy::Generic(t)));
        Ok(Some(
            self.pinned(|g| g.opaque_method("unwrap", &[inner], ty)),
        ))
    }

    /// Functions of the standard library that the macro knows.
    fn standard(
        &mut self,
        x: &syn::ExprCall,
        p: &syn::ExprPath,
        args: &[&syn::Expr],
    ) -> Result<Option<Val>> {
        let names: Vec<String> = p
            .path
            .segments
            .iter()
            .map(|s| s.ident.to_string())
            .collect();
        let last = names.last().map_or("", String::as_str);
        if let Some((ty, method)) = self.float_path(p) {
            let name = method.to_string();
            if let (FloatTy::Generic(_), true) = (&ty, args.is_empty()) {
                let t = self.g.types.fresh(Kind::Float(ty));
                return Ok(Some(Val::Num(match name.as_str() {
                    "one" => self.g.lit(1.0, t),
                    "zero" => self.g.lit(0.0, t),
                    _ => self.g.opaque_tokens(x.to_token_stream(), t),
                })));
            }
            if name == "from" && args.len() == 1 {
                let a = self.scalar(args[0])?;
                let t = self.g.types.fresh(Kind::Float(ty.clone()));
                if self.g.is_float(a) {
                    return Ok(Some(Val::Num(self.g.compute(Node::Cast(a, Some(ty)), t))));
                }
                let func = p.to_token_stream();
                return Ok(Some(Val::Num(self.g.opaque(
                    Opaque {
                        key: format!("call {func}"),
                        form: OpaqueForm::Call(func),
                        discrete: false,
                    },
                    &[a],
                    t,
                ))));
            }
            if name.starts_with("from_") {
                return self.reject(&method, &errors::BITS);
            }
            let mut ids = Vec::new();
            for e in args {
                ids.push(self.scalar(e)?);
            }
            if let Some(&a) = ids.first() {
                let t = self.g.ty(a);
                self.g.types.learn(t, Kind::Float(ty));
            }
            if ids.is_empty() {
                return self.reject(x, &errors::UNKNOWN_CALL);
            }
            return self.float_method(&method, &name, &ids).map(Some);
        }
        let module = names.iter().rev().nth(1).map_or("", String::as_str);
        match (module, last, args) {
            ("", "Some", [e]) => {
                let val = self.operand(e)?;
                let val = self.by_value(val, "some");
                let yes = self.g.bool_const(true);
                Ok(Some(Val::Opt(yes, Box::new(val))))
            }
            // A box of a scalar is the scalar: nothing else can point to it.
            ("Box", "new", [e]) => match self.operand(e)? {
                Val::Num(id) => Ok(Some(Val::Num(id))),
                Val::Poison => Err(Rejected),
                _ => self.errors_named(x, &errors::NOT_ANNOTATED, "Box::new"),
            },
            ("iter", _, _) => self.iter_function(last, args, x),
            ("Vec", "new", []) | ("Vec", "with_capacity", [_]) => {
                let ty = self.g.types.fresh(Kind::Unknown);
                let array = self.g.declare(
                    "vec",
                    Shape::Vec(Box::new(Shape::Scalar(ty))),
                    Init::Empty,
                    Span::call_site(),
                );
                Ok(Some(super::expr::fresh_view(array)))
            }
            ("mem", "swap", [a, b]) => {
                let (a, b) = (self.behind(a)?, self.behind(b)?);
                self.swap_destinations(a, b, &syn::Expr::Call(x.clone()))?;
                Ok(Some(Val::Unit))
            }
            ("mem", "replace", [a, b]) => {
                let new = self.operand(b)?;
                let to = self.behind(a)?;
                let old = self.taken(&to, x)?;
                self.put(to, new, args[0], args[1])?;
                Ok(Some(old))
            }
            ("mem", "take", [a]) => {
                let to = self.behind(a)?;
                let old = self.taken(&to, x)?;
                let Val::Num(id) = old else {
                    return self.reject(x, &errors::REFERENCE);
                };
                let zero = self.g.lit_like(0.0, id);
                self.put(to, Val::Num(zero), args[0], args[0])?;
                Ok(Some(Val::Num(id)))
            }
            ("mem", "drop", [_]) | ("", "drop", [_]) => Ok(Some(Val::Unit)),
            ("array", "from_fn", [f]) => {
                let turbofish = p.path.segments.last().and_then(|s| match &s.arguments {
                    syn::PathArguments::AngleBracketed(a) => {
                        a.args.iter().nth(1).map(ToTokens::to_token_stream)
                    }
                    _ => None,
                });
                let Some(n) = turbofish else {
                    return self.reject(&x.func, &errors::LENGTH);
                };
                let n = bare(n);
                let len = match syn::parse2::<syn::LitInt>(n.clone())
                    .ok()
                    .and_then(|l| l.base10_parse().ok())
                {
                    Some(k) => Length::Known(k),
                    None => Length::Tokens(n),
                };
                let f = self.operand(f)?;
                let ty = self.g.usize_ty();
                let count = match &len {
                    Length::Known(k) => self.g.usize_const(*k),
                    other => {
                        let t = other.to_token_stream();
                        self.g.opaque_tokens(t, ty)
                    }
                };
                self.tabulate(count, Some(len), x, |l, k| {
                    l.apply_at(&f, vec![Val::Num(k)], x)
                })
                .map(Some)
            }
            ("cmp", "min" | "max", [_, _]) => {
                let (a, b) = (self.scalar(args[0])?, self.scalar(args[1])?);
                let (ta, tb) = (self.g.ty(a), self.g.ty(b));
                self.g.types.unify(ta, tb);
                let func = p.to_token_stream();
                Ok(Some(self.pinned(|g| {
                    g.opaque(
                        Opaque {
                            key: format!("call {func}"),
                            form: OpaqueForm::Call(func),
                            discrete: false,
                        },
                        &[a, b],
                        ta,
                    )
                })))
            }
            ("mem", "size_of", []) | ("", "size_of", []) => {
                let ty = self.g.usize_ty();
                Ok(Some(Val::Num(
                    self.g.opaque_tokens(x.to_token_stream(), ty),
                )))
            }
            (
                int,
                "from" | "pow" | "abs" | "min" | "max" | "rem_euclid" | "wrapping_add"
                | "wrapping_mul" | "wrapping_sub",
                _,
            ) if INTEGERS.contains(&int) && !args.is_empty() => {
                let mut ids = Vec::new();
                for e in args {
                    ids.push(self.scalar(e)?);
                }
                let ty = self.g.types.fresh(Kind::Int(int.to_string()));
                let func = p.to_token_stream();
                Ok(Some(self.pinned(|g| {
                    g.opaque(
                        Opaque {
                            key: format!("call {func}"),
                            form: OpaqueForm::Call(func),
                            discrete: false,
                        },
                        &ids,
                        ty,
                    )
                })))
            }
            _ => Ok(None),
        }
    }

    /// `detach(x)`: the value, as a constant. What is called must be `backprop::detach`: the emitted code names a
    /// constant that nothing else of that name has.
    fn detach(&mut self, p: &syn::ExprPath, args: &[&syn::Expr]) -> Result<Option<Val>> {
        let named = p
            .path
            .segments
            .last()
            .is_some_and(|s| s.ident == "detach" && s.arguments.is_none());
        let [arg] = args else { return Ok(None) };
        if !named
            || p.qself.is_some()
            || p.path.get_ident().is_some() && self.source.defines("detach")
        {
            return Ok(None);
        }
        let val = self.operand(arg)?;
        let id = match val {
            Val::Num(_) | Val::Elem(_) | Val::MutRef(..) => self.num(val, arg)?,
            Val::Poison => return Err(Rejected),
            _ => return self.reject(arg, &errors::DETACH),
        };
        let path = &p.path;
        let guard = quote!(const _: () = #path::IS_BACKPROPS_OWN;);
        if !self
            .items
            .iter()
            .any(|i| i.to_string() == guard.to_string())
        {
            self.items.push(guard);
        }
        let ty = self.g.ty(id);
        let opaque = Opaque {
            key: format!("detach {}", path.to_token_stream()),
            form: OpaqueForm::Call(path.to_token_stream()),
            discrete: true,
        };
        Ok(Some(Val::Num(self.g.opaque(opaque, &[id], ty))))
    }

    /// The place behind `&mut place`.
    pub(super) fn behind(&mut self, e: &syn::Expr) -> Result<Destination> {
        match strip(e) {
            syn::Expr::Reference(r) if r.mutability.is_some() => self.target(&r.expr),
            other => match self.operand(other)? {
                Val::MutRef(var, path) => Ok(Destination::Var(var, path)),
                Val::Elem(place) => Ok(Destination::Place(place)),
                Val::View(view) => Ok(Destination::View(view)),
                _ => self.reject(e, &errors::REFERENCE),
            },
        }
    }

    /// What a place held before it is overwritten: arrays are copied out.
    fn taken(&mut self, to: &Destination, x: &syn::ExprCall) -> Result<Val> {
        let val = self.fetch(to, &syn::Expr::Call(x.clone()))?;
        Ok(self.held_apart(val, "old"))
    }

    /// A call of another function by path.
    fn call_path(
        &mut self,
        p: &syn::ExprPath,
        known: Option<Known>,
        given: Vec<Given>,
        at: impl ToTokens,
    ) -> Result<Val> {
        let expected = self.expected.take();
        let name = p
            .path
            .segments
            .last()
            .map_or(String::new(), |s| s.ident.to_string());
        if given.is_empty() || p.qself.is_some() {
            return self.reject(at, &errors::UNKNOWN_CALL);
        }
        let func = p.to_token_stream();
        if let Some(of) = self.struct_named(&p.path) {
            let vals = given.into_iter().filter_map(|g| match g {
                Given::Value(val, _) => Some(val),
                _ => None,
            });
            return self.tuple_struct(&of, vals.collect(), at);
        }
        // Tuple structs that are not known, and associated functions of types, which have no namespace of derivatives.
        let upper = |s: &str| s.chars().next().is_some_and(char::is_uppercase);
        if upper(&name)
            || p.path
                .segments
                .iter()
                .rev()
                .nth(1)
                .is_some_and(|s| upper(&s.ident.to_string()))
        {
            return self.errors_named(p, &errors::NOT_ANNOTATED, &name);
        }
        let itself = p.path.get_ident().is_some_and(|i| *i == self.sig.ident);
        let constants: Option<Vec<Id>> = given
            .iter()
            .map(|g| match g {
                Given::Value(Val::Num(id), _) if !self.g.is_float(*id) => Some(*id),
                _ => None,
            })
            .collect();
        if let Some(ids) = constants
            && !itself
            && known.as_ref().is_none_or(Known::returns_scalar)
        {
            let ty = self.g.types.fresh(Kind::Unknown);
            return Ok(self.pinned(|g| {
                g.opaque(
                    Opaque {
                        key: format!("call {func}"),
                        form: OpaqueForm::Call(func),
                        discrete: false,
                    },
                    &ids,
                    ty,
                )
            }));
        }
        if !itself && known.is_none() && self.sig.names.unannotated(&p.path) {
            return self.errors_named(p, &errors::NOT_ANNOTATED, &name);
        }
        if itself && self.sig.associated {
            return self.errors_named(p, &errors::RECURSION, &name);
        }
        let target = Target {
            callee: Callee::Function {
                namespace: self.namespace_of(&p.path, known.as_ref()),
            },
            path: func,
            name,
            known,
            expected,
        };
        self.annotated(target, given, &at)
    }
}

pub(super) fn strip(e: &syn::Expr) -> &syn::Expr {
    match e {
        syn::Expr::Paren(p) => strip(&p.expr),
        syn::Expr::Group(p) => strip(&p.expr),
        _ => e,
    }
}

/// A generic argument without the braces around it.
fn bare(n: TokenStream) -> TokenStream {
    match syn::parse2::<syn::ExprBlock>(n.clone()) {
        Ok(b) => match b.block.stmts.as_slice() {
            [syn::Stmt::Expr(e, None)] => e.to_token_stream(),
            _ => n,
        },
        Err(_) => n,
    }
}
