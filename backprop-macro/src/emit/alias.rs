//! Second names for what has one already, left out.
//!
//! In: the tokens of a body. Out: the same without `let __a = __b;`, with `__b` wherever `__a` is read; the counter of a loop gets the
//! name of the user's that stands for it. Must hold: `__b` keeps its value, and both names their meaning, as far as `__a` is seen.
//! Bodies may be long: where each name is bound, changed and seen is found once.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use std::collections::HashMap;
use std::ops::Range;

/// Gives each value one name.
pub fn alias(code: TokenStream) -> TokenStream {
    let mut next = 0;
    let nodes = read(code, &mut next);
    let mut places = Places::default();
    places.note(&nodes, false);
    let mut names = Names {
        places,
        stands_for: HashMap::new(),
    };
    names.block(&nodes, next)
}

/// A token and, of a group, what is in it, with its place among all tokens.
struct Node {
    tree: TokenTree,
    name: Option<String>,
    inner: Vec<Node>,
    span: Range<usize>,
}

fn read(code: TokenStream, next: &mut usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for tree in code {
        let start = *next;
        *next += 1;
        let inner = match &tree {
            TokenTree::Group(g) => read(g.stream(), next),
            _ => Vec::new(),
        };
        let name = match &tree {
            TokenTree::Ident(i) => Some(i.to_string()),
            _ => None,
        };
        let span = start..*next;
        nodes.push(Node {
            tree,
            name,
            inner,
            span,
        });
    }
    nodes
}

impl Node {
    fn is(&self, sign: char) -> bool {
        matches!(&self.tree, TokenTree::Punct(p) if p.as_char() == sign)
    }

    fn delimiter(&self) -> Option<Delimiter> {
        match &self.tree {
            TokenTree::Group(g) => Some(g.delimiter()),
            _ => None,
        }
    }
}

fn is(node: Option<&Node>, sign: char) -> bool {
    node.is_some_and(|n| n.is(sign))
}

/// The names in `let __a = __b;`.
fn binding(nodes: &[Node]) -> Option<(&Node, &Node)> {
    let [first, a, equals, b, end, ..] = nodes else {
        return None;
    };
    let ours = |n: &Node| n.name.as_ref().is_some_and(|n| n.starts_with("__"));
    let found = first.name.as_deref() == Some("let") && equals.is('=') && end.is(';');
    (found && ours(a) && ours(b)).then_some((a, b))
}

/// Where the name of a loop's counter stands, if a body comes next: `for __k in 0..__n`.
pub(super) fn counter(before: &[TokenTree]) -> Option<usize> {
    let ends = |t: &TokenTree| match t {
        TokenTree::Punct(p) => p.as_char() == ';',
        TokenTree::Group(g) => g.delimiter() == Delimiter::Brace,
        _ => false,
    };
    let at = before.iter().rposition(ends).map_or(0, |s| s + 1);
    match &before[at..] {
        [TokenTree::Ident(word), TokenTree::Ident(_), ..] if word == "for" => Some(at + 1),
        _ => None,
    }
}

/// Methods that change what they are called on.
const CHANGES: [&str; 24] = [
    "append",
    "clear",
    "copy_from_slice",
    "copy_within",
    "drain",
    "extend",
    "extend_from_slice",
    "fill",
    "first_mut",
    "get_mut",
    "insert",
    "iter_mut",
    "last_mut",
    "pop",
    "push",
    "remove",
    "reserve_exact",
    "resize",
    "reverse",
    "rotate_left",
    "rotate_right",
    "split_at_mut",
    "swap",
    "truncate",
];

/// Where each name is seen, bound, and changed, in order.
#[derive(Default)]
struct Places {
    seen: HashMap<String, Vec<usize>>,
    bound: HashMap<String, Vec<usize>>,
    changed: HashMap<String, Vec<usize>>,
}

impl Places {
    /// Notes all names; in a pattern they are bound.
    fn note(&mut self, nodes: &[Node], in_pattern: bool) {
        // Bound by `let`, `for`, an arm or a closure.
        let mut pattern = in_pattern;
        for (k, node) in nodes.iter().enumerate() {
            let Some(name) = &node.name else {
                if node.is('=') || node.is(';') {
                    pattern = in_pattern;
                }
                if assigned(nodes, k + 1) && node.delimiter() == Some(Delimiter::Parenthesis) {
                    self.change_all(&node.inner);
                }
                self.note(&node.inner, pattern);
                continue;
            };
            let at = node.span.start;
            self.seen.entry(name.clone()).or_default().push(at);
            match name.as_str() {
                "let" | "for" => pattern = true,
                "in" => pattern = in_pattern,
                _ => {
                    let arm = is(nodes.get(k + 1), '=') && is(nodes.get(k + 2), '>');
                    let closure = k > 0 && nodes[k - 1].is('|');
                    if pattern || arm || closure {
                        self.bound.entry(name.clone()).or_default().push(at);
                    }
                    if changes(nodes, k) {
                        self.changed.entry(name.clone()).or_default().push(at);
                    }
                }
            }
        }
    }

    fn change_all(&mut self, nodes: &[Node]) {
        for node in nodes {
            if let Some(name) = &node.name {
                let at = node.span.start;
                self.changed.entry(name.clone()).or_default().push(at);
            }
            self.change_all(&node.inner);
        }
    }

    /// Whether a name is neither bound nor changed there.
    fn keeps(&self, name: &str, there: &Range<usize>) -> bool {
        none(&self.bound, name, there) && none(&self.changed, name, there)
    }
}

fn none(of: &HashMap<String, Vec<usize>>, name: &str, there: &Range<usize>) -> bool {
    let Some(places) = of.get(name) else {
        return true;
    };
    let first = places.partition_point(|&at| at < there.start);
    places.get(first).is_none_or(|&at| at >= there.end)
}

/// Whether `=` stands there that is no comparison, perhaps after an operator.
fn assigned(nodes: &[Node], at: usize) -> bool {
    let plain = |at: usize| {
        is(nodes.get(at), '=') && !is(nodes.get(at + 1), '=') && !is(nodes.get(at + 1), '>')
    };
    let joint = nodes
        .get(at)
        .is_some_and(|n| "+-*/%".chars().any(|c| n.is(c)));
    plain(at) || joint && plain(at + 1)
}

/// Whether the variable that is named there, or a part of it, may be changed.
fn changes(nodes: &[Node], k: usize) -> bool {
    if k > 0 && nodes[k - 1].name.as_deref() == Some("mut") {
        return true;
    }
    let mut at = k + 1;
    loop {
        match nodes.get(at) {
            // An element, or arguments.
            Some(n)
                if matches!(
                    n.delimiter(),
                    Some(Delimiter::Bracket | Delimiter::Parenthesis)
                ) =>
            {
                at += 1;
            }
            Some(n) if n.is('.') && !is(nodes.get(at + 1), '.') => {
                let field = nodes.get(at + 1).and_then(|n| n.name.as_deref());
                if field.is_some_and(|f| CHANGES.contains(&f)) {
                    return true;
                }
                at += 2;
            }
            _ => return assigned(nodes, at),
        }
    }
}

struct Names {
    places: Places,
    /// For each name that is left out, what is written instead, innermost last.
    stands_for: HashMap<String, Vec<Ident>>,
}

impl Names {
    /// What is written for a name.
    fn now(&self, node: &Node) -> Option<&Ident> {
        self.stands_for.get(node.name.as_ref()?)?.last()
    }

    /// A block, which ends at a place.
    fn block(&mut self, nodes: &[Node], end: usize) -> TokenStream {
        let mut out: Vec<TokenTree> = Vec::new();
        let mut mine = Vec::new();
        let mut k = 0;
        while let Some(node) = nodes.get(k) {
            if let Some((a, b)) = binding(&nodes[k..])
                && let Some(of) = self.one(a, b, nodes[k + 4].span.end..end)
            {
                if let Some(name) = &a.name {
                    self.stands_for.entry(name.clone()).or_default().push(of);
                    mine.push(name.clone());
                }
                k += 5;
                continue;
            }
            let tree = match &node.tree {
                TokenTree::Group(g) => {
                    let counter = match g.delimiter() {
                        Delimiter::Brace => counter(&out),
                        _ => None,
                    };
                    let named = counter.and_then(|at| self.counted(&out[at], node));
                    if let (Some(at), Some((counter, name))) = (counter, &named) {
                        out[at] = TokenTree::Ident(name.clone());
                        let stands_for = self.stands_for.entry(counter.clone()).or_default();
                        stands_for.push(name.clone());
                    }
                    let mut inner =
                        Group::new(g.delimiter(), self.block(&node.inner, node.span.end));
                    inner.set_span(g.span());
                    if let Some((counter, _)) = named {
                        self.stands_for.entry(counter).or_default().pop();
                    }
                    TokenTree::Group(inner)
                }
                TokenTree::Ident(_) if !is_field(nodes, k) => match self.now(node) {
                    Some(name) => TokenTree::Ident(name.clone()),
                    None => node.tree.clone(),
                },
                other => other.clone(),
            };
            out.push(tree);
            k += 1;
        }
        for name in mine {
            self.stands_for.entry(name).or_default().pop();
        }
        out.into_iter().collect()
    }

    /// What stands for both names as far as the first is seen, if one can.
    fn one(&self, a: &Node, b: &Node, seen: Range<usize>) -> Option<Ident> {
        let (TokenTree::Ident(own), Some(a), Some(written)) = (&b.tree, &a.name, &b.name) else {
            return None;
        };
        let of = self.now(b).unwrap_or(own).clone();
        let name = of.to_string();
        let keep = |n: &str| self.places.keeps(n, &seen);
        // The counter of the loop has this name already.
        (name == *a || keep(a) && keep(written) && keep(&name)).then_some(of)
    }

    /// The counter of a loop, and the name that the body gives it, if it can have that from the start.
    fn counted(&self, counter: &TokenTree, body: &Node) -> Option<(String, Ident)> {
        let TokenTree::Ident(counter) = counter else {
            return None;
        };
        let counter = counter.to_string();
        let (a, at) = (0..body.inner.len()).find_map(|k| {
            let (a, b) = binding(&body.inner[k..])?;
            let name = a.name.as_ref()?;
            let of_loop = b.name.as_ref() == Some(&counter) && !name.starts_with("__loop");
            of_loop.then_some((a, body.inner[k + 4].span.end))
        })?;
        let (TokenTree::Ident(ident), Some(name)) = (&a.tree, &a.name) else {
            return None;
        };
        let (before, after) = (body.span.start..a.span.start, at..body.span.end);
        let p = &self.places;
        let holds = none(&p.seen, name, &before)
            && p.keeps(name, &after)
            && p.keeps(&counter, &before)
            && p.keeps(&counter, &after);
        holds.then(|| (counter, ident.clone()))
    }
}

/// Whether a name is that of a field.
fn is_field(nodes: &[Node], k: usize) -> bool {
    let read = k > 0 && nodes[k - 1].is('.') && !(k > 1 && nodes[k - 2].is('.'));
    read || is(nodes.get(k + 1), ':') && !is(nodes.get(k + 2), ':')
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
    fn a_name_may_be_used_again_elsewhere() {
        same(
            "for __k in 0..3 { let __a = __x; f(__a) } for __k in 0..3 { let __a = __y; g(__a) }",
            "for __k in 0..3 { f(__x) } for __k in 0..3 { g(__y) }",
        );
        same("let __a = __x; let __b = __a; f(__b)", "f(__x)");
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
            "let __old = __s; __s[0][1] = 1.0; g(__old)",
            "let __old = __s; __s.at[0].x += 1.0; g(__old)",
            "let __old = __s; __s[0].fill(1.0); g(__old)",
            "let __old = x; g(__old)",
            "for __loop0_k in 0..__n { f(__i); let __i = __loop0_k; g(__i); let __loop0_k = 2; }",
        ] {
            same(code, code);
        }
    }
}
