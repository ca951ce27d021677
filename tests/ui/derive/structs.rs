use backprop::Differentiable;

#[derive(Differentiable)]
enum Choice {
    One(f64),
}

#[derive(Differentiable)]
struct Counts {
    n: usize,
    name: String,
}

#[derive(Differentiable)]
struct Unknown {
    x: f64,
    table: std::collections::BTreeMap<u32, f64>,
}

fn main() {}
