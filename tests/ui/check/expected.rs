use backprop::backprop;

// The number that is wrong, and no other.
#[backprop(check(
    at(w = [2.0, -3.0, -3.0], x = [-1.0, -2.0]),
    value = 0.731,
    gradient(w = [-0.197, 0.393, 0.197], x = [0.393, -0.590]),
    tolerance = 1e-3
))]
fn gradient(w: [f64; 3], x: &[f64; 2]) -> f64 {
    1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp())
}

#[backprop(check(at(x = 2.0), value = 4.1))]
fn value(x: f64) -> f64 {
    x * x
}

#[backprop(check(at(x = 2.0), value = 4.0, at(x = 3.0), value = 9.0, gradient(x = 5.0)))]
fn second_point(x: f64) -> f64 {
    x * x
}

fn main() {}
