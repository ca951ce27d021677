//! Arrays made element by element: `from_shape_fn`, `array![…]`, `from_vec(vec![…])` of floats of the function.
//!
//! In: a constructor whose elements read tensors or floats. Out: an array of zeros, and its elements stored one after another. What must
//! hold: constructors of constants stay constant Rust.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::*;
use quote::{ToTokens, quote};
use syn::visit::Visit;

/// What an element is, by its position and its indices.
type Item<'i> = &'i dyn Fn(&mut Lower, &TokenStream, &[syn::Expr]) -> Result<Val>;

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
        self.made(dim, at, &|l, _, index| {
            let arg = match index {
                [one] => one.clone(),
                all => syn::parse_quote!((#(#all),*)),
            };
            l.inlined(&f, vec![Val::Const(arg)], at)
        })
    }

    /// An array of a shape, one element after another: what `item` makes of its position and indices.
    pub fn made(&mut self, dim: Dim, at: &dyn ToTokens, item: Item) -> Result<Val> {
        let Some(axes) = self.g.dim_rank(dim) else {
            return self.reject(at, &errors::TENSOR_RANK);
        };
        let start = self.zeros(dim, at);
        let n = crate::tensor::emit::dim_name(dim);
        let count = self.g.new_const(quote!(#n.size()));
        let name = Ident::new("__made", Span::mixed_site());
        self.scoped(|l| {
            l.declare(&name, Val::Tensor(start));
            l.repeated(count, at, &|l, k| {
                let index: Vec<syn::Expr> = match axes {
                    1 => vec![syn::parse_quote!(#k)],
                    _ => l.position(dim, axes, &k),
                };
                let item = item(l, &k, &index)?;
                let item = l.scalar_value(item, at)?;
                let Some(Val::Tensor(all)) = l.find(&name)? else {
                    return Err(Rejected);
                };
                let ty = l.g.value(all).ty;
                let put = Op::Put(all, item, quote!([#(#index),*]));
                let put = l.g.push(put, ty, at.span_of());
                l.assign(&name, Val::Tensor(put))
            })?;
            l.find(&name)?.ok_or(Rejected)
        })
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
