//! Branches and loops: a line for the head, the body indented, and what each side yields or each iteration carries on.

use super::*;

impl Steps<'_> {
    pub(super) fn branch(&mut self, b: IfId, indent: usize) {
        let g = self.g;
        let data = g.branch(b);
        let slots: Vec<Slot> = data
            .slots
            .iter()
            .filter(|s| self.live.has(g, s.out))
            .cloned()
            .collect();
        let outs: Vec<String> = slots.iter().map(|s| self.call(s.out)).collect();
        let cond = self.formula(data.cond).text();
        for (head, region, pick) in [
            (format!("if {cond}:"), data.then, true),
            ("otherwise:".into(), data.otherwise, false),
        ] {
            let at = self.lines.len();
            self.region(region, indent + 1);
            for (slot, out) in slots.iter().zip(&outs) {
                let value = self.formula(if pick { slot.then } else { slot.otherwise });
                if value.text() != *out {
                    self.line(indent + 1, name(out), "=", value);
                }
            }
            if self.lines.len() > at {
                let head = Step {
                    indent,
                    left: None,
                    sign: "",
                    right: None,
                    words: head,
                };
                self.lines.insert(at, head);
            }
        }
    }

    /// The name of a loop's index: another than those of the loops around.
    fn index(&mut self, index: Id) -> String {
        let mut called = self.formula(index).text();
        if self.open.contains(&called) {
            while self.open.contains(&called) {
                called.push('′');
            }
            self.names.insert(self.g.resolve(index), called.clone());
        }
        called
    }

    pub(super) fn looped(&mut self, l: LoopId, indent: usize) {
        let g = self.g;
        let data = g.looped(l);
        let carried: Vec<Carried> = data
            .carried
            .iter()
            .filter(|c| self.live.carried(g, c))
            .cloned()
            .collect();
        for c in &carried {
            let init = self.formula(c.init);
            let called = self.call(c.phi);
            self.names.insert(g.resolve(c.out), called.clone());
            if init.text() != called {
                self.line(indent, name(&called), "=", init);
            }
        }
        let at = self.lines.len();
        let way = match (data.reverses.is_some(), &data.count) {
            (true, _) if super::super::backwards(g, l) => ", backwards",
            (true, _) => ", again",
            (_, Count::Range { rev: true, .. } | Count::Stepped { rev: true, .. }) => ", downwards",
            _ => "",
        };
        let index = match &data.count {
            Count::Range { index, .. } | Count::Stepped { index, .. } => Some(*index),
            _ => None,
        };
        let index = index.map(|index| self.index(index));
        let head = match &data.count {
            Count::Range {
                index,
                lo,
                hi,
                inclusive,
                ..
            } => {
                let i = self.formula(*index).text();
                let dots = if *inclusive { "..=" } else { ".." };
                let hi = match self.g.node(self.g.resolve(*hi)) {
                    Node::LoopEnd(_) => "where it stopped".into(),
                    _ => self.formula(*hi).text(),
                };
                format!("for {i} in {}{dots}{hi}{way}:", self.formula(*lo).text())
            }
            Count::Stepped {
                index,
                lo,
                hi,
                step,
                ..
            } => format!(
                "for {} in {}..{} in steps of {}{way}:",
                self.formula(*index).text(),
                self.formula(*lo).text(),
                self.formula(*hi).text(),
                self.formula(*step).text()
            ),
            Count::Forever => "repeat:".into(),
            Count::Replay(_) => "as often as it ran, backwards:".into(),
        };
        self.words(indent, head);
        let open = self.open.len();
        self.open.extend(index);
        self.region(data.body, indent + 1);
        self.open.truncate(open);
        // What changes at once must not be read half changed.
        let nexts: Vec<(Formula, Formula)> = (carried.iter())
            .map(|c| (self.formula(c.phi), self.formula(c.next)))
            .filter(|(a, b)| a.text() != b.text())
            .collect();
        let mixed = nexts.iter().enumerate().any(|(k, (_, next))| {
            nexts[..k]
                .iter()
                .any(|(before, _)| mentions(next, &before.text()))
        });
        if mixed {
            let left = nexts
                .iter()
                .map(|n| n.0.text())
                .collect::<Vec<_>>()
                .join(", ");
            let right = nexts
                .iter()
                .map(|n| n.1.text())
                .collect::<Vec<_>>()
                .join(", ");
            self.words(indent + 1, format!("({left}) ← ({right})"));
        } else {
            for (left, right) in nexts {
                // `s + …` is said shorter.
                match right {
                    Formula::Infix("+", a, b) if a.text() == left.text() => {
                        self.line(indent + 1, left, "+=", *b)
                    }
                    Formula::Infix("+", a, b) if b.text() == left.text() => {
                        self.line(indent + 1, left, "+=", *a)
                    }
                    right => self.line(indent + 1, left, "←", right),
                }
            }
        }
        if let Some(again) = data.again
            && g.opaque_text(again).as_deref() != Some("true")
        {
            let text = format!("go on while {}", self.formula(again).text());
            self.words(indent + 1, text);
        }
        if self.lines.len() == at + 1 {
            self.lines.truncate(at);
        }
    }
}

fn mentions(f: &Formula, text: &str) -> bool {
    let all = f.text();
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '′';
    all.match_indices(text).any(|(at, _)| {
        !all[..at].ends_with(is_name) && !all[at + text.len()..].starts_with(is_name)
    })
}
