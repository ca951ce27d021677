//! Structs: `#[derive(Differentiable)]`, as parameters, locals and results, and aliases of types.

#![allow(clippy::needless_range_loop)] // Differentiated as users write them.

#[path = "support/differences.rs"]
mod differences;

use backprop::{Differentiable, backprop};
use differences::{near, slope};

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Params {
    w: Vec<f64>,
    bias: f64,
    n: usize,
    pos: [f64; 2],
    inner: Inner,
    layers: Vec<Inner>,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Differentiable)]
struct Inner {
    k: f64,
    t: (f64, f64),
}

fn params() -> Params {
    let inner = |k| Inner {
        k,
        t: (0.1, 0.2 * k),
    };
    Params {
        w: vec![0.1, 0.2, 0.3],
        bias: 0.2,
        n: 3,
        pos: [1.0, -0.5],
        inner: inner(0.7),
        layers: vec![inner(1.1), inner(-0.4)],
        name: "m".into(),
    }
}

#[backprop]
fn model(p: &Params, x: &[f64]) -> f64 {
    let mut s = p.bias * p.inner.k + p.inner.t.0 * p.inner.t.1;
    for i in 0..p.n {
        s += p.w[i] * x[i] * p.pos[i % 2];
    }
    for layer in &p.layers {
        s = (s * layer.k).sin() + layer.t.0 * layer.t.1;
    }
    let Inner { k, .. } = p.inner;
    s.tanh() * k
}

#[test]
fn a_struct_by_reference() {
    let (p, x) = (params(), [1.0, 2.0, 3.0]);
    let (y, g) = model::value_and_gradient(&p, &x);
    assert_eq!(y, model(&p, &x));
    let (z, saved) = model::forward(&p, &x);
    assert_eq!((z, &model::backward(&saved, 1.0)), (y, &g));
    assert_eq!(model::backward(&saved, 1.0), g);
    let vary = |change: &dyn Fn(&mut Params, f64), at: f64| {
        slope(
            |v| {
                let mut p = params();
                change(&mut p, v);
                model(&p, &x)
            },
            at,
        )
    };
    near(g.p.bias, vary(&|p, v| p.bias = v, 0.2));
    for i in 0..3 {
        near(g.p.w[i], vary(&|p, v| p.w[i] = v, p.w[i]));
    }
    for i in 0..2 {
        near(g.p.pos[i], vary(&|p, v| p.pos[i] = v, p.pos[i]));
        near(
            g.p.layers[i].k,
            vary(&|p, v| p.layers[i].k = v, p.layers[i].k),
        );
        near(
            g.p.layers[i].t.1,
            vary(&|p, v| p.layers[i].t.1 = v, p.layers[i].t.1),
        );
    }
    near(g.p.inner.k, vary(&|p, v| p.inner.k = v, 0.7));
    near(g.p.inner.t.0, vary(&|p, v| p.inner.t.0 = v, 0.1));
}

#[test]
fn into_buffers() {
    let (p, x) = (params(), [1.0, 2.0, 3.0]);
    let g = model::gradient(&p, &x);
    let (mut d, mut dx) = (p.zero_gradient(), vec![7.0; 3]);
    d.bias = 5.0;
    model::value_and_gradient_into(&p, &x, &mut d, &mut dx);
    assert_eq!((&d, &dx), (&g.p, &g.x));
    model::accumulate(&p, &x, 1.0, &mut d, &mut dx);
    assert_eq!(d.w[2], 2.0 * g.p.w[2]);
    assert_eq!(d.layers[1].t.0, 2.0 * g.p.layers[1].t.0);
}

#[test]
fn a_buffer_of_another_length_panics() {
    let (p, x) = (params(), [1.0, 2.0, 3.0]);
    let mut d = p.zero_gradient();
    d.layers.pop();
    let bad = std::panic::catch_unwind(move || {
        model::accumulate(&p, &x, 1.0, &mut d, &mut [0.0; 3]);
    });
    assert!(bad.is_err());
}

#[backprop]
fn step(mut s: Inner, h: f64) -> Inner {
    for _ in 0..3 {
        s.k += h * s.t.0;
        s.t.0 -= h * s.k.sin();
    }
    s
}

#[test]
fn a_struct_as_result() {
    let s = Inner {
        k: 0.7,
        t: (0.1, 0.2),
    };
    let (y, saved) = step::forward(s, 0.1);
    assert_eq!(y, step(s, 0.1));
    let upstream = InnerGradient {
        k: 1.0,
        t: (0.5, 2.0),
    };
    let g = step::backward(&saved, upstream);
    let weigh = |y: Inner| y.k + 0.5 * y.t.0 + 2.0 * y.t.1;
    near(g.s.k, slope(|k| weigh(step(Inner { k, ..s }, 0.1)), 0.7));
    near(
        g.s.t.0,
        slope(|t| weigh(step(Inner { t: (t, 0.2), ..s }, 0.1)), 0.1),
    );
    near(g.s.t.1, 2.0);
    near(g.h, slope(|h| weigh(step(s, h)), 0.1));
}

#[derive(Clone, Copy, Differentiable)]
struct Body {
    m: f64,
    r: [f64; 2],
    id: u32,
    #[backprop(constant)]
    charge: f64,
}

fn body(m: f64, x: f64, id: u32) -> Body {
    Body {
        m,
        r: [x, 1.0 - x * x],
        id,
        charge: 2.0,
    }
}

#[backprop]
fn energy(bodies: &[Body]) -> f64 {
    let mut e = 0.0;
    for i in 0..bodies.len() {
        for j in 0..i {
            let dx = bodies[i].r[0] - bodies[j].r[0];
            let dy = bodies[i].r[1] - bodies[j].r[1];
            if bodies[i].id != bodies[j].id {
                e -= bodies[i].m * bodies[j].m / (dx * dx + dy * dy).sqrt() * bodies[i].charge;
            }
        }
    }
    e
}

#[test]
fn a_slice_of_structs() {
    let bodies = [body(1.0, 0.2, 0), body(2.0, -0.4, 1), body(0.5, 1.4, 2)];
    let g = energy::gradient(&bodies).bodies;
    for i in 0..3 {
        let vary = |change: &dyn Fn(&mut Body, f64), at| {
            let f = |v| {
                let mut all = bodies;
                change(&mut all[i], v);
                energy(&all)
            };
            slope(f, at)
        };
        near(g[i].m, vary(&|b, v| b.m = v, bodies[i].m));
        near(g[i].r[0], vary(&|b, v| b.r[0] = v, bodies[i].r[0]));
        near(g[i].r[1], vary(&|b, v| b.r[1] = v, bodies[i].r[1]));
    }
}

#[backprop]
fn local_structs(x: f64, n: usize) -> f64 {
    let mut bodies = vec![
        Body {
            m: x,
            r: [x * x, 1.0],
            id: 3,
            charge: 1.0
        };
        n
    ];
    for i in 0..n {
        bodies[i].m *= (i as f64) + x;
        bodies[i].r[1] = bodies[i].m;
    }
    bodies[1] = Body { id: 4, ..bodies[0] };
    let mut s = 0.0;
    for b in &bodies {
        s += b.m * b.r[1] * b.r[0] * f64::from(b.id);
    }
    s
}

#[test]
fn a_vec_of_structs_in_place() {
    let (y, g) = local_structs::value_and_gradient(1.1, 3);
    assert_eq!(y, local_structs(1.1, 3));
    near(g.x, slope(|x| local_structs(x, 3), 1.1));
    let (y, saved) = local_structs::forward(1.1, 3);
    assert_eq!(
        (y, local_structs::backward(&saved, 1.0)),
        (local_structs(1.1, 3), g)
    );
}

struct Wrap(f64, f64);

#[derive(Clone, Copy)]
struct P {
    a: f64,
    b: f64,
}

#[backprop]
fn plain_locals(x: f64, y: f64, flip: bool) -> f64 {
    let p = P { a: x * y, b: x };
    let mut q = P { b: p.a * 2.0, ..p };
    q.a += q.b * p.b;
    if flip {
        q = P {
            a: q.b,
            b: q.a.sin(),
        };
    }
    for _ in 0..2 {
        q.a *= q.b;
    }
    let w = Wrap(q.a.sin(), y);
    let Wrap(first, ..) = w;
    let (c, d);
    P { a: c, b: d } = q;
    first * w.1 + c * d
}

#[test]
fn structs_without_the_derive_inside() {
    for flip in [false, true] {
        let (y, g) = plain_locals::value_and_gradient(0.8, 0.5, flip);
        assert_eq!(y, plain_locals(0.8, 0.5, flip));
        near(g.x, slope(|x| plain_locals(x, 0.5, flip), 0.8));
        near(g.y, slope(|y| plain_locals(0.8, y, flip), 0.5));
    }
}

#[backprop]
fn matched(x: f64, y: f64) -> f64 {
    match (P { a: x, b: y }) {
        P { a, b } if a > b => a * a * b,
        P { a, b: other } => a - other * other,
    }
}

#[test]
fn patterns_with_guards() {
    assert_eq!(
        matched::gradient(3.0, 2.0),
        MatchedGradient { x: 12.0, y: 9.0 }
    );
    assert_eq!(
        matched::gradient(1.0, 2.0),
        MatchedGradient { x: 1.0, y: -4.0 }
    );
}

#[derive(Clone, Differentiable)]
struct Layer<T, const N: usize>
where
    T: num_traits::Float,
{
    w: [T; N],
    b: T,
}

#[backprop]
fn dense<T: num_traits::Float, const N: usize>(layer: &Layer<T, N>, x: [T; N]) -> T {
    let mut s = layer.b;
    for i in 0..N {
        s = s + layer.w[i] * x[i];
    }
    s * s
}

#[test]
fn generic_structs() {
    let layer = Layer {
        w: [1.0, 2.0],
        b: 0.5,
    };
    let (y, g) = dense::value_and_gradient(&layer, [3.0, 4.0]);
    assert_eq!(
        (y, g.layer.w, g.layer.b, g.x),
        (132.25, [69.0, 92.0], 23.0, [23.0, 46.0])
    );
    let layer = Layer {
        w: [1.0_f32],
        b: 0.5,
    };
    assert_eq!(dense::gradient(&layer, [2.0]).layer.b, 5.0);
}

mod scopes {
    // A struct of the same name as another in this file.
    #[derive(Clone, Copy, backprop::Differentiable)]
    pub struct P {
        pub b: f64,
        pub c: [f64; 1],
    }

    #[backprop::backprop]
    pub fn here(p: P) -> f64 {
        p.b * p.c[0]
    }
}

#[test]
fn the_struct_in_scope_is_meant() {
    let g = scopes::here::gradient(scopes::P { b: 2.0, c: [3.0] });
    assert_eq!((g.p.b, g.p.c), (3.0, [2.0]));
}

#[test]
fn inside_a_function() {
    #[derive(Differentiable)]
    struct Within {
        v: f64,
    }

    #[backprop]
    fn square(w: &Within) -> f64 {
        w.v * w.v
    }

    assert_eq!(
        square::gradient(&Within { v: 3.0 }).w,
        WithinGradient { v: 6.0 }
    );
}

type Real = f64;
type Vec3 = [Real; 3];
type Grid<T, const N: usize> = [[T; N]; 2];

#[backprop]
fn aliases(x: Real, v: Vec3, g: &Grid<f32, 2>) -> Real {
    let k: Real = 2.0;
    let mut s = x * v[0] + v[1] * v[2].sin();
    for row in g {
        for e in row {
            s += k * f64::from(*e);
        }
    }
    s
}

#[test]
fn aliases_of_types() {
    let (y, g) = aliases::value_and_gradient(1.2, [0.5, -0.3, 2.0], &[[1.0; 2]; 2]);
    assert_eq!(y, aliases(1.2, [0.5, -0.3, 2.0], &[[1.0; 2]; 2]));
    assert_eq!((g.x, g.g), (0.5, [[2.0_f32; 2]; 2]));
    near(g.v[2], -0.3 * 2.0_f64.cos());
}

/// A type of the user's that is called like one of the standard library's.
mod named_like_another {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Differentiable)]
    pub struct Cell {
        pub charge: f64,
    }

    #[derive(Clone, Debug, PartialEq, Differentiable)]
    pub struct Battery {
        pub cells: [Cell; 2],
        pub first: Cell,
    }

    #[backprop]
    pub fn energy(b: &Battery) -> f64 {
        b.cells[0].charge * b.cells[1].charge + b.first.charge * b.first.charge
    }

    #[test]
    fn it_is_the_users() {
        let cell = |charge| Cell { charge };
        let b = Battery {
            cells: [cell(2.0), cell(3.0)],
            first: cell(5.0),
        };
        let g = energy::gradient(&b).b;
        let charges = (g.cells[0].charge, g.cells[1].charge, g.first.charge);
        assert_eq!(charges, (3.0, 2.0, 10.0));
    }
}
