//! How often each node is used: what is used once is spelt where it is used.

use super::*;

impl Steps<'_> {
    pub(super) fn used(&mut self, id: Id) {
        *self.uses.entry(self.g.resolve(id)).or_insert(0) += 1;
    }

    pub(super) fn count(&mut self, region: RegionId) {
        let g = self.g;
        for stmt in &g.region(region).stmts {
            if !self.live.stmt(g, stmt) {
                continue;
            }
            match stmt {
                // What is computed again was said the first time.
                Stmt::Let(id) if g.data(*id).region != Some(region) => {}
                Stmt::Let(id) => g.operands(*id).into_iter().for_each(|o| self.used(o)),
                Stmt::Store { place, value, .. } => {
                    self.used(*value);
                    place.indices().for_each(|i| self.used(i));
                }
                Stmt::Push(_, v) => self.used(*v),
                Stmt::If(b) => {
                    let b = g.branch(*b);
                    self.used(b.cond);
                    for s in b
                        .slots
                        .iter()
                        .filter(|s| self.live.has(g, s.out))
                        .cloned()
                        .collect::<Vec<_>>()
                    {
                        self.used(s.then);
                        self.used(s.otherwise);
                    }
                    self.count(b.then);
                    self.count(b.otherwise);
                }
                Stmt::Loop(l) => {
                    let l = g.looped(*l);
                    for c in l
                        .carried
                        .iter()
                        .filter(|c| self.live.carried(g, c))
                        .cloned()
                        .collect::<Vec<_>>()
                    {
                        // A carried value is said where it changes.
                        self.used(c.init);
                        self.used(c.next);
                        if g.data(g.resolve(c.next)).name == g.data(c.phi).name {
                            self.onward.insert(g.resolve(c.next));
                        }
                    }
                    if let Count::Range { lo, hi, .. } | Count::Stepped { lo, hi, .. } = &l.count {
                        self.used(*lo);
                        self.used(*hi);
                    }
                    self.count(l.body);
                }
                Stmt::Declare(a) => {
                    if let Init::List(all) = &g.array(*a).init {
                        for e in all {
                            if let Element::Scalar(id) = e {
                                self.used(*id);
                            }
                        }
                    }
                }
                Stmt::Call(c) | Stmt::Pullback(c) => {
                    for a in &g.call(*c).args {
                        if let Argument::Scalar { value } = a {
                            // Named, so that the call reads well.
                            self.used(*value);
                            self.used(*value);
                        }
                    }
                    g.call(*c).upstream.iter().for_each(|u| self.used(*u));
                }
                _ => {}
            }
        }
    }
}
