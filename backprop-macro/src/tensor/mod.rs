//! Functions of tensors: from the forward lines to the backward pass.
//!
//! ```text
//!   signature   ndarray's types among the parameters     signature.rs
//!   lower       syn → tensor graph                       lower/, method/, loops.rs, branches.rs
//!   idioms      softmax and its kin as one operation      idioms.rs
//!   fuse        chains of elementwise operations         fuse.rs
//!   reverse     graph → steps of the backward pass       reverse.rs
//!   map         one element, by the scalar compiler      map.rs
//!   transpose   the linear operations' table             transpose.rs
//!   emit        graph and steps → Rust                   emit.rs
//!   calls       calls of annotated functions              calls.rs
//!   tape        loops in Rust, and what they keep          tape.rs
//!   items       the generated functions                  items/
//! ```
//!
//! In: a function with one of ndarray's types in its signature. Out: its derivatives, which call `backprop::tensor` and
//! `backprop::kernel`, or what was wrong with it. No derivative is written here: elementwise work goes through the scalar
//! compiler, and what is linear is its own table of transposes.

mod branches;
mod calls;
mod emit;
mod fuse;
mod graph;
mod idioms;
mod items;
mod loops;
mod lower;
mod map;
mod method;
mod reverse;
mod signature;
mod tape;
mod transpose;

pub use signature::is_tensor;

use crate::errors::Errors;
use crate::options::Options;
use crate::source::Source;
use proc_macro2::TokenStream;

/// The items for a tensor function.
pub fn expand(
    function: &syn::ItemFn,
    options: &Options,
    errors: &Errors,
    source: &Source,
) -> TokenStream {
    let Some(sig) = signature::TensorSig::read(&function.sig, options, errors) else {
        return TokenStream::new();
    };
    let Some(mut program) = lower::lower(function, &sig, errors, source) else {
        return items::items(function, &sig, None);
    };
    idioms::idioms(&mut program.graph);
    fuse::fuse(&mut program.graph, &program.result);
    match emit::Emit::new(&program, &sig, errors, source) {
        Some(emit) => items::items(function, &sig, Some((&program, &emit))),
        None => items::items(function, &sig, None),
    }
}
