//! Idioms of several operations whose gradient is lost, or costs more, operation by operation: the table for tensors.
//!
//! In: the graph as lowered. Out: the same, in which what computes one of these is one operation. What must hold: the value
//! is what the operations give, also where it overflows; only the way back is another one. What is subtracted before `exp`
//! cancels: it gets no gradient, so that a maximum is not differentiated.
//!
//! | idiom | value | gradient | operation by operation |
//! |---|---|---|---|
//! | softmax `p` | `exp(z - m) / Σ exp(z - m)` | `p (d - Σ p d)` | through `1 / Σ²`; cancels where one class has it all |
//! | its logarithm `y` | `(z - m) - ln Σ exp(z - m)` | `d - exp(y) Σ d` | cancels where one class has it all |
//! | `y = ln p` | `ln(exp(z - m) / Σ exp(z - m))` | `d - exp(y) Σ d` | through `1 / p`, which overflows |
//! | log-sum-exp | `m + ln Σ exp(z - m)` | `d` times the softmax of `z`, kept | through `1 / Σ`, which overflows |
//! | cross-entropy | `Σ w ((z - m) - ln Σ exp(z - m))` | `d (w - p Σ w)` | a second `exp`, and two arrays more |
//!
//! The terms of all gradients but log-sum-exp's add up to zero along the axis: the largest element's is what the others leave,
//! which keeps it accurate where it is close to none. They are found in any spelling: methods, closures, operators,
//! `insert_axis` or broadcasting, with any `m` or none.
//!
//! Normalised lanes are in `normal`: their gradient is that of the functions of one element that they are made of.

mod formula;
mod normal;
mod table;

use crate::tensor::fuse::uses;
use crate::tensor::graph::*;
use crate::tensor::lower::Val;
use formula::*;
use std::collections::HashMap;
use std::rc::Rc;

pub use normal::{Normal, Uniform};
pub use table::Lane;

/// One idiom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idiom {
    Softmax,
    LogSoftmax,
    LnSoftmax,
    LogSumExp,
    /// A weighted sum of log-softmax; negative or not.
    CrossEntropy {
        negative: bool,
    },
}

impl Trees<'_> {
    /// `Σ exp(x)`: the formula `x`, and along which axis.
    fn sum_of_exp(&mut self, t: &Tree) -> Option<(Rc<Tree>, Axis)> {
        let (a, axis) = match &self.g.value(t.value?).op {
            Op::Sum(a) => (*a, Axis::All),
            Op::SumAxis(a, axis) => {
                let text = axis.to_string().replace(' ', "");
                (*a, Axis::One(axis.clone(), text))
            }
            _ => return None,
        };
        let e = self.of(a);
        Some((applied(&e, F::Exp)?[0].clone(), axis))
    }

    /// `Σ exp(x)` somewhere in what is divided by or subtracted, brought down to the axes of the sum.
    fn find_sum(&mut self, t: &Rc<Tree>) -> Option<(Rc<Tree>, Axis)> {
        if let Some(found) = self.sum_of_exp(t) {
            return Some(found);
        }
        match &t.node {
            Node::Up(_, inner) => self.find_sum(inner),
            Node::Apply(F::Ln | F::Add, args) => args.iter().find_map(|a| self.find_sum(a)),
            _ => None,
        }
    }

    /// `x` as `z - m`: the values `z` and `m`, the latter without the axis. Other than a float, `m` must be made of the lanes of
    /// `z`: then `x` has the shape of `z`, and is not broadcast to a larger one.
    fn shifted(&self, x: &Rc<Tree>, axis: &Axis) -> Option<(V, Option<V>)> {
        if let Some([z, m]) = applied(x, F::Sub)
            && let Some(z) = z.value
            && self.g.is_tensor(z)
            && let Some(m) = self.lowered(m, axis, self.g.rank(z)).and_then(|m| m.value)
        {
            let fits = match (axis, &self.g.value(m).op) {
                (Axis::All, _) => true,
                (
                    Axis::One(_, text),
                    Op::Lanes {
                        of,
                        axis: Some(other),
                        ..
                    },
                ) => *of == z && other.to_string().replace(' ', "") == *text,
                _ => false,
            };
            if fits {
                return Some((z, Some(m)));
            }
        }
        x.value.filter(|&v| self.g.is_tensor(v)).map(|v| (v, None))
    }

    fn find(&mut self, v: V) -> Option<Op> {
        let t = self.of(v);
        let Node::Apply(f, args) = &t.node else {
            return None;
        };
        let args = args.clone();
        match f {
            F::Div => {
                let x = self.quotient(&t)?;
                self.op(Idiom::Softmax, v, x)
            }
            F::Ln => {
                if let Some((x, axis)) = self.sum_of_exp(&args[0]) {
                    let of = x.value.filter(|&x| self.g.is_tensor(x))?;
                    return Some(Op::Idiom {
                        idiom: Idiom::LogSumExp,
                        weights: None,
                        of,
                        shift: None,
                        axis: axis.tokens(),
                    });
                }
                let x = self.quotient(&args[0])?;
                self.op(Idiom::LnSoftmax, v, x)
            }
            F::Sub => {
                let (x, axis) = self.find_sum(&args[1])?;
                let rank = x_rank(self.g, &x)?;
                let below = self.lowered(&args[1], &axis, rank)?;
                let ln_sum = |s: &mut Self, t: &Tree| {
                    let [s_] = applied(t, F::Ln)? else {
                        return None;
                    };
                    let (y, _) = s.sum_of_exp(s_)?;
                    same(&x, &y, DEPTH).then_some(())
                };
                if same(&args[0], &x, DEPTH) && ln_sum(self, &below).is_some() {
                    return self.op(Idiom::LogSoftmax, v, (x, axis));
                }
                // z - (m + ln Σ exp(z - m))
                let (z, Some(m)) = self.shifted(&x, &axis)? else {
                    return None;
                };
                let [a, b] = applied(&below, F::Add)? else {
                    return None;
                };
                let shift_is = |t: &Tree| t.value == Some(m);
                let matches = shift_is(a) && ln_sum(self, b).is_some()
                    || shift_is(b) && ln_sum(self, a).is_some();
                (matches && args[0].value == Some(z))
                    .then(|| self.op(Idiom::LogSoftmax, v, (x, axis)))?
            }
            F::Add => {
                let (x, axis) = self
                    .find_sum(&args[0])
                    .or_else(|| self.find_sum(&args[1]))?;
                let (z, Some(m)) = self.shifted(&x, &axis)? else {
                    return None;
                };
                let is_sum = |s: &mut Self, t: &Tree| {
                    applied(t, F::Ln).is_some_and(|t| s.sum_of_exp(&t[0]).is_some())
                };
                let shift_is = |t: &Tree| t.value == Some(m);
                (shift_is(&args[0]) && is_sum(self, &args[1])
                    || shift_is(&args[1]) && is_sum(self, &args[0]))
                .then(|| Op::Idiom {
                    idiom: Idiom::LogSumExp,
                    weights: None,
                    of: z,
                    shift: Some(m),
                    axis: axis.tokens(),
                })
            }
            _ => None,
        }
    }

    /// `exp(x) / Σ exp(x)`.
    fn quotient(&mut self, t: &Tree) -> Option<(Rc<Tree>, Axis)> {
        let [e, s] = applied(t, F::Div)? else {
            return None;
        };
        let x = applied(e, F::Exp)?[0].clone();
        let (_, axis) = self.find_sum(s)?;
        let rank = x_rank(self.g, &x)?;
        let s = self.lowered(s, &axis, rank)?;
        let (y, _) = self.sum_of_exp(&s)?;
        same(&x, &y, DEPTH).then_some((x, axis))
    }

    /// `Σ ± w y` over all elements where `y` is a log-softmax that nothing else reads and `w` is constant.
    fn cross_entropy(&mut self, v: V, uses: &HashMap<V, usize>) -> Option<Op> {
        let Op::Sum(a) = self.g.value(v).op else {
            return None;
        };
        let once = |a: V| uses.get(&a) == Some(&1);
        let (mut at, mut negative) = (a, false);
        let [x, y] = loop {
            if !once(at) {
                return None;
            }
            // Summed axis by axis, or with the sign outside.
            if let Op::SumAxis(of, _) = self.g.value(at).op {
                at = of;
                continue;
            }
            let tree = self.of(at);
            let (flipped, inner) = without_sign(&tree);
            negative ^= flipped;
            match &inner.node {
                Node::Apply(F::Mul, args) => break [args[0].clone(), args[1].clone()],
                _ => at = inner.value.filter(|&inner| inner != at)?,
            }
        };
        let sides = [(&x, &y), (&y, &x)];
        sides.into_iter().find_map(|(w, y)| {
            let ((w_negative, w), (y_negative, y)) = (without_sign(w), without_sign(y));
            let (w, y) = (w.value?, y.value?);
            let Op::Idiom {
                idiom: Idiom::LogSoftmax,
                of,
                shift,
                axis,
                ..
            } = &self.g.value(y).op
            else {
                return None;
            };
            let fits = once(y)
                && self.g.is_tensor(w)
                && !self.g.active(w)
                && self.g.value(y).region == self.g.value(v).region;
            fits.then(|| Op::Idiom {
                idiom: Idiom::CrossEntropy {
                    negative: negative ^ w_negative ^ y_negative,
                },
                weights: Some(w),
                of: *of,
                shift: *shift,
                axis: axis.clone(),
            })
        })
    }

    fn op(&self, idiom: Idiom, v: V, (x, axis): (Rc<Tree>, Axis)) -> Option<Op> {
        let (of, shift) = self.shifted(&x, &axis)?;
        (self.g.rank(of) == self.g.rank(v) && self.g.is_tensor(v)).then(|| Op::Idiom {
            idiom,
            weights: None,
            of,
            shift,
            axis: axis.tokens(),
        })
    }
}

/// Replaces what computes an idiom by the idiom.
pub fn idioms(g: &mut Graph, result: &Val) {
    let found: Vec<(V, Op)> = {
        let mut trees = Trees {
            g,
            known: HashMap::new(),
        };
        (0..g.values.len() as u32)
            .filter_map(|k| {
                let v = V(k);
                Some((v, trees.find(v).or_else(|| trees.normal(v))?))
            })
            .collect()
    };
    for (v, op) in found {
        g.values[v.0 as usize].op = op;
    }
    let uses = uses(g, result);
    let found: Vec<(V, Op)> = {
        let mut trees = Trees {
            g,
            known: HashMap::new(),
        };
        (0..g.values.len() as u32)
            .filter_map(|k| Some((V(k), trees.cross_entropy(V(k), &uses)?)))
            .collect()
    };
    for (v, op) in found {
        g.values[v.0 as usize].op = op;
    }
}
