//! `checkpoint = n`: loops that save their state now and then instead of keeping something for every iteration.
//!
//! In: the option, and a program as it is without it. Out: [`Schedule`], the loops that it means: the outermost ones that run
//! backwards and keep something. `reverse` does the rest; [`trim`] then leaves out of the states what no segment reads. What
//! must hold: the option is never ignored. Where no loop keeps anything, or one cannot run again, there is an error.

use crate::errors::{self, Errors};
use crate::graph::*;
use crate::live::Live;
use crate::reverse::{Gradient, PairKind};
use crate::shape::Shape;
use crate::signature::Signature;
use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};

/// Every how many iterations a state is saved.
#[derive(Clone)]
pub enum Every {
    /// About the square root of their number.
    Root,
    Number(usize),
    /// A constant expression.
    Constant(TokenStream),
}

/// The option.
pub struct CheckpointOptions {
    pub key: Ident,
    pub every: Every,
}

impl CheckpointOptions {
    /// Reads `checkpoint` or `checkpoint = n`; `None` after an error.
    pub fn read(key: Ident, value: Option<&syn::Expr>, errors: &Errors) -> Option<Self> {
        let every = match value {
            None => Every::Root,
            Some(syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Int(n),
                ..
            })) => match n.base10_parse() {
                Ok(n) if n > 0 => Every::Number(n),
                _ => {
                    errors.reject(n, &errors::BAD_CHECKPOINT);
                    return None;
                }
            },
            Some(syn::Expr::Lit(other)) => {
                errors.reject(other, &errors::BAD_CHECKPOINT);
                return None;
            }
            Some(n) => Every::Constant(n.to_token_stream()),
        };
        Some(CheckpointOptions { key, every })
    }

    /// What is known when the function runs only is no constant.
    pub fn reject_parameters(&self, sig: &Signature, errors: &Errors) {
        let Every::Constant(n) = &self.every else {
            return;
        };
        let named = n.clone().into_iter().any(|t| {
            matches!(t, proc_macro2::TokenTree::Ident(i) if sig.params.iter().any(|p| p.ident == i))
        });
        if named {
            errors.reject(n, &errors::BAD_CHECKPOINT);
        }
    }
}

/// The loops that are checkpointed.
pub struct Schedule {
    pub every: Every,
    pub loops: BTreeSet<LoopId>,
}

impl Schedule {
    /// The outermost loops of a program that run backwards and keep something, in them or in a loop inside.
    pub fn of(p: &Gradient, every: &Every) -> Schedule {
        let separate: Vec<LoopId> = p
            .pairs
            .iter()
            .filter_map(|pair| match pair.kind {
                PairKind::Loop(l, _) => Some(l),
                _ => None,
            })
            .collect();
        let g = &p.graph;
        let inside = |outer: LoopId, inner: LoopId| {
            outer != inner && g.encloses(g.looped(outer).body, g.looped(inner).body)
        };
        let keeps = |l: LoopId| {
            let all = (0..g.loops.len() as u32).map(LoopId);
            all.filter(|&k| k == l || inside(l, k))
                .any(|k| !g.looped(k).tape.is_empty())
        };
        let outermost = |l: &LoopId| !separate.iter().any(|&k| inside(k, *l));
        let loops = separate.iter().copied().filter(outermost);
        Schedule {
            every: every.clone(),
            loops: loops.filter(|&l| keeps(l)).collect(),
        }
    }

    /// Rejects loops that cannot run again, or whose states cannot be counted.
    pub fn check(&self, g: &Graph, errors: &Errors) {
        for &l in &self.loops {
            let data = g.looped(l);
            if matches!((&self.every, &data.count), (Every::Root, Count::Forever)) {
                errors.reject_at(data.span, &errors::CHECKPOINT_COUNT, "");
            }
            repeatable(g, data.body, errors);
        }
    }
}

/// Rejects what might not give the same when it is called again.
fn repeatable(g: &Graph, region: RegionId, errors: &Errors) {
    for stmt in &g.region(region).stmts {
        match stmt {
            Stmt::Let(id) => {
                if let Node::Opaque(k, _) = g.node(*id)
                    && let OpaqueForm::Call(path) = &g.opaque_of(*k).form
                    && !is_standard(path)
                {
                    let name = path.to_string().replace(' ', "");
                    errors.reject_named(path, &errors::CHECKPOINT_CALL, &name);
                }
            }
            Stmt::If(b) => {
                repeatable(g, g.branch(*b).then, errors);
                repeatable(g, g.branch(*b).otherwise, errors);
            }
            Stmt::Loop(l) => repeatable(g, g.looped(*l).body, errors),
            _ => {}
        }
    }
}

/// Whether a function is one of the standard library's on numbers: `f64::from`, `usize::max`, `std::cmp::min`.
fn is_standard(path: &TokenStream) -> bool {
    let text = path.to_string().replace(' ', "");
    let names: Vec<&str> = text.trim_start_matches("::").split("::").collect();
    let of_number = |name: &str| {
        crate::types::INTEGERS.contains(&name) || ["f32", "f64", "bool", "char"].contains(&name)
    };
    match names.as_slice() {
        ["core" | "std", ..] | ["cmp", _] => true,
        [ty, _] => of_number(ty) || ["T", "F"].contains(ty),
        _ => false,
    }
}

// ---- states ----

/// The most parts that a tuple has: longer ones implement nothing.
const WIDTH: usize = 8;

/// Many parts as tuples of tuples.
pub fn nested<T>(parts: Vec<T>, tuple: impl Fn(Vec<T>) -> T) -> T {
    let mut parts = parts;
    while parts.len() > WIDTH {
        let mut rest = parts.into_iter().peekable();
        let mut groups = Vec::new();
        while rest.peek().is_some() {
            groups.push(tuple(rest.by_ref().take(WIDTH).collect()));
        }
        parts = groups;
    }
    tuple(parts)
}

/// The way to one of so many parts.
pub fn path(part: usize, of: usize) -> Vec<u32> {
    if of <= WIDTH {
        return vec![part as u32];
    }
    let mut out = path(part / WIDTH, of.div_ceil(WIDTH));
    out.push((part % WIDTH) as u32);
    out
}

/// Leaves out of the states what the backward pass does not read.
pub fn trim(p: &mut Gradient) {
    if p.notes.states.is_empty() {
        return;
    }
    let live = Live::of(p);
    for &array in p.notes.states.values() {
        trim_states(&mut p.graph, array, &live);
    }
}

fn trim_states(g: &mut Graph, array: ArrayId, live: &Live) {
    let Some(part) = g.array(array).shape.element().cloned() else {
        return;
    };
    let mut shapes = Vec::new();
    flat_shapes(&part, &mut shapes);
    let ways: Vec<Vec<u32>> = (0..shapes.len()).map(|k| path(k, shapes.len())).collect();
    let of_states = |p: &Place| p.array == array && p.path.len() > 1;
    let way = |p: &Place| -> Vec<u32> {
        let fields = p.path[1..].iter().map_while(|s| match s {
            Step::Field(k) => Some(*k),
            Step::Index(_) => None,
        });
        fields.collect()
    };
    let mut read: BTreeSet<Vec<u32>> = BTreeSet::new();
    for (k, n) in g.nodes.iter().enumerate() {
        if let Node::Load(p, _) = &n.node
            && of_states(p)
            && live.has(g, Id(k as u32))
        {
            read.insert(way(p));
        }
    }
    for (k, a) in g.arrays.iter().enumerate() {
        if let Init::Copy(p) = &a.init
            && of_states(p)
            && live.has_array(ArrayId(k as u32))
        {
            read.insert(way(p));
        }
    }
    let kept: Vec<usize> = (0..ways.len())
        .filter(|&k| read.contains(&ways[k]))
        .collect();
    let to: BTreeMap<Vec<u32>, Vec<u32>> = (kept.iter().enumerate())
        .map(|(new, &old)| (ways[old].clone(), path(new, kept.len())))
        .collect();
    let moved = |p: &mut Place| {
        if of_states(p)
            && let Some(new) = to.get(&way(p))
        {
            let index = p.path[0];
            let fields = new.iter().map(|&k| Step::Field(k));
            p.path = [index].into_iter().chain(fields).collect();
        }
    };
    // What is not read is gone, and so must be what would read it.
    let gone = |p: &Place| of_states(p) && !to.contains_key(&way(p));
    let dead = |g: &Graph, s: &Stmt| match s {
        Stmt::Let(id) => matches!(g.node(*id), Node::Load(p, _) if gone(p)),
        Stmt::Declare(a) => matches!(&g.array(*a).init, Init::Copy(p) if gone(p)),
        _ => false,
    };
    for k in 0..g.regions.len() {
        let at = RegionId(k as u32);
        let mut stmts = std::mem::take(&mut g.region_mut(at).stmts);
        stmts.retain(|s| !dead(g, s));
        g.region_mut(at).stmts = stmts;
    }
    for n in &mut g.nodes {
        if let Node::Load(p, _) = &mut n.node {
            moved(p);
        }
    }
    for a in &mut g.arrays {
        if let Init::Copy(p) = &mut a.init {
            moved(p);
        }
    }
    for k in 0..g.regions.len() {
        for stmt in &mut g.region_mut(RegionId(k as u32)).stmts {
            if let Stmt::Save(a, e) = stmt
                && *a == array
            {
                let mut all = Vec::new();
                flat_elements(e, &mut all);
                let all = kept.iter().map(|&k| all[k].clone()).collect();
                *e = nested(all, Element::Tuple);
            }
        }
    }
    let shapes = kept.iter().map(|&k| shapes[k].clone()).collect();
    g.array_mut(array).shape = Shape::Vec(Box::new(nested(shapes, Shape::Tuple)));
}

fn flat_shapes(s: &Shape, out: &mut Vec<Shape>) {
    match s {
        Shape::Tuple(all) => all.iter().for_each(|s| flat_shapes(s, out)),
        leaf => out.push(leaf.clone()),
    }
}

fn flat_elements(e: &Element, out: &mut Vec<Element>) {
    match e {
        Element::Tuple(all) => all.iter().for_each(|e| flat_elements(e, out)),
        leaf => out.push(leaf.clone()),
    }
}
