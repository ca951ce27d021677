//! Systems of equations and eigenvalues: factors in place, pivots, sweeps.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn tridiag_thomas(a: &[f64], b: &[f64], c: &[f64], d: &[f64]) -> f64 {
    let n = d.len();
    let mut cp = vec![0.0; n];
    let mut dp = vec![0.0; n];
    cp[0] = c[0] / b[0];
    dp[0] = d[0] / b[0];
    for i in 1..n {
        let m = 1.0 / (b[i] - a[i] * cp[i - 1]);
        cp[i] = c[i] * m;
        dp[i] = (d[i] - a[i] * dp[i - 1]) * m;
    }
    let mut x = vec![0.0; n];
    x[n - 1] = dp[n - 1];
    for i in (0..n - 1).rev() {
        x[i] = dp[i] - cp[i] * x[i + 1];
    }
    x.iter().map(|v| v * v).sum()
}

#[backprop]
fn lu_inplace_det(a: &[[f64; 4]; 4]) -> f64 {
    let mut m = *a;
    let n = m.len();
    let mut perm = [0usize, 1, 2, 3];
    let mut sign = 1.0;
    for k in 0..n {
        let mut p = k;
        for i in k + 1..n {
            if m[i][k].abs() > m[p][k].abs() {
                p = i;
            }
        }
        if p != k {
            m.swap(p, k);
            perm.swap(p, k);
            sign = -sign;
        }
        for i in k + 1..n {
            m[i][k] /= m[k][k];
            for j in k + 1..n {
                m[i][j] -= m[i][k] * m[k][j];
            }
        }
    }
    let mut det = sign;
    for i in 0..n {
        det *= m[i][i] * (1.0 + 0.1 * perm[i] as f64);
    }
    det
}

#[backprop]
fn cholesky_logdet(a: &[f64], n: usize) -> f64 {
    let mut l = vec![0.0; n * n];
    let mut logdet = 0.0;
    for i in 0..n {
        for j in 0..=i {
            let mut s = a[i * n + j];
            for k in 0..j {
                s -= l[i * n + k] * l[j * n + k];
            }
            if i == j {
                assert!(s > 0.0, "not positive definite");
                l[i * n + i] = s.sqrt();
                logdet += 2.0 * l[i * n + i].ln();
            } else {
                l[i * n + j] = s / l[j * n + j];
            }
        }
    }
    logdet
}

#[backprop]
fn householder_qr(a: &[[f64; 3]; 4], b: &[f64; 4]) -> f64 {
    let mut r = *a;
    let mut y = *b;
    for k in 0..3 {
        let mut norm = 0.0;
        for i in k..4 {
            norm += r[i][k] * r[i][k];
        }
        let norm = if r[k][k] > 0.0 {
            -norm.sqrt()
        } else {
            norm.sqrt()
        };
        let mut v = [0.0; 4];
        for i in k..4 {
            v[i] = r[i][k];
        }
        v[k] -= norm;
        let vv: f64 = v.iter().map(|x| x * x).sum();
        for j in k..3 {
            let d: f64 = (k..4).map(|i| v[i] * r[i][j]).sum();
            for i in k..4 {
                r[i][j] -= 2.0 * d / vv * v[i];
            }
        }
        let d: f64 = v.iter().zip(y.iter()).map(|(a, b)| a * b).sum();
        for i in k..4 {
            y[i] -= 2.0 * d / vv * v[i];
        }
    }
    let mut x = [0.0; 3];
    for i in (0..3).rev() {
        let mut s = y[i];
        for j in i + 1..3 {
            s -= r[i][j] * x[j];
        }
        x[i] = s / r[i][i];
    }
    x[0] * x[1] + x[2].sin() + y[3] * y[3]
}

#[backprop]
fn jacobi_eigen(a: &[[f64; 3]; 3]) -> f64 {
    let mut m = [[0.0; 3]; 3];
    for i in 0..3 {
        for j in 0..3 {
            m[i][j] = 0.5 * (a[i][j] + a[j][i]);
        }
    }
    for _sweep in 0..6 {
        for p in 0..2 {
            for q in p + 1..3 {
                if m[p][q].abs() < 1e-14 {
                    continue;
                }
                let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..3 {
                    let (mkp, mkq) = (m[k][p], m[k][q]);
                    m[k][p] = c * mkp - s * mkq;
                    m[k][q] = s * mkp + c * mkq;
                }
                for k in 0..3 {
                    let (mpk, mqk) = (m[p][k], m[q][k]);
                    m[p][k] = c * mpk - s * mqk;
                    m[q][k] = s * mpk + c * mqk;
                }
            }
        }
    }
    let mut e = [m[0][0], m[1][1], m[2][2]];
    if e[0] > e[1] {
        e.swap(0, 1);
    }
    if e[1] > e[2] {
        e.swap(1, 2);
    }
    if e[0] > e[1] {
        e.swap(0, 1);
    }
    e[0] + 2.0 * e[1] * e[1] + e[2].powi(3)
}

#[backprop]
fn conjugate_gradient(a: &[[f64; 3]; 3], b: &[f64; 3]) -> f64 {
    let mut x = [0.0; 3];
    let mut r = *b;
    let mut p = r;
    let mut rs: f64 = r.iter().map(|v| v * v).sum();
    for _ in 0..2 {
        let mut ap = [0.0; 3];
        for i in 0..3 {
            for j in 0..3 {
                ap[i] += a[i][j] * p[j];
            }
        }
        let alpha = rs / p.iter().zip(ap.iter()).map(|(x, y)| x * y).sum::<f64>();
        for i in 0..3 {
            x[i] += alpha * p[i];
            r[i] -= alpha * ap[i];
        }
        let new: f64 = r.iter().map(|v| v * v).sum();
        if new.sqrt() < 1e-12 {
            break;
        }
        let beta = new / rs;
        for (pi, ri) in p.iter_mut().zip(r.iter()) {
            *pi = *ri + beta * *pi;
        }
        rs = new;
    }
    x[0] * x[1] + x[2]
}

#[backprop]
fn poisson_sor(f: &[[f64; 4]; 4], omega: f64) -> f64 {
    let mut u = [[0.0f64; 4]; 4];
    let mut res = 0.0;
    for sweep in 0..15 {
        let mut delta: f64 = 0.0;
        for i in 1..3 {
            for j in 1..3 {
                let new = 0.25 * (u[i - 1][j] + u[i + 1][j] + u[i][j - 1] + u[i][j + 1] - f[i][j]);
                let d = omega * (new - u[i][j]);
                u[i][j] += d;
                delta = delta.max(d.abs());
            }
        }
        res = delta;
        if delta < 1e-3 {
            break;
        }
    }
    u[1][1] * u[2][2] + u[1][2] + 0.0 * res
}

#[backprop]
fn expm_scaling(a: &[[f64; 3]; 3], v: &[f64; 3]) -> f64 {
    let mut norm: f64 = 0.0;
    for row in a {
        let s: f64 = row.iter().map(|x| x.abs()).sum();
        norm = norm.max(s);
    }
    let mut squarings = 0;
    let mut scale = 1.0;
    while norm * scale > 0.5 {
        scale *= 0.5;
        squarings += 1;
    }
    let mut e = [[0.0; 3]; 3];
    let mut term = [[0.0; 3]; 3];
    for i in 0..3 {
        e[i][i] = 1.0;
        term[i][i] = 1.0;
    }
    for k in 1..12 {
        let mut next = [[0.0; 3]; 3];
        for i in 0..3 {
            for j in 0..3 {
                for l in 0..3 {
                    next[i][j] += term[i][l] * a[l][j] * scale / k as f64;
                }
            }
        }
        term = next;
        for i in 0..3 {
            for j in 0..3 {
                e[i][j] += term[i][j];
            }
        }
    }
    for _ in 0..squarings {
        let mut sq = [[0.0; 3]; 3];
        for i in 0..3 {
            for j in 0..3 {
                for l in 0..3 {
                    sq[i][j] += e[i][l] * e[l][j];
                }
            }
        }
        e = sq;
    }
    let mut s = 0.0;
    for i in 0..3 {
        for j in 0..3 {
            s += v[i] * e[i][j] * v[j];
        }
    }
    s
}

#[backprop]
fn rayleigh_power(a: &[Vec<f64>], x0: &[f64], iters: usize) -> f64 {
    let n = x0.len();
    let mut x = x0.to_vec();
    let mut lambda = 0.0;
    for _ in 0..iters {
        let y: Vec<f64> = (0..n)
            .map(|i| a[i].iter().zip(&x).map(|(p, q)| p * q).sum())
            .collect();
        let norm = y.iter().map(|v| v * v).sum::<f64>().sqrt();
        lambda = x.iter().zip(&y).map(|(p, q)| p * q).sum::<f64>();
        for (xi, yi) in x.iter_mut().zip(&y) {
            *xi = yi / norm;
        }
    }
    lambda
}

#[backprop]
fn fem_beam(e: &[f64], load: f64) -> f64 {
    let n = e.len();
    let mut kd = vec![0.0; n + 1];
    let mut ko = vec![0.0; n];
    for (i, ei) in e.iter().enumerate() {
        let k = ei / 0.5;
        kd[i] += k;
        kd[i + 1] += k;
        ko[i] -= k;
    }
    kd[0] = 1.0;
    ko[0] = 0.0;
    let mut f = vec![0.0; n + 1];
    f[n] = load;
    for i in 1..=n {
        let w = ko[i - 1] / kd[i - 1];
        kd[i] -= w * ko[i - 1];
        f[i] = f[i] - w * f[i - 1];
    }
    let mut u = f.clone();
    u[n] /= kd[n];
    for i in (0..n).rev() {
        u[i] = (u[i] - ko[i] * u[i + 1]) / kd[i];
    }
    u[n] * load + u[1]
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(
        tridiag_thomas,
        [
            a = vec![0.0, 1.0, 0.5, 0.3],
            b = vec![3.0, 4.0, 5.0, 2.0],
            c = vec![0.7, 0.2, 0.4, 0.0],
            d = vec![1.0, 2.0, 3.0, 4.0]
        ],
        (&a, &b, &c, &d)
    );
    every_way!(
        lu_inplace_det,
        [a = [
            [0.1, 2.0, 0.3, 1.0],
            [1.5, 0.2, 0.7, 0.4],
            [0.3, 0.9, 2.2, 0.8],
            [1.1, 0.5, 0.6, 1.9]
        ]],
        (&a)
    );
    every_way!(
        cholesky_logdet,
        [a = vec![4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0]],
        (&a, 3)
    );
    every_way!(
        householder_qr,
        [
            a = [
                [1.0, 0.2, 0.3],
                [0.5, 2.0, 0.1],
                [0.3, 0.4, -1.5],
                [0.7, 0.1, 0.9]
            ],
            b = [1.0, 2.0, 0.5, 0.3]
        ],
        (&a, &b)
    );
    every_way!(
        jacobi_eigen,
        [a = [[4.0, 1.0, 0.2], [1.0, 3.0, 0.5], [0.2, 0.5, 2.0]]],
        (&a)
    );
    every_way!(
        conjugate_gradient,
        [
            a = [[4.0, 1.0, 0.2], [1.0, 3.0, 0.5], [0.2, 0.5, 2.0]],
            b = [1.0, 2.0, 3.0]
        ],
        (&a, &b)
    );
    every_way!(
        poisson_sor,
        [
            f = [
                [0.1, 0.2, 0.3, 0.4],
                [0.5, 1.6, 0.7, 0.8],
                [0.9, 1.0, -1.1, 1.2],
                [0.3, 0.2, 0.1, 0.5]
            ],
            omega = 1.2
        ],
        (&f, omega),
        every_way::NARROW
    );
    every_way!(
        expm_scaling,
        [
            a = [[0.5, 1.2, -0.3], [0.1, -0.7, 0.9], [0.4, 0.6, 0.2]],
            v = [1.0, 0.5, -0.7]
        ],
        (&a, &v)
    );
    every_way!(
        rayleigh_power,
        [
            a = vec![
                vec![2.0, 0.5, 0.1],
                vec![0.5, 1.0, 0.3],
                vec![0.1, 0.3, 0.7]
            ],
            x0 = vec![1.0, 0.5, 0.2]
        ],
        (&a, &x0, 5)
    );
    every_way!(fem_beam, [e = vec![1.0, 2.0, 1.5], load = 0.7], (&e, load));
}
