//! The variables that the generator may use at a point of the program.
//!
//! In: declarations, in order. Out: what is visible, readable and writable. Must hold: a name means the variable that
//! was declared last, as in Rust.

use super::ast::Name;

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Real,
    Int(Bound),
    /// The integer parameter.
    Parameter,
    Bool,
    State,
    Array(Vec<usize>),
    Slice,
}

/// What is known of an integer, so that it can index without a remainder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Unknown,
    Below(usize),
    /// Below the length of the slice.
    Length,
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: Name,
    pub kind: Kind,
    pub mutable: bool,
    /// A float whose type the compiler does not know yet: no method can be called on it.
    pub vague: bool,
}

#[derive(Debug, Default)]
pub struct Scope {
    variables: Vec<Variable>,
    /// How many variables, from the first, are read-only for now.
    frozen: usize,
}

impl Scope {
    pub fn declare(&mut self, name: &str, kind: Kind, mutable: bool, vague: bool) {
        self.variables.push(Variable {
            name: name.to_owned(),
            kind,
            mutable,
            vague,
        });
    }

    pub fn len(&self) -> usize {
        self.variables.len()
    }

    pub fn leave(&mut self, len: usize) {
        self.variables.truncate(len);
    }

    /// Makes all that is declared so far read-only; the answer undoes it.
    pub fn freeze(&mut self) -> usize {
        std::mem::replace(&mut self.frozen, self.variables.len())
    }

    pub fn thaw(&mut self, frozen: usize) {
        self.frozen = frozen;
    }

    pub fn sees(&self, name: &str) -> bool {
        self.variables.iter().any(|v| v.name == name)
    }

    fn visible(&self) -> impl Iterator<Item = (usize, &Variable)> {
        let later =
            |i: usize, v: &Variable| self.variables[i + 1..].iter().any(|w| w.name == v.name);
        self.variables
            .iter()
            .enumerate()
            .filter(move |(i, v)| !later(*i, v))
    }

    pub fn readable(&self, kind: impl Fn(&Kind) -> bool) -> Vec<Variable> {
        self.visible()
            .filter(|(_, v)| kind(&v.kind))
            .map(|(_, v)| v.clone())
            .collect()
    }

    pub fn writable(&self, kind: impl Fn(&Kind) -> bool) -> Vec<Variable> {
        let open = |i: usize, v: &Variable| v.mutable && i >= self.frozen && kind(&v.kind);
        self.visible()
            .filter(|(i, v)| open(*i, v))
            .map(|(_, v)| v.clone())
            .collect()
    }
}
