//! Functions inside of functions, and closures that return early.

use backprop::backprop;
use ndarray::*;

functions! {
    fn inner(z, v, k) {
        fn square(x: f64) -> f64 {
            x * x
        }
        fn soft(x: f64) -> f64 {
            if x < 0.0 {
                return 0.1 * square(x);
            }
            square(x) + x
        }
        fn layer(w: &Array2<f64>, h: &Array1<f64>) -> Array1<f64> {
            w.dot(h).mapv(soft)
        }
        fn norm(h: &Array1<f64>) -> f64 {
            h.dot(h).sqrt()
        }
        norm(&layer(z, &layer(z, v))) + soft(v[0]) * square(k)
    }
    fn returns(z, v, k) {
        let y = z.mapv(|x| {
            if x > 0.0 {
                return x * x * k;
            }
            let w = x + 1.0;
            w * 3.0
        });
        let u = y.mapv(|x| x.sin()).mapv(|x| {
            let mut s = 0.0;
            for i in 0..3 {
                s += x;
                if s > 1.0 {
                    return s * x + i as f64;
                }
            }
            s
        });
        (&u * &y).sum() + v.sum()
    }
    fn returns_of_tensors(z, v, k) {
        let f = |w: &Array2<f64>| {
            if w.nrows() > 2 {
                return w.dot(v).sum();
            }
            w.sum() * k
        };
        f(z) + f(&z.slice(s![..2, ..]).to_owned())
    }
    fn indexed(z, v, k) {
        let mut w = z.clone();
        for ((i, j), x) in w.indexed_iter_mut() {
            *x *= if i > j { k } else { v[j] };
        }
        let mut s = 0.0;
        for &c in &[1.0, 2.0, 3.0][1..] {
            s += c * w.sum();
        }
        s + (&w * &w).sum()
    }
    fn alike(z, v, k) {
        let n = Array2::from_elem((2, 3), v[0] * k).sum() + arr0(k).sum();
        let m = z.mapv(|_| v[1]).sum() + z.mapv(|_| k * k).sum_axis(Axis(0))[1];
        let w = Array1::from_elem(3, k);
        n * m + w.dot(&w) + w.sum()
    }
}
