//! Turns a program over `f64` into the same program over `Dual`, token by token.
//!
//! In: the text of a function. Out: the same text with `Dual` for `f64`, `c(0.5)` for `0.5` and `cast::<T, _>(e)` for
//! `e as T`. Must hold: literals of floats contain a dot with digits on both sides, and the operand of a cast is a path,
//! a call, an index or in parentheses.

const CASTS: [&str; 6] = ["usize", "u32", "u64", "i32", "i64", "f64"];

pub fn to_dual(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut tokens = tokens(text).into_iter();
    while let Some(token) = tokens.next() {
        match token {
            "as" => {
                let ty = tokens
                    .find(|t| CASTS.contains(t))
                    .expect("a cast to a number");
                let ty = if ty == "f64" { "Dual" } else { ty };
                out.truncate(
                    out.iter()
                        .rposition(|t| !t.trim().is_empty())
                        .map_or(0, |last| last + 1),
                );
                let start = operand(&out);
                out.insert(start, format!("cast::<{ty}, _>("));
                out.push(")".to_owned());
            }
            "f64" => out.push("Dual".to_owned()),
            _ if token.starts_with(|c: char| c.is_ascii_digit()) && token.contains('.') => {
                out.push(format!(
                    "c({})",
                    token.trim_end_matches("f64").trim_end_matches('_')
                ));
            }
            _ => out.push(token.to_owned()),
        }
    }
    out.concat()
}

/// Where the operand of a cast begins, among the tokens before it.
fn operand(out: &[String]) -> usize {
    let mut start = out.len();
    loop {
        let Some(last) = out[..start].last() else {
            return start;
        };
        match last.as_str() {
            ")" | "]" => {
                let mut open = 0;
                start = out[..start]
                    .iter()
                    .rposition(|t| {
                        open += t.matches([')', ']']).count() as i32
                            - t.matches(['(', '[']).count() as i32;
                        open == 0
                    })
                    .expect("brackets that match");
                // What is called or indexed belongs to the operand.
                if !out[..start].last().is_some_and(|t| is_word(t)) {
                    return start;
                }
            }
            t if is_word(t) => {
                start -= 1;
                if out[..start].last().is_some_and(|t| t == ".") {
                    start -= 1;
                } else {
                    return start;
                }
            }
            _ => return start,
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Words, numbers, white space and single other characters; together they are the text.
pub fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut after_dot = false;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let end = |stop: &dyn Fn(char) -> bool| rest.find(stop).unwrap_or(rest.len());
        let len = match first {
            '0'..='9' if after_dot => end(&|c| !c.is_ascii_digit()),
            '0'..='9' => number(rest),
            c if word(c) => end(&|c| !word(c)),
            c if c.is_whitespace() => end(&|c| !c.is_whitespace()),
            '/' if rest.starts_with("//") => end(&|c| c == '\n'),
            c => c.len_utf8(),
        };
        let (token, tail) = rest.split_at(len);
        // A field such as the 0 of `t.0`, but not the end of a range.
        after_dot = token == "." && out.last() != Some(&".");
        out.push(token);
        rest = tail;
    }
    out
}

/// The length of a number: digits, then a fraction if a dot and a digit follow, then an exponent and a suffix.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let mut i = 0;
    while i < bytes.len() {
        let more = match bytes[i] {
            b'.' => digit(i + 1) && !text[..i].contains('.'),
            b'-' => bytes[i - 1] == b'e' && digit(i + 1),
            b => b.is_ascii_alphanumeric() || b == b'_',
        };
        if !more {
            break;
        }
        i += 1;
    }
    i
}

#[test]
fn the_translation_touches_literals_types_and_casts() {
    for (from, to) in [
        ("2.5_f64.sqrt() + 1e-3", "c(2.5).sqrt() + 1e-3"),
        ("1.5e-3 * t.0.1 - x", "c(1.5e-3) * t.0.1 - x"),
        (
            "for i in 0..5 { a[i] = [0.0; 4] }",
            "for i in 0..5 { a[i] = [c(0.0); 4] }",
        ),
        ("x * (i as f64)", "x * (cast::<Dual, _>(i))"),
        (
            "s += (i * j) as f64 * 0.1",
            "s += cast::<Dual, _>((i * j)) * c(0.1)",
        ),
        ("a.len() as f64", "cast::<Dual, _>(a.len())"),
        (
            "s[((x.abs() + 1.0) as usize) % 4]",
            "s[(cast::<usize, _>((x.abs() + c(1.0)))) % 4]",
        ),
        (
            "(i as usize as f64)",
            "(cast::<Dual, _>(cast::<usize, _>(i)))",
        ),
    ] {
        assert_eq!(to_dual(from), to, "{from}");
    }
}
