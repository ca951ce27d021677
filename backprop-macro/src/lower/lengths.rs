//! The lengths that `std::array::from_fn` takes from the type that is expected of it.
//!
//! In: the function as written. Out: the same function, with the length spelled at each `from_fn` whose type stands beside
//! it: in a `let`, a result, a field, or around it. What must hold: nothing else changes, spans included, and a length that
//! is spelled already stays.

use crate::definitions::Definitions;
use crate::shape::peel;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};

/// Spells the lengths that types in the function say.
pub fn spelled(function: &syn::ItemFn, names: &Definitions) -> syn::ItemFn {
    let mut function = function.clone();
    Lengths {
        names,
        results: Vec::new(),
    }
    .visit_item_fn_mut(&mut function);
    function
}

/// Spells the length of a call of `from_fn` that has none; whether it is such a call.
pub fn spell(call: &mut syn::ExprCall, len: &TokenStream) -> bool {
    if !takes_a_length(call) {
        return false;
    }
    if let syn::Expr::Path(p) = &mut *call.func
        && let Some(last) = p.path.segments.last_mut()
    {
        last.arguments = syn::PathArguments::AngleBracketed(syn::parse_quote!(::<_, { #len }, _>));
    }
    true
}

/// Whether this is `array::from_fn(…)`, or `from_fn(…)`, without a length.
pub fn takes_a_length(call: &syn::ExprCall) -> bool {
    let syn::Expr::Path(p) = &*call.func else {
        return false;
    };
    let mut names = p.path.segments.iter().rev();
    names
        .next()
        .is_some_and(|s| s.ident == "from_fn" && s.arguments.is_none())
        // Imported by itself it may be another one: `standard` looks where it comes from.
        && names.next().is_none_or(|s| s.ident == "array")
}

struct Lengths<'a> {
    names: &'a Definitions,
    /// What the functions and closures around return, the innermost last.
    results: Vec<Option<syn::Type>>,
}

impl Lengths<'_> {
    /// The type behind references, parentheses and aliases.
    fn plain(&self, ty: &syn::Type) -> syn::Type {
        let ty = peel(ty).clone();
        match &ty {
            syn::Type::Path(p) => match self.names.alias(&p.path) {
                Some(other) => peel(&other).clone(),
                None => ty,
            },
            _ => ty,
        }
    }

    /// Spells the lengths in an expression of this type.
    fn expect(&self, e: &mut syn::Expr, ty: &syn::Type) {
        let ty = self.plain(ty);
        match (e, &ty) {
            (syn::Expr::Paren(x), _) => self.expect(&mut x.expr, &ty),
            (syn::Expr::Group(x), _) => self.expect(&mut x.expr, &ty),
            (syn::Expr::Reference(x), _) => self.expect(&mut x.expr, &ty),
            (syn::Expr::Block(x), _) => self.expect_of_block(&mut x.block, &ty),
            (syn::Expr::If(x), _) => {
                self.expect_of_block(&mut x.then_branch, &ty);
                if let Some((_, other)) = &mut x.else_branch {
                    self.expect(other, &ty);
                }
            }
            (syn::Expr::Match(x), _) => {
                for arm in &mut x.arms {
                    self.expect(&mut arm.body, &ty);
                }
            }
            (syn::Expr::Array(x), syn::Type::Array(t)) => {
                x.elems.iter_mut().for_each(|e| self.expect(e, &t.elem));
            }
            (syn::Expr::Repeat(x), syn::Type::Array(t)) => self.expect(&mut x.expr, &t.elem),
            (syn::Expr::Tuple(x), syn::Type::Tuple(t)) => {
                for (e, t) in x.elems.iter_mut().zip(&t.elems) {
                    self.expect(e, t);
                }
            }
            (syn::Expr::Call(x), syn::Type::Array(t)) if takes_a_length(x) => {
                spell(x, &t.len.to_token_stream());
                if let Some(syn::Expr::Closure(f)) = x.args.first_mut() {
                    self.expect(&mut f.body, &t.elem);
                }
            }
            _ => {}
        }
    }

    fn expect_of_block(&self, block: &mut syn::Block, ty: &syn::Type) {
        if let Some(syn::Stmt::Expr(e, None)) = block.stmts.last_mut() {
            self.expect(e, ty);
        }
    }

    fn returning(&mut self, output: &syn::ReturnType, visit: impl FnOnce(&mut Self)) {
        self.results.push(match output {
            syn::ReturnType::Type(_, ty) => Some((**ty).clone()),
            syn::ReturnType::Default => None,
        });
        visit(self);
        self.results.pop();
    }
}

impl VisitMut for Lengths<'_> {
    fn visit_item_fn_mut(&mut self, f: &mut syn::ItemFn) {
        if let syn::ReturnType::Type(_, ty) = &f.sig.output {
            self.expect_of_block(&mut f.block, ty);
        }
        let output = f.sig.output.clone();
        self.returning(&output, |v| visit_mut::visit_item_fn_mut(v, f));
    }

    fn visit_expr_closure_mut(&mut self, c: &mut syn::ExprClosure) {
        if let syn::ReturnType::Type(_, ty) = &c.output {
            self.expect(&mut c.body, ty);
        }
        let output = c.output.clone();
        self.returning(&output, |v| visit_mut::visit_expr_closure_mut(v, c));
    }

    fn visit_expr_return_mut(&mut self, x: &mut syn::ExprReturn) {
        if let (Some(e), Some(Some(ty))) = (&mut x.expr, self.results.last()) {
            self.expect(e, ty);
        }
        visit_mut::visit_expr_return_mut(self, x);
    }

    fn visit_local_mut(&mut self, l: &mut syn::Local) {
        if let (syn::Pat::Type(t), Some(init)) = (&l.pat, &mut l.init) {
            self.expect(&mut init.expr, &t.ty);
        }
        visit_mut::visit_local_mut(self, l);
    }

    fn visit_expr_struct_mut(&mut self, x: &mut syn::ExprStruct) {
        if let Some(of) = self.names.structure(&x.path) {
            for f in &mut x.fields {
                if let Some(k) = of.position(&f.member) {
                    self.expect(&mut f.expr, &of.fields[k].ty);
                }
            }
        }
        visit_mut::visit_expr_struct_mut(self, x);
    }

    fn visit_expr_call_mut(&mut self, x: &mut syn::ExprCall) {
        // The constructor of a tuple struct.
        if let syn::Expr::Path(p) = &*x.func
            && let Some(of) = self.names.structure(&p.path)
        {
            for (e, f) in x.args.iter_mut().zip(&of.fields) {
                self.expect(e, &f.ty);
            }
        }
        visit_mut::visit_expr_call_mut(self, x);
    }
}
