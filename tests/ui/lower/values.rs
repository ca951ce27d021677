use backprop::backprop;

#[backprop]
fn not_scalar(x: f64, v: [f64; 2]) -> f64 {
    if v == [1.0, 2.0] { x } else { v[0] }
}

#[backprop]
fn not_array(x: f64) -> f64 {
    let mut a = [x, x];
    a.copy_from_slice(&STEPS);
    a[0] * x
}

#[backprop]
fn not_iterable(x: f64) -> f64 {
    let mut s = 0.0;
    for i in STEPS {
        s += x * i;
    }
    for o in Some(x) {
        s += o;
    }
    for _ in "text".chars() {
        s += 1.0;
    }
    s
}

#[backprop]
fn text(x: f64, v: [f64; 2]) -> f64 {
    println!("{v:?}");
    assert!(x > 0.0, "{:?}", v);
    let _s = format!("{x}");
    x
}

#[backprop]
fn structs(x: f64) -> f64 {
    let p = Point { x };
    p.x
}

struct Point {
    x: f64,
}

const STEPS: [f64; 2] = [1.0, 2.0];

fn main() {}
