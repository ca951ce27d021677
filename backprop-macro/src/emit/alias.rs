//! Second names for what has one already, left out.
//!
//! In: the tokens of a body. Out: the same without `let __a = __b;`, with `__b` wherever `__a` is read; the counter of a loop gets the
//! name of the user's that stands for it. Must hold: `__b` keeps its value, and both names their meaning, as far as `__a` is seen.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// Gives each value one name.
pub fn alias(code: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = code.into_iter().collect();
    let mut k = 0;
    while k < trees.len() {
        if let Some((a, b)) = binding(&trees[k..]) {
            let rest = &trees[k + 5..];
            if !binds(rest, &a) && !binds(rest, &b) && !writes(rest, &a) && !writes(rest, &b) {
                let rest = renamed(rest, &a, &b);
                trees.truncate(k);
                trees.extend(rest);
                continue;
            }
        }
        if let TokenTree::Group(g) = &trees[k] {
            let inner = match counter(&trees[..k]) {
                Some(at) if g.delimiter() == Delimiter::Brace => {
                    let (name, inner) = counted(&trees[at], g.stream());
                    trees[at] = name;
                    inner
                }
                _ => g.stream(),
            };
            trees[k] = group(&trees[k], alias(inner));
        }
        k += 1;
    }
    trees.into_iter().collect()
}

/// The names in `let __a = __b;`.
fn binding(trees: &[TokenTree]) -> Option<(Ident, Ident)> {
    let [
        TokenTree::Ident(first),
        TokenTree::Ident(a),
        TokenTree::Punct(equals),
        TokenTree::Ident(b),
        TokenTree::Punct(end),
        ..,
    ] = trees
    else {
        return None;
    };
    let ours = |i: &Ident| i.to_string().starts_with("__");
    let found = first == "let" && equals.as_char() == '=' && end.as_char() == ';';
    (found && ours(a) && ours(b)).then(|| (a.clone(), b.clone()))
}

/// Where the name of a loop's counter stands, if a body comes next: `for __k in 0..__n`.
pub(super) fn counter(before: &[TokenTree]) -> Option<usize> {
    let start = before.iter().rposition(|t| match t {
        TokenTree::Punct(p) => p.as_char() == ';',
        TokenTree::Group(g) => g.delimiter() == Delimiter::Brace,
        _ => false,
    });
    let at = start.map_or(0, |s| s + 1);
    match &before[at..] {
        [TokenTree::Ident(word), TokenTree::Ident(_), ..] if word == "for" => Some(at + 1),
        _ => None,
    }
}

/// The counter of a loop and its body: where the body gives it a name, with that name.
fn counted(counter: &TokenTree, body: TokenStream) -> (TokenTree, TokenStream) {
    let trees: Vec<TokenTree> = body.clone().into_iter().collect();
    let named = (0..trees.len()).find_map(|k| {
        let (a, b) = binding(&trees[k..])?;
        let of_loop = matches!(counter, TokenTree::Ident(i) if *i == b);
        (of_loop && !a.to_string().starts_with("__loop")).then_some((k, a, b))
    });
    let Some((k, a, b)) = named else {
        return (counter.clone(), body);
    };
    let (before, rest) = (&trees[..k], &trees[k + 5..]);
    let once = |trees: &[TokenTree]| {
        !binds(trees, &a) && !binds(trees, &b) && !writes(trees, &a) && !writes(trees, &b)
    };
    if mentions(before, &a) || !once(before) || !once(rest) {
        return (counter.clone(), body);
    }
    let all = [before, rest].concat();
    (
        TokenTree::Ident(a.clone()),
        renamed(&all, &b, &a).into_iter().collect(),
    )
}

fn group(like: &TokenTree, inner: TokenStream) -> TokenTree {
    match like {
        TokenTree::Group(g) => {
            let mut new = Group::new(g.delimiter(), inner);
            new.set_span(g.span());
            TokenTree::Group(new)
        }
        other => other.clone(),
    }
}

fn is(tree: Option<&TokenTree>, sign: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == sign)
}

fn inner(tree: &TokenTree) -> Option<Vec<TokenTree>> {
    match tree {
        TokenTree::Group(g) => Some(g.stream().into_iter().collect()),
        _ => None,
    }
}

fn mentions(trees: &[TokenTree], name: &Ident) -> bool {
    trees.iter().any(|t| match t {
        TokenTree::Ident(i) => i == name,
        other => inner(other).is_some_and(|all| mentions(&all, name)),
    })
}

/// Whether a name is bound anywhere: by `let`, `for`, an arm or a closure.
fn binds(trees: &[TokenTree], name: &Ident) -> bool {
    let mut pattern = false;
    for (k, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Ident(i) if i == "let" || i == "for" => pattern = true,
            TokenTree::Ident(i) if i == "in" => pattern = false,
            TokenTree::Ident(i) if i == name => {
                let arm = is(trees.get(k + 1), '=') && is(trees.get(k + 2), '>');
                if pattern || arm || k > 0 && is(trees.get(k - 1), '|') {
                    return true;
                }
            }
            TokenTree::Punct(p) if p.as_char() == '=' || p.as_char() == ';' => pattern = false,
            other => {
                let Some(all) = inner(other) else { continue };
                if pattern && mentions(&all, name) || binds(&all, name) {
                    return true;
                }
            }
        }
    }
    false
}

/// Whether a variable may be changed anywhere.
fn writes(trees: &[TokenTree], name: &Ident) -> bool {
    const CHANGES: [&str; 9] = [
        "push",
        "pop",
        "fill",
        "clear",
        "truncate",
        "iter_mut",
        "swap",
        "copy_from_slice",
        "extend_from_slice",
    ];
    // `=` that is no comparison, perhaps after an operator.
    let assigned = |at: usize| {
        let plain = |at: usize| {
            is(trees.get(at), '=') && !is(trees.get(at + 1), '=') && !is(trees.get(at + 1), '>')
        };
        let joint = |at: usize| matches!(trees.get(at), Some(TokenTree::Punct(p)) if "+-*/%".contains(p.as_char()));
        plain(at) || joint(at) && plain(at + 1)
    };
    trees.iter().enumerate().any(|(k, tree)| match tree {
        TokenTree::Ident(i) if i == name => {
            let method = match (is(trees.get(k + 1), '.'), trees.get(k + 2)) {
                (true, Some(TokenTree::Ident(m))) => CHANGES.iter().any(|c| m == c),
                _ => false,
            };
            let borrowed = k > 0 && matches!(&trees[k - 1], TokenTree::Ident(i) if i == "mut");
            let element = matches!(trees.get(k + 1), Some(TokenTree::Group(_)));
            method || borrowed || assigned(k + 1) || element && assigned(k + 2)
        }
        TokenTree::Group(g) => {
            let all: Vec<TokenTree> = g.stream().into_iter().collect();
            let destructured = g.delimiter() == Delimiter::Parenthesis && assigned(k + 1);
            writes(&all, name) || destructured && mentions(&all, name)
        }
        _ => false,
    })
}

/// Another name for a variable; fields of the same name keep theirs.
fn renamed(trees: &[TokenTree], from: &Ident, to: &Ident) -> Vec<TokenTree> {
    let mut out = Vec::new();
    for (k, tree) in trees.iter().enumerate() {
        out.push(match tree {
            TokenTree::Ident(i) if i == from => {
                let of =
                    k > 0 && is(trees.get(k - 1), '.') && !(k > 1 && is(trees.get(k - 2), '.'));
                let field = of || is(trees.get(k + 1), ':') && !is(trees.get(k + 2), ':');
                if field {
                    tree.clone()
                } else {
                    TokenTree::Ident(to.clone())
                }
            }
            other => match inner(other) {
                Some(all) => group(other, renamed(&all, from, to).into_iter().collect()),
                None => other.clone(),
            },
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(code: &str, wanted: &str) {
        let out = alias(code.parse().unwrap()).to_string();
        assert_eq!(out, wanted.parse::<TokenStream>().unwrap().to_string());
    }

    #[test]
    fn a_second_name_is_left_out() {
        same(
            "let __n = __v; for k in 0..__n { f(__n) } R { __n: __n, x: s.__n }",
            "for k in 0..__v { f(__v) } R { __n: __v, x: s.__n }",
        );
        same(
            "let __k = __v; __d[__k] += 1.0; __e[__k] = 2.0;",
            "__d[__v] += 1.0; __e[__v] = 2.0;",
        );
        same(
            "let mut __s = 0.0; for k in 0..n { __s += x; } let __t = __s; (__t, g(__t))",
            "let mut __s = 0.0; for k in 0..n { __s += x; } (__s, g(__s))",
        );
    }

    #[test]
    fn counters_have_the_names_of_the_user() {
        same(
            "for __loop0_k in 0..__n { let __x = __s[__loop0_k]; let __i = __loop0_k; f(__i, __x); }",
            "for __i in 0..__n { let __x = __s[__i]; f(__i, __x); }",
        );
        same(
            "let v = 1; for __loop0_k in 0..__n { let __i = __loop0_k; let __j = __loop0_k; f(__i, __j); }",
            "let v = 1; for __i in 0..__n { f(__i, __i); }",
        );
    }

    #[test]
    fn what_changes_or_is_bound_again_keeps_its_names() {
        for code in [
            "let __old = __s; __s = 1.0; f(__old)",
            "let __old = __s; if c { __s += 1.0; } f(__old)",
            "let __old = __s; f(&mut __s); g(__old)",
            "let __old = __s; (__s, __t) = (1.0, __old);",
            "let __old = __s; let (__s, __t) = f(); g(__old)",
            "let __old = __s; for __s in 0..3 { f(__old) }",
            "let __old = __s; __s[0] = 1.0; g(__old)",
            "let __old = __s; __s.push(1.0); g(__old)",
            "let __old = x; g(__old)",
            "for __loop0_k in 0..__n { f(__i); let __i = __loop0_k; g(__i); let __loop0_k = 2; }",
        ] {
            same(code, code);
        }
    }
}
