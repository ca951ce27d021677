//! One point: what the function is worth there, and every backward pass against the forward tangent.
//!
//! In: the programs, ready to run, and a point. Out: the gradient there, or an error. Must hold: each pass returns the
//! function's own bits, and `⟨J v, w⟩ = ⟨v, Jᵀ w⟩` to 1e-12, but for what the last bits of the point change.

use super::*;
use crate::evaluate::Scalar;

impl Check<'_> {
    /// The function's value, or why it has none there.
    pub(super) fn value(
        &self,
        runs: &Runs,
        params: &[Value],
    ) -> Result<Result<Value, String>, Failure> {
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
    pub(super) fn point(
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
            let run = runs
                .tangent
                .run(&inputs(params, &Value::Unit, &tangents))
                .map_err(stopped)?;
            let Value::Tuple(parts) = run.result else {
                return Ok(None);
            };
            let mut slopes = Vec::new();
            slopes_of(&parts[0], &parts[1], &mut slopes);
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
    pub(super) fn noise(&self, params: &[Value], at: f64, f: &Quantity) -> Result<f64, Failure> {
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
}

/// The tangents of the floats of a value: what is constant in a result has none.
fn slopes_of(value: &Value, tangent: &Value, out: &mut Vec<f64>) {
    match (value, tangent) {
        (Value::Scalar(Scalar::Float(_)), t) => t.floats(out),
        (Value::List(all) | Value::Tuple(all), Value::List(t) | Value::Tuple(t)) => {
            (all.iter().zip(t)).for_each(|(v, t)| slopes_of(v, t, out));
        }
        _ => {}
    }
}

/// The dot product of gradients and tangents, and the sum of its terms' sizes.
pub(super) fn dot(gradients: &[Value], tangents: &[Value]) -> (f64, f64) {
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
