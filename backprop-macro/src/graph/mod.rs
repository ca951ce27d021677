//! The graph: the one language between `lower` and `emit`.
//!
//! Straight-line code is a hash-consed list of nodes; control flow is statements with regions; arrays are objects updated
//! in place, whose loads carry the array's version so that two loads are one node only where nothing was stored between.
//! What must hold: an operand is defined before its user, in the same region or in one around it; scalars are never
//! mutated (a branch yields them, a loop carries them); floats with gradients are only ever operands of `Apply`,
//! `Cast`, loads, stores, yields and calls, all of which `reverse` knows.

mod arrays;
mod control;
mod nodes;
mod regions;

use crate::rules::Op;
use crate::shape::Shape;
use crate::types::{FloatTy, Ty, Types};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
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
    /// What a name in a pattern is bound to where the operand matches; anything of its type where it does not.
    Bound(TokenStream, proc_macro2::Ident),
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
    /// The checkpointed loop whose states it holds; its `len` is every how many iterations one is saved.
    pub saves: Option<LoopId>,
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
    /// Appends to what a checkpointed loop saves: a copy of its state.
    Save(ArrayId, Element),
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
    /// Runs in the backward pass, for the sake of what it computes on the way.
    pub rerun: bool,
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

impl Count {
    /// A range, `step_by` if there is a step.
    pub fn over(
        index: Id,
        (lo, hi): (Id, Id),
        inclusive: bool,
        step: Option<Id>,
        rev: bool,
    ) -> Count {
        match step {
            Some(step) => Count::Stepped {
                index,
                lo,
                hi,
                inclusive,
                step,
                rev,
            },
            None => Count::Range {
                index,
                lo,
                hi,
                inclusive,
                rev,
            },
        }
    }
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
    /// Set on the loop over the segments of a checkpointed loop, last segment first: the loop that it reverses.
    pub segments: Option<LoopId>,
    /// Runs in the backward pass, for the sake of what it computes on the way.
    pub rerun: bool,
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
    /// The tangent of a tuple or a struct, shaped like its gradient: what it is the tangent of, and its parts.
    Tangent(Box<Form>, Box<Form>),
}

impl Form {
    /// The positions of the scalars and arrays in it, in order.
    pub fn leaves(&self, out: &mut Vec<usize>) {
        match self {
            Form::Leaf(k) => out.push(*k),
            Form::Parts(_, all) => all.iter().for_each(|f| f.leaves(out)),
            Form::Tokens(_) => {}
            Form::Whole(_, parts) | Form::Tangent(_, parts) => parts.leaves(out),
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
    /// How it is written: errors point at it.
    pub at: TokenStream,
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

impl Callee {
    /// One of the functions that the callee's annotation made.
    pub fn derivative(&self, name: &str) -> TokenStream {
        match self {
            Callee::Function { namespace } => {
                let name = format_ident!("{}", name);
                quote!(#namespace::#name)
            }
            Callee::Associated { of, prefix } => {
                let name = match name {
                    "__pullback" => format_ident!("__{}_pullback", prefix),
                    name => format_ident!("{}_{}", prefix, name),
                };
                quote!(<#of>::#name)
            }
        }
    }
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
    /// Whether the function called has a `jvp`, where its attribute is known.
    pub has_jvp: Option<bool>,
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
}
