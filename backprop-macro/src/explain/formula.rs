//! Formulas: of nodes, as a tree that is written as text or as MathML.
//!
//! In: a node and the names of what is not spelt out. Out: [`Formula`]. Must hold: text and MathML say the same, with no
//! more brackets than are needed.

use crate::graph::{Graph, Id, Node, OpaqueForm, Place, Step};
use crate::rules::{Op, Syntax};
use proc_macro2::TokenStream;

/// An expression for people.
#[derive(Clone, Debug)]
pub enum Formula {
    Number(String),
    /// A variable with its indices.
    Name(String, Vec<Formula>),
    Negated(Box<Formula>),
    /// `+`, `-`, `·` or a comparison.
    Infix(&'static str, Box<Formula>, Box<Formula>),
    Fraction(Box<Formula>, Box<Formula>),
    Power(Box<Formula>, Box<Formula>),
    Root(Box<Formula>),
    Call(String, Vec<Formula>),
    /// The first where the condition holds, the second otherwise.
    Cases(Box<Formula>, Box<Formula>, Box<Formula>),
    /// `∂f/∂x`
    Partial(String, Box<Formula>),
    /// Constant Rust, as it is.
    Code(String),
}

use Formula::*;

/// How tightly a form binds: what binds less than its surroundings gets brackets.
fn level(f: &Formula) -> u8 {
    match f {
        Infix("+" | "-", ..) => 3,
        Infix("·", ..) => 4,
        Infix(..) => 2,
        Negated(_) => 4,
        Fraction(..) => 4,
        Power(..) => 6,
        Cases(..) => 1,
        Number(n) if n.starts_with('-') => 4,
        Code(c)
            if !c
                .chars()
                .all(|c| c.is_alphanumeric() || "_.:()[]!".contains(c)) =>
        {
            1
        }
        _ => 7,
    }
}

impl Formula {
    /// The node, with `known` giving the formula of what has a name of its own.
    pub fn of(g: &Graph, id: Id, known: &dyn Fn(Id) -> Option<Formula>) -> Formula {
        let id = g.resolve(id);
        known(id).unwrap_or_else(|| Formula::definition(g, id, known))
    }

    /// What a node computes, spelt out even where it has a name.
    pub fn definition(g: &Graph, id: Id, known: &dyn Fn(Id) -> Option<Formula>) -> Formula {
        let of = |id: Id| Box::new(Formula::of(g, id, known));
        match g.node(g.resolve(id)) {
            Node::Lit(bits) => number(f64::from_bits(*bits)),
            Node::Apply(op, args) => {
                let args: Vec<Formula> = args.iter().map(|&a| *of(a)).collect();
                primitive(*op, args)
            }
            Node::Cast(a, _) => *of(*a),
            Node::Load(p, _) => place(g, p, None, known),
            Node::Len(p, _) => {
                let array = place(g, p, None, known);
                Code(format!("{}.len()", array.text()))
            }
            Node::Opaque(k, args) => {
                let all: Vec<Formula> = args.iter().map(|&a| *of(a)).collect();
                opaque(&g.opaque_of(*k).form, all)
            }
            Node::Param(_) => name(g.data(id).name.as_deref().unwrap_or("?")),
            _ => name(g.data(id).name.as_deref().unwrap_or("?")),
        }
    }

    /// How many operations it shows.
    pub fn size(&self) -> usize {
        1 + match self {
            Number(_) | Code(_) => 0,
            Name(_, all) | Call(_, all) => all.iter().map(Formula::size).sum(),
            Negated(a) | Root(a) | Partial(_, a) => a.size(),
            Infix(_, a, b) | Fraction(a, b) | Power(a, b) => a.size() + b.size(),
            Cases(c, a, b) => c.size() + a.size() + b.size(),
        }
    }

    /// As text.
    pub fn text(&self) -> String {
        let at = |f: &Formula, least: u8| {
            if level(f) < least {
                format!("({})", f.text())
            } else {
                f.text()
            }
        };
        let list = |all: &[Formula]| all.iter().map(Formula::text).collect::<Vec<_>>().join(", ");
        match self {
            Number(n) | Code(n) => n.clone(),
            Name(n, indices) => {
                let indices: String = (indices.iter())
                    .map(|i| match i {
                        Code(field) if field.starts_with('.') => field.clone(),
                        i => format!("[{}]", i.text()),
                    })
                    .collect();
                format!("{n}{indices}")
            }
            Negated(a) => format!("-{}", at(a, 5)),
            Infix("·", a, b) => format!("{} * {}", at(a, 4), at(b, 5)),
            Infix(op, a, b) => {
                let own = level(self);
                let right = if *op == "+" { own } else { own + 1 };
                format!("{} {op} {}", at(a, own), at(b, right))
            }
            Fraction(a, b) => format!("{} / {}", at(a, 4), at(b, 5)),
            Power(a, b) => format!("{}^{}", at(a, 7), at(b, 7)),
            Root(a) => format!("sqrt({})", a.text()),
            Call(f, all) if f == "abs" => format!("|{}|", list(all)),
            Call(f, all) => format!("{f}({})", list(all)),
            Cases(c, a, b) => format!("if {} {{ {} }} else {{ {} }}", c.text(), a.text(), b.text()),
            Partial(f, x) => format!("∂{f}/∂{}", at(x, 7)),
        }
    }

    /// As MathML, without the `math` element around it.
    pub fn mathml(&self) -> String {
        let at = |f: &Formula, least: u8| {
            if level(f) < least && !matches!(f, Fraction(..) | Cases(..)) {
                format!("<mrow><mo>(</mo>{}<mo>)</mo></mrow>", f.mathml())
            } else {
                f.mathml()
            }
        };
        let list = |all: &[Formula]| {
            all.iter()
                .map(Formula::mathml)
                .collect::<Vec<_>>()
                .join("<mo>,</mo>")
        };
        match self {
            Number(n) => match n.strip_prefix('-') {
                Some(n) => format!("<mrow><mo>−</mo><mn>{n}</mn></mrow>"),
                None => format!("<mn>{n}</mn>"),
            },
            Code(c) => format!("<mtext>{}</mtext>", escape(c)),
            Name(n, indices) => {
                // `a[i][j].x`: the indices as one, fields after them.
                let mut out = identifier(n);
                let mut at = 0;
                while at < indices.len() {
                    let field = |i: &Formula| matches!(i, Code(c) if c.starts_with('.'));
                    if let Code(c) = &indices[at]
                        && field(&indices[at])
                    {
                        out = format!("<mrow>{out}<mtext>{}</mtext></mrow>", escape(c));
                        at += 1;
                        continue;
                    }
                    let end = indices[at..]
                        .iter()
                        .position(field)
                        .map_or(indices.len(), |n| at + n);
                    out = format!("<msub>{out}<mrow>{}</mrow></msub>", list(&indices[at..end]));
                    at = end;
                }
                out
            }
            Negated(a) => format!("<mrow><mo>−</mo>{}</mrow>", at(a, 5)),
            Infix("·", a, b) => format!("<mrow>{}<mo>·</mo>{}</mrow>", at(a, 4), at(b, 5)),
            Infix(op, a, b) => {
                let own = level(self);
                let right = if *op == "+" { own } else { own + 1 };
                let op = escape(if *op == "-" { "−" } else { op });
                format!("<mrow>{}<mo>{op}</mo>{}</mrow>", at(a, own), at(b, right))
            }
            Fraction(a, b) => format!("<mfrac>{}{}</mfrac>", row(a), row(b)),
            Power(a, b) => format!("<msup>{}{}</msup>", at(a, 7), row(b)),
            Root(a) => format!("<msqrt>{}</msqrt>", a.mathml()),
            Call(f, all) if f == "abs" => format!("<mrow><mo>|</mo>{}<mo>|</mo></mrow>", list(all)),
            Call(f, all) if f == "exp" && all.len() == 1 && all[0].size() < 12 => {
                format!("<msup><mi>e</mi>{}</msup>", row(&all[0]))
            }
            Call(f, all) => format!(
                "<mrow><mi>{}</mi><mo>(</mo>{}<mo>)</mo></mrow>",
                escape(f),
                list(all)
            ),
            Cases(c, a, b) => format!(
                "<mrow><mtable style=\"border-left:1px solid;padding-left:.3em\"><mtr><mtd>{}</mtd><mtd><mtext>if&#160;</mtext>{}</mtd></mtr><mtr><mtd>{}</mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow>",
                a.mathml(),
                c.mathml(),
                b.mathml()
            ),
            Partial(f, x) => format!(
                "<mfrac><mrow><mo>∂</mo>{}</mrow><mrow><mo>∂</mo>{}</mrow></mfrac>",
                identifier(f),
                x.mathml()
            ),
        }
    }
}

/// What belongs together inside of a fraction or an exponent.
fn row(f: &Formula) -> String {
    format!("<mrow>{}</mrow>", f.mathml())
}

/// A variable of that name.
pub fn name(text: &str) -> Formula {
    Name(text.to_owned(), Vec::new())
}

fn number(value: f64) -> Formula {
    let plain = format!("{value}");
    let short = format!("{value:e}");
    Number(if short.len() < plain.len() {
        short
    } else {
        plain
    })
}

/// An element of an array, under the name `called` or its own.
pub fn place(
    g: &Graph,
    p: &Place,
    called: Option<&str>,
    known: &dyn Fn(Id) -> Option<Formula>,
) -> Formula {
    let mut out = called.unwrap_or(&g.array(p.array).name).to_owned();
    let mut indices = Vec::new();
    for step in &p.path {
        match step {
            Step::Index(i) => indices.push(Formula::of(g, *i, known)),
            Step::Field(k) if indices.is_empty() => out += &format!(".{k}"),
            Step::Field(k) => indices.push(Code(format!(".{k}"))),
        }
    }
    Name(out, indices)
}

fn primitive(op: Op, mut args: Vec<Formula>) -> Formula {
    let mut next = || {
        Box::new(if args.is_empty() {
            Number("0".into())
        } else {
            args.remove(0)
        })
    };
    match op {
        Op::Neg => Negated(next()),
        Op::Add => {
            let (a, b) = (next(), next());
            match *b {
                // `a + -b` is `a - b`.
                Negated(b) => Infix("-", a, b),
                Infix("·", k, rest) => match *k {
                    Number(k) if k.starts_with('-') => {
                        let k = Box::new(Number(k[1..].into()));
                        Infix("-", a, Box::new(Infix("·", k, rest)))
                    }
                    k => Infix("+", a, Box::new(Infix("·", Box::new(k), rest))),
                },
                b => Infix("+", a, Box::new(b)),
            }
        }
        Op::Sub => Infix("-", next(), next()),
        Op::Mul => Infix("·", next(), next()),
        Op::Div => Fraction(next(), next()),
        Op::Recip => Fraction(Box::new(Number("1".into())), next()),
        Op::MulAdd => {
            let product = Infix("·", next(), next());
            Infix("+", Box::new(product), next())
        }
        Op::Sqrt => Root(next()),
        Op::Powi | Op::Powf => Power(next(), next()),
        Op::Select => Cases(next(), next(), next()),
        Op::FromInt => *next(),
        _ => match op.syntax() {
            Syntax::Infix(o) => Infix(o, next(), next()),
            Syntax::Method(m) | Syntax::Form(m) | Syntax::Prefix(m) => Call(m.into(), args),
        },
    }
}

fn opaque(form: &OpaqueForm, mut args: Vec<Formula>) -> Formula {
    match (form, args.len()) {
        (OpaqueForm::Binary(op), 2) => {
            let (b, a) = (args.remove(1), args.remove(0));
            match tokens(op).as_str() {
                "+" => Infix("+", Box::new(a), Box::new(b)),
                "-" => Infix("-", Box::new(a), Box::new(b)),
                "*" => Infix("·", Box::new(a), Box::new(b)),
                ">" => Infix(">", Box::new(a), Box::new(b)),
                "<" => Infix("<", Box::new(a), Box::new(b)),
                ">=" => Infix("≥", Box::new(a), Box::new(b)),
                "<=" => Infix("≤", Box::new(a), Box::new(b)),
                "==" => Infix("=", Box::new(a), Box::new(b)),
                "!=" => Infix("≠", Box::new(a), Box::new(b)),
                other => Code(format!("{} {other} {}", a.text(), b.text())),
            }
        }
        (OpaqueForm::Unary(op), 1) => Code(format!("{}({})", tokens(op), args[0].text())),
        (OpaqueForm::Method(m), 1..) => Call(tokens(m), args),
        (OpaqueForm::Call(f), _) => Call(tokens(f), args),
        (OpaqueForm::Cast(_), 1) => args.remove(0),
        (OpaqueForm::Field(f), 1) => Code(format!("{}.{}", args[0].text(), tokens(f))),
        (OpaqueForm::Index, 2) => Code(format!("{}[{}]", args[0].text(), args[1].text())),
        (OpaqueForm::Bound(_, name), _) => self::name(&name.to_string()),
        (OpaqueForm::Tokens(t), _) => {
            let text = tokens(t);
            match text.trim_matches(['(', ')']).parse::<f64>() {
                Ok(_) => Number(text.trim_matches(['(', ')']).to_owned()),
                Err(_) if text.chars().all(|c| c.is_alphanumeric() || c == '_') => name(&text),
                Err(_) => Code(text),
            }
        }
        _ => Code("a constant".into()),
    }
}

/// Tokens without the spaces that a token stream puts everywhere.
pub fn tokens(t: &TokenStream) -> String {
    let text = t.to_string();
    text.replace(":: core :: cmp :: ", "")
        .replace(" :: ", "::")
        .replace(":: ", "::")
        .replace(" . ", ".")
        .replace(" (", "(")
        .replace("- ", "-")
}

/// A variable's name: Greek where it is spelt out, digits at its end as an index.
fn identifier(n: &str) -> String {
    let (stem, index) = match n.rfind(|c: char| !c.is_ascii_digit()) {
        Some(at) if at + 1 < n.len() => {
            n.split_at(at + n[at..].chars().next().map_or(1, char::len_utf8))
        }
        _ => (n, ""),
    };
    let stem = stem.trim_end_matches('_');
    let (d, stem) = match stem.strip_prefix("d_") {
        Some(rest) => ("<mi>d</mi>", rest),
        None => ("", stem),
    };
    let stem = match GREEK.iter().find(|g| g.0 == stem) {
        Some(g) => g.1.to_owned(),
        None => escape(stem),
    };
    let base = match d {
        "" => format!("<mi>{stem}</mi>"),
        d => format!("<mrow>{d}<mi>{stem}</mi></mrow>"),
    };
    if index.is_empty() {
        base
    } else {
        format!("<msub>{base}<mn>{index}</mn></msub>")
    }
}

#[rustfmt::skip]
const GREEK: [(&str, &str); 20] = [
    ("alpha", "α"), ("beta", "β"), ("gamma", "γ"), ("delta", "δ"), ("epsilon", "ε"), ("eta", "η"), ("theta", "θ"),
    ("kappa", "κ"), ("lambda", "λ"), ("mu", "μ"), ("nu", "ν"), ("xi", "ξ"), ("pi", "π"), ("rho", "ρ"), ("sigma", "σ"),
    ("tau", "τ"), ("phi", "φ"), ("chi", "χ"), ("psi", "ψ"), ("omega", "ω"),
];

/// Text that HTML must not read.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Box<Formula> {
        Box::new(name(text))
    }

    #[test]
    fn brackets_where_they_are_needed() {
        let sum = Infix("+", n("a"), n("b"));
        let minus = Infix("-", n("a"), Box::new(sum.clone()));
        assert_eq!(minus.text(), "a - (a + b)");
        assert_eq!(
            Infix("·", Box::new(sum.clone()), n("c")).text(),
            "(a + b) * c"
        );
        assert_eq!(Negated(Box::new(sum.clone())).text(), "-(a + b)");
        assert_eq!(
            Fraction(n("a"), Box::new(Infix("·", n("b"), n("c")))).text(),
            "a / (b * c)"
        );
        assert_eq!(
            Power(Box::new(sum), Box::new(Number("2".into()))).text(),
            "(a + b)^2"
        );
    }

    #[test]
    fn names_in_mathml() {
        assert_eq!(name("x12").mathml(), "<msub><mi>x</mi><mn>12</mn></msub>");
        let part = Name("b".into(), vec![name("k"), Code(".x".into())]);
        assert_eq!(part.text(), "b[k].x");
        assert_eq!(
            part.mathml(),
            "<mrow><msub><mi>b</mi><mrow><mi>k</mi></mrow></msub><mtext>.x</mtext></mrow>"
        );
        assert_eq!(name("sigma").mathml(), "<mi>σ</mi>");
        assert_eq!(name("d_z").mathml(), "<mrow><mi>d</mi><mi>z</mi></mrow>");
        assert_eq!(Code("a < b".into()).mathml(), "<mtext>a &lt; b</mtext>");
    }
}
