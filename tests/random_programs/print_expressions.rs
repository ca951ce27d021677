//! Writes expressions as Rust, with as few parentheses as Rust asks for.
//!
//! In: a tree and how deep its first line is indented. Out: the text. Must hold: it parses to the same tree.

use super::*;

/// A piece of text that may span lines, at a given depth.
fn nested(depth: usize, write: impl FnOnce(&mut Printer)) -> String {
    let mut out = Printer {
        text: String::new(),
        depth,
    };
    write(&mut out);
    out.text
}

pub fn keyword(mutable: bool) -> &'static str {
    if mutable { "mut " } else { "" }
}

pub fn label(name: &Option<Name>) -> String {
    name.as_ref().map(|n| format!("'{n}: ")).unwrap_or_default()
}

pub fn target(name: &Option<Name>) -> String {
    name.as_ref().map(|n| format!(" '{n}")).unwrap_or_default()
}

pub fn list(values: &[Real], depth: usize) -> String {
    values
        .iter()
        .map(|v| real(v, depth))
        .collect::<Vec<_>>()
        .join(", ")
}

pub fn place(name: &str, indices: &[Int], depth: usize) -> String {
    indices.iter().fold(name.to_owned(), |text, i| {
        format!("{text}[{}]", int(i, depth))
    })
}

pub fn initial(value: &Value, depth: usize) -> String {
    match value {
        Value::Real(e) => real(e, depth),
        Value::Int(e) => int(e, depth),
        Value::Bool(e) => cond(e, depth),
        Value::State(seed) => format!("{seed}u32"),
        Value::Fill(e, dims) => dims
            .iter()
            .rev()
            .fold(real(e, depth), |text, n| format!("[{text}; {n}]")),
        Value::List(row) => format!("[{}]", list(row, depth)),
        Value::Lists(rows) => {
            let rows: Vec<String> = rows
                .iter()
                .map(|row| format!("[{}]", list(row, depth)))
                .collect();
            format!("[{}]", rows.join(", "))
        }
        Value::Copy(name, row) => place(name, row, depth),
        Value::Choose(test, a, b) => format!("if {} {{ {a} }} else {{ {b} }}", cond(test, depth)),
    }
}

pub fn range(r: &Range, depth: usize) -> String {
    let dots = if r.inclusive { "..=" } else { ".." };
    let text = format!(
        "{}{dots}{}",
        int_within(&r.from, 9, depth),
        int_within(&r.to, 9, depth)
    );
    let text = if r.reversed || r.step.is_some() {
        format!("({text})")
    } else {
        text
    };
    let text = if r.reversed {
        format!("{text}.rev()")
    } else {
        text
    };
    r.step
        .map(|k| format!("{text}.step_by({k})"))
        .unwrap_or(text)
}

fn precedence(op: &str) -> u8 {
    if matches!(op, "+" | "-") { 1 } else { 2 }
}

/// An expression where any may stand.
pub fn real(e: &Real, depth: usize) -> String {
    match e {
        Real::Lit(v) => format!("{v:?}"),
        Real::Var(name) => name.clone(),
        Real::At(name, indices) => place(name, indices, depth),
        Real::Cast(i) => format!("({} as f64)", int_within(i, 9, depth)),
        Real::Neg(a) => format!("-{}", real_within(a, 3, depth)),
        Real::Bin(op, a, b) => {
            let p = precedence(op);
            format!(
                "{} {op} {}",
                real_within(a, p, depth),
                real_within(b, p + 1, depth)
            )
        }
        Real::Call(a, method, args) => {
            format!("{}.{method}({})", receiver(a, depth), list(args, depth))
        }
        Real::Powi(a, n) => {
            let n = match **n {
                Int::Lit(k) => k.to_string(),
                _ => format!("{} as i32", int_within(n, 9, depth)),
            };
            format!("{}.powi({n})", receiver(a, depth))
        }
        Real::If(choice) => nested(depth, |out| out.choice(choice, None)),
        Real::Match(table) => nested(depth, |out| out.table(table)),
        Real::Block(name, body) => nested(depth, |out| {
            out.say(label(name));
            out.body(body);
        }),
        Real::Loop(rounds) => nested(depth, |out| {
            out.braces(|out| {
                out.line();
                out.say(format!("let mut {} = 0;", rounds.counter));
                out.line();
                out.rounds(rounds);
            });
        }),
    }
}

/// A receiver needs a type of its own: a literal carries its suffix.
fn receiver(e: &Real, depth: usize) -> String {
    match e {
        Real::Lit(v) => format!("{v:?}_f64"),
        _ => real_within(e, 9, depth),
    }
}

/// An operand of an operator that binds as tightly as `least`.
fn real_within(e: &Real, least: u8, depth: usize) -> String {
    let own = match e {
        Real::Bin(op, ..) => precedence(op),
        Real::Neg(_) => 3,
        Real::If(_) | Real::Match(_) | Real::Block(..) | Real::Loop(_) => 0,
        _ => 9,
    };
    let text = real(e, depth);
    if own < least {
        format!("({text})")
    } else {
        text
    }
}

pub fn int(e: &Int, depth: usize) -> String {
    match e {
        Int::Lit(k) => k.to_string(),
        Int::Var(name) => name.clone(),
        Int::Bin(op, a, b) => {
            let p = precedence(op);
            format!(
                "{} {op} {}",
                int_within(a, p, depth),
                int_within(b, p + 1, depth)
            )
        }
        Int::State(name) => format!("(({name} >> 16) as usize)"),
        Int::Len(name) => format!("{name}.len()"),
        Int::Cast(a) => format!("({} as usize)", real_within(a, 9, depth)),
    }
}

fn int_within(e: &Int, least: u8, depth: usize) -> String {
    let text = int(e, depth);
    match e {
        Int::Bin(op, ..) if precedence(op) < least => format!("({text})"),
        _ => text,
    }
}

pub fn cond(e: &Cond, depth: usize) -> String {
    match e {
        Cond::Var(name) => name.clone(),
        Cond::Reals(op, a, b) => format!(
            "{} {op} {}",
            real_within(a, 1, depth),
            real_within(b, 1, depth)
        ),
        Cond::Ints(op, a, b) => format!("{} {op} {}", int(a, depth), int(b, depth)),
        Cond::Both(op, a, b) => format!(
            "{} {op} {}",
            cond_within(a, op, depth),
            cond_within(b, op, depth)
        ),
        Cond::Not(a) => format!("!{}", cond_within(a, "!", depth)),
    }
}

pub fn cond_within(e: &Cond, op: &str, depth: usize) -> String {
    let bare = match e {
        Cond::Var(_) | Cond::Not(_) => true,
        Cond::Both(own, ..) => *own == op,
        _ => op != "!",
    };
    let text = cond(e, depth);
    if bare { text } else { format!("({text})") }
}
