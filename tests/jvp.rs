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
