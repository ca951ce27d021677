//! Tests: what `check` says of functions that are right, wrong, at a kink, out of their domain, or not to be evaluated.
//!
//! A right function that is rejected is a false alarm, a wrong expectation that passes a miss.

use super::{checked, source};
use crate::errors::Errors;
use crate::options::Options;

/// Functions and attributes that must pass.
const RIGHT: &[(&str, &str)] = &[
    ("fn f(x: f64) -> f64 { x }", "check"),
    ("fn f(x: f64) -> f64 { x * 0.0 + 3.0 }", "check"),
    (
        "fn f(x: f32, y: &[f32; 3]) -> f32 { (x * y[0]).exp() + y[1] / (2.0 + y[2].sin()) }",
        "check",
    ),
    (
        "fn f(x: f64) -> f64 { x.sqrt() + x.ln() }",
        "check(domain(x > 0.0))",
    ),
    (
        "fn f(x: f64) -> f64 { (1.0 - x * x).sqrt() + x.asin() + x.acos() }",
        "check(domain(x in -1.0..1.0))",
    ),
    (
        "fn f(x: f64) -> f64 { (1.0 - x).ln() }",
        "check(domain(x < 1.0))",
    ),
    (
        "fn f(x: f64) -> f64 { x.acosh() }",
        "check(domain(x >= 1.0))",
    ),
    // Constants that overflow when they are multiplied, or moved in front of a product.
    (
        "fn f(x: f64) -> f64 { 1e308 * x * x }",
        "check(points = 0, at(x = 1e-160))",
    ),
    (
        "fn f(x: f64, y: f64, z: f64) -> f64 { 1e-300 * x * y * z }",
        "check(points = 0, at(x = 1e200, y = 1e200, z = 1.0))",
    ),
    // Staircases in `f64`, whose steps the last bits of the point do not show.
    (
        "fn f(x: f64) -> f64 { (x + 1e15).sin() }",
        "check(points = 50)",
    ),
    (
        "fn f(x: f64, y: f64) -> f64 { ((x + 1e14) - 1e14) * y + (y * 1e-3 + 1e13).cos() }",
        "check(points = 50)",
    ),
    // Kinks, ties and jumps at the given points themselves.
    (
        "fn f(x: f64) -> f64 { x.abs() + x.max(0.0) }",
        "check(at(x = 0.0), at(x = -0.0), at(x = 1e-12))",
    ),
    (
        "fn f(x: f64, y: f64) -> f64 { x.max(y) * x.min(y) }",
        "check(at(x = 1.0, y = 1.0), at(x = 0.0, y = 0.0))",
    ),
    (
        "fn f(x: f64) -> f64 { x.clamp(-1.0, 1.0).powi(2) }",
        "check(at(x = 1.0), at(x = -1.0), at(x = 5.0))",
    ),
    (
        "fn f(x: f64) -> f64 { if x >= 1.0 { 2.0 * x } else { x + 1.0 } }",
        "check(at(x = 1.0), points = 100)",
    ),
    (
        "fn f(x: f64) -> f64 { if x >= 1.0 { 2.0 * x } else { x } }",
        "check(at(x = 1.0), points = 100)",
    ),
    (
        "fn f(x: f64) -> f64 { x.floor() + x.fract() * x.round() + (x as i64) as f64 }",
        "check(at(x = 2.0), points = 100)",
    ),
    (
        "fn f(x: f64) -> f64 { x.signum() * x + x.rem_euclid(0.7) }",
        "check(points = 200)",
    ),
    (
        "fn f(x: f64) -> f64 { (x * 40.0).sin().abs().sqrt() }",
        "check(points = 100)",
    ),
    (
        "fn f(v: &[f64]) -> f64 { v.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x)) }",
        "check(len(v = 1), at(v = [2.0, 2.0]))",
    ),
    // Large and small scales, saturation, cancellation.
    (
        "fn f(x: f64) -> f64 { x * x }",
        "check(domain(x in 1e150..2e150))",
    ),
    (
        "fn f(x: f64) -> f64 { x * x * 1e300 }",
        "check(domain(x in 1e-150..2e-150))",
    ),
    (
        "fn f(x: f64) -> f64 { 1.0 / (1.0 + (-x).exp()) }",
        "check(domain(x in 30.0..700.0))",
    ),
    ("fn f(x: f64) -> f64 { (x + 1e8) - 1e8 }", "check"),
    (
        "fn f(x: f64, y: f64) -> f64 { (x * 0.0).sqrt() * y }",
        "check(at(x = 1.0, y = 2.0))",
    ),
    (
        "fn f(x: f64) -> f64 { x.tanh() }",
        "check(domain(x in 10.0..40.0))",
    ),
    (
        "fn f(x: f64) -> f64 { x.powi(20) - x.powi(19) }",
        "check(domain(x in 0.0..3.0))",
    ),
    (
        "fn f(x: f64, n: i32) -> f64 { x.powi(n) }",
        "check(domain(x > 0.5, n in -3..4), points = 40)",
    ),
    (
        "fn f(x: f64) -> f64 { if x > 0.0 { x.sqrt() } else { 0.0 } }",
        "check(at(x = 0.0), points = 40)",
    ),
    (
        "fn f(x: f64) -> f64 { x.abs().powf(0.5) }",
        "check(points = 40)",
    ),
    (
        "fn f(x: f64, b: bool, n: usize) -> f64 { if b { x * n as f64 } else { x.cos() } }",
        "check(domain(n in 0..3))",
    ),
    (
        "fn f(x: f64, n: usize) -> f64 { let v = [x, x * x, 3.0]; v[n] }",
        "check(domain(n in 0..=2), points = 30)",
    ),
    // Shapes.
    (
        "fn f(a: (f64, [f64; 2]), b: &[(f64, usize)]) -> f64 { a.0 * a.1[1] + b.iter().map(|p| p.0 * p.1 as f64).sum::<f64>() }",
        "check(len(b = 3))",
    ),
    (
        "fn f(m: &[Vec<f64>]) -> f64 { m.iter().flatten().map(|x| x * x).sum() }",
        "check(len(m = [2, 3]))",
    ),
    (
        "fn f<const N: usize>(x: &[f64; N]) -> f64 { x.iter().product() }",
        "check(len(N = 5))",
    ),
    (
        "fn f(x: f64) -> (f64, [f64; 2]) { (x.sin(), [x, x * x]) }",
        "check",
    ),
    (
        "fn f(x: &[f64]) -> Vec<f64> { x.iter().map(|v| v * x[0]).collect() }",
        "check",
    ),
    (
        "fn f(v: &mut [f64], x: f64) { for a in v.iter_mut() { *a *= x; } }",
        "check(len(v = 3))",
    ),
    (
        "fn f(v: &mut [f64; 2], x: &mut f64) -> f64 { v[0] *= *x; *x += v[1]; v[0] * *x }",
        "check",
    ),
    (
        "fn f(x: f64) -> f64 { let mut s = x; let mut n = 0; while s.abs() < 10.0 && n < 50 { s = 1.5 * s + 0.1; n += 1; } s }",
        "check(points = 40)",
    ),
    (
        "fn f(x: &[f64]) -> f64 { let mut s = 0.0; for (i, v) in x.iter().enumerate() { if *v < 0.0 { continue; } if i > 2 { break; } s += v.sqrt(); } s }",
        "check(len(x = 6))",
    ),
    (
        "fn f(x: f64) -> f64 { assert!(x > 0.0); x.ln() }",
        "check(points = 20)",
    ),
    (
        "fn f(x: f64) -> f64 { let k: f64 = backprop::detach(x.exp()); k * x }",
        "check",
    ),
    // Expected numbers in every form of the attribute.
    (
        "fn f(w: &[f64; 3], x: &[f64; 2]) -> f64 { 1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp()) }",
        "check(at(w = [2.0, -3.0, -3.0], x = [-1.0, -2.0]), value = 0.731, gradient(w = [-0.197, -0.393, 0.197]), tolerance = 1e-3)",
    ),
    (
        "fn f(w: f64, x: f64) -> f64 { w * x.ln() }",
        "check(domain(w in -3.0..3.0, x > 0.0), points = 16, seed = 3,)",
    ),
    (
        "fn f(x: f64, n: usize) -> f64 { x * n as f64 }",
        "check(at(x = 2.0, n = 3), value = 6.0, gradient(x = 3.0), at(x = -1.0, n = 0), value = 0.0)",
    ),
    (
        "fn f(a: (f64, [f64; 2])) -> (f64, f64) { (a.0 * a.1[0], a.1[1]) }",
        "check(at(a = (2.0, [3.0, 4.0])), value = (6.0, 4.0))",
    ),
    (
        "fn f(x: f64) -> f64 { x.sin() }",
        "check(at(x = std::f64::consts::PI / 6.0), value = 0.5, gradient(x = 0.8660254037844386))",
    ),
];

/// Functions and attributes that must not pass, and what the error says.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "fn f(x: f64) -> f64 { x * x }",
        "check(at(x = 3.0), gradient(x = 6.00001))",
        "is 6.0, not 6.00001",
    ),
    (
        "fn f(x: f64) -> f64 { x * x }",
        "check(at(x = 3.0), value = -9.0)",
        "is 9.0, not -9.0",
    ),
    (
        "fn f(x: &[f64; 2]) -> f64 { x[0] * x[1] }",
        "check(at(x = [2.0, 3.0]), gradient(x = [3.0, 2.5]))",
        "`x[1]` is 2.0, not 2.5",
    ),
    (
        "fn f(x: f64) -> f64 { x.abs() }",
        "check(at(x = 0.0), gradient(x = 1.0))",
        "is 0.0, not 1.0",
    ),
    (
        "fn f(x: f64) -> f64 { x * 1e-9 }",
        "check(at(x = 1.0), gradient(x = 2e-9), tolerance = 1e-12)",
        "not 2e-9",
    ),
    (
        "fn f(x: f64) -> f64 { x.sqrt() }",
        "check(domain(x < -1.0))",
        "its value is NaN",
    ),
    (
        "fn f(x: f64) -> f64 { x.exp() }",
        "check(domain(x > 1000.0))",
        "its value is inf",
    ),
    (
        "fn f(x: f64) -> f64 { x.ln() }",
        "check(at(x = 0.0))",
        "its value is -inf",
    ),
    (
        "fn f(x: &[f64], n: usize) -> f64 { x[n] }",
        "check(len(x = 2), domain(n in 5..9))",
        "panics",
    ),
    (
        "fn f(x: f64) -> f64 { x }",
        "check(at(y = 1.0))",
        "`y` is not a parameter",
    ),
    (
        "fn f(x: f64) -> f64 { x }",
        "check(points = -1)",
        "not a number",
    ),
    (
        "fn f(x: f64) -> f64 { x }",
        "check(at(x = 1.0), value = 1.0, value = 2.0)",
        "twice",
    ),
    (
        "fn f(x: f64) -> f64 { x }",
        "check(points = 2, points = 3)",
        "twice",
    ),
    (
        "fn f(x: f64) -> f64 { x }",
        "check(at(x = 1.0, x = 2.0))",
        "twice",
    ),
];

fn malformed(attribute: &str) -> String {
    let errors = Errors::default();
    let options = Options::parse(attribute.parse().unwrap(), &errors);
    assert!(options.check.is_some());
    errors.texts().join("\n")
}

#[test]
fn right_functions_pass() {
    let mut failures = Vec::new();
    for (f, attribute) in RIGHT {
        match checked(&source(f), attribute, &|_| {}) {
            Some(Ok(remark)) if remark.starts_with("Checked") => {}
            other => failures.push(format!("{f} under {attribute}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn wrong_expectations_do_not() {
    let mut failures = Vec::new();
    for (f, attribute, says) in WRONG {
        match checked(&source(f), attribute, &|_| {}) {
            Some(Err(text)) if text.contains(says) => {}
            // What the attribute says is wrong already.
            None if malformed(attribute).contains(says) => {}
            other => failures.push(format!("{f} under {attribute}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
