//! What an expression can stand for while lowering.

use super::VarId;
use super::iter::Iter;
use crate::definitions::Struct;
use crate::graph::{Id, Place};
use std::rc::Rc;

/// The value of an expression.
#[derive(Clone)]
pub enum Val {
    Unit,
    /// Declared, not yet given a value.
    Uninit,
    /// Rejected already; says nothing more.
    Poison,
    Num(Id),
    View(View),
    /// A scalar inside an array, by mutable reference.
    Elem(Place),
    Tuple(Vec<Val>),
    /// The fields, in the order of the struct.
    Struct(Rc<Struct>, Vec<Val>),
    Range(RangeVal),
    Iter(Rc<Iter>),
    Closure(Rc<Closure>),
    /// `&mut x` of a variable that is no array, or of a part of it.
    MutRef(VarId, Vec<u32>),
    /// `Some(…)` where the condition holds.
    Opt(Id, Box<Val>),
    /// An `Ordering`: whether it is `Less`, and whether it is `Equal`.
    Order(Id, Id),
    /// A function by path, passed as an argument: `f64::max`.
    Path(Rc<syn::ExprPath>),
}

/// An array or a part of one.
#[derive(Clone, Debug)]
pub struct View {
    pub place: Place,
    /// First element and length, where it is a sub-slice.
    pub window: Option<(Id, Id)>,
    pub borrow: Borrow,
}

/// Whether a view is the array itself or a reference to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Borrow {
    /// Binding it copies, or moves.
    Own,
    /// `&`: its elements are read.
    Shared,
    /// `&mut`: what is taken out of it are places.
    Mut,
}

impl Borrow {
    pub fn is_ref(self) -> bool {
        self != Borrow::Own
    }
}

/// `lo..hi`.
#[derive(Clone, Debug)]
pub struct RangeVal {
    pub lo: Option<Id>,
    pub hi: Option<Id>,
    pub inclusive: bool,
}

/// A closure or a nested function, to be inlined.
pub struct Closure {
    pub inputs: Vec<syn::Pat>,
    pub body: syn::Expr,
    pub scopes: Vec<super::Scope>,
}

impl Val {
    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Val::Unit => "nothing",
            Val::Uninit => "a variable without a value",
            Val::View(_) => "an array",
            Val::Tuple(_) => "a tuple",
            Val::Struct(..) => "a struct",
            Val::Range(_) => "a range",
            Val::Iter(_) => "an iterator",
            Val::Closure(_) => "a closure",
            Val::Opt(..) => "an `Option`",
            Val::Order(..) => "an `Ordering`",
            Val::Path(_) => "a function",
            Val::Poison | Val::Num(_) | Val::Elem(_) | Val::MutRef(..) => "a scalar",
        }
    }

    /// The parts of a tuple or struct.
    pub fn parts(&self) -> Option<&[Val]> {
        match self {
            Val::Tuple(all) | Val::Struct(_, all) => Some(all),
            _ => None,
        }
    }

    /// One of the parts of a tuple or struct, or what an `Option` may hold.
    pub fn part(&self, k: u32) -> Option<&Val> {
        match self {
            Val::Opt(_, inner) => (k == 0).then_some(&**inner),
            _ => self.parts()?.get(k as usize),
        }
    }

    /// What is found along a path of parts.
    pub fn along(&self, path: &[u32]) -> Option<&Val> {
        path.iter().try_fold(self, |val, &k| val.part(k))
    }

    /// Whether arrays are part of it.
    pub fn has_arrays(&self) -> bool {
        match self {
            Val::View(_) => true,
            Val::Opt(_, inner) => inner.has_arrays(),
            _ => self.parts().into_iter().flatten().any(Val::has_arrays),
        }
    }

    /// A tuple or struct of the same kind, of other parts.
    pub fn rebuilt(&self, parts: Vec<Val>) -> Val {
        match self {
            Val::Struct(of, _) => Val::Struct(of.clone(), parts),
            _ => Val::Tuple(parts),
        }
    }

    /// The same with every scalar replaced.
    pub fn map(&self, f: &mut impl FnMut(Id) -> Id) -> Val {
        match self {
            Val::Num(id) => Val::Num(f(*id)),
            Val::Tuple(all) | Val::Struct(_, all) => {
                self.rebuilt(all.iter().map(|v| v.map(f)).collect())
            }
            Val::Opt(some, val) => {
                let some = f(*some);
                Val::Opt(some, Box::new(val.map(f)))
            }
            Val::Order(less, equal) => Val::Order(f(*less), f(*equal)),
            other => other.clone(),
        }
    }
}
