//! Slices taken before a loop.
//!
//! Arrays that an iteration reads or writes at its own index are cut to the loop's length before it, so that no bound is
//! checked inside.

use super::Emit;
use crate::graph::*;
use crate::shape::{Length, Shape};
use crate::signature::local;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::{BTreeSet, HashSet};

/// A slice taken before a loop: the part of an array that the loop runs over, from a fixed distance.
pub(super) struct Hoist {
    pub(super) array: ArrayId,
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

impl Emit<'_> {
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

    pub(super) fn hoists(&self, l: LoopId) -> Vec<(Hoist, bool)> {
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
    pub(super) fn bound_in(&self, region: RegionId, out: &mut HashSet<Id>) {
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
