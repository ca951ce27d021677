//! Arrays, slices and `Vec`s: their methods, iterators over them, and the lengths of new ones.

#![allow(clippy::all, clippy::pedantic, unused)] // Differentiated as users write them.

#[macro_use]
#[path = "support/differences.rs"]
mod differences;

use backprop::{Differentiable, backprop};
use differences::{near, slope};

#[backprop]
fn windows_and_chunks(x: &[f64], k: f64) -> f64 {
    let n = x.len();
    let mut s = 0.0;
    for ((i, w), c) in x
        .windows(2)
        .enumerate()
        .zip(x.iter().rev())
        .skip(1)
        .step_by(2)
    {
        s += w[0] * w[1] * *c * (i as f64) * k;
    }
    for (a, b) in x.chunks(2).zip(x.chunks_exact(2).rev()) {
        s += a[0] * b[1] * k;
    }
    s
}

#[backprop]
fn filtered(x: &[f64], k: f64) -> f64 {
    let v: Vec<f64> = x
        .iter()
        .chain([k, 2.0 * k].iter())
        .map(|v| v * v)
        .filter(|v| *v > 0.2)
        .collect();
    let mut best = 0;
    for i in 0..v.len() {
        if v[i] > v[best] {
            best = i;
        }
    }
    v[best] * v[0] + v.iter().rev().take(2).sum::<f64>()
}

#[backprop]
fn sorted_by_index(x: &[f64], k: f64) -> f64 {
    let mut order: Vec<usize> = (0..x.len()).collect();
    for i in 0..order.len() {
        for j in (i + 1)..order.len() {
            if x[order[j]] < x[order[i]] {
                order.swap(i, j);
            }
        }
    }
    let mut s = 0.0;
    for (r, &i) in order.iter().enumerate() {
        s += x[i] * (r as f64 + k);
    }
    s
}

#[backprop]
fn stack(x: &[f64], k: f64) -> f64 {
    let mut stack = vec![0usize];
    let mut s = 0.0;
    while let Some(i) = stack.pop() {
        if i >= x.len() {
            continue;
        }
        s = s * k + x[i];
        if i % 2 == 0 {
            stack.push(2 * i + 1);
        }
        stack.push(2 * i + 2);
    }
    s
}

#[backprop]
fn split_rotated_reversed(x: &[f64], k: f64) -> f64 {
    let mut a = [0.0; 4];
    a.copy_from_slice(&x[..4]);
    let (l, r) = a.split_at_mut(2);
    for (p, q) in l.iter_mut().zip(r.iter_mut()) {
        let t = *p;
        *p = *q * k;
        *q += t * *p;
    }
    a.rotate_left(1);
    a.reverse();
    let [p, .., q] = a;
    p * q + a[1]
}

#[backprop]
fn labels(x: &[f64], k: f64) -> f64 {
    let mut s = k;
    'o: for i in 0..x.len() {
        let mut j = 0;
        loop {
            if j >= x.len() {
                continue 'o;
            }
            if x[j] * s > 3.0 {
                break 'o;
            }
            s += x[i] * x[j] * 0.3;
            j += 1 + i % 2;
        }
    }
    s * s
}

#[backprop]
fn closures(x: &[f64], k: f64) -> f64 {
    let sq = |v: f64| v * k;
    let add = |a: f64, b: f64| {
        let k = a * b;
        sq(k) + k
    };
    let mut acc = 1.0;
    x.iter().for_each(|&v| {
        acc = add(acc, v);
    });
    let k = acc.sin();
    sq(k) * k
}

#[backprop]
fn elimination<const N: usize>(m: &[[f64; N]; N], k: f64) -> f64 {
    let mut a = *m;
    for c in 0..N {
        let mut p = c;
        for r in c + 1..N {
            if a[r][c].abs() > a[p][c].abs() {
                p = r;
            }
        }
        a.swap(c, p);
        for r in c + 1..N {
            let f = a[r][c] / a[c][c];
            for j in c..N {
                a[r][j] -= f * a[c][j] * k;
            }
        }
    }
    let mut d = 1.0;
    for i in 0..N {
        d *= a[i][i];
    }
    d
}

#[backprop]
fn data_dependent(x: &[f64], k: f64) -> f64 {
    let n = (k * 3.0).floor() as usize;
    let mut s = 0.0;
    for i in 0..n.min(x.len()) {
        s += x[i].powi(i as i32 + 1) * k;
    }
    let m = (x[0] * 10.0) as i64;
    match m {
        0 => s,
        1..=4 if k > 1.0 => s * x[1],
        n if n < 0 => -s * x[0],
        _ => s * s,
    }
}

#[backprop]
fn from_fn_of_a_let(x: &[f64], k: f64) -> f64 {
    let mut h: [f64; 3] = std::array::from_fn(|i| x[i] * k);
    let g = h.map(|v| v.tanh());
    for i in (0..3).rev() {
        h[i] = g[(i + 1) % 3] + h[i.saturating_sub(1)];
    }
    let [a, b, c] = h;
    a * b - c
}

#[backprop]
fn scanned(x: &[f64], k: f64) -> f64 {
    let s: f64 = x
        .iter()
        .scan(k, |st, &v| {
            *st = *st * v + 1.0;
            Some(*st)
        })
        .sum();
    let p: f64 = x.iter().copied().map(|v| v + k).product();
    let m = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mm = x.iter().cloned().fold(k, |a, b| if a < b { a } else { b });
    s + p * m - mm
}

#[backprop]
fn double_buffer(x: &[f64], k: f64) -> f64 {
    let mut buf = vec![0.0; x.len()];
    let mut cur = x.to_vec();
    for t in 0..3 {
        for i in 0..x.len() {
            buf[i] = cur[i] + k * (cur[(i + 1) % x.len()] - cur[i]);
        }
        std::mem::swap(&mut buf, &mut cur);
        if t == 1 {
            cur[0] *= k;
        }
    }
    cur.iter().zip(&buf).map(|(a, b)| a * b).sum::<f64>()
}

#[backprop]
fn nested_function(x: &[f64], k: f64) -> f64 {
    fn inner(a: f64, b: f64) -> f64 {
        if a > b {
            return a * b;
        }
        a + b
    }
    let f = inner;
    let mut t = (x[0], x[1], 0);
    for &v in x {
        t = (inner(t.1, v * k), t.0, t.2 + 1);
    }
    t.0 * t.1 + t.2 as f64 * k
}

#[backprop]
fn rows_of_vecs(x: &[f64], k: f64) -> f64 {
    let mut rows = vec![vec![0.0; 3]; 2];
    for (i, r) in rows.iter_mut().enumerate() {
        for (j, e) in r.iter_mut().enumerate() {
            *e = x[j] * k + (i as f64);
        }
    }
    let first = rows[0].clone();
    rows[0][1] = 5.0 * k;
    let last = first;
    rows.iter()
        .map(|r| r.iter().sum::<f64>())
        .fold(1.0, |a, b| a * b)
        + last[1]
}

#[backprop]
fn every_method(x: &[f64], k: f64) -> f64 {
    let r = x[0].hypot(k);
    let (s, c) = k.sin_cos();
    let y = x[1].mul_add(k, r).clamp(-10.0, 10.0).max(s).min(c + 5.0);
    let z = y.abs().powf(k)
        + k.exp_m1() * x[0].ln_1p()
        + x[2].atan2(k)
        + k.cbrt()
        + y.rem_euclid(0.7)
        + (x[1] % k)
        + x[0].copysign(-k)
        + k.recip();
    z.to_radians() + 2f64.powf(k) + (k * 3.0).fract() + x[0].asinh() * x[2].abs().acosh().max(0.0)
}

#[backprop]
fn breaks_with_value(x: &[f64], k: f64) -> f64 {
    let mut i = 0;
    let mut s = 0.0;
    let v = loop {
        s += x[i % x.len()] * k;
        i += 1;
        if s > 2.0 || i > 20 {
            break s * i as f64;
        }
    };
    let w = 'b: {
        if v > 3.0 {
            break 'b v * k;
        }
        if v > 1.0 {
            break 'b k;
        }
        x[0]
    };
    v + w
}

#[backprop]
fn split_first(x: &[f64], k: f64) -> f64 {
    let Some((first, rest)) = x.split_first() else {
        return k;
    };
    let mut s = *first;
    for (i, v) in rest.iter().enumerate() {
        if i == 1 {
            continue;
        }
        s = s.mul_add(*v, k);
    }
    let last = x.last().unwrap();
    let m = x.get(1).copied().unwrap_or(k);
    s * *last + m
}

#[backprop]
fn permuted(x: &[f64], k: f64) -> f64 {
    let mut a = [1.0, k, x[0]];
    let idx = [2usize, 0, 1, 1];
    for &i in idx.iter() {
        let j = (i + 1) % 3;
        a[i] = a[j] * a[i] + k;
        a.swap(i, j);
        a[j] += a[i] * x[1];
    }
    a.iter()
        .rev()
        .enumerate()
        .map(|(i, v)| v * (i + 1) as f64)
        .sum()
}

#[backprop]
fn lengths(x: &[f64], k: f64) -> f64 {
    let m: [[f64; 2]; 3] = std::array::from_fn(|i| core::array::from_fn(|j| x[i + j] * k));
    let p = Pair {
        v: std::array::from_fn(|i| m[i][1] * k),
        k,
    };
    let mut w = p.v;
    w = std::array::from_fn(|i| w[(i + 1) % 2] + x[i]);
    let both: Three = std::array::from_fn(|i| x[i] * x[i + 2]);
    w[0] * p.v[1] * p.k + both[0] * both[2] + Row(std::array::from_fn(|i| x[i])).0[1]
}

type Three = [f64; 3];

struct Pair {
    v: [f64; 2],
    k: f64,
}

struct Row([f64; 2]);

#[backprop]
fn early_lengths(x: &[f64], k: f64) -> [f64; 2] {
    if k > 1.0 {
        return std::array::from_fn(|i| x[i] * k);
    }
    std::array::from_fn(|i| x[i + 1] * k * k)
}

#[backprop]
fn of_nested(x: &[f64], k: f64) -> f64 {
    fn three(x: &[f64], k: f64) -> Three {
        std::array::from_fn(|i| x[i] + k)
    }
    let f = |s: f64| -> [f64; 2] { std::array::from_fn(|i| s * x[i]) };
    three(x, k)[2] * f(k)[1]
}

#[backprop]
fn rows_copied_in_a_loop(x: &[f64], k: f64) -> f64 {
    let mut rows = vec![vec![x[0]; 3]; 2];
    rows[1][0] = k;
    let mut s = 0.0;
    for t in 0..3 {
        let old = rows.clone();
        for i in 0..2 {
            for j in 0..3 {
                rows[i][j] = old[1 - i][(j + t) % 3] * k + old[i][j];
            }
        }
        if t > 0 {
            let r = rows[0].clone();
            rows[1][0] = 1.0;
            s += r[0] * rows[0][2];
        }
    }
    s + rows[1][2]
}

#[backprop]
fn ends(x: &[f64], k: f64) -> f64 {
    let mut a = x.to_vec();
    a.rotate_right(2);
    if let Some((last, rest)) = a.split_last_mut() {
        *last *= k;
        rest[0] += *last * k;
        rest.rotate_left(1);
    }
    let mut s = 0.0;
    let mut n = 0.0;
    for part in a.chunks(2) {
        if let [p, rest @ ..] = part {
            n += 1.0;
            s += p * k * n + rest.first().copied().unwrap_or(k);
        }
    }
    s * a[0]
}

#[derive(Clone, Copy, Debug, PartialEq, Differentiable)]
struct Cell {
    u: f64,
    f: [f64; 2],
}

#[backprop]
fn made_one_by_one(x: &[f64], k: f64) -> f64 {
    let rows: Vec<[f64; 2]> = x.iter().map(|v| [*v * k, v * v]).collect();
    let cells: Vec<Cell> = (0..x.len())
        .map(|i| Cell {
            u: x[i],
            f: rows[i],
        })
        .collect();
    let m: [[f64; 2]; 3] = std::array::from_fn(|i| core::array::from_fn(|j| x[i + j] * k));
    let t = m.map(|r| (r[0] * r[1], r[0]));
    let pairs: Vec<(usize, f64)> = x.iter().enumerate().map(|(i, v)| (i, *v * k)).collect();
    let mut s = 0.0;
    for c in &cells {
        s += c.u * c.f[0] + c.f[1];
    }
    for (i, v) in &pairs {
        s += *v * *i as f64;
    }
    for (i, v) in pairs.iter().rev() {
        s *= v + *i as f64;
    }
    let w = m.map(|r| r.map(|v| v.sin()));
    s * t[1].0 + t[2].1 * w[1][0]
}

#[backprop]
fn changed_by_reference(x: &[f64], k: f64) -> f64 {
    let mut a = x.to_vec();
    for row in a.chunks_mut(2) {
        row[0] *= k;
        let t = row[0];
        if let Some(l) = row.last_mut() {
            *l += t * k;
        }
    }
    for row in a.chunks_exact_mut(2) {
        row.swap(0, 1);
        row.reverse();
        row[1] *= row[0];
    }
    if let Some(f) = a.first_mut() {
        *f *= k;
    }
    if let Some(f) = a.get_mut(7) {
        *f *= k;
    }
    *a.get_mut(1).unwrap() += k;
    *a.last_mut().unwrap() *= 2.0;
    if let Some((last, rest)) = a.split_last_mut() {
        *last *= k;
        rest[0] += *last * k;
        rest[1] *= k;
        rest.rotate_left(1);
    }
    a[0] * a[1] + a[2] * a[3] + a[4]
}

const X: [f64; 5] = [0.31, 0.77, 1.19, 0.53, 0.95];

#[test]
fn gradients() {
    check!(X, windows_and_chunks filtered sorted_by_index stack split_rotated_reversed labels closures data_dependent);
    check!(X, from_fn_of_a_let scanned double_buffer nested_function rows_of_vecs every_method breaks_with_value);
    check!(X, split_first permuted lengths of_nested rows_copied_in_a_loop ends made_one_by_one changed_by_reference);
}

#[test]
fn elimination_of_a_matrix() {
    let m = [[0.3, 1.2, 0.5], [2.0, 0.1, 0.4], [0.7, 0.9, 1.5]];
    let g = elimination::gradient(&m, 1.1);
    near(g.k, slope(|k| elimination(&m, k), 1.1));
    for (i, j) in (0..9).map(|k| (k / 3, k % 3)) {
        let at = |v: f64| {
            let mut m = m;
            m[i][j] = v;
            elimination(&m, 1.1)
        };
        near(g.m[i][j], slope(at, m[i][j]));
    }
}

#[test]
fn lengths_of_results() {
    for k in [1.3, 0.6] {
        let (y, saved) = early_lengths::forward(&X, k);
        assert_eq!(y, early_lengths(&X, k));
        let g = early_lengths::backward(&saved, [1.0, 2.0]);
        let sum = |y: [f64; 2]| y[0] + 2.0 * y[1];
        near(g.k, slope(|k| sum(early_lengths(&X, k)), k));
    }
}

/// `reverse`, `split_last` and `rotate` of nothing.
#[test]
fn empty_slices() {
    #[backprop]
    fn turned(x: &[f64], k: f64) -> f64 {
        let mut v = x.to_vec();
        v.reverse();
        v.rotate_left(0);
        let Some((a, rest)) = v.split_last() else {
            return k;
        };
        a * k + rest.len() as f64
    }
    let (y, g) = turned::value_and_gradient(&[], 2.0);
    assert_eq!((y, g.k, g.x.len()), (2.0, 1.0, 0));
    let (y, g) = turned::value_and_gradient(&[3.0, 4.0], 2.0);
    assert_eq!((y, g.k, g.x), (7.0, 3.0, vec![2.0, 0.0]));
}

/// What is beyond a sub-slice is a panic, as it is in the function.
#[test]
fn beyond_a_sub_slice() {
    #[backprop]
    fn swapped(x: &[f64], i: usize) -> f64 {
        let mut v = x.to_vec();
        let part = &mut v[..2];
        part.swap(0, i);
        v[0] * 2.0
    }
    assert_eq!(swapped::gradient(&X, 1).x, [0.0, 2.0, 0.0, 0.0, 0.0]);
    assert!(std::panic::catch_unwind(|| swapped::gradient(&X, 2)).is_err());
}

/// Slices that are exchanged have one length, or the function panics.
#[test]
fn exchanged_slices() {
    #[backprop]
    fn exchanged(x: &[f64], n: usize) -> f64 {
        let (mut a, mut b) = (x.to_vec(), vec![1.0; n]);
        a.swap_with_slice(&mut b);
        a[0] + 2.0 * b[1]
    }
    assert_eq!(exchanged::gradient(&X, 5).x, [0.0, 2.0, 0.0, 0.0, 0.0]);
    for n in [3, 7] {
        assert!(std::panic::catch_unwind(|| exchanged::gradient(&X, n)).is_err());
    }
}
