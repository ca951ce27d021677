//! Tests: the functions of the test suite, mutated at random, never make the compiler panic or emit what does not parse.
//!
//! Tokens are deleted, repeated, exchanged, and replaced by others of the suite, so that what comes out is close to what a person
//! could write by mistake. What still parses as a function is compiled, under options drawn at random. It is differentiated or
//! rejected; which of the two is of no interest here. `BACKPROP_MUTATED=20000` compiles more of them, `BACKPROP_SEED=2` others.

use crate::check::points::Random;
use crate::check::tests::{Annotated, suite};
use crate::source::Source;
use proc_macro2::{Delimiter, Group, Literal, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the suite has too little of.
const WORDS: &str = "x y i n k 0 1 2 0.0 1.0 1e308 f32 f64 usize i64 bool self len iter iter_mut map zip rev enumerate skip take sum \
    product fold windows chunks abs max min sqrt ln exp powi powf clamp clone swap push pop first last get unwrap break continue \
    return true false None Some mut ref as u8 255 1000000 18446744073709551615 vec detach f copysign to_vec split_at concat";

const OPTIONS: [&str; 16] = [
    "",
    "",
    "",
    "jvp",
    "hvp",
    "stable",
    "check",
    "checkpoint = 3",
    "checkpoint",
    "trace",
    "graph",
    "source",
    "jacobian",
    "hessian",
    "wrt(x)",
    "cost(max_ratio = 3.0)",
];

struct Mutator {
    random: Random,
    words: Vec<TokenTree>,
    groups: Vec<Group>,
}

impl Mutator {
    fn below(&mut self, n: usize) -> usize {
        ((self.random.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    fn word(&mut self) -> TokenTree {
        let k = self.below(self.words.len());
        self.words[k].clone()
    }

    /// One change somewhere in the tokens: deeper where there is a group, more often than not.
    fn change(&mut self, tokens: TokenStream) -> TokenStream {
        let mut all: Vec<TokenTree> = tokens.into_iter().collect();
        if all.is_empty() {
            return vec![self.word()].into_iter().collect();
        }
        let groups: Vec<usize> = (0..all.len())
            .filter(|&k| matches!(&all[k], TokenTree::Group(g) if !g.stream().is_empty()))
            .collect();
        if !groups.is_empty() && self.random.unit() < 0.8 {
            let k = groups[self.below(groups.len())];
            if let TokenTree::Group(g) = &all[k] {
                let inner = self.change(g.stream());
                all[k] = TokenTree::Group(Group::new(g.delimiter(), inner));
            }
            return all.into_iter().collect();
        }
        let (k, other) = (self.below(all.len()), self.below(all.len()));
        match self.below(7) {
            0 => drop(all.remove(k)),
            1 => all.insert(k, all[k].clone()),
            2 => all.swap(k, other),
            3 => all.insert(other, all[k].clone()),
            4 => self.statement(&mut all, k),
            _ => self.replace(&mut all, k),
        }
        all.into_iter().collect()
    }

    fn replace(&mut self, all: &mut [TokenTree], k: usize) {
        match &all[k] {
            TokenTree::Ident(_) | TokenTree::Literal(_) => all[k] = self.word(),
            TokenTree::Punct(p) => {
                let signs = [
                    '+', '-', '*', '/', '%', '<', '>', '=', '&', '!', '.', ',', ';', '|',
                ];
                let mut sign = proc_macro2::Punct::new(signs[self.below(signs.len())], p.spacing());
                sign.set_span(p.span());
                all[k] = TokenTree::Punct(sign);
            }
            TokenTree::Group(g) => {
                let delimiter = g.delimiter();
                for _ in 0..20 {
                    let n = self.below(self.groups.len());
                    if self.groups[n].delimiter() == delimiter {
                        all[k] = TokenTree::Group(self.groups[n].clone());
                        return;
                    }
                }
            }
        }
    }

    /// Removes, repeats or moves what stands between two semicolons.
    fn statement(&mut self, all: &mut Vec<TokenTree>, k: usize) {
        let end = |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == ';');
        let from = all[..k].iter().rposition(end).map_or(0, |p| p + 1);
        let to = all[k..]
            .iter()
            .position(end)
            .map_or(all.len(), |p| k + p + 1);
        let taken: Vec<TokenTree> = all[from..to].to_vec();
        if self.random.unit() < 0.5 {
            all.drain(from..to);
        }
        if self.random.unit() < 0.5 {
            let at = self.below(all.len() + 1);
            all.splice(at..at, taken);
        }
    }
}

fn gather(tokens: TokenStream, words: &mut Vec<TokenTree>, groups: &mut Vec<Group>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(g) => {
                gather(g.stream(), words, groups);
                if g.delimiter() != Delimiter::None {
                    groups.push(g);
                }
            }
            TokenTree::Punct(_) => {}
            word => words.push(word),
        }
    }
}

#[test]
fn mutated_functions_are_differentiated_or_rejected() {
    let number = |name: &str, default: u64| {
        let given = std::env::var(name).ok();
        given.map_or(default, |n| n.parse().expect("a number"))
    };
    let (count, seed) = (number("BACKPROP_MUTATED", 400), number("BACKPROP_SEED", 1));
    let mut seeds = Vec::new();
    for path in suite() {
        let Ok(file) = syn::parse_file(&std::fs::read_to_string(&path).unwrap()) else {
            continue;
        };
        let mut found = Annotated::default();
        syn::visit::Visit::visit_file(&mut found, &file);
        let source = path.clone();
        seeds.extend(
            found
                .0
                .into_iter()
                .map(|(f, _)| (source.clone(), f.to_token_stream())),
        );
    }
    assert!(seeds.len() > 300, "only {} functions", seeds.len());
    let (mut words, mut groups) = (Vec::new(), Vec::new());
    for (_, f) in &seeds {
        gather(f.clone(), &mut words, &mut groups);
    }
    let own: TokenStream = WORDS.parse().unwrap();
    for _ in 0..words.len() / 200 {
        words.extend(own.clone());
    }
    words.push(Literal::f64_unsuffixed(f64::MAX).into());
    words.push(format_ident!("__x").into());
    let mut m = Mutator {
        random: Random::new(seed),
        words,
        groups,
    };
    let (mut compiled, mut rejected, mut failures) = (0, 0, Vec::new());
    while compiled < count {
        let k = m.below(seeds.len());
        let (path, mut tokens) = seeds[k].clone();
        for _ in 0..=m.below(4) {
            tokens = m.change(tokens);
        }
        // What does not parse is rustc's to report.
        if syn::parse2::<syn::ItemFn>(tokens.clone()).is_err() {
            continue;
        }
        compiled += 1;
        let option = OPTIONS[m.below(OPTIONS.len())];
        let text = tokens.to_string();
        let run = || {
            let source = Source::new(Some(path.clone()));
            crate::compile::compile(option.parse().unwrap(), tokens.clone(), &source, &|_| 0)
        };
        let start = std::time::Instant::now();
        match catch_unwind(AssertUnwindSafe(run)) {
            Err(_) => failures.push(format!("panics under `{option}`:\n{text}")),
            Ok(out) => {
                rejected += u64::from(out.to_string().contains("compile_error"));
                if let Err(e) = syn::parse2::<syn::File>(out) {
                    failures.push(format!(
                        "`{option}` emits what does not parse ({e}):\n{text}"
                    ));
                }
            }
        }
        if start.elapsed().as_secs() > 20 {
            failures.push(format!(
                "takes {:?} under `{option}`:\n{text}",
                start.elapsed()
            ));
        }
    }
    println!("{compiled} compiled, {rejected} of them rejected");
    assert!(
        failures.is_empty(),
        "{} of {compiled}:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    assert!(rejected < compiled, "nothing was differentiated");
}

/// What was found by it, as small as it gets.
#[test]
fn what_once_panicked_does_not() {
    for (option, f) in [
        // A loop of which nothing says how often it runs has no root of that number.
        (
            "checkpoint",
            "fn f(x: f64, n: usize) -> f64 { let mut s = x; let mut k = 0; while k < n { s = s * s; k += 1; } s }",
        ),
        // An index that is out of bounds, known while compiling, is no part of a name.
        (
            "",
            "fn f(v: &[f64]) -> f64 { let i = 0; let y = v[i - 1]; y * y * v[0] }",
        ),
    ] {
        let function = f.parse().unwrap();
        let out = crate::compile::compile(
            option.parse().unwrap(),
            function,
            &Source::default(),
            &|_| 0,
        );
        assert!(syn::parse2::<syn::File>(out).is_ok(), "{f}");
    }
}
