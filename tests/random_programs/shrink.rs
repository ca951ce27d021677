//! Makes a failing program small.
//!
//! In: a program that fails and a way to try others, many at a time since each try costs a compilation. Out: a program
//! that fails in the same way and of which nothing tried could be taken away. Must hold: it ends, after a number of
//! rounds or some minutes.

use super::ast::*;
use super::generate::is_variable;
use super::print;
use super::translate::tokens;
use statements::bodies;
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[path = "smaller_expressions.rs"]
mod expressions;
#[path = "smaller.rs"]
mod statements;

/// How many programs are compiled together.
const BATCH: usize = 40;

/// Programs that hang take long to try.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn minimise(
    program: Program,
    rounds: usize,
    fails: impl Fn(&[Program]) -> Vec<bool>,
) -> Program {
    let mut best = program;
    let (mut spent, start) = (0, Instant::now());
    'smaller: loop {
        let now = text(&best);
        let mut seen = HashSet::from([now.clone()]);
        let mut tries: Vec<(bool, usize, Program)> = Vec::new();
        for p in programs(&best) {
            let text = text(&p);
            if names_are_declared(&text) && seen.insert(text.clone()) {
                // Whole lines go first.
                let bold = text.lines().count() < now.lines().count();
                tries.push((!bold, text.split_whitespace().map(str::len).sum(), p));
            }
        }
        tries.sort_by_key(|(cautious, len, _)| (*cautious, *len));
        for group in tries.chunk_by(|a, b| a.0 == b.0) {
            let batches = group.len().div_ceil(BATCH);
            for first in 0..batches {
                if spent >= rounds || start.elapsed() > PATIENCE {
                    return best;
                }
                spent += 1;
                // Each batch has some large and some small cuts.
                let batch = group.iter().skip(first).step_by(batches);
                let batch: Vec<Program> = batch.map(|(.., p)| p.clone()).collect();
                let verdicts = fails(&batch);
                if let Some((smallest, _)) =
                    batch.into_iter().zip(verdicts).find(|(_, fails)| *fails)
                {
                    best = smallest;
                    continue 'smaller;
                }
            }
        }
        return best;
    }
}

fn text(p: &Program) -> String {
    let inputs: String = p.inputs.iter().map(print::input).collect();
    print::program(p, "p") + &inputs
}

/// Spares the compiler most programs that lost a declaration: a name that the generator gives to variables follows
/// a `let` or `for` somewhere before.
fn names_are_declared(text: &str) -> bool {
    let mut declared: HashSet<&str> = HashSet::new();
    let (mut declaring, mut previous) = (false, "");
    for word in tokens(text).into_iter().filter(|t| !t.trim().is_empty()) {
        match word {
            "let" | "for" => declaring = true,
            "=" | "in" | ":" => declaring = false,
            _ if declaring => _ = declared.insert(word),
            _ => {
                let used = previous != "." && previous != "'" && is_variable(word);
                if used && !declared.contains(word) {
                    return false;
                }
            }
        }
        previous = word;
    }
    true
}

fn programs(p: &Program) -> Vec<Program> {
    let mut out: Vec<Program> = Vec::new();
    if p.inputs.len() > 1 {
        out.extend(p.inputs.iter().map(|input| Program {
            inputs: vec![input.clone()],
            ..p.clone()
        }));
        // The others follow once it is known which point fails.
        return out;
    }
    out.extend(
        bodies(&p.body)
            .into_iter()
            .filter(|b| b.value.is_some())
            .map(|body| Program { body, ..p.clone() }),
    );
    if p.mutable != [false; 3] {
        out.push(Program {
            mutable: [false; 3],
            ..p.clone()
        });
    }
    for i in inputs(&p.inputs[0]) {
        out.push(Program {
            inputs: vec![i],
            ..p.clone()
        });
    }
    out
}

fn inputs(i: &Input) -> Vec<Input> {
    let mut out = Vec::new();
    if i.s.len() > 1 {
        out.push(Input {
            s: i.s[..1].to_vec(),
            ..i.clone()
        });
    }
    for n in 0..i.n {
        out.push(Input { n, ..i.clone() });
    }
    let round = |v: &f64| (v * 2.0).round() / 2.0;
    out.push(Input {
        x: round(&i.x),
        ..i.clone()
    });
    out.push(Input {
        y: round(&i.y),
        ..i.clone()
    });
    out.push(Input {
        a: i.a.map(|v| round(&v)),
        ..i.clone()
    });
    out.push(Input {
        s: i.s.iter().map(round).collect(),
        ..i.clone()
    });
    out
}
