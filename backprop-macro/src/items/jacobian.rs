//! `jacobian`: the value, and the derivative of every float of the result with respect to every parameter.
//!
//! In: the signature; the passes themselves are the generated `forward` and `backward`. Out: the struct with one field for
//! each differentiated parameter, and the function that fills it: one forward pass, then one backward pass for each float of
//! the result, whose upstream gradient is 1 there and 0 elsewhere. A field is shaped like the result, with the gradient of
//! its parameter in the place of each float: `j.x[i][k]` is `∂y[i]/∂x[k]`.

use super::Items;
use crate::emit::Emit;
use crate::errors::{self, Errors};
use crate::graph::Step;
use crate::shape::Shape;
use crate::signature::{Signature, camel_case, local};
use crate::types::FloatTy;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

/// Whether a Jacobian has a type: the fields of a struct are floats, and cannot hold gradients.
pub fn possible(sig: &Signature, at: &Ident, errors: &Errors) -> bool {
    if sig.output.has_structs() {
        errors.reject_named(at, &errors::NO_JACOBIAN, "the result holds a struct");
    }
    !sig.output.has_structs()
}

/// A walk over the floats of a shape that builds something of the same shape.
pub(super) struct Walk<'a> {
    /// What stands for a float, given the place of it.
    pub leaf: &'a dyn Fn(TokenStream, &FloatTy) -> TokenStream,
}

impl Walk<'_> {
    /// The expression; `at` is a place of this shape, in which slices may be `Vec`s.
    pub fn over(&self, shape: &Shape, at: TokenStream, depth: usize) -> TokenStream {
        let k = local(&format!("k{depth}"));
        match shape {
            Shape::Float(f) => (self.leaf)(at, f),
            Shape::Array(s, n) => {
                let inner = self.over(s, quote!(#at[#k]), depth + 1);
                quote!(::core::array::from_fn::<_, {#n}, _>(|#k| #inner))
            }
            Shape::Slice(s) | Shape::Vec(s) => {
                let inner = self.over(s, quote!(#at[#k]), depth + 1);
                let all = local(&format!("all{depth}"));
                quote!({
                    let mut #all = ::std::vec::Vec::with_capacity(#at.len());
                    for #k in 0..#at.len() {
                        #all.push(#inner);
                    }
                    #all
                })
            }
            Shape::Tuple(_) => {
                let parts = shape.parts().into_iter().flatten();
                let parts = parts.map(|(m, s)| self.over(&s, quote!(#at.#m), depth));
                quote!((#(#parts,)*))
            }
            Shape::Struct(_) | Shape::Scalar(_) | Shape::Constant(_) | Shape::Unknown => quote!(()),
        }
    }
}

/// The type of a shape with something else in the place of each float.
pub(super) fn within(shape: &Shape, leaf: &TokenStream) -> TokenStream {
    match shape {
        Shape::Float(_) => leaf.clone(),
        Shape::Array(s, n) => {
            let s = within(s, leaf);
            quote!([#s; #n])
        }
        Shape::Slice(s) | Shape::Vec(s) => {
            let s = within(s, leaf);
            quote!(::std::vec::Vec<#s>)
        }
        Shape::Tuple(all) => {
            let all = all.iter().map(|s| within(s, leaf));
            quote!((#(#all,)*))
        }
        Shape::Struct(_) | Shape::Scalar(_) | Shape::Constant(_) | Shape::Unknown => quote!(()),
    }
}

/// 1 or 0, of a type.
pub(super) fn number(one: bool, f: &FloatTy) -> TokenStream {
    match (f, one) {
        (FloatTy::Generic(t), true) => quote!(#t::one()),
        (FloatTy::Generic(t), false) => quote!(#t::zero()),
        (_, true) => quote!(1.0),
        (_, false) => quote!(0.0),
    }
}

/// Of rows, each a gradient, what belongs to one parameter: a `Vec` is moved out, what is of fixed length copied.
pub(super) fn column(
    rows_like: &Shape,
    rows: &Ident,
    field: &TokenStream,
    param: &Shape,
) -> TokenStream {
    let leaf = |at: TokenStream, _: &FloatTy| match param {
        Shape::Slice(_) | Shape::Vec(_) => quote!(::core::mem::take(&mut #at.#field)),
        _ => quote!(::core::clone::Clone::clone(&#at.#field)),
    };
    Walk { leaf: &leaf }.over(rows_like, quote!(#rows), 0)
}

impl Items<'_> {
    /// `FJacobian`, `FHessian` and their kin.
    pub(super) fn named(&self, what: &str) -> Ident {
        let name = camel_case(&self.sig.namespace.unraw().to_string());
        Ident::new(&format!("{name}{what}"), self.sig.namespace.span())
    }

    /// How a parameter's part of a gradient is named: by its name, or by its position beside methods.
    pub(super) fn gradient_member(&self, n: usize) -> TokenStream {
        if self.sig.associated {
            let n = syn::Index::from(n);
            return quote!(#n);
        }
        let ident = self.sig.active().nth(n).map(|(_, p)| &p.ident);
        quote!(#ident)
    }

    /// A public struct with a field for each differentiated parameter; beside methods a tuple stands for it.
    pub(super) fn by_parameter(
        &self,
        name: &Ident,
        types: &[TokenStream],
        doc: &str,
        about: &str,
    ) -> TokenStream {
        let vis = &self.item.vis;
        let (generics, clause) = self.declared(self.mentioned(&quote!(#(#types)*)));
        let generics = if generics.is_empty() {
            generics
        } else {
            quote!(<#generics>)
        };
        let fields = self.sig.active().zip(types).map(|((_, p), ty)| {
            let ident = &p.ident;
            let doc = about.replace("{}", &ident.unraw().to_string());
            quote!(#[doc = #doc] #vis #ident: #ty)
        });
        quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(non_snake_case, non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis struct #name #generics #clause { #(#fields),* }
        }
    }

    /// The type that [`Items::by_parameter`] declares, as a function names it.
    pub(super) fn by_parameter_type(&self, name: &Ident, types: &[TokenStream]) -> TokenStream {
        if self.sig.associated {
            return quote!((#(#types,)*));
        }
        let args = Self::arguments(&self.mentioned(&quote!(#(#types)*)), false);
        if args.is_empty() {
            quote!(#name)
        } else {
            quote!(#name<#(#args),*>)
        }
    }

    pub(super) fn by_parameter_value(&self, name: &Ident, values: &[TokenStream]) -> TokenStream {
        if self.sig.associated {
            return quote!((#(#values,)*));
        }
        let fields = self.sig.active().map(|(_, p)| &p.ident);
        quote!(#name { #(#fields: #values),* })
    }

    fn jacobian_types(&self) -> Vec<TokenStream> {
        let all = self.sig.active();
        all.map(|(_, p)| within(&self.sig.output, &p.shape.gradient_type()))
            .collect()
    }

    /// The struct of the Jacobian; none beside a method, where no item can stand.
    pub(super) fn jacobian_struct(&self) -> TokenStream {
        let doc = format!(
            "The Jacobian of [`fn@{}`]: for each differentiated parameter something shaped like the result, with a gradient of that parameter in the place of each float.",
            self.sig.ident
        );
        self.by_parameter(
            &self.named("Jacobian"),
            &self.jacobian_types(),
            &doc,
            "The derivative of the result with respect to `{}`: the result's indices come first.",
        )
    }

    /// The function `jacobian`.
    pub(super) fn jacobian(&self, e: &Emit, allow: &TokenStream) -> TokenStream {
        let sig = self.sig;
        let (y, saved, upstream, rows) =
            (local("y"), local("saved"), local("upstream"), local("rows"));
        let (forward, backward, function) = (
            self.function("forward"),
            self.function("backward"),
            self.function("jacobian"),
        );
        let (vis, generics, output) = (&self.item.vis, &sig.generics, &self.output);
        let (clause, turbofish, mention) =
            (&generics.where_clause, self.turbofish(), self.mention());
        let receiver = sig.receiver.as_ref().map(|r| quote!(#r,));
        let pass_self = sig.receiver.as_ref().map(|_| quote!(self,));
        let written = sig.params.iter().filter(|p| !p.is_self());
        let params = written.clone().map(|p| {
            let (ident, ty) = (&p.ident, &p.ty);
            quote!(#ident: #ty)
        });
        // What is in place of the result where there is none: the parameters that the function changes.
        let changed: Vec<_> = (sig.params.iter())
            .filter(|p| sig.returns_nothing && p.in_out && p.shape.has_floats())
            .map(|p| (&p.shape, &p.ident))
            .collect();
        let zeros = match changed.as_slice() {
            [] => e.zeros_like(&sig.output, &quote!(#y)),
            [(shape, ident)] => e.zeros_like(shape, &quote!(#ident)),
            all => {
                let all = all.iter().map(|(s, i)| e.zeros_like(s, &quote!(#i)));
                quote!((#(#all,)*))
            }
        };
        let names = written.map(|p| {
            let ident = &p.ident;
            match p.in_out {
                // Lent, for its length is asked afterwards.
                true => quote!(&mut *#ident),
                false => quote!(#ident),
            }
        });
        let leaf = |at: TokenStream, f: &FloatTy| {
            let (one, zero) = (number(true, f), number(false, f));
            let row = local("row");
            quote!({
                #at = #one;
                let #row = Self::#backward(#pass_self &#saved, ::core::clone::Clone::clone(&#upstream));
                #at = #zero;
                #row
            })
        };
        let all = Walk { leaf: &leaf }.over(&sig.output, quote!(#upstream), 0);
        let incoming = sig.output.gradient_type();
        let types = self.jacobian_types();
        let rows_type = within(&sig.output, &self.gradient_type(false));
        let columns: Vec<TokenStream> = (sig.active().enumerate())
            .map(|(n, (_, p))| column(&sig.output, &rows, &self.gradient_member(n), &p.shape))
            .collect();
        let name = self.named("Jacobian");
        let (ty, value) = (
            self.by_parameter_type(&name, &types),
            self.by_parameter_value(&name, &columns),
        );
        let index = match &sig.output {
            Shape::Float(_) => "",
            s if s.step(&Step::Field(0)).is_some() => ".0",
            _ => "[i]",
        };
        let first = self.gradient_member(0).to_string();
        let doc = format!(
            "The value, and the Jacobian: `j.{first}{index}` is the derivative of `y{index}` with respect to `{}`. It takes one forward pass, and one backward pass for each float of the result.\n\n```text\nlet (y, j) = {};\n```",
            self.first_parameter(),
            self.example("jacobian"),
        );
        quote! {
            #[doc = #doc]
            #allow
            #vis fn #function #generics (#receiver #(#params),*) -> (#output, #ty) #clause {
                #mention
                let (#y, #saved) = Self::#forward #turbofish (#pass_self #(#names),*);
                let mut #upstream: #incoming = #zeros;
                let mut #rows: #rows_type = #all;
                (#y, #value)
            }
        }
    }
}

impl Items<'_> {
    /// The first parameter that has a gradient.
    pub(super) fn first_parameter(&self) -> String {
        let first = self.sig.active().next();
        first.map_or_else(String::new, |(_, p)| p.ident.unraw().to_string())
    }

    /// A call of one of the function's derivatives, as its documentation shows it.
    pub(super) fn example(&self, what: &str) -> String {
        let sig = self.sig;
        let params = sig.params.iter().map(|p| p.ident.unraw().to_string());
        let params = params.collect::<Vec<_>>().join(", ");
        match sig.associated {
            true => format!("value.{}_{what}({params})", sig.namespace),
            false => format!("{}::{what}({params})", sig.namespace),
        }
    }
}

/// `P0`, `P1`, …: the type parameters of a row of the Hessian.
pub(super) fn row_parameter(n: usize) -> Ident {
    format_ident!("P{}", n)
}
