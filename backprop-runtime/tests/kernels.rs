//! Passes and products against loops, over layouts and sizes. The elements are small integers, so that every sum is exact.

use backprop_runtime::kernel::{self, Real};
use ndarray::{Array, Array2, ArrayView2, ArrayViewMut2, Axis, Dimension, IxDyn, Slice, array, s};

/// All but the first column and the last two.
const MARGIN: Slice = Slice {
    start: 1,
    end: Some(-2),
    step: 1,
};

/// Layouts of a matrix: how it lies in the larger array that it is a view of.
const LAYOUTS: usize = 5;

/// A larger array, of which [`view`] and [`view_mut`] take a matrix of this shape.
fn home<T: Real>(layout: usize, (rows, columns): (usize, usize), seed: usize) -> Array2<T> {
    let shape = match layout {
        0 => (rows, columns),
        1 => (columns, rows),
        2 => (2 * rows, columns + 3),
        3 => (rows, columns),
        _ => (3 * columns, 2 * rows + 1),
    };
    Array2::from_shape_fn(shape, |(i, j)| integer((31 * i + 17 * j + seed) % 7))
}

fn integer<T: Real>(n: usize) -> T {
    T::from(n).unwrap() - T::from(3).unwrap()
}

fn view<T>(layout: usize, home: &Array2<T>) -> ArrayView2<'_, T> {
    match layout {
        0 => home.view(),
        1 => home.t(),
        2 => home.slice(s![..;2, MARGIN]),
        3 => home.slice(s![..;-1, ..;-1]),
        _ => home.slice(s![..;3, 1..;2]).reversed_axes(),
    }
}

fn view_mut<T>(layout: usize, home: &mut Array2<T>) -> ArrayViewMut2<'_, T> {
    match layout {
        0 => home.view_mut(),
        1 => home.view_mut().reversed_axes(),
        2 => home.slice_mut(s![..;2, MARGIN]),
        3 => home.slice_mut(s![..;-1, ..;-1]),
        _ => home.slice_mut(s![..;3, 1..;2]).reversed_axes(),
    }
}

fn check_product<T: Real>(
    (m, k, n): (usize, usize, usize),
    [la, lb, lc]: [usize; 3],
    alpha: T,
    beta: T,
) {
    let (a, b) = (home::<T>(la, (m, k), 1), home::<T>(lb, (k, n), 2));
    let (a, b) = (view(la, &a), view(lb, &b));
    assert_eq!((a.dim(), b.dim()), ((m, k), (k, n)));
    let before = home::<T>(lc, (m, n), 3);

    let mut expected = before.clone();
    for ((i, j), c) in view_mut(lc, &mut expected).indexed_iter_mut() {
        let sum: T = (0..k)
            .map(|l| a[[i, l]] * b[[l, j]])
            .fold(T::zero(), |x, y| x + y);
        *c = alpha * sum + beta * *c;
    }

    let mut found = before;
    if beta == T::zero() {
        view_mut(lc, &mut found).fill(T::nan());
    }
    kernel::product(alpha, &a, &b, beta, &mut view_mut(lc, &mut found));
    // Also around the view: nothing else is written.
    assert_eq!(
        found, expected,
        "{m} x {k} x {n}, layouts {la} {lb} {lc}, {alpha} {beta}"
    );
}

#[test]
fn products_of_all_shapes_and_layouts() {
    const SIZES: [usize; 11] = [0, 1, 2, 3, 4, 7, 8, 13, 16, 17, 33];
    for number in 0..SIZES.len().pow(3) {
        let [m, k, n] = [1, 11, 121].map(|step| SIZES[number / step % SIZES.len()]);
        // Every layout of each operand; not all triples of them for each shape, but all over neighbouring shapes.
        let step = if cfg!(debug_assertions) { 25 } else { 1 };
        for pair in (number % step..LAYOUTS * LAYOUTS).step_by(step) {
            let layouts = [
                pair % LAYOUTS,
                pair / LAYOUTS,
                (pair + pair / LAYOUTS + number) % LAYOUTS,
            ];
            check_product::<f64>((m, k, n), layouts, 1.0, 1.0);
            check_product::<f32>((m, k, n), layouts, -2.0, 0.0);
        }
        check_product::<f64>((m, k, n), [0, 0, 0], 2.0, 0.5);
        check_product::<f32>((m, k, n), [1, 0, 1], 1.0, -3.0);
    }
}

#[test]
fn large_products() {
    let shapes = [
        (64, 1000, 100),
        (129, 1030, 65),
        (1000, 64, 100),
        (100, 300, 257),
        (300, 5, 300),
    ];
    let count = if cfg!(debug_assertions) { 1 } else { 5 };
    for shape in &shapes[..count] {
        for layouts in [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1], [2, 4, 3]] {
            check_product::<f64>(*shape, layouts, 1.0, 1.0);
            check_product::<f32>(*shape, layouts, 1.0, 0.0);
        }
    }
}

#[test]
fn broadcast_operands() {
    let row = array![1.0, 2.0, 3.0];
    let a = row.broadcast((4, 3)).unwrap();
    let b = array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
    let mut c = Array2::zeros((4, 2));
    kernel::product(1.0, &a, &b, 0.0, &mut c);
    assert!(c.rows().into_iter().all(|row| row == array![4.0, 5.0]));
    let column = row.insert_axis(Axis(1));
    kernel::product(
        1.0,
        &b.t(),
        &column.broadcast((3, 2)).unwrap(),
        0.0,
        &mut c.slice_mut(s![..2, ..]),
    );
    assert_eq!(c.slice(s![..2, ..]), array![[4.0, 4.0], [5.0, 5.0]]);
}

#[test]
fn products_with_vectors() {
    for (m, n) in [
        (0, 3),
        (3, 0),
        (1, 1),
        (5, 17),
        (16, 16),
        (33, 40),
        (100, 1),
    ] {
        for layout in 0..LAYOUTS {
            for beta in [0.0, 1.0, 2.0] {
                let a = home::<f64>(layout, (m, n), 1);
                let a = view(layout, &a);
                let (x, y) = (home::<f64>(0, (2 * n, 1), 5), home::<f64>(0, (3 * m, 1), 6));
                let (x, y) = (x.slice(s![..;2, 0]), y.slice(s![..;3, 0]));

                let sums: Vec<f64> = (0..m)
                    .map(|i| (0..n).map(|j| a[[i, j]] * x[j]).sum::<f64>())
                    .collect();
                for (x, mut found) in [(x.to_owned(), y.to_owned()), (x.to_owned(), y.to_owned())] {
                    if beta == 0.0 {
                        found.fill(f64::NAN);
                    }
                    kernel::mat_vec(3.0, &a, &x, beta, &mut found);
                    for i in 0..m {
                        assert_eq!(
                            found[i],
                            3.0 * sums[i] + beta * y[i],
                            "{m} x {n}, layout {layout}"
                        );
                    }
                }
                let mut found = home::<f64>(0, (3 * m, 1), 6);
                kernel::mat_vec(3.0, &a, &x, beta, &mut found.slice_mut(s![..;3, 0]));
                assert!((0..m).all(|i| found[[3 * i, 0]] == 3.0 * sums[i] + beta * y[i]));

                let mut home = home::<f64>(layout, (m, n), 2);
                let before = view(layout, &home).to_owned();
                if beta == 0.0 {
                    view_mut(layout, &mut home).fill(f64::NAN);
                }
                kernel::outer(-1.0, &y, &x, beta, &mut view_mut(layout, &mut home));
                for ((i, j), &c) in view(layout, &home).indexed_iter() {
                    assert_eq!(c, -y[i] * x[j] + beta * before[[i, j]]);
                }
            }
        }
    }
    assert_eq!(kernel::dot(&array![1.0, 2.0], &array![3.0, 4.0]), 11.0);
    assert_eq!(kernel::dot::<f32>(&array![], &array![]), 0.0);
}

#[test]
#[should_panic(expected = "[2, 3] times [2, 2] does not give [2, 2]")]
fn product_of_wrong_shapes() {
    let mut c = Array2::<f64>::zeros((2, 2));
    kernel::product(
        1.0,
        &Array2::zeros((2, 3)),
        &Array2::zeros((2, 2)),
        0.0,
        &mut c,
    );
}

/// Two inputs, two outputs, one of them accumulated to, and two sums.
fn check_map<D: Dimension>(shape: D, arrange: impl Fn(usize, &mut Array<f64, D>)) {
    let whole = |seed: usize| {
        let mut array = Array::from_shape_fn(shape.clone(), |_| 0.0);
        let mut count = 0;
        array.map_inplace(|element| {
            *element = integer((count * 5 + seed) % 7);
            count += 1;
        });
        arrange(seed, &mut array);
        array
    };
    let (a, b, c, mut d, mut e) = (whole(0), whole(1), whole(2), whole(3), whole(4));
    let e0 = e.clone();
    let sums = kernel::map(
        [a.view(), b.view(), c.view()],
        [d.view_mut(), e.view_mut()],
        #[inline(always)]
        |[a, b, c], [_, e]| ([a * b, e + a], [a * c, e]),
    );
    let mut expected = [0.0; 2];
    // In their logical order.
    let [a, b, c, d, e, e0] =
        [&a, &b, &c, &d, &e, &e0].map(|array| array.iter().copied().collect::<Vec<_>>());
    for i in 0..a.len() {
        assert_eq!((d[i], e[i]), (a[i] * b[i], e0[i] + a[i]));
        expected[0] += a[i] * c[i];
        expected[1] += e0[i];
    }
    assert_eq!(sums, expected);
}

#[test]
fn maps_of_all_sizes_and_layouts() {
    for length in 0..70 {
        check_map(ndarray::Ix1(length), |_, _| {});
        check_map(ndarray::Ix1(length), |seed, array| {
            if seed % 2 == 0 {
                array.invert_axis(Axis(0))
            }
        });
    }
    for (rows, columns) in [(0, 3), (3, 0), (1, 1), (1, 70), (70, 1), (5, 130), (33, 17)] {
        for mixed in 0..32 {
            check_map(ndarray::Ix2(rows, columns), |seed, array| {
                if mixed >> seed & 1 == 1 {
                    *array = array.t().as_standard_layout().to_owned().reversed_axes();
                }
            });
        }
        check_map(ndarray::Ix2(rows, columns), |seed, array| {
            array.slice_axis_inplace(Axis(seed % 2), Slice::new(0, None, -1));
        });
    }
    check_map(ndarray::Ix0(), |_, _| {});
    check_map(IxDyn(&[3, 2, 5]), |seed, array| {
        if seed == 1 {
            array.invert_axis(Axis(2))
        }
    });
}

/// Parts of larger arrays, each of another one, some of them upside down: their lanes lie apart, the elements of a lane do not.
#[test]
fn maps_of_parts() {
    for shape in [
        &[1, 1][..],
        &[4, 1],
        &[1, 9],
        &[3, 20],
        &[2, 3, 5],
        &[3, 1, 2, 19],
    ] {
        check_map(IxDyn(shape), |seed, array| {
            let around = shape.iter().map(|n| n + seed + 1).collect::<Vec<_>>();
            let mut part = Array::zeros(IxDyn(&around));
            part.slice_each_axis_inplace(|axis| {
                let start = (axis.axis.index() + seed) % (seed + 1);
                Slice::from(start..start + shape[axis.axis.index()])
            });
            if seed % 2 == 1 {
                part.invert_axis(Axis(0));
            }
            part.assign(array);
            *array = part;
        });
    }
}

#[test]
fn maps_of_broadcast_inputs_and_without_inputs_or_outputs() {
    let bias = array![1.0, 2.0, 3.0];
    let mut y = Array2::zeros((2, 3));
    let [] = kernel::map(
        [bias.broadcast((2, 3)).unwrap()],
        [y.view_mut()],
        |[b], [y]| ([y + b], []),
    );
    assert_eq!(y, array![[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]);

    let [] = kernel::map([], [y.view_mut()], |[], [y]| ([2.0 * y], []));
    assert_eq!(y, array![[2.0, 4.0, 6.0], [2.0, 4.0, 6.0]]);

    let [sum, squares] = kernel::map([y.view()], [], |[y], []| ([], [y, y * y]));
    assert_eq!((sum, squares), (24.0, 112.0));
}

#[test]
#[should_panic(expected = "one shape")]
fn maps_of_different_shapes() {
    let [] = kernel::map_slices([&[1.0, 2.0]], [&mut [0.0]], |[x], [_]| ([x], []));
}

/// Sums along the middle of three axes, written and added, of all the lengths at which the loops change.
#[test]
fn sums_along_every_axis() {
    let lengths = [0, 1, 2, 15, 16, 17, 40];
    for outer in [0, 1, 3] {
        for count in lengths {
            for inner in lengths {
                let a = Array::from_shape_fn((outer, count, inner), |(i, j, k)| {
                    integer::<f64>((31 * i + 17 * j + 5 * k) % 7)
                });
                let expected = a.sum_axis(Axis(1));
                let mut to = Array2::ones((outer, inner));
                let shape = [outer, count, inner];
                kernel::sum_middle(
                    a.as_slice().unwrap(),
                    shape,
                    to.as_slice_mut().unwrap(),
                    true,
                );
                assert_eq!(to, 1.0 + &expected, "{shape:?}");
                kernel::sum_middle(
                    a.as_slice().unwrap(),
                    shape,
                    to.as_slice_mut().unwrap(),
                    false,
                );
                assert_eq!(to, expected, "{shape:?}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "5 elements, as 1 × 3 × 2, do not have 2 sums")]
fn sums_of_wrong_lengths() {
    kernel::sum_middle(&[1.0; 5], [1, 3, 2], &mut [0.0; 2], false);
}
