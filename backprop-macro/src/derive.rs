//! `#[derive(Differentiable)]`: the gradient of a struct.
//!
//! In: a struct. Out: a struct `NameGradient` with a field for each field that can hold floats, and the implementation of
//! `backprop::Differentiable` that makes it known under the struct's own name. What must hold: every field is a float, an array,
//! slice, `Vec` or tuple of them, known to be constant, or of a type that is `Differentiable` itself; rustc checks the last.

use crate::definitions::{Definitions, constant_field};
use crate::errors::{self, Errors};
use crate::shape::Shape;
use crate::signature::{float_generics, local};
use crate::source::Source;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// The gradient of a struct, or what is wrong with it.
pub fn derive(item: TokenStream, source: &Source) -> TokenStream {
    let errors = Errors::default();
    let out = match syn::parse2::<syn::DeriveInput>(item) {
        Ok(input) => expand(&input, source, &errors),
        Err(e) => e.to_compile_error(),
    };
    let errors = errors.into_tokens();
    quote!(#out #errors)
}

fn expand(input: &syn::DeriveInput, source: &Source, errors: &Errors) -> TokenStream {
    let syn::Data::Struct(data) = &input.data else {
        errors.reject(&input.ident, &errors::DERIVE_STRUCT);
        return TokenStream::new();
    };
    let names = Definitions::of_generics(float_generics(&input.generics));
    let mut fields = Vec::new();
    for (k, f) in data.fields.iter().enumerate() {
        if constant_field(f) {
            continue;
        }
        let member = match &f.ident {
            Some(ident) => syn::Member::Named(ident.clone()),
            None => syn::Member::from(k),
        };
        if let Some(any) = unbound(&f.ty, &input.generics, &names) {
            errors.reject_named(&f.ty, &errors::DERIVE_GENERIC, &any);
        } else if is_foreign(&f.ty, &names, source) {
            errors.reject(&f.ty, &errors::DERIVE_FIELD);
        } else if let Some(part) = gradient(&f.ty, &names) {
            fields.push((member, &f.vis, part));
        }
    }
    if !errors.is_empty() {
        return TokenStream::new();
    }
    if fields.is_empty() {
        errors.reject(&input.ident, &errors::DERIVE_EMPTY);
        return TokenStream::new();
    }
    let (name, vis) = (&input.ident, &input.vis);
    let gradient = format_ident!("{}Gradient", name, span = name.span());
    let (impl_generics, ty_generics, clause) = input.generics.split_for_impl();
    let types: TokenStream = fields.iter().map(|f| f.2.ty.clone()).collect();
    let used = mentioned(&input.generics, &types);
    let (_, gradient_args, _) = used.split_for_impl();
    let mut bounded = used.clone();
    bounded.where_clause = None;
    let value = local("value");
    // A tuple struct's gradient keeps the positions of its fields.
    let tuple = matches!(data.fields, syn::Fields::Unnamed(_));
    let (declared, zeros): (Vec<TokenStream>, Vec<TokenStream>) = data
        .fields
        .iter()
        .enumerate()
        .filter_map(|(k, f)| {
            let member = match &f.ident {
                Some(ident) => syn::Member::Named(ident.clone()),
                None => syn::Member::from(k),
            };
            let part = fields.iter().find(|p| p.0 == member);
            let Some((_, vis, part)) = part else {
                return tuple.then(|| (quote!(()), quote!(())));
            };
            let (ty, zero) = (&part.ty, (part.zero)(quote!(#value.#member)));
            Some(match &f.ident {
                Some(ident) => {
                    let doc = format!("The derivative with respect to `{ident}`.");
                    (
                        quote!(#[doc = #doc] #vis #ident: #ty),
                        quote!(#ident: #zero),
                    )
                }
                None => (quote!(#vis #ty), zero),
            })
        })
        .unzip();
    let (body, end, zeros) = if tuple {
        (quote!((#(#declared),*)), quote!(;), quote!((#(#zeros),*)))
    } else {
        (
            quote!({ #(#declared),* }),
            quote!(),
            quote!({ #(#zeros),* }),
        )
    };
    let doc = format!(
        "The gradient of a [`{name}`]: one field for each of its fields that holds floats."
    );
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        #[allow(non_snake_case, clippy::all, clippy::pedantic)]
        #vis struct #gradient #bounded #body #end

        #[allow(clippy::all, clippy::pedantic)]
        impl #impl_generics ::backprop::Differentiable for #name #ty_generics #clause {
            type Gradient = #gradient #gradient_args;

            fn zero_gradient(&self) -> Self::Gradient {
                let #value = self;
                #gradient #zeros
            }
        }
    }
}

/// Types of the standard library that hold others, and will never be `Differentiable`, where the file has none of that name.
fn is_foreign(ty: &syn::Type, names: &Definitions, source: &Source) -> bool {
    const FOREIGN: [&str; 13] = [
        "Option",
        "Box",
        "Rc",
        "Arc",
        "Cell",
        "RefCell",
        "HashMap",
        "BTreeMap",
        "HashSet",
        "BTreeSet",
        "VecDeque",
        "PhantomData",
        "Cow",
    ];
    match crate::shape::peel(ty) {
        syn::Type::Path(p) => {
            let segments = &p.path.segments;
            let alone = segments.len() == 1;
            // The user's own, here or in a module.
            let own = |name: &str| match alone {
                true => source.defines_type(name),
                false => !segments
                    .first()
                    .is_some_and(|s| ["std", "core", "alloc"].iter().any(|r| s.ident == r)),
            };
            matches!(Shape::parse(ty, names), Shape::Unknown)
                && (segments.last())
                    .is_some_and(|s| FOREIGN.iter().any(|f| s.ident == f && !own(f)))
        }
        syn::Type::Reference(r) => is_foreign(&r.elem, names, source),
        syn::Type::Array(_) | syn::Type::Slice(_) | syn::Type::Tuple(_) => false,
        _ => true,
    }
}

/// A generic parameter without bounds that a field is made of.
fn unbound(ty: &syn::Type, generics: &syn::Generics, names: &Definitions) -> Option<String> {
    match crate::shape::peel(ty) {
        syn::Type::Path(p) => {
            let name = p.path.get_ident()?;
            let is_bound = |t: &syn::TypeParam| {
                let clauses = generics.where_clause.iter().flat_map(|w| &w.predicates);
                !t.bounds.is_empty() || clauses.count() > 0
            };
            let found = generics.type_params().find(|t| t.ident == *name)?;
            let float = matches!(Shape::parse(ty, names), Shape::Float(_));
            (!float && !is_bound(found)).then(|| name.to_string())
        }
        syn::Type::Array(a) => unbound(&a.elem, generics, names),
        syn::Type::Slice(s) => unbound(&s.elem, generics, names),
        syn::Type::Reference(r) => unbound(&r.elem, generics, names),
        _ => None,
    }
}

/// The gradient of one field: its type, and zeros like a value.
struct Part {
    ty: TokenStream,
    zero: Box<dyn Fn(TokenStream) -> TokenStream>,
}

/// `None` for what is constant.
fn gradient(ty: &syn::Type, names: &Definitions) -> Option<Part> {
    let ty = crate::shape::peel(ty);
    match ty {
        syn::Type::Reference(r) => gradient(&r.elem, names),
        syn::Type::Array(a) => {
            let (inner, n) = (gradient(&a.elem, names)?, a.len.clone());
            let t = &inner.ty;
            Some(Part {
                ty: quote!([#t; #n]),
                zero: Box::new(move |v| {
                    let k = local("k");
                    let part = (inner.zero)(quote!(#v[#k]));
                    quote!(::core::array::from_fn::<_, {#n}, _>(|#k| #part))
                }),
            })
        }
        syn::Type::Slice(s) => rows(gradient(&s.elem, names)?),
        syn::Type::Tuple(t) => {
            let parts: Vec<Option<Part>> = t.elems.iter().map(|t| gradient(t, names)).collect();
            if parts.iter().all(Option::is_none) {
                return None;
            }
            let types: Vec<TokenStream> = parts
                .iter()
                .map(|p| p.as_ref().map_or(quote!(()), |p| p.ty.clone()))
                .collect();
            Some(Part {
                ty: quote!((#(#types,)*)),
                zero: Box::new(move |v| {
                    let parts = parts.iter().enumerate().map(|(k, p)| {
                        let k = syn::Index::from(k);
                        p.as_ref().map_or(quote!(()), |p| (p.zero)(quote!(#v.#k)))
                    });
                    quote!((#(#parts,)*))
                }),
            })
        }
        syn::Type::Path(p) => match Shape::parse(ty, names) {
            Shape::Float(f) => Some(Part {
                ty: f.tokens(),
                zero: Box::new(move |_| f.zero()),
            }),
            Shape::Vec(_) => {
                let syn::PathArguments::AngleBracketed(args) = &p.path.segments.last()?.arguments
                else {
                    return None;
                };
                let Some(syn::GenericArgument::Type(elem)) = args.args.first() else {
                    return None;
                };
                rows(gradient(elem, names)?)
            }
            Shape::Unknown => {
                let ty = ty.clone();
                Some(Part {
                    ty: quote!(<#ty as ::backprop::Differentiable>::Gradient),
                    zero: Box::new(
                        move |v| quote!(<#ty as ::backprop::Differentiable>::zero_gradient(&#v)),
                    ),
                })
            }
            _ => None,
        },
        _ => None,
    }
}

fn rows(inner: Part) -> Option<Part> {
    let t = &inner.ty;
    Some(Part {
        ty: quote!(::std::vec::Vec<#t>),
        zero: Box::new(move |v| {
            let row = local("row");
            let part = (inner.zero)(quote!(*#row));
            quote!(::core::iter::Iterator::collect::<::std::vec::Vec<_>>(::core::iter::Iterator::map(#v.iter(), |#row| #part)))
        }),
    })
}

/// The generic parameters that some types mention, with their bounds.
fn mentioned(generics: &syn::Generics, types: &TokenStream) -> syn::Generics {
    fn names(tokens: TokenStream, out: &mut Vec<String>) {
        for t in tokens {
            match t {
                proc_macro2::TokenTree::Ident(i) => out.push(i.to_string()),
                proc_macro2::TokenTree::Group(g) => names(g.stream(), out),
                _ => {}
            }
        }
    }
    let mut used = Vec::new();
    names(types.clone(), &mut used);
    let has = |i: &Ident| used.contains(&i.to_string());
    let mut out = generics.clone();
    out.params = generics
        .params
        .iter()
        .filter(|p| match p {
            syn::GenericParam::Lifetime(l) => has(&l.lifetime.ident),
            syn::GenericParam::Type(t) => has(&t.ident),
            syn::GenericParam::Const(c) => has(&c.ident),
        })
        .cloned()
        .collect();
    out
}
