//! Calls of annotated functions: what is handed over, and what comes back.
//!
//! In: a path or a method, and the values of the arguments. Out: a [`Call`] whose arguments and results are scalars and arrays,
//! whatever tuples and structs these are parts of. An attribute macro sees one function at a time: the signature of the one
//! called is read in its file (`source.rs`). Where it is not found the call is taken to return a scalar, or nothing if it changes a
//! `&mut` argument. What must hold: whatever was assumed of the function is in the types of the emitted code, so that rustc
//! rejects what is not so.

use super::Lower;
use super::target::Destination;
use super::value::Val;
use crate::definitions::Definitions;
use crate::errors::{self, Errors, Result};
use crate::graph::{Argument, Call, CallId, Callee, Form, Id, Pass, Passed, Place, Returned, Stmt};
use crate::options::Options;
use crate::shape::{Length, Shape, peel};
use crate::signature::{Param, float_generics};
use crate::source::Home;
use crate::types::{Kind, Ty};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use std::collections::HashMap;
use syn::ext::IdentExt;

/// An argument as it is written.
pub(super) enum Given {
    /// A value, whether it is borrowed for the call, and how it is written.
    Value(Val, bool, TokenStream),
    /// `&mut place`.
    Place(Destination, syn::Expr),
    /// Constant Rust, as the method takes it.
    Tokens(TokenStream),
}

/// The function called, as far as the files tell.
pub(super) struct Known {
    pub(super) params: Vec<(syn::Type, bool)>,
    pub(super) output: Option<syn::Type>,
    /// The names of its generic floats and constants.
    pub(super) floats: Vec<Ident>,
    pub(super) lengths: Vec<Ident>,
    /// The name of its derivatives, and whether it is another than the function's.
    pub namespace: Ident,
    pub(super) named_apart: bool,
    /// Whether it has a `jvp`.
    pub(super) has_jvp: bool,
    /// Where its types are named; `None` for the function that is differentiated itself.
    pub(super) home: Option<Home>,
}

impl Known {
    /// Reads a signature; `None` where it is none that scalar calls can follow.
    pub fn read((item, home): (syn::ItemFn, Home), of: Option<&syn::Type>) -> Option<Known> {
        let attr = item.attrs.iter().find(|a| {
            let last = a.path().segments.last();
            last.is_some_and(|s| s.ident == "backprop")
        })?;
        let tokens = match &attr.meta {
            syn::Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        let options = Options::parse(tokens, &Errors::default());
        let wrt = |name: &str| {
            let names = options.wrt.as_ref();
            names.map(|all| all.iter().any(|n| n == name))
        };
        let mut params = Vec::new();
        for input in &item.sig.inputs {
            params.push(match input {
                syn::FnArg::Receiver(r) => {
                    let of = of?;
                    let ty = match &r.kind {
                        syn::ReceiverKind::Reference(_, _, Some(_)) => syn::parse_quote!(&mut #of),
                        syn::ReceiverKind::Reference(..) => syn::parse_quote!(&#of),
                        syn::ReceiverKind::Value => of.clone(),
                        _ => return None,
                    };
                    (ty, wrt("self") != Some(true))
                }
                syn::FnArg::Typed(p) => {
                    let syn::Pat::Ident(name) = &*p.pat else {
                        return None;
                    };
                    let name = name.ident.to_string();
                    let constant = wrt(name.trim_start_matches("r#")) == Some(false);
                    ((*p.ty).clone(), constant)
                }
            });
        }
        if crate::tensor::names_tensors(&item.sig) {
            return None;
        }
        Some(Known {
            params,
            output: match &item.sig.output {
                syn::ReturnType::Default => None,
                syn::ReturnType::Type(_, ty) => Some((**ty).clone()),
            },
            floats: float_generics(&item.sig.generics),
            lengths: (item.sig.generics.const_params())
                .map(|c| c.ident.clone())
                .collect(),
            named_apart: options.namespace.is_some(),
            has_jvp: options.jvp.is_some(),
            namespace: options.namespace.unwrap_or_else(|| item.sig.ident.clone()),
            home: Some(home),
        })
    }

    /// Whether parameter `k` is taken by `&mut`.
    pub fn takes_place(&self, k: usize) -> bool {
        (self.params.get(k)).is_some_and(
            |p| matches!(peel(&p.0), syn::Type::Reference(r) if r.mutability.is_some()),
        )
    }

    /// Whether the first parameter is taken by reference.
    fn borrows_first(&self) -> bool {
        (self.params.first()).is_some_and(|p| matches!(peel(&p.0), syn::Type::Reference(_)))
    }

    /// Where the derivatives of an associated function stand.
    pub fn beside(&self, of: &syn::Type) -> Callee {
        Callee::Associated {
            of: of.to_token_stream(),
            prefix: self.namespace.unraw().to_string(),
        }
    }

    pub fn returns_scalar(&self) -> bool {
        match &self.output {
            Some(ty) => {
                let names = Definitions::of_generics(self.floats.clone());
                matches!(Shape::parse(ty, &names), Shape::Float(_))
            }
            None => false,
        }
    }
}

/// What stands for the generic parameters of the function called.
#[derive(Default)]
pub(super) struct Generic {
    pub(super) floats: HashMap<String, Ty>,
    pub(super) lengths: HashMap<String, Length>,
}

/// What is called, and how it is named.
pub(super) struct Target {
    pub path: TokenStream,
    pub callee: Callee,
    pub name: String,
    pub known: Option<Known>,
    /// The type that the user wrote for the result.
    pub expected: Option<syn::Type>,
}

/// A call in the making.
pub(super) struct Making {
    pub(super) id: CallId,
    pub(super) args: Vec<Argument>,
    pub(super) results: Vec<Returned>,
    pub(super) outs: Vec<Id>,
}

impl Lower<'_> {
    /// The signature of the annotated function that a path means; the function itself included.
    pub(super) fn known(&self, path: &syn::Path) -> Option<Known> {
        if path.is_ident(&self.sig.ident) && !self.sig.associated {
            let sig = self.sig;
            return Some(Known {
                params: (sig.params.iter())
                    .map(|p| (p.ty.clone(), !p.active && p.shape.has_floats()))
                    .collect(),
                output: sig.result.clone(),
                floats: sig.names.floats.clone(),
                lengths: sig
                    .generics
                    .const_params()
                    .map(|c| c.ident.clone())
                    .collect(),
                named_apart: sig.namespace != sig.ident,
                // Only asked where it is made.
                has_jvp: true,
                namespace: sig.namespace.clone(),
                home: None,
            });
        }
        Known::read(self.sig.names.callee(path)?, None)
    }

    /// Whether the function is differentiated with respect to `self`, so that it is a variable.
    pub(super) fn has_self(&self) -> bool {
        self.sig.params.iter().any(Param::is_self)
    }

    /// The annotated function of a type that a path means: `Spring::rest`.
    pub(super) fn associated(&self, path: &syn::Path) -> Option<(syn::Type, Known)> {
        let mut of = path.clone();
        let name = of.segments.pop()?.ident.to_string();
        of.segments.pop_punct();
        let of: syn::Path = syn::parse2(of.to_token_stream()).ok()?;
        let last = of.segments.last()?.ident.to_string();
        if !last.chars().next().is_some_and(char::is_uppercase) {
            return None;
        }
        let ty: syn::Type = match (last == "Self").then(|| self.sig.names.implementor()) {
            Some(found) => found?,
            None => syn::parse_quote!(#of),
        };
        let syn::Type::Path(p) = peel(&ty) else {
            return None;
        };
        let item = self.sig.names.method(&p.path, &name)?;
        // A method that calls itself: its residuals would hold themselves.
        if self.sig.associated && self.sig.ident == name {
            return None;
        }
        let known = Known::read(item, Some(&ty))?;
        Some((ty, known))
    }

    /// A method of a struct: one of its own that is annotated.
    pub(super) fn struct_method(
        &mut self,
        x: &syn::ExprMethodCall,
        name: &str,
        receiver: Val,
        of: &syn::Path,
    ) -> Result<Val> {
        if x.turbofish.is_some() {
            return self.reject(&x.method, &errors::UNKNOWN_METHOD);
        }
        if self.sig.associated && self.sig.ident == name {
            return self.errors_named(&x.method, &errors::RECURSION, name);
        }
        let ty: syn::Type = syn::parse_quote!(#of);
        let item = self.sig.names.method(of, name);
        let Some(known) = item.and_then(|item| Known::read(item, Some(&ty))) else {
            return self.errors_named(&x.method, &errors::METHOD_NOT_ANNOTATED, name);
        };
        let first = if known.takes_place(0) {
            let receiver = &x.receiver;
            let to = match self.operand(receiver)? {
                Val::MutRef(var, path) => Destination::Var(var, path),
                _ => self.target(receiver)?,
            };
            Given::Place(to, (**receiver).clone())
        } else {
            let at = x.receiver.to_token_stream();
            Given::Value(receiver, known.borrows_first(), at)
        };
        let args: Vec<&syn::Expr> = x.args.iter().collect();
        let mut given = vec![first];
        given.extend(self.given(&args, &Some(&known), 1, false)?);
        self.method_of(x, name, &ty, known, given)
    }

    fn method_of(
        &mut self,
        x: &syn::ExprMethodCall,
        name: &str,
        of: &syn::Type,
        known: Known,
        given: Vec<Given>,
    ) -> Result<Val> {
        let method = &x.method;
        let target = Target {
            path: quote!(<#of>::#method),
            callee: known.beside(of),
            name: name.to_owned(),
            known: Some(known),
            expected: None,
        };
        self.annotated(target, given, x)
    }

    /// A method of `self`, which is constant here.
    pub(super) fn constant_self(&mut self, x: &syn::ExprMethodCall, name: &str) -> Result<Val> {
        let known = self.sig.names.implementor().and_then(|of| {
            let syn::Type::Path(p) = peel(&of) else {
                return None;
            };
            let item = self.sig.names.method(&p.path, name)?;
            Known::read(item, Some(&of)).map(|known| (of, known))
        });
        let own = self.sig.receiver.as_ref().map(|r| &r.kind);
        let (Some((of, known)), Some(own)) = (known, own) else {
            return self.errors_named(&x.method, &errors::SELF_CALL, "self");
        };
        if self.sig.ident == name {
            return self.errors_named(&x.method, &errors::RECURSION, name);
        }
        let borrowed = matches!(own, syn::ReceiverKind::Reference(..));
        let first = match (borrowed, known.borrows_first()) {
            // What the method changes of a constant would have to be known.
            _ if known.takes_place(0) || x.turbofish.is_some() => {
                return self.errors_named(&x.method, &errors::SELF_CALL, "self");
            }
            (true, true) | (false, false) => quote!(self),
            (true, false) => quote!(*self),
            (false, true) => quote!(&self),
        };
        let args: Vec<&syn::Expr> = x.args.iter().collect();
        let mut given = vec![Given::Tokens(first)];
        given.extend(self.given(&args, &Some(&known), 1, false)?);
        self.method_of(x, name, &of, known, given)
    }

    /// A call of an annotated function.
    pub(super) fn annotated(
        &mut self,
        target: Target,
        given: Vec<Given>,
        at: &impl ToTokens,
    ) -> Result<Val> {
        let known = target.known.as_ref();
        if known.is_some_and(|k| k.params.len() != given.len()) {
            return self.errors_named(at, &errors::CALL_ARGUMENTS, &target.name);
        }
        let mut generic = Generic::default();
        for name in known.iter().flat_map(|k| &k.floats) {
            let ty = self.g.types.fresh(Kind::AnyFloat);
            generic.floats.insert(name.to_string(), ty);
        }
        let mut making = Making {
            id: CallId(self.g.calls.len() as u32),
            args: Vec::new(),
            results: Vec::new(),
            outs: Vec::new(),
        };
        let mut passed = Vec::new();
        let mut places = Vec::new();
        let changes = given.iter().any(|g| matches!(g, Given::Place(..)));
        let nothing = match known {
            Some(k) => k.output.is_none(),
            None => changes,
        };
        for (k, given) in given.into_iter().enumerate() {
            let param = known.map(|f| f.params[k].clone());
            let constant = param.as_ref().is_some_and(|p| p.1);
            let shape = param.as_ref().map(|p| self.shape_there(&p.0, known));
            let by_ref = |syntax| match &param {
                Some((ty, _)) => matches!(peel(ty), syn::Type::Reference(_)),
                None => syntax,
            };
            match given {
                Given::Tokens(t) => passed.push(Passed {
                    form: Form::Tokens(t),
                    pass: Pass::Value,
                    constant,
                    at: TokenStream::new(),
                }),
                Given::Value(val, borrowed, at) => {
                    let borrowed = match &val {
                        Val::View(view) => by_ref(view.borrow.is_ref()),
                        _ => by_ref(borrowed),
                    };
                    self.match_shape(&val, shape.as_ref(), known, &mut generic);
                    let whole = self.borrowed_whole(&val).filter(|_| borrowed);
                    let form = match whole {
                        Some(reference) => {
                            making.args.push(Argument::Scalar { value: reference });
                            let parts = self.parts_of_whole(val, &mut making);
                            Form::Whole(reference, Box::new(parts))
                        }
                        None => self.argument(val, &mut making, &at)?,
                    };
                    passed.push(Passed {
                        form,
                        pass: if borrowed { Pass::Ref } else { Pass::Value },
                        constant,
                        at,
                    });
                }
                Given::Place(to, expr) => {
                    if !nothing {
                        return self.errors_named(&expr, &errors::CALL_IN_OUT, &target.name);
                    }
                    let val = self.fetch(&to, &expr)?;
                    let val = match val {
                        Val::MutRef(var, path) => self.read_along(var, &path),
                        // A part of an array is copied out, and back.
                        Val::View(view) if view.window.is_some() => {
                            Val::View(self.copied(&view, "part"))
                        }
                        val => val,
                    };
                    self.match_shape(&val, shape.as_ref(), known, &mut generic);
                    let form = self.argument(val.clone(), &mut making, &expr)?;
                    let at = expr.to_token_stream();
                    places.push((passed.len(), to, expr, val));
                    passed.push(Passed {
                        form,
                        pass: Pass::Value,
                        constant,
                        at,
                    });
                }
            }
        }
        // What comes back.
        let mut changed = Vec::new();
        for (k, to, expr, before) in places {
            let (after, form) = self.left_behind(&before, &mut making, &expr)?;
            passed[k].pass = Pass::Mut(form);
            changed.push((to, expr, before, after));
        }
        let output = match known {
            Some(k) => k.output.clone(),
            None => target.expected.clone(),
        };
        let (val, returns) = match (nothing, output) {
            (true, _) => (Val::Unit, None),
            (false, Some(ty)) => {
                let shape = self.shape_there(&ty, known);
                let (val, form) = self.returned(&shape, &generic, known, &mut making, at)?;
                (val, Some(form))
            }
            (false, None) => {
                let ty = self.g.types.fresh(Kind::AnyFloat);
                let (id, form) = self.scalar_result(ty, &mut making);
                (Val::Num(id), Some(form))
            }
        };
        let n = making.args.len();
        let span = at.to_token_stream().into_iter().next();
        let arrays = making.results.iter().filter_map(|r| match r {
            Returned::Array(a) => Some(*a),
            Returned::Scalar(_) => None,
        });
        let arrays: Vec<_> = arrays.collect();
        self.g.calls.push(Call {
            path: target.path,
            callee: target.callee,
            args: making.args,
            passed,
            results: making.results,
            returns,
            outs: making.outs,
            upstream: Vec::new(),
            incoming: vec![None; arrays.len()],
            gradients: vec![None; n],
            shadows: vec![None; n],
            changed: Vec::new(),
            has_jvp: known.map(|k| k.has_jvp),
            span: span.map_or_else(Span::call_site, |t| t.span()),
        });
        self.g.push(Stmt::Call(making.id));
        for array in arrays {
            self.g.push(Stmt::Declare(array));
            let dynamic = matches!(self.g.array(array).shape, Shape::Vec(_));
            if dynamic && self.g.array(array).len.is_none() {
                let place = Place {
                    array,
                    path: Vec::new(),
                };
                let len = self.place_len(&place);
                self.g.array_mut(array).len = Some(len);
            }
        }
        for (to, expr, before, after) in changed {
            match (before, after) {
                (Val::View(place), Val::View(after)) => {
                    self.g.copy(place.place.clone(), after.place, false);
                    if matches!(&to, Destination::View(v) if v.window.is_some()) {
                        self.put(to, Val::View(place), &expr, &expr)?;
                    }
                }
                (_, after) => self.put(to, after, &expr, &expr)?,
            }
        }
        Ok(val)
    }

    /// The namespace of a function's derivatives: its path without generic arguments, under the name that `as` gave it.
    pub(super) fn namespace_of(&self, path: &syn::Path, known: Option<&Known>) -> TokenStream {
        if path.is_ident(&self.sig.ident) {
            return self.sig.namespace.to_token_stream();
        }
        let mut path = path.clone();
        if let Some(last) = path.segments.last_mut() {
            last.arguments = syn::PathArguments::None;
            // The path may be another name for the function, which its derivatives have too.
            if let Some(k) = known.filter(|k| k.named_apart) {
                last.ident = Ident::new(&k.namespace.to_string(), last.ident.span());
            }
        }
        quote!(#path)
    }
}
