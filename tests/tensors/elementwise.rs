//! Elementwise operations and broadcasting.

use super::agree::{close, numbers, slope};
use backprop::backprop;
use ndarray::*;

#[backprop]
fn operators(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let c = a * b - &(a / &(b * b + 2.0)) + 0.5 * a;
    let d = -&c * 2.0 + b;
    (&d * &d * a).sum()
}

#[backprop]
fn compound(a: &Array2<f64>, b: &Array1<f64>) -> f64 {
    let mut c = a.clone();
    c += b;
    c *= 2.0;
    c -= &(a * 0.25);
    c /= 3.0;
    c.mapv_inplace(|v| v.sin());
    let mut total = c.sum();
    total += 0.5 * total * total;
    total
}

#[backprop]
fn broadcast(a: &Array2<f64>, b: &Array1<f64>, c: &Array2<f64>) -> f64 {
    let d = a * b + c;
    (&d * &d).mapv(|v| v.exp()).sum()
}

#[backprop]
fn functions(a: &Array2<f64>) -> f64 {
    let b = a.mapv(|v| v * v + 0.5);
    let c = b.ln() + b.sqrt() + a.tanh() + a.sin() * b.powi(2);
    let d = a.map(|v| v.abs() + *v);
    c.sum() + d.mapv(f64::cos).sum()
}

#[backprop]
fn zips(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let c = Zip::from(a).and(b).map_collect(|&x, &y| x * y.exp() + y);
    let d: f64 = a.iter().zip(b.iter()).map(|(x, y)| (x - y) * (x - y)).sum();
    c.sum() * d + a.iter().map(|v| v * v).sum::<f64>()
}

#[backprop]
fn scalars(a: &Array1<f64>, scale: f64, shift: &f64) -> f64 {
    let n = a.len() as f64;
    let b = a * scale + *shift;
    let m = b.sum() / n;
    let v = b.mapv(|x| (x - m) * (x - m)).sum() / n;
    v.sqrt() * scale.exp() + m
}

#[backprop]
fn branches(a: &Array2<f64>) -> f64 {
    let relu = |v: f64| if v > 0.0 { v } else { 0.1 * v };
    a.mapv(relu).mapv(|v| v.max(0.25) * v).sum()
}

#[test]
fn against_differences() {
    let (a, b) = (numbers((3, 4), 1), numbers((3, 4), 2));
    agrees!(operators, OperatorsWorkspace(a, b) wrt a, b);
    agrees!(zips, ZipsWorkspace(a, b) wrt a, b);
    agrees!(functions, FunctionsWorkspace(a) wrt a);
    agrees!(branches, BranchesWorkspace(a) wrt a);
    let b = numbers(4, 3);
    agrees!(compound, CompoundWorkspace(a, b) wrt a, b);
}

#[test]
fn every_pair_of_shapes() {
    for (a, b, c) in [
        ((3, 4), 4, (3, 4)),
        ((3, 4), 4, (1, 4)),
        ((3, 4), 4, (3, 1)),
        ((3, 4), 4, (1, 1)),
        ((3, 4), 1, (3, 4)),
        ((1, 4), 4, (3, 4)),
        ((3, 1), 4, (3, 4)),
        ((3, 1), 4, (1, 1)),
        ((1, 1), 1, (1, 1)),
        ((0, 4), 4, (0, 4)),
        ((3, 0), 1, (3, 1)),
        ((1, 4), 4, (0, 4)),
    ] {
        let (a, b, c) = (numbers(a, 1), numbers(b, 2), numbers(c, 3));
        agrees!(broadcast, BroadcastWorkspace(a, b, c) wrt a, b, c);
    }
}

#[test]
fn scalars_beside_tensors() {
    let a = numbers(7, 1);
    let (value, g) = scalars::value_and_gradient(&a, 0.7, &0.2);
    close(value, scalars(&a, 0.7, &0.2), 1e-14, "value");
    close(
        g.scale,
        slope(|h| scalars(&a, 0.7 + h, &0.2)),
        1e-9,
        "scale",
    );
    close(
        g.shift,
        slope(|h| scalars(&a, 0.7, &(0.2 + h))),
        1e-9,
        "shift",
    );
    for k in 0..7 {
        let at = |h: f64| {
            let mut a = a.clone();
            a[k] += h;
            scalars(&a, 0.7, &0.2)
        };
        close(g.a[k], slope(at), 1e-9, "a");
    }
    let (mut d, mut ds, mut dt) = (Array1::zeros(7), 1.0, 2.0);
    scalars::accumulate(&a, 0.7, &0.2, 3.0, &mut d, &mut ds, &mut dt);
    close(ds, 1.0 + 3.0 * g.scale, 1e-13, "accumulated");
    close(dt, 2.0 + 3.0 * g.shift, 1e-13, "accumulated");
    let (mut moved, mut scale, mut shift) = (a.clone(), 0.7, 0.2);
    let value = scalars::descend_with(
        &mut ScalarsWorkspace::default(),
        0.5,
        &mut moved,
        &mut scale,
        &mut shift,
    );
    close(value, scalars(&a, 0.7, &0.2), 1e-15, "value");
    close(scale, 0.7 - 0.5 * g.scale, 1e-13, "moved");
    close(shift, 0.2 - 0.5 * g.shift, 1e-13, "moved");
    for k in 0..7 {
        close(moved[k], a[k] - 0.5 * g.a[k], 1e-13, "moved");
    }
    let (_, saved) = scalars::forward(&a, 0.7, &0.2);
    close(
        scalars::backward(&saved, 1.0).scale,
        g.scale,
        1e-13,
        "apart",
    );
}

fn message(f: impl FnOnce() -> f64 + std::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(f).expect_err("the shapes do not fit");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&str>()
            .map(|t| t.to_string())
            .unwrap_or_default(),
    }
}

#[test]
fn shape_errors_are_ndarrays() {
    let (a, b, c) = (numbers((3, 4), 1), numbers(3, 2), numbers((3, 4), 3));
    let plain = message(|| broadcast(&a, &b, &c));
    assert_eq!(
        message(|| broadcast::value_and_gradient(&a, &b, &c).0),
        plain
    );
    let plain = message(|| compound(&a, &b));
    assert_eq!(message(|| compound::value_and_gradient(&a, &b).0), plain);
    let d = numbers((4, 3), 4);
    let plain = message(|| zips(&a, &d));
    assert_eq!(message(|| zips::value_and_gradient(&a, &d).0), plain);
}
