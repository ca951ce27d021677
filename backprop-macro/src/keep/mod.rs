//! What the backward pass keeps, and what it computes again.
//!
//! In: the program with its backward pass, whose regions refer to primal values that are out of scope there. Out: the same,
//! in which every such value is read from a tape, from a branch's result or from the residuals, or computed again at the
//! start of the region that needs it. Free are constants, parameters, loop indices and loads from arrays that are not
//! stored to afterwards; dear are transcendentals. Between the two a minimum cut keeps as few bytes as possible.

mod cut;
mod uses;

use self::uses::arrays_read;

use crate::graph::maps::Map;
use crate::graph::{ArrayId, Graph, Id, IfId, LoopId, Node, Place, RegionId, Stmt};
use crate::live::Live;
use crate::order::Order;
use crate::reverse::{Gradient, Pair, PairKind};
use crate::rules::Op;
use std::collections::BTreeSet;

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
