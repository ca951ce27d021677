//! Arrays that change: sorted, permuted, shifted, indexed by what integers say.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn fft_energy(re: &[f64; 8], im: &[f64; 8], w: &[f64; 8]) -> f64 {
    let mut xr = *re;
    let mut xi = *im;
    let n = 8usize;
    // bit reversal
    let mut j = 0usize;
    for i in 1..n {
        let mut bit = n >> 1;
        while j & bit != 0 {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
        if i < j {
            xr.swap(i, j);
            xi.swap(i, j);
        }
    }
    let mut len = 2;
    while len <= n {
        let ang = -2.0 * std::f64::consts::PI / len as f64;
        for start in (0..n).step_by(len) {
            for k in 0..len / 2 {
                let (s, c) = (ang * k as f64).sin_cos();
                let (ur, ui) = (xr[start + k], xi[start + k]);
                let tr = xr[start + k + len / 2] * c - xi[start + k + len / 2] * s;
                let ti = xr[start + k + len / 2] * s + xi[start + k + len / 2] * c;
                xr[start + k] = ur + tr;
                xi[start + k] = ui + ti;
                xr[start + k + len / 2] = ur - tr;
                xi[start + k + len / 2] = ui - ti;
            }
        }
        len <<= 1;
    }
    (0..n)
        .map(|k| w[k] * (xr[k] * xr[k] + xi[k] * xi[k]).sqrt())
        .sum()
}

#[backprop]
fn bubble_weighted(v: &[f64], w: &[f64]) -> f64 {
    let mut a = v.to_vec();
    let n = a.len();
    let mut swapped = true;
    while swapped {
        swapped = false;
        for i in 1..n {
            if a[i - 1] > a[i] {
                a.swap(i - 1, i);
                swapped = true;
            }
        }
    }
    a.iter().zip(w).map(|(x, w)| x * x * w).sum::<f64>()
}

#[backprop]
fn insertion_sort(v: [f64; 5]) -> f64 {
    let mut a = v;
    for i in 1..a.len() {
        let key = a[i];
        let mut j = i;
        while j > 0 && a[j - 1] > key {
            a[j] = a[j - 1];
            j -= 1;
        }
        a[j] = key;
    }
    let mut s = 0.0;
    for (i, x) in a.into_iter().enumerate() {
        s += x.powi(i as i32 + 1);
    }
    s
}

#[backprop]
fn compare_exchange(mut v: [f64; 4], w: &[f64; 4]) -> f64 {
    const NET: [(usize, usize); 5] = [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)];
    for &(i, j) in NET.iter() {
        let (lo, hi) = (v[i].min(v[j]), v[i].max(v[j]));
        v[i] = lo;
        v[j] = hi;
    }
    v[0] * w[0] + v[1] * w[1] * v[2] + w[2] * w[3] * v[3].exp()
}

#[backprop]
fn ring_buffer(x: &[f64], a: &[f64; 3]) -> f64 {
    let mut hist = [0.0; 3];
    let mut head = 0usize;
    let mut out = 0.0;
    for &v in x {
        let y = v - a[0] * hist[head] - a[1] * hist[(head + 2) % 3] - a[2] * hist[(head + 1) % 3];
        head = (head + 1) % 3;
        hist[head] = y;
        out += y * y;
    }
    out
}

#[backprop]
fn xorshift_index(v: &[f64; 8], mut s: u32) -> f64 {
    let mut acc = 1.0;
    for _ in 0..10 {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        let i = (s & 7) as usize;
        let j = (s.count_ones() % 8) as usize;
        let k = (s.leading_zeros() as usize).min(7);
        acc = acc * 0.5 + v[i] * v[j] - (v[k] * acc).sin();
    }
    acc
}

#[backprop]
fn gray_code(w: &[f64; 4]) -> f64 {
    let mut total = 0.0;
    let mut sum = 0.0;
    let mut g_old = 0u8;
    for i in 1u8..16 {
        let g = i ^ (i >> 1);
        let bit = (g ^ g_old).trailing_zeros() as usize;
        if g & (1 << bit) != 0 {
            sum += w[bit];
        } else {
            sum -= w[bit];
        }
        total += (sum * sum).exp() * 1e-3;
        g_old = g;
    }
    total
}

#[backprop]
fn tensor3(t: &[[[f64; 2]; 3]; 2], v: &[f64]) -> f64 {
    let mut u = *t;
    for i in 0..2 {
        for j in 0..3 {
            u[i][j].swap(0, 1);
            let row = u[i][j];
            for k in 0..2 {
                u[1 - i][(j + 1) % 3][k] += row[k] * v[j];
            }
        }
    }
    u[0].swap(0, 2);
    let mut s = 0.0;
    for p in &u {
        for (q, r) in p.iter().enumerate() {
            s += r[0] * r[1] * (q + 1) as f64;
        }
    }
    s
}

#[backprop]
fn permuted(v: &[f64], perm: &[usize]) -> f64 {
    let mut a = v.to_vec();
    let mut seen = vec![false; v.len()];
    // cycle-wise in-place permutation
    for s in 0..v.len() {
        if seen[s] {
            continue;
        }
        let mut i = s;
        let first = a[s];
        loop {
            seen[i] = true;
            let j = perm[i];
            if j == s {
                a[i] = first * 1.5;
                break;
            }
            a[i] = a[j] * 1.1;
            i = j;
        }
    }
    let mut r = 0.0;
    for (k, x) in a.iter().enumerate() {
        r += x * x * k as f64 + v[k];
    }
    r
}

#[backprop]
fn mem_games(v: &[f64; 3]) -> f64 {
    let mut a = [v[0], v[1]];
    let mut b = [v[2], v[0] * v[1]];
    std::mem::swap(&mut a, &mut b);
    let old = std::mem::replace(&mut a[0], b[1]);
    let mut c = std::mem::replace(&mut b, [old, old * a[1]]);
    std::mem::swap(&mut a[1], &mut c[0]);
    (a[0], a[1]) = (a[1] * a[0], a[0] - c[0]);
    [b[0], c[1]] = [c[1] * b[1], b[0]];
    a[0] * a[1] + b[0] * b[1] + c[0] / c[1]
}

#[backprop]
fn fill_copy(v: &[f64]) -> f64 {
    let n = v.len();
    let mut a = vec![0.0; 2 * n];
    a[..n].copy_from_slice(v);
    let x = a[0] * a[1];
    a[n..].fill(x);
    a.copy_within(1..3, n);
    for w in a.chunks_exact_mut(2) {
        w[0] += w[1] * w[1];
        w.swap(0, 1);
    }
    a.windows(2).map(|w| w[0] * w[1]).sum()
}

#[backprop]
fn push_pop(v: &[f64]) -> f64 {
    let mut st: Vec<f64> = Vec::new();
    let mut s = 0.0;
    for &x in v {
        while !st.is_empty() && st[st.len() - 1] < x {
            s += st.pop().unwrap() * x;
        }
        st.push(x * x.abs());
    }
    while let Some(t) = st.pop() {
        s += t.sin() * s;
    }
    s
}

#[backprop]
fn opcodes(code: &[u8], x: &[f64]) -> f64 {
    let mut stack = [0.0f64; 8];
    let mut sp = 0usize;
    for &op in code {
        match op {
            b'+' => {
                sp -= 1;
                stack[sp - 1] += stack[sp];
            }
            b'*' => {
                sp -= 1;
                stack[sp - 1] *= stack[sp];
            }
            b'-' => {
                sp -= 1;
                let r = stack[sp];
                stack[sp - 1] = stack[sp - 1] - r;
            }
            b's' => stack[sp - 1] = stack[sp - 1].sin(),
            b'd' => {
                stack[sp] = stack[sp - 1];
                sp += 1;
            }
            b'0'..=b'9' => {
                stack[sp] = x[(op - b'0') as usize];
                sp += 1;
            }
            _ => unreachable!(),
        }
    }
    stack[0]
}

#[backprop]
fn csr_matvec(vals: &[f64], cols: &[usize], ptr: &[usize], x: &[f64]) -> f64 {
    let mut out = 0.0;
    for r in 0..ptr.len() - 1 {
        let mut acc = 0.0;
        for k in ptr[r]..ptr[r + 1] {
            acc += vals[k] * x[cols[k]];
        }
        out += acc * acc * (r + 1) as f64;
    }
    out
}

#[backprop]
fn checked(v: &[f64; 4], k: usize) -> f64 {
    let mut s = 0.0;
    for i in 0..4usize {
        if let Some(j) = i.checked_sub(k) {
            s += v[i] * v[j];
        }
        s += v[i.saturating_sub(1)] * 0.5;
        s -= v[i.min(2)].sin();
    }
    s
}

#[backprop]
fn signed_cast(v: &[f64; 6], n: i32) -> f64 {
    let mut s = 0.0;
    for i in -n..=n {
        let k = ((i % 6 + 6) % 6) as usize;
        let q = i.rem_euclid(4) as usize;
        s += v[k] * (i as f64)
            + v[q].powi(i) * 0.1
            + (i as i8 as f64) * v[(i.unsigned_abs() as usize) % 6];
    }
    s
}

#[backprop]
fn u128_bits(v: &[f64], mask: u128) -> f64 {
    let mut m = mask;
    let mut p = 1.0;
    while m != 0 {
        let b = m.trailing_zeros() as usize;
        p *= 1.0 + v[b % v.len()] / (b as f64 + 1.0);
        m &= m - 1;
    }
    p.ln()
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(
        fft_energy,
        [
            re = [0.1, 0.5, -0.3, 0.8, 1.0, 0.2, -0.7, 0.4],
            im = [0.3, -0.5, 0.2, 0.1, 0.9, 0.6, 0.7, -0.4],
            w = [1., 2., 0.5, 0.7, 1.5, 0.1, 0.3, 1.1]
        ],
        (&re, &im, &w)
    );
    every_way!(
        bubble_weighted,
        [v = vec![0.5, 0.1, 0.9, 0.3], w = vec![1.0, 2.0, 3.0, 0.5]],
        (&v, &w)
    );
    every_way!(insertion_sort, [v = [0.5, 1.1, 0.9, 0.3, 0.7]], (v));
    every_way!(
        compare_exchange,
        [v = [0.5, 1.1, 0.9, 0.3], w = [1.0, 2.0, 3.0, 0.5]],
        (v, &w)
    );
    every_way!(
        ring_buffer,
        [
            x = vec![0.5, 0.1, 0.9, 0.3, -0.4, 0.2],
            a = [0.5, 0.3, -0.2]
        ],
        (&x, &a)
    );
    every_way!(
        xorshift_index,
        [v = [0.5, 0.1, 0.9, 0.3, -0.4, 0.2, 0.8, 1.1]],
        (&v, 12345)
    );
    every_way!(gray_code, [w = [0.5, 0.1, 0.9, 0.3]], (&w));
    every_way!(
        tensor3,
        [
            t = [
                [[0.5, 0.1], [0.9, 0.3], [-0.4, 0.2]],
                [[0.8, 1.1], [0.3, 0.7], [1.2, -0.1]]
            ],
            v = vec![0.3, 0.4, 0.5]
        ],
        (&t, &v)
    );
    every_way!(
        permuted,
        [v = vec![0.1, 0.5, 1.2, 1.8, 2.5]],
        (&v, &[2, 0, 1, 4, 3])
    );
    every_way!(mem_games, [v = [0.7, 1.3, 0.4]], (&v));
    every_way!(fill_copy, [v = vec![0.7, 1.3, 0.4, 0.9]], (&v));
    every_way!(push_pop, [v = vec![0.7, 0.3, 1.4, 0.9, 1.1]], (&v));
    every_way!(opcodes, [x = vec![0.3, 0.8, 1.5]], (b"01*d*2+s0-", &x));
    every_way!(
        csr_matvec,
        [
            vals = vec![1.0, 2.0, 3.0, 0.5, 0.7],
            x = vec![0.3, 0.5, 0.9]
        ],
        (&vals, &[0, 2, 1, 0, 1], &[0, 2, 2, 5], &x)
    );
    every_way!(checked, [v = [1.0, 2.0, 3.0, 0.4]], (&v, 2));
    every_way!(signed_cast, [v = [0.1, 0.5, 1.2, 1.8, 2.5, 0.7]], (&v, 3));
    every_way!(
        u128_bits,
        [v = vec![0.1, 0.5, 1.2, 1.8]],
        (&v, 0x1_0000_0000_0000_0000_0000_0401_u128)
    );
}
