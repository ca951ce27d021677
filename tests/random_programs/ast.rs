//! The language of the random programs: what `generate` makes, `shrink` simplifies and `print` writes.
//!
//! Must hold: every tree prints as a program that stops, since each loop has its own counter and bound; and one made
//! by `generate` also compiles and stays within the bounds of its arrays.

pub type Name = String;

/// A function `fn p(x: f64, y: f64, a: [f64; 4], s: &[f64], n: usize) -> f64` and the points at which to check it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Whether `x`, `y` and `a` are declared `mut`.
    pub mutable: [bool; 3],
    pub body: Body,
    pub inputs: Vec<Input>,
}

#[derive(Clone, Debug)]
pub struct Input {
    pub x: f64,
    pub y: f64,
    pub a: [f64; 4],
    pub s: Vec<f64>,
    pub n: usize,
}

/// Statements in braces, with a value where one is asked for.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub stmts: Vec<Stmt>,
    pub value: Option<Box<Real>>,
}

/// An expression of type `f64`.
#[derive(Clone, Debug)]
pub enum Real {
    Lit(f64),
    Var(Name),
    At(Name, Vec<Int>),
    Cast(Box<Int>),
    Neg(Box<Real>),
    Bin(&'static str, Box<Real>, Box<Real>),
    Call(Box<Real>, &'static str, Vec<Real>),
    Powi(Box<Real>, Box<Int>),
    If(Box<If>),
    Match(Box<Match>),
    Block(Option<Name>, Body),
    Loop(Box<Loop>),
}

#[derive(Clone, Debug)]
pub enum Int {
    Lit(i32),
    Var(Name),
    Bin(&'static str, Box<Int>, Box<Int>),
    /// The high bits of a pseudo-random state.
    State(Name),
    Len(Name),
    Cast(Box<Real>),
}

#[derive(Clone, Debug)]
pub enum Cond {
    Var(Name),
    Reals(&'static str, Box<Real>, Box<Real>),
    Ints(&'static str, Int, Int),
    Both(&'static str, Box<Cond>, Box<Cond>),
    Not(Box<Cond>),
}

#[derive(Clone, Debug)]
pub struct If {
    pub cond: Cond,
    pub then: Body,
    pub other: Option<Body>,
}

#[derive(Clone, Debug)]
pub struct Match {
    pub on: Int,
    pub arms: Vec<Arm>,
}

#[derive(Clone, Debug)]
pub struct Arm {
    pub pattern: String,
    pub guard: Option<Cond>,
    pub body: Body,
}

/// `loop`, or `while` if there is a condition; leaves after `bound` rounds, a `loop` with `value` if it is an expression.
#[derive(Clone, Debug)]
pub struct Loop {
    pub label: Option<Name>,
    pub counter: Name,
    pub bound: i32,
    pub cond: Option<Cond>,
    pub body: Vec<Stmt>,
    pub value: Option<Real>,
}

#[derive(Clone, Debug)]
pub struct Range {
    pub from: Int,
    pub to: Int,
    pub inclusive: bool,
    pub reversed: bool,
    pub step: Option<i32>,
}

/// The value of a new variable.
#[derive(Clone, Debug)]
pub enum Value {
    Real(Real),
    Int(Int),
    Bool(Cond),
    State(u32),
    Fill(Real, Vec<usize>),
    List(Vec<Real>),
    Lists(Vec<Vec<Real>>),
    /// An array or a row of one.
    Copy(Name, Vec<Int>),
    Choose(Cond, Name, Name),
}

#[derive(Clone, Debug)]
pub enum Stmt {
    Let {
        name: Name,
        mutable: bool,
        ty: Option<&'static str>,
        value: Value,
    },
    LetTuple(Vec<(Name, bool)>, Vec<Real>),
    LetParts(Vec<Name>, Name),
    /// Declared first, initialised in both branches.
    Late(Name, Box<If>),
    Assign(Real, &'static str, Real),
    AssignTuple(Vec<Real>, Vec<Real>),
    AssignArray(Name, Vec<Int>, Name),
    AssignInt(Name, &'static str, Int),
    /// The next pseudo-random state.
    Step(Name),
    Swap(Name, Vec<Int>, Int, Int),
    If(Box<If>),
    Match(Box<Match>),
    For {
        label: Option<Name>,
        var: Name,
        range: Range,
        body: Vec<Stmt>,
    },
    Loop(Box<Loop>),
    Block(Option<Name>, Vec<Stmt>),
    Break(Option<Name>, Option<Real>),
    Continue(Option<Name>),
    Return(Real),
}
