//! Graph → graph: the backward pass.
//!
//! In: the primal and what is active in it. Out: [`Gradient`]: the same graph with the adjoint computation appended, or, for
//! `forward`/`backward`, in a region of its own. Reverse accumulation, statement by statement: each active scalar has one
//! adjoint, each active array a shadow. What must hold: the backward pass refers to values of the primal by their nodes,
//! wherever they were computed; `keep` makes them available. A loop whose iterations need nothing from one another
//! backwards, and whose adjoint is known before it runs, is *fused*: each iteration runs forward and backward at once.

use crate::activity::Activity;
use crate::checkpoint::{Every, Schedule};
use crate::collect::Sums;
use crate::graph::maps::Map;
use crate::graph::{
    ArrayId, Graph, Id, If, IfId, Init, Loop, LoopId, Node, Output, Place, Primal, Region,
    RegionId, Source, Stmt,
};
use crate::order::Order;
use crate::rules::Op;
use crate::shape::Shape;
use crate::signature::{Signature, local};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

mod branches;
mod calls;
mod extremum;
mod fuse;
mod intervals;
mod loops;
pub mod masked;
mod nodes;
mod overwrite;
mod rerun;
mod segments;
mod shadows;
mod states;

/// Which backward pass is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// In one function with the forward pass, for a scalar result: the upstream gradient is 1.
    Unit,
    /// In one function with the forward pass, from a given upstream gradient.
    Upstream,
    /// In a function of its own, from the residuals.
    Split,
    /// As `Unit`, rule by rule, with every node's adjoint recorded.
    Trace,
}

/// How a region of the backward pass is run with respect to the one that it reverses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PairKind {
    /// `backward` itself.
    Function,
    /// One side of a branch; `true` for the first.
    Branch(IfId, bool),
    /// The body of a loop, and the loop that runs backwards.
    Loop(LoopId, LoopId),
}

/// A region of the backward pass in which the primal values of the region that it reverses are out of scope.
#[derive(Clone, Debug)]
pub struct Pair {
    pub back: RegionId,
    pub primal: RegionId,
    pub kind: PairKind,
}

/// The gradient of one differentiated scalar.
#[derive(Clone, Debug)]
pub struct ScalarGradient {
    pub param: usize,
    /// The field inside a tuple parameter.
    pub path: Vec<u32>,
    pub value: Id,
}

/// The program with its backward pass.
pub struct Gradient {
    pub graph: Graph,
    /// The forward pass, and where it is fused the backward pass too.
    pub body: RegionId,
    /// The backward pass of its own.
    pub back: Option<RegionId>,
    pub result: Output,
    /// What `&mut` parameters get when the function ends.
    pub writes: Vec<(TokenStream, Id)>,
    pub reads: Vec<TokenStream>,
    pub scalars: Vec<ScalarGradient>,
    pub pairs: Vec<Pair>,
    /// The adjoints that are sums, for stages that add to them.
    pub sums: Sums,
    /// Array parameters whose gradient buffers are assigned as a whole, whatever they held: set by the stages that see to it.
    pub assigned: std::collections::BTreeSet<ArrayId>,
    /// For `Trace`: nodes of the primal and their adjoints, in the order of the primal.
    pub trace: Vec<(Id, Id)>,
    /// When the primal's statements run, and their copies in the backward pass.
    pub order: Order,
    pub notes: Notes,
}

/// What was decided on the way, for `explain`.
#[derive(Clone, Default)]
pub struct Notes {
    /// How each loop of the primal is reversed.
    pub loops: BTreeMap<LoopId, Reversal>,
    /// The loops that are checkpointed: where their states are, and their copies in the backward pass.
    pub states: BTreeMap<LoopId, ArrayId>,
    pub copies: BTreeMap<LoopId, LoopId>,
    /// Every how many iterations they save one.
    pub every: Option<Every>,
    /// The idioms of `stable` that were recognised.
    pub idioms: std::collections::BTreeSet<&'static str>,
    /// Some slope can be infinite or NaN though the parameters are not.
    pub singular: bool,
}

/// How a loop is reversed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reversal {
    /// Only the last overwrite counts: that iteration is run again.
    Overwritten,
    /// It carries a maximum or a minimum: the iterations that equal its result are found again.
    Extremum,
    /// Each iteration runs forward and backward at once.
    Fused,
    /// A loop of its own runs backwards.
    Separate,
    /// The same, segment by segment, each of which runs forward again first.
    Segments,
    /// Its backward loop runs beside it, from the other end.
    Met,
}

struct Frame {
    primal: RegionId,
    region: RegionId,
    in_scope: bool,
    adjoint: BTreeMap<Id, Id>,
}

struct Reverse<'a> {
    g: Graph,
    activity: Cow<'a, Activity>,
    /// How many nodes the primal has.
    primal_nodes: usize,
    order: Order,
    schedule: Option<&'a Schedule>,
    frames: Vec<Frame>,
    shadows: Map<ArrayId, ArrayId>,
    pairs: Vec<Pair>,
    reads: Vec<TokenStream>,
    /// Nodes of the primal that are computed again, and what they are copies of.
    origin: Map<Id, Id>,
    /// The adjoints that are sums.
    sums: Sums,
    /// `Some` while every adjoint is recorded.
    trace: Option<Vec<(Id, Id)>>,
    /// The parameters that may be infinite or NaN.
    unbounded: std::collections::BTreeSet<Id>,
    notes: Notes,
}

struct Snapshot {
    regions: Vec<Rc<Region>>,
    pairs: usize,
    loops: Vec<Rc<Loop>>,
    ifs: Vec<Rc<If>>,
}

/// The name of the caller's buffer for a parameter.
pub fn buffer(sig: &Signature, param: usize) -> proc_macro2::Ident {
    use syn::ext::IdentExt;
    local(&format!("d_{}", sig.params[param].ident.unraw()))
}

/// The function itself, without a backward pass.
pub fn alone(primal: &Primal) -> Gradient {
    Gradient {
        graph: primal.graph.clone(),
        body: primal.body,
        back: None,
        result: primal.result.clone(),
        writes: primal.writes.clone(),
        reads: primal.reads.clone(),
        scalars: Vec::new(),
        pairs: Vec::new(),
        sums: Sums::default(),
        assigned: std::collections::BTreeSet::new(),
        trace: Vec::new(),
        order: Order::default(),
        notes: Notes::default(),
    }
}

/// The backward pass of a function.
pub fn reverse(primal: &Primal, activity: &Activity, sig: &Signature, mode: Mode) -> Gradient {
    scheduled(primal, activity, sig, mode, None)
}

/// The backward pass of a function, some of whose loops may be checkpointed.
pub fn scheduled(
    primal: &Primal,
    activity: &Activity,
    sig: &Signature,
    mode: Mode,
    schedule: Option<&Schedule>,
) -> Gradient {
    let mut r = Reverse {
        g: primal.graph.clone(),
        activity: Cow::Borrowed(activity),
        primal_nodes: primal.graph.nodes.len(),
        schedule,
        order: Order::of(&primal.graph, primal.body),
        frames: Vec::new(),
        shadows: Map::default(),
        pairs: Vec::new(),
        reads: primal.reads.clone(),
        origin: Map::default(),
        sums: Sums::default(),
        trace: (mode == Mode::Trace).then(Vec::new),
        unbounded: masked::unbounded_parameters(primal, sig),
        notes: Notes::default(),
    };
    r.g.span = None;
    let split = mode == Mode::Split;
    let stmts = r.g.region(primal.body).stmts.clone();
    let region = if split {
        let back = r.g.open();
        r.g.remember(primal.body);
        r.pairs.push(Pair {
            back,
            primal: primal.body,
            kind: PairKind::Function,
        });
        back
    } else {
        r.g.reopen(primal.body);
        primal.body
    };
    r.frames.push(Frame {
        primal: primal.body,
        region,
        in_scope: !split,
        adjoint: BTreeMap::new(),
    });
    let copies = r.parameter_shadows(primal, sig);
    r.local_shadows();
    r.g.invalidate();
    let upstream = local("upstream");
    r.seed(&primal.result, &sig.output, quote!(#upstream), mode);
    for stmt in stmts.iter().rev() {
        r.visit(stmt);
    }
    for (to, from) in copies {
        r.g.copy(to, from, true);
    }
    let mut scalars = Vec::new();
    for (k, source) in primal.params.iter().enumerate() {
        if sig.params[k].active {
            r.collect(k, source, &mut Vec::new(), &mut scalars);
        }
    }
    r.g.close();
    let mut trace = r.trace.unwrap_or_default();
    trace.extend(
        scalars
            .iter()
            .filter_map(|s| match &primal.params[s.param] {
                Source::Scalar(id) => Some((*id, s.value)),
                _ => None,
            }),
    );
    // In the order of evaluation: parameters, then statements.
    trace.sort_by_key(|(id, _)| (r.order.position(*id), *id));
    let mut notes = r.notes;
    notes.every = schedule.map(|s| s.every.clone());
    Gradient {
        graph: r.g,
        body: primal.body,
        back: split.then_some(region),
        result: primal.result.clone(),
        writes: primal.writes.clone(),
        reads: r.reads,
        scalars,
        pairs: r.pairs,
        sums: r.sums,
        assigned: std::collections::BTreeSet::new(),
        trace,
        order: r.order,
        notes,
    }
}

impl Reverse<'_> {
    fn active(&self, id: Id) -> bool {
        let id = self.g.resolve(id);
        self.activity
            .node(&self.g, self.origin.get(&id).copied().unwrap_or(id))
    }

    fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn zero(&mut self, like: Id) -> Id {
        self.g.lit_like(0.0, like)
    }

    // ---- the ends ----

    fn seed(&mut self, result: &Output, shape: &Shape, upstream: TokenStream, mode: Mode) {
        match result {
            Output::Scalar(id) => {
                let id = self.g.resolve(*id);
                if !self.active(id) {
                    return;
                }
                let seed = if matches!(mode, Mode::Unit | Mode::Trace) {
                    self.g.lit_like(1.0, id)
                } else {
                    let k = self.reads.len() as u32;
                    self.reads.push(upstream);
                    let ty = self.g.ty(id);
                    let seed = self.g.bound(Node::Param(k), ty, None);
                    self.g.nodes[seed.0 as usize].name = Some("upstream".into());
                    seed
                };
                self.add(id, seed);
            }
            Output::Array(place) => {
                let shape = self.g.shape_at(place);
                let Some(shadow) = self.shadow(place) else {
                    return;
                };
                let given =
                    self.g
                        .new_array("upstream", shape, Init::Given(upstream), Span::call_site());
                self.g.array_mut(given).frozen = true;
                self.g.copy(
                    shadow,
                    Place {
                        array: given,
                        path: Vec::new(),
                    },
                    true,
                );
            }
            Output::Tuple(all) => {
                for (part, (member, shape)) in all.iter().zip(shape.parts().unwrap_or_default()) {
                    self.seed(part, &shape, quote!(#upstream.#member), mode);
                }
            }
        }
    }

    fn collect(
        &mut self,
        param: usize,
        source: &Source,
        path: &mut Vec<u32>,
        out: &mut Vec<ScalarGradient>,
    ) {
        match source {
            Source::Scalar(id) => {
                let value = match self.frame().adjoint.remove(id) {
                    Some(value) => value,
                    None => self.zero(*id),
                };
                out.push(ScalarGradient {
                    param,
                    path: path.clone(),
                    value,
                });
            }
            Source::Tuple(all) => {
                for (k, part) in all.iter().enumerate() {
                    path.push(k as u32);
                    self.collect(param, part, path, out);
                    path.pop();
                }
            }
            Source::Array(_) | Source::Constant => {}
        }
    }

    // ---- adjoints ----

    /// Adds to the adjoint of a node.
    fn add(&mut self, id: Id, term: Id) {
        let id = self.g.resolve(id);
        if !self.active(id) || self.g.constant(term) == Some(0.0) {
            return;
        }
        let old = self.frame().adjoint.get(&id).copied();
        let sum = match old {
            Some(old) if self.trace.is_some() => self.g.apply(Op::Add, &[old, term]),
            Some(old) => self.sums.add(&mut self.g, old, term),
            None => term,
        };
        self.frame().adjoint.insert(id, sum);
    }

    fn visit(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let(id) => self.visit_node(*id),
            Stmt::Store { place, value, add } => {
                let Some(shadow) = self.shadow(place) else {
                    return;
                };
                if !self.activity.array(place.array) {
                    return;
                }
                if self.active(*value) {
                    let d = self.g.load(shadow.clone());
                    if !add {
                        let zero = self.zero(d);
                        self.g.store(shadow, zero, false);
                    }
                    self.add(*value, d);
                } else if !add {
                    let ty = self.g.ty(*value);
                    let zero = self.g.lit(0.0, ty);
                    self.g.store(shadow, zero, false);
                }
            }
            Stmt::Copy { to, from, add } => {
                let Some(d_to) = self.shadow(to) else { return };
                let d_from = self
                    .shadow(from)
                    .filter(|_| self.activity.array(from.array));
                if let (Some(d_from), true) = (&d_from, from.array == to.array) {
                    // Parts of one array may be the same part.
                    let shape = self.g.shape_at(&d_to);
                    let held =
                        self.g
                            .declare("held", shape, Init::Copy(d_to.clone()), Span::call_site());
                    self.g.array_mut(held).shadow = true;
                    self.g.clear(d_to);
                    self.g.copy(
                        d_from.clone(),
                        Place {
                            array: held,
                            path: Vec::new(),
                        },
                        true,
                    );
                    return;
                }
                if let Some(d_from) = d_from {
                    self.g.copy(d_from, d_to.clone(), true);
                }
                if !add {
                    self.g.clear(d_to);
                }
            }
            Stmt::Swap(a, b) => {
                if let (Some(a), Some(b)) = (self.shadow(a), self.shadow(b)) {
                    self.g.swap(a, b);
                }
            }
            Stmt::Push(array, value) => {
                let Some(&shadow) = self.shadows.get(array) else {
                    return;
                };
                let d = self.pop_shadow(shadow, *value);
                self.add(*value, d);
            }
            Stmt::Pop(array, id) => {
                let Some(&shadow) = self.shadows.get(array) else {
                    return;
                };
                let d = match id {
                    Some(id) => match self.frame().adjoint.remove(id) {
                        Some(d) => d,
                        None => self.zero(*id),
                    },
                    None => return,
                };
                self.g.push_element(shadow, d);
            }
            Stmt::Declare(array) => self.visit_declare(*array),
            Stmt::If(branch) => self.visit_if(*branch),
            Stmt::Loop(looped) => self.visit_loop(*looped),
            Stmt::Call(call) => self.visit_call(*call),
            _ => {}
        }
    }

    fn pop_shadow(&mut self, shadow: ArrayId, like: Id) -> Id {
        let ty = self.g.ty(like);
        let k = self.g.nodes.len() as u32;
        let here = self.g.here();
        let d = self.g.bound(Node::Popped(shadow, k), ty, Some(here));
        let a = self.g.array_mut(shadow);
        a.version += 1;
        self.g.push(Stmt::Pop(shadow, Some(d)));
        d
    }
}
