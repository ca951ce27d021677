//! Loops and branches of large programs, in closures of their own.
//!
//! In: a program. Out: the loops and branches that are spelt as a closure and called where they stand. For each place of a function rustc's borrow
//! checker knows which of the function's variables are set, so that it takes the square of their number; a closure is
//! checked by itself. Called once, closures are inlined: the machine code is the same. Programs of ordinary size have none.

use super::Emit;
use crate::graph::{RegionId, Stmt};
use proc_macro2::TokenStream;
use quote::quote;

/// A program with more statements is large: some tenths of a second for rustc.
const LARGE: usize = 1000;
/// A closure must spare more than it costs.
const WORTH: usize = 4;

impl Emit<'_> {
    pub(super) fn find_enclosed(&mut self) {
        let roots: Vec<RegionId> = [Some(self.p.body), self.p.back]
            .into_iter()
            .flatten()
            .collect();
        let total: usize = roots.iter().map(|&r| self.weight(r, &mut None)).sum();
        if total > LARGE {
            let mut enclosed = Vec::new();
            for &r in &roots {
                self.weight(r, &mut Some(&mut enclosed));
            }
            self.enclosed.extend(enclosed);
        }
    }

    /// The statements of a loop, as one.
    pub(super) fn enclosed_loop(&self, body: RegionId, run: TokenStream) -> TokenStream {
        match self.enclosed.contains(&body) {
            true => {
                let run = self.enclose(body, run);
                quote!(#run;)
            }
            false => run,
        }
    }

    /// A loop or a branch, in a closure if it is to have one; `of` is its body or first side.
    pub(super) fn enclose(&self, of: RegionId, run: TokenStream) -> TokenStream {
        if run.is_empty() || !self.enclosed.contains(&of) {
            return run;
        }
        quote!((|| { #run })())
    }

    /// The statements of a region, without those that get a closure; these, if they are asked for.
    fn weight(&self, region: RegionId, enclosed: &mut Option<&mut Vec<RegionId>>) -> usize {
        let g = self.g();
        let mut all = 0;
        for stmt in &g.region(region).stmts {
            if !self.live.stmt(g, stmt) {
                continue;
            }
            all += match stmt {
                Stmt::Let(id) if self.is_nested(g.resolve(*id)) => 0,
                Stmt::If(b) => {
                    let b = g.branch(*b);
                    let sides = self.weight(b.then, enclosed) + self.weight(b.otherwise, enclosed);
                    1 + spared(b.then, sides, enclosed)
                }
                Stmt::Loop(l) => {
                    let body = g.looped(*l).body;
                    let inside = self.weight(body, enclosed);
                    1 + spared(body, inside, enclosed)
                }
                _ => 1,
            };
        }
        all
    }
}

/// What is left of so many statements: none, if they get a closure.
fn spared(of: RegionId, statements: usize, enclosed: &mut Option<&mut Vec<RegionId>>) -> usize {
    match enclosed {
        Some(enclosed) if statements >= WORTH => {
            enclosed.push(of);
            0
        }
        _ => statements,
    }
}
