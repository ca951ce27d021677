//! `check` beside tensors: a test that compares every backward pass with differences.
//!
//! In: the function, what the user says of values and shapes, and which axes are likely to be of one length. Out: one `#[test]` beside
//! the function, with the driver of the scalar compiler's tests; nothing of it runs while compiling. What must hold: every function
//! of the contract that gives a gradient is in it.

mod axes;
mod made;
mod passes;

use crate::check::frame::{Test, expectation, items_of, label, named};
use crate::check::{CheckOptions, Point};
use crate::errors::{self, Errors};
use crate::signature::local;
use crate::tensor::fields::{Flat, Part};
use crate::tensor::signature::TensorSig;
pub use axes::{Classes, classes};
use made::{Lengths, Made, Making, Said};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::cell::RefCell;
use syn::ext::IdentExt;

/// What is known of a function besides its signature.
pub struct Known {
    pub descends: bool,
    /// Of its parameters' axes, the most likely classes first.
    pub classes: Vec<Classes>,
}

/// A parameter as the user wrote it.
struct Param<'a> {
    ident: &'a Ident,
    ty: &'a syn::Type,
    made: Made,
    /// Some of it is differentiated.
    active: bool,
    in_out: bool,
}

struct Check<'a> {
    options: &'a CheckOptions,
    sig: &'a TensorSig,
    namespace: &'a Ident,
    params: Vec<Param<'a>>,
    /// At each point of the user's, the arguments and what is expected.
    points: Vec<(TokenStream, TokenStream)>,
    lengths: Lengths,
}

/// The test of what a namespace holds; nothing after an error.
pub fn test(
    asked: &CheckOptions,
    namespace: &Ident,
    sig: &TensorSig,
    flat: Option<&Flat>,
    known: &Known,
    errors: &Errors,
) -> TokenStream {
    match Check::new(asked, namespace, sig, flat, errors) {
        Some(check) if errors.is_empty() => check.test(known),
        _ => TokenStream::new(),
    }
}

impl<'a> Check<'a> {
    fn new(
        options: &'a CheckOptions,
        namespace: &'a Ident,
        sig: &'a TensorSig,
        flat: Option<&'a Flat>,
        errors: &Errors,
    ) -> Option<Check<'a>> {
        let written: Vec<(&Ident, &syn::Type, Option<&Part>)> = match flat {
            Some(flat) => (flat.params.iter())
                .map(|p| (&p.ident, &p.ty, Some(&p.part)))
                .collect(),
            None => (sig.params.iter())
                .map(|p| (&p.ident, &p.ty, None))
                .collect(),
        };
        let is_param = |name: &Ident| written.iter().any(|p| p.0.unraw() == name.unraw());
        let unknown = options.names().filter(|n| !is_param(n));
        for name in unknown.chain(options.receiver.as_ref().map(|r| &r.0)) {
            errors.reject(name, &errors::CHECK_PARAMETER);
        }
        let mut making = Making {
            floats: sig.generics_floats(),
            flat: flat.map(|f| &f.function),
            errors,
            lengths: Lengths::default(),
        };
        // Each shape has its array, or is rejected.
        let unused = RefCell::new(options.shapes.iter().collect::<Vec<_>>());
        let mut params = Vec::new();
        for (ident, ty, part) in written {
            let said: &Said = &|fields| {
                let mut unused = unused.borrow_mut();
                let is_it =
                    |s: &&crate::check::Shaped| s.of.unraw() == ident.unraw() && s.fields == fields;
                let at = unused.iter().position(is_it)?;
                Some(&unused.remove(at).given)
            };
            let Some(made) = making.made(ident, ty, part, &mut Vec::new(), said) else {
                match options
                    .shapes
                    .iter()
                    .find(|s| s.of.unraw() == ident.unraw())
                {
                    Some(shaped) => errors.reject(&shaped.of, &errors::CHECK_AXES),
                    None => {
                        let what = format!("a value for `{}`", ident.unraw());
                        errors.reject_named(&options.key, &errors::CHECK_METHOD, &what)
                    }
                };
                return None;
            };
            let is_active = |name: &Ident| sig.active().any(|(_, p)| p.ident == *name);
            let parts = made.each(ident, TokenStream::new(), &is_active, &|_| quote!(part));
            params.push(Param {
                ident,
                ty,
                made,
                active: !parts.is_empty(),
                in_out: sig.params.iter().any(|p| p.in_out && p.ident == *ident),
            });
        }
        // Names that are no parameters have been rejected.
        let params_named = |of: &Ident| params.iter().any(|p| p.ident.unraw() == of.unraw());
        for shaped in unused
            .into_inner()
            .into_iter()
            .filter(|s| params_named(&s.of))
        {
            errors.reject(&shaped.of, &errors::CHECK_AXES);
        }
        let active: Vec<&Ident> = (params.iter().filter(|p| p.active))
            .map(|p| p.ident)
            .collect();
        let mut points = Vec::new();
        for point in &options.at {
            let values = values(point, &params, &mut making)?;
            points.push((values, expectation(point, &active, errors)?));
        }
        Some(Check {
            options,
            sig,
            namespace,
            params,
            points,
            lengths: making.lengths,
        })
    }

    /// For each axis of the arguments its class.
    fn classes(&self, known: &Classes) -> Vec<usize> {
        let of = |axis: usize| {
            let of_param = |(k, p): (usize, &crate::tensor::signature::Param)| {
                let first = self.lengths.first.get(&p.ident.to_string())?;
                known.get(&(k, axis.checked_sub(*first)?)).copied()
            };
            self.sig.params.iter().enumerate().find_map(of_param)
        };
        // Numbers without gaps, by what they stand for.
        let mut numbers: Vec<(bool, usize)> = Vec::new();
        let all = 0..self.lengths.given.len();
        all.map(|axis| {
            let class = of(axis).map_or((false, axis), |class| (true, class));
            numbers.iter().position(|n| *n == class).unwrap_or_else(|| {
                numbers.push(class);
                numbers.len() - 1
            })
        })
        .collect()
    }

    fn test(&self, known: &Known) -> TokenStream {
        let (random, point, sizes) = (local("random"), local("point"), local("sizes"));
        let types: Vec<TokenStream> = self.params.iter().map(|p| p.made.ty()).collect();
        let samples = self.params.iter().map(|p| {
            let domain = self.options.domain(p.ident);
            p.made.sampled(domain, self.options.lengths(p.ident))
        });
        let given = (self.points.iter().enumerate()).map(|(k, (values, _))| quote!(#k => #values,));
        let args = local("args");
        let describe = self.params.iter().enumerate().filter_map(|(k, p)| {
            let (name, k) = (p.ident.unraw().to_string(), syn::Index::from(k));
            let shown = p.made.shown(&quote!(#args.#k));
            shown.map(|shown| quote!(text.push(std::format!("{} = {}", #name, #shown).replace('\n', ""));))
        });
        let ident = &self.sig.ident;
        let text = ident.unraw().to_string();
        let mut classes: Vec<Vec<usize>> = known.classes.iter().map(|c| self.classes(c)).collect();
        classes.push((0..self.lengths.given.len()).collect());
        classes.dedup();
        let lengths = self.lengths.given.iter().map(|n| match n {
            Some(n) => quote!(::core::option::Option::Some(#n)),
            None => quote!(::core::option::Option::None),
        });
        let generic = self
            .sig
            .float()
            .map(|t| quote!(#[allow(non_camel_case_types)] type #t = ::core::primitive::f64;));
        let (build, plain) = (local("build"), local("plain"));
        let run = self.plain(ident);
        let before = quote! {
            #generic
            let #build = |#random: &mut check::driver::Random, #point: ::core::primitive::usize, #sizes: &[::core::primitive::usize]| -> (#(#types,)*) {
                match #point { #(#given)* _ => (#(#samples,)*) }
            };
            let #plain = |#args: &(#(#types,)*)| -> std::vec::Vec<::core::primitive::f64> { #run };
            // Found once: the shapes are the same at all points.
            let #sizes = {
                let mut #random = check::driver::Random(1);
                let axes = check::sizes::Axes {
                    name: #text,
                    classes: &[#(&[#(#classes),*]),*],
                    given: &[#(#lengths),*],
                };
                axes.find(&mut |#sizes| {
                    #plain(&#build(&mut #random, ::core::primitive::usize::MAX, #sizes));
                })
            };
        };
        let sizes_module = items_of(include_str!("../../check/sizes.rs"));
        let test = Test {
            name: named(self.namespace),
            doc: format!("Compares the gradients of [`fn@{text}`] with differences."),
            function: text,
            single: self.params.iter().any(|p| p.made.single()),
            types: types.clone(),
            before,
            labels: (self.params.iter().filter(|p| p.active))
                .map(|p| label(p.ident, self.options.domain(p.ident)))
                .collect(),
            expected: self.points.iter().map(|p| p.1.clone()).collect(),
            build: quote!(#build(#random, #point, &#sizes)),
            describe: describe.collect(),
            visit: self.visits(),
            value: self.value(),
            passes: self.passes(known),
            modules: quote! {
                pub mod sizes {
                    extern crate std;
                    use self::std::prelude::rust_2021::*;
                    #sizes_module
                }
            },
            elements: 256,
        };
        test.item(self.options)
    }
}

/// The arguments at a point of the user's; `None` after an error.
fn values(point: &Point, params: &[Param], making: &mut Making) -> Option<TokenStream> {
    let mut values = Vec::new();
    for p in params {
        let Some((_, e)) = point.values.iter().find(|v| v.0.unraw() == p.ident.unraw()) else {
            let name = p.ident.unraw().to_string();
            making
                .errors
                .reject_named(&point.at, &errors::CHECK_MISSING, &name);
            return None;
        };
        values.push(making.given(&p.made, e)?);
    }
    Some(quote!((#(#values,)*)))
}
