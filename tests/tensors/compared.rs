//! Functions of a matrix, a vector and a float, one after another: each is compared with differences, in all ways to run it.

use crate::agree::{close, numbers, slope, slopes};
use ndarray::{Array1, Array2, ShapeBuilder};

/// The value and the gradients with respect to the matrix, the vector and the float.
pub type Found = (f64, Array2<f64>, Array1<f64>, f64);

pub type Pass = fn(&Array2<f64>, &Array1<f64>, f64) -> Found;

macro_rules! functions {
    ($(fn $name:ident($z:ident, $v:ident, $k:ident) $body:block)*) => {
        $(
            #[backprop]
            fn $name($z: &ndarray::Array2<f64>, $v: &ndarray::Array1<f64>, $k: f64) -> f64 $body
        )*

        #[test]
        fn against_differences() {
            $({
                let fused: $crate::compared::Pass = |z, v, k| {
                    let (y, g) = $name::value_and_gradient(z, v, k);
                    (y, g.z, g.v, g.k)
                };
                let apart: $crate::compared::Pass = |z, v, k| {
                    let (y, saved) = $name::forward(z, v, k);
                    let g = $name::backward(&saved, 2.0);
                    (y, g.z * 0.5, g.v * 0.5, g.k * 0.5)
                };
                let added: $crate::compared::Pass = |z, v, k| {
                    let (mut a, mut b, mut c) = (ndarray::Array2::from_elem(z.dim(), 3.0), ndarray::Array1::from_elem(v.dim(), 5.0), 7.0);
                    let y = $name::accumulate(z, v, k, -1.0, &mut a, &mut b, &mut c);
                    (y, 3.0 - a, 5.0 - b, 7.0 - c)
                };
                $crate::compared::compare(stringify!($name), $name, [fused, apart, added]);
            })*
        }
    };
}

pub fn compare(name: &str, f: fn(&Array2<f64>, &Array1<f64>, f64) -> f64, passes: [Pass; 3]) {
    let (z, v, k) = (numbers((4, 4), 1), numbers(4, 2), 1.3);
    let mut columns = Array2::zeros((4, 4).f());
    columns.assign(&z);
    for z in [z, columns] {
        for pass in passes {
            let (y, dz, dv, dk) = pass(&z, &v, k);
            close(y, f(&z, &v, k), 1e-13, name);
            slopes(&dz, &z, |z| f(z, &v, k), name);
            for (i, &found) in dv.indexed_iter() {
                let expected = slope(|h| {
                    let mut v = v.clone();
                    v[i] += h;
                    f(&z, &v, k)
                });
                close(found, expected, 1e-8, name);
            }
            close(dk, slope(|h| f(&z, &v, k + h)), 1e-8, name);
        }
    }
}
