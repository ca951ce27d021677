//! `#[backprop(custom(…))]`: rules that the user supplies, called from annotated functions and compared with differences
//! by a generated test each (`cube_root_check`, …), which run with these.

use backprop::backprop;
use std::path::{Path, PathBuf};
use std::process::Command;

// An implicit solve: x of x³ + x = a, by Newton's method, to a precision that no fixed number of steps would need.
#[backprop(custom(backward = cube_root_backward))]
fn cube_root(a: f64) -> f64 {
    let mut x = 0.0;
    loop {
        let step: f64 = (x * x * x + x - a) / (3.0 * x * x + 1.0);
        x -= step;
        if step.abs() < 1e-15 * (1.0 + x.abs()) {
            return x;
        }
    }
}

fn cube_root_backward(_a: f64, x: f64, upstream: f64) -> f64 {
    upstream / (3.0 * x * x + 1.0)
}

// Arrays, constants, and what is kept is the user's choice.
#[backprop(
    custom(forward = weighted_forward, backward = weighted_backward, residuals = Kept),
    check(len(x = 3), domain(power in 1..4, x > 0.5))
)]
fn weighted(x: &[f64], w: [f64; 2], power: u32) -> f64 {
    weighted_forward(x, w, power).0
}

#[derive(Clone, Debug)]
struct Kept {
    x: Vec<f64>,
    w: [f64; 2],
    power: u32,
}

fn weighted_forward(x: &[f64], w: [f64; 2], power: u32) -> (f64, Kept) {
    let sum: f64 = x.iter().map(|v| v.powi(power as i32)).sum();
    let kept = Kept {
        x: x.to_vec(),
        w,
        power,
    };
    (sum * w[0] + w[1].sin(), kept)
}

fn weighted_backward(kept: &Kept, upstream: f64) -> (Vec<f64>, [f64; 2]) {
    let n = kept.power as i32;
    let slope = |v: &f64| upstream * kept.w[0] * f64::from(n) * v.powi(n - 1);
    let sum: f64 = kept.x.iter().map(|v| v.powi(n)).sum();
    (
        kept.x.iter().map(slope).collect(),
        [upstream * sum, upstream * kept.w[1].cos()],
    )
}

// More results than one, and a generic scalar.
#[backprop(custom(backward = polar_backward))]
fn polar<T: num_traits::Float>(r: T, angle: T) -> (T, T) {
    (r * angle.cos(), r * angle.sin())
}

fn polar_backward<T: num_traits::Float>(r: T, angle: T, _y: (T, T), up: (T, T)) -> (T, T) {
    (
        up.0 * angle.cos() + up.1 * angle.sin(),
        r * (up.1 * angle.cos() - up.0 * angle.sin()),
    )
}

// A result and a parameter of a length known at run time.
#[backprop(custom(backward = reversed_backward))]
fn reversed(v: &[f64], scale: &f64) -> Vec<f64> {
    v.iter().rev().map(|x| x * scale).collect()
}

fn reversed_backward(v: &[f64], scale: &f64, _y: Vec<f64>, up: Vec<f64>) -> (Vec<f64>, f64) {
    let slopes = up.iter().rev().map(|u| u * scale).collect();
    (slopes, v.iter().rev().zip(&up).map(|(x, u)| x * u).sum())
}

#[backprop]
fn caller(a: f64, x: &[f64], w: [f64; 2]) -> f64 {
    let mut s = 0.0;
    for k in 0..3 {
        s += cube_root(a * (k as f64 + 1.0));
    }
    s * weighted(x, w, 2)
}

#[test]
fn annotated_functions_call_through_the_rule() {
    let (a, x, w) = (1.7, [0.5, 2.0, 1.5], [0.3, 0.8]);
    let (y, g) = caller::value_and_gradient(a, &x, w);
    assert_eq!(y, caller(a, &x, w));
    let roots: f64 = (1..4).map(|k| cube_root(a * f64::from(k))).sum();
    let slopes: f64 = (1..4)
        .map(|k| f64::from(k) / (3.0 * cube_root(a * f64::from(k)).powi(2) + 1.0))
        .sum();
    approx::assert_relative_eq!(g.a, slopes * weighted(&x, w, 2), max_relative = 1e-12);
    approx::assert_relative_eq!(g.x[1], roots * 0.3 * 2.0 * 2.0, max_relative = 1e-12);
    approx::assert_relative_eq!(g.w[1], roots * 0.8f64.cos(), max_relative = 1e-12);
    let (_, saved) = caller::forward(a, &x, w);
    assert_eq!(caller::backward(&saved, 1.0), g);
}

#[test]
fn a_rule_has_the_whole_contract() {
    let g = weighted::gradient(&[1.0, 2.0], [0.5, 0.1], 3);
    assert_eq!(g.x, [1.5, 6.0]);
    let (mut dx, mut dw) = (vec![9.0; 2], [9.0; 2]);
    let y = weighted::value_and_gradient_into(&[1.0, 2.0], [0.5, 0.1], 3, &mut dx, &mut dw);
    assert_eq!((y, &dx), (weighted(&[1.0, 2.0], [0.5, 0.1], 3), &g.x));
    weighted::accumulate(&[1.0, 2.0], [0.5, 0.1], 3, 2.0, &mut dx, &mut dw);
    assert_eq!(dx, [4.5, 18.0]);
    let (y, saved) = polar::forward(2.0, 0.5);
    assert_eq!(y, polar(2.0, 0.5));
    assert_eq!(polar::backward(&saved, (1.0, 0.0)).r, 0.5f64.cos());
    let (_, saved) = reversed::forward(&[1.0, 2.0], &3.0);
    let g = reversed::backward(&saved, vec![1.0, 10.0]);
    assert_eq!((g.v, g.scale), (vec![30.0, 3.0], 12.0));
}

/// Rules and numbers that are wrong: each is a failed test, with the number in it.
const WRONG: &str = r#"
use backprop_macro::backprop;

#[backprop(custom(backward = wrong_backward))]
pub fn wrong(a: f64, b: &[f64]) -> f64 { a * b[0] * b[1] * b[1] }
fn wrong_backward(a: f64, b: &[f64], _y: f64, up: f64) -> (f64, Vec<f64>) {
    (up * b[0] * b[1] * b[1], vec![up * a * b[1] * b[1], up * a * b[0] * b[1], 0.0, 0.0])
}

#[backprop(custom(backward = short_backward), check(len(b = 2)))]
pub fn short(b: &[f64]) -> f64 { b[0] + b[1] }
fn short_backward(_b: &[f64], _y: f64, up: f64) -> Vec<f64> { vec![up] }

static TWO: f64 = 2.0;
#[backprop(check(at(x = 3.0), value = 6.0, gradient(x = 2.5), tolerance = 1e-3))]
pub fn expected(x: f64) -> f64 { TWO * x }

#[backprop(check(domain(x < 0.0)))]
pub fn nowhere(x: f64) -> f64 { x.ln() * TWO }

#[backprop(check)]
pub fn right(x: f64) -> f64 { x.sin() * TWO }
"#;

#[test]
fn a_wrong_rule_is_a_failed_test_with_the_number_in_it() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, program) = (dir.join("wrong_rules.rs"), dir.join("wrong_rules"));
    std::fs::write(&file, WRONG).unwrap();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition=2024", "--test", "--extern"])
        .arg(format!("backprop_macro={}", macro_library().display()))
        .arg("-o")
        .args([&program, &file])
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let run = Command::new(&program).output().unwrap();
    let text =
        String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    for said in [
        "test right_check ... ok",
        "test wrong_check ... FAILED",
        "the gradient of `wrong` with respect to number 1 of `b` is wrong",
        "test short_check ... FAILED",
        "the rule gives a gradient of another length for `b`",
        "test expected_check ... FAILED",
        "the derivative with respect to number 0 of `x` is 2, not 2.5",
        "test nowhere_check ... FAILED",
        "is finite at none of the points",
    ] {
        assert!(text.contains(said), "`{said}` is missing:\n{text}");
    }
}

/// The compiled macro, which stands beside the compiled test.
fn macro_library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let files = test.parent().unwrap().read_dir().unwrap();
    let library = |p: &PathBuf| {
        p.file_name()
            .is_some_and(|n| n.to_string_lossy().contains("backprop_macro-"))
            && p.extension()
                .is_some_and(|e| e == std::env::consts::DLL_EXTENSION)
    };
    let newest = files
        .filter_map(|f| Some(f.ok()?.path()))
        .filter(library)
        .max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok());
    newest.expect("the macro was compiled for this test")
}
