//! Functions of tensors: from the forward lines to the backward pass.
//!
//! ```text
//!   methods     methods as free functions              methods.rs
//!   aliases     names of tensors' types as these           aliases.rs
//!   signature   ndarray's types among the parameters     signature.rs
//!   fields      structs as their fields                fields.rs
//!   azip        `azip!` as `Zip`                     azip.rs
//!   ways_out    ways out of loops as flags             ways_out.rs
//!   exits       early returns as sides of an `if`      exits.rs
//!   lower       syn → tensor graph                       lower/, method/, loops.rs, branches.rs
//!   sequence    what loops run over                     sequence.rs
//!   layout      where the order in memory decides            layout.rs
//!   lists       lists of tensors that grow                lists.rs
//!   carried     what loops and branches change            carried.rs, kinds.rs
//!   idioms      softmax and its kin as one operation      idioms/
//!   tangent     the tangent, forward, where asked for     tangent.rs
//!   affine      a product and a bias as one operation      affine.rs
//!   fuse        chains of elementwise operations         fuse.rs
//!   inplace     arrays that loops fill                   inplace.rs
//!   reverse     graph → steps of the backward pass       reverse.rs
//!   map         one element, by the scalar compiler      map.rs
//!   masked      zeros that must not meet infinities       masked.rs
//!   transpose   the linear operations' table             transpose.rs
//!   emit        graph and steps → Rust                   emit/
//!   calls       calls of annotated functions              calls.rs
//!   inlined     calls of annotated methods                inlined.rs
//!   tape        loops in Rust, and what they keep          tape/, at_once.rs
//!   items       the generated functions                  items/
//!   check       a test of them all, where asked for         check/
//! ```
//!
//! In: a function with one of ndarray's types in its signature. Out: its derivatives, which call `backprop::tensor` and
//! `backprop::kernel`, or what was wrong with it. No derivative is written here: elementwise work goes through the scalar
//! compiler, and what is linear is its own table of transposes.

mod affine;
mod aliases;
mod at_once;
mod azip;
mod branches;
mod calls;
mod carried;
mod check;
mod consumers;
mod emit;
mod exits;
mod fields;
mod fuse;
mod graph;
mod idioms;
mod inlined;
mod inplace;
mod items;
mod kinds;
mod layout;
mod lists;
mod loops;
mod lower;
mod map;
mod masked;
mod method;
mod methods;
mod reverse;
mod sequence;
mod signature;
mod tangent;
mod tape;
mod transpose;
mod ways_out;

use crate::check::CheckOptions;
use crate::custom::Custom;
use crate::errors::{self, Errors};
use crate::options::Options;
use crate::signature::camel_case;
use crate::source::Source;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;

pub use signature::is_tensor as names_tensors;

/// Whether a function has tensors in its signature, or structs that hold them.
pub fn is_tensor(function: &syn::ItemFn, options: &Options, source: &Source) -> bool {
    signature::is_tensor(&function.sig)
        || fields::holds_tensors(function, options, source)
        || signature::is_tensor(&aliases::signature(function, source))
}

/// The items for a tensor function.
pub fn expand(
    function: &syn::ItemFn,
    options: &Options,
    errors: &Errors,
    source: &Source,
) -> TokenStream {
    let floats = crate::signature::float_generics(&function.sig.generics);
    let definitions = crate::definitions::Definitions::new(floats, source, function);
    let written = function;
    let function = &aliases::resolved(function, source);
    let unit = Unit {
        written,
        method: methods::is_method(function, options),
        errors,
        source,
        definitions,
    };
    if !unit.method {
        return unit.items(function, options, None).unwrap_or_default().0;
    }
    if let Some(check) = &options.check {
        errors.reject(&check.key, &errors::TENSOR_CHECK);
    }
    if let Some(jvp) = &options.jvp {
        errors.reject(jvp, &errors::TENSOR_JVP);
    }
    if let Some(custom) = &options.custom {
        errors.reject_named(&custom.key, &errors::CUSTOM_FUNCTION, "custom");
    }
    let Some((free, inner)) = methods::freed(function, options, &unit.definitions, errors) else {
        return TokenStream::new();
    };
    // `self` is constant unless it is named.
    let this = methods::this();
    let constant = inner.wrt.is_none().then_some(&this);
    match unit.items(&free, &inner, constant) {
        Some((items, Some((sig, active)))) => {
            let name = inner.namespace.as_ref().unwrap_or(&function.sig.ident);
            items::beside(function, &free, &sig, name, &active, &items)
        }
        _ => TokenStream::new(),
    }
}

/// A function, and what is known around it.
struct Unit<'a> {
    written: &'a syn::ItemFn,
    method: bool,
    errors: &'a Errors,
    source: &'a Source,
    definitions: crate::definitions::Definitions,
}

type Made = (
    TokenStream,
    Option<(signature::TensorSig, Vec<items::Active>)>,
);

impl Unit<'_> {
    /// The items of a free function, and what its gradient is made of.
    fn items(
        &self,
        function: &syn::ItemFn,
        options: &Options,
        constant: Option<&Ident>,
    ) -> Option<Made> {
        let (errors, definitions) = (self.errors, &self.definitions);
        let method = self.method;
        let wrt = options.wrt.as_deref();
        let flat = fields::flatten(function, wrt, constant, errors, definitions);
        let Some(flat) = flat else {
            if !errors.is_empty() {
                return None;
            }
            let mut sig = signature::TensorSig::read(&function.sig, options, &[], errors)?;
            sig.method = method;
            let items = match &options.custom {
                Some(custom) => self.by_rule(function, options, custom, &sig),
                None => {
                    let (items, known) = self.by_parameters(function, &sig, None);
                    let test = self.test(function, options, &sig, None, known);
                    quote!(#items #test)
                }
            };
            let active = sig.active().map(|(_, p)| items::Active {
                ident: p.ident.clone(),
                gradient: sig.owned(&p.kind),
                buffer: sig.buffer(&p.kind),
            });
            let active = active.collect();
            return Some((items, Some((sig, active))));
        };
        if let Some(custom) = &options.custom {
            let named = errors::TENSOR_CUSTOM;
            errors.reject_named(&custom.key, &named, "custom");
        }
        let inner = flat.options(options);
        let read = signature::TensorSig::read(&flat.function.sig, &inner, &flat.constant, errors);
        let mut sig = read?;
        sig.method = method;
        let namespace = options.namespace.as_ref().unwrap_or(&function.sig.ident);
        let camel = camel_case(&namespace.unraw().to_string());
        sig.residuals = Ident::new(&format!("{camel}Residuals"), namespace.span());
        let (by_fields, known) = self.by_parameters(function, &sig, Some(&flat));
        // Without a program it is promised.
        let descends = known.as_ref().is_none_or(|k| k.descends);
        let (outside, active) = items::outside(function, options, &flat, &sig, descends);
        let test = self.test(function, options, &sig, Some(&flat), known);
        Some((quote!(#by_fields #outside #test), Some((sig, active))))
    }

    /// The test of a function's gradients, where one is asked for.
    fn test(
        &self,
        function: &syn::ItemFn,
        options: &Options,
        sig: &signature::TensorSig,
        flat: Option<&fields::Flat>,
        known: Option<check::Known>,
    ) -> TokenStream {
        let (Some(asked), Some(known)) = (&options.check, known) else {
            return TokenStream::new();
        };
        let namespace = options.namespace.as_ref().unwrap_or(&function.sig.ident);
        check::test(asked, namespace, sig, flat, &known, self.errors)
    }

    /// The items for a function with a rule of the user's, which is compared with differences where arguments can be made.
    fn by_rule(
        &self,
        function: &syn::ItemFn,
        options: &Options,
        custom: &Custom,
        sig: &signature::TensorSig,
    ) -> TokenStream {
        if sig.params.iter().any(|p| p.in_out) {
            let named = errors::CUSTOM_FUNCTION;
            self.errors.reject_named(&custom.key, &named, "custom");
        }
        custom.reject_others(
            options,
            &["custom", "wrt", "as", "check", "allow"],
            self.errors,
        );
        if !self.errors.is_empty() {
            return items::items(function, sig, items::Made::Nothing);
        }
        let items = items::items(function, sig, items::Made::Custom(custom));
        let known = || check::Known {
            descends: false,
            classes: Vec::new(),
        };
        if options.check.is_some() {
            let test = self.test(function, options, sig, None, Some(known()));
            return quote!(#items #test);
        }
        let unasked = CheckOptions::new(custom.key.clone());
        let (namespace, quiet) = (&sig.namespace, Errors::default());
        let test = check::test(&unasked, namespace, sig, None, &known(), &quiet);
        quote!(#items #test)
    }

    /// The items for a function whose parameters are tensors, floats and constants; and what its program says, where there is one.
    fn by_parameters(
        &self,
        function: &syn::ItemFn,
        sig: &signature::TensorSig,
        flat: Option<&fields::Flat>,
    ) -> (TokenStream, Option<check::Known>) {
        let (errors, source) = (self.errors, self.source);
        let lowered = lower::lower(function, self.written, sig, flat, errors, source);
        let function = flat.map_or(function, |f| &f.function);
        let Some(mut program) = lowered else {
            return (items::items(function, sig, items::Made::Nothing), None);
        };
        let with = tangent::signature(sig);
        let forward = match &sig.jvp {
            Some(at) => self.forward(&program, sig, at),
            None => None,
        };
        let classes = [false, true].map(|carried| check::classes(&program.graph, sig, carried));
        map::unread(&program, sig, errors, source);
        let gives = program.gives();
        idioms::idioms(&mut program.graph, &gives);
        affine::affine(&mut program.graph, &gives);
        fuse::fuse(&mut program.graph, &gives);
        inplace::inplace(&mut program.graph, &gives);
        let emit = emit::Emit::new(&program, sig, errors, source);
        let jvp =
            (forward.as_ref()).and_then(|p| Some((p, emit::Emit::new(p, &with, errors, source)?)));
        match emit.filter(|_| errors.is_empty()) {
            Some(emit) => {
                let known = check::Known {
                    descends: items::descends(&program, sig)
                        && flat.is_none_or(fields::Flat::by_reference),
                    classes: classes.into(),
                };
                let jvp = jvp.as_ref().map(|(p, e)| (*p, e));
                let made = items::Made::Derived((&program, &emit), jvp);
                (items::items(function, sig, made), Some(known))
            }
            None => (items::items(function, sig, items::Made::Nothing), None),
        }
    }

    /// The program of value and tangent; `None` after an error.
    fn forward(
        &self,
        program: &lower::Program,
        sig: &signature::TensorSig,
        at: &Ident,
    ) -> Option<lower::Program> {
        let mut program = program.clone();
        let gives = program.gives();
        affine::affine(&mut program.graph, &gives);
        fuse::fuse(&mut program.graph, &gives);
        let both = tangent::tangent(&program, sig, at, self.errors, self.source);
        let Some(mut both) = both else {
            // Nothing that was promised is left out without a word.
            if self.errors.is_empty() {
                let what = "it has an operation without one";
                self.errors.reject_named(at, &errors::JVP, what);
            }
            return None;
        };
        let gives = both.gives();
        inplace::inplace(&mut both.graph, &gives);
        Some(both)
    }
}
