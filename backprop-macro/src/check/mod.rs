//! `#[backprop(check)]`: the gradient is compared, while the macro runs, with what does not depend on it.
//!
//! In: the primal, its backward passes after all rewrites, and the points. Every program is run by `evaluate`. Against the
//! forward tangent, which shares the table of rules and nothing else, the dot-product identity must hold to 1e-12; against
//! differences of the primal, which share nothing at all, each derivative must hold to 1e-6. Out: a remark for the
//! documentation, an error that names the point and both numbers, or, where the function cannot be evaluated here, a test
//! that does the same when the user's tests run.

mod differences;
#[cfg(test)]
#[allow(dead_code, clippy::type_complexity)]
// Copied into generated tests; compiled here so that it is known to compile.
mod driver;
mod points;
mod syntax;
mod test;
#[cfg(test)]
mod tests;

pub use syntax::{CheckOptions, number};

use crate::activity::Activity;
use crate::errors::{self, Errors};
use crate::evaluate::{Constants, Evaluator, Inputs, Receiver, Run, Stop, Value};
use crate::items::Programs;
use crate::lower::Primal;
use crate::reverse::Gradient;
use crate::signature::Signature;
use differences::{Verdict, judge, ridders};
use points::Random;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syntax::{Domain, Point};

/// The relative error allowed between the backward passes and the forward tangent.
const EXACT: f64 = 1e-12;
/// The relative error allowed against differences.
const CLOSE: f64 = 1e-6;
/// A const generic parameter that no `len(…)` names.
const DEFAULT_CONST: i128 = 3;
/// Statements after which no further points are sampled: a macro must not keep the user waiting.
const BUDGET: u64 = 1_000_000;
/// Evaluations that a difference takes, about.
const EVALUATIONS: u64 = 25;
/// Scalars of which each derivative is compared at every point; of more, a sample of that size.
const MAX_ELEMENTS: usize = 24;

/// What came out of a check.
pub struct Checked {
    /// A sentence for the documentation.
    pub remark: String,
    /// The test that checks what could not be checked here.
    pub test: TokenStream,
}

/// Checks a function's gradient; `None` after an error.
pub fn check(
    options: &CheckOptions,
    sig: &Signature,
    programs: &Programs,
    activity: &Activity,
    errors: &Errors,
) -> Option<Checked> {
    let constants = constants(options, sig, programs, errors)?;
    let check = Check {
        options,
        sig,
        programs,
        constants: &constants,
        errors,
    };
    let (primal, tangent) = (
        plain(&programs.primal),
        crate::forward::forward(&programs.primal, activity, sig),
    );
    match check.run(&primal, tangent.as_ref()) {
        Ok(remark) => Some(Checked {
            remark,
            test: receiver_item(options, sig),
        }),
        Err(Failure::Reported) => None,
        Err(Failure::Unknown(what)) if sig.associated => {
            errors.reject_named(&options.key, &errors::CHECK_METHOD, &what);
            None
        }
        Err(Failure::Unknown(what)) if detaches(&programs.primal) => {
            let what = format!("{what}, and `detach` to be held constant while a test runs");
            errors.reject_named(&options.key, &errors::CHECK_METHOD, &what);
            None
        }
        Err(Failure::Unknown(what)) => check.later(&what),
    }
}

/// What was evaluated as `self`, for rustc to check: it knows the fields and their types.
fn receiver_item(options: &CheckOptions, sig: &Signature) -> TokenStream {
    let Some((_, whole)) = &options.receiver else {
        return TokenStream::new();
    };
    let name = sig.sibling("checked_self");
    quote! {
        #[doc(hidden)]
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        fn #name() -> Self {
            #whole
        }
    }
}

/// The test of a gradient that is not to be evaluated while compiling; `None` after an error.
pub fn deferred(
    options: &CheckOptions,
    sig: &Signature,
    programs: &Programs,
    what: &str,
    errors: &Errors,
) -> Option<Checked> {
    let constants = constants(options, sig, programs, errors)?;
    let check = Check {
        options,
        sig,
        programs,
        constants: &constants,
        errors,
    };
    check.later(what)
}

/// Whether a test can make arguments for a function.
pub fn testable(sig: &Signature) -> bool {
    test::missing(sig).is_none()
}

/// What names of constants stand for; `None` where an option names no parameter.
fn constants(
    options: &CheckOptions,
    sig: &Signature,
    programs: &Programs,
    errors: &Errors,
) -> Option<Constants> {
    let known = |name: &syn::Ident| {
        let name = name.unraw();
        sig.params.iter().any(|p| p.ident.unraw() == name)
            || sig.generics.const_params().any(|c| c.ident.unraw() == name)
    };
    for name in options.names().filter(|n| !known(n)) {
        errors.reject(name, &errors::CHECK_PARAMETER);
    }
    if !errors.is_empty() {
        return None;
    }
    let mut constants = Constants::default();
    match &options.receiver {
        Some((at, _)) if sig.receiver.is_none() => {
            errors.reject(at, &errors::CHECK_PARAMETER);
            return None;
        }
        Some((_, whole)) => constants.receiver = Receiver::new(whole),
        None => {}
    }
    constants.add_items(&programs.primal.items);
    for c in sig.generics.const_params() {
        let given = options
            .lengths
            .iter()
            .find(|l| l.0.unraw() == c.ident.unraw());
        let n = given
            .and_then(|l| l.1.first())
            .map_or(DEFAULT_CONST, |&n| n as i128);
        constants.chosen.insert(c.ident.to_string(), n);
    }
    Some(constants)
}

/// Whether something is held constant: differences at run time would move it.
fn detaches(primal: &Primal) -> bool {
    let g = &primal.graph;
    let called = |c: &crate::graph::Call| c.path.to_string().ends_with("detach");
    g.opaques.iter().any(|o| o.is_detach()) || g.calls.iter().any(called)
}

/// The primal as a program without a backward pass.
pub fn plain(primal: &Primal) -> Gradient {
    Gradient {
        graph: primal.graph.clone(),
        body: primal.body,
        back: None,
        result: primal.result.clone(),
        reads: primal.reads.clone(),
        scalars: Vec::new(),
        writes: Vec::new(),
        pairs: Vec::new(),
        trace: Vec::new(),
        notes: Default::default(),
        assigned: Default::default(),
        sums: Default::default(),
    }
}

/// Something computed at a point, where it can be.
type Quantity<'a> = dyn Fn(&[Value]) -> Result<Option<f64>, Failure> + 'a;

enum Failure {
    /// An error has been recorded.
    Reported,
    /// It cannot be evaluated here: what is missing.
    Unknown(String),
}

struct Check<'a> {
    options: &'a CheckOptions,
    sig: &'a Signature,
    programs: &'a Programs,
    constants: &'a Constants,
    errors: &'a Errors,
}

/// The programs, ready to run.
struct Runs<'a> {
    primal: Evaluator<'a>,
    tangent: Option<Evaluator<'a>>,
    /// The backward passes by the names of the functions that they become; the first one's gradient is compared with
    /// differences, all with tangents.
    backward: Vec<(&'static str, bool, Evaluator<'a>)>,
}

#[derive(Default)]
struct Tally {
    points: usize,
    kinks: usize,
    unsure: usize,
    compared: usize,
}

impl Check<'_> {
    /// The test, and a remark that says why.
    fn later(&self, what: &str) -> Option<Checked> {
        let name = test::name(self.sig);
        let test = test::test(self, what)?;
        Some(Checked {
            remark: format!(
                "Not checked while compiling, which would need {what}: the test `{name}` compares the gradient with differences."
            ),
            test,
        })
    }

    fn run(&self, primal: &Gradient, tangent: Option<&Gradient>) -> Result<String, Failure> {
        let p = self.programs;
        let new =
            |program, saved| Evaluator::new(&p.primal, program, self.sig, saved, self.constants);
        let mut backward = vec![
            ("accumulate", false, new(&p.upstream, None)),
            ("backward", false, new(&p.split, Some(&p.saved))),
        ];
        if let Some(unit) = &p.unit {
            backward.push(("gradient", true, new(unit, None)));
        }
        let runs = Runs {
            primal: new(primal, None),
            tangent: tangent.map(|t| new(t, None)),
            backward,
        };
        let mut random = Random::new(self.options.seed);
        let mut tally = Tally::default();
        for point in &self.options.at {
            let params = self.given(point)?;
            let value = match self.value(&runs, &params)? {
                Ok(value) => value,
                Err(why) => {
                    self.errors
                        .reject_named(&point.at, &errors::CHECK_POINT, &why);
                    return Err(Failure::Reported);
                }
            };
            let gradients = self.point(&runs, &params, &value, &mut random, &mut tally)?;
            self.expected(point, &value, &gradients)?;
        }
        let mut why = String::new();
        let mut sampled = 0;
        for _ in 0..self.options.points * 8 {
            if sampled == self.options.points || sampled > 0 && runs.primal.steps() > BUDGET {
                break;
            }
            let params = self.sampled(&mut random)?;
            match self.value(&runs, &params)? {
                Ok(value) => {
                    self.point(&runs, &params, &value, &mut random, &mut tally)?;
                    sampled += 1;
                }
                Err(reason) => why = format!("{reason} at {}", self.show(&params)),
            }
        }
        if sampled == 0 && self.options.points > 0 && self.options.at.is_empty() {
            self.errors
                .reject_named(&self.options.key, &errors::CHECK_DOMAIN, &why);
            return Err(Failure::Reported);
        }
        let mut remark = format!(
            "Checked while compiling, at {} points: every backward pass against the forward tangent, to 1e-12, and {} derivatives against differences, to 1e-6.",
            tally.points, tally.compared
        );
        if tally.kinks + tally.unsure > 0 {
            remark += &format!(
                " {} more lay at or next to a kink or a jump.",
                tally.kinks + tally.unsure
            );
        }
        Ok(remark)
    }

    // ---- points ----

    fn domain(&self, name: &syn::Ident) -> Option<Domain> {
        let found = self
            .options
            .domains
            .iter()
            .find(|d| d.0.unraw() == name.unraw());
        found.map(|d| d.1)
    }

    fn lengths(&self, name: &syn::Ident) -> &[usize] {
        let found = self
            .options
            .lengths
            .iter()
            .find(|d| d.0.unraw() == name.unraw());
        found.map_or(&[], |d| &d.1)
    }

    fn sampled(&self, random: &mut Random) -> Result<Vec<Value>, Failure> {
        let sample = |p: &crate::signature::Param| {
            let (domain, lengths) = (self.domain(&p.ident), self.lengths(&p.ident));
            points::sample(&p.shape, domain, lengths, self.constants, random).map_err(stopped)
        };
        self.sig.params.iter().map(sample).collect()
    }

    /// The parameters at a point that the user wrote.
    fn given(&self, point: &Point) -> Result<Vec<Value>, Failure> {
        let mut out = Vec::new();
        for p in &self.sig.params {
            let Some((_, e)) = point.values.iter().find(|v| v.0.unraw() == p.ident.unraw()) else {
                let name = p.ident.unraw().to_string();
                self.errors
                    .reject_named(&point.at, &errors::CHECK_MISSING, &name);
                return Err(Failure::Reported);
            };
            match points::written(e, &p.shape, self.constants) {
                Ok(value) => out.push(value),
                Err(at) => {
                    self.errors.reject(at, &errors::CHECK_SHAPE);
                    return Err(Failure::Reported);
                }
            }
        }
        Ok(out)
    }

    fn show(&self, params: &[Value]) -> String {
        let all = self.sig.params.iter().zip(params);
        let parts: Vec<String> = all
            .map(|(p, v)| format!("{} = {}", p.ident.unraw(), points::show(v)))
            .collect();
        parts.join(", ")
    }

    // ---- one point ----

    /// The function's value, or why it has none there.
    fn value(&self, runs: &Runs, params: &[Value]) -> Result<Result<Value, String>, Failure> {
        match runs.primal.run(&inputs(params, &Value::Unit, &[])) {
            Ok(run) => {
                let mut floats = Vec::new();
                run.result.floats(&mut floats);
                Ok(match floats.iter().find(|x| !x.is_finite()) {
                    None => Ok(run.result),
                    Some(x) => Err(format!("its value is {x}")),
                })
            }
            Err(Stop::Panic(why)) => Ok(Err(format!("it panics ({why})"))),
            Err(Stop::Long) => Ok(Err("it runs for more than a million steps".into())),
            Err(stop) => Err(stopped(stop)),
        }
    }

    /// Checks every program at a point; the gradients of the differentiated parameters.
    fn point(
        &self,
        runs: &Runs,
        params: &[Value],
        value: &Value,
        random: &mut Random,
        tally: &mut Tally,
    ) -> Result<Vec<Value>, Failure> {
        tally.points += 1;
        let mut values = Vec::new();
        value.floats(&mut values);
        let weights: Vec<f64> = values.iter().map(|_| random.between((0.5, 1.5))).collect();
        let upstream = value.with_floats(&mut weights.iter().copied());
        let active: Vec<usize> = self.sig.active().map(|(k, _)| k).collect();
        let tangents: Vec<Value> = active
            .iter()
            .map(|&k| {
                params[k].with_floats(&mut std::iter::from_fn(|| {
                    Some(random.between((-1.0, 1.0)))
                }))
            })
            .collect();
        let forward = |params: &[Value]| -> Result<Option<Vec<f64>>, Failure> {
            let Some(tangent) = &runs.tangent else {
                return Ok(None);
            };
            let run = tangent
                .run(&inputs(params, &Value::Unit, &tangents))
                .map_err(stopped)?;
            let Value::Tuple(parts) = run.result else {
                return Ok(None);
            };
            let mut slopes = Vec::new();
            parts[1].floats(&mut slopes);
            Ok(Some(slopes))
        };
        let slopes = forward(params)?;
        let mut first = Vec::new();
        let mut lost = None;
        for (name, unit, program) in &runs.backward {
            let run: Run = match program.run(&inputs(params, &upstream, &[])) {
                Err(Stop::Panic(why)) => {
                    return self.wrong(format!(
                        "`{name}` of `{}` panics ({why}) at {}, and the function itself does not",
                        self.sig.ident,
                        self.show(params)
                    ));
                }
                other => other.map_err(stopped)?,
            };
            if run.result != *value {
                return self.wrong(format!(
                    "`{}` returns {} at {}, and the function itself {}",
                    name,
                    points::show(&run.result),
                    self.show(params),
                    points::show(value)
                ));
            }
            if first.is_empty() {
                first.clone_from(&run.gradients);
            }
            if let Some(slopes) = &slopes {
                let dot = dot(&run.gradients, &tangents);
                let along = |slopes: &[f64]| -> f64 {
                    if *unit {
                        slopes.iter().sum()
                    } else {
                        slopes.iter().zip(&weights).map(|(s, w)| s * w).sum()
                    }
                };
                let want = along(slopes);
                let gap = (dot.0 - want).abs();
                if !(gap <= EXACT * dot.1.max(want.abs())
                    || dot.0.is_nan() && want.is_nan()
                    || dot.0 == want)
                {
                    // What the last bits of the point change is no error of the gradient.
                    let noise =
                        self.noise(params, want, &|p| Ok(forward(p)?.map(|s| along(&s))))?;
                    if !dot.0.is_finite() && want.is_finite() {
                        // The differences below find the parameter.
                        lost = Some((dot.0, want));
                        continue;
                    }
                    if (gap > 16.0 * noise || gap.is_nan()) && want.is_finite() {
                        return self.wrong(format!(
                            "`{}` of `{}` is wrong along a random direction: at {} its backward pass gives {}, the forward tangent {}",
                            name,
                            self.sig.ident,
                            self.show(params),
                            points::number(dot.0),
                            points::number(want)
                        ));
                    }
                }
            }
        }
        self.differences(runs, params, &weights, &first, random, tally)?;
        if let Some((got, want)) = lost {
            return self.infinite("a parameter", params, got, want);
        }
        // For the numbers that the user expects the upstream gradient is 1.
        if self.sig.has_scalar_result() {
            let one = value.with_floats(&mut std::iter::once(1.0));
            first = runs.backward[0]
                .2
                .run(&inputs(params, &one, &[]))
                .map_err(stopped)?
                .gradients;
        }
        Ok(first)
    }

    /// How much a quantity moves when the point moves by its last bits.
    fn noise(&self, params: &[Value], at: f64, f: &Quantity) -> Result<f64, Failure> {
        let mut most = 0.0f64;
        for step in [-2.0, -1.0, 1.0, 2.0] {
            let moved: Vec<Value> = params
                .iter()
                .map(|p| {
                    let mut floats = Vec::new();
                    p.floats(&mut floats);
                    p.with_floats(&mut floats.into_iter().map(|x| x * (1.0 + step * f64::EPSILON)))
                })
                .collect();
            if let Ok(Some(there)) = f(&moved)
                && there.is_finite()
            {
                most = most.max((there - at).abs());
            }
        }
        Ok(most)
    }

    fn differences(
        &self,
        runs: &Runs,
        params: &[Value],
        weights: &[f64],
        gradients: &[Value],
        random: &mut Random,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        // Every scalar of every differentiated parameter: which parameter, which of its floats.
        let mut scalars = Vec::new();
        for (n, (k, _)) in self.sig.active().enumerate() {
            let mut floats = Vec::new();
            params[k].floats(&mut floats);
            scalars.extend((0..floats.len()).map(|i| (n, k, i, floats[i])));
        }
        // What takes long is sampled: of a large function some derivatives at some points.
        let before = runs.primal.steps();
        let run = runs.primal.run(&inputs(params, &Value::Unit, &[]));
        let each = (runs.primal.steps() - before).max(1) * EVALUATIONS;
        let share = BUDGET / (self.options.points as u64 + 1);
        let most = (share / each).clamp(2, MAX_ELEMENTS as u64) as usize;
        while scalars.len() > most {
            let out = (random.unit() * scalars.len() as f64) as usize;
            scalars.swap_remove(out.min(scalars.len() - 1));
        }
        // What is detached is constant: it is held at what it is here.
        let detached = match run {
            Ok(run) => run.detached,
            Err(_) => Vec::new(),
        };
        for (n, k, i, x) in scalars {
            let mut failed = None;
            let sizes = std::cell::Cell::new(0.0f64);
            let mut f = |step: f64| -> Option<f64> {
                let mut moved = params.to_vec();
                let mut floats = Vec::new();
                params[k].floats(&mut floats);
                floats[i] = x + step;
                moved[k] = params[k].with_floats(&mut floats.into_iter());
                let mut at = inputs(&moved, &Value::Unit, &[]);
                at.detached.clone_from(&detached);
                let run = match runs.primal.run(&at) {
                    Ok(run) => run,
                    Err(Stop::Panic(_) | Stop::Long) => return None,
                    Err(stop) => {
                        failed = Some(stop);
                        return None;
                    }
                };
                let mut values = Vec::new();
                run.result.floats(&mut values);
                let total: f64 = values.iter().zip(weights).map(|(v, w)| v * w).sum();
                sizes.set(values.iter().zip(weights).map(|(v, w)| (v * w).abs()).sum());
                (total.is_finite() && values.len() == weights.len()).then_some(total)
            };
            let mut all = Vec::new();
            gradients[n].floats(&mut all);
            let got = all[i];
            // A kink nearby spoils the larger steps: what the smallest say counts, unless the larger agree already.
            let mut verdict = Verdict::Unsure;
            let mut found = None;
            let grain = 8.0 * f64::EPSILON * x.abs().max(1e-3);
            for shrink in [1.0, 0.03, 1e-3] {
                let Some(d) = ridders(&mut f, self.reach(k, x) * shrink, grain) else {
                    continue;
                };
                found = Some(d);
                verdict = judge(got, &d, sizes.get(), CLOSE);
                if verdict == Verdict::Right {
                    break;
                }
            }
            if let Some(stop) = failed.take() {
                return Err(stopped(stop));
            }
            match (verdict, found) {
                (Verdict::Wrong, Some(found)) => {
                    let name = format!(
                        "`{}{}`",
                        self.sig.params[k].ident.unraw(),
                        points::element(&params[k], i)
                    );
                    if !got.is_finite() {
                        return self.infinite(&name, params, got, found.slope);
                    }
                    return self.wrong(format!(
                        "the gradient of `{}` with respect to {name} is wrong: at {} the backward pass gives {}, differences give {} (± {:.0e})",
                        self.sig.ident,
                        self.show(params),
                        points::number(got),
                        points::number(found.slope),
                        found.error
                    ));
                }
                (Verdict::Right, _) => tally.compared += 1,
                (Verdict::Kink, _) => tally.kinks += 1,
                _ => tally.unsure += 1,
            }
        }
        Ok(())
    }

    /// How far differences may step from a value: not out of its domain.
    fn reach(&self, k: usize, x: f64) -> f64 {
        let mut reach = 0.1 * x.abs().max(0.5);
        if let Some(d) = self.domain(&self.sig.params[k].ident) {
            for edge in [d.low, d.high].into_iter().flatten() {
                let room = (x - edge).abs();
                if room > 0.0 {
                    reach = reach.min(0.9 * room);
                }
            }
        }
        reach
    }

    // ---- what the user expects ----

    fn expected(&self, point: &Point, value: &Value, gradients: &[Value]) -> Result<(), Failure> {
        let mut failed = false;
        if let Some(want) = &point.value {
            failed |= !self.numbers(want, value, point.tolerance, &|_| "the value".into());
        }
        for (name, want) in &point.gradient {
            let found = self
                .sig
                .active()
                .enumerate()
                .find(|(_, (_, p))| p.ident.unraw() == name.unraw());
            let (true, Some((n, (k, p)))) = (self.sig.has_scalar_result(), found) else {
                self.errors.reject(name, &errors::CHECK_NO_GRADIENT);
                return Err(Failure::Reported);
            };
            let _ = k;
            failed |= !self.numbers(want, &gradients[n], point.tolerance, &|i| {
                let element = points::element(&gradients[n], i);
                format!(
                    "the derivative with respect to `{}{element}`",
                    p.ident.unraw()
                )
            });
        }
        if failed {
            return Err(Failure::Reported);
        }
        Ok(())
    }

    /// Compares numbers with those written; each that differs is an error where it stands.
    fn numbers(
        &self,
        want: &syn::Expr,
        got: &Value,
        tolerance: f64,
        what: &dyn Fn(usize) -> String,
    ) -> bool {
        let mut wanted = Vec::new();
        points::leaves(want, &mut wanted);
        let mut found = Vec::new();
        got.floats(&mut found);
        if wanted.len() != found.len() {
            self.errors.reject(want, &errors::CHECK_SHAPE);
            return false;
        }
        let mut right = true;
        for (i, (want, got)) in wanted.iter().zip(found).enumerate() {
            let Some(number) = number(want) else {
                self.errors.reject(want, &errors::CHECK_NUMBER);
                right = false;
                continue;
            };
            let gap = (got - number).abs();
            if gap > tolerance * number.abs().max(1.0) || gap.is_nan() {
                let text = format!(
                    "{} is {}, not {}",
                    what(i),
                    points::number(got),
                    points::number(number)
                );
                self.errors
                    .reject_named(want, &errors::CHECK_MISMATCH, &text);
                right = false;
            }
        }
        right
    }

    /// The gradient is infinite or NaN where the function has a derivative: zero times infinity, for the most part.
    fn infinite<T>(&self, name: &str, params: &[Value], got: f64, want: f64) -> Result<T, Failure> {
        let text = format!(
            "the gradient of `{}` with respect to {name} is {got} at {}, where it should be {}",
            self.sig.ident,
            self.show(params),
            points::number(want)
        );
        self.errors
            .reject_named(&self.sig.ident, &errors::CHECK_INFINITE, &text);
        Err(Failure::Reported)
    }

    fn wrong<T>(&self, text: String) -> Result<T, Failure> {
        self.errors
            .reject_named(&self.sig.ident, &errors::CHECK_WRONG, &text);
        Err(Failure::Reported)
    }
}

fn inputs(params: &[Value], upstream: &Value, tangents: &[Value]) -> Inputs {
    Inputs {
        params: params.to_vec(),
        upstream: upstream.clone(),
        tangents: tangents.to_vec(),
        detached: Vec::new(),
    }
}

fn stopped(stop: Stop) -> Failure {
    Failure::Unknown(match stop {
        Stop::Unknown(what) => what,
        Stop::Panic(why) => format!("a point at which it does not panic ({why})"),
        Stop::Long => "more steps than are taken while compiling".into(),
    })
}

/// The dot product of gradients and tangents, and the sum of its terms' sizes.
fn dot(gradients: &[Value], tangents: &[Value]) -> (f64, f64) {
    let (mut sum, mut size) = (0.0, 0.0);
    for (g, t) in gradients.iter().zip(tangents) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        g.floats(&mut a);
        t.floats(&mut b);
        for (x, y) in a.iter().zip(&b) {
            sum += x * y;
            size += (x * y).abs();
        }
    }
    (sum, size)
}
