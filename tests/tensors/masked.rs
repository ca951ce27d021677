//! What is not taken has no say: its gradient is zero, also where its slope is infinite.

use backprop::backprop;
use ndarray::*;

/// A matrix and a vector whose slopes are infinite at the zeros.
fn inputs() -> (Array2<f64>, Array1<f64>) {
    (
        array![[0.0, 0.0, 0.0], [1.0, 4.0, 9.0]],
        array![0.0, 1.0, 4.0],
    )
}

/// The gradients of a function of both, and of a flag; in all ways to run it.
macro_rules! untaken {
    ($f:ident, $taken:expr => $dx:expr, $dv:expr) => {{
        let (x, v) = inputs();
        let (dx, dv): (Array2<f64>, Array1<f64>) = ($dx, $dv);
        let name = concat!(stringify!($f), " ", stringify!($taken));
        let (value, g) = $f::value_and_gradient(&x, &v, $taken);
        assert_eq!(value, $f(&x, &v, $taken), "{name}");
        let near = |a: &Array2<f64>, b: &Array1<f64>, how: &str| {
            let same = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-12 * (a.abs() + b.abs());
            assert!(
                a.iter().zip(&dx).all(|(&a, &b)| same(a, b)),
                "{name}, {how}: {a}, expected {dx}"
            );
            assert!(
                b.iter().zip(&dv).all(|(&a, &b)| same(a, b)),
                "{name}, {how}: {b}, expected {dv}"
            );
        };
        near(&g.x, &g.v, "fused");
        let (_, saved) = $f::forward(&x, &v, $taken);
        let g = $f::backward(&saved, 2.0);
        near(&(g.x / 2.0), &(g.v / 2.0), "apart");
        let (mut a, mut b) = (
            Array2::from_elem(x.dim(), 3.0),
            Array1::from_elem(v.dim(), 5.0),
        );
        $f::accumulate(&x, &v, $taken, 1.0, &mut a, &mut b);
        near(&(a - 3.0), &(b - 5.0), "added");
    }};
}

#[backprop(wrt(x, v))]
fn whole(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let r = x.mapv(f64::sqrt);
    let l = v.mapv(f64::ln);
    if taken {
        r.sum() + l.sum()
    } else {
        x.sum() + 2.0 * v.sum()
    }
}

#[backprop(wrt(x, v))]
fn of_a_float(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let s = x.row(0).sum().sqrt();
    let t = (v[0] * v[1]).powf(0.5);
    let mut y = v.sum();
    if taken {
        y += s * t;
    }
    y
}

#[backprop(wrt(x, v))]
fn rows(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let l = x.mapv(f64::sqrt) * v.mapv(|v| v.sqrt() + 1.0);
    if taken {
        l.row(1).sum()
    } else {
        l[[1, 2]] * l[[1, 2]]
    }
}

/// Without a branch.
#[backprop(wrt(x, v))]
fn parts(x: &Array2<f64>, v: &Array1<f64>, _taken: bool) -> f64 {
    let l = x.mapv(f64::ln);
    let r = v.mapv(|v| v.sqrt());
    l.slice(s![1.., ..;2]).sum() + r[2] + r.select(Axis(0), &[1, 1]).sum()
}

#[backprop(wrt(x, v))]
fn loops(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let r = x.mapv(f64::sqrt);
    let s = v.mapv(|v| v.recip());
    let mut y = v.sum();
    for i in 0..if taken { 1 } else { 0 } {
        y += r.row(i + 1).sum() + s[i + 1];
    }
    let mut k = 0;
    while k < 2 {
        if !taken {
            break;
        }
        y += r[[1, k]];
        k += 1;
    }
    y
}

#[backprop(wrt(x, v))]
fn returned(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let r = x.mapv(|x| 1.0 / x);
    let s = v.sum() * r.row(1).sum();
    if !taken {
        return v.dot(v);
    }
    s
}

#[backprop(wrt(x, v))]
fn matched(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let (r, l) = (x.mapv(f64::cbrt), v.mapv(f64::ln));
    match (taken, x.nrows()) {
        (true, 2) => r.row(1).sum(),
        (true, _) => r.sum(),
        (false, _) => l[1] + l[2],
    }
}

/// The elements that are no maximum.
#[backprop(wrt(x, v))]
fn maxima(x: &Array2<f64>, v: &Array1<f64>, _taken: bool) -> f64 {
    let r = concatenate![Axis(0), x.row(1).mapv(f64::sqrt), v.mapv(f64::sqrt)];
    let r = r.into_shape_with_order((2, 3)).unwrap();
    let m = r.map_axis(Axis(1), |r| r.fold(f64::NEG_INFINITY, |a, &b| a.max(b)));
    m.sum() + r.row(1).fold(0.0, |a: f64, &b| a.max(b))
}

#[backprop(wrt(x, v))]
fn products(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let l = x.mapv(f64::ln);
    let p = l.dot(v);
    let q = l.dot(&x.t());
    let w = v.mapv(f64::ln);
    let d = w.dot(v);
    let m = w.dot(&l.t());
    if taken {
        p[1] + q[[1, 1]]
    } else {
        v.sum() + if v.len() == 7 { d + m.sum() } else { 0.0 }
    }
}

#[backprop(wrt(x, v))]
fn sums(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let s = x.mapv(f64::ln).sum_axis(Axis(1));
    let m = (&x.mapv(f64::sqrt) * v).mean_axis(Axis(1)).unwrap();
    if taken { s[1] + m[1] } else { v.sum() }
}

/// A scalar without a bound times arrays.
#[backprop(wrt(x, v))]
fn scaled(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let l = v[0].ln();
    let y = x * l;
    let z = &y * v;
    let all = z.sum() + y.sum();
    if taken {
        v.sum()
    } else {
        v.sum() + if x[[0, 0]] > 1.0 { all } else { 0.0 }
    }
}

#[backprop(wrt(x, v))]
fn selected(x: &Array2<f64>, v: &Array1<f64>, _taken: bool) -> f64 {
    let r = x.mapv(f64::sqrt);
    let s = v.mapv(f64::sqrt);
    let y = Zip::from(&r)
        .and(x)
        .map_collect(|&r, &x| if x > 0.5 { r * r } else { 0.0 });
    let z = r.mapv(|r| r.max(1.5));
    let w = Zip::from(&s)
        .and(v)
        .map_collect(|&s, &v| if v > 0.5 { s } else { v });
    y.sum() + z.sum() + w.sum() + s.mapv(|s| s.clamp(0.5, 1.5)).sum()
}

/// In one closure.
#[backprop(wrt(x, v))]
fn inside(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let y = x.mapv(|x| {
        let (r, l) = (x.sqrt(), x.ln());
        let p = r * l;
        let mut s = x;
        if x > 0.5 {
            s += r;
        }
        if taken && x > 2.0 {
            s += p;
        }
        s
    });
    y.sum() + v.sum()
}

#[backprop(wrt(x, v))]
fn replaced(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let mut r = x.mapv(f64::sqrt);
    r.row_mut(0).fill(2.0);
    let mut s = v.mapv(f64::sqrt);
    s[0] = 1.0;
    let mut t = (v.sum() - v.sum()).sqrt();
    if !taken {
        t = v[1];
    } else if x.nrows() == 2 {
        t = v[2];
    }
    r.sum() + s.sum() + t
}

/// Only the last iteration counts.
#[backprop(wrt(x, v))]
fn last(x: &Array2<f64>, v: &Array1<f64>, _taken: bool) -> f64 {
    let mut r = v.mapv(f64::sqrt);
    let mut s = 0.0;
    for i in 0..x.nrows() {
        r = x.row(i).mapv(f64::sqrt);
        s = v[i].sqrt();
    }
    r.sum() + s
}

#[backprop(wrt(x, v))]
fn elements(x: &Array2<f64>, v: &Array1<f64>, _taken: bool) -> f64 {
    let mut total = 0.0;
    for row in x.rows() {
        for (k, &a) in row.iter().enumerate() {
            let r = (a * v[k]).sqrt();
            if a > 0.5 && k > 0 {
                total += r;
            }
        }
    }
    total
}

#[backprop]
fn roots(x: &Array2<f64>) -> Array2<f64> {
    x.mapv(f64::sqrt)
}

#[backprop]
fn log_of(v: &Array1<f64>, scale: f64) -> f64 {
    (v.product() * scale).ln()
}

#[backprop(wrt(x, v))]
fn called(x: &Array2<f64>, v: &Array1<f64>, taken: bool) -> f64 {
    let r = roots(x);
    let l = log_of(v, v[1]);
    let m = roots(x);
    let k = v[0].ln();
    let n = log_of(v, k);
    if taken {
        r.row(1).sum() + m[[1, 2]]
    } else {
        v.sum() + if v.len() > 7 { l + n } else { 0.0 }
    }
}

fn zeros() -> (Array2<f64>, Array1<f64>) {
    (Array2::zeros((2, 3)), Array1::zeros(3))
}

fn last_row(row: [f64; 3]) -> Array2<f64> {
    array![[0.0; 3], row]
}

#[test]
fn what_is_not_taken_has_no_say() {
    let (x0, v0) = zeros();
    let (ones, one) = (Array2::<f64>::ones((2, 3)), Array1::<f64>::ones(3));
    untaken!(whole, false => ones.clone(), &one * 2.0);
    untaken!(of_a_float, false => x0.clone(), one.clone());
    untaken!(rows, false => last_row([0.0, 0.0, 9.0]), array![0.0, 0.0, 13.5]);
    untaken!(loops, false => x0.clone(), one.clone());
    untaken!(loops, true => last_row([1.0, 0.5, 1.0 / 6.0]), array![1.0, 0.0, 1.0]);
    untaken!(returned, false => x0.clone(), array![0.0, 2.0, 8.0]);
    untaken!(matched, false => x0.clone(), array![0.0, 1.0, 0.25]);
    untaken!(matched, true => last_row([1.0 / 3.0, 4.0_f64.powf(-2.0 / 3.0) / 3.0, 9.0_f64.powf(-2.0 / 3.0) / 3.0]), v0.clone());
    untaken!(parts, true => last_row([1.0, 0.0, 1.0 / 9.0]), array![0.0, 1.0, 0.25]);
    untaken!(replaced, false => last_row([0.5, 0.25, 1.0 / 6.0]), array![0.0, 1.5, 0.25]);
    untaken!(last, true => last_row([0.5, 0.25, 1.0 / 6.0]), array![0.0, 0.5, 0.0]);
    untaken!(elements, true => last_row([0.0, 0.25, 1.0 / 3.0]), array![0.0, 1.0, 0.75]);
}

#[test]
fn nor_what_is_not_selected() {
    let (x0, _) = zeros();
    untaken!(maxima, true => last_row([0.0, 0.0, 1.0 / 6.0]), array![0.0, 0.0, 0.5]);
    untaken!(selected, true => &last_row([1.0, 1.0, 1.0]) + &last_row([0.0, 0.25, 1.0 / 6.0]), array![1.0, 1.0, 0.25]);
    untaken!(inside, false => array![[1.0; 3], [1.5, 1.25, 1.0 + 1.0 / 6.0]], Array1::ones(3));
    let _ = x0;
}

#[test]
fn nor_infinite_operands() {
    let (x0, _) = zeros();
    let one = Array1::<f64>::ones(3);
    untaken!(products, false => x0.clone(), one.clone());
    let ln = |x: f64| x.ln();
    untaken!(products, true => last_row([0.0 + ln(1.0) + 1.0, 0.25 + ln(4.0) + 1.0, 4.0 / 9.0 + ln(9.0) + 1.0]), array![ln(1.0), ln(4.0), ln(9.0)]);
    untaken!(sums, false => x0.clone(), one.clone());
    untaken!(sums, true => last_row([1.0, 0.25 + 0.25 / 3.0, 1.0 / 9.0 + 4.0 / 18.0]), array![1.0, 2.0, 3.0] / 3.0);
    untaken!(scaled, false => x0.clone(), one.clone());
    untaken!(called, false => x0.clone(), one.clone());
    untaken!(called, true => last_row([0.5, 0.25, 2.0 / 6.0]), Array1::zeros(3));
}

/// Some elements of a result.
#[test]
fn nor_elements_that_nobody_asks_for() {
    let (x, _) = inputs();
    let mut up = Array2::zeros((2, 3));
    up[[1, 1]] = 3.0;
    let (_, saved) = roots::forward(&x);
    assert_eq!(
        roots::backward(&saved, up).x,
        array![[0.0; 3], [0.0, 0.75, 0.0]]
    );
}

#[backprop(wrt(z))]
fn softmax(z: &Array2<f64>, taken: bool) -> f64 {
    let e = z.mapv(f64::exp);
    let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
    let y = p.row(1)[0];
    if taken { y } else { z.sum() }
}

#[backprop(wrt(z))]
fn log_sum_exp(z: &Array2<f64>, taken: bool) -> f64 {
    let l = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
    if taken { l[1] } else { z.sum() }
}

#[backprop(wrt(z))]
fn entropy(z: &Array2<f64>, taken: bool) -> f64 {
    let y = z - &z
        .mapv(f64::exp)
        .sum_axis(Axis(1))
        .mapv(f64::ln)
        .insert_axis(Axis(1));
    let w = array![[1.0, 0.0], [0.0, 1.0]];
    let loss = -(&w * &y).sum();
    if taken { loss } else { z.sum() }
}

/// A lane of equal elements has no deviation.
#[backprop(wrt(z))]
fn normal(z: &Array2<f64>, taken: bool) -> f64 {
    let c = z - &z.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let d = (&c * &c)
        .mean_axis(Axis(1))
        .unwrap()
        .mapv(f64::sqrt)
        .insert_axis(Axis(1));
    let n = &c / &d;
    if taken { n[[1, 0]] } else { z.sum() }
}

#[test]
fn nor_idioms() {
    let z = array![[1000.0, 1000.0], [0.5, 0.5]];
    let ones = Array2::<f64>::ones((2, 2));
    assert_eq!(softmax::gradient(&z, false).z, ones);
    assert_eq!(
        softmax::gradient(&z, true).z,
        array![[0.0, 0.0], [0.25, -0.25]]
    );
    assert_eq!(log_sum_exp::gradient(&z, false).z, ones);
    assert_eq!(
        log_sum_exp::gradient(&z, true).z,
        array![[0.0, 0.0], [0.5, 0.5]]
    );
    assert_eq!(entropy::gradient(&z, false).z, ones);
    assert_eq!(
        normal::gradient(&array![[2.0, 2.0], [2.0, 2.0]], false).z,
        ones
    );
    let g = normal::gradient(&array![[2.0, 2.0], [1.0, 2.0]], true).z;
    assert_eq!(g.row(0), array![0.0, 0.0]);
}
