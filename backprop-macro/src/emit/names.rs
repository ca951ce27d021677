//! What values, arrays and tapes are called, and what their types are.

use super::Emit;
use crate::errors;
use crate::graph::*;
use crate::signature::local;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

impl Emit<'_> {
    pub fn name(&self, id: Id) -> Ident {
        let id = self.g().resolve(id);
        let data = self.g().data(id);
        let name = match (&data.name, &data.node) {
            (Some(name), _) => name.to_string(),
            // `w[0]` is `w0`.
            (None, Node::Load(p, _)) => {
                let index = p
                    .indices()
                    .map(|i| self.g().integer(i).filter(|k| *k >= 0))
                    .map(|k| k.map(|k| k.to_string()));
                let index = index
                    .collect::<Option<Vec<_>>>()
                    .unwrap_or_default()
                    .join("_");
                format!("{}{index}", self.g().array(p.array).name)
            }
            (None, Node::LoopOut(l, k)) => {
                let phi = self.g().looped(*l).carried[*k as usize].phi;
                self.g().data(phi).name.as_deref().unwrap_or("v").into()
            }
            (None, _) => "v".into(),
        };
        local(&format!("{name}_{}", id.0))
    }

    pub(super) fn array_name(&self, id: ArrayId) -> Ident {
        local(&format!("{}_a{}", self.g().array(id).name, id.0))
    }

    pub fn tape_name(&self, l: LoopId) -> Ident {
        local(&format!("loop{}_tape", l.0))
    }

    pub fn cursor(&self, l: LoopId) -> Ident {
        local(&format!("loop{}_at", l.0))
    }

    /// The type of a node, where inference found one.
    pub fn known_type(&self, id: Id) -> Option<TokenStream> {
        self.g().types.tokens(self.g().ty(id))
    }

    /// The type of a node, where it must be named.
    pub fn type_of(&self, id: Id) -> TokenStream {
        let known = match self.g().whole_shape(id) {
            Some(shape) => self.whole_type(shape),
            None => self.g().types.tokens(self.g().ty(id)),
        };
        match known {
            Some(t) => t,
            None => {
                let name = self
                    .g()
                    .data(id)
                    .name
                    .as_deref()
                    .unwrap_or("this value")
                    .to_string();
                self.errors
                    .reject_at(self.g().data(id).span, &errors::UNTYPED, &name);
                quote!(())
            }
        }
    }

    /// The field of the residuals that holds a scalar parameter.
    pub fn param_field(&self, id: Id) -> Ident {
        let data = self.g().data(self.g().resolve(id));
        let name = data.name.as_deref().unwrap_or("v");
        match data.node {
            Node::Param(k) => local(&format!("{name}_p{k}")),
            _ => self.name(id),
        }
    }

    /// A field of the residuals, as a value.
    pub(super) fn field(&self, saved: &TokenStream, name: &Ident) -> TokenStream {
        if self.by_reference {
            quote!((*#saved.#name))
        } else {
            quote!(#saved.#name)
        }
    }
}
