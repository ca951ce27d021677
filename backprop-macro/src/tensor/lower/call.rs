//! Macros, calls of functions by path, and constructors of arrays.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use crate::tensor::signature::axes;
use quote::{ToTokens, quote, quote_spanned};
use std::collections::BTreeSet;
use syn::spanned::Spanned;

impl Lower<'_> {
    pub fn macro_call(&mut self, mac: &syn::Macro) -> Result<Val> {
        let name = mac
            .path
            .segments
            .last()
            .map(|s| s.ident.to_string())
            .unwrap_or_default();
        let args = || {
            mac.parse_body_with(
                syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated,
            )
        };
        match name.as_str() {
            "assert" | "assert_eq" | "assert_ne" | "debug_assert" | "debug_assert_eq"
            | "debug_assert_ne" => {
                let Ok(args) = args() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let mut all = Vec::new();
                for (k, e) in args.iter().enumerate() {
                    all.push(match k == 0 && name.ends_with("assert") {
                        true => self.condition(e)?,
                        false => self.constant(e)?,
                    });
                }
                let path = &mac.path;
                self.g.stmts.push(Stmt::Effect(quote!(#path!(#(#all),*);)));
                Ok(Val::Unit)
            }
            // What a loop that may return starts with.
            "__nothing" => Ok(match self.sig.output {
                Out::Nothing => Val::Unit,
                Out::Tensor(rank) => {
                    let empty = quote!(::backprop::tensor::empty());
                    Val::Tensor(self.constant_tensor(empty, rank, mac.span()))
                }
                _ => Val::Scalar(self.map(self.number(false), Vec::new(), None, mac.span())),
            }),
            "concatenate" | "stack" => {
                let Ok(args) = args() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let args: Vec<syn::Expr> = args.into_iter().collect();
                let Some((axis, parts)) = args.split_first() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let parts: Result<Vec<V>> = parts.iter().map(|e| self.tensor(e)).collect();
                self.concatenate(axis, parts?, name == "stack", mac)
            }
            "array" => {
                let Ok(args) = args() else {
                    return self.reject(mac, &errors::TENSOR_EXPRESSION);
                };
                let rank = array_rank(args.first());
                let mut active = false;
                for a in &args {
                    active |= self.reads_values(a)?;
                }
                if active {
                    let (mut all, mut lengths) = (Vec::new(), Vec::new());
                    let whole: syn::Expr = {
                        let args = args.iter();
                        syn::parse_quote!([#(#args),*])
                    };
                    if !rows(&whole, 0, &mut lengths, &mut all) {
                        return self.reject(mac, &errors::TENSOR_EXPRESSION);
                    }
                    return self.listed(&all, &lengths, mac);
                }
                let all: Result<Vec<syn::Expr>> = args.iter().map(|e| self.constant(e)).collect();
                let (path, all) = (&mac.path, all?);
                let v = self.constant_tensor(quote!(#path![#(#all),*]), Some(rank), mac.span());
                Ok(Val::Tensor(v))
            }
            "vec" | "cfg" | "env" | "line" | "matches" => {
                let mut names = BTreeSet::new();
                crate::items::identifiers(mac.tokens.clone(), &mut names);
                for scope in &self.scopes[self.floor..] {
                    for (name, entries) in scope {
                        let constant = entries.iter().all(|(_, v)| {
                            matches!(v, Val::Const(syn::Expr::Path(p)) if p.path.get_ident().is_some_and(|i| i == name))
                        });
                        if names.contains(name) && !constant {
                            return self.errors_at(mac);
                        }
                    }
                }
                let e = syn::ExprMacro {
                    attrs: Vec::new(),
                    mac: mac.clone(),
                };
                Ok(Val::Const(syn::Expr::Macro(e)))
            }
            _ => Err(self.errors.reject_named(&mac.path, &errors::MACRO, &name)),
        }
    }

    pub fn errors_at(&self, mac: &syn::Macro) -> Result<Val> {
        let name = mac.path.to_token_stream().to_string();
        Err(self.errors.reject_named(&mac.path, &errors::MACRO, &name))
    }

    pub fn concatenate(
        &mut self,
        axis: &syn::Expr,
        parts: Vec<V>,
        stack: bool,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let axis = self.argument(axis)?;
        let span = at.span_of();
        let mut all = Vec::new();
        if let (true, Some(d)) = (stack, parts.first().and_then(|&v| self.g.dim(v))) {
            let n = crate::tensor::emit::dim_name(d);
            let check = quote!(::backprop::tensor::stacked_along(#n.ndim(), #axis).unwrap(););
            self.g.stmts.push(Stmt::Effect(check));
        }
        for v in parts {
            all.push(if stack {
                let view = View {
                    form: quote!(.insert_axis(#axis)),
                    whole: true,
                };
                let rank = self.g.rank(v).map(|r| r + 1);
                self.view(v, view, rank, span)?
            } else {
                v
            });
        }
        let Some(rank) = all.first().map(|&v| self.g.rank(v)) else {
            return self.reject(at, &errors::TENSOR_EXPRESSION);
        };
        let dims = all.iter().filter_map(|&v| self.g.dim(v)).collect();
        let dim = self.g.new_dim(DimOp::Concatenate(dims, axis.clone()), rank);
        let v = self
            .g
            .push(Op::Concatenate(all, axis), Ty::Tensor(rank, dim), span);
        Ok(Val::Tensor(v))
    }

    pub fn call(&mut self, c: &syn::ExprCall) -> Result<Val> {
        let syn::Expr::Path(path) = &*c.func else {
            return self.reject(c, &errors::TENSOR_EXPRESSION);
        };
        if let Some(ident) = path.path.get_ident()
            && let Some(val) = self.find(ident)?
        {
            let Val::Closure(closure) = val else {
                return self.reject(c, &errors::TENSOR_EXPRESSION);
            };
            // A closure of this function's: inlined.
            let mut args = Vec::new();
            for a in &c.args {
                args.push(self.bindable(a, None)?);
            }
            return self.inlined(&closure, args, c);
        }
        let segments: Vec<String> = path
            .path
            .segments
            .iter()
            .map(|s| s.ident.to_string())
            .collect();
        let last = segments.last().cloned().unwrap_or_default();
        let holder = segments
            .len()
            .checked_sub(2)
            .map(|k| segments[k].as_str())
            .unwrap_or("");
        if let Some(base) = holder.strip_prefix("Array") {
            return self.constructor(c, path, base.strip_prefix("View").unwrap_or(base), &last);
        }
        if holder == "Zip" && (last == "from" || last == "indexed") && c.args.len() == 1 {
            let part = self.zip_part(&c.args[0])?;
            self.part_shape(&part, c)?;
            return Ok(Val::Zip(Zip {
                parts: vec![part],
                pattern: Nest::Part(0),
                by_ref: true,
                form: match last == "indexed" {
                    true => Form::Indexed,
                    false => Form::Zip,
                },
            }));
        }
        if holder == "mem" && (last == "swap" || last == "replace") && c.args.len() == 2 {
            let first = self.borrowed_by(&c.args[0])?;
            let old = self.read(&first)?;
            if last == "swap" {
                let second = self.borrowed_by(&c.args[1])?;
                let other = self.read(&second)?;
                self.store(&second, old, c)?;
                self.store(&first, other, c)?;
                return Ok(Val::Unit);
            }
            let new = self.expr(&c.args[1])?;
            self.store(&first, new, c)?;
            return Ok(old);
        }
        if last == "concatenate" || last == "stack" {
            // `ndarray::concatenate(Axis(0), &[a.view(), b.view()])`, a `Result`.
            let [axis, list] = [c.args.first(), c.args.get(1)];
            if let (Some(axis), Some(list)) = (axis, list) {
                let list = match list {
                    syn::Expr::Reference(r) => &*r.expr,
                    other => other,
                };
                if let syn::Expr::Array(a) = list {
                    let parts: Result<Vec<V>> = a.elems.iter().map(|e| self.tensor(e)).collect();
                    let val = self.concatenate(axis, parts?, last == "stack", c)?;
                    return Ok(self.optional(val));
                }
            }
            return self.reject(c, &errors::TENSOR_EXPRESSION);
        }
        let axes = ["arr1", "aview1", "arr2", "aview2", "arr3"];
        if axes.contains(&last.as_str())
            && let [list] = c.args.iter().collect::<Vec<_>>().as_slice()
            && let syn::Expr::Reference(r) = bare(list)
            && let syn::Expr::Array(_) = bare(&r.expr)
            && self.reads_values(list)?
        {
            let (mut all, mut lengths) = (Vec::new(), Vec::new());
            let even = rows(bare(&r.expr), 0, &mut lengths, &mut all);
            if !even || !last.ends_with(&lengths.len().to_string()) {
                return self.reject(c, &errors::TENSOR_EXPRESSION);
            }
            return self.listed(&all, &lengths, c);
        }
        let mut vals = Vec::new();
        for a in &c.args {
            vals.push(self.expr(a)?);
        }
        match (last.as_str(), vals.as_slice()) {
            // Floats in a list are a vector like any other.
            ("arr1" | "aview1", [Val::Tensor(v)]) if self.g.rank(*v) == Some(1) => {
                return Ok(Val::Tensor(*v));
            }
            ("arr0" | "aview0", [Val::Scalar(v)]) => {
                let (v, a) = (*v, operand(*v));
                let dim = self.g.new_dim(DimOp::Given(quote!(()), None), Some(0));
                let body = syn::parse_quote!(#a);
                return Ok(Val::Tensor(self.map(body, vec![v], Some(dim), c.span())));
            }
            _ => {}
        }
        let constant = vals.iter().all(|v| matches!(v, Val::Const(_)));
        let axes = ["arr0", "arr1", "arr2", "arr3"]
            .iter()
            .position(|n| *n == last);
        if let (true, Some(rank)) = (constant, axes) {
            let e = self.constant(&syn::Expr::Call(c.clone()))?;
            let v = self.constant_tensor(e.to_token_stream(), Some(rank), c.span());
            return Ok(Val::Tensor(v));
        }
        if constant {
            return Ok(Val::Const(self.constant(&syn::Expr::Call(c.clone()))?));
        }
        let scalars = vals
            .iter()
            .all(|v| matches!(v, Val::Const(_) | Val::Scalar(_)));
        if !scalars {
            return self.annotated(c, path);
        }
        // A function of scalars: the scalar compiler knows what it is.
        let mut operands = Vec::new();
        let mut args = Vec::new();
        for v in vals {
            match v {
                Val::Scalar(v) => {
                    operands.push(v);
                    args.push(operand(v).to_token_stream());
                }
                Val::Const(e) => args.push(e.to_token_stream()),
                _ => {}
            }
        }
        let f = &c.func;
        let body = syn::parse2(quote_spanned!(c.span()=> #f(#(#args),*))).map_err(|_| Rejected)?;
        let v = self.map(body, operands, None, c.span());
        Ok(Val::Scalar(v))
    }

    /// `Array2::zeros(shape)` and its like.
    pub fn constructor(
        &mut self,
        c: &syn::ExprCall,
        path: &syn::ExprPath,
        base: &str,
        name: &str,
    ) -> Result<Val> {
        let span = c.span();
        let args: Vec<&syn::Expr> = c.args.iter().collect();
        let fixed = match base {
            "" => {
                // `Array::<f64, Ix2>::zeros`, or as many axes as the shape shows.
                let holder = &path.path.segments[path.path.segments.len() - 2];
                match &holder.arguments {
                    syn::PathArguments::AngleBracketed(a) => a.args.iter().find_map(|a| match a {
                        syn::GenericArgument::Type(t) => axes(t),
                        _ => None,
                    }),
                    _ => None,
                }
            }
            "D" => Some(None),
            digit => match digit.parse() {
                Ok(n) => Some(Some(n)),
                Err(_) => return self.reject(path, &errors::TENSOR_EXPRESSION),
            },
        };
        match (name, args.as_slice()) {
            ("zeros" | "ones", [shape]) | ("from_elem", [shape, _]) => {
                let rank = match fixed {
                    Some(rank) => rank,
                    None => self.shape_rank(shape)?,
                };
                let dim = self.given(shape, rank, None)?;
                let fill = match name {
                    "zeros" => Val::Const(self.number(false)),
                    "ones" => Val::Const(self.number(true)),
                    _ => self.expr(args[1])?,
                };
                let (body, operands): (syn::Expr, Vec<V>) = match fill {
                    Val::Const(e) => (e, Vec::new()),
                    Val::Scalar(v) => {
                        let a = operand(v);
                        (syn::parse_quote!(#a), vec![v])
                    }
                    _ => return self.reject(c, &errors::TENSOR_EXPRESSION),
                };
                Ok(Val::Tensor(self.map(body, operands, Some(dim), span)))
            }
            ("from_shape_fn", [shape, f]) if self.reads_values(f)? => {
                let rank = match fixed {
                    Some(rank) => rank,
                    None => self.shape_rank(shape)?,
                };
                self.tabulated(shape, rank, f, c)
            }
            ("from_vec" | "from_iter" | "from", [list]) if self.reads_values(list)? => {
                let list = match bare(list) {
                    syn::Expr::Macro(m) if m.mac.path.is_ident("vec") => {
                        let parsed = syn::parse2(m.mac.tokens.clone());
                        return match parsed {
                            Ok(List(all)) => self.listed(&all, &[all.len()], c),
                            Err(_) => self.reject(list, &errors::TENSOR_EXPRESSION),
                        };
                    }
                    syn::Expr::Array(a) => {
                        let all: Vec<syn::Expr> = a.elems.iter().cloned().collect();
                        return self.listed(&all, &[all.len()], c);
                    }
                    other => other,
                };
                match self.expr(list)? {
                    Val::Tensor(v) if self.g.rank(v) == Some(1) => Ok(Val::Tensor(v)),
                    Val::Seq(s) => self.collected(&s, c),
                    Val::Zip(z) => {
                        let v = self.single(&z, c)?;
                        match self.g.rank(v) {
                            Some(1) => Ok(Val::Tensor(v)),
                            _ => self.reject(list, &errors::TENSOR_RANK),
                        }
                    }
                    _ => self.reject(list, &errors::TENSOR_EXPRESSION),
                }
            }
            ("from_shape" | "from_shape_vec", [shape, list]) if self.reads_values(list)? => {
                let v = self.tensor(list)?;
                let rank = match fixed {
                    Some(rank) => rank,
                    None => self.shape_rank(shape)?,
                };
                let Some(of) = self.g.dim(v) else {
                    return Err(Rejected);
                };
                let shape = self.argument(shape)?;
                let given = self.g.new_dim(DimOp::Listed(shape, of), rank);
                let v = self.g.push(Op::Reshape(v), Ty::Tensor(rank, given), span);
                Ok(self.optional(Val::Tensor(v)))
            }
            ("from_diag", [v]) if self.reads_values(v)? => {
                let v = self.tensor(v)?;
                let (Some(1), Some(d)) = (self.g.rank(v), self.g.dim(v)) else {
                    return self.reject(c, &errors::TENSOR_RANK);
                };
                let n = crate::tensor::emit::dim_name(d);
                let dim = self
                    .g
                    .new_dim(DimOp::Given(quote!((#n[0], #n[0])), None), Some(2));
                let zero = self.sig.elem.zero();
                let zeros = self.map(syn::parse_quote!(#zero), Vec::new(), Some(dim), span);
                let view = View {
                    form: quote!(.into_diag()),
                    whole: false,
                };
                let v = self.assign_part(zeros, Val::Tensor(v), view, Some(1), c)?;
                Ok(Val::Tensor(v))
            }
            ("linspace" | "range" | "logspace" | "geomspace", _) if fixed.is_none() => {
                let e = self.constant(&syn::Expr::Call(c.clone()))?;
                let v = self.constant_tensor(e.to_token_stream(), Some(1), span);
                Ok(Val::Tensor(v))
            }
            ("eye", [_]) if fixed.is_none() => {
                let e = self.constant(&syn::Expr::Call(c.clone()))?;
                let v = self.constant_tensor(e.to_token_stream(), Some(2), span);
                Ok(Val::Tensor(v))
            }
            _ => {
                let Some(rank) = fixed.or(if name == "from_vec" {
                    Some(Some(1))
                } else {
                    None
                }) else {
                    return self.reject(path, &errors::TENSOR_RANK);
                };
                let e = self.constant(&syn::Expr::Call(c.clone()))?;
                let v = self.constant_tensor(e.to_token_stream(), rank, span);
                Ok(match name {
                    "from_shape_vec" => Val::Opt(Box::new(Val::Tensor(v)), Absent::Never),
                    _ => Val::Tensor(v),
                })
            }
        }
    }

    /// The number of axes that a shape expression shows.
    pub fn shape_rank(&mut self, e: &syn::Expr) -> Result<Rank> {
        match e {
            syn::Expr::Tuple(t) => Ok(Some(t.elems.len())),
            syn::Expr::Array(a) => Ok(Some(a.elems.len())),
            syn::Expr::Paren(p) => self.shape_rank(&p.expr),
            syn::Expr::Group(p) => self.shape_rank(&p.expr),
            syn::Expr::Reference(r) => self.shape_rank(&r.expr),
            syn::Expr::Lit(_) => Ok(Some(1)),
            syn::Expr::MethodCall(m) => {
                match (m.method.to_string().as_str(), self.expr(&m.receiver)?) {
                    ("raw_dim" | "dim", Val::Tensor(v)) => Ok(self.g.rank(v)),
                    ("nrows" | "ncols" | "len" | "len_of", _) => Ok(Some(1)),
                    ("f", Val::Const(_)) => self.shape_rank(&m.receiver),
                    _ => self.reject(e, &errors::TENSOR_RANK),
                }
            }
            syn::Expr::Path(_) | syn::Expr::Binary(_) => match self.expr(e)? {
                Val::Const(syn::Expr::Tuple(t)) => Ok(Some(t.elems.len())),
                Val::Const(_) => Ok(Some(1)),
                _ => self.reject(e, &errors::TENSOR_RANK),
            },
            _ => self.reject(e, &errors::TENSOR_RANK),
        }
    }

    /// A shape given by constant Rust.
    pub fn given(&mut self, shape: &syn::Expr, rank: Rank, of: Option<Dim>) -> Result<Dim> {
        let shape = self.argument(shape)?;
        Ok(self.g.new_dim(DimOp::Given(shape, of), rank))
    }
}

/// The elements of nested brackets, and how many there are on each level; false where they are ragged.
fn rows(e: &syn::Expr, level: usize, lengths: &mut Vec<usize>, out: &mut Vec<syn::Expr>) -> bool {
    let syn::Expr::Array(a) = bare(e) else {
        out.push(e.clone());
        return level == lengths.len();
    };
    if lengths.len() == level {
        lengths.push(a.elems.len());
    }
    lengths[level] == a.elems.len() && a.elems.iter().all(|e| rows(e, level + 1, lengths, out))
}

/// Expressions between commas.
struct List(Vec<syn::Expr>);
impl syn::parse::Parse for List {
    fn parse(input: syn::parse::ParseStream) -> syn::Result<Self> {
        let all =
            syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated(input)?;
        Ok(List(all.into_iter().collect()))
    }
}

fn bare(e: &syn::Expr) -> &syn::Expr {
    match e {
        syn::Expr::Paren(p) => bare(&p.expr),
        syn::Expr::Group(p) => bare(&p.expr),
        other => other,
    }
}

fn array_rank(first: Option<&syn::Expr>) -> usize {
    match first {
        Some(syn::Expr::Array(a)) => 1 + array_rank(a.elems.first()),
        _ => 1,
    }
}
