//! The body of an elementwise operation, differentiated by the scalar compiler.
//!
//! In: a map of the tensor graph. Out: [`MapCode`]: statements for one element, forward and backward, and the values that
//! the one hands to the other. They are those that `keep` chooses for a function of these scalars; where it keeps what is
//! no float, the backward pass computes the element again instead.

use crate::compile::programs;
use crate::emit::Emit;
use crate::errors::Errors;
use crate::graph::{Id, Node, Output};
use crate::items::Programs;
use crate::options::Options;
use crate::reverse::masked::{self, unbounded_parameters};
use crate::rules::Op as Primitive;
use crate::signature::{Signature, local};
use crate::source::Source;
use crate::tensor::graph::*;
use crate::tensor::lower::Program;
use crate::tensor::signature::TensorSig;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::BTreeSet;
use syn::visit::Visit;

/// One element of a map, forward and backward.
#[derive(Clone)]
pub struct MapCode {
    pub forward: TokenStream,
    pub result: TokenStream,
    /// What the backward pass calls the result, where it reads it.
    pub result_name: Option<Ident>,
    /// What else it reads, by the name that both passes give it.
    pub residuals: Vec<Ident>,
    /// How the forward pass spells each of these.
    pub kept: Vec<TokenStream>,
    pub back: TokenStream,
    /// For each active operand, its adjoint.
    pub gradients: Vec<(V, TokenStream)>,
    pub slopes: Slopes,
}

/// What is known of an element's value and slopes.
#[derive(Clone, Copy, Default)]
pub struct Slopes {
    /// A slope can be infinite or NaN though the operands are not.
    pub singular: bool,
    /// It takes one side of several: an operand's adjoint may be left at zero.
    pub selects: bool,
    /// The value can be infinite or NaN.
    pub unbounded: bool,
    /// It can be where an operand is.
    pub inherits: bool,
}

/// A map as a function of its operands, compiled.
struct Compiled {
    scalar: Signature,
    programs: Programs,
}

/// The body of a map, with those that were fused into it; `None` where a value is no map.
fn body(g: &Graph, v: V, t: &TokenStream) -> Option<TokenStream> {
    let Op::Map { lets, body, .. } = &g.value(v).op else {
        return None;
    };
    let lets = lets.iter().map(|(v, e)| {
        let name = operand(*v);
        quote!(let #name: #t = #e;)
    });
    Some(quote!(#(#lets)* #body))
}

fn compiled(
    g: &Graph,
    v: V,
    jvp: bool,
    unbounded: &dyn Fn(V) -> bool,
    sig: &TensorSig,
    errors: &Errors,
    source: &Source,
) -> Option<Compiled> {
    let t = sig.elem.tokens();
    let (body, operands) = (body(g, v, &t)?, g.value(v).op.operands());
    let names: Vec<Ident> = operands.iter().map(|o| operand(*o)).collect();
    let params = names.iter().map(|n| quote!(#n: #t));
    let types = sig.generics.type_params();
    let clause = &sig.generics.where_clause;
    let generics = if sig.float().is_some() {
        quote!(<#(#types),*>)
    } else {
        quote!()
    };
    let name = Ident::new("__map", g.value(v).span);
    let wrt = operands
        .iter()
        .filter(|o| g.active(**o))
        .map(|o| operand(*o));
    let options = Options {
        wrt: Some(wrt.collect()),
        jvp: jvp.then(|| name.clone()),
        ..Options::default()
    };
    let function: syn::ItemFn =
        syn::parse2(quote!(fn #name #generics (#(#params),*) -> #t #clause { #body })).ok()?;
    let mut scalar = Signature::read(&function, &options, source, errors)?;
    for (param, &o) in scalar.params.iter_mut().zip(&operands) {
        param.unbounded = unbounded(o);
    }
    let programs = programs(&function, &scalar, &options, errors, source)?;
    Some(Compiled { scalar, programs })
}

/// The value of a map and its tangent, as scalar Rust; `tangents` are those of its active operands.
pub fn tangent(
    g: &Graph,
    v: V,
    tangents: &[(V, V)],
    sig: &TensorSig,
    errors: &Errors,
    source: &Source,
) -> Option<syn::Expr> {
    let Op::Map { operands, .. } = &g.value(v).op else {
        return None;
    };
    let Compiled { scalar, programs } = compiled(g, v, true, &|_| false, sig, errors, source)?;
    let jvp = programs.jvp?;
    let Output::Tuple(both) = &jvp.result else {
        return None;
    };
    let mut e = Emit::new(&jvp, &scalar, errors, programs.primal.reads.len() as u32);
    e.kernels = g.is_tensor(v);
    let given = tangents.iter().map(|(o, t)| {
        let at = operands.iter().position(|other| other == o).unwrap_or(0);
        let (name, value) = (crate::forward::tangent_name(&scalar, at), operand(*t));
        quote!(let #name = #value;)
    });
    let (items, statements) = (&programs.primal.items, e.region(jvp.body));
    let both = both.iter().map(|one| e.output(one, &scalar.output));
    syn::parse2(quote!({ #(#given)* #(#items)* #statements (#(#both),*) })).ok()
}

/// The code of a map; `vector` where it is run over many elements. `unbounded` says which operands can be infinite or NaN.
pub fn code(
    g: &Graph,
    v: V,
    sig: &TensorSig,
    errors: &Errors,
    source: &Source,
    vector: bool,
    unbounded: &dyn Fn(V) -> bool,
) -> Option<MapCode> {
    let t = sig.elem.tokens();
    let (body, operands) = (body(g, v, &t)?, g.value(v).op.operands());
    if !g.active(v) {
        let mut singular = Singular(false);
        lets_of(g, v).for_each(|e| singular.visit_expr(e));
        return Some(MapCode {
            forward: TokenStream::new(),
            result: quote!({ #body }),
            result_name: None,
            residuals: Vec::new(),
            kept: Vec::new(),
            back: TokenStream::new(),
            gradients: Vec::new(),
            slopes: Slopes {
                unbounded: singular.0,
                inherits: true,
                ..Slopes::default()
            },
        });
    }
    let Compiled {
        scalar,
        programs: p,
    } = compiled(g, v, false, unbounded, sig, errors, source)?;
    let params = p.primal.reads.len() as u32;
    let mut e = Emit::new(&p.split, &scalar, errors, params);
    e.kernels = vector;
    let float = t.to_string();
    let floats = p
        .saved
        .nodes
        .iter()
        .all(|&id| e.known_type(id).is_some_and(|ty| ty.to_string() == float));
    let Output::Scalar(result) = &p.split.result else {
        return None;
    };
    let result_node = p.split.graph.resolve(*result);
    let slopes = slopes(&p, unbounded_parameters(&p.primal, &scalar));
    let simple = floats && p.saved.arrays.is_empty() && e.saved_tapes().is_empty();
    let items = &p.primal.items;
    let forward = {
        let region = e.region(p.split.body);
        quote!(#(#items)* #region)
    };
    let result = e.output(&p.split.result, &scalar.output);
    if !simple {
        // Everything again, in one go.
        let mut e = Emit::new(&p.upstream, &scalar, errors, params);
        e.kernels = vector;
        let region = e.region(p.upstream.body);
        let gradients = gradients(&e, &p.upstream.scalars, &operands);
        return Some(MapCode {
            forward,
            result,
            result_name: None,
            residuals: Vec::new(),
            kept: Vec::new(),
            back: quote!(#(#items)* #region),
            gradients,
            slopes,
        });
    }
    let parameter = |id: Id| matches!(p.split.graph.node(id), Node::Param(_));
    let mut residuals = Vec::new();
    let mut kept = Vec::new();
    let mut result_name = None;
    for &id in &p.saved.nodes {
        if id == result_node {
            result_name = Some(e.name(id));
        } else if !parameter(id) {
            residuals.push(e.name(id));
            kept.push(e.value(id));
        }
    }
    let back = p.split.back.map(|b| e.region(b));
    let gradients = gradients(&e, &p.split.scalars, &operands);
    Some(MapCode {
        forward,
        result,
        result_name,
        residuals,
        kept,
        back: quote!(#(#items)* #back),
        gradients,
        slopes,
    })
}

/// What the scalar program of an element tells.
fn slopes(p: &Programs, unbounded: BTreeSet<Id>) -> Slopes {
    let g = &p.primal.graph;
    let result = |parameter: &dyn Fn(Id) -> bool| match &p.primal.result {
        Output::Scalar(id) => masked::unbounded(g, *id, parameter),
        _ => true,
    };
    let takes_sides = |node: &Node| {
        matches!(
            node,
            Node::IfOut(..)
                | Node::LoopOut(..)
                | Node::CallOut(..)
                | Node::Load(..)
                | Node::Apply(
                    Primitive::Select | Primitive::Max | Primitive::Min | Primitive::Clamp,
                    _
                )
        )
    };
    Slopes {
        singular: p.split.notes.singular,
        selects: g.nodes.iter().any(|data| takes_sides(&data.node)),
        unbounded: result(&|id| unbounded.contains(&id)),
        inherits: result(&|_| true),
    }
}

/// The expressions of a map's body.
fn lets_of(g: &Graph, v: V) -> impl Iterator<Item = &syn::Expr> {
    let (lets, body) = match &g.value(v).op {
        Op::Map { lets, body, .. } => (lets.as_slice(), Some(&**body)),
        _ => (&[][..], None),
    };
    lets.iter().map(|(_, e)| e).chain(body)
}

/// What in constant Rust could be infinite or NaN.
struct Singular(bool);
impl<'ast> Visit<'ast> for Singular {
    fn visit_expr_binary(&mut self, b: &'ast syn::ExprBinary) {
        let divides = matches!(b.op, syn::BinOp::Div(_) | syn::BinOp::DivAssign(_));
        self.0 |= divides && !matches!(&*b.right, syn::Expr::Lit(_));
        syn::visit::visit_expr_binary(self, b);
    }

    fn visit_expr_method_call(&mut self, m: &'ast syn::ExprMethodCall) {
        const BOUNDED: [&str; 14] = [
            "abs", "max", "min", "clamp", "tanh", "sin", "cos", "floor", "ceil", "round", "signum",
            "powi", "clone", "size",
        ];
        self.0 |= !BOUNDED.iter().any(|n| m.method == n);
        syn::visit::visit_expr_method_call(self, m);
    }

    fn visit_expr_call(&mut self, _: &'ast syn::ExprCall) {
        self.0 = true;
    }
}

/// Rejects what the scalar compiler does not know among values that nothing reads: a call could have effects.
pub fn unread(program: &Program, sig: &TensorSig, errors: &Errors, source: &Source) {
    let g = &program.graph;
    let uses = crate::tensor::fuse::uses(g, &program.gives());
    for (k, value) in g.values.iter().enumerate() {
        let v = V(k as u32);
        let Op::Map { body, .. } = &value.op else {
            continue;
        };
        let mut calls = Calls(false);
        calls.visit_expr(body);
        if calls.0 && value.active && !uses.contains_key(&v) {
            code(g, v, sig, errors, source, false, &|_| false);
        }
    }
}

struct Calls(bool);
impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_call(&mut self, _: &'ast syn::ExprCall) {
        self.0 = true;
    }
}

fn gradients(
    e: &Emit,
    scalars: &[crate::reverse::ScalarGradient],
    operands: &[V],
) -> Vec<(V, TokenStream)> {
    scalars
        .iter()
        .map(|s| (operands[s.param], e.value(s.value)))
        .collect()
}

/// What a map's backward pass calls its upstream gradient.
pub fn upstream() -> Ident {
    local("upstream")
}
