//! Loops: how they count, what they carry, and buffers that take turns.

use super::Emit;
use crate::graph::*;
use crate::signature::local;
use crate::types::Kind;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

impl Emit<'_> {
    // ---- how a loop counts ----

    /// Whether the number of iterations is known when the loop starts.
    pub(super) fn counted(&self, l: LoopId) -> bool {
        let data = self.g().looped(l);
        matches!(data.count, Count::Range { .. }) && data.again.is_none()
    }

    /// Whether the index is a position as well: only then are arrays cut to the loop's length.
    pub(super) fn positional(&self, l: LoopId) -> bool {
        let Count::Range { index, .. } = &self.g().looped(l).count else {
            return false;
        };
        let ty = self.g().ty(*index);
        self.counted(l) && matches!(self.g().types.kind(ty), Kind::Int(name) if name == "usize")
    }

    /// The number of iterations and their counter; a loop and its reverse, never nested, use one name.
    pub(super) fn trips(&self, l: LoopId) -> Ident {
        local(&format!(
            "loop{}_n",
            self.g().looped(l).reverses.unwrap_or(l).0
        ))
    }

    pub(super) fn counter(&self, l: LoopId) -> Ident {
        local(&format!(
            "loop{}_k",
            self.g().looped(l).reverses.unwrap_or(l).0
        ))
    }

    /// The number of iterations of a counted loop.
    pub(super) fn trip_count(&self, l: LoopId) -> TokenStream {
        self.trips_with(l, &|id| Some(self.value(id)))
            .unwrap_or_else(|| quote!(0))
    }

    /// The same, its bounds spelt by a function that may not be able to.
    pub(super) fn trips_with(
        &self,
        l: LoopId,
        spell: &dyn Fn(Id) -> Option<TokenStream>,
    ) -> Option<TokenStream> {
        let Count::Range {
            lo, hi, inclusive, ..
        } = &self.g().looped(l).count
        else {
            return None;
        };
        let (a, b) = (spell(*lo)?, spell(*hi)?);
        if let (Some(lo), Some(hi)) = (self.g().integer(*lo), self.g().integer(*hi)) {
            let n = (hi - lo + i128::from(*inclusive)).max(0) as usize;
            let n = proc_macro2::Literal::usize_unsuffixed(n);
            return Some(quote!(#n));
        }
        if !self.positional(l) {
            let (low, high) = (local("lo"), local("hi"));
            return Some(if *inclusive {
                quote!({ let (#low, #high) = (#a, #b); if #low <= #high { (#high - #low) as usize + 1 } else { 0 } })
            } else {
                quote!({ let (#low, #high) = (#a, #b); if #low < #high { (#high - #low) as usize } else { 0 } })
            });
        }
        let b = if *inclusive { quote!((#b + 1)) } else { b };
        if self.g().integer(*lo) == Some(0) {
            return Some(b);
        }
        Some(quote!(::core::primitive::usize::saturating_sub(#b, #a)))
    }

    /// A loop's number of iterations, spelt in a region around it; `None` where it is not known there.
    pub(super) fn trips_in(&self, l: LoopId, region: RegionId) -> Option<TokenStream> {
        if !self.counted(l) {
            return None;
        }
        self.trips_with(l, &|id| self.outside(id, region))
    }

    /// A constant, spelt in a region around the one that computes it.
    pub(super) fn outside(&self, id: Id, region: RegionId) -> Option<TokenStream> {
        let g = self.g();
        let id = g.resolve(id);
        if g.data(id).region.is_none_or(|r| g.encloses(r, region)) {
            return Some(self.value(id));
        }
        match g.node(id) {
            Node::Opaque(k, args) => {
                let args: Option<Vec<TokenStream>> =
                    args.iter().map(|&a| self.outside(a, region)).collect();
                match (&g.opaque_of(*k).form, args?.as_slice()) {
                    // It may run where the loop would not: it must not panic.
                    (OpaqueForm::Binary(op), [a, b]) => {
                        let usize_sized =
                            matches!(g.types.kind(g.ty(id)), Kind::Int(n) if n == "usize");
                        match op.to_string().as_str() {
                            "-" if usize_sized => {
                                Some(quote!(::core::primitive::usize::saturating_sub(#a, #b)))
                            }
                            "+" | "*" if usize_sized => Some(quote!((#a #op #b))),
                            _ => None,
                        }
                    }
                    (OpaqueForm::Cast(to), [a]) => Some(quote!(((#a) as #to))),
                    _ => None,
                }
            }
            Node::Len(p, _) if g.array(p.array).frozen && p.path.is_empty() => {
                let place = self.place(p);
                Some(quote!(#place.len()))
            }
            _ => None,
        }
    }

    // ---- the loop itself ----

    pub(super) fn looped(&self, l: LoopId) -> TokenStream {
        let g = self.g();
        let data = g.looped(l);
        if data.moves {
            return self.exchange(l);
        }
        let carried: Vec<&Carried> = data
            .carried
            .iter()
            .filter(|c| self.live.carried(g, c))
            .collect();
        let mut before = TokenStream::new();
        let mut after = TokenStream::new();
        for c in &carried {
            let (phi, init) = (self.name(c.phi), self.value(c.init));
            let ty = match g.types.kind(g.ty(c.phi)) {
                Kind::Unknown | Kind::Other | Kind::AnyInt => TokenStream::new(),
                _ => g
                    .types
                    .tokens(g.ty(c.phi))
                    .map_or(TokenStream::new(), |t| quote!(: #t)),
            };
            before.extend(quote!(let mut #phi #ty = #init;));
            if self.live.has(g, c.out) {
                let out = self.name(c.out);
                after.extend(quote!(let #out = #phi;));
            }
        }
        // A loop with exits pushes its tape, although the one that reverses it counts.
        let taped = data
            .reverses
            .filter(|of| !g.looped(*of).tape.is_empty())
            .or((!data.tape.is_empty()).then_some(l))
            .filter(|of| self.counted(*of));
        let hoists = self.hoists(l);
        let tracked = self.tracks.borrow().len();
        let tracks = self.take_tracks(l);
        let by_counter =
            self.counted(l) && (taped.is_some() || !hoists.is_empty() || !tracks.is_empty());
        let (n, counter) = (self.trips(l), self.counter(l));
        let slices = self.take(l, &hoists);
        let mark = self.hoisted.borrow().len();
        let slices = quote!(#tracks #slices);
        let sliced = !slices.is_empty();
        self.hoisted
            .borrow_mut()
            .extend(hoists.into_iter().map(|h| h.0));
        let mut body = self.region(data.body);
        if !data.tape.is_empty() && data.reverses.is_none() {
            let values: Vec<TokenStream> = data.tape.iter().map(|id| self.value(*id)).collect();
            let value = self.tape_element(l, &values);
            body.extend(if self.counted(l) {
                let track = self.track(l);
                quote!(#track[#counter] = #value;)
            } else {
                let (tape, cursor) = (self.tape_name(l), self.cursor(l));
                quote!(#tape.push(#value); #cursor += 1;)
            });
        }
        body.extend(self.carry_on(&carried));
        self.hoisted.borrow_mut().truncate(mark);
        self.tracks.borrow_mut().truncate(tracked);
        let end = data
            .end
            .filter(|e| self.live.has(g, *e))
            .map(|e| self.name(e));
        let mut leave = quote!(break;);
        if let Some(end) = &end {
            match &data.count {
                Count::Range {
                    index,
                    lo,
                    hi,
                    inclusive,
                    rev,
                } => {
                    let (index, lo, hi) = (self.name(*index), self.value(*lo), self.value(*hi));
                    if *rev {
                        before.extend(quote!(let mut #end = #lo;));
                        leave = quote!(#end = #index; break;);
                    } else {
                        before.extend(quote!(let mut #end = #hi;));
                        leave = if *inclusive {
                            quote!(#end = #index; break;)
                        } else {
                            quote!(#end = #index + 1; break;)
                        };
                    }
                }
                _ => {
                    before.extend(quote!(let mut #end = 0usize;));
                    body.extend(quote!(#end += 1;));
                }
            }
        }
        if let Some(again) = data.again {
            match g.opaque_text(again).as_deref() {
                Some("false") => body.extend(leave),
                _ => {
                    let again = self.value(again);
                    body.extend(quote!(if !#again { #leave }));
                }
            }
        }
        if !by_counter {
            let header = self.header(data);
            return quote!(#before #header { #body } #after);
        }
        let count = self.trip_count(l);
        before.extend(quote!(let #n = #count;));
        if let Some(of) = taped {
            before.extend(self.open_track(l, of));
            if data.reverses.is_none() {
                let cursor = self.cursor(of);
                after.extend(quote!(#cursor += #n;));
            }
        }
        let Count::Range {
            index,
            lo,
            hi,
            inclusive,
            rev,
        } = &data.count
        else {
            return TokenStream::new();
        };
        let name = self.name(*index);
        let turned = |range: TokenStream| {
            if *rev {
                quote!(::core::iter::Iterator::rev(#range))
            } else {
                range
            }
        };
        let counts = turned(quote!(0..#n));
        let mut run = if self.positional(l) {
            let low = self.value(*lo);
            let at = if g.integer(*lo) == Some(0) {
                quote!(#counter)
            } else {
                quote!(#low + #counter)
            };
            quote!(for #counter in #counts { let #name = #at; #body })
        } else if self.live.has(g, *index) {
            let (a, b) = (self.value(*lo), self.bound(*hi));
            let range = turned(if *inclusive {
                quote!((#a)..=(#b))
            } else {
                quote!((#a)..(#b))
            });
            quote!(for (#counter, #name) in ::core::iter::Iterator::zip(#counts, #range) { #body })
        } else {
            quote!(for #counter in #counts { #body })
        };
        if sliced {
            // An empty loop takes no slices: they might not exist.
            run = quote!(if #n > 0 { #slices #run });
        }
        quote!(#before #run #after)
    }

    /// A loop that moves: its arrays change places, but for the elements that it leaves out.
    pub(super) fn exchange(&self, l: LoopId) -> TokenStream {
        let (Some((to, from)), Some((_, lo, hi))) = (
            crate::exchange::copied(self.g(), l),
            crate::access::positional(self.g(), l),
        ) else {
            return TokenStream::new();
        };
        let length = crate::access::length_of(self.g(), to);
        let (a, b) = (self.root(to), self.root(from));
        let below = (self.g().integer(lo) != Some(0)).then(|| {
            let lo = self.value(lo);
            quote!(#a[..#lo].swap_with_slice(&mut #b[..#lo]);)
        });
        let above = (length != Some(crate::access::extent(self.g(), hi))).then(|| {
            let hi = self.value(hi);
            quote!(#a[#hi..].swap_with_slice(&mut #b[#hi..]);)
        });
        let (lo, hi) = (self.value(lo), self.value(hi));
        quote!(if #lo < #hi { ::core::mem::swap(&mut #a, &mut #b); #below #above })
    }

    /// The end of a range: a literal says its type, for a method may be called on the index before anything else does.
    fn bound(&self, hi: Id) -> TokenStream {
        let g = self.g();
        match (g.integer(hi), g.types.kind(g.ty(hi))) {
            (Some(n @ 0..), Kind::Int(int)) => {
                match format!("{n}{int}").parse::<proc_macro2::Literal>() {
                    Ok(literal) => quote!(#literal),
                    Err(_) => self.value(hi),
                }
            }
            _ => self.value(hi),
        }
    }

    pub(super) fn header(&self, data: &Loop) -> TokenStream {
        let range = |lo: &Id, hi: &Id, inclusive: bool| {
            let (lo, hi) = (self.value(*lo), self.bound(*hi));
            if inclusive {
                quote!((#lo)..=(#hi))
            } else {
                quote!((#lo)..(#hi))
            }
        };
        match &data.count {
            Count::Range {
                index,
                lo,
                hi,
                inclusive,
                rev,
            } => {
                let (index, range) = (self.name(*index), range(lo, hi, *inclusive));
                if *rev {
                    quote!(for #index in ::core::iter::Iterator::rev(#range))
                } else {
                    quote!(for #index in #range)
                }
            }
            Count::Stepped {
                index,
                lo,
                hi,
                inclusive,
                step,
                rev,
            } => {
                let (index, range, step) = (
                    self.name(*index),
                    range(lo, hi, *inclusive),
                    self.value(*step),
                );
                let range = if *rev {
                    quote!(::core::iter::Iterator::rev(#range))
                } else {
                    range
                };
                quote!(for #index in ::core::iter::Iterator::step_by(#range, #step))
            }
            Count::Forever => quote!(loop),
            Count::Replay(of) => {
                let end = self.g().looped(*of).end.map(|e| self.value(e));
                quote!(for _ in 0..#end)
            }
        }
    }
}
