//! `cost(max_ratio = …)`: how many operations value and gradient take, against the function alone.
//!
//! In: the primal and the program that becomes `value_and_gradient`. Out: an error where the ratio is exceeded, with the
//! places that cost most. Operations are weighed by the table of rules, in additions. A loop whose length is a literal
//! counts as often as it runs, any other a hundred times; of a branch the dearer side counts; what is called is not counted.

use crate::errors::{self, Errors};
use crate::graph::*;
use crate::items::Programs;
use crate::live::Live;
use crate::reverse::Gradient;
use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use std::collections::BTreeMap;
use syn::Token;
use syn::parse::{ParseStream, Parser};

/// How often a loop of unknown length is taken to run.
const TRIPS: f64 = 100.0;
/// How many places an error names.
const PLACES: usize = 3;

/// The bound that the user sets.
pub struct CostOptions {
    pub ratio: f64,
    at: TokenStream,
}

impl CostOptions {
    /// Reads `cost(max_ratio = 3.0)`; `None` after an error.
    pub fn parse(key: &Ident, tokens: TokenStream, errors: &Errors) -> Option<CostOptions> {
        let read = |input: ParseStream| {
            let name: Ident = input.parse()?;
            if name != "max_ratio" {
                return Err(syn::Error::new(name.span(), "unknown"));
            }
            input.parse::<Token![=]>()?;
            let bound: syn::Expr = input.parse()?;
            let _: Option<Token![,]> = input.parse()?;
            Ok(bound)
        };
        let bound = read.parse2(tokens).ok();
        let ratio = bound.as_ref().and_then(crate::check::number);
        match (bound, ratio) {
            (Some(at), Some(ratio)) if ratio > 0.0 => Some(CostOptions {
                ratio,
                at: at.to_token_stream(),
            }),
            _ => {
                errors.reject_named(key, &errors::BAD_COST, "cost");
                None
            }
        }
    }
}

/// Rejects a gradient that costs too much.
pub fn check(options: &CostOptions, programs: &Programs, errors: &Errors) {
    let plain = crate::check::plain(&programs.primal);
    let whole = programs.described();
    let function = Tally::of(&plain);
    let both = Tally::of(whole);
    if function.total == 0.0 || both.total <= options.ratio * function.total {
        return;
    }
    let text = format!(
        "value and gradient cost {:.2} times the function: {} against {} additions",
        both.total / function.total,
        both.total.round(),
        function.total.round()
    );
    errors.reject_named(&options.at, &errors::COST, &text);
    let mut places: Vec<(f64, Span)> = both
        .places
        .iter()
        .map(|(place, (cost, span))| {
            let before = function.places.get(place).map_or(0.0, |p| p.0);
            (cost - before, *span)
        })
        .filter(|p| p.0 > 0.0)
        .collect();
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (cost, span) in places.into_iter().take(PLACES) {
        let text = format!("the gradient of this takes {} additions", cost.round());
        errors.reject_at(span, &errors::COST_PLACE, &text);
    }
}

/// What a program's operations cost, in all and by the place that they come from.
struct Tally<'a> {
    p: &'a Gradient,
    live: Live,
    total: f64,
    places: BTreeMap<String, (f64, Span)>,
}

impl<'a> Tally<'a> {
    fn of(p: &'a Gradient) -> Tally<'a> {
        let mut c = Tally {
            p,
            live: Live::of(p),
            total: 0.0,
            places: BTreeMap::new(),
        };
        let all = c.region(p.body, 1.0);
        c.total = all;
        c
    }

    fn note(&mut self, id: Id, cost: f64) -> f64 {
        let span = self.p.graph.data(id).span;
        let entry = self
            .places
            .entry(format!("{span:?}"))
            .or_insert((0.0, span));
        entry.0 += cost;
        cost
    }

    fn region(&mut self, region: RegionId, times: f64) -> f64 {
        let p = self.p;
        let g = &p.graph;
        let mut total = 0.0;
        for stmt in &g.region(region).stmts {
            if !self.live.stmt(g, stmt) {
                continue;
            }
            total += match stmt {
                Stmt::Let(id) => match g.node(*id) {
                    Node::Apply(op, _) => self.note(*id, times * f64::from(op.cost())),
                    _ => 0.0,
                },
                Stmt::Store {
                    value, add: true, ..
                } => self.note(*value, times),
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    let (then, otherwise) = (data.then, data.otherwise);
                    self.region(then, times).max(self.region(otherwise, times))
                }
                Stmt::Loop(l) => {
                    let trips = trips(g, *l);
                    self.region(g.looped(*l).body, times * trips)
                }
                _ => 0.0,
            };
        }
        total
    }
}

/// How often a loop runs, as far as literals say.
fn trips(g: &Graph, l: LoopId) -> f64 {
    match &g.looped(l).count {
        Count::Range {
            lo, hi, inclusive, ..
        } => match (g.integer(*lo), g.integer(*hi)) {
            (Some(lo), Some(hi)) => (hi - lo + i128::from(*inclusive)).max(0) as f64,
            _ => TRIPS,
        },
        _ => TRIPS,
    }
}
