//! The driver: one function through all stages.

use crate::activity::Activity;
use crate::carry::Which;
use crate::checkpoint::Schedule;
use crate::errors::{self, Errors};
use crate::exchange::exchange;
use crate::explain;
use crate::items::{self, Programs};
use crate::keep;
use crate::lower;
use crate::meaning;
use crate::options::Options;
use crate::order::Order;
use crate::reverse::{Mode, reverse, scheduled};
use crate::signature::Signature;
use crate::source::Source;
use crate::tensor;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use std::collections::BTreeMap;

/// Nesting of brackets beyond which the parser might exhaust the compiler's stack.
const MAX_NESTING: usize = 200;

/// The function as written, and its derivatives or what was wrong with it.
pub fn compile(
    attribute: TokenStream,
    item: TokenStream,
    source: &Source,
    line: explain::Line,
) -> TokenStream {
    let errors = Errors::default();
    if let Some(deep) = too_deep(item.clone(), 0) {
        errors.reject_at(deep.span(), &errors::TOO_DEEP, "");
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    }
    let mut item = item;
    let generated = expand(attribute, &mut item, &errors, source, line);
    let errors = errors.into_tokens();
    quote!(#item #generated #errors)
}

/// What is generated beside the item; under `stable` the item itself is computed anew.
fn expand(
    attribute: TokenStream,
    item: &mut TokenStream,
    errors: &Errors,
    source: &Source,
    line: explain::Line,
) -> TokenStream {
    let function: syn::ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            not_a_function(item.clone(), errors);
            return TokenStream::new();
        }
    };
    let options = Options::parse(attribute, errors);
    for attr in &function.attrs {
        if attr
            .path()
            .segments
            .last()
            .is_some_and(|s| s.ident == "backprop")
        {
            errors.reject_named(
                &function.sig.ident,
                &errors::TWICE,
                &attr.to_token_stream().to_string(),
            );
        }
    }
    reject_cfg(&function, errors);
    meaning::check(&function, source, errors);
    if tensor::is_tensor(&function, &options, source) {
        return tensor::expand(&function, &options, errors, source);
    }
    let Some(sig) = Signature::read(&function, &options, source, errors) else {
        return TokenStream::new();
    };
    let custom = options.custom.as_ref();
    let programs = match custom {
        Some(custom) => crate::custom::programs(custom, &sig, &options, errors),
        None => programs(&function, &sig, &options, errors, source),
    };
    let derivation =
        (programs.as_ref().filter(|_| custom.is_none())).map(|p| explain::explain(p, &sig, line));
    let out = items::items(
        &function,
        &sig,
        programs.as_ref(),
        custom,
        derivation.as_deref(),
        errors,
    );
    if programs.is_some() && !errors.is_empty() {
        // Something could not be spelt: stubs after all.
        return items::items(&function, &sig, None, None, None, errors);
    }
    let Some(programs) = programs else { return out };
    let mut constants = TokenStream::new();
    if options.graph {
        let name = sig.ident.to_string();
        let svg = match explain::draw(&programs.primal, &name, explain::Style::Document) {
            Ok(picture) => picture.fixed(),
            Err(nodes) => explain::too_many(nodes),
        };
        let doc = "The computational graph as an SVG, with the local gradients at its edges.";
        constants.extend(items::constant(&function, &sig, "GRAPH", doc, &svg));
    }
    if options.stable {
        *item = items::plain(&function, &sig, &programs, errors);
    }
    if options.source {
        let plain = options.stable.then(|| item.clone());
        let text = explain::readable(quote!(#plain #out), &items::not_shown(&sig));
        let doc = "The generated code, with the names of the function. `prettyplease` and `rustfmt` format it.";
        constants.extend(items::constant(&function, &sig, "SOURCE", doc, &text));
    }
    quote!(#out #constants)
}

/// Lowers and differentiates; `None` if anything was rejected.
pub fn programs(
    function: &syn::ItemFn,
    sig: &Signature,
    options: &Options,
    errors: &Errors,
    source: &Source,
) -> Option<Programs> {
    let mut primal = lower::lower(function, sig, errors, source)?;
    let stable = if options.stable {
        crate::stabilize::stabilize(&mut primal)
    } else {
        Vec::new()
    };
    let mut activity = Activity::of(&primal, sig, errors);
    if !errors.is_empty() {
        return None;
    }
    crate::prune::prune(&mut primal);
    activity.restrict(&primal);
    let params = primal.reads.len() as u32;
    // What `forward` hands over stays where it is.
    let mut moving = primal.clone();
    exchange(&mut moving);
    let of = |mode| match mode {
        Mode::Unit | Mode::Upstream => &moving,
        Mode::Split | Mode::Trace => &primal,
    };
    let kept = |mode, schedule: Option<&Schedule>| {
        let mut program = scheduled(of(mode), &activity, sig, mode, schedule);
        let order = std::mem::take(&mut program.order);
        let saved = keep::keep(&mut program, &order, params);
        crate::checkpoint::trim(&mut program);
        (program, saved)
    };
    let mut schedules = BTreeMap::new();
    if let Some(checkpoint) = &options.checkpoint {
        if let Some(hvp) = options.hvp.as_ref().or(options.hessian.as_ref()) {
            errors.reject(hvp, &errors::CHECKPOINT_HVP);
        }
        checkpoint.reject_parameters(sig, errors);
        let unit = sig.has_scalar_result().then_some(Mode::Unit);
        for mode in [Mode::Upstream, Mode::Split].into_iter().chain(unit) {
            let schedule = Schedule::of(&kept(mode, None).0, &checkpoint.every);
            schedule.check(&of(mode).graph, errors);
            schedules.insert(mode, schedule);
        }
        if schedules.values().all(|s| s.loops.is_empty()) {
            errors.reject(&checkpoint.key, &errors::CHECKPOINT_NOTHING);
        }
        if !errors.is_empty() {
            return None;
        }
    }
    let run = |mode| {
        let (mut program, saved) = kept(mode, schedules.get(&mode));
        crate::forwards::forwards(&mut program);
        let fresh = mode == Mode::Unit;
        crate::carry::carry(&mut program, Which::Summing, fresh);
        crate::gather::gather(&mut program, fresh);
        crate::carry::carry(&mut program, Which::All, fresh);
        if fresh {
            crate::park::park(&mut program);
        }
        if mode == Mode::Unit {
            crate::fresh::fresh(&mut program);
        }
        crate::still::still(&mut program);
        crate::regroup::regroup(&mut program, primal.graph.nodes.len());
        (program, saved)
    };
    let mut unit = sig.has_scalar_result().then(|| run(Mode::Unit).0);
    let met = unit.as_mut().is_some_and(crate::meet::meet);
    let apart = met.then(|| run(Mode::Unit).0);
    let traceable = crate::trace::possible(&primal, sig);
    if let (Some(at), false) = (&options.trace, traceable) {
        errors.reject(at, &errors::TRACE);
        return None;
    }
    let wanted = options.trace.is_some() || options.graph;
    let trace = (wanted && traceable).then(|| run(Mode::Trace).0);
    let (upstream, _) = run(Mode::Upstream);
    let (split, saved) = run(Mode::Split);
    let mut programs = Programs {
        primal,
        unit,
        apart,
        upstream,
        split,
        saved,
        trace,
        traced: options.trace.is_some(),
        graph: options.graph,
        stable,
        check: None,
        warnings: TokenStream::new(),
        jvp: None,
        hvp: None,
        jacobian: false,
        hessian: false,
    };
    if let Some(at) = options.hvp.as_ref().or(options.hessian.as_ref())
        && crate::forward::can_be_second(&programs.primal, sig, at, errors)
    {
        let gradient = reverse(&programs.primal, &activity, sig, Mode::Unit);
        let mut program = crate::forward::second(&programs.primal, &gradient, sig);
        let order = Order::of(&programs.primal.graph, programs.primal.body);
        keep::keep(&mut program, &order, params);
        programs.hvp = Some(program);
    }
    if let Some(at) = &options.jvp {
        programs.jvp = crate::forward::companion(&programs.primal, &activity, sig, at, errors);
    }
    if let Some(at) = &options.hessian {
        programs.hessian = programs.hvp.is_some() && items::hessian::possible(sig, at, errors);
    }
    if let Some(at) = &options.jacobian {
        programs.jacobian = items::jacobian::possible(sig, at, errors);
    }
    if let Some(cost) = &options.cost {
        crate::cost::check(cost, &programs, errors);
    }
    programs.warnings = crate::warnings::warnings(&programs.primal, sig, &options.allow);
    if let Some(check) = &options.check {
        programs.check = crate::check::check(check, sig, &programs, &activity, errors);
    }
    Some(programs)
}

/// The macro sees code before `cfg` is decided: whatever is under one could be there or not.
fn reject_cfg(function: &syn::ItemFn, errors: &Errors) {
    struct Finder<'a>(&'a Errors);
    impl<'ast> syn::visit::Visit<'ast> for Finder<'_> {
        fn visit_attribute(&mut self, attr: &'ast syn::Attribute) {
            if attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr") {
                self.0.reject(attr, &errors::CFG);
            }
        }
    }
    let mut finder = Finder(errors);
    syn::visit::Visit::visit_signature(&mut finder, &function.sig);
    syn::visit::Visit::visit_block(&mut finder, &function.block);
}

fn not_a_function(item: TokenStream, errors: &Errors) {
    if let Ok(f) = syn::parse2::<syn::TraitItemFn>(item.clone())
        && f.default.is_none()
    {
        errors.reject(
            f.semi_token
                .map_or_else(|| f.sig.to_token_stream(), |s| s.to_token_stream()),
            &errors::NO_BODY,
        );
        return;
    }
    if syn::parse2::<syn::Item>(item.clone()).is_ok() {
        errors.reject(item, &errors::NOT_A_FUNCTION);
    }
    // What does not parse at all is reported by rustc itself, which sees the item as it is.
}

fn too_deep(tokens: TokenStream, depth: usize) -> Option<TokenTree> {
    for tree in tokens {
        if let TokenTree::Group(g) = &tree {
            if depth >= MAX_NESTING {
                return Some(tree);
            }
            if let Some(found) = too_deep(g.stream(), depth + 1) {
                return Some(found);
            }
        }
    }
    None
}
