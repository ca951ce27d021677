//! `jvp`: value and tangent, forward, against the gradient: `<J v, 1> = <v, g>`.

use approx::assert_relative_eq;
use backprop::{Differentiable, backprop, detach};

#[backprop(jvp)]
fn straight(x: f64, y: &f64) -> f64 {
    (x * y).sin() + x.powf(*y) / (1.0 + (-x).exp())
}

#[backprop(jvp)]
fn stateful(w: &[f64], x: [[f64; 2]; 2], n: usize) -> f64 {
    let mut state = [x[0][0], x[1][1]];
    let mut history = Vec::new();
    for k in 0..n {
        let next = (state[0] * w[k % w.len()]).tanh() + detach(state[1]);
        if next > 0.3 {
            state[1] *= next;
        } else {
            state[0] -= x[0][1] * next;
        }
        history.push(next);
        state.swap(0, 1);
        if state[0] > 10.0 {
            break;
        }
    }
    while let Some(last) = history.pop() {
        state[0] = state[0] * 0.5 + last * x[1][0];
    }
    state[0] * state[1]
}

#[backprop(jvp, wrt(a, c))]
fn shaped(a: (f64, [f64; 2]), b: &[f64], mut c: Vec<f64>) -> (f64, Vec<f64>) {
    c[0] *= b[0];
    let mut out = vec![a.0; 3];
    for (k, v) in c.iter().enumerate() {
        out[k] += v * a.1[0];
    }
    (a.1[1] * c[0], out)
}

#[backprop(jvp)]
fn generic<T: num_traits::Float, const N: usize>(x: [T; N], s: T) -> T {
    let mut total = T::zero();
    for v in x {
        total = total + (v * s).exp();
    }
    total.ln()
}

#[derive(Clone, Copy, Differentiable)]
struct Point {
    x: f64,
    tag: usize,
    y: f64,
}

#[backprop(jvp)]
fn structs(p: Point, all: &[Point]) -> f64 {
    let mut s = p.x * p.y;
    for q in all {
        s += (q.x - p.x).powi(2) * q.tag as f64 + q.y;
    }
    s
}

struct Spring {
    k: f64,
}

impl Spring {
    #[backprop(jvp)]
    fn energy(&self, x: f64) -> f64 {
        0.5 * self.k * x * x
    }
}

#[test]
fn tangents_are_the_gradient_seen_from_the_other_side() {
    let (x, y) = (0.7, 1.3);
    let (value, tangent) = straight::jvp(x, &y, 2.0, -0.5);
    let g = straight::gradient(x, &y);
    assert_eq!(value, straight(x, &y));
    assert_relative_eq!(tangent, 2.0 * g.x - 0.5 * g.y, max_relative = 1e-14);

    let (w, x) = ([0.9, -1.4, 2.0], [[0.8, 0.3], [-0.6, 1.1]]);
    let (dw, dx) = ([0.2, -0.7, 1.0], [[1.0, 0.5], [-2.0, 0.25]]);
    let (value, tangent) = stateful::jvp(&w, x, 7, &dw, &dx);
    assert_eq!(value, stateful(&w, x, 7));
    let g = stateful::gradient(&w, x, 7);
    let mut want: f64 = g.w.iter().zip(&dw).map(|(g, d)| g * d).sum();
    want +=
        g.x.iter()
            .flatten()
            .zip(dx.iter().flatten())
            .map(|(g, d)| g * d)
            .sum::<f64>();
    assert_relative_eq!(tangent, want, max_relative = 1e-13);
}

#[test]
fn tangents_have_the_shapes_of_parameters_and_results() {
    let (a, b, c) = ((0.5, [1.5, -2.0]), [3.0], vec![1.0, 2.0]);
    let ((v, all), (dv, dall)) = shaped::jvp(a, &b, c.clone(), (1.0, [0.5, 0.25]), &[2.0, 4.0]);
    assert_eq!((v, all), shaped(a, &b, c));
    assert_eq!(dv, 0.25 * 3.0 - 2.0 * 6.0);
    assert_eq!(
        dall,
        [
            1.0 + 6.0 * 1.5 + 3.0 * 0.5,
            1.0 + 4.0 * 1.5 + 2.0 * 0.5,
            1.0
        ]
    );

    let (_, tangent) = generic::jvp([0.5_f32, 1.0], 2.0, &[1.0, 0.0], 0.0);
    assert_eq!(tangent, generic::gradient([0.5_f32, 1.0], 2.0).x[0]);
    let (value, tangent) = Spring { k: 3.0 }.energy_jvp(2.0, 0.5);
    assert_eq!((value, tangent), (6.0, 3.0));
}

#[test]
fn tangents_of_structs_are_their_gradients() {
    let p = Point {
        x: 1.0,
        tag: 0,
        y: 2.0,
    };
    let all = [Point {
        x: 3.0,
        tag: 2,
        y: 0.5,
    }];
    let g = structs::gradient(p, &all);
    let dp = PointGradient { x: 0.5, y: -1.0 };
    let dall = [PointGradient { x: 2.0, y: 3.0 }];
    let (_, tangent) = structs::jvp(p, &all, dp.clone(), &dall);
    let want = g.p.x * dp.x + g.p.y * dp.y + g.all[0].x * dall[0].x + g.all[0].y * dall[0].y;
    assert_relative_eq!(tangent, want, max_relative = 1e-14);
}

#[test]
#[should_panic(expected = "the tangent of `w` has another length")]
fn a_tangent_of_another_length_panics() {
    stateful::jvp(&[1.0, 2.0], [[0.0; 2]; 2], 1, &[1.0], &[[0.0; 2]; 2]);
}

/// Calls of annotated functions, `&mut` parameters and struct results.
mod through {
    use super::*;

    #[backprop(jvp)]
    fn soft(x: f64, beta: &f64) -> f64 {
        (x * beta).exp().ln_1p() / beta
    }

    #[backprop(jvp, wrt(v, scale))]
    fn scaled(v: &[f64], k: usize, scale: f64, shift: f64) -> Vec<f64> {
        v.iter()
            .map(|x| (x * scale).sin() + shift + k as f64)
            .collect()
    }

    #[backprop(jvp)]
    fn rotate(p: (f64, [f64; 2]), turns: usize) -> (f64, [f64; 2]) {
        (
            p.0 * p.1[0],
            [p.1[1] * p.0, p.1[0] - turns as f64 * p.1[1] * p.1[1]],
        )
    }

    #[backprop(jvp)]
    fn step(state: &mut [f64], velocity: &mut f64, dt: f64) {
        for x in state.iter_mut() {
            *x += dt * *velocity * x.cos();
        }
        *velocity -= dt * state[0] * state[1];
    }

    #[backprop(jvp)]
    fn grown(v: &mut [f64], x: f64) -> f64 {
        v[0] *= x;
        v[1] = v[0] * v[0];
        v[1] + x
    }

    #[backprop(jvp)]
    fn middle(a: Point, b: Point) -> Point {
        Point {
            x: 0.5 * (a.x + b.x * b.y),
            tag: a.tag + b.tag,
            y: a.y * b.y,
        }
    }

    #[backprop(jvp)]
    fn bend(p: &Point, by: f64) -> f64 {
        p.x * by.sin() + p.y * p.y * by
    }

    #[backprop(jvp)]
    fn powers(x: f64, n: usize) -> f64 {
        if n == 0 { 1.0 } else { x * powers(x, n - 1) }
    }

    #[backprop(jvp)]
    fn all(x: f64, v: &[f64; 3], p: Point, q: &Point) -> f64 {
        let mut state = [x, v[0], v[1]];
        let mut velocity = v[2];
        for k in 0..3 {
            step(&mut state, &mut velocity, 0.1 * (k as f64 + 1.0));
            if velocity > 0.5 {
                state[1] = soft(state[1], &v[2]);
            }
        }
        let tail: Vec<f64> = scaled(&state, 2, velocity, 3.0);
        let (a, b): (f64, [f64; 2]) = rotate((tail[0], [tail[1], x]), 2);
        let m: Point = middle(
            p,
            Point {
                x: b[0],
                tag: 1,
                y: b[1],
            },
        );
        a + bend(&m, x) + bend(q, velocity) + powers(x, 3) + soft(1.5, &x)
    }

    #[backprop(jvp)]
    fn points(p: Point, w: f64) -> (Point, f64) {
        let q: Point = middle(
            p,
            Point {
                x: w,
                tag: 3,
                y: w * w,
            },
        );
        (q, q.x * q.y)
    }

    impl Spring {
        #[backprop(jvp)]
        fn twice(&self, x: f64) -> f64 {
            self.energy(x) * self.energy(2.0 * x)
        }
    }

    const H: f64 = 1e-5;

    fn slope(f: impl Fn(f64) -> f64) -> f64 {
        (f(-2.0 * H) - 8.0 * f(-H) + 8.0 * f(H) - f(2.0 * H)) / (12.0 * H)
    }

    fn moved(p: Point, d: &PointGradient, s: f64) -> Point {
        Point {
            x: p.x + s * d.x,
            tag: p.tag,
            y: p.y + s * d.y,
        }
    }

    #[test]
    fn calls() {
        let (x, v) = (0.7, [0.4, -0.3, 1.2]);
        let p = Point {
            x: 0.2,
            tag: 2,
            y: 1.5,
        };
        let q = Point {
            x: -0.6,
            tag: 0,
            y: 0.8,
        };
        let (dx, dv) = (0.9, [0.3, -1.1, 0.6]);
        let (dp, dq) = (
            PointGradient { x: 1.0, y: -0.5 },
            PointGradient { x: 0.25, y: 2.0 },
        );
        let (value, tangent) = all::jvp(x, &v, p, &q, dx, &dv, dp.clone(), dq.clone());
        assert_eq!(value, all(x, &v, p, &q));
        let g = all::gradient(x, &v, p, &q);
        let want = g.x * dx
            + g.v.iter().zip(&dv).map(|(g, d)| g * d).sum::<f64>()
            + g.p.x * dp.x
            + g.p.y * dp.y
            + g.q.x * dq.x
            + g.q.y * dq.y;
        assert_relative_eq!(tangent, want, max_relative = 1e-13);
        let by_differences = slope(|s| {
            let mut v = v;
            v.iter_mut().zip(&dv).for_each(|(x, d)| *x += s * d);
            all(x + s * dx, &v, moved(p, &dp, s), &moved(q, &dq, s))
        });
        assert_relative_eq!(tangent, by_differences, max_relative = 1e-8);

        let s = Spring { k: 3.0 };
        let (value, tangent) = s.twice_jvp(0.5, 2.0);
        assert_eq!(value, s.twice(0.5));
        assert_relative_eq!(tangent, 2.0 * s.twice_gradient(0.5).0, max_relative = 1e-14);
    }

    #[test]
    fn places_that_change() {
        let (start, v, dt) = ([0.3, 0.9, -0.4], 0.7, 0.2);
        let (dstart, dv, ddt) = ([1.0, -0.5, 2.0], 0.3, -1.5);
        let at = |s: f64| {
            let mut state = start;
            state.iter_mut().zip(&dstart).for_each(|(x, d)| *x += s * d);
            let mut v = v + s * dv;
            step(&mut state, &mut v, dt + s * ddt);
            (state, v)
        };
        let (mut state, mut velocity, mut tangents, mut t) = (start, v, dstart, dv);
        step::jvp(&mut state, &mut velocity, dt, &mut tangents, &mut t, ddt);
        assert_eq!((state, velocity), at(0.0));
        for (k, tangent) in tangents.into_iter().enumerate() {
            assert_relative_eq!(tangent, slope(|s| at(s).0[k]), max_relative = 1e-8);
        }
        assert_relative_eq!(t, slope(|s| at(s).1), max_relative = 1e-8);

        let (mut v, mut dv) = (vec![2.0, 5.0], [1.0, 7.0]);
        let (value, tangent) = grown::jvp(&mut v, 3.0, &mut dv, 0.5);
        assert_eq!((value, &v[..]), (39.0, &[6.0, 36.0][..]));
        // v0' = 3·1 + 2·0.5, v1' = 2·6·4, and the value's is v1' + 0.5.
        assert_eq!((tangent, dv), (48.5, [4.0, 48.0]));
    }

    #[test]
    fn results_that_are_structs() {
        let (p, w) = (
            Point {
                x: 0.2,
                tag: 2,
                y: 1.5,
            },
            0.7,
        );
        let (dp, dw) = (PointGradient { x: 1.0, y: -0.5 }, 2.0);
        let ((q, s), (dq, ds)) = points::jvp(p, w, dp.clone(), dw);
        let at = |t: f64| points(moved(p, &dp, t), w + t * dw);
        assert_eq!(
            (q.x, q.tag, q.y, s),
            (at(0.0).0.x, 5, at(0.0).0.y, at(0.0).1)
        );
        assert_relative_eq!(dq.x, slope(|t| at(t).0.x), max_relative = 1e-8);
        assert_relative_eq!(dq.y, slope(|t| at(t).0.y), max_relative = 1e-8);
        assert_relative_eq!(ds, slope(|t| at(t).1), max_relative = 1e-8);
    }
}

/// `hvp`: columns of the Hessian, against differences of the gradient.
mod second {
    use super::*;

    #[backprop(hvp)]
    fn straight(x: f64, y: f64) -> f64 {
        (x * y).sin() + x.powi(3) / (1.0 + (-y).exp()) + x.max(2.0 * y)
    }

    #[backprop(hvp)]
    fn rosenbrock(x: &[f64]) -> f64 {
        let mut s = 0.0;
        for k in 0..x.len() - 1 {
            s += 100.0 * (x[k + 1] - x[k] * x[k]).powi(2) + (1.0 - x[k]).powi(2);
        }
        s
    }

    #[backprop(hvp)]
    fn log_sum_exp(x: &[f64]) -> f64 {
        let mut m = f64::NEG_INFINITY;
        for v in x {
            if *v > m {
                m = *v;
            }
        }
        x.iter().map(|v| (v - m).exp()).sum::<f64>().ln() + m
    }

    #[backprop(hvp)]
    fn stateful(x: f64, w: &[f64; 3], m: [[f64; 2]; 2]) -> f64 {
        let mut state = [x, x * x];
        let mut k = 0;
        let mut trace = Vec::new();
        while k < 5 {
            let next = (state[0] * w[k % 3]).tanh() + m[k % 2][0] * state[1];
            if next > 0.2 {
                state[1] *= next;
            } else {
                state[0] -= m[1][1] * next * next;
            }
            trace.push(next * state[0]);
            state.swap(0, 1);
            k += 1;
            if state[0] > 50.0 {
                break;
            }
        }
        let mut total = 0.0;
        for (i, t) in trace.iter().enumerate() {
            total += t * t * (i as f64 + 1.0);
        }
        total + state[0] * state[1]
    }

    #[backprop(hvp, wrt(a))]
    fn tuple(a: (f64, [f64; 2]), b: f64) -> f64 {
        a.0 * a.1[0] * a.1[1] * b + a.0.exp()
    }

    fn slope(mut gradient: impl FnMut(f64) -> Vec<f64>) -> Vec<f64> {
        let h = 1e-4;
        let mut f = |s: f64| gradient(s * h);
        let (a, b, c, d) = (f(-2.0), f(-1.0), f(1.0), f(2.0));
        (0..a.len())
            .map(|k| (a[k] - 8.0 * b[k] + 8.0 * c[k] - d[k]) / (12.0 * h))
            .collect()
    }

    #[track_caller]
    fn close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert_relative_eq!(g, w, max_relative = 1e-7, epsilon = 1e-8);
        }
    }

    #[test]
    fn columns_of_hessians() {
        let h = straight::hvp(0.7, 0.3, 1.0, -2.0);
        let want = slope(|s| {
            let g = straight::gradient(0.7 + s, 0.3 - 2.0 * s);
            vec![g.x, g.y]
        });
        close(&[h.x, h.y], &want);

        let (x, v) = ([1.2, -0.7, 0.4, 2.0], [1.0, 0.5, -2.0, 0.25]);
        let at = |s: f64| -> Vec<f64> { x.iter().zip(&v).map(|(x, v)| x + s * v).collect() };
        close(
            &rosenbrock::hvp(&x, &v).x,
            &slope(|s| rosenbrock::gradient(&at(s)).x),
        );
        close(
            &log_sum_exp::hvp(&x, &v).x,
            &slope(|s| log_sum_exp::gradient(&at(s)).x),
        );

        let (w, m) = ([0.9, -1.4, 0.6], [[0.8, 0.3], [-0.6, 1.1]]);
        let (dw, dm) = ([0.2, -0.7, 1.0], [[1.0, 0.5], [-2.0, 0.25]]);
        let h = stateful::hvp(0.5, &w, m, 2.0, &dw, &dm);
        let flat = |g: StatefulGradient| -> Vec<f64> {
            let all = [g.x]
                .into_iter()
                .chain(g.w)
                .chain(g.m.into_iter().flatten());
            all.collect()
        };
        let want = slope(|s| {
            let w: Vec<f64> = w.iter().zip(&dw).map(|(x, v)| x + s * v).collect();
            let mut m = m;
            for (row, d) in m.iter_mut().zip(&dm) {
                for (x, v) in row.iter_mut().zip(d) {
                    *x += s * v;
                }
            }
            flat(stateful::gradient(0.5 + 2.0 * s, &[w[0], w[1], w[2]], m))
        });
        close(&flat(h), &want);

        let h = tuple::hvp((0.5, [2.0, 3.0]), 4.0, (1.0, [0.0, 0.0]));
        close(&[h.a.0, h.a.1[0], h.a.1[1]], &[0.5f64.exp(), 12.0, 8.0]);
    }
}
