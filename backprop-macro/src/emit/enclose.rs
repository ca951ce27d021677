//! Loops of large programs, in closures of their own.
//!
//! In: a program. Out: the loops that are spelt as a closure and called where they stand. For each place of a function rustc's borrow
//! checker knows which of the function's variables are set, so that it takes the square of their number; a closure is
//! checked by itself. Called once, closures are inlined: the machine code is the same. Programs of ordinary size have none.

use super::Emit;
use crate::graph::{LoopId, RegionId, Stmt};
use proc_macro2::TokenStream;
use quote::quote;

/// A program with more statements is large: some tenths of a second for rustc.
const LARGE: usize = 1000;
/// A closure must spare more than it costs.
const WORTH: usize = 12;

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

    /// A loop, in a closure if it is to have one.
    pub(super) fn enclose(&self, l: LoopId, run: TokenStream) -> TokenStream {
        if run.is_empty() || !self.enclosed.contains(&l) {
            return run;
        }
        quote!((|| { #run })();)
    }

    /// The statements of a region, without those of loops that get a closure; those loops, if they are asked for.
    fn weight(&self, region: RegionId, enclosed: &mut Option<&mut Vec<LoopId>>) -> usize {
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
                    1 + self.weight(b.then, enclosed) + self.weight(b.otherwise, enclosed)
                }
                Stmt::Loop(l) => {
                    let inside = self.weight(g.looped(*l).body, enclosed);
                    match enclosed {
                        Some(enclosed) if inside >= WORTH => {
                            enclosed.push(*l);
                            1
                        }
                        _ => 1 + inside,
                    }
                }
                _ => 1,
            };
        }
        all
    }
}
