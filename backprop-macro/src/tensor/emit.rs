//! Tensor graph and steps → Rust: the bodies of the generated functions.
//!
//! In: the program and its steps. Out: [`Line`]s, each with the names that it defines. What a pass needs is found by the
//! names that it mentions: shapes, constants and views are computed again in a backward pass of its own, everything else
//! that it mentions is kept. Tensors are buffers of a workspace, so that a second run with the same shapes allocates nothing.

use crate::errors::Errors;
use crate::source::Source;
use crate::tensor::fuse::uses;
use crate::tensor::graph::*;
use crate::tensor::idioms::Lane;
use crate::tensor::lower::{Program, Val, const_name};
use crate::tensor::map::{self, MapCode};
use crate::tensor::reverse::{Step, Upstream, base, reverse};
use crate::tensor::signature::{Kind, TensorSig, dimension};
use crate::tensor::tape::Tape;
use crate::tensor::transpose::{self, Spelling};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What may be done with a line that a backward pass of its own needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Again {
    /// Computed again.
    Pure,
    /// Kept, as this type by this expression.
    Keep,
    /// Never dropped: a check of shapes, an assertion.
    Effect,
    /// Both: never dropped, never run again.
    Loop,
}

/// One statement and the names that it defines.
#[derive(Clone, Debug)]
pub struct Line {
    pub names: Vec<String>,
    pub tokens: TokenStream,
    pub again: Again,
}

impl Line {
    pub fn none() -> Line {
        Line {
            names: Vec::new(),
            tokens: TokenStream::new(),
            again: Again::Pure,
        }
    }
}

/// What a name holds, for the residuals.
#[derive(Clone, Debug)]
pub enum Held {
    /// A parameter's view.
    Param(usize),
    /// A buffer of the workspace.
    Slot(Rank),
    Scalar,
    Dim(Rank),
    /// What a loop's iterations keep.
    Tape(usize),
    /// Not kept: made again by these statements.
    Again(TokenStream),
}

pub struct Emit<'a> {
    pub g: &'a Graph,
    pub sig: &'a TensorSig,
    codes: BTreeMap<V, MapCode>,
    /// Maps that are only summed, and the sum.
    summed: BTreeMap<V, V>,
    /// The buffers used, with their ranks.
    pub slots: RefCell<BTreeMap<String, Rank>>,
    pub held: RefCell<BTreeMap<String, Held>>,
    /// What the loops keep; the fields that are in an iteration's struct; the loops whose structs are in the workspace.
    pub tapes: RefCell<Vec<Tape>>,
    pub homes: RefCell<BTreeMap<String, usize>>,
    pub vectors: RefCell<BTreeSet<usize>>,
    live: BTreeSet<V>,
    /// In a step of gradient descent, the parameters that are their own adjoints; elsewhere the caller's buffers are.
    pub moved: RefCell<Option<BTreeSet<V>>>,
}

fn name(prefix: &str, v: u32) -> Ident {
    format_ident!("__{}{}", prefix, v, span = Span::mixed_site())
}
pub fn tensor_name(v: V) -> Ident {
    name("t", v.0)
}
pub fn scalar_name(v: V) -> Ident {
    name("s", v.0)
}
pub fn dim_name(d: Dim) -> Ident {
    name("n", d.0)
}
/// The adjoint of a value: a buffer, or a float.
pub fn adjoint(v: V) -> Ident {
    name("d", v.0)
}
fn residual(v: V, k: usize) -> Ident {
    format_ident!("__r{}_{}", v.0, k, span = Span::mixed_site())
}

impl<'a> Emit<'a> {
    pub fn new(
        program: &'a Program,
        sig: &'a TensorSig,
        errors: &Errors,
        source: &Source,
    ) -> Option<Emit<'a>> {
        let g = &program.graph;
        let uses = uses(g, &program.result);
        let mut e = Emit {
            g,
            sig,
            codes: BTreeMap::new(),
            summed: BTreeMap::new(),
            slots: RefCell::default(),
            held: RefCell::default(),
            tapes: RefCell::new(vec![Tape::default(); g.loops.len()]),
            homes: RefCell::default(),
            vectors: RefCell::default(),
            live: uses.keys().copied().collect(),
            moved: RefCell::default(),
        };
        for (k, value) in g.values.iter().enumerate() {
            let v = V(k as u32);
            if !e.live.contains(&v) || matches!(&value.op, Op::Map { .. }) && e.fused_away(v) {
                continue;
            }
            match &value.op {
                Op::Map { .. } => {
                    let vector = g.is_tensor(v);
                    let code = map::code(g, v, sig, errors, source, vector)?;
                    e.codes.insert(v, code);
                }
                Op::Sum(a)
                    if uses.get(a) == Some(&1)
                        && g.value(*a).region == value.region
                        && matches!(g.value(*a).op, Op::Map { .. }) =>
                {
                    e.summed.insert(*a, v);
                }
                _ => {}
            }
        }
        if errors.is_empty() {
            e.plan(&reverse(g, &program.result, |_| true));
            return Some(e);
        }
        None
    }

    /// What may be there for its shape alone.
    fn has_shape_only(&self, v: V) -> bool {
        matches!(
            self.g.value(v).op,
            Op::Param(_)
                | Op::Item(..)
                | Op::Inside { .. }
                | Op::After { .. }
                | Op::Constant(_)
                | Op::Call { .. }
        )
    }

    fn fused_away(&self, v: V) -> bool {
        !self.live.contains(&v)
    }

    pub fn slot(&self, name: &Ident, rank: Rank) -> TokenStream {
        let field = field(name);
        if let Some(home) = self.home(&field) {
            return quote!(&mut #home);
        }
        self.slots.borrow_mut().insert(field.to_string(), rank);
        quote!(&mut __ws.#field)
    }

    pub fn hold(&self, name: &Ident, held: Held) {
        self.held.borrow_mut().insert(name.to_string(), held);
    }

    fn operand(&self, v: V) -> TokenStream {
        if self.g.is_tensor(v) {
            let t = tensor_name(v);
            quote!(#t.view())
        } else {
            scalar_name(v).to_token_stream()
        }
    }

    fn dim_of(&self, v: V) -> TokenStream {
        match self.g.dim(v) {
            Some(d) => dim_name(d).to_token_stream(),
            None => TokenStream::new(),
        }
    }

    fn spelling<T>(&self, f: impl FnOnce(&Spelling) -> T) -> T {
        let operand = |v: V| self.operand(v);
        let dim = |v: V| self.dim_of(v);
        let rank = |v: V| self.g.rank(v);
        f(&Spelling {
            operand: &operand,
            dim: &dim,
            rank: &rank,
        })
    }

    /// How an idiom's row spells what it reads.
    fn lane(&self, v: V, f: impl FnOnce(&Lane) -> TokenStream) -> TokenStream {
        let Op::Idiom {
            of, shift, axis, ..
        } = &self.g.value(v).op
        else {
            return TokenStream::new();
        };
        f(&Lane {
            of: self.operand(*of),
            shift: shift.map(|m| (self.operand(m), self.g.is_tensor(m))),
            axis,
            zero: self.zero(),
        })
    }

    // ---- forward ----

    pub fn forward(&self) -> Vec<Line> {
        self.lines(&self.g.stmts)
    }

    pub fn lines(&self, stmts: &[Stmt]) -> Vec<Line> {
        let mut out = Vec::new();
        for stmt in stmts {
            match stmt {
                Stmt::Value(v) if self.live.contains(v) || self.has_shape_only(*v) => {
                    out.extend(self.value(*v))
                }
                Stmt::Value(_) => {}
                Stmt::Loop(id) => out.push(self.run(*id)),
                Stmt::Dim(d) => out.push(self.dim(*d)),
                Stmt::Const(c) => {
                    let (name, tokens) = (const_name(*c), &self.g.consts[c.0 as usize]);
                    out.push(Line {
                        names: vec![name.to_string()],
                        tokens: quote!(let #name = #tokens;),
                        again: Again::Pure,
                    });
                }
                Stmt::Effect(tokens) => out.push(Line {
                    names: Vec::new(),
                    tokens: tokens.clone(),
                    again: Again::Effect,
                }),
            }
        }
        out
    }

    fn dim(&self, d: Dim) -> Line {
        let (op, rank) = &self.g.dims[d.0 as usize];
        let n = |d: &Dim| dim_name(*d);
        let mut again = Again::Effect;
        let tokens = match op {
            DimOp::Param(v) | DimOp::Of(v) => {
                again = Again::Keep;
                let t = tensor_name(*v);
                quote!(#t.raw_dim())
            }
            DimOp::Broadcast(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::broadcast(&#a, &#b))
            }
            DimOp::Into(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::broadcast_into(&#a, &#b))
            }
            DimOp::Same(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::same(&#a, &#b))
            }
            DimOp::Product(a, b) => {
                let f = format_ident!(
                    "product_{}_{}",
                    self.g.dim_rank(*a).unwrap_or(2),
                    self.g.dim_rank(*b).unwrap_or(2)
                );
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::#f(&#a, &#b))
            }
            DimOp::View(a, view) => {
                let (a, form) = (n(a), &view.form);
                quote!(::backprop::tensor::viewed(&#a, |v| v #form .raw_dim()))
            }
            DimOp::RemoveAxis(a, axis) => {
                let a = n(a);
                quote!(::backprop::tensor::remove_axis(&#a, #axis))
            }
            DimOp::Select(a, axis, indices) => {
                let a = n(a);
                quote!(::backprop::tensor::selected(&#a, #axis, (#indices).len()))
            }
            DimOp::Concatenate(all, axis) => {
                let all = all.iter().map(n);
                quote!(::backprop::tensor::concatenated(&[#(&#all),*], #axis))
            }
            DimOp::Given(shape, of) => {
                let of = match of {
                    Some(d) => {
                        let d = n(d);
                        quote!(::core::option::Option::Some(#d.size()))
                    }
                    None => quote!(::core::option::Option::None),
                };
                quote!(::backprop::tensor::given(#shape, #of))
            }
        };
        let name = dim_name(d);
        let ty = dimension(*rank);
        self.hold(&name, Held::Dim(*rank));
        Line {
            names: vec![name.to_string()],
            tokens: quote!(let #name: #ty = #tokens;),
            again,
        }
    }

    fn value(&self, v: V) -> Vec<Line> {
        let value = self.g.value(v);
        let line = |names: &[&Ident], tokens, again| Line {
            names: names.iter().map(|n| n.to_string()).collect(),
            tokens,
            again,
        };
        match (&value.op, value.ty) {
            (Op::Param(k), Ty::Tensor(..)) => {
                let (t, ident) = (tensor_name(v), &self.sig.params[*k].ident);
                self.hold(&t, Held::Param(*k));
                vec![line(&[&t], quote!(let #t = #ident.view();), Again::Keep)]
            }
            (Op::Param(k), Ty::Scalar) => {
                let p = &self.sig.params[*k];
                let (s, ident) = (scalar_name(v), &p.ident);
                self.hold(&s, Held::Scalar);
                let read = if p.by_ref {
                    quote!(*#ident)
                } else {
                    quote!(#ident)
                };
                vec![line(&[&s], quote!(let #s = #read;), Again::Keep)]
            }
            (Op::Constant(tokens), Ty::Tensor(rank, _)) => {
                let t = tensor_name(v);
                let slot = self.slot(&t, rank);
                self.hold(&t, Held::Slot(rank));
                let show = self.show(&t);
                vec![line(
                    &[&t],
                    quote!(let #t = ::backprop::tensor::hold(#slot, #tokens); #show),
                    Again::Keep,
                )]
            }
            (Op::Param(k), Ty::List(_)) => {
                let (t, ident) = (tensor_name(v), &self.sig.params[*k].ident);
                self.hold(&t, Held::Param(*k));
                vec![line(&[&t], quote!(let #t = &#ident[..];), Again::Keep)]
            }
            (Op::Item(list, k), _) => {
                let (t, list) = (tensor_name(v), tensor_name(*list));
                vec![line(&[&t], quote!(let #t = #list[#k].view();), Again::Pure)]
            }
            (Op::Inside { of, .. }, Ty::Tensor(..)) => vec![self.inside(v, *of)],
            (Op::After { of, .. }, Ty::Tensor(..)) => vec![self.after(v, *of)],
            (Op::Inside { .. } | Op::After { .. }, _) => Vec::new(),
            (Op::Map { .. }, _) => self.map(v),
            (
                Op::Call {
                    function,
                    args,
                    by_fields,
                },
                _,
            ) => {
                vec![self.call(v, function, args, *by_fields)]
            }
            (_, Ty::List(_)) => Vec::new(),
            (Op::View(a, view), _) => {
                let (t, a, form) = (tensor_name(v), tensor_name(*a), &view.form);
                vec![line(&[&t], quote!(let #t = #a.view() #form;), Again::Pure)]
            }
            (Op::Sum(a), _) if self.summed.contains_key(a) => Vec::new(),
            (
                Op::Lanes {
                    of,
                    axis,
                    function,
                    scalars,
                },
                ty,
            ) => {
                let of = self.operand(*of);
                let scalars = scalars.iter().map(|s| scalar_name(*s));
                let t = self.sig.elem.tokens();
                let call = quote!(|__row: &[#t]| #function(__row, #(#scalars),*));
                match (axis, ty) {
                    (Some(axis), Ty::Tensor(rank, dim)) => {
                        let (t, n) = (tensor_name(v), dim_name(dim));
                        let slot = self.slot(&t, rank);
                        self.hold(&t, Held::Slot(rank));
                        let show = self.show(&t);
                        vec![line(
                            &[&t],
                            quote! {
                                let #t = ::backprop::tensor::fit(#slot, &#n);
                                ::backprop::tensor::lanes(#of, #axis, #t.view_mut(), #call);
                                #show
                            },
                            Again::Keep,
                        )]
                    }
                    _ => {
                        let s = scalar_name(v);
                        self.hold(&s, Held::Scalar);
                        vec![line(
                            &[&s],
                            quote!(let #s = ::backprop::tensor::all(#of, #call);),
                            Again::Keep,
                        )]
                    }
                }
            }
            (op, Ty::Scalar) => {
                let s = scalar_name(v);
                self.hold(&s, Held::Scalar);
                let out = TokenStream::new();
                let call = match op {
                    Op::Idiom { idiom, .. } => self.lane(v, |l| idiom.forward(l, &out)),
                    _ => self.spelling(|sp| transpose::forward(op, sp, &out)),
                };
                vec![line(&[&s], quote!(let #s = #call;), Again::Keep)]
            }
            (op, Ty::Tensor(rank, dim)) => {
                let (t, n) = (tensor_name(v), dim_name(dim));
                let slot = self.slot(&t, rank);
                self.hold(&t, Held::Slot(rank));
                let out = quote!(#t.view_mut());
                let call = match op {
                    Op::Idiom { idiom, .. } => self.lane(v, |l| idiom.forward(l, &out)),
                    _ => self.spelling(|sp| transpose::forward(op, sp, &out)),
                };
                let show = self.show(&t);
                vec![line(
                    &[&t],
                    quote! {
                        let #t = ::backprop::tensor::fit(#slot, &#n);
                        #call;
                        #show
                    },
                    Again::Keep,
                )]
            }
        }
    }

    /// A buffer that has been written becomes a view; where a call takes the array itself, that has a name too.
    pub fn show(&self, t: &Ident) -> TokenStream {
        let own = format_ident!("__own{}", t, span = Span::mixed_site());
        quote!(let #own = &*#t; let #t = #own.view();)
    }

    fn map(&self, v: V) -> Vec<Line> {
        let Some(code) = self.codes.get(&v) else {
            return Vec::new();
        };
        let operands = self.g.value(v).op.operands();
        let (body, result) = (&code.forward, &code.result);
        let used = mentioned(&quote!(#body #result));
        let scalars = self.scalar_operands(&operands, &used);
        let residuals: Vec<Ident> = (0..code.residuals.len()).map(|k| residual(v, k)).collect();
        let inner = &code.kept;
        let Ty::Tensor(rank, dim) = self.g.value(v).ty else {
            let s = scalar_name(v);
            self.hold(&s, Held::Scalar);
            let mut names = vec![s.to_string()];
            for r in &residuals {
                self.hold(r, Held::Scalar);
                names.push(r.to_string());
            }
            let t = self.sig.elem.tokens();
            let types = std::iter::repeat_n(&t, names.len());
            return vec![Line {
                names,
                tokens: quote!(let (#s, #(#residuals,)*): (#(#types,)*) = { #scalars #body (#result, #(#inner,)*) };),
                again: Again::Keep,
            }];
        };
        let n = dim_name(dim);
        let t = tensor_name(v);
        let summed = self.summed.get(&v);
        let mut starts = TokenStream::new();
        let mut ends = TokenStream::new();
        let (mut outs, mut values, mut names) = (Vec::new(), Vec::new(), Vec::new());
        if summed.is_none() || code.result_name.is_some() {
            outs.push(t.clone());
            values.push(result.clone());
        }
        for (r, i) in residuals.iter().zip(inner) {
            outs.push(r.clone());
            values.push(i.clone());
        }
        for o in &outs {
            let slot = self.slot(o, rank);
            self.hold(o, Held::Slot(rank));
            names.push(o.to_string());
            starts.extend(quote!(let #o = ::backprop::tensor::fit(#slot, &#n);));
            ends.extend(self.show(o));
        }
        let (inputs, pattern) = self.inputs(&operands, &used, &n);
        let sums = match summed {
            Some(s) => {
                let s = scalar_name(*s);
                self.hold(&s, Held::Scalar);
                names.push(s.to_string());
                quote!(let [#s] =)
            }
            None => quote!(let [] =),
        };
        let sum = summed.map(|_| result);
        let bind = if summed.is_some() && code.result_name.is_some() {
            quote!(let __result = #result;)
        } else {
            TokenStream::new()
        };
        let (values, sum): (Vec<TokenStream>, TokenStream) = if bind.is_empty() {
            (values, sum.cloned().unwrap_or_default())
        } else {
            values[0] = quote!(__result);
            (values, quote!(__result))
        };
        let tokens = quote! {
            #scalars
            #starts
            #sums ::backprop::kernel::map(
                [#(#inputs),*],
                [#(#outs.view_mut()),*],
                #[inline(always)] |[#(#pattern),*], _| { #body #bind ([#(#values),*], [#sum]) },
            );
            #ends
        };
        vec![Line {
            names,
            tokens,
            again: Again::Keep,
        }]
    }

    /// Lets that give a body the floats among a map's operands.
    fn scalar_operands(&self, operands: &[V], used: &BTreeSet<String>) -> TokenStream {
        operands
            .iter()
            .filter(|o| !self.g.is_tensor(**o) && used.contains(&operand(**o).to_string()))
            .map(|o| {
                let (a, s) = (operand(*o), scalar_name(*o));
                quote!(let #a = #s;)
            })
            .collect()
    }

    /// The tensors among a map's operands, broadcast, and what its body calls their elements.
    fn inputs(
        &self,
        operands: &[V],
        used: &BTreeSet<String>,
        n: &Ident,
    ) -> (Vec<TokenStream>, Vec<Ident>) {
        operands
            .iter()
            .filter(|o| self.g.is_tensor(**o) && used.contains(&operand(**o).to_string()))
            .map(|o| {
                let t = tensor_name(*o);
                (quote!(::backprop::tensor::spread(&#t, &#n)), operand(*o))
            })
            .unzip()
    }

    // ---- backward ----

    /// The adjoint of a value, to be written: a mutable view.
    pub fn place(&self, v: V) -> TokenStream {
        let (at, views) = base(self.g, v);
        let d = adjoint(at);
        let forms = views.iter().map(|v| &v.form);
        if let (Ty::List(_), Some((k, _))) = (self.g.value(at).ty, views.split_first()) {
            let (k, forms) = (&k.form, forms.skip(1));
            return quote!(#d[#k].view_mut() #(#forms)*);
        }
        quote!(#d.view_mut() #(#forms)*)
    }

    /// Makes room for an adjoint, unless it is the caller's buffer.
    pub fn start(&self, v: V, started: &mut BTreeSet<V>) -> TokenStream {
        let (at, _) = base(self.g, v);
        if !started.insert(at) {
            return TokenStream::new();
        }
        let (d, n) = (adjoint(at), self.dim_of(at));
        match (&self.g.value(at).op, &*self.moved.borrow()) {
            (Op::Param(_), None) => return TokenStream::new(),
            (Op::Param(k), Some(these)) if these.contains(&at) => {
                let parameter = scalar_buffer(*k);
                return quote!(let #d = &mut *#parameter;);
            }
            _ => {}
        }
        let slot = self.slot(&d, self.g.rank(at));
        quote!(let #d = ::backprop::tensor::fit(#slot, &#n);)
    }

    pub fn scalar_add(&self, v: V, value: TokenStream, add: bool) -> TokenStream {
        let d = adjoint(v);
        if add {
            quote!(let #d = #d + #value;)
        } else {
            quote!(let #d = #value;)
        }
    }

    pub fn zero(&self) -> TokenStream {
        match self.sig.float() {
            Some(t) => quote!(<#t as ::backprop::kernel::Real>::ZERO),
            None => {
                let t = self.sig.elem.tokens();
                quote!((0.0 as #t))
            }
        }
    }

    fn one(&self) -> TokenStream {
        match self.sig.float() {
            Some(t) => quote!(<#t as ::backprop::kernel::Real>::ONE),
            None => {
                let t = self.sig.elem.tokens();
                quote!((1.0 as #t))
            }
        }
    }

    /// The backward pass; `unit` where the upstream gradient is 1, `results` how each result's is reached.
    pub fn backward(&self, steps: &[Step], unit: bool, results: &[TokenStream]) -> TokenStream {
        let mut out = TokenStream::new();
        let mut started = BTreeSet::new();
        for step in steps {
            if let Step::Seed { of, result, .. } = step
                && self.only_seeded(*of, steps)
            {
                // Nothing is added to it: it is read where it is.
                let (d, n, from) = (adjoint(*of), self.dim_of(*of), &results[*result]);
                started.insert(*of);
                out.extend(quote!(let #d = ::backprop::tensor::seeded(&#from, &#n);));
                continue;
            }
            out.extend(self.step(step, unit, results, &mut started));
        }
        for (k, p) in self.sig.active() {
            if matches!(p.kind, Kind::Scalar) {
                let v = V(k as u32);
                let at = self
                    .g
                    .values
                    .iter()
                    .position(|x| matches!(x.op, Op::Param(j) if j == k));
                let v = at.map_or(v, |at| V(at as u32));
                let (d, b) = (adjoint(v), scalar_buffer(k));
                out.extend(quote!(*#b = *#b + #d;));
            }
        }
        out
    }

    /// Whether a tensor's adjoint is its upstream gradient and nothing else.
    fn only_seeded(&self, v: V, steps: &[Step]) -> bool {
        let computed = !matches!(
            self.g.value(v).op,
            Op::Param(_) | Op::View(..) | Op::Item(..) | Op::After { .. }
        );
        let mut writes = steps.iter().filter(|s| self.writes(s, v));
        computed
            && self.g.is_tensor(v)
            && matches!(
                (writes.next(), writes.next()),
                (Some(Step::Seed { .. }), None)
            )
    }

    /// Whether a step writes to the adjoint of a value, or adds to it.
    fn writes(&self, step: &Step, v: V) -> bool {
        let written = |o: V| base(self.g, o).0 == v;
        match step {
            Step::Zero(o) | Step::Clear(o) | Step::Seed { of: o, .. } => written(*o),
            Step::Map { targets, .. } => targets.iter().any(|t| written(t.0)),
            Step::Linear { of, position, .. } => {
                let operands = self.g.value(*of).op.operands();
                operands.get(*position).is_some_and(|o| written(*o))
            }
            Step::Lanes(of) => self.g.value(*of).op.operands().into_iter().any(written),
            Step::Call { adds, .. } => adds.iter().any(|a| written(a.0)),
            Step::Idiom { of, .. } => match &self.g.value(*of).op {
                Op::Idiom { of, .. } => written(*of),
                _ => false,
            },
            // A loop reads the adjoints of what it hands on, and adds to others in its body.
            Step::Loop { .. } => true,
            Step::Init { of, carried, .. } => written(self.g.loops[*of].carried[*carried].init),
        }
    }

    /// The parameters that a backward pass may add their gradients to: once it has begun to, nothing reads them any more.
    pub fn in_place(&self, lines: &[Line], steps: &[Step]) -> BTreeSet<V> {
        let mut started = BTreeSet::new();
        let reached = vec![TokenStream::new(); steps.len()];
        let reads: Vec<BTreeSet<String>> = steps
            .iter()
            .map(|s| mentioned(&self.step(s, true, &reached, &mut started)))
            .collect();
        let whole = |(k, value): (usize, &Value)| match value.op {
            Op::Param(p) if value.active && self.g.is_tensor(V(k as u32)) => {
                Some((V(k as u32), &self.sig.params[p].ident))
            }
            _ => None,
        };
        let params = self.g.values.iter().enumerate().filter_map(whole);
        params
            .filter(|(v, ident)| {
                // Its own names, and those of what may borrow from it.
                let mut names = BTreeSet::from([ident.to_string(), tensor_name(*v).to_string()]);
                for line in lines.iter().filter(|l| l.again == Again::Pure) {
                    if !mentioned(&line.tokens).is_disjoint(&names) {
                        names.extend(line.names.iter().cloned());
                    }
                }
                let first = steps.iter().position(|s| self.writes(s, *v));
                first.is_none_or(|first| reads[first..].iter().all(|r| r.is_disjoint(&names)))
            })
            .map(|(v, _)| v)
            .collect()
    }

    pub fn step(
        &self,
        step: &Step,
        unit: bool,
        results: &[TokenStream],
        started: &mut BTreeSet<V>,
    ) -> TokenStream {
        match step {
            Step::Zero(v) => {
                let zero = self.zero();
                if let Ty::List(_) = self.g.value(*v).ty {
                    let d = adjoint(*v);
                    return quote! {
                        for __each in #d.iter_mut() {
                            ::backprop::tensor::fill(#zero, __each.view_mut(), false);
                        }
                    };
                }
                if !self.g.is_tensor(*v) {
                    return self.scalar_add(*v, zero, false);
                }
                let (start, place) = (self.start(*v, started), self.place(*v));
                quote!(#start ::backprop::tensor::fill(#zero, #place, false);)
            }
            Step::Seed { of, result, add } => {
                if !self.g.is_tensor(*of) {
                    let seed = if unit {
                        self.one()
                    } else {
                        results[*result].clone()
                    };
                    return self.scalar_add(*of, seed, *add);
                }
                let (start, place, from) =
                    (self.start(*of, started), self.place(*of), &results[*result]);
                quote!(#start ::backprop::tensor::seed(#from.view(), #place, #add);)
            }
            Step::Clear(v) => {
                let d = adjoint(*v);
                transpose::cleared(&self.g.value(*v).op, &self.mutable(d), &self.zero())
            }
            Step::Linear { of, position, add } => {
                let op = &self.g.value(*of).op;
                let Some(&to) = op.operands().get(*position) else {
                    return TokenStream::new();
                };
                let d = adjoint(*of);
                let d = if self.g.is_tensor(*of) {
                    quote!(#d.view())
                } else {
                    quote!(#d)
                };
                if !self.g.is_tensor(to) {
                    let value = self.spelling(|s| {
                        transpose::transposed(op, *position, s, &d, &TokenStream::new(), *add)
                    });
                    return self.scalar_add(to, value, *add);
                }
                let start = self.start(to, started);
                let place = self.place(to);
                let call =
                    self.spelling(|s| transpose::transposed(op, *position, s, &d, &place, *add));
                quote!(#start #call)
            }
            Step::Lanes(v) => self.lanes_back(*v),
            Step::Loop { of, body, floats } => self.run_back(*of, body, floats, started),
            Step::Init { of, carried, add } => {
                let c = self.g.loops[*of].carried[*carried];
                let d = adjoint(c.after);
                if !self.g.is_tensor(c.init) {
                    return self.scalar_add(c.init, quote!(#d), *add);
                }
                let (start, place) = (self.start(c.init, started), self.place(c.init));
                quote!(#start ::backprop::tensor::copy(#d.view(), #place, #add);)
            }
            Step::Call { of, adds } => self.call_back(*of, adds, started),
            Step::Idiom { of: v, add } => {
                let Op::Idiom { idiom, of, .. } = &self.g.value(*v).op else {
                    return TokenStream::new();
                };
                let (start, place) = (self.start(*of, started), self.place(*of));
                let (y, d) = (
                    tensor_name(*v).to_token_stream(),
                    adjoint(*v).to_token_stream(),
                );
                let call = self.lane(*v, |l| idiom.backward(l, &y, &d, &place, *add));
                quote!(#start #call)
            }
            Step::Map {
                of,
                upstream,
                targets,
            } => self.map_back(*of, upstream, targets, started),
        }
    }

    fn mutable(&self, d: Ident) -> TokenStream {
        quote!(#d.view_mut())
    }

    fn lanes_back(&self, v: V) -> TokenStream {
        let Op::Lanes {
            of,
            axis,
            function,
            scalars,
        } = &self.g.value(v).op
        else {
            return TokenStream::new();
        };
        let t = self.sig.elem.tokens();
        let zero = self.zero();
        let sums: Vec<Ident> = (0..scalars.len())
            .map(|k| format_ident!("__g{}", k))
            .collect();
        let row = format_ident!("__d_row");
        let args = scalars.iter().map(|s| scalar_name(*s));
        let call = quote! {
            |__row: &[#t], __up: #t, #row: &mut [#t]| {
                #function::accumulate(__row, #(#args,)* __up, #row, #(&mut #sums),*);
            }
        };
        let d = adjoint(v);
        let source = self.operand(*of);
        let to = if self.g.active(*of) {
            let place = self.place(*of);
            quote!(::core::option::Option::Some(#place))
        } else {
            quote!(::core::option::Option::None)
        };
        let run = match axis {
            Some(axis) => {
                quote!(::backprop::tensor::lanes_back(#source, #axis, #d.view(), #to, #call);)
            }
            None => quote!(::backprop::tensor::all_back(#source, #d, #to, #call);),
        };
        let adds = scalars
            .iter()
            .zip(&sums)
            .filter(|(s, _)| self.g.active(**s))
            .map(|(s, sum)| self.scalar_add(*s, quote!(#sum), true));
        quote! {
            #(let mut #sums: #t = #zero;)*
            #run
            #(#adds)*
        }
    }

    fn map_back(
        &self,
        v: V,
        upstream: &Upstream,
        targets: &[(V, bool)],
        started: &mut BTreeSet<V>,
    ) -> TokenStream {
        let Some(code) = self.codes.get(&v) else {
            return TokenStream::new();
        };
        let operands = self.g.value(v).op.operands();
        let back = &code.back;
        let gradient = |o: V| {
            code.gradients
                .iter()
                .find(|g| g.0 == o)
                .map(|g| g.1.clone())
        };
        let gradients: Vec<TokenStream> = targets.iter().filter_map(|t| gradient(t.0)).collect();
        let used = mentioned(&quote!(#back #(#gradients)*));
        let scalars = self.scalar_operands(&operands, &used);
        let up = map::upstream();
        let Ty::Tensor(rank, dim) = self.g.value(v).ty else {
            let d = adjoint(v);
            let mut lets = quote!(let #up = #d;);
            for (k, r) in code.residuals.iter().enumerate() {
                let from = residual(v, k);
                if used.contains(&r.to_string()) {
                    lets.extend(quote!(let #r = #from;));
                }
            }
            if let Some(r) = &code.result_name {
                let s = scalar_name(v);
                lets.extend(quote!(let #r = #s;));
            }
            let temporary: Vec<Ident> = (0..targets.len())
                .map(|k| format_ident!("__g{}", k))
                .collect();
            let adds = targets
                .iter()
                .zip(&temporary)
                .map(|((o, add), g)| self.scalar_add(*o, quote!(#g), *add));
            return quote! {
                let (#(#temporary,)*) = { #scalars #lets #back (#(#gradients,)*) };
                #(#adds)*
            };
        };
        let n = dim_name(dim);
        let (mut inputs, mut pattern) = self.inputs(&operands, &used, &n);
        for (k, r) in code.residuals.iter().enumerate() {
            if used.contains(&r.to_string()) {
                let from = residual(v, k);
                inputs.push(quote!(#from.view()));
                pattern.push(r.clone());
            }
        }
        if let Some(r) = &code.result_name
            && used.contains(&r.to_string())
        {
            let t = tensor_name(v);
            inputs.push(quote!(#t.view()));
            pattern.push(r.clone());
        }
        let mut lets = TokenStream::new();
        if used.contains(&up.to_string()) {
            match upstream {
                Upstream::Own => {
                    let d = adjoint(v);
                    inputs.push(quote!(#d.view()));
                    pattern.push(up.clone());
                }
                Upstream::Sum(s) => {
                    let d = adjoint(*s);
                    lets.extend(quote!(let #up = #d;));
                }
                Upstream::Axis(s, axis) => {
                    let d = adjoint(*s);
                    inputs.push(
                        quote!(::backprop::tensor::spread(&#d.view().insert_axis(#axis), &#n)),
                    );
                    pattern.push(up.clone());
                }
            }
        }
        let (mut starts, mut ends) = (TokenStream::new(), TokenStream::new());
        let (mut outs, mut olds, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sums, mut sum_names, mut sum_ends) = (Vec::new(), Vec::new(), TokenStream::new());
        for (k, ((o, add), g)) in targets.iter().zip(&gradients).enumerate() {
            if !self.g.is_tensor(*o) {
                let s = format_ident!("__g{}", k);
                sums.push(g.clone());
                sum_ends.extend(self.scalar_add(*o, quote!(#s), *add));
                sum_names.push(s);
                continue;
            }
            starts.extend(self.start(*o, started));
            let place = self.place(*o);
            if matches!(upstream, Upstream::Own) && up == g.to_string() {
                // The upstream gradient itself, summed where the operand was broadcast.
                let d = adjoint(v);
                ends.extend(quote!(::backprop::tensor::copy_gathered(#d.view(), #place, #add);));
                continue;
            }
            let old = format_ident!("__old{}", k);
            if self.g.dim(*o) == Some(dim) {
                outs.push(place);
            } else {
                let p = format_ident!("__p{}_{}", v.0, k, span = Span::mixed_site());
                let temporary = format_ident!("__b{}_{}", v.0, o.0, span = Span::mixed_site());
                let slot = self.slot(&temporary, rank);
                starts.extend(
                    quote!(let mut #p = ::backprop::tensor::target(#place, #slot, &#n, #add);),
                );
                outs.push(quote!(#p.view_mut()));
                ends.extend(quote!(#p.settle(#add);));
            }
            // Subnormal numbers, which saturated sigmoids leave, slow products down many times.
            let product = matches!(self.g.value(*o).op, Op::Product(..));
            let g = if product {
                quote!(::backprop::kernel::flush(#g))
            } else {
                g.clone()
            };
            values.push(if *add { quote!(#old + #g) } else { g });
            olds.push(old);
        }
        if outs.is_empty() && sums.is_empty() {
            return quote!(#starts #ends);
        }
        quote! {
            #starts
            let [#(#sum_names),*] = {
                #scalars
                #lets
                ::backprop::kernel::map(
                    [#(#inputs),*],
                    [#(#outs),*],
                    #[inline(always)] |[#(#pattern),*], [#(#olds),*]| { #back ([#(#values),*], [#(#sums),*]) },
                )
            };
            #ends
            #sum_ends
        }
    }

    // ---- results ----

    /// The result, owned; `slots` where tensors may be taken out of the workspace.
    pub fn result(&self, val: &Val, taken: &dyn Fn(&str) -> bool) -> TokenStream {
        match val {
            Val::Scalar(v) => scalar_name(*v).to_token_stream(),
            Val::Tensor(v) => {
                let t = tensor_name(*v);
                let field = field(&t);
                if self.slots.borrow().contains_key(&field.to_string()) && taken(&t.to_string()) {
                    quote!(::backprop::tensor::take(&mut __ws.#field))
                } else {
                    quote!(#t.to_owned())
                }
            }
            Val::Tuple(all) => {
                let all = all.iter().map(|v| self.result(v, taken));
                quote!((#(#all,)*))
            }
            _ => quote!(()),
        }
    }
}

/// The workspace's field of a name: without its underscores.
pub fn field(name: &Ident) -> Ident {
    format_ident!(
        "{}",
        name.to_string().trim_start_matches('_'),
        span = Span::mixed_site()
    )
}

/// The caller's buffer for a float's gradient, or the parameter that a step of gradient descent moves.
pub fn scalar_buffer(k: usize) -> Ident {
    format_ident!("__out{}", k, span = Span::mixed_site())
}

/// The identifiers in some tokens; who mentions the array behind a view mentions the view.
pub fn mentioned(tokens: &TokenStream) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    crate::items::identifiers(tokens.clone(), &mut out);
    let views = out.iter().filter_map(|n| n.strip_prefix("__own"));
    let views: Vec<String> = views.map(str::to_string).collect();
    out.extend(views);
    out
}

/// The lines that are needed where some names are, in order.
pub fn live(lines: &[Line], wanted: &mut BTreeSet<String>, effects: bool) -> Vec<Line> {
    let mut out = Vec::new();
    for line in lines.iter().rev() {
        let needed = line.names.iter().any(|n| wanted.contains(n))
            || effects && matches!(line.again, Again::Effect | Again::Loop);
        if needed {
            wanted.extend(mentioned(&line.tokens));
            out.push(line.clone());
        }
    }
    out.reverse();
    out
}
