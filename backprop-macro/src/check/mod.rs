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
mod expected;
pub mod frame;
mod passes;
pub mod points;
#[cfg(test)]
#[allow(dead_code)]
// As `driver`.
mod sizes;
mod slopes;
mod syntax;
pub mod test;
#[cfg(test)]
pub mod tests;

pub use syntax::{CheckOptions, Domain, Given, Point, Shaped, number};

use crate::activity::Activity;
use crate::errors::{self, Errors};
use crate::evaluate::{Constants, Evaluator, Inputs, Receiver, Run, Stop, Value};
use crate::graph::Primal;
use crate::items::Programs;
use crate::reverse::Gradient;
use crate::signature::Signature;
use differences::{Verdict, judge, ridders};
use points::Random;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

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
    match check.run(&primal, &tangent) {
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
    for shaped in &options.shapes {
        errors.reject(&shaped.of, &errors::CHECK_AXES);
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
        order: crate::order::Order::default(),
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
    tangent: Evaluator<'a>,
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

    fn run(&self, primal: &Gradient, tangent: &Gradient) -> Result<String, Failure> {
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
            tangent: new(tangent, None),
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
        shaken: None,
    }
}

fn stopped(stop: Stop) -> Failure {
    Failure::Unknown(match stop {
        Stop::Unknown(what) => what,
        Stop::Panic(why) => format!("a point at which it does not panic ({why})"),
        Stop::Long => "more steps than are taken while compiling".into(),
    })
}
