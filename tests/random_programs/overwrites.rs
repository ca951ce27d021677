//! Random statements that overwrite variables.
//!
//! In: what can be written. Out: statements, or none where nothing fits. Must hold: only mutable variables are
//! assigned, and what is overwritten in loops mostly stays small.

use super::*;
use crate::scope::Variable;

impl Generator {
    /// A variable or an element that can be overwritten.
    fn target(&mut self) -> Option<Real> {
        let write = self.features.has(Feature::array_write);
        let all = self
            .scope
            .writable(|kind| matches!(kind, Kind::Real) || write && matches!(kind, Kind::Array(_)));
        let one = (!all.is_empty()).then(|| self.random.pick(&all))?;
        Some(match one.kind {
            Kind::Real => Real::Var(one.name),
            _ => self.place(&one),
        })
    }

    pub fn overwrite(&mut self) -> Option<Vec<Stmt>> {
        let place = self.target()?;
        let value = self.right_hand_side();
        Some(vec![Stmt::Assign(place, "=", value)])
    }

    pub fn compound(&mut self) -> Option<Vec<Stmt>> {
        let place = self.target()?;
        let (depth, in_loop) = (self.random.between(1, 2), self.in_loop());
        let e = self.frozen(|g| g.real(depth));
        let division = 8 * usize::from(self.features.has(Feature::division));
        let remainder = 3 * usize::from(self.features.has(Feature::remainder));
        let op = self.random.weighted(&[
            (50, "+="),
            (20, "-="),
            (20, "*="),
            (division, "/="),
            (remainder, "%="),
        ]);
        let value = match op {
            // Whatever it is, the square plus something is far from zero.
            "/=" | "%=" => {
                let square = Real::Bin("*", Box::new(e.clone()), Box::new(e));
                Real::Bin("+", Box::new(square), Box::new(Real::Lit(0.9)))
            }
            "*=" if in_loop => self.squash(e),
            _ if in_loop && self.random.percent(50) => self.squash(e),
            _ => e,
        };
        Some(vec![Stmt::Assign(place, op, value)])
    }

    pub fn overwrite_several(&mut self) -> Option<Vec<Stmt>> {
        let places = vec![self.target()?, self.target()?];
        let value = |g: &mut Self| match g.frozen(|g| g.real(2)) {
            e if g.random.percent(40) => g.squash(e),
            e => e,
        };
        let values = vec![value(self), value(self)];
        Some(vec![Stmt::AssignTuple(places, values)])
    }

    /// An array, or a row of one, with the dimensions of what was picked.
    pub fn array_or_row(&mut self) -> Option<(Variable, Vec<Int>, Vec<usize>)> {
        let arrays = self.scope.readable(|kind| matches!(kind, Kind::Array(_)));
        let array = (!arrays.is_empty()).then(|| self.random.pick(&arrays))?;
        self.row_of(array)
    }

    fn row_of(&mut self, array: Variable) -> Option<(Variable, Vec<Int>, Vec<usize>)> {
        let Kind::Array(mut dims) = array.kind.clone() else {
            return None;
        };
        let mut row = Vec::new();
        if dims.len() == 2 && self.random.percent(60) {
            row.push(self.index(Bound::Below(dims.remove(0))));
        }
        Some((array, row, dims))
    }

    fn writable_array(&mut self) -> Option<Variable> {
        let all = self.scope.writable(|kind| matches!(kind, Kind::Array(_)));
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    pub fn overwrite_array(&mut self) -> Option<Vec<Stmt>> {
        let array = self.writable_array()?;
        let (array, row, dims) = self.row_of(array)?;
        let values = self
            .scope
            .readable(|kind| *kind == Kind::Array(dims.clone()));
        let value = (!values.is_empty()).then(|| self.random.pick(&values))?;
        (value.name != array.name).then(|| vec![Stmt::AssignArray(array.name, row, value.name)])
    }

    pub fn overwrite_int(&mut self) -> Option<Vec<Stmt>> {
        let states = self.scope.writable(|kind| *kind == Kind::State);
        if !states.is_empty() && self.random.percent(50) {
            return Some(vec![Stmt::Step(self.random.pick(&states).name)]);
        }
        let ints = self.scope.writable(|kind| matches!(kind, Kind::Int(_)));
        let name = (!ints.is_empty()).then(|| self.random.pick(&ints))?.name;
        let most = Int::Lit(self.random.between(2, 9) as i32);
        let small = Int::Bin("%", Box::new(self.int(1)), Box::new(most));
        let one = Int::Lit(self.random.between(1, 2) as i32);
        let (op, value) = self
            .random
            .pick(&[("+=", one), ("+=", small.clone()), ("=", small)]);
        Some(vec![Stmt::AssignInt(name, op, value)])
    }

    pub fn swap(&mut self) -> Option<Vec<Stmt>> {
        let array = self.writable_array()?;
        if self.features.has(Feature::array_write) && self.random.percent(40) {
            let (i, j, name) = (self.place(&array), self.place(&array), self.fresh("temp"));
            let value = Value::Real(i.clone());
            let stmts = vec![
                Stmt::Let {
                    name: name.clone(),
                    mutable: false,
                    ty: None,
                    value,
                },
                Stmt::Assign(i, "=", j.clone()),
                Stmt::Assign(j, "=", Real::Var(name)),
            ];
            // Its own block, so that the name is free again.
            return Some(vec![Stmt::Block(None, stmts)]);
        }
        let (array, row, dims) = self.row_of(array)?;
        let (i, j) = (
            self.free_index(&array, dims[0]),
            self.free_index(&array, dims[0]),
        );
        Some(vec![Stmt::Swap(array.name, row, i, j)])
    }

    /// An index that does not read the array: the call has it borrowed already.
    fn free_index(&mut self, array: &Variable, below: usize) -> Int {
        fn reads(e: &Int, name: &str) -> bool {
            match e {
                Int::Cast(_) => true,
                Int::Bin(_, a, b) => reads(a, name) || reads(b, name),
                Int::Var(n) | Int::State(n) | Int::Len(n) => n == name,
                Int::Lit(_) => false,
            }
        }
        match self.index(Bound::Below(below)) {
            i if reads(&i, &array.name) => Int::Lit(self.random.below(below) as i32),
            i => i,
        }
    }
}
