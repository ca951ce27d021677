//! Structs, aliases and annotated functions from other files of the package: imported by name, under another name, by `*`,
//! through a module that hands them on, and written with their path.

#![allow(clippy::all, clippy::pedantic, dead_code, unused_qualifications)] // Differentiated as users write them.

#[path = "../support/differences.rs"]
mod differences;
mod geometry;
mod model;

use backprop::backprop;
use differences::{near, slope};
use geometry::{Body, Real, Vec2, Vec2 as Point, pull};
use model::{Params, Renamed};

/// One of the name is in `model::decoy`: it is not imported.
#[backprop]
fn fit(p: &Params, x: f64, r: Renamed) -> f64 {
    geometry::activation(p.a * x, p.b) + p.w[0] * p.w[1] * r.c
}

#[backprop]
fn chase(b: &Body, at: [f64; 2], k: Real) -> f64 {
    let d = pull(b, at);
    let e: Point = geometry::moved(b, k);
    let f = Point { x: e.y * e.x, ..e };
    d[0] * d[0] + d[1] * f.x + f.y + b.weight(2.0)
}

#[backprop]
fn lengths(p: &model::inner::Deep, all: &[geometry::Vec2]) -> f64 {
    let mut t = p.offset.x;
    for v in all {
        t += v.x * v.y * t;
    }
    t * p.scale
}

mod wild {
    use crate::geometry::*;
    use backprop::backprop;

    #[backprop]
    pub fn energy(b: &Body, k: Real) -> f64 {
        k * (b.at.x * b.at.x + b.at.y) * b.mass
    }
}

#[test]
fn a_struct_that_another_module_hands_on() {
    let p = Params {
        a: 1.2,
        b: 0.5,
        w: [2.0, 3.0],
    };
    let value = |p: &Params, x: f64| fit(p, x, Renamed { c: 2.0 });
    let (y, g) = fit::value_and_gradient(&p, 0.3, Renamed { c: 2.0 });
    assert_eq!(y, value(&p, 0.3));
    near(
        g.p.a,
        slope(|a| value(&Params { a, ..p.clone() }, 0.3), 1.2),
    );
    near(
        g.p.b,
        slope(|b| value(&Params { b, ..p.clone() }, 0.3), 0.5),
    );
    assert_eq!((g.p.w, g.r.c), ([6.0, 4.0], 6.0));
    near(g.x, slope(|x| value(&p, x), 0.3));
}

#[test]
fn calls_and_methods_in_other_files() {
    let of = |x: f64, mass: f64| Body {
        at: Point { x, y: 2.0 },
        mass,
    };
    let (b, at) = (of(1.0, 3.0), [0.1, 0.2]);
    let (y, g) = chase::value_and_gradient(&b, at, 0.7);
    assert_eq!(y, chase(&b, at, 0.7));
    near(g.b.at.x, slope(|x| chase(&of(x, 3.0), at, 0.7), 1.0));
    near(g.b.mass, slope(|m| chase(&of(1.0, m), at, 0.7), 3.0));
    near(g.at[1], slope(|v| chase(&b, [0.1, v], 0.7), 0.2));
    near(g.k, slope(|k| chase(&b, at, k), 0.7));
}

#[test]
fn structs_in_structs_and_slices() {
    let of = |x: f64| model::inner::Deep {
        scale: 2.0,
        offset: Point { x, y: 1.0 },
    };
    let all = |x: f64| [Point { x, y: 4.0 }, Point { x: 0.5, y: 0.25 }];
    let (y, g) = lengths::value_and_gradient(&of(1.5), &all(3.0));
    assert_eq!(y, lengths(&of(1.5), &all(3.0)));
    near(g.p.offset.x, slope(|x| lengths(&of(x), &all(3.0)), 1.5));
    near(g.all[0].x, slope(|x| lengths(&of(1.5), &all(x)), 3.0));
    assert_eq!(g.p.offset.y, 0.0);
}

#[test]
fn everything_imported() {
    let of = |y: f64| Body {
        at: Point { x: 0.5, y },
        mass: 3.0,
    };
    let g = wild::energy::gradient(&of(2.0), 1.5);
    near(g.b.at.y, slope(|y| wild::energy(&of(y), 1.5), 2.0));
    near(g.k, slope(|k| wild::energy(&of(2.0), k), 1.5));
}

#[backprop]
fn spread(p: model::Pair<f32>, k: f64) -> f64 {
    let [a, b] = p.rest;
    f64::from(p.first * a) * k + f64::from(b)
}

#[test]
fn a_generic_struct() {
    let p = model::Pair {
        first: 2.0_f32,
        rest: [3.0, 4.0],
    };
    let g = spread::gradient(p, 0.5);
    assert_eq!((g.p.first, g.p.rest, g.k), (1.5, [1.0, 1.0], 6.0));
}
