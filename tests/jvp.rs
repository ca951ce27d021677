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
