//! `f32`, `f64` and generic floats, alone and together: what is kept has its own type.

use crate::every_way;
use backprop::backprop;
use num_traits::Float;

#[backprop]
fn poly_generic<T: Float, const N: usize>(c: &[T; N], x: T) -> T {
    let mut s = T::zero();
    for k in (0..N).rev() {
        s = s * x + c[k];
    }
    if s > T::one() { s.ln() } else { s * s }
}

#[backprop]
fn norm_generic<T>(v: &[T], p: T) -> T
where
    T: Float,
{
    let mut s = T::zero();
    for &x in v {
        s = s + x.abs().powf(p);
    }
    s.powf(T::one() / p)
}

#[backprop]
fn logistic_map<T: Float>(r: T, x0: T, n: usize) -> T {
    let mut x = x0;
    let half = T::from(0.5).unwrap();
    for i in 0..n {
        x = r * x * (T::one() - x);
        if i % 2 == 0 && x > half {
            x = x - half * half;
        }
    }
    x
}

#[backprop]
fn mat_const<const R: usize, const C: usize>(a: &[[f64; C]; R], x: &[f64; C]) -> f64 {
    let mut y = [0.0; R];
    for i in 0..R {
        for j in 0..C {
            y[i] += a[i][j] * x[j];
        }
    }
    let m = if R > 2 { y[R - 1] } else { y[0] * 2.0 };
    y.iter().map(|v| v.tanh()).sum::<f64>() * m
}

#[backprop]
fn f32_all(x: f32, y: f32) -> f32 {
    let a = x.sin() * y.exp() + (x / y).atan() - x.powi(3) * 0.1;
    let b = a.abs().sqrt() + x.hypot(y) + y.ln_1p() * x.cbrt();
    let c = (b as f64 * 1.5).tanh() as f32;
    c * a + f32::max(x, y) * std::f32::consts::PI
}

#[backprop]
fn mixed(x: f32, y: f64, v: &[f32; 3], w: &[f64]) -> f64 {
    let mut s = y;
    for (a, b) in v.iter().zip(w.iter()) {
        s += f64::from(*a) * b;
    }
    let q = (x * v[0]) as f64;
    let r: f32 = (s * q) as f32;
    (r * r) as f64 + s.sin() * (x as f64)
}

#[backprop]
fn mixed_loop(v: &[f32], k: f64) -> f32 {
    let mut acc = 0.0f32;
    let mut e = 1.0f64;
    for &x in v {
        e = e * k + (x as f64).exp();
        acc += x * (e as f32).ln();
    }
    acc
}

#[backprop]
fn lse(v: &[f32]) -> f64 {
    let mut z = 0.0;
    for &x in v {
        z += (x as f64).exp();
    }
    z.ln()
}

#[backprop]
fn lse2(v: &[f64]) -> f32 {
    let mut z = 0.0f32;
    for &x in v {
        z += (x as f32).exp();
    }
    z.ln()
}

#[backprop]
fn stencil(v: &[f32], k: f64) -> f64 {
    let mut s = 0.0f64;
    for i in 1..v.len() {
        let d = (v[i] - v[i - 1]) as f64;
        s += d * d * k;
    }
    s
}

#[backprop]
fn prod(v: &[f32]) -> f64 {
    let mut p = 1.0f64;
    for &x in v {
        p *= x as f64;
    }
    p
}

#[backprop]
fn pairs(v: &[f32], k: f64) -> f64 {
    let mut s = 0.0;
    for i in 0..v.len() {
        for j in 0..i {
            let d = (v[i] - v[j]) as f64;
            s += (k + d * d).sqrt();
        }
    }
    s
}

#[backprop]
fn buffers(v: &[f32], w: &[f64; 3]) -> f32 {
    let mut a = vec![0.0f32; v.len()];
    let mut b = [0.0f64; 3];
    for t in 0..3 {
        for i in 0..v.len() {
            a[i] = (a[i] * 0.5 + v[i]).tanh() + w[t] as f32;
        }
        b[t] = a.iter().map(|x| f64::from(*x)).sum::<f64>() * w[t];
    }
    if b[0] > 0.0 {
        (b[0] * b[1]) as f32 + a[0]
    } else {
        a[1] * b[2] as f32
    }
}

#[backprop]
fn branch(x: f32, y: f64, n: usize) -> f64 {
    let mut s = y;
    let mut q = x;
    for i in 0..n {
        if s > q as f64 {
            q = (s * 0.3) as f32 + q * 0.5;
        } else {
            s += f64::from(q).exp() * 0.1;
            q *= 0.9;
        }
        if i == 2 {
            let t = s;
            s = q as f64 * 2.0;
            q = t as f32;
        }
    }
    s * q as f64
}

#[backprop]
fn all_methods(x: f64, y: f64) -> f64 {
    x.abs()
        + x.acos() * 0.1
        + (x + 1.0).acosh()
        + x.round_ties_even()
        + x.asin()
        + x.asinh()
        + x.atan()
        + x.atan2(y)
        + (x * 0.5).atanh()
        + x.cbrt()
        + x.ceil() * y
        + x.clamp(0.1, 0.8)
        + x.copysign(-y)
        + x.cos()
        + x.cosh()
        + x.div_euclid(0.3) * y
        + x.exp()
        + x.exp2()
        + x.exp_m1()
        + x.floor()
        + x.fract()
        + x.hypot(y)
        + x.ln()
        + x.ln_1p()
        + x.log(y + 2.0)
        + x.log10()
        + x.log2()
        + x.max(y)
        + x.min(y)
        + x.mul_add(y, x)
        + x.powf(y)
        + x.powi(-3)
        + x.recip()
        + x.rem_euclid(0.4)
        + x.round() * y
        + x.signum() * y
        + x.sin()
        + x.sinh()
        + x.sqrt()
        + x.tan()
        + x.tanh()
        + x.to_degrees()
        + x.to_radians()
        + x.trunc()
        + (x % 0.35)
        + x.sin_cos().1
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(poly_generic, [c = [0.3, 0.5, 0.7, 1.1], x = 0.9], (&c, x));
    every_way!(poly_generic, [c = [0.3, 0.1], x = 0.9], (&c, x));
    every_way!(norm_generic, [v = vec![0.3, -0.5, 0.7], p = 2.5], (&v, p));
    every_way!(logistic_map, [r = 3.2, x0 = 0.3], (r, x0, 6));
    every_way!(
        mat_const,
        [a = [[0.3, 0.5], [0.7, 1.1], [0.2, 0.9]], x = [0.4, 0.6]],
        (&a, &x)
    );
    every_way!(
        mat_const,
        [a = [[0.3, 0.5, 0.1]], x = [0.4, 0.6, 0.2]],
        (&a, &x)
    );
    every_way!(f32_all, [x = 0.8f32, y = 1.3f32], (x, y), every_way::SINGLE);
    every_way!(
        mixed,
        [
            x = 0.8f32,
            y = 1.3,
            v = [0.3f32, 0.5, 0.9],
            w = vec![0.3, 0.7, 0.1]
        ],
        (x, y, &v, &w),
        every_way::SINGLE
    );
    every_way!(
        mixed_loop,
        [v = vec![0.3f32, 0.5, 0.9], k = 0.7],
        (&v, k),
        every_way::SINGLE
    );
    every_way!(lse, [v = vec![0.3f32, 0.5, 0.9]], (&v), every_way::SINGLE);
    every_way!(lse2, [v = vec![0.3, 0.5, 0.9]], (&v), every_way::SINGLE);
    every_way!(
        stencil,
        [v = vec![0.3f32, 0.5, 0.9], k = 0.7],
        (&v, k),
        every_way::SINGLE
    );
    every_way!(prod, [v = vec![0.3f32, 0.5, 0.9]], (&v), every_way::SINGLE);
    every_way!(
        pairs,
        [v = vec![0.3f32, 0.5, 0.9], k = 0.7],
        (&v, k),
        every_way::SINGLE
    );
    every_way!(
        buffers,
        [v = vec![0.3f32, 0.5, 0.9], w = [0.7, 0.2, 0.4]],
        (&v, &w),
        every_way::SINGLE
    );
    every_way!(branch, [x = 0.4f32, y = 0.7], (x, y, 5), every_way::SINGLE);
    every_way!(branch, [x = 0.8f32, y = 0.7], (x, y, 5), every_way::SINGLE);
    every_way!(all_methods, [x = 0.72, y = 1.2], (x, y));
}
