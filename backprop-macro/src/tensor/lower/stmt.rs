//! Blocks, statements and patterns.

use crate::errors::{self, Rejected, Result};
use crate::tensor::lower::*;
use crate::tensor::signature::read_tensor;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;

impl Lower<'_> {
    pub fn block(&mut self, block: &syn::Block) -> Result<Val> {
        self.scoped(|l| {
            let mut last = Ok(Val::Unit);
            let count = block.stmts.len();
            for stmt in &block.stmts {
                if let syn::Stmt::Item(syn::Item::Fn(f)) = stmt {
                    l.nested_function(f)?;
                }
            }
            for (k, stmt) in block.stmts.iter().enumerate() {
                let val = l.stmt(stmt);
                if k + 1 == count || val.is_err() {
                    last = last.and(val);
                }
            }
            last
        })
    }

    pub fn stmt(&mut self, stmt: &syn::Stmt) -> Result<Val> {
        match stmt {
            syn::Stmt::Local(local) => {
                let Some(init) = &local.init else {
                    // It has its value later.
                    let pat = match &local.pat {
                        syn::Pat::Type(t) => &*t.pat,
                        pat => pat,
                    };
                    self.bind(pat, Val::Unit, None)?;
                    return Ok(Val::Unit);
                };
                if let Some((_, diverge)) = &init.diverge {
                    return self.reject(diverge, &errors::TENSOR_EXPRESSION);
                }
                let (pat, ty) = match &local.pat {
                    syn::Pat::Type(t) => (&*t.pat, Some(&*t.ty)),
                    pat => (pat, None),
                };
                let val = match (&local.pat, ty) {
                    (pat, ty) if changes(pat) && self.is_list(ty) => self.filled(&init.expr),
                    _ => Ok(None),
                };
                let val = match val {
                    Ok(None) if changes(&local.pat) => self.growing(&init.expr, ty),
                    val => val,
                };
                let val = match val {
                    Ok(Some(made)) => Ok(made),
                    Ok(None) => self.bindable(&init.expr, ty),
                    Err(rejected) => Err(rejected),
                };
                match val {
                    Ok(val) => self.bind(pat, val, ty)?,
                    Err(Rejected) => {
                        // One mistake is one error, however often the name is used.
                        let mut names = Bound::default();
                        syn::visit::Visit::visit_pat(&mut names, pat);
                        for name in names.0 {
                            let span = pat.span();
                            self.declare(
                                &Ident::new(name.trim_start_matches("r#"), span),
                                Val::Lost,
                            );
                        }
                        return Err(Rejected);
                    }
                }
                Ok(Val::Unit)
            }
            syn::Stmt::Expr(e, semi) => {
                let val = self.expr(e)?;
                if semi.is_some() && matches!(&val, Val::Const(_)) {
                    // It may have effects, which the gradient functions would not have.
                    return self.reject(e, &errors::TENSOR_EXPRESSION);
                }
                Ok(if semi.is_some() { Val::Unit } else { val })
            }
            syn::Stmt::Macro(m) => self.macro_call(&m.mac).map(|val| {
                if m.semi_token.is_some() {
                    Val::Unit
                } else {
                    val
                }
            }),
            syn::Stmt::Item(
                item @ (syn::Item::Const(_) | syn::Item::Use(_) | syn::Item::Static(_)),
            ) => {
                let tokens = item.to_token_stream();
                // The body of a method may be there more than once.
                let known = self
                    .items
                    .iter()
                    .any(|i| i.to_string() == tokens.to_string());
                if !known {
                    self.items.push(tokens);
                }
                Ok(Val::Unit)
            }
            // Declared where its block begins.
            syn::Stmt::Item(syn::Item::Fn(_)) => Ok(Val::Unit),
            syn::Stmt::Item(item) => self.reject(item, &errors::ITEM),
        }
    }

    /// A function inside of the function: a closure that captures nothing but others before it.
    fn nested_function(&mut self, f: &syn::ItemFn) -> Result<()> {
        if !f.sig.generics.params.is_empty() || !f.attrs.is_empty() {
            return self.reject(f, &errors::ITEM);
        }
        let inputs = &f.sig.inputs;
        let (output, block) = (&f.sig.output, &f.block);
        let closure: syn::ExprClosure = match output {
            syn::ReturnType::Default => syn::parse_quote!(|#inputs| #block),
            _ => syn::parse_quote!(|#inputs| #output #block),
        };
        let val = self.closure(&closure)?;
        self.declare(&f.sig.ident, val);
        Ok(())
    }

    /// Whether a type that is written may be that of floats in an array or a `Vec`.
    fn is_list(&self, ty: Option<&syn::Type>) -> bool {
        let Some(ty) = ty else { return true };
        let elem = match crate::shape::peel(ty) {
            syn::Type::Array(a) => Some(&*a.elem),
            ty => crate::tensor::signature::element(ty),
        };
        elem.is_some_and(|t| {
            matches!(t, syn::Type::Infer(_)) || crate::tensor::signature::is_float(t, self.sig)
        })
    }

    /// `[x; n]` and `vec![x; n]` of floats, whose elements are changed later: a vector like any other.
    fn filled(&mut self, e: &syn::Expr) -> Result<Option<Val>> {
        struct Filled(syn::Expr, syn::Expr);
        impl syn::parse::Parse for Filled {
            fn parse(input: syn::parse::ParseStream) -> syn::Result<Self> {
                let x = input.parse()?;
                input.parse::<syn::Token![;]>()?;
                Ok(Filled(x, input.parse()?))
            }
        }
        let found = match e {
            syn::Expr::Repeat(r) => Some(Filled((*r.expr).clone(), (*r.len).clone())),
            syn::Expr::Macro(m) if m.mac.path.is_ident("vec") => m.mac.parse_body().ok(),
            _ => None,
        };
        let Some(Filled(x, n)) = found else {
            return Ok(None);
        };
        let x = match self.expr(&x)? {
            Val::Const(x) if self.is_float(&x) => self.scalar_value(Val::Const(x), e)?,
            Val::Scalar(v) => v,
            _ => return Ok(None),
        };
        let dim = self.given(&n, Some(1), None)?;
        let a = operand(x);
        let v = self.map(syn::parse_quote!(#a), vec![x], Some(dim), e.span());
        Ok(Some(Val::Tensor(v)))
    }

    /// An expression with its type written beside it: a call of an annotated function needs it.
    pub fn typed(&mut self, e: &syn::Expr, ty: Option<&syn::Type>) -> Result<Val> {
        let val = self.expr(e)?;
        if let (Some(ty), Val::Const(c)) = (ty, &val)
            && let Some(t) = read_tensor(ty, self.sig.generics_floats())
        {
            let tokens = quote!({ let __value: #ty = #c; __value });
            return Ok(Val::Tensor(self.constant_tensor(tokens, t.rank, e.span())));
        }
        Ok(val)
    }

    pub fn bind(&mut self, pat: &syn::Pat, val: Val, ty: Option<&syn::Type>) -> Result<()> {
        match (pat, val) {
            (syn::Pat::Ident(p), val) if p.subpat.is_none() => {
                let val = match val {
                    Val::Const(e) if !simple(&e) => {
                        let tokens = match ty {
                            Some(ty) => quote!({ let __value: #ty = #e; __value }),
                            None => e.to_token_stream(),
                        };
                        Val::Const(self.constant_name(tokens))
                    }
                    Val::Const(e) if ty.is_some() => {
                        Val::Const(self.constant_name(quote!({ let __value: #ty = #e; __value })))
                    }
                    val => val,
                };
                self.declare(&p.ident, val);
                Ok(())
            }
            (syn::Pat::Wild(_), _) => Ok(()),
            (syn::Pat::Paren(p), val) => self.bind(&p.pat, val, ty),
            (syn::Pat::Type(t), val) => self.bind(&t.pat, val, Some(&t.ty)),
            (syn::Pat::Reference(r), Val::Const(e)) => {
                let e = match e {
                    syn::Expr::Reference(r) => *r.expr,
                    e => syn::parse_quote!((*#e)),
                };
                self.bind(&r.pat, Val::Const(e), None)
            }
            (syn::Pat::Reference(r), val) => self.bind(&r.pat, val, None),
            (syn::Pat::Tuple(t), Val::Tuple(vals)) if t.elems.len() == vals.len() => {
                for (p, v) in t.elems.iter().zip(vals) {
                    self.bind(p, v, None)?;
                }
                Ok(())
            }
            (syn::Pat::Struct(s), Val::Struct(fields, _)) => {
                for f in &s.fields {
                    let Some((_, _, val)) = fields.iter().find(|(m, ..)| *m == f.member) else {
                        return self.reject(f, &errors::PATTERN);
                    };
                    self.bind(&f.pat, val.clone(), None)?;
                }
                Ok(())
            }
            (syn::Pat::TupleStruct(s), Val::Struct(fields, _)) if s.elems.len() == fields.len() => {
                for (p, (_, _, val)) in s.elems.iter().zip(fields.iter()) {
                    if matches!(p, syn::Pat::Rest(_)) {
                        return self.reject(p, &errors::PATTERN);
                    }
                    self.bind(p, val.clone(), None)?;
                }
                Ok(())
            }
            (syn::Pat::Tuple(t), Val::Const(syn::Expr::Tuple(e)))
                if t.elems.len() == e.elems.len() =>
            {
                for (p, e) in t.elems.iter().zip(e.elems) {
                    self.bind(p, Val::Const(e), None)?;
                }
                Ok(())
            }
            (syn::Pat::Tuple(t), Val::Const(e)) => {
                let whole = self.constant_name(e.to_token_stream());
                for (k, p) in t.elems.iter().enumerate() {
                    let k = syn::Index::from(k);
                    self.bind(p, Val::Const(syn::parse_quote!(#whole.#k)), None)?;
                }
                Ok(())
            }
            (syn::Pat::Slice(s), Val::Const(e)) => {
                let whole = self.constant_name(e.to_token_stream());
                for (k, p) in s.elems.iter().enumerate() {
                    if matches!(p, syn::Pat::Rest(_)) {
                        return self.reject(p, &errors::PATTERN);
                    }
                    self.bind(p, Val::Const(syn::parse_quote!(#whole[#k])), None)?;
                }
                Ok(())
            }
            (pat, _) => self.reject(pat, &errors::PATTERN),
        }
    }
}

/// Whether a name may be assigned to.
fn changes(pat: &syn::Pat) -> bool {
    match pat {
        syn::Pat::Type(t) => changes(&t.pat),
        syn::Pat::Ident(p) => p.mutability.is_some(),
        _ => false,
    }
}
