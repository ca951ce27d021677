//! `if`, `match`, `if let` and short circuits: only the branch taken counts, and the decision is the one of the forward pass.

use crate::check::check;
use backprop::backprop;

#[test]
fn argmax_index() {
    #[backprop]
    fn argmax_index(a: [f64; 4], w: f64) -> f64 {
        let mut k = 0;
        for i in 1..4 {
            if a[i] > a[k] {
                k = i;
            }
        }
        a[k] * w + k as f64 * a[0]
    }

    check!(argmax_index([1.0, -2.0, 3.5, 0.3], 0.7) = 4.45, { a: [2.0, 0.0, 0.7, 0.0], w: 3.5 });
    check!(argmax_index([5.0, 1.0, 2.0, 3.0], -1.0) = -5.0, { a: [-1.0, 0.0, 0.0, 0.0], w: 5.0 });
}

// The backward pass must not test `x > 0` again: `x` has changed its sign.
#[test]
fn cond_var_changed_in_branch() {
    #[backprop]
    fn cond_var_changed_in_branch(mut x: f64) -> f64 {
        if x > 0.0 {
            x = -x * x;
        }
        if x > 0.0 {
            x = x.exp();
        } else {
            x = x * 3.0;
        }
        x
    }

    check!(cond_var_changed_in_branch(1.2) = -4.319999999999999, { x: -7.199999999999999 });
    check!(cond_var_changed_in_branch(-0.7) = -2.0999999999999996, { x: 3.0 });
}

#[test]
fn if_on_index() {
    #[backprop]
    fn if_on_index(x: f64, y: f64) -> f64 {
        let mut s = 0.0;
        for n in 0..12 {
            let f = if n < 4 { 1.0 } else { x * y };
            s += f * y;
        }
        s
    }

    check!(if_on_index(1.2, 0.5) = 4.4, { x: 2.0, y: 13.6 });
    check!(if_on_index(-1.0, 2.0) = -24.0, { x: 32.0, y: -28.0 });
}

#[test]
fn if_without_else_loop() {
    #[backprop]
    fn if_without_else_loop(x: f64) -> f64 {
        let mut s = x;
        for i in 0..6 {
            if i % 2 == 0 {
                s = s * x;
            } else {
                s += x * i as f64;
            }
            if s > 2.0 {
                s *= 0.5;
            }
        }
        s
    }

    check!(if_without_else_loop(0.9) = 3.2037750000000003, { x: 5.1865000000000006 });
    check!(if_without_else_loop(1.4) = 4.440799999999999, { x: 4.07675 });
    check!(if_without_else_loop(-0.8) = -2.1824, { x: 0.0719999999999996 });
}

#[test]
fn logadd_of_four() {
    #[backprop]
    fn logadd_of_four(a: f64, b: f64) -> f64 {
        if a == f64::NEG_INFINITY {
            b
        } else if b == f64::NEG_INFINITY {
            a
        } else if b > a {
            b + (1.0 + (a - b).exp()).ln()
        } else {
            a + (1.0 + (b - a).exp()).ln()
        }
    }

    check!(logadd_of_four(0.3, 1.1) = 1.4711006659477779, { a: 0.31002551887238755, b: 0.6899744811276125 });
    check!(logadd_of_four(2.0, -0.5) = 2.0788897342925496, { a: 0.9241418199787564, b: 0.07585818002124355 });
}

// A binding of `match` is another name for the scrutinee.
#[test]
fn match_float_guard() {
    #[backprop]
    fn match_float_guard(x: f64) -> f64 {
        match x {
            v if v < -1.0 => v * v,
            v if v < 1.0 => v.exp(),
            v => v.ln() + 2.0 * x,
        }
    }

    check!(match_float_guard(-2.0) = 4.0, { x: -4.0 });
    check!(match_float_guard(0.5) = 1.6487212707001282, { x: 1.6487212707001282 });
    check!(match_float_guard(3.0) = 7.09861228866811, { x: 2.3333333333333335 });
}

#[test]
fn match_int() {
    #[backprop]
    fn match_int(x: f64, k: usize) -> f64 {
        match k {
            0 => x,
            1 | 2 => x * x,
            3..=5 => x.sin(),
            n if n % 2 == 0 => x * n as f64,
            _ => 1.0,
        }
    }

    check!(match_int(0.9, 0) = 0.9, { x: 1.0 });
    check!(match_int(1.4, 2) = 1.9599999999999997, { x: 2.8 });
    check!(match_int(0.8, 4) = 0.7173560908995228, { x: 0.6967067093471654 });
    check!(match_int(0.8, 8) = 6.4, { x: 8.0 });
    check!(match_int(0.8, 9) = 1.0, { x: 0.0 });
}

#[test]
fn minmod_limiter() {
    #[backprop]
    fn minmod_limiter(a: [f64; 5]) -> f64 {
        let mut s = 0.0;
        for i in 1..4 {
            let l = a[i] - a[i - 1];
            let r = a[i + 1] - a[i];
            let m = if l * r <= 0.0 {
                0.0
            } else if l.abs() < r.abs() {
                l
            } else {
                r
            };
            s += (a[i] + 0.5 * m).powi(2);
        }
        s
    }

    check!(minmod_limiter([0.0, 1.0, 2.5, 2.0, 3.1]) = 12.5, { a: [-1.5, 4.5, 5.0, 4.0, 0.0] });
    check!(minmod_limiter([0.11, 0.94, 2.185, 1.77, 2.683]) = 9.74315, { a: [-1.355, 4.0649999999999995, 4.37, 3.54, 0.0] });
}

// `z` comes from another place on each path, one of which leaves it alone.
#[test]
fn nested_if_merge() {
    #[backprop]
    fn nested_if_merge(x: f64, y: f64) -> f64 {
        let mut z = x;
        if x > 0.0 {
            if y > 1.0 {
                z = x * y;
            } else if y > 0.0 {
                z *= 3.0;
                z += y;
            }
            z = z * z;
        } else {
            z -= y;
        }
        z + x * y
    }

    check!(nested_if_merge(1.2, 2.0) = 8.16, { x: 11.6, y: 6.96 });
    check!(nested_if_merge(1.2, 0.5) = 17.41, { x: 25.099999999999998, y: 9.4 });
    check!(nested_if_merge(-0.7, 0.4) = -1.38, { x: 1.4, y: -1.7 });
}

#[test]
fn option_if_let() {
    #[backprop]
    fn option_if_let(x: f64, y: f64) -> f64 {
        let o: Option<f64> = if x > 0.0 { Some(x * y) } else { None };
        if let Some(v) = o { v * v } else { y.sin() }
    }

    check!(option_if_let(1.2, 0.5) = 0.36, { x: 0.6, y: 1.44 });
    check!(option_if_let(-1.0, 0.5) = 0.479425538604203, { x: 0.0, y: 0.8775825618903728 });
}

#[test]
fn question_mark_option() {
    #[backprop]
    fn question_mark_option(x: f64, y: f64) -> f64 {
        fn inner(x: f64, y: f64) -> Option<f64> {
            let v = if x > 0.0 { Some(x.ln()) } else { None }?;
            Some(v * y)
        }
        inner(x, y).unwrap_or(x * y)
    }

    check!(question_mark_option(1.2, 0.5) = 0.0911607783969773, { x: 0.4166666666666667, y: 0.1823215567939546 });
    check!(question_mark_option(-1.0, 0.5) = -0.5, { x: 0.5, y: -1.0 });
}

#[test]
fn short_circuit_effects() {
    #[backprop]
    fn short_circuit_effects(mut x: f64, y: f64) -> f64 {
        let mut n = 0;
        if x > 1.0 && {
            x *= 2.0;
            n += 1;
            x > 3.0
        } {
            x = x * y;
        }
        if y > 1.0 || {
            x += y * y;
            x > 0.0
        } {
            x = x.sin();
        }
        x + n as f64 * y
    }

    check!(short_circuit_effects(2.0, 0.4) = 1.3821543171376185, { x: -0.15046147111430416, y: 0.09723117331417501 });
    check!(short_circuit_effects(1.2, 2.0) = 2.675463180551151, { x: -1.4747874310824909, y: 1.0 });
    check!(short_circuit_effects(0.5, 0.4) = 0.6131168519734338, { x: 0.7899922314973651, y: 0.6319937851978921 });
}

#[test]
fn tbr_false_branch() {
    #[backprop(allow(piecewise_constant))]
    fn tbr_false_branch(x: f64, c: f64) -> f64 {
        let mut t = x * x;
        let r = if c > 0.0 { t + 1.0 } else { t * t };
        t = 5.0;
        r * t
    }

    check!(tbr_false_branch(1.5, 1.0) = 16.25, { x: 15.0, c: 0.0 });
    check!(tbr_false_branch(1.5, -1.0) = 25.3125, { x: 67.5, c: 0.0 });
}

#[test]
fn let_chains() {
    #[backprop]
    fn let_chains(x: f64, v: &[f64], k: Option<usize>, flag: bool) -> f64 {
        let y = if let Some(i) = k
            && i < v.len()
            && let z = v[i] * x
            && z > 1.0
        {
            z * z
        } else if flag && let Some(j) = k {
            x * j as f64
        } else {
            -x
        };
        let mut s = 0.0;
        let mut n = 3;
        let mut stack = vec![x, x * x, 1.0];
        while let Some(top) = stack.pop()
            && n > 0
        {
            s += top * y;
            n -= 1;
            if let Some(i) = k
                && i == 7
            {
                break;
            }
        }
        if let Some(i) = k
            && i > 0
        {
            s *= 2.0;
        }
        s
    }

    check!(let_chains(1.5, &[1.0, 0.3], None, true) = -7.125, { x: -10.75, v: [0.0, 0.0] });
    check!(let_chains(1.5, &[1.0, 0.3], Some(0), true) = 10.6875, { x: 23.25, v: [21.375, 0.0] });
    check!(let_chains(1.5, &[1.0, 0.3], Some(1), true) = 14.25, { x: 21.5, v: [0.0, 0.0] });
    check!(let_chains(1.5, &[1.0, 0.3], Some(7), true) = 21.0, { x: 14.0, v: [0.0, 0.0] });
    check!(let_chains(1.5, &[1.0, 0.3], Some(7), false) = -3.0, { x: -2.0, v: [0.0, 0.0] });
}

// What the inner branch hands out backwards is a value of the forward pass as it stands: `0.1 * s` is the slope of `hi`.
#[test]
fn primal_value_as_an_adjoint() {
    #[backprop]
    fn schmitt(sig: &[f64; 3], lo: f64, hi: f64) -> f64 {
        let (mut on, mut e, mut last) = (false, 0.0, 0.0);
        for &s in sig {
            let was = on;
            on = if on { s > lo } else { s > hi };
            if on ^ was {
                last = s;
            }
            if on {
                e += (s - last) * (s - lo);
            } else if !was {
                e += 0.1 * s * hi;
            }
        }
        e
    }

    check!(schmitt(&[0.1, 0.9, 0.5], 0.3, 0.8) = -0.072, { sig: [0.08, -0.2, -0.2], lo: 0.4, hi: 0.01 });
}
