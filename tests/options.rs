//! `Option`s of numbers: made, tested, carried from one iteration to the next, taken apart.

#![allow(clippy::all)] // Differentiated as users write them.

#[path = "support/differences.rs"]
#[macro_use]
mod differences;

use backprop::backprop;

const POSITIVE: [f64; 5] = [0.3, 0.8, 1.2, 0.45, 0.1];

#[backprop]
fn defaults(x: &[f64], k: f64) -> f64 {
    let a = x.get(0).copied().unwrap_or(0.0);
    let b = x.get(5).map_or(k, |v| v * 2.0);
    let c = x.first().map(|v| v * k).unwrap_or_default();
    a + b * c
}

#[backprop]
fn opt_letelse(x: &[f64], k: f64) -> f64 {
    let Some(a) = x.get(1) else { return k };
    let Some(b) = x.get(7) else { return a * k * k };
    a * b
}

#[backprop]
fn opt_iflet_chain(x: &[f64], k: f64) -> f64 {
    if let Some(&a) = x.last()
        && a > 0.5
        && let Some(&b) = x.first()
    {
        a * b * k
    } else {
        k
    }
}

#[backprop]
fn opt_match(x: &[f64], k: f64) -> f64 {
    match (x.first(), x.get(1)) {
        (Some(a), Some(b)) if a > b => a * k,
        (Some(a), Some(b)) => a * b * k,
        (Some(a), None) => *a,
        _ => 0.0,
    }
}

#[backprop]
fn chained(x: &[f64], k: f64) -> f64 {
    let safe_ln = |v: f64| if v > 0.0 { Some(v.ln()) } else { None };
    safe_ln(x[0])
        .and_then(|a| safe_ln(a + 3.0))
        .map(|v| v * k)
        .unwrap_or(0.0)
        + safe_ln(-x[1]).or(Some(k)).unwrap()
}

#[backprop]
fn the_one_before(x: &[f64], k: f64) -> f64 {
    let mut prev: Option<f64> = None;
    let mut s = 0.0;
    for &v in x {
        if let Some(p) = prev {
            s += p * v * k;
        }
        prev = Some(v * v);
    }
    s
}

#[backprop]
fn best_so_far(x: &[f64], k: f64) -> f64 {
    let mut best: Option<f64> = None;
    for &v in x {
        best = match best {
            None => Some(v),
            Some(b) if v > b => Some(v),
            b => b,
        };
    }
    best.unwrap() * k
}

#[backprop]
fn taken(x: &[f64], k: f64) -> f64 {
    let mut o = Some(k);
    let mut s = 0.0;
    for v in x {
        if let Some(c) = o.take() {
            s += c * v;
        } else {
            o = Some(*v);
            s += v * v;
        }
    }
    s + o.unwrap_or(0.0)
}

#[backprop]
fn replaced_and_zipped(x: &[f64], k: f64) -> f64 {
    let mut o = Some(k);
    let p = o.replace(x[0]).unwrap();
    let q = o.zip(Some(x[1])).map(|(a, b)| a * b).unwrap();
    p * q + o.filter(|v| *v > 0.1).map_or_else(|| k, |v| v * k)
}

#[backprop]
fn question_marks(x: &[f64], k: f64) -> f64 {
    let g = |i: usize| -> Option<f64> {
        let a = x.get(i)?;
        let b = x.get(i + 1)?;
        Some(a * b * k)
    };
    g(0).unwrap_or(1.0) + g(1).unwrap_or(k * k)
}

#[backprop]
fn either_side(x: &[f64], k: f64) -> f64 {
    let o = if k > 1.0 {
        (Some(x[0]), None)
    } else {
        (None, Some(x[1]))
    };
    match o {
        (Some(v), _) | (None, Some(v)) => v * k,
        _ => 0.0,
    }
}

#[test]
fn options() {
    check!(POSITIVE, defaults opt_letelse opt_iflet_chain opt_match chained);
    check!(POSITIVE, the_one_before best_so_far taken replaced_and_zipped question_marks);
    check!(POSITIVE, either_side);
}
