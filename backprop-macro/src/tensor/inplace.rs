//! Arrays that a loop fills: one buffer for all that the variable holds, instead of one for each iteration.
//!
//! In: the graph after fusion. Out: [`Graph::places`], for each version of such a variable the one after its outermost loop, whose buffer and whose
//! adjoint it shares. What must hold: a version is read by elements only, and before the next one is made; then what is written over is never
//! asked for again, forward, and what an element's adjoint has handed on is never asked for again, backward.

use crate::tensor::emit::mentioned;
use crate::tensor::fuse::uses;
use crate::tensor::graph::*;
use crate::tensor::lower::Val;
use crate::tensor::reverse::base;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Finds them.
pub fn inplace(g: &mut Graph, gives: &Val) {
    let live = uses(g, gives);
    let pushed = (g.values.iter())
        .filter_map(|value| match value.op {
            Op::Grown { item, .. } => Some(item),
            _ => None,
        })
        .collect();
    let mut places = BTreeMap::new();
    let mut open: Vec<&[Stmt]> = vec![&g.stmts];
    while let Some(stmts) = open.pop() {
        for stmt in stmts {
            let Stmt::Loop(id) = stmt else { continue };
            for c in &g.loops[*id].carried {
                if !g.is_tensor(c.after)
                    || !live.contains_key(&c.after)
                    || places.contains_key(&c.after)
                {
                    continue;
                }
                let mut chain = Chain {
                    g,
                    pushed: &pushed,
                    live: &live,
                    members: BTreeSet::new(),
                };
                if chain.run(*id, c).is_some() {
                    places.extend(chain.members.into_iter().map(|v| (v, c.after)));
                }
            }
            open.push(&g.loops[*id].stmts);
        }
    }
    g.places = places;
}

/// The versions of one variable.
struct Chain<'a> {
    g: &'a Graph,
    /// What anything reads.
    live: &'a HashMap<V, usize>,
    /// What lists keep as it is.
    pushed: &'a BTreeSet<V>,
    members: BTreeSet<V>,
}

impl Chain<'_> {
    /// A loop that changes the variable.
    fn run(&mut self, id: usize, c: &Carried) -> Option<()> {
        let l = &self.g.loops[id];
        self.members.insert(c.inside);
        // What is run once or not at all reads its variables where they stand.
        let start = if l.once { c.init } else { c.inside };
        let end = self.body(&l.stmts, start)?;
        self.members.insert(c.after);
        (end == c.next).then_some(())
    }

    /// The version at the end of some statements.
    fn body(&mut self, stmts: &[Stmt], start: V) -> Option<V> {
        let g = self.g;
        let mut now = start;
        for stmt in stmts {
            match stmt {
                Stmt::Dim(_) | Stmt::Leave(_) => {}
                Stmt::Const(c) => self.silent(&g.consts[c.0 as usize])?,
                Stmt::Effect(tokens) => self.silent(tokens)?,
                Stmt::Value(v) if self.live.contains_key(v) => now = self.value(*v, now)?,
                Stmt::Value(_) => {}
                Stmt::Loop(id) => {
                    let l = &g.loops[*id];
                    let mut own = l.carried.iter().filter(|c| c.init == now);
                    match (own.next(), own.next()) {
                        (None, _) => {
                            if self.body(&l.stmts, now)? != now {
                                return None;
                            }
                        }
                        (Some(c), None) => {
                            self.run(*id, c)?;
                            now = c.after;
                        }
                        _ => return None,
                    }
                    // No other variable starts from a version.
                    let others = l.carried.iter().filter(|c| c.after != now);
                    if others
                        .into_iter()
                        .any(|c| self.members.contains(&base(g, c.init).0))
                    {
                        return None;
                    }
                }
            }
        }
        Some(now)
    }

    fn value(&mut self, v: V, now: V) -> Option<V> {
        let g = self.g;
        match &g.value(v).op {
            _ if self.pushed.contains(&v) => {}
            Op::Put(a, b, _) | Op::Assign(a, b, _) if *a == now => {
                let from = base(g, *b).0;
                if from == now || self.members.contains(&from) {
                    return None;
                }
                self.members.insert(v);
                return Some(v);
            }
            Op::Map {
                lets,
                body,
                operands,
            } if operands.as_slice() == [now] && lets.is_empty() && g.is_tensor(now) => {
                let same = matches!(&**body, syn::Expr::Path(p) if p.path.is_ident(&operand(now)));
                if same && g.dim(v) == g.dim(now) {
                    self.members.insert(v);
                    return Some(v);
                }
            }
            Op::Get(a, _) if *a == now => return Some(now),
            // Of a loop, which looks after them.
            Op::Inside { .. } | Op::After { .. } => return Some(now),
            _ => {}
        }
        let reads = g.value(v).op.operands();
        let member = |o: &V| self.members.contains(&base(g, *o).0);
        (!reads.iter().any(member)).then_some(now)
    }

    /// Constant Rust that does not read a version.
    fn silent(&self, tokens: &proc_macro2::TokenStream) -> Option<()> {
        let names = mentioned(tokens);
        let read = |v: &V| names.contains(&crate::tensor::emit::tensor_name(*v).to_string());
        (!self.members.iter().any(read)).then_some(())
    }
}
