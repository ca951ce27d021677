//! Random statements that decide what runs next.
//!
//! In: the loops and blocks around. Out: statements, or none where nothing fits. Must hold: loops end, and `break` and
//! `continue` name a loop or block around them.

use super::*;

impl Generator {
    pub fn if_stmt(&mut self) -> Option<Vec<Stmt>> {
        (self.depth < 4).then_some(())?;
        let (cond, then) = (self.cond(2), self.inner(3));
        let other = self.random.percent(50).then(|| Body {
            stmts: self.inner(2),
            value: None,
        });
        let then = Body {
            stmts: then,
            value: None,
        };
        Some(vec![Stmt::If(Box::new(If { cond, then, other }))])
    }

    pub fn match_stmt(&mut self) -> Option<Vec<Stmt>> {
        (self.depth < 4).then_some(())?;
        let table = self.table(&mut |g| Body {
            stmts: g.inner(2),
            value: None,
        });
        Some(vec![Stmt::Match(Box::new(table))])
    }

    /// A `match` on a small integer.
    pub fn table(&mut self, body: &mut dyn FnMut(&mut Self) -> Body) -> Match {
        let cases = self.random.between(2, 5) as i32;
        let on = Int::Bin(
            "%",
            Box::new(self.plainly(|g| g.int(1))),
            Box::new(Int::Lit(cases + 1)),
        );
        let (mut arms, mut next) = (Vec::new(), 0);
        while next <= cases {
            let last = next + self.random.below(2) as i32;
            let bound = self.unique("m");
            let (pattern, named) = match self.random.below(7) {
                _ if last + 1 > cases && arms.len() > 1 => ("_".to_owned(), false),
                0 => (bound.clone(), true),
                1 => (format!("{bound} @ {next}..={last}"), true),
                2 if last > next => (format!("{next} | {last}"), false),
                3 => (format!("{next}..{}", last + 1), false),
                4 | 5 => (format!("{next}..={last}"), false),
                _ => (format!("{next}"), false),
            };
            let len = self.scope.len();
            if named {
                self.scope
                    .declare(&bound, Kind::Int(Bound::Unknown), false, false);
            }
            let guard = (pattern != "_"
                && self.random.percent(if pattern == bound { 90 } else { 25 }))
            .then(|| self.cond(1));
            arms.push(Arm {
                pattern,
                guard,
                body: body(self),
            });
            self.scope.leave(len);
            next = last + 1;
        }
        // Without fail something matches.
        if arms.last().is_some_and(|arm| arm.pattern != "_") {
            arms.push(Arm {
                pattern: "_".to_owned(),
                guard: None,
                body: body(self),
            });
        }
        Match { on, arms }
    }

    /// The statements of a loop, with the loop as a target.
    fn rounds(&mut self, label: Option<Name>, wants_value: bool, most: usize) -> Vec<Stmt> {
        self.targets.push(Target {
            label,
            is_loop: true,
            wants_value,
        });
        let body = self.inner(most);
        self.targets.pop();
        body
    }

    fn loop_label(&mut self) -> Option<Name> {
        self.may(Feature::label, 35).then(|| self.unique("l"))
    }

    /// At most two loops around another.
    fn loop_fits(&self) -> Option<()> {
        (self.depth < 4 && self.targets.iter().filter(|t| t.is_loop).count() < 3).then_some(())
    }

    pub fn for_loop(&mut self) -> Option<Vec<Stmt>> {
        self.loop_fits()?;
        let (range, bound) = self.range();
        let (len, label) = (self.scope.len(), self.loop_label());
        let base = self.random.pick(&["i", "j", "k"]);
        let var = if self.may(Feature::shadow, 10) {
            base.to_owned()
        } else {
            self.fresh(base)
        };
        self.scope.declare(&var, Kind::Int(bound), false, false);
        let body = self.rounds(label.clone(), false, 4);
        self.scope.leave(len);
        Some(vec![Stmt::For {
            label,
            var,
            range,
            body,
        }])
    }

    fn range(&mut self) -> (Range, Bound) {
        let forms = self.features.has(Feature::range_forms);
        let outer = self
            .scope
            .readable(|kind| matches!(kind, Kind::Int(Bound::Below(_))));
        let (last, slice) = (
            self.random.between(2, 5),
            self.scope.readable(|kind| *kind == Kind::Slice),
        );
        let mut from = Int::Lit(if self.random.percent(70) { 0 } else { 1 });
        let mut inclusive = forms && self.random.percent(25);
        let (to, bound) = match self.random.below(10) {
            0 | 1 => (self.parameter(), Bound::Unknown),
            2 | 3 if !slice.is_empty() => {
                inclusive = false;
                (Int::Len("s".to_owned()), Bound::Length)
            }
            4 | 5 if forms && !outer.is_empty() => {
                let outer = self.random.pick(&outer);
                let Kind::Int(Bound::Below(k)) = outer.kind else {
                    unreachable!("it was asked for")
                };
                if self.random.percent(50) {
                    from = Int::Var(outer.name);
                    inclusive = false;
                    (Int::Lit(last as i32), Bound::Below(last))
                } else {
                    (Int::Var(outer.name), Bound::Below(k))
                }
            }
            _ => (
                Int::Lit(last as i32),
                Bound::Below(last + usize::from(inclusive)),
            ),
        };
        let (reversed, step) = (
            forms && self.random.percent(20),
            forms && self.random.percent(15),
        );
        let step = step.then(|| self.random.between(2, 3) as i32);
        (
            Range {
                from,
                to,
                inclusive,
                reversed,
                step,
            },
            bound,
        )
    }

    /// The parameter `n`, which the inputs keep below 7, unless another variable hides it.
    fn parameter(&self) -> Int {
        let hidden = self
            .scope
            .readable(|_| true)
            .iter()
            .any(|v| v.name == "n" && v.kind != Kind::Parameter);
        if hidden {
            Int::Lit(3)
        } else {
            Int::Var("n".to_owned())
        }
    }

    pub fn while_loop(&mut self) -> Option<Vec<Stmt>> {
        self.loop_fits()?;
        let cond = Some(self.cond(1));
        Some(vec![Stmt::Loop(Box::new(self.counted(cond, None)))])
    }

    pub fn loop_loop(&mut self) -> Option<Vec<Stmt>> {
        self.loop_fits()?;
        Some(vec![Stmt::Loop(Box::new(self.counted(None, None)))])
    }

    pub fn loop_expr(&mut self) -> Real {
        let value = self.plainly(|g| g.real(2));
        if self.loop_fits().is_none() {
            return value;
        }
        Real::Loop(Box::new(self.counted(None, Some(value))))
    }

    fn counted(&mut self, cond: Option<Cond>, value: Option<Real>) -> Loop {
        let (label, counter) = (self.loop_label(), self.unique("count"));
        let (len, bound) = (self.scope.len(), self.random.between(1, 5) as i32);
        self.scope.declare(
            &counter,
            Kind::Int(Bound::Below(bound as usize + 1)),
            false,
            false,
        );
        let body = self.rounds(label.clone(), value.is_some(), 4);
        self.scope.leave(len);
        Loop {
            label,
            counter,
            bound,
            cond,
            body,
            value,
        }
    }

    pub fn block_stmt(&mut self) -> Option<Vec<Stmt>> {
        (self.depth < 4).then(|| vec![Stmt::Block(None, self.inner(3))])
    }

    pub fn labelled_block(&mut self) -> Option<Vec<Stmt>> {
        (self.depth < 4).then_some(())?;
        let label = Some(self.unique("b"));
        self.targets.push(Target {
            label: label.clone(),
            is_loop: false,
            wants_value: false,
        });
        let body = self.split_by(|_| Stmt::Break(label.clone(), None), None);
        self.targets.pop();
        Some(vec![Stmt::Block(label, body.stmts)])
    }

    pub fn block_with_label(&mut self, depth: usize) -> Real {
        let label = Some(self.unique("b"));
        self.targets.push(Target {
            label: label.clone(),
            is_loop: false,
            wants_value: true,
        });
        let jump = |g: &mut Self| Stmt::Break(label.clone(), Some(g.plainly(|g| g.real(2))));
        let body = self.split_by(jump, Some(depth - 1));
        self.targets.pop();
        Real::Block(label, body)
    }

    /// Statements with a jump between them, and a value if its depth is given.
    fn split_by(&mut self, jump: impl FnOnce(&mut Self) -> Stmt, depth: Option<usize>) -> Body {
        let len = self.scope.len();
        self.depth += 1;
        let mut stmts = self.stmts(1);
        stmts.push(self.under_condition(jump));
        stmts.extend(self.stmts(2));
        let value = depth.map(|depth| Box::new(self.real(depth)));
        self.depth -= 1;
        self.scope.leave(len);
        Body { stmts, value }
    }

    /// An `if` around one statement, sometimes after another.
    fn under_condition(&mut self, last: impl FnOnce(&mut Self) -> Stmt) -> Stmt {
        let cond = self.cond(1);
        let (len, before) = (self.scope.len(), self.random.percent(30));
        self.depth += 1;
        let mut stmts = if before { self.stmts(1) } else { Vec::new() };
        stmts.push(last(self));
        self.depth -= 1;
        self.scope.leave(len);
        Stmt::If(Box::new(If {
            cond,
            then: Body { stmts, value: None },
            other: None,
        }))
    }

    /// A loop or block to jump to, and its label where one is needed.
    fn jump_target(&mut self, skip: bool) -> Option<(Target, Option<Name>)> {
        let inner = self.targets.iter().rposition(|t| t.is_loop);
        let mut found = Vec::new();
        for (i, target) in self.targets.iter().enumerate().skip(self.unreachable) {
            // Rust wants a label inside of a labelled block.
            let bare = Some(i) == inner && i + 1 == self.targets.len();
            if (target.is_loop || !skip) && (bare || target.label.is_some()) {
                found.push((target.clone(), bare));
            }
        }
        let (target, bare) = (!found.is_empty()).then(|| self.random.pick(&found))?;
        let label = if bare && self.random.percent(80) {
            None
        } else {
            target.label.clone()
        };
        Some((target, label))
    }

    pub fn leave(&mut self) -> Option<Vec<Stmt>> {
        let (target, label) = self.jump_target(false)?;
        let jump = self.under_condition(|g| {
            let value = target.wants_value.then(|| g.plainly(|g| g.real(2)));
            Stmt::Break(label, value)
        });
        Some(vec![jump])
    }

    pub fn skip(&mut self) -> Option<Vec<Stmt>> {
        let (_, label) = self.jump_target(true)?;
        Some(vec![self.under_condition(|_| Stmt::Continue(label))])
    }

    pub fn early_return(&mut self) -> Option<Vec<Stmt>> {
        (!self.inside).then_some(())?;
        Some(vec![
            self.under_condition(|g| Stmt::Return(g.plainly(|g| g.real(2)))),
        ])
    }
}
