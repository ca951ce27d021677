//! Deep and long code: a gradient or an error of the macro's, and never a crash of the compiler, which follows nesting on its
//! stack, as `syn` and the macro do.

#[path = "support/macro_library.rs"]
mod macro_library;

use macro_library::macro_library;
use std::path::Path;
use std::process::Command;

/// What the compiler says of a function with this body, and whether it accepts it.
fn compiled(name: &str, body: &str) -> (bool, String) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nesting_{name}.rs"));
    let text = format!(
        "#![allow(warnings)]\n#[backprop_macro::backprop]\npub fn f(x: f64) -> f64 {{\n{body}\n}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .arg("--out-dir")
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .arg("--extern")
        .arg(format!("backprop_macro={}", macro_library().display()))
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A crash has no exit code, but a signal; an internal error has 101.
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1)), "{name}: {code:?}\n{said}");
    assert!(!said.contains("panicked"), "{name}: {said}");
    (code == Some(0), said)
}

fn around(depth: usize, open: &str, inner: &str, close: &str) -> String {
    open.repeat(depth) + inner + &close.repeat(depth)
}

/// Of depth 400: what is in brackets is rejected before it is parsed, the rest where the graph is built.
#[test]
fn four_hundred_deep() {
    let cases = [
        ("parentheses", around(400, "(", "x * x", ")")),
        ("blocks", around(400, "{ ", "x * x", " }")),
        ("calls", around(400, "f64::sin(", "x", ")")),
        (
            "branches",
            around(400, "if x > 0.0 { ", "x", " } else { x * x }"),
        ),
        ("loops", around(400, "loop { break ", "x", " }")),
        ("closures", around(400, "(|y: f64| y + ", "x", ")(x)")),
        ("indices", around(400, "[x, ", "x", "][0]")),
        ("minus", around(401, "-", "x", "")),
        ("methods", "x".to_owned() + &".sin()".repeat(401)),
        ("sums", "x + ".repeat(401) + "x"),
        ("arguments", around(400, "x.max(", "x", ")")),
    ];
    for (name, body) in cases {
        let (accepted, said) = compiled(name, &body);
        assert!(!accepted, "{name} was accepted");
        assert!(
            said.contains("nested too deeply") || said.contains("too large"),
            "{name}: {said}"
        );
    }
}

/// What people and generators write is far below.
#[test]
fn one_hundred_and_fifty_deep() {
    let cases = [
        ("some_parentheses", around(150, "(", "x * x", ")")),
        ("some_minus", around(150, "-", "x", "")),
        ("some_methods", "x".to_owned() + &".sin()".repeat(150)),
        ("some_sums", "x + ".repeat(150) + "x"),
    ];
    for (name, body) in cases {
        let (accepted, said) = compiled(name, &body);
        assert!(accepted, "{name}: {said}");
    }
}

/// Length is no depth.
#[test]
fn a_thousand_statements() {
    let body = "let x = x.sin() + 0.5;\n".repeat(1000) + "x";
    let (accepted, said) = compiled("statements", &body);
    assert!(accepted, "{said}");
}

/// A program so large that its loops are emitted as closures has the gradient that its parts have one by one.
#[test]
fn a_hundred_loops() {
    let body = "\
        let mut total = 0.0;\n\
        let mut last = p[0];\n\
        for i in 0..x.len() {\n\
            let a = x[i] * s + last;\n\
            let b = (a - p[1]).sin();\n\
            let c = a / (1.0 + b * b);\n\
            let d = if c > b { c - b } else { b.exp() };\n\
            last = 0.5 * d.tanh();\n\
            total += 0.1 * c * d;\n\
        }\n";
    let one = format!("fn one(s: f64, p: &[f64; 2], x: &[f64]) -> f64 {{\n{body}total + last\n}}");
    let all: String = (0..100)
        .map(|_| format!("let s = {{\n{body}total + last\n}};\n"))
        .collect();
    let all = format!("fn all(s: f64, p: &[f64; 2], x: &[f64]) -> f64 {{\n{all}s\n}}");
    let text = format!(
        "#![allow(warnings)]\n#[backprop_macro::backprop]\n{one}\n#[backprop_macro::backprop]\n{all}\n{}",
        "fn main() {
            let (p, x) = ([0.3, -0.2], [0.5, -1.2, 0.8]);
            let mut inputs = vec![0.7];
            for k in 0..100 { inputs.push(one(inputs[k], &p, &x)); }
            let (mut ds, mut dp, mut dx) = (1.0, [0.0; 2], [0.0; 3]);
            for k in (0..100).rev() {
                let g = one::gradient(inputs[k], &p, &x);
                for j in 0..2 { dp[j] += ds * g.p[j]; }
                for j in 0..3 { dx[j] += ds * g.x[j]; }
                ds *= g.s;
            }
            let (y, saved) = all::forward(0.7, &p, &x);
            let (value, g) = all::value_and_gradient(0.7, &p, &x);
            assert_eq!([y, value], [inputs[100]; 2]);
            let apart = all::backward(&saved, 1.0);
            let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-3), \"{a} {b}\");
            for g in [g, apart] {
                close(g.s, ds);
                for j in 0..2 { close(g.p[j], dp[j]); }
                for j in 0..3 { close(g.x[j], dx[j]); }
            }
        }"
    );
    let (folder, name) = (Path::new(env!("CARGO_TARGET_TMPDIR")), "hundred_loops");
    let file = folder.join(format!("{name}.rs"));
    std::fs::write(&file, text).unwrap();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition=2024", "--out-dir"])
        .arg(folder)
        .arg("--extern")
        .arg(format!("backprop_macro={}", macro_library().display()))
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let ran = Command::new(program).output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
