//! The conditions under which loops are rearranged, values kept and buffers assigned: each is needed by a function here.
//!
//! They were found by mutations of the compiler that no other function noticed. Must hold: the value, the fused gradient
//! and that of the two passes agree, and with differences.

#![cfg(feature = "runtime")]
#![allow(clippy::all, unused, unconditional_panic)]

use backprop::{assert_gradient, backprop};

#[backprop]
fn copies_of_a_parameter_in_a_loop(x: &[f64; 3]) -> f64 {
    let mut s = 0.0;
    for k in 0..3 {
        let mut y = *x;
        y[0] *= k as f64 + 1.0;
        s += y[0] * y[1] * y[2];
    }
    s
}

#[backprop]
fn copy_and_elements(x: &[f64; 3]) -> f64 {
    let mut y = *x;
    y[0] *= 2.0;
    let mut s = y[0] * y[1] * y[2];
    for k in 0..3 {
        s += x[k] * x[k];
    }
    s
}

#[backprop]
fn two_copies(x: &[f64; 3]) -> f64 {
    let mut y = *x;
    y[0] *= 2.0;
    let mut z = *x;
    z[1] *= 3.0;
    y[0] * y[1] * y[2] + z[0] * z[1] * z[2]
}

#[backprop]
fn prefix_sums_linear(x: &[f64; 5], w: &[f64; 5]) -> f64 {
    let mut s = 0.0;
    let mut total = 0.0;
    for i in 0..5 {
        s += x[i];
        total += s * w[i];
    }
    total
}

#[backprop]
fn prefix_into(x: &[f64; 5]) -> f64 {
    let mut out = [0.0; 5];
    let mut s = 0.0;
    for i in 0..5 {
        s += x[i].sin();
        out[i] = s;
    }
    let mut t = 0.0;
    for i in 0..5 {
        t += out[i] * out[i] * x[i];
    }
    t
}

#[backprop]
fn heat_with_inner_tmp(x: &[f64; 6]) -> f64 {
    let mut u = *x;
    for _ in 0..4 {
        let mut tmp = [0.0; 6];
        for i in 1..5 {
            tmp[i] = u[i] + 0.1 * (u[i - 1] - 2.0 * u[i] + u[i + 1]);
        }
        for i in 1..5 {
            u[i] = tmp[i];
        }
    }
    u[1] * u[2] + u[3] * u[4]
}

#[backprop]
fn heat_by_value(mut u: [f64; 6]) -> f64 {
    let mut tmp = [0.0; 6];
    for _ in 0..4 {
        for i in 1..5 {
            tmp[i] = u[i] * u[i - 1] + 0.5 * u[i + 1];
        }
        for i in 1..5 {
            u[i] = tmp[i];
        }
    }
    u[1] * u[2] + u[3] * u[4]
}

#[backprop]
fn heat_into_parameter(x: &[f64; 6], mut tmp: [f64; 6]) -> f64 {
    let mut u = *x;
    for _ in 0..4 {
        for i in 1..5 {
            tmp[i] = u[i] * u[i - 1] + 0.5 * u[i + 1];
        }
        for i in 1..5 {
            u[i] = tmp[i];
        }
    }
    u[1] * u[2] + u[3] * u[4] + tmp[0]
}

#[backprop]
fn heat_in_a_branch(x: &[f64; 6], b: bool) -> f64 {
    let mut u = *x;
    let mut tmp = [0.0; 6];
    for k in 0..4 {
        if k % 2 == 0 {
            u[0] += 0.1;
        } else {
            for i in 1..5 {
                tmp[i] = u[i] * u[i - 1] + 0.5 * u[i + 1];
            }
            for i in 1..5 {
                u[i] = tmp[i];
            }
        }
    }
    u[1] * u[2] + u[3] * u[4]
}

#[backprop]
fn heat_filled_partly(x: &[f64; 6]) -> f64 {
    let mut u = *x;
    let mut tmp = [1.0; 6];
    for k in 0..4 {
        for i in 1..5 {
            if i != k {
                tmp[i] = u[i] * u[i - 1] + 0.5 * u[i + 1];
            }
        }
        for i in 1..5 {
            u[i] = tmp[i];
        }
    }
    u[1] * u[2] + u[3] * u[4]
}

#[backprop]
fn heat_other_range(x: &[f64; 6]) -> f64 {
    let mut u = *x;
    let mut tmp = [1.0; 6];
    for _ in 0..4 {
        for i in 1..5 {
            tmp[i] = u[i] * u[i - 1] + 0.5 * u[i + 1];
        }
        for i in 0..5 {
            u[i] = tmp[i];
        }
    }
    u[1] * u[2] + u[3] * u[4] + u[0]
}

#[backprop]
fn shift_self(x: &[f64; 5]) -> f64 {
    let mut u = *x;
    for _ in 0..3 {
        for i in 0..5 {
            u[i] = u[i] * u[i];
        }
        for i in 0..4 {
            u[i] = u[i + 1];
        }
    }
    u[0] + u[1] * u[4]
}

#[backprop]
fn f32_tmp_of_matrix(x: &[[f64; 2]; 4]) -> f64 {
    let mut u = *x;
    let mut tmp = [[0.0; 2]; 4];
    for _ in 0..3 {
        for i in 1..4 {
            tmp[i] = [u[i][0] * u[i - 1][1], u[i][1]];
        }
        for i in 1..4 {
            u[i] = tmp[i];
        }
    }
    u[1][0] * u[2][1] + u[3][0]
}

#[backprop]
fn remainder_kept(x: &[f64; 4], m: f64) -> f64 {
    let mut s = 0.0;
    for i in 0..4 {
        let r = x[i] % m;
        let e = (r * x[i]).exp();
        s += e * r;
    }
    s * s
}

#[backprop]
fn remainder_state(x: &[f64; 4]) -> f64 {
    let mut s = 0.3;
    for i in 0..4 {
        let r = (s * x[i]) % 0.7;
        s = (r * r + s).sin() * r;
    }
    s
}

#[backprop]
fn lengths_that_change(x: &[f64]) -> f64 {
    let mut v: Vec<f64> = Vec::new();
    let mut s = 0.0;
    for a in x {
        v.push(a * a);
        s += v[v.len() - 1] * v[v.len() / 2] * v.len() as f64;
    }
    while v.len() > 1 {
        let t = v.pop().unwrap();
        s += t * s * v.len() as f64;
    }
    s
}

#[backprop]
fn reads_after_stores(x: &[f64; 5]) -> f64 {
    let mut u = [0.0; 5];
    for i in 0..5 {
        u[i] = x[i].exp();
    }
    let mut s = 0.0;
    for i in 0..5 {
        s += u[i] * u[4 - i];
    }
    for i in 0..5 {
        u[i] *= 2.0;
    }
    for i in 1..5 {
        s += u[i] * u[i - 1] * s;
    }
    s
}

#[backprop]
fn stored_by_branch(x: &[f64; 5]) -> f64 {
    let mut u = [1.0; 5];
    let mut s = 0.0;
    for i in 0..5 {
        let e = x[i].exp();
        if x[i] > 0.0 {
            u[i] = e;
        } else {
            u[4 - i] = e * x[i];
        }
        s += e * u[2];
    }
    s * u[1] + u[3]
}

#[backprop]
fn same_slot_of_two_indices(x: &[f64; 6], n: usize) -> f64 {
    let mut u = [0.0; 6];
    for i in 0..6 {
        let e = x[i].exp();
        u[i % n] = e;
        u[i] += e * x[0];
    }
    let mut s = 0.0;
    for i in 0..6 {
        s += u[i] * u[i];
    }
    s
}

#[backprop]
fn state_in_two_loops(x: &[f64; 5]) -> f64 {
    let mut a = 0.5;
    let mut b = 1.5;
    for i in 0..5 {
        let old = a;
        a = a * b + x[i];
        b = old * x[i];
    }
    for i in (0..5).rev() {
        a = (a * x[i]).sin() + b;
        b = b * a;
    }
    a * b
}

#[backprop]
fn carried_constant(x: &[f64; 5], n: usize) -> f64 {
    let mut k = n;
    let mut s = 1.0;
    for i in 0..5 {
        k = (k * 7 + 3) % 5;
        s = s * x[k] + x[i];
    }
    s
}

#[backprop]
fn neighbours_in_a_branch(x: &[f64], b: bool) -> f64 {
    let mut s = 0.0;
    if b {
        for i in 0..x.len() - 1 {
            s += (x[i + 1] - x[i] * x[i]).powi(2) + (1.0 - x[i]).powi(2);
        }
    } else {
        for i in 1..x.len() {
            s += x[i] * x[i - 1];
        }
    }
    s
}

#[backprop]
fn neighbours_nested(x: &[f64], n: usize) -> f64 {
    let mut s = 0.0;
    for k in 0..n {
        for i in 0..x.len() - 1 {
            s += (x[i + 1] - x[i] * x[i]).powi(2) * k as f64;
        }
    }
    s
}

#[backprop]
fn neighbours_guarded(x: &[f64]) -> f64 {
    let mut s = 0.0;
    for i in 0..x.len() - 1 {
        if x[i] > 0.0 {
            s += (x[i + 1] - x[i] * x[i]).powi(2);
        }
    }
    s
}

#[backprop]
fn neighbours_and_break(x: &[f64]) -> f64 {
    let mut s = 0.0;
    for i in 0..x.len() - 1 {
        s += (x[i + 1] - x[i] * x[i]).powi(2);
        if s > 3.0 {
            break;
        }
    }
    s
}

#[backprop]
fn neighbours_of_two(x: &[f64; 6], y: &[f64; 6]) -> f64 {
    let mut s: f64 = 0.0;
    for i in 1..5 {
        s += x[i - 1] * y[i + 1] * x[i + 1] + y[i] * x[i] * s.cos();
    }
    s
}

#[backprop]
fn neighbours_in_a_local(x: &[f64; 6]) -> f64 {
    let mut u = [0.0; 6];
    for i in 0..6 {
        u[i] = x[i] * x[i];
    }
    let mut s = 0.0;
    for i in 1..5 {
        s += (u[i - 1] - 2.0 * u[i] + u[i + 1]).powi(2);
    }
    for i in 0..6 {
        s += u[i] * x[5 - i];
    }
    s
}

#[backprop]
fn in_place_twice(x: &[f64; 6]) -> f64 {
    let mut u = *x;
    for _ in 0..2 {
        for i in 1..5 {
            u[i] = 0.5 * u[i - 1] + 0.25 * u[i] + 0.125 * u[i + 1];
        }
        for i in (1..5).rev() {
            u[i] = 0.5 * u[i - 1] * u[i + 1];
        }
    }
    u[0] + u[1] * u[4] + u[3]
}

#[backprop]
fn in_place_in_rows(x: &[[f64; 4]; 3]) -> f64 {
    let mut u = *x;
    for r in 0..3 {
        for i in 1..3 {
            u[r][i] = 0.5 * (u[r][i - 1] + u[r][i + 1]);
        }
    }
    for r in 1..3 {
        for i in 0..4 {
            u[r][i] += 0.3 * u[r - 1][i];
        }
    }
    u[2][1] * u[1][2] + u[0][0]
}

#[backprop]
fn pairs(x: &[[f64; 2]; 4]) -> f64 {
    let mut s = 0.0;
    for i in 0..4 {
        for j in 0..i {
            let d = [x[i][0] - x[j][0], x[i][1] - x[j][1]];
            s += 1.0 / (d[0] * d[0] + d[1] * d[1] + 0.1).sqrt();
        }
    }
    s
}

#[backprop]
fn pairs_same_index(x: &[f64; 4]) -> f64 {
    let mut s = 0.0;
    for i in 0..4 {
        for j in 0..4 {
            s += x[i] * x[j] * x[i].sin();
        }
    }
    s
}

#[backprop]
fn else_is_unknown(x: f64, n: usize, w: &[f64; 3]) -> f64 {
    if n > 1 {
        x
    } else {
        let k = n as f64 * x;
        if k > 0.5 { k * w[n % 3] } else { w[1] - x }
    }
}

#[backprop]
fn tuple_elements(x: f64, n: usize) -> f64 {
    let mut v = [(x, 1usize), (x * x, 2), (x.sin(), 0)];
    for i in 0..3 {
        v[i].0 *= v[v[i].1].0;
        v[i].1 = (v[i].1 + n) % 3;
    }
    v[0].0 + v[1].0 * v[2].0
}

#[backprop]
fn product_skips(x: &[f64]) -> f64 {
    let mut p = 1.0;
    for i in 0..x.len() {
        if i % 2 == 0 {
            p *= x[i];
        }
    }
    let mut q = 1.0;
    for v in x {
        q *= v;
    }
    p * q
}

#[backprop]
fn product_of_same(x: &[f64; 4], y: &[f64; 4]) -> f64 {
    let mut p = 1.0;
    let mut q = 1.0;
    for i in 0..4 {
        p *= x[i];
        q *= y[i] * x[i];
    }
    p + q
}

#[backprop]
fn product_chain_shared(x: &[f64; 4]) -> f64 {
    let mut p = 1.0;
    for i in 0..4 {
        p = p * x[i] + x[0];
    }
    p * x[1]
}

#[backprop]
fn log_sum_exp_twice(x: &[f64; 4]) -> f64 {
    let m = x.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    let s: f64 = x.iter().map(|v| (v - m).exp()).sum();
    let t: f64 = x.iter().map(|v| (v - m).exp() * v).sum();
    s.ln() + m + t / s
}

#[backprop]
fn exp_and_other_use(x: &[f64; 4]) -> f64 {
    let mut s = 0.0;
    let mut t = 0.0;
    for v in x {
        let e = v.exp();
        s += e;
        t += e * e;
    }
    (s * t).ln()
}

#[backprop]
fn inclusive(x: &[f64; 5], n: usize) -> f64 {
    let mut s = 0.5;
    for i in 0..=n {
        s = (s * x[i % 5]).sin() + s;
    }
    for i in (1..=n).rev() {
        s = s * x[i % 5] + 0.5;
    }
    s
}

#[backprop]
fn masked_roots(x: &[f64; 4]) -> f64 {
    let mut s = 0.0;
    for v in x {
        let r = v.sqrt();
        let l = v.ln();
        if *v > 0.5 {
            s += r * l;
        }
    }
    s
}

#[backprop]
fn last_match(x: &[f64; 5], y: f64) -> f64 {
    let mut best = y;
    let mut at = 0;
    for i in 0..5 {
        if x[i] > best {
            best = x[i] * 1.5;
            at = i;
        }
    }
    best * y + x[at]
}

#[backprop]
fn last_match_of_a_sum(x: &[f64; 5], y: f64) -> f64 {
    let mut best = 0.0;
    for i in 0..5 {
        let e = (x[i] * y).exp();
        if e > 1.0 {
            best = e * x[i];
        }
    }
    best * y
}

#[backprop]
fn nothing_runs(x: &[f64], n: usize) -> f64 {
    let mut s = 1.0;
    for i in n..n {
        s *= x[i];
    }
    for i in 5..2 {
        s += x[i].exp();
    }
    s * x[0]
}

#[backprop]
fn both_sides_store(x: &[f64; 4], k: usize) -> f64 {
    let mut u = [0.0; 4];
    for i in 0..4 {
        if i < k {
            u[i] = x[i];
            u[0] *= 2.0;
        } else {
            u[i] = x[i] * x[i];
            u[3] += u[0];
        }
    }
    u[0] * u[1] + u[2] * u[3]
}

#[backprop]
fn sum_is_known(x: &[f64; 4], w: f64) -> f64 {
    let mut s = 0.0;
    for v in x {
        s += (v * w).exp();
    }
    s.ln() + s
}

#[backprop]
fn sigmoids(x: &[f64; 3]) -> f64 {
    let mut s = 0.0;
    for v in x {
        let a = 1.0 / (1.0 + (-v).exp());
        let b = v.exp() / (1.0 + v.exp());
        s += a * b * (1.0 - a) + (1.0 + v.exp()).ln();
    }
    s
}

#[backprop]
fn swaps(x: &[f64; 4]) -> f64 {
    let mut a = *x;
    let mut b = [0.0; 4];
    for k in 0..4 {
        for i in 0..4 {
            b[i] = a[i] * a[(i + k) % 4];
        }
        std::mem::swap(&mut a, &mut b);
    }
    a[0] * b[1] + a[2]
}

#[backprop]
fn mixed_types(x: f32, y: &[f32; 3], n: i32) -> f64 {
    let mut s = 0.0f64;
    for v in y {
        s += (*v * x) as f64 * (n as f64).sqrt() + f64::from(x.powi(n));
    }
    s
}

#[backprop]
fn product(x: &[f64; 3]) -> f64 {
    x[0] * x[1] * x[2]
}

/// The copy of a parameter may be assigned to its buffer where nothing else is added there.
#[backprop]
fn copy_beside_a_call(x: &[f64; 3]) -> f64 {
    let mut y = *x;
    y[0] *= 2.0;
    y[0] * y[1] * y[2].sin() + product(x)
}

/// The numbers in what `Debug` prints.
fn numbers(gradient: &impl std::fmt::Debug) -> Vec<f64> {
    format!("{gradient:?}")
        .split(|c: char| " ,:[](){}".contains(c))
        .filter_map(|word| word.parse().ok())
        .collect()
}

// A position that the backward pass computes or reads again in each iteration does not stay, wherever it was computed before.
#[backprop]
fn permuted(x: &[f64], order: &[usize], k: f64) -> f64 {
    let mut s = k;
    for i in 0..order.len() {
        let j = order[i];
        s = (s + x[i] * x[j]).sin();
    }
    s
}

#[backprop]
fn positions_computed(x: &[f64], n: usize) -> f64 {
    let mut s = 0.3;
    for i in 0..n {
        let j = (3 * i + 1) % n;
        s = (s * x[j] + x[i]).sin();
    }
    s
}

#[backprop]
fn positions_carried(x: &[f64], n: usize) -> f64 {
    let mut s = 0.3;
    let mut j = 1;
    for i in 0..n {
        s = (s * x[i] + x[j]).sin();
        j = (2 * j + 1) % n;
    }
    s
}

#[backprop]
fn positions_of_rows(x: &[f64], starts: &[usize]) -> f64 {
    let mut s = 0.3;
    for i in 0..starts.len() {
        let first = starts[i];
        for k in 0..2 {
            s = (s * x[first + k] + x[k]).sin();
        }
    }
    s
}

// What an iteration stores is read again from where it was stored only if no other iteration stores there.
#[backprop]
fn stored_in_slots(x: &[f64]) -> f64 {
    let mut last = [0.0; 2];
    let mut s = 0.0;
    for i in 0..x.len() {
        let y = x[i].exp();
        last[i % 2] = y;
        s += y * y;
    }
    s.sin() * last[0]
}

#[backprop]
fn stored_in_one_slot(x: &[f64]) -> f64 {
    let mut last = [0.0; 2];
    let mut s = 0.3;
    for i in 0..x.len() {
        let y = (x[i] * s).exp();
        last[0] = y;
        s = (s + y).sin();
    }
    s + last[0]
}

// … and if the array is still there.
#[backprop]
fn stored_in_an_array_of_the_iteration(x: &[f64]) -> f64 {
    let mut s = 0.3;
    for i in 0..x.len() {
        let mut a = [0.0; 3];
        for k in 0..3 {
            a[k] = (x[i] * (k as f64 + s)).exp();
        }
        s = (s + a[0] * a[1] - a[2]).sin();
    }
    s
}

// What a `push` of the backward pass puts back may be a value of the forward pass as it stands.
#[backprop]
fn popped_times(x: &[f64]) -> f64 {
    let mut v = x.to_vec();
    let mut s = 0.0;
    for i in 0..x.len() {
        let y = (i as f64 * 0.3 + x[0]).sin();
        let p = v.pop().unwrap();
        s += p * y;
    }
    s
}

// An array is no part of a checkpointed loop's state only if each iteration fills it before it is read.
#[backprop(checkpoint = 2)]
fn first_element_kept(x: &[f64; 4], n: usize) -> f64 {
    let mut u = *x;
    let mut tmp = [0.3; 4];
    let mut s = 0.0;
    for _ in 0..n {
        for i in 1..4 {
            tmp[i] = u[i].sin();
        }
        let a = tmp[0] * tmp[1] + 0.5;
        tmp[0] = a.cos();
        for i in 0..4 {
            u[i] = (u[i] + a * tmp[i]).sin();
        }
        s += a * a;
    }
    s + u[0] * u[3]
}

#[backprop(checkpoint = 2)]
fn filled_later_and_later(x: &[f64; 6], n: usize) -> f64 {
    let mut u = *x;
    let mut tmp = [0.3; 6];
    for k in 0..n {
        for i in k..6 {
            tmp[i] = u[i] * u[i];
        }
        for i in 0..6 {
            u[i] = (u[i] + tmp[i]).sin();
        }
    }
    u[0] * u[3] + u[5]
}

#[backprop(checkpoint = 2)]
fn neighbour_of_what_is_filled(x: &[f64; 6]) -> f64 {
    let mut u = *x;
    let mut tmp = [0.3; 6];
    for k in 0..4 {
        let m = 5 - k;
        for i in m..6 {
            tmp[i] = u[i] * u[i];
        }
        for i in m..6 {
            u[i] = (u[i] + tmp[i - 1] * u[i - 1]).sin();
        }
    }
    u[0] * u[3] + u[5]
}

#[backprop(checkpoint = 2)]
fn touched_in_a_branch(x: &[f64; 6], n: usize) -> f64 {
    let mut u = *x;
    let mut tmp = [0.3; 6];
    for k in 0..n {
        for i in k..6 {
            tmp[i] = u[i] * u[i];
        }
        for i in k..6 {
            if u[i] > 0.0 {
                u[i] = (u[i] + tmp[0] + tmp[i]).sin();
            }
        }
    }
    u[0] * u[3] + u[5]
}

#[backprop(checkpoint = 2)]
fn filled_under_a_condition(x: &[f64; 6], n: usize) -> f64 {
    let mut u = *x;
    let mut tmp = [0.3; 6];
    for k in 0..n {
        for i in 0..6 {
            if i % 3 != k % 3 {
                tmp[i] = u[i] * u[i];
            }
        }
        for i in 0..6 {
            u[i] = (u[i] + tmp[i]).sin();
        }
    }
    u[0] * u[3] + u[5]
}

#[backprop(checkpoint = 2)]
fn grown_behind_what_is_filled(x: &[f64; 6], n: usize) -> f64 {
    let mut u = *x;
    let mut tmp = vec![0.3; 6];
    for k in 0..n {
        for i in 0..6 {
            tmp[i] = u[i] * u[i];
        }
        tmp.push(u[k % 6]);
        let old = tmp[6 + k / 2];
        for i in 0..6 {
            u[i] = (u[i] + tmp[i] * old).sin();
        }
    }
    u[0] * u[3] + u[5]
}

// Only what starts from one is a sigmoid's complement, or a softplus.
#[backprop]
fn two_minus_a_sigmoid(x: f64) -> f64 {
    (2.0 - 1.0 / (1.0 + (-x).exp())).ln()
}

#[backprop]
fn three_plus_an_exponential(x: f64) -> f64 {
    (3.0 + x.exp()).ln() + 1.0 / (2.0 + (-x).exp())
}

// An element that stays is read where the index that moves meets it.
#[backprop]
fn in_place_from_one(x: &[f64; 4]) -> f64 {
    let mut a = *x;
    for i in 0..4 {
        for j in 0..4 {
            a[j] = (a[j] + 0.5 * a[i]).sin();
        }
    }
    a[0] * a[2] + a[3]
}

// Of a loop that does not run, the element that stays need not exist.
#[backprop]
fn pairs_beyond_the_end(x: &[f64; 4]) -> f64 {
    let mut s = 0.0;
    for i in 0..6 {
        for j in i..4 {
            s += (x[i] * x[j]).sin();
        }
    }
    s
}

// What a segment of a checkpointed loop takes from outside of the loop.
#[backprop(checkpoint = 2)]
fn repeated_from_outside(x: f64, n: usize) -> f64 {
    let y = x.sin();
    let mut s = x;
    for i in 0..n {
        let mut a = [y; 3];
        a[1] = s;
        s = (s * a[i % 3] + a[1]).sin();
    }
    s
}

#[backprop(checkpoint = 2)]
fn listed_from_outside(x: f64, n: usize) -> f64 {
    let y = x.sin();
    let mut s = x;
    for i in 0..n {
        let mut a = [y, 0.5, y];
        a[1] = s;
        s = (s * a[i % 3] + a[1]).sin();
    }
    s
}

#[backprop(checkpoint = 2)]
fn steps_from_outside(x: &[f64; 6], n: usize) -> f64 {
    let st = 1 + n % 2;
    let mut s = x[0];
    for _ in 0..n {
        for k in (0..6).step_by(st) {
            s = (s * x[k]).sin() + 0.5;
        }
    }
    s
}

#[backprop(wrt(x), checkpoint = 2)]
fn constant_row(x: f64, m: &[[f64; 3]; 4], n: usize) -> f64 {
    let mut j = 1;
    for k in 0..n {
        j = (2 * j + 1 + k) % 4;
    }
    let mut s = x;
    for i in 0..n {
        let mut a = m[j];
        a[1] = 0.3 * i as f64;
        s = (s * a[i % 3] + x).sin();
    }
    s
}

// … and if it is stored in every iteration, by the iteration itself.
#[backprop]
fn stored_by_an_inner_loop(x: &[f64; 4]) -> f64 {
    let mut b = [[0.0; 3]; 4];
    let mut s = 0.3;
    for i in 0..4 {
        let y = (x[i] * s).exp();
        for k in 0..3 {
            b[i][k] = y;
        }
        s = (s + y).sin();
    }
    s + b[0][1] * b[2][2]
}

#[backprop]
fn stored_in_a_branch(x: &[f64; 4]) -> f64 {
    let mut b = [0.7; 4];
    let mut s = 0.3;
    for i in 0..4 {
        let y = (x[i] * s).exp();
        if y > 1.0 {
            b[i] = y;
        }
        s = (s + y).sin();
    }
    s + b[0] * b[2]
}

// Both sides of a tie are one value.
#[backprop]
fn largest_of_one(x: f64, y: f64) -> f64 {
    x.max(x) * y.min(y).sin()
}

macro_rules! holds {
    ($f:ident($($arg:expr),*)) => {
        assert_gradient!($f($($arg),*));
        let (value, fused) = $f::value_and_gradient($($arg),*);
        let (y, saved) = $f::forward($($arg),*);
        assert_eq!((value, y), ($f($($arg),*), value), stringify!($f));
        let (fused, apart) = (numbers(&fused), numbers(&$f::backward(&saved, 1.0)));
        assert!(!fused.is_empty() && fused.len() == apart.len());
        let size = apart.iter().fold(1e-300_f64, |m, g| m.max(g.abs()));
        // In single precision they may differ by its last bits.
        let near = fused.iter().zip(&apart).all(|(a, b)| (a - b).abs() <= 1e-6 * size);
        assert!(near, "{}: {fused:?}, not {apart:?}", stringify!($f));
    };
}

#[test]
fn every_way_to_the_gradient_agrees() {
    holds!(copy_beside_a_call(&[0.7, -1.2, 0.4]));
    holds!(copies_of_a_parameter_in_a_loop(&[0.7, -1.2, 0.4]));
    holds!(copy_and_elements(&[0.7, -1.2, 0.4]));
    holds!(two_copies(&[0.7, -1.2, 0.4]));
    holds!(prefix_sums_linear(
        &[0.7, -1.2, 0.4, 1.3, -0.6],
        &[0.7, -1.2, 0.4, 1.3, -0.6]
    ));
    holds!(prefix_into(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(heat_with_inner_tmp(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9]));
    holds!(heat_by_value([0.7, -1.2, 0.4, 1.3, -0.6, 0.9]));
    holds!(heat_into_parameter(
        &[0.7, -1.2, 0.4, 1.3, -0.6, 0.9],
        [0.7, -1.2, 0.4, 1.3, -0.6, 0.9]
    ));
    holds!(heat_in_a_branch(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9], true));
    holds!(heat_filled_partly(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9]));
    holds!(heat_other_range(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9]));
    holds!(shift_self(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(f32_tmp_of_matrix(&[
        [-1.0, 0.4],
        [-0.4, 1.0],
        [0.2, -0.6],
        [0.8, 0.0]
    ]));
    holds!(remainder_kept(&[0.7, -1.2, 0.4, 1.3], 0.8));
    holds!(remainder_state(&[0.7, -1.2, 0.4, 1.3]));
    holds!(lengths_that_change(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(reads_after_stores(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(stored_by_branch(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(same_slot_of_two_indices(
        &[0.7, -1.2, 0.4, 1.3, -0.6, 0.9],
        3
    ));
    holds!(state_in_two_loops(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(carried_constant(&[0.7, -1.2, 0.4, 1.3, -0.6], 3));
    holds!(neighbours_in_a_branch(&[0.7, -1.2, 0.4, 1.3, -0.6], true));
    holds!(neighbours_nested(&[0.7, -1.2, 0.4, 1.3, -0.6], 3));
    holds!(neighbours_guarded(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(neighbours_and_break(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(neighbours_of_two(
        &[0.7, -1.2, 0.4, 1.3, -0.6, 0.9],
        &[0.7, -1.2, 0.4, 1.3, -0.6, 0.9]
    ));
    holds!(neighbours_in_a_local(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9]));
    holds!(in_place_twice(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9]));
    holds!(in_place_in_rows(&[
        [-1.0, 0.4, -0.4, 1.0],
        [0.2, -0.6, 0.8, 0.0],
        [-0.8, 0.6, -0.2, -1.0]
    ]));
    holds!(pairs(&[[-1.0, 0.4], [-0.4, 1.0], [0.2, -0.6], [0.8, 0.0]]));
    holds!(pairs_same_index(&[0.7, -1.2, 0.4, 1.3]));
    holds!(else_is_unknown(0.8, 3, &[0.7, -1.2, 0.4]));
    holds!(tuple_elements(0.8, 3));
    holds!(product_skips(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(product_of_same(
        &[0.7, -1.2, 0.4, 1.3],
        &[0.7, -1.2, 0.4, 1.3]
    ));
    holds!(product_chain_shared(&[0.7, -1.2, 0.4, 1.3]));
    holds!(log_sum_exp_twice(&[0.7, -1.2, 0.4, 1.3]));
    holds!(exp_and_other_use(&[0.7, -1.2, 0.4, 1.3]));
    holds!(inclusive(&[0.7, -1.2, 0.4, 1.3, -0.6], 3));
    holds!(masked_roots(&[0.7, 1.2, 0.4, 1.3]));
    holds!(last_match(&[0.7, -1.2, 0.4, 1.3, -0.6], 0.8));
    holds!(last_match_of_a_sum(&[0.7, -1.2, 0.4, 1.3, -0.6], 0.8));
    holds!(nothing_runs(&[0.7, -1.2, 0.4, 1.3, -0.6], 3));
    holds!(both_sides_store(&[0.7, -1.2, 0.4, 1.3], 3));
    holds!(sum_is_known(&[0.7, -1.2, 0.4, 1.3], 0.8));
    holds!(sigmoids(&[0.7, -1.2, 0.4]));
    holds!(swaps(&[0.7, -1.2, 0.4, 1.3]));
    holds!(mixed_types(0.8, &[0.7, -1.2, 0.4], 2));
    holds!(stored_in_slots(&[0.7, -1.2, 0.4, 1.3, -0.6]));
    holds!(stored_in_one_slot(&[0.7, -1.2, 0.4, 1.3]));
    holds!(stored_in_an_array_of_the_iteration(&[0.7, -1.2, 0.4]));
    holds!(first_element_kept(&[0.7, -1.2, 0.4, 1.3], 4));
    holds!(filled_later_and_later(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9], 4));
    holds!(neighbour_of_what_is_filled(&[
        0.7, -1.2, 0.4, 1.3, -0.6, 0.9
    ]));
    holds!(touched_in_a_branch(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9], 4));
    holds!(filled_under_a_condition(
        &[0.7, -1.2, 0.4, 1.3, -0.6, 0.9],
        4
    ));
    holds!(grown_behind_what_is_filled(
        &[0.7, -1.2, 0.4, 1.3, -0.6, 0.9],
        4
    ));
    holds!(two_minus_a_sigmoid(0.8));
    holds!(three_plus_an_exponential(0.8));
    holds!(in_place_from_one(&[0.7, -1.2, 0.4, 1.3]));
    holds!(pairs_beyond_the_end(&[0.7, -1.2, 0.4, 1.3]));
    holds!(repeated_from_outside(0.8, 5));
    holds!(listed_from_outside(0.8, 5));
    holds!(steps_from_outside(&[0.7, -1.2, 0.4, 1.3, -0.6, 0.9], 4));
    holds!(constant_row(
        0.8,
        &[
            [0.7, -1.2, 0.4],
            [1.3, -0.6, 0.9],
            [0.1, 0.2, 0.3],
            [-0.4, 0.5, 1.1]
        ],
        5
    ));
    holds!(stored_by_an_inner_loop(&[0.7, -1.2, 0.4, 1.3]));
    holds!(stored_in_a_branch(&[0.7, -1.2, 0.4, 1.3]));
    holds!(largest_of_one(0.8, -0.7));
    holds!(popped_times(&[0.7, -1.2, 0.4, 1.3]));
    holds!(permuted(&[0.7, -1.2, 0.4, 1.3], &[2, 0, 3, 1], 0.2));
    holds!(positions_computed(&[0.7, -1.2, 0.4, 1.3, -0.6], 5));
    holds!(positions_carried(&[0.7, -1.2, 0.4, 1.3, -0.6], 5));
    holds!(positions_of_rows(&[0.7, -1.2, 0.4, 1.3, -0.6], &[3, 1, 2]));
}
