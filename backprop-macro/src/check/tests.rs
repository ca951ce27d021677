//! Tests of the check itself: it accepts every function of the test suite, and what is broken does not pass.

mod checkpoints;
mod verdicts;

use super::points::{self, Random};
use super::{CheckOptions, Verdict, check};
use crate::activity::Activity;
use crate::errors::Errors;
use crate::evaluate::{Evaluator, Value};
use crate::graph::Node;
use crate::items::Programs;
use crate::options::Options;
use crate::rules::{Op, broken};
use crate::signature::Signature;
use crate::source::Source;
use proc_macro2::Span;
use syn::visit::Visit;

/// What checking a function said: its remark, or the errors.
fn checked(
    function: &syn::ItemFn,
    attribute: &str,
    break_it: &dyn Fn(&mut Programs),
) -> Option<Result<String, String>> {
    checked_in(&Source::default(), function, attribute, break_it)
}

fn checked_in(
    file: &Source,
    function: &syn::ItemFn,
    attribute: &str,
    break_it: &dyn Fn(&mut Programs),
) -> Option<Result<String, String>> {
    let errors = Errors::default();
    let options = Options::parse(attribute.parse().unwrap(), &errors);
    let sig = Signature::read(function, &options, file, &errors)?;
    let mut programs = crate::compile::programs(function, &sig, &options, &errors, file)?;
    let activity = Activity::of(&programs.primal, &sig, &errors);
    break_it(&mut programs);
    let check_options = options
        .check
        .unwrap_or_else(|| CheckOptions::new(syn::Ident::new("check", Span::call_site())));
    let found = check(&check_options, &sig, &programs, &activity, &errors);
    Some(match found {
        Some(found) => Ok(found.remark),
        None => Err(errors.texts().join("\n")),
    })
}

fn source(text: &str) -> syn::ItemFn {
    syn::parse_str(text).unwrap()
}

/// Every annotated function of a file, with its attribute's arguments.
#[derive(Default)]
pub struct Annotated(pub Vec<(syn::ItemFn, String)>);

impl<'ast> Visit<'ast> for Annotated {
    fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
        for a in &f.attrs {
            let last = a.path().segments.last();
            if last.is_some_and(|s| s.ident == "backprop") {
                let arguments = match &a.meta {
                    syn::Meta::List(l) => l.tokens.to_string(),
                    _ => String::new(),
                };
                let mut plain = f.clone();
                plain.attrs.clear();
                self.0.push((plain, arguments));
            }
        }
        syn::visit::visit_item_fn(self, f);
    }
}

/// The files of the test suite, in order.
pub fn suite() -> Vec<std::path::PathBuf> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["tests", "tests/gradients", "benches/gradients"] {
        let folder = std::fs::read_dir(root.join(folder)).unwrap();
        files.extend(folder.map(|e| e.unwrap().path()));
    }
    files.retain(|p| p.extension().is_some_and(|e| e == "rs"));
    files.sort();
    files
}

#[test]
fn every_function_of_the_test_suite_passes() {
    let files = suite();
    let (mut passed, mut deferred, mut undefined) = (0, Vec::new(), Vec::new());
    let mut wrong = Vec::new();
    let only = std::env::var("ONLY").ok();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let Ok(file) = syn::parse_file(&text) else {
            continue;
        };
        let mut found = Annotated::default();
        found.visit_file(&file);
        for (function, arguments) in found.0 {
            let name = format!(
                "{}::{}",
                path.file_stem().unwrap().display(),
                function.sig.ident
            );
            if only.as_ref().is_some_and(|o| *o != name) {
                continue;
            }
            // What is sampled must be where the function is defined.
            let domain = match function.sig.ident.to_string().as_str() {
                "agm_elliptic_k" => "check(points = 4, domain(k in 0.1..0.9))",
                "masked_inf_times_zero" => "check(points = 4, domain(x > 0.0))",
                "camera_projection_ba" => "check(points = 4, len(cam = 8, x = 3))",
                "logistic_nll" => "check(points = 4, len(w = 2, x = 8, y = 4))",
                _ => "check(points = 4)",
            };
            let arguments = [arguments.as_str(), domain]
                .into_iter()
                .filter(|a| !a.is_empty())
                .collect::<Vec<_>>()
                .join(", ");
            let arguments = match std::env::var("BACKPROP_CHECK_POINTS") {
                Ok(more) => arguments.replace("points = 4", &more),
                Err(_) => arguments,
            };
            let start = std::time::Instant::now();
            let found = checked_in(
                &Source::new(Some(path.clone())),
                &function,
                &arguments,
                &|_| {},
            );
            if start.elapsed().as_secs_f64() > 1.0 {
                println!("{name} took {:.1} s", start.elapsed().as_secs_f64());
            }
            match found {
                Some(Ok(remark)) if remark.starts_with("Checked") => passed += 1,
                Some(Ok(remark)) => deferred.push(format!("{name}: {remark}")),
                Some(Err(text)) if text.contains("disagree") => {
                    wrong.push(format!("{name}: {text}"));
                }
                Some(Err(text)) => undefined.push(format!("{name}: {text}")),
                None => {}
            }
        }
    }
    println!("{passed} passed");
    println!("deferred:\n{}", deferred.join("\n"));
    println!("undefined:\n{}", undefined.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let lost: Vec<&String> = deferred
        .iter()
        .filter(|d| d.contains("out of scope") || d.contains("tape"))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(passed > 300, "only {passed} were checked");
}

/// Hessians of a function at its sample points: symmetric, and the derivative of the gradient. How many were compared.
fn hessians(file: &Source, function: &syn::ItemFn, name: &str) -> usize {
    let errors = Errors::default();
    let options = Options {
        hvp: Some(syn::Ident::new("hvp", Span::call_site())),
        ..Options::default()
    };
    let Some(sig) = Signature::read(function, &options, file, &errors) else {
        return 0;
    };
    let Some(programs) = crate::compile::programs(function, &sig, &options, &errors, file) else {
        return 0;
    };
    let (Some(hvp), Some(unit)) = (&programs.hvp, &programs.unit) else {
        return 0;
    };
    let mut constants = crate::evaluate::Constants::default();
    constants.add_items(&programs.primal.items);
    for c in sig.generics.const_params() {
        constants.chosen.insert(c.ident.to_string(), 3);
    }
    let new = |p| Evaluator::new(&programs.primal, p, &sig, None, &constants);
    let (gradient, hvp) = (new(unit), new(hvp));
    let mut random = Random::new(3);
    let mut compared = 0;
    for _ in 0..3 {
        let sample = |p: &crate::signature::Param| {
            points::sample(&p.shape, None, &[], &constants, &mut random)
        };
        let Ok(params) = sig.params.iter().map(sample).collect::<Result<Vec<_>, _>>() else {
            return 0;
        };
        let mut direction = || -> Vec<Value> {
            sig.active()
                .map(|(k, _)| {
                    let any = std::iter::from_fn(|| Some(random.between((-1.0, 1.0))));
                    params[k].with_floats(&mut any.into_iter())
                })
                .collect()
        };
        let (u, v) = (direction(), direction());
        let product = |v: &[Value]| {
            Some(
                hvp.run(&super::inputs(&params, &Value::Unit, v))
                    .ok()?
                    .gradients,
            )
        };
        let (Some(hu), Some(hv)) = (product(&u), product(&v)) else {
            continue;
        };
        let (a, b) = (super::passes::dot(&hv, &u), super::passes::dot(&hu, &v));
        // The gradient along u, along v: its slope is u'Hv.
        let mut f = |step: f64| {
            let mut moved = params.clone();
            for ((k, _), v) in sig.active().zip(&v) {
                let (mut x, mut d) = (Vec::new(), Vec::new());
                params[k].floats(&mut x);
                v.floats(&mut d);
                moved[k] = params[k].with_floats(&mut x.iter().zip(&d).map(|(x, d)| x + step * d));
            }
            let run = gradient
                .run(&super::inputs(&moved, &Value::Unit, &[]))
                .ok()?;
            let (along, _) = super::passes::dot(&run.gradients, &u);
            along.is_finite().then_some(along)
        };
        let mut verdict = Verdict::Unsure;
        for reach in [0.05, 1e-3] {
            if let Some(d) = super::ridders(&mut f, reach, 1e-15) {
                verdict = super::judge(a.0, &d, d.slope, 1e-5);
                if verdict == Verdict::Right {
                    break;
                }
            }
        }
        assert!(
            verdict != Verdict::Wrong,
            "{name}: u'Hv = {} is no slope of the gradient",
            a.0
        );
        if verdict == Verdict::Right {
            let slack = 1e-9 * a.1.max(b.1).max(1e-9);
            assert!((a.0 - b.0).abs() <= slack, "{name}: {} and {}", a.0, b.0);
            compared += 1;
        }
    }
    compared
}

#[test]
fn every_hessian_of_the_test_suite_is_right() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::fs::read_dir(root.join("tests/gradients")).unwrap();
    let mut files: Vec<_> = folder.map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut compared = 0;
    for path in files {
        let Ok(file) = syn::parse_file(&std::fs::read_to_string(&path).unwrap()) else {
            continue;
        };
        let mut found = Annotated::default();
        found.visit_file(&file);
        for (function, arguments) in found.0 {
            // Options change what is differentiated; those without any are enough.
            let name = function.sig.ident.to_string();
            if arguments.is_empty() {
                compared += hessians(&Source::new(Some(path.clone())), &function, &name);
            }
        }
    }
    println!("{compared} compared");
    assert!(compared > 300, "only {compared} were compared");
}

#[test]
fn what_is_broken_does_not_pass() {
    let f = source(
        "fn f(x: f64, w: &[f64]) -> f64 {
            let mut s = 0.0;
            for v in w {
                if *v > x { s += (v * x).sin(); } else { s -= v * v; }
            }
            s.exp() * x
        }",
    );
    let ok = checked(&f, "", &|_| {}).unwrap().unwrap();
    assert!(
        ok.starts_with("Checked while compiling, at 16 points"),
        "{ok}"
    );
    // One multiplication of the backward pass becomes an addition: in each program, wherever it stands.
    let mut caught = 0;
    for which in 0..3 {
        for nth in 0..40 {
            let changed = std::cell::Cell::new(false);
            let found = checked(&f, "", &|p| {
                let primal_nodes = p.primal.graph.nodes.len();
                let program = match which {
                    0 => &mut p.upstream,
                    1 => &mut p.split,
                    _ => p.unit.as_mut().unwrap(),
                };
                let live = crate::live::Live::of(program);
                let products: Vec<usize> = (primal_nodes..program.graph.nodes.len())
                    .filter(|&k| {
                        let id = crate::graph::Id(k as u32);
                        matches!(program.graph.node(id), Node::Apply(Op::Mul, _))
                            && live.has(&program.graph, id)
                    })
                    .collect();
                if let Some(&k) = products.get(nth)
                    && let Node::Apply(op, _) = &mut program.graph.nodes[k].node
                {
                    *op = Op::Add;
                    changed.set(true);
                }
            });
            if changed.get() {
                let text = found.unwrap().expect_err("a wrong product passed");
                assert!(text.contains("wrong"), "{text}");
                caught += 1;
            }
        }
    }
    assert!(caught >= 12, "only {caught} were broken");
}

#[test]
fn every_wrong_row_of_the_table_is_caught() {
    // The tangent comes from the same row: only the differences can see it.
    let mut rows = 0;
    for &op in Op::ALL {
        let at = crate::sweep::sample(op.domain(), 4);
        let Some((text, at)) = crate::sweep::function(op, &at) else {
            continue;
        };
        let names = ["a", "b", "c"];
        let point: Vec<String> = names
            .iter()
            .zip(&at)
            .map(|(n, x)| format!("{n} = {x:?}"))
            .collect();
        let attribute = format!("check(points = 0, at({}))", point.join(", "));
        let f = source(&text);
        let right = checked(&f, &attribute, &|_| {}).unwrap();
        assert!(right.is_ok(), "{op:?}: {right:?}");
        broken::ROW.set(Some(op));
        let wrong = checked(&f, &attribute, &|_| {}).unwrap();
        broken::ROW.set(None);
        // Piecewise constant rows have no slope to be wrong.
        let constant = matches!(
            op,
            Op::Signum
                | Op::Floor
                | Op::Ceil
                | Op::Round
                | Op::RoundTiesEven
                | Op::Trunc
                | Op::DivEuclid
        );
        assert_eq!(wrong.is_err(), !constant, "{op:?}: {wrong:?}");
        rows += 1;
    }
    assert!(rows >= Op::ALL.len() - 2);
}

#[test]
fn kinks_are_no_errors() {
    for body in [
        "x.abs()",
        "x.max(0.0)",
        "if x > 0.0 { x } else { 0.0 }",
        "x.floor() * x",
        "x % 0.3",
    ] {
        let f = source(&format!("fn f(x: f64) -> f64 {{ {body} }}"));
        let found = checked(
            &f,
            "check(at(x = 0.0), at(x = 1e-3), at(x = 1.0), points = 200)",
            &|_| {},
        );
        let text = found.unwrap().unwrap();
        assert!(
            text.starts_with("Checked while compiling, at 203 points"),
            "{body}: {text}"
        );
    }
}
