//! Loops: how they count, and what they carry.

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
            // Of small signed types it may be no number of the type.
            let small = |id: Id| {
                let kind = self.g().types.kind(self.g().ty(id));
                matches!(kind, Kind::Int(n) if ["i8", "i16", "i32"].contains(&n.as_str()))
            };
            let wide = (small(*lo) || small(*hi)).then(|| quote!(as ::core::primitive::i64));
            let size = quote!((#high #wide - #low #wide) as usize);
            return Some(if *inclusive {
                quote!({ let (#low, #high) = (#a, #b); if #low <= #high { #size + 1 } else { 0 } })
            } else {
                quote!({ let (#low, #high) = (#a, #b); if #low < #high { #size } else { 0 } })
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
        let mut before = self.declare_reused_tapes(l);
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
        let idle = carried.is_empty() && self.only_repeats(l);
        if idle && taped.is_none() {
            return TokenStream::new();
        }
        let hoists = self.hoists(l);
        let tracked = self.tracks.borrow().len();
        let tracks = self.take_tracks(l);
        let in_pairs = self.in_pairs(l);
        let by_counter = self.counted(l)
            && (taped.is_some() || !hoists.is_empty() || !tracks.is_empty() || in_pairs);
        let (n, counter) = (self.trips(l), self.counter(l));
        let (positions, lifted) = self.lift(l, &hoists);
        let slices = self.take(l, &hoists);
        let mark = self.hoisted.borrow().len();
        let slices = quote!(#tracks #positions #slices);
        self.lifted.borrow_mut().extend(&lifted);
        let sliced = !slices.is_empty();
        self.hoisted
            .borrow_mut()
            .extend(hoists.into_iter().map(|h| h.0));
        let mut body = self.iteration(l, &carried);
        let second = self
            .alternating
            .contains(&l)
            .then(|| self.iteration(l, &carried));
        self.hoisted.borrow_mut().truncate(mark);
        lifted.iter().for_each(|id| {
            self.lifted.borrow_mut().remove(id);
        });
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
            let run = match (second, self.counting(data)) {
                (Some(second), Some((step, range))) => {
                    self.two_by_two(l, &step, &range, [&body, &second])
                }
                _ => {
                    let header = self.header(data);
                    quote!(#header { #body })
                }
            };
            let run = self.enclosed_loop(data.body, run);
            return quote!(#before #run #after);
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
        let mut lead = TokenStream::new();
        let (step, range) = if self.positional(l) {
            let low = self.value(*lo);
            lead = if g.integer(*lo) == Some(0) {
                quote!(let #name = #counter;)
            } else {
                quote!(let #name = #low + #counter;)
            };
            (quote!(#counter), counts)
        } else if self.live.has(g, *index) {
            let (a, b) = (self.value(*lo), self.bound(*hi));
            let range = turned(if *inclusive {
                quote!((#a)..=(#b))
            } else {
                quote!((#a)..(#b))
            });
            (
                quote!((#counter, #name)),
                quote!(::core::iter::Iterator::zip(#counts, #range)),
            )
        } else {
            (quote!(#counter), counts)
        };
        let mut run = match second {
            _ if idle => TokenStream::new(),
            Some(second) => {
                let bodies = [&quote!(#lead #body), &quote!(#lead #second)];
                self.two_by_two(l, &step, &range, bodies)
            }
            None if in_pairs => self.run_in_pairs(l, &quote!(#lead #body)),
            None => quote!(for #step in #range { #lead #body }),
        };
        if sliced && !idle {
            // An empty loop takes no slices: they might not exist.
            run = quote!(if #n > 0 { #slices #run });
        }
        let run = self.enclosed_loop(data.body, run);
        quote!(#before #run #after)
    }

    /// Whether a loop of the backward pass only computes again what the forward pass has: loops after it do what it was there for.
    fn only_repeats(&self, l: LoopId) -> bool {
        let g = self.g();
        let data = g.looped(l);
        let repeats = |s: &Stmt| match s {
            Stmt::Let(id) => g.data(*id).region != Some(data.body) || !self.live.stmt(g, s),
            Stmt::ReadTape(of) => self.counted(*of),
            _ => false,
        };
        data.reverses.is_some() && g.region(data.body).stmts.iter().all(repeats)
    }

    /// One iteration: the statements, what is kept, what is carried on.
    fn iteration(&self, l: LoopId, carried: &[&Carried]) -> TokenStream {
        let data = self.g().looped(l);
        let counter = self.counter(l);
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
        body.extend(self.carry_on(carried));
        body
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

    /// What takes the values of a range, and the range, in the order in which it is counted.
    fn counting(&self, data: &Loop) -> Option<(TokenStream, TokenStream)> {
        let range = |lo: &Id, hi: &Id, inclusive: bool| {
            let (lo, hi) = (self.value(*lo), self.bound(*hi));
            if inclusive {
                quote!((#lo)..=(#hi))
            } else {
                quote!((#lo)..(#hi))
            }
        };
        Some(match &data.count {
            Count::Range {
                index,
                lo,
                hi,
                inclusive,
                rev,
            } => {
                let (index, range) = (self.name(*index), range(lo, hi, *inclusive));
                if *rev {
                    (quote!(#index), quote!(::core::iter::Iterator::rev(#range)))
                } else {
                    (quote!(#index), range)
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
                (
                    quote!(#index),
                    quote!(::core::iter::Iterator::step_by(#range, #step)),
                )
            }
            Count::Forever | Count::Replay(_) => return None,
        })
    }

    fn header(&self, data: &Loop) -> TokenStream {
        match &data.count {
            Count::Replay(of) => {
                let end = self.g().looped(*of).end.map(|e| self.value(e));
                quote!(for _ in 0..#end)
            }
            _ => match self.counting(data) {
                Some((step, range)) => quote!(for #step in #range),
                None => quote!(loop),
            },
        }
    }
}
