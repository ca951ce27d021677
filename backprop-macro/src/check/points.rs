//! Points: values of the parameters' shapes, sampled or as the user gave them, and how they are written for people.

use super::syntax::{Domain, Point};
use super::{Check, Failure, stopped};
use crate::errors;
use crate::evaluate::{Constants, Scalar, Stop, Value};
use crate::shape::Shape;
use proc_macro2::TokenStream;
use quote::ToTokens;
use std::fmt::Write;
use syn::ext::IdentExt;

/// The length of a slice that no `len(…)` names, and of the slices in it.
const LENGTHS: [usize; 2] = [4, 3];

/// A small generator: the same points on every compilation.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    /// In `[0, 1)`: the high bits of a linear congruential generator, mixed.
    pub fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, (low, high): (f64, f64)) -> f64 {
        low + (high - low) * self.unit()
    }
}

/// The interval that a domain stands for.
pub fn interval(domain: Option<Domain>) -> (f64, f64) {
    match domain.map(|d| (d.low, d.high)) {
        Some((Some(low), Some(high))) => (low, high),
        Some((Some(low), None)) => (low, low + 3.0 * (1.0 + low.abs())),
        Some((None, Some(high))) => (high - 3.0 * (1.0 + high.abs()), high),
        _ => (-2.0, 2.0),
    }
}

/// The integers that a domain stands for, both ends included.
pub fn integers(domain: Option<Domain>) -> (i128, i128) {
    match domain {
        None => (1, 3),
        Some(Domain { closed, .. }) => {
            let (low, high) = interval(domain);
            let low = low.ceil();
            // `0..n` holds no `n`.
            let high = if closed {
                high.floor()
            } else {
                high.ceil() - 1.0
            }
            .max(low);
            (low as i128, high as i128)
        }
    }
}

impl Check<'_> {
    pub(super) fn sampled(&self, random: &mut Random) -> Result<Vec<Value>, Failure> {
        let sample = |p: &crate::signature::Param| {
            let (domain, lengths) = (
                self.options.domain(&p.ident),
                self.options.lengths(&p.ident),
            );
            sample(&p.shape, domain, lengths, self.constants, random).map_err(stopped)
        };
        self.sig.params.iter().map(sample).collect()
    }

    /// The parameters at a point that the user wrote.
    pub(super) fn given(&self, point: &Point) -> Result<Vec<Value>, Failure> {
        let mut out = Vec::new();
        for p in &self.sig.params {
            let Some((_, e)) = point.values.iter().find(|v| v.0.unraw() == p.ident.unraw()) else {
                let name = p.ident.unraw().to_string();
                self.errors
                    .reject_named(&point.at, &errors::CHECK_MISSING, &name);
                return Err(Failure::Reported);
            };
            match written(e, &p.shape, self.constants) {
                Ok(value) => out.push(value),
                Err(at) => {
                    self.errors.reject(at, &errors::CHECK_SHAPE);
                    return Err(Failure::Reported);
                }
            }
        }
        Ok(out)
    }

    pub(super) fn show(&self, params: &[Value]) -> String {
        let all = self.sig.params.iter().zip(params);
        let parts: Vec<String> = all
            .map(|(p, v)| format!("{} = {}", p.ident.unraw(), show(v)))
            .collect();
        parts.join(", ")
    }
}

/// A value of a shape.
pub fn sample(
    shape: &Shape,
    domain: Option<Domain>,
    lengths: &[usize],
    constants: &Constants,
    random: &mut Random,
) -> Result<Value, Stop> {
    match shape {
        Shape::Float(_) | Shape::Scalar(_) => Ok(Value::Scalar(Scalar::Float(
            random.between(interval(domain)),
        ))),
        Shape::Array(s, n) => {
            let n = crate::evaluate::length(constants, n)?;
            (0..n)
                .map(|_| sample(s, domain, lengths, constants, random))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        Shape::Slice(s) | Shape::Vec(s) => {
            let depth_default = if matches!(**s, Shape::Slice(_) | Shape::Vec(_)) {
                LENGTHS[1]
            } else {
                LENGTHS[0]
            };
            let n = lengths.first().copied().unwrap_or(depth_default);
            let rest = lengths.get(1..).unwrap_or(&[]);
            (0..n)
                .map(|_| sample(s, domain, rest, constants, random))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        Shape::Tuple(_) | Shape::Struct(_) => shape
            .parts()
            .unwrap_or_default()
            .iter()
            .map(|(_, s)| sample(s, domain, lengths, constants, random))
            .collect::<Result<_, _>>()
            .map(Value::Tuple),
        Shape::Constant(ty) => {
            let text = ty.to_token_stream().to_string().replace(['&', ' '], "");
            let name = text.rsplit("::").next().unwrap_or("");
            if name == "bool" {
                return Ok(Value::Scalar(Scalar::Bool(random.unit() < 0.5)));
            }
            if !crate::types::INTEGERS.contains(&name) {
                return Err(Stop::Unknown(format!("a value of type `{text}`")));
            }
            let (low, high) = integers(domain);
            let span = (high - low + 1) as f64;
            let n = low + (random.unit() * span) as i128;
            Ok(Value::Scalar(Scalar::Int(n.min(high))))
        }
        Shape::Unknown => Err(Stop::Unknown("a value of a type of yours".into())),
    }
}

/// A value as the user wrote it; `Err` with the part that does not fit.
pub fn written(e: &syn::Expr, shape: &Shape, constants: &Constants) -> Result<Value, TokenStream> {
    let fail = || e.to_token_stream();
    match (e, shape) {
        (syn::Expr::Reference(r), _) => written(&r.expr, shape, constants),
        (syn::Expr::Paren(p), Shape::Float(_) | Shape::Scalar(_) | Shape::Constant(_)) => {
            written(&p.expr, shape, constants)
        }
        (syn::Expr::Group(p), _) => written(&p.expr, shape, constants),
        (_, Shape::Float(_) | Shape::Scalar(_)) => match constants.expr(e, 0) {
            Ok(Scalar::Float(x)) => Ok(Value::Scalar(Scalar::Float(x))),
            Ok(Scalar::Int(n)) => Ok(Value::Scalar(Scalar::Float(n as f64))),
            _ => Err(fail()),
        },
        (_, Shape::Constant(_)) => match constants.expr(e, 0) {
            Ok(Scalar::Float(_)) | Err(_) => Err(fail()),
            Ok(s) => Ok(Value::Scalar(s)),
        },
        (syn::Expr::Array(a), Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s)) => {
            let all: Vec<Value> = a
                .elems
                .iter()
                .map(|e| written(e, s, constants))
                .collect::<Result<_, _>>()?;
            if let Shape::Array(_, n) = shape
                && let Ok(n) = crate::evaluate::length(constants, n)
                && n != all.len()
            {
                return Err(fail());
            }
            Ok(Value::List(all))
        }
        (syn::Expr::Tuple(t), Shape::Tuple(all)) if t.elems.len() == all.len() => t
            .elems
            .iter()
            .zip(all)
            .map(|(e, s)| written(e, s, constants))
            .collect::<Result<_, _>>()
            .map(Value::Tuple),
        (syn::Expr::Struct(e), Shape::Struct(of)) if e.rest.is_none() => {
            let part = |f: &crate::definitions::Field| {
                let found = e.fields.iter().find(|v| v.member == f.member);
                found.map_or_else(|| Err(fail()), |v| written(&v.expr, &f.shape, constants))
            };
            of.fields
                .iter()
                .map(part)
                .collect::<Result<_, _>>()
                .map(Value::Tuple)
        }
        _ => Err(fail()),
    }
}

/// The numbers of an expression like `[1.0, (2.0, 3.0)]`, in order, each where it stands.
pub fn leaves(e: &syn::Expr, out: &mut Vec<syn::Expr>) {
    match e {
        syn::Expr::Struct(s) => s.fields.iter().for_each(|f| leaves(&f.expr, out)),
        syn::Expr::Array(a) => a.elems.iter().for_each(|e| leaves(e, out)),
        syn::Expr::Tuple(t) => t.elems.iter().for_each(|e| leaves(e, out)),
        syn::Expr::Reference(r) => leaves(&r.expr, out),
        syn::Expr::Group(g) => leaves(&g.expr, out),
        _ => out.push(e.clone()),
    }
}

/// A value for people: short numbers, and no more than a line of them.
pub fn show(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    if out.chars().count() > 160 {
        out = out.chars().take(160).collect();
        out.push('…');
    }
    out
}

fn write_value(value: &Value, out: &mut String) {
    let list = |all: &[Value], open: char, close: char, out: &mut String| {
        out.push(open);
        for (k, v) in all.iter().enumerate() {
            if k > 0 {
                out.push_str(", ");
            }
            write_value(v, out);
        }
        out.push(close);
    };
    match value {
        Value::Scalar(Scalar::Float(x)) => out.push_str(&number(*x)),
        Value::Scalar(Scalar::Int(n)) => {
            let _ = write!(out, "{n}");
        }
        Value::Scalar(Scalar::Bool(b)) => {
            let _ = write!(out, "{b}");
        }
        // A part of `self`, which is no parameter.
        Value::Scalar(Scalar::Part(_)) => out.push_str("self"),
        Value::List(all) => list(all, '[', ']', out),
        Value::Tuple(all) => list(all, '(', ')', out),
        Value::Unit => out.push_str("()"),
    }
}

/// A number in as many digits as it takes to find the place again.
pub fn number(x: f64) -> String {
    if x == 0.0 || (1e-4..1e7).contains(&x.abs()) {
        let text = format!("{x:.9}");
        let text = text.trim_end_matches('0');
        if text.ends_with('.') {
            format!("{text}0")
        } else {
            text.to_string()
        }
    } else {
        format!("{x:e}")
    }
}

/// Which element of a value a position among its floats is: `[1]`, `.0[2]`.
pub fn element(value: &Value, mut position: usize) -> String {
    fn count(v: &Value) -> usize {
        let mut all = Vec::new();
        v.floats(&mut all);
        all.len()
    }
    let mut out = String::new();
    let mut at = value;
    loop {
        let (all, list) = match at {
            Value::List(all) => (all, true),
            Value::Tuple(all) => (all, false),
            _ => return out,
        };
        let mut found = None;
        for (k, v) in all.iter().enumerate() {
            let n = count(v);
            if position < n {
                found = Some((k, v));
                break;
            }
            position -= n;
        }
        let Some((k, v)) = found else { return out };
        let _ = if list {
            write!(out, "[{k}]")
        } else {
            write!(out, ".{k}")
        };
        at = v;
    }
}
