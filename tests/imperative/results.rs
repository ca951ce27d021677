//! Results of several floats, computed in loops.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn rk4_traj(y0: &[f64; 2], h: f64, n: usize) -> Vec<[f64; 2]> {
    let mut out = vec![[0.0; 2]; n];
    let mut y = *y0;
    let f = |y: [f64; 2]| [y[1], -y[0].sin()];
    for i in 0..n {
        let k1 = f(y);
        let k2 = f([y[0] + 0.5 * h * k1[0], y[1] + 0.5 * h * k1[1]]);
        for d in 0..2 {
            y[d] += h * (0.3 * k1[d] + 0.7 * k2[d]);
        }
        out[i] = y;
    }
    out
}

#[backprop]
fn tuple_out(x: f64, v: &[f64; 3]) -> (f64, [f64; 2], (f64, f64)) {
    let s: f64 = v.iter().sum();
    let mut a = [x * s, v[1] / x];
    if a[0] > a[1] {
        a.swap(0, 1);
    }
    (s * x.sin(), a, (v[0] * v[2], a[0] * x))
}

#[backprop]
fn mat_inverse(a: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let mut m = *a;
    let mut inv = [[0.0; 3]; 3];
    for i in 0..3 {
        inv[i][i] = 1.0;
    }
    for c in 0..3 {
        let mut p = c;
        for r in c + 1..3 {
            if m[r][c].abs() > m[p][c].abs() {
                p = r;
            }
        }
        m.swap(c, p);
        inv.swap(c, p);
        let d = 1.0 / m[c][c];
        for k in 0..3 {
            m[c][k] *= d;
            inv[c][k] *= d;
        }
        for r in 0..3 {
            if r == c {
                continue;
            }
            let f = m[r][c];
            for k in 0..3 {
                m[r][k] -= f * m[c][k];
                inv[r][k] -= f * inv[c][k];
            }
        }
    }
    inv
}

#[backprop]
fn softmax_vec(z: &[f64], t: f64) -> Vec<f64> {
    let m = z.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let e: Vec<f64> = z.iter().map(|x| ((x - m) / t).exp()).collect();
    let s: f64 = e.iter().sum();
    e.iter().map(|x| x / s).collect()
}

#[backprop]
fn sorted(v: &[f64]) -> Vec<f64> {
    let mut a = v.to_vec();
    for i in 0..a.len() {
        let mut k = i;
        for j in i + 1..a.len() {
            if a[j] < a[k] {
                k = j;
            }
        }
        a.swap(i, k);
    }
    a
}

#[backprop]
fn early_vec(v: [f64; 3], t: f64) -> [f64; 3] {
    let mut out = v;
    for i in 0..3 {
        if v[i] > t {
            out[i] = v[i] * t;
            return out;
        }
        out[i] = v[i].exp();
    }
    [out[2], out[0] * t, out[1]]
}

#[backprop]
fn fir(x: &[f64], h: &[f64]) -> Vec<f64> {
    let mut y = Vec::with_capacity(x.len() + h.len() - 1);
    for n in 0..x.len() + h.len() - 1 {
        let mut acc = 0.0;
        let lo = n.saturating_sub(h.len() - 1);
        for k in lo..=n.min(x.len() - 1) {
            acc += x[k] * h[n - k];
        }
        y.push(acc);
    }
    y
}

#[backprop]
fn cumulative(v: &[f64]) -> (Vec<f64>, f64) {
    let mut run = 1.0;
    let out: Vec<f64> = v
        .iter()
        .map(|x| {
            run *= x;
            run
        })
        .collect();
    let last = out[out.len() - 1];
    (out, last * v[0])
}

#[backprop]
fn haar(v: &[f64; 8]) -> [f64; 8] {
    let mut a = *v;
    let mut n = 8;
    while n > 1 {
        let mut t = [0.0; 8];
        for i in 0..n / 2 {
            t[i] = (a[2 * i] + a[2 * i + 1]) * std::f64::consts::FRAC_1_SQRT_2;
            t[n / 2 + i] = (a[2 * i] - a[2 * i + 1]) * std::f64::consts::FRAC_1_SQRT_2;
        }
        a[..n].copy_from_slice(&t[..n]);
        n /= 2;
    }
    for x in a.iter_mut() {
        *x *= x.abs();
    }
    a
}

#[test]
fn every_way_gives_the_gradient() {
    both_passes!(rk4_traj, [y0 = [0.3, 0.5], h = 0.1], (&y0, h, 4));
    both_passes!(tuple_out, [x = 0.7, v = [0.3, 0.5, 0.9]], (x, &v));
    both_passes!(
        mat_inverse,
        [a = [[0.1, 2.0, 0.3], [1.5, 0.2, 0.7], [0.3, 0.9, 2.2]]],
        (&a)
    );
    both_passes!(softmax_vec, [z = vec![0.3, 0.5, 0.9], t = 0.8], (&z, t));
    both_passes!(sorted, [v = vec![0.9, 0.3, 0.5, 0.1]], (&v));
    both_passes!(early_vec, [v = [0.3, 0.5, 0.9], t = 0.4], (v, t));
    both_passes!(early_vec, [v = [0.3, 0.5, 0.9], t = 1.4], (v, t));
    both_passes!(
        fir,
        [x = vec![0.3, 0.5, 0.9, 0.2], h = vec![1.0, -0.5, 0.3]],
        (&x, &h)
    );
    both_passes!(cumulative, [v = vec![0.9, 0.3, 0.5, 0.1]], (&v));
    both_passes!(haar, [v = [0.3, 0.5, 0.9, 0.2, 1.0, -0.5, 0.3, 0.7]], (&v));
}
