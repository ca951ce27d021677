//! What is easily got wrong: arrays copied, replaced and overwritten, the same array twice, shapes that change, views that run backwards.

use backprop::backprop;
use ndarray::{Axis, concatenate, s, stack};

functions! {
    fn copied_and_changed(z, v, k) {
        let mut b = z.clone();
        b += z;
        b[[0, 1]] = k * b[[0, 0]];
        b.row_mut(2).assign(v);
        b *= &b.clone();
        (&b * z).sum() * k
    }

    fn assigned_in_branches(z, v, k) {
        let mut a = z * k;
        let b = z + v;
        if k > 1.0 {
            a = b;
        } else {
            a += &b;
        }
        a[[1, 1]] *= k;
        (&a * &a).sum()
    }

    fn replaced_behind_a_view(z, v, k) {
        let mut a = z * k;
        let r = a.row(1).to_owned();
        a = &a * &a;
        a.row_mut(1).fill(0.0);
        (&r * &r).sum() + a.sum() * k + (&a.row(1) * v).sum()
    }

    fn broadcast_both_ways(z, v, k) {
        let c = v.view().insert_axis(Axis(1));
        let r = v.view().insert_axis(Axis(0));
        let o = &c * &r;
        let m = &o + z;
        (&m * &m * &c * k).sum() + (&r + &c).sum()
    }

    fn products_with_zeros(z, v, k) {
        let mut w = v.to_owned();
        w[1] = 0.0;
        w[2] *= k;
        w.product() + {
            let mut u = z.row(1).to_owned();
            u[0] = 0.0;
            u[1] = z[[0, 0]] * z[[0, 0]] ;
            u.product() * k
        }
    }

    fn concatenated_twice(z, v, k) {
        let a = concatenate![Axis(0), z.view(), z.view(), (z * k).view()];
        let w = concatenate![Axis(0), v.view(), v.view(), v.view(), v.view()];
        let b = stack![Axis(0), v.view(), v.view()];
        let m = a.t().dot(&a);
        (&m * &m).sum() * 0.01 + (&b * &b * k).sum() + w.dot(&w)
    }

    fn times_itself(z, v, k) {
        let a = z.dot(z);
        let b = z.t().dot(z);
        let c = z.dot(&z.t());
        v.dot(v) * k + (&a + &b).sum() + (&c * &c).sum() * k + z.dot(v).dot(&z.dot(v)) + a.t().dot(&a).sum()
    }

    fn shrinks(z, v, k) {
        let mut a = z.to_owned();
        let mut t = 0.0;
        for i in 0..z.nrows() {
            let b = a.slice(s![.., 1..]).to_owned();
            t += (&b * &b).sum() * k;
            a = b * v[i];
        }
        t + a.sum()
    }

    fn grows(z, v, k) {
        let mut a = v.to_owned();
        for i in 0..z.nrows() {
            let r = z.row(i);
            a = concatenate![Axis(0), a.view(), r];
            a = &a * k;
        }
        (&a * &a).sum()
    }

    fn nested_loops(z, v, k) {
        let mut h = v.to_owned();
        let mut l = 0.0;
        for i in 0..z.nrows() {
            let mut c = h.clone();
            for j in 0..z.ncols() {
                c[j] = (c[j] * z[[i, j]] + h[i] * k).tanh();
                l += c[j] * h[j];
            }
            h = &c * &h + z.row(i);
            l *= k;
        }
        l + h.sum()
    }

    fn overlapping_parts(z, v, k) {
        let mut a = z.to_owned();
        a.slice_mut(s![1..3, ..]).assign(v);
        a.slice_mut(s![2..4, 1..3]).fill(k);
        a.column_mut(0).assign(&(v * k));
        (&a * &a * z).sum()
    }

    fn backwards_views(z, v, k) {
        let r = v.slice(s![..;-1]);
        let m = z.slice(s![..;-1, ..;2]);
        let w = z.slice(s![1.., 1..;-2]);
        (&r * v).sum() * k + (&m * &m).sum() + w.sum() * w[[0, 1]] * k + m.dot(&m.t().dot(&r).slice(s![..2])).sum()
    }

    fn scan(z, v, k) {
        let mut c = v.to_owned();
        for i in 1..v.len() {
            c[i] = c[i - 1] * k + c[i] * c[i];
        }
        (&c * z).sum() * c[3]
    }

    fn selected_twice(z, v, k) {
        let a = z.select(Axis(0), &[1, 1, 3]);
        let b = z.select(Axis(1), &[0, 0]);
        (&a * &a).sum() * k + (&b * &b).sum() + a.dot(v).sum()
    }

    fn wrong_axis(z, v, k) {
        let m = z.fold_axis(Axis(0), f64::NEG_INFINITY, |&m, &v| m.max(v));
        let e = (z - &m).mapv(f64::exp);
        let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
        (&p * &p * k).sum() + (&e * v).sum()
    }

    fn used_beyond_the_softmax(z, v, k) {
        let m = z.fold_axis(Axis(1), f64::NEG_INFINITY, |&m, &v| m.max(v)).insert_axis(Axis(1));
        let e = (z - &m).mapv(f64::exp);
        let t = e.sum_axis(Axis(1)).insert_axis(Axis(1));
        let p = &e / &t;
        (&p * z).sum() * k + (&m * &m).sum() + t.mapv(|v| v.ln()).sum() * k + (&e * v).sum()
    }

    fn early_returns(z, v, k) {
        let a = z.dot(v);
        if a.sum() > 100.0 {
            return a[0];
        } else if k > 1.2 {
            let b = &a * k;
            if b[0] > 50.0 {
                return b[1];
            }
            return b.dot(&a);
        }
        a.sum()
    }
}
