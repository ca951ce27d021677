//! Runs inside of the scratch project: compares what the macro made of a program with dual numbers.
//!
//! In: a program as written, over `Dual`, and through each of its derivative functions, with inputs. Out: one line per
//! program: that it agrees, that it cannot be judged, or in what it differs. Must hold: no program stops the others,
//! whether it panics or never ends.

use crate::dual::{Dual, SINGULAR, c};
use std::fmt::Write;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A point.
pub struct Input {
    pub x: f64,
    pub y: f64,
    pub a: [f64; 4],
    pub s: &'static [f64],
    pub n: usize,
}

/// Everything that the functions of one program return at one point; gradients are flat, in the order of parameters.
pub struct Derived {
    pub plain: f64,
    pub fused: (f64, Vec<f64>),
    pub forward: f64,
    pub backward: Vec<f64>,
    pub again: Vec<f64>,
    pub doubled: Vec<f64>,
    /// From buffers filled with `START`, and with an upstream gradient of `UPSTREAM`.
    pub accumulated: (f64, Vec<f64>),
}

pub const START: f64 = 0.75;
pub const UPSTREAM: f64 = -1.5;

/// A program takes microseconds; one that takes longer never ends.
const PATIENCE: Duration = Duration::from_secs(5);

type Reference = fn(Dual, Dual, [Dual; 4], &[Dual], usize) -> Dual;

/// One program, with functions that run it.
pub struct Program {
    pub name: &'static str,
    pub derived: fn(&Input) -> Derived,
    pub reference: Reference,
    pub inputs: &'static [Input],
}

/// Makes the `Program` of an annotated function.
#[macro_export]
macro_rules! program {
    ($name:ident, [$($input:expr),* $(,)?]) => {{
        use $crate::compare::{Derived, Input, Program, START, UPSTREAM};
        fn derived(i: &Input) -> Derived {
            macro_rules! flat {
                ($g:expr) => {{
                    let g = $g;
                    [&[g.x, g.y], &g.a[..], &g.s[..]].concat()
                }};
            }
            let (value, gradient) = $name::value_and_gradient(i.x, i.y, i.a, i.s, i.n);
            let (forward, saved) = $name::forward(i.x, i.y, i.a, i.s, i.n);
            let (mut x, mut y, mut a, mut s) = (START, START, [START; 4], vec![START; i.s.len()]);
            let total =
                $name::accumulate(i.x, i.y, i.a, i.s, i.n, UPSTREAM, &mut x, &mut y, &mut a, &mut s);
            Derived {
                plain: $name(i.x, i.y, i.a, i.s, i.n),
                fused: (value, flat!(gradient)),
                forward,
                backward: flat!($name::backward(&saved, 1.0)),
                again: flat!($name::backward(&saved, 1.0)),
                doubled: flat!($name::backward(&saved, 2.0)),
                accumulated: (total, [&[x, y], &a[..], &s[..]].concat()),
            }
        }
        Program { name: stringify!($name), derived, reference: dual::$name, inputs: &[$($input),*] }
    }};
}

/// Checks all programs but those named by the arguments, and prints a line for each, with `\x1f` for a line break.
pub fn main(programs: Vec<Program>) {
    let known: Vec<String> = std::env::args().skip(1).collect();
    std::panic::set_hook(Box::new(|_| ()));
    let mut hanging = 0;
    for program in programs
        .into_iter()
        .filter(|p| known.iter().all(|k| k != p.name))
    {
        let name = program.name;
        let (done, wait) = mpsc::channel();
        if hanging < 3 {
            thread::spawn(move || done.send(program.check()));
        }
        let verdict = match wait.recv_timeout(if hanging < 3 {
            PATIENCE
        } else {
            Duration::ZERO
        }) {
            Ok(verdict) => verdict,
            Err(_) if hanging == 3 => "skip others hang".to_owned(),
            Err(_) => {
                hanging += 1;
                format!("fail hang: runs for more than {PATIENCE:?}")
            }
        };
        println!("{name} {}", verdict.replace('\n', "\x1f"));
    }
    println!("done");
}

/// The reference of one point.
struct Expected {
    value: f64,
    gradient: Vec<f64>,
    /// What rounding may change in each entry.
    slack: Vec<f64>,
}

impl Program {
    fn check(&self) -> String {
        let mut skipped = Vec::new();
        for (number, input) in self.inputs.iter().map(black_box).enumerate() {
            let expected = match catch_unwind(|| self.expected(input)) {
                Ok(Ok(expected)) => expected,
                Ok(Err(reason)) => {
                    skipped.push(reason);
                    continue;
                }
                Err(_) => {
                    skipped.push("panics");
                    continue;
                }
            };
            let found = match catch_unwind(AssertUnwindSafe(|| (self.derived)(input))) {
                Ok(found) => expected.differs(&found),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    let text = text
                        .or_else(|| panic.downcast_ref::<&str>().copied())
                        .unwrap_or("?");
                    Some(format!("panic: {text}"))
                }
            };
            if let Some(found) = found {
                let all = format!(
                    "value {:?}, gradient {:?}",
                    expected.value, expected.gradient
                );
                return format!("fail {found}\n  point {number}, where dual numbers give {all}");
            }
        }
        match skipped.first() {
            None => "ok".to_owned(),
            Some(reason) if skipped.len() == self.inputs.len() => format!("skip {reason}"),
            Some(reason) => format!("part {reason}"),
        }
    }

    /// One run per direction; an error says why this point decides nothing.
    fn expected(&self, i: &Input) -> Result<Expected, &'static str> {
        let len = 6 + i.s.len();
        let run = |direction: usize| {
            let at = |k: usize, v: f64| {
                if k == direction {
                    Dual::variable(v)
                } else {
                    c(v)
                }
            };
            let a = std::array::from_fn(|k| at(2 + k, i.a[k]));
            let s: Vec<Dual> = i.s.iter().enumerate().map(|(k, &v)| at(6 + k, v)).collect();
            (self.reference)(at(0, i.x), at(1, i.y), a, &s, i.n)
        };
        SINGULAR.set(false);
        let runs: Vec<Dual> = (0..len).map(run).collect();
        let largest = |part: fn(&Dual) -> f64| runs.iter().map(part).fold(0.0, f64::max);
        let (steepest, terms) = (largest(|r| r.d.abs()), largest(|r| r.m));
        let finite = |r: &Dual| r.v.is_finite() && r.d.is_finite() && r.m.is_finite();
        if !runs.iter().all(finite) {
            return Err("not finite");
        }
        // Times the zero gradient of a value that is not used in the end, such a slope is NaN: a question of its own.
        if SINGULAR.get() {
            return Err("not finite inside");
        }
        if terms > 1e6 * steepest.max(1e-6) {
            return Err("ill-conditioned");
        }
        Ok(Expected {
            value: runs[0].v,
            gradient: runs.iter().map(|r| r.d).collect(),
            // A program of a thousand operations on a path rounds by 1e-13 of its terms at most. Products below the
            // normal numbers lose bits of their own.
            slack: runs
                .iter()
                .map(|r| 1e-12 * r.m + f64::MIN_POSITIVE)
                .collect(),
        })
    }
}

impl Expected {
    fn differs(&self, found: &Derived) -> Option<String> {
        let values = [
            ("the function", found.plain),
            ("value_and_gradient", found.fused.0),
            ("forward", found.forward),
            ("accumulate", found.accumulated.0),
        ];
        for (what, value) in values {
            if value.to_bits() != self.value.to_bits() {
                return Some(format!(
                    "value: {what} returns {value:?}, not {:?}",
                    self.value
                ));
            }
        }
        let bits = |g: &[f64]| g.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        if bits(&found.backward) != bits(&found.again) {
            return Some(format!(
                "again: backward gives {:?}, then {:?}",
                found.backward, found.again
            ));
        }
        let gradients = [
            ("value_and_gradient", &found.fused.1, 1.0, 0.0),
            ("backward", &found.backward, 1.0, 0.0),
            ("backward(&saved, 2.0)", &found.doubled, 2.0, 0.0),
            ("accumulate", &found.accumulated.1, UPSTREAM, START),
        ];
        for (what, gradient, scale, start) in gradients {
            if let Some(found) = self.gradient_differs(gradient, scale, start) {
                return Some(format!("gradient: {what} {found}, all of it {gradient:?}"));
            }
        }
        let twice: Vec<f64> = found.backward.iter().map(|v| 2.0 * v).collect();
        let same = found
            .doubled
            .iter()
            .zip(&twice)
            .all(|(a, b)| a == b || (a - b).abs() <= f64::MIN_POSITIVE);
        (!same).then(|| {
            format!(
                "doubled: backward(&saved, 2.0) gives {:?}, not {twice:?}",
                found.doubled
            )
        })
    }

    fn gradient_differs(&self, gradient: &[f64], scale: f64, start: f64) -> Option<String> {
        if gradient.len() != self.gradient.len() {
            return Some(format!(
                "has {} entries, not {}",
                gradient.len(),
                self.gradient.len()
            ));
        }
        let mut text = String::new();
        for (k, got) in gradient.iter().enumerate() {
            let want = start + scale * self.gradient[k];
            let slack = 2.0 * self.slack[k] + 4.0 * f64::EPSILON * start;
            // Written so that NaN differs.
            let close = (got - want).abs() <= slack;
            if !close && text.is_empty() {
                let name = match k {
                    0 => "x".to_owned(),
                    1 => "y".to_owned(),
                    2..6 => format!("a[{}]", k - 2),
                    _ => format!("s[{}]", k - 6),
                };
                let _ = write!(
                    text,
                    "gives {got:?} for {name}, not {want:?} (within {slack:.1e})"
                );
            }
        }
        (!text.is_empty()).then_some(text)
    }
}
