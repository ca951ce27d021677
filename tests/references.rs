//! References: `&mut` to elements, rows, slices, fields and what an `Option` holds, taken apart, handed on, swapped.

#![allow(clippy::all)] // Differentiated as users write them.

#[path = "support/differences.rs"]
#[macro_use]
mod differences;

use backprop::backprop;

const X: [f64; 4] = [0.3, 0.8, -0.4, 0.5];

fn rows(x: &[f64]) -> [[f64; 2]; 2] {
    [[x[0], x[1]], [x[2], x[3]]]
}

/// A `&mut` slice iterated over as it is, by value, hands out references.
#[backprop]
fn slice_by_value(x: &[f64], k: f64) -> f64 {
    fn scale(v: &mut [f64], by: f64) {
        for a in v {
            *a *= by;
        }
    }
    let mut y = x.to_vec();
    scale(&mut y, k);
    scale(&mut y[1..3], k * k);
    let (a, b) = y.split_at_mut(1);
    for (p, q) in a.into_iter().zip(b) {
        *p *= *q;
        *q += *p;
    }
    y.iter()
        .enumerate()
        .map(|(i, v)| v * v * (i + 1) as f64)
        .sum()
}

#[backprop]
fn rows_by_pattern(x: &[f64], k: f64) -> f64 {
    let mut m = [[x[0], x[1]], [x[2], x[3]]];
    let [a, b] = &mut m;
    a[0] *= k;
    b[1] += a[1] * a[0];
    std::mem::swap(a, b);
    m[0][1] *= 3.0;
    m[0][0] * k + m[1][1] * m[0][1]
}

#[backprop]
fn elements_by_pattern(x: &[f64], k: f64) -> f64 {
    let mut y = [x[0], x[1], x[2], x[3]];
    let [a, b, rest @ ..] = &mut y;
    *a *= k;
    std::mem::swap(a, b);
    rest[0] += *b;
    if let [first, .., last] = &mut y[..] {
        *first += *last * k;
        *last *= *first;
    }
    y[0] * y[1] + y[2] * y[3]
}

#[backprop]
fn parts_by_pattern(x: &[f64], k: f64) -> f64 {
    let mut p = (x[0], (x[1], [x[2], x[3]]));
    {
        let (a, (b, c)) = &mut p;
        *a *= k;
        *b += *a;
        for v in c {
            *v *= *b;
        }
        let first = &mut p.0;
        *first += 1.0;
        let r = &mut p.1.1;
        r[0] *= k;
    }
    p.0 * p.1.0 + p.1.1[0] * p.1.1[1]
}

#[backprop]
fn pairs_in_place(x: &[f64], k: f64) -> f64 {
    let mut pairs = [(x[0], x[1]), (x[2], x[3])];
    for (a, b) in &mut pairs {
        *a *= k;
        std::mem::swap(a, b);
    }
    for (i, (a, b)) in pairs.iter_mut().enumerate() {
        *b += *a * i as f64;
    }
    pairs.iter().map(|(a, b)| a * b * b).sum()
}

#[backprop]
fn two_numbers_as_state(x: &[f64], k: f64) -> f64 {
    x.iter()
        .scan((k, 1.0), |(a, b), &v| {
            let t = *a;
            *a = *b + v;
            *b = t * v;
            Some(*a * *b)
        })
        .sum()
}

#[backprop]
fn inside_of_an_option(x: &[f64], k: f64) -> f64 {
    let mut o = Some(x[0]);
    if let Some(v) = &mut o {
        *v *= k;
    }
    let mut pair = Some((x[1], x[2]));
    if let Some((a, b)) = &mut pair {
        *a += *b * k;
    }
    let (a, b) = pair.unwrap();
    o.unwrap() * a * b
}

/// A reference handed on by a function to another, and a part of it by that one.
#[backprop]
fn handed_on(x: &[f64], k: f64) -> f64 {
    fn inner(row: &mut [f64; 2], k: f64) {
        for v in row.iter_mut() {
            *v *= k;
        }
        row.swap(0, 1);
    }
    fn outer(m: &mut [[f64; 2]; 2], k: f64) {
        for row in m {
            inner(row, k);
        }
    }
    let mut m = [[x[0], x[1]], [x[2], x[3]]];
    outer(&mut m, k);
    inner(&mut m[1], 2.0);
    m[0][0] * m[0][1] + m[1][0] * m[1][0] - m[1][1]
}

#[test]
fn references_are_places() {
    check!(X, slice_by_value rows_by_pattern elements_by_pattern parts_by_pattern pairs_in_place);
    check!(X, two_numbers_as_state inside_of_an_option handed_on);
}

#[backprop]
fn swapped_rows(m: &mut [[f64; 2]; 2], k: f64) -> f64 {
    let [a, b] = m;
    std::mem::swap(a, b);
    a[0] *= k;
    m[0][0] * k + m[1][0] * m[0][1]
}

#[backprop]
fn scaled(x: &mut [f64], k: f64) {
    for a in x {
        *a *= k;
    }
}

#[test]
fn parameters_are_changed_through_patterns() {
    let mut plain = rows(&X);
    let want = swapped_rows(&mut plain, 1.3);
    let mut m = rows(&X);
    let (y, g) = swapped_rows::value_and_gradient(&mut m, 1.3);
    assert_eq!((y, m), (want, plain));
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let at = |v| {
            let mut m = rows(&X);
            m[i][j] = v;
            swapped_rows(&mut m, 1.3)
        };
        differences::near(g.m[i][j], differences::slope(at, X[2 * i + j]));
    }
    let mut x = X;
    let ((), saved) = scaled::forward(&mut x, 2.0);
    assert_eq!(x, X.map(|v| v * 2.0));
    let g = scaled::backward(&saved, vec![1.0, 10.0, 100.0, 1000.0]);
    assert_eq!(g.x, [2.0, 20.0, 200.0, 2000.0]);
    assert_eq!(g.k, X[0] + 10.0 * X[1] + 100.0 * X[2] + 1000.0 * X[3]);
}
