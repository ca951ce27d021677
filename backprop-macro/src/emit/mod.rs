//! Graph → Rust: the bodies of the generated functions.
//!
//! In: a program in which `keep` has made every value available where it is used. Out: tokens. One statement a line, in the
//! order of the regions; locals carry the user's names behind a prefix that no constant in scope has. Nothing is decided
//! here but spelling: what is emitted is what is live.

use crate::errors::{self, Errors};
use crate::graph::*;
use crate::live::Live;
use crate::lower::{Output, fill};
use crate::reverse::Gradient;
use crate::rules::{Op, Syntax};
use crate::shape::Shape;
use crate::signature::{Signature, local};
use crate::types::{FloatTy, Kind, Ty};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

mod arrays;
mod calls;
mod loops;
mod nest;
mod slices;
mod tapes;
mod tidy;

/// Spells one program.
pub struct Emit<'a> {
    pub p: &'a Gradient,
    pub sig: &'a Signature,
    pub live: Live,
    pub errors: &'a Errors,
    /// In `backward`: how the residuals are reached.
    pub saved: Option<TokenStream>,
    /// Parameters and arrays that the residuals hold.
    pub saved_arrays: HashMap<ArrayId, Ident>,
    /// The residuals' fields are references.
    pub by_reference: bool,
    pub primal_params: u32,
    /// Transcendentals are the runtime's, which vectorise: the body of an elementwise operation.
    pub kernels: bool,
    /// The loops whose tape is declared at the start of a region.
    tapes: BTreeMap<RegionId, Vec<LoopId>>,
    /// Calls whose residuals are in scope where they are pulled back.
    direct: HashSet<CallId>,
    /// The loop of which a region is the body.
    bodies: HashMap<RegionId, LoopId>,
    /// Fixed arrays that change places with others: they are used through references.
    turning: HashSet<ArrayId>,
    /// The parts of tapes that loops around what is being emitted run over: the tape's loop, and theirs.
    tracks: RefCell<Vec<(LoopId, LoopId)>>,
    /// The slices taken by the loops around what is being emitted.
    hoisted: RefCell<Vec<slices::Hoist>>,
    /// What is spelt where it is used: in the forward pass, and in `backward`.
    nested: [HashSet<Id>; 2],
    /// What a call leaves behind `&mut`, and where.
    in_place: HashMap<ArrayId, Place>,
    /// Whole arrays that a tape, a branch or the residuals hold.
    kept: HashSet<Id>,
}

impl<'a> Emit<'a> {
    pub fn new(
        p: &'a Gradient,
        sig: &'a Signature,
        errors: &'a Errors,
        primal_params: u32,
    ) -> Emit<'a> {
        let live = Live::of(p);
        let nested = nest::nested(p, &live);
        let mut e = Emit {
            p,
            sig,
            live,
            errors,
            saved: None,
            saved_arrays: HashMap::new(),
            by_reference: false,
            primal_params,
            kernels: false,
            tapes: BTreeMap::new(),
            direct: HashSet::new(),
            bodies: p
                .graph
                .loops
                .iter()
                .enumerate()
                .map(|(k, l)| (l.body, LoopId(k as u32)))
                .collect(),
            turning: HashSet::new(),
            tracks: RefCell::default(),
            hoisted: RefCell::default(),
            nested,
            in_place: HashMap::new(),
            kept: HashSet::new(),
        };
        for (k, l) in p.graph.loops.iter().enumerate() {
            if !l.tape.is_empty() {
                let home = e.home(l.body);
                e.tapes.entry(home).or_default().push(LoopId(k as u32));
            }
        }
        for (k, l) in p.graph.loops.iter().enumerate() {
            if l.moves
                && let Some((to, from)) = crate::exchange::copied(&p.graph, LoopId(k as u32))
            {
                e.turning.extend([to, from]);
            }
        }
        e.find_direct(p.body);
        e.find_in_place();
        e
    }

    fn g(&self) -> &'a Graph {
        &self.p.graph
    }

    /// The region in which a loop's tape lives: the innermost one around it that the backward pass shares.
    pub(super) fn home(&self, body: RegionId) -> RegionId {
        let mut at = body;
        while self
            .p
            .pairs
            .iter()
            .any(|p| p.primal == at && p.kind != crate::reverse::PairKind::Function)
        {
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

    pub fn name(&self, id: Id) -> Ident {
        let id = self.g().resolve(id);
        let data = self.g().data(id);
        let name = match (&data.name, &data.node) {
            (Some(name), _) => name.to_string(),
            // `w[0]` is `w0`.
            (None, Node::Load(p, _)) => {
                let index = p
                    .indices()
                    .map(|i| self.g().integer(i).map(|k| k.to_string()));
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

    fn array_name(&self, id: ArrayId) -> Ident {
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

    /// `to += value`; a generic `Float` has no `+=`.
    pub fn plus(&self, to: TokenStream, value: TokenStream) -> TokenStream {
        if self.sig.names.floats.is_empty() {
            quote!(#to += #value;)
        } else {
            quote!(#to = #to + (#value);)
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
    fn field(&self, saved: &TokenStream, name: &Ident) -> TokenStream {
        if self.by_reference {
            quote!((*#saved.#name))
        } else {
            quote!(#saved.#name)
        }
    }

    // ---- values ----

    pub(super) fn float(&self, value: f64, ty: &FloatTy) -> TokenStream {
        let path = ty.tokens();
        match ty {
            FloatTy::Generic(t) => {
                if value == 0.0 && value.is_sign_positive() {
                    return quote!(#t::zero());
                }
                if value == 1.0 {
                    return quote!(#t::one());
                }
                let inner = self.float(value, &FloatTy::F64);
                quote!(#t::from(#inner).unwrap())
            }
            _ if value.is_nan() => quote!(#path::NAN),
            _ if value.is_infinite() => {
                if value > 0.0 {
                    quote!(#path::INFINITY)
                } else {
                    quote!(#path::NEG_INFINITY)
                }
            }
            _ => {
                let suffix = if *ty == FloatTy::F32 { "f32" } else { "f64" };
                let size = value.abs();
                let text = format!("{size:?}_{suffix}");
                let lit = text
                    .parse::<Literal>()
                    .unwrap_or_else(|_| Literal::f64_suffixed(size));
                if value.is_sign_negative() {
                    quote!((-#lit))
                } else {
                    quote!(#lit)
                }
            }
        }
    }

    pub(super) fn zero(&self, ty: Ty) -> TokenStream {
        match self.g().types.kind(ty) {
            Kind::Float(f) => self.float(0.0, f),
            Kind::AnyFloat => quote!(0.0),
            Kind::AnyInt | Kind::Int(_) => quote!(0),
            Kind::Bool => quote!(false),
            Kind::Unknown | Kind::Other => quote!(::core::default::Default::default()),
        }
    }

    /// A value, as an operand of anything.
    pub fn value(&self, id: Id) -> TokenStream {
        self.operand(id, 7)
    }

    /// A value on its own.
    pub fn whole_value(&self, id: Id) -> TokenStream {
        self.operand(id, 0)
    }

    /// A value, in brackets where it binds less than its surroundings.
    fn operand(&self, id: Id, least: u8) -> TokenStream {
        let id = self.g().resolve(id);
        if !self.is_nested(id) {
            return self.named(id);
        }
        let spelt = self.definition(id);
        if self.level(id) < least {
            quote!((#spelt))
        } else {
            spelt
        }
    }

    fn is_nested(&self, id: Id) -> bool {
        self.nested[usize::from(self.saved.is_some())].contains(&id)
    }

    /// How tightly what a node is spelt as binds.
    fn level(&self, id: Id) -> u8 {
        match self.g().node(id) {
            Node::Apply(op, _) => match op.syntax() {
                Syntax::Infix("+" | "-") => 3,
                Syntax::Infix(_) => 4,
                Syntax::Prefix(_) => 5,
                Syntax::Method(_) | Syntax::Form("powi") => 7,
                Syntax::Form(_) => 1,
            },
            Node::Load(..) => 7,
            Node::Opaque(k, _) if matches!(self.g().opaque_of(*k).form, OpaqueForm::Method(_)) => 7,
            _ => 1,
        }
    }

    /// The nodes that are named where a value is spelt.
    fn leaves(&self, id: Id, out: &mut HashSet<Id>) {
        let id = self.g().resolve(id);
        if self.is_nested(id) {
            for o in self.g().operands(id) {
                self.leaves(o, out);
            }
        } else {
            out.insert(id);
        }
    }

    /// The carried scalars get their next values: one by one where none of them reads another, all at once otherwise.
    fn carry_on(&self, carried: &[&Carried]) -> TokenStream {
        let g = self.g();
        let reads = |c: &Carried| {
            let mut leaves = HashSet::new();
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

    fn named(&self, id: Id) -> TokenStream {
        let data = self.g().data(id);
        match &data.node {
            Node::Lit(bits) => self.float(f64::from_bits(*bits), &self.g().types.float(data.ty)),
            Node::Param(k) => match (&self.saved, *k < self.primal_params) {
                (Some(saved), true) => self.field(saved, &self.param_field(id)),
                _ => self.p.reads[*k as usize].clone(),
            },
            Node::Opaque(k, args) => match (&self.g().opaque_of(*k).form, args.as_slice()) {
                (OpaqueForm::Tokens(t), _) => t.clone(),
                (OpaqueForm::Field(f), [base]) => {
                    let base = self.value(*base);
                    quote!(#base.#f)
                }
                _ => {
                    let name = self.name(id);
                    quote!(#name)
                }
            },
            Node::Undef(_) => self.filler(id),
            _ => {
                let name = self.name(id);
                quote!(#name)
            }
        }
    }

    /// What a node computes.
    pub(super) fn definition(&self, id: Id) -> TokenStream {
        let data = self.g().data(id);
        let v = |id: &Id| self.value(*id);
        match &data.node {
            Node::Apply(op, args) => self.primitive(*op, args, data.ty),
            Node::Cast(a, to) => {
                let a = v(a);
                let to = to
                    .clone()
                    .unwrap_or_else(|| self.g().types.float(data.ty))
                    .tokens();
                quote!(#a as #to)
            }
            Node::Opaque(k, args) => {
                let args: Vec<TokenStream> = args.iter().map(v).collect();
                match (&self.g().opaque_of(*k).form, args.as_slice()) {
                    (OpaqueForm::Tokens(t), _) => t.clone(),
                    (OpaqueForm::Field(f), [a]) => quote!(#a.#f),
                    (OpaqueForm::Unary(op), [a]) => quote!(#op #a),
                    (OpaqueForm::Binary(op), [a, b]) => quote!(#a #op #b),
                    (OpaqueForm::Method(m), [a, rest @ ..]) => quote!((#a).#m(#(#rest),*)),
                    (OpaqueForm::Call(f), all) => quote!(#f(#(#all),*)),
                    (OpaqueForm::Cast(t), [a]) => quote!((#a) as #t),
                    (OpaqueForm::Index, [a, i]) => quote!(#a[#i]),
                    (OpaqueForm::Matches(pat), [a]) => quote!(::core::matches!(#a, #pat)),
                    _ => quote!(()),
                }
            }
            Node::Load(p, _) => self.place(p),
            Node::Len(p, _) => {
                let p = self.place(p);
                quote!(#p.len())
            }
            _ => self.value(id),
        }
    }

    pub(super) fn primitive(&self, op: Op, args: &[Id], ty: Ty) -> TokenStream {
        let at = |k: usize, least: u8| self.operand(args[k], least);
        match (op.syntax(), args) {
            (Syntax::Prefix(_), [_]) => {
                let a = at(0, 6);
                quote!(-#a)
            }
            (Syntax::Infix(o), [_, _]) => {
                let (left, right) = if matches!(o, "+" | "-") {
                    (3, 4)
                } else {
                    (4, 5)
                };
                // On the right an `if` needs no brackets.
                let choice = matches!(
                    self.g().node(self.g().resolve(args[1])),
                    Node::Apply(Op::Select, _)
                );
                let (a, b) = (at(0, left), at(1, if choice { 0 } else { right }));
                let o: TokenStream = match o {
                    "+" => quote!(+),
                    "-" => quote!(-),
                    "*" => quote!(*),
                    "/" => quote!(/),
                    _ => quote!(%),
                };
                quote!(#a #o #b)
            }
            (Syntax::Method(m @ ("exp" | "exp_m1" | "ln" | "ln_1p" | "tanh")), [_])
                if self.kernels =>
            {
                let (m, a) = (Ident::new(m, Span::mixed_site()), at(0, 0));
                quote!(::backprop::kernel::#m(#a))
            }
            (Syntax::Method(m), [_, ..]) => {
                let (a, rest) = (at(0, 7), (1..args.len()).map(|k| at(k, 0)));
                let m = Ident::new(m, Span::mixed_site());
                quote!(#a.#m(#(#rest),*))
            }
            (Syntax::Form("powi"), [_, _]) => {
                let (a, n) = (at(0, 7), at(1, 0));
                quote!(#a.powi(#n))
            }
            (Syntax::Form("select_value"), [_, _, _]) => {
                let (c, a, b) = (at(0, 0), at(1, 0), at(2, 0));
                quote!(if #c { #a } else { #b })
            }
            (Syntax::Form(_), [_]) => {
                let n = at(0, 0);
                match self.g().types.float(ty) {
                    FloatTy::Generic(t) => quote!(#t::from(#n).unwrap()),
                    f => {
                        let f = f.tokens();
                        quote!((#n) as #f)
                    }
                }
            }
            _ => quote!(()),
        }
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
        match names.as_slice() {
            [] if otherwise.is_empty() => quote!(if #cond { #then }),
            [] => quote!(if #cond { #then } else { #otherwise }),
            [name] => quote!(let #name = if #cond { #then #(#a)* } else { #otherwise #(#b)* };),
            names => {
                quote!(let (#(#names),*) = if #cond { #then (#(#a),*) } else { #otherwise (#(#b),*) };)
            }
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
