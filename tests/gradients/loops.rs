//! Counted and conditional loops, and the state that they carry.

use crate::check::check;
use backprop::backprop;

#[test]
fn body_indexed_by_counter() {
    #[backprop]
    fn body_indexed_by_counter(theta: [f64; 2], ys: [f64; 6]) -> f64 {
        let a = theta[0] + theta[1];
        let mut x = a;
        let mut ll = 0.0;
        for t in 0..6 {
            x = a * x + 0.1;
            ll += ys[t] * x;
        }
        ll
    }

    check!(body_indexed_by_counter([0.3, 0.4], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) = 8.9124028, { theta: [32.195858, 32.195858], ys: [0.59, 0.513, 0.4591, 0.42137, 0.39495900000000006, 0.3764713] });
    check!(body_indexed_by_counter([0.359, 0.442], [0.94, 1.77, 2.6, 3.43, 4.26, 5.09]) = 11.295006622268932, { theta: [44.76434148318338, 44.76434148318338], ys: [0.741601, 0.694022401, 0.655911943201, 0.625385466504001, 0.6009337586697048, 0.5813479406944335] });
}

#[test]
fn integral_of_square() {
    #[backprop]
    fn integral_of_square(lower: f64, upper: f64) -> f64 {
        let n = 100.0;
        let interval = (upper - lower) / n;
        let mut sum = 0.0;
        let mut x = lower;
        while x <= upper - 0.5 * interval {
            let mid = x + 0.5 * interval;
            sum += mid * mid * interval;
            x += interval;
        }
        sum
    }

    check!(integral_of_square(0.0, 1.0) = 0.333325, { lower: 2.5e-5, upper: 0.999975 }, within 1e-9);
    check!(integral_of_square(0.5, 2.0) = 2.624971875, { lower: -0.24994375, upper: 3.99994375 }, within 1e-9);
}

// The derivative of the path that ran.
#[test]
fn loop_bound_from_float() {
    #[backprop]
    fn loop_bound_from_float(x: f64) -> f64 {
        let n = x.floor() as usize + 1;
        let mut s = 0.0;
        for i in 0..n {
            s += x / (i as f64 + 1.0);
        }
        s
    }

    check!(loop_bound_from_float(2.4) = 4.3999999999999995, { x: 1.8333333333333333 });
    check!(loop_bound_from_float(5.7) = 13.965, { x: 2.45 });
}

// The backward pass needs the integer state of each iteration.
#[test]
fn manual_counter_mutation() {
    #[backprop]
    fn manual_counter_mutation(x: f64) -> f64 {
        let mut i = 0usize;
        let mut s = x;
        while i < 20 {
            if i % 3 == 0 {
                i += 2;
            } else {
                i += 1;
            }
            s = s * 0.9 + x * (i as f64).sqrt();
            i += 1;
        }
        s
    }

    check!(manual_counter_mutation(0.8) = 14.42997420791392, { x: 18.0374677598924 });
    check!(manual_counter_mutation(-2.0) = -36.0749355197848, { x: 18.0374677598924 });
}

// Periodic neighbours: for a single one, both partials meet in one entry.
#[test]
fn negative_index_arith() {
    #[backprop]
    fn negative_index_arith(a: [f64; 4], x: f64) -> f64 {
        let mut s = 0.0;
        for i in 0..4usize {
            for d in [-1i32, 0, 1] {
                let j = (i as i32 + d).rem_euclid(4) as usize;
                s += a[i] * a[j] * x;
            }
        }
        s
    }

    check!(negative_index_arith([1.0, 2.0, -3.0, 0.5], 0.7) = 2.9749999999999996, { a: [4.8999999999999995, 0.0, -0.7, -2.0999999999999996], x: 4.25 });
    check!(negative_index_arith([0.94, 1.77, -2.38, 0.525], 0.691) = 2.3127251749999997, { a: [4.47077, 0.4560600000000001, -0.11746999999999978, -1.2645299999999997], x: 3.3469249999999997 });
}

// `powi` with the loop index as the exponent, 0 included.
#[test]
fn range_rev_step_inclusive() {
    #[backprop]
    fn range_rev_step_inclusive(x: f64) -> f64 {
        let mut p = 1.0;
        for i in (1..=5).rev() {
            p = p * x + i as f64;
        }
        for i in (0..10).step_by(3) {
            p += x.powi(i) * 0.01;
        }
        p
    }

    check!(range_rev_step_inclusive(0.9) = 12.043468614890001, { x: 35.0789714489 });
    check!(range_rev_step_inclusive(-1.3) = 5.179823096270001, { x: -14.6174181511 });
}

// The third point runs no iteration.
#[test]
fn while_active_cond() {
    #[backprop]
    fn while_active_cond(x: f64, y: f64) -> f64 {
        let mut a = x;
        let mut n = 0.0;
        while a < 10.0 {
            a = a * y + 1.0;
            n += 1.0;
        }
        a + n * x
    }

    check!(while_active_cond(1.1, 1.7) = 14.2943, { x: 7.912999999999999, y: 13.937 });
    check!(while_active_cond(0.2, 2.3) = 11.623399999999998, { x: 15.166999999999998, y: 8.774 });
    check!(while_active_cond(20.0, 1.5) = 20.0, { x: 1.0, y: 0.0 });
}

// A random generator in wrapping integer arithmetic.
#[test]
fn wrapping_index_lcg() {
    #[backprop]
    fn wrapping_index_lcg(a: [f64; 5], x: f64) -> f64 {
        let mut seed: u32 = 12345;
        let mut s = 0.0;
        for _ in 0..12 {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            let i = (seed >> 16) as usize % 5;
            s = s * 0.9 + a[i] * x;
        }
        s
    }

    check!(wrapping_index_lcg([1.0, 2.0, 3.0, 4.0, 5.0], 0.7) = 14.361960561739, { a: [1.0720087, 1.8707643423, 0.21966741726300004, 0.413343, 1.44720978507], x: 20.517086516770004 });
    check!(wrapping_index_lcg([0.94, 1.77, 2.6, 3.43, 4.26], 0.691) = 12.31258993928389, { a: [1.058225731, 1.846711657899, 0.21684312189819005, 0.40802859, 1.4286028021191002], x: 17.818509318790003 });
}

// No iteration: the derivative is 1.
#[test]
fn zero_trip_loop() {
    #[backprop]
    fn zero_trip_loop(x: f64, n: usize) -> f64 {
        let mut s = x;
        for i in 0..n {
            s *= x + i as f64;
        }
        s
    }

    check!(zero_trip_loop(1.3, 0) = 1.3, { x: 1.0 });
    check!(zero_trip_loop(1.3, 1) = 1.6900000000000002, { x: 2.6 });
    check!(zero_trip_loop(0.7, 4) = 8.32167, { x: 34.0025 });
}

// Counting an entry once per overwrite would double it each time.
#[test]
fn component_read_modify_write() {
    #[backprop]
    fn component_read_modify_write(x: f64, y: f64) -> f64 {
        let mut m = [[0.0; 2]; 2];
        m[0][0] = m[0][0] + x;
        m[0][0] = m[0][0] + x * y;
        m[0][0] = m[0][0] + y;
        m[1][0] = m[0][0] * m[0][0];
        m[0][0] = m[1][0] - m[0][0];
        m[0][0]
    }

    check!(component_read_modify_write(1.2, 0.5) = 2.9899999999999998, { x: 5.3999999999999995, y: 7.92 });
    check!(component_read_modify_write(-1.0, 2.0) = 2.0, { x: -9.0, y: 0.0 });
}
