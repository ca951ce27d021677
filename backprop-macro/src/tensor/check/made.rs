//! What the arguments of a test are made of.
//!
//! In: the parameters, and what the user says of their shapes and values. Out: [`Made`], with a number for each axis whose length is
//! known when the test runs; types, values and walks over the floats, as tokens. What is no array is made as in the tests of
//! scalar functions.

use crate::check::test::{buildable, has_f32, literal, owned_type, sampled_shape};
use crate::check::{Domain, Given};
use crate::errors::{self, Errors};
use crate::evaluate::{Constants, Value};
use crate::shape::{Shape, peel};
use crate::signature::local;
use crate::tensor::fields::Part;
use crate::tensor::graph::Rank;
use crate::tensor::signature::{self, dimension, element, read_array};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};

/// What an argument is made of.
pub enum Made {
    /// No array of ndarray's, nor of a length that is found.
    Plain(Shape),
    /// Floats or constants in a slice or a `Vec`: the number of its one axis.
    Vector(Shape, usize),
    /// With so many axes, from a number on.
    Array {
        elem: Shape,
        dynamic: bool,
        axes: std::ops::Range<usize>,
    },
    List(Vec<Made>),
    Struct {
        ty: Box<syn::Type>,
        /// Each with the name of the parameter that stands for it.
        fields: Vec<(syn::Member, Option<Ident>, Made)>,
    },
}

/// The axes so far.
#[derive(Default)]
pub struct Lengths {
    /// For each the length that is given.
    pub given: Vec<Option<usize>>,
    /// The first axis of each parameter that is an array.
    pub first: std::collections::BTreeMap<String, usize>,
}

/// Axes of an array whose number is not in its type.
const AXES: usize = 2;
/// Arrays in a list.
const ARRAYS: usize = 2;

/// Makes arguments.
pub struct Making<'a> {
    pub floats: &'a [Ident],
    /// The parameters that stand for the fields of structs.
    pub flat: Option<&'a syn::ItemFn>,
    pub errors: &'a Errors,
    pub lengths: Lengths,
}

/// What is said of a parameter, or of a field.
pub type Said<'a> = dyn Fn(&[syn::Member]) -> Option<&'a Given> + 'a;

impl Making<'_> {
    /// What an argument is made of; `None` where a test cannot make it.
    pub fn made(
        &mut self,
        ident: &Ident,
        ty: &syn::Type,
        part: Option<&Part>,
        fields: &mut Vec<syn::Member>,
        said: &Said,
    ) -> Option<Made> {
        if let Some(Part::Struct { ty, fields: parts }) = part {
            let mut made = Vec::new();
            for (member, part) in parts {
                fields.push(member.clone());
                let (name, of) = match part {
                    Part::Leaf { ident, .. } => (Some(ident.clone()), self.standing_for(ident)?),
                    Part::Struct { ty, .. } => (None, (**ty).clone()),
                };
                let inner = name.as_ref().unwrap_or(ident);
                made.push((
                    member.clone(),
                    name.clone(),
                    self.made(inner, &of, Some(part), fields, said)?,
                ));
                fields.pop();
            }
            return Some(Made::Struct {
                ty: ty.clone(),
                fields: made,
            });
        }
        self.lengths
            .first
            .insert(ident.to_string(), self.lengths.given.len());
        self.leaf(ty, said(fields))
    }

    fn standing_for(&self, ident: &Ident) -> Option<syn::Type> {
        let mut inputs = self.flat?.sig.inputs.iter();
        inputs.find_map(|p| match p {
            syn::FnArg::Typed(t) => match &*t.pat {
                syn::Pat::Ident(i) if i.ident == *ident => Some((*t.ty).clone()),
                _ => None,
            },
            syn::FnArg::Receiver(_) => None,
        })
    }

    fn leaf(&mut self, ty: &syn::Type, said: Option<&Given>) -> Option<Made> {
        let mut ty = peel(ty);
        while let syn::Type::Reference(r) = ty {
            ty = peel(&r.elem);
        }
        if let Some((elem, rank, _)) = read_array(ty, self.floats) {
            return self.array(elem, rank, said);
        }
        let shape = Shape::parse(ty, &signature::names(self.floats));
        let Some(inner) = element(ty) else {
            return (buildable(&shape) && said.is_none()).then_some(Made::Plain(shape));
        };
        if let Some((elem, rank, _)) = read_array(peel(inner), self.floats) {
            let parts: Vec<Option<&Given>> = match said {
                Some(Given::Each(all)) => all.iter().map(Some).collect(),
                said => vec![said; ARRAYS],
            };
            let parts = parts
                .into_iter()
                .map(|said| self.array(elem.clone(), rank, said));
            return parts.collect::<Option<_>>().map(Made::List);
        }
        let inner = Shape::parse(inner, &signature::names(self.floats));
        if matches!(inner, Shape::Slice(_) | Shape::Vec(_)) || !buildable(&inner) {
            return (buildable(&shape) && said.is_none()).then_some(Made::Plain(shape));
        }
        let at = self.lengths.given.len();
        self.lengths.given.push(match said {
            Some(Given::Axes(all)) if all.len() == 1 => Some(all[0]),
            Some(_) => return None,
            None => None,
        });
        Some(Made::Vector(inner, at))
    }

    fn array(&mut self, elem: Shape, rank: Rank, said: Option<&Given>) -> Option<Made> {
        if !buildable(&elem) {
            return None;
        }
        let from = self.lengths.given.len();
        let count = match (rank, said) {
            (Some(rank), _) => rank,
            (None, Some(Given::Axes(all))) => all.len(),
            (None, _) => AXES,
        };
        match said {
            Some(Given::Axes(all)) if all.len() == count => {
                self.lengths.given.extend(all.iter().copied().map(Some));
            }
            Some(_) => return None,
            None => self.lengths.given.extend(vec![None; count]),
        }
        Some(Made::Array {
            elem,
            dynamic: rank.is_none(),
            axes: from..self.lengths.given.len(),
        })
    }

    /// A value that the user gives, whose shape counts for the sampled points too; `None` after an error.
    pub fn given(&mut self, made: &Made, e: &syn::Expr) -> Option<TokenStream> {
        let constants = Constants::default();
        let written = |shape: &Shape| {
            let value = crate::check::points::written(e, shape, &constants);
            value
                .map_err(|at| self.errors.reject(at, &errors::CHECK_SHAPE))
                .ok()
        };
        match (made, e) {
            (made, syn::Expr::Reference(r)) => self.given(made, &r.expr),
            (Made::Plain(shape), _) => written(shape).map(|value| literal(&value, shape)),
            (Made::Vector(elem, axis), _) => {
                let shape = Shape::Vec(Box::new(elem.clone()));
                let value = written(&shape)?;
                let tokens = literal(&value, &shape);
                if let Value::List(all) = value {
                    self.of_length(*axis, all.len());
                }
                Some(tokens)
            }
            (Made::Array { elem, axes, .. }, _) => {
                let mut shape = elem.clone();
                for _ in axes.clone() {
                    shape = Shape::Vec(Box::new(shape));
                }
                let value = written(&shape)?;
                let mut lengths = Vec::new();
                let mut elements = Vec::new();
                if !flat(&value, 0, &mut lengths, &mut elements) || lengths.len() != axes.len() {
                    self.errors.reject(e, &errors::CHECK_SHAPE);
                    return None;
                }
                for (axis, &n) in axes.clone().zip(&lengths) {
                    self.of_length(axis, n);
                }
                let elements = elements.iter().map(|x| literal(x, elem));
                let dim = dim(
                    made,
                    &lengths
                        .iter()
                        .map(ToTokens::to_token_stream)
                        .collect::<Vec<_>>(),
                );
                Some(quote!(
                    ::backprop::tensor::ndarray::Array::from_shape_vec(#dim, std::vec![#(#elements),*]).unwrap()
                ))
            }
            (Made::List(all), syn::Expr::Array(a)) if a.elems.len() == all.len() => {
                let parts = all
                    .iter()
                    .zip(&a.elems)
                    .map(|(made, e)| self.given(made, e));
                let parts = parts.collect::<Option<Vec<_>>>()?;
                Some(quote!(std::vec![#(#parts),*]))
            }
            (Made::Struct { ty, fields }, syn::Expr::Struct(s)) if s.rest.is_none() => {
                let mut parts = Vec::new();
                for (member, _, made) in fields {
                    let Some(field) = s.fields.iter().find(|f| f.member == *member) else {
                        self.errors.reject(e, &errors::CHECK_SHAPE);
                        return None;
                    };
                    let value = self.given(made, &field.expr)?;
                    parts.push(quote!(#member: #value));
                }
                let path = constructor(ty);
                Some(quote!(#path { #(#parts),* }))
            }
            _ => {
                self.errors.reject(e, &errors::CHECK_SHAPE);
                None
            }
        }
    }

    fn of_length(&mut self, axis: usize, n: usize) {
        self.lengths.given[axis].get_or_insert(n);
    }
}

/// The elements of nested lists, row by row; whether all are equally long.
fn flat<'v>(
    value: &'v Value,
    depth: usize,
    lengths: &mut Vec<usize>,
    out: &mut Vec<&'v Value>,
) -> bool {
    let Value::List(all) = value else {
        out.push(value);
        return true;
    };
    if lengths.len() == depth {
        lengths.push(all.len());
    }
    lengths[depth] == all.len() && all.iter().all(|v| flat(v, depth + 1, lengths, out))
}

/// `Ix2(3, 4)`.
fn dim(made: &Made, lengths: &[TokenStream]) -> TokenStream {
    let dynamic = matches!(made, Made::Array { dynamic: true, .. });
    let name = dimension((!dynamic).then_some(lengths.len()));
    match dynamic {
        true => quote!(#name(&[#(#lengths),*])),
        false => quote!(#name(#(#lengths),*)),
    }
}

/// A struct's name, as an expression has it.
fn constructor(ty: &syn::Type) -> TokenStream {
    let syn::Type::Path(p) = peel(ty) else {
        return ty.to_token_stream();
    };
    let mut path = p.path.clone();
    for s in &mut path.segments {
        s.arguments = syn::PathArguments::None;
    }
    path.to_token_stream()
}

impl Made {
    /// Something is in single precision.
    pub fn single(&self) -> bool {
        match self {
            Made::Plain(shape) | Made::Vector(shape, _) | Made::Array { elem: shape, .. } => {
                has_f32(shape)
            }
            Made::List(all) => all.iter().any(Made::single),
            Made::Struct { fields, .. } => fields.iter().any(|f| f.2.single()),
        }
    }

    /// Its text; a struct need not be `Debug`.
    pub fn shown(&self, place: &TokenStream) -> Option<TokenStream> {
        match self {
            Made::Struct { .. } => None,
            Made::Array { .. } => Some(quote!(#place)),
            Made::List(_) => Some(quote! {{
                let each = ::core::iter::Iterator::map(#place.iter(), |each| std::format!("{each}"));
                ::core::iter::Iterator::collect::<std::vec::Vec<_>>(each).join(", ")
            }}),
            Made::Plain(_) | Made::Vector(..) => Some(quote!(std::format!("{:?}", #place))),
        }
    }

    /// The type that owns it.
    pub fn ty(&self) -> TokenStream {
        match self {
            Made::Plain(shape) => owned_type(shape),
            Made::Vector(elem, _) => {
                let elem = owned_type(elem);
                quote!(std::vec::Vec<#elem>)
            }
            Made::Array {
                elem,
                dynamic,
                axes,
            } => {
                let (elem, dim) = (
                    owned_type(elem),
                    dimension((!dynamic).then_some(axes.len())),
                );
                quote!(::backprop::tensor::ndarray::Array<#elem, #dim>)
            }
            Made::List(all) => {
                let of = all.first().map(Made::ty).unwrap_or_default();
                quote!(std::vec::Vec<#of>)
            }
            Made::Struct { ty, .. } => ty.to_token_stream(),
        }
    }

    /// A sample.
    pub fn sampled(&self, domain: Option<Domain>, said: &[usize]) -> TokenStream {
        let (random, sizes) = (local("random"), local("sizes"));
        let one = |shape: &Shape, said: &[usize]| sampled_shape(shape, domain, said, &random);
        match self {
            Made::Plain(shape) => one(shape, said),
            Made::Vector(elem, axis) => {
                let elem = one(elem, &[]);
                quote!(::core::iter::Iterator::collect::<std::vec::Vec<_>>(::core::iter::Iterator::map(0..#sizes[#axis], |_| #elem)))
            }
            Made::Array { elem, axes, .. } => {
                let elem = one(elem, &[]);
                let lengths: Vec<TokenStream> = axes.clone().map(|k| quote!(#sizes[#k])).collect();
                let dim = dim(self, &lengths);
                quote!(::backprop::tensor::ndarray::Array::from_shape_simple_fn(#dim, || #elem))
            }
            Made::List(all) => {
                let all = all.iter().map(|made| made.sampled(domain, said));
                quote!(std::vec![#(#all),*])
            }
            Made::Struct { ty, fields } => {
                let path = constructor(ty);
                let parts = fields.iter().map(|(member, _, made)| {
                    let value = made.sampled(domain, said);
                    quote!(#member: #value)
                });
                quote!(#path { #(#parts),* })
            }
        }
    }

    /// Statements for each part of a place that is differentiated.
    pub fn each(
        &self,
        name: &Ident,
        place: TokenStream,
        active: &dyn Fn(&Ident) -> bool,
        visit: &dyn Fn(TokenStream) -> TokenStream,
    ) -> TokenStream {
        let Made::Struct { fields, .. } = self else {
            return match active(name) {
                true => visit(place),
                false => TokenStream::new(),
            };
        };
        let parts = fields.iter().map(|(member, inner, made)| {
            let inner = inner.as_ref().unwrap_or(name);
            made.each(inner, quote!(#place.#member), active, visit)
        });
        parts.collect()
    }
}
