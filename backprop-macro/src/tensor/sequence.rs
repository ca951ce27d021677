//! What a loop runs over: items by their positions.
//!
//! In: constants, subviews of tensors, elements, windows, lists, several of these side by side, mapped or not. Out: a [`Sequence`], whose
//! length is known when its loop starts, and whose item at a position is an expression of the graph; and the iterators' methods that
//! make one number or vector of it. What must hold: an item is the same however often it is asked for.

use crate::errors::{self, Rejected, Result};
use crate::tensor::emit::{dim_name, tensor_name};
use crate::tensor::graph::*;
use crate::tensor::lower::{Closure, Lower, Nest, SpanOf, Val, Zip};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use std::rc::Rc;

#[derive(Clone)]
pub enum Sequence {
    /// A constant iterator that can be cloned.
    Const(syn::Expr),
    /// Subviews of a tensor along an axis; of a place, where they are borrowed mutably.
    Axis(Box<Val>, TokenStream),
    /// Its lanes along an axis, of a tensor of three axes or more.
    Lanes(Box<Val>, usize),
    /// The elements of a tensor, in logical order.
    Elements(Box<Val>),
    /// Elements with their indices.
    Indexed(Box<Val>),
    /// Parts of so many elements along each axis, so far from one another; how many there are along each axis.
    Blocks {
        of: V,
        sizes: Vec<syn::Expr>,
        steps: Vec<syn::Expr>,
        counts: Vec<syn::Expr>,
    },
    /// Parts of so many subviews along an axis; the last may be shorter.
    Chunks(V, usize, syn::Expr),
    /// The tensors of a list.
    List(V),
    Zip(Box<Sequence>, Box<Sequence>),
    Enumerate(Box<Sequence>),
    /// From the last to the first, of so many.
    Rev(Box<Sequence>, syn::Expr),
    /// Without the first ones.
    Skip(Box<Sequence>, syn::Expr),
    /// The first ones.
    Take(Box<Sequence>, syn::Expr),
    StepBy(Box<Sequence>, syn::Expr),
    Map(Box<Sequence>, Rc<Closure>),
}

impl Sequence {
    /// Whether its items are changed where they stand.
    pub fn changes(&self) -> bool {
        match self {
            Sequence::Axis(of, _)
            | Sequence::Lanes(of, _)
            | Sequence::Elements(of)
            | Sequence::Indexed(of) => {
                matches!(**of, Val::Place(_))
            }
            Sequence::Zip(a, b) => a.changes() || b.changes(),
            Sequence::Enumerate(a)
            | Sequence::Rev(a, _)
            | Sequence::Skip(a, _)
            | Sequence::Take(a, _)
            | Sequence::StepBy(a, _)
            | Sequence::Map(a, _) => a.changes(),
            Sequence::Const(_)
            | Sequence::Blocks { .. }
            | Sequence::Chunks(..)
            | Sequence::List(_) => false,
        }
    }
}

impl Lower<'_> {
    /// What an expression behind `for … in` runs over.
    pub fn sequence(&mut self, e: &syn::Expr) -> Result<Sequence> {
        match e {
            syn::Expr::Paren(p) => return self.sequence(&p.expr),
            syn::Expr::Group(p) => return self.sequence(&p.expr),
            syn::Expr::Reference(r) if r.mutability.is_none() => {
                // What is constant is run over by references.
                if self.is_constant(&r.expr) {
                    let items = self.constant(e)?;
                    return self.runs_over(Val::Const(items), e);
                }
                return self.sequence(&r.expr);
            }
            syn::Expr::MethodCall(m) => {
                if let Some(adapted) = self.adapted(m)? {
                    return Ok(adapted);
                }
            }
            _ => {}
        }
        if let Some(place) = self.borrow(e)? {
            return self.runs_over(Val::Place(place), e);
        }
        let val = self.expr(e)?;
        self.runs_over(val, e)
    }

    /// An adapter of what its receiver runs over.
    fn adapted(&mut self, m: &syn::ExprMethodCall) -> Result<Option<Sequence>> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let name = m.method.to_string();
        match (name.as_str(), args.as_slice()) {
            ("zip" | "enumerate" | "rev" | "skip" | "take" | "step_by", _) => {
                let inner = self.sequence(&m.receiver)?;
                self.adapt(inner, &name, &args, m).map(Some)
            }
            ("into_iter" | "iter" | "copied" | "cloned", [])
                if matches!(&*m.receiver, syn::Expr::MethodCall(_)) =>
            {
                let inner = self.sequence(&m.receiver)?;
                Ok(Some(inner).filter(|s| !matches!(s, Sequence::Const(_))))
            }
            _ => Ok(None),
        }
    }

    /// `zip`, `enumerate` and their like.
    pub(super) fn adapt(
        &mut self,
        inner: Sequence,
        name: &str,
        args: &[&syn::Expr],
        at: &syn::ExprMethodCall,
    ) -> Result<Sequence> {
        let inner = Box::new(inner);
        Ok(match (name, args) {
            ("zip", [other]) => Sequence::Zip(inner, Box::new(self.sequence(other)?)),
            ("enumerate", []) => Sequence::Enumerate(inner),
            ("rev", []) => {
                let n = self.length(&inner);
                Sequence::Rev(inner, self.constant_name(n.to_token_stream()))
            }
            ("skip" | "take" | "step_by", [n]) => {
                let n = self.constant(n)?;
                let n = self.constant_name(quote!({ let __n: ::core::primitive::usize = #n; __n }));
                match name {
                    "skip" => Sequence::Skip(inner, n),
                    "take" => Sequence::Take(inner, n),
                    _ => Sequence::StepBy(inner, n),
                }
            }
            _ => return self.reject(&at.method, &errors::TENSOR_LOOP),
        })
    }

    /// What a value runs over.
    pub fn runs_over(&mut self, val: Val, e: &syn::Expr) -> Result<Sequence> {
        match val {
            Val::Seq(s) => Ok((*s).clone()),
            Val::List(v) => Ok(Sequence::List(v)),
            Val::Tensor(v) if self.g.rank(v).is_some_and(|r| r > 0) => {
                Ok(Sequence::Elements(Box::new(val)))
            }
            Val::Place(_) => {
                let v = self.part_value(&val, e)?;
                match self.g.rank(v) {
                    Some(r) if r > 0 => Ok(Sequence::Elements(Box::new(val))),
                    _ => self.reject(e, &errors::TENSOR_LOOP),
                }
            }
            Val::Zip(z) => self.side_by_side(&z.pattern, &z, e),
            Val::Const(c) => {
                let items = quote!(::core::iter::IntoIterator::into_iter(#c));
                let mut calls = Adapters::default();
                syn::visit::Visit::visit_expr(&mut calls, e);
                if !calls.closures {
                    return Ok(Sequence::Const(self.constant_name(items)));
                }
                if calls.endless {
                    return self.reject(e, &errors::TENSOR_LOOP);
                }
                // A closure is run once for each item, not whenever one is asked for.
                let all = self.constant_name(
                    quote!(::core::iter::Iterator::collect::<::std::vec::Vec<_>>(#items)),
                );
                let items = quote!(::core::iter::Iterator::cloned(#all.iter()));
                Ok(Sequence::Const(self.constant_name(items)))
            }
            _ => self.reject(e, &errors::TENSOR_LOOP),
        }
    }

    pub fn side_by_side(&mut self, nest: &Nest, z: &Zip, e: &syn::Expr) -> Result<Sequence> {
        match nest {
            Nest::Part(k) => self.runs_over(z.parts[*k].clone(), e),
            Nest::Tuple(all) => match all.as_slice() {
                [a, b] => {
                    let a = self.side_by_side(a, z, e)?;
                    let b = self.side_by_side(b, z, e)?;
                    Ok(Sequence::Zip(Box::new(a), Box::new(b)))
                }
                _ => self.reject(e, &errors::TENSOR_LOOP),
            },
        }
    }

    /// The method of a tensor that gives its parts one after another.
    pub fn parts_of(&mut self, m: &syn::ExprMethodCall, v: V) -> Result<Option<Sequence>> {
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let name = m.method.to_string();
        let rank = self.g.rank(v);
        let changed = name.ends_with("_mut");
        let of = match changed {
            true => Val::Place(self.borrowed(&m.receiver)?),
            false => Val::Tensor(v),
        };
        let axis = |n: usize| quote!(::backprop::tensor::ndarray::Axis(#n));
        Ok(Some(
            match (name.trim_end_matches("_mut"), args.as_slice(), rank) {
                ("axis_iter", [axis], _) => Sequence::Axis(Box::new(of), self.argument(axis)?),
                ("outer_iter", [], _) | ("rows" | "genrows", [], Some(2)) => {
                    Sequence::Axis(Box::new(of), axis(0))
                }
                ("columns" | "gencolumns", [], Some(2)) => Sequence::Axis(Box::new(of), axis(1)),
                ("rows" | "genrows", [], Some(n @ 3..)) => Sequence::Lanes(Box::new(of), n - 1),
                ("columns" | "gencolumns", [], Some(3..)) => Sequence::Lanes(Box::new(of), 0),
                ("lanes", [along], Some(n @ 3..)) => {
                    let along = self.argument(along)?;
                    match crate::tensor::method::axis_number(&along).filter(|&at| at < n) {
                        Some(at) => Sequence::Lanes(Box::new(of), at),
                        None => return self.reject(m, &errors::TENSOR_RANK),
                    }
                }
                // The lanes along one of two axes lie along the other.
                ("lanes", [along], Some(2)) => {
                    let along = self.argument(along)?;
                    self.has_axis(v, &along);
                    let other = quote!(::backprop::tensor::ndarray::Axis(1 - (#along).index()));
                    let other = self.constant_name(other).to_token_stream();
                    Sequence::Axis(Box::new(of), other)
                }
                ("axis_chunks_iter", [axis, size], Some(n)) if !changed => {
                    let (axis, size) = (self.argument(axis)?, self.constant(size)?);
                    let Some(at) = crate::tensor::method::axis_number(&axis).filter(|&at| at < n)
                    else {
                        return self.reject(m, &errors::TENSOR_RANK);
                    };
                    let size = self
                        .constant_name(quote!({ let __n: ::core::primitive::usize = #size; __n }));
                    self.asked(v, quote!(.axis_chunks_iter(#axis, #size)));
                    Sequence::Chunks(v, at, size)
                }
                ("indexed_iter", [], Some(1..)) => Sequence::Indexed(Box::new(of)),
                ("windows" | "exact_chunks", [size], Some(rank)) if !changed => {
                    let sizes: Vec<syn::Expr> = match size {
                        syn::Expr::Tuple(t) => t.elems.iter().cloned().collect(),
                        syn::Expr::Array(a) => a.elems.iter().cloned().collect(),
                        other => vec![(*other).clone()],
                    };
                    if sizes.len() != rank {
                        return self.reject(size, &errors::TENSOR_RANK);
                    }
                    let n = self.g.dim(v).map(dim_name);
                    let (mut all, mut counts, mut steps) = (Vec::new(), Vec::new(), Vec::new());
                    for (k, size) in sizes.iter().enumerate() {
                        let size = self.constant(size)?;
                        let size = self.constant_name(
                            quote!({ let __n: ::core::primitive::usize = #size; __n }),
                        );
                        let (count, step) = match name.as_str() {
                            "windows" => (
                                quote!((#n[#k] + 1).saturating_sub(#size)),
                                syn::parse_quote!(1),
                            ),
                            _ => (quote!(#n[#k] / #size), size.clone()),
                        };
                        counts.push(self.constant_name(count));
                        steps.push(step);
                        all.push(size);
                    }
                    let method = &m.method;
                    self.asked(v, quote!(.#method((#(#all),*))));
                    Sequence::Blocks {
                        of: v,
                        sizes: all,
                        steps,
                        counts,
                    }
                }
                _ => return Ok(None),
            },
        ))
    }

    /// Asks ndarray for parts of a shape: it panics where there can be none of this size.
    fn asked(&mut self, v: V, parts: TokenStream) {
        if let Some(n) = self.g.dim(v).map(dim_name) {
            let check = quote!(::backprop::tensor::viewed(&#n, |v| { let _ = v #parts; }););
            self.g.stmts.push(Stmt::Effect(check));
        }
    }

    /// The axes of a tensor beside one.
    fn others(&mut self, of: &Val, axis: usize) -> Vec<usize> {
        let v = match of {
            Val::Place(p) => match self.read(p) {
                Ok(Val::Tensor(v)) => Some(v),
                _ => None,
            },
            Val::Tensor(v) => Some(*v),
            _ => None,
        };
        let rank = v.and_then(|v| self.g.rank(v)).unwrap_or(0);
        (0..rank).filter(|&a| a != axis).collect()
    }

    /// The shape in which a `Zip` sees subviews.
    pub fn producer_shape(&mut self, s: &Sequence, at: &dyn ToTokens) -> Result<Dim> {
        let (shape, rank) = match s {
            Sequence::Lanes(of, axis) => {
                let v = self.part_value(of, at)?;
                let Some(d) = self.g.dim(v) else {
                    return Err(Rejected);
                };
                let axis = quote!(::backprop::tensor::ndarray::Axis(#axis));
                let rank = self.g.rank(v).map(|r| r.saturating_sub(1));
                return Ok(self.g.new_dim(DimOp::RemoveAxis(d, axis), rank));
            }
            Sequence::Blocks { counts, .. } => (quote!([#(#counts),*]), counts.len()),
            Sequence::Axis(..) | Sequence::Chunks(..) => {
                let n = self.length(s);
                let n = self.constant_name(n.to_token_stream());
                (quote!(#n), 1)
            }
            _ => return self.reject(at, &errors::TENSOR_LOOP),
        };
        Ok(self.g.new_dim(DimOp::Given(shape, None), Some(rank)))
    }

    pub fn length(&mut self, s: &Sequence) -> syn::Expr {
        let shape = |l: &mut Self, of: &Val| {
            let v = match of {
                Val::Place(p) => match l.read(p) {
                    Ok(Val::Tensor(v)) => v,
                    _ => V(0),
                },
                Val::Tensor(v) => *v,
                _ => V(0),
            };
            l.g.dim(v).map(dim_name)
        };
        match s {
            Sequence::Const(it) => {
                syn::parse_quote!(::core::iter::Iterator::count(::core::clone::Clone::clone(&#it)))
            }
            Sequence::Axis(of, axis) => {
                let n = shape(self, of);
                syn::parse_quote!(#n[(#axis).index()])
            }
            Sequence::Lanes(of, axis) => {
                let n = shape(self, of);
                let others = self.others(of, *axis);
                syn::parse_quote!((1 #(* #n[#others])*))
            }
            Sequence::Elements(of) | Sequence::Indexed(of) => {
                let n = shape(self, of);
                syn::parse_quote!(#n.size())
            }
            Sequence::Chunks(v, axis, size) => {
                let n = self.g.dim(*v).map(dim_name);
                syn::parse_quote!(::core::primitive::usize::div_ceil(#n[#axis], #size))
            }
            Sequence::Blocks { counts, .. } => syn::parse_quote!((1 #(* #counts)*)),
            Sequence::List(v) => {
                let t = tensor_name(*v);
                syn::parse_quote!(#t.len())
            }
            Sequence::Zip(a, b) => {
                let (a, b) = (self.length(a), self.length(b));
                syn::parse_quote!(::core::cmp::Ord::min(#a, #b))
            }
            Sequence::Enumerate(a) | Sequence::Map(a, _) => self.length(a),
            Sequence::Rev(_, n) => n.clone(),
            Sequence::Skip(a, n) => {
                let a = self.length(a);
                syn::parse_quote!(::core::primitive::usize::saturating_sub(#a, #n))
            }
            Sequence::Take(a, n) => {
                let a = self.length(a);
                syn::parse_quote!(::core::cmp::Ord::min(#a, #n))
            }
            Sequence::StepBy(a, n) => {
                let a = self.length(a);
                syn::parse_quote!(::core::primitive::usize::div_ceil(#a, #n))
            }
        }
    }

    /// The item at a position.
    pub fn item(&mut self, s: &Sequence, k: TokenStream, at: &dyn ToTokens) -> Result<Val> {
        let span = at.span_of();
        Ok(match s {
            Sequence::Const(it) => Val::Const(self.constant_name(quote! {
                ::core::iter::Iterator::nth(&mut ::core::clone::Clone::clone(&#it), #k).unwrap()
            })),
            Sequence::Axis(of, axis) => {
                let view = View {
                    form: quote!(.index_axis_move(#axis, #k)),
                    whole: false,
                };
                let v = self.part_value(of, at)?;
                let rank = self.g.rank(v).map(|r| r.saturating_sub(1));
                match &**of {
                    Val::Place(place) => Val::Place(place.part(view, rank)),
                    _ => Val::Tensor(self.view(v, view, rank, span)?),
                }
            }
            Sequence::Lanes(of, axis) => {
                let v = self.part_value(of, at)?;
                let n = self.g.dim(v).map(dim_name);
                let others = self.others(of, *axis);
                let mut form = TokenStream::new();
                // From the last axis on, so that those before keep their numbers.
                for (at, &other) in others.iter().enumerate().rev() {
                    let after = others[at + 1..].iter().map(|a| quote!(/ #n[#a]));
                    let of = match at {
                        0 => quote!(#k #(#after)*),
                        _ => quote!(#k #(#after)* % #n[#other]),
                    };
                    let index = self.constant_name(of);
                    form.extend(quote! {
                        .index_axis_move(::backprop::tensor::ndarray::Axis(#other), #index)
                    });
                }
                let view = View { form, whole: false };
                match &**of {
                    Val::Place(place) => Val::Place(place.part(view, Some(1))),
                    _ => Val::Tensor(self.view(v, view, Some(1), span)?),
                }
            }
            Sequence::Elements(of) => self.nth(of, &k, at)?,
            Sequence::Indexed(of) => {
                let v = self.part_value(of, at)?;
                let (Some(rank), Some(d)) = (self.g.rank(v), self.g.dim(v)) else {
                    return Err(Rejected);
                };
                let element = self.nth(of, &k, at)?;
                let index = match rank {
                    1 => Val::Const(syn::parse_quote!(#k)),
                    _ => {
                        let all = self.position(d, rank, &k);
                        Val::Const(syn::parse_quote!((#(#all),*)))
                    }
                };
                Val::Tuple(vec![index, element])
            }
            Sequence::Blocks {
                of,
                sizes,
                steps,
                counts,
            } => {
                let mut ranges = Vec::new();
                for axis in 0..sizes.len() {
                    let after = counts[axis + 1..].iter().map(|c| quote!(/ #c));
                    let (count, step, size) = (&counts[axis], &steps[axis], &sizes[axis]);
                    let from = self.constant_name(quote!((#k #(#after)* % #count) * #step));
                    ranges.push(quote!(#from..#from + #size));
                }
                let view = View {
                    form: quote!(.slice_move(::backprop::tensor::ndarray::s![#(#ranges),*])),
                    whole: false,
                };
                Val::Tensor(self.view(*of, view, Some(sizes.len()), span)?)
            }
            Sequence::Chunks(v, axis, size) => {
                let n = self.g.dim(*v).map(dim_name);
                let from = self.constant_name(quote!(#k * #size));
                let to =
                    self.constant_name(quote!(::core::cmp::Ord::min(#from + #size, #n[#axis])));
                let rank = self.g.rank(*v);
                let ranges = (0..rank.unwrap_or(1)).map(|a| match a == *axis {
                    true => quote!(#from..#to),
                    false => quote!(..),
                });
                let view = View {
                    form: quote!(.slice_move(::backprop::tensor::ndarray::s![#(#ranges),*])),
                    whole: false,
                };
                Val::Tensor(self.view(*v, view, rank, span)?)
            }
            Sequence::List(v) => Val::Tensor(self.list_item(*v, k, span)),
            Sequence::Zip(a, b) => {
                let a = self.item(a, k.clone(), at)?;
                Val::Tuple(vec![a, self.item(b, k, at)?])
            }
            Sequence::Enumerate(a) => {
                let item = self.item(a, k.clone(), at)?;
                Val::Tuple(vec![Val::Const(syn::parse_quote!(#k)), item])
            }
            Sequence::Rev(a, n) => {
                let k = self.constant_name(quote!(#n - 1 - #k)).to_token_stream();
                self.item(a, k, at)?
            }
            Sequence::Skip(a, n) => {
                let k = self.constant_name(quote!(#k + #n)).to_token_stream();
                self.item(a, k, at)?
            }
            Sequence::Take(a, _) => self.item(a, k, at)?,
            Sequence::StepBy(a, n) => {
                let k = self.constant_name(quote!(#k * #n)).to_token_stream();
                self.item(a, k, at)?
            }
            Sequence::Map(a, f) => {
                let item = self.item(a, k, at)?;
                self.inlined(f, vec![item], at)?
            }
        })
    }

    /// One tensor of a list.
    pub fn list_item(&mut self, list: V, k: TokenStream, span: Span) -> V {
        let rank = self.g.rank(list);
        let dim = Dim(self.g.dims.len() as u32);
        let v = self.g.push(Op::Item(list, k), Ty::Tensor(rank, dim), span);
        self.g.new_dim(DimOp::Of(v), rank);
        v
    }

    /// What a constant iterator runs over, where the method called on it reads values of the function.
    pub fn constant_items(
        &mut self,
        m: &syn::ExprMethodCall,
        receiver: &syn::Expr,
    ) -> Result<Option<Rc<Sequence>>> {
        const METHODS: [&str; 4] = ["map", "fold", "for_each", "zip"];
        let mut reads = false;
        for a in m
            .args
            .iter()
            .filter(|_| METHODS.iter().any(|n| m.method == n))
        {
            reads |= self.reads_values(a)?;
        }
        if !reads {
            return Ok(None);
        }
        self.runs_over(Val::Const(receiver.clone()), &m.receiver)
            .map(|s| Some(Rc::new(s)))
    }
}

/// What an iterator is made of.
#[derive(Default)]
struct Adapters {
    closures: bool,
    /// It may have no end.
    endless: bool,
}

impl<'ast> syn::visit::Visit<'ast> for Adapters {
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {
        self.closures = true;
    }

    fn visit_expr_range(&mut self, r: &'ast syn::ExprRange) {
        self.endless |= r.end.is_none();
        syn::visit::visit_expr_range(self, r);
    }

    fn visit_ident(&mut self, name: &'ast proc_macro2::Ident) {
        let endless = ["cycle", "repeat", "repeat_with", "from_fn", "successors"];
        self.endless |= endless.iter().any(|n| name == n);
    }
}
