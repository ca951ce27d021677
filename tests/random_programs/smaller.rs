//! What could stand in the place of a statement, of a list of them, of a branch or a loop.
//!
//! In: a piece of a program. Out: pieces that are smaller or simpler. Must hold: none is larger by more than a word, or
//! shrinking would not end; they need not compile.

use super::expressions::{conds, ints, reals};
use crate::ast::*;

/// The list with one item replaced by each of its smaller forms.
pub fn one<T: Clone>(items: &[T], smaller: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let mut out = Vec::new();
    for (i, item) in items.iter().enumerate() {
        for other in smaller(item) {
            let mut copy = items.to_vec();
            copy[i] = other;
            out.push(copy);
        }
    }
    out
}

pub fn bodies(b: &Body) -> Vec<Body> {
    let mut out: Vec<Body> = lists(&b.stmts)
        .into_iter()
        .map(|stmts| Body { stmts, ..b.clone() })
        .collect();
    if let Some(value) = &b.value {
        out.extend(reals(value).into_iter().map(|v| Body {
            value: Some(Box::new(v)),
            ..b.clone()
        }));
        if let Real::Block(None, inner) = &**value {
            let stmts = [b.stmts.clone(), inner.stmts.clone()].concat();
            out.push(Body {
                stmts,
                value: inner.value.clone(),
            });
        }
    }
    out
}

/// Lists of statements: without some, or with one made smaller.
fn lists(stmts: &[Stmt]) -> Vec<Vec<Stmt>> {
    let mut out = Vec::new();
    let mut len = stmts.len();
    while len > 0 {
        for start in (0..stmts.len()).step_by(len) {
            let end = (start + len).min(stmts.len());
            out.push([&stmts[..start], &stmts[end..]].concat());
        }
        len /= 2;
    }
    for (i, stmt) in stmts.iter().enumerate() {
        for other in statements(stmt) {
            out.push([&stmts[..i], &other, &stmts[i + 1..]].concat());
        }
    }
    out
}

pub fn choices(c: &If) -> Vec<If> {
    let mut out: Vec<If> = bodies(&c.then)
        .into_iter()
        .map(|then| If { then, ..c.clone() })
        .collect();
    out.extend(
        conds(&c.cond)
            .into_iter()
            .map(|cond| If { cond, ..c.clone() }),
    );
    if let Some(other) = &c.other {
        out.extend(bodies(other).into_iter().map(|b| If {
            other: Some(b),
            ..c.clone()
        }));
        if other.value.is_none() {
            out.push(If {
                other: None,
                ..c.clone()
            });
        }
    }
    out
}

pub fn tables(m: &Match) -> Vec<Match> {
    let arms = |arm: &Arm| {
        let mut out: Vec<Arm> = bodies(&arm.body)
            .into_iter()
            .map(|body| Arm {
                body,
                ..arm.clone()
            })
            .collect();
        out.extend(arm.guard.iter().map(|_| Arm {
            guard: None,
            ..arm.clone()
        }));
        out.extend(arm.guard.iter().flat_map(conds).map(|g| Arm {
            guard: Some(g),
            ..arm.clone()
        }));
        out
    };
    let mut out: Vec<Match> = one(&m.arms, arms)
        .into_iter()
        .map(|arms| Match { arms, ..m.clone() })
        .collect();
    for i in 0..m.arms.len() - 1 {
        let mut fewer = m.clone();
        fewer.arms.remove(i);
        out.push(fewer);
    }
    out.extend(ints(&m.on).into_iter().map(|on| Match { on, ..m.clone() }));
    out
}

pub fn rounds(l: &Loop) -> Vec<Loop> {
    let mut out: Vec<Loop> = lists(&l.body)
        .into_iter()
        .map(|body| Loop { body, ..l.clone() })
        .collect();
    out.extend((1..l.bound).map(|bound| Loop { bound, ..l.clone() }));
    if l.label.is_some() {
        out.push(Loop {
            label: None,
            ..l.clone()
        });
    }
    if l.cond.is_some() {
        out.push(Loop {
            cond: None,
            ..l.clone()
        });
    }
    out.extend(l.cond.iter().flat_map(conds).map(|cond| Loop {
        cond: Some(cond),
        ..l.clone()
    }));
    out.extend(l.value.iter().flat_map(reals).map(|value| Loop {
        value: Some(value),
        ..l.clone()
    }));
    out
}

/// What could stand in the place of a statement.
fn statements(stmt: &Stmt) -> Vec<Vec<Stmt>> {
    let mut out = Vec::new();
    let mut push = |stmt: Stmt| out.push(vec![stmt]);
    match stmt {
        Stmt::Let {
            name,
            mutable,
            ty,
            value,
        } => {
            for value in values(value) {
                push(Stmt::Let {
                    name: name.clone(),
                    mutable: *mutable,
                    ty: *ty,
                    value,
                });
            }
            if *mutable {
                push(Stmt::Let {
                    name: name.clone(),
                    mutable: false,
                    ty: *ty,
                    value: value.clone(),
                });
            }
        }
        Stmt::LetTuple(names, values) => {
            for values in one(values, reals) {
                push(Stmt::LetTuple(names.clone(), values));
            }
            for ((name, mutable), value) in names.iter().zip(values) {
                let value = Value::Real(value.clone());
                push(Stmt::Let {
                    name: name.clone(),
                    mutable: *mutable,
                    ty: None,
                    value,
                });
            }
        }
        Stmt::Late(name, choice) => {
            for choice in choices(choice) {
                push(Stmt::Late(name.clone(), Box::new(choice)));
            }
            for body in [Some(&choice.then), choice.other.as_ref()]
                .into_iter()
                .flatten()
            {
                let value = Value::Real(Real::Block(None, body.clone()));
                push(Stmt::Let {
                    name: name.clone(),
                    mutable: false,
                    ty: Some("f64"),
                    value,
                });
            }
        }
        Stmt::Assign(place, op, value) => {
            for value in reals(value) {
                push(Stmt::Assign(place.clone(), op, value));
            }
            if let Real::At(name, indices) = place {
                for indices in one(indices, ints) {
                    push(Stmt::Assign(
                        Real::At(name.clone(), indices),
                        op,
                        value.clone(),
                    ));
                }
            }
            if *op != "=" {
                push(Stmt::Assign(place.clone(), "=", value.clone()));
            }
        }
        Stmt::AssignTuple(places, values) => {
            for values in one(values, reals) {
                push(Stmt::AssignTuple(places.clone(), values));
            }
            for (place, value) in places.iter().zip(values) {
                push(Stmt::Assign(place.clone(), "=", value.clone()));
            }
        }
        Stmt::AssignInt(name, op, value) => {
            ints(value)
                .into_iter()
                .for_each(|v| push(Stmt::AssignInt(name.clone(), op, v)));
        }
        Stmt::Swap(name, row, i, j) => {
            ints(i)
                .into_iter()
                .for_each(|i| push(Stmt::Swap(name.clone(), row.clone(), i, j.clone())));
            ints(j)
                .into_iter()
                .for_each(|j| push(Stmt::Swap(name.clone(), row.clone(), i.clone(), j)));
        }
        Stmt::If(choice) => {
            choices(choice)
                .into_iter()
                .for_each(|c| push(Stmt::If(Box::new(c))));
            out.push(choice.then.stmts.clone());
            out.extend(choice.other.iter().map(|b| b.stmts.clone()));
        }
        Stmt::Match(table) => {
            tables(table)
                .into_iter()
                .for_each(|t| push(Stmt::Match(Box::new(t))));
            out.extend(table.arms.iter().map(|arm| arm.body.stmts.clone()));
        }
        Stmt::For {
            label,
            var,
            range,
            body,
        } => {
            let again = |label: &Option<Name>, range: &Range, body: &[Stmt]| Stmt::For {
                label: label.clone(),
                var: var.clone(),
                range: range.clone(),
                body: body.to_vec(),
            };
            lists(body)
                .into_iter()
                .for_each(|body| push(again(label, range, &body)));
            ranges(range)
                .into_iter()
                .for_each(|range| push(again(label, &range, body)));
            if label.is_some() {
                push(again(&None, range, body));
            }
            let zero = Value::Int(Int::Lit(0));
            let first = Stmt::Let {
                name: var.clone(),
                mutable: false,
                ty: None,
                value: zero,
            };
            out.push([&[first], &body[..]].concat());
            out.push(body.clone());
        }
        Stmt::Loop(l) => {
            rounds(l)
                .into_iter()
                .for_each(|l| push(Stmt::Loop(Box::new(l))));
            out.push(l.body.clone());
        }
        Stmt::Block(label, body) => {
            lists(body)
                .into_iter()
                .for_each(|body| push(Stmt::Block(label.clone(), body)));
            out.push(body.clone());
        }
        Stmt::Return(value) => reals(value).into_iter().for_each(|v| push(Stmt::Return(v))),
        Stmt::Break(label, value) => {
            for value in value.iter().flat_map(reals) {
                push(Stmt::Break(label.clone(), Some(value)));
            }
        }
        Stmt::Continue(_) | Stmt::Step(_) | Stmt::LetParts(..) | Stmt::AssignArray(..) => {}
    }
    out
}

fn ranges(r: &Range) -> Vec<Range> {
    let plain = Range {
        inclusive: false,
        reversed: false,
        step: None,
        ..r.clone()
    };
    let mut out = vec![
        plain.clone(),
        Range {
            from: Int::Lit(0),
            ..r.clone()
        },
        Range {
            to: Int::Lit(1),
            ..plain.clone()
        },
        Range {
            to: Int::Lit(2),
            ..plain
        },
    ];
    out.extend(ints(&r.to).into_iter().map(|to| Range { to, ..r.clone() }));
    out
}

fn values(v: &Value) -> Vec<Value> {
    match v {
        Value::Real(e) => reals(e).into_iter().map(Value::Real).collect(),
        Value::Int(e) => ints(e).into_iter().map(Value::Int).collect(),
        Value::Bool(e) => conds(e).into_iter().map(Value::Bool).collect(),
        Value::Fill(e, dims) => reals(e)
            .into_iter()
            .map(|e| Value::Fill(e, dims.clone()))
            .collect(),
        Value::List(row) => {
            let mut out: Vec<Value> = one(row, reals).into_iter().map(Value::List).collect();
            out.push(Value::Fill(Real::Lit(0.0), vec![row.len()]));
            out
        }
        Value::Lists(rows) => {
            let row = |row: &Vec<Real>| one(row, reals);
            let mut out: Vec<Value> = one(rows, row).into_iter().map(Value::Lists).collect();
            out.push(Value::Fill(Real::Lit(0.0), vec![rows.len(), rows[0].len()]));
            out
        }
        Value::Choose(cond, a, b) => {
            let mut out: Vec<Value> = [a, b]
                .map(|name| Value::Copy(name.clone(), vec![]))
                .to_vec();
            out.extend(
                conds(cond)
                    .into_iter()
                    .map(|cond| Value::Choose(cond, a.clone(), b.clone())),
            );
            out
        }
        Value::State(_) | Value::Copy(..) => Vec::new(),
    }
}
