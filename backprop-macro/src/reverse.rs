//! Graph → graph: the backward pass.
//!
//! In: the primal and what is active in it. Out: [`Gradient`]: the same graph with the adjoint computation appended, or, for
//! `forward`/`backward`, in a region of its own. Reverse accumulation, statement by statement: each active scalar has one
//! adjoint, each active array a shadow. What must hold: the backward pass refers to values of the primal by their nodes,
//! wherever they were computed; `keep` makes them available. A loop whose iterations need nothing from one another
//! backwards, and whose adjoint is known before it runs, is *fused*: each iteration runs forward and backward at once.

use crate::activity::Activity;
use crate::graph::{
    ArrayId, CallId, Count, Element, Graph, Id, IfId, Init, LoopId, Node, Place, RegionId, Step,
    Stmt,
};
use crate::lower::{Output, Primal, Source};
use crate::order::Order;
use crate::rules::Op;
use crate::signature::{Signature, local};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::collections::{BTreeMap, HashMap};

/// Which backward pass is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    pub reads: Vec<TokenStream>,
    pub scalars: Vec<ScalarGradient>,
    pub pairs: Vec<Pair>,
    /// For `Trace`: nodes of the primal and their adjoints, in the order of the primal.
    pub trace: Vec<(Id, Id)>,
}

struct Frame {
    primal: RegionId,
    region: RegionId,
    in_scope: bool,
    adjoint: BTreeMap<Id, Id>,
}

struct Reverse<'a> {
    g: Graph,
    activity: &'a Activity,
    order: Order,
    frames: Vec<Frame>,
    shadows: HashMap<ArrayId, ArrayId>,
    pairs: Vec<Pair>,
    reads: Vec<TokenStream>,
    /// `Some` while every adjoint is recorded.
    trace: Option<Vec<(Id, Id)>>,
}

struct Snapshot {
    regions: Vec<crate::graph::Region>,
    pairs: usize,
    loops: Vec<crate::graph::Loop>,
    ifs: Vec<crate::graph::If>,
}

/// The name of the caller's buffer for a parameter.
pub fn buffer(sig: &Signature, param: usize) -> proc_macro2::Ident {
    use syn::ext::IdentExt;
    local(&format!("d_{}", sig.params[param].ident.unraw()))
}

/// The backward pass of a function.
pub fn reverse(primal: &Primal, activity: &Activity, sig: &Signature, mode: Mode) -> Gradient {
    let mut r = Reverse {
        g: primal.graph.clone(),
        activity,
        order: Order::of(&primal.graph, primal.body),
        frames: Vec::new(),
        shadows: HashMap::new(),
        pairs: Vec::new(),
        reads: primal.reads.clone(),
        trace: (mode == Mode::Trace).then(Vec::new),
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
    r.seed(&primal.result, quote!(#upstream), mode);
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
    trace.sort();
    Gradient {
        graph: r.g,
        body: primal.body,
        back: split.then_some(region),
        result: primal.result.clone(),
        reads: r.reads,
        scalars,
        pairs: r.pairs,
        trace,
    }
}

impl Reverse<'_> {
    fn active(&self, id: Id) -> bool {
        self.activity.node(&self.g, id)
    }

    fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn zero(&mut self, like: Id) -> Id {
        self.g.lit_like(0.0, like)
    }

    // ---- shadows ----

    /// The shadows of array parameters: the caller's buffers, or local ones to be added to them at the end.
    fn parameter_shadows(&mut self, primal: &Primal, sig: &Signature) -> Vec<(Place, Place)> {
        let mut copies = Vec::new();
        for (k, source) in primal.params.iter().enumerate() {
            if !sig.params[k].active {
                continue;
            }
            let name = buffer(sig, k);
            let mut arrays = Vec::new();
            array_leaves(source, quote!(#name), &mut arrays);
            for (array, tokens) in arrays {
                let data = self.g.array(array).clone();
                let given = self.g.new_array(
                    &format!("d_{}", data.name),
                    data.shape.clone(),
                    Init::Given(tokens),
                    Span::call_site(),
                );
                self.g.array_mut(given).shadow = true;
                if !data.mutated {
                    self.shadows.insert(array, given);
                    continue;
                }
                let own = self.new_shadow(array);
                let here = self.g.here();
                self.g.region_mut(here).stmts.insert(0, Stmt::Declare(own));
                let whole = |array| Place {
                    array,
                    path: Vec::new(),
                };
                copies.push((whole(given), whole(own)));
            }
        }
        copies
    }

    fn new_shadow(&mut self, array: ArrayId) -> ArrayId {
        let data = self.g.array(array).clone();
        let shadow = self.g.new_array(
            &format!("d_{}", data.name),
            data.shape,
            Init::Zeros,
            data.span,
        );
        let s = self.g.array_mut(shadow);
        s.shadow = true;
        s.len = data.len;
        s.like = Some(array);
        self.shadows.insert(array, shadow);
        shadow
    }

    /// Declares the shadows of the active arrays of the frame's region.
    fn local_shadows(&mut self) {
        let last = self.frames.len() - 1;
        let (primal, region, in_scope) = (
            self.frames[last].primal,
            self.frames[last].region,
            self.frames[last].in_scope,
        );
        let arrays: Vec<ArrayId> = (0..self.g.arrays.len() as u32)
            .map(ArrayId)
            .filter(|&a| {
                let d = self.g.array(a);
                !d.shadow && d.region == Some(primal) && d.param.is_none() && self.activity.array(a)
            })
            .collect();
        for array in arrays {
            let grows = self.order.grows(array);
            if grows {
                // Its length is known when the region has run.
                let ty = self.g.usize_ty();
                let place = Place {
                    array,
                    path: Vec::new(),
                };
                let len = self.g.bound(Node::Len(place, u32::MAX), ty, Some(primal));
                self.g.array_mut(array).len = Some(len);
                self.g.region_mut(primal).stmts.push(Stmt::Let(len));
            }
            let shadow = self.new_shadow(array);
            let at = if grows && in_scope {
                self.g.region(region).stmts.len()
            } else if in_scope {
                let declared = self
                    .g
                    .region(region)
                    .stmts
                    .iter()
                    .position(|s| matches!(s, Stmt::Declare(a) if *a == array));
                declared.map_or(0, |k| k + 1)
            } else {
                0
            };
            self.g.array_mut(shadow).region = Some(region);
            self.g
                .region_mut(region)
                .stmts
                .insert(at, Stmt::Declare(shadow));
        }
    }

    fn shadow(&self, place: &Place) -> Option<Place> {
        let array = *self.shadows.get(&place.array)?;
        Some(Place {
            array,
            path: place.path.clone(),
        })
    }

    // ---- the ends ----

    fn seed(&mut self, result: &Output, upstream: TokenStream, mode: Mode) {
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
                for (k, part) in all.iter().enumerate() {
                    let k = syn::Index::from(k);
                    self.seed(part, quote!(#upstream.#k), mode);
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
            Some(old) => self.g.apply(Op::Add, &[old, term]),
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

    fn visit_node(&mut self, y: Id) {
        let Some(dy) = self.frame().adjoint.remove(&y) else {
            return;
        };
        if let Some(trace) = &mut self.trace {
            trace.push((y, dy));
        }
        match self.g.node(y).clone() {
            Node::Apply(op, args) => {
                if self.trace.is_none()
                    && let Some((operand, d)) = crate::stable::adjoint(&mut self.g, y, dy)
                {
                    self.add(operand, d);
                    return;
                }
                let args: Vec<Id> = args.iter().map(|&a| self.g.resolve(a)).collect();
                let columns = op.vjp(&mut self.g, &args, y, dy);
                for (arg, d) in args.into_iter().zip(columns) {
                    self.add(arg, d);
                }
            }
            Node::Cast(a, _) => {
                let ty = self.g.ty(a);
                let to = self.g.types.float(ty);
                let d = self.g.compute(Node::Cast(dy, Some(to)), ty);
                self.add(a, d);
            }
            Node::Load(place, _) => {
                if let Some(shadow) = self.shadow(&place) {
                    self.g.store(shadow, dy, true);
                }
            }
            _ => {}
        }
    }

    fn visit_declare(&mut self, array: ArrayId) {
        let Some(&shadow) = self.shadows.get(&array) else {
            return;
        };
        if !self.activity.array(array) {
            return;
        }
        let at = |k: Id| Place {
            array: shadow,
            path: vec![Step::Index(k)],
        };
        match self.g.array(array).init.clone() {
            Init::List(all) => {
                for (k, e) in all.iter().enumerate() {
                    let k = self.g.usize_const(k);
                    self.element(e, at(k));
                }
            }
            Init::Repeat(e) => {
                if !self.element_active(&e) {
                    return;
                }
                let whole = Place {
                    array,
                    path: Vec::new(),
                };
                self.g.invalidate();
                let len = match self.g.array(array).len {
                    Some(len) => len,
                    None => crate::lower::fixed_len(&mut self.g, &whole),
                };
                // Every element had the same value: their adjoints are summed, in a loop like any other.
                let region = self.g.open();
                let ty = self.g.usize_ty();
                let index = self
                    .g
                    .bound(Node::Index(LoopId(u32::MAX)), ty, Some(region));
                self.frames.push(Frame {
                    primal: region,
                    region,
                    in_scope: false,
                    adjoint: BTreeMap::new(),
                });
                self.element(&e, at(index));
                let frame = self.frames.pop();
                let lo = self.g.usize_const(0);
                let count = Count::Range {
                    index,
                    lo,
                    hi: len,
                    inclusive: false,
                    rev: false,
                };
                let mut sums = Vec::new();
                for (n, v) in frame.map(|f| f.adjoint).unwrap_or_default() {
                    let ty = self.g.ty(v);
                    let phi = self
                        .g
                        .bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(region));
                    let next = self.g.apply(Op::Add, &[phi, v]);
                    sums.push((n, phi, next));
                }
                self.g.close();
                let looped = self.g.new_loop(count, region, Span::call_site());
                self.g.nodes[index.0 as usize].node = Node::Index(looped);
                let mut outs = Vec::new();
                for (n, phi, next) in sums {
                    let init = self.zero(phi);
                    outs.push((n, self.g.carry(looped, phi, init, next)));
                }
                self.g.push(Stmt::Loop(looped));
                self.g.invalidate();
                for (n, out) in outs {
                    self.add(n, out);
                }
            }
            Init::Copy(from) => {
                if let Some(d_from) = self
                    .shadow(&from)
                    .filter(|_| self.activity.array(from.array))
                {
                    self.g.copy(
                        d_from,
                        Place {
                            array: shadow,
                            path: Vec::new(),
                        },
                        true,
                    );
                }
            }
            _ => {}
        }
    }

    fn element_active(&self, e: &Element) -> bool {
        match e {
            Element::Scalar(id) => self.active(*id),
            Element::Part(p) => self.activity.array(p.array),
            Element::Tuple(all) => all.iter().any(|e| self.element_active(e)),
        }
    }

    /// The adjoint of one element of an array literal, from the element's shadow.
    fn element(&mut self, e: &Element, at: Place) {
        match e {
            Element::Scalar(id) => {
                if self.active(*id) {
                    let d = self.g.load(at);
                    self.add(*id, d);
                }
            }
            Element::Part(p) => {
                if let Some(to) = self.shadow(p).filter(|_| self.activity.array(p.array)) {
                    self.g.copy(to, at, true);
                }
            }
            Element::Tuple(all) => {
                for (k, e) in all.iter().enumerate() {
                    let mut part = at.clone();
                    part.path.push(Step::Field(k as u32));
                    self.element(e, part);
                }
            }
        }
    }

    fn visit_call(&mut self, call: CallId) {
        let data = self.g.call(call).clone();
        let Some(dy) = data
            .outs
            .first()
            .and_then(|o| self.frame().adjoint.remove(o))
        else {
            return;
        };
        let mut gradients = Vec::new();
        let mut shadows = Vec::new();
        for (k, arg) in data.args.iter().enumerate() {
            let (mut node, mut place) = (None, None);
            match arg {
                crate::graph::Argument::Scalar { value, .. } if self.active(*value) => {
                    let ty = self.g.ty(*value);
                    let here = self.g.here();
                    let d = self
                        .g
                        .bound(Node::CallOut(call, k as u32 + 1), ty, Some(here));
                    node = Some(d);
                }
                crate::graph::Argument::Array { place: p, .. } if self.activity.array(p.array) => {
                    place = self.shadow(p)
                }
                _ => {}
            }
            gradients.push(node);
            shadows.push(place);
        }
        let c = self.g.call_mut(call);
        c.upstream = vec![dy];
        c.gradients = gradients.clone();
        c.shadows = shadows.clone();
        for p in shadows.iter().flatten() {
            self.g.array_mut(p.array).version += 1;
        }
        self.g.push(Stmt::Pullback(call));
        for (arg, d) in data.args.iter().zip(gradients) {
            if let (crate::graph::Argument::Scalar { value, .. }, Some(d)) = (arg, d) {
                self.add(*value, d);
            }
        }
    }

    // ---- branches ----

    fn visit_if(&mut self, branch: IfId) {
        let data = self.g.branch(branch).clone();
        let mut upstream = Vec::new();
        for s in &data.slots {
            if let Some(d) = self.frame().adjoint.remove(&s.out) {
                upstream.push((s.then, s.otherwise, d));
            }
        }
        let stored = self.order.stored_in_branch(&self.g, branch);
        let stores = stored.iter().any(|a| self.activity.array(*a));
        if upstream.is_empty() && !stores {
            return;
        }
        let span = self.order.branch_span(branch);
        let seeds: Vec<Id> = upstream.iter().map(|u| u.2).collect();
        let outer_stores = stored.iter().any(|&a| {
            self.activity.array(a) && !self.declared_inside(a, &[data.then, data.otherwise])
        });
        if !outer_stores
            && self.in_scope()
            && self.loads_settled(&[data.then, data.otherwise], span)
            && let Some(moves) = self.available_before(&seeds, &Stmt::If(branch))
        {
            self.move_before(&moves, &Stmt::If(branch));
            let a = self.fused_side(data.then, upstream.iter().map(|u| (u.0, u.2)).collect());
            let b = self.fused_side(
                data.otherwise,
                upstream.iter().map(|u| (u.1, u.2)).collect(),
            );
            self.join(branch, a, b);
            return;
        }
        self.g.invalidate();
        let a = self.side(
            branch,
            data.then,
            true,
            upstream.iter().map(|u| (u.0, u.2)).collect(),
        );
        let b = self.side(
            branch,
            data.otherwise,
            false,
            upstream.iter().map(|u| (u.1, u.2)).collect(),
        );
        let back = self.g.new_if(data.cond, a.0, b.0);
        self.g.push(Stmt::If(back));
        self.g.invalidate();
        self.join(back, a.1, b.1);
    }

    fn fused_side(&mut self, region: RegionId, seeds: Vec<(Id, Id)>) -> BTreeMap<Id, Id> {
        let stmts = self.g.region(region).stmts.clone();
        self.g.reopen(region);
        self.frames.push(Frame {
            primal: region,
            region,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        self.run_side(&stmts, seeds)
    }

    fn side(
        &mut self,
        branch: IfId,
        primal: RegionId,
        then: bool,
        seeds: Vec<(Id, Id)>,
    ) -> (RegionId, BTreeMap<Id, Id>) {
        let stmts = self.g.region(primal).stmts.clone();
        let back = self.g.open();
        self.g.remember(primal);
        self.pairs.push(Pair {
            back,
            primal,
            kind: PairKind::Branch(branch, then),
        });
        self.frames.push(Frame {
            primal,
            region: back,
            in_scope: false,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        let left = self.run_side(&stmts, seeds);
        (back, left)
    }

    fn run_side(&mut self, stmts: &[Stmt], seeds: Vec<(Id, Id)>) -> BTreeMap<Id, Id> {
        for (node, d) in seeds {
            self.add(node, d);
        }
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
        self.g.close();
        self.frames.pop().map(|f| f.adjoint).unwrap_or_default()
    }

    /// What both sides of a branch add to adjoints of values from outside.
    fn join(&mut self, branch: IfId, a: BTreeMap<Id, Id>, b: BTreeMap<Id, Id>) {
        let keys: std::collections::BTreeSet<Id> = a.keys().chain(b.keys()).copied().collect();
        for n in keys {
            let x = a.get(&n).copied();
            let y = b.get(&n).copied();
            let zero = self.zero(n);
            let (x, y) = (x.unwrap_or(zero), y.unwrap_or(zero));
            let total = if x == y
                || self.g.constant(x).is_some() && self.g.constant(x) == self.g.constant(y)
            {
                x
            } else {
                self.g.yield_from(branch, x, y)
            };
            self.add(n, total);
        }
    }

    // ---- loops ----

    fn visit_loop(&mut self, looped: LoopId) {
        let data = self.g.looped(looped).clone();
        let mut slots = Vec::new();
        let mut any = false;
        for (k, c) in data.carried.iter().enumerate() {
            if self.active(c.phi) || self.active(c.out) {
                let d = self.frame().adjoint.get(&c.out).copied();
                any |= d.is_some();
                slots.push((k, d));
            }
        }
        let stored = self.order.stored_in_loop(&self.g, looped);
        let stores = stored
            .iter()
            .any(|&a| self.activity.array(a) && !self.declared_inside(a, &[data.body]));
        if !any && !stores {
            return;
        }
        for (k, _) in &slots {
            let out = data.carried[*k].out;
            self.frame().adjoint.remove(&out);
        }
        let linear = |r: &Self, k: usize| {
            r.reaches(
                data.carried[k].next,
                data.carried[k].phi,
                &mut Default::default(),
            )
        };
        let all_linear = slots
            .iter()
            .all(|(k, d)| d.is_none() && !self.active(data.carried[*k].phi) || linear(self, *k));
        if !stores && all_linear && self.in_scope() && self.fused_loop(looped, &data, &slots) {
            return;
        }
        // Try with every linear slot's adjoint as a constant of the loop; then only with those for which that held.
        let mut constant: Vec<usize> = slots
            .iter()
            .filter(|(k, d)| d.is_some() && linear(self, *k))
            .map(|(k, _)| *k)
            .collect();
        loop {
            let snapshot = self.snapshot();
            let failed = self.separate_loop(looped, &data, &slots, &constant);
            if failed.is_empty() {
                return;
            }
            self.restore(snapshot);
            constant.retain(|k| !failed.contains(k));
        }
    }

    /// Whether a value is another one plus terms.
    fn reaches(&self, from: Id, phi: Id, seen: &mut std::collections::HashSet<Id>) -> bool {
        let from = self.g.resolve(from);
        if from == phi {
            return true;
        }
        if !seen.insert(from) {
            return true;
        }
        match self.g.node(from) {
            Node::Apply(Op::Add, a) => {
                self.reaches(a[0], phi, &mut seen.clone()) || self.reaches(a[1], phi, seen)
            }
            Node::Apply(Op::Sub, a) => self.reaches(a[0], phi, seen),
            Node::IfOut(b, k) => {
                let s = &self.g.branch(*b).slots[*k as usize];
                self.reaches(s.then, phi, seen) && self.reaches(s.otherwise, phi, seen)
            }
            Node::LoopOut(l, k) => {
                let c = &self.g.looped(*l).carried[*k as usize];
                self.reaches(c.init, phi, seen)
                    && self.reaches(c.next, c.phi, &mut Default::default())
            }
            _ => false,
        }
    }

    fn fused_loop(
        &mut self,
        looped: LoopId,
        data: &crate::graph::Loop,
        slots: &[(usize, Option<Id>)],
    ) -> bool {
        let span = self.order.loop_span(looped);
        if !self.loads_settled(&[data.body], span) {
            return false;
        }
        let seeds: Vec<Id> = slots.iter().filter_map(|s| s.1).collect();
        let here = Stmt::Loop(looped);
        let Some(moves) = self.available_before(&seeds, &here) else {
            return false;
        };
        let snapshot = self.snapshot();
        self.move_before(&moves, &here);
        let stmts = self.g.region(data.body).stmts.clone();
        self.g.reopen(data.body);
        self.frames.push(Frame {
            primal: data.body,
            region: data.body,
            in_scope: true,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        for (k, d) in slots {
            if let Some(d) = d {
                self.add(data.carried[*k].next, *d);
            }
        }
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
        let mut left = self.frames.pop().map(|f| f.adjoint).unwrap_or_default();
        let mut holds = true;
        for (k, d) in slots {
            holds &= left.remove(&data.carried[*k].phi) == *d;
        }
        if !holds {
            self.g.close();
            self.restore(snapshot);
            return false;
        }
        let sums = self.accumulators(data.body, left);
        self.g.close();
        for (n, phi, next) in sums {
            let init = self.zero(phi);
            let out = self.g.carry(looped, phi, init, next);
            self.add(n, out);
        }
        for (k, d) in slots {
            if let Some(d) = d {
                self.add(data.carried[*k].init, *d);
            }
        }
        true
    }

    /// Sums, over a loop's iterations, of what each adds to the adjoints of values from outside.
    fn accumulators(&mut self, body: RegionId, left: BTreeMap<Id, Id>) -> Vec<(Id, Id, Id)> {
        let mut sums = Vec::new();
        for (n, v) in left {
            let ty = self.g.ty(n);
            let phi = self.g.bound(Node::Phi(LoopId(u32::MAX), 0), ty, Some(body));
            let name = self.g.data(n).name.as_ref().map(|s| format!("d_{s}"));
            self.g.nodes[phi.0 as usize].name = name.map(|s| s.as_str().into());
            let next = self.g.apply(Op::Add, &[phi, v]);
            sums.push((n, phi, next));
        }
        sums
    }

    /// The loop that runs backwards; the slots whose adjoint turned out not to be constant, if any.
    fn separate_loop(
        &mut self,
        looped: LoopId,
        data: &crate::graph::Loop,
        slots: &[(usize, Option<Id>)],
        constant: &[usize],
    ) -> Vec<usize> {
        self.g.invalidate();
        let stmts = self.g.region(data.body).stmts.clone();
        let back = self.g.open();
        self.g.remember(data.body);
        let reversed = LoopId(self.g.loops.len() as u32);
        let count = self.reversed_count(looped, data);
        self.g.new_loop(count, back, data.span);
        self.g.looped_mut(reversed).reverses = Some(looped);
        self.pairs.push(Pair {
            back,
            primal: data.body,
            kind: PairKind::Loop(looped, reversed),
        });
        self.frames.push(Frame {
            primal: data.body,
            region: back,
            in_scope: false,
            adjoint: BTreeMap::new(),
        });
        self.local_shadows();
        let mut carried = Vec::new();
        for (k, d) in slots {
            let c = &data.carried[*k];
            let init = match d {
                Some(d) => *d,
                None => self.zero(c.phi),
            };
            if constant.contains(k) {
                self.add(c.next, init);
                continue;
            }
            let ty = self.g.ty(c.phi);
            let phi = self.g.bound(Node::Phi(reversed, 0), ty, Some(back));
            let name = self.g.data(c.phi).name.as_ref().map(|s| format!("d_{s}"));
            self.g.nodes[phi.0 as usize].name = name.map(|s| s.as_str().into());
            self.add(c.next, phi);
            carried.push((*k, phi, init));
        }
        for stmt in stmts.iter().rev() {
            self.visit(stmt);
        }
        let mut failed = Vec::new();
        for (k, d) in slots {
            if constant.contains(k) && self.frame().adjoint.remove(&data.carried[*k].phi) != *d {
                failed.push(*k);
            }
        }
        let mut nexts = Vec::new();
        for (k, phi, init) in &carried {
            let next = match self.frame().adjoint.remove(&data.carried[*k].phi) {
                Some(next) => next,
                None => self.zero(*phi),
            };
            nexts.push((*k, *phi, *init, next));
        }
        let left = self.frames.pop().map(|f| f.adjoint).unwrap_or_default();
        let sums = self.accumulators(back, left);
        self.g.close();
        if !failed.is_empty() {
            return failed;
        }
        let mut outs = Vec::new();
        for (k, phi, init, next) in nexts {
            outs.push((
                data.carried[k].init,
                self.g.carry(reversed, phi, init, next),
            ));
        }
        for (n, phi, next) in sums {
            let init = match self.frame().adjoint.remove(&n) {
                Some(d) => d,
                None => self.zero(phi),
            };
            outs.push((n, self.g.carry(reversed, phi, init, next)));
        }
        self.g.push(Stmt::Loop(reversed));
        self.g.invalidate();
        for k in constant {
            if let Some((_, Some(d))) = slots.iter().find(|s| s.0 == *k) {
                self.add(data.carried[*k].init, *d);
            }
        }
        for (n, out) in outs {
            self.add(n, out);
        }
        Vec::new()
    }

    fn reversed_count(&mut self, looped: LoopId, data: &crate::graph::Loop) -> Count {
        match data.count.clone() {
            Count::Range {
                index,
                lo,
                hi,
                inclusive,
                rev,
            } => {
                let (mut lo, mut hi) = (lo, hi);
                if data.again.is_some() {
                    let end = match data.end {
                        Some(end) => end,
                        None => {
                            let ty = self.g.ty(index);
                            let parent = self.g.region(data.body).parent;
                            let end = self.g.bound(Node::LoopEnd(looped), ty, parent);
                            self.g.looped_mut(looped).end = Some(end);
                            end
                        }
                    };
                    if rev {
                        lo = end;
                    } else {
                        hi = end;
                    }
                }
                Count::Range {
                    index,
                    lo,
                    hi,
                    inclusive,
                    rev: !rev,
                }
            }
            _ => {
                // What is replayed is counted.
                if data.end.is_none() {
                    let ty = self.g.usize_ty();
                    let parent = self.g.region(data.body).parent;
                    let end = self.g.bound(Node::LoopEnd(looped), ty, parent);
                    self.g.looped_mut(looped).end = Some(end);
                }
                Count::Replay(looped)
            }
        }
    }

    // ---- what may be fused ----

    fn in_scope(&self) -> bool {
        self.frames.last().is_some_and(|f| f.in_scope)
    }

    fn declared_inside(&self, array: ArrayId, regions: &[RegionId]) -> bool {
        self.g
            .array(array)
            .region
            .is_some_and(|r| regions.iter().any(|&outer| self.g.encloses(outer, r)))
    }

    /// Whether no active array loaded in the regions is stored to afterwards: only then may its shadow be added to early.
    fn loads_settled(&self, regions: &[RegionId], span: (usize, usize)) -> bool {
        let mut arrays = std::collections::BTreeSet::new();
        for &r in regions {
            self.order.loaded_in(&self.g, r, &mut arrays);
        }
        arrays.into_iter().all(|a| {
            !self.activity.array(a)
                || self.declared_inside(a, regions)
                || !self.order.grows(a) && !self.order.stored_after(a, span.1)
        })
    }

    /// The statements to move so that the values are known before a statement of the frame's region; `None` if they
    /// depend on what runs later.
    fn available_before(&self, values: &[Id], stmt: &Stmt) -> Option<Vec<Id>> {
        let region = self.g.here();
        let stmts = &self.g.region(region).stmts;
        let at = stmts.iter().position(|s| same_stmt(s, stmt))?;
        let mut moves = Vec::new();
        let mut todo: Vec<Id> = values.to_vec();
        let mut seen = std::collections::HashSet::new();
        while let Some(id) = todo.pop() {
            let id = self.g.resolve(id);
            if !seen.insert(id) {
                continue;
            }
            let data = self.g.data(id);
            match data.region {
                None => continue,
                Some(r) if r != region => {
                    if self.g.encloses(r, region) {
                        continue;
                    }
                    return None;
                }
                Some(_) => {}
            }
            let before = stmts[..at].iter().any(|s| match s {
                Stmt::Let(x) => *x == id,
                Stmt::If(b) => matches!(data.node, Node::IfOut(i, _) if i == *b),
                Stmt::Loop(l) => {
                    matches!(data.node, Node::LoopOut(i, _) | Node::LoopEnd(i) if i == *l)
                }
                Stmt::Call(c) => matches!(data.node, Node::CallOut(i, 0) if i == *c),
                Stmt::Pop(_, Some(x)) => *x == id,
                _ => false,
            });
            if before || matches!(data.node, Node::Phi(..) | Node::Index(_)) {
                continue;
            }
            match data.node {
                Node::Apply(..) | Node::Cast(..) | Node::Opaque(..) => {
                    moves.push(id);
                    todo.extend(self.g.operands(id));
                }
                _ => return None,
            }
        }
        moves.sort();
        Some(moves)
    }

    fn move_before(&mut self, moves: &[Id], stmt: &Stmt) {
        if moves.is_empty() {
            return;
        }
        let region = self.g.here();
        let stmts = &mut self.g.region_mut(region).stmts;
        stmts.retain(|s| !matches!(s, Stmt::Let(id) if moves.contains(id)));
        if let Some(at) = stmts.iter().position(|s| same_stmt(s, stmt)) {
            for (k, id) in moves.iter().enumerate() {
                stmts.insert(at + k, Stmt::Let(*id));
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            regions: self.g.regions.clone(),
            pairs: self.pairs.len(),
            loops: self.g.loops.clone(),
            ifs: self.g.ifs.clone(),
        }
    }

    fn restore(&mut self, s: Snapshot) {
        self.pairs.truncate(s.pairs);
        self.g.restore(s.regions, s.loops, s.ifs);
    }
}

fn same_stmt(a: &Stmt, b: &Stmt) -> bool {
    match (a, b) {
        (Stmt::If(x), Stmt::If(y)) => x == y,
        (Stmt::Loop(x), Stmt::Loop(y)) => x == y,
        _ => false,
    }
}

fn array_leaves(source: &Source, tokens: TokenStream, out: &mut Vec<(ArrayId, TokenStream)>) {
    match source {
        Source::Array(a) => out.push((*a, tokens)),
        Source::Tuple(all) => {
            for (k, s) in all.iter().enumerate() {
                let k = syn::Index::from(k);
                array_leaves(s, quote!(#tokens.#k), out);
            }
        }
        Source::Scalar(_) | Source::Constant => {}
    }
}
