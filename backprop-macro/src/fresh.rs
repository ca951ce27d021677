//! First writes to fresh buffers.
//!
//! A buffer whose every element is assigned need not hold zeros before: it is noted in `Gradient::assigned`.
//!
//! In: a program of mode `Unit`, whose gradient buffers hold zeros when it starts. Out: the same, in which an addition that
//! is known to be the first to its element is an assignment: `0.0 + v` is not `v` to a compiler that minds the sign of zero.

use crate::access::{distance, extent, fixed, length_of, positional};
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::reverse::Gradient;
use crate::shape::{Length, Shape};
use std::collections::BTreeMap;

/// Elements beyond which a buffer is not looked at one by one.
const MAX_ELEMENTS: usize = 1 << 14;

/// Turns first additions into assignments.
pub fn fresh(p: &mut Gradient) {
    let g = &p.graph;
    let mut seen = Uses::default();
    seen.region(g, p.body, &mut Vec::new());
    let mut firsts: Set<(RegionId, usize)> = Set::default();
    let mut assigned = Vec::new();
    for (array, stores) in &seen.adds {
        let given = g.array(*array).shadow && matches!(g.array(*array).init, Init::Given(_));
        if !given || seen.spoiled.contains(array) || seen.copied.contains_key(array) {
            continue;
        }
        let (alone, all) = exact(g, *array, stores);
        let mut covered = all;
        firsts.extend(alone);
        // All that comes later is in other loops.
        if let Some((one, rest)) = stores.split_first()
            && own_elements(g, one)
            && rest.iter().all(|o| o.loops.first() != one.loops.first())
        {
            firsts.insert((one.region, one.at));
            covered |= whole(g, *array, one);
        }
        if covered {
            assigned.extend(g.array(*array).like);
        }
    }
    for (array, copies) in &seen.copied {
        let given = g.array(*array).shadow && matches!(g.array(*array).init, Init::Given(_));
        // A buffer of its own, behind a reference: a `Vec`'s is a slice, a struct's field is no reference.
        let given = given
            && matches!(&g.array(*array).init, Init::Given(t) if t.clone().into_iter().count() == 1)
            && matches!(g.array(*array).shape, Shape::Array(..) | Shape::Slice(_));
        let alone = !seen.spoiled.contains(array) && !seen.adds.contains_key(array);
        if let ([(region, at)], true, true) = (copies.as_slice(), given, alone) {
            firsts.insert((*region, *at));
            assigned.extend(g.array(*array).like);
        }
    }
    for (region, at) in firsts {
        if let Stmt::Store { add, .. } | Stmt::Copy { add, .. } =
            &mut p.graph.region_mut(region).stmts[at]
        {
            *add = false;
        }
    }
    p.assigned.extend(assigned);
}

/// Whether a store goes to an element of its own in each iteration of every loop around it.
fn own_elements(g: &Graph, one: &Store) -> bool {
    let nested = one.depth == one.loops.len();
    nested
        && one.loops.iter().all(|l| {
            let Count::Range { index, .. } = g.looped(*l).count else {
                return false;
            };
            one.place
                .indices()
                .any(|i| distance(g, i, g.resolve(index)).is_some())
        })
}

/// Whether a store's loops go over all elements of the array.
fn whole(g: &Graph, array: ArrayId, one: &Store) -> bool {
    let mut shape = &g.array(array).shape;
    if one.place.path.len() != one.loops.len() {
        return false;
    }
    for (k, step) in one.place.path.iter().enumerate() {
        let (length, inner) = match shape {
            Shape::Array(inner, n) => (fixed(n), inner),
            Shape::Slice(inner) | Shape::Vec(inner) if k == 0 => match length_of(g, array) {
                Some(length) => (length, inner),
                None => return false,
            },
            _ => return false,
        };
        shape = inner;
        let Step::Index(i) = step else { return false };
        let runs = one.loops.iter().any(|l| {
            positional(g, *l).is_some_and(|(index, lo, hi)| {
                index == g.resolve(*i) && g.integer(lo) == Some(0) && extent(g, hi) == length
            })
        });
        if !runs {
            return false;
        }
    }
    matches!(shape, Shape::Float(_) | Shape::Scalar(_))
}

/// The stores that are the first to all of their elements, found element by element; and whether they reach all there are.
fn exact(g: &Graph, array: ArrayId, stores: &[Store]) -> (Vec<(RegionId, usize)>, bool) {
    let mut budget = MAX_ELEMENTS;
    let images: Vec<Option<Set<Vec<i128>>>> =
        stores.iter().map(|s| s.image(g, &mut budget)).collect();
    let mut firsts = Vec::new();
    let mut reached = 0;
    for (k, s) in stores.iter().enumerate() {
        let Some(image) = &images[k] else { continue };
        let first = stores.iter().enumerate().all(|(j, other)| {
            let later = j > k
                && other
                    .loops
                    .first()
                    .is_none_or(|l| s.loops.first() != Some(l));
            j == k || later || images[j].as_ref().is_some_and(|i| i.is_disjoint(image))
        });
        if first {
            firsts.push((s.region, s.at));
            reached += if s.depth == s.loops.len() {
                image.len()
            } else {
                0
            };
        }
    }
    (firsts, elements(&g.array(array).shape) == Some(reached))
}

/// How many scalars a fixed array has.
fn elements(shape: &Shape) -> Option<usize> {
    match shape {
        Shape::Float(_) | Shape::Scalar(_) => Some(1),
        Shape::Array(inner, Length::Known(n)) => n.checked_mul(elements(inner)?),
        Shape::Tuple(all) => all.iter().map(elements).sum(),
        _ => None,
    }
}

/// An index as a sum of loop indices, each times a number, and a number.
fn affine(g: &Graph, id: Id) -> Option<(BTreeMap<Id, i128>, i128)> {
    let id = g.resolve(id);
    if let Some(n) = g.integer(id) {
        return Some((BTreeMap::new(), n));
    }
    match g.node(id) {
        Node::Index(_) => Some((BTreeMap::from([(id, 1)]), 0)),
        Node::Opaque(k, args) => {
            let OpaqueForm::Binary(op) = &g.opaque_of(*k).form else {
                return None;
            };
            let [a, b] = args.as_slice() else { return None };
            let (a, b) = (affine(g, *a)?, affine(g, *b)?);
            let (left, right) = match op.to_string().as_str() {
                "+" => (1, 1),
                "-" => (1, -1),
                "*" if a.0.is_empty() => (0, a.1),
                "*" if b.0.is_empty() => (b.1, 0),
                _ => return None,
            };
            let mut sum = BTreeMap::new();
            for (part, by) in [(&a, left), (&b, right)] {
                for (id, k) in &part.0 {
                    *sum.entry(*id).or_insert(0) += k * by;
                }
            }
            let number = match op.to_string().as_str() {
                "*" => a.1 * b.1,
                _ => a.1 * left + b.1 * right,
            };
            Some((sum, number))
        }
        _ => None,
    }
}

struct Store {
    region: RegionId,
    at: usize,
    place: Place,
    loops: Vec<LoopId>,
    /// How many regions it is nested in.
    depth: usize,
}

impl Store {
    /// The elements that it reaches, each in one iteration only; `None` if that is not known.
    fn image(&self, g: &Graph, budget: &mut usize) -> Option<Set<Vec<i128>>> {
        let mut steps = Vec::new();
        for step in &self.place.path {
            steps.push(match step {
                Step::Index(i) => affine(g, *i)?,
                Step::Field(k) => (BTreeMap::new(), i128::from(*k)),
            });
        }
        let mut points = vec![BTreeMap::new()];
        for l in &self.loops {
            let (index, lo, hi) = positional(g, *l)?;
            let (lo, hi) = (g.integer(lo)?, g.integer(hi)?);
            let n = usize::try_from((hi - lo).max(0)).ok()?;
            *budget = budget.checked_sub(n.checked_mul(points.len())?)?;
            points = points
                .iter()
                .flat_map(|p: &BTreeMap<Id, i128>| {
                    (lo..hi).map(move |k| {
                        let mut p = p.clone();
                        p.insert(index, k);
                        p
                    })
                })
                .collect();
        }
        let mut out = Set::default();
        for p in &points {
            let element: Option<Vec<i128>> = steps
                .iter()
                .map(|(sum, n)| {
                    let terms: Option<Vec<i128>> =
                        sum.iter().map(|(id, k)| Some(p.get(id)? * k)).collect();
                    Some(terms?.into_iter().sum::<i128>() + n)
                })
                .collect();
            if !out.insert(element?) {
                return None;
            }
        }
        Some(out)
    }
}

#[derive(Default)]
struct Uses {
    adds: Map<ArrayId, Vec<Store>>,
    /// Copies that add to a whole array.
    copied: Map<ArrayId, Vec<(RegionId, usize)>>,
    /// Arrays that are read, copied or cleared too.
    spoiled: Set<ArrayId>,
    depth: usize,
}

impl Uses {
    fn region(&mut self, g: &Graph, region: RegionId, loops: &mut Vec<LoopId>) {
        for (at, stmt) in g.region(region).stmts.iter().enumerate() {
            match stmt {
                Stmt::Store {
                    place, add: true, ..
                } => {
                    let store = Store {
                        region,
                        at,
                        place: place.clone(),
                        loops: loops.clone(),
                        depth: self.depth,
                    };
                    self.adds.entry(place.array).or_default().push(store);
                }
                Stmt::Store { place, .. } | Stmt::Clear(place) => {
                    self.spoiled.insert(place.array);
                }
                Stmt::Copy {
                    to,
                    from,
                    add: true,
                } if to.path.is_empty() && self.depth == 0 => {
                    self.copied.entry(to.array).or_default().push((region, at));
                    self.spoiled.insert(from.array);
                }
                Stmt::Copy { to, from, .. } => self.spoiled.extend([to.array, from.array]),
                Stmt::Swap(a, b) => self.spoiled.extend([a.array, b.array]),
                Stmt::Push(a, _) | Stmt::Pop(a, _) => {
                    self.spoiled.insert(*a);
                }
                Stmt::Save(a, e) => {
                    let parts = crate::access::parts_of_element(e);
                    self.spoiled.extend(parts.into_iter().map(|p| p.array));
                    self.spoiled.insert(*a);
                }
                Stmt::Let(id) => {
                    if let Node::Load(p, _) = g.node(*id) {
                        self.spoiled.insert(p.array);
                    }
                }
                Stmt::Declare(a) => {
                    let parts = crate::access::parts_of(&g.array(*a).init);
                    self.spoiled.extend(parts.into_iter().map(|p| p.array));
                }
                Stmt::Pullback(c) => self
                    .spoiled
                    .extend(g.call(*c).shadows.iter().flatten().map(|p| p.array)),
                Stmt::If(b) => {
                    self.depth += 1;
                    self.region(g, g.branch(*b).then, loops);
                    self.region(g, g.branch(*b).otherwise, loops);
                    self.depth -= 1;
                }
                Stmt::Loop(l) => {
                    self.depth += 1;
                    loops.push(*l);
                    self.region(g, g.looped(*l).body, loops);
                    loops.pop();
                    self.depth -= 1;
                }
                _ => {}
            }
        }
    }
}
