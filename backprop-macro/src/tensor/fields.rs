//! Structs among the parameters of a tensor function: differentiated by their fields.
//!
//! In: a function with a parameter like `net: &Net`, whose definition `source` finds. Out: [`Flat`], the function with one
//! parameter for each field that takes part, which the rest of the tensor compiler differentiates as any other; and around
//! its functions those that the user calls, which take structs apart and put their gradients together. What must hold: every field is
//! a tensor, a float, a list of tensors, such a struct again, or constant; rustc checks that the definition is the one that was read.

use crate::definitions::Definitions;
use crate::errors::{self, Errors};
use crate::options::Options;
use crate::shape::{Shape, peel};
use crate::signature::{float_generics, local};
use crate::source::Source;
use crate::tensor::items::{Items, reference, with_workspace};
use crate::tensor::signature::{
    Kind, Out, TensorSig, element, mentions_tensor, read_tensor, with_lifetime,
};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

/// What a parameter or a field became.
#[derive(Clone)]
pub enum Part {
    /// A parameter of the flat function.
    Leaf {
        ident: Ident,
        /// How the flat function takes it.
        pass: Pass,
    },
    Struct {
        ty: Box<syn::Type>,
        fields: Vec<(syn::Member, Part)>,
    },
}

/// How the flat function takes a field.
#[derive(Clone, Copy, PartialEq)]
pub enum Pass {
    /// As the function does: it is no field.
    Whole,
    Reference,
    Value,
}

/// A parameter as the user wrote it.
pub struct Outer {
    pub ident: Ident,
    pub ty: syn::Type,
    pub part: Part,
}

/// The function by the fields of its structs.
pub struct Flat {
    pub function: syn::ItemFn,
    pub params: Vec<Outer>,
    /// Fields that are not differentiated though they could be.
    pub constant: Vec<Ident>,
    /// Statements that do not compile unless each struct is the one that was read.
    pub checks: TokenStream,
}

/// Whether a parameter is a struct that holds tensors.
pub fn holds_tensors(function: &syn::ItemFn, source: &Source) -> bool {
    let floats = float_generics(&function.sig.generics);
    let definitions = Definitions::new(floats.clone(), source, function);
    function.sig.inputs.iter().any(|p| match p {
        syn::FnArg::Typed(p) => within(&p.ty, &floats, &definitions),
        syn::FnArg::Receiver(_) => false,
    })
}

fn within(ty: &syn::Type, floats: &[Ident], definitions: &Definitions) -> bool {
    match peel(ty) {
        syn::Type::Reference(r) => within(&r.elem, floats, definitions),
        syn::Type::Path(p) => definitions.structure(&p.path).is_some_and(|s| {
            let mut fields = s.fields.iter();
            fields.any(|f| mentions_tensor(&f.ty, floats) || within(&f.ty, floats, definitions))
        }),
        _ => false,
    }
}

/// The flat function; `None` where no parameter is a struct, or one was rejected.
pub fn flatten(
    function: &syn::ItemFn,
    wrt: Option<&[Ident]>,
    errors: &Errors,
    definitions: &Definitions,
) -> Option<Flat> {
    let floats = float_generics(&function.sig.generics);
    let mut flat = Flatten {
        floats: &floats,
        definitions,
        errors,
        inputs: Vec::new(),
        constant: Vec::new(),
    };
    let mut params = Vec::new();
    let mut any = false;
    for input in &function.sig.inputs {
        let syn::FnArg::Typed(p) = input else {
            return None;
        };
        let syn::Pat::Ident(pat) = &*p.pat else {
            return None;
        };
        let named = wrt.map(|names| names.iter().any(|n| n.unraw() == pat.ident.unraw()));
        let part = match flat.structure(&p.ty) {
            Some(_) => {
                any = true;
                flat.parameter(p, &pat.ident, named != Some(false))?
            }
            None => {
                flat.inputs.push(input.clone());
                Part::Leaf {
                    ident: pat.ident.clone(),
                    pass: Pass::Whole,
                }
            }
        };
        params.push(Outer {
            ident: pat.ident.clone(),
            ty: (*p.ty).clone(),
            part,
        });
    }
    if !any {
        return None;
    }
    let (inputs, constant) = (flat.inputs, flat.constant);
    let mut function = function.clone();
    function.sig.inputs = inputs.into_iter().collect();
    Some(Flat {
        function,
        params,
        constant,
        checks: definitions.checks(),
    })
}

struct Flatten<'a> {
    floats: &'a [Ident],
    definitions: &'a Definitions,
    errors: &'a Errors,
    inputs: Vec<syn::FnArg>,
    constant: Vec<Ident>,
}

impl Flatten<'_> {
    /// The struct that a parameter is, or refers to.
    fn structure(&self, ty: &syn::Type) -> Option<std::rc::Rc<crate::definitions::Struct>> {
        match peel(ty) {
            syn::Type::Reference(r) if r.mutability.is_none() => self.structure(&r.elem),
            syn::Type::Path(p) if read_tensor(ty, self.floats).is_none() => {
                self.definitions.structure(&p.path)
            }
            _ => None,
        }
    }

    fn parameter(&mut self, p: &syn::PatType, ident: &Ident, active: bool) -> Option<Part> {
        let syn::Type::Reference(r) = peel(&p.ty) else {
            self.errors.reject(&p.ty, &errors::TENSOR_STRUCT_VALUE);
            return None;
        };
        self.fields(&p.ty, &r.elem, ident, active)
    }

    fn fields(
        &mut self,
        at: &syn::Type,
        ty: &syn::Type,
        prefix: &Ident,
        active: bool,
    ) -> Option<Part> {
        let found = self.structure(ty)?;
        if active && !found.differentiable {
            self.errors.reject(at, &errors::UNDERIVED);
            return None;
        }
        let mut fields = Vec::new();
        for f in &found.fields {
            let member = match &f.member {
                syn::Member::Named(n) => n.unraw().to_string(),
                syn::Member::Unnamed(k) => k.index.to_string(),
            };
            let ident = format_ident!("{}__{}", prefix.unraw(), member, span = local("x").span());
            let constant = f.shape.is_known() && !f.shape.has_floats();
            if !constant
                && !matches!(peel(&f.ty), syn::Type::Reference(_))
                && self.structure(&f.ty).is_some()
            {
                fields.push((f.member.clone(), self.fields(at, &f.ty, &ident, active)?));
                continue;
            }
            let tensor = read_tensor(&f.ty, self.floats).is_some_and(|t| t.owned);
            let list = element(&f.ty)
                .and_then(|t| read_tensor(t, self.floats))
                .is_some_and(|t| t.owned);
            let float = matches!(f.shape, Shape::Float(_));
            let admitted = tensor || list || float;
            if !admitted && !constant && active {
                let name = quote::ToTokens::to_token_stream(&f.ty)
                    .to_string()
                    .replace(' ', "");
                self.errors.reject_named(at, &errors::TENSOR_FIELD, &name);
                return None;
            }
            if constant || !active {
                self.constant.push(ident.clone());
            }
            let pass = match float || primitive(&f.ty) {
                true => Pass::Value,
                false => Pass::Reference,
            };
            let rows = element(&f.ty).filter(|_| list);
            let ty = match rows {
                Some(elem) => syn::parse_quote!([#elem]),
                None => f.ty.clone(),
            };
            self.inputs.push(match pass {
                Pass::Value => syn::parse_quote!(#ident: #ty),
                _ => syn::parse_quote!(#ident: &#ty),
            });
            fields.push((f.member.clone(), Part::Leaf { ident, pass }));
        }
        Some(Part::Struct {
            ty: Box::new(ty.clone()),
            fields,
        })
    }
}

/// Integers and their like are passed by value.
fn primitive(ty: &syn::Type) -> bool {
    const ALL: [&str; 14] = [
        "usize", "u8", "u16", "u32", "u64", "u128", "isize", "i8", "i16", "i32", "i64", "i128",
        "bool", "char",
    ];
    matches!(peel(ty), syn::Type::Path(p) if ALL.iter().any(|n| p.path.is_ident(n)))
}

impl Flat {
    /// The attribute's arguments for the flat function.
    pub fn options(&self, options: &Options) -> Options {
        let wrt = options.wrt.as_ref().map(|names| {
            let mut all = Vec::new();
            for n in names {
                match self.params.iter().find(|p| p.ident.unraw() == n.unraw()) {
                    Some(p) => leaves(&p.part, &mut |ident, _| {
                        if !self.constant.contains(ident) {
                            all.push(ident.clone());
                        }
                    }),
                    None => all.push(n.clone()),
                }
            }
            all
        });
        let namespace = options
            .namespace
            .as_ref()
            .unwrap_or(&self.function.sig.ident);
        Options {
            given: options.given.clone(),
            wrt,
            namespace: Some(fields_of(namespace)),
            ..Options::default()
        }
    }
}

/// The namespace of a function by the fields of its structs.
pub fn fields_of(namespace: &Ident) -> Ident {
    Ident::new(
        &format!("{}_by_fields", namespace.unraw()),
        namespace.span(),
    )
}

fn leaves(part: &Part, f: &mut dyn FnMut(&Ident, Pass)) {
    match part {
        Part::Leaf { ident, pass } => f(ident, *pass),
        Part::Struct { fields, .. } => fields.iter().for_each(|(_, p)| leaves(p, f)),
    }
}

/// The functions that the user calls.
struct Outside<'a> {
    flat: &'a Flat,
    /// That of the flat function.
    sig: &'a TensorSig,
    /// Aliases of the gradients of structs, so that they can be written as expressions.
    aliases: Vec<TokenStream>,
    args: TokenStream,
}

/// The items around those of the flat function.
pub fn outside(
    item: &syn::ItemFn,
    options: &Options,
    flat: &Flat,
    sig: &TensorSig,
    descends: bool,
) -> TokenStream {
    let types: Vec<&Ident> = sig.generics.type_params().map(|p| &p.ident).collect();
    let args = match types.is_empty() {
        true => quote!(),
        false => quote!(<#(#types),*>),
    };
    let mut o = Outside {
        flat,
        sig,
        aliases: Vec::new(),
        args,
    };
    o.items(item, options, descends)
}

impl Outside<'_> {
    fn active(&self, part: &Part) -> bool {
        let mut any = false;
        leaves(part, &mut |ident, _| {
            any |= self.sig.active().any(|(_, p)| p.ident == *ident);
        });
        any
    }

    fn kind(&self, ident: &Ident) -> Option<&crate::tensor::signature::Param> {
        self.sig.params.iter().find(|p| p.ident == *ident)
    }

    /// What is handed to the flat function for a part; `mutable` of what is differentiated.
    fn arguments(
        &self,
        part: &Part,
        base: &TokenStream,
        mutable: bool,
        out: &mut Vec<TokenStream>,
    ) {
        match part {
            Part::Leaf { ident, pass } => {
                let moved = mutable && self.kind(ident).is_some_and(|p| p.active);
                out.push(match pass {
                    Pass::Whole => quote!(#base),
                    _ if moved => quote!(&mut #base),
                    Pass::Reference => quote!(&#base),
                    Pass::Value => quote!(#base),
                });
            }
            Part::Struct { fields, .. } => {
                for (member, part) in fields {
                    self.arguments(part, &quote!(#base.#member), mutable, out);
                }
            }
        }
    }

    /// The places in a part's gradient that the flat function writes.
    fn buffers(&self, part: &Part, base: &TokenStream, out: &mut Vec<TokenStream>) {
        match part {
            Part::Leaf { ident, pass } => {
                if self.kind(ident).is_some_and(|p| p.active) {
                    out.push(match pass {
                        Pass::Whole => quote!(#base),
                        _ => quote!(&mut #base),
                    });
                }
            }
            Part::Struct { fields, .. } => {
                for (member, part) in fields {
                    self.buffers(part, &quote!(#base.#member), out);
                }
            }
        }
    }

    /// A part's gradient out of that of the flat function.
    fn gather(&mut self, part: &Part, from: &TokenStream) -> TokenStream {
        match part {
            Part::Leaf { ident, .. } => quote!(#from.#ident),
            Part::Struct { ty, fields } => {
                let mut parts = Vec::new();
                for (member, part) in fields {
                    if self.active(part) {
                        let value = self.gather(part, from);
                        parts.push(quote!(#member: #value));
                    } else if matches!(member, syn::Member::Unnamed(_)) {
                        parts.push(quote!(#member: ()));
                    }
                }
                let alias = format_ident!(
                    "__{}Of{}",
                    self.sig.gradient.unraw(),
                    self.aliases.len(),
                    span = proc_macro2::Span::mixed_site()
                );
                let args = &self.args;
                self.aliases.push(
                    quote!(type #alias #args = <#ty as ::backprop::Differentiable>::Gradient;),
                );
                quote!(#alias { #(#parts),* })
            }
        }
    }

    /// The type of a part's gradient.
    fn gradient(&self, part: &Part) -> TokenStream {
        match part {
            Part::Leaf { ident, .. } => match self.kind(ident) {
                Some(p) => self.sig.owned(&p.kind),
                None => quote!(()),
            },
            Part::Struct { ty, .. } => quote!(<#ty as ::backprop::Differentiable>::Gradient),
        }
    }

    fn items(&mut self, item: &syn::ItemFn, options: &Options, descends: bool) -> TokenStream {
        let (sig, vis) = (self.sig, &item.vis);
        let namespace = options.namespace.clone().unwrap_or(item.sig.ident.clone());
        let camel = crate::signature::camel_case(&namespace.unraw().to_string());
        let named = |end: &str| Ident::new(&format!("{camel}{end}"), namespace.span());
        let (gradient, workspace) = (named("Gradient"), named("Workspace"));
        let (inner, residuals) = (&sig.namespace, &sig.residuals);
        let (inner_workspace, output) = (&sig.workspace, &sig.output_ty);
        let elem = sig.elem.tokens();
        let args = self.args.clone();
        let items = Items::of(item, sig);
        let (_, bounds) = items.generics();
        let (generics, clause) = (&sig.generics, &sig.generics.where_clause);
        let types: Vec<&syn::TypeParam> = generics.type_params().collect();
        let declared = match types.is_empty() {
            true => quote!(),
            false => quote!(<#(#types),*>),
        };
        let type_clause = clause
            .as_ref()
            .filter(|_| generics.lifetimes().next().is_none());
        let (life, elided) = match sig.float() {
            Some(t) => (quote!(<'__bp, #t>), quote!(<'_, #t>)),
            None => (quote!(<'__bp>), quote!(<'_>)),
        };

        let flat = self.flat;
        let (mut params, mut life_params, mut moved, mut names) = (vec![], vec![], vec![], vec![]);
        let (mut inputs, mut moving) = (vec![], vec![]);
        let (mut buffers, mut buffer_names, mut places) = (vec![], vec![], vec![]);
        let (mut fields, mut zeros, mut parts, mut shapes) = (vec![], vec![], vec![], vec![]);
        let (mut pulled, mut pulls, mut own) = (vec![], vec![], vec![]);
        let g = local("flat");
        for (k, p) in flat.params.iter().enumerate() {
            let (ident, ty) = (&p.ident, &p.ty);
            let with = with_lifetime(ty);
            params.push(quote!(#ident: #ty));
            life_params.push(quote!(#ident: #with));
            names.push(ident);
            self.arguments(&p.part, &quote!(#ident), false, &mut inputs);
            self.arguments(&p.part, &quote!(#ident), true, &mut moving);
            let target = match peel(ty) {
                syn::Type::Reference(r) => &*r.elem,
                other => other,
            };
            if !self.active(&p.part) {
                moved.push(quote!(#ident: #ty));
                pulled.push(quote!(()));
                pulls.push(quote!(()));
                continue;
            }
            let d = format_ident!("__d{}", k, span = proc_macro2::Span::mixed_site());
            let of = self.gradient(&p.part);
            let value = self.gather(&p.part, &quote!(#g));
            self.buffers(&p.part, &quote!(#d), &mut places);
            let doc = format!("The derivative with respect to `{}`.", ident.unraw());
            fields.push(quote!(#[doc = #doc] #vis #ident: #of));
            parts.push(quote!(#ident: #value));
            pulled.push(of.clone());
            pulls.push(value);
            own.push(ident);
            match (&p.part, self.kind(ident)) {
                (Part::Leaf { .. }, Some(leaf)) => {
                    let (buffer, kind) = (sig.buffer(&leaf.kind), &leaf.kind);
                    buffers.push(quote!(#d: &mut #buffer));
                    let (ty, _) = items.moved(leaf, ident);
                    moved.push(quote!(#ident: &mut #ty));
                    zeros.push(match kind {
                        Kind::Tensor(_) => {
                            quote!(#ident: ::backprop::tensor::ndarray::Array::zeros(#ident.raw_dim()))
                        }
                        Kind::List(_) => quote!(#ident: #ident
                            .iter()
                            .map(|__each| ::backprop::tensor::ndarray::Array::zeros(__each.raw_dim()))
                            .collect()),
                        _ => {
                            let zero = sig.elem.zero();
                            quote!(#ident: #zero)
                        }
                    });
                    match kind {
                        Kind::Tensor(_) => shapes.push(
                            quote!(::backprop::tensor::fit(&mut __gradient.#ident, &#ident.raw_dim());),
                        ),
                        Kind::List(_) => shapes.push(quote! {
                            __gradient.#ident.resize_with(#ident.len(), ::backprop::tensor::empty);
                            for (__to, __from) in __gradient.#ident.iter_mut().zip(#ident.iter()) {
                                ::backprop::tensor::fit(__to, &__from.raw_dim());
                            }
                        }),
                        _ => {}
                    }
                }
                _ => {
                    buffers.push(quote!(#d: &mut #of));
                    moved.push(quote!(#ident: &mut #target));
                    zeros.push(quote!(#ident: <#target as ::backprop::Differentiable>::zero_gradient(#ident)));
                    self.fitted(
                        &p.part,
                        &quote!(#ident),
                        &quote!(__gradient.#ident),
                        &mut shapes,
                    );
                }
            }
            buffer_names.push(d);
        }
        let value = quote!(#gradient { #(#parts),* });
        let aliases = &self.aliases;
        let checks = &flat.checks;
        let list: Vec<String> = names.iter().map(|n| n.unraw().to_string()).collect();
        let (list, name) = (list.join(", "), namespace.unraw().to_string());
        let doc = |text: &str, example: String| format!("{text}\n\n```text\n{example}\n```");
        let scalar = matches!(sig.output, Out::Scalar);
        let up = local("up");
        let saved = local("saved");
        let upstream_ref = reference(&sig.output, sig);
        let doc_namespace = format!("The derivatives of [`fn@{}`].", item.sig.ident);
        let doc_gradient = format!(
            "The gradient of [`fn@{}`]: one field for each differentiated parameter, shaped like it.",
            item.sig.ident
        );
        let doc_workspace = format!(
            "Memory for [`value_and_gradient_with`]({name}::value_and_gradient_with): it is made in the first call, and again when a \
             shape changes.\n\nIt starts as `{workspace}::default()`."
        );
        let doc_forward = doc(
            "The forward pass: the value, and what the backward pass needs.",
            format!("let (y, saved) = {name}::forward({list});"),
        );
        let doc_backward = doc(
            "The backward pass, from the residuals and the upstream gradient, shaped like the result.",
            format!("let gradient = {name}::backward(&saved, upstream);"),
        );
        let panics = "# Panics\n\nAs the function does; and before anything is written, if a buffer has another shape than its parameter.";
        let doc_accumulate = doc(
            &format!(
                "The value; `upstream` times the gradient is added to the buffers.\n\n{panics}"
            ),
            format!("let y = {name}::accumulate({list}, upstream, &mut buffer, …);"),
        );
        let doc_into = doc(
            &format!(
                "The value; the gradient is written to the buffers, one for each differentiated parameter, in order.\n\n{panics}"
            ),
            format!("let y = {name}::value_and_gradient_into({list}, &mut buffer, …);"),
        );
        let doc_both = doc(
            "The value and the gradient.",
            format!("let (y, gradient) = {name}::value_and_gradient({list});"),
        );
        let doc_only = doc(
            "The gradient.",
            format!("let gradient = {name}::gradient({list});"),
        );
        let doc_with = doc(
            "The value and the gradient, which stays in the workspace. With shapes as in the last call, nothing is allocated.",
            format!(
                "let mut workspace = {workspace}::default();\nlet (y, gradient) = {name}::value_and_gradient_with(&mut workspace, {list});"
            ),
        );
        let doc_descend = doc(
            "One step of gradient descent: the value; `rate` times the gradient is subtracted from the differentiated parameters, in place.",
            format!(
                "let mut workspace = {workspace}::default();\nlet y = {name}::descend_with(&mut workspace, rate, &mut …, …);"
            ),
        );
        let doc_saves = doc(
            "What the backward pass needs, without the value.",
            format!("let saved = {name}::residuals({list});"),
        );
        let doc_backward_into = doc(
            "As `backward`; the gradient is written to the buffers, one for each differentiated parameter, in order. The upstream \
             gradient is borrowed.\n\n# Panics\n\nBefore anything is written, if a buffer has another shape than its parameter.",
            format!("{name}::backward_into(&saved, upstream, &mut buffer, …);"),
        );

        let mut functions = quote! {
            #[doc = #doc_forward]
            #vis fn forward<'__bp, #(#types),*>(#(#life_params),*) -> (#output, #residuals #life) #type_clause {
                #inner::forward(#(#inputs),*)
            }

            #[doc = #doc_backward]
            #vis fn backward<#(#types),*>(#saved: &#residuals #elided, #up: #output) -> #gradient #args #type_clause {
                let #g = #inner::backward(#saved, #up);
                #value
            }

            #[doc = #doc_saves]
            #vis fn residuals<'__bp, #(#types),*>(#(#life_params),*) -> #residuals #life #type_clause {
                #inner::residuals(#(#inputs),*)
            }

            #[doc = #doc_backward_into]
            #vis fn backward_into<#(#types),*>(#saved: &#residuals #elided, #up: #upstream_ref, #(#buffers),*) #type_clause {
                #inner::backward_into(#saved, #up, #(#places),*)
            }

            #[doc(hidden)]
            #vis fn __pullback<#(#types),*>(#saved: &#residuals #elided, #up: #output) -> (#(#pulled,)*) #type_clause {
                let #g = #inner::backward(#saved, #up);
                (#(#pulls,)*)
            }

            #[doc = #doc_accumulate]
            #vis fn accumulate #generics (#(#params,)* #up: #output, #(#buffers),*) -> #output #clause {
                #inner::accumulate(#(#inputs,)* #up, #(#places),*)
            }
        };
        let with_generics = with_workspace(generics);
        if scalar {
            functions.extend(quote! {
                #[doc = #doc_into]
                #vis fn value_and_gradient_into #generics (#(#params,)* #(#buffers),*) -> #output #clause {
                    #inner::value_and_gradient_into(#(#inputs,)* #(#places),*)
                }

                #[doc = #doc_with]
                #vis fn value_and_gradient_with #with_generics (__ws: &'__ws mut #workspace #args, #(#params),*) -> (#output, &'__ws #gradient #args) #clause {
                    let mut __gradient = match __ws.gradient.take() {
                        ::core::option::Option::Some(__gradient) => __gradient,
                        ::core::option::Option::None => #gradient { #(#zeros),* },
                    };
                    #(#shapes)*
                    let __y = {
                        #(let #buffer_names = &mut __gradient.#own;)*
                        #inner::__unit(&mut __ws.flat, #(#inputs,)* #(#places),*)
                    };
                    (__y, &*__ws.gradient.insert(__gradient))
                }

                #[doc = #doc_both]
                #vis fn value_and_gradient #generics (#(#params),*) -> (#output, #gradient #args) #clause {
                    let (__y, #g) = #inner::value_and_gradient(#(#inputs),*);
                    (__y, #value)
                }

                #[doc = #doc_only]
                #vis fn gradient #generics (#(#params),*) -> #gradient #args #clause {
                    let #g = #inner::gradient(#(#inputs),*);
                    #value
                }
            });
        }
        if scalar && descends {
            functions.extend(quote! {
                #[doc = #doc_descend]
                #vis fn descend_with #generics (__ws: &mut #workspace #args, __rate: #elem, #(#moved),*) -> #output #clause {
                    #inner::descend_with(&mut __ws.flat, __rate, #(#moving),*)
                }
            });
        }
        let allow = quote!(#[allow(
            unused, non_snake_case, deprecated, unreachable_code, clippy::all, clippy::pedantic, clippy::nursery,
            clippy::restriction
        )]);
        quote! {
            #[doc = #doc_namespace]
            #[allow(non_camel_case_types, clippy::all, clippy::pedantic)]
            #vis enum #namespace {}

            #[doc = #doc_gradient]
            #[allow(non_snake_case, clippy::all, clippy::pedantic)]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #vis struct #gradient #declared #clause { #(#fields),* }

            #[doc = #doc_workspace]
            #[allow(unused, non_snake_case, clippy::all, clippy::pedantic)]
            #vis struct #workspace #declared #clause {
                flat: #inner_workspace #args,
                gradient: ::core::option::Option<#gradient #args>,
            }

            impl #bounds ::core::default::Default for #workspace #args {
                fn default() -> Self {
                    Self {
                        flat: <#inner_workspace #args as ::core::default::Default>::default(),
                        gradient: ::core::option::Option::None,
                    }
                }
            }

            #allow
            const _: () = {
                use ::backprop::tensor::ndarray::Dimension as _;
                #(#aliases)*
                fn __checks #generics () #clause { #checks }
                #allow
                impl #namespace { #functions }
            };
        }
    }

    /// Makes the buffers in a struct's gradient fit its fields.
    fn fitted(&self, part: &Part, of: &TokenStream, to: &TokenStream, out: &mut Vec<TokenStream>) {
        match part {
            Part::Leaf { ident, .. } => match self.kind(ident) {
                Some(p) if p.active && matches!(p.kind, Kind::Tensor(_)) => {
                    out.push(quote!(::backprop::tensor::fit(&mut #to, &#of.raw_dim());));
                }
                Some(p) if p.active && matches!(p.kind, Kind::List(_)) => out.push(quote! {
                    #to.resize_with(#of.len(), ::backprop::tensor::empty);
                    for (__to, __from) in #to.iter_mut().zip(#of.iter()) {
                        ::backprop::tensor::fit(__to, &__from.raw_dim());
                    }
                }),
                _ => {}
            },
            Part::Struct { fields, .. } => {
                for (member, part) in fields {
                    self.fitted(part, &quote!(#of.#member), &quote!(#to.#member), out);
                }
            }
        }
    }
}
