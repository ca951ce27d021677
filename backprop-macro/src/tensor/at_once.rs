//! Loops whose iterations run forward and backward at once.
//!
//! In: the lines of a forward pass and the steps of its backward pass. Out: the same, where a loop that only adds to floats has become
//! one loop for both, which keeps nothing of an iteration. What must hold: what such a loop hands back is what it was handed, so that the adjoints
//! of its sums are known before it starts; the steps before it read nothing that it or what follows it computes; and it changes no tensor.

use crate::tensor::emit::*;
use crate::tensor::graph::*;
use crate::tensor::lower::const_name;
use crate::tensor::reverse::Step;
use crate::tensor::tape::{Numbers, Sums, numbered, tape_name};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::{BTreeMap, BTreeSet};

impl Emit<'_> {
    /// Forward lines, and the rest of the backward pass: that of a loop which runs both ways at once stands among the lines.
    pub fn at_once(
        &self,
        mut lines: Vec<Line>,
        steps: &[Step],
        back: &Back,
        started: &mut BTreeSet<V>,
    ) -> (Vec<Line>, TokenStream) {
        let mut tried = started.clone();
        let found = self.both_ways(&lines, steps, back, &mut tried);
        let Some((first, at, line)) = found else {
            return (lines, self.steps(steps, back, started));
        };
        lines[at] = line;
        *started = tried;
        (lines, self.steps(&steps[first + 1..], back, started))
    }

    /// The first loop of a backward pass, if it can run both ways at once: which step it is, which line, and what becomes of that.
    fn both_ways(
        &self,
        lines: &[Line],
        steps: &[Step],
        back: &Back,
        started: &mut BTreeSet<V>,
    ) -> Option<(usize, usize, Line)> {
        let is_loop = |s: &Step| matches!(s, Step::Loop { .. });
        let first = steps.iter().position(is_loop)?;
        let Step::Loop { of, body, floats } = &steps[first] else {
            return None;
        };
        let l = &self.g.loops[*of];
        let only_numbers = l
            .carried
            .iter()
            .all(|c| !self.g.is_tensor(c.next) && !self.g.places.contains_key(&c.after));
        if l.found || !l.collected.is_empty() || !only_numbers || !self.passes(*of, body) {
            return None;
        }
        let tape = tape_name(*of).to_string();
        let at = lines.iter().position(|l| l.names.contains(&tape))?;
        let later: BTreeSet<String> = lines[at..].iter().flat_map(|l| l.names.clone()).collect();
        let before = self.steps(&steps[..first], back, started);
        if !mentioned(&before).is_disjoint(&later) {
            return None;
        }
        let (names, both) = self.run_both_ways(*of, body, floats, back, started);
        let line = Line {
            names,
            tokens: quote!(#before #both),
            again: Again::Effect,
        };
        Some((first, at, line))
    }

    /// Whether what each iteration hands back is what it was handed: the loop's floats are sums.
    fn passes(&self, id: usize, body: &[Step]) -> bool {
        let carried = || {
            let all = self.g.loops[id].carried.iter().enumerate();
            all.filter(|(_, c)| self.g.active(c.inside))
        };
        // The adjoints that are what an iteration was handed: of which float.
        let mut same: BTreeMap<V, usize> = BTreeMap::new();
        for (k, c) in carried() {
            if same.insert(c.next, k).is_some() {
                return false;
            }
        }
        for step in body {
            let mut known = Vec::new();
            match step {
                Step::Map { of, targets, .. } if !self.g.is_tensor(*of) => {
                    for (to, add) in targets {
                        if let (Some(&k), false) = (same.get(of), add)
                            && self.hands_on(*of, *to)
                        {
                            known.push((*to, k));
                        }
                    }
                }
                Step::Init { of, carried, add } => {
                    let c = self.g.loops[*of].carried[*carried];
                    if let (Some(&k), false) = (same.get(&c.after), add) {
                        known.push((c.init, k));
                    }
                }
                Step::Loop { of, body, floats } => {
                    let inner = &self.g.loops[*of];
                    if inner.found || !self.passes(*of, body) {
                        same.retain(|v, _| inner.carried.iter().all(|c| c.after != *v));
                    }
                    same.retain(|v, _| !floats.contains(v));
                    continue;
                }
                _ => {}
            }
            same.retain(|v, _| !self.writes(step, *v));
            same.extend(known);
        }
        carried().all(|(k, c)| same.get(&c.inside) == Some(&k))
    }

    /// A loop, both ways: the names that are known after it, and the statements.
    fn run_both_ways(
        &self,
        id: usize,
        body: &[Step],
        floats: &[V],
        back: &Back,
        started: &mut BTreeSet<V>,
    ) -> (Vec<String>, TokenStream) {
        let l = &self.g.loops[id];
        let Numbers {
            starts,
            prologue,
            ends,
            afters,
            names,
            mut wanted,
        } = self.numbers(l);
        let mut adjoints = TokenStream::new();
        for c in l.carried.iter().filter(|c| self.g.active(c.inside)) {
            let (next, after) = (adjoint(c.next), adjoint(c.after));
            adjoints.extend(quote!(let #next = #after;));
        }
        let sums = self.sums(id, floats);
        let (lines, steps) = self.at_once(self.lines(&l.stmts), body, back, started);
        wanted.extend(mentioned(&steps));
        let lines = live(&lines, &mut wanted, true);
        let lines = lines.iter().map(|l| &l.tokens);
        let both = quote!(#(#lines)* #steps);
        let turn = self.turn_in_two(id, &both);
        let (count, index, k) = (const_name(l.count), const_name(l.index), numbered("k", id));
        let Sums {
            before,
            start,
            end,
            after,
        } = sums;
        let tokens = quote! {
            #starts
            #before
            for #k in 0..#count {
                let #index = #k;
                #turn
                #prologue
                #adjoints
                #start
                #both
                #end
                #ends
            }
            #after
            #afters
        };
        (names, tokens)
    }
}
