//! Roots, fits, samples and filters: iterations that a user differentiates through.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn poly_roots(c: &[f64; 4]) -> f64 {
    // Durand-Kerner with complex pairs
    let mut z = [(1.0, 0.0), (-0.65, 0.72), (0.35, -0.95)];
    for _ in 0..25 {
        for i in 0..3 {
            let (x, y) = z[i];
            let mut p = (c[3], 0.0);
            for k in (0..3).rev() {
                p = (p.0 * x - p.1 * y + c[k], p.0 * y + p.1 * x);
            }
            let mut q = (c[3], 0.0);
            for j in 0..3 {
                if j == i {
                    continue;
                }
                let d = (x - z[j].0, y - z[j].1);
                q = (q.0 * d.0 - q.1 * d.1, q.0 * d.1 + q.1 * d.0);
            }
            let n = q.0 * q.0 + q.1 * q.1;
            z[i] = (
                x - (p.0 * q.0 + p.1 * q.1) / n,
                y - (p.1 * q.0 - p.0 * q.1) / n,
            );
        }
    }
    z[0].0 + 2.0 * z[1].0 * z[2].1.abs() + z[2].0
}

#[backprop]
fn running_stats(v: &[f64]) -> f64 {
    let (mut mean, mut m2, mut n) = (0.0, 0.0, 0usize);
    let (mut lo, mut hi) = (f64::MAX, f64::MIN);
    for &x in v {
        if !x.is_finite() {
            continue;
        }
        n += 1;
        let d = x - mean;
        mean += d / n as f64;
        m2 += d * (x - mean);
        lo = lo.min(x);
        hi = hi.max(x);
    }
    if n < 2 {
        return 0.0;
    }
    mean + (m2 / (n - 1) as f64).sqrt() * (hi - lo)
}

#[backprop]
fn neville(xs: &[f64; 4], ys: &[f64; 4], t: f64) -> f64 {
    let mut p = *ys;
    for m in 1..4 {
        for i in 0..4 - m {
            p[i] = ((t - xs[i + m]) * p[i] + (xs[i] - t) * p[i + 1]) / (xs[i] - xs[i + m]);
        }
    }
    p[0]
}

#[backprop]
fn gauss_newton(obs: &[f64], a0: f64, b0: f64) -> f64 {
    let (mut a, mut b) = (a0, b0);
    for _ in 0..3 {
        let (mut h, mut g) = ([[0.0; 2]; 2], [0.0; 2]);
        for (i, y) in obs.iter().enumerate() {
            let t = i as f64 * 0.5;
            let e = (b * t).exp();
            let r = a * e - y;
            let j = [e, a * t * e];
            for p in 0..2 {
                g[p] += j[p] * r;
                for q in 0..2 {
                    h[p][q] += j[p] * j[q];
                }
            }
        }
        h[0][0] += 1e-3;
        h[1][1] += 1e-3;
        let det = h[0][0] * h[1][1] - h[0][1] * h[1][0];
        a -= (h[1][1] * g[0] - h[0][1] * g[1]) / det;
        b -= (h[0][0] * g[1] - h[1][0] * g[0]) / det;
    }
    a * a + b
}

#[backprop]
fn rejection_mcmc(theta: f64, sigma: f64, n: usize) -> f64 {
    let mut s: u64 = 88172645463325252;
    let mut next = || {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        (s >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut x = theta;
    let mut lp = -0.5 * x * x;
    let mut acc = 0.0;
    let mut moves = 0;
    for _ in 0..n {
        let prop = x + sigma * (next() - 0.5);
        let lq = -0.5 * prop * prop + 0.1 * prop.cos();
        if next().ln() < lq - lp {
            x = prop;
            lp = lq;
            moves += 1;
        }
        acc += x * x;
    }
    acc / n as f64 + moves as f64 * theta
}

#[backprop]
fn string_vibration(f: &[f64], tension: &[f64; 5]) -> f64 {
    let n = 6;
    let mut y = [[0.0f64; 6]; 3];
    for (k, x) in f.iter().enumerate().take(n) {
        y[0][k] = *x;
        y[1][k] = *x;
    }
    let mut peak = f64::NEG_INFINITY;
    for t in 1..9usize {
        let (now, before, next) = (t % 3, (t + 2) % 3, (t + 1) % 3);
        for i in 1..n - 1 {
            y[next][i] = 2.0 * y[now][i] - y[before][i]
                + 0.2
                    * (tension[i] * (y[now][i + 1] - y[now][i])
                        - tension[i - 1] * (y[now][i] - y[now][i - 1]));
        }
        peak = peak.max(y[next][n / 2]);
    }
    peak + y[0][1] * y[1][2]
}

#[backprop]
fn particle_filter(w0: &[f64], z: &[f64], q: f64) -> f64 {
    let n = w0.len();
    let mut x: Vec<f64> = w0.to_vec();
    let mut ll = 0.0;
    for (t, &obs) in z.iter().enumerate() {
        let mut w = vec![0.0; n];
        let mut sum = 0.0;
        for i in 0..n {
            x[i] = 0.9 * x[i] + q * ((i * 7 + t * 3) % 5) as f64 * 0.1;
            w[i] = (-0.5 * (obs - x[i]).powi(2)).exp();
            sum += w[i];
        }
        ll += (sum / n as f64).ln();
        // systematic resampling
        let mut new = vec![0.0; n];
        let mut c = w[0] / sum;
        let mut i = 0;
        for j in 0..n {
            let u = (j as f64 + 0.37) / n as f64;
            while u > c && i + 1 < n {
                i += 1;
                c += w[i] / sum;
            }
            new[j] = x[i];
        }
        x = new;
    }
    ll + x[0]
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(poly_roots, [c = [-1.0, 0.5, 0.3, 1.0]], (&c));
    every_way!(running_stats, [v = vec![0.1, 0.9, 0.4, 0.7]], (&v));
    every_way!(
        neville,
        [
            xs = [0.1, 0.9, 1.4, 2.0],
            ys = [0.3, 0.2, 0.8, 1.0],
            t = 0.5
        ],
        (&xs, &ys, t)
    );
    every_way!(
        gauss_newton,
        [obs = vec![1.0, 1.3, 1.9, 2.4], a0 = 0.9, b0 = 0.5],
        (&obs, a0, b0)
    );
    every_way!(
        rejection_mcmc,
        [theta = 0.9, sigma = 1.5],
        (theta, sigma, 8),
        every_way::NARROW
    );
    every_way!(
        string_vibration,
        [
            f = vec![0.0, 0.3, 0.7, 0.9, 0.4, 0.0],
            tension = [1.0, 0.9, 1.1, 0.8, 1.2]
        ],
        (&f, &tension)
    );
    every_way!(
        particle_filter,
        [
            w0 = vec![0.1, 0.5, 0.9, -0.4],
            z = vec![0.3, 0.2, 0.5],
            q = 0.8
        ],
        (&w0, &z, q),
        every_way::NARROW
    );
}
