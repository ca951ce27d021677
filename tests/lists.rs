//! `Vec`s that grow and shrink, in loops and branches too.

#![allow(clippy::all)] // Differentiated as users write them.

#[path = "support/differences.rs"]
#[macro_use]
mod differences;

use backprop::backprop;

const MIXED: [f64; 5] = [0.3, -0.8, 1.2, 0.4, 0.7];
const POSITIVE: [f64; 5] = [0.3, 0.8, 1.2, 0.45, 0.1];

#[backprop]
fn pushed_and_popped(x: &[f64], k: f64) -> f64 {
    let mut st = Vec::with_capacity(4);
    for v in x {
        if st.len() >= 2 {
            let a: f64 = st.pop().unwrap();
            let b: f64 = st.pop().unwrap();
            st.push(a * b + k);
        }
        st.push(*v * k);
    }
    st.iter().fold(1.0, |a, b| a * b + a)
}

#[backprop]
fn inserted_and_removed(x: &[f64], k: f64) -> f64 {
    let mut v = x.to_vec();
    v.truncate(3);
    v.push(k);
    v.insert(1, k * k);
    let r = v.remove(0);
    v.swap_remove(0);
    v.iter().fold(r, |a, b| a * b + a)
}

#[backprop]
fn filled_again(x: &[f64], k: f64) -> f64 {
    let mut v: Vec<f64> = Vec::new();
    let mut s = 0.0;
    for i in 0..x.len() {
        v.clear();
        for j in 0..=i {
            v.push(x[j] * k);
        }
        s += v.iter().product::<f64>();
    }
    s
}

#[backprop]
fn shorter_each_time(x: &[f64], k: f64) -> f64 {
    let mut v = x.to_vec();
    while v.len() > 1 {
        let mut w = Vec::new();
        for i in 0..v.len() - 1 {
            w.push(v[i] * k + v[i + 1] * v[i]);
        }
        v = w;
    }
    v[0]
}

#[backprop]
fn collected_shorter(x: &[f64], k: f64) -> f64 {
    let mut v = x.to_vec();
    while v.len() > 1 {
        v = v.windows(2).map(|w| w[0] * k + w[1] * w[0]).collect();
    }
    v[0]
}

#[backprop]
fn halved(x: &[f64], k: f64) -> f64 {
    let mut v = x.to_vec();
    while v.len() > 1 {
        v = v
            .chunks(2)
            .map(|w| if w.len() == 2 { w[0] * w[1] * k } else { w[0] })
            .collect();
    }
    v[0]
}

#[backprop]
fn shorter_on_one_side(x: &[f64], k: f64) -> f64 {
    let mut v = x.to_vec();
    if k > 1.0 {
        v = v[..2].to_vec();
    }
    v.iter().map(|a| a * a * k).sum()
}

#[backprop]
fn extended(x: &[f64], k: f64) -> f64 {
    let mut v = vec![k];
    v.extend(x.iter().map(|a| a * k));
    v.extend_from_slice(x);
    v.extend([k, 1.0]);
    v.iter().fold(1.0, |a, b| a * 0.5 + b * a)
}

#[backprop]
fn pushed_on_both_sides(x: &[f64], k: f64) -> f64 {
    let mut v = vec![];
    for a in x {
        if *a > 0.2 {
            v.push(a * k);
        } else {
            v.push(*a);
            v.push(k);
        }
    }
    v.iter().rev().fold(0.5, |a, b| a * b + a)
}

#[backprop]
fn a_machine(x: &[f64], k: f64) -> f64 {
    let prog = [0usize, 1, 10, 2, 11, 12];
    let mut st: Vec<f64> = vec![];
    for &op in &prog {
        match op {
            10 => {
                let b = st.pop().unwrap();
                let a = st.pop().unwrap();
                st.push(a + b);
            }
            11 => {
                let b = st.pop().unwrap();
                let a = st.pop().unwrap();
                st.push(a * b);
            }
            12 => {
                let a = st.pop().unwrap();
                st.push((a * k).sin());
            }
            i => st.push(x[i]),
        }
    }
    st[0]
}

#[test]
fn lists() {
    check!(MIXED, inserted_and_removed shorter_each_time shorter_on_one_side extended);
    check!(POSITIVE, pushed_and_popped filled_again collected_shorter halved pushed_on_both_sides);
    check!(POSITIVE, a_machine);
}
