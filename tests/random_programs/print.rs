//! Writes a program as Rust.
//!
//! In: a tree of `ast`. Out: the text that a user could have written, with the name that the caller chooses, and the
//! program's inputs as expressions. Must hold: the text keeps to the conventions of `translate`.

use super::ast::*;
use expressions::{
    cond, cond_within, initial, int, keyword, label, list, place, range, real, target,
};
use std::fmt::Write;

#[path = "print_expressions.rs"]
mod expressions;

/// The function, called `name`, over lines of one statement each.
pub fn program(p: &Program, name: &str) -> String {
    let [x, y, a] = p.mutable.map(|m| if m { "mut " } else { "" });
    let mut out = Printer::default();
    let _ = write!(
        out.text,
        "fn {name}({x}x: f64, {y}y: f64, {a}a: [f64; 4], s: &[f64], n: usize) -> f64 "
    );
    out.body(&p.body);
    out.text.push('\n');
    out.text
}

/// A value of the type `Input` of `compare`.
pub fn input(i: &Input) -> String {
    format!(
        "Input {{ x: {:?}, y: {:?}, a: {:?}, s: &{:?}, n: {} }}",
        i.x, i.y, i.a, i.s, i.n
    )
}

#[derive(Default)]
struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    fn line(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("    ", self.depth));
    }

    fn braces(&mut self, inside: impl FnOnce(&mut Self)) {
        self.text.push('{');
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        if !self.text.ends_with('{') {
            self.line();
        }
        self.text.push('}');
    }

    fn body(&mut self, body: &Body) {
        self.braces(|out| {
            out.stmts(&body.stmts);
            if let Some(value) = &body.value {
                out.line();
                out.text.push_str(&real(value, out.depth));
            }
        });
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.line();
            self.stmt(stmt);
        }
    }

    fn say(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
    }

    fn real(&mut self, value: &Real) {
        let text = real(value, self.depth);
        self.say(text);
    }

    fn stmt(&mut self, stmt: &Stmt) {
        let depth = self.depth;
        let reals = |values: &[Real]| list(values, depth);
        match stmt {
            Stmt::Let {
                name,
                mutable,
                ty,
                value,
            } => {
                let ty = ty.map(|t| format!(": {t}")).unwrap_or_default();
                let text = initial(value, depth);
                self.say(format!("let {}{name}{ty} = {text};", keyword(*mutable)));
            }
            Stmt::LetTuple(names, values) => {
                let names: Vec<String> = names
                    .iter()
                    .map(|(n, m)| format!("{}{n}", keyword(*m)))
                    .collect();
                self.say(format!("let ({}) = ({});", names.join(", "), reals(values)));
            }
            Stmt::LetParts(names, array) => {
                self.say(format!("let [{}] = {array};", names.join(", ")))
            }
            Stmt::Late(name, choice) => {
                self.say(format!("let {name}: f64;"));
                self.line();
                self.choice(choice, Some(name));
            }
            Stmt::Assign(place, op, value) => {
                self.say(format!(
                    "{} {op} {};",
                    real(place, depth),
                    real(value, depth)
                ));
            }
            Stmt::AssignTuple(places, values) => {
                self.say(format!("({}) = ({});", reals(places), reals(values)))
            }
            Stmt::AssignArray(name, row, value) => {
                self.say(format!("{} = {value};", place(name, row, depth)))
            }
            Stmt::AssignInt(name, op, value) => {
                self.say(format!("{name} {op} {};", int(value, depth)))
            }
            Stmt::Step(name) => {
                self.say(format!(
                    "{name} = {name}.wrapping_mul(1664525).wrapping_add(1013904223);"
                ));
            }
            Stmt::Swap(name, row, i, j) => {
                self.say(format!(
                    "{}.swap({}, {});",
                    place(name, row, depth),
                    int(i, depth),
                    int(j, depth)
                ));
            }
            Stmt::If(choice) => self.choice(choice, None),
            Stmt::Match(table) => self.table(table),
            Stmt::For {
                label: name,
                var,
                range: bounds,
                body,
            } => {
                self.say(format!(
                    "{}for {var} in {} ",
                    label(name),
                    range(bounds, depth)
                ));
                self.braces(|out| out.stmts(body));
            }
            Stmt::Loop(rounds) => {
                self.say(format!("let mut {} = 0;", rounds.counter));
                self.line();
                self.rounds(rounds);
            }
            Stmt::Block(name, body) => {
                self.say(label(name));
                self.braces(|out| out.stmts(body));
            }
            Stmt::Break(name, value) => {
                let value = value
                    .as_ref()
                    .map(|v| format!(" {}", real(v, depth)))
                    .unwrap_or_default();
                self.say(format!("break{}{value};", target(name)));
            }
            Stmt::Continue(name) => self.say(format!("continue{};", target(name))),
            Stmt::Return(value) => self.say(format!("return {};", real(value, depth))),
        }
    }

    /// An `if`; with a name, each branch's value goes to that variable.
    fn choice(&mut self, choice: &If, assigned: Option<&str>) {
        let depth = self.depth;
        let branch = |out: &mut Self, body: &Body| match (assigned, &body.value) {
            (Some(name), Some(value)) => out.braces(|out| {
                out.stmts(&body.stmts);
                out.line();
                out.say(format!("{name} = "));
                out.real(value);
                out.say(";");
            }),
            _ => out.body(body),
        };
        self.say(format!("if {} ", cond(&choice.cond, depth)));
        branch(self, &choice.then);
        let Some(other) = &choice.other else { return };
        self.say(" else ");
        match (other.stmts.as_slice(), other.value.as_deref()) {
            ([Stmt::If(next)], None) => self.choice(next, None),
            ([], Some(Real::If(next))) => self.choice(next, assigned),
            _ => branch(self, other),
        }
    }

    fn table(&mut self, table: &Match) {
        self.say(format!("match {} ", int(&table.on, self.depth)));
        self.braces(|out| {
            for arm in &table.arms {
                out.line();
                out.say(&arm.pattern);
                if let Some(guard) = &arm.guard {
                    let guard = cond(guard, out.depth);
                    out.say(format!(" if {guard}"));
                }
                out.say(" => ");
                out.body(&arm.body);
            }
        });
    }

    fn rounds(&mut self, rounds: &Loop) {
        let Loop {
            label: name,
            counter,
            bound,
            cond: test,
            body,
            value,
        } = rounds;
        let leave = value
            .as_ref()
            .map(|v| format!(" {}", real(v, self.depth + 2)))
            .unwrap_or_default();
        match test {
            Some(test) => {
                let test = cond_within(test, "&&", self.depth);
                self.say(format!(
                    "{}while {counter} < {bound} && {test} ",
                    label(name)
                ));
            }
            None => self.say(format!("{}loop ", label(name))),
        }
        self.braces(|out| {
            if test.is_none() {
                out.line();
                out.say(format!("if {counter} >= {bound} "));
                out.braces(|out| {
                    out.line();
                    out.say(format!("break{leave};"));
                });
            }
            out.line();
            out.say(format!("{counter} += 1;"));
            out.stmts(body);
        });
    }
}
