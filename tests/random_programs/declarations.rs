//! Random statements that declare variables.
//!
//! In: what is in scope. Out: a statement, with its variables added to the scope. Must hold: a name declared again is
//! not needed any more by what follows in the same statement.

use super::*;

impl Generator {
    pub fn declare_real(&mut self, name: &str, mutable: bool, vague: bool) {
        self.scope.declare(name, Kind::Real, mutable, vague);
    }

    pub fn new_real(&mut self) -> Option<Vec<Stmt>> {
        let mutable = self.may(Feature::assign, 60);
        let start = self.random.pick(&[0.0, 0.0, 1.0, 0.5]);
        let value = if mutable && self.random.percent(25) {
            Real::Lit(start)
        } else {
            self.right_hand_side()
        };
        let vague = self.is_vague(&value);
        let ty = self
            .random
            .percent(if vague { 40 } else { 10 })
            .then_some("f64");
        let name = self.name();
        self.declare_real(&name, mutable, vague && ty.is_none());
        Some(vec![Stmt::Let {
            name,
            mutable,
            ty,
            value: Value::Real(value),
        }])
    }

    pub fn new_array(&mut self) -> Option<Vec<Stmt>> {
        let mutable = self.features.has(Feature::array_write) && self.random.percent(80);
        let (rows, columns) = (self.random.between(2, 3), self.random.between(2, 5));
        let row =
            |g: &mut Self| -> Vec<Real> { (0..columns).map(|_| g.frozen(|g| g.real(1))).collect() };
        let two = self.may(Feature::array2, 35);
        let (value, dims) = match (two, self.random.percent(50)) {
            (false, true) => (Value::List(row(self)), vec![columns]),
            (true, true) => (
                Value::Lists((0..rows).map(|_| row(self)).collect()),
                vec![rows, columns],
            ),
            (two, false) => {
                let dims = if two {
                    vec![rows, columns]
                } else {
                    vec![columns]
                };
                let zero = self.random.percent(60);
                let fill = if zero {
                    Real::Lit(0.0)
                } else {
                    self.frozen(|g| g.real(1))
                };
                (Value::Fill(fill, dims.clone()), dims)
            }
        };
        let vague = match &value {
            Value::Fill(e, _) => self.is_vague(e),
            Value::List(row) => row.iter().all(|e| self.is_vague(e)),
            Value::Lists(rows) => rows.iter().flatten().all(|e| self.is_vague(e)),
            _ => false,
        };
        let name = self.name();
        self.scope.declare(&name, Kind::Array(dims), mutable, vague);
        Some(vec![Stmt::Let {
            name,
            mutable,
            ty: None,
            value,
        }])
    }

    /// A copy of an array, of a row, or of one of two arrays.
    pub fn new_copy(&mut self) -> Option<Vec<Stmt>> {
        let (from, row, dims) = self.array_or_row()?;
        let twins = self
            .scope
            .readable(|kind| *kind == Kind::Array(dims.clone()));
        let (value, vague) = if row.is_empty() && twins.len() > 1 && self.random.percent(40) {
            let (other, test) = (self.random.pick(&twins), self.cond(1));
            (
                Value::Choose(test, from.name.clone(), other.name),
                from.vague && other.vague,
            )
        } else {
            (Value::Copy(from.name.clone(), row), from.vague)
        };
        let mutable = self.features.has(Feature::array_write) && self.random.percent(80);
        let name = self.name();
        self.scope.declare(&name, Kind::Array(dims), mutable, vague);
        Some(vec![Stmt::Let {
            name,
            mutable,
            ty: None,
            value,
        }])
    }

    pub fn new_int(&mut self) -> Option<Vec<Stmt>> {
        let mutable = self.random.percent(70);
        let value = Value::Int(self.int(1));
        let (name, ty) = (self.name(), self.random.percent(25).then_some("usize"));
        self.scope
            .declare(&name, Kind::Int(Bound::Unknown), mutable, false);
        Some(vec![Stmt::Let {
            name,
            mutable,
            ty,
            value,
        }])
    }

    pub fn new_state(&mut self) -> Option<Vec<Stmt>> {
        let (name, seed) = (self.fresh("seed"), self.random.below(1 << 30) as u32);
        self.scope.declare(&name, Kind::State, true, false);
        Some(vec![Stmt::Let {
            name,
            mutable: true,
            ty: None,
            value: Value::State(seed),
        }])
    }

    pub fn new_bool(&mut self) -> Option<Vec<Stmt>> {
        let value = Value::Bool(self.cond(2));
        let name = self.name();
        self.scope.declare(&name, Kind::Bool, false, false);
        Some(vec![Stmt::Let {
            name,
            mutable: false,
            ty: None,
            value,
        }])
    }

    pub fn new_tuple(&mut self) -> Option<Vec<Stmt>> {
        let count = self.random.between(2, 3);
        let values: Vec<Real> = (0..count).map(|_| self.frozen(|g| g.real(2))).collect();
        let vague: Vec<bool> = values.iter().map(|e| self.is_vague(e)).collect();
        let mut names = Vec::new();
        while names.len() < count {
            let name = self.name();
            if names.iter().all(|(n, _)| *n != name) {
                names.push((name, self.may(Feature::assign, 50)));
            }
        }
        for ((name, mutable), vague) in names.iter().zip(vague) {
            self.declare_real(name, *mutable, vague);
        }
        Some(vec![Stmt::LetTuple(names, values)])
    }

    pub fn new_parts(&mut self) -> Option<Vec<Stmt>> {
        let arrays = self
            .scope
            .readable(|kind| matches!(kind, Kind::Array(dims) if dims.len() == 1));
        let array = (!arrays.is_empty()).then(|| self.random.pick(&arrays))?;
        let Kind::Array(dims) = array.kind else {
            return None;
        };
        let names: Vec<Name> = (0..dims[0]).map(|_| self.unique("part")).collect();
        for name in &names {
            self.declare_real(name, false, array.vague);
        }
        Some(vec![Stmt::LetParts(names, array.name)])
    }

    pub fn new_late(&mut self) -> Option<Vec<Stmt>> {
        let base = self.random.pick(&NAMES);
        let (name, cond) = (self.unique(base), self.cond(1));
        let (then, other) = (self.valued(2, 2), Some(self.valued(2, 2)));
        self.declare_real(&name, false, false);
        Some(vec![Stmt::Late(name, Box::new(If { cond, then, other }))])
    }
}
