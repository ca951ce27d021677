//! The test that checks at run time what cannot be evaluated while compiling.
//!
//! In: the options and the signature. Out: one `#[test]` beside the function, with closures that build arguments and walk over their
//! floats.

use super::frame::{Test, expectation, label, named};
use super::syntax::Domain;
use super::{Check, points};
use crate::errors;
use crate::evaluate::{Scalar, Value};
use crate::shape::{Shape, peel};
use crate::signature::{Param, Signature, local};
use crate::types::FloatTy;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

/// The name of a function's test.
pub fn name(sig: &Signature) -> Ident {
    named(&sig.namespace)
}

/// What a test could not make.
pub fn missing(sig: &Signature) -> Option<String> {
    if sig.associated {
        return Some("a `self`".into());
    }
    let mut changed = sig.params.iter().filter(|p| p.in_out);
    if let Some(p) = changed.find(|_| sig.params.iter().any(|p| p.shape.has_structs())) {
        return Some(format!("what `{}` holds before and after", p.ident.unraw()));
    }
    if sig.output.has_structs() {
        return Some("an upstream gradient".into());
    }
    let missing = sig
        .params
        .iter()
        .find(|p| !buildable(&p.shape) || nested_reference(&p.ty))?;
    Some(format!("a value for `{}`", missing.ident.unraw()))
}

/// The test; `None` where no arguments can be made, after an error.
pub(super) fn test(check: &Check, what: &str) -> Option<TokenStream> {
    let sig = check.sig;
    if let Some(what) = missing(sig) {
        check
            .errors
            .reject_named(&check.options.key, &errors::CHECK_METHOD, &what);
        return None;
    }
    let (args, random, point) = (local("args"), local("random"), local("point"));
    let types: Vec<TokenStream> = sig.params.iter().map(|p| owned_type(&p.shape)).collect();
    let constants = sig.generics.const_params().map(|c| {
        let (name, ty) = (&c.ident, &c.ty);
        let n = check
            .constants
            .chosen
            .get(&c.ident.to_string())
            .copied()
            .unwrap_or(0);
        let n = Literal::i128_unsuffixed(n);
        quote!(#[allow(non_upper_case_globals)] const #name: #ty = #n;)
    });
    let items = &check.programs.primal.items;
    let turbofish = turbofish(sig);
    // Arguments: the points that the user gives first, samples then.
    let mut given = Vec::new();
    let mut expected = Vec::new();
    let active: Vec<&Ident> = sig.active().map(|(_, p)| &p.ident).collect();
    for (k, p) in check.options.at.iter().enumerate() {
        let values = check.given(p).ok()?;
        let values: Vec<TokenStream> = values
            .iter()
            .zip(&sig.params)
            .map(|(v, p)| literal(v, &p.shape))
            .collect();
        given.push(quote!(#k => (#(#values,)*),));
        expected.push(expectation(p, &active, check.errors)?);
    }
    let samples = sig.params.iter().map(|p| sampled(check, p, &random));
    let labels = sig
        .active()
        .map(|(_, p)| label(&p.ident, check.options.domain(&p.ident)));
    let passed: Vec<TokenStream> = sig
        .params
        .iter()
        .enumerate()
        .map(|(k, p)| argument(p, k, &args))
        .collect();
    let visit = local("visit");
    let visits = sig.active().enumerate().map(|(n, (k, p))| {
        let k = syn::Index::from(k);
        each(
            &p.shape,
            quote!(#args.#k),
            &|x, f| match f {
                FloatTy::F32 => quote!({
                    let mut __v = ((#x) as ::core::primitive::f64);
                    #visit(#n, &mut __v);
                    #x = __v as ::core::primitive::f32;
                }),
                _ => quote!(#visit(#n, &mut #x);),
            },
            true,
        )
    });
    let wide = |x: TokenStream| quote!(((#x) as ::core::primitive::f64));
    let y = local("y");
    // What `&mut` parameters hold in the end is changed in a copy; where nothing is returned, it is the result.
    let changes = sig.params.iter().any(|p| p.in_out);
    let copied = changes.then(|| quote!(let mut #args = ::core::clone::Clone::clone(#args);));
    let held: Vec<TokenStream> = (sig.params.iter().enumerate())
        .filter(|(_, p)| sig.returns_nothing && p.in_out && p.shape.has_floats())
        .map(|(k, _)| {
            let k = syn::Index::from(k);
            quote!(::core::clone::Clone::clone(&#args.#k))
        })
        .collect();
    let after = match held.as_slice() {
        [] => None,
        [one] => Some(quote!(let mut #y = #one;)),
        all => Some(quote!(let mut #y = (#(#all),*);)),
    };
    let results = each(
        &sig.output,
        quote!(#y),
        &|x, _| {
            let x = wide(x);
            quote!(#visit(#x);)
        },
        false,
    );
    let (up, next, saved, g) = (local("upstream"), local("next"), local("saved"), local("g"));
    let fill = each(
        &sig.output,
        quote!(#y),
        &|x, f| {
            let cast = match f {
                FloatTy::F32 => quote!(as ::core::primitive::f32),
                _ => TokenStream::new(),
            };
            quote!({ #x = #up[#next] #cast; #next += 1; })
        },
        true,
    );
    let gradients = sig.active().enumerate().map(|(n, (_, p))| {
        let ident = &p.ident;
        each(
            &p.shape,
            quote!(#g.#ident),
            &|x, _| {
                let x = wide(x);
                quote!(#visit(#n, #x);)
            },
            false,
        )
    });
    let (function, space) = (&sig.ident, &sig.namespace);
    let text = sig.ident.unraw().to_string();
    let parts = sig.params.iter().enumerate().map(|(k, p)| {
        let (name, k) = (p.ident.unraw().to_string(), syn::Index::from(k));
        // A struct need not be `Debug`.
        if p.shape.has_structs() {
            return TokenStream::new();
        }
        quote!(text.push(std::format!("{} = {:?}", #name, #args.#k));)
    });
    let single = sig
        .params
        .iter()
        .map(|p| &p.shape)
        .chain([&sig.output])
        .any(has_f32);
    let seen = local("seen");
    let values = each(
        &sig.output,
        quote!(#y),
        &|x, _| {
            let x = wide(x);
            quote!(#seen(#x);)
        },
        false,
    );
    let test = Test {
        name: name(sig),
        doc: format!(
            "Compares the gradient of [`fn@{text}`] with differences; it is no check while compiling, which would need {what}."
        ),
        function: text,
        single,
        types,
        before: quote!(#(#constants)* #(#items)*),
        labels: labels.collect(),
        expected,
        build: quote!(match #point { #(#given)* _ => (#(#samples,)*), }),
        describe: parts.collect(),
        visit: visits.collect(),
        value: quote! {
            #copied
            let #y = #function #turbofish (#(#passed),*);
            #after
            #results
        },
        passes: vec![(
            "backward",
            quote! {
                #copied
                let (mut #y, #saved) = #space::forward #turbofish (#(#passed),*);
                #after
                #values
                let mut #next = 0usize;
                #fill
                let #g = #space::backward(&#saved, #y);
                #(#gradients)*
            },
        )],
        modules: TokenStream::new(),
        elements: 64,
    };
    Some(test.item(check.options))
}

fn turbofish(sig: &Signature) -> TokenStream {
    let args: Vec<TokenStream> = sig
        .generics
        .params
        .iter()
        .filter_map(|p| match p {
            syn::GenericParam::Lifetime(_) => None,
            syn::GenericParam::Type(t) if sig.names.floats.contains(&t.ident) => {
                Some(quote!(::core::primitive::f64))
            }
            syn::GenericParam::Type(_) => Some(quote!(_)),
            syn::GenericParam::Const(c) => {
                let name = &c.ident;
                Some(quote!({ #name }))
            }
        })
        .collect();
    if args.is_empty() {
        TokenStream::new()
    } else {
        quote!(::<#(#args),*>)
    }
}

pub fn buildable(shape: &Shape) -> bool {
    match shape {
        Shape::Float(_) | Shape::Scalar(_) => true,
        Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => buildable(s),
        Shape::Tuple(_) | Shape::Struct(_) => shape
            .parts()
            .unwrap_or_default()
            .iter()
            .all(|(_, s)| buildable(s)),
        Shape::Constant(ty) => constant_name(ty)
            .is_some_and(|n| n == "bool" || crate::types::INTEGERS.contains(&n.as_str())),
        Shape::Unknown => false,
    }
}

fn constant_name(ty: &syn::Type) -> Option<String> {
    match peel(ty) {
        syn::Type::Reference(r) => constant_name(&r.elem),
        ty => crate::shape::primitive(ty),
    }
}

/// `&[&[f64]]`: what is made here owns its parts.
fn nested_reference(ty: &syn::Type) -> bool {
    let inner = match peel(ty) {
        syn::Type::Reference(r) => &r.elem,
        ty => ty,
    };
    let text = inner.to_token_stream().to_string();
    text.contains('&') && !matches!(peel(inner), syn::Type::Reference(_))
}

pub fn has_f32(shape: &Shape) -> bool {
    match shape {
        Shape::Float(FloatTy::F32) => true,
        Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => has_f32(s),
        Shape::Tuple(_) | Shape::Struct(_) => shape
            .parts()
            .unwrap_or_default()
            .iter()
            .any(|(_, s)| has_f32(s)),
        _ => false,
    }
}

pub fn owned_type(shape: &Shape) -> TokenStream {
    match shape {
        Shape::Float(FloatTy::F32) => quote!(::core::primitive::f32),
        Shape::Float(_) | Shape::Scalar(_) => quote!(::core::primitive::f64),
        Shape::Array(s, n) => {
            let s = owned_type(s);
            quote!([#s; #n])
        }
        Shape::Slice(s) | Shape::Vec(s) => {
            let s = owned_type(s);
            quote!(std::vec::Vec<#s>)
        }
        Shape::Tuple(all) => {
            let all = all.iter().map(owned_type);
            quote!((#(#all,)*))
        }
        Shape::Struct(s) => s.path.to_token_stream(),
        Shape::Constant(ty) => match constant_name(ty) {
            Some(name) => {
                let name = format_ident!("{}", name);
                quote!(::core::primitive::#name)
            }
            None => quote!(()),
        },
        Shape::Unknown => quote!(()),
    }
}

/// A parameter's argument, from the tuple that owns it.
fn argument(p: &Param, k: usize, args: &Ident) -> TokenStream {
    let k = syn::Index::from(k);
    let mut depth = 0;
    let mut ty = peel(&p.ty);
    while let syn::Type::Reference(r) = ty {
        depth += 1;
        ty = peel(&r.elem);
    }
    if depth == 0 {
        return quote!(::core::clone::Clone::clone(&#args.#k));
    }
    let references = (0..depth).map(|_| match p.in_out {
        true => quote!(&mut),
        false => quote!(&),
    });
    if let syn::Type::Slice(_) = ty {
        quote!(#(#references)* #args.#k[..])
    } else {
        quote!(#(#references)* #args.#k)
    }
}

fn sampled(check: &Check, p: &Param, random: &Ident) -> TokenStream {
    let domain = check.options.domain(&p.ident);
    let lengths = check.options.lengths(&p.ident);
    sampled_shape(&p.shape, domain, lengths, random)
}

pub fn sampled_shape(
    shape: &Shape,
    domain: Option<Domain>,
    lengths: &[usize],
    random: &Ident,
) -> TokenStream {
    match shape {
        Shape::Float(f) => {
            let (low, high) = points::interval(domain);
            let cast = match f {
                FloatTy::F32 => quote!(as ::core::primitive::f32),
                _ => TokenStream::new(),
            };
            quote!((#random.between(#low, #high) #cast))
        }
        Shape::Scalar(_) => quote!(0.0),
        Shape::Array(s, n) => {
            let s = sampled_shape(s, domain, lengths, random);
            quote!(::core::array::from_fn::<_, { #n }, _>(|_| #s))
        }
        Shape::Slice(s) | Shape::Vec(s) => {
            let nested = matches!(**s, Shape::Slice(_) | Shape::Vec(_));
            let n = lengths
                .first()
                .copied()
                .unwrap_or(if nested { 3 } else { 4 });
            let s = sampled_shape(s, domain, lengths.get(1..).unwrap_or(&[]), random);
            quote!(::core::iter::Iterator::collect::<std::vec::Vec<_>>(::core::iter::Iterator::map(0..#n, |_| #s)))
        }
        Shape::Tuple(all) => {
            let all = all
                .iter()
                .map(|s| sampled_shape(s, domain, lengths, random));
            quote!((#(#all,)*))
        }
        Shape::Struct(of) => {
            let path = of.constructor();
            let parts = of.fields.iter().map(|f| {
                let (m, s) = (&f.member, sampled_shape(&f.shape, domain, lengths, random));
                quote!(#m: #s)
            });
            quote!(#path { #(#parts),* })
        }
        Shape::Constant(ty) => match constant_name(ty).as_deref() {
            Some("bool") => quote!((#random.between(0.0, 1.0) < 0.5)),
            Some(name) => {
                let (low, high) = points::integers(domain);
                let (low, high) = (low as f64, high as f64);
                let name = format_ident!("{}", name);
                quote!((#random.integer(#low, #high) as ::core::primitive::#name))
            }
            None => quote!(()),
        },
        Shape::Unknown => quote!(()),
    }
}

/// A value as an expression of the owned type.
pub fn literal(value: &Value, shape: &Shape) -> TokenStream {
    match (value, shape) {
        (Value::Scalar(Scalar::Float(x)), Shape::Float(FloatTy::F32)) => {
            quote!((#x as ::core::primitive::f32))
        }
        (Value::Scalar(Scalar::Float(x)), _) => quote!(#x),
        (Value::Scalar(Scalar::Int(n)), _) => {
            let size = Literal::i128_unsuffixed(n.abs());
            if *n < 0 {
                quote!((-#size))
            } else {
                quote!(#size)
            }
        }
        (Value::Scalar(Scalar::Bool(b)), _) => quote!(#b),
        (Value::List(all), Shape::Array(s, _)) => {
            let all = all.iter().map(|v| literal(v, s));
            quote!([#(#all),*])
        }
        (Value::List(all), Shape::Slice(s) | Shape::Vec(s)) => {
            let all = all.iter().map(|v| literal(v, s));
            quote!(std::vec![#(#all),*])
        }
        (Value::Tuple(all), Shape::Tuple(shapes)) => {
            let all = all.iter().zip(shapes).map(|(v, s)| literal(v, s));
            quote!((#(#all,)*))
        }
        (Value::Tuple(all), Shape::Struct(of)) => {
            let path = of.constructor();
            let parts = all.iter().zip(&of.fields).map(|(v, f)| {
                let (m, v) = (&f.member, literal(v, &f.shape));
                quote!(#m: #v)
            });
            quote!(#path { #(#parts),* })
        }
        _ => quote!(()),
    }
}

/// Statements that walk over the floats of a place; by mutable reference where they are to be changed.
pub fn each(
    shape: &Shape,
    place: TokenStream,
    visit: &dyn Fn(TokenStream, &FloatTy) -> TokenStream,
    mutable: bool,
) -> TokenStream {
    match shape {
        Shape::Float(f) => visit(place, f),
        Shape::Scalar(_) => visit(place, &FloatTy::F64),
        Shape::Array(s, _) | Shape::Slice(s) | Shape::Vec(s) => {
            if !s.has_floats() {
                return TokenStream::new();
            }
            let item = local("item");
            let item_place = match **s {
                Shape::Float(_) | Shape::Scalar(_) => quote!(*#item),
                _ => quote!(#item),
            };
            let inner = each(s, item_place, visit, mutable);
            if mutable {
                quote!(for #item in #place.iter_mut() { #inner })
            } else {
                quote!(for #item in #place.iter() { #inner })
            }
        }
        Shape::Tuple(_) | Shape::Struct(_) => shape
            .parts()
            .into_iter()
            .flatten()
            .filter(|(_, s)| s.has_floats())
            .map(|(m, s)| each(&s, quote!(#place.#m), visit, mutable))
            .collect(),
        Shape::Constant(_) | Shape::Unknown => TokenStream::new(),
    }
}
