//! Regions as they are built, and which nodes may be shared in them.
//!
//! Equal nodes are one node where the first is in scope: what a region added is forgotten when it closes, and remembered
//! when the backward pass stands beside it.

use super::*;

impl Graph {
    /// A new region inside the one being built; statements go to it until [`Graph::close`].
    pub fn open(&mut self) -> RegionId {
        let id = RegionId(self.regions.len() as u32);
        self.regions.push(Region {
            stmts: Vec::new(),
            parent: self.open.last().copied(),
        });
        self.open.push(id);
        id
    }

    /// Goes on building a region that was closed; nothing that it computed is known.
    pub fn enter(&mut self, id: RegionId) {
        self.open.push(id);
    }

    /// Goes on building a region that was closed; what it computed is known again.
    pub fn reopen(&mut self, id: RegionId) {
        self.open.push(id);
        self.remember(id);
    }

    /// Makes the values of a closed region known inside the one being built, whose backward pass it is.
    pub fn remember(&mut self, primal: RegionId) {
        let here = self.here();
        for (key, id) in self.remembered.get(&primal).cloned().unwrap_or_default() {
            if !self.seen.contains_key(&key) {
                self.seen.insert(key.clone(), id);
                self.entries.entry(here).or_default().push(key);
            }
        }
    }

    pub fn close(&mut self) {
        let Some(id) = self.open.pop() else { return };
        let mut kept = Vec::new();
        for key in self.entries.remove(&id).unwrap_or_default() {
            if let Some(node) = self.seen.remove(&key) {
                kept.push((key, node));
            }
        }
        self.remembered.entry(id).or_default().extend(kept);
    }

    /// The region being built.
    pub fn here(&self) -> RegionId {
        self.open.last().copied().unwrap_or(RegionId(0))
    }

    /// Whether `outer` is `inner` or around it.
    pub fn encloses(&self, outer: RegionId, inner: RegionId) -> bool {
        let mut at = Some(inner);
        while let Some(r) = at {
            if r == outer {
                return true;
            }
            at = self.region(r).parent;
        }
        false
    }

    pub fn push(&mut self, stmt: Stmt) {
        let here = self.here();
        self.region_mut(here).stmts.push(stmt);
    }

    /// Goes back to earlier statements, loops and branches; what only the dropped ones made known is forgotten.
    pub fn restore(&mut self, regions: Vec<Region>, loops: Vec<Loop>, ifs: Vec<If>) {
        self.regions = regions;
        self.loops = loops;
        self.ifs = ifs;
        let lets = |r: &Region| -> std::collections::HashSet<Id> {
            r.stmts
                .iter()
                .filter_map(|s| {
                    if let Stmt::Let(id) = s {
                        Some(*id)
                    } else {
                        None
                    }
                })
                .collect()
        };
        for (region, known) in &mut self.remembered {
            let Some(r) = self.regions.get(region.0 as usize) else {
                known.clear();
                continue;
            };
            let here = lets(r);
            known.retain(|(_, id)| {
                self.nodes[id.0 as usize].region != Some(*region) || here.contains(id)
            });
        }
        for region in self.open.clone() {
            let here: std::collections::HashSet<Id> = self
                .region(region)
                .stmts
                .iter()
                .filter_map(|s| {
                    if let Stmt::Let(id) = s {
                        Some(*id)
                    } else {
                        None
                    }
                })
                .collect();
            let keys = self.entries.remove(&region).unwrap_or_default();
            let mut kept = Vec::new();
            for key in keys {
                let stale = self
                    .seen
                    .get(&key)
                    .is_some_and(|id| self.data(*id).region == Some(region) && !here.contains(id));
                if stale {
                    self.seen.remove(&key);
                } else {
                    kept.push(key);
                }
            }
            self.entries.insert(region, kept);
        }
    }

    /// Makes unknown what closed regions computed, unless it is wanted still.
    pub fn forget(&mut self, wanted: impl Fn(&Graph, Id) -> bool) {
        let mut remembered = std::mem::take(&mut self.remembered);
        for known in remembered.values_mut() {
            known.retain(|(_, id)| wanted(self, *id));
        }
        self.remembered = remembered;
    }

    /// Makes unknown what the region being built computes from a position on: code put before it must not refer to it.
    pub fn hide_from(&mut self, position: usize) -> Vec<(Node, Id)> {
        let here = self.here();
        let before: std::collections::HashSet<Id> = self.region(here).stmts[..position]
            .iter()
            .filter_map(|s| {
                if let Stmt::Let(id) = s {
                    Some(*id)
                } else {
                    None
                }
            })
            .collect();
        let mut hidden = Vec::new();
        for key in self.entries.get(&here).into_iter().flatten() {
            if let Some(&id) = self.seen.get(key)
                && self.nodes[id.0 as usize].region == Some(here)
                && !before.contains(&id)
            {
                hidden.push((key.clone(), id));
            }
        }
        for (key, _) in &hidden {
            self.seen.remove(key);
        }
        hidden
    }

    /// Makes known again what was hidden.
    pub fn unhide(&mut self, hidden: Vec<(Node, Id)>) {
        for (key, id) in hidden {
            self.seen.entry(key).or_insert(id);
        }
    }

    /// A node that is not computed by a statement of its own: a parameter, a phi, a branch's result.
    pub fn bound(&mut self, node: Node, ty: Ty, region: Option<RegionId>) -> Id {
        let id = Id(self.nodes.len() as u32);
        let span = self.span.unwrap_or_else(Span::call_site);
        self.nodes.push(NodeData {
            node,
            ty,
            span,
            region,
            name: None,
            pinned: false,
        });
        id
    }

    /// A node computed here, or the one that already computes the same.
    pub fn compute(&mut self, node: Node, ty: Ty) -> Id {
        let Some(key) = self.key(&node) else {
            return self.place_here(node, ty);
        };
        if let Some(&id) = self.seen.get(&key) {
            self.types.unify(ty, self.ty(id));
            return id;
        }
        let id = self.place_here(node, ty);
        self.seen.insert(key.clone(), id);
        let here = self.here();
        self.entries.entry(here).or_default().push(key);
        id
    }

    /// What a statement of an existing node computes is known from here on.
    pub fn make_known(&mut self, id: Id) {
        let node = self.node(id).clone();
        if let Some(key) = self.key(&node)
            && !self.seen.contains_key(&key)
        {
            self.seen.insert(key.clone(), id);
            let here = self.here();
            self.entries.entry(here).or_default().push(key);
        }
    }

    fn place_here(&mut self, node: Node, ty: Ty) -> Id {
        let here = self.here();
        // Paths, literals and fields are spelt where they are used: binding a field could move it.
        let inline = matches!(&node, Node::Opaque(k, _)
            if matches!(self.opaque_of(*k).form, OpaqueForm::Tokens(_) | OpaqueForm::Field(_)));
        if inline {
            return self.bound(node, ty, None);
        }
        let id = self.bound(node, ty, Some(here));
        self.push(Stmt::Let(id));
        id
    }

    /// What makes two nodes one. Each literal finds its own type, so literals are compared by their text, and a node whose
    /// operands are all literals is never shared: nothing ties its type to the other's.
    fn key(&mut self, node: &Node) -> Option<Node> {
        let mut only_literals = true;
        let mut canon = |id: Id| {
            let id = self.resolve(id);
            let text = match self.node(id) {
                Node::Lit(bits) => format!("{bits} bits"),
                Node::Opaque(k, args) if args.is_empty() => self.opaque_of(*k).key.clone(),
                _ => {
                    only_literals = false;
                    return id;
                }
            };
            *self.literals.entry(text).or_insert(id)
        };
        let key = match node {
            Node::Apply(op, args) => Node::Apply(*op, args.iter().map(|&a| canon(a)).collect()),
            Node::Opaque(k, args) => Node::Opaque(*k, args.iter().map(|&a| canon(a)).collect()),
            Node::Cast(a, to) => Node::Cast(canon(*a), to.clone()),
            Node::Load(p, v) => {
                let key = Node::Load(p.clone().map(&mut canon), *v);
                return Some(key);
            }
            Node::Len(p, v) => {
                let key = Node::Len(p.clone().map(&mut canon), *v);
                return Some(key);
            }
            _ => return None,
        };
        (!only_literals).then_some(key)
    }
}
