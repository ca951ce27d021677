//! The functions beside a method: they call those of the free function, whose items stand in one hidden function.
//!
//! In: the method, the free function's items, and what its parameters' gradients are. Out: associated functions of the `impl`. What must hold:
//! nothing inside of the hidden function is named outside of it; what a forward pass keeps is behind a function of the upstream gradient.

use crate::signature::local;
use crate::tensor::items::functions::upstream;
use crate::tensor::methods;
use crate::tensor::signature::{Out, TensorSig, with_lifetime, without_lifetime};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

/// A differentiated parameter: the types of its gradient, and of what that is written to.
pub struct Active {
    pub ident: Ident,
    pub gradient: TokenStream,
    pub buffer: TokenStream,
}

/// The functions beside a method.
pub fn beside(
    written: &syn::ItemFn,
    free: &syn::ItemFn,
    sig: &TensorSig,
    namespace: &Ident,
    active: &[Active],
    items: &TokenStream,
) -> TokenStream {
    let vis = &written.vis;
    let name = &written.sig.ident;
    let has_self = methods::receiver(written).is_some();
    let inputs: Vec<(&Ident, &syn::Type)> = free
        .sig
        .inputs
        .iter()
        .filter_map(|p| match p {
            syn::FnArg::Typed(p) => match &*p.pat {
                syn::Pat::Ident(i) => Some((&i.ident, &*p.ty)),
                _ => None,
            },
            syn::FnArg::Receiver(_) => None,
        })
        .collect();
    let changed = |ident: &Ident| sig.params.iter().any(|p| p.in_out && p.ident == *ident);
    let kept = |ident: &Ident, ty: &syn::Type| match changed(ident) {
        true => without_lifetime(ty),
        false => with_lifetime(ty),
    };
    let plain: Vec<TokenStream> = inputs.iter().map(|p| without_lifetime(p.1)).collect();
    let borrowed: Vec<TokenStream> = inputs.iter().map(|p| kept(p.0, p.1)).collect();
    let names: Vec<&Ident> = inputs.iter().map(|p| p.0).collect();
    let gradients: Vec<&TokenStream> = active.iter().map(|a| &a.gradient).collect();
    let buffers: Vec<&TokenStream> = active.iter().map(|a| &a.buffer).collect();
    let fields: Vec<&Ident> = active.iter().map(|a| &a.ident).collect();
    let own: Vec<Ident> = (0..active.len())
        .map(|k| format_ident!("__d{}", k, span = proc_macro2::Span::mixed_site()))
        .collect();
    let (output, up) = (&sig.output_ty, upstream(sig));
    let gradient = quote!((#(#gradients,)*));
    let saved = quote!(::backprop::tensor::Saved<'__bp, #up, #gradient>);
    let scalar = matches!(sig.output, Out::Scalar);

    let functions = quote!(#namespace);
    let both = scalar.then(|| {
        quote! {
            fn both(#(#names: #plain),*) -> (#output, #gradient) {
                let (__y, __g) = #functions::value_and_gradient(#(#names),*);
                (__y, (#(__g.#fields,)*))
            }
        }
    });
    let both_types = scalar.then(|| {
        quote! {
            fn(#(#plain),*) -> (#output, #gradient),
            fn(#(#plain,)* #(&mut #buffers),*) -> #output,
        }
    });
    let both_values = scalar.then(|| quote!(both, #functions::value_and_gradient_into,));
    let hidden = format_ident!("__{}_derivatives", name.unraw(), span = name.span());
    let sibling = |end: &str| format_ident!("{}_{}", namespace.unraw(), end, span = name.span());

    // As the method has them: `self` first, the others by their names.
    let receiver = has_self.then(|| match &free.sig.inputs[0] {
        syn::FnArg::Typed(p) if matches!(&*p.ty, syn::Type::Reference(_)) => quote!(&self,),
        _ => quote!(self,),
    });
    let receiver_kept = has_self.then(|| match &free.sig.inputs[0] {
        syn::FnArg::Typed(p) if matches!(&*p.ty, syn::Type::Reference(_)) => quote!(&'__bp self,),
        _ => quote!(self,),
    });
    let from = usize::from(has_self);
    let (others, other_types) = (&names[from..], &plain[from..]);
    let other_kept = &borrowed[from..];
    let pass_self = has_self.then(|| quote!(self,));
    let (at_forward, at_accumulate) = match scalar {
        true => (syn::Index::from(3), syn::Index::from(2)),
        false => (syn::Index::from(1), syn::Index::from(0)),
    };
    let (f_forward, f_backward, f_accumulate) = (
        sibling("forward"),
        sibling("backward"),
        sibling("accumulate"),
    );
    let docs = |what: &str| format!("{what} [`{}`](Self::{}).", name.unraw(), name.unraw());
    let doc_forward = docs("The value, and what the backward pass needs, of");
    let doc_backward =
        docs("The gradient, from an upstream gradient and what the forward pass kept, of");
    let doc_accumulate =
        docs("The value; `upstream` times the gradient is added to the buffers. Of");
    let mention = quote!(let _ = Self::#name;);
    let of_a_float = scalar.then(|| {
        let (f_both, f_gradient, f_into) = (
            sibling("value_and_gradient"),
            sibling("gradient"),
            sibling("value_and_gradient_into"),
        );
        let doc_both = docs("The value and the gradient, a tuple in the order of the parameters, of");
        let doc_gradient = docs("The gradient, a tuple in the order of the parameters, of");
        let doc_into = docs("The value; the gradient is written to the buffers. Of");
        quote! {
            #[doc = #doc_both]
            #[allow(clippy::all, clippy::pedantic)]
            #vis fn #f_both(#receiver #(#others: #other_types),*) -> (#output, #gradient) {
                #mention
                (Self::#hidden().0)(#pass_self #(#others),*)
            }

            #[doc = #doc_gradient]
            #[allow(clippy::all, clippy::pedantic)]
            #vis fn #f_gradient(#receiver #(#others: #other_types),*) -> #gradient {
                (Self::#hidden().0)(#pass_self #(#others),*).1
            }

            #[doc = #doc_into]
            #[allow(clippy::all, clippy::pedantic)]
            #vis fn #f_into(#receiver #(#others: #other_types,)* #(#own: &mut #buffers),*) -> #output {
                (Self::#hidden().1)(#pass_self #(#others,)* #(#own),*)
            }
        }
    });
    let upstream = local("up");
    let backward_receiver = has_self.then(|| quote!(&self,));
    quote! {
        #[doc(hidden)]
        #[allow(unused, non_snake_case, clippy::all, clippy::pedantic)]
        fn #hidden() -> (
            #both_types
            fn(#(#plain,)* #up, #(&mut #buffers),*) -> #output,
            for<'__bp> fn(#(#borrowed),*) -> (#output, #saved),
        ) {
            #items
            #both
            fn forward<'__bp>(#(#names: #borrowed),*) -> (#output, #saved) {
                let (__y, __saved) = #functions::forward(#(#names),*);
                let __back = move |__up: #up| {
                    let __g = #functions::backward(&__saved, __up);
                    (#(__g.#fields,)*)
                };
                (__y, ::backprop::tensor::Saved::new(__back))
            }
            (#both_values #functions::accumulate, forward)
        }

        #of_a_float

        #[doc = #doc_forward]
        #[allow(clippy::all, clippy::pedantic)]
        #vis fn #f_forward<'__bp>(#receiver_kept #(#others: #other_kept),*) -> (#output, #saved) {
            #mention
            (Self::#hidden().#at_forward)(#pass_self #(#others),*)
        }

        #[doc = #doc_backward]
        #[allow(clippy::all, clippy::pedantic)]
        #vis fn #f_backward(#backward_receiver saved: &::backprop::tensor::Saved<'_, #up, #gradient>, #upstream: #up) -> #gradient {
            saved.back(#upstream)
        }

        #[doc = #doc_accumulate]
        #[allow(clippy::all, clippy::pedantic)]
        #vis fn #f_accumulate(#receiver #(#others: #other_types,)* #upstream: #up, #(#own: &mut #buffers),*) -> #output {
            (Self::#hidden().#at_accumulate)(#pass_self #(#others,)* #upstream, #(#own),*)
        }
    }
}
