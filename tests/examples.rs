//! What the documents show: outputs of the examples, numbers at kinks, commands, and the files of the code map.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use backprop::backprop;

#[path = "../examples/explain.rs"]
mod explain;
#[path = "../examples/neuron.rs"]
mod neuron;

const README: &str = include_str!("../README.md");
const ARCHITECTURE: &str = include_str!("../ARCHITECTURE.md");

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The code blocks of a document in a language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    document
        .split("\n```")
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

// ---- the examples ----

#[test]
fn the_neuron_prints_what_the_readme_shows() {
    let report = neuron::report();
    let table = blocks(README, "text")
        .into_iter()
        .find(|block| block.starts_with("node "))
        .expect("the README shows the table");
    assert!(report.contains(table), "{report}\nhas not\n{table}");
    assert!(report.contains("gradient with respect to w: -0.20, -0.39, 0.20"));
    assert!(report.contains("gradient with respect to x: 0.39, -0.59"));
}

#[test]
fn every_function_is_explained() {
    for name in explain::NAMES {
        let explained = explain::explained(name).expect("it is in the list");
        assert!(explained.call.starts_with(name));
        let code = explained.code();
        assert!(code.contains(&format!("impl {name} {{")), "{code}");
        assert!(explained.svg.starts_with("<svg") && explained.svg.ends_with("</svg>"));
    }
    assert!(explain::explained("another").is_none());
}

/// The lecture's figure: at each wire of the neuron the value and the gradient of the table.
#[test]
fn the_figure_has_the_numbers_of_the_table() {
    let neuron = explain::explained("neuron").expect("it is in the list");
    let table = blocks(README, "text")
        .into_iter()
        .find(|block| block.starts_with("node "))
        .expect("the README shows the table");
    assert_eq!(
        neuron.table().trim_end().lines().count(),
        table.lines().count()
    );
    for (node, value, gradient) in &neuron.nodes {
        for (number, colour) in [(value, "#2a9d3a"), (gradient, "#d1495b")] {
            let shown = format!("fill=\"{colour}\">{number:.2}</text>");
            assert!(neuron.svg.contains(&shown), "{node}: {shown}");
        }
    }
    // Thirteen nodes, each with both; the two ones of the formula have neither.
    assert_eq!(neuron.svg.matches("#2a9d3a").count(), 13);
}

/// The binary of an example, which `cargo test` builds beside the tests.
fn built(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("it is in deps");
    let name = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let binary = profile.join("examples").join(name);
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build --examples`",
        binary.display()
    );
    binary
}

#[test]
fn the_digits_are_recognised() {
    let output = Command::new(built("digits"))
        .output()
        .expect("the example starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1438 digits to learn from, 359 to be tested on"));
    let accuracy: f64 = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("final test accuracy: ")?
                .strip_suffix(" %")
        })
        .and_then(|number| number.parse().ok())
        .expect("the last lines give the accuracy");
    // The README says 98 %; what is left is for the rounding of another machine.
    assert!(accuracy >= 97.5, "{text}");
}

// ---- the README's table of kinks ----

#[backprop]
fn abs(x: f64) -> f64 {
    x.abs()
}

#[backprop]
fn sqrt(x: f64) -> f64 {
    x.sqrt()
}

#[backprop]
fn cbrt(x: f64) -> f64 {
    x.cbrt()
}

#[backprop]
fn max(a: f64, b: f64) -> f64 {
    a.max(b)
}

#[backprop]
fn min(a: f64, b: f64) -> f64 {
    a.min(b)
}

#[backprop]
fn max_zero(x: f64) -> f64 {
    x.max(0.0)
}

#[backprop]
fn relu(x: f64) -> f64 {
    if x > 0.0 { x } else { 0.0 }
}

#[backprop]
fn clamp(x: f64, lo: f64, hi: f64) -> f64 {
    x.clamp(lo, hi)
}

#[backprop(allow(piecewise_constant))]
fn steps(x: f64) -> f64 {
    let rounded = x.floor() + x.ceil() + x.round() + x.round_ties_even() + x.trunc();
    rounded + x.signum() + x.div_euclid(2.0) + (x as i64) as f64
}

#[backprop]
fn fract(x: f64) -> f64 {
    x.fract()
}

#[backprop]
fn rem(a: f64, b: f64) -> f64 {
    a % b
}

#[backprop]
fn rem_euclid(a: f64, b: f64) -> f64 {
    a.rem_euclid(b)
}

#[backprop]
fn hypot(a: f64, b: f64) -> f64 {
    a.hypot(b)
}

#[backprop]
fn atan2(a: f64, b: f64) -> f64 {
    a.atan2(b)
}

#[backprop]
fn copysign(x: f64, s: f64) -> f64 {
    x.copysign(s)
}

#[backprop]
fn powi_zero(x: f64) -> f64 {
    x.powi(0)
}

#[backprop]
fn powf(a: f64, b: f64) -> f64 {
    a.powf(b)
}

#[backprop]
fn ln(x: f64) -> f64 {
    x.ln()
}

#[backprop]
fn tanh(x: f64) -> f64 {
    x.tanh()
}

#[backprop]
fn half_tanh(u: f64) -> f64 {
    0.5 * (1.0 + u.tanh())
}

#[backprop]
fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[backprop]
fn guarded(x: f64) -> f64 {
    if x > 0.0 { x.sqrt() } else { 0.0 }
}

#[backprop]
fn unguarded(x: f64) -> f64 {
    (x * x).sqrt()
}

#[test]
fn kinks_are_as_the_readme_says() {
    let infinity = f64::INFINITY;
    assert_eq!((abs::gradient(0.0).x, abs::gradient(-0.0).x), (0.0, 0.0));
    assert_eq!(sqrt::gradient(0.0).x, infinity);
    assert_eq!(sqrt::gradient(-0.0).x, -infinity);
    assert!(sqrt::gradient(-1.0).x.is_nan());
    assert_eq!(cbrt::gradient(0.0).x, infinity);
    assert_eq!(max::gradient(2.0, 2.0), MaxGradient { a: 0.5, b: 0.5 });
    assert_eq!(min::gradient(2.0, 2.0), MinGradient { a: 0.5, b: 0.5 });
    let nan = f64::NAN;
    assert_eq!(max::gradient(nan, 1.0), MaxGradient { a: 0.0, b: 1.0 });
    assert_eq!(min::gradient(1.0, nan), MinGradient { a: 1.0, b: 0.0 });
    assert_eq!(
        (max_zero::gradient(0.0).x, relu::gradient(0.0).x),
        (0.5, 0.0)
    );
    let at = |x| {
        let d = clamp::gradient(x, -1.0, 1.0);
        (d.x, d.lo, d.hi)
    };
    assert_eq!((at(-1.0), at(1.0)), ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)));
    assert_eq!((at(-2.0), at(2.0)), ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)));
    for x in [-1.5, -1.0, 0.0, 0.5, 2.0] {
        assert_eq!(steps::gradient(x).x, 0.0, "{x}");
    }
    assert_eq!(fract::gradient(1.0).x, 1.0);
    assert_eq!(rem::gradient(-5.5, 2.0), RemGradient { a: 1.0, b: 2.0 });
    let d = rem_euclid::gradient(-5.5, 2.0);
    assert_eq!((d.a, d.b), (1.0, 3.0));
    assert_eq!(hypot::gradient(0.0, 0.0), HypotGradient { a: 0.0, b: 0.0 });
    let d = atan2::gradient(0.0, 0.0);
    assert!(d.a.is_nan() && d.b.is_nan());
    let d = copysign::gradient(0.0, -1.0);
    assert_eq!((d.x, d.s), (0.0, 0.0));
    for x in [0.0, 1.0, nan, infinity] {
        assert_eq!(powi_zero::gradient(x).x, 0.0, "{x}");
    }
    assert_eq!(powf::gradient(0.0, 0.0), PowfGradient { a: 0.0, b: 0.0 });
    assert_eq!(powf::gradient(nan, 0.0).a, 0.0);
    assert_eq!(powf::gradient(0.0, 2.0).b, 0.0);
    assert_eq!(
        (ln::gradient(0.0).x, ln::gradient(-2.0).x),
        (infinity, -0.5)
    );
}

#[test]
fn slopes_are_as_accurate_as_the_readme_says() {
    assert_eq!(tanh::gradient(20.0).x, 0.0);
    let slope = half_tanh::gradient(20.0).u;
    assert!(
        (slope / 8.496708510583178e-18 - 1.0).abs() < 1e-14,
        "{slope:e}"
    );
    for z in [-40.0, 40.0] {
        let slope = sigmoid::gradient(z).z;
        assert!(
            (slope / 4.248354255291589e-18 - 1.0).abs() < 1e-14,
            "{slope:e}"
        );
    }
    assert_eq!(guarded::gradient(0.0).x, 0.0);
    assert!(unguarded::gradient(0.0).x.is_nan());
}

// ---- the documents ----

#[test]
fn every_command_of_the_readme_is_run() {
    let ci = fs::read_to_string(project().join(".ci/run")).expect(".ci/run is there");
    let ran: BTreeSet<&str> = ci
        .lines()
        .filter_map(|line| line.trim().strip_prefix("run "))
        .collect();
    let mut commands: BTreeSet<&str> = blocks(README, "sh")
        .into_iter()
        .flat_map(str::lines)
        .collect();
    // Those in running text.
    commands.extend(README.split('`').filter(|code| code.starts_with("cargo ")));
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let command = command.split(" #").next().unwrap_or(command).trim();
        assert!(ran.contains(command), "`{command}` is not in .ci/run");
    }
}

#[test]
fn the_error_of_the_readme_is_the_macros() {
    let table = fs::read_to_string(project().join("backprop-macro/src/errors.rs")).expect("errors");
    let shown = blocks(README, "text")
        .into_iter()
        .find(|block| block.starts_with("error: "))
        .expect("the README shows an error");
    let mut lines = shown.lines();
    let first = lines.next().and_then(|line| line.strip_prefix("error: "));
    let second = lines
        .next()
        .and_then(|line| line.trim().strip_prefix("help: "));
    let (what, why) = first
        .and_then(|line| line.split_once(": "))
        .expect("what, and why");
    let what = format!("`{{}}`{}", what.rsplit('`').next().unwrap_or(what));
    for part in [what.as_str(), why, second.expect("a line of help")] {
        assert!(
            table.contains(&format!("\"{part}\"")),
            "no message says {part:?}"
        );
    }
}

/// The Rust files under a folder.
fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn the_code_map_names_every_file_and_no_other() {
    let mut found = Vec::new();
    for folder in [
        "src",
        "backprop-macro/src",
        "backprop-runtime/src",
        "backprop-runtime/tests",
        "tests",
        "benches",
        "examples",
    ] {
        sources(&project().join(folder), &mut found);
    }
    let map = ARCHITECTURE
        .split("\n## ")
        .find(|section| section.starts_with("Code map"))
        .expect("there is a code map");
    // A heading names a folder, the rows below it what is in there: files, or folders as a whole.
    let mut folder = "";
    let mut named = BTreeSet::new();
    for line in map.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            folder = heading.split('`').nth(1).unwrap_or_default();
        }
        if let Some(row) = line.strip_prefix("| `") {
            let path = project()
                .join(folder)
                .join(row.split('`').next().unwrap_or_default());
            assert!(path.exists(), "there is no {}", path.display());
            named.insert(path);
        }
    }
    let missing: Vec<_> = found
        .iter()
        .filter(|file| !file.ancestors().any(|path| named.contains(path)))
        .collect();
    assert!(missing.is_empty(), "the code map leaves out {missing:?}");
}

#[test]
fn links_lead_somewhere() {
    for document in [README, ARCHITECTURE] {
        for link in document.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.starts_with("http") {
                assert!(project().join(target).exists(), "there is no {target}");
            }
        }
    }
}
