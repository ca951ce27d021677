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
