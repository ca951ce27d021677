//! Calls of annotated functions in the backward pass: the upstream gradient that is handed over, and where the gradients
//! that come back are added.

use super::Emit;
use crate::graph::*;
use crate::shape::Shape;
use crate::signature::local;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

impl Emit<'_> {
    pub(super) fn pullback(&self, c: CallId) -> TokenStream {
        let call = self.g().call(c);
        let saved = local(&format!("call{}_saved", c.0));
        let mut out = TokenStream::new();
        if !self.direct.contains(&c) {
            let forward = call.callee.derivative("forward");
            let (before, args) = self.arguments(c, true);
            let value = local(&format!("call{}", c.0));
            let start = self.start_upstream(c, quote!(#value), true);
            let pattern = if start.is_empty() {
                quote!(_)
            } else {
                quote!(#value)
            };
            out.extend(quote!(#before let (#pattern, #saved) = #forward(#(#args),*); #start));
        }
        let (set, upstream) = self.upstream(c);
        out.extend(set);
        let grads = local(&format!("call{}_gradients", c.0));
        let pull = call.callee.derivative("__pullback");
        let receiver = match (&call.callee, call.passed.first()) {
            (Callee::Associated { .. }, Some(p)) if matches!(p.form, Form::Tokens(_)) => {
                let Form::Tokens(t) = &p.form else {
                    return out;
                };
                quote!(#t,)
            }
            _ => TokenStream::new(),
        };
        out.extend(quote!(let #grads = #pull(#receiver &#saved, #upstream);));
        for (k, p) in call.passed.iter().enumerate() {
            let k = syn::Index::from(k);
            self.gradients(call, &p.form, quote!(#grads.#k), &mut out);
        }
        out
    }

    /// Takes the gradients of an argument's scalars, and adds those of its arrays to their adjoints.
    fn gradients(&self, call: &Call, form: &Form, part: TokenStream, out: &mut TokenStream) {
        match form {
            Form::Leaf(k) => {
                if let Some(d) = call.gradients[*k].filter(|d| self.live.has(self.g(), *d)) {
                    let name = self.name(d);
                    out.extend(quote!(let #name = #part;));
                }
                if let (Some(p), Argument::Array { place, .. }) =
                    (&call.shadows[*k], &call.args[*k])
                    && self.live.has_array(p.array)
                {
                    let (to, from) = (self.g().shape_at(p), self.g().shape_at(place));
                    out.extend(self.add_all((&to, self.place(p)), (&from, part)));
                }
            }
            Form::Parts(shape, all) => {
                for ((m, _), f) in shape.parts().unwrap_or_default().iter().zip(all) {
                    self.gradients(call, f, quote!(#part.#m), out);
                }
            }
            Form::Tokens(_) | Form::Tangent(..) => {}
            Form::Whole(_, parts) => self.gradients(call, parts, part, out),
        }
    }

    /// The results whose adjoints the callee's backward pass takes: the returned value, or what `&mut` arguments hold.
    fn answered<'c>(&self, call: &'c Call) -> Vec<(Option<usize>, &'c Form)> {
        match &call.returns {
            Some(form) => vec![(None, form)],
            None => call
                .passed
                .iter()
                .enumerate()
                .filter_map(|(k, p)| match &p.pass {
                    Pass::Mut(form) if self.has_floats(call, form) => Some((Some(k), form)),
                    _ => None,
                })
                .collect(),
        }
    }

    pub(super) fn has_floats(&self, call: &Call, form: &Form) -> bool {
        match form {
            Form::Leaf(r) => match call.results[*r] {
                Returned::Scalar(id) => self.g().is_float(id),
                Returned::Array(a) => self.g().array(a).shape.has_floats(),
            },
            Form::Parts(_, all) => all.iter().any(|f| self.has_floats(call, f)),
            Form::Tokens(_) | Form::Whole(..) | Form::Tangent(..) => false,
        }
    }

    /// The shadow of an array among the results.
    fn incoming<'c>(&self, call: &'c Call, array: ArrayId) -> Option<&'c Place> {
        let at = call.arrays().position(|a| a == array)?;
        call.incoming.get(at)?.as_ref()
    }

    /// Whether the upstream gradient must start from zeros shaped like a value: a struct's gradient has no other way to be
    /// made, nor an array whose length is known at run time only.
    fn starts_from_value(&self, call: &Call, form: &Form) -> bool {
        match form {
            Form::Leaf(r) => match call.results[*r] {
                Returned::Scalar(_) => false,
                Returned::Array(a) => {
                    self.incoming(call, a).is_none()
                        && self.zeros(&self.g().array(a).shape).is_none()
                }
            },
            Form::Parts(Shape::Struct(_), _) => self.has_floats(call, form),
            Form::Parts(_, all) => all.iter().any(|f| self.starts_from_value(call, f)),
            Form::Tokens(_) | Form::Whole(..) | Form::Tangent(..) => false,
        }
    }

    fn seed(&self, c: CallId, k: Option<usize>) -> Ident {
        let k = k.map_or(String::new(), |k| k.to_string());
        local(&format!("call{}_seed{k}", c.0))
    }

    pub(super) fn start_upstream(
        &self,
        c: CallId,
        returned: TokenStream,
        again: bool,
    ) -> TokenStream {
        let call = self.g().call(c);
        let mut out = TokenStream::new();
        for (k, form) in self.answered(call) {
            if !self.starts_from_value(call, form) {
                continue;
            }
            let value = match k {
                None => returned.clone(),
                Some(k) => match &call.passed[k].form {
                    Form::Leaf(a) if !again => match &call.args[*a] {
                        Argument::Array { place, .. } => self.whole(place),
                        Argument::Scalar { .. } => TokenStream::new(),
                    },
                    _ => {
                        let name = self.temporary(c, k);
                        quote!(#name)
                    }
                },
            };
            let (name, zeros) = (self.seed(c, k), self.seed_zeros(call, form, value));
            out.extend(quote!(let mut #name = #zeros;));
        }
        out
    }

    fn seed_zeros(&self, call: &Call, form: &Form, value: TokenStream) -> TokenStream {
        match form {
            Form::Leaf(r) => match call.results[*r] {
                Returned::Scalar(id) if self.g().is_float(id) => self.zero(self.g().ty(id)),
                Returned::Array(a) => self.zeros_like(&self.g().array(a).shape, &value),
                Returned::Scalar(_) => quote!(()),
            },
            Form::Parts(Shape::Struct(_), _) if self.has_floats(call, form) => {
                quote!(::backprop::Differentiable::zero_gradient(&#value))
            }
            Form::Parts(shape, all) => {
                let parts = shape.parts().unwrap_or_default();
                let all = parts.iter().zip(all);
                let all = all.map(|((m, _), f)| self.seed_zeros(call, f, quote!(#value.#m)));
                quote!((#(#all,)*))
            }
            Form::Tokens(_) | Form::Whole(..) | Form::Tangent(..) => quote!(()),
        }
    }

    /// The upstream gradient, and the statements that complete it.
    fn upstream(&self, c: CallId) -> (TokenStream, TokenStream) {
        let call = self.g().call(c);
        let mut set = TokenStream::new();
        let mut parts: Vec<TokenStream> = self
            .answered(call)
            .into_iter()
            .map(|(k, form)| {
                if self.starts_from_value(call, form) {
                    let name = self.seed(c, k);
                    self.set_seed(call, form, quote!(#name), &mut set);
                    quote!(#name)
                } else {
                    let seed = self.spell_seed(call, form);
                    match form {
                        // An array that the callee took as a slice has a `Vec` there.
                        Form::Leaf(r) if k.is_some() => match call.results[*r] {
                            Returned::Array(a)
                                if matches!(self.g().array(a).shape, Shape::Array(..)) =>
                            {
                                quote!(::core::convert::Into::into(#seed))
                            }
                            _ => seed,
                        },
                        _ => seed,
                    }
                }
            })
            .collect();
        let all = match parts.len() {
            1 => parts.pop().unwrap_or_default(),
            _ => quote!((#(#parts),*)),
        };
        (set, all)
    }

    fn adjoint_of(&self, call: &Call, result: Returned) -> Option<TokenStream> {
        match result {
            Returned::Scalar(id) if self.g().is_float(id) => {
                let at = call.outs.iter().position(|o| *o == id)?;
                call.upstream.get(at).map(|d| self.value(*d))
            }
            Returned::Scalar(_) => None,
            Returned::Array(a) => {
                let place = self.incoming(call, a)?;
                let whole = self.whole(place);
                Some(match self.g().shape_at(place) {
                    // Nothing reads it any more.
                    Shape::Vec(_) | Shape::Slice(_) => quote!(::core::mem::take(&mut #whole)),
                    shape if shape.is_fixed() => whole,
                    _ => quote!(::core::clone::Clone::clone(&#whole)),
                })
            }
        }
    }

    fn spell_seed(&self, call: &Call, form: &Form) -> TokenStream {
        match form {
            Form::Leaf(r) => match self.adjoint_of(call, call.results[*r]) {
                Some(d) => d,
                None => match call.results[*r] {
                    Returned::Array(a) => self
                        .zeros(&self.g().array(a).shape)
                        .unwrap_or_else(|| quote!(())),
                    Returned::Scalar(_) => quote!(()),
                },
            },
            Form::Parts(_, all) => {
                let all = all.iter().map(|f| self.spell_seed(call, f));
                quote!((#(#all,)*))
            }
            Form::Tokens(_) | Form::Whole(..) | Form::Tangent(..) => quote!(()),
        }
    }

    fn set_seed(&self, call: &Call, form: &Form, to: TokenStream, out: &mut TokenStream) {
        match form {
            Form::Leaf(r) => {
                if let Some(d) = self.adjoint_of(call, call.results[*r]) {
                    out.extend(quote!(#to = #d;));
                }
            }
            Form::Parts(shape, all) => {
                for ((m, _), f) in shape.parts().unwrap_or_default().iter().zip(all) {
                    self.set_seed(call, f, quote!(#to.#m), out);
                }
            }
            Form::Tokens(_) | Form::Whole(..) | Form::Tangent(..) => {}
        }
    }
}
