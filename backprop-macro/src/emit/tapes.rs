//! Tapes: what each iteration keeps, where it lives and how it is read.
//!
//! Where the number of iterations is known when the loop starts a tape is one buffer, allocated once and indexed; otherwise
//! it is pushed.

use super::Emit;
use crate::graph::*;
use crate::signature::local;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

const MAX_STACK: usize = 1024;

impl Emit<'_> {
    /// The loops from a tape's own up to its home.
    pub(super) fn nest(&self, l: LoopId, home: RegionId) -> Vec<LoopId> {
        let mut out = vec![l];
        let mut at = self.g().region(self.g().looped(l).body).parent;
        while let Some(r) = at {
            if r == home {
                break;
            }
            out.extend(self.bodies.get(&r).copied());
            at = self.g().region(r).parent;
        }
        out
    }

    /// The constant size of a tape, where it has one small enough for the stack.
    pub(super) fn stack_size(&self, l: LoopId, home: RegionId) -> Option<usize> {
        let copied = |id: &Id| self.is_copied(*id);
        if self.p.back.is_some() || !self.counted(l) || !self.g().looped(l).tape.iter().all(copied)
        {
            return None;
        }
        let mut total = 1usize;
        for l in self.nest(l, home) {
            let Count::Range {
                lo, hi, inclusive, ..
            } = &self.g().looped(l).count
            else {
                return None;
            };
            let (lo, hi) = (self.g().integer(*lo)?, self.g().integer(*hi)?);
            total = total.checked_mul(usize::try_from(hi - lo).ok()? + usize::from(*inclusive))?;
        }
        (total <= MAX_STACK).then_some(total)
    }

    /// How often each loop of a nest runs, where that is known before the outermost.
    pub(super) fn counts(&self, nest: &[LoopId], region: RegionId) -> Option<Vec<TokenStream>> {
        nest.iter().map(|&l| self.trips_in(l, region)).collect()
    }

    /// Declares the tapes of the loops inside a statement of their home region.
    pub(super) fn declare_tapes(&self, region: RegionId, stmt: &Stmt) -> TokenStream {
        let g = self.g();
        let inside = match stmt {
            Stmt::Loop(l) => vec![g.looped(*l).body],
            Stmt::If(b) => vec![g.branch(*b).then, g.branch(*b).otherwise],
            _ => Vec::new(),
        };
        let mut held: Vec<LoopId> = inside
            .iter()
            .filter_map(|r| self.held.get(r))
            .flatten()
            .copied()
            .collect();
        held.sort_unstable();
        let mut out = TokenStream::new();
        for l in held {
            let (tape, cursor) = (self.tape_name(l), self.cursor(l));
            let zero = self.tape_zero(l);
            let nest = self.nest(l, region);
            if let Some(over) = self.reused_in(l) {
                if self.counts_before(l, over).is_none() {
                    out.extend(self.reuse_tape(l, region));
                }
                continue;
            }
            let init = if let Some(n) = self.stack_size(l, region) {
                let n = proc_macro2::Literal::usize_unsuffixed(n);
                quote!([#zero; #n])
            } else if let Some(counts) = self.counts(&nest, region) {
                let total = counts.into_iter().reduce(|a, b| quote!(#a * #b));
                quote!(::std::vec![#zero; #total])
            } else {
                quote!(::std::vec::Vec::new())
            };
            out.extend(quote!(let mut #tape = #init; let mut #cursor = 0usize;));
        }
        out
    }

    /// The outermost loop around the home of a tape on the heap: each of its iterations uses the buffer of the one before.
    pub(super) fn reused_in(&self, l: LoopId) -> Option<LoopId> {
        let g = self.g();
        let home = self.home(g.looped(l).body);
        let mut at = Some(home);
        let mut over = None;
        while let Some(r) = at {
            over = self.bodies.get(&r).copied().or(over);
            at = g.region(r).parent;
        }
        over.filter(|_| self.stack_size(l, home).is_none())
    }

    /// How often each loop from a tape's own to its home runs, where that is known before the loop that reuses the tape.
    fn counts_before(&self, l: LoopId, over: LoopId) -> Option<Vec<TokenStream>> {
        let g = self.g();
        let around = g.region(g.looped(over).body).parent?;
        self.counts(&self.nest(l, self.home(g.looped(l).body)), around)
    }

    /// The tapes that each iteration of a loop uses anew, declared before it.
    pub(super) fn declare_reused_tapes(&self, over: LoopId) -> TokenStream {
        let mut out = TokenStream::new();
        for &l in self.reused.get(&over).into_iter().flatten() {
            let (tape, cursor) = (self.tape_name(l), self.cursor(l));
            let init = match self.counts_before(l, over) {
                Some(counts) => {
                    let total = counts.into_iter().reduce(|a, b| quote!(#a * #b));
                    let zero = self.tape_zero(l);
                    quote!(::std::vec![#zero; #total])
                }
                None => quote!(::std::vec::Vec::new()),
            };
            out.extend(quote!(let mut #tape = #init; let mut #cursor = 0usize;));
        }
        out
    }

    /// Makes room on a tape that was used before; one that is pushed starts anew.
    fn reuse_tape(&self, l: LoopId, region: RegionId) -> TokenStream {
        let (tape, cursor) = (self.tape_name(l), self.cursor(l));
        match self.counts(&self.nest(l, region), region) {
            Some(counts) => {
                let total = counts.into_iter().reduce(|a, b| quote!(#a * #b));
                let (n, zero) = (local("n"), self.tape_zero(l));
                quote! {
                    let #n = #total;
                    if #tape.len() < #n {
                        #tape.reserve_exact(#n - #tape.len());
                        #tape.resize(#n, #zero);
                    }
                }
            }
            None if self.counted(l) => TokenStream::new(),
            None => quote!(#tape.clear(); #cursor = 0;),
        }
    }

    pub(super) fn uniform(&self, l: LoopId) -> bool {
        let tape = &self.g().looped(l).tape;
        let float = |id: &Id| self.g().types.float(self.g().ty(*id));
        tape.len() > 1
            && tape
                .iter()
                .all(|id| self.g().is_float(*id) && float(id) == float(&tape[0]))
    }

    /// What a tape's element looks like, from its parts.
    pub fn tape_element(&self, l: LoopId, parts: &[TokenStream]) -> TokenStream {
        match parts {
            [one] => one.clone(),
            all if self.uniform(l) => quote!([#(#all),*]),
            // Longer tuples implement nothing.
            all if all.len() > 8 => {
                let parts: Vec<TokenStream> =
                    all.chunks(8).map(|part| quote!((#(#part,)*))).collect();
                self.tape_element(l, &parts)
            }
            all => quote!((#(#all),*)),
        }
    }

    /// The type of a tape's element.
    pub fn tape_type(&self, l: LoopId) -> TokenStream {
        let types: Vec<TokenStream> = self
            .g()
            .looped(l)
            .tape
            .iter()
            .map(|id| self.type_of(*id))
            .collect();
        match types.as_slice() {
            [first, ..] if self.uniform(l) => {
                let n = types.len();
                quote!([#first; #n])
            }
            _ => self.tape_element(l, &types),
        }
    }

    pub(super) fn tape_zero(&self, l: LoopId) -> TokenStream {
        let zeros: Vec<TokenStream> = self
            .g()
            .looped(l)
            .tape
            .iter()
            .map(|id| self.filler(*id))
            .collect();
        self.tape_element(l, &zeros)
    }

    pub(super) fn track(&self, l: LoopId) -> Ident {
        local(&format!("loop{}_track", l.0))
    }

    /// The names of what an iteration has kept.
    fn tape_pattern(&self, l: LoopId) -> TokenStream {
        let kept = &self.g().looped(l).tape;
        let names: Vec<TokenStream> = kept.iter().map(|id| self.read_pattern(*id)).collect();
        self.tape_element(l, &names)
    }

    /// Reads what the iteration being reversed has kept.
    pub(super) fn read_tape(&self, l: LoopId) -> TokenStream {
        let pattern = self.tape_pattern(l);
        if self.counted(l) {
            let (track, counter) = (self.track(l), self.counter(l));
            return quote!(let #pattern = #track[#counter];);
        }
        let (tape, cursor) = (self.tape_name(l), self.cursor(l));
        quote!(#cursor -= 1; let #pattern = #tape[#cursor];)
    }

    /// Reads what another iteration of a counted loop has kept.
    pub(super) fn read_tape_at(&self, l: LoopId, at: Id) -> TokenStream {
        let Count::Range { lo, .. } = &self.g().looped(l).count else {
            return TokenStream::new();
        };
        let pattern = self.tape_pattern(l);
        let own = |&(of, by): &(LoopId, LoopId)| {
            let index = crate::access::positional(self.g(), by).map(|p| p.0);
            of == l && index == Some(self.g().resolve(at))
        };
        if let Some(&(_, by)) = self.tracks.borrow().iter().find(|t| own(t)) {
            let (part, counter) = (self.track_part(l, by), self.counter(by));
            return quote!(let #pattern = #part[#counter];);
        }
        let (track, at) = (self.track(l), self.value(at));
        if self.g().integer(*lo) == Some(0) {
            return quote!(let #pattern = #track[#at];);
        }
        let lo = self.value(*lo);
        quote!(let #pattern = #track[#at - #lo];)
    }

    /// The part of a tape that a loop after the one that reads it runs over.
    pub(super) fn track_part(&self, l: LoopId, by: LoopId) -> Ident {
        local(&format!("loop{}_track{}", l.0, by.0))
    }

    /// Cuts the tapes that a loop reads at its own index to the loop's length, so that no bound is checked inside.
    pub(super) fn take_tracks(&self, by: LoopId) -> TokenStream {
        let mut out = TokenStream::new();
        let Some((index, lo, _)) = crate::access::positional(self.g(), by) else {
            return out;
        };
        for stmt in &self.g().region(self.g().looped(by).body).stmts {
            let Stmt::ReadTapeAt(l, at) = stmt else {
                continue;
            };
            let Count::Range { lo: start, .. } = self.g().looped(*l).count else {
                continue;
            };
            if self.g().resolve(*at) != index {
                continue;
            }
            let (track, part, n) = (self.track(*l), self.track_part(*l, by), self.trips(by));
            let (lo, start) = (self.value(lo), self.value(start));
            out.extend(quote!(let #part = &#track[#lo - #start..][..#n];));
            self.tracks.borrow_mut().push((*l, by));
        }
        out
    }

    /// The part of the tape that belongs to this run of the loop.
    pub(super) fn open_track(&self, l: LoopId, of: LoopId) -> TokenStream {
        let (tape, cursor, track, n) = (
            self.tape_name(of),
            self.cursor(of),
            self.track(of),
            self.trips(l),
        );
        if self.g().looped(l).reverses.is_some() {
            return quote!(#cursor -= #n; let #track = &#tape[#cursor..#cursor + #n];);
        }
        let home = self.home(self.g().looped(of).body);
        let exact = self.stack_size(of, home).is_some()
            || self.counts(&self.nest(of, home), home).is_some();
        let grow = if exact {
            TokenStream::new()
        } else {
            let zero = self.tape_zero(of);
            quote!(if #tape.len() < #cursor + #n { #tape.resize(#cursor + #n, #zero); })
        };
        quote!(#grow let #track = &mut #tape[#cursor..#cursor + #n];)
    }
}
