//! The body of the tests that `check` generates: a gradient against differences, at run time.
//!
//! This file and `differences.rs` are copied into the test, which therefore needs no crate but `std`.

use super::differences::{Verdict, judge, ridders};

/// A small generator: the same points on every run.
pub struct Random(pub u64);

impl Random {
    /// In `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let z = (self.0 ^ (self.0 >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
        low + (high - low) * ((z >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// In `low..=high`.
    pub fn integer(&mut self, low: f64, high: f64) -> f64 {
        self.between(low, high + 1.0).floor().min(high)
    }
}

/// What is expected at one of the points that the user gives.
pub struct Expected<'a> {
    pub value: Option<&'a [f64]>,
    pub gradient: &'a [(usize, &'a [f64])],
    pub tolerance: f64,
}

/// A function, its gradient, and where to compare them.
pub struct Problem<'a, A> {
    pub name: &'a str,
    /// The differentiated parameters, and the domains that differences must not leave.
    pub parameters: &'a [(&'a str, f64, f64)],
    pub expected: &'a [Expected<'a>],
    pub points: usize,
    pub seed: u64,
    pub tolerance: f64,
    /// The step of the differences, relative to the value.
    pub reach: f64,
    /// The arguments at a point: the first are those that the user gives.
    pub build: &'a dyn Fn(&mut Random, usize) -> A,
    pub describe: &'a dyn Fn(&A) -> String,
    /// Visits the floats of the differentiated arguments, each with its parameter.
    pub visit: &'a dyn Fn(&mut A, &mut dyn FnMut(usize, &mut f64)),
    /// Visits the floats of the result.
    pub value: &'a dyn Fn(&A, &mut dyn FnMut(f64)),
    /// The backward passes by the names of the functions that they are: each is compared with the same differences.
    pub passes: &'a [(&'a str, Pass<'a, A>)],
    /// Derivatives of which each is compared at every point; of more, a sample of that size.
    pub elements: usize,
}

/// Visits the floats of the value and of the gradient, given those of the upstream gradient.
pub type Pass<'a, A> = &'a dyn Fn(&A, &[f64], &mut dyn FnMut(f64), &mut dyn FnMut(usize, f64));

impl<A> Problem<'_, A> {
    /// Panics where the gradient is wrong.
    pub fn check(&self) {
        let mut random = Random(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut done = 0;
        let mut tried = 0;
        while done < self.expected.len() + self.points {
            let expected = self.expected.get(done);
            let mut args = (self.build)(&mut random, done);
            let values = self.values(&args);
            if expected.is_none() && !values.iter().all(|v| v.is_finite()) {
                tried += 1;
                std::assert!(
                    tried <= 8 * self.points,
                    "`{}` is finite at none of the points, the last of which is {}: give `check` a `domain(…)`",
                    self.name,
                    (self.describe)(&args)
                );
                continue;
            }
            done += 1;
            if let Some(expected) = expected {
                self.compare(&args, &values, expected);
            }
            self.point(&mut args, &values, &mut random);
        }
    }

    fn values(&self, args: &A) -> Vec<f64> {
        let mut out = Vec::new();
        (self.value)(args, &mut |v| out.push(v));
        out
    }

    /// The derivatives that a pass gives, whose value must be the function's.
    fn slopes(&self, pass: usize, args: &A, upstream: &[f64], values: &[f64]) -> Vec<(usize, f64)> {
        let (name, run) = self.passes[pass];
        let (mut found, mut out) = (Vec::new(), Vec::new());
        run(args, upstream, &mut |v| found.push(v), &mut |k, d| {
            out.push((k, d));
        });
        let size = values.iter().fold(0.0, |size: f64, v| size.max(v.abs()));
        let near = |(a, b): (&f64, &f64)| {
            a == b || (a - b).abs() <= self.tolerance * size || a.is_nan() && b.is_nan()
        };
        std::assert!(
            found.len() == values.len() && found.iter().zip(values).all(near),
            "the value of `{}` that `{}` gives is {:?}, not {:?}, at {}",
            self.name,
            name,
            found,
            values,
            (self.describe)(args)
        );
        out
    }

    fn compare(&self, args: &A, values: &[f64], expected: &Expected) {
        let mut lines = Vec::new();
        let close =
            |got: f64, want: f64| (got - want).abs() <= expected.tolerance * want.abs().max(1.0);
        if let Some(want) = expected.value {
            for (got, want) in values.iter().zip(want) {
                if !close(*got, *want) {
                    lines.push(std::format!("the value is {got}, not {want}"));
                }
            }
        }
        let slopes = self.slopes(0, args, &std::vec![1.0; values.len()], values);
        for (k, wanted) in expected.gradient {
            let found = slopes.iter().filter(|s| s.0 == *k);
            for (i, ((_, got), want)) in found.zip(*wanted).enumerate() {
                if !close(*got, *want) {
                    let name = self.parameters[*k].0;
                    lines.push(std::format!(
                        "the derivative with respect to number {i} of `{name}` is {got}, not {want}"
                    ));
                }
            }
        }
        std::assert!(
            lines.is_empty(),
            "`{}` at {}: {}",
            self.name,
            (self.describe)(args),
            lines.join("; ")
        );
    }

    fn point(&self, args: &mut A, values: &[f64], random: &mut Random) {
        let weights: Vec<f64> = values.iter().map(|_| random.between(0.5, 1.5)).collect();
        let size: f64 = values
            .iter()
            .zip(&weights)
            .map(|(v, w)| (v * w).abs())
            .sum();
        let all: Vec<Vec<(usize, f64)>> = (0..self.passes.len())
            .map(|pass| self.slopes(pass, args, &weights, values))
            .collect();
        let slopes = &all[0];
        for (pass, other) in self.passes.iter().zip(&all) {
            std::assert!(
                other.len() == slopes.len() && other.iter().zip(slopes).all(|(a, b)| a.0 == b.0),
                "the gradient of `{}` has {} numbers, by `{}` {}",
                self.name,
                slopes.len(),
                pass.0,
                other.len()
            );
        }
        let mut counts = std::vec![0usize; self.parameters.len()];
        for (at, (k, _)) in slopes.iter().enumerate() {
            let element = counts[*k];
            counts[*k] += 1;
            // A few hundred evaluations each: of many, a sample.
            let (of, most) = (slopes.len() as f64, self.elements as f64);
            if of > most && random.between(0.0, of) > most {
                continue;
            }
            let mut x = 0.0;
            let mut seen = 0;
            (self.visit)(args, &mut |_, v| {
                if seen == at {
                    x = *v;
                }
                seen += 1;
            });
            std::assert!(
                seen == slopes.len(),
                "the gradient of `{}` has {} numbers, and its parameters {}",
                self.name,
                slopes.len(),
                seen
            );
            let put = |args: &mut A, to: f64| {
                let mut seen = 0;
                (self.visit)(args, &mut |_, v| {
                    if seen == at {
                        *v = to;
                    }
                    seen += 1;
                });
            };
            let (name, low, high) = self.parameters[*k];
            let mut reach = self.reach * x.abs().max(0.5);
            for room in [(x - low).abs(), (high - x).abs()] {
                if room > 0.0 {
                    reach = reach.min(0.9 * room);
                }
            }
            let mut f = |step: f64| {
                put(args, x + step);
                let values = self.values(args);
                let total: f64 = values.iter().zip(&weights).map(|(v, w)| v * w).sum();
                total.is_finite().then_some(total)
            };
            // A kink nearby spoils the larger steps: what the smallest say counts, unless the larger agree already.
            let mut wrong: Vec<_> = self.passes.iter().map(|_| None).collect();
            let mut right = std::vec![false; self.passes.len()];
            let grain = 8.0 * f64::EPSILON * x.abs().max(1e-3);
            for shrink in [1.0, 0.1, 0.01] {
                let Some(found) = ridders(&mut f, reach * shrink, grain) else {
                    continue;
                };
                for (pass, slopes) in all.iter().enumerate() {
                    if right[pass] {
                        continue;
                    }
                    let verdict = judge(slopes[at].1, &found, size, self.tolerance);
                    wrong[pass] = (verdict == Verdict::Wrong).then_some(found);
                    right[pass] = verdict == Verdict::Right;
                }
                if right.iter().all(|&right| right) {
                    break;
                }
            }
            put(args, x);
            for (k, found) in wrong.into_iter().enumerate() {
                let Some(found) = found else { continue };
                let by = match k {
                    0 => String::new(),
                    _ => std::format!(", by `{}`,", self.passes[k].0),
                };
                std::panic!(
                    "the gradient of `{}`{by} with respect to number {} of `{}` is wrong: at {} it is {}, differences give {} (± {:.0e})",
                    self.name,
                    element,
                    name,
                    (self.describe)(args),
                    all[k][at].1,
                    found.slope,
                    found.error
                );
            }
        }
    }
}
