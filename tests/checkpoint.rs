//! `checkpoint`: the gradient of a loop that saves its state now and then has the bits of one that keeps everything, in
//! every way to get it, and takes the memory that is promised.

// Differentiated as users write them.
#![allow(clippy::all, clippy::pedantic)]

#[path = "../benches/gradients/counting.rs"]
mod counting;

use counting::heap_of;

/// A function with the option and without it: at each point the value and all gradients must be the same.
macro_rules! same {
    ($name:ident, [$($option:tt)*], ($($p:ident: $t:ty),*) $body:block, [$(($($a:expr),*)),* $(,)?]) => {
        #[test]
        fn $name() {
            #[backprop::backprop]
            fn keeping($($p: $t),*) -> f64 $body
            #[backprop::backprop($($option)*)]
            fn saving($($p: $t),*) -> f64 $body
            $(
                let at = stringify!($($a),*);
                let (y, expected) = keeping::value_and_gradient($($a),*);
                let (value, found) = saving::value_and_gradient($($a),*);
                assert_eq!(value.to_bits(), y.to_bits(), "value at {at}");
                assert_eq!(value.to_bits(), saving($($a),*).to_bits(), "value at {at}");
                assert_same(&found, &expected, &format!("value_and_gradient at {at}"));
                let (_, kept) = keeping::forward($($a),*);
                let (value, saved) = saving::forward($($a),*);
                assert_eq!(value.to_bits(), y.to_bits(), "value of forward at {at}");
                let expected = keeping::backward(&kept, -1.25);
                assert_same(&saving::backward(&saved, -1.25), &expected, &format!("backward at {at}"));
                assert_same(&saving::backward(&saved, -1.25), &expected, &format!("backward again at {at}"));
            )*
        }
    };
}

/// The same fields with the same bits, whatever the two structs are called.
fn assert_same(found: &impl std::fmt::Debug, expected: &impl std::fmt::Debug, what: &str) {
    let text = |v: &dyn std::fmt::Debug| {
        let text = format!("{v:?}");
        text[text.find('{').expect("a struct")..].to_owned()
    };
    assert_eq!(text(found), text(expected), "{what}");
}

// ---- loops of every kind, at 0, 1, n - 1, n, n + 1 and a prime number of iterations ----

same!(a_counted_loop, [checkpoint = 4], (x: f64, a: f64, n: usize) {
    let (mut u, mut v) = (x, 1.0);
    for k in 0..n {
        let w = u * a.sin() - v * 0.1 * k as f64;
        v += u * v * 0.01;
        u = w.cos() * x;
    }
    u * v
}, [(0.7, 1.1, 0), (0.7, 1.1, 1), (0.7, 1.1, 3), (0.7, 1.1, 4), (0.7, 1.1, 5), (0.7, 1.1, 8), (0.7, 1.1, 31)]);

same!(one_iteration_a_segment, [checkpoint = 1], (x: f64, n: usize) {
    let mut u = x;
    for _ in 0..n {
        u = (u * x).sin() + 0.3;
    }
    u
}, [(0.7, 0), (0.7, 1), (0.7, 2), (0.7, 13)]);

same!(one_segment, [checkpoint = 18_446_744_073_709_551_615], (x: f64, n: usize) {
    let mut u = x;
    for _ in 2..n {
        u = (u * x).sin() + 0.3;
    }
    u
}, [(0.7, 0), (0.7, 2), (0.7, 3), (0.7, 13)]);

same!(about_the_root, [checkpoint], (x: f64, n: u16, m: i64) {
    let mut u = x;
    for k in 3..n {
        u = (u * x).sin() + 0.1 * k as f64;
    }
    for k in (m..=4).rev() {
        u = (u * x).cos() - 0.1 * k as f64;
    }
    for k in (m..9).step_by(3) {
        u = (u + x).cos() - 0.1 * k as f64;
    }
    u
}, [(0.7, 0, 5), (0.7, 4, 4), (0.7, 5, 3), (0.7, 40, -40), (0.7, 103, -7)]);

same!(bounds_of_other_types, [checkpoint = 3], (x: f64, lo: u8, hi: u8, from: i8) {
    let mut u = x;
    for k in lo..=hi {
        u = (u * x).sin() + 0.01 * k as f64;
    }
    for k in (lo..=hi).rev() {
        u = (u * x).cos() + 0.01 * k as f64;
    }
    for k in from..=127 {
        u = (u - x).sin() + 0.01 * k as f64;
    }
    for k in (-128..from).rev() {
        u = (u + x).sin() - 0.01 * k as f64;
    }
    u
}, [(0.7, 0, 255, -128), (0.7, 255, 255, 127), (0.7, 250, 255, 120), (0.7, 0, 0, 0), (0.7, 5, 4, -120), (0.7, 0, 2, 125), (0.7, 0, 3, 124)]);

same!(counting_down, [checkpoint = 3], (x: f64, lo: usize, hi: usize) {
    let mut u = x;
    for k in (lo..hi).rev() {
        u = (u * x).sin() + 0.1 * k as f64;
        if u > 1.9 { break; }
    }
    u
}, [(0.7, 0, 0), (0.7, 0, 1), (0.7, 0, 2), (0.7, 0, 3), (0.7, 0, 4), (0.7, 2, 13), (1.7, 1, 23)]);

same!(in_steps, [checkpoint = 2], (x: f64, n: usize, step: usize) {
    let mut u = x;
    for k in (1..n).step_by(step) {
        u = (u * x).sin() + 0.1 * k as f64;
        if u > 2.5 { break; }
    }
    for k in (0..=n).rev().step_by(step) {
        u = (u * x).cos() + 0.1 * k as f64;
    }
    for k in (0..=n).step_by(step) {
        u = (u + x).cos() + 0.1 * k as f64;
    }
    u
}, [(0.7, 0, 3), (0.7, 1, 3), (0.7, 2, 3), (0.7, 5, 3), (0.7, 7, 3), (0.7, 8, 3), (0.7, 29, 3), (0.9, 29, 7), (0.9, 29, 100)]);

same!(a_while_loop, [checkpoint = 4], (x: f64, n: usize) {
    let mut u = x;
    let mut k = 0;
    while k < n && u < 50.0 {
        u = u * u.sin() + 1.5;
        k += 1;
    }
    u * k as f64
}, [(0.7, 0), (0.7, 1), (0.7, 3), (0.7, 4), (0.7, 5), (0.7, 37)]);

same!(a_loop_with_a_value, [checkpoint = 2], (x: f64, n: usize) {
    let mut u = x;
    let mut k = 0;
    loop {
        k += 1;
        u = u * u * 0.9 + 0.1;
        if u > 40.0 { break u.sqrt(); }
        if k > n { break u; }
    }
}, [(0.7, 0), (0.7, 1), (0.7, 2), (1.7, 20)]);

same!(breaks_and_continues, [checkpoint = 4], (x: f64, n: usize) {
    let (mut u, mut s) = (x, 0.0);
    for k in 0..n {
        if k % 5 == 3 { continue; }
        u = (u * 1.1).sin() + k as f64 * x;
        if u > 30.0 { break; }
        s += u.exp() * x;
    }
    s + u
}, [(0.7, 0), (0.7, 1), (0.7, 3), (0.7, 4), (0.7, 5), (0.7, 23), (1.9, 100)]);

same!(early_returns, [checkpoint = 5], (x: f64, n: i32) {
    let mut u = x;
    for k in 1..=n {
        u = (u * 1.1).sin() * x + 0.01 * k as f64;
        if u > 1.2 { return u * x; }
    }
    u * u
}, [(0.7, 0), (0.7, 1), (0.7, 4), (0.7, 5), (0.7, 6), (1.5, 23), (1.05, 100), (0.7, 37)]);

same!(loops_in_loops, [checkpoint = 3], (x: f64, n: usize) {
    let mut u = x;
    'outer: for i in 0..n {
        let mut z = u;
        let mut k = 0;
        while z < 3.0 && k < i {
            z = z * z.cos() + 1.1;
            k += 1;
        }
        let mut w = [z, u];
        for j in 0..i {
            w[j % 2] = w[j % 2] * w[(j + 1) % 2].sin();
            if w[0] > 7.0 { continue 'outer; }
            if w[1] < -20.0 { break 'outer; }
        }
        u = z * w[0] + w[1];
    }
    u
}, [(0.3, 0), (0.3, 1), (0.3, 2), (0.3, 3), (0.3, 4), (0.3, 11), (1.3, 17)]);

same!(a_branch_that_yields_to_nobody, [checkpoint = 3], (x: f64, y: f64, a0: &[f64; 4], n: usize) {
    let mut a = *a0;
    let mut count = 0;
    while count < 3 && n > 3 {
        count += 1;
        'block: {
            a[count] += a[count - 1] * y.tanh().tanh();
            if (y.cos() + 1.5).log10() >= x {
                break 'block;
            }
        }
    }
    x * a[1] * a[2] + a[n % 4] * 1.22
}, [(-0.7, 1.25, &[0.1, -0.2, 1.4, -0.7], 5), (0.5, 1.25, &[0.1, -0.2, 1.4, -0.7], 4)]);

same!(two_loops, [checkpoint = 3], (x: f64, n: usize) {
    let mut u = x;
    for _ in 0..n { u = u.sin() * 1.3; }
    let middle = u;
    for _ in 0..n { u = u * middle.cos() + u * u * 0.1; }
    u * middle
}, [(0.3, 0), (0.3, 1), (0.3, 3), (0.3, 10)]);

same!(a_loop_in_a_branch, [checkpoint = 3], (x: f64, n: usize, flag: bool) {
    let mut u = x;
    if flag {
        let mut a = [x, x * 2.0, 1.0];
        let mut c = [x * 1.5, 2.0 * x];
        let k = x * 3.0;
        for i in 0..n {
            u = (u * a[i % 3]).sin() + c[i % 2] * k;
            a[i % 3] = a[(i + 1) % 3] * u;
        }
        c[0] = 3.0;
        u += a[0] + a[1] * c[0];
    } else {
        u = u * 2.0;
    }
    u * u
}, [(0.3, 10, true), (0.3, 10, false), (0.3, 0, true), (0.3, 3, true)]);

same!(a_loop_for_each_sample, [checkpoint = 5], (w: f64, x: &[f64], n: usize) {
    let mut s = 0.0;
    for i in 0..x.len() {
        let mut u = x[i];
        for _ in 0..n { u = (u * w).sin(); }
        s += u * u;
    }
    s
}, [(0.3, &U, 0), (0.3, &U, 3), (0.3, &U, 12), (0.3, &U[..4], 12), (0.3, &U[..5], 12)]);

// ---- arrays ----

const U: [f64; 10] = [0.3, 0.1, 0.9, 0.2, 0.5, 0.7, 0.8, 0.4, 0.6, 0.15];

same!(a_double_buffer, [checkpoint = 3], (u0: &[f64; 10], nt: usize) {
    let mut u = *u0;
    let mut tmp = [0.0; 10];
    for _ in 0..nt {
        for i in 1..9 {
            tmp[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]) + 0.01 * u[i] * (1.0 - u[i]);
        }
        for i in 1..9 { u[i] = tmp[i]; }
    }
    let mut s = 0.0;
    for i in 0..10 { s += u[i] * u[i]; }
    s
}, [(&U, 0), (&U, 1), (&U, 2), (&U, 3), (&U, 4), (&U, 13)]);

same!(a_double_buffer_on_the_heap, [checkpoint = 4], (u0: &[f64], nt: usize) {
    let mut u = u0.to_vec();
    let mut tmp = vec![0.0; u0.len()];
    for _ in 0..nt {
        for i in 1..u0.len() - 1 {
            tmp[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]) + 0.01 * u[i] * (1.0 - u[i]);
        }
        for i in 1..u0.len() - 1 { u[i] = tmp[i]; }
    }
    let mut s = 0.0;
    for i in 0..u0.len() { s += u[i] * u[i]; }
    s
}, [(&U, 0), (&U, 1), (&U, 3), (&U, 4), (&U, 5), (&U, 13)]);

same!(buffers_that_are_swapped, [checkpoint = 4], (u0: &[f64; 10], nt: usize) {
    let mut u = *u0;
    let mut v = [0.0; 10];
    for _ in 0..nt {
        for i in 1..9 {
            v[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]) + 0.01 * u[i].sin();
        }
        v[0] = u[0] * u[1];
        v[9] = u[9] * v[9];
        std::mem::swap(&mut u, &mut v);
    }
    let mut s = 0.0;
    for i in 0..10 { s += u[i] * u[i] * v[i]; }
    s
}, [(&U, 0), (&U, 1), (&U, 3), (&U, 4), (&U, 5), (&U, 13)]);

same!(a_buffer_filled_before_it_is_read, [checkpoint = 4], (u0: &[f64; 10], nt: usize) {
    let mut u = *u0;
    let mut slope = [1.0; 10];
    for _ in 0..nt {
        for i in 0..10 { slope[i] = u[i].sin(); }
        for i in 0..10 { u[i] += 0.1 * slope[i] * slope[9 - i]; }
    }
    let mut s = 0.0;
    for i in 0..10 { s += u[i] * slope[i]; }
    s
}, [(&U, 0), (&U, 1), (&U, 3), (&U, 4), (&U, 5), (&U, 13)]);

same!(in_place_with_data_dependent_indices, [checkpoint = 4], (u0: &[f64; 10], nt: usize) {
    let mut u = *u0;
    let (mut energy, mut last) = (0.0, 0);
    for t in 0..nt {
        let mut before = u[0];
        for i in 1..9 {
            let now = u[i];
            u[i] = now * now.cos() + 0.25 * (u[i + 1] - 2.0 * now + before);
            before = now;
            if now > 0.6 { last = i; }
        }
        u.swap(last, (last + t) % 10);
        energy += u[last].exp() * u0[t % 10];
    }
    energy
}, [(&U, 0), (&U, 1), (&U, 3), (&U, 4), (&U, 5), (&U, 13)]);

same!(a_recurrent_network, [checkpoint = 2], (w: &[[f64; 3]; 3], b: &[f64; 3], x: &[[f64; 3]]) {
    let mut h = [0.0; 3];
    let mut loss = 0.0;
    for v in x {
        let mut z = [0.0; 3];
        for i in 0..3 {
            let mut a = b[i] + v[i];
            for j in 0..3 { a += w[i][j] * h[j]; }
            z[i] = a.tanh();
        }
        h = z;
        loss += (h[0] - v[1]) * (h[0] - v[1]);
    }
    loss
}, [(&W, &B, &X[..0]), (&W, &B, &X[..1]), (&W, &B, &X[..2]), (&W, &B, &X[..3]), (&W, &B, &X)]);

const W: [[f64; 3]; 3] = [[0.3, 0.1, 0.9], [0.2, 0.5, 0.7], [0.8, 0.4, 0.6]];
const B: [f64; 3] = [0.3, 0.1, -0.9];
const X: [[f64; 3]; 5] = [
    [0.3, 0.1, 0.9],
    [0.2, 0.5, 0.7],
    [0.8, 0.4, 0.6],
    [0.3, 0.1, 0.9],
    [0.1, 0.2, 0.0],
];

same!(an_array_overwritten_afterwards, [checkpoint = 4], (a0: &[f64; 10], x: f64) {
    let mut a = *a0;
    let mut u = x;
    for i in 0..10 { u = (u * a[i]).sin() + a[(i * 7) % 10]; }
    for i in 0..10 { a[i] = a[i] * u; }
    let mut s = 0.0;
    for i in 0..10 { s += a[i] * a[i]; }
    s
}, [(&U, 0.3)]);

same!(a_vec_that_grows_and_shrinks, [checkpoint = 3], (x: f64, n: usize) {
    let mut v = vec![x];
    for i in 0..n {
        let last = v[v.len() - 1];
        v.push(last.sin() * x + v[i / 2]);
        if i % 4 == 3 {
            let p = v.pop().unwrap();
            v[0] = v[0] * p;
        }
    }
    let mut s = 0.0;
    for k in 0..v.len() { s += v[k] * v[k]; }
    s
}, [(0.3, 0), (0.3, 1), (0.3, 3), (0.3, 10)]);

same!(rows_of_a_vec, [checkpoint = 3], (x: f64, n: usize) {
    let mut m = vec![vec![x, 1.0], vec![0.5, x * x]];
    for i in 0..n {
        let r = m[i % 2].clone();
        m[(i + 1) % 2][0] = r[0].sin() * r[1];
        m[i % 2][1] += m[(i + 1) % 2][1] * r[0];
        m.swap(0, 1);
    }
    m[0][0] * m[1][1]
}, [(0.3, 0), (0.3, 1), (0.3, 3), (0.3, 10)]);

same!(many_carried_scalars, [checkpoint = 3], (x: f64, n: usize) {
    let (mut a, mut b, mut c, mut d, mut e) = (x, 0.1, 0.2_f64, 0.3, 0.4);
    let (mut f, mut g, mut h, mut i, mut j) = (x, 0.5, 0.6, 0.7, 0.8);
    let (mut seen, mut count) = (false, 1u32);
    for k in 0..n {
        (a, b, c, d, e) = (b * c, c.sin(), d * e + a, e * f.cos(), f - g);
        (f, g, h, i, j) = (g * h, h + a.sin(), i * j, j * 0.9, f * a);
        if a > 0.4 { seen = !seen; count += k as u32; }
        if seen { a *= 1.1 / count as f64; }
    }
    a + b * c + d * e * f + g * h + i * j
}, [(0.3, 0), (0.3, 1), (0.3, 3), (0.3, 10)]);

same!(sums_over_all_iterations, [checkpoint = 3], (x: f64, c: f64, d: &[f64; 3], n: usize) {
    let (mut u, mut s, mut t) = (x, 0.0, 0.0);
    for i in 0..n {
        u = (u * c).sin() + d[i % 3] * x;
        s += u * u * x;
        t += u.exp();
        if u > 0.5 { t *= 0.5; }
    }
    s * t.ln() + c * c
}, [(0.3, 1.2, &B, 10), (0.3, 1.2, &B, 0), (0.3, 1.2, &B, 3), (0.3, 1.2, &B, 4)]);

const EVERY: usize = 3;

same!(a_constant, [checkpoint = EVERY], (x: f64, n: usize) {
    let mut u = x;
    for _ in 0..n { u = u.sin() * x; }
    u
}, [(0.3, 0), (0.3, 3), (0.3, 10)]);

same!(a_constant_of_the_function, [checkpoint = { STEPS / 2 }], (x: f64) {
    const STEPS: usize = 9;
    let mut u = x;
    for _ in 0..STEPS { u = u.sin() * x; }
    u
}, [(0.3)]);

// What has run is not run again: an assertion, a message.
same!(effects, [checkpoint = 3], (x: f64, n: usize) {
    let mut u = x;
    for k in 0..n {
        assert!(u < 10.0, "{k}");
        u = u.sin() * x + 0.1;
    }
    u
}, [(0.3, 0), (0.3, 10)]);

// ---- the other ways to be differentiated ----

mod calls {
    use backprop::backprop;

    #[backprop]
    pub fn slope(x: f64, a: f64) -> f64 {
        (x * a).sin()
    }

    #[backprop]
    pub fn field(u: &[f64; 2], a: f64) -> [f64; 2] {
        [(u[1] * a).sin(), u[0] * u[1]]
    }

    #[backprop]
    pub fn step(u: &mut [f64; 2], a: f64) {
        u[0] += 0.1 * (u[1] * a).sin();
        u[1] *= u[0];
    }
}
use calls::{field, slope, step};

same!(calls_with_arrays, [checkpoint = 3], (x: f64, a: f64, n: usize) {
    let mut u = [x, 1.2];
    for _ in 0..n {
        let k = field(&u, a);
        u = [u[0] + 0.1 * k[0], u[1] - 0.1 * k[1]];
        step(&mut u, a);
    }
    u[0] * u[1]
}, [(0.3, 1.2, 0), (0.3, 1.2, 1), (0.3, 1.2, 3), (0.3, 1.2, 10)]);

same!(calls_of_annotated_functions, [checkpoint = 3], (x: f64, a: f64, n: usize) {
    let mut u = x;
    for _ in 0..n {
        let k = slope(u, a);
        u += 0.1 * slope(u + 0.05 * k, a);
    }
    u
}, [(0.3, 1.2, 0), (0.3, 1.2, 1), (0.3, 1.2, 10)]);

#[test]
fn generic_functions() {
    use num_traits::Float;
    #[backprop::backprop]
    fn keeping<T: Float>(x: T, n: usize) -> T {
        let mut u = x;
        for _ in 0..n {
            u = u.sin() * x;
        }
        u
    }
    #[backprop::backprop(checkpoint = 3)]
    fn saving<T: Float>(x: T, n: usize) -> T {
        let mut u = x;
        for _ in 0..n {
            u = u.sin() * x;
        }
        u
    }
    assert_same(
        &saving::gradient(0.3_f32, 10),
        &keeping::gradient(0.3_f32, 10),
        "f32",
    );
    assert_same(
        &saving::gradient(0.3_f64, 10),
        &keeping::gradient(0.3_f64, 10),
        "f64",
    );
}

#[test]
fn what_is_changed_in_place() {
    #[backprop::backprop]
    fn keeping(u: &mut [f64], v: &mut [f64; 3], w: &mut f64, n: usize) -> f64 {
        for i in 0..n {
            for k in 0..u.len() {
                u[k] = (u[k] * v[k % 3]).sin() + *w;
            }
            v[i % 3] += u[0] * 0.1;
            *w *= 0.9;
        }
        u[1] * v[0] * *w
    }
    #[backprop::backprop(checkpoint = 3)]
    fn saving(u: &mut [f64], v: &mut [f64; 3], w: &mut f64, n: usize) -> f64 {
        for i in 0..n {
            for k in 0..u.len() {
                u[k] = (u[k] * v[k % 3]).sin() + *w;
            }
            v[i % 3] += u[0] * 0.1;
            *w *= 0.9;
        }
        u[1] * v[0] * *w
    }
    for n in [0, 1, 2, 3, 4, 11] {
        let start = || (U.to_vec(), B, 0.3);
        let (mut a, mut b) = (start(), start());
        let expected = keeping::value_and_gradient(&mut a.0, &mut a.1, &mut a.2, n);
        let found = saving::value_and_gradient(&mut b.0, &mut b.1, &mut b.2, n);
        assert_eq!(found.0.to_bits(), expected.0.to_bits());
        assert_eq!(a, b, "what is left in place");
        assert_same(&found.1, &expected.1, "value_and_gradient");
        let (mut a, mut b) = (start(), start());
        let (_, kept) = keeping::forward(&mut a.0, &mut a.1, &mut a.2, n);
        let (_, saved) = saving::forward(&mut b.0, &mut b.1, &mut b.2, n);
        assert_same(
            &saving::backward(&saved, 0.5),
            &keeping::backward(&kept, 0.5),
            "backward",
        );
    }
}

#[test]
fn buffers_of_the_caller() {
    #[backprop::backprop]
    fn keeping(u: &[f64], a: f64, n: usize) -> [f64; 2] {
        let mut v = [u[0], a];
        for i in 0..n {
            v = [v[1] * u[i % u.len()], (v[0] * a).sin()];
        }
        v
    }
    #[backprop::backprop(checkpoint = 3)]
    fn saving(u: &[f64], a: f64, n: usize) -> [f64; 2] {
        let mut v = [u[0], a];
        for i in 0..n {
            v = [v[1] * u[i % u.len()], (v[0] * a).sin()];
        }
        v
    }
    let (mut a, mut b) = (([1.0; 10], 2.0), ([1.0; 10], 2.0));
    let x = keeping::accumulate(&U, 1.1, 11, [0.5, -2.0], &mut a.0, &mut a.1);
    let y = saving::accumulate(&U, 1.1, 11, [0.5, -2.0], &mut b.0, &mut b.1);
    assert_eq!((x, a), (y, b));
}

struct Oscillator {
    damping: f64,
}

impl Oscillator {
    #[backprop::backprop(associated, checkpoint = 7)]
    fn energy(damping: f64, x: f64, v: f64, n: usize) -> f64 {
        let (mut x, mut v) = (x, v);
        for _ in 0..n {
            v -= 0.1 * (x.sin() + damping * v);
            x += 0.1 * v;
        }
        x * x + v * v
    }
}

#[test]
fn functions_in_an_impl() {
    let of = Oscillator { damping: 0.1 };
    let f = |d: f64, x: f64, v: f64| Oscillator::energy(d, x, v, 100);
    let h = 1e-6;
    let (value, (d, x, v)) = Oscillator::energy_value_and_gradient(of.damping, 1.0, 0.5, 100);
    assert_eq!(value, f(0.1, 1.0, 0.5));
    let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-8 * b.abs().max(1.0), "{a} {b}");
    near(d, (f(0.1 + h, 1.0, 0.5) - f(0.1 - h, 1.0, 0.5)) / (2.0 * h));
    near(x, (f(0.1, 1.0 + h, 0.5) - f(0.1, 1.0 - h, 0.5)) / (2.0 * h));
    near(v, (f(0.1, 1.0, 0.5 + h) - f(0.1, 1.0, 0.5 - h)) / (2.0 * h));
    let (_, saved) = Oscillator::energy_forward(of.damping, 1.0, 0.5, 100);
    assert_eq!(Oscillator::energy_backward(&saved, 1.0), (d, x, v));
}

#[test]
fn beside_other_options() {
    #[backprop::backprop(checkpoint = 3, check(points = 4), jvp, stable, wrt(x))]
    fn f(x: f64, a: &[f64]) -> f64 {
        let mut u = x;
        for v in a {
            u = (1.0 + (u * v).exp()).ln();
        }
        u
    }
    let (y, dy) = f::jvp(0.3, &U, 1.0);
    let (z, g) = f::value_and_gradient(0.3, &U);
    assert_eq!(y, z);
    assert!((dy - g.x).abs() < 1e-14, "{dy} {}", g.x);
}

// ---- memory ----

#[backprop::backprop(checkpoint = 100)]
fn lorenz(x: f64, y: f64, z: f64, steps: usize) -> f64 {
    let (mut x, mut y, mut z) = (x, y, z);
    for _ in 0..steps {
        let dx = 10.0 * (y - x);
        let dy = x * (28.0 - z) - y;
        let dz = x * y - 8.0 / 3.0 * z;
        x += 0.001 * dx;
        y += 0.001 * dy;
        z += 0.001 * dz;
    }
    x * x + y * y + z * z
}

/// The bytes of a state or of what an iteration keeps: three numbers.
const THREE: usize = 3 * size_of::<f64>();

#[test]
fn a_state_every_so_many_iterations_and_the_tape_of_one_segment() {
    let (_, heap) = heap_of(|| lorenz::gradient(1.0, 1.0, 1.0, 10_000));
    assert_eq!(heap.allocations, 2, "{heap:?}");
    assert_eq!(heap.bytes, 100 * THREE + 100 * THREE, "{heap:?}");
    let (saved, heap) = heap_of(|| lorenz::forward(1.0, 1.0, 1.0, 10_000).1);
    assert_eq!((heap.allocations, heap.bytes), (1, 100 * THREE), "forward");
    let (_, heap) = heap_of(|| lorenz::backward(&saved, 1.0));
    assert_eq!((heap.allocations, heap.bytes), (1, 100 * THREE), "backward");
}

#[test]
fn fewer_iterations_than_a_segment_take_no_more_than_they_need() {
    let (_, heap) = heap_of(|| lorenz::gradient(1.0, 1.0, 1.0, 10));
    assert_eq!(
        (heap.allocations, heap.bytes),
        (2, THREE + 10 * THREE),
        "{heap:?}"
    );
    let (_, heap) = heap_of(|| lorenz::gradient(1.0, 1.0, 1.0, 0));
    assert_eq!(heap.allocations, 0, "{heap:?}");
}

#[backprop::backprop(checkpoint)]
fn fisher(u: &[f64; 100], nt: usize) -> f64 {
    let mut u = *u;
    let mut tmp = [0.0; 100];
    for _ in 0..nt {
        for i in 1..99 {
            tmp[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]) + 0.01 * u[i] * (1.0 - u[i]);
        }
        for i in 1..99 {
            u[i] = tmp[i];
        }
    }
    let mut s = 0.0;
    for i in 0..100 {
        s += u[i] * u[i];
    }
    s
}

#[test]
fn arrays_are_saved_whole_but_for_those_that_are_filled_before_they_are_read() {
    let u = std::array::from_fn(|i| (i as f64 * 0.1).sin().abs());
    let (_, heap) = heap_of(|| fisher::gradient(&u, 900));
    // 30 states of 100 numbers, and 98 numbers for each of 30 iterations.
    let most = (30 * 100 + 30 * 98) * size_of::<f64>();
    assert!(heap.bytes <= most, "{heap:?} is more than {most}");
}
