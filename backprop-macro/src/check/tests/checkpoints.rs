//! Checkpointed gradients against gradients that keep everything: every function of the test suite, values bit for bit.

use super::super::points::{self, Random};
use super::Annotated;
use crate::errors::Errors;
use crate::evaluate::{Constants, Evaluator, Run, Value};
use crate::items::Programs;
use crate::keep::Saved;
use crate::options::Options;
use crate::reverse::Gradient;
use crate::signature::Signature;
use crate::source::Source;
use syn::visit::Visit;

/// The programs of a function; `None` where it is rejected.
fn programs(
    function: &syn::ItemFn,
    file: &Source,
    arguments: &[&str],
) -> Option<(Signature, Programs, String)> {
    let errors = Errors::default();
    let arguments: Vec<&str> = arguments
        .iter()
        .copied()
        .filter(|a| !a.is_empty())
        .collect();
    let options = Options::parse(arguments.join(", ").parse().unwrap(), &errors);
    let sig = Signature::read(function, &options, file, &errors)?;
    let programs = crate::compile::programs(function, &sig, &options, &errors, file);
    programs.map(|p| (sig, p, errors.texts().join("\n")))
}

/// The backward passes of a function, by the functions that they become.
fn backward(p: &Programs) -> Vec<(&'static str, &Gradient, Option<&Saved>)> {
    let mut all = vec![
        ("accumulate", &p.upstream, None),
        ("backward", &p.split, Some(&p.saved)),
    ];
    all.extend(p.unit.as_ref().map(|unit| ("gradient", unit, None)));
    all
}

#[test]
fn every_checkpointed_gradient_of_the_test_suite_is_that_without() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["tests", "tests/gradients", "benches/gradients"] {
        let folder = std::fs::read_dir(root.join(folder)).unwrap();
        files.extend(folder.map(|e| e.unwrap().path()));
    }
    files.retain(|p| p.extension().is_some_and(|e| e == "rs"));
    files.sort();
    let (mut compared, mut wrong) = (0, Vec::new());
    for path in files {
        let Ok(file) = syn::parse_file(&std::fs::read_to_string(&path).unwrap()) else {
            continue;
        };
        let mut found = Annotated::default();
        found.visit_file(&file);
        let source = Source::new(Some(path.clone()));
        for (function, arguments) in found.0 {
            // What has the option already, or an option that has no place beside it.
            if ["checkpoint", "hvp", "custom", "check"]
                .iter()
                .any(|o| arguments.contains(o))
            {
                continue;
            }
            let name = format!(
                "{}::{}",
                path.file_stem().unwrap().display(),
                function.sig.ident
            );
            for option in ["checkpoint = 1", "checkpoint = 3", "checkpoint"] {
                match same(&function, &source, &arguments, option) {
                    Ok(points) => compared += points,
                    Err(what) => wrong.push(format!("{name}, `{option}`: {what}")),
                }
            }
        }
    }
    println!("{compared} gradients compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 1000, "only {compared} were compared");
}

fn close(a: &[f64], b: &[f64]) -> bool {
    let near = |(x, y): (&f64, &f64)| {
        x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= 1e-14 * x.abs().max(1.0)
    };
    a.len() == b.len() && a.iter().zip(b).all(near)
}

/// How many gradients were the same at sampled points.
fn same(
    function: &syn::ItemFn,
    file: &Source,
    arguments: &str,
    option: &str,
) -> Result<usize, String> {
    let Some((sig, saving, _)) = programs(function, file, &[arguments, option]) else {
        return Ok(0);
    };
    let Some((_, keeping, _)) = programs(function, file, &[arguments]) else {
        return Ok(0);
    };
    let mut constants = Constants::default();
    constants.add_items(&keeping.primal.items);
    for c in sig.generics.const_params() {
        constants.chosen.insert(c.ident.to_string(), 3);
    }
    let plain = super::super::plain(&keeping.primal);
    let plain = Evaluator::new(&keeping.primal, &plain, &sig, None, &constants);
    let mut random = Random::new(5);
    let mut compared = 0;
    for _ in 0..3 {
        let sample = |p: &crate::signature::Param| {
            points::sample(&p.shape, None, &[], &constants, &mut random)
        };
        let Ok(params) = sig.params.iter().map(sample).collect::<Result<Vec<_>, _>>() else {
            return Ok(compared);
        };
        let Ok(value) = plain.run(&super::super::inputs(&params, &Value::Unit, &[])) else {
            continue;
        };
        let mut any = std::iter::from_fn(|| Some(random.between((-1.0, 1.0))));
        let upstream = value.result.with_floats(&mut any);
        let inputs = super::super::inputs(&params, &upstream, &[]);
        for ((name, a, kept), (_, b, saved)) in
            backward(&keeping).into_iter().zip(backward(&saving))
        {
            let a = Evaluator::new(&keeping.primal, a, &sig, kept, &constants).run(&inputs);
            let b = Evaluator::new(&saving.primal, b, &sig, saved, &constants).run(&inputs);
            let Ok(a) = a else { continue };
            let b = b.map_err(|stop| format!("{name}: {stop:?} at {params:?}"))?;
            let floats = |run: &Run| {
                let mut all = Vec::new();
                run.gradients.iter().for_each(|g| g.floats(&mut all));
                all
            };
            // The value has the same bits; sums of adjoints may be formed in another order.
            let same = format!("{:?}", a.result) == format!("{:?}", b.result);
            if !same || !close(&floats(&a), &floats(&b)) {
                return Err(format!(
                    "{name} at {params:?}:\n{:?} {:?}\n{:?} {:?}",
                    a.result, a.gradients, b.result, b.gradients
                ));
            }
            compared += 1;
        }
    }
    Ok(compared)
}
