//! The computational graph as a picture: nodes in layers, an SVG.
//!
//! In: the primal. Out: [`Picture`], the SVG in pieces, some of which stand for the value or the gradient of a node. With
//! local gradients at the edges it is complete as it is; as the lecture draws it, values stand above the wires and gradients
//! below, and the program fills them in. Must hold: at most [`LIMIT`] nodes; lines and text have the colour of the page's
//! text, so that it can be read in light and dark.

use super::formula::{Formula, escape, name};
use crate::graph::maps::Map;
use crate::graph::*;
use crate::graph::{Output, Primal};
use crate::live::Live;
use crate::rules::{Op, Syntax};
use std::collections::BTreeMap;
use std::fmt::Write;

/// More nodes than these are not drawn.
pub const LIMIT: usize = 60;

const ACROSS: f64 = 112.0;
const DOWN: f64 = 58.0;
const RADIUS: f64 = 17.0;

/// A piece of the SVG.
pub enum Part {
    Text(String),
    /// The value of a node.
    Value(Id),
    /// The derivative of the result with respect to it.
    Gradient(Id),
}

pub struct Picture {
    pub parts: Vec<Part>,
}

impl Picture {
    /// What is known while compiling.
    pub fn fixed(&self) -> String {
        let text = |p: &Part| match p {
            Part::Text(t) => t.as_str().to_owned(),
            _ => String::new(),
        };
        self.parts.iter().map(text).collect()
    }
}

struct Shape {
    id: Id,
    label: String,
    /// Not computed: a parameter, a constant.
    source: bool,
    constant: bool,
    from: Vec<(usize, String)>,
    layer: usize,
    row: f64,
}

/// What a picture is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Inside of a page, with local gradients.
    Page,
    /// A document of its own, with local gradients.
    Document,
    /// A document of its own, with values above the wires and gradients below, as the lecture draws it.
    Wires,
}

/// The graph as a picture; how many nodes it has where that is too many.
pub fn draw(primal: &Primal, function: &str, style: Style) -> Result<Picture, usize> {
    let mut d = Drawing::new(primal, function, style != Style::Wires)?;
    d.arrange();
    Ok(Picture {
        parts: d.svg(style),
    })
}

/// A picture that says why there is none.
pub fn too_many(nodes: usize) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"420\" height=\"40\" font-family=\"sans-serif\" font-size=\"13\">\
         <text x=\"10\" y=\"25\" fill=\"#888\">With {nodes} nodes this graph is too large to be drawn.</text></svg>"
    )
}

struct Drawing<'a> {
    g: &'a Graph,
    live: Live,
    shapes: Vec<Shape>,
    at: Map<Id, usize>,
    names: Map<Id, String>,
    fresh: usize,
    result: Vec<(usize, String)>,
    locals: bool,
    scratch: Graph,
}

impl<'a> Drawing<'a> {
    fn new(primal: &'a Primal, function: &str, locals: bool) -> Result<Drawing<'a>, usize> {
        let p = crate::reverse::alone(primal);
        let mut d = Drawing {
            g: &primal.graph,
            live: Live::flow(&p),
            shapes: Vec::new(),
            at: Map::default(),
            names: Map::default(),
            fresh: 0,
            result: Vec::new(),
            locals,
            scratch: if locals {
                primal.graph.clone()
            } else {
                Graph::default()
            },
        };
        d.region(primal.body);
        d.results(&primal.result, function);
        match d.shapes.len() {
            n if n > LIMIT => Err(n),
            _ => Ok(d),
        }
    }

    fn region(&mut self, region: RegionId) {
        let g = self.g;
        for stmt in &g.region(region).stmts {
            if !self.live.stmt(g, stmt) {
                continue;
            }
            match stmt {
                // What is read is drawn where it is used.
                Stmt::Let(id) if g.is_float(*id) && !matches!(g.node(*id), Node::Load(..)) => {
                    self.shape(*id);
                }
                Stmt::Store { place, value, .. } => {
                    let label = self.place(place);
                    self.sink(*value, label);
                }
                Stmt::Push(a, v) => {
                    let label = format!("push {}", g.array(*a).name);
                    self.sink(*v, label);
                }
                Stmt::If(b) => {
                    let data = g.branch(*b);
                    self.region(data.then);
                    self.region(data.otherwise);
                    let live = |s: &&Slot| self.live.has(g, s.out) && g.is_float(s.out);
                    let slots: Vec<&Slot> = data.slots.iter().filter(live).collect();
                    for s in slots {
                        let from = vec![
                            (s.then, "then".to_owned()),
                            (s.otherwise, "else".to_owned()),
                        ];
                        self.joined(s.out, "if".into(), from);
                    }
                }
                Stmt::Loop(l) => {
                    let data = g.looped(*l);
                    self.region(data.body);
                    let live = |c: &&Carried| self.live.carried(g, c) && g.is_float(c.out);
                    let carried: Vec<&Carried> = data.carried.iter().filter(live).collect();
                    for c in carried {
                        let from = vec![(c.init, "start".to_owned()), (c.next, "last".to_owned())];
                        self.joined(c.out, "loop".into(), from);
                    }
                }
                Stmt::Call(c) => {
                    let call = g.call(*c);
                    let from = (call.args.iter())
                        .filter_map(|a| match a {
                            Argument::Scalar { value } => Some((*value, String::new())),
                            Argument::Array { .. } => None,
                        })
                        .collect();
                    for &out in &call.outs {
                        self.joined(out, super::formula::tokens(&call.path), Vec::clone(&from));
                    }
                }
                _ => {}
            }
        }
    }

    fn results(&mut self, out: &Output, label: &str) {
        match out {
            Output::Scalar(id) => {
                let k = self.shape(*id);
                self.result.push((k, label.to_owned()));
            }
            Output::Tuple(all) => {
                for (k, o) in all.iter().enumerate() {
                    self.results(o, &format!("{label}.{k}"));
                }
            }
            // Its elements were stored, and each store is drawn.
            Output::Array(_) => {}
        }
    }

    fn sink(&mut self, value: Id, label: String) {
        let k = self.shape(value);
        self.result.push((k, label));
    }

    fn joined(&mut self, id: Id, label: String, from: Vec<(Id, String)>) {
        let from: Vec<(usize, String)> = from
            .into_iter()
            .filter(|f| self.g.is_float(f.0))
            .map(|(i, l)| (self.shape(i), l))
            .collect();
        self.push(id, label, false, from);
    }

    fn push(&mut self, id: Id, label: String, source: bool, from: Vec<(usize, String)>) -> usize {
        let id = self.g.resolve(id);
        let constant = matches!(self.g.node(id), Node::Lit(_));
        self.shapes.push(Shape {
            id,
            label,
            source,
            constant,
            from,
            layer: 0,
            row: 0.0,
        });
        self.at.insert(id, self.shapes.len() - 1);
        self.shapes.len() - 1
    }

    fn name(&mut self, id: Id) -> String {
        if let Some(n) = self.names.get(&id) {
            return n.clone();
        }
        let n = match self.g.node(id) {
            Node::Lit(_) | Node::Load(..) | Node::Param(_) | Node::Opaque(..) => {
                Formula::of(self.g, id, &|_| None).text()
            }
            _ => match &self.g.data(id).name {
                Some(n) => n.to_string(),
                None => {
                    self.fresh += 1;
                    format!("v{}", self.fresh)
                }
            },
        };
        self.names.insert(id, n.clone());
        n
    }

    fn place(&mut self, p: &Place) -> String {
        super::formula::place(self.g, p, None, &|_| None).text()
    }

    /// The shape of a value, drawn now if it has not been.
    fn shape(&mut self, id: Id) -> usize {
        let id = self.g.resolve(id);
        if let Some(&k) = self.at.get(&id) {
            return k;
        }
        match self.g.node(id).clone() {
            Node::Apply(op, args) => {
                let args: Vec<Id> = args.iter().map(|&a| self.g.resolve(a)).collect();
                let floats: Vec<usize> = (0..args.len())
                    .filter(|&k| self.g.is_float(args[k]))
                    .collect();
                let drawn: Vec<(usize, usize)> =
                    floats.iter().map(|&k| (k, self.shape(args[k]))).collect();
                let label = self.symbol(op, &args);
                let locals = self.locals(op, &args, id);
                let from = drawn
                    .into_iter()
                    .map(|(k, s)| (s, locals.get(k).cloned().unwrap_or_default()))
                    .collect();
                self.push(id, label, false, from)
            }
            Node::Cast(a, _) => {
                let from = self.shape(a);
                self.push(id, "as".into(), false, vec![(from, "1".into())])
            }
            Node::Phi(..) => {
                let label = format!("{} so far", self.name(id));
                self.push(id, label, true, Vec::new())
            }
            Node::Opaque(k, args) if !args.is_empty() => {
                let label = match &self.g.opaque_of(k).form {
                    OpaqueForm::Method(m) | OpaqueForm::Call(m) => m.to_string(),
                    _ => "constant".into(),
                };
                let drawn: Vec<Id> = args.into_iter().filter(|&a| self.g.is_float(a)).collect();
                let from = drawn
                    .into_iter()
                    .map(|a| (self.shape(a), "0".into()))
                    .collect();
                self.push(id, label, false, from)
            }
            Node::Lit(_) | Node::Load(..) | Node::Param(_) => {
                let label = self.name(id);
                // Each use of a constant has its own.
                self.push(id, label, true, Vec::new())
            }
            _ => {
                let label = Formula::of(self.g, id, &|_| None).text();
                self.push(id, label, true, Vec::new())
            }
        }
    }

    fn symbol(&self, op: Op, args: &[Id]) -> String {
        match op.syntax() {
            Syntax::Infix("*") => "×".into(),
            Syntax::Infix("/") => "÷".into(),
            Syntax::Infix("-") | Syntax::Prefix(_) => "−".into(),
            Syntax::Infix(o) => o.into(),
            Syntax::Form("powi") => match self.g.integer(args[1]) {
                Some(2) => "x²".into(),
                Some(3) => "x³".into(),
                Some(n) => format!("x^{n}"),
                None => "powi".into(),
            },
            Syntax::Form("select_value") => "if".into(),
            Syntax::Method(m) | Syntax::Form(m) => m.into(),
        }
    }

    /// The derivative of a primitive with respect to each operand, by its rule, where it is short.
    fn locals(&mut self, op: Op, args: &[Id], y: Id) -> Vec<String> {
        if !self.locals {
            return Vec::new();
        }
        let one = self.scratch.lit_like(1.0, y);
        let columns = op.vjp(&mut self.scratch, args, y, one);
        let mut known: Map<Id, String> = Map::default();
        for &a in args {
            known.insert(a, self.name(a));
        }
        known.insert(y, self.name(y));
        (columns.into_iter())
            .map(|c| {
                let text =
                    Formula::of(&self.scratch, c, &|id| known.get(&id).map(|n| name(n))).text();
                if text.chars().count() > 14 {
                    "…".into()
                } else {
                    text.replace(" * ", "·").replace(' ', "")
                }
            })
            .collect()
    }

    // ---- layout ----

    /// Layers by the longest path; what is read stands right before its first use. Rows by the mean of the neighbours.
    fn arrange(&mut self) {
        for k in 0..self.shapes.len() {
            let layer = self.shapes[k]
                .from
                .iter()
                .map(|f| self.shapes[f.0].layer + 1)
                .max();
            self.shapes[k].layer = layer.unwrap_or(0);
        }
        let mut first_use: BTreeMap<usize, usize> = BTreeMap::new();
        for s in &self.shapes {
            for &(f, _) in &s.from {
                let first = first_use.entry(f).or_insert(s.layer);
                *first = (*first).min(s.layer);
            }
        }
        for (k, first) in first_use {
            if self.shapes[k].source {
                self.shapes[k].layer = first.saturating_sub(1);
            }
        }
        let layers = self.shapes.iter().map(|s| s.layer).max().unwrap_or(0) + 1;
        let mut columns: Vec<Vec<usize>> = vec![Vec::new(); layers];
        for (k, s) in self.shapes.iter().enumerate() {
            columns[s.layer].push(k);
        }
        let mut uses: Vec<Vec<usize>> = vec![Vec::new(); self.shapes.len()];
        for (k, s) in self.shapes.iter().enumerate() {
            for f in &s.from {
                uses[f.0].push(k);
            }
        }
        let tallest = columns.iter().map(Vec::len).max().unwrap_or(1);
        for column in &columns {
            let top = (tallest - column.len()) as f64 / 2.0;
            for (n, &k) in column.iter().enumerate() {
                self.shapes[k].row = top + n as f64;
            }
        }
        for sweep in 0..8 {
            let order: Vec<usize> = if sweep % 2 == 0 {
                (0..layers).collect()
            } else {
                (0..layers).rev().collect()
            };
            for l in order {
                let wanted = |k: usize| {
                    let mut near: Vec<f64> = self.shapes[k]
                        .from
                        .iter()
                        .map(|f| self.shapes[f.0].row)
                        .collect();
                    near.extend(uses[k].iter().map(|&u| self.shapes[u].row));
                    match near.len() {
                        0 => self.shapes[k].row,
                        n => near.iter().sum::<f64>() / n as f64,
                    }
                };
                let mut column: Vec<(f64, usize)> =
                    columns[l].iter().map(|&k| (wanted(k), k)).collect();
                column.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                self.spread(&column);
                columns[l] = column.into_iter().map(|c| c.1).collect();
            }
        }
        let top = self
            .shapes
            .iter()
            .map(|s| s.row)
            .fold(f64::INFINITY, f64::min);
        for s in &mut self.shapes {
            s.row -= top;
        }
    }

    /// Rows as near as possible to what is wanted, one apart.
    fn spread(&mut self, column: &[(f64, usize)]) {
        let mut rows: Vec<f64> = column.iter().map(|c| c.0).collect();
        for k in 1..rows.len() {
            rows[k] = rows[k].max(rows[k - 1] + 1.0);
        }
        // What was pushed down pulls its neighbours up, so that the column stays centred.
        let shift =
            column.iter().zip(&rows).map(|(c, r)| c.0 - r).sum::<f64>() / rows.len().max(1) as f64;
        for (c, r) in column.iter().zip(rows) {
            self.shapes[c.1].row = r + shift;
        }
    }

    // ---- the SVG ----

    fn svg(&self, style: Style) -> Vec<Part> {
        let wires = style == Style::Wires;
        let layers = self.shapes.iter().map(|s| s.layer).max().unwrap_or(0) as f64;
        let rows = self.shapes.iter().map(|s| s.row).fold(0.0, f64::max);
        let (width, height) = (layers * ACROSS + 190.0, rows * DOWN + 80.0);
        let x = |s: &Shape| 60.0 + s.layer as f64 * ACROSS;
        let y = |s: &Shape| 40.0 + s.row * DOWN;
        let mut parts = Vec::new();
        let mut out = String::new();
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\" fill=\"currentColor\" role=\"img\"{}>",
            // Somewhat too wide shrinks, much too wide is scrolled.
            if width < 1300.0 {
                " style=\"max-width:100%;height:auto\""
            } else {
                ""
            }
        );
        if style != Style::Page {
            // A document of its own has no page to take its colours from.
            out.push_str("<style>svg{color:#111;background:#fff}@media(prefers-color-scheme:dark){svg{color:#eee;background:#111}}</style>");
        }
        for s in &self.shapes {
            for (k, (f, local)) in s.from.iter().enumerate() {
                let from = &self.shapes[*f];
                let start = x(from)
                    + if from.source {
                        6.0 + (4.0 * from.label.chars().count() as f64).max(12.0)
                    } else {
                        RADIUS
                    };
                let (x0, y0, x1, y1) = (start, y(from), x(s) - RADIUS, y(s));
                // Edges arrive in the order of where they come from.
                let row = |f: &(usize, String)| self.shapes[f.0].row;
                let above = (s.from.iter().enumerate())
                    .filter(|(j, other)| (row(other), *j) < (from.row, k))
                    .count();
                let lean = (above as f64 - (s.from.len() as f64 - 1.0) / 2.0) * 9.0;
                let (y1, middle) = (y1 + lean, (x0 + x1) / 2.0);
                // Around what stands in the way.
                let straight = |at: f64| y0 + (at - x0) / (x1 - x0) * (y1 - y0);
                let crossed = (self.shapes.iter())
                    .filter(|o| o.layer > from.layer && o.layer < s.layer)
                    .any(|o| (y(o) - straight(x(o))).abs() < RADIUS + 4.0);
                let bend = match (crossed, lean > 0.0) {
                    (false, _) => 0.0,
                    (true, true) => 40.0,
                    (true, false) => -40.0,
                };
                let (c0, c1) = (y0 + bend, y1 + bend);
                let _ = write!(
                    out,
                    "<path d=\"M{x0:.0} {y0:.0}C{middle:.0} {c0:.0} {middle:.0} {c1:.0} {x1:.0} {y1:.0}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".55\"/>"
                );
                if !wires && !local.is_empty() {
                    // Beside a steep edge, on its outer side; above a flat one.
                    let (dx, dy) = (x1 - x0, y1 - y0);
                    let (tx, ty, anchor) = if dy.abs() > 14.0 && !crossed {
                        let t = 0.42_f64;
                        let along = 1.5 * t * (1.0 - t) + t.powi(3);
                        let across = 3.0 * t * t * (1.0 - t) + t.powi(3);
                        let beside = if dy > 0.0 { -3.0 } else { 10.0 };
                        let (tx, ty) = (x0 + along * dx + 5.0, y0 + across * dy + beside);
                        (tx, ty, " text-anchor=\"start\"")
                    } else {
                        let below = if lean > 0.0 { 13.0 } else { -4.0 };
                        (x0 + 0.5 * dx, y0 + 0.5 * dy + 0.75 * bend + below, "")
                    };
                    let _ = write!(
                        out,
                        "<text x=\"{tx:.0}\" y=\"{ty:.0}\" font-size=\"11\" fill=\"#d1495b\"{anchor}>{}</text>",
                        escape(local)
                    );
                }
            }
        }
        for (k, label) in &self.result {
            let s = &self.shapes[*k];
            let _ = write!(
                out,
                "<path d=\"M{:.0} {:.0}h40\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".55\"/><text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"start\">{}</text>",
                x(s) + RADIUS,
                y(s),
                x(s) + RADIUS + 44.0,
                y(s) + 4.0,
                escape(label)
            );
        }
        for s in &self.shapes {
            let (x, y) = (x(s), y(s));
            if s.source {
                let _ = write!(
                    out,
                    "<text x=\"{x:.0}\" y=\"{:.0}\" font-style=\"italic\">{}</text>",
                    y + 4.0,
                    escape(&s.label)
                );
            } else {
                let size = if s.label.chars().count() > 4 { 9 } else { 13 };
                let _ = write!(
                    out,
                    "<circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"{RADIUS:.0}\" fill=\"none\" stroke=\"currentColor\"/><text x=\"{x:.0}\" y=\"{:.0}\" font-size=\"{size}\">{}</text>",
                    y + 4.0,
                    escape(&s.label)
                );
            }
            if !wires
                && !s.source
                && let Some(n) = self.names.get(&s.id)
            {
                let _ = write!(
                    out,
                    "<text x=\"{x:.0}\" y=\"{:.0}\" font-size=\"11\" fill=\"#2a9d3a\">{}</text>",
                    y - RADIUS - 4.0,
                    escape(n)
                );
            }
            if wires && !s.constant {
                let at = if s.source {
                    x + 34.0
                } else {
                    x + RADIUS + 21.0
                };
                for (dy, colour, part) in [
                    (-5.0, "#2a9d3a", Part::Value(s.id)),
                    (14.0, "#d1495b", Part::Gradient(s.id)),
                ] {
                    let _ = write!(
                        out,
                        "<text x=\"{at:.0}\" y=\"{:.0}\" font-size=\"12\" fill=\"{colour}\">",
                        y + dy
                    );
                    parts.push(Part::Text(std::mem::take(&mut out)));
                    parts.push(part);
                    out.push_str("</text>");
                }
            }
        }
        out.push_str("</svg>");
        parts.push(Part::Text(out));
        parts
    }
}
