//! The graph of a tensor function: single-assignment values, in the order in which they are computed.
//!
//! In: what `lower` builds. Out: what `fuse`, `reverse` and `emit` read. A value is a tensor of a rank known here (or
//! `IxDyn`) and a shape known at run time, or a scalar float. Elementwise work of any size is one [`Op::Map`], whose body is
//! scalar Rust over its operands, differentiated by the scalar compiler. Everything else is linear, and has a row in
//! `transpose`. Shapes are a program of their own ([`DimOp`]), so that no tensor is kept for its shape alone.
//! What must hold: an operand is defined before its user; a view's base is not a view of something else's element.

use crate::tensor::idioms::{Idiom, Normal, Uniform};
use proc_macro2::{Ident, Span, TokenStream};
use quote::format_ident;
use std::collections::BTreeMap;

macro_rules! index_type {
    ($($(#[$doc:meta])* $Name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $Name(pub u32);
    )*};
}
index_type! {
    /// A value: a tensor or a scalar float.
    V
    /// A shape.
    Dim
    /// Constant Rust, evaluated once.
    C
}

/// The number of axes; `None` is `IxDyn`.
pub type Rank = Option<usize>;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ty {
    Scalar,
    Tensor(Rank, Dim),
    /// Tensors of one rank, each of its own shape.
    List(Rank),
}

/// A part or another arrangement of a tensor, without a copy. Its adjoint is the same view of the tensor's adjoint.
#[derive(Clone, Debug)]
pub struct View {
    /// The methods that make it, of a view taken by value: `.reversed_axes()`, `.slice_move(s![…])`. The same text makes
    /// the view of the adjoint.
    pub form: TokenStream,
    /// Every element of the tensor is in it.
    pub whole: bool,
}

/// What computes a value.
#[derive(Clone, Debug)]
pub enum Op {
    /// A parameter, by its position.
    Param(usize),
    /// Elementwise, operands broadcast; scalar where no operand is a tensor and no shape is given.
    Map {
        /// Values inside of the body that other maps were before they were fused into this one.
        lets: Vec<(V, syn::Expr)>,
        /// Scalar Rust over `operand(v)` of the operands.
        body: Box<syn::Expr>,
        operands: Vec<V>,
    },
    /// The matrix product, of matrices or vectors; a scalar for two vectors.
    Product(V, V),
    /// A product and what is added to it, which is broadcast.
    Affine(V, V, V),
    View(V, View),
    /// The same elements in order in another shape.
    Reshape(V),
    /// The first elements in order, in the shape of what they stand beside: `a.iter().zip(b.iter())` ends with the shorter one. A map adds to
    /// the tensor's adjoint itself.
    Leading(V),
    /// All elements.
    Sum(V),
    /// Along one axis.
    SumAxis(V, TokenStream),
    /// One element.
    Get(V, TokenStream),
    /// One tensor of a list: a view of it.
    Item(V, TokenStream),
    /// In a loop: what the iteration before has made of a variable, or its value before the loop.
    Inside {
        init: V,
        of: usize,
    },
    /// A variable after the last iteration.
    After {
        init: V,
        next: V,
        of: usize,
    },
    /// What the iterations of a loop have computed, one float each, in order.
    Collected {
        of: usize,
        item: V,
    },
    /// A list of tensors: some from before a loop, and what its iterations have computed, one each.
    Grown {
        of: usize,
        item: V,
        first: Vec<V>,
    },
    /// Some subviews along an axis, by their indices.
    Select(V, TokenStream, TokenStream),
    /// Next to one another along an axis.
    Concatenate(Vec<V>, TokenStream),
    /// Part of the first operand replaced by the second, which is broadcast to it.
    Assign(V, V, View),
    /// One element of the first operand replaced by a scalar.
    Put(V, V, TokenStream),
    /// Constant Rust that makes an array: `Array2::zeros((n, m))`.
    Constant(TokenStream),
    /// A function of each lane along an axis, or of all elements: an annotated function of a slice and of scalars.
    Lanes {
        of: V,
        axis: Option<TokenStream>,
        function: Ident,
        scalars: Vec<V>,
    },
    /// An annotated function of tensors.
    Call {
        function: TokenStream,
        args: Vec<crate::tensor::calls::Arg>,
        /// It takes structs: the function is that of their fields.
        by_fields: bool,
        /// It has a `jvp`.
        jvp: bool,
    },
    /// Several operations of lanes along an axis, or of all elements, with a gradient of their own.
    Idiom {
        idiom: Idiom,
        /// What a cross-entropy multiplies each logarithm by.
        weights: Option<V>,
        of: V,
        /// Subtracted before `exp`; it has no gradient.
        shift: Option<V>,
        axis: Option<TokenStream>,
    },
    /// Lanes of mean 0 and variance 1.
    Normal(Normal),
    /// The tangent of a map, whose value is computed beside it: scalar Rust that gives both.
    MapTangent {
        of: V,
        body: Box<syn::Expr>,
        operands: Vec<V>,
    },
    /// That of a function of lanes, from the tangents of the tensor and of the scalars.
    LanesTangent {
        of: V,
        axis: Option<TokenStream>,
        function: Ident,
        scalars: Vec<V>,
        tangents: Vec<V>,
    },
    /// That of a call, whose value is computed beside it.
    CallTangent {
        of: V,
        tangents: Vec<V>,
    },
}

/// How a shape is found.
#[derive(Clone, Debug)]
pub enum DimOp {
    /// A parameter's.
    Param(V),
    /// Both operands broadcast against one another, as in `a + b`.
    Broadcast(Dim, Dim),
    /// The second operand is broadcast to the first: `a += b`.
    Into(Dim, Dim),
    /// Both must be the same: `Zip`.
    Same(Dim, Dim),
    Product(Dim, Dim),
    View(Dim, View),
    RemoveAxis(Dim, TokenStream),
    /// As many subviews along an axis as there are indices.
    Select(Dim, TokenStream, TokenStream),
    Concatenate(Vec<Dim>, TokenStream),
    /// `IntoDimension` of constant Rust, with as many elements as another where there is one.
    Given(TokenStream, Option<Dim>),
    /// As many elements as there are in a list, `from_shape_vec`.
    Listed(TokenStream, Dim),
    /// That in which both stand side by side.
    Beside(Dim, Dim),
    /// The second operand is broadcast to the first, if it can be: `b.broadcast(a)`.
    Spread(Dim, Dim),
    /// With so many axes, if it has them: `into_dimensionality`.
    Ranked(Dim),
    /// That of a constant array.
    Of(V),
}

/// What is known of a value.
#[derive(Clone, Debug)]
pub struct Value {
    pub op: Op,
    pub ty: Ty,
    /// It depends on a differentiated parameter.
    pub active: bool,
    pub name: Option<String>,
    /// Where it is written: errors about a map as a whole point there.
    pub span: Span,
    /// 0, or one more than the number of the innermost loop around it.
    pub region: usize,
}

/// What happens, in order.
#[derive(Clone, Debug)]
pub enum Stmt {
    Value(V),
    Dim(Dim),
    Const(C),
    /// `assert!(…)`: run as written.
    Effect(TokenStream),
    /// The loop ends here unless this holds.
    Leave(C),
    Loop(usize),
}

/// A loop: its body is run once for each position.
#[derive(Clone, Default)]
pub struct Loop {
    /// How often.
    pub count: C,
    /// That is found while running: [`Stmt::Leave`] ends the loop.
    pub found: bool,
    /// It is run once or not at all, on the variables as they stand.
    pub once: bool,
    /// The position.
    pub index: C,
    pub stmts: Vec<Stmt>,
    pub carried: Vec<Carried>,
    pub consts: Vec<CarriedConst>,
    /// Arrays of what the iterations have computed.
    pub collected: Vec<V>,
}

/// An integer or `bool` that a loop changes.
#[derive(Clone, Copy)]
pub struct CarriedConst {
    pub init: C,
    pub inside: C,
    pub next: C,
    pub after: C,
}

/// A variable that a loop changes.
#[derive(Clone, Copy)]
pub struct Carried {
    pub init: V,
    pub inside: V,
    /// What the next iteration finds; computed in the body, in a place of its own.
    pub next: V,
    pub after: V,
}

/// The program.
#[derive(Clone, Default)]
pub struct Graph {
    pub values: Vec<Value>,
    pub dims: Vec<(DimOp, Rank)>,
    pub consts: Vec<TokenStream>,
    /// Of constants that loops compute, the types that are known.
    pub types: BTreeMap<C, String>,
    pub stmts: Vec<Stmt>,
    /// Annotated functions of slices that `Lanes` call.
    pub items: Vec<TokenStream>,
    /// Of those the ones that are `fold(start, max)`, with the start.
    pub largest: BTreeMap<String, syn::Expr>,
    pub loops: Vec<Loop>,
    /// How an `Option` or a `Result` of a shape is unwrapped, other than by `unwrap()`.
    pub unwrapped: BTreeMap<Dim, TokenStream>,
    /// Versions of an array that a loop fills, and the one whose buffer and adjoint they share.
    pub places: BTreeMap<V, V>,
    /// That of the values to come.
    pub region: usize,
}

impl Graph {
    pub fn value(&self, v: V) -> &Value {
        &self.values[v.0 as usize]
    }

    pub fn rank(&self, v: V) -> Rank {
        match self.value(v).ty {
            Ty::Tensor(rank, _) | Ty::List(rank) => rank,
            Ty::Scalar => Some(0),
        }
    }

    /// The shape of a tensor.
    pub fn dim(&self, v: V) -> Option<Dim> {
        match self.value(v).ty {
            Ty::Tensor(_, dim) => Some(dim),
            Ty::Scalar | Ty::List(_) => None,
        }
    }

    /// The value whose buffer a value has.
    pub fn place(&self, v: V) -> V {
        self.places.get(&v).copied().unwrap_or(v)
    }

    pub fn is_tensor(&self, v: V) -> bool {
        matches!(self.value(v).ty, Ty::Tensor(..))
    }

    pub fn active(&self, v: V) -> bool {
        self.value(v).active
    }

    pub fn dim_rank(&self, d: Dim) -> Rank {
        self.dims[d.0 as usize].1
    }

    pub fn new_dim(&mut self, op: DimOp, rank: Rank) -> Dim {
        let id = Dim(self.dims.len() as u32);
        self.dims.push((op, rank));
        self.stmts.push(Stmt::Dim(id));
        id
    }

    pub fn new_const(&mut self, tokens: TokenStream) -> C {
        let id = C(self.consts.len() as u32);
        self.consts.push(tokens);
        self.stmts.push(Stmt::Const(id));
        id
    }

    /// A value, active where an operand is.
    pub fn push(&mut self, op: Op, ty: Ty, span: Span) -> V {
        let id = V(self.values.len() as u32);
        let active = op.operands().iter().any(|&o| self.active(o));
        self.values.push(Value {
            op,
            ty,
            active,
            name: None,
            span,
            region: self.region,
        });
        self.stmts.push(Stmt::Value(id));
        id
    }
}

impl Op {
    /// The values that it reads.
    pub fn operands(&self) -> Vec<V> {
        match self {
            Op::Param(_) | Op::Constant(_) => Vec::new(),
            Op::Inside { init, .. } => vec![*init],
            Op::After { init, next, .. } => vec![*init, *next],
            Op::Collected { item, .. } => vec![*item],
            Op::Grown { item, first, .. } => first.iter().chain([item]).copied().collect(),
            Op::Map { operands, .. } => operands.clone(),
            Op::Product(a, b) | Op::Assign(a, b, _) | Op::Put(a, b, _) => vec![*a, *b],
            Op::View(a, _)
            | Op::Reshape(a)
            | Op::Leading(a)
            | Op::Sum(a)
            | Op::SumAxis(a, _)
            | Op::Get(a, _)
            | Op::Item(a, _)
            | Op::Select(a, ..) => {
                vec![*a]
            }
            Op::Affine(a, b, c) => vec![*a, *b, *c],
            Op::Concatenate(all, _) => all.clone(),
            Op::Lanes { of, scalars, .. } => std::iter::once(*of)
                .chain(scalars.iter().copied())
                .collect(),
            Op::Call { args, .. } => args
                .iter()
                .filter_map(|a| match a {
                    crate::tensor::calls::Arg::Value(v, ..) => Some(*v),
                    crate::tensor::calls::Arg::Constant(..) => None,
                })
                .collect(),
            Op::Idiom {
                of, shift, weights, ..
            } => std::iter::once(*of).chain(*shift).chain(*weights).collect(),
            Op::MapTangent { operands, .. } => operands.clone(),
            Op::LanesTangent {
                of,
                scalars,
                tangents,
                ..
            } => (std::iter::once(of).chain(scalars).chain(tangents))
                .copied()
                .collect(),
            Op::CallTangent { of, tangents } => {
                std::iter::once(of).chain(tangents).copied().collect()
            }
            Op::Normal(n) => {
                let uniform = n.counts.iter().chain([&n.shift]);
                let scalars = uniform.filter_map(|u| match u {
                    Uniform::Scalar(v) => Some(*v),
                    _ => None,
                });
                std::iter::once(n.of).chain(scalars).collect()
            }
        }
    }
}

/// The name of a value inside of a map's body.
pub fn operand(v: V) -> Ident {
    format_ident!("__a{}", v.0, span = Span::mixed_site())
}
