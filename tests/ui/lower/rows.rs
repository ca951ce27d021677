//! Rows and lengths that the macro cannot know.

use backprop::backprop;

#[backprop]
fn made_in_a_loop(x: f64) -> f64 {
    let mut s = 0.0;
    for t in 0..3 {
        let rows = vec![vec![x; t + 1]; 2];
        s += rows[0][t] * rows[1][0];
    }
    s
}

#[backprop]
fn collected(x: &[f64]) -> f64 {
    let rows: Vec<Vec<f64>> = x.iter().map(|v| vec![*v; 3]).collect();
    rows[0][0] * rows[1][2]
}

#[backprop]
fn of_an_argument(x: &[f64]) -> f64 {
    sum(std::array::from_fn(|i| x[i]))
}

#[backprop]
fn sum(v: [f64; 3]) -> f64 {
    v[0] + v[1] * v[2]
}

fn main() {}
