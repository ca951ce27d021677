//! Shadows: the arrays that hold the adjoints of arrays.

use super::{Reverse, buffer};
use crate::graph::*;
use crate::graph::{Primal, Source};
use crate::shape::Shape;
use crate::signature::Signature;
use proc_macro2::{Span, TokenStream};
use quote::quote;

impl Reverse<'_> {
    /// The shadows of array parameters: the caller's buffers, or local ones to be added to them at the end.
    pub(super) fn parameter_shadows(
        &mut self,
        primal: &Primal,
        sig: &Signature,
    ) -> Vec<(Place, Place)> {
        let mut copies = Vec::new();
        for (k, source) in primal.params.iter().enumerate() {
            if !sig.params[k].active {
                continue;
            }
            let name = buffer(sig, k);
            let mut arrays = Vec::new();
            array_leaves(source, &sig.params[k].shape, quote!(#name), &mut arrays);
            for (array, tokens) in arrays {
                let data = self.g.array(array).clone();
                let given = self.g.new_array(
                    &format!("d_{}", data.name),
                    data.shape.clone(),
                    Init::Given(tokens),
                    Span::call_site(),
                );
                let d = self.g.array_mut(given);
                d.shadow = true;
                d.like = Some(array);
                if !data.mutated {
                    self.shadows.insert(array, given);
                    continue;
                }
                let own = self.new_shadow(array);
                let here = self.g.here();
                self.g.region_mut(here).stmts.insert(0, Stmt::Declare(own));
                let whole = |array| Place {
                    array,
                    path: Vec::new(),
                };
                copies.push((whole(given), whole(own)));
            }
        }
        copies
    }

    pub(super) fn new_shadow(&mut self, array: ArrayId) -> ArrayId {
        let data = self.g.array(array).clone();
        let shadow = self.g.new_array(
            &format!("d_{}", data.name),
            data.shape.without_names(),
            Init::Zeros,
            data.span,
        );
        let s = self.g.array_mut(shadow);
        s.shadow = true;
        s.len = data.len;
        // Rows of unknown lengths are read off an array that is still there.
        let plain = self.g.plain_layout(shadow);
        let like = if plain { array } else { self.g.original(array) };
        self.g.array_mut(shadow).like = Some(like);
        self.shadows.insert(array, shadow);
        shadow
    }

    /// Declares the shadows of the active arrays of the frame's region.
    pub(super) fn local_shadows(&mut self) {
        let last = self.frames.len() - 1;
        let (primal, region, in_scope) = (
            self.frames[last].primal,
            self.frames[last].region,
            self.frames[last].in_scope,
        );
        let arrays: Vec<ArrayId> = (0..self.g.arrays.len() as u32)
            .map(ArrayId)
            .filter(|&a| {
                let d = self.g.array(a);
                !d.shadow && d.region == Some(primal) && d.param.is_none() && self.activity.array(a)
            })
            .collect();
        for array in arrays {
            let grows = self.order.grows(array);
            // Its length at the end, which is not that which it starts with, is known when the region has run.
            let end = grows.then(|| {
                let ty = self.g.usize_ty();
                let place = Place {
                    array,
                    path: Vec::new(),
                };
                let len = self.g.bound(Node::Len(place, u32::MAX), ty, Some(primal));
                self.g.region_mut(primal).stmts.push(Stmt::Let(len));
                len
            });
            let shadow = self.new_shadow(array);
            if let Some(len) = end {
                self.g.array_mut(shadow).len = Some(len);
            }
            let at = if grows && in_scope {
                self.g.region(region).stmts.len()
            } else if in_scope {
                // The length of what a call returned is known after it.
                let len = self.g.array(array).len;
                let declared = self.g.region(region).stmts.iter().rposition(|s| {
                    matches!(s, Stmt::Declare(a) if *a == array)
                        || matches!(s, Stmt::Let(id) if Some(*id) == len)
                });
                declared.map_or(0, |k| k + 1)
            } else {
                0
            };
            self.g.array_mut(shadow).region = Some(region);
            self.g
                .region_mut(region)
                .stmts
                .insert(at, Stmt::Declare(shadow));
        }
    }

    /// The adjoint of a place; a constant part of an element has none.
    pub(super) fn shadow(&self, place: &Place) -> Option<Place> {
        let array = *self.shadows.get(&place.array)?;
        match self.g.shape_at(place) {
            Shape::Constant(_) => return None,
            Shape::Scalar(ty) if self.g.types.is_int(ty) || self.g.types.is_bool(ty) => {
                return None;
            }
            _ => {}
        }
        Some(Place {
            array,
            path: place.path.clone(),
        })
    }
}

fn array_leaves(
    source: &Source,
    shape: &Shape,
    tokens: TokenStream,
    out: &mut Vec<(ArrayId, TokenStream)>,
) {
    match source {
        Source::Array(a) => out.push((*a, tokens)),
        Source::Tuple(all) => {
            for (s, (member, part)) in all.iter().zip(shape.parts().unwrap_or_default()) {
                array_leaves(s, &part, quote!(#tokens.#member), out);
            }
        }
        Source::Scalar(_) | Source::Constant => {}
    }
}
