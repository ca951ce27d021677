//! What cannot be handed to an annotated function, or taken back from it.

use backprop::{Differentiable, backprop};

#[backprop]
fn counted(v: &mut [f64], x: f64) -> f64 {
    v[0] *= x;
    v[0]
}

#[backprop]
fn value_beside_a_place(x: f64) -> f64 {
    let mut v = [x, 1.0];
    counted(&mut v, x) + v[0]
}

#[backprop(wrt(x))]
fn partly(x: f64, k: f64) -> f64 {
    x * k
}

#[backprop]
fn active_where_constant(x: f64) -> f64 {
    partly(x, x + 1.0)
}

#[backprop]
fn table(x: f64) -> Vec<Vec<f64>> {
    vec![vec![x, 1.0], vec![x * x]]
}

#[backprop]
fn rows(x: f64) -> f64 {
    let t = table(x);
    t[0][0]
}

#[derive(Clone, Copy, Differentiable)]
struct Spring {
    k: f64,
}

trait Energy {
    fn elsewhere(&self, x: f64) -> f64;
}

impl Energy for Spring {
    fn elsewhere(&self, x: f64) -> f64 {
        self.k * x
    }
}

impl Spring {
    fn plain(&self, x: f64) -> f64 {
        self.k * x
    }

    #[backprop]
    fn constant(&self, x: f64) -> f64 {
        self.k * x
    }

    #[backprop(wrt(self, n))]
    fn endless(&self, n: f64) -> f64 {
        if n < 0.0 { self.k } else { self.endless(n - 1.0) }
    }
}

impl std::ops::Mul<f64> for Spring {
    type Output = Spring;
    fn mul(self, by: f64) -> Spring {
        Spring { k: self.k * by }
    }
}

#[backprop]
fn methods(x: f64) -> f64 {
    let s = Spring { k: x };
    s.plain(x) + s.elsewhere(x)
}

#[backprop]
fn constant_self(x: f64) -> f64 {
    let s = Spring { k: x };
    s.constant(x)
}

#[backprop]
fn operators(x: f64) -> f64 {
    let s = Spring { k: x } * 2.0;
    s.k
}

struct Plain {
    k: f64,
}

impl Plain {
    #[backprop(wrt(self))]
    fn underived(&self) -> f64 {
        self.k
    }
}

impl Energy for Plain {
    #[backprop(wrt(this, x))]
    fn elsewhere(&self, x: f64) -> f64 {
        self.k * x
    }
}

fn main() {}
