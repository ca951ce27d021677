//! What loops run over, and what iterators make of it: rows to change, windows, chunks, elements with their indices, collected vectors.

use backprop::backprop;
use ndarray::{Array1, Array2, Axis, Order, Slice, Zip, arr1, array};

functions! {
    fn folded_to_tuples(z, v, k) {
        let (s, p) = v.iter().fold((0.0, k), |(s, p), &x| (s + x * x, p * x));
        let (a, (b, n)) = z.rows().into_iter().fold((v.clone(), (1.0, 0usize)), |(a, (b, n)), r| {
            (a * k + &r, (b * r[0], n + 1))
        });
        let (m, q) = (0..3).fold((s, p), |(m, q), i| (m * v[i], q + m));
        s * p + a.sum() * b * n as f64 + m * q
    }

    fn constants_with_closures(z, v, k) {
        let picked = [true, false, true, true];
        let mut s = k;
        for i in (0..v.len()).filter(|&i| picked[i]) {
            s += v[i] * z[[i, 0]];
        }
        for (n, i) in (0..4).map(|i| (i * 3) % 4).enumerate() {
            s = s * v[i] + n as f64;
        }
        if picked.iter().any(|&p| p) && (0..2).all(|i| picked[i] || i == 1) {
            s *= k;
        }
        s + (0..v.len()).filter(|i| i % 2 == 0).map(|i| v[i].sin()).sum::<f64>()
    }

    fn arrays_of_floats(z, v, k) {
        let a = arr1(&[v[0], k, 2.0]);
        let b = ndarray::arr2(&[[v[0], k, 2.0], [k * k, z[[0, 1]], v[2]]]);
        let c = array![[k, v[0]], [1.0, z[[1, 1]]]];
        b.dot(&a).dot(&c.row(0))
    }

    fn rows_mut(z, v, k) {
        let mut a = z * k;
        for mut r in a.rows_mut() {
            r *= v;
            r += k;
        }
        (&a * &a).sum()
    }

    fn axis_iter_mut(z, v, k) {
        let mut a = z * k;
        for (i, mut r) in a.axis_iter_mut(Axis(1)).enumerate() {
            r += &(v * i as f64);
            r[0] *= k;
        }
        (&a * &a).sum()
    }

    fn outer_iter_mut_zip(z, v, k) {
        let mut a = z * k;
        for (mut r, x) in a.outer_iter_mut().zip(v.iter()) {
            r *= *x;
        }
        (&a * &a).sum()
    }

    fn rows_mut_zip_rows(z, v, k) {
        let mut a = z * k;
        for (mut r, q) in a.rows_mut().into_iter().zip(z.rows()) {
            r += &(&q * &q);
        }
        (&a * &a).sum()
    }

    fn iter_mut_zip(z, v, k) {
        let mut a = v * k;
        for (x, y) in a.iter_mut().zip(v.iter()) {
            *x = *x * y + z[[0, 0]];
        }
        (&a * &a).sum()
    }

    fn indexed_iter(z, v, k) {
        let mut s = 0.0;
        for ((i, j), &x) in z.indexed_iter() {
            s += x * x * v[i] * k + (j as f64) * x;
        }
        s
    }

    fn indexed_iter_map(z, v, k) {
        z.indexed_iter()
            .map(|((i, j), &x)| x * k * (i as f64) - (j as f64) * x * x)
            .sum::<f64>()
    }

    fn iter_zip_sum(z, v, k) {
        v.iter()
            .zip(v.iter().skip(1))
            .map(|(a, b)| (a - b) * (a - b))
            .sum::<f64>()
            * k
    }

    fn iter_rev_windows(z, v, k) {
        let mut s = 0.0;
        for w in v.windows(2) {
            s += (w[1] - w[0]).powi(2);
        }
        s * k
    }

    fn exact_chunks(z, v, k) {
        let mut s = 0.0;
        for c in z.exact_chunks((2, 2)) {
            s += c.sum() * c[[0, 0]] * k;
        }
        s
    }

    fn windows2(z, v, k) {
        let mut s = 0.0;
        for w in z.windows((2, 2)) {
            s += w.sum().powi(2);
        }
        s * k
    }

    fn chunks(z, v, k) {
        let mut s = 0.0;
        for c in z.axis_chunks_iter(Axis(0), 2) {
            s += c.sum() * c[[0, 0]] * k;
        }
        s
    }

    fn lanes_axis(z, v, k) {
        let mut s = 0.0;
        for l in z.lanes(Axis(0)) {
            s += l.dot(v) * l.dot(v);
        }
        s * k
    }

    fn into_iter_owned(z, v, k) {
        let a = z * k;
        let mut s = 0.0;
        for x in a {
            s += x * x;
        }
        s
    }

    fn iter_axis_map_sum(z, v, k) {
        z.rows().into_iter().map(|r| r.dot(v)).sum::<f64>()
            + z.outer_iter().map(|r| r.sum() * r[0]).sum::<f64>()
    }

    fn collect_rows(z, v, k) {
        let d: Vec<f64> = z.rows().into_iter().map(|r| r.dot(v)).collect();
        let m = Array1::from(d);
        (&m * &m).sum() * k
    }

    fn from_iter(z, v, k) {
        let m = Array1::from_iter(v.iter().map(|x| x * k));
        (&m * v).sum()
    }

    fn collect_array(z, v, k) {
        let m: Array1<f64> = v.iter().map(|x| x * k).collect();
        m.dot(v)
    }

    fn from_shape_fn(z, v, k) {
        let m = Array2::from_shape_fn((4, 4), |(i, j)| v[i] * v[j] + k * (i + j) as f64);
        (&m * &m).sum()
    }

    fn from_vec(z, v, k) {
        let m = Array1::from_vec(vec![k, v[0], z[[1, 1]], k * k]);
        (m * v).sum()
    }

    fn array_macro(z, v, k) {
        let m = array![[k, v[0]], [z[[1, 1]], k * k]];
        m.dot(&m).sum()
    }

    fn arr_fn(z, v, k) {
        let m = arr1(&[k, v[0], 2.0, v[2] * k]);
        (m * v).sum()
    }

    fn map_axis_dot(z, v, k) {
        z.map_axis(Axis(1), |r| r.dot(v)).mapv(|x| x * x).sum()
    }

    fn swap_in_loop(z, v, k) {
        let (mut a, mut b) = (v.clone(), v * k);
        for _ in 0..3 {
            std::mem::swap(&mut a, &mut b);
            a = z.dot(&a) * 0.5;
        }
        a.sum() * 2.0 + b.sum()
    }

    fn mem_replace(z, v, k) {
        let mut a = z * k;
        let old = std::mem::replace(&mut a, z * v);
        (&old * &a).sum()
    }

    fn array_of_arrays(z, v, k) {
        let hs = [v.clone(), v * k];
        let mut s = 0.0;
        for h in &hs {
            s += z.dot(h).sum();
        }
        s + hs[0].dot(&hs[1])
    }

    fn reshape_order(z, v, k) {
        let f = z.to_shape(((2, 8), Order::ColumnMajor)).unwrap();
        f.row(0).sum() * k + f[[0, 1]]
    }

    fn split(z, v, k) {
        let (a, b) = z.view().split_at(Axis(0), 2);
        (&a * &b * k).sum() + a.sum()
    }

    fn last_first(z, v, k) {
        v.first().unwrap() * k + v.last().unwrap() * v[v.len() - 1]
    }

    fn get_elem(z, v, k) {
        z.get((1, 2)).unwrap() * k + v.get(0).copied().unwrap() + *v.get(1).unwrap()
    }

    fn slice_axis(z, v, k) {
        z.slice_axis(Axis(1), Slice::from(1..3))
            .mapv(|x| x * x)
            .sum()
            * k
    }

    fn closure_scalars(z, v, k) {
        let f = |x: f64| x * k + v[1];
        z.mapv(|x| f(x) * v[0]).sum() + f(2.0)
    }

    fn each_running(z, v, k) {
        let mut s = 1.0;
        let mut m = 0.0;
        Zip::from(z).and(&z.t()).for_each(|&x, &y| {
            s *= 1.0 + 0.1 * x;
            m += y * s;
        });
        m * k
    }

    fn zip_for_each_fold(z, v, k) {
        let mut s = 0.0;
        Zip::from(z).for_each(|&x| s += x * x * k);
        s * s
    }
}
