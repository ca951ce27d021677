//! `while`, `break`, `continue` and `return` in loops; integers and flags that loops change; deep branches.

use backprop::backprop;

functions! {
    fn while_loop(z, v, k) {
        let mut x = v.clone();
        let mut i = 0;
        while i < 3 {
            x = z.dot(&x) * k;
            i += 1;
        }
        x.sum()
    }

    fn while_norm(z, v, k) {
        let mut x = v * k;
        while x.dot(&x) < 20.0 {
            x = &x * 1.7 + &(z.dot(&x) * 0.1);
        }
        x.sum()
    }

    fn break_loop(z, v, k) {
        let mut s = 0.0;
        for r in z.rows() {
            let d = r.dot(v);
            if d > 0.3 {
                break;
            }
            s += d * k;
        }
        s + v.sum()
    }

    fn continue_loop(z, v, k) {
        let mut s = 0.0;
        for r in z.rows() {
            let d = r.dot(v);
            if d < 0.0 {
                continue;
            }
            s += d * d * k;
        }
        s + v.sum()
    }

    fn return_loop(z, v, k) {
        let mut s = k;
        for r in z.rows() {
            s += r.dot(v);
            if s > 1.0 {
                return s * s;
            }
        }
        s
    }

    fn loop_break(z, v, k) {
        let mut x = v.clone();
        let mut n = 0usize;
        loop {
            x = z.dot(&x) * 0.5;
            n += 1;
            if n == 4 || x.dot(&x) < 1e-3 {
                break;
            }
        }
        x.sum() * k * n as f64
    }

    fn while_newton(z, v, k) {
        let mut x = v.sum() + 3.0;
        let mut d = 1.0;
        while d > 1e-12 {
            let n = 0.5 * (x + k / x);
            d = (n - x).abs();
            x = n;
        }
        x * v.sum()
    }

    fn counter(z, v, k) {
        let mut n: usize = 0;
        let mut s = 0.0;
        for r in z.rows() {
            if r.sum() > 0.0 {
                n += 1;
                s += r[0] * k;
            }
        }
        s * n as f64
    }

    fn labelled(z, v, k) {
        let mut s = k;
        'o: for i in 0..z.nrows() {
            for j in 0..z.ncols() {
                if z[[i, j]] > 0.9 {
                    break 'o;
                }
                if z[[i, j]] < -0.5 {
                    continue 'o;
                }
                s += z[[i, j]] * s * 0.1;
            }
        }
        s
    }

    fn return_nested(z, v, k) {
        let mut s = k;
        for i in 0..z.nrows() {
            let mut j = 0;
            while j < v.len() {
                s += z[[i, j]] * v[j];
                if s > 1.5 {
                    return s * v[j];
                }
                j += 1;
            }
        }
        s * k
    }

    fn while_short_circuit(z, v, k) {
        let mut i = 0;
        let mut s = 0.0;
        while i < v.len() && v[i] != 0.5 {
            s += v[i] * k;
            i += 1;
        }
        s * v.sum()
    }

    fn while_index(z, v, k) {
        let mut i: usize = 0;
        let mut h = v.clone();
        while i < z.nrows() {
            h = &h * &z.row(i) + k;
            i += 2;
        }
        h.sum()
    }

    fn flag_used(z, v, k) {
        let mut found = false;
        let mut s = 0.0;
        for r in z.rows() {
            if r[0] > 0.2 {
                found = true;
                s += r.sum() * k;
            }
        }
        if found { s * s } else { k }
    }

    fn index_found(z, v, k) {
        let mut best = 0;
        let mut m = z[[0, 0]];
        for i in 1..z.nrows() {
            if z[[i, 0]] > m {
                m = z[[i, 0]];
                best = i;
            }
        }
        z.row(best).sum() * k + m
    }

    fn deep_branches(z, v, k) {
        let mut s = k;
        if v[0] > -2.0 {
            if v[1] > -2.0 {
                if v[2] > -2.0 {
                    if v[3] > -2.0 {
                        if k > 0.0 {
                            if k > 0.1 {
                                if k > 0.2 {
                                    if k > 0.3 {
                                        if k > 0.4 {
                                            if k > 0.5 {
                                                s *= v[0] * k;
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        s
    }

    fn many_returns(z, v, k) {
        if k < 0.0 {
            return 0.0;
        }
        if v[0] > 5.0 {
            return v[0];
        }
        if v[1] > 5.0 {
            return v[1];
        }
        if v[2] > 5.0 {
            return v[2];
        }
        if v[3] > 5.0 {
            return v[3];
        }
        if z[[0, 0]] > 5.0 {
            return k;
        }
        if z[[0, 1]] > 5.0 {
            return k;
        }
        if z[[0, 2]] > 5.0 {
            return k;
        }
        if z[[0, 3]] > 5.0 {
            return k * k;
        }
        z.dot(v).sum() * k
    }

    fn if_tuple(z, v, k) {
        let (a, s) = if z.sum() > 0.0 {
            (v * k, v.sum())
        } else {
            (v.clone(), k)
        };
        (&a * v).sum() * s
    }

    fn if_int(z, v, k) {
        let n: usize = if z.sum() > 0.0 { 2 } else { 1 };
        z.row(n).sum() * k * n as f64
    }

    fn lazy_init(z, v, k) {
        let h;
        if z.sum() > 0.0 {
            h = v * k;
        } else {
            h = v * 2.0;
        }
        (&h * v).sum()
    }

    fn loop_in_branch(z, v, k) {
        let mut h = v.clone();
        if k > 1.0 {
            for r in z.rows() {
                if r[0] < 0.0 {
                    continue;
                }
                h = &h * &r;
            }
        } else {
            while h.sum() < 3.0 {
                h += 1.0;
            }
        }
        h.sum()
    }

    fn branch_tensors(z, v, k) {
        let mut a = z.clone();
        let mut h = v.clone();
        for i in 0..3 {
            if h.sum() > 0.5 {
                a = &a * k;
                h = a.dot(&h) * 0.3;
            } else {
                h += v;
                a[[i, i]] = h[i];
            }
        }
        (&a * z).sum() + h.dot(v)
    }

    fn converge(z, v, k) {
        let mut x = v.clone();
        for i in 0..100 {
            let n = z.dot(&x).mapv(|e| (e * 0.2).tanh()) + v * k;
            let d = (&n - &x).mapv(|e| e * e).sum();
            x = n;
            if d < 1e-20 {
                break;
            }
            if i == 60 {
                return k;
            }
        }
        x.dot(v)
    }

    fn while_rows(z, v, k) {
        let mut s = 0.0;
        let mut i = z.nrows();
        while i > 0 {
            i -= 1;
            s = s * 0.5 + z.row(i).sum() * k;
        }
        s
    }

    fn armijo(z, v, k) {
        let g = z.dot(v);
        let mut t = k;
        let f0 = v.dot(v);
        loop {
            let x = v - &(&g * t);
            if x.dot(&x) < f0 || t < 0.01 {
                break;
            }
            t *= 0.5;
        }
        let x = v - &(&g * t);
        x.dot(&x)
    }
}
