//! Programs made to mislead: aliasing, shadowing, exits, guards and labels in unusual combinations.
//!
//! No published reference exists for these; they are compared with high-order differences at smooth points.

use crate::check::{check, probe, slope};
use backprop::backprop;

#[test]
fn an_array_copied_before_it_changes() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y, x * y];
        let b = a;
        a[0] *= 2.0;
        let c = a;
        a[1] = a[0] * b[0];
        a[0] + a[1] * c[0] + b[1] * c[1] + c[2]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn a_dereference() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let a = [x, y];
        let r = &a;
        let mut b = *r;
        b[0] *= 3.0;
        b[0] * a[0]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn rows_copied_from_one_array() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y];
        let mut m = [a, a];
        m[0][0] *= 3.0;
        a[1] *= 2.0;
        let n = [m[0]; 2];
        m[0][1] = 1.0;
        m[0][0] * m[1][0] * a[1] + n[0][1] * n[1][0] + m[0][1]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn rows_stored_from_an_array() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y];
        let mut m = [[0.0; 2]; 2];
        m[0] = a;
        a[0] *= 3.0;
        m[1] = m[0];
        m[0][0] *= a[0];
        m[0][0] * m[1][0] * a[1]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn tuples_copied_with_their_arrays() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut t = ([x, y], x);
        let u = t;
        t.0[0] *= 3.0;
        t.1 *= 2.0;
        let (mut p, q) = u;
        p[0] += t.0[0];
        p[0] * u.0[0] * q * t.1
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn arrays_assigned_from_blocks() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let a = [x, y];
        let mut b = [0.0; 2];
        b = { a };
        b[0] *= 3.0;
        b = if x > 0.0 { b } else { a };
        b[1] *= 2.0;
        b[0] * a[0] * b[1]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn a_tuple_handed_to_a_closure() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let a = [x, y];
        let g = |(mut b, c): ([f64; 2], f64)| {
            b[0] *= c;
            b[0]
        };
        g((a, 3.0)) * a[0]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn an_array_folded_over() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let a = [x, y];
        let b = [1.0, 2.0].iter().fold(a, |mut acc, k| {
            acc[0] *= k;
            acc[1] += acc[0];
            acc
        });
        b[0] * b[1] * a[0]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn a_row_behind_an_option() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let m = [[x, y], [y, x]];
        let mut r = *m.first().unwrap();
        r[0] *= 3.0;
        r[0] * m[0][0]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn an_array_taken_apart() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let m = [[x, y], [y, x]];
        let [mut r, s] = m;
        r[0] *= 3.0;
        r[0] * m[0][0] * s[1]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn an_at_binding() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let a = [x, y];
        let mut b @ [p, _] = a;
        b[0] *= 3.0;
        b[0] * p * a[0]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn elements_swapped_with_themselves() {
    #[backprop]
    fn f(x: f64, y: f64, i: usize, j: usize) -> f64 {
        let mut a = [x, y, x * y];
        a.swap(i, j);
        a[i] *= a[j];
        a.swap(j, i);
        a[0] + 2.0 * a[1] + 3.0 * a[2] * a[i]
    }
    for i in 0..3 {
        for j in 0..3 {
            check!(f(1.2, -0.7, i, j) = f(1.2, -0.7, i, j), {
                x: slope(|t| f(t, -0.7, i, j), 1.2),
                y: slope(|t| f(1.2, t, i, j), -0.7)
            }, within 1e-7);
        }
    }
}

#[test]
fn rows_swapped_with_themselves() {
    #[backprop]
    fn f(x: f64, y: f64, i: usize, j: usize) -> f64 {
        let mut m = [[x, y], [y, x * y], [1.0, x]];
        m.swap(i, j);
        m[i][0] *= m[j][1];
        m.swap(i, 2);
        m[0][0] * m[1][1] + m[2][0] * m[0][1] + m[1][0]
    }
    for i in 0..3 {
        for j in 0..3 {
            check!(f(1.2, -0.7, i, j) = f(1.2, -0.7, i, j), {
                x: slope(|t| f(t, -0.7, i, j), 1.2),
                y: slope(|t| f(1.2, t, i, j), -0.7)
            }, within 1e-7);
        }
    }
}

#[test]
fn a_local_named_like_what_it_shadows() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let x = x * y;
        let y = {
            let x = x + y;
            let y = x * x;
            y - x
        };
        let x = if x > 0.0 {
            let x = x * 2.0;
            x * y
        } else {
            x - y
        };
        x * y
    }
    probe!(f: (1.2, 0.7), (1.2, -0.7));
}

#[test]
fn loops_that_never_run() {
    #[backprop]
    fn f(x: f64, y: f64, n: usize) -> f64 {
        let mut s = x;
        for i in 0..n {
            s = s * y + i as f64;
        }
        for i in n..0 {
            s *= s + i as f64;
        }
        while s < -1e9 {
            s = y;
        }
        for _ in 5..n {
            s = s.sin();
        }
        s * s
    }
    for n in [0, 1, 3, 5, 8] {
        check!(f(0.3, 0.9, n) = f(0.3, 0.9, n), {
            x: slope(|t| f(t, 0.9, n), 0.3),
            y: slope(|t| f(0.3, t, n), 0.9)
        }, within 1e-7);
    }
}

#[test]
fn arrays_of_tuples() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [(x, 2.0 * y), (y, x), (x * y, 1.0)];
        a[0].1 *= a[1].0;
        let (p, q) = a[1];
        a[2] = (q * p, p);
        a[1].0 = a[2].1 + a[0].0;
        let mut s = 0.0;
        for (u, v) in a {
            s += u * v;
        }
        s
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn arrays_returned_early() {
    #[backprop]
    fn f(x: f64, y: f64) -> [f64; 2] {
        let mut a = [x, y];
        if x < 0.0 {
            return a;
        }
        for i in 0..3 {
            a[0] *= y;
            if a[0] > 2.0 {
                a[1] += i as f64 * x;
                return a;
            }
            if i == 1 && y < 0.0 {
                return [a[1], a[0] * a[0]];
            }
        }
        a[1] *= a[0];
        a
    }
    for (x, y) in [(-1.0, 0.5), (0.3, 0.9), (1.1, 1.6), (0.8, -0.7)] {
        let (value, saved) = f::forward(x, y);
        assert_eq!(value, f(x, y));
        let g = f::backward(&saved, [1.0, 10.0]);
        let weighted = |x, y| f(x, y)[0] + 10.0 * f(x, y)[1];
        crate::check::close("x", &g.x, &slope(|t| weighted(t, y), x), 1e-7);
        crate::check::close("y", &g.y, &slope(|t| weighted(x, t), y), 1e-7);
    }
}

#[test]
fn closures_in_closures() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let scale = |a: f64| a * x;
        let twice = |g: f64| {
            let inner = |b: f64| scale(b) + y * g;
            inner(inner(g))
        };
        twice(y) + twice(scale(2.0))
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn closures_that_change_what_they_captured() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut s = x;
        let mut step = |k: f64| {
            s = s * y + k;
            s
        };
        let a = step(1.0);
        let b = step(x);
        a * b + s
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn breaks_with_a_value() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut s = x;
        let mut n = 0;
        let found = loop {
            s = s * 1.5 + y;
            n += 1;
            if s > 10.0 {
                break s * y;
            }
            if n == 6 {
                break s + x;
            }
        };
        found * s
    }
    probe!(f: (1.2, 0.7), (0.1, -0.2), (9.0, 1.0));
}

#[test]
fn labels_across_three_loops() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut s = 0.5;
        'outer: for i in 0..4 {
            'middle: for j in 0..4 {
                for k in 0..4 {
                    s += x * (i * j + k) as f64 * 0.1;
                    if k > i {
                        continue 'middle;
                    }
                    if j > 2 {
                        s *= y;
                        continue 'outer;
                    }
                    if s > 8.0 {
                        s -= y * s;
                        break 'outer;
                    }
                }
                s += y;
            }
            s *= 1.1;
        }
        s
    }
    probe!(f: (0.3, 0.2), (1.2, 0.7), (-0.4, 0.9));
}

#[test]
fn a_labelled_block_inside_an_expression() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let v = 'found: {
            for i in 0..5 {
                let t = x * i as f64;
                if t > 2.0 {
                    break 'found t * y;
                }
            }
            if y > 0.0 {
                break 'found y;
            }
            x
        };
        v * v + x
    }
    probe!(f: (1.2, 0.7), (0.1, 0.7), (0.1, -0.7));
}

#[test]
fn guards_that_bind_and_overlap() {
    #[backprop]
    fn f(x: f64, y: f64, n: i32) -> f64 {
        let base = match (n, x) {
            (0, v) if v > 1.0 => v * y,
            (0, v) => v + y,
            (k @ 1..=3, v) if k as f64 > v => v.powi(k),
            (1 | 2, _) => y * y,
            (_, v) if v < 0.0 => -v,
            (k, v) => v * k as f64,
        };
        base * x
    }
    for n in [-2, 0, 1, 2, 3, 4] {
        for x in [-0.5, 0.5, 1.5, 2.5] {
            check!(f(x, 0.7, n) = f(x, 0.7, n), {
                x: slope(|t| f(t, 0.7, n), x),
                y: slope(|t| f(x, t, n), 0.7)
            }, within 1e-7);
        }
    }
}

#[test]
fn casts_between_precisions() {
    #[backprop]
    fn f(x: f64, y: f32) -> f64 {
        let a = x as f32 * y;
        let b = f64::from(a) * x;
        let c = (b as f32 + y * 0.1).sqrt();
        c as f64 * b
    }
    let (x, y) = (1.25f64, 0.75f32);
    let b = x * x * f64::from(y);
    let c = (b + 0.1 * f64::from(y)).sqrt();
    let db = c + 0.5 * b / c;
    check!(f(x, y) = c * b, {
        x: db * 2.0 * x * f64::from(y),
        y: db * x * x + 0.05 * b / c
    }, within 3e-7);
}

#[test]
fn single_precision_keeps_its_bits() {
    #[backprop]
    fn f(x: f32, y: f32) -> f32 {
        let mut s = 0.1;
        for i in 0..10 {
            s = s * 0.7 + x * (0.3 + 0.1 * i as f32) / 3.0;
            s -= y * 1e-3 + 0.1 + 0.2;
        }
        s * 16777217.0 * 1.1 / 3.3
    }
    for k in 0..50 {
        let (x, y) = (k as f32 * 0.37 - 3.0, 1.0 / (k as f32 + 0.3));
        let plain = f(x, y);
        assert_eq!(f::value_and_gradient(x, y).0.to_bits(), plain.to_bits());
        assert_eq!(f::forward(x, y).0.to_bits(), plain.to_bits());
    }
}

#[test]
fn an_integer_state_that_wraps() {
    #[backprop]
    fn f(x: f64, y: f64, seed: u32) -> f64 {
        let mut state = seed;
        let mut s = x;
        let mut hits = [0.0; 4];
        for _ in 0..20 {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            let k = (state >> 30) as usize;
            hits[k] += s;
            state ^= state << 13;
            if state & 1 == 0 {
                s = s * 0.9 + y * 0.1;
            } else {
                s = -s * hits[k] * 0.05;
            }
        }
        hits[0] * hits[1] + hits[2] * s + hits[3]
    }
    for seed in [0, 1, 12345, u32::MAX] {
        check!(f(0.8, -0.6, seed) = f(0.8, -0.6, seed), {
            x: slope(|t| f(t, -0.6, seed), 0.8),
            y: slope(|t| f(0.8, t, seed), -0.6)
        }, within 1e-7);
    }
}

#[test]
fn a_write_through_a_reference_into_an_array() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y, x];
        {
            let r = &mut a[1];
            *r *= x;
            *r += 1.0;
        }
        let s = &a;
        s[1] * s[0] + s[2]
    }
    probe!(f: (1.2, -0.7));
}

#[test]
fn iter_mut_in_place() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y, x * y, 1.0];
        let mut last = y;
        for v in a.iter_mut() {
            *v = *v * last + 0.5;
            last = *v * x;
        }
        for (i, v) in a.iter_mut().enumerate().rev() {
            *v *= i as f64 + last;
        }
        a.iter().sum::<f64>() * last
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn an_index_that_the_loop_computes() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y, x + y, x - y, 1.0];
        let mut i = 0;
        let mut n = 0;
        while n < 9 {
            a[i] = a[i] * a[(i + 2) % 5] + 0.1;
            i = (2 * i + 1) % 5;
            n += 1;
        }
        a[0] + a[1] * a[2] + a[3] - a[4]
    }
    probe!(f: (0.6, -0.7), (0.4, 0.2));
}

#[test]
fn an_accumulator_that_reads_itself() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y];
        a[0] += a[0] * a[1];
        a[1] = a[1] + a[0] + a[1];
        a[0] -= a[0] * a[0];
        a[1] = a[0] - a[1];
        a[0] /= a[1];
        a[0] * a[1] + a[0]
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn stores_under_conditions_and_reads_after() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y];
        let before = a[0];
        if y > 0.0 {
            a[0] = a[1] * 3.0;
        }
        let between = a[0];
        if x > 1.0 {
            a[0] = a[0] * between;
            a[1] = before;
        } else if x > 0.0 {
            a[1] *= between;
        }
        a[0] * a[1] + between * before
    }
    probe!(f: (1.2, -0.7), (1.2, 0.7), (0.4, 2.0), (0.4, -2.0), (-1.0, 1.0));
}

#[test]
fn a_running_maximum_and_its_place() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let a = [x, y, x * y, x - y, 0.3];
        let (mut best, mut at) = (a[0], 0);
        for i in 1..5 {
            if a[i] >= best {
                best = a[i];
                at = i;
            }
        }
        best * best + a[(at + 1) % 5] * at as f64
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0), (-3.0, -2.0));
}

#[test]
fn a_value_of_the_iteration_before() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let (mut a, mut b, mut c) = (x, y, 1.0);
        for i in 0..6 {
            (a, b, c) = (b * 0.5 + c, c * a, a - 0.1 * i as f64);
        }
        a + b * c
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0));
}

#[test]
fn late_initialisation_in_each_branch() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let z;
        let w;
        if x > y {
            z = x * y;
            w = z + 1.0;
        } else if y > 1.0 {
            w = y;
            z = w * x;
        } else {
            return x - y;
        }
        z * w
    }
    probe!(f: (1.2, -0.7), (0.4, 2.0), (0.1, 0.5));
}

#[test]
fn returns_from_inside_nested_loops_and_matches() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut s = 1.0;
        for i in 0..4 {
            let mut j = 0;
            while j < 4 {
                j += 1;
                match (i + j) % 4 {
                    0 => continue,
                    1 => s *= x,
                    2 if s > 3.0 => return s * y,
                    _ => s += y * 0.3,
                }
            }
            if s < -2.0 {
                return x * s;
            }
        }
        s - x
    }
    probe!(f: (1.2, 0.7), (0.4, 0.2), (-1.4, 0.3), (-2.0, -1.0));
}

#[test]
fn short_circuits_guard_what_follows() {
    #[backprop]
    fn f(x: f64, y: f64, n: usize) -> f64 {
        let a = [x, y, x * y];
        let mut s = 0.0;
        for i in 0..5 {
            if i < a.len() && a[i] > 0.0 || i == n {
                s += x * (i + 1) as f64;
            }
            let inside = n < a.len() && a[n] > y;
            s += if inside { a[n] * y } else { 0.1 * x };
        }
        s
    }
    for n in [0, 2, 3, 7] {
        check!(f(1.2, -0.7, n) = f(1.2, -0.7, n), {
            x: slope(|t| f(t, -0.7, n), 1.2),
            y: slope(|t| f(1.2, t, n), -0.7)
        }, within 1e-7);
    }
}

#[test]
fn vecs_that_grow_and_shrink() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut v = vec![x];
        for i in 0..5 {
            let last = v[v.len() - 1];
            v.push(last * y + i as f64 * x);
            if i == 2 {
                v.pop();
            }
        }
        let mut s = 0.0;
        while let Some(top) = v.pop() {
            s = s * 0.5 + top * top;
        }
        s
    }
    probe!(f: (1.2, -0.7), (0.4, 0.5));
}

#[test]
fn windows_of_a_slice_written_in_place() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [x, y, x * y, x + y, 2.0 * x, y * y];
        let (head, tail) = a.split_at_mut(3);
        for i in 0..3 {
            head[i] += tail[2 - i] * x;
            tail[i] *= head[i];
        }
        a[1..4].reverse();
        let middle = &a[2..];
        middle[0] * a[0] + middle[3] + a[1]
    }
    probe!(f: (1.2, -0.7), (0.4, 0.5));
}

#[test]
fn an_active_condition_computed_once_and_used_twice() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let positive = x * y > 0.0;
        let mut s = if positive { x } else { y };
        s *= -2.0;
        let x = -x;
        s += if positive { x * y } else { x - y };
        s * if !positive || s > 0.0 { x } else { 1.0 }
    }
    probe!(f: (1.2, 0.7), (1.2, -0.7), (-1.2, -0.7));
}

#[test]
fn while_let_and_nested_options() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let pick = |i: usize| if i < 3 { Some(x * i as f64 + y) } else { None };
        let mut i = 0;
        let mut s = 1.0;
        while let Some(v) = pick(i) {
            s *= v + 2.0;
            i += 1;
        }
        if let Some(v) = pick(1) {
            s += v;
        }
        s + pick(7).unwrap_or(x)
    }
    probe!(f: (1.2, -0.7), (0.4, 0.5));
}

#[test]
fn operands_with_side_effects() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = x;
        let b = a * {
            a += y;
            a
        } + {
            a *= 2.0;
            a
        };
        let mut v = [a, b];
        let i = 0;
        v[{
            a = 3.0 * x;
            i
        }] *= a;
        v[0] * v[1]
    }
    probe!(f: (1.2, -0.7));
}

#[test]
fn constants_and_statics_of_the_body() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        const K: f64 = 2.5;
        static TABLE: [f64; 3] = [1.0, K, 3.0];
        const N: usize = TABLE_LEN + 1;
        const TABLE_LEN: usize = 2;
        fn helper(a: f64) -> f64 {
            a * a * K
        }
        let mut s = 0.0;
        for i in 0..N {
            s += TABLE[i] * helper(x + i as f64) * y;
        }
        s
    }
    probe!(f: (1.2, -0.7));
}

#[test]
fn a_recurrence_broken_off_in_the_middle_of_its_body() {
    #[backprop]
    fn f(x: f64, y: f64) -> f64 {
        let mut a = [1.0, x, y];
        let mut n = 0;
        loop {
            a[0] = a[1] * a[2];
            if n == 4 {
                break;
            }
            a[1] += 0.3 * a[0];
            if a[1] > 4.0 {
                break;
            }
            a[2] *= 0.9;
            n += 1;
        }
        a[0] + a[1] * a[2] + n as f64
    }
    probe!(f: (1.2, 0.7), (0.3, 0.2), (3.9, 1.0));
}
