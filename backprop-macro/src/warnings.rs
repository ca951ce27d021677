//! What is legal but surprising: a warning at its place, silenced by name.
//!
//! In: the primal. Out: items whose use rustc reports as deprecated, which on stable Rust is how a macro warns. Each says
//! by which name `allow(…)` silences it. What must hold: nothing is said of what could be meant: parameters whose names
//! start with `_` are left out, and so are those that `wrt` does not name.

use crate::activity::Activity;
use crate::errors::{self, Errors};
use crate::graph::*;
use crate::graph::{Output, Primal, Source};
use crate::live::Live;
use crate::reverse::Gradient;
use crate::rules::Op;
use crate::signature::Signature;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;

/// The names by which warnings are silenced.
const NAMES: [&str; 3] = ["unused_parameter", "piecewise_constant", "exact_comparison"];

/// Reads `allow(…)`.
pub fn allowed(names: Vec<Ident>, errors: &Errors) -> Vec<String> {
    for name in &names {
        if !NAMES.contains(&name.to_string().as_str()) {
            errors.reject(name, &errors::UNKNOWN_ALLOW);
        }
    }
    names.iter().map(ToString::to_string).collect()
}

/// All warnings of a function that are not silenced.
pub fn warnings(primal: &Primal, sig: &Signature, allowed: &[String]) -> TokenStream {
    // Nothing can be put beside a method.
    if sig.associated {
        return TokenStream::new();
    }
    let mut out = TokenStream::new();
    let mut warn = |name: &str, span: Span, text: String| {
        if !allowed.iter().any(|a| a == name) {
            out.extend(warning(name, span, &text));
        }
    };
    let plain = crate::check::plain(primal);
    let live = Live::of(&plain);
    for (k, p) in sig.active() {
        let name = p.ident.unraw().to_string();
        if name.starts_with('_') || p.in_out {
            continue;
        }
        let paths = Activity::smooth(primal, k);
        if reaches(&paths, primal, &primal.result) {
            continue;
        }
        if used(&live, primal, &primal.params[k]) {
            let text = format!(
                "the result depends on `{name}` only through what is piecewise constant (a comparison, a cast, `floor`, …): its gradient is zero everywhere"
            );
            warn("piecewise_constant", p.ident.span(), text);
        } else {
            let text = format!("`{name}` does not influence the result: its gradient is zero");
            warn("unused_parameter", p.ident.span(), text);
        }
    }
    for span in exact_comparisons(&plain, primal, sig) {
        let text = "where this comparison holds exactly, the gradient is that of its branch alone"
            .to_string();
        warn("exact_comparison", span, text);
    }
    out
}

/// An item that is deprecated, and its use at the place.
fn warning(name: &str, span: Span, text: &str) -> TokenStream {
    let ident = Ident::new(name, Span::mixed_site().located_at(span));
    let note = format!("{text}; silence this with `#[backprop(allow({name}))]`");
    let used = quote_spanned!(Span::mixed_site().located_at(span)=> #ident);
    quote! {
        const _: () = {
            #[deprecated(note = #note)]
            #[allow(non_upper_case_globals)]
            const #ident: () = ();
            #used
        };
    }
}

fn reaches(paths: &Activity, primal: &Primal, out: &Output) -> bool {
    match out {
        Output::Scalar(id) => paths.node(&primal.graph, *id),
        Output::Array(p) => paths.array(p.array),
        Output::Tuple(all) => all.iter().any(|o| reaches(paths, primal, o)),
    }
}

fn used(live: &Live, primal: &Primal, source: &Source) -> bool {
    match source {
        Source::Scalar(id) => live.has(&primal.graph, *id),
        Source::Array(a) => primal.graph.nodes.iter().enumerate().any(|(k, n)| {
            matches!(&n.node, Node::Load(p, _) | Node::Len(p, _) if p.array == *a)
                && live.has(&primal.graph, Id(k as u32))
        }),
        Source::Tuple(all) => all.iter().any(|s| used(live, primal, s)),
        Source::Constant => false,
    }
}

/// Where `x == c` with an active `x` decides a branch.
fn exact_comparisons(plain: &Gradient, primal: &Primal, sig: &Signature) -> Vec<Span> {
    let g = &plain.graph;
    let errors = Errors::default();
    let activity = Activity::of(primal, sig, &errors);
    let active = |id: Id| g.is_float(id) && activity.node(g, id);
    let constant = |id: Id| g.constant(id).is_some();
    let mut out = Vec::new();
    for branch in &g.ifs {
        let mut todo = vec![g.resolve(branch.cond)];
        while let Some(id) = todo.pop() {
            let Node::Opaque(k, args) = g.node(id) else {
                continue;
            };
            match (&g.opaque_of(*k).form, args.as_slice()) {
                (OpaqueForm::Binary(op), [a, b]) => {
                    let (a, b) = (g.resolve(*a), g.resolve(*b));
                    let op = op.to_string();
                    if matches!(op.as_str(), "==" | "!=")
                        && (active(a) && constant(b) || active(b) && constant(a))
                    {
                        out.push(g.data(id).span);
                    } else if matches!(op.as_str(), "&&" | "||") {
                        todo.extend([a, b]);
                    }
                }
                (OpaqueForm::Unary(_), [a]) => todo.push(g.resolve(*a)),
                _ => {}
            }
        }
    }
    out
}

/// Whether a primitive has the slope zero wherever it has one.
pub fn is_piecewise_constant(op: Op) -> bool {
    matches!(
        op,
        Op::Signum
            | Op::Floor
            | Op::Ceil
            | Op::Round
            | Op::RoundTiesEven
            | Op::Trunc
            | Op::DivEuclid
            | Op::FromInt
    )
}
