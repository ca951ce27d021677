//! Parameters as the variables that the body starts from.
//!
//! In: the signature. Out: for each parameter a variable, and the [`Source`] by which its gradient is found. What must hold: each
//! scalar part is one node, with the expression that reads it; an array behind `&` is frozen.

use super::value::{Borrow, Val, View};
use super::{InOut, Lower, kind_of, strip_refs};
use crate::graph::{Id, Init, Node, Place, Source};
use crate::shape::Shape;
use crate::types::{Kind, Ty};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::rc::Rc;

impl Lower<'_> {
    pub(super) fn params(&mut self) -> Vec<Source> {
        let sig = self.sig;
        let mut sources = Vec::new();
        for (k, p) in sig.params.iter().enumerate() {
            let name: Rc<str> = p.ident.to_string().trim_start_matches("r#").into();
            let ident = &p.ident;
            let depth = reference_depth(&p.ty);
            let read = if depth > 0
                && matches!(p.shape, Shape::Float(_) | Shape::Constant(_))
                && !is_text(&p.shape)
            {
                let stars = (0..depth).map(|_| quote!(*));
                quote!((#(#stars)* #ident))
            } else {
                quote!(#ident)
            };
            self.g.span = Some(p.ident.span());
            let frozen = !p.mutable && !p.in_out;
            let borrow = match (p.in_out, p.by_ref) {
                (true, _) => Borrow::Mut,
                (_, true) => Borrow::Shared,
                _ => Borrow::Own,
            };
            let (val, source) =
                self.param_value(&name, &p.shape, read.clone(), k as u32, frozen, borrow);
            if p.is_borrowed() && depth == 1 && val.parts().is_some() {
                self.borrowed.push((val.clone(), k, None));
            }
            let held = match &val {
                // What is behind the reference is a variable of its own.
                Val::View(_) => val.clone(),
                _ if p.in_out => Val::MutRef(self.new_var(name, val.clone(), true), Vec::new()),
                _ => val.clone(),
            };
            let var = self.declare(&p.ident, held.clone(), p.mutable);
            if p.in_out {
                self.in_out.push(InOut {
                    param: k,
                    read,
                    var: match held {
                        Val::MutRef(inner, _) => inner,
                        _ => var,
                    },
                    entry: val,
                });
            }
            sources.push(source);
        }
        sources
    }

    fn param_value(
        &mut self,
        name: &str,
        shape: &Shape,
        read: TokenStream,
        k: u32,
        frozen: bool,
        borrow: Borrow,
    ) -> (Val, Source) {
        match shape {
            Shape::Float(f) => {
                let ty = self.g.types.fresh(Kind::Float(f.clone()));
                let id = self.param_node(read, ty, name, k);
                (Val::Num(id), Source::Scalar(id))
            }
            Shape::Tuple(all) => {
                let parts = all.iter().enumerate().map(|(i, s)| {
                    let i = syn::Index::from(i);
                    self.param_value(name, s, quote!(#read.#i), k, frozen, borrow)
                });
                let (vals, sources) = parts.unzip();
                (Val::Tuple(vals), Source::Tuple(sources))
            }
            Shape::Struct(of) => {
                let parts = of.fields.iter().map(|f| {
                    let member = &f.member;
                    let read = quote!(#read.#member);
                    self.param_value(name, &f.shape, read, k, frozen, borrow)
                });
                let (vals, sources) = parts.unzip();
                (Val::Struct(of.clone(), vals), Source::Tuple(sources))
            }
            Shape::Array(..) | Shape::Slice(_) | Shape::Vec(_) => {
                let array =
                    self.g
                        .new_array(name, shape.clone(), Init::Given(read), Span::call_site());
                let data = self.g.array_mut(array);
                data.param = Some(k);
                data.frozen = frozen;
                let place = Place {
                    array,
                    path: Vec::new(),
                };
                (
                    Val::View(View {
                        place,
                        window: None,
                        borrow,
                    }),
                    Source::Array(array),
                )
            }
            Shape::Constant(ty) => {
                let kind = kind_of(ty, &self.sig.names);
                let t = self.g.types.fresh(kind);
                let id = self.param_node(read, t, name, k);
                if self.sig.params[k as usize].shape.parts().is_some() {
                    self.read_types.pop();
                    self.read_types.push(Some((**ty).clone()));
                }
                let val = match crate::shape::optional(ty) {
                    Some(inner) => self.constant_option(id, inner),
                    None => Val::Num(id),
                };
                (val, Source::Constant)
            }
            Shape::Scalar(_) | Shape::Unknown => {
                let ty = self.g.types.fresh(Kind::Other);
                let id = self.param_node(read, ty, name, k);
                (Val::Num(id), Source::Constant)
            }
        }
    }

    /// An `Option` of a constant: whether it holds one, and which, or its default.
    fn constant_option(&mut self, id: Id, inner: &syn::Type) -> Val {
        let ty = self.g.bool_ty();
        let some = self.g.opaque_method("is_some", &[id], ty);
        let kind = kind_of(inner, &self.sig.names);
        let ty = self.g.types.fresh(kind);
        let value = self.g.opaque_method("unwrap_or_default", &[id], ty);
        Val::Opt(some, Box::new(Val::Num(value)))
    }

    pub(super) fn param_node(&mut self, read: TokenStream, ty: Ty, name: &str, param: u32) -> Id {
        let k = self.reads.len() as u32;
        self.reads.push(read);
        self.read_params.push(param);
        self.read_types.push(None);
        let id = self.g.bound(Node::Param(k), ty, None);
        self.g.nodes[id.0 as usize].name = Some(name.into());
        id
    }
}

fn reference_depth(ty: &syn::Type) -> usize {
    match crate::shape::peel(ty) {
        syn::Type::Reference(r) => 1 + reference_depth(&r.elem),
        _ => 0,
    }
}

fn is_text(shape: &Shape) -> bool {
    matches!(shape, Shape::Constant(ty) if matches!(crate::shape::primitive(strip_refs(ty)).as_deref(), Some("str" | "String")))
}
