//! What the user expects at a point: a value and derivatives, number by number.
//!
//! In: `check(at(…, value = …, gradient(…)))` and what was found there. Out: an error at each number that differs.

use super::*;

impl Check<'_> {
    pub(super) fn expected(
        &self,
        point: &Point,
        value: &Value,
        gradients: &[Value],
    ) -> Result<(), Failure> {
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
    pub(super) fn numbers(
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
}
