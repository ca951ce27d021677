//! Runs a program inside the compiler, as the emitted code would run.
//!
//! In: a program (the function itself, a backward pass after all rewrites, a forward tangent) and values for its
//! parameters. Out: what it computes, or why that cannot be known here. What must hold: statements run exactly where
//! `emit` would put them, and a value is forgotten when its region ends, so that a value which would be out of scope in
//! the emitted code is out of scope here too. Floats are evaluated as `f64`, whatever their type: what is checked is the
//! mathematics, not its last bits.

mod constants;
mod places;
mod receiver;
mod statements;
mod values;

use crate::graph::maps::Map;
use crate::graph::*;
use crate::graph::{Primal, Source};
use crate::live::Live;
use crate::reverse::{Gradient, PairKind, buffer};
use crate::shape::{Length, Shape};
use crate::signature::Signature;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeMap;

pub use constants::Constants;
pub use receiver::Receiver;
use values::read_opaque;

/// Statements after which one evaluation is given up.
const MAX_STEPS: u64 = 1_000_000;

/// A scalar.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scalar {
    Float(f64),
    Int(i128),
    Bool(bool),
    /// A part of `self` that is no scalar, by its number in [`Receiver`].
    Part(u32),
}

/// A value of any shape.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    /// The gradient of a constant.
    Unit,
}

/// Why a program gives no value.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// It is not known while compiling: what, for people.
    Unknown(String),
    /// The function panics there.
    Panic(String),
    /// It runs for too long.
    Long,
}

type Result<T> = std::result::Result<T, Stop>;

pub(crate) fn unknown<T>(what: impl Into<String>) -> Result<T> {
    Err(Stop::Unknown(what.into()))
}

impl Value {
    /// The floats in it, in order.
    pub fn floats(&self, out: &mut Vec<f64>) {
        match self {
            Value::Scalar(Scalar::Float(x)) => out.push(*x),
            Value::List(all) | Value::Tuple(all) => all.iter().for_each(|v| v.floats(out)),
            _ => {}
        }
    }

    /// The same with its floats replaced in order.
    pub fn with_floats(&self, from: &mut impl Iterator<Item = f64>) -> Value {
        match self {
            Value::Scalar(Scalar::Float(x)) => {
                Value::Scalar(Scalar::Float(from.next().unwrap_or(*x)))
            }
            Value::List(all) => Value::List(all.iter().map(|v| v.with_floats(from)).collect()),
            Value::Tuple(all) => Value::Tuple(all.iter().map(|v| v.with_floats(from)).collect()),
            other => other.clone(),
        }
    }

    /// The shape of its gradient, filled with zeros: constants have none.
    pub fn zeros(&self) -> Value {
        match self {
            Value::Scalar(Scalar::Float(_)) => Value::Scalar(Scalar::Float(0.0)),
            Value::Scalar(_) | Value::Unit => Value::Unit,
            Value::List(all) => Value::List(all.iter().map(Value::zeros).collect()),
            Value::Tuple(all) => Value::Tuple(all.iter().map(Value::zeros).collect()),
        }
    }

    /// `self += other`, float by float.
    fn add(&mut self, other: &Value) -> Result<()> {
        match (self, other) {
            (Value::Scalar(Scalar::Float(a)), Value::Scalar(Scalar::Float(b))) => *a += b,
            (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
                for (a, b) in a.iter_mut().zip(b) {
                    a.add(b)?;
                }
            }
            (Value::Unit, _) | (_, Value::Unit) => {}
            _ => return unknown("a sum of different shapes"),
        }
        Ok(())
    }

    fn part(&self, path: &[u32]) -> Result<&Value> {
        match (path, self) {
            ([], _) => Ok(self),
            ([k, rest @ ..], Value::Tuple(all)) => match all.get(*k as usize) {
                Some(v) => v.part(rest),
                None => unknown("a missing part of a tuple"),
            },
            _ => unknown("a part of what is no tuple"),
        }
    }
}

/// What is fixed while a program is run at many points.
pub struct Evaluator<'a> {
    p: &'a Gradient,
    sig: &'a Signature,
    /// For each scalar of the primal's parameters: the parameter, and the path in it.
    reads: Map<u32, (usize, Vec<u32>)>,
    arrays: Map<ArrayId, (usize, Vec<u32>)>,
    /// What the residuals hold: these scalars alone survive between the passes of a split program.
    saved: Option<&'a crate::keep::Saved>,
    live: Live,
    /// For each region, which of its statements run.
    runs: Vec<Vec<bool>>,
    tapes: BTreeMap<RegionId, Vec<LoopId>>,
    constants: &'a Constants,
    /// For each opaque expression, what its tokens read, and what they are worth where they stand alone.
    opaques: Vec<(String, Option<Result<Scalar>>)>,
    /// Statements run so far, by all evaluations.
    steps: std::cell::Cell<u64>,
}

/// What a program has computed.
pub struct Run {
    pub result: Value,
    /// The gradient of each differentiated parameter, in order.
    pub gradients: Vec<Value>,
    /// What was detached, in order.
    pub detached: Vec<Scalar>,
}

impl<'a> Evaluator<'a> {
    pub fn new(
        primal: &Primal,
        p: &'a Gradient,
        sig: &'a Signature,
        saved: Option<&'a crate::keep::Saved>,
        constants: &'a Constants,
    ) -> Self {
        let mut e = Evaluator {
            p,
            sig,
            reads: Map::default(),
            arrays: Map::default(),
            saved,
            live: Live::of(p),
            runs: Vec::new(),
            tapes: BTreeMap::new(),
            constants,
            opaques: p
                .graph
                .opaques
                .iter()
                .map(|o| read_opaque(&o.form, constants))
                .collect(),
            steps: std::cell::Cell::new(0),
        };
        let g = &p.graph;
        for (k, region) in g.regions.iter().enumerate() {
            let region_id = RegionId(k as u32);
            let backward = p.pairs.iter().any(|p| p.back == region_id);
            let runs = region.stmts.iter().map(|stmt| {
                let again = backward
                    && matches!(stmt, Stmt::Let(id) if g.data(*id).region != Some(region_id));
                again || e.live.stmt(g, stmt)
            });
            let runs = runs.collect();
            e.runs.push(runs);
        }
        let primal_reads = primal.reads.len() as u32;
        for node in &p.graph.nodes {
            // Parameters of unknown shape have no source: they are read whole.
            if let Node::Param(read) = node.node
                && read < primal_reads
            {
                let param = primal.read_params[read as usize] as usize;
                let path = path_of(&primal.reads[read as usize], &sig.params[param].shape);
                e.reads.entry(read).or_insert((param, path));
            }
        }
        for (k, source) in primal.params.iter().enumerate() {
            e.sources(source, k, &mut Vec::new());
        }
        for (k, l) in p.graph.loops.iter().enumerate() {
            if !l.tape.is_empty() {
                let home = e.home(l.body);
                e.tapes.entry(home).or_default().push(LoopId(k as u32));
            }
        }
        e
    }

    fn sources(&mut self, source: &Source, k: usize, path: &mut Vec<u32>) {
        match source {
            Source::Array(a) => {
                self.arrays.insert(*a, (k, path.clone()));
            }
            Source::Tuple(all) => {
                for (i, part) in all.iter().enumerate() {
                    path.push(i as u32);
                    self.sources(part, k, path);
                    path.pop();
                }
            }
            Source::Scalar(_) | Source::Constant => {}
        }
    }

    /// As `Emit::home`: where a tape lives.
    fn home(&self, body: RegionId) -> RegionId {
        let mut at = body;
        while self
            .p
            .pairs
            .iter()
            .any(|p| p.primal == at && p.kind != PairKind::Function)
        {
            match self.p.graph.region(at).parent {
                Some(up) => at = up,
                None => break,
            }
        }
        at
    }

    /// How many statements have been run.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Runs the program; `inputs` holds the parameters by name of the generated code: `x`, `__upstream`, `__t_x`.
    pub fn run(&self, inputs: &Inputs) -> Result<Run> {
        let g = &self.p.graph;
        let mut m = Machine {
            e: self,
            inputs,
            nodes: vec![None; g.nodes.len()],
            arrays: vec![None; g.arrays.len()],
            tapes: Map::default(),
            bound: Vec::new(),
            steps: 0,
            detached: Default::default(),
            shaken: std::cell::Cell::new(inputs.shaken),
        };
        for (k, data) in g.arrays.iter().enumerate() {
            if let Init::Given(tokens) = &data.init {
                m.arrays[k] = Some(m.given(ArrayId(k as u32), tokens)?);
            }
        }
        let forward = m.region(self.p.body);
        self.steps.set(self.steps.get() + m.steps);
        forward?;
        let result = m.output(&self.p.result)?;
        if let Some(back) = self.p.back {
            m.between();
            m.region(back)?;
        }
        let mut gradients = Vec::new();
        for (k, param) in self.sig.active() {
            let mut gradient = inputs.params[k].zeros();
            for s in self.p.scalars.iter().filter(|s| s.param == k) {
                let value = Value::Scalar(m.value(s.value)?);
                put(&mut gradient, &s.path, &value)?;
            }
            // Of a gradient's tangent, its own buffers.
            let second = crate::forward::second_name(self.sig, k).to_string();
            let given = |root: &str| {
                g.arrays.iter().any(|a| match &a.init {
                    Init::Given(t) => root_of(t).as_deref() == Some(root),
                    _ => false,
                })
            };
            let root = if given(&second) {
                second
            } else {
                buffer(self.sig, k).to_string()
            };
            for (a, data) in g.arrays.iter().enumerate() {
                let Init::Given(tokens) = &data.init else {
                    continue;
                };
                if data.shadow
                    && root_of(tokens).as_deref() == Some(&root)
                    && let Some(value) = &m.arrays[a]
                {
                    put(&mut gradient, &path_of(tokens, &param.shape), value)?;
                }
            }
            gradients.push(gradient);
        }
        Ok(Run {
            result,
            gradients,
            detached: m.detached.into_inner(),
        })
    }
}

fn put(into: &mut Value, path: &[u32], value: &Value) -> Result<()> {
    match (path, into) {
        ([], into) => {
            *into = value.clone();
            Ok(())
        }
        ([k, rest @ ..], Value::Tuple(all)) if (*k as usize) < all.len() => {
            put(&mut all[*k as usize], rest, value)
        }
        _ => unknown("a part of what is no tuple"),
    }
}

/// The values that a program starts from.
pub struct Inputs {
    pub params: Vec<Value>,
    pub upstream: Value,
    /// The tangents of the parameters, for a forward program.
    pub tangents: Vec<Value>,
    /// What `detach` gives, in order, where it is to be held constant.
    pub detached: Vec<Scalar>,
    /// Moves each rounded value by its last bit, up or down as these numbers say: how much that changes the result is
    /// what rounding does to it.
    pub shaken: Option<u64>,
}

/// The identifier with which tokens like `__d_x.0.1` or `(*x)` start.
fn root_of(tokens: &TokenStream) -> Option<String> {
    tokens.clone().into_iter().find_map(|t| match t {
        TokenTree::Ident(i) => Some(i.to_string()),
        TokenTree::Group(g) => root_of(&g.stream()),
        _ => None,
    })
}

/// The positions of the fields in tokens like `__d_x.0.weight`, which read a part of something of a shape.
fn path_of(tokens: &TokenStream, shape: &Shape) -> Vec<u32> {
    let mut names = Vec::new();
    members(tokens, &mut names);
    let mut out = Vec::new();
    let mut at = shape.clone();
    // The first name is the root's.
    for name in names.iter().skip(1) {
        let parts = at.parts().unwrap_or_default();
        let found = parts
            .into_iter()
            .enumerate()
            .find(|(_, (m, _))| quote::ToTokens::to_token_stream(m).to_string() == *name);
        let Some((k, (_, part))) = found else {
            return out;
        };
        out.push(k as u32);
        at = part;
    }
    out
}

fn members(tokens: &TokenStream, out: &mut Vec<String>) {
    for t in tokens.clone() {
        match t {
            TokenTree::Ident(i) => out.push(i.to_string()),
            TokenTree::Literal(l) => out.extend(l.to_string().split('.').map(str::to_string)),
            TokenTree::Group(g) => members(&g.stream(), out),
            TokenTree::Punct(_) => {}
        }
    }
}

/// What a loop has kept.
#[derive(Default)]
struct Tape {
    rows: Vec<Vec<Scalar>>,
    cursor: usize,
    /// Where the part of the running loop starts, and which of its iterations runs.
    track: usize,
    counter: usize,
}

/// One run of a program.
struct Machine<'e, 'a> {
    e: &'e Evaluator<'a>,
    inputs: &'e Inputs,
    nodes: Vec<Option<Scalar>>,
    arrays: Vec<Option<Value>>,
    tapes: Map<LoopId, Tape>,
    /// What the open regions have bound, with what it was before.
    bound: Vec<(Id, Option<Scalar>)>,
    steps: u64,
    detached: std::cell::RefCell<Vec<Scalar>>,
    shaken: std::cell::Cell<Option<u64>>,
}

impl Machine<'_, '_> {
    fn g(&self) -> &Graph {
        &self.e.p.graph
    }

    fn bind(&mut self, id: Id, value: Scalar) {
        let id = self.g().resolve(id);
        let old = self.nodes[id.0 as usize].replace(value);
        self.bound.push((id, old));
    }

    fn leave(&mut self, mark: usize) {
        while self.bound.len() > mark {
            if let Some((id, old)) = self.bound.pop() {
                self.nodes[id.0 as usize] = old;
            }
        }
    }

    /// Between `forward` and `backward` only the residuals survive.
    fn between(&mut self) {
        let saved = self.e.saved;
        let kept: Vec<Id> = saved.map(|s| s.nodes.clone()).unwrap_or_default();
        let kept: Vec<Id> = kept.iter().map(|&id| self.g().resolve(id)).collect();
        for (k, node) in self.nodes.iter_mut().enumerate() {
            if !kept.contains(&Id(k as u32)) {
                *node = None;
            }
        }
        self.bound.clear();
        for k in 0..self.arrays.len() {
            let data = self.g().array(ArrayId(k as u32));
            let held = matches!(data.init, Init::Given(_)) && (data.shadow || data.param.is_none())
                || saved.is_none_or(|s| s.arrays.contains(&ArrayId(k as u32)));
            if !held {
                self.arrays[k] = None;
            }
        }
        for tape in self.tapes.values_mut() {
            tape.rows.truncate(tape.cursor);
            tape.cursor = tape.rows.len();
        }
    }
}

/// The length of a fixed array, for those who build values.
pub fn length(constants: &Constants, n: &Length) -> Result<usize> {
    constants.length(n)
}
