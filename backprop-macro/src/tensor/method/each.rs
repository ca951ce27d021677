//! Elements that are changed where they stand: `for_each`, `zip_mut_with`, `map_inplace`, `for x in a.iter_mut()`.
//!
//! In: the elements side by side, and a closure of them. Out: for each array that is changed, one elementwise operation of what all
//! of them held before; or a loop over the elements, where the closure changes variables outside of it.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Closure, Form, Lower, Nest, Val, Zip};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;

impl Lower<'_> {
    /// The tensor whose elements are a part of a `Zip`.
    pub fn part_value(&mut self, part: &Val, at: &dyn ToTokens) -> Result<V> {
        let val = match part {
            Val::Place(place) => self.read(place)?,
            other => other.clone(),
        };
        match val {
            Val::Tensor(v) => Ok(v),
            _ => self.reject(at, &errors::TENSOR_EXPRESSION),
        }
    }

    /// An argument of `Zip::from` or `and`: a tensor, or one that is changed.
    pub fn zip_part(&mut self, e: &syn::Expr) -> Result<Val> {
        match self.borrow(e)? {
            Some(place) => Ok(Val::Place(place)),
            None => self.expr(e),
        }
    }

    /// A closure of one element of each part.
    pub fn each(&mut self, parts: Vec<Val>, f: &syn::Expr, at: &dyn ToTokens) -> Result<Val> {
        let zip = Zip {
            pattern: Nest::Tuple((0..parts.len()).map(Nest::Part).collect()),
            parts,
            by_ref: true,
            form: Form::Zip,
        };
        let Val::Closure(closure) = self.expr_function(f)? else {
            return self.reject(f, &errors::CLOSURE);
        };
        self.each_of(&zip, &closure, at)
    }

    /// `for_each` of a `Zip` or an iterator.
    pub fn each_of(&mut self, z: &Zip, closure: &Closure, at: &dyn ToTokens) -> Result<Val> {
        let mut pairs = Vec::new();
        let inputs = match (z.form, closure.inputs.split_first()) {
            (Form::Indexed, Some((_, inputs))) => inputs,
            _ => closure.inputs.as_slice(),
        };
        let found = match (inputs, &z.pattern) {
            ([one], nest) => matched(one, nest, &mut pairs),
            (all, Nest::Tuple(nests)) if all.len() == nests.len() => {
                let mut each = all.iter().zip(nests);
                each.all(|(p, n)| matched(p, n, &mut pairs))
            }
            _ => false,
        };
        if !found {
            return self.reject(at, &errors::CLOSURE);
        }
        let changes = z.parts.iter().any(|p| match p {
            Val::Seq(s) => s.changes(),
            p => matches!(p, Val::Place(_)),
        });
        let captured = closure.captured.iter();
        let outside = captured.filter(|(_, v)| matches!(v, Val::Place(_))).count() > 0;
        // Without a change it is run for what it may do else.
        if !changes
            || outside
            || z.form == Form::Indexed
            || super::zip::by_loop(z)
            || super::zip::reads_tensors(closure)
        {
            let indexed = closure.inputs.first().filter(|_| z.form == Form::Indexed);
            self.over_elements(z, at, &|l, mut items| {
                for (ident, val) in &closure.captured {
                    l.declare(ident, val.clone());
                }
                if let Some(pat) = indexed {
                    l.bind(pat, items.remove(0), None)?;
                }
                for (pat, part) in &pairs {
                    l.bind(pat, items[*part].clone(), None)?;
                }
                l.expr(&closure.body).map(|_| ())
            })?;
            return Ok(Val::Unit);
        }
        let (captures, outer) = self.captures(closure)?;
        let mut values = Vec::new();
        for p in &z.parts {
            values.push(self.part_value(p, at)?);
        }
        let mut prelude = captures;
        let mut body = closure.body.clone();
        for (pat, k) in &pairs {
            let a = operand(values[*k]);
            match (&z.parts[*k], plain(pat)) {
                (Val::Place(_), syn::Pat::Wild(_)) => {}
                (Val::Place(_), syn::Pat::Ident(p)) => {
                    let name = &p.ident;
                    prelude.extend(quote!(let mut #name = #a;));
                    Through(name.clone()).visit_expr_mut(&mut body);
                }
                (Val::Place(_), _) => return self.reject(pat, &errors::CLOSURE),
                _ if z.by_ref => prelude.extend(quote!(let #pat = &#a;)),
                _ => prelude.extend(quote!(let #pat = #a;)),
            }
        }
        let mut news = Vec::new();
        for (pat, k) in &pairs {
            let (Val::Place(place), syn::Pat::Ident(p)) = (&z.parts[*k], plain(pat)) else {
                continue;
            };
            let (v, name) = (values[*k], &p.ident);
            let mut operands = vec![v];
            operands.extend(values.iter().chain(&outer).copied());
            let body = syn::parse_quote!({ #prelude { #body }; #name });
            let new = self.map(body, operands, self.g.dim(v), at.to_token_stream().span());
            news.push((place.clone(), new));
        }
        for (place, new) in news {
            self.store(&place, Val::Tensor(new), at)?;
        }
        Ok(Val::Unit)
    }

    /// `for x in a.iter_mut() { … }` that does no more than change the elements; false where it is a loop like others.
    pub fn each_loop(&mut self, f: &syn::ExprForLoop) -> Result<bool> {
        if !iterates(&f.expr) {
            return Ok(false);
        }
        let mut inner = Statements(false);
        inner.visit_block(&f.body);
        let (pat, body) = (&f.pat, &f.body);
        if inner.0 {
            return Ok(false);
        }
        let Val::Zip(z) = self.expr(&f.expr)? else {
            return Ok(false);
        };
        let Val::Closure(closure) = self.expr(&syn::parse_quote!(|#pat| #body))? else {
            return Ok(false);
        };
        let floats = closure
            .captured
            .iter()
            .all(|(_, v)| matches!(v, Val::Scalar(_) | Val::Const(_) | Val::Closure(_)));
        if !floats || !z.parts.iter().any(|p| matches!(p, Val::Place(_))) {
            return Ok(false);
        }
        self.each_of(&z, &closure, &f.expr)?;
        Ok(true)
    }

    /// A loop over the elements of all parts, which may change variables outside of it.
    pub fn over_elements(
        &mut self,
        z: &Zip,
        at: &dyn ToTokens,
        body: &dyn Fn(&mut Self, Vec<Val>) -> Result<()>,
    ) -> Result<()> {
        let shape = self.part_shape(&z.parts[0], at)?;
        let n = crate::tensor::emit::dim_name(shape);
        let count = self.g.new_const(quote!(#n.size()));
        self.repeated(count, at, &|l, k| {
            let items = l.zip_items(z, &k, at)?;
            body(l, items)
        })
    }

    /// What a closure of all parts is called with at a position.
    pub fn zip_items(
        &mut self,
        z: &Zip,
        k: &proc_macro2::TokenStream,
        at: &dyn ToTokens,
    ) -> Result<Vec<Val>> {
        let mut items = Vec::new();
        if z.form == Form::Indexed {
            let d = self.part_shape(&z.parts[0], at)?;
            let Some(rank) = self.g.dim_rank(d) else {
                return self.reject(at, &errors::TENSOR_RANK);
            };
            items.push(Val::Const(match rank {
                1 => syn::parse_quote!(#k),
                _ => {
                    let all = self.position(d, rank, k);
                    syn::parse_quote!((#(#all),*))
                }
            }));
        }
        for part in &z.parts {
            items.push(match part {
                Val::Seq(s) => self.item(s, k.clone(), at)?,
                part => self.nth(part, k, at)?,
            });
        }
        Ok(items)
    }

    /// The shape of a part of a `Zip`: that of its elements, or of its subviews.
    pub fn part_shape(&mut self, part: &Val, at: &dyn ToTokens) -> Result<Dim> {
        if let Val::Seq(s) = part {
            return self.producer_shape(s, at);
        }
        let v = self.part_value(part, at)?;
        self.g.dim(v).ok_or(Rejected)
    }

    /// The element at a position, in logical order.
    pub fn nth(
        &mut self,
        part: &Val,
        k: &proc_macro2::TokenStream,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let v = self.part_value(part, at)?;
        let (Some(rank), Some(d)) = (self.g.rank(v), self.g.dim(v)) else {
            return self.reject(at, &errors::TENSOR_RANK);
        };
        let index = match rank {
            1 => quote!([#k]),
            _ => {
                let all = self.position(d, rank, k);
                quote!([#(#all),*])
            }
        };
        Ok(match part {
            Val::Place(place) => Val::Place(crate::tensor::lower::Place {
                element: Some(index),
                ..place.clone()
            }),
            _ => Val::Scalar(self.element(v, index, at.to_token_stream().span())),
        })
    }

    /// The indices of the element at a position, in logical order.
    pub fn position(
        &mut self,
        d: Dim,
        rank: usize,
        k: &proc_macro2::TokenStream,
    ) -> Vec<syn::Expr> {
        let n = crate::tensor::emit::dim_name(d);
        let of = |axis: usize| {
            let after = (axis + 1..rank).map(|a| quote!(/ #n[#a]));
            match axis {
                0 => quote!(#k #(#after)*),
                _ => quote!(#k #(#after)* % #n[#axis]),
            }
        };
        (0..rank).map(|axis| self.constant_name(of(axis))).collect()
    }

    /// `accumulate_axis_inplace`: each subview from the one before it.
    pub fn accumulated(
        &mut self,
        v: V,
        axis: proc_macro2::TokenStream,
        f: &syn::Expr,
        m: &syn::ExprMethodCall,
    ) -> Result<Val> {
        let (place, rank) = (self.borrowed(&m.receiver)?, self.g.rank(v));
        let Some(n) = self.g.dim(v).map(crate::tensor::emit::dim_name) else {
            return Err(Rejected);
        };
        let count = quote!(::core::primitive::usize::saturating_sub(#n[(#axis).index()], 1));
        let count = self.g.new_const(count);
        let fewer = rank.map(|r| r.saturating_sub(1));
        self.repeated(count, m, &|l, k| {
            let view = |at| View {
                form: quote!(.index_axis_move(#axis, #at)),
                whole: false,
            };
            let next = l.constant_name(quote!(#k + 1));
            let before = l.read(&place.part(view(k.clone()), fewer))?;
            let here = Val::Place(place.part(view(next.to_token_stream()), fewer));
            l.each(vec![before, here], f, m).map(|_| ())
        })?;
        Ok(Val::Unit)
    }

    /// A map whose closure reads tensors outside of it: one element after another.
    pub fn map_with_tensors(
        &mut self,
        v: V,
        f: &syn::Expr,
        m: &syn::ExprMethodCall,
    ) -> Result<Option<Val>> {
        if !matches!(f, syn::Expr::Closure(_)) {
            return Ok(None);
        }
        let Val::Closure(closure) = self.expr(f)? else {
            return Ok(None);
        };
        let Some(d) = self
            .g
            .dim(v)
            .filter(|_| super::zip::reads_tensors(&closure))
        else {
            return Ok(None);
        };
        let made = self.made(d, m, &|l, k| {
            let item = l.nth(&Val::Tensor(v), &k, m)?;
            l.inlined(&closure, vec![item], m)
        })?;
        Ok(Some(made))
    }
}

/// Elements of arrays side by side, some of which are changed.
fn iterates(e: &syn::Expr) -> bool {
    let mut names = Methods(Vec::new());
    names.visit_expr(e);
    let known = ["iter", "iter_mut", "zip", "into_iter"];
    let spelt = |n: &String| known.contains(&n.as_str());
    names.0.iter().any(|n| n == "iter_mut") && names.0.iter().all(spelt)
}

struct Methods(Vec<String>);
impl<'ast> Visit<'ast> for Methods {
    fn visit_expr_method_call(&mut self, m: &'ast syn::ExprMethodCall) {
        self.0.push(m.method.to_string());
        syn::visit::visit_expr_method_call(self, m);
    }
}

/// Loops and ways out of them.
struct Statements(bool);
impl<'ast> Visit<'ast> for Statements {
    fn visit_expr(&mut self, e: &'ast syn::Expr) {
        use syn::Expr::*;
        self.0 |= matches!(
            e,
            ForLoop(_) | While(_) | Loop(_) | Break(_) | Continue(_) | Return(_) | Try(_)
        );
        syn::visit::visit_expr(self, e);
    }
}

fn plain(pat: &syn::Pat) -> &syn::Pat {
    match pat {
        syn::Pat::Type(t) => plain(&t.pat),
        syn::Pat::Paren(p) => plain(&p.pat),
        other => other,
    }
}

/// Which pattern belongs to which part.
fn matched(pat: &syn::Pat, nest: &Nest, out: &mut Vec<(syn::Pat, usize)>) -> bool {
    match (plain(pat), nest) {
        (_, Nest::Part(k)) => {
            out.push((pat.clone(), *k));
            true
        }
        (syn::Pat::Tuple(t), Nest::Tuple(all)) if t.elems.len() == all.len() => {
            let mut each = t.elems.iter().zip(all);
            each.all(|(p, n)| matched(p, n, out))
        }
        (pat, Nest::Tuple(all)) if all.len() == 1 => matched(pat, &all[0], out),
        _ => false,
    }
}

/// A name for an element instead of a reference to it.
struct Through(syn::Ident);
impl VisitMut for Through {
    fn visit_expr_mut(&mut self, e: &mut syn::Expr) {
        if let syn::Expr::Unary(u) = e
            && matches!(u.op, syn::UnOp::Deref(_))
            && matches!(&*u.expr, syn::Expr::Path(p) if p.path.is_ident(&self.0))
        {
            let inner = (*u.expr).clone();
            *e = inner;
            return;
        }
        syn::visit_mut::visit_expr_mut(self, e);
    }
}
