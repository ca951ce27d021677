//! Branches and loops.
//!
//! In: a condition or a count, and regions. Out: an `if` that yields values, or a loop that carries them.

use super::{Carried, Count, Graph, Id, If, IfId, Loop, LoopId, Node, RegionId, Slot};
use proc_macro2::Span;
use std::rc::Rc;

impl Graph {
    pub fn new_if(&mut self, cond: Id, then: RegionId, otherwise: RegionId) -> IfId {
        let id = IfId(self.ifs.len() as u32);
        self.ifs.push(Rc::new(If {
            cond,
            then,
            otherwise,
            slots: Vec::new(),
            rerun: false,
        }));
        id
    }

    /// A value that the branch yields, one from each side.
    pub fn yield_from(&mut self, branch: IfId, then: Id, otherwise: Id) -> Id {
        let (then, otherwise) = (self.resolve(then), self.resolve(otherwise));
        if let Some(slot) = self
            .branch(branch)
            .slots
            .iter()
            .find(|s| s.then == then && s.otherwise == otherwise)
        {
            return slot.out;
        }
        self.types.unify(
            self.nodes[then.0 as usize].ty,
            self.nodes[otherwise.0 as usize].ty,
        );
        let ty = self.ty(then);
        let region = self.region(self.branch(branch).then).parent;
        let slot = self.branch(branch).slots.len() as u32;
        let out = self.bound(Node::IfOut(branch, slot), ty, region);
        self.branch_mut(branch).slots.push(Slot {
            out,
            then,
            otherwise,
        });
        out
    }

    pub fn new_loop(&mut self, count: Count, body: RegionId, span: Span) -> LoopId {
        let id = LoopId(self.loops.len() as u32);
        self.loops.push(Rc::new(Loop {
            count,
            body,
            carried: Vec::new(),
            again: None,
            end: None,
            tape: Vec::new(),
            reverses: None,
            shared: false,
            segments: None,
            rerun: false,
            moves: false,
            span,
        }));
        id
    }

    /// A carried scalar, complete: its value after the loop.
    pub fn carry(&mut self, looped: LoopId, phi: Id, init: Id, next: Id) -> Id {
        let ty = self.ty(phi);
        self.types.unify(ty, self.nodes[init.0 as usize].ty);
        self.types.unify(ty, self.nodes[next.0 as usize].ty);
        let region = self.region(self.looped(looped).body).parent;
        let slot = self.looped(looped).carried.len() as u32;
        let out = self.bound(Node::LoopOut(looped, slot), ty, region);
        self.nodes[phi.0 as usize].node = Node::Phi(looped, slot);
        self.looped_mut(looped).carried.push(Carried {
            phi,
            init,
            next,
            out,
        });
        out
    }
}
