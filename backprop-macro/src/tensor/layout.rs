//! How elements lie in memory, where that decides whether the plain function panics: `into_shape_with_order` takes what lies in order only.
//!
//! In: what is given another shape. Out: constant Rust that says whether the plain function's array lies in order, or nothing where that is so or is not
//! known. Ours do: the reshaped elements are copied. What must hold: nothing panics that does not in the plain function. Known are views of
//! parameters, which are what they are; and of what is computed from parameters that lie in order, by operations that keep this.

use crate::tensor::emit::tensor_name;
use crate::tensor::graph::*;
use crate::tensor::lower::Lower;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::collections::BTreeSet;

impl Lower<'_> {
    /// Whether an array lies in order of its indices, the first one running fastest where `columns`.
    pub fn lies_in_order(&self, v: V, columns: bool) -> Option<TokenStream> {
        let g = &self.g;
        let t = tensor_name(v);
        let turned = columns.then(|| quote!(.reversed_axes()));
        let asked = quote!(#t.view() #turned .is_standard_layout());
        match &g.value(v).op {
            // An elementwise function of one array keeps its order, where the elements lie side by side.
            Op::Map { operands, .. } => {
                let mut arrays = operands.iter().filter(|&&o| g.is_tensor(o));
                let (Some(&of), None) = (arrays.next(), arrays.next()) else {
                    return None;
                };
                if columns || g.dim(of) != g.dim(v) {
                    return None;
                }
                self.kept_in_order(of, &turned)
            }
            // What was not side by side may have been copied.
            Op::Param(_) | Op::Item(..) => {
                Some(quote!((#asked || #t.view().as_slice_memory_order().is_none())))
            }
            Op::View(of, view) if view.form.is_empty() => self.kept_in_order(*of, &turned),
            Op::View(..) => {
                let known = self.known(v)?;
                Some(quote!((!#known || #asked)))
            }
            _ => None,
        }
    }

    /// Whether a copy of an array lies in order: it lies as the array does, where the elements lie side by side.
    fn kept_in_order(&self, of: V, turned: &Option<TokenStream>) -> Option<TokenStream> {
        let (t, known) = (tensor_name(of), self.known(of)?);
        Some(quote!(
            (!#known || #t.view() #turned .is_standard_layout() || #t.view().as_slice_memory_order().is_none())
        ))
    }

    /// A copy of what is seen: its elements are the same, but lie in order if they did not lie side by side.
    pub fn copied(&mut self, v: V, span: Span) -> V {
        match &self.g.value(v).op {
            Op::View(_, view) if !view.form.is_empty() => {
                let ty = self.g.value(v).ty;
                let form = TokenStream::new();
                self.g
                    .push(Op::View(v, View { form, whole: true }), ty, span)
            }
            _ => v,
        }
    }

    /// Whether a view's order in memory is that of the plain function's: constant Rust.
    fn known(&self, v: V) -> Option<TokenStream> {
        let mut base = v;
        while let Op::View(of, view) = &self.g.value(base).op {
            if view.form.is_empty() {
                return None;
            }
            base = *of;
        }
        match &self.g.value(base).op {
            Op::Param(_) | Op::Item(..) => Some(quote!(true)),
            _ => {
                let mut leaves = BTreeSet::new();
                self.in_order(base, &mut leaves).then(|| {
                    let leaves = leaves.into_iter().map(tensor_name);
                    quote!((true #(&& #leaves.view().is_standard_layout())*))
                })
            }
        }
    }

    /// Whether the plain function's array lies in order if the parameters that it is computed from do: these are collected.
    fn in_order(&self, v: V, leaves: &mut BTreeSet<V>) -> bool {
        let g = &self.g;
        if !g.is_tensor(v) {
            return true;
        }
        match &g.value(v).op {
            Op::Param(_) => {
                leaves.insert(v);
                true
            }
            Op::View(of, view) => !turns(view) && self.in_order(*of, leaves),
            Op::Map { operands, .. } => {
                operands.iter().any(|&o| g.is_tensor(o))
                    && operands.iter().all(|&o| self.in_order(o, leaves))
            }
            // Columns lie side by side only where they do in both.
            Op::Product(a, b) => {
                g.rank(v) == Some(1) || self.in_order(*a, leaves) || self.in_order(*b, leaves)
            }
            Op::Put(a, ..) | Op::Assign(a, ..) | Op::SumAxis(a, _) | Op::Reshape(a) => {
                self.in_order(*a, leaves)
            }
            Op::Collected { .. } => true,
            _ => false,
        }
    }
}

/// Whether a view may change the order of axes or elements.
fn turns(view: &View) -> bool {
    let text = view.form.to_string();
    ["reversed_axes", "permuted_axes", "- "]
        .iter()
        .any(|t| text.contains(t))
        || text.contains(";")
}
