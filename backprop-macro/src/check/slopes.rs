//! One point: each derivative against differences of the primal.
//!
//! In: a point and the gradient that a backward pass gives there. Out: a tally, or an error that names the parameter. Must
//! hold: the primal is all that is run, so that a wrong rule shows as well.

use super::differences::Difference;
use super::*;

/// Runs with the last bits moved, of which the middle one tells what rounding does.
const SHAKEN: u64 = 7;

impl Check<'_> {
    pub(super) fn differences(
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
            let mut total = |step: f64, shaken: Option<u64>| -> Option<f64> {
                let mut moved = params.to_vec();
                let mut floats = Vec::new();
                params[k].floats(&mut floats);
                floats[i] = x + step;
                moved[k] = params[k].with_floats(&mut floats.into_iter());
                let mut at = inputs(&moved, &Value::Unit, &[]);
                at.detached.clone_from(&detached);
                at.shaken = shaken;
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
            let reach = self.reach(k, x);
            let mut tries = vec![(reach, grain), (0.03 * reach, grain), (1e-3 * reach, grain)];
            // For parameters that are tiny themselves.
            let own = 0.1 * x.abs();
            if own > 0.0 && own < 1e-3 * reach {
                tries.push((own, 8.0 * f64::EPSILON * x.abs()));
            }
            for (reach, grain) in tries {
                let Some(d) = ridders(&mut |step| total(step, None), reach, grain) else {
                    continue;
                };
                found = Some(d);
                verdict = judge(got, &d, sizes.get(), CLOSE);
                if verdict == Verdict::Right {
                    break;
                }
            }
            // Rounding on the way may be coarser than what the last bits of the point show: `(x + 1e15).sin()` is a staircase.
            if let (Verdict::Wrong, Some(d)) = (verdict, found) {
                let middle = total(0.0, None).unwrap_or(f64::NAN);
                let mut moved: Vec<f64> = (1..=SHAKEN)
                    .filter_map(|seed| Some((total(0.0, Some(seed))? - middle).abs()))
                    .collect();
                // A branch that one of them takes otherwise is no rounding: the middle one counts.
                moved.sort_by(f64::total_cmp);
                let noise = moved.get(moved.len() / 2).copied().unwrap_or(0.0);
                let error = d.error + 4.0 * noise / d.step;
                verdict = judge(got, &Difference { error, ..d }, sizes.get(), CLOSE);
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
    pub(super) fn reach(&self, k: usize, x: f64) -> f64 {
        let mut reach = 0.1 * x.abs().max(0.5);
        if let Some(d) = self.options.domain(&self.sig.params[k].ident) {
            for edge in [d.low, d.high].into_iter().flatten() {
                let room = (x - edge).abs();
                if room > 0.0 {
                    reach = reach.min(0.9 * room);
                }
            }
        }
        reach
    }
}
