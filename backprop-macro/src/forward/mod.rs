//! Graph → graph: the tangent, forward.
//!
//! In: the primal and what is active in it. Out: a program in which every active scalar is followed by its tangent and
//! every array of floats has a shadow that holds its own; its result is the pair of value and tangent. The columns of the
//! table of rules are linear in `dy`, so each is the tangent's factor as well as the adjoint's. What must hold: nothing of
//! `reverse`, `keep` or `gather` is used, so that `check` can compare the two.

mod calls;
mod parameters;

use crate::activity::Activity;
use crate::errors::{self, Errors};
use crate::graph::maps::Map;
use crate::graph::*;
use crate::graph::{Output, Primal, Source};
use crate::reverse::Gradient;
use crate::rules::Op;
use crate::shape::Shape;
use crate::signature::{Param, Signature, local};
use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;

/// The name of the tangent of a parameter.
pub fn tangent_name(sig: &Signature, param: usize) -> proc_macro2::Ident {
    local(&format!("t_{}", sig.params[param].ident.unraw()))
}

struct Forward<'a> {
    g: Graph,
    activity: &'a Activity,
    tangents: Map<Id, Id>,
    shadows: Map<ArrayId, ArrayId>,
    reads: Vec<TokenStream>,
}

/// The tangent program: its result is `(value, tangent)`.
pub fn forward(primal: &Primal, activity: &Activity, sig: &Signature) -> Gradient {
    let mut f = Forward {
        g: primal.graph.clone(),
        activity,
        tangents: Map::default(),
        shadows: Map::default(),
        reads: primal.reads.clone(),
    };
    f.g.span = None;
    let stmts = std::mem::take(&mut f.g.region_mut(primal.body).stmts);
    f.g.enter(primal.body);
    f.parameters(primal, sig);
    f.stmts(stmts);
    let tangent = f.output(&primal.result);
    let mut writes = primal.writes.clone();
    for (place, value) in &primal.writes {
        if let Some(place) = tangent_place(place, sig) {
            writes.push((place, f.tangent_or_zero(*value)));
        }
    }
    f.g.close();
    Gradient {
        graph: f.g,
        body: primal.body,
        back: None,
        result: Output::Tuple(vec![primal.result.clone(), tangent]),
        reads: f.reads,
        scalars: Vec::new(),
        writes,
        pairs: Vec::new(),
        trace: Vec::new(),
        order: crate::order::Order::default(),
        notes: Default::default(),
        assigned: Default::default(),
        sums: Default::default(),
    }
}

/// The place in the tangent of an active parameter that belongs to one in the parameter: `(*t_x)` to `(*x)`.
fn tangent_place(place: &TokenStream, sig: &Signature) -> Option<TokenStream> {
    fn renamed(tokens: TokenStream, sig: &Signature, found: &mut bool) -> TokenStream {
        let one = |tree| match tree {
            TokenTree::Group(g) => {
                let inner = renamed(g.stream(), sig, found);
                TokenTree::Group(Group::new(g.delimiter(), inner))
            }
            TokenTree::Ident(i) if !*found => match sig.active().find(|(_, p)| p.ident == i) {
                Some((k, _)) => {
                    *found = true;
                    TokenTree::Ident(tangent_name(sig, k))
                }
                None => TokenTree::Ident(i),
            },
            tree => tree,
        };
        tokens.into_iter().map(one).collect()
    }
    let mut found = false;
    let place = renamed(place.clone(), sig, &mut found);
    found.then_some(place)
}

/// The name of the buffer for the tangent of a parameter's gradient.
pub fn second_name(sig: &Signature, param: usize) -> proc_macro2::Ident {
    local(&format!("h_{}", sig.params[param].ident.unraw()))
}

/// The tangent of a gradient, that of `reverse` before anything is kept: its scalars and buffers hold the Hessian times the
/// tangents.
pub fn second(primal: &Primal, gradient: &Gradient, sig: &Signature) -> Gradient {
    let activity = Activity::over(&gradient.graph, primal, sig);
    let mut f = Forward {
        g: gradient.graph.clone(),
        activity: &activity,
        tangents: Map::default(),
        shadows: Map::default(),
        reads: gradient.reads.clone(),
    };
    f.g.span = None;
    let stmts = std::mem::take(&mut f.g.region_mut(primal.body).stmts);
    f.g.enter(primal.body);
    f.parameters(primal, sig);
    for (k, _) in sig.active() {
        let (of, name) = (crate::reverse::buffer(sig, k), second_name(sig, k));
        for array in 0..f.g.arrays.len() as u32 {
            let data = f.g.array(ArrayId(array)).clone();
            let Init::Given(tokens) = &data.init else {
                continue;
            };
            let Some(rest) = after(tokens, &of) else {
                continue;
            };
            let shadow = f.g.new_array(
                &format!("t_{}", data.name),
                data.shape,
                Init::Given(quote!(#name #rest)),
                Span::call_site(),
            );
            f.g.array_mut(shadow).shadow = true;
            f.shadows.insert(ArrayId(array), shadow);
        }
    }
    f.stmts(stmts);
    let mut scalars = gradient.scalars.clone();
    for s in &mut scalars {
        s.value = f.tangent_or_zero(s.value);
    }
    f.g.close();
    Gradient {
        graph: f.g,
        body: primal.body,
        back: None,
        result: Output::Tuple(Vec::new()),
        writes: Vec::new(),
        reads: f.reads,
        scalars,
        pairs: gradient.pairs.clone(),
        trace: Vec::new(),
        order: crate::order::Order::default(),
        notes: Default::default(),
        assigned: Default::default(),
        sums: Default::default(),
    }
}

/// What follows a name in tokens that start with it.
fn after(tokens: &TokenStream, name: &proc_macro2::Ident) -> Option<TokenStream> {
    let mut rest = tokens.clone().into_iter();
    match rest.next() {
        Some(TokenTree::Ident(i)) if i == *name => Some(rest.collect()),
        _ => None,
    }
}

/// The tangent program that becomes `jvp`; `None` after an error.
pub fn companion(
    primal: &Primal,
    activity: &Activity,
    sig: &Signature,
    at: &proc_macro2::Ident,
    errors: &Errors,
) -> Option<Gradient> {
    // What such a parameter holds when the function ends has a tangent that nobody could get.
    let lost = |p: &&Param| p.in_out && p.shape.has_floats() && !p.active;
    if let Some(p) = sig.params.iter().find(lost) {
        let what = format!("`wrt` leaves out `{}`, which it changes", p.ident.unraw());
        errors.reject_named(at, &errors::JVP, &what);
        return None;
    }
    calls::have_tangents(primal, activity, errors).then(|| forward(primal, activity, sig))
}

/// Whether `hvp` can be generated; otherwise after an error.
pub fn can_be_second(
    primal: &Primal,
    sig: &Signature,
    at: &proc_macro2::Ident,
    errors: &Errors,
) -> bool {
    if !sig.has_scalar_result() {
        errors.reject(at, &errors::HVP_RESULT);
        return false;
    }
    let what = if sig.params.iter().any(|p| p.in_out) {
        "it has `&mut` parameters"
    } else if !primal.graph.calls.is_empty() {
        "it calls annotated functions, whose backward passes have no tangents"
    } else {
        return true;
    };
    errors.reject_named(at, &errors::HVP, what);
    false
}

impl Forward<'_> {
    /// A shadow of zeros, declared here.
    fn zero_shadow(&mut self, array: ArrayId) -> ArrayId {
        let data = self.g.array(array).clone();
        let shadow = self.g.declare(
            &format!("t_{}", data.name),
            data.shape.without_names(),
            Init::Zeros,
            data.span,
        );
        let s = self.g.array_mut(shadow);
        s.shadow = true;
        s.len = data.len;
        s.like = Some(array);
        self.shadows.insert(array, shadow);
        shadow
    }

    fn active(&self, id: Id) -> bool {
        self.activity.node(&self.g, id)
    }

    /// The tangent of a scalar, where it is not zero by structure.
    fn tangent(&self, id: Id) -> Option<Id> {
        self.tangents.get(&self.g.resolve(id)).copied()
    }

    fn tangent_or_zero(&mut self, id: Id) -> Id {
        match self.tangent(id) {
            Some(t) => t,
            None => self.g.lit_like(0.0, id),
        }
    }

    fn set(&mut self, id: Id, t: Id) {
        let name = self.g.data(id).name.as_ref().map(|s| format!("t_{s}"));
        let data = &mut self.g.nodes[t.0 as usize];
        if data.name.is_none() {
            data.name = name.map(|s| s.as_str().into());
        }
        let id = self.g.resolve(id);
        self.tangents.insert(id, t);
    }

    /// The tangent of a place; a constant part of an element has none.
    fn shadow(&self, place: &Place) -> Option<Place> {
        let array = *self.shadows.get(&place.array)?;
        if matches!(self.g.shape_at(place), Shape::Constant(_)) {
            return None;
        }
        Some(Place {
            array,
            path: place.path.clone(),
        })
    }

    fn stmts(&mut self, stmts: Vec<Stmt>) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: Stmt) {
        match &stmt {
            Stmt::Let(id) => {
                let id = *id;
                self.g.push(stmt);
                self.g.make_known(id);
                self.node(id);
            }
            Stmt::Declare(array) => {
                let array = *array;
                self.g.push(stmt);
                self.declare(array);
            }
            Stmt::Call(c) => self.call(*c),
            Stmt::Store { place, value, add } => {
                let (place, value, add) = (place.clone(), *value, *add);
                self.g.push(stmt);
                if self.activity.array(place.array)
                    && let Some(to) = self.shadow(&place)
                {
                    match self.tangent(value) {
                        None if add => {}
                        _ => {
                            let t = self.tangent_or_zero(value);
                            self.g.store(to, t, add);
                        }
                    }
                }
            }
            Stmt::Copy { to, from, add } => {
                let (to, from, add) = (self.shadow(to), self.shadow(from), *add);
                self.g.push(stmt);
                if let (Some(to), Some(from)) = (to, from) {
                    self.g.copy(to, from, add);
                }
            }
            Stmt::Clear(place) => {
                let shadow = self.shadow(place);
                self.g.push(stmt);
                if let Some(p) = shadow {
                    self.g.clear(p);
                }
            }
            Stmt::Swap(a, b) => {
                let (a, b) = (self.shadow(a), self.shadow(b));
                self.g.push(stmt);
                if let (Some(a), Some(b)) = (a, b) {
                    self.g.swap(a, b);
                }
            }
            Stmt::Push(array, value) => {
                let (array, value) = (*array, *value);
                self.g.push(stmt);
                if let Some(&shadow) = self.shadows.get(&array) {
                    let t = self.tangent_or_zero(value);
                    self.g.push_element(shadow, t);
                }
            }
            Stmt::Pop(array, id) => {
                let (array, id) = (*array, *id);
                self.g.push(stmt);
                if let Some(&shadow) = self.shadows.get(&array) {
                    let popped = id.map(|id| {
                        let (ty, k) = (self.g.ty(id), self.g.nodes.len() as u32);
                        let here = self.g.here();
                        self.g.bound(Node::Popped(shadow, k), ty, Some(here))
                    });
                    self.g.array_mut(shadow).version += 1;
                    self.g.push(Stmt::Pop(shadow, popped));
                    if let (Some(id), Some(t)) = (id, popped) {
                        self.set(id, t);
                    }
                }
            }
            Stmt::If(branch) => {
                let branch = *branch;
                let data = self.g.branch(branch).clone();
                self.g.invalidate();
                for side in [data.then, data.otherwise] {
                    let inner = std::mem::take(&mut self.g.region_mut(side).stmts);
                    self.g.enter(side);
                    self.stmts(inner);
                    self.g.close();
                    self.g.invalidate();
                }
                self.g.push(stmt);
                for s in &data.slots {
                    if self.active(s.out) {
                        let (a, b) = (
                            self.tangent_or_zero(s.then),
                            self.tangent_or_zero(s.otherwise),
                        );
                        let out = self.g.yield_from(branch, a, b);
                        self.set(s.out, out);
                    }
                }
            }
            Stmt::Loop(looped) => {
                let looped = *looped;
                let data = self.g.looped(looped).clone();
                self.g.invalidate();
                let mut carried = Vec::new();
                for c in &data.carried {
                    if self.active(c.phi) || self.active(c.out) {
                        let ty = self.g.ty(c.phi);
                        let phi = self.g.bound(Node::Phi(looped, 0), ty, Some(data.body));
                        self.set(c.phi, phi);
                        carried.push((c.clone(), phi));
                    }
                }
                let inner = std::mem::take(&mut self.g.region_mut(data.body).stmts);
                self.g.enter(data.body);
                self.stmts(inner);
                self.g.close();
                self.g.invalidate();
                for (c, phi) in carried {
                    let (init, next) = (self.tangent_or_zero(c.init), self.tangent_or_zero(c.next));
                    let out = self.g.carry(looped, phi, init, next);
                    self.set(c.out, out);
                }
                self.g.push(stmt);
            }
            _ => self.g.push(stmt),
        }
    }

    fn node(&mut self, y: Id) {
        if !self.active(y) {
            return;
        }
        let t = match self.g.node(y).clone() {
            Node::Apply(op, args) => {
                let mut total = None;
                for (k, &arg) in args.iter().enumerate() {
                    let Some(t) = self.tangent(arg) else { continue };
                    let term = op.vjp(&mut self.g, &args, y, t)[k];
                    if self.g.constant(term) == Some(0.0) {
                        continue;
                    }
                    total = Some(match total {
                        None => term,
                        Some(sum) => self.g.apply(Op::Add, &[sum, term]),
                    });
                }
                match total {
                    Some(t) => t,
                    None => return,
                }
            }
            Node::Cast(a, to) => {
                let Some(t) = self.tangent(a) else { return };
                let ty = self.g.ty(y);
                self.g.compute(Node::Cast(t, to), ty)
            }
            Node::Load(place, _) => match self.shadow(&place) {
                Some(p) => self.g.load(p),
                None => return,
            },
            _ => return,
        };
        // A node may stand for several tangents: it keeps the name that it has.
        let id = self.g.resolve(y);
        self.tangents.insert(id, t);
    }

    fn declare(&mut self, array: ArrayId) {
        let data = self.g.array(array).clone();
        if !data.shape.has_floats() {
            return;
        }
        let part = data.shape.element().unwrap_or(&Shape::Unknown);
        let init = match data.init.clone() {
            Init::Given(_) => return,
            Init::Returned(_) => {
                // The call has made it.
                if let Some(&shadow) = self.shadows.get(&array) {
                    self.g.array_mut(shadow).len = data.len;
                    self.g.push(Stmt::Declare(shadow));
                }
                return;
            }
            Init::Zeros => Init::Zeros,
            Init::Empty => Init::Empty,
            Init::List(all) => Init::List(all.iter().map(|e| self.element(e, part)).collect()),
            Init::Repeat(e) => Init::Repeat(self.element(&e, part)),
            Init::Copy(p) => match self.shadow(&p) {
                Some(p) => Init::Copy(p),
                None => Init::Zeros,
            },
        };
        let name = format!("t_{}", data.name);
        let shape = data.shape.without_names();
        let shadow = self.g.declare(&name, shape, init, data.span);
        let s = self.g.array_mut(shadow);
        s.shadow = true;
        s.len = data.len;
        s.like = Some(array);
        self.shadows.insert(array, shadow);
    }

    fn element(&mut self, e: &Element, shape: &Shape) -> Element {
        match e {
            // A constant part has no tangent.
            Element::Scalar(_) if matches!(shape, Shape::Constant(_)) => {
                let ty = self.g.types.fresh(crate::types::Kind::Other);
                Element::Scalar(self.g.opaque_tokens(quote!(()), ty))
            }
            Element::Scalar(id) => Element::Scalar(self.tangent_or_zero(*id)),
            Element::Part(p) => Element::Part(self.shadow(p).unwrap_or_else(|| p.clone())),
            Element::Tuple(all) => {
                let parts = shape.parts().unwrap_or_default();
                let all = all.iter().enumerate().map(|(k, e)| match parts.get(k) {
                    Some((_, s)) => self.element(e, s),
                    None => self.element(e, &Shape::Unknown),
                });
                Element::Tuple(all.collect())
            }
        }
    }

    fn output(&mut self, out: &Output) -> Output {
        match out {
            Output::Scalar(id) => Output::Scalar(self.tangent_or_zero(*id)),
            Output::Array(place) => match self.shadow(place) {
                Some(p) => Output::Array(p),
                None => {
                    let array = self.zero_shadow(place.array);
                    Output::Array(Place {
                        array,
                        path: place.path.clone(),
                    })
                }
            },
            Output::Tuple(all) => Output::Tuple(all.iter().map(|o| self.output(o)).collect()),
        }
    }
}

fn whole(array: ArrayId) -> Place {
    Place {
        array,
        path: Vec::new(),
    }
}
