//! The graph of a whole function, and what of it stands for parameters and results.

use super::{ArrayId, Graph, Id, Place, RegionId};
use proc_macro2::TokenStream;

/// The graph of the function itself.
#[derive(Clone)]
pub struct Primal {
    pub graph: Graph,
    pub body: RegionId,
    pub result: Output,
    /// For each scalar parameter node, the expression that reads it.
    pub reads: Vec<TokenStream>,
    /// For each of these, the parameter.
    pub read_params: Vec<u32>,
    /// For a constant part of a parameter, its type.
    pub read_types: Vec<Option<syn::Type>>,
    /// For each parameter, what stands for it.
    pub params: Vec<Source>,
    /// What `&mut` parameters get when the function ends: the place and the value.
    pub writes: Vec<(TokenStream, Id)>,
    /// `const`, `static` and `use` items of the body, needed wherever the code is emitted again.
    pub items: Vec<TokenStream>,
    /// What is put into fields that are constant, and how that is written: errors point at it.
    pub constant_fields: Vec<(Id, TokenStream)>,
}

/// A result, or a part of one.
#[derive(Clone, Debug)]
pub enum Output {
    Scalar(Id),
    Array(Place),
    Tuple(Vec<Output>),
}

/// What stands for a parameter, or for a part of it.
#[derive(Clone, Debug)]
pub enum Source {
    Scalar(Id),
    Array(ArrayId),
    Tuple(Vec<Source>),
    Constant,
}

impl Primal {
    /// Whether the function stores to a parameter or to a part of it.
    pub fn mutates(&self, param: &Source) -> bool {
        match param {
            Source::Array(a) => self.graph.array(*a).mutated,
            Source::Tuple(all) => all.iter().any(|s| self.mutates(s)),
            Source::Scalar(_) | Source::Constant => false,
        }
    }
}
