//! What `check(…)` asks for.
//!
//! In: the tokens between its parentheses. Out: [`CheckOptions`], in which every number is a number; what is malformed is
//! an error at its own tokens.

use crate::errors::{self, Errors};
use crate::evaluate::{Constants, Scalar};
use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use std::collections::BTreeMap;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Token, parenthesized};

/// The interval from which a parameter is sampled.
#[derive(Clone, Copy, Debug)]
pub struct Domain {
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// The upper end belongs to it, which only integers can tell.
    pub closed: bool,
}

/// A point that the user gives, with what is expected there.
pub struct Point {
    pub at: Ident,
    /// For each parameter, its value.
    pub values: Vec<(Ident, syn::Expr)>,
    pub value: Option<syn::Expr>,
    pub gradient: Vec<(Ident, syn::Expr)>,
    pub tolerance: f64,
}

/// What the user asks to be checked.
pub struct CheckOptions {
    /// `check`, for messages about all of it.
    pub key: Ident,
    pub domains: Vec<(Ident, Domain)>,
    /// For slices and `Vec`s the lengths from the outside in; for const parameters their value.
    pub lengths: Vec<(Ident, Vec<usize>)>,
    /// For ndarray's arrays the lengths of their axes.
    pub shapes: Vec<Shaped>,
    pub points: usize,
    pub seed: u64,
    pub at: Vec<Point>,
    /// What `self` is at every point, and where that is said.
    pub receiver: Option<(Ident, syn::Expr)>,
}

/// `net.w = [3, 4]`.
pub struct Shaped {
    pub of: Ident,
    /// The field of a struct.
    pub fields: Vec<syn::Member>,
    pub given: Given,
}

/// What is said of an array, or of each array of a list.
pub enum Given {
    Axes(Vec<usize>),
    Each(Vec<Given>),
}

enum Constraint {
    Below(f64),
    Above(f64),
    Between(f64, f64, bool),
}

impl CheckOptions {
    /// `check` alone.
    pub fn new(key: Ident) -> CheckOptions {
        CheckOptions {
            key,
            domains: Vec::new(),
            lengths: Vec::new(),
            shapes: Vec::new(),
            points: 16,
            seed: 7,
            at: Vec::new(),
            receiver: None,
        }
    }

    /// Reads `check(…)`.
    pub fn parse(key: Ident, tokens: TokenStream, errors: &Errors) -> CheckOptions {
        let mut options = CheckOptions::new(key);
        let list = Punctuated::<Entry, Token![,]>::parse_terminated;
        let Ok(list) = list.parse2(tokens.clone()) else {
            errors.reject_named(&tokens, &errors::BAD_CHECK, "check");
            return options;
        };
        let mut pending: Option<Point> = None;
        let mut domains: BTreeMap<String, (Ident, Domain)> = BTreeMap::new();
        let mut seen: Vec<String> = Vec::new();
        for entry in list {
            let name = entry.key.to_string();
            match name.as_str() {
                // What is expected belongs to the point before it.
                "at" => seen.retain(|s| !matches!(s.as_str(), "value" | "gradient" | "tolerance")),
                _ if seen.contains(&name) => {
                    errors.reject_named(&entry.key, &errors::REPEATED_OPTION, &name);
                    continue;
                }
                _ => seen.push(name.clone()),
            }
            match (name.as_str(), entry.value) {
                ("domain", Setting::Group(tokens)) => domain(tokens, &mut domains, errors),
                ("len", Setting::Group(tokens)) => {
                    for (ident, expr) in named(tokens, errors) {
                        match lengths(&expr) {
                            Some(all) => options.lengths.push((ident, all)),
                            None => {
                                errors.reject(&expr, &errors::CHECK_NUMBER);
                            }
                        }
                    }
                }
                ("shape", Setting::Group(tokens)) => shapes(tokens, &mut options.shapes, errors),
                ("points", Setting::Value(e)) => match integer(&e) {
                    Some(n @ 0..=10_000) => options.points = n as usize,
                    _ => {
                        errors.reject(&e, &errors::CHECK_NUMBER);
                    }
                },
                ("seed", Setting::Value(e)) => match integer(&e) {
                    Some(n) if n >= 0 => options.seed = n as u64,
                    _ => {
                        errors.reject(&e, &errors::CHECK_NUMBER);
                    }
                },
                ("self", Setting::Value(e)) => options.receiver = Some((entry.key.clone(), e)),
                ("at", Setting::Group(tokens)) => {
                    options.at.extend(pending.take());
                    pending = Some(Point {
                        at: entry.key.clone(),
                        values: named(tokens, errors),
                        value: None,
                        gradient: Vec::new(),
                        tolerance: 1e-6,
                    });
                }
                ("value" | "gradient" | "tolerance", _) if pending.is_none() => {
                    errors.reject_named(&entry.key, &errors::CHECK_EXPECTED, &name);
                }
                ("value", Setting::Value(e)) => {
                    if let Some(p) = &mut pending {
                        p.value = Some(e);
                    }
                }
                ("gradient", Setting::Group(tokens)) => {
                    if let Some(p) = &mut pending {
                        p.gradient = named(tokens, errors);
                    }
                }
                ("tolerance", Setting::Value(e)) => match (number(&e), &mut pending) {
                    (Some(x), Some(p)) if x > 0.0 => p.tolerance = x,
                    _ => {
                        errors.reject(&e, &errors::CHECK_NUMBER);
                    }
                },
                _ => {
                    errors.reject_named(&entry.key, &errors::BAD_CHECK, &name);
                }
            }
        }
        options.at.extend(pending);
        options.domains = domains.into_values().collect();
        options
    }

    /// The interval from which a parameter is sampled, where it is said.
    pub fn domain(&self, name: &Ident) -> Option<Domain> {
        let found = self.domains.iter().find(|d| d.0.unraw() == name.unraw());
        found.map(|d| d.1)
    }

    /// The lengths that are said of a parameter.
    pub fn lengths(&self, name: &Ident) -> &[usize] {
        let found = self.lengths.iter().find(|d| d.0.unraw() == name.unraw());
        found.map_or(&[], |d| &d.1)
    }

    /// The names that are used, to be compared with those of the parameters.
    pub fn names(&self) -> impl Iterator<Item = &Ident> {
        let given = self
            .at
            .iter()
            .flat_map(|p| p.values.iter().chain(&p.gradient).map(|v| &v.0));
        self.domains
            .iter()
            .map(|d| &d.0)
            .chain(self.lengths.iter().map(|l| &l.0))
            .chain(self.shapes.iter().map(|s| &s.of))
            .chain(given)
    }
}

struct Entry {
    key: Ident,
    value: Setting,
}

enum Setting {
    Group(TokenStream),
    Value(syn::Expr),
    Nothing,
}

impl Parse for Entry {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let key = Ident::parse_any(input)?;
        let value = if input.peek(syn::token::Paren) {
            let inner;
            parenthesized!(inner in input);
            Setting::Group(inner.parse()?)
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Setting::Value(input.parse()?)
        } else {
            Setting::Nothing
        };
        Ok(Entry { key, value })
    }
}

/// `a = 1.0, b = [2.0]`.
fn named(tokens: TokenStream, errors: &Errors) -> Vec<(Ident, syn::Expr)> {
    let one = |input: ParseStream| -> syn::Result<(Ident, syn::Expr)> {
        let ident = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok((ident, input.parse()?))
    };
    let list = |input: ParseStream| input.parse_terminated(one, Token![,]);
    match list.parse2(tokens.clone()) {
        Ok(list) => {
            let all: Vec<(Ident, syn::Expr)> = list.into_iter().collect();
            for (k, (name, _)) in all.iter().enumerate() {
                if all[..k].iter().any(|other| other.0.unraw() == name.unraw()) {
                    let text = name.to_string();
                    errors.reject_named(name, &errors::REPEATED_OPTION, &text);
                }
            }
            all
        }
        Err(_) => {
            errors.reject(&tokens, &errors::BAD_CHECK);
            Vec::new()
        }
    }
}

/// `w in -3.0..3.0, x > 0.0`.
fn domain(tokens: TokenStream, domains: &mut BTreeMap<String, (Ident, Domain)>, errors: &Errors) {
    let one = |input: ParseStream| -> syn::Result<(Ident, Option<Constraint>, TokenStream)> {
        let ident: Ident = input.parse()?;
        if input.peek(Token![in]) {
            input.parse::<Token![in]>()?;
            let range: syn::Expr = input.parse()?;
            let tokens = range.to_token_stream();
            let between = match &range {
                syn::Expr::Range(r) => match (&r.start, &r.end) {
                    (Some(lo), Some(hi)) => match (number(lo), number(hi)) {
                        (Some(lo), Some(hi)) if lo <= hi => {
                            let closed = matches!(r.limits, syn::RangeLimits::Closed(_));
                            Some(Constraint::Between(lo, hi, closed))
                        }
                        _ => None,
                    },
                    (Some(lo), None) => number(lo).map(Constraint::Above),
                    (None, Some(hi)) => number(hi).map(Constraint::Below),
                    (None, None) => None,
                },
                _ => None,
            };
            return Ok((ident, between, tokens));
        }
        let above = input.peek(Token![>]);
        if input.peek(Token![>=]) {
            input.parse::<Token![>=]>()?;
        } else if input.peek(Token![<=]) {
            input.parse::<Token![<=]>()?;
        } else if above {
            input.parse::<Token![>]>()?;
        } else {
            input.parse::<Token![<]>()?;
        }
        let bound: syn::Expr = input.parse()?;
        let tokens = bound.to_token_stream();
        let found = number(&bound).map(if above {
            Constraint::Above
        } else {
            Constraint::Below
        });
        Ok((ident, found, tokens))
    };
    let list = |input: ParseStream| input.parse_terminated(one, Token![,]);
    let Ok(list) = list.parse2(tokens.clone()) else {
        errors.reject(&tokens, &errors::BAD_CHECK);
        return;
    };
    for (ident, constraint, tokens) in list {
        let entry = domains.entry(ident.to_string()).or_insert((
            ident,
            Domain {
                low: None,
                high: None,
                closed: false,
            },
        ));
        match constraint {
            Some(Constraint::Above(x)) => entry.1.low = Some(x),
            Some(Constraint::Below(x)) => entry.1.high = Some(x),
            Some(Constraint::Between(lo, hi, closed)) => {
                entry.1 = Domain {
                    low: Some(lo),
                    high: Some(hi),
                    closed,
                };
            }
            None => {
                errors.reject(&tokens, &errors::CHECK_NUMBER);
            }
        }
        if let (Some(lo), Some(hi)) = (entry.1.low, entry.1.high)
            && lo > hi
        {
            errors.reject(&tokens, &errors::CHECK_NUMBER);
        }
    }
}

/// The value of a constant expression.
pub fn number(e: &syn::Expr) -> Option<f64> {
    match Constants::default().expr(e, 0) {
        Ok(Scalar::Float(x)) => Some(x),
        Ok(Scalar::Int(n)) => Some(n as f64),
        _ => None,
    }
}

fn integer(e: &syn::Expr) -> Option<i128> {
    match Constants::default().expr(e, 0) {
        Ok(Scalar::Int(n)) => Some(n),
        _ => None,
    }
}

/// `x = [3, 4], net.b = 4, layers = [[3, 4], [4, 2]]`.
fn shapes(tokens: TokenStream, out: &mut Vec<Shaped>, errors: &Errors) {
    let one = |input: ParseStream| -> syn::Result<(Ident, Vec<syn::Member>, syn::Expr)> {
        let of = input.parse()?;
        let mut fields = Vec::new();
        while input.peek(Token![.]) {
            input.parse::<Token![.]>()?;
            fields.push(input.parse()?);
        }
        input.parse::<Token![=]>()?;
        Ok((of, fields, input.parse()?))
    };
    let list = |input: ParseStream| input.parse_terminated(one, Token![,]);
    let Ok(list) = list.parse2(tokens.clone()) else {
        errors.reject(&tokens, &errors::BAD_CHECK);
        return;
    };
    for (of, fields, e) in list {
        let same = |s: &Shaped| s.of.unraw() == of.unraw() && s.fields == fields;
        if out.iter().any(same) {
            errors.reject_named(&of, &errors::REPEATED_OPTION, &of.to_string());
        }
        match shape(&e) {
            Some(given) => out.push(Shaped { of, fields, given }),
            None => {
                errors.reject(&e, &errors::CHECK_NUMBER);
            }
        }
    }
}

fn shape(e: &syn::Expr) -> Option<Given> {
    match e {
        syn::Expr::Array(a) if a.elems.iter().any(|e| matches!(e, syn::Expr::Array(_))) => a
            .elems
            .iter()
            .map(shape)
            .collect::<Option<_>>()
            .map(Given::Each),
        _ => lengths(e).map(Given::Axes),
    }
}

/// `5`, or `[5, 3]` from the outside in.
fn lengths(e: &syn::Expr) -> Option<Vec<usize>> {
    let one = |e: &syn::Expr| match integer(e) {
        Some(n @ 0..=10_000) => Some(n as usize),
        _ => None,
    };
    match e {
        syn::Expr::Array(a) => a.elems.iter().map(one).collect(),
        _ => Some(vec![one(e)?]),
    }
}
