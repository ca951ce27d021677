//! Where the segments of a checkpointed loop start and end, and how often its state is saved.

use super::Reverse;
use super::rerun::Bounds;
use super::states::{State, saved};
use crate::checkpoint::Every;
use crate::graph::*;
use crate::types::{Kind, Ty};
use proc_macro2::TokenStream;
use quote::quote;

/// The bounds of a segment that starts at `first`; `stop` is where it ends as the loop would spell its own end.
pub(super) fn bounds(data: &Loop, first: Id, stop: Id) -> Bounds {
    let (inclusive, rev) = match &data.count {
        Count::Range { inclusive, rev, .. } | Count::Stepped { inclusive, rev, .. } => {
            (*inclusive, *rev)
        }
        Count::Forever | Count::Replay(_) => (false, false),
    };
    Bounds {
        lo: if rev { stop } else { first },
        hi: if rev { first } else { stop },
        // It starts at an index that there is.
        inclusive: inclusive || rev,
        rev,
    }
}

/// Statements of the primal that are put before a loop: nothing that is computed elsewhere may be taken for them.
pub(super) struct Before<'r, 'a> {
    r: &'r mut Reverse<'a>,
    region: RegionId,
    stmts: Vec<Stmt>,
}

impl Before<'_, '_> {
    fn opaque(&mut self, key: String, form: OpaqueForm, args: Vec<Id>, ty: Ty) -> Id {
        let k = self.r.g.opaque_index(Opaque {
            key,
            form,
            discrete: false,
        });
        let args = args.into_iter().map(|a| self.r.g.resolve(a)).collect();
        let node = Node::Opaque(k, args);
        let id = self.r.g.bound(node, ty, Some(self.region));
        self.stmts.push(Stmt::Let(id));
        id
    }

    fn binary(&mut self, op: TokenStream, a: Id, b: Id, ty: Ty) -> Id {
        self.opaque(
            format!("binary {op}"),
            OpaqueForm::Binary(op),
            vec![a, b],
            ty,
        )
    }

    fn method(&mut self, name: TokenStream, args: &[Id], ty: Ty) -> Id {
        let key = format!("method {name}");
        self.opaque(key, OpaqueForm::Method(name), args.to_vec(), ty)
    }

    fn cast(&mut self, a: Id, to: &TokenStream, ty: Ty) -> Id {
        self.opaque(
            format!("cast {to}"),
            OpaqueForm::Cast(to.clone()),
            vec![a],
            ty,
        )
    }
}

impl Reverse<'_> {
    /// Every how many iterations the state is saved.
    pub(super) fn interval(&mut self, data: &Loop, every: &Every) -> Id {
        let usize_ty = self.g.usize_ty();
        match every {
            Every::Number(n) => return self.g.usize_const(*n),
            Every::Constant(n) => {
                let usize_path = quote!(::core::primitive::usize);
                let checked = quote!(const {
                    let every: #usize_path = #n;
                    ::core::assert!(every > 0, "`checkpoint` must be at least 1");
                    every
                });
                return self.g.opaque_tokens(checked, usize_ty);
            }
            Every::Root => {}
        }
        let (lo, hi, inclusive, step) = match &data.count {
            Count::Range {
                lo, hi, inclusive, ..
            } => (*lo, *hi, *inclusive, None),
            Count::Stepped {
                lo,
                hi,
                inclusive,
                step,
                ..
            } => (*lo, *hi, *inclusive, Some(*step)),
            // `checkpoint` has rejected such loops. Every interval is right, the shortest needs no number of iterations.
            Count::Forever | Count::Replay(_) => return self.g.usize_const(1),
        };
        // The root of the number of iterations, in integers that hold every difference.
        let mut b = Before {
            r: self,
            region: RegionId(0),
            stmts: Vec::new(),
        };
        b.region = b.r.parent(data.body);
        let wide = b.r.g.types.fresh(Kind::Int("i128".into()));
        let i128_path = quote!(::core::primitive::i128);
        let (lo, hi) = (b.cast(lo, &i128_path, wide), b.cast(hi, &i128_path, wide));
        let mut trips = b.binary(quote!(-), hi, lo, wide);
        if inclusive {
            let one = b.r.g.integer_const(1);
            trips = b.binary(quote!(+), trips, one, wide);
        }
        if let Some(step) = step {
            let step = b.cast(step, &i128_path, wide);
            trips = b.binary(quote!(/), trips, step, wide);
        }
        let one = b.r.g.integer_const(1);
        let trips = b.method(quote!(max), &[trips, one], wide);
        let root = b.method(quote!(isqrt), &[trips], wide);
        let every = b.cast(root, &quote!(::core::primitive::usize), usize_ty);
        b.r.g.nodes[every.0 as usize].name = Some("every".into());
        let stmts = b.stmts;
        self.insert_before(data, stmts);
        every
    }

    /// The index of a segment's first iteration, or the number of iterations before it where the loop has no index.
    pub(super) fn first(&mut self, data: &Loop, state: &State, at: Id, every: Id) -> Id {
        let usize_ty = self.g.usize_ty();
        let Some(lo) = self.counts_up(data) else {
            return self.g.load(saved(state, at, 0));
        };
        let ran = self.g.opaque_binary(quote!(*), at, every, usize_ty, false);
        match lo.filter(|&lo| self.g.integer(lo) != Some(0)) {
            Some(lo) => self.g.opaque_binary(quote!(+), lo, ran, usize_ty, false),
            None => ran,
        }
    }

    /// Where the last segment ends.
    pub(super) fn last_stop(&mut self, looped: LoopId, data: &Loop) -> Id {
        match &data.count {
            Count::Stepped { lo, hi, rev, .. } => [*hi, *lo][usize::from(*rev)],
            Count::Range { index, .. } if data.again.is_some() => {
                let ty = self.g.ty(*index);
                self.loop_end(looped, ty)
            }
            Count::Range { lo, hi, rev, .. } => [*hi, *lo][usize::from(*rev)],
            Count::Forever | Count::Replay(_) => {
                let ty = self.g.usize_ty();
                self.loop_end(looped, ty)
            }
        }
    }

    /// Where a segment ends: before the one after it starts, or where the loop did.
    pub(super) fn stop(
        &mut self,
        data: &Loop,
        state: &State,
        (at, len): (Id, Id),
        first: Id,
        every: Id,
        end: Id,
    ) -> Id {
        let usize_ty = self.g.usize_ty();
        if self.counts_up(data).is_some() {
            let next = self
                .g
                .opaque_method("saturating_add", &[first, every], usize_ty);
            return self.g.opaque_method("min", &[next, end], usize_ty);
        }
        let bool_ty = self.g.bool_ty();
        let one = self.g.usize_const(1);
        let after = self.g.opaque_binary(quote!(+), at, one, usize_ty, false);
        let inner = self.g.opaque_binary(quote!(<), after, len, bool_ty, true);
        let then = self.g.open();
        let mut next = self.g.load(saved(state, after, 0));
        let op = match &data.count {
            Count::Range { rev: true, .. } | Count::Stepped { rev: true, .. } => Some(quote!(+)),
            Count::Range {
                inclusive: true, ..
            }
            | Count::Stepped {
                inclusive: true, ..
            } => Some(quote!(-)),
            _ => None,
        };
        if let Some(op) = op {
            // There is one before it, so that this does not overflow.
            let (one, ty) = (self.g.integer_const(1), self.g.ty(next));
            next = self.g.opaque_binary(op, next, one, ty, false);
        }
        self.g.close();
        let otherwise = self.g.open();
        self.g.close();
        let branch = self.g.new_if(inner, then, otherwise);
        let out = self.g.yield_from(branch, next, end);
        self.g.push(Stmt::If(branch));
        out
    }

    /// Where a loop starts whose iterations are simply counted, up from a `usize` or from nothing: `None` for the rest.
    fn counts_up(&self, data: &Loop) -> Option<Option<Id>> {
        match &data.count {
            Count::Range {
                lo,
                rev: false,
                inclusive: false,
                ..
            } => matches!(self.g.types.kind(self.g.ty(*lo)), Kind::Int(n) if n == "usize")
                .then_some(Some(*lo)),
            Count::Forever => Some(None),
            _ => None,
        }
    }
}
