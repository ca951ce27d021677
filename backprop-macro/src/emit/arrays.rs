//! Arrays: places, declarations, copies and zeros.

use super::Emit;
use crate::graph::*;
use crate::shape::Shape;
use crate::signature::local;
use crate::types::Kind;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

impl Emit<'_> {
    pub(super) fn root(&self, array: ArrayId) -> TokenStream {
        let array = self.acts_for(array);
        let data = self.g().array(array);
        if let (Some(saved), Some(field)) = (&self.saved, self.saved_arrays.get(&array)) {
            return self.field(saved, field);
        }
        match &data.init {
            Init::Given(t) => t.clone(),
            _ => {
                let name = self.array_name(array);
                quote!(#name)
            }
        }
    }

    pub fn place(&self, p: &Place) -> TokenStream {
        match self.through_slice(p) {
            Some(place) => place,
            None => self.steps(self.root(p.array), &self.g().array(p.array).shape, &p.path),
        }
    }

    /// The elements that steps lead to, from something of a shape.
    pub(super) fn steps(&self, root: TokenStream, shape: &Shape, path: &[Step]) -> TokenStream {
        let mut out = root;
        let mut shape = shape.clone();
        for step in path {
            match step {
                Step::Index(i) => {
                    let i = self.value(*i);
                    out = quote!(#out[#i]);
                }
                Step::Field(k) => {
                    let member = shape.member(*k);
                    out = quote!(#out.#member);
                }
            }
            shape = shape.step(step).unwrap_or(Shape::Unknown);
        }
        out
    }

    /// A place as a value: behind a reference, what it refers to.
    pub(super) fn whole(&self, p: &Place) -> TokenStream {
        let out = self.place(p);
        if p.path.is_empty() && self.is_reference(p.array) {
            quote!((*#out))
        } else {
            out
        }
    }

    pub(super) fn is_reference(&self, array: ArrayId) -> bool {
        let data = self.g().array(array);
        if self.turning.contains(&array) || data.shadow && matches!(data.init, Init::Given(_)) {
            return true;
        }
        // A part of a tuple is reached through the tuple.
        data.param.is_some_and(|k| {
            let param = &self.sig.params[k as usize];
            if self.saved.is_some() && self.saved_arrays.contains_key(&array) {
                param.is_borrowed()
            } else {
                param.by_ref && param.shape.is_array()
            }
        })
    }

    /// Zeros of a fixed shape.
    pub fn zeros(&self, shape: &Shape) -> Option<TokenStream> {
        Some(match shape {
            Shape::Float(f) => self.float(0.0, f),
            Shape::Scalar(ty) => self.zero(*ty),
            Shape::Array(s, n) => {
                let s = self.zeros(s)?;
                quote!([#s; #n])
            }
            Shape::Tuple(all) => {
                let all: Option<Vec<TokenStream>> = all.iter().map(|s| self.zeros(s)).collect();
                let all = all?;
                quote!((#(#all,)*))
            }
            Shape::Constant(_) | Shape::Unknown => quote!(()),
            _ => return None,
        })
    }

    /// Zeros of the shape of a value; slices become `Vec`s, structs their gradients.
    pub fn zeros_like(&self, shape: &Shape, value: &TokenStream) -> TokenStream {
        self.zeros_of(shape, value, true)
    }

    /// As [`Emit::zeros_like`], with tuples for structs where these are not `named`.
    fn zeros_of(&self, shape: &Shape, value: &TokenStream, named: bool) -> TokenStream {
        let fixed = if named {
            self.zeros(shape)
        } else {
            self.zeros(&shape.without_names())
        };
        if let Some(fixed) = fixed {
            return fixed;
        }
        match shape {
            Shape::Struct(s) if named => {
                let path = &s.path;
                quote!(<#path as ::backprop::Differentiable>::zero_gradient(&#value))
            }
            Shape::Slice(s) | Shape::Vec(s) => match self.zeros(s) {
                Some(zero) => quote!(::std::vec![#zero; #value.len()]),
                None => {
                    let row = local("row");
                    let inner = self.zeros_of(s, &quote!(#row), named);
                    quote!(::core::iter::Iterator::collect::<::std::vec::Vec<_>>(::core::iter::Iterator::map(#value.iter(), |#row| #inner)))
                }
            },
            Shape::Array(s, n) => {
                let k = local("k");
                let inner = self.zeros_of(s, &quote!(#value[#k]), named);
                quote!(::core::array::from_fn::<_, {#n}, _>(|#k| #inner))
            }
            Shape::Tuple(_) | Shape::Struct(_) => {
                let parts = shape.parts().into_iter().flatten();
                let parts = parts.map(|(m, s)| self.zeros_of(&s, &quote!(#value.#m), named));
                quote!((#(#parts,)*))
            }
            _ => quote!(()),
        }
    }

    /// `to += from`, element by element; the two may name their parts differently.
    pub fn add_all(
        &self,
        (shape, to): (&Shape, TokenStream),
        (other, from): (&Shape, TokenStream),
    ) -> TokenStream {
        self.each_part((shape, to), (other, from), &|to, from| self.plus(to, from))
    }

    /// `to = from`, element by element.
    pub(super) fn set_all(
        &self,
        (shape, to): (&Shape, TokenStream),
        (other, from): (&Shape, TokenStream),
    ) -> TokenStream {
        self.each_part((shape, to), (other, from), &|to, from| quote!(#to = #from;))
    }

    fn each_part(
        &self,
        (shape, to): (&Shape, TokenStream),
        (other, from): (&Shape, TokenStream),
        update: &dyn Fn(TokenStream, TokenStream) -> TokenStream,
    ) -> TokenStream {
        match shape {
            // What turned out to be an integer or a flag has no adjoint.
            Shape::Scalar(ty) if !self.g().types.is_float(*ty) => TokenStream::new(),
            Shape::Float(_) | Shape::Scalar(_) => update(to, from),
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => {
                let (a, b) = (local("to"), local("from"));
                let inner = match **s {
                    Shape::Float(_) | Shape::Scalar(_) => update(quote!(*#a), quote!(*#b)),
                    _ => {
                        let t = other.element().unwrap_or(&Shape::Unknown);
                        self.each_part((s, quote!(#a)), (t, quote!(#b)), update)
                    }
                };
                quote!(for (#a, #b) in ::core::iter::Iterator::zip(#to.iter_mut(), #from.iter()) { #inner })
            }
            Shape::Tuple(_) | Shape::Struct(_) => {
                let parts = |s: &Shape| s.parts().unwrap_or_default();
                parts(shape)
                    .into_iter()
                    .zip(parts(other))
                    .filter(|((_, s), _)| s.has_floats())
                    .map(|((m, s), (n, t))| {
                        self.each_part((&s, quote!(#to.#m)), (&t, quote!(#from.#n)), update)
                    })
                    .collect()
            }
            Shape::Constant(_) | Shape::Unknown => TokenStream::new(),
        }
    }

    /// Sets every element to zero.
    pub fn clear_all(&self, shape: &Shape, to: TokenStream) -> TokenStream {
        match shape {
            Shape::Float(f) => {
                let zero = self.float(0.0, f);
                quote!(#to = #zero;)
            }
            Shape::Scalar(ty) => {
                let zero = self.zero(*ty);
                quote!(#to = #zero;)
            }
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => match **s {
                Shape::Float(_) | Shape::Scalar(_) => {
                    let zero = self.zeros(s);
                    quote!(#to.fill(#zero);)
                }
                _ => {
                    let a = local("to");
                    let inner = self.clear_all(s, quote!(#a));
                    quote!(for #a in #to.iter_mut() { #inner })
                }
            },
            Shape::Tuple(_) | Shape::Struct(_) => shape
                .parts()
                .into_iter()
                .flatten()
                .filter(|(_, s)| s.has_floats())
                .map(|(m, s)| self.clear_all(&s, quote!(#to.#m)))
                .collect(),
            Shape::Constant(_) | Shape::Unknown => TokenStream::new(),
        }
    }

    pub(super) fn element(&self, e: &Element, shape: &Shape) -> TokenStream {
        match e {
            Element::Scalar(id) => self.value(*id),
            Element::Part(p) => {
                let whole = self.whole(p);
                let shape = self.g().shape_at(p);
                if shape.is_fixed() {
                    whole
                } else if matches!(shape, Shape::Slice(_)) {
                    quote!(#whole.to_vec())
                } else {
                    quote!(::core::clone::Clone::clone(&#whole))
                }
            }
            Element::Tuple(all) => {
                let parts = shape.parts().unwrap_or_default();
                let all = all
                    .iter()
                    .zip(&parts)
                    .map(|(e, (m, s))| (m, self.element(e, s)));
                construct(shape, all)
            }
        }
    }

    /// How many states a checkpointed loop saves, where that is known before it runs.
    fn state_count(&self, array: ArrayId) -> Option<TokenStream> {
        let data = self.g().array(array);
        let (l, every) = (data.saves?, self.value(data.len?));
        let trips = self.trips_in(l, data.region?)?;
        Some(quote!(::core::primitive::usize::div_ceil(#trips, #every)))
    }

    pub(super) fn declare(&self, array: ArrayId) -> TokenStream {
        let data = self.g().array(array);
        let name = self.array_name(array);
        let vec = matches!(data.shape, Shape::Vec(_) | Shape::Slice(_));
        let init = match &data.init {
            Init::Given(_) | Init::Returned(_) => return TokenStream::new(),
            Init::Zeros => match (self.zeros(&data.shape), data.len, &data.shape) {
                (Some(zeros), _, _) => zeros,
                (None, Some(len), Shape::Vec(s) | Shape::Slice(s)) if self.zeros(s).is_some() => {
                    let (zero, len) = (self.zeros(s), self.value(len));
                    quote!(::std::vec![#zero; #len])
                }
                _ => match data.like {
                    Some(like) => {
                        let shape = &self.g().array(like).shape;
                        let like = self.root(like);
                        self.zeros_of(shape, &like, false)
                    }
                    None => quote!(()),
                },
            },
            Init::List(all) => {
                let part = data.shape.element().unwrap_or(&Shape::Unknown);
                let all = all.iter().map(|e| self.element(e, part));
                if vec {
                    quote!(::std::vec![#(#all),*])
                } else {
                    quote!([#(#all),*])
                }
            }
            Init::Repeat(e) => {
                let part = data.shape.element().unwrap_or(&Shape::Unknown);
                let e = self.element(e, part);
                match (&data.shape, data.len) {
                    (Shape::Array(_, n), _) => quote!([#e; #n]),
                    (_, Some(len)) => {
                        let len = self.value(len);
                        quote!(::std::vec![#e; #len])
                    }
                    _ => quote!(::std::vec![]),
                }
            }
            Init::Copy(p) => {
                let whole = self.whole(p);
                match (&data.shape, self.g().shape_at(p)) {
                    (Shape::Array(..), _) if data.shape.is_fixed() => whole,
                    (_, Shape::Slice(_)) => quote!(#whole.to_vec()),
                    _ => quote!(::core::clone::Clone::clone(&#whole)),
                }
            }
            Init::Empty => match self.state_count(array) {
                Some(n) => quote!(::std::vec::Vec::with_capacity(#n)),
                None => quote!(::std::vec::Vec::new()),
            },
        };
        let ty = self.array_type(&data.shape);
        if self.turning.contains(&array) {
            let own = local(&format!("{}_a{}_own", data.name, array.0));
            return quote!(let mut #own #ty = #init; let mut #name = &mut #own;);
        }
        quote!(let mut #name #ty = #init;)
    }

    /// `: type` where the elements alone may not say it.
    pub(super) fn array_type(&self, shape: &Shape) -> TokenStream {
        fn spell(e: &Emit, s: &Shape) -> Option<TokenStream> {
            Some(match s {
                Shape::Float(f) => f.tokens(),
                Shape::Scalar(ty) => match e.g().types.kind(*ty) {
                    Kind::Unknown | Kind::Other | Kind::AnyInt => quote!(_),
                    _ => e.g().types.tokens(*ty)?,
                },
                Shape::Array(s, n) => {
                    let s = spell(e, s)?;
                    quote!([#s; #n])
                }
                Shape::Vec(s) | Shape::Slice(s) => {
                    let s = spell(e, s)?;
                    quote!(::std::vec::Vec<#s>)
                }
                Shape::Tuple(all) => {
                    let all: Option<Vec<TokenStream>> = all.iter().map(|s| spell(e, s)).collect();
                    let all = all?;
                    quote!((#(#all,)*))
                }
                Shape::Struct(s) => s.path.to_token_stream(),
                Shape::Constant(_) | Shape::Unknown => return None,
            })
        }
        match spell(self, shape) {
            Some(t) => quote!(: #t),
            None => TokenStream::new(),
        }
    }

    pub(super) fn copy(&self, to: &Place, from: &Place, add: bool) -> TokenStream {
        let (shape, source) = (self.g().shape_at(to), self.g().shape_at(from));
        let (a, b) = (self.place(to), self.place(from));
        if add {
            return self.add_all((&shape, a), (&source, b));
        }
        if shape.has_structs() != source.has_structs() {
            return self.set_all((&shape, a), (&source, b));
        }
        match (&shape, &source) {
            // Rows of one array: it is not borrowed twice.
            _ if to.array == from.array && !shape.is_fixed() => {
                let (row, whole) = (local("row"), self.whole(to));
                let (copied, into) = match (&shape, &source) {
                    (Shape::Slice(_), _) => (
                        quote!(#b.to_vec()),
                        quote!(#a[..].clone_from_slice(&#row[..])),
                    ),
                    (_, Shape::Slice(_)) => (quote!(#b.to_vec()), quote!(#whole = #row)),
                    _ => {
                        let b = self.whole(from);
                        (
                            quote!(::core::clone::Clone::clone(&#b)),
                            quote!(#whole = #row),
                        )
                    }
                };
                quote!({ let #row = #copied; #into; })
            }
            (Shape::Vec(_), Shape::Vec(_)) => {
                let (a, b) = (self.whole(to), self.whole(from));
                quote!(::core::clone::Clone::clone_from(&mut #a, &#b);)
            }
            (Shape::Vec(_) | Shape::Slice(_), _) | (_, Shape::Vec(_) | Shape::Slice(_)) => {
                quote!(#a[..].clone_from_slice(&#b[..]);)
            }
            _ if shape.is_fixed() => {
                let (a, b) = (self.whole(to), self.whole(from));
                quote!(#a = #b;)
            }
            _ => {
                let (a, b) = (self.whole(to), self.whole(from));
                quote!(::core::clone::Clone::clone_from(&mut #a, &#b);)
            }
        }
    }
}

/// A tuple or a struct of its parts.
pub(super) fn construct<'a>(
    shape: &Shape,
    parts: impl Iterator<Item = (&'a syn::Member, TokenStream)>,
) -> TokenStream {
    match shape {
        Shape::Struct(s) => {
            let path = s.constructor();
            let parts = parts.map(|(m, v)| quote!(#m: #v));
            quote!(#path { #(#parts),* })
        }
        _ => {
            let parts = parts.map(|(_, v)| v);
            quote!((#(#parts,)*))
        }
    }
}
