use backprop::{Differentiable, backprop};

#[derive(Clone, Copy, Differentiable)]
struct Layer {
    w: f64,
}

#[backprop]
fn layer(x: f64) -> f64 {
    x * x
}

struct NeuronResiduals;

#[backprop]
fn neuron(x: f64) -> f64 {
    x.sin()
}

#[backprop(as = dense)]
fn layer_of(x: f64) -> f64 {
    x * x
}

mod apart {
    #[backprop::backprop]
    pub fn layer(x: f64) -> f64 {
        x * x * x
    }
}

fn main() {}
