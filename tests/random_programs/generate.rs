//! Makes random programs, statement by statement.
//!
//! In: a seed, an index, a set of features. Out: a program with its inputs; the same for the same arguments. Must hold:
//! it compiles, stops, stays within the bounds of its arrays, and its integers do not overflow. That values stay small
//! is only likely: what is overwritten in a loop is mostly squashed.

use super::ast::*;
use super::features::{Feature, Features};
use super::random::Random;
use super::scope::{Bound, Kind, Scope};

mod control;
mod declarations;
mod expressions;
mod integers;
mod overwrites;

/// Names that people use, among them those that generated code is tempted to use.
const NAMES: [&str; 22] = [
    "u", "v", "w", "z", "t", "acc", "total", "dx", "dy", "out", "tmp", "g", "r", "value",
    "upstream", "saved", "tape", "adj", "grad", "result", "b", "d",
];

/// Whether the generator may have made up this word as the name of a variable.
pub fn is_variable(word: &str) -> bool {
    let base = word.trim_end_matches(char::is_numeric);
    word != "i32"
        && (NAMES.contains(&base)
            || ["part", "seed", "count", "temp", "i", "j", "k"].contains(&base))
}

pub fn program(seed: u64, index: u64, features: Features) -> Program {
    let mut random = Random::new(seed, index);
    let fuel = random.between(4, 20);
    let mut g = Generator {
        random,
        features,
        fuel,
        ..Generator::default()
    };
    let mutable = [(); 3].map(|()| g.may(Feature::mut_param, 40));
    for (name, mutable) in ["x", "y"].iter().zip(mutable) {
        g.scope.declare(name, Kind::Real, mutable, false);
    }
    g.scope.declare(
        "a",
        Kind::Array(vec![4]),
        mutable[2] && g.features.has(Feature::array_write),
        false,
    );
    g.scope.declare("s", Kind::Slice, false, false);
    g.scope.declare("n", Kind::Parameter, false, false);
    let stmts = g.stmts(usize::MAX);
    let value = Some(Box::new(g.summary()));
    let inputs = (0..3).map(|i| g.input(i)).collect();
    Program {
        mutable,
        body: Body { stmts, value },
        inputs,
    }
}

/// Where a `break` or `continue` can go.
#[derive(Clone)]
struct Target {
    label: Option<Name>,
    /// Not a labelled block.
    is_loop: bool,
    wants_value: bool,
}

struct Generator {
    random: Random,
    features: Features,
    scope: Scope,
    targets: Vec<Target>,
    /// How many statements may still be made.
    fuel: usize,
    /// How many blocks surround this point.
    depth: usize,
    /// No blocks inside of expressions.
    plain: bool,
    /// The next expression is a whole right-hand side, not an operand.
    whole: bool,
    /// How many targets, from the first, are out of reach: they are outside of the expression of which this is a part.
    unreachable: usize,
    /// Whether `return` would leave an expression.
    inside: bool,
    count: usize,
}

impl Default for Generator {
    fn default() -> Generator {
        Generator {
            random: Random::new(0, 0),
            features: Features::parse("all").expect("a list of features"),
            scope: Scope::default(),
            targets: Vec::new(),
            fuel: 0,
            depth: 0,
            plain: false,
            whole: false,
            unreachable: 0,
            inside: false,
            count: 0,
        }
    }
}

type Maker = fn(&mut Generator) -> Option<Vec<Stmt>>;

/// Weight, feature, statement.
#[rustfmt::skip]
const STATEMENTS: &[(usize, Option<Feature>, Maker)] = &[
    (16, None, Generator::new_real),
    (6, Some(Feature::array), Generator::new_array),
    (3, Some(Feature::array_copy), Generator::new_copy),
    (3, Some(Feature::int_state), Generator::new_int),
    (2, Some(Feature::int_state), Generator::new_state),
    (2, Some(Feature::bool_var), Generator::new_bool),
    (4, Some(Feature::tuple), Generator::new_tuple),
    (2, Some(Feature::array_copy), Generator::new_parts),
    (3, Some(Feature::late_init), Generator::new_late),
    (12, Some(Feature::assign), Generator::overwrite),
    (14, Some(Feature::compound), Generator::compound),
    (4, Some(Feature::tuple_assign), Generator::overwrite_several),
    (2, Some(Feature::array_copy), Generator::overwrite_array),
    (4, Some(Feature::int_state), Generator::overwrite_int),
    (4, Some(Feature::swap), Generator::swap),
    (9, Some(Feature::if_stmt), Generator::if_stmt),
    (5, Some(Feature::match_stmt), Generator::match_stmt),
    (11, Some(Feature::for_loop), Generator::for_loop),
    (5, Some(Feature::while_loop), Generator::while_loop),
    (4, Some(Feature::loop_loop), Generator::loop_loop),
    (3, Some(Feature::block), Generator::block_stmt),
    (2, Some(Feature::labelled_block), Generator::labelled_block),
    (5, Some(Feature::leave), Generator::leave),
    (4, Some(Feature::skip), Generator::skip),
    (2, Some(Feature::early_return), Generator::early_return),
];

impl Generator {
    fn may(&mut self, feature: Feature, chance: usize) -> bool {
        self.features.has(feature) && self.random.percent(chance)
    }

    fn in_loop(&self) -> bool {
        self.targets.iter().any(|t| t.is_loop)
    }

    fn input(&mut self, index: usize) -> Input {
        let r = &mut self.random;
        // One point in a few is made of halves, where conditions, `max` and `abs` meet their kinks.
        let halves = r.percent(15);
        let mut float = |low, high| match r.float(low, high) {
            v if halves => (v * 2.0).round() * 0.5,
            v => (v * 1e4).round() / 1e4,
        };
        let (x, y) = (float(-2.0, 2.0), float(-2.0, 2.0));
        let a = [(); 4].map(|()| float(-1.5, 1.5));
        let s = (0..1 + (index * 3 + 1) % 7)
            .map(|_| float(-1.5, 1.5))
            .collect();
        Input {
            x,
            y,
            a,
            s,
            n: self.random.below(7),
        }
    }

    /// A name for a new variable, possibly one that is in use.
    fn name(&mut self) -> Name {
        let name = self.random.pick(&NAMES);
        if self.may(Feature::shadow, 12) {
            self.pick_shadowed(name)
        } else {
            self.fresh(name)
        }
    }

    fn pick_shadowed(&mut self, otherwise: &str) -> Name {
        let all = self.scope.readable(|kind| *kind != Kind::Slice);
        if all.is_empty() {
            self.fresh(otherwise)
        } else {
            self.random.pick(&all).name
        }
    }

    /// A name that is not in use.
    fn fresh(&mut self, name: &str) -> Name {
        let mut fresh = name.to_owned();
        while self.scope.sees(&fresh) {
            self.count += 1;
            fresh = format!("{name}{}", self.count);
        }
        fresh
    }

    /// A name that no other variable or label has.
    fn unique(&mut self, name: &str) -> Name {
        self.count += 1;
        format!("{name}{}", self.count)
    }

    /// Some statements, fewer if the fuel runs out.
    fn stmts(&mut self, count: usize) -> Vec<Stmt> {
        let mut out = Vec::new();
        for _ in 0..count {
            if self.fuel == 0 {
                break;
            }
            self.fuel -= 1;
            out.extend(self.stmt());
        }
        out
    }

    fn stmt(&mut self) -> Vec<Stmt> {
        let features = self.features;
        let on = |f: &Option<Feature>| f.is_none_or(|f| features.has(f));
        let kinds: Vec<(usize, Maker)> = STATEMENTS
            .iter()
            .filter(|(_, f, _)| on(f))
            .map(|(w, _, make)| (*w, *make))
            .collect();
        for _ in 0..8 {
            let make = self.random.weighted(&kinds);
            if let Some(stmts) = make(self) {
                return stmts;
            }
        }
        self.new_real().unwrap_or_default()
    }

    /// Statements of a block of their own.
    fn inner(&mut self, most: usize) -> Vec<Stmt> {
        let (len, count) = (self.scope.len(), self.random.between(1, most));
        self.depth += 1;
        let mut stmts = self.stmts(count);
        if stmts.is_empty() {
            stmts = self
                .compound()
                .filter(|_| self.features.has(Feature::compound))
                .or_else(|| self.new_real())
                .unwrap_or_default();
        }
        self.depth -= 1;
        self.scope.leave(len);
        stmts
    }

    /// A block with a value.
    fn valued(&mut self, most: usize, depth: usize) -> Body {
        let (len, count) = (self.scope.len(), self.random.between(0, most));
        self.depth += 1;
        let stmts = self.stmts(count);
        let value = Some(Box::new(self.real(depth)));
        self.depth -= 1;
        self.scope.leave(len);
        Body { stmts, value }
    }

    /// Runs `make` with all variables read-only, as inside of an operand.
    fn frozen<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        let frozen = self.scope.freeze();
        let out = make(self);
        self.scope.thaw(frozen);
        out
    }

    /// The right-hand side of a `let` or `=`: only there may blocks inside of the expression assign.
    fn right_hand_side(&mut self) -> Real {
        let depth = self.random.between(1, 3);
        let (in_loop, effects) = (self.in_loop(), self.may(Feature::effects, 25));
        let squash = self.random.percent(if in_loop { 75 } else { 40 });
        self.whole = !squash;
        let e = if effects {
            self.real(depth)
        } else {
            self.frozen(|g| g.real(depth))
        };
        if squash { self.squash(e) } else { e }
    }
}
