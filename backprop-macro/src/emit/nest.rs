//! Which values are spelt where they are used, instead of in a statement of their own.
//!
//! In: a program after `keep`. Out: the nodes that are used once, by arithmetic in the region that computes them, in each
//! such region. Must hold:
//! nothing is moved over what it could depend on. Only pure arithmetic moves, and loads from arrays that never change; what
//! can panic stays where it was written, and what the user named keeps its name.

use crate::graph::Output;
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::live::Live;
use crate::reverse::Gradient;
use crate::rules::Op;
use std::collections::BTreeMap;

/// Operations in one statement.
const SIZE: usize = 8;

#[derive(Default)]
struct Uses {
    /// For each region that uses a node: how often, and whether always by what can spell it.
    of: Map<Id, BTreeMap<RegionId, (u32, bool)>>,
    /// The regions that compute a node. What the backward pass computes again is computed in two.
    computed: Map<Id, Vec<RegionId>>,
    order: Vec<Id>,
    /// What a loop carries on under the name that it has already.
    onward: Set<Id>,
}

/// The nodes to spell where they are used: in the function with the forward pass, and in `backward`.
pub fn nested(p: &Gradient, live: &Live) -> [Set<Id>; 2] {
    let g = &p.graph;
    let mut forward = Uses::default();
    forward.region(p, live, p.body);
    forward.output(g, &p.result, p.body);
    for (_, id) in &p.writes {
        forward.used(g, *id, p.body, false);
    }
    for &(node, adjoint) in &p.trace {
        forward.used(g, node, p.body, false);
        forward.used(g, adjoint, p.body, false);
    }
    for len in g.arrays.iter().filter_map(|a| a.len) {
        forward.used(g, len, p.body, false);
    }
    let mut backward = Uses::default();
    if let Some(back) = p.back {
        for stmt in &g.region(back).stmts {
            // What is kept has a name.
            if let Stmt::ReadSaved(id) = stmt {
                forward.used(g, *id, p.body, false);
            }
        }
        backward.region(p, live, back);
        for len in g.arrays.iter().filter_map(|a| a.len) {
            backward.used(g, len, back, false);
        }
    }
    for s in &p.scalars {
        let (uses, at) = match p.back {
            Some(back) => (&mut backward, back),
            None => (&mut forward, p.body),
        };
        uses.used(g, s.value, at, true);
    }
    [forward, backward].map(|uses| uses.chosen(g))
}

/// Whether a node is pure, cannot panic, and has no name of the user's.
fn movable(g: &Graph, id: Id, onward: bool) -> bool {
    let data = g.data(id);
    if !onward && data.name.as_deref().is_some_and(|n| !n.starts_with("d_")) {
        return false;
    }
    match &data.node {
        // It may be what tells the compiler the type of its exponent: it stays before what else uses that.
        Node::Apply(Op::Powi, args) if g.integer(args[1]).is_none() => false,
        Node::Apply(..) | Node::Cast(..) => !data.pinned,
        // An index that is checked while compiling, or was checked by who made it.
        Node::Load(p, _) => {
            let literal = p.indices().all(|i| g.integer(i).is_some());
            let checked = literal && g.array(p.array).shape.is_fixed();
            g.array(p.array).frozen && (checked || !data.pinned)
        }
        Node::Opaque(k, args) => {
            let o = g.opaque_of(*k);
            let pure = matches!(o.form, OpaqueForm::Binary(_) | OpaqueForm::Method(_));
            o.discrete && pure && !data.pinned && args.iter().any(|&a| g.is_float(a))
        }
        _ => false,
    }
}

impl Uses {
    fn chosen(&self, g: &Graph) -> Set<Id> {
        let mut out = Set::default();
        let mut sizes: Map<Id, usize> = Map::default();
        for &id in &self.order {
            let inside: usize = g.operands(id).iter().filter_map(|o| sizes.get(o)).sum();
            let size = inside + 1;
            let computed = self.computed.get(&id).map_or(&[][..], |c| c);
            let used = self.of.get(&id);
            let once = used.is_some_and(|used| {
                used.len() == computed.len()
                    && computed.iter().all(|r| used.get(r) == Some(&(1, true)))
            });
            if once && size <= SIZE && movable(g, id, self.onward.contains(&id)) {
                out.insert(id);
                sizes.insert(id, size);
            }
        }
        out
    }

    fn used(&mut self, g: &Graph, id: Id, region: RegionId, spells: bool) {
        let id = g.resolve(id);
        let entry = self.of.entry(id).or_default();
        let entry = entry.entry(region).or_insert((0, true));
        *entry = (entry.0 + 1, entry.1 && spells);
        // What is spelt where it is used uses its operands there.
        if g.data(id).region.is_none() {
            for o in g.operands(id) {
                self.used(g, o, region, false);
            }
        }
    }

    fn place(&mut self, g: &Graph, p: &Place, region: RegionId) {
        for i in p.indices() {
            self.used(g, i, region, false);
        }
    }

    fn output(&mut self, g: &Graph, out: &Output, region: RegionId) {
        match out {
            Output::Scalar(id) => self.used(g, *id, region, true),
            Output::Array(p) => self.place(g, p, region),
            Output::Tuple(all) => all.iter().for_each(|o| self.output(g, o, region)),
        }
    }

    fn element(&mut self, g: &Graph, e: &Element, region: RegionId) {
        match e {
            Element::Scalar(id) => self.used(g, *id, region, true),
            Element::Part(p) => self.place(g, p, region),
            Element::Tuple(all) => all.iter().for_each(|e| self.element(g, e, region)),
        }
    }

    fn computes(&mut self, id: Id, region: RegionId) {
        self.computed.entry(id).or_default().push(region);
        self.order.push(id);
    }

    fn region(&mut self, p: &Gradient, live: &Live, region: RegionId) {
        let g = &p.graph;
        for stmt in &g.region(region).stmts {
            let again = matches!(stmt, Stmt::Let(id) if g.data(*id).region != Some(region))
                && p.pairs.iter().any(|p| p.back == region);
            if !again && !live.stmt(g, stmt) {
                continue;
            }
            match stmt {
                Stmt::Let(id) => {
                    let spells = !matches!(g.node(*id), Node::Load(..) | Node::Len(..));
                    for o in g.operands(*id) {
                        self.used(g, o, region, spells);
                    }
                    self.computes(g.resolve(*id), region);
                }
                Stmt::Store { place, value, .. } => {
                    self.place(g, place, region);
                    self.used(g, *value, region, true);
                }
                Stmt::Declare(a) => match &g.array(*a).init {
                    Init::List(all) => all.iter().for_each(|e| self.element(g, e, region)),
                    Init::Repeat(Element::Scalar(id)) => self.used(g, *id, region, false),
                    Init::Repeat(e) => self.element(g, e, region),
                    Init::Copy(p) => self.place(g, p, region),
                    _ => {}
                },
                Stmt::Copy { to, from, .. } => {
                    self.place(g, to, region);
                    self.place(g, from, region);
                }
                Stmt::Swap(a, b) => {
                    self.place(g, a, region);
                    self.place(g, b, region);
                }
                Stmt::Clear(p) => self.place(g, p, region),
                Stmt::Push(_, v) => self.used(g, *v, region, true),
                Stmt::Save(_, e) => self.element(g, e, region),
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    self.used(g, data.cond, region, true);
                    for s in data.slots.iter().filter(|s| live.has(g, s.out)) {
                        self.used(g, s.then, data.then, true);
                        self.used(g, s.otherwise, data.otherwise, true);
                    }
                    self.region(p, live, data.then);
                    self.region(p, live, data.otherwise);
                }
                Stmt::Loop(l) => self.looped(p, live, *l, region),
                Stmt::Effect(_, args) => args.iter().for_each(|a| self.used(g, *a, region, false)),
                Stmt::Call(c) | Stmt::Pullback(c) => {
                    let call = g.call(*c);
                    for a in &call.args {
                        match a {
                            Argument::Scalar { value } => self.used(g, *value, region, false),
                            Argument::Array { place, held } => {
                                self.place(g, place, region);
                                self.used(g, *held, region, false);
                            }
                        }
                    }
                    call.upstream
                        .iter()
                        .for_each(|d| self.used(g, *d, region, false));
                    let arrays = call.shadows.iter().chain(&call.incoming);
                    arrays.flatten().for_each(|p| self.place(g, p, region));
                }
                Stmt::Bind(to, from) => {
                    self.used(g, *to, region, false);
                    self.used(g, *from, region, false);
                    for o in g.operands(*from) {
                        self.used(g, o, region, false);
                    }
                }
                // Named where it is kept, and where it is read.
                Stmt::ReadSaved(id) => self.used(g, *id, region, false),
                Stmt::ReadTapeAt(_, at) => self.used(g, *at, region, false),
                Stmt::Pop(..) | Stmt::ReadTape(_) => {}
            }
        }
    }

    fn looped(&mut self, p: &Gradient, live: &Live, l: LoopId, region: RegionId) {
        let g = &p.graph;
        let data = g.looped(l);
        match &data.count {
            Count::Range { lo, hi, .. } => {
                self.used(g, *lo, region, false);
                self.used(g, *hi, region, false);
            }
            Count::Stepped { lo, hi, step, .. } => {
                self.used(g, *lo, region, false);
                self.used(g, *hi, region, false);
                self.used(g, *step, region, false);
            }
            Count::Forever | Count::Replay(_) => {}
        }
        for &id in data.tape.iter().chain(&data.again).chain(&data.end) {
            self.used(g, id, data.body, false);
        }
        for c in data.carried.iter().filter(|c| live.carried(g, c)) {
            self.used(g, c.init, region, true);
            let next = g.resolve(c.next);
            // A chain of products is what its loop waits for: its next link is computed as early as it can be.
            let chain = matches!(g.node(next), Node::Apply(Op::Mul | Op::Div, _));
            self.used(g, next, data.body, !chain);
            if g.data(next).name == g.data(c.phi).name {
                self.onward.insert(next);
            }
        }
        self.region(p, live, data.body);
    }
}
