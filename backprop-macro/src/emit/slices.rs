//! Slices taken before a loop.
//!
//! Arrays that an iteration reads or writes at its own index are cut to the loop's length before it, so that no bound is
//! checked inside.

use super::Emit;
use crate::graph::maps::Set;
use crate::graph::*;
use crate::positions::{Offset, Within};
use crate::shape::{Length, Shape};
use crate::signature::local;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A slice taken before a loop: the part of an array that the loop runs over, from a fixed distance.
pub(super) struct Hoist {
    pub(super) array: ArrayId,
    prefix: Vec<Step>,
    offset: Offset,
    /// How many steps of a place it stands for, and what they become.
    steps: usize,
    slice: Ident,
    counter: Ident,
    within: Rc<Within>,
}

/// An access of an array in a loop.
struct Access {
    place: Place,
    store: bool,
    /// It happens in every iteration.
    always: bool,
}

impl Emit<'_> {
    pub(super) fn hoists(&self, l: LoopId) -> Vec<(Hoist, bool)> {
        let data = self.g().looped(l);
        let Count::Range { lo, hi, .. } = &data.count else {
            return Vec::new();
        };
        if !self.positional(l) {
            return Vec::new();
        }
        let Some(within) = Within::of(self.g(), l).map(Rc::new) else {
            return Vec::new();
        };
        let constant = self.g().integer(*lo).is_some() && self.g().integer(*hi).is_some();
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
                .map(|a| within.moving(self.g(), &a.place))
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
                    offset: key.1.clone(),
                    steps: key.0.len() + 1,
                    slice,
                    counter: self.counter(l),
                    within: within.clone(),
                };
                out.push((hoist, stored));
            }
        }
        out
    }

    /// The positions that slices start from and the body computes itself: they are computed before the slices, and not again.
    /// Answers with what they are, as statements, and which.
    pub(super) fn lift(&self, l: LoopId, hoists: &[(Hoist, bool)]) -> (TokenStream, Vec<Id>) {
        let g = self.g();
        let Some((first, _)) = hoists.first() else {
            return Default::default();
        };
        let settled = &first.within.settled;
        let mut todo: Vec<Id> = Vec::new();
        for (h, _) in hoists {
            todo.extend(h.offset.plus.iter().chain(&h.offset.minus));
            todo.extend(h.prefix.iter().filter_map(|s| match s {
                Step::Index(i) => Some(*i),
                Step::Field(_) => None,
            }));
        }
        let mut needed = Set::default();
        while let Some(id) = todo.pop() {
            if settled.contains(&id) && needed.insert(id) || g.data(id).region.is_none() {
                todo.extend(g.operands(id));
            }
        }
        let mut lifted = Vec::new();
        let mut out = TokenStream::new();
        for stmt in &g.region(g.looped(l).body).stmts {
            if let Stmt::Let(id) = stmt
                && needed.contains(id)
                && !self.is_nested(*id)
            {
                out.extend(self.stmt(stmt));
                lifted.push(*id);
            }
        }
        (out, lifted)
    }

    /// Inside a slice that an outer loop took, the array itself is borrowed: no second slice of its first dimension.
    pub(super) fn already_hoisted(&self, array: ArrayId, prefix: usize) -> bool {
        self.hoisted
            .borrow()
            .iter()
            .any(|h| h.array == array && h.steps > prefix)
    }

    /// The slices to take, as statements.
    pub(super) fn take(&self, l: LoopId, hoists: &[(Hoist, bool)]) -> TokenStream {
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
            let mut number = h.offset.number;
            let mut plus: Vec<TokenStream> = Vec::new();
            match self.g().integer(*lo) {
                Some(lo) => number += lo,
                None => plus.push(self.value(*lo)),
            }
            plus.extend(h.offset.plus.iter().map(|id| self.value(*id)));
            let mut minus: Vec<TokenStream> =
                h.offset.minus.iter().map(|id| self.value(*id)).collect();
            let size = proc_macro2::Literal::usize_unsuffixed(number.unsigned_abs() as usize);
            // What is subtracted comes last: no sum on the way is negative.
            if number > 0 || plus.is_empty() {
                plus.push(quote!(#size));
            } else if number < 0 {
                minus.push(quote!(#size));
            }
            let from_start = number == 0 && plus.len() == 1 && minus.is_empty();
            let part = match from_start && plus[0].to_string() == "0" {
                true => quote!(#base[..#n]),
                false => quote!(#base[#(#plus)+* #(- #minus)*..][..#n]),
            };
            let slice = &h.slice;
            out.extend(if *store {
                quote!(let #slice = &mut #part;)
            } else {
                quote!(let #slice = &#part;)
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
            let head = Place {
                array: place.array,
                path: place.path[..h.steps].to_vec(),
            };
            if h.within.moving(self.g(), &head) != Some((h.prefix.clone(), h.offset.clone())) {
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
                    Node::Len(p, _) | Node::Whole(p, _) => out.push(Access {
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
                Stmt::Save(a, e) => {
                    let parts = crate::access::parts_of_element(e).into_iter();
                    let parts = parts.map(|p| (p.clone(), false));
                    let own = Place {
                        array: *a,
                        path: Vec::new(),
                    };
                    for (place, store) in parts.chain([(own, true)]) {
                        out.push(Access {
                            place,
                            store,
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
                    let call = g.call(*c);
                    for p in call.shadows.iter().chain(&call.incoming).flatten() {
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
}
