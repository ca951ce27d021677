//! Checking a gradient: any gradient, of any function, against differences.
//!
//! A generated gradient takes one line:
//!
//! ```
//! # use backprop_macro::backprop;
//! use backprop_runtime::assert_gradient;
//!
//! #[backprop]
//! fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
//!     (w[0] * x[0] + w[1] * x[1] + w[2]).tanh()
//! }
//!
//! assert_gradient!(neuron(&[2.0, -3.0, -3.0], &[-1.0, -2.0]));
//! ```
//!
//! One written by hand takes two functions of a slice, by the macro or by [`gradient`], which gives a [`Report`]:
//!
//! ```
//! use backprop_runtime::check;
//!
//! let value = |x: &[f64]| x[0] * x[0] * x[1];
//! let slopes = |x: &[f64]| vec![2.0 * x[0] * x[1], x[0] * x[0]];
//! let report = check::gradient(&[1.5, -2.0], value, slopes)?;
//! assert_eq!(report.compared, 2);
//! # Ok::<(), check::Failure>(())
//! ```
//!
//! Differences are Ridders': extrapolated from shrinking steps, with an estimate of their own error, so that nobody has to
//! choose a step and a tolerance. Where the function has a kink, any slope between those on both sides is accepted and the
//! kink is reported.

mod differences;
mod floats;

use approx::relative_eq;
use differences::{Difference, Verdict, judge, ridders};
pub use floats::Floats;
#[doc(hidden)]
pub use floats::{Argument, PerParameter};
use std::fmt;

/// How a gradient is checked.
///
/// ```
/// use backprop_runtime::check::Checker;
///
/// let value = |x: &[f64]| x[0].sin();
/// let report = Checker::default().directions(2).gradient(&[0.3], value, |x| vec![x[0].cos()])?;
/// assert!(report.largest_gap < 1e-8);
/// # Ok::<(), backprop_runtime::check::Failure>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Checker {
    tolerance: f64,
    reach: f64,
    directions: usize,
    elements: usize,
    seed: u64,
}

impl Default for Checker {
    /// A relative tolerance of 1e-6, 4 random directions, and at most 256 derivatives one by one.
    fn default() -> Checker {
        Checker {
            tolerance: 1e-6,
            reach: 0.1,
            directions: 4,
            elements: 256,
            seed: 7,
        }
    }
}

impl Checker {
    /// How far a derivative may be from the difference, relative to the larger of both, beside the difference's own error.
    pub fn tolerance(self, tolerance: f64) -> Checker {
        Checker { tolerance, ..self }
    }

    /// The first step of the differences, relative to the parameter, or to 0.5 if that is larger. Smaller steps follow.
    pub fn reach(self, reach: f64) -> Checker {
        Checker { reach, ..self }
    }

    /// In how many random directions the gradient is compared as a whole.
    pub fn directions(self, directions: usize) -> Checker {
        Checker { directions, ..self }
    }

    /// How many derivatives are compared one by one; of more, a random sample.
    pub fn elements(self, elements: usize) -> Checker {
        Checker { elements, ..self }
    }

    /// The seed of directions and samples.
    pub fn seed(self, seed: u64) -> Checker {
        Checker { seed, ..self }
    }

    /// Compares a gradient with differences of the value, at a point.
    ///
    /// # Errors
    ///
    /// [`Failure`] where a derivative is wrong, and where the point, the value or the gradient's length makes no sense.
    pub fn gradient<G: AsRef<[f64]>>(
        &self,
        at: &[f64],
        mut value: impl FnMut(&[f64]) -> f64,
        mut gradient: impl FnMut(&[f64]) -> G,
    ) -> Result<Report, Failure> {
        if at.is_empty() {
            return Err(Failure::Empty);
        }
        if let Some(index) = at.iter().position(|x| !x.is_finite()) {
            return Err(Failure::Point {
                index,
                value: at[index],
            });
        }
        let size = value(at);
        if !size.is_finite() {
            return Err(Failure::Value(size));
        }
        let slopes = gradient(at);
        let slopes = slopes.as_ref();
        if slopes.len() != at.len() {
            return Err(Failure::Length {
                parameters: at.len(),
                gradient: slopes.len(),
            });
        }
        let mut random = Random(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut report = Report::default();
        let mut moved = at.to_vec();
        // One by one: a wrong derivative has a place.
        let mut indices: Vec<usize> = (0..at.len()).collect();
        while indices.len() > self.elements {
            let out = (random.unit() * indices.len() as f64) as usize;
            indices.swap_remove(out.min(indices.len() - 1));
        }
        indices.sort_unstable();
        for index in indices {
            let x = at[index];
            let mut f = |step: f64| {
                moved[index] = x + step;
                Some(value(&moved)).filter(|v| v.is_finite())
            };
            let reach = self.reach * x.abs().max(0.5);
            let grain = 8.0 * f64::EPSILON * x.abs().max(1e-3);
            // The last try is for parameters that are tiny themselves.
            let mut tries = vec![(reach, grain), (0.1 * reach, grain), (0.01 * reach, grain)];
            let own = self.reach * x.abs();
            if own > 0.0 && own < 0.01 * reach {
                tries.push((own, 8.0 * f64::EPSILON * x.abs()));
            }
            let found = self.compare(slopes[index], size, &mut f, &tries);
            moved[index] = x;
            match found {
                Compared::Right { gap, error } => report.right(gap, error),
                Compared::Kink(sides) => report.kinks.push(Kink { index, sides }),
                Compared::Unsure => report.unsure.push(index),
                Compared::Wrong(d) => {
                    return Err(Failure::Wrong {
                        index,
                        gradient: slopes[index],
                        differences: d.slope,
                        error: d.error,
                    });
                }
            }
        }
        // All at once: what the sample left out.
        for _ in 0..self.directions {
            let direction: Vec<f64> = at.iter().map(|_| 2.0 * random.unit() - 1.0).collect();
            let got: f64 = slopes.iter().zip(&direction).map(|(g, v)| g * v).sum();
            let mut f = |step: f64| {
                for ((m, x), v) in moved.iter_mut().zip(at).zip(&direction) {
                    *m = x + step * v;
                }
                Some(value(&moved)).filter(|v| v.is_finite())
            };
            let tries = [0.5, 0.05, 0.005].map(|r| (self.reach * r, 1e-15));
            match self.compare(got, size, &mut f, &tries) {
                Compared::Right { .. } => report.directions += 1,
                Compared::Kink(_) | Compared::Unsure => {}
                Compared::Wrong(d) => {
                    return Err(Failure::Direction {
                        gradient: got,
                        differences: d.slope,
                        error: d.error,
                    });
                }
            }
        }
        Ok(report)
    }

    fn compare(
        &self,
        got: f64,
        size: f64,
        f: &mut dyn FnMut(f64) -> Option<f64>,
        tries: &[(f64, f64)],
    ) -> Compared {
        // A kink nearby spoils the larger steps: what the smallest say counts, unless the larger agree already.
        let mut found = Compared::Unsure;
        for &(reach, grain) in tries {
            let Some(d) = ridders(f, reach, grain) else {
                continue;
            };
            let near = relative_eq!(got, d.slope, epsilon = 0.0, max_relative = self.tolerance);
            found = match judge(got, &d, size, self.tolerance) {
                Verdict::Kink => Compared::Kink(d.kink.unwrap_or((d.slope, d.slope))),
                Verdict::Unsure => Compared::Unsure,
                Verdict::Wrong if !near => Compared::Wrong(d),
                Verdict::Right | Verdict::Wrong => {
                    return Compared::Right {
                        gap: (got - d.slope).abs(),
                        error: d.error,
                    };
                }
            };
        }
        found
    }
}

enum Compared {
    Right { gap: f64, error: f64 },
    Kink((f64, f64)),
    Unsure,
    Wrong(Difference),
}

/// Compares a gradient with differences of the value, at a point, as [`Checker::default`] does.
///
/// # Errors
///
/// [`Failure`] where a derivative is wrong, and where the point, the value or the gradient's length makes no sense.
pub fn gradient<G: AsRef<[f64]>>(
    at: &[f64],
    value: impl FnMut(&[f64]) -> f64,
    gradient: impl FnMut(&[f64]) -> G,
) -> Result<Report, Failure> {
    Checker::default().gradient(at, value, gradient)
}

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Derivatives that agree with differences, one by one.
    pub compared: usize,
    /// Random directions in which the whole gradient agrees.
    pub directions: usize,
    /// The largest distance between a derivative and the difference.
    pub largest_gap: f64,
    /// The largest error that a difference estimates of itself.
    pub largest_error: f64,
    /// Derivatives at a kink, each between the slopes on both sides.
    pub kinks: Vec<Kink>,
    /// Derivatives of which differences say nothing: a jump, or values too coarse.
    pub unsure: Vec<usize>,
}

impl Report {
    fn right(&mut self, gap: f64, error: f64) {
        self.compared += 1;
        self.largest_gap = self.largest_gap.max(gap);
        self.largest_error = self.largest_error.max(error);
    }
}

/// A parameter at which the function has a kink.
#[derive(Clone, Debug, PartialEq)]
pub struct Kink {
    /// Which of the parameters.
    pub index: usize,
    /// The slopes on both sides, the smaller first.
    pub sides: (f64, f64),
}

/// Why a gradient did not pass.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// There are no parameters.
    Empty,
    /// A parameter is infinite or NaN.
    Point {
        /// Which one.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// The function's value is infinite or NaN at the point.
    Value(f64),
    /// The gradient has another length than the point.
    Length {
        /// The number of parameters.
        parameters: usize,
        /// The number of derivatives.
        gradient: usize,
    },
    /// A derivative is wrong.
    Wrong {
        /// With respect to which parameter.
        index: usize,
        /// What the gradient says.
        gradient: f64,
        /// What differences say.
        differences: f64,
        /// Their own error, as they estimate it.
        error: f64,
    },
    /// The gradient is wrong in a random direction: among many parameters, some that were not compared one by one.
    Direction {
        /// What the gradient says.
        gradient: f64,
        /// What differences say.
        differences: f64,
        /// Their own error, as they estimate it.
        error: f64,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Empty => write!(
                f,
                "there are no parameters to differentiate with respect to"
            ),
            Failure::Point { index, value } => {
                write!(
                    f,
                    "parameter {index} is {value}: a gradient is checked at finite points"
                )
            }
            Failure::Value(v) => write!(
                f,
                "the value is {v} there: choose a point at which it is finite"
            ),
            Failure::Length {
                parameters,
                gradient,
            } => write!(
                f,
                "the gradient has {gradient} numbers for {parameters} parameters"
            ),
            Failure::Wrong {
                index,
                gradient,
                differences,
                error,
            } => write!(
                f,
                "the derivative with respect to parameter {index} is wrong: the gradient says {gradient}, differences {differences} (± {error:.0e})"
            ),
            Failure::Direction {
                gradient,
                differences,
                error,
            } => write!(
                f,
                "the gradient is wrong along a random direction: it says {gradient}, differences {differences} (± {error:.0e})"
            ),
        }
    }
}

impl std::error::Error for Failure {}

struct Random(u64);

impl Random {
    /// In `[0, 1)`: the high bits of a linear congruential generator, mixed.
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let z = (self.0 ^ (self.0 >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Asserts that a gradient agrees with differences; the value is a [`Report`](crate::check::Report).
///
/// `assert_gradient!(f(a, &b))` is for a function annotated with `#[backprop]`: all its parameters and results, at these
/// arguments. `assert_gradient!(&point, value, gradient)` is for any two functions of a slice.
///
/// # Panics
///
/// With the parameter and both numbers where the gradient is wrong.
///
/// ```
/// # use backprop_macro::backprop;
/// use backprop_runtime::assert_gradient;
///
/// #[backprop]
/// fn energy(q: &[f64], k: f64, n: usize) -> (f64, [f64; 2]) {
///     let total: f64 = q.iter().map(|x| x.powi(2)).sum();
///     (k * total, [n as f64 * q[0], q[1].sin()])
/// }
///
/// let report = assert_gradient!(energy(&[0.5, -1.0, 2.0], 3.0, 2));
/// assert_eq!(report.compared, 4);
///
/// assert_gradient!(&[1.0, 2.0], |x| x[0] * x[1], |x| [x[1], x[0]]);
/// ```
#[macro_export]
macro_rules! assert_gradient {
    ($($f:ident)::+ ( $($arg:expr),+ $(,)? ) $(,)?) => {
        $crate::assert_gradient!(@own [$($f)::+] [] $($arg,)+)
    };
    // Each `held` is a variable of its own: macros are hygienic.
    (@own [$($f:tt)+] [$($done:ident)*] $arg:expr, $($rest:expr,)*) => {{
        let held = $crate::check::Held::new($arg);
        $crate::assert_gradient!(@own [$($f)+] [$($done)* held] $($rest,)*)
    }};
    (@own [$($f:tt)+] [$($held:ident)+]) => {{
        // Never run: literals find their types in it.
        if false {
            let _ = $($f)+($($held.original()),+);
        }
        let weights = {
            $(let $held = $held.get();)+
            $crate::check::weights($($f)+($($held.lend()),+))
        };
        let slopes = {
            $(let $held = $held.get();)+
            let (result, saved) = $($f)+::forward($($held.lend()),+);
            let upstream = $crate::check::upstream(result, &weights);
            $crate::check::PerParameter::floats($($f)+::__pullback(&saved, upstream))
        };
        let value = || {
            $(let $held = $held.get();)+
            $crate::check::weighed($($f)+($($held.lend()),+), &weights)
        };
        $crate::check::report(
            ::core::stringify!($($f)+),
            $crate::check::arguments(&[$(&$held),+], slopes, value),
        )
    }};
    ($at:expr, $value:expr, $gradient:expr $(,)?) => {
        $crate::check::report("the function", $crate::check::gradient($at, $value, $gradient))
    };
}

/// An argument that is owned while it is changed.
#[doc(hidden)]
pub struct Held<A: Argument>(std::cell::RefCell<A::Owned>);

/// An argument as it is now, to be lent to a call.
#[doc(hidden)]
pub struct Now<A: Argument>(A::Owned);

impl<A: Argument> Held<A> {
    pub fn new(value: A) -> Held<A> {
        Held(std::cell::RefCell::new(value.own()))
    }

    /// For type inference alone.
    pub fn original(&self) -> A {
        unreachable!("never called")
    }
}

impl<A: Argument> Held<A>
where
    A::Owned: Clone,
{
    pub fn get(&self) -> Now<A> {
        Now(self.0.borrow().clone())
    }
}

impl<A: Argument> Now<A> {
    pub fn lend(&self) -> A::Lent<'_> {
        A::lend(&self.0)
    }
}

/// Something whose floats can be changed.
#[doc(hidden)]
pub trait Change {
    fn visit(&self, f: &mut dyn FnMut(&mut f64));
    fn is_single(&self) -> bool;
}

impl<A: Argument> Change for Held<A> {
    fn visit(&self, f: &mut dyn FnMut(&mut f64)) {
        self.0.borrow_mut().visit(f);
    }

    fn is_single(&self) -> bool {
        A::Owned::SINGLE
    }
}

/// Weights that make one number of a result, so that every part of it counts.
#[doc(hidden)]
pub fn weights(mut result: impl Floats) -> Vec<f64> {
    let n = floats::collect(&mut result).len();
    let mut random = Random(11);
    let weight = |_| if n == 1 { 1.0 } else { 0.5 + random.unit() };
    (0..n).map(weight).collect()
}

#[doc(hidden)]
pub fn weighed(mut result: impl Floats, weights: &[f64]) -> f64 {
    let values = floats::collect(&mut result);
    if values.len() != weights.len() {
        return f64::NAN;
    }
    values.iter().zip(weights).map(|(v, w)| v * w).sum()
}

/// The upstream gradient of a result of this shape.
#[doc(hidden)]
pub fn upstream<T: Floats>(mut result: T, weights: &[f64]) -> T {
    let mut next = weights.iter();
    result.visit(&mut |v| *v = next.next().copied().unwrap_or(0.0));
    result
}

/// Checks a function of several arguments, of which those without slopes are constant.
#[doc(hidden)]
pub fn arguments(
    held: &[&dyn Change],
    slopes: Vec<Vec<f64>>,
    value: impl Fn() -> f64,
) -> Result<Report, String> {
    let mut at = Vec::new();
    let mut active = Vec::new();
    for (k, (held, slopes)) in held.iter().zip(&slopes).enumerate() {
        let start = at.len();
        if !slopes.is_empty() {
            held.visit(&mut |v| at.push(*v));
        }
        if at.len() - start != slopes.len() {
            return Err(format!(
                "argument {k} has {} numbers, and its gradient {}",
                at.len() - start,
                slopes.len()
            ));
        }
        active.push(start..at.len());
    }
    let single = held.iter().any(|h| h.is_single());
    let checker = if single {
        Checker::default().tolerance(1e-2).reach(0.5)
    } else {
        Checker::default()
    };
    let put = |x: &[f64]| {
        for (held, range) in held.iter().zip(&active) {
            let mut next = x[range.clone()].iter();
            if !range.is_empty() {
                held.visit(&mut |v| *v = next.next().copied().unwrap_or(*v));
            }
        }
        value()
    };
    let flat: Vec<f64> = slopes.into_iter().flatten().collect();
    let found = checker.gradient(&at, put, |_| &flat);
    found.map_err(|failure| match failure {
        Failure::Wrong {
            index,
            gradient,
            differences,
            error,
        } => {
            let k = active.iter().position(|r| r.contains(&index)).unwrap_or(0);
            format!(
                "the derivative with respect to number {} of argument {k} is wrong: the gradient says {gradient}, differences {differences} (± {error:.0e})",
                index - active[k].start
            )
        }
        other => other.to_string(),
    })
}

/// The report, or a panic that names the function.
#[doc(hidden)]
#[track_caller]
pub fn report<E: fmt::Display>(name: &str, found: Result<Report, E>) -> Report {
    match found {
        Ok(report) => report,
        Err(why) => panic!("the gradient of {}: {why}", name.replace(" :: ", "::")),
    }
}
