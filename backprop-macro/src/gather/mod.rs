//! Scattered adjoints become gathered ones.
//!
//! A stencil reads `x[i]` and `x[i + 1]`; its reverse adds to `d[i]` and `d[i + 1]`, and each iteration waits for the
//! element that the one before has just written. In: the program after `keep`. Out: the same sums, element by element: a loop
//! over the middle, where every term exists, takes each from the iteration that makes it, and the elements at the ends are
//! written out. A stencil in place reads what it adds to: there the old values that are already overwritten are carried. What
//! must hold: the terms are cheap, and computed from values that the loop does not change; terms that need a tape
//! stay at the iteration that has it.

use crate::access::{Body, Use, arrays_of, distance, first_writer, positional};
use crate::exchange::{copied, regions, same_positions};
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::live::Live;
use crate::positions::Within;
use crate::reverse::Gradient;
use std::collections::{BTreeMap, BTreeSet};

mod build;
mod few;

pub use build::shift;

/// Terms whose computation takes more additions than this are not computed a second time.
const MAX_COST: u32 = 40;

/// One addition to an array at a fixed distance from the loop's index.
struct Term {
    distance: i128,
    value: Id,
}

/// A row of an array: the elements that differ in the loop's own position only. How it is reached, and where in it the loop's
/// positions start.
#[derive(Clone, Default, PartialEq, Eq)]
struct Row {
    prefix: Vec<Step>,
    plus: BTreeSet<Id>,
    minus: BTreeSet<Id>,
}

impl Row {
    /// The row of a place, and the distance of its element from the loop's index.
    fn of(g: &Graph, within: &Within, place: &Place) -> Option<(Row, i128)> {
        let (prefix, offset) = within.moving(g, place)?;
        let last = prefix.len() + 1 == place.path.len();
        let (plus, minus) = (offset.plus, offset.minus);
        let row = Row {
            prefix,
            plus,
            minus,
        };
        last.then_some((row, offset.number))
    }

    /// Whether it is the whole array.
    fn is_all(&self) -> bool {
        *self == Row::default()
    }

    /// Whether positions in it are the loop's own.
    fn counts_from_zero(&self) -> bool {
        self.plus.is_empty() && self.minus.is_empty()
    }
}

/// What is done in a row, at which distance, and the place as it stands in the loop.
type Access = (i128, Place, Use);

/// A loop whose additions to one row of an array can be gathered.
struct Plan {
    looped: LoopId,
    parent: RegionId,
    array: ArrayId,
    row: Row,
    /// The row is the whole array, and the loop adds to no other.
    is_all: bool,
    /// The additions, as they stand in the loop.
    places: Vec<Place>,
    index: Id,
    lo: Id,
    hi: Id,
    rev: bool,
    terms: Vec<Term>,
    /// The smallest and the largest distance of a term.
    min: i128,
    max: i128,
    /// The distance of the terms that need the iteration's own tape.
    anchor: i128,
    reads_tape: bool,
    /// The array holds zeros: elements are assigned.
    first: bool,
    /// A loop before this one that sets the elements at this one's positions to zero, and does nothing else.
    zeroed: Option<LoopId>,
    /// Arrays that the loop reads at its index and then clears.
    cleared: Vec<(ArrayId, Row)>,
    /// Those of them that need not be cleared, as they are stored to before they are read again.
    unread: Vec<ArrayId>,
    /// The loop reads the array that it adds to, and does nothing else.
    in_place: bool,
    /// What the iteration before leaves to this one, where terms use it: initial and next value of a carried scalar.
    left: Map<Id, (Id, Id)>,
}

/// Gathers wherever it can.
/// `fresh`: the buffers hold zeros when the program starts.
pub fn gather(p: &mut Gradient, fresh: bool) {
    let live = Live::of(p);
    let mut todo = vec![p.body];
    todo.extend(p.back);
    let mut at = 0;
    while at < todo.len() {
        let region = todo[at];
        at += 1;
        let stmts = p.graph.region(region).stmts.clone();
        for stmt in &stmts {
            match stmt {
                Stmt::If(b) => todo.extend([p.graph.branch(*b).then, p.graph.branch(*b).otherwise]),
                Stmt::Loop(l) => {
                    todo.push(p.graph.looped(*l).body);
                    while let Some(mut plan) = plan(&p.graph, &live, *l, region) {
                        plan.first = fresh
                            && plan.is_all
                            && !plan.in_place
                            && region == p.body
                            && first_writer(&p.graph, p.body, plan.array, *l);
                        plan.zeroed = zeroed(&p.graph, &plan);
                        let cleared = plan.cleared.iter().filter(|(_, row)| row.is_all());
                        plan.unread = cleared
                            .map(|(a, _)| *a)
                            .filter(|a| moved_to(p, &plan, *a))
                            .collect();
                        let whole = build::build(&mut p.graph, &mut p.sums, &plan);
                        if let (true, Some(like)) = (whole, p.graph.array(plan.array).like) {
                            p.assigned.insert(like);
                        }
                        if plan.in_place {
                            break;
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn plan(g: &Graph, live: &Live, l: LoopId, parent: RegionId) -> Option<Plan> {
    let (index, lo, hi) = positional(g, l)?;
    let data = g.looped(l);
    let rev = matches!(data.count, Count::Range { rev: true, .. });
    let (b, accesses) = Body::read(g, data.body, index, live);
    let within = Within::of(g, l)?;
    // Arrays that are read at the index and then cleared there: their old values can be read by other iterations if the
    // clearing waits.
    let cleared: Vec<(ArrayId, Row)> = accesses
        .iter()
        .filter_map(|(array, all)| {
            let (row, distance) = Row::of(g, &within, &all.first()?.0)?;
            let here = |p: &Place| Row::of(g, &within, p).is_some_and(|at| at == (row.clone(), 0));
            let only = all
                .iter()
                .all(|(p, k)| here(p) && matches!(k, Use::Load | Use::Zero));
            let zeros = all.iter().filter(|(_, k)| *k == Use::Zero).count();
            (only && distance == 0 && zeros == 1).then_some((*array, row))
        })
        .collect();
    for (&array, all) in &accesses {
        let mut rows: Vec<(Row, Vec<Access>)> = Vec::new();
        let mut placed = true;
        for (place, kind) in all {
            let Some((row, distance)) = Row::of(g, &within, place) else {
                placed = false;
                break;
            };
            placed &= matches!(kind, Use::Add(_) | Use::Load);
            let access = (distance, place.clone(), *kind);
            match rows.iter_mut().find(|r| r.0 == row) {
                Some((_, mine)) => mine.push(access),
                None => rows.push((row, vec![access])),
            }
        }
        // What is read may be in the other row.
        let reads = all.iter().any(|(_, k)| *k == Use::Load);
        if !placed || reads && !(rows.len() == 1 && rows[0].0.is_all()) {
            continue;
        }
        let several = rows.len() > 1;
        'rows: for (row, mine) in rows {
            let mut terms = Vec::new();
            let mut places = Vec::new();
            for (distance, _, kind) in &mine {
                if let Use::Add(value) = kind {
                    terms.push(Term {
                        distance: *distance,
                        value: *value,
                    });
                }
                places.push((*distance, matches!(kind, Use::Add(_))));
            }
            let (Some(min), Some(max)) = (
                terms.iter().map(|t| t.distance).min(),
                terms.iter().map(|t| t.distance).max(),
            ) else {
                continue;
            };
            // Rows are gathered each in a loop of its own, which knows what it writes to.
            if min == max && !several || max - min > 8 {
                continue;
            }
            // Before the first element of a part there is no number.
            if min != max && !row.counts_from_zero() && g.integer(lo).is_none_or(|lo| lo + min < 0)
            {
                continue;
            }
            let in_place = places.len() > terms.len();
            if in_place && !(reads_first(&places, rev) && alone(g, live, l, array)) {
                continue;
            }
            let mut m = Movable {
                g,
                b: &b,
                accesses: &accesses,
                cleared: &cleared,
                own: in_place.then_some(array),
                carried: &data.carried,
                left: Map::default(),
                inside: false,
                seen: Set::default(),
                used: Set::default(),
                cost: 0,
            };
            let mut anchor = None;
            for t in &terms {
                m.seen.clear();
                let Some(tape) = m.movable(t.value) else {
                    continue 'rows;
                };
                if tape {
                    if anchor.is_some_and(|a| a != t.distance) {
                        continue 'rows;
                    }
                    anchor = Some(t.distance);
                }
            }
            let reads_tape = anchor.is_some();
            let (left, used) = (m.left, m.used);
            if m.cost > MAX_COST || reads_tape && (in_place || !left.is_empty()) {
                continue;
            }
            // What leaves the loop is computed from its last iteration.
            let outs = data.carried.iter().filter(|c| live.carried(g, c));
            if in_place && outs.into_iter().any(|c| !left.contains_key(&c.phi)) {
                continue;
            }
            let anchor = anchor.unwrap_or_else(|| {
                if terms.iter().any(|t| t.distance == 0) {
                    0
                } else {
                    min
                }
            });
            let cleared = cleared
                .iter()
                .filter(|(a, _)| used.contains(a))
                .cloned()
                .collect();
            let plan = Plan {
                looped: l,
                parent,
                array,
                is_all: row.is_all() && !several,
                row,
                places: mine.into_iter().map(|(_, place, _)| place).collect(),
                index,
                lo,
                hi,
                rev,
                terms,
                min,
                max,
                anchor,
                reads_tape,
                first: false,
                zeroed: None,
                unread: Vec::new(),
                cleared,
                in_place,
                left,
            };
            if plan.settled(g) != Some(false) {
                return Some(plan);
            }
        }
    }
    None
}

/// The loop before a plan's that clears what it adds to.
fn zeroed(g: &Graph, plan: &Plan) -> Option<LoopId> {
    let (below, above) = plan.margins();
    if !plan.row.is_all()
        || plan.in_place
        || plan.first
        || plan.max + below < 0
        || plan.min - above > 0
    {
        return None;
    }
    let stmts = &g.region(plan.parent).stmts;
    let at = stmts
        .iter()
        .position(|s| matches!(s, Stmt::Loop(l) if *l == plan.looped))?;
    for stmt in stmts[..at].iter().rev() {
        if let Stmt::Loop(l) = stmt
            && same_positions(g, *l, plan.looped)
            && clears(g, *l, plan.array)
        {
            return Some(*l);
        }
        let mut touched = false;
        arrays_of(g, stmt, &mut |a, _| touched |= a == plan.array);
        if touched {
            return None;
        }
    }
    None
}

/// Whether a loop sets an array's elements at its positions to zero, and does nothing else.
fn clears(g: &Graph, l: LoopId, array: ArrayId) -> bool {
    let Some((index, ..)) = positional(g, l) else {
        return false;
    };
    let data = g.looped(l);
    let mut stores = 0;
    let plain = g.region(data.body).stmts.iter().all(|s| match s {
        Stmt::Let(_) => true,
        Stmt::Store {
            place,
            value,
            add: false,
        } => {
            stores += 1;
            place.array == array
                && g.constant(*value) == Some(0.0)
                && matches!(place.path.as_slice(), [Step::Index(i)] if distance(g, *i, index) == Some(0))
        }
        _ => false,
    });
    plain && stores == 1 && data.carried.is_empty()
}

/// Whether all that is read of an array was moved to it just before, so that nothing reads what is cleared.
fn moved_to(p: &Gradient, plan: &Plan, array: ArrayId) -> bool {
    let g = &p.graph;
    let stmts = &g.region(plan.parent).stmts;
    let moved = stmts
        .iter()
        .take_while(|s| !matches!(s, Stmt::Loop(l) if *l == plan.looped))
        .find_map(|s| match s {
            Stmt::Loop(l)
                if g.looped(*l).moves
                    && same_positions(g, *l, plan.looped)
                    && copied(g, *l).is_some_and(|(to, _)| to == array) =>
            {
                Some(*l)
            }
            _ => None,
        });
    let Some(moved) = moved else { return false };
    let mine = [g.looped(moved).body, g.looped(plan.looped).body];
    let mut others = false;
    for start in [Some(p.body), p.back].into_iter().flatten() {
        regions(g, start, &mut |r| {
            for stmt in &g.region(r).stmts {
                let inner = matches!(stmt, Stmt::If(_) | Stmt::Loop(_));
                let declared = matches!(stmt, Stmt::Declare(a) if *a == array);
                if !inner && !declared && !mine.contains(&r) {
                    arrays_of(g, stmt, &mut |a, _| others |= a == array);
                }
            }
        });
    }
    !others
}

/// Whether an array that is added to is read only at the element that the loop reaches first, before anything is added to it.
/// The accesses are distances in the order of the body, with whether they add.
fn reads_first(places: &[(i128, bool)], rev: bool) -> bool {
    let distances = places.iter().map(|p| p.0);
    let first = if rev {
        distances.min()
    } else {
        distances.max()
    };
    let Some(first) = first else { return false };
    let added = places.iter().position(|p| *p == (first, true));
    places
        .iter()
        .enumerate()
        .filter(|(_, p)| !p.1)
        .all(|(k, p)| p.0 == first && added.is_none_or(|added| k < added))
}

/// Whether a loop's body stores to one array only, in its own statements.
fn alone(g: &Graph, live: &Live, l: LoopId, array: ArrayId) -> bool {
    g.region(g.looped(l).body).stmts.iter().all(|s| match s {
        Stmt::Let(_) => true,
        Stmt::Store { place, .. } => place.array == array || !live.stmt(g, s),
        _ => false,
    })
}

/// Finds out whether terms can be computed for other iterations than their own.
struct Movable<'a> {
    g: &'a Graph,
    b: &'a Body,
    accesses: &'a BTreeMap<ArrayId, Vec<(Place, Use)>>,
    cleared: &'a [(ArrayId, Row)],
    /// The array that is added to, where the loop reads it too.
    own: Option<ArrayId>,
    carried: &'a [Carried],
    left: Map<Id, (Id, Id)>,
    /// Looking at what one iteration leaves to the next.
    inside: bool,
    seen: Set<Id>,
    used: Set<ArrayId>,
    cost: u32,
}

impl Movable<'_> {
    /// `Some(true)` if only for its own, because of the tape.
    fn movable(&mut self, id: Id) -> Option<bool> {
        let (g, b) = (self.g, self.b);
        let id = g.resolve(id);
        if let Some(c) = self.carried.iter().find(|c| c.phi == id) {
            // The value of the iteration before, which must not wait for another in turn.
            if self.inside {
                return None;
            }
            if !self.left.contains_key(&id) {
                let next = g.resolve(c.next);
                self.inside = true;
                let tape = self.movable(next);
                self.inside = false;
                if tape? {
                    return None;
                }
                self.left.insert(id, (c.init, next));
            }
            return Some(false);
        }
        if b.others.contains(&id) {
            return None;
        }
        if b.taped.contains(&id) {
            return Some(true);
        }
        if id == b.index || !b.lets.contains(&id) || !self.seen.insert(id) {
            return Some(false);
        }
        match g.node(id) {
            Node::Apply(op, _) if op.is_dear() => return None,
            Node::Apply(op, _) => self.cost += op.cost(),
            Node::Cast(..) => self.cost += 1,
            Node::Opaque(k, _) if matches!(g.opaque_of(*k).form, OpaqueForm::Call(_)) => {
                return None;
            }
            Node::Opaque(..) => {}
            Node::Load(p, _) => {
                self.cost += 1;
                let read_only = self
                    .accesses
                    .get(&p.array)
                    .is_none_or(|all| all.iter().all(|(_, k)| *k == Use::Load));
                if self.cleared.iter().any(|(a, _)| *a == p.array) {
                    self.used.insert(p.array);
                } else if !read_only && self.own != Some(p.array) {
                    return None;
                }
            }
            _ => return None,
        }
        let mut tape = false;
        for o in g.operands(id) {
            tape |= self.movable(o)?;
        }
        Some(tape)
    }
}
