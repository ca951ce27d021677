//! Every primitive and its derivative: one primitive, one row.
//!
//! The first column is the Rust that the front accepts, the checks evaluate and `emit` prints. The second gives each
//! operand's adjoint from the upstream gradient `dy`; `y` is the primitive's own result. A column is linear in `dy`, so
//! that it is the tangent too. The third is where the tests sample the row; the last what it costs, in additions.
//!
//! The forms are those that stay accurate over the full range of floats, measured against 60-digit references:
//! `(1-a)*(1+a)` rather than `1-a*a`, `a/y` rather than `a/sqrt(a*a+b*b)`, `(y/b)` rather than `a/(b*b)`.
//! At kinks: `abs'(0) = 0`; at a tie of `max` or `min` each side gets half; a bound of `clamp` passes the gradient to `x`.

use crate::graph::{Graph, Id};
use crate::types::{Kind, Ty, Types};
use quote::quote;
use std::cell::RefCell;

/// How a primitive is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syntax {
    Prefix(&'static str),
    Infix(&'static str),
    Method(&'static str),
    /// A form that `emit` spells out.
    Form(&'static str),
}

const R: [f64; 2] = [-3.0, 3.0]; // the whole line, near enough
const POS: [f64; 2] = [0.1, 3.0]; // positive
const UNIT: [f64; 2] = [-0.9, 0.9]; // inside (-1, 1)
const ABOVE: [f64; 2] = [1.1, 4.0]; // above 1
const LOW: [f64; 2] = [-2.0, -1.0]; // a lower bound
const HIGH: [f64; 2] = [1.0, 2.0]; // an upper bound
const COUNT: [f64; 2] = [-4.0, 5.0]; // an integer exponent
const COND: [f64; 2] = [0.0, 1.0]; // a condition

use std::f64::consts::{LN_2, LN_10};

#[rustfmt::skip]
rules! { y, dy =>
    // syntax                    adjoints of the operands                                        sampled on       cost
    Neg      = -a             => [-dy]                                                           on [R]           cost 1;
    Add      = a + b          => [dy, dy]                                                        on [R, R]        cost 1;
    Sub      = a - b          => [dy, -dy]                                                       on [R, R]        cost 1;
    Mul      = a * b          => [dy * b, dy * a]                                                on [R, R]        cost 1;
    Div      = a / b          => [dy / b, -(dy * (y / b))]                                       on [R, POS]      cost 5;
    Rem      = a % b          => [dy, -(dy * ((a - y) / b).round())]                             on [R, POS]      cost 9;
    MulAdd   = a.mul_add(b, c) => [dy * b, dy * a, dy]                                           on [R, R, R]     cost 2;

    Recip    = a.recip()      => [-(dy * (y * y))]                                               on [POS]         cost 5;
    Sqrt     = a.sqrt()       => [dy * (0.5 / y)]                                                on [POS]         cost 6;
    Cbrt     = a.cbrt()       => [dy / (3.0 * (y * y))]                                          on [POS]         cost 20;
    Powi     = powi(a, n)     => [powi_adjoint(a, n, dy), 0.0]                                   on [POS, COUNT]  cost 6;
    Powf     = a.powf(b)      => [select(b.is(0.0), 0.0, dy * (b * a.powf(b - 1.0))),
                                  select(a.is(0.0).and(b.lt(0.0).not()), 0.0, dy * (y * a.ln()))] on [POS, R]     cost 40;
    Hypot    = a.hypot(b)     => [select(y.is(0.0), 0.0, dy * (a / y)),
                                  select(y.is(0.0), 0.0, dy * (b / y))]                          on [POS, POS]    cost 20;

    Exp      = a.exp()        => [dy * y]                                                        on [R]           cost 20;
    Exp2     = a.exp2()       => [dy * (y * LN_2)]                                               on [R]           cost 20;
    ExpM1    = a.exp_m1()     => [dy * a.exp()]                                                  on [R]           cost 20;
    Ln       = a.ln()         => [dy / a]                                                        on [POS]         cost 20;
    Ln1p     = a.ln_1p()      => [dy / (1.0 + a)]                                                on [UNIT]        cost 20;
    Log2     = a.log2()       => [dy / a / LN_2]                                                 on [POS]         cost 20;
    Log10    = a.log10()      => [dy / a / LN_10]                                                on [POS]         cost 20;
    Log      = a.log(b)       => [dy / a / b.ln(), -(dy * (y / b / b.ln()))]                     on [POS, ABOVE]  cost 40;

    Sin      = a.sin()        => [dy * a.cos()]                                                  on [R]           cost 20;
    Cos      = a.cos()        => [-(dy * a.sin())]                                               on [R]           cost 20;
    Tan      = a.tan()        => [dy * (1.0 + y * y)]                                            on [UNIT]        cost 20;
    Asin     = a.asin()       => [dy / ((1.0 - a) * (1.0 + a)).sqrt()]                           on [UNIT]        cost 20;
    Acos     = a.acos()       => [-(dy / ((1.0 - a) * (1.0 + a)).sqrt())]                        on [UNIT]        cost 20;
    Atan     = a.atan()       => [dy / (1.0 + a * a)]                                            on [R]           cost 20;
    Atan2    = a.atan2(b)     => [dy * (b / a.hypot(b) / a.hypot(b)),
                                  -(dy * (a / a.hypot(b) / a.hypot(b)))]                         on [POS, POS]    cost 30;
    Sinh     = a.sinh()       => [dy * a.cosh()]                                                 on [R]           cost 30;
    Cosh     = a.cosh()       => [dy * a.sinh()]                                                 on [R]           cost 30;
    Tanh     = a.tanh()       => [dy * (1.0 - y * y)]                                            on [R]           cost 30;
    Asinh    = a.asinh()      => [dy / a.hypot(1.0)]                                             on [R]           cost 30;
    Acosh    = a.acosh()      => [dy / ((a - 1.0).sqrt() * (a + 1.0).sqrt())]                    on [ABOVE]       cost 30;
    Atanh    = a.atanh()      => [dy / ((1.0 - a) * (1.0 + a))]                                  on [UNIT]        cost 30;

    Abs      = a.abs()        => [dy * a.sign()]                                                 on [POS]         cost 1;
    Copysign = a.copysign(b)  => [dy * (a.sign() * b.signum()), 0.0]                             on [POS, POS]    cost 1;
    Max      = a.max(b)       => [wins(a.gt(b), a.same(b), b.is_nan(), dy), wins(b.gt(a), a.same(b), a.is_nan(), dy)] on [R, R] cost 1;
    Min      = a.min(b)       => [wins(a.lt(b), a.same(b), b.is_nan(), dy), wins(b.lt(a), a.same(b), a.is_nan(), dy)] on [R, R] cost 1;
    Clamp    = a.clamp(lo, hi) => [select(a.lt(lo).or(a.gt(hi)), 0.0, select(a.is_nan(), a, dy)),
                                  select(a.lt(lo), dy, 0.0), select(a.gt(hi), dy, 0.0)]          on [R, LOW, HIGH] cost 2;

    Signum   = a.signum()     => [0.0]                                                           on [POS]         cost 1;
    Floor    = a.floor()      => [0.0]                                                           on [[0.2, 0.8]]  cost 1;
    Ceil     = a.ceil()       => [0.0]                                                           on [[0.2, 0.8]]  cost 1;
    Round    = a.round()      => [0.0]                                                           on [[0.6, 0.9]]  cost 4;
    RoundTiesEven = a.round_ties_even() => [0.0]                                                 on [[0.6, 0.9]]  cost 1;
    Trunc    = a.trunc()      => [0.0]                                                           on [[0.2, 0.8]]  cost 1;
    Fract    = a.fract()      => [dy]                                                            on [[0.2, 0.8]]  cost 2;
    RemEuclid = a.rem_euclid(b) => [dy, -(dy * ((a - y) / b).round())]                           on [R, POS]      cost 12;
    DivEuclid = a.div_euclid(b) => [0.0, 0.0]                                                    on [[4.2, 4.8], [2.9, 3.1]] cost 12;
    ToRadians = a.to_radians() => [dy.to_radians()]                                              on [R]           cost 1;
    ToDegrees = a.to_degrees() => [dy.to_degrees()]                                              on [R]           cost 1;

    Select   = select_value(c, a, b) => [0.0, select(c, dy, 0.0), select(c, 0.0, dy)]            on [COND, R, R]  cost 1;
    FromInt  = from_integer(n) => [0.0]                                                          on [COUNT]       cost 1;
}

fn select_value(c: f64, a: f64, b: f64) -> f64 {
    if c > 0.5 { a } else { b }
}

fn from_integer(n: f64) -> f64 {
    n.round()
}

/// `f64::powi` with the exponent as a float, for evaluation.
fn powi(a: f64, n: f64) -> f64 {
    a.powi(n.round() as i32)
}

/// `n * a^(n-1)`, and 0 for `n = 0` wherever `a` is.
fn powi_adjoint<'g>(a: Ex<'g>, n: Ex<'g>, dy: Ex<'g>) -> Ex<'g> {
    match n.integer() {
        Some(0) => a.constant(0.0),
        Some(1) => dy,
        Some(2) => dy * (2.0 * a),
        Some(k) if k > i128::from(i32::MIN) => dy * (k as f64 * a.powi(a.integer_constant(k - 1))),
        _ => {
            let zero = n.with(|g, n| {
                let (z, ty) = (g.integer_const(0), g.bool_ty());
                g.opaque_binary(quote!(==), n, z, ty, true)
            });
            let below = n.with(|g, n| {
                let (one, ty) = (g.integer_const(1), g.ty(n));
                g.opaque_method("saturating_sub", &[n, one], ty)
            });
            let factor = n.apply_like(Op::FromInt, &[n], a);
            select(zero, 0.0, dy * (factor * a.powi(below)))
        }
    }
}

/// What the winner of `max` or `min` gets: all of it, half at a tie, all of it where the other is NaN.
fn wins<'g>(wins: Ex<'g>, tie: Ex<'g>, other_is_nan: Ex<'g>, dy: Ex<'g>) -> Ex<'g> {
    select(
        wins,
        dy,
        select(tie, 0.5 * dy, select(other_is_nan, dy, 0.0)),
    )
}

fn select<'g>(cond: Ex<'g>, a: impl IntoEx<'g>, b: impl IntoEx<'g>) -> Ex<'g> {
    // The branches give the type: a plain number takes that of the other side, or of the condition's operands.
    let (a, b) = (a.into_raw(), b.into_raw());
    let like = match (&a, &b) {
        (Raw::Node(x), _) | (_, Raw::Node(x)) => *x,
        _ => cond,
    };
    cond.apply(Op::Select, &[cond, a.like(like), b.like(like)])
}

impl Op {
    /// The adjoints of the operands.
    pub fn vjp(self, graph: &mut Graph, args: &[Id], y: Id, dy: Id) -> Vec<Id> {
        #[cfg(test)]
        let dy = broken::slope(self, graph, dy);
        let cell = RefCell::new(std::mem::take(graph));
        let ex = |id| Ex { graph: &cell, id };
        let args: Vec<Ex> = args.iter().map(|&a| ex(a)).collect();
        let out = self
            .columns(&args, ex(y), ex(dy))
            .into_iter()
            .map(|e| e.id)
            .collect();
        *graph = cell.into_inner();
        out
    }

    /// Notes the types of operands and result; the type of the result.
    pub fn unify(self, types: &mut Types, args: &[Ty]) -> Ty {
        let floats = match self {
            Op::Select => &args[1..],
            Op::Powi => {
                types.learn(args[1], Kind::Int("i32".into()));
                &args[..1]
            }
            Op::FromInt => return types.fresh(Kind::AnyFloat),
            _ => args,
        };
        let first = floats[0];
        types.learn(first, Kind::AnyFloat);
        for &other in &floats[1..] {
            types.unify(first, other);
        }
        first
    }

    /// The primitive behind a method of the float types.
    pub fn from_method(name: &str, operands: usize) -> Option<Op> {
        Op::ALL.iter().copied().find(|op| {
            op.syntax() == Syntax::Method(name_of(name)) && op.domain().len() == operands
        })
    }

    /// Whether a value of it is worth keeping rather than computing again.
    pub fn is_dear(self) -> bool {
        self.cost() >= 10
    }
}

/// A table with one wrong row, to show that the checks see it.
#[cfg(test)]
pub mod broken {
    use super::{Graph, Id, Op};

    thread_local! {
        /// The row whose slopes are a thousandth too large.
        pub static ROW: std::cell::Cell<Option<Op>> = const { std::cell::Cell::new(None) };
    }

    /// The upstream gradient as the row gets it.
    pub fn slope(op: Op, graph: &mut Graph, dy: Id) -> Id {
        if ROW.get() != Some(op) {
            return dy;
        }
        let factor = graph.lit_like(1.001, dy);
        graph.apply_primal(Op::Mul, &[factor, dy])
    }
}

fn name_of(name: &str) -> &'static str {
    Op::ALL
        .iter()
        .find_map(|op| match op.syntax() {
            Syntax::Method(m) if m == name => Some(m),
            _ => None,
        })
        .unwrap_or("")
}

/// A node under construction: `Copy`, with the arithmetic of `f64`, so that rules read as mathematics.
#[derive(Clone, Copy)]
pub struct Ex<'g> {
    graph: &'g RefCell<Graph>,
    pub id: Id,
}

impl<'g> Ex<'g> {
    fn with(self, f: impl FnOnce(&mut Graph, Id) -> Id) -> Ex<'g> {
        Ex {
            graph: self.graph,
            id: f(&mut self.graph.borrow_mut(), self.id),
        }
    }
    fn apply(self, op: Op, args: &[Ex<'g>]) -> Ex<'g> {
        let ids: Vec<Id> = args.iter().map(|a| a.id).collect();
        self.with(|g, _| g.apply(op, &ids))
    }
    /// As [`Ex::apply`], for a primitive whose result has the type of another node.
    fn apply_like(self, op: Op, args: &[Ex<'g>], like: Ex<'g>) -> Ex<'g> {
        let out = self.apply(op, args);
        out.with(|g, id| {
            let (a, b) = (g.ty(id), g.ty(like.id));
            g.types.unify(a, b);
            id
        })
    }
    fn constant(self, value: f64) -> Ex<'g> {
        self.with(|g, id| g.lit_like(value, id))
    }
    fn integer(self) -> Option<i128> {
        self.graph.borrow().integer(self.id)
    }
    fn integer_constant(self, value: i128) -> Ex<'g> {
        self.with(|g, _| g.integer_const(value))
    }
    fn compare(self, op: proc_macro2::TokenStream, other: Ex<'g>) -> Ex<'g> {
        self.with(|g, a| {
            // A comparison of two constants is known now.
            if let (Some(x), Some(y)) = (g.constant(a), g.constant(other.id)) {
                let known = match op.to_string().as_str() {
                    ">" => x > y,
                    "<" => x < y,
                    _ => x == y,
                };
                return g.bool_const(known);
            }
            let (ta, tb) = (g.ty(a), g.ty(other.id));
            g.types.unify(ta, tb);
            let ty = g.bool_ty();
            g.opaque_binary(op, a, other.id, ty, true)
        })
    }
    fn gt(self, other: Ex<'g>) -> Ex<'g> {
        self.compare(quote!(>), other)
    }
    fn lt(self, other: impl IntoEx<'g>) -> Ex<'g> {
        self.compare(quote!(<), other.into_ex(self))
    }
    fn same(self, other: Ex<'g>) -> Ex<'g> {
        if self.id == other.id {
            return self.with(|g, _| g.bool_const(true));
        }
        self.compare(quote!(==), other)
    }
    /// Whether it equals a number.
    fn is(self, value: f64) -> Ex<'g> {
        self.compare(quote!(==), self.constant(value))
    }
    fn is_nan(self) -> Ex<'g> {
        self.with(|g, a| match g.constant(a) {
            Some(x) => g.bool_const(x.is_nan()),
            None => {
                let ty = g.bool_ty();
                g.opaque_method("is_nan", &[a], ty)
            }
        })
    }
    fn not(self) -> Ex<'g> {
        self.with(|g, a| g.not(a))
    }
    fn and(self, other: Ex<'g>) -> Ex<'g> {
        self.with(|g, a| {
            match (
                g.opaque_text(a).as_deref(),
                g.opaque_text(other.id).as_deref(),
            ) {
                (Some("true"), _) | (_, Some("false")) => return other.id,
                (Some("false"), _) | (_, Some("true")) => return a,
                _ => {}
            }
            let ty = g.bool_ty();
            g.opaque_binary(quote!(&&), a, other.id, ty, true)
        })
    }
    fn or(self, other: Ex<'g>) -> Ex<'g> {
        self.not().and(other.not()).not()
    }
    /// -1, 0 or 1; NaN for NaN. Rust's own `signum` is ±1 at ±0.
    fn sign(self) -> Ex<'g> {
        select(self.is(0.0), 0.0, self.signum())
    }
}

/// A number or a node.
pub enum Raw<'g> {
    Node(Ex<'g>),
    Number(f64),
}
impl<'g> Raw<'g> {
    fn like(&self, like: Ex<'g>) -> Ex<'g> {
        match self {
            Raw::Node(x) => *x,
            Raw::Number(v) => like.constant(*v),
        }
    }
}

/// Lets a rule write `1.0` where a node is wanted.
pub trait IntoEx<'g>: Sized {
    fn into_raw(self) -> Raw<'g>;
    fn into_ex(self, like: Ex<'g>) -> Ex<'g> {
        self.into_raw().like(like)
    }
}
impl<'g> IntoEx<'g> for Ex<'g> {
    fn into_raw(self) -> Raw<'g> {
        Raw::Node(self)
    }
}
impl<'g> IntoEx<'g> for f64 {
    fn into_raw(self) -> Raw<'g> {
        Raw::Number(self)
    }
}

impl std::ops::Neg for Ex<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self.apply(Op::Neg, &[self])
    }
}
macro_rules! binary {
    ($($Tr:ident $f:ident)*) => {$(
        impl<'g> std::ops::$Tr for Ex<'g> {
            type Output = Ex<'g>;
            fn $f(self, o: Ex<'g>) -> Ex<'g> { self.apply(Op::$Tr, &[self, o]) }
        }
        impl<'g> std::ops::$Tr<f64> for Ex<'g> {
            type Output = Ex<'g>;
            fn $f(self, o: f64) -> Ex<'g> { self.apply(Op::$Tr, &[self, self.constant(o)]) }
        }
        impl<'g> std::ops::$Tr<Ex<'g>> for f64 {
            type Output = Ex<'g>;
            fn $f(self, o: Ex<'g>) -> Ex<'g> { o.apply(Op::$Tr, &[o.constant(self), o]) }
        }
    )*}
}
binary! { Add add Sub sub Mul mul Div div }
