//! Which values depend on a differentiated parameter.
//!
//! In: the primal graph. Out: [`Activity`]. What must hold afterwards: an active value flows only through nodes that have a
//! derivative or are piecewise constant; anything else is rejected here, at its span. This is the guard against a gradient
//! that is silently zero.

use crate::errors::{self, Errors};
use crate::graph::{
    Argument, ArrayId, Call, Element, Graph, Id, Init, Node, Output, Place, Primal, RegionId,
    Source, Stmt,
};
use crate::rules::Op;
use crate::shape::Shape;
use crate::signature::Signature;
use proc_macro2::Span;

/// What depends on a differentiated parameter.
#[derive(Clone, Default)]
pub struct Activity {
    nodes: Vec<bool>,
    arrays: Vec<bool>,
    /// What is piecewise constant ends a path.
    smooth: bool,
}

impl Activity {
    pub fn node(&self, graph: &Graph, id: Id) -> bool {
        self.nodes
            .get(graph.resolve(id).0 as usize)
            .copied()
            .unwrap_or(false)
    }
    /// A node made later is active.
    pub fn add_node(&mut self, id: Id) {
        let k = id.0 as usize;
        self.nodes.resize(self.nodes.len().max(k + 1), false);
        self.nodes[k] = true;
    }

    /// An array made later is active.
    pub fn add_array(&mut self, id: ArrayId) {
        let k = id.0 as usize;
        self.arrays.resize(self.arrays.len().max(k + 1), false);
        self.arrays[k] = true;
    }
    pub fn array(&self, id: ArrayId) -> bool {
        self.arrays.get(id.0 as usize).copied().unwrap_or(false)
    }

    /// Finds what is active, and rejects what an active value must not flow into.
    pub fn of(primal: &Primal, sig: &Signature, errors: &Errors) -> Activity {
        let g = &primal.graph;
        let a = Activity::over(g, primal, sig);
        a.check(primal, primal.body, errors);
        a.check_result(primal, &primal.result, &sig.output, sig, errors);
        a
    }

    /// What of a program around the primal, such as its gradient, depends on a differentiated parameter.
    pub fn over(g: &Graph, primal: &Primal, sig: &Signature) -> Activity {
        let mut a = Activity {
            nodes: vec![false; g.nodes.len()],
            arrays: vec![false; g.arrays.len()],
            smooth: false,
        };
        for (source, param) in primal.params.iter().zip(&sig.params) {
            if param.active {
                a.start(source);
            }
        }
        while a.region(g, primal.body) {}
        a
    }

    /// What depends on one parameter through more than what is piecewise constant.
    pub fn smooth(primal: &Primal, param: usize) -> Activity {
        let g = &primal.graph;
        let mut a = Activity {
            nodes: vec![false; g.nodes.len()],
            arrays: vec![false; g.arrays.len()],
            smooth: true,
        };
        a.start(&primal.params[param]);
        while a.region(g, primal.body) {}
        a
    }

    /// Leaves out what no result is computed from: its adjoint is zero, and stays out of the backward pass, where it might
    /// meet an infinity.
    pub fn restrict(&mut self, primal: &Primal) {
        let flow = crate::live::Live::flow(&crate::reverse::alone(primal));
        for (k, active) in self.nodes.iter_mut().enumerate() {
            *active &= flow.has(&primal.graph, Id(k as u32));
        }
        for (k, active) in self.arrays.iter_mut().enumerate() {
            *active &= flow.has_array(ArrayId(k as u32));
        }
    }

    fn start(&mut self, source: &Source) {
        match source {
            Source::Scalar(id) => self.nodes[id.0 as usize] = true,
            Source::Array(id) => self.arrays[id.0 as usize] = true,
            Source::Tuple(all) => all.iter().for_each(|s| self.start(s)),
            Source::Constant => {}
        }
    }

    fn mark(&mut self, g: &Graph, id: Id, active: bool) -> bool {
        let slot = &mut self.nodes[g.resolve(id).0 as usize];
        let changed = active && !*slot;
        *slot |= active;
        changed
    }

    fn mark_array(&mut self, id: ArrayId, active: bool) -> bool {
        let slot = &mut self.arrays[id.0 as usize];
        let changed = active && !*slot;
        *slot |= active;
        changed
    }

    fn element(&self, g: &Graph, e: &Element) -> bool {
        match e {
            Element::Scalar(id) => self.node(g, *id),
            Element::Part(p) => self.array(p.array),
            Element::Tuple(all) => all.iter().any(|e| self.element(g, e)),
        }
    }

    /// One pass; whether anything was found.
    fn region(&mut self, g: &Graph, region: RegionId) -> bool {
        let mut changed = false;
        for stmt in &g.region(region).stmts {
            changed |= match stmt {
                Stmt::Let(id) => {
                    let active = match g.node(*id) {
                        Node::Apply(Op::Powi, args) => self.node(g, args[0]),
                        Node::Apply(op, _)
                            if self.smooth && crate::warnings::is_piecewise_constant(*op) =>
                        {
                            false
                        }
                        Node::Apply(_, args) => args.iter().any(|&x| self.node(g, x)),
                        Node::Cast(x, _) => self.node(g, *x),
                        Node::Load(p, _) => {
                            self.array(p.array) && g.is_float(*id) && !constant(&g.shape_at(p))
                        }
                        Node::Opaque(k, args) => {
                            !g.opaque_of(*k).discrete && args.iter().any(|&x| self.node(g, x))
                        }
                        _ => false,
                    };
                    self.mark(g, *id, active)
                }
                Stmt::Declare(array) => {
                    let active = match &g.array(*array).init {
                        Init::List(all) => all.iter().any(|e| self.element(g, e)),
                        Init::Repeat(e) => self.element(g, e),
                        Init::Copy(p) => self.array(p.array),
                        _ => false,
                    };
                    self.mark_array(*array, active)
                }
                Stmt::Store { place, value, .. } => {
                    let active = self.node(g, *value) && !constant(&g.shape_at(place));
                    self.mark_array(place.array, active)
                }
                Stmt::Push(array, value) => {
                    let active = self.node(g, *value);
                    self.mark_array(*array, active)
                }
                Stmt::Pop(array, Some(id)) => {
                    let active = self.array(*array);
                    self.mark(g, *id, active)
                }
                Stmt::Copy { to, from, .. } => {
                    let active = self.array(from.array);
                    self.mark_array(to.array, active)
                }
                Stmt::Swap(p, q) => {
                    let active = self.array(p.array) || self.array(q.array);
                    self.mark_array(p.array, active) | self.mark_array(q.array, active)
                }
                Stmt::Call(call) => {
                    let call = g.call(*call);
                    let active = call.args.iter().any(|a| self.argument(g, a));
                    let mut c = false;
                    for &o in &call.outs {
                        c |= self.mark(g, o, active && g.is_float(o));
                    }
                    for a in call.arrays() {
                        c |= self.mark_array(a, active && g.array(a).shape.has_floats());
                    }
                    c
                }
                Stmt::If(branch) => {
                    let b = g.branch(*branch);
                    let mut c = self.region(g, b.then) | self.region(g, b.otherwise);
                    for s in &b.slots {
                        let active = self.node(g, s.then) || self.node(g, s.otherwise);
                        c |= self.mark(g, s.out, active);
                    }
                    c
                }
                Stmt::Loop(l) => {
                    let l = g.looped(*l);
                    let mut c = false;
                    loop {
                        let mut again = false;
                        for s in &l.carried {
                            let active = self.node(g, s.init) || self.node(g, s.next);
                            again |= self.mark(g, s.phi, active) | self.mark(g, s.out, active);
                        }
                        again |= self.region(g, l.body);
                        c |= again;
                        if !again {
                            break;
                        }
                    }
                    c
                }
                _ => false,
            };
        }
        changed
    }

    pub fn argument(&self, g: &Graph, a: &Argument) -> bool {
        match a {
            Argument::Scalar { value } => self.node(g, *value),
            Argument::Array { place, .. } => self.array(place.array),
        }
    }

    fn check(&self, primal: &Primal, region: RegionId, errors: &Errors) {
        let g = &primal.graph;
        for stmt in &g.region(region).stmts {
            match stmt {
                Stmt::Let(id) => {
                    if let Node::Opaque(k, args) = g.node(*id)
                        && !g.opaque_of(*k).discrete
                        && args.iter().any(|&x| self.node(g, x))
                    {
                        errors.reject_at(g.data(*id).span, &errors::ACTIVE_OPAQUE, "");
                    }
                    self.check_place(g, *id, errors);
                }
                Stmt::Store { place, value, .. }
                    if constant(&g.shape_at(place)) && self.node(g, *value) =>
                {
                    reject_constant(primal, *value, g.data(*value).span, errors);
                }
                Stmt::Declare(array) => {
                    if self.array(*array) && !self.laid_out(g, *array) {
                        errors.reject_at(g.array(*array).span, &errors::ROWS_INSIDE, "");
                    }
                    let data = g.array(*array);
                    let part = data.shape.element().unwrap_or(&Shape::Unknown);
                    match &data.init {
                        Init::List(all) => {
                            all.iter()
                                .for_each(|e| self.check_element(primal, e, part, errors));
                        }
                        Init::Repeat(e) => self.check_element(primal, e, part, errors),
                        _ => {}
                    }
                }
                Stmt::Call(c) => self.check_call(g, g.call(*c), errors),
                Stmt::Effect(..) => {}
                Stmt::If(b) => {
                    self.check(primal, g.branch(*b).then, errors);
                    self.check(primal, g.branch(*b).otherwise, errors);
                }
                Stmt::Loop(l) => self.check(primal, g.looped(*l).body, errors),

                _ => {}
            }
        }
    }

    /// What a function holds constant must not be active.
    fn check_call(&self, g: &Graph, call: &Call, errors: &Errors) {
        for p in call.passed.iter().filter(|p| p.constant) {
            let mut leaves = Vec::new();
            p.form.leaves(&mut leaves);
            if leaves.iter().any(|&k| self.argument(g, &call.args[k])) {
                errors.reject(&p.at, &errors::CALL_CONSTANT);
            }
        }
    }

    /// Whether the backward pass knows the lengths of an array: it does not see what a loop or branch made.
    fn laid_out(&self, g: &Graph, array: ArrayId) -> bool {
        let outer = |a: ArrayId| {
            let region = g.array(a).region;
            g.array(a).param.is_some() || region.is_some_and(|r| g.region(r).parent.is_none())
        };
        let grows = matches!(g.array(array).init, Init::Empty);
        g.plain_layout(array) || grows || outer(array) || outer(g.original(array))
    }

    /// What goes to a constant field of an array's element must not be active.
    fn check_element(&self, primal: &Primal, e: &Element, shape: &Shape, errors: &Errors) {
        let g = &primal.graph;
        match e {
            Element::Scalar(id) if constant(shape) && self.node(g, *id) => {
                reject_constant(primal, *id, g.data(*id).span, errors);
            }
            Element::Tuple(all) => {
                for (e, (_, s)) in all.iter().zip(shape.parts().unwrap_or_default()) {
                    self.check_element(primal, e, &s, errors);
                }
            }
            _ => {}
        }
    }

    /// A constant field of the result has no upstream gradient.
    fn check_result(
        &self,
        primal: &Primal,
        out: &Output,
        shape: &Shape,
        sig: &Signature,
        errors: &Errors,
    ) {
        match out {
            Output::Scalar(id) if constant(shape) && self.node(&primal.graph, *id) => {
                reject_constant(primal, *id, sig.ident.span(), errors);
            }
            Output::Tuple(all) => {
                for (o, (_, s)) in all.iter().zip(shape.parts().unwrap_or_default()) {
                    self.check_result(primal, o, &s, sig, errors);
                }
            }
            _ => {}
        }
    }

    /// An active array's elements must be floats, or known not to be.
    fn check_place(&self, g: &Graph, id: Id, errors: &Errors) {
        if let Node::Load(Place { array, .. }, _) = g.node(id)
            && self.array(*array)
            && matches!(g.types.kind(g.ty(id)), crate::types::Kind::Unknown)
        {
            errors.reject_at(g.data(id).span, &errors::ACTIVE_OPAQUE, "");
        }
    }
}

/// Rejects a value for a constant field where it is written; `span` is where it was computed, if nothing better is known.
fn reject_constant(primal: &Primal, value: Id, span: Span, errors: &Errors) {
    let g = &primal.graph;
    let mut found = false;
    for (id, at) in &primal.constant_fields {
        if g.resolve(*id) == g.resolve(value) {
            errors.reject(at, &errors::CONSTANT_FIELD);
            found = true;
        }
    }
    if !found {
        errors.reject_at(span, &errors::CONSTANT_FIELD, "");
    }
}

fn constant(shape: &Shape) -> bool {
    matches!(shape, Shape::Constant(_))
}
