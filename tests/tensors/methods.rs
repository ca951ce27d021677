//! Methods of structs of arrays, associated functions, structs by value.

use super::agree::{close, numbers, slope};
use backprop::{Differentiable, backprop};
use ndarray::*;

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Dense {
    w: Array2<f64>,
    b: Array1<f64>,
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Net {
    first: Dense,
    out: Array1<f64>,
    k: f64,
    #[backprop(constant)]
    name: String,
    layers: Vec<Array2<f64>>,
}

impl Net {
    const SCALE: f64 = 0.5;
    #[backprop(wrt(self, x))]
    fn loss(&self, x: &Array2<f64>, t: &Array1<f64>) -> f64 {
        let mut h = (x.dot(&self.first.w) + &self.first.b).mapv(|v| (v * self.k).tanh());
        for l in &self.layers {
            h = h.dot(l).mapv(f64::tanh);
        }
        let e = h.dot(&self.out) * Self::SCALE - t;
        e.dot(&e)
    }
    #[backprop]
    pub fn predict(&self, x: ArrayView2<f64>, c: f64) -> Array1<f64> {
        x.dot(&self.first.w).dot(&self.out) * c
    }
    #[backprop(wrt(self))]
    fn norm(&self) -> f64 {
        (&self.first.w * &self.first.w).sum() + self.out.dot(&self.out)
    }
    #[backprop(wrt(self))]
    fn consumed(self, x: &Array1<f64>) -> f64 {
        self.first.w.dot(&self.first.b).dot(x) * self.k
    }
    #[backprop(associated)]
    fn mse(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
        let e = a - b;
        e.dot(&e) / Self::SCALE
    }
    #[backprop(wrt(self, u))]
    fn step(&self, u: &mut Array1<f64>) {
        let d = self.first.w.dot(&*u);
        u.scaled_add(self.k, &d);
    }
}

fn net() -> Net {
    Net {
        first: Dense {
            w: numbers((3, 3), 1),
            b: numbers(3, 2),
        },
        out: numbers(3, 3),
        k: 0.7,
        name: "n".into(),
        layers: vec![numbers((3, 3), 4)],
    }
}

#[test]
fn methods() {
    let n = net();
    let (x, t) = (numbers((2, 3), 5), numbers(2, 6));
    let (y, (dn, dx)) = {
        let (y, g) = n.loss_value_and_gradient(&x, &t);
        (y, (g.0, g.1))
    };
    close(y, n.loss(&x, &t), 1e-13, "value");
    let with = |f: &dyn Fn(&mut Net, f64)| {
        slope(|h| {
            let mut n = n.clone();
            f(&mut n, h);
            n.loss(&x, &t)
        })
    };
    for (i, &d) in dn.first.w.indexed_iter() {
        close(d, with(&|n, h| n.first.w[i] += h), 1e-8, "w");
    }
    for (i, &d) in dn.layers[0].indexed_iter() {
        close(d, with(&|n, h| n.layers[0][i] += h), 1e-8, "l");
    }
    close(dn.k, with(&|n, h| n.k += h), 1e-8, "k");
    for (i, &d) in dx.indexed_iter() {
        close(
            d,
            slope(|h| {
                let mut x = x.clone();
                x[i] += h;
                n.loss(&x, &t)
            }),
            1e-8,
            "x",
        );
    }
    let (y2, saved) = n.loss_forward(&x, &t);
    assert_eq!(y2, y);
    assert_eq!(n.loss_backward(&saved, 1.0), (dn.clone(), dx.clone()));
    assert_eq!(n.loss_gradient(&x, &t), (dn.clone(), dx.clone()));
    let (mut a, mut b) = (n.zero_gradient(), Array2::ones((2, 3)));
    n.loss_accumulate(&x, &t, 1.0, &mut a, &mut b);
    close((&b - &dx - 1.0).mapv(f64::abs).sum(), 0.0, 1e-13, "acc");
    n.loss_value_and_gradient_into(&x, &t, &mut a, &mut b);
    assert_eq!((a, b), (dn, dx));
    let (p, saved) = n.predict_forward(x.view(), 2.0);
    close(
        (&p - &n.predict(x.view(), 2.0)).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "p",
    );
    let (dx, dc) = n.predict_backward(&saved, t.clone());
    close(
        dc,
        slope(|h| n.predict(x.view(), 2.0 + h).dot(&t)),
        1e-8,
        "c",
    );
    for (i, &d) in dx.indexed_iter() {
        close(
            d,
            slope(|h| {
                let mut x = x.clone();
                x[i] += h;
                n.predict(x.view(), 2.0).dot(&t)
            }),
            1e-8,
            "x",
        );
    }
    let (v, (d,)) = n.norm_value_and_gradient();
    close(v, n.norm(), 1e-13, "norm");
    close(
        (&d.out - &(&n.out * 2.0)).mapv(f64::abs).sum(),
        0.0,
        1e-13,
        "norm",
    );
    let x1 = numbers(3, 8);
    let (v, (d,)) = n.clone().consumed_value_and_gradient(&x1);
    close(v, n.clone().consumed(&x1), 1e-13, "consumed");
    close(d.k, v / n.k, 1e-13, "consumed");
    let (v, saved) = n.clone().consumed_forward(&x1);
    close(
        n.consumed_backward(&saved, 2.0).0.k,
        2.0 * v / n.k,
        1e-13,
        "consumed",
    );
    let (a, b) = (numbers(3, 1), numbers(3, 2));
    let (v, (da, db)) = Net::mse_value_and_gradient(&a, &b);
    close(v, Net::mse(&a, &b), 1e-13, "mse");
    close((&da + &db).sum(), 0.0, 1e-13, "mse");
    let mut u = numbers(3, 9);
    let u0 = u.clone();
    let ((), saved) = n.step_forward(&mut u);
    let mut u1 = u0.clone();
    n.step(&mut u1);
    close((&u1 - &u).mapv(f64::abs).sum(), 0.0, 1e-13, "step");
    let (d, du) = n.step_backward(&saved, x1.clone());
    let f = |n: &Net, u: &Array1<f64>| {
        let mut u = u.clone();
        n.step(&mut u);
        u.dot(&x1)
    };
    close(
        d.k,
        slope(|h| {
            let mut n = n.clone();
            n.k += h;
            f(&n, &u0)
        }),
        1e-8,
        "step",
    );
    for i in 0..3 {
        close(
            du[i],
            slope(|h| {
                let mut u = u0.clone();
                u[i] += h;
                f(&n, &u)
            }),
            1e-8,
            "step",
        );
    }
}

#[backprop(wrt(net), as = taken)]
fn by_value(net: Net, x: &Array2<f64>) -> f64 {
    let mut h = x.dot(&net.first.w) + &net.first.b;
    for l in &net.layers {
        h = h.dot(l);
    }
    h.dot(&net.out).sum() * net.k * net.name.len() as f64
}
#[test]
fn structs_by_value() {
    let (n, x) = (net(), numbers((2, 3), 5));
    let (y, g) = taken::value_and_gradient(n.clone(), &x);
    close(y, by_value(n.clone(), &x), 1e-13, "value");
    let with = |f: &dyn Fn(&mut Net, f64)| {
        slope(|h| {
            let mut n = n.clone();
            f(&mut n, h);
            by_value(n, &x)
        })
    };
    for (i, &d) in g.net.first.w.indexed_iter() {
        close(d, with(&|n, h| n.first.w[i] += h), 1e-8, "w");
    }
    for (i, &d) in g.net.layers[0].indexed_iter() {
        close(d, with(&|n, h| n.layers[0][i] += h), 1e-8, "l");
    }
    close(g.net.k, with(&|n, h| n.k += h), 1e-8, "k");
    let (y2, saved) = taken::forward(n.clone(), &x);
    assert_eq!((y2, taken::backward(&saved, 1.0).net), (y, g.net.clone()));
    let mut w = TakenWorkspace::default();
    for _ in 0..2 {
        let (y2, h) = taken::value_and_gradient_with(&mut w, n.clone(), &x);
        assert_eq!((y2, &h.net), (y, &g.net));
    }
    let mut b = n.zero_gradient();
    taken::accumulate(n.clone(), &x, 1.0, &mut b);
    close((&b.first.w - &g.net.first.w).sum(), 0.0, 1e-13, "acc");
    taken::value_and_gradient_into(n, &x, &mut b);
    assert_eq!(b, g.net);
}
