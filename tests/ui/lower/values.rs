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
    let p = std::ops::Range { start: x, end: 2.0 };
    let q = Point { x, z: x };
    let r = Point { x };
    p.start + q.x + r.z
}

#[backprop]
fn constant_fields(x: f64, n: usize) -> f64 {
    let mut all = vec![Marked { a: x, b: 1.0 }; n];
    all[0].b = x;
    all[0].a * all[0].b
}

#[backprop]
fn constant_in_a_list(x: f64) -> f64 {
    let all = [Marked { a: 1.0, b: x * x }, Marked { a: x, b: 2.0 }];
    all[0].b * all[1].a
}

#[backprop]
fn constant_in_a_tuple(x: f64) -> f64 {
    let all = [(2, Marked { a: x, b: 3.0 * x })];
    let (n, m) = all[0];
    n as f64 * m.a * m.b
}

#[backprop]
fn constant_in_branches(x: f64, n: usize) -> f64 {
    let mut all = vec![Marked { a: x, b: 1.0 }; n];
    if n > 2 {
        all[0].b = 2.0 * x;
    } else {
        all[1].b += 4.0 * x;
    }
    all[0].a * all[0].b
}

#[backprop]
fn constant_in_a_loop(x: f64, n: usize) -> f64 {
    let mut all = vec![Marked { a: x, b: 1.0 }; n];
    for i in 0..n {
        all[i].b = i as f64 * x;
    }
    all[0].a * all[0].b
}

#[backprop]
fn constant_in_the_result(x: f64) -> Marked {
    Marked { a: x, b: 5.0 * x }
}

#[backprop]
fn constant_in_a_part(x: f64) -> (f64, Marked) {
    (x, Marked { a: x, b: 6.0 * x })
}

#[derive(Clone, Copy, backprop::Differentiable)]
struct Marked {
    a: f64,
    #[backprop(constant)]
    b: f64,
}

struct Point {
    x: f64,
    y: f64,
}

const STEPS: [f64; 2] = [1.0, 2.0];

fn main() {}
