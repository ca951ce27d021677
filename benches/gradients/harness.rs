//! Checks and times the three sides of a row: the function itself, its gradient written by hand, the macro's.
//!
//! The sides take turns in short batches (plain, hand, macro, plain, …), so that a change of clock speed or a busy neighbour hits all
//! of them; the table quotes medians over the batches, in brackets the fastest batch.

use crate::counting::{Heap, heap_of};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A gradient as a row's functions write it, seen as one run of numbers.
pub trait Gradient {
    fn numbers(&self) -> &[f64];
}

impl<const N: usize> Gradient for [f64; N] {
    fn numbers(&self) -> &[f64] {
        self
    }
}

impl<const M: usize, const N: usize> Gradient for [[f64; M]; N] {
    fn numbers(&self) -> &[f64] {
        self.as_flattened()
    }
}

impl Gradient for Vec<f64> {
    fn numbers(&self) -> &[f64] {
        self
    }
}

/// One run of the benchmark: what to measure, for how long, and whether anything disagreed.
pub struct Bench {
    filters: Vec<String>,
    /// What all batches of one row may take together; nothing to only check it.
    budget: Option<Duration>,
    header_printed: bool,
    disagreements: usize,
}

impl Bench {
    /// Reads the command line: `--quick`, and words of which a row's name must contain one.
    ///
    /// `cargo bench` passes `--bench`; without it (`cargo test --all-targets`) rows are checked and not timed.
    pub fn from_args() -> Self {
        let (flags, filters): (Vec<_>, Vec<_>) = std::env::args()
            .skip(1)
            .partition(|arg| arg.starts_with("--"));
        let mut bench = Self {
            filters,
            budget: None,
            header_printed: false,
            disagreements: 0,
        };
        let mut quick = false;
        for flag in flags {
            match flag.as_str() {
                "--bench" => bench.budget = Some(Duration::from_millis(1500)),
                "--quick" => quick = true,
                other => {
                    eprintln!("unknown option {other}; known: --quick, and parts of names");
                    std::process::exit(2);
                }
            }
        }
        if quick {
            bench.budget = bench.budget.map(|_| Duration::from_millis(150));
        }
        bench
    }

    /// One row of the table. `blank` is a gradient buffer of the right size with anything in it: both gradients must overwrite it all.
    pub fn row<G: Gradient + Clone>(
        &mut self,
        name: &str,
        blank: G,
        mut plain: impl FnMut() -> f64,
        mut by_hand: impl FnMut(&mut G) -> f64,
        mut by_macro: impl FnMut(&mut G) -> f64,
    ) {
        if !self.filters.is_empty() && !self.filters.iter().any(|f| name.contains(f)) {
            return;
        }
        let (mut hand, mut generated) = (blank.clone(), blank);
        let value = plain();
        let (hand_value, hand_heap) = heap_of(|| by_hand(&mut hand));
        let (macro_value, macro_heap) = heap_of(|| by_macro(&mut generated));
        let disagreement = differ("the value by hand", value, hand_value)
            .or_else(|| differ("the macro's value", value, macro_value))
            .or_else(|| far_apart(hand.numbers(), generated.numbers()));
        if let Some(what) = disagreement {
            println!("{name}: {what}");
            self.disagreements += 1;
            return;
        }
        let Some(budget) = self.budget else {
            println!("{name}: checked");
            return;
        };
        let times = interleave(budget, &mut plain, &mut || by_hand(&mut hand), &mut || {
            by_macro(&mut generated)
        });
        self.print(name, times, [hand_heap, macro_heap]);
    }

    fn print(&mut self, name: &str, [plain, hand, generated]: [Times; 3], heaps: [Heap; 2]) {
        if !self.header_printed {
            self.header_printed = true;
            println!(
                "| {:13} | {:>19} | {:>19} | {:>19} | {:>13} | {:>13} | {:>13} | {:>15} | {:>16} |",
                "name",
                "plain ns",
                "hand ns",
                "macro ns",
                "hand/plain",
                "macro/plain",
                "macro/hand",
                "heap by hand",
                "heap by macro"
            );
            println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        }
        let ratio = |a: &Times, b: &Times| {
            format!("{:.2} ({:.2})", a.median / b.median, a.fastest / b.fastest)
        };
        let heap = |h: Heap| match h.allocations {
            0 => "0".to_owned(),
            n => format!("{} in {n}", h.bytes),
        };
        println!(
            "| {name:13} | {:>19} | {:>19} | {:>19} | {:>13} | {:>13} | {:>13} | {:>15} | {:>16} |",
            plain.to_string(),
            hand.to_string(),
            generated.to_string(),
            ratio(&hand, &plain),
            ratio(&generated, &plain),
            ratio(&generated, &hand),
            heap(heaps[0]),
            heap(heaps[1]),
        );
    }

    /// Ends the run, in failure if any row disagreed.
    pub fn finish(self) {
        if self.disagreements > 0 {
            eprintln!("{} rows disagree", self.disagreements);
            std::process::exit(1);
        }
    }
}

fn differ(what: &str, expected: f64, found: f64) -> Option<String> {
    (expected.to_bits() != found.to_bits())
        .then(|| format!("{what} is {found:e}, the function's is {expected:e}"))
}

/// Relative to the largest component: a gradient is a direction, and a tiny component beside a large one may carry its rounding.
fn far_apart(hand: &[f64], generated: &[f64]) -> Option<String> {
    let norm = hand.iter().fold(0.0_f64, |norm, g| norm.max(g.abs()));
    if hand.len() != generated.len() {
        return Some(format!(
            "{} components by hand, {} by macro",
            hand.len(),
            generated.len()
        ));
    }
    // Written so that a NaN on either side counts as a disagreement.
    let agree = |(h, g): (&f64, &f64)| (h - g).abs() <= 1e-9 * norm;
    let i = hand.iter().zip(generated).position(|pair| !agree(pair))?;
    Some(format!(
        "component {i} of the gradient is {:e} by hand, {:e} by macro",
        hand[i], generated[i]
    ))
}

/// Nanoseconds per call.
struct Times {
    median: f64,
    fastest: f64,
}

impl Times {
    fn of(mut batches: Vec<f64>) -> Self {
        batches.sort_by(f64::total_cmp);
        Self {
            median: batches[batches.len() / 2],
            fastest: batches[0],
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median < 1000.0 { 1 } else { 0 };
        write!(f, "{:.digits$} ({:.digits$})", self.median, self.fastest)
    }
}

fn interleave(
    budget: Duration,
    plain: &mut impl FnMut() -> f64,
    hand: &mut impl FnMut() -> f64,
    generated: &mut impl FnMut() -> f64,
) -> [Times; 3] {
    // Long enough for the clock's resolution not to matter, short enough for hundreds of turns.
    let mut calls = 1;
    while calls < 1 << 20 && batch(calls, plain) * f64::from(calls) < 40_000.0 {
        calls *= 2;
    }
    let mut batches = [const { Vec::new() }; 3];
    let start = Instant::now();
    while start.elapsed() < budget || batches[0].len() < 15 {
        batches[0].push(batch(calls, plain));
        batches[1].push(batch(calls, hand));
        batches[2].push(batch(calls, generated));
    }
    batches.map(Times::of)
}

/// Kept out of line: each side then gets a loop of its own that does not depend on what was inlined around it.
#[inline(never)]
fn batch(calls: u32, side: &mut impl FnMut() -> f64) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(side());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// `n` repeatable numbers, evenly spread over `low..high`: a multiplicative congruential generator is random enough here.
pub fn uniform(n: usize, low: f64, high: f64) -> Vec<f64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        low + (high - low) * (state >> 11) as f64 / (1_u64 << 53) as f64
    })
    .take(n)
    .collect()
}
