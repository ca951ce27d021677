//! What the attribute costs while compiling.
//!
//! Two scratch crates are written to cargo's directory for temporary files, equal but for `#[backprop]` on each function, and `cargo check`
//! is timed on both in turn. The difference of the fastest runs is what the attribute costs: running the macro, and checking what it emitted.
//! Divided by the number of functions it is the time for one; small functions are written in many copies, as one would drown in the
//! noise of starting cargo. The macro is built as users get it: cargo does not optimise proc macros unless told to.
//!
//! ```text
//! cargo bench --bench expansion                     # all cases
//! cargo bench --bench expansion -- loops --quick    # cases whose name contains "loops", few runs
//! ```
//!
//! The goal: linear in the number of statements (the last column stays level), and milliseconds for a function of ordinary size.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A kind of function, how many statements it has, and how often it is written out.
struct Case {
    name: &'static str,
    statements: usize,
    copies: usize,
    /// The parameters and body of a function with so many statements.
    write: fn(usize) -> String,
}

#[rustfmt::skip]
const CASES: [Case; 7] = [
    Case { name: "straight_10", statements: 10, copies: 100, write: straight_line },
    Case { name: "straight_100", statements: 100, copies: 20, write: straight_line },
    Case { name: "straight_1000", statements: 1000, copies: 2, write: straight_line },
    Case { name: "loops_10", statements: 10, copies: 100, write: loops },
    Case { name: "loops_100", statements: 100, copies: 20, write: loops },
    Case { name: "loops_1000", statements: 1000, copies: 2, write: loops },
    Case { name: "product_256", statements: 256, copies: 8, write: product },
];

/// The `k`-th statement of a chain: each reads the two variables before it, so that the gradient passes through all.
fn statement(k: usize) -> String {
    let (a, b, c) = (k, k + 1, k + 2);
    match k % 5 {
        0 => format!("let v{c} = v{a} * p[2] + 0.5 * v{b};"),
        1 => format!("let v{c} = (v{a} - v{b}).sin();"),
        2 => format!("let v{c} = v{a} / (1.0 + v{b} * v{b});"),
        3 => format!("let v{c} = (v{b} - v{a}).tanh() * p[3];"),
        _ => format!("let v{c} = if v{a} > v{b} {{ v{a} - v{b} }} else {{ v{b} }};"),
    }
}

fn straight_line(statements: usize) -> String {
    let mut code = "(p: &[f64; 4]) -> f64 {\nlet v0 = p[0];\nlet v1 = p[1];\n".to_owned();
    for k in 0..statements {
        code += &statement(k);
        code.push('\n');
    }
    code + &format!("v{statements} + v{}\n}}", statements + 1)
}

/// Loops of ten statements each, over the same samples; each reads the sum of the one before it.
fn loops(statements: usize) -> String {
    let mut code = "(p: &[f64; 4], x: &[f64]) -> f64 {\nlet s0 = p[0];\n".to_owned();
    for k in 0..statements / 10 {
        let _ = writeln!(code, "let mut s{} = 0.0;\nfor i in 0..x.len() {{", k + 1);
        let _ = writeln!(code, "let v0 = x[i] * s{k};\nlet v1 = x[i] - p[1];");
        for k in 0..7 {
            code += &statement(k);
            code.push('\n');
        }
        let _ = writeln!(code, "s{} += v7 * v8;\n}}", k + 1);
    }
    code + &format!("s{}\n}}", statements / 10)
}

/// One expression; a gradient derived factor by factor would be quadratic.
fn product(factors: usize) -> String {
    let factors: Vec<_> = (0..factors).map(|i| format!("p[{i}]")).collect();
    format!("(p: &[f64; 256]) -> f64 {{\n{}\n}}", factors.join(" * "))
}

/// A crate that depends on this one, in a folder that is kept between runs so that dependencies are built once.
struct Scratch {
    folder: PathBuf,
    target: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("expansion");
        let folder = root.join(name);
        std::fs::create_dir_all(folder.join("src")).expect("a folder for the scratch crate");
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        // The versions that this workspace is known to build with. Without a lock file cargo picks them itself.
        let _ = std::fs::copy(here.join("Cargo.lock"), folder.join("Cargo.lock"));
        let manifest = format!(
            "[workspace]\n[package]\nname = \"expansion_{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [dependencies]\nbackprop = {{ path = {here:?}, default-features = false }}\n"
        );
        std::fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
        Self {
            folder,
            target: root.join("target"),
        }
    }

    /// Milliseconds of `cargo check` on the crate with this source; none if it does not compile.
    fn check(&self, source: &str) -> Option<f64> {
        std::fs::write(self.folder.join("src/lib.rs"), source).expect("a source file");
        let start = Instant::now();
        let output = Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--offline", "--target-dir"])
            .arg(&self.target)
            .current_dir(&self.folder)
            .output()
            .expect("cargo");
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        if output.status.success() {
            return Some(milliseconds);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        eprintln!("{}", errors.lines().take(12).collect::<Vec<_>>().join("\n"));
        None
    }
}

/// The source of a crate with all copies of the function, each under `attribute`. `run` makes it new to cargo.
fn source(case: &Case, attribute: &str, run: usize) -> String {
    let function = (case.write)(case.statements);
    let mut code = format!("//! Run {run}.\n");
    for copy in 0..case.copies {
        let _ = writeln!(code, "{attribute}\npub fn case_{copy}{function}");
    }
    code
}

/// The fastest `cargo check` without and with the attribute, in milliseconds: whatever else the machine does only adds to it.
fn measure(case: &Case, runs: usize, plain: &Scratch, annotated: &Scratch) -> Option<[f64; 2]> {
    let (mut without, mut with) = (f64::INFINITY, f64::INFINITY);
    // The first run builds the dependencies and is not counted.
    for run in 0..=runs {
        let a = plain.check(&source(case, "#[inline]", run))?;
        let b = annotated.check(&source(case, "#[backprop::backprop]", run))?;
        if run > 0 {
            without = without.min(a);
            with = with.min(b);
        }
    }
    Some([without, with])
}

fn main() {
    let (flags, filters): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with("--"));
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("nothing to test here: run it with `cargo bench --bench expansion`");
        return;
    }
    let runs = if flags.iter().any(|flag| flag == "--quick") {
        3
    } else {
        11
    };
    let (plain, annotated) = (Scratch::new("plain"), Scratch::new("annotated"));
    println!(
        "| {:13} | {:>10} | {:>6} | {:>11} | {:>11} | {:>12} | {:>12} |",
        "name", "statements", "copies", "plain ms", "annotated ms", "function ms", "statement µs"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for case in &CASES {
        if !filters.is_empty() && !filters.iter().any(|f| case.name.contains(f.as_str())) {
            continue;
        }
        let Some([without, with]) = measure(case, runs, &plain, &annotated) else {
            println!("| {:13} | does not compile |", case.name);
            continue;
        };
        let one = (with - without) / case.copies as f64;
        println!(
            "| {:13} | {:10} | {:6} | {without:11.0} | {with:12.0} | {one:12.2} | {:12.1} |",
            case.name,
            case.statements,
            case.copies,
            one * 1e3 / case.statements as f64,
        );
    }
}
