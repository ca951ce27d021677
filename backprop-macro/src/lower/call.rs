//! Calls by path: of annotated functions, of constant ones, of what a variable holds; their arguments.
//!
//! In: a call. Out: its value. What must hold: an active argument goes into a function that is differentiated, or the call is rejected.

use super::Lower;
use super::callee::{Given, Known, Target};
use super::value::Val;
use crate::errors::{self, Rejected, Result};
use crate::graph::{Callee, Id, Opaque, OpaqueForm};
use crate::types::Kind;
use quote::{ToTokens, quote};

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
                self.operand(e)
                    .map(|val| Given::Value(val, by_ref, e.to_token_stream()))
            });
        }
        given.into_iter().collect()
    }

    fn operands(&mut self, args: &[&syn::Expr]) -> Result<Vec<Val>> {
        // All arguments are tried, so that one error does not hide another.
        let vals: Vec<Result<Val>> = args.iter().map(|e| self.operand(e)).collect();
        vals.into_iter().collect()
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

    /// A call of another function by path.
    pub(super) fn call_path(
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
            if given.is_empty() && self.is_foreign(&p.path) {
                let text = errors::plain(&p.to_token_stream());
                return self.errors_named(p, &errors::FOREIGN_CALL, &text);
            }
            return self.reject(at, &errors::UNKNOWN_CALL);
        }
        let func = p.to_token_stream();
        if let Some(of) = self.struct_named(&p.path) {
            let vals = given.into_iter().filter_map(|g| match g {
                Given::Value(val, ..) => Some(val),
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
            let text = errors::plain(&p.to_token_stream());
            if self.is_variant(&p.path) {
                return self.errors_named(p, &errors::VARIANT, &text);
            }
            if self.is_foreign(&p.path) {
                return self.errors_named(p, &errors::FOREIGN_CALL, &text);
            }
            return self.errors_named(p, &errors::NOT_ANNOTATED, &text);
        }
        if given
            .iter()
            .any(|g| matches!(g, Given::Value(Val::Closure(_), ..)))
            && self.is_foreign(&p.path)
        {
            let text = errors::plain(&p.to_token_stream());
            return self.errors_named(p, &errors::FOREIGN_CALL, &text);
        }
        let itself = p.path.get_ident().is_some_and(|i| *i == self.sig.ident);
        let constants: Option<Vec<Id>> = given
            .iter()
            .map(|g| match g {
                Given::Value(Val::Num(id), ..) if !self.g.is_float(*id) => Some(*id),
                _ => None,
            })
            .collect();
        if let Some(ids) = constants
            && !itself
            && known.as_ref().is_none_or(Known::returns_scalar)
        {
            let ty = self.g.types.fresh(Kind::Unknown);
            return Ok(self.pinned(|g| g.opaque_call(func, &ids, ty)));
        }
        if !itself && known.is_none() && self.sig.names.unannotated(&p.path) {
            return self.errors_named(
                p,
                &errors::NOT_ANNOTATED,
                &errors::plain(&p.to_token_stream()),
            );
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

    /// Whether a path leads to a type that the package does not define, or into the standard library.
    fn is_foreign(&self, path: &syn::Path) -> bool {
        let first = path.segments[0].ident.to_string();
        if path.segments.len() > 1 && ["std", "core", "alloc"].contains(&first.as_str()) {
            return true;
        }
        let of = path.segments.iter().rev().nth(1);
        of.is_some_and(|s| {
            let name = s.ident.to_string();
            name.starts_with(char::is_uppercase)
                && name != "Self"
                && !self.sig.generics.type_params().any(|t| t.ident == name)
                && !self.sig.names.has_own(&name)
        })
    }

    /// Whether a path names a variant that holds something: `Ok`, `Err`, or one of an `enum` in this file.
    fn is_variant(&self, path: &syn::Path) -> bool {
        let last = path.segments.last().map(|s| s.ident.to_string());
        last.is_some_and(|name| {
            path.segments.len() == 1 && ["Ok", "Err"].contains(&name.as_str())
                || self.sig.names.has_variant(&name)
        })
    }
}

pub(super) fn strip(e: &syn::Expr) -> &syn::Expr {
    match e {
        syn::Expr::Paren(p) => strip(&p.expr),
        syn::Expr::Group(p) => strip(&p.expr),
        _ => e,
    }
}
