use backprop::backprop;

#[backprop]
fn assigned(x: f64) -> f64 {
    *Box::leak(Box::new(1.0)) = x;
    x
}

#[backprop]
fn references(x: f64, y: f64) -> f64 {
    let mut a = x;
    let mut b = y;
    let r = if x > 0.0 { &mut a } else { &mut b };
    *r *= 2.0;
    let ref mut c = a;
    *c * b
}

#[backprop]
fn branches(x: f64, v: [f64; 2], w: [f64; 3]) -> f64 {
    let chosen = if x > 0.0 { &v[..] } else { &w[..] };
    chosen[0] * x
}

#[backprop]
fn another_range(x: f64) -> f64 {
    let mut s = 0.0;
    let mut r = 0..3;
    for _ in 0..2 {
        for i in r {
            s += x * i as f64;
        }
        r = 0..5;
    }
    s
}

#[backprop]
fn patterns(x: f64, v: [f64; 2]) -> f64 {
    let Point { y: p } = Point { x };
    let y @ (0.0.. | _) = x;
    match v {
        [0.0, y] => y,
        [x, 1.0] | [1.0, x] => x,
        _ => p * y,
    }
}

struct Point {
    x: f64,
}

#[backprop]
fn later(x: f64, v: [f64; 3]) -> f64 {
    let (mut last, mut s) = (None, x);
    for i in 0..3 {
        if last.is_some() {
            s *= x;
        }
        last = Some([v[i], v[0], s]);
    }
    s
}

fn main() {}
