//! Loops: how they count, what they carry, their tapes, and slices taken before them.
//!
//! A tape holds what each iteration keeps. Where the number of iterations is known when the loop starts it is one buffer,
//! allocated once and indexed; otherwise it is pushed. Arrays that an iteration reads or writes at its own index are cut
//! to the loop's length before it, so that no bound is checked inside.

use super::Emit;
use crate::graph::*;
use crate::shape::{Length, Shape};
use crate::signature::local;
use crate::types::Kind;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::{BTreeSet, HashSet};

/// A slice taken before a loop: the part of an array that the loop runs over, from a fixed distance.
pub(super) struct Hoist {
    array: ArrayId,
    prefix: Vec<Step>,
    offset: Offset,
    /// How many steps of a place it stands for, and what they become.
    steps: usize,
    slice: Ident,
    counter: Ident,
    of: LoopId,
}

/// A distance from a loop's index: something that does not change in the loop, and a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Offset {
    fixed: Option<Id>,
    number: i128,
}

/// An access of an array in a loop.
struct Access {
    place: Place,
    store: bool,
    /// It happens in every iteration.
    always: bool,
}

const MAX_STACK: usize = 1024;

impl Emit<'_> {
    // ---- how a loop counts ----

    /// Whether the number of iterations is known when the loop starts.
    fn counted(&self, l: LoopId) -> bool {
        let data = self.g().looped(l);
        matches!(data.count, Count::Range { .. }) && data.again.is_none()
    }

    /// Whether the index is a position as well: only then are arrays cut to the loop's length.
    fn positional(&self, l: LoopId) -> bool {
        let Count::Range { index, .. } = &self.g().looped(l).count else {
            return false;
        };
        let ty = self.g().ty(*index);
        self.counted(l) && matches!(self.g().types.kind(ty), Kind::Int(name) if name == "usize")
    }

    /// The number of iterations and their counter; a loop and its reverse, never nested, use one name.
    fn trips(&self, l: LoopId) -> Ident {
        local(&format!(
            "loop{}_n",
            self.g().looped(l).reverses.unwrap_or(l).0
        ))
    }

    fn counter(&self, l: LoopId) -> Ident {
        local(&format!(
            "loop{}_k",
            self.g().looped(l).reverses.unwrap_or(l).0
        ))
    }

    /// The number of iterations of a counted loop.
    fn trip_count(&self, l: LoopId) -> TokenStream {
        self.trips_with(l, &|id| Some(self.value(id)))
            .unwrap_or_else(|| quote!(0))
    }

    /// The same, its bounds spelt by a function that may not be able to.
    fn trips_with(
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
    fn trips_in(&self, l: LoopId, region: RegionId) -> Option<TokenStream> {
        if !self.counted(l) {
            return None;
        }
        self.trips_with(l, &|id| self.outside(id, region))
    }

    /// A constant, spelt in a region around the one that computes it.
    fn outside(&self, id: Id, region: RegionId) -> Option<TokenStream> {
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

    // ---- tapes ----

    /// The loops from a tape's own up to its home.
    fn nest(&self, l: LoopId, home: RegionId) -> Vec<LoopId> {
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
    fn stack_size(&self, l: LoopId, home: RegionId) -> Option<usize> {
        if self.p.back.is_some() || !self.counted(l) {
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
    fn counts(&self, nest: &[LoopId], region: RegionId) -> Option<Vec<TokenStream>> {
        nest.iter().map(|&l| self.trips_in(l, region)).collect()
    }

    /// Declares the tapes of the loops inside a statement of their home region.
    pub(super) fn declare_tapes(&self, region: RegionId, stmt: &Stmt) -> TokenStream {
        let mut out = TokenStream::new();
        for &l in self.tapes.get(&region).into_iter().flatten() {
            if !self.contains_loop(stmt, l) {
                continue;
            }
            let (tape, cursor) = (self.tape_name(l), self.cursor(l));
            let zero = self.tape_zero(l);
            let nest = self.nest(l, region);
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

    fn contains_loop(&self, stmt: &Stmt, l: LoopId) -> bool {
        let inside = |r: RegionId| self.g().encloses(r, self.g().looped(l).body);
        match stmt {
            Stmt::Loop(k) => inside(self.g().looped(*k).body),
            Stmt::If(b) => {
                inside(self.g().branch(*b).then) || inside(self.g().branch(*b).otherwise)
            }
            _ => false,
        }
    }

    fn uniform(&self, l: LoopId) -> bool {
        let tape = &self.g().looped(l).tape;
        tape.len() > 1 && tape.iter().all(|id| self.g().is_float(*id))
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

    fn tape_zero(&self, l: LoopId) -> TokenStream {
        let zeros: Vec<TokenStream> = self
            .g()
            .looped(l)
            .tape
            .iter()
            .map(|id| self.zero(self.g().ty(*id)))
            .collect();
        self.tape_element(l, &zeros)
    }

    fn track(&self, l: LoopId) -> Ident {
        local(&format!("loop{}_track", l.0))
    }

    /// Reads what the iteration being reversed has kept.
    pub(super) fn read_tape(&self, l: LoopId) -> TokenStream {
        let names: Vec<TokenStream> = self
            .g()
            .looped(l)
            .tape
            .iter()
            .map(|id| self.name(*id))
            .map(|n| quote!(#n))
            .collect();
        let pattern = self.tape_element(l, &names);
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
        let names: Vec<TokenStream> = self
            .g()
            .looped(l)
            .tape
            .iter()
            .map(|id| self.name(*id))
            .map(|n| quote!(#n))
            .collect();
        let pattern = self.tape_element(l, &names);
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
    fn track_part(&self, l: LoopId, by: LoopId) -> Ident {
        local(&format!("loop{}_track{}", l.0, by.0))
    }

    /// Cuts the tapes that a loop reads at its own index to the loop's length, so that no bound is checked inside.
    fn take_tracks(&self, by: LoopId) -> TokenStream {
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

    // ---- slices before the loop ----

    /// An index as a distance from the loop's own.
    fn offset(&self, id: Id, index: Id, inside: &HashSet<Id>) -> Option<Offset> {
        let g = self.g();
        let id = g.resolve(id);
        if id == index {
            return Some(Offset {
                fixed: None,
                number: 0,
            });
        }
        let Node::Opaque(k, args) = g.node(id) else {
            return None;
        };
        let OpaqueForm::Binary(op) = &g.opaque_of(*k).form else {
            return None;
        };
        let plus = match op.to_string().as_str() {
            "+" => true,
            "-" => false,
            _ => return None,
        };
        let [a, b] = args.as_slice() else { return None };
        let (a, b) = (g.resolve(*a), g.resolve(*b));
        let sides = if plus {
            vec![(a, b), (b, a)]
        } else {
            vec![(a, b)]
        };
        for (base, rest) in sides {
            let Some(inner) = self.offset(base, index, inside) else {
                continue;
            };
            if let Some(n) = g.integer(rest) {
                return Some(Offset {
                    number: if plus {
                        inner.number + n
                    } else {
                        inner.number - n
                    },
                    ..inner
                });
            }
            if plus && inner.fixed.is_none() && !inside.contains(&rest) && rest != index {
                return Some(Offset {
                    fixed: Some(rest),
                    ..inner
                });
            }
        }
        None
    }

    /// The part of an access up to the step that moves with the loop.
    fn moving(
        &self,
        place: &Place,
        index: Id,
        inside: &HashSet<Id>,
    ) -> Option<(Vec<Step>, Offset)> {
        let mut prefix = Vec::new();
        for step in &place.path {
            match step {
                Step::Field(_) => prefix.push(*step),
                Step::Index(i) => {
                    let i = self.g().resolve(*i);
                    if let Some(offset) = self.offset(i, index, inside) {
                        return Some((prefix, offset));
                    }
                    if inside.contains(&i) {
                        return None;
                    }
                    prefix.push(Step::Index(i));
                }
            }
        }
        None
    }

    fn hoists(&self, l: LoopId) -> Vec<(Hoist, bool)> {
        let data = self.g().looped(l);
        let Count::Range { index, lo, hi, .. } = &data.count else {
            return Vec::new();
        };
        if !self.positional(l) {
            return Vec::new();
        }
        let constant = self.g().integer(*lo).is_some() && self.g().integer(*hi).is_some();
        let index = self.g().resolve(*index);
        let mut inside = HashSet::from([index]);
        self.bound_in(data.body, &mut inside);
        inside.extend(data.carried.iter().map(|c| c.phi));
        let mut accesses = Vec::new();
        self.accesses(data.body, true, &mut accesses);
        let arrays: BTreeSet<ArrayId> = accesses.iter().map(|a| a.place.array).collect();
        let mut out = Vec::new();
        for array in arrays {
            let decl = self.g().array(array);
            let local_fixed = matches!(decl.shape, Shape::Array(_, Length::Known(_)));
            // Bounds of constant loops over fixed arrays are settled by the compiler itself.
            if constant && local_fixed
                || decl.region.is_some_and(|r| self.g().encloses(data.body, r))
            {
                continue;
            }
            let mine: Vec<&Access> = accesses.iter().filter(|a| a.place.array == array).collect();
            let stored = mine.iter().any(|a| a.store);
            let keys: Vec<Option<(Vec<Step>, Offset)>> = mine
                .iter()
                .map(|a| self.moving(&a.place, index, &inside))
                .collect();
            if stored && (keys.iter().any(Option::is_none) || keys.iter().any(|k| *k != keys[0])) {
                continue;
            }
            let mut seen: Vec<&(Vec<Step>, Offset)> = Vec::new();
            for (access, key) in mine.iter().zip(&keys) {
                let Some(key) = key else { continue };
                if !access.always || seen.contains(&key) || self.already_hoisted(array, key.0.len())
                {
                    continue;
                }
                seen.push(key);
                let slice = local(&format!("{}_s{}_{}", decl.name, l.0, out.len()));
                let hoist = Hoist {
                    array,
                    prefix: key.0.clone(),
                    offset: key.1,
                    steps: key.0.len() + 1,
                    slice,
                    counter: self.counter(l),
                    of: l,
                };
                out.push((hoist, stored));
            }
        }
        out
    }

    /// Inside a slice that an outer loop took, the array itself is borrowed: no second slice of its first dimension.
    fn already_hoisted(&self, array: ArrayId, prefix: usize) -> bool {
        self.hoisted
            .borrow()
            .iter()
            .any(|h| h.array == array && h.steps > prefix)
    }

    /// The slices to take, as statements.
    fn take(&self, l: LoopId, hoists: &[(Hoist, bool)]) -> TokenStream {
        let Count::Range { lo, .. } = &self.g().looped(l).count else {
            return TokenStream::new();
        };
        let n = self.trips(l);
        let mut out = TokenStream::new();
        for (h, store) in hoists {
            let base = self.place(&Place {
                array: h.array,
                path: h.prefix.clone(),
            });
            let mut start = TokenStream::new();
            let number = h.offset.number + self.g().integer(*lo).unwrap_or(0);
            if self.g().integer(*lo).is_none() {
                let lo = self.value(*lo);
                start.extend(quote!(#lo));
            }
            if let Some(fixed) = h.offset.fixed {
                let fixed = self.value(fixed);
                start = if start.is_empty() {
                    quote!(#fixed)
                } else {
                    quote!(#start + #fixed)
                };
            }
            if number != 0 || start.is_empty() {
                let size = proc_macro2::Literal::usize_unsuffixed(number.unsigned_abs() as usize);
                start = match (start.is_empty(), number >= 0) {
                    (true, _) => quote!(#size),
                    (false, true) => quote!(#start + #size),
                    (false, false) => quote!(#start - #size),
                };
            }
            let slice = &h.slice;
            out.extend(if *store {
                quote!(let #slice = &mut #base[#start..][..#n];)
            } else {
                quote!(let #slice = &#base[#start..][..#n];)
            });
        }
        out
    }

    /// A place through a slice that a loop around it has taken.
    pub(super) fn through_slice(&self, place: &Place) -> Option<TokenStream> {
        for h in self.hoisted.borrow().iter().rev() {
            if h.array != place.array || place.path.len() < h.steps {
                continue;
            }
            let data = self.g().looped(h.of);
            let Count::Range { index, .. } = &data.count else {
                continue;
            };
            let index = self.g().resolve(*index);
            let mut inside = HashSet::from([index]);
            self.bound_in(data.body, &mut inside);
            inside.extend(data.carried.iter().map(|c| c.phi));
            let head = Place {
                array: place.array,
                path: place.path[..h.steps].to_vec(),
            };
            if self.moving(&head, index, &inside).as_ref() != Some(&(h.prefix.clone(), h.offset)) {
                continue;
            }
            let (slice, counter) = (&h.slice, &h.counter);
            let mut shape = self.g().array(place.array).shape.clone();
            for step in &place.path[..h.steps] {
                shape = shape.step(step).unwrap_or(Shape::Unknown);
            }
            let element = quote!(#slice[#counter]);
            return Some(self.steps(element, &shape, &place.path[h.steps..]));
        }
        None
    }

    /// The nodes bound by statements of a region, nested regions included.
    fn bound_in(&self, region: RegionId, out: &mut HashSet<Id>) {
        let g = self.g();
        for stmt in &g.region(region).stmts {
            match stmt {
                Stmt::Let(id)
                | Stmt::Bind(id, _)
                | Stmt::ReadSaved(id)
                | Stmt::Pop(_, Some(id)) => {
                    out.insert(*id);
                }
                Stmt::ReadTape(l) | Stmt::ReadTapeAt(l, _) => {
                    out.extend(g.looped(*l).tape.iter().copied())
                }
                Stmt::Call(c) => out.extend(g.call(*c).outs.iter().copied()),
                Stmt::Pullback(c) => out.extend(g.call(*c).gradients.iter().flatten().copied()),
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    out.extend(data.slots.iter().map(|s| s.out));
                    self.bound_in(data.then, out);
                    self.bound_in(data.otherwise, out);
                }
                Stmt::Loop(l) => {
                    let data = g.looped(*l);
                    for c in &data.carried {
                        out.extend([c.phi, c.out]);
                    }
                    out.extend(data.end);
                    if let Count::Range { index, .. } | Count::Stepped { index, .. } = &data.count {
                        out.insert(*index);
                    }
                    self.bound_in(data.body, out);
                }
                _ => {}
            }
        }
    }

    fn accesses(&self, region: RegionId, always: bool, out: &mut Vec<Access>) {
        let g = self.g();
        // The rest of a body after an early exit is not always reached; loops with exits are not counted.
        for stmt in &g.region(region).stmts {
            let recomputed = matches!(stmt, Stmt::Let(id) if g.data(*id).region != Some(region));
            if !recomputed && !self.live.stmt(g, stmt) {
                continue;
            }
            let mut push = |place: &Place, store: bool| {
                out.push(Access {
                    place: place.clone(),
                    store,
                    always,
                })
            };
            match stmt {
                Stmt::Let(id) => match g.node(*id) {
                    Node::Load(p, _) => push(p, false),
                    Node::Len(p, _) => out.push(Access {
                        place: p.clone(),
                        store: false,
                        always: false,
                    }),
                    _ => {}
                },
                Stmt::Bind(_, from) => {
                    if let Node::Load(p, _) = g.node(*from) {
                        push(p, false);
                    }
                }
                Stmt::Store { place, .. } => push(place, true),
                Stmt::Copy { to, from, .. } => {
                    out.push(Access {
                        place: to.clone(),
                        store: true,
                        always: false,
                    });
                    out.push(Access {
                        place: from.clone(),
                        store: false,
                        always: false,
                    });
                }
                Stmt::Clear(p) => out.push(Access {
                    place: p.clone(),
                    store: true,
                    always: false,
                }),
                Stmt::Swap(a, b) => {
                    for p in [a, b] {
                        out.push(Access {
                            place: Place {
                                array: p.array,
                                path: Vec::new(),
                            },
                            store: true,
                            always: false,
                        });
                    }
                }
                Stmt::Push(a, _) | Stmt::Pop(a, _) => {
                    out.push(Access {
                        place: Place {
                            array: *a,
                            path: Vec::new(),
                        },
                        store: true,
                        always: false,
                    });
                }
                Stmt::Declare(a) => {
                    if let Init::Copy(p) = &g.array(*a).init {
                        out.push(Access {
                            place: p.clone(),
                            store: false,
                            always: false,
                        });
                    }
                    if let Some(like) = g.array(*a).like {
                        out.push(Access {
                            place: Place {
                                array: like,
                                path: Vec::new(),
                            },
                            store: false,
                            always: false,
                        });
                    }
                }
                Stmt::Call(c) => self.call_accesses(*c, out),
                Stmt::Pullback(c) => {
                    self.call_accesses(*c, out);
                    for p in g.call(*c).shadows.iter().flatten() {
                        out.push(Access {
                            place: Place {
                                array: p.array,
                                path: Vec::new(),
                            },
                            store: true,
                            always: false,
                        });
                    }
                }
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    self.accesses(data.then, false, out);
                    self.accesses(data.otherwise, false, out);
                }
                Stmt::Loop(l) => self.accesses(g.looped(*l).body, false, out),
                _ => {}
            }
        }
    }

    fn call_accesses(&self, c: CallId, out: &mut Vec<Access>) {
        for a in &self.g().call(c).args {
            if let Argument::Array { place, .. } = a {
                out.push(Access {
                    place: place.clone(),
                    store: false,
                    always: false,
                });
            }
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
            let (a, b) = (self.value(*lo), self.value(*hi));
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
    fn exchange(&self, l: LoopId) -> TokenStream {
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

    /// The part of the tape that belongs to this run of the loop.
    fn open_track(&self, l: LoopId, of: LoopId) -> TokenStream {
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

    fn header(&self, data: &Loop) -> TokenStream {
        let range = |lo: &Id, hi: &Id, inclusive: bool| {
            let (lo, hi) = (self.value(*lo), self.value(*hi));
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
