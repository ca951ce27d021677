//! Adjoints that may be left at zero because what they come from was not taken, beside slopes that may be infinite.
//!
//! In: the graph after fusion, and what is known of each map's element. Out: [`Masks`]: the values whose adjoints may be zero in part, and those that
//! may be infinite or NaN. `emit` lets no zero of the one meet an infinity of the other: `0 · ∞` would be NaN. What must hold: what the result
//! does not depend on has no say. A value is *masked* if each contribution to its adjoint may be left out or covers a part: it comes out of a
//! loop or branch that may not be run, from a part of the value, from a function that takes one of several sides, or from a masked adjoint.
//! The upstream gradient of an array is masked, as a caller may ask for some of its elements.

use crate::tensor::fuse::leaves;
use crate::tensor::graph::*;
use crate::tensor::idioms::{Normal, Uniform};
use crate::tensor::lower::Program;
use crate::tensor::map::Slopes;
use std::collections::BTreeSet;

#[derive(Default)]
pub struct Masks {
    /// The values whose adjoints may be zero where something was not taken.
    pub masked: BTreeSet<V>,
    /// The values that may be infinite or NaN though the parameters are not.
    pub unbounded: BTreeSet<V>,
}

impl Masks {
    /// Whether an operation's transpose may find zeros in its adjoint beside an infinite operand.
    pub fn meet(&self, g: &Graph, v: V) -> bool {
        let mut operands = g.value(v).op.operands().into_iter();
        self.masked.contains(&v) && operands.any(|o| self.unbounded.contains(&o))
    }

    /// As [`Masks::meet`], of an idiom: without a shift that keeps it from overflowing it can be infinite by itself.
    pub fn meet_idiom(&self, g: &Graph, v: V) -> bool {
        let overflows = matches!(g.value(v).op, Op::Idiom { shift: None, .. });
        self.meet(g, v) || overflows && self.masked.contains(&v)
    }
}

/// What a loop hands on.
fn carried(g: &Graph, v: V, of: usize) -> Option<&Carried> {
    g.loops[of]
        .carried
        .iter()
        .find(|c| c.after == v || c.inside == v)
}

/// The values that may be infinite or NaN; `slopes` knows the maps.
pub fn unbounded(g: &Graph, slopes: &dyn Fn(V) -> Option<Slopes>) -> BTreeSet<V> {
    let mut out = BTreeSet::new();
    loop {
        let before = out.len();
        for k in 0..g.values.len() as u32 {
            let v = V(k);
            let any = |out: &BTreeSet<V>, all: &[V]| all.iter().any(|o| out.contains(o));
            let operands = g.value(v).op.operands();
            let found = match &g.value(v).op {
                Op::Param(_) | Op::Constant(_) => false,
                Op::Lanes { function, .. } if g.largest.contains_key(&function.to_string()) => {
                    any(&out, &operands)
                }
                Op::Lanes { .. } | Op::Call { .. } => true,
                Op::Map { .. } => {
                    slopes(v).is_some_and(|s| s.unbounded || s.inherits && any(&out, &operands))
                }
                Op::Idiom { shift: None, .. } => true,
                Op::Normal(n) => !is_positive(n) || any(&out, &operands),
                Op::Inside { of, .. } | Op::After { of, .. } => {
                    carried(g, v, *of).is_none_or(|c| any(&out, &[c.init, c.next]))
                }
                _ => any(&out, &operands),
            };
            if found {
                out.insert(v);
            }
        }
        if out.len() == before {
            return out;
        }
    }
}

/// Whether a positive number is added to the variance.
fn is_positive(n: &Normal) -> bool {
    matches!(n.shift, Uniform::Number(x) if x > 0.0)
}

/// The values whose adjoints may be left at zero.
pub fn masked(
    p: &Program,
    live: &BTreeSet<V>,
    slopes: &dyn Fn(V) -> Option<Slopes>,
) -> BTreeSet<V> {
    let g = &p.graph;
    let mut results = Vec::new();
    leaves(&p.seeds, &mut results);
    let mut known: BTreeSet<V> = BTreeSet::new();
    loop {
        // The values with a contribution to all of the adjoint that is always made.
        let mut whole: BTreeSet<V> = BTreeSet::new();
        if let [one] = results.as_slice()
            && !g.is_tensor(*one)
        {
            whole.insert(*one);
        }
        for k in (0..g.values.len() as u32).rev() {
            let v = V(k);
            let value = g.value(v);
            if !value.active || !live.contains(&v) {
                continue;
            }
            let own = !whole.contains(&v);
            let mut reaches = |o: V, anywhere: bool| {
                let (at, all) = shown(g, o);
                let here = anywhere || g.value(at).region == value.region;
                if !own && all && here {
                    whole.insert(at);
                }
            };
            match &value.op {
                // Their adjoints are those of what they show, or of the loop.
                Op::View(..) | Op::Item(..) | Op::Inside { .. } => {}
                // Where it is run, what it starts from is replaced.
                Op::After { next, of, .. } if g.loops[*of].once => reaches(*next, true),
                Op::After { init, next, of } => {
                    // The last iteration's is that of the result, the others' that of the next one's start.
                    let hands_on = carried(g, v, *of).is_some_and(|c| !known.contains(&c.inside));
                    if hands_on {
                        reaches(*init, false);
                        reaches(*next, true);
                    }
                }
                Op::Collected { item, .. } => reaches(*item, true),
                Op::Get(..)
                | Op::Leading(_)
                | Op::Select(..)
                | Op::Lanes { .. }
                | Op::Call { .. } => {}
                Op::Assign(_, b, _) | Op::Put(_, b, _) => reaches(*b, false),
                Op::Map { operands, .. } => {
                    if slopes(v).is_some_and(|s| !s.selects) {
                        operands.iter().for_each(|o| reaches(*o, false));
                    }
                }
                op => op.operands().into_iter().for_each(|o| reaches(o, false)),
            }
        }
        let all = (0..g.values.len() as u32).map(V);
        let found: BTreeSet<V> = all.filter(|v| !whole.contains(v)).collect();
        if found == known {
            return known;
        }
        known = found;
    }
}

/// What a view shows, and whether it shows all of it.
fn shown(g: &Graph, v: V) -> (V, bool) {
    match &g.value(v).op {
        Op::View(of, view) => {
            let (at, all) = shown(g, *of);
            (at, all && view.whole)
        }
        Op::Item(list, _) => (*list, false),
        _ => (v, true),
    }
}
