use backprop::{Differentiable, backprop};
use ndarray::{Array1, Array2};

// `check`.

#[derive(Clone, Differentiable)]
struct Net {
    w: Array2<f64>,
    b: Array1<f64>,
}

impl Net {
    #[backprop(check)]
    fn loss(&self, x: &Array1<f64>) -> f64 {
        self.w.dot(x).sum()
    }

    #[backprop(jvp)]
    fn tangent(&self, x: &Array1<f64>) -> f64 {
        self.w.dot(x).sum()
    }

    #[backprop(custom(backward = nowhere))]
    fn rule(&self, x: &Array1<f64>) -> f64 {
        self.w.dot(x).sum()
    }
}

#[backprop(check)]
fn named(x: &Array1<f64>, names: &[String]) -> f64 {
    x.sum() * names.len() as f64
}

#[backprop(check(shape(x = 3, y = 4)))]
fn no_parameter(x: &Array1<f64>) -> f64 {
    x.sum()
}

#[backprop(check(shape(x = [3, 4])))]
fn too_many_axes(x: &Array1<f64>) -> f64 {
    x.sum()
}

#[backprop(check(shape(net.w = [3, 4], net.c = 2)))]
fn no_field(net: &Net) -> f64 {
    net.w.sum()
}

#[backprop(check(shape(k = 3)))]
fn no_array(x: &Array1<f64>, k: f64) -> f64 {
    x.sum() * k
}

#[backprop(check(shape(x = 3)))]
fn no_tensors(x: &[f64]) -> f64 {
    x[0]
}

#[backprop(check(shape(x = "three")))]
fn no_number(x: &Array1<f64>) -> f64 {
    x.sum()
}

#[backprop(check(at(x = [[1.0, 2.0], [3.0]]), value = 1.0))]
fn uneven(x: &Array2<f64>) -> f64 {
    x.sum()
}

#[backprop(check(at(x = [1.0, 2.0]), value = 1.0))]
fn no_value(x: &Array1<f64>, k: f64) -> f64 {
    x.sum() * k
}

// `jvp`.

#[backprop(jvp)]
fn in_place(x: &mut Array1<f64>) {
    x.mapv_inplace(|v| v * v);
}

#[backprop]
fn without(x: &Array1<f64>) -> f64 {
    x.sum()
}

#[backprop(jvp)]
fn calls(x: &Array1<f64>) -> f64 {
    without(x)
}

// `custom`.

#[backprop(custom(backward = nowhere))]
fn of_structs(net: &Net) -> f64 {
    net.w.sum()
}

#[backprop(custom(backward = nowhere))]
fn changes(x: &mut Array1<f64>) {
    x.fill(0.0);
}

#[backprop(custom(backward = nowhere), jvp)]
fn beside(x: &Array1<f64>) -> f64 {
    x.sum()
}

fn main() {}
