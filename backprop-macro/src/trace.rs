//! The graph of a straight-line function, node by node, for people.
//!
//! In: the primal and its traced backward pass. Out: for each node a label such as `c = a + b`, with the nodes of its
//! value and of its adjoint.

use crate::graph::maps::Map;
use crate::graph::{Graph, Id, Node, Output, Place, Primal, Step, Stmt};
use crate::reverse::Gradient;
use crate::rules::Syntax;
use crate::signature::Signature;

/// Whether each node has one value: no branches, no loops, no stores.
pub fn possible(primal: &Primal, _sig: &Signature) -> bool {
    let straight = primal
        .graph
        .region(primal.body)
        .stmts
        .iter()
        .all(|s| matches!(s, Stmt::Let(_) | Stmt::Effect(..)));
    straight && matches!(primal.result, Output::Scalar(_))
}

/// The traced nodes with their labels, in the order of evaluation.
pub fn labels(primal: &Primal, p: &Gradient) -> Vec<(String, Id, Id)> {
    let g = &primal.graph;
    let mut names: Map<Id, String> = Map::default();
    let mut out = Vec::new();
    let mut fresh = 0;
    for &(id, adjoint) in &p.trace {
        let text = text(g, id, &names);
        if matches!(g.node(id), Node::Param(_) | Node::Load(..)) {
            names.insert(id, text.clone());
            out.push((text, id, adjoint));
            continue;
        }
        let name = match &g.data(id).name {
            Some(name) => name.to_string(),
            None => {
                fresh += 1;
                format!("v{fresh}")
            }
        };
        out.push((format!("{name} = {text}"), id, adjoint));
        names.insert(id, name);
    }
    out
}

fn text(g: &Graph, id: Id, names: &Map<Id, String>) -> String {
    let id = g.resolve(id);
    if let Some(name) = names.get(&id) {
        return name.clone();
    }
    // What has no name of its own, as no gradient flows to it, is spelt out in brackets.
    let operand = |a: Id| {
        let a = g.resolve(a);
        let spelt = text(g, a, names);
        match g.node(a) {
            Node::Apply(op, _)
                if !names.contains_key(&a) && !matches!(op.syntax(), Syntax::Method(_)) =>
            {
                format!("({spelt})")
            }
            _ => spelt,
        }
    };
    match g.node(id) {
        Node::Lit(bits) => format!("{}", f64::from_bits(*bits)),
        Node::Param(_) => g.data(id).name.as_deref().unwrap_or("?").to_string(),
        Node::Load(p, _) => place(g, p),
        Node::Opaque(..) => g.opaque_text(id).unwrap_or_else(|| "constant".into()),
        Node::Cast(a, _) => operand(*a),
        Node::Apply(op, args) => {
            let all: Vec<String> = args.iter().map(|&a| operand(a)).collect();
            match (op.syntax(), all.as_slice()) {
                (Syntax::Prefix(p), [a]) => format!("{p}{a}"),
                (Syntax::Infix(o), [a, b]) => format!("{a} {o} {b}"),
                (Syntax::Method(m) | Syntax::Form(m), all) => format!("{m}({})", all.join(", ")),
                _ => String::new(),
            }
        }
        _ => "?".into(),
    }
}

fn place(g: &Graph, p: &Place) -> String {
    let mut out = g.array(p.array).name.to_string();
    for step in &p.path {
        match step {
            Step::Index(i) => out.push_str(&format!(
                "[{}]",
                g.opaque_text(*i).unwrap_or_else(|| "…".into())
            )),
            Step::Field(k) => out.push_str(&format!(".{k}")),
        }
    }
    out
}
