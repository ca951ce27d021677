//! What a node is worth.
//!
//! In: a node, and what its operands are worth. Out: a number, a condition, or why it cannot be known here.

use super::constants::{self, Constants};
use super::{Machine, Result, Scalar, Stop, Value, path_of, root_of, unknown};
use crate::graph::Output;
use crate::graph::*;
use crate::reverse::buffer;
use crate::rules::Op;
use crate::types::Kind;
use proc_macro2::TokenStream;

impl Machine<'_, '_> {
    /// What does not belong to the primal: upstream gradients and tangents.
    pub(super) fn named(&self, tokens: &TokenStream) -> Result<&Value> {
        let root = root_of(tokens).unwrap_or_default();
        let sig = self.e.sig;
        if root == "__upstream" {
            return self.inputs.upstream.part(&path_of(tokens, &sig.output));
        }
        let tangent = sig
            .active()
            .enumerate()
            .find(|(_, (k, _))| crate::forward::tangent_name(sig, *k) == root);
        match tangent {
            Some((n, (_, p))) if n < self.inputs.tangents.len() => {
                self.inputs.tangents[n].part(&path_of(tokens, &p.shape))
            }
            _ => unknown(format!("`{root}`")),
        }
    }

    pub(super) fn given(&self, array: ArrayId, tokens: &TokenStream) -> Result<Value> {
        if let Some((k, path)) = self.e.arrays.get(&array) {
            return Ok(self.inputs.params[*k].part(path)?.clone());
        }
        let root = root_of(tokens).unwrap_or_default();
        let sig = self.e.sig;
        if let Some((k, p)) = sig
            .active()
            .find(|(k, _)| buffer(sig, *k) == root || crate::forward::second_name(sig, *k) == root)
        {
            // The caller's buffer: zeros when the program starts.
            let path = path_of(tokens, &p.shape);
            return Ok(self.inputs.params[k].part(&path)?.zeros());
        }
        Ok(self.named(tokens)?.clone())
    }

    pub(super) fn output(&self, out: &Output) -> Result<Value> {
        match out {
            Output::Scalar(id) => Ok(Value::Scalar(self.value(*id)?)),
            Output::Array(place) => Ok(self.place(place)?.clone()),
            Output::Tuple(all) => Ok(Value::Tuple(
                all.iter().map(|o| self.output(o)).collect::<Result<_>>()?,
            )),
        }
    }

    // ---- values ----

    pub(super) fn value(&self, id: Id) -> Result<Scalar> {
        let g = self.g();
        let id = g.resolve(id);
        match g.node(id) {
            Node::Lit(bits) => Ok(Scalar::Float(f64::from_bits(*bits))),
            Node::Param(k) => self.param(*k),
            Node::Opaque(k, args) => match (&g.opaque_of(*k).form, args.as_slice()) {
                (OpaqueForm::Tokens(_), _) => match &self.e.opaques[*k as usize].1 {
                    Some(value) => Ok(constants::as_kind(value.clone()?, g.types.kind(g.ty(id)))),
                    None => unknown("a constant"),
                },
                (form @ OpaqueForm::Field(_), &[of]) => {
                    let of = self.value(of)?;
                    let kind = g.types.kind(g.ty(id));
                    self.e.constants.opaque(form, "", &[of], kind)
                }
                _ => self.known(id),
            },
            Node::Undef(_) => Ok(match g.types.kind(g.ty(id)) {
                Kind::Bool => Scalar::Bool(false),
                Kind::Int(_) | Kind::AnyInt => Scalar::Int(0),
                _ => Scalar::Float(0.0),
            }),
            _ => self.known(id),
        }
    }

    pub(super) fn known(&self, id: Id) -> Result<Scalar> {
        match self.nodes[id.0 as usize] {
            Some(v) => Ok(v),
            None => unknown(format!(
                "a value that is out of scope ({:?})",
                self.g().node(id)
            )),
        }
    }

    pub(super) fn param(&self, k: u32) -> Result<Scalar> {
        let value = match self.e.reads.get(&k) {
            Some((param, path)) => self.inputs.params[*param].part(path)?,
            None => self.named(&self.e.p.reads[k as usize])?,
        };
        match value {
            Value::Scalar(s) => Ok(*s),
            _ => unknown("a parameter that is no scalar"),
        }
    }

    pub(super) fn float(&self, id: Id) -> Result<f64> {
        match self.value(id)? {
            Scalar::Float(x) => Ok(x),
            Scalar::Int(n) => Ok(n as f64),
            Scalar::Bool(b) => Ok(f64::from(b)),
            Scalar::Part(_) => unknown("a number"),
        }
    }

    pub(super) fn int(&self, id: Id) -> Result<i128> {
        match self.value(id)? {
            Scalar::Int(n) => Ok(n),
            _ => unknown("an integer"),
        }
    }

    pub(super) fn bool(&self, id: Id) -> Result<bool> {
        match self.value(id)? {
            Scalar::Bool(b) => Ok(b),
            _ => unknown("a condition"),
        }
    }

    pub(super) fn compute(&self, id: Id) -> Result<Scalar> {
        let g = self.g();
        let data = g.data(id);
        match &data.node {
            Node::Apply(op, args) => {
                if *op == Op::Select {
                    return self.value(args[if self.bool(args[0])? { 1 } else { 2 }]);
                }
                if *op == Op::Clamp {
                    let (lo, hi) = (self.float(args[1])?, self.float(args[2])?);
                    if lo.is_nan() || hi.is_nan() || lo > hi {
                        return Err(Stop::Panic("`clamp` of an empty range".into()));
                    }
                }
                let args: Vec<f64> = args.iter().map(|&a| self.float(a)).collect::<Result<_>>()?;
                Ok(Scalar::Float(self.rounded(*op, op.eval(&args))))
            }
            Node::Cast(a, _) => self.value(*a),
            Node::Opaque(k, args) => {
                let args: Vec<Scalar> =
                    args.iter().map(|&a| self.value(a)).collect::<Result<_>>()?;
                if let ([value], true) = (args.as_slice(), g.opaque_of(*k).is_detach()) {
                    let mut all = self.detached.borrow_mut();
                    let held = self.inputs.detached.get(all.len()).copied();
                    all.push(held.unwrap_or(*value));
                    return Ok(held.unwrap_or(*value));
                }
                self.e.constants.opaque(
                    &g.opaque_of(*k).form,
                    &self.e.opaques[*k as usize].0,
                    &args,
                    g.types.kind(data.ty),
                )
            }
            Node::Load(p, _) => match self.place(p)? {
                Value::Scalar(s) => Ok(*s),
                _ => unknown("an element that is no scalar"),
            },
            Node::Len(p, _) => match self.place(p)? {
                Value::List(all) => Ok(Scalar::Int(all.len() as i128)),
                _ => unknown("a length"),
            },
            _ => self.value(id),
        }
    }

    /// What an operation gives, or, where the inputs ask for it, the float next to it.
    fn rounded(&self, op: Op, x: f64) -> f64 {
        let Some(state) = self.shaken.get() else {
            return x;
        };
        // What chooses or cuts off gives no other numbers than it gets.
        let rounds = matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Div)
            || op.is_dear() && !matches!(op, Op::RemEuclid | Op::DivEuclid | Op::Rem);
        if !rounds {
            return x;
        }
        let next = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.shaken.set(Some(next));
        if next >> 63 == 0 {
            x.next_up()
        } else {
            x.next_down()
        }
    }
}

pub(super) fn read_opaque(
    form: &OpaqueForm,
    constants: &Constants,
) -> (String, Option<Result<Scalar>>) {
    match form {
        OpaqueForm::Tokens(t) => {
            let value = constants.tokens(t, &Kind::Unknown);
            (t.to_string(), Some(value))
        }
        OpaqueForm::Unary(t)
        | OpaqueForm::Binary(t)
        | OpaqueForm::Method(t)
        | OpaqueForm::Call(t)
        | OpaqueForm::Cast(t)
        | OpaqueForm::Field(t)
        | OpaqueForm::Matches(t) => (t.to_string(), None),
        OpaqueForm::Index | OpaqueForm::Bound(..) => (String::new(), None),
    }
}
