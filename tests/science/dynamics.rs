//! Equations of motion, diffusion and reactions, stepped in time.

use crate::every_way;
use backprop::backprop;

// A Runge-Kutta method by its tableau.
const A: [[f64; 4]; 4] = [
    [0.0; 4],
    [0.5, 0.0, 0.0, 0.0],
    [0.0, 0.5, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
];
const B: [f64; 4] = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];

#[backprop]
fn rk_tableau(y0: &[f64; 2], mu: f64, h: f64, n: usize) -> f64 {
    let mut y = *y0;
    for _ in 0..n {
        let mut k = [[0.0; 2]; 4];
        for s in 0..4 {
            let mut yi = y;
            for (j, kj) in k.iter().enumerate().take(s) {
                for d in 0..2 {
                    yi[d] += h * A[s][j] * kj[d];
                }
            }
            k[s] = [yi[1], mu * (1.0 - yi[0] * yi[0]) * yi[1] - yi[0]];
        }
        for d in 0..2 {
            y[d] += h * B.iter().zip(k.iter()).map(|(b, k)| b * k[d]).sum::<f64>();
        }
    }
    y[0] * y[0] + y[1]
}

#[backprop]
fn velocity_verlet(q: &[[f64; 2]; 3], v: &[[f64; 2]; 3], m: &[f64; 3], dt: f64) -> f64 {
    let mut q = *q;
    let mut v = *v;
    let mut a = [[0.0; 2]; 3];
    let mut energy = 0.0;
    for step in 0..5 {
        if step > 0 {
            for i in 0..3 {
                for k in 0..2 {
                    v[i][k] += 0.5 * dt * a[i][k];
                    q[i][k] += dt * v[i][k];
                }
            }
        }
        a = [[0.0; 2]; 3];
        energy = 0.0;
        for i in 0..3 {
            for j in (i + 1)..3 {
                let d = [q[j][0] - q[i][0], q[j][1] - q[i][1]];
                let r2 = d[0] * d[0] + d[1] * d[1] + 0.01;
                let inv = 1.0 / (r2 * r2.sqrt());
                for k in 0..2 {
                    a[i][k] += m[j] * d[k] * inv;
                    a[j][k] -= m[i] * d[k] * inv;
                }
                energy -= m[i] * m[j] / r2.sqrt();
            }
        }
        if step > 0 {
            for i in 0..3 {
                for k in 0..2 {
                    v[i][k] += 0.5 * dt * a[i][k];
                }
            }
        }
    }
    for i in 0..3 {
        energy += 0.5 * m[i] * (v[i][0].powi(2) + v[i][1].powi(2));
    }
    energy
}

#[backprop]
fn robertson(k: &[f64; 3], y0: &[f64; 3], dt: f64, steps: usize) -> f64 {
    // implicit Euler by Newton, 3x3 solve by Cramer
    let mut y = *y0;
    for _ in 0..steps {
        let old = y;
        for _ in 0..4 {
            let r = [
                -k[0] * y[0] + k[2] * y[1] * y[2],
                k[0] * y[0] - k[2] * y[1] * y[2] - k[1] * y[1] * y[1],
                k[1] * y[1] * y[1],
            ];
            let mut f = [0.0; 3];
            for i in 0..3 {
                f[i] = y[i] - old[i] - dt * r[i];
            }
            let j = [
                [1.0 + dt * k[0], -dt * k[2] * y[2], -dt * k[2] * y[1]],
                [
                    -dt * k[0],
                    1.0 + dt * (k[2] * y[2] + 2.0 * k[1] * y[1]),
                    dt * k[2] * y[1],
                ],
                [0.0, -2.0 * dt * k[1] * y[1], 1.0],
            ];
            let det = |m: &[[f64; 3]; 3]| {
                m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
                    - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
                    + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
            };
            let d = det(&j);
            for c in 0..3 {
                let mut m = j;
                for r in 0..3 {
                    m[r][c] = f[r];
                }
                y[c] -= det(&m) / d;
            }
        }
    }
    y[0] + 10.0 * y[1] - y[2] * y[2]
}

#[backprop]
fn burgers_upwind(u0: &[f64], nu: f64, dt: f64, steps: usize) -> f64 {
    let n = u0.len();
    let dx = 1.0 / n as f64;
    let mut u = u0.to_vec();
    let mut un = u.clone();
    for _ in 0..steps {
        un.copy_from_slice(&u);
        for i in 0..n {
            let (l, r) = (un[(i + n - 1) % n], un[(i + 1) % n]);
            let adv = if un[i] > 0.0 {
                un[i] * (un[i] - l) / dx
            } else {
                un[i] * (r - un[i]) / dx
            };
            u[i] = un[i] - dt * adv + nu * dt / (dx * dx) * (r - 2.0 * un[i] + l);
        }
    }
    u.iter().map(|x| x * x * x).sum::<f64>()
}

#[backprop]
fn wave_leapfrog(c: &[f64], src: &[f64]) -> f64 {
    let n = c.len();
    let mut prev = vec![0.0; n];
    let mut cur = vec![0.0; n];
    let mut misfit = 0.0;
    for (t, s) in src.iter().enumerate() {
        let mut next = vec![0.0; n];
        for i in 1..n - 1 {
            let lap = cur[i - 1] - 2.0 * cur[i] + cur[i + 1];
            next[i] = 2.0 * cur[i] - prev[i] + 0.1 * c[i] * c[i] * lap;
        }
        next[n / 2] += s;
        let obs = next[1] - 0.05 * t as f64;
        misfit += 0.5 * obs * obs;
        prev = cur;
        cur = next;
    }
    misfit
}

#[backprop]
fn double_buffer_life(u0: &[f64], k: f64, steps: usize) -> f64 {
    let n = u0.len();
    let mut a = u0.to_vec();
    let mut b = vec![0.0; n];
    for s in 0..steps {
        let (src, dst) = (&a, &mut b);
        for i in 0..n {
            let l = src[(i + n - 1) % n];
            let r = src[(i + 1) % n];
            dst[i] = src[i] + k * (l - 2.0 * src[i] + r) * (1.0 + 0.1 * src[i]);
        }
        std::mem::swap(&mut a, &mut b);
        if s % 2 == 1 {
            a[0] = 0.5 * u0[n - 1];
        }
    }
    a.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[backprop]
fn neural_ode(x0: f64, w1: &[f64; 4], b1: &[f64; 4], w2: &[f64; 4], n: usize) -> f64 {
    let f = |x: f64, t: f64| {
        let mut s = 0.0;
        for k in 0..4 {
            s += w2[k] * (w1[k] * x + b1[k] + 0.1 * t).tanh();
        }
        s
    };
    let h = 1.0 / n as f64;
    let mut x = x0;
    let mut t = 0.0;
    for _ in 0..n {
        let k1 = f(x, t);
        let k2 = f(x + 0.5 * h * k1, t + 0.5 * h);
        let k3 = f(x + 0.5 * h * k2, t + 0.5 * h);
        let k4 = f(x + h * k3, t + h);
        x += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
        t += h;
    }
    (x - 0.3).powi(2)
}

#[backprop]
fn sir_model(beta: f64, gamma: f64, i0: f64, data: &[f64]) -> f64 {
    let (mut s, mut i, mut r) = (1.0 - i0, i0, 0.0);
    let mut sse = 0.0;
    for (day, obs) in data.iter().enumerate() {
        for _ in 0..4 {
            let inf = beta * s * i * 0.25;
            let rec = gamma * i * 0.25;
            s -= inf;
            i += inf - rec;
            r += rec;
        }
        if day % 2 == 0 {
            continue;
        }
        sse += (i - obs).powi(2) / (r + 0.1);
    }
    sse
}

#[backprop]
fn heston_euler(v0: f64, kappa: f64, theta: f64, xi: f64, rho: f64, seed: u64) -> f64 {
    let mut st = seed;
    let mut payoff = 0.0;
    let paths = 8;
    let dt: f64 = 0.05;
    for _ in 0..paths {
        let (mut s, mut v) = (1.0, v0);
        for _ in 0..10 {
            let mut u = [0.0; 2];
            for e in u.iter_mut() {
                st = st.wrapping_mul(6364136223846793005).wrapping_add(1);
                *e = ((st >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            }
            let rad = (-2.0 * u[0].ln()).sqrt();
            let (z1, z2) = (
                rad * (6.283185307179586 * u[1]).cos(),
                rad * (6.283185307179586 * u[1]).sin(),
            );
            let vp = v.max(0.0);
            s *= ((-0.5 * vp) * dt + (vp * dt).sqrt() * z1).exp();
            v += kappa * (theta - vp) * dt
                + xi * (vp * dt).sqrt() * (rho * z1 + (1.0 - rho * rho).sqrt() * z2);
        }
        payoff += f64::max(s - 1.0, 0.0);
    }
    payoff / paths as f64
}

#[backprop]
fn adaptive_euler(y0: f64, k: f64) -> f64 {
    let (mut t, mut h, mut y) = (0.0, 0.3, y0);
    let mut steps = 0;
    while t < 1.0 {
        if t + h > 1.0 {
            h = 1.0 - t;
        }
        let f1 = -k * y * y;
        let f2 = -k * (y + h * f1) * (y + h * f1);
        let e = 0.5 * h * (f2 - f1);
        if e.abs() > 1e-2 && steps < 1000 {
            h *= 0.5;
            steps += 1;
            continue;
        }
        y += 0.5 * h * (f1 + f2);
        t += h;
        if e.abs() < 1e-3 {
            h *= 1.5;
        }
        steps += 1;
    }
    y
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(
        rk_tableau,
        [y0 = [1.0, 0.5], mu = 0.8, h = 0.1],
        (&y0, mu, h, 7)
    );
    every_way!(
        velocity_verlet,
        [
            q = [[0.0, 0.0], [1.0, 0.2], [-0.3, 0.9]],
            v = [[0.1, 0.0], [0.0, 0.5], [-0.2, 0.1]],
            m = [1.0, 0.5, 0.7],
            dt = 0.05
        ],
        (&q, &v, &m, dt)
    );
    every_way!(
        robertson,
        [k = [0.04, 0.3, 1.0], y0 = [1.0, 0.1, 0.05], dt = 0.1],
        (&k, &y0, dt, 3)
    );
    every_way!(
        burgers_upwind,
        [u0 = vec![0.5, 1.0, -0.5, -0.2, 0.3], nu = 0.01, dt = 0.02],
        (&u0, nu, dt, 4)
    );
    every_way!(
        wave_leapfrog,
        [
            c = vec![1.0, 0.9, 0.8, 1.1, 1.2],
            src = vec![0.5, 1.0, 0.3, -0.2, 0.1, 0.4]
        ],
        (&c, &src)
    );
    every_way!(
        double_buffer_life,
        [u0 = vec![1.0, 0.3, 2.0, 0.5, 0.1], k = 0.2],
        (&u0, k, 5)
    );
    every_way!(
        neural_ode,
        [
            x0 = 0.5,
            w1 = [0.5, -0.3, 0.8, 0.1],
            b1 = [0.1, 0.2, -0.3, 0.4],
            w2 = [0.7, 0.2, -0.6, 0.9]
        ],
        (x0, &w1, &b1, &w2, 6)
    );
    every_way!(
        sir_model,
        [
            beta = 0.5,
            gamma = 0.2,
            i0 = 0.01,
            data = vec![0.1, 0.2, 0.15, 0.3]
        ],
        (beta, gamma, i0, &data)
    );
    every_way!(
        heston_euler,
        [v0 = 0.2, kappa = 1.5, theta = 0.2, xi = 0.1, rho = -0.5],
        (v0, kappa, theta, xi, rho, 7),
        every_way::NARROW
    );
    every_way!(
        adaptive_euler,
        [y0 = 1.0, k = 2.0],
        (y0, k),
        every_way::NARROW
    );
}
