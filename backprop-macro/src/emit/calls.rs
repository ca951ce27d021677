//! Calls of other annotated functions: what they are given, and the forward pass.
//!
//! A call binds the scalars and arrays of its results. Where the pullback stands in the same run of the region it uses what
//! the callee's forward pass kept; otherwise that pass is run again, from arguments that `keep` made available.

use super::Emit;
use crate::graph::*;
use crate::shape::Shape;
use crate::signature::local;
use crate::types::Kind;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

impl Emit<'_> {
    /// Whether a call's residuals are used where its pullback stands.
    fn is_direct(&self, c: CallId) -> bool {
        self.direct.contains(&c) && self.live.stmt(self.g(), &Stmt::Pullback(c))
    }

    /// The calls of the program whose result stays where it is passed by `&mut`.
    pub(super) fn find_in_place(&mut self) {
        for call in &self.g().calls {
            self.in_place
                .extend(call.in_place().map(|(after, place)| (after, place.clone())));
        }
        let g = self.g();
        let tapes = g.loops.iter().flat_map(|l| l.tape.iter().copied());
        let slots = g.ifs.iter().flat_map(|b| &b.slots);
        let yielded = slots.flat_map(|s| [s.then, s.otherwise]);
        let saved = self.p.back.iter().flat_map(|b| &g.region(*b).stmts);
        let saved = saved.filter_map(|s| match s {
            Stmt::ReadSaved(id) => Some(*id),
            _ => None,
        });
        let all: Vec<Id> = tapes.chain(yielded).chain(saved).collect();
        self.kept
            .extend(all.into_iter().filter(|id| g.whole_shape(*id).is_some()));
    }

    // ---- arrays as they were ----

    /// An array that a call is given, owned.
    fn owned_array(&self, place: &Place) -> TokenStream {
        let whole = self.whole(place);
        match self.g().shape_at(place) {
            Shape::Slice(_) => quote!(#whole.to_vec()),
            shape if shape.is_fixed() => whole,
            _ => quote!(::core::clone::Clone::clone(&#whole)),
        }
    }

    /// What an array holds, for a pullback: borrowed where it is the same until then.
    pub(super) fn hold(&self, id: Id, again: bool) -> TokenStream {
        let Node::Whole(place, _) = self.g().node(id) else {
            return TokenStream::new();
        };
        let name = self.name(id);
        if again {
            let whole = self.whole(place);
            return quote!(let #name = &#whole;);
        }
        if !self.kept.contains(&id) {
            return TokenStream::new();
        }
        let owned = self.owned_array(place);
        quote!(let #name = #owned;)
    }

    /// The type of a node that stands for a whole array.
    pub(super) fn whole_type(&self, shape: &Shape) -> Option<TokenStream> {
        Some(match shape {
            Shape::Float(f) => f.tokens(),
            Shape::Scalar(ty) => self.g().types.tokens(*ty)?,
            Shape::Array(s, n) => {
                let s = self.whole_type(s)?;
                quote!([#s; #n])
            }
            Shape::Slice(s) | Shape::Vec(s) => {
                let s = self.whole_type(s)?;
                quote!(::std::vec::Vec<#s>)
            }
            Shape::Tuple(all) => {
                let all: Option<Vec<TokenStream>> =
                    all.iter().map(|s| self.whole_type(s)).collect();
                let all = all?;
                quote!((#(#all,)*))
            }
            Shape::Struct(s) => {
                let path = &s.path;
                quote!(#path)
            }
            Shape::Constant(ty) => quote!(#ty),
            Shape::Unknown => return None,
        })
    }

    /// A name in the pattern that reads a tape: what is no number stays there.
    pub(super) fn read_pattern(&self, id: Id) -> TokenStream {
        let name = self.name(id);
        match self.g().whole_shape(id) {
            Some(_) => quote!(ref #name),
            None => quote!(#name),
        }
    }

    /// Whether a node is copied by assignment.
    pub(super) fn is_copied(&self, id: Id) -> bool {
        self.g().whole_shape(id).is_none_or(Shape::is_fixed)
    }

    /// What stands for a value that is never read.
    pub(super) fn filler(&self, id: Id) -> TokenStream {
        match self.g().whole_shape(id) {
            Some(shape) => self
                .zeros(shape)
                .unwrap_or_else(|| quote!(::core::default::Default::default())),
            None => self.zero(self.g().ty(id)),
        }
    }

    // ---- arguments ----

    fn build(&self, form: &Form, leaf: &dyn Fn(usize, bool) -> TokenStream) -> TokenStream {
        match form {
            Form::Leaf(k) => leaf(*k, false),
            Form::Tokens(t) => t.clone(),
            Form::Whole(id, _) => self.value(*id),
            Form::Tangent(of, parts) => self.tangent(of, parts, leaf),
            Form::Parts(shape, all) => {
                let refs: Vec<bool> = match shape {
                    Shape::Struct(s) => {
                        let is_ref = |t| matches!(crate::shape::peel(t), syn::Type::Reference(_));
                        s.fields.iter().map(|f| is_ref(&f.ty)).collect()
                    }
                    _ => vec![false; all.len()],
                };
                let parts = shape.parts().unwrap_or_default();
                let all = all.iter().zip(refs).map(|(f, by_ref)| match f {
                    Form::Leaf(k) => leaf(*k, by_ref),
                    f if by_ref => {
                        let f = self.build(f, leaf);
                        quote!(&#f)
                    }
                    f => self.build(f, leaf),
                });
                let all: Vec<TokenStream> = all.collect();
                super::arrays::construct(shape, parts.iter().map(|p| &p.0).zip(all))
            }
        }
    }

    /// The tangent of a tuple or a struct: zeros laid out like its value, and then its parts.
    fn tangent(
        &self,
        of: &Form,
        parts: &Form,
        leaf: &dyn Fn(usize, bool) -> TokenStream,
    ) -> TokenStream {
        match (of, parts) {
            (Form::Parts(Shape::Struct(s), all), Form::Parts(..)) => {
                let (path, value, t) = (&s.path, self.build(of, leaf), local("tangent"));
                let mut set = TokenStream::new();
                self.set_parts(all, parts, quote!(#t), leaf, &mut set);
                quote!({
                    let mut #t = <#path as ::backprop::Differentiable>::zero_gradient(&#value);
                    #set
                    #t
                })
            }
            (Form::Whole(id, of), _) => match (&**of, parts) {
                (Form::Parts(Shape::Struct(s), all), Form::Parts(..)) => {
                    let (path, value, t) = (&s.path, self.value(*id), local("tangent"));
                    let mut set = TokenStream::new();
                    self.set_parts(all, parts, quote!(#t), leaf, &mut set);
                    quote!({
                        let mut #t = <#path as ::backprop::Differentiable>::zero_gradient(#value);
                        #set
                        #t
                    })
                }
                _ => self.tangent(of, parts, leaf),
            },
            (Form::Parts(_, of), Form::Parts(_, all)) => {
                let all = of.iter().zip(all).map(|(f, t)| self.tangent(f, t, leaf));
                quote!((#(#all,)*))
            }
            // A slice in a tuple has a `Vec` as gradient.
            (_, Form::Leaf(k)) => leaf(*k, false),
            _ => quote!(()),
        }
    }

    /// Sets the parts of a struct's tangent.
    fn set_parts(
        &self,
        of: &[Form],
        parts: &Form,
        to: TokenStream,
        leaf: &dyn Fn(usize, bool) -> TokenStream,
        out: &mut TokenStream,
    ) {
        let Form::Parts(shape, all) = parts else {
            return;
        };
        let members = shape.parts().unwrap_or_default();
        for (((m, _), f), t) in members.iter().zip(of).zip(all) {
            match t {
                Form::Tokens(_) => {}
                t => {
                    let value = self.tangent(f, t, leaf);
                    out.extend(quote!(#to.#m = #value;));
                }
            }
        }
    }

    pub(super) fn temporary(&self, c: CallId, k: usize) -> Ident {
        local(&format!("call{}_arg{k}", c.0))
    }

    /// The arguments, and what must stand before the call. `again`: for the forward pass that the pullback runs.
    pub(super) fn arguments(&self, c: CallId, again: bool) -> (TokenStream, Vec<TokenStream>) {
        let call = self.g().call(c);
        let mut before = TokenStream::new();
        let mut args = Vec::new();
        for (k, p) in call.passed.iter().enumerate() {
            let owned = |k: usize, by_ref: bool| match &call.args[k] {
                Argument::Scalar { value } => {
                    let v = self.value(*value);
                    if by_ref { quote!(&#v) } else { v }
                }
                Argument::Array { place, held } => {
                    let slice = matches!(self.g().shape_at(place), Shape::Slice(_));
                    match (again, by_ref || slice) {
                        (true, true) => {
                            let held = self.value(*held);
                            quote!(#held)
                        }
                        (true, false) => {
                            let held = self.value(*held);
                            quote!(::core::clone::Clone::clone(#held))
                        }
                        (false, true) => {
                            let whole = self.whole(place);
                            quote!(&#whole)
                        }
                        (false, false) => self.owned_array(place),
                    }
                }
            };
            let arg = match (&p.form, &p.pass) {
                (Form::Leaf(a), Pass::Ref) => match &call.args[*a] {
                    Argument::Array { place, .. }
                        if !again && self.is_direct(c) && call.changed.contains(&place.array) =>
                    {
                        // What the callee keeps borrows it while the original changes.
                        let (name, value) = (self.temporary(c, k), self.owned_array(place));
                        before.extend(quote!(let #name = #value;));
                        quote!(&#name)
                    }
                    Argument::Array { .. } => owned(*a, true),
                    Argument::Scalar { .. } => {
                        let v = owned(*a, false);
                        quote!(&#v)
                    }
                },
                (Form::Leaf(a), Pass::Mut(_)) => match &call.args[*a] {
                    Argument::Array { place, .. } if !again => {
                        let whole = self.whole(place);
                        quote!(&mut #whole)
                    }
                    Argument::Array { held, .. } => {
                        let (name, held) = (self.temporary(c, k), self.value(*held));
                        before.extend(
                            quote!(let mut #name = ::std::borrow::ToOwned::to_owned(#held);),
                        );
                        quote!(&mut #name)
                    }
                    Argument::Scalar { .. } => {
                        let (name, value) = (self.temporary(c, k), owned(*a, false));
                        before.extend(quote!(let mut #name = #value;));
                        quote!(&mut #name)
                    }
                },
                (form @ (Form::Parts(..) | Form::Tangent(..)), Pass::Mut(_)) => {
                    let (name, value) = (self.temporary(c, k), self.build(form, &owned));
                    before.extend(quote!(let mut #name = #value;));
                    quote!(&mut #name)
                }
                // What a call keeps may borrow it: it lives as long as the call's residuals.
                (form @ Form::Parts(..), Pass::Ref) => {
                    let (name, value) = (self.temporary(c, k), self.build(form, &owned));
                    before.extend(quote!(let #name = #value;));
                    quote!(&#name)
                }
                (Form::Tokens(t), _) => t.clone(),
                (Form::Whole(id, _), _) => self.value(*id),
                (form @ Form::Tangent(..), Pass::Ref) | (form, Pass::Value) => {
                    self.build(form, &owned)
                }
            };
            args.push(arg);
        }
        (before, args)
    }

    // ---- the forward pass ----

    pub(super) fn call(&self, c: CallId) -> TokenStream {
        let call = self.g().call(c);
        let path = &call.path;
        let (before, args) = self.arguments(c, false);
        let direct = self.is_direct(c);
        let function = match direct {
            true => call.callee.derivative("forward"),
            false => quote!(#path),
        };
        let value = local(&format!("call{}", c.0));
        let saved = local(&format!("call{}_saved", c.0));
        let (pattern, ty, mut after) = match &call.returns {
            None => (quote!(()), TokenStream::new(), TokenStream::new()),
            Some(Form::Leaf(r)) => match call.results[*r] {
                Returned::Scalar(out) => {
                    let name = self.name(out);
                    (quote!(#name), TokenStream::new(), TokenStream::new())
                }
                Returned::Array(a) => {
                    let (name, ty) = (self.root(a), self.array_type(&self.g().array(a).shape));
                    (quote!(mut #name), ty, TokenStream::new())
                }
            },
            Some(form) => (
                quote!(#value),
                TokenStream::new(),
                self.unpack(call, form, quote!(#value)),
            ),
        };
        let upstream = if direct {
            let returned = match &call.returns {
                Some(Form::Leaf(r)) => match call.results[*r] {
                    Returned::Scalar(_) => quote!(#value),
                    Returned::Array(a) => self.root(a),
                },
                _ => quote!(#value),
            };
            self.start_upstream(c, returned, false)
        } else {
            TokenStream::new()
        };
        for (k, p) in call.passed.iter().enumerate() {
            let Pass::Mut(form) = &p.pass else { continue };
            let in_place = matches!((&p.form, form), (Form::Leaf(a), _) if matches!(call.args[*a], Argument::Array { .. }));
            if !in_place {
                let name = self.temporary(c, k);
                after.extend(self.unpack(call, form, quote!(#name)));
            }
        }
        let bound = if direct && ty.is_empty() {
            quote!(let (#pattern, #saved) = #function(#(#args),*);)
        } else if direct {
            let Some(Form::Leaf(r)) = &call.returns else {
                return TokenStream::new();
            };
            let Returned::Array(a) = call.results[*r] else {
                return TokenStream::new();
            };
            let name = self.root(a);
            quote!(let (#value, #saved) = #function(#(#args),*); let mut #name #ty = #value;)
        } else {
            quote!(let #pattern #ty = #function(#(#args),*);)
        };
        quote!(#before #bound #upstream #after)
    }

    /// Binds the scalars and arrays that a result is made of.
    fn unpack(&self, call: &Call, form: &Form, value: TokenStream) -> TokenStream {
        match form {
            Form::Leaf(r) => match call.results[*r] {
                Returned::Scalar(id) if self.live.has(self.g(), id) => {
                    let name = self.name(id);
                    let ty = match self.g().types.kind(self.g().ty(id)) {
                        Kind::Float(f) => {
                            let f = f.tokens();
                            quote!(: #f)
                        }
                        _ => TokenStream::new(),
                    };
                    quote!(let #name #ty = #value;)
                }
                Returned::Array(a) if self.live.has_array(a) => {
                    let (name, ty) = (self.root(a), self.array_type(&self.g().array(a).shape));
                    quote!(let mut #name #ty = #value;)
                }
                _ => TokenStream::new(),
            },
            Form::Parts(shape, all) => {
                let parts = shape.parts().unwrap_or_default();
                let all = parts.iter().zip(all);
                all.map(|((m, _), f)| self.unpack(call, f, quote!(#value.#m)))
                    .collect()
            }
            Form::Tokens(_) | Form::Whole(..) | Form::Tangent(..) => TokenStream::new(),
        }
    }
}
