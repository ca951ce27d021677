//! Whether a function may be left out: what it is called for may be more than its value.
//!
//! In: a closure, a nested function or a path. Out: whether calling it changes nothing that is seen elsewhere, as far as its tokens
//! tell. What must hold: a doubt counts as a change.

use super::Lower;
use super::value::Val;
use syn::visit::{self, Visit};

/// Methods that change what they are called on, or what they are given.
const CHANGING: [&str; 26] = [
    "push",
    "pop",
    "swap",
    "fill",
    "insert",
    "remove",
    "truncate",
    "clear",
    "extend",
    "extend_from_slice",
    "copy_from_slice",
    "clone_from_slice",
    "copy_within",
    "swap_with_slice",
    "swap_remove",
    "reverse",
    "rotate_left",
    "rotate_right",
    "next",
    "next_back",
    "by_ref",
    "take",
    "replace",
    "insert_mut",
    "get_or_insert",
    "resize",
];

/// Whether calling a function changes nothing but what it makes itself.
pub(super) fn changes_nothing(l: &Lower, f: &Val) -> bool {
    match f {
        Val::Closure(c) => {
            let mut seen = Seen {
                lower: l,
                scopes: &c.scopes,
                changes: false,
                depth: 0,
            };
            seen.visit_expr(&c.body);
            !seen.changes
        }
        Val::Path(_) => true,
        _ => false,
    }
}

struct Seen<'a, 'b> {
    lower: &'a Lower<'b>,
    scopes: &'a [super::Scope],
    changes: bool,
    depth: usize,
}

impl<'ast> Visit<'ast> for Seen<'_, '_> {
    fn visit_expr_assign(&mut self, _: &'ast syn::ExprAssign) {
        self.changes = true;
    }

    fn visit_expr_binary(&mut self, x: &'ast syn::ExprBinary) {
        use syn::BinOp::*;
        let plain = matches!(
            x.op,
            Add(_)
                | Sub(_)
                | Mul(_)
                | Div(_)
                | Rem(_)
                | And(_)
                | Or(_)
                | BitXor(_)
                | BitAnd(_)
                | BitOr(_)
                | Shl(_)
                | Shr(_)
                | Eq(_)
                | Lt(_)
                | Le(_)
                | Ne(_)
                | Ge(_)
                | Gt(_)
        );
        self.changes |= !plain;
        visit::visit_expr_binary(self, x);
    }

    fn visit_expr_reference(&mut self, x: &'ast syn::ExprReference) {
        self.changes |= x.mutability.is_some();
        visit::visit_expr_reference(self, x);
    }

    fn visit_expr_method_call(&mut self, x: &'ast syn::ExprMethodCall) {
        let name = x.method.to_string();
        self.changes |= CHANGING.contains(&name.as_str()) || name.contains("_mut");
        visit::visit_expr_method_call(self, x);
    }

    /// A closure that is called may be one that changes something.
    fn visit_expr_path(&mut self, x: &'ast syn::ExprPath) {
        let Some(ident) = x.path.get_ident() else {
            return;
        };
        let entries = self
            .scopes
            .iter()
            .rev()
            .find_map(|s| s.get(&ident.to_string()));
        let Some((_, var)) = entries.and_then(|all| all.last()) else {
            return;
        };
        let held = self.lower.vars[var.0].val.clone();
        if let Val::Closure(c) = &held {
            if self.depth > 8 {
                self.changes = true;
                return;
            }
            let mut inner = Seen {
                lower: self.lower,
                scopes: &c.scopes,
                changes: false,
                depth: self.depth + 1,
            };
            inner.visit_expr(&c.body);
            self.changes |= inner.changes;
        }
    }

    fn visit_macro(&mut self, _: &'ast syn::Macro) {
        self.changes = true;
    }

    fn visit_expr_return(&mut self, x: &'ast syn::ExprReturn) {
        visit::visit_expr_return(self, x);
    }
}
