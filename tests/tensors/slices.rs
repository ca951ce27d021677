//! Floats in slices and arrays beside tensors: a flat vector of parameters, as optimizers have it.

use crate::agree::{close, numbers, slope};
use backprop::backprop;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// A network of one hidden layer, whose parameters stand one after another.
#[backprop(wrt(w, scales))]
fn loss(w: &[f64], scales: &[f64; 2], x: &Array2<f64>, y: &Array1<f64>) -> f64 {
    let w1 = ArrayView2::from_shape((3, 2), &w[..6]).unwrap();
    let b1 = ArrayView1::from(&w[6..8]);
    let h = (x.dot(&w1) + &b1).mapv(|v| (v * scales[0]).tanh());
    let mut e = h.dot(&ArrayView1::from(&w[8..10])) - y;
    for (i, v) in w.iter().enumerate() {
        e[i % 4] += 0.1 * v * v;
    }
    e.dot(&e) * scales[1] + w[w.len() - 1]
}

fn data() -> ([f64; 11], [f64; 2], Array2<f64>, Array1<f64>) {
    let mut w = [0.0; 11];
    w.iter_mut().zip(&numbers(11, 3)).for_each(|(w, n)| *w = *n);
    (w, [0.8, 1.7], numbers((4, 3), 4), numbers(4, 5))
}

#[test]
fn a_flat_vector_of_parameters() {
    let (w, scales, x, y) = data();
    let (value, g) = loss::value_and_gradient(&w, &scales, &x, &y);
    close(value, loss(&w, &scales, &x, &y), 1e-14, "the value");
    let _: (&Vec<f64>, &[f64; 2]) = (&g.w, &g.scales);
    assert_eq!(g.w.len(), 11);
    for k in 0..11 {
        let expected = slope(|h| {
            let mut w = w;
            w[k] += h;
            loss(&w, &scales, &x, &y)
        });
        close(g.w[k], expected, 1e-8, "w");
    }
    for k in 0..2 {
        let expected = slope(|h| {
            let mut scales = scales;
            scales[k] += h;
            loss(&w, &scales, &x, &y)
        });
        close(g.scales[k], expected, 1e-8, "scales");
    }
}

#[test]
fn all_ways_give_the_same() {
    let (w, scales, x, y) = data();
    let (value, g) = loss::value_and_gradient(&w, &scales, &x, &y);
    let (mut dw, mut ds) = ([7.0; 11], [5.0; 2]);
    assert_eq!(
        loss::value_and_gradient_into(&w, &scales, &x, &y, &mut dw, &mut ds),
        value
    );
    assert_eq!((dw.to_vec(), ds), (g.w.clone(), g.scales));
    loss::accumulate(&w, &scales, &x, &y, 2.0, &mut dw, &mut ds);
    dw.iter()
        .zip(&g.w)
        .for_each(|(d, g)| close(*d, 3.0 * g, 1e-13, "w"));
    ds.iter()
        .zip(&g.scales)
        .for_each(|(d, g)| close(*d, 3.0 * g, 1e-13, "scales"));
    let (again, saved) = loss::forward(&w, &scales, &x, &y);
    assert_eq!(again, value);
    for _ in 0..2 {
        let back = loss::backward(&saved, 1.0);
        back.w
            .iter()
            .zip(&g.w)
            .for_each(|(b, g)| close(*b, *g, 1e-13, "backward"));
    }
    let mut workspace = LossWorkspace::default();
    for _ in 0..2 {
        let (again, with) = loss::value_and_gradient_with(&mut workspace, &w, &scales, &x, &y);
        assert_eq!((again, &with.w, with.scales), (value, &g.w, g.scales));
    }
}

#[test]
#[should_panic(expected = "the buffer for the gradient of `w` has another shape")]
fn a_buffer_of_another_length() {
    let (w, scales, x, y) = data();
    loss::value_and_gradient_into(&w, &scales, &x, &y, &mut [0.0; 3], &mut [0.0; 2]);
}

/// Gradient descent on the slice itself.
#[backprop]
fn bowl(w: &[f64], a: &Array2<f64>) -> f64 {
    let w = ArrayView1::from(w);
    w.dot(&a.dot(&w))
}

#[test]
fn steps_in_place() {
    let mut a = Array2::eye(3);
    let mut w = [1.0, -2.0, 3.0];
    let (_, g) = bowl::value_and_gradient(&w, &a);
    let before = w;
    let mut workspace = BowlWorkspace::default();
    bowl::descend_with(&mut workspace, 0.25, &mut w, &mut a);
    for k in 0..3 {
        close(w[k], before[k] - 0.25 * g.w[k], 1e-14, "a step");
    }
}

#[backprop]
fn by_mode(z: &Array2<f64>, k: f64, mode: u8) -> f64 {
    match mode {
        0 => z.sum(),
        1 | 2 if z.nrows() > 1 => z.sum() * k,
        _ => {
            let s = (z * z).sum();
            s * k
        }
    }
}

#[test]
fn a_match_of_what_is_constant() {
    let z = numbers((3, 2), 8);
    for mode in 0..4 {
        let (value, g) = by_mode::value_and_gradient(&z, 1.5, mode);
        close(value, by_mode(&z, 1.5, mode), 1e-14, "the value");
        crate::agree::slopes(&g.z, &z, |z| by_mode(z, 1.5, mode), "z");
        close(g.k, slope(|h| by_mode(&z, 1.5 + h, mode)), 1e-8, "k");
    }
}
