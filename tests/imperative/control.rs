//! Ways into and out of loops, branches on what was computed before.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn while_let_counter(x: f64, n: usize) -> f64 {
    let mut next = Some(n);
    let mut acc = x;
    while let Some(k) = next {
        acc = acc * 0.5 + (k as f64) * x.sin();
        next = if k > 1 { Some(k - 1) } else { None };
    }
    acc * acc
}

#[backprop]
fn labelled_value(v: &[f64], lim: f64) -> f64 {
    let mut s = 0.0;
    let r = 'outer: loop {
        for (i, &a) in v.iter().enumerate() {
            for j in 0..i {
                s += a * v[j];
                if s > lim {
                    break 'outer s * a;
                }
                if a < 0.0 {
                    continue 'outer;
                }
            }
            s += 0.5 * a * a;
        }
        if s > 100.0 * lim {
            break s;
        }
        s = s * 1.5 + 0.1;
    };
    r.ln_1p() * lim
}

#[backprop]
fn loop_match(mut x: f64, y: f64) -> f64 {
    let mut k = 0u32;
    let v = loop {
        k += 1;
        match k % 4 {
            0 if x > 3.0 => break x * y,
            1 | 2 => x += y * 0.25,
            3 => {
                x *= 1.1;
                continue;
            }
            _ => x = x + 1.0 / x,
        }
        if k > 20 {
            break -x;
        }
    };
    v + x * k as f64
}

#[backprop]
fn early_in_nested(m: &[[f64; 3]; 3], t: f64) -> f64 {
    let mut acc = 1.0;
    for (i, row) in m.iter().enumerate() {
        for (j, &e) in row.iter().enumerate() {
            if i != j && e > t {
                return acc * e + t * t;
            }
            acc += e * e * (i + 2 * j) as f64;
        }
        acc = acc.sqrt();
    }
    acc / t
}

#[backprop]
fn cond_block(x: f64) -> f64 {
    let mut a = x;
    let mut n = 0;
    while {
        a = a * 0.7 + 0.1 * x;
        n += 1;
        a > 0.5 && n < 50
    } {
        a += 0.01 * a * a;
    }
    a * (n as f64) + x
}

#[backprop]
fn short_circuit(x: f64, y: f64) -> f64 {
    let mut c = x;
    let b1 = x > 0.0 && {
        c *= y;
        c > 1.0
    };
    let b2 = b1 || {
        c += 3.0 * x;
        false
    };
    if b2 { c * c } else { c * c * c + y }
}

#[backprop]
fn match_tuple(v: &[f64; 4], k: i32, b: bool) -> f64 {
    let mut s = 0.0;
    for i in -2..=k {
        s += match (i, b) {
            (-2, _) => v[0] * v[1],
            (j @ -1..=1, true) if v[2] > 0.5 => v[2] * j as f64 + v[0].exp(),
            (j @ (0 | 1), _) => v[3] / (2 + j) as f64,
            (2.., true) => {
                let q = v[1] * v[2];
                q * q
            }
            _ => v[3].cos(),
        };
    }
    s
}

#[backprop]
fn find_bracket(xs: &[f64], ys: &[f64], t: f64) -> f64 {
    let n = xs.len();
    if t <= xs[0] {
        return ys[0];
    }
    let mut lo = 0;
    let mut hi = n - 1;
    while hi - lo > 1 {
        let mid = (lo + hi) / 2;
        match xs[mid].partial_cmp(&t) {
            Some(std::cmp::Ordering::Greater) => hi = mid,
            Some(_) => lo = mid,
            None => return f64::NAN,
        }
    }
    let w = (t - xs[lo]) / (xs[hi] - xs[lo]);
    ys[lo] * (1.0 - w) + ys[hi] * w
}

#[backprop]
fn block_labels(x: f64, y: f64) -> f64 {
    let a = 'a: {
        let b = 'b: {
            if x > y {
                break 'a x * y;
            }
            if x > 0.0 {
                break 'b x.exp();
            }
            y
        };
        if b > 2.0 {
            break 'a b * y;
        }
        b + 1.0
    };
    a * a + x
}

#[backprop]
fn collatz(x: f64, mut n: u64) -> f64 {
    let mut y = x;
    while n != 1 {
        if n & 1 == 0 {
            n >>= 1;
            y = (y + x).ln_1p();
        } else {
            n = 3 * n + 1;
            y = y * 1.25 + 0.1;
        }
    }
    y
}

#[backprop]
fn closure_return(x: f64, y: f64) -> f64 {
    let clip = |z: f64| {
        if z > 1.0 {
            return 1.0 + 0.1 * z;
        }
        if z < -1.0 {
            return -1.0;
        }
        z * z
    };
    let apply = |f: f64, k: f64| clip(f * k) + clip(f - k);
    apply(x, y) * clip(x) - apply(y, x)
}

#[backprop]
fn shared_counter(v: &[f64]) -> f64 {
    let mut i = 0;
    let mut s = 1.0;
    while i < v.len() {
        let mut run = v[i];
        i += 1;
        while i < v.len() && v[i] > v[i - 1] {
            run *= v[i];
            i += 1;
        }
        s += run.tanh() * s;
    }
    s
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(while_let_counter, [x = 0.7], (x, 5));
    every_way!(
        labelled_value,
        [v = vec![0.5, 1.2, 0.7, 2.0], lim = 3.0],
        (&v, lim)
    );
    every_way!(
        labelled_value,
        [v = vec![0.5, 1.2, 0.7, 0.2], lim = 30.0],
        (&v, lim)
    );
    every_way!(loop_match, [x = 1.0, y = 0.8], (x, y));
    every_way!(loop_match, [x = 0.1, y = 0.01], (x, y));
    every_way!(
        early_in_nested,
        [
            m = [[1.0, 0.2, 0.3], [0.4, 5.0, 2.0], [7.0, 8.0, 9.0]],
            t = 1.5
        ],
        (&m, t)
    );
    every_way!(
        early_in_nested,
        [
            m = [[1.0, 0.2, 0.3], [0.4, 5.0, 1.0], [0.7, 0.8, 9.0]],
            t = 1.5
        ],
        (&m, t)
    );
    every_way!(cond_block, [x = 0.9], (x));
    every_way!(cond_block, [x = 3.0], (x));
    every_way!(short_circuit, [x = 1.5, y = 2.0], (x, y));
    every_way!(short_circuit, [x = 0.5, y = 0.3], (x, y));
    every_way!(short_circuit, [x = -0.5, y = 0.3], (x, y));
    every_way!(match_tuple, [v = [0.3, 1.2, 0.8, 2.0]], (&v, 3, true));
    every_way!(match_tuple, [v = [0.3, 1.2, 0.2, 2.0]], (&v, 3, false));
    every_way!(
        find_bracket,
        [
            xs = vec![0.0, 1.0, 2.0, 4.0],
            ys = vec![1.0, 3.0, 2.0, 5.0],
            t = 2.5
        ],
        (&xs, &ys, t)
    );
    every_way!(
        find_bracket,
        [
            xs = vec![0.0, 1.0, 2.0, 4.0],
            ys = vec![1.0, 3.0, 2.0, 5.0],
            t = -2.5
        ],
        (&xs, &ys, t)
    );
    every_way!(block_labels, [x = 1.5, y = 1.0], (x, y));
    every_way!(block_labels, [x = 0.5, y = 1.0], (x, y));
    every_way!(block_labels, [x = 0.9, y = 1.0], (x, y));
    every_way!(block_labels, [x = -0.5, y = 1.0], (x, y));
    every_way!(collatz, [x = 0.4], (x, 7));
    every_way!(closure_return, [x = 1.5, y = 0.8], (x, y));
    every_way!(closure_return, [x = -1.5, y = 0.3], (x, y));
    every_way!(
        shared_counter,
        [v = vec![0.3, 0.8, 0.5, 0.2, 0.7, 0.9]],
        (&v)
    );
}
