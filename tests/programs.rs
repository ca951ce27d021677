//! Programs of many kinds: loops, iterators, tables, patterns and integers, against differences.

#![allow(clippy::all, clippy::pedantic, unused)] // Differentiated as users write them.

#[macro_use]
#[path = "support/differences.rs"]
mod differences;

use backprop::{Differentiable, backprop};

#[derive(Clone, Copy, Debug, PartialEq, Differentiable)]
struct V2 {
    x: f64,
    y: f64,
}
impl V2 {
    fn dot(self, o: V2) -> f64 {
        self.x * o.x + self.y * o.y
    }
}

#[backprop]
fn while_loops(x: &[f64], k: f64) -> f64 {
    // bisect-like while with float condition
    let (mut lo, mut hi) = (0.0, 4.0 * k);
    while hi - lo > 0.5 {
        let mid = 0.5 * (lo + hi);
        if mid * mid < 2.0 { lo = mid } else { hi = mid }
    }
    let mut s = lo * hi;
    let mut n = 0u32;
    let mut y = x[0];
    while y < 5.0 && n < 10 {
        y += y * k + x[1];
        n += 1;
    }
    s + y / f64::from(n)
}

#[backprop]
fn random_numbers(x: &[f64], k: f64) -> f64 {
    let mut seed: u64 = 42;
    let mut s = 0.0;
    for _ in 0..6 {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let i = (seed >> 33) as usize % x.len();
        let w = ((seed >> 40) & 0xff) as f64 / 255.0;
        s += x[i] * w * k;
        if seed & 1 == 0 {
            s *= k;
        }
    }
    s
}

#[backprop]
fn grid(x: &[f64], k: f64) -> f64 {
    let mut grid = [[0.0f64; 4]; 3];
    for (i, row) in grid.iter_mut().enumerate() {
        for (j, c) in row.iter_mut().enumerate() {
            *c = x[(i + j) % x.len()] * k;
        }
    }
    for _ in 0..2 {
        let prev = grid;
        for i in 1..2 {
            for j in 1..3 {
                grid[i][j] =
                    0.25 * (prev[i - 1][j] + prev[i + 1][j] + prev[i][j - 1] + prev[i][j + 1]) * k;
            }
        }
        grid[0].swap(0, 3);
        grid.swap(0, 2);
    }
    grid.iter().flatten().sum::<f64>()
}

#[backprop]
fn structs(x: &[f64], k: f64) -> f64 {
    let p = V2 { x: x[0], y: k };
    let q = V2 { x: k * k, ..p };
    let V2 { x: a, y: b } = q;
    let f = |v: V2, s: f64| V2 {
        x: v.x * s,
        y: v.y + s,
    };
    let r = f(f(p, a), b);
    let mut t = r;
    t.x += q.y;
    let arr = [p, q, r, t];
    let best = arr
        .iter()
        .fold(arr[0], |m, v| if v.x > m.x { *v } else { m });
    best.x * best.y + t.x
}

#[backprop]
fn slice_patterns(x: &[f64], k: f64) -> f64 {
    let s = if let [a, b, ..] = x { a * b } else { k };
    let t = match x {
        [] => 0.0,
        [a] => a * k,
        [a, .., b] => a * b * k,
    };
    let u = match (k > 1.0, x.len()) {
        (true, 5) => s * t,
        (false, n) if n > 3 => s + t,
        _ => 0.0,
    };
    u * k
}

#[backprop]
fn flattened(x: &[f64], k: f64) -> f64 {
    let m = [[k, x[0]], [x[1], 2.0], [x[2], k * k]];
    let mut s = 0.0;
    for (j, (i, v)) in m
        .iter()
        .flat_map(|r| r.iter().enumerate())
        .enumerate()
        .filter(|(j, _)| j % 3 != 1)
        .enumerate()
        .map(|(n, (j, (i, v)))| (n + j, (i, v)))
    {
        if j == 6 {
            continue;
        }
        if j > 7 {
            break;
        }
        s += *v * (i + 1) as f64 * j as f64;
    }
    'a: for r in m
        .iter()
        .map(|r| r.iter().rev())
        .flatten()
        .take_while(|v| **v < 2.5)
    {
        if *r < 0.5 {
            continue 'a;
        }
        if *r > 1.6 {
            break 'a;
        }
        s *= r;
    }
    let e: Vec<f64> = (0..3)
        .flat_map(|i| (0..i).map(move |j| x[i] * x[j] * k))
        .collect();
    let n = x
        .iter()
        .enumerate()
        .filter(|(i, _)| i % 2 == 0)
        .enumerate()
        .map(|(a, (b, v))| v * (10 * a + b) as f64)
        .sum::<f64>();
    s + e.iter().sum::<f64>() * n
}

#[backprop]
fn table(x: &[f64], k: f64) -> f64 {
    let n = x.len();
    let mut dp = vec![vec![0.0; n]; n];
    for i in 0..n {
        dp[i][i] = x[i];
    }
    for len in 2..=n {
        for i in 0..=n - len {
            let j = i + len - 1;
            dp[i][j] = dp[i + 1][j].max(dp[i][j - 1] * k) + x[i] * x[j];
        }
    }
    dp[0][n - 1]
}

#[backprop]
fn labelled(x: &[f64], k: f64) -> f64 {
    let mut total = 0.0;
    let mut i = 0;
    'outer: while i < x.len() {
        let mut j = i;
        while j < x.len() {
            if x[j] > 1.0 {
                i = j + 1;
                total *= k;
                continue 'outer;
            }
            total += x[i] * x[j] * k;
            j += 1;
        }
        i += 1;
    }
    total
}

#[backprop]
fn statistics(x: &[f64], k: f64) -> f64 {
    let z: f64 = x.iter().map(|v| (v - k).exp()).sum();
    let probs: Vec<f64> = x.iter().map(|v| (v - k).exp() / z).collect();
    let ent = -probs.iter().map(|p| p * p.ln()).sum::<f64>();
    let mx = x.iter().cloned().fold(f64::MIN, f64::max);
    let lse = mx + x.iter().map(|v| (v - mx).exp()).sum::<f64>().ln();
    let var = {
        let m = x.iter().sum::<f64>() / x.len() as f64;
        x.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (x.len() - 1) as f64
    };
    ent * k + lse * var.sqrt()
}

#[backprop]
fn exchanged(x: &[f64], k: f64) -> f64 {
    let (mut a, mut b) = (x[0], k);
    for i in 0..4 {
        (a, b) = (b, a + b * x[i]);
        if a > 3.0 {
            (a, b) = (b, a);
        }
    }
    let t = {
        let a = a * b;
        let b = a + 1.0;
        a / b
    };
    a * t + b
}

#[backprop]
fn pushed(x: &[f64], k: f64) -> f64 {
    let mut v = x.to_vec();
    v.push(k);
    v.push(k * v[0]);
    let last = v.pop().unwrap();
    v[1] = last * v[5];
    v.iter()
        .skip(1)
        .zip(v.iter())
        .map(|(a, b)| a * b)
        .sum::<f64>()
        + v.len() as f64
}

#[backprop]
fn constant_tables(x: &[f64], k: f64) -> f64 {
    const W: [f64; 3] = [0.25, 0.5, 0.25];
    static T: [f64; 2] = [1.0, -1.0];
    let mut out = vec![0.0; x.len()];
    for i in 0..x.len() {
        let mut acc = 0.0;
        for (d, w) in W.iter().enumerate() {
            let j = i as isize + d as isize - 1;
            if j >= 0 && (j as usize) < x.len() {
                acc += w * x[j as usize];
            }
        }
        out[i] = acc * k * T[i & 1];
    }
    out.iter().map(|v| v * v).sum()
}

#[backprop]
fn nested_function(x: &[f64], k: f64) -> f64 {
    fn fact(n: u32) -> f64 {
        let mut p = 1.0;
        for i in 1..=n {
            p *= i as f64;
        }
        p
    }
    let mut s = 0.0;
    for (n, v) in x.iter().enumerate() {
        s += v.powi(n as i32) * k.powf(n as f64 * 0.5) / fact(n as u32);
    }
    s
}

#[backprop]
fn searches(x: &[f64], k: f64) -> f64 {
    let a = x.iter().copied().reduce(f64::max).unwrap_or(k);
    let b = x.iter().position(|v| *v > 1.0).unwrap_or(0);
    let c = x
        .iter()
        .take_while(|v| **v < 1.0)
        .map(|v| v * k)
        .sum::<f64>();
    let d = x
        .iter()
        .copied()
        .reduce(|p, q| if p > q { p } else { q })
        .unwrap();
    let e = x.iter().flat_map(|v| [v * k, v * v]).sum::<f64>();
    a * x[b] + c * d + e
}

const X: [f64; 5] = [0.31, 0.77, 1.19, 0.53, 0.95];

#[test]
fn gradients() {
    check!(X, while_loops random_numbers grid structs slice_patterns flattened table labelled);
    check!(X, statistics exchanged pushed constant_tables nested_function searches);
}
