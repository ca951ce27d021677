//! The rows of the idioms: how each is computed, forward and backward.
//!
//! In: an idiom and how its operands are spelt. Out: the calls of `backprop::tensor`, with the rule of a lane as a closure.

use super::Idiom;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

/// How a row spells what it reads.
pub struct Lane<'a> {
    pub of: TokenStream,
    /// What is subtracted: a view without the axis, or a float.
    pub shift: Option<(TokenStream, bool)>,
    pub axis: &'a Option<TokenStream>,
    pub zero: TokenStream,
    /// A view of a cross-entropy's weights.
    pub weights: Option<TokenStream>,
    /// The name of the softmax, where one is kept.
    pub softmax: Ident,
    /// The upstream gradient may be zero where something was not taken, and the softmax NaN.
    pub careful: bool,
}

impl Lane<'_> {
    fn axis(&self) -> TokenStream {
        match self.axis {
            Some(axis) => quote!(::core::option::Option::Some(#axis)),
            None => quote!(::core::option::Option::None),
        }
    }

    fn shifts(&self) -> TokenStream {
        match &self.shift {
            Some((m, true)) => quote!(#m.iter().copied()),
            Some((m, false)) => quote!(::core::iter::repeat(#m)),
            None => {
                let zero = &self.zero;
                quote!(::core::iter::repeat(#zero))
            }
        }
    }
}

impl Idiom {
    /// Whether the softmax is kept for the way back.
    pub fn keeps(self) -> bool {
        matches!(self, Idiom::CrossEntropy { .. } | Idiom::LogSumExp)
    }

    /// The value: a float, or written to `out`.
    pub fn forward(self, l: &Lane, out: &TokenStream) -> TokenStream {
        let (z, axis, m, p) = (&l.of, l.axis(), l.shifts(), &l.softmax);
        match (self, l.axis) {
            (Idiom::CrossEntropy { negative }, _) => {
                let Some(w) = &l.weights else {
                    return TokenStream::new();
                };
                let sum =
                    quote!(::backprop::tensor::cross_entropy(#z, #w, #axis, #m, #p.view_mut()));
                if negative { quote!(-#sum) } else { sum }
            }
            (Idiom::Softmax, _) => quote!(::backprop::tensor::softmax(#z, #axis, #m, #out)),
            (Idiom::LogSoftmax, _) => quote!(::backprop::tensor::log_softmax(#z, #axis, #m, #out)),
            (Idiom::LnSoftmax, _) => quote!(::backprop::tensor::ln_softmax(#z, #axis, #m, #out)),
            (Idiom::LogSumExp, Some(axis)) => {
                quote!(::backprop::tensor::log_sum_exp(#z, #axis, #m, #p.view_mut(), #out))
            }
            (Idiom::LogSumExp, None) => {
                let (m, zero) = (l.shift.as_ref().map(|m| &m.0), &l.zero);
                let m = m.unwrap_or(zero);
                quote!(::backprop::tensor::log_sum_exp_all(#z, #m, #p.view_mut()))
            }
        }
    }

    /// From the value `y` and its adjoint `d` to the operand's, `to`.
    pub fn backward(
        self,
        l: &Lane,
        y: &TokenStream,
        d: &TokenStream,
        to: &TokenStream,
        add: bool,
    ) -> TokenStream {
        let axis = l.axis();
        let pivoted = |y: &TokenStream, d: TokenStream, part: TokenStream, slope: TokenStream| {
            quote! {
                ::backprop::tensor::pivoted(
                    #y.view(), #d.view(), #axis, #to, #add,
                    #[inline(always)] |y, d, pivot| #part,
                    #[inline(always)] |y, d, pivot, total| #slope,
                );
            }
        };
        let rule = |part, slope| pivoted(y, d.clone(), part, slope);
        match self {
            Idiom::CrossEntropy { negative } => {
                let Some(w) = &l.weights else {
                    return TokenStream::new();
                };
                let (p, zero) = (&l.softmax, &l.zero);
                let w = quote!(::backprop::tensor::fitted(#w, &#p.raw_dim()));
                let slope = if negative {
                    quote!(#d * (y * total - d))
                } else {
                    quote!(#d * (d - y * total))
                };
                let slope = match l.careful {
                    true => quote!(if #d == #zero { #zero } else { #slope }),
                    false => slope,
                };
                pivoted(&quote!(#p), w, quote!(d), slope)
            }
            // Relative to the pivot's: the gradient depends on differences only.
            Idiom::Softmax => rule(quote!(y * (d - pivot)), quote!(y * ((d - pivot) - total))),
            Idiom::LogSoftmax | Idiom::LnSoftmax => {
                rule(quote!(d), quote!(d - ::backprop::kernel::exp(y) * total))
            }
            Idiom::LogSumExp => {
                let p = &l.softmax;
                let d = match l.axis {
                    Some(_) => quote!(#d.iter().copied()),
                    None => quote!(::core::iter::once(#d)),
                };
                quote!(::backprop::tensor::lanes_times(#p.view(), #axis, #d, #to, #add);)
            }
        }
    }
}
