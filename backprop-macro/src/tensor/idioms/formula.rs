//! Elementwise formulas over the values of a graph, in any spelling: what the idioms are found by.
//!
//! In: a value. Out: its formula as a tree, as far as an idiom can have it; views that add an axis, and maps of maps, are followed. What must
//! hold: two formulas that are the same compute the same; what is not understood is a leaf.

use crate::tensor::graph::*;
use proc_macro2::TokenStream;
use quote::ToTokens;
use std::collections::HashMap;
use std::rc::Rc;

/// A value's elementwise formula, as far as it matters here.
#[derive(Debug)]
pub struct Tree {
    pub node: Node,
    /// The value that it is.
    pub value: Option<V>,
}

#[derive(Debug)]
pub enum Node {
    /// Not elementwise, or of no interest.
    Leaf,
    Number(f64),
    /// Constant Rust that has a name.
    Constant(Box<syn::Expr>),
    Apply(F, Vec<Rc<Tree>>),
    /// One more axis, along which it is constant.
    Up(String, Rc<Tree>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum F {
    Neg,
    Add,
    Sub,
    Mul,
    Div,
    Exp,
    Ln,
    Sqrt,
}

/// How deep two formulas are compared.
pub const DEPTH: usize = 6;

pub fn same(a: &Rc<Tree>, b: &Rc<Tree>, depth: usize) -> bool {
    if Rc::ptr_eq(a, b) || a.value.is_some() && a.value == b.value {
        return true;
    }
    match (&a.node, &b.node) {
        (Node::Number(x), Node::Number(y)) => x == y,
        (Node::Constant(x), Node::Constant(y)) => spelt(x) == spelt(y),
        (Node::Apply(f, x), Node::Apply(g, y)) => {
            depth > 0 && f == g && x.iter().zip(y).all(|(x, y)| same(x, y, depth - 1))
        }
        (Node::Up(p, x), Node::Up(q, y)) => depth > 0 && p == q && same(x, y, depth - 1),
        _ => false,
    }
}

pub fn applied(t: &Tree, f: F) -> Option<&[Rc<Tree>]> {
    match &t.node {
        Node::Apply(g, args) if *g == f => Some(args),
        _ => None,
    }
}

pub struct Trees<'a> {
    pub g: &'a Graph,
    pub known: HashMap<V, Rc<Tree>>,
}

impl Trees<'_> {
    pub fn of(&mut self, v: V) -> Rc<Tree> {
        if let Some(t) = self.known.get(&v) {
            return t.clone();
        }
        let node = match &self.g.value(v).op {
            // A copy.
            Op::View(a, view) if view.form.is_empty() => return self.of(*a),
            Op::Map { body, .. } => {
                self.read(body, &mut HashMap::new())
                    .map(|t| match Rc::try_unwrap(t) {
                        Ok(t) => t.node,
                        // Another value's formula as it is: `v.mapv(|x| x)`, or a broadcast of it.
                        Err(_) => Node::Leaf,
                    })
            }
            Op::View(a, view) => {
                let (a, form) = (*a, view.form.to_string());
                let axis = form
                    .replace(' ', "")
                    .strip_prefix(".insert_axis(")
                    .and_then(|rest| rest.strip_suffix(')'))
                    .map(str::to_string);
                axis.map(|axis| Node::Up(axis, self.of(a)))
            }
            _ => None,
        };
        let tree = Rc::new(Tree {
            node: node.unwrap_or(Node::Leaf),
            value: Some(v),
        });
        self.known.insert(v, tree.clone());
        tree
    }

    /// Scalar Rust over operands; `None` for what these idioms do not have.
    fn read(&mut self, e: &syn::Expr, names: &mut HashMap<String, Rc<Tree>>) -> Option<Rc<Tree>> {
        let fresh = |node| Some(Rc::new(Tree { node, value: None }));
        match e {
            syn::Expr::Paren(p) => self.read(&p.expr, names),
            syn::Expr::Group(p) => self.read(&p.expr, names),
            syn::Expr::Reference(r) => self.read(&r.expr, names),
            syn::Expr::Unary(u) => {
                let a = self.read(&u.expr, names)?;
                match u.op {
                    syn::UnOp::Deref(_) => Some(a),
                    syn::UnOp::Neg(_) => fresh(Node::Apply(F::Neg, vec![a])),
                    _ => None,
                }
            }
            syn::Expr::Lit(l) => match &l.lit {
                syn::Lit::Float(x) => fresh(Node::Number(x.base10_parse().ok()?)),
                _ => None,
            },
            syn::Expr::Path(p) => {
                let name = p.path.get_ident()?.to_string();
                if let Some(t) = names.get(&name) {
                    return Some(t.clone());
                }
                if name.starts_with("__c") {
                    return fresh(Node::Constant(Box::new(e.clone())));
                }
                let number = name.strip_prefix("__a")?.parse().ok()?;
                Some(self.of(V(number)))
            }
            syn::Expr::Binary(b) => {
                let f = match b.op {
                    syn::BinOp::Add(_) => F::Add,
                    syn::BinOp::Sub(_) => F::Sub,
                    syn::BinOp::Mul(_) => F::Mul,
                    syn::BinOp::Div(_) => F::Div,
                    _ => return None,
                };
                let (x, y) = (self.read(&b.left, names)?, self.read(&b.right, names)?);
                fresh(Node::Apply(f, vec![x, y]))
            }
            syn::Expr::MethodCall(m) => {
                let a = self.read(&m.receiver, names)?;
                let name = m.method.to_string();
                match (&*name, m.args.first()) {
                    ("recip", None) => {
                        let one = Rc::new(number(1.0));
                        fresh(Node::Apply(F::Div, vec![one, a]))
                    }
                    ("powi", Some(n)) if spelt(n) == "2" => {
                        fresh(Node::Apply(F::Mul, vec![a.clone(), a]))
                    }
                    (_, None) => fresh(Node::Apply(function(&name)?, vec![a])),
                    _ => None,
                }
            }
            syn::Expr::Call(c) if c.args.is_empty() => {
                let one = spelt(&c.func).ends_with("::one");
                one.then(|| Rc::new(number(1.0)))
            }
            syn::Expr::Call(c) => {
                let syn::Expr::Path(p) = &*c.func else {
                    return None;
                };
                let mut last = p.path.segments.iter().rev();
                let (name, holder) = (last.next()?, last.next()?);
                let float = ["f64", "f32", "Float"].iter().any(|f| holder.ident == f);
                let f = function(&name.ident.to_string()).filter(|_| float)?;
                let a = self.read(c.args.first()?, names)?;
                fresh(Node::Apply(f, vec![a]))
            }
            syn::Expr::Block(b) => {
                let (last, lets) = b.block.stmts.split_last()?;
                for s in lets {
                    let syn::Stmt::Local(l) = s else { return None };
                    let mut pat = &l.pat;
                    while let syn::Pat::Reference(r) = pat {
                        pat = &r.pat;
                    }
                    if let syn::Pat::Type(t) = pat {
                        pat = &t.pat;
                    }
                    let syn::Pat::Ident(p) = pat else { return None };
                    let t = self.read(&l.init.as_ref()?.expr, names);
                    match t {
                        Some(t) => names.insert(p.ident.to_string(), t),
                        None => names.remove(&p.ident.to_string()),
                    };
                }
                match last {
                    syn::Stmt::Expr(e, None) => self.read(e, names),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What is constant along an axis, without that axis.
    pub fn lowered(&self, t: &Rc<Tree>, axis: &Axis, rank: Rank) -> Option<Rc<Tree>> {
        let scalar = |v: V| !self.g.is_tensor(v);
        match &t.node {
            Node::Number(_) | Node::Constant(_) => Some(t.clone()),
            _ if t.value.is_some_and(scalar) => Some(t.clone()),
            Node::Up(a, inner) => {
                let Axis::One(_, text) = axis else {
                    return None;
                };
                (a == text).then(|| inner.clone())
            }
            _ if t.value.is_some_and(|v| match axis {
                Axis::All => false,
                // Broadcasting adds axes in front.
                Axis::One(_, text) => {
                    text.ends_with("Axis(0)")
                        && !scalar(v)
                        && rank.is_some()
                        && self.g.rank(v).map(|r| r + 1) == rank
                }
            }) =>
            {
                Some(t.clone())
            }
            Node::Apply(f, args) => {
                let args: Option<Vec<_>> =
                    args.iter().map(|a| self.lowered(a, axis, rank)).collect();
                Some(Rc::new(Tree {
                    node: Node::Apply(*f, args?),
                    value: None,
                }))
            }
            _ => None,
        }
    }
}

/// The axes of a formula: those of any tensor of full rank in it.
pub fn x_rank(g: &Graph, t: &Tree) -> Option<Rank> {
    if let Some(v) = t.value.filter(|&v| g.is_tensor(v)) {
        return Some(g.rank(v));
    }
    match &t.node {
        Node::Apply(_, args) => args.iter().find_map(|a| x_rank(g, a)),
        _ => None,
    }
}

/// A formula without minus signs in front, and whether their number is odd.
pub fn without_sign(t: &Rc<Tree>) -> (bool, Rc<Tree>) {
    match applied(t, F::Neg) {
        Some(args) => {
            let (negative, inner) = without_sign(&args[0]);
            (!negative, inner)
        }
        None => (false, t.clone()),
    }
}

fn number(x: f64) -> Tree {
    Tree {
        node: Node::Number(x),
        value: None,
    }
}

fn spelt(e: &syn::Expr) -> String {
    e.to_token_stream().to_string().replace(' ', "")
}

fn function(name: &str) -> Option<F> {
    match name {
        "exp" => Some(F::Exp),
        "ln" => Some(F::Ln),
        "sqrt" => Some(F::Sqrt),
        _ => None,
    }
}

/// Along which axis.
pub enum Axis {
    All,
    One(TokenStream, String),
}

impl Axis {
    pub fn tokens(&self) -> Option<TokenStream> {
        match self {
            Axis::All => None,
            Axis::One(tokens, _) => Some(tokens.clone()),
        }
    }
}
