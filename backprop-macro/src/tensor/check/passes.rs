//! The bodies of a test: the function itself, and every function of the contract that gives its gradient.
//!
//! In: the parameters and what they are made of. Out: statements that call each of them on the same arguments, and visit the floats of the
//! value and of the gradient. Buffers that are written start as NaN, those that are added to are added to twice.

use super::{Check, Known, Made};
use crate::shape::peel;
use crate::signature::local;
use crate::tensor::signature::{Out, element, read_array};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

impl Check<'_> {
    fn is_active(&self) -> impl Fn(&Ident) -> bool {
        |name| self.sig.active().any(|(_, p)| p.ident == *name)
    }

    /// Statements before a call, and its arguments.
    fn call(&self) -> (TokenStream, Vec<TokenStream>) {
        let args = local("args");
        let mut before = TokenStream::new();
        // What is changed in place is changed in a copy.
        if self.params.iter().any(|p| p.in_out) {
            before.extend(quote!(let mut #args = ::core::clone::Clone::clone(#args);));
        }
        let mut passed = Vec::new();
        for (k, p) in self.params.iter().enumerate() {
            let index = syn::Index::from(k);
            let place = quote!(#args.#index);
            let (mut ty, mut references) = (peel(p.ty), TokenStream::new());
            while let syn::Type::Reference(r) = ty {
                references.extend(match r.mutability {
                    Some(_) => quote!(&mut),
                    None => quote!(&),
                });
                ty = peel(&r.elem);
            }
            let prefix = |ty| read_array(ty, self.sig.generics_floats()).map(|t| t.2);
            let mut bound = |value: TokenStream| {
                let own = format_ident!("__view{}", k, span = args.span());
                before.extend(quote!(let #own = #value;));
                quote!(#own)
            };
            let views = matches!(p.made, Made::List(_))
                && element(ty).is_some_and(|t| prefix(peel(t)) == Some("ArrayView"));
            passed.push(match prefix(ty) {
                Some("ArrayView") => {
                    let view = bound(quote!(#place.view()));
                    quote!(#references #view)
                }
                Some("ArrayViewMut") => quote!(#references #place.view_mut()),
                _ if views => {
                    let all = quote!(::core::iter::Iterator::collect::<std::vec::Vec<_>>(::core::iter::Iterator::map(#place.iter(), |each| each.view())));
                    let all = bound(all);
                    match references.is_empty() {
                        true => all,
                        false => quote!(#references #all[..]),
                    }
                }
                _ if references.is_empty() => quote!(::core::clone::Clone::clone(&#place)),
                _ if matches!(ty, syn::Type::Slice(_)) => quote!(#references #place[..]),
                _ => quote!(#references #place),
            });
        }
        (before, passed)
    }

    /// Where nothing is returned, what is changed in place is the result.
    fn results(&self) -> TokenStream {
        let (args, y) = (local("args"), local("y"));
        if !matches!(self.sig.output, Out::Nothing) {
            return TokenStream::new();
        }
        let changed = self.params.iter().enumerate().filter(|(_, p)| p.in_out);
        let held: Vec<TokenStream> = changed
            .map(|(k, _)| {
                let k = syn::Index::from(k);
                quote!(::core::clone::Clone::clone(&#args.#k))
            })
            .collect();
        match held.as_slice() {
            [one] => quote!(let mut #y = #one;),
            all => quote!(let mut #y = (#(#all),*);),
        }
    }

    /// The floats of the function's value.
    pub(super) fn plain(&self, function: &Ident) -> TokenStream {
        let ((before, passed), results) = (self.call(), self.results());
        let (y, all) = (local("y"), local("all"));
        let visit = each_float(&quote!(#y), |v| quote!(#all.push(*#v)));
        quote! {
            #before
            let mut #y = #function(#(#passed),*);
            #results
            let mut #all = std::vec::Vec::new();
            #visit
            #all
        }
    }

    /// The same to a visitor; where it panics, a number that is none.
    pub(super) fn value(&self) -> TokenStream {
        let (args, visit, plain) = (local("args"), local("visit"), local("plain"));
        quote! {
            match check::sizes::quietly(|| #plain(#args)) {
                ::core::result::Result::Ok(all) => for each in all { #visit(each) },
                ::core::result::Result::Err(_) => #visit(::core::primitive::f64::NAN),
            }
        }
    }

    /// Visits the floats of the differentiated arguments.
    pub(super) fn visits(&self) -> TokenStream {
        let (args, visit) = (local("args"), local("visit"));
        let at = |k: usize| {
            let k = syn::Index::from(k);
            quote!(#args.#k)
        };
        self.each_active(&|k, _| at(k), &|n, place| {
            each_float(&place, |v| quote!(#visit(#n, #v)))
        })
    }

    /// Statements for each part of the differentiated parameters, whose place depends on the parameter's position and name; they get the
    /// parameter's number among the differentiated ones.
    fn each_active(
        &self,
        place: &dyn Fn(usize, &Ident) -> TokenStream,
        visit: &dyn Fn(usize, TokenStream) -> TokenStream,
    ) -> TokenStream {
        let active = self.is_active();
        let params = self.params.iter().enumerate().filter(|(_, p)| p.active);
        let all = params.enumerate().map(|(n, (k, p))| {
            let place = place(k, p.ident);
            p.made
                .each(p.ident, place, &active, &|place| visit(n, place))
        });
        all.collect()
    }

    /// Visits the floats of the gradient.
    fn gradient(&self, scale: TokenStream) -> TokenStream {
        let (g, visit) = (local("g"), local("visit"));
        self.each_active(&|_, ident| quote!(#g.#ident), &|n, place| {
            each_float(&place, |v| quote!(#visit(#n, *#v * #scale)))
        })
    }

    /// Every function that gives a gradient, by its name.
    pub(super) fn passes(&self, known: &Known) -> Vec<(&'static str, TokenStream)> {
        let ((before, passed), results) = (self.call(), self.results());
        let (space, args) = (self.namespace, local("args"));
        let (y, g, saved, up) = (local("y"), local("g"), local("saved"), local("up"));
        let (upstream, next, seen) = (local("upstream"), local("next"), local("seen"));
        let see = each_float(&quote!(#y), |v| quote!(#seen(*#v)));
        let fill = each_float(
            &quote!(#y),
            |v| quote!({ *#v = #upstream[#next]; #next += 1; }),
        );
        let forward = quote! {
            #before
            let (mut #y, #saved) = #space::forward(#(#passed),*);
            #results
        };
        let filled = quote!(let mut #next = 0usize; #fill);
        let one = quote!(1.0);
        let visited = self.gradient(one.clone());
        let mut passes = vec![(
            "backward",
            quote! {
                #forward
                #see
                #filled
                let mut #g = #space::backward(&#saved, #y);
                #visited
            },
        )];
        // A gradient of the right shapes, whose numbers are replaced.
        let start = |number: TokenStream| {
            let all = self.each_active(&|_, ident| quote!(#g.#ident), &|_, place| {
                each_float(&place, |v| quote!(*#v = #number))
            });
            quote! {
                let (mut #g, #up) = {
                    #forward
                    #filled
                    let #up = ::core::clone::Clone::clone(&#y);
                    (#space::backward(&#saved, #y), #up)
                };
                #all
            }
        };
        let nan = quote!(::core::primitive::f64::NAN);
        let params = self.params.iter().filter(|p| p.active);
        let buffers: Vec<TokenStream> = params
            .map(|p| {
                let ident = p.ident;
                quote!(&mut #g.#ident)
            })
            .collect();
        let (empty, spoilt) = (start(quote!(0.0)), start(nan));
        let borrowed = borrowed(&self.sig.results, quote!(#y));
        passes.push((
            "backward_into",
            quote! {
                #spoilt
                #forward
                #see
                #filled
                #space::backward_into(&#saved, #borrowed, #(#buffers),*);
                #visited
            },
        ));
        let halved = self.gradient(quote!(0.5));
        let accumulate = quote!(
            #space::accumulate(#(#passed,)* ::core::clone::Clone::clone(&#up), #(#buffers),*)
        );
        passes.push((
            "accumulate",
            quote! {
                #empty
                {
                    #before
                    let mut #y = #accumulate;
                    #results
                    #see
                }
                { #before #accumulate; }
                #halved
            },
        ));
        if !matches!(self.sig.output, Out::Scalar) {
            return passes;
        }
        let scaled = self.gradient(quote!(#upstream[0]));
        passes.push((
            "value_and_gradient",
            quote! {
                #before
                let (mut #y, mut #g) = #space::value_and_gradient(#(#passed),*);
                #see
                #scaled
            },
        ));
        passes.push((
            "value_and_gradient_into",
            quote! {
                #spoilt
                #before
                let mut #y = #space::value_and_gradient_into(#(#passed,)* #(#buffers),*);
                #see
                #scaled
            },
        ));
        let workspace = local("workspace");
        let new = quote!(let mut #workspace = ::core::default::Default::default(););
        let with = quote!(#space::value_and_gradient_with(&mut #workspace, #(#passed),*));
        passes.push((
            "value_and_gradient_with",
            quote! {
                #new
                { #before #with; }
                #before
                let (mut #y, #g) = #with;
                let mut #g = ::core::clone::Clone::clone(#g);
                #see
                #scaled
            },
        ));
        // A struct need not be `Clone`.
        let structs = self
            .params
            .iter()
            .any(|p| matches!(p.made, Made::Struct { .. }));
        if known.descends && !structs {
            let (moved, old) = (local("moved"), local("old"));
            let passed = self
                .params
                .iter()
                .zip(&passed)
                .enumerate()
                .map(|(k, (p, as_is))| {
                    let k = syn::Index::from(k);
                    match p.active {
                        true => quote!(&mut #moved.#k),
                        false => as_is.clone(),
                    }
                });
            let visit = local("visit");
            let steps = self.each_active(
                &|k, _| {
                    let k = syn::Index::from(k);
                    quote!(#moved.#k)
                },
                &|n, place| each_float(&place, |v| quote!(#visit(#n, (::core::iter::Iterator::next(&mut #old).unwrap() - *#v) * #upstream[0]))),
            );
            let before_it = self.each_active(
                &|k, _| {
                    let k = syn::Index::from(k);
                    quote!(#moved.#k)
                },
                &|_, place| each_float(&place, |v| quote!(#old.push(*#v))),
            );
            passes.push((
                "descend_with",
                quote! {
                    let mut #moved = ::core::clone::Clone::clone(#args);
                    let mut #old = std::vec::Vec::new();
                    #before_it
                    #new
                    #before
                    let mut #y = #space::descend_with(&mut #workspace, 1.0, #(#passed),*);
                    #see
                    let mut #old = ::core::iter::IntoIterator::into_iter(#old);
                    #steps
                },
            ));
        }
        passes
    }
}

/// A statement for each float of a place.
fn each_float(place: &TokenStream, visit: impl FnOnce(Ident) -> TokenStream) -> TokenStream {
    let v = local("v");
    let visit = visit(v.clone());
    quote!(::backprop::check::Floats::visit(&mut #place, &mut |#v: &mut ::core::primitive::f64| #visit);)
}

/// How `backward_into` takes an upstream gradient.
fn borrowed(out: &Out, at: TokenStream) -> TokenStream {
    match out {
        Out::Nothing | Out::Scalar => at,
        Out::Tensor(_) => quote!(&#at),
        Out::Tuple(all) => {
            let all = all.iter().enumerate().map(|(k, out)| {
                let k = syn::Index::from(k);
                borrowed(out, quote!(#at.#k))
            });
            quote!((#(#all,)*))
        }
    }
}
