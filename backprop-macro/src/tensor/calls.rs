//! Calls of annotated functions of tensors.
//!
//! In: a call with tensors among its arguments. Out: one operation, whose gradient is the function's own: its `forward` and what it
//! makes of an upstream gradient. A call in a loop's body runs the function again on the way back, as does `backward`. What must hold: the
//! function is in the same file, which says what it takes and returns; rustc checks that it is this one.

use crate::definitions::Definitions;
use crate::errors::{self, Result};
use crate::options::Options;
use crate::tensor::emit::*;
use crate::tensor::fields::{Flat, Part, fields_of, flatten};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, SpanOf, Val, simple};
use crate::tensor::signature::{TensorSig, element, read_tensor};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};

/// An argument.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A value, and whether the function is differentiated with respect to it.
    Value(V, Pass, bool),
    Constant(TokenStream, bool),
}

/// How the function takes it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pass {
    /// `&Array2<T>`.
    Borrowed,
    /// `ArrayView2<T>`.
    View,
    /// `&ArrayRef2<T>`, or a slice of tensors.
    Slice,
    /// `Array2<T>`, or a float.
    Owned,
    /// A float behind a reference.
    Float,
}

impl Lower<'_> {
    /// A call of an annotated function with tensors.
    pub fn annotated(&mut self, c: &syn::ExprCall, path: &syn::ExprPath) -> Result<Val> {
        let callee = self.source.callee(self.function, &path.path);
        let options = callee.as_ref().map(|(f, _)| annotation(f));
        let by_fields = callee.as_ref().and_then(|(f, home)| {
            let errors = errors::Errors::default();
            let floats = crate::signature::float_generics(&f.sig.generics);
            let here = Definitions::new(Vec::new(), self.source, self.function);
            let there = here.beside(floats, home.clone());
            let wrt = options.as_ref().and_then(|o| o.wrt.as_deref());
            let flat = flatten(f, wrt, None, &errors, &there);
            flat.filter(|_| errors.is_empty())
        });
        let differentiated = (callee.as_ref().zip(options.as_ref()))
            .and_then(|((f, _), options)| differentiated(&f.sig, by_fields.as_ref(), options));
        let jvp = options.is_some_and(|o| o.jvp.is_some());
        let signature = callee.map(|f| f.0.sig);
        let Some(signature) = signature.filter(|s| s.inputs.len() == c.args.len()) else {
            return self.reject(c, &errors::TENSOR_CALL);
        };
        if signature.ident == self.sig.ident && path.path.get_ident().is_some() {
            return Err(self.errors.reject_named(
                c,
                &errors::RECURSION,
                &self.sig.ident.to_string(),
            ));
        }
        let floats = crate::signature::float_generics(&signature.generics);
        let mut args = Vec::new();
        let mut handed: Vec<(&syn::Expr, Val, bool)> = Vec::new();
        for (k, a) in c.args.iter().enumerate() {
            let val = self.expr(a)?;
            match (by_fields.as_ref().map(|f| &f.params[k].part), val) {
                (Some(part @ Part::Struct { .. }), val) => {
                    let mut vals = Vec::new();
                    if !parts(part, &val, &mut vals) {
                        return self.reject(a, &errors::TENSOR_CALL);
                    }
                    handed.extend(vals.into_iter().map(|val| (a, val, true)));
                }
                (_, val) => handed.push((a, val, false)),
            }
        }
        let inputs = match &by_fields {
            Some(flat) => &flat.function.sig.inputs,
            None => &signature.inputs,
        };
        for (k, ((a, val, field), p)) in handed.into_iter().zip(inputs).enumerate() {
            let wrt = (differentiated.as_ref()).is_none_or(|all| all.get(k) == Some(&true));
            let syn::FnArg::Typed(p) = p else {
                return self.reject(c, &errors::TENSOR_CALL);
            };
            let (ty, by_ref) = match crate::shape::peel(&p.ty) {
                syn::Type::Reference(r) if r.mutability.is_none() => (&*r.elem, true),
                other => (other, false),
            };
            let tensor = read_tensor(ty, &floats);
            let text = ty.to_token_stream().to_string();
            let pass = match (&tensor, by_ref) {
                (Some(t), true) if t.owned => Pass::Borrowed,
                (Some(t), false) if t.owned => Pass::Owned,
                (Some(_), true) if text.contains("ArrayRef") => Pass::Slice,
                (Some(_), false) if text.contains("ArrayView") => Pass::View,
                (None, true)
                    if matches!(ty, syn::Type::Slice(_))
                        && element(ty).is_some_and(|t| read_tensor(t, &floats).is_some()) =>
                {
                    Pass::Slice
                }
                (None, true) => Pass::Float,
                (None, false) => Pass::Owned,
                _ => return self.reject(a, &errors::TENSOR_CALL),
            };
            args.push(match (val, tensor) {
                (Val::Tensor(v), Some(t)) if self.g.rank(v) == t.rank => Arg::Value(v, pass, wrt),
                // One that has grown here is made of views.
                (Val::List(v), None)
                    if pass == Pass::Slice && matches!(self.g.value(v).op, Op::Param(_)) =>
                {
                    Arg::Value(v, pass, wrt)
                }
                (Val::Scalar(v), None) => Arg::Value(v, pass, wrt),
                (Val::Const(e), None) => {
                    // A field of a struct is a name already.
                    let e = if field { e } else { self.constant(a)? };
                    let tokens = match simple(&e) {
                        true => e.to_token_stream(),
                        false => self.constant_name(e.to_token_stream()).to_token_stream(),
                    };
                    Arg::Constant(tokens, wrt)
                }
                // Floats in a slice, as the function by fields takes them.
                (Val::Const(_), Some(_)) if text.contains("ArrayView1") && by_fields.is_some() => {
                    let e = self.constant(a)?;
                    let view = quote!(::backprop::tensor::ndarray::ArrayView1::from(&(#e)[..]));
                    let at = (a as &dyn ToTokens).span_of();
                    Arg::Value(
                        self.constant_tensor(quote!(#view.to_owned()), Some(1), at),
                        pass,
                        wrt,
                    )
                }
                _ => return self.reject(a, &errors::TENSOR_CALL),
            });
        }
        let rank = match &signature.output {
            syn::ReturnType::Type(_, ty) => match read_tensor(ty, &floats) {
                Some(t) if t.owned => Some(t.rank),
                None if crate::tensor::signature::float_type(ty, &floats) => None,
                _ => return self.reject(c, &errors::TENSOR_CALL),
            },
            syn::ReturnType::Default => return self.reject(c, &errors::TENSOR_CALL),
        };
        let mut function = path.clone();
        if let (Some(_), Some(last)) = (&by_fields, function.path.segments.last_mut()) {
            last.ident = fields_of(&last.ident);
        }
        let op = Op::Call {
            function: function.to_token_stream(),
            args,
            by_fields: by_fields.is_some(),
            jvp,
        };
        let span = (c as &dyn ToTokens).to_token_stream();
        let span = span
            .into_iter()
            .next()
            .map_or(Span::call_site(), |t| t.span());
        Ok(match rank {
            None => Val::Scalar(self.g.push(op, Ty::Scalar, span)),
            Some(rank) => {
                let dim = Dim(self.g.dims.len() as u32);
                let v = self.g.push(op, Ty::Tensor(rank, dim), span);
                self.g.new_dim(DimOp::Of(v), rank);
                Val::Tensor(v)
            }
        })
    }
}

/// What the attribute of an annotated function asks for.
fn annotation(f: &syn::ItemFn) -> Options {
    let is_ours = |a: &&syn::Attribute| {
        let last = a.path().segments.last();
        last.is_some_and(|s| s.ident == "backprop")
    };
    let tokens = match f.attrs.iter().find(is_ours).map(|a| &a.meta) {
        Some(syn::Meta::List(list)) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    Options::parse(tokens, &errors::Errors::default())
}

/// For each parameter of an annotated function, whether it is differentiated.
fn differentiated(
    sig: &syn::Signature,
    flat: Option<&Flat>,
    options: &Options,
) -> Option<Vec<bool>> {
    let errors = errors::Errors::default();
    let read = match flat {
        Some(flat) => {
            let options = flat.options(options);
            TensorSig::read(&flat.function.sig, &options, &flat.constant, &errors)
        }
        None => TensorSig::read(sig, options, &[], &errors),
    };
    Some(read?.params.iter().map(|p| p.active).collect())
}

/// The values of a struct's fields, in the order of the parameters that stand for them.
fn parts(part: &Part, val: &Val, out: &mut Vec<Val>) -> bool {
    match (part, val) {
        (Part::Leaf { .. }, val) => {
            out.push(val.clone());
            true
        }
        (Part::Struct { fields, .. }, Val::Struct(vals, _)) => {
            fields.len() == vals.len()
                && fields
                    .iter()
                    .zip(vals.iter())
                    .all(|((member, part), (name, _, val))| member == name && parts(part, val, out))
        }
        _ => false,
    }
}

/// What a call leaves for its backward pass.
fn saved(v: V) -> proc_macro2::Ident {
    format_ident!("__saved{}", v.0, span = Span::mixed_site())
}

impl Emit<'_> {
    /// What is passed, and lets that it needs; `again` where parameters are not in scope.
    fn argument(&self, v: V, arg: &Arg, again: bool, lets: &mut TokenStream) -> TokenStream {
        let (of, pass) = match arg {
            Arg::Constant(tokens, _) => return tokens.clone(),
            Arg::Value(of, pass, _) => (*of, *pass),
        };
        let (t, s) = (tensor_name(of), scalar_name(of));
        match (self.g.value(of).ty, pass) {
            (Ty::Scalar, Pass::Float) => return quote!(&#s),
            (Ty::Scalar, _) => return s.to_token_stream(),
            (Ty::List(_), _) => return t.to_token_stream(),
            (_, Pass::View) => return quote!(#t.view()),
            (_, Pass::Slice) => return quote!(&#t),
            (_, Pass::Owned) => return quote!(#t.to_owned()),
            _ => {}
        }
        match &self.g.value(of).op {
            Op::Param(k) if !again => {
                let p = &self.sig.params[*k];
                let ident = &p.ident;
                if crate::tensor::signature::is_owned(&p.ty, self.sig) {
                    return if p.by_ref {
                        quote!(#ident)
                    } else {
                        quote!(&#ident)
                    };
                }
            }
            Op::Param(_) | Op::View(..) | Op::Item(..) | Op::Inside { .. } | Op::After { .. } => {}
            _ if !again => {
                let own = format_ident!("__own{}", t, span = Span::mixed_site());
                return quote!(#own);
            }
            _ => {}
        }
        // It is needed as an array of its own.
        let own = format_ident!("__own{}_{}", v.0, of.0, span = Span::mixed_site());
        lets.extend(quote!(let #own = #t.to_owned();));
        quote!(&#own)
    }

    /// The call, forward.
    pub fn call(&self, v: V, function: &TokenStream, args: &[Arg], by_fields: bool) -> Line {
        let (value, saved) = (self.g.value(v), saved(v));
        let (mut lets, mut lets_again) = (TokenStream::new(), TokenStream::new());
        let spell = |again: bool, lets: &mut TokenStream| -> Vec<TokenStream> {
            args.iter()
                .map(|a| self.argument(v, a, again, lets))
                .collect()
        };
        let spelt = spell(false, &mut lets);
        let again = spell(true, &mut lets_again);
        self.hold(
            &saved,
            Held::Again(quote!(#lets_again let #saved = #function::residuals(#(#again),*);)),
        );
        let mut names = Vec::new();
        if value.active {
            names.push(saved.to_string());
        }
        let call = if value.active && value.region == 0 {
            quote!(#lets let (__value, #saved) = #function::forward(#(#spelt),*);)
        } else if by_fields {
            // The plain function takes structs.
            quote!(#lets let __value = #function::forward(#(#spelt),*).0;)
        } else {
            quote!(#lets let __value = #function(#(#spelt),*);)
        };
        let (name, bound) = self.bound(v, quote!(__value));
        names.push(name.to_string());
        Line {
            names,
            tokens: quote!(#call #bound),
            again: Again::Keep,
        }
    }

    /// What a call returns, in its place: the name, and the statements.
    fn bound(&self, v: V, value: TokenStream) -> (proc_macro2::Ident, TokenStream) {
        match self.g.value(v).ty {
            Ty::Tensor(rank, _) => {
                let t = tensor_name(v);
                let slot = self.slot(&t, rank);
                self.hold(&t, Held::Slot(rank));
                let show = self.show(&t);
                let tokens = quote!(let #t = ::backprop::tensor::hold(#slot, #value); #show);
                (t, tokens)
            }
            _ => {
                let (s, t) = (scalar_name(v), self.sig.elem.tokens());
                self.hold(&s, Held::Scalar);
                let tokens = quote!(let #s: #t = #value;);
                (s, tokens)
            }
        }
    }

    /// The call of a `jvp`: the value and its tangent.
    pub fn call_tangent(&self, v: V, of: V, tangents: &[V]) -> Line {
        let Op::Call { function, args, .. } = &self.g.value(of).op else {
            return Line::none();
        };
        let mut lets = TokenStream::new();
        let spelt: Vec<TokenStream> = (args.iter())
            .map(|a| self.argument(of, a, false, &mut lets))
            .collect();
        let tangents = tangents.iter().map(|&t| match self.g.value(t).ty {
            Ty::Tensor(..) => {
                let t = tensor_name(t);
                quote!(&#t)
            }
            Ty::List(_) => tensor_name(t).to_token_stream(),
            Ty::Scalar => scalar_name(t).to_token_stream(),
        });
        let (value, value_bound) = self.bound(of, quote!(__value));
        let (tangent, tangent_bound) = self.bound(v, quote!(__tangent));
        Line {
            names: vec![value.to_string(), tangent.to_string()],
            tokens: quote! {
                #lets
                let (__value, __tangent) = #function::jvp(#(#spelt,)* #(#tangents),*);
                #value_bound
                #tangent_bound
            },
            again: Again::Keep,
        }
    }

    /// The call, backward; each gradient into its place.
    pub fn call_back(
        &self,
        v: V,
        adds: &[(V, bool)],
        started: &mut std::collections::BTreeSet<V>,
    ) -> TokenStream {
        let Op::Call { function, args, .. } = &self.g.value(v).op else {
            return TokenStream::new();
        };
        let (saved, d) = (saved(v), adjoint(v));
        let up = match self.g.is_tensor(v) {
            true => quote!(#d.view().to_owned()),
            false => quote!(#d),
        };
        let (mut names, mut ends) = (Vec::new(), TokenStream::new());
        // What was not taken is not run backward: then what would be written first are zeros.
        let masked = self.masks.masked.contains(&v);
        let (mut starts, mut floats) = (TokenStream::new(), Vec::new());
        let zero = self.zero();
        let mut adds = adds.iter();
        for (k, arg) in args.iter().enumerate() {
            let o = match arg {
                Arg::Value(o, _, true) if self.g.active(*o) => *o,
                _ => {
                    names.push(quote!(_));
                    continue;
                }
            };
            let Some((_, add)) = adds.next() else {
                continue;
            };
            let g = format_ident!("__g{}", k);
            ends.extend(match self.g.value(o).ty {
                Ty::Scalar => {
                    floats.push((o, g.clone(), *add));
                    TokenStream::new()
                }
                Ty::List(_) => {
                    let d = adjoint(o);
                    quote! {
                        for (__to, __from) in #d.iter_mut().zip(&#g) {
                            ::backprop::tensor::copy(__from.view(), __to.view_mut(), true);
                        }
                    }
                }
                Ty::Tensor(..) => {
                    let (start, place) = (self.start(o, started), self.place(o));
                    starts.extend(start);
                    if masked && !add {
                        starts.extend(quote!(::backprop::tensor::fill(#zero, #place, false);));
                    }
                    quote!(::backprop::tensor::copy(#g.view(), #place, #add);)
                }
            });
            names.push(g.to_token_stream());
        }
        let run = quote! {
            let (#(#names,)*) = #function::__pullback(&#saved, #up);
            #ends
        };
        let own = floats.iter().map(|f| &f.1);
        let adds = floats
            .iter()
            .map(|(o, g, add)| self.scalar_add(*o, quote!(#g), *add));
        if !masked {
            return quote!(#starts #run #(#adds)*);
        }
        let (zeros, names) = (floats.iter().map(|_| &zero), own.clone());
        let reached = match self.g.is_tensor(v) {
            true => quote!(#d.iter().any(|&__d| __d != #zero)),
            false => quote!(#d != #zero),
        };
        quote! {
            #starts
            let (#(#names,)*) = if #reached { #run (#(#own,)*) } else { (#(#zeros,)*) };
            #(#adds)*
        }
    }
}
