//! The graph: the one language between `lower` and `emit`.
//!
//! Straight-line code is a hash-consed list of nodes; control flow is statements with regions; arrays are objects updated
//! in place, whose loads carry the array's version so that two loads are one node only where nothing was stored between.
//! What must hold: an operand is defined before its user, in the same region or in one around it; scalars are never
//! mutated (a branch yields them, a loop carries them); floats with gradients are only ever operands of `Apply`,
//! `Cast`, loads, stores, yields and calls, all of which `reverse` knows.

use crate::rules::Op;
use crate::shape::Shape;
use crate::types::{FloatTy, Kind, Ty, Types};
use proc_macro2::{Span, TokenStream};
use std::collections::HashMap;
use std::rc::Rc;

/// A node: a scalar value, computed once for each run of the region that holds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Id(pub u32);

macro_rules! index_type {
    ($($(#[$doc:meta])* $Name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $Name(pub u32);
    )*};
}
index_type! {
    /// A list of statements: a function's body, a branch, a loop's body.
    RegionId
    /// An array object: a parameter, a local, or the shadow that holds an array's adjoint.
    ArrayId
    /// A branch.
    IfId
    /// A loop.
    LoopId
    /// A call of another annotated function.
    CallId
}

/// One step from an array to an element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    Index(Id),
    Field(u32),
}

/// An element or a part of an array.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub array: ArrayId,
    pub path: Vec<Step>,
}

impl Place {
    /// The place with every index replaced.
    pub fn map(mut self, f: &mut impl FnMut(Id) -> Id) -> Place {
        for step in &mut self.path {
            if let Step::Index(i) = step {
                *i = f(*i);
            }
        }
        self
    }

    /// The indices on the way.
    pub fn indices(&self) -> impl Iterator<Item = Id> + '_ {
        self.path.iter().filter_map(|s| {
            if let Step::Index(i) = s {
                Some(*i)
            } else {
                None
            }
        })
    }
}

/// Constant Rust that stays as the user wrote it, with holes for its operands.
#[derive(Clone, Debug)]
pub struct Opaque {
    /// Two opaque expressions with one key and the same operands are the same.
    pub key: String,
    pub form: OpaqueForm,
    /// A decision or a cast to an integer: piecewise constant, so that active operands are legal and get nothing back.
    pub discrete: bool,
}

impl Opaque {
    /// Whether it is `detach(x)`, which is constant although it moves with `x`.
    pub fn is_detach(&self) -> bool {
        self.key.starts_with("detach ")
    }
}

/// How an opaque expression is put together.
#[derive(Clone, Debug)]
pub enum OpaqueForm {
    /// Tokens without operands: a path, a literal.
    Tokens(TokenStream),
    Unary(TokenStream),
    Binary(TokenStream),
    /// `.name::<…>(…)`
    Method(TokenStream),
    /// `path(…)`
    Call(TokenStream),
    /// `as type`
    Cast(TokenStream),
    /// `.field` of a constant.
    Field(TokenStream),
    /// `[index]` into a constant: the first operand is the array.
    Index,
    /// `matches!(operand, pattern)`
    Matches(TokenStream),
}

/// What a node computes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// A float constant, by its bits.
    Lit(u64),
    /// A parameter's scalar, or a field of a tuple parameter.
    Param(u32),
    /// A primitive of the rule table.
    Apply(Op, Vec<Id>),
    /// `as` from one float type to another; the node's type says which.
    Cast(Id, Option<FloatTy>),
    /// Constant Rust: an index into the graph's opaque expressions.
    Opaque(u32, Vec<Id>),
    Load(Place, u32),
    /// The length of an array's first dimension.
    Len(Place, u32),
    /// Never read: stands where a branch that has left yields nothing.
    Undef(u32),
    /// The loop's own variable.
    Index(LoopId),
    /// The value of a carried scalar when an iteration starts.
    Phi(LoopId, u32),
    /// The value of a carried scalar after the loop.
    LoopOut(LoopId, u32),
    /// The bound at which a loop with `break` stopped; it makes the loop that runs backwards.
    LoopEnd(LoopId),
    /// What a branch yields.
    IfOut(IfId, u32),
    /// A scalar result of a call.
    CallOut(CallId, u32),
    /// What was pushed last.
    Popped(ArrayId, u32),
    /// All of an array, as it is at this point: what a call was given, for its backward pass.
    Whole(Place, u32),
}

/// A node with what is known of it.
#[derive(Clone, Debug)]
pub struct NodeData {
    pub node: Node,
    pub ty: Ty,
    pub span: Span,
    /// The region in which it is computed; `None` for what is known everywhere.
    pub region: Option<RegionId>,
    /// The user's variable that first held it.
    pub name: Option<Rc<str>>,
    /// Written by the user and able to panic: never dropped.
    pub pinned: bool,
}

/// How an array starts.
#[derive(Clone, Debug)]
pub enum Init {
    /// A parameter or the caller's buffer: exists already.
    Given(TokenStream),
    Zeros,
    /// Elements one by one; each is an element of the first dimension.
    List(Vec<Element>),
    /// `[x; n]` or `vec![x; n]`.
    Repeat(Element),
    Copy(Place),
    /// `Vec::new()`.
    Empty,
    /// A call returned it, or left it behind `&mut`.
    Returned(CallId),
}

/// An element of an array literal.
#[derive(Clone, Debug)]
pub enum Element {
    Scalar(Id),
    Part(Place),
    Tuple(Vec<Element>),
}

/// An array object.
#[derive(Clone, Debug)]
pub struct ArrayData {
    pub name: Rc<str>,
    pub shape: Shape,
    pub init: Init,
    /// The length, for a local `Vec`.
    pub len: Option<Id>,
    pub region: Option<RegionId>,
    pub version: u32,
    /// `Some(parameter)` where it is one.
    pub param: Option<u32>,
    /// Stored to after its declaration.
    pub mutated: bool,
    /// Can never be stored to: a parameter behind a shared reference.
    pub frozen: bool,
    /// Holds an adjoint.
    pub shadow: bool,
    /// The array whose lengths it has, where those are known at run time only.
    pub like: Option<ArrayId>,
    pub span: Span,
}

/// What happens, in order.
#[derive(Clone, Debug)]
pub enum Stmt {
    /// Compute a node here.
    Let(Id),
    Declare(ArrayId),
    /// `place = value`, or `place += value`.
    Store {
        place: Place,
        value: Id,
        add: bool,
    },
    /// A whole array or part of one: `to = from`, or elementwise `to += from`.
    Copy {
        to: Place,
        from: Place,
        add: bool,
    },
    /// Every element is zero again.
    Clear(Place),
    Swap(Place, Place),
    Push(ArrayId, Id),
    /// Removes the last element and binds it to the node, where there is one.
    Pop(ArrayId, Option<Id>),
    If(IfId),
    Loop(LoopId),
    /// `assert!`, `panic!`: run as written.
    Effect(u32, Vec<Id>),
    Call(CallId),
    /// The backward pass of a call.
    Pullback(CallId),
    /// Reads a kept value back: the node gets the value of the other.
    Bind(Id, Id),
    /// Reads what the loop kept in the iteration that is being reversed.
    ReadTape(LoopId),
    /// Reads what the loop kept in a given iteration.
    ReadTapeAt(LoopId, Id),
    /// Reads a value from the residuals.
    ReadSaved(Id),
}

#[derive(Clone, Default, Debug)]
pub struct Region {
    pub stmts: Vec<Stmt>,
    pub parent: Option<RegionId>,
}

/// One value that a branch yields.
#[derive(Clone, Debug)]
pub struct Slot {
    pub out: Id,
    pub then: Id,
    pub otherwise: Id,
}

#[derive(Clone, Debug)]
pub struct If {
    pub cond: Id,
    pub then: RegionId,
    pub otherwise: RegionId,
    pub slots: Vec<Slot>,
}

/// How a loop counts.
#[derive(Clone, Debug)]
pub enum Count {
    /// `for index in lo..hi`, `lo..=hi`, or either reversed.
    Range {
        index: Id,
        lo: Id,
        hi: Id,
        inclusive: bool,
        rev: bool,
    },
    /// `for index in (lo..hi).step_by(step)`.
    Stepped {
        index: Id,
        lo: Id,
        hi: Id,
        inclusive: bool,
        step: Id,
        rev: bool,
    },
    /// `loop`: until the body says not again.
    Forever,
    /// The reverse of `loop` and of stepped ranges: as many iterations as the tape holds.
    Replay(LoopId),
}

/// One scalar that a loop carries from iteration to iteration.
#[derive(Clone, Debug)]
pub struct Carried {
    pub phi: Id,
    pub init: Id,
    pub next: Id,
    pub out: Id,
}

#[derive(Clone, Debug)]
pub struct Loop {
    pub count: Count,
    pub body: RegionId,
    pub carried: Vec<Carried>,
    /// Where the body can leave: whether to go on.
    pub again: Option<Id>,
    /// The bound at which a range was left, where `again` is there.
    pub end: Option<Id>,
    /// What each iteration keeps for the backward pass.
    pub tape: Vec<Id>,
    /// Set on the loop that runs backwards: the one that it reverses.
    pub reverses: Option<LoopId>,
    /// Loops after this one read its tape too.
    pub shared: bool,
    /// Copies elements of one array to another, and nothing reads those of the first before they are stored to again.
    pub moves: bool,
    pub span: Span,
}

/// A scalar or an array in the arguments of a call of another annotated function.
#[derive(Clone, Debug)]
pub enum Argument {
    Scalar {
        value: Id,
    },
    /// The array, and the node that stands for what it holds when the call is made.
    Array {
        place: Place,
        held: Id,
    },
}

/// How an argument or a result is put together.
#[derive(Clone, Debug)]
pub enum Form {
    /// One of the call's scalars and arrays, by its position.
    Leaf(usize),
    /// A tuple or a struct.
    Parts(Shape, Vec<Form>),
    /// Constant Rust: the receiver of a method.
    Tokens(TokenStream),
    /// A parameter that is passed on as a whole: the reference, and what it refers to.
    Whole(Id, Box<Form>),
}

impl Form {
    /// The positions of the scalars and arrays in it, in order.
    pub fn leaves(&self, out: &mut Vec<usize>) {
        match self {
            Form::Leaf(k) => out.push(*k),
            Form::Parts(_, all) => all.iter().for_each(|f| f.leaves(out)),
            Form::Tokens(_) => {}
            Form::Whole(_, parts) => parts.leaves(out),
        }
    }
}

/// How an argument is handed over.
#[derive(Clone, Debug)]
pub enum Pass {
    Value,
    Ref,
    /// By `&mut`: which results it holds afterwards.
    Mut(Form),
}

/// One argument, as the call is written.
#[derive(Clone, Debug)]
pub struct Passed {
    pub form: Form,
    pub pass: Pass,
    /// The function called holds this parameter constant.
    pub constant: bool,
}

/// A scalar or an array in the results of a call.
#[derive(Clone, Copy, Debug)]
pub enum Returned {
    Scalar(Id),
    Array(ArrayId),
}

/// What is called.
#[derive(Clone, Debug)]
pub enum Callee {
    /// A function: its derivatives are in the namespace of its name.
    Function { namespace: TokenStream },
    /// A method or an associated function: its derivatives stand beside it.
    Associated { of: TokenStream, prefix: String },
}

#[derive(Clone, Debug)]
pub struct Call {
    pub path: TokenStream,
    pub callee: Callee,
    /// The scalars and arrays that the arguments are made of, in order.
    pub args: Vec<Argument>,
    pub passed: Vec<Passed>,
    /// The scalars and arrays that the results are made of.
    pub results: Vec<Returned>,
    /// How the returned value is made of them; `None` if nothing is returned.
    pub returns: Option<Form>,
    /// The scalars among the results.
    pub outs: Vec<Id>,
    /// Adjoints of these, set by `reverse`.
    pub upstream: Vec<Id>,
    /// For each array among the results, the shadow that holds its adjoint, set by `reverse`.
    pub incoming: Vec<Option<Place>>,
    /// For each scalar argument, the node that gets its gradient, set by `reverse`.
    pub gradients: Vec<Option<Id>>,
    /// For each array argument, the shadow to which its gradient is added, set by `reverse`.
    pub shadows: Vec<Option<Place>>,
    /// Arrays among the arguments are stored to later: what a call keeps must not borrow them. Set by `reverse`.
    pub changed: Vec<ArrayId>,
    pub span: Span,
}

impl Call {
    /// The arrays among the results.
    pub fn arrays(&self) -> impl Iterator<Item = ArrayId> + '_ {
        self.results.iter().filter_map(|r| match r {
            Returned::Array(a) => Some(*a),
            Returned::Scalar(_) => None,
        })
    }

    /// The results that are one array, changed where it stands: each with its argument.
    pub fn in_place(&self) -> impl Iterator<Item = (ArrayId, &Place)> + '_ {
        self.passed.iter().filter_map(|p| match (&p.form, &p.pass) {
            (Form::Leaf(a), Pass::Mut(Form::Leaf(r))) => match (&self.args[*a], self.results[*r]) {
                (Argument::Array { place, .. }, Returned::Array(after)) => Some((after, place)),
                _ => None,
            },
            _ => None,
        })
    }
}

/// The program: primal first, gradient after `reverse`.
#[derive(Clone, Default)]
pub struct Graph {
    pub nodes: Vec<NodeData>,
    pub regions: Vec<Region>,
    pub arrays: Vec<ArrayData>,
    pub ifs: Vec<If>,
    pub loops: Vec<Loop>,
    pub calls: Vec<Call>,
    pub opaques: Vec<Rc<Opaque>>,
    pub effects: Vec<Rc<TokenStream>>,
    pub types: Types,
    /// Nodes found to be other nodes: a carried scalar that never changes is its initial value.
    alias: HashMap<Id, Id>,
    /// The regions being built, outermost first.
    open: Vec<RegionId>,
    seen: HashMap<Node, Id>,
    literals: HashMap<String, Id>,
    opaque_keys: HashMap<String, u32>,
    /// What each region added to `seen`, so that it can be forgotten and, for the backward pass, remembered.
    entries: HashMap<RegionId, Vec<Node>>,
    remembered: HashMap<RegionId, Vec<(Node, Id)>>,
    /// The source position given to nodes as they are made.
    pub span: Option<Span>,
    /// Slopes that cost more than they need to are taken where they are more accurate: `#[backprop(stable)]`.
    pub accurate: bool,
    /// The nodes that stand for whole arrays.
    whole: HashMap<Id, Shape>,
}

impl Graph {
    pub fn data(&self, id: Id) -> &NodeData {
        &self.nodes[id.0 as usize]
    }
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize].node
    }
    pub fn ty(&self, id: Id) -> Ty {
        self.nodes[id.0 as usize].ty
    }
    pub fn region(&self, id: RegionId) -> &Region {
        &self.regions[id.0 as usize]
    }
    pub fn region_mut(&mut self, id: RegionId) -> &mut Region {
        &mut self.regions[id.0 as usize]
    }
    pub fn array(&self, id: ArrayId) -> &ArrayData {
        &self.arrays[id.0 as usize]
    }
    pub fn array_mut(&mut self, id: ArrayId) -> &mut ArrayData {
        &mut self.arrays[id.0 as usize]
    }
    pub fn looped(&self, id: LoopId) -> &Loop {
        &self.loops[id.0 as usize]
    }
    pub fn looped_mut(&mut self, id: LoopId) -> &mut Loop {
        &mut self.loops[id.0 as usize]
    }
    pub fn branch(&self, id: IfId) -> &If {
        &self.ifs[id.0 as usize]
    }
    pub fn branch_mut(&mut self, id: IfId) -> &mut If {
        &mut self.ifs[id.0 as usize]
    }
    pub fn call(&self, id: CallId) -> &Call {
        &self.calls[id.0 as usize]
    }
    pub fn call_mut(&mut self, id: CallId) -> &mut Call {
        &mut self.calls[id.0 as usize]
    }
    /// The shape of a node that stands for a whole array.
    pub fn whole_shape(&self, id: Id) -> Option<&Shape> {
        self.whole.get(&self.resolve(id))
    }
    pub fn set_whole_shape(&mut self, id: Id, shape: Shape) {
        self.whole.insert(id, shape);
    }
    pub fn is_float(&self, id: Id) -> bool {
        self.types.is_float(self.ty(id))
    }

    /// The node that `id` turned out to be.
    pub fn resolve(&self, mut id: Id) -> Id {
        while let Some(&next) = self.alias.get(&id) {
            id = next;
        }
        id
    }
    pub fn set_alias(&mut self, from: Id, to: Id) {
        if self.resolve(to) != from {
            self.alias.insert(from, to);
        }
    }

    // ---- regions ----

    /// A new region inside the one being built; statements go to it until [`Graph::close`].
    pub fn open(&mut self) -> RegionId {
        let id = RegionId(self.regions.len() as u32);
        self.regions.push(Region {
            stmts: Vec::new(),
            parent: self.open.last().copied(),
        });
        self.open.push(id);
        id
    }

    /// Goes on building a region that was closed; nothing that it computed is known.
    pub fn enter(&mut self, id: RegionId) {
        self.open.push(id);
    }

    /// Goes on building a region that was closed; what it computed is known again.
    pub fn reopen(&mut self, id: RegionId) {
        self.open.push(id);
        self.remember(id);
    }

    /// Makes the values of a closed region known inside the one being built, whose backward pass it is.
    pub fn remember(&mut self, primal: RegionId) {
        let here = self.here();
        for (key, id) in self.remembered.get(&primal).cloned().unwrap_or_default() {
            if !self.seen.contains_key(&key) {
                self.seen.insert(key.clone(), id);
                self.entries.entry(here).or_default().push(key);
            }
        }
    }

    pub fn close(&mut self) {
        let Some(id) = self.open.pop() else { return };
        let mut kept = Vec::new();
        for key in self.entries.remove(&id).unwrap_or_default() {
            if let Some(node) = self.seen.remove(&key) {
                kept.push((key, node));
            }
        }
        self.remembered.entry(id).or_default().extend(kept);
    }

    /// The region being built.
    pub fn here(&self) -> RegionId {
        self.open.last().copied().unwrap_or(RegionId(0))
    }

    /// Whether `outer` is `inner` or around it.
    pub fn encloses(&self, outer: RegionId, inner: RegionId) -> bool {
        let mut at = Some(inner);
        while let Some(r) = at {
            if r == outer {
                return true;
            }
            at = self.region(r).parent;
        }
        false
    }

    pub fn push(&mut self, stmt: Stmt) {
        let here = self.here();
        self.region_mut(here).stmts.push(stmt);
    }

    /// Goes back to earlier statements, loops and branches; what only the dropped ones made known is forgotten.
    pub fn restore(&mut self, regions: Vec<Region>, loops: Vec<Loop>, ifs: Vec<If>) {
        self.regions = regions;
        self.loops = loops;
        self.ifs = ifs;
        let lets = |r: &Region| -> std::collections::HashSet<Id> {
            r.stmts
                .iter()
                .filter_map(|s| {
                    if let Stmt::Let(id) = s {
                        Some(*id)
                    } else {
                        None
                    }
                })
                .collect()
        };
        for (region, known) in &mut self.remembered {
            let Some(r) = self.regions.get(region.0 as usize) else {
                known.clear();
                continue;
            };
            let here = lets(r);
            known.retain(|(_, id)| {
                self.nodes[id.0 as usize].region != Some(*region) || here.contains(id)
            });
        }
        for region in self.open.clone() {
            let here: std::collections::HashSet<Id> = self
                .region(region)
                .stmts
                .iter()
                .filter_map(|s| {
                    if let Stmt::Let(id) = s {
                        Some(*id)
                    } else {
                        None
                    }
                })
                .collect();
            let keys = self.entries.remove(&region).unwrap_or_default();
            let mut kept = Vec::new();
            for key in keys {
                let stale = self
                    .seen
                    .get(&key)
                    .is_some_and(|id| self.data(*id).region == Some(region) && !here.contains(id));
                if stale {
                    self.seen.remove(&key);
                } else {
                    kept.push(key);
                }
            }
            self.entries.insert(region, kept);
        }
    }

    /// Makes unknown what closed regions computed, unless it is wanted still.
    pub fn forget(&mut self, wanted: impl Fn(&Graph, Id) -> bool) {
        let mut remembered = std::mem::take(&mut self.remembered);
        for known in remembered.values_mut() {
            known.retain(|(_, id)| wanted(self, *id));
        }
        self.remembered = remembered;
    }

    /// Makes unknown what the region being built computes from a position on: code put before it must not refer to it.
    pub fn hide_from(&mut self, position: usize) -> Vec<(Node, Id)> {
        let here = self.here();
        let before: std::collections::HashSet<Id> = self.region(here).stmts[..position]
            .iter()
            .filter_map(|s| {
                if let Stmt::Let(id) = s {
                    Some(*id)
                } else {
                    None
                }
            })
            .collect();
        let mut hidden = Vec::new();
        for key in self.entries.get(&here).into_iter().flatten() {
            if let Some(&id) = self.seen.get(key)
                && self.nodes[id.0 as usize].region == Some(here)
                && !before.contains(&id)
            {
                hidden.push((key.clone(), id));
            }
        }
        for (key, _) in &hidden {
            self.seen.remove(key);
        }
        hidden
    }

    /// Makes known again what was hidden.
    pub fn unhide(&mut self, hidden: Vec<(Node, Id)>) {
        for (key, id) in hidden {
            self.seen.entry(key).or_insert(id);
        }
    }

    // ---- nodes ----

    /// A node that is not computed by a statement of its own: a parameter, a phi, a branch's result.
    pub fn bound(&mut self, node: Node, ty: Ty, region: Option<RegionId>) -> Id {
        let id = Id(self.nodes.len() as u32);
        let span = self.span.unwrap_or_else(Span::call_site);
        self.nodes.push(NodeData {
            node,
            ty,
            span,
            region,
            name: None,
            pinned: false,
        });
        id
    }

    /// A node computed here, or the one that already computes the same.
    pub fn compute(&mut self, node: Node, ty: Ty) -> Id {
        let Some(key) = self.key(&node) else {
            return self.place_here(node, ty);
        };
        if let Some(&id) = self.seen.get(&key) {
            self.types.unify(ty, self.ty(id));
            return id;
        }
        let id = self.place_here(node, ty);
        self.seen.insert(key.clone(), id);
        let here = self.here();
        self.entries.entry(here).or_default().push(key);
        id
    }

    /// What a statement of an existing node computes is known from here on.
    pub fn make_known(&mut self, id: Id) {
        let node = self.node(id).clone();
        if let Some(key) = self.key(&node)
            && !self.seen.contains_key(&key)
        {
            self.seen.insert(key.clone(), id);
            let here = self.here();
            self.entries.entry(here).or_default().push(key);
        }
    }

    fn place_here(&mut self, node: Node, ty: Ty) -> Id {
        let here = self.here();
        // Paths, literals and fields are spelt where they are used: binding a field could move it.
        let inline = matches!(&node, Node::Opaque(k, _)
            if matches!(self.opaque_of(*k).form, OpaqueForm::Tokens(_) | OpaqueForm::Field(_)));
        if inline {
            return self.bound(node, ty, None);
        }
        let id = self.bound(node, ty, Some(here));
        self.push(Stmt::Let(id));
        id
    }

    /// What makes two nodes one. Each literal finds its own type, so literals are compared by their text, and a node whose
    /// operands are all literals is never shared: nothing ties its type to the other's.
    fn key(&mut self, node: &Node) -> Option<Node> {
        let mut only_literals = true;
        let mut canon = |id: Id| {
            let id = self.resolve(id);
            let text = match self.node(id) {
                Node::Lit(bits) => format!("{bits} bits"),
                Node::Opaque(k, args) if args.is_empty() => self.opaque_of(*k).key.clone(),
                _ => {
                    only_literals = false;
                    return id;
                }
            };
            *self.literals.entry(text).or_insert(id)
        };
        let key = match node {
            Node::Apply(op, args) => Node::Apply(*op, args.iter().map(|&a| canon(a)).collect()),
            Node::Opaque(k, args) => Node::Opaque(*k, args.iter().map(|&a| canon(a)).collect()),
            Node::Cast(a, to) => Node::Cast(canon(*a), to.clone()),
            Node::Load(p, v) => {
                let key = Node::Load(p.clone().map(&mut canon), *v);
                return Some(key);
            }
            Node::Len(p, v) => {
                let key = Node::Len(p.clone().map(&mut canon), *v);
                return Some(key);
            }
            _ => return None,
        };
        (!only_literals).then_some(key)
    }

    /// A float constant.
    pub fn lit(&mut self, value: f64, ty: Ty) -> Id {
        self.bound(Node::Lit(value.to_bits()), ty, None)
    }

    /// A float constant of the type of another node.
    pub fn lit_like(&mut self, value: f64, like: Id) -> Id {
        let ty = self.ty(like);
        self.lit(value, ty)
    }

    /// The value of a float constant.
    pub fn constant(&self, id: Id) -> Option<f64> {
        match self.node(self.resolve(id)) {
            Node::Lit(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }

    /// A primitive applied as the user wrote it: never rewritten, so that the value stays bit for bit.
    pub fn apply_primal(&mut self, op: Op, args: &[Id]) -> Id {
        let args: Vec<Id> = args.iter().map(|&a| self.resolve(a)).collect();
        let ty = op.unify(
            &mut self.types,
            &args
                .iter()
                .map(|&a| self.nodes[a.0 as usize].ty)
                .collect::<Vec<_>>(),
        );
        self.compute(Node::Apply(op, args), ty)
    }

    /// A primitive in a gradient, where it may be rewritten to something shorter.
    pub fn apply(&mut self, op: Op, args: &[Id]) -> Id {
        let args: Vec<Id> = args.iter().map(|&a| self.resolve(a)).collect();
        if let Some(shorter) = crate::simplify::rewrite(self, op, &args) {
            return shorter;
        }
        let ty = op.unify(
            &mut self.types,
            &args
                .iter()
                .map(|&a| self.nodes[a.0 as usize].ty)
                .collect::<Vec<_>>(),
        );
        self.compute(Node::Apply(op, args), ty)
    }

    /// Constant Rust, kept as it is.
    pub fn opaque(&mut self, opaque: Opaque, args: &[Id], ty: Ty) -> Id {
        let args: Vec<Id> = args.iter().map(|&a| self.resolve(a)).collect();
        let key = format!("{} {}", opaque.key, opaque.discrete);
        let next = self.opaques.len() as u32;
        let index = *self.opaque_keys.entry(key).or_insert(next);
        if index == next {
            self.opaques.push(Rc::new(opaque));
        }
        self.compute(Node::Opaque(index, args), ty)
    }

    /// `a op b` on constants.
    pub fn opaque_binary(&mut self, op: TokenStream, a: Id, b: Id, ty: Ty, discrete: bool) -> Id {
        let key = format!("binary {op}");
        self.opaque(
            Opaque {
                key,
                form: OpaqueForm::Binary(op),
                discrete,
            },
            &[a, b],
            ty,
        )
    }

    pub fn opaque_unary(&mut self, op: TokenStream, a: Id, ty: Ty) -> Id {
        let key = format!("unary {op}");
        self.opaque(
            Opaque {
                key,
                form: OpaqueForm::Unary(op),
                discrete: false,
            },
            &[a],
            ty,
        )
    }

    pub fn opaque_tokens(&mut self, tokens: TokenStream, ty: Ty) -> Id {
        let key = format!("tokens {tokens}");
        self.opaque(
            Opaque {
                key,
                form: OpaqueForm::Tokens(tokens),
                discrete: false,
            },
            &[],
            ty,
        )
    }

    pub fn opaque_of(&self, index: u32) -> &Opaque {
        &self.opaques[index as usize]
    }

    /// An integer constant, of a type that its use decides.
    pub fn integer_const(&mut self, value: i128) -> Id {
        let ty = self.types.fresh(Kind::AnyInt);
        let lit = proc_macro2::Literal::i128_unsuffixed(value.abs());
        self.opaque_tokens(
            if value < 0 {
                quote::quote!((-#lit))
            } else {
                quote::quote!(#lit)
            },
            ty,
        )
    }

    /// A method of a constant; `discrete` where its operands may be active.
    pub fn opaque_method(&mut self, name: &str, args: &[Id], ty: Ty) -> Id {
        let ident = proc_macro2::Ident::new(name, Span::mixed_site());
        let discrete = name.starts_with("is_");
        self.opaque(
            Opaque {
                key: format!("method {name}"),
                form: OpaqueForm::Method(quote::quote!(#ident)),
                discrete,
            },
            args,
            ty,
        )
    }

    pub fn bool_ty(&mut self) -> Ty {
        self.types.fresh(Kind::Bool)
    }
    pub fn usize_ty(&mut self) -> Ty {
        self.types.fresh(Kind::Int("usize".into()))
    }
    pub fn bool_const(&mut self, value: bool) -> Id {
        let ty = self.bool_ty();
        self.opaque_tokens(
            if value {
                quote::quote!(true)
            } else {
                quote::quote!(false)
            },
            ty,
        )
    }
    pub fn usize_const(&mut self, value: usize) -> Id {
        let ty = self.usize_ty();
        let lit = proc_macro2::Literal::usize_unsuffixed(value);
        self.opaque_tokens(quote::quote!(#lit), ty)
    }

    /// The value of an opaque literal, where it is one.
    pub fn opaque_text(&self, id: Id) -> Option<String> {
        match self.node(self.resolve(id)) {
            Node::Opaque(k, args) if args.is_empty() => match &self.opaque_of(*k).form {
                OpaqueForm::Tokens(t) => Some(t.to_string()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value of an integer literal, where it is one.
    pub fn integer(&self, id: Id) -> Option<i128> {
        let Node::Opaque(k, _) = self.node(self.resolve(id)) else {
            return None;
        };
        // The key of most literals is their text; tokens are dear to print.
        if let Some(Ok(n)) = self
            .opaque_of(*k)
            .key
            .strip_prefix("tokens ")
            .map(str::parse)
        {
            return Some(n);
        }
        let text = self.opaque_text(id)?;
        let bare = text.trim_matches(['(', ')', ' ']);
        let (sign, digits) = match bare.strip_prefix('-') {
            Some(rest) => (-1, rest.trim_start()),
            None => (1, bare),
        };
        let lit = syn::parse_str::<syn::LitInt>(digits).ok()?;
        lit.base10_parse::<i128>().ok().map(|n| sign * n)
    }

    /// The logical negation of a condition.
    pub fn not(&mut self, cond: Id) -> Id {
        match self.opaque_text(cond).as_deref() {
            Some("true") => return self.bool_const(false),
            Some("false") => return self.bool_const(true),
            _ => {}
        }
        if let Node::Opaque(k, args) = self.node(self.resolve(cond)).clone()
            && self.opaque_of(k).key == "unary !"
        {
            return args[0];
        }
        let ty = self.bool_ty();
        self.opaque_unary(quote::quote!(!), cond, ty)
    }

    // ---- arrays ----

    /// Whether zeros like an array can be made from its shape and its length alone.
    pub fn plain_layout(&self, array: ArrayId) -> bool {
        let data = self.array(array);
        let rows = data.shape.element().is_some_and(|s| !s.is_fixed());
        data.shape.is_fixed() || data.len.is_some() && !rows
    }

    /// The array of which one is a copy, or a copy of a copy: it has the same lengths.
    pub fn original(&self, array: ArrayId) -> ArrayId {
        match &self.array(array).init {
            Init::Copy(p) if p.path.is_empty() => self.original(p.array),
            _ => array,
        }
    }

    pub fn new_array(&mut self, name: &str, shape: Shape, init: Init, span: Span) -> ArrayId {
        let id = ArrayId(self.arrays.len() as u32);
        let region = (!matches!(init, Init::Given(_))).then(|| self.here());
        self.arrays.push(ArrayData {
            name: name.into(),
            shape,
            init,
            len: None,
            region,
            version: 0,
            param: None,
            mutated: false,
            frozen: false,
            shadow: false,
            like: None,
            span,
        });
        id
    }

    /// Declares an array in the region being built.
    pub fn declare(&mut self, name: &str, shape: Shape, init: Init, span: Span) -> ArrayId {
        let id = self.new_array(name, shape, init, span);
        self.push(Stmt::Declare(id));
        id
    }

    /// The shape of a part of an array.
    pub fn shape_at(&self, place: &Place) -> Shape {
        let mut shape = self.array(place.array).shape.clone();
        for step in &place.path {
            shape = shape.step(step).unwrap_or(Shape::Unknown);
        }
        shape
    }

    pub fn load(&mut self, place: Place) -> Id {
        let version = self.array(place.array).version;
        let ty = match self.shape_at(&place) {
            Shape::Float(f) => self.types.fresh(Kind::Float(f)),
            Shape::Scalar(ty) => ty,
            _ => self.types.fresh(Kind::Unknown),
        };
        self.compute(Node::Load(place, version), ty)
    }

    /// What an array holds here, as a whole.
    pub fn whole(&mut self, place: &Place) -> Id {
        let version = self.array(place.array).version;
        let ty = self.types.fresh(Kind::Other);
        let shape = match self.shape_at(place) {
            Shape::Slice(s) => Shape::Vec(s),
            shape => shape,
        };
        let id = self.compute(Node::Whole(place.clone(), version), ty);
        self.whole.insert(id, shape);
        id
    }

    fn touch(&mut self, array: ArrayId) {
        let data = self.array_mut(array);
        data.version += 1;
        data.mutated = true;
    }

    pub fn store(&mut self, place: Place, value: Id, add: bool) {
        self.touch(place.array);
        self.push(Stmt::Store { place, value, add });
    }

    pub fn copy(&mut self, to: Place, from: Place, add: bool) {
        self.touch(to.array);
        self.push(Stmt::Copy { to, from, add });
    }

    pub fn clear(&mut self, place: Place) {
        self.touch(place.array);
        self.push(Stmt::Clear(place));
    }

    pub fn swap(&mut self, a: Place, b: Place) {
        self.touch(a.array);
        self.touch(b.array);
        self.push(Stmt::Swap(a, b));
    }

    pub fn push_element(&mut self, array: ArrayId, value: Id) {
        self.touch(array);
        self.push(Stmt::Push(array, value));
    }

    /// After a region that may have stored: no earlier load is current any more.
    pub fn invalidate(&mut self) {
        for a in self.arrays.iter_mut().filter(|a| !a.frozen) {
            a.version += 1;
        }
    }

    // ---- control flow ----

    pub fn new_if(&mut self, cond: Id, then: RegionId, otherwise: RegionId) -> IfId {
        let id = IfId(self.ifs.len() as u32);
        self.ifs.push(If {
            cond,
            then,
            otherwise,
            slots: Vec::new(),
        });
        id
    }

    /// A value that the branch yields, one from each side.
    pub fn yield_from(&mut self, branch: IfId, then: Id, otherwise: Id) -> Id {
        let (then, otherwise) = (self.resolve(then), self.resolve(otherwise));
        if let Some(slot) = self
            .branch(branch)
            .slots
            .iter()
            .find(|s| s.then == then && s.otherwise == otherwise)
        {
            return slot.out;
        }
        self.types.unify(
            self.nodes[then.0 as usize].ty,
            self.nodes[otherwise.0 as usize].ty,
        );
        let ty = self.ty(then);
        let region = self.region(self.branch(branch).then).parent;
        let slot = self.branch(branch).slots.len() as u32;
        let out = self.bound(Node::IfOut(branch, slot), ty, region);
        self.branch_mut(branch).slots.push(Slot {
            out,
            then,
            otherwise,
        });
        out
    }

    pub fn new_loop(&mut self, count: Count, body: RegionId, span: Span) -> LoopId {
        let id = LoopId(self.loops.len() as u32);
        self.loops.push(Loop {
            count,
            body,
            carried: Vec::new(),
            again: None,
            end: None,
            tape: Vec::new(),
            reverses: None,
            shared: false,
            moves: false,
            span,
        });
        id
    }

    /// A carried scalar, complete: its value after the loop.
    pub fn carry(&mut self, looped: LoopId, phi: Id, init: Id, next: Id) -> Id {
        let ty = self.ty(phi);
        self.types.unify(ty, self.nodes[init.0 as usize].ty);
        self.types.unify(ty, self.nodes[next.0 as usize].ty);
        let region = self.region(self.looped(looped).body).parent;
        let slot = self.looped(looped).carried.len() as u32;
        let out = self.bound(Node::LoopOut(looped, slot), ty, region);
        self.nodes[phi.0 as usize].node = Node::Phi(looped, slot);
        self.looped_mut(looped).carried.push(Carried {
            phi,
            init,
            next,
            out,
        });
        out
    }

    /// The operands of a node.
    pub fn operands(&self, id: Id) -> Vec<Id> {
        match self.node(id) {
            Node::Apply(_, args) | Node::Opaque(_, args) => {
                args.iter().map(|&a| self.resolve(a)).collect()
            }
            Node::Cast(a, _) => vec![self.resolve(*a)],
            Node::Load(p, _) | Node::Len(p, _) | Node::Whole(p, _) => {
                p.indices().map(|i| self.resolve(i)).collect()
            }
            _ => Vec::new(),
        }
    }
}
