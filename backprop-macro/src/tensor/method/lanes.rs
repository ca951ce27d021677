//! `fold`, `fold_axis` and `map_axis`: an annotated function of a slice, for each lane or for all elements.
//!
//! In: the method's closure. Out: an operation of lanes, whose function sees the elements in logical order. What must hold: the
//! plain function's result does not depend on another order.

use crate::errors::{self, Rejected, Result};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, SpanOf, Val};
use crate::tensor::sequence::Sequence;
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
            _ => {
                let what = "an array or a tuple";
                return Err(self.errors.reject_named(init, &errors::NOT_SCALAR, what));
            }
        };
        let largest = (more.is_none() && self.is_max(f)).then(|| start.clone());
        operands.extend(more);
        let t = self.sig.elem.tokens();
        let body = quote!({
            let mut __fold: #t = #start;
            for __x in __row {
                __fold = #body;
            }
            __fold
        });
        self.lane_function(v, axis, body, operands, largest, at)
    }

    /// Whether a closure or a path is the larger of the accumulator and the element, as they are.
    fn is_max(&self, f: &syn::Expr) -> bool {
        let is_method = |p: &syn::Expr| {
            let syn::Expr::Path(p) = bare(p) else {
                return false;
            };
            let mut last = p.path.segments.iter().rev();
            let (Some(name), Some(holder)) = (last.next(), last.next()) else {
                return false;
            };
            let generic = self.sig.float().is_some_and(|t| *t == holder.ident);
            let float = ["f64", "f32", "Float"].iter().any(|f| holder.ident == f);
            name.ident == "max" && (generic || float)
        };
        let syn::Expr::Closure(c) = bare(f) else {
            return is_method(f);
        };
        let names: Option<Vec<&syn::Ident>> = c.inputs.iter().map(bound).collect();
        let Some([a, b]) = names.as_deref() else {
            return false;
        };
        let (x, y) = match value(&c.body) {
            syn::Expr::MethodCall(m) if m.method == "max" && m.args.len() == 1 => {
                (&*m.receiver, &m.args[0])
            }
            syn::Expr::Call(call) if call.args.len() == 2 && is_method(&call.func) => {
                (&call.args[0], &call.args[1])
            }
            _ => return false,
        };
        let is = |e: &syn::Expr, name: &syn::Ident| matches!(value(e), syn::Expr::Path(p) if p.path.is_ident(name));
        a != b && (is(x, a) && is(y, b) || is(x, b) && is(y, a))
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
        let tensors = |v: &Val| !matches!(v, Val::Scalar(_) | Val::Const(_) | Val::Closure(_));
        if c.captured.iter().any(|(_, v)| tensors(v))
            && let (Some(axis), Some(2)) = (&axis, self.g.rank(v))
        {
            // It reads tensors: a loop over the lanes.
            let other = quote!(::backprop::tensor::ndarray::Axis(1 - (#axis).index()));
            let other = self.constant_name(other).to_token_stream();
            let lanes = Sequence::Axis(Box::new(Val::Tensor(v)), other);
            return self.collected(&Sequence::Map(Box::new(lanes), c.clone()), at);
        }
        let (prelude, operands) = self.captures(&c)?;
        let mut body = c.body.clone();
        let mut methods = LaneMethods { ordered: None };
        syn::visit_mut::VisitMut::visit_expr_mut(&mut methods, &mut body);
        if let Some(fold) = methods.ordered {
            return self.reject(fold, &errors::TENSOR_FOLD);
        }
        let largest = bound(pat).and_then(|row| self.largest_of(row, &body));
        let body = quote!({ #prelude let #pat = __row; #body });
        self.lane_function(v, axis, body, operands, largest, at)
    }

    /// `row.iter().fold(start, max)`, where the start is no variable: the start.
    fn largest_of(&self, row: &syn::Ident, body: &syn::Expr) -> Option<syn::Expr> {
        let syn::Expr::MethodCall(m) = value(body) else {
            return None;
        };
        let mut of = bare(&m.receiver);
        while let syn::Expr::MethodCall(inner) = of
            && ["iter", "copied", "cloned", "view"]
                .iter()
                .any(|n| inner.method == n)
        {
            of = bare(&inner.receiver);
        }
        let args: Vec<&syn::Expr> = m.args.iter().collect();
        let (true, [start, f]) = (m.method == "fold", args.as_slice()) else {
            return None;
        };
        let is_row = matches!(of, syn::Expr::Path(p) if p.path.is_ident(row));
        let is_fixed = match bare(start) {
            syn::Expr::Path(p) => p.path.segments.len() > 1,
            syn::Expr::Call(c) => {
                c.args.is_empty()
                    && matches!(&*c.func, syn::Expr::Path(p) if p.path.segments.len() > 1)
            }
            _ => false,
        };
        (is_row && is_fixed && self.is_max(f)).then(|| (*start).clone())
    }

    pub fn lane_function(
        &mut self,
        v: V,
        axis: Option<proc_macro2::TokenStream>,
        body: proc_macro2::TokenStream,
        operands: Vec<V>,
        largest: Option<syn::Expr>,
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
        if let Some(start) = largest {
            self.g.largest.insert(function.to_string(), start);
        }
        let options = self.sig.jvp.as_ref().map(|_| quote!((jvp)));
        self.g.items.push(quote! {
            #[::backprop::backprop #options]
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

/// Whether the order of the elements shows at most in rounding: `a + g(x)`, `a.max(g(x))` and their like. ndarray's `fold` visits
/// the elements of an array as they lie in memory, which the views and layouts of the plain function decide.
pub fn in_any_order(f: &syn::Expr) -> bool {
    let syn::Expr::Closure(c) = bare(f) else {
        let last = |p: &syn::ExprPath| p.path.segments.last().map(|s| s.ident.to_string());
        return matches!(bare(f), syn::Expr::Path(p)
            if last(p).is_some_and(|n| ["max", "min", "add", "mul"].contains(&n.as_str())));
    };
    let Some(name) = c.inputs.first().and_then(bound) else {
        return false;
    };
    let is = |e: &syn::Expr| matches!(value(e), syn::Expr::Path(p) if p.path.is_ident(name));
    let free = |e: &syn::Expr| {
        let mut names = std::collections::BTreeSet::new();
        crate::items::identifiers(e.to_token_stream(), &mut names);
        !names.contains(&name.to_string())
    };
    let either = |a: &syn::Expr, b: &syn::Expr| is(a) && free(b) || is(b) && free(a);
    match value(&c.body) {
        syn::Expr::Binary(b) => match b.op {
            syn::BinOp::Add(_) | syn::BinOp::Mul(_) => either(&b.left, &b.right),
            syn::BinOp::Sub(_) | syn::BinOp::Div(_) => is(&b.left) && free(&b.right),
            _ => false,
        },
        syn::Expr::MethodCall(m) if m.args.len() == 1 => {
            (m.method == "max" || m.method == "min") && either(&m.receiver, &m.args[0])
        }
        syn::Expr::MethodCall(m) if m.method == "mul_add" && m.args.len() == 2 => {
            free(&m.receiver) && free(&m.args[0]) && is(&m.args[1])
        }
        syn::Expr::Call(call) if call.args.len() == 2 => {
            matches!(&*call.func, syn::Expr::Path(p)
                if p.path.segments.last().is_some_and(|s| s.ident == "max" || s.ident == "min"))
                && either(&call.args[0], &call.args[1])
        }
        _ => false,
    }
}

/// The name that a closure's parameter binds.
fn bound(pat: &syn::Pat) -> Option<&syn::Ident> {
    match pat {
        syn::Pat::Ident(p) => Some(&p.ident),
        syn::Pat::Type(t) => bound(&t.pat),
        syn::Pat::Paren(p) => bound(&p.pat),
        syn::Pat::Reference(r) => bound(&r.pat),
        _ => None,
    }
}

fn bare(e: &syn::Expr) -> &syn::Expr {
    match e {
        syn::Expr::Paren(p) => bare(&p.expr),
        syn::Expr::Group(p) => bare(&p.expr),
        other => other,
    }
}

/// Without parentheses, references and the braces of one expression.
fn value(e: &syn::Expr) -> &syn::Expr {
    match bare(e) {
        syn::Expr::Reference(r) => value(&r.expr),
        syn::Expr::Unary(u) if matches!(u.op, syn::UnOp::Deref(_)) => value(&u.expr),
        syn::Expr::Block(b) => match b.block.stmts.as_slice() {
            [syn::Stmt::Expr(inner, None)] => value(inner),
            _ => e,
        },
        other => other,
    }
}

/// Lanes are slices in the function of a lane: methods that only arrays have are spelt with iterators.
struct LaneMethods {
    /// A `fold` whose result depends on the order of the elements.
    ordered: Option<syn::Ident>,
}
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
                if !in_any_order(b) {
                    self.ordered = Some(m.method.clone());
                }
                *e = syn::parse_quote!(#receiver.iter().fold(#a, #b));
            }
            ("mapv", [f]) if direct => *e = syn::parse_quote!(#receiver.iter().copied().map(#f)),
            _ => {}
        }
    }
}
