//! What the macro emits for typical functions, as people read it.
//!
//! `tests/expansions/` holds the code of each function's `SOURCE`, formatted; a change of emission shows there as a diff, to
//! be read by a person. `BACKPROP_UPDATE_EXPANSIONS=1 cargo test --test expansions` writes the files anew. The files are
//! compiled too, and must compute what the macro's own code computes.

#![allow(missing_docs, clippy::needless_range_loop)] // Differentiated as users write them.

use backprop::backprop;
use std::path::Path;

#[backprop(source)]
pub fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
    1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp())
}

#[backprop(source, wrt(mu, s))]
pub fn likelihood(mu: f64, s: f64, t: &[f64], y: &[f64]) -> f64 {
    let mut total = 0.0;
    for (&t, &y) in t.iter().zip(y) {
        let r = mu + s * t - y;
        total += r * r;
    }
    total
}

#[backprop(source)]
pub fn named_steps(x: f64, y: f64) -> f64 {
    let a = x * y;
    let b = a.sin() + x;
    let c = (a - b) / (1.0 + b * b);
    a * c
}

#[backprop(source)]
pub fn branches(x: f64, y: f64) -> f64 {
    let slope = if x > y { x * y } else { x.exp() };
    slope * slope
}

#[backprop(source)]
pub fn state(x: f64, r: f64, n: usize) -> f64 {
    let mut x = x;
    for _ in 0..n {
        x = r * x * (1.0 - x);
    }
    x
}

#[backprop(source)]
pub fn linear_state(x: f64, v: f64, n: usize) -> f64 {
    let (mut x, mut v) = (x, v);
    for _ in 0..n {
        v -= 0.1 * x;
        x += 0.1 * v;
    }
    x
}

#[backprop(source)]
pub fn rosenbrock(x: &[f64]) -> f64 {
    let mut total = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        total += 100.0 * a * a + b * b;
    }
    total
}

#[backprop(source)]
pub fn largest(x: &[f64]) -> f64 {
    let mut most = x[0];
    for i in 1..x.len() {
        if x[i] > most {
            most = x[i];
        }
    }
    most
}

#[backprop(source, stable)]
pub fn log_sum_exp(x: &[f64]) -> f64 {
    x.iter().map(|x| x.exp()).sum::<f64>().ln()
}

#[backprop(source)]
pub fn polar(radius: f64, angle: f64) -> [f64; 2] {
    [radius * angle.cos(), radius * angle.sin()]
}

/// The files, compiled: what is shown is what runs.
#[allow(dead_code, unused, unused_comparisons, non_camel_case_types, clippy::all)]
#[rustfmt::skip]
mod shown {
    pub mod neuron { include!("expansions/neuron.rs"); }
    pub mod likelihood { include!("expansions/likelihood.rs"); }
    pub mod named_steps { include!("expansions/named_steps.rs"); }
    pub mod branches { include!("expansions/branches.rs"); }
    pub mod state { include!("expansions/state.rs"); }
    pub mod linear_state { include!("expansions/linear_state.rs"); }
    pub mod rosenbrock { include!("expansions/rosenbrock.rs"); }
    pub mod largest { include!("expansions/largest.rs"); }
    pub mod log_sum_exp { include!("expansions/log_sum_exp.rs"); }
    pub mod polar { include!("expansions/polar.rs"); }
}

#[test]
fn expansions_are_as_they_were_read() {
    let update = std::env::var_os("BACKPROP_UPDATE_EXPANSIONS").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expansions");
    let mut changed = Vec::new();
    for (name, source) in [
        ("neuron", neuron::SOURCE),
        ("likelihood", likelihood::SOURCE),
        ("named_steps", named_steps::SOURCE),
        ("branches", branches::SOURCE),
        ("state", state::SOURCE),
        ("linear_state", linear_state::SOURCE),
        ("rosenbrock", rosenbrock::SOURCE),
        ("largest", largest::SOURCE),
        ("log_sum_exp", log_sum_exp::SOURCE),
        ("polar", polar::SOURCE),
    ] {
        let file = syn::parse_file(source).unwrap_or_else(|e| panic!("{name}: {e}\n{source}"));
        let code = prettyplease::unparse(&file);
        let path = folder.join(format!("{name}.rs"));
        if update {
            std::fs::write(&path, code).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != code {
            changed.push(format!("--- {name}\n{code}"));
        }
    }
    assert!(
        changed.is_empty(),
        "what is emitted has changed. Read it; if it is right, `BACKPROP_UPDATE_EXPANSIONS=1 cargo test --test expansions`.\n{}",
        changed.join("\n")
    );
}

/// Value and gradient of the macro's code and of the file, as one text: equal bit for bit.
macro_rules! same {
    ($($name:ident($($x:expr),*)),* $(,)?) => {$(
        let (y, g) = $name::value_and_gradient($($x),*);
        let (shown_y, shown_g) = shown::$name::$name::value_and_gradient($($x),*);
        assert_eq!(format!("{y:?} {g:?}"), format!("{shown_y:?} {}", shown_g.show()), stringify!($name));
        let (_, saved) = shown::$name::$name::forward($($x),*);
        let (_, own) = $name::forward($($x),*);
        assert_eq!(format!("{:?}", $name::backward(&own, 0.5)), shown::$name::$name::backward(&saved, 0.5).show());
    )*};
}

/// The structs of the files derive nothing, as their attributes are not shown.
macro_rules! show {
    ($($module:ident $Gradient:ident { $($field:ident),* })*) => {$(
        impl shown::$module::$Gradient {
            fn show(&self) -> String {
                let fields: Vec<String> = vec![$(format!("{}: {:?}", stringify!($field), self.$field)),*];
                format!("{} {{ {} }}", stringify!($Gradient), fields.join(", "))
            }
        }
    )*};
}

show! {
    neuron NeuronGradient { w, x }
    likelihood LikelihoodGradient { mu, s }
    named_steps NamedStepsGradient { x, y }
    branches BranchesGradient { x, y }
    state StateGradient { x, r }
    linear_state LinearStateGradient { x, v }
    rosenbrock RosenbrockGradient { x }
    largest LargestGradient { x }
    log_sum_exp LogSumExpGradient { x }
    polar PolarGradient { radius, angle }
}

#[test]
fn what_is_shown_is_what_runs() {
    let x = [0.5, -1.25, 2.0, 0.75];
    same!(
        neuron(&[2.0, -3.0, -3.0], &[-1.0, -2.0]),
        likelihood(0.5, 2.0, &x, &[1.0, 2.0, 3.0, 4.0]),
        named_steps(0.3, 1.7),
        branches(0.3, 1.7),
        branches(1.7, 0.3),
        state(0.3, 3.7, 12),
        linear_state(0.3, 3.7, 12),
        rosenbrock(&x),
        largest(&x),
        log_sum_exp(&x),
    );
    let (_, saved) = shown::polar::polar::forward(2.0, 0.5);
    let (_, own) = polar::forward(2.0, 0.5);
    let upstream = [0.25, -3.0];
    assert_eq!(
        format!("{:?}", polar::backward(&own, upstream)),
        shown::polar::polar::backward(&saved, upstream).show()
    );
}
