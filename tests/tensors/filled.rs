//! Arrays that loops fill: in place where no older version is read, by copies elsewhere.

use backprop::backprop;
use ndarray::*;

functions! {
    fn row_copies(z, v, k) {
        let mut a = z.clone();
        for i in 1..z.nrows() {
            let r = a.row(i - 1).to_owned();
            a.row_mut(i).assign(&(&r * k));
        }
        (&a * z).sum() + v.sum()
    }

    fn old_clone(z, v, k) {
        let mut a = z.clone();
        for i in 0..z.nrows() {
            let old = a.clone();
            a[[i, 0]] = old[[0, 0]] * old[[i, 1]] * k;
        }
        (&a * &a).sum() + v.sum()
    }

    fn in_place_scan(z, v, k) {
        let mut a = v.clone();
        for i in 1..z.nrows() {
            a[i] = a[i - 1] * a[i] + k;
        }
        a.dot(&a) + z.sum()
    }

    fn later_use(z, v, k) {
        let mut a = v.clone();
        let mut t = 0.0;
        for i in 0..z.nrows() {
            let x = a[i];
            a[i] = x * x * k;
            let y = a[i];
            a[i] = y + 1.0;
            t += x * y * a[i];
        }
        t + a.dot(v) + z.sum()
    }

    fn swaps(z, v, k) {
        let mut a = v.clone();
        for i in 0..z.nrows() / 2 {
            let t = a[i];
            a[i] = a[3 - i] * k;
            a[3 - i] = t;
        }
        a.dot(&z.row(0))
    }

    fn conditional(z, v, k) {
        let mut a = Array1::<f64>::zeros(4);
        for i in 0..z.nrows() {
            if v[i] > 0.0 {
                a[i] = v[i] * k;
            } else if i > 1 {
                a[i] = a[i - 1] + v[i];
                let p = 0;
                a[p] += k;
            }
        }
        a.dot(&a) + z.sum()
    }

    fn leaves(z, v, k) {
        let mut a = v.clone();
        for i in 0..z.nrows() {
            if i == 1 {
                continue;
            }
            a[i] *= k;
            if a.len() - 1 == i + 1 {
                break;
            }
            a[i + 1] += a[i];
        }
        a.dot(&a) + z.sum()
    }

    fn leaves2(z, v, k) {
        let mut a = v.clone();
        let mut i = 0;
        while i < 4 && a[i] < 10.0 {
            a[i] = a[i] * k + 1.0;
            i += 1;
            if i == 3 {
                break;
            }
        }
        a.dot(&a) + z.sum()
    }

    fn nothing_run(z, v, k) {
        let mut a = v.clone();
        for i in 4..v.len() {
            a[i] = k;
        }
        let mut b = z.clone();
        if k > 100.0 {
            b[[0, 0]] = k;
        }
        a.dot(&a) + b.dot(v).sum() * k
    }

    fn init_again(z, v, k) {
        let s = z.dot(v);
        let mut a = s.clone();
        for i in 0..z.nrows() {
            a[i] = s[i] * s[3 - i] + k * s.sum();
        }
        (&a * &s).sum()
    }

    fn restarts(z, v, k) {
        let mut t = 0.0;
        for e in 0..z.nrows() - 1 {
            let mut a = v * k;
            for i in 0..z.nrows() {
                a[i] += z[[e, i]] * a[i];
            }
            t += a.dot(&a);
        }
        t
    }

    fn restarts2(z, v, k) {
        let mut h = v.clone();
        for e in 0..z.nrows() - 1 {
            let mut a = h.clone();
            for i in 0..z.nrows() {
                a[i] = h[3 - i] * z[[e, i]];
            }
            h = a.mapv(f64::tanh) * k;
        }
        h.sum()
    }

    fn two_arrays(z, v, k) {
        let mut a = v.clone();
        let mut b = v * k;
        for i in 1..z.nrows() {
            a[i] += b[i - 1] * z[[i, i]];
            b[i] *= a[i];
        }
        a.dot(&b)
    }

    fn two_loops(z, v, k) {
        let mut a = v.clone();
        for i in 0..z.nrows() {
            a[i] *= k;
        }
        let m = a.mapv(|x| x.exp());
        for i in 0..z.nrows() - 1 {
            a[i] = m[i] * a[i + 1];
        }
        a.dot(&m) + z.sum()
    }

    fn alias_var(z, v, k) {
        let mut a = v.clone();
        let mut b = v.clone();
        for i in 0..z.nrows() {
            a[i] *= k;
            if i == 2 {
                b = a.clone();
            }
        }
        a.dot(&b) + z.sum()
    }

    fn alias_other(z, v, k) {
        let mut a = v.clone();
        for i in 0..z.nrows() - 1 {
            let mut c = a.clone();
            c[i] = k * c[i + 1];
            a[i] = c[i] + c.sum();
        }
        a.dot(v) + z.sum()
    }

    fn shadow_array(z, v, k) {
        let mut a = v.clone();
        for i in 0..z.nrows() - 1 {
            a[i] = a[i + 1] * k;
            let a = &a * 2.0;
            if a[i] > 100.0 {
                return a.sum();
            }
        }
        a.dot(v) + z.sum()
    }

    fn rows_then_read(z, v, k) {
        let mut o = Array2::<f64>::zeros((4, 4));
        for i in 0..z.nrows() {
            let r = z.row(i).mapv(|x| (x * k).sin());
            o.row_mut(i).assign(&r);
            let s = o[[i, 0]];
            o.column_mut(3).fill(s);
        }
        (&o * z).sum() + v.sum()
    }

    fn self_row(z, v, k) {
        let mut o = z.clone();
        for i in 0..z.nrows() - 1 {
            let n = &o.row(i + 1) * k;
            o.row_mut(i).assign(&n);
        }
        (&o * &o).sum() + v.sum()
    }

    fn scaled_rows(z, v, k) {
        let mut o = z.clone();
        for i in 0..z.nrows() {
            let mut r = o.row_mut(i);
            r *= v[i];
            r += k;
        }
        (&o * &o).sum()
    }

    fn triple(z, v, k) {
        let mut c = Array2::<f64>::zeros((4, 4));
        for i in 0..z.nrows() {
            for j in 0..z.nrows() {
                let mut s = 0.0;
                for l in 0..z.nrows() {
                    s += z[[i, l]] * z[[l, j]];
                }
                c[[i, j]] = s * k;
            }
        }
        (&c * &c).sum() + v.sum()
    }

    fn triple2(z, v, k) {
        let mut c = Array2::<f64>::zeros((4, 4));
        for i in 0..z.nrows() {
            for j in 0..z.nrows() {
                for l in 0..z.nrows() {
                    c[[i, j]] += z[[i, l]] * z[[l, j]] * c[[l, i]] + k;
                }
            }
        }
        c.mapv(f64::tanh).sum() + v.sum()
    }

    fn gauss_seidel(z, v, k) {
        let a = z.mapv(|x| x * 0.1) + Array2::<f64>::eye(4);
        let mut x = v.clone();
        for _ in 0..z.nrows() + 1 {
            for i in 0..z.nrows() {
                let mut s = v[i] * k;
                for j in 0..z.nrows() {
                    if j != i {
                        s -= a[[i, j]] * x[j];
                    }
                }
                x[i] = s / a[[i, i]];
            }
        }
        x.dot(&x)
    }

    fn lu(z, v, k) {
        let mut a = z + &(Array2::<f64>::eye(4) * 3.0);
        let mut d = k;
        for p in 0..z.nrows() {
            d *= a[[p, p]];
            for i in p + 1..z.nrows() {
                let f = a[[i, p]] / a[[p, p]];
                for j in p..z.nrows() {
                    a[[i, j]] -= f * a[[p, j]];
                }
            }
        }
        d.abs().ln() + v.sum()
    }

    fn branch_view(z, v, k) {
        let mut a = z.clone();
        if v[0] > -10.0 {
            for i in 0..z.nrows() {
                a[[i, i]] += k;
            }
        } else {
            a.row_mut(0).fill(k);
        }
        if v[1] > 10.0 {
            a = z * k;
        }
        (&a * &a).sum() + v.sum()
    }

    fn uses_len(z, v, k) {
        let mut a = Array1::<f64>::zeros(z.nrows());
        for i in 0..a.len() {
            let n = a.len() as f64;
            a[i] = z[[i, 0]] * n * k + a.shape()[0] as f64;
            assert!(a[i].is_finite());
        }
        a.dot(v)
    }

    fn fill_in_closure(z, v, k) {
        let mut a = v.clone();
        let mut put = |i: usize, x: f64| {
            a[i] = x * k;
        };
        for i in 0..z.nrows() - 1 {
            put(i, z[[i, i]]);
        }
        a.dot(v)
    }

    fn mapped_inside(z, v, k) {
        let mut a = v.clone();
        for i in 0..z.nrows() - 1 {
            a[i] = k * a.sum();
        }
        a.dot(&a) + z.sum()
    }
}
