//! Structs among the parameters of a tensor function: differentiated by their fields.
//!
//! In: a function with a parameter like `net: &Net`, whose definition `source` finds. Out: [`Flat`], the function with one
//! parameter for each field that takes part, which the rest of the tensor compiler differentiates as any other; `items` puts around
//! its functions those that the user calls. What must hold: every field is a tensor, a float, a list of tensors, such a struct again,
//! or constant; rustc checks that the definition is the one that was read.

use crate::definitions::Definitions;
use crate::errors::{self, Errors};
use crate::options::Options;
use crate::shape::{Shape, peel};
use crate::signature::{float_generics, local};
use crate::source::Source;
use crate::tensor::signature::{element, mentions_tensor, read_tensor};
use proc_macro2::{Ident, TokenStream};
use quote::format_ident;
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
#[derive(Clone)]
pub enum Pass {
    /// As the function does: it is no field.
    Whole,
    Reference,
    Value,
    /// As a vector's view: floats in a slice or an array, so many of them where that is known.
    Floats(Option<Length>),
}

/// The length of an array of floats.
#[derive(Clone)]
pub struct Length(pub syn::Expr);

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

/// Whether a parameter is a struct that holds tensors, or a differentiated `self`.
pub fn holds_tensors(function: &syn::ItemFn, options: &Options, source: &Source) -> bool {
    let floats = float_generics(&function.sig.generics);
    let definitions = Definitions::new(floats.clone(), source, function);
    function.sig.inputs.iter().any(|p| match p {
        syn::FnArg::Typed(p) => within(&p.ty, &floats, &definitions),
        syn::FnArg::Receiver(_) => {
            let named = options.wrt.iter().flatten().any(|n| n == "self");
            let of = definitions.implementor().filter(|_| named);
            of.is_some_and(|ty| within(&ty, &floats, &definitions))
        }
    })
}

fn within(ty: &syn::Type, floats: &[Ident], definitions: &Definitions) -> bool {
    match peel(ty) {
        syn::Type::Reference(r) => within(&r.elem, floats, definitions),
        syn::Type::Path(p) if !primitive(ty) => definitions.structure(&p.path).is_some_and(|s| {
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
    constant: Option<&Ident>,
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
        let mut named = wrt.map(|names| names.iter().any(|n| n.unraw() == pat.ident.unraw()));
        if constant == Some(&pat.ident) {
            named = Some(false);
        }
        let part = match flat.structure(&p.ty) {
            Some(_) => {
                any = true;
                flat.parameter(p, &pat.ident, named != Some(false))?
            }
            None if named != Some(false)
                && let Some((elem, length)) = flat.floats_behind(&p.ty) =>
            {
                any = true;
                let ident = &pat.ident;
                flat.inputs.push(syn::parse_quote!(
                    #ident: ::backprop::tensor::ndarray::ArrayView1<'_, #elem>
                ));
                Part::Leaf {
                    ident: ident.clone(),
                    pass: Pass::Floats(length),
                }
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
            syn::Type::Path(p) if read_tensor(ty, self.floats).is_none() && !primitive(ty) => {
                self.definitions.structure(&p.path)
            }
            _ => None,
        }
    }

    /// The type of the floats in a slice, an array or a `Vec` behind a reference, and how many there are in an array.
    fn floats_behind(&self, ty: &syn::Type) -> Option<(syn::Type, Option<Length>)> {
        let syn::Type::Reference(r) = peel(ty) else {
            return None;
        };
        if r.mutability.is_some() {
            return None;
        }
        let (elem, length) = match peel(&r.elem) {
            syn::Type::Array(a) => (&*a.elem, Some(Length(a.len.clone()))),
            other => (element(other)?, None),
        };
        let float = crate::tensor::signature::float_type(elem, self.floats);
        float.then(|| (elem.clone(), length))
    }

    fn parameter(&mut self, p: &syn::PatType, ident: &Ident, active: bool) -> Option<Part> {
        match peel(&p.ty) {
            syn::Type::Reference(r) => self.fields(&p.ty, &r.elem, ident, active, true),
            ty => self.fields(&p.ty, ty, ident, active, false),
        }
    }

    fn fields(
        &mut self,
        at: &syn::Type,
        ty: &syn::Type,
        prefix: &Ident,
        active: bool,
        by_ref: bool,
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
                let inner = self.fields(at, &f.ty, &ident, active, by_ref)?;
                fields.push((f.member.clone(), inner));
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
            let pass = match float || primitive(&f.ty) || !by_ref {
                true => Pass::Value,
                false => Pass::Reference,
            };
            let rows = element(&f.ty).filter(|_| list && by_ref);
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
    /// No struct is taken by value.
    pub fn by_reference(&self) -> bool {
        let refers = |p: &Outer| matches!(peel(&p.ty), syn::Type::Reference(_));
        let is_struct = |p: &Outer| matches!(p.part, Part::Struct { .. });
        self.params.iter().all(|p| refers(p) || !is_struct(p))
    }

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
            jvp: options.jvp.clone(),
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

/// Each parameter of the flat function that a part is made of.
pub fn leaves(part: &Part, f: &mut dyn FnMut(&Ident, &Pass)) {
    match part {
        Part::Leaf { ident, pass } => f(ident, pass),
        Part::Struct { fields, .. } => fields.iter().for_each(|(_, p)| leaves(p, f)),
    }
}
