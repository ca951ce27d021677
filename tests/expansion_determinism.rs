//! The same source expands to the same tokens in every process: nothing depends on hashing, addresses or time.

#[path = "support/macro_library.rs"]
mod macro_library;

use macro_library::macro_library;
use std::path::Path;
use std::process::Command;

/// Functions that go through every stage: branches, loops, arrays, tapes, calls, many names.
const SOURCE: &str = r#"
use backprop_macro::backprop;

#[backprop]
pub fn straight(a: f64, b: f64, c: f64, d: f64, e: f64) -> f64 {
    (a * b + c) * (d - e) / (a + e) + (a * b).sin() * (c * d).exp() - (b / e).ln()
}

#[backprop]
pub fn stateful<const N: usize>(x: f64, w: &[f64], mut m: [[f64; N]; 3], n: usize) -> (f64, Vec<f64>) {
    let (mut p, mut q, mut r, mut s) = (x, 1.0, 2.0, 3.0);
    let mut out = Vec::new();
    'outer: for i in 0..n {
        for v in w {
            (p, q, r, s) = (q * v, r.sin() + p, s * m[i % 3][0], p * q);
            if p > 10.0 {
                continue 'outer;
            }
            m.swap(i % 3, 0);
        }
        m[i % 3][0] *= straight(p, q, r, s, x);
        out.push(m[0][0]);
        if q < -10.0 {
            break;
        }
    }
    (p * q * r * s, out)
}

#[backprop]
pub fn recursive(x: f64, n: u32) -> f64 {
    if n == 0 { x.tanh() } else { x * recursive(x * 0.5, n - 1) }
}

#[backprop]
pub fn rejected(x: f64, y: f64) -> f64 {
    let a = x.next_up() + y.next_down();
    a * x.midpoint(y)
}
"#;

#[test]
fn two_processes_expand_alike() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("expansion_determinism_source.rs");
    std::fs::write(&file, SOURCE).unwrap();
    let library = macro_library();
    let (first, second) = (expand(&file, &library), expand(&file, &library));
    assert!(
        first.contains("fn accumulate"),
        "nothing was expanded: {first}"
    );
    assert_eq!(first, second);
    // The documentation names lines of this source, whose first is empty.
    let line = 1 + SOURCE
        .lines()
        .position(|l| l.contains("'outer: for"))
        .unwrap();
    let said = format!("loop at line {line}: run backwards, keeps ");
    assert!(first.contains(&said), "{said}");
}

/// The source after macro expansion, with what the compiler says of it.
fn expand(file: &Path, library: &Path) -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=lib", "-Zunpretty=expanded"]);
    command
        .arg("--extern")
        .arg(format!("backprop_macro={}", library.display()))
        .arg(file);
    // `-Z` options are only looked at, not relied upon: the output is compared with itself.
    let output = command.env("RUSTC_BOOTSTRAP", "1").output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
