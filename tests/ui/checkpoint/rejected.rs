use backprop::backprop;

mod data {
    pub fn force(k: usize) -> f64 {
        k as f64
    }
}
use data::force;

// Nothing is kept for an iteration.
#[backprop(checkpoint = 10)]
fn nothing(x: f64, n: usize) -> f64 {
    let mut u = x;
    for _ in 0..n {
        u = 0.5 * u;
    }
    u
}

// There is no loop at all.
#[backprop(checkpoint)]
fn no_loop(x: f64) -> f64 {
    x.sin()
}

// How often it runs is not known when it starts.
#[backprop(checkpoint)]
fn uncounted(x: f64) -> f64 {
    let mut u = x;
    while u < 100.0 {
        u = u * u;
    }
    u
}

// What might return something else the next time.
#[backprop(checkpoint = 10)]
fn calls(x: f64, n: usize) -> f64 {
    let mut u = x;
    for k in 0..n {
        u = u.sin() + force(k) + data::force(k);
    }
    u
}

#[backprop(checkpoint = 10, hvp)]
fn second_order(x: f64, n: usize) -> f64 {
    let mut u = x;
    for _ in 0..n {
        u = u.sin();
    }
    u
}

#[backprop(checkpoint, custom(backward = slope))]
fn with_a_rule(x: f64) -> f64 {
    x.sin()
}
fn slope(x: f64, _y: f64, upstream: f64) -> f64 {
    upstream * x.cos()
}

#[backprop(checkpoint = 0)]
fn zero(x: f64, n: usize) -> f64 {
    let mut u = x;
    for _ in 0..n {
        u = u.sin();
    }
    u
}

#[backprop(checkpoint = "often")]
fn text(x: f64, n: usize) -> f64 {
    let mut u = x;
    for _ in 0..n {
        u = u.sin();
    }
    u
}

#[backprop(checkpoint(10))]
fn brackets(x: f64, n: usize) -> f64 {
    let mut u = x;
    for _ in 0..n {
        u = u.sin();
    }
    u
}

fn main() {}
