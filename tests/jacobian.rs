//! `jacobian` and `hessian`: shapes, and values against differences and closed forms.

use approx::assert_relative_eq;
use backprop::{Differentiable, backprop};

/// The slope of floats along one of their inputs, by differences of fourth order.
fn slope(mut f: impl FnMut(f64) -> Vec<f64>) -> Vec<f64> {
    let h = 1e-3;
    let (a, b, c, d) = (f(-2.0 * h), f(-h), f(h), f(2.0 * h));
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

mod jacobian {
    use super::*;

    /// The tip of an arm of two segments: the textbook's Jacobian is known in closed form.
    #[backprop(jacobian, wrt(angles))]
    fn tip(angles: &[f64; 2], lengths: [f64; 2]) -> [f64; 2] {
        let (a, b) = (angles[0], angles[0] + angles[1]);
        [
            lengths[0] * a.cos() + lengths[1] * b.cos(),
            lengths[0] * a.sin() + lengths[1] * b.sin(),
        ]
    }

    #[test]
    fn of_an_arm() {
        let (angles, lengths) = ([0.4, 0.7], [1.5, 0.8]);
        let (y, j) = tip::jacobian(&angles, lengths);
        assert_eq!(y, tip(&angles, lengths));
        let (s1, c1) = angles[0].sin_cos();
        let (s12, c12) = (angles[0] + angles[1]).sin_cos();
        let want = [
            [-1.5 * s1 - 0.8 * s12, -0.8 * s12],
            [1.5 * c1 + 0.8 * c12, 0.8 * c12],
        ];
        for (row, want) in j.angles.iter().zip(&want) {
            close(row, want);
        }
    }

    /// Every kind of result and of parameter at once.
    #[backprop(jacobian)]
    fn shapes(
        s: f64,
        a: [[f64; 2]; 3],
        v: Vec<f64>,
        t: (f64, [f64; 2]),
        n: usize,
    ) -> (f64, Vec<f64>, [[f64; 2]; 2]) {
        let mut out = Vec::new();
        for k in 0..n {
            out.push(v[k % v.len()] * s + a[k % 3][1].sin() * t.1[0]);
        }
        let m = [[a[0][0] * t.0, v[0]], [s * s, t.1[1] * a[2][1]]];
        (v.iter().sum::<f64>() * t.0, out, m)
    }

    #[test]
    fn of_every_shape() {
        let (s, a, v, t) = (
            0.7,
            [[0.3, -0.2], [1.1, 0.6], [0.9, -1.4]],
            vec![0.5, -1.5],
            (2.0, [0.25, 3.0]),
        );
        let (y, j) = shapes::jacobian(s, a, v.clone(), t, 4);
        assert_eq!(y, shapes(s, a, v.clone(), t, 4));
        let flat = |y: (f64, Vec<f64>, [[f64; 2]; 2])| -> Vec<f64> {
            let rest = y.1.into_iter().chain(y.2.into_iter().flatten());
            [y.0].into_iter().chain(rest).collect()
        };
        // The column of each parameter, from the shape of the result.
        let ds = flat(j.s);
        close(&ds, &slope(|h| flat(shapes(s + h, a, v.clone(), t, 4))));
        for (p, q) in (0..3).flat_map(|p| [(p, 0), (p, 1)]) {
            let got = (
                j.a.0[p][q],
                j.a.1.iter().map(|r| r[p][q]).collect(),
                j.a.2.map(|r| r.map(|c| c[p][q])),
            );
            let want = slope(|h| {
                let mut a = a;
                a[p][q] += h;
                flat(shapes(s, a, v.clone(), t, 4))
            });
            close(&flat(got), &want);
        }
        for p in 0..2 {
            let got = (
                j.v.0[p],
                j.v.1.iter().map(|r| r[p]).collect(),
                j.v.2.clone().map(|r| r.map(|c| c[p])),
            );
            let want = slope(|h| {
                let mut v = v.clone();
                v[p] += h;
                flat(shapes(s, a, v, t, 4))
            });
            close(&flat(got), &want);
        }
        let got = (
            j.t.0.0,
            j.t.1.iter().map(|r| r.0).collect(),
            j.t.2.map(|r| r.map(|c| c.0)),
        );
        close(
            &flat(got),
            &slope(|h| flat(shapes(s, a, v.clone(), (t.0 + h, t.1), 4))),
        );
        for p in 0..2 {
            let got = (
                j.t.0.1[p],
                j.t.1.iter().map(|r| r.1[p]).collect(),
                j.t.2.map(|r| r.map(|c| c.1[p])),
            );
            let want = slope(|h| {
                let mut t = t;
                t.1[p] += h;
                flat(shapes(s, a, v.clone(), t, 4))
            });
            close(&flat(got), &want);
        }
    }

    #[backprop]
    fn inner(x: f64, y: f64) -> f64 {
        (x * y).sin()
    }

    #[backprop(jacobian)]
    fn calls(x: f64, y: f64) -> (f64, f64) {
        (inner(x, y), inner(y, x * x))
    }

    #[backprop(jacobian)]
    fn generic<T: num_traits::Float, const N: usize>(x: [T; N], s: T) -> [T; N] {
        x.map(|v| (v * s).exp())
    }

    #[backprop(jacobian)]
    fn scalar(x: &[f64]) -> f64 {
        x[0] * x[1]
    }

    #[derive(Clone, Copy, Differentiable)]
    struct Point {
        x: f64,
        tag: u8,
        y: f64,
    }

    #[backprop(jacobian)]
    fn polar(p: &Point) -> (f64, f64) {
        let scale = f64::from(p.tag);
        (p.x.hypot(p.y) * scale, p.y.atan2(p.x))
    }

    struct Camera {
        focal: f64,
    }

    impl Camera {
        #[backprop(jacobian)]
        fn project(&self, p: [f64; 3], shift: f64) -> [f64; 2] {
            [self.focal * p[0] / p[2] + shift, self.focal * p[1] / p[2]]
        }

        #[backprop(jacobian, associated)]
        fn doubled(x: f64) -> [f64; 2] {
            [2.0 * x, x * x]
        }
    }

    #[test]
    fn of_calls_generics_structs_and_methods() {
        let (_, j) = calls::jacobian(0.5, 2.0);
        let (c, d) = (1.0_f64.cos(), 0.5_f64.cos());
        close(
            &[j.x.0, j.x.1, j.y.0, j.y.1],
            &[2.0 * c, 2.0 * d, 0.5 * c, 0.25 * d],
        );

        let (y, j) = generic::jacobian([0.5_f32, 1.0, 2.0], 2.0);
        assert_eq!(j.x[1], [0.0, 2.0 * y[1], 0.0]);
        assert_eq!(j.s[2], 2.0 * y[2]);

        assert_eq!(scalar::jacobian(&[2.0, 5.0]).1.x, [5.0, 2.0]);

        let p = Point {
            x: 3.0,
            tag: 2,
            y: 4.0,
        };
        let (_, j) = polar::jacobian(&p);
        assert_relative_eq!(j.p.0.x, 1.2, max_relative = 1e-15);
        assert_relative_eq!(j.p.1.y, 3.0 / 25.0, max_relative = 1e-15);

        let (y, (dp, dshift)) = Camera { focal: 2.0 }.project_jacobian([1.0, 3.0, 4.0], 0.5);
        assert_eq!(y, [1.0, 1.5]);
        assert_eq!(dp, [[0.5, 0.0, -0.125], [0.0, 0.5, -0.375]]);
        assert_eq!(dshift, [1.0, 0.0]);
        assert_eq!(Camera::doubled_jacobian(3.0), ([6.0, 9.0], ([2.0, 6.0],)));
    }

    #[backprop(jacobian)]
    fn in_place(v: &mut [f64], s: &mut f64) {
        for k in 1..v.len() {
            v[k] += v[k - 1] * *s;
        }
        *s *= *s;
    }

    #[test]
    fn of_what_is_changed_in_place() {
        let (mut v, mut s) = ([1.0, 2.0, 3.0], 0.5);
        let ((), j) = in_place::jacobian(&mut v, &mut s);
        assert_eq!((v, s), ([1.0, 2.5, 4.25], 0.25));
        let (dv, ds) = (j.v, j.s);
        assert_eq!(dv.0, [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.25, 0.5, 1.0]]);
        assert_eq!(dv.1, [0.0; 3]);
        assert_eq!(ds.0, [0.0, 1.0, 2.5 + 0.5]);
        assert_eq!(ds.1, 1.0);
    }

    #[backprop(jacobian, custom(backward = squares_backward))]
    fn squares(x: &[f64; 2]) -> [f64; 2] {
        [x[0] * x[0], x[0] * x[1]]
    }

    fn squares_backward(x: &[f64; 2], _: [f64; 2], up: [f64; 2]) -> [f64; 2] {
        [2.0 * x[0] * up[0] + x[1] * up[1], x[0] * up[1]]
    }

    #[test]
    fn of_a_rule_of_the_users() {
        let (y, j) = squares::jacobian(&[3.0, 5.0]);
        assert_eq!((y, j.x), ([9.0, 15.0], [[6.0, 0.0], [5.0, 3.0]]));
    }

    /// What is empty has no rows, and rows of empty parameters no columns.
    #[test]
    fn of_nothing() {
        let (y, j) = shapes::jacobian(1.0, [[1.0; 2]; 3], vec![2.0], (1.0, [1.0; 2]), 0);
        assert!(y.1.is_empty() && j.s.1.is_empty() && j.v.1.is_empty());
    }
}

mod hessian {
    use super::*;

    #[backprop(hessian)]
    fn rosenbrock(x: &[f64]) -> f64 {
        let mut s = 0.0;
        for k in 0..x.len() - 1 {
            s += 100.0 * (x[k + 1] - x[k] * x[k]).powi(2) + (1.0 - x[k]).powi(2);
        }
        s
    }

    #[test]
    fn of_rosenbrocks_function() {
        let x = [1.2, -0.7, 0.4];
        let h = rosenbrock::hessian(&x).x.x;
        let mut want = vec![vec![0.0; 3]; 3];
        for k in 0..2 {
            want[k][k] += 1200.0 * x[k] * x[k] - 400.0 * x[k + 1] + 2.0;
            want[k + 1][k + 1] += 200.0;
            want[k][k + 1] -= 400.0 * x[k];
            want[k + 1][k] -= 400.0 * x[k];
        }
        for (row, want) in h.iter().zip(&want) {
            for (a, b) in row.iter().zip(want) {
                assert_relative_eq!(a, b, max_relative = 1e-14);
            }
        }
        assert!(rosenbrock::hessian(&x[..1]).x.x == [[0.0]]);
    }

    #[backprop(hessian)]
    fn mixed(s: f64, a: [[f64; 2]; 2], v: Vec<f64>, t: (f64, [f64; 2]), n: i32) -> f64 {
        let mut state = s;
        for (k, w) in v.iter().enumerate() {
            state = (state * w + a[k % 2][0]).tanh() * t.0 + a[1][1] * t.1[k % 2];
        }
        state.powi(n) + t.1[1] * s
    }

    /// Every pair of parameters, against differences of the gradient; and symmetric.
    #[test]
    fn of_every_pair() {
        let (s, a, v, t) = (
            0.7,
            [[0.3, -0.2], [1.1, 0.6]],
            vec![0.5, -1.5, 0.8],
            (1.3, [0.25, 0.5]),
        );
        let h = mixed::hessian(s, a, v.clone(), t, 2);
        // The parameters as one vector, and the same of what is shaped like them.
        let flat = |g: MixedGradient| -> Vec<f64> {
            let all = [g.s].into_iter().chain(g.a.into_iter().flatten());
            all.chain(g.v).chain([g.t.0]).chain(g.t.1).collect()
        };
        let at = |x: &[f64]| {
            let a = [[x[1], x[2]], [x[3], x[4]]];
            flat(mixed::gradient(
                x[0],
                a,
                x[5..8].to_vec(),
                (x[8], [x[9], x[10]]),
                2,
            ))
        };
        let x: Vec<f64> = flat(MixedGradient { s, a, v, t });
        let mut rows = Vec::new();
        let row = |s, a, v, t| flat(MixedGradient { s, a, v, t });
        rows.push(row(h.s.s, h.s.a, h.s.v, h.s.t));
        for (i, k) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            rows.push(row(
                h.a.s[i][k],
                h.a.a[i][k],
                h.a.v[i][k].clone(),
                h.a.t[i][k],
            ));
        }
        for i in 0..3 {
            rows.push(row(h.v.s[i], h.v.a[i], h.v.v[i].clone(), h.v.t[i]));
        }
        rows.push(row(h.t.s.0, h.t.a.0, h.t.v.0, h.t.t.0));
        for i in 0..2 {
            rows.push(row(h.t.s.1[i], h.t.a.1[i], h.t.v.1[i].clone(), h.t.t.1[i]));
        }
        for (k, row) in rows.iter().enumerate() {
            let want = slope(|step| {
                let mut x = x.clone();
                x[k] += step;
                at(&x)
            });
            close(row, &want);
            for (i, other) in rows.iter().enumerate() {
                assert_relative_eq!(row[i], other[k], max_relative = 1e-12, epsilon = 1e-14);
            }
        }
    }

    #[backprop(hessian, wrt(x))]
    fn generic<T: num_traits::Float, const N: usize>(x: &[T; N], w: &str) -> T {
        let mut total = T::zero();
        for v in x {
            total = total + v.exp();
        }
        if w.is_empty() { total } else { total.ln() }
    }

    struct Spring {
        k: f64,
    }

    impl Spring {
        #[backprop(hessian)]
        fn energy(&self, x: f64, y: f64) -> f64 {
            0.5 * self.k * x * x * y
        }
    }

    #[test]
    fn of_generics_and_methods() {
        // That of a log-sum-exp is diag(p) - p pᵀ.
        let h = generic::hessian(&[0.0_f64, 0.0], "ln").x.x;
        close(&h.concat(), &[0.25, -0.25, -0.25, 0.25]);
        let h = generic::hessian(&[0.0_f32, 1.0], "").x.x;
        assert_eq!(h, [[1.0, 0.0], [0.0, 1.0_f32.exp()]]);

        let ((xx, xy), (yx, yy)) = Spring { k: 3.0 }.energy_hessian(2.0, 5.0);
        assert_eq!((xx, xy, yx, yy), (15.0, 6.0, 6.0, 0.0));
    }

    /// `hessian` brings `hvp` with it.
    #[test]
    fn products_come_with_it() {
        let (x, v) = ([1.2, -0.7, 0.4], [1.0, 0.5, -2.0]);
        let h = rosenbrock::hessian(&x).x.x;
        let product = rosenbrock::hvp(&x, &v).x;
        for (row, p) in h.iter().zip(product) {
            let sum: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
            assert_relative_eq!(sum, p, max_relative = 1e-13);
        }
    }
}
