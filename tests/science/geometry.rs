//! Cameras, arms, rays, the earth: what moves in space.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn dh_chain(q: &[f64; 4], a: &[f64; 4], alpha: &[f64; 4], d: &[f64; 4], target: &[f64; 3]) -> f64 {
    let mut t = [[0.0; 4]; 4];
    for i in 0..4 {
        t[i][i] = 1.0;
    }
    for i in 0..4 {
        let (st, ct) = q[i].sin_cos();
        let (sa, ca) = alpha[i].sin_cos();
        let link = [
            [ct, -st * ca, st * sa, a[i] * ct],
            [st, ct * ca, -ct * sa, a[i] * st],
            [0.0, sa, ca, d[i]],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let mut next = [[0.0; 4]; 4];
        for r in 0..4 {
            for c in 0..4 {
                for k in 0..4 {
                    next[r][c] += t[r][k] * link[k][c];
                }
            }
        }
        t = next;
    }
    (0..3)
        .map(|k| (t[k][3] - target[k]).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[backprop]
fn bundle(
    cams: &[[f64; 9]],
    pts: &[[f64; 3]],
    obs: &[(usize, usize)],
    uv: &[[f64; 2]],
    delta: f64,
) -> f64 {
    let mut cost = 0.0;
    for (&(c, p), z) in obs.iter().zip(uv) {
        let cam = &cams[c];
        let x = pts[p];
        let w = [cam[0], cam[1], cam[2]];
        let th2 = w[0] * w[0] + w[1] * w[1] + w[2] * w[2];
        let cr = [
            w[1] * x[2] - w[2] * x[1],
            w[2] * x[0] - w[0] * x[2],
            w[0] * x[1] - w[1] * x[0],
        ];
        let dot = w[0] * x[0] + w[1] * x[1] + w[2] * x[2];
        let (a, b, c) = if th2 > 1e-12 {
            let th = th2.sqrt();
            (th.cos(), th.sin() / th, (1.0 - th.cos()) / th2)
        } else {
            (1.0, 1.0, 0.5)
        };
        let mut q = [0.0; 3];
        for k in 0..3 {
            q[k] = a * x[k] + b * cr[k] + c * dot * w[k] + cam[3 + k];
        }
        let (u, v) = (-q[0] / q[2], -q[1] / q[2]);
        let r2 = u * u + v * v;
        let dist = cam[6] * (1.0 + r2 * (cam[7] + cam[8] * r2));
        let e = [dist * u - z[0], dist * v - z[1]];
        let s = e[0] * e[0] + e[1] * e[1];
        cost += if s <= delta * delta {
            0.5 * s
        } else {
            delta * (s.sqrt() - 0.5 * delta)
        };
    }
    cost
}

#[backprop]
fn sphere_trace(o: &[f64; 3], d: &[f64; 3], r: f64) -> f64 {
    let sdf = |p: [f64; 3]| {
        let s = (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]).sqrt() - r;
        let q = [p[0].abs() - 0.5, p[1].abs() - 0.5, p[2].abs() - 0.5];
        let out = (q[0].max(0.0).powi(2) + q[1].max(0.0).powi(2) + q[2].max(0.0).powi(2)).sqrt()
            + q[0].max(q[1]).max(q[2]).min(0.0);
        let k = 0.3;
        let h = (0.5 + 0.5 * (out - s) / k).clamp(0.0, 1.0);
        out * (1.0 - h) + s * h - k * h * (1.0 - h)
    };
    let mut t = 0.0;
    for _ in 0..24 {
        let p = [o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]];
        let dist = sdf(p);
        if dist < 1e-4 {
            break;
        }
        t += dist;
        if t > 20.0 {
            return 20.0;
        }
    }
    t
}

#[backprop]
fn vincenty(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    const A: f64 = 6378137.0;
    const F: f64 = 1.0 / 298.257223563;
    const B: f64 = A * (1.0 - F);
    let l = lon2 - lon1;
    let u1 = ((1.0 - F) * lat1.tan()).atan();
    let u2 = ((1.0 - F) * lat2.tan()).atan();
    let (su1, cu1) = u1.sin_cos();
    let (su2, cu2) = u2.sin_cos();
    let mut lambda = l;
    let mut cos2a;
    let mut sigma;
    let mut ss;
    let mut cs;
    let mut c2sm;
    let mut it = 0;
    loop {
        let (sl, cl) = lambda.sin_cos();
        ss = ((cu2 * sl).powi(2) + (cu1 * su2 - su1 * cu2 * cl).powi(2)).sqrt();
        cs = su1 * su2 + cu1 * cu2 * cl;
        sigma = ss.atan2(cs);
        let sa = cu1 * cu2 * sl / ss;
        cos2a = 1.0 - sa * sa;
        c2sm = if cos2a.abs() > 1e-300 {
            cs - 2.0 * su1 * su2 / cos2a
        } else {
            0.0
        };
        let c = F / 16.0 * cos2a * (4.0 + F * (4.0 - 3.0 * cos2a));
        let prev = lambda;
        lambda = l
            + (1.0 - c) * F * sa * (sigma + c * ss * (c2sm + c * cs * (-1.0 + 2.0 * c2sm * c2sm)));
        it += 1;
        if (lambda - prev).abs() < 1e-15 || it >= 12 {
            break;
        }
    }
    let usq = cos2a * (A * A - B * B) / (B * B);
    let ca = 1.0 + usq / 16384.0 * (4096.0 + usq * (-768.0 + usq * (320.0 - 175.0 * usq)));
    let cb = usq / 1024.0 * (256.0 + usq * (-128.0 + usq * (74.0 - 47.0 * usq)));
    let ds = cb
        * ss
        * (c2sm
            + cb / 4.0
                * (cs * (-1.0 + 2.0 * c2sm * c2sm)
                    - cb / 6.0 * c2sm * (-3.0 + 4.0 * ss * ss) * (-3.0 + 4.0 * c2sm * c2sm)));
    B * ca * (sigma - ds) * 1e-6
}

#[backprop]
fn slerp(p: &[f64; 4], q: &[f64; 4], t: f64, v: &[f64; 3]) -> f64 {
    let norm = |q: &[f64; 4]| -> [f64; 4] {
        let n = q.iter().map(|x| x * x).sum::<f64>().sqrt();
        q.map(|x| x / n)
    };
    let (a, mut b) = (norm(p), norm(q));
    let mut d: f64 = (0..4).map(|i| a[i] * b[i]).sum();
    if d < 0.0 {
        d = -d;
        b = b.map(|x| -x);
    }
    let r = if d > 0.9995 {
        let mut r = [0.0; 4];
        for i in 0..4 {
            r[i] = a[i] + t * (b[i] - a[i]);
        }
        norm(&r)
    } else {
        let th = d.acos();
        let (wa, wb) = (((1.0 - t) * th).sin() / th.sin(), (t * th).sin() / th.sin());
        std::array::from_fn::<_, 4, _>(|i| wa * a[i] + wb * b[i])
    };
    let [w, x, y, z] = r;
    let t2 = [
        2.0 * (y * v[2] - z * v[1]),
        2.0 * (z * v[0] - x * v[2]),
        2.0 * (x * v[1] - y * v[0]),
    ];
    v[0] + w * t2[0] + (y * t2[2] - z * t2[1]) * 2.0
}

#[backprop]
fn trilinear(grid: &[[[f64; 3]; 3]; 3], p: &[f64; 3]) -> f64 {
    let mut idx = [0usize; 3];
    let mut fr = [0.0; 3];
    for k in 0..3 {
        let c = p[k].clamp(0.0, 1.999);
        idx[k] = c as usize;
        fr[k] = c - c.floor();
    }
    let mut s = 0.0;
    for corner in 0..8u32 {
        let mut w = 1.0;
        let mut at = idx;
        for k in 0..3 {
            if corner >> k & 1 == 1 {
                w *= fr[k];
                at[k] += 1;
            } else {
                w *= 1.0 - fr[k];
            }
        }
        s += w * grid[at[0]][at[1]][at[2]];
    }
    s
}

#[backprop]
fn ewald_like(q: &[f64], x: &[f64], alpha: f64) -> f64 {
    let n = q.len();
    let mut e = 0.0;
    'pairs: for i in 0..n {
        for j in 0..n {
            if i == j {
                continue;
            }
            if j > i {
                continue 'pairs;
            }
            for cell in -1i32..=1 {
                let d = (x[i] - x[j] + cell as f64 * 2.0).abs();
                e += q[i] * q[j] * (-alpha * d).exp() / d;
            }
        }
    }
    for k in 1..4 {
        let kk = k as f64 * std::f64::consts::PI;
        let (mut c, mut s) = (0.0, 0.0);
        for (qi, xi) in q.iter().zip(x) {
            let (a, b) = (kk * xi).sin_cos();
            c += qi * b;
            s += qi * a;
        }
        e += (c * c + s * s) * (-kk * kk / (4.0 * alpha)).exp() / (kk * kk);
    }
    e
}

#[backprop]
fn conv2d(img: &[[f64; 5]; 5], k: &[[f64; 3]; 3]) -> f64 {
    let mut out = [[0.0; 3]; 3];
    for y in 0..3 {
        for x in 0..3 {
            for dy in 0..3 {
                for dx in 0..3 {
                    out[y][x] += img[y + dy][x + dx] * k[dy][dx];
                }
            }
            if out[y][x] < 0.0 {
                out[y][x] *= 0.1;
            }
        }
    }
    // max pool 2x2 stride 1
    let mut s = 0.0;
    for y in 0..2 {
        for x in 0..2 {
            let mut m = f64::NEG_INFINITY;
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                if out[y + dy][x + dx] > m {
                    m = out[y + dy][x + dx];
                }
            }
            s += m * m;
        }
    }
    s
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(
        dh_chain,
        [
            q = [0.1, 0.5, -0.3, 0.8],
            a = [1.0, 0.5, 0.3, 0.1],
            alpha = [0.3, -0.4, 0.5, 0.1],
            d = [0.1, 0.0, 0.2, 0.3],
            target = [0.5, 0.5, 0.9]
        ],
        (&q, &a, &alpha, &d, &target)
    );
    every_way!(
        bundle,
        [
            cams = vec![
                [0.1, 0.2, -0.1, 0.3, 0.1, -5.0, 1.2, 0.1, 0.02],
                [0.0, 0.0, 0.0, 0.3, 0.1, -5.0, 1.2, 0.1, 0.02]
            ],
            pts = vec![[0.5, 0.2, 0.3], [-0.3, 0.6, 0.1]],
            uv = vec![[0.1, 0.2], [0.3, 0.1], [2.0, 1.0]],
            delta = 0.5
        ],
        (&cams, &pts, &[(0, 0), (0, 1), (0, 1)], &uv, delta)
    );
    every_way!(
        sphere_trace,
        [o = [0.1, 0.2, -3.0], d = [0.05, 0.02, 0.99], r = 0.7],
        (&o, &d, r),
        every_way::NARROW
    );
    every_way!(
        vincenty,
        [lat1 = 0.7, lon1 = 0.1, lat2 = 0.8, lon2 = 0.9],
        (lat1, lon1, lat2, lon2)
    );
    every_way!(
        slerp,
        [
            p = [1.0, 0.2, 0.3, 0.1],
            q = [0.3, 0.9, -0.2, 0.5],
            t = 0.3,
            v = [1.0, 2.0, 0.5]
        ],
        (&p, &q, t, &v)
    );
    every_way!(
        slerp,
        [
            p = [1.0, 0.2, 0.3, 0.1],
            q = [-1.0, -0.21, -0.3, -0.1],
            t = 0.3,
            v = [1.0, 2.0, 0.5]
        ],
        (&p, &q, t, &v)
    );
    every_way!(
        trilinear,
        [
            grid = [
                [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]],
                [[1.1, 0.2, 0.3], [0.4, 1.5, 0.6], [0.7, 0.8, 1.9]],
                [[0.1, 2.2, 0.3], [2.4, 0.5, 2.6], [0.7, 2.8, 0.9]]
            ],
            p = [0.3, 1.2, 0.7]
        ],
        (&grid, &p)
    );
    every_way!(
        ewald_like,
        [
            q = vec![1.0, -2.0, 1.5],
            x = vec![0.1, 0.6, 1.3],
            alpha = 0.7
        ],
        (&q, &x, alpha)
    );
    every_way!(
        conv2d,
        [
            img = [
                [0.1, 0.5, -0.2, 0.7, 0.3],
                [0.9, -0.4, 0.6, 0.2, 0.8],
                [0.25, 0.35, -0.45, 0.55, 0.65],
                [0.15, -0.75, 0.85, 0.95, 0.05],
                [0.4, 0.3, 0.2, -0.1, 0.6]
            ],
            k = [[1.0, 0.3, -0.5], [0.2, 0.7, 0.4], [-0.6, 0.1, 0.9]]
        ],
        (&img, &k)
    );
}
