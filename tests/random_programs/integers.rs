//! Random integers, indices and conditions over what is in scope.
//!
//! In: how deep to go, or a bound. Out: a tree of `ast`. Must hold: integers stay small, an index is below its bound,
//! and a condition changes nothing.

use super::expressions::bin;
use super::*;

pub fn is_int(kind: &Kind) -> bool {
    matches!(kind, Kind::Int(_) | Kind::Parameter)
}

pub fn int_bin(op: &'static str, a: Int, b: i32) -> Int {
    Int::Bin(op, Box::new(a), Box::new(Int::Lit(b)))
}

impl Generator {
    /// A small integer that is not negative.
    pub fn int(&mut self, depth: usize) -> Int {
        let ints = self.scope.readable(is_int);
        let states = self.scope.readable(|kind| *kind == Kind::State);
        let slices = self.scope.readable(|kind| *kind == Kind::Slice);
        let data = usize::from(self.features.has(Feature::data_index));
        let small = self.random.between(2, 7) as i32;
        match self.random.weighted(&[
            (10, 0),
            (30 * ints.len().min(1), 1),
            (5 * slices.len().min(1), 2),
            (12 * states.len().min(1), 3),
            (6 * data, 4),
            (20 * depth.min(1), 5),
            (10 * depth.min(1), 6),
        ]) {
            0 => Int::Lit(self.random.below(5) as i32),
            1 => Int::Var(self.random.pick(&ints).name),
            2 => Int::Len(self.random.pick(&slices).name),
            3 => int_bin("%", Int::State(self.random.pick(&states).name), small),
            4 => {
                let e = self.plainly(|g| g.real(1));
                int_bin("%", Int::Cast(Box::new(bin("*", e, Real::Lit(3.0)))), small)
            }
            5 => Int::Bin(
                "+",
                Box::new(self.int(depth - 1)),
                Box::new(self.int(depth - 1)),
            ),
            _ => int_bin("%", int_bin("*", self.int(depth - 1), 3), small),
        }
    }

    /// An expression without blocks.
    pub fn plainly<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        let plain = std::mem::replace(&mut self.plain, true);
        let out = make(self);
        self.plain = plain;
        out
    }

    /// An index below a bound.
    pub fn index(&mut self, below: Bound) -> Int {
        let fits = |kind: &Kind| match (kind, below) {
            (Kind::Int(Bound::Below(k)), Bound::Below(n)) => *k <= n,
            (Kind::Int(Bound::Length), Bound::Length) => true,
            _ => false,
        };
        let counters = self.scope.readable(fits);
        if !counters.is_empty() && self.random.percent(70) {
            let counter = self.random.pick(&counters);
            let i = Int::Var(counter.name);
            return match (counter.kind, below) {
                (_, Bound::Below(n)) if self.random.percent(15) => {
                    Int::Bin("-", Box::new(Int::Lit(n as i32 - 1)), Box::new(i))
                }
                (Kind::Int(Bound::Below(k)), Bound::Below(n))
                    if k < n && self.random.percent(50) =>
                {
                    int_bin("+", i, self.random.between(1, n - k) as i32)
                }
                _ => i,
            };
        }
        let ints = self.scope.readable(is_int);
        let data = self.may(Feature::data_index, 50);
        let i = match below {
            Bound::Below(n) if ints.is_empty() || self.random.percent(45) => {
                return Int::Lit(self.random.below(n) as i32);
            }
            _ if data => self.plainly(|g| g.int(1)),
            _ if ints.is_empty() => Int::Lit(self.random.below(4) as i32),
            _ => Int::Bin(
                "+",
                Box::new(Int::Var(self.random.pick(&ints).name)),
                Box::new(Int::Lit(1)),
            ),
        };
        match below {
            Bound::Below(n) => int_bin("%", i, n as i32),
            _ => Int::Bin("%", Box::new(i), Box::new(Int::Len("s".to_owned()))),
        }
    }

    /// A condition; nothing is assigned and no block stands in it.
    pub fn cond(&mut self, depth: usize) -> Cond {
        self.plainly(|g| g.frozen(|g| g.condition(depth)))
    }

    fn condition(&mut self, depth: usize) -> Cond {
        let bools = self.scope.readable(|kind| *kind == Kind::Bool);
        match self.random.weighted(&[
            (50, 0),
            (28, 1),
            (12 * bools.len().min(1), 2),
            (14 * depth, 3),
            (4 * depth, 4),
        ]) {
            0 => {
                let op = self.random.pick(&["<", ">", "<=", ">="]);
                let (a, b) = (self.real(1), self.real(0));
                Cond::Reals(op, Box::new(a), Box::new(b))
            }
            1 => {
                let op = self.random.pick(&["<", ">", "<=", ">=", "==", "!="]);
                Cond::Ints(op, self.int(1), Int::Lit(self.random.below(4) as i32))
            }
            2 => Cond::Var(self.random.pick(&bools).name),
            3 => {
                let op = self.random.pick(&["&&", "||"]);
                Cond::Both(
                    op,
                    Box::new(self.condition(depth - 1)),
                    Box::new(self.condition(depth - 1)),
                )
            }
            _ => Cond::Not(Box::new(self.condition(depth - 1))),
        }
    }
}
