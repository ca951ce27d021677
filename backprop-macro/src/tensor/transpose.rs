//! The linear operations and their transposes: one row each.
//!
//! In: an operation and how its operands are spelt. Out: the call that computes it, and for each operand the call that
//! adds the transpose of the upstream gradient to that operand's adjoint (or writes it, where it is the first to). The
//! functions are those of `backprop::tensor`. `Map` has no row: the scalar compiler differentiates it.

use crate::tensor::graph::*;
use proc_macro2::TokenStream;
use quote::quote;

/// How a row spells what it reads.
pub struct Spelling<'a> {
    /// An operand: a view of a tensor, or a float.
    pub operand: &'a dyn Fn(V) -> TokenStream,
    /// The shape of a tensor.
    pub dim: &'a dyn Fn(V) -> TokenStream,
    /// The number of axes of an operand.
    pub rank: &'a dyn Fn(V) -> Rank,
    /// The upstream gradient may be zero where something was not taken, and an operand infinite.
    pub careful: bool,
}

/// The operation: a float, or written to `out`.
pub fn forward(op: &Op, s: &Spelling, out: &TokenStream) -> TokenStream {
    let v = |v: &V| (s.operand)(*v);
    match op {
        Op::Product(a, b) => {
            let (x, y) = (v(a), v(b));
            match ((s.rank)(*a), (s.rank)(*b)) {
                (Some(1), Some(1)) => quote!(::backprop::tensor::dot(#x, #y)),
                (Some(2), Some(1)) => quote!(::backprop::tensor::mat_vec(#x, #y, #out, false)),
                (Some(1), Some(2)) => {
                    quote!(::backprop::tensor::mat_vec(#y.reversed_axes(), #x, #out, false))
                }
                _ => quote!(::backprop::tensor::product(#x, #y, #out, false)),
            }
        }
        Op::Affine(a, b, c) => {
            let (x, y, c) = (v(a), v(b), v(c));
            match ((s.rank)(*a), (s.rank)(*b)) {
                (_, Some(1)) => quote!(::backprop::tensor::affine_vec(#x, #y, #c, #out)),
                (Some(1), _) => {
                    quote!(::backprop::tensor::affine_vec(#y.reversed_axes(), #x, #c, #out))
                }
                _ => quote!(::backprop::tensor::affine(#x, #y, #c, #out)),
            }
        }
        Op::Sum(a) => {
            let a = v(a);
            quote!(::backprop::tensor::sum(#a))
        }
        Op::SumAxis(a, axis) => {
            let a = v(a);
            quote!(::backprop::tensor::sum_axis(#a, #axis, #out))
        }
        Op::Get(a, index) => {
            let a = v(a);
            quote!(#a[#index])
        }
        Op::Reshape(a) => {
            let a = v(a);
            quote!(::backprop::tensor::reshape(#a, #out, false))
        }
        Op::Select(a, axis, indices) => {
            let a = v(a);
            quote!(::backprop::tensor::select(#a, #axis, &(#indices)[..], #out))
        }
        Op::Concatenate(all, axis) => {
            let parts = all.iter().enumerate().map(|(k, a)| {
                let (a, at) = (v(a), offset(&all[..k], axis, s));
                quote!(::backprop::tensor::assign_part(#out, #axis, #at, #a);)
            });
            quote!({ #(#parts)* })
        }
        Op::Assign(a, b, view) => {
            let (a, b, form) = (v(a), v(b), &view.form);
            quote!({
                ::backprop::tensor::copy(#a, #out, false);
                ::backprop::tensor::copy_spread(#b, #out #form, false);
            })
        }
        Op::Put(a, b, index) => {
            let (a, b) = (v(a), v(b));
            quote!({
                ::backprop::tensor::copy(#a, #out, false);
                #out[#index] = #b;
            })
        }
        _ => TokenStream::new(),
    }
}

/// The transpose with respect to one operand: from the upstream gradient `d` to the adjoint `to`.
pub fn transposed(
    op: &Op,
    position: usize,
    s: &Spelling,
    d: &TokenStream,
    to: &TokenStream,
    add: bool,
) -> TokenStream {
    let v = |v: &V| (s.operand)(*v);
    match op {
        Op::Product(a, b) if s.careful => careful(*a, *b, position, s, d, to, add),
        Op::Product(a, b) => {
            let (x, y) = (v(a), v(b));
            match ((s.rank)(*a), (s.rank)(*b), position) {
                (Some(1), Some(1), 0) => quote!(::backprop::tensor::scaled(#d, #y, #to, #add);),
                (Some(1), Some(1), _) => quote!(::backprop::tensor::scaled(#d, #x, #to, #add);),
                (Some(2), Some(1), 0) => quote!(::backprop::tensor::outer(#d, #y, #to, #add);),
                (Some(2), Some(1), _) => {
                    quote!(::backprop::tensor::mat_vec(#x.reversed_axes(), #d, #to, #add);)
                }
                (Some(1), Some(2), 0) => quote!(::backprop::tensor::mat_vec(#y, #d, #to, #add);),
                (Some(1), Some(2), _) => quote!(::backprop::tensor::outer(#x, #d, #to, #add);),
                (_, _, 0) => {
                    quote!(::backprop::tensor::product(#d, #y.reversed_axes(), #to, #add);)
                }
                _ => quote!(::backprop::tensor::product(#x.reversed_axes(), #d, #to, #add);),
            }
        }
        Op::Affine(..) if position == 2 => {
            quote!(::backprop::tensor::copy_gathered(#d, #to, #add);)
        }
        Op::Affine(a, b, _) => {
            // The product's shape, which may have been broadcast.
            let (m, n) = ((s.dim)(*a), (s.dim)(*b));
            let shape = match ((s.rank)(*a), (s.rank)(*b)) {
                (_, Some(1)) => quote!(Ix1(#m[0])),
                (Some(1), _) => quote!(Ix1(#n[1])),
                _ => quote!(Ix2(#m[0], #n[1])),
            };
            let part = quote!(__part);
            let product = transposed(&Op::Product(*a, *b), position, s, &part, to, add);
            quote! {
                ::backprop::tensor::with_fitted(
                    #d,
                    &::backprop::tensor::ndarray::#shape,
                    #[inline(always)] |__part| { #product }
                );
            }
        }
        Op::Sum(_) => quote!(::backprop::tensor::fill(#d, #to, #add);),
        Op::SumAxis(_, axis) => {
            quote!(::backprop::tensor::copy_spread(#d.insert_axis(#axis), #to, #add);)
        }
        Op::Get(_, index) => quote!(::backprop::tensor::add_element(#to, #index, #d);),
        Op::Reshape(_) => quote!(::backprop::tensor::reshape(#d, #to, #add);),
        Op::Leading(_) => quote!(::backprop::tensor::add_leading(#d, #to, #add);),
        Op::Select(_, axis, indices) => {
            quote!(::backprop::tensor::add_selected(#d, #axis, &(#indices)[..], #to);)
        }
        Op::Concatenate(all, axis) => {
            let (at, len) = (offset(&all[..position], axis, s), (s.dim)(all[position]));
            quote!(::backprop::tensor::copy(::backprop::tensor::part(#d, #axis, #at, #len[(#axis).index()]), #to, #add);)
        }
        Op::Assign(_, _, view) if position == 1 => {
            let form = &view.form;
            quote!(::backprop::tensor::copy_gathered(#d #form, #to, #add);)
        }
        Op::Put(_, _, index) if position == 1 => {
            quote!(#d[#index])
        }
        Op::Assign(..) | Op::Put(..) => quote!(::backprop::tensor::copy(#d, #to, #add);),
        Op::Grown { .. } => quote!(::backprop::tensor::copy(#d[#position].view(), #to, #add);),
        _ => TokenStream::new(),
    }
}

/// The transpose of a product, in which zeros of the upstream gradient hand nothing on.
fn careful(
    a: V,
    b: V,
    position: usize,
    s: &Spelling,
    d: &TokenStream,
    to: &TokenStream,
    add: bool,
) -> TokenStream {
    let (x, y) = ((s.operand)(a), (s.operand)(b));
    // All of them as matrices: a vector on the left is a row, on the right a column.
    let axis = |k: usize| quote!(.insert_axis(::backprop::tensor::ndarray::Axis(#k)));
    let (row, column) = (axis(0), axis(1));
    let left = |t: &TokenStream| match (s.rank)(a) {
        Some(1) => quote!(#t #row),
        _ => t.clone(),
    };
    let right = |t: &TokenStream| match (s.rank)(b) {
        Some(1) => quote!(#t #column),
        _ => t.clone(),
    };
    let up = match ((s.rank)(a), (s.rank)(b)) {
        (Some(1), Some(1)) => quote!(::backprop::tensor::ndarray::aview0(&#d) #row #column),
        (Some(1), _) => quote!(#d #row),
        (_, Some(1)) => quote!(#d #column),
        _ => d.clone(),
    };
    let (x, y) = (left(&x), right(&y));
    match position {
        0 => {
            let to = left(to);
            quote!(::backprop::tensor::product_of_taken(#up, #y.reversed_axes(), #to, #add);)
        }
        // The same transposed: the upstream gradient stands on the left.
        _ => {
            let to = right(to);
            quote!(::backprop::tensor::product_of_taken(#up.reversed_axes(), #x, #to.reversed_axes(), #add);)
        }
    }
}

/// What an assignment replaced has no gradient any more: `d` becomes zero there.
pub fn cleared(op: &Op, d: &TokenStream, zero: &TokenStream) -> TokenStream {
    match op {
        Op::Assign(_, _, view) => {
            let form = &view.form;
            quote!(::backprop::tensor::fill(#zero, #d #form, false);)
        }
        Op::Put(_, _, index) => quote!(#d[#index] = #zero;),
        _ => TokenStream::new(),
    }
}

/// Where an operand of a concatenation starts.
fn offset(before: &[V], axis: &TokenStream, s: &Spelling) -> TokenStream {
    let lens = before.iter().map(|v| {
        let d = (s.dim)(*v);
        quote!(+ #d[(#axis).index()])
    });
    quote!((0 #(#lens)*))
}
