//! `&mut` parameters: changed in place, differentiated with respect to what they hold on entry.

#![allow(clippy::needless_range_loop)] // Differentiated as users write them.

#[path = "support/differences.rs"]
mod differences;

use backprop::{Differentiable, backprop};
use differences::{near, slope};

const U: [f64; 5] = [0.3, -0.2, 1.1, 0.7, -0.5];

fn with(i: usize, v: f64) -> [f64; 5] {
    let mut u = U;
    u[i] = v;
    u
}

#[backprop]
fn diffuse(u: &mut [f64], k: f64, steps: usize) -> f64 {
    for _ in 0..steps {
        let mut left = u[0];
        for i in 1..u.len() - 1 {
            let here = u[i];
            u[i] = here + k * (u[i + 1] - 2.0 * here + left) + 0.1 * here * here;
            left = here;
        }
    }
    let mut s = 0.0;
    for v in u.iter() {
        s += v * v;
    }
    s
}

#[test]
fn a_slice_changed_in_place() {
    let value = |u: [f64; 5], k| diffuse(&mut { u }, k, 3);
    let mut after = U;
    let y = diffuse(&mut after, 0.2, 3);
    let mut u = U;
    let (z, g) = diffuse::value_and_gradient(&mut u, 0.2, 3);
    assert_eq!((z, u), (y, after));
    for i in 0..5 {
        near(g.u[i], slope(|v| value(with(i, v), 0.2), U[i]));
    }
    near(g.k, slope(|k| value(U, k), 0.2));

    let mut u = U;
    let (z, saved) = diffuse::forward(&mut u, 0.2, 3);
    assert_eq!((z, u), (y, after));
    // The caller may go on changing it.
    u = [0.0; 5];
    assert_eq!(diffuse::backward(&saved, 1.0), g);
    assert_eq!(diffuse::backward(&saved, 1.0), g);
    assert_eq!(u, [0.0; 5]);

    let mut u = U;
    let (mut du, mut dk) = (vec![1.0; 5], 2.0);
    diffuse::accumulate(&mut u, 0.2, 3, 1.0, &mut du, &mut dk);
    assert_eq!(u, after);
    assert_eq!(du[2], g.u[2] + 1.0);
    let mut u = U;
    diffuse::value_and_gradient_into(&mut u, 0.2, 3, &mut du, &mut dk);
    assert_eq!((du, dk), (g.u, g.k));
}

#[backprop]
fn scalars(x: &mut f64, y: &mut f64, count: &mut u32) -> f64 {
    std::mem::swap(x, y);
    *x *= 3.0;
    *count += 1;
    if *y > 1.0 {
        *y = y.sin();
        return *x * *y;
    }
    *x + *y
}

#[test]
fn scalars_changed_in_place() {
    for (a, b) in [(0.4, 1.5), (1.5, 0.4)] {
        let (mut x, mut y, mut n) = (a, b, 0);
        let (value, g) = scalars::value_and_gradient(&mut x, &mut y, &mut n);
        let (mut p, mut q, mut m) = (a, b, 0);
        assert_eq!(value, scalars(&mut p, &mut q, &mut m));
        assert_eq!((x, y, n), (p, q, m));
        near(g.x, slope(|a| scalars(&mut { a }, &mut { b }, &mut 0), a));
        near(g.y, slope(|b| scalars(&mut { a }, &mut { b }, &mut 0), b));
        let (mut x, mut y, mut n) = (a, b, 0);
        let (_, saved) = scalars::forward(&mut x, &mut y, &mut n);
        assert_eq!((x, y, n), (p, q, m));
        assert_eq!(scalars::backward(&saved, 1.0), g);
    }
}

#[backprop]
fn leapfrog(q: &mut [f64; 2], p: &mut [f64; 2], h: f64, n: usize) {
    for _ in 0..n {
        for i in 0..2 {
            p[i] -= 0.5 * h * q[i].sin();
        }
        for i in 0..2 {
            q[i] += h * p[i];
        }
        for i in 0..2 {
            p[i] -= 0.5 * h * q[i].sin();
        }
    }
}

#[test]
fn a_function_that_returns_nothing() {
    let (q0, p0) = ([0.3, 1.2], [-0.4, 0.5]);
    let weigh = |q: [f64; 2], p: [f64; 2]| q[0] + 2.0 * q[1] - p[0] + 0.5 * p[1];
    let run = |q: [f64; 2], p: [f64; 2], h| {
        let (mut q, mut p) = (q, p);
        leapfrog(&mut q, &mut p, h, 4);
        weigh(q, p)
    };
    let (mut q, mut p) = (q0, p0);
    let ((), saved) = leapfrog::forward(&mut q, &mut p, 0.1, 4);
    assert_eq!(weigh(q, p), run(q0, p0, 0.1));
    let upstream = ([1.0, 2.0], [-1.0, 0.5]);
    let g = leapfrog::backward(&saved, upstream);
    for i in 0..2 {
        let q = |v| {
            let mut q = q0;
            q[i] = v;
            q
        };
        let p = |v| {
            let mut p = p0;
            p[i] = v;
            p
        };
        near(g.q[i], slope(|v| run(q(v), p0, 0.1), q0[i]));
        near(g.p[i], slope(|v| run(q0, p(v), 0.1), p0[i]));
    }
    near(g.h, slope(|h| run(q0, p0, h), 0.1));
    let (mut q, mut p) = (q0, p0);
    let (mut dq, mut dp, mut dh) = ([0.0; 2], [0.0; 2], 0.0);
    leapfrog::accumulate(&mut q, &mut p, 0.1, 4, upstream, &mut dq, &mut dp, &mut dh);
    assert_eq!((dq, dp, dh), (g.q, g.p, g.h));
}

#[backprop]
fn scale(v: &mut [f64], by: f64) {
    for x in v.iter_mut() {
        *x *= by;
    }
}

#[test]
fn one_slice_and_no_result() {
    let mut v = [1.0, 2.0];
    let ((), saved) = scale::forward(&mut v, 3.0);
    assert_eq!(v, [3.0, 6.0]);
    let g = scale::backward(&saved, vec![1.0, 10.0]);
    assert_eq!((g.v, g.by), (vec![3.0, 30.0], 21.0));
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct State {
    x: f64,
    v: Vec<f64>,
    steps: u32,
}

#[backprop]
fn advance(s: &mut State, h: f64) -> f64 {
    s.x += h * s.v[0];
    s.steps += 1;
    for i in 0..s.v.len() {
        s.v[i] -= h * s.x * s.v[i];
    }
    let State { x, .. } = *s;
    x * s.v[1]
}

#[test]
fn a_struct_changed_in_place() {
    let start = || State {
        x: 0.5,
        v: vec![0.2, -0.7],
        steps: 4,
    };
    let (mut a, mut b) = (start(), start());
    let y = advance(&mut a, 0.1);
    let (z, g) = advance::value_and_gradient(&mut b, 0.1);
    assert_eq!((y, &a), (z, &b));
    let mut b = start();
    let (z, saved) = advance::forward(&mut b, 0.1);
    assert_eq!((y, &a), (z, &b));
    assert_eq!(advance::backward(&saved, 1.0), g);
    let vary = |change: &dyn Fn(&mut State, f64), at| {
        let f = |v| {
            let mut s = start();
            change(&mut s, v);
            advance(&mut s, 0.1)
        };
        slope(f, at)
    };
    near(g.s.x, vary(&|s, v| s.x = v, 0.5));
    near(g.s.v[0], vary(&|s, v| s.v[0] = v, 0.2));
    near(g.s.v[1], vary(&|s, v| s.v[1] = v, -0.7));
    near(g.h, slope(|h| advance(&mut start(), h), 0.1));
}

#[backprop]
fn replaced(m: &mut [[f64; 2]; 2], a: &mut [f64], b: &mut [f64], x: f64) -> f64 {
    let old = *m;
    *m = [[x, 1.0], [old[0][1], x * old[1][1]]];
    a.swap_with_slice(b);
    a[0] *= x;
    a.swap(0, 1);
    b.copy_from_slice(a);
    m[1][0] * m[1][1] + a[0] + b[1] * old[0][0]
}

#[test]
fn whole_arrays_replaced() {
    let m0 = [[0.1, 0.2], [0.3, 0.4]];
    let run = |m: [[f64; 2]; 2], a: [f64; 2], b: [f64; 2], x| {
        let (mut m, mut a, mut b) = (m, a, b);
        let y = replaced(&mut m, &mut a, &mut b, x);
        (y, m, a, b)
    };
    let (a0, b0) = ([1.0, 2.0], [3.0, 5.0]);
    let (mut m, mut a, mut b) = (m0, a0, b0);
    let (y, g) = replaced::value_and_gradient(&mut m, &mut a, &mut b, 0.7);
    assert_eq!((y, m, a, b), run(m0, a0, b0, 0.7));
    near(g.x, slope(|x| run(m0, a0, b0, x).0, 0.7));
    for i in 0..2 {
        let at = |mut v: [f64; 2], x| {
            v[i] = x;
            v
        };
        near(g.a[i], slope(|v| run(m0, at(a0, v), b0, 0.7).0, a0[i]));
        near(g.b[i], slope(|v| run(m0, a0, at(b0, v), 0.7).0, b0[i]));
        near(
            g.m[i][1],
            slope(
                |v| {
                    let mut m = m0;
                    m[i][1] = v;
                    run(m, a0, b0, 0.7).0
                },
                m0[i][1],
            ),
        );
    }
}
