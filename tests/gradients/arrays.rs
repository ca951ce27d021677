//! Arrays, slices and `Vec`s, written and read in place.

use crate::check::check;
use backprop::backprop;

#[test]
fn array_destructure() {
    #[backprop]
    fn array_destructure(v: [f64; 3]) -> f64 {
        let [a, b, c] = v;
        let [d, ..] = [a * b, c];
        d * c + a
    }

    check!(array_destructure([1.0, -2.0, 0.5]) = 0.0, { v: [0.0, 0.5, -2.0] });
    check!(array_destructure([0.94, -1.55, 0.525]) = 0.17507499999999993, { v: [0.18624999999999994, 0.4935, -1.4569999999999999] });
}

#[test]
fn array_literal_active() {
    #[backprop]
    fn array_literal_active(x: f64, y: f64) -> f64 {
        let v = [x, y, x * y, 2.0];
        let w = [x; 4];
        let mut s = 0.0;
        for i in 0..4 {
            s += v[i] * w[3 - i] * v[(i + 1) % 4];
        }
        s
    }

    check!(array_literal_active(1.2, 0.5) = 5.3999999999999995, { x: 9.0, y: 5.76 });
    check!(array_literal_active(-1.0, 2.0) = 12.0, { x: -24.0, y: 7.0 });
}

#[test]
fn array_weighted_sum() {
    #[backprop]
    fn array_weighted_sum(a: [f64; 4]) -> f64 {
        let mut s = 0.0;
        for i in 0..4 {
            s += a[i] * a[i] * (i as f64 + 1.0);
        }
        s
    }

    check!(array_weighted_sum([1.0, -2.0, 0.5, 3.0]) = 45.75, { a: [2.0, -8.0, 3.0, 24.0] });
    check!(array_weighted_sum([0.0, 0.0, 1.0, -1.0]) = 7.0, { a: [0.0, 0.0, 6.0, -8.0] });
}

#[test]
fn const_generic_n() {
    #[backprop]
    fn const_generic_n<const N: usize>(a: [f64; N], x: f64) -> f64 {
        let mut p = 0.0;
        for i in 0..N {
            p = p * x + a[i];
        }
        p / N as f64
    }

    check!(const_generic_n([1.0, -2.0, 0.5], 0.7) = -0.13666666666666666, { a: [0.1633333333333333, 0.2333333333333333, 0.3333333333333333], x: -0.20000000000000004 });
    check!(const_generic_n([0.94, -1.55, 0.525], 0.691) = -0.03240595333333334, { a: [0.15916033333333332, 0.2303333333333333, 0.3333333333333333], x: -0.08364000000000008 });
}

#[test]
fn copy_from_slice_fill() {
    #[backprop]
    fn copy_from_slice_fill(a: [f64; 3], x: f64) -> f64 {
        let mut b = [0.0; 6];
        b[..3].copy_from_slice(&a);
        b[3..].fill(x);
        let mut s = 0.0;
        for i in 0..6 {
            s += b[i] * b[5 - i];
        }
        s
    }

    check!(copy_from_slice_fill([1.0, -2.0, 0.5], 0.7) = -0.7, { a: [1.4, 1.4, 1.4], x: -1.0 });
    check!(copy_from_slice_fill([0.94, -1.55, 0.525], 0.691) = -0.1174700000000001, { a: [1.382, 1.382, 1.382], x: -0.17000000000000015 });
}

// What is left in the other buffer must not count.
#[test]
fn double_buffer_swap() {
    #[backprop]
    fn double_buffer_swap(u0: [f64; 5], r: f64) -> f64 {
        let mut u = u0;
        let mut w = [0.0; 5];
        for _ in 0..4 {
            for i in 0..5 {
                let l = if i == 0 { 0.0 } else { u[i - 1] };
                let rr = if i == 4 { 0.0 } else { u[i + 1] };
                w[i] = u[i] + r * (l - 2.0 * u[i] + rr);
            }
            std::mem::swap(&mut u, &mut w);
        }
        u[2] * u[2] + u[0]
    }

    check!(double_buffer_swap([1.0, 0.2, -0.5, 0.7, 2.0], 0.2) = 0.3380790016, { u0: [0.278472704, 0.360941568, 0.29397504, 0.16894156800000001, 0.06087270400000001], r: -0.48203673599999997 });
    check!(double_buffer_swap([0.94, 0.276, -0.305, 0.691, 1.77], 0.276) = 0.36446771083563134, { u0: [0.23577949386814057, 0.35388020723400276, 0.3274732245188948, 0.21693757427400276, 0.09796164785214058], r: -0.3535639541452217 });
}

// `a[i]` on both sides.
#[test]
fn element_self_square() {
    #[backprop]
    fn element_self_square(mut a: [f64; 3]) -> f64 {
        for _ in 0..3 {
            for i in 0..3 {
                a[i] = a[i] * a[i] - 0.5 * a[(i + 1) % 3];
            }
        }
        a[0] + 2.0 * a[1] - a[2]
    }

    check!(element_self_square([0.5, -0.3, 0.8]) = 0.23506170999999998, { a: [1.3452480000000002, -0.6916572000000001, -0.5290386000000005] });
    check!(element_self_square([0.525, -0.139, 0.774]) = 0.17704505600537856, { a: [1.2393987387170005, -0.607288968779446, -0.6094251416524264] });
}

#[test]
fn fixed_permutation_cycle() {
    #[backprop]
    fn fixed_permutation_cycle(mut a: [f64; 3], n: usize) -> f64 {
        for _ in 0..n {
            let t = a[0];
            a[0] = a[1];
            a[1] = a[2] * 1.1;
            a[2] = t * a[0];
        }
        a[0] + a[1] * 2.0 + a[2] * 3.0
    }

    check!(fixed_permutation_cycle([1.0, -2.0, 0.5], 4) = 4.114000000000001, { a: [5.324000000000002, -6.050000000000002, 8.228000000000002] });
    check!(fixed_permutation_cycle([0.3, 0.7, 1.9], 0) = 7.3999999999999995, { a: [1.0, 2.0, 3.0] });
}

// A stencil in place, using neighbours already updated.
#[test]
fn gauss_seidel_sweeps() {
    #[backprop]
    fn gauss_seidel_sweeps(mut u: [f64; 5], w: f64) -> f64 {
        for _ in 0..3 {
            for i in 1..4 {
                u[i] = (1.0 - w) * u[i] + w * 0.5 * (u[i - 1] + u[i + 1]);
            }
        }
        let mut s = 0.0;
        for i in 0..5 {
            s += u[i] * u[i];
        }
        s
    }

    check!(gauss_seidel_sweeps([1.0, 0.2, -0.5, 0.7, 2.0], 1.3) = 12.31468206346005, { u: [6.533714861639504, -0.02786401504152223, -0.08434496566124161, -0.2378990969859677, 9.112789476674227], w: 6.092907534770437 });
    check!(gauss_seidel_sweeps([0.94, 0.276, -0.305, 0.691, 1.77], 1.189) = 9.386973215170789, { u: [5.594338490244724, -0.06637499358446383, 0.035135562851801916, 0.25191996059860144, 7.55380079188532], w: 5.336504073101223 });
}

#[test]
fn matmul_trace() {
    #[backprop]
    fn matmul_trace(a: [[f64; 2]; 2], b: [[f64; 2]; 2]) -> f64 {
        let mut c = [[0.0; 2]; 2];
        for i in 0..2 {
            for j in 0..2 {
                for k in 0..2 {
                    c[i][j] += a[i][k] * b[k][j];
                }
            }
        }
        c[0][0] * c[1][1] - c[0][1] * c[1][0]
    }

    check!(matmul_trace([[1.0, 2.0], [-0.5, 0.7]], [[0.3, -1.0], [2.0, 1.5]]) = 4.165, { a: [[1.7149999999999999, 1.225], [-4.9, 2.45]], b: [[2.55, -3.4], [1.7, 0.51]] });
    check!(matmul_trace([[0.94, 1.77], [-0.305, 0.691]], [[0.359, -0.72], [1.77, 1.355]]) = 2.09433143455, { a: [[1.2167438949999998, 0.5370577249999999], [-3.11669565, 1.6551942999999998]], b: [[1.61162345, -2.1052203], [0.8563607999999999, 0.42699100999999995]] });
}

// A write through a reference changes `x`.
#[test]
fn mut_ref_alias() {
    #[backprop]
    fn mut_ref_alias(mut x: f64, y: f64) -> f64 {
        {
            let r = &mut x;
            *r *= y;
            *r = *r * *r + 1.0;
        }
        x * y
    }

    check!(mut_ref_alias(1.2, 0.5) = 0.6799999999999999, { x: 0.3, y: 2.08 });
    check!(mut_ref_alias(-1.0, 2.0) = 10.0, { x: -16.0, y: 13.0 });
}

// The old `a[i]` is needed.
#[test]
fn prefix_sum_inplace() {
    #[backprop]
    fn prefix_sum_inplace(mut a: [f64; 5]) -> f64 {
        for i in 1..5 {
            a[i] += a[i - 1] * a[i];
        }
        a[4] + a[2]
    }

    check!(prefix_sum_inplace([0.5, -0.3, 0.8, 1.1, 0.2]) = 0.9568000000000001, { a: [-0.2928, 1.4640000000000002, 0.671, 0.28800000000000003, 2.584] });
    check!(prefix_sum_inplace([0.525, -0.139, 0.774, 1.023, 0.276]) = 1.3404922468098, { a: [-0.137962691928, 1.5136194618, 1.0105222827, 0.44434105260000006, 2.6469597710499997] });
}

// Two indices that are equal at run time.
#[test]
fn same_index_i_eq_j() {
    #[backprop]
    fn same_index_i_eq_j(mut a: [f64; 3], i: usize, j: usize) -> f64 {
        a[i] = a[j] * a[i] + a[j];
        a[j] = a[i] * 2.0 - a[j];
        a[0] * a[1] * a[2]
    }

    check!(same_index_i_eq_j([1.0, -2.0, 0.5], 1, 1) = 1.0, { a: [1.0, -1.5, 2.0] });
    check!(same_index_i_eq_j([1.0, -2.0, 0.5], 0, 2) = -3.0, { a: [-3.5, 1.5, -12.0] });
}

// The last write wins: the first entry gets exactly 0.
#[test]
fn scatter_overwrite_collision() {
    #[backprop]
    fn scatter_overwrite_collision(a: [f64; 4]) -> f64 {
        let idx = [1usize, 0, 1, 2];
        let mut h = [1.0; 3];
        for k in 0..4 {
            h[idx[k]] = a[k] * a[k];
        }
        h[0] + 2.0 * h[1] + 3.0 * h[2]
    }

    check!(scatter_overwrite_collision([1.0, -2.0, 0.5, 0.3]) = 4.77, { a: [0.0, -4.0, 2.0, 1.8] });
    check!(scatter_overwrite_collision([0.94, -1.55, 0.525, 0.359]) = 3.340393, { a: [0.0, -3.1, 2.1, 2.154] });
}

#[test]
fn slice_pattern_match() {
    #[backprop]
    fn slice_pattern_match(v: &[f64]) -> f64 {
        match v {
            [] => 0.0,
            [a] => a * a,
            [a, .., z] => a * z,
        }
    }

    check!(slice_pattern_match(&[3.0]) = 9.0, { v: [6.0] });
    check!(slice_pattern_match(&[1.0, 2.0, 5.0]) = 5.0, { v: [5.0, 0.0, 1.0] });
}

#[test]
fn vec_macro_fill() {
    #[backprop]
    fn vec_macro_fill(x: f64, n: usize) -> f64 {
        let mut v = vec![x; n];
        for i in 1..n {
            v[i] = v[i - 1] * 0.5 + v[i].sin();
        }
        v.iter().sum()
    }

    check!(vec_macro_fill(1.2, 4) = 6.211166115360712, { x: 3.415020456525863 });
    check!(vec_macro_fill(0.3, 1) = 0.3, { x: 1.0 });
}
