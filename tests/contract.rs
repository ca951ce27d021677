//! The public contract, item by item: names, types, parameters, results, buffers, and where an annotated function may stand.

#![allow(clippy::needless_range_loop, clippy::ptr_arg)] // Differentiated as users write them.

#[path = "support/differences.rs"]
mod differences;

use backprop::backprop;
use differences::{near, slope};

#[track_caller]
fn panics<T>(f: impl FnOnce() -> T) -> String {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    let payload = result.err().expect("this did not panic");
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

mod names {
    use backprop::backprop;

    pub mod m {
        use backprop::backprop;

        #[backprop]
        pub fn square(x: f64) -> f64 {
            x * x
        }

        #[backprop(as = d_cube)]
        pub fn cube(x: f64) -> f64 {
            x * x * x
        }

        #[backprop]
        pub(crate) fn within_crate(x: f64) -> f64 {
            2.0 * x
        }

        #[backprop]
        pub(super) fn within_parent(x: f64) -> f64 {
            3.0 * x
        }

        #[backprop]
        pub(in crate::names) fn within_path(x: f64) -> f64 {
            4.0 * x
        }
    }

    /// One import brings the function, its derivatives and nothing else.
    #[test]
    fn one_import_brings_both() {
        use m::square;
        assert_eq!(square(3.0), 9.0);
        assert_eq!(square::gradient(3.0).x, 6.0);
        let (y, saved) = square::forward(3.0);
        assert_eq!(y, 9.0);
        assert_eq!(square::backward(&saved, 0.5).x, 3.0);
        assert_eq!(square::value_and_gradient(3.0).0, 9.0);
    }

    #[test]
    fn types_are_named_after_the_function() {
        let gradient: m::SquareGradient = m::square::gradient(3.0);
        let m::SquareGradient { x } = gradient.clone();
        assert_eq!(x, 6.0);
        let saved: m::SquareResiduals = m::square::forward(3.0).1;
        assert_eq!(m::square::backward(&saved.clone(), 1.0), gradient);
        assert_eq!(format!("{gradient:?}"), "SquareGradient { x: 6.0 }");
        assert!(format!("{saved:?}").starts_with("SquareResiduals"));
        assert_ne!(gradient, m::square::gradient(4.0));
    }

    #[test]
    fn the_namespace_can_be_renamed() {
        let gradient: m::DCubeGradient = m::d_cube::gradient(2.0);
        assert_eq!((m::cube(2.0), gradient.x), (8.0, 12.0));
        let saved: m::DCubeResiduals = m::d_cube::forward(2.0).1;
        assert_eq!(m::d_cube::backward(&saved, 1.0).x, 12.0);
    }

    #[test]
    fn visibility_is_that_of_the_function() {
        let crate_wide = m::within_crate::gradient(1.0).x;
        let path = m::within_path::gradient(1.0).x;
        assert_eq!(
            (crate_wide, m::within_parent::gradient(1.0).x, path),
            (2.0, 3.0, 4.0)
        );
    }

    #[backprop]
    fn a_long_name_2d(a_b: f64) -> f64 {
        a_b
    }

    #[test]
    fn snake_case_becomes_camel_case() {
        let gradient: ALongName2dGradient = a_long_name_2d::gradient(1.0);
        assert_eq!(gradient.a_b, 1.0);
    }

    #[test]
    fn names_may_be_raw_or_not_ascii() {
        #[backprop]
        fn r#match(r#type: f64, θ: f64) -> f64 {
            r#type * θ
        }
        let gradient: MatchGradient = r#match::gradient(2.0, 3.0);
        assert_eq!((gradient.r#type, gradient.θ), (3.0, 2.0));
    }
}

mod parameters {
    use super::near;
    use backprop::backprop;

    #[test]
    fn wrt_selects() {
        #[backprop(wrt(b, a))]
        fn f(a: f64, b: f64, c: f64) -> f64 {
            a * b * c
        }
        // The order is the one of the parameters, whatever that of the names.
        let FGradient { a, b } = f::gradient(2.0, 3.0, 5.0);
        assert_eq!((a, b), (15.0, 10.0));
        let (mut a, mut b) = (0.0, 0.0);
        assert_eq!(
            f::value_and_gradient_into(2.0, 3.0, 5.0, &mut a, &mut b),
            30.0
        );
        assert_eq!((a, b), (15.0, 10.0));
    }

    #[test]
    fn integers_and_bools_are_constants() {
        #[backprop]
        fn f(n: usize, k: i32, flip: bool, x: f64) -> f64 {
            let y = x.powi(k) * n as f64;
            if flip { -y } else { y }
        }
        let FGradient { x } = f::gradient(3, 2, true, 5.0);
        assert_eq!(x, -30.0);
    }

    #[test]
    fn references_to_scalars() {
        #[backprop]
        fn f(a: &f64, b: &f32) -> f64 {
            a * f64::from(*b)
        }
        let FGradient { a, b } = f::gradient(&2.0, &3.0);
        assert_eq!((a, b), (3.0, 2.0f32));
    }

    #[test]
    fn slices_give_vecs() {
        #[backprop]
        fn f(v: &[f64]) -> f64 {
            v.iter().map(|x| x * x).sum()
        }
        let FGradient { v } = f::gradient(&[1.0, 2.0, 3.0]);
        assert_eq!(v, vec![2.0, 4.0, 6.0]);
        assert_eq!(f::gradient(&[]).v, Vec::<f64>::new());
    }

    #[test]
    fn vecs_by_value_and_by_reference() {
        #[backprop]
        fn f(a: Vec<f64>, b: &Vec<f64>) -> f64 {
            let mut s = 0.0;
            for i in 0..a.len() {
                s += a[i] * b[i];
            }
            s
        }
        let (a, b) = (vec![1.0, 2.0], vec![3.0, 4.0]);
        let gradient = f::gradient(a.clone(), &b);
        assert_eq!((gradient.a, gradient.b), (b.clone(), a.clone()));
        let (y, saved) = f::forward(a.clone(), &b);
        assert_eq!(y, 11.0);
        let gradient = f::backward(&saved, 2.0);
        assert_eq!((gradient.a, gradient.b), (vec![6.0, 8.0], vec![2.0, 4.0]));
    }

    #[test]
    fn rows_of_different_lengths() {
        #[backprop]
        fn f(rows: &[Vec<f64>], w: f64) -> f64 {
            let mut s = 0.0;
            for row in rows {
                for x in row {
                    s += x * x * w;
                }
            }
            s
        }
        let rows = [vec![1.0, 2.0], vec![], vec![3.0]];
        let gradient = f::gradient(&rows, 0.5);
        assert_eq!(gradient.rows, vec![vec![1.0, 2.0], vec![], vec![3.0]]);
        assert_eq!(gradient.w, 14.0);
        let (_, saved) = f::forward(&rows, 0.5);
        assert_eq!(f::backward(&saved, 1.0), gradient);
    }

    #[test]
    fn points_in_a_slice() {
        #[backprop]
        fn f(points: &[[f64; 3]]) -> f64 {
            let mut s = 0.0;
            for p in points {
                s += p[0] * p[1] + p[2];
            }
            s
        }
        let gradient = f::gradient(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(gradient.points, vec![[2.0, 1.0, 1.0], [5.0, 4.0, 1.0]]);
    }

    #[test]
    fn nested_arrays() {
        #[backprop]
        fn trace_of_square(m: &[[f64; 2]; 2]) -> f64 {
            let mut s = 0.0;
            for i in 0..2 {
                for j in 0..2 {
                    s += m[i][j] * m[j][i];
                }
            }
            s
        }
        let gradient = trace_of_square::gradient(&[[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(gradient.m, [[2.0, 6.0], [4.0, 8.0]]);
    }

    #[test]
    fn tuples_of_mixed_parts() {
        #[backprop]
        fn f(p: (f64, [f64; 2], usize), q: &(f32, f64)) -> f64 {
            p.0 * p.1[0] + p.1[1] * q.1 + f64::from(q.0) * p.2 as f64
        }
        let FGradient { p, q } = f::gradient((2.0, [3.0, 5.0], 7), &(11.0, 13.0));
        let (p0, p1, ()) = p;
        assert_eq!((p0, p1), (3.0, [2.0, 13.0]));
        assert_eq!(q, (7.0f32, 5.0));
    }

    #[test]
    fn wrt_admits_constants_of_any_type() {
        struct Model {
            gain: f64,
        }
        #[backprop(wrt(x))]
        fn f(model: &Model, x: f64) -> f64 {
            model.gain * x * x
        }
        assert_eq!(f::gradient(&Model { gain: 3.0 }, 2.0).x, 12.0);
    }

    #[test]
    fn parameters_may_be_mutable_and_unused() {
        #[backprop]
        fn f(mut x: f64, mut a: [f64; 2], _unused: f64) -> f64 {
            x *= a[0];
            a[1] *= x;
            a[1] + x
        }
        let gradient = f::gradient(2.0, [3.0, 5.0], 7.0);
        assert_eq!(
            (gradient.x, gradient.a, gradient._unused),
            (18.0, [12.0, 6.0], 0.0)
        );
    }

    #[test]
    fn slices_of_tuples() {
        #[backprop]
        fn f(data: &[(f64, f64)], slope: f64) -> f64 {
            let mut s = 0.0;
            for &(t, y) in data {
                let r = slope * t - y;
                s += r * r;
            }
            s
        }
        let gradient = f::gradient(&[(1.0, 2.0), (3.0, 4.0)], 2.0);
        assert_eq!(gradient.data, vec![(0.0, 0.0), (8.0, -4.0)]);
        near(gradient.slope, 12.0);
    }
}

mod generics {
    use backprop::backprop;
    use num_traits::Float;

    #[backprop]
    fn energy<T: Float>(x: T, v: &[T]) -> T {
        let mut s = x.sin();
        for i in 0..v.len() {
            s = s + v[i] * v[i] * x;
        }
        s
    }

    #[test]
    fn float_in_both_precisions() {
        let (y, g) = energy::value_and_gradient(0.5f64, &[1.0, 2.0]);
        assert_eq!(y, energy(0.5f64, &[1.0, 2.0]));
        assert!((g.x - (0.5f64.cos() + 5.0)).abs() < 1e-15);
        assert_eq!(g.v, vec![1.0, 2.0]);
        let (y, g) = energy::value_and_gradient(0.5f32, &[1.0, 2.0]);
        assert_eq!(y, energy(0.5f32, &[1.0, 2.0]));
        assert!((g.x - (0.5f32.cos() + 5.0)).abs() < 1e-6);
        assert_eq!(g.v, vec![1.0f32, 2.0]);
        let gradient: EnergyGradient<f32> = energy::gradient(0.5f32, &[]);
        assert_eq!(gradient.x, 0.5f32.cos());
    }

    #[test]
    fn float_through_residuals_and_buffers() {
        let (_, saved) = energy::forward(0.5f64, &[1.0, 2.0]);
        assert_eq!(energy::backward(&saved, 2.0).v, vec![2.0, 4.0]);
        let (mut x, mut v) = (1.0f32, [1.0f32; 2]);
        energy::accumulate(0.5f32, &[1.0, 2.0], 1.0, &mut x, &mut v);
        assert_eq!(v, [2.0, 3.0]);
    }

    #[test]
    fn bounds_in_a_where_clause() {
        #[backprop]
        fn f<T>(x: T) -> T
        where
            T: Float,
        {
            x * x
        }
        assert_eq!(f::gradient(3.0f32).x, 6.0);
    }

    #[test]
    fn constants_of_a_generic_float() {
        #[backprop]
        fn f<T: Float>(x: T) -> T {
            let half = T::from(0.5).unwrap();
            half * x * x + T::one() - T::zero() * x
        }
        assert_eq!(f(3.0f64), 5.5);
        assert_eq!(f::gradient(3.0f64).x, 3.0);
        assert_eq!(f::gradient(3.0f32).x, 3.0);
    }

    #[test]
    fn residuals_know_all_lengths() {
        #[backprop]
        fn mean_times<const N: usize>(a: [f64; N], x: f64) -> f64 {
            let mut s = 0.0;
            for v in a {
                s += v * x;
            }
            s / N as f64
        }
        let (_, saved) = mean_times::forward([1.0, 3.0], 2.0);
        let gradient = mean_times::backward(&saved, 1.0);
        assert_eq!((gradient.a, gradient.x), ([1.0, 1.0], 2.0));
    }

    #[test]
    fn lengths_are_generic() {
        #[backprop]
        fn f<const N: usize>(a: [f64; N], b: &[f64; N]) -> f64 {
            let mut s = 0.0;
            for i in 0..N {
                s += a[i] * b[i] * N as f64;
            }
            s
        }
        let gradient: FGradient<2> = f::gradient([1.0, 2.0], &[3.0, 4.0]);
        assert_eq!((gradient.a, gradient.b), ([6.0, 8.0], [2.0, 4.0]));
        let (_, saved) = f::forward([1.0, 2.0, 3.0], &[1.0; 3]);
        assert_eq!(f::backward(&saved, 1.0).a, [3.0; 3]);
    }

    #[test]
    fn matrices_of_generic_size() {
        #[backprop]
        fn f<const R: usize, const C: usize>(m: &[[f64; C]; R], v: &[f64; C]) -> f64 {
            let mut s = 0.0;
            for i in 0..R {
                for j in 0..C {
                    s += m[i][j] * v[j];
                }
            }
            s
        }
        let gradient = f::gradient(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], &[1.0, 10.0]);
        assert_eq!((gradient.m, gradient.v), ([[1.0, 10.0]; 3], [9.0, 12.0]));
    }

    #[test]
    fn lifetimes_are_kept() {
        #[backprop]
        fn f<'a, 'b: 'a>(a: &'a [f64], b: &'b [f64; 2]) -> f64 {
            a[0] * b[1] * b[0]
        }
        let gradient = f::gradient(&[2.0], &[3.0, 5.0]);
        assert_eq!((&gradient.a[..], gradient.b), (&[15.0][..], [10.0, 6.0]));
        let (_, saved) = f::forward(&[2.0], &[3.0, 5.0]);
        assert_eq!(f::backward(&saved, 1.0), gradient);
    }
}

mod results {
    use backprop::backprop;

    #[backprop]
    fn polar(r: f64, t: f64) -> (f64, f64) {
        (r * t.cos(), r * t.sin())
    }

    #[test]
    fn tuples() {
        let (y, saved) = polar::forward(2.0, 0.5);
        assert_eq!(y, polar(2.0, 0.5));
        let dx = polar::backward(&saved, (1.0, 0.0));
        let dy = polar::backward(&saved, (0.0, 1.0));
        assert_eq!((dx.r, dy.r), (0.5f64.cos(), 0.5f64.sin()));
        assert_eq!((dx.t, dy.t), (-y.1, y.0));
    }

    #[test]
    fn arrays() {
        #[backprop]
        fn scaled(v: &[f64; 3], s: f64) -> [f64; 3] {
            let mut out = [0.0; 3];
            for i in 0..3 {
                out[i] = v[i] * s;
            }
            out
        }
        let (y, saved) = scaled::forward(&[1.0, 2.0, 3.0], 2.0);
        assert_eq!(y, [2.0, 4.0, 6.0]);
        let gradient = scaled::backward(&saved, [1.0, 10.0, 100.0]);
        assert_eq!((gradient.v, gradient.s), ([2.0, 20.0, 200.0], 321.0));
    }

    #[test]
    fn matrices() {
        #[backprop]
        fn outer(a: &[f64; 2], b: &[f64; 2]) -> [[f64; 2]; 2] {
            [[a[0] * b[0], a[0] * b[1]], [a[1] * b[0], a[1] * b[1]]]
        }
        let (y, saved) = outer::forward(&[1.0, 2.0], &[3.0, 4.0]);
        assert_eq!(y, [[3.0, 4.0], [6.0, 8.0]]);
        let gradient = outer::backward(&saved, [[1.0, 0.0], [0.0, 10.0]]);
        assert_eq!((gradient.a, gradient.b), ([3.0, 40.0], [1.0, 20.0]));
    }

    #[test]
    fn vecs() {
        #[backprop]
        fn squares(v: &[f64]) -> Vec<f64> {
            v.iter().map(|x| x * x).collect()
        }
        let (y, saved) = squares::forward(&[1.0, 2.0, 3.0]);
        assert_eq!(y, vec![1.0, 4.0, 9.0]);
        assert_eq!(
            squares::backward(&saved, vec![1.0, 0.0, 2.0]).v,
            vec![2.0, 0.0, 12.0]
        );
        let mut v = [1.0; 3];
        let y = squares::accumulate(&[1.0, 2.0, 3.0], vec![1.0, 1.0, 1.0], &mut v);
        assert_eq!((y, v), (vec![1.0, 4.0, 9.0], [3.0, 5.0, 7.0]));
    }

    #[test]
    fn a_tuple_of_an_array_and_a_scalar() {
        #[backprop]
        fn f(x: f64) -> ([f64; 2], f64) {
            let y = x * x;
            ([x, y], y)
        }
        let (y, saved) = f::forward(3.0);
        assert_eq!(y, ([3.0, 9.0], 9.0));
        assert_eq!(f::backward(&saved, ([1.0, 10.0], 100.0)).x, 661.0);
    }

    #[test]
    fn a_parameter_returned_twice() {
        #[backprop]
        fn f(x: f64, a: [f64; 2]) -> (f64, f64, [f64; 2]) {
            (x, x, a)
        }
        let (_, saved) = f::forward(3.0, [1.0, 2.0]);
        let gradient = f::backward(&saved, (1.0, 10.0, [3.0, 4.0]));
        assert_eq!((gradient.x, gradient.a), (11.0, [3.0, 4.0]));
    }
}

mod residuals {
    use backprop::backprop;

    #[backprop]
    fn quartic(v: &[f64]) -> f64 {
        let mut s = 0.0;
        for x in v {
            s += x * x;
        }
        0.5 * s * s
    }

    #[test]
    fn one_forward_pass_serves_several_upstreams() {
        let data = vec![6.0, 8.0];
        let (_, saved) = quartic::forward(&data);
        assert_eq!(quartic::backward(&saved, 1.0).v, vec![1200.0, 1600.0]);
        assert_eq!(quartic::backward(&saved, -5.0).v, vec![-6000.0, -8000.0]);
        assert_eq!(quartic::backward(&saved, 1.0).v, vec![1200.0, 1600.0]);
    }

    #[test]
    fn residuals_own_their_scalars() {
        #[backprop]
        fn f(a: &f64, b: f64) -> f64 {
            (a * b).sin()
        }
        let saved = {
            let a = 2.0;
            f::forward(&a, 0.25).1
        };
        assert_eq!(f::backward(&saved, 1.0).b, 2.0 * 0.5f64.cos());
    }

    #[test]
    fn residuals_of_owned_arrays_own_them() {
        #[backprop]
        fn f(a: [f64; 2], v: Vec<f64>) -> f64 {
            a[0] * a[1] * v[0] * v[1]
        }
        let saved = f::forward([2.0, 3.0], vec![5.0, 7.0]).1;
        let gradient = f::backward(&saved, 1.0);
        assert_eq!((gradient.a, gradient.v), ([105.0, 70.0], vec![42.0, 30.0]));
    }

    #[test]
    fn residuals_can_be_sent_between_threads() {
        let data = [6.0, 8.0];
        let (_, saved) = quartic::forward(&data);
        let gradient = std::thread::scope(|s| {
            let handle = s.spawn(|| quartic::backward(&saved, 1.0).v);
            handle.join().unwrap()
        });
        assert_eq!(gradient, vec![1200.0, 1600.0]);
    }
}

mod buffers {
    use super::panics;
    use backprop::backprop;

    #[backprop]
    fn f(a: &[f64], b: Vec<f64>, c: &[f64; 2], d: f64, e: (f64, f64)) -> f64 {
        let mut s = d * c[0] * c[1] + e.0 * e.1;
        for i in 0..a.len() {
            s += a[i] * b[i] * d;
        }
        s
    }

    #[test]
    fn overwritten_or_added_to() {
        let (a, b, c, d, e) = ([1.0, 2.0], vec![3.0, 4.0], [5.0, 6.0], 2.0, (7.0, 8.0));
        let (mut da, mut db, mut dc, mut dd, mut de) =
            ([9.0; 2], vec![9.0; 2], [9.0; 2], 9.0, (9.0, 9.0));
        let y = f::value_and_gradient_into(
            &a,
            b.clone(),
            &c,
            d,
            e,
            &mut da,
            &mut db,
            &mut dc,
            &mut dd,
            &mut de,
        );
        assert_eq!(y, f(&a, b.clone(), &c, d, e));
        assert_eq!((da, db.as_slice()), ([6.0, 8.0], &[2.0, 4.0][..]));
        assert_eq!((dc, dd, de), ([12.0, 10.0], 41.0, (8.0, 7.0)));

        let y = f::accumulate(
            &a,
            b.clone(),
            &c,
            d,
            e,
            0.5,
            &mut da,
            &mut db,
            &mut dc,
            &mut dd,
            &mut de,
        );
        assert_eq!(y, f(&a, b, &c, d, e));
        assert_eq!((da, db.as_slice()), ([9.0, 12.0], &[3.0, 6.0][..]));
        assert_eq!((dc, dd, de), ([18.0, 15.0], 61.5, (12.0, 10.5)));
    }

    #[test]
    fn a_wrong_length_panics_before_anything_is_written() {
        let (a, b, c) = ([1.0, 2.0], vec![3.0, 4.0], [5.0, 6.0]);
        let (mut da, mut db, mut dc, mut dd, mut de) =
            ([9.0; 2], vec![9.0; 3], [9.0; 2], 9.0, (9.0, 9.0));
        let text = panics(|| {
            f::value_and_gradient_into(
                &a,
                b.clone(),
                &c,
                2.0,
                (7.0, 8.0),
                &mut da,
                &mut db,
                &mut dc,
                &mut dd,
                &mut de,
            )
        });
        assert!(text.contains("`b`"), "{text}");
        let text = panics(|| {
            f::accumulate(
                &a,
                b.clone(),
                &c,
                2.0,
                (7.0, 8.0),
                1.0,
                &mut da,
                &mut db,
                &mut dc,
                &mut dd,
                &mut de,
            )
        });
        assert!(text.contains("`b`"), "{text}");
        assert_eq!(
            (da, db, dc, dd, de),
            ([9.0; 2], vec![9.0; 3], [9.0; 2], 9.0, (9.0, 9.0))
        );
    }

    #[test]
    fn the_lengths_of_rows_are_checked_too() {
        #[backprop]
        fn sum(rows: &[Vec<f64>]) -> f64 {
            let mut s = 0.0;
            for row in rows {
                for x in row {
                    s += x;
                }
            }
            s
        }
        let rows = [vec![1.0, 2.0], vec![3.0]];
        let mut right = [vec![0.0; 2], vec![0.0; 1]];
        assert_eq!(sum::value_and_gradient_into(&rows, &mut right), 6.0);
        assert_eq!(right, [vec![1.0; 2], vec![1.0]]);
        let mut wrong = [vec![9.0; 2], vec![9.0; 2]];
        panics(|| sum::value_and_gradient_into(&rows, &mut wrong));
        assert_eq!(wrong, [vec![9.0; 2], vec![9.0; 2]]);
    }

    #[test]
    fn a_function_that_panics_returns_no_partial_gradient() {
        #[backprop]
        fn lookup(a: &[f64], i: usize) -> f64 {
            let first = a[0] * a[0];
            assert!(first < 100.0, "too large: {first}");
            first + a[i]
        }
        assert!(panics(|| lookup::gradient(&[1.0, 2.0], 2)).contains("out of bounds"));
        assert!(panics(|| lookup::forward(&[1.0, 2.0], 2)).contains("out of bounds"));
        assert_eq!(
            panics(|| lookup::gradient(&[10.0, 2.0], 1)),
            "too large: 100"
        );
        assert_eq!(lookup::gradient(&[3.0, 2.0], 1).a, vec![6.0, 1.0]);
    }
}

mod methods {
    use backprop::backprop;

    pub struct Spring {
        k: f64,
    }

    impl Spring {
        /// The energy of two masses.
        #[backprop]
        pub fn energy(&self, a: f64, b: &[f64; 2]) -> f64 {
            let k = 0.5;
            k * (a - b[0]) * (a - b[0]) * b[1]
        }

        #[backprop(associated)]
        pub fn rest(n: usize, x: f64) -> f64 {
            n as f64 * x * x
        }

        #[backprop(as = slope, wrt(x))]
        fn line(&self, x: f64, y: f64) -> f64 {
            x * y
        }
    }

    #[test]
    fn derivatives_are_siblings() {
        let s = Spring { k: 1.0 };
        let b = [1.0, 4.0];
        let want = (8.0, [-8.0, 2.0]);
        assert_eq!(s.energy_gradient(3.0, &b), want);
        assert_eq!(
            s.energy_value_and_gradient(3.0, &b),
            (s.energy(3.0, &b), want)
        );
        let (y, saved) = s.energy_forward(3.0, &b);
        assert_eq!((y, s.energy_backward(&saved, 1.0)), (8.0, want));
        let (mut da, mut db) = (1.0, [1.0; 2]);
        assert_eq!(s.energy_accumulate(3.0, &b, 2.0, &mut da, &mut db), 8.0);
        assert_eq!((da, db), (17.0, [-15.0, 5.0]));
        assert_eq!(
            s.energy_value_and_gradient_into(3.0, &b, &mut da, &mut db),
            8.0
        );
        assert_eq!((da, db), want);
        assert_eq!(s.k, 1.0);
    }

    #[test]
    fn functions_without_self_say_associated() {
        assert_eq!(Spring::rest_gradient(3, 2.0), (12.0,));
        let (y, saved) = Spring::rest_forward(3, 2.0);
        assert_eq!((y, Spring::rest_backward(&saved, 1.0)), (12.0, (12.0,)));
    }

    #[test]
    fn siblings_can_be_renamed() {
        assert_eq!(Spring { k: 1.0 }.slope_gradient(2.0, 3.0), (3.0,));
    }

    #[test]
    fn in_a_generic_impl() {
        struct Scaled<T>(T);
        impl<T: Copy + Into<f64>> Scaled<T> {
            #[backprop]
            fn square(&self, x: f64) -> f64 {
                x * x
            }
        }
        assert_eq!(Scaled(2.0f32).square_gradient(3.0), (6.0,));
        let scale: f64 = Scaled(2.0f32).0.into();
        assert_eq!(scale, 2.0);
    }
}

mod places {
    use backprop::backprop;

    #[test]
    fn inside_functions() {
        fn outer(x: f64) -> f64 {
            #[backprop]
            fn inner(y: f64) -> f64 {
                y * y
            }
            inner::gradient(x).y
        }
        assert_eq!(outer(3.0), 6.0);
    }

    #[test]
    fn two_blocks_may_use_one_name() {
        let a = {
            #[backprop]
            fn f(x: f64) -> f64 {
                x * x
            }
            f::gradient(3.0).x
        };
        let b = {
            #[backprop]
            fn f(x: f64) -> f64 {
                x * x * x
            }
            f::gradient(3.0).x
        };
        assert_eq!((a, b), (6.0, 27.0));
    }

    macro_rules! power {
        ($name:ident, $t:ty, $e:expr) => {
            #[backprop]
            fn $name(x: $t) -> $t {
                let y = x * x;
                $e * y
            }
        };
    }
    power!(twice_squared, f64, 2.0 + 0.0);
    power!(thrice_squared, f32, 1.0 + 2.0);

    #[test]
    fn inside_macros() {
        assert_eq!(twice_squared::gradient(3.0).x, 12.0);
        assert_eq!(thrice_squared::gradient(3.0).x, 18.0f32);
    }

    macro_rules! network {
        ($($field:ident),*) => {
            #[backprop]
            fn sum_of_squares($($field: f64),*) -> f64 {
                0.0 $(+ $field * $field)*
            }
        };
    }
    network!(a, b, c);

    #[test]
    fn with_repetitions() {
        let SumOfSquaresGradient { a, b, c } = sum_of_squares::gradient(1.0, 2.0, 3.0);
        assert_eq!((a, b, c), (2.0, 4.0, 6.0));
    }

    #[backprop]
    #[inline]
    #[must_use]
    /// Documented in between.
    const fn constant(x: f64) -> f64 {
        x * x + 1.0
    }
    const AT_TWO: f64 = constant(2.0);

    #[test]
    fn other_attributes_and_const_are_kept() {
        assert_eq!((AT_TWO, constant::gradient(2.0).x), (5.0, 4.0));
    }

    #[cfg_attr(all(), backprop)]
    fn conditional(x: f64) -> f64 {
        x * x
    }

    #[test]
    fn behind_cfg_attr() {
        assert_eq!(conditional::gradient(2.0).x, 4.0);
    }
}

mod calls {
    use super::{near, slope};
    use backprop::backprop;

    mod elsewhere {
        use backprop::backprop;

        #[backprop]
        pub fn sigmoid(z: f64) -> f64 {
            1.0 / (1.0 + (-z).exp())
        }

        pub mod deeper {
            use backprop::backprop;

            #[backprop]
            pub fn dot(a: &[f64], b: &[f64]) -> f64 {
                let mut s = 0.0;
                for i in 0..a.len() {
                    s += a[i] * b[i];
                }
                s
            }
        }
    }

    #[backprop]
    fn norm2(v: &[f64; 3]) -> f64 {
        v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
    }

    #[test]
    fn scalars_arrays_and_slices() {
        #[backprop]
        fn f(w: &[f64], x: &[f64], v: &[f64; 3], s: f64) -> f64 {
            let z = elsewhere::deeper::dot(w, x);
            elsewhere::sigmoid(z * s) + norm2(v) * s
        }
        let (w, x, v, s) = ([0.1, 0.2], [3.0, -4.0], [1.0, 2.0, 3.0], 0.7);
        let (y, g) = f::value_and_gradient(&w, &x, &v, s);
        assert_eq!(y, f(&w, &x, &v, s));
        near(g.s, slope(|s| f(&w, &x, &v, s), s));
        near(g.w[1], slope(|t| f(&[w[0], t], &x, &v, s), w[1]));
        near(g.x[0], slope(|t| f(&w, &[t, x[1]], &v, s), x[0]));
        near(g.v[2], slope(|t| f(&w, &x, &[v[0], v[1], t], s), v[2]));
        let (_, saved) = f::forward(&w, &x, &v, s);
        assert_eq!(f::backward(&saved, 1.0), g);
    }

    #[test]
    fn inside_loops_and_branches() {
        #[backprop]
        fn f(xs: &[f64], s: f64) -> f64 {
            let mut total = 0.0;
            for x in xs {
                if *x > 0.0 {
                    total += elsewhere::sigmoid(x * s);
                } else {
                    total *= elsewhere::sigmoid(total);
                }
            }
            total
        }
        let (xs, s) = ([1.0, -1.0, 0.5, -2.0, 2.0], 0.3);
        let g = f::gradient(&xs, s);
        near(g.s, slope(|s| f(&xs, s), s));
        near(g.xs[0], slope(|t| f(&[t, -1.0, 0.5, -2.0, 2.0], s), 1.0));
        let (_, saved) = f::forward(&xs, s);
        assert_eq!(f::backward(&saved, 1.0), g);
    }

    #[test]
    #[allow(unused_qualifications)]
    fn by_several_paths() {
        use elsewhere::sigmoid as squash;
        #[backprop]
        fn f(x: f64) -> f64 {
            squash(x) + self::elsewhere::sigmoid(x) * crate::calls::elsewhere::sigmoid(-x)
        }
        near(f::gradient(0.4).x, slope(f, 0.4));
    }

    #[test]
    fn composed_with_itself() {
        #[backprop]
        fn f(x: f64) -> f64 {
            elsewhere::sigmoid(elsewhere::sigmoid(x) * x)
        }
        near(f::gradient(0.4).x, slope(f, 0.4));
    }

    #[backprop]
    fn power(x: f64, n: u32) -> f64 {
        if n == 0 { 1.0 } else { x * power(x, n - 1) }
    }

    #[test]
    fn of_itself() {
        assert_eq!(
            power::value_and_gradient(2.0, 5),
            (32.0, PowerGradient { x: 80.0 })
        );
        assert_eq!(power::gradient(2.0, 0).x, 0.0);
    }

    #[test]
    fn with_the_same_argument_twice() {
        #[backprop]
        fn f(v: &[f64], x: f64) -> f64 {
            elsewhere::deeper::dot(v, v) * x
        }
        assert_eq!(f::gradient(&[1.0, 2.0], 3.0).v, vec![6.0, 12.0]);
    }
}

mod size {
    use super::{near, slope};
    use backprop::backprop;

    macro_rules! product {
        ($($k:literal)*) => {
            #[backprop]
            fn product_of_256(x: &[f64; 256]) -> f64 {
                1.0 $(* x[$k])*
            }
        };
    }
    product! {
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42
        43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81
        82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115
        116 117 118 119 120 121 122 123 124 125 126 127 128 129 130 131 132 133 134 135 136 137 138 139 140 141 142 143 144
        145 146 147 148 149 150 151 152 153 154 155 156 157 158 159 160 161 162 163 164 165 166 167 168 169 170 171 172 173
        174 175 176 177 178 179 180 181 182 183 184 185 186 187 188 189 190 191 192 193 194 195 196 197 198 199 200 201 202
        203 204 205 206 207 208 209 210 211 212 213 214 215 216 217 218 219 220 221 222 223 224 225 226 227 228 229 230 231
        232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255
    }

    #[test]
    fn a_product_of_256_factors() {
        let x: [f64; 256] = std::array::from_fn(|k| 1.0 + 0.5 * (k as f64).sin());
        let (y, g) = product_of_256::value_and_gradient(&x);
        assert_eq!(y, product_of_256(&x));
        for k in 0..256 {
            let want = y / x[k];
            assert!((g.x[k] - want).abs() <= 1e-12 * want.abs(), "{k}");
        }
    }

    macro_rules! chain {
        ($($k:literal)*) => {
            #[backprop]
            fn long(x: f64) -> f64 {
                let y = x;
                $(let y = (y * x + $k).sin();)*
                y
            }
        };
    }
    chain!(0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9);

    #[test]
    fn a_chain_of_shadowed_variables() {
        near(long::gradient(0.4).x, slope(long, 0.4));
    }

    macro_rules! nested {
        ($x:ident; $e:expr;) => {
            #[backprop]
            fn deep($x: f64) -> f64 {
                $e
            }
        };
        ($x:ident; $e:expr; $k:literal $($rest:literal)*) => {
            nested!($x; ($e * $k + 0.1).sin(); $($rest)*);
        };
    }
    nested!(x; x; 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 0.1 0.2);

    #[test]
    fn deeply_nested_expressions() {
        near(deep::gradient(0.9).x, slope(deep, 0.9));
    }
}

/// `#[backprop]` works in the examples of a crate's documentation.
///
/// ```
/// use backprop::backprop;
///
/// #[backprop]
/// fn square(x: f64) -> f64 {
///     x * x
/// }
/// assert_eq!(square::gradient(3.0).x, 6.0);
/// ```
#[backprop]
pub fn documented(x: f64) -> f64 {
    x
}

#[test]
fn documentation_is_kept() {
    assert_eq!(documented::gradient(1.0).x, 1.0);
}
