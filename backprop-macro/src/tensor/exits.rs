//! Early returns: what follows an `if` that may return becomes its other side.
//!
//! In: a function's body. Out: the same without `return`, where each one ends a side of an `if` among the body's own statements:
//! `if c { return a; } rest` is `if c { a } else { rest }`. What must hold: nothing is written twice, and what a side
//! declares is not seen by what follows. A `return` in a loop stays, and is rejected where it is found.

use syn::visit::Visit;
use syn::visit_mut::VisitMut;

/// The body with its value at the end.
pub fn at_the_end(block: &syn::Block) -> syn::Block {
    syn::Block {
        brace_token: block.brace_token,
        stmts: tail(&block.stmts),
    }
}

/// Writes `return` of nothing as `return ()`: one form less to close.
pub fn with_values(block: &mut syn::Block) {
    Nothing.visit_block_mut(block);
}

struct Nothing;
impl VisitMut for Nothing {
    fn visit_expr_return_mut(&mut self, r: &mut syn::ExprReturn) {
        r.expr
            .get_or_insert_with(|| Box::new(syn::parse_quote!(())));
    }

    // These have returns of their own.
    fn visit_expr_closure_mut(&mut self, _: &mut syn::ExprClosure) {}
    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

fn tail(stmts: &[syn::Stmt]) -> Vec<syn::Stmt> {
    for (k, stmt) in stmts.iter().enumerate() {
        let (before, rest) = (&stmts[..k], &stmts[k + 1..]);
        let end = match stmt {
            // What follows a `return` is never run.
            syn::Stmt::Expr(syn::Expr::Return(r), _) => r.expr.as_deref().cloned(),
            syn::Stmt::Expr(syn::Expr::If(i), _) if returns(stmt) => {
                close(i, rest).map(syn::Expr::If)
            }
            _ => continue,
        };
        return match end {
            Some(end) => before
                .iter()
                .cloned()
                .chain([syn::Stmt::Expr(end, None)])
                .collect(),
            None => stmts.to_vec(),
        };
    }
    stmts.to_vec()
}

/// Both sides with what follows in the one that reaches it; `None` where both do, or a `return` would stay.
fn close(i: &syn::ExprIf, rest: &[syn::Stmt]) -> Option<syn::ExprIf> {
    let mut out = i.clone();
    let (then, other) = match &i.else_branch {
        None => (leaves(&i.then_branch), false),
        Some((_, other)) => (leaves(&i.then_branch), leaves_by(other)),
    };
    if !then && !other {
        return None;
    }
    out.then_branch = side(&i.then_branch, then, rest)?;
    let other: syn::Expr = match i.else_branch.as_ref().map(|e| &*e.1) {
        None => {
            let rest = tail(rest);
            syn::parse_quote!({ #(#rest)* })
        }
        Some(syn::Expr::If(inner)) if returns_by(inner) => syn::Expr::If(close(inner, rest)?),
        Some(syn::Expr::Block(b)) => {
            let block = side(&b.block, other, rest)?;
            syn::parse_quote!(#block)
        }
        Some(inner) if rest.is_empty() => inner.clone(),
        Some(inner) => {
            let rest = tail(rest);
            syn::parse_quote!({ #inner; #(#rest)* })
        }
    };
    out.else_branch = Some((Default::default(), Box::new(other)));
    Some(out)
}

/// A side: by itself where it leaves, or a block of its own before what follows.
fn side(block: &syn::Block, leaves: bool, rest: &[syn::Stmt]) -> Option<syn::Block> {
    if leaves {
        return Some(at_the_end(block));
    }
    if block.stmts.iter().any(returns) {
        return None;
    }
    if rest.is_empty() {
        return Some(block.clone());
    }
    let rest = tail(rest);
    Some(syn::parse_quote!({ #block #(#rest)* }))
}

/// Every way through a block ends with a `return`.
fn leaves(block: &syn::Block) -> bool {
    match block.stmts.last() {
        Some(syn::Stmt::Expr(e, _)) => leaves_by(e),
        _ => false,
    }
}

fn leaves_by(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Return(_) => true,
        syn::Expr::Block(b) => leaves(&b.block),
        syn::Expr::If(i) => {
            leaves(&i.then_branch) && i.else_branch.as_ref().is_some_and(|o| leaves_by(&o.1))
        }
        _ => false,
    }
}

/// A closure's body without `return`, where that can be.
pub fn without_returns(body: &syn::Expr) -> syn::Expr {
    let of_closure = |e: &syn::Expr| {
        let mut found = Returns(false);
        found.visit_expr(e);
        found.0
    };
    let syn::Expr::Block(b) = body else {
        return body.clone();
    };
    if !of_closure(body) {
        return body.clone();
    }
    let block = at_the_end(&b.block);
    let ends: syn::Expr = syn::parse_quote!(#block);
    match of_closure(&ends) {
        // It is one of floats, whose returns the scalar compiler knows.
        true => syn::parse_quote!({ let __body = || #block; __body() }),
        false => ends,
    }
}

/// Whether a statement may leave the function.
fn returns(stmt: &syn::Stmt) -> bool {
    let mut found = Returns(false);
    found.visit_stmt(stmt);
    found.0
}

fn returns_by(i: &syn::ExprIf) -> bool {
    let mut found = Returns(false);
    found.visit_expr_if(i);
    found.0
}

struct Returns(bool);
impl<'ast> Visit<'ast> for Returns {
    fn visit_expr_return(&mut self, _: &'ast syn::ExprReturn) {
        self.0 = true;
    }

    // These have returns of their own.
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
    fn visit_item(&mut self, _: &'ast syn::Item) {}
}
