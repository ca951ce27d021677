//! Bindings that nothing reads, left out.
//!
//! In: the tokens of a body. Out: the same without `let __x = …;` where `__x` is not used and the right side is a copy, an
//! element of a slice that was cut to the loop's length, arithmetic of floats, or integer arithmetic that nothing but a
//! subscript needed, which such a slice has replaced. Must hold: what can panic as the user wrote it stays.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use std::collections::{BTreeSet, HashMap};

/// What is known of the value behind a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Written to be computed in any case: it can panic.
    Pinned,
    /// Arithmetic of floats.
    Pure,
    Other,
}

/// Leaves out dead bindings, and second names.
pub fn tidy(code: TokenStream, known: &dyn Fn(&Ident) -> Value) -> TokenStream {
    let code = super::alias::alias(code);
    let mut counters = BTreeSet::new();
    counted(&code, &mut counters);
    // What a loop's counter is increased by one to is at most the loop's bound.
    let known = &|name: &Ident| match known(name) {
        Value::Pinned if counters.contains(&name.to_string()) => Value::Other,
        value => value,
    };
    let mut uses = HashMap::new();
    count(&code, &mut uses);
    sequence(code, &mut uses, known)
}

/// The names of what is a counter plus one.
fn counted(code: &TokenStream, out: &mut BTreeSet<String>) {
    let trees: Vec<TokenTree> = code.clone().into_iter().collect();
    for (k, tree) in trees.iter().enumerate() {
        let TokenTree::Group(g) = tree else { continue };
        counted(&g.stream(), out);
        let Some(at) = super::alias::counter(&trees[..k]) else {
            continue;
        };
        // `..=` reaches its bound.
        let inclusive = |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == '=');
        if trees[at..k].iter().any(inclusive) {
            continue;
        }
        let body: Vec<TokenTree> = g.stream().into_iter().collect();
        for statement in body.windows(7) {
            if let [
                first,
                TokenTree::Ident(name),
                TokenTree::Punct(equals),
                TokenTree::Ident(counter),
                TokenTree::Punct(plus),
                TokenTree::Literal(one),
                TokenTree::Punct(_),
            ] = statement
                && is_let(first)
                && equals.as_char() == '='
                && matches!(&trees[at], TokenTree::Ident(i) if i == counter)
                && plus.as_char() == '+'
                && one
                    .to_string()
                    .trim_end_matches("usize")
                    .trim_end_matches('_')
                    == "1"
            {
                out.insert(name.to_string());
            }
        }
    }
}

/// How often each name is read; one name may be bound in several scopes.
fn count(code: &TokenStream, uses: &mut HashMap<String, u32>) {
    let mut binds = false;
    for tree in code.clone() {
        let bound = std::mem::replace(&mut binds, is_let(&tree));
        match tree {
            TokenTree::Ident(_) if bound => {}
            TokenTree::Ident(i) => *uses.entry(i.to_string()).or_insert(0) += 1,
            TokenTree::Group(g) => count(&g.stream(), uses),
            _ => {}
        }
    }
}

/// Statements last to first, so that what only dead ones read is dead too.
fn sequence(
    code: TokenStream,
    uses: &mut HashMap<String, u32>,
    known: &dyn Fn(&Ident) -> Value,
) -> TokenStream {
    let mut statements: Vec<Vec<TokenTree>> = vec![Vec::new()];
    for tree in code {
        let ends = matches!(&tree, TokenTree::Punct(p) if p.as_char() == ';');
        if let Some(last) = statements.last_mut() {
            last.push(tree);
        }
        if ends {
            statements.push(Vec::new());
        }
    }
    let mut kept = Vec::new();
    for statement in statements.into_iter().rev() {
        let mut out: Vec<TokenTree> = Vec::new();
        // The groups of a statement run in order.
        for tree in statement.iter().rev() {
            out.push(match tree {
                TokenTree::Group(g) if g.delimiter() == Delimiter::Brace || is_closure(g) => {
                    let mut inner = Group::new(g.delimiter(), sequence(g.stream(), uses, known));
                    inner.set_span(g.span());
                    TokenTree::Group(inner)
                }
                other => other.clone(),
            });
        }
        out.reverse();
        // A block before it, of an `if` or a loop, ends without a semicolon.
        let start = out.iter().rposition(is_let).unwrap_or(0);
        if dead(&out[start..], uses, known) {
            let rest: TokenStream = out.split_off(start).into_iter().collect();
            let mut gone = HashMap::new();
            count(&rest, &mut gone);
            for (name, n) in gone {
                if let Some(left) = uses.get_mut(&name) {
                    *left = left.saturating_sub(n);
                }
            }
        }
        kept.push(out);
    }
    kept.into_iter().rev().flatten().collect()
}

fn is_let(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Ident(i) if i == "let")
}

/// Whether a statement is a binding that nothing reads and nothing needs.
fn dead(
    statement: &[TokenTree],
    uses: &HashMap<String, u32>,
    known: &dyn Fn(&Ident) -> Value,
) -> bool {
    let [
        first,
        TokenTree::Ident(name),
        TokenTree::Punct(equals),
        value @ ..,
        TokenTree::Punct(_),
    ] = statement
    else {
        return false;
    };
    if !is_let(first) || equals.as_char() != '=' || !name.to_string().starts_with("__") {
        return false;
    }
    if uses.get(&name.to_string()).copied().unwrap_or(0) > 0 {
        return false;
    }
    match value {
        _ if known(name) == Value::Pure => true,
        [TokenTree::Ident(_)] => true,
        // `__x_s0_1[__loop0_k]`: cut to the loop's length.
        [TokenTree::Ident(slice), TokenTree::Group(_)] => {
            let text = slice.to_string();
            text.starts_with("__") && text.contains("_s")
        }
        [
            TokenTree::Ident(_),
            TokenTree::Punct(op),
            TokenTree::Literal(_),
        ] => "+-*".contains(op.as_char()) && known(name) != Value::Pinned,
        _ => false,
    }
}

/// Whether a group in brackets is the closure of an enclosed loop or branch.
fn is_closure(g: &Group) -> bool {
    let first = g.stream().into_iter().next();
    g.delimiter() == Delimiter::Parenthesis
        && matches!(first, Some(TokenTree::Punct(p)) if p.as_char() == '|')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(code: &str) -> String {
        tidy(
            code.parse().unwrap(),
            &|name| match name.to_string().as_str() {
                "__pinned" => Value::Pinned,
                "__pure" => Value::Pure,
                _ => Value::Other,
            },
        )
        .to_string()
    }

    #[test]
    fn copies_that_nothing_reads_are_left_out() {
        let out =
            tidied("for k in 0..n { let __i = k; let __j = __i + 1; let __y = f(k); g(__y); } h()");
        assert_eq!(out, tidied("for k in 0..n { let __y = f(k); g(__y); } h()"));
    }

    #[test]
    fn a_counter_and_one_cannot_overflow() {
        let out = tidied("for __k in 0..n { let __pinned = __k + 1; f(__k); }");
        assert_eq!(out, tidied("for __k in 0..n { f(__k); }"));
        let kept = "for __k in 0..n { let __pinned = __k + 2; f(__k); }";
        assert_eq!(
            tidied(kept),
            kept.parse::<TokenStream>().unwrap().to_string()
        );
    }

    #[test]
    fn a_name_bound_twice_is_dead_where_it_is_never_read() {
        let out = tidied("for k in 0..n { let __i = k; f(k) } for k in 0..n { let __i = k; g(k) }");
        assert_eq!(out, tidied("for k in 0..n { f(k) } for k in 0..n { g(k) }"));
    }

    #[test]
    fn arithmetic_of_floats_is_left_out() {
        assert_eq!(
            tidied("let __i = k; let __pure = x.exp() * __i; f()"),
            tidied("f()")
        );
    }

    #[test]
    fn what_is_read_or_can_panic_stays() {
        for code in [
            "let __i = k; f(__i)",
            "let __pinned = i + 1;",
            "let __y = f(x);",
            "let y = x;",
            "let __y = x[i];",
        ] {
            assert_eq!(
                tidied(code),
                code.parse::<TokenStream>().unwrap().to_string()
            );
        }
    }

    #[test]
    fn a_block_before_a_dead_binding_stays() {
        let out = tidied("if c { f() } let __x = y; g()");
        assert_eq!(out, tidied("if c { f() } g()"));
    }
}
