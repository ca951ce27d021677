//! Patterns: of slices, of constant enums, and names in them that could be constants; `const` and `use` inside of functions.

#![allow(unused)]

use backprop::backprop;

const NONE: usize = 0;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Linear,
    Power(i32),
    Negative(i32),
    Scaled { by: f64, squared: bool },
    Mixed(usize, u8, f32),
}

// Not `Copy`: its parts are read where it stands.
enum Source {
    Constant(f64),
    Table(Vec<f64>),
    Named { order: i32, name: String },
}

#[backprop(wrt(x))]
fn of_enum(x: f64, kind: Kind) -> f64 {
    match kind {
        Kind::Linear => 2.0 * x,
        Kind::Power(n) if n > 3 => x.powi(n),
        Kind::Power(n) | Kind::Negative(n) => x * n as f64,
        Kind::Scaled { by, squared: true } => by * x * x,
        Kind::Scaled { by: factor, .. } => factor * x,
        Kind::Mixed(a @ 1..=3, .., c) => x * a as f64 + f64::from(c) * x,
        Kind::Mixed(a, b, _) => x * (a as f64) * (b as f64),
    }
}

#[backprop(wrt(x))]
fn of_borrowed_enum(x: f64, source: &Source) -> f64 {
    match source {
        Source::Constant(c) => x * c * *c,
        Source::Table(_) => x,
        Source::Named { order, .. } => x.powi(*order),
    }
}

#[backprop(wrt(x))]
fn of_enums(x: f64, kinds: &[Kind]) -> f64 {
    let mut s = 0.0;
    for kind in kinds {
        s += match kind {
            Kind::Power(n) => x.powi(*n),
            _ => x,
        };
    }
    for (i, kind) in kinds.iter().enumerate() {
        let Kind::Scaled { by, .. } = *kind else {
            s *= x;
            continue;
        };
        s += by * x * i as f64;
    }
    s
}

#[backprop]
fn of_slices(x: f64, v: &[usize]) -> f64 {
    match v {
        [.., NONE] => x,
        [NONE, k] => x * *k as f64,
        [2 | 3, a] => x * x * x * *a as f64,
        [a, _, ..] => x * x * *a as f64,
        _ => 0.0,
    }
}

#[backprop]
fn inner_constants(x: f64) -> f64 {
    use std::f64::consts::PI as TURN;
    fn scaled(y: f64) -> f64 {
        const FACTOR: f64 = 3.0;
        y * FACTOR * y
    }
    let a = {
        const SHIFT: f64 = 0.5;
        x + SHIFT
    };
    scaled(a) + scaled(2.0 * x) + TURN * x
}

#[backprop]
fn imported_by_name(x: f64, y: f64) -> f64 {
    use std::array::from_fn;
    use std::mem::{replace, swap, take as grab};
    let (mut a, mut b) = (x, y * y);
    swap(&mut a, &mut b);
    let old = replace(&mut b, a * x);
    let c: [f64; 3] = from_fn(|i| b * i as f64);
    old * grab(&mut a) + a + c[2]
}

#[test]
fn standard_functions_by_name() {
    // x y² + 2 x y²
    let (y, g) = imported_by_name::value_and_gradient(2.0, 3.0);
    assert_eq!(y, imported_by_name(2.0, 3.0));
    assert_eq!((g.x, g.y), (27.0, 36.0));
}

#[test]
fn constant_enums() {
    let mixed = [Kind::Mixed(2, 3, 0.5), Kind::Mixed(5, 3, 0.5)];
    let scaled = [true, false].map(|squared| Kind::Scaled { by: 3.0, squared });
    let kinds = [
        Kind::Linear,
        Kind::Power(5),
        Kind::Power(2),
        Kind::Negative(3),
    ];
    let slopes = [2.0, 5.0 * 1.5f64.powi(4), 2.0, 3.0, 9.0, 3.0, 2.5, 15.0];
    let all: Vec<Kind> = kinds.into_iter().chain(scaled).chain(mixed).collect();
    for (&kind, slope) in all.iter().zip(slopes) {
        let (y, g) = of_enum::value_and_gradient(1.5, kind);
        assert_eq!((y, g.x), (of_enum(1.5, kind), slope));
    }
    let named = Source::Named {
        order: 3,
        name: String::new(),
    };
    let sources = [Source::Constant(3.0), Source::Table(vec![]), named];
    let slopes = sources.map(|source| of_borrowed_enum::gradient(1.5, &source).x);
    assert_eq!(slopes, [9.0, 1.0, 3.0 * 1.5 * 1.5]);

    let (y, saved) = of_enums::forward(1.5, &all);
    let h = 1e-4;
    let central = (of_enums(1.5 + h, &all) - of_enums(1.5 - h, &all)) / (2.0 * h);
    let slope = of_enums::backward(&saved, 1.0).x;
    assert_eq!(y, of_enums(1.5, &all));
    assert!(
        (slope - central).abs() < 1e-5 * central.abs(),
        "{slope} {central}"
    );
}

#[test]
fn slices() {
    let cases: [(&[usize], f64, f64); 8] = [
        (&[], 0.0, 0.0),
        (&[0], 3.0, 1.0),
        (&[5], 0.0, 0.0),
        (&[0, 0], 3.0, 1.0),
        (&[0, 5], 15.0, 5.0),
        (&[2, 3], 81.0, 81.0),
        (&[3, 4, 5], 27.0, 18.0),
        (&[4, 5], 36.0, 24.0),
    ];
    for (v, y, slope) in cases {
        assert_eq!(
            (of_slices(3.0, v), of_slices::gradient(3.0, v).x),
            (y, slope),
            "{v:?}"
        );
    }
}

#[test]
fn constants_inside() {
    let (y, g) = inner_constants::value_and_gradient(2.0);
    assert_eq!(y, inner_constants(2.0));
    assert_eq!(g.x, 6.0 * 2.5 + 24.0 * 2.0 + std::f64::consts::PI);
}
