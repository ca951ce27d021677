//! Runs a program inside the compiler, as the emitted code would run.
//!
//! In: a program (the function itself, a backward pass after all rewrites, a forward tangent) and values for its
//! parameters. Out: what it computes, or why that cannot be known here. What must hold: statements run exactly where
//! `emit` would put them, and a value is forgotten when its region ends, so that a value which would be out of scope in
//! the emitted code is out of scope here too. Floats are evaluated as `f64`, whatever their type: what is checked is the
//! mathematics, not its last bits.

mod constants;
mod receiver;

use crate::graph::*;
use crate::live::Live;
use crate::lower::{Output, Primal, Source};
use crate::reverse::{Gradient, PairKind, buffer};
use crate::shape::{Length, Shape};
use crate::signature::Signature;
use crate::types::Kind;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, HashMap};

pub use constants::Constants;
pub use receiver::Receiver;

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
    reads: HashMap<u32, (usize, Vec<u32>)>,
    arrays: HashMap<ArrayId, (usize, Vec<u32>)>,
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
            reads: HashMap::new(),
            arrays: HashMap::new(),
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
            tapes: HashMap::new(),
            bound: Vec::new(),
            steps: 0,
            detached: Default::default(),
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
    tapes: HashMap<LoopId, Tape>,
    /// What the open regions have bound, with what it was before.
    bound: Vec<(Id, Option<Scalar>)>,
    steps: u64,
    detached: std::cell::RefCell<Vec<Scalar>>,
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

    // ---- inputs and results ----

    /// What does not belong to the primal: upstream gradients and tangents.
    fn named(&self, tokens: &TokenStream) -> Result<&Value> {
        let root = root_of(tokens).unwrap_or_default();
        let sig = self.e.sig;
        if root == "__upstream" {
            return self.inputs.upstream.part(&path_of(tokens, &sig.output));
        }
        let tangent = sig
            .active()
            .enumerate()
            .find(|(_, (k, _))| crate::forward::tangent_name(sig, *k) == root);
        match tangent {
            Some((n, (_, p))) if n < self.inputs.tangents.len() => {
                self.inputs.tangents[n].part(&path_of(tokens, &p.shape))
            }
            _ => unknown(format!("`{root}`")),
        }
    }

    fn given(&self, array: ArrayId, tokens: &TokenStream) -> Result<Value> {
        if let Some((k, path)) = self.e.arrays.get(&array) {
            return Ok(self.inputs.params[*k].part(path)?.clone());
        }
        let root = root_of(tokens).unwrap_or_default();
        let sig = self.e.sig;
        if let Some((k, p)) = sig
            .active()
            .find(|(k, _)| buffer(sig, *k) == root || crate::forward::second_name(sig, *k) == root)
        {
            // The caller's buffer: zeros when the program starts.
            let path = path_of(tokens, &p.shape);
            return Ok(self.inputs.params[k].part(&path)?.zeros());
        }
        Ok(self.named(tokens)?.clone())
    }

    fn output(&self, out: &Output) -> Result<Value> {
        match out {
            Output::Scalar(id) => Ok(Value::Scalar(self.value(*id)?)),
            Output::Array(place) => Ok(self.place(place)?.clone()),
            Output::Tuple(all) => Ok(Value::Tuple(
                all.iter().map(|o| self.output(o)).collect::<Result<_>>()?,
            )),
        }
    }

    // ---- values ----

    fn value(&self, id: Id) -> Result<Scalar> {
        let g = self.g();
        let id = g.resolve(id);
        match g.node(id) {
            Node::Lit(bits) => Ok(Scalar::Float(f64::from_bits(*bits))),
            Node::Param(k) => self.param(*k),
            Node::Opaque(k, args) => match (&g.opaque_of(*k).form, args.as_slice()) {
                (OpaqueForm::Tokens(_), _) => match &self.e.opaques[*k as usize].1 {
                    Some(value) => Ok(constants::as_kind(value.clone()?, g.types.kind(g.ty(id)))),
                    None => unknown("a constant"),
                },
                (form @ OpaqueForm::Field(_), &[of]) => {
                    let of = self.value(of)?;
                    let kind = g.types.kind(g.ty(id));
                    self.e.constants.opaque(form, "", &[of], kind)
                }
                _ => self.known(id),
            },
            Node::Undef(_) => Ok(match g.types.kind(g.ty(id)) {
                Kind::Bool => Scalar::Bool(false),
                Kind::Int(_) | Kind::AnyInt => Scalar::Int(0),
                _ => Scalar::Float(0.0),
            }),
            _ => self.known(id),
        }
    }

    fn known(&self, id: Id) -> Result<Scalar> {
        match self.nodes[id.0 as usize] {
            Some(v) => Ok(v),
            None => unknown(format!(
                "a value that is out of scope ({:?})",
                self.g().node(id)
            )),
        }
    }

    fn param(&self, k: u32) -> Result<Scalar> {
        let value = match self.e.reads.get(&k) {
            Some((param, path)) => self.inputs.params[*param].part(path)?,
            None => self.named(&self.e.p.reads[k as usize])?,
        };
        match value {
            Value::Scalar(s) => Ok(*s),
            _ => unknown("a parameter that is no scalar"),
        }
    }

    fn float(&self, id: Id) -> Result<f64> {
        match self.value(id)? {
            Scalar::Float(x) => Ok(x),
            Scalar::Int(n) => Ok(n as f64),
            Scalar::Bool(b) => Ok(f64::from(b)),
            Scalar::Part(_) => unknown("a number"),
        }
    }

    fn int(&self, id: Id) -> Result<i128> {
        match self.value(id)? {
            Scalar::Int(n) => Ok(n),
            _ => unknown("an integer"),
        }
    }

    fn bool(&self, id: Id) -> Result<bool> {
        match self.value(id)? {
            Scalar::Bool(b) => Ok(b),
            _ => unknown("a condition"),
        }
    }

    fn compute(&self, id: Id) -> Result<Scalar> {
        let g = self.g();
        let data = g.data(id);
        match &data.node {
            Node::Apply(op, args) => {
                if *op == crate::rules::Op::Select {
                    return self.value(args[if self.bool(args[0])? { 1 } else { 2 }]);
                }
                if *op == crate::rules::Op::Clamp {
                    let (lo, hi) = (self.float(args[1])?, self.float(args[2])?);
                    if lo.is_nan() || hi.is_nan() || lo > hi {
                        return Err(Stop::Panic("`clamp` of an empty range".into()));
                    }
                }
                let args: Vec<f64> = args.iter().map(|&a| self.float(a)).collect::<Result<_>>()?;
                Ok(Scalar::Float(op.eval(&args)))
            }
            Node::Cast(a, _) => self.value(*a),
            Node::Opaque(k, args) => {
                let args: Vec<Scalar> =
                    args.iter().map(|&a| self.value(a)).collect::<Result<_>>()?;
                if let ([value], true) = (args.as_slice(), g.opaque_of(*k).is_detach()) {
                    let mut all = self.detached.borrow_mut();
                    let held = self.inputs.detached.get(all.len()).copied();
                    all.push(held.unwrap_or(*value));
                    return Ok(held.unwrap_or(*value));
                }
                self.e.constants.opaque(
                    &g.opaque_of(*k).form,
                    &self.e.opaques[*k as usize].0,
                    &args,
                    g.types.kind(data.ty),
                )
            }
            Node::Load(p, _) => match self.place(p)? {
                Value::Scalar(s) => Ok(*s),
                _ => unknown("an element that is no scalar"),
            },
            Node::Len(p, _) => match self.place(p)? {
                Value::List(all) => Ok(Scalar::Int(all.len() as i128)),
                _ => unknown("a length"),
            },
            _ => self.value(id),
        }
    }

    // ---- arrays ----

    fn place(&self, p: &Place) -> Result<&Value> {
        let Some(mut at) = self.arrays[p.array.0 as usize].as_ref() else {
            return unknown(format!(
                "`{}`, which is out of scope",
                self.g().array(p.array).name
            ));
        };
        for step in &p.path {
            at = match (step, at) {
                (Step::Index(i), Value::List(all)) => {
                    let k = self.int(*i)?;
                    match usize::try_from(k).ok().and_then(|k| all.get(k)) {
                        Some(v) => v,
                        None => return Err(out_of_bounds(k, all.len())),
                    }
                }
                (Step::Field(k), Value::Tuple(all)) if (*k as usize) < all.len() => {
                    &all[*k as usize]
                }
                _ => return unknown("a part of an array"),
            };
        }
        Ok(at)
    }

    fn place_mut(&mut self, p: &Place) -> Result<&mut Value> {
        let mut steps = Vec::new();
        for step in &p.path {
            steps.push(match step {
                Step::Index(i) => self.int(*i)?,
                Step::Field(k) => i128::from(*k),
            });
        }
        let Some(mut at) = self.arrays[p.array.0 as usize].as_mut() else {
            return unknown("an array that is out of scope");
        };
        for k in steps {
            at = match at {
                Value::List(all) | Value::Tuple(all) => {
                    let n = all.len();
                    match usize::try_from(k).ok().and_then(|k| all.get_mut(k)) {
                        Some(v) => v,
                        None => return Err(out_of_bounds(k, n)),
                    }
                }
                _ => return unknown("a part of an array"),
            };
        }
        Ok(at)
    }

    fn element(&self, e: &Element) -> Result<Value> {
        match e {
            Element::Scalar(id) => match self.g().opaque_text(*id).as_deref() {
                Some("()") => Ok(Value::Unit),
                _ => Ok(Value::Scalar(self.value(*id)?)),
            },
            Element::Part(p) => Ok(self.place(p)?.clone()),
            Element::Tuple(all) => Ok(Value::Tuple(
                all.iter().map(|e| self.element(e)).collect::<Result<_>>()?,
            )),
        }
    }

    fn zeros(&self, shape: &Shape) -> Result<Option<Value>> {
        Ok(Some(match shape {
            Shape::Float(_) => Value::Scalar(Scalar::Float(0.0)),
            Shape::Scalar(ty) => match self.g().types.kind(*ty) {
                Kind::Int(_) | Kind::AnyInt => Value::Scalar(Scalar::Int(0)),
                Kind::Bool => Value::Scalar(Scalar::Bool(false)),
                _ => Value::Scalar(Scalar::Float(0.0)),
            },
            Shape::Array(s, n) => {
                let Some(zero) = self.zeros(s)? else {
                    return Ok(None);
                };
                Value::List(vec![zero; self.e.constants.length(n)?])
            }
            Shape::Tuple(_) | Shape::Struct(_) => {
                let mut parts = Vec::new();
                for (_, s) in shape.parts().unwrap_or_default() {
                    let Some(part) = self.zeros(&s)? else {
                        return Ok(None);
                    };
                    parts.push(part);
                }
                Value::Tuple(parts)
            }
            Shape::Constant(_) | Shape::Unknown => Value::Unit,
            Shape::Slice(_) | Shape::Vec(_) => return Ok(None),
        }))
    }

    fn declare(&mut self, array: ArrayId) -> Result<()> {
        let data = self.g().array(array);
        let value = match &data.init {
            Init::Given(_) => return Ok(()),
            Init::Returned(c) => {
                return unknown(format!("the call of `{}`", self.g().call(*c).path));
            }
            Init::Empty => Value::List(Vec::new()),
            Init::Zeros => match (self.zeros(&data.shape)?, data.len, &data.shape) {
                (Some(zeros), _, _) => zeros,
                (None, Some(len), Shape::Vec(s) | Shape::Slice(s)) if self.zeros(s)?.is_some() => {
                    let zero = self.zeros(s)?.unwrap_or(Value::Unit);
                    Value::List(vec![zero; self.int(len)?.max(0) as usize])
                }
                _ => match data.like {
                    Some(like) => self
                        .place(&Place {
                            array: like,
                            path: Vec::new(),
                        })?
                        .zeros(),
                    None => return unknown("an array of unknown shape"),
                },
            },
            Init::List(all) => {
                Value::List(all.iter().map(|e| self.element(e)).collect::<Result<_>>()?)
            }
            Init::Repeat(e) => {
                let n = match (&data.shape, data.len) {
                    (Shape::Array(_, n), _) => self.e.constants.length(n)?,
                    (_, Some(len)) => self.int(len)?.max(0) as usize,
                    _ => 0,
                };
                Value::List(vec![self.element(e)?; n])
            }
            Init::Copy(p) => self.place(p)?.clone(),
        };
        self.arrays[array.0 as usize] = Some(value);
        Ok(())
    }

    // ---- statements ----

    /// The statements that `emit` would print; what they bind is forgotten by the caller.
    fn region(&mut self, region: RegionId) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        for (stmt, runs) in g
            .region(region)
            .stmts
            .iter()
            .zip(&e.runs[region.0 as usize])
        {
            if !runs {
                continue;
            }
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Stop::Long);
            }
            if Some(region) != e.p.back {
                for &l in e.tapes.get(&region).into_iter().flatten() {
                    if contains_loop(g, stmt, l) {
                        self.tapes.insert(l, Tape::default());
                    }
                }
            }
            self.stmt(stmt)?;
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        match stmt {
            Stmt::Let(id) => {
                // Written by the user and able to panic, but used by nothing: it may be unknown.
                let value = match self.compute(*id) {
                    Err(Stop::Unknown(_)) if !e.live.has(g, *id) => return Ok(()),
                    other => other?,
                };
                self.bind(*id, value);
            }
            Stmt::Declare(a) => self.declare(*a)?,
            Stmt::Store { place, value, add } => {
                let value = Value::Scalar(self.value(*value)?);
                let to = self.place_mut(place)?;
                if *add {
                    to.add(&value)?;
                } else {
                    *to = value;
                }
            }
            Stmt::Copy { to, from, add } => {
                let from = self.place(from)?.clone();
                let fixed = !matches!(g.shape_at(to), Shape::Vec(_));
                let to = self.place_mut(to)?;
                if *add {
                    to.add(&from)?;
                } else {
                    if let (Value::List(a), Value::List(b)) = (&*to, &from)
                        && fixed
                        && a.len() != b.len()
                    {
                        return Err(Stop::Panic("a copy between different lengths".into()));
                    }
                    *to = from;
                }
            }
            Stmt::Clear(p) => {
                let to = self.place_mut(p)?;
                *to = to.zeros();
            }
            Stmt::Swap(a, b) => {
                let (x, y) = (self.place(a)?.clone(), self.place(b)?.clone());
                *self.place_mut(a)? = y;
                *self.place_mut(b)? = x;
            }
            Stmt::Push(a, v) => {
                let value = Value::Scalar(self.value(*v)?);
                match self.arrays[a.0 as usize].as_mut() {
                    Some(Value::List(all)) => all.push(value),
                    _ => return unknown("an array that is out of scope"),
                }
            }
            Stmt::Pop(a, id) => {
                let last = match self.arrays[a.0 as usize].as_mut() {
                    Some(Value::List(all)) => all.pop(),
                    _ => return unknown("an array that is out of scope"),
                };
                match (last, id) {
                    (Some(Value::Scalar(s)), Some(id)) => self.bind(*id, s),
                    (None, Some(_)) => return Err(Stop::Panic("`pop` of nothing".into())),
                    _ => {}
                }
            }
            Stmt::If(b) => self.branch(*b)?,
            Stmt::Loop(l) => self.looped(*l)?,
            Stmt::Effect(k, args) => {
                let tokens = &g.effects[*k as usize];
                let args: Vec<Result<Scalar>> = args.iter().map(|&a| self.value(a)).collect();
                constants::effect(tokens, &args)?;
            }
            Stmt::Call(c) | Stmt::Pullback(c) => {
                return unknown(format!("the call of `{}`", g.call(*c).path));
            }
            Stmt::Bind(to, from) => {
                let value = match g.node(*from) {
                    Node::Load(..) => self.compute(*from)?,
                    _ => self.value(*from)?,
                };
                self.bind(*to, value);
            }
            Stmt::ReadTape(l) => {
                let counted = counted(g, *l);
                let Some(tape) = self.tapes.get_mut(l) else {
                    return unknown("a tape that is out of scope");
                };
                let at = if counted {
                    tape.track + tape.counter
                } else {
                    tape.cursor = tape.cursor.wrapping_sub(1);
                    tape.cursor
                };
                self.read(*l, at)?;
            }
            Stmt::ReadTapeAt(l, at) => {
                let Count::Range { lo, .. } = &g.looped(*l).count else {
                    return unknown("a tape of another loop");
                };
                let at = self.int(*at)? - self.int(*lo)?;
                let track = self.tapes.get(l).map_or(0, |t| t.track);
                self.read(*l, track + at.max(0) as usize)?;
            }
            Stmt::ReadSaved(id) => {
                let value = self.known(g.resolve(*id))?;
                self.bind(*id, value);
            }
        }
        Ok(())
    }

    fn read(&mut self, l: LoopId, at: usize) -> Result<()> {
        let Some(row) = self.tapes.get(&l).and_then(|t| t.rows.get(at)).cloned() else {
            return unknown("a tape that is too short");
        };
        let ids = self.g().looped(l).tape.clone();
        for (id, value) in ids.into_iter().zip(row) {
            self.bind(id, value);
        }
        Ok(())
    }

    fn branch(&mut self, b: IfId) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        let data = g.branch(b);
        let taken = self.bool(data.cond)?;
        let mark = self.bound.len();
        self.region(if taken { data.then } else { data.otherwise })?;
        let mut outs = Vec::new();
        for s in data.slots.iter().filter(|s| e.live.has(g, s.out)) {
            outs.push((s.out, self.value(if taken { s.then } else { s.otherwise })?));
        }
        self.leave(mark);
        for (out, value) in outs {
            self.bind(out, value);
        }
        Ok(())
    }

    fn looped(&mut self, l: LoopId) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        let data = g.looped(l);
        let carried: Vec<&Carried> = data
            .carried
            .iter()
            .filter(|c| e.live.carried(g, c))
            .collect();
        let indices = self.iterations(data)?;
        let of = data
            .reverses
            .filter(|of| !g.looped(*of).tape.is_empty())
            .or((!data.tape.is_empty()).then_some(l));
        let tracked = of.filter(|of| counted(g, *of));
        let n = indices.as_ref().map_or(0, Vec::len);
        let rev = matches!(data.count, Count::Range { rev: true, .. });
        if let Some(of) = tracked {
            let tape = self.tapes.entry(of).or_default();
            if data.reverses.is_some() {
                let Some(cursor) = tape.cursor.checked_sub(n) else {
                    return unknown("a tape that is too short");
                };
                tape.cursor = cursor;
            } else if tape.rows.len() < tape.cursor + n {
                tape.rows.resize(tape.cursor + n, Vec::new());
            }
            tape.track = tape.cursor;
        }
        let track = tracked.map_or(0, |of| self.tapes[&of].track);
        let mark = self.bound.len();
        for c in &carried {
            let init = self.value(c.init)?;
            self.bind(c.phi, init);
        }
        let end = data.end.filter(|end| e.live.has(g, *end));
        let mut stopped = match &data.count {
            Count::Range { lo, hi, rev, .. } if end.is_some() => {
                self.value(if *rev { *lo } else { *hi })?
            }
            _ => Scalar::Int(0),
        };
        let mut k = 0usize;
        loop {
            let index = match &indices {
                Some(all) if k >= all.len() => break,
                Some(all) => Some(all[k]),
                None => None,
            };
            let inner = self.bound.len();
            if let (Some(i), Count::Range { index, .. } | Count::Stepped { index, .. }) =
                (index, &data.count)
            {
                self.bind(*index, Scalar::Int(i));
            }
            let counter = if rev { n - 1 - k } else { k };
            if let Some(of) = tracked
                && let Some(tape) = self.tapes.get_mut(&of)
            {
                // An inner loop may have used the same tape.
                (tape.track, tape.counter) = (track, counter);
            }
            self.region(data.body)?;
            if !data.tape.is_empty() && data.reverses.is_none() {
                let row: Vec<Scalar> = data
                    .tape
                    .iter()
                    .map(|&id| self.value(id))
                    .collect::<Result<_>>()?;
                let tape = self.tapes.entry(l).or_default();
                if counted(g, l) {
                    tape.rows[track + counter] = row;
                } else {
                    tape.rows.push(row);
                    tape.cursor += 1;
                }
            }
            let nexts: Vec<Scalar> = carried
                .iter()
                .map(|c| self.value(c.next))
                .collect::<Result<_>>()?;
            for (c, next) in carried.iter().zip(&nexts) {
                self.nodes[g.resolve(c.phi).0 as usize] = Some(*next);
            }
            if end.is_some() && !matches!(data.count, Count::Range { .. }) {
                stopped = Scalar::Int(k as i128 + 1);
            }
            let again = match data.again {
                Some(again) => self.bool(again)?,
                None => true,
            };
            if !again
                && let (true, Some(i), Count::Range { inclusive, rev, .. }) =
                    (end.is_some(), index, &data.count)
            {
                stopped = Scalar::Int(if *rev || *inclusive { i } else { i + 1 });
            }
            // The phis were bound before the body's own values, and stay.
            self.leave(inner);
            for (c, next) in carried.iter().zip(nexts) {
                self.nodes[g.resolve(c.phi).0 as usize] = Some(next);
            }
            if !again {
                break;
            }
            k += 1;
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Stop::Long);
            }
        }
        let outs: Vec<(Id, Scalar)> = carried
            .iter()
            .filter(|c| e.live.has(g, c.out))
            .map(|c| Ok((c.out, self.value(c.phi)?)))
            .collect::<Result<_>>()?;
        self.leave(mark);
        for (out, value) in outs {
            self.bind(out, value);
        }
        if let Some(end) = end {
            self.bind(end, stopped);
        }
        if let Some(of) = tracked.filter(|_| data.reverses.is_none())
            && let Some(tape) = self.tapes.get_mut(&of)
        {
            tape.cursor += n;
            tape.track = track;
        }
        Ok(())
    }

    /// The values of a loop's index in order; `None` for a loop without end.
    fn iterations(&self, data: &Loop) -> Result<Option<Vec<i128>>> {
        let range = |lo: Id, hi: Id, inclusive: bool| -> Result<(i128, i128)> {
            Ok((self.int(lo)?, self.int(hi)? + i128::from(inclusive)))
        };
        let all = |lo: i128, hi: i128, step: i128| -> Result<Vec<i128>> {
            if hi.saturating_sub(lo) / step.max(1) > MAX_STEPS as i128 {
                return Err(Stop::Long);
            }
            Ok((lo..hi).step_by(step.max(1) as usize).collect())
        };
        Ok(match &data.count {
            Count::Range {
                lo,
                hi,
                inclusive,
                rev,
                ..
            } => {
                let (lo, hi) = range(*lo, *hi, *inclusive)?;
                let mut out = all(lo, hi, 1)?;
                if *rev {
                    out.reverse();
                }
                Some(out)
            }
            Count::Stepped {
                lo,
                hi,
                inclusive,
                step,
                rev,
                ..
            } => {
                let (lo, hi) = range(*lo, *hi, *inclusive)?;
                let step = self.int(*step)?;
                if step <= 0 {
                    return Err(Stop::Panic("`step_by(0)`".into()));
                }
                // `rev` comes before `step_by`.
                Some(if *rev {
                    let mut out = all(lo, hi, 1)?;
                    out.reverse();
                    out.into_iter().step_by(step as usize).collect()
                } else {
                    all(lo, hi, step)?
                })
            }
            Count::Forever => None,
            Count::Replay(of) => {
                let Some(end) = self.g().looped(*of).end else {
                    return unknown("how often a loop ran");
                };
                Some(all(0, self.int(end)?, 1)?)
            }
        })
    }
}

fn read_opaque(form: &OpaqueForm, constants: &Constants) -> (String, Option<Result<Scalar>>) {
    match form {
        OpaqueForm::Tokens(t) => {
            let value = constants.tokens(t, &Kind::Unknown);
            (t.to_string(), Some(value))
        }
        OpaqueForm::Unary(t)
        | OpaqueForm::Binary(t)
        | OpaqueForm::Method(t)
        | OpaqueForm::Call(t)
        | OpaqueForm::Cast(t)
        | OpaqueForm::Field(t)
        | OpaqueForm::Matches(t) => (t.to_string(), None),
        OpaqueForm::Index => (String::new(), None),
    }
}

/// Whether the number of iterations is known when the loop starts.
fn counted(g: &Graph, l: LoopId) -> bool {
    let data = g.looped(l);
    matches!(data.count, Count::Range { .. }) && data.again.is_none()
}

fn contains_loop(g: &Graph, stmt: &Stmt, l: LoopId) -> bool {
    let inside = |r: RegionId| g.encloses(r, g.looped(l).body);
    match stmt {
        Stmt::Loop(k) => inside(g.looped(*k).body),
        Stmt::If(b) => inside(g.branch(*b).then) || inside(g.branch(*b).otherwise),
        _ => false,
    }
}

fn out_of_bounds(k: i128, n: usize) -> Stop {
    Stop::Panic(format!("index {k} of {n} elements"))
}

/// The length of a fixed array, for those who build values.
pub fn length(constants: &Constants, n: &Length) -> Result<usize> {
    constants.length(n)
}
