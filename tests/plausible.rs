//! What users will try and need not be told about: each is differentiated, in every way that it offers.
//!
//! What they will try and are told to write otherwise is in `tests/ui/plausible`.

// Written as users write, not as clippy would.
#![allow(unused, clippy::all)]

#[macro_use]
#[path = "support/every_way.rs"]
mod every_way;

use backprop::{Differentiable, backprop};
use std::collections::HashMap;

static SCALE: f64 = 3.0;

#[backprop]
fn a_static(x: f64) -> f64 {
    SCALE * x * x
}

#[backprop]
fn half_open_patterns(x: f64) -> f64 {
    match x {
        ..=-1.0 => -x,
        -1.0..0.0 => x * x,
        0.0..=2.0 => x * x * x,
        _ => 8.0 * x,
    }
}

#[backprop]
fn patterns_of_integers(x: f64, n: u32) -> f64 {
    match n {
        0 => 1.5 * x,
        1..=3 => x * x,
        4 | 5 => x * x * x,
        _ if n % 2 == 0 => x.sin(),
        _ => x.cos(),
    }
}

#[backprop]
fn labelled_block(x: f64) -> f64 {
    let y = 'a: {
        if x > 1.0 {
            break 'a x * x;
        }
        let mut s = x;
        loop {
            s *= 1.5;
            if s > 10.0 {
                break 'a s;
            }
        }
    };
    y + x
}

#[backprop]
fn let_else(x: &[f64]) -> f64 {
    let [a, b, ..] = x else { return 0.0 };
    let Some(c) = x.last() else { return 0.0 };
    a * b * c
}

#[backprop]
fn let_chain(x: &[f64]) -> f64 {
    if let Some(a) = x.first()
        && *a > 0.0
    {
        a * a
    } else {
        3.0 * x[1]
    }
}

#[backprop]
fn image(pixels: &[u8], w: &[f64]) -> f64 {
    let mut s = 0.0;
    for (p, w) in pixels.iter().zip(w) {
        s += *p as f64 / 255.0 * w * w;
    }
    s
}

#[backprop]
fn image_of_rows(pixels: &[[u8; 2]; 2], w: &[[f64; 2]; 2]) -> f64 {
    let mut s = 0.0;
    for i in 0..2 {
        for j in 0..2 {
            s += f64::from(pixels[i][j]) * w[i][j].sin();
        }
    }
    s
}

#[backprop]
fn const_generic<const N: usize>(x: [f64; N]) -> f64 {
    let mut s = 0.0;
    for i in 0..N {
        s += x[i] * x[i] * (i + 1) as f64;
    }
    s
}

// Nothing in the residuals is of a type that mentions `N`.
#[backprop]
fn const_generic_number<const N: usize>(x: f64) -> f64 {
    N as f64 * x.sin()
}

#[backprop]
fn const_generic_length<const N: usize>(x: f64) -> f64 {
    let mut a = [x; N];
    for i in 1..N {
        a[i] = a[i - 1].sin() * x;
    }
    a[N - 1]
}

trait Unit {
    const IN_METERS: f64;
}

struct Feet;

impl Unit for Feet {
    const IN_METERS: f64 = 0.3048;
}

#[backprop(wrt(x))]
fn associated_constant<U: Unit>(x: f64, _unit: U) -> f64 {
    (U::IN_METERS * x).sin()
}

#[backprop]
fn slices_of_slices(rows: &[&[f64]]) -> f64 {
    rows.iter()
        .map(|r| r.iter().map(|v| v * v).sum::<f64>())
        .sum()
}

#[backprop(wrt(x))]
fn optional(bias: Option<f64>, x: f64) -> f64 {
    x * x + bias.unwrap_or(0.5) * x
}

#[backprop(wrt(x))]
fn looked_up(table: &HashMap<String, f64>, x: f64) -> f64 {
    table["k"] * x * x
}

#[backprop]
fn chosen_by_text(mode: &str, x: f64) -> f64 {
    match mode {
        "square" => x * x,
        "cube" => x * x * x,
        _ => x,
    }
}

#[derive(Clone, Copy)]
enum Layer {
    Scale(f64),
    Shift { by: f64 },
}

#[backprop(wrt(x))]
fn constant_enum(layer: &Layer, x: f64) -> f64 {
    match layer {
        Layer::Scale(s) => s * x * x,
        Layer::Shift { by } => x * (x + by),
    }
}

#[backprop]
fn square(x: f64) -> f64 {
    x * x
}

#[backprop]
fn pointer_inside(x: f64) -> f64 {
    let g: fn(f64) -> f64 = square;
    g(x) * x
}

#[backprop]
fn boxed(x: f64) -> f64 {
    let b = Box::new(x);
    *b * *b
}

trait Named {
    fn powi(&self, n: i32) -> f64;
}

impl Named for f64 {
    fn powi(&self, n: i32) -> f64 {
        *self * f64::from(n)
    }
}

// A float's own method goes first.
#[backprop]
fn shadowed_method(x: f64) -> f64 {
    x.powi(3)
}

#[backprop]
fn on_a_copy(v: &[f64]) -> f64 {
    let mut w = v.to_vec();
    let mut s = 0.0;
    while let Some(x) = w.pop() {
        s += x * x * (w.len() + 1) as f64;
    }
    s
}

// Copies of rows whose lengths the function's beginning knows.
#[backprop]
fn copies_in_loops(rows: Vec<Vec<f64>>, n: usize) -> f64 {
    let mut s = 0.0;
    for k in 0..n {
        let mut m = rows.clone();
        m[0][0] *= k as f64 + 1.0;
        for _ in 0..2 {
            let mut q = m.clone();
            q[1][0] += q[0][0];
            s += q[1][0] * q[0][0];
        }
    }
    s
}

#[backprop]
fn copies_in_branches(rows: &[Vec<f64>], x: f64) -> f64 {
    if x > 0.0 {
        let mut m = rows.to_vec();
        m[0][0] *= x;
        m[0][0] * m[1][0]
    } else {
        x * rows[0][1]
    }
}

#[backprop]
fn destructuring(a: f64, b: f64) -> f64 {
    let (mut a, mut b) = (a, b);
    (a, b) = (b, a + b);
    [a, b] = [a * b, a];
    std::mem::swap(&mut a, &mut b);
    a - b
}

#[backprop]
fn capturing(x: f64) -> f64 {
    let mut c = 0.0;
    let mut add = |v: f64| c += v * x * x;
    add(1.0);
    add(2.0);
    c
}

#[backprop]
fn random_numbers(x: f64, seed: u64) -> f64 {
    let (mut s, mut y) = (seed, x);
    for _ in 0..3 {
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1);
        y *= (s >> 33) as f64 / 1e9 + x;
    }
    y
}

#[backprop]
fn tried(x: &[f64]) -> f64 {
    let sum = |s: f64, v: &f64| if *v < 0.0 { None } else { Some(s + v * v) };
    x.iter().try_fold(0.0, sum).unwrap_or(0.0)
}

#[backprop]
fn question_in_a_closure(x: &[f64]) -> f64 {
    let g = || -> Option<f64> {
        let a = x.first()?;
        Some(a * a)
    };
    g().unwrap_or(0.0)
}

#[backprop]
fn flag_as_number(x: f64) -> f64 {
    (x > 0.0) as u8 as f64 * x * x
}

#[backprop]
fn pairs(v: &[(f64, usize)]) -> f64 {
    v.iter().map(|(x, n)| x * x * *n as f64).sum()
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    // Beside an `impl` the attribute finds out by itself that it stands in one.
    #[backprop]
    fn new(re: f64, im: f64) -> Complex {
        Complex { re, im }
    }

    #[backprop(wrt(self, other))]
    fn times(&self, other: &Complex) -> Complex {
        Complex {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    #[backprop(wrt(self))]
    fn norm(&self) -> f64 {
        self.re.hypot(self.im)
    }
}

#[backprop]
fn cubed(x: f64, y: f64) -> f64 {
    let z = Complex::new(x, y);
    let w = z.times(&z).times(&z);
    w.norm() + w.re
}

mod quiet {
    pub enum Padding {
        None,
        Some,
    }

    pub mod inner {
        #[allow(unused_imports)]
        use super::*;
        use backprop::backprop;

        // The variants are not imported: these are the standard library's.
        #[backprop]
        pub fn own(x: f64) -> f64 {
            let o = if x > 1.0 { Some(x) } else { None };
            match o {
                Some(v) => v * v,
                None => 3.0 * x,
            }
        }
    }
}

use quiet::inner::own;

#[test]
fn decisions() {
    every_way!(a_static, [x = 0.7], (x));
    for x in [-2.0, -0.5, 1.3, 3.0] {
        every_way!(half_open_patterns, [x = x], (x));
    }
    for n in [0, 2, 5, 8, 9] {
        every_way!(patterns_of_integers, [x = 0.7], (x, n));
    }
    for x in [1.5, 0.8] {
        every_way!(labelled_block, [x = x], (x));
        every_way!(own, [x = x], (x));
    }
    every_way!(let_else, [x = vec![2.0, 3.0, 5.0]], (&x));
    every_way!(let_chain, [x = vec![2.0, 3.0]], (&x));
    every_way!(let_chain, [x = vec![-2.0, 3.0]], (&x));
    every_way!(flag_as_number, [x = 1.5], (x));
    every_way!(chosen_by_text, [x = 1.5], ("cube", x));
    every_way!(constant_enum, [x = 1.5], (&Layer::Scale(2.0), x));
    every_way!(constant_enum, [x = 1.5], (&Layer::Shift { by: 2.0 }, x));
}

#[test]
fn types() {
    every_way!(image, [w = vec![0.3, 0.7]], (&[200, 17], &w));
    every_way!(
        image_of_rows,
        [w = [[0.3, 0.7], [1.1, 0.2]]],
        (&[[1, 2], [3, 4]], &w)
    );
    every_way!(const_generic, [x = [0.3, 0.7, 1.1]], (x));
    every_way!(pairs_of_numbers, [x = 0.4], (x));
    every_way!(optional, [x = 1.5], (None, x));
    every_way!(optional, [x = 1.5], (Some(2.0), x));
    let table = HashMap::from([("k".to_string(), 2.5)]);
    every_way!(looked_up, [x = 1.5], (&table, x));
    every_way!(boxed, [x = 1.5], (x));
    every_way!(cubed, [x = 0.8, y = -0.3], (x, y));
}

#[backprop]
fn pairs_of_numbers(x: f64) -> f64 {
    let v = [(x, 2), (x * x, 3)];
    pairs(&v)
}

#[test]
fn generics_that_no_residual_mentions() {
    let (y, saved) = const_generic_number::forward::<4>(0.5);
    assert_eq!(y, 4.0 * 0.5_f64.sin());
    let g = const_generic_number::backward(&saved, 2.0);
    assert!((g.x - 8.0 * 0.5_f64.cos()).abs() < 1e-15);
    let (_, g) = const_generic_length::value_and_gradient::<3>(0.5);
    let (_, saved) = const_generic_length::forward::<3>(0.5);
    let back = const_generic_length::backward(&saved, 1.0);
    let f = |by: f64| const_generic_length::<3>(0.5 + by);
    every_way::near(
        "length",
        &[g.x, back.x],
        &[every_way::slope(f, 1e-3); 2],
        1e-6,
    );
    let (_, saved) = associated_constant::forward(0.5, Feet);
    let g = associated_constant::backward(&saved, 1.0);
    assert!((g.x - 0.3048 * (0.3048_f64 * 0.5).cos()).abs() < 1e-15);
}

#[test]
fn lists() {
    every_way!(on_a_copy, [v = vec![2.0, 3.0, 5.0]], (&v));
    every_way!(tried, [x = vec![2.0, 3.0]], (&x));
    every_way!(tried, [x = vec![2.0, 3.0, 0.1]], (&x));
    every_way!(question_in_a_closure, [x = vec![2.0, 3.0]], (&x));
    let rows = vec![vec![0.3, 0.7], vec![1.1]];
    every_way!(copies_in_loops, [rows = rows.clone()], (rows, 3));
    for x in [0.8, -0.8] {
        every_way!(copies_in_branches, [rows = rows.clone(), x = x], (&rows, x));
    }
    let rows = [&[0.3, 0.7][..], &[1.1][..]];
    let g = slices_of_slices::gradient(&rows);
    assert_eq!(g.rows, [vec![0.6, 1.4], vec![2.2]]);
}

#[test]
fn functions() {
    every_way!(pointer_inside, [x = 1.5], (x));
    every_way!(shadowed_method, [x = 1.5], (x));
    every_way!(capturing, [x = 1.5], (x));
    every_way!(destructuring, [a = 1.5, b = 0.4], (a, b));
    every_way!(random_numbers, [x = 1.5], (x, 7));
}
