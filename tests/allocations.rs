//! What generated gradients take from the heap: nothing, or the states of a loop that needs them, in one piece.

// The functions under test index and copy in loops, as numerical code does.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy)]

#[path = "../benches/gradients/counting.rs"]
mod counting;

use backprop::backprop;
use counting::{Heap, heap_of};

const NOTHING: Heap = Heap {
    allocations: 0,
    bytes: 0,
};

/// One allocation of room for `states`, or for one more: whether the last is among them is the macro's choice.
fn assert_one_allocation_of(states: usize, numbers_per_state: usize, heap: Heap) {
    assert_eq!(heap.allocations, 1, "{heap:?}");
    let state = numbers_per_state * size_of::<f64>();
    let expected = states * state..=(states + 1) * state;
    assert!(
        expected.contains(&heap.bytes),
        "{heap:?} is not {expected:?}"
    );
}

#[backprop]
fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
    let z = w[0] * x[0] + w[1] * x[1] + w[2];
    1.0 / (1.0 + (-z).exp())
}

#[test]
fn straight_line_code_allocates_nothing() {
    let (w, x) = ([0.8, -1.2, 0.3], [0.5, 0.7]);
    let (_, heap) = heap_of(|| neuron::gradient(&w, &x));
    assert_eq!(heap, NOTHING, "gradient");
    let (_, heap) = heap_of(|| neuron::value_and_gradient(&w, &x));
    assert_eq!(heap, NOTHING, "value_and_gradient");
    let (_, heap) = heap_of(|| {
        let (_, saved) = neuron::forward(&w, &x);
        neuron::backward(&saved, 1.0)
    });
    assert_eq!(heap, NOTHING, "forward and backward");
    let (mut dw, mut dx) = ([0.0; 3], [0.0; 2]);
    let (_, heap) = heap_of(|| neuron::value_and_gradient_into(&w, &x, &mut dw, &mut dx));
    assert_eq!(heap, NOTHING, "value_and_gradient_into");
    let (_, heap) = heap_of(|| neuron::accumulate(&w, &x, 1.0, &mut dw, &mut dx));
    assert_eq!(heap, NOTHING, "accumulate");
}

#[backprop(wrt(p))]
fn layer(p: &[[f64; 3]; 4], x: &[f64; 2]) -> f64 {
    let mut h = [0.0; 4];
    for i in 0..4 {
        let mut z = p[i][2];
        for j in 0..2 {
            z += p[i][j] * x[j];
        }
        h[i] = z.tanh();
    }
    let mut s = 0.0;
    for i in 0..4 {
        s += h[i] * h[i];
    }
    s
}

#[test]
fn fixed_size_arrays_allocate_nothing() {
    let p = [
        [0.1, 0.2, 0.3],
        [0.4, 0.5, 0.6],
        [0.7, 0.8, 0.9],
        [1.0, 1.1, 1.2],
    ];
    let (_, heap) = heap_of(|| layer::value_and_gradient(&p, &[0.3, -0.7]));
    assert_eq!(heap, NOTHING);
}

#[backprop(wrt(mu, sigma))]
fn log_likelihood(mu: f64, sigma: f64, samples: &[f64]) -> f64 {
    let mut total = 0.0;
    for i in 0..samples.len() {
        let r = (samples[i] - mu) / sigma;
        total += -0.5 * r * r - sigma.ln();
    }
    total
}

#[test]
fn accumulator_loops_allocate_nothing() {
    let samples = [0.3, 1.2, -0.4, 2.2, 0.9];
    let (_, heap) = heap_of(|| log_likelihood::value_and_gradient(0.5, 1.5, &samples));
    assert_eq!(heap, NOTHING);
}

#[backprop]
fn rosenbrock(x: &[f64]) -> f64 {
    let mut s = 0.0;
    for i in 0..x.len() - 1 {
        let a = x[i + 1] - x[i] * x[i];
        let b = 1.0 - x[i];
        s += 100.0 * a * a + b * b;
    }
    s
}

#[test]
fn the_gradient_of_a_slice_is_all_that_is_allocated() {
    let x = [0.5; 40];
    let mut d = [0.0; 40];
    let (_, heap) = heap_of(|| rosenbrock::value_and_gradient_into(&x, &mut d));
    assert_eq!(heap, NOTHING, "into the caller's buffer");
    let (_, heap) = heap_of(|| rosenbrock::gradient(&x));
    assert_eq!(heap.allocations, 1, "{heap:?}");
    assert_eq!(heap.bytes, size_of_val(&x), "the gradient itself");
}

#[backprop]
fn product(x: &[f64; 256]) -> f64 {
    let mut p = 1.0;
    for i in 0..256 {
        p *= x[i];
    }
    p
}

#[test]
fn a_loop_of_known_length_keeps_its_states_on_the_stack() {
    let x = [1.01; 256];
    let (_, heap) = heap_of(|| product::value_and_gradient(&x));
    assert_eq!(heap, NOTHING);
}

#[backprop]
fn log_sum_exp(x: &[f64]) -> f64 {
    let mut m = x[0];
    for i in 1..x.len() {
        if x[i] > m {
            m = x[i];
        }
    }
    let mut s = 0.0;
    for i in 0..x.len() {
        s += (x[i] - m).exp();
    }
    m + s.ln()
}

#[test]
fn log_sum_exp_keeps_its_exponentials_in_the_gradient() {
    let x = [0.5; 40];
    let mut d = [0.0; 40];
    let (_, heap) = heap_of(|| log_sum_exp::value_and_gradient_into(&x, &mut d));
    assert_eq!(heap, NOTHING);
}

const STEPS: usize = 10_000;

/// By Euler's method: what is kept per step is the same as for a better one.
#[backprop]
fn lorenz(start: &[f64; 3]) -> f64 {
    let mut x = start[0];
    let mut y = start[1];
    let mut z = start[2];
    for _ in 0..STEPS {
        let dx = 10.0 * (y - x);
        let dy = x * (28.0 - z) - y;
        let dz = x * y - 8.0 / 3.0 * z;
        x += 0.001 * dx;
        y += 0.001 * dy;
        z += 0.001 * dz;
    }
    x * x + y * y + z * z
}

#[test]
fn a_carried_state_is_kept_in_one_allocation() {
    let (_, heap) = heap_of(|| lorenz::value_and_gradient(&[1.0, 1.0, 1.0]));
    assert_one_allocation_of(STEPS, 3, heap);
}

const NX: usize = 100;
const NT: usize = 1000;

#[backprop]
fn fisher(u0: &[f64; NX]) -> f64 {
    let mut u = *u0;
    let mut tmp = [0.0; NX];
    for _ in 0..NT {
        for i in 1..NX - 1 {
            tmp[i] = u[i] + 0.25 * (u[i + 1] - 2.0 * u[i] + u[i - 1]) + 0.01 * u[i] * (1.0 - u[i]);
        }
        for i in 1..NX - 1 {
            u[i] = tmp[i];
        }
    }
    let mut s = 0.0;
    for i in 0..NX {
        s += u[i] * u[i];
    }
    s
}

#[test]
fn a_carried_array_is_kept_in_one_allocation() {
    let (_, heap) = heap_of(|| fisher::value_and_gradient(&[0.5; NX]));
    // The ends never change and need not be kept.
    let numbers = if heap.bytes < NT * NX * size_of::<f64>() {
        NX - 2
    } else {
        NX
    };
    assert_one_allocation_of(NT, numbers, heap);
}

#[backprop]
fn heat(u0: &[f64; NX]) -> f64 {
    let mut u = *u0;
    for _ in 0..NT {
        let mut prev = u[0];
        for i in 1..NX - 1 {
            let cur = u[i];
            u[i] = cur + 0.25 * (u[i + 1] - 2.0 * cur + prev);
            prev = cur;
        }
    }
    let mut s = 0.0;
    for i in 0..NX {
        s += u[i] * u[i];
    }
    s
}

#[test]
fn a_carried_array_that_the_gradient_does_not_need_is_not_kept() {
    let (_, heap) = heap_of(|| heat::value_and_gradient(&[0.5; NX]));
    assert_eq!(heap, NOTHING);
}

#[cfg(feature = "runtime")]
mod tensors {
    use super::*;
    use ndarray::{Array1, Array2, Axis, s};

    #[backprop(wrt(w1, b, w2))]
    fn loss(
        w1: &Array2<f64>,
        b: &Array1<f64>,
        w2: &Array2<f64>,
        x: &Array2<f64>,
        y: &Array2<f64>,
    ) -> f64 {
        let h = (x.dot(w1) + b).mapv(|z| z.tanh());
        let y_pred = h.dot(w2);
        (&y_pred - y).mapv(|e| e * e).sum() / x.nrows() as f64
    }

    #[test]
    fn a_training_step_with_a_workspace_allocates_nothing() {
        let numbers =
            |n, m| Array2::from_shape_fn((n, m), |(i, j)| ((3 * i + 7 * j) % 5) as f64 / 4.0 - 0.5);
        let (w1, w2, x, y) = (
            numbers(20, 30),
            numbers(30, 5),
            numbers(8, 20),
            numbers(8, 5),
        );
        let b = Array1::from_elem(30, 0.1);
        let mut workspace = LossWorkspace::default();
        let first = loss::value_and_gradient_with(&mut workspace, &w1, &b, &w2, &x, &y).0;
        let (again, heap) =
            heap_of(|| loss::value_and_gradient_with(&mut workspace, &w1, &b, &w2, &x, &y).0);
        assert_eq!((again, heap), (first, NOTHING));
    }

    #[backprop(wrt(wx, wh, b))]
    fn recurrent(
        wx: &Array2<f64>,
        wh: &Array2<f64>,
        b: &Array1<f64>,
        x: &Array2<f64>,
        y: &Array1<f64>,
    ) -> f64 {
        let mut h = Array1::<f64>::zeros(wh.nrows());
        for i in 0..x.nrows() {
            h = (wx.dot(&x.row(i)) + wh.dot(&h) + b).mapv(f64::tanh);
        }
        (&h - y).mapv(|e| e * e).sum()
    }

    #[backprop(wrt(w, g))]
    fn classifier(w: &Array2<f64>, g: &Array1<f64>, x: &Array2<f64>, t: &Array2<f64>) -> f64 {
        let mean = x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
        let x = (x - &mean) * g;
        let z = x.dot(w);
        let m = z.fold_axis(Axis(1), f64::NEG_INFINITY, |&m, &v| m.max(v));
        let z = &z - &m.insert_axis(Axis(1));
        let s = z.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
        -(t * &(&z - &s.insert_axis(Axis(1)))).sum()
    }

    #[test]
    fn steps_over_rows_and_along_axes_allocate_nothing() {
        let numbers =
            |n, m| Array2::from_shape_fn((n, m), |(i, j)| ((3 * i + 7 * j) % 5) as f64 / 4.0 - 0.5);
        let (wx, wh, x) = (numbers(6, 3), numbers(6, 6), numbers(9, 3));
        let (b, y) = (Array1::from_elem(6, 0.1), Array1::zeros(6));
        let mut workspace = RecurrentWorkspace::default();
        let first = recurrent::value_and_gradient_with(&mut workspace, &wx, &wh, &b, &x, &y).0;
        let (again, heap) =
            heap_of(|| recurrent::value_and_gradient_with(&mut workspace, &wx, &wh, &b, &x, &y).0);
        assert_eq!(again, first);
        // Where the loop starts from is the caller's own array of zeros.
        let start = 6 * size_of::<f64>();
        assert!(heap.allocations <= 1 && heap.bytes <= start, "{heap:?}");

        let (w, g, x) = (numbers(12, 40), Array1::from_elem(12, 1.5), numbers(7, 12));
        let t = numbers(7, 40);
        let mut workspace = ClassifierWorkspace::default();
        let first = classifier::value_and_gradient_with(&mut workspace, &w, &g, &x, &t).0;
        let (again, heap) =
            heap_of(|| classifier::value_and_gradient_with(&mut workspace, &w, &g, &x, &t).0);
        assert_eq!((again, heap), (first, NOTHING));
    }

    #[backprop]
    fn pairs(x: &Array2<f64>) -> f64 {
        let mut s = 0.0;
        for i in 0..x.nrows() {
            for j in 0..i {
                let (dx, dy) = (x[[i, 0]] - x[[j, 0]], x[[i, 1]] - x[[j, 1]]);
                s += 1.0 / (dx * dx + dy * dy + 0.1).sqrt();
            }
        }
        s / x.nrows() as f64
    }

    #[test]
    fn a_loop_that_adds_up_keeps_nothing() {
        let x = Array2::from_shape_fn((30, 2), |(i, j)| ((3 * i + 7 * j) % 11) as f64);
        let (_, heap) = heap_of(|| pairs::value_and_gradient(&x));
        let gradient = Heap {
            allocations: 1,
            bytes: 60 * size_of::<f64>(),
        };
        assert_eq!(heap, gradient);
    }

    #[backprop(wrt(u))]
    #[allow(clippy::reversed_empty_ranges)] // Ends counted from the end.
    fn diffuse(u: &Array2<f64>, steps: usize) -> f64 {
        let mut u = u.clone();
        for _ in 0..steps {
            let middle = &u.slice(s![..-2, ..]) + &u.slice(s![2.., ..]);
            u.slice_mut(s![1..-1, ..]).scaled_add(0.1, &middle);
        }
        u.sum()
    }

    #[test]
    fn a_linear_state_is_kept_in_two_buffers() {
        let u = Array2::ones((8, 8));
        let bytes = |steps| heap_of(|| diffuse::value_and_gradient(&u, steps)).1.bytes;
        assert_eq!(bytes(5), bytes(50));
    }
}
