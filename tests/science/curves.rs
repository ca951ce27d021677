//! Splines, quadrature, roots and special functions: as far as a tolerance asks.

use crate::every_way;
use backprop::backprop;

const GAUSS: [(f64, f64); 3] = [
    (-0.7745966692414834, 0.5555555555555556),
    (0.0, 0.8888888888888888),
    (0.7745966692414834, 0.5555555555555556),
];

#[backprop]
fn natural_spline(xs: &[f64], ys: &[f64], t: f64) -> f64 {
    let n = xs.len() - 1;
    let mut h = vec![0.0; n];
    for i in 0..n {
        h[i] = xs[i + 1] - xs[i];
    }
    let mut alpha = vec![0.0; n];
    for i in 1..n {
        alpha[i] = 3.0 / h[i] * (ys[i + 1] - ys[i]) - 3.0 / h[i - 1] * (ys[i] - ys[i - 1]);
    }
    let (mut l, mut mu, mut z) = (vec![1.0; n + 1], vec![0.0; n + 1], vec![0.0; n + 1]);
    for i in 1..n {
        l[i] = 2.0 * (xs[i + 1] - xs[i - 1]) - h[i - 1] * mu[i - 1];
        mu[i] = h[i] / l[i];
        z[i] = (alpha[i] - h[i - 1] * z[i - 1]) / l[i];
    }
    let mut c = vec![0.0; n + 1];
    let mut b = vec![0.0; n];
    let mut d = vec![0.0; n];
    for j in (0..n).rev() {
        c[j] = z[j] - mu[j] * c[j + 1];
        b[j] = (ys[j + 1] - ys[j]) / h[j] - h[j] * (c[j + 1] + 2.0 * c[j]) / 3.0;
        d[j] = (c[j + 1] - c[j]) / (3.0 * h[j]);
    }
    let mut k = 0;
    while k + 1 < n && t > xs[k + 1] {
        k += 1;
    }
    let s = t - xs[k];
    ys[k] + b[k] * s + c[k] * s * s + d[k] * s.powi(3)
}

#[backprop]
fn de_boor(knots: &[f64], ctrl: &[f64], x: f64) -> f64 {
    let p = 3usize;
    let mut k = p;
    while k < ctrl.len() - 1 && x >= knots[k + 1] {
        k += 1;
    }
    let mut d = [0.0; 4];
    for j in 0..=p {
        d[j] = ctrl[j + k - p];
    }
    for r in 1..=p {
        for j in (r..=p).rev() {
            let alpha = (x - knots[j + k - p]) / (knots[j + 1 + k - r] - knots[j + k - p]);
            d[j] = (1.0 - alpha) * d[j - 1] + alpha * d[j];
        }
    }
    d[p]
}

#[backprop]
fn adaptive_simpson(a: f64, b: f64, w: f64) -> f64 {
    let f = |x: f64| (w * x).sin() / (1.0 + x * x);
    let mut stack = [(0.0, 0.0); 32];
    let mut top = 1;
    stack[0] = (a, b);
    let mut total = 0.0;
    while top > 0 {
        top -= 1;
        let (lo, hi) = stack[top];
        let m = 0.5 * (lo + hi);
        let s1 = (hi - lo) / 6.0 * (f(lo) + 4.0 * f(m) + f(hi));
        let s2 = (m - lo) / 6.0 * (f(lo) + 4.0 * f(0.5 * (lo + m)) + f(m))
            + (hi - m) / 6.0 * (f(m) + 4.0 * f(0.5 * (m + hi)) + f(hi));
        if (s2 - s1).abs() < 1e-5 || top + 2 > 32 {
            total += s2 + (s2 - s1) / 15.0;
        } else {
            stack[top] = (lo, m);
            stack[top + 1] = (m, hi);
            top += 2;
        }
    }
    total
}

#[backprop]
fn quadrature(a: f64, b: f64) -> f64 {
    const OFF: &[(i32, i32)] = &[(0, 1), (1, 0), (-1, 2)];
    let mut s = 0.0;
    for (x, w) in GAUSS {
        let t = 0.5 * (b - a) * x + 0.5 * (a + b);
        s += w * t.exp() * t;
    }
    for &(x, w) in GAUSS.iter() {
        s += (w * a + x).cos();
    }
    for (x, w) in &GAUSS {
        s += (w * a + x * b).sin();
    }
    for (k, &(x, w)) in GAUSS.iter().enumerate() {
        s += x * w * b.powi(k as i32);
    }
    for &(di, dj) in OFF {
        s += a * di as f64 - b * dj as f64;
    }
    s * 0.5 * (b - a)
}

#[backprop]
fn brent_root(a: f64, b: f64, c: f64) -> f64 {
    let f = |x: f64| x * x * x - a * x - b;
    let (mut lo, mut hi) = (0.0, c);
    let (mut flo, mut fhi) = (f(lo), f(hi));
    let mut x = hi;
    for it in 0..60 {
        let s = if (fhi - flo).abs() > 1e-14 {
            hi - fhi * (hi - lo) / (fhi - flo)
        } else {
            0.5 * (lo + hi)
        };
        let mid = 0.5 * (lo + hi);
        x = if it % 3 == 2 { mid } else { s };
        let fx = f(x);
        if fx.abs() < 1e-13 {
            break;
        }
        if fx * flo < 0.0 {
            hi = x;
            fhi = fx;
        } else {
            lo = x;
            flo = fx;
        }
    }
    // one exact Newton step for the implicit derivative
    x - f(x) / (3.0 * x * x - a)
}

#[backprop]
fn lambert_w(x: f64) -> f64 {
    let mut w = if x > 1.0 {
        x.ln() - x.ln().ln().max(0.0)
    } else {
        x / (1.0 + x)
    };
    for _ in 0..20 {
        let e = w.exp();
        let f = w * e - x;
        let step = f / (e * (w + 1.0) - (w + 2.0) * f / (2.0 * w + 2.0));
        w -= step;
        if step.abs() <= 1e-15 * w.abs() {
            break;
        }
    }
    let e = w.exp();
    w - (w * e - x) / (e * (w + 1.0))
}

#[backprop]
fn incomplete_gamma(a: f64, x: f64) -> f64 {
    if x < 0.0 || a <= 0.0 {
        return f64::NAN;
    }
    let lnpre = -x + a * x.ln();
    if x < a + 1.0 {
        let mut ap = a;
        let mut sum = 1.0 / a;
        let mut del = sum;
        for _ in 0..200 {
            ap += 1.0;
            del *= x / ap;
            sum += del;
            if del.abs() < sum.abs() * 1e-16 {
                break;
            }
        }
        sum * lnpre.exp()
    } else {
        let tiny = 1e-300;
        let mut b = x + 1.0 - a;
        let mut c = 1.0 / tiny;
        let mut d = 1.0 / b;
        let mut h = d;
        for i in 1..200 {
            let an = -(i as f64) * (i as f64 - a);
            b += 2.0;
            d = an * d + b;
            if d.abs() < tiny {
                d = tiny;
            }
            c = b + an / c;
            if c.abs() < tiny {
                c = tiny;
            }
            d = 1.0 / d;
            let del = d * c;
            h *= del;
            if (del - 1.0).abs() < 1e-16 {
                break;
            }
        }
        lnpre.exp() * h
    }
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(
        natural_spline,
        [
            xs = vec![0.0, 1.0, 2.5, 3.0, 4.2],
            ys = vec![1.0, 2.0, 0.5, 0.7, 1.1],
            t = 2.7
        ],
        (&xs, &ys, t)
    );
    every_way!(
        de_boor,
        [
            knots = vec![0.0, 0.1, 0.2, 0.3, 1.0, 2.0, 3.0, 3.1, 3.2, 3.3],
            ctrl = vec![1.0, 2.0, 0.5, 0.7, 1.1, 2.2],
            x = 1.3
        ],
        (&knots, &ctrl, x)
    );
    every_way!(
        adaptive_simpson,
        [a = 0.1, b = 2.0, w = 3.0],
        (a, b, w),
        every_way::NARROW
    );
    every_way!(quadrature, [a = 0.3, b = 1.7], (a, b));
    every_way!(
        brent_root,
        [a = 1.0, b = 2.0, c = 3.0],
        (a, b, c),
        every_way::NARROW
    );
    every_way!(lambert_w, [x = 2.5], (x));
    every_way!(lambert_w, [x = 0.5], (x));
    every_way!(incomplete_gamma, [a = 2.5, x = 1.5], (a, x));
    every_way!(incomplete_gamma, [a = 2.5, x = 5.5], (a, x));
}
