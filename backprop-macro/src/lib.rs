//! The compiler behind `#[backprop]`: tokens → graph → gradient → tokens.
//!
//! The modules are the stages, in the order in which they run: `options`, `signature`, `lower`, `activity`, `reverse`
//! (with the table in `rules`, the rewrites in `simplify` and the fused forms in `stable`), `live`, `keep`, `emit`,
//! `items`. Between `lower` and `emit` there is one language, the `graph`.
#![forbid(unsafe_code)]

mod access;
mod activity;
mod carry;
mod collect;
mod compile;
mod definitions;
mod derive;
mod emit;
mod errors;
mod exchange;
mod flow;
mod forwards;
mod fresh;
mod gather;
mod graph;
mod items;
mod keep;
mod live;
mod lower;
mod options;
mod order;
mod park;
mod reverse;
#[macro_use]
mod rules_macro;
mod rules;
mod shape;
mod signature;
mod simplify;
mod source;
mod stable;
#[cfg(test)]
mod sweep;
mod trace;
mod types;

/// Differentiates a function at compile time.
///
/// For a function `f` the attribute keeps `fn f` as it is and adds a namespace `f` with `f::forward`, `f::backward`,
/// `f::gradient`, `f::value_and_gradient`, `f::value_and_gradient_into` and `f::accumulate`.
///
/// Options: `wrt(a, b)` names the parameters to differentiate with respect to (all that hold floats otherwise);
/// `as = name` names the namespace; `associated` says that the function stands in an `impl` although it has no `self`.
#[proc_macro_attribute]
pub fn backprop(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let source = source::Source::new(proc_macro::Span::call_site().local_file());
    let run = std::panic::AssertUnwindSafe(|| {
        compile::compile(attribute.into(), item.clone().into(), &source)
    });
    match std::panic::catch_unwind(run) {
        Ok(tokens) => tokens.into(),
        Err(_) => {
            let item = proc_macro2::TokenStream::from(item);
            quote::quote! {
                #item
                ::core::compile_error!("`#[backprop]` failed on this function: this is a bug in backprop, please report it");
            }
            .into()
        }
    }
}

/// Gives a struct a gradient, so that functions annotated with [`macro@backprop`] can take and return it.
///
/// For a struct `Name` it makes `NameGradient`, which has a field of the same name for each field of `Name` that can hold floats:
/// floats, arrays, tuples, and `Vec`s for slices and `Vec`s. Integers, `bool` and text are constant and have none; a field of another
/// type must be `Differentiable` itself, or be marked with `#[backprop(constant)]`.
#[proc_macro_derive(Differentiable, attributes(backprop))]
pub fn differentiable(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive::derive(item.into()).into()
}
