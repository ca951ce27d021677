//! Idioms of several operations whose gradient is lost, or costs more, operation by operation: the table for tensors.
//!
//! In: the graph as lowered. Out: the same, in which what computes one of these is one operation. What must hold: the value
//! is what the operations give, also where it overflows; only the way back is another one. What is subtracted before `exp`
//! cancels: it gets no gradient, so that a maximum is not differentiated.
//!
//! | idiom | value | gradient | operation by operation |
//! |---|---|---|---|
//! | softmax `p` | `exp(z - m) / Σ exp(z - m)` | `p (d - Σ p d)` | through `1 / Σ²`; cancels where one class has it all |
//! | its logarithm `y` | `(z - m) - ln Σ exp(z - m)` | `d - exp(y) Σ d` | cancels where one class has it all |
//! | `y = ln p` | `ln(exp(z - m) / Σ exp(z - m))` | `d - exp(y) Σ d` | through `1 / p`, which overflows |
//! | log-sum-exp | `m + ln Σ exp(z - m)` | `d` times the softmax of `z` | through `1 / Σ`, which overflows |
//! | cross-entropy | `Σ w ((z - m) - ln Σ exp(z - m))` | `d (w - p Σ w)` | a second `exp`, and two arrays more |
//!
//! The terms of all gradients but log-sum-exp's add up to zero along the axis: the largest element's is what the others leave,
//! which keeps it accurate where it is close to none. They are found in any spelling: methods, closures, operators,
//! `insert_axis` or broadcasting, with any `m` or none.

use crate::tensor::fuse::uses;
use crate::tensor::graph::*;
use crate::tensor::lower::Val;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::collections::HashMap;
use std::rc::Rc;

/// One idiom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idiom {
    Softmax,
    LogSoftmax,
    LnSoftmax,
    LogSumExp,
    /// A weighted sum of log-softmax; negative or not.
    CrossEntropy {
        negative: bool,
    },
}

/// A value's elementwise formula, as far as it matters here.
#[derive(Debug)]
struct Tree {
    node: Node,
    /// The value that it is.
    value: Option<V>,
}

#[derive(Debug)]
enum Node {
    /// Not elementwise, or of no interest.
    Leaf,
    Number(f64),
    Apply(F, Vec<Rc<Tree>>),
    /// One more axis, along which it is constant.
    Up(String, Rc<Tree>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum F {
    Neg,
    Add,
    Sub,
    Mul,
    Div,
    Exp,
    Ln,
}

/// How deep two formulas are compared.
const DEPTH: usize = 6;

fn same(a: &Rc<Tree>, b: &Rc<Tree>, depth: usize) -> bool {
    if Rc::ptr_eq(a, b) || a.value.is_some() && a.value == b.value {
        return true;
    }
    match (&a.node, &b.node) {
        (Node::Number(x), Node::Number(y)) => x == y,
        (Node::Apply(f, x), Node::Apply(g, y)) => {
            depth > 0 && f == g && x.iter().zip(y).all(|(x, y)| same(x, y, depth - 1))
        }
        (Node::Up(p, x), Node::Up(q, y)) => depth > 0 && p == q && same(x, y, depth - 1),
        _ => false,
    }
}

fn applied(t: &Tree, f: F) -> Option<&[Rc<Tree>]> {
    match &t.node {
        Node::Apply(g, args) if *g == f => Some(args),
        _ => None,
    }
}

struct Trees<'a> {
    g: &'a Graph,
    known: HashMap<V, Rc<Tree>>,
}

impl Trees<'_> {
    fn of(&mut self, v: V) -> Rc<Tree> {
        if let Some(t) = self.known.get(&v) {
            return t.clone();
        }
        let node = match &self.g.value(v).op {
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
            syn::Expr::MethodCall(m) if m.args.is_empty() => {
                let a = self.read(&m.receiver, names)?;
                let f = function(&m.method.to_string())?;
                fresh(Node::Apply(f, vec![a]))
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
    fn lowered(&self, t: &Rc<Tree>, axis: &Axis, rank: Rank) -> Option<Rc<Tree>> {
        let scalar = |v: V| !self.g.is_tensor(v);
        match &t.node {
            Node::Number(_) => Some(t.clone()),
            Node::Up(a, inner) => {
                let Axis::One(_, text) = axis else {
                    return None;
                };
                (a == text).then(|| inner.clone())
            }
            _ if t.value.is_some_and(|v| match axis {
                Axis::All => scalar(v),
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

    /// `Σ exp(x)`: the formula `x`, and along which axis.
    fn sum_of_exp(&mut self, t: &Tree) -> Option<(Rc<Tree>, Axis)> {
        let (a, axis) = match &self.g.value(t.value?).op {
            Op::Sum(a) => (*a, Axis::All),
            Op::SumAxis(a, axis) => {
                let text = axis.to_string().replace(' ', "");
                (*a, Axis::One(axis.clone(), text))
            }
            _ => return None,
        };
        let e = self.of(a);
        Some((applied(&e, F::Exp)?[0].clone(), axis))
    }

    /// `Σ exp(x)` somewhere in what is divided by or subtracted, brought down to the axes of the sum.
    fn find_sum(&mut self, t: &Rc<Tree>) -> Option<(Rc<Tree>, Axis)> {
        if let Some(found) = self.sum_of_exp(t) {
            return Some(found);
        }
        match &t.node {
            Node::Up(_, inner) => self.find_sum(inner),
            Node::Apply(F::Ln | F::Add, args) => args.iter().find_map(|a| self.find_sum(a)),
            _ => None,
        }
    }

    /// `x` as `z - m`: the values `z` and `m`, the latter without the axis. Other than a float, `m` must be made of the lanes of
    /// `z`: then `x` has the shape of `z`, and is not broadcast to a larger one.
    fn shifted(&self, x: &Rc<Tree>, axis: &Axis) -> Option<(V, Option<V>)> {
        if let Some([z, m]) = applied(x, F::Sub)
            && let Some(z) = z.value
            && self.g.is_tensor(z)
            && let Some(m) = self.lowered(m, axis, self.g.rank(z)).and_then(|m| m.value)
        {
            let fits = match (axis, &self.g.value(m).op) {
                (Axis::All, _) => true,
                (
                    Axis::One(_, text),
                    Op::Lanes {
                        of,
                        axis: Some(other),
                        ..
                    },
                ) => *of == z && other.to_string().replace(' ', "") == *text,
                _ => false,
            };
            if fits {
                return Some((z, Some(m)));
            }
        }
        x.value.filter(|&v| self.g.is_tensor(v)).map(|v| (v, None))
    }

    fn find(&mut self, v: V) -> Option<Op> {
        let t = self.of(v);
        let Node::Apply(f, args) = &t.node else {
            return None;
        };
        let args = args.clone();
        match f {
            F::Div => {
                let x = self.quotient(&t)?;
                self.op(Idiom::Softmax, v, x)
            }
            F::Ln => {
                if let Some((x, axis)) = self.sum_of_exp(&args[0]) {
                    let of = x.value.filter(|&x| self.g.is_tensor(x))?;
                    return Some(Op::Idiom {
                        idiom: Idiom::LogSumExp,
                        weights: None,
                        of,
                        shift: None,
                        axis: axis.tokens(),
                    });
                }
                let x = self.quotient(&args[0])?;
                self.op(Idiom::LnSoftmax, v, x)
            }
            F::Sub => {
                let (x, axis) = self.find_sum(&args[1])?;
                let rank = x_rank(self.g, &x)?;
                let below = self.lowered(&args[1], &axis, rank)?;
                let ln_sum = |s: &mut Self, t: &Tree| {
                    let [s_] = applied(t, F::Ln)? else {
                        return None;
                    };
                    let (y, _) = s.sum_of_exp(s_)?;
                    same(&x, &y, DEPTH).then_some(())
                };
                if same(&args[0], &x, DEPTH) && ln_sum(self, &below).is_some() {
                    return self.op(Idiom::LogSoftmax, v, (x, axis));
                }
                // z - (m + ln Σ exp(z - m))
                let (z, Some(m)) = self.shifted(&x, &axis)? else {
                    return None;
                };
                let [a, b] = applied(&below, F::Add)? else {
                    return None;
                };
                let shift_is = |t: &Tree| t.value == Some(m);
                let matches = shift_is(a) && ln_sum(self, b).is_some()
                    || shift_is(b) && ln_sum(self, a).is_some();
                (matches && args[0].value == Some(z))
                    .then(|| self.op(Idiom::LogSoftmax, v, (x, axis)))?
            }
            F::Add => {
                let (x, axis) = self
                    .find_sum(&args[0])
                    .or_else(|| self.find_sum(&args[1]))?;
                let (z, Some(m)) = self.shifted(&x, &axis)? else {
                    return None;
                };
                let is_sum = |s: &mut Self, t: &Tree| {
                    applied(t, F::Ln).is_some_and(|t| s.sum_of_exp(&t[0]).is_some())
                };
                let shift_is = |t: &Tree| t.value == Some(m);
                (shift_is(&args[0]) && is_sum(self, &args[1])
                    || shift_is(&args[1]) && is_sum(self, &args[0]))
                .then(|| Op::Idiom {
                    idiom: Idiom::LogSumExp,
                    weights: None,
                    of: z,
                    shift: Some(m),
                    axis: axis.tokens(),
                })
            }
            _ => None,
        }
    }

    /// `exp(x) / Σ exp(x)`.
    fn quotient(&mut self, t: &Tree) -> Option<(Rc<Tree>, Axis)> {
        let [e, s] = applied(t, F::Div)? else {
            return None;
        };
        let x = applied(e, F::Exp)?[0].clone();
        let (_, axis) = self.find_sum(s)?;
        let rank = x_rank(self.g, &x)?;
        let s = self.lowered(s, &axis, rank)?;
        let (y, _) = self.sum_of_exp(&s)?;
        same(&x, &y, DEPTH).then_some((x, axis))
    }

    /// `Σ ± w y` over all elements where `y` is a log-softmax that nothing else reads and `w` is constant.
    fn cross_entropy(&mut self, v: V, uses: &HashMap<V, usize>) -> Option<Op> {
        let Op::Sum(a) = self.g.value(v).op else {
            return None;
        };
        let once = |a: V| uses.get(&a) == Some(&1);
        let (mut at, mut negative) = (a, false);
        let [x, y] = loop {
            if !once(at) {
                return None;
            }
            // Summed axis by axis, or with the sign outside.
            if let Op::SumAxis(of, _) = self.g.value(at).op {
                at = of;
                continue;
            }
            let tree = self.of(at);
            let (flipped, inner) = without_sign(&tree);
            negative ^= flipped;
            match &inner.node {
                Node::Apply(F::Mul, args) => break [args[0].clone(), args[1].clone()],
                _ => at = inner.value.filter(|&inner| inner != at)?,
            }
        };
        let sides = [(&x, &y), (&y, &x)];
        sides.into_iter().find_map(|(w, y)| {
            let ((w_negative, w), (y_negative, y)) = (without_sign(w), without_sign(y));
            let (w, y) = (w.value?, y.value?);
            let Op::Idiom {
                idiom: Idiom::LogSoftmax,
                of,
                shift,
                axis,
                ..
            } = &self.g.value(y).op
            else {
                return None;
            };
            let fits = once(y)
                && self.g.is_tensor(w)
                && !self.g.active(w)
                && self.g.value(y).region == self.g.value(v).region;
            fits.then(|| Op::Idiom {
                idiom: Idiom::CrossEntropy {
                    negative: negative ^ w_negative ^ y_negative,
                },
                weights: Some(w),
                of: *of,
                shift: *shift,
                axis: axis.clone(),
            })
        })
    }

    fn op(&self, idiom: Idiom, v: V, (x, axis): (Rc<Tree>, Axis)) -> Option<Op> {
        let (of, shift) = self.shifted(&x, &axis)?;
        (self.g.rank(of) == self.g.rank(v) && self.g.is_tensor(v)).then(|| Op::Idiom {
            idiom,
            weights: None,
            of,
            shift,
            axis: axis.tokens(),
        })
    }
}

/// The axes of a formula: those of any tensor of full rank in it.
fn x_rank(g: &Graph, t: &Tree) -> Option<Rank> {
    if let Some(v) = t.value.filter(|&v| g.is_tensor(v)) {
        return Some(g.rank(v));
    }
    match &t.node {
        Node::Apply(_, args) => args.iter().find_map(|a| x_rank(g, a)),
        _ => None,
    }
}

/// A formula without minus signs in front, and whether their number is odd.
fn without_sign(t: &Rc<Tree>) -> (bool, Rc<Tree>) {
    match applied(t, F::Neg) {
        Some(args) => {
            let (negative, inner) = without_sign(&args[0]);
            (!negative, inner)
        }
        None => (false, t.clone()),
    }
}

fn function(name: &str) -> Option<F> {
    match name {
        "exp" => Some(F::Exp),
        "ln" => Some(F::Ln),
        _ => None,
    }
}

/// Along which axis.
enum Axis {
    All,
    One(TokenStream, String),
}

impl Axis {
    fn tokens(&self) -> Option<TokenStream> {
        match self {
            Axis::All => None,
            Axis::One(tokens, _) => Some(tokens.clone()),
        }
    }
}

/// Replaces what computes an idiom by the idiom.
pub fn idioms(g: &mut Graph, result: &Val) {
    let found: Vec<(V, Op)> = {
        let mut trees = Trees {
            g,
            known: HashMap::new(),
        };
        (0..g.values.len() as u32)
            .filter_map(|k| Some((V(k), trees.find(V(k))?)))
            .collect()
    };
    for (v, op) in found {
        g.values[v.0 as usize].op = op;
    }
    let uses = uses(g, result);
    let found: Vec<(V, Op)> = {
        let mut trees = Trees {
            g,
            known: HashMap::new(),
        };
        (0..g.values.len() as u32)
            .filter_map(|k| Some((V(k), trees.cross_entropy(V(k), &uses)?)))
            .collect()
    };
    for (v, op) in found {
        g.values[v.0 as usize].op = op;
    }
}

// ---- the table ----

/// How a row spells what it reads.
pub struct Lane<'a> {
    pub of: TokenStream,
    /// What is subtracted: a view without the axis, or a float.
    pub shift: Option<(TokenStream, bool)>,
    pub axis: &'a Option<TokenStream>,
    pub zero: TokenStream,
    /// A view of a cross-entropy's weights, and the name of the softmax that it keeps.
    pub weights: Option<(TokenStream, Ident)>,
}

impl Lane<'_> {
    fn axis(&self) -> TokenStream {
        match self.axis {
            Some(axis) => quote!(::core::option::Option::Some(#axis)),
            None => quote!(::core::option::Option::None),
        }
    }

    fn shifts(&self) -> TokenStream {
        match &self.shift {
            Some((m, true)) => quote!(#m.iter().copied()),
            Some((m, false)) => quote!(::core::iter::repeat(#m)),
            None => {
                let zero = &self.zero;
                quote!(::core::iter::repeat(#zero))
            }
        }
    }
}

impl Idiom {
    /// The value: a float, or written to `out`.
    pub fn forward(self, l: &Lane, out: &TokenStream) -> TokenStream {
        let (z, axis, m) = (&l.of, l.axis(), l.shifts());
        match (self, l.axis) {
            (Idiom::CrossEntropy { negative }, _) => {
                let Some((w, p)) = &l.weights else {
                    return TokenStream::new();
                };
                let sum =
                    quote!(::backprop::tensor::cross_entropy(#z, #w, #axis, #m, #p.view_mut()));
                if negative { quote!(-#sum) } else { sum }
            }
            (Idiom::Softmax, _) => quote!(::backprop::tensor::softmax(#z, #axis, #m, #out)),
            (Idiom::LogSoftmax, _) => quote!(::backprop::tensor::log_softmax(#z, #axis, #m, #out)),
            (Idiom::LnSoftmax, _) => quote!(::backprop::tensor::ln_softmax(#z, #axis, #m, #out)),
            (Idiom::LogSumExp, Some(axis)) => {
                quote!(::backprop::tensor::log_sum_exp(#z, #axis, #m, #out))
            }
            (Idiom::LogSumExp, None) => {
                let (m, zero) = (l.shift.as_ref().map(|m| &m.0), &l.zero);
                let m = m.unwrap_or(zero);
                quote!(::backprop::tensor::log_sum_exp_all(#z, #m))
            }
        }
    }

    /// From the value `y` and its adjoint `d` to the operand's, `to`.
    pub fn backward(
        self,
        l: &Lane,
        y: &TokenStream,
        d: &TokenStream,
        to: &TokenStream,
        add: bool,
    ) -> TokenStream {
        let axis = l.axis();
        let pivoted = |y: &TokenStream, d: TokenStream, part: TokenStream, slope: TokenStream| {
            quote! {
                ::backprop::tensor::pivoted(
                    #y.view(), #d.view(), #axis, #to, #add,
                    #[inline(always)] |y, d, pivot| #part,
                    #[inline(always)] |y, d, pivot, total| #slope,
                );
            }
        };
        let rule = |part, slope| pivoted(y, d.clone(), part, slope);
        match self {
            Idiom::CrossEntropy { negative } => {
                let Some((w, p)) = &l.weights else {
                    return TokenStream::new();
                };
                let w = quote!(::backprop::tensor::fitted(#w, &#p.raw_dim()));
                let slope = if negative {
                    quote!(#d * (y * total - d))
                } else {
                    quote!(#d * (d - y * total))
                };
                pivoted(&quote!(#p), w, quote!(d), slope)
            }
            // Relative to the pivot's: the gradient depends on differences only.
            Idiom::Softmax => rule(quote!(y * (d - pivot)), quote!(y * ((d - pivot) - total))),
            Idiom::LogSoftmax | Idiom::LnSoftmax => {
                rule(quote!(d), quote!(d - ::backprop::kernel::exp(y) * total))
            }
            Idiom::LogSumExp => {
                let z = &l.of;
                let d = match l.axis {
                    Some(_) => quote!(#d.iter().copied()),
                    None => quote!(::core::iter::once(#d)),
                };
                quote!(::backprop::tensor::softmax_times(#z, #axis, #d, #to, #add);)
            }
        }
    }
}
