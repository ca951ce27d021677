//! Structs of names that others have: with other fields, so that taking one for the other is an error.

use super::inner::Deep;
use crate::differences::{near, slope};
use crate::geometry;
use backprop::{Differentiable, backprop};
use geometry::Vec2;

#[derive(Clone, Copy, Debug, Differentiable)]
pub struct Body {
    pub mass: f32,
    pub heat: f64,
}

#[backprop]
fn warm(b: Body, p: &Deep, v: geometry::Vec2) -> f64 {
    b.heat * p.scale * v.x + p.offset.y
}

#[test]
fn the_one_in_the_file_comes_first() {
    let b = Body {
        mass: 1.0,
        heat: 2.0,
    };
    let p = Deep {
        scale: 3.0,
        offset: Vec2 { x: 1.0, y: 1.0 },
    };
    let of = |x: f64| Vec2 { x, y: 0.5 };
    let g = warm::gradient(b, &p, of(0.25));
    near(g.v.x, slope(|x| warm(b, &p, of(x)), 0.25));
    assert_eq!((g.b.heat, g.p.offset.y), (0.75, 1.0));
}

impl Deep {
    #[backprop(wrt(self, k))]
    fn size(&self, k: f64) -> f64 {
        self.scale * self.offset.x * k + self.offset.y
    }
}

#[test]
fn a_method_far_from_its_struct() {
    let p = Deep {
        scale: 3.0,
        offset: Vec2 { x: 0.5, y: 1.0 },
    };
    let (g, k) = p.size_gradient(2.0);
    assert_eq!((g.scale, g.offset.x, g.offset.y, k), (1.0, 6.0, 1.0, 1.5));
}
