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
mod compare;
mod control;
mod cursor;
mod effects;
mod expr;
mod iter;
mod iter_consume;
mod iter_method;
mod iter_source;
mod lengths;
mod macros;
mod merge;
mod method;
mod operator;
mod pattern;
mod place;
mod returned;
mod slices;
mod stmt;
mod structs;
mod tabulate;
mod target;
mod value;

pub use macros::fill;

use crate::definitions::Definitions;
use crate::errors::{self, Errors, Message, Rejected, Result};
use crate::graph::{ArrayId, Graph, Id, Init, Node, Place, RegionId};
use crate::shape::Shape;
use crate::signature::Signature;
use crate::source::Source as File;
use crate::types::{INTEGERS, Kind, Ty};
use control::{Frame, Target};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use value::{Borrow, Val, View};

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
    inlined: usize,
    /// Arrays that a variable stands for: binding them again copies.
    /// The next loop is part of one that the user sees: `break`, or `continue`, does not mean it.
    hidden: (bool, bool),
    named: std::collections::HashSet<ArrayId>,
    reads: Vec<TokenStream>,
    read_params: Vec<u32>,
    read_types: Vec<Option<syn::Type>>,
    /// Tuples and structs behind a shared reference: what they are made of, the parameter, and what stands for the reference.
    borrowed: Vec<(Val, usize, Option<Id>)>,
    in_out: Vec<InOut>,
    items: Vec<TokenStream>,
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
        inlined: 0,
        hidden: (false, false),
        named: Default::default(),
        reads: Vec::new(),
        read_params: Vec::new(),
        read_types: Vec::new(),
        borrowed: Vec::new(),
        in_out: Vec::new(),
        items: Vec::new(),
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
    })
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

impl Lower<'_> {
    fn reject<T>(&self, at: impl ToTokens, message: &Message) -> Result<T> {
        Err(self.errors.reject(at, message))
    }

    // ---- parameters and results ----

    fn params(&mut self) -> Vec<Source> {
        let sig = self.sig;
        let mut sources = Vec::new();
        for (k, p) in sig.params.iter().enumerate() {
            let name: Rc<str> = p.ident.to_string().trim_start_matches("r#").into();
            let ident = &p.ident;
            let depth = reference_depth(&p.ty);
            let read = if depth > 0
                && matches!(p.shape, Shape::Float(_) | Shape::Constant(_))
                && !is_text(&p.shape)
            {
                let stars = (0..depth).map(|_| quote!(*));
                quote!((#(#stars)* #ident))
            } else {
                quote!(#ident)
            };
            self.g.span = Some(p.ident.span());
            let frozen = !p.mutable && !p.in_out;
            let borrow = match (p.in_out, p.by_ref) {
                (true, _) => Borrow::Mut,
                (_, true) => Borrow::Shared,
                _ => Borrow::Own,
            };
            let (val, source) =
                self.param_value(&name, &p.shape, read.clone(), k as u32, frozen, borrow);
            if p.is_borrowed() && depth == 1 && val.parts().is_some() {
                self.borrowed.push((val.clone(), k, None));
            }
            let held = match &val {
                // What is behind the reference is a variable of its own.
                Val::View(_) => val.clone(),
                _ if p.in_out => Val::MutRef(self.new_var(name, val.clone(), true), Vec::new()),
                _ => val.clone(),
            };
            let var = self.declare(&p.ident, held.clone(), p.mutable);
            if p.in_out {
                self.in_out.push(InOut {
                    param: k,
                    read,
                    var: match held {
                        Val::MutRef(inner, _) => inner,
                        _ => var,
                    },
                    entry: val,
                });
            }
            sources.push(source);
        }
        sources
    }

    /// The results of a function that returns nothing: what its `&mut` parameters hold, in order.
    fn changed(&mut self) -> Option<Output> {
        let mut out = Vec::new();
        for p in self.in_out.clone() {
            if self.sig.params[p.param].shape.has_floats() {
                let now = self.read(p.var);
                out.push(held(now)?);
            }
        }
        match out.len() {
            1 => out.pop(),
            _ => Some(Output::Tuple(out)),
        }
    }

    /// What the user's `&mut` parameters get when the function ends. Arrays have been changed in place.
    fn writes(&mut self) -> Result<Vec<(TokenStream, Id)>> {
        let mut out = Vec::new();
        for p in self.in_out.clone() {
            let (now, shape) = (self.read(p.var), &self.sig.params[p.param].shape);
            self.write_back(&p.entry, &now, shape, p.read, &mut out)?;
        }
        Ok(out)
    }

    fn write_back(
        &mut self,
        entry: &Val,
        now: &Val,
        shape: &Shape,
        place: TokenStream,
        out: &mut Vec<(TokenStream, Id)>,
    ) -> Result<()> {
        match (entry, now) {
            (Val::Num(old), Val::Num(new)) => {
                if self.g.resolve(*new) != *old {
                    out.push((place, *new));
                }
            }
            (Val::View(old), Val::View(new)) if old.place != new.place => {
                self.keeps_length(old, new);
                self.copy_view(old, new)?;
            }
            _ => {
                let parts = entry.parts().into_iter().flatten();
                let now = now.parts().into_iter().flatten();
                for ((e, n), (m, s)) in parts.zip(now).zip(shape.parts().unwrap_or_default()) {
                    self.write_back(e, n, &s, quote!(#place.#m), out)?;
                }
            }
        }
        Ok(())
    }

    fn param_value(
        &mut self,
        name: &str,
        shape: &Shape,
        read: TokenStream,
        k: u32,
        frozen: bool,
        borrow: Borrow,
    ) -> (Val, Source) {
        match shape {
            Shape::Float(f) => {
                let ty = self.g.types.fresh(Kind::Float(f.clone()));
                let id = self.param_node(read, ty, name, k);
                (Val::Num(id), Source::Scalar(id))
            }
            Shape::Tuple(all) => {
                let parts = all.iter().enumerate().map(|(i, s)| {
                    let i = syn::Index::from(i);
                    self.param_value(name, s, quote!(#read.#i), k, frozen, borrow)
                });
                let (vals, sources) = parts.unzip();
                (Val::Tuple(vals), Source::Tuple(sources))
            }
            Shape::Struct(of) => {
                let parts = of.fields.iter().map(|f| {
                    let member = &f.member;
                    let read = quote!(#read.#member);
                    self.param_value(name, &f.shape, read, k, frozen, borrow)
                });
                let (vals, sources) = parts.unzip();
                (Val::Struct(of.clone(), vals), Source::Tuple(sources))
            }
            Shape::Array(..) | Shape::Slice(_) | Shape::Vec(_) => {
                let array =
                    self.g
                        .new_array(name, shape.clone(), Init::Given(read), Span::call_site());
                let data = self.g.array_mut(array);
                data.param = Some(k);
                data.frozen = frozen;
                let place = Place {
                    array,
                    path: Vec::new(),
                };
                (
                    Val::View(View {
                        place,
                        window: None,
                        borrow,
                    }),
                    Source::Array(array),
                )
            }
            Shape::Constant(ty) => {
                let kind = kind_of(ty, &self.sig.names);
                let t = self.g.types.fresh(kind);
                let id = self.param_node(read, t, name, k);
                if self.sig.params[k as usize].shape.parts().is_some() {
                    self.read_types.pop();
                    self.read_types.push(Some((**ty).clone()));
                }
                let val = match crate::shape::optional(ty) {
                    Some(inner) => self.constant_option(id, inner),
                    None => Val::Num(id),
                };
                (val, Source::Constant)
            }
            Shape::Scalar(_) | Shape::Unknown => {
                let ty = self.g.types.fresh(Kind::Other);
                let id = self.param_node(read, ty, name, k);
                (Val::Num(id), Source::Constant)
            }
        }
    }

    /// An `Option` of a constant: whether it holds one, and which, or its default.
    fn constant_option(&mut self, id: Id, inner: &syn::Type) -> Val {
        let ty = self.g.bool_ty();
        let some = self.g.opaque_method("is_some", &[id], ty);
        let kind = kind_of(inner, &self.sig.names);
        let ty = self.g.types.fresh(kind);
        let value = self.g.opaque_method("unwrap_or_default", &[id], ty);
        Val::Opt(some, Box::new(Val::Num(value)))
    }

    fn param_node(&mut self, read: TokenStream, ty: Ty, name: &str, param: u32) -> Id {
        let k = self.reads.len() as u32;
        self.reads.push(read);
        self.read_params.push(param);
        self.read_types.push(None);
        let id = self.g.bound(Node::Param(k), ty, None);
        self.g.nodes[id.0 as usize].name = Some(name.into());
        id
    }

    fn output(&mut self, val: Val, shape: &Shape, at: &syn::ReturnType) -> Option<Output> {
        match (val, shape) {
            (Val::Num(id), Shape::Float(f)) => {
                let ty = self.g.ty(id);
                self.g.types.learn(ty, Kind::Float(f.clone()));
                Some(Output::Scalar(id))
            }
            (Val::Elem(place), Shape::Float(_)) => {
                let id = self.g.load(place);
                self.output(Val::Num(id), shape, at)
            }
            (Val::View(view), Shape::Array(..) | Shape::Vec(_)) => {
                self.learn_elements(&view.place.clone(), shape);
                let owned = self.own(view, "result");
                Some(Output::Array(owned))
            }
            (Val::Tuple(vals), Shape::Tuple(shapes)) if vals.len() == shapes.len() => {
                let parts: Option<Vec<Output>> = vals
                    .into_iter()
                    .zip(shapes)
                    .map(|(v, s)| self.output(v, s, at))
                    .collect();
                Some(Output::Tuple(parts?))
            }
            (Val::Struct(of, vals), Shape::Struct(s)) if of.same(s) => {
                let parts: Option<Vec<Output>> = vals
                    .into_iter()
                    .zip(&s.fields)
                    .map(|(v, f)| self.output(v, &f.shape, at))
                    .collect();
                Some(Output::Tuple(parts?))
            }
            (Val::Num(id), Shape::Constant(_)) => Some(Output::Scalar(id)),
            (Val::Poison, _) => None,
            _ => {
                self.errors.reject(at, &errors::RETURN_TYPE);
                None
            }
        }
    }

    /// An array that nothing else stands for, so that its shadow can start with the upstream gradient.
    fn own(&mut self, view: View, name: &str) -> Place {
        let data = self.g.array(view.place.array);
        if view.place.path.is_empty()
            && view.window.is_none()
            && data.param.is_none()
            && !view.borrow.is_ref()
        {
            return view.place;
        }
        self.copied(&view, name).place
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

    // ---- names ----

    fn declare(&mut self, ident: &Ident, val: Val, mutable: bool) -> VarId {
        let text = ident.to_string();
        let name: Rc<str> = text.trim_start_matches("r#").into();
        let var = self.new_var(name, val, mutable);
        let context = hygiene(ident);
        if let Some(scope) = self.scopes.last_mut() {
            let entries = scope.entry(text).or_default();
            entries.retain(|(c, _)| *c != context);
            entries.push((context, var));
        }
        var
    }

    fn new_var(&mut self, name: Rc<str>, val: Val, mutable: bool) -> VarId {
        let val = match val {
            // What is assigned to later is a value, not another name of a constant.
            Val::Path(_) if mutable => self.num(val, quote!()).map_or(Val::Poison, Val::Num),
            val => val,
        };
        self.name_arrays(&val);
        if let Val::Num(id) = &val {
            let node = &mut self.g.nodes[id.0 as usize];
            if node.name.is_none() {
                node.name = Some(name.clone());
            }
        }
        self.vars.push(Var {
            name,
            val,
            frame: self.frames.len(),
            mutable,
        });
        VarId(self.vars.len() - 1)
    }

    fn name_arrays(&mut self, val: &Val) {
        match val {
            Val::View(view) => {
                self.named.insert(view.place.array);
            }
            Val::Tuple(all) | Val::Struct(_, all) => {
                all.iter().for_each(|v| self.name_arrays(v));
            }
            Val::Opt(_, inner) => self.name_arrays(inner),
            _ => {}
        }
    }

    /// The variable that a name stands for; `None` if it is none of this function's.
    fn find(&self, ident: &Ident) -> Result<Option<VarId>> {
        let (text, context) = (ident.to_string(), hygiene(ident));
        let mut other = false;
        for scope in self.scopes.iter().rev() {
            if let Some(entries) = scope.get(&text) {
                if let Some((_, var)) = entries.iter().find(|(c, _)| *c == context) {
                    return Ok(Some(*var));
                }
                other = true;
            }
        }
        if other {
            return self.reject(ident, &errors::HYGIENE);
        }
        Ok(None)
    }

    fn scoped<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(Scope::new());
        let out = f(self);
        self.scopes.pop();
        out
    }

    /// What a variable holds here.
    fn read(&mut self, var: VarId) -> Val {
        self.sync(var);
        self.vars[var.0].val.clone()
    }

    /// What stands at a part of a variable.
    fn read_along(&mut self, var: VarId, path: &[u32]) -> Val {
        let val = self.read(var);
        val.along(path).cloned().unwrap_or(Val::Poison)
    }

    /// Gives a variable a value.
    fn write(&mut self, var: VarId, val: Val) {
        self.name_arrays(&val);
        self.sync(var);
        let old = std::mem::replace(&mut self.vars[var.0].val, val);
        if let Some(journal) = self.journals.last_mut() {
            journal.entry(var).or_insert(old);
        }
        if let Val::Num(id) = &self.vars[var.0].val {
            let name = self.vars[var.0].name.clone();
            let node = &mut self.g.nodes[id.0 as usize];
            if node.name.is_none() {
                node.name = Some(name);
            }
        }
    }

    // ---- small conveniences ----

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
            _ => self.reject(at, &errors::NOT_SCALAR),
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

/// A value as a result.
fn held(val: Val) -> Option<Output> {
    match val {
        Val::Num(id) => Some(Output::Scalar(id)),
        Val::View(view) if view.window.is_none() => Some(Output::Array(view.place)),
        Val::Tuple(all) | Val::Struct(_, all) => {
            let parts: Option<Vec<Output>> = all.into_iter().map(held).collect();
            Some(Output::Tuple(parts?))
        }
        _ => None,
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

fn reference_depth(ty: &syn::Type) -> usize {
    match crate::shape::peel(ty) {
        syn::Type::Reference(r) => 1 + reference_depth(&r.elem),
        _ => 0,
    }
}

fn is_text(shape: &Shape) -> bool {
    matches!(shape, Shape::Constant(ty) if matches!(crate::shape::primitive(strip_refs(ty)).as_deref(), Some("str" | "String")))
}

/// The hygiene context of an identifier: two variables of one name differ in it. It is what `Debug` shows before the
/// position; stable Rust has no other way to ask.
pub fn hygiene(ident: &Ident) -> String {
    let text = format!("{:?}", ident.span());
    match text.split_once(' ') {
        Some((context, _)) if context.starts_with('#') => context.to_string(),
        _ => String::new(),
    }
}
