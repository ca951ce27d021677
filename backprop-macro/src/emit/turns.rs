//! Buffers that take turns.
//!
//! A loop that moves copies one buffer to another that is not read before it is filled again: the two change places instead. Where
//! such a loop stands in the body of another, the steps of that one are spelt two by two: in the second each of the two arrays goes by
//! the name of the other, so that nothing is exchanged at all, and the optimiser knows which array it has before it. Elsewhere
//! the arrays are used through references, which are swapped.

use super::Emit;
use crate::access::{arrays_of, distance, extent, length_of, positional};
use crate::exchange::{copied, regions, returned, same_positions};
use crate::graph::maps::Set;
use crate::graph::*;
use proc_macro2::TokenStream;
use quote::quote;

impl Emit<'_> {
    /// Finds the loops that are spelt in two steps, and the arrays that are used through references.
    pub(super) fn find_turns(&mut self) {
        let g = self.g();
        let moving = |l: LoopId| g.looped(l).moves && copied(g, l).is_some();
        for start in [Some(self.p.body), self.p.back].into_iter().flatten() {
            regions(g, start, &mut |region| {
                for stmt in &g.region(region).stmts {
                    let Stmt::Loop(l) = stmt else { continue };
                    if self.takes_turns(*l) {
                        self.alternating.insert(*l);
                    }
                    let around = self.bodies.get(&region);
                    if moving(*l) && !around.is_some_and(|t| self.alternating.contains(t)) {
                        let (to, from) = copied(g, *l).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
                        self.turning.extend(to.into_iter().chain(from));
                    }
                }
            });
        }
    }

    /// Whether a loop's own statements move, each two arrays of its own that outlive the step, and nothing deeper inside does.
    fn takes_turns(&self, t: LoopId) -> bool {
        let g = self.g();
        let data = g.looped(t);
        if data.again.is_some() || !matches!(data.count, Count::Range { .. }) {
            return false;
        }
        let mut seen = Set::default();
        let mut found = false;
        let mut apart = true;
        regions(g, data.body, &mut |region| {
            for stmt in &g.region(region).stmts {
                let Stmt::Loop(l) = stmt else { continue };
                if !g.looped(*l).moves {
                    continue;
                }
                let Some((to, from)) = copied(g, *l) else {
                    continue;
                };
                found = true;
                let around = |a: ArrayId| {
                    let at = g.array(a).region;
                    at.is_some_and(|r| !g.encloses(data.body, r))
                };
                apart &= region == data.body && around(to) && around(from);
                apart &= seen.insert(to) && seen.insert(from);
            }
        });
        found && apart
    }

    /// A loop that moves: its arrays change places, but for the elements that it leaves out.
    pub(super) fn exchange(&self, l: LoopId) -> TokenStream {
        let g = self.g();
        let (Some((to, from)), Some((_, lo, hi))) = (copied(g, l), positional(g, l)) else {
            return TokenStream::new();
        };
        let (a, b) = (self.root(to), self.root(from));
        let around = g.region(g.looped(l).body).parent;
        let step = around.and_then(|r| self.bodies.get(&r));
        let step = step.filter(|t| self.alternating.contains(t));
        if let Some(t) = step {
            let (x, y) = (self.acts_for(to), self.acts_for(from));
            self.acting.borrow_mut().extend([(to, y), (from, x)]);
            if self.same_ends(*t, l) {
                return TokenStream::new();
            }
        }
        let below = (g.integer(lo) != Some(0)).then(|| {
            let lo = self.value(lo);
            quote!(#a[..#lo].swap_with_slice(&mut #b[..#lo]);)
        });
        let above = (length_of(g, to) != Some(extent(g, hi))).then(|| {
            let hi = self.value(hi);
            quote!(#a[#hi..].swap_with_slice(&mut #b[#hi..]);)
        });
        let (lo, hi) = (self.value(lo), self.value(hi));
        let swap = quote!(::core::mem::swap(&mut #a, &mut #b););
        match step {
            // Who moves nothing keeps its names: the arrays themselves change places.
            Some(_) => quote!(if #lo < #hi { #below #above } else { #swap }),
            None => quote!(if #lo < #hi { #swap #below #above }),
        }
    }

    /// The array whose place another has taken.
    pub(super) fn acts_for(&self, array: ArrayId) -> ArrayId {
        *self.acting.borrow().get(&array).unwrap_or(&array)
    }

    /// A loop over steps, spelt two by two. `first`, `second`: its body, before and after the arrays have changed places.
    pub(super) fn two_by_two(
        &self,
        t: LoopId,
        step: &TokenStream,
        range: &TokenStream,
        [first, second]: [&TokenStream; 2],
    ) -> TokenStream {
        let mut before = TokenStream::new();
        let mut restore = TokenStream::new();
        for (l, to, from) in self.moves_in(t) {
            let (a, b) = (self.root(to), self.root(from));
            if self.same_ends(t, l) {
                before.extend(quote!(#b = #a;));
            }
            restore.extend(quote!(::core::mem::swap(&mut #a, &mut #b);));
        }
        let steps = crate::signature::local(&format!("loop{}_steps", t.0));
        let next = quote!(::core::iter::Iterator::next(&mut #steps));
        let some = quote!(::core::option::Option::Some);
        quote! {
            #before
            let mut #steps = #range;
            while let #some(#step) = #next {
                { #first }
                let #some(#step) = #next else { #restore break; };
                #second
            }
        }
    }

    fn moves_in(&self, t: LoopId) -> Vec<(LoopId, ArrayId, ArrayId)> {
        let g = self.g();
        let stmts = &g.region(g.looped(t).body).stmts;
        stmts
            .iter()
            .filter(|s| self.live.stmt(g, s))
            .filter_map(|s| match s {
                Stmt::Loop(l) if g.looped(*l).moves => copied(g, *l).map(|(a, b)| (*l, a, b)),
                _ => None,
            })
            .collect()
    }

    /// Whether both arrays may hold from the start what a loop that moves leaves out: of the one it does not change while the steps last, of
    /// the other nobody reads it.
    fn same_ends(&self, t: LoopId, l: LoopId) -> bool {
        let g = self.g();
        let Some((to, from)) = copied(g, l) else {
            return false;
        };
        let mut fixed = true;
        let mut unread = !returned(&self.p.result, from) && g.array(from).like.is_none();
        for start in [Some(self.p.body), self.p.back].into_iter().flatten() {
            regions(g, start, &mut |region| {
                let inside = g.encloses(g.looped(t).body, region);
                let own = self
                    .bodies
                    .get(&region)
                    .filter(|k| inside && same_positions(g, **k, l))
                    .and_then(|k| positional(g, *k));
                for stmt in &g.region(region).stmts {
                    if matches!(stmt, Stmt::If(_) | Stmt::Loop(_)) {
                        continue;
                    }
                    let place = match stmt {
                        Stmt::Let(id) => match g.node(*id) {
                            Node::Load(p, _) => Some(p),
                            _ => None,
                        },
                        Stmt::Store { place, .. } => Some(place),
                        _ => None,
                    };
                    let at_index = matches!((place.map(|p| p.path.as_slice()), own), (Some([Step::Index(i)]), Some((index, ..))) if distance(g, *i, index) == Some(0));
                    let declared = matches!(stmt, Stmt::Declare(a) if *a == from);
                    arrays_of(g, stmt, &mut |a, reads| {
                        fixed &= a != to || reads || !inside || region == g.looped(l).body;
                        unread &= a != from || at_index || declared;
                    });
                }
            });
        }
        fixed && unread
    }
}
