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
use quote::{format_ident, quote};
use std::collections::{BTreeMap, HashMap, HashSet};

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
    /// The loops whose tape is declared at the start of a region.
    tapes: BTreeMap<RegionId, Vec<LoopId>>,
    /// Calls whose residuals are in scope where they are pulled back.
    direct: HashSet<CallId>,
}

impl<'a> Emit<'a> {
    pub fn new(
        p: &'a Gradient,
        sig: &'a Signature,
        errors: &'a Errors,
        primal_params: u32,
    ) -> Emit<'a> {
        let live = Live::of(p);
        let mut e = Emit {
            p,
            sig,
            live,
            errors,
            saved: None,
            saved_arrays: HashMap::new(),
            by_reference: false,
            primal_params,
            tapes: BTreeMap::new(),
            direct: HashSet::new(),
        };
        for (k, l) in p.graph.loops.iter().enumerate() {
            if !l.tape.is_empty() {
                let home = e.home(l.body);
                e.tapes.entry(home).or_default().push(LoopId(k as u32));
            }
        }
        e.find_direct(p.body, p.body);
        e
    }

    fn g(&self) -> &'a Graph {
        &self.p.graph
    }

    /// The region in which a loop's tape lives: the innermost one around it that the backward pass shares.
    fn home(&self, body: RegionId) -> RegionId {
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

    fn find_direct(&mut self, region: RegionId, scope: RegionId) {
        for stmt in &self.g().region(region).stmts {
            match stmt {
                Stmt::Pullback(c) => {
                    let at = self
                        .g()
                        .call(*c)
                        .outs
                        .first()
                        .and_then(|o| self.g().data(*o).region);
                    if at.is_some_and(|at| self.g().encloses(at, region)) {
                        self.direct.insert(*c);
                    }
                }
                Stmt::If(b) => {
                    let data = self.g().branch(*b);
                    self.find_direct(data.then, scope);
                    self.find_direct(data.otherwise, scope);
                }
                Stmt::Loop(l) => self.find_direct(self.g().looped(*l).body, scope),
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
        let name = self.g().data(id).name.as_deref().unwrap_or("v");
        local(&format!("{name}_{}", id.0))
    }

    fn array_name(&self, id: ArrayId) -> Ident {
        local(&format!("{}_a{}", self.g().array(id).name, id.0))
    }

    pub fn tape_name(&self, l: LoopId) -> Ident {
        local(&format!("tape_{}", l.0))
    }

    fn cursor(&self, l: LoopId) -> Ident {
        local(&format!("at_{}", l.0))
    }

    /// The type of a node, where it must be named.
    pub fn type_of(&self, id: Id) -> TokenStream {
        match self.g().types.tokens(self.g().ty(id)) {
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

    /// A field of the residuals, as a value.
    fn field(&self, saved: &TokenStream, name: &Ident) -> TokenStream {
        if self.by_reference {
            quote!((*#saved.#name))
        } else {
            quote!(#saved.#name)
        }
    }

    // ---- values ----

    fn float(&self, value: f64, ty: &FloatTy) -> TokenStream {
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

    fn zero(&self, ty: Ty) -> TokenStream {
        match self.g().types.kind(ty) {
            Kind::Float(f) => self.float(0.0, f),
            Kind::AnyFloat => quote!(0.0),
            Kind::AnyInt | Kind::Int(_) => quote!(0),
            Kind::Bool => quote!(false),
            Kind::Unknown | Kind::Other => quote!(::core::default::Default::default()),
        }
    }

    /// A value, as an operand.
    pub fn value(&self, id: Id) -> TokenStream {
        let id = self.g().resolve(id);
        let data = self.g().data(id);
        match &data.node {
            Node::Lit(bits) => self.float(f64::from_bits(*bits), &self.g().types.float(data.ty)),
            Node::Param(k) => match (&self.saved, *k < self.primal_params) {
                (Some(saved), true) => {
                    let field = format_ident!("p{}", k);
                    self.field(saved, &field)
                }
                _ => self.p.reads[*k as usize].clone(),
            },
            Node::Opaque(k, args) if args.is_empty() => match &self.g().opaque_of(*k).form {
                OpaqueForm::Tokens(t) => t.clone(),
                _ => {
                    let name = self.name(id);
                    quote!(#name)
                }
            },
            Node::Undef(_) => self.zero(data.ty),
            _ => {
                let name = self.name(id);
                quote!(#name)
            }
        }
    }

    /// What a node computes.
    fn definition(&self, id: Id) -> TokenStream {
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

    fn primitive(&self, op: Op, args: &[Id], ty: Ty) -> TokenStream {
        let all: Vec<TokenStream> = args.iter().map(|a| self.value(*a)).collect();
        match (op.syntax(), all.as_slice()) {
            (Syntax::Prefix(_), [a]) => quote!(-#a),
            (Syntax::Infix(o), [a, b]) => {
                let o: TokenStream = match o {
                    "+" => quote!(+),
                    "-" => quote!(-),
                    "*" => quote!(*),
                    "/" => quote!(/),
                    _ => quote!(%),
                };
                quote!(#a #o #b)
            }
            (Syntax::Method(m), [a, rest @ ..]) => {
                let m = Ident::new(m, Span::mixed_site());
                quote!(#a.#m(#(#rest),*))
            }
            (Syntax::Form("powi"), [a, n]) => quote!(#a.powi(#n)),
            (Syntax::Form("select_value"), [c, a, b]) => quote!(if #c { #a } else { #b }),
            (Syntax::Form(_), [n]) => match self.g().types.float(ty) {
                FloatTy::Generic(t) => quote!(#t::from(#n).unwrap()),
                f => {
                    let f = f.tokens();
                    quote!((#n) as #f)
                }
            },
            _ => quote!(()),
        }
    }

    // ---- arrays ----

    fn root(&self, array: ArrayId) -> TokenStream {
        let data = self.g().array(array);
        if let (Some(saved), Some(field)) = (&self.saved, self.saved_arrays.get(&array)) {
            return self.field(saved, field);
        }
        match &data.init {
            Init::Given(t) => t.clone(),
            _ => {
                let name = self.array_name(array);
                quote!(#name)
            }
        }
    }

    pub fn place(&self, p: &Place) -> TokenStream {
        let mut out = self.root(p.array);
        for step in &p.path {
            match step {
                Step::Index(i) => {
                    let i = self.value(*i);
                    out = quote!(#out[#i]);
                }
                Step::Field(k) => {
                    let k = syn::Index::from(*k as usize);
                    out = quote!(#out.#k);
                }
            }
        }
        out
    }

    /// A place as a value: behind a reference, what it refers to.
    fn whole(&self, p: &Place) -> TokenStream {
        let out = self.place(p);
        if p.path.is_empty() && self.is_reference(p.array) {
            quote!((*#out))
        } else {
            out
        }
    }

    fn is_reference(&self, array: ArrayId) -> bool {
        let data = self.g().array(array);
        if data.shadow && matches!(data.init, Init::Given(_)) {
            return true;
        }
        data.param
            .is_some_and(|k| self.sig.params[k as usize].by_ref)
    }

    /// Zeros of a fixed shape.
    pub fn zeros(&self, shape: &Shape) -> Option<TokenStream> {
        Some(match shape {
            Shape::Float(f) => self.float(0.0, f),
            Shape::Scalar(ty) => self.zero(*ty),
            Shape::Array(s, n) => {
                let s = self.zeros(s)?;
                quote!([#s; #n])
            }
            Shape::Tuple(all) => {
                let all: Option<Vec<TokenStream>> = all.iter().map(|s| self.zeros(s)).collect();
                let all = all?;
                quote!((#(#all,)*))
            }
            Shape::Constant(_) | Shape::Unknown => quote!(()),
            _ => return None,
        })
    }

    /// Zeros of the shape of a value; slices become `Vec`s.
    pub fn zeros_like(&self, shape: &Shape, value: &TokenStream) -> TokenStream {
        if let Some(fixed) = self.zeros(shape) {
            return fixed;
        }
        match shape {
            Shape::Slice(s) | Shape::Vec(s) => match self.zeros(s) {
                Some(zero) => quote!(::std::vec![#zero; #value.len()]),
                None => {
                    let row = local("row");
                    let inner = self.zeros_like(s, &quote!(#row));
                    quote!(::core::iter::Iterator::collect::<::std::vec::Vec<_>>(::core::iter::Iterator::map(#value.iter(), |#row| #inner)))
                }
            },
            Shape::Array(s, n) => {
                let k = local("k");
                let inner = self.zeros_like(s, &quote!(#value[#k]));
                quote!(::core::array::from_fn::<_, {#n}, _>(|#k| #inner))
            }
            Shape::Tuple(all) => {
                let parts = all.iter().enumerate().map(|(k, s)| {
                    let k = syn::Index::from(k);
                    self.zeros_like(s, &quote!(#value.#k))
                });
                quote!((#(#parts,)*))
            }
            _ => quote!(()),
        }
    }

    /// `to += from`, element by element.
    pub fn add_all(&self, shape: &Shape, to: TokenStream, from: TokenStream) -> TokenStream {
        match shape {
            Shape::Float(_) | Shape::Scalar(_) => quote!(#to += #from;),
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => {
                let (a, b) = (local("to"), local("from"));
                let inner = match **s {
                    Shape::Float(_) | Shape::Scalar(_) => quote!(*#a += *#b;),
                    _ => self.add_all(s, quote!(#a), quote!(#b)),
                };
                quote!(for (#a, #b) in ::core::iter::Iterator::zip(#to.iter_mut(), #from.iter()) { #inner })
            }
            Shape::Tuple(all) => all
                .iter()
                .enumerate()
                .map(|(k, s)| {
                    let k = syn::Index::from(k);
                    self.add_all(s, quote!(#to.#k), quote!(#from.#k))
                })
                .collect(),
            Shape::Constant(_) | Shape::Unknown => TokenStream::new(),
        }
    }

    /// Sets every element to zero.
    pub fn clear_all(&self, shape: &Shape, to: TokenStream) -> TokenStream {
        match shape {
            Shape::Float(f) => {
                let zero = self.float(0.0, f);
                quote!(#to = #zero;)
            }
            Shape::Scalar(ty) => {
                let zero = self.zero(*ty);
                quote!(#to = #zero;)
            }
            Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => match **s {
                Shape::Float(_) | Shape::Scalar(_) => {
                    let zero = self.zeros(s);
                    quote!(#to.fill(#zero);)
                }
                _ => {
                    let a = local("to");
                    let inner = self.clear_all(s, quote!(#a));
                    quote!(for #a in #to.iter_mut() { #inner })
                }
            },
            Shape::Tuple(all) => all
                .iter()
                .enumerate()
                .map(|(k, s)| {
                    let k = syn::Index::from(k);
                    self.clear_all(s, quote!(#to.#k))
                })
                .collect(),
            Shape::Constant(_) | Shape::Unknown => TokenStream::new(),
        }
    }

    fn element(&self, e: &Element) -> TokenStream {
        match e {
            Element::Scalar(id) => self.value(*id),
            Element::Part(p) => {
                let whole = self.whole(p);
                if self.g().shape_at(p).is_fixed() {
                    whole
                } else {
                    quote!(::core::clone::Clone::clone(&#whole))
                }
            }
            Element::Tuple(all) => {
                let all = all.iter().map(|e| self.element(e));
                quote!((#(#all,)*))
            }
        }
    }

    fn declare(&self, array: ArrayId) -> TokenStream {
        let data = self.g().array(array);
        let name = self.array_name(array);
        let vec = matches!(data.shape, Shape::Vec(_) | Shape::Slice(_));
        let init = match &data.init {
            Init::Given(_) => return TokenStream::new(),
            Init::Zeros => match (self.zeros(&data.shape), data.len, &data.shape) {
                (Some(zeros), _, _) => zeros,
                (None, Some(len), Shape::Vec(s) | Shape::Slice(s)) if self.zeros(s).is_some() => {
                    let (zero, len) = (self.zeros(s), self.value(len));
                    quote!(::std::vec![#zero; #len])
                }
                _ => match data.like {
                    Some(like) => {
                        let like = self.root(like);
                        self.zeros_like(&data.shape, &like)
                    }
                    None => quote!(()),
                },
            },
            Init::List(all) => {
                let all = all.iter().map(|e| self.element(e));
                if vec {
                    quote!(::std::vec![#(#all),*])
                } else {
                    quote!([#(#all),*])
                }
            }
            Init::Repeat(e) => {
                let e = self.element(e);
                match (&data.shape, data.len) {
                    (Shape::Array(_, n), _) => quote!([#e; #n]),
                    (_, Some(len)) => {
                        let len = self.value(len);
                        quote!(::std::vec![#e; #len])
                    }
                    _ => quote!(::std::vec![]),
                }
            }
            Init::Copy(p) => {
                let whole = self.whole(p);
                match (&data.shape, self.g().shape_at(p)) {
                    (Shape::Array(..), _) if data.shape.is_fixed() => whole,
                    (_, Shape::Slice(_)) => quote!(#whole.to_vec()),
                    _ => quote!(::core::clone::Clone::clone(&#whole)),
                }
            }
            Init::Empty => quote!(::std::vec::Vec::new()),
        };
        let ty = self.array_type(&data.shape);
        quote!(let mut #name #ty = #init;)
    }

    /// `: type` where the elements alone may not say it.
    fn array_type(&self, shape: &Shape) -> TokenStream {
        fn spell(e: &Emit, s: &Shape) -> Option<TokenStream> {
            Some(match s {
                Shape::Float(f) => f.tokens(),
                Shape::Scalar(ty) => match e.g().types.kind(*ty) {
                    Kind::Unknown | Kind::Other | Kind::AnyInt => quote!(_),
                    _ => e.g().types.tokens(*ty)?,
                },
                Shape::Array(s, n) => {
                    let s = spell(e, s)?;
                    quote!([#s; #n])
                }
                Shape::Vec(s) | Shape::Slice(s) => {
                    let s = spell(e, s)?;
                    quote!(::std::vec::Vec<#s>)
                }
                Shape::Tuple(all) => {
                    let all: Option<Vec<TokenStream>> = all.iter().map(|s| spell(e, s)).collect();
                    let all = all?;
                    quote!((#(#all,)*))
                }
                Shape::Constant(_) | Shape::Unknown => return None,
            })
        }
        match spell(self, shape) {
            Some(t) => quote!(: #t),
            None => TokenStream::new(),
        }
    }

    fn copy(&self, to: &Place, from: &Place, add: bool) -> TokenStream {
        let shape = self.g().shape_at(to);
        let (a, b) = (self.place(to), self.place(from));
        if add {
            return self.add_all(&shape, a, b);
        }
        let source = self.g().shape_at(from);
        match (&shape, &source) {
            (Shape::Vec(_), Shape::Vec(_)) => {
                let (a, b) = (self.whole(to), self.whole(from));
                quote!(::core::clone::Clone::clone_from(&mut #a, &#b);)
            }
            (Shape::Vec(_) | Shape::Slice(_), _) | (_, Shape::Vec(_) | Shape::Slice(_)) => {
                quote!(#a[..].clone_from_slice(&#b[..]);)
            }
            _ if shape.is_fixed() => {
                let (a, b) = (self.whole(to), self.whole(from));
                quote!(#a = #b;)
            }
            _ => {
                let (a, b) = (self.whole(to), self.whole(from));
                quote!(::core::clone::Clone::clone_from(&mut #a, &#b);)
            }
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
        } else {
            for l in self.tapes.get(&region).into_iter().flatten() {
                let (tape, cursor) = (self.tape_name(*l), self.cursor(*l));
                let count = if self.p.back.is_none() {
                    quote!(let mut #cursor = 0usize;)
                } else {
                    TokenStream::new()
                };
                out.extend(quote!(let mut #tape = ::std::vec::Vec::new(); #count));
            }
        }
        for stmt in &self.g().region(region).stmts {
            let again = matches!(stmt, Stmt::Let(id) if self.g().data(*id).region != Some(region))
                && self.p.pairs.iter().any(|p| p.back == region);
            if again || self.live.stmt(self.g(), stmt) {
                out.extend(self.stmt(stmt));
            }
        }
        out
    }

    fn stmt(&self, stmt: &Stmt) -> TokenStream {
        let g = self.g();
        match stmt {
            Stmt::Let(id) => {
                let (name, value) = (self.name(*id), self.definition(*id));
                quote!(let #name = #value;)
            }
            Stmt::Declare(a) => self.declare(*a),
            Stmt::Store { place, value, add } => {
                let (p, v) = (self.place(place), self.value(*value));
                if *add {
                    quote!(#p += #v;)
                } else {
                    quote!(#p = #v;)
                }
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
                    _ => self.value(*from),
                };
                quote!(let #to = #from;)
            }
            Stmt::ReadTape(l) => {
                let (tape, cursor) = (self.tape_name(*l), self.cursor(*l));
                let names: Vec<Ident> = g.looped(*l).tape.iter().map(|id| self.name(*id)).collect();
                match names.as_slice() {
                    [one] => quote!(#cursor -= 1; let #one = #tape[#cursor];),
                    all => quote!(#cursor -= 1; let (#(#all),*) = #tape[#cursor];),
                }
            }
            Stmt::ReadSaved(id) => {
                let name = self.name(*id);
                match &self.saved {
                    Some(saved) => {
                        let value = self.field(saved, &name);
                        quote!(let #name = #value;)
                    }
                    None => TokenStream::new(),
                }
            }
        }
    }

    fn branch(&self, b: IfId) -> TokenStream {
        let data = self.g().branch(b);
        let cond = self.value(data.cond);
        let slots: Vec<&Slot> = data
            .slots
            .iter()
            .filter(|s| self.live.has(self.g(), s.out))
            .collect();
        let (then, otherwise) = (self.region(data.then), self.region(data.otherwise));
        let names: Vec<Ident> = slots.iter().map(|s| self.name(s.out)).collect();
        let a: Vec<TokenStream> = slots.iter().map(|s| self.value(s.then)).collect();
        let b: Vec<TokenStream> = slots.iter().map(|s| self.value(s.otherwise)).collect();
        match names.as_slice() {
            [] if otherwise.is_empty() => quote!(if #cond { #then }),
            [] => quote!(if #cond { #then } else { #otherwise }),
            [name] => quote!(let #name = if #cond { #then #(#a)* } else { #otherwise #(#b)* };),
            names => {
                quote!(let (#(#names),*) = if #cond { #then (#(#a),*) } else { #otherwise (#(#b),*) };)
            }
        }
    }

    fn looped(&self, l: LoopId) -> TokenStream {
        let g = self.g();
        let data = g.looped(l);
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
        let mut body = self.region(data.body);
        if !data.tape.is_empty() && data.reverses.is_none() {
            let (tape, cursor) = (self.tape_name(l), self.cursor(l));
            let values: Vec<TokenStream> = data.tape.iter().map(|id| self.value(*id)).collect();
            let value = if values.len() == 1 {
                quote!(#(#values)*)
            } else {
                quote!((#(#values),*))
            };
            body.extend(quote!(#tape.push(#value);));
            if self.p.back.is_none() {
                body.extend(quote!(#cursor += 1;));
            }
        }
        let phis: Vec<Ident> = carried.iter().map(|c| self.name(c.phi)).collect();
        let nexts: Vec<TokenStream> = carried.iter().map(|c| self.value(c.next)).collect();
        match phis.as_slice() {
            [] => {}
            [one] => body.extend(quote!(#one = #(#nexts)*;)),
            all => body.extend(quote!((#(#all),*) = (#(#nexts),*);)),
        }
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
        let header = self.header(data);
        quote!(#before #header { #body } #after)
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

    // ---- calls ----

    fn arguments(&self, call: &Call) -> Vec<TokenStream> {
        call.args
            .iter()
            .map(|a| match a {
                Argument::Scalar { value, by_ref } => {
                    let v = self.value(*value);
                    if *by_ref { quote!(&#v) } else { v }
                }
                Argument::Array { place, by_ref } => {
                    let whole = self.whole(place);
                    if *by_ref {
                        quote!(&#whole)
                    } else if self.g().shape_at(place).is_fixed() {
                        whole
                    } else {
                        quote!(::core::clone::Clone::clone(&#whole))
                    }
                }
            })
            .collect()
    }

    fn call(&self, c: CallId) -> TokenStream {
        let call = self.g().call(c);
        let (path, args) = (&call.path, self.arguments(call));
        let out = self.name(call.outs[0]);
        if self.direct.contains(&c) && self.live.stmt(self.g(), &Stmt::Pullback(c)) {
            let saved = local(&format!("saved_{}", c.0));
            let space = self.namespace(path, call.recursive);
            return quote!(let (#out, #saved) = #space::forward(#(#args),*););
        }
        quote!(let #out = #path(#(#args),*);)
    }

    /// The type namespace of a function's path: without its generic arguments.
    fn namespace(&self, path: &TokenStream, itself: bool) -> TokenStream {
        if itself {
            let name = &self.sig.namespace;
            return quote!(#name);
        }
        match syn::parse2::<syn::Path>(path.clone()) {
            Ok(mut p) => {
                if let Some(last) = p.segments.last_mut() {
                    last.arguments = syn::PathArguments::None;
                }
                quote!(#p)
            }
            Err(_) => path.clone(),
        }
    }

    fn pullback(&self, c: CallId) -> TokenStream {
        let call = self.g().call(c);
        let space = self.namespace(&call.path, call.recursive);
        let saved = local(&format!("saved_{}", c.0));
        let mut out = TokenStream::new();
        if !self.direct.contains(&c) {
            let args = self.arguments(call);
            out.extend(quote!(let (_, #saved) = #space::forward(#(#args),*);));
        }
        let upstream = call.upstream.first().map(|d| self.value(*d));
        let grads = local(&format!("grads_{}", c.0));
        out.extend(quote!(let #grads = #space::__pullback(&#saved, #upstream);));
        for (k, (d, shadow)) in call.gradients.iter().zip(&call.shadows).enumerate() {
            let k = syn::Index::from(k);
            if let Some(d) = d.filter(|d| self.live.has(self.g(), *d)) {
                let name = self.name(d);
                out.extend(quote!(let #name = #grads.#k;));
            }
            if let Some(p) = shadow
                && self.live.has_array(p.array)
            {
                let shape = self.g().shape_at(p);
                out.extend(self.add_all(&shape, self.place(p), quote!(#grads.#k)));
            }
        }
        out
    }

    // ---- results ----

    pub fn output(&self, out: &Output) -> TokenStream {
        match out {
            Output::Scalar(id) => self.value(*id),
            Output::Array(p) => self.whole(p),
            Output::Tuple(all) => {
                let all = all.iter().map(|o| self.output(o));
                quote!((#(#all,)*))
            }
        }
    }
}
