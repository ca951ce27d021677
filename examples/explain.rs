//! Derivations that can be read: for a function picked on the command line, its graph with values and gradients at a point,
//! the lecture's figure of it as an SVG, and the Rust that was generated for it.
//!
//! ```text
//! cargo run --example explain                      # the functions
//! cargo run --example explain -- neuron            # one of them
//! cargo run --example explain -- neuron out.svg    # and where the figure goes, instead of explain.svg
//! ```

use backprop::backprop;

/// The lecture's neuron; `w[2]` is its bias.
#[backprop(trace, graph, source)]
pub fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
    1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp())
}

/// The energy of a spring between the origin and a point.
#[backprop(trace, graph, source)]
pub fn spring(x: f64, y: f64, stiffness: f64) -> f64 {
    let stretch = x.hypot(y) - 1.0;
    0.5 * stiffness * stretch * stretch
}

/// Binary cross-entropy of a logit and a label, in its stable form.
#[backprop(trace, graph, source, stable, wrt(z))]
pub fn cross_entropy(z: f64, label: f64) -> f64 {
    let p = 1.0 / (1.0 + (-z).exp());
    -(label * p.ln() + (1.0 - label) * (1.0 - p).ln())
}

/// Rosenbrock's function: a loop.
#[backprop(graph, source)]
pub fn rosenbrock(x: &[f64]) -> f64 {
    let mut total = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        total += 100.0 * a * a + b * b;
    }
    total
}

/// A likelihood of a line through points, up to constants.
#[backprop(graph, source, wrt(mu, s))]
pub fn likelihood(mu: f64, s: f64, t: &[f64], y: &[f64]) -> f64 {
    let mut total = 0.0;
    for (&t, &y) in t.iter().zip(y) {
        let r = mu + s * t - y;
        total += r * r;
    }
    total
}

/// What is shown of a function: its call, each node with value and gradient, the figure, the generated code.
pub struct Explained {
    /// How the function was called.
    pub call: &'static str,
    /// Straight-line code has one value at each node; a loop has many.
    pub nodes: Vec<(&'static str, f64, f64)>,
    /// The figure.
    pub svg: String,
    /// The generated code, not formatted.
    pub source: &'static str,
}

/// The functions to pick from.
pub const NAMES: [&str; 5] = [
    "neuron",
    "spring",
    "cross_entropy",
    "rosenbrock",
    "likelihood",
];

/// Explains one of them.
pub fn explained(name: &str) -> Option<Explained> {
    Some(match name {
        "neuron" => {
            let (w, x) = ([2.0, -3.0, -3.0], [-1.0, -2.0]);
            Explained {
                call: "neuron(&[2.0, -3.0, -3.0], &[-1.0, -2.0])",
                nodes: neuron::trace(&w, &x),
                svg: neuron::graph(&w, &x),
                source: neuron::SOURCE,
            }
        }
        "spring" => Explained {
            call: "spring(3.0, 4.0, 2.0)",
            nodes: spring::trace(3.0, 4.0, 2.0),
            svg: spring::graph(3.0, 4.0, 2.0),
            source: spring::SOURCE,
        },
        "cross_entropy" => Explained {
            call: "cross_entropy(-2.0, 1.0)",
            nodes: cross_entropy::trace(-2.0, 1.0),
            svg: cross_entropy::graph(-2.0, 1.0),
            source: cross_entropy::SOURCE,
        },
        "rosenbrock" => Explained {
            call: "rosenbrock(x)",
            nodes: Vec::new(),
            svg: rosenbrock::GRAPH.to_owned(),
            source: rosenbrock::SOURCE,
        },
        "likelihood" => Explained {
            call: "likelihood(mu, s, t, y)",
            nodes: Vec::new(),
            svg: likelihood::GRAPH.to_owned(),
            source: likelihood::SOURCE,
        },
        _ => return None,
    })
}

impl Explained {
    /// The table of nodes.
    pub fn table(&self) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        if self.nodes.is_empty() {
            return out;
        }
        let width = self
            .nodes
            .iter()
            .map(|n| n.0.chars().count())
            .max()
            .unwrap_or(0)
            .max(4);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:<width$}{:>10}{:>10}", "node", "value", "gradient");
        for (node, value, gradient) in &self.nodes {
            let _ = writeln!(out, "{node:<width$}{value:>10.2}{gradient:>10.2}");
        }
        out
    }

    /// The generated code, formatted.
    pub fn code(&self) -> String {
        match syn::parse_file(self.source) {
            Ok(file) => prettyplease::unparse(&file),
            Err(error) => format!("// {error}\n{}", self.source),
        }
    }
}

#[allow(dead_code)] // the tests include this file
fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(explained) = arguments.first().and_then(|name| explained(name)) else {
        println!(
            "usage: explain <function> [file.svg]\nfunctions: {}",
            NAMES.join(", ")
        );
        return Ok(());
    };
    let file = arguments.get(1).map_or("explain.svg", String::as_str);
    std::fs::write(file, &explained.svg)?;
    println!(
        "{}\n\n{}\nfigure: {file}\n\n{}",
        explained.call,
        explained.table(),
        explained.code()
    );
    Ok(())
}
