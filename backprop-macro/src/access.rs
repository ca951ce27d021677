//! What a loop's body does to arrays, and where relative to the loop's index.
//!
//! In: a region after `keep`. Out: [`Body`], its nodes by how they are bound, and every access of every array. The stages that
//! rearrange loops decide by these alone, so an access that they cannot place is recorded as [`Use::Other`], never left out.

use crate::graph::maps::Set;
use crate::graph::*;
use crate::live::Live;
use crate::shape::{Length, Shape};
use quote::ToTokens;
use std::collections::BTreeMap;

/// The nodes that a loop's body binds.
pub struct Body {
    /// What each node bound in the body is bound by.
    pub lets: Set<Id>,
    pub taped: Set<Id>,
    pub others: Set<Id>,
    pub index: Id,
}

impl Body {
    /// A loop's body and what it does with arrays, all of it.
    pub fn read(
        g: &Graph,
        body: RegionId,
        index: Id,
        live: &Live,
    ) -> (Body, BTreeMap<ArrayId, Vec<(Place, Use)>>) {
        let mut b = Body {
            lets: Set::default(),
            taped: Set::default(),
            others: Set::default(),
            index,
        };
        let mut accesses = BTreeMap::new();
        scan(g, body, &mut b, &mut accesses, live, true);
        (b, accesses)
    }
}

/// Collects the accesses of a region; `top` while it is the loop's own body.
pub fn scan(
    g: &Graph,
    region: RegionId,
    b: &mut Body,
    accesses: &mut BTreeMap<ArrayId, Vec<(Place, Use)>>,
    live: &Live,
    top: bool,
) {
    for stmt in &g.region(region).stmts {
        let again = matches!(stmt, Stmt::Let(id) if g.data(*id).region != Some(region));
        if !again && !live.stmt(g, stmt) {
            continue;
        }
        let mut touch = |array: ArrayId| {
            accesses.entry(array).or_default().push((
                Place {
                    array,
                    path: Vec::new(),
                },
                Use::Other,
            ));
        };
        match stmt {
            Stmt::Let(id) => {
                if top {
                    b.lets.insert(*id);
                } else {
                    b.others.insert(*id);
                }
                if let Node::Load(p, _) = g.node(*id) {
                    accesses
                        .entry(p.array)
                        .or_default()
                        .push((p.clone(), Use::Load));
                }
            }
            Stmt::Store { place, value, add } if top => {
                let kind = if *add {
                    Use::Add(*value)
                } else if g.constant(*value) == Some(0.0) {
                    Use::Zero
                } else {
                    Use::Set(*value)
                };
                accesses
                    .entry(place.array)
                    .or_default()
                    .push((place.clone(), kind));
            }
            Stmt::Store { place, .. } | Stmt::Clear(place) => touch(place.array),
            Stmt::Copy { to, from, .. } => {
                touch(to.array);
                touch(from.array);
            }
            Stmt::Swap(x, y) => {
                touch(x.array);
                touch(y.array);
            }
            Stmt::Push(a, _) => touch(*a),
            Stmt::Save(a, e) => {
                touch(*a);
                parts_of_element(e).iter().for_each(|p| touch(p.array));
            }
            Stmt::Pop(a, id) => {
                touch(*a);
                b.others.extend(id);
            }
            Stmt::Declare(a) => {
                touch(*a);
                for p in parts_of(&g.array(*a).init) {
                    touch(p.array);
                }
            }
            Stmt::Bind(id, from) => {
                b.others.insert(*id);
                if let Node::Load(p, _) = g.node(*from) {
                    accesses
                        .entry(p.array)
                        .or_default()
                        .push((p.clone(), Use::Load));
                }
            }
            Stmt::ReadTape(l) | Stmt::ReadTapeAt(l, _) => {
                b.taped.extend(g.looped(*l).tape.iter().copied())
            }
            Stmt::ReadSaved(id) => {
                b.others.insert(*id);
            }
            Stmt::Call(c) | Stmt::Pullback(c) => {
                let call = g.call(*c);
                b.others.extend(call.outs.iter().copied());
                b.others.extend(call.gradients.iter().flatten().copied());
                for a in &call.args {
                    if let Argument::Array { place, .. } = a {
                        touch(place.array);
                    }
                }
                for p in call.shadows.iter().chain(&call.incoming).flatten() {
                    touch(p.array);
                }
            }
            Stmt::If(i) => {
                let data = g.branch(*i);
                b.others.extend(data.slots.iter().map(|s| s.out));
                scan(g, data.then, b, accesses, live, false);
                scan(g, data.otherwise, b, accesses, live, false);
            }
            Stmt::Loop(l) => {
                let data = g.looped(*l);
                b.others
                    .extend(data.carried.iter().flat_map(|c| [c.phi, c.out]));
                b.others.extend(data.end);
                if let Count::Range { index, .. } | Count::Stepped { index, .. } = &data.count {
                    b.others.insert(*index);
                }
                scan(g, data.body, b, accesses, live, false);
            }
            Stmt::Effect(..) => {}
        }
    }
}

/// What is done at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Load,
    Add(Id),
    Zero,
    Set(Id),
    Other,
}

/// The distance of an index from the loop's own, where it is a number.
pub fn distance(g: &Graph, id: Id, index: Id) -> Option<i128> {
    let id = g.resolve(id);
    if id == index {
        return Some(0);
    }
    let Node::Opaque(k, args) = g.node(id) else {
        return None;
    };
    let OpaqueForm::Binary(op) = &g.opaque_of(*k).form else {
        return None;
    };
    let [a, b] = args.as_slice() else { return None };
    match op.to_string().as_str() {
        "+" => match (g.integer(*a), g.integer(*b)) {
            (None, Some(n)) => Some(distance(g, *a, index)? + n),
            (Some(n), None) => Some(distance(g, *b, index)? + n),
            _ => None,
        },
        "-" => Some(distance(g, *a, index)? - g.integer(*b)?),
        _ => None,
    }
}

/// The parts of other arrays that an array starts from.
pub fn parts_of(init: &Init) -> Vec<&Place> {
    match init {
        Init::Copy(p) => vec![p],
        Init::List(all) => all.iter().flat_map(parts_of_element).collect(),
        Init::Repeat(e) => parts_of_element(e),
        Init::Given(_) | Init::Zeros | Init::Empty | Init::Returned(_) => Vec::new(),
    }
}

/// The parts of arrays that an element is made of.
pub fn parts_of_element(e: &Element) -> Vec<&Place> {
    match e {
        Element::Scalar(_) => Vec::new(),
        Element::Part(p) => vec![p],
        Element::Tuple(all) => all.iter().flat_map(parts_of_element).collect(),
    }
}

/// Calls `f` with every array that a statement touches, nested statements included, and whether it only reads it.
pub fn arrays_of(g: &Graph, stmt: &Stmt, f: &mut impl FnMut(ArrayId, bool)) {
    match stmt {
        Stmt::Let(id) | Stmt::Bind(_, id) => {
            if let Node::Load(p, _) | Node::Len(p, _) | Node::Whole(p, _) = g.node(*id) {
                f(p.array, true);
            }
        }
        Stmt::Declare(a) => {
            f(*a, false);
            parts_of(&g.array(*a).init)
                .into_iter()
                .for_each(|p| f(p.array, true));
        }
        Stmt::Store { place, .. } | Stmt::Clear(place) => f(place.array, false),
        Stmt::Copy { to, from, .. } => {
            f(to.array, false);
            f(from.array, true);
        }
        Stmt::Swap(a, b) => {
            f(a.array, false);
            f(b.array, false);
        }
        Stmt::Push(a, _) | Stmt::Pop(a, _) => f(*a, false),
        Stmt::Save(a, e) => {
            f(*a, false);
            parts_of_element(e).iter().for_each(|p| f(p.array, true));
        }
        Stmt::Call(c) | Stmt::Pullback(c) => {
            let call = g.call(*c);
            for a in &call.args {
                if let Argument::Array { place, .. } = a {
                    f(place.array, true);
                }
            }
            if matches!(stmt, Stmt::Pullback(_)) {
                let arrays = call.shadows.iter().chain(&call.incoming);
                arrays.flatten().for_each(|p| f(p.array, false));
            }
        }
        Stmt::If(b) => {
            let data = g.branch(*b);
            for region in [data.then, data.otherwise] {
                for stmt in &g.region(region).stmts {
                    arrays_of(g, stmt, f);
                }
            }
        }
        Stmt::Loop(l) => {
            for stmt in &g.region(g.looped(*l).body).stmts {
                arrays_of(g, stmt, f);
            }
        }
        Stmt::Effect(..) | Stmt::ReadTape(_) | Stmt::ReadTapeAt(..) | Stmt::ReadSaved(_) => {}
    }
}

/// Calls `f` with the scalars that an element is made of.
pub fn scalars(g: &Graph, e: &Element, f: &mut dyn FnMut(Id)) {
    match e {
        Element::Scalar(id) => f(g.resolve(*id)),
        Element::Part(_) => {}
        Element::Tuple(all) => all.iter().for_each(|e| scalars(g, e, f)),
    }
}

/// Calls `f` with every node that a statement refers to, nested statements included.
pub fn nodes_of(g: &Graph, stmt: &Stmt, f: &mut impl FnMut(Id)) {
    let place = |p: &Place, f: &mut dyn FnMut(Id)| p.indices().for_each(|i| f(g.resolve(i)));
    match stmt {
        Stmt::Let(id) | Stmt::Bind(_, id) => {
            if matches!(stmt, Stmt::Bind(..)) {
                f(g.resolve(*id));
            }
            g.operands(*id).into_iter().for_each(f);
        }
        Stmt::Declare(a) => {
            let data = g.array(*a);
            data.len.into_iter().for_each(|l| f(g.resolve(l)));
            parts_of(&data.init).into_iter().for_each(|p| place(p, f));
            match &data.init {
                Init::List(all) => all.iter().for_each(|e| scalars(g, e, f)),
                Init::Repeat(e) => scalars(g, e, f),
                _ => {}
            }
        }
        Stmt::Store {
            place: p, value, ..
        } => {
            place(p, f);
            f(g.resolve(*value));
        }
        Stmt::Copy { to, from, .. } => {
            place(to, f);
            place(from, f);
        }
        Stmt::Clear(p) => place(p, f),
        Stmt::Swap(a, b) => {
            place(a, f);
            place(b, f);
        }
        Stmt::Push(_, v) => f(g.resolve(*v)),
        Stmt::Save(_, e) => {
            scalars(g, e, f);
            parts_of_element(e).into_iter().for_each(|p| place(p, f));
        }
        Stmt::Effect(_, args) => args.iter().for_each(|a| f(g.resolve(*a))),
        Stmt::ReadTapeAt(_, at) => f(g.resolve(*at)),
        Stmt::Call(c) | Stmt::Pullback(c) => {
            let call = g.call(*c);
            for a in &call.args {
                match a {
                    Argument::Scalar { value } => f(g.resolve(*value)),
                    Argument::Array { place: p, held } => {
                        place(p, f);
                        f(g.resolve(*held));
                    }
                }
            }
            if matches!(stmt, Stmt::Pullback(_)) {
                call.upstream.iter().for_each(|d| f(g.resolve(*d)));
                let arrays = call.shadows.iter().chain(&call.incoming);
                arrays.flatten().for_each(|p| place(p, f));
            }
        }
        Stmt::If(b) => {
            let data = g.branch(*b);
            f(g.resolve(data.cond));
            for s in &data.slots {
                f(g.resolve(s.then));
                f(g.resolve(s.otherwise));
            }
            for region in [data.then, data.otherwise] {
                for stmt in &g.region(region).stmts {
                    nodes_of(g, stmt, f);
                }
            }
        }
        Stmt::Loop(l) => {
            let data = g.looped(*l);
            match &data.count {
                Count::Range { lo, hi, .. } => [*lo, *hi].into_iter().for_each(|x| f(g.resolve(x))),
                Count::Stepped { lo, hi, step, .. } => {
                    [*lo, *hi, *step].into_iter().for_each(|x| f(g.resolve(x)))
                }
                Count::Replay(of) => g.looped(*of).end.into_iter().for_each(|e| f(g.resolve(e))),
                Count::Forever => {}
            }
            for c in &data.carried {
                f(g.resolve(c.init));
                f(g.resolve(c.next));
            }
            data.again.into_iter().for_each(|a| f(g.resolve(a)));
            data.tape.iter().for_each(|t| f(g.resolve(*t)));
            for stmt in &g.region(data.body).stmts {
                nodes_of(g, stmt, f);
            }
        }
        Stmt::Pop(..) | Stmt::ReadTape(_) | Stmt::ReadSaved(_) => {}
    }
}

/// Whether a loop runs a known number of times over positions of arrays.
pub fn positional(g: &Graph, l: LoopId) -> Option<(Id, Id, Id)> {
    let data = g.looped(l);
    let Count::Range {
        index,
        lo,
        hi,
        inclusive: false,
        ..
    } = data.count
    else {
        return None;
    };
    let counted = data.again.is_none()
        && matches!(g.types.kind(g.ty(index)), crate::types::Kind::Int(n) if n == "usize");
    counted.then(|| (g.resolve(index), lo, hi))
}

/// What a number is counted from, where it is a fixed distance from something that does not change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Base {
    Zero,
    /// The length of an array.
    Len(ArrayId),
    /// A constant of the user's.
    Constant(String),
    Node(Id),
}

/// An integer as a distance from its base.
pub fn extent(g: &Graph, id: Id) -> (Base, i128) {
    let id = g.resolve(id);
    if let Some(n) = g.integer(id) {
        return (Base::Zero, n);
    }
    match g.node(id) {
        Node::Len(p, _) if p.path.is_empty() && g.array(p.array).frozen => (Base::Len(p.array), 0),
        Node::Opaque(k, args) => match (&g.opaque_of(*k).form, args.as_slice()) {
            (OpaqueForm::Tokens(t), _) => (Base::Constant(t.to_string()), 0),
            (OpaqueForm::Binary(op), [a, b]) => match (op.to_string().as_str(), g.integer(*b)) {
                ("+", Some(n)) => shifted(extent(g, *a), n),
                ("-", Some(n)) => shifted(extent(g, *a), -n),
                _ => (Base::Node(id), 0),
            },
            _ => (Base::Node(id), 0),
        },
        _ => (Base::Node(id), 0),
    }
}

fn shifted((base, n): (Base, i128), by: i128) -> (Base, i128) {
    (base, n + by)
}

/// The length of an array's first dimension, as [`extent`] has it.
pub fn length_of(g: &Graph, array: ArrayId) -> Option<(Base, i128)> {
    let data = g.array(array);
    match &data.shape {
        Shape::Array(_, n) => Some(fixed(n)),
        Shape::Slice(_) | Shape::Vec(_) => Some((Base::Len(data.like?), 0)),
        _ => None,
    }
}

/// A length that the type says.
pub fn fixed(n: &Length) -> (Base, i128) {
    match n {
        Length::Known(n) => (Base::Zero, *n as i128),
        Length::Tokens(t) => (Base::Constant(t.to_token_stream().to_string()), 0),
    }
}

/// Whether nothing touches a buffer of the caller's before one loop of the function's body does.
pub fn first_writer(g: &Graph, body: RegionId, array: ArrayId, looped: LoopId) -> bool {
    let buffer = g.array(array);
    let stmts = &g.region(body).stmts;
    let at = stmts
        .iter()
        .position(|s| matches!(s, Stmt::Loop(l) if *l == looped));
    let Some(at) = at else { return false };
    let mut touched = false;
    for stmt in &stmts[..at] {
        arrays_of(g, stmt, &mut |a, _| touched |= a == array);
    }
    buffer.shadow && matches!(buffer.init, Init::Given(_)) && !touched
}
