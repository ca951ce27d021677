use backprop::backprop;

#[backprop(custom)]
fn flag(x: f64) -> f64 {
    x
}

#[backprop(custom(forward = a))]
fn forward_alone(x: f64) -> f64 {
    x
}

#[backprop(custom(forward = a, backward = b))]
fn no_residuals(x: f64) -> f64 {
    x
}

struct S;

impl S {
    #[backprop(custom(backward = b))]
    fn method(&self, x: f64) -> f64 {
        x
    }
}

fn wrong_type(x: f64, y: f64, up: f64) -> (f64, f64) {
    (x + y, up)
}

#[backprop(custom(backward = wrong_type))]
fn mismatched(x: f64) -> f64 {
    x
}

#[backprop(custom(backward = not_looked_into_backward), stable, hessian)]
fn not_looked_into(x: f64) -> f64 {
    x * x
}

fn not_looked_into_backward(x: f64, _: f64, up: f64) -> f64 {
    2.0 * x * up
}

fn main() {}
