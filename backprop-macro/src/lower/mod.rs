//! `syn` → graph: what the function computes, as the graph says it.
//!
//! In: a function that the fence let through. Out: [`Primal`]: the graph of the function itself and its result. Iterators,
//! closures, compound assignment, patterns, `break`, `continue` and `return` are gone afterwards. What must hold: scalars
//! are in single-assignment form, and whatever was not understood has been rejected at its own span.

mod argument;
mod array;
mod assign;
mod call;
mod callee;
mod closure;
mod control;
mod cursor;
mod effects;
mod expr;
mod integer;
mod iter;
mod iter_consume;
mod iter_method;
mod iter_position;
mod iter_source;
mod lengths;
mod lists;
mod macros;
mod merge;
mod method;
mod names;
mod operator;
mod optional;
mod ordering;
mod parameters;
mod pattern;
mod place;
mod refutable;
mod results;
mod returned;
mod selection;
mod slices;
mod standard;
mod stmt;
mod structs;
mod tabulate;
mod target;
mod value;

pub use macros::fill;
pub use method::BITS;
pub use names::hygiene;

use crate::definitions::Definitions;
use crate::errors::{self, Errors, Message, Rejected, Result};
use crate::graph::{ArrayId, Graph, Id, Node, Place, Primal, RegionId};
use crate::shape::Shape;
use crate::signature::Signature;
use crate::source::Source as File;
use crate::types::{INTEGERS, Kind};
use control::{Frame, Target};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use value::Val;

/// A variable of the user's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VarId(usize);

struct Var {
    name: Rc<str>,
    val: Val,
    /// How many loops were open when `val` became current.
    frame: usize,
    mutable: bool,
}

/// A `&mut` parameter.
#[derive(Clone)]
struct InOut {
    param: usize,
    /// How what is behind it is read and written.
    read: TokenStream,
    /// The variable that holds it meanwhile.
    var: VarId,
    /// What it held on entry.
    entry: Val,
}

/// The names of one block: text and hygiene context.
type Scope = HashMap<String, Vec<(String, VarId)>>;

/// The state of the lowering.
pub struct Lower<'a> {
    pub g: Graph,
    errors: &'a Errors,
    sig: &'a Signature,
    scopes: Vec<Scope>,
    vars: Vec<Var>,
    /// For each open branch or loop body, the variables written in it and what they held before.
    journals: Vec<BTreeMap<VarId, Val>>,
    frames: Vec<Frame>,
    frame_regions: Vec<RegionId>,
    targets: Vec<Target>,
    /// The targets to which some path since the innermost guard has left.
    exits: BTreeSet<usize>,
    /// No path reaches this point.
    dead: bool,
    depth: usize,
    /// The closures that are being written out, and how each is called.
    inlined: Vec<(Rc<value::Closure>, TokenStream)>,
    /// The next loop is part of one that the user sees: `break`, or `continue`, does not mean it.
    hidden: (bool, bool),
    /// Arrays that a variable stands for: binding them again copies.
    named: std::collections::HashSet<ArrayId>,
    reads: Vec<TokenStream>,
    read_params: Vec<u32>,
    read_types: Vec<Option<syn::Type>>,
    /// Tuples and structs behind a shared reference: what they are made of, the parameter, and what stands for the reference.
    borrowed: Vec<(Val, usize, Option<Id>)>,
    in_out: Vec<InOut>,
    items: Vec<TokenStream>,
    constant_fields: Vec<(Id, TokenStream)>,
    /// The type that the user wrote for the value of the call that is lowered next.
    expected: Option<syn::Type>,
    /// Tells, where it can be known, that a function called is not annotated.
    source: &'a File,
}

const MAX_NODES: usize = 200_000;
const MAX_INLINE: usize = 200;

/// Lowers a function; `None` if anything was rejected.
pub fn lower(
    function: &syn::ItemFn,
    sig: &Signature,
    errors: &Errors,
    source: &File,
) -> Option<Primal> {
    let mut l = Lower {
        g: Graph::default(),
        errors,
        sig,
        scopes: vec![Scope::new()],
        vars: Vec::new(),
        journals: Vec::new(),
        frames: Vec::new(),
        frame_regions: Vec::new(),
        targets: Vec::new(),
        exits: BTreeSet::new(),
        dead: false,
        depth: 0,
        inlined: Vec::new(),
        hidden: (false, false),
        named: Default::default(),
        reads: Vec::new(),
        read_params: Vec::new(),
        read_types: Vec::new(),
        borrowed: Vec::new(),
        in_out: Vec::new(),
        items: Vec::new(),
        constant_fields: Vec::new(),
        expected: None,
        source,
    };
    let body = l.g.open();
    let params = l.params();
    l.scopes.push(Scope::new());
    let result = l.function_body(&lengths::spelled(function, &sig.names).block);
    let output = match result {
        Ok(_) if sig.returns_nothing => l.changed(),
        Ok(val) => l.output(val, &sig.output, &function.sig.output),
        Err(Rejected) => None,
    };
    let writes = l.writes().unwrap_or_default();
    l.g.close();
    if l.g.nodes.len() > MAX_NODES {
        errors.reject(&sig.ident, &errors::TOO_LARGE);
    }
    sig.names.report(errors);
    if !errors.is_empty() {
        return None;
    }
    Some(Primal {
        graph: l.g,
        body,
        result: output?,
        reads: l.reads,
        read_params: l.read_params,
        read_types: l.read_types,
        params,
        writes,
        items: l.items,
        constant_fields: l.constant_fields,
    })
}

impl Lower<'_> {
    fn reject<T>(&self, at: impl ToTokens, message: &Message) -> Result<T> {
        let at = at.to_token_stream();
        match self.g.span {
            // What stands nowhere in the source belongs to the statement.
            Some(span) if at.is_empty() => Err(self.errors.reject_at(span, message, "")),
            _ => Err(self.errors.reject(at, message)),
        }
    }

    fn errors_named<T>(&self, at: impl ToTokens, message: &Message, name: &str) -> Result<T> {
        let at = at.to_token_stream();
        match self.g.span {
            Some(span) if at.is_empty() => Err(self.errors.reject_at(span, message, name)),
            _ => Err(self.errors.reject_named(at, message, name)),
        }
    }

    /// Notes that an array's elements have the types of a declared shape.
    fn learn_elements(&mut self, place: &Place, shape: &Shape) {
        let found = self.g.shape_at(place);
        self.unify_shapes(&found, shape);
    }

    fn unify_shapes(&mut self, a: &Shape, b: &Shape) {
        match (a, b) {
            (Shape::Scalar(t), Shape::Float(f)) | (Shape::Float(f), Shape::Scalar(t)) => {
                self.g.types.learn(*t, Kind::Float(f.clone()))
            }
            (Shape::Scalar(t), Shape::Constant(ty)) | (Shape::Constant(ty), Shape::Scalar(t)) => {
                let kind = kind_of(ty, &self.sig.names);
                self.g.types.learn(*t, kind);
            }
            (Shape::Scalar(a), Shape::Scalar(b)) => self.g.types.unify(*a, *b),
            _ => {
                if let (Some(xs), Some(ys)) = (a.parts(), b.parts()) {
                    for ((_, x), (_, y)) in xs.iter().zip(&ys) {
                        self.unify_shapes(x, y);
                    }
                }
                if let (Some(x), Some(y)) = (a.element(), b.element()) {
                    self.unify_shapes(&x.clone(), &y.clone());
                }
            }
        }
    }

    /// The scalar of a value.
    fn num(&mut self, val: Val, at: impl ToTokens) -> Result<Id> {
        match val {
            Val::Num(id) => Ok(id),
            Val::Elem(place) => Ok(self.g.load(place)),
            Val::MutRef(var, path) => {
                let val = self.read_along(var, &path);
                self.num(val, at)
            }
            // A lower-case constant.
            Val::Path(path) => {
                let ty = self.g.types.fresh(Kind::Unknown);
                Ok(self.g.opaque_tokens(path.to_token_stream(), ty))
            }
            Val::Uninit if self.dead => Err(Rejected),
            Val::Poison => Err(Rejected),
            Val::Closure(_) => self.reject(at, &errors::CLOSURE),
            other => self.errors_named(at, &errors::NOT_SCALAR, other.kind()),
        }
    }

    fn usize_op(&mut self, op: TokenStream, a: Id, b: Id) -> Id {
        let (ta, tb) = (self.g.ty(a), self.g.ty(b));
        self.g.types.learn(ta, Kind::Int("usize".into()));
        self.g.types.learn(tb, Kind::Int("usize".into()));
        match (
            op.to_string().as_str(),
            self.g.integer(a),
            self.g.integer(b),
        ) {
            ("+", Some(0), _) => return b,
            ("+" | "-", _, Some(0)) => return a,
            ("+", Some(x), Some(y)) => return self.g.usize_const((x + y) as usize),
            ("-", Some(x), Some(y)) if x >= y => return self.g.usize_const((x - y) as usize),
            _ => {}
        }
        let ty = self.g.usize_ty();
        self.g.opaque_binary(op, a, b, ty, false)
    }
}

/// The length of an array, as a node.
pub fn fixed_len(g: &mut Graph, place: &Place) -> Id {
    use crate::shape::Length;
    let ty = g.usize_ty();
    match g.shape_at(place) {
        Shape::Array(_, Length::Known(n)) => g.usize_const(n),
        Shape::Array(_, Length::Tokens(t)) => g.opaque_tokens(quote!((#t)), ty),
        _ => g.compute(Node::Len(place.clone(), u32::MAX), ty),
    }
}

/// The kind that a type's name says.
fn kind_of(ty: &syn::Type, names: &Definitions) -> Kind {
    match Shape::parse(ty, names) {
        Shape::Float(f) => Kind::Float(f),
        _ => match crate::shape::primitive(strip_refs(ty)).as_deref() {
            Some("bool") => Kind::Bool,
            Some(name) if INTEGERS.contains(&name) => Kind::Int(name.to_string()),
            Some("_") => Kind::Unknown,
            _ => Kind::Other,
        },
    }
}

fn strip_refs(ty: &syn::Type) -> &syn::Type {
    match crate::shape::peel(ty) {
        syn::Type::Reference(r) => strip_refs(&r.elem),
        other => other,
    }
}
