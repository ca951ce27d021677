//! Rules of the user's beside tensors: called, alone and from other functions, and caught where they are wrong.
#![cfg(feature = "runtime")]
#![allow(clippy::all)] // Written as users write them.

use backprop::backprop;
use ndarray::{Array1, Array2, ArrayView2, array};

// The solution of a linear system: iterations that nobody wants to differentiate.
#[backprop(custom(backward = solve_backward), check(domain(a in -0.2..0.2), shape(a = [3, 3]), points = 4))]
fn solve(a: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> {
    // (1 + a) x = b
    let mut x = b.clone();
    for _ in 0..60 {
        x = b - a.dot(&x);
    }
    x
}

fn solve_backward(
    a: &Array2<f64>,
    _b: &Array1<f64>,
    x: &Array1<f64>,
    upstream: Array1<f64>,
) -> (Array2<f64>, Array1<f64>) {
    let db = solve(&a.t().to_owned(), &upstream);
    let outer = Array2::from_shape_fn(a.dim(), |(i, j)| -db[i] * x[j]);
    (outer, db)
}

// A forward pass that keeps what it wants; the test comes unasked.
#[backprop(custom(forward = scaled_forward, backward = scaled_backward, residuals = (Array2<f64>, f64)), wrt(x))]
fn scaled(x: ArrayView2<f64>, k: f64, n: usize) -> f64 {
    x.mapv(|v| v.powi(n as i32)).sum() * k
}

fn scaled_forward(x: ArrayView2<f64>, k: f64, n: usize) -> (f64, (Array2<f64>, f64)) {
    let slopes = x.mapv(|v| n as f64 * v.powi(n as i32 - 1));
    (scaled(x, k, n), (slopes, k))
}

fn scaled_backward((slopes, k): &(Array2<f64>, f64), upstream: f64) -> Array2<f64> {
    slopes * *k * upstream
}

#[backprop(custom(backward = both_backward))]
fn both(x: Array1<f64>, layers: &[Array1<f64>]) -> (f64, Array1<f64>) {
    (x.sum(), &layers[0] * &layers[1])
}

fn both_backward(
    x: Array1<f64>,
    layers: &[Array1<f64>],
    y: &(f64, Array1<f64>),
    upstream: (f64, Array1<f64>),
) -> (Array1<f64>, Vec<Array1<f64>>) {
    assert_eq!(y.1.len(), layers[0].len());
    let (up, all) = upstream;
    (
        Array1::from_elem(x.len(), up),
        vec![&all * &layers[1], &all * &layers[0]],
    )
}

#[backprop(custom(backward = generic_backward))]
fn generic<T: backprop::Float>(x: &Array1<T>) -> T {
    x.dot(x)
}

fn generic_backward<T: backprop::Float>(x: &Array1<T>, _: T, up: T) -> Array1<T> {
    x.mapv(|v| (v + v) * up)
}

// Called from others: in a chain, in a loop.
#[backprop(check(domain(a in -0.2..0.2), shape(a = [3, 3]), points = 4))]
fn around(a: &Array2<f64>, b: &Array1<f64>) -> f64 {
    let mut x = b.mapv(f64::sin);
    for _ in 0..2 {
        x = solve(a, &x);
    }
    x.dot(b) + scaled(a.view(), 2.0, 3) + generic(b)
}

#[test]
fn the_rule_is_used() {
    let (a, b) = (array![[0.1, 0.2], [-0.1, 0.3]], array![1.0, 2.0]);
    let (x, saved) = solve::forward(&a, &b);
    assert_eq!(x, solve(&a, &b));
    let g = solve::backward(&saved, array![1.0, 0.0]);
    let (da, db) = solve_backward(&a, &b, &x, array![1.0, 0.0]);
    assert_eq!((g.a, g.b), (da.clone(), db.clone()));
    let (mut into, mut second) = (Array2::ones((2, 2)), Array1::ones(2));
    solve::accumulate(&a, &b, array![1.0, 0.0], &mut into, &mut second);
    assert_eq!((into, second), (da + 1.0, db + 1.0));
    let (y, g) = scaled::value_and_gradient(a.view(), 2.0, 2);
    assert_eq!(
        (y, g.x),
        (scaled(a.view(), 2.0, 2), a.mapv(|v| 2.0 * v) * 2.0)
    );
    assert_eq!(generic::gradient(&b).x, &b * 2.0);
    let layers = [b.clone(), b.clone()];
    let (_, saved) = both::forward(b.clone(), &layers);
    let g = both::backward(&saved, (2.0, array![1.0, 1.0]));
    assert_eq!(
        (g.x, g.layers),
        (array![2.0, 2.0], vec![b.clone(), b.clone()])
    );
    assert!(around::gradient(&a, &b).a.iter().all(|v| v.is_finite()));
}

/// What a test says when it fails.
fn failure(test: fn()) -> String {
    let said = std::panic::catch_unwind(test).expect_err("the test passes");
    match said.downcast_ref::<&str>() {
        Some(text) => text.to_string(),
        None => said.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

#[test]
#[allow(unnameable_test_items)]
fn wrong_rules_and_numbers_are_failed_tests() {
    // Items in a function are no tests of their own.
    #[backprop(custom(backward = wrong_backward))]
    fn wrong(w: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
        w.dot(x)
    }
    fn wrong_backward(
        w: &Array2<f64>,
        x: &Array1<f64>,
        _y: &Array1<f64>,
        up: Array1<f64>,
    ) -> (Array2<f64>, Array1<f64>) {
        let dw = Array2::from_shape_fn(w.dim(), |(i, j)| up[i] * x[j]);
        // The last is forgotten.
        let mut dx = w.t().dot(&up);
        dx[x.len() - 1] = 0.0;
        (dw, dx)
    }
    let said = failure(wrong_check);
    assert!(
        said.contains("the gradient of `wrong` with respect to number "),
        "{said}"
    );
    assert!(said.contains(" of `x` is wrong: at w = [["), "{said}");

    #[backprop(custom(backward = short_backward))]
    fn short(x: &Array1<f64>) -> f64 {
        x.sum()
    }
    fn short_backward(_: &Array1<f64>, _: f64, up: f64) -> Array1<f64> {
        Array1::from_elem(1, up)
    }
    let said = failure(short_check);
    assert!(
        said.contains("the rule gives a gradient of another shape for `x`"),
        "{said}"
    );

    // Calls of a wrong rule are wrong too.
    #[backprop(check)]
    fn through(x: &Array1<f64>) -> f64 {
        halved(&x.mapv(f64::sin)).sum()
    }
    let said = failure(through_check);
    assert!(
        said.contains("the gradient of `through` with respect to number 0 of `x`"),
        "{said}"
    );

    #[backprop(check(at(x = [3.0, 1.0]), value = 10.0, gradient(x = [6.0, 2.5]), tolerance = 1e-3))]
    fn expected(x: &Array1<f64>) -> f64 {
        x.dot(x)
    }
    let said = failure(expected_check);
    assert!(said.contains("number 1 of `x` is 2, not 2.5"), "{said}");

    #[backprop(check)]
    fn nowhere(x: &Array1<f64>) -> f64 {
        assert!(x.len() == 100, "it is not a hundred");
        x.sum()
    }
    let said = failure(nowhere_check);
    assert!(
        said.contains("it is not a hundred") && said.contains("check(shape(x = [3, 4]))"),
        "{said}"
    );

    #[backprop(check(domain(x < 0.0)))]
    fn undefined(x: &Array1<f64>) -> f64 {
        x.mapv(f64::ln).sum()
    }
    assert!(failure(undefined_check).contains("is finite at none of the points"));
}

#[backprop(custom(backward = halved_backward), check(points = 0))]
fn halved(x: &Array1<f64>) -> Array1<f64> {
    x * 2.0
}

fn halved_backward(_: &Array1<f64>, _: &Array1<f64>, up: Array1<f64>) -> Array1<f64> {
    up
}
