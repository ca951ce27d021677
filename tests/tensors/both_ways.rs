//! Loops that add to floats: forward and backward at once where what they hand back is known, one after the other elsewhere.

use backprop::backprop;
use ndarray::*;

functions! {
    fn pairs(z, v, k) {
        let mut s = 0.0;
        for i in 0..v.len() {
            for j in 0..i {
                let d = v[i] - v[j] * k + z[[i, j]];
                s += 1.0 / (d * d + 0.3).sqrt();
            }
        }
        s
    }

    fn rows_and_a_count(z, v, k) {
        let mut s = v[0] * v[0];
        let mut n = 0;
        for row in z.rows() {
            n += 1;
            s -= (row.dot(v) * k).tanh() * n as f64;
        }
        -s / n as f64
    }

    fn two_sums(z, v, k) {
        let (mut s, mut t) = (0.0, k);
        for i in 0..v.len() {
            s += v[i] * z[[i, 0]];
            t += v[i].exp() * z[[0, i]];
        }
        2.0 * s - t
    }

    fn sums_that_trade_places(z, v, k) {
        let (mut s, mut t) = (v[1], k);
        for i in 0..v.len() {
            (s, t) = (t + v[i] * z[[i, 0]], s + v[i].sin());
        }
        2.0 * s - t
    }

    fn one_sum_for_two(z, v, k) {
        let (mut s, mut t) = (v[1], k);
        for i in 0..v.len() {
            s += v[i] * z[[i, 0]];
            t = s;
        }
        2.0 * s - 3.0 * t
    }

    fn reads_its_sum(z, v, k) {
        let (mut s, mut t) = (0.0, k);
        for i in 0..v.len() {
            s += v[i] * z[[i, 1]];
            t += s * v[i];
        }
        s + t
    }

    fn grows(z, v, k) {
        let mut s = 1.0;
        for i in 0..v.len() {
            s += s * v[i] * z[[i, 1]] * k;
        }
        s
    }

    fn root_of_a_sum(z, v, k) {
        let mut s = 2.0;
        for i in 0..v.len() {
            s += (v[i] * k).powi(2) + z[[i, i]].powi(2);
        }
        s.sqrt()
    }

    fn a_sum_is_used_again(z, v, k) {
        let mut s = 0.0;
        for i in 0..v.len() {
            s += v[i] * k;
        }
        let u = v * s;
        let mut t = s;
        for row in z.rows() {
            t += row.dot(&u).cos();
        }
        t + u.sum()
    }

    fn after_another_use_of_a_factor(z, v, k) {
        let c = k * v[0];
        let w = v.mapv(f64::sin);
        let mut s = 0.0;
        for i in 0..w.len() {
            s += (c * w[i]).exp() * z[[i, 2]];
        }
        s * 3.0 + 1.0
    }

    fn vectors_in_the_body(z, v, k) {
        let mut s = 0.0;
        for i in 0..z.nrows() {
            let h = (&z.row(i) * v + k).mapv(f64::tanh);
            let u = z.dot(&h);
            s += u.dot(&h) * v[i];
        }
        s
    }

    fn a_nested_loop_with_a_state(z, v, k) {
        let mut s = 0.0;
        for i in 0..z.nrows() {
            let mut h = z.row(i).to_owned();
            let mut c = 1.0;
            for j in 0..3 {
                h = (&h * v[j] + k).mapv(f64::sin);
                c *= h[j] + v[i];
            }
            s += h.sum() + c;
        }
        s
    }

    fn leaves_early(z, v, k) {
        let mut s = 0.0;
        for i in 0..v.len() {
            if i == 3 {
                break;
            }
            s += v[i] * v[i] * k * z[[i, 0]];
        }
        s
    }

    fn adds_in_a_branch(z, v, k) {
        let mut s = 0.0;
        for i in 0..v.len() {
            if v[i] > 0.0 {
                s += v[i].ln() * k;
            } else {
                s -= z[[i, 3]] * v[i];
            }
        }
        s
    }

    fn nothing_to_add(z, v, k) {
        let mut s = k * k;
        for i in 0..v.len() - 4 {
            s += v[i] * z[[0, i]];
        }
        s
    }
}

/// What is handed back to a sum that is one of several results comes from the caller.
#[backprop]
fn sum_and_array(v: &Array1<f64>, k: f64) -> (f64, Array1<f64>) {
    let mut s = 0.0;
    for i in 0..v.len() {
        s += (v[i] * k).sin();
    }
    (s, v * k)
}

#[test]
fn beside_an_array() {
    let (v, k) = (array![0.4, -1.2, 2.0], 0.7_f64);
    let up = (1.5, array![1.0, -2.0, 0.5]);
    let expected = |i: usize| up.0 * (v[i] * k).cos() * k + up.1[i] * k;
    let (mut dv, mut dk) = (Array1::zeros(3), 0.0);
    sum_and_array::accumulate(&v, k, up.clone(), &mut dv, &mut dk);
    let (_, saved) = sum_and_array::forward(&v, k);
    let apart = sum_and_array::backward(&saved, up.clone());
    for i in 0..3 {
        super::agree::close(dv[i], expected(i), 1e-15, "at once");
        super::agree::close(apart.v[i], expected(i), 1e-15, "apart");
    }
    super::agree::close(dk, apart.k, 1e-15, "the factor");
}
