//! `fold`, `fold_axis` and `map_axis`: an annotated function of a slice, for each lane or for all elements.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, SpanOf, Val};
use quote::{ToTokens, format_ident, quote};

impl Lower<'_> {
    /// `fold` of all elements, or of each lane: an annotated function of a slice.
    pub fn fold(
        &mut self,
        v: V,
        axis: Option<proc_macro2::TokenStream>,
        init: &syn::Expr,
        f: &syn::Expr,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let by_ref = axis.is_some();
        let args = [quote!(__fold), quote!(*__x)];
        // Closures of `fold` take the element by reference; those of `fold_axis` the accumulator too.
        let closure = match f {
            syn::Expr::Closure(_) => self.apply_fold(f, quote!(__fold), by_ref)?,
            _ => self.apply(f, &args, false)?,
        };
        let (body, mut operands) = closure;
        let (start, more) = match self.expr(init)? {
            Val::Const(e) => (e, None),
            Val::Scalar(s) => {
                let a = operand(s);
                (syn::parse_quote!(#a), Some(s))
            }
            _ => return self.reject(init, &errors::NOT_SCALAR),
        };
        operands.extend(more);
        let t = self.sig.elem.tokens();
        let body = quote!({
            let mut __fold: #t = #start;
            for __x in __row {
                __fold = #body;
            }
            __fold
        });
        self.lane_function(v, axis, body, operands, at)
    }

    pub fn apply_fold(
        &mut self,
        f: &syn::Expr,
        fold: proc_macro2::TokenStream,
        by_ref: bool,
    ) -> Result<(syn::Expr, Vec<V>)> {
        let Val::Closure(c) = self.expr(f)? else {
            return self.reject(f, &errors::CLOSURE);
        };
        if c.inputs.len() != 2 {
            return self.reject(f, &errors::CLOSURE);
        }
        let (prelude, operands) = self.captures(&c)?;
        let (a, x, body) = (&c.inputs[0], &c.inputs[1], &c.body);
        let fold = if by_ref { quote!(&#fold) } else { fold };
        Ok((
            syn::parse_quote!({ #prelude let #a = #fold; let #x = __x; #body }),
            operands,
        ))
    }

    /// `map_axis`: a closure of one lane.
    pub fn lanes(
        &mut self,
        v: V,
        axis: Option<proc_macro2::TokenStream>,
        f: &syn::Expr,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let Val::Closure(c) = self.expr(f)? else {
            return self.reject(f, &errors::CLOSURE);
        };
        let [pat] = c.inputs.as_slice() else {
            return self.reject(f, &errors::CLOSURE);
        };
        let (prelude, operands) = self.captures(&c)?;
        let mut body = c.body.clone();
        syn::visit_mut::VisitMut::visit_expr_mut(&mut LaneMethods, &mut body);
        let body = quote!({ #prelude let #pat = __row; #body });
        self.lane_function(v, axis, body, operands, at)
    }

    pub fn lane_function(
        &mut self,
        v: V,
        axis: Option<proc_macro2::TokenStream>,
        body: proc_macro2::TokenStream,
        operands: Vec<V>,
        at: &dyn ToTokens,
    ) -> Result<Val> {
        let mut scalars: Vec<V> = Vec::new();
        for o in operands {
            if !scalars.contains(&o) {
                scalars.push(o);
            }
        }
        let mut names = std::collections::BTreeSet::new();
        crate::items::identifiers(body.clone(), &mut names);
        if names
            .iter()
            .any(|n| n.starts_with("__c") || n.starts_with("__n"))
        {
            // The function of a lane is an item of its own, which sees no locals.
            return self.reject(at, &errors::TENSOR_CAPTURE);
        }
        let t = self.sig.elem.tokens();
        let function = format_ident!(
            "__lane{}",
            self.g.items.len(),
            span = proc_macro2::Span::mixed_site()
        );
        let params = scalars.iter().map(|s| {
            let name = operand(*s);
            quote!(#name: #t)
        });
        let generics = &self.sig.generics;
        let clause = &generics.where_clause;
        let types = generics.type_params();
        let generics = if self.sig.float().is_some() {
            quote!(<#(#types),*>)
        } else {
            quote!()
        };
        self.g.items.push(quote! {
            #[::backprop::backprop]
            fn #function #generics (__row: &[#t], #(#params),*) -> #t #clause #body
        });
        let rank = self.g.rank(v);
        let span = at.span_of();
        let ty = match &axis {
            Some(axis) => {
                let Some(d) = self.g.dim(v) else {
                    return Err(Rejected);
                };
                let rank = rank.map(|r| r.saturating_sub(1));
                Ty::Tensor(
                    rank,
                    self.g.new_dim(DimOp::RemoveAxis(d, axis.clone()), rank),
                )
            }
            None => Ty::Scalar,
        };
        let v = self.g.push(
            Op::Lanes {
                of: v,
                axis,
                function,
                scalars,
            },
            ty,
            span,
        );
        Ok(self.value_of(v))
    }
}

/// Lanes are slices in the function of a lane: methods that only arrays have are spelt with iterators.
struct LaneMethods;
impl syn::visit_mut::VisitMut for LaneMethods {
    fn visit_expr_mut(&mut self, e: &mut syn::Expr) {
        syn::visit_mut::visit_expr_mut(self, e);
        let syn::Expr::MethodCall(m) = e else { return };
        let direct = matches!(&*m.receiver, syn::Expr::Path(_));
        let receiver = &m.receiver;
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        match (m.method.to_string().as_str(), args.as_slice()) {
            ("sum", []) if direct => *e = syn::parse_quote!(#receiver.iter().sum()),
            ("product", []) if direct => *e = syn::parse_quote!(#receiver.iter().product()),
            ("fold", [_, _]) if direct => {
                let (a, b) = (args[0], args[1]);
                *e = syn::parse_quote!(#receiver.iter().fold(#a, #b));
            }
            ("mapv", [f]) if direct => *e = syn::parse_quote!(#receiver.iter().copied().map(#f)),
            _ => {}
        }
    }
}
