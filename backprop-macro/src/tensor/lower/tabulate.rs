//! Arrays made element by element: `from_shape_fn`, `array![…]`, `from_vec(vec![…])` of floats of the function.
//!
//! In: a constructor whose elements read tensors or floats. Out: a loop whose iterations compute an element each, or an array
//! of zeros and its elements stored one after another. What must hold: constructors of constants stay constant Rust.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::cell::Cell;
use syn::visit::Visit;

impl Lower<'_> {
    /// Whether an expression mentions values that may depend on the parameters, other than for their shapes.
    pub fn reads_values(&mut self, e: &syn::Expr) -> Result<bool> {
        let mut bound = Bound::default();
        bound.visit_expr(e);
        let mut reads = Reads {
            l: self,
            bound: bound.0,
            found: false,
        };
        reads.visit_expr(e);
        Ok(reads.found)
    }

    /// `from_shape_fn` with a closure of the function's.
    pub fn tabulated(
        &mut self,
        shape: &syn::Expr,
        rank: Rank,
        f: &syn::Expr,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let Val::Closure(f) = self.expr_function(f)? else {
            return self.reject(f, &errors::CLOSURE);
        };
        let dim = self.given(shape, rank, None)?;
        let Some(axes) = self.g.dim_rank(dim) else {
            return self.reject(at, &errors::TENSOR_RANK);
        };
        self.made(dim, at, &|l, k| {
            let index: Vec<syn::Expr> = match axes {
                1 => vec![syn::parse_quote!(#k)],
                _ => l.position(dim, axes, &k),
            };
            let arg = match index.as_slice() {
                [one] => one.clone(),
                all => syn::parse_quote!((#(#all),*)),
            };
            l.inlined(&f, vec![Val::Const(arg)], at)
        })
    }

    /// An array of what a body computes for each position, in order. No iteration sees the array, so that each writes one element.
    pub fn made(
        &mut self,
        dim: Dim,
        at: &dyn ToTokens,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<Val>,
    ) -> Result<Val> {
        let n = crate::tensor::emit::dim_name(dim);
        let count = self.g.new_const(quote!(#n.size()));
        let (of, span) = (self.g.loops.len(), at.span_of());
        // The body is lowered until nothing new changes in it: the last item is that of the loop.
        let last = Cell::new(None);
        self.repeated(count, at, &|l, k| {
            let item = body(l, k)?;
            let item = l.scalar_value(item, at)?;
            // In the loop, also where it is a float from outside.
            let name = operand(item);
            last.set(Some(l.map(
                syn::parse_quote!(#name),
                vec![item],
                None,
                span,
            )));
            Ok(())
        })?;
        let item = last.get().ok_or(Rejected)?;
        let ty = Ty::Tensor(self.g.dim_rank(dim), dim);
        let all = self.g.push(Op::Collected { of, item }, ty, span);
        self.g.loops[of].collected.push(all);
        Ok(Val::Tensor(all))
    }

    /// Elements side by side, row by row.
    pub fn listed(
        &mut self,
        all: &[syn::Expr],
        lengths: &[usize],
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let shape = quote!([#(#lengths),*]);
        let dim = self
            .g
            .new_dim(DimOp::Given(shape, None), Some(lengths.len()));
        let mut made = self.zeros(dim, at);
        for (k, e) in all.iter().enumerate() {
            let item = self.expr(e)?;
            let item = self.scalar_value(item, e)?;
            let index = (0..lengths.len()).map(|axis| {
                let after: usize = lengths[axis + 1..].iter().product();
                k / after % lengths[axis]
            });
            let ty = self.g.value(made).ty;
            let put = Op::Put(made, item, quote!([#(#index),*]));
            made = self.g.push(put, ty, at.span_of());
        }
        Ok(Val::Tensor(made))
    }

    fn zeros(&mut self, dim: Dim, at: &dyn ToTokens) -> V {
        let zero = self.sig.elem.zero();
        self.map(
            syn::parse_quote!(#zero),
            Vec::new(),
            Some(dim),
            at.span_of(),
        )
    }
}

/// Finds names of values.
struct Reads<'l, 'a> {
    l: &'l Lower<'a>,
    bound: std::collections::BTreeSet<String>,
    found: bool,
}

impl<'ast> Visit<'ast> for Reads<'_, '_> {
    fn visit_expr_path(&mut self, p: &'ast syn::ExprPath) {
        if let Some(ident) = p.path.get_ident()
            && !self.bound.contains(&ident.to_string())
        {
            let val = self.l.peek(ident);
            self.found |= val.is_some_and(|v| match v {
                Val::Const(_) => false,
                Val::Tensor(v) | Val::Scalar(v) => self.l.g.active(*v),
                _ => true,
            });
        }
    }

    fn visit_expr_method_call(&mut self, m: &'ast syn::ExprMethodCall) {
        if !SHAPE_QUERIES.contains(&m.method.to_string().as_str()) {
            self.visit_expr(&m.receiver);
        }
        m.args.iter().for_each(|a| self.visit_expr(a));
    }

    fn visit_macro(&mut self, m: &'ast syn::Macro) {
        let args = m.parse_body_with(
            syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated,
        );
        args.iter().flatten().for_each(|e| self.visit_expr(e));
    }
}
