//! `break`, `continue` and `return` in loops become flags.
//!
//! In: a function's body. Out: the same, where a path that leaves a loop sets a flag, and what follows on it is guarded by the flag; a loop that may
//! be left carries `#[until(flag)]`, or the flag in its condition. After an outermost loop that may return stands an early return, which `exits`
//! closes. What must hold: nothing is written twice, and a way out that is not a statement stays, and is rejected where it is found.

use proc_macro2::{Ident, Span};
use quote::format_ident;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;

/// The body with flags instead of ways out of loops; `return` stays where a loop could not hand on what is returned.
pub fn as_flags(block: &syn::Block, may_return: bool) -> syn::Block {
    let mut ways = Ways {
        next: 0,
        may_return,
        open: Vec::new(),
        returns: false,
    };
    let mut stmts = ways.stmts(block.stmts.clone());
    if ways.returns {
        let (returned, result) = (returned(), result());
        stmts.insert(0, syn::parse_quote!(let mut #returned = false;));
        stmts.insert(1, syn::parse_quote!(let mut #result = __nothing!();));
    }
    syn::Block {
        brace_token: block.brace_token,
        stmts,
    }
}

/// The flag behind `#[until(flag)]`.
pub fn until(attrs: &[syn::Attribute]) -> Option<Ident> {
    let found = attrs.iter().find(|a| a.path().is_ident("until"))?;
    found.parse_args().ok()
}

fn returned() -> Ident {
    Ident::new("__returned", Span::mixed_site())
}

fn result() -> Ident {
    Ident::new("__result", Span::mixed_site())
}

/// A loop around what is looked at.
struct Open {
    label: Option<String>,
    /// It is left after this iteration; nothing else of this iteration is run.
    left: Ident,
    skip: Ident,
    leaves: bool,
    skips: bool,
}

struct Ways {
    next: usize,
    may_return: bool,
    open: Vec<Open>,
    returns: bool,
}

impl Ways {
    fn stmts(&mut self, stmts: Vec<syn::Stmt>) -> Vec<syn::Stmt> {
        let mut out = Vec::new();
        let mut rest = stmts.into_iter();
        while let Some(mut stmt) = rest.next() {
            let reaches = self.reaches(&stmt);
            match &mut stmt {
                syn::Stmt::Expr(
                    e @ (syn::Expr::ForLoop(_) | syn::Expr::While(_) | syn::Expr::Loop(_)),
                    _,
                ) => {
                    let returns = self.returns;
                    self.returns = false;
                    let made = self.repeated(e.clone());
                    let inside = std::mem::replace(&mut self.returns, returns);
                    self.returns |= inside;
                    out.extend(made);
                    if inside && self.open.is_empty() {
                        let (returned, result) = (returned(), result());
                        out.push(syn::parse_quote!(if #returned { return #result; }));
                    }
                }
                syn::Stmt::Expr(e, _) if reaches && self.way_out(e).is_some() => {
                    out.extend(self.way_out(e).unwrap_or_default());
                    self.mark(e);
                    return out;
                }
                syn::Stmt::Expr(syn::Expr::If(i), _)
                    if reaches && ends(&i.then_branch) && i.else_branch.is_none() =>
                {
                    // What follows is the other side.
                    i.then_branch.stmts = self.stmts(std::mem::take(&mut i.then_branch.stmts));
                    let others = self.stmts(rest.by_ref().collect());
                    i.else_branch = Some((
                        Default::default(),
                        Box::new(syn::parse_quote!({ #(#others)* })),
                    ));
                    out.push(stmt);
                    return out;
                }
                _ => {
                    self.visit_stmt_mut(&mut stmt);
                    out.push(stmt);
                }
            }
            let others: Vec<syn::Stmt> = match reaches {
                true => rest.by_ref().collect(),
                false => continue,
            };
            if !others.is_empty() {
                let others = self.stmts(others);
                let Some(open) = self.open.last_mut() else {
                    out.extend(others);
                    return out;
                };
                open.skips = true;
                let skip = &open.skip;
                out.push(syn::parse_quote!(if !#skip { #(#others)* }));
            }
            return out;
        }
        out
    }

    /// Whether a statement may leave one of the open loops, or end an iteration of one.
    fn reaches(&self, stmt: &syn::Stmt) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let mut found = Finds {
            depth: 0,
            labels: Vec::new(),
            found: false,
        };
        found.visit_stmt(stmt);
        found.found
    }

    /// The loops that a way out ends an iteration of, from the outermost, and whether it leaves that one.
    fn target(&self, e: &syn::Expr) -> Option<(usize, bool)> {
        let named = |label: &Option<syn::Lifetime>| match label {
            None => self.open.len().checked_sub(1),
            Some(l) => {
                let name = l.ident.to_string();
                self.open
                    .iter()
                    .rposition(|o| o.label.as_deref() == Some(&*name))
            }
        };
        match e {
            syn::Expr::Break(b) if b.expr.is_none() => Some((named(&b.label)?, true)),
            syn::Expr::Continue(c) => Some((named(&c.label)?, false)),
            syn::Expr::Return(r) if self.may_return && r.expr.is_some() => {
                (!self.open.is_empty()).then_some((0, true))
            }
            _ => None,
        }
    }

    /// The flags that a way out sets.
    fn way_out(&self, e: &syn::Expr) -> Option<Vec<syn::Stmt>> {
        let (target, leaves) = self.target(e)?;
        let mut out: Vec<syn::Stmt> = Vec::new();
        if let syn::Expr::Return(r) = e {
            let (returned, result, value) = (returned(), result(), &r.expr);
            out.push(syn::parse_quote!(#result = #value;));
            out.push(syn::parse_quote!(#returned = true;));
        }
        for (k, open) in self.open.iter().enumerate().skip(target) {
            let (left, skip) = (&open.left, &open.skip);
            out.push(syn::parse_quote!(#skip = true;));
            if k > target || leaves {
                out.push(syn::parse_quote!(#left = true;));
            }
        }
        Some(out)
    }

    fn mark(&mut self, e: &syn::Expr) {
        let Some((target, leaves)) = self.target(e) else {
            return;
        };
        self.returns |= matches!(e, syn::Expr::Return(_));
        for (k, open) in self.open.iter_mut().enumerate().skip(target) {
            open.skips = true;
            open.leaves |= k > target || leaves;
        }
    }

    /// A loop, and the flag before it.
    fn repeated(&mut self, mut e: syn::Expr) -> Vec<syn::Stmt> {
        let (body, label) = match &mut e {
            syn::Expr::ForLoop(f) => (&mut f.body, f.label.take()),
            syn::Expr::While(w) => (&mut w.body, w.label.take()),
            syn::Expr::Loop(l) => (&mut l.body, l.label.take()),
            _ => return vec![syn::Stmt::Expr(e, None)],
        };
        let name =
            |prefix: &str| format_ident!("__{}{}", prefix, self.next, span = Span::mixed_site());
        let open = Open {
            label: label.map(|l| l.name.ident.to_string()),
            left: name("left"),
            skip: name("skip"),
            leaves: false,
            skips: false,
        };
        self.next += 1;
        self.open.push(open);
        body.stmts = self.stmts(std::mem::take(&mut body.stmts));
        let Some(open) = self.open.pop() else {
            return Vec::new();
        };
        let (left, skip) = (open.left, open.skip);
        if open.skips {
            body.stmts
                .insert(0, syn::parse_quote!(let mut #skip = false;));
        }
        let mut out: Vec<syn::Stmt> = Vec::new();
        if open.leaves {
            out.push(syn::parse_quote!(let mut #left = false;));
        }
        let e = match e {
            syn::Expr::ForLoop(mut f) => {
                if open.leaves {
                    f.attrs.push(syn::parse_quote!(#[until(#left)]));
                }
                syn::Expr::ForLoop(f)
            }
            syn::Expr::While(mut w) => {
                if open.leaves {
                    let cond = &w.cond;
                    w.cond = Box::new(syn::parse_quote!(!#left && (#cond)));
                }
                syn::Expr::While(w)
            }
            syn::Expr::Loop(l) => {
                let body = &l.body;
                match open.leaves {
                    true => syn::parse_quote!(while !#left #body),
                    false => syn::Expr::Loop(l),
                }
            }
            e => e,
        };
        out.push(syn::Stmt::Expr(e, None));
        out
    }
}

impl VisitMut for Ways {
    fn visit_block_mut(&mut self, b: &mut syn::Block) {
        b.stmts = self.stmts(std::mem::take(&mut b.stmts));
    }

    // These have ways out of their own.
    fn visit_expr_closure_mut(&mut self, _: &mut syn::ExprClosure) {}
    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

/// Every way through a block ends with a way out.
fn ends(block: &syn::Block) -> bool {
    match block.stmts.last() {
        Some(syn::Stmt::Expr(e, _)) => match e {
            syn::Expr::Return(_) | syn::Expr::Break(_) | syn::Expr::Continue(_) => true,
            syn::Expr::Block(b) => ends(&b.block),
            _ => false,
        },
        _ => false,
    }
}

/// Finds ways out of loops that are not inside of what is visited.
struct Finds {
    depth: usize,
    labels: Vec<String>,
    found: bool,
}

impl Finds {
    fn inside(&mut self, label: &Option<syn::Label>, body: &syn::Block) {
        self.depth += 1;
        let label = label.as_ref().map(|l| l.name.ident.to_string());
        self.labels.extend(label.clone());
        self.visit_block(body);
        if label.is_some() {
            self.labels.pop();
        }
        self.depth -= 1;
    }

    fn leaves(&mut self, label: &Option<syn::Lifetime>) {
        self.found |= match label {
            None => self.depth == 0,
            Some(l) => !self.labels.contains(&l.ident.to_string()),
        };
    }
}

impl<'ast> Visit<'ast> for Finds {
    fn visit_expr_for_loop(&mut self, f: &'ast syn::ExprForLoop) {
        self.inside(&f.label, &f.body);
    }
    fn visit_expr_while(&mut self, w: &'ast syn::ExprWhile) {
        self.inside(&w.label, &w.body);
    }
    fn visit_expr_loop(&mut self, l: &'ast syn::ExprLoop) {
        self.inside(&l.label, &l.body);
    }
    fn visit_expr_break(&mut self, b: &'ast syn::ExprBreak) {
        self.leaves(&b.label);
    }
    fn visit_expr_continue(&mut self, c: &'ast syn::ExprContinue) {
        self.leaves(&c.label);
    }
    fn visit_expr_return(&mut self, _: &'ast syn::ExprReturn) {
        self.found = true;
    }
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
    fn visit_item(&mut self, _: &'ast syn::Item) {}
}
