//! What the generated documentation says of a derivative: formulas, kinks, cost, what is kept, the graph.
//!
//! In: the programs of a function. Out: the text of a `#[doc]` attribute: Markdown, with MathML and SVG in it, which rustdoc
//! shows without a network. Nothing that is computed depends on it. Must hold: it is bounded, however large the function is,
//! and what it says is read off the programs that are emitted.

mod cost;
pub mod formula;
mod picture;
mod source;
mod steps;
#[cfg(test)]
mod tests;

use crate::checkpoint::Every;
use crate::graph::{ArrayId, Graph, Id, LoopId, Node, Stmt};
use crate::items::Programs;
use crate::reverse::{Gradient, Reversal};
use crate::rules::Op;
use crate::shape::Shape;
use crate::signature::Signature;
use crate::types::{FloatTy, Kind};
use cost::{Cost, Count};
use proc_macro2::Span;
use std::fmt::Write;
use steps::{Step, Steps};
use syn::ext::IdentExt;

pub use picture::{Part, Style, draw, too_many};
pub use source::readable;

/// Lines of formulas that are shown.
const LINES: usize = 60;

/// Nodes of a function beyond which its formulas and its picture are not even tried.
const NODES: usize = 2_000;

/// Gives the line of a span in the source file.
pub type Line<'a> = &'a dyn Fn(Span) -> usize;

/// The documentation of a function's derivatives.
pub fn explain(p: &Programs, sig: &Signature, line: Line) -> String {
    let program = p.described();
    let name = sig.ident.unraw().to_string();
    let mut out = String::new();
    formulas(&mut out, p, program, sig, &name);
    graph(&mut out, p, &name);
    kinks(&mut out, p);
    forms(&mut out, p, program, line);
    loops(&mut out, p, program, line);
    costs(&mut out, p, program, line);
    kept(&mut out, p, sig, line);
    out
}

// ---- formulas ----

fn formulas(out: &mut String, p: &Programs, program: &Gradient, sig: &Signature, name: &str) {
    out.push_str("\n\n# Derivation\n\n");
    if p.primal.graph.nodes.len() > NODES {
        out.push_str("This function is too large for formulas.\n");
        return;
    }
    let params: Vec<String> = sig
        .params
        .iter()
        .map(|p| p.ident.unraw().to_string())
        .collect();
    let shapes: Vec<&Shape> = sig.params.iter().map(|p| &p.shape).collect();
    let lines = Steps::of(program, name, &params, &shapes);
    if p.unit.is_none() {
        out.push_str("`upstream` is the gradient with respect to the result, shaped like it.\n\n");
    }
    let shown = &lines[..lines.len().min(LINES)];
    // One paragraph a line; no blank line, which would end the HTML.
    out.push_str("<div style=\"overflow-x:auto\">\n");
    for l in shown {
        let _ = writeln!(
            out,
            "<p style=\"margin:.35em 0 .35em {}em\">{}</p>",
            2 * l.indent,
            mathml(l)
        );
    }
    out.push_str("</div>\n\n");
    out.push_str("<details><summary>as text</summary>\n\n```text\n");
    for l in shown {
        let _ = writeln!(out, "{}{}", "    ".repeat(l.indent), text(l));
    }
    out.push_str("```\n\n</details>\n");
    if lines.len() > LINES {
        let _ = write!(out, "\n{} more steps are not shown.\n", lines.len() - LINES);
    }
}

fn mathml(l: &Step) -> String {
    match (&l.left, &l.right) {
        (Some(a), Some(b)) => format!(
            "<math displaystyle=\"true\"><mrow>{}<mo>{}</mo>{}</mrow></math>",
            a.mathml(),
            l.sign,
            b.mathml()
        ),
        _ => formula::escape(&l.words),
    }
}

fn text(l: &Step) -> String {
    match (&l.left, &l.right) {
        (Some(a), Some(b)) => format!("{} {} {}", a.text(), l.sign, b.text()),
        _ => l.words.clone(),
    }
}

// ---- the picture ----

fn graph(out: &mut String, p: &Programs, name: &str) {
    if p.primal.graph.nodes.len() > NODES {
        return;
    }
    out.push_str("\n# Graph\n\n");
    match draw(&p.primal, name, Style::Page) {
        Ok(picture) => {
            out.push_str("The local gradients stand at the edges; each node multiplies what comes back to it by them.\n\n");
            // No blank line and no indentation: Markdown must leave it alone.
            let _ = write!(
                out,
                "<div style=\"overflow-x:auto\">{}</div>\n\n",
                picture.fixed()
            );
        }
        Err(nodes) => {
            let _ = write!(out, "With {nodes} nodes it is too large to be drawn.\n\n");
        }
    }
}

// ---- kinks ----

/// Where a primitive has no single derivative, and what is taken there.
fn kink(op: Op) -> Option<&'static str> {
    Some(match op {
        Op::Abs => "`abs` at 0: 0",
        Op::Max | Op::Min => "`max` and `min` where both are equal: half for each",
        Op::Clamp => "`clamp` at a bound: 1 for the value, 0 for the bound",
        Op::Sqrt => "`sqrt` at 0: ∞",
        Op::Cbrt => "`cbrt` at 0: ∞",
        Op::Hypot => "`hypot` at (0, 0): 0",
        Op::Atan2 => "`atan2` at (0, 0): NaN",
        Op::Signum => "`signum`: 0 everywhere",
        Op::Floor | Op::Ceil | Op::Round | Op::RoundTiesEven | Op::Trunc => {
            "rounding: 0 everywhere"
        }
        Op::DivEuclid => "`div_euclid`: 0 everywhere",
        Op::Rem | Op::RemEuclid => "remainders: 1 and minus the whole quotient, jumps left out",
        Op::Fract => "`fract`: 1, jumps left out",
        Op::Copysign => "`copysign` where the value is 0: 0; for the sign always 0",
        Op::Powf => {
            "`powf`: 0 for the base where the exponent is 0, 0 for the exponent where the base is 0"
        }
        Op::Acos | Op::Asin => "`asin` and `acos` at ±1: ±∞",
        _ => return None,
    })
}

fn kinks(out: &mut String, p: &Programs) {
    let g = &p.primal.graph;
    let mut found = Vec::new();
    for stmt in g.regions.iter().flat_map(|r| &r.stmts) {
        let note = match stmt {
            Stmt::Let(id) => match g.node(*id) {
                Node::Apply(op, _) => kink(*op),
                _ => None,
            },
            Stmt::If(b) if g.branch(*b).slots.iter().any(|s| g.is_float(s.out)) => {
                Some("branches: the derivative of the side that is taken")
            }
            _ => None,
        };
        found.extend(note.filter(|n| !found.contains(n)));
    }
    list(
        out,
        "Kinks",
        &found.iter().map(ToString::to_string).collect::<Vec<_>>(),
    );
}

fn list(out: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = write!(out, "\n# {title}\n\n");
    for item in items {
        let _ = writeln!(out, "- {item}");
    }
}

// ---- forms ----

fn forms(out: &mut String, p: &Programs, program: &Gradient, line: Line) {
    let mut all: Vec<String> = (p.stable.iter())
        .map(|(at, form)| {
            format!(
                "line {}: `{}` is computed as `{}`",
                line(*at),
                form.0,
                form.1
            )
        })
        .collect();
    all.dedup();
    all.extend(
        program
            .notes
            .idioms
            .iter()
            .map(|i| format!("fused: {}", formula::escape(i))),
    );
    list(out, "Stable forms", &all);
}

// ---- loops ----

/// One sentence a loop, such as `loop at line 14: fused, keeps nothing`.
fn loops(out: &mut String, p: &Programs, program: &Gradient, line: Line) {
    let all: Vec<String> = (p.primal.graph.loops.iter().enumerate())
        .filter(|(k, _)| is_run(&p.primal.graph, LoopId(*k as u32)))
        .map(|(k, l)| {
            let id = LoopId(k as u32);
            // Of a checkpointed loop a copy is reversed.
            let copy = program.notes.copies.get(&id).copied().unwrap_or(id);
            let segments = program.notes.states.get(&id);
            // The program that is described has its loops apart.
            let met = (p.unit.as_ref())
                .and_then(|unit| unit.notes.loops.get(&id))
                .filter(|&&how| how == Reversal::Met);
            let how = met.or_else(|| program.notes.loops.get(&id));
            let how = match how.or_else(|| program.notes.loops.get(&copy)) {
                None => "needs no backward pass".to_owned(),
                Some(Reversal::Overwritten) => {
                    "only the last overwrite counts, keeps its index".to_owned()
                }
                Some(Reversal::Extremum) => {
                    "what equals its result is found again, keeps nothing".to_owned()
                }
                Some(Reversal::Fused) => "fused, keeps nothing".to_owned(),
                Some(Reversal::Met) => {
                    "run from both ends at once, forwards and backwards, keeps nothing".to_owned()
                }
                Some(Reversal::Separate | Reversal::Segments) => {
                    let kept = match program.graph.looped(copy).tape.as_slice() {
                        [] => "nothing".to_owned(),
                        tape => format!("{} an iteration", bytes(&program.graph, tape)),
                    };
                    match segments {
                        None => format!("{}, keeps {kept}", second(&program.graph, copy)),
                        Some(&array) => format!(
                            "saves its state {}: {}; then segment by segment run again and backwards, keeps {kept} of one segment",
                            every(program),
                            state(&program.graph, array)
                        ),
                    }
                }
            };
            format!("loop at line {}: {how}", line(l.span))
        })
        .collect();
    list(out, "Loops", &all);
}

/// `every 100 iterations`
fn every(p: &Gradient) -> String {
    match &p.notes.every {
        Some(Every::Number(1)) => "every iteration".into(),
        Some(Every::Number(n)) => format!("every {n} iterations"),
        Some(Every::Constant(n)) => format!("every `{}` iterations", formula::tokens(n)),
        Some(Every::Root) | None => {
            "as often as the square root of the number of its iterations".into()
        }
    }
}

/// What a checkpointed loop saves at a time: `24 bytes (x, y, z)`, arrays by their names.
fn state(g: &Graph, array: ArrayId) -> String {
    let saved = g
        .regions
        .iter()
        .flat_map(|r| &r.stmts)
        .find_map(|s| match s {
            Stmt::Save(a, e) if *a == array => Some(e),
            _ => None,
        });
    let (mut scalars, mut arrays) = (Vec::new(), Vec::new());
    if let Some(e) = saved {
        crate::access::scalars(g, e, &mut |id| scalars.push(id));
        let parts = crate::access::parts_of_element(e).into_iter();
        arrays.extend(parts.map(|p| format!("a copy of `{}`", g.array(p.array).name)));
    }
    let scalars = (!scalars.is_empty()).then(|| bytes(g, &scalars));
    let all: Vec<String> = scalars.into_iter().chain(arrays).collect();
    if all.is_empty() {
        return "nothing but that it ran".into();
    }
    all.join(" and ")
}

/// How the second loop runs that reverses one, after all rearrangements: `forwards` may have turned it. Where `gather` has put
/// an end before and after it, it is the middle.
fn second(g: &Graph, of: LoopId) -> &'static str {
    let all = (0..g.loops.len()).map(|k| LoopId(k as u32));
    let mut those = all.filter(|&l| g.looped(l).reverses == Some(of) && is_run(g, l));
    match those.next() {
        None => "left out of the backward pass",
        Some(l) if backwards(g, l) => "run backwards",
        Some(_) => "run again in the same order",
    }
}

/// Whether a loop goes through the iterations of the one that it reverses from the last to the first.
fn backwards(g: &Graph, l: LoopId) -> bool {
    use crate::graph::Count::Range;
    g.looped(l)
        .reverses
        .is_some_and(|of| match (&g.looped(l).count, &g.looped(of).count) {
            (Range { rev, .. }, Range { rev: first, .. }) => rev != first,
            _ => true,
        })
}

fn is_run(g: &Graph, l: LoopId) -> bool {
    let find = |s: &Stmt| matches!(s, Stmt::Loop(k) if *k == l);
    g.regions.iter().any(|r| r.stmts.iter().any(find))
}

/// `16 bytes (x, flag)`
fn bytes(g: &Graph, all: &[Id]) -> String {
    let (mut sum, mut generic) = (0, 0);
    for &id in all {
        match g.types.kind(g.ty(id)) {
            Kind::Float(FloatTy::Generic(_)) => generic += 1,
            Kind::Float(FloatTy::F32) => sum += 4,
            Kind::Bool => sum += 1,
            Kind::AnyInt => sum += 4,
            Kind::Int(name) => sum += integer(name),
            _ => sum += 8,
        }
    }
    let mut names: Vec<&str> = all
        .iter()
        .filter_map(|&id| g.data(id).name.as_deref())
        .collect();
    names.dedup();
    let size = match (sum, generic) {
        (n, 0) => format!("{n} bytes"),
        (0, k) => format!("{k} floats"),
        (n, k) => format!("{n} bytes and {k} floats"),
    };
    let nameless = all.iter().filter(|&&id| g.data(id).name.is_none()).count();
    match (names.is_empty(), nameless) {
        (true, _) => size,
        (false, 0) => format!("{size} (`{}`)", names.join("`, `")),
        (false, n) => format!("{size} (`{}` and {n} without a name)", names.join("`, `")),
    }
}

fn integer(name: &str) -> u32 {
    match name.trim_start_matches(['u', 'i']) {
        "8" => 1,
        "16" => 2,
        "32" => 4,
        "128" => 16,
        _ => 8,
    }
}

// ---- cost ----

fn costs(out: &mut String, p: &Programs, program: &Gradient, line: Line) {
    let (plain, both) = (
        Cost::of(&crate::reverse::alone(&p.primal)),
        Cost::of(program),
    );
    out.push_str("\n# Operations\n\n");
    out.push_str("| | additions | multiplications | divisions, roots | transcendental | comparisons, others |\n");
    out.push_str("|---|--:|--:|--:|--:|--:|\n");
    let row = |out: &mut String, what: &str, c: Count| {
        let _ = writeln!(
            out,
            "| {what} | {} | {} | {} | {} | {} |",
            c.additions, c.multiplications, c.divisions, c.transcendentals, c.others
        );
    };
    let outside = if plain.loops.is_empty() {
        ""
    } else {
        ", outside of loops"
    };
    row(out, &format!("the function{outside}"), plain.once);
    row(out, &format!("value and gradient{outside}"), both.once);
    for (l, count) in &plain.loops {
        let at = line(p.primal.graph.looped(*l).span);
        row(
            out,
            &format!("an iteration of the loop at line {at}"),
            *count,
        );
        let there_and_back = both.loops.get(l).copied().unwrap_or_default();
        row(out, "the same, and back", there_and_back);
    }
    let added = (both.loops.iter()).filter(|(l, _)| !plain.loops.contains_key(l));
    if let Some((_, most)) = added.max_by_key(|(_, c)| c.weight) {
        row(
            out,
            "an iteration of a loop that gradients alone have, at most",
            *most,
        );
    }
    if !p.primal.graph.ifs.is_empty() {
        out.push_str("\nBoth sides of a branch are counted, of which one is run.\n");
    }
    if plain.loops.is_empty() && plain.once.weight > 0 {
        let ratio = f64::from(both.once.weight) / f64::from(plain.once.weight);
        let _ = write!(
            out,
            "\nWeighted by what they take, value and gradient are {ratio:.1} times the function.\n"
        );
    }
}

// ---- residuals ----

fn kept(out: &mut String, p: &Programs, sig: &Signature, line: Line) {
    let g = &p.split.graph;
    let mut all = Vec::new();
    let mut scalars = p.saved.nodes.clone();
    scalars.extend(
        (0..g.nodes.len() as u32)
            .map(Id)
            .filter(|&id| matches!(g.node(id), Node::Param(k) if p.saved.params.contains(k))),
    );
    if !scalars.is_empty() {
        all.push(bytes(g, &scalars));
    }
    for (k, l) in g.loops.iter().enumerate() {
        // The tape of a segment is gone when the segment is.
        let copied = p.split.notes.copies.values().any(|c| c.0 as usize == k);
        if !l.tape.is_empty() && !copied && is_run(g, LoopId(k as u32)) {
            all.push(format!(
                "{} for each iteration of the loop at line {}",
                bytes(g, &l.tape),
                line(l.span)
            ));
        }
    }
    for &a in &p.saved.arrays {
        let array = g.array(a);
        if let Some(l) = p.split.notes.states.iter().find(|s| *s.1 == a).map(|s| s.0) {
            let at = line(g.looped(*l).span);
            let what = state(g, a);
            all.push(format!(
                "of the loop at line {at}, {}: {what}",
                every(&p.split)
            ));
            continue;
        }
        let borrowed = array.param.is_some_and(|k| sig.params[k as usize].by_ref);
        all.push(format!(
            "`{}`, {}",
            array.name,
            if borrowed { "borrowed" } else { "copied" }
        ));
    }
    if all.is_empty() {
        all.push("nothing".into());
    }
    list(out, "Kept between `forward` and `backward`", &all);
}
