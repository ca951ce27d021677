//! A program as lines of formulas: named steps, loops and branches with their bodies indented.
//!
//! In: a program after `keep`. Out: [`Step`]s in the order in which it runs. What is used once is spelt out where it is used,
//! what is used more often, or has a name of the user's, is a step. Must hold: nothing that is live is left out, but for the
//! reading back of what was kept, which the names say.

mod control;
mod results;
mod uses;

use super::formula::{self, Formula, name};
use crate::graph::Output;
use crate::graph::maps::{Map, Set};
use crate::graph::*;
use crate::live::Live;
use crate::reverse::Gradient;
use crate::rules::Op;
use crate::shape::Shape;

/// Operations that one line shows.
const LINE: usize = 14;

/// A line.
pub struct Step {
    pub indent: usize,
    pub left: Option<Formula>,
    /// `=`, `←`, `+=` or nothing.
    pub sign: &'static str,
    pub right: Option<Formula>,
    /// Words, for what is not a formula.
    pub words: String,
}

pub struct Steps<'a> {
    p: &'a Gradient,
    g: &'a Graph,
    live: Live,
    /// The function's name, for its result and in `∂f/∂x`.
    function: String,
    params: &'a [String],
    shapes: &'a [&'a Shape],
    result: Option<Id>,
    uses: Map<Id, usize>,
    /// What a loop carries on under the name that it has already.
    onward: Set<Id>,
    names: Map<Id, String>,
    taken: Set<String>,
    /// The indices of the loops around.
    open: Vec<String>,
    /// What the names of temporaries begin with.
    stem: &'static str,
    /// The parts of parameters that are scalars, in their order.
    parts: Vec<String>,
    fresh: usize,
    pub lines: Vec<Step>,
}

impl<'a> Steps<'a> {
    /// All lines of a program.
    pub fn of(
        p: &'a Gradient,
        function: &str,
        params: &'a [String],
        shapes: &'a [&'a Shape],
    ) -> Vec<Step> {
        let mut s = Steps {
            p,
            g: &p.graph,
            live: Live::of(p),
            function: function.into(),
            params,
            shapes,
            result: match &p.result {
                Output::Scalar(id) => Some(p.graph.resolve(*id)),
                _ => None,
            },
            uses: Map::default(),
            onward: Set::default(),
            names: Map::default(),
            taken: Set::default(),
            open: Vec::new(),
            stem: stem(&p.graph, params),
            parts: Vec::new(),
            fresh: 0,
            lines: Vec::new(),
        };
        s.count(p.body);
        for g in &p.scalars {
            s.used(g.value);
        }
        if let Some(r) = s.result {
            s.used(r);
        }
        for a in &p.graph.arrays {
            s.taken.insert(a.name.to_string());
        }
        s.region(p.body, 0);
        s.end();
        s.sort();
        s.lines
    }

    // ---- names ----

    fn known(&self, id: Id) -> Option<Formula> {
        let id = self.g.resolve(id);
        if let Some(n) = self.names.get(&id) {
            return Some(name(n));
        }
        match self.g.node(id) {
            Node::Param(_) if self.g.data(id).name.as_deref() == Some("upstream") => {
                Some(name("upstream"))
            }
            Node::Param(k) => {
                let read = formula::tokens(&self.p.reads[*k as usize]);
                let read = read.trim_matches(['(', ')', '*', ' ']).replace(' ', "");
                Some(name(&read))
            }
            Node::Index(l) => Some(name(match self.g.data(id).name.as_deref() {
                Some(n) => n,
                None => ["i", "j", "k", "l"][l.0 as usize % 4],
            })),
            _ => None,
        }
    }

    fn formula(&self, id: Id) -> Formula {
        Formula::of(self.g, id, &|id| self.known(id))
    }

    fn definition(&self, id: Id) -> Formula {
        Formula::definition(self.g, id, &|id| self.known(id))
    }

    /// The name of a node: the user's, or the next of `t1, t2, …`.
    fn call(&mut self, id: Id) -> String {
        let id = self.g.resolve(id);
        if let Some(n) = self.names.get(&id) {
            return n.clone();
        }
        let user = self.g.data(id).name.as_deref().map(str::to_owned);
        let mut called = match user {
            Some(n) if Some(id) == self.result && self.taken.contains(&n) => self.function.clone(),
            Some(n) => n,
            None if Some(id) == self.result => self.function.clone(),
            // `t1, t2, …`: temporaries, which must not look like elements of a `t`.
            None => loop {
                self.fresh += 1;
                let t = format!("{}{}", self.stem, self.fresh);
                if !self
                    .g
                    .nodes
                    .iter()
                    .any(|n| n.name.as_deref() == Some(t.as_str()))
                {
                    break t;
                }
            },
        };
        while !self.taken.insert(called.clone()) {
            called.push('′');
        }
        self.names.insert(id, called.clone());
        called
    }

    // ---- lines ----

    fn line(&mut self, indent: usize, left: Formula, sign: &'static str, right: Formula) {
        // What is never read has no value.
        if right.text() == "?" {
            return;
        }
        self.lines.push(Step {
            indent,
            left: Some(left),
            sign,
            right: Some(right),
            words: String::new(),
        });
    }

    fn words(&mut self, indent: usize, words: String) {
        self.lines.push(Step {
            indent,
            left: None,
            sign: "",
            right: None,
            words,
        });
    }

    fn region(&mut self, region: RegionId, indent: usize) {
        let g = self.g;
        for stmt in &g.region(region).stmts {
            if !self.live.stmt(g, stmt) {
                continue;
            }
            match stmt {
                // What a call is given stands in the call.
                Stmt::Let(id) if matches!(g.node(*id), Node::Whole(..)) => {}
                Stmt::Let(id) => self.node(*id, indent),
                Stmt::Declare(a) if matches!(g.array(*a).init, Init::Returned(_)) => {}
                Stmt::Declare(a) => self.declare(*a, indent),
                Stmt::Store { place, value, add } => {
                    let left = self.place(place);
                    let right = self.formula(*value);
                    self.line(indent, left, if *add { "+=" } else { "=" }, right);
                }
                Stmt::Copy { to, from, add } => {
                    let (left, right) = (self.place(to), self.place(from));
                    self.line(indent, left, if *add { "+=" } else { "=" }, right);
                }
                Stmt::Clear(p) => {
                    let left = self.place(p);
                    self.line(indent, left, "=", Formula::Number("0".into()));
                }
                Stmt::Swap(a, b) => {
                    let text =
                        format!("swap {} and {}", self.place(a).text(), self.place(b).text());
                    self.words(indent, text);
                }
                Stmt::Push(a, v) => {
                    let text = format!("push {} to {}", self.formula(*v).text(), g.array(*a).name);
                    self.words(indent, text);
                }
                Stmt::Save(..) => self.words(indent, "save the state".into()),
                Stmt::Pop(a, id) => {
                    let of = g.array(*a).name.to_string();
                    match id {
                        Some(id) => {
                            let called = self.call(*id);
                            self.words(indent, format!("pop {called} off {of}"));
                        }
                        None => self.words(indent, format!("pop off {of}")),
                    }
                }
                Stmt::If(b) => self.branch(*b, indent),
                Stmt::Loop(l) => self.looped(*l, indent),
                Stmt::Call(c) => {
                    let call = g.call(*c);
                    let args: Vec<Formula> = call.args.iter().map(|a| self.argument(a)).collect();
                    let of = Formula::Call(formula::tokens(&call.path), args);
                    match call.results.as_slice() {
                        [Returned::Scalar(out)] => {
                            let called = self.call(*out);
                            self.line(indent, name(&called), "=", of);
                        }
                        all => {
                            let all = all.iter().map(|r| match r {
                                Returned::Scalar(id) => self.call(*id),
                                Returned::Array(a) => g.array(*a).name.to_string(),
                            });
                            let all = all.collect::<Vec<_>>().join(", ");
                            self.words(indent, format!("{all} from {}", of.text()));
                        }
                    }
                }
                Stmt::Pullback(c) => {
                    let call = g.call(*c).clone();
                    let outs: Vec<String> = call
                        .gradients
                        .iter()
                        .flatten()
                        .map(|&d| self.call(d))
                        .collect();
                    let path = formula::tokens(&call.path);
                    let arrays = call.incoming.iter().flatten();
                    let upstream = (call.upstream.iter().map(|u| self.formula(*u).text()))
                        .chain(arrays.map(|p| self.place(p).text()))
                        .collect::<Vec<_>>()
                        .join(", ");
                    let into: Vec<String> = call
                        .shadows
                        .iter()
                        .flatten()
                        .map(|p| self.place(p).text())
                        .collect();
                    let to = outs.into_iter().chain(into).collect::<Vec<_>>().join(", ");
                    self.words(
                        indent,
                        format!("{to} from the backward pass of {path}, upstream {upstream}"),
                    );
                }
                _ => {}
            }
        }
    }

    fn argument(&self, a: &Argument) -> Formula {
        match a {
            Argument::Scalar { value } => self.formula(*value),
            Argument::Array { place, .. } => self.place(place),
        }
    }

    /// An element; that of a caller's buffer is a partial derivative.
    fn place(&self, p: &Place) -> Formula {
        let array = self.g.array(p.array);
        let known = |id| self.known(id);
        match array.name.strip_prefix("d_") {
            Some(of) if array.shadow && matches!(array.init, Init::Given(_)) => {
                let x = formula::place(self.g, p, Some(of), &known);
                Formula::Partial(self.function.clone(), Box::new(x))
            }
            _ => formula::place(self.g, p, None, &known),
        }
    }

    fn node(&mut self, id: Id, indent: usize) {
        let id = self.g.resolve(id);
        if self.names.contains_key(&id) {
            return;
        }
        let user = self.g.data(id).name.is_some() && !self.onward.contains(&id);
        let uses = self.uses.get(&id).copied().unwrap_or(0);
        let trivial = match self.g.node(id) {
            // An element of an array that never changes is its own name.
            Node::Load(p, _) => {
                self.g.array(p.array).frozen || uses == 1 && !self.g.array(p.array).mutated
            }
            Node::Len(..) => true,
            Node::Apply(Op::Neg, args) => matches!(
                self.g.node(self.g.resolve(args[0])),
                Node::Param(_) | Node::Lit(_)
            ),
            Node::Cast(..) => !user,
            Node::Opaque(k, _) => {
                matches!(
                    self.g.opaque_of(*k).form,
                    OpaqueForm::Tokens(_) | OpaqueForm::Cast(_)
                ) || !user
            }
            _ => false,
        };
        let definition = self.definition(id);
        if trivial
            || uses <= 1
                && Some(id) != self.result
                && (!user || definition.size() <= 3)
                && definition.size() <= LINE
        {
            return;
        }
        // The result as the last step is named by the function itself.
        let called = self.call(id);
        self.line(indent, name(&called), "=", definition);
    }

    fn declare(&mut self, a: ArrayId, indent: usize) {
        let array = self.g.array(a);
        let left = name(&array.name);
        match &array.init {
            Init::Copy(p) => {
                let right = self.place(p);
                self.line(indent, left, "=", right);
            }
            Init::List(all) => {
                let all: Vec<String> = all
                    .iter()
                    .map(|e| match e {
                        Element::Scalar(id) => self.formula(*id).text(),
                        Element::Part(p) => self.place(p).text(),
                        Element::Tuple(_) => "…".into(),
                    })
                    .collect();
                self.line(
                    indent,
                    left,
                    "=",
                    Formula::Code(format!("[{}]", all.join(", "))),
                );
            }
            Init::Repeat(Element::Scalar(id)) => {
                let right = Formula::Code(format!("[{}, …]", self.formula(*id).text()));
                self.line(indent, left, "=", right);
            }
            Init::Zeros => self.line(indent, left, "=", Formula::Code("zeros".into())),
            _ => {}
        }
    }
}

/// A letter that nothing of the user's is called.
fn stem(g: &Graph, params: &[String]) -> &'static str {
    let used = |letter: &str| {
        params.iter().any(|p| p == letter)
            || g.arrays.iter().any(|a| &*a.name == letter)
            || g.nodes.iter().any(|n| n.name.as_deref() == Some(letter))
    };
    let all = ["t", "u", "v", "q", "r", "s"];
    all.into_iter().find(|l| !used(l)).unwrap_or("t")
}
