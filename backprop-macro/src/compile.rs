//! The driver: one function through all stages.

use crate::activity::Activity;
use crate::errors::{self, Errors};
use crate::items::{self, Programs};
use crate::keep;
use crate::lower;
use crate::options::Options;
use crate::order::Order;
use crate::reverse::{Mode, reverse};
use crate::signature::Signature;
use crate::source::Source;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};

/// Nesting of brackets beyond which the parser might exhaust the compiler's stack.
const MAX_NESTING: usize = 200;

/// The function as written, and its derivatives or what was wrong with it.
pub fn compile(attribute: TokenStream, item: TokenStream, source: &Source) -> TokenStream {
    let errors = Errors::default();
    if let Some(deep) = too_deep(item.clone(), 0) {
        errors.reject_at(deep.span(), &errors::TOO_DEEP, "");
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    }
    let generated = expand(attribute, item.clone(), &errors, source);
    let errors = errors.into_tokens();
    quote!(#item #generated #errors)
}

fn expand(
    attribute: TokenStream,
    item: TokenStream,
    errors: &Errors,
    source: &Source,
) -> TokenStream {
    let function: syn::ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            not_a_function(item, errors);
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
    let Some(sig) = Signature::read(&function, &options, source, errors) else {
        return TokenStream::new();
    };
    let custom = options.custom.as_ref();
    let programs = match custom {
        Some(custom) => crate::custom::programs(custom, &sig, options.check.as_ref(), errors),
        None => programs(&function, &sig, &options, errors, source),
    };
    let out = items::items(&function, &sig, programs.as_ref(), custom, errors);
    if programs.is_some() && !errors.is_empty() {
        // Something could not be spelt: stubs after all.
        return items::items(&function, &sig, None, None, errors);
    }
    out
}

/// Lowers and differentiates; `None` if anything was rejected.
pub fn programs(
    function: &syn::ItemFn,
    sig: &Signature,
    options: &Options,
    errors: &Errors,
    source: &Source,
) -> Option<Programs> {
    let primal = lower::lower(function, sig, errors, source)?;
    let activity = Activity::of(&primal, sig, errors);
    if !errors.is_empty() {
        return None;
    }
    let params = primal.reads.len() as u32;
    let run = |mode| {
        let mut program = reverse(&primal, &activity, sig, mode);
        let order = Order::of(&primal.graph, primal.body);
        let saved = keep::keep(&mut program, &order, params);
        if mode == Mode::Unit {
            crate::fresh::fresh(&mut program);
        }
        crate::gather::gather(&mut program, mode == Mode::Unit);
        (program, saved)
    };
    let unit = sig.has_scalar_result().then(|| run(Mode::Unit).0);
    let trace = match &options.trace {
        Some(at) if !crate::trace::possible(&primal, sig) => {
            errors.reject(at, &errors::TRACE);
            return None;
        }
        Some(_) => Some(run(Mode::Trace).0),
        None => None,
    };
    let (upstream, _) = run(Mode::Upstream);
    let (split, saved) = run(Mode::Split);
    let mut programs = Programs {
        primal,
        unit,
        upstream,
        split,
        saved,
        trace,
        check: None,
        warnings: TokenStream::new(),
        jvp: None,
        hvp: None,
    };
    if let Some(at) = &options.hvp
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
