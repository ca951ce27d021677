//! Arrays are `Copy`: whatever takes one by value has its own, and a later write to either is not seen by the other.
//!
//! Today only `let b = <place>;` copies; values that come out of a block, branch, closure, pattern or `Some` share storage.
#![allow(unused_mut, unused_assignments)]

use backprop::backprop;

#[backprop]
fn match_binds(x: f64, y: f64) -> f64 {
    let mut a = [x, y];
    match a {
        mut b => {
            b[0] *= 3.0;
            a[1] *= b[0];
            b[1] + a[0] + a[1]
        }
    }
}

#[backprop]
fn if_let_some(x: f64, y: f64) -> f64 {
    let a = [x, y];
    if let Some(mut b) = Some(a) {
        b[0] *= 3.0;
        b[0] * a[0]
    } else {
        0.0
    }
}

#[backprop]
fn for_rows_by_value(x: f64, y: f64) -> f64 {
    let m = [[x, y], [y, x]];
    let mut s = 0.0;
    for mut r in m {
        r[0] *= 3.0;
        s += r[0] * r[1];
    }
    s + m[0][0] * m[1][0]
}

#[backprop]
fn block_value(x: f64, y: f64) -> f64 {
    let a = [x, y];
    let mut b = { a };
    b[0] *= 3.0;
    b[0] * a[0]
}

#[backprop]
fn if_value(x: f64, y: f64) -> f64 {
    let a = [x, y];
    let mut b = if x > 0.0 { a } else { a };
    b[0] *= 3.0;
    b[0] * a[0]
}

#[backprop]
fn match_value(x: f64, y: f64) -> f64 {
    let a = [x, y];
    let mut b = match 1 {
        0 => a,
        _ => a,
    };
    b[0] *= 3.0;
    b[0] * a[0]
}

#[backprop]
fn closure_value(x: f64, y: f64) -> f64 {
    let a = [x, y];
    let g = || a;
    let mut b = g();
    b[0] *= 3.0;
    b[0] * a[0]
}

#[backprop]
fn loop_value(x: f64, y: f64) -> f64 {
    let a = [x, y];
    let mut b = loop {
        break a;
    };
    b[0] *= 3.0;
    b[0] * a[0]
}

#[backprop]
fn some_of(x: f64, y: f64) -> f64 {
    let mut a = [x, y];
    let o = Some(a);
    a[0] *= 3.0;
    o.unwrap()[0] * a[0]
}

#[backprop]
fn move_closure(x: f64, y: f64) -> f64 {
    let mut a = [x, y];
    let g = move || a[0] * a[1];
    a[0] *= 3.0;
    g() * a[0]
}

#[backprop]
fn move_closure_tuple(x: f64, y: f64) -> f64 {
    let mut a = ([x, y], x);
    let g = move || a.0[0] * a.1;
    a.0[0] *= 3.0;
    a.1 = y;
    g() * a.0[0]
}

#[backprop]
fn nested_fn(x: f64, y: f64) -> f64 {
    fn g(mut b: [f64; 2]) -> f64 {
        b[0] *= 3.0;
        b[0] * b[1]
    }
    let a = [x, y];
    g(a) * a[0]
}

#[backprop]
fn tuple_in_block(x: f64, y: f64) -> f64 {
    let t = ([x, y], x);
    let mut u = { t };
    u.0[0] *= 3.0;
    u.0[0] * t.0[0]
}

#[backprop]
fn map_rows(x: f64, y: f64) -> f64 {
    let m = [[x, y], [y, x]];
    let n = m.map(|mut r| {
        r[0] *= 3.0;
        r[0] * r[1]
    });
    n[0] * m[0][0] + n[1] * m[1][0]
}

#[backprop]
fn iter_copied_rows(x: f64, y: f64) -> f64 {
    let m = [[x, y], [y, x]];
    let mut s = 0.0;
    for mut r in m.iter().copied() {
        r[0] *= 3.0;
        s += r[0];
    }
    s * m[0][0]
}

#[backprop]
fn closure_ret_mut(x: f64, y: f64) -> f64 {
    let g = |mut b: [f64; 2]| {
        b[0] *= 3.0;
        b
    };
    let a = [x, y];
    let c = g(a);
    let d = g(c);
    c[0] * d[0] * a[0]
}

fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    (f(x + 1e-4) - f(x - 1e-4)) / 2e-4
}

macro_rules! check {
    ($($f:ident)*) => {{
        let (x, y) = (1.2, -0.7);
        let mut wrong = Vec::new();
        $(
            let (value, g) = $f::value_and_gradient(x, y);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
            if value != $f(x, y) || !near(g.x, slope(|t| $f(t, y), x)) || !near(g.y, slope(|t| $f(x, t), y)) {
                wrong.push(stringify!($f));
            }
        )*
        assert!(wrong.is_empty(), "wrong: {wrong:?}");
    }};
}

fn main() {
    check!(match_binds if_let_some for_rows_by_value block_value if_value match_value closure_value loop_value some_of move_closure move_closure_tuple nested_fn tuple_in_block map_rows iter_copied_rows closure_ret_mut);
}
