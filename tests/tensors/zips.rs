//! `Zip` over subviews and with indices, `azip!`, maps that read tensors, accumulated axes, triangles.

use backprop::backprop;
use ndarray::*;

functions! {
    fn zip_rows(z, v, k) {
        let mut o = Array1::<f64>::zeros(4);
        Zip::from(&mut o)
            .and(z.rows())
            .for_each(|o, r| *o = r.dot(&r));
        (&o * v).sum() * k
    }

    fn zip_rows_collect(z, v, k) {
        let o = Zip::from(z.rows()).and(v).map_collect(|r, &b| r.sum() * b);
        (&o * v).sum() * k
    }

    fn zip_indexed(z, v, k) {
        let mut o = Array2::<f64>::zeros((4, 4));
        Zip::indexed(&mut o).and(z).for_each(|(i, j), o, &a| {
            *o = a * (i as f64 + 2.0 * j as f64) * k + v[i];
        });
        (&o * &o).sum()
    }

    fn zip_indexed1(z, v, k) {
        let o = Zip::indexed(v).map_collect(|i, &a| a * i as f64 * k + z[[i, 0]]);
        o.dot(v)
    }

    fn zip_mut_rows(z, v, k) {
        let mut a = z.clone();
        Zip::from(a.rows_mut()).and(v).for_each(|mut r, &b| {
            r *= b;
            r += k;
        });
        (&a * &a).sum()
    }

    fn zip_outer(z, v, k) {
        let mut a = z.clone();
        Zip::from(a.outer_iter_mut())
            .and(z.columns())
            .for_each(|mut r, c| r.scaled_add(k, &c));
        (&a * &a).sum() + v.sum()
    }

    fn azip1(z, v, k) {
        let mut o = z.clone();
        azip!((o in &mut o, &a in z, &b in &z.t()) *o = *o * b + a * k);
        (&o * &o).sum() + v.sum()
    }

    fn azip2(z, v, k) {
        let mut o = Array1::<f64>::zeros(4);
        azip!((o in &mut o, r in z.rows(), &b in v) { *o = r.sum() * b; });
        o.dot(v) * k
    }

    fn azip3(z, v, k) {
        let mut o = z.clone();
        azip!((index (i, j), o in &mut o, &a in &z.t()) { *o *= a * (i * 4 + j) as f64 + k; });
        o.sum() + v.sum()
    }

    fn azip4(z, v, k) {
        let mut t = 0.0;
        azip!((&a in v, r in z.outer_iter()) t += a * r.sum() * k);
        t
    }

    fn azip5(z, v, k) {
        let mut o = z.clone();
        for _ in 0..2 {
            azip!((mut r in o.rows_mut(), &b in v) r *= b);
        }
        let add = |o: &mut Array2<f64>| {
            azip!((a in o) *a += k);
        };
        add(&mut o);
        (&o * &o).sum()
    }

    fn product_axis_(z, v, k) {
        z.product_axis(Axis(0)).sum() * k + (z.product_axis(Axis(1)) * v).sum()
    }

    fn tri_(z, v, k) {
        (z.triu(1) * k).sum() + z.tril(-1).dot(v).sum() + (z.tril(0) * z.triu(0)).sum()
    }

    fn deg(z, v, k) {
        z.to_radians().sum() + v.to_degrees().sum() * k
    }

    fn cumulative(z, v, k) {
        let mut c = v.clone();
        c.accumulate_axis_inplace(Axis(0), |&p, cur| *cur += p);
        (&c * &c).sum() * k + z.sum()
    }

    fn cumulative2(z, v, k) {
        let mut c = z.clone();
        c.accumulate_axis_inplace(Axis(1), |&p, cur| *cur = *cur * p + k);
        (&c * &c).sum() + v.sum()
    }

    fn opt_unwrap_or(z, v, k) {
        z.mean().unwrap_or(0.0) * k
            + v.mean().expect("not empty")
            + z.slice(s![0..0, ..]).mean().unwrap_or(k * k)
    }

    fn as_slices(z, v, k) {
        let s = v.as_slice().unwrap();
        let mut t = 0.0;
        for i in 1..s.len() {
            t += s[i] * s[i - 1];
        }
        t * k + z.sum() + s.iter().map(|x| x * x).sum::<f64>()
    }

    fn zip_fold_(z, v, k) {
        Zip::from(z)
            .and(&z.t())
            .fold(0.0, |t, &a, &b| t + a * b * k)
            + Zip::from(v)
                .and(z.rows())
                .fold(k, |t, a, r| t + a * r.sum())
    }

    fn iter_zip_fold(z, v, k) {
        z.iter()
            .zip(z.t().iter())
            .fold(k, |t, (a, b)| 0.9 * t + a * b)
            + v.iter()
                .zip(z.rows())
                .map(|(a, r)| a * r.dot(v))
                .sum::<f64>()
    }

    fn map_tensors(z, v, k) {
        let w = v.mapv(|x| z.mapv(|y| (x - y).powi(2) * k).sum());
        w.dot(v)
    }

    fn kernel(z, v, k) {
        let g = Array2::from_shape_fn((4, 4), |(i, j)| {
            let d = &z.row(i) - &z.row(j);
            (-d.dot(&d) * k).exp()
        });
        v.dot(&g.dot(v))
    }

    fn windows_zip(z, v, k) {
        let mut o = Array2::<f64>::zeros((3, 3));
        let w = z.slice(s![..2, ..2]);
        Zip::from(&mut o)
            .and(z.windows((2, 2)))
            .for_each(|o, p| *o = (&p * &w).sum());
        (&o * &o).sum() * k + v.sum()
    }

    fn cond_zip(z, v, k) {
        let mut n = 0.0;
        Zip::from(z)
            .and(&z.t())
            .for_each(|&a, &b| if a > b { n += a * k } else { n -= b });
        n + v.sum()
    }

    fn var_empty(z, v, k) {
        z.var_axis(Axis(0), 1.0).dot(v) * k + z.var(0.0)
    }

    fn early(z, v, k) {
        if z[[0, 0]] > 5.0 {
            return k;
        }
        let n = z.dot(v);
        if n.sum() > 100.0 {
            return n.sum();
        }
        n.dot(&n) * k
    }
}
