//! Arrays of three axes, of a number of axes that is not known, of none.

use crate::agree::{close, numbers, slope};
use backprop::backprop;
use ndarray::*;

/// Differences of a function of one array of any dimension, in several layouts.
fn any<D: Dimension>(
    name: &str,
    x: &Array<f64, D>,
    f: impl Fn(&Array<f64, D>) -> f64,
    g: impl Fn(&Array<f64, D>) -> (f64, Array<f64, D>),
) {
    let mut columns = Array::<f64, D>::zeros(x.raw_dim().f());
    columns.assign(x);
    for x in [x.clone(), columns] {
        let (y, d) = g(&x);
        close(y, f(&x), 1e-12, name);
        assert_eq!(d.shape(), x.shape());
        let n = x.len();
        for k in 0..n {
            let e = slope(|h| {
                let mut x = x.clone();
                *x.iter_mut().nth(k).unwrap() += h;
                f(&x)
            });
            close(*d.iter().nth(k).unwrap(), e, 1e-7, &format!("{name} [{k}]"));
        }
    }
}

macro_rules! of3 {
    ($(fn $n:ident($x:ident: $T:ty) $b:block)*) => {
        $(
            #[backprop]
            fn $n($x: &$T) -> f64 $b
        )*

        #[test]
        fn three_axes() {
            let x = numbers((2, 3, 4), 7);
            $({
                let fused = |x: &Array3<f64>| {
                    let (y, g) = $n::value_and_gradient(x);
                    (y, g.$x)
                };
                let apart = |x: &Array3<f64>| {
                    let (y, saved) = $n::forward(x);
                    (y, $n::backward(&saved, 1.0).$x)
                };
                any(stringify!($n), &x, |x| $n(x), fused);
                any(stringify!($n), &x, |x| $n(x), apart);
            })*
        }
    };
}

of3! {
    fn zip_rows3(x: Array3<f64>) {
        let mut o = Array2::<f64>::zeros((2, 3));
        Zip::from(&mut o)
            .and(x.rows())
            .for_each(|o, r| *o = r.sum().powi(2));
        o.sum()
    }

    fn rows3(x: Array3<f64>) {
        let mut t = 0.0;
        for r in x.rows() {
            t += r.dot(&r).sqrt();
        }
        for l in x.lanes(Axis(1)) {
            t += l.sum().powi(3);
        }
        for (i, l) in x.lanes(Axis(0)).into_iter().enumerate() {
            t += l.sum().powi(2) * i as f64;
        }
        t
    }

    fn cols3(x: Array3<f64>) {
        let c = Zip::from(x.columns()).map_collect(|c| c.dot(&c) + c[0]);
        (&c * &c).sum()
    }

    fn rows_mut3(x: Array3<f64>) {
        let mut a = x.clone();
        for mut r in a.rows_mut() {
            let s = r.sum();
            r /= s * s + 1.0;
        }
        Zip::from(a.lanes_mut(Axis(0))).for_each(|mut l| {
            let f = l[0];
            l *= f;
        });
        (&a * &a).sum()
    }

    fn acc3(x: Array3<f64>) {
        let mut c = x.clone();
        c.accumulate_axis_inplace(Axis(1), |&p, c| *c += p);
        (&c * &c).sum()
    }

    fn indexed3(x: Array3<f64>) {
        let mut o = x.clone();
        Zip::indexed(&mut o).for_each(|(i, j, k), o| *o *= (i + 2 * j + 3 * k) as f64);
        (&o * &o).sum()
    }

    fn sum3(x: Array3<f64>) {
        (x * x).sum()
    }

    fn axes3(x: Array3<f64>) {
        let a = x.sum_axis(Axis(1));
        let b = x.mean_axis(Axis(2)).unwrap();
        (&a * &a).sum() + (b.mapv(f64::exp)).sum()
    }

    fn batched(x: Array3<f64>) {
        let mut t = 0.0;
        for m in x.outer_iter() {
            let p = m.dot(&m.t());
            t += (&p * &p).sum();
        }
        t
    }

    fn axisiter(x: Array3<f64>) {
        let mut h = Array2::<f64>::zeros((2, 3));
        for m in x.axis_iter(Axis(2)) {
            h = (&h * 0.5 + &m).mapv(f64::tanh);
        }
        h.sum()
    }

    fn sl3(x: Array3<f64>) {
        let a = x.slice(s![.., 1, ..]);
        let b = x.slice(s![0, .., ..;-2]);
        a.sum() * b.mapv(|v| v * v).sum()
    }

    fn sl3b(x: Array3<f64>) {
        let a = x.slice(s![-1, .., 1..;2]);
        let b = x.slice(s![.., ..2, ..]);
        (&a * &a).sum() + (&b * &b.slice(s![0..1, .., ..])).sum()
    }

    fn perm3(x: Array3<f64>) {
        let a = x.view().permuted_axes([2, 0, 1]);
        let b = a.index_axis(Axis(0), 1);
        (&b * &b).sum() + a.sum_axis(Axis(0)).mapv(|v| v * v * v).sum()
    }

    fn resh3(x: Array3<f64>) {
        let a = x.to_shape((6, 4)).unwrap();
        let b = x.to_shape((2, 12)).unwrap();
        a.dot(&a.t()).sum() + b.t().dot(&b).mapv(|v| v * v).sum()
    }

    fn bc3(x: Array3<f64>) {
        let m = x.mean_axis(Axis(0)).unwrap();
        let c = x - &m;
        let s = (&c * &c).sum_axis(Axis(2)).insert_axis(Axis(2));
        (&c / &(s + 1.0)).mapv(|v| v * v).sum()
    }

    fn assign3(x: Array3<f64>) {
        let mut a = x.clone();
        a.slice_mut(s![0, .., ..]).assign(&x.slice(s![1, .., ..]));
        a.index_axis_mut(Axis(2), 3).fill(0.5);
        a[[1, 2, 0]] *= 3.0;
        (&a * x).sum()
    }

    fn outer_mut(x: Array3<f64>) {
        let mut a = x.clone();
        for (i, mut m) in a.outer_iter_mut().enumerate() {
            m *= (i + 1) as f64;
            m += &x.index_axis(Axis(0), 0);
        }
        (&a * &a).sum()
    }

    fn conv2d(x: Array3<f64>) {
        let mut out = Array2::<f64>::zeros((2, 3));
        for i in 0..2 {
            for j in 0..3 {
                let w = x.slice(s![.., i..i + 2, j..j + 2]);
                out[[i, j]] = (&w * &w).sum().sin();
            }
        }
        out.sum()
    }

    fn lanes3(x: Array3<f64>) {
        let m = x.map_axis(Axis(2), |l| l.iter().map(|v| v * v).sum::<f64>().sqrt());
        m.sum() + x.fold_axis(Axis(0), 1.0, |a, b| a * b).sum()
    }

    fn stack3(x: Array3<f64>) {
        let a = stack![Axis(0), x.index_axis(Axis(0), 0), x.index_axis(Axis(0), 1)];
        (&a * x).sum() + concatenate![Axis(1), *x, a].mapv(f64::cos).sum()
    }

    fn dynd(x: Array3<f64>) {
        let d = x.view().into_dyn();
        let s = d.sum_axis(Axis(1));
        (&s * &s).sum() + d.mapv(|v| v.powi(3)).sum()
    }

    fn idx3(x: Array3<f64>) {
        let mut t = 0.0;
        for ((i, j, k), v) in x.indexed_iter() {
            t += v * v * (i + 2 * j + 3 * k) as f64;
        }
        t
    }

    fn matmul_batch(x: Array3<f64>) {
        let mut out = Array3::<f64>::zeros((2, 3, 3));
        for b in 0..2 {
            let m = x.index_axis(Axis(0), b);
            out.index_axis_mut(Axis(0), b).assign(&m.dot(&m.t()));
        }
        (&out * &out).sum()
    }

    fn softmax3(x: Array3<f64>) {
        let m = x
            .map_axis(Axis(2), |l| l.fold(f64::NEG_INFINITY, |a, &b| a.max(b)))
            .insert_axis(Axis(2));
        let e = (x - &m).mapv(f64::exp);
        let p = &e / &e.sum_axis(Axis(2)).insert_axis(Axis(2));
        (&p * x).sum()
    }

    fn merge(x: Array3<f64>) {
        let f = x.flatten();
        f.dot(&f) + f[3] * f[7]
    }

    fn array0(x: Array3<f64>) {
        let a: Array0<f64> = x.sum_axis(Axis(0)).sum_axis(Axis(0)).sum_axis(Axis(0));
        let b = arr0(2.0);
        (a * b).into_scalar().powi(2)
    }

    fn chunks3(x: Array3<f64>) {
        let mut t = 0.0;
        for c in x.axis_chunks_iter(Axis(2), 3) {
            t += c.sum().powi(2);
        }
        for c in x.exact_chunks((1, 3, 2)) {
            t += c.sum().powi(3);
        }
        t
    }

    fn select3(x: Array3<f64>) {
        (x.select(Axis(1), &[2, 0]) * x.select(Axis(1), &[1, 1])).sum()
    }

    fn ellipsis(x: Array3<f64>) {
        let a = x.slice(s![.., .., 0]);
        let b = x.slice(s![.., NewAxis, 1, ..]);
        a.sum().powi(2) * b.sum()
    }
}
#[backprop]
fn dynamic(x: &ArrayD<f64>, w: &ArrayD<f64>) -> f64 {
    let y = x * w;
    let z = &y + &y.sum_axis(Axis(0));
    (&z * &z).sum() + x.mean().unwrap()
}
#[backprop]
fn dyn_dims(x: &ArrayD<f64>) -> f64 {
    let m = x.view().into_dimensionality::<Ix2>().unwrap();
    let p = m.dot(&m.t());
    (&p * &p).sum()
}
#[backprop]
fn dyn_index(x: &ArrayD<f64>) -> f64 {
    x[[0, 1]] * x[IxDyn(&[1, 0])] + x.index_axis(Axis(0), 1).mapv(|v| v * v).sum()
}
#[backprop]
fn dyn_view(x: ArrayViewD<f64>) -> f64 {
    let t = x.t();
    (&t * &t).sum() + x.mapv(|v| v.exp()).sum()
}

#[test]
fn dynamics() {
    for (a, b) in [
        (vec![2, 3], vec![3]),
        (vec![2, 3], vec![2, 3]),
        (vec![2, 3], vec![1]),
        (vec![3], vec![2, 3]),
        (vec![2, 1, 3], vec![4, 1]),
        (vec![2, 3], vec![]),
    ] {
        let (x, w) = (numbers(a, 1), numbers(b, 2));
        agrees!(dynamic, DynamicWorkspace(x, w) wrt x, w);
    }
    let x = numbers(vec![2, 3], 4);
    any(
        "dyn_dims",
        &x,
        |x| dyn_dims(x),
        |x| {
            let (y, g) = dyn_dims::value_and_gradient(x);
            (y, g.x)
        },
    );
    any(
        "dyn_index",
        &x,
        |x| dyn_index(x),
        |x| {
            let (y, g) = dyn_index::value_and_gradient(x);
            (y, g.x)
        },
    );
    any(
        "dyn_view",
        &x,
        |x| dyn_view(x.view()),
        |x| {
            let (y, g) = dyn_view::value_and_gradient(x.view());
            (y, g.x)
        },
    );
}

#[backprop]
fn a0(a: &Array0<f64>, b: &Array2<f64>) -> f64 {
    let c = b * a;
    let d = a + b;
    (c * d).sum() + a[()] * a.sum() + a.first().unwrap()
}
#[test]
fn zero_dims() {
    let (a, b) = (numbers((), 1), numbers((2, 3), 2));
    agrees!(a0, A0Workspace(a, b) wrt a, b);
}
