//! The compiler behind `#[backprop]`: tokens → graph → gradient → tokens.
//!
//! The modules are the stages, in the order in which they run: `options`, `signature`, `lower`, `activity`, `reverse`
//! (with the table in `rules`, the rewrites in `simplify` and the fused forms in `stable`), `live`, `keep`, `emit`,
//! `items`. Between `lower` and `emit` there is one language, the `graph`.
#![forbid(unsafe_code)]

mod activity;
mod check;
mod compile;
mod emit;
mod errors;
mod evaluate;
mod forward;
mod fresh;
mod gather;
mod graph;
mod items;
mod keep;
mod live;
mod lower;
mod options;
mod order;
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
/// `as = name` names the namespace; `associated` says that the function stands in an `impl` although it has no `self`;
/// `check` compares the gradient with differences while compiling.
#[proc_macro_attribute]
pub fn backprop(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let file = proc_macro::Span::call_site().local_file();
    source::set_file(file.clone());
    let unannotated = |path: &syn::Path| source::unannotated(file.clone(), path);
    let run = std::panic::AssertUnwindSafe(|| {
        compile::compile(attribute.into(), item.clone().into(), &unannotated)
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
