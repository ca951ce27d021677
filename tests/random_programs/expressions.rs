//! Random expressions of type `f64` over what is in scope.
//!
//! In: how deep to go. Out: a tree of `ast`. Must hold: arguments stay inside of the domains of functions, and a
//! method's receiver has a known type.

use super::integers::{int_bin, is_int};
use super::*;
use crate::scope::Variable;

/// A way to bring any number into a domain.
#[derive(Clone, Copy)]
enum Domain {
    All,
    Small,
    Unit,
    Positive,
    AboveOne,
}

#[rustfmt::skip]
const FUNCTIONS: &[(&str, Domain)] = &[
    ("sin", Domain::All), ("cos", Domain::All), ("tanh", Domain::All), ("atan", Domain::All), ("asinh", Domain::All),
    ("exp", Domain::Small), ("exp2", Domain::Small), ("exp_m1", Domain::Small), ("sinh", Domain::Small),
    ("cosh", Domain::Small), ("tan", Domain::Unit), ("asin", Domain::Unit), ("acos", Domain::Unit),
    ("atanh", Domain::Unit), ("ln_1p", Domain::Unit), ("ln", Domain::Positive), ("sqrt", Domain::Positive),
    ("cbrt", Domain::Positive), ("log2", Domain::Positive), ("log10", Domain::Positive), ("recip", Domain::Positive),
    ("acosh", Domain::AboveOne), ("sin", Domain::All), ("exp", Domain::Small), ("sqrt", Domain::Positive),
    ("to_radians", Domain::All), ("to_degrees", Domain::Small),
];

fn call(e: Real, method: &'static str, args: Vec<Real>) -> Real {
    Real::Call(Box::new(e), method, args)
}

pub fn bin(op: &'static str, a: Real, b: Real) -> Real {
    Real::Bin(op, Box::new(a), Box::new(b))
}

impl Generator {
    pub fn literal(&mut self) -> Real {
        Real::Lit(self.random.between(1, 250) as f64 / 100.0)
    }

    pub fn is_vague(&self, e: &Real) -> bool {
        match e {
            Real::Lit(_) => true,
            Real::Var(name) | Real::At(name, _) => {
                let found = self
                    .scope
                    .readable(|_| true)
                    .into_iter()
                    .find(|v| v.name == *name);
                found.is_none_or(|v| v.vague)
            }
            Real::Neg(a) => self.is_vague(a),
            Real::Bin(_, a, b) => self.is_vague(a) && self.is_vague(b),
            Real::Cast(_) | Real::Call(..) | Real::Powi(..) => false,
            // What their own variables were is forgotten by now.
            Real::If(_) | Real::Match(_) | Real::Block(..) | Real::Loop(_) => true,
        }
    }

    /// An expression on which a method can be called: this one if its type is known.
    fn receiver(&mut self, e: Real) -> Real {
        if matches!(e, Real::Lit(_)) {
            return e;
        }
        self.known(e)
    }

    /// An expression whose type is known, this one if it can be.
    fn known(&mut self, e: Real) -> Real {
        if !self.is_vague(&e) {
            return e;
        }
        let mut known = self.scope.readable(|kind| *kind == Kind::Real);
        known.retain(|v| !v.vague);
        if known.is_empty() {
            // Inside of most domains, and `print` gives it a suffix.
            return Real::Lit(0.5);
        }
        bin("+", Real::Var(self.random.pick(&known).name), e)
    }

    /// `e`, or something shorter in its place, since it is about to be written several times.
    fn short(&mut self, e: Real) -> Real {
        let flat = |e: &Real| match e {
            Real::Lit(_) | Real::Var(_) | Real::Cast(_) => true,
            Real::At(_, indices) => indices
                .iter()
                .all(|i| matches!(i, Int::Lit(_) | Int::Var(_))),
            _ => false,
        };
        match &e {
            Real::Bin(_, a, b) if flat(a) && flat(b) => e,
            _ if flat(&e) => e,
            _ => self.leaf(),
        }
    }

    /// Something small made of `e`.
    pub fn squash(&mut self, e: Real) -> Real {
        let (math, division) = (
            self.features.has(Feature::math),
            self.features.has(Feature::division),
        );
        match self.random.below(6) {
            0 | 1 if math => call(self.receiver(e), "tanh", vec![]),
            2 | 3 if math => call(self.receiver(e), "sin", vec![]),
            4 if division => {
                let e = self.short(e);
                bin(
                    "/",
                    e.clone(),
                    bin("+", bin("*", e.clone(), e), Real::Lit(1.0)),
                )
            }
            _ => bin("*", e, Real::Lit(0.25)),
        }
    }

    pub fn place(&mut self, array: &Variable) -> Real {
        let Kind::Array(dims) = &array.kind else {
            unreachable!("places are in arrays")
        };
        let indices = dims.iter().map(|&n| self.index(Bound::Below(n))).collect();
        Real::At(array.name.clone(), indices)
    }

    fn leaf(&mut self) -> Real {
        let reals = self.scope.readable(|kind| *kind == Kind::Real);
        let arrays = self
            .scope
            .readable(|kind| matches!(kind, Kind::Array(_) | Kind::Slice));
        let ints = self.scope.readable(is_int);
        let cast = usize::from(self.features.has(Feature::cast) && !ints.is_empty());
        let recent = reals.len().saturating_sub(3);
        match self.random.weighted(&[
            (30 * reals.len().min(1), 0),
            (25 * reals.len().min(1), 1),
            (22 * arrays.len().min(1), 2),
            (10 * cast, 3),
            (14, 4),
        ]) {
            0 => Real::Var(self.random.pick(&reals).name),
            1 => Real::Var(self.random.pick(&reals[recent..]).name),
            2 => match self.random.pick(&arrays) {
                Variable {
                    name,
                    kind: Kind::Slice,
                    ..
                } => Real::At(name, vec![self.index(Bound::Length)]),
                array => self.place(&array),
            },
            3 => Real::Cast(Box::new(Int::Var(self.random.pick(&ints).name))),
            _ => self.literal(),
        }
    }

    pub fn real(&mut self, depth: usize) -> Real {
        let whole = std::mem::take(&mut self.whole);
        if whole || self.features.has(Feature::operand_jump) {
            return self.value(depth);
        }
        let reach = (self.unreachable, self.inside);
        (self.unreachable, self.inside) = (self.targets.len(), true);
        let e = self.value(depth);
        (self.unreachable, self.inside) = reach;
        e
    }

    fn value(&mut self, depth: usize) -> Real {
        if depth == 0 || self.random.percent(12) {
            return self.leaf();
        }
        let blocks = !self.plain && self.depth < 4 && self.fuel > 0;
        let on = |g: &Self, feature, weight| if g.features.has(feature) { weight } else { 0 };
        let block = |g: &Self, feature, weight| if blocks { on(g, feature, weight) } else { 0 };
        let kinds = [
            (28, 0),
            (14, 1),
            (26, 2),
            (on(self, Feature::division, 8), 3),
            (on(self, Feature::remainder, 2), 4),
            (4, 5),
            (on(self, Feature::math, 20), 6),
            (on(self, Feature::min_max, 8), 7),
            (on(self, Feature::steps, 2), 8),
            (block(self, Feature::if_expr, 6), 9),
            (block(self, Feature::match_expr, 3), 10),
            (block(self, Feature::block, 2), 11),
            (block(self, Feature::labelled_block, 1), 12),
            (block(self, Feature::loop_expr, 2), 13),
        ];
        let kind = self.random.weighted(&kinds);
        let next = |g: &mut Self| g.real(depth - 1);
        match kind {
            0..3 => bin(["+", "-", "*"][kind], next(self), next(self)),
            3 => {
                let (a, b) = (next(self), next(self));
                bin("/", a, self.within(b, Domain::Positive))
            }
            4 => self.remainder(depth),
            5 => Real::Neg(Box::new(next(self))),
            6 => self.function(depth),
            7 => self.extreme(depth),
            8 => {
                let a = next(self);
                let method = self
                    .random
                    .pick(&["floor", "ceil", "round", "trunc", "fract", "signum"]);
                call(self.receiver(a), method, vec![])
            }
            9 => Real::If(Box::new(If {
                cond: self.cond(1),
                then: self.valued(2, depth - 1),
                other: Some(self.valued(2, depth - 1)),
            })),
            10 => Real::Match(Box::new(self.table(&mut |g| g.valued(1, depth - 1)))),
            11 => Real::Block(None, self.valued(3, depth - 1)),
            12 => self.block_with_label(depth),
            _ => self.loop_expr(),
        }
    }

    fn within(&mut self, e: Real, domain: Domain) -> Real {
        // Later, a term for the type would leave the domain again.
        let e = self.known(e);
        let math = self.features.has(Feature::math) && self.random.percent(50);
        let min_max = self.features.has(Feature::min_max) && self.random.percent(40);
        let plus = |e, v| bin("+", e, Real::Lit(v));
        match domain {
            Domain::All => e,
            Domain::Small if math => call(e, "sin", vec![]),
            Domain::Unit if math => bin("*", call(e, "sin", vec![]), Real::Lit(0.8)),
            Domain::Positive if math => plus(call(e, "cos", vec![]), 1.5),
            Domain::Positive if min_max => plus(call(e, "abs", vec![]), 0.4),
            _ => {
                let e = self.short(e);
                let e = self.known(e);
                let square = bin("*", e.clone(), e.clone());
                match domain {
                    Domain::Small | Domain::Unit => bin("/", e, plus(square, 1.0)),
                    Domain::AboveOne => plus(square, 1.3),
                    _ => plus(square, 0.6),
                }
            }
        }
    }

    fn function(&mut self, depth: usize) -> Real {
        let a = self.real(depth - 1);
        match self.random.below(24) {
            0 => {
                let n = self.random.pick(&[2, 2, 2, 3, 1, 0, -1, -2]);
                let a = if n < 0 {
                    self.within(a, Domain::Positive)
                } else {
                    a
                };
                Real::Powi(Box::new(self.receiver(a)), Box::new(Int::Lit(n)))
            }
            1 => {
                let n = int_bin("%", self.int(0), 4);
                Real::Powi(Box::new(self.receiver(a)), Box::new(n))
            }
            2 => {
                let (a, b) = (self.within(a, Domain::Positive), self.real(depth - 1));
                let b = if self.random.percent(50) {
                    self.within(b, Domain::Small)
                } else {
                    self.literal()
                };
                call(self.receiver(a), "powf", vec![b])
            }
            3 => {
                let (b, c) = (self.real(depth - 1), self.real(0));
                call(self.receiver(a), "mul_add", vec![b, c])
            }
            4 => {
                let b = self.real(depth - 1);
                let b = self.within(b, Domain::Positive);
                let method = self.random.pick(&["atan2", "hypot"]);
                call(self.receiver(a), method, vec![b])
            }
            5 => {
                let (a, b) = (self.within(a, Domain::Positive), self.real(0));
                let b = self.within(b, Domain::AboveOne);
                call(self.receiver(a), "log", vec![b])
            }
            _ => {
                let (method, domain) = self.random.pick(FUNCTIONS);
                let a = self.within(a, domain);
                call(self.receiver(a), method, vec![])
            }
        }
    }

    fn extreme(&mut self, depth: usize) -> Real {
        let (a, b) = (self.real(depth - 1), self.real(depth - 1));
        let a = self.receiver(a);
        match self.random.below(8) {
            0 | 1 => call(a, "max", vec![b]),
            2 | 3 => call(a, "min", vec![b]),
            4 => call(a, "copysign", vec![b]),
            5 => call(
                a,
                "clamp",
                vec![Real::Neg(Box::new(self.literal())), self.literal()],
            ),
            _ => call(a, "abs", vec![]),
        }
    }

    fn remainder(&mut self, depth: usize) -> Real {
        let (a, b) = (self.real(depth - 1), self.real(0));
        let b = self.within(b, Domain::Positive);
        match self.random.below(3) {
            0 => call(self.receiver(a), "rem_euclid", vec![b]),
            _ => bin("%", a, b),
        }
    }

    /// The value of the whole function: something of every variable in scope.
    pub fn summary(&mut self) -> Real {
        let mut sum = Real::Var("x".to_owned());
        if self
            .scope
            .readable(|kind| *kind == Kind::Real)
            .iter()
            .all(|v| v.name != "x")
        {
            sum = self.literal();
        }
        for v in self.scope.readable(|kind| *kind == Kind::Real) {
            let weight = self.literal();
            sum = bin(
                self.random.pick(&["+", "-"]),
                sum,
                bin("*", weight, Real::Var(v.name)),
            );
        }
        for array in self.scope.readable(|kind| matches!(kind, Kind::Array(_))) {
            for _ in 0..2 {
                let (at, weight) = (self.place(&array), self.literal());
                sum = bin("+", sum, bin("*", at, weight));
            }
        }
        match self.random.below(4) {
            0 => self.squash(sum),
            1 => bin("*", sum.clone(), sum),
            _ => sum,
        }
    }
}
