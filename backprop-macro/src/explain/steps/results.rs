//! The last lines: the result, and the partial derivatives in the order of the parameters.

use super::*;
use quote::ToTokens;

impl Steps<'_> {
    /// The result, where it has another name, and the partial derivatives of scalars.
    pub(super) fn end(&mut self) {
        if let Some(r) = self.result {
            let value = self.formula(r);
            if value.text() != self.function {
                let says = |l: &Step| l.left.as_ref().is_some_and(|f| f.text() == value.text());
                let last = self.lines.iter().rposition(says).map_or(0, |k| k + 1);
                let rest = self.lines[last..].iter().position(|l| l.indent == 0);
                let at = rest.map_or(self.lines.len(), |k| last + k);
                let left = Some(name(&self.function));
                self.lines.insert(
                    at,
                    Step {
                        indent: 0,
                        left,
                        sign: "=",
                        right: Some(value),
                        words: String::new(),
                    },
                );
            }
        }
        for s in &self.p.scalars {
            let mut path = String::new();
            let mut shape = self.shapes.get(s.param).map(|s| (*s).clone());
            for k in &s.path {
                let member = shape
                    .as_ref()
                    .map_or(syn::Member::from(*k as usize), |s| s.member(*k));
                path += &format!(".{}", member.to_token_stream());
                shape = shape.and_then(|s| s.step(&crate::graph::Step::Field(*k)));
            }
            let part = format!("{}{path}", self.params[s.param]);
            self.parts.push(part.clone());
            let x = name(&part);
            let value = self.formula(s.value);
            self.line(
                0,
                Formula::Partial(self.function.clone(), Box::new(x)),
                "=",
                value,
            );
        }
    }

    /// Partial derivatives that follow one another, in the order of the parameters and of their elements.
    pub(super) fn sort(&mut self) {
        let (params, parts) = (self.params, std::mem::take(&mut self.parts));
        let key = |l: &Step| match (&l.left, l.sign) {
            (Some(Formula::Partial(_, x)), "=") => match x.as_ref() {
                Formula::Name(n, indices) => {
                    let of = params.iter().position(|p| n.split('.').next() == Some(p));
                    let at: Vec<(usize, String)> = indices
                        .iter()
                        .map(Formula::text)
                        .map(|t| (t.len(), t))
                        .collect();
                    Some((of, parts.iter().position(|p| p == n), n.clone(), at))
                }
                _ => None,
            },
            _ => None,
        };
        for run in self
            .lines
            .chunk_by_mut(|a, b| a.indent == b.indent && key(a).is_some() && key(b).is_some())
        {
            run.sort_by_key(key);
        }
    }
}
