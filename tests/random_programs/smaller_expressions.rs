//! What could stand in the place of an expression.
//!
//! In: an expression. Out: its parts, simple ones of the same type, and itself with one part replaced. Must hold: as in
//! `statements`.

use super::statements::{bodies, choices, one, rounds, tables};
use crate::ast::*;

pub fn conds(c: &Cond) -> Vec<Cond> {
    match c {
        Cond::Var(_) => Vec::new(),
        Cond::Reals(op, a, b) => {
            let left = reals(a)
                .into_iter()
                .map(|a| Cond::Reals(op, Box::new(a), b.clone()));
            left.chain(
                reals(b)
                    .into_iter()
                    .map(|b| Cond::Reals(op, a.clone(), Box::new(b))),
            )
            .collect()
        }
        Cond::Ints(op, a, b) => ints(a)
            .into_iter()
            .map(|a| Cond::Ints(op, a, b.clone()))
            .collect(),
        Cond::Both(_, a, b) => vec![(**a).clone(), (**b).clone()],
        Cond::Not(a) => vec![(**a).clone()],
    }
}

pub fn ints(e: &Int) -> Vec<Int> {
    match e {
        Int::Lit(0) => Vec::new(),
        Int::Bin(op, a, b) => {
            let mut out = vec![Int::Lit(0), Int::Lit(1), (**a).clone()];
            out.extend(
                ints(a)
                    .into_iter()
                    .map(|a| Int::Bin(op, Box::new(a), b.clone())),
            );
            out
        }
        Int::Cast(a) => reals(a)
            .into_iter()
            .map(|a| Int::Cast(Box::new(a)))
            .chain([Int::Lit(0)])
            .collect(),
        _ => vec![Int::Lit(0), Int::Lit(1)],
    }
}

pub fn reals(e: &Real) -> Vec<Real> {
    let mut out: Vec<Real> = Vec::new();
    if !matches!(e, Real::Lit(_)) {
        out.push(Real::Lit(1.0));
    }
    if !matches!(e, Real::Lit(_) | Real::Var(_)) {
        out.push(Real::Var("x".to_owned()));
    }
    let boxed = |e: &Real| reals(e).into_iter().map(Box::new).collect::<Vec<_>>();
    match e {
        Real::Lit(_) | Real::Var(_) => {}
        Real::At(name, indices) => out.extend(
            one(indices, ints)
                .into_iter()
                .map(|i| Real::At(name.clone(), i)),
        ),
        Real::Cast(i) => out.extend(ints(i).into_iter().map(|i| Real::Cast(Box::new(i)))),
        Real::Neg(a) => {
            out.push((**a).clone());
            out.extend(boxed(a).into_iter().map(Real::Neg));
        }
        Real::Bin(op, a, b) => {
            out.extend([(**a).clone(), (**b).clone()]);
            out.extend(boxed(a).into_iter().map(|a| Real::Bin(op, a, b.clone())));
            out.extend(boxed(b).into_iter().map(|b| Real::Bin(op, a.clone(), b)));
        }
        Real::Call(a, method, args) => {
            out.push((**a).clone());
            out.extend(args.iter().cloned());
            out.extend(
                boxed(a)
                    .into_iter()
                    .map(|a| Real::Call(a, method, args.clone())),
            );
            out.extend(
                one(args, reals)
                    .into_iter()
                    .map(|args| Real::Call(a.clone(), method, args)),
            );
        }
        Real::Powi(a, n) => {
            out.push((**a).clone());
            out.extend(boxed(a).into_iter().map(|a| Real::Powi(a, n.clone())));
            out.extend(
                ints(n)
                    .into_iter()
                    .map(|n| Real::Powi(a.clone(), Box::new(n))),
            );
        }
        Real::If(choice) => {
            for body in [Some(&choice.then), choice.other.as_ref()]
                .into_iter()
                .flatten()
            {
                out.push(Real::Block(None, body.clone()));
            }
            out.extend(choices(choice).into_iter().map(|c| Real::If(Box::new(c))));
        }
        Real::Match(table) => {
            out.extend(
                table
                    .arms
                    .iter()
                    .map(|arm| Real::Block(None, arm.body.clone())),
            );
            out.extend(tables(table).into_iter().map(|t| Real::Match(Box::new(t))));
        }
        Real::Block(label, body) => {
            if body.stmts.is_empty() {
                out.extend(body.value.iter().map(|e| (**e).clone()));
            }
            out.extend(
                bodies(body)
                    .into_iter()
                    .map(|b| Real::Block(label.clone(), b)),
            );
        }
        Real::Loop(l) => {
            out.extend(l.value.clone());
            out.extend(rounds(l).into_iter().map(|l| Real::Loop(Box::new(l))));
        }
    }
    out
}
