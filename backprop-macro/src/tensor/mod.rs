//! Functions of tensors: from the forward lines to the backward pass.
//!
//! ```text
//!   signature   ndarray's types among the parameters     signature.rs
//!   fields      structs as their fields                fields.rs
//!   ways_out    ways out of loops as flags             ways_out.rs
//!   exits       early returns as sides of an `if`      exits.rs
//!   lower       syn → tensor graph                       lower/, method/, loops.rs, branches.rs
//!   sequence    what loops run over                     sequence.rs
//!   carried     what loops and branches change            carried.rs, kinds.rs
//!   idioms      softmax and its kin as one operation      idioms/
//!   affine      a product and a bias as one operation      affine.rs
//!   fuse        chains of elementwise operations         fuse.rs
//!   reverse     graph → steps of the backward pass       reverse.rs
//!   map         one element, by the scalar compiler      map.rs
//!   transpose   the linear operations' table             transpose.rs
//!   emit        graph and steps → Rust                   emit/
//!   calls       calls of annotated functions              calls.rs
//!   tape        loops in Rust, and what they keep          tape.rs
//!   items       the generated functions                  items/
//! ```
//!
//! In: a function with one of ndarray's types in its signature. Out: its derivatives, which call `backprop::tensor` and
//! `backprop::kernel`, or what was wrong with it. No derivative is written here: elementwise work goes through the scalar
//! compiler, and what is linear is its own table of transposes.

mod affine;
mod branches;
mod calls;
mod carried;
mod emit;
mod exits;
mod fields;
mod fuse;
mod graph;
mod idioms;
mod items;
mod kinds;
mod loops;
mod lower;
mod map;
mod method;
mod reverse;
mod sequence;
mod signature;
mod tape;
mod transpose;
mod ways_out;

use crate::errors::Errors;
use crate::options::Options;
use crate::signature::camel_case;
use crate::source::Source;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;

pub use signature::is_tensor as names_tensors;

/// Whether a function has tensors in its signature, or structs that hold them.
pub fn is_tensor(function: &syn::ItemFn, source: &Source) -> bool {
    signature::is_tensor(&function.sig) || fields::holds_tensors(function, source)
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
    let flat = fields::flatten(function, options.wrt.as_deref(), errors, &definitions);
    let Some(flat) = flat else {
        if !errors.is_empty() {
            return TokenStream::new();
        }
        let Some(sig) = signature::TensorSig::read(&function.sig, options, &[], errors) else {
            return TokenStream::new();
        };
        return by_parameters(function, &sig, None, errors, source).0;
    };
    let inner = flat.options(options);
    let read = signature::TensorSig::read(&flat.function.sig, &inner, &flat.constant, errors);
    let Some(mut sig) = read else {
        return TokenStream::new();
    };
    let namespace = options.namespace.as_ref().unwrap_or(&function.sig.ident);
    let camel = camel_case(&namespace.unraw().to_string());
    sig.residuals = Ident::new(&format!("{camel}Residuals"), namespace.span());
    let (by_fields, descends) = by_parameters(function, &sig, Some(&flat), errors, source);
    let outside = items::outside(function, options, &flat, &sig, descends);
    quote!(#by_fields #outside)
}

/// The items for a function whose parameters are tensors, floats and constants; and whether there is `descend_with`.
fn by_parameters(
    function: &syn::ItemFn,
    sig: &signature::TensorSig,
    flat: Option<&fields::Flat>,
    errors: &Errors,
    source: &Source,
) -> (TokenStream, bool) {
    let lowered = lower::lower(function, sig, flat, errors, source);
    let function = flat.map_or(function, |f| &f.function);
    let Some(mut program) = lowered else {
        return (items::items(function, sig, None), true);
    };
    idioms::idioms(&mut program.graph, &program.result);
    affine::affine(&mut program.graph, &program.result);
    fuse::fuse(&mut program.graph, &program.result);
    match emit::Emit::new(&program, sig, errors, source) {
        Some(emit) => {
            let descends = items::descends(&program, sig);
            (
                items::items(function, sig, Some((&program, &emit))),
                descends,
            )
        }
        None => (items::items(function, sig, None), true),
    }
}
