//! Calls of other annotated functions.
//!
//! What a call hands over and gets back, in scalars and arrays of the graph, and how the callee's parameters and results are put together of
//! them.

use super::{ArrayId, Id, Place};
use crate::shape::Shape;
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};

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
