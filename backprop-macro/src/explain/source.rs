//! The generated code as a person would read it: `f::SOURCE`.
//!
//! In: the generated items. Out: the same code as text, in which locals have the user's names, literals no suffix and
//! primitive types no path; attributes, the functions named and `let _ = f;` are left out. Must hold: nothing else changes, so that what is
//! read is what runs.

use proc_macro2::{Delimiter, Group, Ident, Literal, Spacing, Span, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

/// The text; `prettyplease` and `rustfmt` can format it.
pub fn readable(items: TokenStream, hidden: &[String]) -> String {
    let plain = strip(items, hidden);
    short(functions(plain)).to_string()
}

/// `x` for `x: x` in braces.
fn short(code: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = code.into_iter().collect();
    let mut out: Vec<TokenTree> = Vec::new();
    let mut k = 0;
    while k < trees.len() {
        let colon = matches!(trees.get(k + 1), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Alone);
        let ends = match trees.get(k + 3) {
            None => true,
            Some(TokenTree::Punct(p)) => p.as_char() == ',',
            _ => false,
        };
        match (&trees[k], trees.get(k + 2)) {
            (TokenTree::Ident(a), Some(TokenTree::Ident(b))) if colon && ends && a == b => {
                out.push(trees[k].clone());
                k += 3;
                continue;
            }
            (TokenTree::Group(g), _) => {
                let inner = short(g.stream());
                out.push(TokenTree::Group(Group::new(g.delimiter(), inner)));
            }
            (tree, _) => out.push(tree.clone()),
        }
        k += 1;
    }
    out.into_iter().collect()
}

/// Without attributes, paths of primitive types, suffixes of literals, and functions that are hidden.
fn strip(code: TokenStream, hidden: &[String]) -> TokenStream {
    let trees: Vec<TokenTree> = code.into_iter().collect();
    let mut out: Vec<TokenTree> = Vec::new();
    let mut k = 0;
    while k < trees.len() {
        match (&trees[k], trees.get(k + 1)) {
            (TokenTree::Punct(p), Some(TokenTree::Group(g)))
                if p.as_char() == '#' && g.delimiter() == Delimiter::Bracket =>
            {
                k += 2;
                continue;
            }
            (TokenTree::Ident(i), Some(TokenTree::Ident(name)))
                if i == "fn" && hidden.iter().any(|h| name == h) =>
            {
                // The function, and what is written before `fn`.
                while out.last().is_some_and(
                    |t| !matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace),
                ) {
                    out.pop();
                }
                while k < trees.len() {
                    let body = matches!(&trees[k], TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
                    k += 1;
                    if body {
                        break;
                    }
                }
                continue;
            }
            // `let _ = f;`, which keeps the compiler from calling `f` unused.
            (TokenTree::Ident(i), Some(TokenTree::Ident(name)))
                if i == "let" && name == "_" && names_only(&trees[k + 3..]) =>
            {
                while !matches!(&trees[k], TokenTree::Punct(p) if p.as_char() == ';') {
                    k += 1;
                }
                k += 1;
                continue;
            }
            // `let _ = |x: &P| { … };` and `const _: () = { … };`, which are there for the compiler's messages alone.
            (TokenTree::Ident(i), Some(TokenTree::Ident(name)))
                if name == "_" && (i == "const" || i == "let" && closes_over(&trees[k + 2..])) =>
            {
                while !matches!(&trees[k], TokenTree::Punct(p) if p.as_char() == ';') {
                    k += 1;
                }
                k += 1;
                continue;
            }
            // `::core::clone::Clone::clone(&x)`
            (TokenTree::Punct(_), _)
                if is_path(&trees[k..], &["core", "clone", "Clone"])
                    && names(&trees, k + 11, "clone") =>
            {
                let of = match trees.get(k + 12) {
                    Some(TokenTree::Group(g)) => strip(g.stream(), hidden),
                    _ => TokenStream::new(),
                };
                let mut of: Vec<TokenTree> = of.into_iter().collect();
                if matches!(of.first(), Some(TokenTree::Punct(p)) if p.as_char() == '&') {
                    of.remove(0);
                }
                out.extend(quote::quote!(#(#of)*.clone()));
                k += 13;
                continue;
            }
            // `::core::primitive::f64`
            (TokenTree::Punct(_), _) if is_path(&trees[k..], &["core", "primitive"]) => {
                k += 8;
                continue;
            }
            (TokenTree::Punct(_), _)
                if is_path(&trees[k..], &["std", "vec"]) && names(&trees, k + 8, "Vec") =>
            {
                k += 8;
                continue;
            }
            // `::std::vec![…]`, `::core::assert!(…)`
            (TokenTree::Punct(_), _) if is_macro(&trees[k..]) => {
                k += 5;
                continue;
            }
            // `::core::iter::Iterator::rev(0..n)`
            (TokenTree::Punct(_), _)
                if is_path(&trees[k..], &["core", "iter", "Iterator"])
                    && names(&trees, k + 11, "rev") =>
            {
                let range = trees.get(k + 12).cloned().into_iter().collect();
                out.extend(strip(range, hidden));
                out.extend(quote::quote!(.rev()));
                k += 13;
                continue;
            }
            (TokenTree::Group(g), next) => {
                let inner = strip(g.stream(), hidden);
                if g.delimiter() == Delimiter::Parenthesis && is_bare(&out, &inner, next) {
                    out.extend(inner);
                } else {
                    out.push(TokenTree::Group(Group::new(g.delimiter(), inner)));
                }
            }
            (TokenTree::Literal(l), _) => {
                // The length of an array has no other type.
                let length = matches!(out.last(), Some(TokenTree::Punct(p)) if p.as_char() == ';');
                let text = l.to_string();
                match text.strip_suffix("usize").and_then(|n| n.parse().ok()) {
                    Some(n) if length => out.push(TokenTree::Literal(n)),
                    _ => out.push(literal(l)),
                }
            }
            (tree, _) => out.push(tree.clone()),
        }
        k += 1;
    }
    out.into_iter().collect()
}

/// Whether `= |…|` comes next.
fn closes_over(trees: &[TokenTree]) -> bool {
    let sign =
        |k: usize, c: char| matches!(trees.get(k), Some(TokenTree::Punct(p)) if p.as_char() == c);
    sign(0, '=') && sign(1, '|')
}

/// Whether `::std::name!` or `::core::name!` stands here.
fn is_macro(trees: &[TokenTree]) -> bool {
    let root = ["std", "core"].iter().any(|root| is_path(trees, &[root]));
    let bang = matches!(trees.get(6), Some(TokenTree::Punct(p)) if p.as_char() == '!');
    root && bang
}

/// Whether what stands in brackets needs none: a number or a name, in front of the sign of an operation or the end.
fn is_bare(before: &[TokenTree], inner: &TokenStream, next: Option<&TokenTree>) -> bool {
    let inner: Vec<TokenTree> = inner.clone().into_iter().collect();
    let ends = match next {
        None => true,
        Some(TokenTree::Punct(p)) => p.as_char() != '.' || p.spacing() == Spacing::Joint,
        Some(TokenTree::Ident(_)) => false,
        // The body of a loop.
        Some(TokenTree::Group(g)) => g.delimiter() == Delimiter::Brace,
        Some(TokenTree::Literal(_)) => false,
    };
    let starts = match before.last() {
        None => true,
        Some(TokenTree::Punct(p)) => !"!->".contains(p.as_char()),
        Some(TokenTree::Ident(i)) => i == "in" || i == "if" || i == "else",
        Some(TokenTree::Group(g)) => g.delimiter() == Delimiter::Brace,
        Some(TokenTree::Literal(_)) => false,
    };
    let sign = |t: &TokenTree, signs: &str| matches!(t, TokenTree::Punct(p) if signs.contains(p.as_char()));
    let simple = match inner.as_slice() {
        [TokenTree::Ident(_) | TokenTree::Literal(_)] => true,
        [TokenTree::Ident(_), dot, TokenTree::Ident(_)] => sign(dot, "."),
        [minus, TokenTree::Literal(_)] => sign(minus, "-"),
        [star, TokenTree::Ident(_)] => sign(star, "*"),
        _ => false,
    };
    // All that a variable starts from.
    let whole = before.last().is_some_and(|t| sign(t, "="))
        && !before.iter().rev().nth(1).is_some_and(|t| sign(t, "<>=!"))
        && next.is_some_and(|t| sign(t, ";"))
        && !inner.iter().any(|t| sign(t, ","));
    starts && ends && simple || whole
}

/// Whether nothing but a path comes before the semicolon.
fn names_only(trees: &[TokenTree]) -> bool {
    let end = trees
        .iter()
        .position(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ';'));
    trees[..end.unwrap_or(0)].iter().all(|t| match t {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(p) => ":<>,".contains(p.as_char()),
        _ => false,
    }) && end.is_some()
}

/// Whether `::a::b::` stands here.
fn is_path(trees: &[TokenTree], parts: &[&str]) -> bool {
    let mut at = 0;
    let colons = |at: usize| {
        let colon =
            |k: usize| matches!(trees.get(k), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        let joint =
            matches!(trees.get(at), Some(TokenTree::Punct(p)) if p.spacing() == Spacing::Joint);
        joint && colon(at) && colon(at + 1)
    };
    for part in parts {
        if !colons(at) || !names(trees, at + 2, part) {
            return false;
        }
        at += 3;
    }
    colons(at)
}

fn names(trees: &[TokenTree], at: usize, name: &str) -> bool {
    matches!(trees.get(at), Some(TokenTree::Ident(i)) if i == name)
}

fn literal(l: &Literal) -> TokenTree {
    let text = l.to_string();
    let bare = text.trim_end_matches("_f64").trim_end_matches("_f32");
    let bare: Literal = match bare.parse() {
        Ok(bare) if bare_number(&text) => bare,
        _ => l.clone(),
    };
    TokenTree::Literal(bare)
}

fn bare_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Gives `__x_12` the name `x`, or `x_2` where there is an `x` already: items and fields once, locals in each function.
fn functions(code: TokenStream) -> TokenStream {
    let (mut ours, mut taken) = (Vec::new(), BTreeSet::new());
    collect(&code, &mut Vec::new(), &mut taken);
    outside(&code, &mut ours);
    let mut shared = BTreeMap::new();
    name(ours, &mut taken, &mut shared);
    inside(code, &shared)
}

/// Our names outside of functions, those of functions, and lifetimes.
fn outside(code: &TokenStream, out: &mut Vec<String>) {
    let (mut function, mut lifetime) = (false, false);
    for tree in code.clone() {
        match tree {
            TokenTree::Ident(i) => {
                let text = i.to_string();
                let named = out.is_empty() && function;
                if text.starts_with("__") && (!function || lifetime || named) {
                    out.push(text);
                } else if i == "fn" {
                    function = true;
                    continue;
                }
                lifetime = false;
            }
            TokenTree::Group(g) if function && g.delimiter() == Delimiter::Brace => {
                function = false
            }
            TokenTree::Group(g) if !function => outside(&g.stream(), out),
            TokenTree::Punct(p) => lifetime = p.as_char() == '\'',
            _ => {}
        }
    }
    let mut before = None;
    for tree in code.clone() {
        if let TokenTree::Ident(i) = &tree {
            if before.as_deref() == Some("fn") && i.to_string().starts_with("__") {
                out.push(i.to_string());
            }
            before = Some(i.to_string());
        } else {
            before = None;
        }
    }
}

fn inside(code: TokenStream, shared: &BTreeMap<String, String>) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    let mut function: Option<Vec<TokenTree>> = None;
    for tree in code {
        match (tree, &mut function) {
            (TokenTree::Ident(i), None) if i == "fn" => function = Some(vec![TokenTree::Ident(i)]),
            (TokenTree::Group(g), None) if g.delimiter() == Delimiter::Brace => {
                out.push(TokenTree::Group(Group::new(
                    Delimiter::Brace,
                    inside(g.stream(), shared),
                )));
            }
            (tree, None) => out.push(replace(tree, shared)),
            (tree, Some(body)) => {
                let ends =
                    matches!(&tree, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
                body.push(tree);
                if ends {
                    let body: TokenStream = function.take().into_iter().flatten().collect();
                    let (mut ours, mut taken) = (Vec::new(), BTreeSet::new());
                    collect(&body, &mut ours, &mut taken);
                    taken.extend(shared.values().cloned());
                    let mut names = shared.clone();
                    name(ours, &mut taken, &mut names);
                    out.extend(body.into_iter().map(|t| replace(t, &names)));
                }
            }
        }
    }
    out.extend(function.into_iter().flatten());
    out.into_iter().collect()
}

fn name(ours: Vec<String>, taken: &mut BTreeSet<String>, names: &mut BTreeMap<String, String>) {
    for ours in ours {
        if names.contains_key(&ours) {
            continue;
        }
        let bare = ours.trim_start_matches('_');
        // The number of the node, and what marks an array or a slice of one.
        let stem = bare.trim_end_matches(|c: char| c.is_ascii_digit());
        // A field that holds a parameter is only ever reached through the residuals: it may be called like it.
        let numbered = Some(stem).filter(|s| s.len() < bare.len());
        let field = numbered.and_then(|s| s.strip_suffix("_pa").or_else(|| s.strip_suffix("_p")));
        if let Some(field) = field
            && !names.values().any(|n| n == field)
        {
            let field = field.to_owned();
            names.insert(ours, field);
            continue;
        }
        let marked = field.or_else(|| numbered?.strip_suffix("_a"));
        let stem = match marked.or_else(|| stem.strip_suffix('_')) {
            Some(stem) if stem.len() < bare.len() => stem,
            _ => bare,
        };
        let stem = match stem.rsplit_once("_s") {
            Some((before, loops))
                if !loops.is_empty() && loops.chars().all(|c| c.is_ascii_digit()) =>
            {
                before
            }
            _ => stem,
        };
        let stem = if stem.is_empty() { "v" } else { stem };
        let mut wanted = stem.to_owned();
        let mut k = 1;
        while syn::parse_str::<Ident>(&wanted).is_err() || !taken.insert(wanted.clone()) {
            k += 1;
            wanted = format!("{stem}_{k}");
        }
        names.insert(ours, wanted);
    }
}

fn collect(code: &TokenStream, ours: &mut Vec<String>, taken: &mut BTreeSet<String>) {
    for tree in code.clone() {
        match tree {
            TokenTree::Ident(i) => {
                let text = i.to_string();
                if text.starts_with("__") {
                    ours.push(text);
                } else {
                    taken.insert(text);
                }
            }
            TokenTree::Group(g) => collect(&g.stream(), ours, taken),
            _ => {}
        }
    }
}

fn replace(tree: TokenTree, names: &BTreeMap<String, String>) -> TokenTree {
    match tree {
        TokenTree::Ident(i) => match names.get(&i.to_string()) {
            Some(name) => TokenTree::Ident(Ident::new(name, Span::call_site())),
            None => TokenTree::Ident(i),
        },
        TokenTree::Group(g) => {
            let inner = g.stream().into_iter().map(|t| replace(t, names)).collect();
            TokenTree::Group(Group::new(g.delimiter(), inner))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    fn read(code: &str) -> String {
        readable(code.parse().unwrap(), &["__pullback".into()])
    }

    #[test]
    fn names_types_and_literals() {
        assert_eq!(
            read(
                "#[inline] fn f(x: ::core::primitive::f64) { let __x_3 = 2.0_f64 * x; let __d_x_9 = __x_3; }"
            ),
            read("fn f(x: f64) { let x_2 = 2.0 * x; let d_x = x_2; }")
        );
    }

    #[test]
    fn paths_brackets_and_loops() {
        let read = |body: &str| read(&format!("fn f() {{ {body} }}"));
        let wanted = |body: &str| {
            let code: proc_macro2::TokenStream = format!("fn f() {{ {body} }}").parse().unwrap();
            code.to_string()
        };
        for (code, text) in [
            ("let v = ::std::vec![0.0_f64; n];", "let v = vec![0.0; n];"),
            ("::core::assert!(a == b);", "assert!(a == b);"),
            (
                "for k in ::core::iter::Iterator::rev(0..n) {}",
                "for k in (0..n).rev() {}",
            ),
            ("for k in (0)..(s.n) { }", "for k in 0..s.n { }"),
            (
                "let y = (a * b); let t = (a, b);",
                "let y = a * b; let t = (a, b);",
            ),
            (
                "let _ = |x: &P| -> () { f(x); }; let y = ::core::clone::Clone::clone(&s.x);",
                "let y = s.x.clone();",
            ),
            (
                "let t: [f64; 2usize] = [0.0; 2usize];",
                "let t: [f64; 2] = [0.0; 2];",
            ),
            ("(*d) += (-2.0_f64) * x;", "*d += -2.0 * x;"),
            (
                "let y = (-2.0_f64).abs() - (-3.0_f64);",
                "let y = (-2.0).abs() - (-3.0);",
            ),
            (
                "let __d_a = x; let __g_p = y; g(__d_a, __g_p)",
                "let d_a = x; let g_p = y; g(d_a, g_p)",
            ),
        ] {
            assert_eq!(read(code), wanted(text));
        }
    }

    #[test]
    fn fields_and_functions_agree() {
        let text = read(
            "struct R { __v_7: f64 } impl f { fn g() { R { __v_7: __v_7 } } fn __pullback() {} }",
        );
        assert!(!text.contains("__") && !text.contains("pullback"), "{text}");
    }
}
