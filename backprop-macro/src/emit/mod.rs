//! Graph → Rust: the bodies of the generated functions.
//!
//! In: a program in which `keep` has made every value available where it is used. Out: tokens. One statement a line, in the
//! order of the regions; locals carry the user's names behind a prefix that no constant in scope has. Nothing is decided
//! here but spelling: what is emitted is what is live.

use crate::errors::Errors;
use crate::graph::Output;
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::live::Live;
use crate::lower::fill;
use crate::reverse::Gradient;
use crate::rules::Op;
use crate::shape::Shape;
use crate::signature::Signature;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::cell::RefCell;
use std::collections::BTreeMap;

mod alias;
mod arrays;
mod calls;
mod enclose;
mod loops;
mod names;
mod nest;
mod pairs;
mod pullbacks;
mod slices;
mod tapes;
mod tidy;
mod turns;
mod values;

/// Spells one program.
pub struct Emit<'a> {
    pub p: &'a Gradient,
    pub sig: &'a Signature,
    pub live: Live,
    pub errors: &'a Errors,
    /// In `backward`: how the residuals are reached.
    pub saved: Option<TokenStream>,
    /// Parameters and arrays that the residuals hold.
    pub saved_arrays: Map<ArrayId, Ident>,
    /// The residuals' fields are references.
    pub by_reference: bool,
    pub primal_params: u32,
    /// Transcendentals are the runtime's, which vectorise: the body of an elementwise operation.
    pub kernels: bool,
    /// The loops whose tape lives in a region.
    tapes: BTreeMap<RegionId, Vec<LoopId>>,
    /// The same by the body or side of the statement there that holds them: they are declared before it.
    held: BTreeMap<RegionId, Vec<LoopId>>,
    /// The loops and branches that are spelt in a closure, by their body or first side.
    enclosed: Set<RegionId>,
    /// The regions that the backward pass reverses apart.
    apart: Set<RegionId>,
    /// For each loop, the tapes whose buffers each of its iterations uses anew.
    reused: BTreeMap<LoopId, Vec<LoopId>>,
    /// Calls whose residuals are in scope where they are pulled back.
    direct: Set<CallId>,
    /// The loop of which a region is the body.
    bodies: Map<RegionId, LoopId>,
    /// Fixed arrays that change places with others: they are used through references.
    turning: Set<ArrayId>,
    /// Loops whose steps are spelt two by two, as arrays take turns in them.
    alternating: Set<LoopId>,
    /// In the second of two steps: the array whose place each has taken.
    acting: RefCell<Map<ArrayId, ArrayId>>,
    /// The parts of tapes that loops around what is being emitted run over: the tape's loop, and theirs.
    tracks: RefCell<Vec<(LoopId, LoopId)>>,
    /// The slices taken by the loops around what is being emitted.
    hoisted: RefCell<Vec<slices::Hoist>>,
    /// Positions that have been computed before the loop around what is being emitted, for its slices.
    lifted: RefCell<Set<Id>>,
    /// What is spelt where it is used: in the forward pass, and in `backward`.
    nested: [Set<Id>; 2],
    /// What a call leaves behind `&mut`, and where.
    in_place: Map<ArrayId, Place>,
    /// Whole arrays that a tape, a branch or the residuals hold.
    kept: Set<Id>,
}

impl<'a> Emit<'a> {
    pub fn new(
        p: &'a Gradient,
        sig: &'a Signature,
        errors: &'a Errors,
        primal_params: u32,
    ) -> Emit<'a> {
        let mut e = Emit::of_shapes(p, sig, errors);
        e.primal_params = primal_params;
        e.live = Live::of(p);
        e.nested = nest::nested(p, &e.live);
        e.find_tapes();
        e.find_turns();
        e.find_direct(p.body);
        e.find_in_place();
        e.find_enclosed();
        e
    }

    /// Spells zeros and places of parameters, not the program.
    pub fn of_shapes(p: &'a Gradient, sig: &'a Signature, errors: &'a Errors) -> Emit<'a> {
        Emit {
            p,
            sig,
            live: Live::default(),
            errors,
            saved: None,
            saved_arrays: Map::default(),
            by_reference: false,
            primal_params: 0,
            kernels: false,
            tapes: BTreeMap::new(),
            held: BTreeMap::new(),
            enclosed: Set::default(),
            apart: p
                .pairs
                .iter()
                .filter(|p| p.kind != crate::reverse::PairKind::Function)
                .map(|p| p.primal)
                .collect(),
            reused: BTreeMap::new(),
            direct: Set::default(),
            bodies: p
                .graph
                .loops
                .iter()
                .enumerate()
                .map(|(k, l)| (l.body, LoopId(k as u32)))
                .collect(),
            turning: Set::default(),
            alternating: Set::default(),
            acting: RefCell::default(),
            tracks: RefCell::default(),
            hoisted: RefCell::default(),
            lifted: RefCell::default(),
            nested: [Set::default(), Set::default()],
            in_place: Map::default(),
            kept: Set::default(),
        }
    }

    fn find_tapes(&mut self) {
        for (k, l) in self.p.graph.loops.iter().enumerate() {
            if !l.tape.is_empty() {
                let (l, mut held) = (LoopId(k as u32), l.body);
                let home = self.home(held);
                self.tapes.entry(home).or_default().push(l);
                while let Some(up) = self.g().region(held).parent.filter(|&up| up != home) {
                    held = up;
                }
                self.held.entry(held).or_default().push(l);
            }
        }
        let all: Vec<LoopId> = self.tapes.values().flatten().copied().collect();
        for l in all {
            if let Some(over) = self.reused_in(l) {
                self.reused.entry(over).or_default().push(l);
            }
        }
    }

    fn g(&self) -> &'a Graph {
        &self.p.graph
    }

    /// The region in which a loop's tape lives: the innermost one around it that the backward pass shares.
    pub(super) fn home(&self, body: RegionId) -> RegionId {
        let mut at = body;
        while self.apart.contains(&at) {
            match self.g().region(at).parent {
                Some(up) => at = up,
                None => break,
            }
        }
        at
    }

    fn find_direct(&mut self, region: RegionId) {
        for stmt in &self.g().region(region).stmts {
            match stmt {
                Stmt::Pullback(c) => {
                    let call = self.g().call(*c);
                    let at = call.results.first().and_then(|r| match r {
                        Returned::Scalar(id) => self.g().data(*id).region,
                        Returned::Array(a) => self.g().array(*a).region,
                    });
                    if at.is_some_and(|at| self.g().encloses(at, region)) {
                        self.direct.insert(*c);
                    }
                }
                Stmt::If(b) => {
                    let data = self.g().branch(*b);
                    self.find_direct(data.then);
                    self.find_direct(data.otherwise);
                }
                Stmt::Loop(l) => self.find_direct(self.g().looped(*l).body),
                _ => {}
            }
        }
    }

    /// The tapes that `forward` hands to `backward`.
    pub fn saved_tapes(&self) -> Vec<LoopId> {
        self.tapes.get(&self.p.body).cloned().unwrap_or_default()
    }

    // ---- names ----

    /// `to += value`; a generic `Float` has no `+=`.
    pub fn plus(&self, to: TokenStream, value: TokenStream) -> TokenStream {
        if self.sig.names.floats.is_empty() {
            quote!(#to += #value;)
        } else {
            quote!(#to = #to + (#value);)
        }
    }

    /// The carried scalars get their next values: one by one where none of them reads another, all at once otherwise.
    fn carry_on(&self, carried: &[&Carried]) -> TokenStream {
        let g = self.g();
        let reads = |c: &Carried| {
            let mut leaves = Set::default();
            self.leaves(c.next, &mut leaves);
            leaves
        };
        let mixed = carried.iter().any(|c| {
            let leaves = reads(c);
            carried
                .iter()
                .any(|o| o.phi != c.phi && leaves.contains(&o.phi))
        });
        if mixed {
            let phis = carried.iter().map(|c| self.name(c.phi));
            let nexts = carried.iter().map(|c| self.whole_value(c.next));
            return quote!((#(#phis),*) = (#(#nexts),*););
        }
        let mut out = TokenStream::new();
        for c in carried {
            let (phi, next) = (self.name(c.phi), g.resolve(c.next));
            if next == c.phi {
                continue;
            }
            out.extend(match g.node(next) {
                // A generic `Float` has no `+=`.
                Node::Apply(Op::Add, a)
                    if self.is_nested(next)
                        && g.resolve(a[0]) == c.phi
                        && self.sig.names.floats.is_empty() =>
                {
                    let term = self.whole_value(a[1]);
                    quote!(#phi += #term;)
                }
                _ => {
                    let next = self.whole_value(next);
                    quote!(#phi = #next;)
                }
            });
        }
        out
    }

    // ---- statements ----

    /// The statements of a region.
    pub fn region(&self, region: RegionId) -> TokenStream {
        let mut out = TokenStream::new();
        let saved = self.saved.as_ref().filter(|_| Some(region) == self.p.back);
        if let Some(saved) = saved {
            for l in self.saved_tapes() {
                let (tape, cursor) = (self.tape_name(l), self.cursor(l));
                let held = self.field(saved, &tape);
                out.extend(quote!(let #tape = &#held; let mut #cursor = #tape.len();));
            }
        }
        for stmt in &self.g().region(region).stmts {
            let again = matches!(stmt, Stmt::Let(id) if self.g().data(*id).region != Some(region))
                && self.p.pairs.iter().any(|p| p.back == region);
            if again || self.live.stmt(self.g(), stmt) {
                if saved.is_none() {
                    out.extend(self.declare_tapes(region, stmt));
                }
                match stmt {
                    Stmt::Let(id) if self.lifted.borrow().contains(id) => {}
                    Stmt::Let(id) if matches!(self.g().node(*id), Node::Whole(..)) => {
                        out.extend(self.hold(*id, again));
                    }
                    stmt => out.extend(self.stmt(stmt)),
                }
            }
        }
        out
    }

    pub(super) fn stmt(&self, stmt: &Stmt) -> TokenStream {
        let g = self.g();
        match stmt {
            Stmt::Let(id) if self.is_nested(g.resolve(*id)) => TokenStream::new(),
            Stmt::Let(id) => {
                let (name, value) = (self.name(*id), self.definition(*id));
                quote!(let #name = #value;)
            }
            Stmt::Declare(a) => self.declare(*a),
            Stmt::Store { place, value, add } => {
                let (p, v) = (self.place(place), self.whole_value(*value));
                if *add {
                    self.plus(p, v)
                } else {
                    quote!(#p = #v;)
                }
            }
            // The call has changed it where it stands.
            Stmt::Copy { to, from, .. } if self.in_place.get(&from.array) == Some(to) => {
                TokenStream::new()
            }
            Stmt::Copy { to, from, add } => self.copy(to, from, *add),
            Stmt::Clear(p) => self.clear_all(&g.shape_at(p), self.place(p)),
            Stmt::Swap(a, b) => {
                let (a, b) = (self.whole(a), self.whole(b));
                quote!(::core::mem::swap(&mut #a, &mut #b);)
            }
            Stmt::Push(a, v) => {
                let (a, v) = (self.root(*a), self.value(*v));
                quote!(#a.push(#v);)
            }
            Stmt::Save(a, e) => {
                let part = g.array(*a).shape.element().unwrap_or(&Shape::Unknown);
                let (a, e) = (self.root(*a), self.element(e, part));
                quote!(#a.push(#e);)
            }
            Stmt::Pop(a, id) => {
                let array = self.root(*a);
                match id {
                    Some(id) => {
                        let name = self.name(*id);
                        quote!(let #name = #array[#array.len() - 1]; #array.truncate(#array.len() - 1);)
                    }
                    None => quote!(#array.truncate(#array.len() - 1);),
                }
            }
            Stmt::If(b) => self.branch(*b),
            Stmt::Loop(l) => self.looped(*l),
            Stmt::Effect(k, args) => {
                let args: Vec<TokenStream> = args.iter().map(|a| self.value(*a)).collect();
                let tokens = fill(&g.effects[*k as usize], &args);
                quote!(#tokens;)
            }
            Stmt::Call(c) => self.call(*c),
            Stmt::Pullback(c) => self.pullback(*c),
            Stmt::Bind(to, from) => {
                let to = self.name(*to);
                let from = match g.node(*from) {
                    Node::Load(..) => self.definition(*from),
                    // What was kept further out has been read as a reference.
                    _ if g.whole_shape(*from).is_some() && !self.kept.contains(from) => {
                        let from = self.value(*from);
                        quote!(&#from)
                    }
                    _ => self.value(*from),
                };
                quote!(let #to = #from;)
            }
            Stmt::ReadTape(l) => self.read_tape(*l),
            Stmt::ReadTapeAt(l, at) => self.read_tape_at(*l, *at),
            Stmt::ReadSaved(id) => {
                let name = self.name(*id);
                match &self.saved {
                    Some(saved) => {
                        let value = self.field(saved, &name);
                        match g.whole_shape(*id) {
                            Some(_) => quote!(let #name = &#value;),
                            None => quote!(let #name = #value;),
                        }
                    }
                    None => TokenStream::new(),
                }
            }
        }
    }

    pub(super) fn branch(&self, b: IfId) -> TokenStream {
        let data = self.g().branch(b);
        let cond = self.whole_value(data.cond);
        let slots: Vec<&Slot> = data
            .slots
            .iter()
            .filter(|s| self.live.has(self.g(), s.out))
            .collect();
        let (then, otherwise) = (self.region(data.then), self.region(data.otherwise));
        let names: Vec<Ident> = slots.iter().map(|s| self.name(s.out)).collect();
        let a: Vec<TokenStream> = slots.iter().map(|s| self.whole_value(s.then)).collect();
        let b: Vec<TokenStream> = slots
            .iter()
            .map(|s| self.whole_value(s.otherwise))
            .collect();
        let choice = match names.as_slice() {
            [] if otherwise.is_empty() => quote!(if #cond { #then }),
            [] => quote!(if #cond { #then } else { #otherwise }),
            [_] => quote!(if #cond { #then #(#a)* } else { #otherwise #(#b)* }),
            _ => quote!(if #cond { #then (#(#a),*) } else { #otherwise (#(#b),*) }),
        };
        let enclosed = self.enclosed.contains(&data.then);
        let choice = self.enclose(data.then, choice);
        match names.as_slice() {
            [] if enclosed => quote!(#choice;),
            [] => choice,
            [name] => quote!(let #name = #choice;),
            names => quote!(let (#(#names),*) = #choice;),
        }
    }

    /// Emitted code without the bindings that nothing reads.
    pub fn tidy(&self, code: TokenStream) -> TokenStream {
        let known = |name: &Ident| {
            let text = name.to_string();
            let id = text
                .rsplit('_')
                .next()
                .and_then(|n| n.parse::<usize>().ok());
            match id.and_then(|n| self.g().nodes.get(n)) {
                None => tidy::Value::Pinned,
                Some(n) if n.pinned => tidy::Value::Pinned,
                Some(n) if matches!(n.node, Node::Apply(..) | Node::Cast(..)) => tidy::Value::Pure,
                Some(_) => tidy::Value::Other,
            }
        };
        tidy::tidy(code, &known)
    }

    // ---- results ----

    /// Statements that set something shaped like the gradient of a result, where it has floats.
    pub fn set_output(&self, out: &Output, shape: &Shape, to: TokenStream) -> TokenStream {
        match out {
            _ if !shape.has_floats() => TokenStream::new(),
            Output::Scalar(id) => {
                let value = self.whole_value(*id);
                quote!(#to = #value;)
            }
            Output::Array(p) => self.set_all((shape, to), (&self.g().shape_at(p), self.whole(p))),
            Output::Tuple(all) => {
                let parts = shape.parts().unwrap_or_default();
                let all = all.iter().zip(&parts);
                all.map(|(o, (m, s))| self.set_output(o, s, quote!(#to.#m)))
                    .collect()
            }
        }
    }

    pub fn output(&self, out: &Output, shape: &Shape) -> TokenStream {
        match out {
            Output::Scalar(id) => self.whole_value(*id),
            Output::Array(p) => self.whole(p),
            Output::Tuple(all) => {
                let parts = shape.parts().unwrap_or_default();
                let all = all
                    .iter()
                    .zip(&parts)
                    .map(|(o, (m, s))| (m, self.output(o, s)));
                arrays::construct(shape, all)
            }
        }
    }
}
