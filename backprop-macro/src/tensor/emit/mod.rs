//! Tensor graph and steps → Rust: the bodies of the generated functions.
//!
//! In: the program and its steps. Out: [`Line`]s, each with the names that it defines. What a pass needs is found by the
//! names that it mentions: shapes, constants and views are computed again in a backward pass of its own, everything else
//! that it mentions is kept. Tensors are buffers of a workspace, so that a second run with the same shapes allocates nothing.

mod backward;
mod forward;
mod map;

pub use backward::Back;

use crate::errors::Errors;
use crate::source::Source;
use crate::tensor::fuse::uses;
use crate::tensor::graph::*;
use crate::tensor::idioms::{Idiom, Lane, Normal, Uniform};
use crate::tensor::lower::{Program, Val};
use crate::tensor::map::{self as element, MapCode};
use crate::tensor::masked::{self, Masks};
use crate::tensor::reverse::{Step, Upstream, base, led, reverse};
use crate::tensor::signature::{self, Kind, TensorSig, dimension};
use crate::tensor::tape::{Tape, iteration};
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
    /// A constant that a loop computes, of this type.
    Const(String),
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
    pub live: BTreeSet<V>,
    pub masks: Masks,
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
        let uses = uses(g, &program.gives());
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
            masks: Masks::default(),
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
                    let code = element::code(g, v, sig, errors, source, vector, &|_| false)?;
                    e.codes.insert(v, code);
                }
                Op::Sum(a)
                    if uses.get(a) == Some(&1)
                        && g.value(*a).region == value.region
                        && e.codes.get(a).is_some_and(|code| e.reads_tensors(*a, code)) =>
                {
                    e.summed.insert(*a, v);
                }
                _ => {}
            }
        }
        e.mask(program, errors, source)?;
        if errors.is_empty() {
            e.plan(&reverse(program, |_| true));
            return Some(e);
        }
        None
    }

    /// Whether a map's element reads one of a tensor: otherwise it does not tell how many there are.
    fn reads_tensors(&self, v: V, code: &MapCode) -> bool {
        let (body, result) = (&code.forward, &code.result);
        let used = mentioned(&quote!(#body #result));
        let operands = self.g.value(v).op.operands();
        let mut tensors = operands.into_iter().filter(|&o| self.g.is_tensor(o));
        tensors.any(|o| used.contains(&operand(o).to_string()))
    }

    /// Finds the adjoints that may be left at zero beside infinite slopes.
    fn mask(&mut self, program: &Program, errors: &Errors, source: &Source) -> Option<()> {
        let g = self.g;
        let slopes = |codes: &BTreeMap<V, MapCode>, v: V| codes.get(&v).map(|c| c.slopes);
        let unbounded = masked::unbounded(g, &|v| slopes(&self.codes, v));
        // What such a value is an operand of, with that in mind.
        for (&v, code) in &mut self.codes {
            let operands = g.value(v).op.operands();
            if g.active(v) && operands.iter().any(|o| unbounded.contains(o)) {
                let may_be = |o: V| unbounded.contains(&o);
                let vector = g.is_tensor(v);
                *code = element::code(g, v, self.sig, errors, source, vector, &may_be)?;
            }
        }
        let masked = masked::masked(program, &self.live, &|v| slopes(&self.codes, v));
        self.masks = Masks { masked, unbounded };
        Some(())
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

    pub fn operand(&self, v: V) -> TokenStream {
        if self.g.is_tensor(v) {
            let t = tensor_name(self.g.place(v));
            quote!(#t.view())
        } else {
            scalar_name(v).to_token_stream()
        }
    }

    pub fn dim_of(&self, v: V) -> TokenStream {
        match self.g.dim(v) {
            Some(d) => dim_name(d).to_token_stream(),
            None => TokenStream::new(),
        }
    }

    /// How a row spells what it reads; for the transpose of a value, where there is one.
    fn spelling<T>(&self, of: Option<V>, f: impl FnOnce(&Spelling) -> T) -> T {
        let operand = |v: V| self.operand(v);
        let dim = |v: V| self.dim_of(v);
        let rank = |v: V| self.g.rank(v);
        f(&Spelling {
            operand: &operand,
            dim: &dim,
            rank: &rank,
            careful: of.is_some_and(|v| self.masks.meet(self.g, v)),
        })
    }

    /// How an idiom's row spells what it reads.
    fn lane(&self, v: V, f: impl FnOnce(&Lane) -> TokenStream) -> TokenStream {
        let Op::Idiom {
            of,
            shift,
            axis,
            weights,
            ..
        } = &self.g.value(v).op
        else {
            return TokenStream::new();
        };
        f(&Lane {
            of: self.operand(*of),
            shift: shift.map(|m| (self.operand(m), self.g.is_tensor(m))),
            axis,
            zero: self.zero(),
            weights: weights.map(|w| self.operand(w)),
            softmax: residual(v, 0),
            careful: self.masks.meet_idiom(self.g, v),
        })
    }

    /// How a float is spelt that all elements share.
    fn uniform(&self, u: &Uniform) -> TokenStream {
        match u {
            Uniform::Number(x) => {
                let t = self.sig.elem.tokens();
                quote!(::backprop::tensor::number::<#t>(#x))
            }
            Uniform::Constant(e) => e.to_token_stream(),
            Uniform::Scalar(v) => self.operand(*v),
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

    /// Writes what is changed in place: the last that a body does, as what it reads may be views of the same arrays.
    pub fn leave(&self, p: &Program) -> TokenStream {
        let (mut copies, mut writes) = (TokenStream::new(), TokenStream::new());
        for &(k, v) in &p.left {
            let param = &self.sig.params[k];
            let ident = &param.ident;
            if matches!(self.g.value(v).op, Op::Param(own) if own == k) {
                continue;
            }
            if !self.g.is_tensor(v) {
                let s = scalar_name(v);
                writes.extend(quote!(*#ident = #s;));
                continue;
            }
            let borrows = matches!(
                self.g.value(v).op,
                Op::Param(_) | Op::View(..) | Op::Item(..) | Op::Inside { .. } | Op::After { .. }
            );
            let mut from = tensor_name(v);
            if borrows {
                let (own, slot) = (left(k), self.slot(&left(k), self.g.rank(v)));
                copies.extend(quote! {
                    let #own = ::backprop::tensor::fit_like(#slot, #from.view());
                    ::backprop::tensor::copy(#from.view(), #own.view_mut(), false);
                });
                from = own;
            }
            writes.extend(match signature::is_owned(&param.ty, self.sig) {
                true => quote!(::backprop::tensor::leave(#ident, #from.view());),
                false => quote!({ let mut #ident = #ident; #ident.assign(&#from); }),
            });
        }
        quote!(#copies #writes)
    }

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

/// What a parameter that is changed in place holds at the end: a copy where it could be a view of another one.
fn left(k: usize) -> Ident {
    format_ident!("__left{}", k, span = Span::mixed_site())
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
