//! `custom(…)`: a function whose derivatives the user supplies.
//!
//! In: the option's tokens. Out: [`Custom`], and programs without statements around which `items` puts the user's
//! functions. Nothing of the body is looked at. What must hold: the rule is compared with differences, by a generated
//! test, as no stage of the compiler has seen it.

use crate::check::{self, CheckOptions};
use crate::errors::{self, Errors};
use crate::graph::{Graph, Output, Primal, Source};
use crate::items::{self, Programs};
use crate::keep::Saved;
use crate::options::Options;
use crate::reverse::Gradient;
use crate::signature::Signature;
use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::{Token, ext::IdentExt};

/// The user's rule.
pub struct Custom {
    /// `custom`, for messages.
    pub key: Ident,
    /// From the arguments, the result and the upstream gradient to the gradients; or, where there is a `forward`, from
    /// what that has kept.
    pub backward: syn::Path,
    /// The forward pass, and the type of what it keeps.
    pub forward: Option<(syn::Path, syn::Type)>,
}

impl Custom {
    /// Reads `custom(…)`; `None` after an error.
    pub fn parse(key: Ident, tokens: TokenStream, errors: &Errors) -> Option<Custom> {
        let (mut forward, mut backward, mut residuals) = (None, None, None);
        let list = |input: ParseStream| {
            while !input.is_empty() {
                let name = Ident::parse_any(input)?;
                input.parse::<Token![=]>()?;
                match name.to_string().as_str() {
                    "forward" => forward = Some(input.parse::<syn::Path>()?),
                    "backward" => backward = Some(input.parse::<syn::Path>()?),
                    "residuals" => residuals = Some(input.parse::<syn::Type>()?),
                    _ => return Err(syn::Error::new(name.span(), "unknown")),
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        let read = list.parse2(tokens);
        match (read, backward, forward, residuals) {
            (Ok(()), Some(backward), None, None) => Some(Custom {
                key,
                backward,
                forward: None,
            }),
            (Ok(()), Some(backward), Some(forward), Some(residuals)) => Some(Custom {
                key,
                backward,
                forward: Some((forward, residuals)),
            }),
            _ => {
                errors.reject_named(&key, &errors::BAD_CUSTOM, "custom");
                None
            }
        }
    }
}

impl Custom {
    /// Rejects the options that a rule cannot serve: they must not be left out without a word.
    pub fn reject_others(&self, options: &Options, served: &[&str], errors: &Errors) {
        let rest = (options.given.iter()).filter(|o| !served.contains(&o.to_string().as_str()));
        for option in rest {
            errors.reject(option, &errors::CUSTOM_OPTION);
        }
    }
}

/// Programs without statements, and the test of the rule; `None` after an error.
pub fn programs(
    custom: &Custom,
    sig: &Signature,
    options: &Options,
    errors: &Errors,
) -> Option<Programs> {
    if sig.associated || sig.params.iter().any(|p| p.in_out) {
        errors.reject_named(&custom.key, &errors::CUSTOM_FUNCTION, "custom");
        return None;
    }
    let served = ["custom", "wrt", "as", "check", "allow", "jacobian"];
    custom.reject_others(options, &served, errors);
    let jacobian = options.jacobian.as_ref();
    let jacobian = jacobian.is_some_and(|at| items::jacobian::possible(sig, at, errors));
    if !errors.is_empty() {
        return None;
    }
    let asked = options.check.as_ref();
    let mut graph = Graph::default();
    let body = graph.open();
    graph.close();
    let primal = Primal {
        graph: graph.clone(),
        body,
        result: Output::Tuple(Vec::new()),
        reads: Vec::new(),
        read_params: Vec::new(),
        read_types: Vec::new(),
        params: sig.params.iter().map(|_| Source::Constant).collect(),
        writes: Vec::new(),
        items: Vec::new(),
        constant_fields: Vec::new(),
    };
    let empty = || Gradient {
        graph: graph.clone(),
        body,
        back: None,
        result: primal.result.clone(),
        writes: Vec::new(),
        reads: Vec::new(),
        scalars: Vec::new(),
        pairs: Vec::new(),
        trace: Vec::new(),
        order: crate::order::Order::default(),
        notes: Default::default(),
        assigned: Default::default(),
        sums: Default::default(),
    };
    let (upstream, split) = (empty(), empty());
    let mut programs = Programs {
        unit: sig.has_scalar_result().then(empty),
        apart: None,
        primal,
        upstream,
        split,
        saved: Saved::default(),
        trace: None,
        check: None,
        warnings: TokenStream::new(),
        jvp: None,
        hvp: None,
        jacobian,
        hessian: false,
        traced: false,
        graph: false,
        stable: Vec::new(),
    };
    let all = CheckOptions::new(custom.key.clone());
    // A rule that nobody asked to check is checked where arguments can be made.
    if asked.is_some() || check::testable(sig) {
        programs.check = check::deferred(
            asked.unwrap_or(&all),
            sig,
            &programs,
            "to look into a rule of yours",
            errors,
        );
    }
    Some(programs)
}
