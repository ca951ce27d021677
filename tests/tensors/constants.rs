//! Iterators of constants whose closures read values of the function, beside slices and arrays that are not differentiated.

use crate::agree::{close, numbers, slope};
use backprop::backprop;
use ndarray::*;

macro_rules! both {
    ($(fn $n:ident($z:ident, $v:ident, $k:ident, $xs:ident, $ys:ident) $b:block)*) => {
        $(
            #[backprop(wrt($z, $v, $k))]
            fn $n($z: &Array2<f64>, $v: &Array1<f64>, $k: f64, $xs: &[f64], $ys: &Array1<f64>) -> f64 $b
        )*

        #[test]
        fn against_differences() {
            let (z, v, k) = (numbers((4, 4), 1), numbers(4, 2), 1.3);
            let (xs, ys) = ([0.3, -0.7, 1.1, 0.2], numbers(4, 5));
            $({
                let (y, g) = $n::value_and_gradient(&z, &v, k, &xs, &ys);
                let n = stringify!($n);
                close(y, $n(&z, &v, k, &xs, &ys), 1e-12, n);
                for (i, &d) in g.$z.indexed_iter() {
                    let expected = slope(|h| {
                        let mut z = z.clone();
                        z[i] += h;
                        $n(&z, &v, k, &xs, &ys)
                    });
                    close(d, expected, 1e-8, n);
                }
                for (i, &d) in g.$v.indexed_iter() {
                    let expected = slope(|h| {
                        let mut v = v.clone();
                        v[i] += h;
                        $n(&z, &v, k, &xs, &ys)
                    });
                    close(d, expected, 1e-8, n);
                }
                close(g.$k, slope(|h| $n(&z, &v, k + h, &xs, &ys)), 1e-8, n);
                let (again, saved) = $n::forward(&z, &v, k, &xs, &ys);
                assert_eq!(again, y);
                let apart = $n::backward(&saved, 1.0);
                let error = (&apart.$z - &g.$z).mapv(f64::abs).sum() + (apart.$k - g.$k).abs();
                close(error, 0.0, 1e-12, n);
            })*
        }
    };
}

both! {
    fn slice_map(z, v, k, xs, ys) {
        xs.iter().map(|x| (x - k).powi(2)).sum::<f64>() + v.sum() + z.sum()
    }

    fn slice_zip(z, v, k, xs, ys) {
        xs.iter().zip(v.iter()).map(|(x, w)| x * w * k).sum::<f64>() + z.sum()
    }

    fn slice_zip2(z, v, k, xs, ys) {
        v.iter().zip(xs).map(|(w, x)| x * w * k).sum::<f64>() + z.sum()
    }

    fn range_map(z, v, k, xs, ys) {
        (0..4).map(|i| v[i] * z[[i, i]] * k).sum::<f64>()
    }

    fn range_n(z, v, k, xs, ys) {
        let n = v.len();
        (0..n).map(|i| v[i] * xs[i] * k).sum::<f64>()
            + (1..n).rev().map(|i| z[[i, 0]] * v[i - 1]).product::<f64>()
    }

    fn range_fold(z, v, k, xs, ys) {
        (0..v.len()).fold(k, |t, i| t * 0.5 + v[i] * z[[0, i]])
    }

    fn range_collect(z, v, k, xs, ys) {
        let a: Array1<f64> = (0..4).map(|i| v[i] * k + xs[i]).collect();
        let b = Array1::from_iter((0..4).map(|i| z.row(i).sum()));
        a.dot(&b)
    }

    fn range_vec(z, v, k, xs, ys) {
        let a: Vec<f64> = (0..4).map(|i| v[i] * k + xs[i]).collect();
        let mut t = 0.0;
        for x in &a {
            t += x * x;
        }
        t + a[0] + z.sum() + Array1::from(a).dot(v)
    }

    fn range_vec2(z, v, k, xs, ys) {
        let a = (0..4).map(|i| z[[i, 1]] * k).collect::<Vec<f64>>();
        let b = Array1::from_vec(a);
        b.dot(v)
    }

    fn const_array(z, v, k, xs, ys) {
        (ys * k).dot(v)
            + (ys - v).mapv(|e| e * e).sum()
            + z.dot(ys).sum()
            + ys.iter().map(|y| y * k).sum::<f64>()
    }

    fn max_by(z, v, k, xs, ys) {
        let m = v.iter().cloned().fold(f64::MIN, f64::max);
        let i = xs.iter().position(|&x| x > 0.5).unwrap_or(0);
        m * k + v[i] + z.sum()
    }

    fn flat(z, v, k, xs, ys) {
        let mut t = 0.0;
        for (i, r) in z.outer_iter().enumerate() {
            for (j, x) in r.iter().enumerate() {
                t += x * v[j] * xs[i] * k;
            }
        }
        t
    }

    fn chunked(z, v, k, xs, ys) {
        let mut t = 0.0;
        for c in xs.chunks(2) {
            t += c[0] * k + c[1] * v[0];
        }
        for w in xs.windows(2) {
            t += (w[1] - w[0]) * z[[0, 0]];
        }
        t
    }

    fn last_loop(z, v, k, xs, ys) {
        let mut best = v[0];
        for i in 1..4 {
            if v[i] > best {
                best = v[i];
            }
        }
        best * k + z.sum()
    }

    fn argmax(z, v, k, xs, ys) {
        let mut bi = 0;
        for i in 1..4 {
            if v[i] > v[bi] {
                bi = i;
            }
        }
        v[bi] * k + z.row(bi).sum()
    }

    fn scan_like(z, v, k, xs, ys) {
        let mut acc = 0.0;
        let c = v.mapv(|x| x * k);
        let mut out = Array1::zeros(4);
        for (o, x) in out.iter_mut().zip(c.iter()) {
            acc += x;
            *o = acc;
        }
        out.dot(&out) + z.sum()
    }

    fn arr_(z, v, k, xs, ys) {
        let mut outs = [0.0; 4];
        for i in 0..4 {
            outs[i] = z[[i, i]] * v[i] * k;
        }
        outs[0] += 1.0;
        let mut t = 0.0;
        for o in outs.iter() {
            t += o * o;
        }
        t + outs[2]
    }

    fn vec_(z, v, k, xs, ys) {
        let n = v.len();
        let mut c = vec![0.0; n];
        let mut s: Vec<f64> = vec![k; n];
        for i in 1..n {
            c[i] = c[i - 1] * k + v[i] * xs[i];
            s[i] *= c[i];
        }
        c.iter().zip(s.iter()).map(|(a, b)| a * b).sum::<f64>() + z.sum()
    }

    fn consts_stay(z, v, k, xs, ys) {
        let mut w = [0.0; 3];
        w[1] = 2.0;
        let count = [0; 2];
        let b = [1.0, 2.0];
        let mut m = vec![0.0f64; xs.len()];
        for i in 0..xs.len() {
            m[i] = xs[i] * 2.0;
        }
        z.sum() * w[1] * m[2] + v.sum() * b[0] * k + m.iter().sum::<f64>() * k
    }
}
