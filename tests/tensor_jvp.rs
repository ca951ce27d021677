//! `jvp` of functions of tensors: `⟨J v, w⟩ = ⟨v, Jᵀ w⟩`, with the tangent on the left and the backward pass on the right, which share the
//! scalar rules and nothing else; and tangents against differences.
#![cfg(feature = "runtime")]
#![allow(clippy::all)] // Differentiated as users write them.

use backprop::check::Floats;
use backprop::{Differentiable, backprop};
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, array, concatenate, s, stack};

/// The floats of a value, in order.
fn floats<T: Floats>(of: &T) -> Vec<f64>
where
    T: Clone,
{
    let mut out = Vec::new();
    of.clone().visit(&mut |v| out.push(*v));
    out
}

/// Numbers without a pattern in the shape of a value.
fn like<T: Floats + Clone>(of: &T, seed: u64) -> T {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let mut out = of.clone();
    out.visit(&mut |v| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *v = (state >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0;
    });
    out
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The sum of the absolute values of the terms of an inner product.
fn size(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum()
}

fn same(name: &str, left: f64, right: f64, size: f64, tolerance: f64) {
    assert!(
        (left - right).abs() <= tolerance * size.max(1e-3),
        "{name}: {left} forward, {right} backward"
    );
}

/// What is compared of a function: its value, its tangent, and the derivatives that the backward pass gives.
fn compare<Y: Floats + Clone>(
    name: &str,
    plain: Y,
    (y, dy): (Y, Y),
    tangents: &[f64],
    back: impl Fn(Y) -> Vec<f64>,
    along: impl Fn(f64) -> Vec<f64>,
) {
    for (a, b) in floats(&y).iter().zip(floats(&plain)) {
        assert!(
            (a - b).abs() <= 1e-13 * (1.0 + b.abs()),
            "{name}: the value is {a}, not {b}"
        );
    }
    let w = like(&y, 99);
    let g = back(w.clone());
    let (w, dy) = (floats(&w), floats(&dy));
    let size = size(&dy, &w) + size(tangents, &g);
    same(name, inner(&dy, &w), inner(tangents, &g), size, 1e-12);
    // Differences along the tangent see a rule that is wrong in both.
    let h = 1e-3;
    let [a, b, c, d] = [h, -h, 2.0 * h, -2.0 * h].map(&along);
    for (k, dy) in dy.iter().enumerate() {
        let slope = (8.0 * (a[k] - b[k]) - (c[k] - d[k])) / (12.0 * h);
        let scale = 1.0 + slope.abs().max(dy.abs());
        assert!(
            (slope - dy).abs() <= 1e-8 * scale,
            "{name}: the tangent is {dy}, differences give {slope}"
        );
    }
}

/// Functions of a matrix, a vector and a float.
macro_rules! functions {
    ($($name:ident($z:ident, $v:ident, $k:ident) -> $y:ty $body:block)*) => {
        $(
            #[backprop(jvp)]
            fn $name($z: &Array2<f64>, $v: &Array1<f64>, $k: f64) -> $y $body
        )*

        #[test]
        fn forward_and_backward_agree() {
            let z = like(&Array2::zeros((4, 4)), 1);
            let v = like(&Array1::zeros(4), 2);
            let k = 1.3;
            let (dz, dv, dk) = (like(&z, 3), like(&v, 4), 0.7);
            let tangents = [floats(&dz), floats(&dv), vec![dk]].concat();
            $(
                compare(
                    stringify!($name),
                    $name(&z, &v, k),
                    $name::jvp(&z, &v, k, &dz, &dv, dk),
                    &tangents,
                    |w| {
                        let (_, saved) = $name::forward(&z, &v, k);
                        let g = $name::backward(&saved, w);
                        [floats(&g.z), floats(&g.v), vec![g.k]].concat()
                    },
                    |h| floats(&$name(&(&z + h * &dz), &(&v + h * &dv), k + h * dk)),
                );
            )*
        }
    };
}

functions! {
    elementwise(z, v, k) -> Array2<f64> { (z * v + k).mapv(|x| x.tanh() * k) / 2.0 - z }
    chained(z, v, k) -> f64 {
        let a = z.mapv(f64::exp);
        let b = &a + v;
        (a * b.mapv(|x| x.sin())).sum() / k
    }
    matrices(z, v, k) -> Array2<f64> { z.dot(&z.t()).dot(z) * k + v }
    bias(z, v, k) -> Array2<f64> { (z.dot(z) + v).mapv(|x| x.max(0.1) * k) }
    bias_alone(z, v, k) -> Array2<f64> {
        let c = array![[1.0, 2.0, 0.5, 1.0], [0.0, 1.0, 3.0, -1.0]];
        c.dot(&Array2::from_elem((4, 4), 0.5)) + v * k + z.sum()
    }
    vectors(z, v, k) -> Array1<f64> { z.dot(v) + v.dot(z) * v.dot(v) * k }
    sums(z, v, k) -> Array1<f64> {
        z.sum_axis(Axis(0)) * z.mean_axis(Axis(1)).unwrap() + z.mean().unwrap() + v.sum() * k
    }
    views(z, v, k) -> f64 {
        let r = z.row(1);
        let part = z.slice(s![1..3, ..;2]);
        (&r * v).sum() + part.sum() * z[[0, 1]] * k + z.column(2).dot(v) + z.diag().sum()
    }
    reshaped(z, v, k) -> Array1<f64> {
        let all = z.to_shape(16).unwrap();
        all.slice(s![4..8]).to_owned() * v * k
    }
    joined(z, v, k) -> f64 {
        let a = concatenate![Axis(0), *z, Array2::ones((1, 4)), z * k];
        let b = stack![Axis(0), *v, z.row(0)];
        a.sum() * b.mapv(|x| x * x).sum()
    }
    selected(z, v, k) -> f64 { z.select(Axis(0), &[0, 2, 0]).mapv(|x| x.exp()).dot(v).sum() * k }
    softmax(z, v, k) -> Array2<f64> {
        let m = z.map_axis(Axis(1), |r| r.fold(f64::NEG_INFINITY, |a, &b| a.max(b)));
        let e = (z - &m.insert_axis(Axis(1))).mapv(f64::exp);
        let s = e.sum_axis(Axis(1)).insert_axis(Axis(1));
        e / s * v * k
    }
    normalised(z, v, k) -> Array2<f64> {
        let m = z.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
        let c = z - &m;
        let s = c.mapv(|x| x * x).mean_axis(Axis(1)).unwrap().mapv(|x| (x + 1e-3).sqrt());
        c / s.insert_axis(Axis(1)) * v + k
    }
    lanes(z, v, k) -> Array1<f64> {
        z.map_axis(Axis(0), |lane| lane[0] * lane[1] * k + lane.iter().map(|x| x * x).sum::<f64>()) * v
    }
    folded(z, v, k) -> f64 { z.fold(1.0, |a, &x| a + x * x * k) + v.iter().fold(k, |a, x| a * 0.5 + x) }
    assigned(z, v, k) -> Array2<f64> {
        let mut a = z.clone();
        a.row_mut(1).assign(v);
        a[[0, 2]] = k * a[[0, 1]];
        a.column_mut(3).mapv_inplace(|x| x * x);
        a
    }
    looped(z, v, k) -> Array1<f64> {
        let mut h = v.clone();
        let mut scale = 1.0;
        for i in 0..z.nrows() {
            h = (z.dot(&h) + &z.row(i)).mapv(f64::tanh);
            scale *= k + h[0];
        }
        h * scale
    }
    filled(z, v, k) -> Array1<f64> {
        let mut a = Array1::zeros(6);
        a[0] = k;
        for i in 1..6 {
            a[i] = a[i - 1] * v[i % 4] + z[[i % 4, 0]];
        }
        a
    }
    branched(z, v, k) -> f64 {
        let mut s = v.sum();
        for row in z.rows() {
            if row[0] > 0.0 {
                s = s * k + row.dot(v);
            } else {
                s += row.sum().sin();
            }
        }
        s
    }
    counted(z, v, k) -> f64 {
        let mut x = z.clone();
        let mut n = 0;
        while n < 3 && x.sum() < 1e3 {
            x = x.dot(z) * k + v;
            n += 1;
        }
        x.sum()
    }
    reset(z, v, k) -> f64 {
        let mut x = z.sum();
        for i in 0..3 {
            x = if i == 1 { 1.0 } else { x * k + v[i] };
        }
        x
    }
    tabulated(z, v, k) -> Array2<f64> { Array2::from_shape_fn((2, 3), |(i, j)| z[[i, j]] * v[j] + k) }
    collected(z, v, k) -> Array1<f64> {
        z.rows().into_iter().map(|r| r.dot(v).exp()).collect::<Array1<f64>>() * k
    }
    zipped(z, v, k) -> Array2<f64> {
        let w = Zip::from(z).and_broadcast(v).map_collect(|a, b| a * b + k);
        w.mapv(f64::cos)
    }
    pair(z, v, k) -> (Array1<f64>, f64) {
        let y = z.dot(v);
        let n = y.dot(&y);
        (y * k, n)
    }
    constant_part(z, v, k) -> (f64, Array1<f64>, Array2<f64>) { (k, Array1::ones(3), z * v) }
    called(z, v, k) -> f64 {
        let y = energy(z, v);
        let w = moved(v, k, z.view(), 2);
        y * k + w.sum() + z.mapv(swish).sum()
    }
    called_in_a_loop(z, v, k) -> f64 {
        let mut h = v.clone();
        for _ in 0..3 {
            h = moved(&h, k, z.view(), 1);
        }
        h.sum()
    }
}

#[backprop(jvp)]
fn energy(z: &Array2<f64>, v: &Array1<f64>) -> f64 {
    v.dot(&z.dot(v)).sin()
}

#[backprop(jvp, wrt(z, v))]
fn moved(v: &Array1<f64>, _k: f64, z: ArrayView2<f64>, n: usize) -> Array1<f64> {
    z.dot(v) * n as f64 - v
}

#[backprop(jvp)]
fn swish(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[derive(Clone, Differentiable)]
struct Net {
    w: Array2<f64>,
    layers: Vec<Array2<f64>>,
    scale: f64,
    #[backprop(constant)]
    steps: usize,
}

#[backprop(jvp)]
fn run(net: &Net, x: ArrayView2<f64>, gains: &[f64], more: &[Array1<f64>]) -> Array2<f64> {
    let mut h = x.dot(&net.w) * net.scale;
    for w in &net.layers {
        h = h.dot(w).mapv(f64::tanh);
    }
    for _ in 0..net.steps {
        h = h * gains[0] + &more[1];
    }
    h
}

#[backprop(jvp)]
fn around(n: &Net, x: ArrayView2<f64>, gains: &[f64], more: &[Array1<f64>]) -> f64 {
    run(n, x, gains, more).sum()
}

#[test]
fn structs_lists_and_slices() {
    let n = Net {
        w: like(&Array2::zeros((3, 4)), 1),
        layers: vec![
            like(&Array2::zeros((4, 5)), 2),
            like(&Array2::zeros((5, 2)), 3),
        ],
        scale: 1.2,
        steps: 2,
    };
    let (x, gains) = (like(&Array2::zeros((2, 3)), 4), vec![0.5, 2.0]);
    let more = vec![like(&Array1::zeros(3), 5), like(&Array1::zeros(2), 6)];
    let dn = NetGradient {
        w: like(&n.w, 7),
        layers: like(&n.layers, 8),
        scale: 0.3,
    };
    let (dx, dgains, dmore) = (like(&x, 9), like(&gains, 10), like(&more, 11));
    let of = |h: f64| {
        let step = |(a, d): (&Array2<f64>, &Array2<f64>)| a + h * d;
        let n = Net {
            w: &n.w + h * &dn.w,
            layers: n.layers.iter().zip(&dn.layers).map(step).collect(),
            scale: n.scale + h * dn.scale,
            steps: n.steps,
        };
        let gains = [gains[0] + h * dgains[0], gains[1] + h * dgains[1]];
        let more: Vec<Array1<f64>> = more.iter().zip(&dmore).map(|(a, d)| a + h * d).collect();
        run(&n, (&x + h * &dx).view(), &gains, &more)
    };
    let tangents = [
        floats(&dn.w),
        floats(&dn.layers),
        vec![dn.scale],
        floats(&dx),
        dgains.clone(),
        floats(&dmore),
    ];
    compare(
        "run",
        of(0.0),
        run::jvp(&n, x.view(), &gains, &more, &dn, &dx, &dgains, &dmore),
        &tangents.concat(),
        |w| {
            let (_, saved) = run::forward(&n, x.view(), &gains, &more);
            let g = run::backward(&saved, w);
            let of_net = [floats(&g.net.w), floats(&g.net.layers), vec![g.net.scale]];
            [of_net.concat(), floats(&g.x), g.gains, floats(&g.more)].concat()
        },
        |h| floats(&of(h)),
    );
    let (y, dy) = around::jvp(&n, x.view(), &gains, &more, &dn, &dx, &dgains, &dmore);
    let (z, dz) = run::jvp(&n, x.view(), &gains, &more, &dn, &dx, &dgains, &dmore);
    assert!((y - z.sum()).abs() < 1e-14 && (dy - dz.sum()).abs() < 1e-13);
}

#[backprop(jvp)]
fn generic<T: backprop::Float>(a: &Array2<T>, x: Array1<T>) -> T {
    a.dot(&x).mapv(|v| v.exp()).sum()
}

#[test]
fn both_precisions() {
    let (a, x) = (
        like(&Array2::<f32>::zeros((3, 2)), 1),
        like(&Array1::<f32>::zeros(2), 2),
    );
    let (y, dy) = generic::jvp(&a, x.clone(), &a, &x);
    let (a, x) = (a.mapv(f64::from), x.mapv(f64::from));
    let (z, dz) = generic::jvp(&a, x.clone(), &a, &x);
    assert!((f64::from(y) - z).abs() < 1e-5 && (f64::from(dy) - dz).abs() < 1e-5);
}

#[test]
#[should_panic(expected = "the tangent of `x` has another shape")]
fn shapes_are_checked() {
    let (a, x) = (Array2::<f64>::zeros((3, 2)), Array1::zeros(2));
    generic::jvp(&a, x, &a, &Array1::zeros(3));
}
