//! Loops that read neighbours: every rearrangement of their gradients against the same function not rearranged.
//!
//! Each function exists twice. In the one called `near` the distances between neighbours are numbers, by which the compiler
//! recognises stencils, sums to carry, elements to park values in and buffers that take turns. In the one called `far` they
//! are parameters, so that it can assume nothing of them. Must hold, at every length from none to more than a handful:
//! the same value, bit for bit, and the same gradient but for the order of additions, in buffers that held garbage, in
//! buffers that are added to, and from the residuals.

#![allow(clippy::all, unused)]

use backprop::backprop;

#[path = "support/differences.rs"]
mod differences;

fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(11);
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        })
        .collect()
}

fn same(what: &str, n: usize, near: &[f64], far: &[f64]) {
    let size = far.iter().fold(1e-300_f64, |m, g| m.max(g.abs()));
    assert_eq!(near.len(), far.len());
    for (i, (a, b)) in near.iter().zip(far).enumerate() {
        assert!(
            (a - b).abs() <= 1e-13 * size,
            "{what}, n = {n}, element {i}: {a:e}, not {b:e}\n{near:?}\n{far:?}"
        );
    }
}

/// Defines a function twice, as `name::near` and `name::far`, and the test that compares them.
macro_rules! twins {
    ($name:ident, lengths $lengths:expr, |$x:ident, $one:ident, $two:ident| $body:block) => {
        mod $name {
            use super::*;
            twins!(@define near, $x, $one, $two, { let $one = 1; let $two = 2; } $body);
            twins!(@far far, $x, $one, $two, $body);

            #[test]
            fn $name() {
                for n in $lengths {
                    let x = numbers(n, n as u64 + 1);
                    let expected = far::gradient(&x, 1, 2).x;
                    let value = far(&x, 1, 2);
                    assert_eq!(near(&x).to_bits(), value.to_bits(), "plain, n = {n}");
                    let mut d = vec![f64::NAN; n];
                    let y = near::value_and_gradient_into(&x, &mut d);
                    assert_eq!(y.to_bits(), value.to_bits(), "value, n = {n}");
                    same("into", n, &d, &expected);
                    same("gradient", n, &near::gradient(&x).x, &expected);
                    let (y, saved) = near::forward(&x);
                    assert_eq!(y.to_bits(), value.to_bits(), "forward, n = {n}");
                    same("backward", n, &near::backward(&saved, 1.0).x, &expected);
                    let mut d = vec![0.0; n];
                    near::accumulate(&x, 0.5, &mut d);
                    near::accumulate(&x, 0.5, &mut d);
                    same("accumulate", n, &d, &expected);
                }
            }
        }
    };
    (@define $f:ident, $x:ident, $one:ident, $two:ident, { $($known:tt)* } $body:block) => {
        #[backprop]
        pub fn $f($x: &[f64]) -> f64 { $($known)* $body }
    };
    (@far $f:ident, $x:ident, $one:ident, $two:ident, $body:block) => {
        #[backprop(wrt($x))]
        pub fn $f($x: &[f64], $one: usize, $two: usize) -> f64 $body
    };
}

twins!(valley, lengths 1..9, |x, one, two| {
    let mut s = 0.0;
    for i in 0..x.len() - one {
        let a = x[i + one] - x[i] * x[i];
        s += 100.0 * a * a + (1.0 - x[i]) * (1.0 - x[i]);
    }
    s
});

twins!(valley_downwards, lengths 1..9, |x, one, two| {
    let mut s = 0.0;
    for i in (0..x.len() - one).rev() {
        let a = x[i + one] - x[i] * x[i];
        s += 100.0 * a * a + (1.0 - x[i]) * (1.0 - x[i]);
    }
    s
});

twins!(three_neighbours_of_a_sum, lengths 2..10, |x, one, two| {
    let mut s = 0.0;
    for i in one..x.len() - one {
        let c = x[i + one] - 2.0 * x[i] + x[i - one];
        s += (c * c).exp() * 0.25;
    }
    s.ln_1p() + x[0]
});

twins!(far_apart_and_first_used_elsewhere, lengths 4..11, |x, one, two| {
    let mut s = x[0] * x[one];
    for i in 0..x.len() - two - one {
        s += x[i] * x[i + two + one] - x[i + two].sin();
    }
    s * x[two]
});

twins!(differences_into_an_array, lengths 2..10, |x, one, two| {
    let n = x.len();
    let mut d = vec![0.0; n];
    for i in one..n - one {
        d[i] = x[i] + 0.25 * (x[i + one] - 2.0 * x[i] + x[i - one]);
    }
    let mut s = 0.0;
    for i in 0..n {
        s += d[i] * d[i] * d[i];
    }
    s
});

twins!(products_of_neighbours_into_an_array, lengths 2..10, |x, one, two| {
    let n = x.len();
    let mut d = vec![0.5; n];
    for i in 0..n - two {
        d[i + one] = x[i] * x[i + one] * x[i + two];
    }
    let mut s = 0.0;
    for i in 0..n {
        s += d[i].sin();
    }
    s
});

twins!(in_place_with_the_old_neighbour, lengths 2..10, |x, one, two| {
    let n = x.len();
    let mut u = x.to_vec();
    for _ in 0..3 {
        let mut prev = u[0];
        for i in one..n - one {
            let cur = u[i];
            u[i] = cur + 0.25 * (u[i + one] - 2.0 * cur + prev);
            prev = cur;
        }
        u[0] = 0.5 * u[0] + prev;
    }
    let mut s = 0.0;
    for i in 0..n {
        s += u[i] * u[i];
    }
    s
});

twins!(in_place_downwards_with_the_old_neighbour, lengths 2..10, |x, one, two| {
    let n = x.len();
    let mut u = x.to_vec();
    for _ in 0..3 {
        let mut next = u[n - one];
        for i in (one..n - one).rev() {
            let cur = u[i];
            u[i] = cur + 0.25 * (next - 2.0 * cur + u[i - one]);
            next = cur;
        }
    }
    let mut s = 0.0;
    for i in 0..n {
        s += u[i] * u[i] * u[i];
    }
    s
});

twins!(in_place_with_the_new_neighbour, lengths 2..10, |x, one, two| {
    let n = x.len();
    let mut u = x.to_vec();
    for _ in 0..2 {
        for i in one..n - one {
            u[i] = 0.5 * u[i] + 0.25 * (u[i + one] + u[i - one]);
        }
    }
    let mut s = 0.0;
    for i in 0..n {
        s += u[i] * u[i];
    }
    s
});

/// What is left to the next iteration waits for what another was left: that is not moved.
twins!(in_place_with_two_old_neighbours, lengths 2..10, |x, one, two| {
    let n = x.len();
    let mut u = x.to_vec();
    for _ in 0..2 {
        let (mut prev, mut older) = (u[0], x[0]);
        for i in one..n - one {
            let cur = u[i];
            u[i] = cur + 0.25 * (u[i + one] - 2.0 * cur + prev) + 0.125 * older;
            older = prev;
            prev = cur;
        }
        u[0] = 0.5 * u[0] + prev - older;
    }
    let mut s = 0.0;
    for i in 0..n {
        s += u[i] * u[i];
    }
    s
});

/// What is left is used by way of what is computed from it.
twins!(in_place_with_half_of_the_old_neighbour, lengths 2..10, |x, one, two| {
    let n = x.len();
    let mut u = x.to_vec();
    for _ in 0..2 {
        let mut prev = u[0];
        for i in one..n - one {
            let cur = u[i];
            u[i] = cur + 0.25 * (u[i + one] - 2.0 * cur + prev);
            prev = 0.5 * cur - 1.0;
        }
    }
    let mut s = 0.0;
    for i in 0..n {
        s += u[i] * u[i];
    }
    s
});

twins!(running_sums_in_place, lengths 1..8, |x, one, two| {
    let n = x.len();
    let mut u = x.to_vec();
    for i in one..n {
        u[i] += u[i - one];
    }
    let mut s = 1.0;
    for i in 0..n {
        s += u[i] * u[i];
    }
    s.sqrt()
});

twins!(a_product, lengths 0..8, |x, one, two| {
    let mut p = 1.0;
    for i in 0..x.len() {
        p *= x[i];
    }
    p
});

twins!(a_product_of_some, lengths 3..9, |x, one, two| {
    let mut p = x[0] + x[two];
    for i in one..x.len() - one {
        p *= x[i] + 2.0;
    }
    p
});

// The two chains meet in the middle; beside the elements' gradients there is a sum that takes both.
twins!(a_polynomial, lengths 1..9, |x, one, two| {
    let t = 0.5 + 0.25 * x[0];
    let mut p = 0.0;
    for i in 0..x.len() {
        p = p * t + x[i + one - one];
    }
    p
});

// Not so where the backward chain starts from what the forward one ends with.
twins!(a_product_and_what_becomes_of_it, lengths 1..8, |x, one, two| {
    let mut p = 1.5;
    for i in 0..x.len() {
        p *= x[i + one - one];
    }
    p.sin()
});

// Nor where it reads what the forward chain has left.
twins!(squares_of_a_chain, lengths 1..8, |x, one, two| {
    let mut p = 0.5;
    for i in 0..x.len() {
        p = p * p + x[i + one - one];
    }
    p
});

twins!(logarithm_of_a_sum, lengths 1..8, |x, one, two| {
    let mut s = 0.0;
    for i in 0..x.len() {
        s += (x[i] * 2.0).exp();
    }
    let m = s.ln();
    m * x[0]
});

twins!(sums_that_are_known, lengths 1..8, |x, one, two| {
    let c = x[0];
    let mut s = 0.0;
    for i in 0..x.len() {
        s += (x[i] - c).exp();
    }
    let mut t = 0.0;
    for i in 0..x.len() {
        t += x[i] * c;
    }
    (c + s.ln()) * t.sin()
});

twins!(like_terms, lengths 1..6, |x, one, two| {
    let mut s = 0.0;
    for i in 0..x.len() {
        let a = x[i] * x[i] * x[i];
        s += a + a - 0.5 * a + 3.0 * x[i] - x[i] + 2.0 * (x[i] * a);
    }
    s
});

/// As `twins`, at one fixed length; the parameter hides that elements are copied to where they were.
macro_rules! buffers {
    ($($name:ident $n:literal)*, |$x:ident, $zero:ident| $body:block) => {$(
        mod $name {
            use super::*;
            const N: usize = $n;
            #[backprop]
            fn near($x: &[f64; N]) -> f64 { let $zero = 0; $body }
            #[backprop(wrt($x))]
            fn far($x: &[f64; N], $zero: usize) -> f64 $body

            #[test]
            fn $name() {
                let x: [f64; N] = std::array::from_fn(|i| numbers(N, 7)[i]);
                let expected = far::gradient(&x, 0).x;
                let mut d = [f64::NAN; N];
                let y = near::value_and_gradient_into(&x, &mut d);
                assert_eq!(y.to_bits(), far(&x, 0).to_bits());
                assert_eq!(y.to_bits(), near(&x).to_bits());
                same("into", N, &d, &expected);
                let (_, saved) = near::forward(&x);
                same("backward", N, &near::backward(&saved, 1.0).x, &expected);
                let mut d = [0.0; N];
                near::accumulate(&x, 1.0, &mut d);
                same("accumulate", N, &d, &expected);
            }
        }
    )*};
}

buffers!(heat_2 2 heat_3 3 heat_4 4 heat_5 5 heat_9 9, |x, zero| {
    let mut u = *x;
    let mut tmp = [0.0; N];
    for _ in 0..3 {
        for i in 1..N - 1 {
            tmp[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]);
        }
        for i in 1..N - 1 {
            u[i] = tmp[i + zero];
        }
    }
    let mut s = 0.0;
    for i in 0..N {
        s += u[i] * u[i];
    }
    s
});

buffers!(growth_2 2 growth_3 3 growth_4 4 growth_5 5 growth_9 9, |x, zero| {
    let mut u = *x;
    let mut tmp = [0.0; N];
    for _ in 0..3 {
        for i in 1..N - 1 {
            tmp[i] = u[i] * (1.0 - u[i]) + 0.3 * u[i + 1] * u[i - 1];
        }
        u[0] = u[1] * u[0];
        for i in 1..N - 1 {
            u[i] = tmp[i + zero];
        }
    }
    let mut s = 0.0;
    for i in 0..N {
        s += u[i] * u[i];
    }
    s
});

// Steps two by two: none, one, an even and an odd number of them.
macro_rules! steps {
    ($($name:ident $count:literal)*) => {$(
        buffers!($name 6, |x, zero| {
            let mut u = *x;
            let mut tmp = [0.0; N];
            for _ in 0..$count {
                for i in 1..N - 1 {
                    tmp[i] = u[i] * u[i - 1] + 0.5 * u[i + 1];
                }
                for i in 1..N - 1 {
                    u[i] = tmp[i + zero];
                }
            }
            u[0] * u[1] + u[2] * u[3] + u[4] * u[5]
        });
    )*};
}
steps!(no_steps 0 one_step 1 four_steps 4 five_steps 5);
buffers!(two_fields 6, |x, zero| {
    let (mut u, mut v) = (*x, [0.25; N]);
    let (mut a, mut b) = ([0.0; N], [1.0; N]);
    for t in 0..5 {
        for i in 1..N - 1 {
            a[i] = u[i] * v[i + 1] + 0.1 * u[i - 1];
        }
        for i in 0..N - 1 {
            b[i] = v[i] * v[i] + u[i + 1] * u[t];
        }
        for i in 1..N - 1 {
            u[i] = a[i + zero];
        }
        for i in 0..N - 1 {
            v[i] = b[i + zero];
        }
        v[N - 1] += u[2];
    }
    let mut s = 0.0;
    for i in 0..N {
        s += u[i] * v[i];
    }
    s
});

// Buffers that do not outlive the step.
buffers!(in_each_step 6, |x, zero| {
    let mut s = 0.0;
    for t in 0..5 {
        let mut u = *x;
        let mut tmp = [0.0; N];
        for i in 1..N - 1 {
            tmp[i] = u[i] * u[i - 1] + 0.5 * u[i + 1];
        }
        for i in 1..N - 1 {
            u[i] = tmp[i + zero];
        }
        s += u[t] * u[t + 1];
    }
    s
});

// Not a turn of buffers: what is copied from is read again.
buffers!(read_after 6, |x, zero| {
    let mut u = *x;
    let mut tmp = [0.0; N];
    for _ in 0..3 {
        for i in 1..N - 1 {
            tmp[i] = u[i] * u[i - 1];
        }
        for i in 1..N - 1 {
            u[i] = tmp[i + zero];
        }
    }
    u[0] * tmp[2] + u[3] * tmp[N - 1]
});

// Nor where the source is stored to in part only.
buffers!(filled_in_part 6, |x, zero| {
    let mut u = *x;
    let mut tmp = [0.5; N];
    for t in 0..3 {
        for i in 2..N - 1 {
            tmp[i] = u[i] * u[i - 1] + t as f64;
        }
        for i in 1..N - 1 {
            u[i] = tmp[i + zero];
        }
    }
    u[0] * u[1] * u[2] + u[3] * u[4]
});

buffers!(the_whole_buffer 5, |x, zero| {
    let mut u = *x;
    let mut next = [0.0; N];
    for _ in 0..2 {
        for i in 0..N {
            next[i] = u[i] * u[(i + 1) % N];
        }
        for i in 0..N {
            u[i] = next[i + zero];
        }
    }
    u[0] + u[1] * u[4]
});

/// Every pair adds to both of its elements: to the one that stays while the inner loop runs, and to the one that moves.
mod pairs {
    use super::*;

    #[backprop(wrt(r))]
    fn energy(r: &[[f64; 2]], m: &[f64]) -> f64 {
        let mut e = 0.0;
        for i in 0..r.len() {
            for j in i + 1..r.len() {
                let (x, y) = (r[i][0] - r[j][0], r[i][1] - r[j][1]);
                e -= m[i] * m[j] / (x * x + y * y + 0.1).sqrt();
            }
        }
        e
    }

    /// The gradient, each body by itself: what its inner loop leaves aside must not be missing, nor be there where there is none.
    fn pulls(r: &[[f64; 2]], m: &[f64]) -> Vec<f64> {
        let mut out = Vec::new();
        for i in 0..r.len() {
            let mut d = [0.0; 2];
            for j in (0..r.len()).filter(|j| *j != i) {
                let (x, y) = (r[i][0] - r[j][0], r[i][1] - r[j][1]);
                let s = x * x + y * y + 0.1;
                let f = m[i] * m[j] / (s * s.sqrt());
                d = [d[0] + f * x, d[1] + f * y];
            }
            out.extend(d);
        }
        out
    }

    #[test]
    fn pairs() {
        for n in 0..8 {
            let r: Vec<[f64; 2]> = (0..n)
                .map(|i| [numbers(n, 3)[i], numbers(n, 4)[i]])
                .collect();
            let m = numbers(n, 5);
            let expected = pulls(&r, &m);
            let mut d = vec![[f64::NAN; 2]; n];
            let y = energy::value_and_gradient_into(&r, &m, &mut d);
            assert_eq!(y.to_bits(), energy(&r, &m).to_bits());
            same("into", n, d.as_flattened(), &expected);
            let (y, saved) = energy::forward(&r, &m);
            assert_eq!(y.to_bits(), energy(&r, &m).to_bits());
            same(
                "backward",
                n,
                energy::backward(&saved, 1.0).r.as_flattened(),
                &expected,
            );
            let mut d = vec![[0.0; 2]; n];
            energy::accumulate(&r, &m, 1.0, &mut d);
            same("accumulate", n, d.as_flattened(), &expected);
        }
    }

    /// An element that no iteration touches need not exist.
    #[backprop(wrt(x))]
    fn beyond(x: &[f64], at: usize) -> f64 {
        let mut s = 0.0;
        for j in 1..x.len() {
            s += x[at] / (1.0 + x[j] * x[j]);
        }
        s
    }

    #[test]
    fn elements_beyond() {
        assert_eq!(beyond::gradient(&[2.0], 7).x, [0.0]);
        let d = beyond::gradient(&[2.0, 1.0, 3.0], 1).x;
        same("gradient", 3, &d, &[0.0, 0.1, -0.06]);
    }
}

/// Rows of grids, in nested and in flat arrays, against differences: of each row that a loop adds to, what comes from the row beside it.
mod grids {
    use super::*;

    fn load(x: &[f64]) -> [[f64; 5]; 4] {
        std::array::from_fn(|j| std::array::from_fn(|i| x[5 * j + i]))
    }

    #[backprop]
    fn steps(u0: &[[f64; 5]; 4]) -> f64 {
        let mut u = *u0;
        let mut v = *u0;
        for _ in 0..3 {
            for j in 1..3 {
                for i in 1..4 {
                    v[j][i] = u[j][i]
                        + 0.1 * (u[j][i + 1] + u[j][i - 1] + u[j + 1][i] + u[j - 1][i])
                        - 0.4 * u[j][i];
                }
            }
            for j in 1..3 {
                for i in 1..4 {
                    u[j][i] = v[j][i];
                }
            }
        }
        u.iter().flatten().map(|u| u * u * u).sum()
    }

    #[backprop]
    fn swaps(u0: &[[f64; 5]; 4]) -> f64 {
        let (mut u, mut v) = (*u0, *u0);
        for _ in 0..3 {
            for j in 1..3 {
                for i in 1..4 {
                    v[j][i] = u[j][i] * u[j][i + 1] + 0.3 * u[j + 1][i - 1] - u[j - 1][i];
                }
            }
            std::mem::swap(&mut u, &mut v);
        }
        u.iter().flatten().map(|u| u.sin()).sum()
    }

    #[backprop]
    fn slopes(u: &[[f64; 5]; 4]) -> f64 {
        let mut s = 0.0;
        for j in 0..3 {
            for i in 0..4 {
                let (x, y) = (u[j][i + 1] - u[j][i], u[j + 1][i] - u[j][i]);
                s += (x * x + y * y + 0.1).sqrt();
            }
        }
        s
    }

    #[backprop(wrt(x))]
    fn flat(x: &[f64], h: usize, w: usize) -> f64 {
        let mut u = x.to_vec();
        let mut v = x.to_vec();
        for _ in 0..2 {
            for j in 1..h.saturating_sub(1) {
                for i in 1..w.saturating_sub(1) {
                    let k = j * w + i;
                    v[k] = u[k] * u[k + 1] + 0.1 * (u[k - 1] + u[k + w] - u[k - w]) - 0.4 * u[k];
                }
            }
            for k in 0..h * w {
                u[k] = v[k];
            }
        }
        let mut s = 0.0;
        for k in 0..h * w {
            s += u[k] * u[k];
        }
        s
    }

    #[backprop(wrt(x))]
    fn products(x: &[f64], h: usize, w: usize) -> f64 {
        let mut c = vec![0.0; h * h];
        for i in 0..h {
            for k in 0..w {
                for j in 0..h {
                    c[i * h + j] += x[i * w + k] * x[j * w + k];
                }
            }
        }
        c.iter().map(|c| c * c).sum()
    }

    /// Windows that overlap: the rows are not apart.
    #[backprop(wrt(x))]
    fn windows(x: &[f64], h: usize, w: usize) -> f64 {
        let mut s = 0.0;
        for i in 0..h {
            let mut p = 0.0;
            for k in 0..w {
                p += x[i * 2 + k] * x[k] + x[i + k] * x[i + k + h];
            }
            s += p * p;
        }
        s
    }

    fn check(what: &str, x: &[f64], f: impl Fn(&[f64]) -> f64, gradients: &[Vec<f64>]) {
        for (k, d) in gradients.iter().enumerate() {
            assert_eq!(d.len(), x.len());
            for i in 0..x.len() {
                let at = |v: f64| {
                    let mut x = x.to_vec();
                    x[i] = v;
                    f(&x)
                };
                let want = differences::slope(at, x[i]);
                assert!(
                    (d[i] - want).abs() <= 1e-8 * want.abs().max(1.0),
                    "{what}, gradient {k}, element {i}: {}, not {want}",
                    d[i]
                );
            }
        }
    }

    #[test]
    fn nested() {
        let x = numbers(20, 8);
        let u = load(&x);
        macro_rules! all {
            ($($f:ident)*) => {$(
                let (y, saved) = $f::forward(&u);
                assert_eq!(y.to_bits(), $f(&u).to_bits());
                let mut into = [[f64::NAN; 5]; 4];
                $f::value_and_gradient_into(&u, &mut into);
                let mut added = [[0.0; 5]; 4];
                $f::accumulate(&u, 0.25, &mut added);
                $f::accumulate(&u, 0.75, &mut added);
                let back = $f::backward(&saved, 1.0).u_grid();
                let gradients = [into, added, back].map(|d| d.as_flattened().to_vec());
                check(stringify!($f), &x, |x| $f(&load(x)), &gradients);
            )*};
        }
        trait Grid {
            fn u_grid(self) -> [[f64; 5]; 4];
        }
        impl Grid for StepsGradient {
            fn u_grid(self) -> [[f64; 5]; 4] {
                self.u0
            }
        }
        impl Grid for SwapsGradient {
            fn u_grid(self) -> [[f64; 5]; 4] {
                self.u0
            }
        }
        impl Grid for SlopesGradient {
            fn u_grid(self) -> [[f64; 5]; 4] {
                self.u
            }
        }
        all!(steps swaps slopes);
    }

    #[test]
    fn flat_of_all_sizes() {
        macro_rules! all {
            ($n:expr, $h:expr, $w:expr, $($f:ident)*) => {$(
                let (x, h, w) = (numbers($n, 9 + $h + $w), $h as usize, $w as usize);
                let (y, saved) = $f::forward(&x, h, w);
                assert_eq!(y.to_bits(), $f(&x, h, w).to_bits());
                let mut into = vec![f64::NAN; x.len()];
                $f::value_and_gradient_into(&x, h, w, &mut into);
                let mut added = vec![0.0; x.len()];
                $f::accumulate(&x, h, w, 0.25, &mut added);
                $f::accumulate(&x, h, w, 0.75, &mut added);
                let gradients = [into, added, $f::backward(&saved, 1.0).x];
                let what = format!("{} {h} {w}", stringify!($f));
                check(&what, &x, |x| $f(x, h, w), &gradients);
            )*};
        }
        for h in 0..6 {
            for w in 0..6 {
                all!((h * w) as usize, h, w, flat products);
                all!((3 * h + 2 * w) as usize, h, w, windows);
            }
        }
    }
}
