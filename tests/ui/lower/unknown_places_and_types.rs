use backprop::backprop;

#[backprop]
fn label(x: f64) -> f64 {
    let mut s = x;
    for _ in 0..3 {
        s *= x;
        if s > 2.0 {
            break 'outer;
        }
    }
    s
}

#[backprop]
fn uninit(x: f64) -> f64 {
    let y;
    let z = y * x;
    y = x;
    z
}

#[backprop]
fn unknown_name(x: f64) -> f64 {
    total += x;
    x
}

struct Tree;

impl Tree {
    #[backprop(associated)]
    fn recursion(x: f64, n: u32) -> f64 {
        if n == 0 { x } else { recursion(x * x, n - 1) }
    }
}

const START: f64 = 0.5;

#[backprop]
fn active_opaque(x: f64) -> f64 {
    let mut w = [START; 2];
    let mut s = x;
    for _ in 0..3 {
        let step = w[0] - START;
        s *= step;
        w[0] = x;
    }
    s
}

fn main() {}
