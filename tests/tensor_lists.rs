//! Lists of arrays that `push` makes longer: against differences, and tangents against gradients.
#![cfg(feature = "runtime")]
#![allow(clippy::all)] // Differentiated as users write them.

use backprop::backprop;
use ndarray::{Array1, Array2, Axis, array};

#[backprop(jvp)]
fn activations(ws: &[Array2<f64>], x: &Array1<f64>) -> f64 {
    let mut all = vec![x.clone()];
    for w in ws {
        let h = w.dot(all.last().unwrap()).mapv(f64::tanh);
        all.push(h);
    }
    let mut total = all[1].sum() * all[0][0];
    for (k, a) in all.iter().enumerate() {
        total += a.dot(a) * (k as f64 + 1.0);
    }
    total + all.last().unwrap().sum() * all.len() as f64
}
#[backprop(jvp)]
fn collected(ws: &[Array2<f64>], x: &Array1<f64>) -> f64 {
    let mut all = Vec::new();
    let mut h = x.clone();
    for w in ws.iter() {
        all.push(h.clone());
        h = w.dot(&h).mapv(f64::sin);
    }
    let mut back = h;
    for i in (0..ws.len()).rev() {
        back = ws[i].t().dot(&back) * &all[i];
    }
    back.sum()
}
#[backprop(jvp)]
fn straight(ws: &[Array2<f64>], x: &Array1<f64>) -> f64 {
    let mut all: Vec<Array1<f64>> = Vec::with_capacity(3);
    all.push(x.mapv(f64::exp));
    all.push(ws[0].dot(x));
    let mut s = 0.0;
    for a in &all {
        s += a.sum().sin();
    }
    s * all[1].sum() * all.len() as f64
}
#[backprop(jvp)]
fn changed(ws: &[Array2<f64>], x: &Array1<f64>) -> f64 {
    let mut all = Vec::new();
    let mut a = x.clone();
    for i in 0..3 {
        for j in 0..x.len() {
            a[j] = a[j] * ws[0][[j, i]] + 1.0;
        }
        all.push(a.clone());
        a[0] = 0.5;
    }
    all[0].dot(&all[2]) + all[1].sum()
}
#[backprop(jvp)]
fn nested(ws: &[Array2<f64>], x: &Array1<f64>) -> f64 {
    let mut s = 0.0;
    for i in 0..2 {
        let mut all = vec![x * (i as f64 + 1.0)];
        for w in ws {
            all.push(w.dot(all.last().unwrap()));
        }
        for a in all.iter().rev() {
            s += a.dot(a).sin();
        }
        s *= all[1][0];
    }
    s
}
/// What was in the list before is not read by the loop; a branch pushes or does not.
#[backprop(jvp)]
fn from_before(ws: &[Array2<f64>], x: &Array1<f64>) -> f64 {
    let mut all = vec![x.mapv(f64::sin)];
    for w in ws {
        all.push(w.dot(x));
    }
    let mut maybe = Vec::new();
    if x[2] > 0.0 {
        maybe.push(x * 2.0);
    }
    let mut s = 0.0;
    for a in &maybe {
        s += a.dot(&all[0]);
    }
    s + all[1].dot(&all[2]) + all.first().unwrap().sum()
}

#[backprop(jvp, wrt(x))]
fn constant(ws: &[Array2<f64>], x: &Array1<f64>) -> f64 {
    let mut all = Vec::new();
    for w in ws {
        all.push(w.sum_axis(Axis(0)));
    }
    let mut s = 0.0;
    for a in &all {
        s += a.dot(x);
    }
    s
}
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    let h = 1e-3;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}
macro_rules! gradient {
    ($f:ident, $ws:expr, $x:expr) => {{
        let (ws, x) = (&$ws, &$x);
        let (y, g) = $f::value_and_gradient(ws, x);
        assert!((y - $f(ws, x)).abs() < 1e-13);
        for i in 0..3 {
            let e = slope(|h| {
                let mut x = x.clone();
                x[i] += h;
                $f(ws, &x)
            });
            assert!(
                (g.x[i] - e).abs() < 1e-8,
                "{} x: {} {}",
                stringify!($f),
                g.x[i],
                e
            );
        }
        let (_, saved) = $f::forward(ws, x);
        let s = $f::backward(&saved, 2.0);
        assert!((&s.x / 2.0 - &g.x).mapv(f64::abs).sum() < 1e-12);
        let mut w = Default::default();
        for _ in 0..2 {
            let (_, again) = $f::value_and_gradient_with(&mut w, ws, x);
            assert_eq!(again.x, g.x);
        }
        (y, g)
    }};
}
macro_rules! lists {
    ($f:ident, $ws:expr, $x:expr) => {{
        let (ws, x) = (&$ws, &$x);
        let (y, g) = gradient!($f, $ws, $x);
        for k in 0..2 {
            for i in 0..3 {
                for j in 0..3 {
                    let e = slope(|h| {
                        let mut ws = ws.clone();
                        ws[k][[i, j]] += h;
                        $f(&ws, x)
                    });
                    assert!(
                        (g.ws[k][[i, j]] - e).abs() < 1e-8,
                        "{} ws: {} {}",
                        stringify!($f),
                        g.ws[k][[i, j]],
                        e
                    );
                }
            }
        }
        let dx = array![0.3, -0.2, 0.9];
        let dws: Vec<_> = ws.iter().map(|w| w.mapv(|v: f64| v.cos())).collect();
        let (z, dy) = $f::jvp(ws, x, &dws, &dx);
        assert!((y - z).abs() < 1e-13);
        let e = g.x.dot(&dx)
            + g.ws
                .iter()
                .zip(&dws)
                .map(|(a, b): (&Array2<f64>, &Array2<f64>)| (a * b).sum())
                .sum::<f64>();
        assert!((e - dy).abs() < 1e-11, "{} jvp: {e} {dy}", stringify!($f));
    }};
}
#[test]
fn against_differences() {
    let x = array![0.3, -0.7, 1.1];
    let ws = vec![
        array![[0.5, 0.2, -0.3], [1.5, 0.7, 0.9], [0.1, -0.4, 0.6]],
        array![[0.4, 0.3, -0.5], [-0.5, 0.7, 0.2], [0.1, 0.9, -0.6]],
    ];
    lists!(activations, ws, x);
    lists!(collected, ws, x);
    lists!(straight, ws, x);
    lists!(changed, ws, x);
    lists!(nested, ws, x);
    lists!(from_before, ws, x);
    gradient!(constant, ws, x);
}
