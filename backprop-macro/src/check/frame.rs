//! Tests that compare gradients with differences, as far as all are alike.
//!
//! In: types, values and calls of one function, as tokens. Out: one `#[test]`, which holds `differences.rs` and `driver.rs` as they stand
//! here.

use super::points;
use super::syntax::{CheckOptions, Domain, Point};
use crate::errors::{self, Errors};
use crate::signature::local;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

/// The name of a test, by the namespace of the derivatives that it checks.
pub fn named(namespace: &Ident) -> Ident {
    format_ident!("{}_check", namespace.unraw(), span = namespace.span())
}

/// A test, as far as it differs from others. The bodies have the names of [`local`] in scope: `args`, and where they walk over
/// floats, `visit`.
pub struct Test {
    pub name: Ident,
    pub doc: String,
    pub function: String,
    /// Something is in single precision, of which differences are coarse.
    pub single: bool,
    /// Those of the arguments, owned.
    pub types: Vec<TokenStream>,
    /// Items and statements before everything else.
    pub before: TokenStream,
    /// A [`label`] for each differentiated parameter.
    pub labels: Vec<TokenStream>,
    pub expected: Vec<TokenStream>,
    /// The arguments at a `point`, from `random`.
    pub build: TokenStream,
    /// What pushes lines to `text`.
    pub describe: TokenStream,
    pub visit: TokenStream,
    pub value: TokenStream,
    /// From the `upstream` gradient; the value is `seen`.
    pub passes: Vec<(&'static str, TokenStream)>,
    /// Beside the driver.
    pub modules: TokenStream,
    pub elements: usize,
}

impl Test {
    pub fn item(&self, options: &CheckOptions) -> TokenStream {
        let Test {
            name,
            doc,
            function,
            types,
            before,
            labels,
            expected,
            build,
            describe,
            visit: visits,
            value,
            modules,
            elements,
            ..
        } = self;
        let (args, random, point) = (local("args"), local("random"), local("point"));
        let (visit, up, seen) = (local("visit"), local("upstream"), local("seen"));
        let (points, seed) = (options.points, options.seed);
        let (tolerance, reach) = match self.single {
            true => (1e-2, 0.3),
            false => (super::CLOSE, 0.1),
        };
        let passes = self.passes.iter().map(|(name, body)| {
            quote! {(#name, &|
                #args: &(#(#types,)*),
                #up: &[::core::primitive::f64],
                #seen: &mut dyn ::core::ops::FnMut(::core::primitive::f64),
                #visit: &mut dyn ::core::ops::FnMut(::core::primitive::usize, ::core::primitive::f64),
            | { #body })}
        });
        let differences = items_of(include_str!("differences.rs"));
        let driver = items_of(include_str!("driver.rs"));
        quote! {
            #[cfg(test)]
            #[doc = #doc]
            #[::core::prelude::v1::test]
            #[allow(unnameable_test_items, unused, non_snake_case, deprecated, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
            fn #name() {
                extern crate std;
                #[allow(missing_docs, unreachable_pub)]
                mod check {
                    extern crate std;
                    mod differences {
                        extern crate std;
                        use self::std::prelude::rust_2021::*;
                        #differences
                    }
                    pub mod driver {
                        extern crate std;
                        use self::std::prelude::rust_2021::*;
                        #driver
                    }
                    #modules
                }
                #before
                check::driver::Problem::<(#(#types,)*)> {
                    name: #function,
                    parameters: &[#(#labels),*],
                    expected: &[#(#expected),*],
                    points: #points,
                    seed: #seed,
                    tolerance: #tolerance,
                    reach: #reach,
                    elements: #elements,
                    build: &|#random: &mut check::driver::Random, #point: ::core::primitive::usize| #build,
                    describe: &|#args: &(#(#types,)*)| {
                        let mut text: std::vec::Vec<std::string::String> = std::vec::Vec::new();
                        #describe
                        text.join(", ")
                    },
                    visit: &|#args: &mut (#(#types,)*), #visit: &mut dyn ::core::ops::FnMut(::core::primitive::usize, &mut ::core::primitive::f64)| { #visits },
                    value: &|#args: &(#(#types,)*), #visit: &mut dyn ::core::ops::FnMut(::core::primitive::f64)| { #value },
                    passes: &[#(#passes),*],
                }
                .check();
            }
        }
    }
}

/// A parameter's name, and the domain that differences must not leave.
pub fn label(name: &Ident, domain: Option<Domain>) -> TokenStream {
    let name = name.unraw().to_string();
    let edge = |e: Option<f64>, none: TokenStream| e.map_or(none, |x| quote!(#x));
    let low = edge(
        domain.and_then(|d| d.low),
        quote!(::core::primitive::f64::NEG_INFINITY),
    );
    let high = edge(
        domain.and_then(|d| d.high),
        quote!(::core::primitive::f64::INFINITY),
    );
    quote!((#name, #low, #high))
}

/// What is expected at a point that the user gives; `None` after an error.
pub fn expectation(p: &Point, active: &[&Ident], errors: &Errors) -> Option<TokenStream> {
    let value = match &p.value {
        Some(e) => {
            let all = numbers(e, errors)?;
            quote!(::core::option::Option::Some(&[#(#all),*]))
        }
        None => quote!(::core::option::Option::None),
    };
    let mut gradient = Vec::new();
    for (name, e) in &p.gradient {
        let found = active.iter().position(|a| a.unraw() == name.unraw());
        let Some(n) = found else {
            errors.reject(name, &errors::CHECK_NO_GRADIENT);
            return None;
        };
        let all = numbers(e, errors)?;
        gradient.push(quote!((#n, &[#(#all),*])));
    }
    let tolerance = p.tolerance;
    Some(quote!(check::driver::Expected {
        value: #value, gradient: &[#(#gradient),*], tolerance: #tolerance
    }))
}

/// The items of a file that is copied into tests.
pub fn items_of(text: &str) -> TokenStream {
    match syn::parse_file(text) {
        Ok(file) => file.items.iter().map(ToTokens::to_token_stream).collect(),
        Err(_) => TokenStream::new(),
    }
}

fn numbers(e: &syn::Expr, errors: &Errors) -> Option<Vec<f64>> {
    let mut all = Vec::new();
    points::leaves(e, &mut all);
    let mut out = Vec::new();
    for e in all {
        match super::syntax::number(&e) {
            Some(x) => out.push(x),
            None => {
                errors.reject(&e, &errors::CHECK_NUMBER);
                return None;
            }
        }
    }
    Some(out)
}
