//! What the documentation says, read off small functions.

use super::explain;
use crate::compile::programs;
use crate::errors::Errors;
use crate::options::Options;
use crate::signature::Signature;
use crate::source::Source;

/// The documentation of a function; every span is in line 14.
fn doc_with(attribute: &str, function: &str) -> String {
    let function: syn::ItemFn = syn::parse_str(function).unwrap();
    let errors = Errors::default();
    let options = Options::parse(attribute.parse().unwrap(), &errors);
    let source = Source::new(None);
    let sig = Signature::read(&function, &options, &source, &errors).unwrap();
    let programs = programs(&function, &sig, &options, &errors, &source);
    let programs = programs.unwrap_or_else(|| panic!("{:?}", errors.texts()));
    explain(&programs, &sig, &|_| 14)
}

fn doc(function: &str) -> String {
    doc_with("", function)
}

/// The plain text of the formulas.
fn formulas(doc: &str) -> Vec<&str> {
    let block = doc.split("```text\n").nth(1).unwrap();
    block.split("```").next().unwrap().lines().collect()
}

/// The items of a section.
fn section<'a>(doc: &'a str, title: &str) -> Vec<&'a str> {
    let Some(after) = doc.split(&format!("\n# {title}\n\n")).nth(1) else {
        return Vec::new();
    };
    after.lines().map_while(|l| l.strip_prefix("- ")).collect()
}

#[test]
fn every_strategy_of_a_loop_has_its_sentence() {
    let cases = [
        // Independent iterations: one fused loop.
        (
            "fn f(x: &[f64]) -> f64 { let mut s = 0.0; for i in 0..x.len() { s += x[i] * x[i]; } s }",
            "fused, keeps nothing",
        ),
        // The result is needed first; the dear part is kept.
        (
            "fn f(x: f64, n: usize) -> f64 { let mut s = 0.0; for i in 0..n { s += (x * i as f64).exp(); } s.ln() }",
            "run again in the same order, keeps 8 bytes an iteration",
        ),
        // The same, but it waits in the gradient's own buffer.
        (
            "fn f(x: &[f64]) -> f64 { let mut s = 0.0; for i in 0..x.len() { s += x[i].exp(); } s.ln() }",
            "run again in the same order, keeps nothing",
        ),
        // The same with a cheap part: computed again.
        (
            "fn f(x: &[f64]) -> f64 { let mut s = 0.0; for i in 0..x.len() { s += x[i] * x[i]; } s.ln() }",
            "run again in the same order, keeps nothing",
        ),
        // The last overwrite.
        (
            "fn f(x: &[f64]) -> f64 { let mut m = x[0]; for i in 1..x.len() { if x[i] > m { m = x[i]; } } m }",
            "only the last overwrite counts, keeps its index",
        ),
        // A state that the gradient does not need.
        (
            "fn f(x: f64, n: usize) -> f64 { let mut s = x; for _ in 0..n { s = 0.5 * s + x; } s }",
            "run backwards, keeps nothing",
        ),
        // A state that it needs.
        (
            "fn f(x: f64, n: usize) -> f64 { let mut s = x; for _ in 0..n { s = s * s; } s }",
            "run backwards, keeps 8 bytes (`s`) an iteration",
        ),
        (
            "fn f(x: f32, n: usize) -> f32 { let mut s = x; for _ in 0..n { s = s * s; } s }",
            "run backwards, keeps 4 bytes (`s`) an iteration",
        ),
        // Two chains that meet in the middle: nothing is gathered.
        (
            "fn f(x: &[f64]) -> f64 { let mut p = 1.0; for i in 0..x.len() { p *= x[i]; } p }",
            "run from both ends at once, forwards and backwards, keeps nothing",
        ),
        // A stencil: each element of the gradient collects from the iterations that read it, in their order.
        (
            "fn f(x: &[f64; 8]) -> [f64; 8] { let mut u = [0.0; 8]; for i in 1..7 { u[i] = x[i - 1] * x[i + 1] + x[i]; } u }",
            "run again in the same order, keeps nothing",
        ),
        // Constant.
        (
            "fn f(x: f64, n: usize) -> f64 { let mut k = 1; for _ in 0..n { k = k * 3 % 7; } x * k as f64 }",
            "needs no backward pass",
        ),
    ];
    let mut wrong = Vec::new();
    for (function, how) in cases {
        let doc = doc(function);
        let said = section(&doc, "Loops");
        if said != [format!("loop at line 14: {how}")] {
            wrong.push(format!("{function}: {said:?}, not {how}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn formulas_of_the_neuron() {
    let doc = doc(
        "fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 { 1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp()) }",
    );
    assert_eq!(
        formulas(&doc),
        [
            "t1 = w[0] * x[0] + w[1] * x[1] + w[2]",
            "t2 = exp(-t1)",
            "neuron = 1 / (1 + t2)",
            "t3 = neuron * (if t1 < 0 { 1 - neuron } else { t2 * neuron })",
            "∂neuron/∂w[0] = t3 * x[0]",
            "∂neuron/∂w[1] = t3 * x[1]",
            "∂neuron/∂w[2] = t3",
            "∂neuron/∂x[0] = t3 * w[0]",
            "∂neuron/∂x[1] = t3 * w[1]",
        ]
    );
    assert_eq!(section(&doc, "Stable forms").len(), 1);
    assert!(
        doc.contains("| the function | 4 | 2 | 1 | 1 | 0 |"),
        "{doc}"
    );
    assert!(
        doc.contains("| value and gradient | 5 | 8 | 1 | 1 | 2 |"),
        "{doc}"
    );
    assert_eq!(
        section(&doc, "Kept between `forward` and `backward`"),
        ["8 bytes", "`w`, borrowed", "`x`, borrowed"]
    );
}

#[test]
fn steps_of_loops_and_branches() {
    let doc = doc("fn f(mu: f64, t: &[f64], y: &[f64]) -> f64 {
        let mut total = 0.0;
        for i in 0..t.len() { let r = mu * t[i] - y[i]; total += r * r; }
        if mu > 0.0 { total } else { -mu }
    }");
    let lines = formulas(&doc);
    for wanted in [
        "for i in 0..t.len():",
        "    r = mu * t[i] - y[i]",
        "    total += r * r",
        "if mu > 0:",
        "    f = total",
        "otherwise:",
        "    f = -mu",
    ] {
        assert!(lines.contains(&wanted), "{wanted} is not in {lines:#?}");
    }
    assert_eq!(
        section(&doc, "Kinks"),
        ["branches: the derivative of the side that is taken"]
    );
}

#[test]
fn kinks_are_listed_once() {
    let doc = doc("fn f(x: f64, y: f64) -> f64 { x.abs() + y.abs() + x.max(y) + x.floor() }");
    assert_eq!(
        section(&doc, "Kinks"),
        [
            "`abs` at 0: 0",
            "`max` and `min` where both are equal: half for each",
            "rounding: 0 everywhere"
        ]
    );
}

#[test]
fn stable_forms_are_listed() {
    let doc = doc_with("stable", "fn f(z: f64) -> f64 { (1.0 + z.exp()).ln() }");
    assert_eq!(
        section(&doc, "Stable forms"),
        [
            "line 14: `ln(1 + exp(z))` is computed as `max(z, 0) + ln_1p(exp(-|z|))`",
            "fused: softplus: its slope is the sigmoid, from the same exp",
        ]
    );
}

#[test]
fn the_documentation_is_bounded() {
    let factors: String = (0..400).map(|k| format!("let p = p * x[{k}];")).collect();
    let long = doc(&format!(
        "fn f(x: &[f64; 400]) -> f64 {{ let p = 1.0; {factors} p }}"
    ));
    assert!(long.len() < 100_000, "{}", long.len());
    assert!(long.contains("more steps are not shown") && long.contains("too large to be drawn"));
    let sum = (0..2500).map(|k| format!("x * {k}.5")).collect::<Vec<_>>();
    let statements: String = sum.iter().map(|s| format!("s += {s};")).collect();
    let longer = doc(&format!(
        "fn f(x: f64) -> f64 {{ let mut s = 0.0; {statements} s }}"
    ));
    assert!(longer.contains("too large for formulas") && !longer.contains("<svg"));
}

/// The blocks of HTML must not be cut by a blank line, which would make Markdown of the rest.
#[test]
fn html_has_no_blank_lines() {
    let doc = doc(
        "fn f(x: f64, y: f64) -> f64 { let a = x * y; if a > 1.0 { a.sin() } else { a.exp() / y } }",
    );
    for block in ["<div", "<svg"] {
        let start = doc.find(block).unwrap();
        let end = if block == "<div" { "</div>" } else { "</svg>" };
        let inside = &doc[start..start + doc[start..].find(end).unwrap()];
        assert!(!inside.contains("\n\n"), "{inside}");
    }
    assert_eq!(doc.matches("<math").count(), doc.matches("</math>").count());
    assert_eq!(
        doc.matches("<mrow>").count(),
        doc.matches("</mrow>").count()
    );
    assert!(doc.contains("fill=\"currentColor\"") && doc.contains("stroke=\"currentColor\""));
}

#[test]
fn a_loop_inside_of_another_has_another_index() {
    // The sum that stays goes to `p[i]`; a loop of the gradient's own adds to `p[j]`.
    let doc = doc("fn f(p: &[[f64; 3]]) -> f64 {
        let mut e = 0.0;
        for i in 0..p.len() {
            for j in 0..i {
                let mut r2 = 0.0;
                for k in 0..3 {
                    let d = p[i][k] - p[j][k];
                    r2 += d * d;
                }
                e += 1.0 / r2;
            }
        }
        e
    }");
    assert!(!doc.contains("p[j][j]"), "{doc}");
    assert!(doc.contains("p[j][j′]") || doc.contains("p[j][k]"), "{doc}");
}
