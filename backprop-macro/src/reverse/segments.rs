//! Loops that are checkpointed.
//!
//! In: a loop that would keep something for each iteration. Out: forward it saves its state every so many iterations and keeps
//! nothing else; backward a loop over these states, last one first, restores one, runs the iterations up to the next one
//! again and reverses those. What must hold: the state is all that an iteration reads and one before it changes, so that a
//! segment computes what it computed; and adjoints are summed in the order in which a single loop would sum them.

use super::rerun::{Bounds, Copies};
use super::{Frame, PairKind, Reverse};
use crate::checkpoint::{Every, nested, path};
use crate::graph::*;
use crate::shape::Shape;
use crate::types::{Kind, Ty};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A segment while it is reversed.
pub(super) struct Segment {
    /// The loop of which it is a part.
    pub whole: Loop,
    /// Sums that are added once, for the whole loop.
    pub known: Vec<(Id, Vec<Id>)>,
}

/// The state of a loop: what its copy starts from.
struct State {
    array: ArrayId,
    /// The index at which a segment starts, where it cannot be computed, then the carried scalars, then arrays.
    parts: usize,
}

impl Reverse<'_> {
    /// How often a loop saves its state, where it does: not inside of a loop that keeps things itself.
    pub(super) fn checkpointed(&self, looped: LoopId) -> Option<Every> {
        let schedule = self.schedule.filter(|s| s.loops.contains(&looped))?;
        let inside = self.frames.iter().any(|f| {
            let is = |kind: PairKind| matches!(kind, PairKind::Loop(..));
            self.pairs
                .iter()
                .any(|p| p.primal == f.primal && is(p.kind))
        });
        (!inside).then(|| schedule.every.clone())
    }

    /// The backward pass of a checkpointed loop; the slots whose adjoint turned out not to be constant, if any.
    pub(super) fn segmented_loop(
        &mut self,
        looped: LoopId,
        data: &Loop,
        slots: &[(usize, Option<Id>)],
        constant: &[usize],
        every: &Every,
    ) -> Vec<usize> {
        let stmts = self.g.region(data.body).stmts.clone();
        let every = self.interval(looped, data, every);
        let (changed, unsettled) = self.arrays_of_state(looped, data);
        let (filled, changed): (Vec<ArrayId>, Vec<ArrayId>) = changed
            .into_iter()
            .partition(|&a| self.filled_first(&stmts, a));
        let once: Vec<(ArrayId, ArrayId)> = unsettled
            .into_iter()
            .map(|a| (a, self.save_once(looped, data, a)))
            .collect();
        let state = self.save_states(looped, data, every, &changed);
        let end = self.last_stop(looped, data);

        // The loop over the segments.
        self.g.invalidate();
        let count = self.g.usize_ty();
        let states = Place {
            array: state.array,
            path: Vec::new(),
        };
        let version = self.g.array(state.array).version;
        let len = self.g.compute(Node::Len(states, version), count);
        let region = self.g.open();
        let over = self.g.new_loop(Count::Forever, region, data.span);
        let at = self.g.bound(Node::Index(over), count, Some(region));
        self.g.nodes[at.0 as usize].name = Some("segment".into());
        let lo = self.g.usize_const(0);
        self.g.looped_mut(over).count = Count::Range {
            index: at,
            lo,
            hi: len,
            inclusive: false,
            rev: true,
        };
        self.g.looped_mut(over).segments = Some(looped);
        self.frames.push(Frame {
            primal: region,
            region,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });

        // The state at its start, and how far it goes.
        let mut c = Copies {
            body: data.body,
            nodes: HashMap::new(),
            arrays: HashMap::new(),
            calls: HashMap::new(),
            loops: BTreeMap::new(),
            outer: BTreeSet::new(),
        };
        let first = self.first(data, &state, at, every);
        let stop = self.stop(data, &state, (at, len), first, every, end);
        let bounds = bounds(data, first, stop);
        let mut starts = Vec::new();
        for (k, carried) in data.carried.iter().enumerate() {
            let start = self.g.load(saved(&state, at, k + 1));
            let name = self.g.data(carried.phi).name.clone();
            self.g.nodes[start.0 as usize].name = name;
            if self.active(carried.phi) {
                self.activity.to_mut().add_node(start);
            }
            starts.push(start);
        }
        for (k, &a) in changed.iter().enumerate() {
            let from = saved(&state, at, 1 + data.carried.len() + k);
            self.restore_array(a, Some(from), &mut c);
        }
        for a in filled {
            self.restore_array(a, None, &mut c);
        }
        for (a, held) in once {
            let zero = self.g.usize_const(0);
            let from = Place {
                array: held,
                path: vec![Step::Index(zero)],
            };
            self.restore_array(a, Some(from), &mut c);
        }

        // Forward again, and backward.
        let leaves = matches!(data.count, Count::Stepped { .. });
        let copy = self.copied_loop((data, &stmts), Some(bounds), &starts, leaves, &mut c);
        c.loops.insert(looped, copy);
        self.order.append(&self.g, over);
        let mut inner = Vec::new();
        let mut carried = Vec::new();
        for &(k, d) in slots {
            if constant.contains(&k) {
                inner.push((k, d));
                continue;
            }
            let init = match d {
                Some(d) => d,
                None => self.zero(data.carried[k].phi),
            };
            let phi = self.adjoint_phi(data.carried[k].phi, over, region);
            inner.push((k, Some(phi)));
            carried.push((k, phi, init));
        }
        let mut sums = Vec::new();
        for &n in &c.outer {
            let phi = self.adjoint_phi(n, over, region);
            self.frame().adjoint.insert(n, phi);
            sums.push((n, phi));
        }
        let mut segment = Segment {
            whole: data.clone(),
            known: Vec::new(),
        };
        let inner_data = self.g.looped(copy).clone();
        let failed = self.separate_loop(copy, &inner_data, &inner, constant, Some(&mut segment));
        let mut adjoint = self.frames.pop().map(|f| f.adjoint).unwrap_or_default();
        if !failed.is_empty() {
            self.g.close();
            return failed;
        }
        let nexts: Vec<(usize, Id, Id, Id)> = carried
            .into_iter()
            .map(|(k, phi, init)| {
                let next = adjoint.remove(&starts[k]);
                (k, phi, init, next.unwrap_or_else(|| self.zero(phi)))
            })
            .collect();
        sums.retain(|(n, phi)| adjoint.get(n) != Some(phi));
        self.g.close();

        // As at the end of a loop that runs backwards in one piece.
        let mut outs = Vec::new();
        for (k, phi, init, next) in nexts {
            outs.push((data.carried[k].init, self.g.carry(over, phi, init, next)));
        }
        for (n, phi) in sums {
            let init = match self.frame().adjoint.remove(&n) {
                Some(d) => d,
                None => self.zero(phi),
            };
            let next = adjoint[&n];
            outs.push((n, self.g.carry(over, phi, init, next)));
        }
        self.g.push(Stmt::Loop(over));
        self.g.invalidate();
        for k in constant {
            if let Some((_, Some(d))) = slots.iter().find(|s| s.0 == *k) {
                self.add(data.carried[*k].init, *d);
            }
        }
        for (n, out) in outs {
            self.add(n, out);
        }
        self.add_known(segment.known);
        self.notes.states.insert(looped, state.array);
        self.notes.copies.append(&mut c.loops);
        Vec::new()
    }

    /// An adjoint that the loop over the segments carries.
    fn adjoint_phi(&mut self, of: Id, over: LoopId, region: RegionId) -> Id {
        let ty = self.g.ty(of);
        let phi = self.g.bound(Node::Phi(over, 0), ty, Some(region));
        let name = self.g.data(of).name.as_ref().map(|s| format!("d_{s}"));
        self.g.nodes[phi.0 as usize].name = name.map(|s| s.as_str().into());
        phi
    }

    // ---- what is saved ----

    /// The arrays from outside that the loop changes, and those that it reads and that are not as they were when it is
    /// reversed.
    fn arrays_of_state(&self, looped: LoopId, data: &Loop) -> (Vec<ArrayId>, Vec<ArrayId>) {
        let mut all = BTreeSet::new();
        for stmt in &self.g.region(data.body).stmts {
            crate::access::arrays_of(&self.g, stmt, &mut |a, _| {
                all.insert(a);
            });
        }
        all.retain(|&a| !self.declared_inside(a, &[data.body]));
        let changed = self.order.stored_in_loop(&self.g, looped);
        let (changed, read): (Vec<_>, Vec<_>) = all.into_iter().partition(|a| changed.contains(a));
        let end = self.order.loop_span(looped).1;
        let here = self.g.here();
        let function = |p: &super::Pair| p.kind == PairKind::Function;
        let body = self.pairs.iter().find(|p| function(p)).map(|p| p.primal);
        let unsettled = |a: &ArrayId| {
            let region = self.g.array(*a).region;
            let reachable = region.is_none_or(|r| self.g.encloses(r, here)) || region == body;
            !reachable || self.order.stored_after(*a, end)
        };
        (changed, read.into_iter().filter(unsettled).collect())
    }

    /// Whether each iteration assigns all elements of an array that it reads, before it reads them: then the array is not part
    /// of the state.
    fn filled_first(&self, body: &[Stmt], array: ArrayId) -> bool {
        let g = &self.g;
        let data = g.array(array);
        let scalars = |s: &Shape| matches!(s, Shape::Float(_) | Shape::Scalar(_));
        let simple = match &data.shape {
            Shape::Array(s, _) => scalars(s),
            Shape::Vec(s) => scalars(s) && data.len.is_some() && !self.order.grows(array),
            _ => false,
        };
        if !simple {
            return false;
        }
        let touches = |s: &&Stmt| {
            let mut found = false;
            crate::access::arrays_of(g, s, &mut |a, _| found |= a == array);
            found
        };
        let mut all = body.iter().filter(touches);
        let Some(Stmt::Loop(first)) = all.next() else {
            return false;
        };
        let Some((_, lo, hi)) = crate::access::positional(g, *first) else {
            return false;
        };
        if !crate::exchange::fills(g, *first, array) {
            return false;
        }
        let length = crate::access::length_of(g, array);
        let whole = g.integer(lo) == Some(0) && length == Some(crate::access::extent(g, hi));
        whole
            || all.all(|s| match s {
                Stmt::Loop(l) => {
                    crate::exchange::same_positions(g, *first, *l) && self.reads_own(*l, array)
                }
                _ => false,
            })
    }

    /// Whether all that a loop does with an array is to read the element at its index.
    fn reads_own(&self, l: LoopId, array: ArrayId) -> bool {
        let g = &self.g;
        let Some((index, ..)) = crate::access::positional(g, l) else {
            return false;
        };
        g.region(g.looped(l).body).stmts.iter().all(|s| match s {
            Stmt::Let(id) => match g.node(*id) {
                Node::Load(p, _) if p.array == array => {
                    matches!(p.path.as_slice(), [Step::Index(i)]
                        if crate::access::distance(g, *i, index) == Some(0))
                }
                Node::Len(p, _) => p.array != array,
                _ => true,
            },
            s => {
                let mut touched = false;
                crate::access::arrays_of(g, s, &mut |a, _| touched |= a == array);
                !touched
            }
        })
    }

    /// The region in which states live: the innermost around the loop that the backward pass shares.
    fn home(&self, data: &Loop) -> RegionId {
        let mut at = self.parent(data.body);
        let shared = |at| {
            let own = |p: &super::Pair| p.primal == at && p.kind != PairKind::Function;
            !self.pairs.iter().any(own)
        };
        while !shared(at) {
            at = self.parent(at);
        }
        at
    }

    fn parent(&self, region: RegionId) -> RegionId {
        self.g.region(region).parent.unwrap_or(RegionId(0))
    }

    /// An array for copies of states, declared where the backward pass sees it.
    fn declare_states(&mut self, looped: LoopId, data: &Loop, name: &str, part: Shape) -> ArrayId {
        let home = self.home(data);
        let shape = Shape::Vec(Box::new(part));
        let array = self.g.new_array(name, shape, Init::Empty, data.span);
        let new = self.g.array_mut(array);
        (new.region, new.saves, new.mutated) = (Some(home), Some(looped), true);
        let at = (self.g.region(home).stmts.iter())
            .position(|s| self.holds(s, data.body))
            .unwrap_or(0);
        let stmts = &mut self.g.region_mut(home).stmts;
        stmts.insert(at, Stmt::Declare(array));
        array
    }

    /// Whether a region is inside of a statement.
    fn holds(&self, stmt: &Stmt, region: RegionId) -> bool {
        match stmt {
            Stmt::Loop(l) => self.g.encloses(self.g.looped(*l).body, region),
            Stmt::If(b) => [self.g.branch(*b).then, self.g.branch(*b).otherwise]
                .iter()
                .any(|&r| self.g.encloses(r, region)),
            _ => false,
        }
    }

    /// Copies an array once, before the loop.
    fn save_once(&mut self, looped: LoopId, data: &Loop, array: ArrayId) -> ArrayId {
        let whole = self.g.array(array).clone();
        let held = self.declare_states(looped, data, &whole.name, owned(whole.shape));
        let part = Element::Part(Place {
            array,
            path: Vec::new(),
        });
        self.insert_before(data, vec![Stmt::Save(held, part)]);
        held
    }

    fn insert_before(&mut self, data: &Loop, new: Vec<Stmt>) {
        let parent = self.parent(data.body);
        let at = (self.g.region(parent).stmts.iter()).position(|s| self.holds(s, data.body));
        let stmts = &mut self.g.region_mut(parent).stmts;
        let at = at.unwrap_or(0);
        stmts.splice(at..at, new);
    }

    /// Makes the loop save its state every so many iterations.
    fn save_states(
        &mut self,
        looped: LoopId,
        data: &Loop,
        every: Id,
        changed: &[ArrayId],
    ) -> State {
        let mut parts = Vec::new();
        let mut scalar = |r: &Self, id: Id| {
            parts.push((Element::Scalar(id), Shape::Scalar(r.g.ty(id))));
        };
        match &data.count {
            Count::Range { index, .. } | Count::Stepped { index, .. } => scalar(self, *index),
            // Nothing is a state too; it is left out where nobody reads it.
            Count::Forever | Count::Replay(_) => scalar(self, every),
        }
        for c in &data.carried {
            scalar(self, c.phi);
        }
        for &array in changed {
            let path = Vec::new();
            let shape = owned(self.g.array(array).shape.clone());
            parts.push((Element::Part(Place { array, path }), shape));
        }
        let count = parts.len();
        let (elements, shapes): (Vec<Element>, Vec<Shape>) = parts.into_iter().unzip();
        let element = nested(elements, Element::Tuple);
        let array = self.declare_states(looped, data, "states", nested(shapes, Shape::Tuple));
        if self.home(data) == self.parent(data.body) {
            self.g.array_mut(array).len = Some(every);
        }

        // `if left == 0 { save; left = every } left -= 1`, first thing in an iteration.
        let old = self.g.region(data.body).stmts.len();
        self.g.enter(data.body);
        let (usize_ty, bool_ty) = (self.g.usize_ty(), self.g.bool_ty());
        let left = self
            .g
            .bound(Node::Phi(looped, 0), usize_ty, Some(data.body));
        self.g.nodes[left.0 as usize].name = Some("left".into());
        let zero = self.g.usize_const(0);
        let due = self.g.opaque_binary(quote!(==), left, zero, bool_ty, true);
        let then = self.g.open();
        self.g.push(Stmt::Save(array, element));
        self.g.close();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(due, then, otherwise);
        let fresh = self.g.yield_from(branch, every, left);
        self.g.push(Stmt::If(branch));
        let one = self.g.usize_const(1);
        let next = self.g.opaque_binary(quote!(-), fresh, one, usize_ty, false);
        self.g.close();
        let stmts = &mut self.g.region_mut(data.body).stmts;
        let added = stmts.len() - old;
        stmts.rotate_right(added);
        self.g.carry(looped, left, zero, next);
        State {
            array,
            parts: count,
        }
    }

    /// Every how many iterations the state is saved.
    fn interval(&mut self, looped: LoopId, data: &Loop, every: &Every) -> Id {
        let usize_ty = self.g.usize_ty();
        match every {
            Every::Number(n) => return self.g.usize_const(*n),
            Every::Constant(n) => {
                let usize_path = quote!(::core::primitive::usize);
                let checked = quote!(const {
                    let every: #usize_path = #n;
                    ::core::assert!(every > 0, "`checkpoint` must be at least 1");
                    every
                });
                return self.g.opaque_tokens(checked, usize_ty);
            }
            Every::Root => {}
        }
        let (lo, hi, inclusive, step) = match &data.count {
            Count::Range {
                lo, hi, inclusive, ..
            } => (*lo, *hi, *inclusive, None),
            Count::Stepped {
                lo,
                hi,
                inclusive,
                step,
                ..
            } => (*lo, *hi, *inclusive, Some(*step)),
            Count::Forever | Count::Replay(_) => {
                unreachable!("the number of iterations of loop {} is not known", looped.0)
            }
        };
        // The root of the number of iterations, in integers that hold every difference.
        let mut b = Before {
            r: self,
            region: RegionId(0),
            stmts: Vec::new(),
        };
        b.region = b.r.parent(data.body);
        let wide = b.r.g.types.fresh(Kind::Int("i128".into()));
        let i128_path = quote!(::core::primitive::i128);
        let (lo, hi) = (b.cast(lo, &i128_path, wide), b.cast(hi, &i128_path, wide));
        let mut trips = b.binary(quote!(-), hi, lo, wide);
        if inclusive {
            let one = b.r.g.integer_const(1);
            trips = b.binary(quote!(+), trips, one, wide);
        }
        if let Some(step) = step {
            let step = b.cast(step, &i128_path, wide);
            trips = b.binary(quote!(/), trips, step, wide);
        }
        let one = b.r.g.integer_const(1);
        let trips = b.method(quote!(max), &[trips, one], wide);
        let root = b.method(quote!(isqrt), &[trips], wide);
        let every = b.cast(root, &quote!(::core::primitive::usize), usize_ty);
        b.r.g.nodes[every.0 as usize].name = Some("every".into());
        let stmts = b.stmts;
        self.insert_before(data, stmts);
        every
    }

    // ---- what a segment starts from ----

    /// A copy of an array as it was, or of one that will be filled: what happens to it has the adjoint of the array itself.
    fn restore_array(&mut self, array: ArrayId, from: Option<Place>, c: &mut Copies) {
        let data = self.g.array(array).clone();
        let len = data.len.filter(|_| from.is_none());
        let init = from.map_or(Init::Zeros, Init::Copy);
        let shape = owned(data.shape);
        let copy = self.g.declare(&data.name, shape, init, data.span);
        self.g.array_mut(copy).len = len;
        self.g.array_mut(copy).mutated = true;
        self.note_array(array, copy, c);
        if let Some(&shadow) = self.shadows.get(&array) {
            self.shadows.insert(copy, shadow);
        }
    }

    /// The index of a segment's first iteration, or the number of iterations before it where the loop has no index.
    fn first(&mut self, data: &Loop, state: &State, at: Id, every: Id) -> Id {
        let usize_ty = self.g.usize_ty();
        let Some(lo) = self.counts_up(data) else {
            return self.g.load(saved(state, at, 0));
        };
        let ran = self.g.opaque_binary(quote!(*), at, every, usize_ty, false);
        match lo.filter(|&lo| self.g.integer(lo) != Some(0)) {
            Some(lo) => self.g.opaque_binary(quote!(+), lo, ran, usize_ty, false),
            None => ran,
        }
    }

    /// Where the last segment ends.
    fn last_stop(&mut self, looped: LoopId, data: &Loop) -> Id {
        match &data.count {
            Count::Stepped { lo, hi, rev, .. } => [*hi, *lo][usize::from(*rev)],
            count => {
                // As the loop that runs backwards would begin.
                let up = matches!(count, Count::Range { rev: false, .. });
                match self.reversed_count(looped, data) {
                    Count::Range { lo, hi, .. } => [lo, hi][usize::from(up)],
                    _ => {
                        let end = self.g.looped(looped).end;
                        end.expect("a loop that is replayed counts")
                    }
                }
            }
        }
    }

    /// Where a segment ends: before the one after it starts, or where the loop did.
    fn stop(
        &mut self,
        data: &Loop,
        state: &State,
        (at, len): (Id, Id),
        first: Id,
        every: Id,
        end: Id,
    ) -> Id {
        let usize_ty = self.g.usize_ty();
        if self.counts_up(data).is_some() {
            let next = self
                .g
                .opaque_method("saturating_add", &[first, every], usize_ty);
            return self.g.opaque_method("min", &[next, end], usize_ty);
        }
        let bool_ty = self.g.bool_ty();
        let one = self.g.usize_const(1);
        let after = self.g.opaque_binary(quote!(+), at, one, usize_ty, false);
        let inner = self.g.opaque_binary(quote!(<), after, len, bool_ty, true);
        let then = self.g.open();
        let mut next = self.g.load(saved(state, after, 0));
        let op = match &data.count {
            Count::Range { rev: true, .. } | Count::Stepped { rev: true, .. } => Some(quote!(+)),
            Count::Range {
                inclusive: true, ..
            }
            | Count::Stepped {
                inclusive: true, ..
            } => Some(quote!(-)),
            _ => None,
        };
        if let Some(op) = op {
            // There is one before it, so that this does not overflow.
            let (one, ty) = (self.g.integer_const(1), self.g.ty(next));
            next = self.g.opaque_binary(op, next, one, ty, false);
        }
        self.g.close();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(inner, then, otherwise);
        let out = self.g.yield_from(branch, next, end);
        self.g.push(Stmt::If(branch));
        out
    }

    /// Where a loop starts whose iterations are simply counted, up from a `usize` or from nothing: `None` for the rest.
    fn counts_up(&self, data: &Loop) -> Option<Option<Id>> {
        match &data.count {
            Count::Range {
                lo,
                rev: false,
                inclusive: false,
                ..
            } => matches!(self.g.types.kind(self.g.ty(*lo)), Kind::Int(n) if n == "usize")
                .then_some(Some(*lo)),
            Count::Forever => Some(None),
            _ => None,
        }
    }
}

/// The bounds of a segment that starts at `first`; `stop` is where it ends as the loop would spell its own end.
fn bounds(data: &Loop, first: Id, stop: Id) -> Bounds {
    let (inclusive, rev) = match &data.count {
        Count::Range { inclusive, rev, .. } | Count::Stepped { inclusive, rev, .. } => {
            (*inclusive, *rev)
        }
        Count::Forever | Count::Replay(_) => (false, false),
    };
    Bounds {
        lo: if rev { stop } else { first },
        hi: if rev { first } else { stop },
        // It starts at an index that there is.
        inclusive: inclusive || rev,
        rev,
    }
}

/// A part of the state at a checkpoint.
fn saved(state: &State, at: Id, part: usize) -> Place {
    let fields = path(part, state.parts).into_iter().map(Step::Field);
    Place {
        array: state.array,
        path: [Step::Index(at)].into_iter().chain(fields).collect(),
    }
}

/// What a copy of an array is.
fn owned(shape: Shape) -> Shape {
    match shape {
        Shape::Slice(s) => Shape::Vec(s),
        shape => shape,
    }
}

/// Statements of the primal that are put before a loop: nothing that is computed elsewhere may be taken for them.
struct Before<'r, 'a> {
    r: &'r mut Reverse<'a>,
    region: RegionId,
    stmts: Vec<Stmt>,
}

impl Before<'_, '_> {
    fn opaque(&mut self, key: String, form: OpaqueForm, args: Vec<Id>, ty: Ty) -> Id {
        let k = self.r.g.opaque_index(Opaque {
            key,
            form,
            discrete: false,
        });
        let args = args.into_iter().map(|a| self.r.g.resolve(a)).collect();
        let node = Node::Opaque(k, args);
        let id = self.r.g.bound(node, ty, Some(self.region));
        self.stmts.push(Stmt::Let(id));
        id
    }

    fn binary(&mut self, op: TokenStream, a: Id, b: Id, ty: Ty) -> Id {
        self.opaque(
            format!("binary {op}"),
            OpaqueForm::Binary(op),
            vec![a, b],
            ty,
        )
    }

    fn method(&mut self, name: TokenStream, args: &[Id], ty: Ty) -> Id {
        let key = format!("method {name}");
        self.opaque(key, OpaqueForm::Method(name), args.to_vec(), ty)
    }

    fn cast(&mut self, a: Id, to: &TokenStream, ty: Ty) -> Id {
        self.opaque(
            format!("cast {to}"),
            OpaqueForm::Cast(to.clone()),
            vec![a],
            ty,
        )
    }
}
