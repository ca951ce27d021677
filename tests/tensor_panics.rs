//! Shapes that do not fit, empty axes and indices out of bounds: what the plain function says, the gradient functions say, word by word and
//! in the same order; where the plain function does not panic, they do not.
#![cfg(feature = "runtime")]
#![allow(unused_variables)] // Functions of one signature, for one comparison.
#![allow(clippy::all)] // Differentiated as users write them.

use backprop::backprop;
use ndarray::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Ran = Result<f64, String>;

fn ran(f: impl FnOnce() -> f64) -> Ran {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&str>()
            .map(|t| t.to_string())
            .unwrap_or_default(),
    })
}

fn same(a: &Ran, b: &Ran) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => {
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * (1.0 + a.abs())
        }
        (a, b) => a == b,
    }
}

/// A matrix of this shape, in columns or in rows.
fn matrix(shape: (usize, usize), slope: f64, columns: bool) -> Array2<f64> {
    let mut out = match columns {
        true => Array2::zeros(shape.f()),
        false => Array2::zeros(shape),
    };
    out.assign(&Array2::from_shape_fn(shape, |(i, j)| {
        0.3 + 0.5 * i as f64 + slope * j as f64
    }));
    out
}

macro_rules! parity {
    ($($name:ident($a:ident, $b:ident, $v:ident, $i:ident) $body:block)*) => {
        $(
            #[backprop(wrt($a, $b, $v))]
            fn $name($a: &Array2<f64>, $b: &Array2<f64>, $v: &Array1<f64>, $i: usize) -> f64 $body
        )*

        #[test]
        fn panics_are_the_plain_functions() {
            let shapes = [(2, 3), (3, 2), (1, 3), (2, 1), (0, 3), (2, 0), (1, 1)];
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(|_| {}));
            let mut failed = String::new();
            let (mut panicked, mut fitted) = (0, 0);
            for (a, b) in shapes.iter().flat_map(|a| shapes.iter().map(move |b| (*a, *b))) {
                for (len, i, columns) in (0..3 * 4 * 2).map(|k| (k % 3 + 1, k / 3 % 4, k / 12 == 1)) {
                    let (a, b) = (matrix(a, -0.2, columns), matrix(b, 0.7, columns));
                    let v = Array1::from_shape_fn(len - 1 + usize::from(len == 3), |k| 0.7 + k as f64);
                    $({
                        let plain = ran(|| $name(&a, &b, &v, i));
                        match plain {
                            Ok(_) => fitted += 1,
                            Err(_) => panicked += 1,
                        }
                        let (mut da, mut db, mut dv) = (a.clone(), b.clone(), v.clone());
                        let found = [
                            ran(|| $name::value_and_gradient(&a, &b, &v, i).0),
                            ran(|| {
                                let (y, saved) = $name::forward(&a, &b, &v, i);
                                $name::backward(&saved, 1.0);
                                y
                            }),
                            ran(|| $name::accumulate(&a, &b, &v, i, 1.0, &mut da, &mut db, &mut dv)),
                            ran(|| $name::value_and_gradient_into(&a, &b, &v, i, &mut da, &mut db, &mut dv)),
                        ];
                        if let Some(found) = found.iter().find(|f| !same(f, &plain)) {
                            failed += &format!("{} of {:?}, {:?}, {:?}, {i}: {found:?}, not {plain:?}\n", stringify!($name), a.dim(), b.dim(), v.dim());
                        }
                    })*
                }
            }
            std::panic::set_hook(hook);
            assert!(failed.is_empty(), "{failed}");
            // Both happen often.
            assert!(panicked > 10_000 && fitted > 10_000, "{panicked}, {fitted}");
        }
    };
}

parity! {
    operators(a, b, v, i) { ((a + b) * v - &b.row(0)).sum() }
    compound(a, b, v, i) { let mut c = a.clone(); c *= v; c += b; c.sum() }
    products(a, b, v, i) { a.dot(b).sum() + a.dot(v).sum() }
    vectors(a, b, v, i) { v.dot(&a.column(0)) * b.column(0).dot(v) }
    affine(a, b, v, i) { (a.t().dot(b) + v).mapv(|x| x * x).sum() }
    zipped(a, b, v, i) { Zip::from(a).and(b).map_collect(|x, y| x * y).sum() + Zip::from(a.rows()).and(v).fold(0.0, |s, r, x| s + r.sum() * x) }
    zipped_in_place(a, b, v, i) { let mut c = a.clone(); c.zip_mut_with(v, |x, y| *x *= y); Zip::from(&mut c).and(b).for_each(|x, y| *x += y * y); c.sum() }
    side_by_side(a, b, v, i) { a.iter().zip(b.iter()).map(|(x, y)| x * y).sum::<f64>() + v.iter().zip(b).fold(0.0, |s, (x, y)| s + x * y * y) }
    side_by_side_thrice(a, b, v, i) { a.iter().zip(v.iter()).zip(b.iter()).map(|((x, y), z)| x * y + z).sum() }
    side_by_side_rows(a, b, v, i) { a.rows().into_iter().zip(b.rows()).map(|(x, y)| x.dot(&y)).sum() }
    sums(a, b, v, i) { a.sum_axis(Axis(i)).sum() }
    means(a, b, v, i) { a.mean().unwrap() + v.mean().expect("no elements") }
    means_along(a, b, v, i) { a.mean_axis(Axis(i)).unwrap().sum() + b.mean_axis(Axis(0)).expect("some rows").sum() }
    mean_or(a, b, v, i) { a.mean().unwrap_or(3.0) * v.product() }
    variances(a, b, v, i) { a.var(i as f64) + b.var_axis(Axis(0), 1.0).sum() }
    maxima(a, b, v, i) { a.map_axis(Axis(i), |r| r.fold(-10.0, |a: f64, &b| a.max(b))).sum() }
    folded(a, b, v, i) { a.fold_axis(Axis(i), 0.5, |s, x| s + x * x).sum() }
    rows(a, b, v, i) { a.row(i).sum() + b.column(i).dot(v) }
    slices(a, b, v, i) { v.slice(s![i..]).sum() + a.slice(s![-2.., ..;2]).sum() + b.slice(s![.., i]).sum() }
    steps(a, b, v, i) { v.slice(s![..;i as isize - 1]).sum() }
    differences(a, b, v, i) { (&v.slice(s![1..]) - &v.slice(s![..-1])).sum() }
    assigned(a, b, v, i) { let mut c = a.clone(); c.slice_mut(s![.., i..]).assign(b); c.row_mut(0).assign(v); c.sum() }
    index_axes(a, b, v, i) { a.index_axis(Axis(1), i).sum() + b.index_axis(Axis(i), 1).sum() }
    inserted(a, b, v, i) { (&v.view().insert_axis(Axis(1)) + a).sum() + b.view().insert_axis(Axis(i)).sum() }
    spread(a, b, v, i) { v.broadcast((2, 3)).unwrap().sum() + a.broadcast((i, 2, 3)).expect("it fits").sum() }
    reshaped(a, b, v, i) { a.clone().into_shape_with_order((3, 2)).expect("six").row(1).sum() }
    reshaped_views(a, b, v, i) { a.t().into_shape_with_order(6).unwrap()[1] + b.slice(s![.., ..2]).into_shape_with_order(4).unwrap()[1] }
    reshaped_copies(a, b, v, i) { a.t().to_owned().into_shape_with_order(a.len()).unwrap().sum() + b.slice(s![.., ..1]).to_owned().into_shape_with_order(2).unwrap()[1] }
    reshaped_maps(a, b, v, i) { a.t().mapv(|x| x * x).into_shape_with_order(a.len()).unwrap().sum() }
    reshaped_in_order(a, b, v, i) { a.t().as_standard_layout().into_shape_with_order(6).unwrap()[1] + b.t().to_shape((2, 3)).unwrap()[[0, 1]] }
    side_by_side_arrays(a, b, v, i) { concatenate![Axis(i), *a, *b].sum() }
    joined(a, b, v, i) { concatenate(Axis(1), &[a.view(), b.view()]).expect("side by side").sum() }
    stacked(a, b, v, i) { stack![Axis(i), v.view(), a.row(0)].sum() }
    elements(a, b, v, i) { a[[i, 0]] * v[i] + b[(1, i)] }
    elements_that_may_be(a, b, v, i) { *a.get((i, 1)).unwrap() + v.get(i).copied().expect("there") }
    ends(a, b, v, i) { v.first().unwrap() * v.last().unwrap() + a.last().expect("a last") }
    made(a, b, v, i) { (Array::from_elem((2, i), v[0]) + a).sum() + Array2::from_shape_fn((i, 2), |(x, y)| b[[x, y]]).sum() }
    listed(a, b, v, i) { Array2::from_shape_vec((2, i), v.to_vec()).unwrap().row(1).sum() }
    looped(a, b, v, i) { let mut s = v.clone(); for r in a.rows() { s = &s * &r; } for (k, c) in b.columns().into_iter().enumerate() { s[k] += c.sum(); } s.sum() }
    selected(a, b, v, i) { a.select(Axis(0), &[0, i]).sum() + v.select(Axis(0), &[i]).sum() }
    parts(a, b, v, i) { let (x, y) = a.view().split_at(Axis(1), i); x.sum() * 2.0 + y.sum() + b.diag().sum() }
    windows(a, b, v, i) { a.windows((2, i)).into_iter().map(|w| w.sum()).sum() }
    chunks(a, b, v, i) { let mut s = 0.0; for c in a.axis_chunks_iter(Axis(0), i) { s += c.sum() * c.nrows() as f64; } s }
    lanes(a, b, v, i) { let mut s = 0.0; for c in a.lanes(Axis(i)) { s += c.sum(); } s }
    ranks(a, b, v, i) { a.view().into_dyn().into_dimensionality::<Ix3>().expect("three axes").sum() }
    unread(a, b, v, i) { let x = a.dot(b); let y = a[[i, 0]]; let z = a.row(i); v.sum() }
    first_comes_first(a, b, v, i) { let x = a.row(i).sum(); let y = (a + b).sum(); x * y + v[i] + v.mean().unwrap() }
    sides(a, b, v, i) { if i > 1 { a.dot(v).sum() } else { (a + b).sum() } }
}

/// What is beyond the shorter one has no gradient.
#[test]
fn the_longer_one_has_zeros() {
    let (a, b, v) = (
        matrix((2, 3), -0.2, false),
        matrix((2, 2), 0.7, true),
        array![1.0, 2.0],
    );
    let g = side_by_side::gradient(&a, &b, &v, 0);
    let of = |x: f64, y: f64| x + y;
    let (p, q) = (b[[0, 0]], b[[0, 1]]);
    assert_eq!(g.a, array![[p, q, b[[1, 0]]], [b[[1, 1]], 0.0, 0.0]]);
    assert_eq!(g.b[[1, 1]], a[[1, 0]]);
    assert_eq!(g.b[[0, 1]], of(a[[0, 1]], 2.0 * v[1] * q));
    assert_eq!(g.v, array![p * p, q * q]);
}
