//! Regions: where statements go, and which values are seen there.
//!
//! In: the region that is being built. Out: an open, closed or reopened region, and the nodes that may be shared in it. What must hold: a
//! node is shared only where it was computed in the region or in one around it.

use super::maps::Set;
use super::{Graph, Id, If, Loop, Node, Region, RegionId, Stmt};
use std::rc::Rc;

impl Graph {
    /// A new region inside the one being built; statements go to it until [`Graph::close`].
    pub fn open(&mut self) -> RegionId {
        let id = RegionId(self.regions.len() as u32);
        self.regions.push(Rc::new(Region {
            stmts: Vec::new(),
            parent: self.open.last().copied(),
        }));
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
    pub fn restore(&mut self, regions: Vec<Rc<Region>>, loops: Vec<Rc<Loop>>, ifs: Vec<Rc<If>>) {
        let later = std::mem::replace(&mut self.regions, regions);
        self.loops = loops;
        self.ifs = ifs;
        for (region, known) in &mut self.remembered {
            let Some(r) = self.regions.get(region.0 as usize) else {
                known.clear();
                continue;
            };
            if later
                .get(region.0 as usize)
                .is_some_and(|l| Rc::ptr_eq(l, r))
            {
                continue;
            }
            let here = lets(&r.stmts);
            known.retain(|(_, id)| {
                self.nodes[id.0 as usize].region != Some(*region) || here.contains(id)
            });
        }
        for region in self.open.clone() {
            let here = lets(&self.region(region).stmts);
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
        let before = lets(&self.region(here).stmts[..position]);
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
}

/// The nodes that statements compute.
fn lets(stmts: &[Stmt]) -> Set<Id> {
    let node = |s: &Stmt| match s {
        Stmt::Let(id) => Some(*id),
        _ => None,
    };
    stmts.iter().filter_map(node).collect()
}
