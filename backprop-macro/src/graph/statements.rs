//! Builders of statements: arrays and what is done to them, branches, loops.
//!
//! Whatever changes an array gives it a new version, so that no load from before is taken for one from after.

use super::*;

impl Graph {
    /// Whether zeros like an array can be made from its shape and its length alone.
    pub fn plain_layout(&self, array: ArrayId) -> bool {
        let data = self.array(array);
        let rows = data.shape.element().is_some_and(|s| !s.is_fixed());
        data.shape.is_fixed() || data.len.is_some() && !rows
    }

    /// The array of which one is a copy, or a copy of a copy: it has the same lengths.
    pub fn original(&self, array: ArrayId) -> ArrayId {
        match &self.array(array).init {
            Init::Copy(p) if p.path.is_empty() => self.original(p.array),
            _ => array,
        }
    }

    pub fn new_array(&mut self, name: &str, shape: Shape, init: Init, span: Span) -> ArrayId {
        let id = ArrayId(self.arrays.len() as u32);
        let region = (!matches!(init, Init::Given(_))).then(|| self.here());
        self.arrays.push(ArrayData {
            name: name.into(),
            shape,
            init,
            len: None,
            region,
            version: 0,
            param: None,
            mutated: false,
            frozen: false,
            shadow: false,
            like: None,
            saves: None,
            span,
        });
        id
    }

    /// Declares an array in the region being built.
    pub fn declare(&mut self, name: &str, shape: Shape, init: Init, span: Span) -> ArrayId {
        let id = self.new_array(name, shape, init, span);
        self.push(Stmt::Declare(id));
        id
    }

    /// The shape of a part of an array.
    pub fn shape_at(&self, place: &Place) -> Shape {
        let mut shape = self.array(place.array).shape.clone();
        for step in &place.path {
            shape = shape.step(step).unwrap_or(Shape::Unknown);
        }
        shape
    }

    pub fn load(&mut self, place: Place) -> Id {
        let version = self.array(place.array).version;
        let ty = match self.shape_at(&place) {
            Shape::Float(f) => self.types.fresh(Kind::Float(f)),
            Shape::Scalar(ty) => ty,
            _ => self.types.fresh(Kind::Unknown),
        };
        self.compute(Node::Load(place, version), ty)
    }

    /// What an array holds here, as a whole.
    pub fn whole(&mut self, place: &Place) -> Id {
        let version = self.array(place.array).version;
        let ty = self.types.fresh(Kind::Other);
        let shape = match self.shape_at(place) {
            Shape::Slice(s) => Shape::Vec(s),
            shape => shape,
        };
        let id = self.compute(Node::Whole(place.clone(), version), ty);
        self.whole.insert(id, shape);
        id
    }

    fn touch(&mut self, array: ArrayId) {
        let data = self.array_mut(array);
        data.version += 1;
        data.mutated = true;
    }

    pub fn store(&mut self, place: Place, value: Id, add: bool) {
        self.touch(place.array);
        self.push(Stmt::Store { place, value, add });
    }

    pub fn copy(&mut self, to: Place, from: Place, add: bool) {
        self.touch(to.array);
        self.push(Stmt::Copy { to, from, add });
    }

    pub fn clear(&mut self, place: Place) {
        self.touch(place.array);
        self.push(Stmt::Clear(place));
    }

    pub fn swap(&mut self, a: Place, b: Place) {
        self.touch(a.array);
        self.touch(b.array);
        self.push(Stmt::Swap(a, b));
    }

    pub fn push_element(&mut self, array: ArrayId, value: Id) {
        self.touch(array);
        self.push(Stmt::Push(array, value));
    }

    /// After a region that may have stored: no earlier load is current any more.
    pub fn invalidate(&mut self) {
        for a in self.arrays.iter_mut().filter(|a| !a.frozen) {
            a.version += 1;
        }
    }

    pub fn new_if(&mut self, cond: Id, then: RegionId, otherwise: RegionId) -> IfId {
        let id = IfId(self.ifs.len() as u32);
        self.ifs.push(If {
            cond,
            then,
            otherwise,
            slots: Vec::new(),
            rerun: false,
        });
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
        self.loops.push(Loop {
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
        });
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

    /// The operands of a node.
    pub fn operands(&self, id: Id) -> Vec<Id> {
        match self.node(id) {
            Node::Apply(_, args) | Node::Opaque(_, args) => {
                args.iter().map(|&a| self.resolve(a)).collect()
            }
            Node::Cast(a, _) => vec![self.resolve(*a)],
            Node::Load(p, _) | Node::Len(p, _) | Node::Whole(p, _) => {
                p.indices().map(|i| self.resolve(i)).collect()
            }
            _ => Vec::new(),
        }
    }
}
