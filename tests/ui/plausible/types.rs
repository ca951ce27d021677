//! Types of the user's own, and of traits.

#![allow(unused, static_mut_refs)]

use backprop::{Differentiable, backprop};
use std::ops::{Add, Deref, Index, Mul, Neg};

trait Energy {
    fn at(&self, x: f64) -> f64;
}

#[backprop]
fn object(m: &dyn Energy, x: f64) -> f64 {
    m.at(x) * x
}

#[backprop(wrt(x))]
fn generic<M: Energy>(m: &M, x: f64) -> f64 {
    m.at(x) * x
}

#[backprop]
fn bounded<T: Copy + Add<Output = T> + Mul<Output = T>>(x: T, y: T) -> T {
    x * x + y
}

#[backprop]
fn items<I: IntoIterator<Item = f64>>(x: I) -> f64 {
    let mut s = 0.0;
    for v in x {
        s += v * v;
    }
    s
}

#[derive(Clone, Copy, Differentiable)]
struct Complex {
    re: f64,
    im: f64,
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, o: Complex) -> Complex {
        Complex {
            re: self.re * o.re - self.im * o.im,
            im: self.re * o.im + self.im * o.re,
        }
    }
}

impl Neg for Complex {
    type Output = Complex;
    fn neg(self) -> Complex {
        Complex {
            re: -self.re,
            im: -self.im,
        }
    }
}

impl Complex {
    fn new(re: f64, im: f64) -> Complex {
        Complex { re, im }
    }

    fn norm(&self) -> f64 {
        self.re.hypot(self.im)
    }
}

#[backprop]
fn multiplied(x: f64, y: f64) -> f64 {
    let z = Complex { re: x, im: y };
    let w = z * z;
    w.re
}

#[backprop]
fn negated(z: Complex) -> f64 {
    let w = -z;
    w.re
}

#[backprop]
fn made(x: f64) -> f64 {
    let z = Complex::new(x, 2.0 * x);
    z.re * z.im
}

#[backprop]
fn measured(z: Complex) -> f64 {
    z.norm()
}

struct Meters(f64);

#[backprop]
fn speed(d: Meters, t: f64) -> f64 {
    d.0 / t
}

impl Deref for Meters {
    type Target = f64;
    fn deref(&self) -> &f64 {
        &self.0
    }
}

#[backprop]
fn dereferenced(x: f64) -> f64 {
    let d = Meters(x);
    *d * x
}

struct Matrix {
    a: [f64; 4],
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;
    fn index(&self, i: (usize, usize)) -> &f64 {
        &self.a[2 * i.0 + i.1]
    }
}

#[backprop]
fn indexed(x: f64) -> f64 {
    let m = Matrix { a: [x; 4] };
    m[(0, 1)] * x
}

enum Layer {
    Scale(f64),
    Shift { by: f64 },
}

#[backprop]
fn layers(layer: &Layer, x: f64) -> f64 {
    match layer {
        Layer::Scale(s) => s * x,
        Layer::Shift { by } => x + by,
    }
}

#[backprop]
fn layer_inside(a: f64, x: f64) -> f64 {
    let l = Layer::Scale(a);
    match l {
        Layer::Scale(s) => s * x,
        Layer::Shift { by } => x + by,
    }
}

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
        (self.0 >> 33) as f64
    }
}

#[backprop(wrt(x))]
fn noisy(rng: &mut Rng, x: f64) -> f64 {
    rng.next() * x
}

struct Spring {
    k: f64,
}

impl Energy for Spring {
    #[backprop]
    fn at(&self, x: f64) -> f64 {
        self.k * x * x
    }
}

impl Spring {
    #[backprop]
    fn wear(&mut self, x: f64) -> f64 {
        self.k += x;
        self.k * x
    }
}

macro_rules! method {
    ($name:ident) => {
        struct $name {
            k: f64,
        }

        impl $name {
            #[backprop(wrt(self, x))]
            fn energy(&self, x: f64) -> f64 {
                self.k * x
            }
        }
    };
}

method!(Hidden);

#[derive(Clone, Copy, Differentiable)]
struct Pair<T> {
    x: T,
    y: T,
}

#[backprop]
fn borrowed_result(x: &mut [f64]) -> &mut f64 {
    &mut x[0]
}

#[backprop]
fn with_a_flag(x: f64) -> (f64, bool) {
    (x * x, x > 0.0)
}

#[backprop]
fn counts(n: i64) -> i64 {
    n * n
}

fn main() {}
