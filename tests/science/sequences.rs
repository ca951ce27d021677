//! Recursions over sequences: dynamic programs, filters, recurrent networks.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn hmm_forward(pi: &[f64; 2], t: &[[f64; 2]; 2], e: &[[f64; 3]; 2], obs: &[usize]) -> f64 {
    let mut alpha = [pi[0] * e[0][obs[0]], pi[1] * e[1][obs[0]]];
    let mut ll = 0.0;
    for &o in obs.iter().skip(1) {
        let c: f64 = alpha.iter().sum();
        ll += c.ln();
        let mut next = [0.0; 2];
        for j in 0..2 {
            for i in 0..2 {
                next[j] += alpha[i] / c * t[i][j];
            }
            next[j] *= e[j][o];
        }
        alpha = next;
    }
    ll + (alpha[0] + alpha[1]).ln()
}

#[backprop]
fn ctc_loss(logp: &[[f64; 3]], labels: &[usize]) -> f64 {
    // labels extended with blanks (0)
    let l = 2 * labels.len() + 1;
    let lab = |s: usize| if s % 2 == 0 { 0 } else { labels[s / 2] };
    let lse = |a: f64, b: f64| {
        if a == f64::NEG_INFINITY {
            return b;
        }
        if b == f64::NEG_INFINITY {
            return a;
        }
        let m = a.max(b);
        m + ((a - m).exp() + (b - m).exp()).ln()
    };
    let mut alpha = vec![f64::NEG_INFINITY; l];
    alpha[0] = logp[0][0];
    if l > 1 {
        alpha[1] = logp[0][lab(1)];
    }
    for row in logp.iter().skip(1) {
        for s in (0..l).rev() {
            let mut a = alpha[s];
            if s >= 1 {
                a = lse(a, alpha[s - 1]);
            }
            if s >= 2 && lab(s) != 0 && lab(s) != lab(s - 2) {
                a = lse(a, alpha[s - 2]);
            }
            alpha[s] = a + row[lab(s)];
        }
    }
    -lse(alpha[l - 1], alpha[l - 2])
}

#[backprop]
fn hard_dtw(x: &[f64], y: &[f64]) -> f64 {
    let m = y.len();
    let mut prev = vec![f64::INFINITY; m + 1];
    prev[0] = 0.0;
    for &xi in x {
        let mut cur = vec![f64::INFINITY; m + 1];
        for j in 1..=m {
            let c = (xi - y[j - 1]).abs();
            cur[j] = c + prev[j].min(cur[j - 1]).min(prev[j - 1]);
        }
        prev = cur;
    }
    prev[m]
}

#[backprop]
fn viterbi(logt: &[[f64; 3]; 3], loge: &[[f64; 3]]) -> f64 {
    let mut d = loge[0];
    for e in &loge[1..] {
        let prev = d;
        for j in 0..3 {
            let mut best = prev[0] + logt[0][j];
            for i in 1..3 {
                let c = prev[i] + logt[i][j];
                if c > best {
                    best = c;
                }
            }
            d[j] = best + e[j];
        }
    }
    d.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

#[backprop]
fn kalman_loglik(q: f64, r: f64, z: &[f64]) -> f64 {
    let mut x = [0.0, 1.0];
    let mut p = [[1.0, 0.0], [0.0, 1.0]];
    let dt: f64 = 0.1;
    let mut ll = 0.0;
    for &zk in z {
        x = [x[0] + dt * x[1], x[1]];
        let p00 = p[0][0] + dt * (p[1][0] + p[0][1]) + dt * dt * p[1][1] + q * dt.powi(3) / 3.0;
        let p01 = p[0][1] + dt * p[1][1] + q * dt * dt / 2.0;
        let p11 = p[1][1] + q * dt;
        let s = p00 + r;
        let k = [p00 / s, p01 / s];
        let e = zk - x[0];
        x[0] += k[0] * e;
        x[1] += k[1] * e;
        p = [
            [(1.0 - k[0]) * p00, (1.0 - k[0]) * p01],
            [p01 - k[1] * p00, p11 - k[1] * p01],
        ];
        ll -= 0.5 * (s.ln() + e * e / s + (2.0 * std::f64::consts::PI).ln());
    }
    ll
}

#[backprop]
fn garch(r: &[f64], omega: f64, alpha: f64, beta: f64) -> f64 {
    let mut s2 = r.iter().map(|x| x * x).sum::<f64>() / r.len() as f64;
    let mut nll = 0.0;
    let mut prev: Option<f64> = None;
    for &x in r {
        if let Some(p) = prev {
            s2 = omega + alpha * p * p + beta * s2;
        }
        nll += 0.5 * (s2.ln() + x * x / s2);
        prev = Some(x);
    }
    nll
}

#[backprop]
fn american_put(s0: f64, k: f64, r: f64, sigma: f64, t: f64, n: usize) -> f64 {
    let dt = t / n as f64;
    let u = (sigma * dt.sqrt()).exp();
    let d = 1.0 / u;
    let p = ((r * dt).exp() - d) / (u - d);
    let disc = (-r * dt).exp();
    let mut v: Vec<f64> = (0..=n)
        .map(|j| (k - s0 * u.powi(j as i32) * d.powi((n - j) as i32)).max(0.0))
        .collect();
    for i in (0..n).rev() {
        for j in 0..=i {
            let cont = disc * (p * v[j + 1] + (1.0 - p) * v[j]);
            let ex = k - s0 * u.powi(j as i32) * d.powi((i - j) as i32);
            v[j] = if ex > cont { ex } else { cont };
        }
    }
    v[0]
}

#[backprop]
fn biquad_cascade(x: &[f64], coef: &[[f64; 5]; 2]) -> f64 {
    let mut z = [[0.0; 2]; 2];
    let mut e = 0.0;
    for &s in x {
        let mut v = s;
        for (c, z) in coef.iter().zip(z.iter_mut()) {
            let y = c[0] * v + z[0];
            z[0] = c[1] * v - c[3] * y + z[1];
            z[1] = c[2] * v - c[4] * y;
            v = y;
        }
        e += v * v;
    }
    e
}

#[backprop]
fn knapsack(value: &[f64], weight: &[usize], cap: usize) -> f64 {
    let mut dp = vec![0.0; cap + 1];
    for (v, &w) in value.iter().zip(weight) {
        for c in (w..=cap).rev() {
            let take = dp[c - w] + v;
            if take > dp[c] {
                dp[c] = take;
            }
        }
    }
    dp[cap] * dp[cap / 2]
}

#[backprop]
fn lstm(xs: &[f64], w: &[[f64; 3]; 4], b: &[f64; 4]) -> f64 {
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let (mut h, mut c) = (0.0, 0.0);
    let mut loss = 0.0;
    for (t, &x) in xs.iter().enumerate() {
        let mut g = *b;
        for (k, gk) in g.iter_mut().enumerate() {
            *gk += w[k][0] * x + w[k][1] * h + w[k][2] * c;
        }
        let (i, f, o, u) = (sigmoid(g[0]), sigmoid(g[1]), sigmoid(g[2]), g[3].tanh());
        c = f * c + i * u;
        h = o * c.tanh();
        if t % 2 == 1 {
            loss += (h - xs[t - 1]).powi(2);
        }
    }
    loss + h * h
}

#[backprop]
fn gru_vec(xs: &[[f64; 2]], wz: &[f64], wh: &[f64], n: usize) -> f64 {
    let mut h = vec![0.0; n];
    for x in xs {
        let mut z = vec![0.0; n];
        let mut c = vec![0.0; n];
        for i in 0..n {
            let mut a = wz[i * (n + 2)] * x[0] + wz[i * (n + 2) + 1] * x[1];
            let mut b = wh[i * (n + 2)] * x[0] + wh[i * (n + 2) + 1] * x[1];
            for j in 0..n {
                a += wz[i * (n + 2) + 2 + j] * h[j];
                b += wh[i * (n + 2) + 2 + j] * h[j];
            }
            z[i] = 1.0 / (1.0 + (-a).exp());
            c[i] = b.tanh();
        }
        for i in 0..n {
            h[i] = (1.0 - z[i]) * h[i] + z[i] * c[i];
        }
    }
    h.iter().map(|v| v * v).sum()
}

#[backprop]
fn self_attention(
    x: &[[f64; 2]],
    wq: &[[f64; 2]; 2],
    wk: &[[f64; 2]; 2],
    wv: &[[f64; 2]; 2],
) -> f64 {
    let n = x.len();
    let proj = |w: &[[f64; 2]; 2], v: &[f64; 2]| -> [f64; 2] {
        [
            w[0][0] * v[0] + w[0][1] * v[1],
            w[1][0] * v[0] + w[1][1] * v[1],
        ]
    };
    let mut loss = 0.0;
    for i in 0..n {
        let q = proj(wq, &x[i]);
        let mut scores = vec![0.0; n];
        let mut m = f64::NEG_INFINITY;
        for j in 0..=i {
            let k = proj(wk, &x[j]);
            scores[j] = (q[0] * k[0] + q[1] * k[1]) / 2f64.sqrt();
            m = m.max(scores[j]);
        }
        let mut z = 0.0;
        for s in scores[..=i].iter_mut() {
            *s = (*s - m).exp();
            z += *s;
        }
        let mut out = [0.0; 2];
        for j in 0..=i {
            let v = proj(wv, &x[j]);
            let p = scores[j] / z;
            out[0] += p * v[0];
            out[1] += p * v[1];
        }
        loss += out[0] * out[1] + out[0].sin();
    }
    loss / n as f64
}

#[backprop]
fn rnn_decoder(h0: &[f64; 2], w: &[[f64; 2]; 2], emb: &[[f64; 2]; 3], target: &[usize]) -> f64 {
    let mut h = *h0;
    let mut tok = 0usize;
    let mut nll = 0.0;
    for &t in target {
        let e = emb[tok];
        h = [
            (w[0][0] * h[0] + w[0][1] * h[1] + e[0]).tanh(),
            (w[1][0] * h[0] + w[1][1] * h[1] + e[1]).tanh(),
        ];
        let logits = emb.map(|r| r[0] * h[0] + r[1] * h[1]);
        let mut arg = 0;
        for k in 1..3 {
            if logits[k] > logits[arg] {
                arg = k;
            }
        }
        let m = logits[arg];
        nll -= logits[t] - m - logits.iter().map(|l| (l - m).exp()).sum::<f64>().ln();
        tok = arg; // greedy feedback
    }
    nll
}

#[backprop]
fn gp_marginal(x: &[f64], y: &[f64], ls: f64, sf: f64, sn: f64) -> f64 {
    let n = x.len();
    let mut k = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            let r = (x[i] - x[j]) / ls;
            k[i * n + j] = sf * sf * (-0.5 * r * r).exp() + if i == j { sn * sn } else { 0.0 };
        }
    }
    // in-place Cholesky
    for j in 0..n {
        for p in 0..j {
            let t = k[j * n + p];
            for i in j..n {
                k[i * n + j] -= k[i * n + p] * t;
            }
        }
        let d = k[j * n + j].sqrt();
        for i in j..n {
            k[i * n + j] /= d;
        }
    }
    let mut a = y.to_vec();
    let mut nll = 0.0;
    for i in 0..n {
        for j in 0..i {
            a[i] -= k[i * n + j] * a[j];
        }
        a[i] /= k[i * n + i];
        nll += 0.5 * a[i] * a[i] + k[i * n + i].ln();
    }
    nll
}

#[backprop]
fn gmm(x: &[f64], w: &[f64; 3], mu: &[f64; 3], ls: &[f64; 3]) -> f64 {
    let zmax = w.iter().cloned().fold(f64::MIN, f64::max);
    let lz = w.iter().map(|a| (a - zmax).exp()).sum::<f64>().ln() + zmax;
    x.iter()
        .map(|&xi| {
            let mut terms = [0.0; 3];
            for k in 0..3 {
                let z = (xi - mu[k]) * (-ls[k]).exp();
                terms[k] = w[k] - lz - ls[k] - 0.5 * z * z;
            }
            let m = terms.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            m + terms.iter().map(|t| (t - m).exp()).sum::<f64>().ln()
        })
        .sum()
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(
        hmm_forward,
        [
            pi = [0.6, 0.4],
            t = [[0.7, 0.3], [0.4, 0.6]],
            e = [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]
        ],
        (&pi, &t, &e, &[0, 2, 1, 1, 0])
    );
    every_way!(
        ctc_loss,
        [logp = vec![
            [-1.0, -0.5, -2.0],
            [-0.7, -1.5, -1.0],
            [-2.0, -0.3, -1.2],
            [-0.4, -1.3, -2.2]
        ]],
        (&logp, &[1, 2])
    );
    every_way!(
        ctc_loss,
        [logp = vec![
            [-1.0, -0.5, -2.0],
            [-0.7, -1.5, -1.0],
            [-2.0, -0.3, -1.2],
            [-0.4, -1.3, -2.2]
        ]],
        (&logp, &[1, 1])
    );
    every_way!(
        hard_dtw,
        [x = vec![0.1, 0.5, 1.2], y = vec![0.3, 0.9, 1.1, 0.2]],
        (&x, &y)
    );
    every_way!(
        viterbi,
        [
            logt = [[-1.0, -0.5, -2.0], [-0.7, -1.5, -1.0], [-2.0, -0.3, -1.2]],
            loge = vec![[-1.0, -0.5, -2.0], [-0.7, -1.5, -1.0], [-2.0, -0.3, -1.2]]
        ],
        (&logt, &loge)
    );
    every_way!(
        kalman_loglik,
        [q = 0.3, r = 0.2, z = vec![0.1, 0.3, 0.2, 0.5]],
        (q, r, &z)
    );
    every_way!(
        garch,
        [
            r = vec![0.1, -0.2, 0.05, 0.3],
            omega = 0.01,
            alpha = 0.1,
            beta = 0.8
        ],
        (&r, omega, alpha, beta)
    );
    every_way!(
        garch,
        [
            r = vec![0.1, -0.2, 0.05, 0.3],
            omega = 0.01,
            alpha = 0.1,
            beta = 0.8
        ],
        (&r, omega, alpha, beta)
    );
    every_way!(
        american_put,
        [s0 = 1.01, k = 1.13, r = 0.05, sigma = 0.3, t = 1.0],
        (s0, k, r, sigma, t, 6),
        every_way::NARROW
    );
    every_way!(
        biquad_cascade,
        [
            x = vec![1.0, 0.5, -0.2, 0.3, 0.1],
            coef = [[0.2, 0.3, 0.1, -0.5, 0.2], [0.5, -0.3, 0.2, 0.4, 0.1]]
        ],
        (&x, &coef)
    );
    every_way!(
        knapsack,
        [value = vec![0.7, 1.3, 1.4, 0.9]],
        (&value, &[1, 3, 2, 2], 5)
    );
    every_way!(
        lstm,
        [
            xs = vec![0.1, 0.5, -0.3, 0.8],
            w = [
                [0.1, 0.2, 0.3],
                [0.4, -0.5, 0.6],
                [0.7, 0.8, -0.9],
                [1.0, 0.3, 0.2]
            ],
            b = [0.1, 0.2, 0.3, 0.4]
        ],
        (&xs, &w, &b)
    );
    every_way!(
        gru_vec,
        [
            xs = vec![[0.1, 0.5], [0.8, -0.3], [0.4, 0.9]],
            wz = vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
            wh = vec![-0.1, 0.5, 0.3, -0.4, 0.2, 0.6, -0.7, 0.1]
        ],
        (&xs, &wz, &wh, 2)
    );
    every_way!(
        self_attention,
        [
            x = vec![[0.1, 0.5], [0.8, -0.3], [0.4, 0.9]],
            wq = [[0.5, 0.1], [0.2, 0.7]],
            wk = [[0.3, -0.4], [0.6, 0.2]],
            wv = [[1.0, 0.5], [-0.2, 0.3]]
        ],
        (&x, &wq, &wk, &wv)
    );
    every_way!(
        rnn_decoder,
        [
            h0 = [0.1, 0.2],
            w = [[0.5, 0.3], [-0.2, 0.8]],
            emb = [[0.5, 0.1], [0.3, 0.9], [-0.4, 0.6]]
        ],
        (&h0, &w, &emb, &[1, 2, 0, 1])
    );
    every_way!(
        gp_marginal,
        [
            x = vec![0.1, 0.9, 1.5, 2.2],
            y = vec![0.5, 0.2, -0.3, 0.4],
            ls = 0.8,
            sf = 1.1,
            sn = 0.3
        ],
        (&x, &y, ls, sf, sn)
    );
    every_way!(
        gmm,
        [
            x = vec![0.1, 0.9, -0.5],
            w = [0.1, 0.2, 0.3],
            mu = [0.0, 1.0, -1.0],
            ls = [0.1, -0.2, 0.3]
        ],
        (&x, &w, &mu, &ls)
    );
}
