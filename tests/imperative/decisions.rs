//! `Option`s that loops carry, `Ordering`s, and methods of integers that give them.

use crate::every_way;
use backprop::backprop;
use std::cmp::Ordering;

#[backprop]
fn untyped_none(r: &[f64]) -> f64 {
    let mut s = 0.0;
    let mut prev = None;
    for &x in r {
        match prev {
            Some(p) if x > p => s += x * p,
            Some(p) => s += p / x,
            None => s += x,
        }
        if x < 2.0 {
            prev = Some(x * x);
        } else {
            prev = None;
        }
    }
    match prev {
        Some(p) => s * p,
        None => s,
    }
}

#[backprop]
fn argmin_opt(r: &[f64], k: f64) -> f64 {
    let mut best: Option<(usize, f64)> = None;
    for (i, &x) in r.iter().enumerate() {
        let d = (x - k) * (x - k);
        match best {
            None => best = Some((i, d)),
            Some((_, b)) if d < b => best = Some((i, d)),
            _ => {}
        }
    }
    let (i, d) = best.expect("empty");
    d * r[i] + i as f64 * k
}

#[backprop]
fn array_opt(r: &[[f64; 2]]) -> f64 {
    let mut last: Option<[f64; 2]> = None;
    let mut len = 0.0;
    for p in r {
        if let Some(q) = last {
            len += ((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2)).sqrt();
        }
        last = Some(*p);
    }
    if let Some(l) = last {
        len += l[0] * l[1];
    }
    len
}

#[backprop]
fn orderings(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j) = (0, 0);
    let mut s = 0.0;
    while i < a.len() && j < b.len() {
        match a[i].partial_cmp(&b[j]).unwrap() {
            Ordering::Less => {
                s += a[i] * a[i];
                i += 1;
            }
            Ordering::Greater => {
                s += b[j].sin();
                j += 1;
            }
            Ordering::Equal => {
                s += a[i] * b[j];
                i += 1;
                j += 1;
            }
        }
    }
    while i < a.len() {
        s += a[i];
        i += 1;
    }
    while j < b.len() {
        s -= b[j];
        j += 1;
    }
    let o = a[0].total_cmp(&b[0]).reverse().then(i.cmp(&j));
    if o == Ordering::Less || o.is_eq() {
        s *= a[0];
    }
    if a.len().cmp(&b.len()) != Ordering::Equal {
        s += b[0] * b[0];
    }
    if a[0].partial_cmp(&b[0]) == Some(Ordering::Less) {
        s += 3.0 * a[0];
    }
    s
}

#[backprop]
fn ints(v: &[f64; 6], n: i32, w: usize) -> f64 {
    let mut s = 0.0;
    for i in -n..=n {
        let k = (i.unsigned_abs() as usize) % 6;
        let (q, over) = (i as i8).overflowing_mul(60);
        s += v[k] * if over { 2.0 } else { q as f64 };
        if let Some(j) = w.checked_add_signed(i as isize) {
            if j < 6 {
                s += v[j] * v[k];
            }
        }
        if let Some(e) = 2i32.checked_pow(i.unsigned_abs()) {
            s += v[0] / e as f64;
        }
        s += v[w.abs_diff(k) % 6] * v[(w + k).next_multiple_of(3) % 6];
        let z = (i > 0).then(|| v[1] * v[2]).unwrap_or(v[3]);
        s += z * (i % 2 == 0).then_some(v[4]).unwrap_or(0.5);
    }
    s
}

#[backprop]
fn within(v: &[f64], n: usize) -> f64 {
    let mut a = v.to_vec();
    a.copy_within(1..3, n);
    a.copy_within(..2, 1);
    let mut b = [v[0], v[1] * v[1], v[2], v[3]];
    b.copy_within(1.., 0);
    a.iter().zip(b.iter()).map(|(x, y)| x * y).sum()
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(untyped_none, [r = vec![0.5, 1.5, 0.9, 2.5, 1.1, 1.3]], (&r));
    every_way!(untyped_none, [r = vec![0.5, 1.5, 0.9, 2.5]], (&r));
    every_way!(argmin_opt, [r = vec![0.5, 1.5, 0.9, 2.5], k = 0.8], (&r, k));
    every_way!(
        array_opt,
        [r = vec![[0.5, 1.5], [0.9, 2.5], [0.3, 0.7]]],
        (&r)
    );
    every_way!(
        orderings,
        [a = vec![0.5, 1.5, 2.5], b = vec![0.7, 1.1, 3.0, 4.0]],
        (&a, &b)
    );
    every_way!(
        orderings,
        [a = vec![0.9, 1.5, 2.5], b = vec![0.7, 1.1, 3.0]],
        (&a, &b)
    );
    every_way!(ints, [v = [0.5, 1.1, 0.9, 0.3, 0.7, 1.3]], (&v, 3, 2));
    every_way!(within, [v = vec![0.5, 1.1, 0.9, 0.3]], (&v, 2));
}
