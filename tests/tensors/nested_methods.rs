//! Methods that call methods: of `self`, of its fields, of a parameter.

use super::agree::{close, numbers, slope};
use backprop::{Differentiable, backprop};
use ndarray::*;

const GAIN: f64 = 1.5;

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Dense {
    w: Array2<f64>,
    b: Array1<f64>,
}

impl Dense {
    #[backprop(wrt(self, x))]
    fn forward(&self, x: &Array2<f64>, squash: bool) -> Array2<f64> {
        let h = x.dot(&self.w) + &self.b;
        if !squash {
            return h;
        }
        h.mapv(|v| (v * GAIN).tanh())
    }
    #[backprop(wrt(self))]
    fn penalty(&self, rate: f64) -> f64 {
        const HALF: f64 = 0.5;
        let x = (&self.w * &self.w).sum() + self.bias();
        HALF * rate * x
    }
    #[backprop(wrt(self))]
    fn bias(&self) -> f64 {
        self.b.dot(&self.b)
    }
    #[backprop(wrt(self, u))]
    fn add_to(&self, u: &mut Array1<f64>, k: f64) {
        u.scaled_add(k, &self.b);
    }
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Net {
    first: Dense,
    second: Dense,
    rate: f64,
}

impl Net {
    #[backprop(wrt(self))]
    fn predict(&self, x: &Array2<f64>) -> Array2<f64> {
        let h = self.first.forward(x, true);
        self.second.forward(&h, false)
    }
    #[backprop(wrt(self))]
    fn loss(&self, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        let e = self.predict(x) - y;
        let mut s = Array1::<f64>::zeros(self.first.b.len());
        for i in 0..2 {
            self.first.add_to(&mut s, i as f64 + 1.0);
        }
        (&e * &e).mean().unwrap()
            + self.first.penalty(self.rate)
            + self.second.penalty(0.1)
            + s.dot(&s)
    }
}

#[backprop(wrt(net))]
fn free(net: &Net, x: &Array2<f64>, h: &Array2<f64>) -> f64 {
    let x = net.first.forward(x, true) + h;
    net.second.forward(&x, true).sum() + net.second.bias()
}

#[test]
fn nested() {
    let n = Net {
        first: Dense {
            w: numbers((3, 4), 1),
            b: numbers(4, 2),
        },
        second: Dense {
            w: numbers((4, 2), 3),
            b: numbers(2, 4),
        },
        rate: 0.3,
    };
    let (x, y) = (numbers((5, 3), 5), numbers((5, 2), 6));
    let (v, (g,)) = n.loss_value_and_gradient(&x, &y);
    close(v, n.loss(&x, &y), 1e-13, "v");
    let with = |f: &dyn Fn(&mut Net, f64)| {
        slope(|h| {
            let mut n = n.clone();
            f(&mut n, h);
            n.loss(&x, &y)
        })
    };
    for (i, &d) in g.first.w.indexed_iter() {
        close(d, with(&|n, h| n.first.w[i] += h), 1e-8, "w");
    }
    for (i, &d) in g.first.b.indexed_iter() {
        close(d, with(&|n, h| n.first.b[i] += h), 1e-8, "b");
    }
    for (i, &d) in g.second.w.indexed_iter() {
        close(d, with(&|n, h| n.second.w[i] += h), 1e-8, "w2");
    }
    for (i, &d) in g.second.b.indexed_iter() {
        close(d, with(&|n, h| n.second.b[i] += h), 1e-8, "b2");
    }
    close(g.rate, with(&|n, h| n.rate += h), 1e-8, "rate");
    let h = numbers((5, 4), 8);
    let (v, g) = free::value_and_gradient(&n, &x, &h);
    close(v, free(&n, &x, &h), 1e-13, "v");
    let with = |f: &dyn Fn(&mut Net, f64)| {
        slope(|e| {
            let mut n = n.clone();
            f(&mut n, e);
            free(&n, &x, &h)
        })
    };
    for (i, &d) in g.net.first.w.indexed_iter() {
        close(d, with(&|n, h| n.first.w[i] += h), 1e-8, "w");
    }
    for (i, &d) in g.net.second.b.indexed_iter() {
        close(d, with(&|n, h| n.second.b[i] += h), 1e-8, "b2");
    }
}
