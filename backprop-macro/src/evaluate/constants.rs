//! Constant Rust, as far as it can be evaluated: literals, the standard library's constants, `const` items of the body,
//! integer arithmetic that panics where the function would, casts, and the macros that assert.

use super::receiver::Receiver;
use super::{Result, Scalar, Stop, unknown};
use crate::graph::OpaqueForm;
use crate::shape::Length;
use crate::types::Kind;
use proc_macro2::TokenStream;
use quote::ToTokens;
use std::collections::HashMap;
use syn::parse::Parser;
use syn::punctuated::Punctuated;

/// What the names in constant expressions stand for.
#[derive(Default)]
pub struct Constants {
    /// Const generic parameters, as chosen for the check.
    pub chosen: HashMap<String, i128>,
    /// `const` items of the function's own body.
    pub items: HashMap<String, syn::Expr>,
    /// What `self` is.
    pub receiver: Receiver,
}

impl Constants {
    /// Reads the `const` items of a body.
    pub fn add_items(&mut self, items: &[TokenStream]) {
        for item in items {
            if let Ok(c) = syn::parse2::<syn::ItemConst>(item.clone()) {
                self.items.insert(c.ident.to_string(), *c.expr);
            }
        }
    }

    /// The value of tokens that stand for a constant of a kind.
    pub fn tokens(&self, tokens: &TokenStream, kind: &Kind) -> Result<Scalar> {
        let text = tokens.to_string();
        match text.as_str() {
            "true" => return Ok(Scalar::Bool(true)),
            "false" => return Ok(Scalar::Bool(false)),
            _ => {}
        }
        match syn::parse2::<syn::Expr>(tokens.clone()) {
            Ok(expr) => Ok(as_kind(self.expr(&expr, 0)?, kind)),
            Err(_) => unknown(format!("`{text}`")),
        }
    }

    /// The length of a fixed array.
    pub fn length(&self, n: &Length) -> Result<usize> {
        match n {
            Length::Known(n) => Ok(*n),
            Length::Tokens(t) => match self.tokens(t, &Kind::Int("usize".into()))? {
                Scalar::Int(n) => match usize::try_from(n) {
                    Ok(n) => Ok(n),
                    Err(_) => unknown(format!("the length `{t}`")),
                },
                _ => unknown(format!("the length `{t}`")),
            },
        }
    }

    /// A constant expression.
    pub fn expr(&self, e: &syn::Expr, depth: usize) -> Result<Scalar> {
        let text = || format!("`{}`", e.to_token_stream());
        if depth > 50 {
            return unknown(text());
        }
        let inner = |e: &syn::Expr| self.expr(e, depth + 1);
        match e {
            syn::Expr::Paren(p) => inner(&p.expr),
            syn::Expr::Group(p) => inner(&p.expr),
            syn::Expr::Block(b) if b.label.is_none() => match b.block.stmts.as_slice() {
                [syn::Stmt::Expr(e, None)] => inner(e),
                _ => unknown(text()),
            },
            syn::Expr::Lit(l) => match &l.lit {
                syn::Lit::Float(f) => match f.base10_digits().parse() {
                    Ok(x) => Ok(Scalar::Float(x)),
                    Err(_) => unknown(text()),
                },
                syn::Lit::Int(n) if matches!(n.suffix(), "f32" | "f64") => {
                    match n.base10_digits().parse() {
                        Ok(x) => Ok(Scalar::Float(x)),
                        Err(_) => unknown(text()),
                    }
                }
                syn::Lit::Int(n) => match n.base10_parse() {
                    Ok(n) => Ok(Scalar::Int(n)),
                    Err(_) => unknown(text()),
                },
                syn::Lit::Bool(b) => Ok(Scalar::Bool(b.value)),
                _ => unknown(text()),
            },
            syn::Expr::Unary(u) => match (&u.op, inner(&u.expr)?) {
                (syn::UnOp::Neg(_), Scalar::Float(x)) => Ok(Scalar::Float(-x)),
                (syn::UnOp::Neg(_), Scalar::Int(n)) => Ok(Scalar::Int(-n)),
                (syn::UnOp::Not(_), Scalar::Bool(b)) => Ok(Scalar::Bool(!b)),
                _ => unknown(text()),
            },
            syn::Expr::Binary(b) => {
                let (x, y) = (inner(&b.left)?, inner(&b.right)?);
                binary(&b.op.to_token_stream().to_string(), x, y, &Kind::Unknown)
            }
            syn::Expr::Cast(c) => cast(&c.ty.to_token_stream().to_string(), inner(&c.expr)?),
            syn::Expr::Path(p) if p.path.is_ident("self") => match self.receiver.whole() {
                Some(whole) => Ok(whole),
                None => unknown(text()),
            },
            syn::Expr::Path(p) if p.qself.is_none() => self.path(&p.path, depth),
            syn::Expr::Field(f) => match inner(&f.base) {
                Ok(Scalar::Part(of)) => {
                    self.field(of, &f.member.to_token_stream().to_string(), depth)
                }
                _ => unknown(text()),
            },
            _ => unknown(text()),
        }
    }

    /// A field of a part of `self`.
    fn field(&self, of: u32, member: &str, depth: usize) -> Result<Scalar> {
        let found = self.receiver.field(of, member)?;
        match self.receiver.keep(&found) {
            Some(part) => Ok(part),
            None => self.expr(&found, depth + 1),
        }
    }

    fn path(&self, path: &syn::Path, depth: usize) -> Result<Scalar> {
        let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let [name] = names.as_slice() {
            if let Some(n) = self.chosen.get(*name) {
                return Ok(Scalar::Int(*n));
            }
            if let Some(e) = self.items.get(*name) {
                return self.expr(e, depth + 1);
            }
        }
        // A module called `f64` of the user's would have to hold a `consts` of its own.
        let rest: &[&str] = match names.as_slice() {
            ["std" | "core", "primitive", rest @ ..] | ["std" | "core", rest @ ..] => rest,
            rest => rest,
        };
        match rest {
            ["f64" | "f32", "consts", name] => match float_const(name) {
                Some(x) => Ok(Scalar::Float(x)),
                None => unknown(format!("`{}`", path.to_token_stream())),
            },
            ["f64", name] => limit(name, f64::MAX, f64::EPSILON, f64::MIN_POSITIVE, path),
            ["f32", name] => limit(
                name,
                f32::MAX.into(),
                f32::EPSILON.into(),
                f32::MIN_POSITIVE.into(),
                path,
            ),
            [int, "BITS"] if range(int).is_some() => Ok(Scalar::Int(bits(int).into())),
            [int, "MAX"] => match range(int) {
                Some((_, hi)) => Ok(Scalar::Int(hi)),
                None => unknown(format!("`{}`", path.to_token_stream())),
            },
            [int, "MIN"] => match range(int) {
                Some((lo, _)) => Ok(Scalar::Int(lo)),
                None => unknown(format!("`{}`", path.to_token_stream())),
            },
            _ => unknown(format!(
                "`{}`, which is defined elsewhere",
                path.to_token_stream()
            )),
        }
    }

    /// An opaque expression applied to its operands; `text` is what its tokens read.
    pub fn opaque(
        &self,
        form: &OpaqueForm,
        text: &str,
        args: &[Scalar],
        kind: &Kind,
    ) -> Result<Scalar> {
        match (form, args) {
            (OpaqueForm::Tokens(t), _) => self.tokens(t, kind),
            (OpaqueForm::Index, &[Scalar::Part(of), Scalar::Int(k)]) => {
                let found = self.receiver.element(of, k)?;
                match self.receiver.keep(&found) {
                    Some(part) => Ok(part),
                    None => Ok(as_kind(self.expr(&found, 0)?, kind)),
                }
            }
            (OpaqueForm::Field(f), &[Scalar::Part(of)]) => {
                Ok(as_kind(self.field(of, &f.to_string(), 0)?, kind))
            }
            (OpaqueForm::Method(_), &[Scalar::Part(of)]) if text == "len" => self.receiver.len(of),
            (OpaqueForm::Unary(_), [a]) => match (text, a) {
                ("!", Scalar::Bool(b)) => Ok(Scalar::Bool(!b)),
                ("!", Scalar::Int(n)) => match kind {
                    Kind::Int(name) if name.starts_with('u') => {
                        let (_, hi) = range(name).unwrap_or((0, 0));
                        Ok(Scalar::Int(hi - n))
                    }
                    _ => Ok(Scalar::Int(!n)),
                },
                ("-", Scalar::Int(n)) => fit(-n, kind),
                ("-", Scalar::Float(x)) => Ok(Scalar::Float(-x)),
                (op, _) => unknown(format!("`{op}`")),
            },
            (OpaqueForm::Binary(_), &[a, b]) => binary(text, a, b, kind),
            (OpaqueForm::Cast(_), &[a]) => cast(text, a),
            (OpaqueForm::Method(_), args) => method(text, args, kind),
            (OpaqueForm::Call(_), args) => {
                let text = text.replace(' ', "");
                let names: Vec<&str> = text.trim_start_matches("::").split("::").collect();
                match (names.as_slice(), args) {
                    ([.., "cmp", "min" | "max"], _) => method(names[names.len() - 1], args, kind),
                    ([.., "f64" | "f32", "from"], &[a]) => cast("f64", a),
                    ([.., int, name], _) if range(int).is_some() => {
                        let kind = Kind::Int((*int).to_string());
                        match (*name, args) {
                            ("from", &[a]) => cast(int, a),
                            _ => method(name, args, &kind),
                        }
                    }
                    _ => unknown(format!("the call of `{text}`")),
                }
            }
            (OpaqueForm::Matches(pat), &[a]) => {
                match syn::Pat::parse_multi_with_leading_vert.parse2(pat.clone()) {
                    Ok(pat) => Ok(Scalar::Bool(self.matches(&pat, a)?)),
                    Err(_) => unknown(format!("`{pat}`")),
                }
            }
            (OpaqueForm::Index, _) => unknown("a table that is defined elsewhere"),
            (OpaqueForm::Bound(_, name), _) => unknown(format!("what `{name}` is bound to")),
            (OpaqueForm::Field(f), _) => unknown(format!("the field `{f}`")),
            (form, _) => unknown(format!("{form:?}")),
        }
    }

    fn matches(&self, pat: &syn::Pat, value: Scalar) -> Result<bool> {
        match pat {
            syn::Pat::Or(p) => {
                for case in &p.cases {
                    if self.matches(case, value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            syn::Pat::Paren(p) => self.matches(&p.pat, value),
            syn::Pat::Wild(_) => Ok(true),
            syn::Pat::Lit(l) => {
                let want = self.tokens(&l.to_token_stream(), &Kind::Unknown)?;
                truth(binary("==", value, want, &Kind::Bool)?)
            }
            syn::Pat::Path(p) => {
                let want = self.tokens(&p.to_token_stream(), &Kind::Unknown)?;
                truth(binary("==", value, want, &Kind::Bool)?)
            }
            syn::Pat::Range(r) => {
                let above = match &r.start {
                    Some(lo) => truth(binary("<=", self.expr(lo, 0)?, value, &Kind::Bool)?)?,
                    None => true,
                };
                let below = match &r.end {
                    Some(hi) => {
                        let op = match r.limits {
                            syn::RangeLimits::HalfOpen(_) => "<",
                            syn::RangeLimits::Closed(_) => "<=",
                        };
                        truth(binary(op, value, self.expr(hi, 0)?, &Kind::Bool)?)?
                    }
                    None => true,
                };
                Ok(above && below)
            }
            _ => unknown(format!("the pattern `{}`", pat.to_token_stream())),
        }
    }
}

/// A constant where a kind is wanted: what a float is compared with is one.
pub fn as_kind(value: Scalar, kind: &Kind) -> Scalar {
    match (value, kind) {
        (Scalar::Int(n), Kind::Float(_) | Kind::AnyFloat) => Scalar::Float(n as f64),
        (value, _) => value,
    }
}

fn truth(s: Scalar) -> Result<bool> {
    match s {
        Scalar::Bool(b) => Ok(b),
        _ => unknown("a condition"),
    }
}

fn float_const(name: &str) -> Option<f64> {
    use std::f64::consts as c;
    Some(match name {
        "PI" => c::PI,
        "TAU" => c::TAU,
        "E" => c::E,
        "LN_2" => c::LN_2,
        "LN_10" => c::LN_10,
        "LOG2_E" => c::LOG2_E,
        "LOG10_E" => c::LOG10_E,
        "LOG2_10" => c::LOG2_10,
        "LOG10_2" => c::LOG10_2,
        "SQRT_2" => c::SQRT_2,
        "FRAC_1_SQRT_2" => c::FRAC_1_SQRT_2,
        "FRAC_1_PI" => c::FRAC_1_PI,
        "FRAC_2_PI" => c::FRAC_2_PI,
        "FRAC_2_SQRT_PI" => c::FRAC_2_SQRT_PI,
        "FRAC_PI_2" => c::FRAC_PI_2,
        "FRAC_PI_3" => c::FRAC_PI_3,
        "FRAC_PI_4" => c::FRAC_PI_4,
        "FRAC_PI_6" => c::FRAC_PI_6,
        "FRAC_PI_8" => c::FRAC_PI_8,
        _ => return None,
    })
}

fn limit(name: &str, max: f64, epsilon: f64, tiny: f64, path: &syn::Path) -> Result<Scalar> {
    Ok(Scalar::Float(match name {
        "MAX" => max,
        "MIN" => -max,
        "EPSILON" => epsilon,
        "MIN_POSITIVE" => tiny,
        "INFINITY" => f64::INFINITY,
        "NEG_INFINITY" => f64::NEG_INFINITY,
        "NAN" => f64::NAN,
        _ => return unknown(format!("`{}`", path.to_token_stream())),
    }))
}

fn bits(int: &str) -> u32 {
    match &int[1..] {
        "size" => 64,
        n => n.parse().unwrap_or(64),
    }
}

/// The range of an integer type; that of `u128` is cut to what is evaluated with.
fn range(int: &str) -> Option<(i128, i128)> {
    if !crate::types::INTEGERS.contains(&int) {
        return None;
    }
    let bits = bits(int);
    Some(match (int.starts_with('u'), bits) {
        (true, 128) => (0, i128::MAX),
        (true, n) => (0, (1i128 << n) - 1),
        (false, 128) => (i128::MIN, i128::MAX),
        (false, n) => (-(1i128 << (n - 1)), (1i128 << (n - 1)) - 1),
    })
}

fn of_kind(kind: &Kind) -> Option<(i128, i128)> {
    match kind {
        Kind::Int(name) => range(name),
        Kind::AnyInt => range("i32"),
        _ => None,
    }
}

/// An integer, if its type can hold it.
fn fit(n: i128, kind: &Kind) -> Result<Scalar> {
    match of_kind(kind) {
        Some((lo, hi)) if n < lo || n > hi => Err(Stop::Panic("arithmetic overflow".into())),
        _ => Ok(Scalar::Int(n)),
    }
}

/// An integer wrapped to its type.
fn wrap(n: i128, kind: &Kind) -> Scalar {
    match of_kind(kind) {
        Some((lo, hi)) if lo > i128::MIN && hi < i128::MAX => {
            Scalar::Int((n - lo).rem_euclid(hi - lo + 1) + lo)
        }
        _ => Scalar::Int(n),
    }
}

fn binary(op: &str, a: Scalar, b: Scalar, kind: &Kind) -> Result<Scalar> {
    use Scalar::{Bool, Float, Int};
    let overflow = || Stop::Panic("arithmetic overflow".into());
    let zero = || Stop::Panic("division by zero".into());
    match (op, a, b) {
        ("&&" | "&", Bool(a), Bool(b)) => Ok(Bool(a && b)),
        ("||" | "|", Bool(a), Bool(b)) => Ok(Bool(a || b)),
        ("^" | "!=", Bool(a), Bool(b)) => Ok(Bool(a != b)),
        ("==", Bool(a), Bool(b)) => Ok(Bool(a == b)),
        (_, Float(a), Float(b)) => Ok(match op {
            "==" => Bool(a == b),
            "!=" => Bool(a != b),
            "<" => Bool(a < b),
            "<=" => Bool(a <= b),
            ">" => Bool(a > b),
            ">=" => Bool(a >= b),
            "+" => Float(a + b),
            "-" => Float(a - b),
            "*" => Float(a * b),
            "/" => Float(a / b),
            "%" => Float(a % b),
            _ => return unknown(format!("`{op}`")),
        }),
        (_, Int(a), Int(b)) => match op {
            "==" => Ok(Bool(a == b)),
            "!=" => Ok(Bool(a != b)),
            "<" => Ok(Bool(a < b)),
            "<=" => Ok(Bool(a <= b)),
            ">" => Ok(Bool(a > b)),
            ">=" => Ok(Bool(a >= b)),
            "+" => fit(a.checked_add(b).ok_or_else(overflow)?, kind),
            "-" => fit(a.checked_sub(b).ok_or_else(overflow)?, kind),
            "*" => fit(a.checked_mul(b).ok_or_else(overflow)?, kind),
            "/" => fit(a.checked_div(b).ok_or_else(zero)?, kind),
            "%" => fit(a.checked_rem(b).ok_or_else(zero)?, kind),
            "&" => Ok(Int(a & b)),
            "|" => Ok(Int(a | b)),
            "^" => Ok(Int(a ^ b)),
            "<<" if (0..64).contains(&b) => Ok(wrap(a << b, kind)),
            ">>" if (0..64).contains(&b) => Ok(Int(a >> b)),
            _ => unknown(format!("`{op}`")),
        },
        _ => unknown(format!("`{op}`")),
    }
}

fn cast(text: &str, a: Scalar) -> Result<Scalar> {
    let name = text.rsplit("::").next().unwrap_or("").trim();
    let int = match a {
        Scalar::Float(x) => {
            if matches!(name, "f32" | "f64") {
                return Ok(a);
            }
            // Casts of floats saturate; NaN is zero.
            return match range(name) {
                Some((lo, hi)) => Ok(Scalar::Int(if x.is_nan() {
                    0
                } else {
                    (x as i128).clamp(lo, hi)
                })),
                None => unknown(format!("`as {text}`")),
            };
        }
        Scalar::Int(n) => n,
        Scalar::Bool(b) => i128::from(b),
        Scalar::Part(_) => return unknown(format!("`as {text}`")),
    };
    match name {
        "f32" | "f64" => Ok(Scalar::Float(int as f64)),
        "bool" => Ok(a),
        _ if range(name).is_some() => Ok(wrap(int, &Kind::Int(name.to_string()))),
        // A generic float: `T::from(n)`.
        _ => unknown(format!("`as {text}`")),
    }
}

fn method(name: &str, args: &[Scalar], kind: &Kind) -> Result<Scalar> {
    use Scalar::{Bool, Float, Int};
    let overflow = || Stop::Panic("arithmetic overflow".into());
    match (name, args) {
        ("is_nan", &[Float(x)]) => Ok(Bool(x.is_nan())),
        ("is_finite", &[Float(x)]) => Ok(Bool(x.is_finite())),
        ("is_infinite", &[Float(x)]) => Ok(Bool(x.is_infinite())),
        ("is_normal", &[Float(x)]) => Ok(Bool(x.is_normal())),
        ("is_subnormal", &[Float(x)]) => Ok(Bool(x.is_subnormal())),
        ("is_sign_negative", &[Float(x)]) => Ok(Bool(x.is_sign_negative())),
        ("is_sign_positive", &[Float(x)]) => Ok(Bool(x.is_sign_positive())),
        (_, args) if args.iter().all(|a| matches!(a, Float(_))) && !args.is_empty() => {
            let values: Vec<f64> = args
                .iter()
                .map(|a| if let Float(x) = a { *x } else { f64::NAN })
                .collect();
            match crate::rules::Op::from_method(name, args.len()) {
                Some(op) => Ok(Float(op.eval(&values))),
                None => unknown(format!("the method `{name}`")),
            }
        }
        ("min", &[Int(a), Int(b)]) => Ok(Int(a.min(b))),
        ("max", &[Int(a), Int(b)]) => Ok(Int(a.max(b))),
        ("clamp", &[Int(a), Int(lo), Int(hi)]) if lo <= hi => Ok(Int(a.clamp(lo, hi))),
        ("abs", &[Int(a)]) => fit(a.abs(), kind),
        ("signum", &[Int(a)]) => Ok(Int(a.signum())),
        ("pow", &[Int(a), Int(n)]) => {
            let n = u32::try_from(n).map_err(|_| overflow())?;
            fit(a.checked_pow(n).ok_or_else(overflow)?, kind)
        }
        ("rem_euclid", &[Int(a), Int(b)]) => {
            fit(a.checked_rem_euclid(b).ok_or_else(overflow)?, kind)
        }
        ("div_euclid", &[Int(a), Int(b)]) => {
            fit(a.checked_div_euclid(b).ok_or_else(overflow)?, kind)
        }
        ("div_ceil", &[Int(a), Int(b)]) if b > 0 && a >= 0 => Ok(Int((a + b - 1) / b)),
        ("saturating_sub" | "saturating_add" | "saturating_mul", &[Int(a), Int(b)]) => {
            let exact = match name {
                "saturating_sub" => a.saturating_sub(b),
                "saturating_add" => a.saturating_add(b),
                _ => a.saturating_mul(b),
            };
            let (lo, hi) = of_kind(kind).unwrap_or((i128::MIN, i128::MAX));
            Ok(Int(exact.clamp(lo, hi)))
        }
        ("wrapping_sub", &[Int(a), Int(b)]) => Ok(wrap(a.wrapping_sub(b), kind)),
        ("wrapping_add", &[Int(a), Int(b)]) => Ok(wrap(a.wrapping_add(b), kind)),
        ("wrapping_mul", &[Int(a), Int(b)]) => match a.checked_mul(b) {
            Some(n) => Ok(wrap(n, kind)),
            None => unknown("a product of large integers"),
        },
        ("is_power_of_two", &[Int(a)]) => Ok(Bool(a > 0 && a & (a - 1) == 0)),
        ("is_positive", &[Int(a)]) => Ok(Bool(a > 0)),
        ("is_negative", &[Int(a)]) => Ok(Bool(a < 0)),
        ("is_multiple_of", &[Int(a), Int(b)]) => Ok(Bool(if b == 0 { a == 0 } else { a % b == 0 })),
        ("isqrt", &[Int(a)]) if a >= 0 => Ok(Int(a.isqrt())),
        ("count_ones", &[Int(a)]) if a >= 0 => Ok(Int(a.count_ones().into())),
        ("trailing_zeros", &[Int(a)]) if a > 0 => Ok(Int(a.trailing_zeros().into())),
        ("ilog2", &[Int(a)]) if a > 0 => Ok(Int(a.ilog2().into())),
        ("ilog10", &[Int(a)]) if a > 0 => Ok(Int(a.ilog10().into())),
        _ => unknown(format!("the method `{name}`")),
    }
}

/// Runs a macro that was kept in the forward pass; its operands are `__h0`, `__h1`, … in the tokens.
pub fn effect(tokens: &TokenStream, args: &[Result<Scalar>]) -> Result<()> {
    let Ok(m) = syn::parse2::<syn::Macro>(tokens.clone()) else {
        return unknown("a statement");
    };
    let name = m.path.segments.last().map(|s| s.ident.to_string());
    let list = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated.parse2(m.tokens);
    let operand = |k: usize| -> Result<Scalar> {
        match list.as_ref().ok().and_then(|list| list.iter().nth(k)) {
            Some(e) => filled(e, args),
            None => unknown("a condition"),
        }
    };
    let name = name.unwrap_or_default();
    let holds = match name.trim_start_matches("debug_") {
        "assert" => truth(operand(0)?)?,
        "assert_eq" => truth(binary("==", operand(0)?, operand(1)?, &Kind::Bool)?)?,
        "assert_ne" => truth(binary("!=", operand(0)?, operand(1)?, &Kind::Bool)?)?,
        "panic" | "unreachable" | "todo" | "unimplemented" => false,
        // What is printed changes nothing.
        _ => true,
    };
    if holds {
        Ok(())
    } else {
        Err(Stop::Panic(format!("`{name}!`")))
    }
}

/// A condition whose operands stand for values.
fn filled(e: &syn::Expr, args: &[Result<Scalar>]) -> Result<Scalar> {
    let text = e.to_token_stream().to_string();
    let hole = text
        .strip_prefix("__h")
        .and_then(|t| t.parse::<usize>().ok());
    match (hole.and_then(|k| args.get(k)), e) {
        (Some(value), _) => value.clone(),
        (None, syn::Expr::Paren(p)) => filled(&p.expr, args),
        (None, syn::Expr::Binary(b)) => {
            let op = b.op.to_token_stream().to_string();
            binary(
                &op,
                filled(&b.left, args)?,
                filled(&b.right, args)?,
                &Kind::Bool,
            )
        }
        _ => unknown(format!("`{text}`")),
    }
}
