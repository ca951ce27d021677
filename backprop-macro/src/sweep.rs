//! Tests that walk the table of rules, and random graphs, against an independent computation.
//!
//! The oracle is a central difference of sixth order, evaluated on the primal alone.

use crate::activity::Activity;
use crate::errors::Errors;
use crate::graph::{Graph, Id, Node, OpaqueForm, Output, Primal, RegionId, Stmt};
use crate::lower;
use crate::options::Options;
use crate::reverse::{Gradient, Mode, reverse};
use crate::rules::{Op, Syntax};
use crate::signature::Signature;
use crate::source::Source;
use std::collections::HashMap;

/// A straight-line function of scalars, lowered and differentiated.
struct Case {
    primal: Primal,
    gradient: Gradient,
}

impl Case {
    fn new(source: &str) -> Case {
        let function: syn::ItemFn = syn::parse_str(source).unwrap();
        let errors = Errors::default();
        let sig =
            Signature::read(&function, &Options::default(), &Source::default(), &errors).unwrap();
        let primal = lower::lower(&function, &sig, &errors, &Source::default());
        let primal = primal.unwrap_or_else(|| panic!("{source}: {:?}", errors.texts()));
        let activity = Activity::of(&primal, &sig, &errors);
        let gradient = reverse(&primal, &activity, &sig, Mode::Unit);
        Case { primal, gradient }
    }

    fn value(&self, at: &[f64]) -> f64 {
        let Output::Scalar(result) = self.primal.result else {
            panic!("a scalar result")
        };
        Machine::run(&self.primal.graph, self.primal.body, at).get(&self.primal.graph, result)
    }

    fn slopes(&self, at: &[f64]) -> Vec<f64> {
        let g = &self.gradient.graph;
        let machine = Machine::run(g, self.gradient.body, at);
        self.gradient
            .scalars
            .iter()
            .map(|s| machine.get(g, s.value))
            .collect()
    }

    /// Central difference of sixth order.
    fn difference(&self, at: &[f64], k: usize) -> f64 {
        let h = 1e-3;
        let f = |steps: f64| {
            let mut at = at.to_vec();
            at[k] += steps * h;
            self.value(&at)
        };
        (45.0 * (f(1.0) - f(-1.0)) - 9.0 * (f(2.0) - f(-2.0)) + (f(3.0) - f(-3.0))) / (60.0 * h)
    }

    fn check(&self, at: &[f64], what: &str) {
        for (k, got) in self.slopes(at).into_iter().enumerate() {
            let want = self.difference(at, k);
            let tolerance = 1e-7 * (1.0 + want.abs() + self.value(at).abs());
            assert!(
                (got - want).abs() <= tolerance,
                "{what}, operand {k} at {at:?}: got {got}, want {want}"
            );
        }
    }
}

/// Evaluates straight-line graphs; conditions are 0 and 1.
struct Machine(HashMap<Id, f64>);

impl Machine {
    fn run(g: &Graph, region: RegionId, at: &[f64]) -> Machine {
        let mut m = Machine(HashMap::new());
        for (k, node) in g.nodes.iter().enumerate() {
            if let Node::Param(p) = node.node {
                m.0.insert(Id(k as u32), at[p as usize]);
            }
        }
        for stmt in &g.region(region).stmts {
            let Stmt::Let(id) = stmt else {
                panic!("straight-line code")
            };
            let value = m.compute(g, *id);
            m.0.insert(*id, value);
        }
        m
    }

    fn get(&self, g: &Graph, id: Id) -> f64 {
        let id = g.resolve(id);
        match g.node(id) {
            Node::Lit(bits) => f64::from_bits(*bits),
            Node::Opaque(..) if !self.0.contains_key(&id) => match g.integer(id) {
                Some(n) => n as f64,
                None => f64::from(g.opaque_text(id).as_deref() == Some("true")),
            },
            _ => self.0[&id],
        }
    }

    fn compute(&self, g: &Graph, id: Id) -> f64 {
        let values: Vec<f64> = g.operands(id).into_iter().map(|o| self.get(g, o)).collect();
        match g.node(id) {
            Node::Apply(op, _) => op.eval(&values),
            Node::Cast(..) => values[0],
            Node::Opaque(k, _) => match (&g.opaque_of(*k).form, values.as_slice()) {
                (OpaqueForm::Binary(op), [a, b]) => match op.to_string().as_str() {
                    "<" => f64::from(a < b),
                    ">" => f64::from(a > b),
                    "==" => f64::from(a == b),
                    "!=" => f64::from(a != b),
                    "&&" => a * b,
                    other => panic!("operator {other}"),
                },
                (OpaqueForm::Unary(_), [a]) => 1.0 - a,
                (OpaqueForm::Method(m), [a, rest @ ..]) => match m.to_string().as_str() {
                    "is_nan" => f64::from(a.is_nan()),
                    "saturating_sub" => a - rest[0],
                    other => panic!("method {other}"),
                },
                (form, _) => panic!("{form:?}"),
            },
            node => panic!("{node:?}"),
        }
    }
}

/// The primitive as a function of floats; an integer exponent is a literal.
pub fn function(op: Op, at: &[f64]) -> Option<(String, Vec<f64>)> {
    let names = ["a", "b", "c"];
    let n = op.domain().len();
    let floats = match op {
        Op::Powi => 1,
        Op::Select | Op::FromInt => return None,
        _ => n,
    };
    let params: Vec<String> = names[..floats]
        .iter()
        .map(|p| format!("{p}: f64"))
        .collect();
    let body = match op.syntax() {
        Syntax::Prefix(p) => format!("{p}a"),
        Syntax::Infix(o) => format!("a {o} b"),
        Syntax::Method(m) => format!("a.{m}({})", names[1..n].join(", ")),
        Syntax::Form(m) => format!("a.{m}({})", at[1].round() as i32),
    };
    Some((
        format!("fn f({}) -> f64 {{ {body} }}", params.join(", ")),
        at[..floats].to_vec(),
    ))
}

pub fn sample(domain: &[[f64; 2]], step: usize) -> Vec<f64> {
    let part = |k: usize| (step as f64 * 0.117 + 0.31 * k as f64 + 0.05) % 1.0;
    domain
        .iter()
        .enumerate()
        .map(|(k, [lo, hi])| lo + (hi - lo) * part(k))
        .collect()
}

#[test]
fn every_row_of_the_table_matches_differences() {
    let mut rows = 0;
    for &op in Op::ALL {
        for step in 0..9 {
            let at = sample(op.domain(), step);
            let Some((source, at)) = function(op, &at) else {
                continue;
            };
            let case = Case::new(&source);
            // A kink within the difference's reach says nothing about the rule.
            let near = matches!(op, Op::Max | Op::Min) && (at[0] - at[1]).abs() < 0.01;
            let bound = op == Op::Clamp && at[1..].iter().any(|b| (at[0] - b).abs() < 0.01);
            let jump = matches!(op, Op::Rem | Op::RemEuclid)
                && ((at[0] / at[1]).round() * at[1] - at[0]).abs() < 0.02;
            if !(near || bound || jump) {
                case.check(&at, &format!("{op:?}"));
                rows += 1;
            }
        }
    }
    assert!(rows > 8 * (Op::ALL.len() - 4), "only {rows} samples");
}

#[test]
fn a_wrong_row_is_seen() {
    for op in [Op::Sin, Op::Mul, Op::Powf, Op::Atan2, Op::Rem] {
        let at = sample(op.domain(), 4);
        let (source, at) = function(op, &at).unwrap();
        crate::rules::broken::ROW.set(Some(op));
        let seen = std::panic::catch_unwind(|| Case::new(&source).check(&at, "broken"));
        crate::rules::broken::ROW.set(None);
        assert!(seen.is_err(), "{op:?}");
    }
}

/// A small generator: the tests must not depend on what a library calls random.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

#[test]
fn random_graphs_match_differences() {
    let mut random = Random(7);
    let unary = [
        "sin", "cos", "tanh", "atan", "exp_m1", "asinh", "cbrt", "abs", "sinh",
    ];
    for round in 0..200 {
        // Values are squashed, so that differences stay accurate however deep the graph is.
        let mut lines = String::new();
        let mut names = vec!["x".to_string(), "y".into(), "z".into()];
        for k in 0..3 + random.below(12) {
            let a = names[random.below(names.len())].clone();
            let b = names[random.below(names.len())].clone();
            let line = match random.below(7) {
                0 => format!("{a} * {b}"),
                1 => format!("{a} - 0.5 * {b}"),
                2 => format!("{a} / (1.5 + {b} * {b})"),
                3 => format!("({a} + {b}).{}() * 0.5", unary[random.below(unary.len())]),
                4 => format!("1.0 / (1.0 + (-{a}).exp()) + {b}"),
                5 => format!("({a} * {a} + 1.1).sqrt().mul_add({b}, 0.1)"),
                _ => format!("{a}.hypot(1.0 + {b} * {b}) - {a}.powi(2)"),
            };
            lines += &format!("let v{k} = ({line}).sin();\n");
            names.push(format!("v{k}"));
        }
        let last = &names[names.len() - 1];
        let source =
            format!("fn f(x: f64, y: f64, z: f64) -> f64 {{ {lines} {last} * {last} + {last} }}");
        let case = Case::new(&source);
        let at = [0.3, -0.7, 1.1].map(|v| v + 0.01 * random.below(40) as f64);
        // Kinks of `abs` and the steep root at zero are not for differences.
        let slopes = case.slopes(&at);
        if slopes.iter().any(|s| s.abs() > 50.0)
            || source.contains(".abs()")
            || source.contains(".cbrt()")
        {
            assert!(
                slopes.iter().all(|s| s.is_finite()),
                "round {round}: {source}"
            );
            continue;
        }
        for (k, got) in slopes.into_iter().enumerate() {
            let want = case.difference(&at, k);
            assert!(
                (got - want).abs() <= 1e-5 * (1.0 + want.abs()),
                "round {round}, {k} at {at:?}: got {got}, want {want}\n{source}"
            );
        }
    }
}

#[test]
fn a_product_of_256_factors_takes_about_three_multiplications_a_factor() {
    let params: Vec<String> = (0..256).map(|k| format!("x{k}: f64")).collect();
    let factors: Vec<String> = (0..256).map(|k| format!("x{k}")).collect();
    let case = Case::new(&format!(
        "fn f({}) -> f64 {{ {} }}",
        params.join(", "),
        factors.join(" * ")
    ));
    let g = &case.gradient.graph;
    let multiplications =
        g.region(case.gradient.body).stmts.iter().filter(
            |s| matches!(s, Stmt::Let(id) if matches!(g.node(*id), Node::Apply(Op::Mul, _))),
        );
    let count = multiplications.count();
    assert!(count <= 3 * 255, "{count} multiplications");
    let at: Vec<f64> = (0..256).map(|k| 1.0 + 0.001 * f64::from(k % 7)).collect();
    let product: f64 = at.iter().product();
    for (slope, x) in case.slopes(&at).into_iter().zip(&at) {
        assert!((slope - product / x).abs() <= 1e-12 * slope.abs());
    }
}

#[test]
fn several_errors_are_reported_together() {
    let function: syn::ItemFn = syn::parse_str(
        "fn f(x: f64) -> f64 { let a = x.to_bits(); let b = frob!(x); unsafe { x } }",
    )
    .unwrap();
    let errors = Errors::default();
    let sig = Signature::read(&function, &Options::default(), &Source::default(), &errors).unwrap();
    assert!(lower::lower(&function, &sig, &errors, &Source::default()).is_none());
    assert_eq!(errors.texts().len(), 3, "{:?}", errors.texts());
}
