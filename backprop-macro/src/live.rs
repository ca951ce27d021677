//! What of the program is needed.
//!
//! In: the program with its backward pass. Out: [`Live`], the nodes and arrays from which the results, the gradients or an
//! effect of the user's code can be reached. `keep` and `emit` look at nothing else, so rules may build more than is used.

use crate::graph::{
    Argument, ArrayData, ArrayId, CallId, Count, Element, Graph, Id, IfId, Init, LoopId, Node,
    Output, Place, RegionId, Stmt,
};
use crate::reverse::Gradient;

/// The nodes and arrays that are needed.
#[derive(Clone, Default)]
pub struct Live {
    /// For each node and array, by its index: every program asks for all of them, many times.
    nodes: Vec<bool>,
    arrays: Vec<bool>,
    changed: bool,
    /// Only what values flow from: not what is there to panic, to print, or for an array's length.
    flow: bool,
}

/// Nodes that were made since are not needed yet.
fn is(of: &[bool], index: u32) -> bool {
    of.get(index as usize) == Some(&true)
}

/// Marks an index; says whether it was marked before.
fn set(of: &mut Vec<bool>, index: u32) -> bool {
    let at = index as usize;
    if of.len() <= at {
        of.resize(at + 1, false);
    }
    std::mem::replace(&mut of[at], true)
}

impl Live {
    pub fn of(p: &Gradient) -> Live {
        Live::from(p, Live::default())
    }

    /// What the results are computed from. Of what is not in here every adjoint is zero.
    pub fn flow(p: &Gradient) -> Live {
        let flow = true;
        Live::from(
            p,
            Live {
                flow,
                ..Live::default()
            },
        )
    }

    fn from(p: &Gradient, mut live: Live) -> Live {
        live.nodes = vec![false; p.graph.nodes.len()];
        let given = |a: &ArrayData| matches!(a.init, Init::Given(_));
        live.arrays = p.graph.arrays.iter().map(given).collect();
        live.output(&p.graph, &p.result);
        for (_, value) in &p.writes {
            live.node(&p.graph, *value);
        }
        for s in &p.scalars {
            live.node(&p.graph, s.value);
        }
        for (node, adjoint) in &p.trace {
            live.node(&p.graph, *node);
            live.node(&p.graph, *adjoint);
        }
        loop {
            live.changed = false;
            if let Some(back) = p.back {
                live.region(&p.graph, back);
            }
            live.region(&p.graph, p.body);
            if !live.changed {
                return live;
            }
        }
    }

    pub fn has(&self, g: &Graph, id: Id) -> bool {
        is(&self.nodes, g.resolve(id).0)
    }

    pub fn has_array(&self, id: ArrayId) -> bool {
        is(&self.arrays, id.0)
    }

    fn output(&mut self, g: &Graph, out: &Output) {
        match out {
            Output::Scalar(id) => self.node(g, *id),
            Output::Array(p) => self.place(g, p),
            Output::Tuple(all) => all.iter().for_each(|o| self.output(g, o)),
        }
    }

    /// Marks a node and what it is computed from.
    pub fn node(&mut self, g: &Graph, id: Id) {
        let mut todo = vec![g.resolve(id)];
        while let Some(id) = todo.pop() {
            if set(&mut self.nodes, id.0) {
                continue;
            }
            self.changed = true;
            todo.extend(g.operands(id));
            match g.node(id) {
                Node::Len(..) if self.flow => {}
                Node::Load(p, _) | Node::Len(p, _) | Node::Whole(p, _) => {
                    self.array(p.array);
                }
                Node::Popped(a, _) => self.array(*a),
                _ => {}
            }
        }
    }

    fn array(&mut self, id: ArrayId) {
        self.changed |= !set(&mut self.arrays, id.0);
    }

    fn place(&mut self, g: &Graph, p: &Place) {
        self.array(p.array);
        for i in p.indices() {
            self.node(g, i);
        }
    }

    fn element(&mut self, g: &Graph, e: &Element) {
        match e {
            Element::Scalar(id) => self.node(g, *id),
            Element::Part(p) => self.place(g, p),
            Element::Tuple(all) => all.iter().for_each(|e| self.element(g, e)),
        }
    }

    fn argument(&mut self, g: &Graph, a: &Argument) {
        match a {
            Argument::Scalar { value } => self.node(g, *value),
            Argument::Array { place, held } => {
                self.place(g, place);
                self.node(g, *held);
            }
        }
    }

    /// Whether a statement must be emitted.
    pub fn stmt(&self, g: &Graph, stmt: &Stmt) -> bool {
        match stmt {
            Stmt::Let(id) => self.has(g, *id) || g.data(*id).pinned && !self.flow,
            Stmt::Effect(..) => !self.flow,
            Stmt::Call(c) if self.flow => {
                let call = g.call(*c);
                call.outs.iter().any(|&o| self.has(g, o))
                    || call.arrays().any(|a| self.has_array(a))
            }
            Stmt::Declare(a) => self.has_array(*a),
            Stmt::Store { place, .. } | Stmt::Clear(place) => self.has_array(place.array),
            Stmt::Copy { to, .. } => self.has_array(to.array),
            Stmt::Swap(a, b) => self.has_array(a.array) || self.has_array(b.array),
            Stmt::Push(a, _) | Stmt::Pop(a, _) | Stmt::Save(a, _) => self.has_array(*a),
            Stmt::If(b) => self.branch(g, *b),
            Stmt::Loop(l) => self.looped(g, *l),
            Stmt::Pullback(c) => self.pullback(g, *c),
            Stmt::Call(_)
            | Stmt::Bind(..)
            | Stmt::ReadTape(_)
            | Stmt::ReadTapeAt(..)
            | Stmt::ReadSaved(_) => true,
        }
    }

    pub fn any_in(&self, g: &Graph, region: RegionId) -> bool {
        g.region(region).stmts.iter().any(|s| match s {
            Stmt::Let(id) => g.data(*id).pinned && !self.flow,
            // A declaration alone does nothing.
            Stmt::Declare(_)
            | Stmt::Bind(..)
            | Stmt::ReadTape(_)
            | Stmt::ReadTapeAt(..)
            | Stmt::ReadSaved(_) => false,
            s => self.stmt(g, s),
        })
    }

    fn branch(&self, g: &Graph, b: IfId) -> bool {
        let data = g.branch(b);
        data.slots.iter().any(|s| self.has(g, s.out))
            || self.any_in(g, data.then)
            || self.any_in(g, data.otherwise)
            || data.rerun && self.chooses(g, b)
    }

    /// Whether a carried scalar is needed.
    pub fn carried(&self, g: &Graph, c: &crate::graph::Carried) -> bool {
        self.has(g, c.out) || is(&self.nodes, c.phi.0)
    }

    fn looped(&self, g: &Graph, l: LoopId) -> bool {
        let data = g.looped(l);
        data.shared
            || data.rerun && self.computes(g, l)
            || data.carried.iter().any(|c| self.has(g, c.out))
            || data.end.is_some_and(|e| self.has(g, e))
            || self.any_in(g, data.body)
    }

    /// Whether anything that a branch computes on the way is needed.
    fn chooses(&self, g: &Graph, b: IfId) -> bool {
        let data = g.branch(b);
        self.any_value(g, data.then) || self.any_value(g, data.otherwise)
    }

    /// Whether anything that a loop computes on the way is needed.
    fn computes(&self, g: &Graph, l: LoopId) -> bool {
        let data = g.looped(l);
        data.carried.iter().any(|c| is(&self.nodes, c.phi.0)) || self.any_value(g, data.body)
    }

    fn any_value(&self, g: &Graph, region: RegionId) -> bool {
        g.region(region).stmts.iter().any(|s| match s {
            Stmt::Let(id) => self.has(g, *id),
            Stmt::If(b) => self.chooses(g, *b),
            Stmt::Loop(l) => self.computes(g, *l),
            Stmt::Declare(_) => false,
            s => self.stmt(g, s),
        })
    }

    fn pullback(&self, g: &Graph, c: CallId) -> bool {
        let call = g.call(c);
        call.gradients.iter().flatten().any(|&d| self.has(g, d))
            || call
                .shadows
                .iter()
                .flatten()
                .any(|p| self.has_array(p.array))
    }

    fn region(&mut self, g: &Graph, region: RegionId) {
        for stmt in g.region(region).stmts.iter().rev() {
            if !self.stmt(g, stmt) {
                continue;
            }
            match stmt {
                Stmt::Let(id) => self.node(g, *id),
                Stmt::Declare(a) => {
                    let data = g.array(*a);
                    if let Some(len) = data.len {
                        self.node(g, len);
                    }
                    match &data.init {
                        Init::List(all) => all.iter().for_each(|e| self.element(g, e)),
                        Init::Repeat(e) => self.element(g, e),
                        Init::Copy(p) => self.place(g, p),
                        _ => {}
                    }
                }
                Stmt::Store { place, value, .. } => {
                    self.place(g, place);
                    self.node(g, *value);
                }
                Stmt::Copy { to, from, .. } => {
                    self.place(g, to);
                    self.place(g, from);
                }
                Stmt::Clear(p) => self.place(g, p),
                Stmt::Swap(a, b) => {
                    self.place(g, a);
                    self.place(g, b);
                }
                Stmt::Push(_, v) => self.node(g, *v),
                Stmt::Save(_, e) => self.element(g, e),
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    self.node(g, data.cond);
                    for s in &data.slots {
                        if self.has(g, s.out) {
                            self.node(g, s.then);
                            self.node(g, s.otherwise);
                        }
                    }
                    self.region(g, data.then);
                    self.region(g, data.otherwise);
                }
                Stmt::Loop(l) => self.loop_body(g, *l),
                Stmt::Effect(_, args) => args.iter().for_each(|a| self.node(g, *a)),
                Stmt::Call(c) => {
                    for a in &g.call(*c).args {
                        self.argument(g, a);
                    }
                }
                Stmt::Pullback(c) => {
                    let call = g.call(*c);
                    for a in &call.args {
                        self.argument(g, a);
                    }
                    call.upstream.iter().for_each(|d| self.node(g, *d));
                    let arrays = call.shadows.iter().chain(&call.incoming);
                    arrays.flatten().for_each(|p| self.place(g, p));
                }
                Stmt::Bind(_, from) | Stmt::ReadTapeAt(_, from) => self.node(g, *from),
                Stmt::Pop(..) | Stmt::ReadTape(_) | Stmt::ReadSaved(_) => {}
            }
        }
    }

    fn loop_body(&mut self, g: &Graph, l: LoopId) {
        let data = g.looped(l);
        match &data.count {
            Count::Range { lo, hi, .. } => {
                self.node(g, *lo);
                self.node(g, *hi);
            }
            Count::Stepped { lo, hi, step, .. } => {
                self.node(g, *lo);
                self.node(g, *hi);
                self.node(g, *step);
            }
            Count::Replay(of) => {
                if let Some(end) = g.looped(*of).end {
                    self.node(g, end);
                }
            }
            Count::Forever => {}
        }
        if let Some(again) = data.again {
            self.node(g, again);
        }
        data.tape.iter().for_each(|k| self.node(g, *k));
        let before = self.changed;
        let mut any = false;
        loop {
            self.changed = false;
            for c in &data.carried {
                if self.carried(g, c) {
                    self.node(g, c.init);
                    self.node(g, c.next);
                    self.node(g, c.out);
                }
            }
            self.region(g, data.body);
            if !self.changed {
                self.changed = before || any;
                return;
            }
            any = true;
        }
    }
}
