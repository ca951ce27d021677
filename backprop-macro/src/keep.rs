//! What the backward pass keeps, and what it computes again.
//!
//! In: the program with its backward pass, whose regions refer to primal values that are out of scope there. Out: the same,
//! in which every such value is read from a tape, from a branch's result or from the residuals, or computed again at the
//! start of the region that needs it. Free are constants, parameters, loop indices and loads from arrays that are not
//! stored to afterwards; dear are transcendentals. Between the two a minimum cut keeps as few bytes as possible.

use crate::flow::Flow;
use crate::graph::maps::Map;
use crate::graph::{
    Argument, ArrayId, Count, Element, Graph, Id, IfId, Init, LoopId, Node, Place, RegionId, Stmt,
};
use crate::live::Live;
use crate::order::Order;
use crate::reverse::{Gradient, Pair, PairKind};
use crate::rules::Op;
use crate::types::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// What `forward` hands to `backward`, beside the tapes.
#[derive(Clone, Default)]
pub struct Saved {
    pub nodes: Vec<Id>,
    pub arrays: BTreeSet<ArrayId>,
    /// Scalar parameters that the backward pass reads.
    pub params: BTreeSet<u32>,
}

struct Keep<'a> {
    p: &'a mut Gradient,
    live: &'a Live,
    order: &'a Order,
    /// The loop of which a region is the body.
    bodies: Map<RegionId, LoopId>,
    /// The branch of which a region is a side, and whether it is the one for `true`.
    sides: Map<RegionId, (IfId, bool)>,
    /// For each value stored to an array, where.
    stored: Map<Id, Vec<(RegionId, Place)>>,
    saved: Saved,
    primal_params: u32,
}

/// Decides for every value that crosses, and rewrites the program accordingly.
pub fn keep(p: &mut Gradient, order: &Order, primal_params: u32) -> Saved {
    let live = Live::of(p);
    let bodies = p
        .graph
        .loops
        .iter()
        .enumerate()
        .map(|(k, l)| (l.body, LoopId(k as u32)))
        .collect();
    let mut sides = Map::default();
    for (k, b) in p.graph.ifs.iter().enumerate() {
        sides.insert(b.then, (IfId(k as u32), true));
        sides.insert(b.otherwise, (IfId(k as u32), false));
    }
    let mut k = Keep {
        p,
        live: &live,
        order,
        bodies,
        sides,
        stored: Map::default(),
        saved: Saved::default(),
        primal_params,
    };
    let body = k.p.body;
    k.find_stores(body);
    for pair in k.p.pairs.clone().into_iter().rev() {
        k.pair(&pair);
    }
    k.save_arrays_and_params();
    k.saved
}

impl Keep<'_> {
    fn find_stores(&mut self, region: RegionId) {
        for stmt in self.p.graph.region(region).stmts.clone() {
            match stmt {
                Stmt::Store {
                    place,
                    value,
                    add: false,
                } => {
                    let value = self.p.graph.resolve(value);
                    self.stored.entry(value).or_default().push((region, place));
                }
                Stmt::If(b) => {
                    let (t, e) = (
                        self.p.graph.branch(b).then,
                        self.p.graph.branch(b).otherwise,
                    );
                    self.find_stores(t);
                    self.find_stores(e);
                }
                Stmt::Loop(l) => self.find_stores(self.p.graph.looped(l).body),
                _ => {}
            }
        }
    }

    fn pair(&mut self, pair: &Pair) {
        self.compute_together(pair);
        let mut uses = BTreeSet::new();
        self.uses(pair.back, &mut uses);
        self.leaving(pair.back, &mut uses);
        let needed: Vec<Id> = uses
            .iter()
            .copied()
            .filter(|&id| self.p.graph.data(id).region == Some(pair.primal))
            .collect();
        let needed: Vec<Id> = needed
            .into_iter()
            .filter(|&id| !self.is_free_index(id, pair))
            .collect();
        if needed.is_empty() {
            return;
        }
        let (kept, again) = self.cut(&needed, pair);
        let mut prologue = Vec::new();
        match pair.kind {
            PairKind::Function => {
                for &id in &kept {
                    prologue.push(Stmt::ReadSaved(id));
                }
                self.saved.nodes.extend(&kept);
            }
            PairKind::Loop(looped, _) => {
                if !kept.is_empty() {
                    prologue.push(Stmt::ReadTape(looped));
                }
                self.p.graph.looped_mut(looped).tape = kept;
            }
            PairKind::Branch(branch, then) => {
                for id in kept {
                    let g = &mut self.p.graph;
                    let other = if g.is_float(id) {
                        g.lit_like(0.0, id)
                    } else {
                        let (k, ty) = (g.nodes.len() as u32, g.ty(id));
                        g.bound(Node::Undef(k), ty, None)
                    };
                    let whole = g.whole_shape(id).cloned();
                    if let Some(shape) = &whole {
                        g.set_whole_shape(other, shape.clone());
                    }
                    let out = if then {
                        g.yield_from(branch, id, other)
                    } else {
                        g.yield_from(branch, other, id)
                    };
                    let name = g.data(id).name.clone();
                    g.nodes[out.0 as usize].name = name;
                    if let Some(shape) = whole {
                        g.set_whole_shape(out, shape);
                    }
                    prologue.push(Stmt::Bind(id, out));
                }
            }
        }
        for (id, from) in again {
            match from {
                None => prologue.push(Stmt::Let(id)),
                Some(place) => {
                    let (ty, k) = (self.p.graph.ty(id), self.p.graph.nodes.len() as u32);
                    let load = self
                        .p
                        .graph
                        .bound(Node::Load(place, k), ty, Some(pair.back));
                    prologue.push(Stmt::Bind(id, load));
                }
            }
        }
        let stmts = &mut self.p.graph.region_mut(pair.back).stmts;
        stmts.splice(0..0, prologue);
    }

    /// The sine of what the forward pass takes the cosine of, or the other way round, costs little beside it: it is computed there,
    /// and kept, instead of in the backward pass.
    fn compute_together(&mut self, pair: &Pair) {
        let g = &mut self.p.graph;
        let partner = |g: &Graph, id: Id| match g.node(id) {
            Node::Apply(Op::Sin, a) => Some(Node::Apply(Op::Cos, vec![g.resolve(a[0])])),
            Node::Apply(Op::Cos, a) => Some(Node::Apply(Op::Sin, vec![g.resolve(a[0])])),
            _ => None,
        };
        for stmt in g.region(pair.back).stmts.clone() {
            let Stmt::Let(id) = stmt else { continue };
            if g.data(id).region != Some(pair.back) {
                continue;
            }
            let Some(partner) = partner(g, id) else {
                continue;
            };
            let at = g.region(pair.primal).stmts.iter().position(|s| {
                matches!(s, Stmt::Let(other)
                    if g.data(*other).region == Some(pair.primal) && *g.node(*other) == partner)
            });
            if let Some(at) = at {
                g.region_mut(pair.back)
                    .stmts
                    .retain(|s| !matches!(s, Stmt::Let(other) if *other == id));
                g.region_mut(pair.primal)
                    .stmts
                    .insert(at + 1, Stmt::Let(id));
                g.nodes[id.0 as usize].region = Some(pair.primal);
            }
        }
    }

    /// The index of a loop that counts is the index of the one that counts down.
    fn is_free_index(&self, id: Id, pair: &Pair) -> bool {
        match (self.p.graph.node(id), pair.kind) {
            (Node::Index(l), PairKind::Loop(looped, _)) => {
                *l == looped && matches!(self.p.graph.looped(looped).count, Count::Range { .. })
            }
            _ => false,
        }
    }

    // ---- the cut ----

    /// What to keep and what to compute again, in order, the latter perhaps from an array it was stored to.
    #[allow(clippy::type_complexity)]
    fn cut(&mut self, needed: &[Id], pair: &Pair) -> (Vec<Id>, Vec<(Id, Option<Place>)>) {
        // Everything in the region that the needed values can be computed from.
        let mut from: BTreeMap<Id, Option<Vec<Id>>> = BTreeMap::new();
        let mut reload: Map<Id, Place> = Map::default();
        let mut todo: Vec<Id> = needed.to_vec();
        while let Some(id) = todo.pop() {
            if from.contains_key(&id) {
                continue;
            }
            let mut operands = self.recompute(id, pair);
            if operands.is_none()
                && let Some(place) = self.reload(id, pair)
            {
                operands = Some(place.indices().map(|i| self.p.graph.resolve(i)).collect());
                reload.insert(id, place);
            }
            let operands = operands.map(|all| {
                let mut spelt = BTreeSet::new();
                all.into_iter()
                    .for_each(|o| used(&self.p.graph, o, &mut spelt));
                spelt
                    .into_iter()
                    .filter(|&o| {
                        self.p.graph.data(o).region == Some(pair.primal)
                            && !self.is_free_index(o, pair)
                    })
                    .collect::<Vec<_>>()
            });
            if let Some(all) = &operands {
                todo.extend(all);
            }
            from.insert(id, operands);
        }
        let kept = self.minimum_cut(&from, needed);
        // What the needed values that are not kept are computed from.
        let mut again = BTreeSet::new();
        let mut todo: Vec<Id> = needed.to_vec();
        while let Some(id) = todo.pop() {
            if kept.contains(&id) || !again.insert(id) {
                continue;
            }
            if let Some(Some(all)) = from.get(&id) {
                todo.extend(all);
            }
        }
        // A value that is loaded again comes after the indices of where it was stored, which are younger than it.
        let mut order = Vec::new();
        let mut placed = BTreeSet::new();
        let mut todo: Vec<(Id, bool)> = again.iter().rev().map(|&id| (id, false)).collect();
        while let Some((id, ready)) = todo.pop() {
            if ready {
                order.push((id, reload.get(&id).cloned()));
            } else if again.contains(&id) && placed.insert(id) {
                todo.push((id, true));
                todo.extend(
                    from.get(&id)
                        .into_iter()
                        .flatten()
                        .flatten()
                        .map(|&o| (o, false)),
                );
            }
        }
        let again = order;
        (kept.into_iter().collect(), again)
    }

    /// The operands from which a value can be computed again cheaply; `None` if it must be kept.
    fn recompute(&self, id: Id, pair: &Pair) -> Option<Vec<Id>> {
        let g = &self.p.graph;
        match g.node(id) {
            Node::Apply(op, _) if op.is_dear() && *op != Op::Rem => None,
            Node::Apply(..) | Node::Cast(..) => Some(g.operands(id)),
            Node::Opaque(k, _) => {
                let form = &g.opaque_of(*k).form;
                // A function from elsewhere may be dear, or may not return the same twice.
                if matches!(form, crate::graph::OpaqueForm::Call(_))
                    && !g.opaque_of(*k).key.contains("::")
                {
                    None
                } else {
                    Some(g.operands(id))
                }
            }
            Node::Load(p, _) | Node::Whole(p, _) => {
                self.settled(id, p, pair).then(|| g.operands(id))
            }
            Node::Len(p, version) => {
                let fixed = g.array(p.array).frozen
                    && *version != u32::MAX
                    && self.reachable(p.array, pair);
                fixed.then(|| g.operands(id))
            }
            _ => None,
        }
    }

    /// Whether an array can be read in the backward region at all.
    fn reachable(&self, array: ArrayId, pair: &Pair) -> bool {
        let g = &self.p.graph;
        let data = g.array(array);
        match data.region {
            None => true,
            Some(r) => g.encloses(r, pair.back) || self.p.back.is_some() && r == self.p.body,
        }
    }

    /// Whether a load gives the same after the forward pass as it gave then.
    fn settled(&self, id: Id, place: &Place, pair: &Pair) -> bool {
        let Some(at) = self.order.position(id) else {
            return false;
        };
        self.reachable(place.array, pair)
            && !self.order.stored_after(place.array, at)
            && !self.stored_around(id, place.array)
    }

    /// Whether a loop around the node, inside the array's scope, stores to the array.
    fn stored_around(&self, id: Id, array: ArrayId) -> bool {
        let g = &self.p.graph;
        let scope = g.array(array).region;
        let mut at = g.data(id).region;
        while let Some(r) = at {
            if Some(r) == scope {
                return false;
            }
            if let Some(l) = self.bodies.get(&r)
                && self.order.stored_within(array, self.order.loop_span(*l))
            {
                return true;
            }
            at = g.region(r).parent;
        }
        false
    }

    /// Where a value was stored so that it is still there: in an element of its own in each iteration.
    fn reload(&self, id: Id, pair: &Pair) -> Option<Place> {
        let g = &self.p.graph;
        for (region, place) in self.stored.get(&id)? {
            if *region != pair.primal
                || self.order.store_count(place.array) != 1
                || !self.reachable(place.array, pair)
            {
                continue;
            }
            let scope = g.array(place.array).region;
            let indices: Vec<Id> = place.indices().map(|i| g.resolve(i)).collect();
            let mut at = Some(*region);
            let mut own = true;
            while let Some(r) = at {
                if Some(r) == scope {
                    break;
                }
                if let Some(l) = self.bodies.get(&r) {
                    own &= indices
                        .iter()
                        .any(|&i| matches!(g.node(i), Node::Index(k) if k == l));
                }
                at = g.region(r).parent;
            }
            if own {
                return Some(place.clone());
            }
        }
        None
    }

    /// The cheapest set of values that separates what cannot be computed again from what is needed: a minimum vertex cut,
    /// by augmenting paths.
    fn minimum_cut(&self, from: &BTreeMap<Id, Option<Vec<Id>>>, needed: &[Id]) -> BTreeSet<Id> {
        let ids: Vec<Id> = from.keys().copied().collect();
        let index: Map<Id, usize> = ids.iter().enumerate().map(|(k, &id)| (id, k)).collect();
        let n = ids.len();
        // Node k is split into 2k -> 2k+1; 2n is the source, 2n+1 the sink.
        let (source, sink) = (2 * n, 2 * n + 1);
        let mut flow = Flow::new(2 * n + 2);
        const NEVER: u32 = u32::MAX / 4;
        for (k, id) in ids.iter().enumerate() {
            flow.edge(2 * k, 2 * k + 1, self.bytes(*id));
            match &from[id] {
                None => flow.edge(source, 2 * k, NEVER),
                Some(all) => {
                    for o in all {
                        flow.edge(2 * index[o] + 1, 2 * k, NEVER);
                    }
                }
            }
        }
        for id in needed {
            flow.edge(2 * index[id] + 1, sink, NEVER);
        }
        flow.run(source, sink);
        // The cut nearest to what is needed leaves least to be computed again.
        let reach = flow.reaching(sink);
        (0..n)
            .filter(|&k| !reach[2 * k] && reach[2 * k + 1])
            .map(|k| ids[k])
            .collect()
    }

    fn bytes(&self, id: Id) -> u32 {
        let g = &self.p.graph;
        match g.types.kind(g.ty(id)) {
            Kind::Bool => 1,
            // A field needs a type that can be named.
            Kind::Other => 64,
            _ => 8,
        }
    }

    // ---- uses ----

    /// What a region hands to the next iteration, or to what follows the branch. It may be a primal value as it stands.
    fn leaving(&self, region: RegionId, out: &mut BTreeSet<Id>) {
        let g = &self.p.graph;
        if let Some(l) = self.bodies.get(&region) {
            let carried = &g.looped(*l).carried;
            let live = carried.iter().filter(|c| self.live.carried(g, c));
            live.for_each(|c| used(g, c.next, out));
        }
        if let Some((b, then)) = self.sides.get(&region) {
            let slots = &g.branch(*b).slots;
            for s in slots.iter().filter(|s| self.live.has(g, s.out)) {
                used(g, if *then { s.then } else { s.otherwise }, out);
            }
        }
    }

    /// The nodes that a region refers to, nested regions included.
    fn uses(&self, region: RegionId, out: &mut BTreeSet<Id>) {
        let g = &self.p.graph;
        let id = |x: Id, out: &mut BTreeSet<Id>| used(g, x, out);
        let place =
            |p: &Place, out: &mut BTreeSet<Id>| out.extend(p.indices().map(|i| g.resolve(i)));
        for stmt in &g.region(region).stmts {
            if !self.live.stmt(g, stmt)
                && !matches!(stmt, Stmt::Let(n) if g.data(*n).region != Some(region))
            {
                continue;
            }
            match stmt {
                Stmt::Let(n) => g.operands(*n).into_iter().for_each(|o| used(g, o, out)),
                Stmt::Declare(a) => {
                    let data = g.array(*a);
                    out.extend(data.len.map(|l| g.resolve(l)));
                    match &data.init {
                        Init::Copy(p) => place(p, out),
                        Init::List(all) => all.iter().for_each(|e| element_uses(g, e, out)),
                        Init::Repeat(e) => element_uses(g, e, out),
                        _ => {}
                    }
                }
                Stmt::Store {
                    place: p, value, ..
                } => {
                    place(p, out);
                    id(*value, out);
                }
                Stmt::Copy { to, from, .. } => {
                    place(to, out);
                    place(from, out);
                }
                Stmt::Clear(p) => place(p, out),
                Stmt::Swap(a, b) => {
                    place(a, out);
                    place(b, out);
                }
                Stmt::Push(_, v) => id(*v, out),
                Stmt::Save(_, e) => element_uses(g, e, out),
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    id(data.cond, out);
                    for s in data.slots.iter().filter(|s| self.live.has(g, s.out)) {
                        id(s.then, out);
                        id(s.otherwise, out);
                    }
                    self.uses(data.then, out);
                    self.uses(data.otherwise, out);
                }
                Stmt::Loop(l) => {
                    let data = g.looped(*l);
                    match &data.count {
                        Count::Range { lo, hi, .. } | Count::Stepped { lo, hi, .. } => {
                            id(*lo, out);
                            id(*hi, out);
                        }
                        Count::Replay(of) => {
                            if let Some(end) = g.looped(*of).end {
                                id(end, out);
                            }
                        }
                        Count::Forever => {}
                    }
                    if let Count::Stepped { step, .. } = &data.count {
                        id(*step, out);
                    }
                    for c in data.carried.iter().filter(|c| self.live.carried(g, c)) {
                        id(c.init, out);
                        id(c.next, out);
                    }
                    self.uses(data.body, out);
                }
                Stmt::Effect(_, args) => args.iter().for_each(|a| id(*a, out)),
                Stmt::Pullback(c) => {
                    let call = g.call(*c);
                    for a in &call.args {
                        match a {
                            Argument::Scalar { value } => id(*value, out),
                            Argument::Array { held, .. } => id(*held, out),
                        }
                    }
                    call.upstream.iter().for_each(|d| id(*d, out));
                    let arrays = call.shadows.iter().chain(&call.incoming);
                    arrays.flatten().for_each(|p| place(p, out));
                }
                Stmt::Bind(_, f) => {
                    // A reload reads its indices; anything else is a value from outside.
                    id(*f, out);
                    out.extend(g.operands(*f));
                }
                Stmt::Call(_)
                | Stmt::Pop(..)
                | Stmt::ReadTape(_)
                | Stmt::ReadTapeAt(..)
                | Stmt::ReadSaved(_) => {}
            }
        }
    }

    // ---- the residuals ----

    fn save_arrays_and_params(&mut self) {
        let Some(back) = self.p.back else { return };
        let mut uses = BTreeSet::new();
        self.uses(back, &mut uses);
        let g = &self.p.graph;
        for id in uses {
            if let Node::Param(k) = g.node(id)
                && *k < self.primal_params
            {
                self.saved.params.insert(*k);
            }
        }
        let mut arrays = BTreeSet::new();
        arrays_read(g, back, self.live, &mut arrays);
        for a in arrays {
            let data = g.array(a);
            if !data.shadow && (data.param.is_some() || data.region == Some(self.p.body)) {
                self.saved.arrays.insert(a);
            }
        }
    }
}

/// A node that is used; what is spelt where it is used, with what it is spelt from.
fn used(g: &Graph, id: Id, out: &mut BTreeSet<Id>) {
    let id = g.resolve(id);
    if out.insert(id) && g.data(id).region.is_none() {
        g.operands(id).into_iter().for_each(|o| used(g, o, out));
    }
}

fn element_uses(g: &Graph, e: &Element, out: &mut BTreeSet<Id>) {
    match e {
        Element::Scalar(id) => {
            out.insert(g.resolve(*id));
        }
        Element::Part(p) => out.extend(p.indices().map(|i| g.resolve(i))),
        Element::Tuple(all) => all.iter().for_each(|e| element_uses(g, e, out)),
    }
}

/// The arrays that a region reads, or of which it needs the lengths.
fn arrays_read(g: &Graph, region: RegionId, live: &Live, out: &mut BTreeSet<ArrayId>) {
    for stmt in &g.region(region).stmts {
        if !live.stmt(g, stmt) && !matches!(stmt, Stmt::Let(n) if g.data(*n).region != Some(region))
        {
            continue;
        }
        let mut node = |id: Id| {
            if let Node::Load(p, _) | Node::Len(p, _) | Node::Whole(p, _) = g.node(g.resolve(id)) {
                out.insert(p.array);
            }
        };
        match stmt {
            Stmt::Let(id) => node(*id),
            Stmt::Bind(_, from) => node(*from),
            Stmt::Declare(a) => {
                if let Init::Copy(p) = &g.array(*a).init {
                    out.insert(p.array);
                }
                if let Some(like) = g.array(*a).like
                    && !g.plain_layout(*a)
                {
                    out.insert(like);
                }
            }
            Stmt::Copy { from, .. } => {
                out.insert(from.array);
            }
            Stmt::If(b) => {
                arrays_read(g, g.branch(*b).then, live, out);
                arrays_read(g, g.branch(*b).otherwise, live, out);
            }
            Stmt::Loop(l) => arrays_read(g, g.looped(*l).body, live, out),
            _ => {}
        }
    }
}
