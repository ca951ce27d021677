//! Loops in Rust, forward: with what each iteration keeps.
//!
//! In: a [`Loop`] and its steps. Out: statements. An iteration has a struct of buffers of its own: what the backward pass mentions,
//! and what the next iteration starts from. Everything else of a body is in the workspace, made again by each iteration. Shapes, constants
//! and views are computed again on the way back. A loop whose backward pass mentions nothing has two such structs that
//! take turns. What must hold: [`Emit::plan`] has run before any statement is made.

use crate::tensor::emit::*;
use crate::tensor::graph::*;
use crate::tensor::lower::const_name;
use crate::tensor::reverse::Step;
use crate::tensor::signature::dimension;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use std::collections::{BTreeMap, BTreeSet};

mod back;

pub use back::Sums;

/// What a loop's iterations keep.
#[derive(Clone, Default)]
pub struct Tape {
    /// Names that the backward pass mentions.
    pub kept: BTreeSet<String>,
    /// All fields: of these, and of what the next iteration starts from.
    pub fields: BTreeMap<String, Held>,
}

impl Tape {
    /// Two iterations' worth is enough.
    pub fn ring(&self) -> bool {
        self.kept.is_empty()
    }
}

/// What a loop hands on by value: before it, at the start and at the end of an iteration, and after it.
#[derive(Default)]
pub struct Numbers {
    pub starts: TokenStream,
    pub prologue: TokenStream,
    pub ends: TokenStream,
    pub afters: TokenStream,
    /// The names that are known after the loop.
    pub names: Vec<String>,
    /// The names that an iteration has to compute.
    pub wanted: BTreeSet<String>,
}

impl Numbers {
    fn hand_on(&mut self, carry: &Ident, [init, inside, next, after]: [&Ident; 4]) {
        self.starts.extend(quote!(let mut #carry = #init;));
        self.prologue.extend(quote!(let #inside = #carry;));
        self.ends.extend(quote!(#carry = #next;));
        self.afters.extend(quote!(let #after = #carry;));
        self.names.push(after.to_string());
        self.wanted.insert(next.to_string());
    }
}

pub fn numbered(prefix: &str, id: usize) -> Ident {
    format_ident!("__{}{}", prefix, id, span = Span::mixed_site())
}

/// The name of a loop's iterations' structs, once it has run.
pub fn tape_name(id: usize) -> Ident {
    numbered("tape", id)
}

/// The number of an iteration.
pub fn iteration(id: usize) -> Ident {
    numbered("k", id)
}

/// The type of such a struct.
pub fn tape_type(workspace: &Ident, id: usize) -> Ident {
    format_ident!("{}Loop{}", workspace, id)
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

impl Emit<'_> {
    /// Finds what each loop keeps.
    pub fn plan(&self, steps: &[Step]) {
        let all: Vec<Step> = steps.to_vec();
        let _ = self.forward();
        for step in &all {
            if let Step::Loop { .. } = step {
                let _ = self.step(step, false, &[], &mut BTreeSet::new());
            }
        }
        for (id, l) in self.g.loops.iter().enumerate() {
            for &list in l.collected.iter().filter(|v| self.live.contains(v)) {
                if let Op::Grown { item, .. } = self.g.value(list).op {
                    let name = tensor_name(item).to_string();
                    self.keep(id, &name, Held::Slot(self.g.rank(item)));
                }
            }
            for c in &l.carried {
                let Ty::Tensor(rank, _) = self.g.value(c.next).ty else {
                    continue;
                };
                if self.g.places.contains_key(&c.after) {
                    continue;
                }
                let f = field(&tensor_name(c.next)).to_string();
                self.tapes.borrow_mut()[id]
                    .fields
                    .insert(f.clone(), Held::Slot(rank));
                self.homes.borrow_mut().insert(f, id);
            }
        }
        self.slots.borrow_mut().clear();
        self.vectors.borrow_mut().clear();
        self.lists.borrow_mut().clear();
    }

    /// What the iterations of a loop have pushed to a list, after what was in it before.
    pub fn list(&self, v: V, id: usize, item: V, first: &[V]) -> Line {
        let (t, f, tape) = (tensor_name(v), field(&tensor_name(item)), tape_name(id));
        let first = first.iter().map(|v| tensor_name(*v));
        let count = const_name(self.g.loops[id].count);
        Line {
            names: vec![t.to_string()],
            tokens: quote! {
                let #t = ::backprop::tensor::grown(
                    &[#(#first.view()),*],
                    #tape[..#count].iter().map(|each| each.#f.view()),
                );
                let #t = &#t[..];
            },
            again: Again::Pure,
        }
    }

    /// Where a field is: in the workspace or in an iteration's struct.
    pub fn home(&self, field: &Ident) -> Option<TokenStream> {
        let id = *self.homes.borrow().get(&field.to_string())?;
        let at = numbered("at", id);
        Some(quote!(#at.#field))
    }

    /// The vector of a loop's structs.
    pub fn vector(&self, id: usize) -> TokenStream {
        let f = field(&tape_name(id));
        self.home(&f).unwrap_or_else(|| {
            self.vectors.borrow_mut().insert(id);
            quote!(__ws.#f)
        })
    }

    /// A version of an array that a loop fills: what makes it of the one before.
    pub fn filled(&self, v: V) -> Option<Line> {
        let t = tensor_name(self.g.place(v));
        let tokens = match &self.g.value(v).op {
            Op::Put(_, b, index) => {
                let b = self.operand(*b);
                quote!(#t[#index] = #b;)
            }
            Op::Assign(_, b, view) => {
                let (b, form) = (self.operand(*b), &view.form);
                quote!(::backprop::tensor::copy_spread(#b, #t.view_mut() #form, false);)
            }
            _ => return None,
        };
        Some(Line {
            names: Vec::new(),
            tokens,
            again: Again::Effect,
        })
    }

    /// The shape of such an array: that which its loop starts from.
    pub fn filled_shape(&self, v: V) -> TokenStream {
        let at = self.g.place(v);
        match self.g.value(at).op {
            Op::After { init, .. } => self.dim_of(init),
            _ => TokenStream::new(),
        }
    }

    /// What an iteration starts from, forward.
    pub fn inside(&self, v: V, id: usize) -> Line {
        let l = &self.g.loops[id];
        let (t, before) = (tensor_name(v), numbered("before", id));
        let Some(c) = l.carried.iter().find(|c| c.inside == v) else {
            return Line::none();
        };
        let (init, next) = (tensor_name(c.init), field(&tensor_name(c.next)));
        Line {
            names: vec![t.to_string()],
            tokens: quote! {
                let #t = match #before {
                    ::core::option::Option::Some(before) => before.#next.view(),
                    ::core::option::Option::None => #init.view(),
                };
            },
            again: Again::Pure,
        }
    }

    /// A tensor after the loop.
    pub fn after(&self, v: V, id: usize) -> Line {
        let l = &self.g.loops[id];
        let Some(c) = l.carried.iter().find(|c| c.after == v) else {
            return Line::none();
        };
        let (t, init, next) = (
            tensor_name(v),
            tensor_name(c.init),
            field(&tensor_name(c.next)),
        );
        let (tape, count, ring) = (
            tape_name(id),
            const_name(l.count),
            self.tapes.borrow()[id].ring(),
        );
        Line {
            names: vec![t.to_string()],
            tokens: quote! {
                let #t = match ::backprop::tensor::last(#tape, #count, #ring) {
                    ::core::option::Option::Some(last) => last.#next.view(),
                    ::core::option::Option::None => #init.view(),
                };
            },
            again: Again::Pure,
        }
    }

    fn keep(&self, id: usize, name: &str, held: Held) {
        let f = field(&ident(name)).to_string();
        let mut tapes = self.tapes.borrow_mut();
        tapes[id].kept.insert(name.to_string());
        tapes[id].fields.insert(f.clone(), held.clone());
        if matches!(held, Held::Slot(_) | Held::Tape(_)) {
            self.homes.borrow_mut().insert(f, id);
        }
    }

    /// A constant that a loop computes can be kept; where its type is not known it is a `usize`, and rustc checks that.
    fn hold_const(&self, c: C) {
        let ty = self.g.types.get(&c).cloned();
        let ty = ty.unwrap_or_else(|| "usize".to_string());
        self.hold(&const_name(c), Held::Const(ty));
    }

    /// How the floats and constants that a loop hands on go from one iteration to the next.
    pub fn numbers(&self, l: &Loop) -> Numbers {
        let mut out = Numbers::default();
        for c in &l.carried {
            if self.g.is_tensor(c.next) || self.g.places.contains_key(&c.after) {
                continue;
            }
            let [init, inside, next, after] = [c.init, c.inside, c.next, c.after].map(scalar_name);
            self.hold(&inside, Held::Scalar);
            self.hold(&after, Held::Scalar);
            let carry = format_ident!("__carry{}", c.inside.0, span = Span::mixed_site());
            out.hand_on(&carry, [&init, &inside, &next, &after]);
        }
        for c in &l.consts {
            let [init, inside, next, after] = [c.init, c.inside, c.next, c.after].map(const_name);
            self.hold_const(c.inside);
            self.hold_const(c.after);
            let carry = format_ident!("__carryc{}", c.inside.0, span = Span::mixed_site());
            out.hand_on(&carry, [&init, &inside, &next, &after]);
        }
        out
    }

    /// A loop, forward.
    pub fn run(&self, id: usize) -> Line {
        let l = &self.g.loops[id];
        let tape = self.tapes.borrow()[id].clone();
        let lines = self.lines(&l.stmts);
        let Numbers {
            mut starts,
            prologue,
            mut ends,
            mut afters,
            mut names,
            mut wanted,
        } = self.numbers(l);
        wanted.extend(tape.kept.iter().cloned());
        names.push(tape_name(id).to_string());
        for c in &l.carried {
            if self.g.places.contains_key(&c.after) {
                if self.g.place(c.after) == c.after {
                    let (t, n) = (tensor_name(c.after), self.dim_of(c.init));
                    let rank = self.g.rank(c.after);
                    let (slot, init) = (self.slot(&t, rank), self.operand(c.init));
                    self.hold(&t, Held::Slot(rank));
                    starts.extend(quote! {
                        let #t = ::backprop::tensor::fit(#slot, &#n);
                        ::backprop::tensor::copy(#init, #t.view_mut(), false);
                    });
                    afters.extend(self.show(&t));
                    names.push(t.to_string());
                }
                continue;
            }
            if self.g.is_tensor(c.next) {
                wanted.insert(tensor_name(c.next).to_string());
            }
        }
        for &v in l.collected.iter().filter(|v| self.live.contains(v)) {
            let Op::Collected { item, .. } = self.g.value(v).op else {
                continue;
            };
            let (t, s, k) = (tensor_name(v), scalar_name(item), iteration(id));
            let (n, elements) = (
                self.dim_of(v),
                format_ident!("__elements{}", v.0, span = Span::mixed_site()),
            );
            self.hold(&t, Held::Slot(self.g.rank(v)));
            let (slot, show) = (self.slot(&t, self.g.rank(v)), self.show(&t));
            wanted.insert(s.to_string());
            starts.extend(quote! {
                let #t = ::backprop::tensor::fit(#slot, &#n);
                let #elements = ::backprop::tensor::elements(#t);
            });
            ends.extend(quote!(#elements[#k] = #s;));
            afters.extend(show);
            names.push(t.to_string());
        }
        for (name, held) in tape
            .kept
            .iter()
            .map(|n| (n, self.held.borrow().get(n).cloned()))
        {
            let (from, at) = (ident(name), numbered("at", id));
            let f = field(&from);
            match held {
                Some(Held::Scalar | Held::Const(_)) => ends.extend(quote!(#at.#f = #from;)),
                Some(Held::Dim(_)) => {
                    ends.extend(quote!(#at.#f = ::core::clone::Clone::clone(&#from);))
                }
                _ => {}
            }
        }
        let body = live(&lines, &mut wanted, true);
        let body = body.iter().map(|l| &l.tokens);
        let (count, index, k) = (const_name(l.count), const_name(l.index), numbered("k", id));
        let (at, before, ring) = (numbered("at", id), numbered("before", id), tape.ring());
        let t = tape_name(id);
        let (turn, done) = if tape.fields.is_empty() {
            (TokenStream::new(), TokenStream::new())
        } else {
            let vector = self.vector(id);
            (
                quote!(let (#at, #before) = ::backprop::tensor::turn(&mut #vector, #k, #ring);),
                quote!(let #t = &#vector[..];),
            )
        };
        self.hold(&t, Held::Tape(id));
        let body = quote! {
            let #index = #k;
            #turn
            #prologue
            #(#body)*
            #ends
        };
        let repeated = if l.found {
            self.hold_const(l.count);
            names.push(count.to_string());
            quote! {
                let mut #k: ::core::primitive::usize = 0;
                loop { #body #k += 1; }
                let #count = #k;
            }
        } else {
            quote!(for #k in 0..#count { #body })
        };
        Line {
            names,
            tokens: quote! { #starts #repeated #done #afters },
            again: Again::Loop,
        }
    }

    /// The buffers of an iteration of which none outlives the next one, where its statements have any.
    pub fn turn_in_two(&self, id: usize, statements: &TokenStream) -> TokenStream {
        let [at, before, k] = ["at", "before", "k"].map(|prefix| numbered(prefix, id));
        if !mentioned(statements).contains(&at.to_string()) {
            return TokenStream::new();
        }
        let vector = self.vector(id);
        quote!(let (#at, #before) = ::backprop::tensor::turn(&mut #vector, #k, true);)
    }

    /// The structs of the loops' iterations.
    pub fn tape_structs(
        &self,
        workspace: &Ident,
        vis: &syn::Visibility,
        args: &TokenStream,
        bounds: &TokenStream,
    ) -> TokenStream {
        let t = self.sig.elem.tokens();
        let zero = self.zero();
        let tapes = self.tapes.borrow();
        let structs = tapes.iter().enumerate().map(|(id, tape)| {
            let name = tape_type(workspace, id);
            let (mut fields, mut starts) = (Vec::new(), Vec::new());
            for (f, held) in &tape.fields {
                let f = ident(f);
                let (ty, start) = match held {
                    Held::Slot(rank) => {
                        let d = dimension(*rank);
                        (
                            quote!(::backprop::tensor::ndarray::Array<#t, #d>),
                            quote!(::backprop::tensor::empty()),
                        )
                    }
                    Held::Scalar => (t.clone(), zero.clone()),
                    Held::Const(ty) => {
                        let ty: TokenStream = ty.parse().unwrap_or_default();
                        (ty, quote!(::core::default::Default::default()))
                    }
                    Held::Dim(rank) => (dimension(*rank), quote!(::core::default::Default::default())),
                    Held::Tape(inner) => {
                        let inner = tape_type(workspace, *inner);
                        (
                            quote!(::std::vec::Vec<#inner #args>),
                            quote!(::std::vec::Vec::new()),
                        )
                    }
                    Held::Param(_) | Held::Again(_) => continue,
                };
                fields.push(quote!(#f: #ty));
                starts.push(quote!(#f: #start));
            }
            quote! {
                #[doc(hidden)]
                #[allow(unused, non_snake_case, missing_debug_implementations, clippy::all, clippy::pedantic)]
                #vis struct #name #args { #(#fields,)* of: ::core::marker::PhantomData<#t> }
                impl #bounds ::core::default::Default for #name #args {
                    fn default() -> Self {
                        Self { #(#starts,)* of: ::core::marker::PhantomData }
                    }
                }
            }
        });
        structs.collect()
    }
}
