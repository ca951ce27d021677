//! Lanes of mean 0 and variance 1, as one operation: layer and batch normalisation.
//!
//! In: the formula of a value. Out: `(x - m) / √(Σ (x - m)² / n + ε)` as one operation, where `m = Σ x / n'` along an axis, whatever `n`, `n'` and
//! `ε` are, as long as they are constant. Operation by operation it reads `x` many times and divides for each element. The runtime has
//! what is done with one element as functions under `#[backprop]`: their gradients are the compiler's, and the way back adds up what the sums
//! along the lane hand back.

use super::formula::*;
use crate::tensor::graph::*;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::rc::Rc;

/// A float that is one for all elements, and constant.
#[derive(Clone, Debug)]
pub enum Uniform {
    Number(f64),
    Constant(Box<syn::Expr>),
    Scalar(V),
}

/// Normalised lanes.
#[derive(Clone, Debug)]
pub struct Normal {
    pub of: V,
    pub axis: TokenStream,
    /// What the sum of the elements is divided by, and that of the squares.
    pub counts: [Uniform; 2],
    /// What is added to the variance.
    pub shift: Uniform,
    /// The shape without the axis.
    pub lanes: Dim,
}

impl Normal {
    /// The constants of a lane.
    fn by(&self, uniform: impl Fn(&Uniform) -> TokenStream) -> TokenStream {
        let [n, m] = self.counts.each_ref().map(&uniform);
        let shift = uniform(&self.shift);
        quote!([#n, #m, #shift])
    }

    /// The value, written to `out`; what the way back reads of each lane is written to `kept`.
    pub fn forward(
        &self,
        of: &TokenStream,
        uniform: impl Fn(&Uniform) -> TokenStream,
        kept: &[Ident; 2],
        out: &TokenStream,
    ) -> TokenStream {
        let (axis, by, [mean, squares]) = (&self.axis, self.by(uniform), kept);
        quote! {
            ::backprop::tensor::normalize(
                #of, #axis, #by, #mean.view_mut(), #squares.view_mut(), #out,
            )
        }
    }

    /// From the adjoint `d` to the operand's, `to`.
    pub fn backward(
        &self,
        of: &TokenStream,
        uniform: impl Fn(&Uniform) -> TokenStream,
        kept: &[Ident; 2],
        [d, to]: [&TokenStream; 2],
        add: bool,
    ) -> TokenStream {
        let (axis, by, [mean, squares]) = (&self.axis, self.by(uniform), kept);
        quote! {
            ::backprop::tensor::normalize_back(
                [#of, #d.view()], #axis, #by, #mean.view(), #squares.view(), #to, #add,
            );
        }
    }
}

impl Trees<'_> {
    /// Normalised lanes, if a value is that.
    pub fn normal(&mut self, v: V) -> Option<Op> {
        if !self.g.is_tensor(v) || !self.g.active(v) {
            return None;
        }
        let t = self.of(v);
        if let Some([centred, root]) = applied(&t, F::Div) {
            return self.quotient_of_root(v, centred, root, false);
        }
        let [a, b] = applied(&t, F::Mul)? else {
            return None;
        };
        self.quotient_of_root(v, a, b, true)
            .or_else(|| self.quotient_of_root(v, b, a, true))
    }

    /// The centred elements by a root, or times the inverse of one.
    fn quotient_of_root(
        &mut self,
        v: V,
        centred: &Rc<Tree>,
        root: &Rc<Tree>,
        inverse: bool,
    ) -> Option<Op> {
        let [x, m] = applied(centred, F::Sub)? else {
            return None;
        };
        let of = x.value.filter(|&x| self.g.is_tensor(x))?;
        let rank = self.g.rank(of);
        let axis = self.axis_of_sum(m)?;
        let mean = self.lowered(m, &axis, rank)?;
        let (sum, n) = self.mean(&mean)?;
        if !self.sums(sum, of, &axis) {
            return None;
        }
        let mut root = self.lowered(root, &axis, rank)?;
        if inverse {
            let [one, of] = applied(&root, F::Div)? else {
                return None;
            };
            if !matches!(one.node, Node::Number(x) if x == 1.0) {
                return None;
            }
            root = of.clone();
        }
        let inside = applied(&root, F::Sqrt)?[0].clone();
        let (variance, shift) = match applied(&inside, F::Add) {
            Some([a, b]) if self.mean(a).is_some() => (a.clone(), self.uniform(b)?),
            Some([a, b]) => (b.clone(), self.uniform(a)?),
            _ => (inside.clone(), Uniform::Number(0.0)),
        };
        let (sum_of_squares, n_of_squares) = self.mean(&variance)?;
        let Op::SumAxis(squares, _) = self.g.value(sum_of_squares).op else {
            return None;
        };
        let square = self.of(squares);
        let [c, again] = applied(&square, F::Mul)? else {
            return None;
        };
        let [y, other] = applied(c, F::Sub)? else {
            return None;
        };
        let other = self.lowered(other, &axis, rank)?;
        let region = self.g.value(v).region;
        let here = [sum, sum_of_squares]
            .iter()
            .all(|&s| self.g.value(s).region == region);
        let fits = same(c, again, DEPTH)
            && y.value == Some(of)
            && self.means_alike(&mean, &other)
            && self.sums(sum_of_squares, squares, &axis)
            && here;
        let (lanes, axis) = (self.g.dim(sum)?, axis.tokens()?);
        fits.then_some(Op::Normal(Normal {
            of,
            axis,
            counts: [n, n_of_squares],
            shift,
            lanes,
        }))
    }

    /// The axis of a sum that a formula is made of.
    fn axis_of_sum(&self, t: &Rc<Tree>) -> Option<Axis> {
        if let Some(v) = t.value
            && let Op::SumAxis(_, axis) = &self.g.value(v).op
        {
            return Some(Axis::One(axis.clone(), axis.to_string().replace(' ', "")));
        }
        match &t.node {
            Node::Up(_, inner) => self.axis_of_sum(inner),
            Node::Apply(_, args) => args.iter().find_map(|a| self.axis_of_sum(a)),
            _ => None,
        }
    }

    /// A sum by a constant.
    fn mean(&self, t: &Rc<Tree>) -> Option<(V, Uniform)> {
        let [sum, n] = applied(t, F::Div)? else {
            return None;
        };
        let sum = sum.value?;
        let is_sum = matches!(self.g.value(sum).op, Op::SumAxis(..));
        is_sum.then_some((sum, self.uniform(n)?))
    }

    /// Whether two means are of the same elements, and by the same constant: `var_axis` has one of its own.
    fn means_alike(&self, a: &Rc<Tree>, b: &Rc<Tree>) -> bool {
        let parts = |t: &Rc<Tree>| match applied(t, F::Div) {
            Some([sum, n]) => Some((sum.value?, n.clone())),
            _ => None,
        };
        let (Some((x, n)), Some((y, m))) = (parts(a), parts(b)) else {
            return false;
        };
        let same_sum = match (&self.g.value(x).op, &self.g.value(y).op) {
            (Op::SumAxis(a, p), Op::SumAxis(b, q)) => a == b && p.to_string() == q.to_string(),
            _ => false,
        };
        let same_count = |a: &Tree, b: &Tree| match (&a.node, &b.node) {
            (Node::Constant(a), Node::Constant(b)) => self.constant(a) == self.constant(b),
            _ => false,
        };
        same_sum && (same(&n, &m, DEPTH) || same_count(&n, &m))
    }

    /// What a constant of the graph is, as text.
    fn constant(&self, e: &syn::Expr) -> Option<String> {
        let syn::Expr::Path(p) = e else { return None };
        let name = p.path.get_ident()?.to_string();
        let number: usize = name.strip_prefix("__c")?.parse().ok()?;
        Some(self.g.consts.get(number)?.to_string())
    }

    fn sums(&self, sum: V, of: V, axis: &Axis) -> bool {
        match (&self.g.value(sum).op, axis) {
            (Op::SumAxis(a, own), Axis::One(_, text)) => {
                *a == of && own.to_string().replace(' ', "") == *text
            }
            _ => false,
        }
    }

    fn uniform(&self, t: &Tree) -> Option<Uniform> {
        match &t.node {
            Node::Number(x) => Some(Uniform::Number(*x)),
            Node::Constant(e) => Some(Uniform::Constant(e.clone())),
            _ => {
                let v = t.value?;
                (!self.g.is_tensor(v) && !self.g.active(v)).then_some(Uniform::Scalar(v))
            }
        }
    }
}
