//! Arrays: places, declarations, copies and zeros.

use super::Emit;
use crate::graph::*;
use crate::shape::Shape;
use crate::signature::local;
use crate::types::Kind;
use proc_macro2::TokenStream;
use quote::quote;

impl Emit<'_> {
    pub(super) fn root(&self, array: ArrayId) -> TokenStream {
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
            None => self.steps(self.root(p.array), &p.path),
        }
    }

    /// The elements that steps lead to.
    pub(super) fn steps(&self, root: TokenStream, path: &[Step]) -> TokenStream {
        let mut out = root;
        for step in path {
            match step {
                Step::Index(i) => {
                    let i = self.value(*i);
                    out = quote!(#out[#i]);
                }
                Step::Field(k) => {
                    let k = syn::Index::from(*k as usize);
                    out = quote!(#out.#k);
                }
            }
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
            param.by_ref && !matches!(param.shape, Shape::Tuple(_))
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

    /// Zeros of the shape of a value; slices become `Vec`s.
    pub fn zeros_like(&self, shape: &Shape, value: &TokenStream) -> TokenStream {
        if let Some(fixed) = self.zeros(shape) {
            return fixed;
        }
        match shape {
            Shape::Slice(s) | Shape::Vec(s) => match self.zeros(s) {
                Some(zero) => quote!(::std::vec![#zero; #value.len()]),
                None => {
                    let row = local("row");
                    let inner = self.zeros_like(s, &quote!(#row));
                    quote!(::core::iter::Iterator::collect::<::std::vec::Vec<_>>(::core::iter::Iterator::map(#value.iter(), |#row| #inner)))
                }
            },
            Shape::Array(s, n) => {
                let k = local("k");
                let inner = self.zeros_like(s, &quote!(#value[#k]));
                quote!(::core::array::from_fn::<_, {#n}, _>(|#k| #inner))
            }
            Shape::Tuple(all) => {
                let parts = all.iter().enumerate().map(|(k, s)| {
                    let k = syn::Index::from(k);
                    self.zeros_like(s, &quote!(#value.#k))
                });
                quote!((#(#parts,)*))
            }
            _ => quote!(()),
        }
    }

    /// `to += from`, element by element.
    pub fn add_all(&self, shape: &Shape, to: TokenStream, from: TokenStream) -> TokenStream {
        match shape {
            Shape::Float(_) | Shape::Scalar(_) => self.plus(to, from),
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => {
                let (a, b) = (local("to"), local("from"));
                let inner = match **s {
                    Shape::Float(_) | Shape::Scalar(_) => self.plus(quote!(*#a), quote!(*#b)),
                    _ => self.add_all(s, quote!(#a), quote!(#b)),
                };
                quote!(for (#a, #b) in ::core::iter::Iterator::zip(#to.iter_mut(), #from.iter()) { #inner })
            }
            Shape::Tuple(all) => all
                .iter()
                .enumerate()
                .map(|(k, s)| {
                    let k = syn::Index::from(k);
                    self.add_all(s, quote!(#to.#k), quote!(#from.#k))
                })
                .collect(),
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
            Shape::Tuple(all) => all
                .iter()
                .enumerate()
                .map(|(k, s)| {
                    let k = syn::Index::from(k);
                    self.clear_all(s, quote!(#to.#k))
                })
                .collect(),
            Shape::Constant(_) | Shape::Unknown => TokenStream::new(),
        }
    }

    pub(super) fn element(&self, e: &Element) -> TokenStream {
        match e {
            Element::Scalar(id) => self.value(*id),
            Element::Part(p) => {
                let whole = self.whole(p);
                if self.g().shape_at(p).is_fixed() {
                    whole
                } else {
                    quote!(::core::clone::Clone::clone(&#whole))
                }
            }
            Element::Tuple(all) => {
                let all = all.iter().map(|e| self.element(e));
                quote!((#(#all,)*))
            }
        }
    }

    pub(super) fn declare(&self, array: ArrayId) -> TokenStream {
        let data = self.g().array(array);
        let name = self.array_name(array);
        let vec = matches!(data.shape, Shape::Vec(_) | Shape::Slice(_));
        let init = match &data.init {
            Init::Given(_) => return TokenStream::new(),
            Init::Zeros => match (self.zeros(&data.shape), data.len, &data.shape) {
                (Some(zeros), _, _) => zeros,
                (None, Some(len), Shape::Vec(s) | Shape::Slice(s)) if self.zeros(s).is_some() => {
                    let (zero, len) = (self.zeros(s), self.value(len));
                    quote!(::std::vec![#zero; #len])
                }
                _ => match data.like {
                    Some(like) => {
                        let like = self.root(like);
                        self.zeros_like(&data.shape, &like)
                    }
                    None => quote!(()),
                },
            },
            Init::List(all) => {
                let all = all.iter().map(|e| self.element(e));
                if vec {
                    quote!(::std::vec![#(#all),*])
                } else {
                    quote!([#(#all),*])
                }
            }
            Init::Repeat(e) => {
                let e = self.element(e);
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
            Init::Empty => quote!(::std::vec::Vec::new()),
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
                Shape::Constant(_) | Shape::Unknown => return None,
            })
        }
        match spell(self, shape) {
            Some(t) => quote!(: #t),
            None => TokenStream::new(),
        }
    }

    pub(super) fn copy(&self, to: &Place, from: &Place, add: bool) -> TokenStream {
        let shape = self.g().shape_at(to);
        let (a, b) = (self.place(to), self.place(from));
        if add {
            return self.add_all(&shape, a, b);
        }
        let source = self.g().shape_at(from);
        match (&shape, &source) {
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
