//! Statements: stores, branches, loops, tapes.
//!
//! In: a region. Out: the arrays and tapes after it, or why it stops. What must hold: each statement runs where `emit` would put it.

use super::constants;
use super::{MAX_STEPS, Machine, Result, Scalar, Stop, Tape, Value, unknown};
use crate::graph::*;
use crate::shape::Shape;

impl Machine<'_, '_> {
    /// The statements that `emit` would print; what they bind is forgotten by the caller.
    pub(super) fn region(&mut self, region: RegionId) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        for (stmt, runs) in g
            .region(region)
            .stmts
            .iter()
            .zip(&e.runs[region.0 as usize])
        {
            if !runs {
                continue;
            }
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Stop::Long);
            }
            if Some(region) != e.p.back {
                for &l in e.tapes.get(&region).into_iter().flatten() {
                    if contains_loop(g, stmt, l) {
                        self.tapes.insert(l, Tape::default());
                    }
                }
            }
            self.stmt(stmt)?;
        }
        Ok(())
    }

    pub(super) fn stmt(&mut self, stmt: &Stmt) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        match stmt {
            // What a call is given: the call is what cannot be known.
            Stmt::Let(id) if matches!(g.node(*id), Node::Whole(..)) => {}
            Stmt::Let(id) => {
                // Written by the user and able to panic, but used by nothing: it may be unknown.
                let value = match self.compute(*id) {
                    Err(Stop::Unknown(_)) if !e.live.has(g, *id) => return Ok(()),
                    other => other?,
                };
                self.bind(*id, value);
            }
            Stmt::Declare(a) => self.declare(*a)?,
            Stmt::Store { place, value, add } => {
                let value = Value::Scalar(self.value(*value)?);
                let to = self.place_mut(place)?;
                if *add {
                    to.add(&value)?;
                } else {
                    *to = value;
                }
            }
            Stmt::Copy { to, from, add } => {
                let from = self.place(from)?.clone();
                let fixed = !matches!(g.shape_at(to), Shape::Vec(_));
                let to = self.place_mut(to)?;
                if *add {
                    to.add(&from)?;
                } else {
                    if let (Value::List(a), Value::List(b)) = (&*to, &from)
                        && fixed
                        && a.len() != b.len()
                    {
                        return Err(Stop::Panic("a copy between different lengths".into()));
                    }
                    *to = from;
                }
            }
            Stmt::Clear(p) => {
                let to = self.place_mut(p)?;
                *to = to.zeros();
            }
            Stmt::Swap(a, b) => {
                let (x, y) = (self.place(a)?.clone(), self.place(b)?.clone());
                *self.place_mut(a)? = y;
                *self.place_mut(b)? = x;
            }
            Stmt::Push(a, v) => {
                let value = Value::Scalar(self.value(*v)?);
                match self.arrays[a.0 as usize].as_mut() {
                    Some(Value::List(all)) => all.push(value),
                    _ => return unknown("an array that is out of scope"),
                }
            }
            Stmt::Save(a, e) => {
                let value = self.element(e)?;
                match self.arrays[a.0 as usize].as_mut() {
                    Some(Value::List(all)) => all.push(value),
                    _ => return unknown("an array that is out of scope"),
                }
            }
            Stmt::Pop(a, id) => {
                let last = match self.arrays[a.0 as usize].as_mut() {
                    Some(Value::List(all)) => all.pop(),
                    _ => return unknown("an array that is out of scope"),
                };
                match (last, id) {
                    (Some(Value::Scalar(s)), Some(id)) => self.bind(*id, s),
                    (None, Some(_)) => return Err(Stop::Panic("`pop` of nothing".into())),
                    _ => {}
                }
            }
            Stmt::If(b) => self.branch(*b)?,
            Stmt::Loop(l) => self.looped(*l)?,
            Stmt::Effect(k, args) => {
                let tokens = &g.effects[*k as usize];
                let args: Vec<Result<Scalar>> = args.iter().map(|&a| self.value(a)).collect();
                constants::effect(tokens, &args)?;
            }
            Stmt::Call(c) | Stmt::Pullback(c) => {
                return unknown(format!("the call of `{}`", g.call(*c).path));
            }
            Stmt::Bind(to, from) => {
                let value = match g.node(*from) {
                    Node::Load(..) => self.compute(*from)?,
                    _ => self.value(*from)?,
                };
                self.bind(*to, value);
            }
            Stmt::ReadTape(l) => {
                let counted = counted(g, *l);
                let Some(tape) = self.tapes.get_mut(l) else {
                    return unknown("a tape that is out of scope");
                };
                let at = if counted {
                    tape.track + tape.counter
                } else {
                    tape.cursor = tape.cursor.wrapping_sub(1);
                    tape.cursor
                };
                self.read(*l, at)?;
            }
            Stmt::ReadTapeAt(l, at) => {
                let Count::Range { lo, .. } = &g.looped(*l).count else {
                    return unknown("a tape of another loop");
                };
                let at = self.int(*at)? - self.int(*lo)?;
                let track = self.tapes.get(l).map_or(0, |t| t.track);
                self.read(*l, track + at.max(0) as usize)?;
            }
            Stmt::ReadSaved(id) => {
                let value = self.known(g.resolve(*id))?;
                self.bind(*id, value);
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, l: LoopId, at: usize) -> Result<()> {
        let Some(row) = self.tapes.get(&l).and_then(|t| t.rows.get(at)).cloned() else {
            return unknown("a tape that is too short");
        };
        let ids = self.g().looped(l).tape.clone();
        for (id, value) in ids.into_iter().zip(row) {
            self.bind(id, value);
        }
        Ok(())
    }

    pub(super) fn branch(&mut self, b: IfId) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        let data = g.branch(b);
        let taken = self.bool(data.cond)?;
        let mark = self.bound.len();
        self.region(if taken { data.then } else { data.otherwise })?;
        let mut outs = Vec::new();
        for s in data.slots.iter().filter(|s| e.live.has(g, s.out)) {
            outs.push((s.out, self.value(if taken { s.then } else { s.otherwise })?));
        }
        self.leave(mark);
        for (out, value) in outs {
            self.bind(out, value);
        }
        Ok(())
    }

    pub(super) fn looped(&mut self, l: LoopId) -> Result<()> {
        let e = self.e;
        let g = &e.p.graph;
        let data = g.looped(l);
        let carried: Vec<&Carried> = data
            .carried
            .iter()
            .filter(|c| e.live.carried(g, c))
            .collect();
        let indices = self.iterations(data)?;
        let of = data
            .reverses
            .filter(|of| !g.looped(*of).tape.is_empty())
            .or((!data.tape.is_empty()).then_some(l));
        let tracked = of.filter(|of| counted(g, *of));
        let n = indices.as_ref().map_or(0, Vec::len);
        let rev = matches!(data.count, Count::Range { rev: true, .. });
        if let Some(of) = tracked {
            let tape = self.tapes.entry(of).or_default();
            if data.reverses.is_some() {
                let Some(cursor) = tape.cursor.checked_sub(n) else {
                    return unknown("a tape that is too short");
                };
                tape.cursor = cursor;
            } else if tape.rows.len() < tape.cursor + n {
                tape.rows.resize(tape.cursor + n, Vec::new());
            }
            tape.track = tape.cursor;
        }
        let track = tracked.map_or(0, |of| self.tapes[&of].track);
        let mark = self.bound.len();
        for c in &carried {
            let init = self.value(c.init)?;
            self.bind(c.phi, init);
        }
        let end = data.end.filter(|end| e.live.has(g, *end));
        let mut stopped = match &data.count {
            Count::Range { lo, hi, rev, .. } if end.is_some() => {
                self.value(if *rev { *lo } else { *hi })?
            }
            _ => Scalar::Int(0),
        };
        let mut k = 0usize;
        loop {
            let index = match &indices {
                Some(all) if k >= all.len() => break,
                Some(all) => Some(all[k]),
                None => None,
            };
            let inner = self.bound.len();
            if let (Some(i), Count::Range { index, .. } | Count::Stepped { index, .. }) =
                (index, &data.count)
            {
                self.bind(*index, Scalar::Int(i));
            }
            let counter = if rev { n - 1 - k } else { k };
            if let Some(of) = tracked
                && let Some(tape) = self.tapes.get_mut(&of)
            {
                // An inner loop may have used the same tape.
                (tape.track, tape.counter) = (track, counter);
            }
            self.region(data.body)?;
            if !data.tape.is_empty() && data.reverses.is_none() {
                let row: Vec<Scalar> = data
                    .tape
                    .iter()
                    .map(|&id| self.value(id))
                    .collect::<Result<_>>()?;
                let tape = self.tapes.entry(l).or_default();
                if counted(g, l) {
                    tape.rows[track + counter] = row;
                } else {
                    tape.rows.push(row);
                    tape.cursor += 1;
                }
            }
            let nexts: Vec<Scalar> = carried
                .iter()
                .map(|c| self.value(c.next))
                .collect::<Result<_>>()?;
            for (c, next) in carried.iter().zip(&nexts) {
                self.nodes[g.resolve(c.phi).0 as usize] = Some(*next);
            }
            if end.is_some() && !matches!(data.count, Count::Range { .. }) {
                stopped = Scalar::Int(k as i128 + 1);
            }
            let again = match data.again {
                Some(again) => self.bool(again)?,
                None => true,
            };
            if !again
                && let (true, Some(i), Count::Range { inclusive, rev, .. }) =
                    (end.is_some(), index, &data.count)
            {
                stopped = Scalar::Int(if *rev || *inclusive { i } else { i + 1 });
            }
            // The phis were bound before the body's own values, and stay.
            self.leave(inner);
            for (c, next) in carried.iter().zip(nexts) {
                self.nodes[g.resolve(c.phi).0 as usize] = Some(next);
            }
            if !again {
                break;
            }
            k += 1;
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Stop::Long);
            }
        }
        let outs: Vec<(Id, Scalar)> = carried
            .iter()
            .filter(|c| e.live.has(g, c.out))
            .map(|c| Ok((c.out, self.value(c.phi)?)))
            .collect::<Result<_>>()?;
        self.leave(mark);
        for (out, value) in outs {
            self.bind(out, value);
        }
        if let Some(end) = end {
            self.bind(end, stopped);
        }
        if let Some(of) = tracked.filter(|_| data.reverses.is_none())
            && let Some(tape) = self.tapes.get_mut(&of)
        {
            tape.cursor += n;
            tape.track = track;
        }
        Ok(())
    }

    /// The values of a loop's index in order; `None` for a loop without end.
    pub(super) fn iterations(&self, data: &Loop) -> Result<Option<Vec<i128>>> {
        let range = |lo: Id, hi: Id, inclusive: bool| -> Result<(i128, i128)> {
            Ok((self.int(lo)?, self.int(hi)? + i128::from(inclusive)))
        };
        let all = |lo: i128, hi: i128, step: i128| -> Result<Vec<i128>> {
            if hi.saturating_sub(lo) / step.max(1) > MAX_STEPS as i128 {
                return Err(Stop::Long);
            }
            Ok((lo..hi).step_by(step.max(1) as usize).collect())
        };
        Ok(match &data.count {
            Count::Range {
                lo,
                hi,
                inclusive,
                rev,
                ..
            } => {
                let (lo, hi) = range(*lo, *hi, *inclusive)?;
                let mut out = all(lo, hi, 1)?;
                if *rev {
                    out.reverse();
                }
                Some(out)
            }
            Count::Stepped {
                lo,
                hi,
                inclusive,
                step,
                rev,
                ..
            } => {
                let (lo, hi) = range(*lo, *hi, *inclusive)?;
                let step = self.int(*step)?;
                if step <= 0 {
                    return Err(Stop::Panic("`step_by(0)`".into()));
                }
                // `rev` comes before `step_by`.
                Some(if *rev {
                    let mut out = all(lo, hi, 1)?;
                    out.reverse();
                    out.into_iter().step_by(step as usize).collect()
                } else {
                    all(lo, hi, step)?
                })
            }
            Count::Forever => None,
            Count::Replay(of) => {
                let Some(end) = self.g().looped(*of).end else {
                    return unknown("how often a loop ran");
                };
                Some(all(0, self.int(end)?, 1)?)
            }
        })
    }
}

/// Whether the number of iterations is known when the loop starts.
pub(super) fn counted(g: &Graph, l: LoopId) -> bool {
    let data = g.looped(l);
    matches!(data.count, Count::Range { .. }) && data.again.is_none()
}

pub(super) fn contains_loop(g: &Graph, stmt: &Stmt, l: LoopId) -> bool {
    let inside = |r: RegionId| g.encloses(r, g.looped(l).body);
    match stmt {
        Stmt::Loop(k) => inside(g.looped(*k).body),
        Stmt::If(b) => inside(g.branch(*b).then) || inside(g.branch(*b).otherwise),
        _ => false,
    }
}
